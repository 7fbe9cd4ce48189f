"""softmax, log_softmax, softmin against their reference, their composite and PyTorch."""

from __future__ import annotations

from typing import Any

import mielina as mi
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mielina import _core
from mielina.testing import Library, assert_close, check_composite, check_op, reference, tolerance, use_isa
from mielina.testing import strategies as some

F = mi.nn.functional
RNG = np.random.default_rng(3)
LAYOUTS = ("contiguous", "transposed", "sliced", "expanded_inner")


# Rows within a vector, across the blocks of 1,024, beyond the 4,096 that a task holds, and columns of both kinds; many
# short rows, which go together, of every kind of end, and columns of three vectors and a half.
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize(
    ("shape", "dim"),
    [((3, 10), 1), ((2, 1030), -1), ((2, 4200), 1), ((2, 5, 70), 1), ((40, 3), 0), ((2, 150, 7), 2), ((130, 16), 1),
     ((40, 1), 1), ((41, 56), 1), ((23, 111), 1), ((3, 225), 1), ((2, 6, 56), 1), ((2, 6, 28), 1)],
)  # fmt: skip
def test_reference(name: str, shape: tuple[int, ...], dim: int) -> None:
    x = RNG.standard_normal(shape) * 4
    check_op(
        getattr(F, name),
        getattr(reference, name),
        [x],
        {"dim": dim},
        dtypes=("float32", "float64", "float16", "bfloat16"),
        layouts=LAYOUTS,
        threads=(1, 2),
        length=shape[dim],
        amplification=16,
        magnitude="max" if name == "log_softmax" else 0.0,
    )


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "softmin"])
@pytest.mark.parametrize("dim", [0, 1])
@pytest.mark.parametrize("shape", [(9, 11), (70, 5), (3, 57), (2, 130)])
def test_gradients(name: str, shape: tuple[int, ...], dim: int) -> None:
    check_op(
        getattr(F, name),
        getattr(reference, name),
        [RNG.standard_normal(shape)],
        {"dim": dim},
        layouts=("contiguous", "transposed"),
        threads=(1, 2),
        length=shape[dim],
        amplification=16,
        magnitude="max",
        grad=True,
        grad_amplification=16,
    )


@settings(max_examples=40, deadline=None)
@given(some.arrays(some.shapes(1, 4), values="special"), st.data())
def test_special_values(x: Any, data: Any) -> None:
    """NaN, infinities and rows of -inf as in the reference; zero-size shapes."""
    dim = data.draw(st.integers(-x.ndim, x.ndim - 1))
    check_op(
        mi.softmax,
        reference.softmax,
        [x],
        {"dim": dim},
        dtypes=("float32",),
        layouts=("contiguous",),
        threads=(1,),
        length=x.shape[dim],
        amplification=16,
        magnitude=1e-30,
    )


def test_many_rows_bypass_the_caches() -> None:
    """64 MB of output is streamed; PyTorch's values."""
    torch = pytest.importorskip("torch")
    x = np.asarray(RNG.standard_normal((4100, 2048)), np.float32)
    y = mi.softmax(mi.tensor(x), 1).numpy()
    assert np.allclose(y, torch.softmax(torch.from_numpy(x), 1).numpy(), rtol=1e-5)


@pytest.mark.parametrize("isa", Library().isas())
@pytest.mark.parametrize("dtype", [mi.float16, mi.bfloat16])
def test_halves_are_float32_rounded_once(isa: str, dtype: Any) -> None:
    """Rows that are converted where they lie take the steps of float32: of any length and beginning, and large ones."""
    with use_isa(isa):
        for rows, length in ((5, 7), (9, 64), (6, 1001), (3, 4100), (4096, 4096)):
            x, g = (mi.tensor(RNG.standard_normal((rows + 1, length + 1), np.float32)).to(dtype) for _ in range(2))
            large = rows == 4096
            for a, b in ((x[1:, 1:], g[:-1, 1:]), (x[1:, :-1].clone(), g[1:, :-1].clone()), (x.t(), g.t()))[
                large : 3 - large
            ]:
                for log in (False, True):
                    y = _core.softmax(a, 1, log)
                    assert mi.equal(y, _core.softmax(a.float(), 1, log).to(dtype))
                    expected = _core.softmax_backward(b.float(), y.float(), 1, log).to(dtype)
                    assert mi.equal(_core.softmax_backward(b, y, 1, log), expected)


def test_fused_backward_is_the_composite() -> None:
    from mielina.ops.softmax import softmax_backward

    x, y = RNG.standard_normal((4, 5)), RNG.random((4, 5))
    check_composite(lambda g, y: softmax_backward(g, y, 1), [x, y], composite=softmax_backward_definition)


def softmax_backward_definition(g: Any, y: Any) -> Any:
    return y * (g - (g * y).sum(1, True))


def test_dtype_and_scalars() -> None:
    x = mi.tensor([1, 2, 3])
    assert mi.softmax(x, 0, dtype=mi.float32).dtype is mi.float32
    assert mi.softmax(mi.tensor(2.0), 0).item() == 1.0
    with pytest.raises(NotImplementedError, match="expected a floating dtype, got int64"):
        mi.softmax(x, 0)
    with pytest.raises(IndexError, match="dimension out of range"):
        mi.softmax(mi.tensor([1.0]), 1)


@pytest.mark.parametrize("fn", [mi.softmax, mi.log_softmax])
@pytest.mark.parametrize(("shape", "axis"), [((37, 50), 0), ((3, 7, 9, 10), 1), ((5, 6), 1), ((4,), 0), ((3, 1, 5), 1)])
def test_gradients_that_share_their_memory(fn: Any, shape: tuple[int, ...], axis: int) -> None:
    """A sum's gradient is one number expanded, a row's one row, a transposed one lies otherwise than the result."""
    x = mi.tensor(np.random.default_rng(5).standard_normal(shape).astype(np.float32)).requires_grad_()
    row = mi.tensor(np.random.default_rng(6).standard_normal(shape[-1:]).astype(np.float32))
    turned = mi.tensor(np.random.default_rng(7).standard_normal(shape[::-1]).astype(np.float32))
    turned = turned.permute(*range(len(shape) - 1, -1, -1))
    for g in (mi.ones(()).expand(*shape), row.expand(*shape), turned):
        gradients = [mi.autograd.grad(fn(x, axis), [x], [v])[0].numpy() for v in (g, g.clone().contiguous())]
        assert_close(*gradients, "float32", tolerance("float32", shape[axis], 4), float(g.abs().max()))
