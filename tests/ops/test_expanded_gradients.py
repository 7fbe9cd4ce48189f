"""The gradient of a sum is one number at every place: kernels give it the bits that they give an array of ones."""

from collections.abc import Callable

import mielina as mi
import mielina.nn.functional as F
import numpy as np
import pytest

W, DEPTHWISE, POINTS = (6, 4, 3, 3), (4, 1, 3, 3), (4, 3, 2, 2)
OPS: dict[str, tuple[Callable[..., mi.Tensor], tuple[int, ...] | None]] = {
    "conv": (lambda x, w: F.conv2d(x, w, None, 1, 1), W),
    "conv_stride": (lambda x, w: F.conv2d(x, w, None, 2, 1), W),
    "depthwise": (lambda x, w: F.conv2d(x, w, None, 1, 1, 1, 4), DEPTHWISE),
    "depthwise_stride": (lambda x, w: F.conv2d(x, w, None, 2, 1, 1, 4), DEPTHWISE),
    "conv_transpose": (lambda x, w: F.conv_transpose2d(x, w, None, 2), POINTS),
    "avg_pool": (lambda x: F.avg_pool2d(x, 2), None),
    "adaptive_avg_pool": (lambda x: F.adaptive_avg_pool2d(x, 5), None),
    "interpolate": (lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), None),
    "pad": (lambda x: F.pad(x, (1, 2, 3, 1), mode="reflect"), None),
    "index": (lambda x: x[mi.tensor([1, 0, 1])], None),
    "index_select": (lambda x: x.index_select(2, mi.tensor([3, 3, 0])), None),
    "embedding": (lambda x: F.embedding(mi.tensor([2, 7, 2, 0]), x.reshape(-1, 17)), None),
}


@pytest.mark.parametrize("name", OPS)
@pytest.mark.parametrize("last", [False, True])
def test_gradient_of_a_sum(name: str, last: bool) -> None:
    f, size = OPS[name]
    rng = np.random.default_rng(0)
    x = mi.tensor(rng.standard_normal((2, 4, 17, 17)).astype(np.float32))
    if last:
        x = x.contiguous(memory_format=mi.channels_last)
    inputs = [x.requires_grad_()]
    if size:
        inputs.append(mi.tensor(rng.standard_normal(size).astype(np.float32), requires_grad=True))
    y = f(*inputs)
    ones, expanded = mi.ones(y.shape), mi.ones(()).expand(y.shape)
    wanted = mi.autograd.grad(f(*inputs), inputs, ones)
    got = mi.autograd.grad(f(*inputs), inputs, expanded)
    for a, b in zip(wanted, got):
        assert np.array_equal(a.numpy(), b.numpy())


@pytest.mark.parametrize("shape", [(2, 4, 17), (2, 4, 9, 9), (2, 4, 5, 5, 5)])
@pytest.mark.parametrize("last", [False, True])
def test_a_convolutions_gradient_is_written_out_once(shape: tuple[int, ...], last: bool) -> None:
    x, n = mi.randn(*shape), len(shape) - 2
    if last and n > 1:
        x = x.contiguous(memory_format=mi.channels_last if n == 2 else mi.channels_last_3d)
    w, b = mi.randn(6, 4, *(3,) * n, requires_grad=True), mi.randn(6, requires_grad=True)
    y = (F.conv1d, F.conv2d, F.conv3d)[n - 1](x.requires_grad_(), w, b)
    with mi.profile(quiet=True) as p:
        dx, _, db = mi.autograd.grad(y.sum(), (x, w, b), create_graph=True)
    assert sum(calls for name, calls, *_ in p.rows if name in ("contiguous", "clone", "copy_", "ordered")) == 1
    assert dx.stride() == x.stride() and (db == y.numel() / 6).all()
    assert mi.autograd.grad(dx.sum(), w)[0].shape == w.shape  # whose history goes through the copy
