"""Copies of the elements in another order, repeated, or in part zero."""

from __future__ import annotations

from typing import Any

from ... import _core
from ...autograd import op, record
from ...device import check_device
from ...dtypes import dtype as DType
from ...dtypes import int64
from ...tensor import Tensor, also_axis, check_tensors, method, method_as
from .inplace import in_place
from .join import cat
from .views import axis, clone_of, expand, given, narrow, reshape, transpose, unsqueeze

__all__ = [
    "flip",
    "fliplr",
    "flipud",
    "repeat",
    "repeat_interleave",
    "roll",
    "rot90",
    "tile",
    "tril",
    "tril_indices",
    "triu",
    "triu_indices",
]


@method
def flip(input: Tensor, *axes: Any, dims: Any = None) -> Tensor:
    """A copy in the reverse order along `dims`. RuntimeError: a repeated dim.

    >>> mi.flip(mi.tensor([[1, 2], [3, 4]]), (1,))
    tensor([[2, 1],
            [4, 3]])
    """
    dims = given(axes, (dims,) if isinstance(dims, int) else dims)
    return record(_core.flip(input, dims), FLIP, (input,), (dims,))  # type: ignore[no-any-return]


FLIP = op("flip", lambda g, needs, dims: (flip(g, dims),))


@method
def fliplr(input: Tensor) -> Tensor:
    """Columns in reverse order. RuntimeError: fewer than two dimensions.

    >>> mi.fliplr(mi.tensor([[1, 2], [3, 4]]))
    tensor([[2, 1],
            [4, 3]])
    """
    check_tensors("fliplr", input)
    if input.ndim < 2:
        raise RuntimeError(f"fliplr: expected at least 2 dimensions, got {input.ndim}")
    return flip(input, 1)


@method
def flipud(input: Tensor) -> Tensor:
    """Rows in reverse order. RuntimeError: a 0-dim input.

    >>> mi.flipud(mi.tensor([[1, 2], [3, 4]]))
    tensor([[3, 4],
            [1, 2]])
    """
    check_tensors("flipud", input)
    if input.ndim < 1:
        raise RuntimeError("flipud: expected at least 1 dimension")
    return flip(input, 0)


@method
def roll(input: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """What leaves at one end of an axis comes in at the other; without `dims`, of the elements in a row.

    >>> mi.roll(mi.tensor([1, 2, 3]), 1)
    tensor([3, 1, 2])
    """
    check_tensors("roll", input)
    shifts = (shifts,) if isinstance(shifts, int) else tuple(shifts)
    dims = () if dims is None else (dims,) if isinstance(dims, int) else tuple(dims)
    if not dims and len(shifts) != 1:
        raise RuntimeError(f"roll: shifts and dimensions must align, got {len(shifts)} shifts and no dims")
    if dims and input.ndim == 0:
        raise IndexError("roll: dims are given, but the tensor has no dimensions")
    if dims and len(shifts) != len(dims):
        raise RuntimeError(f"roll: shifts and dimensions must align, got {len(shifts)} shifts and {len(dims)} dims")
    return record(_rolled(input, shifts, dims), ROLL, (input,), (shifts, dims))  # type: ignore[no-any-return]


def _rolled(x: Tensor, shifts: tuple[int, ...], dims: tuple[int, ...]) -> Tensor:
    y = start = x if dims else _core.reshape(x, (-1,))
    for shift, dim in zip(shifts, dims or (0,)):
        dim = axis(dim, y.ndim, "roll")
        n = y.shape[dim]
        cut = -shift % n if n else 0
        if cut:
            y = _core.cat((_core.slice(y, dim, cut, n, 1), _core.slice(y, dim, 0, cut, 1)), dim)
    y = _core.clone(y) if y is start else y
    return y if dims else _core.reshape(y, x.shape)


def _roll_rule(g: Tensor, needs: Any, shifts: tuple[int, ...], dims: tuple[int, ...]) -> Any:
    return (record(_rolled(g, back := tuple(-s for s in shifts), dims), ROLL, (g,), (back, dims)),)


ROLL = op("roll", _roll_rule)


@method
def rot90(input: Tensor, k: int = 1, dims: Any = (0, 1)) -> Tensor:
    """The planes in `dims` turned by k * 90 degrees, from the first axis towards the second.

    >>> mi.rot90(mi.tensor([[1, 2], [3, 4]]))
    tensor([[2, 4],
            [1, 3]])
    """
    check_tensors("rot90", input)
    if input.ndim < 2:
        raise RuntimeError(f"rot90: expected at least 2 dimensions, got {input.ndim}")
    first, second = (axis(d, input.ndim, "rot90") for d in dims)
    if first == second:
        raise RuntimeError(f"rot90: expected two different dims, got {tuple(dims)}")
    k %= 4
    if k == 0:
        return clone_of(input)
    if k == 2:
        return flip(input, first, second)
    return flip(transpose(input, first, second), first if k == 1 else second)


# ---- repetition ------------------------------------------------------------------------------------------------------
def repeat(input: Tensor, *times: Any, repeats: Any = None) -> Tensor:
    """The whole tensor so many times along each axis; missing leading axes are added.

    RuntimeError: fewer numbers than dimensions, or a negative one.

    >>> mi.tensor([1, 2]).repeat(2, 2)
    tensor([[1, 2, 1, 2],
            [1, 2, 1, 2]])
    """
    check_tensors("repeat", input)
    times = given(times, repeats)
    if len(times) < input.ndim or min(times, default=0) < 0:
        raise RuntimeError(f"repeat: expected at least {input.ndim} non-negative numbers, got {tuple(times)}")
    shape = (1,) * (len(times) - input.ndim) + input.shape
    if len(shape) + sum(k != 1 for k in times) <= 8:
        return _repeat_at_once(input, shape, times)
    y = reshape(input, shape)
    for d, k in enumerate(times):
        if k != 1:
            y = cat((y,) * k, d) if k else narrow(y, d, 0, 0)
    return clone_of(y) if y._storage == input._storage else y


def _repeat_at_once(input: Tensor, shape: tuple[int, ...], times: tuple[int, ...]) -> Tensor:
    """All axes in one copy: each repeated one as (times, size), the first of which does not move in memory."""
    apart: list[int] = []
    wide: list[int] = []
    added = []
    for k, n in zip(times, shape):
        if k != 1:
            added.append(len(wide))
            apart.append(1)
            wide.append(k)
        apart.append(n)
        wide.append(n)
    y = _core.expand(_core.reshape(input, apart), wide)
    y = _core.reshape(y, [k * n for k, n in zip(times, shape)])
    if y._storage == input._storage:
        y = _core.clone(y)
    return record(y, REPEAT, (input,), (wide, added, input.shape))  # type: ignore[no-any-return]


def _repeat_rule(g: Tensor, needs: Any, wide: list[int], added: list[int], shape: tuple[int, ...]) -> Any:
    from ..reduce import sum

    return (reshape(sum(reshape(g, wide), added) if added else g, shape),)


REPEAT = op("repeat", _repeat_rule)
method_as("repeat")(repeat)


@method
def tile(input: Tensor, *times: Any, dims: Any = None) -> Tensor:
    """`repeat`, with ones for missing numbers.

    >>> mi.tile(mi.tensor([1, 2]), (2,))
    tensor([1, 2, 1, 2])
    """
    check_tensors("tile", input)
    times = given(times, (dims,) if isinstance(dims, int) else dims)
    return repeat(input, (1,) * (input.ndim - len(times)) + tuple(times))


@method
@also_axis
def repeat_interleave(
    input: Tensor, repeats: Any = None, dim: int | None = None, *, output_size: int | None = None
) -> Tensor:
    """Each slice along `dim` (each element, without) so many times in a row; `repeats` an int or a vector of them.

    repeat_interleave(counts) alone gives 0 counts[0] times, 1 counts[1] times, and so on.

    >>> mi.repeat_interleave(mi.tensor([1, 2]), 2)
    tensor([1, 1, 2, 2])
    """
    check_tensors("repeat_interleave", input)
    if repeats is None:
        index = _core.repeat_index(input)
        _check_total(index, output_size)
        return _core.convert(index, input.dtype) if input.dtype.name == "int32" else index  # type: ignore[no-any-return]
    if dim is None:
        input, dim = reshape(input, (-1,)), 0
    dim = axis(dim, input.ndim, "repeat_interleave")
    if isinstance(repeats, Tensor) and repeats.numel() == 1:
        repeats = int(repeats.item())
    if isinstance(repeats, int):
        if repeats < 0:
            raise RuntimeError(f"repeat_interleave: repeats can not be negative, got {repeats}")
        shape = input.shape
        y = expand(unsqueeze(input, dim + 1), (*shape[: dim + 1], repeats, *shape[dim + 1 :]))
        y = reshape(y, (*shape[:dim], shape[dim] * repeats, *shape[dim + 1 :]))
        return clone_of(y) if y._storage == input._storage else y
    from ..creation import as_tensor
    from ..index import index_select

    repeats = as_tensor(repeats)
    if repeats.ndim != 1 or repeats.shape[0] != input.shape[dim]:
        raise RuntimeError(
            f"repeat_interleave: repeats must be as long as dimension {dim} ({input.shape[dim]}), got {repeats.shape}"
        )
    index = _core.to_device(_core.repeat_index(repeats), input._device)
    _check_total(index, output_size)
    return index_select(input, dim, index)


def _check_total(index: Tensor, output_size: int | None) -> None:
    if output_size is not None and output_size != index.shape[0]:
        raise RuntimeError(
            f"repeat_interleave: output_size is {output_size}, but the repeats add up to {index.shape[0]}"
        )


# ---- triangles -------------------------------------------------------------------------------------------------------
@method
def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The matrices in the last two axes, zero above the diagonal (the one `diagonal` above the main one).

    >>> mi.tril(mi.ones(2, 2))
    tensor([[1., 0.],
            [1., 1.]])
    """
    return record(_core.tri(input, diagonal, False), TRIL, (input,), (diagonal,))  # type: ignore[no-any-return]


@method
def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The matrices in the last two axes, zero below the diagonal (the one `diagonal` above the main one).

    >>> mi.triu(mi.ones(2, 2))
    tensor([[1., 1.],
            [0., 1.]])
    """
    return record(_core.tri(input, diagonal, True), TRIU, (input,), (diagonal,))  # type: ignore[no-any-return]


TRIL = op("tril", lambda g, needs, diagonal: (tril(g, diagonal),))
TRIU = op("triu", lambda g, needs, diagonal: (triu(g, diagonal),))
tril_ = in_place(tril, lambda x, diagonal=0: _core.tri_(x, diagonal, False))
triu_ = in_place(triu, lambda x, diagonal=0: _core.tri_(x, diagonal, True))


def _indices(row: int, col: int, offset: int, dtype: DType, upper: bool) -> Tensor:
    from ..creation import ones

    places = _core.nonzero(_core.tri(ones((row, col)), offset, upper), False)
    y = _core.contiguous(_core.transpose(places, 0, 1))
    return y if dtype is int64 else _core.convert(y, dtype)  # type: ignore[no-any-return]


def tril_indices(row: int, col: int, offset: int = 0, *, dtype: DType | None = None, device: Any = None) -> Tensor:
    """(2, n): rows and columns of the elements that `tril` keeps.

    >>> mi.tril_indices(2, 2)
    tensor([[0, 1, 1],
            [0, 0, 1]])
    """
    check_device("tril_indices", device)
    return _indices(row, col, offset, dtype or int64, False)


def triu_indices(row: int, col: int, offset: int = 0, *, dtype: DType | None = None, device: Any = None) -> Tensor:
    """(2, n): rows and columns of the elements that `triu` keeps.

    >>> mi.triu_indices(2, 2)
    tensor([[0, 0, 1],
            [0, 1, 1]])
    """
    check_device("triu_indices", device)
    return _indices(row, col, offset, dtype or int64, True)
