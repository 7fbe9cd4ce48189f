"""repr(tensor) is PyTorch's, but for the names of dtypes' module and of nodes."""

from __future__ import annotations

import mielina as mi
import numpy as np
import pytest

RNG = np.random.default_rng(0)
NAN, INF = np.nan, np.inf
CASES = [
    np.arange(5, dtype=np.float32), np.arange(24, dtype=np.float32).reshape(2, 3, 4), RNG.standard_normal((3, 4)),
    RNG.standard_normal((3, 40)), RNG.standard_normal((3, 4)) * 1e6, RNG.standard_normal((3, 4)) * 1e-6,
    np.array([1e10, 1]), np.array([NAN, 1.5, INF]), np.array([NAN, INF, -INF]), np.array([1.0, NAN]),
    np.array([1.0, -INF]), np.array(3.5, np.float32), np.array(3), np.array(True), np.array([True, False]),
    np.arange(-50, 50), np.arange(2000), np.arange(2000.0).reshape(40, 50), np.zeros((0, 3)), np.zeros(0, np.float32),
    np.zeros(0, np.int64), np.zeros((2, 2)), RNG.standard_normal((20, 30, 10)).astype(np.float16),
    np.arange(100, dtype=np.uint8).reshape(10, 10), RNG.standard_normal((2, 2, 2, 2)), np.array([1e-5, 1]),
    np.array([0.0, 1e-5]), np.arange(3000).reshape(3, 1000), np.array([-0.0, 1]), np.array(1e20), np.array(NAN),
    np.ones((1, 1, 1)), RNG.standard_normal(1001), RNG.integers(-(10**12), 10**12, (3, 20)), np.array([0.1, 1000.0]),
    np.array([1.0, 1e5, 2]), np.array([1.0, 1e3, 2]), np.array([1.0, 2000.0, 3]), np.array(2.0), np.array(-1.25),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.dtype}{c.shape}")
def test_as_in_torch(case: np.ndarray) -> None:
    torch = pytest.importorskip("torch")
    assert repr(mi.tensor(case)).replace("mielina.", "torch.") == repr(torch.tensor(case))


def test_suffixes() -> None:
    torch = pytest.importorskip("torch")
    x = mi.ones(2, 20, requires_grad=True)
    assert repr(x) == repr(torch.ones(2, 20, requires_grad=True))
    assert repr((x * 2)[0, 0]) == "tensor(2., grad_fn=<getitem>)"
    assert repr(mi.tensor([1.0, 2.0]).to(mi.bfloat16)) == "tensor([1., 2.], dtype=mielina.bfloat16)"
