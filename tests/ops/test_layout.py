"""Views, joins, cuts, rearrangement: against NumPy, PyTorch and central differences."""

from __future__ import annotations

from typing import Any

import mielina as mi
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mielina.testing import Library, check_op, gradcheck, gradgradcheck, make_tensor, reference, use_isa

RNG = np.random.default_rng(0)
X = RNG.standard_normal((2, 3, 4, 5))

# The expression is evaluated with m, the library, and t, a (2, 3, 4, 5) tensor.
SAME_AS_TORCH = [
    "m.cat([t, t], 1)", "m.cat([t, t[:, :, 1:]], 2)", "m.cat([m.zeros(0), t[0, 0]], 0)", "m.cat([t.long(), t], -1)",
    "m.cat([t.permute(3, 2, 1, 0), t.permute(3, 2, 1, 0)], 1)", "m.stack([t, t], 2)", "m.stack([t, t], -1)",
    "t.split(2, 3)", "t.split([1, 3, 1], 3)", "t.chunk(3, 3)", "t.chunk(7, 1)", "m.tensor_split(t, 3, 3)",
    "m.tensor_split(t, [1, 3], 3)", "m.tensor_split(t, [3, 1], 3)", "m.hsplit(t, 3)", "m.vsplit(t, 2)",
    "m.dsplit(t, 2)", "t.unbind(1)", "t.unbind(-1)", "m.flip(t, [0, 2])", "t.fliplr()", "t.flipud()", "t.roll(2, 1)",
    "t.roll((1, -2), (0, 3))", "t.roll(7)", "t.rot90()", "t.rot90(2, (1, 3))", "t.rot90(-1, (1, 3))",
    "t.repeat(2, 1, 1, 3)", "t.repeat(2, 1, 1, 1, 1)", "t.repeat(2, 2, 2, 2)", "t.repeat(3, 0, 1, 1)",
    "t.repeat(2, 3, 2, 2, 2)", "m.tile(t, (2,))", "t.repeat_interleave(2, 1)", "t.repeat_interleave(3)",
    "t.repeat_interleave(m.tensor([1, 0, 2]), 1)", "m.repeat_interleave(m.tensor([1, 0, 2]))", "t.tril()", "t.triu(1)",
    "t.tril(-1)", "t.triu(-7)", "t.tril(9)", "m.tril_indices(3, 4, 1)", "m.triu_indices(3, 4, -1)", "t.diagonal()",
    "t.diagonal(1, 2, 3)", "t.diagonal(-1, 3, 1)", "t.diagonal(9)", "m.diag(t[0, 0, 0])", "m.diag(t[0, 0], 1)",
    "m.diag_embed(t[0, 0], 1)", "m.diag_embed(t[0, 0], -1, 0, 2)", "t.unfold(3, 2, 1)", "t.unfold(1, 2, 2)",
    "t[0, 0, 0, 0].unfold(0, 1, 1)", 'm.meshgrid(t[0, 0, 0], t[0, 0, :, 1], indexing="xy")',
    'm.meshgrid(t[0, 0, 0], t[0, 0, :, 1], t[0, :, 0, 0], indexing="xy")',
    'm.meshgrid(t[0, 0, 0], t[0, 0, 1], t[0, 0, 2], indexing="ij")', "m.cartesian_prod(t[0, 0, 0], t[0, 0, :, 1])",
    "m.block_diag(t[0, 0], t[0, 1, :2], t[0, 0, 0])", "m.hstack([t[0, 0, 0], t[0, 0, 1]])",
    "m.vstack([t[0, 0, 0], t[0, 0, 1]])", "m.dstack([t[0, 0, 0], t[0, 0, 1]])",
    "m.column_stack([t[0, 0, 0], t[0, 0, 1]])", "m.atleast_1d(t[0, 0, 0, 0])", "m.atleast_2d(t[0, 0, 0], t[0, 0])",
    "m.atleast_3d(t[0, 0, 0])", "t.movedim(1, 3)", "t.movedim((0, 1), (3, 0))", "t.swapaxes(0, 1)", "t.mT", "t[0, 0].T",
    "t[0, 0].t()", "t.adjoint()", "t.unflatten(3, (5, -1))", "t.flatten(1, 2)", "t.flatten()", "t.ravel()",
    "t.narrow(1, 1, 2)", "t.narrow(1, -2, 2)", "t.select(1, -1)", "t.expand(2, 2, 3, 4, 5)",
    "t[:, :1].expand(-1, 6, -1, -1)", "t.as_strided((3, 3), (1, 2), 4)", "m.broadcast_tensors(t[0, 0], t[0, :, 0:1])",
    "m.broadcast_to(t, (1, 2, 3, 4, 5))", "t.contiguous(memory_format=m.channels_last)",
    "t.to(memory_format=m.channels_last)", "t.clone()", "t.view(6, 20)", "t.reshape(-1, 10)",
    "t.view_as(t.reshape(6, 20))", "t.reshape_as(t.flatten())", "t.squeeze()", "t[:, :1].squeeze(1)",
    "t[:1, :1].squeeze((0, 1))", "t.unsqueeze(-1)",
]  # fmt: skip


def both(torch: Any, expression: str, gradient: bool) -> tuple[list[Any], list[Any]]:
    """Results, or the gradient of a weighted sum of them, from mielina and PyTorch."""
    found = []
    for m in (mi, torch):
        x = m.tensor(X).requires_grad_(gradient)
        y = eval(expression, {"m": m, "t": x * 1 if gradient else x})  # noqa: S307
        ys = list(y) if isinstance(y, (list, tuple)) else [y]
        if gradient:
            ys = [z for z in ys if z.requires_grad]
            total = sum((z * m.arange(1, z.numel() + 1, dtype=z.dtype).reshape(z.shape)).sum() for z in ys)
            if ys:
                total.backward()  # type: ignore[union-attr]
            ys = [x.grad if ys else m.zeros(1)]
        found.append([z.detach() for z in ys])
    return found[0], found[1]


@pytest.mark.parametrize("gradient", [False, True])
@pytest.mark.parametrize("expression", SAME_AS_TORCH)
def test_as_in_torch(expression: str, gradient: bool) -> None:
    torch = pytest.importorskip("torch")
    mine, theirs = both(torch, expression, gradient)
    assert len(mine) == len(theirs)
    for a, b in zip(mine, theirs):
        assert str(a.dtype).split(".")[-1] == str(b.dtype).split(".")[-1]
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-12)


ERRORS = [
    ("m.cat([])", ValueError), ("m.cat([t, t[0]])", RuntimeError), ("m.cat([t, t[:, :2]], 0)", RuntimeError),
    ("m.cat([t, t], 4)", IndexError), ("m.stack([t, t[0]])", RuntimeError), ("m.stack([])", RuntimeError),
    ("t.split(-1)", RuntimeError), ("t.split([1, 3])", RuntimeError), ("t.chunk(0)", RuntimeError),
    ("m.hsplit(t, 2)", RuntimeError), ("m.dsplit(t[0, 0], 2)", RuntimeError), ("t.flip(0, 0)", RuntimeError),
    ("t.flip(4)", IndexError), ("t.roll((1, 2), 0)", RuntimeError), ("t.rot90(1, (0, 0))", RuntimeError),
    ("t.repeat(2)", RuntimeError), ("t.repeat(1, 1, 1, -1)", RuntimeError),
    ("t.repeat_interleave(-1, 0)", RuntimeError), ("t.repeat_interleave(m.tensor([1, -1]), 0)", RuntimeError),
    ("t.repeat_interleave(m.tensor([1, 2]), 1)", RuntimeError), ("t[0, 0, 0].tril()", RuntimeError),
    ("t.diagonal(0, 1, 1)", RuntimeError), ("t.unfold(3, 6, 1)", RuntimeError), ("t.unfold(3, 2, 0)", RuntimeError),
    ("t.movedim((0, 1), (0, 0))", RuntimeError), ("t.t()", RuntimeError), ("t.unflatten(3, (2, 2))", RuntimeError),
    ("t.flatten(2, 1)", RuntimeError), ("t.narrow(1, 2, 2)", RuntimeError), ("t.select(1, 3)", IndexError),
    ("t.expand(3, 3, 4, 5)", RuntimeError), ("t.view(7, -1)", RuntimeError),
    ("t.permute(0, 1, 2, 3).transpose(0, 1).view(-1)", RuntimeError), ("t.as_strided((121,), (1,))", RuntimeError),
    ("m.meshgrid(t[0, 0, 0], indexing='no')", RuntimeError),
    ("t[0].contiguous(memory_format=m.channels_last)", RuntimeError),
    ("m.broadcast_tensors(t, t[:, :2])", RuntimeError), ("m.diag(t)", RuntimeError), ("t.transpose(0, 4)", IndexError),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "kind"), ERRORS)
def test_errors(expression: str, kind: type[Exception]) -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(kind):
        eval(expression, {"m": mi, "t": mi.tensor(X)})  # noqa: S307
    with pytest.raises((kind, RuntimeError, IndexError)):
        eval(expression, {"m": torch, "t": torch.tensor(X)})  # noqa: S307


ALL = ("float32", "bfloat16", "float64", "int8", "int16", "int64", "bool")
Y = RNG.standard_normal((3, 17, 33))


@pytest.mark.parametrize(
    ("fn", "expected", "inputs", "kwargs"),
    [
        (
            lambda a, b, **k: mi.cat([a, b], **k),
            lambda a, b, **k: reference.cat([a, b], **k),
            [Y, Y[:, :5]],
            {"dim": 1},
        ),
        (lambda a, b, **k: mi.cat([a, b], **k), lambda a, b, **k: reference.cat([a, b], **k), [Y, Y], {"dim": -1}),
        (mi.tril, reference.tril, [Y], {"diagonal": 2}),
        (mi.triu, reference.triu, [Y], {"diagonal": -3}),
        (lambda x: mi.flip(x, 0, 2), lambda x: reference.flip(x, 0, 2), [Y], {}),
        (mi.roll, reference.roll, [Y], {"shifts": (5, -40), "dims": (1, 2)}),
        (lambda x: x.repeat(2, 1, 3), lambda x: reference.repeat(x, 2, 1, 3), [Y], {}),
        (lambda x: x.transpose(0, 2).contiguous(), lambda x: reference.transpose(x, 0, 2), [Y], {}),
    ],
)
def test_check_op(fn: Any, expected: Any, inputs: Any, kwargs: Any) -> None:
    check_op(fn, expected, inputs, kwargs, dtypes=ALL)


def test_gradients() -> None:
    x = mi.tensor(RNG.standard_normal((2, 3, 4)), requires_grad=True)
    for f in (
        lambda x: mi.cat([x, x * x], 1), lambda x: mi.stack(x.unbind(1), 0),
        lambda x: [p * p for p in x.split([1, 3], 2)],
        lambda x: x.unfold(2, 3, 1) ** 2, lambda x: x.tril() * x, lambda x: mi.diag_embed(x.diagonal(0, 1, 2)) ** 2,
        lambda x: x.as_strided((3, 3), (2, 1), 1) ** 2, lambda x: x.roll(1, 2).flip(0) * x,
        lambda x: x.repeat(2, 1, 2) ** 2,
    ):  # fmt: skip
        gradcheck(f, [x])
        gradgradcheck(f, [x])


@given(st.lists(st.integers(1, 70), min_size=2, max_size=4), st.randoms(), st.sampled_from(ALL))
@settings(max_examples=60, deadline=None)
def test_transposes(shape: list[int], random: Any, dtype: str) -> None:
    """Copies between any two orders of axes, through tiles or not."""
    while np.prod(shape) > 200_000:
        shape[int(np.argmax(shape))] //= 2
    axes = list(range(len(shape)))
    random.shuffle(axes)
    x = make_tensor(np.random.default_rng(1).integers(0, 100, shape), dtype)
    y = x.permute(axes).contiguous()
    assert y.is_contiguous()
    assert np.array_equal(y.float().numpy(), x.float().numpy().transpose(axes))
    z = mi.empty(*reversed(shape), dtype=x.dtype).permute(*reversed(range(len(shape))))
    z.copy_(x)
    assert np.array_equal(z.float().numpy(), x.float().numpy())


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32", "float64"])
def test_staged_transpose(dtype: str) -> None:
    x = make_tensor(np.arange(300 * 1024).reshape(300, 1024) % 251, dtype)
    assert np.array_equal(x.t().contiguous().double().numpy(), x.double().numpy().T)


def test_views_share_memory() -> None:
    x = mi.zeros(4, 6)
    for v in (
        x.view(24),
        x.t(),
        x[1:3],
        x.unfold(1, 2, 2),
        x.diagonal(),
        x.split(2)[1],
        x.unbind(0)[2],
        x.movedim(0, 1),
    ):
        v.fill_(1)
        assert x.sum().item() == v.numel()
        x.zero_()


def test_a_transposed_vector_is_another_tensor() -> None:
    for x in (mi.tensor(1.0), mi.ones(3)):
        y = x.t()
        assert y is not x and y.data_ptr() == x.data_ptr()
        assert y.unsqueeze_(0).ndim == x.ndim + 1


def test_writes_to_views_reach_the_base() -> None:
    x = mi.tensor(RNG.standard_normal((3, 4)), requires_grad=True)

    def f(x: mi.Tensor) -> mi.Tensor:
        y = x * 1
        a, b = y.split(2, 1)
        a.mul_(b.clone())
        y.diagonal().mul_(3)
        y[1:, ::2].copy_(x[1:, 1::2] * 2)
        y.tril_()
        return y * y

    gradcheck(f, [x])
    gradgradcheck(f, [x])


def test_memory_formats() -> None:
    x = mi.randn(2, 3, 4, 5) if hasattr(mi, "randn") else mi.rand(2, 3, 4, 5)
    y = x.contiguous(memory_format=mi.channels_last)
    assert y.stride() == (60, 1, 15, 3) and y.is_contiguous(memory_format=mi.channels_last)
    assert y.contiguous(memory_format=mi.channels_last) is y and x.contiguous() is x
    assert mi.cat([y, y], 1).is_contiguous(memory_format=mi.channels_last)
    assert y.clone().stride() == y.stride() and y.clone(memory_format=mi.contiguous_format).is_contiguous()
    assert np.array_equal(y.numpy(), x.numpy())


def test_expanded_memory_refuses_writes() -> None:
    with pytest.raises(RuntimeError, match="single memory location"):
        mi.zeros(1, 3).expand(2, 3).fill_(1)
    with pytest.raises(RuntimeError, match="single memory location"):
        mi.zeros(5).unfold(0, 3, 1).fill_(1)


def test_cat_of_rows_apart() -> None:
    """Rows in even steps, wherever they come from, single elements, and what has no even steps."""
    x = np.arange(7 * 6 * 9, dtype=np.float32).reshape(7, 6, 9)
    t = mi.tensor(x)
    parts = [
        lambda a: a[:, :, 3:], lambda a: a[:, :, :1], lambda a: a[:, ::2], lambda a: a[::-1] if a is x else a.flip(0),
        lambda a: a[:, 1:2], lambda a: a[:1, :, 2:5], lambda a: a.swapaxes(0, 1),
        lambda a: np.broadcast_to(a[:1], a.shape) if a is x else a[:1].expand(7, 6, 9),
    ]  # fmt: skip
    for f in parts:
        for g in parts:
            for axis in (1, 2):
                a, b = f(x), g(x)
                if all(n == m for d, (n, m) in enumerate(zip(a.shape, b.shape)) if d != axis):
                    e = np.concatenate((a, b, a), axis)
                    assert np.array_equal(mi.cat((f(t), g(t), f(t)), axis).numpy(), e)
    for k in (2, 3, 5):
        assert np.array_equal(mi.stack((t,) * k, -1).numpy(), np.stack((x,) * k, -1))
    for shift in (1, -2, 8):
        assert np.array_equal(mi.roll(t, shift, 2).numpy(), np.roll(x, shift, 2))
    big = np.arange(300 * 301.0).reshape(300, 301)
    for diagonal in (-3, 0, 250):
        for f in ("tril", "triu"):
            e = getattr(np, f)(big, diagonal)
            assert np.array_equal(getattr(mi, f)(mi.tensor(big), diagonal).numpy(), e)
            assert np.array_equal(getattr(mi.tensor(big), f + "_")(diagonal).numpy(), e)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "float64"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_planes_and_pixels(dtype: str, channels: int) -> None:
    """Few planes are woven into pixels and pixels taken apart, 16 bytes at a time: every width, from and into parts."""
    rng = np.random.default_rng(channels)
    for width in (*range(1, 36), 63, 64, 65, 16 * 1024 - 1, 16 * 1024 + 3, 33000):
        x = rng.integers(0, 200, (2, channels, width)).astype(dtype)
        assert np.array_equal(mi.tensor(x).permute(0, 2, 1).contiguous().numpy(), x.transpose(0, 2, 1))
        y = x.transpose(0, 2, 1).copy()
        assert np.array_equal(mi.tensor(y).permute(0, 2, 1).contiguous().numpy(), x)
        if 1 < width < 100:
            assert np.array_equal(mi.tensor(x)[:, :, 1:].permute(0, 2, 1).contiguous().numpy(), y[:, 1:])
            assert np.array_equal(mi.tensor(y)[:, 1:].permute(0, 2, 1).contiguous().numpy(), x[:, :, 1:])
            whole = mi.zeros(2, channels, width + 5, dtype=getattr(mi, dtype))
            whole[:, :, 3 : width + 3] = mi.tensor(y).permute(0, 2, 1)
            assert np.array_equal(whole.numpy()[:, :, 3:-2], x) and not whole.numpy()[:, :, -2:].any()


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "float64"])
def test_rows_in_another_order(dtype: str) -> None:
    """Rows that lie together are copied whole, short ones in two pieces that overlap."""
    rng = np.random.default_rng(0)
    for width in (*range(1, 36), 63, 64, 65, 1000):
        x = rng.integers(0, 200, (5, 3, width + 1)).astype(dtype)
        for part in (x, x[:, :, 1:], x[::2, :, :width]):
            start = mi.tensor(x)[:: 2 if part.shape[0] == 3 else 1]
            start = start[:, :, 1:] if part.shape[2] == width and part.shape[0] == 5 else start[:, :, : part.shape[2]]
            assert np.array_equal(start.transpose(0, 1).contiguous().numpy(), part.transpose(1, 0, 2))


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32", "float64"])
@pytest.mark.parametrize("level", Library().isas())
def test_flips(dtype: str, level: str) -> None:
    """Rows from the last to the first and rows turned, of all lengths and beginnings."""
    rng = np.random.default_rng(0)
    with use_isa(level):
        for width in (*range(1, 70), 127, 128, 129, 255, 1000):
            x = rng.integers(0, 200, (3, 5, width + 2)).astype(dtype)[:, :, 1:-1]
            for dims in ((0,), (1,), (2,), (1, 2), (0, 2), (0, 1, 2)):
                y = mi.flip(mi.tensor(np.pad(x, ((0, 0), (0, 0), (1, 2))))[:, :, 1:-2], dims)
                assert np.array_equal(y.numpy(), np.flip(x, dims))


def test_flip_keeps_the_order_in_memory():
    torch = pytest.importorskip("torch")
    x, t = mi.tensor(np.arange(24.0).reshape(2, 3, 4)), torch.arange(24.0).reshape(2, 3, 4)
    for order in ((0, 1, 2), (2, 0, 1), (1, 2, 0), (2, 1, 0)):
        for dims in ((0,), (2,), (0, 1), (0, 1, 2)):
            y, expected = x.permute(order).flip(dims), t.permute(order).flip(dims)
            assert y.stride() == expected.stride()
            np.testing.assert_array_equal(y.numpy(), expected.numpy())
