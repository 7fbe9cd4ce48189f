"""Losses that ask for a margin: between classes, between pairs, between triplets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ... import _core, amp
from ...tensor import Tensor, check_tensors
from .. import elementwise as e
from ..creation import full
from ..elementwise import add, div, mul, neg, sub
from ..layout import expand, reshape, unsqueeze
from ..reduce import mean, sum
from .classes import pick
from .distance import pairwise_distance
from .reduction import mode, reduced

__all__ = [
    "cosine_embedding_loss", "hinge_embedding_loss", "margin_ranking_loss", "multi_margin_loss",
    "multilabel_margin_loss", "multilabel_soft_margin_loss", "triplet_margin_loss", "triplet_margin_with_distance_loss",
]  # fmt: skip


def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """x where t = 1, max(0, margin - x) where t = -1; where t is neither, both. Integers: margin loses its fraction.

    >>> F.hinge_embedding_loss(mi.tensor([0.5, 0.5]), mi.tensor([1, -1]))
    tensor(0.5000)
    """
    reduction = mode(reduction, size_average, reduce)
    check_tensors("hinge_embedding_loss", input, target)
    if amp.anywhere:
        input, target = amp.widen(input, target)
    whole = not input.dtype.is_floating_point
    far = e.where(e.ne(target, 1), e.clamp_min(sub(int(margin) if whole else margin, input), 0), 0)
    near = e.where(e.ne(target, -1), input, 0)
    return reduced(add(far, near), reduction)


def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, -t (x1 - x2) + margin): t = 1 ranks x1 higher, t = -1 x2. RuntimeError: numbers of dims differ.

    >>> F.margin_ranking_loss(mi.tensor([1.0]), mi.tensor([3.0]), mi.tensor([1.0]))
    tensor(2.)
    """
    reduction = mode(reduction, size_average, reduce)
    check_tensors("margin_ranking_loss", input1, input2, target)
    if amp.anywhere:
        input1, input2 = amp.widen(input1, input2)
    if not input1.ndim == input2.ndim == target.ndim:
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: "
            f"input1: {input1.shape}, input2: {input2.shape}, target: {target.shape} "
        )
    return reduced(e.clamp_min(add(mul(neg(target), sub(input1, input2)), margin), 0), reduction)


def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """1 - cos(x1, x2) where t = 1, max(0, cos(x1, x2) - margin) where t = -1. inputs: (N, D) or (D), target: (N) or ().

    RuntimeError: shapes. PyTorch's cosine: 1e-12 is added to the squared lengths.

    >>> F.cosine_embedding_loss(mi.tensor([[1.0, 0.0]]), mi.tensor([[0.0, 1.0]]), mi.tensor([1.0]))
    tensor(1.)
    """
    reduction = mode(reduction, size_average, reduce)
    check_tensors("cosine_embedding_loss", input1, input2, target)
    if amp.anywhere:
        input1, input2 = amp.widen(input1, input2)
    if target.ndim not in (0, 1) or input1.ndim != target.ndim + 1 or input2.ndim != target.ndim + 1:
        raise RuntimeError(
            "cosine_embedding_loss: expected inputs (N, D) with target (N), or (D) with (), "
            f"got {input1.shape}, {input2.shape} and {target.shape}"
        )
    dot = sum(mul(input1, input2), -1)
    squares = [add(sum(mul(x, x), -1), 1e-12) for x in (input1, input2)]
    cos = div(dot, e.sqrt(mul(*squares)))
    near = e.where(e.eq(target, 1), sub(1, cos), 0.0)
    far = e.where(e.eq(target, -1), e.clamp_min(sub(cos, margin), 0), 0.0)
    return reduced(add(near, far), reduction)


# ---- classes ---------------------------------------------------------------------------------------------------------
def _positive(z: Tensor) -> Tensor:
    """z where it is above 0, else 0: unlike relu's and clamp's, a NaN gives 0, and a 0 has no gradient."""
    return e.where(e.gt(z, 0), z, 0)


def _check_classes(name: str, target: Any, classes: int, least: int) -> None:
    if target.dtype.kind not in "iu":
        raise RuntimeError(f"{name}: expected class indices, got {target.dtype}")
    if target.size and not least <= target.min() <= target.max() < classes:
        raise RuntimeError(f"{name}: a target is out of bounds for {classes} classes")


def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """w_t sum_{j != t} max(0, margin - x_t + x_j)^p / C: input (N, C) or (C), target (N) or () of classes, p 1 or 2.

    Only terms above 0 count, in the gradient too. ValueError: another p, a weight that is not (C).
    RuntimeError: shapes, dtypes, a class out of range.

    >>> F.multi_margin_loss(mi.tensor([[0.1, 0.9]]), mi.tensor([1]))
    tensor(0.1000)
    """
    reduction = mode(reduction, size_average, reduce)
    if amp.anywhere:
        (input,) = amp.widen(input)
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    check_tensors("multi_margin_loss", input, target, *(() if weight is None else (weight,)))
    if weight is not None and weight.ndim != 1:
        raise ValueError("weight must be one-dimensional")
    x = input if input.ndim == 2 else reshape(input, (1, -1)) if input.ndim < 2 else None
    if x is None or x.shape[1] == 0:
        raise RuntimeError(f"multi_margin_loss: expected an input (N, C) or (C) with classes, got {input.shape}")
    if target.ndim > 1 or target.numel() != x.shape[0]:
        raise RuntimeError(
            f"multi_margin_loss: expected one target for each of {x.shape[0]} samples, got {target.shape}"
        )
    t = reshape(target, (-1,))
    _check_classes("multi_margin_loss", t.numpy(), x.shape[1], 0)
    outside = -1 - max(x.shape)  # no class has this index
    chosen = neg(pick(x, t, None, 1, outside))
    z = _positive(add(sub(x, unsqueeze(chosen, 1)), margin))
    z = z if p == 1 else mul(z, z)
    loss = sum(z, 1) + pick(z, t, None, 1, outside)  # without the term j = t
    if weight is not None:
        ones = expand(full((), -1.0, dtype=x.dtype, device=x.device), x.shape)
        loss = mul(loss, _core.pick(ones, t, weight, 1, outside))
    return reduced(reshape(div(loss, x.shape[1]), target.shape), reduction)


def multilabel_margin_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean"
) -> Tensor:
    """sum_ij max(0, 1 - (x_{t_j} - x_i)) / C over targets t_j (those before the first -1) and classes i that are none.

    input: (N, C) or (C), target: the same shape, int64. RuntimeError: shapes, dtypes, a class out of range.

    >>> F.multilabel_margin_loss(mi.tensor([[0.1, 0.2, 0.4, 0.8]]), mi.tensor([[3, 0, -1, 1]]))
    tensor(0.8500)
    """
    reduction = mode(reduction, size_average, reduce)
    check_tensors("multilabel_margin_loss", input, target)
    if amp.anywhere:
        (input,) = amp.widen(input)
    if input.shape != target.shape or input.ndim > 2:
        raise RuntimeError(
            f"multilabel_margin_loss: expected input and target (N, C) or (C), got {input.shape} and {target.shape}"
        )
    import numpy as np

    x = reshape(input, (-1, input.shape[-1] if input.ndim else 1))
    t = target.cpu().numpy().reshape(x.shape)
    _check_classes("multilabel_margin_loss", t, x.shape[1], -1)
    valid = np.logical_and.accumulate(t >= 0, axis=1)
    listed = np.zeros(x.shape, np.float64)
    rows, columns = np.nonzero(valid)
    np.add.at(listed, (rows, t[rows, columns]), 1)  # a class listed twice counts twice, as PyTorch's
    # Over pairs (j, i): j the listed class, i any that is not.
    a = _core.from_numpy(listed[:, :, None] * (listed[:, None, :] == 0)).to(x)
    z = mul(_positive(add(sub(unsqueeze(x, 1), unsqueeze(x, 2)), 1)), a)
    loss = div(sum(e.where(e.ne(a, 0), z, 0), (1, 2)), max(1, x.shape[1]))
    return reduced(reshape(loss, input.shape[:-1]), reduction)


def multilabel_soft_margin_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The mean over classes of -w (t log sigmoid(x) + (1 - t) log sigmoid(-x)): input and target (..., C).

    target and weight broadcast. IndexError: no class axis. RuntimeError: shapes.
    >>> F.multilabel_soft_margin_loss(mi.tensor([[0.0, 0.0]]), mi.tensor([[1.0, 0.0]]))
    tensor(0.6931)
    """
    reduction = mode(reduction, size_average, reduce)
    check_tensors("multilabel_soft_margin_loss", input)
    if input.ndim == 0:
        raise IndexError("multilabel_soft_margin_loss: expected an input (..., C), got a 0-dim tensor")
    if amp.anywhere:
        input, target = amp.widen(input, target)
    loss = neg(add(mul(target, e.logsigmoid(input)), mul(sub(1, target), e.logsigmoid(neg(input)))))
    return reduced(mean(loss if weight is None else mul(loss, weight), -1), reduction)


# ---- triplets --------------------------------------------------------------------------------------------------------
def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, d(a, p) - d(a, n) + margin) with p-norm distances over the last axis; swap uses min(d(a, n), d(p, n)).

    ValueError: margin <= 0. RuntimeError: numbers of dims differ. Source: Balntas et al. 2016.

    >>> F.triplet_margin_loss(mi.tensor([[0.0]]), mi.tensor([[1.0]]), mi.tensor([[1.5]]))
    tensor(0.5000)
    """
    reduction = mode(reduction, size_average, reduce)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    check_tensors("triplet_margin_loss", anchor, positive, negative)
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise RuntimeError(
            "triplet_margin_loss: anchor, positive and negative must have the same number of dimensions, got "
            f"{anchor.shape}, {positive.shape} and {negative.shape}"
        )
    if amp.anywhere:
        anchor, positive, negative = amp.widen(anchor, positive, negative)

    def distance(x: Tensor, y: Tensor) -> Tensor:
        return pairwise_distance(x, y, p, eps)

    return _triplet(anchor, positive, negative, distance, margin, swap, reduction)


def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """triplet_margin_loss with any distance; the default is pairwise_distance. ValueError: margin <= 0.

    >>> F.triplet_margin_with_distance_loss(mi.tensor([[0.0]]), mi.tensor([[1.0]]), mi.tensor([[1.5]]))
    tensor(0.5000)
    """
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    return _triplet(anchor, positive, negative, distance_function or pairwise_distance, margin, swap, mode(reduction))


def _triplet(
    anchor: Any,
    positive: Any,
    negative: Any,
    distance: Callable[[Any, Any], Tensor],
    margin: float,
    swap: bool,
    reduction: str,
) -> Tensor:
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = e.minimum(far, distance(positive, negative))
    return reduced(e.clamp_min(add(sub(near, far), margin), 0), reduction)
