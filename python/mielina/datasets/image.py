"""Image files as arrays, and how images become a network's input."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..ops.creation import from_numpy
from ..tensor import Tensor

_FORMATS = ("PNG", "JPEG")  # the decoders that are let near a file, whatever it is called


def _pillow() -> Any:
    try:
        import PIL.Image
        import PIL.ImageOps
    except ImportError as e:
        raise ImportError('image files need Pillow: pip install "mielina[image]"') from e
    return PIL


def opened(path: str | os.PathLike[str], mode: str = "RGB") -> Any:
    """load_image's picture, as a Pillow image."""
    pillow = _pillow()
    name = os.fspath(path)
    with open(path, "rb") as f, warnings.catch_warnings():
        warnings.simplefilter("error", pillow.Image.DecompressionBombWarning)
        try:
            with pillow.Image.open(f, formats=_FORMATS) as image:
                image.load()
                return _plain(pillow, pillow.ImageOps.exif_transpose(image), mode)
        except pillow.UnidentifiedImageError:
            raise ValueError(f"{name}: not a {' or '.join(_FORMATS)} image") from None
        except (pillow.Image.DecompressionBombWarning, pillow.Image.DecompressionBombError) as e:
            raise ValueError(f"{name}: {e}") from None
        except MemoryError:
            raise
        except Exception as e:  # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error, ... for damage
            raise ValueError(f"{name}: a broken image: {e}") from None


def _plain(pillow: Any, image: Any, mode: str) -> Any:
    """8 bits a channel, in `mode`; transparency is laid over white."""
    if image.mode.startswith("I"):
        deep = np.asarray(image).astype(np.int64)
        grey = (deep + 128) // 257
        grey[deep == image.info.get("transparency", -1)] = 255
        image = pillow.Image.fromarray(grey.clip(0, 255).astype(np.uint8))
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = pillow.Image.alpha_composite(pillow.Image.new("RGBA", image.size, "white"), image)
    return image.convert(mode)


def load_image(path: str | os.PathLike[str], mode: str = "RGB") -> np.ndarray:
    """A PNG or JPEG file as uint8: (height, width, 3), or (height, width, 1) for mode "L" (grey, ITU-R 601).

    The camera's rotation (EXIF) is applied; palettes become their colours, CMYK becomes RGB without a colour profile,
    transparent pixels lie over white, 16-bit grey is divided by 257 and rounded, 16-bit colour keeps its upper bytes.
    ValueError, naming the file: another kind of file whatever its name, a broken one, or more than Pillow's limit of
    89,478,485 pixels. OSError as `open` would raise it. ImportError: no Pillow.
    """
    return _array(opened(path, _mode(mode)))


def _mode(mode: str) -> str:
    if mode not in ("RGB", "L"):
        raise ValueError(f"mode must be RGB or L, got {mode!r}")
    return mode


def _array(image: Any) -> np.ndarray:
    a = np.asarray(image)
    return a[:, :, None] if a.ndim == 2 else a


class Preprocess:
    """Files and images of any size become a network's input: the shorter side to `resize` pixels (bilinear over all
    pixels that an output covers, Pillow's), the middle `crop` by `crop`, values in [0, 1], then (x - mean) / std.

    Called with a path, a Pillow image, or a uint8 array (height, width, channels): float32 (channels, crop, crop). With
    a list of them: (N, channels, crop, crop). It equals torchvision's ImageClassification preset. A crop beyond the
    image is filled with 0, as there. ValueError: sizes below 1, std of 0, mean and std not one number a channel.
    """

    def __init__(
        self,
        resize: int,
        crop: int | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        mode: str = "RGB",
    ) -> None:
        n = len(_mode(mode))
        self.mode, self.resize, self.crop = mode, resize, resize if crop is None else crop
        for size in (self.resize, self.crop):
            if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= 1 << 14:
                raise ValueError(f"Preprocess: sizes must be whole numbers from 1 to {1 << 14}, got {size!r}")
        self.mean = [0.0] * n if mean is None else [float(v) for v in mean]
        self.std = [1.0] * n if std is None else [float(v) for v in std]
        if (
            len(self.mean) != n
            or len(self.std) != n
            or not np.isfinite(self.mean + self.std).all()
            or not all(self.std)
        ):
            raise ValueError(
                f"Preprocess: mean and std must be {n} finite numbers each, std not 0; got {self.mean}, {self.std}"
            )

    @classmethod
    def of(cls, said: Any) -> Preprocess | None:
        """From the dict that `as_dict` gives, a Preprocess or None. ValueError: other keys or types."""
        if said is None or isinstance(said, cls):
            return said
        if not isinstance(said, Mapping) or not said.keys() <= {"resize", "crop", "mean", "std", "mode"}:
            raise ValueError(f"preprocess has resize, crop, mean, std and mode; got {said!r:.200}")
        try:
            return cls(**said)
        except TypeError as e:
            raise ValueError(f"preprocess: {e}") from None

    def as_dict(self) -> dict[str, Any]:
        """What JSON can hold; `of` reads it."""
        return dict(vars(self))

    def __repr__(self) -> str:
        return f"Preprocess({', '.join(f'{k}={v!r}' for k, v in vars(self).items())})"

    def __call__(self, images: Any) -> Tensor:
        if isinstance(images, (list, tuple)):
            if not images:
                raise ValueError("Preprocess: no images")
            return from_numpy(np.stack([self._one(i) for i in images]))
        return from_numpy(self._one(images))

    def _one(self, image: Any) -> np.ndarray:
        pillow = _pillow()
        if isinstance(image, (str, os.PathLike)):
            image = opened(image, self.mode)
        elif isinstance(image, pillow.Image.Image):
            image = _plain(pillow, image, self.mode)
        else:
            a = image.numpy() if isinstance(image, Tensor) else np.asarray(image)
            if a.dtype != np.uint8 or a.ndim != 3 or a.shape[2] not in (1, 3, 4) or not a.size:
                raise ValueError(
                    "Preprocess: expected a path, a Pillow image or a uint8 array (height, width, channels), "
                    f"got {a.dtype} of shape {a.shape}"
                )
            image = pillow.Image.fromarray(np.ascontiguousarray(a[:, :, 0] if a.shape[2] == 1 else a))
            image = _plain(pillow, image, self.mode)
        w, h = image.size
        short = min(w, h)
        sides = (self.resize * w // short, self.resize * h // short)
        if max(sides) > 1 << 16:
            raise ValueError(f"Preprocess: an image of {w} x {h} is too long to be resized to {self.resize}")
        if sides != image.size:
            image = image.resize(sides, pillow.Image.Resampling.BILINEAR)
        left, top = (round((s - self.crop) / 2) if s > self.crop else -((self.crop - s) // 2) for s in sides)
        image = image.crop((left, top, left + self.crop, top + self.crop))
        x = _array(image).astype(np.float32) / 255
        return np.ascontiguousarray(
            ((x - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)).transpose(2, 0, 1)
        )
