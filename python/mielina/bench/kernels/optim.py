"""One step of an optimiser on a perceptron's parameters and on one large matrix; equal weights and gradients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import mielina as mi

from ..case import Case, Rivals, family

PERCEPTRON = ((128, 64), (128,), (64, 128), (64,), (10, 64), (10,))
RULES: tuple[Any, ...] = (
    ("SGD", {"lr": 0.01}, 2), ("SGD", {"lr": 0.01, "momentum": 0.9}, 4), ("Adam", {}, 6), ("AdamW", {}, 6),
    ("RMSprop", {}, 4), ("Adagrad", {}, 4),
)  # fmt: skip


@family("optim")
def optim(r: Rivals) -> Iterator[Case]:
    for name, shapes in r.pick((("a perceptron's 6 tensors", PERCEPTRON), ("one 4096x1024 matrix", ((4096, 1024),)))):
        arrays = r.arrays(*shapes)
        count = sum(a.size for a in arrays)
        for rule, options, moved in RULES:
            work = {"mielina": _step(mi, arrays, rule, options)}
            if r.torch:
                work["torch"] = _step(r.torch, arrays, rule, options)
                if rule != "RMSprop":  # has no fused form
                    work["torch fused"] = _step(r.torch, arrays, rule, {**options, "fused": True})
            label = rule + (" with momentum" if "momentum" in options else "")
            yield Case("optim", f"{label}, {name}", work, 0, 4.0 * count * moved + 4.0 * count)


def _step(library: Any, arrays: list[Any], rule: str, options: dict[str, Any]) -> Any:
    rng = np.random.default_rng(3)
    params = [library.nn.Parameter(library.tensor(a)) for a in arrays]
    for p, a in zip(params, arrays):
        p.grad = library.tensor(rng.standard_normal(a.shape).astype(np.float32))
    optimizer = getattr(library.optim, rule)(params, **options)

    def step() -> Any:
        optimizer.step()
        return params

    return step
