"""fit, evaluate and predict: kinds of data, losses and optimisers by name, numbers over all samples, errors."""

import inspect
import math
import warnings

import mielina as mi
import mielina.nn.functional as F
import numpy as np
import pytest
from mielina.data import DataLoader, Dataset, IterableDataset, TensorDataset

rng = np.random.default_rng(0)
X, LABELS = rng.random((10, 3)), rng.integers(0, 4, 10)


def fit(*args, **kwargs):
    return mi.fit(*args, verbose=0, **kwargs)


def linear(outputs=4):
    mi.manual_seed(1)
    return mi.nn.Linear(3, outputs)


def weights(model):
    return b"".join(t.contiguous().numpy().tobytes() for t in model.state_dict().values())


class Samples(Dataset):
    def __len__(self):
        return 10

    def __getitem__(self, i):
        return X[i].astype(np.float32), int(LABELS[i])


class Stream(IterableDataset):
    def __iter__(self):
        return iter(Samples()[i] for i in range(10))


# ---- the signature ---------------------------------------------------------------------------------------------------
def test_everything_after_y_is_keyword_only():
    parameters = inspect.signature(mi.fit).parameters
    assert list(parameters)[:3] == ["model", "X", "y"]
    assert all(p.kind is p.KEYWORD_ONLY for n, p in parameters.items() if n not in ("model", "X", "y"))
    assert list(parameters)[3:] == [
        "validation", "validation_split", "validation_data", "loss", "optimizer", "epochs", "batch_size", "callbacks",
        "metrics", "class_weight", "sample_weight", "accumulate", "precision", "overfit_batch", "checkpoint_dir",
        "resume", "checkpoint_every", "seed", "verbose",
    ]  # fmt: skip
    with pytest.raises(TypeError):
        mi.fit(linear(), X, LABELS, (X, LABELS))


# ---- kinds of data ---------------------------------------------------------------------------------------------------
KINDS = {
    "arrays": (X, LABELS),
    "float32": (X.astype(np.float32), LABELS.astype(np.int32)),
    "float16": (X.astype(np.float32), LABELS.astype(np.uint8)),
    "tensors": (mi.tensor(X), mi.tensor(LABELS)),
    "mixed": (X, mi.tensor(LABELS)),
    "lists": (X.tolist(), LABELS.tolist()),
    "column of labels": (X, LABELS[:, None]),
    "strided": (np.repeat(X, 2, 1)[:, ::2], np.repeat(LABELS, 2)[::2]),
    "read-only": (np.broadcast_to(X, X.shape), LABELS),
    "pair": ((X, LABELS),),
    "list of two": ([X, LABELS],),
    "list of two tensors": ([mi.tensor(X), mi.tensor(LABELS)],),
    "pair of lists": ((X.tolist(), LABELS.tolist()),),
    "tensor dataset": (TensorDataset(mi.tensor(X), mi.tensor(LABELS)),),
    "dataset": (Samples(),),
    "sequence of samples": ([Samples()[i] for i in range(10)],),
}


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "sequence of samples"])
def test_kinds_of_data_train_alike(kind):
    def run(data):
        model = linear()
        # A data set of samples takes a random number an epoch for its own draws: the second order is another one.
        epochs = 1 if kind == "dataset" else 2
        history = fit(model, *data, optimizer="sgd", seed=5, batch_size=4, epochs=epochs)
        return history["loss"], model.weight.tolist()

    expected, got = run(KINDS["arrays"]), run(KINDS[kind])
    # The data sets hold float32, the arrays float64: the same numbers, since the model casts to float32.
    assert np.allclose(got[0], expected[0], rtol=1e-6) and np.allclose(got[1], expected[1], rtol=1e-5)


def test_loader_and_stream():
    loader = DataLoader(TensorDataset(mi.tensor(X), mi.tensor(LABELS)), 4)
    a, b, c = linear(), linear(), linear()
    one = fit(a, loader, optimizer="sgd", epochs=2)["loss"]
    two = fit(b, Stream(), optimizer="sgd", epochs=2, batch_size=4)["loss"]
    three = fit(c, DataLoader(Samples(), 4, num_workers=2), optimizer="sgd", epochs=2)["loss"]
    assert np.allclose(one, two, rtol=1e-6) and np.allclose(one, three, rtol=1e-6)


def test_a_lone_array_is_its_own_target():
    model = linear(3)
    adam = mi.optim.Adam(model.parameters(), lr=0.05)
    loss = fit(model, X, loss="mse", optimizer=adam, epochs=200, batch_size=10)["loss"]
    assert loss[-1] < loss[0] / 10
    assert np.allclose(mi.evaluate(model, X, loss="mse")["loss"], np.mean((mi.predict(model, X) - X) ** 2), rtol=1e-5)
    two_rows = X[:2].tolist()  # a list of two lists is an array, not a pair
    assert mi.predict(model, two_rows).shape == (2, 3)


def test_batches_of_one_part():
    only = TensorDataset(mi.tensor(X))
    assert mi.predict(linear(), only).shape == (10, 4)
    assert fit(linear(3), only, loss="mse")["loss"]


@pytest.mark.parametrize("dtype", [mi.float64, mi.float16, mi.bfloat16])
def test_models_of_other_dtypes(dtype):
    model = linear().to(dtype)
    history = fit(model, X, LABELS, epochs=2, metrics="accuracy", validation_split=0.3)
    assert all(math.isfinite(v) for values in history.history.values() for v in values)
    y = mi.predict(model, X)
    assert y.shape == (10, 4) and y.dtype == {mi.float64: np.float64, mi.float16: np.float16}.get(dtype, np.float32)
    assert mi.evaluate(model, X, LABELS, metrics="accuracy")["accuracy"] == np.mean(y.argmax(1) == LABELS)


def test_integers_go_to_embeddings():
    words = rng.integers(0, 7, (10, 5))
    model = mi.nn.Sequential(mi.nn.Embedding(7, 3), mi.nn.Flatten(), mi.nn.Linear(15, 4))
    assert fit(model, words, LABELS)["loss"] and mi.predict(model, words).shape == (10, 4)


# ---- validation ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["arrays", "pair", "list of two", "tensor dataset", "dataset"])
def test_validation(kind):
    held = KINDS[kind] if kind == "arrays" else KINDS[kind][0]
    model = linear()
    history = fit(model, X, LABELS, validation=held, metrics=["accuracy"], batch_size=4)
    assert list(history.history) == ["loss", "accuracy", "val_loss", "val_accuracy"]
    after = mi.evaluate(model, X, LABELS, metrics=["accuracy"])
    assert np.isclose(history["val_loss"][-1], after["loss"], rtol=1e-6)
    assert history["val_accuracy"][-1] == after["accuracy"]
    loader = DataLoader(TensorDataset(mi.tensor(X), mi.tensor(LABELS)), 3)
    assert np.isclose(fit(model, X, LABELS, validation=loader, optimizer=still)["val_loss"], after["loss"], rtol=1e-6)


def still(parameters):
    return mi.optim.SGD(parameters, lr=0.0)


def test_validation_split_holds_samples_out():
    seen = []

    class Spy(mi.nn.Linear):
        def forward(self, x):
            seen.append((self.training, x.tolist()))
            return super().forward(x)

    fit(Spy(3, 4), X, LABELS, validation_split=0.25, batch_size=4, epochs=2, seed=3)
    train = {tuple(r) for mode, rows in seen if mode for r in rows}
    held = {tuple(r) for mode, rows in seen if not mode for r in rows}
    assert len(held) == 3 and len(train) == 7 and not train & held


# ---- losses, optimisers, metrics -------------------------------------------------------------------------------------
def test_losses_by_name_and_as_objects():
    y = rng.random((10, 4))
    for name, f in (
        ("mse", F.mse_loss),
        ("mae", F.l1_loss),
        ("huber", F.huber_loss),
        ("mean_squared_error", F.mse_loss),
    ):
        assert np.isclose(
            mi.evaluate(linear(), X, y, loss=name)["loss"], mi.evaluate(linear(), X, y, loss=f)["loss"], rtol=1e-6
        )
    expected = mi.evaluate(linear(), X, LABELS)["loss"]
    for loss in ("cross_entropy", F.cross_entropy, mi.nn.CrossEntropyLoss(), lambda o, t: F.cross_entropy(o, t)):
        assert mi.evaluate(linear(), X, LABELS, loss=loss)["loss"] == expected
    hard = (y > 0.5).astype(np.int64)
    assert np.isclose(
        mi.evaluate(linear(), X, hard, loss="binary_cross_entropy")["loss"],
        mi.evaluate(linear(), X, hard.astype(float), loss=F.binary_cross_entropy_with_logits)["loss"],
        rtol=1e-6,
    )
    soft = mi.evaluate(linear(), X, y / y.sum(1, keepdims=True), loss="cross_entropy")["loss"]
    assert math.isfinite(soft)


def test_regression_targets_of_other_rank():
    y = rng.random(10)
    a, b = (mi.evaluate(linear(1), X, t, loss="mse", metrics=["mse", "mae"]) for t in (y, y[:, None]))
    assert a == b and np.isclose(a["loss"], a["mse"], rtol=1e-6)
    assert np.isclose(a["loss"], np.mean((mi.predict(linear(1), X)[:, 0] - y) ** 2), rtol=1e-5)


@pytest.mark.parametrize(
    "optimizer", ["adam", "SGD", "AdamW", "rmsprop", mi.optim.Adam, lambda p: mi.optim.SGD(p, lr=0.1, momentum=0.9)]
)
def test_optimizers(optimizer):
    model = linear()
    before = weights(model)
    fit(model, X, LABELS, optimizer=optimizer)
    assert weights(model) != before


def test_an_optimizer_that_exists_keeps_its_state():
    model = linear()
    optimizer = mi.optim.SGD(model.parameters(), lr=0.0)
    before = weights(model)
    fit(model, X, LABELS, optimizer=optimizer)
    assert weights(model) == before
    optimizer.param_groups[0]["lr"] = 0.1
    fit(model, X, LABELS, optimizer=optimizer)
    assert weights(model) != before


def test_numbers_are_over_all_samples():
    """Ten samples in batches of four: a mean of batch means would count the last two samples double."""
    model = linear()
    logits = mi.predict(model, X)
    rows = [float(F.cross_entropy(mi.tensor(logits[i : i + 1]), mi.tensor(LABELS[i : i + 1]))) for i in range(10)]
    hits = np.mean(logits.argmax(1) == LABELS)
    options = {"metrics": ["accuracy"], "batch_size": 4}
    history = fit(model, X, LABELS, optimizer=still, validation=(X, LABELS), **options)
    for loss, accuracy in (
        (history["loss"][0], history["accuracy"][0]),
        (history["val_loss"][0], history["val_accuracy"][0]),
        mi.evaluate(model, X, LABELS, **options).values(),
    ):
        assert np.isclose(loss, np.mean(rows), rtol=1e-6) and accuracy == hits
    assert not np.isclose(np.mean([np.mean(rows[i : i + 4]) for i in (0, 4, 8)]), np.mean(rows), rtol=1e-4)


def test_own_metrics():
    def largest(output, target):
        return output.max()

    def hits(output, target):
        return (output.argmax(1) == target).sum(), len(target)

    got = mi.evaluate(linear(), X, LABELS, metrics=[largest, hits, "acc"], batch_size=10)
    logits = mi.predict(linear(), X)
    assert np.isclose(got["largest"], logits.max(), rtol=1e-6) and got["hits"] == got["accuracy"]


@pytest.mark.parametrize(
    "output, target, expected",
    [
        ([[1, 3, 2], [5, 0, 0]], [1, 2], 1 / 2),
        ([[1, 3, 2], [5, 0, 0]], [[1], [0]], 1),  # a column of labels is not broadcast to 2 x 2
        ([[1, 3, 2], [5, 0, 0]], [[0.1, 0.8, 0.1], [0.1, 0.2, 0.7]], 1 / 2),
        ([[1.0], [-1], [2]], [1, 0, 0], 2 / 3),  # one logit: the sign decides
        ([[1.0], [-1], [2]], [[1.0], [0], [0]], 2 / 3),
        ([1.0, -1, 2], [1, 0, 0], 2 / 3),
        ([1.0, -1, 2], [True, False, False], 2 / 3),
        ([[1.0, -1], [2, 3]], [[1, 0], [0, 1]], 3 / 4),  # several labels a sample
        ([[[1.0, 2], [3, 0]]], [[1, 0]], 1),  # (N, C, T) against (N, T)
    ],
)
def test_accuracy(output, target, expected):
    from mielina.train.metrics import METRICS

    total, count = METRICS["accuracy"](mi.tensor(output).float(), mi.tensor(target))
    assert total / count == expected


@pytest.mark.parametrize("output, target", [((4, 3), (4, 4)), ((4, 3), (5,)), ((4,), (4, 4)), ((1, 5), (5, 1))])
def test_accuracy_never_broadcasts(output, target):
    from mielina.train.metrics import METRICS

    with pytest.raises(ValueError, match="broadcast"):
        METRICS["accuracy"](mi.zeros(*output), mi.zeros(*target, dtype=mi.int64))


# ---- repeatable, visible ---------------------------------------------------------------------------------------------
def test_same_seed_same_bits():
    def run(seed, workers=0):
        mi.manual_seed(3)
        model = mi.nn.Sequential(mi.nn.Linear(3, 16), mi.nn.Dropout(0.5), mi.nn.Linear(16, 4))
        fit(model, X, LABELS, seed=seed, epochs=2, batch_size=4, validation_split=0.2)
        return weights(model)

    assert run(1) == run(1) != run(2)


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_threads_do_not_change_the_bits(threads):
    def run():
        mi.manual_seed(3)
        model = mi.nn.Sequential(mi.nn.Linear(300, 200), mi.nn.Dropout(0.5), mi.nn.Linear(200, 4))
        fit(model, np.ones((70, 300)) * np.arange(70)[:, None], np.arange(70) % 4, seed=1, batch_size=32)
        return weights(model)

    before = mi.get_num_threads()
    try:
        mi.set_num_threads(2)
        expected = run()
        mi.set_num_threads(threads)
        assert run() == expected
    finally:
        mi.set_num_threads(before)


def test_verbose(capfd):
    fit(linear(), X, LABELS)
    assert capfd.readouterr() == ("", "")
    mi.fit(linear(), X, LABELS, epochs=2, verbose=1)
    out, err = capfd.readouterr()
    assert out == "" and "epoch 2/2" in err and "loss=" in err
    mi.fit(linear(), X, LABELS, epochs=2, verbose=2, metrics="accuracy", validation_split=0.5)
    out, err = capfd.readouterr()
    assert err == "" and [line.split(":")[0] for line in out.splitlines()] == ["epoch 1/2", "epoch 2/2"]
    assert all(w in out for w in ("loss ", "accuracy ", "val_loss ", "val_accuracy "))
    mi.fit(linear(), Stream(), verbose=True)  # a stream has no length
    with pytest.raises(ValueError, match="verbose"):
        mi.fit(linear(), X, LABELS, verbose=3)


def test_lines_of_callbacks_stand_above_the_bar(capfd, tmp_path):
    saved = mi.ModelCheckpoint(tmp_path / "{epoch}", verbose=1)
    mi.fit(linear(), X, LABELS, epochs=2, verbose=1, callbacks=saved)
    out, err = capfd.readouterr()
    assert out == "".join(f"epoch {i}: saved {tmp_path / str(i)}\n" for i in (1, 2))
    assert err.split("\r")[-1].startswith("epoch 2/2: 100%") and err.count("\r" + " " * 20) == 2  # cleared for each


def test_small_numbers_keep_their_digits(capfd):
    history = mi.fit(linear(1), X, X[:, :1] * 1e-3, loss=lambda y, t: (y - t).square().mean() * 1e-6, verbose=2)
    assert "e-07" in capfd.readouterr().out and "e-07)" in repr(history)


def test_modes_are_put_back():
    model = mi.nn.Sequential(mi.nn.Linear(3, 4), mi.nn.BatchNorm1d(4), mi.nn.Dropout(0.5))
    model[1].eval()  # frozen: its running numbers must not move
    before = model[1].running_mean.tolist()
    modes = []
    hook = mi.LambdaCallback(on_train_batch_end=lambda b, logs: modes.append([m.training for m in model]))
    fit(model, X, LABELS, validation_split=0.3, callbacks=hook)
    assert modes[0] == [True, False, True] == [m.training for m in model]
    assert model[1].running_mean.tolist() == before
    model.eval()
    mi.predict(model, X), mi.evaluate(model, X, LABELS)
    assert not any(m.training for m in model.modules())
    model[2].train()
    mi.predict(model, X)
    assert [m.training for m in model] == [False, False, True]
    fit(model.eval(), X, LABELS, callbacks=hook)
    assert modes[-1] == [True] * 3 and not any(m.training for m in model.modules())


def test_predict_and_evaluate_record_nothing():
    model = linear()
    mi.predict(model, X), mi.evaluate(model, X, LABELS)
    assert all(p.grad is None for p in model.parameters()) and mi.is_grad_enabled()


def test_predict_agrees_for_all_kinds():
    model = linear()
    expected = model(mi.tensor(X).float()).detach().numpy()
    for data in (X, X.tolist(), (X, LABELS), mi.tensor(X), TensorDataset(mi.tensor(X)), Samples(), Stream()):
        for size in (1, 3, 256):
            assert np.allclose(mi.predict(model, data, batch_size=size), expected, rtol=1e-6, atol=1e-7)
    assert np.allclose(mi.predict(model, DataLoader(Samples(), 4)), expected, rtol=1e-6, atol=1e-7)


def test_no_epochs():
    history = fit(linear(), X, LABELS, epochs=0)
    assert history.history == {} and repr(history) == "History(0 epochs)"


# ---- errors ----------------------------------------------------------------------------------------------------------
EMPTY = DataLoader(TensorDataset(mi.zeros(0, 3), mi.zeros(0, dtype=mi.int64)), 4)


@pytest.mark.parametrize(
    "x, y, options, kind, message",
    [
        (X, LABELS + 4, {}, IndexError, "out of bounds"),
        (X, LABELS - 1, {}, IndexError, "out of bounds"),
        (X[:0], LABELS[:0], {}, ValueError, "at least one sample"),
        (np.float64(3), None, {}, ValueError, "at least one sample"),
        (X, LABELS[:5], {}, ValueError, "10 inputs but 5 targets"),
        ((X, LABELS[:5]), None, {}, ValueError, "10 inputs but 5 targets"),
        (X[:, :2], LABELS, {}, RuntimeError, "linear"),
        ((X * 8).astype(np.int64), LABELS, {}, TypeError, "int64.*x.float"),
        (X, LABELS * 0 + 1, {}, ValueError, "all labels are 1"),
        (np.where(X > 0.9, np.nan, X), LABELS, {}, ValueError, "the inputs hold NaN or infinity in epoch 1, batch 1"),
        (X, np.array(list("abcdefghij")), {}, TypeError, "class names become labels by np.unique"),
        (X, LABELS > 1, {}, TypeError, "labels as integers, got mielina.bool"),
        (X, np.eye(4, dtype=int)[LABELS], {}, TypeError, "probabilities .* as floats.*y.argmax"),
        ({"x": X}, LABELS, {}, TypeError, "expected arrays.*got dict"),
        ((X, LABELS, LABELS), None, {}, TypeError, "three arrays; .*sample_weight="),
        (X, LABELS, {"callbacks": mi.EarlyStopping}, TypeError, "the class EarlyStopping: make one"),
        (np.zeros((4, 8, 8, 3), np.uint8), LABELS[:4], {}, TypeError, "uint8"),
        (X.astype(object), LABELS, {}, TypeError, "dtype object"),
        (X.astype(str), LABELS, {}, TypeError, "expected numbers"),
        (X.astype(complex), LABELS, {}, TypeError, "complex128"),
        ([[1.0, 2], [3.0]], [0, 1], {}, ValueError, "no array"),
        (X, LABELS.astype(float), {}, TypeError, "labels as integers.*y.long"),
        (X, np.where(LABELS > 2, np.nan, LABELS), {}, TypeError, "labels as integers"),
        (X, X[:, 0], {"loss": "mse"}, ValueError, "broadcast"),
        (X, LABELS, {"loss": "no"}, ValueError, "unknown loss"),
        (X, LABELS, {"loss": 3}, TypeError, "loss must be"),
        (X, LABELS, {"loss": mi.nn.CrossEntropyLoss}, TypeError, "the class CrossEntropyLoss: make one"),
        (X, LABELS, {"loss": lambda o, t: 3.0}, TypeError, "must be a Tensor, got float"),
        (X, LABELS, {"loss": lambda o, t: o}, ValueError, "must be one number.*mean"),
        (X, LABELS, {"optimizer": "no"}, ValueError, "unknown optimizer"),
        (X, LABELS, {"optimizer": 3}, TypeError, "optimizer must be"),
        (X, LABELS, {"optimizer": lambda p: None}, TypeError, "must make an Optimizer"),
        (X, LABELS, {"metrics": ["no"]}, ValueError, "unknown metric"),
        (X, LABELS, {"metrics": [3]}, TypeError, "metrics"),
        (
            X,
            LABELS,
            {"callbacks": [mi.EarlyStopping()]},
            ValueError,
            "'val_loss' .*among loss; pass validation= for val_",
        ),
        (X, LABELS, {"callbacks": [mi.EarlyStopping("accuracy")]}, ValueError, "among loss; metrics= has it computed"),
        (X, LABELS, {"callbacks": [mi.EarlyStopping]}, TypeError, "the class EarlyStopping: make one"),
        (X, LABELS, {"callbacks": [mi.ModelCheckpoint("a{epok}")]}, ValueError, "'epok'.* from epoch, loss"),
        (X, LABELS, {"callbacks": [print]}, TypeError, "callbacks must be"),
        (X, LABELS, {"epochs": -1}, ValueError, "epochs"),
        (X, LABELS, {"epochs": 1.5}, ValueError, "epochs"),
        (X, LABELS, {"batch_size": 0}, ValueError, "batch_size"),
        (X, LABELS, {"batch_size": 2.5}, ValueError, "batch_size"),
        (X, LABELS, {"validation_split": 1.0}, ValueError, "validation_split"),
        (X, LABELS, {"validation_split": -0.5}, ValueError, "validation_split"),
        (X, LABELS, {"validation_split": 0.95}, ValueError, "leaves no sample"),
        (X, LABELS, {"validation_split": 0.5, "validation": (X, LABELS)}, ValueError, "exclude each other"),
        (Stream(), None, {"validation_split": 0.5}, TypeError, "cannot be split"),
        (Samples(), LABELS, {}, TypeError, "y must be None"),
        (DataLoader(Samples()), LABELS, {}, TypeError, "DataLoader"),
        (EMPTY, None, {}, ValueError, "no batch"),
        (X, LABELS, {"validation": EMPTY}, ValueError, "no batch"),
        (None, None, {}, TypeError, "NoneType"),
        (7, None, {}, TypeError, "int"),
        (TensorDataset(*[mi.zeros(4, 3)] * 3), None, {}, ValueError, "got 3 parts"),
    ],
)
def test_errors(x, y, options, kind, message):
    model = linear()
    before = weights(model)
    with pytest.raises(kind, match=f"(?s){message}"):
        fit(model, x, y, **options)
    assert model.training and (weights(model) == before or "callbacks" in options or "validation" in options)


def test_errors_of_evaluate_and_predict():
    for data in (EMPTY, X[:0]):
        with pytest.raises(ValueError, match="no batch|at least one sample"):
            mi.evaluate(linear(), data)
        with pytest.raises(ValueError, match="no batch|at least one sample"):
            mi.predict(linear(), data)
    with pytest.raises(TypeError, match="y must be None"):
        mi.evaluate(linear(), DataLoader(Samples()), LABELS)
    for loss in ("mse", "cross_entropy"):
        with pytest.raises(TypeError, match="takes one tensor, the model gives tuple: let forward return one"):
            mi.fit(mi.nn.LSTM(3, 2), rng.random((2, 5, 3)), LABELS[:2], loss=loss, verbose=0)
    with pytest.raises(TypeError, match="one Tensor, got tuple"):
        mi.predict(mi.nn.LSTM(3, 2), rng.random((2, 5, 3)))
    for f in (mi.evaluate, mi.predict, mi.fit):
        for wrong in (None, mi.nn.Linear, lambda x: x):
            with pytest.raises(TypeError, match="expected a Module"):
                f(wrong, X)


@pytest.mark.parametrize("where", ["inputs", "targets"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_data_that_are_no_numbers_leave_the_weights_alone(where, bad):
    x, y = X.copy(), X.copy()
    (x if where == "inputs" else y)[3] = bad
    model = linear(3)
    before = weights(model)
    with pytest.raises(ValueError, match=f"the {where} hold NaN or infinity in epoch 1, batch 1"):
        fit(model, x, y, loss="mse", batch_size=10)
    assert weights(model) == before


def test_data_for_validation_that_are_no_numbers():
    x = X.copy()
    x[7] = np.nan
    with pytest.raises(ValueError, match="evaluate: the inputs hold NaN or infinity in batch 2"):
        mi.evaluate(linear(), x, LABELS, batch_size=5)
    with pytest.raises(ValueError, match="fit: validation: the inputs hold NaN or infinity in batch 1"):
        fit(linear(), X, LABELS, validation=(x, LABELS))


def test_a_loss_that_is_no_number_is_told_once():
    options = {"loss": "mse", "batch_size": 10, "epochs": 5, "optimizer": lambda p: mi.optim.SGD(p, lr=1e38)}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(linear(3), X, X, **options)
    messages = [str(w.message) for w in caught if w.category is RuntimeWarning]
    assert len(messages) == 1 and "learning rate" in messages[0]
    assert caught[0].filename == __file__


def test_a_warning_made_an_error_leaves_the_weights_alone():
    model = linear()
    before = weights(model)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeWarning, match="the loss is nan"):
            fit(model, X, LABELS, batch_size=10, loss=lambda output, target: output.sum() * math.nan)
    assert weights(model) == before
