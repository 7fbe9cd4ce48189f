"""layout: the same elements in another shape or order; new arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mielina.testing.reference.base import Array, Dims, axes, cast, num, operands


def _flat(sizes: Any) -> tuple[Any, ...]:
    """f(2, 3) and f((2, 3)) mean the same."""
    return tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else tuple(sizes)


def reshape(x: Any, *shape: Any) -> Array:
    return num(x).reshape(_flat(shape))


view = reshape


def flatten(x: Any, start_dim: int = 0, end_dim: int = -1) -> Array:
    """Axes start_dim to end_dim become one."""
    x = np.atleast_1d(num(x))
    first, last = start_dim % x.ndim, end_dim % x.ndim
    return x.reshape(*x.shape[:first], int(np.prod(x.shape[first : last + 1])), *x.shape[last + 1 :])


def ravel(x: Any) -> Array:
    return num(x).ravel()


def unflatten(x: Any, dim: int, sizes: Sequence[int]) -> Array:
    x = num(x)
    dim %= x.ndim
    known = int(np.prod([s for s in sizes if s != -1]))
    return x.reshape(*x.shape[:dim], *[x.shape[dim] // known if s == -1 else s for s in sizes], *x.shape[dim + 1 :])


def squeeze(x: Any, dim: Dims = None) -> Array:
    """Without axes of size 1, or those of them that dim names."""
    x = num(x)
    return np.squeeze(x, tuple(a for a in axes(dim, x.ndim) if x.shape[a] == 1))


def unsqueeze(x: Any, dim: int) -> Array:
    return np.expand_dims(num(x), dim)


def expand(x: Any, *sizes: Any) -> Array:
    """-1 keeps the size of an axis."""
    x, sizes = num(x), _flat(sizes)
    own = (1,) * (len(sizes) - x.ndim) + x.shape
    return np.broadcast_to(x, [n if s == -1 else s for s, n in zip(sizes, own, strict=True)])


def broadcast_to(x: Any, shape: Sequence[int]) -> Array:
    return expand(x, *shape)


def permute(x: Any, *dims: Any) -> Array:
    return num(x).transpose(_flat(dims))


def transpose(x: Any, dim0: int, dim1: int) -> Array:
    return np.swapaxes(num(x), dim0, dim1) if np.ndim(x) else num(x)


swapaxes = transpose


def t(x: Any) -> Array:
    return num(x).T


def movedim(x: Any, source: Any, destination: Any) -> Array:
    return np.moveaxis(num(x), source, destination)


def flip(x: Any, *dims: Any) -> Array:
    x = num(x)
    return np.flip(x, axes(_flat(dims), x.ndim) if _flat(dims) else ())


def roll(x: Any, shifts: Any, dims: Any = None) -> Array:
    """What leaves at one end comes in at the other; of the flat x without dims."""
    return np.roll(num(x), shifts, dims)


def repeat(x: Any, *sizes: Any) -> Array:
    """The whole of x, so many times along each axis."""
    return np.tile(num(x), _flat(sizes))


def tile(x: Any, *dims: Any) -> Array:
    return np.tile(num(x), _flat(dims))


def repeat_interleave(x: Any, repeats: Any, dim: int | None = None, *, output_size: int | None = None) -> Array:
    """Each element, so many times."""
    return np.repeat(num(x), repeats, dim)


def narrow(x: Any, dim: int, start: int, length: int) -> Array:
    x = num(x)
    return np.take(x, np.arange(start % max(x.shape[dim], 1), start % max(x.shape[dim], 1) + length), dim)


def select(x: Any, dim: int, index: int) -> Array:
    return np.take(num(x), index, dim)


def unbind(x: Any, dim: int = 0) -> tuple[Array, ...]:
    return tuple(np.moveaxis(num(x), dim, 0))


def split(x: Any, split_size_or_sections: Any, dim: int = 0) -> tuple[Array, ...]:
    """Parts of one size (the last may be smaller), or of the given sizes."""
    x, n = num(x), np.shape(x)[dim]
    sizes = split_size_or_sections
    if isinstance(sizes, int):
        sizes = [sizes] * max(-(-n // max(sizes, 1)), 1)
    return tuple(np.array_split(x, np.cumsum(sizes)[:-1], axis=dim))


def chunk(x: Any, chunks: int, dim: int = 0) -> tuple[Array, ...]:
    """Parts of size ceil(n / chunks); there may be fewer than chunks of them."""
    n = np.shape(x)[dim]
    return split(x, -(-n // chunks), dim) if n else tuple([num(x)] * chunks)


def cat(tensors: Sequence[Any], dim: int = 0) -> Array:
    return np.concatenate(operands(*tensors), axis=dim)


def stack(tensors: Sequence[Any], dim: int = 0) -> Array:
    return np.stack(operands(*tensors), axis=dim)


def hstack(tensors: Sequence[Any]) -> Array:
    return np.hstack(operands(*tensors))


def vstack(tensors: Sequence[Any]) -> Array:
    return np.vstack(operands(*tensors))


def dstack(tensors: Sequence[Any]) -> Array:
    return np.dstack(operands(*tensors))


def column_stack(tensors: Sequence[Any]) -> Array:
    """Vectors are columns."""
    return np.column_stack([np.atleast_1d(x) for x in operands(*tensors)])


def atleast_1d(*tensors: Any) -> Any:
    y = tuple(np.atleast_1d(num(x)) for x in tensors)
    return y[0] if len(y) == 1 else y


def atleast_2d(*tensors: Any) -> Any:
    y = tuple(np.atleast_2d(num(x)) for x in tensors)
    return y[0] if len(y) == 1 else y


def meshgrid(*tensors: Any, indexing: Any = "ij") -> tuple[Array, ...]:
    xs = [np.atleast_1d(num(x)) for x in _flat(tensors)]
    return tuple(np.meshgrid(*xs, indexing=indexing))


def cartesian_prod(*tensors: Any) -> Array:
    """All combinations, a row each."""
    xs = [num(x) for x in tensors]
    return xs[0] if len(xs) == 1 else np.stack([x.ravel() for x in np.meshgrid(*xs, indexing="ij")], axis=-1)


def diag(x: Any, diagonal: int = 0) -> Array:
    """A matrix with the diagonal x, or the diagonal of a matrix."""
    return np.diag(num(x), diagonal)


def diagonal(x: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Array:
    return np.diagonal(num(x), offset, dim1, dim2)


def tril(x: Any, diagonal: int = 0) -> Array:
    """Zero above the diagonal."""
    return np.tril(num(x), diagonal)


def triu(x: Any, diagonal: int = 0) -> Array:
    """Zero below the diagonal."""
    return np.triu(num(x), diagonal)


def tril_indices(row: int, col: int, offset: int = 0, *, dtype: Any = np.int64) -> Array:
    return np.array(np.tril_indices(row, offset, col), dtype)


def triu_indices(row: int, col: int, offset: int = 0, *, dtype: Any = np.int64) -> Array:
    return np.array(np.triu_indices(row, offset, col), dtype)


def diff(x: Any, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None) -> Array:
    """x[i + 1] - x[i], n times; of bools: whether they differ."""
    parts = [num(p) for p in (prepend, x, append) if p is not None]
    x = np.concatenate(parts, axis=dim)
    for _ in range(n):
        x = np.diff(x, axis=dim) if x.shape[dim] else x
    return x


def clone(x: Any) -> Array:
    return num(x).copy()


def full(size: Sequence[int], fill_value: Any, *, dtype: Any = None) -> Array:
    return np.full(tuple(size), cast(fill_value, dtype))


def full_like(x: Any, fill_value: Any, *, dtype: Any = None) -> Array:
    return cast(np.full_like(num(x), fill_value), dtype)


def zeros(*size: Any, dtype: Any = None) -> Array:
    return full(_flat(size), 0.0, dtype=dtype)


def ones(*size: Any, dtype: Any = None) -> Array:
    return full(_flat(size), 1.0, dtype=dtype)


def zeros_like(x: Any, *, dtype: Any = None) -> Array:
    return full_like(x, 0, dtype=dtype)


def ones_like(x: Any, *, dtype: Any = None) -> Array:
    return full_like(x, 1, dtype=dtype)


empty, empty_like = zeros, zeros_like  # of theirs only shape and dtype can be compared


def arange(start: float, end: float | None = None, step: float = 1, *, dtype: Any = None) -> Array:
    """start + i step for i < ceil((end - start) / step); int64 if all are integers."""
    start, end = (0, start) if end is None else (start, end)
    count = max(int(np.ceil((end - start) / step)), 0)
    return cast(np.array([start + i * step for i in range(count)], None if count else type(start + step)), dtype)


def linspace(start: float, end: float, steps: int, *, dtype: Any = None) -> Array:
    return cast(np.linspace(start, end, steps), dtype)


def logspace(start: float, end: float, steps: int, base: float = 10.0, *, dtype: Any = None) -> Array:
    return cast(base ** np.linspace(start, end, steps), dtype)


def eye(n: int, m: int | None = None, *, dtype: Any = None) -> Array:
    return cast(np.eye(n, m), dtype)
