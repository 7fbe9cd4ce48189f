"""An autoencoder squeezes digits through two numbers, and a map of their handwriting comes out.

Trained to give back what it was given through a layer of two, a network finds its own coordinates (Hinton &
Salakhutdinov 2006). Without its bends it would find principal components, the best straight plane: that is the bar.
A little noise on the input (Vincent et al. 2008) keeps neighbours on the map alike.
"""

import mielina as mi
import numpy as np
from _common import Run
from mielina import nn
from mielina.plot import figure, filters, latent
from sklearn.datasets import load_digits


class Autoencoder(nn.Module):
    def __init__(self, width=128):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(64, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 2)
        )
        self.decoder = nn.Sequential(
            nn.Linear(2, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 64)
        )

    def forward(self, x):
        return self.decoder(self.encoder(x + 0.1 * mi.randn_like(x) if self.training else x))


def principal(train, test):
    """The test digits on the plane of the training digits' two principal axes, as pixels again."""
    mean = train.mean(0)
    axes = np.linalg.svd(train - mean, full_matrices=False)[2][:2]
    return (test - mean) @ axes.T @ axes + mean


def main():
    run = Run(__file__, __doc__, full="five times the epochs, 25 s")
    digits = load_digits()
    x, order = (digits.data / 16).astype(np.float32), np.random.default_rng(run.seed).permutation(len(digits.data))
    train, test, labels = x[order[:1300]], x[order[1300:]], digits.target[order[1300:]]
    mi.manual_seed(run.seed)
    net = Autoencoder()
    mi.fit(net, train, loss="mse", epochs=run.pick(80, 400), verbose=False, seed=run.seed,
           optimizer=mi.optim.Adam(net.parameters(), lr=2e-3))  # fmt: skip
    found, plane = mi.predict(net, test), principal(train, test)
    errors = [float(((a - test) ** 2).mean()) for a in (found, plane)]
    codes = mi.predict(net.encoder, test)

    f = figure(13, 4.4)
    left, middle, right = f.subplots(1, 3, width_ratios=[1.25, 1, 1])
    latent(codes, labels, left)
    left.set_title("unseen digits on the map of two numbers")
    low, high = np.quantile(codes, 0.03, axis=0), np.quantile(codes, 0.97, axis=0)
    a, b = np.meshgrid(np.linspace(low[0], high[0], 9), np.linspace(high[1], low[1], 9))
    drawn = mi.predict(net.decoder, np.stack([a, b], -1).reshape(-1, 2).astype(np.float32))
    filters(drawn.reshape(-1, 1, 8, 8), middle, columns=9)
    middle.set_title("what the map holds")
    rows = np.stack([test[:27], found[:27], plane[:27]], 1)
    filters(rows.reshape(-1, 1, 8, 8), right, columns=9)
    right.set_title("digit, autoencoder, two components")
    what = "mean square error of unseen digits"
    run.finish(f, what, errors[0], "two principal components", errors[1], run.pick(0.036, 0.034))


if __name__ == "__main__":
    main()
