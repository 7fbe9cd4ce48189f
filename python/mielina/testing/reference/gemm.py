"""gemm: products of matrices, and what is made of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mielina.testing.reference.base import Array, f64, num, operands


def matmul(a: Any, b: Any) -> Array:
    """c[..., m, n] = sum_k a[..., m, k] b[..., k, n]; vectors are a row on the left, a column on the right."""
    return np.asarray(np.matmul(*operands(a, b)))


mv = dot = bmm = matmul


def linear(x: Any, weight: Any, bias: Any = None) -> Array:
    """x weight^T + bias; weight: (out, in) or (in)."""
    y = matmul(x, np.asarray(weight).T)
    return y if bias is None else y + num(bias)


def bilinear(a: Any, b: Any, weight: Any, bias: Any = None) -> Array:
    """y[..., o] = sum_ij a[..., i] weight[o, i, j] b[..., j] + bias[o]"""
    y = np.einsum("...i,oij,...j->...o", f64(a), f64(weight), f64(b))
    return y if bias is None else y + f64(bias)


def _add_product(x: Any, product: Array, beta: float, alpha: float) -> Array:
    """beta x + alpha product; beta = 0 ignores x, NaN too."""
    scaled = product * product.dtype.type(alpha)
    return scaled if beta == 0 else num(x) * product.dtype.type(beta) + scaled


def addmm(x: Any, a: Any, b: Any, *, beta: float = 1, alpha: float = 1) -> Array:
    return _add_product(x, matmul(a, b), beta, alpha)


baddbmm = addmm


def outer(a: Any, b: Any) -> Array:
    return np.multiply.outer(*operands(a, b))


def inner(a: Any, b: Any) -> Array:
    """Sums over the last axis of both."""
    return np.asarray(np.inner(*operands(a, b)))


def tensordot(a: Any, b: Any, dims: Any = 2) -> Array:
    a, b = operands(a, b)
    return np.asarray(np.tensordot(a, b, axes=dims))


def kron(a: Any, b: Any) -> Array:
    return np.kron(*operands(a, b))


def einsum(equation: str, *operands_: Any) -> Array:
    """Einstein's sum: repeated, broadcast (size 1) and elided indices; an ellipsis that the output lacks is summed."""
    xs = operands_[0] if len(operands_) == 1 and isinstance(operands_[0], (list, tuple)) else operands_
    left, arrow, right = equation.replace(" ", "").partition("->")
    if not arrow or "..." not in left or "..." in right:
        return np.asarray(np.einsum(equation, *operands(*xs)))
    y = np.einsum(f"{left}->{right}...", *operands(*xs))
    return np.asarray(np.sum(y, axis=tuple(range(len(right), y.ndim))))


def cdist(a: Any, b: Any, p: float = 2.0, compute_mode: str | None = None) -> Array:
    """y[..., i, j] = |a[..., i, :] - b[..., j, :]|_p"""
    d = np.abs(f64(a)[..., :, None, :] - f64(b)[..., None, :, :])
    if p == np.inf:
        return np.max(d, axis=-1, initial=0.0)
    if p == 0:
        return f64(np.sum(d != 0, axis=-1))
    return np.asarray(np.sum(d**p, axis=-1) ** (1 / p))


def block_diag(*xs: Any) -> Array:
    """The matrices along the diagonal of one matrix; vectors are rows."""
    blocks: Sequence[Array] = [np.atleast_2d(x) for x in operands(*xs)]
    y = np.zeros(np.sum([b.shape for b in blocks], axis=0), blocks[0].dtype)
    i = j = 0
    for b in blocks:
        y[i : i + b.shape[0], j : j + b.shape[1]] = b
        i, j = i + b.shape[0], j + b.shape[1]
    return y
