"""A folder with a folder of images for each class."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Any

from ..data.dataset import Dataset
from ..tensor import Tensor
from .image import Preprocess, _mode, load_image

_ENDINGS = (".png", ".jpg", ".jpeg")


class ImageFolder(Dataset):
    """The PNG and JPEG files below `root`/CLASS/, however deep; sample i is (image, label).

    size: an image becomes float32 (3, size, size) of [0, 1], by Preprocess(size); without it, it is what load_image
    gives, of its own size. transform: applied to that, such as a Compose of mi.transforms. mode: "RGB", or "L" (grey).
    `classes` are the folders' names in order, `targets` the labels, `samples` pairs of path and label.

    Hidden files and files of other endings are passed over; links to folders, and links to files outside of root, are
    not followed: a warning counts them. FileNotFoundError: no folder for a class in root, or classes without images,
    which it names. PermissionError: a folder that must not be read. ValueError, when a sample is taken: the file is no
    PNG or JPEG, or broken; it names the file.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        size: int | None = None,
        transform: Callable[[Any], Any] | None = None,
        mode: str = "RGB",
    ) -> None:
        self.root, self.transform, self.mode = os.fspath(root), transform, _mode(mode)
        self.preprocess = None if size is None else Preprocess(size, mode=mode)
        with os.scandir(self.root) as found:
            entries = sorted((e for e in found if e.is_dir() and not e.name.startswith(".")), key=lambda e: e.name)
        self.classes = [e.name for e in entries if not e.is_symlink()]
        if not self.classes:
            raise FileNotFoundError(f"{self.root}: no folders; it should hold one for each class")
        self.samples: list[tuple[str, int]] = []
        empty, links = [], len(entries) - len(self.classes)
        for label, name in enumerate(self.classes):
            paths, passed = _images(self.root, name)
            links += passed
            self.samples += [(p, label) for p in paths]
            if not paths:
                empty.append(name)
        if links:
            warnings.warn(f"{self.root}: {links} links to folders, or out of it, are not followed", stacklevel=2)
        if empty:
            raise FileNotFoundError(f"{self.root}: no PNG or JPEG files for class {', '.join(empty)}")
        self.targets = [label for _, label in self.samples]
        self.class_to_idx = {name: label for label, name in enumerate(self.classes)}

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        path, label = self.samples[index]
        image: Any = load_image(path, self.mode) if self.preprocess is None else self.preprocess(path)
        return (image if self.transform is None else self.transform(image)), label

    def arrays(self) -> tuple[Tensor, Tensor]:
        """All images (N, C, size, size) and labels (N), read once: for sets that fit in memory. ValueError: no size."""
        from ..data.collate import default_collate

        if self.preprocess is None:
            raise ValueError("arrays: images of their own sizes do not stack; give ImageFolder a size=")
        images, labels = default_collate([self[i] for i in range(len(self))])
        return images, labels

    def __repr__(self) -> str:
        return f"ImageFolder({self.root!r}, {len(self)} images, {len(self.classes)} classes)"


def _raise(error: OSError) -> None:
    """os.walk would pass over a folder that it must not read, and a part of the data would be missing."""
    raise error


def _images(root: str, name: str) -> tuple[list[str], int]:
    """Sorted paths of the image files below root/name, and how many links were not followed."""
    home, found, links = os.path.realpath(root), [], 0
    for place, folders, files in os.walk(os.path.join(root, name), onerror=_raise):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        links += sum(os.path.islink(os.path.join(place, f)) for f in folders)
        for f in sorted(files):
            path = os.path.join(place, f)
            if f.startswith(".") or not f.lower().endswith(_ENDINGS):
                continue
            if os.path.islink(path) and os.path.commonpath([home, os.path.realpath(path)]) != home:
                links += 1
            elif os.path.isfile(path):  # a pipe of that name would be waited for
                found.append(path)
    return found, links
