"""Sorting, and what rests on order: top-k, median, mode, quantile, search, unique. NaN is greater than all numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from mielina.testing.reference.base import Array, at_least_1d, f64, num
from mielina.testing.reference.reduce.sums import pick_along


def argsort(x: Any, dim: int = -1, descending: bool = False, stable: bool = False) -> Array:
    """Always stable: equal elements keep their order, descending too."""
    row, axis = at_least_1d(x, dim)
    if not descending:
        index = np.argsort(row, axis=axis, kind="stable")
    else:
        index = row.shape[axis] - 1 - np.flip(np.argsort(np.flip(row, axis), axis=axis, kind="stable"), axis)
    return index.reshape(np.shape(x))


def sort(x: Any, dim: int = -1, descending: bool = False, stable: bool = False) -> tuple[Array, Array]:
    return pick_along(x, argsort(at_least_1d(x)[0], dim, descending), dim, True)


def msort(x: Any) -> Array:
    return sort(x, 0)[0]


def topk(x: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> tuple[Array, Array]:
    """The k largest (or smallest) along dim, in order; the indices of equals are free."""
    index = argsort(at_least_1d(x)[0], dim, largest)
    _, axis = at_least_1d(x, dim)
    return pick_along(x, np.take(index, range(k), axis), dim, True)


def median(x: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """The lower of the two middle elements; NaN if there is one. (values, indices) along dim."""
    if dim is None:
        return median(num(x).ravel(), 0)[0]
    row, axis = at_least_1d(x, dim)
    index = np.take(argsort(row, axis), [(row.shape[axis] - 1) // 2], axis)
    broken = np.isnan(row)
    index = np.where(broken.any(axis, keepdims=True), np.argmax(broken, axis=axis, keepdims=True), index)
    return pick_along(x, index, dim, keepdim)


def mode(x: Any, dim: int = -1, keepdim: bool = False) -> tuple[Array, Array]:
    """The most frequent element, the smallest of equally frequent ones, and where it last stands."""
    row, axis = at_least_1d(x, dim)
    count = np.sum(np.expand_dims(row, axis) == np.expand_dims(row, axis + 1), axis=axis + 1)
    frequent = count == np.max(count, axis=axis, keepdims=True)
    order = argsort(row, axis)
    first = np.argmax(np.take_along_axis(frequent, order, axis), axis=axis, keepdims=True)
    value = np.take_along_axis(row, np.take_along_axis(order, first, axis), axis)
    index = row.shape[axis] - 1 - np.argmax(np.flip(row == value, axis), axis=axis, keepdims=True)
    return pick_along(x, index, dim, keepdim)


def quantile(x: Any, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear") -> Array:
    """At place q (n - 1) of the sorted elements; NaN if there is one. A vector q gives a first axis."""
    return np.asarray(np.quantile(f64(x), f64(q), axis=dim, keepdims=keepdim, method=interpolation))  # type: ignore[call-overload]


def searchsorted(
    sorted_sequence: Any,
    values: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Any = None,
) -> Array:
    """Where each value would go: before its equals, or after them if right (side='right'). Rows match leading axes."""
    s, v = num(sorted_sequence), num(values)
    s = s if sorter is None else np.take_along_axis(s, np.asarray(sorter), -1)
    place = "right" if side == "right" or right else "left"

    def search(row: Array, v: Array) -> Array:
        return np.searchsorted(row, v, place)  # type: ignore[call-overload]

    if s.ndim == 1:
        y = search(s, v)
    else:
        rows = zip(s.reshape(-1, s.shape[-1]), v.reshape(-1, v.shape[-1]), strict=True)
        y = np.array([search(a, b) for a, b in rows], np.int64).reshape(v.shape)
    return np.asarray(y, np.int32 if out_int32 else np.int64)


def bucketize(x: Any, boundaries: Any, *, out_int32: bool = False, right: bool = False) -> Array:
    """boundaries[i - 1] < x <= boundaries[i], or <= and < if right."""
    return searchsorted(boundaries, x, out_int32=out_int32, right=right)


def isin(elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False) -> Array:
    return np.isin(elements, test_elements, invert=invert)


def unique(
    x: Any, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """The distinct elements (or slices along dim) in order; NaN differs from NaN."""
    x = num(x)
    values, inverse, counts = np.unique(x, False, True, True, axis=dim, equal_nan=False)
    inverse = inverse.reshape(x.shape if dim is None else -1)
    return _chosen(values, inverse, counts, return_inverse, return_counts)


def unique_consecutive(
    x: Any, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """Runs of equal elements (or slices along dim) become one."""
    x = num(x)
    rows = x.reshape(x.size, 1) if dim is None else np.moveaxis(x, dim, 0).reshape(x.shape[dim], -1)
    starts = np.concatenate([np.ones(min(len(rows), 1), bool), (rows[1:] != rows[:-1]).any(1)])
    inverse = np.cumsum(starts) - 1
    values = x.ravel()[starts] if dim is None else np.compress(starts, x, dim)
    counts = np.diff(np.append(np.nonzero(starts)[0], len(rows)))
    return _chosen(values, inverse.reshape(x.shape if dim is None else -1), counts, return_inverse, return_counts)


def _chosen(values: Array, inverse: Array, counts: Array, return_inverse: bool, return_counts: bool) -> Any:
    result = (values, *[inverse] * return_inverse, *[counts] * return_counts)
    return result if len(result) > 1 else values
