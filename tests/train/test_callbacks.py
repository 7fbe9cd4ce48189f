"""Callbacks: the order of the hooks, stopping, best weights, checkpoints, Ctrl-C."""

import math
import os
import subprocess
import sys
import textwrap

import mielina as mi
import numpy as np
import pytest
from mielina.train import Callback

X, Y = np.random.default_rng(0).random((10, 3)), np.random.default_rng(1).random((10, 2))


def fit(model=None, callbacks=(), **options):
    model = mi.nn.Linear(3, 2) if model is None else model
    return mi.fit(
        model, X, Y, **{"loss": "mse", "batch_size": 4, "seed": 0, "verbose": 0, "callbacks": callbacks, **options}
    )


class Recorder(Callback):
    def __init__(self):
        self.events = []

    def on_train_begin(self, logs):
        assert self.model is not None and self.optimizer is not None and self.history is not None and logs == {}
        self.events.append("begin")

    def on_train_end(self, logs):
        self.events.append(("end", sorted(logs)))

    def on_epoch_begin(self, epoch, logs):
        self.events.append(("epoch", epoch))

    def on_epoch_end(self, epoch, logs):
        self.events.append(("epoch end", epoch, sorted(logs)))
        assert all(isinstance(v, float) for v in logs.values()) and self.history["loss"][-1] == logs["loss"]

    def on_train_batch_begin(self, batch, logs):
        self.events.append(("batch", batch))

    def on_train_batch_end(self, batch, logs):
        self.events.append(("batch end", batch, sorted(logs)))


def test_order_of_hooks():
    r = Recorder()
    fit(callbacks=[r], epochs=2, validation=(X, Y))
    batches = [e for k in range(3) for e in (("batch", k), ("batch end", k, ["loss"]))]
    numbers = ["loss", "val_loss"]
    epochs = [e for k in range(2) for e in (("epoch", k), *batches, ("epoch end", k, numbers))]
    assert r.events == ["begin", *epochs, ("end", numbers)]


def test_callbacks_are_called_in_their_order():
    calls = []
    hooks = [mi.LambdaCallback(on_epoch_end=lambda e, logs, k=k: calls.append(k)) for k in range(3)]
    fit(callbacks=hooks)
    assert calls == [0, 1, 2]
    with pytest.raises(TypeError, match="no hook 'on_nothing'"):
        mi.LambdaCallback(on_nothing=print)


def test_a_callback_can_stop_and_be_used_again():
    stopper = Callback()
    stopper.on_epoch_end = lambda epoch, logs: setattr(stopper, "stop", epoch == 1)
    assert len(fit(callbacks=[stopper], epochs=5)["loss"]) == 2
    assert len(fit(callbacks=[stopper], epochs=5)["loss"]) == 2


def test_keras_way_to_stop():
    class Stop(Callback):
        def on_epoch_end(self, epoch, logs):
            self.model.stop_training = epoch == 1

    model = mi.nn.Linear(3, 2)
    assert [len(fit(model, c, epochs=4)["loss"]) for c in (Stop(), Stop(), ())] == [2, 2, 4]


def test_a_hook_that_nobody_calls_is_an_error():
    class Slip(Callback):
        def on_batch_end(self, batch, logs): ...

    with pytest.raises(TypeError, match="Slip.on_batch_end is no hook; there are on_train_begin"):
        fit(callbacks=Slip())


def scripted(values, name="val_loss"):
    """A callback in front that writes a curve of its own into the logs, and weights that tell the epoch."""

    def end(epoch, logs):
        logs[name] = values[epoch]
        script.model.weight.detach().fill_(float(epoch))

    script = mi.LambdaCallback(on_epoch_end=end)
    return script


def still(p):
    return mi.optim.SGD(p, lr=0.0)


@pytest.mark.parametrize(
    "values, options, epochs, best",
    [
        ([3, 2, 1, 2, 3, 4], {"patience": 2}, 5, 2),
        ([3, 2, 1, 2, 3, 4], {}, 4, 2),
        ([3, 2, 1, 1, 1, 1], {"patience": 3}, 6, 2),
        ([3.0, 2.9, 2.8, 2.7], {"min_delta": 0.5, "patience": 2}, 3, 0),
        ([5, 6, 7, 1, 2, 3], {"start_from_epoch": 3}, 5, 3),
        ([1, 2, 3, 2, 1, 0], {"mode": "max", "patience": 2}, 5, 2),
        ([3, 2, 1, 0.5], {"patience": 1}, 4, 3),
        ([3, math.nan, math.nan, 1], {"patience": 2}, 3, 0),
        ([3, 2.9, 2.8, 2.9, 2.7], {"patience": 2, "baseline": 1}, 4, 2),  # on its way, but never past the baseline
        ([3, 2, 0.5, 0.6, 0.4], {"patience": 2, "baseline": 1}, 5, 4),
    ],
)
def test_early_stopping(values, options, epochs, best):
    model = mi.nn.Linear(3, 2)
    stop = mi.EarlyStopping(restore_best_weights=True, **options)
    history = fit(model, [scripted(values), stop], epochs=len(values), optimizer=still)
    assert len(history["loss"]) == epochs and stop.best_epoch == best
    assert stop.stopped_epoch == (epochs - 1 if epochs < len(values) or stop.stop else None)
    assert model.weight.tolist() == [[best] * 3] * 2


def test_early_stopping_of_numbers_that_are_none_restores_the_first_weights():
    model = mi.nn.Linear(3, 2)
    stop = mi.EarlyStopping(patience=2, restore_best_weights=True)
    assert len(fit(model, [scripted([math.nan] * 5), stop], epochs=5, optimizer=still)["loss"]) == 2
    assert model.weight.tolist() == [[0.0] * 3] * 2


def test_early_stopping_without_restoring_keeps_the_last_weights():
    model = mi.nn.Linear(3, 2)
    fit(model, [scripted([1, 2, 3]), mi.EarlyStopping()], epochs=3, optimizer=still)
    assert model.weight.tolist() == [[1.0] * 3] * 2


def test_accuracy_rises():
    stop = mi.EarlyStopping(monitor="val_accuracy")
    assert len(fit(callbacks=[scripted([0.1, 0.2, 0.1], "val_accuracy"), stop], epochs=3)["loss"]) == 3
    assert stop.best_epoch == 1
    with pytest.raises(ValueError, match="mode"):
        mi.EarlyStopping(mode="up")
    with pytest.raises(ValueError, match='whether .val_corr. should rise or fall is not known: mode="max" or "min"'):
        mi.EarlyStopping("val_corr")
    mi.EarlyStopping("val_corr", mode="max")
    with pytest.raises(ValueError, match="'val_loss' is not among loss"):
        fit(callbacks=mi.EarlyStopping())


def test_checkpoints(tmp_path):
    model = mi.nn.Linear(3, 2)
    every = mi.ModelCheckpoint(tmp_path / "e{epoch}-{val_loss:.1f}.safetensors")
    best = mi.ModelCheckpoint(tmp_path / "best.safetensors", save_best_only=True)
    fit(model, [scripted([3, 1, 2]), every, best], epochs=3, optimizer=still)
    assert sorted(os.listdir(tmp_path)) == [
        "best.safetensors", "e1-3.0.safetensors", "e2-1.0.safetensors", "e3-2.0.safetensors",
    ]  # fmt: skip
    for name, value in (("best", 1.0), ("e1-3.0", 0.0), ("e3-2.0", 2.0)):
        twin = mi.nn.Linear(3, 2)
        twin.load_state_dict(mi.load(tmp_path / f"{name}.safetensors"))
        assert twin.weight.tolist() == [[value] * 3] * 2


def test_folders_that_are_missing(tmp_path):
    fit(callbacks=mi.ModelCheckpoint(tmp_path / "a" / "b{epoch}" / "m.safetensors"), epochs=2)
    assert sorted(os.listdir(tmp_path / "a")) == ["b1", "b2"]
    model = mi.nn.Linear(3, 2)
    before = model.weight.tolist()
    with pytest.raises(FileNotFoundError, match="log.csv"):
        fit(model, mi.CSVLogger(tmp_path / "c" / "log.csv"))
    assert model.weight.tolist() == before


def test_the_best_of_a_first_fit_is_not_written_over_by_a_second(tmp_path):
    model, best = mi.nn.Linear(3, 2), mi.ModelCheckpoint(tmp_path / "best.safetensors", save_best_only=True)
    for values in ([3, 1], [2, 2]):
        fit(model, [scripted(values), best], epochs=2, optimizer=still)
    assert mi.load(tmp_path / "best.safetensors")["weight"].tolist() == [[1.0] * 3] * 2


def test_a_plateau_does_not_raise_a_rate_to_min_lr():
    plateau = mi.ReduceLROnPlateau(patience=1, min_lr=0.5)
    fit(callbacks=[scripted([1, 1, 1]), plateau], epochs=3, optimizer=lambda p: mi.optim.SGD(p, lr=0.01))
    assert plateau.optimizer.param_groups[0]["lr"] == 0.01


def test_a_checkpoint_that_fails_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "c.safetensors"
    model = mi.nn.Linear(3, 2)
    fit(model, mi.ModelCheckpoint(path))
    before = path.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device: .*c.safetensors"):
        fit(model, mi.ModelCheckpoint(path))
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["c.safetensors"]


def test_terminate_on_nan():
    y = Y.copy()
    y[:] = np.nan
    with pytest.warns(RuntimeWarning, match="the targets hold NaN"):
        history = mi.fit(
            mi.nn.Linear(3, 2), X, y, loss="mse", epochs=5, verbose=0, batch_size=5, callbacks=mi.TerminateOnNaN()
        )
    assert len(history["loss"]) == 1


# ---- Ctrl-C ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("where", ["forward", "validation", "hook", "loader"])
def test_ctrl_c(where):
    """on_train_end runs, best weights come back, modes are as before, and the History so far comes back."""

    class Model(mi.nn.Linear):
        calls = 0

        def forward(self, x):
            self.calls += 1
            if (where, self.training, self.calls) in (("forward", True, 10), ("validation", False, 8)):
                raise KeyboardInterrupt
            return super().forward(x)

    class Data(mi.data.Dataset):
        asked = 0

        def __len__(self):
            return 10

        def __getitem__(self, i):
            self.asked += 1
            if where == "loader" and self.asked == 25:
                raise KeyboardInterrupt
            return X[i], Y[i]

    def hook(batch, logs):
        if where == "hook" and r.events[-1] == ("batch end", 1, ["loss"]) and len(r.history.epoch) == 2:
            raise KeyboardInterrupt

    r = Recorder()
    r.on_epoch_end = lambda epoch, logs: None
    model = Model(3, 2)
    model.eval()
    script = mi.LambdaCallback(on_epoch_end=lambda e, logs: model.weight.detach().fill_(float(e)))
    stop = mi.EarlyStopping(patience=9, restore_best_weights=True)
    history = mi.fit(
        model, Data(), validation=(X, Y), loss="mse", batch_size=4, epochs=9, verbose=0, optimizer=still,
        callbacks=[r, script, stop, mi.LambdaCallback(on_train_batch_end=hook)],
    )  # fmt: skip
    assert history.interrupted and history is r.history and len(history["loss"]) < 9
    assert r.events[-1][0] == "end" and [e for e in r.events if e[0] == "end"] == r.events[-1:]
    assert not model.training and mi.is_grad_enabled()
    assert model.weight.tolist() == [[float(stop.best_epoch)] * 3] * 2
    assert len(r.history.epoch) == len(r.history["val_loss"]) >= 1
    model.train()
    if where in ("hook", "loader"):
        fit(model)  # the model goes on


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_a_real_signal_in_the_middle_of_a_step():
    """Fifteen interrupts at random moments: each ends fit with its History, all weights stay finite."""
    script = """
        import os, random, signal, threading, time
        import mielina as mi
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would ignore Ctrl-C
        random.seed(0)
        mi.manual_seed(0)
        x, y = mi.randn(256, 64), mi.randn(256, 8)
        model = mi.nn.Sequential(mi.nn.Linear(64, 128), mi.nn.BatchNorm1d(128), mi.nn.ReLU(), mi.nn.Linear(128, 8))
        ends = []
        hook = mi.LambdaCallback(on_train_end=lambda logs: ends.append(1))
        def press(started):
            started.wait()
            time.sleep(random.uniform(0, 0.02))
            os.kill(os.getpid(), signal.SIGINT)
        for k in range(15):
            started = threading.Event()
            finger = threading.Thread(target=press, args=(started,))
            finger.start()
            begin = mi.LambdaCallback(on_train_batch_begin=lambda b, logs: started.set())
            history = mi.fit(model, x, y, loss="mse", epochs=10**6, verbose=0, callbacks=[begin, hook])
            assert history.interrupted
            finger.join()
            assert model.training and mi.is_grad_enabled() and len(ends) == k + 1
            assert all(bool(mi.isfinite(t).all()) for t in model.state_dict().values() if t.dtype.is_floating_point)
        loss = mi.fit(model, x, y, loss="mse", epochs=3, verbose=0)["loss"]
        print(loss[-1] < 5)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0 and done.stdout.strip() == "True", done.stderr[-3000:]
