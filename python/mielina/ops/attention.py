"""Scaled dot-product attention."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import _core, amp
from ..autograd import OUTPUTS, enable_grad, grad, op, record
from ..dtypes import float32
from ..random import default_generator
from ..tensor import Tensor, check_tensors
from .elementwise import add, cast, mul
from .gemm import matmul
from .layout import expand, reshape, transpose, unsqueeze
from .softmax import softmax

__all__: list[str] = []
__functional__ = ["scaled_dot_product_attention"]


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """softmax(scale query key^T + mask) value, scale = 1 / sqrt(E) unless given.

    query: (..., L, E), key: (..., S, E), value: (..., S, F); leading dims broadcast. Returns (..., L, F).
    attn_mask: broadcast to (..., L, S), bool (True takes part) or added to the scores. is_causal: query i sees keys
    j <= i. enable_gqa: the axis before L holds the heads, and each head of key and value serves a run of query's heads.
    dropout_p: of the probabilities, always applied (pass 0 when not training). A query that sees no key gives zeros.

    The scores are never in memory as a whole; the gradient makes them anew from the logsumexp of each row.
    RuntimeError: shapes, dtypes, dropout_p outside [0, 1]. Source: Vaswani et al. 2017, equation 1; Dao et al. 2022.

    >>> q = mi.ones(1, 1, 2, 4)
    >>> F.scaled_dot_product_attention(q, q, mi.arange(8.0).reshape(1, 1, 2, 4), is_causal=True)
    tensor([[[[0., 1., 2., 3.],
              [2., 3., 4., 5.]]]])
    """
    check_tensors("scaled_dot_product_attention", query, key, value)
    if amp.anywhere:
        query, key, value = amp.cast_inputs(query, key, value)
    if scale is None:
        scale = query.shape[-1] ** -0.5 if query.shape and query.shape[-1] else 1.0
    drawn = None
    if dropout_p > 0:
        drawn = _core.take_key(default_generator.on(query._device), _scores(query, key, value), float32)
    args = (drawn, scale, is_causal, dropout_p, enable_gqa)
    try:
        y = _core.attention(query, key, value, attn_mask, *args)
    except _core.NoKernel:
        return _attention_composite(query, key, value, attn_mask, *args, None, None)
    saves = (query, key, value, attn_mask, *args, OUTPUTS[0], OUTPUTS[1])
    return record(y, ATTENTION, (query, key, value, attn_mask), saves)[0]  # type: ignore[no-any-return]


def _scores(q: Tensor, k: Tensor, v: Tensor) -> int:
    """How many probabilities there are: broadcast leading dims times L S."""
    batch = np.broadcast_shapes(*(x.shape[:-3] for x in (q, k, v)))
    heads = max((x.shape[-3] for x in (q, k, v) if x.ndim > 2), default=1)
    return math.prod(batch) * heads * q.shape[-2] * k.shape[-2]


def _attention_rule(g: Any, needs: Any, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, *rest: Any) -> Any:
    drawn, scale, causal, p, grouped, y, lse = rest
    dq = dk = dv = dmask = None
    if needs[0] or needs[1] or needs[2]:
        dq, dk, dv = _core.attention_backward(g[0], q, k, v, mask, drawn, y, lse, scale, causal, p, grouped)
    if needs[3]:  # rare (learnt biases): the scores' gradient as a matrix, from the composite
        assert mask is not None
        leaf = mask.detach().requires_grad_()
        with enable_grad():
            again = _attention_composite(q.detach(), k.detach(), v.detach(), leaf, *rest)
        (dmask,) = grad(again, leaf, g[0])
    return (dq if needs[0] else None, dk if needs[1] else None, dv if needs[2] else None, dmask)


def _attention_composite(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, *rest: Any) -> Tensor:
    drawn, scale, causal, p, grouped, _, _ = rest
    if grouped and q.ndim > 2:
        k, v = _repeat_heads(k, q.shape[-3]), _repeat_heads(v, q.shape[-3])
    scores = mul(matmul(q, transpose(k, -2, -1)), scale)
    seen = np.ones(scores.shape, bool)
    if causal:
        seen = np.tril(seen)
    if mask is not None:
        values = cast(mask.detach(), float32).cpu().numpy() if mask.dtype.is_floating_point else mask.cpu().numpy()
        seen = seen & (values != (-np.inf if mask.dtype.is_floating_point else 0))
        if mask.dtype.is_floating_point:
            scores = add(scores, cast(_finite(mask, values), scores.dtype))
    # What is not seen is a constant -inf; a row that sees nothing keeps its scores and gets the weight 0.
    some = seen.any(-1, keepdims=True)
    if not seen.all():
        scores = add(scores, _core.from_numpy(np.where(seen | ~some, 0.0, -np.inf)).to(scores))
    weights = softmax(scores, -1)
    if not some.all():
        weights = mul(weights, _core.from_numpy(some.astype(np.float64)).to(weights))
    if p > 0:
        # The kernel draws one 24-bit number a score, whatever the dtype; the scale has the dtype's own precision.
        ones = _core.empty_like(weights.detach().contiguous(), float32)
        _core.fill_(ones, 1.0)
        kept = _core.ne(_core.dropout(ones, drawn, p), 0)
        weights = mul(mul(weights, cast(kept, weights.dtype)), 1 / (1 - p) if p < 1 else 0.0)
    return matmul(weights, v)


def _finite(mask: Tensor, values: np.ndarray) -> Tensor:
    """The mask with 0 for -inf, whose gradient is 0 too."""
    gone = values == -np.inf
    if not gone.any():
        return mask
    from .index import masked_fill

    return masked_fill(mask, _core.to_device(_core.from_numpy(gone), mask._device), 0.0)


def _repeat_heads(x: Tensor, heads: int) -> Tensor:
    """(..., H, S, E) -> (..., heads, S, E), each head heads / H times in a row."""
    *batch, h, s, e = x.shape
    wide = expand(unsqueeze(x, -3), (*batch, h, heads // h, s, e))
    return reshape(wide, (*batch, heads, s, e))


ATTENTION = op("attention", _attention_rule, composite=_attention_composite, broadcast=True)
