"""Numbers over all samples of an epoch: each metric adds up a total and a count, never a mean of batch means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import dtypes
from ..tensor import Tensor


def numpy_of(x: Any) -> np.ndarray:
    """A tensor, without its history and bfloat16 as float32, or an array as NumPy's."""
    if not isinstance(x, Tensor):
        return np.asarray(x)
    x = x.detach().cpu()
    return (x.float() if x.dtype is dtypes.bfloat16 else x).numpy()


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


def decide(output: Tensor, target: Tensor) -> tuple[Tensor, Tensor, int]:
    """Predicted and true labels of one shape, and the number of classes. Several classes along axis 1: the largest
    logit against a label, or against the largest of the targets' probabilities. Whole numbers: predicted labels
    against labels. One logit a sample, or 0/1 of any shape: logits above 0 against 0/1 or truth values, element by
    element. ValueError: other shapes."""
    if output.ndim >= 2 and output.shape[1] > 1 and target.dtype is not dtypes.bool:
        if target.shape != output.shape or target.dtype.is_floating_point:
            found = output.argmax(1)
            true = target.argmax(1) if target.shape == output.shape else match(found, target)
            return found, true, output.shape[1]
    if not output.dtype.is_floating_point and output.dtype is not dtypes.bool:
        true = match(output, target)
        return output, true, max([2, *(int(x.max().item()) + 1 for x in (output, true) if x.numel())])
    return _binary(output, target)


def _binary(output: Tensor, target: Tensor) -> tuple[Tensor, Tensor, int]:
    return output > 0, match(output, target) > 0.5, 2


def _hits(labels: Callable[[Tensor, Tensor], tuple[Tensor, Tensor, int]]) -> Callable[[Tensor, Tensor], Any]:
    def metric(output: Tensor, target: Tensor) -> tuple[float, int]:
        found, true, _ = labels(output, target)
        return float((found == true).sum().item()), found.numel()

    return metric


def _mean_of(per_element: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], tuple[float, int]]:
    def metric(output: Tensor, target: Tensor) -> tuple[float, int]:
        error = per_element(output - match(output, target).to(output.dtype))
        return float(error.sum().item()), error.numel()

    return metric


METRICS: dict[str, Callable[[Tensor, Tensor], tuple[float, int]]] = {
    "accuracy": _hits(decide),
    "binary_accuracy": _hits(_binary),
    "mae": _mean_of(lambda d: d.abs()),
    "mse": _mean_of(lambda d: d * d),
}


class Metric:
    """A number over all samples: `update(output, target)` takes a batch in, `compute()` gives the number so far,
    `reset()` starts anew. Pass objects, or their names, as `metrics=` of fit and evaluate.

    A subclass keeps numbers and NumPy arrays as attributes, so that checkpoints can hold it; fit works on copies.
    """

    @property
    def name(self) -> str:
        return type(self).__name__.lower()

    def reset(self) -> None: ...

    def update(self, output: Tensor, target: Tensor) -> None:
        raise NotImplementedError

    def compute(self) -> Any:
        raise NotImplementedError

    def __call__(self, output: Any, target: Any) -> Any:
        """The number of this one batch; what was taken in before is kept."""
        import copy

        from ..ops.creation import as_tensor

        one = copy.deepcopy(self)
        one.reset()
        one.update(as_tensor(output), as_tensor(target))
        return one.compute()

    def state_dict(self) -> dict[str, Any]:
        from ..ops.creation import from_numpy

        return {k: from_numpy(v.copy()) if isinstance(v, np.ndarray) else v for k, v in vars(self).items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        vars(self).update({k: v.numpy().copy() if isinstance(v, Tensor) else v for k, v in state.items()})


class Mean(Metric):
    """A total over a count; a function of (output, target) gives both, or a mean over the batch."""

    def __init__(self) -> None:
        self.total, self.count = 0.0, 0.0

    def add(self, total: float, count: float) -> None:
        self.total += total
        self.count += count

    def compute(self) -> float:
        return self.total / self.count if self.count else 0.0


class Running:
    """The numbers of one epoch so far, over samples."""

    def __init__(self) -> None:
        self.entries: dict[str, Metric] = {}

    def add(self, name: str, total: float, count: float) -> None:
        entry = self.entries.get(name)
        if entry is None:
            entry = self.entries[name] = Mean()
        entry.add(total, count)  # type: ignore[attr-defined]

    def own(self, name: str, metric: Metric) -> Metric:
        """This epoch's copy of a metric."""
        if name not in self.entries:
            import copy

            self.entries[name] = copy.deepcopy(metric)
            self.entries[name].reset()
        return self.entries[name]

    def means(self) -> dict[str, float]:
        """The numbers that cost nothing, for the progress bar."""
        return {k: m.compute() for k, m in self.entries.items() if isinstance(m, Mean)}

    def values(self, prefix: str = "") -> dict[str, float]:
        return {prefix + k: float(m.compute()) for k, m in self.entries.items()}


def resolve(metrics: Any) -> dict[str, Any]:
    """Names and functions by name. A function of (output, target) gives a mean over the batch, or (total, count). Of
    several with one name the second is NAME_1."""
    from . import scores

    chosen: dict[str, Any] = {}

    def free(name: str) -> str:
        if name == "loss":
            raise ValueError("metrics: a metric must not be called loss")
        return next(n for k in range(len(chosen) + 1) if (n := f"{name}_{k}" if k else name) not in chosen)

    if isinstance(metrics, dict):
        raise TypeError("metrics: expected a sequence of names, functions or Metric objects, got a dict")
    for m in (metrics,) if isinstance(metrics, str) or callable(metrics) else metrics or ():
        if isinstance(m, str):
            name = {"acc": "accuracy", "roc_auc": "auc", "mean_absolute_error": "mae"}.get(m.lower(), m.lower())
            if name not in METRICS and name not in scores.BY_NAME:
                known = ", ".join([*METRICS, *scores.BY_NAME])
                raise ValueError(f"unknown metric {m!r}; there are {known}, or pass a function of (output, target)")
            chosen[name] = METRICS[name] if name in METRICS else scores.BY_NAME[name]()
        elif isinstance(m, scores.ConfusionMatrix) and type(m) is scores.ConfusionMatrix:
            raise TypeError("metrics: a ConfusionMatrix is no number; call it with mi.predict(model, X) afterwards")
        elif isinstance(m, Metric):
            chosen[free(m.name)] = m
        elif callable(m) and not isinstance(m, type):
            chosen[free(getattr(m, "__name__", type(m).__name__))] = m
        else:
            what = f"the class {m.__name__}: make one" if isinstance(m, type) else type(m).__name__
            raise TypeError(f"metrics: expected names, functions or Metric objects, got {what}")
    return chosen


def measure(running: Running, metrics: dict[str, Any], output: Tensor, target: Tensor) -> None:
    for name, f in metrics.items():
        if isinstance(f, Metric):
            running.own(name, f).update(output, target)
            continue
        r = f(output, target)
        if isinstance(r, tuple):
            running.add(name, float(r[0]), int(r[1]))
        else:
            running.add(name, float(r) * len(target), len(target))
