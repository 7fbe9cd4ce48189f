"""Losses that compare element with element. The common ones are fused: one pass forward, one backward."""

from __future__ import annotations

import math
import warnings
from typing import Any

from ... import _core, amp
from ...autograd import op, record
from ...tensor import Tensor, check_tensors
from .. import elementwise as e
from ..elementwise import add, cast, div, mul, neg, sub
from ..layout import expand
from ..layout.views import IDENTITY
from .reduction import mode, reduced, weighted

__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "gaussian_nll_loss", "huber_loss", "kl_div", "l1_loss",
    "mse_loss", "poisson_nll_loss", "smooth_l1_loss", "soft_margin_loss",
]  # fmt: skip


# ---- the fused op: _core.loss(x, t, kind, p, reduction) --------------------------------------------------------------
def _fused(x: Tensor, t: Tensor, kind: str, p: float, reduction: str) -> Tensor:
    try:
        y = _core.loss(x, t, kind, p, reduction)
    except _core.NoKernel:
        return _loss_composite(x, t, kind, p, reduction)
    return record(y, LOSS, (x, t), (x, t, kind, p, reduction))


_SYMMETRIC = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")  # functions of x - t


def _loss_rule(g: Tensor, needs: Any, x: Tensor, t: Tensor, kind: str, p: float, reduction: str) -> Any:
    if needs[1] and kind not in _SYMMETRIC:
        from ...autograd import enable_grad, grad

        with enable_grad():
            a, b = x.detach().requires_grad_(), t.detach().requires_grad_()
            da, db = grad(_loss_composite(a, b, kind, p, reduction), (a, b), g.detach())
        return da if needs[0] else None, db
    dx = _core.loss_backward(g, x, t, kind, p, reduction)
    return dx if needs[0] else None, neg(dx) if needs[1] else None


def _loss_composite(x: Tensor, t: Tensor, kind: str, p: float, reduction: str) -> Tensor:
    return reduced(_DEFINITIONS[kind](x, t, p), reduction)


LOSS = op("loss", _loss_rule, composite=_loss_composite)


def _mse(x: Tensor, t: Tensor, p: float) -> Tensor:
    d = sub(x, t)
    return mul(d, d)


def _smooth_l1(x: Tensor, t: Tensor, p: float) -> Tensor:
    d = e.abs(sub(x, t))
    return e.where(e.lt(d, p), mul(mul(d, d), 0.5 / p), sub(d, 0.5 * p))


def _huber(x: Tensor, t: Tensor, p: float) -> Tensor:
    d = e.abs(sub(x, t))
    return e.where(e.le(d, p), mul(mul(d, d), 0.5), mul(sub(d, 0.5 * p), p))


def _bce(x: Tensor, t: Tensor, p: float) -> Tensor:
    first = mul(sub(t, 1), e.clamp_min(e.log1p(neg(x)), -100))
    return sub(first, mul(t, e.clamp_min(e.log(x), -100)))


def _bce_logits(x: Tensor, t: Tensor, p: float) -> Tensor:
    return sub(mul(sub(1, t), x), e.logsigmoid(x))


def _kl(x: Tensor, t: Tensor, p: float) -> Tensor:
    return sub(e.xlogy(t, t), mul(t, x))


_DEFINITIONS = {
    "mse_loss": _mse,
    "l1_loss": lambda x, t, p: e.abs(sub(x, t)),
    "smooth_l1_loss": _smooth_l1,
    "huber_loss": _huber,
    "binary_cross_entropy": _bce,
    "binary_cross_entropy_with_logits": _bce_logits,
    "kl_div": _kl,
    "kl_div_log": lambda x, t, p: mul(e.exp(t), sub(t, x)),
    "soft_margin_loss": lambda x, t, p: neg(e.logsigmoid(mul(t, x))),
}


def _alike(x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """Both with one shape and dtype."""
    if x.dtype is not t.dtype:
        dtype = _core.common_type(x, t)
        x, t = cast(x, dtype), cast(t, dtype)
    if x.shape != t.shape:
        shape = _core.broadcast_shapes((x.shape, t.shape))
        x, t = expand(x, shape), expand(t, shape)
    return x, t


def _difference(
    kind: str,
    x: Tensor,
    t: Tensor,
    p: float,
    size_average: Any,
    reduce: Any,
    reduction: str,
    weight: Tensor | None = None,
) -> Tensor:
    reduction = mode(reduction, size_average, reduce)
    if not (isinstance(x, Tensor) and isinstance(t, Tensor)):
        check_tensors(kind, x, t)
    if amp.anywhere:
        x, t = amp.widen(x, t)
    if x.shape != t.shape:
        warnings.warn(
            f"Using a target size ({t.shape}) that is different to the input size ({x.shape}). "
            "This will likely lead to incorrect results due to broadcasting. Please ensure they have the same size.",
            UserWarning,
            stacklevel=3,
        )
    if x.shape != t.shape or x.dtype is not t.dtype:
        x, t = _alike(x, t)
    if not x.dtype.is_floating_point and kind in ("mse_loss", "l1_loss"):
        loss = _DEFINITIONS[kind](x, t, p)
        return reduced(loss, reduction) if weight is None else weighted(loss, weight, reduction)
    if weight is None:
        return _fused(x, t, kind, p, reduction)
    check_tensors(kind, weight)
    if weight.shape != x.shape:
        raise ValueError(f"{kind}: weight must have the input's shape {x.shape}, got {weight.shape}")
    loss = _fused(x, t, kind, p, "none")
    return reduced(mul(loss, weight), reduction) if kind == "huber_loss" else weighted(loss, weight, reduction)


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """(x - t)^2; the weighted mean divides by the sum of the weights. UserWarning: shapes differ (they broadcast).

    >>> F.mse_loss(mi.tensor([1.0, 2.0]), mi.tensor([2.0, 4.0]))
    tensor(2.5000)
    """
    check_tensors("mse_loss", input, target)
    return _difference("mse_loss", input, target, 0.0, size_average, reduce, reduction, weight)


def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """|x - t|; the weighted mean divides by the sum of the weights. UserWarning: shapes differ (they broadcast).

    >>> F.l1_loss(mi.tensor([1.0, 2.0]), mi.tensor([2.0, 5.0]))
    tensor(2.)
    """
    return _difference("l1_loss", input, target, 0.0, size_average, reduce, reduction, weight)


def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """d^2 / 2 beta where d = |x - t| < beta, else d - beta / 2. RuntimeError: negative beta. Source: Girshick 2015.

    >>> F.smooth_l1_loss(mi.tensor([0.0, 0.0]), mi.tensor([0.5, 3.0]))
    tensor(1.3125)
    """
    if beta < 0:
        raise RuntimeError(f"smooth_l1_loss does not support negative values for beta, got {beta}")
    return _difference("smooth_l1_loss" if beta else "l1_loss", input, target, beta, size_average, reduce, reduction)


def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """d^2 / 2 where d = |x - t| <= delta, else delta (d - delta / 2). RuntimeError: delta <= 0. Source: Huber 1964.

    >>> F.huber_loss(mi.tensor([0.0, 0.0]), mi.tensor([0.5, 3.0]))
    tensor(1.3125)
    """
    if delta <= 0:
        raise RuntimeError(f"huber_loss does not support non-positive values for delta, got {delta}")
    return _difference("huber_loss", input, target, delta, None, None, reduction, weight)


# ---- of probabilities ------------------------------------------------------------------------------------------------
def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """-w (t log x + (1 - t) log(1 - x)) for probabilities x; logarithms are at least -100.

    ValueError: target's shape is not input's. RuntimeError: an x outside [0, 1], NaN too.

    >>> F.binary_cross_entropy(mi.tensor([0.5, 0.9]), mi.tensor([1.0, 1.0]))
    tensor(0.3993)
    """
    reduction = mode(reduction, size_average, reduce)
    check_tensors("binary_cross_entropy", input, target)
    if amp.anywhere:
        input, target = amp.widen(input, target)
    if target.shape != input.shape:
        raise ValueError(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}) is deprecated. "
            "Please ensure they have the same size."
        )
    if weight is None:
        return _fused(input, target, "binary_cross_entropy", 0.0, reduction)
    return reduced(mul(_fused(input, target, "binary_cross_entropy", 0.0, "none"), weight), reduction)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """-w (p t log sigmoid(x) + (1 - t) log sigmoid(-x)), p = pos_weight: the weight of positive targets, broadcast.

    Stable for large |x|. ValueError: target's shape is not input's.

    >>> F.binary_cross_entropy_with_logits(mi.tensor([0.0, 2.0]), mi.tensor([1.0, 1.0]))
    tensor(0.4100)
    """
    reduction = mode(reduction, size_average, reduce)
    check_tensors("binary_cross_entropy_with_logits", input, target)
    if amp.anywhere:
        input, target = amp.widen(input, target)
    if target.shape != input.shape:
        raise ValueError(f"Target size ({target.shape}) must be the same as input size ({input.shape})")
    if input.dtype is not target.dtype:
        input, target = _alike(input, target)
    kind = "binary_cross_entropy_with_logits"
    if pos_weight is None and weight is None:
        return _fused(input, target, kind, 0.0, reduction)
    if pos_weight is None:
        loss = _fused(input, target, kind, 0.0, "none")
    else:  # (1 - t) x + (1 + (p - 1) t) log(1 + exp(-x))
        scale = add(mul(sub(pos_weight, 1), target), 1)
        loss = add(mul(sub(1, target), input), mul(scale, neg(e.logsigmoid(input))))
    return reduced(loss if weight is None else mul(loss, weight), reduction)


def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """t (log t - x) for logarithms x of probabilities and probabilities t (log_target: their logarithms); broadcasts.

    reduction "batchmean" divides the sum by the first dim: the divergence of Kullback & Leibler 1951. "mean" divides by
    the number of elements (UserWarning).

    >>> F.kl_div(mi.tensor([[0.5, 0.5]]).log(), mi.tensor([[0.5, 0.5]]), reduction="batchmean")
    tensor(0.)
    """
    if reduction == "mean" and size_average is None and reduce is None:
        warnings.warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support size. 'batchmean' divides "
            "only by the batch size, and aligns with the KL math definition.",
            UserWarning,
            stacklevel=2,
        )
    check_tensors("kl_div", input, target)
    if not (input.dtype.is_floating_point and target.dtype.is_floating_point):
        raise RuntimeError(f"kl_div: expected floating inputs, got {input.dtype} and {target.dtype}")
    batch = reduction == "batchmean"
    reduction = "sum" if batch else mode(reduction, size_average, reduce)
    if amp.anywhere:
        input, target = amp.widen(input, target)
    first = input.shape[0] if batch and input.ndim else 1
    if input.shape != target.shape or input.dtype is not target.dtype:
        input, target = _alike(input, target)
    loss = _fused(input, target, "kl_div_log" if log_target else "kl_div", 0.0, reduction)
    return div(loss, first) if batch else loss


def soft_margin_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean"
) -> Tensor:
    """log(1 + exp(-t x)) for targets t of 1 and -1; a target may be broadcast to input. RuntimeError: shapes.

    >>> F.soft_margin_loss(mi.tensor([0.0]), mi.tensor([1.0]))
    tensor(0.6931)
    """
    reduction = mode(reduction, size_average, reduce)
    check_tensors("soft_margin_loss", input, target)
    if _core.broadcast_shapes((input.shape, target.shape)) != input.shape:
        raise RuntimeError(f"soft_margin_loss: a target of shape {target.shape} does not go into one of {input.shape}")
    if amp.anywhere:
        input, target = amp.widen(input, target)
    if input.shape != target.shape or input.dtype is not target.dtype:
        input, target = _alike(input, target)
    return _fused(input, target, "soft_margin_loss", 0.0, reduction)


def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-8,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """exp(x) - t x, or x - t log(x + eps) without log_input; full adds t log t - t + log(2 pi t) / 2 where t > 1.

    >>> F.poisson_nll_loss(mi.tensor([0.0]), mi.tensor([1.0]))
    tensor(1.)
    """
    reduction = mode(reduction, size_average, reduce)
    if amp.anywhere:
        input, target = amp.widen(input, target)
    if log_input:
        loss = sub(e.exp(input), mul(target, input))
    else:
        loss = sub(input, mul(target, e.log(add(input, eps))))
    if full:
        stirling = add(sub(mul(target, e.log(target)), target), mul(e.log(mul(target, 2 * math.pi)), 0.5))
        loss = add(loss, e.where(e.gt(target, 1), stirling, 0.0))
    return reduced(loss, reduction)


def gaussian_nll_loss(
    input: Tensor, target: Tensor, var: Tensor | float, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Tensor:
    """(log v + (x - t)^2 / v) / 2 with v = max(var, eps); full adds log(2 pi) / 2.

    var: input's shape, or that with one dim of 1, or without the last, or a number. The bound changes the value and not
    the gradient. ValueError: negative var, another shape. Source: Nix & Weigend 1994.

    >>> F.gaussian_nll_loss(mi.tensor([0.0]), mi.tensor([1.0]), mi.tensor([1.0]))
    tensor(0.5000)
    """
    check_tensors("gaussian_nll_loss", input, target)
    reduction = mode(reduction)
    if amp.anywhere:
        input, target = amp.widen(input, target)
    if not isinstance(var, Tensor):
        if var < 0:
            raise ValueError("var has negative entry/entries")
        from ..creation import full as filled

        var = filled(input.shape, float(var), dtype=input.dtype if input.dtype.is_floating_point else None)
    elif bool(e.lt(var, 0).any()):
        raise ValueError("var has negative entry/entries")
    if var.shape != input.shape:
        if input.shape[:-1] == var.shape:
            var = var.unsqueeze(-1)
        elif var.ndim != input.ndim or [v for n, v in zip(input.shape, var.shape) if v != n] != [1]:
            raise ValueError("var is of incorrect size")
    var = record(e.clamp_min(var.detach(), eps), IDENTITY, (var,), ())
    d = sub(input, target)
    loss = mul(add(e.log(var), div(mul(d, d), var)), 0.5)
    return reduced(add(loss, 0.5 * math.log(2 * math.pi)) if full else loss, reduction)
