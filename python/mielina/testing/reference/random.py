"""random: Philox 4x32-10 bit by bit, and what is drawn with it.

Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mielina.testing.reference.base import Array, f64, num

Key = tuple[int, int]  # (seed, offset), as a generator's state


def philox(key: Key, count: int) -> Array:
    """`count` 32-bit words: word i is lane i % 4 of counter offset + i // 4 under the seed.

    Ten rounds of (c0, c1, c2, c3) -> (hi(m1 c2) ^ c1 ^ k0, lo(m1 c2), hi(m0 c0) ^ c3 ^ k1, lo(m0 c0)); the counter
    stands in c0 (low) and c1 (high), the seed in k0 (low) and k1 (high).
    """
    seed, offset = key
    counter = np.arange(-(-count // 4), dtype=np.uint64) + np.uint64(offset)
    mask, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    c = [counter & mask, counter >> shift, np.zeros_like(counter), np.zeros_like(counter)]
    k0, k1 = seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF
    for _ in range(10):
        a, b = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [(b >> shift) ^ c[1] ^ np.uint64(k0), b & mask, (a >> shift) ^ c[3] ^ np.uint64(k1), a & mask]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack(c, axis=-1).ravel()[:count].astype(np.uint32)


def uniform(key: Key, shape: Sequence[int], low: float = 0.0, high: float = 1.0, *, bits: int = 24) -> Array:
    """low + u (high - low): u has 24 random bits, word i >> 8, or 53 for float64, words 2 i and 2 i + 1 >> 11."""
    count = int(np.prod(shape, dtype=np.int64))
    if bits == 24:
        whole = philox(key, count).astype(np.uint64) >> np.uint64(8)
    else:
        pairs = philox(key, 2 * count).astype(np.uint64).reshape(-1, 2)
        whole = (pairs[:, 0] << np.uint64(32) | pairs[:, 1]) >> np.uint64(11)
    return low + whole.astype(np.float64).reshape(tuple(shape)) * 2.0**-bits * (high - low)


def dropout(x: Any, p: float = 0.5, training: bool = True, *, key: Key = (0, 0), bits: int = 24) -> Array:
    """x / (1 - p) where element i's uniform is >= p, else 0. Srivastava et al. 2014"""
    x = f64(x)
    if not training or p == 0:
        return x
    return np.where(uniform(key, x.shape, bits=bits) >= p, x / (1 - p), 0.0) if p < 1 else np.zeros_like(x)


def dropout2d(x: Any, p: float = 0.5, training: bool = True, *, key: Key = (0, 0)) -> Array:
    """Whole channels (N, C) are dropped. Tompson et al. 2015"""
    x = f64(x)
    mask = dropout(np.ones((*x.shape[:2], *[1] * (x.ndim - 2))), p, training, key=key)
    return x * mask


def alpha_dropout(x: Any, p: float = 0.5, training: bool = False, *, key: Key = (0, 0)) -> Array:
    """Dropped elements become selu's lower bound, then a x + b restores mean 0 and variance 1. Klambauer et al. 2017"""
    return _alpha(f64(x), p, training, uniform(key, np.shape(x)) >= p)


def feature_alpha_dropout(x: Any, p: float = 0.5, training: bool = False, *, key: Key = (0, 0)) -> Array:
    """alpha_dropout of whole channels (N, C)."""
    return _alpha(f64(x), p, training, uniform(key, (*np.shape(x)[:2], *[1] * (np.ndim(x) - 2))) >= p)


def _alpha(x: Array, p: float, training: bool, keep: Array) -> Array:
    if not training or p == 0:
        return x
    if p == 1:
        return np.zeros_like(x)
    low = -1.7580993408473766  # -scale alpha of selu
    a = ((1 - p) * (1 + p * low * low)) ** -0.5
    return a * np.where(keep, x, low) - a * p * low


def rrelu(
    x: Any,
    lower: float = 1 / 8,
    upper: float = 1 / 3,
    training: bool = False,
    *,
    key: Key = (0, 0),
) -> Array:
    """leaky_relu with a slope drawn from [lower, upper) for each element, its mean when not training. Xu et al. 2015"""
    x = f64(x)
    slope = uniform(key, x.shape, lower, upper) if training else (lower + upper) / 2
    return np.where(x >= 0, x, slope * x)


def bernoulli(p: Any, *, key: Key = (0, 0)) -> Array:
    """1 with probability p[i], else 0."""
    p = num(p)
    return (uniform(key, p.shape) < p).astype(p.dtype)


def rand(*size: int, key: Key = (0, 0)) -> Array:
    return uniform(key, size)


def gaussian(key: Key, shape: Sequence[int]) -> Array:
    """Box & Muller 1958: words 2 i and 2 i + 1 give elements 2 i and 2 i + 1, sqrt(-2 log u) (cos, sin)(2 pi v).

    u = (word >> 8 + 1) 2^-24 in (0, 1], v = (word >> 8) 2^-24.
    """
    count = int(np.prod(shape, dtype=np.int64))
    words = (philox(key, count + count % 2) >> np.uint32(8)).astype(np.float64).reshape(-1, 2)
    radius, angle = np.sqrt(-2 * np.log((words[:, 0] + 1) * 2.0**-24)), 2 * np.pi * words[:, 1] * 2.0**-24
    pairs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
    return pairs.ravel()[:count].reshape(tuple(shape))


def randn(*size: int, key: Key = (0, 0)) -> Array:
    return gaussian(key, size)


def normal(mean: Any, std: Any, size: Sequence[int] | None = None, *, key: Key = (0, 0)) -> Array:
    """mean + std z, of the shape that both broadcast to, or of `size`."""
    mean, std = f64(mean), f64(std)
    return mean + std * gaussian(key, np.broadcast_shapes(mean.shape, std.shape) if size is None else size)


def randint(low: int, high: int, size: Sequence[int], *, key: Key = (0, 0)) -> Array:
    """Whole numbers in [low, high): low + floor(word (high - low) / 2^32). Lemire 2019 without the rejection."""
    words = philox(key, int(np.prod(size, dtype=np.int64))).astype(object).reshape(tuple(size))
    return np.asarray(low + (words * (high - low) >> 32), np.int64)


def randperm(n: int, *, key: Key = (0, 0)) -> Array:
    """The stable order of n words."""
    return np.argsort(philox(key, n), kind="stable")


def multinomial(weights: Any, num_samples: int, replacement: bool = False, *, key: Key = (0, 0)) -> Array:
    """Draws from rows of weights: with replacement by inverting the cumulative sum; without, the num_samples largest
    of log(w) - log(-log u), in that order (Gumbel top-k; Kool et al. 2019)."""
    w = np.atleast_2d(f64(weights))
    if replacement:
        u = uniform(key, (len(w), num_samples))
        total = np.cumsum(w, axis=1)
        drawn = np.stack([np.searchsorted(t, v * t[-1], side="right") for t, v in zip(total, u, strict=True)])
    else:
        with np.errstate(divide="ignore"):
            score = np.log(w) - np.log(-np.log(uniform(key, w.shape)))
        drawn = np.argsort(-score, axis=1, kind="stable")[:, :num_samples]
    return drawn.reshape(*np.shape(weights)[:-1], num_samples)
