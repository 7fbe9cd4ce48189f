"""Resampling and borders: interpolate, grid_sample, pad, pixel_shuffle."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Sequence
from typing import Any

from .. import _core, dtypes
from ..autograd import op, record
from ..tensor import Tensor, check_tensors
from . import elementwise as e
from .elementwise import add, cast, div, mul, sub
from .gemm import matmul
from .index import gather
from .layout import expand, reshape, select, slice, transpose, view_of
from .pool import _adaptive_avg_pool

__all__: list[str] = []
__functional__ = [
    "interpolate",
    "grid_sample",
    "affine_grid",
    "pad",
    "pixel_shuffle",
    "pixel_unshuffle",
    "channel_shuffle",
]


# ---- resizing -------------------------------------------------------------------------------------------------------
_RANKS = {"linear": (3, "linear"), "bilinear": (4, "linear"), "trilinear": (5, "linear"), "bicubic": (4, "cubic")}


def interpolate(
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """Resizes the image axes of (N, C, ...) to `size`, or by `scale_factor` to floor(n scale_factor).

    Output o lies at (o + 1/2) n / m - 1/2 of an axis of n pixels resized to m, with align_corners at
    o (n - 1) / (m - 1); a given scale_factor stands for m / n unless recompute_scale_factor. mode: "nearest"
    (floor(o n / m)), "nearest-exact", "linear" (3-D input), "bilinear" and "bicubic" (4-D, Keys 1981 with a = -3/4),
    "trilinear" (5-D), "area" (adaptive mean).
    antialias (bilinear, bicubic): the kernel is stretched over the pixels that one output covers.
    ValueError: size and scale_factor, align_corners or antialias that do not go with the mode. NotImplementedError:
    a mode for another rank, or integer input (but uint8 for the nearest modes, and for bilinear and bicubic, which
    round after each axis as PyTorch does).

    >>> F.interpolate(mi.tensor([[[1.0, 3.0]]]), scale_factor=2)
    tensor([[[1., 1., 3., 3.]]])
    >>> F.interpolate(mi.tensor([[[1.0, 3.0]]]), size=3, mode="linear", align_corners=True)
    tensor([[[1., 2., 3.]]])
    """
    check_tensors("interpolate", input)
    dims = input.ndim - 2
    nearest = mode in ("nearest", "nearest-exact")
    if nearest or mode == "area":
        if align_corners is not None:
            raise ValueError("interpolate: align_corners goes with linear, bilinear, bicubic and trilinear only")
        if dims not in (1, 2, 3):
            raise NotImplementedError(f"interpolate: mode {mode!r} needs 3-D, 4-D or 5-D input, got {input.ndim}-D")
    elif mode not in _RANKS or _RANKS[mode][0] != input.ndim:
        raise NotImplementedError(f"interpolate: mode {mode!r} is unknown or not for {input.ndim}-D input")
    if antialias and mode not in ("bilinear", "bicubic"):
        raise ValueError("interpolate: antialias goes with bilinear and bicubic only")
    target, scales = _target(input, dims, size, scale_factor, recompute_scale_factor)
    if mode == "area":
        return _adaptive_avg_pool(input, dims, target)
    return _resize(input, dims, target, scales, mode if nearest else _RANKS[mode][1], bool(align_corners), antialias)


def _target(
    x: Tensor, dims: int, size: Any, scale_factor: Any, recompute: bool | None
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """The new sizes, and the scales that stand for their ratio to the old ones (0: none)."""
    if (size is None) == (scale_factor is None):
        raise ValueError("interpolate: give either size or scale_factor")
    given = size if scale_factor is None else scale_factor
    each = tuple(given) if isinstance(given, (tuple, list)) else (given,) * dims
    if len(each) != dims:
        raise ValueError(
            f"interpolate: input has {dims} spatial dimensions, but size or scale_factor has {len(each)}: {each}"
        )
    if scale_factor is None:
        if recompute:
            raise ValueError("interpolate: recompute_scale_factor is not meaningful with an explicit size")
        return each, (0.0,) * dims
    if not all(math.isfinite(f) for f in each):
        raise RuntimeError(f"interpolate: scale factors must be finite, got {each}")
    target = tuple(math.floor(float(n) * f) for n, f in zip(x.shape[2:], each))
    return target, (0.0,) * dims if recompute else tuple(float(f) for f in each)


def _resize(x: Tensor, dims: int, *how: Any) -> Tensor:
    return record(_core.resize(x, dims, *how), RESIZE, (x,), (x.shape, dims, *how))  # type: ignore[no-any-return]


def resize_backward(g: Tensor, shape: tuple[int, ...], dims: int, size: Any, *how: Any) -> Tensor:
    """The transpose of the resizing: each pixel collects from the outputs that it went into."""
    return record(_core.resize_backward(g, shape, dims, *how), RESIZE_BACKWARD, (g,), (dims, size, *how))  # type: ignore[no-any-return]


RESIZE = op("interpolate", lambda g, needs, *how: (resize_backward(g, *how),))
RESIZE_BACKWARD = op("interpolate_backward", lambda g, needs, *how: (_resize(g, *how),))


# ---- sampling -------------------------------------------------------------------------------------------------------
def grid_sample(
    input: Tensor, grid: Tensor, mode: str = "bilinear", padding_mode: str = "zeros", align_corners: bool | None = None
) -> Tensor:
    """y[n, c, p, q] = x[n, c] read at the point grid[n, p, q] = (x, y), in [-1, 1] from one edge to the other.

    input: (N, C, H, W), grid: (N, P, Q, 2); or (N, C, D, H, W) and (N, O, P, Q, 3). -1 and 1 are the outer borders
    of the edge pixels, with align_corners their centres. mode: "bilinear", "nearest" or (4-D) "bicubic". padding_mode,
    for points outside: "zeros", "border" (the nearest pixel) or "reflection".
    ValueError: mode, padding_mode. RuntimeError: shapes, dtypes. Source: Jaderberg et al. 2015.

    >>> F.grid_sample(mi.tensor([[[[1.0, 3.0]]]]), mi.tensor([[[[0.0, 0.0]]]]), align_corners=False)
    tensor([[[[2.]]]])
    """
    if mode not in ("bilinear", "nearest", "bicubic"):
        raise ValueError(f"grid_sample: expected mode 'bilinear', 'nearest' or 'bicubic', got {mode!r}")
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ValueError(f"grid_sample: expected padding_mode 'zeros', 'border' or 'reflection', got {padding_mode!r}")
    how = (mode, padding_mode, bool(align_corners))
    return record(_core.grid_sample(input, grid, *how), GRID_SAMPLE, (input, grid), (input, grid, *how))  # type: ignore[no-any-return]


def _grid_sample_rule(g: Tensor, needs: Any, x: Tensor, grid: Tensor, *how: Any) -> Any:
    kernels = (_core.grid_sample_backward, _core.grid_sample_backward_grid)
    return [f(g, x, grid, *how) if need else None for f, need in zip(kernels, needs)]


def _grid_sample_composite(x: Tensor, grid: Tensor, mode: str, border: str, corners: bool) -> Tensor:
    """The sum over taps of weight times pixel; weights are functions of the grid, which pixels are constants."""
    n, c, *sizes = x.shape
    points = grid.shape[1:-1]
    count = math.prod(points)
    wide = dtypes.float64 if x.dtype is dtypes.float64 else dtypes.float32
    pixels = reshape(cast(x, wide), (n, c, math.prod(sizes)))
    axes = [
        _taps(cast(select(grid, -1, len(sizes) - 1 - k), wide), size, mode, border, corners)
        for k, size in enumerate(sizes)
    ]
    y: Any = None
    for taps in itertools.product(*axes):
        index: Any = 0
        weight: Any = 1.0
        for (at, w), size in zip(taps, sizes):
            weight = mul(w, weight)
            index = add(mul(index, size), at) if isinstance(index, Tensor) else at
            weight = e.where(e.logical_and(e.ge(at, 0), e.lt(at, size)), weight, 0.0)  # outside: 0
        index = cast(e.clamp(index, 0, math.prod(sizes) - 1), dtypes.int64)
        values = gather(pixels, 2, expand(reshape(index, (n, 1, count)), (n, c, count)))
        term = mul(values, reshape(weight, (n, 1, count)))
        y = term if y is None else add(y, term)
    return cast(reshape(y, (n, c, *points)), x.dtype)


def _taps(g: Tensor, size: int, mode: str, border: str, corners: bool) -> list[tuple[Tensor, Tensor]]:
    """(pixel, weight) along one axis for coordinates g in [-1, 1]; a pixel may lie outside."""
    u = mul(add(g, 1), (size - 1) / 2) if corners else sub(mul(add(g, 1), size / 2), 0.5)
    if mode == "bicubic":  # each tap is brought into the image, not the point
        low = e.floor(u.detach())
        t = sub(u, low)
        distances = [add(t, 1), t, sub(1, t), sub(2, t)]
        return [
            (e.round(_into_image(add(low, k - 1), size, border, corners)), _keys(d, near=k in (1, 2)))
            for k, d in enumerate(distances)
        ]
    u = _into_image(u, size, border, corners)
    if mode == "nearest":
        return [(e.round(u.detach()), add(mul(u.detach(), 0), 1))]
    low = e.floor(u.detach())
    t = sub(u, low)
    return [(low, sub(1, t)), (add(low, 1), t)]


def _keys(d: Tensor, near: bool) -> Tensor:
    """Keys 1981, equation 4 with a = -3/4, at distance d below 1 (near) or between 1 and 2."""
    a = -0.75
    if near:
        return add(mul(mul(sub(mul(d, a + 2), a + 3), d), d), 1)
    return sub(mul(add(mul(sub(mul(d, a), 5 * a), d), 8 * a), d), 4 * a)


def _into_image(u: Tensor, size: int, border: str, corners: bool) -> Tensor:
    """u in pixels, reflected or clipped into the image; where it is clipped it has no gradient."""
    if border == "zeros":
        return u
    if border == "reflection":
        low, span = (0.0, size - 1.0) if corners else (-0.5, float(size))
        if span == 0:
            return mul(u.detach(), 0)
        x = e.abs(sub(u, low))
        turns = e.floor(div(x.detach(), span))
        rest = sub(x, mul(turns, span))
        u = add(e.where(e.ne(e.remainder(turns, 2), 0), sub(span, rest), rest), low)
    clipped = e.clamp(u.detach(), 0, size - 1)
    return e.where(e.eq(clipped, u.detach()), u, clipped)


GRID_SAMPLE = op("grid_sample", _grid_sample_rule, composite=_grid_sample_composite)


def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """The points that `grid_sample` needs for an affine map: grid[n, h, w] = theta[n] (x_w, y_h, 1).

    theta: (N, 2, 3) for size (N, C, H, W), (N, 3, 4) for (N, C, D, H, W); floating.
    Returns (N, H, W, 2) or (N, D, H, W, 3).
    ValueError: theta not floating, shapes that do not fit.

    >>> F.affine_grid(mi.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]]), (1, 3, 4, 5), align_corners=False).shape
    (1, 4, 5, 2)
    """
    check_tensors("affine_grid", theta)
    import numpy as np

    size = tuple(size)
    dims = len(size) - 2
    if not theta.dtype.is_floating_point:
        raise ValueError(f"affine_grid: expected theta to have floating point type, but got {theta.dtype}")
    if dims not in (2, 3):
        raise NotImplementedError(f"affine_grid: 4-D and 5-D sizes only, got {size}")
    if theta.shape != (size[0], dims, dims + 1):
        raise ValueError(
            f"affine_grid: expected theta of shape {(size[0], dims, dims + 1)} for size {size}, got {theta.shape}"
        )
    if min(size) <= 0:
        raise ValueError(f"affine_grid: expected positive sizes, got {size}")
    axes = [np.linspace(-1, 1, n) * (1 if align_corners else (n - 1) / n) if n > 1 else np.zeros(1) for n in size[2:]]
    points = [*reversed(np.meshgrid(*axes, indexing="ij")), np.ones(size[2:])]
    base = _core.from_numpy(np.stack(points, -1).reshape(-1, dims + 1)).to(theta)
    return reshape(matmul(base, transpose(theta, 1, 2)), (size[0], *size[2:], dims))


# ---- borders --------------------------------------------------------------------------------------------------------
def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """Adds a border: `pad` holds (before, after) of the last axis, then of the one before it, and so on; negative
    widths cut (before anything is wrapped around, but not before it is mirrored).

    mode: "constant" fills with `value` (0), for any axes; for the last 1, 2 or 3 axes of (N, C, ...) "reflect"
    mirrors at the edge pixels, "replicate" repeats them, "circular" wraps around.
    RuntimeError: an odd number of widths, more than axes, wider than the image allows, or a value with another mode.
    NotImplementedError: an unknown mode, or as many widths as the mode has no meaning for.

    >>> F.pad(mi.tensor([[1, 2]]), (1, 0, 0, 1))
    tensor([[0, 1, 2],
            [0, 0, 0]])
    >>> F.pad(mi.tensor([[[1.0, 2.0, 3.0]]]), (1, 1), mode="reflect")
    tensor([[[2., 1., 2., 3., 2.]]])
    """
    widths = tuple(pad)
    if mode == "constant":
        return _pad_constant(input, widths, 0 if value is None else value)
    if mode not in ("reflect", "replicate", "circular"):
        raise NotImplementedError(f"pad: unrecognised padding mode {mode}")
    if value is not None and value != 0:
        raise RuntimeError(f'pad: mode "{mode}" does not take a value')
    dims = len(widths) // 2
    if len(widths) % 2:
        raise RuntimeError(f"pad: the number of widths must be even, got {len(widths)}")
    if not 1 <= dims <= 3 or input.ndim not in (dims + 1, dims + 2):
        raise NotImplementedError(
            f"pad: mode {mode} takes 2, 4 or 6 widths for 1, 2 or 3 image axes, got {len(widths)} for {input.ndim}-D"
        )
    if mode == "circular" and min(widths) < 0:  # what is cut away is not wrapped around, but it is mirrored
        input, widths = _cut(input, widths)
    return record(_core.pad_image(input, widths, mode), PAD, (input,), (widths, mode))  # type: ignore[no-any-return]


def _cut(x: Tensor, widths: tuple[int, ...]) -> tuple[Tensor, tuple[int, ...]]:
    """Negative widths cut first."""
    for k in range(len(widths) // 2):
        before, after = widths[2 * k : 2 * k + 2]
        n = x.shape[-1 - k]
        if min(before, 0) + min(after, 0) + n <= 0:
            raise RuntimeError(f"pad: widths {before} and {after} leave nothing of a size of {n}")
        if before < 0 or after < 0:
            x = slice(x, x.ndim - 1 - k, max(0, -before), n - max(0, -after))
    return x, tuple(max(0, w) for w in widths)


def _pad_constant(x: Tensor, widths: tuple[int, ...], value: Any) -> Tensor:
    return record(_core.pad_constant(x, widths, value), PAD_CONSTANT, (x,), (widths,))  # type: ignore[no-any-return]


def pad_backward(g: Tensor, widths: tuple[int, ...], mode: str) -> Tensor:
    """Each pixel collects from its copies."""
    return record(_core.pad_image_backward(g, widths, mode), PAD_BACKWARD, (g,), (widths, mode))  # type: ignore[no-any-return]


PAD = op("pad", lambda g, needs, widths, mode: (pad_backward(g, widths, mode),))
PAD_BACKWARD = op("pad_backward", lambda g, needs, widths, mode: (pad(g, widths, mode),))
PAD_CONSTANT = op("pad_constant", lambda g, needs, widths: (_pad_constant(g, tuple(-w for w in widths), 0),))


# ---- channels to pixels and back ------------------------------------------------------------------------------------
def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """(..., C r^2, H, W) -> (..., C, H r, W r): r x r channels become a block of pixels. Source: Shi et al. 2016.

    RuntimeError: fewer than 3 axes, or channels that r^2 does not divide.

    >>> F.pixel_shuffle(mi.arange(4.0).reshape(1, 4, 1, 1), 2)
    tensor([[[[0., 1.],
              [2., 3.]]]])
    """
    r = _factor(input, upscale_factor, "pixel_shuffle")
    *lead, c, h, w = input.shape
    if c % (r * r):
        raise RuntimeError(f"pixel_shuffle: {c} channels are not divisible by the square of upscale_factor {r}")
    x = _core.permute(_core.reshape(input, (math.prod(lead), c // (r * r), r, r, h, w)), (0, 1, 4, 2, 5, 3))
    return view_of(_core.reshape(x, (*lead, c // (r * r), h * r, w * r)), PIXEL_SHUFFLE, input, r)  # type: ignore[no-any-return]


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """(..., C, H r, W r) -> (..., C r^2, H, W): the inverse of `pixel_shuffle`.

    RuntimeError: fewer than 3 axes, or an image size that r does not divide.

    >>> F.pixel_unshuffle(mi.ones(1, 1, 2, 2), 2).shape
    (1, 4, 1, 1)
    """
    r = _factor(input, downscale_factor, "pixel_unshuffle")
    *lead, c, h, w = input.shape
    if h % r or w % r:
        raise RuntimeError(f"pixel_unshuffle: an image of {h} x {w} is not divisible by downscale_factor {r}")
    x = _core.permute(_core.reshape(input, (math.prod(lead), c, h // r, r, w // r, r)), (0, 1, 3, 5, 2, 4))
    return view_of(_core.reshape(x, (*lead, c * r * r, h // r, w // r)), PIXEL_UNSHUFFLE, input, r)  # type: ignore[no-any-return]


PIXEL_SHUFFLE = op("pixel_shuffle", lambda g, needs, r: (pixel_unshuffle(g, r),))
PIXEL_UNSHUFFLE = op("pixel_unshuffle", lambda g, needs, r: (pixel_shuffle(g, r),))


def _factor(x: Tensor, r: int, name: str) -> int:
    check_tensors(name, x)
    r = operator.index(r)
    if x.ndim < 3:
        raise RuntimeError(f"{name}: expected input with at least 3 dimensions, got {x.ndim}")
    if r <= 0:
        raise RuntimeError(f"{name}: expected a positive factor, got {r}")
    return r


def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """Channel g C/groups + k of (N, C, ...) goes to k groups + g. Source: Zhang et al. 2018.

    RuntimeError: fewer than 3 axes, groups not positive, or not a divisor of C.

    >>> F.channel_shuffle(mi.arange(4.0).reshape(1, 4, 1, 1), 2).flatten()
    tensor([0., 2., 1., 3.])
    """
    check_tensors("channel_shuffle", input)
    groups = operator.index(groups)
    if input.ndim < 3:
        raise RuntimeError(f"channel_shuffle: expected input with at least 3 dimensions, got {input.ndim}")
    n, c, *image = input.shape
    if groups <= 0 or c % groups:
        raise RuntimeError(
            f"channel_shuffle: the number of channels must be divisible by groups, got {c} channels and {groups} groups"
        )
    x = reshape(input, (n, groups, c // groups, math.prod(image)))
    return reshape(transpose(x, 1, 2), input.shape)
