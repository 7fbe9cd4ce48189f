"""Products on AMX's tiles: float32 in three bf16 parts, halves in two and one, against float64 and the level below."""

from __future__ import annotations

from typing import Any

import mielina as mi
import numpy as np
import pytest
from levels import BELOW, needs_tiles
from mielina.testing import assert_close, tolerance, use_isa

pytestmark = needs_tiles
RNG = np.random.default_rng(17)
F = mi.nn.functional

# Large enough for tiles in float32: whole blocks, edges of rows, columns and depth, few panels of either operand, sums
# that are cut twice.
SIZES = [(512, 256, 512), (401, 351, 417), (260, 1100, 300), (1111, 256, 285), (384, 400, 2100), (257, 267, 5000)]


def operand(rows: int, columns: int, order: str, dtype: Any) -> mi.Tensor:
    x = mi.tensor(RNG.standard_normal((rows, columns))).to(dtype)
    if order == "transposed":
        return x.t().contiguous().t()
    if order == "strided":
        return mi.stack([x, x + 1], 2)[:, :, 0]
    return x


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("orders", [("rows", "rows"), ("transposed", "rows"), ("rows", "transposed"),
                                    ("strided", "transposed"), ("transposed", "strided")])  # fmt: skip
@pytest.mark.parametrize("size", SIZES)
def test_products_on_any_number_of_threads(size: tuple[int, int, int], orders: tuple[str, str], dtype: str) -> None:
    m, n, k = size
    a, b = operand(m, k, orders[0], getattr(mi, dtype)), operand(k, n, orders[1], getattr(mi, dtype))
    exact = [x.to(mi.float64).numpy() for x in (a, b)]
    before = mi.get_num_threads()
    with use_isa("amx"):
        forms = []
        for threads in (1, 2, 5):
            mi.set_num_threads(threads)
            forms.append((a @ b).to(mi.float64).numpy())
        mi.set_num_threads(before)
    np.testing.assert_array_equal(forms[1:], [forms[0]] * 2)
    assert_close(forms[0], exact[0] @ exact[1], dtype, tolerance(dtype, k, 2), np.abs(exact[0]) @ np.abs(exact[1]))


@pytest.mark.parametrize("size", SIZES)
def test_float32_is_as_exact_as_by_multiply_adds(size: tuple[int, int, int]) -> None:
    """The root mean square of the errors, of numbers of one sign, too, whose roundings do not cancel."""
    m, n, k = size
    for draw in (RNG.standard_normal, RNG.random):
        a, b = (draw(s).astype(np.float32) for s in ((m, k), (k, n)))
        exact = a.astype(np.float64) @ b.astype(np.float64)
        errors = []
        for level in ("amx", BELOW):
            with use_isa(level):
                errors.append(np.sqrt(np.mean((np.asarray(mi.tensor(a) @ mi.tensor(b), np.float64) - exact) ** 2)))
        assert errors[0] < 1.1 * errors[1], errors


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 3e38, 1.1e19, -1e-36, 1e-44])
@pytest.mark.parametrize("where", ["a", "b"])
@pytest.mark.parametrize("size", [(512, 256, 512), (260, 1100, 300), (384, 400, 2100)])
def test_numbers_that_parts_cannot_hold_are_left_to_the_level_below(
    size: tuple[int, int, int], where: str, value: float
) -> None:
    m, n, k = size
    a, b = (RNG.standard_normal(s).astype(np.float32) for s in ((m, k), (k, n)))
    x = a if where == "a" else b
    x[tuple(RNG.integers(0, s) for s in x.shape)] = value
    results = []
    for level in ("amx", BELOW):
        with use_isa(level):
            results.append((mi.tensor(a) @ mi.tensor(b)).numpy())
    np.testing.assert_array_equal(*results)


def test_small_and_large_numbers_of_ordinary_products() -> None:
    """Between 2^-102 and 2^63 nothing is lost: rows and columns scaled by powers of two give the same digits."""
    a, b = (RNG.standard_normal(s).astype(np.float32) for s in ((400, 384), (384, 400)))
    rows, columns = np.exp2(RNG.integers(-40, 40, 400)), np.exp2(RNG.integers(-40, 40, 400))
    with use_isa("amx"):
        plain = mi.tensor(a) @ mi.tensor(b)
        scaled = mi.tensor((a * rows[:, None]).astype(np.float32)) @ mi.tensor((b * columns).astype(np.float32))
    np.testing.assert_array_equal(scaled.numpy() / rows[:, None] / columns, plain.numpy())


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_batches_have_the_bits_of_single_products(dtype: str) -> None:
    before = mi.get_num_threads()
    for count in (2, 5):
        a, b = (
            mi.tensor(RNG.standard_normal(s)).to(getattr(mi, dtype)) for s in ((count, 400, 390), (count, 390, 410))
        )
        with use_isa("amx"):
            single = mi.stack([x @ y for x, y in zip(a, b, strict=True)])
            for threads in (1, 2, 5):
                mi.set_num_threads(threads)
                assert bool(((a @ b) == single).all())
            mi.set_num_threads(before)


def test_a_wild_number_in_one_product_of_a_batch() -> None:
    a, b = RNG.standard_normal((5, 400, 390)).astype(np.float32), RNG.standard_normal((5, 390, 410)).astype(np.float32)
    a[3, 7, 9] = np.inf
    with use_isa("amx"):
        mixed = (mi.tensor(a) @ mi.tensor(b)).numpy()
    with use_isa(BELOW):
        below = (mi.tensor(a) @ mi.tensor(b)).numpy()
    np.testing.assert_array_equal(mixed, below)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("depth", [512, 2100])
def test_a_bias_is_added_once(dtype: str, depth: int) -> None:
    kind = getattr(mi, dtype)
    x, w, b = (mi.tensor(RNG.standard_normal(s)).to(kind) for s in ((300, depth), (410, depth), (410,)))
    with use_isa("amx"):
        y = F.linear(x, w, b)
        if dtype == "float32":
            assert bool((y == F.linear(x, w) + b).all())
    exact = [v.to(mi.float64).numpy() for v in (x, w, b)]
    scale = np.abs(exact[0]) @ np.abs(exact[1]).T + np.abs(exact[2])
    assert_close(y.to(mi.float64).numpy(), exact[0] @ exact[1].T + exact[2], dtype, tolerance(dtype, depth, 2), scale)


@pytest.mark.parametrize("infinite", [False, True])
def test_sums_added_to_what_is_there(infinite: bool) -> None:
    """The second direction's share of the input's gradient is; with an infinite input nothing is added twice."""
    steps = RNG.standard_normal((50, 32, 256)).astype(np.float32)
    if infinite:
        steps[20, 3, 5] = np.inf
    gradients = []
    for level in ("amx", BELOW):
        mi.manual_seed(3)
        layer, x = mi.nn.LSTM(256, 256, bidirectional=True), mi.tensor(steps).requires_grad_()
        with use_isa(level):
            layer(x)[0].square().sum().backward()
        gradients.append([p.grad.numpy() for p in (x, *layer.parameters())])
    for a, b in zip(*gradients, strict=True):
        finite = np.isfinite(b)
        np.testing.assert_array_equal(np.isfinite(a), finite)
        if finite.any():
            assert_close(a[finite], b[finite], "float32", tolerance("float32", 1600, 4), float(np.abs(b[finite]).max()))
