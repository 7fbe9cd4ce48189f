"""Random numbers and dropout. What is compared is their mean and spread."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..case import Case, Rivals, family


@family("random")
def random(r: Rivals) -> Iterator[Case]:
    generator = np.random.default_rng(0)
    for n in r.pick((4096, 1 << 22)):
        for name, same, numpy in (
            ("rand", lambda L, n: L.rand(n), lambda n: generator.random(n, np.float32)),
            ("randn", lambda L, n: L.randn(n), lambda n: generator.standard_normal(n, np.float32)),
            ("randint", lambda L, n: L.randint(0, 1000, (n,)), lambda n: generator.integers(0, 1000, n)),
        ):
            size = 8.0 if name == "randint" else 4.0
            yield Case("random", f"{name} {n}", _calls(r, n, same, numpy), 0, size * n, same="moments")
        work = _calls(r, n, lambda L, n: L.randperm(n), generator.permutation)
        yield Case("random", f"randperm {n}", work, 0, 8.0 * n, same="moments")
        ones = np.ones(n, np.float32)
        work = r.beside([ones], lambda L, x: L.nn.functional.dropout(x, 0.3, True), _numpy_dropout(generator))
        yield Case("random", f"dropout {n}", work, 0, 8.0 * n, same="moments")
        work = r.beside([ones / 2], lambda L, p: L.bernoulli(p))
        yield Case("random", f"bernoulli {n}", work, 0, 8.0 * n, same="moments")


def _calls(r: Rivals, n: int, same: Any, numpy: Any) -> dict[str, Any]:
    import mielina as mi

    work = {"mielina": lambda: same(mi, n)}
    if r.numpy:
        work["numpy"] = lambda: numpy(n)
    if r.torch:
        work["torch"] = lambda: same(r.torch, n)
    return work


def _numpy_dropout(generator: Any) -> Any:
    return lambda x: np.where(generator.random(x.size, np.float32) < 0.7, x / np.float32(0.7), np.float32(0))
