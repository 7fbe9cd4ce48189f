"""LeNet-5 (LeCun et al. 1998) on your own files in MNIST's format.

    python 13_lenet_mnist_files.py --data FOLDER

reads train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte there (each
may end in .gz): MNIST, Fashion-MNIST and the like. Without --data such files are first written, from the 1,797 digits
that scikit-learn ships, scaled from 8x8 to 28x28 pixels. The bar: to make clearly fewer mistakes than a linear model.
"""

import pathlib
import tempfile

import mielina as mi
import mielina.nn.functional as F
import numpy as np
from _common import Run
from mielina import nn
from mielina import transforms as T
from mielina.datasets import read_idx, write_idx
from mielina.plot import confusion, feature_maps, figure, filters
from sklearn.datasets import load_digits

IMAGES, LABELS = "images-idx3-ubyte", "labels-idx1-ubyte"
CHANGES = T.Compose([T.RandomRotation(15), T.RandomShear(10), T.RandomZoom(0.85, 1.2), T.RandomTranslation(0.1, 0.1)])


def write_digits(folder, copies, seed):
    """The four files, as MNIST's are: bytes, 0 is background, 28x28 pixels with a margin.

    copies: of each image to learn from, the first as it is, the others turned, moved and zoomed a little.
    """
    digits = load_digits()
    large = F.interpolate(mi.tensor(digits.images[:, None].astype(np.float32)), size=(24, 24), mode="bicubic")
    pixels = F.pad((large * 255 / 16).round().clamp(0, 255), (2, 2, 2, 2))[:, 0].to(mi.uint8).numpy()
    order = np.random.default_rng(seed).permutation(len(pixels))
    mi.manual_seed(seed)
    for part, chosen, n in (("train", order[:1300], copies), ("t10k", order[1300:], 1)):
        images = mi.tensor(pixels[chosen, None]).float()
        more = [CHANGES(images).round().clamp(0, 255) for _ in range(n - 1)]
        write_idx(folder / f"{part}-{IMAGES}.gz", mi.cat([images, *more])[:, 0].to(mi.uint8).numpy())
        write_idx(folder / f"{part}-{LABELS}.gz", np.tile(digits.target[chosen], n).astype(np.uint8))


def read(folder, part):
    """Images (N, 1, 28, 28) in [0, 1] and labels (N)."""
    arrays = []
    for kind in (IMAGES, LABELS):
        path = folder / f"{part}-{kind}"
        arrays.append(read_idx(path if path.exists() else path.with_name(path.name + ".gz")))
    images, labels = arrays
    if images.shape[1:] != (28, 28) or len(images) != len(labels):
        raise SystemExit(f"{folder}: expected images of 28x28 pixels and a label each, got {images.shape}")
    return mi.tensor(images[:, None]).float() / 255, mi.tensor(labels).long()


def train(net, data, held, epochs, lr, seed):
    optimizer = mi.optim.Adam(net.parameters(), lr=lr)
    schedule = mi.LearningRateScheduler(mi.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs))
    return mi.fit(net, *data, validation=held, metrics="accuracy", epochs=epochs, batch_size=32, optimizer=optimizer,
                  callbacks=schedule, seed=seed, verbose=False)  # fmt: skip


def main():
    more = "ten versions of each digit, 20 epochs (of your files, too), 40 s"
    run = Run(
        __file__, __doc__, more, arguments=lambda p: p.add_argument("--data", metavar="FOLDER", help="with four files")
    )
    with tempfile.TemporaryDirectory() as made:
        folder = pathlib.Path(run.options.data or made)
        if not run.options.data:
            write_digits(folder, run.pick(1, 10), run.seed)
        data, test = read(folder, "train"), read(folder, "t10k")
    run.say(f"{len(data[1])} images to learn from, {len(test[1])} for the test")
    epochs = 20 if run.full or len(data[1]) < 10_000 else 4

    classes = int(data[1].max()) + 1
    mi.manual_seed(run.seed)
    linear = nn.Sequential(nn.Flatten(), nn.Linear(784, classes))
    train(linear, data, test, epochs, 1e-3, run.seed)
    net = mi.models.lenet5(num_classes=classes)
    history = train(net, data, test, epochs, 2e-3, run.seed)
    simple = mi.evaluate(linear, *test, metrics="accuracy")["accuracy"]
    majority = (test[1] == data[1].mode()[0]).float().mean().item()
    scores = mi.tensor(mi.predict(net, test[0]))
    accuracy = (scores.argmax(1) == test[1]).float().mean().item()
    run.say(f"majority {majority:.3f}, linear {simple:.3f}, LeNet-5 {accuracy:.3f}")

    f = figure(12, 7.5)
    left, middle, right = f.subfigures(1, 3, width_ratios=(1.1, 1, 1))
    above, below = left.subplots(2, 1, height_ratios=(1, 1.5))
    seen = range(1, epochs + 1)
    above.plot(seen, history["accuracy"], label="training")
    above.plot(seen, history["val_accuracy"], "--", color="C0", label="test")
    above.axhline(simple, color="grey", linestyle=":", label="linear, test")
    above.set(xlabel="epoch", ylabel="accuracy", ylim=(0.8, 1.005))
    above.legend()
    confusion(mi.train.ConfusionMatrix()(scores, test[1]), ax=below)

    one = test[0][:1]
    axes = middle.subplots(3, 1, height_ratios=(1.2, 0.6, 1.1))
    axes[0].imshow(one[0, 0].numpy(), cmap="gray")
    axes[0].set(xticks=[], yticks=[], title=f"a test image ({test[1][0].item()})")
    filters(net.features[0].weight, axes[1], columns=6)
    axes[1].set_title("six filters of 5x5")
    feature_maps(net.features[:2](one).detach(), axes[2], columns=3)
    axes[2].set_title("their maps of that image")
    losses = F.cross_entropy(scores, test[1], reduction="none")
    for ax, i in zip(right.subplots(4, 3).flat, losses.argsort(descending=True)[:12].tolist()):
        ax.imshow(test[0][i, 0].numpy(), cmap="gray_r")
        ax.axis("off")
        found, true = scores[i].argmax().item(), test[1][i].item()
        ax.set_title(f"{true}" if found == true else f"{true}, taken for {found}", fontsize=10)
    right.suptitle("the twelve of largest loss")
    goal = simple + 0.01 if run.options.data else run.pick(0.968, 0.985)
    run.finish(f, "LeNet-5's accuracy in the test", accuracy, "linear", max(simple, majority), goal)


if __name__ == "__main__":
    main()
