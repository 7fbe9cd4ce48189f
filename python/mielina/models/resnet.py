"""ResNet: blocks that add to their input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import nn
from ..tensor import Tensor
from .registry import model


def _conv(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False)


def _shortcut(inputs: int, outputs: int, stride: int) -> Any:
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(_conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))


class BasicBlock(nn.Module):
    """relu(x + two 3 x 3 convolutions of x)."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1, self.bn1 = _conv(inputs, width, 3, stride), nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2, self.bn2 = _conv(width, width, 3), nn.BatchNorm2d(width)
        self.downsample = _shortcut(inputs, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))  # type: ignore[no-any-return]


class Bottleneck(nn.Module):
    """relu(x + convolutions 1 x 1, 3 x 3 (which has the stride) and 1 x 1 of x), four times as wide at its end."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1, self.bn1 = _conv(inputs, width, 1), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = _conv(width, width, 3, stride), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = _conv(width, 4 * width, 1), nn.BatchNorm2d(4 * width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(inputs, 4 * width, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn3(self.conv3(self.relu(self.bn2(self.conv2(y)))))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))  # type: ignore[no-any-return]


class ResNet(nn.Module):
    """A stem, four stages of blocks, a dense layer. Input: (N, 3, H, W), 224 as trained.

    Source: He et al. 2016, with the stride in a bottleneck's 3 x 3 convolution, as torchvision has it.
    """

    def __init__(self, block: type[BasicBlock] | type[Bottleneck], counts: Sequence[int], num_classes: int = 1000):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1, self.relu, self.maxpool = nn.BatchNorm2d(64), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, padding=1)
        wide = block.expansion
        self.layer1 = self._stage(block, counts[0], 64, 64)
        self.layer2 = self._stage(block, counts[1], 64 * wide, 128)
        self.layer3 = self._stage(block, counts[2], 128 * wide, 256)
        self.layer4 = self._stage(block, counts[3], 256 * wide, 512)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(512 * wide, num_classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")

    @staticmethod
    def _stage(block: type[BasicBlock] | type[Bottleneck], count: int, inputs: int, width: int) -> nn.Sequential:
        """Blocks of one width; the first halves the picture, but not in the first stage."""
        first = block(inputs, width, 1 if width == 64 else 2)
        return nn.Sequential(first, *(block(width * block.expansion, width) for _ in range(count - 1)))

    @property
    def features(self) -> nn.Sequential:
        """All that comes before the mean: (N, 3, H, W) to (N, C, H / 32, W / 32). Its parts are the network's own, so
        that `net.features.freeze()` freezes them."""
        stem = (self.conv1, self.bn1, self.relu, self.maxpool)
        return nn.Sequential(*stem, self.layer1, self.layer2, self.layer3, self.layer4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))  # type: ignore[no-any-return]


@model("fc.")
def resnet18(*, num_classes: int = 1000) -> ResNet:
    """ResNet-18, 11,689,512 parameters for 1,000 classes. weights: "imagenet", "hub:owner/name" or a file."""
    return ResNet(BasicBlock, (2, 2, 2, 2), num_classes)


@model("fc.")
def resnet34(*, num_classes: int = 1000) -> ResNet:
    """ResNet-34, 21,797,672 parameters for 1,000 classes. weights: "imagenet", "hub:owner/name" or a file."""
    return ResNet(BasicBlock, (3, 4, 6, 3), num_classes)


@model("fc.")
def resnet50(*, num_classes: int = 1000) -> ResNet:
    """ResNet-50, 25,557,032 parameters for 1,000 classes. weights: "imagenet", "hub:owner/name" or a file."""
    return ResNet(Bottleneck, (3, 4, 6, 3), num_classes)
