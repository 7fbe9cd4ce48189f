"""The largest or the mean of each window, and windows as columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..case import Case, Rivals, family


@family("pool")
def pool(r: Rivals) -> Iterator[Case]:
    jax: Any = r.jax
    for n, c, size, k, stride in r.pick(((64, 32, 8, 2, 2), (32, 64, 56, 2, 2), (8, 64, 112, 3, 2))):
        (x,) = r.arrays((n, c, size, size))
        out = (size - k) // stride + 1
        flops, moved = float(n * c * out * out * k * k), 4.0 * (x.size + n * c * out * out)
        name, window, step = f"{n}x{c}x{size}x{size} {k}x{k}/{stride}", (1, 1, k, k), (1, 1, stride, stride)

        def largest(L: Any, x: Any, k: int = k, s: int = stride) -> Any:
            return L.nn.functional.max_pool2d(x, k, s)

        reduced = jax and (lambda x, w=window, s=step: jax.lax.reduce_window(x, -np.inf, jax.lax.max, w, s, "VALID"))
        yield Case("pool", f"max {name}", r.beside([x], largest, None, reduced), flops, moved)
        yield Case("pool", f"max {name} fwd+bwd", r.gradients([x], largest, (0,), reduced), flops, 2 * moved)
        work = r.beside([x], lambda L, x, k=k, s=stride: L.nn.functional.avg_pool2d(x, k, s))
        yield Case("pool", f"average {name}", work, flops, moved, k * k)
    (x,) = r.arrays((32, 64, 56, 56) if not r.quick else (4, 4, 8, 8))
    name = "x".join(map(str, x.shape))

    def mean(x: Any) -> Any:
        return x.mean((2, 3), keepdims=True)

    work = r.beside([x], lambda L, x: L.nn.functional.adaptive_avg_pool2d(x, 1), mean, mean)
    yield Case("pool", f"global average {name}", work, x.size, x.nbytes, x.shape[2] * x.shape[3])
    work = r.beside([x[:8]], lambda L, x: L.nn.functional.unfold(x, 3, padding=1))
    yield Case("pool", f"unfold 3x3 of 8x{name.split('x', 1)[1]}", work, 0, 40.0 * x[:8].size)
