"""The universal workflow of machine learning (Chollet, Deep Learning with Python, ch. 4.5), start to finish.

The question: which digit is it? The measure: accuracy. 800 digits to learn from, 400 to decide by, 597 that nobody
looks at before the end. Baselines, a model that beats them, one large enough to overfit, the same held in check and
tuned, trained once more on everything but the test, tested once; and whether its probabilities can be believed.
"""

import mielina as mi
import numpy as np
from _common import Run
from mielina import nn, tune
from mielina.plot import calibration, curves, figure
from sklearn.datasets import load_digits


def network(width, dropout=0.0):
    """One family of networks, from small to too large."""
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(dropout), nn.Linear(16 * width, 64), nn.ReLU(), nn.Dropout(dropout),
        nn.Linear(64, 10),
    )  # fmt: skip


def build(hp):
    """What the search may choose."""
    net = network(hp.Choice("width", [16, 32]), hp.Float("dropout", 0.0, 0.7))
    return net, {"optimizer": mi.optim.Adam(net.parameters(), lr=hp.Float("rate", 3e-4, 1e-2, sampling="log"))}


def main():
    run = Run(__file__, __doc__, full="40 trials of 60 epochs, 40 s")
    digits = load_digits()
    order = mi.tensor(np.random.default_rng(run.seed).permutation(len(digits.target)))
    x, y = mi.tensor((digits.images[:, None] / 16).astype(np.float32))[order], mi.tensor(digits.target)[order]
    data, held, test = (x[:800], y[:800]), (x[800:1200], y[800:1200]), (x[1200:], y[1200:])
    epochs, trials = run.pick((30, 8), (60, 40))
    options = {"metrics": "accuracy", "batch_size": 64, "seed": run.seed, "verbose": False}
    mi.manual_seed(run.seed)

    def train(net, rate, data=data, epochs=epochs, **more):
        return mi.fit(net, data, epochs=epochs, optimizer=mi.optim.Adam(net.parameters(), lr=rate), **options, **more)

    # 1. What is easy: always the commonest digit; a linear model.
    reached = {"commonest digit": (held[1] == data[1].mode()[0]).float().mean().item()}
    linear = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    reached["linear"] = train(linear, 0.01, validation=held)["val_accuracy"][-1]
    # 2. Something that beats it: is there more to be learnt?
    reached["width 12"] = train(network(12), 0.004, validation=held)["val_accuracy"][-1]
    # 3. Is the code right? One batch must be learnt by heart. Then large enough to overfit.
    one_batch = train(network(32), 0.003, epochs=60, overfit_batch=True)
    assert one_batch["loss"][-1] < 0.01, "a network that cannot learn one batch has a bug"
    large = train(network(32), 0.003, validation=held)
    reached["width 32"] = large["val_accuracy"][-1]
    # 4. Regularise and tune, by the validation loss.
    found = tune.search(build, data, validation=held, epochs=epochs, max_trials=trials, **options)
    best = found.best
    mi.manual_seed(run.seed)
    regular = train(network(best["width"], best["dropout"]), best["rate"], validation=held)
    reached["tuned"] = regular["val_accuracy"][-1]
    for name, value in reached.items():
        run.say(f"{name}: accuracy {value:.3f} in validation")
    run.say(f"chosen in {trials} trials: {', '.join(f'{k} {v:.3g}' for k, v in best.items())}")
    # 5. Everything but the test, as long as was best. 6. The test, once.
    final = network(best["width"], best["dropout"])
    train(final, best["rate"], data=(x[:1200], y[:1200]), epochs=1 + int(np.argmin(regular["val_loss"])))
    logits = mi.tensor(mi.predict(final, test[0]))
    accuracy = (logits.argmax(1) == test[1]).float().mean().item()
    simple = mi.evaluate(linear, *test, metrics="accuracy")["accuracy"]
    error = mi.train.CalibrationError(10)(logits, test[1])
    run.say(f"calibration error in the test: {error:.3f}")

    f = figure(12, 8)
    (steps, fit), (search, trust) = f.subplots(2, 2)
    commonest = reached.pop("commonest digit")
    bars = steps.barh([*reached, "final, in the test"], [*reached.values(), accuracy], color=["C0"] * 4 + ["C1"])
    steps.bar_label(bars, fmt="%.3f", padding=3)
    steps.invert_yaxis()
    steps.set(xlabel="accuracy in validation", xlim=(0.9, 1.008), title=f"from {commonest:.2f} (commonest digit) on")
    for history, colour, name in ((large, "C0", "width 32"), (regular, "C1", "tuned")):
        curves(history, fit, keys=["loss", "val_loss"])
        for line, part in zip(fit.lines[-2:], ("training", "validation")):
            line.set(color=colour, label=f"{name}, {part}")
    fit.set(yscale="log", ylabel="cross-entropy", title="large enough to overfit, then held in check")
    fit.legend()
    for state, style in (("complete", {"c": "value", "s": 90, "cmap": "viridis_r", "edgecolors": "k"}),
                         ("pruned", {"marker": "x", "color": "0.5"})):  # fmt: skip
        some = [{**t["params"], "value": t["value"]} for t in found.trials if t["state"] == state]
        columns = {name: [t[name] for t in some] for name in ("rate", "dropout", "value")}
        spots = search.scatter("rate", "dropout", data=columns, label=f"{len(some)} {state}", **style)
        if state == "complete":
            f.colorbar(spots, ax=search, label="validation loss")
    search.plot(best["rate"], best["dropout"], "o", markersize=17, color="C1", fillstyle="none", markeredgewidth=2)
    search.set(xscale="log", xlabel="learning rate", ylabel="dropout", xlim=(2.5e-4, 1.2e-2), ylim=(-0.05, 0.9),
               title="the trials, and the best of them")  # fmt: skip
    search.legend(loc="upper left", ncols=2)
    calibration(logits.softmax(1), test[1], ax=trust, bins=5)
    trust.set_title(f"in the test: calibration error {error:.3f}")
    run.finish(f, "accuracy in the test", accuracy, "linear", simple, run.pick(0.968, 0.975))


if __name__ == "__main__":
    main()
