"""U-Net: a class for every pixel."""

from __future__ import annotations

from typing import Any

from .. import nn
from ..ops.layout import cat
from ..tensor import Tensor
from .registry import model


def _double(inputs: int, outputs: int, batch_norm: bool) -> nn.Sequential:
    layers: list[Any] = []
    for n in (inputs, outputs):
        layers += [nn.Conv2d(n, outputs, 3, padding=1, bias=not batch_norm)]
        layers += [nn.BatchNorm2d(outputs)] if batch_norm else []
        layers += [nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """`depth` halvings and as many doublings; each doubling sees the picture of its size from the way down.

    Input: (N, in_channels, H, W), H and W divisible by 2^depth; result: (N, num_classes, H, W) logits.
    Source: Ronneberger et al. 2015, with padded convolutions (the result has the input's size) and, unless
    batch_norm=False, batch normalisation.
    """

    def __init__(
        self, num_classes: int = 2, in_channels: int = 3, width: int = 64, depth: int = 4, batch_norm: bool = True
    ) -> None:
        super().__init__()
        self.depth = depth
        widths = [width * 2**i for i in range(depth + 1)]
        self.down = nn.ModuleList([_double(n, m, batch_norm) for n, m in zip([in_channels, *widths[:-1]], widths)])
        self.pool = nn.MaxPool2d(2)
        self.up = nn.ModuleList([nn.ConvTranspose2d(m, n, 2, stride=2) for n, m in zip(widths[-2::-1], widths[::-1])])
        self.join = nn.ModuleList([_double(2 * n, n, batch_norm) for n in widths[-2::-1]])
        self.head = nn.Conv2d(width, num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1] % 2**self.depth or x.shape[-2] % 2**self.depth:
            raise ValueError(f"UNet: height and width must be divisible by {2**self.depth}, got {tuple(x.shape)}")
        seen: list[Tensor] = []
        for block in self.down:
            x = block(x if not seen else self.pool(x))
            seen.append(x)
        for up, join, other in zip(self.up, self.join, seen[-2::-1]):
            x = join(cat([other, up(x)], 1))
        return self.head(x)  # type: ignore[no-any-return]


@model("head.")
def unet(
    *, num_classes: int = 2, in_channels: int = 3, width: int = 64, depth: int = 4, batch_norm: bool = True
) -> UNet:
    """U-Net for images whose sides 2^depth divides. weights: a file of its state dict.

    >>> mi.models.unet(width=4, depth=2)(mi.zeros(1, 3, 16, 20)).shape
    (1, 2, 16, 20)
    """
    return UNet(num_classes, in_channels, width, depth, batch_norm)
