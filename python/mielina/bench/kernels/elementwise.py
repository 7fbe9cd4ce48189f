"""y[i] = f(x[i], ...): bound by memory from some 100,000 elements on, by the call's own cost below 10,000."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..case import Case, Rivals, family

# One number read and one written; the functions are named alike everywhere.
PLAIN = ("exp", "log", "sin", "tanh")
ACTIVATIONS = ("relu", "gelu", "silu", "elu", "mish", "softplus", "hardswish")
LARGE = ("exp", "tanh", "relu", "gelu")  # those that 64 MB are spent on


@family("elementwise")
def elementwise(r: Rivals) -> Iterator[Case]:
    jnp: Any = r.jax and r.jax.numpy
    for n in r.pick((4096, 1 << 24)):  # 16 kB and 64 MB
        a, b = r.arrays((n,), (n,))
        yield Case(
            "elementwise", f"add {n}", r.beside([a, b], lambda L, x, y: x + y, np.add, jnp and jnp.add), n, 12 * n
        )
        positive = np.abs(a) + 0.1
        for name in PLAIN if n == 4096 else LARGE[:2]:
            work = r.beside(
                [positive if name == "log" else a],
                lambda L, x, f=name: getattr(L, f)(x),
                getattr(np, name),
                jnp and getattr(jnp, name),
            )
            yield Case("elementwise", f"{name} {n}", work, n, 8 * n)
        for name in ACTIVATIONS if n == 4096 else LARGE[2:]:
            work = r.beside(
                [a],
                lambda L, x, f=name: getattr(L.nn.functional, f)(x),
                (lambda x: np.maximum(x, 0)) if name == "relu" else None,
                _jax_activation(r, name),
            )
            yield Case("elementwise", f"{name} {n}", work, n, 8 * n)
        half = r.beside([a], lambda L, x: x.to(L.bfloat16), None, jnp and (lambda x: x.astype(jnp.bfloat16)))
        yield Case("elementwise", f"to bfloat16 {n}", half, n, 6 * n)
    yield from _broadcast(r)
    n = 4096 if r.quick else 1 << 22
    (a,) = r.arrays((n,))
    work = r.gradients([a], lambda L, x: L.nn.functional.gelu(x), jax=_jax_activation(r, "gelu"))
    yield Case("elementwise", f"gelu {n} fwd+bwd", work, n, 20 * n)


def _jax_activation(r: Rivals, name: str) -> Any:
    if not r.jax or name == "hardswish":
        return r.jax and r.jax.nn.hard_swish
    return (lambda x: r.jax.nn.gelu(x, approximate=False)) if name == "gelu" else getattr(r.jax.nn, name)


def _broadcast(r: Rivals) -> Iterator[Case]:
    """Operands that do not lie side by side."""
    jnp: Any = r.jax and r.jax.numpy
    m = 64 if r.quick else 4096
    a, row, b = r.arrays((m, m), (m,), (m, m))
    size = 4.0 * m * m
    name = f"{m}x{m}"
    yield Case("elementwise", f"add row {name}", r.beside([a, row], lambda L, x, y: x + y, np.add, jnp and jnp.add),
               m * m, 2 * size)  # fmt: skip
    work = r.beside([a, b], lambda L, x, y: x + y.T, lambda x, y: x + y.T, jnp and (lambda x, y: x + y.T))
    yield Case("elementwise", f"add transposed {name}", work, m * m, 3 * size)
    work = r.beside([a, b], lambda L, x, y: L.where(x > 0, x, y), lambda x, y: np.where(x > 0, x, y),
                    jnp and (lambda x, y: jnp.where(x > 0, x, y)))  # fmt: skip
    yield Case("elementwise", f"where(x > 0, x, y) {name}", work, 0, 3.5 * size)
