"""Arithmetic, powers, exponentials, trigonometric functions, rounding."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

import numpy as np

from mielina.testing.reference.base import Array, f64, num, operands

Unary = Callable[[Any], Array]
Binary = Callable[[Any, Any], Array]


def _floating(f: Callable[..., Any]) -> Unary:
    """Integers and bool become floating."""
    return lambda x: f(f64(x))


def _keeping(f: Callable[..., Any]) -> Unary:
    """Integers stay integers."""
    return lambda x: f(num(x))


def _binary(f: Callable[..., Any]) -> Binary:
    return lambda a, b: f(*operands(a, b))


def _binary_floating(f: Callable[..., Any]) -> Binary:
    return lambda a, b: f(f64(a), f64(b))


acos, asin, atan = _floating(np.arccos), _floating(np.arcsin), _floating(np.arctan)
acosh, asinh, atanh = _floating(np.arccosh), _floating(np.arcsinh), _floating(np.arctanh)
cos, sin, tan = _floating(np.cos), _floating(np.sin), _floating(np.tan)
cosh, sinh, tanh = _floating(np.cosh), _floating(np.sinh), _floating(np.tanh)
exp, exp2, expm1 = _floating(np.exp), _floating(np.exp2), _floating(np.expm1)
log, log2, log10, log1p = _floating(np.log), _floating(np.log2), _floating(np.log10), _floating(np.log1p)
sqrt, rsqrt = _floating(np.sqrt), _floating(lambda x: 1 / np.sqrt(x))
reciprocal = _floating(lambda x: 1 / x)


def _sinc(x: Any) -> Array:
    """sin(pi x) / (pi x), with x reduced to [-1/2, 1/2] exactly before the sine: 0 at whole numbers."""
    whole = np.round(x)
    sine = np.sin(np.pi * (x - whole)) * np.where(np.fmod(whole, 2) == 0, 1.0, -1.0)
    return np.where(x == 0, 1.0, sine / np.where(x == 0, 1.0, np.pi * x))


sinc = _floating(_sinc)
deg2rad, rad2deg = _floating(np.deg2rad), _floating(np.rad2deg)

abs, neg, square = _keeping(np.abs), _keeping(np.negative), _keeping(np.square)
frac = _keeping(lambda x: x - np.trunc(x))


def _rounding(f: Callable[..., Any]) -> Unary:
    return lambda x: f(f64(x)) if num(x).dtype.kind == "f" else num(x)


ceil, floor, trunc = _rounding(np.ceil), _rounding(np.floor), _rounding(np.trunc)

atan2, hypot, logaddexp = _binary_floating(np.arctan2), _binary_floating(np.hypot), _binary_floating(np.logaddexp)
copysign = _binary_floating(np.copysign)
mul, maximum, minimum = _binary(np.multiply), _binary(np.maximum), _binary(np.minimum)
fmax, fmin = _binary(np.fmax), _binary(np.fmin)
fmod = _binary(np.fmod)  # the sign of a
remainder = _binary(np.remainder)  # the sign of b
floor_divide = _binary(np.floor_divide)


def add(a: Any, b: Any, *, alpha: float = 1) -> Array:
    """a + alpha b; of bools: or."""
    a, b = operands(a, b)
    return a + b * a.dtype.type(alpha)


def sub(a: Any, b: Any, *, alpha: float = 1) -> Array:
    """a - alpha b"""
    a, b = operands(a, b)
    return a - b * a.dtype.type(alpha)


def div(a: Any, b: Any, *, rounding_mode: str | None = None) -> Array:
    """a / b; 'trunc' rounds toward zero, 'floor' down, and both keep integers."""
    if rounding_mode == "floor":
        return floor_divide(a, b)
    a, b = operands(a, b)
    if rounding_mode == "trunc":
        return np.trunc(a / b) if a.dtype.kind == "f" else np.floor_divide(a - np.fmod(a, b), b)
    return f64(a) / f64(b)


true_divide = div


def pow(a: Any, b: Any) -> Array:
    """a^b"""
    return np.power(*operands(a, b))


def lerp(a: Any, b: Any, weight: Any) -> Array:
    """a + weight (b - a), from the nearer end: exact at both."""
    a, b, weight = f64(a), f64(b), f64(weight)
    return np.where(np.abs(weight) < 0.5, a + weight * (b - a), b - (b - a) * (1 - weight))


def clamp(x: Any, min: Any = None, max: Any = None) -> Array:
    """minimum(maximum(x, min), max); NaN stays, and max wins where min > max."""
    x = num(x) if min is None else np.maximum(*operands(x, min))
    return x if max is None else np.minimum(*operands(x, max))


def clamp_min(x: Any, min: Any) -> Array:
    return clamp(x, min)


def clamp_max(x: Any, max: Any) -> Array:
    return clamp(x, None, max)


def round(x: Any, *, decimals: int = 0) -> Array:
    """To the nearest, ties to even."""
    x = num(x)
    if x.dtype.kind != "f":
        return x
    if decimals < 0:
        return np.round(x / 10.0**-decimals) * 10.0**-decimals
    return np.round(x * 10.0**decimals) / 10.0**decimals


def sign(x: Any) -> Array:
    """-1, 0 or 1; 0 for NaN."""
    x = num(x)
    return ((x > 0).astype(np.int8) - (x < 0).astype(np.int8)).astype(x.dtype)


sgn = sign


def heaviside(x: Any, values: Any) -> Array:
    """0 where x < 0 (and NaN), `values` where x = 0, 1 where x > 0."""
    x, values = operands(x, values)
    return np.where(x == 0, values, (x > 0).astype(x.dtype))


def nan_to_num(x: Any, nan: float | None = None, posinf: float | None = None, neginf: float | None = None) -> Array:
    """NaN and infinities replaced. The default for infinities is the largest number of float64: narrower dtypes need
    `posinf` and `neginf`."""
    x = num(x)
    return np.nan_to_num(x, nan=builtins.float(nan or 0.0), posinf=posinf, neginf=neginf) if x.dtype.kind == "f" else x
