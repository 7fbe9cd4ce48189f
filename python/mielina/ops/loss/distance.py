"""Distances and similarities between vectors."""

from __future__ import annotations

from typing import Any

from ... import _core
from ...autograd import OUTPUT, op, record
from ...tensor import Tensor, check_tensors
from .. import elementwise as e
from .. import reduce as r
from ..elementwise import add, cast, div, mul, sub
from ..gemm import matmul
from ..layout import expand, transpose, unsqueeze
from ..reduce import sum

__all__ = ["cdist", "cosine_similarity", "pairwise_distance"]


def length(x: Tensor, p: float, dim: int, keepdim: bool = False) -> Tensor:
    """|x|_p along `dim`; p = 0 counts what is not 0."""
    return r.norm(x, p, dim, keepdim)


def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """|x1 - x2 + eps|_p over the last axis, broadcast.

    >>> mi.pairwise_distance(mi.tensor([[0.0, 0.0]]), mi.tensor([[3.0, 4.0]]))
    tensor([5.0000])
    """
    return length(add(sub(x1, x2), eps), p, -1, keepdim)


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """x1 . x2 / (max(|x1|, eps) max(|x2|, eps)) along `dim`, broadcast and promoted. RuntimeError: not floating.

    >>> mi.cosine_similarity(mi.tensor([1.0, 0.0]), mi.tensor([1.0, 1.0]), dim=0)
    tensor(0.7071)
    """
    check_tensors("cosine_similarity", x1, x2)
    if x1.dtype is not x2.dtype:
        dtype = _core.common_type(x1, x2)
        x1, x2 = cast(x1, dtype), cast(x2, dtype)
    shape = _core.broadcast_shapes((x1.shape, x2.shape))
    x1, x2 = expand(x1, shape), expand(x2, shape)
    # Each vector is divided before the product, so that the product of the two cannot overflow.
    a, b = (div(x, e.clamp_min(length(x, 2.0, dim, True), eps)) for x in (x1, x2))
    return sum(mul(a, b), dim)


def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str = "use_mm_for_euclid_dist_if_necessary") -> Tensor:
    """d_ij = |x1_i - x2_j|_p: x1 (..., P, M), x2 (..., R, M) with broadcast batches, returns (..., P, R).

    p = 2 with more than 25 rows (or by compute_mode) goes through |a|^2 + |b|^2 - 2 a b, which loses digits where
    points are close beside their size. The gradient at distance 0 is 0. RuntimeError: dims, negative p. ValueError:
    compute_mode.

    >>> mi.cdist(mi.tensor([[0.0, 0.0]]), mi.tensor([[3.0, 4.0], [0.0, 1.0]]))
    tensor([[5., 1.]])
    """
    check_tensors("cdist", x1, x2)
    modes = ("use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist")
    if compute_mode not in modes:
        raise ValueError(f"{compute_mode} is not a valid value for compute_mode")
    if x1.ndim < 2 or x2.ndim < 2 or x1.shape[-1] != x2.shape[-1]:
        raise RuntimeError(f"cdist: expected x1 (..., P, M) and x2 (..., R, M), got {x1.shape} and {x2.shape}")
    if p < 0:
        raise RuntimeError(f"cdist only supports non-negative p values, got {p}")
    big = max(x1.shape[-2], x2.shape[-2]) > 25
    if p == 2 and (compute_mode == modes[1] or (compute_mode == modes[0] and big)):
        with_gradient, (a, b) = (x1, x2), (x1.detach(), x2.detach())
        return record(_euclidean(a, b), CDIST, with_gradient, (x1, x2, OUTPUT))
    d = sub(unsqueeze(x1, -2), unsqueeze(x2, -3))
    if p == 0:  # how many coordinates differ; NaN if one is NaN
        return sum(e.clamp_max(e.ceil(e.abs(d)), 1), -1)
    if p == float("inf") and d.shape[-1]:
        return record(length(d.detach(), p, -1), LARGEST, (d,), (d, OUTPUT))  # type: ignore[no-any-return]
    return length(d, p, -1)


def _euclidean(a: Tensor, b: Tensor) -> Tensor:
    squares = add(sum(mul(a, a), -1, True), unsqueeze(sum(mul(b, b), -1), -2))
    return e.sqrt(e.clamp_min(add(squares, mul(matmul(a, transpose(b, -2, -1)), -2)), 0))


def _cdist_rule(g: Tensor, needs: Any, a: Tensor, b: Tensor, d: Tensor) -> Any:
    # With w = g / d: da_i = sum_j w_ij (a_i - b_j), db_j = sum_i w_ij (b_j - a_i).
    zero = e.eq(d, 0)
    w = e.where(zero, 0.0, div(g, e.where(zero, 1.0, d)))
    da = sub(mul(a, sum(w, -1, True)), matmul(w, b)) if needs[0] else None
    wt = transpose(w, -2, -1)
    db = sub(mul(b, sum(wt, -1, True)), matmul(wt, a)) if needs[1] else None
    return da, db


CDIST = op("cdist", _cdist_rule, broadcast=True)
# Each coordinate that is the largest gets the whole gradient, as in PyTorch.
LARGEST = op(
    "cdist",
    lambda g, needs, d, y: (mul(mul(unsqueeze(g, -1), e.sign(d)), e.cast(e.eq(e.abs(d), unsqueeze(y, -1)), d.dtype)),),
)
