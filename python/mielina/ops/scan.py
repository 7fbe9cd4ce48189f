"""Running sums, products and extrema; differences and the trapezoidal rule."""

from __future__ import annotations

import math
from typing import Any

from .. import _core
from ..autograd import OUTPUT, OUTPUTS, op, record
from ..dtypes import dtype as DType
from ..tensor import Tensor, also_axis, check_tensors, method
from . import elementwise as ew
from .layout import cat, in_place, reshape, select
from .layout.views import axis as wrapped
from .layout.views import slice
from .reduce.extremes import Extreme, put_rule
from .reduce.shapes import shift
from .reduce.sums import sum

__all__ = [
    "cumsum",
    "cumprod",
    "cummax",
    "cummin",
    "logcumsumexp",
    "diff",
    "trapezoid",
    "trapz",
    "cumulative_trapezoid",
]


@method
def cumsum(input: Tensor, dim: int | None = None, *, dtype: DType | None = None, axis: int | None = None) -> Tensor:
    """y_i = x_0 + ... + x_i along `dim`; integers and bool become int64. Floats add up in double.

    >>> mi.cumsum(mi.tensor([1, 2, 3, 4]), dim=0)
    tensor([ 1,  3,  6, 10])
    """
    x = input if dtype is None else ew.cast(input, dtype)
    return running_sum(x, axis if dim is None else dim, False, dtype)  # type: ignore[arg-type]


def running_sum(x: Tensor, dim: int, reverse: bool, dtype: DType | None = None) -> Tensor:
    return record(_core.cumsum(x, dim, reverse, dtype), CUMSUM, (x,), (dim, reverse))  # type: ignore[no-any-return]


CUMSUM = op("cumsum", lambda g, needs, dim, reverse: (running_sum(g, dim, not reverse),))


@method
def cumprod(input: Tensor, dim: int | None = None, *, dtype: DType | None = None, axis: int | None = None) -> Tensor:
    """y_i = x_0 ... x_i along `dim`; integers and bool become int64.

    >>> mi.cumprod(mi.tensor([1, 2, 3, 4]), dim=0)
    tensor([ 1,  2,  6, 24])
    """
    x = input if dtype is None else ew.cast(input, dtype)
    return running_product(x, axis if dim is None else dim, False, dtype)  # type: ignore[arg-type]


def running_product(x: Tensor, dim: int, reverse: bool, dtype: DType | None = None, before: bool = False) -> Tensor:
    """`before`: without the element's own factor, so the first is 1."""
    y = _core.cumprod(x, dim, reverse, dtype, before)
    return record(y, CUMPROD, (x,), (x, dim, reverse, before))  # type: ignore[no-any-return]


def _cumprod_rule(g: Tensor, needs: Any, x: Tensor, dim: int, reverse: bool, before: bool) -> Any:
    """dx_k = (prod_{i<k} x_i) s_k with s_k = sum_{j>=k} g_j prod_{k<i<=j} x_i, which obeys s_k = g_k + x_{k+1} s_{k+1}.

    Nothing is divided by x, so zeros are no special case; and the recurrence is its own adjoint, so any order follows.
    Of products `before`: s_{k+1} of the recurrence s_k = g_k + x_k s_{k+1} in place of s_k.
    """
    s = recurrence(x, g, dim, not reverse, not before)
    s = shift(s, dim, 0, reverse) if before else s
    return (ew.mul(running_product(x, dim, reverse, None, True), s),)


CUMPROD = op("cumprod", _cumprod_rule)


def recurrence(a: Tensor, b: Tensor, dim: int, reverse: bool = False, late: bool = False) -> Tensor:
    """y_i = a_i y_{i-1} + b_i along `dim`, y_{-1} = 0, for floats of one shape; `reverse` starts at the far end.

    late: y_i = a_{i-1} y_{i-1} + b_i."""
    y = _core.recurrence(a, b, dim, reverse, late)
    return record(y, RECURRENCE, (a, b), (a, OUTPUT, dim, reverse, late))  # type: ignore[no-any-return]


def _recurrence_rule(g: Tensor, needs: Any, a: Tensor, y: Tensor, dim: int, reverse: bool, late: bool) -> Any:
    """The adjoint runs the other way and meets each a one element earlier, or later."""
    db = recurrence(a, g, dim, not reverse, not late)
    if not needs[0]:
        return None, db
    return ew.mul(shift(db, dim, 0, reverse), y) if late else ew.mul(db, shift(y, dim, 0, not reverse)), db


RECURRENCE = op("recurrence", _recurrence_rule)


cumsum_ = in_place(cumsum)
cumprod_ = in_place(cumprod)


@method
@also_axis
def logcumsumexp(input: Tensor, dim: int) -> Tensor:
    """y_i = log(exp x_0 + ... + exp x_i) along `dim`, without overflow. Integers become floating.

    >>> mi.logcumsumexp(mi.zeros(3), 0)
    tensor([0.0000, 0.6931, 1.0986])
    """
    check_tensors("logcumsumexp", input)
    x = input if input.dtype.is_floating_point else ew.mul(input, 1.0)
    return record(_core.logcumsumexp(x, dim), LOGCUMSUMEXP, (x,), (x, OUTPUT, dim))  # type: ignore[no-any-return]


def _logcumsumexp_rule(g: Tensor, needs: Any, x: Tensor, y: Tensor, dim: int) -> Any:
    """dx_k = exp(x_k - y_k) s_k with s_k = sum_{j>=k} g_j exp(y_k - y_j): s_k = g_k + exp(y_k - y_{k+1}) s_{k+1}.

    y rises, so no factor is above 1. Where y is -inf so is x, and the gradient is 0: exp(-inf - lowest). Nothing
    reaches back over an infinity: exp(largest - inf) is 0.
    """
    y = ew.nan_to_num(y, math.nan, math.inf)
    s = recurrence(ew.exp(ew.sub(ew.nan_to_num(y, math.nan), shift(y, dim, math.inf, False))), g, dim, True)
    return (ew.mul(ew.exp(ew.sub(x, y)), s),)


LOGCUMSUMEXP = op("logcumsumexp", _logcumsumexp_rule)


@method
@also_axis
def cummax(input: Tensor, dim: int) -> Extreme:
    """The running maximum along `dim` and the last index at which it was reached; NaN stays from its first place on.

    >>> mi.cummax(mi.tensor([1, 3, 2, 3]), dim=0)
    Extreme(values=tensor([1, 3, 3, 3]), indices=tensor([0, 1, 1, 3]))
    """
    return Extreme(*record(_core.cummax(input, dim), CUMMAX, (input,), (input.shape, OUTPUTS[1], dim, True)))


@method
@also_axis
def cummin(input: Tensor, dim: int) -> Extreme:
    """The running minimum along `dim` and the last index at which it was reached; NaN stays from its first place on.

    >>> mi.cummin(mi.tensor([2, 3, 1]), dim=0)
    Extreme(values=tensor([2, 2, 1]), indices=tensor([0, 0, 2]))
    """
    return Extreme(*record(_core.cummin(input, dim), CUMMIN, (input,), (input.shape, OUTPUTS[1], dim, True)))


CUMMAX = op("cummax", put_rule)
CUMMIN = op("cummin", put_rule)


# ---- made of slices --------------------------------------------------------------------------------------------------
def _ends(x: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """x without its last and without its first element along `dim`."""
    n = x.shape[dim]
    return slice(x, dim, 0, n - 1 if n else 0), slice(x, dim, 1, n)


@method
@also_axis
def diff(
    input: Tensor, n: int = 1, dim: int = -1, prepend: Tensor | None = None, append: Tensor | None = None
) -> Tensor:
    """The n-th difference x_{i+1} - x_i along `dim`, of input with `prepend` and `append` around it; xor for bool.

    RuntimeError: a 0-dim input, n < 0.

    >>> mi.diff(mi.tensor([1, 4, 9]))
    tensor([3, 5])
    """
    check_tensors("diff", input)
    if input.ndim == 0:
        raise RuntimeError("diff: expected at least one dimension")
    if n < 0:
        raise RuntimeError(f"diff: the order must not be negative, got {n}")
    parts = [x for x in (prepend, input, append) if x is not None]
    y = cat(parts, dim) if n and len(parts) > 1 else input
    if n == 0:
        return ew.clone(input)
    for _ in range(min(n, y.shape[dim])):
        first, second = _ends(y, dim)
        y = ew.logical_xor(second, first) if y.dtype.itemsize == 1 and "bool" in str(y.dtype) else ew.sub(second, first)
    return y


def _widths(name: str, y: Tensor, x: Tensor, axis: int) -> Tensor:
    """x_{i+1} - x_i, ready to be multiplied with y's neighbours."""
    if x.dtype.name == "bool":
        raise RuntimeError(f"{name}: x must be numbers, got bool")
    if x.ndim == 1:
        if x.shape[0] != y.shape[axis]:
            raise RuntimeError(f"{name}: x has {x.shape[0]} points, y {y.shape[axis]} along dimension {axis}")
        x = reshape(x, [-1] + [1] * (y.ndim - axis - 1))
    if x.ndim < y.ndim:
        x = reshape(x, (1,) * (y.ndim - x.ndim) + x.shape)
    first, second = _ends(x, axis)
    return ew.sub(second, first)


def _trapezoid_arguments(name: str, y: Tensor, x: Any, dx: Any, dim: int) -> int:
    """dim, not negative."""
    check_tensors(name, y, *(() if x is None else (x,)))
    if x is not None and dx is not None:
        raise TypeError(f"{name}: give x or dx, not both")
    if y.dtype.name == "bool":
        raise RuntimeError(f"{name}: y must be numbers, got bool")
    if isinstance(dx, bool):
        raise RuntimeError(f"{name}: dx must be a number, got a bool")
    return wrapped(dim, y.ndim, name)


@also_axis
def trapezoid(y: Tensor, x: Tensor | None = None, *, dx: float | None = None, dim: int = -1) -> Tensor:
    """The integral of y along `dim` by the trapezoidal rule, at points x or dx (1) apart.

    Points dx apart: (sum y - (first + last) / 2) dx. Points x: sum (y_i + y_{i+1}) (x_{i+1} - x_i) / 2; x is a vector,
    or broadcasts with y. Of no points: 0. RuntimeError: bool, shapes that do not fit. TypeError: x and dx.

    >>> mi.trapezoid(mi.tensor([0.0, 1.0, 2.0]))
    tensor(2.)
    """
    check_tensors("trapezoid", y)
    if y.ndim == 0:
        raise IndexError("trapezoid: expected at least one dimension")
    if y.shape[wrapped(dim, y.ndim, "trapezoid")] == 0:
        return sum(y.detach(), dim, dtype=y.dtype)
    dim = _trapezoid_arguments("trapezoid", y, x, dx, dim)
    if x is None:
        ends = ew.add(select(y, dim, 0), select(y, dim, -1))
        return ew.mul(ew.sub(sum(y, dim), ew.mul(ends, 0.5)), 1.0 if dx is None else dx)
    first, second = _ends(y, dim)
    return ew.div(sum(ew.mul(ew.add(first, second), _widths("trapezoid", y, x, dim)), dim), 2.0)


trapz = trapezoid


@also_axis
def cumulative_trapezoid(y: Tensor, x: Tensor | None = None, *, dx: float | None = None, dim: int = -1) -> Tensor:
    """The running integral of y along `dim` (see `trapezoid`): one element fewer than y.

    >>> mi.cumulative_trapezoid(mi.tensor([0.0, 1.0, 2.0]))
    tensor([0.5000, 2.0000])
    """
    dim = _trapezoid_arguments("cumulative_trapezoid", y, x, dx, dim)
    first, second = _ends(y, dim)
    if x is None:
        return cumsum(ew.mul(ew.add(first, second), (1 if dx is None else dx) / 2), dim)
    return ew.div(cumsum(ew.mul(ew.add(second, first), _widths("cumulative_trapezoid", y, x, dim)), dim), 2.0)
