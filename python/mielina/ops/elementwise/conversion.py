"""Conversion: dtypes, copies, fills."""

from __future__ import annotations

from typing import Any

from ... import _core, devices, dtypes
from ...autograd import op, record
from ...dtypes import dtype as DType
from ...tensor import Tensor, check_tensors, method, method_as
from ..layout import contiguous, copy_, preserve_format, write_into

__all__ = ["cast", "clone", "to"]


def cast(input: Tensor, dtype: DType) -> Tensor:
    """input as `dtype`; itself when it has it already.

    >>> mi.cast(mi.tensor([1.7, -1.7]), mi.int64)
    tensor([ 1, -1])
    """
    check_tensors("cast", input)
    if input.dtype is dtype:
        return input
    return record(_core.convert(input, dtype), CAST, (input,), (input.dtype,))


CAST = op("to", lambda g, needs, dtype: (cast(g, dtype),))


@method
def to(
    input: Tensor,
    *args: Any,
    dtype: DType | None = None,
    device: Any = None,
    non_blocking: bool = False,
    copy: bool = False,
    memory_format: Any = preserve_format,
) -> Tensor:
    """input with another dtype, or another tensor's, in the order of `memory_format`; itself if nothing changes.

    copy: never itself. Floating to integer truncates. Arguments come in PyTorch's orders: to(dtype), to("cpu", dtype),
    to(tensor).

    >>> mi.tensor([1.5]).to(mi.int64)
    tensor([1])
    """
    check_tensors("to", input)
    for a in args:
        if isinstance(a, DType):
            dtype = a
        elif isinstance(a, Tensor):
            dtype, device = a.dtype, a.device
        elif isinstance(a, (str, int, devices.device)) and not isinstance(a, bool):
            device = a
        elif a is not None and not isinstance(a, bool):
            raise TypeError(f"to: expected a dtype, a device or a Tensor, got {type(a).__name__}")
    x = input if device is None else moved(input, devices.number(device))
    y = contiguous(x if dtype is None else cast(x, dtype), memory_format=memory_format)
    return clone(y) if copy and y is input else y


def moved(input: Tensor, number: int) -> Tensor:
    """input on another device; itself when it is there already."""
    if input._device == number:
        return input
    return record(_core.to_device(input, number), MOVED, (input,), (input._device,))


MOVED = op("to", lambda g, needs, number: (moved(g, number),))


@method
def clone(input: Tensor, *, memory_format: Any = preserve_format) -> Tensor:
    """A copy of the data with the same history; dense tensors keep their stride order, or take `memory_format`'s.

    >>> x = mi.tensor([1, 2])
    >>> y = mi.clone(x)
    >>> y[0] = 9
    >>> x
    tensor([1, 2])
    """
    if memory_format is not preserve_format:
        y = contiguous(input, memory_format=memory_format)
        if y is not input:
            return y
    return record(_core.clone(input), CLONE, (input,), ())


CLONE = op("clone", lambda g, needs: (g,))


@method_as("type_as")
def _type_as(self: Tensor, other: Tensor) -> Tensor:
    """self in other's dtype."""
    return cast(self, other.dtype)


@method_as("type")
def _type(self: Tensor, dtype: DType | None = None) -> Any:
    """self in another dtype; without one, the name of its own."""
    return repr(self.dtype) if dtype is None else cast(self, dtype)


def _converter(name: str, dtype: DType) -> None:
    @method_as(name)
    def convert(self: Tensor) -> Tensor:
        return cast(self, dtype)

    convert.__name__ = convert.__qualname__ = name
    convert.__doc__ = f"self as {dtype.name}."


for _name in ("float", "double", "half", "bfloat16", "long", "int", "short", "bool"):
    _converter(_name, getattr(dtypes, _name))
_converter("char", dtypes.int8)
_converter("byte", dtypes.uint8)


# ---- fills -----------------------------------------------------------------------------------------------------------
@method
def fill_(self: Tensor, value: Any) -> Tensor:
    """`value`, a number or a 0-dim tensor, everywhere in this tensor's memory."""
    if isinstance(value, Tensor):
        if value.ndim:
            raise RuntimeError(f"fill_: expected a number or a 0-dim tensor, got {value.ndim} dimensions")
        return copy_(self, value)
    if _core.grad_enabled() and self._tracked:
        y = _core.empty_like(self, self.dtype)
        _core.fill_(y, value)
        return write_into(self, y, "fill_")
    _core.fill_(self, value)
    return self


@method
def zero_(self: Tensor) -> Tensor:
    """0 everywhere in this tensor's memory."""
    return fill_(self, 0)
