"""image: padding, resizing, sampling, shuffling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mielina.testing.reference.base import Array, f64, num
from mielina.testing.reference.pool import _adaptive_avg_pool


def pad(x: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Array:
    """(before, after) pairs, the last axis first; negative widths cut.

    reflect mirrors without repeating the edge, replicate repeats it, circular wraps around what is left.
    """
    x = num(x)
    for k in range(len(pad) // 2):
        axis, (before, after) = x.ndim - 1 - k, pad[2 * k : 2 * k + 2]
        if mode == "circular":
            x = np.take(x, np.arange(max(0, -before), x.shape[axis] + min(0, after)), axis)
            before, after = max(0, before), max(0, after)
        n = x.shape[axis]
        i = np.arange(-before, n + after)
        inside = (i >= 0) & (i < n)
        if mode == "reflect":
            i = np.where(i < 0, -i, np.where(i >= n, 2 * (n - 1) - i, i))
        elif mode == "circular":
            i = i % max(n, 1)
        if n == 0:  # only a constant can fill from nothing
            shape = list(x.shape)
            shape[axis] = len(i)
            x = np.full(shape, value or 0, x.dtype)
            continue
        x = np.take(x, np.clip(i, 0, n - 1), axis)
        if mode == "constant":
            keep = inside.reshape(-1, *[1] * (x.ndim - 1 - axis))
            x = np.where(keep, x, x.dtype.type(value or 0))
    return x


def _cubic(t: Array, a: float = -0.75) -> Array:
    """Keys 1981, equation 4, at distance t: support 2."""
    t = np.abs(t)
    near = ((a + 2) * t - (a + 3)) * t * t + 1
    far = ((a * t - 5 * a) * t + 8 * a) * t - 4 * a
    return np.where(t <= 1, near, np.where(t >= 2, 0.0, far))


def _triangle(t: Array) -> Array:
    return np.maximum(1 - np.abs(t), 0.0)


def _taps(
    n: int, m: int, scale: float | None, kernel: str, align_corners: bool, antialias: bool
) -> tuple[Array, Array]:
    """(indices, weights), each (m, taps): the inputs of each output. scale: input steps an output step."""
    ratio = n / m if scale is None else scale
    o = np.arange(m)
    if kernel.startswith("nearest"):
        source = np.floor((o + (0.5 if kernel == "nearest-exact" else 0.0)) * ratio).astype(int)
        return np.minimum(source, n - 1)[:, None], np.ones((m, 1))
    if align_corners:
        ratio = (n - 1) / (m - 1) if m > 1 else 0.0
    # PyTorch's antialias keeps this form with align_corners too.
    centre = (o * ratio if align_corners and not antialias else (o + 0.5) * ratio - 0.5)[:, None]
    if antialias:  # the kernel (Pillow's cubic) is stretched over what one output covers, and normalised
        stretch = max(ratio, 1.0)
        reach = (2 if kernel == "bicubic" else 1) * stretch
        taps = np.arange(n)
        distance = (taps - centre) / stretch
        weights = _cubic(distance, -0.5) if kernel == "bicubic" else _triangle(distance)
        inside = (taps >= np.trunc(centre + 1 - reach)) & (taps < np.trunc(centre + 1 + reach))
        weights = np.where(inside, weights, 0.0)
        return np.broadcast_to(taps, weights.shape), weights / weights.sum(1, keepdims=True)
    if kernel == "bicubic":
        taps = np.floor(centre).astype(int) + np.arange(-1, 3)
        return np.clip(taps, 0, n - 1), _cubic(centre - taps)
    centre = np.maximum(centre, 0.0)
    taps = np.floor(centre).astype(int) + np.arange(2)
    return np.clip(taps, 0, n - 1), _triangle(centre - taps)


def interpolate(
    x: Any,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Array:
    """Resize the image axes of (N, C, ...), one axis after the other.

    Output centre o lies at (o + 1/2) n / m - 1/2, with align_corners at o (n - 1) / (m - 1). A given scale_factor is
    used instead of n / m unless recompute_scale_factor. modes: nearest, nearest-exact, linear, bilinear, trilinear,
    bicubic, area (adaptive mean).
    """
    x = f64(x)
    dims = x.ndim - 2
    image = x.shape[2:]
    scales: list[float | None] = [None] * dims
    if size is None:
        factors = [scale_factor] * dims if isinstance(scale_factor, (int, float)) else list(scale_factor)
        target = [math.floor(n * f) for n, f in zip(image, factors, strict=True)]
        if not recompute_scale_factor:
            scales = [1 / f for f in factors]
    else:
        target = [size] * dims if isinstance(size, int) else list(size)
    if mode == "area":
        return np.asarray(_adaptive_avg_pool(dims)(x, target))
    for axis, (n, m, scale) in enumerate(zip(image, target, scales, strict=True), 2):
        index, weights = _taps(n, m, scale, mode, bool(align_corners), antialias)
        rows = np.moveaxis(x, axis, -1)
        x = np.moveaxis(np.sum(rows[..., index] * weights, axis=-1), -1, axis)
    return x


def grid_sample(
    x: Any, grid: Any, mode: str = "bilinear", padding_mode: str = "zeros", align_corners: bool | None = None
) -> Array:
    """y[n, c, o] = x[n, c] at grid[n, o], coordinates in [-1, 1], the last image axis first. Jaderberg et al. 2015

    x: (N, C, H, W) with grid (N, P, Q, 2), or 5-D with 3. align_corners: -1 and 1 are the centres of the edge pixels,
    else their outer borders. padding_mode: zeros, border (clip), reflection (at the centres or borders that -1 and 1
    mean).
    """
    x, grid = f64(x), f64(grid)
    image = x.shape[2:]
    dims = len(image)
    position, weights = [], []  # for each axis: (N, ..., taps)
    for axis, n in enumerate(image):
        u = grid[..., dims - 1 - axis]
        u = (u + 1) / 2 * (n - 1) if align_corners else ((u + 1) * n - 1) / 2
        if mode != "bicubic":
            u = _into(u, n, padding_mode, align_corners)
        if mode == "nearest":
            taps, w = np.rint(u)[..., None], np.ones((*u.shape, 1))
        else:
            support, kernel = (2, _cubic) if mode == "bicubic" else (1, _triangle)
            taps = np.floor(u)[..., None] + np.arange(1 - support, 1 + support)
            w = kernel(u[..., None] - taps)
        if mode == "bicubic":  # each tap is padded, not the point
            taps = _into(taps, n, padding_mode, align_corners)
            taps = taps if padding_mode == "zeros" else np.rint(taps)
        position.append(taps)
        weights.append(w)
    y = np.zeros((*x.shape[:2], *grid.shape[1:-1]))
    for n in range(x.shape[0]):
        for tap in np.ndindex(*[p.shape[-1] for p in position]):
            index = [p[n][..., t] for p, t in zip(position, tap, strict=True)]
            inside = np.all([(i >= 0) & (i <= m - 1) for i, m in zip(index, image, strict=True)], axis=0)
            w = np.prod([v[n][..., t] for v, t in zip(weights, tap, strict=True)], axis=0)
            place = tuple(np.where(inside, i, 0).astype(int) for i in index)
            y[n] += w * np.where(inside, x[n][(slice(None),) + place], 0.0)
    return y


def _into(u: Array, n: int, padding_mode: str, align_corners: bool | None) -> Array:
    """Coordinates brought into the image: clipped, or reflected and clipped (NaN goes to 0), or left."""
    if padding_mode == "zeros":
        return u
    if padding_mode == "reflection":
        low, span = (0.0, n - 1.0) if align_corners else (-0.5, float(n))
        if span == 0:
            return np.zeros_like(u)
        distance = np.abs(u - low)
        turns, rest = np.floor(distance / span), np.mod(distance, span)
        u = np.where(turns % 2 == 0, rest, span - rest) + low
    return np.clip(np.where(np.isnan(u), 0.0, u), 0, n - 1)


def pixel_shuffle(x: Any, upscale_factor: int) -> Array:
    """(..., C r^2, H, W) -> (..., C, H r, W r). Shi et al. 2016"""
    x, r = num(x), upscale_factor
    *n, c, h, w = x.shape
    x = x.reshape(-1, c // r**2, r, r, h, w).transpose(0, 1, 4, 2, 5, 3)
    return x.reshape(*n, c // r**2, h * r, w * r)


def pixel_unshuffle(x: Any, downscale_factor: int) -> Array:
    """The inverse of pixel_shuffle."""
    x, r = num(x), downscale_factor
    *n, c, h, w = x.shape
    x = x.reshape(-1, c, h // r, r, w // r, r).transpose(0, 1, 3, 5, 2, 4)
    return x.reshape(*n, c * r**2, h // r, w // r)


def channel_shuffle(x: Any, groups: int) -> Array:
    """Channel g c + k goes to k groups + g. Zhang et al. 2018"""
    x = num(x)
    n, c, *image = x.shape
    return x.reshape(n, groups, c // groups, *image).swapaxes(1, 2).reshape(x.shape)


def warp(x: Any, matrices: Any, size: Sequence[int], mode: str = "bilinear", border: str = "zeros") -> Array:
    """y[n, c, p, q] = x[n, c] at (column, row) = matrices[n] (q, p, 1), in pixels; matrices: (N, 2, 3).

    border: zeros outside, border (clip), reflection (at the outer edges of the border pixels).
    nearest: half way goes up.
    """
    x, m = f64(x), f64(matrices)
    q, p = np.meshgrid(np.arange(size[1]), np.arange(size[0]))
    places = np.einsum("nij,jpq->nipq", m, np.stack([q, p, np.ones_like(q)]).astype(np.float64))
    taps = []
    for axis, n in ((1, x.shape[2]), (0, x.shape[3])):  # rows, columns
        u = places[:, axis]
        if border == "reflection":
            u = np.abs(u + 0.5) % (2 * n)
            u = np.where(u >= n, 2 * n - u, u) - 0.5
        if border != "zeros":
            u = np.clip(u, 0, n - 1)
        low = np.floor(u + 0.5 + 2.0**-12) if mode == "nearest" else np.floor(u)
        part = np.zeros_like(u) if mode == "nearest" else u - low
        taps.append([(low, 1 - part), (low + 1, part)])
    y = np.zeros(x.shape[:2] + tuple(size))
    batch = np.arange(x.shape[0])[:, None, None]
    for row, row_weight in taps[0]:
        for column, column_weight in taps[1]:
            inside = (row >= 0) & (row < x.shape[2]) & (column >= 0) & (column < x.shape[3])
            i, j = (np.clip(t, 0, n - 1).astype(int) for t, n in ((row, x.shape[2]), (column, x.shape[3])))
            weight = np.where(inside, row_weight * column_weight, 0)
            y += weight[:, None] * np.moveaxis(x[batch, :, i, j], -1, 1)
    return y
