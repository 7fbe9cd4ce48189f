"""Hyper-parameters: a search beats a guess, and the learning rate matters most.

Networks learn to tell digits from 500 of them. The first half has rate, width, depth, dropout and optimiser drawn
at random, the other what Optuna proposes from what did well so far (TPE, Bergstra et al. 2011). How much each
of them matters is the share of the log losses' variance that a parabola in it alone explains, among the random ones.
"""

import mielina as mi
import numpy as np
from _common import Run
from mielina import nn, tune
from mielina.plot import figure
from sklearn.datasets import load_digits

try:
    import optuna
except ImportError as e:
    raise SystemExit('this example needs Optuna: pip install "mielina[tune]"') from e


def build(hp):
    """A network and what fit needs, from the numbers that hp gives."""
    width, dropout = hp.Int("width", 16, 256, sampling="log"), hp.Float("dropout", 0.0, 0.6)
    layers, before = [], 64
    for _ in range(hp.Int("depth", 1, 3)):
        layers += [nn.Linear(before, width), nn.ReLU(), nn.Dropout(dropout)]
        before = width
    net = nn.Sequential(*layers, nn.Linear(before, 10))
    rate = hp.Float("rate", 1e-5, 1e-1, sampling="log")
    kind = {"adam": mi.optim.Adam, "rmsprop": mi.optim.RMSprop}[hp.Choice("optimizer", ["adam", "rmsprop"])]
    return net, {"optimizer": kind(net.parameters(), lr=rate)}


def explained(trials):
    """R^2 of a parabola in each hyper-parameter, those that were drawn on a log scale by their logarithm."""
    loss, shares = np.log([t["value"] for t in trials]), {}
    for name in ("rate", "width", "depth", "dropout", "optimizer"):
        values = np.array([t["params"][name] for t in trials])
        x = values == "adam" if name == "optimizer" else np.log(values) if name in ("rate", "width") else values
        design = np.stack((np.ones(len(x)), x, np.square(x)), 1)
        fitted = design @ np.linalg.lstsq(design, loss, rcond=None)[0]
        shares[name] = 1 - np.var(loss - fitted) / np.var(loss)
    return shares


def main():
    run = Run(__file__, __doc__, full="200 trials of 30 epochs, 50 s")
    digits = load_digits()
    order = np.random.default_rng(run.seed).permutation(len(digits.target))
    x, y = (digits.data[order] / 16).astype(np.float32), digits.target[order]
    data, held, test = (x[:500], y[:500]), (x[500:900], y[500:900]), (x[900:], y[900:])
    number, epochs = run.pick((50, 12), (200, 30))
    drawn = number // 2
    options = {"epochs": epochs, "metrics": "accuracy", "verbose": False}
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(n_startup_trials=drawn, seed=run.seed)
    study = optuna.create_study(sampler=sampler, pruner=optuna.pruners.NopPruner())
    found = tune.search(build, data, validation=held, max_trials=number, study=study, seed=run.seed, **options)
    losses = np.array([t["value"] for t in found.trials])
    guess = float(np.median(losses[:drawn]))
    for name, value in found.best.items():
        run.say(f"best {name}: {value if isinstance(value, str) else format(value, '.3g')}")
    importance = explained(found.trials[:drawn])

    mi.manual_seed(run.seed)
    net, more = build(tune.HyperParameters(optuna.trial.FixedTrial(found.best)))
    keep = mi.EarlyStopping(patience=epochs, restore_best_weights=True)
    mi.fit(net, *data, validation=held, seed=run.seed, callbacks=keep, **options, **more)
    run.say(f"the best, trained once more: accuracy {mi.evaluate(net, *test, metrics='accuracy')['accuracy']:.3f} on "
            f"{len(test[1])} digits that the search did not see")  # fmt: skip

    f = figure(12, 4.4)
    left, middle, right = f.subplots(1, 3)
    trial = np.arange(1, number + 1)
    left.semilogy(trial[:drawn], losses[:drawn], "o", color="0.6", label="drawn at random")
    left.semilogy(trial[drawn:], losses[drawn:], "o", color="C0", label="proposed")
    left.step(trial, np.minimum.accumulate(losses), where="post", color="C1", label="best so far")
    left.set(xlabel="trial", ylabel="validation loss", ylim=(None, 9), title=f"{number} trials")
    left.legend(loc="upper right")
    rates, dropouts = ([t["params"][name] for t in found.trials] for name in ("rate", "dropout"))
    spots = middle.scatter(rates, losses, c=dropouts, s=40, cmap="viridis", edgecolors="k", linewidths=0.4)
    f.colorbar(spots, ax=middle, label="dropout")
    middle.set(xscale="log", yscale="log", xlabel="learning rate", ylabel="validation loss", title="what the rate does")
    bars = right.barh(list(importance), list(importance.values()))
    right.bar_label(bars, fmt="%.2f", padding=3)
    right.invert_yaxis()
    right.set(xlabel="share of the variance explained", xlim=(0, 1.1), title=f"importance in {drawn} random trials")
    assert max(importance, key=importance.get) == "rate", importance
    run.finish(
        f, f"validation loss, best of {number} trials", found.value, "the median random one", guess, run.pick(0.2, 0.15)
    )


if __name__ == "__main__":
    main()
