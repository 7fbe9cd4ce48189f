"""Products of matrices, and what is made of them: sums over any axes reduce to `matmul` with permuted axes."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from .. import _core, amp
from ..autograd import op, record
from ..dtypes import float32, float64, int64
from ..tensor import Tensor, check_tensors, method, method_as
from .elementwise import add, cast, mul
from .elementwise.base import add_in_place
from .layout import expand, permute, repeat_interleave, reshape, squeeze, tile, transpose, unsqueeze, zeros
from .reduce import sum

__all__ = [
    "matmul", "mm", "bmm", "mv", "dot", "vdot", "inner", "outer", "ger", "addmm", "baddbmm", "addbmm", "addmv", "addr",
    "einsum", "tensordot", "kron",
]  # fmt: skip
__functional__ = ["linear", "bilinear"]


@method_as("__matmul__")
@method
def matmul(input: Tensor, other: Tensor) -> Tensor:
    """Matrix product: (..., M, K) by (..., K, N) with broadcast batches; vectors act as a row on the left, a column
    on the right, and their axis is removed. Integers wrap.

    RuntimeError: inner sizes or dtypes differ. NotImplementedError: bool.

    >>> mi.matmul(mi.tensor([[1, 2], [3, 4]]), mi.tensor([1, 1]))
    tensor([3, 7])
    """
    if amp.anywhere:
        input, other = amp.cast_inputs(input, other)
    return _matmul(input, other)  # type: ignore[no-any-return]


@method_as("__rmatmul__")
def _rmatmul(self: Tensor, other: Any) -> Tensor:
    """other @ self."""
    return matmul(other, self)


def _matmul_rule(g: Tensor, needs: Any, a: Tensor, b: Tensor) -> Any:
    """dA = G B^T, dB = A^T G, vectors as a row and a column; the engine sums broadcast batches and the row's axis."""
    if a.ndim == 1:
        a, g = unsqueeze(a, 0), unsqueeze(g, g.ndim if b.ndim == 1 else -2)
    column = b.ndim == 1
    if column:
        b, g = unsqueeze(b, 1), unsqueeze(g, -1)
    da = matmul(g, transpose(b, -2, -1)) if needs[0] else None
    db = None
    if needs[1]:
        if b.ndim == 2:  # one product over the folded batch instead of a sum of products
            a, g = _rows(a), _rows(g)
        db = matmul(transpose(a, -2, -1), g)
        db = squeeze(db, -1) if column else db
    return da, db


MATMUL = op("matmul", _matmul_rule, broadcast=True)
_matmul = _core.recorded(_core.matmul, MATMUL, (0, 1), 0, 2)


def _rows(x: Tensor) -> Tensor:
    """(..., K) as a matrix."""
    return x if x.ndim == 2 else reshape(x, (math.prod(x.shape[:-1]), x.shape[-1]))


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y = x W^T + b. input: (..., in), weight: (out, in) or (in), bias: (out) or None. Returns (..., out).

    A bias of more dimensions is broadcast. RuntimeError: sizes or dtypes differ.

    >>> F.linear(mi.tensor([[1.0, 2.0]]), mi.tensor([[1.0, 1.0], [0.0, 3.0]]), mi.tensor([0.0, 1.0]))
    tensor([[3., 7.]])
    """
    if not amp.anywhere:
        try:
            return _linear(input, weight, bias)  # type: ignore[no-any-return]
        except (RuntimeError, TypeError):
            pass  # a bias of more dimensions; or what is wrong is said below
    check_tensors("linear", input, weight, *(() if bias is None else (bias,)))
    if amp.anywhere:
        input, weight, bias = amp.cast_inputs(input, weight, bias)
    if bias is not None and bias.ndim > 1:
        y = linear(input, weight)
        if _core.broadcast_shapes((y.shape, bias.shape)) != y.shape:
            raise RuntimeError(f"linear: a bias of shape {bias.shape} does not go into a result of {y.shape}")
        return add(y, bias)
    return _linear(input, weight, bias)  # type: ignore[no-any-return]


def _linear_rule(g: Tensor, needs: Any, x: Tensor, w: Tensor) -> Any:
    """dX = G W, dW = G^T X; the engine sums the bias's gradient over the rows."""
    if w.ndim == 1:
        w, g = unsqueeze(w, 0), unsqueeze(g, -1)
    dx = matmul(g, w) if needs[0] else None
    dw = matmul(transpose(_rows(g), 0, 1), _rows(x)) if needs[1] else None
    return dx, dw, g


LINEAR = op("linear", _linear_rule, broadcast=True)
_linear = _core.recorded(_core.linear, LINEAR, (0, 1), 0, 3)


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y[..., o] = sum_ij input1[..., i] weight[o, i, j] input2[..., j] + bias[o].

    RuntimeError: batch shapes differ, or sizes do not fit weight (out, in1, in2).

    >>> F.bilinear(mi.tensor([[1.0, 2.0]]), mi.tensor([[3.0]]), mi.ones(1, 2, 1))
    tensor([[9.]])
    """
    check_tensors("bilinear", input1, input2, weight, *([] if bias is None else [bias]))
    if input1.shape[:-1] != input2.shape[:-1]:
        raise RuntimeError(f"bilinear: expected equal batch shapes, got {input1.shape[:-1]} and {input2.shape[:-1]}")
    if weight.ndim != 3 or weight.shape[1:] != (input1.shape[-1], input2.shape[-1]):
        raise RuntimeError(f"bilinear: weight {weight.shape} does not fit inputs {input1.shape} and {input2.shape}")
    if bias is not None and bias.shape != weight.shape[:1]:
        raise RuntimeError(f"bilinear: bias must have shape {weight.shape[:1]}, got {bias.shape}")
    half = matmul(_rows(input1), weight)  # (out, rows, in2)
    y = squeeze(matmul(permute(half, (1, 0, 2)), unsqueeze(_rows(input2), -1)), -1)
    y = reshape(y, (*input1.shape[:-1], weight.shape[0]))
    return y if bias is None else add(y, bias)


# ---- products of given ranks -----------------------------------------------------------------------------
def _check_ranks(name: str, a: Tensor, b: Tensor, ranks: tuple[int, int]) -> None:
    check_tensors(name, a, b)
    if (a.ndim, b.ndim) != ranks:
        raise RuntimeError(
            f"{name}: expected {ranks[0]}-D and {ranks[1]}-D tensors, got shapes {a.shape} and {b.shape}"
        )


@method
def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """`matmul` of two matrices. RuntimeError: other ranks.

    >>> mi.mm(mi.eye(2), mi.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[1., 2.],
            [3., 4.]])
    """
    _check_ranks("mm", input, mat2, (2, 2))
    return matmul(input, mat2)


@method
def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """`matmul` of two batches of matrices of equal length. RuntimeError: other ranks or lengths.

    >>> mi.bmm(mi.ones(2, 1, 3), mi.ones(2, 3, 1)).shape
    (2, 1, 1)
    """
    _check_ranks("bmm", input, mat2, (3, 3))
    if input.shape[0] != mat2.shape[0]:
        raise RuntimeError(f"bmm: expected batches of equal length, got {input.shape} and {mat2.shape}")
    return matmul(input, mat2)


@method
def mv(input: Tensor, vec: Tensor) -> Tensor:
    """`matmul` of a matrix and a vector. RuntimeError: other ranks.

    >>> mi.mv(mi.tensor([[1, 2], [3, 4]]), mi.tensor([1, 1]))
    tensor([3, 7])
    """
    _check_ranks("mv", input, vec, (2, 1))
    return matmul(input, vec)


@method
def dot(input: Tensor, other: Tensor) -> Tensor:
    """The sum of the products of two vectors, a 0-dim tensor. RuntimeError: other ranks.

    >>> mi.dot(mi.tensor([1, 2]), mi.tensor([3, 4]))
    tensor(11)
    """
    _check_ranks("dot", input, other, (1, 1))
    return matmul(input, other)


@method
def vdot(input: Tensor, other: Tensor) -> Tensor:
    """`dot`: there are no complex tensors to conjugate.

    >>> mi.vdot(mi.tensor([1, 2]), mi.tensor([3, 4]))
    tensor(11)
    """
    return dot(input, other)


@method
def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """y[i, j] = input[i] vec2[j], dtypes promoted. RuntimeError: not vectors.

    >>> mi.outer(mi.tensor([1, 2]), mi.tensor([3, 4]))
    tensor([[3, 4],
            [6, 8]])
    """
    _check_ranks("outer", input, vec2, (1, 1))
    return mul(unsqueeze(input, 1), vec2)


@method
def ger(input: Tensor, vec2: Tensor) -> Tensor:
    """`outer` under the name that it has in BLAS.

    >>> mi.ger(mi.tensor([1, 2]), mi.tensor([3, 4]))
    tensor([[3, 4],
            [6, 8]])
    """
    return outer(input, vec2)


# ---- beta input + alpha product --------------------------------------------------------------------------
def _combine(name: str, input: Tensor, product: Tensor, beta: Any, alpha: Any) -> Tensor:
    """beta input + alpha product; beta = 0 ignores input, NaN too. Integers take the integer part of both."""
    if not product.dtype.is_floating_point:
        if name == "addr" and (isinstance(beta, float) or isinstance(alpha, float)):
            raise RuntimeError(f"{name}: integer tensors need integer alpha and beta, got {alpha} and {beta}")
        alpha, beta = (_core.scalar(n, product.dtype).item() for n in (alpha, beta))
    input = expand(input, product.shape)
    if alpha != 1:
        product = mul(product, alpha)
    if beta == 0:
        return product
    return add(product, input if beta == 1 else mul(input, beta))


def _add_product(name: str, input: Tensor, a: Tensor, b: Tensor, beta: Any, alpha: Any) -> Tensor:
    if amp.anywhere:
        input, a, b = amp.cast_inputs(input, a, b)
    if alpha == 0 and a.ndim == 2 and a.dtype.itemsize >= 4:  # nothing is multiplied, NaN neither
        shape = (a.shape[0], matmul(zeros((0, a.shape[1]), a.dtype), b).shape[1])
        return _combine(name, input, zeros(shape, a.dtype), beta, 1)
    if beta == 1 and alpha == 1:  # the kernel adds it while the product is in cache
        return record(_core.addmm(input, a, b), ADDMM, (input, a, b), (a, b))  # type: ignore[no-any-return]
    return _combine(name, input, matmul(a, b), beta, alpha)


ADDMM = op("addmm", lambda g, needs, a, b: (g, *_matmul_rule(g, needs[1:], a, b)), broadcast=True)


@method
def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta input + alpha mat1 mat2; input: anything that expands to the product. beta = 0 ignores input, NaN too.

    RuntimeError: shapes or dtypes that do not fit.

    >>> mi.addmm(mi.ones(2), mi.eye(2), mi.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[2., 3.],
            [4., 5.]])
    """
    check_tensors("addmm", input)
    _check_ranks("addmm", mat1, mat2, (2, 2))
    return _add_product("addmm", input, mat1, mat2, beta, alpha)


@method
def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """`addmm` for each pair of matrices of two batches.

    >>> mi.baddbmm(mi.ones(1, 2, 2), mi.ones(1, 2, 3), mi.ones(1, 3, 2))
    tensor([[[4., 4.],
             [4., 4.]]])
    """
    check_tensors("baddbmm", input)
    _check_ranks("baddbmm", batch1, batch2, (3, 3))
    if batch1.shape[0] != batch2.shape[0]:
        raise RuntimeError(f"baddbmm: expected batches of equal length, got {batch1.shape} and {batch2.shape}")
    return _add_product("baddbmm", input, batch1, batch2, beta, alpha)


@method
def addbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta input + alpha times the sum of a batch of products: one product with the batch among the inner sizes.

    >>> mi.addbmm(mi.zeros(2, 2), mi.ones(3, 2, 4), mi.ones(3, 4, 2))
    tensor([[12., 12.],
            [12., 12.]])
    """
    check_tensors("addbmm", input)
    _check_ranks("addbmm", batch1, batch2, (3, 3))
    if batch1.shape[0] != batch2.shape[0]:
        raise RuntimeError(f"addbmm: expected batches of equal length, got {batch1.shape} and {batch2.shape}")
    return _combine("addbmm", input, tensordot(batch1, batch2, ((0, 2), (0, 1))), beta, alpha)


@method
def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta input + alpha mat vec.

    >>> mi.addmv(mi.ones(2), mi.tensor([[1.0, 2.0], [3.0, 4.0]]), mi.ones(2))
    tensor([4., 8.])
    """
    check_tensors("addmv", input)
    return _combine("addmv", input, mv(mat, vec), beta, alpha)


@method
def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta input + alpha times the outer product of two vectors.

    >>> mi.addr(mi.zeros(2, 3), mi.tensor([1.0, 2.0]), mi.tensor([1.0, 2.0, 3.0]))
    tensor([[1., 2., 3.],
            [2., 4., 6.]])
    """
    check_tensors("addr", input)
    return _combine("addr", input, outer(vec1, vec2), beta, alpha)


for _function in (addmm, baddbmm, addbmm, addmv, addr):
    add_in_place(_function)


# ---- sums of products over any axes ----------------------------------------------------------------------
# An operand is a tensor and a label for each of its axes; letters are their code points, axes under an ellipsis
# negative, counted from the last.
Labels = Sequence[int]


def _sum_out(x: Tensor, labels: Labels, kept: AbstractSet[int], widen: bool) -> tuple[Tensor, Labels]:
    gone = [i for i, label in enumerate(labels) if label not in kept]
    if not gone:
        return x, labels
    return sum(x, gone, dtype=None if widen else x.dtype), [label for label in labels if label in kept]


def _without_ones(x: Tensor, labels: Labels, other: dict[int, int]) -> tuple[Tensor, Labels]:
    """An axis of size 1 that the other operand has in full is as good as absent."""
    gone = [i for i, (label, n) in enumerate(zip(labels, x.shape)) if n == 1 and other.get(label, 1) != 1]
    return (squeeze(x, gone), [label for i, label in enumerate(labels) if i not in gone]) if gone else (x, labels)


def _ordered(x: Tensor, labels: Labels, to: Labels) -> Tensor:
    return x if list(labels) == list(to) else permute(x, [labels.index(label) for label in to])


def _grouped(x: Tensor, labels: Labels, batch: Labels, rows: Labels, columns: Labels) -> Tensor:
    """(batch..., product of rows, product of columns); without a copy where both are one axis."""
    x = _ordered(x, labels, [*batch, *rows, *columns])
    if len(rows) == len(columns) == 1:
        return x
    n, m = len(batch), len(batch) + len(rows)
    return reshape(x, (*x.shape[:n], math.prod(x.shape[n:m]), math.prod(x.shape[m:])))


def _aligned(x: Tensor, labels: Labels, to: Labels) -> Tensor:
    """x's axes in the order of `to`, with an axis of size 1 for each label that x lacks."""
    x = _ordered(x, labels, [label for label in to if label in labels])
    sizes = iter(x.shape)
    return reshape(x, tuple(next(sizes) if label in labels else 1 for label in to))


def _contract(
    a: Tensor, la: Labels, b: Tensor, lb: Labels, kept: AbstractSet[int], widen: bool
) -> tuple[Tensor, Labels]:
    """a b, summed over the labels that are not kept. widen: what only one has is summed in int64, as by sum()."""
    sizes = dict(zip(la, a.shape))
    a, la = _without_ones(a, la, dict(zip(lb, b.shape)))
    b, lb = _without_ones(b, lb, sizes)
    a, la = _sum_out(a, la, kept | set(lb), widen)
    b, lb = _sum_out(b, lb, kept | set(la), widen)
    batch = [label for label in la if label in lb and label in kept]
    summed = [label for label in la if label in lb and label not in kept]
    rows = [label for label in la if label not in lb]
    columns = [label for label in lb if label not in la]
    result = [*batch, *rows, *columns]
    if a.dtype is not b.dtype and not (a.dtype.is_floating_point or b.dtype.is_floating_point):  # one was summed
        a, b = (x if x.dtype is int64 else cast(x, int64) for x in (a, b))
    if not summed:
        return mul(_aligned(a, la, result), _aligned(b, lb, result)), result
    if batch and not rows and not columns and a.dtype is b.dtype and a.dtype in (float32, float64):
        # Dot products one by one would be products of matrices of one row (32 of 3072 numbers: 219 us).
        order = [*batch, *summed]
        return sum(mul(_aligned(a, la, order), _aligned(b, lb, order)), list(range(len(batch), len(order)))), batch
    y = matmul(_grouped(a, la, batch, rows, summed), _grouped(b, lb, batch, summed, columns))
    if len(rows) != 1 or len(columns) != 1:
        sizes = dict(zip(la, a.shape)) | dict(zip(lb, b.shape))
        y = reshape(y, tuple(sizes[label] for label in result))
    return y, result


def tensordot(a: Tensor, b: Tensor, dims: Any = 2) -> Tensor:
    """The sum of products over pairs of axes: the last `dims` of a with the first of b, or dims = (axes of a, axes of
    b). An axis of size 1 is repeated as often as its partner needs. The other axes follow in order, those of a first.

    RuntimeError: sizes or numbers of axes that do not match.

    >>> mi.tensordot(mi.ones(2, 3, 4), mi.ones(3, 4, 5), dims=2).shape
    (2, 5)
    """
    check_tensors("tensordot", a, b)
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if isinstance(dims, int):
        if not 0 <= dims <= min(a.ndim, b.ndim):
            raise RuntimeError(f"tensordot: dims={dims} for tensors of {a.ndim} and {b.ndim} dimensions")
        dims = range(a.ndim - dims, a.ndim), range(dims)
    of_a, of_b = ([d % x.ndim if -x.ndim <= d < x.ndim else d for d in axes] for axes, x in zip(dims, (a, b)))
    for axes, x in ((of_a, a), (of_b, b)):
        if any(not 0 <= d < x.ndim for d in axes):
            raise IndexError(f"tensordot: dims {list(axes)} out of range for shape {x.shape}")
    if len(of_a) != len(of_b) or len(set(of_a)) != len(of_a) or len(set(of_b)) != len(of_b):
        raise RuntimeError(f"tensordot: expected as many dims of a as of b, each once, got {of_a} and {of_b}")
    for i, j in zip(of_a, of_b):
        if a.shape[i] != b.shape[j] and 1 not in (a.shape[i], b.shape[j]):
            raise RuntimeError(f"tensordot: expected a.shape[{i}] == b.shape[{j}], got shapes {a.shape} and {b.shape}")
    pairs = dict(zip(of_b, of_a))
    la = list(range(a.ndim))
    lb = [pairs.get(j, a.ndim + j) for j in range(b.ndim)]
    return _contract(a, la, b, lb, set(la) ^ set(lb), False)[0]


@method
def inner(input: Tensor, other: Tensor) -> Tensor:
    """The sum of products over the last axis of both; numbers multiply. RuntimeError: the last sizes differ.

    >>> mi.inner(mi.tensor([1, 2]), mi.tensor([[3, 4], [5, 6]]))
    tensor([11, 17])
    """
    check_tensors("inner", input, other)
    if input.ndim == 0 or other.ndim == 0:
        return mul(input, other)
    if input.shape[-1] != other.shape[-1]:
        raise RuntimeError(f"inner: expected equal last sizes, got shapes {input.shape} and {other.shape}")
    if input.ndim == other.ndim == 1:
        return dot(input, other)
    return tensordot(input, other, ((-1,), (-1,)))


@method
def kron(input: Tensor, other: Tensor) -> Tensor:
    """The Kronecker product: each element of input times the whole of other, as blocks of one tensor.

    >>> mi.kron(mi.tensor([1, 10]), mi.tensor([1, 2]))
    tensor([ 1,  2, 10, 20])
    """
    check_tensors("kron", input, other)
    n = max(input.ndim, other.ndim)
    a, b = (1,) * (n - input.ndim) + input.shape, (1,) * (n - other.ndim) + other.shape
    # Axes on which either has size 1 need no second one: so 8 dimensions suffice unless five or more are true products.
    pairs = [(i, j) for i, j in zip(a, b) if (i, j) != (1, 1)]
    shapes = [((i, 1), (1, j)) if i != 1 and j != 1 else ((i,), (j,)) for i, j in pairs]
    result = [i * j for i, j in zip(a, b)]
    parts, others = [s for part, _ in shapes for s in part], [s for _, part in shapes for s in part]
    if len(parts) <= 8:
        x, y = reshape(input, parts), reshape(other, others)
        i, j = pairs[-1] if pairs else (1, 1)
        if min(i, j) > 1 and i < x.numel() and j < y.numel():
            # Rows of j numbers times one number each are short runs: 32 x 32 by 32 x 32 took 430 us, so 140.
            x, y = (reshape(expand(z, (*z.shape[:-2], i, j)), (*z.shape[:-2], i * j)) for z in (x, y))
        blocks = mul(x, y)
        return reshape(blocks, result)
    x = reshape(input, a)
    for d, times in enumerate(b):
        x = repeat_interleave(x, times, d)
    return mul(x, tile(reshape(other, b), a))


@functools.lru_cache
def _parse(term: str) -> Sequence[Any]:
    """The labels of one operand: code points and at most one Ellipsis."""
    term = term.replace(" ", "")
    before, dots, after = term.partition("...")
    for c in before + after:
        if not (c.isascii() and c.isalpha()):
            raise RuntimeError(
                f"einsum: subscripts must be letters, and one ellipsis an operand, got {c!r} in {term!r}"
            )
    return (*map(ord, before), *([...] if dots else []), *map(ord, after))


def _arguments(arguments: tuple[Any, ...]) -> tuple[list[Tensor], list[Sequence[Any]], Sequence[Any] | None]:
    """Operands, their labels and the output's, from an equation or from sublists."""
    if len(arguments) < 2:
        raise ValueError("einsum: expected an equation and at least one operand, or an operand and its subscripts")
    if isinstance(arguments[0], str):
        left, arrow, right = arguments[0].partition("->")
        rest = arguments[1:]
        operands = list(rest[0] if len(rest) == 1 and isinstance(rest[0], (list, tuple)) else rest)
        return operands, [_parse(term) for term in left.split(",")], _parse(right) if arrow else None
    lists: list[Sequence[Any]] = [tuple(labels) for labels in arguments[1::2]]
    lists += [tuple(arguments[-1])] if len(arguments) % 2 else []
    if any(label is not ... and not 0 <= label < 52 for labels in lists for label in labels):
        raise RuntimeError(f"einsum: labels must be in [0, 52) or an Ellipsis, got {lists}")
    n = len(arguments) // 2
    return list(arguments[0 : 2 * n : 2]), lists[:n], lists[n] if len(lists) > n else None


def _labelled(x: Tensor, labels: Sequence[Any], where: int) -> tuple[Tensor, Sequence[int]]:
    """The ellipsis spelled out; repeated labels taken as diagonals."""
    hidden = x.ndim - len(labels) + (... in labels)
    if labels.count(...) > 1 or hidden < 0 or (hidden and ... not in labels):
        raise RuntimeError(f"einsum: {len(labels)} subscripts do not fit operand {where} of shape {x.shape}")
    if ... in labels:
        i = labels.index(...)
        labels = [*labels[:i], *range(-hidden, 0), *labels[i + 1 :]]
    for label in set(labels) if len(set(labels)) < len(labels) else ():
        while labels.count(label) > 1:
            i = labels.index(label)
            j = labels.index(label, i + 1)
            if x.shape[i] != x.shape[j]:
                raise RuntimeError(
                    f"einsum: operand {where} has two sizes, {x.shape[i]} and {x.shape[j]}, for one subscript"
                )
            x = x.diagonal(0, i, j)  # at the end
            labels = [*labels[:i], *labels[i + 1 : j], *labels[j + 1 :], label]
    return x, labels


def _output(labels: Sequence[Any] | None, operands: list[Sequence[Any]], hidden: int) -> list[int]:
    """The output's labels; implied: the ellipsis, then letters that appear once, in order."""
    seen = [label for one in operands for label in one if label is not ...]
    if labels is None:
        return [*range(-hidden, 0), *sorted(label for label in set(seen) if seen.count(label) == 1)]
    for label in labels:
        if labels.count(label) > 1:
            raise RuntimeError("einsum: a subscript appears more than once in the output")
        if label is not ... and label not in seen:
            raise RuntimeError("einsum: an output subscript does not appear in any operand")
    return [axis for label in labels for axis in (range(-hidden, 0) if label is ... else (label,))]


def einsum(*arguments: Any) -> Tensor:
    """Einstein's sum: einsum("bik,bkj->bij", a, b), or with sublists, einsum(a, [0, 1, 2], b, [0, 2, 3], [0, 1, 3]).

    Products of elements whose subscripts agree, summed over the subscripts that the output lacks. A subscript twice in
    one operand takes the diagonal; `...` stands for broadcast axes (summed if the output has none); sizes of 1 are
    repeated. Without `->` the output has the ellipsis, then what appears once, in alphabetical order. Operands are
    contracted in pairs from left to right, each pair as one batched matrix product.
    RuntimeError: malformed equations, and ranks or sizes that do not fit.

    >>> mi.einsum("ij,kj->ik", mi.tensor([[1, 2]]), mi.tensor([[3, 4], [5, 6]]))
    tensor([[11, 17]])
    """
    tensors, labels, right = _arguments(arguments)
    if len(tensors) != len(labels) or not tensors:
        raise RuntimeError(f"einsum: {len(labels)} operands in the equation, {len(tensors)} given")
    check_tensors("einsum", *tensors)
    operands = [_labelled(x, l, i) for i, (x, l) in enumerate(zip(tensors, labels))]
    out = _output(right, labels, max(-min((0, *l)) for _, l in operands))
    sizes: dict[int, int] = {}
    for i, (x, l) in enumerate(operands):
        for label, n in zip(l, x.shape):
            if sizes.setdefault(label, n) != n and n != 1:
                if sizes[label] != 1:
                    raise RuntimeError(f"einsum: a subscript of operand {i} has size {n}, but {sizes[label]} before")
                sizes[label] = n
    y = operands[0][0]
    have: Labels = operands[0][1]
    for i, (x, l) in enumerate(operands[1:], 2):
        y, have = _contract(y, have, x, l, {*out, *(label for _, later in operands[i:] for label in later)}, True)
    gone = [i for i, label in enumerate(have) if label not in out]
    y = sum(y, gone) if gone else y
    have = [label for label in have if label in out]
    if have == out and y is not tensors[0]:
        return y
    return permute(y, [have.index(label) for label in out])
