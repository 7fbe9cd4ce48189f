"""Rows of a table by their numbers."""

from __future__ import annotations

import operator
from typing import Any

from ... import _core, dtypes
from ...autograd import no_grad, op, record
from ...tensor import Tensor, check_tensors
from ..elementwise import cast, clamp_min, div, eq, mul, ne, where
from ..layout import narrow, ravel, reshape, reshaped, unsqueeze, zeros
from ..reduce import mean, sum
from .along import gather, index_add, index_select
from .mask import masked_fill
from .reduce import scatter_reduce

__functional__ = ["embedding", "embedding_bag", "one_hot"]


def one_hot(input: Tensor, num_classes: int = -1) -> Tensor:
    """(..., num_classes) int64: 1 at the class, 0 elsewhere; -1: as many classes as the largest one needs.

    input: int64. RuntimeError: another dtype, a class outside [0, num_classes).

    >>> F.one_hot(mi.tensor([2, 0]))
    tensor([[0, 0, 1],
            [1, 0, 0]])
    """
    check_tensors("one_hot", input)
    if input.dtype is not dtypes.int64:
        raise RuntimeError(f"one_hot: expected int64 classes, got {input.dtype}")
    num_classes = operator.index(num_classes)
    if num_classes == -1:
        if input.numel() == 0:
            raise RuntimeError("one_hot: can not infer the number of classes from an empty tensor")
        num_classes = int(input.max().item()) + 1
    if num_classes < 0 or (num_classes == 0 and input.numel()):
        raise RuntimeError(f"one_hot: num_classes should be positive, or -1, got {num_classes}")
    y = zeros((*input.shape, num_classes), dtypes.int64, input)
    one = zeros((), dtypes.int64, input)
    _core.fill_(one, 1)
    try:
        _core.scatter_(y, -1, _core.unsqueeze(input, -1), one, "assign", True)
    except RuntimeError as e:
        raise RuntimeError(f"one_hot: class values must lie in [0, {num_classes}): {e}") from None
    return y


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """weight[input]: rows of the (V, D) table for integers of any shape; returns (..., D).

    padding_idx: this row gets no gradient. max_norm: the rows that are read are first scaled, in place, to this norm at
    most. scale_grad_by_freq: a row's gradient is divided by how often it was read. IndexError: an index outside [0, V).
    RuntimeError: dtypes, shapes.

    >>> F.embedding(mi.tensor([1, 0, 1]), mi.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[3., 4.],
            [1., 2.],
            [3., 4.]])
    """
    check_tensors("embedding", input, weight)
    if input.dtype is not dtypes.int64 and input.dtype is not dtypes.int32:
        raise RuntimeError(f"embedding: indices must be int64 or int32, got {input.dtype}")
    if weight.ndim != 2:
        raise RuntimeError(f"embedding: 'weight' must be 2-D, got {weight.ndim} dimensions")
    padding = _padding(padding_idx, weight)
    if max_norm is not None:
        _renorm(weight, reshaped(input, (-1,)), max_norm, norm_type)
    y = _core.embedding(weight, input)
    return record(y, EMBEDDING, (weight,), (weight.shape, input, padding, scale_grad_by_freq))  # type: ignore[no-any-return]


def _padding(padding_idx: int | None, weight: Tensor) -> int:
    """The row without gradient, -1 for none. AssertionError, as in PyTorch: it is outside the table."""
    if padding_idx is None:
        return -1
    if not -weight.shape[0] <= padding_idx < weight.shape[0]:
        raise AssertionError(f"padding_idx must be within num_embeddings ({weight.shape[0]}), got {padding_idx}")
    return padding_idx % weight.shape[0]


def embedding_backward(g: Tensor, shape: tuple[int, ...], index: Tensor, padding: int, by_frequency: bool) -> Tensor:
    """(V, D): the rows of g added up by index, those of `padding` left out."""
    if index.ndim != 1:
        g, index = reshape(g, (-1, shape[1])), reshaped(index, (-1,))
    if by_frequency:
        one = zeros((), g.dtype)
        _core.fill_(one, 1)
        count = zeros((shape[0],), g.dtype)
        _core.index_into(count, 0, index, one, "add")
        g = div(g, unsqueeze(_core.index_select(count, 0, index), 1))
    y = zeros(shape, g.dtype)
    _core.index_into(y, 0, index, g, "add")
    if padding >= 0:
        _core.fill_(_core.select(y, 0, padding), 0)
    return record(y, EMBEDDING_BACKWARD, (g,), (index, padding))  # type: ignore[no-any-return]


def _embedding_backward_rule(h: Tensor, needs: Any, index: Tensor, padding: int) -> Any:
    y = index_select(h, 0, index)
    return (y if padding < 0 else masked_fill(y, unsqueeze(eq(index, padding), 1), 0),)


EMBEDDING = op("embedding", lambda g, needs, *where: (embedding_backward(g, *where),))
EMBEDDING_BACKWARD = op("embedding_backward", _embedding_backward_rule)


@no_grad
def _renorm(weight: Tensor, index: Tensor, max_norm: float, norm_type: float) -> None:
    rows = _core.embedding(weight, index)
    if norm_type == float("inf"):
        norm = rows.abs().amax(1, keepdim=True)
    else:
        norm = rows.abs().pow(norm_type).sum(1, keepdim=True).pow(1 / norm_type)
    scale = where(norm > max_norm, max_norm / (norm + 1e-7), 1.0)
    _core.index_into(weight, 0, index, cast(mul(rows, scale), weight.dtype), "assign")


# ---- bags ------------------------------------------------------------------------------------------------------------
def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """The sum, mean or max of the embeddings of each bag, (B, D); zeros for an empty one.

    input: (B, N), each row a bag; or flat, with each bag's first place in `offsets` (and the end after them, if
    include_last_offset). per_sample_weights (mode "sum"): factors of the rows. Entries of padding_idx are left out.
    "max": the first of equal ones; a NaN counts only where it stands first, as in PyTorch. ValueError: numbers of dims,
    an unknown mode. RuntimeError: indices, offsets or dtypes that do not fit.

    >>> F.embedding_bag(mi.tensor([[0, 1]]), mi.tensor([[1.0, 2.0], [3.0, 4.0]]), mode="sum")
    tensor([[4., 6.]])
    """
    check_tensors("embedding_bag", input, weight, *(x for x in (offsets, per_sample_weights) if x is not None))
    if mode not in ("sum", "mean", "max"):
        raise ValueError(f'embedding_bag: mode has to be one of "sum", "mean" or "max", got {mode!r}')
    factors = per_sample_weights
    if factors is not None:
        if mode != "sum":
            raise NotImplementedError(
                f'embedding_bag: per_sample_weights are supported only with mode "sum", got {mode!r}'
            )
        if factors.shape != input.shape:
            raise ValueError(
                f"embedding_bag: per_sample_weights must have input's shape {input.shape}, got {factors.shape}"
            )
        if factors.dtype is not weight.dtype:
            raise RuntimeError(
                "embedding_bag: weight and per_sample_weights must have one dtype, got "
                f"{weight.dtype} and {factors.dtype}"
            )
    if mode == "max" and scale_grad_by_freq:
        raise ValueError("embedding_bag: mode 'max' does not support scaling the gradient by the frequency")
    if weight.ndim != 2:
        raise ValueError(f"embedding_bag: weight has to be 2-D, got {weight.ndim} dimensions")
    if padding_idx is not None and not -weight.shape[0] <= padding_idx < weight.shape[0]:
        raise RuntimeError(f"embedding_bag: padding_idx {padding_idx} is not within {weight.shape[0]} embeddings")
    if input.ndim == 2 and offsets is None and mode != "max" and padding_idx is None:
        y = _rows_of(input, weight, factors, max_norm, norm_type, scale_grad_by_freq)
        return mean(y, 1) if mode == "mean" and input.shape[1] else sum(y, 1)
    bag, bags = _bags(input, offsets, include_last_offset)
    flat = narrow(ravel(input), 0, 0, bag.shape[0])
    if factors is not None:
        factors = narrow(ravel(factors), 0, 0, bag.shape[0])
    rows = _rows_of(flat, weight, factors, max_norm, norm_type, scale_grad_by_freq)
    if padding_idx is not None:
        kept = _core.nonzero(flat != _padding(padding_idx, weight), True)
        rows, bag = index_select(rows, 0, kept), _core.index_select(bag, 0, kept)
    if mode == "max":
        return _largest(rows, unsqueeze(bag, 1).expand(rows.shape), bags)
    y = index_add(zeros((bags, rows.shape[1]), rows.dtype, rows), 0, bag, rows)
    return y if mode == "sum" else div(y, unsqueeze(cast(clamp_min(_core.bincount(bag, None, bags), 1), rows.dtype), 1))


def _rows_of(
    input: Tensor, weight: Tensor, factors: Tensor | None, max_norm: float | None, norm_type: float, by_freq: bool
) -> Tensor:
    """The bags' embeddings, times their factors."""
    try:
        rows = embedding(input, weight, None, max_norm, norm_type, by_freq)
    except IndexError as e:
        raise RuntimeError(f"embedding_bag: {e}") from None
    return rows if factors is None else mul(rows, unsqueeze(factors, -1))


def _largest(rows: Tensor, bag: Tensor, bags: int) -> Tensor:
    """(bags, D): of each bag the first row that no later one exceeds, zeros for an empty bag."""
    n, width = rows.shape
    if n == 0:
        return scatter_reduce(zeros((bags, width), rows.dtype), 0, bag, rows, "sum", include_self=False)
    x = rows.detach()
    place = unsqueeze(_core.arange(0, n, 1, dtypes.int64), 1).expand(rows.shape)
    none = zeros((bags, width), dtypes.int64)
    _core.fill_(none, n)
    first = scatter_reduce(none, 0, bag, place, "amin")
    seen = where(ne(x, x), -float("inf"), x)
    best = scatter_reduce(zeros((bags, width), x.dtype), 0, bag, seen, "amax", include_self=False)
    at = scatter_reduce(none, 0, bag, where(eq(seen, gather(best, 0, bag)), place, n), "amin")
    empty = eq(first, n)
    safe = where(empty, 0, first)
    starts_nan = ne(gather(x, 0, safe), gather(x, 0, safe))
    at = where(empty, 0, where(starts_nan, first, at))
    return masked_fill(gather(rows, 0, at), empty, 0)


def _bags(input: Tensor, offsets: Tensor | None, include_last: bool) -> tuple[Tensor, int]:
    """The bag of each element (of those before the last offset), and how many bags there are."""
    if input.ndim == 2:
        if offsets is not None:
            raise ValueError(
                "embedding_bag: if input is 2-D, offsets has to be None, as input is treated as bags of equal length"
            )
        counts = zeros((input.shape[0],), dtypes.int64, input)
        _core.fill_(counts, input.shape[1])
        return _core.repeat_index(counts), input.shape[0]
    if input.ndim != 1 or offsets is None or offsets.ndim != 1:
        raise ValueError("embedding_bag: expected a 2-D input, or a 1-D input with 1-D offsets")
    if offsets.dtype is not dtypes.int64 and offsets.dtype is not dtypes.int32:
        raise RuntimeError(f"embedding_bag: offsets must be int64 or int32, got {offsets.dtype}")
    starts = offsets.cpu().numpy()
    n = input.shape[0]
    if include_last and not len(starts):
        raise RuntimeError("embedding_bag: include_last_offset needs at least one offset")
    if len(starts) and starts[0] != 0:
        raise RuntimeError(
            f"embedding_bag: offsets[0] has to be 0, i.e. the first sequence starts at 0, got {starts[0]}"
        )
    ends = [*starts[1:].tolist(), *([] if include_last else [n])]
    lengths = [e - s for s, e in zip(starts.tolist(), ends)]
    if min(lengths, default=0) < 0 or (ends and ends[-1] > n):
        raise RuntimeError(f"embedding_bag: offsets must ascend and end within input (length {n})")
    bag = _core.to_device(_core.repeat_index(_core.from_numpy(_lengths(lengths))), input._device)
    return bag, len(lengths)


def _lengths(lengths: list[int]) -> Any:
    import numpy as np

    return np.array(lengths, np.int64)
