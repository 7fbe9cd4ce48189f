"""Rows of a table, gather and scatter, masks, and copies in another order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..case import Case, Rivals, family


@family("index")
def index(r: Rivals) -> Iterator[Case]:
    yield from _rows(r)
    yield from _elements(r)
    yield from _copies(r)


def _rows(r: Rivals) -> Iterator[Case]:
    jnp: Any = r.jax and r.jax.numpy
    rng = np.random.default_rng(0)
    for rows, width, many in r.pick(((1000, 64, 256), (50_000, 256, 4096))):
        (table,) = r.arrays((rows, width))
        ids = rng.integers(0, rows, many)
        moved = 8.0 * many * width
        name = f"{many} of {rows}x{width}"

        def rows_of(L: Any, i: Any, w: Any) -> Any:
            return L.nn.functional.embedding(i, w)

        work = r.beside([ids, table], rows_of, lambda i, w: w[i], jnp and (lambda i, w: w[i]))
        yield Case("index", f"embedding {name}", work, 0, moved)
        work = r.gradients([ids, table], rows_of, (1,))
        yield Case("index", f"embedding {name} fwd+bwd", work, 0, moved + 4.0 * table.size + 2 * moved, many / rows + 4)


def _elements(r: Rivals) -> Iterator[Case]:
    rng = np.random.default_rng(0)
    n = 64 if r.quick else 2048
    (x,) = r.arrays((n, n))
    at = rng.integers(0, n, (n, n))
    name, size = f"{n}x{n}", 4.0 * n * n
    work = r.beside([x, at], lambda L, x, i: L.gather(x, 1, i), lambda x, i: np.take_along_axis(x, i, 1))
    yield Case("index", f"gather {name}", work, 0, 4 * size)
    work = r.beside([x, at, x], lambda L, x, i, s: x.scatter_add(1, i, s))
    yield Case("index", f"scatter_add {name}", work, 0, 6 * size, 16)
    mask = rng.random((n, n)) < 0.3
    yield Case("index", f"x[mask] {name}", r.beside([x, mask], lambda L, x, m: x[m], lambda x, m: x[m]), 0, 1.55 * size)
    work = r.beside([x, mask], lambda L, x, m: x.masked_fill(m, 0.0), lambda x, m: np.where(m, np.float32(0), x))
    yield Case("index", f"masked_fill {name}", work, 0, 2.25 * size)
    yield Case("index", f"nonzero {name}", r.beside([mask], lambda L, m: L.nonzero(m), np.argwhere), 0, 1.45 * size)


def _copies(r: Rivals) -> Iterator[Case]:
    jnp: Any = r.jax and r.jax.numpy
    n = 64 if r.quick else 4096
    x, y = r.arrays((n, n), (n, n))
    name, size = f"{n}x{n}", 4.0 * n * n
    work = r.beside([x], lambda L, x: x.T.contiguous(), lambda x: np.ascontiguousarray(x.T))
    yield Case("index", f"transposed copy {name}", work, 0, 2 * size)
    work = r.beside([x, y], lambda L, x, y: L.cat((x, y), 1), lambda x, y: np.concatenate((x, y), 1),
                    jnp and (lambda x, y: jnp.concatenate((x, y), 1)))  # fmt: skip
    yield Case("index", f"cat of two {name} dim=1", work, 0, 4 * size)
    work = r.beside([x], lambda L, x: L.flip(x, (1,)), lambda x: np.ascontiguousarray(x[:, ::-1]))
    yield Case("index", f"flip {name} dim=1", work, 0, 2 * size)
    work = r.beside([x], lambda L, x: L.tril(x), np.tril, jnp and jnp.tril)
    yield Case("index", f"tril {name}", work, 0, 2 * size)
