"""Convolution with filters made by hand, which smooth and find edges, and a filter that is learnt from examples.

Gauss smooths, Sobel (1968) gives the slope of the brightness, Laplace its curvature. Shown only pictures before and
after Sobel's two filters, a convolution without any prior knowledge ends as those filters: what LeCun et al. (1989)
trusted gradient descent to do, layer after layer. It is then tried on a photograph that it has not seen.
"""

import math

import mielina as mi
import mielina.nn.functional as F
import numpy as np
from _common import Run
from mielina import nn
from mielina.plot import figure
from mielina.train import LambdaCallback, LearningRateScheduler
from sklearn.datasets import load_sample_image

SOBEL_X = mi.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
SOBEL = mi.stack((SOBEL_X, SOBEL_X.T)).unsqueeze(1)  # (2, 1, 3, 3): along x, along y
LAPLACE = mi.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]]).reshape(1, 1, 3, 3)
TILE = 32


def gauss(sigma, radius):
    """A normalised bell, (1, 1, 2 radius + 1, 2 radius + 1)."""
    line = mi.exp(-0.5 * (mi.arange(-radius, radius + 1).float() / sigma) ** 2)
    bell = line.unsqueeze(1) * line
    return (bell / bell.sum()).reshape(1, 1, 2 * radius + 1, 2 * radius + 1)


def grey(name):
    """One of scikit-learn's two photographs as brightness (1, H, W) in [0, 1]."""
    return mi.tensor(load_sample_image(name).astype(np.float32)).mean(2).unsqueeze(0) / 255


def tiles(image):
    """The image cut into (N, 1, TILE, TILE), what is left over at the borders dropped."""
    return image[0].unfold(0, TILE, TILE).unfold(1, TILE, TILE).reshape(-1, 1, TILE, TILE)


def learn(image, epochs, seed):
    """A 3 x 3 convolution fitted to pairs of tile and tile after Sobel, and its weights after each epoch."""
    mi.manual_seed(seed)
    net, x = nn.Conv2d(1, 2, 3, bias=False), tiles(image)
    weights = [net.weight.detach().clone()]
    keep = LambdaCallback(on_epoch_end=lambda epoch, logs: weights.append(net.weight.detach().clone()))
    fall = LearningRateScheduler(lambda epoch, lr: 0.05 * (1 - epoch / epochs))
    mi.fit(net, x, F.conv2d(x, SOBEL), loss="mse", optimizer=mi.optim.Adam(net.parameters(), lr=0.05), epochs=epochs,
           batch_size=16, callbacks=[keep, fall], seed=seed, verbose=False)  # fmt: skip
    return net, weights


def distance(weight):
    """From Sobel's filters, relative to their norm: the filter of zeros is at 1."""
    return ((weight - SOBEL).norm() / SOBEL.norm()).item()


def main():
    run = Run(__file__, __doc__, full="ten times the epochs, 15 s")
    china, flower = grey("china.jpg"), grey("flower.jpg")
    net, weights = learn(china, run.pick(150, 1500), run.seed)
    run.say("learnt along x: " + str([[round(w, 3) + 0 for w in row] for row in net.weight[0, 0].tolist()]))
    found = mi.tensor(mi.predict(net, flower.unsqueeze(0)))
    unseen = ((found - F.conv2d(flower, SOBEL)).norm() / F.conv2d(flower, SOBEL).norm()).item()
    run.say(f"on the other photograph: {unseen:.1e} of the edges' norm differs")

    f = figure(17, 6.5)
    axes = f.subplots(2, 4)
    pictures = {
        "photograph": china,
        "Gauss, sigma 3": F.conv2d(china, gauss(3, 9)),
        "Laplace": F.conv2d(china, LAPLACE),
        "Sobel along x": F.conv2d(china, SOBEL)[:1],
        "Sobel, length of the slope": F.conv2d(china, SOBEL).norm(dim=0, keepdim=True),
        "unseen photograph, learnt filters": found[0].norm(dim=0, keepdim=True),
    }
    for ax, (name, image) in zip(axes.flat, pictures.items()):
        signed = name in ("Laplace", "Sobel along x")
        top = np.quantile(image.abs().numpy(), 0.98 if signed else 0.995)  # few edges are the sharpest by far
        ax.imshow(image[0].numpy(), cmap="gray", vmin=-top if signed else 0, vmax=top)
        ax.set(title=name, xticks=[], yticks=[])
    course, learnt = axes[1, 2:]
    course.semilogy([distance(w) for w in weights])
    course.axhline(1, color="grey", linestyle=":", label="filter of zeros")
    course.set(xlabel="epoch", ylabel="distance from Sobel", title="learning")
    course.legend()
    both = mi.cat((weights[0][0, 0], mi.full((3, 1), math.nan), weights[-1][0, 0]), 1)
    learnt.imshow(both.numpy(), cmap="RdBu", vmin=-2, vmax=2)
    for (row, column), w in np.ndenumerate(both.numpy()):
        if column != 3:
            colour = "white" if abs(w) > 1.5 else "black"
            learnt.text(column, row, f"{round(w, 2) + 0:.2f}", ha="center", va="center", color=colour)
    learnt.set(title="filter along x: first weights, and learnt", xticks=[], yticks=[])
    run.finish(
        f,
        "distance of the learnt filters from Sobel's",
        distance(weights[-1]),
        "filter of zeros",
        1.0,
        run.pick(1e-3, 1e-7),
    )


if __name__ == "__main__":
    main()
