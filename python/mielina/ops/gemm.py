"""Products of matrices."""

from __future__ import annotations

from typing import Any

from .. import _core, amp
from ..autograd import op, record
from ..tensor import Tensor, method, method_as
from .layout import reshape, transpose, unsqueeze
from .reduce import sum, sum_to

__all__ = ["matmul"]
__functional__ = ["linear"]


@method_as("__matmul__")
@method
def matmul(input: Tensor, other: Tensor) -> Tensor:
    """Matrix product: (..., M, K) by (..., K, N) with broadcast batches; vectors act as a row on the left, a column on the
    right, and their axis is removed.

    RuntimeError: inner sizes or dtypes differ.
    """
    if amp.anywhere:
        input, other = amp.cast_inputs(input, other)
    return record(_core.matmul(input, other), MATMUL, (input, other), (input, other))  # type: ignore[no-any-return]


method_as("__rmatmul__")(lambda self, other: matmul(other, self))


def _matmul_rule(g: Tensor, needs: Any, a: Tensor, b: Tensor) -> Any:
    # Vectors as matrices: the rule is then dA = G B^T, dB = A^T G.
    m, n = unsqueeze(a, 0) if a.ndim == 1 else a, unsqueeze(b, 1) if b.ndim == 1 else b
    if a.ndim == 1:
        g = unsqueeze(g, -1 if b.ndim == 1 else -2)
    if b.ndim == 1:
        g = unsqueeze(g, -1)
    da = db = None
    if needs[0]:
        da = sum_to(matmul(g, transpose(n, -2, -1)), m.shape) if m.ndim != g.ndim or m.shape[:-2] != g.shape[:-2] else matmul(g, transpose(n, -2, -1))
        da = reshape(da, a.shape) if a.ndim == 1 else da
    if needs[1]:
        if n.ndim == 2 and m.ndim > 2:  # one product over the folded batch instead of a sum of products
            db = matmul(transpose(reshape(m, (-1, m.shape[-1])), 0, 1), reshape(g, (-1, g.shape[-1]))) if m.numel() else sum_to(matmul(transpose(m, -2, -1), g), n.shape)
        else:
            db = matmul(transpose(m, -2, -1), g)
            db = db if db.shape == n.shape else sum_to(db, n.shape)
        db = reshape(db, b.shape) if b.ndim == 1 else db
    return da, db


MATMUL = op("matmul", _matmul_rule)


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y = x W^T + b. input: (..., in), weight: (out, in) or (in), bias: (out) or None. Returns (..., out).

    RuntimeError: sizes or dtypes differ.
    """
    if amp.anywhere:
        input, weight, bias = amp.cast_inputs(input, weight, bias)
    return record(_core.linear(input, weight, bias), LINEAR, (input, weight, bias), (input, weight))  # type: ignore[no-any-return]


def _linear_rule(g: Tensor, needs: Any, x: Tensor, w: Tensor) -> Any:
    if w.ndim == 1:
        g = unsqueeze(g, -1)
    matrix = unsqueeze(w, 0) if w.ndim == 1 else w
    dx = matmul(g, matrix) if needs[0] else None
    dw = db = None
    if needs[1]:
        flat = g if g.ndim == 2 else reshape(g, (-1, g.shape[-1])) if g.numel() else reshape(g, (0, g.shape[-1]))
        rows = x if x.ndim == 2 else reshape(x, (flat.shape[0], x.shape[-1]))
        dw = matmul(transpose(flat, 0, 1), rows)
        dw = reshape(dw, w.shape) if w.ndim == 1 else dw
    if needs[2]:
        db = sum(g, tuple(range(g.ndim - 1))) if g.ndim > 1 else g
    return dx, dw, db


LINEAR = op("linear", _linear_rule)
