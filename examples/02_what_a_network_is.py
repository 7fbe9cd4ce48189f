"""A network is a composition of affine maps and nonlinearities: the plane is bent until a line parts two spirals.

Three blocks plane -> 16 tanh -> plane, then one line. Each picture shows the points after one more block; the colours
behind them are the decision of the layers still to come, so the last border must be straight (after Olah 2014, "Neural
networks, manifolds, and topology").
"""

import mielina as mi
import numpy as np
from _common import Run
from mielina import nn
from mielina.plot import decision_boundary, figure
from mielina.train import LearningRateScheduler

BLOCKS, TURNS = 3, 1.25


def spirals(n, seed):
    """n points (n, 2) on two arms that wind around each other, with a little noise, and their arm (n)."""
    rng = np.random.default_rng(seed)
    arm = np.arange(n) % 2
    radius = 2 * np.sqrt(rng.uniform(0.03, 1, n))
    angle = np.pi * (TURNS * radius + arm)
    points = radius[:, None] * np.stack((np.cos(angle), np.sin(angle)), 1) + 0.04 * rng.standard_normal((n, 2))
    return mi.tensor(points.astype(np.float32)), mi.tensor(arm)


class Bend(nn.Module):
    """z + W2 tanh(W1 z + b1) + b2: affine, nonlinear, affine, added to what came in (He et al. 2016). It starts as the
    identity, W2 = b2 = 0, so that training bends the plane and does not crush it to a thread.
    """

    def __init__(self):
        super().__init__()
        self.move = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))
        nn.init.zeros_(self.move[2].weight)
        nn.init.zeros_(self.move[2].bias)

    def forward(self, z):
        return z + self.move(z)


def train(net, x, y, epochs, seed):
    optimizer = mi.optim.Adam(net.parameters(), lr=0.01)
    fall = LearningRateScheduler(lambda epoch, lr: 0.01 * (1 - epoch / epochs))  # the last steps are the smallest
    mi.fit(net, x, y, loss="binary_cross_entropy", epochs=epochs, batch_size=50, optimizer=optimizer, callbacks=fall,
           seed=seed, verbose=False)  # fmt: skip


def accuracy(net, x, y):
    return mi.evaluate(net, x, y, loss="binary_cross_entropy", metrics="accuracy")["accuracy"]


def draw_grid(ax, layers):
    """Where the layers take the lines of a square grid."""
    along, across = np.meshgrid(np.linspace(-2.1, 2.1, 120), np.linspace(-2.1, 2.1, 15))
    for a, b in ((along, across), (across, along)):
        lines = np.stack((a, b), -1).reshape(-1, 2).astype(np.float32)
        z = mi.predict(layers, lines).reshape(*a.shape, 2)
        ax.plot(z[..., 0].T, z[..., 1].T, color="0.35", linewidth=0.4)


def main():
    run = Run(__file__, __doc__, full="ten times the points and more epochs, 10 s")
    (x, y), (held_x, held_y) = (spirals(run.pick(n, 10 * n), run.seed + s) for n, s in ((600, 0), (400, 1000)))

    mi.manual_seed(run.seed)
    line = nn.Sequential(nn.Linear(2, 1))
    train(line, x, y, 40, run.seed)
    net = nn.Sequential(*(Bend() for _ in range(BLOCKS)), nn.Linear(2, 1))
    train(net, x, y, run.pick(100, 150), run.seed)
    simple, found = accuracy(line, held_x, held_y), accuracy(net, held_x, held_y)
    majority = max(held_y.float().mean().item(), 1 - held_y.float().mean().item())
    run.say(f"majority {majority:.3f}, one line {simple:.3f}, network {found:.3f}")

    f = figure(11, 10)
    for k, ax in enumerate(f.subplots(2, 2).flat):
        points = mi.predict(net[:k], held_x) if k else held_x
        decision_boundary(net[k:], points[:400], held_y[:400], ax=ax)
        low, high = ax.get_xlim(), ax.get_ylim()
        ax.collections[-1].set_zorder(3)  # the points, above the grid
        draw_grid(ax, net[:k] if k else nn.Identity())
        ax.set(xlim=low, ylim=high, xlabel="first coordinate", ylabel="second coordinate")
        left = f"{BLOCKS - k} more and a line decide" if k < BLOCKS else "one line decides"
        ax.set_title(f"after block {k}: {left}" if k else "the plane, and what the whole network decides")
    run.finish(f, f"accuracy on {len(held_y)} held-out points", found, "better of one line and majority",
               max(simple, majority), run.pick(0.97, 0.99))  # fmt: skip


if __name__ == "__main__":
    main()
