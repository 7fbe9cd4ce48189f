"""Medians and quantiles."""

from __future__ import annotations

from typing import Any

from ... import _core
from ...autograd import OUTPUT, OUTPUTS, op, record
from ...tensor import Tensor, also_axis, check_tensors, method
from .. import elementwise as ew
from ..layout import expand, permute, reshape, select
from .extremes import Extreme, put_rule
from .shapes import kept, share

__all__ = ["median", "nanmedian", "quantile", "nanquantile"]


# The median of no integers: NaN as PyTorch converts it.
_NOTHING = {"int64": -(2**63), "int32": -(2**31), "bool": True}


def _median(input: Tensor, dim: Any, keepdim: bool, skip_nan: bool) -> Any:
    check_tensors("nanmedian" if skip_nan else "median", input)
    if dim is not None:
        y = _core.median(input, dim, keepdim, skip_nan)
        return Extreme(*record(y, MEDIAN, (input,), (input.shape, OUTPUTS[1], dim, keepdim)))
    if input.numel() == 0:
        nothing = _core.empty((), input.dtype)
        _core.fill_(nothing, float("nan") if input.dtype.is_floating_point else _NOTHING.get(input.dtype.name, 0))
        return record(nothing, MEDIAN_ALL, (input,), (input, OUTPUT))
    middle = _core.median(_core.reshape(input, (-1,)), 0, False, skip_nan)[0]
    return record(middle, MEDIAN_ALL, (input,), (input, OUTPUT))


@method
@also_axis
def median(input: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
    """The middle element, the lower of two; NaN if there is one. (values, indices) along `dim`.

    The gradient goes to the index; that of median(x) is shared among equals.

    >>> mi.median(mi.tensor([3, 1, 2, 4]))
    tensor(2)
    """
    return _median(input, dim, keepdim, False)


@method
@also_axis
def nanmedian(input: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
    """The median of what is not NaN.

    >>> mi.nanmedian(mi.tensor([1.0, float("nan"), 3.0]))
    tensor(1.)
    """
    return _median(input, dim, keepdim, True)


MEDIAN = op("median", put_rule)
MEDIAN_ALL = op("median", lambda g, needs, x, y: (share(g, x, y, None, False),))

_PLACES = {
    "linear": lambda rank: (ew.floor(rank), ew.ceil(rank)),
    "lower": lambda rank: (ew.floor(rank), None),
    "higher": lambda rank: (ew.ceil(rank), None),
    "nearest": lambda rank: (ew.round(rank), None),
    "midpoint": lambda rank: (ew.floor(rank), ew.ceil(rank)),
}


def _quantile(name: str, input: Tensor, q: Any, dim: Any, keepdim: bool, interpolation: str) -> Tensor:
    from ...dtypes import float64
    from ..index import gather
    from ..sort import sort

    check_tensors(name, input)
    if interpolation not in _PLACES:
        raise RuntimeError(f"{name}: interpolation must be one of {', '.join(_PLACES)}, got {interpolation!r}")
    if not input.dtype.is_floating_point:
        raise RuntimeError(f"{name}: expected a floating dtype, got {input.dtype}")
    vector = isinstance(q, Tensor) and q.ndim == 1
    levels = q.tolist() if isinstance(q, Tensor) else q
    levels = levels if vector else [float(levels)]
    for level in levels:
        if not 0 <= level <= 1:
            raise RuntimeError(f"{name}: q must be in [0, 1], got {level}")
    if input.numel() == 0:
        raise RuntimeError(f"{name}: the input of shape {input.shape} is empty")
    shape = kept(input.shape, dim)
    x = reshape(input, -1) if dim is None else input
    axis = 0 if dim is None or not x.ndim else dim % x.ndim
    x = reshape(x, 1) if not x.ndim else x
    rows = sort(x, axis, stable=True)[0]
    n = rows.shape[axis]

    # Place q (n - 1) of each sorted row, in double; with NaN at the end passed over, n is counted row by row.
    rank_shape = [1] * x.ndim
    rank_shape[axis] = len(levels)
    double = ew.cast(q, float64) if isinstance(q, Tensor) else _core.from_numpy(_float64(levels))
    rank = reshape(double.to(input.device), rank_shape)
    if name == "nanquantile":
        last = ew.clamp(ew.sub(_core.count_valid(x, axis, True), 1), 0)
        rank = ew.mul(rank, ew.cast(last, rank.dtype))
    else:
        rank = expand(ew.mul(rank, n - 1), [len(levels) if i == axis else s for i, s in enumerate(x.shape)])
    low, high = _PLACES[interpolation](rank)
    y = gather(rows, axis, _index(low))
    if high is not None:
        weight = 0.5 if interpolation == "midpoint" else ew.cast(ew.sub(rank, low), x.dtype)
        y = ew.lerp(y, gather(rows, axis, _index(high)), weight)
    if name == "quantile":
        end = reshape(select(rows, axis, n - 1), kept(rows.shape, axis))  # NaN sort last
        y = ew.where(ew.isnan(end), end, y)
    # The levels come first; the reduced axes stay as 1 or go.
    y = permute(y, axis, *[i for i in range(y.ndim) if i != axis])
    rest = shape if keepdim else _without(input.shape, dim)
    return reshape(y, len(levels), *rest) if vector else reshape(y, rest)


def _float64(levels: Any) -> Any:
    import numpy as np

    return np.array(levels, np.float64)


def _index(rank: Tensor) -> Tensor:
    from ...dtypes import int64

    return ew.cast(rank, int64)


def _without(shape: tuple[int, ...], dim: Any) -> tuple[int, ...]:
    if dim is None or not shape:
        return ()
    return tuple(s for i, s in enumerate(shape) if i != dim % len(shape))


@method
@also_axis
def quantile(
    input: Tensor, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Tensor:
    """The element at place q (n - 1) of the sorted ones, interpolated between neighbours; NaN if there is one.

    q: a number in [0, 1], or a vector of them, which gives the result a first axis; a tensor may want a gradient.
    interpolation: "linear", "lower", "higher", "nearest" or "midpoint". RuntimeError: q out of range, an empty or
    integer input.

    >>> mi.quantile(mi.tensor([1.0, 2.0, 3.0, 4.0]), 0.5)
    tensor(2.5000)
    """
    return _quantile("quantile", input, q, dim, keepdim, interpolation)


@method
@also_axis
def nanquantile(
    input: Tensor, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Tensor:
    """The quantile of what is not NaN.

    >>> mi.nanquantile(mi.tensor([1.0, float("nan"), 3.0]), 0.5)
    tensor(2.)
    """
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation)
