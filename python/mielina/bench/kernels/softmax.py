"""Softmax and the losses: rows of logits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..case import Case, Rivals, family


@family("softmax")
def softmax(r: Rivals) -> Iterator[Case]:
    jax: Any = r.jax
    for shape in r.pick(((64, 10), (256, 1024), (64, 50_000), (4096, 4096))):
        (x,) = r.arrays(shape)
        classes = shape[1]
        theirs = jax and (lambda x: jax.nn.softmax(x, -1))
        work = r.beside([x], lambda L, x: L.softmax(x, -1), _numpy_softmax, theirs)
        yield Case("softmax", f"softmax {shape}", work, 0, 2.0 * x.nbytes, classes)
        work = r.gradients([x], lambda L, x: L.softmax(x, -1), (0,), theirs)
        yield Case("softmax", f"softmax {shape} fwd+bwd", work, 0, 5.0 * x.nbytes, classes)
        y = np.arange(shape[0]) % classes
        jax_loss = jax and _jax_cross_entropy(jax)
        work = r.gradients([x, y], lambda L, x, y: L.nn.functional.cross_entropy(x, y), (0,), jax_loss)
        yield Case("softmax", f"cross_entropy {shape} fwd+bwd", work, 0, 4.0 * x.nbytes, classes)
    n = 4096 if r.quick else 1 << 22
    x, t = r.arrays((n,), (n,))
    work = r.gradients([x, t], lambda L, x, t: L.nn.functional.mse_loss(x, t))
    yield Case("softmax", f"mse_loss {n} fwd+bwd", work, 0, 20.0 * n, n)
    work = r.gradients([x, np.clip(t, 0, 1)], lambda L, x, t: L.nn.functional.binary_cross_entropy_with_logits(x, t))
    yield Case("softmax", f"bce_with_logits {n} fwd+bwd", work, 0, 20.0 * n, n)


def _numpy_softmax(x: Any) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def _jax_cross_entropy(jax: Any) -> Any:
    jnp = jax.numpy
    return lambda x, y: -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(x), y[:, None], 1))
