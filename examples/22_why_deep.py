"""Why deep: networks of one to six hidden layers with the same number of parameters learn a folded line.

The tent map folds [0, 1] once; four of them in a row make 16 straight pieces. A layer can fold what the layer before it
has folded, so depth k with two units each is exact, where a single layer needs a unit for each of the 2^k pieces
(Telgarsky 2016). Gradients feel it, too: the wide, shallow network has units enough, and blurs the folds.
"""

import mielina as mi
import numpy as np
from _common import Run
from mielina import nn
from mielina.plot import figure

FOLDS, BUDGET, DEPTHS = 4, 1500, range(1, 7)


def target(x):
    for _ in range(FOLDS):
        x = 1 - (2 * x - 1).abs()
    return x


def by_hand():
    """The target exactly: tent(x) = 2 relu(x) - 4 relu(x - 1/2), a layer of two units for each fold."""
    layers = [nn.Linear(1, 2), nn.ReLU()]
    for _ in range(FOLDS - 1):
        layers += [nn.Linear(2, 2), nn.ReLU()]
    net = nn.Sequential(*layers, nn.Linear(2, 1))
    with mi.no_grad():
        for i, layer in enumerate(m for m in net if isinstance(m, nn.Linear)):
            layer.weight.copy_(mi.tensor([[2.0, -4.0]] if i else [[1.0]]).expand_as(layer.weight))
            layer.bias.copy_(mi.tensor([0.0, -0.5])[: len(layer.bias)])
    return net


def dense(depth):
    """The widest network of that depth within the budget; weights of He et al. (2015), made for ReLU."""
    width = max(w for w in range(1, BUDGET) if 3 * w + 1 + (depth - 1) * (w * w + w) <= BUDGET)
    sizes = [1] + [width] * depth
    layers = [m for n, k in zip(sizes, sizes[1:]) for m in (nn.Linear(n, k), nn.ReLU())]
    net = nn.Sequential(*layers, nn.Linear(width, 1))
    for layer in net[::2]:
        nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
    return net


def train(net, x, y, epochs, seed):
    optimizer = mi.optim.Adam(net.parameters())
    schedule = mi.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, total_steps=epochs)
    mi.fit(net, x, y, loss="mse", epochs=epochs, batch_size=128, optimizer=optimizer, seed=seed, verbose=False,
           callbacks=mi.train.LearningRateScheduler(schedule))  # fmt: skip
    return mi.predict(net, x)[:, 0]


def main():
    run = Run(__file__, __doc__, full="nine draws of 1500 epochs, 90 s")
    x = mi.arange(1024.0)[:, None] / 1024
    y, inputs = target(x), 2 * x - 1  # inputs about 0, as networks like them
    exact = mi.evaluate(by_hand(), x, y, loss="mse")["loss"]
    assert exact == 0, "built by hand, the deep network has no error at all"

    nets, found, draws = {}, {}, run.pick(3, 9)
    for depth in DEPTHS:
        for draw in range(draws):
            mi.manual_seed(draws * run.seed + draw)
            nets[depth] = dense(depth)
            found[depth, draw] = train(nets[depth], inputs, y, run.pick(600, 1500), draws * run.seed + draw)
    errors = np.array([[np.sqrt(np.mean((found[d, i] - y.numpy()[:, 0]) ** 2)) for i in range(draws)] for d in DEPTHS])
    middle = np.median(errors, 1)
    sizes = [(net[0].out_features, sum(p.numel() for p in net.parameters())) for net in nets.values()]
    for depth, (width, count), error in zip(DEPTHS, sizes, middle):
        run.say(f"{depth} x {width} units, {count} parameters: error {error:.4f}")

    f = figure(12, 4.6)
    left, right = f.subplots(1, 2, width_ratios=[3, 2])
    left.plot(x, y, color="0.7", linewidth=6, label=f"{FOLDS} tents in a row")
    for depth, style in ((DEPTHS[0], "C3"), (DEPTHS[-1], "C0")):
        best = found[depth, errors[depth - 1].argmin()]
        left.plot(x, best, style, label=f"{depth} x {sizes[depth - 1][0]} units (the best of {draws})")
    left.set(xlabel="x", ylabel="y", ylim=(-0.1, 1.1))
    left.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, frameon=False)
    right.semilogy(DEPTHS, errors, "k.", alpha=0.4)
    right.semilogy(DEPTHS, middle, "o-", label=f"median of {draws} (dots: each)")
    names = [f"{depth}\n{width} wide" for depth, (width, _) in zip(DEPTHS, sizes)]
    right.set_xticks(DEPTHS, names)
    right.set(xlabel="hidden layers", ylabel="root mean square error", xlim=(0.5, 6.5))
    right.legend(title=f"at most {BUDGET} parameters", loc="upper right")
    right.grid(alpha=0.3, axis="y")
    run.finish(f, "error with 6 hidden layers", middle[-1], "with 1", middle[0], run.pick(0.03, 0.004))


if __name__ == "__main__":
    main()
