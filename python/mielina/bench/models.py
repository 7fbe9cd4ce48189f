"""The benchmarks' networks, each a function of a library's `nn`, with the names of weights that PyTorch gives them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def perceptron(nn: Any, sizes: Sequence[int]) -> Any:
    layers: list[Any] = []
    for i, o in zip(sizes, sizes[1:]):
        layers += [nn.Linear(i, o), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def convolutional(nn: Any, side: int, widths: Sequence[int], hidden: Sequence[int], padding: int = 0) -> Any:
    """3 x 3 convolutions of a grey image, one maximum of 2 x 2, a perceptron."""
    layers: list[Any] = []
    for i, o in zip([1, *widths], widths):
        layers += [nn.Conv2d(i, o, 3, padding=padding), nn.ReLU()]
        side += 2 * padding - 2
    return nn.Sequential(
        *layers, nn.MaxPool2d(2), nn.Flatten(), *perceptron(nn, [(side // 2) ** 2 * widths[-1], *hidden])
    )


def vgg16(nn: Any) -> Any:
    """Simonyan & Zisserman 2014, configuration D, for images of 32 x 32 times 7."""
    layers: list[Any] = []
    width = 3
    for stage in ((64, 64), (128, 128), (256,) * 3, (512,) * 3, (512,) * 3):
        for channels in stage:
            layers += [nn.Conv2d(width, channels, 3, padding=1), nn.ReLU()]
            width = channels
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), *perceptron(nn, (49 * 512, 4096, 4096, 1000)))


def resnet18(nn: Any) -> Any:
    """He et al. 2015, for images of 224 x 224."""
    stem = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    return nn.Sequential(*stem, *_residual(nn, (64, 128, 256, 512), 2, 1000))


def resnet20(nn: Any) -> Any:
    """He et al. 2015, section 4.2, for images of 32 x 32."""
    stem = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    return nn.Sequential(*stem, *_residual(nn, (16, 32, 64), 3, 10))


def _residual(nn: Any, widths: Sequence[int], blocks: int, classes: int) -> list[Any]:
    class Block(nn.Module):  # type: ignore[misc]
        def __init__(self, inputs: int, width: int, stride: int) -> None:
            super().__init__()
            self.body = nn.Sequential(
                nn.Conv2d(inputs, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
                nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width),
            )  # fmt: skip
            same = stride == 1 and inputs == width
            shortcut = () if same else (nn.Conv2d(inputs, width, 1, stride, bias=False), nn.BatchNorm2d(width))
            self.shortcut = nn.Sequential(*shortcut)

        def forward(self, x: Any) -> Any:
            return nn.functional.relu(self.body(x) + self.shortcut(x))

    layers: list[Any] = []
    inputs = widths[0]
    for width in widths:
        for _ in range(blocks):
            layers.append(Block(inputs, width, 1 if inputs == width else 2))
            inputs = width
    return [*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes)]


def encoder(nn: Any, width: int, layers: int) -> Any:
    """Vaswani et al. 2017: four heads, four times the width between, no dropout."""
    return nn.Sequential(
        *(nn.TransformerEncoderLayer(width, 4, 4 * width, 0.0, batch_first=True) for _ in range(layers))
    )
