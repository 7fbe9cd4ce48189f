"""Numbers over all samples of an epoch: each metric adds up a total and a count, never a mean of batch means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import dtypes
from ..tensor import Tensor


def match(output: Tensor, target: Tensor) -> Tensor:
    """target with output's shape where they differ only by axes of size 1; ValueError for any other broadcast."""
    if output.shape == target.shape:
        return target
    if output.shape[:1] == target.shape[:1] and output.squeeze().shape == target.squeeze().shape:
        return target.reshape(output.shape)
    raise ValueError(
        f"the model gives {output.shape} and the targets have {target.shape}: "
        "they would be broadcast against each other; reshape one"
    )


def _binary(output: Tensor, target: Tensor) -> tuple[float, int]:
    """Hits and count of logits above 0 against 0/1 or truth values, element by element."""
    hits = (output > 0) == (match(output, target) > 0.5)
    return float(hits.sum().item()), hits.numel()


def _correct(output: Tensor, target: Tensor) -> tuple[float, int]:
    """Hits and count. Several classes along axis 1: the largest logit against a label, or against the largest of the
    targets' probabilities. One number a sample, or 0/1 of any shape: as binary_accuracy. ValueError: other shapes."""
    if output.ndim < 2 or output.shape[1] == 1 or target.dtype is dtypes.bool:
        return _binary(output, target)
    found = output.argmax(1)
    if target.shape == output.shape:
        if not target.dtype.is_floating_point:
            return _binary(output, target)
        target = target.argmax(1)
    hits = found == match(found, target)
    return float(hits.sum().item()), hits.numel()


def _mean_of(per_element: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], tuple[float, int]]:
    def metric(output: Tensor, target: Tensor) -> tuple[float, int]:
        error = per_element(output - match(output, target).to(output.dtype))
        return float(error.sum().item()), error.numel()

    return metric


METRICS: dict[str, Callable[[Tensor, Tensor], tuple[float, int]]] = {
    "accuracy": _correct,
    "binary_accuracy": _binary,
    "mae": _mean_of(lambda d: d.abs()),
    "mse": _mean_of(lambda d: d * d),
}


class Running:
    """The numbers of one epoch so far, weighted by samples."""

    def __init__(self) -> None:
        self.totals: dict[str, list[float]] = {}

    def add(self, name: str, total: float, count: int) -> None:
        t = self.totals.setdefault(name, [0.0, 0])
        t[0] += total
        t[1] += count

    def values(self, prefix: str = "") -> dict[str, float]:
        return {prefix + k: total / max(count, 1) for k, (total, count) in self.totals.items()}


def resolve(metrics: Any) -> dict[str, Callable[[Tensor, Tensor], Any]]:
    """Names and functions by name. A function of (output, target) gives a mean over the batch, or (total, count)."""
    chosen: dict[str, Callable[[Tensor, Tensor], Any]] = {}
    for m in (metrics,) if isinstance(metrics, str) else metrics or ():
        if isinstance(m, str):
            name = {"acc": "accuracy"}.get(m, m)
            if name not in METRICS:
                raise ValueError(
                    f"unknown metric {m!r}; there are {', '.join(METRICS)}, or pass a function of (output, target)"
                )
            chosen[name] = METRICS[name]
        elif callable(m):
            chosen[getattr(m, "__name__", type(m).__name__)] = m
        else:
            raise TypeError(f"metrics: expected names or functions, got {type(m).__name__}")
    return chosen


def measure(
    running: Running, metrics: dict[str, Callable[[Tensor, Tensor], Any]], output: Tensor, target: Tensor
) -> None:
    for name, f in metrics.items():
        r = f(output, target)
        if isinstance(r, tuple):
            running.add(name, float(r[0]), int(r[1]))
        else:
            n = len(target)
            running.add(name, float(r) * n, n)
