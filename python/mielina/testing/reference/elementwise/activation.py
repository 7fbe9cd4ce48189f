"""The activations of nn.functional."""

from __future__ import annotations

from typing import Any

import numpy as np

from mielina.testing.reference.base import Array, f64, num
from mielina.testing.reference.elementwise.arithmetic import _floating
from mielina.testing.reference.elementwise.special import erf, sigmoid


def relu(x: Any) -> Array:
    """max(x, 0); NaN stays."""
    x = num(x)
    return np.maximum(x, x.dtype.type(0))


def relu6(x: Any) -> Array:
    return hardtanh(x, 0, 6)


def hardtanh(x: Any, min_val: float = -1, max_val: float = 1) -> Array:
    x = num(x)
    return np.clip(x, x.dtype.type(min_val), x.dtype.type(max_val))


def threshold(x: Any, threshold: float, value: float) -> Array:
    """value where x <= threshold, else x."""
    x = num(x)
    return np.where(x <= threshold, x.dtype.type(value), x)


def leaky_relu(x: Any, negative_slope: float = 0.01) -> Array:
    x = f64(x)
    return np.where(x > 0, x, negative_slope * x)


def prelu(x: Any, weight: Any) -> Array:
    """leaky_relu with a slope for each channel (axis 1), or one for all."""
    x, weight = f64(x), f64(weight)
    return leaky_relu(x, weight.reshape(-1, *[1] * (x.ndim - 2)) if weight.size > 1 else weight.reshape(()))


def elu(x: Any, alpha: float = 1.0) -> Array:
    """x where x > 0, else alpha (exp(x) - 1)"""
    x = f64(x)
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def celu(x: Any, alpha: float = 1.0) -> Array:
    """x where x > 0, else alpha (exp(x / alpha) - 1)"""
    x = f64(x)
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0) / alpha))


def selu(x: Any) -> Array:
    """Klambauer et al. 2017"""
    return 1.0507009873554804934193349852946 * elu(x, 1.6732632423543772848170429916717)


def gelu(x: Any, approximate: str = "none") -> Array:
    """x Phi(x), or its tanh form. Hendrycks & Gimpel 2016"""
    x = f64(x)
    if approximate == "tanh":
        return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * (1 + erf(x / np.sqrt(2)))


silu = _floating(lambda x: x * sigmoid(x))
mish = _floating(lambda x: x * np.tanh(np.logaddexp(0, x)))
logsigmoid = _floating(lambda x: -np.logaddexp(0, -x))
softsign = _floating(lambda x: x / (1 + np.abs(x)))
tanhshrink = _floating(lambda x: x - np.tanh(x))
hardsigmoid = _floating(lambda x: np.clip(x + 3, 0, 6) / 6)
hardswish = _floating(lambda x: x * (np.clip(x + 3, 0, 6) / 6))


def softplus(x: Any, beta: float = 1, threshold: float = 20) -> Array:
    """log(1 + exp(beta x)) / beta, and x where beta x > threshold."""
    x = f64(x)
    return np.where(beta * x > threshold, x, np.logaddexp(0, beta * x) / beta)


def hardshrink(x: Any, lambd: float = 0.5) -> Array:
    """0 where |x| <= lambd, else x."""
    x = f64(x)
    return np.where(np.abs(x) <= lambd, 0.0, x)


def softshrink(x: Any, lambd: float = 0.5) -> Array:
    """x moved toward 0 by lambd."""
    x = f64(x)
    return np.where(x > lambd, x - lambd, np.where(x < -lambd, x + lambd, x * 0.0))


def glu(x: Any, dim: int = -1) -> Array:
    """a sigmoid(b), where a and b are the halves of x along dim. Dauphin et al. 2017"""
    a, b = np.split(f64(x), 2, axis=dim)
    return a * sigmoid(b)
