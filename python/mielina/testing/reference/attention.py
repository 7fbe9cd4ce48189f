"""attention: softmax(q k^T scale + mask) v."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mielina.testing.reference.base import Array, f64
from mielina.testing.reference.random import Key, dropout


def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    *,
    random: Key = (0, 0),
) -> Array:
    """query: (..., L, E), key: (..., S, E), value: (..., S, V). Vaswani et al. 2017, equation 1.

    attn_mask: bool (True takes part) or added to the scores. is_causal: row i sees columns <= i. enable_gqa: each head
    of key and value serves a run of query heads (Ainslie et al. 2023). A fully masked row gives zeros. Dropout acts on
    the probabilities; `random` is its (seed, offset), indexed by (b, h, i, j).
    """
    q, k, v = f64(query), f64(key), f64(value)
    if enable_gqa:
        k, v = (np.repeat(x, q.shape[-3] // x.shape[-3], axis=-3) for x in (k, v))
    scores = q @ np.swapaxes(k, -1, -2) * (1 / math.sqrt(q.shape[-1]) if scale is None else scale)
    if is_causal:
        scores = np.where(np.tri(*scores.shape[-2:]) > 0, scores, -np.inf)
    if attn_mask is not None:
        mask = np.asarray(attn_mask)
        scores = np.where(mask, scores, -np.inf) if mask.dtype == bool else scores + f64(mask)
    m = np.max(scores, axis=-1, keepdims=True, initial=-np.inf)
    e = np.exp(scores - np.where(np.isinf(m), 0.0, m))
    total = e.sum(-1, keepdims=True)
    weights = e / np.where(total == 0, 1.0, total)
    return np.asarray(dropout(weights, dropout_p, key=random) @ v)
