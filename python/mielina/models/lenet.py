"""LeNet-5."""

from __future__ import annotations

from .. import nn
from ..tensor import Tensor
from .registry import model


class LeNet5(nn.Module):
    """Two convolutions with average pooling, three dense layers, tanh. 61,706 parameters for 10 classes.

    Input: (N, in_channels, 28, 28), which the first layer pads to the paper's 32 x 32. Source: LeCun et al. 1998,
    with full connections between the maps and a linear output, which takes cross-entropy.
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 1) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.Tanh(),
            nn.AvgPool2d(2),
        )  # fmt: skip
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, num_classes)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))  # type: ignore[no-any-return]


@model("classifier.5.")
def lenet5(*, num_classes: int = 10, in_channels: int = 1) -> LeNet5:
    """LeNet-5 for (N, in_channels, 28, 28). weights: a file of its state dict.

    >>> sum(p.numel() for p in mi.models.lenet5().parameters())
    61706
    """
    return LeNet5(num_classes, in_channels)
