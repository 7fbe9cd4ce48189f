"""Metrics that are no means over samples: from a confusion matrix, from ranks, from bins. Equal to scikit-learn's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import dtypes
from ..tensor import Tensor
from .metrics import Metric, decide, match, numpy_of


def _in_range(labels: np.ndarray, classes: int) -> np.ndarray:
    if labels.size and (labels.min() < 0 or labels.max() >= classes):
        raise IndexError(f"metrics: labels from {labels.min()} to {labels.max()} for {classes} classes")
    return labels


def _logits(output: Tensor) -> tuple[np.ndarray, bool]:
    """(samples, classes) in float64 with the classes last, and whether one logit stands for two classes."""
    z = numpy_of(output).astype(np.float64)
    if z.ndim < 2 or z.shape[1] == 1:
        return z.reshape(-1, 1), True
    return np.moveaxis(z, 1, -1).reshape(-1, z.shape[1]), False


def _probabilities(z: np.ndarray, single: bool) -> np.ndarray:
    if single:
        z = np.concatenate([np.zeros_like(z), z], 1)
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)  # type: ignore[no-any-return]


def _labels(target: Tensor, shape: tuple[int, ...], single: bool, classes: int) -> np.ndarray:
    """One label a row of `_logits`; probabilities as targets count by their largest."""
    if single:
        return (numpy_of(target).reshape(-1) > 0.5).astype(np.int64)
    labels = numpy_of(target.argmax(1) if target.shape == shape else target).reshape(-1).astype(np.int64)
    return _in_range(labels, classes)


class ConfusionMatrix(Metric):
    """Counts (classes, classes) of int64: rows are true labels, columns predicted ones.

    output: logits (N, C) or (N, C, ...) with labels (N) or (N, ...); or one logit a sample with 0/1; or predicted
    labels, whole numbers of the labels' shape. IndexError: labels out of range.

    >>> mi.train.ConfusionMatrix()(mi.tensor([[2.0, 1.0], [0.0, 3.0], [0.0, 1.0]]), mi.tensor([0, 1, 0]))
    array([[1, 1],
           [0, 1]])
    """

    def __init__(self) -> None:
        self.matrix = np.zeros((0, 0), np.int64)

    def reset(self) -> None:
        self.matrix = np.zeros((0, 0), np.int64)

    def update(self, output: Tensor, target: Tensor) -> None:
        found, true, c = decide(output, target)
        if true.dtype is dtypes.bool:
            _in_range(numpy_of(target), 2)
        t, p = (_in_range(numpy_of(x).reshape(-1).astype(np.int64), c) for x in (true, found))
        before = len(self.matrix)  # predicted labels may be larger in later batches
        c = max(c, before)
        batch = np.bincount(t * c + p, minlength=c * c).reshape(c, c)
        batch[:before, :before] += self.matrix
        self.matrix = batch

    def compute(self) -> Any:
        return self.matrix


class _Averaged(ConfusionMatrix):
    """A ratio a class, from hits, predicted and true counts.

    average: "binary" (of class 1), "macro" (the mean over the classes that occur among labels or predictions), "micro"
    (from summed counts), "weighted" (by the classes' true counts), None (an array, for calls outside fit), or "auto":
    binary for two classes, else macro. A class with nothing to divide by counts as 0, as in scikit-learn.
    """

    def __init__(self, average: str | None = "auto") -> None:
        if average not in ("auto", "binary", "macro", "micro", "weighted", None):
            raise ValueError(f"{type(self).__name__}: unknown average {average!r}")
        super().__init__()
        self.average = average

    def _counts(self, hits: Any, found: Any, true: Any) -> tuple[Any, Any]:
        """Numerator and denominator of the ratio."""
        raise NotImplementedError

    def compute(self) -> Any:
        hits, found, true = np.diag(self.matrix), self.matrix.sum(0), self.matrix.sum(1)
        average = ("binary" if len(hits) == 2 else "macro") if self.average == "auto" else self.average
        if average == "micro":
            hits, found, true = (np.array([x.sum()]) for x in (hits, found, true))
        top, bottom = self._counts(hits, found, true)
        ratios = np.divide(top, bottom, out=np.zeros(len(hits)), where=np.asarray(bottom) > 0)
        if average is None:
            return ratios
        if average == "binary":
            if len(ratios) != 2:
                raise ValueError(f'{type(self).__name__}: average="binary" needs two classes, got {len(ratios)}')
            return float(ratios[1])
        weights = true if average == "weighted" else (found + true > 0).astype(np.int64)
        return float((ratios * weights).sum() / weights.sum()) if weights.sum() else 0.0


class Precision(_Averaged):
    """True positives among predicted ones, tp / (tp + fp).

    >>> mi.train.Precision()(mi.tensor([1.0, 2.0, -1.0]), mi.tensor([1, 0, 1]))
    0.5
    """

    def _counts(self, hits: Any, found: Any, true: Any) -> tuple[Any, Any]:
        return hits, found


class Recall(_Averaged):
    """True positives among true ones, tp / (tp + fn).

    >>> mi.train.Recall()(mi.tensor([1.0, 2.0, 3.0]), mi.tensor([1, 0, 1]))
    1.0
    """

    def _counts(self, hits: Any, found: Any, true: Any) -> tuple[Any, Any]:
        return hits, true


class F1(_Averaged):
    """The harmonic mean of precision and recall, 2 tp / (2 tp + fp + fn).

    >>> mi.train.F1()(mi.tensor([1.0, 2.0, -1.0]), mi.tensor([1, 0, 1]))
    0.5
    """

    def _counts(self, hits: Any, found: Any, true: Any) -> tuple[Any, Any]:
        return 2 * hits, found + true


class Dice(F1):
    """Overlap of masks, 2 |A and B| / (|A| + |B|): F1 over pixels."""


class IoU(_Averaged):
    """Intersection over union of masks (the Jaccard index), tp / (tp + fp + fn).

    >>> mi.train.IoU()(mi.tensor([[1.0, 2.0, -1.0]]), mi.tensor([[1, 0, 0]]))
    0.5
    """

    def _counts(self, hits: Any, found: Any, true: Any) -> tuple[Any, Any]:
        return hits, found + true - hits


class TopK(Metric):
    """The share of samples whose label is among the k largest logits; of equal ones the first count as larger.

    >>> mi.train.TopK(2)(mi.tensor([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]), mi.tensor([1, 0]))
    0.5
    """

    def __init__(self, k: int = 5) -> None:
        if isinstance(k, bool) or not isinstance(k, int) or k < 1:
            raise ValueError(f"TopK: k must be a whole number from 1 up, got {k!r}")
        self.k = k
        self.reset()

    @property
    def name(self) -> str:
        return f"top_{self.k}_accuracy"

    def reset(self) -> None:
        self.hits = self.count = 0

    def update(self, output: Tensor, target: Tensor) -> None:
        z, single = _logits(output)
        if single:
            raise ValueError(f"TopK: expected logits (N, classes), got {output.shape}")
        t = _labels(target, output.shape, single, z.shape[1])
        if len(t) != len(z):
            raise ValueError(f"TopK: {len(z)} outputs but {len(t)} labels")
        mine = z[np.arange(len(t)), t][:, None]
        before = (z > mine).sum(1) + ((z == mine) & (np.arange(z.shape[1]) < t[:, None])).sum(1)
        self.hits += int((before < self.k).sum())
        self.count += len(t)

    def compute(self) -> float:
        return self.hits / self.count if self.count else 0.0


class ROCAUC(Metric):
    """The area under the ROC curve: how often a positive sample scores above a negative one, ties counting half.

    One logit a sample or two classes: of class 1. More classes: each against the rest by its probability, the mean over
    those that occur but do not fill the data ("macro"). NaN where there is no such class. Keeps all scores.
    Source: Hanley and McNeil 1982.

    >>> mi.train.ROCAUC()(mi.tensor([0.1, 0.4, 0.35, 0.8]), mi.tensor([0, 0, 1, 1]))
    0.75
    """

    name = "auc"  # type: ignore[assignment]

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._scores: list[np.ndarray] = []
        self._true: list[np.ndarray] = []

    def update(self, output: Tensor, target: Tensor) -> None:
        z, single = _logits(output)
        if single or target.shape != output.shape or target.dtype.is_floating_point:
            true = _labels(match(output, target) if single else target, output.shape, single, z.shape[1])
        else:
            z, true, single = numpy_of(output).astype(np.float64).reshape(-1, 1), numpy_of(target).reshape(-1), True
        if z.shape[1] == 2:
            z = z[:, 1:] - z[:, :1]
        elif z.shape[1] > 2:
            z = _probabilities(z, single)
        self._scores.append(z)
        self._true.append(true.astype(np.int64))

    def compute(self) -> float:
        if not self._scores:
            return math.nan
        z, true = np.concatenate(self._scores), np.concatenate(self._true)
        if z.shape[1] == 1:
            return _area(z[:, 0], true == 1)
        areas = [_area(z[:, c], true == c) for c in range(z.shape[1])]
        known = [a for a in areas if not math.isnan(a)]
        return math.fsum(known) / len(known) if known else math.nan

    def state_dict(self) -> dict[str, Any]:
        from ..ops.creation import from_numpy

        if not self._scores:
            return {}
        return {"scores": from_numpy(np.concatenate(self._scores)), "true": from_numpy(np.concatenate(self._true))}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.reset()
        if state:
            self._scores, self._true = [state["scores"].numpy().copy()], [state["true"].numpy().copy()]


def _area(score: np.ndarray, positive: np.ndarray) -> float:
    """From the rank sum of the positives (Mann and Whitney), equal scores sharing their mean rank."""
    p, n = int(positive.sum()), int((~positive).sum())
    if not p or not n:
        return math.nan
    _, place, size = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(size) - (size - 1) / 2)[place]
    return float((rank[positive].sum() - p * (p + 1) / 2) / (p * n))


class R2(Metric):
    """1 - sum (y - output)^2 / sum (y - mean y)^2, averaged over the outputs; a constant target gives 1 where it is met
    exactly, else 0; NaN for fewer than two samples. Sums are merged about the mean (Chan et al. 1979).

    >>> mi.train.R2()(mi.tensor([1.0, 2.0, 3.0]), mi.tensor([1.0, 2.0, 4.0])).__round__(4)
    0.7857
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.count = 0
        self.mean = self.spread = self.error = np.zeros(0)

    def update(self, output: Tensor, target: Tensor) -> None:
        y = numpy_of(match(output, target)).astype(np.float64).reshape(len(target), -1)
        error = ((y - numpy_of(output).astype(np.float64).reshape(len(target), -1)) ** 2).sum(0)
        mean, n = y.mean(0), len(y)
        spread = ((y - mean) ** 2).sum(0)
        if not self.count:
            self.count, self.mean, self.spread, self.error = n, mean, spread, error
            return
        total, step = self.count + n, mean - self.mean
        self.spread = self.spread + spread + step**2 * (self.count * n / total)
        self.mean, self.error, self.count = self.mean + step * (n / total), self.error + error, total

    def compute(self) -> float:
        if self.count < 2:
            return math.nan
        exact = np.where(self.error == 0, 1.0, 0.0)
        flat = self.spread == 0
        return float(np.where(flat, exact, 1 - self.error / np.where(flat, 1, self.spread)).mean())


class Perplexity(Metric):
    """exp of the mean cross entropy of logits (N, C) or (N, C, ...) with labels; `ignore_index` is left out.

    >>> mi.train.Perplexity()(mi.zeros(2, 4), mi.tensor([0, 3]))
    4.0
    """

    def __init__(self, ignore_index: int = -100) -> None:
        self.ignore_index = ignore_index
        self.reset()

    def reset(self) -> None:
        self.total, self.count = 0.0, 0

    def update(self, output: Tensor, target: Tensor) -> None:
        z, single = _logits(output)
        if single:
            raise ValueError(f"Perplexity: expected logits (N, classes), got {output.shape}")
        raw = numpy_of(target).reshape(-1)
        if len(raw) != len(z):
            raise ValueError(f"Perplexity: outputs {output.shape} with labels {target.shape}")
        kept = raw != self.ignore_index
        z, t = z[kept], _in_range(raw[kept].astype(np.int64), z.shape[1])
        top = z.max(1, initial=-np.inf)
        self.total += float((top + np.log(np.exp(z - top[:, None]).sum(1)) - z[np.arange(len(t)), t]).sum())
        self.count += len(t)

    def compute(self) -> float:
        return math.exp(self.total / self.count) if self.count else math.nan


def confidence_bins(sure: np.ndarray, bins: int) -> np.ndarray:
    """Which of `bins` equal parts of [0, 1], open to the left, each confidence lies in."""
    return np.clip(np.ceil(sure * bins).astype(np.int64) - 1, 0, bins - 1)


class CalibrationError(Metric):
    """The expected calibration error: |accuracy - confidence| over `bins` equal bins of the predicted class's
    probability, weighted by their samples. Source: Guo et al. 2017, eq. 3.

    >>> mi.train.CalibrationError()(mi.zeros(2, 2), mi.tensor([0, 0]))
    0.5
    """

    name = "calibration_error"  # type: ignore[assignment]

    def __init__(self, bins: int = 15) -> None:
        if isinstance(bins, bool) or not isinstance(bins, int) or bins < 1:
            raise ValueError(f"CalibrationError: bins must be a whole number from 1 up, got {bins!r}")
        self.bins = bins
        self.reset()

    def reset(self) -> None:
        self.count, self.hits, self.confidence = (np.zeros(self.bins) for _ in range(3))

    def update(self, output: Tensor, target: Tensor) -> None:
        z, single = _logits(output)
        p = _probabilities(z, single)
        t = _labels(match(output, target) if single else target, output.shape, single, z.shape[1])
        found = p.argmax(1)
        sure = p[np.arange(len(p)), found]
        place = confidence_bins(sure, self.bins)
        for name, weight in (("count", None), ("hits", found == t), ("confidence", sure)):
            setattr(self, name, getattr(self, name) + np.bincount(place, weight, self.bins))

    def compute(self) -> float:
        return float(np.abs(self.hits - self.confidence).sum() / self.count.sum()) if self.count.any() else 0.0


BY_NAME: dict[str, Any] = {
    "top_5_accuracy": TopK, "precision": Precision, "recall": Recall, "f1": F1, "auc": ROCAUC, "iou": IoU, "dice": Dice,
    "r2": R2, "perplexity": Perplexity, "calibration_error": CalibrationError,
}  # fmt: skip
