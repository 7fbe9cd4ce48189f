"""Reading and writing along one axis by an index tensor."""

from __future__ import annotations

from typing import Any

from ... import _core
from ...autograd import op, record
from ...devices import made_on
from ...tensor import Tensor, also_axis, check_tensors, method
from ..elementwise import operand, remainder
from ..layout import in_place, ravel, reshape, zeros
from ..layout.views import axis, slice

__all__ = [
    "gather",
    "index_add",
    "index_copy",
    "index_fill",
    "index_select",
    "scatter",
    "scatter_add",
    "take",
    "take_along_dim",
]


@method
@also_axis
def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """y[i][j] = input[index[i][j]][j] for dim 0, and so on. index: integers, no larger than input along other axes.

    Returns index's shape. RuntimeError: an index outside [0, size), shapes.

    >>> mi.gather(mi.tensor([[1, 2], [3, 4]]), 1, mi.tensor([[0, 0], [1, 0]]))
    tensor([[1, 1],
            [4, 3]])
    """
    return record(_core.gather(input, dim, index), GATHER, (input,), (input.shape, dim, index))  # type: ignore[no-any-return]


def gather_backward(g: Tensor, shape: tuple[int, ...], dim: int, index: Tensor) -> Tensor:
    """Zeros of `shape`, with g added where it was gathered from."""
    y = zeros(shape, g.dtype)
    _core.scatter_(y, dim, index, g, "add", True)
    return record(y, GATHER_BACKWARD, (g,), (dim, index))  # type: ignore[no-any-return]


GATHER = op("gather", lambda g, needs, shape, dim, index: (gather_backward(g, shape, dim, index),))
GATHER_BACKWARD = op("gather_backward", lambda g, needs, dim, index: (gather(g, dim, index),))


@method
@also_axis
def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """`gather` with both broadcast along the other axes; without `dim`, of the elements in a row.

    Along a `dim`, indices are taken modulo its size, as in PyTorch. RuntimeError: ranks that differ, floating indices.
    >>> mi.take_along_dim(mi.tensor([[3, 1], [2, 4]]), mi.tensor([[1], [0]]), 1)
    tensor([[1],
            [2]])
    """
    check_tensors("take_along_dim", input, indices)
    if indices.dtype.is_floating_point or indices.dtype.name == "bool":
        raise RuntimeError(f"take_along_dim: expected integer indices, got {indices.dtype}")
    if dim is None:
        return gather(ravel(input), 0, ravel(indices))
    if input.ndim == 0:
        raise IndexError("take_along_dim: dim is given, but the tensor has no dimensions")
    if input.ndim != indices.ndim:
        raise RuntimeError(
            f"take_along_dim: input and indices must have as many dimensions, got {input.ndim} and {indices.ndim}"
        )
    dim = axis(dim, input.ndim, "take_along_dim")
    own, wanted = [*input.shape], [*indices.shape]
    for d, shape in enumerate(zip(own, wanted)):
        if d != dim:
            own[d] = wanted[d] = _core.broadcast_shapes(((shape[0],), (shape[1],)))[0]
    if input.shape[dim]:
        indices = remainder(indices, input.shape[dim])
    if own != [*input.shape]:
        input = input.expand(own)
    return gather(input, dim, indices if wanted == [*indices.shape] else indices.expand(wanted))


@method
def take(input: Tensor, index: Tensor) -> Tensor:
    """Elements of input in a row, by their places (negative ones count from the end), in index's shape.

    >>> mi.take(mi.tensor([[1, 2], [3, 4]]), mi.tensor([3, 0]))
    tensor([4, 1])
    """
    return record(_core.take(input, index), TAKE, (input,), (input.shape, index))  # type: ignore[no-any-return]


def _take_rule(g: Tensor, needs: Any, shape: tuple[int, ...], index: Tensor) -> Any:
    n = 1
    for s in shape:
        n *= s
    return (reshape(_take_backward(g, n, index), shape),)


def _take_backward(g: Tensor, n: int, index: Tensor) -> Tensor:
    from .getitem import index_backward

    return index_backward(g, (n,), (0,), index)


TAKE = op("take", _take_rule)


@method
@also_axis
def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices at `index`, a vector, along `dim`. RuntimeError: an index outside [0, size).

    >>> mi.index_select(mi.tensor([[1, 2], [3, 4]]), 1, mi.tensor([1, 1]))
    tensor([[2, 2],
            [4, 4]])
    """
    return record(_core.index_select(input, dim, index), INDEX_SELECT, (input,), (input.shape, dim, index))  # type: ignore[no-any-return]


def index_select_backward(g: Tensor, shape: tuple[int, ...], dim: int, index: Tensor) -> Tensor:
    """Zeros of `shape`, with the slices of g added where they were selected."""
    y = zeros(shape, g.dtype)
    _core.index_into(y, dim, index, g, "add")
    return record(y, INDEX_SELECT_BACKWARD, (g,), (dim, index))  # type: ignore[no-any-return]


INDEX_SELECT = op("index_select", lambda g, needs, *where: (index_select_backward(g, *where),))
INDEX_SELECT_BACKWARD = op("index_select_backward", lambda g, needs, dim, index: (index_select(g, dim, index),))


# ---- scatter ---------------------------------------------------------------------------------------------------------
def source(src: Any, x: Tensor, name: str) -> Tensor:
    """The values to write: a tensor of x's dtype, or a number as a 0-dim one."""
    src = operand(src)
    if not isinstance(src, Tensor):
        return made_on(x, _core.scalar, src, x.dtype)
    if src.dtype is not x.dtype:
        raise RuntimeError(f"{name}: expected self.dtype to be equal to src.dtype, got {x.dtype} and {src.dtype}")
    return reshape(src, ()) if x.ndim == 0 and src.shape == (1,) else src


def _cropped(src: Tensor, index: Tensor) -> Tensor:
    """The part of src that the index reaches."""
    if 0 < src.ndim == index.ndim and src.shape != index.shape and index.numel():
        for d, n in enumerate(index.shape):
            if n < src.shape[d]:
                src = slice(src, d, 0, n)
    return src


@method
@also_axis
def scatter(
    input: Tensor, dim: int, index: Tensor, src: Any = None, *, value: Any = None, reduce: str | None = None
) -> Tensor:
    """A copy of input with y[index[i][j]][j] = src[i][j] for dim 0, and so on; src (or `value`) may be a number.

    reduce: "add" or "multiply" instead of assigning. Where an index repeats, the last assignment counts.
    RuntimeError: an index outside [0, size), shapes or dtypes.

    >>> mi.scatter(mi.zeros(3), 0, mi.tensor([2, 0]), mi.tensor([1.0, 2.0]))
    tensor([2., 0., 1.])
    """
    check_tensors("scatter", input, index)
    src = source(value if src is None else src, input, "scatter")
    if reduce == "add":
        return scatter_add(input, dim, index, src.expand(index.shape) if src.ndim == 0 else src)
    if reduce == "multiply":
        from .reduce import scatter_reduce

        return scatter_reduce(input, dim, index, src.expand(index.shape) if src.ndim == 0 else src, "prod")
    if reduce is not None:
        raise RuntimeError(f'scatter: reduce argument must be either "add" or "multiply", got {reduce!r}')
    src = _cropped(src, index)
    y = _core.clone(input)
    _core.scatter_(y, dim, index, src, "assign", True)
    return record(y, SCATTER, (input, src), (src.ndim, dim, index))  # type: ignore[no-any-return]


def _scatter_rule(g: Tensor, needs: Any, ndim: int, dim: int, index: Tensor) -> Any:
    dx = scatter(g, dim, index, 0) if needs[0] else None
    return dx, gather(g, dim, index) if needs[1] else None


SCATTER = op("scatter", _scatter_rule, broadcast=True)


@method
@also_axis
def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """A copy of input with y[index[i][j]][j] += src[i][j] for dim 0, and so on, in the order of src.

    >>> mi.scatter_add(mi.zeros(3), 0, mi.tensor([0, 0, 2]), mi.tensor([1.0, 2.0, 3.0]))
    tensor([3., 0., 3.])
    """
    check_tensors("scatter_add", input, index, src)
    src = _cropped(source(src, input, "scatter_add"), index)
    y = _core.clone(input)
    _core.scatter_(y, dim, index, src, "add", True)
    return record(y, SCATTER_ADD, (input, src), (dim, index))  # type: ignore[no-any-return]


SCATTER_ADD = op(
    "scatter_add", lambda g, needs, dim, index: (g, gather(g, dim, index) if needs[1] else None), broadcast=True
)


def _scatter_kernel(
    x: Tensor, dim: int, index: Tensor, src: Any = None, *, value: Any = None, reduce: str | None = None
) -> None:
    how = {None: "assign", "add": "add", "multiply": "mul"}.get(reduce)
    if how is None:
        raise RuntimeError(f'scatter_: reduce argument must be either "add" or "multiply", got {reduce!r}')
    _core.scatter_(x, dim, index, source(value if src is None else src, x, "scatter_"), how, False)


scatter_ = in_place(scatter, _scatter_kernel)
scatter_add_ = in_place(
    scatter_add, lambda x, dim, index, src: _core.scatter_(x, dim, index, source(src, x, "scatter_add_"), "add", False)
)


# ---- by slices -------------------------------------------------------------------------------------------------------
@method
@also_axis
def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Any = 1) -> Tensor:
    """A copy of input whose slices at index[i] got alpha times the i-th slice of source added, in order.

    >>> mi.index_add(mi.zeros(3), 0, mi.tensor([0, 2, 0]), mi.tensor([1.0, 2.0, 3.0]))
    tensor([4., 0., 2.])
    """
    check_tensors("index_add", input, index, source)
    src = _scaled(source, input, alpha, "index_add")
    y = _core.clone(input)
    _core.index_into(y, dim, index, src, "add")
    return record(y, INDEX_ADD, (input, src), (dim, index))  # type: ignore[no-any-return]


def _scaled(src: Tensor, x: Tensor, alpha: Any, name: str) -> Tensor:
    src = source(src, x, name)
    if not x.dtype.is_floating_point and isinstance(alpha, float):
        alpha = _core.scalar(alpha, x.dtype).item()  # its integer part
    return src if alpha == 1 else src * alpha


INDEX_ADD = op(
    "index_add", lambda g, needs, dim, index: (g, index_select(g, dim, index) if needs[1] else None), broadcast=True
)


@method
@also_axis
def index_copy(input: Tensor, dim: int, index: Tensor, tensor: Tensor) -> Tensor:
    """A copy of input whose slices at index[i] are the slices of `tensor`; of repeated ones the last.

    >>> mi.index_copy(mi.zeros(3), 0, mi.tensor([2, 0]), mi.tensor([1.0, 2.0]))
    tensor([2., 0., 1.])
    """
    check_tensors("index_copy", input, index, tensor)
    src = source(tensor, input, "index_copy")
    y = _core.clone(input)
    _core.index_into(y, dim, index, src, "assign")
    return record(y, INDEX_COPY, (input, src), (dim, index))  # type: ignore[no-any-return]


def _index_copy_rule(g: Tensor, needs: Any, dim: int, index: Tensor) -> Any:
    return index_fill(g, dim, index, 0) if needs[0] else None, index_select(g, dim, index) if needs[1] else None


INDEX_COPY = op("index_copy", _index_copy_rule, broadcast=True)


@method
@also_axis
def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """A copy of input with `value` (a number or a 0-dim tensor) in the slices at `index`; negative ones count from the
    end. IndexError: an index out of range.

    >>> mi.index_fill(mi.tensor([1, 2, 3]), 0, mi.tensor([0, 2]), 9)
    tensor([9, 2, 9])
    """
    check_tensors("index_fill", input, index)
    index = _from_the_end(input, dim, index)
    value = operand(value)
    if not isinstance(value, Tensor):
        value = made_on(input, _core.scalar, value, input.dtype)
    elif value.ndim:
        raise RuntimeError(f"index_fill: only supports a 0-dimensional value tensor, got {value.ndim} dimensions")
    y = _core.clone(input)
    _core.index_into(y, dim, index, value, "assign")
    return record(y, INDEX_FILL, (input, value), (dim, index))  # type: ignore[no-any-return]


def _from_the_end(x: Tensor, dim: int, index: Tensor) -> Tensor:
    n = x.shape[axis(dim, x.ndim, "index_fill")] if x.ndim else 1
    if index.numel():
        least, most = _core.amin(index, (), False).item(), _core.amax(index, (), False).item()
        if least < -n or most >= n:
            raise IndexError(f"index_fill: index {most if most >= n else least} is out of bounds for size {n}")
        if least < 0:
            return remainder(index, n)
    return index


def _index_fill_rule(g: Tensor, needs: Any, dim: int, index: Tensor) -> Any:
    # A slice that is named twice is filled once, so the value's part cannot be a sum over the index.
    filled = index_fill(zeros(g.shape, g.dtype), dim, index, 1) if needs[1] else None
    return index_fill(g, dim, index, 0) if needs[0] else None, (g * filled).sum() if needs[1] else None


INDEX_FILL = op("index_fill", _index_fill_rule, broadcast=True)


def _index_add_kernel(x: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Any = 1) -> None:
    _core.index_into(x, dim, index, _scaled(source, x, alpha, "index_add_"), "add")


index_add_ = in_place(index_add, _index_add_kernel)
index_copy_ = in_place(
    index_copy,
    lambda x, dim, index, tensor: _core.index_into(x, dim, index, source(tensor, x, "index_copy_"), "assign"),
)
index_fill_ = in_place(index_fill)
