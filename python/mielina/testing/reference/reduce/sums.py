"""Sums and their kin, moments, extremes, running reductions, histograms."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from mielina.testing.reference.base import Array, Dims, at_least_1d, axes, cast, f64, num
from mielina.testing.reference.elementwise.arithmetic import maximum, minimum


def _summable(x: Any, dtype: Any) -> Array:
    """Integers and bool are summed in int64 unless a dtype is given."""
    x = cast(x, dtype)
    return x.astype(np.int64) if dtype is None and x.dtype.kind != "f" else x


def sum(x: Any, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Array:
    x = _summable(x, dtype)
    return np.sum(x, axis=axes(dim, x.ndim), keepdims=keepdim, dtype=x.dtype)


def prod(x: Any, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None) -> Array:
    x = _summable(x, dtype)
    return np.prod(x, axis=axes(dim, x.ndim), keepdims=keepdim, dtype=x.dtype)


def mean(x: Any, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Array:
    """sum / n; NaN for n = 0."""
    x = f64(x)
    over = axes(dim, x.ndim)
    return np.sum(x, axis=over, keepdims=keepdim) / np.float64(np.prod([x.shape[a] for a in over], dtype=np.int64))


def nansum(x: Any, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Array:
    x = num(x)
    return sum(np.where(np.isnan(x), x.dtype.type(0), x), dim, keepdim, dtype=dtype)


def nanmean(x: Any, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Array:
    return nansum(f64(x), dim, keepdim) / sum(~np.isnan(f64(x)), dim, keepdim)


def var(
    x: Any, dim: Dims = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: float = 1
) -> Array:
    """sum (x - mean)^2 / max(0, n - correction)"""
    x = f64(x)
    correction = correction if unbiased is None else int(unbiased)
    count = np.prod([x.shape[a] for a in axes(dim, x.ndim)], dtype=np.int64)
    squares = sum((x - mean(x, dim, True)) ** 2, dim, keepdim)
    return squares / np.float64(builtins.max(0, count - correction))


def std(
    x: Any, dim: Dims = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: float = 1
) -> Array:
    return np.sqrt(var(x, dim, unbiased, keepdim, correction=correction))


def var_mean(
    x: Any, dim: Dims = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: float = 1
) -> Any:
    return var(x, dim, unbiased, keepdim, correction=correction), mean(x, dim, keepdim)


def std_mean(
    x: Any, dim: Dims = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: float = 1
) -> Any:
    return std(x, dim, unbiased, keepdim, correction=correction), mean(x, dim, keepdim)


def cov(x: Any, *, correction: int = 1, fweights: Any = None, aweights: Any = None) -> Array:
    """Rows are variables."""
    x = f64(x)
    return np.asarray(np.cov(x, ddof=correction, fweights=fweights, aweights=aweights))


def corrcoef(x: Any) -> Array:
    return np.asarray(np.corrcoef(f64(x)))


def logsumexp(x: Any, dim: Dims, keepdim: bool = False) -> Array:
    """m + log sum exp(x - m), m = max x (0 where that is infinite)."""
    x = f64(x)
    over = axes(dim, x.ndim)
    m = np.max(x, axis=over, keepdims=True, initial=-np.inf)
    m = np.where(np.isinf(m), 0.0, m)
    y = m + np.log(np.sum(np.exp(x - m), axis=over, keepdims=True))
    return y if keepdim else np.squeeze(y, over)


def norm(x: Any, p: float | str | None = "fro", dim: Dims = None, keepdim: bool = False, dtype: Any = None) -> Array:
    """(sum |x|^p)^(1/p); inf: the largest |x|, -inf: the smallest, 0: how many are not zero."""
    x = np.abs(f64(x))
    over = axes(dim, x.ndim)
    p = 2.0 if p in ("fro", None) else float(p)
    if p == np.inf:
        return np.max(x, axis=over, keepdims=keepdim, initial=0.0)
    if p == -np.inf:
        return np.min(x, axis=over, keepdims=keepdim)
    if p == 0:
        return sum(x != 0, dim, keepdim).astype(np.float64)
    return sum(x**p, dim, keepdim) ** (1 / p)


def amax(x: Any, dim: Dims = (), keepdim: bool = False) -> Array:
    x = num(x)
    return np.max(x, axis=axes(dim, x.ndim), keepdims=keepdim)


def amin(x: Any, dim: Dims = (), keepdim: bool = False) -> Array:
    x = num(x)
    return np.min(x, axis=axes(dim, x.ndim), keepdims=keepdim)


def argmax(x: Any, dim: int | None = None, keepdim: bool = False) -> Array:
    """The first index of the largest; NaN is larger than all."""
    return np.asarray(np.argmax(num(x), axis=dim if np.ndim(x) else None, keepdims=keepdim))


def argmin(x: Any, dim: int | None = None, keepdim: bool = False) -> Array:
    """The first index of the smallest; NaN is smaller than all."""
    return np.asarray(np.argmin(num(x), axis=dim if np.ndim(x) else None, keepdims=keepdim))


def max(x: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """The largest; (values, first index) along dim; or maximum(x, other)."""
    return _extreme(x, dim, keepdim, amax, np.argmax, maximum)


def min(x: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """The smallest; (values, first index) along dim; or minimum(x, other)."""
    return _extreme(x, dim, keepdim, amin, np.argmin, minimum)


def _extreme(x: Any, dim: Any, keepdim: bool, pick: Any, arg: Any, two: Any) -> Any:
    if dim is None:
        return pick(x)
    if not isinstance(dim, int):
        return two(x, dim)
    return pick_along(x, arg(at_least_1d(x)[0], axis=dim, keepdims=True), dim, keepdim)


def pick_along(x: Any, index: Array, dim: int, keepdim: bool) -> tuple[Array, Array]:
    """(values, index) for one index a slice along dim, with or without that dim."""
    row, axis = at_least_1d(x, dim)
    values = np.take_along_axis(row, index, axis)
    if np.ndim(x) == 0:
        return values.reshape(()), index.reshape(())
    return (values, index) if keepdim else (np.squeeze(values, axis), np.squeeze(index, axis))


def all(x: Any, dim: Dims = None, keepdim: bool = False) -> Array:
    """Whether no element is zero; uint8 for uint8."""
    x = np.asarray(x)
    y = np.all(x, axis=axes(dim, x.ndim), keepdims=keepdim)
    return np.asarray(y, np.uint8 if x.dtype == np.uint8 else np.bool_)


def any(x: Any, dim: Dims = None, keepdim: bool = False) -> Array:
    """Whether some element is not zero; uint8 for uint8."""
    x = np.asarray(x)
    y = np.any(x, axis=axes(dim, x.ndim), keepdims=keepdim)
    return np.asarray(y, np.uint8 if x.dtype == np.uint8 else np.bool_)


def count_nonzero(x: Any, dim: Dims = None) -> Array:
    return sum(np.asarray(x) != 0, dim)


def cumsum(x: Any, dim: int, *, dtype: Any = None) -> Array:
    row, axis = at_least_1d(_summable(x, dtype), dim)
    return np.cumsum(row, axis=axis, dtype=row.dtype).reshape(np.shape(x))


def cumprod(x: Any, dim: int, *, dtype: Any = None) -> Array:
    row, axis = at_least_1d(_summable(x, dtype), dim)
    return np.cumprod(row, axis=axis, dtype=row.dtype).reshape(np.shape(x))


def logcumsumexp(x: Any, dim: int) -> Array:
    row, axis = at_least_1d(f64(x), dim)
    return np.logaddexp.accumulate(row, axis=axis).reshape(np.shape(x))


def cummax(x: Any, dim: int) -> tuple[Array, Array]:
    """Running maximum and the last index at which it was reached; NaN stays from where it first stands."""
    row, axis = at_least_1d(x, dim)
    values = np.maximum.accumulate(row, axis=axis)
    position = np.arange(row.shape[axis]).reshape(-1, *[1] * (row.ndim - axis - 1))
    reached = (row == values) | np.isnan(row)
    index = np.maximum.accumulate(np.where(reached, position, 0), axis=axis)
    return values.reshape(np.shape(x)), index.reshape(np.shape(x))


def trapezoid(y: Any, x: Any = None, *, dx: float = 1, dim: int = -1) -> Array:
    """sum (y[i] + y[i + 1]) / 2 (x[i + 1] - x[i])"""
    return np.sum(_trapezoids(y, x, dx, dim), axis=-1)


def cumulative_trapezoid(y: Any, x: Any = None, *, dx: float = 1, dim: int = -1) -> Array:
    return np.moveaxis(np.cumsum(_trapezoids(y, x, dx, dim), axis=-1), -1, dim)


def _trapezoids(y: Any, x: Any, dx: float, dim: int) -> Array:
    y = np.moveaxis(f64(y), dim, -1)
    if x is not None:
        x = f64(x)
        dx = np.diff(x if x.ndim == 1 else np.moveaxis(x, dim, -1), axis=-1)
    return (y[..., 1:] + y[..., :-1]) / 2 * dx


def trace(x: Any) -> Array:
    return sum(np.diagonal(x))


def histc(x: Any, bins: int = 100, min: float = 0, max: float = 0) -> Array:
    """How many elements fall into each of `bins` equal parts of [min, max]; of the data's range if min = max."""
    x = f64(x).ravel()
    if min == max and x.size:
        min, max = x.min(), x.max()
    if min == max:
        min, max = min - 1, max + 1
    return f64(np.histogram(x, bins, (min, max))[0])


def bincount(x: Any, weights: Any = None, minlength: int = 0) -> Array:
    return np.bincount(x, None if weights is None else f64(weights), minlength)
