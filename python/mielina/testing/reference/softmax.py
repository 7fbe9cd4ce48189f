"""softmax: rows of probabilities, and the losses."""

from __future__ import annotations

from typing import Any

import numpy as np

from mielina.testing.reference.base import Array, at_least_1d, f64, num, reduce_loss
from mielina.testing.reference.elementwise.activation import logsigmoid
from mielina.testing.reference.elementwise.special import xlogy
from mielina.testing.reference.reduce import logsumexp


def softmax(x: Any, dim: int, *, dtype: Any = None) -> Array:
    """exp(x_i - m) / sum_j exp(x_j - m), m = max x. Bridle 1990"""
    row, axis = at_least_1d(f64(x), dim)
    e = np.exp(row - np.max(row, axis=axis, keepdims=True, initial=-np.inf))
    return (e / np.sum(e, axis=axis, keepdims=True)).reshape(np.shape(x))


def log_softmax(x: Any, dim: int, *, dtype: Any = None) -> Array:
    """x - m - log sum_j exp(x_j - m)"""
    row, axis = at_least_1d(f64(x), dim)
    shifted = row - np.max(row, axis=axis, keepdims=True, initial=-np.inf)
    return (shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))).reshape(np.shape(x))


def softmin(x: Any, dim: int, *, dtype: Any = None) -> Array:
    return softmax(-f64(x), dim)


def nll_loss(x: Any, target: Any, weight: Any = None, ignore_index: int = -100, reduction: str = "mean") -> Array:
    """-w[t] x[t] for each sample; the mean divides by sum w[t]. x: (C) or (N, C, ...), target: () or (N, ...)."""
    x, target = f64(x), np.asarray(target)
    rows = x[None] if x.ndim == 1 else x
    t = target.reshape(-1)[:, None].reshape(rows.shape[0], 1, *rows.shape[2:])
    kept = t != ignore_index
    safe = np.where(kept, t, 0)
    w = np.ones(rows.shape[1]) if weight is None else f64(weight)
    w = np.where(kept, w[safe], 0.0)
    loss = np.where(kept, -w * np.take_along_axis(rows, safe, 1), 0.0)
    if reduction == "mean":
        return np.asarray(np.sum(loss) / np.sum(w))
    return reduce_loss(loss.reshape(target.shape), reduction)


def cross_entropy(
    x: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Array:
    """-sum_c w_c q_c log softmax(x)_c with q = (1 - s) target + s / C; target: classes, or probabilities shaped like x.

    The mean is over sum w[t] for classes (ignored ones left out), over the samples for probabilities.
    """
    x, target, s = f64(x), np.asarray(target), label_smoothing
    axis = 0 if x.ndim == 1 else 1
    classes = x.shape[axis]
    logp = log_softmax(x, axis)
    w = (np.ones(classes) if weight is None else f64(weight)).reshape(-1, *[1] * (x.ndim - axis - 1))
    if target.dtype.kind == "f":
        loss = -np.sum(w * (f64(target) * (1 - s) + s / classes) * logp, axis=axis)
        return np.asarray(np.sum(loss) / (loss.size)) if reduction == "mean" else reduce_loss(loss, reduction)
    kept = target != ignore_index
    loss = nll_loss(logp, target, weight, ignore_index, "none")
    if s > 0:
        loss = (1 - s) * loss + s / classes * np.where(kept, -np.sum(w * logp, axis=axis), 0.0)
    if reduction == "mean":
        return np.asarray(np.sum(loss) / np.sum(w.ravel()[target[kept]]))
    return reduce_loss(loss, reduction)


def binary_cross_entropy(x: Any, target: Any, weight: Any = None, reduction: str = "mean") -> Array:
    """-w (t log x + (1 - t) log(1 - x)), logarithms at least -100."""
    x, t = f64(x), f64(target)
    loss = -(t * np.maximum(np.log(x), -100) + (1 - t) * np.maximum(np.log1p(-x), -100))
    return reduce_loss(loss if weight is None else loss * f64(weight), reduction)


def binary_cross_entropy_with_logits(
    x: Any, target: Any, weight: Any = None, reduction: str = "mean", pos_weight: Any = None
) -> Array:
    """-w (p t log sigmoid(x) + (1 - t) log sigmoid(-x))"""
    x, t = f64(x), f64(target)
    p = 1.0 if pos_weight is None else 1 + (f64(pos_weight) - 1) * t
    loss = (1 - t) * x - p * logsigmoid(x)  # log sigmoid(-x) = log sigmoid(x) - x
    return reduce_loss(loss if weight is None else loss * f64(weight), reduction)


def _weighted(loss: Array, weight: Any, reduction: str) -> Array:
    """The weighted mean divides by the sum of the weights."""
    if weight is None:
        return reduce_loss(loss, reduction)
    weight = np.broadcast_to(f64(weight), loss.shape)
    return np.asarray(np.sum(loss * weight) / np.sum(weight)) if reduction == "mean" else reduce_loss(
        loss * weight, reduction
    )  # fmt: skip


def mse_loss(x: Any, target: Any, reduction: str = "mean", weight: Any = None) -> Array:
    """(x - t)^2"""
    return _weighted((f64(x) - f64(target)) ** 2, weight, reduction)


def l1_loss(x: Any, target: Any, reduction: str = "mean", weight: Any = None) -> Array:
    """|x - t|"""
    return _weighted(np.abs(f64(x) - f64(target)), weight, reduction)


def smooth_l1_loss(x: Any, target: Any, reduction: str = "mean", beta: float = 1.0) -> Array:
    """d^2 / (2 beta) where d = |x - t| < beta, else d - beta / 2. Girshick 2015"""
    d = np.abs(f64(x) - f64(target))
    return reduce_loss(d if beta == 0 else np.where(d < beta, d * d / (2 * beta), d - beta / 2), reduction)


def huber_loss(x: Any, target: Any, reduction: str = "mean", delta: float = 1.0, weight: Any = None) -> Array:
    """d^2 / 2 where d = |x - t| <= delta, else delta (d - delta / 2). Huber 1964"""
    d = np.abs(f64(x) - f64(target))
    loss = np.where(d <= delta, d * d / 2, delta * (d - delta / 2))
    return reduce_loss(loss if weight is None else loss * f64(weight), reduction)  # here the mean divides by n


def kl_div(x: Any, target: Any, reduction: str = "mean", log_target: bool = False) -> Array:
    """t (log t - x), x a logarithm; 'batchmean' divides the sum by the first dim."""
    x, t = f64(x), f64(target)
    loss = np.exp(t) * (t - x) if log_target else xlogy(t, t) - t * x
    return np.asarray(np.sum(loss) / x.shape[0]) if reduction == "batchmean" else reduce_loss(loss, reduction)


def poisson_nll_loss(
    x: Any, target: Any, log_input: bool = True, full: bool = False, eps: float = 1e-8, reduction: str = "mean"
) -> Array:
    """exp(x) - t x, or x - t log(x + eps); full adds Stirling's t log t - t + log(2 pi t) / 2 where t > 1."""
    x, t = f64(x), f64(target)
    loss = np.exp(x) - t * x if log_input else x - t * np.log(x + eps)
    if full:
        safe = np.where(t > 1, t, 2.0)
        loss = loss + np.where(t > 1, safe * np.log(safe) - safe + np.log(2 * np.pi * safe) / 2, 0.0)
    return reduce_loss(loss, reduction)


def gaussian_nll_loss(
    x: Any, target: Any, var: Any, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Array:
    """(log v + (x - t)^2 / v) / 2, v = max(var, eps); full adds log(2 pi) / 2. Nix & Weigend 1994"""
    x, t = f64(x), f64(target)
    v = np.broadcast_to(f64(var), x.shape) if np.ndim(var) in (0, x.ndim) else f64(var)[..., None]
    v = np.maximum(v, eps)
    loss = (np.log(v) + (x - t) ** 2 / v) / 2 + (np.log(2 * np.pi) / 2 if full else 0.0)
    return reduce_loss(loss, reduction)


def soft_margin_loss(x: Any, target: Any, reduction: str = "mean") -> Array:
    """log(1 + exp(-t x))"""
    return reduce_loss(np.logaddexp(0, -f64(target) * f64(x)), reduction)


def hinge_embedding_loss(x: Any, target: Any, margin: float = 1.0, reduction: str = "mean") -> Array:
    """x where t = 1, max(0, margin - x) where t = -1 (and the sum of both where t is neither)."""
    x, t = f64(x), np.asarray(target)
    loss = np.where(t != 1, np.maximum(0, margin - x), 0.0) + np.where(t != -1, x, 0.0)
    return reduce_loss(loss, reduction)


def margin_ranking_loss(a: Any, b: Any, target: Any, margin: float = 0.0, reduction: str = "mean") -> Array:
    """max(0, -t (a - b) + margin)"""
    return reduce_loss(np.maximum(0, -f64(target) * (f64(a) - f64(b)) + margin), reduction)


def multi_margin_loss(
    x: Any, target: Any, p: int = 1, margin: float = 1.0, weight: Any = None, reduction: str = "mean"
) -> Array:
    """w[t] sum_{j != t} max(0, margin - x[t] + x[j])^p / C"""
    x, t = np.atleast_2d(f64(x)), np.atleast_1d(target)
    rows = np.arange(len(t))
    z = margin - x[rows, t][:, None] + x
    z = np.where(z > 0, z, 0.0) ** p  # NaN counts as 0, as in PyTorch
    z = z if weight is None else z * f64(weight)[t][:, None]
    z[rows, t] = 0
    loss = np.sum(z, axis=1) / x.shape[1]
    return reduce_loss(loss.reshape(np.shape(target)), reduction)


def multilabel_soft_margin_loss(x: Any, target: Any, weight: Any = None, reduction: str = "mean") -> Array:
    """The mean over classes of binary cross-entropy with logits."""
    loss = binary_cross_entropy_with_logits(x, target, weight, "none")
    return reduce_loss(np.mean(loss, axis=-1), reduction)


def cosine_similarity(a: Any, b: Any, dim: int = 1, eps: float = 1e-8) -> Array:
    """a . b / (max(|a|, eps) max(|b|, eps))"""
    a, b = f64(a), f64(b)
    size = [np.maximum(np.sqrt(np.sum(x * x, axis=dim, keepdims=True)), eps) for x in (a, b)]
    return np.sum(a / size[0] * (b / size[1]), axis=dim)


def cosine_embedding_loss(a: Any, b: Any, target: Any, margin: float = 0.0, reduction: str = "mean") -> Array:
    """1 - cos(a, b) where t = 1, max(0, cos(a, b) - margin) where t = -1."""
    a, b, t = f64(a), f64(b), np.asarray(target)
    # PyTorch adds 1e-12 to the squares and bounds nothing.
    cos = np.sum(a * b, axis=-1) / np.sqrt((np.sum(a * a, axis=-1) + 1e-12) * (np.sum(b * b, axis=-1) + 1e-12))
    return reduce_loss(np.where(t == 1, 1 - cos, np.where(t == -1, np.maximum(0, cos - margin), 0.0)), reduction)


def pairwise_distance(a: Any, b: Any, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Array:
    """|a - b + eps|_p over the last axis."""
    return np.asarray(np.linalg.norm(np.atleast_1d(f64(a) - f64(b) + eps), p, axis=-1, keepdims=keepdim))


def triplet_margin_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> Array:
    """max(0, d(a, p) - d(a, n) + margin); swap uses min(d(a, n), d(p, n)). Balntas et al. 2016"""
    near, far = pairwise_distance(anchor, positive, p, eps), pairwise_distance(anchor, negative, p, eps)
    if swap:
        far = np.minimum(far, pairwise_distance(positive, negative, p, eps))
    return reduce_loss(np.maximum(0, near - far + margin), reduction)


def ctc_loss(
    log_probs: Any,
    targets: Any,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Array:
    """-log of the probability of all alignments of each target. Graves et al. 2006, equations 6-8, in logarithms.

    log_probs: (T, N, C) or (T, C), targets: (N, S) or all targets in one row. The mean is of loss / target length.
    """
    logp = f64(log_probs)
    unbatched = logp.ndim == 2
    logp = logp[:, None] if unbatched else logp
    ends = np.atleast_1d(input_lengths)
    sizes = np.atleast_1d(target_lengths)
    targets = np.asarray(targets)
    starts = np.cumsum(sizes) - sizes
    losses = []
    for n, (end, size) in enumerate(zip(ends, sizes, strict=True)):
        row = targets[n] if targets.ndim == 2 else targets[starts[n] :]
        label = np.full(2 * size + 1, blank)  # blanks between all labels
        label[1::2] = row[:size]
        alpha = np.full(len(label), -np.inf)
        alpha[:2] = 0.0
        alpha[:2] += logp[0, n, label[:2]]
        skip = np.zeros(len(label), bool)  # a label may follow a different label directly
        skip[2:] = (label[2:] != blank) & (label[2:] != label[:-2])
        for t in range(1, end):
            from_left = np.concatenate([[-np.inf], alpha[:-1]])
            from_skip = np.where(skip, np.concatenate([[-np.inf, -np.inf], alpha])[: len(label)], -np.inf)
            alpha = np.logaddexp(np.logaddexp(alpha, from_left), from_skip) + logp[t, n, label]
        if end == 0:
            alpha = np.where(np.arange(len(label)) == 0, 0.0, -np.inf)
        losses.append(-logsumexp(alpha[-2:], 0))
    loss = np.array(losses)
    loss = np.where(np.isinf(loss), 0.0, loss) if zero_infinity else loss
    if reduction == "mean":
        return np.asarray(np.mean(loss / np.maximum(sizes, 1)))
    return reduce_loss(loss[0] if unbatched and reduction == "none" else loss, reduction)


def one_hot(x: Any, num_classes: int = -1) -> Array:
    """A last axis of classes that holds 1 at x and 0 elsewhere, int64."""
    x = num(x)
    count = num_classes if num_classes >= 0 else int(x.max()) + 1
    return (x[..., None] == np.arange(count)).astype(np.int64)
