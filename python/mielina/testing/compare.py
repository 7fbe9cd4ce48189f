"""How near is near enough, and the comparison itself."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mielina.testing.dtypes import Array, accumulator, epsilon, is_float, largest, quantise, smallest_normal


def tolerance(dtype: str, length: float = 1, amplification: float = 1, correlated: bool = False) -> float:
    """Allowed error relative to the magnitude: amplification (2 eps(dtype) + eps(accumulator) sqrt(length)).

    length: how many terms a sum has. Rounding errors of a sum of n terms behave like a random walk, so the bound grows
    with sqrt(n) and not with n (Higham & Mary 2019, theorem 2.4); halves accumulate in float32 and are rounded once at
    the end. correlated: the terms repeat, as in expanded memory, so that every addition rounds the same way and the
    errors grow with n (measured: 257 equal products in float64 are 32 eps off, sqrt(257) = 16). The magnitude is
    sum |terms|, not |sum|: see `assert_close`. amplification: the condition number of what follows.
    """
    if not is_float(dtype):
        return 0.0
    growth = max(length, 1.0) if correlated else math.sqrt(max(length, 1.0))
    return amplification * (2 * epsilon(dtype) + epsilon(accumulator(dtype)) * growth)


def assert_close(
    actual: Array, expected: Array, dtype: str, relative: float, magnitude: Array | float = 0.0, context: str = ""
) -> None:
    """|actual - expected| <= relative * max(|expected|, magnitude, smallest normal) for each element.

    NaN and infinities must stand at the same places with the same sign. Where `expected` (float64) overflows `dtype`,
    the infinity of its sign is expected; within `relative` of the largest number both are right. Integers and bool:
    equal.
    """
    if actual.shape != expected.shape:
        raise AssertionError(f"{context}: expected shape {expected.shape}, got {actual.shape}")
    if not is_float(dtype):
        _report(actual != expected, actual, expected, context, "differ")
        return
    with np.errstate(invalid="ignore", over="ignore"):
        magnitude = np.where(np.isfinite(magnitude), magnitude, 0.0)
        scale = np.maximum(np.maximum(np.abs(expected), magnitude), smallest_normal(dtype))
        error = np.abs(actual - expected)
        rounded = quantise(expected, dtype)
        at_edge = np.abs(np.abs(expected) / largest(dtype) - 1) <= relative
        edge_ok = at_edge & (np.isinf(actual) | (np.abs(actual) >= largest(dtype) * (1 - 2 * relative)))
        edge_ok &= np.sign(actual) == np.sign(expected)
    _report(np.isnan(actual) != np.isnan(expected), actual, expected, context, "differ in NaN")
    infinite = (np.isinf(actual) | np.isinf(rounded)) & (actual != rounded) & ~edge_ok
    _report(infinite, actual, expected, context, "differ in infinities")
    _report((error > relative * scale) & np.isfinite(actual) & ~edge_ok, actual, expected, context, "are too far apart",
            error / scale, relative)  # fmt: skip


def _report(
    wrong: Any,
    actual: Array,
    expected: Array,
    context: str,
    what: str,
    error: Array | None = None,
    allowed: float = 0.0,
) -> None:
    count = int(np.count_nonzero(wrong))
    if not count:
        return
    worst = np.argmax(np.where(wrong, 1.0 if error is None else error, -1.0))
    index = tuple(int(i) for i in np.unravel_index(worst, np.shape(actual)))
    size = "" if error is None else f", relative error {error[index]:.3g} > {allowed:.3g}"
    raise AssertionError(
        f"{context}: {count} of {np.size(actual)} elements {what}; at {index} got {actual[index]!r}, "
        f"expected {expected[index]!r}{size}"
    )
