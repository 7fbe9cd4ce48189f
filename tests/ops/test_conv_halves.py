"""Convolutions of float16 and bfloat16: on AMX's tiles, and as rounded ones of float32 where there are none."""

from __future__ import annotations

from typing import Any

import mielina as mi
import numpy as np
import pytest
from levels import BELOW, LEVELS, needs_tiles
from mielina.testing import assert_close, tolerance, use_isa

FLOATS = [name for name in LEVELS if name not in ("sse4", "amx")]
HALVES = ["float16", "bfloat16"]
RNG = np.random.default_rng(23)
F = mi.nn.functional

# image (N, C, ...), filters (K, window), arguments
CASES = [
    ((2, 32, 8, 8), (32, 3, 3), {"padding": 1}),  # whole tiles
    ((1, 64, 20, 56), (64, 3, 3), {"padding": 1}),  # several bands
    ((3, 40, 13, 17), (24, 3, 3), {"stride": 2, "padding": 1}),  # phases, a part of a block of channels
    ((2, 3, 30, 31), (64, 7, 7), {"stride": 2, "padding": 3}),  # few channels: taps are channels
    ((1, 96, 7, 7), (48, 3, 3), {"padding": 1}),  # one band, filters packed by their tasks
    ((2, 33, 9, 40), (70, 5, 5), {"padding": 2}),
    ((2, 48, 14, 14), (48, 1, 1), {}),
    ((2, 48, 14, 14), (49, 1, 1), {"stride": 2}),
    ((1, 32, 20, 20), (40, 3, 3), {"padding": 2, "dilation": 2}),
    ((2, 36, 11, 11), (33, 3, 3), {"stride": 3, "dilation": 2}),
    ((2, 4, 17, 17), (16, 2, 5), {"stride": (1, 2), "padding": (1, 0)}),
    ((1, 8, 5, 600), (17, 3, 3), {"padding": 1}),  # rows longer than a block of sums
    ((1, 64, 12, 12), (64, 6, 6), {"padding": 2}),  # steps that are cut more than once
    ((20, 16, 12, 40), (16, 3, 3), {"padding": 1}),  # the filters' gradient: several bands a sum
    ((2, 64, 10, 10), (48, 3, 3), {"groups": 2}),
    ((2, 32, 40), (32, 5), {"stride": 2, "padding": 4}),
    ((1, 16, 9001), (17, 3), {"stride": 2, "padding": 1}),  # rows that are cut
    ((2, 32, 1031), (16, 1), {}),  # a prime number of pixels
    ((1, 16, 5, 300), (16, 3, 3), {"dilation": (1, 100)}),  # taps further apart than tiles take
    ((1, 24, 5, 6, 9), (20, 3, 2, 3), {"stride": (2, 1, 1), "padding": 1}),
]


def convolution(x: mi.Tensor, w: mi.Tensor, b: mi.Tensor | None, arguments: dict[str, Any]) -> mi.Tensor:
    return {3: F.conv1d, 4: F.conv2d, 5: F.conv3d}[x.ndim](x, w, b, **arguments)


def operands(case: Any, dtype: str, order: str) -> list[mi.Tensor]:
    shape, (channels, *window), arguments = case
    inner = shape[1] // arguments.get("groups", 1)
    x, w, b = (
        mi.tensor(RNG.standard_normal(s)).to(getattr(mi, dtype))
        for s in (shape, (channels, inner, *window), (channels,))
    )
    if order == "last":
        x, w = (t.movedim(1, -1).contiguous().movedim(-1, 1) for t in (x, w))
    if order == "strided":
        x, w = (mi.stack([t, t], -1)[..., 0] for t in (x, w))
    return [x, w, b]


def results(values: list[mi.Tensor], arguments: dict[str, Any], g: mi.Tensor | None = None) -> list[np.ndarray]:
    """y and the gradients of image, filters and bias under the gradient g of y."""
    x, w, b = (t.detach().requires_grad_() for t in values)
    y = convolution(x, w, b, arguments)
    y.backward(mi.ones_like(y) if g is None else g)
    return [t.to(mi.float64).numpy() for t in (y.detach(), x.grad, w.grad, b.grad)]


def magnitudes(values: list[mi.Tensor], arguments: dict[str, Any], g: mi.Tensor) -> list[np.ndarray]:
    return results([t.to(mi.float64).abs() for t in values], arguments, g.to(mi.float64).abs())


@needs_tiles
@pytest.mark.parametrize("order", ["planar", "last", "strided"])
@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_tiles_on_any_number_of_threads(case: Any, dtype: str, order: str) -> None:
    values, arguments = operands(case, dtype, order), case[2]
    shape = convolution(*values, arguments).shape
    g = mi.tensor(RNG.standard_normal(shape)).to(getattr(mi, dtype))
    before, forms = mi.get_num_threads(), []
    with use_isa("amx"):
        for threads in (1, 2, 5):
            mi.set_num_threads(threads)
            forms.append(results(values, arguments, g))
        mi.set_num_threads(before)
    exact = results([t.to(mi.float64) for t in values], arguments, g.to(mi.float64))
    scales = magnitudes(values, arguments, g)
    # Terms of y, of the image's gradient, and of the filters' and the bias's.
    window = int(np.prod(case[1][1:]))
    pixels = int(np.prod(shape)) // shape[1]
    terms = [window * case[0][1], window * case[1][0], pixels, pixels]
    for i, name in enumerate(("y", "dx", "dw", "db")):
        for other in forms[1:]:
            np.testing.assert_array_equal(other[i], forms[0][i])
        assert_close(forms[0][i], exact[i], dtype, tolerance(dtype, terms[i], 2), scales[i], name)


@needs_tiles
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("where", [0, 1])
@pytest.mark.parametrize("dtype", HALVES)
def test_infinities(dtype: str, where: int, value: float) -> None:
    """bfloat16's reach what sees them and nothing else; float16's parts cannot hold them: left to the level below."""
    for case in (CASES[1], CASES[2], CASES[4]):
        values = operands(case, dtype, "planar")
        array = values[where].to(mi.float64).numpy()
        array[tuple(RNG.integers(0, s) for s in array.shape)] = value
        values[where] = mi.tensor(array).to(getattr(mi, dtype))
        with use_isa("amx"):
            y = convolution(*values, case[2]).to(mi.float64).numpy()
        if dtype == "bfloat16":
            exact = convolution(*(t.to(mi.float64) for t in values), case[2]).numpy()
            np.testing.assert_array_equal(np.isnan(y), np.isnan(exact))
            np.testing.assert_array_equal(np.isinf(y) * np.sign(y), np.isinf(exact) * np.sign(exact))
        else:
            with use_isa(BELOW):
                np.testing.assert_array_equal(y, convolution(*values, case[2]).to(mi.float64).numpy())


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("axes", [(0,), (1,), (2, 3), (0, 1, 2, 3)])
def test_filters_and_images_of_negative_strides(axes: tuple[int, ...], level: str) -> None:
    x, w = (RNG.standard_normal(s).astype(np.float16) for s in ((2, 32, 9, 9), (32, 32, 3, 3)))
    forms = []
    for copied in (False, True):
        a, b = (np.flip(v, axes) for v in (x, w))
        if copied:
            a, b = a.copy(), b.copy()
        with use_isa(level):
            forms.append(results([mi.from_numpy(a), mi.from_numpy(b), mi.zeros(32, dtype=mi.float16)], {"padding": 1}))
    for one, other in zip(*forms, strict=True):
        assert_close(one, other, "float16", tolerance("float16", 1024, 2), float(np.abs(other).max()))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dtype", HALVES)
def test_no_images(dtype: str, level: str) -> None:
    for shape, filters in (((0, 16, 4, 4), (16, 16, 3, 3)), ((0, 1, 12, 12), (8, 1, 9, 9))):
        x, w = (mi.zeros(s, dtype=getattr(mi, dtype)).requires_grad_() for s in (shape, filters))
        with use_isa(level):
            y = F.conv2d(x, w, padding=1)
            y.backward(mi.ones_like(y))
        assert x.grad.shape == shape and not w.grad.any()


@needs_tiles
def test_a_large_gradient_of_filters() -> None:
    """All threads work at one band, of two images and then one."""
    values = operands(((3, 192, 24, 64), (160, 3, 3), {}), "bfloat16", "planar")
    before, forms = mi.get_num_threads(), []
    g = mi.tensor(RNG.standard_normal((3, 160, 22, 62))).bfloat16()
    for dtype, threads in ((mi.float64, before), (mi.bfloat16, 1), (mi.bfloat16, 3)):
        x, w = values[0].to(dtype), values[1].to(dtype).detach().requires_grad_()
        mi.set_num_threads(threads)
        with use_isa("amx"):
            F.conv2d(x, w).backward(g.to(dtype))
        forms.append(w.grad.to(mi.float64).numpy())
    mi.set_num_threads(before)
    np.testing.assert_array_equal(forms[1], forms[2])
    pixels = 3 * 22 * 62  # of standard normal products, whose magnitudes are 2 / pi in the mean
    assert_close(forms[1], forms[0], "bfloat16", tolerance("bfloat16", pixels, 2), pixels * 2 / np.pi)


@needs_tiles
@pytest.mark.parametrize("value", [np.inf, np.nan])
@pytest.mark.parametrize("dtype", HALVES)
def test_gradients_of_filters_under_infinities_are_those_of_the_level_below(dtype: str, value: float) -> None:
    case = CASES[1]
    for where in ("x", "g"):
        values = operands(case, dtype, "planar")
        g = mi.tensor(RNG.standard_normal(convolution(*values, case[2]).shape)).to(getattr(mi, dtype))
        changed = values[0] if where == "x" else g
        changed[0, 5, 7, 55] = value  # the last one of a row, which meets the next row's first
        with use_isa("amx"):
            on_tiles = results(values, case[2], g)[2]
        with use_isa(BELOW):
            np.testing.assert_array_equal(on_tiles, results(values, case[2], g)[2])


@pytest.mark.parametrize("level", FLOATS)
@pytest.mark.parametrize("order", ["planar", "last", "strided"])
@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_without_tiles_a_result_is_that_of_float32_rounded(case: Any, dtype: str, order: str, level: str) -> None:
    """Up to the algorithm, which may be another one: the sums of float32 differ in their last digits."""
    values, arguments = operands(case, dtype, order), case[2]
    with use_isa(level):
        y = convolution(*values, arguments)
        wide = convolution(*(t.to(mi.float32) for t in values), arguments)
    scale = convolution(*(t.to(mi.float64).abs() for t in values), arguments).numpy()
    terms = int(np.prod(case[1][1:])) * case[0][1]
    actual, expected = (t.to(mi.float64).numpy() for t in (y, wide))
    assert_close(actual, expected, dtype, tolerance(dtype, terms, 2), scale)
