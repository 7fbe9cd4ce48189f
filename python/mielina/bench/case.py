"""What a benchmark is: one piece of work, and how each library does it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import mielina as mi


@dataclass
class Case:
    """`work` maps a library's name to a function without arguments; flops and bytes are of one call.

    terms: how many numbers the longest sum adds, from which the tolerance of the comparison follows. same: whether the
    results must be equal in value ("values"), in mean and variance ("moments", random numbers), or not at all ("no").
    """

    family: str
    name: str
    work: dict[str, Callable[[], Any]]
    flops: float = 0.0
    bytes: float = 0.0
    terms: float = 1.0
    same: str = "values"


Cases = Callable[["Rivals"], Iterator[Case]]
RIVALS = ("numpy", "torch", "jax", "onnx")
FAMILIES: dict[str, Cases] = {}


def family(name: str) -> Callable[[Cases], Cases]:
    """Registers a generator of cases under its family's stem."""

    def add(f: Cases) -> Cases:
        FAMILIES[name] = f
        return f

    return add


class Rivals:
    """The libraries that are installed, on our number of threads. `torch`, `jax` and `onnx` (ONNX Runtime, which runs
    what PyTorch exports) are None where they are missing.

    quick: a run that only shows that everything works; `pick` then takes the first sizes of a list.
    """

    def __init__(self, names: Sequence[str] = RIVALS, quick: bool = False) -> None:
        for name in names:
            if name not in RIVALS:
                raise ValueError(f"unknown rival {name!r}; there are {', '.join(RIVALS)}")
        self.quick = quick
        self.numpy = "numpy" in names
        self.torch: Any = _import("torch") if "torch" in names else None
        self.jax: Any = _import("jax") if "jax" in names else None
        self.onnx: Any = _import("onnxruntime") if "onnx" in names and self.torch and _import("onnx") else None
        if self.torch is not None:
            self.torch.set_num_threads(mi.get_num_threads())

    def pick(self, sizes: Sequence[Any], quick: int = 1) -> Sequence[Any]:
        """All sizes, or the first `quick` of them in a quick run: put the small ones first."""
        return sizes[:quick] if self.quick else sizes

    def arrays(self, *shapes: tuple[int, ...], dtype: Any = np.float32) -> list[Any]:
        rng = np.random.default_rng(0)
        return [rng.standard_normal(s).astype(dtype) for s in shapes]

    def twin(self, make: Callable[[Any], Any], ours: Any) -> Any:
        """PyTorch's model make(torch.nn) with the numbers of ours, make(mi.nn)."""
        model = make(self.torch.nn)
        model.load_state_dict({k: self.torch.tensor(v.numpy()) for k, v in ours.state_dict().items()})
        return model

    def beside(
        self,
        arrays: Sequence[Any],
        same: Callable[..., Any],
        numpy: Any = None,
        jax: Any = None,
        prepare: Callable[[Any, Any], Any] = lambda library, tensor: tensor,
    ) -> dict[str, Callable[[], Any]]:
        """same(library, *tensors) by us and by PyTorch, numpy(*arrays), jax(*arrays) compiled; each on its own copies.

        prepare(library, tensor) changes a tensor beforehand, outside the timed calls.
        """
        mine = [prepare(mi, mi.tensor(a)) for a in arrays]
        work: dict[str, Callable[[], Any]] = {"mielina": lambda: same(mi, *mine)}
        if numpy is not None and self.numpy:
            work["numpy"] = lambda: numpy(*arrays)
        if self.torch is not None:
            theirs = [prepare(self.torch, self.torch.tensor(a)) for a in arrays]
            work["torch"] = lambda: same(self.torch, *theirs)
        if jax is not None and self.jax is not None:
            work["jax"] = self.jitted(jax, arrays)
        return work

    def gradients(
        self, arrays: Sequence[Any], same: Callable[..., Any], wanted: Sequence[int] = (0,), jax: Any = None
    ) -> dict[str, Callable[[], Any]]:
        """Forward and backward of same(library, *tensors): the gradients of the inputs that are `wanted`."""
        seed: Any = None
        work: dict[str, Callable[[], Any]] = {}
        for name, library in (("mielina", mi), ("torch", self.torch)):
            if library is None:
                continue
            tensors = [library.tensor(a) for a in arrays]
            inputs = [tensors[i].requires_grad_() for i in wanted]
            y = same(library, *tensors)
            if seed is None:
                seed = np.random.default_rng(1).standard_normal(y.shape).astype(np.float32)
            work[name] = _backward(library, same, tensors, inputs, library.tensor(seed))
        if jax is not None and self.jax is not None:

            def pulled(g: Any, *xs: Any) -> Any:
                picked = self.jax.vjp(lambda *some: jax(*_replaced(xs, wanted, some)), *(xs[i] for i in wanted))
                return picked[1](g)

            work["jax"] = self.jitted(pulled, [seed, *arrays])
        return work

    def jitted(self, f: Callable[..., Any], arrays: Sequence[Any]) -> Callable[[], Any]:
        """A compiled JAX function on its own arrays; the call waits for the result."""
        g = self.jax.jit(f)
        xs = [self.jax.numpy.asarray(a) for a in arrays]
        return lambda: self.jax.block_until_ready(g(*xs))


def _backward(library: Any, same: Callable[..., Any], tensors: Any, inputs: Any, seed: Any) -> Callable[[], Any]:
    grad = library.autograd.grad
    return lambda: grad(same(library, *tensors), inputs, seed)


def _replaced(xs: Sequence[Any], places: Sequence[int], values: Sequence[Any]) -> list[Any]:
    out = list(xs)
    for i, v in zip(places, values):
        out[i] = v
    return out


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None
