"""Softmax, and the losses made of its rows."""

from __future__ import annotations

from typing import Any

from .. import _core
from ..autograd import OUTPUT, OUTPUTS, op, record
from ..dtypes import dtype as DType
from ..tensor import Tensor, method
from .elementwise import cast, div, mul, sub
from .reduce import sum

__all__ = ["softmax", "log_softmax"]
__functional__ = ["softmax", "log_softmax", "cross_entropy"]


@method
def softmax(input: Tensor, dim: int = -1, dtype: DType | None = None) -> Tensor:
    """Softmax along `dim`: y_i = exp(x_i - m) / sum_j exp(x_j - m), m = max(x).

    input: (..., C, ...) floating. Returns the same shape, dtype (or `dtype`) and stride order. A slice that is all -inf gives
    NaN. IndexError: `dim` out of range. NotImplementedError: integer input. Source: Bridle 1990.
    """
    x = input if dtype is None else cast(input, dtype)
    return record(_core.softmax(x, dim, False), SOFTMAX, (x,), (OUTPUT, dim))  # type: ignore[no-any-return]


def softmax_backward(g: Tensor, y: Tensor, dim: int) -> Tensor:
    """y (g - sum_j g_j y_j) along `dim`."""
    return record(_core.softmax_backward(g, y, dim, False), SOFTMAX_BACKWARD, (g, y), (g, y, dim))  # type: ignore[no-any-return]


def _softmax_backward_composite(g: Tensor, y: Tensor, dim: int) -> Tensor:
    return mul(y, sub(g, sum(mul(g, y), dim, True)))


def _softmax_backward_rule(h: Tensor, needs: Any, g: Tensor, y: Tensor, dim: int) -> Any:
    # With s = sum(g y): d/dg = y (h - sum(h y)); d/dy = h (g - s) - g sum(h y).
    dg = softmax_backward(h, y, dim) if needs[0] else None
    if not needs[1]:
        return dg, None
    dy = sub(mul(h, sub(g, sum(mul(g, y), dim, True))), mul(g, sum(mul(h, y), dim, True)))
    return dg, dy


SOFTMAX = op("softmax", lambda g, needs, y, dim: (softmax_backward(g, y, dim),))
SOFTMAX_BACKWARD = op("softmax_backward", _softmax_backward_rule, composite=_softmax_backward_composite)


@method
def log_softmax(input: Tensor, dim: int = -1, dtype: DType | None = None) -> Tensor:
    """log(softmax(input, dim)), without the detour: y_i = x_i - m - log sum_j exp(x_j - m)."""
    x = input if dtype is None else cast(input, dtype)
    return record(_core.softmax(x, dim, True), LOG_SOFTMAX, (x,), (OUTPUT, dim))  # type: ignore[no-any-return]


def log_softmax_backward(g: Tensor, y: Tensor, dim: int) -> Tensor:
    """g - exp(y) sum_j g_j along `dim`."""
    return record(_core.softmax_backward(g, y, dim, True), LOG_SOFTMAX_BACKWARD, (g, y), (g, y, dim))  # type: ignore[no-any-return]


def _log_softmax_backward_rule(h: Tensor, needs: Any, g: Tensor, y: Tensor, dim: int) -> Any:
    # exp(y) of a log-softmax is its softmax: d/dg = h - sum(h p), d/dy = -h p sum(g).
    p = softmax(y, dim)
    dg = sub(h, sum(mul(h, p), dim, True)) if needs[0] else None
    dy = mul(mul(h, p), mul(sum(g, dim, True), -1)) if needs[1] else None
    return dg, dy


LOG_SOFTMAX = op("log_softmax", lambda g, needs, y, dim: (log_softmax_backward(g, y, dim),))
LOG_SOFTMAX_BACKWARD = op("log_softmax_backward", _log_softmax_backward_rule)


# ---- cross entropy ---------------------------------------------------------------------------------------------------------------
def cross_entropy_rows(x: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int) -> Tensor:
    """w_t (logsumexp(x_n) - x_nt) for each row n of logits x: (N, C), target: (N) int64; 0 where target is ignore_index."""
    loss, lse = _core.cross_entropy(x, target, weight, ignore_index)
    return record((loss, lse), CROSS_ENTROPY, (x,), (x, target, weight, ignore_index, OUTPUTS[1]))[0]  # type: ignore[no-any-return]


def _cross_entropy_rule(g: Any, needs: Any, x: Tensor, target: Tensor, weight: Tensor | None, ignore: int, lse: Tensor) -> Any:
    return (_core.cross_entropy_backward(g[0], x, lse, target, weight, ignore),)


def _cross_entropy_composite(x: Tensor, target: Tensor, weight: Tensor | None, ignore: int, lse: Tensor) -> Any:
    return _picked(log_softmax(x, 1), target, weight, ignore)


def _picked(logp: Tensor, target: Tensor, weight: Tensor | None, ignore: int) -> Tensor:
    """-w_t logp[n, t_n]: the product with a constant one-hot matrix."""
    import numpy as np

    t = target.numpy()
    hot = np.zeros(logp.shape)
    keep = t != ignore
    w = np.ones(logp.shape[1]) if weight is None else weight.detach().to(logp.dtype).numpy()
    hot[np.nonzero(keep)[0], t[keep]] = -w[t[keep]]
    return sum(mul(logp, cast(_core.from_numpy(hot), logp.dtype)), 1)


CROSS_ENTROPY = op("cross_entropy", _cross_entropy_rule, composite=_cross_entropy_composite)


def cross_entropy(input: Tensor, target: Tensor, weight: Tensor | None = None, ignore_index: int = -100, reduction: str = "mean") -> Tensor:
    """Cross entropy of logits and class indices: mean over n of -log softmax(x_n)[t_n].

    input: (N, C), target: (N) int64. `reduction`: "mean" (weighted), "sum" or "none".
    IndexError: a target outside [0, C) that is not ignore_index. ValueError: shapes.
    """
    rows = cross_entropy_rows(input, target, weight, ignore_index)
    if reduction == "none":
        return rows
    if reduction == "sum":
        return sum(rows)
    if reduction != "mean":
        raise ValueError(f'{reduction!r} is not a reduction; use "none", "mean" or "sum"')
    return div(sum(rows), float(target.numel()))
