"""Dtypes by name, for code that handles NumPy arrays and tensors alike: epsilon, rounding, promotion."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

INTEGERS = ("uint8", "int8", "int16", "int32", "int64")
FLOATS = ("float16", "bfloat16", "float32", "float64")
DTYPES = ("bool", *INTEGERS, *FLOATS)  # in the order of promotion

_MANTISSA = {"float16": 10, "bfloat16": 7, "float32": 23, "float64": 52}
_MIN_EXPONENT = {"float16": -14, "bfloat16": -126, "float32": -126, "float64": -1022}
_MAX_EXPONENT = {"float16": 15, "bfloat16": 127, "float32": 127, "float64": 1023}


def is_float(dtype: str) -> bool:
    return dtype in FLOATS


def epsilon(dtype: str) -> float:
    """Distance from 1 to the next number."""
    return 2.0 ** -_MANTISSA[dtype]


def smallest_normal(dtype: str) -> float:
    return 2.0 ** _MIN_EXPONENT[dtype]


def largest(dtype: str) -> float:
    """The largest finite number: (2 - epsilon) 2^emax."""
    return (2.0 - epsilon(dtype)) * 2.0 ** _MAX_EXPONENT[dtype]


def accumulator(dtype: str) -> str:
    """The dtype in which sums of `dtype` are formed: halves accumulate in float32."""
    return "float64" if dtype == "float64" else "float32"


def numpy_dtype(dtype: str) -> np.dtype[Any]:
    """The NumPy dtype that holds every value of `dtype`: bfloat16 lives in float32."""
    return np.dtype("float32" if dtype == "bfloat16" else dtype)


def quantise(values: Any, dtype: str) -> Array:
    """`values` rounded to `dtype`: floating values as float64 (exact), integers and bool as themselves.

    Into integers, what is not finite becomes 0 and the rest is clipped to the range, so that one set of values serves
    all dtypes.
    """
    values = np.asarray(values)
    if dtype == "bool":
        return np.asarray(values != 0)
    if not is_float(dtype):
        info = np.iinfo(dtype)
        if values.dtype.kind == "f":
            values = np.clip(np.where(np.isfinite(values), values, 0), max(info.min, -(2**62)), min(info.max, 2**62))
        return np.array(values if values.dtype.kind == "b" else values.clip(info.min, info.max), dtype)
    with np.errstate(over="ignore"):
        if dtype != "bfloat16":
            return np.array(values.astype(dtype), np.float64)
        single = np.atleast_1d(values.astype(np.float32))
    bits = single.view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)  # to nearest, ties to even
    nearest: Array = np.where(np.isnan(single), single, rounded.view(np.float32))
    return nearest.astype(np.float64).reshape(values.shape)


def promote_types(a: str, b: str) -> str:
    """The smallest dtype that holds both, as torch.promote_types."""
    if {a, b} == {"float16", "bfloat16"}:
        return "float32"
    if {a, b} == {"uint8", "int8"}:
        return "int16"
    return max(a, b, key=DTYPES.index)


def _category(dtype: str) -> int:
    return 0 if dtype == "bool" else 2 if is_float(dtype) else 1


def result_type(operands: Iterable[tuple[str, int]]) -> str:
    """The common dtype of operands given as (dtype, rank), as torch.result_type.

    rank 2: a tensor with dims, 1: a 0-dim tensor, 0: a Python number (bool, "int64", or "float32", the default float).
    A lower rank counts only if its category (bool < integer < floating) is higher.
    """
    best: str | None = None
    ranked = list(operands)
    for rank in (2, 1, 0):
        group = [dtype for dtype, r in ranked if r == rank]
        if group:
            common = group[0]
            for dtype in group[1:]:
                common = promote_types(common, dtype)
            if best is None:
                best = common
            elif _category(common) > _category(best):
                best = promote_types(best, common)
    assert best is not None, "result_type: no operands"
    return best


def operand(x: Any, dtype: str | None = None) -> tuple[str, int] | None:
    """(dtype, rank) of an array or a Python number, None for anything else."""
    if isinstance(x, bool):
        return "bool", 0
    if isinstance(x, int):
        return "int64", 0
    if isinstance(x, float):
        return "float32", 0
    if isinstance(x, (np.ndarray, np.generic)):
        return dtype or str(x.dtype), 2 if x.ndim else 1
    return None
