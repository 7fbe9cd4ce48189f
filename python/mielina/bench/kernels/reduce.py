"""Many numbers to one, along the rows, along the columns, or all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..case import Case, Rivals, family

SUMS: tuple[Any, ...] = (((4096,), None), ((64, 128), 0), ((4096, 4096), 0), ((4096, 4096), 1), ((1 << 24,), None))


@family("reduce")
def reduce(r: Rivals) -> Iterator[Case]:
    jnp: Any = r.jax and r.jax.numpy
    for shape, dim in r.pick(SUMS, 2):
        (a,) = r.arrays(shape)
        yield _case(r, "sum", a, dim, lambda L, x, d: x.sum(d) if d is not None else x.sum(), np.sum, jnp and jnp.sum)
    for shape, dim in r.pick((((256, 1024), 1), ((4096, 4096), 0), ((4096, 4096), 1))):
        (a,) = r.arrays(shape)
        yield _case(r, "max", a, dim, lambda L, x, d: L.amax(x, d), np.max, jnp and jnp.max)
        yield _case(r, "argmax", a, dim, lambda L, x, d: L.argmax(x, d), np.argmax, jnp and jnp.argmax)
        yield _case(r, "var", a, dim, lambda L, x, d: L.var(x, dim=d, correction=0), np.var, jnp and jnp.var)
        logsumexp = r.jax and r.jax.nn.logsumexp
        yield _case(r, "logsumexp", a, dim, lambda L, x, d: L.logsumexp(x, d), None, logsumexp)


def _case(r: Rivals, name: str, a: Any, dim: Any, same: Any, numpy: Any, jax: Any) -> Case:
    work = r.beside(
        [a],
        lambda L, x: same(L, x, dim),
        numpy and (lambda x: numpy(x, axis=dim)),
        jax and (lambda x: jax(x, axis=dim)),
    )
    terms = a.size if dim is None else a.shape[dim]
    return Case("reduce", f"{name} {a.shape} dim={dim}", work, a.size, a.nbytes, terms)
