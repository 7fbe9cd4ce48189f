"""Augmentation: 200 handwritten digits become as many as one likes, each a little turned, moved and zoomed.

A network that has seen few images learns them by heart. Random small changes that leave the meaning alone (Simard,
Steinkraus & Platt 2003) make every epoch new: the loss on the training images falls less, that on unseen ones further.
"""

import mielina as mi
import mielina.nn.functional as F
import numpy as np
from _common import Run
from mielina import nn
from mielina import transforms as T
from mielina.plot import figure
from sklearn.datasets import load_digits

FEW = 200
CHANGES = T.Compose([T.RandomRotation(15), T.RandomShear(10), T.RandomZoom(0.85, 1.2), T.RandomTranslation(0.1, 0.1)])


class Augmented(mi.data.Dataset):
    """Images that are changed anew whenever they are asked for; a whole batch is one warp."""

    def __init__(self, images, labels):
        self.images, self.labels = images, labels

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return CHANGES(self.images[i]), self.labels[i]

    def batch(self, indices):
        return CHANGES(self.images[indices]), self.labels[indices]


def network(seed):
    mi.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(32 * 4 * 4, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip


def train(data, held, epochs, seed):
    """History of a fresh network: the same start, order and number of steps whatever the data."""
    net = network(seed)
    optimizer = mi.optim.Adam(net.parameters(), lr=2e-3)
    return mi.fit(net, data, validation=held, metrics="accuracy", epochs=epochs, batch_size=20, optimizer=optimizer,
                  seed=seed, verbose=False)  # fmt: skip


def main():
    run = Run(__file__, __doc__, full="the mean of five draws of the digits, twice the epochs, 60 s")
    digits = load_digits()
    images = mi.tensor((digits.images[:, None] / 16).astype(np.float32))
    images = F.interpolate(images, size=(16, 16), mode="bilinear")
    labels = mi.tensor(digits.target)
    rng, (draws, epochs) = np.random.default_rng(run.seed), run.pick((1, 60), (5, 120))
    pairs = []
    for order in [mi.tensor(rng.permutation(len(labels))) for _ in range(draws)]:
        few, rest = order[:FEW], order[FEW:]
        held = images[rest], labels[rest]
        sets = (images[few], labels[few]), Augmented(images[few], labels[few])
        pairs.append([train(data, held, epochs, run.seed) for data in sets])
    plain, changed = pairs[-1]
    without, accuracy = np.mean([[h["val_accuracy"][-1] for h in pair] for pair in pairs], 0)
    majority = (held[1] == held[1].mode()[0]).float().mean().item()
    run.say(f"majority {majority:.3f}; loss on unseen digits: plain {plain['val_loss'][-1]:.3f}, "
            f"augmented {changed['val_loss'][-1]:.3f}")  # fmt: skip

    f = figure(12, 4.4)
    pictures, charts = f.subfigures(1, 2, width_ratios=(1, 1.9))
    axes = pictures.subplots(4, 5)
    for row, i in zip(axes, [few[labels[few] == k][0].item() for k in (2, 3, 4, 7)]):
        row[0].imshow(images[i, 0].numpy(), cmap="gray", vmin=0, vmax=1)
        for ax, x in zip(row[1:], CHANGES(images[i : i + 1].repeat(4, 1, 1, 1))):
            ax.imshow(x[0].numpy(), cmap="gray", vmin=0, vmax=1)
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
    axes[0, 0].set_title("digit")
    axes[0, 2].set_title("changed", loc="left")
    left, right = charts.subplots(1, 2)
    seen = range(1, epochs + 1)
    for history, colour, name in ((plain, "C0", "without"), (changed, "C1", "with")):
        left.semilogy(seen, history["loss"], colour, label=f"{name}, training")
        left.semilogy(seen, history["val_loss"], colour, linestyle="--", label=f"{name}, unseen")
        right.plot(seen, history["val_accuracy"], colour, label=f"{name}: {history['val_accuracy'][-1]:.3f}")
    left.set(xlabel="epoch", ylabel="cross-entropy", title="loss")
    right.set(xlabel="epoch", ylabel="accuracy", ylim=(0.7, 1), title=f"accuracy on {len(rest)} unseen digits")
    left.legend(loc="lower left")
    right.legend()
    for ax in (left, right):
        ax.grid(alpha=0.3)
    run.finish(
        f,
        f"accuracy after {FEW} digits, with augmentation{run.pick('', f', mean of {draws} draws')}",
        accuracy,
        "without",
        without,
        run.pick(0.95, 0.955),
    )


if __name__ == "__main__":
    main()
