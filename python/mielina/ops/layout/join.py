"""Tensors side by side, and cut into parts."""

from __future__ import annotations

from typing import Any

from ... import _core
from ...autograd import op, record
from ...tensor import Tensor, also_axis, check_tensors, method
from .views import (
    axis,
    clone_of,
    diagonal,
    diagonal_backward,
    expand,
    reshape,
    select,
    several,
    slice,
    unsqueeze,
    zeros,
)

__all__ = [
    "atleast_1d", "atleast_2d", "atleast_3d", "block_diag", "cartesian_prod", "cat", "chunk", "column_stack", "concat",
    "concatenate", "diag", "diag_embed", "dsplit", "dstack", "hsplit", "hstack", "meshgrid", "row_stack", "split",
    "split_with_sizes", "stack", "tensor_split", "trace", "unbind", "vsplit", "vstack",
]  # fmt: skip


# ---- together --------------------------------------------------------------------------------------------------------
def cat(tensors: Any, dim: int = 0, *, axis: int | None = None) -> Tensor:
    """The tensors side by side along `dim`; dtypes promote, empty vectors are skipped.

    ValueError: no tensors. RuntimeError: sizes that differ elsewhere. IndexError: `dim` out of range.

    >>> mi.cat([mi.tensor([[1], [2]]), mi.tensor([[3], [4]])], dim=1)
    tensor([[1, 3],
            [2, 4]])
    """
    tensors, dim = tuple(tensors), dim if axis is None else axis
    return record(_core.cat(tensors, dim), CAT, tensors, (_core.sizes_along(tensors, dim), dim))  # type: ignore[no-any-return]


def _cat_rule(g: Tensor, needs: Any, sizes: Any, dim: int) -> Any:
    dim = dim % g.ndim
    parts, start = [], 0
    for n, need in zip(sizes, needs):
        if n < 0:  # an empty vector, skipped
            parts.append(zeros((0,), g.dtype) if need else None)
            continue
        parts.append(slice(g, dim, start, start + n) if need else None)
        start += n
    return parts


CAT = op("cat", _cat_rule, broadcast=True)
concat = concatenate = cat


@also_axis
def stack(tensors: Any, dim: int = 0) -> Tensor:
    """The tensors side by side along a new axis. RuntimeError: their shapes differ.

    >>> mi.stack([mi.tensor([1, 2]), mi.tensor([3, 4])])
    tensor([[1, 2],
            [3, 4]])
    """
    tensors = tuple(tensors)
    if not tensors:
        raise RuntimeError("stack: expected a non-empty list of tensors")
    check_tensors("stack", *tensors)
    shape = tensors[0].shape
    for i, x in enumerate(tensors):
        if x.shape != shape:
            raise RuntimeError(
                f"stack: expected tensors of equal shape, but got {shape} at entry 0 and {x.shape} at entry {i}"
            )
    y = _core.cat(tuple([_core.unsqueeze(x, dim) for x in tensors]), dim if dim >= 0 else dim + len(shape) + 1)
    return record(y, STACK, tensors, (dim,))  # type: ignore[no-any-return]


STACK = op(
    "stack", lambda g, needs, dim: [select(g, dim, i) if need else None for i, need in enumerate(needs)], broadcast=True
)


def _atleast(input: Any, n: int) -> Any:
    def one(x: Tensor) -> Tensor:
        if x.ndim == 0:
            return reshape(x, (1,) * n)
        if x.ndim == 1 and n > 1:
            x = unsqueeze(x, 0)
        return unsqueeze(x, -1) if x.ndim < n else x

    if len(input) == 1 and isinstance(input[0], Tensor):
        return one(input[0])
    tensors = several(input)
    check_tensors(f"atleast_{n}d", *tensors)
    return tuple(map(one, tensors))


def atleast_1d(*tensors: Any) -> Any:
    """Numbers as vectors of one; others as they are.

    >>> mi.atleast_1d(mi.tensor(3.0))
    tensor([3.])
    """
    return _atleast(tensors, 1)


def atleast_2d(*tensors: Any) -> Any:
    """Vectors as one row.

    >>> mi.atleast_2d(mi.tensor([1, 2]))
    tensor([[1, 2]])
    """
    return _atleast(tensors, 2)


def atleast_3d(*tensors: Any) -> Any:
    """Vectors as (1, n, 1), matrices as (m, n, 1).

    >>> mi.atleast_3d(mi.tensor([1, 2])).shape
    (1, 2, 1)
    """
    return _atleast(tensors, 3)


def _some(tensors: Any, name: str) -> Any:
    if not tensors:
        raise RuntimeError(f"{name}: expected a non-empty list of tensors")
    return tensors


def hstack(tensors: Any) -> Tensor:
    """Side by side along the second axis; vectors along their only one. RuntimeError: no tensors.

    >>> mi.hstack([mi.tensor([1, 2]), mi.tensor([3])])
    tensor([1, 2, 3])
    """
    tensors = _some(_atleast((tuple(tensors),), 1), "hstack")
    return cat(tensors, 0 if tensors[0].ndim == 1 else 1)


def vstack(tensors: Any) -> Tensor:
    """One below the other; vectors are rows.

    >>> mi.vstack([mi.tensor([1, 2]), mi.tensor([3, 4])])
    tensor([[1, 2],
            [3, 4]])
    """
    return cat(_some(_atleast((tuple(tensors),), 2), "vstack"), 0)


row_stack = vstack


def dstack(tensors: Any) -> Tensor:
    """One behind the other, along the third axis.

    >>> mi.dstack([mi.tensor([1, 2]), mi.tensor([3, 4])])
    tensor([[[1, 3],
             [2, 4]]])
    """
    return cat(_some(_atleast((tuple(tensors),), 3), "dstack"), 2)


def column_stack(tensors: Any) -> Tensor:
    """Side by side; vectors are columns.

    >>> mi.column_stack([mi.tensor([1, 2]), mi.tensor([3, 4])])
    tensor([[1, 3],
            [2, 4]])
    """
    tensors = tuple(tensors)
    check_tensors("column_stack", *tensors)
    return hstack([reshape(x, (x.numel(), 1)) if x.ndim <= 1 else x for x in tensors])


def meshgrid(*tensors: Any, indexing: str | None = None) -> tuple[Tensor, ...]:
    """Coordinates of the grid of the vectors, one tensor each: indexing "ij" (the default) or "xy" (first two
    exchanged).

    >>> x, y = mi.meshgrid(mi.tensor([1, 2]), mi.tensor([3, 4, 5]), indexing="ij")
    >>> y
    tensor([[3, 4, 5],
            [3, 4, 5]])
    """
    tensors = several(tensors)
    check_tensors("meshgrid", *tensors)
    if indexing not in (None, "ij", "xy"):
        raise RuntimeError(f'meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}')
    for x in _some(tensors, "meshgrid"):
        if x.dtype is not tensors[0].dtype:
            raise RuntimeError(f"meshgrid: expected tensors of one dtype, got {tensors[0].dtype} and {x.dtype}")
        if x.ndim > 1:
            raise RuntimeError(f"meshgrid: expected 0-dim or 1-dim tensors, got {x.ndim} dimensions")
    swap = indexing == "xy" and len(tensors) > 1
    vectors = [tensors[1], tensors[0], *tensors[2:]] if swap else list(tensors)
    shape = tuple(x.numel() for x in vectors)
    n = len(shape)
    grids = [expand(reshape(x, (1,) * i + (-1,) + (1,) * (n - 1 - i)), shape) for i, x in enumerate(vectors)]
    if swap:
        grids[0], grids[1] = grids[1], grids[0]
    return tuple(grids)


def cartesian_prod(*tensors: Any) -> Tensor:
    """All combinations of the vectors' elements, a row each. RuntimeError: not vectors, or of several dtypes.

    >>> mi.cartesian_prod(mi.tensor([1, 2]), mi.tensor([5, 6]))
    tensor([[1, 5],
            [1, 6],
            [2, 5],
            [2, 6]])
    """
    check_tensors("cartesian_prod", *tensors)
    for x in tensors:
        if x.ndim != 1:
            raise RuntimeError(f"cartesian_prod: expected vectors, got shape {x.shape}")
    if len(tensors) == 1:
        return tensors[0]  # type: ignore[no-any-return]
    return stack([reshape(g, (-1,)) for g in meshgrid(*tensors)], 1)


# ---- diagonals -------------------------------------------------------------------------------------------------------
@method
def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Matrices in the axes dim1 and dim2 of the result, with input's last axis on their diagonals.

    >>> mi.diag_embed(mi.tensor([[1, 2], [3, 4]])).shape
    (2, 2, 2)
    """
    check_tensors("diag_embed", input)
    n = input.ndim + 1
    size = input.shape[-1] + abs(offset)
    first, second = axis(dim1, n, "diag_embed"), axis(dim2, n, "diag_embed")
    if first == second:
        raise RuntimeError(f"diag_embed: dimensions cannot be identical, got {dim1} and {dim2}")
    rest = iter(input.shape[:-1])
    shape = tuple(size if d in (first, second) else next(rest) for d in range(n))
    return diagonal_backward(input, shape, offset, first, second)


@method
def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """The square matrix with this diagonal; or a copy of the diagonal of a matrix.

    >>> mi.diag(mi.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])
    """
    check_tensors("diag", input)
    if input.ndim == 1:
        return diag_embed(input, diagonal)
    if input.ndim != 2:
        raise RuntimeError(f"diag: expected a vector or a matrix, got {input.ndim} dimensions")
    return clone_of(_diagonal(input, diagonal))


_diagonal = diagonal


@method
def trace(input: Tensor) -> Tensor:
    """The sum of a matrix's diagonal; of integers an int64.

    >>> mi.trace(mi.tensor([[1, 2], [3, 4]]))
    tensor(5)
    """
    check_tensors("trace", input)
    if input.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, got {input.ndim} dimensions")
    return _diagonal(input).sum()  # type: ignore[no-any-return]


def block_diag(*tensors: Any) -> Tensor:
    """Matrices one after the other down the diagonal, zeros elsewhere; vectors are rows, numbers 1 x 1.

    >>> mi.block_diag(mi.tensor([[1, 2]]), mi.tensor([[3], [4]]))
    tensor([[1, 2, 0],
            [0, 0, 3],
            [0, 0, 4]])
    """
    for i, x in enumerate(tensors):
        if not isinstance(x, Tensor):
            raise TypeError(f"block_diag: expected a Tensor as argument {i}, got {type(x).__name__}")
    blocks = [_atleast((x,), 2) for x in tensors] or [zeros((1, 0), _core.default_dtype())]
    for x in blocks:
        if x.ndim != 2:
            raise RuntimeError(f"block_diag: input tensors must have 2 or fewer dimensions, got {x.ndim}")
    width, before, rows = sum(x.shape[1] for x in blocks), 0, []
    for x in blocks:
        m, n = x.shape
        rows.append(cat([zeros((m, before), x.dtype, x), x, zeros((m, width - before - n), x.dtype, x)], 1))
        before += n
    return cat(rows, 0)


# ---- apart -----------------------------------------------------------------------------------------------------------
def _cut(input: Tensor, ends: list[int], dim: int) -> tuple[Tensor, ...]:
    """input[0:e0], input[e0:e1], ... along dim, as one op: its gradient is one concatenation."""
    parts, start = [], 0
    for end in ends:
        part = _core.slice(input, dim, start, max(start, end), 1)
        _core.view_of(part, input)
        parts.append(part)
        start = end
    return record(tuple(parts), SPLIT, (input,), (dim, ends, input.shape, input.dtype))  # type: ignore[no-any-return]


def _split_rule(g: Any, needs: Any, dim: int, ends: list[int], shape: tuple[int, ...], dtype: Any) -> Any:
    dim, parts = dim % len(shape), []
    for part, start, end in zip((g,) if len(ends) == 1 else g, [0, *ends], ends):
        parts.append(zeros((*shape[:dim], max(end - start, 0), *shape[dim + 1 :]), dtype) if part is None else part)
    return (cat(parts, dim),)


SPLIT = op("split", _split_rule)


@method
@also_axis
def split(input: Tensor, split_size_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Parts of one size (the last may be smaller) or of the given sizes, as views.

    RuntimeError: a negative size, or sizes that do not add up to that of `dim`.

    >>> mi.split(mi.arange(5), 2)
    (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    """
    check_tensors("split", input)
    if not isinstance(split_size_or_sections, int):
        return split_with_sizes(input, split_size_or_sections, dim)
    size, n = split_size_or_sections, _size(input, dim, "split")
    if size < 0 or (size == 0 and n):
        raise RuntimeError(f"split: expected a split size greater than 0 for a dimension of size {n}, got {size}")
    return _cut(input, [min(i + size, n) for i in range(0, max(n, 1), max(size, 1))], dim)


@method
def split_with_sizes(input: Tensor, split_sizes: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Parts of the given sizes, as views. RuntimeError: the sizes do not add up to input's.

    >>> mi.split_with_sizes(mi.arange(5), [1, 4])
    (tensor([0]), tensor([1, 2, 3, 4]))
    """
    check_tensors("split_with_sizes", input)
    n = _size(input, dim, "split")
    if sum(split_sizes) != n or min(split_sizes, default=0) < 0:
        raise RuntimeError(
            f"split: expected non-negative sizes that sum to {n} (of dimension {dim}), got {tuple(split_sizes)}"
        )
    ends, end = [], 0
    for s in split_sizes:
        end += s
        ends.append(end)
    return _cut(input, ends, dim)


def _size(input: Tensor, dim: int, name: str) -> int:
    if input.ndim == 0:
        raise (IndexError if name == "unbind" else RuntimeError)(f"{name}: expected at least a 1-dimensional tensor")
    return input.shape[axis(dim, input.ndim, name)]  # type: ignore[no-any-return]


@method
@also_axis
def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` parts of size ceil(n / chunks), as views.

    >>> mi.chunk(mi.arange(5), 2)
    (tensor([0, 1, 2]), tensor([3, 4]))
    """
    check_tensors("chunk", input)
    if chunks <= 0:
        raise RuntimeError(f"chunk: expects `chunks` to be greater than 0, got {chunks}")
    n = _size(input, dim, "chunk")
    size = -(-n // chunks)
    return _cut(input, [min(i + size, n) for i in range(0, n, size)] if n else [0] * chunks, dim)


@method
def tensor_split(input: Tensor, indices_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """That many parts of sizes that differ by at most one, or the parts between the given places, as views.

    >>> mi.tensor_split(mi.arange(5), 2)
    (tensor([0, 1, 2]), tensor([3, 4]))
    """
    check_tensors("tensor_split", input)
    n = _size(input, dim, "tensor_split")
    if isinstance(indices_or_sections, Tensor):
        indices_or_sections = indices_or_sections.tolist()
    if isinstance(indices_or_sections, int):
        k = indices_or_sections
        if k <= 0:
            raise RuntimeError(f"tensor_split: number of sections must be larger than 0, got {k}")
        return _cut(
            input, [n * (i + 1) // k if n % k == 0 else (n // k) * (i + 1) + min(i + 1, n % k) for i in range(k)], dim
        )
    ends = [*indices_or_sections, n]
    starts = [0, *indices_or_sections]
    return tuple(slice(input, dim, a, max(a, b) if a >= 0 and b >= 0 else b) for a, b in zip(starts, ends))


def _splitter(name: str, dim: int) -> Any:
    part = tuple(1 if d == dim else 2 for d in range(3))

    def function(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
        check_tensors(name, input)
        d = 0 if name == "hsplit" and input.ndim == 1 else dim
        if input.ndim < (1 if name == "hsplit" else dim + 1) or (name == "vsplit" and input.ndim < 2):
            raise RuntimeError(f"{name}: the tensor has too few dimensions ({input.ndim})")
        n = indices_or_sections
        if isinstance(n, int) and (n == 0 or input.shape[d] % n):
            raise RuntimeError(f"{name}: the size {input.shape[d]} of dimension {d} is not divisible by {n}")
        return tensor_split(input, n, d)

    function.__name__ = function.__qualname__ = name
    note = " (0 for vectors)" if name == "hsplit" else ""
    function.__doc__ = f"""`tensor_split` along dimension {dim}{note}, into equal parts.

    >>> [tuple(part.shape) for part in mi.{name}(mi.ones(2, 2, 2), 2)]
    [{part}, {part}]
    """
    return method(function)


hsplit, vsplit, dsplit = _splitter("hsplit", 1), _splitter("vsplit", 0), _splitter("dsplit", 2)


@method
@also_axis
def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """All slices along an axis, without it, as views.

    >>> mi.unbind(mi.tensor([[1, 2], [3, 4]]))
    (tensor([1, 2]), tensor([3, 4]))
    """
    check_tensors("unbind", input)
    n = _size(input, dim, "unbind")
    parts = [_core.select(input, dim, i) for i in range(n)]
    for part in parts:
        _core.view_of(part, input)
    return record(tuple(parts), UNBIND, (input,), (dim, input.shape, input.dtype)) if n else ()


def _unbind_rule(g: Any, needs: Any, dim: int, shape: Any, dtype: Any) -> Any:
    dim = dim % len(shape)
    g = (g,) if shape[dim] == 1 else g
    rest = (*shape[:dim], *shape[dim + 1 :])
    return (stack([zeros(rest, dtype) if part is None else part for part in g], dim),)


UNBIND = op("unbind", _unbind_rule)
