"""Sums, products, counts, norms."""

from __future__ import annotations

import math
from typing import Any

from ... import _core
from ...autograd import OUTPUT, op, record
from ...dtypes import dtype as DType
from ...dtypes import uint8
from ...tensor import Tensor, also_axis, check_tensors, method
from .. import elementwise as ew
from ..layout import expand, reshape
from .shapes import axes_of, beside, folded, kept, share, unfold

__all__ = [
    "sum",
    "nansum",
    "mean",
    "nanmean",
    "prod",
    "sum_to",
    "any",
    "all",
    "count_nonzero",
    "logsumexp",
    "norm",
    "dist",
]


@method
def sum(
    input: Tensor,
    dim: Any = None,
    keepdim: bool = False,
    *,
    dtype: DType | None = None,
    axis: Any = None,
    keepdims: bool | None = None,
) -> Tensor:
    """Sum over `dim`. Integers and bool add up in int64; `dtype` converts first. IndexError: `dim` out of range.

    >>> mi.sum(mi.tensor([[1, 2], [3, 4]]), dim=0)
    tensor([4, 6])
    """
    dim = axis if dim is None else dim
    keepdim = keepdim if keepdims is None else keepdims
    y = _core.sum(input, () if dim is None else dim, keepdim, dtype)
    return record(y, SUM, (input,), (input.shape, dim, keepdim, input.dtype))  # type: ignore[no-any-return]


def _sum_rule(g: Tensor, needs: Any, shape: Any, dim: Any, keepdim: bool, dtype: DType) -> Any:
    return (ew.cast(unfold(g, shape, dim, keepdim), dtype),)


SUM = op("sum", _sum_rule)


@method
def nansum(
    input: Tensor,
    dim: Any = None,
    keepdim: bool = False,
    *,
    dtype: DType | None = None,
    axis: Any = None,
    keepdims: bool | None = None,
) -> Tensor:
    """Sum over `dim` with NaN as 0.

    >>> mi.nansum(mi.tensor([1.0, float("nan"), 3.0]))
    tensor(4.)
    """
    dim = axis if dim is None else dim
    keepdim = keepdim if keepdims is None else keepdims
    return record(_core.nansum(input, axes_of(dim), keepdim, dtype), NANSUM, (input,), (input, dim, keepdim))  # type: ignore[no-any-return]


def _nansum_rule(g: Tensor, needs: Any, x: Tensor, dim: Any, keepdim: bool) -> Any:
    return (ew.mul(ew.cast(unfold(g, x.shape, dim, keepdim), x.dtype), ew.cast(ew.eq(x, x), x.dtype)),)


NANSUM = op("nansum", _nansum_rule)


@method
def mean(
    input: Tensor,
    dim: Any = None,
    keepdim: bool = False,
    *,
    dtype: DType | None = None,
    axis: Any = None,
    keepdims: bool | None = None,
) -> Tensor:
    """Mean over `dim`; NaN of nothing. RuntimeError for integers without a floating `dtype`.

    >>> mi.mean(mi.tensor([[1.0, 2.0], [3.0, 4.0]]), dim=0)
    tensor([2., 3.])
    """
    dim = axis if dim is None else dim
    keepdim = keepdim if keepdims is None else keepdims
    y = _core.mean(input, () if dim is None else dim, keepdim, dtype)
    return record(y, MEAN, (input,), (input.shape, dim, keepdim, input.dtype))  # type: ignore[no-any-return]


def _mean_rule(g: Tensor, needs: Any, shape: Any, dim: Any, keepdim: bool, dtype: DType) -> Any:
    n = folded(shape, dim)
    return (ew.cast(unfold(ew.div(g, n) if n else g, shape, dim, keepdim), dtype),)


MEAN = op("mean", _mean_rule)


@method
def nanmean(
    input: Tensor,
    dim: Any = None,
    keepdim: bool = False,
    *,
    dtype: DType | None = None,
    axis: Any = None,
    keepdims: bool | None = None,
) -> Tensor:
    """Mean over `dim` of what is not NaN. RuntimeError for integers.

    >>> mi.nanmean(mi.tensor([1.0, float("nan"), 3.0]))
    tensor(2.)
    """
    dim = axis if dim is None else dim
    keepdim = keepdim if keepdims is None else keepdims
    count = _core.count_valid(input, axes_of(dim), keepdim)
    return ew.div(nansum(input, dim, keepdim, dtype=dtype), count)


@method
def prod(
    input: Tensor,
    dim: Any = None,
    keepdim: bool = False,
    *,
    dtype: DType | None = None,
    axis: Any = None,
    keepdims: bool | None = None,
) -> Tensor:
    """Product over `dim`. Integers and bool multiply in int64.

    >>> mi.prod(mi.tensor([[1, 2], [3, 4]]), dim=1)
    tensor([ 2, 12])
    """
    dim = axis if dim is None else dim
    keepdim = keepdim if keepdims is None else keepdims
    y = _core.prod(input, axes_of(dim), keepdim, dtype)
    return record(y, PROD, (input,), (input, dim, keepdim))  # type: ignore[no-any-return]


def _prod_rule(g: Tensor, needs: Any, x: Tensor, dim: Any, keepdim: bool) -> Any:
    """g times the product of all others, made of running products from both ends: zeros need no case of their own.

    Over several axes: of the others along the last one, of the other products of those along the axis before, and on.
    """
    shape = kept(x.shape, dim)
    g = ew.cast(g if keepdim else reshape(g, shape), x.dtype)
    axes = [d for d in reversed(range(x.ndim)) if shape[d] != x.shape[d]]
    others: list[Tensor] = []
    for i, d in enumerate(axes):
        x = prod(x, axes[i - 1], True) if i else x
        others.append(_others(x, d))
    for one in reversed(others):
        g = ew.mul(one, g)
    return (g,)


def _others(x: Tensor, dim: int) -> Tensor:
    from ..scan import running_product

    return ew.mul(running_product(x, dim, False, None, True), running_product(x, dim, True, None, True))


PROD = op("prod", _prod_rule)


def sum_to(input: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Sums the axes that broadcasting `shape` to input's shape would have repeated.

    >>> mi.sum_to(mi.ones(2, 3), (3,))
    tensor([2., 2., 2.])
    """
    return record(_core.sum_to(input, shape), SUM_TO, (input,), (input.shape,))  # type: ignore[no-any-return]


SUM_TO = op("sum_to", lambda g, needs, shape: (expand(g, shape),))


# ---- counts ----------------------------------------------------------------------------------------------------------
@method
def any(
    input: Tensor, dim: Any = None, keepdim: bool = False, *, axis: Any = None, keepdims: bool | None = None
) -> Tensor:
    """Whether some element is not zero (NaN is not). bool; uint8 for uint8. dim=() reduces nothing.

    >>> mi.any(mi.tensor([[0, 0], [0, 7]]), dim=1)
    tensor([False,  True])
    """
    dim = axis if dim is None else dim
    if dim == ():
        return ew.ne(input, 0) if input.dtype is not uint8 else ew.cast(ew.ne(input, 0), uint8)
    return record(_core.any(input, axes_of(dim), keepdim if keepdims is None else keepdims), COUNT, (input,), ())  # type: ignore[no-any-return]


@method
def all(
    input: Tensor, dim: Any = None, keepdim: bool = False, *, axis: Any = None, keepdims: bool | None = None
) -> Tensor:
    """Whether no element is zero. bool; uint8 for uint8. dim=() reduces nothing.

    >>> mi.all(mi.tensor([[True, True], [True, False]]), dim=1)
    tensor([ True, False])
    """
    dim = axis if dim is None else dim
    if dim == ():
        return any(input, ())
    return record(_core.all(input, axes_of(dim), keepdim if keepdims is None else keepdims), COUNT, (input,), ())  # type: ignore[no-any-return]


@method
def count_nonzero(input: Tensor, dim: Any = None, *, axis: Any = None) -> Tensor:
    """How many elements are not zero, int64.

    >>> mi.count_nonzero(mi.tensor([[1, 0], [2, 3]]), dim=0)
    tensor([2, 1])
    """
    dim = axis if dim is None else dim
    return record(_core.count_nonzero(input, axes_of(dim), False), COUNT, (input,), ())  # type: ignore[no-any-return]


COUNT = op("count", lambda g, needs: (None,))


# ---- logsumexp and norms ---------------------------------------------------------------------------------------------
@method
@also_axis
def logsumexp(input: Tensor, dim: Any, keepdim: bool = False) -> Tensor:
    """log sum exp(x) over `dim`, in one pass and without overflow; -inf of nothing. Integers become floating.

    >>> mi.logsumexp(mi.tensor([[1000.0, 1000.0]]), dim=1)
    tensor([1000.6932])
    """
    return record(_core.logsumexp(input, axes_of(dim), keepdim), LOGSUMEXP, (input,), (input, OUTPUT, dim, keepdim))  # type: ignore[no-any-return]


def _logsumexp_rule(g: Tensor, needs: Any, x: Tensor, y: Tensor, dim: Any, keepdim: bool) -> Any:
    y = ew.nan_to_num(y, math.nan, math.inf)  # a row of -inf has gradient 0: exp(-inf - lowest)
    return (ew.mul(unfold(g, x.shape, dim, keepdim), ew.exp(ew.sub(x, unfold(y, x.shape, dim, keepdim)))),)


LOGSUMEXP = op("logsumexp", _logsumexp_rule)


@method
@also_axis
def norm(input: Tensor, p: Any = "fro", dim: Any = None, keepdim: bool = False, dtype: DType | None = None) -> Tensor:
    """(sum |x|^p)^(1/p) over `dim`; inf and -inf: the largest and smallest |x|; 0: how many are not zero.

    p: a number, "fro" (2), or "nuc": the sum of singular values of the matrices in two axes. The gradient where the
    norm is 0 is 0. RuntimeError: integers, a dtype that narrows, p <= 0 or infinite over nothing.

    >>> mi.norm(mi.tensor([3.0, 4.0]))
    tensor(5.)
    """
    check_tensors("norm", input)
    if p is None or p == "fro":
        p = 2.0
    elif p == "nuc":
        from .nuclear import nuclear_norm

        return nuclear_norm(input if dtype is None else ew.cast(input, dtype), dim, keepdim)
    elif isinstance(p, str):
        raise RuntimeError(f'norm: p={p!r}; use a number, "fro" or "nuc"')
    x = input if dtype is None else ew.cast(input, dtype)
    y = _core.norm(input, p, axes_of(dim), keepdim, dtype)
    return record(y, NORM, (x,), (x, OUTPUT, float(p), dim, keepdim))  # type: ignore[no-any-return]


def _norm_rule(g: Tensor, needs: Any, x: Tensor, y: Tensor, p: float, dim: Any, keepdim: bool) -> Any:
    """d|x|_p / dx = sgn(x) |x|^(p - 1) / |x|_p^(p - 1)."""
    shape = x.shape
    if p == 0:
        return (ew.mul(x, 0),)
    if p == 1:
        return (ew.mul(unfold(g, shape, dim, keepdim), ew.sign(x)),)
    if p in (float("inf"), float("-inf")):
        return (ew.mul(share(g, ew.abs(x), y, dim, keepdim), ew.sign(x)),)
    g, y = beside(g, shape, dim, keepdim), beside(y, shape, dim, keepdim)
    zero = ew.eq(y, 0)
    y = ew.where(zero, 1.0, y)
    if p == 2:
        return (ew.mul(ew.where(zero, 0.0, g), ew.div(x, y)),)
    # 1 in place of x = 0 and of y = 0 keeps powers and their derivatives finite; the product with sgn(x) = 0 remains 0.
    size = ew.where(ew.eq(x, 0), 1.0, ew.abs(x))
    return (ew.mul(g, ew.mul(ew.sign(x), ew.pow(ew.div(size, y), p - 1))),)


NORM = op("norm", _norm_rule)


@method
def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """The p-norm of input - other, broadcast.

    >>> mi.dist(mi.tensor([0.0, 0.0]), mi.tensor([3.0, 4.0]))
    tensor(5.)
    """
    return norm(ew.sub(input, other), p)
