"""Dense, locally connected and convolutional: what each restriction on the connections is worth.

Three networks with the same layers of units. Dense: each unit sees everything. Local: each unit sees a 3x3 window, with
weights of its own. Convolution: all windows share their weights (LeCun et al. 1989). The digits of the training set lie
within two pixels of the middle; the test moves them up to four. What is learnt at one place holds at all others only
where the weights are shared.
"""

import mielina as mi
import mielina.nn.functional as F
import numpy as np
from _common import Run
from mielina import nn
from mielina.plot import figure
from sklearn.datasets import load_digits

PAD, NEAR, FAR = 8, 2, 4  # digits of 8x8 on 24x24 pixels; the farthest shifts in training and test


class Dense(nn.Module):
    """(N, inputs, side, side) to (N, outputs, side - 2, side - 2), everything with everything."""

    def __init__(self, inputs, outputs, side):
        super().__init__()
        self.linear = nn.Linear(inputs * side**2, outputs * (side - 2) ** 2)
        self.shape = (outputs, side - 2, side - 2)

    def forward(self, x):
        return self.linear(x.flatten(1)).unflatten(1, self.shape)


class Local(nn.Module):
    """A convolution of 3x3 whose filters differ from place to place."""

    def __init__(self, inputs, outputs, side):
        super().__init__()
        places, bound = (side - 2) ** 2, (9 * inputs) ** -0.5
        self.weight = nn.Parameter(mi.empty(places, outputs, 9 * inputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(mi.zeros(outputs, places))

    def forward(self, x):
        y = mi.einsum("ncp,poc->nop", F.unfold(x, 3), self.weight) + self.bias
        return y.unflatten(2, (x.shape[2] - 2, x.shape[3] - 2))


def convolution(inputs, outputs, side):
    return nn.Conv2d(inputs, outputs, 3)


def network(layer):
    return nn.Sequential(
        layer(1, 8, 8 + 2 * PAD), nn.ReLU(), nn.MaxPool2d(2), layer(8, 16, 3 + PAD), nn.ReLU(),
        nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(16, 10),
    )  # fmt: skip


def main():
    run = Run(__file__, __doc__, full="every digit at four places, 40 epochs, 70 s")
    rng = np.random.default_rng(run.seed)
    digits = load_digits()
    images, labels = F.pad(mi.tensor((digits.images[:, None] / 16).astype(np.float32)), [PAD] * 4), digits.target
    order = rng.permutation(len(labels))
    train, test = order[:1297], order[1297:]
    train = np.tile(train, run.pick(1, 4))
    shifts = rng.integers(-NEAR, NEAR + 1, (len(train), 2)).tolist()
    x = mi.stack([image.roll(shift, (1, 2)) for image, shift in zip(images[train], shifts)])
    y, steps = labels[train], range(-FAR, FAR + 1)

    names, layers = ("dense", "locally connected", "convolution"), (Dense, Local, convolution)
    maps, counts = [], []

    def accuracy(net, down, right):
        moved = images[test].roll((down, right), (2, 3))
        return mi.evaluate(net, moved, labels[test], metrics="accuracy")["accuracy"]

    for name, layer in zip(names, layers):
        mi.manual_seed(run.seed)
        net = network(layer)
        mi.fit(net, x, y, loss="cross_entropy", epochs=run.pick(15, 40), batch_size=64, seed=run.seed, verbose=False,
               optimizer=mi.optim.Adam(net.parameters(), lr=5e-3))  # fmt: skip
        maps.append(np.array([[accuracy(net, down, right) for right in steps] for down in steps]))
        counts.append(sum(p.numel() for p in net.parameters()))
        run.say(f"{name}: {counts[-1]} parameters, accuracy in the middle {maps[-1][FAR, FAR]:.3f}, "
                f"within {NEAR} pixels {maps[-1][FAR - NEAR:FAR + NEAR + 1, FAR - NEAR:FAR + NEAR + 1].mean():.3f}, "
                f"anywhere {maps[-1].mean():.3f}")  # fmt: skip

    f = figure(13, 3.9)
    first, *axes = f.subplots(1, 4, width_ratios=[0.9, 1, 1, 1])
    sheet = F.pad(x[:9, 0], [1] * 4, value=0.5).view(3, 3, 26, 26).transpose(1, 2).reshape(78, 78)
    first.imshow(sheet, cmap="gray")
    first.set(xticks=[], yticks=[], title="training digits")
    box, edge = (NEAR + 0.5) * np.array([-1, 1, 1, -1, -1]), FAR + 0.5
    for ax, name, shares, count in zip(axes, names, maps, counts):
        picture = ax.imshow(shares, vmin=0, vmax=1, extent=(-edge, edge, edge, -edge))
        ax.plot(box, np.roll(box, 1), "w--")
        ax.set(title=f"{name}\n{count:,} parameters", xlabel="shifted right (pixels)")
    axes[0].set_ylabel("shifted down (pixels)")
    axes[0].text(0, 3.1, "trained inside the box", color="w", ha="center", fontsize=8)
    f.colorbar(picture, ax=axes, shrink=0.8, label="accuracy on held-out digits")
    run.finish(
        f, "accuracy of the convolution at 81 places", maps[2].mean(), "dense", maps[0].mean(), run.pick(0.75, 0.95)
    )


if __name__ == "__main__":
    main()
