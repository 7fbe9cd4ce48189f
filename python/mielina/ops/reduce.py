"""Reductions: from many elements to one, along axes."""

from __future__ import annotations

from typing import Any

from .. import _core
from ..autograd import op, record
from ..dtypes import dtype as DType
from ..tensor import Tensor, method
from .layout import expand, reshape

__all__ = ["sum", "mean", "sum_to"]


def _axes(dim: Any) -> Any:
    return () if dim is None else dim


@method
def sum(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: DType | None = None, axis: Any = None, keepdims: bool | None = None) -> Tensor:
    """Sum over `dim` (an int, several, or all). Integers and bool add up in int64; `dtype` converts first.

    IndexError: `dim` out of range.
    """
    dim = axis if dim is None else dim
    keepdim = keepdim if keepdims is None else keepdims
    y = _core.sum(input, _axes(dim), keepdim, dtype)
    return record(y, SUM, (input,), (input.shape, dim, keepdim, input.dtype))  # type: ignore[no-any-return]


def _kept(shape: tuple[int, ...], dim: Any) -> tuple[int, ...]:
    """The shape with the reduced axes as 1."""
    n = len(shape)
    if dim is None or dim == () or dim == []:
        return (1,) * n
    dims = {d % n if n else 0 for d in ([dim] if isinstance(dim, int) else dim)}
    return tuple(1 if i in dims else s for i, s in enumerate(shape))


def _sum_rule(g: Tensor, needs: Any, shape: Any, dim: Any, keepdim: bool, dtype: DType) -> Any:
    g = g if keepdim else reshape(g, _kept(shape, dim))
    g = expand(g, shape)
    return (g if g.dtype is dtype else g.to(dtype),)


SUM = op("sum", _sum_rule)


@method
def mean(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: DType | None = None, axis: Any = None, keepdims: bool | None = None) -> Tensor:
    """Mean over `dim`. RuntimeError for integers without a floating `dtype`."""
    dim = axis if dim is None else dim
    keepdim = keepdim if keepdims is None else keepdims
    if not (dtype or input.dtype).is_floating_point:
        raise RuntimeError(f"mean: expected a floating dtype, got {dtype or input.dtype}; pass dtype=")
    total = sum(input, dim, keepdim, dtype=dtype)
    n = input.numel() // total.numel() if total.numel() else 0
    if n == 0:
        n = 1
        for s, k in zip(input.shape, _kept(input.shape, dim)):
            n *= s if k == 1 else 1
    return total / n


def sum_to(input: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Sums the axes that broadcasting `shape` to input's shape would have repeated."""
    return record(_core.sum_to(input, shape), SUM_TO, (input,), (input.shape,))  # type: ignore[no-any-return]


SUM_TO = op("sum_to", lambda g, needs, shape: (expand(g, shape),))
