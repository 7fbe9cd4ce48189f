"""Sort, topk, search, unique, histograms. NaN counts as greater than every number."""

from __future__ import annotations

from typing import Any

from .. import _core
from ..autograd import OUTPUTS, op, record
from ..devices import made_on
from ..dtypes import get_default_dtype, int32, int64
from ..tensor import Tensor, also_axis, check_tensors, method
from . import elementwise as ew
from .reduce.extremes import Extreme, put_rule

__all__ = [
    "sort", "argsort", "msort", "topk", "kthvalue", "mode", "searchsorted", "bucketize", "isin", "unique",
    "unique_consecutive", "bincount", "histc",
]  # fmt: skip


@method
@also_axis
def sort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = True) -> Extreme:
    """(values, indices), in order along `dim`. Equal elements keep their order, asked for or not. NaN last, or first if
    descending. The gradient goes back to where the elements came from.

    >>> mi.sort(mi.tensor([3, 1, 2]))
    Extreme(values=tensor([1, 2, 3]), indices=tensor([1, 2, 0]))
    """
    y = _core.sort(input, dim, descending)
    return Extreme(*record(y, SORT, (input,), (input.shape, OUTPUTS[1], dim, True)))


@method
@also_axis
def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """The indices that sort input along `dim`, int64.

    >>> mi.argsort(mi.tensor([3, 1, 2]))
    tensor([1, 2, 0])
    """
    return sort(input, dim, descending).indices


@method
def msort(input: Tensor) -> Tensor:
    """Sorted along the first dimension.

    >>> mi.msort(mi.tensor([3, 1, 2]))
    tensor([1, 2, 3])
    """
    return sort(input, 0).values


@method
@also_axis
def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Extreme:
    """The k largest (or smallest) along `dim` and their indices, in order; equals in PyTorch's.

    sorted=False: in the order in which selection leaves them. RuntimeError: k out of range.

    >>> mi.topk(mi.tensor([3, 1, 2, 5]), 2)
    Extreme(values=tensor([5, 3]), indices=tensor([3, 0]))
    """
    y = _core.topk(input, k, dim, largest, sorted)
    return Extreme(*record(y, TOPK, (input,), (input.shape, OUTPUTS[1], dim, True)))


@method
@also_axis
def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> Extreme:
    """The k-th smallest along `dim` (k from 1) and its index.

    >>> mi.kthvalue(mi.tensor([3, 1, 2]), 2)
    Extreme(values=tensor(2), indices=tensor(2))
    """
    y = _core.kthvalue(input, k, dim, keepdim)
    return Extreme(*record(y, KTHVALUE, (input,), (input.shape, OUTPUTS[1], dim, keepdim)))


@method
@also_axis
def mode(input: Tensor, dim: int = -1, keepdim: bool = False) -> Extreme:
    """The most frequent element along `dim`, the smallest of equally frequent ones, and an index of it (PyTorch's).

    >>> mi.mode(mi.tensor([1, 2, 2, 3]))
    Extreme(values=tensor(2), indices=tensor(2))
    """
    y = _core.mode(input, dim, keepdim)
    return Extreme(*record(y, MODE, (input,), (input.shape, OUTPUTS[1], dim, keepdim)))


SORT = op("sort", put_rule)
TOPK = op("topk", put_rule)
KTHVALUE = op("kthvalue", put_rule)
MODE = op("mode", put_rule)


# ---- search: results are indices or truth values, without gradients --------------------------------------------------
def _nothing(g: Any, needs: Any) -> Any:
    return (None,) * len(needs)


SEARCH = op("search", _nothing)


def searchsorted(
    sorted_sequence: Tensor,
    input: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Tensor | None = None,
) -> Tensor:
    """Where each element of input would go in the sorted sequence: before its equals, or after them if `right`.

    sorted_sequence: (n), or with input's leading dimensions, rows matching; `sorter`: the indices that sort it.
    input may be a number. side: "left" or "right". RuntimeError: side contradicts right=True, shapes.

    >>> mi.searchsorted(mi.tensor([1, 3, 5]), mi.tensor([0, 3, 9]))
    tensor([0, 1, 3])
    """
    check_tensors("searchsorted", sorted_sequence)
    if side not in (None, "left", "right"):
        raise RuntimeError(f'searchsorted: side must be "left" or "right", got {side!r}')
    if side == "left" and right:
        raise RuntimeError('searchsorted: side="left" and right=True contradict each other')
    values = input if isinstance(input, Tensor) else _number(input, sorted_sequence)
    y = _core.searchsorted(sorted_sequence, values, right or side == "right", sorter)
    y = _core.convert(y, int32) if out_int32 else y
    return record(y, SEARCH, (sorted_sequence, values), ())  # type: ignore[no-any-return]


def _number(x: Any, like: Tensor) -> Tensor:
    """A number as a 0-dim tensor; a float among integers keeps its fraction, a large int its size."""
    floating = like.dtype.is_floating_point
    y = made_on(
        like, _core.empty, (), like.dtype if floating else get_default_dtype() if isinstance(x, float) else int64
    )
    _core.fill_(y, x)
    return y  # type: ignore[no-any-return]


@method
def bucketize(input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False) -> Tensor:
    """The i with boundaries[i - 1] < x <= boundaries[i], or <= and < if `right`. boundaries: (n), sorted.

    >>> mi.bucketize(mi.tensor([0.5, 1.0, 2.5]), mi.tensor([1.0, 2.0]))
    tensor([0, 0, 2])
    """
    check_tensors("bucketize", boundaries)
    if boundaries.ndim != 1:
        raise RuntimeError(f"bucketize: boundaries must have one dimension, got shape {boundaries.shape}")
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


def isin(elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Whether each element is one of test_elements (one of them may be a number). RuntimeError for bool tensors.

    >>> mi.isin(mi.tensor([1, 2, 3]), mi.tensor([1, 3]))
    tensor([ True, False,  True])
    """
    if not isinstance(elements, Tensor) and not isinstance(test_elements, Tensor):
        raise TypeError("isin: expected at least one Tensor, got two numbers")
    if not isinstance(elements, Tensor):
        elements = _number(elements, test_elements)
    if not isinstance(test_elements, Tensor):
        test_elements = _number(test_elements, elements)
    y = _core.isin(elements, test_elements)
    y = record(y, SEARCH, (elements, test_elements), ())
    return ew.logical_not(y) if invert else y  # type: ignore[no-any-return]


# ---- unique ----------------------------------------------------------------------------------------------------------
def _unique(input: Tensor, return_inverse: bool, return_counts: bool, dim: int | None, consecutive: bool) -> Any:
    details = return_inverse or return_counts
    values, inverse, counts = record(_core.unique(input, dim, consecutive, details), UNIQUE, (input,), ())
    if not details:
        return values
    return (values, *([inverse] if return_inverse else []), *([counts] if return_counts else []))


def _unique_rule(g: Any, needs: Any) -> Any:
    raise NotImplementedError("unique: the gradient is not defined")


UNIQUE = op("unique", _unique_rule)


@method
@also_axis
def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The distinct elements (or slices along `dim`), sorted. Every NaN is distinct.

    return_inverse: also where each element went; return_counts: also how many there were of each.

    >>> mi.unique(mi.tensor([3, 1, 3]))
    tensor([1, 3])
    """
    return _unique(input, return_inverse, return_counts, dim, False)


@method
@also_axis
def unique_consecutive(
    input: Tensor, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """Runs of equal elements (or slices along `dim`) become one.

    >>> mi.unique_consecutive(mi.tensor([1, 1, 2, 1]))
    tensor([1, 2, 1])
    """
    return _unique(input, return_inverse, return_counts, dim, True)


# ---- histograms ------------------------------------------------------------------------------------------------------
@method
def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """y_v = how many elements are v (int64), or the sum of their weights (float64; float32 for float32 weights).

    RuntimeError: negative or floating input, more than one dimension.

    >>> mi.bincount(mi.tensor([0, 1, 1, 3]))
    tensor([1, 2, 0, 1])
    """
    return record(_core.bincount(input, weights, minlength), SEARCH, (input,), ())  # type: ignore[no-any-return]


@method
def histc(input: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """How many elements fall into each of `bins` equal parts of [min, max], or of the data's range if min = max.

    >>> mi.histc(mi.tensor([0.1, 0.2, 0.9]), bins=2, min=0, max=1)
    tensor([2., 1.])
    """
    return _core.histc(input, bins, float(min), float(max))  # type: ignore[no-any-return]
