"""The references of convolution, pooling, normalisation and image ops against PyTorch."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

RNG = np.random.default_rng(3)


def normal(*shape: int) -> Any:
    return np.asarray(RNG.standard_normal(shape))


CONVS: list[dict[str, Any]] = [
    {},
    {"stride": 2},
    {"padding": 1},
    {"dilation": 2, "padding": 2},
    {"groups": 2},
    {"stride": 2, "padding": 2, "dilation": 2},
    {"padding": "same", "dilation": 2},
    {"padding": "valid"},
    {"stride": 3, "groups": 4, "padding": 1},
]


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("kwargs", CONVS, ids=str)
def test_conv(dims: int, kwargs: dict[str, Any], agree: Any) -> None:
    groups = kwargs.get("groups", 1)
    image, kernel = (9, 8, 7)[:dims], (3, 2, 3)[:dims]
    for n in ((2,), (0,), ()):
        agree(f"conv{dims}d", normal(*n, 4, *image), normal(8, 4 // groups, *kernel), normal(8), **kwargs)
    agree(f"conv{dims}d", normal(1, 4, *image), normal(4, 4 // groups, *[1] * dims), **kwargs)


def test_conv_tuples(agree: Any) -> None:
    x = normal(2, 3, 9, 8)
    agree("conv2d", x, normal(5, 3, 3, 2), normal(5), stride=(2, 1), padding=(0, 2), dilation=(1, 3))
    agree("conv_transpose2d", x, normal(3, 5, 3, 2), normal(5), stride=(2, 3), padding=(1, 0), output_padding=(1, 2),
          dilation=(1, 3))  # fmt: skip


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize(
    "kwargs",
    [{}, {"stride": 2}, {"stride": 2, "padding": 1, "output_padding": 1}, {"dilation": 2}, {"groups": 2, "stride": 3}],
    ids=str,
)
def test_conv_transpose(dims: int, kwargs: dict[str, Any], agree: Any) -> None:
    groups = kwargs.get("groups", 1)
    image, kernel = (5, 4, 3)[:dims], (3, 2, 3)[:dims]
    for n in ((2,), ()):
        weight, bias = normal(4, 6 // groups, *kernel), normal(6)
        agree(f"conv_transpose{dims}d", normal(*n, 4, *image), weight, bias, **kwargs)


def test_unfold_and_fold(agree: Any) -> None:
    kwargs: list[dict[str, Any]] = [
        {},
        {"stride": 2},
        {"padding": 1, "dilation": 2},
        {"stride": (2, 3), "padding": (1, 0)},
    ]
    for k in kwargs:
        for n in ((2,), ()):
            agree("unfold", normal(*n, 3, 8, 9), (3, 2), **k)
    agree("fold", normal(2, 3 * 6, 6 * 8), (8, 9), (3, 2))
    agree("fold", normal(3 * 6, 3 * 4), (8, 9), (3, 2), stride=2, padding=(0, 0))
    agree("fold", normal(2, 12, 25), (8, 8), (2, 2), stride=2, padding=1)


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("ceil_mode", [False, True])
def test_pools(dims: int, ceil_mode: bool, agree: Any) -> None:
    image = (7, 6, 5)[:dims]
    for n, kernel, stride, padding in itertools.product(((2,), ()), (2, 3), (None, 1, 2, 3), (0, 1)):
        x = normal(*n, 3, *image)
        kwargs = {"stride": stride, "padding": padding, "ceil_mode": ceil_mode}
        for dilation in (1, 2):
            agree(f"max_pool{dims}d", x, kernel, **kwargs, dilation=dilation, return_indices=True)
        for include in (True, False):
            agree(f"avg_pool{dims}d", x, kernel, **kwargs, count_include_pad=include)
        if dims > 1:
            agree(f"avg_pool{dims}d", x, kernel, **kwargs, divisor_override=5)
    x = normal(2, 3, *image)
    x[0, 0].flat[3] = np.nan
    x[1, 1] = -np.inf
    agree(f"max_pool{dims}d", x, 3, stride=2, padding=1, ceil_mode=ceil_mode)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_adaptive_pools(dims: int, agree: Any) -> None:
    image = (7, 6, 5)[:dims]
    for size in (1, 2, 3, 5, 11):
        for n in ((2,), ()):
            agree(f"adaptive_avg_pool{dims}d", normal(*n, 3, *image), size)
            if dims < 3:
                agree(f"adaptive_max_pool{dims}d", normal(*n, 3, *image), size, return_indices=True)
    if dims == 2:
        agree("adaptive_avg_pool2d", normal(2, 3, 7, 6), (None, 3))


def test_max_unpool(agree: Any) -> None:
    torch = pytest.importorskip("torch")
    for kwargs in ({"kernel_size": 2}, {"kernel_size": 3, "stride": 2, "padding": 1}):
        x = torch.randn(2, 3, 8, 8 if kwargs["kernel_size"] == 2 else 9, dtype=torch.float64)
        y, index = torch.nn.functional.max_pool2d(x, return_indices=True, **kwargs)
        for size in ((8, 9), None) if kwargs["kernel_size"] == 2 else ((8, 9),):
            agree("max_unpool2d", y.numpy(), index.numpy(), **kwargs, output_size=size)


def test_norms(agree: Any) -> None:
    for shape in ((4, 6), (4, 6, 5), (2, 6, 3, 4)):
        x, w, b = normal(*shape), normal(6), normal(6)
        mean, var = normal(6), RNG.random(6) + 0.1
        agree("batch_norm", x, mean, var, w, b, eps=1e-3)
        agree("batch_norm", x, mean.copy(), var.copy(), w, b, training=True)
        agree("batch_norm", x, None, None, training=True)
        agree("group_norm", x, 3, w, b)
        agree("group_norm", x, 2, eps=0.1)
        if len(shape) > 2:
            agree("instance_norm", x, weight=w, bias=b)
            agree("instance_norm", x, mean, var, w, b, use_input_stats=False)
        for k in (1, 2):
            last = shape[-k:]
            agree("layer_norm", x, last, normal(*last), normal(*last))
            agree("layer_norm", x, last, eps=0.1)
            agree("rms_norm", x, last, normal(*last))
            agree("rms_norm", x, last, eps=0.1)
        for p, dim in ((1.0, 0), (2.0, 1), (3.0, -1)):
            agree("normalize", x, p=p, dim=dim)
        if len(shape) > 2:
            for size in (1, 2, 3, 5):
                agree("local_response_norm", x, size, alpha=0.5, beta=0.6, k=1.5)


def test_running_statistics() -> None:
    torch = pytest.importorskip("torch")
    from mielina.testing import reference

    x, mean, var = normal(4, 3, 5), normal(3), RNG.random(3)
    m, v = torch.tensor(mean), torch.tensor(var)
    torch.nn.functional.batch_norm(torch.tensor(x), m, v, training=True, momentum=0.3)
    for a, b in zip(reference.batch_norm_statistics(x, mean, var, 0.3), (m, v), strict=True):
        np.testing.assert_allclose(a, b.numpy(), rtol=1e-12)


def test_pad(agree: Any) -> None:
    x = normal(2, 3, 4, 5)
    for widths in ([1, 2], [1, 2, 3, 0], [-1, 2], [0, -2, -1, 3], [1, 1, 1, 1, 2, 2]):
        agree("pad", x, widths)
        agree("pad", x, widths, value=2.5)
    agree("pad", RNG.integers(0, 9, (3, 4)), [1, 2], value=7)
    agree("pad", normal(0, 3), [1, 2, 1, 1])
    for mode in ("reflect", "replicate", "circular"):
        agree("pad", normal(2, 3, 5), [2, 1], mode=mode)
        agree("pad", x, [2, 1, 3, 2], mode=mode)
        agree("pad", normal(2, 3, 4, 5, 6), [2, 1, 0, 2, 1, 1], mode=mode)
        agree("pad", x, [-1, 2, 1, -2], mode=mode)
    agree("pad", normal(3, 5), [7, 9], mode="replicate")


MODES = {
    1: ["nearest", "nearest-exact", "linear", "area"],
    2: ["nearest", "nearest-exact", "bilinear", "bicubic", "area"],
    3: ["nearest", "nearest-exact", "trilinear", "area"],
}


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_interpolate(dims: int, agree: Any) -> None:
    x = normal(2, 3, *(5, 7, 4)[:dims])
    for mode in MODES[dims]:
        corners = (False, True) if "linear" in mode or "cubic" in mode else (None,)
        for align in corners:
            k = {"mode": mode, "align_corners": align, "rtol": 1e-6 if "nearest" not in mode else 1e-10}
            for size in (1, 3, 8, (5, 7, 4)[:dims], (11, 2, 9)[:dims]):
                agree("interpolate", x, size=size, **k)
            for factor in (0.4, 1.3, 2, (1.7, 0.6, 2.3)[:dims]):
                for again in (None, True) if mode != "area" else (None,):
                    agree("interpolate", x, scale_factor=factor, recompute_scale_factor=again, **k)
    if dims == 2:
        odd = normal(1, 2, 6, 6)
        odd[0, 0, 2, 3], odd[0, 1, 1, 1] = np.nan, np.inf
        for mode in MODES[2]:
            agree("interpolate", odd, size=(9, 4), mode=mode)
        for mode, size, align in itertools.product(("bilinear", "bicubic"), ((3, 3), (2, 11), (9, 4)), (False, True)):
            agree("interpolate", x, size=size, mode=mode, align_corners=align, antialias=True, rtol=1e-6)


@pytest.mark.parametrize("padding_mode", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("align_corners", [False, True])
def test_grid_sample(padding_mode: str, align_corners: bool, agree: Any) -> None:
    k = {"padding_mode": padding_mode, "align_corners": align_corners, "rtol": 1e-8}
    for mode in ("bilinear", "nearest", "bicubic"):
        agree("grid_sample", normal(2, 3, 5, 6), RNG.uniform(-2.7, 2.7, (2, 4, 7, 2)), mode=mode, **k)
        agree("grid_sample", normal(1, 2, 1, 3), RNG.uniform(-2, 2, (1, 4, 7, 2)), mode=mode, **k)
        if mode != "bicubic":
            agree("grid_sample", normal(2, 3, 5, 6, 4), RNG.uniform(-1.7, 1.7, (2, 4, 3, 2, 3)), mode=mode, **k)
    x, odd = normal(1, 2, 6, 6), RNG.uniform(-1.5, 1.5, (1, 4, 4, 2))
    odd[0, 0, 0], odd[0, 1, 1], odd[0, 2, 2, 1] = np.nan, np.inf, -np.inf
    x[0, 0, 2, 3], x[0, 1, 1, 1] = np.nan, np.inf
    for mode in ("bilinear", "nearest", "bicubic"):
        agree("grid_sample", x, np.where(np.isfinite(odd), odd, 0.3), mode=mode, **k)
        agree("grid_sample", normal(1, 2, 6, 6), odd, mode=mode, **k)
    exact = np.stack(np.meshgrid(np.linspace(-1, 1, 5), np.linspace(-1, 1, 5)), -1)[None]
    for mode in ("bilinear", "nearest"):
        agree("grid_sample", normal(1, 2, 5, 5), exact, mode=mode, **k)


def test_shuffles(agree: Any) -> None:
    agree("pixel_shuffle", normal(2, 12, 3, 4), 2)
    agree("pixel_shuffle", normal(18, 3, 4), 3)
    agree("pixel_unshuffle", normal(2, 3, 6, 4), 2)
    agree("channel_shuffle", normal(2, 6, 3, 4), 3)
