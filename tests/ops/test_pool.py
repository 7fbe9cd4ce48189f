"""Pooling, unfold and fold: against NumPy, PyTorch, and themselves in other memory orders and thread counts."""

from __future__ import annotations

from typing import Any

import mielina as mi
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mielina.testing import Library, check_op, gradcheck, gradgradcheck, reference, use_isa
from mielina.testing.strategies import sample

F = mi.nn.functional
RNG = np.random.default_rng(0)
DTYPES = ("float32", "float64", "float16", "bfloat16")
LAYOUTS = ("contiguous", "channels_last", "sliced", "expanded")
IMAGES = {1: (2, 3, 40), 2: (2, 5, 9, 38), 3: (1, 2, 5, 6, 19)}


def distinct(shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Different numbers, 1 apart, so that the largest of a window has a gradient."""
    return np.asarray(RNG.permutation(int(np.prod(shape))).reshape(shape) - 100.0)


@pytest.mark.parametrize(
    ("dims", "kwargs"),
    [
        (1, {"kernel_size": 3, "stride": 2, "padding": 1}),
        (1, {"kernel_size": 2, "return_indices": True}),
        (2, {"kernel_size": 2, "return_indices": True}),
        (2, {"kernel_size": 3, "stride": 2, "padding": 1, "return_indices": True}),
        (2, {"kernel_size": 3, "stride": 1, "padding": 1}),
        (2, {"kernel_size": (2, 3), "stride": (3, 1), "dilation": (1, 2), "ceil_mode": True, "return_indices": True}),
        (3, {"kernel_size": 2, "padding": 1, "return_indices": True}),
        (3, {"kernel_size": (1, 5, 3), "stride": 2, "ceil_mode": True}),
    ],
)
def test_max_pool(dims: int, kwargs: dict[str, Any]) -> None:
    name = f"max_pool{dims}d"
    x = RNG.standard_normal(IMAGES[dims])
    check_op(getattr(F, name), getattr(reference, name), [x], kwargs, dtypes=DTYPES, layouts=LAYOUTS)
    f = lambda x: getattr(F, name)(x, **{**kwargs, "return_indices": False})
    small = mi.tensor(distinct((2, 2, *(7,) * dims)[: dims + 2])).requires_grad_(True)
    gradcheck(f, [small], eps=1e-3)
    gradgradcheck(f, [small], eps=1e-3)


@pytest.mark.parametrize("memory", ["contiguous", "channels_last"])
@pytest.mark.parametrize("args", [(2,), (3, 2, 1), (3, 1, 1), (3, 3, 0, 2)])
def test_max_pool_gradient_in_either_memory(memory: str, args: Any) -> None:
    """Each gradient goes to its index: sums of small integers are exact."""
    x = distinct((2, 19, 13, 37))
    t = mi.tensor(x if memory == "contiguous" else np.moveaxis(x, 1, -1).copy()).to(mi.float32)
    t = (t if memory == "contiguous" else t.permute((0, 3, 1, 2))).requires_grad_(True)
    y, index = F.max_pool2d(t, *args, return_indices=True)
    g = RNG.integers(-8, 9, y.shape).astype(np.float32)
    expected = np.zeros((2 * 19, 13 * 37), np.float32)
    np.add.at(expected, (np.arange(38)[:, None], index.numpy().reshape(38, -1)), g.reshape(38, -1))
    for up in (mi.tensor(g), mi.tensor(np.moveaxis(g, 1, -1).copy()).permute((0, 3, 1, 2))):
        (dx,) = mi.grad([F.max_pool2d(t, *args)], [t], grad_outputs=[up])
        assert np.array_equal(dx.numpy(), expected.reshape(x.shape))


@pytest.mark.parametrize("last", [False, True])
def test_max_pool_nan_and_ties(last: bool) -> None:
    x = np.full((1, 3, 6, 40), -np.inf, np.float32)
    x[0, 0, 1, 1] = x[0, 0, 0, 3] = np.nan
    x[0, 1] = 5.0
    t = mi.tensor(np.moveaxis(x, 1, -1).copy()).permute((0, 3, 1, 2)) if last else mi.tensor(x)
    y, index = F.max_pool2d(t, 2, return_indices=True)
    y, index = y.numpy(), index.numpy()
    assert np.isnan(y[0, 0, 0, 0]) and index[0, 0, 0, 0] == 41 and np.isnan(y[0, 0, 0, 1]) and index[0, 0, 0, 1] == 3
    first = 80 * np.arange(3)[:, None] + 2 * np.arange(20)
    assert np.array_equal(index[0, 1], first) and np.array_equal(index[0, 2], first)
    assert np.all(y[0, 2] == -np.inf)


@pytest.mark.parametrize("width", [4, 6, 7, 9, 14, 28, 31])
def test_max_pool_of_narrow_rows(width: int) -> None:
    """Rows of outputs that are fewer than a vector, with equal values and NaN: nothing beside them shows."""
    x = RNG.integers(0, 3, (2, 2, 6, width)).astype(np.float64)
    x[0, 0, 2, width // 2] = np.nan
    for args in ({"kernel_size": 2}, {"kernel_size": 3, "stride": 1, "padding": 1}, {"kernel_size": 3, "stride": 2}):
        kwargs = {**args, "return_indices": True}
        check_op(F.max_pool2d, reference.max_pool2d, [x], kwargs, dtypes=DTYPES, layouts=LAYOUTS)


def test_max_pool_integers() -> None:
    for dtype in ("int64", "int32", "int16", "int8", "uint8"):
        x = RNG.integers(0, 100, (2, 3, 6, 35)).astype(dtype)
        y = F.max_pool2d(mi.tensor(x), 3, 2, 1)
        assert str(y.dtype).endswith(dtype)
        assert np.array_equal(y.numpy(), reference.max_pool2d(x, 3, 2, 1))
    with pytest.raises(NotImplementedError):
        F.max_pool2d(mi.tensor(x != 0), 2)


@pytest.mark.parametrize(
    ("dims", "kwargs"),
    [
        (1, {"kernel_size": 3, "stride": 2, "padding": 1}),
        (2, {"kernel_size": 2}),
        (2, {"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False}),
        (2, {"kernel_size": 3, "stride": 1, "padding": 1}),
        (2, {"kernel_size": (4, 3), "stride": 3, "ceil_mode": True, "padding": 1}),
        (2, {"kernel_size": (9, 38)}),
        (2, {"kernel_size": 3, "divisor_override": 7}),
        (3, {"kernel_size": (2, 3, 2), "padding": 1, "ceil_mode": True, "count_include_pad": False}),
    ],
)
def test_avg_pool(dims: int, kwargs: dict[str, Any]) -> None:
    name = f"avg_pool{dims}d"
    x = RNG.standard_normal(IMAGES[dims])
    check_op(
        getattr(F, name),
        getattr(reference, name),
        [x],
        kwargs,
        dtypes=DTYPES,
        layouts=LAYOUTS,
        magnitude="abs",
        length=9,
        grad=True,
    )


@pytest.mark.parametrize("isa", Library().isas())
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64"])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "size"),
    [
        (3, 3, 0, (9, 61)),
        (4, 4, 1, (8, 70)),
        (5, 3, 2, (11, 68)),
        (8, 8, 0, (17, 160)),
        (13, 3, 4, (16, 75)),
        (2, 5, 1, (7, 99)),
    ],
)
def test_maxima_far_apart(kernel: int, stride: int, padding: int, size: Any, dtype: str, isa: str) -> None:
    """Rows of many windows three pixels apart and more: ties go to the first place, NaN to the last."""
    x = RNG.integers(-20, 20, (2, 2, *size)).astype(dtype)
    if dtype != "int64":
        x[RNG.random(x.shape) < 0.02] = np.nan
    with use_isa(isa):
        y = F.max_pool2d(mi.tensor(x), kernel, stride, padding).numpy()
        z, index = (a.numpy() for a in F.max_pool2d(mi.tensor(x), kernel, stride, padding, return_indices=True))
    np.testing.assert_array_equal(y, z)
    for n, c, h, w in np.ndindex(*z.shape):
        rows, columns = (
            slice(max(0, i * stride - padding), min(i * stride - padding + kernel, m))
            for i, m in zip((h, w), size, strict=True)
        )
        window = x[n, c, rows, columns].ravel()
        places = np.arange(size[0] * size[1]).reshape(size)[rows, columns].ravel()
        nan = np.flatnonzero(np.isnan(window)) if dtype != "int64" else []
        best = nan[-1] if len(nan) else window.argmax()
        assert index[n, c, h, w] == places[best]
        np.testing.assert_array_equal(z[n, c, h, w], window[best])


@pytest.mark.parametrize("isa", Library().isas())
@pytest.mark.parametrize(
    ("kernel", "stride", "size"),
    [((3, 3), (3, 3), (12, 33)), ((4, 4), (5, 5), (29, 37)), ((8, 8), (8, 8), (19, 70)), ((2, 3), (4, 3), (11, 41))],
)
def test_windows_that_do_not_overlap_give_each_pixel_its_share(kernel: Any, stride: Any, size: Any, isa: str) -> None:
    """Planes wide enough for rows of vectors; pixels of no window get zero."""
    x = mi.zeros(2, 3, *size).requires_grad_()
    with use_isa(isa):
        y = F.avg_pool2d(x, kernel, stride)
        g = RNG.integers(-64, 64, y.shape).astype(np.float32)
        expected = np.zeros(x.shape, np.float32)
        for h, w in np.ndindex(*y.shape[2:]):
            top, left = h * stride[0], w * stride[1]
            expected[:, :, top : top + kernel[0], left : left + kernel[1]] = g[:, :, h : h + 1, w : w + 1]
        (dx,) = mi.grad(y, [x], mi.tensor(g))
        np.testing.assert_allclose(dx.numpy(), expected / np.prod(kernel), rtol=2e-7, atol=0)
        image = RNG.standard_normal((2, 3, 9, 21)).astype(np.float32)
        for n, m in ((3, 3), (2, 5), (4, 1)):
            z = F.interpolate(mi.tensor(image), size=(9 * n, 21 * m), mode="nearest")
            np.testing.assert_array_equal(z.numpy(), image.repeat(n, 2).repeat(m, 3))


def test_avg_pool_integers() -> None:
    x = RNG.integers(-50, 50, (1, 2, 4, 6))
    expected = np.trunc(x.reshape(1, 2, 2, 2, 3, 2).sum((3, 5)) / 4).astype(np.int64)
    assert np.array_equal(F.avg_pool2d(mi.tensor(x), 2).numpy(), expected)
    with pytest.raises(NotImplementedError):
        F.avg_pool2d(mi.tensor(x).to(mi.int32), 2)


@pytest.mark.parametrize(("dims", "size"), [(1, 7), (2, 1), (2, (4, 5)), (2, (None, 40)), (3, (2, 3, 4))])
def test_adaptive(dims: int, size: Any) -> None:
    x = RNG.standard_normal(IMAGES[dims])
    avg, largest = f"adaptive_avg_pool{dims}d", f"adaptive_max_pool{dims}d"
    check_op(
        getattr(F, avg),
        getattr(reference, avg),
        [x],
        {"output_size": size},
        dtypes=DTYPES,
        layouts=LAYOUTS,
        magnitude="abs",
        length=400,
        grad=True,
    )
    if hasattr(reference, largest):
        kwargs = {"output_size": size, "return_indices": True}
        check_op(getattr(F, largest), getattr(reference, largest), [x], kwargs, layouts=LAYOUTS)
    small = mi.tensor(distinct((1, 2, *(5,) * dims))).requires_grad_(True)
    gradcheck(lambda x: getattr(F, largest)(x, 3), [small], eps=1e-3)
    gradgradcheck(lambda x: getattr(F, largest)(x, 3), [small], eps=1e-3)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_max_unpool(dims: int) -> None:
    pool, unpool = getattr(F, f"max_pool{dims}d"), getattr(F, f"max_unpool{dims}d")
    x = mi.tensor(distinct(IMAGES[dims]) + 0.5)  # 0 marks what no maximum came to
    y, index = pool(x, 2, return_indices=True)
    back = unpool(y, index, 2, output_size=x.shape)
    assert back.shape == x.shape
    again, where = pool(back - mi.tensor(1000.0 * (back.numpy() == 0)), 2, return_indices=True)
    assert np.array_equal(again.numpy(), y.numpy()) and np.array_equal(where.numpy(), index.numpy())
    gradcheck(lambda v: unpool(v, index, 2, output_size=x.shape), [y.requires_grad_(True)], eps=1e-3)


@pytest.mark.parametrize("args", [(2,), (3, 1, 1, 1), ((2, 3), (1, 2), (0, 1), (3, 2))])
def test_unfold_fold(args: Any) -> None:
    x = RNG.standard_normal((2, 3, 9, 21))
    check_op(F.unfold, reference.unfold, [x, *args], layouts=LAYOUTS, dtypes=DTYPES, grad=True)
    columns = RNG.standard_normal(F.unfold(mi.tensor(x), *args).shape)
    check_op(
        F.fold,
        reference.fold,
        [columns, (9, 21), *args],
        layouts=LAYOUTS,
        dtypes=DTYPES,
        magnitude="abs",
        length=9,
        grad=True,
    )


def test_result_keeps_memory_order() -> None:
    x = mi.tensor(RNG.standard_normal((2, 8, 8, 5))).permute((0, 3, 1, 2))
    for y in (
        F.max_pool2d(x, 2),
        F.avg_pool2d(x, 2),
        F.adaptive_avg_pool2d(x, 3),
        F.max_pool2d(x, 2, return_indices=True)[1],
    ):
        assert y.stride(1) == 1 and y.permute((0, 2, 3, 1)).is_contiguous()


POOLS: list[tuple[str, dict[str, Any]]] = [
    ("avg_pool", {"kernel_size": 2}),
    ("avg_pool", {"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False}),
    ("avg_pool", {"kernel_size": 3, "stride": 1, "padding": 1, "divisor_override": 5}),
    ("adaptive_avg_pool", {"output_size": 3}),
    ("adaptive_avg_pool", {"output_size": 1}),
    ("max_pool", {"kernel_size": 2, "return_indices": True}),
    ("max_pool", {"kernel_size": 3, "stride": 2, "padding": 1, "return_indices": True}),
    ("max_pool", {"kernel_size": 2, "dilation": 2, "stride": 1, "return_indices": True}),
    ("adaptive_max_pool", {"output_size": 2, "return_indices": True}),
]


@pytest.mark.parametrize("shape", [(2, 19, 7, 7), (3, 17, 8, 9), (1, 16, 14, 28), (5, 7, 4, 31), (2, 9, 3, 4, 5)])
@pytest.mark.parametrize(("name", "kwargs"), POOLS)
def test_small_planes(shape: tuple[int, ...], name: str, kwargs: dict[str, Any]) -> None:
    """Planes that go a vector at a time: what rows of channels give, with equal values and NaN."""
    f = getattr(F, f"{name}{len(shape) - 2}d")
    x = RNG.integers(0, 9, shape).astype(np.float32) + (0 if "max" in name else 0.3)
    x[0, 1, 1, 2] = np.nan
    for dtype in (mi.float32, mi.float16, mi.bfloat16):
        found = []
        for last in (False, True):
            leaf = mi.tensor(np.moveaxis(x, 1, -1).copy() if last else x).to(dtype).requires_grad_(True)
            y = f(leaf.movedim(-1, 1) if last else leaf, **kwargs)
            y, index = y if isinstance(y, tuple) else (y, y)
            g = (mi.arange(y.numel()).reshape(y.shape) % 13).to(dtype)
            if last:
                g = g.movedim(1, -1).contiguous().movedim(-1, 1)
            (dx,) = mi.grad([y], [leaf], grad_outputs=[g])
            dx = dx.movedim(-1, 1) if last else dx
            found.append([t.detach().to(mi.float64).numpy() for t in (y, index, dx)])
        for a, b in zip(*found):
            if "max" in name:
                assert np.array_equal(a, b, equal_nan=True)
            else:  # sums may run in another order
                assert np.allclose(a, b, rtol=1e-2 if dtype is not mi.float32 else 1e-5, atol=1e-2, equal_nan=True)


PLANE_WINDOWS: list[tuple[Any, Any, Any, bool]] = [
    (2, 2, 0, False),
    (3, 2, 1, False),
    (3, 2, 1, True),
    (3, 2, 0, False),
    (2, 2, 1, True),
    ((1, 3), (3, 2), 0, True),
    ((4, 2), (1, 2), (2, 1), False),
    (8, 8, 0, False),
    ((3, 5), (2, 5), (1, 2), True),
    ((2, 21), (2, 17), (0, 4), True),
    ((17, 2), (4, 2), 0, False),
]


@pytest.mark.parametrize("width", [65, 72, 83])
@pytest.mark.parametrize(("kernel", "stride", "padding", "ceil"), PLANE_WINDOWS)
@pytest.mark.parametrize("special", ["numbers", "nan", "last", "infinities", "equal"])
def test_windows_of_large_planes(width: int, kernel: Any, stride: Any, padding: Any, ceil: bool, special: str) -> None:
    """Straight from their rows: what double precision, which goes by rows, gives, with its places."""
    x = RNG.standard_normal((2, 3, 40, width)).astype(np.float32)
    where = RNG.random(x.shape)
    if special == "nan":
        x[where < 0.02] = np.nan
    elif special == "last":  # of some rows, where nothing but a vector's end sees it
        x[:, :, ::7, -1 - width % 2] = np.nan
    elif special == "infinities":
        x[where < 0.3] = -np.inf
        x[where > 0.98] = np.inf
    elif special == "equal":
        x = np.round(x)
    t, exact, args = mi.tensor(x), mi.tensor(x).to(mi.float64), (kernel, stride, padding)
    y, index = F.max_pool2d(t, *args, ceil_mode=ceil, return_indices=True)
    z, places = F.max_pool2d(exact, *args, ceil_mode=ceil, return_indices=True)
    np.testing.assert_array_equal(y.numpy(), z.numpy())
    np.testing.assert_array_equal(index.numpy(), places.numpy())
    np.testing.assert_array_equal(F.max_pool2d(t, *args, ceil_mode=ceil).numpy(), z.numpy())
    up = RNG.standard_normal(z.shape)
    leaves = [a.detach().requires_grad_(True) for a in (t, exact)]  # the places of a gradient are narrower ones
    dx = [
        mi.grad([F.max_pool2d(a, *args, ceil_mode=ceil)], [a], grad_outputs=[mi.tensor(up).to(a.dtype)])[0]
        for a in leaves
    ]
    np.testing.assert_allclose(dx[0].numpy(), dx[1].numpy(), rtol=1e-5, atol=1e-5)
    for f in (lambda a: F.avg_pool2d(a, *args, ceil_mode=ceil), lambda a: F.adaptive_avg_pool2d(a, (7, 5))):
        np.testing.assert_allclose(f(t).numpy(), f(exact).numpy(), rtol=2e-6, atol=2e-6)
        for half, unit in ((mi.float16, 2.0**-11), (mi.bfloat16, 2.0**-8)):
            h = t.to(half)
            found, expected = f(h).to(mi.float64).numpy(), f(h.to(mi.float64)).numpy()
            np.testing.assert_allclose(found, expected, rtol=1.01 * unit, atol=2e-6)
            y, index = F.max_pool2d(h, *args, ceil_mode=ceil, return_indices=True)
            z, places = F.max_pool2d(h.to(mi.float64), *args, ceil_mode=ceil, return_indices=True)
            np.testing.assert_array_equal(y.to(mi.float64).numpy(), z.numpy())
            np.testing.assert_array_equal(index.numpy(), places.numpy())


@pytest.mark.parametrize("width", [64, 71])
@pytest.mark.parametrize("args", [(2, 2, 0), (3, 2, 1), (3, 2, 0), (2, 2, 1), ((1, 3, 3), (2, 2, 2), (0, 1, 1))])
def test_gradient_of_maxima_in_large_volumes(width: int, args: Any) -> None:
    """Rows of planes written in pairs: what double precision gives, which adds gradients one by one."""
    x = RNG.standard_normal((1, 2, 4, 21, width)).astype(np.float32)
    leaves = [mi.tensor(x).to(d).requires_grad_(True) for d in (mi.float32, mi.float64)]
    results = [F.max_pool3d(a, *args) for a in leaves]
    up = RNG.standard_normal(results[0].shape).astype(np.float32)
    a, b = (mi.grad([y], [x], grad_outputs=[mi.tensor(up).to(y.dtype)])[0].numpy() for y, x in zip(results, leaves))
    np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("width", [32, 33, 57, 72])
@pytest.mark.parametrize(
    ("window", "kwargs"),
    [
        ((3, 2, 1), {}),
        ((3, 2, 1), {"count_include_pad": False, "ceil_mode": True}),
        ((3, 2, 0), {"divisor_override": 5}),
        (((2, 3), (1, 2), 0), {}),
        (((1, 3), (2, 2), (0, 1)), {"ceil_mode": True}),
        (((2, 2), (3, 2), 1), {}),
    ],
)
def test_gradient_of_means_in_planes(width: int, window: Any, kwargs: dict[str, Any]) -> None:
    """Pairs of pixels straight from one or two rows: what double precision gives, which goes by way of a row."""
    x = RNG.standard_normal((2, 19, 13, width)).astype(np.float32)
    leaves = [mi.tensor(x).to(d).requires_grad_(True) for d in (mi.float32, mi.float64)]
    results = [F.avg_pool2d(a, *window, **kwargs) for a in leaves]
    up = RNG.standard_normal(results[0].shape).astype(np.float32)
    up[0, 0, 1, 1], up[1, 1, 2, -1] = np.inf, np.nan
    a, b = (mi.grad([y], [x], grad_outputs=[mi.tensor(up).to(y.dtype)])[0].numpy() for y, x in zip(results, leaves))
    np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("width", [16, 33, 34, 57, 72])
@pytest.mark.parametrize("height", [6, 7])
def test_pixels_doubled(width: int, height: int) -> None:
    """Means' gradients and repeated pixels, which go straight to pairs of pixels: what NumPy repeats."""
    for kernel, padding in ((2, 0), ((2, 2), (1, 1)), ((1, 2), 0)):
        leaf = mi.tensor(RNG.standard_normal((2, 19, height, width)).astype(np.float32)).requires_grad_(True)
        y = F.avg_pool2d(leaf, kernel, kernel, padding)
        g = RNG.standard_normal(y.shape).astype(np.float32)
        (dx,) = mi.grad([y], [leaf], grad_outputs=[mi.tensor(g)])
        wide = leaf.detach().contiguous(memory_format=mi.channels_last).requires_grad_(True)
        up_wide = mi.tensor(g).contiguous(memory_format=mi.channels_last)
        (dx_wide,) = mi.grad([F.avg_pool2d(wide, kernel, kernel, padding)], [wide], grad_outputs=[up_wide])
        assert np.array_equal(dx.numpy(), dx_wide.numpy())
        rows = 1 if kernel == (1, 2) else 2
        pad = 1 if padding else 0
        e = np.zeros((2, 19, height + 2, width + 2), np.float32)
        up = np.repeat(np.repeat(g, rows, 2), 2, 3) / (2 * rows)
        e[:, :, : up.shape[2], : up.shape[3]] = up
        assert np.array_equal(dx.numpy(), e[:, :, pad : pad + height, pad : pad + width])
    x = RNG.standard_normal((2, 19, height, width)).astype(np.float32)
    expected = np.repeat(np.repeat(x, 3, 2), 2, 3)
    assert np.array_equal(F.interpolate(mi.tensor(x), scale_factor=(3.0, 2.0)).numpy(), expected)


@pytest.mark.parametrize("channels", [32, 63, 64, 70, 129])
@pytest.mark.parametrize(("name", "kwargs"), POOLS)
def test_wide_channels(channels: int, name: str, kwargs: dict[str, Any]) -> None:
    """Windows taken 64 channels at a time, the last ones twice: what planes in double precision give."""
    x = RNG.integers(0, 9, (2, channels, 6, 9)).astype(np.float32) + (0 if "max" in name else 0.25)
    x[0, 1, 1, 2] = x[1, -1, 0, 0] = np.nan
    x[0, 3] = x[1, channels // 2] = -np.inf
    f = getattr(F, f"{name}2d")
    last = mi.tensor(np.moveaxis(x, 1, -1).copy()).movedim(-1, 1)
    found = f(last, **kwargs)
    expected = f(mi.tensor(x.astype(np.float64)), **kwargs)
    if "max" in name:
        for a, b in zip(found, expected):
            assert np.array_equal(a.numpy(), b.numpy(), equal_nan=True)
        assert np.array_equal(f(last, **{**kwargs, "return_indices": False}).numpy(), found[0].numpy(), equal_nan=True)
    else:
        assert np.allclose(found.numpy(), expected.numpy(), rtol=1e-6, equal_nan=True)


@pytest.mark.parametrize("shape", [(3, 11, 7, 7), (2, 16, 1, 1), (40, 1, 3, 3), (1, 17, 50, 81), (2, 9, 64, 65)])
def test_means_of_planes(shape: tuple[int, ...]) -> None:
    x = RNG.standard_normal(shape)
    for f in (F.adaptive_avg_pool2d, F.avg_pool2d):
        arg = 1 if f is F.adaptive_avg_pool2d else shape[2:]
        e = x.mean((2, 3), keepdims=True)
        for dtype in ("float32", "float64"):
            for t in (mi.tensor(x.astype(dtype)), mi.tensor(x.astype(dtype).repeat(2, 3))[..., ::2]):
                assert np.abs(f(t, arg).numpy() - e).max() < 1e-6
        y = mi.tensor(x).to(mi.float32).to(mi.float16)
        assert (
            np.abs(f(y, arg).to(mi.float64).numpy() - y.to(mi.float64).numpy().mean((2, 3), keepdims=True)).max() < 2e-3
        )


@pytest.mark.parametrize("dtype", ["int64", "int32", "int16", "int8", "uint8", "float32"])
def test_window_in_padding(dtype: str) -> None:
    """A window that lies in padding alone gives the least number, in planes and channels last."""
    x = np.ones((1, 20, 1, 3), dtype)
    least = -np.inf if dtype == "float32" else np.iinfo(dtype).min
    last = mi.tensor(np.ascontiguousarray(x.transpose(0, 2, 3, 1))).permute(0, 3, 1, 2)
    for a in (mi.tensor(x), last):
        assert (F.max_pool2d(a, (2, 1), 1, (1, 0), (2, 1)).numpy() == least).all()
        assert (F.max_pool2d(a.transpose(2, 3), (1, 2), 1, (0, 1), (1, 2)).numpy() == least).all()


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_against_torch(data: st.DataObject) -> None:
    torch = pytest.importorskip("torch")
    dims = data.draw(st.integers(1, 3))
    shape = tuple(data.draw(st.integers(1, 20 if dims < 3 else 7)) for _ in range(dims))
    x = sample(
        np.random.default_rng(data.draw(st.integers(0, 99))),
        (2, data.draw(st.sampled_from([1, 3, 17])), *shape),
        "float32",
        "special",
    ).astype(np.float32)
    kwargs: dict[str, Any] = {
        "kernel_size": data.draw(st.integers(1, 4)),
        "stride": data.draw(st.integers(1, 3)),
        "ceil_mode": data.draw(st.booleans()),
    }
    kwargs["padding"] = data.draw(st.integers(0, kwargs["kernel_size"] // 2))
    calls = [
        (
            f"max_pool{dims}d",
            {**kwargs, "return_indices": True, "dilation": 1 if kwargs["padding"] else data.draw(st.integers(1, 2))},
        ),
        (f"avg_pool{dims}d", {**kwargs, "count_include_pad": data.draw(st.booleans())}),
    ]
    for name, options in calls:
        if name.startswith("avg"):
            x = np.where(np.abs(x) > 1e30, 0, x)  # a sum that overflows depends on its order
        try:
            expected = getattr(torch.nn.functional, name)(torch.from_numpy(x), **options)
        except RuntimeError as e:
            if "smaller than kernel" not in str(e):  # 3-D averages refuse what 2-D ones take
                with pytest.raises(RuntimeError):
                    getattr(F, name)(mi.tensor(x), **options)
            continue
        found = getattr(F, name)(mi.tensor(x), **options)
        for a, b in zip(
            found if isinstance(found, tuple) else (found,),
            expected if isinstance(expected, tuple) else (expected,),
            strict=True,
        ):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-5)


X = mi.tensor(np.zeros((1, 3, 6, 6), np.float32))


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (RuntimeError, "kernel size", lambda: F.max_pool2d(X, 0)),
        (RuntimeError, "stride", lambda: F.max_pool2d(X, 2, 0)),
        (RuntimeError, "at most half", lambda: F.max_pool2d(X, 2, 2, 2)),
        (RuntimeError, "non-negative", lambda: F.avg_pool2d(X, 2, padding=-1)),
        (RuntimeError, "too small", lambda: F.avg_pool2d(X, 9)),
        (RuntimeError, "expected 3 or 4", lambda: F.max_pool2d(mi.tensor(np.zeros((2, 2))), 2)),
        (RuntimeError, "tuple of 2", lambda: F.max_pool2d(X, (2, 2, 2))),
        (RuntimeError, "not be zero", lambda: F.avg_pool2d(X, 2, divisor_override=0)),
        (RuntimeError, "invalid max index", lambda: F.max_unpool2d(X, mi.tensor(np.full((1, 3, 6, 6), 999)), 2)),
        (RuntimeError, "int64", lambda: F.max_unpool2d(X, X, 2)),
        (ValueError, "size", lambda: F.max_unpool2d(X, mi.tensor(np.zeros((1, 3, 6, 6), int)), 2, None, 0, (40, 40))),
        (RuntimeError, "too small", lambda: F.unfold(X, 9)),
        (RuntimeError, "divisible", lambda: F.fold(mi.tensor(np.zeros((1, 13, 9))), 4, 2)),
        (RuntimeError, "blocks", lambda: F.fold(mi.tensor(np.zeros((1, 12, 8))), 4, 2)),
        (NotImplementedError, "int64", lambda: F.adaptive_avg_pool2d(mi.tensor(np.zeros((1, 1, 4, 4), int)), 2)),
    ],
)  # fmt: skip
def test_errors(error: type[Exception], message: str, call: Any) -> None:
    with pytest.raises(error, match=message):
        call()


def test_empty_batch_and_unbatched() -> None:
    assert F.max_pool2d(mi.tensor(np.zeros((0, 3, 6, 6))), 2).shape == (0, 3, 3, 3)
    assert F.avg_pool2d(mi.tensor(np.zeros((0, 3, 6, 6))), 2).shape == (0, 3, 3, 3)
    x = RNG.standard_normal((3, 8, 10))
    assert np.array_equal(F.max_pool2d(mi.tensor(x), 2).numpy(), F.max_pool2d(mi.tensor(x[None]), 2).numpy()[0])


@pytest.mark.skipif(not hasattr(mi.Tensor, "pow"), reason="lp_pool stands on pow")
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_lp_pool(dims: int) -> None:
    x = RNG.uniform(0.5, 2, IMAGES[dims])
    y = getattr(F, f"lp_pool{dims}d")(mi.tensor(x), 2.0, 2)
    expected = np.sqrt(getattr(reference, f"avg_pool{dims}d")(x**2, 2) * 2**dims)
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-10)
