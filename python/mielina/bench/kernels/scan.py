"""Running sums, products and maxima."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..case import Case, Rivals, family


@family("scan")
def scan(r: Rivals) -> Iterator[Case]:
    jnp: Any = r.jax and r.jax.numpy
    for shape, dim in r.pick((((64, 256), 1), ((2048, 2048), 1), ((2048, 2048), 0), ((1 << 22,), 0))):
        (a,) = r.arrays(shape)
        n, length, name = a.size, a.shape[dim], f"{shape} dim={dim}"
        work = r.beside([a], lambda L, x, d=dim: L.cumsum(x, d), lambda x, d=dim: np.cumsum(x, d),
                        jnp and (lambda x, d=dim: jnp.cumsum(x, d)))  # fmt: skip
        yield Case("scan", f"cumsum {name}", work, n, 8 * n, length)
        if len(shape) == 1:
            continue
        work = r.beside([a], lambda L, x, d=dim: L.cummax(x, d)[0], lambda x, d=dim: np.maximum.accumulate(x, d))
        yield Case("scan", f"cummax {name}", work, n, 16 * n)
        near_one = np.exp(a / 100).astype(np.float32)
        work = r.beside([near_one], lambda L, x, d=dim: L.cumprod(x, d), lambda x, d=dim: np.cumprod(x, d))
        yield Case("scan", f"cumprod {name}", work, n, 8 * n, length**2)  # a product's errors add up: n eps
        work = r.beside([a], lambda L, x, d=dim: L.logcumsumexp(x, d))
        yield Case("scan", f"logcumsumexp {name}", work, n, 8 * n, length)
