"""The order of elements in memory, and windows of any strides."""

from __future__ import annotations

from typing import Any

from ... import _core
from ...autograd import op, record
from ...tensor import Tensor, check_tensors, method, method_as
from .inplace import region
from .views import axis, movedim, reshape, view_of, zeros

__all__ = [
    "as_strided", "channels_last", "channels_last_3d", "contiguous", "contiguous_format", "is_contiguous",
    "preserve_format",
]  # fmt: skip


class memory_format:
    """Which axis runs innermost: `order` lists the axes from the outermost, None is C order."""

    def __init__(self, name: str, order: tuple[int, ...] | None = None) -> None:
        self.name = name
        self.order = order

    def __repr__(self) -> str:
        return f"mielina.{self.name}"

    def __reduce__(self) -> Any:
        return _format_by_name, (self.name,)


contiguous_format = memory_format("contiguous_format")
preserve_format = memory_format("preserve_format")
channels_last = memory_format("channels_last", (0, 2, 3, 1))
channels_last_3d = memory_format("channels_last_3d", (0, 2, 3, 4, 1))


def _format_by_name(name: str) -> memory_format:
    return globals()[name]  # type: ignore[no-any-return]


@method
def contiguous(input: Tensor, *, memory_format: memory_format = contiguous_format) -> Tensor:
    """The tensor itself if its elements lie in C order (or in that of `memory_format`), else a copy whose do.

    RuntimeError: channels_last for other than 4 dimensions, channels_last_3d for other than 5.

    >>> mi.contiguous(mi.ones(2, 3).T).stride()
    (2, 1)
    """
    order = memory_format.order
    if order is None:
        if memory_format is preserve_format or _core.is_contiguous(input):
            return input
        return record(_core.contiguous(input), CONTIGUOUS, (input,), ())  # type: ignore[no-any-return]
    if len(order) != input.ndim:
        raise RuntimeError(f"contiguous: {memory_format} is for tensors of {len(order)} dimensions, got {input.ndim}")
    y = _core.ordered(input, order)
    return input if y._storage == input._storage else record(y, CONTIGUOUS, (input,), ())  # type: ignore[no-any-return]


CONTIGUOUS = op("contiguous", lambda g, needs: (g,))


@method
def is_contiguous(input: Tensor, *, memory_format: memory_format = contiguous_format) -> bool:
    """Whether the elements lie in C order, or in that of `memory_format`.

    >>> mi.is_contiguous(mi.ones(2, 3).T)
    False
    """
    order = memory_format.order
    if order is not None:
        return len(order) == input.ndim and _core.is_contiguous(_core.permute(input, order))  # type: ignore[no-any-return]
    return _core.is_contiguous(input)  # type: ignore[no-any-return]


@method
def as_strided(input: Tensor, size: Any, stride: Any, storage_offset: int | None = None) -> Tensor:
    """A window of any shape and strides (in elements) on input's memory. RuntimeError where it reaches outside.

    >>> mi.as_strided(mi.arange(6), (2, 3), (1, 2))
    tensor([[0, 2, 4],
            [1, 3, 5]])
    """
    check_tensors("as_strided", input)
    offset = input._offset if storage_offset is None else storage_offset
    y = _core.as_strided(input, tuple(size), tuple(stride), offset)
    return region(input, y)


# ---- windows along an axis -------------------------------------------------------------------------------------------
def unfold_windows(input: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """All windows of `size` along an axis, `step` apart, as a new last axis; a view.

    >>> mi.arange(5).unfold(0, 3, 1)
    tensor([[0, 1, 2],
            [1, 2, 3],
            [2, 3, 4]])
    """
    return view_of(_core.windows(input, dimension, size, step), UNFOLD, input, input.shape, dimension, size, step)


method_as("unfold")(unfold_windows)


def _unfold_rule(g: Tensor, needs: Any, shape: tuple[int, ...], dim: int, size: int, step: int) -> Any:
    from ..creation import arange
    from ..index import index_add

    if not shape:
        return (reshape(g, shape),)
    dim = axis(dim, len(shape), "unfold")
    windows = g.shape[dim]
    places = _core.contiguous(_core.windows(arange(shape[dim]), 0, size, step))
    rows = movedim(g, -1, dim + 1)
    rows = reshape(rows, (*shape[:dim], windows * size, *shape[dim + 1 :]))
    return (index_add(zeros(shape, g.dtype), dim, reshape(places, (-1,)), rows),)


UNFOLD = op("unfold", _unfold_rule)
