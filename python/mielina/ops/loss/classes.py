"""Losses of class indices and class probabilities: cross entropy and negative log-likelihood."""

from __future__ import annotations

from typing import Any

from ... import _core, amp, dtypes
from ...autograd import OUTPUTS, op, record
from ...tensor import Tensor, check_tensors
from ..creation import full
from ..elementwise import add, cast, div, mul, ne, neg
from ..layout import expand, reshape
from ..reduce import sum
from ..softmax import log_softmax
from .reduction import mode, reduced

__all__ = ["cross_entropy", "nll_loss"]


# ---- picking ---------------------------------------------------------------------------------------------------------
def pick(x: Tensor, target: Tensor, weight: Tensor | None, dim: int, ignore_index: int) -> Tensor:
    """-w_t x_t along `dim`: x without that axis has target's shape. 0 where target is ignore_index.

    IndexError: another target outside [0, C).
    """
    return record(
        _core.pick(x, target, weight, dim, ignore_index), PICK, (x,), (target, weight, x.shape, dim, ignore_index)
    )


def _unpick(
    g: Tensor, target: Tensor, weight: Tensor | None, shape: tuple[int, ...], dim: int, ignore_index: int
) -> Tensor:
    """The adjoint of `pick`: zeros of `shape` with -w_t g at the targets."""
    y = _core.unpick(g, target, weight, shape, dim, ignore_index)
    return record(y, UNPICK, (g,), (target, weight, dim, ignore_index))


PICK = op("nll_loss", lambda g, needs, *where: (_unpick(g, *where),))
UNPICK = op("nll_loss_backward", lambda g, needs, *where: (pick(g, *where),))


def _weights(x: Tensor, target: Tensor, weight: Tensor | None, dim: int, ignore_index: int) -> Tensor:
    """w_t for each target, 0 for the ignored ones."""
    if weight is None:
        return cast(ne(target, ignore_index), x.dtype)
    ones = expand(full((), -1.0, dtype=x.dtype, device=x.device), x.shape)
    return _core.pick(ones, target, weight, dim, ignore_index)


def _divisor(x: Tensor, target: Tensor, weight: Tensor | None, dim: int, ignore_index: int) -> Tensor:
    """The sum of w_t: what the mean divides by."""
    if weight is None:
        return cast(sum(ne(target, ignore_index)), x.dtype)
    return sum(_weights(x, target, weight, dim, ignore_index))


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Negative log-likelihood: -w_t x_t for each sample.

    input: (C), (N, C) or (N, C, d1, ...), logarithms of probabilities; target: the same without C, int64 or uint8.
    `reduction`: "mean" divides by the sum of w_t over the targets that are not ignore_index (NaN if there are none),
    "sum", "none". IndexError: a target outside [0, C). ValueError: N differs. RuntimeError: other shapes and dtypes.

    >>> F.nll_loss(mi.tensor([[-0.5, -1.0]]), mi.tensor([1]))
    tensor(1.)
    """
    reduction = mode(reduction, size_average, reduce)
    check_tensors("nll_loss", input, target)
    target = _indices(input, target)
    if amp.anywhere:
        (input,) = amp.widen(input)
    dim = _class_axis(input, target, "nll_loss")
    rows = pick(input, target, weight, dim, ignore_index)
    if reduction == "mean":
        return div(sum(rows), _divisor(input, target, weight, dim, ignore_index))
    return reduced(rows, reduction)


def _indices(input: Tensor, target: Tensor) -> Tensor:
    """Class indices as int64, and without the axis of 1 that a lone sample's may have."""
    if target.dtype is dtypes.uint8:
        target = cast(target, dtypes.int64)
    return reshape(target, ()) if input.ndim == 1 and target.shape == (1,) else target


def _class_axis(input: Tensor, target: Tensor, name: str) -> int:
    if input.ndim == 0:
        raise ValueError(f"{name}: expected an input of at least one dimension, got a 0-dim tensor")
    dim = 0 if input.ndim == 1 else 1
    expected = input.shape[:dim] + input.shape[dim + 1 :]
    if target.shape != expected:
        # As in PyTorch: another number of samples is a ValueError, any other misfit a RuntimeError.
        samples = dim == 0 or target.ndim == 0 or target.shape[0] != expected[0]
        raise (ValueError if samples else RuntimeError)(
            f"{name}: expected targets of shape {expected} for an input of shape {input.shape}, got {target.shape}"
        )
    return dim


# ---- cross entropy ---------------------------------------------------------------------------------------------------
def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """-sum_c w_c q_c log softmax(x)_c with q = (1 - s) target + s / C, s = label_smoothing.

    input: (C), (N, C) or (N, C, d1, ...) logits. target: class indices (the same without C, int64; ignore_index counts
    as no target), or class probabilities (input's shape, floating). The mean divides by the sum of w_t over the targets
    that are not ignored (NaN if there are none); for probabilities by the number of samples.
    IndexError: a target outside [0, C). ValueError: N differs. RuntimeError: other shapes, dtypes, label_smoothing
    outside [0, 1], ignore_index with probabilities.
    Source of the smoothing: Szegedy et al. 2016.

    >>> F.cross_entropy(mi.tensor([[0.0, 0.0], [0.0, 5.0]]), mi.tensor([0, 1]))
    tensor(0.3499)
    """
    if size_average is not None or reduce is not None or reduction not in ("mean", "sum", "none"):
        reduction = mode(reduction, size_average, reduce)
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"cross_entropy: label_smoothing must be between 0 and 1, got {label_smoothing}")
    if not (isinstance(input, Tensor) and isinstance(target, Tensor)):
        check_tensors("cross_entropy", input, target)
    if amp.anywhere:
        (input,) = amp.widen(input)
    if target.dtype.is_floating_point:
        if ignore_index >= 0:
            raise RuntimeError("cross_entropy: ignore_index is not supported for class probabilities")
        return _soft_cross_entropy(input, target, weight, reduction, label_smoothing)
    if target.shape == input.shape:
        raise RuntimeError(f"cross_entropy: expected floating class probabilities, got {target.dtype}")
    if target.dtype is dtypes.uint8 or input.ndim == 1:
        target = _indices(input, target)
    if input.ndim == 2 and target.ndim == 1:
        saves = (input, target, weight, ignore_index, reduction, label_smoothing, OUTPUTS[1], OUTPUTS[2])
        try:
            y = _core.cross_entropy(input, target, weight, ignore_index, reduction, label_smoothing)
        except _core.NoKernel:
            return _cross_entropy_composite(*saves[:6])
        return record(y, CROSS_ENTROPY, (input,), saves)[0]
    _class_axis(input, target, "cross_entropy")
    return _cross_entropy_composite(input, target, weight, ignore_index, reduction, label_smoothing)


def _cross_entropy_rule(
    g: Any,
    needs: Any,
    x: Any,
    target: Any,
    weight: Any,
    ignore: int,
    reduction: str,
    smoothing: float,
    lse: Any,
    divisor: Any,
) -> Any:
    return (_core.cross_entropy_backward(g[0], x, lse, divisor, target, weight, ignore, smoothing),)


def _cross_entropy_composite(
    x: Tensor, target: Tensor, weight: Tensor | None, ignore: int, reduction: str, s: float, *_: Any
) -> Tensor:
    dim = 0 if x.ndim == 1 else 1
    logp = log_softmax(x, dim)
    rows = pick(logp, target, weight, dim, ignore)
    if s:
        w = _along(weight, x.ndim, dim)
        kept = _weights(x, target, None, dim, ignore)
        uniform = mul(sum(logp if w is None else mul(logp, w), dim), mul(kept, -s / x.shape[dim]))
        rows = add(mul(rows, 1 - s), uniform)
    if reduction == "mean":
        return div(sum(rows), _divisor(x, target, weight, dim, ignore))
    return reduced(rows, reduction)


CROSS_ENTROPY = op("cross_entropy", _cross_entropy_rule, composite=_cross_entropy_composite)


def _along(weight: Tensor | None, ndim: int, dim: int) -> Tensor | None:
    """One weight a class, shaped to broadcast along the class axis."""
    return None if weight is None else reshape(weight, (-1, *[1] * (ndim - dim - 1)))


def _soft_cross_entropy(x: Tensor, target: Tensor, weight: Tensor | None, reduction: str, s: float) -> Tensor:
    if target.shape != x.shape:
        raise RuntimeError(
            f"cross_entropy: class probabilities must have the logits' shape {x.shape}, got {target.shape}"
        )
    dim = 0 if x.ndim == 1 else 1
    q = target if s == 0 else add(mul(target, 1 - s), s / x.shape[dim])
    w = _along(weight, x.ndim, dim)
    rows = neg(sum(mul(log_softmax(x, dim), q if w is None else mul(q, w)), dim))
    return reduced(rows, reduction)
