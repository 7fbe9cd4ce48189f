"""Largest and smallest: values, where they stand, both."""

from __future__ import annotations

from typing import Any, NamedTuple

from ... import _core
from ...autograd import OUTPUT, OUTPUTS, op, record
from ...tensor import Tensor, also_axis, method
from .. import elementwise as ew
from .shapes import axes_of, put_along, share

__all__ = ["amax", "amin", "max", "min", "argmax", "argmin", "aminmax"]


@method
def amax(
    input: Tensor, dim: Any = (), keepdim: bool = False, *, axis: Any = None, keepdims: bool | None = None
) -> Tensor:
    """The largest over `dim`; NaN if there is one. The gradient is split evenly among equals.

    IndexError: nothing to choose from (RuntimeError without `dim`).

    >>> mi.amax(mi.tensor([[1.0, 5.0], [3.0, 2.0]]), dim=1)
    tensor([5., 3.])
    """
    dim = dim if axis is None else axis
    keepdim = keepdim if keepdims is None else keepdims
    return record(_core.amax(input, axes_of(dim), keepdim), AMAX, (input,), (input, OUTPUT, dim, keepdim))  # type: ignore[no-any-return]


@method
def amin(
    input: Tensor, dim: Any = (), keepdim: bool = False, *, axis: Any = None, keepdims: bool | None = None
) -> Tensor:
    """The smallest over `dim`; NaN if there is one. The gradient is split evenly among equals.

    >>> mi.amin(mi.tensor([[1.0, 5.0], [3.0, 2.0]]), dim=1)
    tensor([1., 2.])
    """
    dim = dim if axis is None else axis
    keepdim = keepdim if keepdims is None else keepdims
    return record(_core.amin(input, axes_of(dim), keepdim), AMIN, (input,), (input, OUTPUT, dim, keepdim))  # type: ignore[no-any-return]


def _share_rule(g: Tensor, needs: Any, x: Tensor, y: Tensor, dim: Any, keepdim: bool) -> Any:
    return (share(g, x, y, dim, keepdim),)


AMAX = op("amax", _share_rule)
AMIN = op("amin", _share_rule)


class Extreme(NamedTuple):
    """Values and the indices at which they stand."""

    values: Tensor
    indices: Tensor


def put_rule(g: Any, needs: Any, shape: Any, index: Tensor, dim: int, keepdim: bool) -> Any:
    """The gradient of (values, indices) picked along `dim`: values' gradient, put where they came from."""
    return (None if g[0] is None else put_along(g[0], index, shape, dim, keepdim),)


def _extreme(name: str, input: Tensor, dim: Any, keepdim: bool) -> Any:
    if dim is None:
        return (amax if name == "max" else amin)(input)
    if isinstance(dim, Tensor):
        return (ew.maximum if name == "max" else ew.minimum)(input, dim)
    pick, o = (_core.max, MAX) if name == "max" else (_core.min, MIN)
    return Extreme(*record(pick(input, dim, keepdim), o, (input,), (input.shape, OUTPUTS[1], dim, keepdim)))


@method
def max(
    input: Tensor,
    dim: Any = None,
    keepdim: bool = False,
    *,
    other: Any = None,
    axis: Any = None,
    keepdims: bool | None = None,
) -> Any:
    """max(x): the largest of all. max(x, dim): (values, first index). max(x, other): maximum(x, other).

    NaN counts as the largest. The gradient goes to the index; max(x) shares it among equals.

    >>> mi.max(mi.tensor([[1.0, 5.0], [3.0, 2.0]]), 1)
    Extreme(values=tensor([5., 3.]), indices=tensor([1, 0]))
    """
    dim = other if other is not None else axis if dim is None else dim
    return _extreme("max", input, dim, keepdim if keepdims is None else keepdims)


@method
def min(
    input: Tensor,
    dim: Any = None,
    keepdim: bool = False,
    *,
    other: Any = None,
    axis: Any = None,
    keepdims: bool | None = None,
) -> Any:
    """min(x): the smallest of all. min(x, dim): (values, first index). min(x, other): minimum(x, other).

    NaN counts as the smallest. The gradient goes to the index; min(x) shares it among equals.

    >>> mi.min(mi.tensor([[1.0, 5.0], [3.0, 2.0]]), 1)
    Extreme(values=tensor([1., 2.]), indices=tensor([0, 1]))
    """
    dim = other if other is not None else axis if dim is None else dim
    return _extreme("min", input, dim, keepdim if keepdims is None else keepdims)


MAX = op("max", put_rule)
MIN = op("min", put_rule)


@method
def argmax(
    input: Tensor, dim: int | None = None, keepdim: bool = False, *, axis: Any = None, keepdims: bool | None = None
) -> Tensor:
    """The first index of the largest (in the flattened tensor without `dim`), int64; NaN counts as the largest.

    >>> mi.argmax(mi.tensor([[1.0, 5.0], [3.0, 2.0]]), dim=1)
    tensor([1, 0])
    """
    dim = axis if dim is None else dim
    return record(_core.argmax(input, dim, keepdim if keepdims is None else keepdims), ARG, (input,), ())  # type: ignore[no-any-return]


@method
def argmin(
    input: Tensor, dim: int | None = None, keepdim: bool = False, *, axis: Any = None, keepdims: bool | None = None
) -> Tensor:
    """The first index of the smallest (in the flattened tensor without `dim`), int64; NaN counts as the smallest.

    >>> mi.argmin(mi.tensor([[1.0, 5.0], [3.0, 2.0]]), dim=1)
    tensor([0, 1])
    """
    dim = axis if dim is None else dim
    return record(_core.argmin(input, dim, keepdim if keepdims is None else keepdims), ARG, (input,), ())  # type: ignore[no-any-return]


ARG = op("arg", lambda g, needs: (None,))


class MinMax(NamedTuple):
    min: Tensor
    max: Tensor


@method
@also_axis
def aminmax(input: Tensor, *, dim: int | None = None, keepdim: bool = False) -> MinMax:
    """The smallest and the largest over `dim`, in one pass.

    >>> mi.aminmax(mi.tensor([3, 1, 2]))
    MinMax(min=tensor(1), max=tensor(3))
    """
    y = _core.aminmax(input, axes_of(dim), keepdim)
    return MinMax(*record(y, AMINMAX, (input,), (input, OUTPUTS[0], OUTPUTS[1], dim, keepdim)))


def _aminmax_rule(g: Any, needs: Any, x: Tensor, lo: Tensor, hi: Tensor, dim: Any, keepdim: bool) -> Any:
    parts = [share(part, x, y, dim, keepdim) for part, y in zip(g, (lo, hi)) if part is not None]
    return (parts[0] if len(parts) == 1 else ew.add(*parts),)


AMINMAX = op("aminmax", _aminmax_rule)
