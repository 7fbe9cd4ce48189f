"""One hidden layer can follow any continuous function, if it has units enough (Cybenko 1989), seen in one dimension.

First by hand, without training (Nielsen 2015, chapter 4): a steep sigmoid is a step, steps of the right heights are a
histogram of the function, and its largest error halves when the number of units doubles. Then trained: as the sigmoids
need not be steep, the same number of units comes much closer. The theorem promises only that good weights exist.
"""

import mielina as mi
import mielina.nn.functional as F
from _common import Run
from mielina import nn
from mielina.plot import figure

BY_HAND = (4, 8, 16, 32, 64, 128, 256)


def target(x):
    """Nielsen's function on [0, 1]."""
    return 0.2 + 0.4 * x**2 + 0.3 * x * mi.sin(15 * x) + 0.05 * mi.cos(50 * x)


def points(n):
    return mi.linspace(0, 1, n, dtype=mi.float64).unsqueeze(1)


def network(units):
    return nn.Sequential(nn.Linear(1, units), nn.Sigmoid(), nn.Linear(units, 1)).double()


@mi.no_grad()
def steps_at(net, edges, slope):
    """Sets each hidden unit to a step at its edge: sigmoid(slope (x - edge))."""
    net[0].weight.copy_(slope.unsqueeze(1))
    net[0].bias.copy_(-slope * edges)


@mi.no_grad()
def histogram(units):
    """units + 1 bins of one width, in each the target's value at its middle: a step's weight is the rise there."""
    net = network(units)
    edges = mi.linspace(0, 1, units + 2, dtype=mi.float64)
    heights = target((edges[1:] + edges[:-1]) / 2)
    steps_at(net, edges[1:-1], mi.full((units,), 20.0 * (units + 1), dtype=mi.float64))
    net[2].weight.copy_(heights.diff().unsqueeze(0))
    net[2].bias.fill_(heights[0].item())
    return net


def trained(units, steps, seed):
    """Steps at random places, up or down, as a start; then L-BFGS on the mean squared error of 401 points."""
    mi.manual_seed(seed)
    net, x = network(units), points(401)
    t = target(x)
    steps_at(net, mi.rand(units, dtype=mi.float64), 80.0 * mi.randn(units, dtype=mi.float64).sign())
    optimizer = mi.optim.LBFGS(net.parameters(), max_iter=steps, history_size=50, tolerance_grad=1e-9,
                               tolerance_change=1e-14, line_search_fn="strong_wolfe")  # fmt: skip

    def closure():
        optimizer.zero_grad()
        loss = F.mse_loss(net(x), t)
        loss.backward()
        return loss

    optimizer.step(closure)
    return net


def largest_error(net):
    """The largest |network - target| of [0, 1], also between the points of the training."""
    x = points(4001)
    return (mi.tensor(mi.predict(net, x)) - target(x)).abs().max().item()


def main():
    run = Run(__file__, __doc__, full="up to 256 trained units, 3000 steps of L-BFGS, 30 s")
    numbers = (1, 4, 16, 64, *run.pick((), (256,)))
    hand = {n: histogram(n) for n in BY_HAND}
    learnt = {n: trained(n, run.pick(800, 3000), run.seed) for n in numbers}
    hand_errors, errors = ([largest_error(net) for net in nets.values()] for nets in (hand, learnt))
    x = points(1001)
    t = target(x)
    mean = (t - t.mean()).abs().max().item()
    run.say("by hand: " + ", ".join(f"{n} units {e:.4f}" for n, e in zip(BY_HAND, hand_errors)))
    run.say("trained: " + ", ".join(f"{n} units {e:.4f}" for n, e in zip(numbers, errors)))

    f = figure(12, 9)
    (switch, by_hand), (by_training, falling) = f.subplots(2, 2)
    for slope in (10, 40, 200):
        bump = mi.sigmoid(slope * (x - 0.4)) - mi.sigmoid(slope * (x - 0.6))
        switch.plot(x.numpy(), bump.numpy(), label=f"slope {slope}")
    switch.set(title="two sigmoids, up at 0.4 and down at 0.6", xlabel="x", ylabel="difference of the two units")
    for ax, nets, title in ((by_hand, hand, "weights by hand: a histogram"), (by_training, learnt, "trained")):
        ax.plot(x.numpy(), t.numpy(), "k", linewidth=3, alpha=0.3, label="target")
        for n in (16, 64) if nets is hand else (4, 16):
            ax.plot(x.numpy(), mi.predict(nets[n], x), label=f"{n} units")
        ax.set(title=title, xlabel="x", ylabel="output")
    falling.loglog(BY_HAND, hand_errors, "o-", label="by hand")
    falling.loglog(numbers, errors, "s-", label="trained")
    falling.axhline(mean, color="grey", linestyle=":", label="the mean")
    falling.set(title="more units, less error", xlabel="hidden units", ylabel="largest error on [0, 1]")
    falling.set_xticks([1, 4, 16, 64, 256], ["1", "4", "16", "64", "256"])
    falling.grid(alpha=0.3)
    for ax in (switch, by_hand, by_training, falling):
        ax.legend()
    assert all(b < a for a, b in zip(hand_errors, hand_errors[1:])), "each doubling must help"
    assert errors[-1] == min(errors), "the most units must come closest"
    assert hand_errors[-1] < 0.01
    run.finish(f, f"largest error of {numbers[-1]} trained units", errors[-1], "the mean", mean, run.pick(0.03, 0.005))


if __name__ == "__main__":
    main()
