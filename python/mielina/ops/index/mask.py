"""Reading and writing by a mask."""

from __future__ import annotations

from typing import Any

from ... import _core
from ...autograd import op, record
from ...tensor import Tensor, check_tensors, method
from ..elementwise import operand
from ..layout import expand, in_place, ravel, reshape
from .getitem import index, index_put_values

__all__ = ["argwhere", "masked_fill", "masked_scatter", "masked_select", "nonzero"]


@method
def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """`value` (a number or a 0-dim tensor) where the mask is True, else input; both broadcast. RuntimeError: mask not
    bool.

    >>> mi.masked_fill(mi.tensor([1, 2]), mi.tensor([True, False]), 0)
    tensor([0, 2])
    """
    value = operand(value)
    return record(_core.masked_fill(input, mask, value), MASKED_FILL, (input, value), (mask,))  # type: ignore[no-any-return]


def _masked_fill_rule(g: Tensor, needs: Any, mask: Tensor) -> Any:
    return masked_fill(g, mask, 0) if needs[0] else None, masked_select(g, mask).sum() if needs[1] else None


MASKED_FILL = op("masked_fill", _masked_fill_rule, broadcast=True)
masked_fill_ = in_place(masked_fill, lambda x, mask, value: _core.masked_fill_(x, mask, operand(value)))


@method
def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where the mask is True, in a row; both broadcast. RuntimeError: mask not bool.

    >>> mi.masked_select(mi.tensor([1, 2, 3]), mi.tensor([True, False, True]))
    tensor([1, 3])
    """
    check_tensors("masked_select", input, mask)
    shape = _core.broadcast_shapes((input.shape, mask.shape))
    _check(mask, "masked_select")
    return index(ravel(expand(input, shape)), (_core.nonzero(_core.expand(mask, shape), True),), (0,))


@method
def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """A copy of input in which the elements under the mask are those of source, in order. RuntimeError: source is too
    short.

    >>> mi.masked_scatter(mi.zeros(3), mi.tensor([True, False, True]), mi.tensor([5.0, 6.0]))
    tensor([5., 0., 6.])
    """
    check_tensors("masked_scatter", input, mask, source)
    _check(mask, "masked_scatter")
    if source.dtype is not input.dtype:
        raise RuntimeError(
            f"masked_scatter: expected self and source to have the same dtype, got {input.dtype} and {source.dtype}"
        )
    shape = _core.broadcast_shapes((input.shape, mask.shape))
    places = _core.nonzero(_core.expand(mask, shape), True)
    n = places.shape[0]
    if source.numel() < n:
        raise RuntimeError(f"masked_scatter: the mask has {n} ones, but source only {source.numel()} elements")
    values = ravel(source).narrow(0, 0, n)
    return reshape(index_put_values(ravel(expand(input, shape)), (places,), (0,), values, False), shape)


masked_scatter_ = in_place(masked_scatter)


def _check(mask: Tensor, name: str) -> None:
    if mask.dtype.name != "bool":
        raise RuntimeError(f"{name}: the mask must be a bool tensor, got {mask.dtype}")


@method
def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """Where input is not zero, in C order: (n, ndim) int64, or a vector for each axis. RuntimeError while recording.

    >>> mi.nonzero(mi.tensor([[1, 0], [0, 2]]))
    tensor([[0, 0],
            [1, 1]])
    """
    if not as_tuple:
        return _core.nonzero(input, False)
    places = _core.nonzero(input if input.ndim else _core.unsqueeze(input, 0), False)
    return tuple(_core.select(places, 1, d) for d in range(places.shape[1]))


def nonzero_tuple(input: Tensor) -> Any:
    """What where(condition) gives."""
    return nonzero(input, as_tuple=True)


@method
def argwhere(input: Tensor) -> Tensor:
    """Where input is not zero: (n, ndim) int64.

    >>> mi.argwhere(mi.tensor([[1, 0], [0, 2]]))
    tensor([[0, 0],
            [1, 1]])
    """
    return _core.nonzero(input, False)  # type: ignore[no-any-return]
