"""Attention on AMX's tiles against the same in float64, and the level below."""

from __future__ import annotations

from typing import Any

import mielina as mi
import numpy as np
import pytest
from levels import BELOW, needs_tiles
from mielina.testing import assert_close, tolerance, use_isa

pytestmark = needs_tiles
RNG = np.random.default_rng(23)
DTYPES = ["float32", "float16", "bfloat16"]
attend = mi.nn.functional.scaled_dot_product_attention


def operands(dtype: str, *lead: int, L: int, S: int, E: int, F: int) -> list[mi.Tensor]:
    """q, k, v and the result's gradient."""
    shapes = ((L, E), (S, E), (S, F), (L, F))
    return [mi.tensor(RNG.standard_normal((*lead, *s))).to(getattr(mi, dtype)) for s in shapes]


def results(
    level: str, x: list[mi.Tensor], mask: Any = None, forward: str | None = None, **options: Any
) -> list[np.ndarray]:
    """y, dq, dk, dv as float64."""
    mi.manual_seed(3)
    leaves = [t.detach().requires_grad_() for t in x[:3]]
    with use_isa(forward or level):
        y = attend(*leaves, mask, **options)
    with use_isa(level):
        return [t.detach().to(mi.float64).numpy() for t in (y, *mi.grad(y, leaves, x[3]))]


def check(x: list[mi.Tensor], mask: Any = None, **options: Any) -> None:
    dtype = str(x[0].dtype).split(".")[-1]
    before, forms = mi.get_num_threads(), []
    for threads in (1, 2, 5):
        mi.set_num_threads(threads)
        forms.append(results("amx", x, mask, **options))
    mi.set_num_threads(before)
    wide = mask.to(mi.float64) if mask is not None and mask.dtype != mi.bool else mask
    exact = results(BELOW, [t.to(mi.float64) for t in x], wide, **options)
    for i, (ours, theirs) in enumerate(zip(forms[0], exact, strict=True)):
        for other in forms[1:]:
            np.testing.assert_array_equal(other[i], ours)
        near = tolerance(dtype, max(x[0].shape[-2], x[1].shape[-2]), 8 if i == 0 else 32)
        assert_close(ours, theirs, dtype, near, float(np.abs(theirs).max()))


# Sizes on both sides of tiles (16), steps (32), chunks of keys (128 and 512) and the queries of a task (256); few
# heads, so that several tasks work at one, and more than eight.
SIZES = {
    "whole": ((2, 2), {"L": 384, "S": 512, "E": 64, "F": 64}),
    "odd": ((1, 3), {"L": 389, "S": 555, "E": 67, "F": 70}),
    "one_over": ((1, 1), {"L": 513, "S": 1025, "E": 33, "F": 129}),
    "one_less": ((9, 1), {"L": 403, "S": 391, "E": 80, "F": 47}),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("size", list(SIZES))
def test_sizes_on_any_number_of_threads(size: str, causal: bool, dtype: str) -> None:
    lead, sizes = SIZES[size]
    x = operands(dtype, *lead, **sizes)
    check(x, is_causal=causal)
    assert any((a != b).any() for a, b in zip(results("amx", x), results(BELOW, x), strict=True)), "tiles were not used"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["bool", "row", "blocks", "float", "lowest", "dtype"])
def test_masks(kind: str, dtype: str) -> None:
    x = operands(dtype, 2, 2, L=390, S=600, E=64, F=64)
    mask = RNG.random((390, 600)) > 0.5
    mask[[3, 40, 389]] = False
    if kind == "blocks":
        mask[:] = np.arange(600) // 512 != np.arange(390)[:, None] // 64 % 2
    given = mi.tensor(mask[5:6] if kind == "row" else mask)
    if kind in ("float", "dtype"):
        given = mi.tensor(np.where(mask, RNG.standard_normal(mask.shape), -np.inf)).to(
            mi.float32 if kind == "float" else getattr(mi, dtype)
        )
    if kind == "lowest":
        given = mi.tensor(np.where(mask, 0, np.finfo(np.float32).min)).to(mi.float32)
    check(x, given)
    if kind == "bool":
        y, dq, *_ = results("amx", x, given)
        assert not y[..., [3, 40, 389], :].any() and not dq[..., [3, 40, 389], :].any()


@pytest.mark.parametrize("bits", [0x7FC00000, 0x7FC00001, 0x7FC001FF, 0xFFC00003])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_mask_that_is_not_a_number(dtype: str, bits: int) -> None:
    q, k, v, _ = operands(dtype, 1, 2, L=390, S=400, E=64, F=64)
    mask = np.zeros((390, 400), np.float32)
    mask.view(np.uint32)[5, 7] = bits
    with use_isa("amx"):
        y = mi.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mi.tensor(mask)).float().numpy()
    assert np.isnan(y[..., 5, :]).all() and not np.isnan(np.delete(y, 5, -2)).any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_scales_dropout_and_shared_heads(dtype: str) -> None:
    x = operands(dtype, 1, 2, L=390, S=400, E=64, F=64)
    for scale in (-0.2, 0.0, 2.0):
        check(x, scale=scale)
    check(x, dropout_p=0.25, is_causal=True)
    check([mi.cat([x[0], x[0] + 1, x[0]], 1), *x[1:3], mi.cat([x[3]] * 3, 1)], enable_gqa=True)


@pytest.mark.parametrize("dtype", DTYPES)
def test_strides(dtype: str) -> None:
    x = operands(dtype, 2, 2, L=390, S=400, E=64, F=64)
    plain = results("amx", x)
    turned = [t.transpose(-1, -2).contiguous().transpose(-1, -2) for t in x]
    joined = [t.transpose(1, 2).contiguous().transpose(1, 2) for t in x]
    strided = [mi.stack([t, t + 1], -1)[..., 0] for t in x]
    for form in (turned, joined, strided):
        for a, b in zip(results("amx", form), plain, strict=True):
            assert_close(a, b, dtype, 0.0 if dtype != "float32" else tolerance(dtype, 8), float(np.abs(b).max()))


@pytest.mark.parametrize("dtype", DTYPES)
def test_queries_whose_largest_score_rises_from_key_to_key(dtype: str) -> None:
    """By less and by more than what they may rise until older sums are scaled, beyond the powers of two and the
    integers that float32 holds."""
    q, k, v, g = operands(dtype, 1, 1, L=400, S=1200, E=64, F=64)
    ramp = mi.tensor(np.linspace(0, 1, 1200)[:, None])
    for steep in (10, 100, 1000, 2e7):
        keys = (k.to(mi.float64) * 0.1 * (steep < 1e6) + ramp * min(steep, 1e3)).to(k.dtype)
        x = [q * 0 + 1, keys, v, g]
        scale = max(1, steep / 1e3) / 64
        y, *gradients = results("amx", x, scale=scale)
        exact = results(BELOW, [t.to(mi.float64) for t in x], scale=scale)[0]
        near = tolerance(dtype, 1200, 8) + tolerance("float32", 64) * steep  # scores are rounded, too
        assert_close(y, exact, dtype, min(near, 1.0), float(np.abs(exact).max()))
        assert all(np.isfinite(x).all() for x in gradients)


@pytest.mark.parametrize("size", [(400, 512), (700, 400)])
def test_float32_is_as_exact_as_by_multiply_adds(size: tuple[int, int]) -> None:
    x = operands("float32", 1, 4, L=size[0], S=size[1], E=64, F=64)
    exact = results(BELOW, [t.to(mi.float64) for t in x])
    for ours, theirs, right in zip(results("amx", x), results(BELOW, x), exact, strict=True):
        errors = [np.sqrt(np.mean((y - right) ** 2)) for y in (ours, theirs)]
        assert errors[0] < 1.1 * errors[1], errors


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("value", [np.inf, np.nan, 1.1e19, -1e-36])
@pytest.mark.parametrize("where", range(4))
def test_numbers_that_parts_cannot_hold_are_left_to_the_level_below(where: int, value: float, dtype: str) -> None:
    if dtype == "float16" and np.isfinite(value):
        pytest.skip("float16 has no such number")
    x = operands(dtype, 2, 2, L=390, S=400, E=64, F=64)
    x[where][1, 1, 77, 13] = value
    ours = results("amx", x, forward=BELOW if where == 3 else None)
    for a, b in zip(ours, results(BELOW, x), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("where", [1, 2])
def test_infinite_keys_and_values_reach_no_other_gradient(where: int, dtype: str) -> None:
    """Tiles have 32 queries: those that the last of 390 lacks are zeros, whose product with infinity is none."""
    x = operands(dtype, 2, 2, L=390, S=400, E=64, F=64)
    x[0] = x[0].abs() + 1
    x[where][1, 1, 77, 13] = -np.inf  # a key that no query looks at; a value that all do
    for ours, theirs in zip(results("amx", x), results(BELOW, x), strict=True):
        np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs))


def test_heads_that_are_packed_in_turns() -> None:
    """48 heads of 1.5 MB, where 64 MB are packed at once."""
    x = operands("float32", 1, 48, L=384, S=2048, E=64, F=64)
    whole = results("amx", x)
    for some in (slice(0, 9), slice(39, 48)):
        for a, b in zip(results("amx", [t[:, some] for t in x]), whole, strict=True):
            np.testing.assert_array_equal(a, b[:, some])
