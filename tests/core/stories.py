"""Stories told to both libraries, which must end alike.

A story is a function of the library that returns numbers, lists, Nones and words; an error's class is its end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mielina as mi
import numpy as np
import pytest

torch = pytest.importorskip("torch")

Story = Callable[[Any], Any]


def leaf(lib: Any, *values: float) -> Any:
    return lib.tensor(list(values), dtype=lib.float64, requires_grad=True)


def values(x: Any) -> Any:
    """Tensors as lists, whatever they stand in."""
    if isinstance(x, (tuple, list)):
        return [values(v) for v in x]
    return x.detach().tolist() if hasattr(x, "detach") else x


def told(f: Story, lib: Any) -> Any:
    try:
        return values(f(lib))
    except Exception as error:  # noqa: BLE001
        return type(error).__name__


def same(a: Any, b: Any) -> bool:
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float) and isinstance(b, float):
        return bool(np.isclose(a, b, rtol=1e-12, atol=1e-12, equal_nan=True))
    return a == b


def grad_of(lib: Any) -> Any:
    return torch.autograd.grad if lib is torch else mi.grad


class Stories(list[Story]):
    """The stories of a page: `@story` before each, and `@story.told` before the test that is given them."""

    def __call__(self, f: Story) -> Story:
        self.append(f)
        return f

    def told(self, test: Callable[..., None]) -> Any:
        return pytest.mark.parametrize("f", self, ids=lambda f: f.__name__)(test)


def tell(f: Story) -> None:
    mine, theirs = told(f, mi), told(f, torch)
    assert same(mine, theirs), f"mielina {mine}\nPyTorch  {theirs}"
