"""x[key] and x[key] = value.

Ints, slices, None and Ellipsis make views. Tensors, arrays and lists of integers or bools (advanced indexing) make
copies; the axes that they make stand where the indexed axes stood if those are neighbours, else first. Ints count as
basic, as in PyTorch (NumPy counts them among the advanced ones).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ... import _core, dtypes
from ...autograd import op, record
from ...devices import made_on
from ...tensor import Tensor, check_tensors, method_as
from ..creation import tensor
from ..elementwise import operand
from ..layout import copy_, reshape, unbind, view_of, write_into, zeros

__all__ = ["index_put"]


@method_as("__getitem__")
def getitem(x: Tensor, key: Any) -> Tensor:
    y = _core.basic_index(x, key)
    if y is None:
        if indices := _leading(x, key):
            return index(x, indices, tuple(range(len(indices))))
        x, indices, axes = _advanced(x, key)
        return index(x, indices, axes) if indices else x
    return view_of(y, GETITEM, x, key, x.shape)


def getitem_backward(g: Tensor, key: Any, shape: tuple[int, ...]) -> Tensor:
    """Zeros of `shape` with g at [key]."""
    y = zeros(shape, g.dtype)
    _core.copy_into(_core.basic_index(y, key), g)
    return record(y, GETITEM_BACKWARD, (g,), (key,))  # type: ignore[no-any-return]


GETITEM = op("getitem", lambda g, needs, key, shape: (getitem_backward(g, key, shape),))
GETITEM_BACKWARD = op("getitem_backward", lambda g, needs, key: (getitem(g, key),))


# ---- advanced --------------------------------------------------------------------------------------------------------
def index(x: Tensor, indices: tuple[Tensor, ...], axes: tuple[int, ...]) -> Tensor:
    """x with the integer tensors at the axes."""
    return record(_core.index(x, indices, axes), INDEX, (x,), (x.shape, axes, *indices))  # type: ignore[no-any-return]


def index_backward(g: Tensor, shape: tuple[int, ...], axes: tuple[int, ...], *indices: Tensor) -> Tensor:
    """Zeros of `shape`, with g added where the indices point to."""
    y = zeros(shape, g.dtype)
    _core.index_put_(y, indices, axes, g, True)
    return record(y, INDEX_BACKWARD, (g,), (axes, *indices))  # type: ignore[no-any-return]


INDEX = op("index", lambda g, needs, *where: (index_backward(g, *where),))
INDEX_BACKWARD = op("index_backward", lambda g, needs, axes, *indices: (index(g, indices, axes),))


def _leading(x: Tensor, key: Any) -> tuple[Tensor, ...] | None:
    """The key as int64 tensors for x's first axes, if it is just that: the common case, and 2.5 us less."""
    keys = key if type(key) is tuple else (key,)
    if len(keys) > x.ndim:
        return None
    for k in keys:
        if type(k) is not Tensor or k.dtype is not dtypes.int64 or not k.ndim or k._device != x._device:
            return None
    return keys


def _elements(key: Any) -> tuple[Any, ...]:
    """The key, one element an axis. A short list that holds more than numbers stands for a tuple, as in PyTorch."""
    if isinstance(key, tuple):
        return key
    if isinstance(key, list) and len(key) < 32:
        for k in key:
            if k is None or k is Ellipsis or isinstance(k, (slice, list, tuple, range, np.ndarray, Tensor)):
                return tuple(key)
    return (key,)


def _as_item(item: Any) -> Any:
    """An element of a key as an int, a slice, None, or a tensor of integers or bools. Bytes are a mask."""
    if isinstance(item, (list, tuple, range, np.ndarray, np.bool_)):
        if isinstance(item, (list, tuple)) and any(isinstance(k, Tensor) for k in item):
            item = [k.tolist() if isinstance(k, Tensor) else k for k in item]
        a = np.asarray(item)
        item = tensor(a.astype(np.int64) if a.size == 0 or a.dtype.kind in "ui" else a)
    if isinstance(item, bool):
        return tensor(item)
    if isinstance(item, Tensor):
        if item.dtype.is_floating_point:
            raise IndexError(f"tensors used as indices must be integers or bools, got {item.dtype}")
        if item.dtype is dtypes.uint8:
            return _core.convert(item, dtypes.bool)
        return int(item.item()) if item.ndim == 0 and item.dtype is not dtypes.bool else item
    if item is None or isinstance(item, (int, slice)) or hasattr(item, "__index__"):
        return item
    raise IndexError(
        f"only integers, slices, None, Ellipsis, tensors, arrays and lists are valid indices, got {type(item).__name__}"
    )


def _width(item: Any) -> int:
    """How many axes of the tensor an element of a key stands for."""
    if item is None:
        return 0
    return item.ndim if isinstance(item, Tensor) and item.dtype is dtypes.bool else 1


def _advanced(x: Tensor, key: Any) -> tuple[Tensor, tuple[Tensor, ...], tuple[int, ...]]:
    """The key's basic part applied to x, and what remains: integer tensors and their axes."""
    items: list[Any] = [k if k is Ellipsis else _as_item(k) for k in _elements(key)]
    dots = [i for i, k in enumerate(items) if k is Ellipsis]
    # Indices from the host follow the tensor; of the others, the core checks that they are with it.
    if x._device:
        items = [_core.to_device(k, x._device) if isinstance(k, Tensor) and not k._device else k for k in items]
    width = sum(_width(k) for k in items if k is not Ellipsis)
    if len(dots) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    if width > x.ndim:
        raise IndexError(f"too many indices for tensor of dimension {x.ndim}")
    if dots:
        items[dots[0] : dots[0] + 1] = [slice(None)] * (x.ndim - width)
    basic: list[Any] = []
    tensors: list[tuple[Tensor, int]] = []
    at = 0
    for k in items:
        if isinstance(k, Tensor):
            tensors.append((k, at))
            n = _width(k)
            basic += [slice(None)] * n if n else [None]  # a single bool makes an axis of size 0 or 1
            at += max(n, 1)
        else:
            basic.append(k)
            at += not (k is not None and not isinstance(k, slice))
    x = getitem(x, tuple(basic)) if any(k != slice(None) for k in basic) else x
    if len(tensors) == 1 and tensors[0][0].dtype is dtypes.bool:
        return _by_mask(x, *tensors[0])
    indices: list[Tensor] = []
    axes: list[int] = []
    for k, axis in tensors:
        if k.dtype is dtypes.bool:
            _check_mask(k, x, axis)
            places = _core.nonzero(k if k.ndim else _core.unsqueeze(k, 0), False)
            indices += [_core.select(places, 1, d) for d in range(places.shape[1])]
            axes += range(axis, axis + places.shape[1])
        else:
            indices.append(k)
            axes.append(axis)
    return x, tuple(indices), tuple(axes)


def _check_mask(mask: Tensor, x: Tensor, axis: int) -> None:
    if mask.ndim and mask.shape != x.shape[axis : axis + mask.ndim]:
        raise IndexError(
            f"the shape of the mask {mask.shape} does not match the indexed tensor's {x.shape} at dimension {axis}"
        )


def _by_mask(x: Tensor, mask: Tensor, axis: int) -> tuple[Tensor, tuple[Tensor, ...], tuple[int, ...]]:
    """One mask: its axes are taken as one where that needs no copy, so that one index is enough."""
    _check_mask(mask, x, axis)
    n = max(mask.ndim, 1)
    if n > 1 and _core.is_contiguous(x):
        x = reshape(x, (*x.shape[:axis], mask.numel(), *x.shape[axis + n :]))
    elif n > 1:
        places = _core.nonzero(mask, False)
        return x, tuple(_core.select(places, 1, d) for d in range(n)), tuple(range(axis, axis + n))
    return x, (_core.nonzero(mask, True),), (axis,)


# ---- writing ---------------------------------------------------------------------------------------------------------
def index_put_values(
    x: Tensor, indices: tuple[Tensor, ...], axes: tuple[int, ...], values: Tensor, accumulate: bool
) -> Tensor:
    y = _core.clone(x)
    _core.index_put_(y, indices, axes, values, accumulate)
    return record(y, INDEX_PUT, (x, values), (values.shape, accumulate, axes, *indices))  # type: ignore[no-any-return]


def _index_put_rule(g: Tensor, needs: Any, shape: Any, accumulate: bool, axes: Any, *indices: Tensor) -> Any:
    dx = dv = None
    if needs[0]:
        dx = g if accumulate else index_put_values(g, indices, axes, zeros((), g.dtype), False)
    if needs[1]:
        dv = index(g, indices, axes)
        if len(shape) > dv.ndim:  # leading dimensions of size 1 that the assignment dropped
            dv = reshape(dv, (1,) * (len(shape) - dv.ndim) + dv.shape)
    return dx, dv


INDEX_PUT = op("index_put", _index_put_rule, broadcast=True)


def _value(value: Any, x: Tensor) -> Tensor:
    value = operand(value if not isinstance(value, (list, tuple)) else np.asarray(value))
    if not isinstance(value, Tensor):
        return made_on(x, _core.scalar, value, x.dtype)
    return value if value._device == x._device else value.to(x.device)


def _stripped(value: Tensor, ndim: int) -> Tensor:
    """value without the leading axes of size 1 that ndim axes have no place for."""
    while value.ndim > ndim and value.shape[0] == 1:
        value = getitem(value, 0)
    return value


@method_as("__setitem__")
def setitem(x: Tensor, key: Any, value: Any) -> None:
    if (
        isinstance(key, Tensor)
        and key.dtype is dtypes.bool
        and isinstance(value, (int, float))
        and not (x._tracked and _core.grad_enabled())
    ):
        if key.shape == x.shape:
            _core.masked_fill_(x, key, value)
            return
    part = _core.basic_index(x, key)
    tracked = _core.grad_enabled() and (x._tracked or (isinstance(value, Tensor) and value._tracked))
    if part is None:
        indices = _leading(x, key)
        if indices:
            axes: tuple[int, ...] = tuple(range(len(indices)))
        else:
            x, indices, axes = _advanced(x, key)
        value = _value(value, x)
        if not indices:
            copy_(x, _stripped(value, x.ndim))
        elif tracked:
            write_into(x, index_put_values(x, indices, axes, value, False), "__setitem__")
        else:
            _core.index_put_(x, indices, axes, value, False)
        return
    if isinstance(value, (int, float)) and not tracked:
        _core.fill_(part, value)
        return
    value = _stripped(_value(value, x), part.ndim)
    if tracked:
        copy_(getitem(x, key), value)
    else:
        _core.copy_into(part, value)


def _put(x: Tensor, indices: Any, values: Any) -> Any:
    if isinstance(values, Tensor) and values.dtype is not x.dtype:
        raise RuntimeError(f"index_put: expected values of the tensor's dtype {x.dtype}, got {values.dtype}")
    x, places, axes = _advanced(x, tuple(slice(None) if i is None else _vector(i) for i in indices))
    return x, places, axes, _value(values, x)


def _vector(i: Any) -> Any:
    return reshape(i, (1,)) if isinstance(i, Tensor) and i.ndim == 0 and i.dtype is not dtypes.bool else i


def index_put(input: Tensor, indices: Any, values: Any, accumulate: bool = False) -> Tensor:
    """A copy of input with values at input[indices] (added, if `accumulate`; else the last of several counts).

    indices: a tuple of integer or bool tensors, None for a whole axis. IndexError: an index out of range.

    >>> mi.index_put(mi.zeros(3), (mi.tensor([0, 0]),), mi.tensor([1.0, 2.0]), accumulate=True)
    tensor([3., 0., 0.])
    """
    check_tensors("index_put", input)
    x, places, axes, values = _put(input, indices, values)
    y = index_put_values(x, places, axes, values, accumulate)
    return y if y.shape == input.shape else reshape(y, input.shape)


method_as("index_put")(index_put)


@method_as("index_put_")
def index_put_(self: Tensor, indices: Any, values: Any, accumulate: bool = False) -> Tensor:
    """`index_put` into this tensor's own memory; returns it."""
    x, places, axes, values = _put(self, indices, values)
    if _core.grad_enabled() and (self._tracked or values._tracked):
        write_into(x, index_put_values(x, places, axes, values, accumulate), "index_put_")
    else:
        _core.index_put_(x, places, axes, values, accumulate)
    return self


# ---- sequence protocol -----------------------------------------------------------------------------------------------
@method_as("__iter__")
def _iterate(self: Tensor) -> Iterator[Tensor]:
    if self.ndim == 0:
        raise TypeError("iteration over a 0-dim tensor")
    return iter(unbind(self))


@method_as("__contains__")
def _contains(self: Tensor, element: Any) -> bool:
    """Whether any element equals the number or (broadcast) the tensor. RuntimeError: neither."""
    if not isinstance(element, (Tensor, int, float, np.generic)):
        raise RuntimeError(f"`in` a tensor looks for a number or a tensor, got {type(element).__name__}")
    return _core.nonzero(self.detach() == element, True).shape[0] > 0  # type: ignore[no-any-return]
