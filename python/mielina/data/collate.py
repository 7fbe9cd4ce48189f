"""Batches from samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import dtypes
from ..ops.creation import from_numpy, tensor
from ..tensor import Tensor


def default_collate(samples: list[Any]) -> Any:
    """A batch from samples: tensors, arrays and numbers are stacked, tuples, lists and dicts collated item by item,
    strings listed. Python floats become float64 and ints int64, as in PyTorch.

    TypeError: other types (pass collate_fn=). ValueError or RuntimeError: shapes or lengths differ.
    """
    if not samples:
        raise ValueError("default_collate: expected at least one sample")
    first = samples[0]
    if isinstance(first, Tensor):
        from ..ops.layout import stack  # type: ignore[attr-defined]

        return stack(samples)
    if isinstance(first, np.ndarray) or (isinstance(first, np.generic) and not isinstance(first, (str, bytes))):
        return _stacked(samples)
    if isinstance(first, (bool, int, float)):
        return tensor(samples, dtype=dtypes.float64 if any(isinstance(s, float) for s in samples) else None)
    if isinstance(first, (str, bytes)):
        return list(samples)
    if isinstance(first, Mapping):
        return {k: default_collate([s[k] for s in samples]) for k in first}
    if isinstance(first, (tuple, list)):
        if len({len(s) for s in samples}) != 1:
            raise RuntimeError("default_collate: samples of a batch have different lengths")
        columns = [default_collate(list(c)) for c in zip(*samples)]
        return type(first)(*columns) if hasattr(first, "_fields") else type(first)(columns)
    raise TypeError(f"default_collate: cannot batch {type(first).__name__}; pass collate_fn=")


def _stacked(samples: list[Any]) -> Tensor:
    shapes = {np.shape(s) for s in samples}
    if len(shapes) != 1:
        hint = "; ImageFolder(..., size=) makes images one size" if all(len(s) == 3 for s in shapes) else ""
        raise ValueError(f"default_collate: samples of a batch have different shapes: {sorted(shapes)}{hint}")
    array = np.stack(samples)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"default_collate: cannot batch arrays of dtype {array.dtype}; pass collate_fn=")
    return from_numpy(array)


def default_convert(sample: Any) -> Any:
    """A sample as it is, its arrays as tensors: what a loader with batch_size=None does."""
    if isinstance(sample, np.ndarray) and sample.dtype.kind in "biuf":
        return from_numpy(sample)
    if isinstance(sample, Mapping):
        return {k: default_convert(v) for k, v in sample.items()}
    if isinstance(sample, tuple) and hasattr(sample, "_fields"):
        return type(sample)(*(default_convert(v) for v in sample))
    if isinstance(sample, (tuple, list)):
        return type(sample)(default_convert(v) for v in sample)
    return sample
