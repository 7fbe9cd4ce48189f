"""Comparison, logic, bits, classification, selection."""

from __future__ import annotations

from typing import Any

import numpy as np

from mielina.testing.reference.base import Array, f64, num, operands
from mielina.testing.reference.elementwise.arithmetic import _binary

eq, ne = _binary(np.equal), _binary(np.not_equal)
lt, le, gt, ge = _binary(np.less), _binary(np.less_equal), _binary(np.greater), _binary(np.greater_equal)
bitwise_and, bitwise_or, bitwise_xor = _binary(np.bitwise_and), _binary(np.bitwise_or), _binary(np.bitwise_xor)
bitwise_not = np.bitwise_not
logical_and, logical_or, logical_xor, logical_not = np.logical_and, np.logical_or, np.logical_xor, np.logical_not
isnan, isinf, isfinite = np.isnan, np.isinf, np.isfinite


def signbit(x: Any) -> Array:
    """Whether the sign is minus, of -0 and NaN too."""
    x = num(x)
    return np.signbit(x) if x.dtype.kind == "f" else x < 0


def isclose(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Array:
    """|a - b| <= atol + rtol |b|, or a = b."""
    a, b = f64(a), f64(b)
    close = (a == b) | ((np.abs(a - b) <= atol + np.abs(rtol * b)) & np.isfinite(a) & np.isfinite(b))
    return close | (np.isnan(a) & np.isnan(b)) if equal_nan else close


def allclose(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    return bool(isclose(a, b, rtol, atol, equal_nan).all())


def where(condition: Any, a: Any = None, b: Any = None) -> Array | tuple[Array, ...]:
    """a where the condition holds, else b; with the condition alone, where it holds (one index array an axis)."""
    return np.nonzero(condition) if a is None else np.where(condition, *operands(a, b))


def masked_fill(x: Any, mask: Any, value: Any) -> Array:
    """`value` where the mask holds, else x; in x's dtype."""
    x = num(x)
    return np.where(mask, np.asarray(value).astype(x.dtype), x)
