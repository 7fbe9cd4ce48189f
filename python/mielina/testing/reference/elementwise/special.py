"""Special functions: erf and gamma families, logit, sigmoid."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mielina.testing.reference.base import Array, f64
from mielina.testing.reference.elementwise.arithmetic import _floating

erf, erfc = _floating(np.vectorize(math.erf, [float])), _floating(np.vectorize(math.erfc, [float]))
sigmoid = _floating(lambda x: np.where(x < 0, np.exp(x), 1.0) / (1 + np.exp(-np.abs(x))))


def erfinv(x: Any) -> Array:
    """w with erf(w) = x: Newton's method on erf, and on erfc near +-1 where 1 - |x| is what counts.

    The start is Winitzki's closed form (2008), good to 2e-3.
    """
    x = f64(x)
    y, a = np.abs(x), 0.147
    with np.errstate(all="ignore"):
        t = np.log((1 - y) * (1 + y))
        u = 2 / (np.pi * a) + t / 2
        w = np.sqrt(np.sqrt(u * u - t / a) - u)
        for _ in range(4):
            residual = np.where(y < 0.5, erf(w) - y, (1 - y) - erfc(w))
            w = w - residual * math.sqrt(math.pi) / 2 * np.exp(w * w)
        return np.copysign(np.where(y == 1, np.inf, np.where(y == 0, 0.0, w)), x)


def _lgamma(x: float) -> float:
    if x <= 0 and (math.isinf(x) or x == math.floor(x)) or x > 2.55e305:  # poles, and overflow
        return math.inf
    return math.lgamma(x)


def _digamma(x: float) -> float:
    """Recurrence up to 10, then the asymptotic series; reflection below 0 (Abramowitz & Stegun 6.3)."""
    if x == 0 or x == math.inf:
        return math.copysign(math.inf, x if x else -x)
    if x < 0:
        if math.isinf(x) or x == math.floor(x):
            return math.nan
        return _digamma(1 - x) - math.pi / math.tan(math.pi * (x - round(x)))
    shift = 0.0
    while x < 10:
        shift -= 1 / x
        x += 1
    z = 1 / (x * x)
    series = z * (1 / 12 - z * (1 / 120 - z * (1 / 252 - z * (1 / 240 - z * (1 / 132 - z * 691 / 32760)))))
    return shift + math.log(x) - 0.5 / x - series


lgamma, digamma = _floating(np.vectorize(_lgamma, [float])), _floating(np.vectorize(_digamma, [float]))


def polygamma(n: int, x: Any) -> Array:
    """The n-th derivative of digamma: (-1)^(n + 1) n! sum_k (x + k)^-(n + 1), 200 terms and then the sum's integral
    with three corrections (Euler and Maclaurin).
    """
    x = f64(x)
    if n == 0:
        return digamma(x)
    s, k = n + 1, np.arange(200).reshape(-1, *[1] * np.ndim(x))
    with np.errstate(divide="ignore"):
        head, t = ((x + k) ** -float(s)).sum(0), x + 200
    tail = t ** (1.0 - s) / n + t ** -float(s) / 2 + s * t ** (-s - 1.0) / 12
    tail = tail - s * (s + 1) * (s + 2) * t ** (-s - 3.0) / 720
    return (-1.0) ** s * math.factorial(n) * (head + tail)


def logit(x: Any, eps: float | None = None) -> Array:
    """log(x / (1 - x)), x clipped to [eps, 1 - eps] if eps is given."""
    x = f64(x) if eps is None else np.clip(f64(x), eps, 1 - eps)
    return np.log(x / (1 - x))


def xlogy(x: Any, y: Any) -> Array:
    """x log y, and 0 where x = 0 (unless y is NaN)."""
    x, y = f64(x), f64(y)
    return np.where(np.isnan(y), y, np.where(x == 0, 0.0, x * np.log(y)))
