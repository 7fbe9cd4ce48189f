"""Tensors of given values in memory that is not simply contiguous."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mielina.testing.dtypes import Array, quantise
from mielina.testing.library import MIELINA, Library, Tensor


@dataclass(frozen=True)
class Make:
    """Makes contiguous tensors of one dtype on one device."""

    library: Library
    dtype: str
    device: str

    def __call__(self, values: Array) -> Tensor:
        return self.library.tensor(values, self.dtype, self.device)


def _contiguous(values: Array, make: Make) -> Tensor:
    return make(values)


def _transposed(values: Array, make: Make) -> Tensor:
    """Memory in the reverse order of axes: a matrix is column-major."""
    axes = tuple(reversed(range(values.ndim)))
    return make(values.transpose(axes)).permute(axes)


def _channels_last(values: Array, make: Make) -> Tensor:
    """(N, C, *) with C innermost in memory."""
    if values.ndim < 3:
        return make(values)
    return make(np.moveaxis(values, 1, -1)).permute((0, values.ndim - 1, *range(1, values.ndim - 1)))


def _sliced(values: Array, make: Make) -> Tensor:
    """Every second element of every axis; what lies between is poison, and must not be read."""
    if values.ndim == 0:
        return _offset(values, make)
    base = np.full([2 * n + 1 for n in values.shape], np.nan if values.dtype.kind == "f" else 1, values.dtype)
    base[(slice(1, None, 2),) * values.ndim] = values
    x = make(base)
    for axis in range(values.ndim):
        x = make.library.slice(x, axis, 1, 2)
    return x


def _offset(values: Array, make: Make) -> Tensor:
    """Contiguous, but one element past an aligned address."""
    padded = np.concatenate([np.zeros(1, values.dtype), values.ravel()])
    return make.library.slice(make(padded), 0, 1, 1).view(values.shape)


def _expanded(values: Array, make: Make) -> Tensor:
    """Stride 0 on the first axis: its first slice repeated."""
    return make(values[:1]).expand(values.shape) if values.size and values.ndim else make(values)


def _expanded_inner(values: Array, make: Make) -> Tensor:
    """Stride 0 on the last axis: its first slice repeated."""
    return make(values[..., :1]).expand(values.shape) if values.size and values.ndim else make(values)


_MAKERS: dict[str, Callable[[Array, Make], Tensor]] = {
    "contiguous": _contiguous,
    "transposed": _transposed,
    "channels_last": _channels_last,
    "sliced": _sliced,
    "offset": _offset,
    "expanded": _expanded,
    "expanded_inner": _expanded_inner,
}
LAYOUTS = tuple(_MAKERS)


def make_tensor(
    values: Any, dtype: str, layout: str = "contiguous", device: str = "cpu", library: Library = MIELINA
) -> Tensor:
    """A tensor of `values`, rounded to `dtype`, in the memory that `layout` (one of LAYOUTS) names.

    The expanded layouts repeat the first slice of an axis and so change the values: read them back from the tensor.
    """
    return _MAKERS[layout](quantise(values, dtype), Make(library, dtype, device))
