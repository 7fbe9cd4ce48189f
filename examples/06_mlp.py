"""A multilayer perceptron for regression and for classification, on z-scores of the training part only.

Friedman's function 10 sin(pi a b) + 20 (c - 1/2)^2 + 10 d + 5 e with noise of 1 and five inputs that mean nothing
(Friedman 1991): a line misses the product and the square, a network finds them. Then 178 wines of three growers by 13
chemical numbers, whose scales differ by a factor of a thousand: with and without z-scores.
"""

import warnings

import mielina as mi
import numpy as np
from _common import Run
from mielina import nn
from mielina.plot import confusion, figure
from mielina.train import ConfusionMatrix
from sklearn.datasets import load_wine, make_friedman1


def parts(x, y, held, seed):
    """(training, test): float32 inputs, in an order of the seed."""
    order = mi.tensor(np.random.default_rng(seed).permutation(len(x)))
    x, y = mi.tensor(x.astype(np.float32))[order], mi.tensor(y)[order]
    return (x[:-held], y[:-held]), (x[-held:], y[-held:])


def z_scores(train, *others):
    """All by the mean and deviation of the training part: the test part must not tell the network anything."""
    mean, std = train.mean(0), train.std(0)
    return [(x - mean) / std for x in (train, *others)]


def mlp(inputs, hidden, outputs):
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(),
                         nn.Linear(hidden, outputs))  # fmt: skip


def regression(run):
    """Predictions and targets of the test part, root mean square errors of network, line and mean, in y's unit."""
    x, y = make_friedman1(run.pick(1500, 15_000), noise=1.0, random_state=run.seed)
    (x, y), (test_x, test_y) = parts(x, y.astype(np.float32), len(x) // 3, run.seed)
    x, test_x = z_scores(x, test_x)
    scaled, mean, std = (y - y.mean()) / y.std(), y.mean().item(), y.std().item()
    errors, found = {}, {}
    mi.manual_seed(run.seed)
    for name, net in (("line", nn.Linear(10, 1)), ("network", mlp(10, 64, 1))):
        optimizer = mi.optim.AdamW(net.parameters(), lr=run.pick(0.005, 0.001), weight_decay=0.1)
        mi.fit(net, x, scaled, loss="mse", optimizer=optimizer, epochs=60, batch_size=50, seed=run.seed,
               verbose=False)  # fmt: skip
        found[name] = mi.predict(net, test_x)[:, 0] * std + mean
        errors[name] = np.sqrt(np.mean((found[name] - test_y.numpy()) ** 2))
    errors["mean"] = np.sqrt(np.mean((mean - test_y.numpy()) ** 2))
    return found, test_y.numpy(), errors


def classification(run):
    """Histories without and with z-scores, the confusion matrix with them, and the share of the largest class."""
    data = load_wine()
    (x, y), (test_x, test_y) = parts(data.data, data.target, 60, run.seed)
    histories = {}
    for name, (a, b) in (("raw", (x, test_x)), ("z-scores", z_scores(x, test_x))):
        mi.manual_seed(run.seed)
        net = mlp(13, 16, 3)
        optimizer = mi.optim.Adam(net.parameters(), lr=0.003)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            histories[name] = mi.fit(net, a, y, validation=(b, test_y), loss="cross_entropy", metrics="accuracy",
                                     epochs=40, batch_size=16, optimizer=optimizer, seed=run.seed,
                                     verbose=False)  # fmt: skip
        for warning in told:
            run.say(f"{name} wines: {warning.message}")
    matrix = ConfusionMatrix()(mi.predict(net, b), test_y)
    return histories, np.asarray(matrix), np.bincount(test_y.numpy()).max() / len(test_y)


def main():
    run = Run(__file__, __doc__, full="ten times the samples of the regression, smaller steps, 10 s")
    found, true, errors = regression(run)
    histories, matrix, majority = classification(run)
    accuracy = {name: h["val_accuracy"][-1] for name, h in histories.items()}
    run.say("wines: accuracy on 60 held-out " + ", ".join(f"{n} {a:.3f}" for n, a in accuracy.items())
            + f", commonest {majority:.3f}")  # fmt: skip
    run.say("regression: error " + ", ".join(f"{n} {e:.2f}" for n, e in errors.items()) + ", of the noise alone 1.00")

    f = figure(12, 9)
    (line, network), (learning, wines) = f.subplots(2, 2)
    for ax, name in ((line, "line"), (network, "network")):
        ax.plot(true, found[name], ".", alpha=0.6)
        ax.plot([true.min(), true.max()], [true.min(), true.max()], "k--", linewidth=1)
        ax.set(xlabel="true", ylabel="predicted", title=f"regression, {name}: error {errors[name]:.2f}")
    for name, history in histories.items():
        learning.plot(np.arange(1, 41), history["val_accuracy"], label=name)
    learning.axhline(majority, color="grey", linestyle=":", label="commonest")
    learning.set(xlabel="epoch", ylabel="accuracy, held-out", title="wines: the same network, raw and scaled inputs")
    learning.legend(loc="center right")
    confusion(matrix, ["grower 0", "grower 1", "grower 2"], ax=wines)
    wines.set_title(f"held-out wines: {accuracy['z-scores']:.1%} right")
    assert accuracy["z-scores"] > majority + 0.3, "the growers can be told apart"
    run.finish(f, "error of the regression", errors["network"], "better of line and mean",
               min(errors["line"], errors["mean"]), run.pick(1.8, 1.2))  # fmt: skip


if __name__ == "__main__":
    main()
