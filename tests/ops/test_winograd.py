"""Winograd's convolution against the direct one in float64: values, gradients, edges, bits, and the switch."""

import itertools

import mielina as mi
import mielina.nn.functional as F
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from levels import LEVELS
from mielina import _core
from mielina.testing import assert_close, tolerance, use_isa

RNG = np.random.default_rng(5)
A, B = 0.75, 1.5


def amplification(taps=3):
    """The largest sum of |A'| |G| |B'| in two dimensions, beside the terms of the definition: what rounding errors of
    numbers of one size may grow by."""
    points, size = np.array([0, A, -A, B, -B]), 7 - taps
    back = np.concatenate([points ** np.arange(size)[:, None], np.eye(size)[:, -1:]], 1)
    poles = [np.prod([p - q for q in points if q != p]) for p in points]
    filters = np.concatenate([points[:, None] ** np.arange(taps) / np.array(poles)[:, None], np.eye(taps)[-1:]])
    rows = [np.poly([q for q in points if q != p])[::-1] for p in points]
    into = np.array([np.append(r, 0) for r in rows] + [np.poly(points)[::-1]])
    one = np.abs(back) @ (np.abs(filters).sum(1) * np.abs(into).sum(1)) / taps
    return one.max() ** 2


def test_the_amplification_is_what_the_page_says():
    assert [round(amplification(taps)) for taps in (2, 3, 4, 5)] == [115, 84, 68, 61]


def of_phase(taps, stride):
    """Taps along an axis of what the tiles see: of one remainder modulo the stride, or of a large window's quarter."""
    return -(-taps // (2 if taps > 5 else stride))


@pytest.fixture
def direct():
    """Sets the algorithm; afterwards it is "auto" again."""
    yield mi.set_conv_algorithm
    mi.set_conv_algorithm("auto")


def close(found, wanted, terms, context="", taps=3):
    """float32 beside float64, errors relative to the largest number, since a tile's numbers are mixed."""
    wanted = np.asarray(wanted)
    limit = tolerance("float32", terms, amplification(taps))
    assert_close(found.detach().numpy(), wanted, "float32", limit, np.abs(wanted).max(), context)
    assert np.abs(found.detach().numpy() - wanted).max() <= 1e-5 * np.abs(wanted).max()


def data(n, c, h, w, k, groups=1, taps=3):
    x, f = RNG.standard_normal((n, c, h, w)), RNG.standard_normal((k, c // groups, taps, taps))
    return [mi.tensor(a.astype(np.float32)) for a in (x, f, RNG.standard_normal(k))]


def channels_last(x):
    return x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)


def in_float64(x, f, b, **how):
    return F.conv2d(x.double(), f.double(), None if b is None else b.double(), **how).numpy()


def is_winograd(x, f, **how):
    """Whether the fast way was taken: its bits differ from the direct sums'."""
    mi.set_conv_algorithm("direct")
    plain = F.conv2d(x, f, **how)
    mi.set_conv_algorithm("auto")
    return not (plain == F.conv2d(x, f, **how)).all().item()


@pytest.mark.parametrize("isa", LEVELS)
@pytest.mark.parametrize(
    "shape, how",
    [
        ((1, 16, 20, 20, 16), {"padding": 1}),
        ((2, 17, 21, 19, 30), {"padding": 0}),
        ((3, 33, 13, 30, 47), {"padding": (2, 1)}),
        ((9, 20, 7, 9, 16), {"padding": 1}),
        ((1, 600, 20, 20, 16), {"padding": 1}),  # more channels than one chain of sums has
        ((2, 64, 18, 17, 48), {"padding": 1, "groups": 2}),
        ((1, 16, 90, 5, 16), {"padding": (1, 4)}),
        ((1, 130, 14, 14, 97), {"padding": 1}),  # a few tiles under many filters
        ((2, 384, 9, 14, 200), {"padding": (1, 0), "groups": 2}),
        ((1, 96, 12, 14, 90), {"padding": 2, "taps": 5}),
        ((2, 17, 25, 23, 30), {"padding": 2, "taps": 5}),
        ((1, 600, 20, 20, 16), {"padding": 2, "taps": 5}),
        ((2, 64, 18, 17, 48), {"padding": 2, "groups": 2, "taps": 4}),
        ((1, 3, 70, 64, 33), {"padding": 3, "stride": 2, "taps": 7}),  # pairs of pixels begin inside the image
        ((2, 3, 51, 53, 20), {"padding": (3, 2), "stride": 2, "taps": 7}),
        ((2, 20, 40, 43, 33), {"padding": 2, "stride": 2, "taps": 5}),
        ((2, 40, 43, 40, 40), {"padding": (0, 1), "stride": 2, "taps": 6, "groups": 2}),
        ((2, 17, 41, 40, 20), {"padding": (4, 1), "stride": 2, "taps": 9}),
        ((10, 20, 39, 40, 33), {"padding": 1, "stride": 2, "taps": 4}),
        ((40, 17, 20, 19, 18), {"padding": (1, 0), "stride": 2, "taps": 4}),
        ((5, 20, 24, 25, 30), {"padding": 1, "taps": 2}),
        ((1, 16, 33, 30, 32), {"padding": 2, "taps": 6}),
        ((2, 40, 21, 19, 34), {"padding": (3, 2), "taps": 7, "groups": 2}),
        ((2, 33, 29, 28, 20), {"padding": 0, "taps": 8}),
        ((1, 18, 40, 43, 16), {"padding": 4, "taps": 10}),
    ],
)
def test_values(shape, how, isa):
    how = dict(how)
    x, f, b = data(*shape, groups=how.get("groups", 1), taps=how.pop("taps", 3))
    taps = of_phase(f.shape[2], how.get("stride", 1))
    with use_isa(isa):
        assert is_winograd(x, f, **how)
        y = F.conv2d(x, f, b, **how)
        close(y, in_float64(x, f, b, **how), f[0].numel(), isa, taps)
        image = channels_last(x)
        assert is_winograd(image, f, **how)
        for filters in (f, channels_last(f)):
            again = F.conv2d(image, filters, b, **how)
            assert again.stride(1) == 1 and (again == y).all(), "the same bits in either memory order"


@settings(max_examples=40)
@given(
    st.integers(1, 5), st.integers(16, 40), st.integers(3, 40), st.integers(3, 40), st.integers(16, 40),
    st.integers(0, 3), st.integers(0, 3), st.integers(0, 2**32),
)  # fmt: skip
def test_any_shape(n, c, h, w, k, ph, pw, seed):
    rng = np.random.default_rng(seed)
    x = mi.tensor(rng.standard_normal((n, c, h, w)).astype(np.float32))
    f = mi.tensor(rng.standard_normal((k, c, 3, 3)).astype(np.float32))
    y = F.conv2d(x, f, padding=(ph, pw))
    close(y, in_float64(x, f, None, padding=(ph, pw)), 9 * c)
    again = F.conv2d(channels_last(x), f, padding=(ph, pw))
    if is_winograd(x, f, padding=(ph, pw)) and is_winograd(channels_last(x), f, padding=(ph, pw)):
        assert (again == y).all()
    else:
        close(again, y.double().numpy(), 9 * c)


@pytest.mark.parametrize("isa", LEVELS)
@pytest.mark.parametrize(
    "shape, padding",
    [
        ((3, 24, 22, 18, 32), 0),
        ((3, 24, 22, 18, 32), 1),
        ((3, 17, 22, 18, 45), 2),
        ((7, 33, 13, 15, 19), 1),
        ((16, 16, 66, 64, 16), 1),  # more tiles than are held at once
        ((1, 90, 33, 34, 16), 1),
        ((2, 17, 31, 23, 30), (2, 1, 5)),
        ((16, 16, 34, 36, 16), (2, 1, 5)),
        ((2, 90, 24, 24, 70), (2, 1, 5)),
        ((2, 24, 22, 18, 32), (2, 1, 4)),
        ((4, 3, 64, 66, 40), (3, 2, 7)),
        ((3, 3, 51, 53, 20), (2, 2, 7)),
        ((3, 20, 40, 43, 33), (2, 2, 5)),
        ((3, 20, 40, 44, 33), (1, 2, 5)),
        ((2, 60, 40, 44, 70), (1, 2, 6)),
        ((10, 20, 39, 40, 33), (1, 2, 4)),
        ((40, 17, 20, 19, 18), (0, 2, 4)),
        ((2, 16, 45, 42, 32), (2, 1, 6)),
        ((4, 20, 33, 31, 17), (3, 1, 7)),
        ((1, 18, 40, 43, 16), (4, 1, 10)),
    ],
)
def test_gradients(shape, padding, isa):
    padding, stride, taps = padding if isinstance(padding, tuple) else (padding, 1, 3)
    how, phase = {"padding": padding, "stride": stride}, of_phase(taps, stride)
    x, f, _ = data(*shape, taps=taps)
    x.requires_grad_()
    f.requires_grad_()
    xd, fd = (t.detach().double().requires_grad_() for t in (x, f))
    with use_isa(isa):
        y = F.conv2d(x, f, **how)
        g = mi.tensor(RNG.standard_normal(y.shape).astype(np.float32))
        y.backward(g)
        F.conv2d(xd, fd, **how).backward(g.double())
        close(x.grad, xd.grad.numpy(), taps * taps * shape[4], isa, phase)
        close(f.grad, fd.grad.numpy(), y.numel() // shape[4], isa, phase)
        fast = f.grad.clone()
        for filters in (f.detach().clone(), channels_last(f.detach())):
            turned = channels_last(x.detach()).requires_grad_()
            F.conv2d(turned, filters.requires_grad_(), **how).backward(channels_last(g))
            assert (filters.grad == fast).all(), "the same bits in either memory order"
            close(turned.grad, xd.grad.numpy(), taps * taps * shape[4], isa, phase)
            assert stride > 1 or (turned.grad == x.grad).all(), "the same bits in either memory order"
        mi.set_conv_algorithm("direct")
        f.grad = None
        F.conv2d(x, f, **how).backward(g)
        mi.set_conv_algorithm("auto")
        assert not (f.grad == fast).all(), "both ways give other bits"


def test_gradients_of_groups_and_views():
    x, f, _ = data(4, 64, 20, 30, 40, groups=2)
    g = mi.tensor(RNG.standard_normal((4, 40, 20, 40)).astype(np.float32))[:, :, :, 5:35]
    x = mi.tensor(RNG.standard_normal((4, 64, 20, 33)).astype(np.float32))[..., 1:31]
    found = _core.conv_backward_weight(g, x, f, (1, 1), (1, 1), (1, 1), 2)
    wanted = _core.conv_backward_weight(g.double(), x.double(), f.double(), (1, 1), (1, 1), (1, 1), 2)
    close(found, wanted.numpy(), 4 * 600)


def test_transposed_convolution():
    x, _, _ = data(2, 24, 20, 20, 16)
    f = mi.tensor(RNG.standard_normal((24, 30, 3, 3)).astype(np.float32))
    for padding in (0, 1, 2):
        found = F.conv_transpose2d(x, f, padding=padding)
        close(found, F.conv_transpose2d(x.double(), f.double(), padding=padding).numpy(), 9 * 24)


@pytest.mark.parametrize("isa", LEVELS)
@pytest.mark.parametrize(
    "shape, taps, padding, extra",
    [
        ((16, 20, 11, 9, 17), 4, 1, 0),
        ((8, 32, 16, 15, 33), 4, 0, 0),
        ((8, 32, 13, 16, 20), 4, 2, 1),
        ((8, 17, 13, 16, 33), 4, 3, 0),
        ((24, 24, 16, 16, 20), 4, 1, 0),  # planar images, which tasks turn for themselves
        ((9, 600, 12, 12, 16), 4, 1, 0),  # more channels than one chain of sums has
        ((8, 20, 14, 19, 33), 5, 2, 1),
        ((8, 20, 14, 19, 16), 5, (1, 4), (0, 1)),
        ((8, 20, 13, 16, 24), 6, 2, 0),
        ((3, 20, 33, 36, 24), 7, 5, 1),
        ((9, 16, 26, 13, 17), 9, 6, 0),  # the last task has fewer images, which are cut in another way
    ],
)
def test_transposed_windows_of_stride_2(shape, taps, padding, extra, isa):
    """All four remainders of the output come of the same tiles."""
    n, c, h, w, k = shape
    x, f, b = (mi.tensor(RNG.standard_normal(s).astype(np.float32)) for s in ((n, c, h, w), (c, k, taps, taps), (k,)))
    how = {"stride": 2, "padding": padding, "output_padding": extra}
    xd, fd = (t.double().requires_grad_() for t in (x, f))
    z = F.conv_transpose2d(xd, fd, b.double(), **how)
    g = mi.tensor(RNG.standard_normal(z.shape).astype(np.float32))
    z.backward(g.double())
    with use_isa(isa):
        mi.set_conv_algorithm("direct")
        plain = F.conv_transpose2d(x, f, b, **how)
        mi.set_conv_algorithm("auto")
        found = []
        for last, turned in itertools.product((False, True), repeat=2):
            image = (channels_last(x) if last else x).detach().requires_grad_()
            filters = (channels_last(f) if turned else f).detach().requires_grad_()
            y = F.conv_transpose2d(image, filters, b, **how)
            assert (y.stride(1) == 1) == (last or turned)
            y.backward(channels_last(g) if last else g)
            close(y, z.detach().numpy(), c * taps * taps / 4, isa, of_phase(taps, 2))
            close(image.grad, xd.grad.numpy(), k * taps * taps, isa, of_phase(taps, 2))
            close(filters.grad, fd.grad.numpy(), n * h * w, isa, of_phase(taps, 2))
            found.append(y.detach())
        assert not (found[0] == plain).all(), "the fast way was taken"
        assert all((y == found[0]).all() for y in found), "the same bits in either memory order"


def test_bits_of_stride_2_do_not_depend_on_threads():
    """Four by four taps, transposed and not: where tasks turn planar images for themselves, too."""
    before = mi.get_num_threads()
    x, f = (mi.tensor(RNG.standard_normal(s).astype(np.float32)) for s in ((24, 24, 16, 16), (24, 20, 4, 4)))
    z, w = (mi.tensor(RNG.standard_normal(s).astype(np.float32)) for s in ((16, 20, 40, 38), (33, 20, 4, 4)))
    found = []
    for n in (1, 2, 7):
        mi.set_num_threads(n)
        for order in (lambda t: t, channels_last):
            y = F.conv2d(order(z), w, stride=2, padding=1)
            dw = _core.conv_backward_weight(y, order(z), w, (2, 2), (1, 1), (1, 1), 1)
            up = F.conv_transpose2d(order(x), f, stride=2, padding=1)
            found.append(b"".join(t.numpy().tobytes() for t in (y, dw, up)))
    mi.set_num_threads(before)
    assert is_winograd(z, w, stride=2, padding=1) and len(set(found)) == 1


def test_views_and_filters_of_any_strides():
    x, f, b = data(2, 40, 25, 44, 36)
    cut = x[:, ::2, 3:24, 2:-1]
    turned = f.permute(1, 0, 3, 2)[:36, :20]
    strided = mi.tensor(np.ascontiguousarray(f.numpy().transpose(2, 3, 0, 1))).permute(2, 3, 0, 1)[:, :20]
    for image, filters in itertools.product((cut, cut.contiguous()), (turned, strided)):
        bias = b[: filters.shape[0]]
        assert is_winograd(image, filters, padding=1)
        close(F.conv2d(image, filters, bias, padding=1), in_float64(image, filters, bias, padding=1), 9 * 20)


@pytest.mark.parametrize("channels, taps, stride, padding", [(40, 3, 1, 1), (40, 5, 1, 2), (3, 7, 2, 3), (40, 7, 1, 3)])
def test_bits_do_not_depend_on_threads_or_the_rest_of_the_batch(channels, taps, stride, padding):
    before = mi.get_num_threads()
    x, f, _ = data(6, channels, 30 * stride, 28, 50, taps=taps)
    where = f, (stride, stride), (padding, padding), (1, 1), 1
    results = []
    for n in (1, 2, 7):
        mi.set_num_threads(n)
        y = F.conv2d(x, f, stride=stride, padding=padding)
        dw = _core.conv_backward_weight(y, x, *where)
        last = F.conv2d(channels_last(x), f, stride=stride, padding=padding)
        dw_last = _core.conv_backward_weight(last, channels_last(x), *where)
        assert (last == y).all() and (dw_last == dw).all()
        results.append(y.numpy().tobytes() + dw.numpy().tobytes())
        assert (F.conv2d(x[3:], f, stride=stride, padding=padding) == y[3:]).all()
        wide = mi.cat((x, x), 1)[:, :channels]  # another address and stride
        assert (F.conv2d(wide, f, stride=stride, padding=padding) == y).all()
    mi.set_num_threads(before)
    assert len(set(results)) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"dtype": mi.float64}, {"dtype": mi.bfloat16}, {"stride": 2}, {"dilation": 2}, {"channels": 11},
        {"size": (5, 5)}, {"filter": (3, 1)}, {"volume": True},
    ],
)  # fmt: skip
def test_everything_else_goes_the_direct_way(change):
    c = change.get("channels", 20)
    x = mi.randn(2, c, *change.get("size", (24, 24)))
    f = mi.randn(16, c, *change.get("filter", (3, 3)))
    x, f = (t.to(change.get("dtype", mi.float32)) for t in (x, f))
    how = {k: change[k] for k in ("stride", "dilation") if k in change}
    if change.get("volume"):
        x, f = mi.randn(1, 16, 5, 12, 12), mi.randn(16, 16, 3, 3, 3)
        mi.set_conv_algorithm("direct")
        plain = F.conv3d(x, f)
        mi.set_conv_algorithm("auto")
        assert (F.conv3d(x, f) == plain).all()
        return
    assert not is_winograd(x, f, **how)


def test_an_infinity_stays_in_its_tiles(direct):
    x, f, _ = data(1, 16, 24, 24, 16)
    x[0, 3, 9, 9] = float("inf")
    seen = np.zeros((24, 24), bool)
    seen[8:11, 8:11] = True
    tiles = np.zeros((24, 24), bool)
    tiles[8:12, 8:12] = True  # pixel (9, 9) lies in no other tile's 6 x 6: those begin at 7 and 11
    fast = F.conv2d(x, f, padding=1).numpy()[0]
    assert np.isfinite(fast[:, ~tiles]).all() and not np.isfinite(fast[:, seen]).any()
    direct("direct")
    plain = F.conv2d(x, f, padding=1).numpy()[0]
    assert np.isfinite(plain[:, ~seen]).all() and np.isinf(plain[:, seen]).all()


def test_the_switch(direct):
    assert mi.get_conv_algorithm() == "auto"
    direct("direct")
    assert mi.get_conv_algorithm() == "direct"
    for bad in ("fft", "", "Direct"):
        with pytest.raises(ValueError, match="expected auto or direct"):
            mi.set_conv_algorithm(bad)
    with pytest.raises(TypeError):
        mi.set_conv_algorithm(None)
    assert mi.get_conv_algorithm() == "direct"


def test_fused_bias_and_capture():
    """A recorded step replays the same bits, and the fused layer equals its parts."""
    conv, x = mi.nn.Conv2d(16, 20, 3, padding=1), mi.randn(2, 16, 20, 20)
    with mi.no_grad():
        y = conv(x)
        assert mi.allclose(y, F.conv2d(x, conv.weight, padding=1) + conv.bias.reshape(1, -1, 1, 1), atol=1e-5)
        step = mi.capture(lambda t: mi.relu(conv(t)))
        for _ in range(3):
            t = mi.randn(2, 16, 20, 20)
            assert (step(t) == mi.relu(conv(t))).all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("isa", LEVELS)
@pytest.mark.parametrize("last", [False, True])
def test_halves_and_their_gradients(dtype, isa, last):
    """Halves are floats on the way: what is stored, filters' gradients too, is of their own size."""
    turned = channels_last if last else lambda t: t
    x, f, b = (t.to(getattr(mi, dtype)) for t in data(3, 18, 21, 20, 33))
    with use_isa(isa):
        x, f = turned(x).detach().requires_grad_(), f.detach().requires_grad_()
        y = F.conv2d(x, f, b, padding=1)
        g = turned(mi.tensor(RNG.standard_normal(y.shape)).to(y.dtype))
        y.backward(g)
    xd, fd = (t.detach().double().requires_grad_() for t in (x, f))
    z = F.conv2d(xd, fd, b.double(), padding=1)
    z.backward(g.double())
    for found, wanted, terms in ((y, z, 162), (x.grad, xd.grad, 297), (f.grad, fd.grad, 1260)):
        wanted = wanted.detach().numpy()
        assert found.dtype.name == dtype
        limit = tolerance(dtype, terms)
        assert_close(found.detach().double().numpy(), wanted, dtype, limit, np.abs(wanted).max(), isa)
