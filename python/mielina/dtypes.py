"""The ten element types: `mi.float32` and its kin. Their order is that of DType in csrc/core/dtype.h."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from . import _core

__all__ = [
    "dtype", "float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool",
    "float", "double", "half", "long", "int", "short", "get_default_dtype", "set_default_dtype",
]  # fmt: skip


class dtype:
    """An element type of tensors. `itemsize` is in bytes; `numpy` is NumPy's type, or None where it has none."""

    __slots__ = ("name", "itemsize", "is_floating_point", "is_signed", "numpy")

    def __init__(
        self, name: str, itemsize: builtins.int, floating: builtins.bool, signed: builtins.bool, numpy: Any
    ) -> None:
        self.name = name
        self.itemsize = itemsize
        self.is_floating_point = floating
        self.is_signed = signed
        self.numpy = None if numpy is None else np.dtype(numpy)

    is_complex = False

    def __repr__(self) -> str:
        return f"mielina.{self.name}"

    def __reduce__(self) -> str | tuple[Any, ...]:  # the same object after pickling and copying
        return _by_name, (self.name,)


float32 = dtype("float32", 4, True, True, np.float32)
float64 = dtype("float64", 8, True, True, np.float64)
float16 = dtype("float16", 2, True, True, np.float16)
bfloat16 = dtype("bfloat16", 2, True, True, None)
int64 = dtype("int64", 8, False, True, np.int64)
int32 = dtype("int32", 4, False, True, np.int32)
int16 = dtype("int16", 2, False, True, np.int16)
int8 = dtype("int8", 1, False, True, np.int8)
uint8 = dtype("uint8", 1, False, False, np.uint8)
bool = dtype("bool", 1, False, False, np.bool_)

float = float32
double = float64
half = float16
long = int64
int = int32
short = int16

ALL: tuple[dtype, ...] = (float32, float64, float16, bfloat16, int64, int32, int16, int8, uint8, bool)
_NAMES = {d.name: d for d in ALL}


def _by_name(name: str) -> dtype:
    return _NAMES[name]


def given(d: Any, default: dtype | None = None) -> Any:
    """The dtype that a caller means by d: one of these, Python's float, int or bool, or None, the default. TypeError:
    anything else.
    """
    if d is None:
        return default
    if type(d) is dtype:
        return d
    for own, mine in ((builtins.float, float64), (builtins.int, int64), (builtins.bool, bool)):
        if d is own:
            return mine
    raise TypeError(f"expected a dtype such as mielina.float32, got {d!r}")


def from_numpy(d: Any) -> dtype:
    """The dtype of a NumPy dtype. TypeError for those without one (complex, strings, objects, unsigned above 8
    bits).
    """
    d = np.dtype(d)
    for mine in ALL:
        if mine.numpy == d:
            return mine
    raise TypeError(f"no tensor dtype for NumPy's {d}; tensors hold {', '.join(_NAMES)}")


def get_default_dtype() -> dtype:
    """The dtype of tensors made from Python floats; float32 unless changed.

    >>> mi.get_default_dtype()
    mielina.float32
    """
    return _core.default_dtype()  # type: ignore[no-any-return]


def set_default_dtype(d: dtype) -> None:
    """Sets the dtype of tensors made from Python floats. TypeError unless it is a floating dtype.

    >>> mi.set_default_dtype(mi.float64)
    >>> mi.tensor([1.0]).dtype
    mielina.float64
    >>> mi.set_default_dtype(mi.float32)
    """
    _core.set_default_dtype(d)
