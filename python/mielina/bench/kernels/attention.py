"""softmax(Q K^T / sqrt(D)) V, plain, causal and masked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..case import Case, Rivals, family

# batch, heads, time, width of a head, causal
SHAPES: tuple[Any, ...] = (
    (2, 2, 32, 16, False), (8, 8, 128, 64, False), (1, 8, 1024, 64, False), (1, 8, 1024, 64, True),
    (1, 8, 4096, 64, True),
)  # fmt: skip


@family("attention")
def attention(r: Rivals) -> Iterator[Case]:
    for n, h, t, d, causal in r.pick(SHAPES):
        q, k, v = r.arrays((n, h, t, d), (n, h, t, d), (n, h, t, d))
        share = 0.5 if causal else 1.0
        flops, moved = 4.0 * n * h * t * t * d * share, 4.0 * q.nbytes
        name = f"{n}x{h}x{t}x{d}" + (" causal" if causal else "")

        def same(L: Any, q: Any, k: Any, v: Any, c: bool = causal) -> Any:
            return L.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=c)

        theirs = r.jax and _jax(r.jax, causal)
        yield Case(
            "attention", name, r.beside([q, k, v], same, _numpy if not causal else None, theirs), flops, moved, t
        )
        if t <= 1024:
            work = r.gradients([q, k, v], same, (0, 1, 2), theirs)
            yield Case("attention", f"{name} fwd+bwd", work, 3.5 * flops, 3 * moved, t)
    n, h, t, d = (2, 2, 16, 8) if r.quick else (8, 8, 256, 64)
    q, k, v = r.arrays((n, h, t, d), (n, h, t, d), (n, h, t, d))
    mask = np.random.default_rng(2).random((t, t)) < 0.7
    work = r.beside([q, k, v, mask], lambda L, q, k, v, m: L.nn.functional.scaled_dot_product_attention(q, k, v, m))
    yield Case("attention", f"{n}x{h}x{t}x{d} bool mask", work, 4.0 * n * h * t * t * d, 4.0 * q.nbytes, t)


def _numpy(q: Any, k: Any, v: Any) -> Any:
    s = q @ k.swapaxes(-1, -2) * np.float32(q.shape[-1] ** -0.5)
    e = np.exp(s - s.max(-1, keepdims=True))
    return (e / e.sum(-1, keepdims=True)) @ v


def _jax(jax: Any, causal: bool) -> Any:
    jnp = jax.numpy

    def attend(q: Any, k: Any, v: Any) -> Any:
        s = jnp.einsum("nhtd,nhsd->nhts", q, k) * q.shape[-1] ** -0.5
        if causal:
            s = jnp.where(jnp.tril(jnp.ones(s.shape[-2:], bool)), s, -jnp.inf)
        return jnp.einsum("nhts,nhsd->nhtd", jax.nn.softmax(s, -1), v)

    return attend
