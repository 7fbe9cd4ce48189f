"""conv: convolution (cross-correlation), its transpose, unfold and fold, in any number of dimensions.

Letters: N batch, C in-channels, K out-channels, then the image's axes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np

from mielina.testing.reference.base import Array, f64, tuple_of

Sizes = int | Sequence[int]


def taps(
    size: Sequence[int], kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...]]]:
    """For each tap of the filter: its index, and the slices of the padded image that it meets at `size` outputs."""
    for tap in product(*map(range, kernel)):
        starts = [t * d for t, d in zip(tap, dilation, strict=True)]
        yield tap, tuple(slice(b, b + (n - 1) * s + 1, s) for b, n, s in zip(starts, size, stride, strict=True))


def pad_widths(padding: Sizes | str, kernel: Sequence[int], dilation: Sequence[int]) -> list[tuple[int, int]]:
    """(before, after) for each axis; 'same' puts the odd one after."""
    if padding == "valid":
        return [(0, 0)] * len(kernel)
    if padding == "same":
        totals = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        return [(t // 2, t - t // 2) for t in totals]
    assert not isinstance(padding, str)
    return [(p, p) for p in tuple_of(padding, len(kernel))]


def conv(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Array:
    """y[n, k, p] = sum_{c, r} weight[k, c, r] x[n, c, p stride + r dilation - padding] + bias[k]

    x: (N, C, ...) or (C, ...), weight: (K, C / groups, ...).
    """
    x, weight = f64(x), f64(weight)
    dims = weight.ndim - 2
    if x.ndim == dims + 1:
        return np.asarray(conv(x[None], weight, bias, stride, padding, dilation, groups)[0])
    stride, dilation, kernel = tuple_of(stride, dims), tuple_of(dilation, dims), weight.shape[2:]
    x = np.pad(x, [(0, 0), (0, 0), *pad_widths(padding, kernel, dilation)])
    span = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    size = [(n - e) // s + 1 for n, e, s in zip(x.shape[2:], span, stride, strict=True)]
    n, k = x.shape[0], weight.shape[0]
    x = x.reshape(n, groups, weight.shape[1], *x.shape[2:])
    w = weight.reshape(groups, k // groups, *weight.shape[1:])
    y = np.zeros((n, groups, k // groups, *size))
    for tap, window in taps(size, kernel, stride, dilation):
        y += np.einsum("gkc,ngc...->ngk...", w[(...,) + tap], x[(slice(None),) * 3 + window])
    y = y.reshape(n, k, *size)
    return y if bias is None else y + f64(bias).reshape(-1, *[1] * dims)


conv1d = conv2d = conv3d = conv


def conv_transpose(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Array:
    """The transpose of conv's linear map: y[n, k, p stride + r dilation - padding] += weight[c, k, r] x[n, c, p].

    x: (N, C, ...) or (C, ...), weight: (C, K / groups, ...). output_padding adds to the end of the image.
    """
    x, weight = f64(x), f64(weight)
    dims = weight.ndim - 2
    if x.ndim == dims + 1:
        return np.asarray(conv_transpose(x[None], weight, bias, stride, padding, output_padding, groups, dilation)[0])
    stride, dilation, kernel = tuple_of(stride, dims), tuple_of(dilation, dims), weight.shape[2:]
    padding, output_padding = tuple_of(padding, dims), tuple_of(output_padding, dims)
    n, c, *size = x.shape
    full = [(m - 1) * s + d * (k - 1) + 1 for m, s, d, k in zip(size, stride, dilation, kernel, strict=True)]
    x = x.reshape(n, groups, c // groups, *size)
    w = weight.reshape(groups, c // groups, *weight.shape[1:])
    room = [f + o for f, o in zip(full, output_padding, strict=True)]
    y = np.zeros((n, groups, weight.shape[1], *room))
    for tap, window in taps(size, kernel, stride, dilation):
        y[(slice(None),) * 3 + window] += np.einsum("gck,ngc...->ngk...", w[(...,) + tap], x)
    y = y[(slice(None),) * 3 + tuple(slice(p, r - p) for p, r in zip(padding, room, strict=True))]
    y = y.reshape(n, -1, *y.shape[3:])
    return y if bias is None else y + f64(bias).reshape(-1, *[1] * dims)


conv_transpose1d = conv_transpose2d = conv_transpose3d = conv_transpose


def _columns(
    image: Sequence[int], kernel: Sequence[int], dilation: Sequence[int], padding: Sequence[int], stride: Sequence[int]
) -> list[int]:
    """How many windows fit along each axis."""
    return [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, d, p, s in zip(image, kernel, dilation, padding, stride, strict=True)
    ]


def unfold(x: Any, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1) -> Array:
    """Every window as a column: (N, C, H, W) -> (N, C R S, P Q)."""
    x = f64(x)
    if x.ndim == 3:
        return np.asarray(unfold(x[None], kernel_size, dilation, padding, stride)[0])
    kernel, dilation, padding, stride = (tuple_of(v, 2) for v in (kernel_size, dilation, padding, stride))
    size = _columns(x.shape[2:], kernel, dilation, padding, stride)
    x = np.pad(x, [(0, 0), (0, 0), *[(p, p) for p in padding]])
    windows = [x[(slice(None),) * 2 + window] for _, window in taps(size, kernel, stride, dilation)]
    return np.stack(windows, axis=2).reshape(x.shape[0], x.shape[1] * int(np.prod(kernel)), int(np.prod(size)))


def fold(
    x: Any, output_size: Sizes, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1
) -> Array:
    """The transpose of unfold: overlapping windows are added."""
    x = f64(x)
    if x.ndim == 2:
        return np.asarray(fold(x[None], output_size, kernel_size, dilation, padding, stride)[0])
    image = tuple_of(output_size, 2)
    kernel, dilation, padding, stride = (tuple_of(v, 2) for v in (kernel_size, dilation, padding, stride))
    size = _columns(image, kernel, dilation, padding, stride)
    n, area = x.shape[0], int(np.prod(kernel))
    columns = x.reshape(n, x.shape[1] // area, area, *size)
    y = np.zeros((n, columns.shape[1], *[m + 2 * p for m, p in zip(image, padding, strict=True)]))
    for i, (_, window) in enumerate(taps(size, kernel, stride, dilation)):
        y[(slice(None),) * 2 + window] += columns[:, :, i]
    return y[(slice(None),) * 2 + tuple(slice(p, p + m) for p, m in zip(padding, image, strict=True))]
