"""fit, evaluate and predict: kinds of input, names, errors."""

import mielina as mi
import numpy as np
import pytest

rng = np.random.default_rng(0)
X, LABELS = rng.random((10, 3)), rng.integers(0, 4, 10)


def fit(*args, **kwargs):
    return mi.fit(*args, verbose=False, **kwargs)


def test_history_has_every_number():
    history = fit(
        mi.nn.Linear(3, 4), X, LABELS, metrics="accuracy", validation_split=0.2, epochs=2, callbacks=mi.TerminateOnNaN()
    )
    assert list(history.history) == ["loss", "accuracy", "val_loss", "val_accuracy"]
    assert len(history["loss"]) == 2


def test_same_seed_same_bits():
    def run():
        mi.manual_seed(3)
        return fit(mi.nn.Sequential(mi.nn.Linear(3, 4), mi.nn.Dropout(0.5)), X, LABELS, seed=1, epochs=2, batch_size=4)[
            "loss"
        ]

    assert run() == run()


@pytest.mark.parametrize(
    "x, y, options, kind, message",
    [
        (X, LABELS + 4, {}, IndexError, "out of bounds"),
        (X[:0], LABELS[:0], {}, ValueError, "at least one sample"),
        (X, LABELS[:5], {}, ValueError, "10 inputs but 5 targets"),
        (np.zeros((4, 8, 8, 3), np.uint8), LABELS[:4], {}, TypeError, "uint8"),
        (X, X[:, 0], {"loss": "mse"}, ValueError, "broadcast"),
        (X, LABELS, {"loss": "no"}, ValueError, "unknown loss"),
        (X, LABELS, {"optimizer": "no"}, ValueError, "unknown optimizer"),
        (X, LABELS, {"metrics": ["no"]}, ValueError, "unknown metric"),
        (X, LABELS, {"callbacks": [mi.EarlyStopping()]}, ValueError, "val_loss"),
    ],
)
def test_errors(x, y, options, kind, message):
    with pytest.raises(kind, match=message):
        fit(mi.nn.Linear(3, 4), x, y, **options)
