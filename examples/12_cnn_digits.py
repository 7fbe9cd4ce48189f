"""A small convolutional network on real handwritten digits, beside a linear classifier.

The 1,797 digits of 8x8 pixels that scikit-learn ships. The linear classifier sees 64 numbers; the convolutions see that
neighbouring pixels belong together (LeCun et al. 1989), and make about half of its mistakes.
"""

import mielina as mi
import numpy as np
from _common import Run
from mielina import nn
from mielina import transforms as T
from mielina.plot import confusion, curves, figure
from sklearn.datasets import load_digits


class Moved(mi.data.Dataset):
    """Digits that are turned, moved and zoomed a little whenever they are asked for."""

    change = T.Compose([T.RandomRotation(10), T.RandomZoom(0.9, 1.1), T.RandomTranslation(0.06, 0.06)])

    def __init__(self, images, labels):
        self.images, self.labels = images, labels

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return self.change(self.images[i]), self.labels[i]

    def batch(self, indices):
        return self.change(self.images[indices]), self.labels[indices]


def train(net, x, y, epochs, lr, seed):
    return mi.fit(net, x, validation=y, loss="cross_entropy", metrics="accuracy", epochs=epochs, batch_size=64,
                  seed=seed, optimizer=mi.optim.Adam(net.parameters(), lr=lr), verbose=False)  # fmt: skip


def main():
    run = Run(__file__, __doc__, full="a larger network, digits moved and turned anew in 60 epochs, 15 s")
    digits = load_digits()
    images = mi.tensor((digits.images[:, None] / 16).astype(np.float32))
    labels = mi.tensor(digits.target)
    order = mi.tensor(np.random.default_rng(run.seed + 1).permutation(len(labels)))
    train_set, test_set = ((images[i], labels[i]) for i in (order[:1300], order[1300:]))

    mi.manual_seed(run.seed)
    linear = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    train(linear, train_set, test_set, 30, 0.01, run.seed)
    c = run.pick(16, 32)
    net = nn.Sequential(
        nn.Conv2d(1, c, 3, padding=1), nn.ReLU(), nn.Conv2d(c, 2 * c, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.3), nn.Linear(2 * c * 4 * 4, 10),
    )  # fmt: skip
    history = train(net, run.pick(train_set, Moved(*train_set)), test_set, run.pick(15, 60), 0.003, run.seed)
    net.eval()
    linear.eval()
    found = net(test_set[0]).argmax(1)
    accuracy = (found == test_set[1]).float().mean().item()
    simple = (linear(test_set[0]).argmax(1) == test_set[1]).float().mean().item()

    f = figure(12, 4.2)
    left, middle, right = f.subplots(1, 3)
    curves(history, left, keys=["accuracy", "val_accuracy"])
    left.axhline(simple, color="grey", linestyle=":", label="linear")
    left.set(ylim=(0.8, 1.0), title="accuracy")
    left.legend()
    matrix = np.zeros((10, 10), int)
    np.add.at(matrix, (test_set[1].numpy(), found.numpy()), 1)
    confusion(matrix, ax=middle)
    middle.set_title("held-out digits")
    wrong = mi.nonzero(found != test_set[1]).flatten()[:6].tolist()
    sheet = np.ones((2 * 10, 3 * 9))
    for n, i in enumerate(wrong):
        r, c = divmod(n, 3)
        sheet[r * 10 : r * 10 + 8, c * 9 : c * 9 + 8] = 1 - test_set[0][i, 0].numpy()
        right.text(c * 9 + 3.5, r * 10 + 8.4, f"{test_set[1][i].item()} as {found[i].item()}", ha="center", va="center",
                   fontsize=8)  # fmt: skip
    right.imshow(sheet, cmap="gray", vmin=0, vmax=1)
    right.set(xticks=[], yticks=[], title="mistakes")
    run.finish(f, "accuracy on 497 held-out digits", accuracy, "linear", simple, run.pick(0.975, 0.98))


if __name__ == "__main__":
    main()
