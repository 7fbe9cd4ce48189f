"""Views: windows on the memory of another tensor. What is written to one is seen in both."""

from __future__ import annotations

from typing import Any

from ... import _core
from ...autograd import op, record
from ...devices import made_on
from ...dtypes import dtype as DType
from ...tensor import Tensor, also_axis, check_tensors, method, method_as

__all__ = [
    "adjoint", "broadcast_tensors", "broadcast_to", "diagonal", "expand", "expand_as", "flatten", "identity", "movedim",
    "moveaxis", "narrow", "permute", "ravel", "reshape", "reshape_as", "select", "squeeze", "swapaxes", "swapdims", "t",
    "transpose", "unflatten", "unsqueeze", "view", "view_as",
]  # fmt: skip


# view_of(y, o, x, *saves) -> y: `record` for a result of o(x) that is a window on x's memory, so that in-place changes
# of either are changes of the other. A copy, as reshape may have to make one, is only recorded.
view_of = _core.recorded_view


def sizes(shape: tuple[Any, ...]) -> tuple[Any, ...]:
    """x.reshape(2, 3) and x.reshape((2, 3)) mean the same."""
    return tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape


def several(tensors: tuple[Any, ...]) -> tuple[Tensor, ...]:
    """f(a, b) and f([a, b]) mean the same."""
    return sizes(tensors)


def given(positional: tuple[Any, ...], keyword: Any) -> tuple[int, ...]:
    """x.permute(1, 0), x.permute((1, 0)) and x.permute(dims=(1, 0)) mean the same. TypeError: both, or neither."""
    if keyword is None:
        return sizes(positional)
    if positional:
        raise TypeError("sizes or dims are given twice, by position and by keyword")
    return tuple(keyword)


def axis(dim: int, ndim: int, name: str) -> int:
    """dim as 0 <= dim < ndim. IndexError otherwise."""
    n = max(ndim, 1)
    if not -n <= dim < n:
        raise IndexError(f"{name}: dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {dim})")
    return dim % n


def zeros(shape: Any, dtype: DType, like: Tensor | None = None) -> Tensor:
    """Zeros on the device of `like`; without it where the thread's new tensors go (in a gradient's rule, beside it)."""
    y = made_on(like, _core.empty, shape, dtype)
    _core.fill_(y, 0)
    return y  # type: ignore[no-any-return]


@method
def reshape(input: Tensor, *sizes: Any, shape: Any = None) -> Tensor:
    """The same elements in C order under another shape (one size may be -1): a view where strides allow it, else a
    copy.

    >>> mi.reshape(mi.arange(6), (2, -1))
    tensor([[0, 1, 2],
            [3, 4, 5]])
    """
    return reshaped(input, given(sizes, shape))


def reshaped(input: Tensor, shape: tuple[int, ...]) -> Tensor:
    """`reshape` for callers that have the shape."""
    return view_of(_core.reshape(input, shape), RESHAPE, input, input.shape)  # type: ignore[no-any-return]


RESHAPE = op("reshape", lambda g, needs, shape: (reshape(g, shape),))


@method
def view(input: Tensor, *sizes: Any, size: Any = None, dtype: DType | None = None) -> Tensor:
    """The same memory under another shape, or its bits as another dtype: the last size grows or shrinks with the size
    of an element. RuntimeError: it needs a copy.

    >>> mi.arange(4).view(2, 2)
    tensor([[0, 1],
            [2, 3]])
    """
    if dtype is None and len(sizes) == 1 and isinstance(sizes[0], DType):
        dtype = sizes[0]
    if dtype is not None:
        return _core.bit_view(input, dtype)  # type: ignore[no-any-return]
    return view_of(_core.view(input, given(sizes, size)), RESHAPE, input, input.shape)


@method
def view_as(input: Tensor, other: Tensor) -> Tensor:
    """input.view(other.shape).

    >>> mi.arange(4).view_as(mi.ones(2, 2)).shape
    (2, 2)
    """
    check_tensors("view_as", input, other)
    return view(input, other.shape)


@method
def reshape_as(input: Tensor, other: Tensor) -> Tensor:
    """input.reshape(other.shape).

    >>> mi.reshape_as(mi.arange(4), mi.ones(2, 2))
    tensor([[0, 1],
            [2, 3]])
    """
    check_tensors("reshape_as", input, other)
    return reshape(input, other.shape)


@method
def ravel(input: Tensor) -> Tensor:
    """All elements in one row.

    >>> mi.ravel(mi.tensor([[1, 2], [3, 4]]))
    tensor([1, 2, 3, 4])
    """
    return reshape(input, (-1,))


@method
def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """The axes from start_dim to end_dim as one; a 0-dim tensor becomes a vector. RuntimeError: wrong order.

    >>> mi.flatten(mi.ones(2, 3, 4), 1).shape
    (2, 12)
    """
    check_tensors("flatten", input)
    if input.ndim == 0:
        axis(start_dim, 0, "flatten"), axis(end_dim, 0, "flatten")
        return reshape(input, (1,))
    first, last = axis(start_dim, input.ndim, "flatten"), axis(end_dim, input.ndim, "flatten")
    if first > last:
        raise RuntimeError("flatten: start_dim cannot come after end_dim")
    if first == last:
        return input
    shape, n = input.shape, 1
    for s in shape[first : last + 1]:
        n *= s
    return reshaped(input, (*shape[:first], n, *shape[last + 1 :]))


@method
def unflatten(input: Tensor, dim: int, sizes: Any) -> Tensor:
    """One axis split into several; one of `sizes` may be -1. RuntimeError: their product is not the axis's size.

    >>> mi.unflatten(mi.arange(6), 0, (2, 3))
    tensor([[0, 1, 2],
            [3, 4, 5]])
    """
    check_tensors("unflatten", input)
    dim = axis(dim, input.ndim, "unflatten")
    known = [s for s in sizes if s != -1]
    n = 1
    for s in known:
        n *= s
    size = input.shape[dim] if input.ndim else 1
    if len(sizes) - len(known) > 1 or (size != n if len(known) == len(sizes) else n == 0 or size % n):
        raise RuntimeError(
            f"unflatten: sizes {tuple(sizes)} do not multiply up to the size of dimension {dim} ({size})"
        )
    whole = tuple(size // n if s == -1 else s for s in sizes)
    return view(input, (*input.shape[:dim], *whole, *input.shape[dim + 1 :]))


# ---- the order of axes -----------------------------------------------------------------------------------------------
@method
def permute(input: Tensor, *order: Any, dims: Any = None) -> Tensor:
    """The axes in another order, as a view.

    >>> mi.permute(mi.ones(2, 3, 4), (2, 0, 1)).shape
    (4, 2, 3)
    """
    axes = given(order, dims)
    inverse = [0] * len(axes)
    y = _core.permute(input, axes)
    for i, a in enumerate(axes):
        inverse[a] = i
    return view_of(y, PERMUTE, input, tuple(inverse))


PERMUTE = op("permute", lambda g, needs, axes: (permute(g, axes),))


@method
def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two axes exchanged, as a view.

    >>> mi.swapaxes(mi.tensor([[1, 2, 3]]), 0, 1).shape
    (3, 1)
    """
    return view_of(_core.transpose(input, dim0, dim1), TRANSPOSE, input, dim0, dim1)


TRANSPOSE = op("transpose", lambda g, needs, a, b: (transpose(g, a, b),))
swapdims = transpose
method_as("swapdims")(transpose)


@method
def swapaxes(input: Tensor, axis0: int, axis1: int) -> Tensor:
    """`transpose` under NumPy's name.

    >>> mi.swapaxes(mi.ones(2, 3), 0, 1).shape
    (3, 2)
    """
    return transpose(input, axis0, axis1)


@method
def t(input: Tensor) -> Tensor:
    """The transpose of a matrix; vectors and numbers stay as they are. RuntimeError beyond two dimensions.

    >>> mi.t(mi.tensor([[1, 2, 3]]))
    tensor([[1],
            [2],
            [3]])
    """
    check_tensors("t", input)
    if input.ndim > 2:
        raise RuntimeError(f"t: expected a tensor with at most 2 dimensions, got {input.ndim}")
    return permute(input, tuple(reversed(range(input.ndim))))


@method
def adjoint(input: Tensor) -> Tensor:
    """The last two axes exchanged: of real numbers, the adjoint matrices. RuntimeError: a number or a vector.

    >>> mi.adjoint(mi.tensor([[1, 2], [3, 4]]))
    tensor([[1, 3],
            [2, 4]])
    """
    check_tensors("adjoint", input)
    if input.ndim < 2:
        raise RuntimeError(f"adjoint and mT are for matrices and batches of them, got {input.ndim} dimensions")
    return transpose(input, -2, -1)


def _reversed(self: Tensor) -> Tensor:
    """All axes in reverse order.

    >>> mi.tensor([[1, 2, 3]]).T.shape
    (3, 1)
    """
    return transpose(self, 0, 1) if self.ndim == 2 else permute(self, *reversed(range(self.ndim)))


method_as("T")(property(_reversed))
method_as("mT", "mH")(property(adjoint))
method_as("H")(property(t))


@method
def movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    """The axes `source` at the places `destination`, the others in their order around them.

    >>> mi.movedim(mi.ones(2, 3, 4), 0, -1).shape
    (3, 4, 2)
    """
    check_tensors("movedim", input)
    n = input.ndim
    if isinstance(source, int):
        source, destination = (source,), (destination,)
    if len(source) != len(destination):
        raise RuntimeError(f"movedim: {len(source)} source dims but {len(destination)} destination dims")
    sources, targets = ([axis(d, n, "movedim") for d in dims] for dims in (source, destination))
    if len(set(sources)) < len(sources) or len(set(targets)) < len(targets):
        raise RuntimeError(f"movedim: repeated dim in source {tuple(source)} or destination {tuple(destination)}")
    if n == 0:
        return identity(input)
    order = [d for d in range(n) if d not in sources]
    for to, d in sorted(zip(targets, sources)):
        order.insert(to, d)
    return permute(input, order)


moveaxis = movedim
method_as("moveaxis")(movedim)


# ---- sizes of one, and repetition ------------------------------------------------------------------------------------
@method
def expand(input: Tensor, *sizes: Any, size: Any = None) -> Tensor:
    """Axes of size 1 repeated without copying (stride 0); -1 keeps a size.

    >>> mi.expand(mi.tensor([[1], [2]]), 2, 3)
    tensor([[1, 1, 1],
            [2, 2, 2]])
    """
    return view_of(_core.expand(input, given(sizes, size)), EXPAND, input, input.shape)


def _expand_rule(g: Tensor, needs: Any, shape: tuple[int, ...]) -> Any:
    from ..reduce import sum_to

    return (sum_to(g, shape),)


EXPAND = op("expand", _expand_rule)


@method
def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """input.expand(other.shape).

    >>> mi.expand_as(mi.tensor([1, 2]), mi.ones(2, 2))
    tensor([[1, 2],
            [1, 2]])
    """
    check_tensors("expand_as", input, other)
    return expand(input, other.shape)


@method
def broadcast_to(input: Tensor, size: Any) -> Tensor:
    """input.expand(size).

    >>> mi.broadcast_to(mi.tensor([1, 2]), (2, 2))
    tensor([[1, 2],
            [1, 2]])
    """
    return expand(input, size)


def broadcast_tensors(*tensors: Any) -> tuple[Tensor, ...]:
    """All of them expanded to their common shape. RuntimeError: there is none.

    >>> a, b = mi.broadcast_tensors(mi.tensor([[1], [2]]), mi.tensor([3, 4]))
    >>> a
    tensor([[1, 1],
            [2, 2]])
    """
    tensors = several(tensors)
    check_tensors("broadcast_tensors", *tensors)
    shape = _core.broadcast_shapes(tuple(x.shape for x in tensors))
    return tuple(expand(x, shape) for x in tensors)


@method
@also_axis
def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """A new axis of size 1 at `dim`, as a view.

    >>> mi.unsqueeze(mi.tensor([1, 2]), 0)
    tensor([[1, 2]])
    """
    return view_of(_core.unsqueeze(input, dim), RESHAPE, input, input.shape)


@method
@also_axis
def squeeze(input: Tensor, dim: Any = None) -> Tensor:
    """Axes of size 1 removed (all, or those in `dim`), as a view. RuntimeError: one of them twice.

    >>> mi.squeeze(mi.ones(1, 2, 1)).shape
    (2,)
    """
    check_tensors("squeeze", input)
    if isinstance(dim, (tuple, list)) and len({axis(d, input.ndim, "squeeze") for d in dim}) < len(dim):
        raise RuntimeError(f"squeeze: a dimension appears multiple times in {tuple(dim)}")
    return view_of(_core.squeeze(input, () if dim is None else dim, dim is None), RESHAPE, input, input.shape)


# ---- parts -----------------------------------------------------------------------------------------------------------
def slice(input: Tensor, dim: int, start: int, stop: int, step: int = 1) -> Tensor:
    """input[start:stop:step] along `dim`, as a view."""
    return view_of(_core.slice(input, dim, start, stop, step), SLICE, input, input.shape, dim, start, stop, step)


def slice_backward(g: Tensor, shape: tuple[int, ...], dim: int, start: int, stop: int, step: int) -> Tensor:
    """Zeros of `shape` with g in the slice."""
    y = zeros(shape, g.dtype)
    _core.copy_into(_core.slice(y, dim, start, stop, step), g)
    return record(y, SLICE_BACKWARD, (g,), (dim, start, stop, step))  # type: ignore[no-any-return]


SLICE = op("slice", lambda g, needs, *where: (slice_backward(g, *where),))
SLICE_BACKWARD = op("slice_backward", lambda g, needs, *where: (slice(g, *where),))


@method
@also_axis
def narrow(input: Tensor, dim: int, start: Any, length: int) -> Tensor:
    """`length` elements from `start` along `dim`, as a view.

    >>> mi.narrow(mi.arange(5), 0, 1, 3)
    tensor([1, 2, 3])
    """
    check_tensors("narrow", input)
    if input.ndim == 0:
        raise RuntimeError("narrow: cannot be applied to a 0-dim tensor")
    if isinstance(start, Tensor) and (start.ndim or start.dtype.is_floating_point):
        raise RuntimeError(f"narrow: start must be a 0-dim tensor of integers, got {start.dtype} {start.shape}")
    n, start = input.shape[axis(dim, input.ndim, "narrow")], int(start)
    if not -n <= start <= n:
        raise IndexError(f"narrow: start out of range (expected to be in range of [{-n}, {n}], but got {start})")
    start = start + n if start < 0 else start
    if start < 0 or length < 0 or start + length > n:
        raise RuntimeError(f"narrow: start ({start}) + length ({length}) exceeds dimension size ({n})")
    return slice(input, dim, start, start + length)


@method
@also_axis
def select(input: Tensor, dim: int, index: int) -> Tensor:
    """The slice at `index` along `dim`, one axis fewer, as a view.

    >>> mi.select(mi.tensor([[1, 2], [3, 4]]), 1, 0)
    tensor([1, 3])
    """
    return view_of(_core.select(input, dim, index), SELECT, input, input.shape, dim, index)


def _select_rule(g: Tensor, needs: Any, shape: tuple[int, ...], dim: int, index: int) -> Any:
    dim = dim % len(shape)
    index = index % shape[dim]
    return (slice_backward(unsqueeze(g, dim), shape, dim, index, index + 1, 1),)


SELECT = op("select", _select_rule)


@method
def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The diagonals of the matrices in dim1 and dim2 as a new last axis, as a view.

    >>> mi.diagonal(mi.tensor([[1, 2], [3, 4]]))
    tensor([1, 4])
    """
    return view_of(_core.diagonal(input, offset, dim1, dim2), DIAGONAL, input, input.shape, offset, dim1, dim2)


def diagonal_backward(g: Tensor, shape: tuple[int, ...], offset: int, dim1: int, dim2: int) -> Tensor:
    """Zeros of `shape` with g on the diagonals."""
    y = zeros(shape, g.dtype)
    _core.copy_into(_core.diagonal(y, offset, dim1, dim2), g)
    return record(y, DIAGONAL_BACKWARD, (g,), (offset, dim1, dim2))  # type: ignore[no-any-return]


DIAGONAL = op("diagonal", lambda g, needs, *where: (diagonal_backward(g, *where),))
DIAGONAL_BACKWARD = op("diagonal_backward", lambda g, needs, *where: (diagonal(g, *where),))


# ---- the same values -------------------------------------------------------------------------------------------------
def identity(input: Tensor) -> Tensor:
    """The same memory as a new result of an op.

    >>> x = mi.tensor([1, 2])
    >>> mi.identity(x).data_ptr() == x.data_ptr()
    True
    """
    return record(_core.alias(input), IDENTITY, (input,), ())  # type: ignore[no-any-return]


def clone_of(input: Tensor) -> Tensor:
    """A copy, in C order unless input is dense."""
    return record(_core.clone(input), IDENTITY, (input,), ())  # type: ignore[no-any-return]


IDENTITY = op("identity", lambda g, needs: (g,))
