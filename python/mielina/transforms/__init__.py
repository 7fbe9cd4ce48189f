"""Images made ready and changed at random: every geometric part of a Compose is one affine warp an image."""

from .compose import Compose, Transform
from .geometric import (
    CenterCrop,
    RandomCrop,
    RandomFlip,
    RandomRotation,
    RandomShear,
    RandomTranslation,
    RandomZoom,
    Resize,
)
from .pixels import Mixup, Normalize, RandomBrightness, RandomContrast, RandomErasing, ToTensor
from .warp import warp
