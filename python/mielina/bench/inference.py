"""Inference of one sample: eager in both memory orders and captured; PyTorch also compiled, and ONNX Runtime."""

from __future__ import annotations

import copy
import io
import shutil
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import mielina as mi

from .case import Case, Rivals, family
from .nets import perceptron


@family("inference")
def inference(r: Rivals) -> Iterator[Case]:
    """FLOPs are those of convolutions and linear layers by their definition."""
    side = 32 if r.quick else 224
    nets: list[tuple[str, Callable[[Any], Any], tuple[int, ...], float]] = [
        ("perceptron 64-128-64-10", lambda nn: perceptron(nn, (64, 128, 64, 10)), (64,), 34e3),
        ("ResNet-18", _resnet18, (3, side, side), 3.63e9),
        ("VGG16", _vgg16, (3, side, side), 31.0e9),
    ]
    for name, make, shape, flops in r.pick(nets, 2):
        (x,) = r.arrays((1, *shape))
        # Sums of up to 25,088 terms, one layer after the other.
        yield Case("inference", f"{name}, batch 1", _forwards(r, make, x), flops, terms=25088)


def _vgg16(nn: Any) -> Any:
    layers: list[Any] = []
    width = 3
    for stage in ((64, 64), (128, 128), (256,) * 3, (512,) * 3, (512,) * 3):
        for channels in stage:
            layers += [nn.Conv2d(width, channels, 3, padding=1), nn.ReLU()]
            width = channels
        layers.append(nn.MaxPool2d(2))
    classifier = [nn.Linear(49 * 512, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 1000)]
    return nn.Sequential(*layers, nn.Flatten(), *classifier)


def _resnet18(nn: Any) -> Any:
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

    blocks, inputs = [], 64
    for width in (64, 128, 256, 512):
        blocks += [Block(inputs, width, 1 if width == 64 else 2), Block(width, width, 1)]
        inputs = width
    stem = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000))


def _forwards(r: Rivals, make: Callable[[Any], Any], x: Any) -> dict[str, Callable[[], Any]]:
    mi.manual_seed(0)
    ours = make(mi.nn).eval()
    captured, inputs = mi.capture(ours), mi.tensor(x)
    with mi.no_grad():
        captured(inputs)
    work: dict[str, Callable[[], Any]] = {
        "mielina": _run(mi, ours, inputs),
        "mielina captured": lambda: captured(inputs),
    }
    if x.ndim == 4:
        work["mielina channels last"] = _run(mi, ours, inputs.contiguous(memory_format=mi.channels_last))
    if r.torch:
        work |= _by_torch(r, r.twin(make, ours).eval(), r.torch.tensor(x))
    return work


def _run(library: Any, model: Any, inputs: Any) -> Callable[[], Any]:
    def run() -> Any:
        with library.no_grad():
            return model(inputs)

    return run


def _by_torch(r: Rivals, model: Any, x: Any) -> dict[str, Callable[[], Any]]:
    """PyTorch in both orders and compiled (which needs a C++ compiler), and ONNX Runtime with PyTorch's export."""
    torch = r.torch
    work = {"torch": _run(torch, model, x)}
    if x.ndim == 4:
        last = copy.deepcopy(model).to(memory_format=torch.channels_last)
        work["torch channels last"] = _run(torch, last, x.contiguous(memory_format=torch.channels_last))
    if not r.quick and shutil.which("c++"):
        work["torch compiled"] = _run(torch, torch.compile(copy.deepcopy(model)), x)
    if r.onnx:
        exported = io.BytesIO()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(model, (x,), exported, dynamo=False)
        options = r.onnx.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = mi.get_num_threads(), 1
        session = r.onnx.InferenceSession(exported.getvalue(), options, providers=["CPUExecutionProvider"])
        feed = {session.get_inputs()[0].name: x.numpy()}
        work["onnx"] = lambda: session.run(None, feed)[0]
    return work
