"""Runs that are killed go on from their last checkpoint and end with the same bits."""

import os
import random
import signal
import subprocess
import sys
import textwrap
import time

import mielina as mi
import numpy as np
import pytest

X, Y = np.random.default_rng(0).random((40, 3)), np.random.default_rng(1).integers(0, 3, 40)


def net(width=8):
    mi.manual_seed(1)
    return mi.nn.Sequential(
        mi.nn.Linear(3, width), mi.nn.BatchNorm1d(width), mi.nn.ReLU(), mi.nn.Dropout(0.3), mi.nn.Linear(width, 3)
    )


def bits(model):
    return b"".join(t.contiguous().numpy().tobytes() for t in model.state_dict().values())


def fit(model, path=None, **options):
    options = {"batch_size": 4, "epochs": 4, "seed": 3, "verbose": 0, "validation_split": 0.2, **options}
    return mi.fit(model, X, Y, checkpoint_dir=path, **options)


class Stop(Exception):
    pass


def broken(model, path, at, **options):
    """A run that ends with an exception in batch number `at`."""
    done = []

    def count(batch, logs):
        done.append(batch)
        if len(done) == at:
            raise Stop

    hook = mi.LambdaCallback(on_train_batch_end=count)
    with pytest.raises(Stop):
        fit(model, path, **{**options, "callbacks": [*options.get("callbacks", ()), hook]})


def idle():
    return mi.LambdaCallback()


@pytest.mark.parametrize("every", [1, 2, "0s"])
@pytest.mark.parametrize("at", [1, 5, 9, 20, 32])
def test_the_same_bits(tmp_path, at, every):
    make = lambda: [mi.EarlyStopping(patience=50, restore_best_weights=True), mi.train.EMA(0.9)]  # noqa: E731
    options = {"metrics": ["accuracy", "auc", "f1"], "accumulate": 2, "checkpoint_every": every, "optimizer": "adamw"}
    whole, part = net(), net()
    expected = fit(whole, callbacks=[*make(), idle()], **{**options, "checkpoint_every": 1})
    broken(part, tmp_path, at, callbacks=make(), **options)
    again = net()
    got = fit(again, tmp_path, callbacks=[*make(), idle()], **options)
    assert repr(got.history) == repr(expected.history) and got.epoch == [0, 1, 2, 3] and bits(again) == bits(whole)
    third = net()
    assert fit(third, tmp_path, callbacks=[*make(), idle()], **options)["loss"] == expected["loss"]
    assert bits(third) == bits(whole)


@pytest.mark.parametrize("every", [1, "0s"])
def test_ended_every_30_percent_of_its_length_it_still_finishes(tmp_path, every):
    whole, left = net(), []
    expected = fit(whole)
    for _ in range(10):
        model, done = net(), []

        def count(batch, logs, done=done):
            done.append(batch)
            if len(done) == 10:  # of 32
                raise Stop

        try:
            history = fit(
                model, tmp_path, checkpoint_every=every, callbacks=mi.LambdaCallback(on_train_batch_end=count)
            )
            break
        except Stop:
            left.append(1)
    assert 2 <= len(left) <= 4 and history["loss"] == expected["loss"] and bits(model) == bits(whole)


@pytest.mark.parametrize("at", [6, 17, 30])
def test_schedules_and_plateaus_go_on(tmp_path, at):
    def run(model, path=None, stop=0):
        optimizer = mi.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        steps = mi.LearningRateScheduler(mi.optim.lr_scheduler.CosineAnnealingLR(optimizer, 4))
        plateau = mi.ReduceLROnPlateau(factor=0.5, patience=1, min_delta=10.0)
        log = mi.CSVLogger(tmp_path / f"{bool(path)}.csv")
        options = {"optimizer": optimizer, "callbacks": [steps, plateau, mi.SWA(1), log], "checkpoint_every": "0s"}
        if stop:
            return broken(model, path, stop, **options)
        return fit(model, path, **{**options, "callbacks": [*options["callbacks"], idle()]})

    whole, again = net(), net()
    expected = run(whole)
    run(net(), tmp_path / "run", at)
    got = run(again, tmp_path / "run")
    assert got["learning_rate"] == expected["learning_rate"] and bits(again) == bits(whole)
    assert (tmp_path / "True.csv").read_text() == (tmp_path / "False.csv").read_text()


def test_without_a_seed_the_split_and_the_order_are_those_of_the_first_process(tmp_path):
    broken(net(), tmp_path, 11, seed=None, checkpoint_every="0s")
    mi.manual_seed(99)
    models = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "last.safetensors").write_bytes((tmp_path / "last.safetensors").read_bytes())
        models.append(net())
        mi.rand(len(models))
        fit(models[-1], tmp_path / folder, seed=None, callbacks=idle())
    assert bits(models[0]) == bits(models[1])


def test_a_finished_run_returns_at_once_and_goes_on_for_more_epochs(tmp_path):
    model = net()
    fit(model, tmp_path, epochs=2, callbacks=idle())
    other, calls = net(), []
    fit(other, tmp_path, epochs=2, callbacks=mi.LambdaCallback(on_train_begin=lambda logs: calls.append(1)))
    assert bits(other) == bits(model) and not calls
    fit(other, tmp_path, epochs=5, callbacks=idle())
    whole = net()
    fit(whole, epochs=5)
    assert bits(other) == bits(whole)
    fit(net(), tmp_path, epochs=1, resume=False)
    assert len(fit(net(), tmp_path, epochs=1)["loss"]) == 1


@pytest.mark.parametrize("at", [9, 11])  # at the first batch of an epoch, and in an epoch
def test_the_bar_goes_on_where_the_run_does(tmp_path, at, capfd):
    model = net()
    broken(model, tmp_path, at, checkpoint_every="0s")
    fit(model, tmp_path, callbacks=idle(), verbose=1)
    assert "epoch 4/4: 100%" in capfd.readouterr().err.split("\r")[-1]


def test_a_missing_and_an_empty_directory_start_fresh(tmp_path):
    a, b, c = net(), net(), net()
    fit(a), fit(b, tmp_path / "new" / "one"), fit(c, tmp_path)
    assert bits(a) == bits(b) == bits(c)


def test_loaders_with_workers_and_generators(tmp_path):
    def loader():
        data = mi.data.TensorDataset(mi.tensor(X).float(), mi.tensor(Y))
        return mi.data.DataLoader(data, 4, shuffle=True, num_workers=2, generator=mi.Generator(5))

    def run(model, path=None, at=0):
        hook = mi.LambdaCallback(on_train_batch_end=lambda b, logs: at and count(at))
        return mi.fit(
            model, loader(), epochs=3, seed=1, verbose=0, checkpoint_dir=path, checkpoint_every="0s", callbacks=hook
        )

    done = []

    def count(at):
        done.append(1)
        if len(done) == at:
            raise Stop

    whole, again = net(), net()
    run(whole)
    with pytest.raises(Stop):
        run(net(), tmp_path, 16)
    run(again, tmp_path)
    assert bits(again) == bits(whole)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"seed": 4}, "seed was 3 and is 4"),
        ({"optimizer": "sgd"}, "optimizer was 'Adam' and is 'SGD'"),
        ({"optimizer": lambda p: mi.optim.Adam(p, lr=0.5)}, "optimizer's defaults: lr was '0.001' and is '0.5'"),
        ({"batch_size": 5}, "batches an epoch was 8 and is 7"),
        ({"validation_split": 0.5}, "samples was 32 and is 20"),
        ({"loss": "nll"}, "loss was 'cross_entropy' and is 'nll'"),
        ({"accumulate": 2}, "accumulate was 1 and is 2"),
        ({"precision": "bfloat16"}, "precision"),
        ({"class_weight": {0: 2.0}}, "class_weight was '' and is '{0: 2.0}'"),
        ({"model": 9}, r"parameters: 0.weight was '\[8, 3\] mielina.float32' and is '\[9, 3\]"),
        ({"callbacks": ()}, "callbacks"),
    ],
)
def test_checkpoints_of_other_runs_are_named(tmp_path, options, message):
    broken(net(), tmp_path, 9)
    before = (tmp_path / "last.safetensors").read_bytes()
    options = {"callbacks": idle(), **options}
    model = net(options.pop("model", 8))
    weights = bits(model)
    with pytest.raises(ValueError, match=message):
        fit(model, tmp_path, **options)
    assert bits(model) == weights and (tmp_path / "last.safetensors").read_bytes() == before


def test_another_instruction_set_warns(tmp_path):
    broken(net(), tmp_path, 9)
    path = tmp_path / "last.safetensors"
    state = mi.load(path)
    state["isa"] = "abacus"
    mi.save(state, path)
    with pytest.warns(UserWarning, match="written with abacus"):
        fit(net(), tmp_path, callbacks=idle())


def test_damaged_and_foreign_files(tmp_path):
    (tmp_path / "last.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(ValueError, match="last.safetensors"):
        fit(net(), tmp_path)
    mi.save({"a": mi.ones(1)}, tmp_path / "last.safetensors")
    with pytest.raises(ValueError, match="no checkpoint of fit"):
        fit(net(), tmp_path)
    for every in (0, True, "3", "s", 1.5, "-1s"):
        with pytest.raises(ValueError, match="checkpoint_every"):
            fit(net(), tmp_path / "other", checkpoint_every=every)


COMMON = """
import os, sys, resource
import mielina as mi
import numpy as np
mi.manual_seed(1)
x, y = np.random.default_rng(0).random((400, 20)), np.random.default_rng(1).integers(0, 3, 400)
layers = mi.nn.Linear(20, 64), mi.nn.BatchNorm1d(64), mi.nn.ReLU(), mi.nn.Dropout(0.3), mi.nn.Linear(64, 3)
model = mi.nn.Sequential(*layers)
options = dict(seed=3, batch_size=8, verbose=0, validation_split=0.2, metrics=["accuracy", "auc"])
options["callbacks"] = [mi.EarlyStopping(patience=99, restore_best_weights=True), mi.train.EMA(0.9)]
"""
RUN = (
    COMMON
    + """
history = mi.fit(model, x, y, epochs=12, checkpoint_dir=sys.argv[1], checkpoint_every=sys.argv[2], **options)
mi.save({"model": model.state_dict(), "history": history.history}, sys.argv[3])
"""
)


def start(*arguments):
    return subprocess.Popen([sys.executable, "-c", RUN, *map(str, arguments)], stderr=subprocess.PIPE)


def end_of(path):
    state = mi.load(path)
    return repr(state["history"]), [t.numpy().tobytes() for t in state["model"].values()]


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
@pytest.mark.parametrize("kills", [3, pytest.param(50, marks=pytest.mark.slow)])
def test_killed_at_random_moments(tmp_path, kills):
    """SIGKILL in the middle of steps, epochs and saves, and at last to the end: the same weights and History."""
    started = time.monotonic()
    whole = start(tmp_path / "whole", "0.01s", tmp_path / "whole.end")
    assert whole.wait(250) == 0, whole.stderr.read()
    takes = time.monotonic() - started
    expected, rng, done, rounds = end_of(tmp_path / "whole.end"), random.Random(0), 0, 0
    while done < kills:
        rounds += 1
        folder, out = tmp_path / f"run{rounds}", tmp_path / f"run{rounds}.end"
        while not out.exists():
            child = start(folder, "0.01s", out)
            moment = rng.uniform(0.3, 1.1) * takes if done < kills else 250
            try:
                child.wait(moment)
                assert child.returncode == 0, child.stderr.read()
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGKILL)
                child.wait()
                done += 1
            child.stderr.close()
        assert end_of(out) == expected
        assert not [f for f in os.listdir(folder) if f.endswith(".part")]


@pytest.mark.skipif(os.name != "posix", reason="limits the size of files")
def test_a_full_disk_keeps_the_last_good_checkpoint(tmp_path):
    script = COMMON + textwrap.dedent("""
        path = os.path.join(sys.argv[1], "last.safetensors")
        def full(epoch, logs):
            if epoch == 1:
                resource.setrlimit(resource.RLIMIT_FSIZE, (10000, 10000))
        options["callbacks"].append(mi.LambdaCallback(on_epoch_end=full))
        try:
            mi.fit(model, x, y, epochs=12, checkpoint_dir=sys.argv[1], **options)
        except OSError as e:
            print(type(e).__name__, mi.load(path)["epoch"], os.listdir(sys.argv[1]))
    """)
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, timeout=250)
    assert done.stdout.strip() == "OSError 1 ['last.safetensors']", done.stderr[-2000:]
