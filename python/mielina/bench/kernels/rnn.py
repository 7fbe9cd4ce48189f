"""Recurrent layers with the same weights everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import mielina as mi

from ..case import Case, Rivals, family

# time, batch, inputs, hidden units
SHAPES: tuple[Any, ...] = ((8, 4, 16, 16), (64, 32, 128, 128), (128, 1, 64, 64))


@family("rnn")
def rnn(r: Rivals) -> Iterator[Case]:
    for kind, gates in r.pick((("LSTM", 4), ("GRU", 3), ("RNN", 1))):
        for t, n, i, h in r.pick(SHAPES):
            (x,) = r.arrays((t, n, i))
            layers = _layers(r, kind, i, h)
            flops, moved = 2.0 * t * n * gates * h * (i + h), 4.0 * (x.size + t * n * h + gates * h * (i + h))
            name = f"{kind} {i}->{h}, {t} steps of {n}"
            yield Case("rnn", name, {k: _forward(k, m, x, r) for k, m in layers.items()}, flops, moved, t * (i + h))
            work = {k: _both_ways(k, m, x, r) for k, m in layers.items()}
            yield Case("rnn", f"{name} fwd+bwd", work, 3 * flops, 3 * moved, t * n * (i + h))


def _layers(r: Rivals, kind: str, i: int, h: int) -> dict[str, Any]:
    mi.manual_seed(0)
    mine = getattr(mi.nn, kind)(i, h)
    layers = {"mielina": mine}
    if r.torch:
        layers["torch"] = getattr(r.torch.nn, kind)(i, h)
        layers["torch"].load_state_dict({k: r.torch.tensor(v.numpy()) for k, v in mine.state_dict().items()})
    return layers


def _library(name: str, r: Rivals) -> Any:
    return mi if name == "mielina" else r.torch


def _forward(name: str, layer: Any, x: Any, r: Rivals) -> Any:
    library = _library(name, r)
    mine = library.tensor(x)

    def forward() -> Any:
        with library.no_grad():
            return layer(mine)[0]

    return forward


def _both_ways(name: str, layer: Any, x: Any, r: Rivals) -> Any:
    library = _library(name, r)
    mine = library.tensor(x)
    weights = list(layer.parameters())
    seed = library.tensor(
        np.random.default_rng(1).standard_normal((*x.shape[:2], layer.hidden_size)).astype(np.float32)
    )
    return lambda: library.autograd.grad(layer(mine)[0], weights, seed)
