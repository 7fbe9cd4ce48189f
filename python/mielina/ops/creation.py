"""New tensors: from data, or filled."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _core, dtypes
from ..dtypes import dtype as DType
from ..random import Generator, default_generator
from ..tensor import Tensor

__all__ = ["tensor", "as_tensor", "from_numpy", "empty", "empty_like", "full", "full_like", "zeros", "zeros_like", "ones", "ones_like", "rand"]


def _shape(size: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(size[0]) if len(size) == 1 and isinstance(size[0], (tuple, list)) else size


def tensor(data: Any, *, dtype: DType | None = None, requires_grad: bool = False) -> Tensor:
    """A new tensor with a copy of `data`: a number, nested lists, a NumPy array or a tensor.

    Python floats give the default dtype, ints int64, bools bool. TypeError for data without a tensor dtype.
    """
    if isinstance(data, Tensor):
        t = _core.clone(data)
    else:
        a = np.asarray(data)
        if a.dtype == np.float64 and not isinstance(data, (np.ndarray, np.generic)):
            t = _core.convert(_core.from_numpy(np.ascontiguousarray(a).reshape(a.shape)), dtype or dtypes.get_default_dtype())
        else:
            dtypes.from_numpy(a.dtype)
            t = _core.clone(_core.from_numpy(np.array(a, order="C", copy=True)))
    if dtype is not None and t.dtype is not dtype:
        t = _core.convert(t, dtype)
    return t.requires_grad_() if requires_grad else t  # type: ignore[no-any-return]


def from_numpy(array: np.ndarray) -> Tensor:
    """A tensor on the array's own memory. TypeError for a dtype that tensors lack; ValueError for foreign byte order."""
    return _core.from_numpy(array)  # type: ignore[no-any-return]


def as_tensor(data: Any, dtype: DType | None = None) -> Tensor:
    """`data` as a tensor, sharing memory where it can."""
    if isinstance(data, Tensor):
        t = data
    elif isinstance(data, np.ndarray):
        t = from_numpy(data)
    else:
        return tensor(data, dtype=dtype)
    return t if dtype is None or t.dtype is dtype else t.to(dtype)


def empty(*size: Any, dtype: DType | None = None, requires_grad: bool = False) -> Tensor:
    """A new tensor with undefined contents."""
    t = _core.empty(_shape(size), dtype or dtypes.get_default_dtype())
    return t.requires_grad_() if requires_grad else t  # type: ignore[no-any-return]


def empty_like(input: Tensor, *, dtype: DType | None = None, requires_grad: bool = False) -> Tensor:
    """A new tensor with input's shape, dtype and stride order, and undefined contents."""
    t = _core.empty_like(input, dtype or input.dtype)
    return t.requires_grad_() if requires_grad else t  # type: ignore[no-any-return]


def full(size: Any, fill_value: Any, *, dtype: DType | None = None, requires_grad: bool = False) -> Tensor:
    """A new tensor filled with one number, whose kind gives the dtype unless `dtype` does."""
    if dtype is None:
        dtype = dtypes.bool if isinstance(fill_value, bool) else dtypes.int64 if isinstance(fill_value, int) else dtypes.get_default_dtype()
    t = empty(_shape((size,)) if not isinstance(size, int) else (size,), dtype=dtype)
    _core.fill_(t, fill_value)
    return t.requires_grad_() if requires_grad else t


def full_like(input: Tensor, fill_value: Any, *, dtype: DType | None = None, requires_grad: bool = False) -> Tensor:
    t = empty_like(input, dtype=dtype)
    _core.fill_(t, fill_value)
    return t.requires_grad_() if requires_grad else t


def zeros(*size: Any, dtype: DType | None = None, requires_grad: bool = False) -> Tensor:
    return full(_shape(size), 0, dtype=dtype or dtypes.get_default_dtype(), requires_grad=requires_grad)


def zeros_like(input: Tensor, *, dtype: DType | None = None, requires_grad: bool = False) -> Tensor:
    return full_like(input, 0, dtype=dtype, requires_grad=requires_grad)


def ones(*size: Any, dtype: DType | None = None, requires_grad: bool = False) -> Tensor:
    return full(_shape(size), 1, dtype=dtype or dtypes.get_default_dtype(), requires_grad=requires_grad)


def ones_like(input: Tensor, *, dtype: DType | None = None, requires_grad: bool = False) -> Tensor:
    return full_like(input, 1, dtype=dtype, requires_grad=requires_grad)


def rand(*size: Any, generator: Generator | None = None, dtype: DType | None = None, requires_grad: bool = False) -> Tensor:
    """Uniform numbers in [0, 1)."""
    shape, dtype = _shape(size), dtype or dtypes.get_default_dtype()
    n = 1
    for s in shape:
        n *= s
    key = _core.take_key((generator or default_generator).state, n, dtype)
    t = _core.uniform(shape, dtype, key, 0.0, 1.0)
    return t.requires_grad_() if requires_grad else t  # type: ignore[no-any-return]
