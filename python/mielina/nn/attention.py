"""Multi-head attention."""

from __future__ import annotations

import math
from typing import Any

from .. import _core
from ..devices import made_on
from ..tensor import Tensor
from . import functional as F
from . import init
from .linear import Linear, parameter
from .module import Module


class NonDynamicallyQuantizableLinear(Linear):
    """Linear under the name that PyTorch prints for the output projection."""


def additive(mask: Tensor | None, like: Tensor, name: str) -> Tensor | None:
    """A mask as numbers to be added to the scores: True (no attention) becomes -inf."""
    if mask is None or mask.dtype.is_floating_point:
        return mask
    if mask.dtype.name != "bool":
        raise RuntimeError(f"only bool and floating types of {name} are supported")
    zeros = made_on(like, _core.empty, mask.shape, like.dtype)
    _core.fill_(zeros, 0)
    return zeros.masked_fill(mask, -math.inf)  # type: ignore[no-any-return]


class MultiheadAttention(Module):
    """num_heads attentions over slices of embed_dim, side by side. Source: Vaswani et al. 2017.

    query: (L, N, E), key and value: (S, N, E) ((N, L, E) with batch_first; without N: one sample). attn_mask: (L, S) or
    (N heads, L, S), key_padding_mask: (N, S); bool (True: no attention) or added to the scores. Returns the output and,
    if need_weights, the attention weights (N, L, S), or (N, heads, L, S) with average_attn_weights=False.

    >>> x = mi.ones(2, 5, 8)
    >>> output, weights = nn.MultiheadAttention(8, 2, batch_first=True)(x, x, x)
    >>> output.shape, weights.shape
    ((2, 5, 8), (2, 5, 5))
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(
                f"embed_dim and num_heads must be greater than 0, got embed_dim={embed_dim} and "
                f"num_heads={num_heads} instead"
            )
        if embed_dim % num_heads:
            raise AssertionError("embed_dim must be divisible by num_heads")
        self.embed_dim = embed_dim
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self._qkv_same_embed_dim = self.kdim == embed_dim and self.vdim == embed_dim
        self.num_heads = num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.head_dim = embed_dim // num_heads
        same = self._qkv_same_embed_dim
        self.in_proj_weight = parameter(3 * embed_dim, embed_dim, dtype=dtype) if same else None
        self.q_proj_weight = None if same else parameter(embed_dim, embed_dim, dtype=dtype)
        self.k_proj_weight = None if same else parameter(embed_dim, self.kdim, dtype=dtype)
        self.v_proj_weight = None if same else parameter(embed_dim, self.vdim, dtype=dtype)
        self.in_proj_bias = parameter(3 * embed_dim, dtype=dtype) if bias else None
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias=bias, dtype=dtype)
        self.bias_k = parameter(1, 1, embed_dim, dtype=dtype) if add_bias_kv else None
        self.bias_v = parameter(1, 1, embed_dim, dtype=dtype) if add_bias_kv else None
        self.add_zero_attn = add_zero_attn
        self.reset_parameters()

    def reset_parameters(self) -> None:
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                init.xavier_uniform_(weight)
        if self.in_proj_bias is not None:
            init.zeros_(self.in_proj_bias)
        if self.out_proj.bias is not None:
            init.zeros_(self.out_proj.bias)
        for bias in (self.bias_k, self.bias_v):
            if bias is not None:
                init.xavier_normal_(bias)

    def _project(self, query: Tensor, key: Tensor, value: Tensor) -> list[Tensor]:
        """q, k, v; one product where the inputs are the same tensor."""
        e, w, b = self.embed_dim, self.in_proj_weight, self.in_proj_bias
        if w is not None and query is key and key is value:
            return list(F.linear(query, w, b).split(e, -1))
        weights: Any = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight) if w is None else w.split(e)
        biases = (None,) * 3 if b is None else b.split(e)
        return [F.linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases)]

    def _heads(self, x: Tensor) -> Tensor:
        n, length, _ = x.shape
        return x.reshape(n, length, self.num_heads, self.head_dim).transpose(1, 2)

    def _mask(self, attn_mask: Tensor | None, key_padding_mask: Tensor | None, q: Tensor, source: int) -> Tensor | None:
        """Both masks as one that broadcasts to (N, heads, L, S)."""
        n, length = q.shape[0], q.shape[1]
        mask = additive(attn_mask, q, "attn_mask")
        if mask is not None:
            expected: tuple[int, ...]
            if mask.ndim == 2:
                expected, shape = (length, source), (1, 1, length, source)
            elif mask.ndim == 3:
                expected, shape = (n * self.num_heads, length, source), (n, self.num_heads, length, source)
            else:
                raise RuntimeError(f"attn_mask's dimension {mask.ndim} is not supported")
            if tuple(mask.shape) != expected:
                raise RuntimeError(
                    f"The shape of the {mask.ndim}D attn_mask is {tuple(mask.shape)}, but should be {expected}."
                )
            mask = mask.reshape(shape)
        padding = additive(key_padding_mask, q, "key_padding_mask")
        if padding is not None:
            if padding.ndim == 1:
                padding = padding.unsqueeze(0)
            if tuple(padding.shape) != (n, source):
                raise RuntimeError(f"key_padding_mask: expected shape {(n, source)}, got {tuple(padding.shape)}")
            padding = padding.reshape(n, 1, 1, source)
            mask = padding if mask is None else mask + padding
        return mask

    def _extend(self, x: Tensor, row: Tensor | None) -> Tensor:
        """One more key or value: the learnt row (or zeros) for every sample."""
        from ..ops import cat

        n, _, e = x.shape
        if row is None:
            row = made_on(x, _core.empty, (1, 1, 1), x.dtype)
            _core.fill_(row, 0)
        return cat([x, row.expand(n, 1, e)], 1)  # type: ignore[no-any-return]

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        if query.ndim not in (2, 3):
            raise AssertionError(
                f"query should be unbatched 2D or batched 3D tensor but received {query.ndim}-D query tensor"
            )
        if is_causal and attn_mask is None:
            raise RuntimeError("Need attn_mask if specifying the is_causal hint.")
        single = query.ndim == 2
        batch = (
            (lambda x: x.unsqueeze(0))
            if single
            else (lambda x: x)
            if self.batch_first
            else (lambda x: x.transpose(0, 1))
        )
        same = query is key and key is value
        q = batch(query)
        k, v = (q, q) if same else (batch(key), batch(value) if value is not key else None)
        q, k, v = self._project(q, k, k if v is None else v)
        source = k.shape[1]
        mask = self._mask(attn_mask, key_padding_mask, q, source)
        extra = (self.bias_k is not None) + self.add_zero_attn
        if self.bias_k is not None:
            k, v = self._extend(k, self.bias_k), self._extend(v, self.bias_v)
        if self.add_zero_attn:
            k, v = self._extend(k, None), self._extend(v, None)
        if extra and mask is not None:
            mask = F.pad(mask, (0, extra))
        q, k, v = self._heads(q), self._heads(k), self._heads(v)
        p = self.dropout if self.training else 0.0
        weights = None
        if need_weights:
            scores = (q * (1.0 / math.sqrt(self.head_dim))) @ k.transpose(-2, -1)
            weights = F.softmax(scores if mask is None else scores + mask, -1)
            weights = F.dropout(weights, p) if p else weights
            y = weights @ v
        else:
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=p)
        n, _, length, _ = y.shape
        y = self.out_proj(y.transpose(1, 2).reshape(n, length, self.embed_dim))
        if weights is not None:
            weights = weights.mean(1) if average_attn_weights else weights
            weights = weights.squeeze(0) if single else weights
        return y.squeeze(0) if single else y if self.batch_first else y.transpose(0, 1), weights
