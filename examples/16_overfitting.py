"""Overfitting and five cures, on 300 digits of which every fifth was given a label at random.

A network of 85,000 weights has room to learn the wrong labels by heart; from then on it gets worse on unseen digits.
Against it stand dropout (Srivastava et al. 2014), decoupled weight decay (Loshchilov & Hutter 2019), label smoothing
(Szegedy et al. 2016), early stopping (Prechelt 1998), and dropout with early stopping.
"""

import mielina as mi
import mielina.nn.functional as F
import numpy as np
from _common import Run
from mielina import nn
from mielina.plot import curves, figure
from sklearn.datasets import load_digits

EPOCHS, WIDTH = 120, 256
CURES = {
    "nothing": {},
    "dropout 0.5": {"dropout": 0.5},
    "weight decay 2": {"weight_decay": 2.0},
    "label smoothing 0.3": {"label_smoothing": 0.3},
    "early stopping": {"patience": 10},
    "dropout, early stopping": {"dropout": 0.5, "patience": 20},
}


def network(dropout):
    return nn.Sequential(
        nn.Linear(64, WIDTH), nn.ReLU(), nn.Dropout(dropout), nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Dropout(dropout),
        nn.Linear(WIDTH, 10),
    )  # fmt: skip


def train(data, held, seed, dropout=0.0, weight_decay=0.0, label_smoothing=0.0, patience=None):
    """The network and its history; all begin with the same weights and see the batches in the same order."""
    mi.manual_seed(seed)
    net = network(dropout)
    stop = [] if patience is None else [mi.EarlyStopping(patience=patience, restore_best_weights=True)]
    history = mi.fit(
        net, data, validation=held, loss=nn.CrossEntropyLoss(label_smoothing=label_smoothing), batch_size=50,
        metrics=["accuracy", F.cross_entropy], optimizer=mi.optim.AdamW(net.parameters(), weight_decay=weight_decay),
        epochs=EPOCHS, callbacks=stop, seed=seed, verbose=False,
    )  # fmt: skip
    return net, history


def compare(seed):
    """For each cure the history, and the accuracies on the given labels, in validation and in the test."""
    digits, rng = load_digits(), np.random.default_rng(seed)
    x, true = mi.tensor((digits.data / 16).astype(np.float32)), mi.tensor(digits.target)
    order = mi.tensor(rng.permutation(len(x)))
    few, held, test = order[:300], order[300:800], order[800:]
    given = true[few]
    given[::5] = mi.tensor(rng.integers(0, 10, len(given[::5])))
    parts = ((x[few], given), (x[held], true[held]), (x[test], true[test]))
    result = {}
    for name, how in CURES.items():
        net, history = train(*parts[:2], seed, **how)
        result[name] = history, [mi.evaluate(net, *part, metrics="accuracy")["accuracy"] for part in parts]
    return result


def main():
    run = Run(__file__, __doc__, full="the mean of ten draws of digits and wrong labels, 40 s")
    results = [compare(run.seed + 1000 * draw) for draw in range(run.pick(1, 10))]
    f = figure(12, 6.5)
    axes = f.subplots(2, 3, sharex=True, sharey=True)
    on_held, on_test = {}, {}
    for ax, (name, how) in zip(axes.flat, CURES.items()):
        history, _ = results[0][name]
        learnt, on_held[name], on_test[name] = np.mean([r[name][1] for r in results], 0)
        run.say(f"{name}: {len(history.epoch)} epochs, accuracy {learnt:.3f} on the given labels, "
                f"{on_held[name]:.3f} in validation, {on_test[name]:.3f} in the test")  # fmt: skip
        curves(history, ax, keys=["cross_entropy", "val_cross_entropy"])
        ax.legend(["training, given labels", "validation, true labels"])
        if "patience" in how:
            ax.axvline(1 + int(np.argmin(history["val_loss"])), color="grey", linestyle=":")
        ax.set(title=f"{name}: {on_test[name]:.3f} in the test", xlabel="", ylim=(0, 2.4))
    for ax in axes[1]:
        ax.set_xlabel("epoch")
    for ax in axes[:, 0]:
        ax.set_ylabel("cross-entropy")
    best = max(on_held, key=on_held.get)
    run.finish(f, f"test accuracy with the cure best in validation ({best})", on_test[best], "nothing",
               on_test["nothing"], run.pick(0.85, 0.87))  # fmt: skip


if __name__ == "__main__":
    main()
