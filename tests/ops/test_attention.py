"""Scaled dot-product attention against its reference, its composite and PyTorch."""

from __future__ import annotations

from typing import Any

import mielina as mi
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from levels import LEVELS
from mielina.testing import (
    assert_close,
    check_composite,
    check_op,
    gradcheck,
    gradgradcheck,
    reference,
    tolerance,
    use_isa,
)

attend = mi.nn.functional.scaled_dot_product_attention
RNG = np.random.default_rng(8)


def normal(*shape: int) -> Any:
    return np.asarray(RNG.standard_normal(shape))


def operands(*lead: int, L: int, S: int, E: int, F: int) -> list[Any]:
    return [normal(*lead, L, E), normal(*lead, S, E), normal(*lead, S, F)]


@pytest.mark.parametrize("causal", [False, True])
def test_against_the_reference(causal: bool) -> None:
    """Sizes on both sides of the tile's 64 queries and 112 keys, odd tails, all layouts and levels."""
    check_op(
        attend, reference.scaled_dot_product_attention, operands(2, 2, L=66, S=115, E=5, F=18), {"is_causal": causal},
        dtypes=("float32", "float64", "float16", "bfloat16"), layouts=("contiguous", "transposed", "sliced"),
        length=115, amplification=8, magnitude="max", threads=(1, 3), grad=True, gradgrad=False, grad_amplification=32,
    )  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(
    lead=st.sampled_from([(), (2,), (2, 3), (2, 1, 3)]),
    sizes=st.tuples(st.integers(0, 70), st.integers(0, 120), st.integers(1, 20), st.integers(0, 40)),
    mask=st.sampled_from(["", "bool", "row", "float"]),
    causal=st.booleans(),
)
def test_shapes_and_masks(lead: tuple[int, ...], sizes: tuple[int, ...], mask: str, causal: bool) -> None:
    L, S, E, F = sizes
    q, k, v = operands(*lead, L=L, S=S, E=E, F=F)
    bools = {"bool": (L, S), "row": (1, S)}
    m = RNG.random(bools[mask]) > 0.4 if mask in bools else normal(L, S) if mask else None
    given_mask = None if m is None else mi.tensor(m)
    if m is not None and m.dtype == np.float64:
        given_mask = given_mask.to(mi.float32)
        m = given_mask.to(mi.float64).numpy()
    y = attend(*(mi.tensor(x) for x in (q, k, v)), given_mask, is_causal=causal)
    expected = reference.scaled_dot_product_attention(q, k, v, m, is_causal=causal)
    assert_close(y.numpy(), expected, "float64", tolerance("float64", max(S, 1), 32), 1.0)


MASKS = ["none", "bool", "row", "number", "causal"]


@pytest.mark.parametrize("isa", LEVELS)
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize(
    "sizes",  # heads that share keys, L, S, E, F
    [
        (1, 1, 1, 16, 64),
        (1, 1, 300, 64, 64),
        (2, 2, 113, 32, 80),
        (4, 1, 230, 20, 33),
        (1, 4, 17, 64, 128),
        (1, 3, 112, 5, 16),
        (8, 2, 120, 1, 1),
        (5, 4, 40, 16, 8),  # more than are a few
    ],
)
def test_a_few_queries(sizes: tuple[int, ...], mask: str, dtype: str, isa: str) -> None:
    """Up to four of a head, 16 that share keys, are not padded to vectors; halves are read where they lie, or as floats
    where rows are no whole vectors. Keys lie head by head, and head within key, as a cache of them does. Their
    gradients come from blocks, so that both must agree on what is saved."""
    G, L, S, E, F = sizes
    q, k, v = (x.astype(np.float32) for x in (normal(2, 3 * G, L, E), normal(2, 3, S, E), normal(2, 3, S, F)))
    ours = [mi.tensor(x).to(getattr(mi, dtype)) for x in (q, k, v)]
    exact = [np.repeat(x.to(mi.float64).numpy(), 1 if i == 0 else G, 1) for i, x in enumerate(ours)]
    m: Any = None
    if mask in ("bool", "row"):
        m = RNG.random((L, S) if mask == "bool" else (2, 1, 1, S)) > 0.4
        m[..., 0] = True
    elif mask == "number":
        m = mi.tensor(normal(2, 1, L, S)).to(getattr(mi, dtype)).to(mi.float64).numpy()
    given_mask = None if m is None else mi.tensor(m)
    if mask == "number":
        given_mask = given_mask.to(getattr(mi, dtype))
    wide = [mi.tensor(x).requires_grad_() for x in exact]
    expected = attend(*wide, None if m is None else mi.tensor(m), is_causal=mask == "causal")
    g = mi.tensor(normal(*expected.shape)).to(getattr(mi, dtype))
    wanted = mi.grad(expected, wide, g.to(mi.float64))
    allowed = tolerance(dtype, max(S, E), 32)
    for within in (False, True):
        leaves = [(x.transpose(1, 2).contiguous().transpose(1, 2) if within else x).requires_grad_() for x in ours]
        forms = []
        with use_isa(isa):
            for threads in (1, 3):
                mi.set_num_threads(threads)
                y = attend(*leaves, given_mask, is_causal=mask == "causal", enable_gqa=G > 1)
                forms.append([y, *mi.grad(y, leaves, g)])
        bits = [[t.detach().to(mi.float64).numpy().tobytes() for t in form] for form in forms]
        assert bits[0] == bits[1], "the same bits on any number of threads"
        assert_close(forms[0][0].detach().to(mi.float64).numpy(), expected.detach().numpy(), dtype, allowed, 1.0)
        for mine, right, shared in zip(forms[0][1:], wanted, (1, G, G), strict=True):
            right = right.numpy().reshape(2, -1, shared, *right.shape[2:]).sum(2)
            assert_close(mine.to(mi.float64).numpy(), right, dtype, 8 * shared * allowed, max(1.0, np.abs(right).max()))


@pytest.mark.parametrize("isa", LEVELS)
def test_a_few_queries_that_see_nothing_or_no_numbers(isa: str) -> None:
    q, k, v = (mi.tensor(x).to(mi.float32) for x in operands(3, L=2, S=150, E=16, F=32))
    m = np.ones((3, 1, 150), bool)
    m[1] = False  # nothing
    m[2, :, :140] = False  # the first block is empty
    k[0, 120, 3] = np.nan
    with use_isa(isa):
        y = attend(q, k, v, mi.tensor(m)).numpy()
        alone = attend(q[2:], k[2:, 140:], v[2:, 140:]).numpy()
        large = attend(q[1:] * 1e4, k[1:] * 1e4, v[1:]).numpy()  # only the largest score counts
    assert np.isnan(y[0]).all() and not y[1].any()
    np.testing.assert_allclose(y[2:], alone, rtol=1e-6, atol=1e-6)
    best = np.argmax(q[1:].double().numpy() @ k[1:].double().numpy().swapaxes(-1, -2), -1)
    np.testing.assert_allclose(large, np.take_along_axis(v[1:].numpy(), best[..., None], 1), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_blocks_that_a_bool_mask_keeps_or_drops_whole(dtype: str) -> None:
    """Below the diagonal blocks are kept, above it dropped; queries of the second block see only the last key, of the
    third none."""
    q, k, v = operands(2, L=200, S=250, E=8, F=9)
    m = np.tril(np.ones((200, 250), bool))
    m[64:128] = np.arange(250) == 249
    m[128:192] = False
    ours = [mi.tensor(x).to(getattr(mi, dtype)) for x in (q, k, v)]
    expected = reference.scaled_dot_product_attention(q, k, v, m)
    y = attend(*ours, mi.tensor(m))
    assert_close(y.to(mi.float64).numpy(), expected, dtype, tolerance(dtype, 250, 32), 1.0)
    assert not y[:, 128:192].numpy().any()
    numbers = mi.tensor(np.where(m, 0.0, -np.inf)).to(getattr(mi, dtype))
    assert_close(y.numpy(), attend(*ours, numbers).numpy(), dtype, 0.0, 0.0)


def test_rows_masked_with_the_lowest_number() -> None:
    """Such a row sees all keys alike, as in PyTorch; scores to another base must not overflow there."""
    q, k, v = (mi.tensor(x.astype(np.float32)).requires_grad_() for x in operands(L=66, S=115, E=5, F=3))
    mask = mi.zeros(66, 115)
    mask[[0, 65]] = float(np.finfo(np.float32).min)
    y = attend(q, k, v, mask)
    assert_close(y[0].detach().numpy(), v.detach().numpy().mean(0), "float32", tolerance("float32", 115), 1.0)
    y.sum().backward()
    assert all(mi.isfinite(x.grad).all() for x in (q, k, v))


@pytest.mark.parametrize("causal", [False, True])
def test_second_order(causal: bool) -> None:
    q, k, v = (mi.tensor(x).requires_grad_() for x in operands(2, L=4, S=5, E=3, F=2))
    mask = mi.tensor(normal(4, 5)).requires_grad_()
    gradcheck(lambda q, k, v, m: attend(q, k, v, m, is_causal=causal), [q, k, v, mask])
    gradgradcheck(lambda q, k, v, m: attend(q, k, v, m, is_causal=causal, scale=0.7), [q, k, v, mask])


def test_against_its_composite() -> None:
    from mielina.ops.attention import ATTENTION

    q, k, v = operands(2, 4, L=7, S=9, E=3, F=5)
    mask = mi.tensor(np.r_[np.zeros((1, 9)), RNG.random((6, 9))] > 0.4)

    def composite(q: Any, k: Any, v: Any, m: Any = None, grouped: bool = False) -> Any:
        return ATTENTION.composite(q, k, v, m, None, 0.4, False, 0.0, grouped, None, None)

    def fused(q: Any, k: Any, v: Any, m: Any = None, grouped: bool = False) -> Any:
        return attend(q, k, v, m, scale=0.4, enable_gqa=grouped)

    check_composite(fused, [q, k, v, mask], composite=composite)
    check_composite(fused, [q, k[:, :2], v[:, :2]], {"grouped": True}, composite=composite)
    check_composite(fused, [q, k[:1], v[:, :1]], composite=composite)


def test_grouped_queries_and_broadcasting() -> None:
    q, k, v = normal(2, 6, 70, 8), normal(2, 2, 30, 8), normal(2, 2, 30, 4)
    check_op(attend, reference.scaled_dot_product_attention, [q, k, v], {"enable_gqa": True, "is_causal": True},
             length=30, amplification=8, magnitude="max", threads=(1, 2), layouts=("contiguous", "transposed"),
             grad=True, gradgrad=False, grad_amplification=32)  # fmt: skip
    check_op(attend, reference.scaled_dot_product_attention, [q, k[:, :1], v[:1, :1]], length=30, amplification=8,
             magnitude="max", threads=(2,), layouts=("contiguous",))  # fmt: skip


def test_a_fully_masked_row_gives_zeros_and_zero_gradients() -> None:
    for m in (np.array([[False] * 4, [True] * 4]), np.array([[-np.inf] * 4, [0.0] * 4])):
        q, k, v = (mi.tensor(x).requires_grad_() for x in (normal(2, 3), normal(4, 3), normal(4, 3)))
        y = attend(q, k, v, mi.tensor(m))
        y.sum().backward()
        assert (y.detach().numpy()[0] == 0).all() and (q.grad.numpy()[0] == 0).all()
        assert all(np.isfinite(x.grad.numpy()).all() for x in (q, k, v))


def test_scores_that_overflow_exp_and_nan() -> None:
    q, k, v = np.full((1, 2), 300.0, np.float32), np.array([[300.0, 0], [-300, 0], [299, 0]], np.float32), normal(3, 4)
    y = attend(mi.tensor(q), mi.tensor(k), mi.tensor(v.astype(np.float32)), scale=1.0)
    np.testing.assert_array_equal(y.numpy(), v[:1].astype(np.float32))
    q[0, 0] = np.nan
    assert np.isnan(attend(mi.tensor(q), mi.tensor(k), mi.tensor(v.astype(np.float32))).numpy()).all()


def test_dropout_is_indexed_by_the_score() -> None:
    q, k, v = operands(2, 3, L=67, S=121, E=4, F=5)
    results = []
    for threads in (1, 3):
        mi.set_num_threads(threads)
        mi.manual_seed(5)
        leaves = [mi.tensor(x).requires_grad_() for x in (q, k, v)]
        y = attend(*leaves, dropout_p=0.3, is_causal=True)
        results.append([y.detach().numpy(), *(g.numpy() for g in mi.grad(y, leaves, mi.tensor(np.ones(y.shape))))])
    expected = reference.scaled_dot_product_attention(q, k, v, dropout_p=0.3, is_causal=True, random=(5, 0))
    np.testing.assert_allclose(results[0][0], expected, atol=1e-12)
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)

    def seeded(q: Any, k: Any, v: Any) -> Any:
        mi.manual_seed(5)
        return attend(q, k, v, dropout_p=0.4)

    small = [mi.tensor(x).requires_grad_() for x in operands(2, L=3, S=5, E=2, F=2)]
    gradcheck(seeded, small)
    gradgradcheck(seeded, small)
    y = seeded(*small)
    fused = mi.grad(y.sum(), small, retain_graph=True)
    for a, b in zip(fused, mi.grad(y.sum(), small, create_graph=True), strict=True):
        np.testing.assert_allclose(a.numpy(), b.detach().numpy(), atol=1e-13)  # the composite drops the same scores
    assert (attend(*small, dropout_p=1.0).detach().numpy() == 0).all()


def test_the_sums_over_queries_do_not_depend_on_the_pieces() -> None:
    """One head is cut into pieces, eight are not: the same gradients to rounding."""
    q, k, v = (x.astype(np.float32) for x in operands(1, 1, L=400, S=90, E=16, F=16))
    grads = []
    for copies in (1, 8):
        leaves = [mi.tensor(np.tile(x, (1, copies, 1, 1))).requires_grad_() for x in (q, k, v)]
        y = attend(*leaves)
        grads.append([g.numpy()[:, :1] for g in mi.grad(y, leaves, mi.tensor(np.ones(y.shape, np.float32)))])
    for a, b in zip(*grads, strict=True):
        near = tolerance("float32", 400, 4)
        assert_close(a.astype(np.float64), b.astype(np.float64), "float32", near, float(np.abs(b).max()))


def test_against_pytorch() -> None:
    torch = pytest.importorskip("torch")
    q, k, v = (x.astype(np.float32) for x in operands(2, 4, L=100, S=100, E=32, F=32))
    theirs = [torch.tensor(x).requires_grad_() for x in (q, k, v)]
    ours = [mi.tensor(x).requires_grad_() for x in (q, k, v)]
    torch.nn.functional.scaled_dot_product_attention(*theirs, is_causal=True).square().sum().backward()
    y = attend(*ours, is_causal=True)
    (y * y).sum().backward()
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), atol=2e-4)
    assert y.transpose(1, 2).is_contiguous()  # joining the heads is free


def test_errors() -> None:
    q = mi.ones(2, 3, 4, 8)
    for arguments, message in [
        ((q, q.narrow(1, 0, 2), q.narrow(1, 0, 2)), "scaled_dot_product"),
        ((q, q.narrow(-1, 0, 4), q), "query.shape"),
        ((q, q, q.narrow(-2, 0, 3)), "key.shape"),
        ((q.select(0, 0).select(0, 0).select(0, 0), q, q), "at least 2"),
        ((q.to(mi.float64), q, q), "one dtype"),
        ((q.to(mi.int64), q.to(mi.int64), q.to(mi.int64)), "floating"),
        ((q, q, q, mi.ones(4, 4, dtype=mi.int64)), "bool, float32 or"),
        ((q, q, q, mi.ones(5, 4)), "scaled_dot_product"),
        ((q, q, q, None, 1.5), "between 0 and 1"),
        ((q, q, q, None, -0.5), "between 0 and 1"),
    ]:
        with pytest.raises((RuntimeError, ValueError), match=message):
            attend(*arguments)
    with pytest.raises(RuntimeError, match="divide"):
        attend(q, q.narrow(1, 0, 2), q.narrow(1, 0, 2), enable_gqa=True)
