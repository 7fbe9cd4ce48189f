"""A diffusion model draws digits: from pure noise, a little less noise at each of 100 steps.

Going forward, x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) noise; the network learns which digit x_0 lies under the noise, and
going backward x_(t-1) is drawn given that guess and x_t (Ho et al. 2020, eq. 6 and 7). Digits that a classifier of real
ones recognises with 95 % and more are counted. The bar: a normal distribution with the digits' mean and covariance.
"""

import math

import mielina as mi
import mielina.nn.functional as F
import numpy as np
from _common import Run
from mielina import nn
from mielina.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from mielina.plot import figure, filters
from sklearn.datasets import load_digits

STEPS = 100
BETA = mi.linspace(1e-3, 0.08, STEPS)  # the share of noise that each step adds
KEPT = mi.cumprod(1 - BETA, 0)  # what is left of the digit after t steps


class Denoiser(nn.Module):
    def __init__(self, width=256, places=32):
        super().__init__()
        self.rates = nn.Buffer(mi.exp(mi.arange(places // 2) * (-math.log(1000) / (places // 2))))
        self.layers = nn.ModuleList([nn.Linear(64 + places, width), *(nn.Linear(width, width) for _ in range(2))])
        self.last = nn.Linear(width, 64)

    def forward(self, x, t):
        angles = t[:, None] * self.rates
        h = F.silu(self.layers[0](mi.cat([x, angles.sin(), angles.cos()], 1)))
        for layer in self.layers[1:]:
            h = h + F.silu(layer(h))
        return self.last(h)


def train(x, epochs):
    net = Denoiser()
    mean = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(0.99))
    optimizer = mi.optim.AdamW(net.parameters(), lr=2e-3)
    rate = mi.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    loader = mi.data.DataLoader(mi.data.TensorDataset(x), batch_size=100, shuffle=True)
    for _ in range(epochs):
        for (digits,) in loader:
            t, noise = mi.randint(0, STEPS, (len(digits),)), mi.randn_like(digits)
            kept = KEPT[t][:, None]
            loss = F.mse_loss(net(kept.sqrt() * digits + (1 - kept).sqrt() * noise, t), digits)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            mean.update_parameters(net)
        rate.step()
    return mean


@mi.no_grad()
def sample(net, n, shown=()):
    """n digits, and the first of them at the steps `shown`."""
    x, way = mi.randn(n, 64), []
    for t in reversed(range(STEPS)):
        if t in shown:
            way.append(x[:9])
        kept, before, beta = KEPT[t], KEPT[t - 1] if t else mi.tensor(1.0), BETA[t]
        digit = net(x, mi.full((n,), t)).clamp(-1, 1)
        x = (before.sqrt() * beta * digit + (1 - beta).sqrt() * (1 - before) * x) / (1 - kept)  # eq. 7
        x = x + ((1 - before) / (1 - kept) * beta).sqrt() * mi.randn_like(x)
    return x, [*way, x[:9]]


def classifier(x, labels, seed):
    """Returns the share of digits that it is sure of."""
    net = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    mi.fit(net, x, labels, epochs=30, verbose=False, seed=seed)
    return lambda digits: (F.softmax(net(digits), 1).amax(1) >= 0.95).float().mean().item()


def main():
    run = Run(__file__, __doc__, full="four times the epochs, 40 s")
    rng = np.random.default_rng(run.seed)
    digits = load_digits()
    x, labels = mi.tensor((digits.data / 8 - 1).astype(np.float32)), mi.tensor(digits.target)
    order = mi.tensor(rng.permutation(len(x)))
    data, test = x[order[:1300]], x[order[1300:]]
    mi.manual_seed(run.seed)
    net = train(data, run.pick(250, 1000))
    drawn, way = sample(net, len(test), shown=(99, 60, 40, 25, 15, 8, 4, 2))
    normal = rng.multivariate_normal(data.numpy().mean(0), np.cov(data.numpy().T), len(test)).astype(np.float32)
    normal = mi.tensor(normal).clamp(-1, 1)
    sure = classifier(data, labels[order[:1300]], run.seed)
    found, bar, real = (sure(part) for part in (drawn, normal, test))

    f = figure(13, 4.6)
    pictures = {
        "nine digits on their way out of the noise": mi.stack(way).reshape(-1, 64),
        f"drawn: {100 * found:.0f} % recognised": drawn[:81],
        f"of the normal distribution: {100 * bar:.0f} %": normal[:81],
    }
    for ax, (title, images) in zip(f.subplots(1, 3), pictures.items()):
        filters(images.reshape(-1, 1, 8, 8), ax, columns=9)
        ax.set_title(title)
    run.say(f"of unseen real digits {real:.2f} are recognised")
    run.finish(f, "share of drawn digits that is recognised", found, "normal distribution", bar, run.pick(0.5, 0.65))


if __name__ == "__main__":
    main()
