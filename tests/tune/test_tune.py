"""mielina.tune: Keras Tuner's words over Optuna, with pruning from fit."""

import json

import mielina as mi
import numpy as np
import pytest
from mielina import nn
from mielina.cli import main

optuna = pytest.importorskip("optuna")
rng = np.random.default_rng(0)
X = rng.normal(size=(60, 3))
Y = X @ np.array([1.0, -2.0, 0.5])


def build(hp):
    lr = hp.Choice("lr", [1e-6, 0.3])
    return nn.Linear(3, 1), {"optimizer": lambda p: mi.optim.SGD(p, lr=lr)}


OPTIONS = {"loss": "mse", "epochs": 4, "validation_split": 0.25, "batch_size": 16}


def test_search_finds_the_better_value_and_repeats():
    a, b = (mi.tune.search(build, X, Y, max_trials=6, **OPTIONS) for _ in range(2))
    assert a.best == {"lr": 0.3} and a.value < 0.5 and a.trials == b.trials and len(a.trials) == 6


def test_hopeless_trials_are_pruned():
    epochs = []

    def alternate(hp):
        good = hp.trial.number < 4
        epochs.append(0)

        def step(epoch, logs):
            epochs[-1] += 1

        lr = 0.1 if good else 1e-9
        hp.Float("x", 0, 1)
        return nn.Linear(3, 1), {
            "optimizer": lambda p: mi.optim.SGD(p, lr=lr),
            "callbacks": [mi.LambdaCallback(on_epoch_end=step)],
        }

    options = {**OPTIONS, "epochs": 6}
    found = mi.tune.search(alternate, X, Y, max_trials=7, **options)
    assert [t["state"] for t in found.trials] == ["complete"] * 4 + ["pruned"] * 3
    assert epochs[:4] == [6] * 4 and all(e < 6 for e in epochs[4:])
    epochs.clear()
    mi.tune.search(alternate, X, Y, max_trials=5, prune=False, **options)
    assert epochs == [6] * 5


def test_kinds_of_parameters():
    seen = []

    def build(hp):
        seen.append(
            (
                hp.Int("units", 2, 8, step=2),
                hp.Float("rate", 1e-4, 1e-1, sampling="log"),
                hp.Boolean("bias"),
                hp.Float("grid", 0, 1, step=0.25),
                hp.Choice("act", ["relu", "tanh"]),
            )
        )
        assert hp.values == dict(zip(("units", "rate", "bias", "grid", "act"), seen[-1]))
        return nn.Linear(3, 3)

    found = mi.tune.search(
        build, X, np.arange(60) % 3, objective="val_accuracy", max_trials=8, metrics="accuracy", validation_split=0.5
    )
    for units, rate, bias, grid, act in seen:
        assert units in (2, 4, 6, 8) and 1e-4 <= rate <= 1e-1 and bias in (True, False) and grid * 4 % 1 == 0
        assert act in ("relu", "tanh")
    assert found.study.direction.name == "MAXIMIZE" and found.value == max(
        t["value"] for t in found.trials if t["value"]
    )


def test_errors():
    with pytest.raises(ValueError, match="sampling"):
        mi.tune.search(lambda hp: hp.Int("n", 1, 2, sampling="square"), X, Y)
    with pytest.raises(ValueError, match="not among loss"):
        mi.tune.search(build, X, Y, loss="mse")
    with pytest.raises(ValueError, match="max_trials"):
        mi.tune.search(build, X, Y, max_trials=0)
    with pytest.warns(RuntimeWarning), pytest.raises(ValueError, match="no trial was completed"):
        mi.tune.search(build, X, Y, max_trials=1, **{**OPTIONS, "loss": lambda output, target: output.sum() * np.nan})
    with pytest.raises(ValueError, match="the inputs hold NaN"):
        mi.tune.search(build, X * np.nan, Y, max_trials=1, **OPTIONS)


def test_command_line(capsys):
    pytest.importorskip("sklearn")
    outs = []
    for _ in range(2):
        assert main(["tune", "digits", "--trials", "2", "--epochs", "1", "--seed", "3", "--json"]) == 0
        outs.append(json.loads(capsys.readouterr().out))
    assert outs[0] == outs[1] and len(outs[0]["trials"]) == 2 and 0 < outs[0]["value"] <= 1
    assert main(["tune", "digits", "--trials", "1", "--epochs", "1"]) == 0
    assert "best val_accuracy 0." in capsys.readouterr().out
    assert main(["tune", "nothing"]) == 2 and "unknown data set" in capsys.readouterr().err


def test_train_as_json(tmp_path, capsys):
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    arguments = ["train", "digits", "--epochs", "1", "--quiet", "--json", "--output", str(tmp_path / "a.png")]
    assert main(arguments) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["epochs"] == 1 and 0.1 < found["test_accuracy"] <= 1


def test_summary_on_the_command_line(capsys):
    assert main(["summary", "digits"]) == 0
    assert "multiply-adds" in capsys.readouterr().out
    assert main(["summary", "digits", "--shape", "1,8,8", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["parameters"] == 320 + 64 + 18_496 + 128 + 131_200 + 1_290 and found["layers"][0]["shape"] == [
        32,
        8,
        8,
    ]
    assert main(["summary", "nothing"]) == 2 and "unknown model" in capsys.readouterr().err
    assert main(["summary", "digits", "--shape", "x"]) == 2 and "shape" in capsys.readouterr().err
