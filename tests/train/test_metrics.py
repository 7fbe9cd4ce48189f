"""Metrics beside scikit-learn's over random draws, in batches of several sizes."""

import math
import warnings

import mielina as mi
import numpy as np
import pytest
from mielina.data import TensorDataset
from mielina.train import (
    F1,
    R2,
    ROCAUC,
    CalibrationError,
    ConfusionMatrix,
    Dice,
    IoU,
    Perplexity,
    Precision,
    Recall,
    TopK,
)

skm = pytest.importorskip("sklearn.metrics")


def over_batches(metric, output, target, size):
    metric.reset()
    for i in range(0, len(target), size):
        metric.update(mi.tensor(output[i : i + size]), mi.tensor(target[i : i + size]))
    return metric.compute()


def draw(seed, n, classes, absent=()):
    """Logits with ties, and labels; `absent` classes are neither true nor predicted."""
    rng = np.random.default_rng(seed)
    z = np.round(rng.normal(size=(n, classes)), 1)
    z[:, list(absent)] = -9
    return z, rng.choice([c for c in range(classes) if c not in absent], n)


CASES = [
    (seed, n, c, absent)
    for seed, (n, c, absent) in enumerate([(40, 2, ()), (57, 5, ()), (30, 6, (2, 5)), (1, 3, ()), (7, 4, (0,))])
]


@pytest.mark.parametrize("size", [1, 4, 1000])
@pytest.mark.parametrize("seed, n, classes, absent", CASES)
def test_averaged_like_sklearn(seed, n, classes, absent, size):
    z, t = draw(seed, n, classes, absent)
    p = z.argmax(1)
    assert (over_batches(ConfusionMatrix(), z, t, size) == skm.confusion_matrix(t, p, labels=range(classes))).all()
    pairs = ((Precision, skm.precision_score), (Recall, skm.recall_score), (F1, skm.f1_score), (IoU, skm.jaccard_score))
    for ours, theirs in (*pairs, (Dice, skm.f1_score)):
        for average in ("macro", "micro", "weighted", *(["binary"] if classes == 2 else [])):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                expected = theirs(t, p, average=average, zero_division=0)
            assert over_batches(ours(average), z, t, size) == pytest.approx(expected, abs=1e-12)
        each = theirs(t, p, average=None, labels=range(classes), zero_division=0)
        assert over_batches(ours(None), z, t, size) == pytest.approx(each, abs=1e-12)
    auto = skm.f1_score(t, p, average="binary" if classes == 2 else "macro", zero_division=0)
    assert over_batches(F1(), z, t, size) == pytest.approx(auto, abs=1e-12)


@pytest.mark.parametrize("size", [3, 1000])
@pytest.mark.parametrize("seed", range(5))
def test_ranks_like_sklearn(seed, size):
    z, t = draw(seed, 60, 4)
    softmax = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    expected = skm.roc_auc_score(t, softmax, multi_class="ovr")
    assert over_batches(ROCAUC(), z, t, size) == pytest.approx(expected, abs=1e-12)
    one, b = z[:, 0], (t > 1).astype(np.int64)
    for shape in ((-1,), (-1, 1)):
        got = over_batches(ROCAUC(), one.reshape(shape), b, size)
        assert got == pytest.approx(skm.roc_auc_score(b, one), abs=1e-12)
    two = skm.roc_auc_score(b, z[:, 1] - z[:, 0])
    assert over_batches(ROCAUC(), z[:, :2], b, size) == pytest.approx(two, abs=1e-12)
    for k in (1, 2, 4, 9):
        smooth = z + np.random.default_rng(seed).normal(size=z.shape) * 1e-3  # scikit-learn takes ties from the end
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = skm.top_k_accuracy_score(t, smooth, k=k, labels=range(4))
        assert over_batches(TopK(k), smooth, t, size) == pytest.approx(expected)


def test_an_area_of_one_class_is_no_number():
    assert math.isnan(ROCAUC()(np.zeros(4), np.ones(4, int))) and math.isnan(ROCAUC().compute())
    z, t = draw(0, 40, 4, absent=(1,))
    softmax = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    areas = [skm.roc_auc_score(t == c, softmax[:, c]) for c in (0, 2, 3)]
    assert ROCAUC()(z, t) == pytest.approx(np.mean(areas), abs=1e-12)


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("outputs", [None, 1, 3])
def test_regression_like_sklearn(outputs, size):
    rng = np.random.default_rng(0)
    shape = (50,) if outputs is None else (50, outputs)
    y = 1e6 + rng.normal(size=shape)  # a large mean: sums of squares would cancel
    x = y + rng.normal(size=shape) * 0.3
    assert over_batches(R2(), x, y, size) == pytest.approx(skm.r2_score(y, x), rel=1e-9)
    flat = np.full(shape, 2.5)
    assert over_batches(R2(), flat, flat, size) == skm.r2_score(flat, flat) == 1
    assert over_batches(R2(), flat + 1, flat, size) == skm.r2_score(flat, flat + 1) == 0
    if outputs:
        got = mi.evaluate(mi.nn.Identity().double(), x - 1e6, y - 1e6, loss="mse", metrics=["mae", "mse", "r2"])
        assert got["mae"] == pytest.approx(skm.mean_absolute_error(y, x), rel=1e-4)
        assert got["mse"] == pytest.approx(skm.mean_squared_error(y, x), rel=1e-4)
    assert math.isnan(R2()(np.ones(1), np.ones(1)))


def test_perplexity_and_calibration():
    z, t = draw(3, 80, 5)
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    assert over_batches(Perplexity(), z, t, 9) == pytest.approx(math.exp(skm.log_loss(t, p, labels=range(5))))
    half = np.where(np.arange(80) < 40, t, -100)
    assert over_batches(Perplexity(), z, half, 9) == pytest.approx(
        math.exp(skm.log_loss(t[:40], p[:40], labels=range(5)))
    )
    sure, right, bins = p.max(1), p.argmax(1) == t, 10
    expected = 0.0
    for k in range(bins):
        inside = (sure > k / bins) & (sure <= (k + 1) / bins)
        if inside.any():
            expected += abs(sure[inside].sum() - right[inside].sum()) / len(t)
    assert over_batches(CalibrationError(bins), z, t, 9) == pytest.approx(expected)
    logit = z[:, 0]
    both = np.stack([np.zeros(80), logit], 1)
    assert CalibrationError()(logit, t % 2) == pytest.approx(CalibrationError()(both, t % 2))


def test_masks():
    rng = np.random.default_rng(1)
    z, t = rng.normal(size=(3, 4, 5, 6)), rng.integers(0, 4, (3, 5, 6))
    p = z.argmax(1).reshape(-1)
    assert IoU()(z, t) == pytest.approx(skm.jaccard_score(t.reshape(-1), p, average="macro"))
    b = (t > 1).astype(int)[:, None]
    assert Dice()(z[:, :1], b) == pytest.approx(skm.f1_score(b.reshape(-1), (z[:, :1] > 0).reshape(-1)))


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_predicted_labels_like_sklearn(size):
    rng = np.random.default_rng(0)
    for classes in (2, 5):
        p, t = rng.integers(classes, size=(2, 60))
        assert np.array_equal(over_batches(ConfusionMatrix(), p, t, size), skm.confusion_matrix(t, p))
        assert math.isclose(over_batches(F1("macro"), p, t, size), skm.f1_score(t, p, average="macro"))
        got = mi.evaluate(mi.nn.Identity(), TensorDataset(mi.tensor(p), mi.tensor(t)), loss=zero, metrics=["accuracy"])
        assert got["accuracy"] == skm.accuracy_score(t, p)
    assert ConfusionMatrix()(np.zeros(0, int), np.zeros(0, int)).tolist() == [[0, 0], [0, 0]]
    for p, t in (([0, 1], [-1, 1]), ([-1, 1], [0, 1]), ([0.5, -2.0], [1, 2])):
        with pytest.raises(IndexError, match="labels from .* for 2 classes"):
            ConfusionMatrix()(p, t)


def zero(output, target):
    return output.float().sum() * 0


def test_in_fit_over_all_samples():
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(50, 3)), rng.integers(0, 3, 50)
    model = mi.nn.Linear(3, 3)
    names = ["precision", "recall", "f1", "auc", "top_5_accuracy", "iou", "dice", "perplexity", "calibration_error"]
    options = {"metrics": [*names, TopK(2)], "batch_size": 7, "verbose": 0}
    history = mi.fit(model, x, t, validation=(x, t), optimizer=lambda p: mi.optim.SGD(p, lr=0.0), **options)
    z = mi.predict(model, x)
    for name, expected in (
        ("precision", Precision()(z, t)),
        ("auc", ROCAUC()(z, t)),
        ("f1", skm.f1_score(t, z.argmax(1), average="macro")),
        ("top_2_accuracy", TopK(2)(z, t)),
        ("perplexity", Perplexity()(z, t)),
        ("top_5_accuracy", 1.0),
    ):
        assert history[name][0] == pytest.approx(expected, rel=1e-6) == history["val_" + name][0]


def test_states_go_on_where_they_were():
    z, t = draw(1, 30, 3)
    for metric in (ROCAUC(), F1(), TopK(2), Perplexity(), CalibrationError()):
        whole = over_batches(metric, z, t, 10)
        over_batches(metric, z[:20], t[:20], 10)
        other = type(metric)()
        other.load_state_dict(metric.state_dict())
        other.update(mi.tensor(z[20:]), mi.tensor(t[20:]))
        assert other.compute() == pytest.approx(whole, abs=1e-15)


def test_errors():
    z, t = draw(0, 10, 3)
    for metric in (ConfusionMatrix(), F1(), TopK(), ROCAUC(), Perplexity(), CalibrationError()):
        with pytest.raises(IndexError, match="labels from .* for 3 classes"):
            metric(z, t + 3)
    with pytest.raises(ValueError, match="unknown average"):
        F1("mean")
    with pytest.raises(ValueError, match="two classes"):
        F1("binary")(z, t)
    with pytest.raises(ValueError, match="broadcast"):
        F1()(z, t[:5])
    for make in (lambda: TopK(0), lambda: CalibrationError(0)):
        with pytest.raises(ValueError, match="from 1 up"):
            make()
    with pytest.raises(TypeError, match="the class F1: make one"):
        mi.evaluate(mi.nn.Linear(3, 3), z, t, metrics=[F1])
    with pytest.raises(TypeError, match="no number"):
        mi.evaluate(mi.nn.Linear(3, 3), z, t, metrics=[ConfusionMatrix()])
