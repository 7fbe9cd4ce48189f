"""Resampling, sampling and borders: against NumPy, PyTorch, and finite differences."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import mielina as mi
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mielina.ops.image import _grid_sample_composite
from mielina.testing import check_composite, check_op, gradcheck, gradgradcheck, reference

F = mi.nn.functional
RNG = np.random.default_rng(0)
DTYPES = ("float32", "float64", "float16", "bfloat16")
LAYOUTS = ("contiguous", "channels_last", "sliced", "expanded")
IMAGES = {1: (2, 3, 21), 2: (2, 5, 8, 19), 3: (1, 2, 3, 5, 18)}
LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize(
    "mode", ["nearest", "nearest-exact", "linear", "linear corners", "bicubic", "bicubic corners", "area"]
)
def test_interpolate(dims: int, mode: str) -> None:
    if mode.startswith("bicubic") and dims != 2:
        pytest.skip("bicubic is 2-D")
    kwargs: dict[str, Any] = {"mode": mode.replace("linear", LINEAR[dims]).split(" ")[0]}
    if "corners" in mode:
        kwargs["align_corners"] = True
    x = RNG.standard_normal(IMAGES[dims])
    for how in ({"scale_factor": 2}, {"size": (7, 11, 40)[3 - dims :]}):
        check_op(
            F.interpolate,
            reference.interpolate,
            [x],
            {**kwargs, **how},
            dtypes=DTYPES,
            layouts=LAYOUTS,
            threads=(2,),
            magnitude="max",
            length=64,
            amplification=4,
            grad="size" in how,
        )


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(3, 5), (16, 11)])
def test_interpolate_antialias(mode: str, size: tuple[int, int]) -> None:
    x = RNG.standard_normal(IMAGES[2])
    check_op(
        F.interpolate,
        reference.interpolate,
        [x],
        {"size": size, "mode": mode, "antialias": True},
        layouts=LAYOUTS,
        magnitude="max",
        length=64,
        amplification=4,
        grad=True,
    )


def test_interpolate_bytes() -> None:
    x = RNG.integers(0, 256, (1, 3, 4, 5)).astype(np.uint8)
    assert np.array_equal(F.interpolate(mi.tensor(x), scale_factor=2).numpy(), x.repeat(2, 2).repeat(2, 3))


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("antialias", [False, True])
def test_resized_bytes_are_pytorchs(mode: str, antialias: bool) -> None:
    """Bit for bit, whatever lies beside each other: rows of pixels, of three or four channels, of many."""
    torch = pytest.importorskip("torch")
    for shape in ((1, 3, 60, 70), (2, 1, 40, 33), (2, 3, 7, 9), (1, 5, 20, 30), (2, 4, 21, 90), (1, 3, 12, 10)):
        x = RNG.integers(0, 256, shape).astype(np.uint8)
        last = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
        for size in ((22, 24), (5, 6), (80, 71), (shape[2], 11), (9, shape[3]), shape[2:]):
            how: dict[str, Any] = {"size": size, "mode": mode, "antialias": antialias}
            e = torch.nn.functional.interpolate(torch.tensor(x), **how).numpy()
            for a in (mi.tensor(x), mi.tensor(last).permute(0, 3, 1, 2), mi.tensor(x.repeat(2, 3))[..., ::2]):
                y = F.interpolate(a, **how)
                assert y.shape == e.shape and np.array_equal(y.numpy(), e), (shape, size)
    with pytest.raises(NotImplementedError, match="uint8"):
        F.interpolate(mi.zeros(1, 1, 5, dtype=mi.uint8), size=3, mode="linear")


@pytest.mark.parametrize("padding_mode", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
@pytest.mark.parametrize("dims", [2, 3])
def test_grid_sample(dims: int, mode: str, padding_mode: str) -> None:
    if mode == "bicubic" and dims == 3:
        pytest.skip("bicubic is 2-D")
    x, grid = (
        RNG.standard_normal((2, 3, 4, 5, 6)[: dims + 2]),
        RNG.uniform(-1.7, 1.7, (2, 3, 2, 4)[: dims + 1] + (dims,)),
    )
    for corners in (False, True):
        kwargs = {"mode": mode, "padding_mode": padding_mode, "align_corners": corners}
        check_op(
            F.grid_sample,
            reference.grid_sample,
            [x, grid],
            kwargs,
            dtypes=("float64",),
            layouts=("contiguous", "channels_last", "sliced"),
            magnitude="max",
            length=16,
            amplification=64,
            grad=True,
            gradgrad=False,
        )


@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
@pytest.mark.parametrize("border", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("corners", [False, True])
def test_grid_sample_has_second_gradients(mode: str, border: str, corners: bool) -> None:
    """Of its composite, which agrees with the kernels: images and, where the mode takes them, volumes."""
    for sizes, points in (((4, 5), (2, 3)), ((3, 4, 2), (2, 1, 2))):
        if len(sizes) == 3 and mode == "bicubic":
            continue
        x, grid = RNG.standard_normal((2, 2, *sizes)), RNG.uniform(-1.4, 1.4, (2, *points, len(sizes)))
        how = mode, border, corners
        check_composite(
            lambda x, grid: F.grid_sample(x, grid, *how),  # noqa: B023
            [x, grid],
            composite=lambda x, grid: _grid_sample_composite(x, grid, *how),  # noqa: B023
        )
        leaves = [mi.tensor(a).requires_grad_() for a in (x, grid)]
        gradgradcheck(lambda x, grid: F.grid_sample(x, grid, *how), leaves)  # noqa: B023


@pytest.mark.parametrize("size", [(2, 3, 4, 5), (2, 1, 3, 1, 4)])
@pytest.mark.parametrize("corners", [False, True])
def test_affine_grid(size: tuple[int, ...], corners: bool) -> None:
    """Every point is theta times its place; an identity samples the image itself."""
    dims = len(size) - 2
    theta = mi.tensor(np.tile(np.eye(dims, dims + 1), (2, 1, 1)))
    x = RNG.standard_normal(size)
    y = F.grid_sample(mi.tensor(x), F.affine_grid(theta, size, corners), align_corners=corners)
    np.testing.assert_allclose(y.numpy(), x, atol=1e-12) if corners is False or min(size[2:]) > 1 else None
    gradcheck(
        lambda t: F.affine_grid(t, size, corners),
        [mi.tensor(RNG.standard_normal((2, dims, dims + 1))).requires_grad_(True)],
    )


@pytest.mark.parametrize(
    ("shape", "pad", "mode", "value"),
    [
        ((3, 4), (1, 2), "constant", None),
        ((2, 3, 4, 5), (1, 2, 0, 1, 2, 0), "constant", 1.5),
        ((2, 3, 4, 5), (-1, 2, 3, -2), "constant", -2.0),
        ((2, 3, 9), (3, 4), "reflect", None),
        ((2, 3, 6, 20), (3, 4, 2, 1), "reflect", None),
        ((2, 3, 6, 20), (-2, 4, 2, -1), "replicate", None),
        ((2, 3, 6, 20), (-18, 5, 3, -4), "reflect", None),  # mirrors what is cut away
        ((2, 3, 6, 20), (-21, 5, 3, -7), "replicate", None),
        ((2, 3, 6, 20), (6, 7, 5, 0), "replicate", None),
        ((2, 3, 6, 20), (3, 4, 2, -1), "circular", None),
        ((1, 2, 3, 4, 17), (2, 1, 3, 3, 1, 2), "circular", None),
        ((1, 2, 3, 4, 17), (2, 1, 3, 3, 1, 2), "reflect", None),
    ],
)
def test_pad(shape: tuple[int, ...], pad: tuple[int, ...], mode: str, value: float | None) -> None:
    if mode == "reflect" and len(shape) == 5:
        pad = (2, 1, 3, 3, 1, 2)
    x = RNG.standard_normal(shape)
    kwargs = {"pad": pad, "mode": mode, "value": value}
    check_op(F.pad, reference.pad, [x], kwargs, dtypes=DTYPES, layouts=LAYOUTS, grad=True, length=9)


def test_pad_constant_anywhere() -> None:
    """Any axes, memory orders and dtypes, cut and widened."""
    for _ in range(60):
        shape = tuple(int(n) for n in RNG.integers(1, 7, RNG.integers(1, 6)))
        widths = [(int(RNG.integers(-2, 4)), int(RNG.integers(-2, 4))) for _ in shape]
        widths = [(max(a, -n + 1), b if n + max(a, -n + 1) + b >= 0 else 0) for (a, b), n in zip(widths, shape)]
        if RNG.random() < 0.3:
            widths[0] = (0, 0)
        dtype = RNG.choice(["float32", "float64", "int16", "uint8", "int64", "bool"])
        x = RNG.integers(0, 2 if dtype == "bool" else 99, shape).astype(dtype)
        order = tuple(int(k) for k in RNG.permutation(len(shape)))
        t = mi.tensor(np.ascontiguousarray(x.transpose(order))).permute(*np.argsort(order).tolist())
        value = bool(RNG.random() < 0.5) if dtype == "bool" else 7
        e = np.pad(x, [(max(a, 0), max(b, 0)) for a, b in widths], constant_values=value)
        e = e[tuple(slice(max(0, -a), e.shape[d] - max(0, -b)) for d, (a, b) in enumerate(widths))]
        y = F.pad(t, tuple(n for pair in reversed(widths) for n in pair), value=value)
        assert y.shape == e.shape and np.array_equal(y.numpy(), e), (shape, widths, dtype, order)


def test_pad_other_dtypes() -> None:
    for dtype in ("int64", "int32", "uint8"):
        for width in (4, 37):
            x = RNG.integers(0, 9, (1, 2, 3, width)).astype(dtype)
            last = mi.tensor(np.ascontiguousarray(x.transpose(0, 2, 3, 1))).permute(0, 3, 1, 2)
            for mode in ("constant", "reflect", "replicate", "circular"):
                e = reference.pad(x, (1, 2, 2, 1), mode)
                for a in (mi.tensor(x), last, mi.tensor(x.repeat(2, 3))[..., ::2]):
                    assert np.array_equal(F.pad(a, (1, 2, 2, 1), mode).numpy(), e)
    assert np.array_equal(F.pad(mi.tensor(np.array([True])), (1, 1), value=True).numpy(), [True, True, True])


def test_nearest_against_torch() -> None:
    """The same pixels, however the places are rounded: in float64 (large images) and where a scale is given."""
    torch = pytest.importorskip("torch")
    sizes = [(72, 278), (48, 345), (77, 133), (91, 91), (23, 46), (164, 176), (5, 7), (198, 302), (3, 269)]
    sizes += [(int(n), int(m)) for n, m in RNG.integers(1, 400, (60, 2))]
    for n, m in sizes:
        scale = float(np.float32(m / n)) if n % 2 else (m + 0.3) / n
        for dtype in ("float32", "float64"):
            for shape in ((1, 2, n), (1, 2, 3, n)):
                x = np.broadcast_to(np.arange(n, dtype=dtype), shape).copy()
                for mode in ("nearest", "nearest-exact"):
                    how: list[dict[str, Any]] = [{"size": (*shape[2:-1], m)}]
                    if int(n * scale) > 0:
                        how.append({"scale_factor": (*[1.0] * (len(shape) - 3), scale)})
                    for kwargs in how:
                        a = F.interpolate(mi.tensor(x), mode=mode, **kwargs).numpy()
                        b = torch.nn.functional.interpolate(torch.from_numpy(x), mode=mode, **kwargs).numpy()
                        assert np.array_equal(a, b), (n, m, dtype, mode, kwargs)


@pytest.mark.parametrize("width", [8, 16, 37, 70])
def test_woven_rows(width: int) -> None:
    """Two or three rows woven into one, and every second element of one, as vectors move them."""
    for dtype in ("float32", "int32", "float64", "uint8"):
        for r in (2, 3):
            x = RNG.integers(0, 200, (2, r * r, 5, width)).astype(dtype)
            assert np.array_equal(F.pixel_shuffle(mi.tensor(x), r).numpy(), reference.pixel_shuffle(x, r))
            z = RNG.integers(0, 200, (1, 2, 2 * r, width * r)).astype(dtype)
            assert np.array_equal(F.pixel_unshuffle(mi.tensor(z), r).numpy(), reference.pixel_unshuffle(z, r))
        assert np.array_equal(mi.tensor(x)[..., 1::2].contiguous().numpy(), x[..., 1::2])


def test_grid_sample_of_planes() -> None:
    """Points in blocks, those at the edges one by one: an infinite pixel outside the taps does not show."""
    x = RNG.standard_normal((2, 20, 9, 11)).astype(np.float32)
    x[0, 3, 4, 5] = np.inf
    x[1, 2, 0, 0] = np.nan
    grid = RNG.uniform(-1.3, 1.3, (2, 3, 150, 2)).astype(np.float32)
    last = mi.tensor(np.ascontiguousarray(x.transpose(0, 2, 3, 1))).permute(0, 3, 1, 2)
    for mode in ("bilinear", "nearest", "bicubic"):
        for border in ("zeros", "border", "reflection"):
            planes = F.grid_sample(mi.tensor(x), mi.tensor(grid), mode, border, False).numpy()
            points = F.grid_sample(last, mi.tensor(grid), mode, border, False).numpy()
            assert np.array_equal(planes, points, equal_nan=True)


@pytest.mark.parametrize("r", [1, 2, 3])
def test_shuffles(r: int) -> None:
    x = RNG.standard_normal((2, 2 * r * r, 3, 4))
    check_op(F.pixel_shuffle, reference.pixel_shuffle, [x, r], layouts=LAYOUTS, grad=True)
    check_op(
        F.pixel_unshuffle,
        reference.pixel_unshuffle,
        [RNG.standard_normal((2, 3, 3 * r, 2 * r)), r],
        layouts=LAYOUTS,
        grad=True,
    )
    check_op(
        F.channel_shuffle, reference.channel_shuffle, [RNG.standard_normal((2, 6, 3, 4)), r], layouts=LAYOUTS, grad=True
    )


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_against_torch(data: st.DataObject) -> None:
    torch = pytest.importorskip("torch")
    dims = data.draw(st.integers(1, 3))
    image = tuple(data.draw(st.integers(2, 30 if dims < 3 else 8)) for _ in range(dims))
    x = (
        np.random.default_rng(data.draw(st.integers(0, 99)))
        .standard_normal((2, data.draw(st.sampled_from([1, 3, 17])), *image))
        .astype(np.float32)
    )
    kwargs: dict[str, Any] = {"mode": data.draw(st.sampled_from(["nearest", "nearest-exact", LINEAR[dims]]))}
    if data.draw(st.booleans()):
        kwargs["size"] = data.draw(st.integers(1, 20))
    else:
        kwargs["scale_factor"] = data.draw(st.sampled_from([0.5, 0.7, 1.3, 2, 2.5, 3]))
    last = data.draw(st.booleans())
    t = mi.tensor(np.moveaxis(x, 1, -1).copy()).permute((0, dims + 1, *range(1, dims + 1))) if last else mi.tensor(x)
    y = F.interpolate(t, **kwargs).numpy()
    np.testing.assert_allclose(
        y, torch.nn.functional.interpolate(torch.from_numpy(x), **kwargs).numpy(), rtol=1e-4, atol=2e-5
    )


X = mi.tensor(np.zeros((1, 3, 6, 6), np.float32))
GRID = mi.tensor(np.zeros((1, 2, 2, 2), np.float32))


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (ValueError, "either", lambda: F.interpolate(X)),
        (ValueError, "either", lambda: F.interpolate(X, 3, 2.0)),
        (ValueError, "spatial dimensions", lambda: F.interpolate(X, (3, 3, 3))),
        (ValueError, "align_corners", lambda: F.interpolate(X, 3, align_corners=True)),
        (ValueError, "antialias", lambda: F.interpolate(X, 3, antialias=True)),
        (NotImplementedError, "linear", lambda: F.interpolate(X, 3, mode="linear")),
        (NotImplementedError, "foo", lambda: F.interpolate(X, 3, mode="foo")),
        (RuntimeError, "greater than 0", lambda: F.interpolate(X, 0)),
        (ValueError, "mode", lambda: F.grid_sample(X, GRID, "foo")),
        (ValueError, "padding_mode", lambda: F.grid_sample(X, GRID, padding_mode="foo")),
        (RuntimeError, "batch size", lambda: F.grid_sample(X, mi.tensor(np.zeros((2, 2, 2, 2), np.float32)))),
        (RuntimeError, "last dimension", lambda: F.grid_sample(X, mi.tensor(np.zeros((1, 2, 2, 3), np.float32)))),
        (RuntimeError, "one dtype", lambda: F.grid_sample(X, GRID.to(mi.float64))),
        (RuntimeError, "even", lambda: F.pad(X, (1, 1, 1))),
        (RuntimeError, "widths", lambda: F.pad(X, (1,) * 10)),
        (RuntimeError, "negative size", lambda: F.pad(X, (-4, -4))),
        (RuntimeError, "reflect", lambda: F.pad(X, (6, 0, 0, 0), "reflect")),
        (RuntimeError, "circular", lambda: F.pad(X, (7, 0, 0, 0), "circular")),
        (RuntimeError, "value", lambda: F.pad(X, (1, 1, 1, 1), "reflect", 1.0)),
        (NotImplementedError, "mode", lambda: F.pad(X, (1, 1, 1, 1), "foo")),
        (NotImplementedError, "widths", lambda: F.pad(X, (1, 1), "reflect")),
        (RuntimeError, "divisible", lambda: F.pixel_shuffle(X, 2)),
        (RuntimeError, "divisible", lambda: F.pixel_unshuffle(X, 4)),
        (RuntimeError, "divisible", lambda: F.channel_shuffle(X, 2)),
        (ValueError, "theta", lambda: F.affine_grid(mi.tensor(np.zeros((1, 2, 2))), (1, 1, 2, 2))),
    ],
)  # fmt: skip
def test_errors(error: type[Exception], message: str, call: Any) -> None:
    with pytest.raises(error, match=message):
        call()


@pytest.mark.skipif(sys.platform != "linux", reason="guard pages by mprotect")
def test_bytes_beside_an_image_are_not_read() -> None:
    """Images of three channels at the edge of a page nobody may read, on either side, in a process of its own."""
    code = """
import ctypes, mmap
import numpy as np
import mielina as mi
page = mmap.PAGESIZE
room = mmap.mmap(-1, 3 * page)
start = ctypes.addressof(ctypes.c_char.from_buffer(room))
protect = ctypes.CDLL(None).mprotect
protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
assert protect(start, page, 0) == 0 and protect(start + 2 * page, page, 0) == 0
for width in range(3, 40):
    for at in (start + page, start + 2 * page - 3 * width):
        a = np.frombuffer((ctypes.c_uint8 * (3 * width)).from_address(at), np.uint8).reshape(1, 1, width, 3)
        x = mi.from_numpy(a).permute(0, 3, 1, 2)
        for size in (width // 2, width - 1, width + 1, 2 * width):
            for how in ("bilinear", "bicubic"):
                mi.nn.functional.interpolate(x, size=(1, size), mode=how)
                mi.nn.functional.interpolate(x, size=(1, size), mode=how, antialias=True)
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
