"""Sorting, the largest few, binary search."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..case import Case, Rivals, family


@family("sort")
def sort(r: Rivals) -> Iterator[Case]:
    jnp: Any = r.jax and r.jax.numpy
    for shape in r.pick(((256, 64), (4096, 256), (1_000_000,))):
        (a,) = r.arrays(shape)
        work = r.beside(
            [a], lambda L, x: L.sort(x, -1)[0], lambda x: np.sort(x, -1), jnp and (lambda x: jnp.sort(x, -1))
        )
        yield Case("sort", f"sort {shape}", work, 0, 2.0 * a.nbytes)
        work = r.beside([a], lambda L, x: L.argsort(x, stable=True), lambda x: np.argsort(x, -1, kind="stable"))
        yield Case("sort", f"argsort {shape}", work, 0, 3.0 * a.nbytes)
    for rows, n, k in r.pick(((64, 1000, 5), (64, 50_000, 50))):
        (a,) = r.arrays((rows, n))
        jax = r.jax and (lambda x, k=k: r.jax.lax.top_k(x, k)[0])
        numpy = lambda x, k=k: -np.sort(np.partition(-x, k - 1)[:, :k])
        work = r.beside([a], lambda L, x, k=k: L.topk(x, k)[0], numpy, jax)
        yield Case("sort", f"topk {k} of {rows}x{n}", work, 0, a.nbytes)
    n = 1000 if r.quick else 1_000_000
    (a,) = r.arrays((n,))
    ordered, few = np.sort(a), a[: n // 10]
    work = r.beside([ordered, few], lambda L, s, x: L.searchsorted(s, x), np.searchsorted, jnp and jnp.searchsorted)
    yield Case("sort", f"searchsorted {n // 10} in {n}", work, 0, 12.0 * len(few))
    keys = np.random.default_rng(0).integers(0, n // 10, n)
    yield Case("sort", f"unique of {n} int64", r.beside([keys], lambda L, x: L.unique(x), np.unique), 0, 8.0 * n)
