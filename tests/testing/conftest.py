"""The tester is tested on every library at hand: on PyTorch too, so that its own faults cannot hide behind ours."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from mielina.testing import Library, reference


class Torch(Library):
    """PyTorch has one CPU level; the thread count is ignored, as its sums depend on it."""

    def __init__(self) -> None:
        super().__init__("torch")

    def grad(
        self, outputs: Sequence[Any], inputs: Sequence[Any], cotangents: Sequence[Any], create_graph: bool = False
    ) -> list[Any]:
        grad = self.module.autograd.grad
        return list(grad(outputs, inputs, cotangents, create_graph=create_graph, allow_unused=True))

    def slice(self, x: Any, axis: int, start: int, step: int) -> Any:
        return x[(slice(None),) * axis + (slice(start, None, step),)]

    def devices(self) -> tuple[str, ...]:
        return ("cpu",)

    def isas(self) -> tuple[str, ...]:
        return ("native",)

    @contextmanager
    def running(self, isa: str, threads: int) -> Iterator[None]:
        yield


@pytest.fixture(params=["mielina", "torch"])
def library(request: pytest.FixtureRequest) -> Library:
    if request.param == "torch":
        pytest.importorskip("torch")
        return Torch()
    if importlib.util.find_spec("mielina._core") is None:
        pytest.skip("the core is not built")
    return Library()


@pytest.fixture
def agree() -> Any:
    """agree("softmax", x, dim=0): the reference gives PyTorch's values, shapes and dtypes (float64 for all floats)."""
    torch = pytest.importorskip("torch")

    def tensors(x: Any) -> Any:
        if isinstance(x, (list, tuple)):
            return type(x)(map(tensors, x))
        if isinstance(x, (np.ndarray, np.generic)):
            return torch.from_numpy(np.array(x))
        return getattr(torch, np.dtype(x).name) if isinstance(x, type) else x  # a dtype

    def flat(y: Any) -> list[Any]:
        return [z for part in y for z in flat(part)] if isinstance(y, (list, tuple)) else [y]

    def agree(name: str, *args: Any, rtol: float = 1e-10, atol: float = 1e-12, pick: Any = None, **kwargs: Any) -> None:
        # nn.functional first: torch itself has raw versions of some of its functions
        theirs = getattr(torch.nn.functional, name, None) or getattr(torch, name, None) or getattr(torch.Tensor, name)
        expected = flat(theirs(*map(tensors, args), **{k: tensors(v) for k, v in kwargs.items()}))
        with np.errstate(all="ignore"):
            actual = flat(getattr(reference, name)(*args, **kwargs))
        assert len(actual) == len(expected), (len(actual), len(expected))
        for a, e in list(zip(actual, expected, strict=True))[: pick or None]:
            if not isinstance(e, torch.Tensor):
                assert type(a) is type(e) and a == e, (a, e)
                continue
            e = e.numpy()
            a = np.asarray(a)
            assert a.shape == e.shape, f"shape {a.shape}, PyTorch {e.shape}"
            if e.dtype.kind == "f":
                assert a.dtype == np.float64, f"dtype {a.dtype}, PyTorch {e.dtype}"
                single = e.dtype == np.float32
                with np.errstate(over="ignore"):
                    a = a.astype(e.dtype)
                np.testing.assert_allclose(a, e, rtol=1e-5 if single else rtol, atol=1e-6 if single else atol)
            else:
                assert a.dtype == e.dtype, f"dtype {a.dtype}, PyTorch {e.dtype}"
                np.testing.assert_array_equal(a, e)

    return agree
