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
from .models import perceptron, resnet18, vgg16


@family("inference")
def inference(r: Rivals) -> Iterator[Case]:
    """FLOPs are those of convolutions and linear layers by their definition."""
    side = 32 if r.quick else 224
    nets: list[tuple[str, Callable[[Any], Any], tuple[int, ...], float]] = [
        ("perceptron 64-128-64-10", lambda nn: perceptron(nn, (64, 128, 64, 10)), (64,), 34e3),
        ("ResNet-18", resnet18, (3, side, side), 3.63e9),
        ("VGG16", vgg16, (3, side, side), 31.0e9),
    ]
    for name, make, shape, flops in r.pick(nets, 2):
        (x,) = r.arrays((1, *shape))
        # Sums of up to 25,088 terms, one layer after the other.
        yield Case("inference", f"{name}, batch 1", _forwards(r, make, x), flops, terms=25088)


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
        last = copy.deepcopy(ours).to(memory_format=mi.channels_last)
        work["mielina channels last"] = _run(mi, last, inputs.contiguous(memory_format=mi.channels_last))
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
