"""A restricted Boltzmann machine learns what digits look like, and restores the half that was covered.

Energy E(v, h) = -a v - b h - v W h of visible and hidden bits; p(v) falls with the free energy F(v) = -a v -
sum softplus(b + v W) (Smolensky 1986; Hinton 2002). The likelihood's gradient is that of F over the data minus that
over the machine's own dreams, which come from Gibbs chains that never start anew (Tieleman 2008).
"""

import mielina as mi
import mielina.nn.functional as F
import numpy as np
from _common import Run
from mielina import nn
from mielina.plot import figure, filters
from sklearn.datasets import load_digits

HIDDEN, HALF = 128, 32  # of the 64 pixels the lower half is covered


class Boltzmann(nn.Module):
    def __init__(self, pixels, hidden):
        super().__init__()
        self.weight = nn.Parameter(mi.randn(pixels, hidden) * 0.05)
        self.visible, self.hidden = nn.Parameter(mi.zeros(pixels)), nn.Parameter(mi.zeros(hidden))

    def free_energy(self, v):
        return -v @ self.visible - F.softplus(v @ self.weight + self.hidden).sum(1)

    def step(self, v):
        """One step of a Gibbs chain: the next bits, and the probabilities that they were drawn from."""
        h = mi.bernoulli(mi.sigmoid(v @ self.weight + self.hidden))
        p = mi.sigmoid(h @ self.weight.T + self.visible)
        return mi.bernoulli(p), p


def train(machine, x, epochs):
    """Persistent contrastive divergence; gives the last dreams, 100 digits."""
    optimizer = mi.optim.SGD(machine.parameters(), lr=0.1)
    rate = mi.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, epochs)
    loader = mi.data.DataLoader(mi.data.TensorDataset(x), batch_size=50, shuffle=True)
    dreams = mi.bernoulli(mi.full((100, 64), 0.5))
    for _ in range(epochs):
        for (v,) in loader:
            with mi.no_grad():
                dreams, _ = machine.step(dreams)
            loss = machine.free_energy(mi.bernoulli(v)).mean() - machine.free_energy(dreams).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        rate.step()
    return dreams


@mi.no_grad()
def restore(machine, x, steps=300):
    """The lower half from the upper one: the mean of Gibbs chains whose upper half is held."""
    v, total = mi.bernoulli(mi.cat([x[:, :HALF], mi.full_like(x[:, HALF:], 0.5)], 1)), mi.zeros(len(x), 64 - HALF)
    for i in range(steps):
        v, p = machine.step(v)
        v[:, :HALF] = mi.bernoulli(x[:, :HALF])
        total += p[:, HALF:] if i >= steps // 3 else 0
    return mi.cat([x[:, :HALF], total / (steps - steps // 3)], 1)


def main():
    run = Run(__file__, __doc__, full="five times the epochs, 20 s")
    x = mi.tensor((load_digits().data / 16).astype(np.float32))
    order = mi.tensor(np.random.default_rng(run.seed).permutation(len(x)))
    data, test = x[order[:1300]], x[order[1300:]]
    mi.manual_seed(run.seed)
    machine = Boltzmann(64, HIDDEN)
    dreams = train(machine, data, run.pick(100, 500))
    restored = restore(machine, test)
    mean = data[:, HALF:].mean(0)
    error, trivial = (((a - test[:, HALF:]) ** 2).mean().item() for a in (restored[:, HALF:], mean))
    with mi.no_grad():
        for _ in range(500):
            dreams, p = machine.step(dreams)

    f = figure(13, 4.6)
    rows = mi.stack([test[:30], mi.cat([test[:30, :HALF], mi.full((30, HALF), 0.35)], 1), restored[:30]], 1)
    pictures = {
        "what 81 hidden units look for": machine.weight.detach().T[:81],
        "what the machine dreams": p[:81],
        "digit, its upper half, restored": rows.reshape(-1, 64)[:81],
    }
    for ax, (title, images) in zip(f.subplots(1, 3), pictures.items()):
        filters(images.reshape(-1, 1, 8, 8), ax, columns=9)
        ax.set_title(title)
    what = "mean square error of the covered half"
    run.finish(f, what, error, "the mean digit", trivial, run.pick(0.062, 0.06))


if __name__ == "__main__":
    main()
