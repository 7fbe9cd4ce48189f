"""What a trained network keeps when its weights are cut: at random, or the smallest first.

A network that knows handwritten digits loses some of its 26,000 weights, without any training afterwards. Random cuts
are damage, as in a brain or a broken chip: accuracy falls slowly, and nothing fails all at once. Cutting the smallest
weights first is pruning (Han et al. 2015): most of them turn out not to be needed.
"""

import mielina as mi
import numpy as np
from _common import Run
from mielina import nn
from mielina.nn.utils import parameters_to_vector, vector_to_parameters
from mielina.plot import figure
from sklearn.datasets import load_digits

SHARES = np.arange(0, 100, 10)  # per cent


def cut(weights, priority, share):
    """The weights without that share of them which has the lowest priority."""
    gone = priority.argsort()[: round(share / 100 * len(priority))]
    return weights.index_fill(0, gone, 0.0)


def main():
    run = Run(__file__, __doc__, full="three times the epochs, 200 draws, 10 s")
    digits = load_digits()
    x, y = mi.tensor((digits.data / 16).astype(np.float32)), mi.tensor(digits.target)
    order = mi.tensor(np.random.default_rng(run.seed).permutation(len(y)))
    train, test = order[:1297], order[1297:]
    draws = run.pick(20, 200)
    most = np.bincount(y[test].numpy()).max() / len(test)

    mi.manual_seed(run.seed)
    net = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10))
    mi.fit(net, x[train], y[train], loss="cross_entropy", epochs=run.pick(30, 90), batch_size=64, seed=run.seed,
           optimizer=mi.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=0.1), verbose=False)  # fmt: skip

    layers = [p for p in net.parameters() if p.ndim == 2]  # biases stay
    whole = parameters_to_vector(layers).detach()

    def accuracy(weights):
        vector_to_parameters(weights, layers)
        return mi.evaluate(net, x[test], y[test], metrics="accuracy")["accuracy"]

    smallest, largest = ([accuracy(cut(whole, sign * whole.abs(), s)) for s in SHARES] for sign in (1, -1))
    damaged = np.array([[accuracy(cut(whole, mi.rand(len(whole)), s)) for s in SHARES] for _ in range(draws)])
    half = list(SHARES).index(50)
    run.say(f"of {len(whole)} weights, half cut: smallest {smallest[half]:.3f}, largest {largest[half]:.3f}, "
            f"at random {damaged[:, half].mean():.3f} +- {damaged[:, half].std():.3f}")  # fmt: skip

    f = figure(11, 4.5)
    left, right = f.subplots(1, 2, width_ratios=[3, 2])
    left.plot(SHARES, smallest, "o-", label="smallest first")
    left.plot(SHARES, damaged.mean(0), "o-", label=f"at random, {draws} draws")
    left.fill_between(SHARES, damaged.min(0), damaged.max(0), color="C1", alpha=0.2, label="their best and worst")
    left.plot(SHARES, largest, "o-", color="C3", label="largest first")
    left.axhline(most, color="grey", linestyle=":", label="the commonest digit")
    left.set(xlabel="weights cut (%)", ylabel="accuracy on 500 held-out digits", ylim=(0, 1.02), xticks=SHARES)
    left.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, frameon=False)
    left.grid(alpha=0.3)
    sizes = whole.numpy()
    edge = np.quantile(np.abs(sizes), 0.5)
    bins = np.linspace(-0.5, 0.5, 101)
    right.hist(sizes, bins, color="C0", label="kept")
    right.hist(sizes[np.abs(sizes) < edge], bins, color="0.75", label=f"the smaller half, below {edge:.2f}")
    right.set(xlabel="weight", ylabel="how many", xlim=(-0.5, 0.5))
    right.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, frameon=False)
    run.finish(f, "accuracy without the smallest 50 %", smallest[half], "50 % at random", damaged[:, half].mean(),
               run.pick(0.93, 0.95))  # fmt: skip


if __name__ == "__main__":
    main()
