"""Transforms that change values and leave places alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import dtypes
from ..nn import functional as F
from ..ops.creation import as_tensor
from ..ops.elementwise import where
from ..tensor import Tensor
from .compose import Transform
from .geometric import _between


class ToTensor(Transform):
    """uint8 images (N, H, W, C) or (H, W, C) of 0..255 become float32 (N, C, H, W) or (C, H, W) of 0..1; one image may
    be Pillow's, or an array (H, W).

    TypeError: another dtype. ValueError: no 1, 2, 3 or 4 channels at the end.
    """

    arrays = True

    def pixels(self, images: Any, rng: np.random.Generator) -> Tensor:
        x = images if isinstance(images, Tensor) else as_tensor(np.ascontiguousarray(images))
        if x.dtype is not dtypes.uint8:
            raise TypeError(f"ToTensor: expected uint8 images, got {x.dtype}")
        if x.shape[3] > 4:
            raise ValueError(f"ToTensor: expected channels last, got images of shape {x.shape[1:]}")
        return x.permute(0, 3, 1, 2).float().contiguous() / 255  # type: ignore[no-any-return]


def _each(values: np.ndarray, images: Tensor) -> Tensor:
    """One number an image, (N, 1, 1, 1). TypeError: images that are no floats, whose full scale is not 1."""
    if not images.dtype.is_floating_point:
        raise TypeError(f"expected images as floats of 0 to 1, got {images.dtype}: put ToTensor() first")
    return as_tensor(values.astype(np.float32)).to(images.dtype).reshape(-1, 1, 1, 1)  # type: ignore[no-any-return]


class Normalize(Transform):
    """(x - mean) / std, channel by channel. ValueError: std of 0, or another number of channels.

    >>> mi.transforms.Normalize([1.0], [2.0])(mi.tensor([[[5.0]]]))
    tensor([[[2.]]])
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        self.mean, self.std = tuple(mean), tuple(std)
        if len(self.mean) != len(self.std) or not all(self.std):
            raise ValueError(f"Normalize: mean and std of one length, std not 0; got {self.mean}, {self.std}")

    def pixels(self, images: Any, rng: np.random.Generator) -> Tensor:
        if images.shape[1] not in (len(self.mean), 1) and len(self.mean) > 1:
            raise ValueError(f"Normalize: {len(self.mean)} means for images of {images.shape[1]} channels")
        mean, std = (
            as_tensor(np.array(v, np.float32)).to(images.dtype).reshape(-1, 1, 1) for v in (self.mean, self.std)
        )
        return (images - mean) / std  # type: ignore[no-any-return]


class RandomBrightness(Transform):
    """Adds a number an image: within +-delta, or in (low, high), of a full scale of 1; results are cut to [0, 1]."""

    def __init__(self, delta: Any = 0.2) -> None:
        self.delta = _between(delta, "RandomBrightness: delta")

    def pixels(self, images: Any, rng: np.random.Generator) -> Tensor:
        return (images + _each(rng.uniform(*self.delta, len(images)), images)).clamp(0, 1)  # type: ignore[no-any-return]


class RandomContrast(Transform):
    """m + k (x - m), m the mean of each channel of an image, k - 1 within +-delta, or in (low, high); cut to [0, 1]."""

    def __init__(self, delta: Any = 0.2) -> None:
        self.delta = _between(delta, "RandomContrast: delta")

    def pixels(self, images: Any, rng: np.random.Generator) -> Tensor:
        k = _each(1 + rng.uniform(*self.delta, len(images)), images)
        mean = images.mean((2, 3), keepdim=True)
        return (mean + k * (images - mean)).clamp(0, 1)  # type: ignore[no-any-return]


class RandomErasing(Transform):
    """A rectangle of an image becomes `value`, with probability p: its area a fraction in `scale`, its height to width
    in `ratio`, even in the logarithm. Source: Zhong et al. 2020."""

    def __init__(
        self,
        p: float = 0.5,
        scale: tuple[float, float] = (0.02, 0.33),
        ratio: tuple[float, float] = (0.3, 3.3),
        value: float = 0.0,
    ) -> None:
        if not (0 <= p <= 1 and 0 <= scale[0] <= scale[1] <= 1 and 0 < ratio[0] <= ratio[1]):
            raise ValueError(f"RandomErasing: p and scale in [0, 1] and ratio above 0, got {p}, {scale}, {ratio}")
        self.p, self.scale, self.ratio, self.value = p, scale, ratio, value

    def pixels(self, images: Any, rng: np.random.Generator) -> Tensor:
        n, _, h, w = images.shape
        hit, area = rng.random(n) < self.p, rng.uniform(*self.scale, n) * h * w
        low, high = np.log(self.ratio)
        ratio, place = np.exp(rng.uniform(low, high, n)), rng.random((2, n))
        sides = [
            np.clip(np.round(s), 1, m).astype(int) for s, m in ((np.sqrt(area * ratio), h), (np.sqrt(area / ratio), w))
        ]
        inside = []
        for side, m, u in zip(sides, (h, w), place):
            first = np.floor(u * (m - side + 1))[:, None]
            inside.append((np.arange(m) >= first) & (np.arange(m) < first + side[:, None]))
        mask = as_tensor((inside[0][:, None, :, None] & inside[1][:, None, None, :]) & hit[:, None, None, None])
        return where(mask, self.value, images)  # type: ignore[no-any-return]


class Mixup:
    """Batches of mixed images and targets: x = k x + (1 - k) x', and the targets alike; k from Beta(alpha,
    alpha), one a sample, x' the batch in another order. labels (N,) whole numbers become probabilities (N, classes), as
    F.cross_entropy takes them; other targets must be floating.

    classes: their number, needed for labels. ValueError: alpha not above 0. Source: Zhang et al. 2018.
    """

    def __init__(self, alpha: float = 0.2, classes: int | None = None) -> None:
        if not alpha > 0:
            raise ValueError(f"Mixup: alpha must be above 0, got {alpha}")
        self.alpha, self.classes = alpha, classes

    def __call__(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        from ..data.sampler import numpy_generator

        rng, n = numpy_generator(), len(images)
        t = targets
        if not t.dtype.is_floating_point:
            if self.classes is None:
                raise ValueError("Mixup: labels need classes=, their number")
            t = F.one_hot(t.long(), self.classes).to(images.dtype)  # type: ignore[attr-defined]
        k, other = rng.beta(self.alpha, self.alpha, n).astype(np.float32), as_tensor(rng.permutation(n))

        def mixed(x: Tensor) -> Tensor:
            share = as_tensor(k).to(x.dtype).reshape(-1, *(1,) * (x.ndim - 1))
            return x * share + x.index_select(0, other) * (1 - share)  # type: ignore[no-any-return]

        return mixed(images), mixed(t)
