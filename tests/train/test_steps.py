"""fit's steps: accumulation, autocast, weights, means of weights, schedules; and what the first batch says."""

import csv
import math
import warnings

import mielina as mi
import mielina.nn.functional as F
import numpy as np
import pytest
from mielina.train import Callback

rng = np.random.default_rng(0)
X, LABELS = rng.normal(size=(24, 3)), np.arange(24) % 3


def linear(outputs=3):
    mi.manual_seed(1)
    return mi.nn.Linear(3, outputs)


def fit(model, x=X, y=LABELS, **options):
    return mi.fit(model, x, y, **{"verbose": 0, "seed": 0, "optimizer": sgd, **options})


def sgd(p):
    return mi.optim.SGD(p, lr=0.1)


def heard(*args, **options):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(*args, **options)
    assert all(w.filename == __file__ for w in caught)
    return [str(w.message) for w in caught if w.category is UserWarning]


# ---- steps -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("size, k", [(8, 3), (5, 5), (4, 100), (24, 1)])
def test_accumulation_is_the_big_batch(size, k):
    big, small = linear(), linear()
    a = fit(big, batch_size=24, epochs=3)
    b = fit(small, batch_size=size, accumulate=k, epochs=3)
    assert np.allclose(a["loss"], b["loss"], rtol=1e-6)
    assert np.allclose(big.weight.tolist(), small.weight.tolist(), rtol=1e-5, atol=1e-7)


def test_accumulation_steps_once_for_k_batches():
    steps = []

    class Count(mi.optim.SGD):
        def step(self, closure=None):
            steps.append(1)
            return super().step(closure)

    fit(linear(), batch_size=4, accumulate=4, optimizer=lambda p: Count(p, lr=0.1))
    assert len(steps) == 2  # four batches, then two


def test_bfloat16_computes_products_in_bfloat16():
    seen = []

    class Spy(mi.nn.Linear):
        def forward(self, x):
            y = super().forward(x)
            seen.append((self.training, y.dtype))
            return y

    mi.manual_seed(1)
    model = Spy(3, 3)
    history = fit(model, precision="bfloat16", epochs=5, validation_data=(X, LABELS))
    assert {d for _, d in seen} == {mi.bfloat16} and model.weight.dtype is mi.float32
    assert np.allclose(history["loss"], fit(linear(), epochs=5)["loss"], rtol=2e-2)
    with pytest.raises(ValueError, match="in float16 gradients below 3e-8 are 0 without a loss scale"):
        fit(linear(), precision="float16")


def test_class_weights():
    z, w = mi.tensor(mi.predict(linear(), X)), {0: 2.0, 2: 0.5}
    each = F.cross_entropy(z, mi.tensor(LABELS), reduction="none").numpy()
    expected = np.mean(each * np.array([2.0, 1.0, 0.5])[LABELS])
    still = {"optimizer": lambda p: mi.optim.SGD(p, lr=0.0), "batch_size": 7}
    assert fit(linear(), class_weight=w, **still)["loss"][0] == pytest.approx(expected, rel=1e-6)
    y = np.repeat([0, 1, 2], [4, 8, 12])
    balanced = fit(linear(), y=y, class_weight="balanced", **still)["loss"][0]
    by_hand = fit(linear(), y=y, class_weight={0: 2.0, 1: 1.0, 2: 24 / 36}, **still)["loss"][0]
    assert balanced == pytest.approx(by_hand, rel=1e-6)
    weight = rng.random(24)
    got = fit(linear(), class_weight=w, sample_weight=weight, **still)["loss"][0]
    assert got == pytest.approx(np.mean(each * np.array([2.0, 1.0, 0.5])[LABELS] * weight), rel=1e-6)
    b = (LABELS > 0).astype(int)
    logit = mi.tensor(mi.predict(linear(1), X)[:, 0])
    each = F.binary_cross_entropy_with_logits(logit, mi.tensor(b).float(), reduction="none").numpy()
    got = fit(linear(1), y=b, loss="binary_cross_entropy", class_weight={1: 3.0}, **still)["loss"][0]
    assert got == pytest.approx(np.mean(each * np.where(b, 3.0, 1.0)), rel=1e-6)


def test_a_sample_of_weight_0_teaches_nothing():
    weight = (np.arange(24) < 12).astype(float)
    a, b = linear(), linear()
    fit(a, batch_size=24, sample_weight=weight, optimizer=lambda p: mi.optim.SGD(p, lr=0.2))
    fit(b, X[:12], LABELS[:12], batch_size=12)
    assert np.allclose(a.weight.tolist(), b.weight.tolist(), rtol=1e-5)


@pytest.mark.parametrize(
    "options, kind, message",
    [
        ({"class_weight": {5: 1.0}}, ValueError, "class 5, the model gives 3"),
        ({"class_weight": {0: -1.0}}, ValueError, "not negative"),
        ({"class_weight": {"a": 1.0}}, TypeError, "whole numbers"),
        ({"class_weight": [1, 2, 3]}, TypeError, "must be a dict"),
        ({"class_weight": {0: 1.0}, "loss": F.cross_entropy}, TypeError, "a loss by name"),
        ({"class_weight": {0: 1.0}, "loss": "mse", "y": X}, ValueError, "losses of classes"),
        ({"sample_weight": np.ones(3)}, ValueError, "each of the 24"),
        ({"sample_weight": -np.ones(24)}, ValueError, ">= 0"),
        ({"accumulate": 0}, ValueError, "accumulate"),
        ({"precision": "int8"}, ValueError, "precision"),
        ({"validation": (X, LABELS), "validation_data": (X, LABELS)}, ValueError, "another name"),
    ],
)
def test_errors(options, kind, message):
    with pytest.raises(kind, match=message):
        fit(linear(), **options)


def test_overfit_batch_sees_one_batch():
    seen = []

    class Spy(mi.nn.Linear):
        def forward(self, x):
            seen.append(x.tolist())
            return super().forward(x)

    mi.manual_seed(1)
    loss = fit(Spy(3, 3), batch_size=4, epochs=300, overfit_batch=True)["loss"]
    assert len(seen) == 300 and all(x == seen[0] for x in seen) and len(seen[0]) == 4
    assert loss[-1] < loss[0] / 3


# ---- means of weights, schedules, files ------------------------------------------------------------------------------
def test_ema():
    weights, seen = [], []
    model = linear()
    first = model.weight.detach().clone()
    log = mi.LambdaCallback(on_train_batch_end=lambda b, logs: weights.append(model.weight.detach().clone()))
    test = mi.LambdaCallback(on_test_batch_begin=lambda b, logs: seen.append(model.weight.detach().clone()))
    fit(model, callbacks=[mi.EMA(0.8), log, test], epochs=2, batch_size=8, validation=(X, LABELS))
    mean = weights[0]
    for k, w in enumerate(weights[1:], 2):
        mean = mean * 0.8 + w * 0.2
        if k == 3:
            assert np.allclose(seen[0].tolist(), mean.tolist(), rtol=1e-6)
    assert np.allclose(model.weight.tolist(), mean.tolist(), rtol=1e-6) and not mi.equal(first, model.weight)


def test_swa():
    weights = []
    mi.manual_seed(0)
    model = mi.nn.Sequential(mi.nn.Linear(3, 4), mi.nn.BatchNorm1d(4), mi.nn.Linear(4, 3))
    log = mi.LambdaCallback(on_epoch_end=lambda e, logs: weights.append(model[0].weight.detach().numpy().copy()))
    for wrong in (-1, 1.5, "2"):
        with pytest.raises(ValueError, match="SWA: start_epoch must be a whole number from 0 up"):
            mi.SWA(wrong)
    fit(model, callbacks=[log, mi.SWA(2)], epochs=5, batch_size=24)
    assert np.allclose(model[0].weight.tolist(), np.mean(weights[2:], 0), rtol=1e-5)
    hidden = X.astype(np.float32) @ model[0].weight.detach().numpy().T + model[0].bias.detach().numpy()
    assert np.allclose(model[1].running_mean.tolist(), hidden.mean(0), atol=1e-5)


def test_learning_rates():
    by_function = mi.LearningRateScheduler(lambda epoch, lr: lr / 2 if epoch else lr)
    assert fit(linear(), callbacks=by_function, epochs=3)["learning_rate"] == [0.1, 0.05, 0.025]
    model = linear()
    optimizer = sgd(model.parameters())
    steps = mi.optim.lr_scheduler.StepLR(optimizer, 1, 0.1)
    history = fit(model, optimizer=optimizer, callbacks=mi.LearningRateScheduler(steps), epochs=3)
    assert history["learning_rate"] == pytest.approx([0.1, 0.01, 0.001])
    with pytest.raises(ValueError, match="must give a number"):
        fit(linear(), callbacks=mi.LearningRateScheduler(lambda e, lr: None))


@pytest.mark.parametrize(
    "values, options, rates",
    [
        ([3, 2, 2, 2, 2], {"patience": 2}, [1, 1, 1, 1, 0.1]),
        ([3, 3, 3, 3], {"patience": 1, "factor": 0.5, "min_lr": 0.3}, [1, 1, 0.5, 0.3]),
        ([3, 3, 3, 3, 3, 3], {"patience": 1, "cooldown": 2}, [1, 1, 0.1, 0.1, 0.01, 0.01]),
        ([3, 2.99995, 2.9999], {"patience": 1}, [1, 1, 0.1]),
    ],
)
def test_reduce_on_plateau(values, options, rates):
    script = mi.LambdaCallback(on_epoch_end=lambda e, logs: logs.update(val_loss=values[e]))
    plateau = mi.ReduceLROnPlateau(**options)
    history = fit(
        linear(), callbacks=[script, plateau], epochs=len(values), optimizer=lambda p: mi.optim.SGD(p, lr=1.0)
    )
    assert history["learning_rate"] == pytest.approx(rates)
    with pytest.raises(ValueError, match="below 1"):
        mi.ReduceLROnPlateau(factor=1.0)


def test_early_stopping_with_a_baseline():
    for baseline, epochs in ((1.5, 3), (4.5, 4)):
        script = mi.LambdaCallback(on_epoch_end=lambda e, logs: logs.update(val_loss=[5, 4, 4, 4, 1][e]))
        stop = mi.EarlyStopping(patience=2, baseline=baseline)
        assert len(fit(linear(), callbacks=[script, stop], epochs=5)["loss"]) == epochs


def test_csv(tmp_path):
    path = tmp_path / "log.csv"
    history = fit(linear(), callbacks=mi.CSVLogger(path), epochs=3, validation=(X, LABELS))
    rows = list(csv.DictReader(path.open()))
    assert [r["epoch"] for r in rows] == ["0", "1", "2"]
    assert [float(r["val_loss"]) for r in rows] == history["val_loss"]
    fit(linear(), callbacks=mi.CSVLogger(path, append=True), epochs=2, validation=(X, LABELS))
    assert len(path.read_text().splitlines()) == 6
    fit(linear(), callbacks=mi.CSVLogger(path, ";"), epochs=1)
    assert path.read_text().startswith("epoch;loss\n0;")


def test_tensorboard(tmp_path):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")

    class Picture(Callback):
        def on_epoch_end(self, epoch, logs):
            board.image("ramp", np.linspace(0, 1, 12).reshape(3, 4), epoch)
            board.image("colours", mi.rand(3, 5, 6), epoch)

    board = mi.TensorBoard(tmp_path, histogram_freq=1, update_freq="batch")
    model = linear()
    history = fit(model, callbacks=[board, Picture()], epochs=2, batch_size=8, validation=(X, LABELS))
    train, held = (
        reader.EventAccumulator(str(tmp_path / part), {"images": 0, "histograms": 0}).Reload()
        for part in ("train", "validation")
    )
    assert [e.value for e in train.Scalars("epoch_loss")] == pytest.approx(history["loss"], rel=1e-6)
    assert [e.value for e in held.Scalars("epoch_loss")] == pytest.approx(history["val_loss"], rel=1e-6)
    assert [e.step for e in train.Scalars("batch_loss")] == [1, 2, 3, 4, 5, 6]
    histogram = train.Histograms("weight")[-1].histogram_value
    assert histogram.num == 9 == sum(histogram.bucket) and histogram.max == pytest.approx(
        model.weight.detach().numpy().max()
    )
    image = train.Images("ramp")[0]
    assert (image.width, image.height) == (4, 3) and image.encoded_image_string[:4] == b"\x89PNG"
    matplotlib = pytest.importorskip("matplotlib.image")
    import io

    pixels = matplotlib.imread(io.BytesIO(image.encoded_image_string))
    assert np.allclose(pixels, np.round(np.linspace(0, 1, 12).reshape(3, 4) * 255) / 255, atol=1e-6)
    colours = matplotlib.imread(io.BytesIO(train.Images("colours")[0].encoded_image_string))
    assert colours.shape == (5, 6, 3)


# ---- numbers that are none -------------------------------------------------------------------------------------------
def test_terminate_on_nan_names_the_module():
    class Root(mi.nn.Module):
        def forward(self, x):
            return x.sqrt()

    mi.manual_seed(0)
    model = mi.nn.Sequential(mi.nn.Linear(3, 4), mi.nn.BatchNorm1d(4), Root(), mi.nn.Linear(4, 3))
    before = [t.tolist() for t in model[0].parameters()]
    stop = mi.TerminateOnNaN()
    with pytest.warns(RuntimeWarning, match=r"the first NaN or infinity comes from 2 \(Root\)$"):
        history = fit(model, callbacks=stop, epochs=3)
    assert len(history["loss"]) == 1 and "Root" in stop.module
    assert [t.tolist() for t in model[0].parameters()] == before
    model = linear()
    model.bias.detach().fill_(math.inf)
    with pytest.warns(RuntimeWarning, match=r"the model \(Linear\), whose bias held NaN or infinity already"):
        fit(model, callbacks=stop)


# ---- the first batch -------------------------------------------------------------------------------------------------
def test_a_good_start_says_nothing():
    assert heard(linear(), epochs=2) == []
    assert heard(linear(1), y=X[:, 0], loss="mse") == []


def test_first_batch():
    (loss,) = heard(linear(), X * 1000, epochs=3)
    assert "ln(3) = 1.1" in loss
    (constant,) = heard(linear(), np.ones((24, 3)), epochs=2)
    assert "constant" in constant

    class Idle(mi.nn.Linear):
        def __init__(self):
            super().__init__(3, 3)
            self.other = mi.nn.Linear(2, 2)

    mi.manual_seed(0)
    (idle,) = heard(Idle(), epochs=2)
    assert "no gradient reaches other.weight, other.bias" in idle
    (labels,) = heard(linear(4), y=LABELS + 1, epochs=2)
    assert "labels start at 1" in labels
    with pytest.raises(ValueError, match="all labels are 2: there is nothing to tell apart"):
        fit(linear(), y=LABELS * 0 + 2)
    with pytest.raises(IndexError, match="from 1 to 3, but 3 classes are numbered from 0"):
        fit(linear(), y=LABELS + 1)


@pytest.mark.parametrize("loss", ["categorical_crossentropy", mi.nn.CrossEntropyLoss()])
def test_a_softmax_before_a_loss_of_logits(loss):
    (said,) = heard(mi.nn.Sequential(linear(), mi.nn.Softmax(1)), loss=loss, epochs=2)
    assert said == "fit: the model ends in softmax and the loss takes logits: leave softmax out"
    assert heard(mi.nn.Sequential(linear(), mi.nn.LogSoftmax(1)), loss=loss) == []  # changes nothing


def test_a_sigmoid_before_a_loss_of_logits():
    y, model = LABELS % 2, mi.nn.Sequential(linear(1), mi.nn.Sigmoid(), mi.nn.Flatten(0))
    assert "ends in sigmoid" in heard(model, y=y * 1.0, loss="binary_cross_entropy")[0]
    assert heard(model, y=y * 1.0, loss=mi.nn.BCELoss()) == []
    assert heard(mi.nn.Sequential(linear(), mi.nn.Sigmoid()), y=np.eye(3)[LABELS], loss="mse") == []


@pytest.mark.parametrize("loss", ["binary_cross_entropy", mi.nn.BCEWithLogitsLoss()])
def test_labels_of_one_logit_are_0_and_1(loss):
    for y, seen in ((LABELS % 2 * 2 - 1, "from -1 to 1"), (LABELS % 2 + 1.0, "from 1 to 2")):
        with pytest.raises(IndexError, match=f"{seen} and should be 0 or 1"):
            fit(linear(1), y=y, loss=loss)
    fit(linear(1), y=LABELS % 2, loss=loss)
    with pytest.raises(ValueError, match='one output is 0: two outputs, or loss="binary_cross_entropy"'):
        fit(linear(1), y=LABELS % 2)


@pytest.mark.parametrize("loss", [mi.nn.MSELoss(), mi.nn.functional.mse_loss, mi.nn.HuberLoss(), mi.nn.L1Loss()])
def test_loss_objects_never_broadcast(loss):
    """(N) against (N, 1) is reshaped, as for losses by name; what a function of the user's broadcasts is an error."""
    mi.manual_seed(0)
    flat, column = linear(1), linear(1)
    column.load_state_dict(flat.state_dict())
    a = fit(flat, y=X[:, 0], loss=loss, epochs=3, seed=0)
    b = fit(column, y=X[:, :1], loss=loss, epochs=3, seed=0)
    assert a["loss"] == b["loss"]
    with pytest.raises(ValueError, match="would be broadcast"):
        fit(linear(2), y=X[:, 0], loss=loss)


def test_a_broadcasting_loss_of_the_user_is_an_error():
    with pytest.raises(ValueError, match=r"broadcasts outputs \(24, 1\) and targets \(24,\) to \(24, 24\)"):
        fit(linear(1), y=X[:, 0], loss=lambda output, target: ((output - target) ** 2).mean())
    fit(linear(1), y=X[:, 0], loss=lambda output, target: ((output.squeeze(1) - target) ** 2).mean())
    fit(linear(2), y=X[:, :1], loss=lambda output, target: ((output - target) ** 2).mean())  # quantiles of one target


@pytest.mark.parametrize("run", [mi.fit, mi.evaluate, mi.predict])
def test_channels_last(run):
    model = mi.nn.Sequential(mi.nn.Conv2d(3, 2, 3), mi.nn.Flatten(), mi.nn.Linear(72, 2))
    x = rng.random((4, 8, 8, 3))
    data = (x,) if run is mi.predict else (x, np.arange(4) % 2)
    with pytest.raises(TypeError, match=r"channels last.*ToTensor.*permute"):
        run(model, *data)
    with pytest.raises(TypeError, match="uint8.*ToTensor"):
        run(model, (x * 255).astype(np.uint8), *data[1:])


def test_names_of_metrics_do_not_hide_each_other():
    metrics = [mi.train.F1("macro"), mi.train.F1("micro"), lambda o, t: 0.25, lambda o, t: 0.5, "accuracy", "acc"]
    history = fit(linear(), metrics=metrics).history
    assert list(history) == ["loss", "f1", "f1_1", "<lambda>", "<lambda>_1", "accuracy"]
    assert history["f1_1"] == pytest.approx(history["accuracy"]) and history["<lambda>_1"] == [0.5]
    assert fit(linear(), metrics=lambda o, t: 0.5)["<lambda>"] == [0.5]

    def loss(output, target):
        return 0.0

    with pytest.raises(ValueError, match="must not be called loss"):
        fit(linear(), metrics=loss)
    with pytest.raises(TypeError, match="got a dict"):
        fit(linear(), metrics={"a": "accuracy"})


def test_schedules():
    for schedule in (lambda epoch: 0.1 / (epoch + 1), lambda epoch, lr: 0.1 / (epoch + 1)):
        history = fit(linear(), callbacks=mi.LearningRateScheduler(schedule), epochs=2)
        assert history["learning_rate"] == [0.1, 0.05]
    other = mi.optim.SGD(linear().parameters(), 0.1)
    with pytest.raises(ValueError, match="of another optimizer than fit's"):
        fit(linear(), callbacks=mi.LearningRateScheduler(mi.optim.lr_scheduler.StepLR(other, 1)))
    with pytest.raises(TypeError, match="callback mi.ReduceLROnPlateau"):
        mi.LearningRateScheduler(mi.optim.lr_scheduler.ReduceLROnPlateau(other))
    with pytest.raises(TypeError, match="must be Callback objects, got StepLR"):
        fit(linear(), callbacks=mi.optim.lr_scheduler.StepLR(other, 1))
    with pytest.raises(ValueError, match="there are adadelta, adagrad, adam, adamax, adamw, asgd, nadam"):
        fit(linear(), optimizer="lbfgs")


def test_a_split_of_weighted_samples_validates_without_weights():
    history = fit(linear(), sample_weight=np.ones(len(X)), validation_split=0.25, epochs=2)
    assert len(history["val_loss"]) == 2


@pytest.mark.parametrize("run", [mi.fit, mi.evaluate, mi.predict])
def test_images_without_channels_and_whole_numbers(run):
    x, y = rng.random((4, 8, 8)), [] if run is mi.predict else [np.arange(4) % 2]
    dense = mi.nn.Sequential(mi.nn.Flatten(), mi.nn.Linear(64, 2))
    conv = mi.nn.Sequential(mi.nn.Conv2d(1, 2, 3), mi.nn.Flatten(), mi.nn.Linear(72, 2))
    with pytest.raises(TypeError, match=r"without an axis of channels: x\[:, None\], or .*ToTensor"):
        run(conv, x, *y)
    for model in (dense, conv):
        with pytest.raises(TypeError, match=r"inputs of mielina.uint8.*x.float\(\) / 255 if .*ToTensor"):
            run(model, (x * 255).astype(np.uint8), *y)
    with pytest.raises(TypeError, match=r"inputs of mielina.int64; the model computes with floats: x.float\(\)$"):
        run(dense, (x * 255).astype(int), *y)


def test_keras_habits():
    model = linear()
    for name in ("fit", "evaluate", "predict", "compile"):
        with pytest.raises(AttributeError, match=rf"use mi.{name.replace('compile', 'fit')}\(model"):
            getattr(model, name)(X, LABELS)
    with pytest.raises(ValueError, match="no parameter of this model"):
        fit(model, optimizer=mi.optim.Adam(linear().parameters()))

    class Own(mi.nn.Linear):
        def fit(self):
            return 3

    assert Own(2, 2).fit() == 3 and not hasattr(model, "fit")
    model.fit = 4
    assert model.fit == 4
