"""Normalisation against the references, the composites and PyTorch."""

from __future__ import annotations

from typing import Any

import mielina as mi
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mielina.testing import Library, check_op, reference, use_isa

F = mi.nn.functional
RNG = np.random.default_rng(5)
HALVES = ("float32", "float64", "float16", "bfloat16")
LAYOUTS = ("contiguous", "transposed", "channels_last", "sliced", "offset")


def normal(*shape: int) -> Any:
    return np.asarray(RNG.standard_normal(shape))


def check(fn: Any, ref: Any, inputs: list[Any], kwargs: dict[str, Any] | None = None, **options: Any) -> None:
    """Normalisation divides by the deviation: errors are relative to the largest result."""
    n = inputs[0].size
    settings = {"layouts": LAYOUTS, "threads": (1, 2), "length": n, "amplification": 16, "magnitude": "max"} | options
    check_op(fn, ref, inputs, kwargs, **settings)


# ---- layer and rms ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("shape", [(3, 10), (2, 1030), (2, 4200), (70, 33)])
def test_layer_norm(shape: tuple[int, int]) -> None:
    n = shape[1]
    check(
        lambda x, w, b: F.layer_norm(x, (n,), w, b),
        lambda x, w, b: reference.layer_norm(x, (n,), w, b),
        [normal(*shape) + 3, normal(n), normal(n)],
        dtypes=HALVES,
    )


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("isa", Library().isas())
def test_a_row_alone_and_beside_others(isa: str, dtype: str) -> None:
    """Two rows go through the last pass together, the last of an odd number alone: with the same bits."""
    for n in (1, 5, 16, 33, 300, 1024):
        x, w, b = (mi.tensor(normal(*s)).to(getattr(mi, dtype)) for s in ((7, n), (n,), (n,)))
        with use_isa(isa):
            rows = [F.layer_norm(x[i : i + 1], (n,), w, b).float().numpy() for i in range(7)]
            np.testing.assert_array_equal(F.layer_norm(x, (n,), w, b).float().numpy(), np.concatenate(rows))


def test_rms_norm() -> None:
    check(
        lambda x, w: F.rms_norm(x, (4, 5), w, 1e-6),
        lambda x, w: reference.rms_norm(x, (4, 5), w, 1e-6),
        [normal(6, 4, 5), normal(4, 5)],
        dtypes=HALVES,
    )


@pytest.mark.parametrize("affine", [True, False])
def test_gradients_of_rows(affine: bool) -> None:
    extra = [normal(2, 3), normal(2, 3)] if affine else []
    check(
        lambda x, *p: F.layer_norm(x, (2, 3), *p),
        lambda x, *p: reference.layer_norm(x, (2, 3), *p),
        [normal(4, 2, 3), *extra],
        layouts=("contiguous", "transposed"),
        grad=True,
        grad_amplification=64,
    )
    check(
        lambda x, *p: F.rms_norm(x, (2, 3), *p[:1], eps=1e-5),
        lambda x, *p: reference.rms_norm(x, (2, 3), *p[:1], eps=1e-5),
        [normal(4, 2, 3), *extra[:1]],
        layouts=("contiguous",),
        grad=True,
        grad_amplification=64,
    )


def test_a_large_mean_costs_no_digits() -> None:
    """x^2 - mean^2 would lose all of them in float32."""
    x = np.asarray(RNG.standard_normal((4, 3000)) + 4096, np.float32)
    y = F.layer_norm(mi.tensor(x), (3000,)).numpy()
    assert np.abs(y - reference.layer_norm(x, (3000,))).max() < 1e-3


# ---- group and instance ----------------------------------------------------------------------------------------------
# Groups of two become -1 and 1 whatever they hold: their gradient is 0 but for eps, and all digits of it cancel.
@pytest.mark.parametrize(("shape", "groups"), [((3, 6, 4, 5), 3), ((2, 12), 4), ((2, 4, 1100), 2), ((5, 3, 2), 1)])
def test_group_norm(shape: tuple[int, ...], groups: int) -> None:
    inputs = [normal(*shape) + 2, normal(shape[1]), normal(shape[1])]
    small = int(np.prod(shape)) < 400
    check(
        lambda x, w, b: F.group_norm(x, groups, w, b),
        lambda x, w, b: reference.group_norm(x, groups, w, b),
        inputs,
        dtypes=("float32", "float64", "bfloat16"),
        grad=small,
        gradgrad=small and len(shape) == 2,
        grad_amplification=64,
    )


def test_instance_norm() -> None:
    x = normal(3, 4, 5, 2)
    check(
        lambda x, w, b: F.instance_norm(x, None, None, w, b),
        lambda x, w, b: reference.instance_norm(x, None, None, w, b),
        [x, normal(4), normal(4)],
        layouts=("contiguous", "channels_last"),
        grad=True,
        gradgrad=False,
        grad_amplification=64,
    )
    torch = pytest.importorskip("torch")
    mine, theirs = [mi.zeros(4), mi.ones(4)], [torch.zeros(4), torch.ones(4)]
    y = F.instance_norm(mi.tensor(x.astype(np.float32)), *mine)
    z = torch.nn.functional.instance_norm(torch.tensor(x.astype(np.float32)), *theirs)
    for a, b in zip([y, *mine], [z, *theirs]):
        assert np.allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-6)


# ---- batch -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(3, 6, 4, 5), (40, 7), (2, 3, 1100), (300, 70), (2, 3, 2, 2, 2)])
def test_batch_norm(shape: tuple[int, ...], training: bool) -> None:
    c = shape[1]
    mean, var = normal(c), RNG.random(c) + 0.5
    small = int(np.prod(shape)) < 400

    def fn(x: Any, w: Any, b: Any) -> Any:
        return F.batch_norm(x, mi.tensor(mean), mi.tensor(var), w, b, training)

    def ref(x: Any, w: Any, b: Any) -> Any:
        return reference.batch_norm(x, mean, var, w, b, training)

    check(
        fn,
        ref,
        [normal(*shape) + 1, normal(c), normal(c)],
        dtypes=HALVES,
        result=lambda d: d,
        grad=small,
        gradgrad=shape == (3, 6, 4, 5),
        grad_amplification=64,
    )


@settings(max_examples=30, deadline=None)
@given(
    st.tuples(st.integers(1, 5), st.integers(1, 70), st.integers(1, 9), st.integers(1, 9)),
    st.sampled_from(["float32", "float64"]),
    st.booleans(),
)
def test_running_statistics(shape: tuple[int, ...], dtype: str, channels_last: bool) -> None:
    x = normal(*shape)
    if x.size == shape[1]:
        return
    start = [normal(shape[1]).astype(dtype), RNG.random(shape[1]).astype(dtype)]
    running = [mi.tensor(s) for s in start]
    t = (
        mi.tensor(np.moveaxis(x, 1, -1).astype(dtype)).permute(0, 3, 1, 2)
        if channels_last
        else mi.tensor(x.astype(dtype))
    )
    y = F.batch_norm(t, *running, training=True, momentum=0.3)
    strides = [[s for s, n in zip(v.stride(), shape) if n > 1] for v in (y, t)]  # of axes that have one
    assert strides[0] == strides[1]
    for r, e in zip(running, reference.batch_norm_statistics(x, *start, momentum=0.3)):
        assert np.allclose(r.numpy(), e, rtol=1e-4, atol=1e-5)


def test_without_weights_and_mixed_dtypes() -> None:
    torch = pytest.importorskip("torch")
    x = normal(4, 3, 5).astype(np.float32)
    y = F.batch_norm(mi.tensor(x).to(mi.bfloat16), mi.zeros(3), mi.ones(3), mi.ones(3), mi.zeros(3))
    assert y.dtype is mi.bfloat16
    z = torch.nn.functional.batch_norm(torch.tensor(x), None, None, training=True)
    assert np.allclose(F.batch_norm(mi.tensor(x), None, None, training=True).numpy(), z.numpy(), atol=1e-6)


@pytest.mark.parametrize("isa", Library().isas())
@pytest.mark.parametrize("dtype", [mi.float16, mi.bfloat16])
def test_halves_are_float32_rounded_once(isa: str, dtype: mi.dtype) -> None:
    """Rows that are converted where they lie take the steps of float32: of any length and beginning, and large ones."""
    norms = (
        (lambda x, w, b: F.layer_norm(x, (x.shape[1],), w, b), 3),
        (lambda x, w, b: F.rms_norm(x, (x.shape[1],), w), 2),
        (lambda x, w, b: F.layer_norm(x, (x.shape[1],)), 1),
    )
    with use_isa(isa):
        for rows, length in ((5, 7), (40, 64), (6, 1001), (3, 4100), (4096, 4096)):
            x, g = (mi.tensor(RNG.standard_normal((rows + 1, length + 1), np.float32)).to(dtype) for _ in range(2))
            w, b = (mi.tensor(RNG.standard_normal(length, np.float32)).to(dtype) for _ in range(2))
            for place in (slice(None, -1), slice(1, None))[: 1 if rows == 4096 else 2]:
                halves = [v.clone() if rows == 4096 else v for v in (x[place, place], w, b)]
                wide = [v.float() for v in halves]
                for f, used in norms:
                    y, z = (f(*(v.requires_grad_() for v in vs)) for vs in (halves, wide))
                    assert mi.equal(y, z.to(dtype))
                    grads = mi.autograd.grad(y, halves[:used], g[place, place])
                    expected = mi.autograd.grad(z, wide[:used], g[place, place].float())
                    assert all(mi.equal(p, q.to(dtype)) for p, q in zip(grads, expected, strict=True))


@pytest.mark.parametrize("isa", Library().isas())
def test_group_norm_past_the_caches(isa: str) -> None:
    x = RNG.standard_normal((2, 4, 1024, 1024), np.float32)
    with use_isa(isa):
        y = F.group_norm(mi.tensor(x), 2, mi.tensor([1.0, 2.0, 3.0, 4.0]), mi.tensor([4.0, 3.0, 2.0, 1.0])).numpy()
    rows = x.reshape(2, 2, -1).astype(np.float64)
    z = (rows - rows.mean(2, keepdims=True)) / np.sqrt(rows.var(2, keepdims=True) + 1e-5)
    e = z.reshape(x.shape) * np.arange(1.0, 5).reshape(4, 1, 1) + np.arange(4.0, 0, -1).reshape(4, 1, 1)
    assert np.abs(y - e).max() < 8 * 2**-24 * np.abs(e).max()


@pytest.mark.parametrize("isa", Library().isas())
@pytest.mark.parametrize(
    ("shape", "last"),
    [((2, 3, 40000), False), ((3, 700, 7, 7), False), ((50, 150, 5, 5), True), ((1, 8, 1024, 1024), False),
     ((1, 256, 256, 128), True)],
)  # fmt: skip
def test_inference_cut_into_pieces(isa: str, shape: tuple[int, ...], last: bool) -> None:
    """Planes larger and smaller than a task, and results of 32 MB, which are written past the caches."""
    x = RNG.standard_normal(shape, np.float32) + 3
    c = shape[1]
    w, b, mean, var = (RNG.random(c).astype(np.float32) + 0.5 for _ in range(4))
    t = mi.tensor(np.moveaxis(x, 1, -1)).permute(0, 3, 1, 2) if last else mi.tensor(x)
    before, results = mi.get_num_threads(), []
    with use_isa(isa):
        for n in (1, 2, 7):
            mi.set_num_threads(n)
            results.append(F.batch_norm(t, *(mi.tensor(v) for v in (mean, var, w, b))).numpy())
    mi.set_num_threads(before)
    assert all(np.array_equal(r, results[0]) for r in results)
    k = (w / np.sqrt(var + 1e-5, dtype=np.float64)).reshape(-1, *[1] * (x.ndim - 2))
    e = (x - mean.astype(np.float64).reshape(k.shape)) * k + b.reshape(k.shape)
    assert np.abs(results[0] - e).max() < 8 * 2**-24 * np.abs(e).max()


# ---- the rest --------------------------------------------------------------------------------------------------------
def test_local_response_norm() -> None:
    for size in (2, 3, 5):
        check(
            F.local_response_norm,
            reference.local_response_norm,
            [normal(2, 6, 3, 4)],
            {"size": size, "alpha": 0.1, "k": 2.0},
            layouts=("contiguous", "channels_last"),
            grad=size == 3,
            gradgrad=False,
        )


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, float("inf")])
def test_normalize(p: float) -> None:
    def ref(x: Any, p: float, dim: int) -> Any:
        return x / np.linalg.norm(x, p, axis=dim, keepdims=True)

    check(
        F.normalize,
        ref,
        [normal(5, 7)],
        {"p": p, "dim": 1},
        layouts=("contiguous", "transposed"),
        grad=True,
        gradgrad=p == 2.0,
        grad_amplification=16,
    )


def test_errors() -> None:
    x = mi.zeros(4, 6)
    with pytest.raises(ValueError, match="Expected more than 1 value per channel"):
        F.batch_norm(mi.zeros(1, 6), None, None, training=True)
    with pytest.raises(RuntimeError, match="inference needs running_mean"):
        F.batch_norm(x, None, None)
    with pytest.raises(RuntimeError, match="weight must hold 6"):
        F.batch_norm(x, None, None, mi.zeros(5), training=True)
    with pytest.raises(RuntimeError, match="running statistics must be vectors of 6"):
        F.batch_norm(x, mi.zeros(5), mi.zeros(5))
    with pytest.raises(RuntimeError, match="expected an input of shape"):
        F.layer_norm(x, (5,))
    with pytest.raises(RuntimeError, match="weight and bias must have normalized_shape"):
        F.layer_norm(x, (6,), mi.zeros(5))
    with pytest.raises(RuntimeError, match="divisible by num_groups"):
        F.group_norm(x, 4)
    with pytest.raises(ValueError, match="Expected more than 1 spatial element"):
        F.instance_norm(mi.zeros(2, 3, 1))
    with pytest.raises(ValueError, match="at least 3 dimensions"):
        F.local_response_norm(x, 2)
    with pytest.raises(NotImplementedError, match="floating"):
        F.layer_norm(mi.tensor([[1, 2]]), (2,))
    for empty in (
        F.layer_norm(mi.zeros(0, 3), (3,)),
        F.group_norm(mi.zeros(0, 4), 2),
        F.batch_norm(mi.zeros(0, 3), mi.zeros(3), mi.ones(3)),
    ):
        assert empty.numel() == 0


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_large_matrices_of_halves(dtype: str) -> None:
    """Batch norm of 32 MB, whose halves are written past the caches: the numbers of float32, rounded."""
    half = getattr(mi, dtype)
    shape = (16400, 1024)
    x = mi.tensor(np.random.default_rng(3).standard_normal(shape).astype(np.float32)).to(half)
    g = mi.tensor(np.random.default_rng(4).standard_normal(shape).astype(np.float32)).to(half)
    w = mi.tensor(np.linspace(0.5, 1.5, 1024, dtype=np.float32)).to(half)
    mean, var = mi.zeros(1024), mi.ones(1024)
    for training in (True, False):
        results = []
        for to in (half, mi.float32):
            a = x.to(to).detach()
            a.requires_grad = True
            y = F.batch_norm(a, mean.clone(), var.clone(), w.to(to), w.to(to), training=training)
            y.backward(g.to(to))
            results.append((y.detach(), a.grad))
        for mine, exact in zip(*results, strict=True):
            assert mine is not None and exact is not None
            assert (mine == exact.to(half)).all().item()


def test_running_statistics_may_move_before_backward() -> None:
    for create_graph in (False, True):
        x = mi.tensor([[1.0, 2.0], [3.0, 5.0]], dtype=mi.float64, requires_grad=True)
        layer = mi.nn.BatchNorm1d(2).double().eval()
        y = layer(x)
        layer.train()(x)
        assert layer.running_mean.tolist() != [0, 0]
        grad = mi.autograd.grad((y * y).sum(), x, create_graph=create_graph)[0]
        np.testing.assert_allclose(grad.detach().numpy(), 2 * x.detach().numpy() / (1 + 1e-5), rtol=1e-12)
        if create_graph:
            second = mi.autograd.grad(grad.sum(), x)[0]
            np.testing.assert_allclose(second.numpy(), np.full((2, 2), 2 / (1 + 1e-5)), rtol=1e-12)
