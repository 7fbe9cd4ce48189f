"""scatter_reduce: sums, products, means and extrema by destination."""

from __future__ import annotations

from typing import Any

from ... import _core, dtypes
from ...autograd import OUTPUT, op, record
from ...tensor import Tensor, check_tensors, method
from ..elementwise import cast, div, eq, mul, where
from ..layout import in_place, zeros
from .along import _cropped, gather, scatter, scatter_add, source
from .mask import masked_fill

__all__ = ["scatter_reduce"]


def _identity(x: Tensor, reduce: str) -> Any:
    """What the reduction starts from."""
    if reduce in ("sum", "mean"):
        return 0
    if reduce == "prod":
        return 1
    if x.dtype.is_floating_point:
        return float("-inf") if reduce == "amax" else float("inf")
    if x.dtype is dtypes.bool:
        return reduce == "amin"
    bits = 8 * x.dtype.itemsize
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if x.dtype.is_signed else (0, 2**bits - 1)
    return low if reduce == "amax" else high


@method
def scatter_reduce(
    input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """A copy of input in which y[index[i][j]][j] (for dim 0, and so on) is reduced with all src[i][j] that go there.

    reduce: "sum", "prod", "mean" (of integers rounded down), "amax" or "amin" (the gradient is shared among equals).
    include_self=False leaves out input's own value where src has any. IndexError: an index outside [0, size).

    >>> mi.scatter_reduce(mi.zeros(2), 0, mi.tensor([0, 0, 1]), mi.tensor([1.0, 5.0, 2.0]), "amax")
    tensor([5., 2.])
    """
    check_tensors("scatter_reduce", input, index, src)
    if reduce not in ("sum", "prod", "mean", "amax", "amin"):
        raise RuntimeError(f"scatter_reduce: reduce must be sum, prod, mean, amax or amin, got {reduce!r}")
    src = _cropped(source(src, input, "scatter_reduce"), index)
    x = input if include_self else scatter(input, dim, index, _identity(input, reduce))
    if reduce == "sum":
        return scatter_add(x, dim, index, src)
    if reduce == "mean":
        return _mean(x, dim, index, src, include_self)
    y = _core.clone(x)
    _core.scatter_(y, dim, index, src, {"prod": "mul", "amax": "max", "amin": "min"}[reduce], True)
    return record(y, PROD if reduce == "prod" else EXTREME, (x, src), (x, src, dim, index, OUTPUT))  # type: ignore[no-any-return]


def _mean(x: Tensor, dim: int, index: Tensor, src: Tensor, include_self: bool) -> Tensor:
    counting = (
        dtypes.float64 if x.dtype is dtypes.float64 else dtypes.float32 if x.dtype.is_floating_point else dtypes.int64
    )
    count = zeros(x.shape, counting, x)
    _core.fill_(count, 1)
    one = zeros((), counting, x)
    if not include_self:
        _core.scatter_(count, dim, index, one, "assign", True)
    _core.fill_(one, 1)
    _core.scatter_(count, dim, index, one, "add", True)
    count = masked_fill(count, eq(count, 0), 1)
    total = scatter_add(x, dim, index, src)
    return (
        div(total, cast(count, x.dtype))
        if x.dtype.is_floating_point
        else cast(div(total, count, rounding_mode="floor"), x.dtype)
    )


def _prod_rule(g: Tensor, needs: Any, x: Tensor, src: Tensor, dim: int, index: Tensor, y: Tensor) -> Any:
    """y / src times g, where src is not zero; a single zero among the factors gets the product of the others."""
    dx = ds = None
    if needs[0]:
        others = scatter_reduce(zeros(x.shape, x.dtype) + 1, dim, index, src, "prod")
        dx = mul(g, others)
    if needs[1]:
        zero = eq(src, 0)
        many = scatter_add(zeros(x.shape, x.dtype), dim, index, cast(zero, x.dtype))
        single = mul(cast(zero, x.dtype), cast(eq(gather(many, dim, index), 1), x.dtype))
        without = masked_fill(src, cast(single, dtypes.bool), 1)
        product = gather(mul(g, scatter_reduce(x, dim, index, without, "prod")), dim, index)
        ds = where(zero, mul(product, single), div(gather(mul(g, y), dim, index), masked_fill(src, zero, 1)))
    return dx, ds


PROD = op("scatter_prod", _prod_rule)


def _extreme_rule(g: Tensor, needs: Any, x: Tensor, src: Tensor, dim: int, index: Tensor, y: Tensor) -> Any:
    mine = cast(eq(x, y), g.dtype)
    theirs = cast(eq(src, gather(y.detach(), dim, index)), g.dtype)
    share = div(g, scatter_add(mine, dim, index, theirs))
    return mul(share, mine) if needs[0] else None, mul(gather(share, dim, index), theirs) if needs[1] else None


EXTREME = op("scatter_extreme", _extreme_rule)
scatter_reduce_ = in_place(scatter_reduce)
