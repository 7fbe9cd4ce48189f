"""The universality theorem for a map from the plane to three outputs: one hidden layer, 4, 16, 64 and 256 units.

The theorem (Cybenko 1989; Hornik 1991) holds for vectors as well: the outputs share the hidden units, each with its own
weights. Error here: the root mean square of an output, relative to its standard deviation, of the worst output, on
points that the training has not seen. A layer four times as wide makes it several times smaller.
"""

import math

import mielina as mi
import mielina.nn.functional as F
import numpy as np
from _common import Run
from mielina import nn
from mielina.plot import figure

UNITS = (4, 16, 64, 256)
NAMES = ("sin(pi x) cos(pi y)", "a hill", "x tanh(3 (x + y))")


def target(p):
    """Three functions of the points (n, 2) in [-1, 1]^2: waves, a hill, a fold."""
    x, y = p[:, 0], p[:, 1]
    hill = mi.exp(-4 * ((x - 0.3) ** 2 + (y + 0.2) ** 2))
    return mi.stack((mi.sin(math.pi * x) * mi.cos(math.pi * y), hill, x * mi.tanh(3 * (x + y))), 1)


def lattice(n):
    axis = mi.linspace(-1, 1, n, dtype=mi.float64)
    return mi.cartesian_prod(axis, axis)


def trained(units, x, t, steps, seed):
    """All weights by L-BFGS on the mean squared error; then the last layer alone, which is a linear regression on the
    hidden units' outputs, exactly by least squares.
    """
    mi.manual_seed(seed)
    net = nn.Sequential(nn.Linear(2, units), nn.Tanh(), nn.Linear(units, 3)).double()
    nn.init.normal_(net[0].weight, std=1.5)
    nn.init.uniform_(net[0].bias, -1.5, 1.5)
    optimizer = mi.optim.LBFGS(net.parameters(), max_iter=steps, history_size=50, tolerance_grad=1e-8,
                               tolerance_change=1e-12, line_search_fn="strong_wolfe")  # fmt: skip

    def closure():
        optimizer.zero_grad()
        loss = F.mse_loss(net(x), t)
        loss.backward()
        return loss

    optimizer.step(closure)
    with mi.no_grad():
        hidden = mi.cat((net[:2](x), mi.ones(len(x), 1, dtype=mi.float64)), 1)
        best = mi.tensor(np.linalg.lstsq(hidden.numpy(), t.numpy(), rcond=None)[0])
        net[2].weight.copy_(best[:-1].T)
        net[2].bias.copy_(best[-1])
    return net


def main():
    run = Run(__file__, __doc__, full="four times the points, 1600 steps of L-BFGS, 40 s")
    x = lattice(run.pick(41, 81))
    mean, std = target(x).mean(0), target(x).std(0)

    def scaled(points):
        return (target(points) - mean) / std

    held = mi.tensor(np.random.default_rng(run.seed).uniform(-1, 1, (4000, 2)))
    nets = {n: trained(n, x, scaled(x), run.pick(400, 1600), run.seed) for n in UNITS}
    errors = {n: mi.tensor(mi.predict(net, held)).sub(scaled(held)).square().mean(0).sqrt() for n, net in nets.items()}
    constant = (scaled(held) ** 2).mean(0).sqrt().max().item()
    worst = [errors[n].max().item() for n in UNITS]
    for n in UNITS:
        run.say(f"{n:4} units: error " + ", ".join(f"{e:.1e} {name}" for name, e in zip(NAMES, errors[n].tolist())))

    f = figure(15, 10.5)
    grid, shown = f.add_gridspec(3, 5, width_ratios=[1, 1, 1, 0.1, 1.3]), lattice(101)
    pictures = {"target": target(shown)}
    for n in (4, 256):
        pictures[f"{n} units"] = mi.tensor(mi.predict(nets[n], shown)) * std + mean
    for k, name in enumerate(NAMES):
        low, high = pictures["target"][:, k].min().item(), pictures["target"][:, k].max().item()
        for column, (what, values) in enumerate(pictures.items()):
            ax = f.add_subplot(grid[k, column])
            image = ax.imshow(values[:, k].reshape(101, 101).T.numpy(), origin="lower", extent=(-1, 1, -1, 1),
                              vmin=low, vmax=high)  # fmt: skip
            ax.set(title=f"{name}: {what}", xlabel="x", ylabel="y", xticks=[-1, 0, 1], yticks=[-1, 0, 1])
        f.colorbar(image, cax=f.add_subplot(grid[k, 3]))
    ax = f.add_subplot(grid[:, 4])
    for k, name in enumerate(NAMES):
        ax.loglog(UNITS, [errors[n][k].item() for n in UNITS], "o-", label=name)
    ax.axhline(constant, color="grey", linestyle=":", label="the mean")
    ax.set(xlabel="hidden units", ylabel="root mean square error / standard deviation", title="held-out points")
    ax.set_xticks(UNITS, [str(n) for n in UNITS])
    ax.grid(alpha=0.3)
    ax.legend()
    assert all(b < a / 2 for a, b in zip(worst, worst[1:])), "each fourfold layer must at least halve the error"
    run.finish(f, "error of 256 units", worst[-1], "the mean", constant, run.pick(0.01, 0.001))


if __name__ == "__main__":
    main()
