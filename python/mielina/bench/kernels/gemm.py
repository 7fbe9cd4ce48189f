"""Products of matrices: square, thin, transposed, batched, in bfloat16, and a layer's three."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..case import Case, Rivals, family

SIZES: tuple[Any, ...] = (
    (16, 16, 16), (64, 64, 64), (64, 128, 784), (33, 257, 511), (256,) * 3, (512,) * 3, (1000,) * 3, (1024,) * 3,
    (2048,) * 3, (1, 4096, 4096), (4096, 1, 4096),
)  # fmt: skip


@family("gemm")
def gemm(r: Rivals) -> Iterator[Case]:
    jnp: Any = r.jax and r.jax.numpy
    for m, n, k in r.pick(SIZES, 3):
        a, b = r.arrays((m, k), (k, n))
        work = r.beside([a, b], lambda L, x, y: L.matmul(x, y), np.matmul, jnp and jnp.matmul)
        yield Case("gemm", f"{m}x{n}x{k}", work, 2.0 * m * n * k, 4.0 * (m * k + k * n + m * n), k)
    yield from _layouts(r)
    yield from _layer(r)


def _layouts(r: Rivals) -> Iterator[Case]:
    n = 64 if r.quick else 1024
    a, b = r.arrays((n, n), (n, n))
    flops, size = 2.0 * n**3, 4.0 * n * n
    for name, f in (("A^T B", lambda x, y: x.T @ y), ("A B^T", lambda x, y: x @ y.T)):
        yield Case("gemm", f"{n} {name}", r.beside([a, b], lambda L, x, y, f=f: f(x, y), f), flops, 3 * size, n)
    work = r.beside([a, b], lambda L, x, y: x.to(L.bfloat16) @ y.to(L.bfloat16))
    yield Case("gemm", f"{n} bfloat16, converted", work, flops, 3 * size, n)
    for batch, m in r.pick(((8, 16), (64, 64), (32, 256))):
        a, b = r.arrays((batch, m, m), (batch, m, m))
        jax = r.jax and r.jax.numpy.matmul
        work = r.beside([a, b], lambda L, x, y: L.matmul(x, y), np.matmul, jax)
        yield Case("gemm", f"{batch} x {m}x{m}x{m}", work, 2.0 * batch * m**3, 12.0 * batch * m * m, m)


def _layer(r: Rivals) -> Iterator[Case]:
    for n, i, o in r.pick(((64, 64, 128), (128, 784, 1024))):
        x, w, b = r.arrays((n, i), (o, i), (o,))
        work = r.gradients([x, w, b], lambda L, x, w, b: L.nn.functional.linear(x, w, b), (0, 1, 2),
                           lambda x, w, b: x @ w.T + b)  # fmt: skip
        yield Case(
            "gemm", f"linear {n}x{i}->{o} fwd+bwd", work, 6.0 * n * i * o, 4.0 * 3 * (n * i + i * o + n * o), o + i
        )
