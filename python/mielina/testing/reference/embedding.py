"""embedding: reading and writing by index."""

from __future__ import annotations

from typing import Any

import numpy as np

from mielina.testing.reference.base import Array, at_least_1d, f64, num


def _places(shape: tuple[int, ...], dim: int, index: Array) -> list[Any]:
    """For each element of index: its own place, with the index along dim."""
    places: list[Any] = list(np.indices(index.shape, sparse=True))
    places[dim] = index
    return places


def gather(x: Any, dim: int, index: Any, *, sparse_grad: bool = False) -> Array:
    """y[i][j] = x[index[i][j]][j] for dim 0. index may be smaller than x along the other axes."""
    row, axis = at_least_1d(x, dim)
    index = np.asarray(index)
    picked = row[tuple(_places(row.shape, axis, np.atleast_1d(index)))]
    return np.asarray(picked).reshape(index.shape)


def take_along_dim(x: Any, indices: Any, dim: int | None = None) -> Array:
    """gather with broadcasting along the other axes; dim=None: of the flat x."""
    x, indices = num(x), np.asarray(indices)
    if dim is None:
        return np.asarray(x.ravel()[indices.ravel()])
    shape = [max(n, m) if min(n, m) else 0 for n, m in zip(x.shape, indices.shape, strict=True)]
    own, wanted = list(shape), list(shape)
    own[dim], wanted[dim] = x.shape[dim], indices.shape[dim]
    return np.take_along_axis(np.broadcast_to(x, own), np.broadcast_to(indices, wanted), dim)


def scatter(x: Any, dim: int, index: Any, src: Any, *, reduce: str | None = None) -> Array:
    """y = x but y[index[i][j]][j] = src[i][j] for dim 0 (or +=, *=: reduce 'add', 'multiply'). src: like index, or one
    value.
    """
    row, axis = at_least_1d(x, dim)
    y = row.copy()
    index = np.atleast_1d(index)
    places = tuple(_places(y.shape, axis, index))
    value = np.asarray(src).astype(y.dtype)
    if value.ndim:
        value = value[tuple(slice(n) for n in index.shape)]
    if reduce is None:
        y[places] = value
    else:
        {"add": np.add, "multiply": np.multiply}[reduce].at(y, places, value)
    return y.reshape(np.shape(x))


def scatter_add(x: Any, dim: int, index: Any, src: Any) -> Array:
    return scatter(x, dim, index, np.atleast_1d(src), reduce="add")


def index_select(x: Any, dim: int, index: Any) -> Array:
    row, axis = at_least_1d(x, dim)
    y = np.take(row, np.atleast_1d(index), axis)
    return y.reshape(()) if np.ndim(x) == 0 else y


def index_add(x: Any, dim: int, index: Any, source: Any, *, alpha: float = 1) -> Array:
    """x[index[i]] += alpha source[i] along dim."""
    row, axis = at_least_1d(x, dim)
    y = np.moveaxis(row.copy(), axis, 0)
    np.add.at(y, np.atleast_1d(index), np.moveaxis(at_least_1d(source)[0], axis, 0) * y.dtype.type(alpha))
    return np.moveaxis(y, 0, axis).reshape(np.shape(x))


def take(x: Any, index: Any) -> Array:
    """Of the flat x; negative indices count from the end."""
    return np.asarray(num(x).ravel()[np.asarray(index)])


def masked_select(x: Any, mask: Any) -> Array:
    x, mask = np.broadcast_arrays(num(x), np.asarray(mask))
    return np.asarray(x[mask])


def nonzero(x: Any, *, as_tuple: bool = False) -> Any:
    """Where x is not zero: a row an element, or one index array an axis."""
    found = np.nonzero(np.atleast_1d(x))
    return found if as_tuple else argwhere(x)


def argwhere(x: Any) -> Array:
    return np.argwhere(np.asarray(x))


def embedding(
    input: Any,
    weight: Any,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Array:
    """weight[input]; rows whose norm exceeds max_norm are scaled by max_norm / (norm + 1e-7).

    padding_idx and scale_grad_by_freq concern the gradient only.
    """
    return np.asarray(_renormed(weight, max_norm, norm_type)[np.asarray(input)])


def _renormed(weight: Any, max_norm: float | None, norm_type: float) -> Array:
    weight = f64(weight)
    if max_norm is None:
        return weight
    norm = np.linalg.norm(weight, norm_type, axis=1, keepdims=True)
    return np.where(norm > max_norm, weight * (max_norm / (norm + 1e-7)), weight)


def embedding_bag(
    input: Any,
    weight: Any,
    offsets: Any = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Any = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Array:
    """The sum, mean or max of the embeddings of each bag; zeros for an empty one. Entries of padding_idx are left out.

    input: (B, N), each row a bag, or flat with each bag's first place in offsets (then the end, if
    include_last_offset).
    """
    input = np.asarray(input)
    weight = _renormed(weight, max_norm, norm_type)
    if input.ndim == 2:
        ends = np.arange(len(input) + 1) * input.shape[1]
    else:
        ends = np.asarray(offsets) if include_last_offset else np.append(offsets, len(input))
    flat = input.ravel()
    scale = np.ones(len(flat)) if per_sample_weights is None else f64(per_sample_weights).ravel()
    y = np.zeros((len(ends) - 1, weight.shape[1]))
    for bag, (start, end) in enumerate(zip(ends[:-1], ends[1:], strict=True)):
        kept = np.arange(start, end)[flat[start:end] != (-1 if padding_idx is None else padding_idx)]
        rows = weight[flat[kept]] * scale[kept, None]
        if len(rows):
            y[bag] = {"sum": np.sum, "mean": np.mean, "max": np.max}[mode](rows, axis=0)  # type: ignore[operator]
    return y
