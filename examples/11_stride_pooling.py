"""Stride, padding and pooling: how large the maps become, and what a maximum over 4x4 pixels forgives.

The size of a map is floor((n + 2p - d(k - 1) - 1) / s) + 1 (Dumoulin & Visin 2016, "A guide to convolution
arithmetic"): checked here against the library for hundreds of combinations. Then digits move by one pixel. Maps of
edges change a lot, and so does every fourth pixel of them; their maxima, as many numbers, change less.
"""

import itertools

import mielina as mi
import mielina.nn.functional as F
import numpy as np
from _common import Run
from mielina import nn, transforms
from mielina.plot import figure
from sklearn.datasets import load_digits

SHIFTS = (1, 2, 3, 4)


def size(n, kernel, stride=1, padding=0, dilation=1):
    """Positions of a window of `kernel` pixels, `dilation` apart, on n pixels with `padding` on both sides."""
    return (n + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def check_sizes(sizes):
    """Every combination that fits, for convolution and for pooling; how many there were."""
    count = 0
    for n, k, s, p, d in itertools.product(sizes, (1, 2, 3, 5), (1, 2, 3), (0, 1, 2), (1, 2)):
        expected = size(n, k, s, p, d)
        layers = [nn.Conv2d(1, 1, k, stride=s, padding=p, dilation=d)]
        if p <= k // 2:  # more, and a window could hold nothing but padding
            layers.append(nn.MaxPool2d(k, stride=s, padding=p, dilation=d))
        for layer in layers if expected > 0 else ():
            found = layer(mi.zeros(1, 1, n, n)).shape
            assert found == (1, 1, expected, expected), f"{layer} on {n} pixels gave {found}, not {expected}"
            count += 1
    return count


def edges():
    """A convolution with Prewitt's filters, then ReLU: four maps, bright where an edge faces that way."""
    conv = nn.Conv2d(1, 4, 3, padding=1, bias=False).requires_grad_(False)
    right = mi.tensor([[-1.0, 0, 1]]).expand(3, 3) / 6
    conv.weight.copy_(mi.stack((right, -right, right.T, -right.T))[:, None])
    return nn.Sequential(conv, nn.ReLU())


def change(features, images, moved):
    """|f(moved) - f(images)| / |f(images)|, averaged over the images."""
    before, after = features(images).flatten(1), features(moved).flatten(1)
    return ((after - before).norm(dim=1) / before.norm(dim=1)).mean().item()


def main():
    run = Run(__file__, __doc__, full="all digits, thousands of sizes, 6 s")
    count = check_sizes(run.pick((7, 8, 28), range(7, 65)))
    run.say(f"the formula gave the library's size for {count} convolutions and poolings")

    digits = load_digits()
    chosen = np.random.default_rng(run.seed).permutation(len(digits.images))[: run.pick(500, None)]
    images = mi.tensor((digits.images[chosen, None] / 16).astype(np.float32))
    images = F.pad(F.interpolate(images, scale_factor=3, mode="bilinear"), (4, 4, 4, 4))  # 24x24 in the midst of 32x32
    moved = [transforms.RandomTranslation((0, 0), (s / 32, s / 32))(images) for s in SHIFTS]

    maps = edges()
    kinds = {
        "edges": maps,
        "every 4th pixel": lambda x: maps(x)[:, :, ::4, ::4],
        "mean of 4x4": nn.Sequential(maps, nn.AvgPool2d(4)),
        "maximum of 4x4": nn.Sequential(maps, nn.MaxPool2d(4)),
    }
    changes = {name: [change(f, images, m) for m in moved] for name, f in kinds.items()}
    for name, values in changes.items():
        run.say(f"{name}: changed by {100 * values[0]:.0f} % when the digit moves by one pixel")

    f = figure(12, 6.5)
    pictures, charts = f.subfigures(1, 2, width_ratios=(1.15, 1))
    axes = pictures.subplots(3, 4)
    for row, name in zip(axes, ("edges", "every 4th pixel", "maximum of 4x4")):
        before, after = (kinds[name](x[:1])[0, 0].numpy() for x in (images, moved[0]))
        top = before.max()
        for ax, picture in zip(row[1:], (before, after, np.abs(after - before))):
            ax.imshow(picture, cmap="magma", vmin=0, vmax=top)
        row[1].set_ylabel(f"{name}\n{before.shape[0]}x{before.shape[1]}")
    for ax, x, name in zip(axes[:2, 0], (images, moved[0]), ("digit", "moved by 1")):
        ax.imshow(x[0, 0].numpy(), cmap="gray")
        ax.set_title(name)
    for ax, title in zip(axes[0, 1:], ("first map", "of the moved one", "difference")):
        ax.set_title(title)
    axes[2, 0].axis("off")
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])

    above, below = charts.subplots(2, 1)
    for name, values in changes.items():
        above.plot(SHIFTS, values, "o-", label=name)
    above.set(xlabel="shift in pixels", ylabel="relative change", ylim=(0, None), xticks=SHIFTS,
              title=f"what a shift changes, mean of {len(images)} digits")  # fmt: skip
    above.legend()
    settings = [(3, 0), (3, 1), (5, 0), (5, 2), (7, 3)]
    table = np.array([[size(28, k, s, p) for k, p in settings] for s in SHIFTS])
    below.imshow(table, cmap="Blues", vmin=0, vmax=40, aspect="auto")
    for (i, j), n in np.ndenumerate(table):
        below.text(j, i, f"{n}x{n}", ha="center", va="center")
    below.set_xticks(range(len(settings)), [f"kernel {k}\npadding {p}" for k, p in settings])
    below.set_yticks(range(len(SHIFTS)), SHIFTS)
    below.set(ylabel="stride", title="size of the map of a 28x28 image")
    run.finish(f, "change of the maxima by one pixel's shift", changes["maximum of 4x4"][0], "every 4th pixel",
               changes["every 4th pixel"][0], 0.32)  # fmt: skip


if __name__ == "__main__":
    main()
