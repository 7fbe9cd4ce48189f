"""Convolutions and transposed convolutions against their references and PyTorch."""

from __future__ import annotations

from typing import Any

import mielina as mi
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from levels import LEVELS
from mielina.testing import assert_close, check_op, gradcheck, gradgradcheck, reference, tolerance, use_isa

F = mi.nn.functional
RNG = np.random.default_rng(3)
FLOATS = ("float32", "float64", "float16", "bfloat16")


def normal(*shape: int) -> Any:
    return np.asarray(RNG.standard_normal(shape))


def leaves(*arrays: Any) -> list[Any]:
    return [mi.tensor(x).requires_grad_() for x in arrays]


def channels_last(x: Any) -> Any:
    n = x.ndim
    return mi.tensor(np.ascontiguousarray(np.moveaxis(x, 1, -1))).permute(0, n - 1, *range(1, n - 1))


@pytest.mark.parametrize(
    ("name", "x", "w", "kwargs"),
    [
        ("conv2d", (2, 4, 9, 11), (6, 4, 3, 3), {"padding": 1}),
        ("conv2d", (1, 6, 8, 7), (34, 3, 2, 3), {"stride": (2, 1), "padding": (0, 2), "dilation": (2, 1), "groups": 2}),
        ("conv2d", (2, 18, 6, 5), (18, 1, 3, 3), {"padding": "same", "groups": 18}),
        ("conv2d", (2, 17, 14, 21), (17, 1, 5, 5), {"padding": 2, "groups": 17}),  # seven rows at once
        ("conv2d", (1, 17, 16, 36), (17, 1, 3, 3), {"stride": 2, "padding": 1, "groups": 17}),  # two columns at once
        ("conv2d", (1, 3, 43, 45), (3, 1, 5, 5), {"stride": 2, "padding": 2, "groups": 3}),  # sums in two passes
        ("conv2d", (1, 2, 40, 20), (2, 1, 33, 2), {"stride": 2, "padding": (16, 0), "groups": 2}),  # 17 and 16 taps
        ("conv2d", (1, 18, 9, 19), (18, 1, 3, 4), {"stride": (1, 2), "dilation": (2, 1), "padding": 3, "groups": 18}),
        ("conv2d", (2, 19, 14, 14), (19, 1, 3, 3), {"padding": 1, "groups": 19}),  # a vector of planes at once
        ("conv2d", (3, 37, 11, 9), (37, 1, 5, 4), {"stride": 2, "padding": 2, "groups": 37}),
        ("conv2d", (2, 3, 9, 15), (6, 1, 3, 3), {"padding": 1, "groups": 3}),  # two filters a channel
        ("conv2d", (3, 1, 12, 15), (10, 1, 5, 5), {"padding": 2}),  # a grey image
        ("conv2d", (3, 3, 11, 30), (16, 3, 3, 3), {"padding": 1}),  # pairs of a few channels in dw
        ("conv2d", (2, 5, 33, 34), (10, 5, 3, 3), {"padding": 1}),  # few channels in dw, pieces of the pixels
        ("conv2d", (2, 19, 40, 33), (130, 19, 1, 1), {}),  # dw with packed rows of channels-last gradients
        ("conv2d", (9, 20, 9, 10), (34, 20, 3, 3), {"stride": 2, "padding": 1}),  # and of small planes
        ("conv2d", (2, 19, 17, 14), (19, 1, 3, 3), {"stride": 2, "padding": 1, "groups": 19}),  # dx's phases at once
        ("conv2d", (2, 3, 9, 30), (28, 3, 3, 3), {"padding": 1}),  # a first layer, in three bands of rows
        ("conv2d", (1, 3, 13, 29), (12, 3, 5, 3), {"stride": 2, "padding": (2, 3)}),  # the same of even and odd columns
        ("conv2d", (2, 8, 10, 34), (12, 4, 3, 2), {"dilation": (2, 3), "groups": 2}),
        ("conv2d", (2, 6, 14, 14), (20, 6, 5, 5), {}),  # vectors that are not full
        ("conv2d", (1, 5, 9, 19), (24, 5, 3, 3), {}),  # turned at the end
        ("conv2d", (1, 16, 9, 29), (24, 16, 3, 7), {"padding": (1, 3)}),  # few channels, but a long run a row of taps
        ("conv2d", (3, 5, 9, 13), (10, 5, 1, 1), {}),  # planes as rows
        ("conv2d", (4, 14, 17, 37), (18, 7, 1, 1), {"stride": (3, 2), "groups": 2}),  # every second pixel of them
        ("conv2d", (1, 40, 24, 31), (100, 40, 1, 1), {}),  # several bands, many filters
        ("conv3d", (2, 9, 3, 8, 13), (13, 9, 1, 1, 1), {"stride": (2, 1, 1)}),
        ("conv_transpose2d", (1, 5, 7, 15), (5, 12, 3, 3), {"padding": 2}),  # a first layer with its window backwards
        ("conv2d", (1, 9, 8, 7), (70, 9, 3, 3), {"padding": 1}),  # a few pixels
        ("conv2d", (1, 5, 7, 70), (6, 5, 3, 3), {"stride": 2, "padding": 1}),  # every second pixel, at edges too
        ("conv2d", (2, 5, 9, 8), (6, 5, 1, 2), {"stride": (3, 2)}),  # pixels under no tap
        ("conv1d", (2, 3, 37), (10, 3, 4), {"stride": 3, "padding": 2}),
        ("conv3d", (1, 2, 4, 5, 6), (12, 2, 2, 3, 2), {"padding": "same"}),
        ("conv2d", (2, 19, 9, 21), (21, 19, 3, 3), {"stride": 2, "padding": 1}),  # channels read where they lie
        ("conv2d", (3, 40, 5, 29), (25, 40, 1, 1), {}),  # the same without a copy, rows over images
        ("conv2d", (1, 19, 7, 23), (24, 19, 3, 3), {"stride": 2, "padding": 1}),  # three vectors of filters at once
        ("conv2d", (2, 40, 5, 17), (37, 40, 1, 1), {}),  # the same after a panel of two, the last one not full
        ("conv2d", (2, 4, 19, 31), (20, 4, 3, 3), {"stride": (2, 3), "padding": (0, 2)}),  # six pixels a vector
        ("conv2d", (1, 150, 4, 9), (17, 150, 2, 2), {"dilation": (2, 1), "padding": 5, "stride": (1, 2)}),  # long runs
        ("conv2d", (1, 512, 3, 19), (16, 512, 1, 3), {"stride": (3, 2), "padding": (0, 1)}),  # pixels a page apart
        ("conv1d", (2, 64, 301), (40, 32, 5), {"padding": 4, "dilation": 2, "groups": 2}),  # several bands
        ("conv3d", (1, 18, 4, 5, 12), (16, 18, 2, 3, 2), {"stride": (1, 2, 1), "padding": (2, 1, 0)}),
        ("conv_transpose2d", (1, 35, 4, 9), (35, 18, 4, 4), {"stride": 2, "padding": 1}),
        ("conv_transpose2d", (2, 33, 5, 9), (33, 3, 4, 4), {"stride": 2, "padding": 1}),  # sums of shifted rows
        ("conv_transpose2d", (1, 9, 4, 7), (9, 5, 3, 4), {"stride": (3, 2), "dilation": (2, 1), "output_padding": 1}),
        ("conv_transpose2d", (1, 40, 6, 400), (40, 2, 3, 5), {"padding": (0, 3)}),  # in several blocks of columns
        ("conv2d", (1, 1, 9, 20), (35, 1, 3, 4), {"padding": (2, 5), "dilation": (1, 3)}),  # the same as dx
        ("conv2d", (2, 40, 9, 11), (3, 40, 3, 3), {"padding": 1}),  # the same forward, backwards
        ("conv2d", (2, 70, 7, 6), (4, 35, 2, 5), {"padding": (0, 3), "dilation": (3, 1), "groups": 2}),
        ("conv1d", (2, 2, 37), (520, 2, 5), {"stride": 2, "padding": 3}),  # more than one block of 512 steps
        ("conv_transpose2d", (5, 20, 1, 1), (20, 6, 4, 3), {}),  # one pixel's taps
        ("conv_transpose2d", (2, 4, 5, 4), (4, 5, 3, 2), {"stride": 2, "padding": 1, "output_padding": (1, 0)}),
        ("conv_transpose1d", (2, 6, 9), (6, 5, 3), {"stride": 3, "groups": 2, "dilation": 2}),
    ],
)
def test_against_the_reference(name: str, x: Any, w: Any, kwargs: Any) -> None:
    """All levels, threads, dtypes and layouts; the sizes reach every algorithm of the kernel."""
    transposed = "transpose" in name
    channels = w[1] * kwargs.get("groups", 1) if transposed else w[0]
    length = int(np.prod(w[1:]))
    check_op(
        getattr(F, name), getattr(reference, name), [normal(*x), normal(*w), normal(channels)], kwargs, dtypes=FLOATS,
        layouts=("contiguous", "channels_last", "sliced") if len(x) == 4 else ("contiguous", "transposed"),
        threads=(1, 3), length=length, amplification=4, magnitude="abs", grad=True, gradgrad=False,
        grad_amplification=16,
    )  # fmt: skip


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, list[Any], dict[str, Any], bool]:
    n, groups, transposed = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.booleans())
    a, b = (groups * draw(st.sampled_from([1, 2, 3, 9, 17])) for _ in range(2))
    each = [
        draw(st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(0, 3), st.integers(1, 2))) for _ in range(n)
    ]
    kernel, stride, padding, dilation = (list(v) for v in zip(*each, strict=True))
    size = [draw(st.integers(1, (40, 14, 8)[n - 1])) for _ in range(n)]
    arrays = [
        normal(draw(st.integers(1, 3)), a, *size),
        normal(*((a, b // groups) if transposed else (b, a // groups)), *kernel),
    ]
    if draw(st.booleans()):
        arrays.append(normal(b))
    kwargs: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    if transposed:
        kwargs["output_padding"] = [draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True)]
    elif draw(st.integers(0, 3)) == 0:
        kwargs |= {"stride": 1, "padding": draw(st.sampled_from(["same", "valid"]))}
    return f"conv{'_transpose' * transposed}{n}d", arrays, kwargs, draw(st.booleans())


@settings(max_examples=150, deadline=None)
@given(calls())
@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_against_pytorch(call: Any) -> None:
    """Shapes, refusals, values and gradients of odd calls, in both memory orders."""
    torch = pytest.importorskip("torch")
    name, arrays, kwargs, last = call
    theirs = [torch.tensor(x).requires_grad_() for x in arrays]
    ours = leaves(*arrays)
    if last:
        ours[0] = channels_last(arrays[0]).requires_grad_()
    try:
        expected = getattr(torch.nn.functional, name)(*theirs, **kwargs)
    except RuntimeError:
        with pytest.raises(RuntimeError):
            getattr(F, name)(*ours, **kwargs)
        return
    y = getattr(F, name)(*ours, **kwargs)
    assert y.shape == tuple(expected.shape)
    g = normal(*y.shape)
    found = [y.detach(), *mi.grad(y, ours, mi.tensor(g))]
    wanted = [expected.detach(), *torch.autograd.grad(expected, theirs, torch.tensor(g))]
    for a, b in zip(found, wanted, strict=True):
        bound = tolerance("float64", 64, 64)
        assert_close(a.numpy(), b.numpy(), "float64", bound, float(b.abs().max()) if b.numel() else 0.0)


@pytest.mark.parametrize(
    ("name", "x", "w", "kwargs"),
    [
        ("conv1d", (2, 2, 6), (3, 2, 3), {"padding": 1, "stride": 2}),
        ("conv1d", (2, 5), (2, 2, 2), {"padding": "same"}),
        ("conv2d", (2, 4, 4, 3), (4, 2, 2, 3), {"padding": (1, 2), "dilation": (2, 1), "stride": (1, 2), "groups": 2}),
        ("conv3d", (1, 2, 3, 2, 2), (2, 1, 2, 2, 1), {"padding": 1, "groups": 2}),
        ("conv_transpose1d", (2, 4), (2, 3, 3), {"stride": 2, "output_padding": 1}),
        (
            "conv_transpose2d",
            (1, 2, 2, 3),
            (2, 1, 3, 2),
            {"dilation": 2, "padding": 1, "output_padding": 1, "groups": 2},
        ),
        ("conv_transpose3d", (1, 2, 2, 2, 1), (2, 1, 2, 1, 2), {"stride": 2}),
    ],
)
def test_second_order(name: str, x: Any, w: Any, kwargs: Any) -> None:
    channels = w[1] * kwargs.get("groups", 1) if "transpose" in name else w[0]
    inputs = leaves(normal(*x), normal(*w), normal(channels))
    gradcheck(lambda *xs: getattr(F, name)(*xs, **kwargs), inputs)
    gradgradcheck(lambda *xs: getattr(F, name)(*xs, **kwargs), inputs)


def test_only_the_gradients_that_are_needed() -> None:
    calls: list[str] = []
    x, w, b = mi.tensor(normal(1, 2, 5, 5)), mi.tensor(normal(3, 2, 3, 3)).requires_grad_(), mi.tensor(normal(3))
    y = F.conv2d(x, w, b)
    with mi.autograd.enable_grad(), mi.autograd.traced(lambda y, op, inputs, saves: calls.append(op.name)):
        mi.grad(y, [w], mi.ones(*y.shape, dtype=mi.float64), create_graph=True)
    assert calls == ["conv_weight"]


def test_channels_last_stays_channels_last() -> None:
    x, w = normal(2, 3, 6, 5), normal(4, 3, 3, 3)
    for n, image, filters in [(2, x, w), (3, normal(2, 3, 4, 5, 6), normal(4, 3, 2, 2, 2))]:
        for name, f in (("conv", filters), ("conv_transpose", filters.swapaxes(0, 1))):
            image_last = channels_last(image).requires_grad_()
            y = getattr(F, f"{name}{n}d")(image_last, mi.tensor(f))
            axes = (0, *range(2, n + 2), 1)
            assert y.permute(*axes).is_contiguous() and not y.is_contiguous()
            assert mi.grad(y, [image_last], y.detach())[0].permute(*axes).is_contiguous()
            assert getattr(F, f"{name}{n}d")(mi.tensor(image), mi.tensor(f)).is_contiguous()
    y = F.conv_transpose2d(mi.ones(2, 3, 1, 1), channels_last(normal(3, 5, 4, 4)).float())
    assert y.is_contiguous(memory_format=mi.channels_last), "one pixel has the order of its filters"


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("name", ["conv2d", "conv_transpose2d"])
def test_channels_last_filters_take_planar_images_along(name: str, groups: int) -> None:
    """A network in that order gives the same bits for images in either, and gradients in its own."""
    function, last = getattr(F, name), mi.channels_last
    for dtype in (mi.float32, mi.float16):
        x, w = (mi.tensor(normal(*shape)).to(dtype) for shape in ((2, 16, 6, 5), (16, 8, 3, 3)))
        w = w.contiguous(memory_format=last)
        if name == "conv2d":
            w = w if groups == 2 else mi.cat([w, w], 1)
        g = mi.tensor(normal(*function(x, w, groups=groups).shape)).to(dtype)
        results = []
        for order in (last, mi.contiguous_format):
            image, filters = x.clone().contiguous(memory_format=order).requires_grad_(), w.clone().requires_grad_()
            y = function(image, filters, groups=groups)
            y.backward(g.contiguous(memory_format=order))
            results.append((y.detach(), image.grad, filters.grad))
        for a, b in zip(*results, strict=True):
            assert b.is_contiguous(memory_format=last) and a.numpy().tobytes() == b.numpy().tobytes()
    one = F.conv2d(mi.ones(2, 1, 6, 5), mi.ones(4, 1, 3, 3).contiguous(memory_format=last))
    each = F.conv2d(mi.ones(2, 4, 6, 5), mi.ones(4, 1, 3, 3).contiguous(memory_format=last), groups=4)
    assert one.is_contiguous() and each.is_contiguous(), "one channel has no order"


@pytest.mark.parametrize("isa", LEVELS)
@pytest.mark.parametrize("orders", ["pp", "pl", "lp", "ll"])
@pytest.mark.parametrize(
    ("image", "filters"),
    [
        ((1, 67, 7, 5), (70, 67, 3, 3)),
        ((1, 67, 7, 7), (70, 67, 3, 3)),  # of 49 pixels one is left alone
        ((1, 67, 7, 7), (72, 67, 3, 3)),  # filters by eights, which AVX-512 reads where they lie
        ((4, 230, 4, 4), (64, 230, 3, 3)),
        ((3, 230, 3, 3), (37, 230, 3, 3)),  # panels of pixels run over images
        ((1, 520, 1, 1), (65, 520, 1, 1)),
        ((5, 300, 3, 7), (33, 150, 1, 1)),
    ],
)
def test_memory_orders_of_a_few_pixels_and_many_filters(image: Any, filters: Any, orders: str, isa: str) -> None:
    """Sums of more than one block of 512 steps, whose blocks begin inside a channel's taps."""
    x, w, b = normal(*image).astype("f"), normal(*filters).astype("f"), normal(filters[0]).astype("f")
    ours = [channels_last(a) if order == "l" else mi.tensor(a) for a, order in zip((x, w), orders, strict=True)]
    groups, length = image[1] // filters[1], int(np.prod(filters[1:]))
    if groups > 1:  # an odd number of filters for each
        w, b = np.repeat(w, groups, 0), np.repeat(b, groups)
        ours[1] = channels_last(w) if orders[1] == "l" else mi.tensor(w)
    for stride in (1, 2):
        how = {"stride": stride, "padding": filters[2] // 2, "groups": groups}
        expected = reference.conv2d(x.astype("d"), w.astype("d"), b.astype("d"), **how)
        size = reference.conv2d(np.abs(x).astype("d"), np.abs(w).astype("d"), np.abs(b).astype("d"), **how)
        results = []
        with use_isa(isa):
            for threads in (1, 3):
                mi.set_num_threads(threads)
                results.append(F.conv2d(*ours, mi.tensor(b), **how).numpy())
        assert np.all(np.abs(results[0] - expected) <= (length + 1) * 2.0**-24 * size)
        assert results[0].tobytes() == results[1].tobytes(), "the same bits on any number of threads"


@pytest.mark.parametrize("isa", LEVELS)
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize(
    ("image", "filters", "stride"),
    [
        ((2, 96, 9, 14), (104, 12, 3, 3), 1),
        ((2, 96, 10, 13), (80, 12, 3, 3), 2),
        ((3, 144, 7, 6), (288, 16, 1, 1), 1),
        ((1, 288, 8, 8), (288, 32, 3, 3), 1),
        ((5, 80, 56, 56), (80, 10, 2, 3), 1),  # channels-last, a few images at a time
        ((2, 32, 12, 13), (32, 4, 3, 3), 1),  # channels-last, by way of planes
        ((3, 24, 9, 20), (16, 3, 3, 2), 2),
    ],
)
def test_many_groups(image: Any, filters: Any, stride: int, last: bool, isa: str) -> None:
    """Groups dealt to threads, or as planes: the same bits on any number of them, and what double precision gives."""
    groups = image[1] // filters[1]
    x, w, b = (normal(*shape) for shape in (image, filters, filters[:1]))
    how = {"stride": stride, "padding": filters[2] // 2, "groups": groups}
    results: list[list[np.ndarray]] = []
    up = None
    with use_isa(isa):
        for dtype, threads in ((mi.float64, 1), (mi.float32, 1), (mi.float32, 2), (mi.float32, 5)):
            mi.set_num_threads(threads)
            turned = last and dtype is mi.float32
            ours = [channels_last(a) if turned and a.ndim == 4 else mi.tensor(a) for a in (x, w, b)]
            inputs = [a.to(dtype).requires_grad_(True) for a in ours]
            y = F.conv2d(*inputs, **how)
            up = normal(*y.shape) if up is None else up
            g = channels_last(up) if turned else mi.tensor(up)
            assert y.is_contiguous(memory_format=mi.channels_last) is turned
            results.append([a.detach().numpy() for a in (y, *mi.grad(y, inputs[:2], g.to(dtype)))])
    length = filters[1] * filters[2] * filters[3]
    sizes = [length, filters[0] // groups * filters[2] * filters[3], up[:, 0].size]
    for exact, *found, n in zip(*results, sizes, strict=True):
        assert all(a.tobytes() == found[0].tobytes() for a in found)
        assert np.abs(found[0] - exact).max() < 8 * n**0.5 * 2.0**-24 * np.abs(exact).max()


def test_a_padding_beyond_the_filter_and_empty_batches() -> None:
    x, w = normal(1, 1, 2), normal(1, 1, 2)
    check_op(F.conv1d, reference.conv1d, [x, w], {"padding": 5}, length=2, magnitude="abs", grad=True)
    inputs = leaves(normal(0, 2, 4, 4), normal(3, 2, 3, 3), normal(3))
    y = F.conv2d(*inputs)
    assert y.shape == (0, 3, 2, 2)
    gradients = mi.grad(y, inputs, y.detach())
    assert [g.shape for g in gradients] == [x.shape for x in inputs]
    assert all((g.numpy() == 0).all() for g in gradients)


def test_a_large_stride_costs_nothing() -> None:
    """The kernel walks the remainders modulo the stride; with one output there are none."""
    x, w = leaves(normal(1, 1, 3, 3), normal(1, 1, 3, 3))
    y = F.conv2d(x, w, stride=2**30)
    dx, dw = mi.grad(y, [x, w], mi.ones(1, 1, 1, 1, dtype=mi.float64))
    np.testing.assert_array_equal(dx.numpy(), w.detach().numpy())
    np.testing.assert_array_equal(dw.numpy(), x.detach().numpy())


def test_autocast() -> None:
    inputs = [mi.tensor(v.astype(np.float32)) for v in (normal(1, 2, 5, 5), normal(3, 2, 3, 3), normal(3))]
    with mi.autocast(dtype=mi.bfloat16):
        y, z = F.conv2d(*inputs), F.conv_transpose2d(inputs[0], inputs[1].transpose(0, 1), inputs[2])
    assert y.dtype is z.dtype is mi.bfloat16
    assert_close(y.to(mi.float64).numpy(), F.conv2d(*inputs).to(mi.float64).numpy(), "bfloat16", 0.05, 8.0)


def test_errors() -> None:
    x, w, b = mi.ones(1, 4, 5, 5), mi.ones(6, 2, 3, 3), mi.ones(6)
    for arguments, kwargs, kind, message in [
        ((x, w, b), {}, RuntimeError, "input channels"),
        ((x, w, b), {"groups": 4}, RuntimeError, "groups=4"),
        ((x, w, b), {"groups": 0}, RuntimeError, "groups=0"),
        ((x, w, mi.ones(5)), {"groups": 2}, RuntimeError, "bias"),
        ((x, w, b.to(mi.float64)), {"groups": 2}, RuntimeError, "dtype"),
        ((x.to(mi.bool), w.to(mi.bool)), {"groups": 2}, RuntimeError, "one dtype"),
        ((x.to(mi.int64), w), {"groups": 2}, RuntimeError, "one dtype"),
        ((x, w, b), {"groups": 2, "stride": 0}, RuntimeError, "stride must be positive"),
        ((x, w, b), {"groups": 2, "padding": -1}, RuntimeError, "padding must be at least 0"),
        ((x, w, b), {"groups": 2, "padding": (1, 1, 1)}, RuntimeError, "padding needs one number or 2"),
        ((x, w, b), {"groups": 2, "dilation": 3}, RuntimeError, "smaller than the filter"),
        ((x, w, b), {"groups": 2, "padding": "same", "stride": 2}, RuntimeError, "stride of 1"),
        ((x, w, b), {"groups": 2, "padding": "full"}, RuntimeError, "'same', 'valid'"),
        ((x, w, b), {"groups": 2, "padding": 2**62}, RuntimeError, "below 2"),
        ((mi.ones(4, 5), w, b), {"groups": 2}, RuntimeError, "4-D input"),
        ((x, mi.ones(6, 2, 3), b), {"groups": 2}, RuntimeError, "spatial axes"),
        ((x, mi.ones(6, 4, 0, 3), b), {}, RuntimeError, "must not be empty"),
    ]:
        with pytest.raises(kind, match=message):
            F.conv2d(*arguments, **kwargs)
    for kwargs, message in [
        ({"output_padding": 2, "stride": 2}, "output_padding 2"),
        ({"padding": 9}, "output of size"),
        ({"groups": 3}, "groups=3"),
    ]:
        with pytest.raises(RuntimeError, match=message):
            F.conv_transpose2d(x, mi.ones(4, 2, 3, 3), **kwargs)
    with pytest.raises(RuntimeError, match="input channels"):
        F.conv_transpose2d(x, mi.ones(3, 2, 3, 3))
