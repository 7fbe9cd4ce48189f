"""New tensors: values, dtypes, errors as in PyTorch."""

from __future__ import annotations

import mielina as mi
import numpy as np
import pytest

SAME_AS_TORCH = [
    "m.arange(5)", "m.arange(1, 10, 3)", "m.arange(0, 1, 0.1)", "m.arange(5, 0, -2)", "m.arange(3.)", "m.arange(0)",
    "m.arange(end=4)", "m.arange(2, 7, dtype=m.float16)", "m.arange(0, 10, 3, dtype=m.int32)", "m.arange(1, 2, 0.3)",
    "m.arange(-3, 3)", "m.arange(0, 1000, 7)", "m.arange(2**53, 2**53 + 5)", "m.linspace(0, 1, 7)",
    "m.linspace(3, -2, 1)", "m.linspace(0, 1, 0)", "m.linspace(0, 10, 5, dtype=m.int64)",
    "m.linspace(-5, 5, 1001, dtype=m.float64)", "m.logspace(-2, 2, 5)", "m.logspace(0, 3, 4, base=2)", "m.eye(3)",
    "m.eye(2, 4)", "m.eye(3, dtype=m.int64)", "m.eye(0)", "m.full((2, 3), 7)", "m.full((2,), 1.5)",
    "m.full((2,), True)", "m.full((), 3)", "m.zeros(2, 3)", "m.ones((2, 3))", "m.zeros(0, 3)",
    "m.zeros_like(m.ones(2, dtype=m.int8))", "m.ones_like(m.zeros(2), dtype=m.bool)", "m.full_like(m.zeros(2), 3)",
    "m.scalar_tensor(3)", "m.ones(2).new_zeros(2, 3)", "m.ones(2).new_tensor([1, 2])",
    "m.ones(2, dtype=m.int8).new_full((2,), 3)", "m.ones(2).new_ones(3, dtype=m.int64)", "m.tensor([[1, 2], [3, 4]])",
    "m.tensor([1, 2.5])", "m.tensor(True)", "m.tensor([])", "m.tensor(3)", "m.tensor([True, False])", "m.tensor([[]])",
    "m.as_tensor([1, 2])", "m.tensor([1.7, 2.2], dtype=m.int32)", "m.tensor([m.tensor(1), m.tensor(2)])",
]  # fmt: skip


@pytest.mark.parametrize("expression", SAME_AS_TORCH)
def test_as_in_torch(expression: str) -> None:
    torch = pytest.importorskip("torch")
    a, b = (eval(expression, {"m": m}) for m in (mi, torch))  # noqa: S307
    assert str(a.dtype).split(".")[-1] == str(b.dtype).split(".")[-1]
    assert a.shape == tuple(b.shape)
    np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=2e-7, atol=1e-7)


@pytest.mark.parametrize(
    ("expression", "kind"),
    [
        ("m.arange(0, 5, 0)", RuntimeError), ("m.arange(5, 0)", RuntimeError),
        ("m.arange(0, float('inf'))", RuntimeError),
        ("m.linspace(0, 1, -1)", RuntimeError), ("m.eye(-1)", RuntimeError), ("m.tensor('a')", TypeError),
        ("m.zeros(2, dtype=3)", TypeError), ("m.tensor([[1, 2], [3]])", ValueError),
    ],
)  # fmt: skip
def test_errors(expression: str, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        eval(expression, {"m": mi})  # noqa: S307


def test_long_sequences() -> None:
    n = 200_003
    assert np.array_equal(mi.arange(n).numpy(), np.arange(n))
    np.testing.assert_allclose(
        mi.linspace(-1, 2, n, dtype=mi.float64).numpy(), np.linspace(-1, 2, n), rtol=1e-13, atol=1e-15
    )
    line = mi.linspace(0, 1, n)
    assert line[0].item() == 0 and line[-1].item() == 1


def test_memory_is_shared_or_not() -> None:
    a = np.zeros(3, np.float32)
    shared, copied = mi.from_numpy(a), mi.tensor(a)
    a[0] = 1
    assert shared[0].item() == 1 and copied[0].item() == 0
    assert mi.as_tensor(a).data_ptr() == shared.data_ptr()
    t = mi.ones(2)
    assert mi.as_tensor(t) is t


@pytest.mark.parametrize(
    "part",
    [
        "t[..., :3].transpose(1, 2)", "t[:, ::2].permute(2, 0, 1)", "t[1:, :, 1:3].transpose(0, 2)",
        "t[:, 1:2].transpose(1, 2)",
        "t.transpose(0, 2)", "t.flip(0)", "t[:, :1].expand(-1, 6, -1)", "t[:0].transpose(0, 1)", "t[::2, 1, ::3].t()",
    ],
)  # fmt: skip
def test_results_keep_the_order_of_strides(part: str) -> None:
    torch = pytest.importorskip("torch")
    a, b = (eval(part, {"t": m.ones(4, 5, 6)}) for m in (mi, torch))  # noqa: S307
    for f in (lambda m, x: m.empty_like(x), lambda m, x: x + 1):
        mine, theirs = f(mi, a), f(torch, b)
        assert mine.shape == tuple(theirs.shape)
        assert [s for s, n in zip(mine.stride(), mine.shape) if n > 1] == [
            s for s, n in zip(theirs.stride(), theirs.shape) if n > 1
        ]


def test_uniform_halves_are_below_their_bound() -> None:
    """Drawn as float32 and rounded: of a million numbers 244 were 1 in float16, 1950 in bfloat16."""
    for dtype in (mi.float16, mi.bfloat16):
        x = mi.rand(1 << 20, dtype=dtype, generator=mi.Generator(0))
        assert x.max().item() == 1 - (2**-11 if dtype is mi.float16 else 2**-8)
        assert abs(x.to(mi.float64).mean().item() - 0.5) < 0.002
        for low, high in ((-3.0, -1.0), (0.25, 1.75), (-1.0, 0.0), (1.0, 1.0078125)):
            drawn = [mi.empty(1 << 20, dtype=dtype).uniform_(low, high, generator=mi.Generator(1))]
            drawn.append(mi.nn.init.uniform_(mi.empty(1 << 20, dtype=dtype), low, high, generator=mi.Generator(1)))
            for x in drawn:
                assert low <= x.min().item() <= x.max().item() < high


@pytest.mark.parametrize("dtype", [mi.float32, mi.float64])
def test_uniform_numbers_are_below_their_bound(dtype: mi.dtype) -> None:
    """Of numbers with as many bits as a significand, plus a bound, some are rounded up to the other bound."""
    top = 2.0**24 if dtype is mi.float32 else 2.0**53
    for low, high in ((top - 2, top), (-top / 2 - 1, -top / 2 + 1), (1 - 2 / top, 1.0), (-1.0, -1.0 + 4 / top)):
        x = mi.empty(5000, dtype=dtype).uniform_(low, high, generator=mi.Generator(0))
        y = mi.nn.init.uniform_(mi.empty(5000, dtype=dtype), low, high, generator=mi.Generator(0))
        assert low <= x.min().item() and x.max().item() < high and (x == y).all()
    assert (mi.empty(9, dtype=dtype).uniform_(2.5, 2.5) == 2.5).all()
    assert -1e-9 <= mi.empty(99, dtype=dtype).uniform_(-1e-9, 0).max().item() < 0


def test_the_largest_of_uniform_numbers_is_below_two() -> None:
    """1 + (1 - 2^-24) rounds to 2: number 3,729,118 of seed 8."""
    u = mi.rand(3_729_119, generator=mi.Generator(8))
    x = mi.empty(3_729_119).uniform_(1, 2, generator=mi.Generator(8))
    assert u[-1].item() == 1 - 2**-24 and (1 + u[-1]).item() == 2
    assert x[-1].item() == 2 - 2**-23 and (x[:-1] == 1 + u[:-1]).all()
