"""Transforms in a row: neighbours that only move pixels become one matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..data.sampler import numpy_generator
from ..tensor import Tensor
from .warp import warp


class Transform:
    """Base class of transforms of images (N, C, H, W), or one image (C, H, W): each image draws numbers of its own.

    A transform defines `pixels` (new values), or `matrices` (new places). Random numbers come from the library's
    generator: `manual_seed` repeats them, and in the worker of a loader they depend on the batch and not on the worker.
    `arrays`: whether `pixels` takes NumPy arrays as well as tensors.
    """

    geometric = arrays = False

    def matrices(self, n: int, size: tuple[int, int], rng: np.random.Generator) -> tuple[np.ndarray, tuple[int, int]]:
        """(n, 3, 3) maps from output to input points (column, row, 1), and the output's size."""
        raise NotImplementedError

    def pixels(self, images: Any, rng: np.random.Generator) -> Any:
        """The new images (N, ...)."""
        raise NotImplementedError

    def __call__(self, images: Any, masks: Any = None) -> Any:
        """The new images; with masks (N, H, W) or (N, 1, H, W) (one image: without N) a pair of images and masks. Masks
        go where their images go, by the nearest pixel."""
        return run([self], images, masks)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v}' for k, v in vars(self).items())})"


class Compose(Transform):
    """Transforms one after the other. Geometric ones that follow each other are multiplied to one matrix an image, and
    the image is read once: it is blurred once, and corners that leave the picture in between are not lost.

    TypeError: a part that is no Transform.

    >>> both = mi.transforms.Compose([mi.transforms.RandomFlip(p=1), mi.transforms.RandomFlip(p=1)])
    >>> both(mi.tensor([[[1.0, 2.0]]]))
    tensor([[[1., 2.]]])
    """

    def __init__(self, transforms: Sequence[Transform]) -> None:
        for t in transforms:
            if not isinstance(t, Transform):
                raise TypeError(f"Compose: expected transforms, got {t!r}")
        self.transforms = list(transforms)

    def __call__(self, images: Any, masks: Any = None) -> Any:
        return run(self._flat(), images, masks)

    def _flat(self) -> list[Transform]:
        return [u for t in self.transforms for u in (t._flat() if isinstance(t, Compose) else [t])]

    def __repr__(self) -> str:
        return f"Compose({self.transforms})"


def run(transforms: Sequence[Transform], images: Any, masks: Any) -> Any:
    rng = numpy_generator()
    if not hasattr(images, "shape"):  # Pillow's
        images = np.asarray(images)
    if isinstance(images, np.ndarray) and images.ndim == 2:
        images = images[:, :, None]
    single = len(images.shape) == 3
    x = images[None] if single else images
    if len(x.shape) != 4:
        raise ValueError(f"expected images (N, C, H, W) or one image (C, H, W), got shape {tuple(images.shape)}")
    m = masks
    if masks is not None:
        m = masks[None] if single else masks
        flat_mask = m.ndim == 3
        m = m[:, None] if flat_mask else m
    i = 0
    while i < len(transforms):
        if not (isinstance(x, Tensor) or transforms[i].arrays):
            raise TypeError(
                f"{type(transforms[i]).__name__}: expected a Tensor, got {type(x).__name__}: put ToTensor() first"
            )
        if not transforms[i].geometric:
            x = transforms[i].pixels(x, rng)
            i += 1
            continue
        start = tuple(x.shape[2:])
        if m is not None and tuple(m.shape[2:]) != start:
            raise ValueError(f"masks must have the images' size {start}, got {tuple(m.shape[2:])}")
        size, total = start, np.broadcast_to(np.eye(3), (len(x), 3, 3))
        while i < len(transforms) and transforms[i].geometric:
            matrix, size = transforms[i].matrices(len(x), size, rng)
            total = total @ matrix
            i += 1
        if size != start or not np.array_equal(total, np.broadcast_to(np.eye(3), total.shape)):
            x = warp(x, total[:, :2], size)
            m = m if m is None else warp(m, total[:, :2], size, "nearest")
    if masks is None:
        return x[0] if single else x
    m = m[:, 0] if flat_mask else m
    return (x[0], m[0]) if single else (x, m)
