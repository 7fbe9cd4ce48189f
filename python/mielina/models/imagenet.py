"""ImageNet's 1,000 classes and the input of networks that torchvision trained on them."""

from __future__ import annotations

import functools
import pathlib

from ..datasets.image import Preprocess

IMAGENET = Preprocess(256, 224, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


@functools.cache
def _names() -> tuple[str, ...]:
    return tuple(pathlib.Path(__file__).with_name("imagenet.txt").read_text(encoding="utf-8").splitlines())


def imagenet_classes() -> list[str]:
    """The names of the 1,000 classes of ILSVRC 2012, in the order of the outputs.

    >>> mi.models.imagenet_classes()[:2]
    ['tench', 'goldfish']
    """
    return list(_names())
