"""The one place where pixels move."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _core, dtypes
from ..ops.creation import arange, as_tensor, zeros
from ..ops.layout import cat
from ..tensor import Tensor


def warp(
    images: Tensor, matrices: Any, size: tuple[int, int] | None = None, mode: str = "bilinear", border: str = "zeros"
) -> Tensor:
    """y[n, c, i, j] = x[n, c] read at the point matrices[n] @ (j, i, 1) = (column, row), in pixels; centres are whole
    numbers.

    images: (N, C, H, W), integers and bools but uint8 with mode="nearest" only; matrices: (N, 2, 3); size: (P, Q),
    default (H, W). border: what points outside read: zeros, border (the nearest pixel) or reflection. Places are
    computed in float32; nearest takes the upper neighbour half way between two. No gradient: F.grid_sample has one.
    Returns (N, C, P, Q) of the same dtype. ValueError: shapes, mode, border, an integer image with mode="bilinear".

    >>> mi.transforms.warp(mi.tensor([[[[1.0, 2.0, 3.0]]]]), [[[-1.0, 0.0, 2.0], [0.0, 1.0, 0.0]]])
    tensor([[[[3., 2., 1.]]]])
    """
    m = np.asarray(matrices, dtype=np.float64)
    if images.ndim != 4 or m.shape != (len(images), 2, 3):
        raise ValueError(f"warp: expected images (N, C, H, W) and matrices (N, 2, 3), got {images.shape} and {m.shape}")
    size = (images.shape[2], images.shape[3]) if size is None else size
    if images.dtype in (dtypes.float32, dtypes.uint8):
        return _core.warp(images, as_tensor(m), size, mode, border)
    if images.dtype.is_floating_point:
        return _core.warp(images.float(), as_tensor(m), size, mode, border).to(images.dtype)
    if mode != "nearest":
        raise ValueError(f"warp: {images.dtype} images go with mode='nearest' only; make them floats, by ToTensor")
    if images.dtype is dtypes.bool:
        return _core.warp(images.to(dtypes.uint8), as_tensor(m), size, mode, border).to(images.dtype)
    # Labels beyond 2^24 are no float32: the pixels' numbers are warped (from 1: 0 is outside), and the labels fetched.
    n, c, h, w = images.shape
    if h * w >= 2**24:
        raise ValueError(f"warp: {images.dtype} images of 2^24 pixels and more")
    pixels = arange(1, h * w + 1, dtype=dtypes.float32).reshape(1, 1, h, w).expand(n, 1, h, w)
    places = _core.warp(pixels, as_tensor(m), size, mode, border).long().reshape(n, 1, -1).expand(n, c, -1)
    labels = cat([zeros(n, c, 1, dtype=images.dtype), images.reshape(n, c, -1)], 2)
    return labels.gather(2, places).reshape(n, c, *size)  # type: ignore[no-any-return]
