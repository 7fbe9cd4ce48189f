"""A Bayesian network knows what it does not know: its doubt grows in the gap between the data.

Every weight has a mean and a deviation; each pass draws weights anew, and the loss is -log p(data) plus the distance
of the weights' distribution from its prior (Bayes by backprop, Blundell et al. 2015). Beside it one ordinary network,
dropout that stays on (Gal & Ghahramani 2016) and an ensemble (Lakshminarayanan et al. 2017). Beyond the outermost data
all of them are surer than they should be.
"""

import math

import mielina as mi
import mielina.nn.functional as F
import numpy as np
from _common import Run
from mielina import nn
from mielina.plot import figure

NOISE, WIDTH, DRAWS = 0.1, 32, 100


class BayesLinear(nn.Module):
    """A linear layer whose weights are drawn at each pass, w = mean + softplus(rho) * noise."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.mean = nn.Parameter(mi.randn(outputs, inputs + 1) / math.sqrt(inputs + 1))
        self.rho = nn.Parameter(mi.full((outputs, inputs + 1), -5.0))

    def forward(self, x):
        w = self.mean + F.softplus(self.rho) * mi.randn_like(self.mean)
        return F.linear(x, w[:, :-1], w[:, -1])

    def divergence(self):
        """KL(N(mean, deviation) || N(0, 1)), summed over the weights."""
        deviation = F.softplus(self.rho)
        return ((deviation**2 + self.mean**2 - 1) / 2 - deviation.log()).sum()


def ordinary(dropout=0.0):
    layers = [nn.Linear(1, WIDTH), nn.Tanh(), nn.Dropout(dropout), nn.Linear(WIDTH, WIDTH), nn.Tanh()]
    return nn.Sequential(*layers, nn.Dropout(dropout), nn.Linear(WIDTH, 1))


def bayesian(x, y, steps):
    net = nn.Sequential(BayesLinear(1, WIDTH), nn.Tanh(), BayesLinear(WIDTH, WIDTH), nn.Tanh(), BayesLinear(WIDTH, 1))
    optimizer = mi.optim.Adam(net.parameters(), lr=1e-2)
    rate = mi.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        fit = F.mse_loss(net(x), y, reduction="sum") / (2 * NOISE**2)
        loss = fit + sum(layer.divergence() for layer in net if isinstance(layer, BayesLinear))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rate.step()
    return net


@mi.no_grad()
def draws(net, x, n=DRAWS):
    return mi.stack([net(x) for _ in range(n)])[..., 0].numpy()


def surprise(samples, y):
    """-log of the mean over the draws of N(y; draw, NOISE), averaged over the points: less is better."""
    log_p = -((samples - y) ** 2) / (2 * NOISE**2) - math.log(NOISE * math.sqrt(2 * math.pi))
    return float(-mi.logsumexp(mi.tensor(log_p), 0).mean() + math.log(len(samples)))


def main():
    run = Run(__file__, __doc__, full="four times the steps, 15 s")
    rng = np.random.default_rng(run.seed)
    curve = lambda x: np.sin(1.5 * x) + 0.3 * x  # noqa: E731
    x = np.concatenate([rng.uniform(-3, -1, 50), rng.uniform(1, 3, 50)]).astype(np.float32)[:, None]
    y = (curve(x) + NOISE * rng.standard_normal(x.shape)).astype(np.float32)
    grid = np.linspace(-4, 4, 200, dtype=np.float32)[:, None]
    t, points = mi.tensor(grid), (mi.tensor(x), mi.tensor(y))
    mi.manual_seed(run.seed)
    how = {"loss": "mse", "epochs": run.pick(300, 1200), "verbose": False, "optimizer": "adam"}
    one, dropped = ordinary(), ordinary(0.1)
    for net in (one, dropped):
        mi.fit(net, *points, seed=run.seed, **how)
    dropped.train()
    several = mi.train.ensemble(ordinary, *points, members=8, average="outputs", seed=run.seed, **how)
    with mi.no_grad():
        together = mi.stack([net(t) for net in several.models])[..., 0].numpy()
    found = {
        "one network": draws(one.eval(), t, 1),
        "dropout that stays on": draws(dropped, t),
        "ensemble of 8": together,
        "Bayes by backprop": draws(bayesian(*points, run.pick(3000, 12_000)), t),
    }
    true = curve(grid[:, 0]) + NOISE * rng.standard_normal(len(grid))
    scores = {name: surprise(samples, true) for name, samples in found.items()}

    f = figure(13, 3.8)
    for ax, (name, samples) in zip(f.subplots(1, 4, sharey=True), found.items()):
        middle, spread = samples.mean(0), np.sqrt(samples.var(0) + NOISE**2)
        for k in (1, 2):
            ax.fill_between(grid[:, 0], middle - k * spread, middle + k * spread, color="C0", alpha=0.2, linewidth=0)
        ax.plot(grid[:, 0], curve(grid[:, 0]), "k--", linewidth=1)
        ax.plot(grid[:, 0], middle)
        ax.plot(x[:, 0], y[:, 0], ".", color="C1", markersize=4)
        ax.set(title=f"{name}: {scores[name]:.1f}", xlabel="x", ylim=(-2.5, 2.5))
    what = "-log likelihood a point, with and without data near"
    run.finish(f, what, scores["Bayes by backprop"], "one network", scores["one network"], run.pick(3.0, 3.0))


if __name__ == "__main__":
    main()
