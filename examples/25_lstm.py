"""An LSTM forecasts a series whose cycles vary in length and height, as sunspots do.

The series is made here: a phase that advances unevenly, a slow change of height, and noise. The network reads 40 steps
and gives the next 8. The trivial forecasts repeat the last value, or, knowing the mean period, what was one cycle ago.
"""

import mielina as mi
import numpy as np
from _common import Run
from mielina import nn
from mielina.plot import figure

READ, AHEAD, PERIOD = 40, 8, 11.0


def series(n, seed=0):
    rng = np.random.default_rng(seed)
    speed = 2 * np.pi / PERIOD * (1 + 0.15 * np.sin(np.arange(n) / 37) + 0.05 * rng.standard_normal(n))
    height = 1 + 0.4 * np.sin(np.arange(n) / 61)
    return (height * np.sin(np.cumsum(speed)) + 0.05 * rng.standard_normal(n)).astype(np.float32)


def windows(x):
    """(samples, READ, 1) and (samples, AHEAD), every window of a series."""
    w = mi.tensor(x).unfold(0, READ + AHEAD, 1).contiguous()
    return w[:, :READ].unsqueeze(2).contiguous(), w[:, READ:].contiguous()


class Forecaster(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.lstm = nn.LSTM(1, hidden, batch_first=True)
        self.head = nn.Linear(hidden, AHEAD)

    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1])


def rmse(a, b):
    return float(np.sqrt(np.mean((a - b) ** 2)))


def main():
    run = Run(__file__, __doc__, full="ten times the series, 6 s")
    x = series(run.pick(2000, 20_000), run.seed)
    cut = len(x) * 3 // 4
    (xs, ys), (xt, yt) = windows(x[:cut]), windows(x[cut:])
    mi.manual_seed(run.seed)
    net = Forecaster()
    history = mi.fit(net, xs, ys, validation=(xt, yt), loss="mse", epochs=12, batch_size=32, verbose=False,
                     seed=run.seed, optimizer=mi.optim.Adam(net.parameters(), lr=5e-3))  # fmt: skip
    found, true = mi.predict(net, xt), yt.numpy()
    last = np.repeat(xt.numpy()[:, -1], AHEAD, 1)
    cycle = xt.numpy()[:, READ - round(PERIOD) : READ - round(PERIOD) + AHEAD, 0]
    error, trivial = rmse(found, true), min(rmse(last, true), rmse(cycle, true))

    f = figure(12, 4.2)
    left, right = f.subplots(1, 2, width_ratios=[2, 1])
    left.plot(np.arange(cut + 200, cut + 350), x[cut + 200 : cut + 350], color="grey", label="series")
    for i, start in enumerate(range(cut + 220, cut + 340, 24)):
        sample = start - cut - READ
        left.plot(
            np.arange(start, start + AHEAD), found[sample], "C1", linewidth=2.5, label="forecast" if i == 0 else None
        )
    left.set(xlabel="step", title=f"forecasts of {AHEAD} steps on the held-out end")
    left.set_ylim(-1.3, 1.7)
    left.legend(loc="upper right")
    steps = np.arange(1, AHEAD + 1)
    for name, forecast in (("last value", last), ("one cycle ago", cycle), ("LSTM", found)):
        right.plot(steps, np.sqrt(((forecast - true) ** 2).mean(0)), "o-", label=name)
    right.set(xlabel="steps ahead", ylabel="root mean square error", ylim=(0, None),
              title=f"after {len(history['loss'])} epochs")  # fmt: skip
    right.legend()
    run.finish(f, "error of the forecasts", error, "the better trivial one", trivial, run.pick(0.3, 0.15))


if __name__ == "__main__":
    main()
