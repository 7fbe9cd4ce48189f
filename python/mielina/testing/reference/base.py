"""What all references share: operands in float64, promotion, axes.

A reference takes PyTorch's arguments with NumPy arrays for tensors. It computes in float64 and returns float64 for
every floating result; integers and bool stay what PyTorch would return. `dtype=` takes NumPy dtypes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mielina.testing.dtypes import operand, result_type

Array = Any  # an ndarray; NumPy's own stubs type most results as Any, so that a stricter alias would only add casts
Dims = int | Sequence[int] | None


def f64(x: Any) -> Array:
    """x as float64."""
    return np.asarray(x, np.float64)


def num(x: Any) -> Array:
    """x as float64 if it is floating, else as it is."""
    x = np.asarray(x)
    return x.astype(np.float64) if x.dtype.kind == "f" else x


def operands(*xs: Any) -> tuple[Array, ...]:
    """The operands in their common dtype under PyTorch's promotion, where float64 stands for every floating dtype."""
    common = result_type(o for o in map(operand, xs) if o is not None)
    dtype = np.dtype("float64" if common.startswith(("float", "bfloat")) else common)
    return tuple(np.asarray(x).astype(dtype) for x in xs)


def cast(x: Any, dtype: Any = None) -> Array:
    """x in `dtype` (floating: float64); without one, as `num`."""
    if dtype is None:
        return num(x)
    dtype = np.dtype(dtype)
    return np.asarray(x).astype(np.float64 if dtype.kind == "f" else dtype)


def axes(dim: Dims, ndim: int) -> tuple[int, ...]:
    """The axes that `dim` names, non-negative; None and () name all."""
    if dim is None or (not isinstance(dim, int) and len(dim) == 0):
        return tuple(range(ndim))
    dims = [dim] if isinstance(dim, int) else list(dim)
    return tuple(d % ndim if ndim else 0 for d in dims) if ndim else ()


def at_least_1d(x: Any, dim: int = 0) -> tuple[Array, int]:
    """0-dim arrays are treated as one row by functions with a `dim`."""
    x = num(x)
    return (x.reshape(1), 0) if x.ndim == 0 else (x, dim % x.ndim)


def tuple_of(x: int | Sequence[int], n: int) -> tuple[int, ...]:
    """n numbers from one number, a sequence of one, or a sequence of n."""
    values = (x,) if isinstance(x, (int, np.integer)) else tuple(x)
    return tuple(int(v) for v in values) * (n if len(values) == 1 else 1)


def reduce_loss(loss: Array, reduction: str) -> Array:
    """'none', 'mean' or 'sum' of the elements of a loss."""
    return loss if reduction == "none" else np.mean(loss) if reduction == "mean" else np.sum(loss)
