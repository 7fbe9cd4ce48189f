"""What gradient rules of reductions share: results in the input's shape, elements put back where they came from."""

from __future__ import annotations

from typing import Any

from ... import _core
from ...devices import made_on
from ...tensor import Tensor
from .. import elementwise as ew
from ..layout import expand, reshape, unsqueeze
from ..layout.views import slice, slice_backward

Shape = tuple[int, ...]


def axes_of(dim: Any) -> Any:
    """`dim` as the core takes it: no axes means all."""
    return () if dim is None else dim


def kept(shape: Shape, dim: Any) -> Shape:
    """The shape with the reduced axes as 1."""
    n = len(shape)
    if dim is None or dim == () or dim == []:
        return (1,) * n
    dims = {d % n if n else 0 for d in ([dim] if isinstance(dim, int) else dim)}
    return tuple(1 if i in dims else s for i, s in enumerate(shape))


def folded(shape: Shape, dim: Any) -> int:
    """How many elements one result is made of."""
    n = 1
    for size, one in zip(shape, kept(shape, dim)):
        n *= size if one == 1 else 1
    return n


def beside(g: Tensor, shape: Shape, dim: Any, keepdim: bool) -> Tensor:
    """g, of a result's shape, with the axes that were reduced as axes of one."""
    return g if keepdim else reshape(g, kept(shape, dim))


def unfold(g: Tensor, shape: Shape, dim: Any, keepdim: bool) -> Tensor:
    """g, of a result's shape, repeated over the axes that were reduced."""
    return expand(beside(g, shape, dim, keepdim), shape)


def put_along(g: Tensor, index: Tensor, shape: Shape, dim: int, keepdim: bool = True) -> Tensor:
    """Zeros of `shape` with g added at `index` along `dim`: the gradient of whatever picked elements."""
    from ..index.along import gather_backward

    if not shape:
        return reshape(g, shape)
    if not keepdim:
        g, index = unsqueeze(g, dim), unsqueeze(index, dim)
    return gather_backward(g, shape, dim, index)


def share(g: Tensor, x: Tensor, y: Tensor, dim: Any, keepdim: bool) -> Tensor:
    """g split evenly among the elements of x that equal the result y (or are NaN as it is)."""
    from .sums import sum

    y = unfold(y, x.shape, dim, keepdim).detach()
    same = (
        ew.logical_or(ew.eq(x, y), ew.logical_and(ew.isnan(x), ew.isnan(y)))
        if x.dtype.is_floating_point
        else ew.eq(x, y)
    )
    each = ew.div(unfold(g, x.shape, dim, keepdim), sum(ew.cast(same, g.dtype), dim, True))
    return ew.where(same, each, 0.0)


def shift(x: Tensor, dim: int, fill: float, forward: bool) -> Tensor:
    """The neighbour before (forward) or after each element along `dim`, and `fill` where there is none."""
    if not x.shape or x.shape[dim] == 0:
        return ew.add(ew.mul(x, 0), fill)
    n = x.shape[dim]
    at, end = (1, 0) if forward else (0, n - 1)
    y = slice_backward(slice(x, dim, 1 - at, n - at), x.shape, dim, at, n - 1 + at, 1)
    if fill == 0:
        return y
    edge = made_on(x, _core.empty, kept(x.shape, dim), x.dtype)
    _core.fill_(edge, fill)
    return ew.add(y, slice_backward(edge, x.shape, dim, end, end + 1, 1))
