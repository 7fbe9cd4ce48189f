"""VGG: 3 x 3 convolutions in blocks, a maximum after each."""

from __future__ import annotations

from typing import Any

from .. import nn
from ..tensor import Tensor
from .registry import model

_BLOCKS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
_WIDTHS = (64, 128, 256, 512, 512)


class VGG(nn.Module):
    """Five blocks of `depth` - 3 convolutions in all, three dense layers. Input: (N, 3, H, W), 224 as trained.

    Source: Simonyan & Zisserman 2015, configurations A, B, D and E; starting weights of He et al. 2015.
    """

    def __init__(self, depth: int, batch_norm: bool = False, num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        layers: list[Any] = []
        before = 3
        for count, width in zip(_BLOCKS[depth], _WIDTHS):
            for _ in range(count):
                layers += [nn.Conv2d(before, width, 3, padding=1)]
                layers += [nn.BatchNorm2d(width)] if batch_norm else []
                layers += [nn.ReLU(inplace=True)]
                before = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096), nn.ReLU(inplace=True), nn.Dropout(dropout),
            nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Dropout(dropout), nn.Linear(4096, num_classes),
        )  # fmt: skip
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(m, nn.Linear):
                nn.init.normal_(m.weight, 0, 0.01)
            if isinstance(m, (nn.Conv2d, nn.Linear)) and m.bias is not None:
                nn.init.zeros_(m.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))  # type: ignore[no-any-return]


@model("classifier.6.")
def vgg11(*, num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """VGG A, 132,863,336 parameters for 1,000 classes. weights: "imagenet", "hub:owner/name" or a file."""
    return VGG(11, False, num_classes, dropout)


@model("classifier.6.")
def vgg11_bn(*, num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """vgg11 with batch normalisation after each convolution."""
    return VGG(11, True, num_classes, dropout)


@model("classifier.6.")
def vgg13(*, num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """VGG B, 133,047,848 parameters for 1,000 classes. weights: "imagenet", "hub:owner/name" or a file."""
    return VGG(13, False, num_classes, dropout)


@model("classifier.6.")
def vgg13_bn(*, num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """vgg13 with batch normalisation after each convolution."""
    return VGG(13, True, num_classes, dropout)


@model("classifier.6.")
def vgg16(*, num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """VGG D, 138,357,544 parameters for 1,000 classes. weights: "imagenet", "hub:owner/name" or a file."""
    return VGG(16, False, num_classes, dropout)


@model("classifier.6.")
def vgg16_bn(*, num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """vgg16 with batch normalisation after each convolution."""
    return VGG(16, True, num_classes, dropout)


@model("classifier.6.")
def vgg19(*, num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """VGG E, 143,667,240 parameters for 1,000 classes. weights: "imagenet", "hub:owner/name" or a file."""
    return VGG(19, False, num_classes, dropout)


@model("classifier.6.")
def vgg19_bn(*, num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """vgg19 with batch normalisation after each convolution."""
    return VGG(19, True, num_classes, dropout)
