"""`model.summary(input_shape)`: layers, output shapes, parameters, multiply-adds and memory."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from .. import autograd, dtypes
from ..ops.creation import zeros
from ..random import default_generator
from ..tensor import Tensor


class Row(NamedTuple):
    name: str
    kind: str
    shape: Any
    parameters: int
    multiply_adds: int


class Summary:
    """What `summary` found: `rows`, `parameters`, `trainable`, `multiply_adds`, `parameter_bytes`, `output_bytes`."""

    def __init__(self, title: str, rows: list[Row], output_bytes: int, model: Any) -> None:
        own = {id(p): p for p in model.parameters()}.values()
        self.title, self.rows, self.output_bytes = title, rows, output_bytes
        self.parameters = sum(p.numel() for p in own)
        self.trainable = sum(p.numel() for p in own if p.requires_grad)
        self.parameter_bytes = sum(x.nbytes for x in [*own, *model.buffers()])
        self.multiply_adds = sum(r.multiply_adds for r in rows)

    def __str__(self) -> str:
        head = ("layer", "type", "output shape", "parameters", "multiply-adds")
        cells = [
            head,
            *((r.name, r.kind, _shape(r.shape), f"{r.parameters:,}", f"{r.multiply_adds:,}") for r in self.rows),
        ]
        widths = [max(len(row[i]) for row in cells) for i in range(5)]
        lines = [
            "  ".join(c.ljust(w) if i < 3 else c.rjust(w) for i, (c, w) in enumerate(zip(r, widths))) for r in cells
        ]
        rule = "-" * (sum(widths) + 8)
        return "\n".join(
            [self.title, rule, lines[0], rule, *lines[1:], rule]
            + [f"parameters: {self.parameters:,} ({self.trainable:,} trainable), {_size(self.parameter_bytes)}"]
            + [f"multiply-adds: {self.multiply_adds:,} ({_count(self.multiply_adds)}) a sample"]
            + [f"outputs of layers: {_size(self.output_bytes)} a sample"]
        )

    def __repr__(self) -> str:
        return f"Summary({self.title}: {self.parameters:,} parameters, {self.multiply_adds:,} multiply-adds)"


def summary(model: Any, input_shape: Any, dtype: Any = None) -> Summary:
    """See Module.summary; prints nothing."""
    shape = tuple(input_shape) if isinstance(input_shape, (tuple, list)) else (input_shape,)
    if not all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in shape):
        raise ValueError(f"summary: expected a shape without the batch, such as (3, 224, 224), got {input_shape!r}")
    first = next((p for p in model.parameters() if p.dtype.is_floating_point), None)
    made = dtype or (dtypes.get_default_dtype() if first is None else first.dtype)
    x = zeros(1, *shape, dtype=made, device=None if first is None else first.device)
    rows: list[Row] = []
    memory, seen = [0], set[int]()

    def hook(name: str) -> Any:
        def look(module: Any, args: Any, output: Any) -> None:
            own = [p for p in module.parameters() if id(p) not in seen]  # a shared one counts once
            seen.update(id(p) for p in own)
            ys = [y for y in (output if isinstance(output, (tuple, list)) else [output]) if isinstance(y, Tensor)]
            memory[0] += sum(y.nbytes for y in ys)
            shape = ys[0].shape if ys else ()
            work = _work(module, args, ys[0]) if ys else 0
            rows.append(Row(name, type(module).__name__, shape, sum(p.numel() for p in own), work))

        return look

    handles = [m.register_forward_hook(hook(n or "(model)")) for n, m in model.named_modules() if _whole(m)]
    before, numbers = [(m, m.training) for m in model.modules()], default_generator.snapshot()
    try:
        model.eval()
        with autograd.no_grad():
            model(x)
    finally:
        default_generator.restore(numbers)
        for m, mode in before:
            m.training = mode
        for h in handles:
            h.remove()
    return Summary(type(model).__name__, rows, memory[0], model)


_CELLS = ("RNN", "LSTM", "GRU", "MultiheadAttention")  # rows of their own, whatever they hold


def _whole(module: Any) -> bool:
    return not module._modules or type(module).__name__ in _CELLS


def _work(module: Any, args: Any, y: Any) -> int:
    """Products with weights; additions of a bias, activations and norms are not counted, as is usual."""
    kind, weight = type(module).__name__, getattr(module, "weight", None)
    x = args[0] if args and isinstance(args[0], Tensor) else y
    if kind in ("RNN", "LSTM", "GRU"):
        steps = math.prod(x.shape[:-1])
        return steps * sum(p.numel() for n, p in module.named_parameters() if n.startswith("weight"))
    if kind == "MultiheadAttention":
        n, length, width = (1, *x.shape)[-3:]
        return n * length * (4 * width * width + 2 * length * width)
    if weight is None or weight.ndim < 2 or kind.startswith("Embedding"):
        return 0
    if kind.startswith("ConvTranspose"):
        return x.numel() * math.prod(weight.shape[1:])
    return y.numel() * math.prod(weight.shape[1:])


def _shape(shape: Any) -> str:
    return "(" + ", ".join(["N", *map(str, shape[1:])]) + ")" if shape else "-"


def _count(n: float) -> str:
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if n >= size:
            return f"{n / size:.1f} {unit}"
    return str(n)


def _size(n: int) -> str:
    return f"{n / 2**20:.1f} MiB" if n >= 2**20 else f"{n / 2**10:.1f} KiB" if n >= 2**10 else f"{n} bytes"
