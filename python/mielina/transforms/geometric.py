"""Transforms that only move pixels: matrices from output to input points (column, row, 1)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .compose import Transform

Size = tuple[int, int]


def _between(value: Any, name: str) -> tuple[float, float]:
    """(low, high) of a pair, or (-v, v) of one number."""
    low, high = (-value, value) if np.ndim(value) == 0 else value
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise ValueError(f"{name} must be a number or a pair (low, high), got {value!r}")
    return float(low), float(high)


def _matrix(n: int, a: Any = 1, b: Any = 0, c: Any = 0, d: Any = 0, e: Any = 1, f: Any = 0) -> np.ndarray:
    """[[a, b, c], [d, e, f], [0, 0, 1]] for numbers or (n,) arrays."""
    m = np.zeros((n, 3, 3))
    for k, value in enumerate((a, b, c, d, e, f)):
        m[:, k // 3, k % 3] = value
    m[:, 2, 2] = 1
    return m


def _about_centre(size: Size, n: int, a: Any = 1, b: Any = 0, d: Any = 0, e: Any = 1) -> np.ndarray:
    y, x = (size[0] - 1) / 2, (size[1] - 1) / 2
    return _matrix(n, a, b, x - a * x - b * y, d, e, y - d * x - e * y)


class Geometric(Transform):
    geometric = True

    def one(self, n: int, size: Size, rng: np.random.Generator) -> np.ndarray:
        """matrices, where the size stays."""
        raise NotImplementedError

    def matrices(self, n: int, size: Size, rng: np.random.Generator) -> tuple[np.ndarray, Size]:
        return self.one(n, size, rng), size


class RandomFlip(Geometric):
    """Mirrors an image left to right ("horizontal"), top to bottom ("vertical"), or each ("both"), with probability p.

    >>> mi.transforms.RandomFlip(p=1)(mi.tensor([[[1.0, 2.0]]]))
    tensor([[[2., 1.]]])
    """

    def __init__(self, mode: str = "horizontal", p: float = 0.5) -> None:
        if mode not in ("horizontal", "vertical", "both") or not 0 <= p <= 1:
            raise ValueError(f"RandomFlip: mode horizontal, vertical or both and p in [0, 1], got {mode!r}, {p!r}")
        self.mode, self.p = mode, p

    def one(self, n: int, size: Size, rng: np.random.Generator) -> np.ndarray:
        x, y = np.where(rng.random((2, n)) < self.p, -1.0, 1.0)
        return _about_centre(size, n, x if self.mode != "vertical" else 1, e=y if self.mode != "horizontal" else 1)


class RandomRotation(Geometric):
    """Turns an image counter-clockwise about its centre by an angle in degrees: within +-degrees, or in (low, high)."""

    def __init__(self, degrees: Any) -> None:
        self.degrees = _between(degrees, "RandomRotation: degrees")

    def one(self, n: int, size: Size, rng: np.random.Generator) -> np.ndarray:
        # A quarter turn is exact: sin and cos of 90 degrees as they should be.
        angle = rng.uniform(*self.degrees, n)
        quarters = np.round(angle / 90)
        rest = np.deg2rad(angle - 90 * quarters)
        c, s = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]])[quarters.astype(int) % 4].T
        c, s = c * np.cos(rest) - s * np.sin(rest), s * np.cos(rest) + c * np.sin(rest)
        return _about_centre(size, n, c, -s, s, c)


class RandomTranslation(Geometric):
    """Moves an image by fractions of its height (down) and width (right): within +-value, or in (low, high)."""

    def __init__(self, height: Any = 0.1, width: Any = 0.1) -> None:
        self.height, self.width = (_between(v, "RandomTranslation") for v in (height, width))

    def one(self, n: int, size: Size, rng: np.random.Generator) -> np.ndarray:
        down, right = rng.uniform(*self.height, n) * size[0], rng.uniform(*self.width, n) * size[1]
        return _matrix(n, c=-right, f=-down)


class RandomShear(Geometric):
    """Slides rows sideways about the centre by the tangent of an angle in degrees: within +-degrees, or (low, high)."""

    def __init__(self, degrees: Any) -> None:
        self.degrees = _between(degrees, "RandomShear: degrees")
        if max(map(abs, self.degrees)) >= 90:
            raise ValueError(f"RandomShear: degrees must lie in (-90, 90), got {degrees!r}")

    def one(self, n: int, size: Size, rng: np.random.Generator) -> np.ndarray:
        return _about_centre(size, n, b=np.tan(np.deg2rad(rng.uniform(*self.degrees, n))))


class RandomZoom(Geometric):
    """Magnifies an image about its centre by a factor in (low, high), drawn evenly in its logarithm; above 1 is
    nearer."""

    def __init__(self, low: float = 0.8, high: float = 1.25) -> None:
        if not 0 < low <= high < math.inf:
            raise ValueError(f"RandomZoom: expected 0 < low <= high, got {low}, {high}")
        self.low, self.high = low, high

    def one(self, n: int, size: Size, rng: np.random.Generator) -> np.ndarray:
        k = np.exp(-rng.uniform(math.log(self.low), math.log(self.high), n))
        return _about_centre(size, n, k, e=k)


def _size(size: Any, name: str) -> Size:
    h, w = (size, size) if np.ndim(size) == 0 else size
    if h < 1 or w < 1 or h != int(h) or w != int(w):
        raise ValueError(f"{name}: size must be whole numbers from 1 up, got {size!r}")
    return int(h), int(w)


class Resize(Geometric):
    """Every image to `size`, (height, width) or one number for both, bilinear: output i lies at (i + 1/2) n / m - 1/2.

    Shrinking reads four pixels a point and blurs nothing away first; F.interpolate(..., antialias=True) does.
    """

    def __init__(self, size: Any) -> None:
        self.size = _size(size, "Resize")

    def matrices(self, n: int, size: Size, rng: np.random.Generator) -> tuple[np.ndarray, Size]:
        y, x = size[0] / self.size[0], size[1] / self.size[1]
        return _matrix(n, x, c=x / 2 - 0.5, e=y, f=y / 2 - 0.5), self.size


class CenterCrop(Geometric):
    """The middle `size` of an image, (height, width) or one number for both; zeros where the image is smaller."""

    def __init__(self, size: Any) -> None:
        self.size = _size(size, type(self).__name__)

    def matrices(self, n: int, size: Size, rng: np.random.Generator) -> tuple[np.ndarray, Size]:
        y, x = (int(round((a - b) / 2)) for a, b in zip(size, self.size))
        return _matrix(n, c=x, f=y), self.size


class RandomCrop(CenterCrop):
    """A random part of `size`, of the image with `padding` zeros on every side. ValueError: larger than that."""

    def __init__(self, size: Any, padding: int = 0) -> None:
        super().__init__(size)
        self.padding = padding

    def matrices(self, n: int, size: Size, rng: np.random.Generator) -> tuple[np.ndarray, Size]:
        room = [a + 2 * self.padding - b for a, b in zip(size, self.size)]
        if min(room) < 0:
            raise ValueError(f"RandomCrop: {self.size} is larger than images of {size} with padding {self.padding}")
        y, x = (rng.integers(0, r + 1, n) - self.padding for r in room)
        return _matrix(n, c=x, f=y), self.size
