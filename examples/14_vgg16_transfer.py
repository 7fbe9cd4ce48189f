"""Transfer learning (Chollet, Deep Learning with Python, ch. 8): frozen features, a new head, then fine-tuning.

    python 14_vgg16_transfer.py --weights vgg16-397923af.pth

takes the convolutions of VGG16 (Simonyan & Zisserman 2015) that torchvision trained on ImageNet. No such file comes
with this package, so by default the same is done at a small scale: a network of VGG's form learns the printed letters
A to Z, in matplotlib's fonts, and is then to read handwritten digits. Of each class it gets a single labelled one.
"""

import copy
import pathlib

import matplotlib
import mielina as mi
import mielina.nn.functional as F
import numpy as np
from _common import Run
from mielina import nn
from mielina import transforms as T
from mielina.plot import figure, latent
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_digits

SHOTS, SIZE = 1, 32
FONTS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSansMono", "DejaVuSerif", "DejaVuSerif-Italic",
         "STIXGeneral", "STIXGeneralItalic", "cmr10", "cmss10", "cmtt10")  # fmt: skip
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
WARP = T.Compose([T.RandomRotation(20), T.RandomShear(20), T.RandomZoom(0.75, 1.2), T.RandomTranslation(0.1, 0.1)])


def printed(letter, font):
    """One letter, white on black, in the middle of (1, SIZE, SIZE)."""
    path = pathlib.Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{font}.ttf"
    image = Image.new("L", (SIZE, SIZE))
    middle = (SIZE / 2, SIZE / 2)
    ImageDraw.Draw(image).text(middle, letter, fill=255, font=ImageFont.truetype(str(path), 28), anchor="mm")
    return np.asarray(image, np.float32)[None] / 255


class Letters(mi.data.Dataset):
    """`repeats` of every letter in every font, each drawn a little differently whenever it is asked for."""

    def __init__(self, repeats):
        self.glyphs = mi.tensor(np.stack([printed(c, font) for c in LETTERS for font in FONTS]))
        self.repeats = repeats

    def __len__(self):
        return len(self.glyphs) * self.repeats

    def __getitem__(self, i):
        images, labels = self.batch(mi.tensor([i]))
        return images[0], labels[0]

    def batch(self, indices):
        which = indices % len(self.glyphs)
        return WARP(self.glyphs[which]), which // len(FONTS)


def small_vgg():
    """Three blocks of VGG's form, with batch normalisation, and where the last of them begins."""
    layers, before = [], 1
    for width in (16, 32, 64):
        last = len(layers)
        for c in (before, width):
            layers += [nn.Conv2d(c, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
        layers.append(nn.MaxPool2d(2))
        before = width
    return nn.Sequential(*layers), last


def handwritten(size, channels):
    """All digits as (N, channels, size, size), and their labels."""
    digits = load_digits()
    x = mi.tensor((digits.images[:, None] / 16).astype(np.float32))
    x = F.pad(F.interpolate(x, size=(size * 3 // 4, size * 3 // 4), mode="bicubic").clamp(0, 1), (size // 8,) * 4)
    return x.repeat(1, channels, 1, 1), mi.tensor(digits.target)


def fit(net, data, epochs, optimizer, seed, batch_size=10):
    return mi.fit(net, data, optimizer=optimizer, epochs=epochs, batch_size=batch_size, metrics="accuracy", seed=seed,
                  verbose=False)  # fmt: skip


def accuracy(net, x, y):
    return mi.evaluate(net, x, y, metrics="accuracy", batch_size=100)["accuracy"]


def head(features, classes, dropout=0.5):
    """A dense layer for the maps that were found."""
    return nn.Sequential(nn.Flatten(), nn.Dropout(dropout), nn.Linear(int(np.prod(features)), classes))


def pretrained(run):
    """Convolutions that have seen other images, where their last block begins, the same without training, and digits
    and labels as they take them."""
    if run.options.weights:
        x, y = handwritten(64, 3)
        x = T.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])(x)  # as in training
        return mi.models.vgg16(weights=run.options.weights).features, 24, mi.models.vgg16().features, x, y
    features, last = small_vgg()
    net = nn.Sequential(features, head((64, SIZE // 8, SIZE // 8), len(LETTERS), 0.0))
    history = fit(net, Letters(10), run.pick(4, 12), mi.optim.Adam(net.parameters(), lr=1e-3), run.seed, batch_size=64)
    run.say(f"letters: accuracy {history['accuracy'][-1]:.3f} in the last epoch")
    return features, last, small_vgg()[0], *handwritten(SIZE, 1)


def split(y, seed):
    """Places of SHOTS images of each class, and of 1,000 others."""
    order = mi.tensor(np.random.default_rng(seed).permutation(len(y)))
    few = mi.cat([order[y[order] == k][:SHOTS] for k in range(10)])
    return few, order[~mi.isin(order, few)][:1000]


def compare(features, maps, last, fresh, x, y, few, rest, rate, seed):
    """Accuracy on the images `rest` after training on `few`, in four ways. rate: of the fine-tuning."""
    mi.manual_seed(seed)
    result = {"majority": (y[rest] == y[rest].mode()[0]).float().mean().item()}
    scratch = nn.Sequential(copy.deepcopy(fresh), head(maps.shape[1:], 10))
    fit(scratch, (x[few], y[few]), 60, mi.optim.Adam(scratch.parameters(), lr=1e-3), seed)
    result["from scratch"] = accuracy(scratch, x[rest], y[rest])

    top = head(maps.shape[1:], 10)
    fit(top, (maps[few], y[few]), 60, mi.optim.Adam(top.parameters(), lr=1e-3), seed)
    result["new head on\nfrozen features"] = accuracy(top, maps[rest], y[rest])

    features = copy.deepcopy(features)
    block = features[last:].freeze(False)
    rates = [{"params": block.parameters(), "lr": rate}, {"params": top.parameters(), "lr": 10 * rate}]
    net = nn.Sequential(features, top)
    fit(net, (x[few], y[few]), 40, mi.optim.Adam(rates), seed)
    result["last block\nfine-tuned"] = accuracy(net, x[rest], y[rest])
    return result


def main():
    more = "20 draws (of your weights: 5), the letters in 12 epochs, 40 s"
    run = Run(__file__, __doc__, more, arguments=lambda p: p.add_argument("--weights", metavar="PATH", help="of VGG16"))
    mi.manual_seed(run.seed)
    features, last, fresh, x, y = pretrained(run)
    features.freeze().eval()
    maps = mi.tensor(mi.predict(features, x, batch_size=50))  # once: frozen features do not change
    n = run.pick(1, 5) if run.options.weights else run.pick(4, 20)
    draws = [split(y, run.seed * 100 + k) for k in range(n)]
    rate = 1e-5 if run.options.weights else 1e-4
    results = [compare(features, maps, last, fresh, x, y, few, rest, rate, run.seed) for few, rest in draws]
    result = {name: float(np.mean([r[name] for r in results])) for name in results[0]}
    few, rest = draws[0]

    f = figure(12, 4.4)
    left, middle, right = f.subplots(1, 3, width_ratios=(1, 1.2, 1.2))
    digits = [F.interpolate(x[few][k::2][:5, :1], size=(SIZE, SIZE))[:, 0] for k in (0, 1)]
    if run.options.weights:
        rows, title = digits, "digits to transfer to"
    else:
        rows = [Letters(1).batch(mi.arange(k, 5 * len(FONTS), len(FONTS)))[0][:, 0] for k in (0, 4, 7)] + digits
        title = "printed letters to learn from,\ndigits to transfer to"
        left.axhline(3 * SIZE - 0.5, color="C1", linewidth=3)
    left.imshow(mi.cat([mi.cat(row.unbind(0), 1) for row in rows]).numpy(), cmap="gray")
    left.set(xticks=[], yticks=[], title=title)
    latent(maps[rest].flatten(1), y[rest], ax=middle)
    middle.set_title("unseen digits, by the frozen features")
    bars = right.barh(list(result), list(result.values()), color=["0.8", "C0", "C1", "C1"])
    right.bar_label(bars, fmt="%.3f", padding=3)
    right.invert_yaxis()
    right.set(
        xlim=(0, 1.1), xlabel="accuracy on unseen digits", title=f"{SHOTS} labelled a class (draws: {len(draws)})"
    )
    for name, value in result.items():
        run.say(f"{' '.join(name.split())}: {value:.3f}")
    scratch, best = result["from scratch"], result["last block\nfine-tuned"]
    goal = scratch + 0.05 if run.options.weights else run.pick(0.69, 0.72)
    run.finish(f, f"accuracy with transferred features and {len(few)} digits", best, "from scratch", scratch, goal)


if __name__ == "__main__":
    main()
