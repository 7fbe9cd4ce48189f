"""What fit, evaluate and predict take: data of several kinds, losses and optimisers by name."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import dtypes, optim
from ..data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset
from ..data.sampler import permutation
from ..data.split import class_weights as balanced
from ..data.split import labels_in
from ..ops.creation import as_tensor
from ..tensor import Tensor
from .metrics import match

Loss = Callable[[Tensor, Tensor], Tensor]


def check_model(model: Any, name: str) -> None:
    if isinstance(model, type) or not (callable(model) and hasattr(model, "parameters") and hasattr(model, "train")):
        what = f"the class {model.__name__}: make one" if isinstance(model, type) else type(model).__name__
        raise TypeError(f"{name}: expected a Module, got {what}")


def count(value: Any, what: str, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"{what} must be a whole number from {least} up, got {value!r}")
    return int(value)


def float_dtype(model: Any) -> Any:
    return next((p.dtype for p in model.parameters() if p.dtype.is_floating_point), dtypes.get_default_dtype())


# ---- data ------------------------------------------------------------------------------------------------------------
def _array(a: Any) -> bool:
    return isinstance(a, (Tensor, np.ndarray))


def _tensor(a: Any, name: str, hint: str = "") -> Tensor:
    if not isinstance(a, Tensor):
        try:
            a = np.asarray(a)
        except ValueError as e:  # rows of different lengths
            raise ValueError(f"{name}: no array can be made of the data: {e}") from None
        if a.dtype.kind not in "biuf":
            raise TypeError(f"{name}: expected numbers, got an array of dtype {a.dtype}{hint}")
        a = as_tensor(a)
    if a.ndim == 0 or len(a) == 0:
        raise ValueError(f"{name}: expected at least one sample, got an array of shape {a.shape}")
    return a.detach()  # type: ignore[no-any-return]


def dataset_of(X: Any, y: Any, name: str) -> Any:
    """A Dataset from an array, an (X, y) pair or a Dataset; a lone array is its own target. A list is a pair if it
    holds two arrays or tensors; a tuple of two always is."""
    if isinstance(X, Dataset) or (not _array(X) and not isinstance(X, (list, tuple)) and not hasattr(X, "__array__")):
        if isinstance(X, dict) or not (hasattr(X, "__getitem__") or isinstance(X, IterableDataset)):
            kinds = "arrays, an (X, y) pair, a Dataset or a DataLoader"
            raise TypeError(f"{name}: expected {kinds}, got {type(X).__name__}")
        if y is not None:
            raise TypeError(f"{name}: y must be None when X is a Dataset or a DataLoader")
        return X
    if y is None and isinstance(X, tuple) and len(X) == 3 and all(map(_array, X)):
        raise TypeError(f"{name}: expected (X, y), got three arrays; weights of training samples are sample_weight=")
    if y is None and isinstance(X, (tuple, list)) and len(X) == 2 and (isinstance(X, tuple) or all(map(_array, X))):
        X, y = X
    inputs = _tensor(X, name)
    targets = (
        inputs if y is None else _tensor(y, name, "; class names become labels by np.unique(y, return_inverse=True)")
    )
    if len(inputs) != len(targets):
        raise ValueError(f"{name}: {len(inputs)} inputs but {len(targets)} targets")
    return TensorDataset(inputs, targets)


def loader_of(data: Any, batch_size: Any, shuffle: bool) -> Any:
    if isinstance(data, DataLoader):
        return data
    shuffle = shuffle and not isinstance(data, IterableDataset)
    return DataLoader(data, batch_size=count(batch_size, "batch_size", 1), shuffle=shuffle)


def split(data: Any, fraction: float) -> tuple[Any, Any]:
    """The last part of a random order as validation data."""
    if not 0 < fraction < 1:
        raise ValueError(f"fit: validation_split must lie in (0, 1), got {fraction}")
    if isinstance(data, IterableDataset):
        raise TypeError("fit: an IterableDataset cannot be split; pass validation=")
    n = len(data)
    held = math.ceil(n * fraction)
    if held >= n:
        raise ValueError(f"fit: validation_split={fraction} leaves no sample of {n} to train on")
    order = permutation(n).tolist()
    return Subset(data, order[:-held]), Subset(data, order[-held:])


def with_weights(data: Any, sample_weight: Any) -> Any:
    """The arrays of a data set with a third one: a weight a sample."""
    if not isinstance(data, TensorDataset):
        raise TypeError("fit: sample_weight goes with arrays X and y")
    weight = _tensor(sample_weight, "fit: sample_weight").float()
    n = len(data)
    if weight.shape != (n,) or not bool(((weight >= 0) & weight.isfinite()).all()):
        raise ValueError(f"fit: sample_weight must hold a number >= 0 for each of the {n} samples")
    return TensorDataset(*data.tensors, weight)


def pair(batch: Any, dtype: Any, weighted: bool = False) -> tuple[Any, ...]:
    """(inputs, targets) of a batch, and weights if it may have them; floating inputs and regression targets are cast to
    the model's dtype."""
    if isinstance(batch, (tuple, list)):
        if weighted and len(batch) == 3:
            return (*pair(batch[:2], dtype), batch[2])
        if len(batch) > 2 or not batch:
            raise ValueError(f"expected batches of (inputs, targets) or of inputs alone, got {len(batch)} parts")
        inputs, targets = batch[0], batch[-1]
    else:
        inputs = targets = batch
    if isinstance(inputs, Tensor):
        if inputs.dtype is dtypes.uint8 and inputs.ndim == 4:
            raise TypeError(
                f"images of dtype uint8 and shape {inputs.shape}; divide by 255 and put the channels first: "
                "transforms.ToTensor(), or x.permute(0, 3, 1, 2).float() / 255"
            )
        if inputs.dtype.is_floating_point and inputs.dtype is not dtype:
            inputs = inputs.to(dtype)
    if isinstance(targets, Tensor):
        if targets.dtype.is_floating_point and targets.dtype is not dtype:
            targets = targets.to(dtype)
        elif targets.dtype in (dtypes.int32, dtypes.int16, dtypes.int8, dtypes.uint8):
            targets = targets.to(dtypes.int64)
    return inputs, targets


# ---- losses and optimisers -------------------------------------------------------------------------------------------
_OTHER_NAMES = {
    "mean_squared_error": "mse",
    "mean_absolute_error": "mae",
    "bce": "binary_cross_entropy",
    "bce_with_logits": "binary_cross_entropy",
    "binary_cross_entropy_with_logits": "binary_cross_entropy",
    "crossentropy": "cross_entropy",
    "categorical_crossentropy": "cross_entropy",
    "sparse_categorical_crossentropy": "cross_entropy",
    "binary_crossentropy": "binary_cross_entropy",
}
_ELEMENTWISE = ("mse", "mae", "huber", "binary_cross_entropy")


def _losses() -> dict[str, Any]:
    from ..nn import functional as F

    f: Any = F
    return {
        "cross_entropy": f.cross_entropy,
        "mse": f.mse_loss,
        "mae": f.l1_loss,
        "huber": f.huber_loss,
        "nll": f.nll_loss,
        "binary_cross_entropy": f.binary_cross_entropy_with_logits,
    }


def _elementwise(loss: Any) -> bool:
    """Whether a function or an object is one of our losses that compare each output with its own target."""
    from ..nn import functional as F
    from ..nn import loss as layers

    names = "mse_loss l1_loss huber_loss smooth_l1_loss binary_cross_entropy binary_cross_entropy_with_logits"
    kinds = "MSELoss L1Loss HuberLoss SmoothL1Loss BCELoss BCEWithLogitsLoss"
    return any(loss is getattr(F, n) for n in names.split()) or type(loss) in [
        getattr(layers, k) for k in kinds.split()
    ]


def loss_of(loss: Any) -> Loss:
    """A loss by name, a function or a module. Regression losses never broadcast targets."""
    if not isinstance(loss, str):
        if not callable(loss) or isinstance(loss, type):
            what = f"the class {loss.__name__}: make one" if isinstance(loss, type) else type(loss).__name__
            raise TypeError(f"fit: loss must be a name or a function of (output, target), got {what}")
        if _elementwise(loss):
            return lambda output, target: loss(output, _numbers(output, target))  # type: ignore[no-any-return]
        return loss  # type: ignore[no-any-return]
    table = _losses()
    name = _OTHER_NAMES.get(loss, loss)
    if name not in table:
        raise ValueError(
            f"fit: unknown loss {loss!r}; there are {', '.join(table)}, or pass a function of (output, target)"
        )
    return lambda output, target: _apply(table[name], name, output, target)


def _apply(f: Any, name: str, output: Any, target: Any, **options: Any) -> Any:
    if not isinstance(output, Tensor):
        raise TypeError(
            f"fit: the loss {name!r} takes one tensor, the model gives {type(output).__name__}: let forward return one "
            "(recurrent layers give the output and their state), or pass a function as loss="
        )
    if name in _ELEMENTWISE:
        return f(output, _numbers(output, target), **options)
    return f(output, _labels(output, target, name), **options)


def _numbers(output: Tensor, target: Tensor) -> Tensor:
    """Targets with the output's shape, and of its dtype if they are whole numbers."""
    target = match(output, target)
    return target if target.dtype.is_floating_point else target.to(output.dtype)


def weighted_loss(loss: Any, class_weight: Any, data: Any, sampled: bool) -> Callable[..., Tensor]:
    """A loss of (output, target, sample weights or none): the mean of weight * loss over the elements."""
    if not isinstance(loss, str):
        raise TypeError("fit: class_weight and sample_weight need a loss by name; give a loss object its own weight=")
    name = _OTHER_NAMES.get(loss, loss)
    f = _losses()[name]
    table = None if class_weight is None else class_weights(class_weight, data)
    if table is not None and name not in ("cross_entropy", "nll", "binary_cross_entropy"):
        raise ValueError(f"fit: class_weight goes with losses of classes, not with {loss!r}")

    def compute(output: Tensor, target: Tensor, weight: Any = None) -> Tensor:
        each = _apply(f, name, output, target, reduction="none")
        if table is not None:
            label = match(output, target) if name == "binary_cross_entropy" else _labels(output, target, name)
            if label.shape != each.shape:
                raise TypeError("fit: class_weight needs class labels as integers, not probabilities")
            classes = 2 if name == "binary_cross_entropy" else output.shape[1]
            if max(table) >= classes or min(table) < 0:
                raise ValueError(
                    f"fit: class_weight has class {max(table)}, the model gives {classes}: 0 to {classes - 1}"
                )
            factors = as_tensor(np.array([table.get(c, 1.0) for c in range(classes)])).to(each.dtype).to(each.device)
            each = each * factors[label.to(dtypes.int64)]
        if weight is not None:
            each = each * weight.to(each.dtype).reshape(len(weight), *[1] * (each.ndim - 1))
        return each.mean()

    return compute


def class_weights(class_weight: Any, data: Any) -> dict[int, float]:
    """{label: weight}, checked; "balanced" counts the labels of the training data."""
    if class_weight == "balanced":
        labels = labels_in(data)
        if labels is None:
            raise TypeError('fit: class_weight="balanced" counts integer labels in arrays; pass a dict for other data')
        return balanced(labels.ravel())
    if not isinstance(class_weight, dict) or not class_weight:
        raise TypeError(f'fit: class_weight must be a dict {{label: weight}} or "balanced", got {class_weight!r}')
    for label, w in class_weight.items():
        if isinstance(label, bool) or not isinstance(label, (int, np.integer)):
            raise TypeError(f"fit: class_weight: labels are whole numbers, got {label!r}")
        if not (math.isfinite(w) and w >= 0):
            raise ValueError(f"fit: class_weight: weights are finite and not negative, got {w!r} for class {label}")
    return {int(k): float(v) for k, v in class_weight.items()}


def _labels(output: Any, target: Any, name: str) -> Any:
    """Labels of (N,) or (N, ...) for a classification loss: a column of labels is taken as a row."""
    if not isinstance(target, Tensor):
        return target
    whole = not (target.dtype.is_floating_point or target.dtype is dtypes.bool)
    if target.shape != output.shape and not whole:
        raise TypeError(f"fit: {name} takes class labels as integers, got {target.dtype}; convert them: y.long()")
    if target.shape == output.shape and whole and output.ndim > 1:
        raise TypeError(
            f"fit: {name} takes labels {output.shape[:1] + output.shape[2:]}, or probabilities {output.shape} as "
            f"floats; got {target.shape} of {target.dtype}: y.argmax(1), or y.float()"
        )
    if target.ndim == output.ndim > 1 and target.shape[1] == 1 and not target.dtype.is_floating_point:
        return target.squeeze(1)
    return target


def optimizer_of(optimizer: Any, model: Any) -> Any:
    """An optimiser by name, a class or function of the parameters, or one that exists."""
    if isinstance(optimizer, optim.Optimizer):
        own = {id(p) for p in model.parameters()}
        if not any(id(p) in own for group in optimizer.param_groups for p in group["params"]):
            raise ValueError("fit: the optimizer holds no parameter of this model, but those of another")
        return optimizer
    if isinstance(optimizer, str):
        known: dict[str, Any] = {
            k.__name__.lower(): k
            for k in vars(optim).values()
            if isinstance(k, type) and issubclass(k, optim.Optimizer) and k not in (optim.Optimizer, optim.LBFGS)
        }  # LBFGS needs a closure
        if optimizer.lower() not in known:
            raise ValueError(f"fit: unknown optimizer {optimizer!r}; there are {', '.join(sorted(known))}")
        kind = known[optimizer.lower()]
        return kind(model.parameters(), **({"lr": 1e-2} if optimizer.lower() == "sgd" else {}))
    if callable(optimizer):
        made = optimizer(model.parameters())
        if isinstance(made, optim.Optimizer):
            return made
        raise TypeError(f"fit: optimizer must make an Optimizer, got {type(made).__name__}")
    raise TypeError(
        f"fit: optimizer must be a name, an Optimizer or a function of the parameters, got {type(optimizer).__name__}"
    )
