"""Normalisation: by channel, by row, by group of channels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..case import Case, Rivals, family


@family("norm")
def norm(r: Rivals) -> Iterator[Case]:
    for rows, width in r.pick(((64, 128), (2048, 768), (8192, 4096))):
        x, w, b = r.arrays((rows, width), (width,), (width,))

        def layer(L: Any, x: Any, w: Any, b: Any, d: int = width) -> Any:
            return L.nn.functional.layer_norm(x, (d,), w, b)

        theirs = r.jax and _jax_layer(r.jax)
        work = r.beside([x, w, b], layer, _numpy_layer, theirs)
        yield Case("norm", f"layer_norm {rows}x{width}", work, 0, 2.0 * x.nbytes, width)
        work = r.gradients([x, w, b], layer, (0, 1, 2), theirs)
        yield Case("norm", f"layer_norm {rows}x{width} fwd+bwd", work, 0, 5.0 * x.nbytes, rows + width)
        work = r.beside([x, w], lambda L, x, w, d=width: L.nn.functional.rms_norm(x, (d,), w, 1e-5))
        yield Case("norm", f"rms_norm {rows}x{width}", work, 0, 2.0 * x.nbytes, width)
    yield from _images(r)


def _images(r: Rivals) -> Iterator[Case]:
    shape = (4, 4, 8, 8) if r.quick else (32, 64, 56, 56)
    c = shape[1]
    x, w, b = r.arrays(shape, (c,), (c,))
    name = "x".join(map(str, shape))
    mean, var = np.zeros(c, np.float32), np.ones(c, np.float32)
    terms = x.size // c

    def batch(L: Any, x: Any, w: Any, b: Any) -> Any:
        return L.nn.functional.batch_norm(x, None, None, w, b, True)

    yield Case("norm", f"batch_norm {name} training", r.beside([x, w, b], batch), 0, 3.0 * x.nbytes, terms)
    yield Case("norm", f"batch_norm {name} fwd+bwd", r.gradients([x, w, b], batch, (0, 1, 2)), 0, 8.0 * x.nbytes, terms)
    work = r.beside([x, mean, var, w, b], lambda L, x, m, v, w, b: L.nn.functional.batch_norm(x, m, v, w, b))
    yield Case("norm", f"batch_norm {name} inference", work, 0, 2.0 * x.nbytes)
    groups = min(c, 8)
    work = r.beside([x, w, b], lambda L, x, w, b: L.nn.functional.group_norm(x, groups, w, b))
    yield Case("norm", f"group_norm {name} by {groups}", work, 0, 3.0 * x.nbytes, terms)


def _numpy_layer(x: Any, w: Any, b: Any) -> Any:
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred * centred).mean(-1, keepdims=True) + np.float32(1e-5)) * w + b


def _jax_layer(jax: Any) -> Any:
    def layer(x: Any, w: Any, b: Any) -> Any:
        centred = x - x.mean(-1, keepdims=True)
        return centred * jax.lax.rsqrt((centred * centred).mean(-1, keepdims=True) + 1e-5) * w + b

    return layer
