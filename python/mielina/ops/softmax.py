"""Softmax and its kin."""

from __future__ import annotations

import warnings
from typing import Any

from .. import _core
from ..autograd import OUTPUT, op, record
from ..dtypes import dtype as DType
from ..tensor import Tensor, check_tensors, method
from .elementwise import cast, mul, neg, sub
from .reduce import sum

__all__ = ["softmax", "log_softmax"]
__functional__ = ["softmax", "log_softmax", "softmin"]


def _implicit(input: Tensor, name: str, stacklevel: int) -> int:
    """PyTorch's old default where no `dim` is given (UserWarning): the first axis of 0-, 1- and 3-D inputs, else the
    second."""
    warnings.warn(f"{name}: give dim=; without it, it is chosen by the number of axes", UserWarning, stacklevel)
    return 0 if input.ndim in (0, 1, 3) else 1


@method
def softmax(input: Tensor, dim: int | None = None, dtype: DType | None = None, *, _stacklevel: int = 3) -> Tensor:
    """Softmax along `dim`: y_i = exp(x_i - m) / sum_j exp(x_j - m), m = max(x).

    input: (..., C, ...) floating. Returns the same shape, dtype (or `dtype`) and stride order. A slice that is all
    -inf gives NaN. Without `dim` (UserWarning): 0 for 0-, 1- and 3-D inputs, else 1. IndexError: `dim` out of range.
    NotImplementedError: integer input. Source: Bridle 1990.

    >>> mi.softmax(mi.tensor([[0.0, 0.0], [1.0, 3.0]]), dim=1)
    tensor([[0.5000, 0.5000],
            [0.1192, 0.8808]])
    """
    check_tensors("softmax", input)
    if dim is None:
        dim = _implicit(input, "softmax", _stacklevel)
    x = input if dtype is None else cast(input, dtype)
    return record(_core.softmax(x, dim, False), SOFTMAX, (x,), (OUTPUT, dim))  # type: ignore[no-any-return]


def softmax_backward(g: Tensor, y: Tensor, dim: int) -> Tensor:
    """y (g - sum_j g_j y_j) along `dim`."""
    return record(_core.softmax_backward(g, y, dim, False), SOFTMAX_BACKWARD, (g, y), (g, y, dim))


def _softmax_backward_composite(g: Tensor, y: Tensor, dim: int) -> Tensor:
    return mul(y, sub(g, sum(mul(g, y), dim, True)))


def _softmax_backward_rule(h: Tensor, needs: Any, g: Tensor, y: Tensor, dim: int) -> Any:
    # With s = sum(g y): d/dg = y (h - sum(h y)); d/dy = h (g - s) - g sum(h y).
    dg = softmax_backward(h, y, dim) if needs[0] else None
    if not needs[1]:
        return dg, None
    dy = sub(mul(h, sub(g, sum(mul(g, y), dim, True))), mul(g, sum(mul(h, y), dim, True)))
    return dg, dy


def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: DType | None = None) -> Tensor:
    """softmax(-input, dim): the smallest entry gets the largest probability. Without `dim`, as PyTorch chooses: axis 0
    of 0, 1 and 3 dimensions, else axis 1.

    >>> F.softmin(mi.tensor([0.0, 0.0]), 0)
    tensor([0.5000, 0.5000])
    """
    check_tensors("softmin", input)
    if dim is None:
        dim = _implicit(input, "softmin", _stacklevel)
    return softmax(neg(input), dim, dtype)


SOFTMAX = op("softmax", lambda g, needs, y, dim: (softmax_backward(g, y, dim),))
SOFTMAX_BACKWARD = op("softmax_backward", _softmax_backward_rule, composite=_softmax_backward_composite)


@method
def log_softmax(input: Tensor, dim: int | None = None, dtype: DType | None = None, *, _stacklevel: int = 3) -> Tensor:
    """log(softmax(input, dim)), without the detour: y_i = x_i - m - log sum_j exp(x_j - m).

    >>> mi.log_softmax(mi.tensor([0.0, 0.0]), 0)
    tensor([-0.6931, -0.6931])
    """
    check_tensors("log_softmax", input)
    if dim is None:
        dim = _implicit(input, "log_softmax", _stacklevel)
    x = input if dtype is None else cast(input, dtype)
    return record(_core.softmax(x, dim, True), LOG_SOFTMAX, (x,), (OUTPUT, dim))  # type: ignore[no-any-return]


def log_softmax_backward(g: Tensor, y: Tensor, dim: int) -> Tensor:
    """g - exp(y) sum_j g_j along `dim`."""
    return record(_core.softmax_backward(g, y, dim, True), LOG_SOFTMAX_BACKWARD, (g, y), (g, y, dim))


def _log_softmax_backward_rule(h: Tensor, needs: Any, g: Tensor, y: Tensor, dim: int) -> Any:
    # exp(y) of a log-softmax is its softmax: d/dg = h - sum(h p), d/dy = -h p sum(g).
    p = softmax(y, dim)
    dg = sub(h, sum(mul(h, p), dim, True)) if needs[0] else None
    dy = mul(mul(h, p), mul(sum(g, dim, True), -1)) if needs[1] else None
    return dg, dy


LOG_SOFTMAX = op("log_softmax", lambda g, needs, y, dim: (log_softmax_backward(g, y, dim),))
LOG_SOFTMAX_BACKWARD = op("log_softmax_backward", _log_softmax_backward_rule)
