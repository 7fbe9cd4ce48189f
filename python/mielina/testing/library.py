"""The checker's whole contact with the tensor library, so that the checker can be tested on another one."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np

from mielina.testing.dtypes import Array, is_float, numpy_dtype

Tensor = Any


@contextmanager
def use_isa(name: str) -> Iterator[None]:
    """Run the body on the kernels of one CPU level (`mielina._core.isas()` lists them), then go back."""
    core: Any = importlib.import_module("mielina._core")
    before = core.isa()
    core.set_isa(name)
    try:
        yield
    finally:
        core.set_isa(before)


class Library:
    """What the checkers ask of a tensor library with PyTorch's names."""

    def __init__(self, name: str = "mielina") -> None:
        self.name = name

    @property
    def module(self) -> Any:
        return importlib.import_module(self.name)

    def dtype(self, name: str) -> Any:
        return getattr(self.module, name)

    def dtype_name(self, x: Tensor | Any) -> str:
        """The name of a tensor's dtype, or of a dtype: "float32"."""
        return str(getattr(x, "dtype", x)).rsplit(".", 1)[-1]

    def is_tensor(self, x: Any) -> bool:
        return isinstance(x, self.module.Tensor)

    def tensor(self, values: Any, dtype: str | None = None, device: str = "cpu") -> Tensor:
        """A fresh contiguous tensor; `values` must be exact in `dtype`."""
        values = np.asarray(values)
        dtype = dtype or str(values.dtype)
        x = self.module.tensor(np.array(values, numpy_dtype(dtype), order="C"))
        x = x if self.dtype_name(x) == dtype else x.to(self.dtype(dtype))
        return x if device == "cpu" else x.to(device)

    def numpy(self, x: Tensor) -> Array:
        """A copy of the values: floating as float64, others as they are."""
        x = x.detach()
        if is_float(self.dtype_name(x)):
            x = x.to(self.dtype("float64"))
        return np.array(x.numpy() if self.device_name(x) == "cpu" else x.to("cpu").numpy())

    def device_name(self, x: Tensor) -> str:
        return str(x.device).split(":")[0]

    def slice(self, x: Tensor, axis: int, start: int, step: int) -> Tensor:
        """The view x[start::step] along an axis, without the indexing that is itself under test."""
        return importlib.import_module("mielina._core").slice(x, axis, start, x.shape[axis], step)

    def leaf(self, x: Tensor) -> Tensor:
        """The same memory and strides, as a leaf that requires a gradient."""
        return x.detach().requires_grad_(True)

    def grad(
        self,
        outputs: Sequence[Tensor],
        inputs: Sequence[Tensor],
        cotangents: Sequence[Tensor],
        create_graph: bool = False,
    ) -> list[Tensor | None]:
        return list(
            self.module.grad(
                list(outputs), list(inputs), grad_outputs=list(cotangents), create_graph=create_graph, allow_unused=True
            )
        )

    def devices(self) -> tuple[str, ...]:
        cuda = getattr(self.module, "cuda", None)
        return ("cpu", "cuda") if cuda is not None and cuda.is_available() else ("cpu",)

    def isas(self) -> tuple[str, ...]:
        """The CPU levels that this machine supports, the plainest first."""
        return tuple(name for name, supported, _ in importlib.import_module("mielina._core").isas() if supported)

    @contextmanager
    def running(self, isa: str | None, threads: int) -> Iterator[None]:
        """Run the body on one CPU level (None: as it is) with so many threads."""
        before = self.module.get_num_threads()
        self.module.set_num_threads(threads)
        try:
            with use_isa(isa) if isa else nullcontext():
                yield
        finally:
            self.module.set_num_threads(before)


MIELINA = Library()
