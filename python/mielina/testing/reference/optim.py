"""optim: one step of each optimiser on one tensor. State goes in and comes out; t counts steps from 1."""

from __future__ import annotations

from typing import Any

import numpy as np

from mielina.testing.reference.base import Array, f64


def _gradient(p: Array, g: Any, weight_decay: float, maximize: bool) -> Array:
    return (-f64(g) if maximize else f64(g)) + weight_decay * p


def sgd(
    p: Any,
    g: Any,
    buffer: Any = None,
    *,
    lr: float = 1e-3,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    maximize: bool = False,
) -> tuple[Array, Array | None]:
    """b = momentum b + (1 - dampening) g (g at the first step); p -= lr b, or lr (g + momentum b). Sutskever et al.
    2013

    Returns (p, buffer); buffer is None before the first step and without momentum.
    """
    p = f64(p)
    g = _gradient(p, g, weight_decay, maximize)
    if momentum == 0:
        return p - lr * g, None
    buffer = g if buffer is None else momentum * f64(buffer) + (1 - dampening) * g
    return p - lr * (g + momentum * buffer if nesterov else buffer), buffer


def adam(
    p: Any,
    g: Any,
    m: Any,
    v: Any,
    t: int,
    vmax: Any = None,
    *,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    amsgrad: bool = False,
    maximize: bool = False,
    decoupled: bool = False,
) -> tuple[Array, Array, Array, Array | None]:
    """m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2; p -= lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)

    amsgrad divides by the largest v so far. decoupled: p shrinks by lr weight_decay instead of g growing (AdamW).
    Kingma & Ba 2015; Reddi et al. 2018; Loshchilov & Hutter 2019. Returns (p, m, v, vmax).
    """
    p = f64(p)
    g = _gradient(p, g, 0.0 if decoupled else weight_decay, maximize)
    if decoupled:
        p = p * (1 - lr * weight_decay)
    b1, b2 = betas
    m, v = b1 * f64(m) + (1 - b1) * g, b2 * f64(v) + (1 - b2) * g * g
    vmax = np.maximum(0.0 if vmax is None else f64(vmax), v) if amsgrad else None
    size = np.sqrt((v if vmax is None else vmax) / (1 - b2**t)) + eps
    return p - lr * m / (1 - b1**t) / size, m, v, vmax


def adamw(
    p: Any, g: Any, m: Any, v: Any, t: int, vmax: Any = None, *, weight_decay: float = 1e-2, **options: Any
) -> Any:
    """adam with decoupled weight decay."""
    return adam(p, g, m, v, t, vmax, weight_decay=weight_decay, decoupled=True, **options)


def rmsprop(
    p: Any,
    g: Any,
    v: Any,
    mean: Any = None,
    buffer: Any = None,
    *,
    lr: float = 1e-2,
    alpha: float = 0.99,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum: float = 0.0,
    centered: bool = False,
    maximize: bool = False,
) -> tuple[Array, Array, Array | None, Array | None]:
    """v = alpha v + (1 - alpha) g^2; p -= lr g / (sqrt(v - mean^2) + eps), mean only if centered. Hinton 2012; Graves
    2013

    Returns (p, v, mean, buffer).
    """
    p = f64(p)
    g = _gradient(p, g, weight_decay, maximize)
    v = alpha * f64(v) + (1 - alpha) * g * g
    mean = alpha * f64(0.0 if mean is None else mean) + (1 - alpha) * g if centered else None
    step = g / (np.sqrt(v if mean is None else v - mean * mean) + eps)
    if momentum == 0:
        return p - lr * step, v, mean, None
    buffer = momentum * f64(0.0 if buffer is None else buffer) + step
    return p - lr * buffer, v, mean, buffer


def adagrad(
    p: Any,
    g: Any,
    v: Any,
    t: int,
    *,
    lr: float = 1e-2,
    lr_decay: float = 0.0,
    weight_decay: float = 0.0,
    eps: float = 1e-10,
    maximize: bool = False,
) -> tuple[Array, Array]:
    """v += g^2; p -= lr / (1 + (t - 1) lr_decay) g / (sqrt(v) + eps). Duchi et al. 2011. Returns (p, v)."""
    p = f64(p)
    g = _gradient(p, g, weight_decay, maximize)
    v = f64(v) + g * g
    return p - lr / (1 + (t - 1) * lr_decay) * g / (np.sqrt(v) + eps), v


def clip_grad_norm(gradients: Any, max_norm: float, norm_type: float = 2.0) -> tuple[list[Array], Array]:
    """All gradients times min(1, max_norm / (norm + 1e-6)), and the norm of all of them together."""
    gs = [f64(g) for g in gradients]
    norm = np.linalg.norm(np.concatenate([g.ravel() for g in gs]), norm_type)
    return [g * np.minimum(1.0, max_norm / (norm + 1e-6)) for g in gs], np.asarray(norm)
