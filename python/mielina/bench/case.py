"""What a benchmark is: one piece of work, and how each library does it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class Case:
    """`work` maps a library's name to a function without arguments; flops and bytes are of one call."""

    family: str
    name: str
    work: dict[str, Callable[[], Any]]
    flops: float = 0.0
    bytes: float = 0.0
    tags: dict[str, Any] = field(default_factory=dict)


FAMILIES: dict[str, Callable[[Rivals], Iterator[Case]]] = {}


def family(name: str) -> Callable[[Any], Any]:
    """Registers a generator of cases under its family's stem."""

    def add(f: Any) -> Any:
        FAMILIES[name] = f
        return f

    return add


class Rivals:
    """The libraries that are installed, on our number of threads. `torch` and `jax` are None where they are missing."""

    def __init__(self, use_jax: bool = True) -> None:
        from .. import get_num_threads

        self.torch: Any = _import("torch")
        self.jax: Any = _import("jax") if use_jax else None
        if self.torch is not None:
            self.torch.set_num_threads(get_num_threads())

    def arrays(self, *shapes: tuple[int, ...], dtype: Any = np.float32) -> list[Any]:
        rng = np.random.default_rng(0)
        return [rng.standard_normal(s).astype(dtype) for s in shapes]

    def to_torch(self, *arrays: Any) -> list[Any]:
        return [self.torch.from_numpy(a) for a in arrays]

    def jitted(self, f: Callable[..., Any], *arrays: Any) -> Callable[[], Any]:
        """A compiled JAX function on its own arrays; the call waits for the result."""
        g = self.jax.jit(f)
        xs = [self.jax.numpy.asarray(a) for a in arrays]
        return lambda: self.jax.block_until_ready(g(*xs))


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None
