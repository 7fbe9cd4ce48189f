"""norm: (x - mean) / sqrt(var + eps), over the axes that give each its name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mielina.testing.reference.base import Array, f64


def _standard(x: Array, over: tuple[int, ...], eps: float) -> Array:
    mean = x.mean(over, keepdims=True)
    return (x - mean) / np.sqrt(((x - mean) ** 2).mean(over, keepdims=True) + eps)


def _affine(y: Array, weight: Any, bias: Any, shape: Sequence[int]) -> Array:
    y = y if weight is None else y * f64(weight).reshape(shape)
    return y if bias is None else y + f64(bias).reshape(shape)


def batch_norm(
    x: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Array:
    """Over all axes but C (axis 1); with the running statistics when not training. Ioffe & Szegedy 2015.

    See `batch_norm_statistics` for what training does to them.
    """
    x = f64(x)
    shape = (1, -1, *[1] * (x.ndim - 2))
    if training:
        y = _standard(x, (0, *range(2, x.ndim)), eps)
    else:
        y = (x - f64(running_mean).reshape(shape)) / np.sqrt(f64(running_var).reshape(shape) + eps)
    return _affine(y, weight, bias, shape)


def batch_norm_statistics(x: Any, running_mean: Any, running_var: Any, momentum: float = 0.1) -> tuple[Array, Array]:
    """The running statistics after a training step: r += momentum (batch - r), the batch's variance unbiased."""
    x = f64(x)
    over = (0, *range(2, x.ndim))
    mean, var = x.mean(over), x.var(over, ddof=1)
    return tuple(f64(r) + momentum * (b - f64(r)) for r, b in ((running_mean, mean), (running_var, var)))


def layer_norm(
    x: Any, normalized_shape: Sequence[int], weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Array:
    """Over the last axes. Ba, Kiros & Hinton 2016"""
    x = f64(x)
    y = _standard(x, tuple(range(x.ndim - len(normalized_shape), x.ndim)), eps)
    return _affine(y, weight, bias, tuple(normalized_shape))


def rms_norm(x: Any, normalized_shape: Sequence[int], weight: Any = None, eps: float | None = None) -> Array:
    """x / sqrt(mean(x^2) + eps) over the last axes; eps None: the dtype's (here float64's). Zhang & Sennrich 2019"""
    x = f64(x)
    over = tuple(range(x.ndim - len(normalized_shape), x.ndim))
    y = x / np.sqrt((x * x).mean(over, keepdims=True) + (np.finfo(np.float64).eps if eps is None else eps))
    return _affine(y, weight, None, tuple(normalized_shape))


def group_norm(x: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Array:
    """Over each of num_groups runs of channels. Wu & He 2018"""
    x = f64(x)
    y = _standard(x.reshape(x.shape[0], num_groups, x.shape[1] // num_groups, -1), (2, 3), eps).reshape(x.shape)
    return _affine(y, weight, bias, (1, -1, *[1] * (x.ndim - 2)))


def instance_norm(
    x: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Array:
    """Over the image of each sample and channel. Ulyanov, Vedaldi & Lempitsky 2016"""
    x = f64(x)
    if not use_input_stats:
        return batch_norm(x, running_mean, running_var, weight, bias, eps=eps)
    return _affine(_standard(x, tuple(range(2, x.ndim)), eps), weight, bias, (1, -1, *[1] * (x.ndim - 2)))


def local_response_norm(x: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Array:
    """x / (k + alpha mean x^2)^beta, the mean over `size` channels around (0 outside). Krizhevsky et al. 2012, 3.3"""
    x = f64(x)
    before = size // 2
    squares = np.pad(x * x, [(0, 0), (before, size - 1 - before), *[(0, 0)] * (x.ndim - 2)])
    total = sum(squares[:, i : i + x.shape[1]] for i in range(size))
    return x / (k + alpha / size * total) ** beta


def normalize(x: Any, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Array:
    """x / max(|x|_p, eps)"""
    x = f64(x)
    return x / np.maximum(np.sum(np.abs(x) ** p, axis=dim, keepdims=True) ** (1 / p), eps)
