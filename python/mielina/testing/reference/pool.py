"""pool: the largest or the mean of each window, in one to three dimensions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np

from mielina.testing.reference.base import Array, f64, tuple_of

Sizes = Any
Window = tuple[slice, ...]


def _windows(image: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> int:
    """How many windows fit; ceil_mode admits one that hangs over the end, if it starts inside image or left padding."""
    room = image + 2 * padding - dilation * (kernel - 1) - 1
    size = room // stride + 1
    if ceil_mode and room % stride and size * stride < image + padding:
        size += 1
    return size


def _each(
    x: Array, dims: int, kernel: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes, ceil_mode: bool
) -> tuple[list[int], Iterator[tuple[tuple[int, ...], Window, int]]]:
    """The output's image, and for each of its places the window's slices inside the image and the number of elements
    that the window has counting padding (but not what hangs over the padding's end).
    """
    image = x.shape[-dims:]
    kernel, padding, dilation = (tuple_of(v, dims) for v in (kernel, padding, dilation))
    stride = kernel if stride in (None, ()) else tuple_of(stride, dims)
    size = [_windows(*axis, ceil_mode) for axis in zip(image, kernel, stride, padding, dilation, strict=True)]

    def walk() -> Iterator[tuple[tuple[int, ...], Window, int]]:
        for place in product(*map(range, size)):
            window, area = [], 1
            for o, n, k, s, p, d in zip(place, image, kernel, stride, padding, dilation, strict=True):
                start = o * s - p
                area *= min(start + k, n + p) - start
                first = start if start >= 0 else start % d  # the first tap inside the image
                window.append(slice(first, max(min(start + d * (k - 1) + 1, n), first), d))
            yield place, tuple(window), area

    return size, walk()


def _batched(function: Callable[..., Any], x: Array, dims: int) -> Any:
    """(C, ...) becomes (1, C, ...) and back."""
    if x.ndim == dims + 2:
        return function(x)
    y = function(x[None])
    return tuple(v[0] for v in y) if isinstance(y, tuple) else y[0]


def _largest(x: Array, size: Sequence[int], places: Iterator[tuple[tuple[int, ...], Window]]) -> tuple[Array, Array]:
    """The largest of each window (NaN wins) and its flat index into the image, the first of equals."""
    y: Array = np.zeros((*x.shape[:2], *size))
    index: Array = np.zeros(y.shape, np.int64)
    position = np.arange(int(np.prod(x.shape[2:]))).reshape(x.shape[2:])
    for place, window in places:
        part = x[(...,) + window].reshape(*x.shape[:2], -1)
        best = np.argmax(part, axis=-1)
        y[(...,) + place] = np.take_along_axis(part, best[..., None], -1)[..., 0]
        index[(...,) + place] = position[window].ravel()[best]
    return y, index


def _max_pool(dims: int) -> Callable[..., Any]:
    def max_pool(
        x: Any,
        kernel_size: Sizes,
        stride: Sizes = None,
        padding: Sizes = 0,
        dilation: Sizes = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Any:
        """The largest of each window; padding never wins."""

        def pool(x: Array) -> Any:
            size, walk = _each(x, dims, kernel_size, stride, padding, dilation, ceil_mode)
            result = _largest(x, size, ((place, window) for place, window, _ in walk))
            return result if return_indices else result[0]

        return _batched(pool, f64(x), dims)

    return max_pool


def _avg_pool(dims: int) -> Callable[..., Any]:
    def avg_pool(
        x: Any,
        kernel_size: Sizes,
        stride: Sizes = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> Any:
        """The sum of each window over its size, with or without the padding, or over `divisor_override`."""

        def pool(x: Array) -> Array:
            size, walk = _each(x, dims, kernel_size, stride, padding, 1, ceil_mode)
            y: Array = np.zeros((*x.shape[:2], *size))
            for place, window, area in walk:
                part = x[(...,) + window].reshape(*x.shape[:2], -1)
                y[(...,) + place] = part.sum(-1) / (divisor_override or (area if count_include_pad else part.shape[-1]))
            return y

        return _batched(pool, f64(x), dims)

    return avg_pool


max_pool1d, max_pool2d, max_pool3d = _max_pool(1), _max_pool(2), _max_pool(3)
avg_pool1d, avg_pool2d, avg_pool3d = _avg_pool(1), _avg_pool(2), _avg_pool(3)


def _adaptive(x: Array, dims: int, output_size: Any) -> tuple[list[int], Iterator[tuple[tuple[int, ...], Window]]]:
    """Output place o covers [floor(o n / m), ceil((o + 1) n / m)); an output size of None is the image's."""
    image = x.shape[-dims:]
    wanted: Sequence[int | None] = [output_size] * dims if isinstance(output_size, int) else list(output_size)
    size = [n if m is None else m for n, m in zip(image, wanted, strict=True)]

    def walk() -> Iterator[tuple[tuple[int, ...], Window]]:
        for place in product(*map(range, size)):
            yield (
                place,
                tuple(slice(o * n // m, -(-(o + 1) * n // m)) for o, n, m in zip(place, image, size, strict=True)),
            )

    return size, walk()


def _adaptive_avg_pool(dims: int) -> Callable[..., Any]:
    def adaptive_avg_pool(x: Any, output_size: Any) -> Any:
        """The mean of each of output_size nearly equal parts."""

        def pool(x: Array) -> Array:
            size, walk = _adaptive(x, dims, output_size)
            y: Array = np.zeros((*x.shape[:2], *size))
            for place, window in walk:
                y[(...,) + place] = x[(...,) + window].reshape(*x.shape[:2], -1).mean(-1)
            return y

        return _batched(pool, f64(x), dims)

    return adaptive_avg_pool


def _adaptive_max_pool(dims: int) -> Callable[..., Any]:
    def adaptive_max_pool(x: Any, output_size: Any, return_indices: bool = False) -> Any:
        """The largest of each of output_size nearly equal parts."""

        def pool(x: Array) -> Any:
            result = _largest(x, *_adaptive(x, dims, output_size))
            return result if return_indices else result[0]

        return _batched(pool, f64(x), dims)

    return adaptive_max_pool


adaptive_avg_pool1d, adaptive_avg_pool2d = _adaptive_avg_pool(1), _adaptive_avg_pool(2)
adaptive_avg_pool3d = _adaptive_avg_pool(3)
adaptive_max_pool1d, adaptive_max_pool2d = _adaptive_max_pool(1), _adaptive_max_pool(2)


def max_unpool2d(
    x: Any, indices: Any, kernel_size: Sizes, stride: Sizes = None, padding: Sizes = 0, output_size: Any = None
) -> Array:
    """Zeros, but x at max_pool2d's indices."""
    x, indices = f64(x), np.asarray(indices)
    kernel, padding = tuple_of(kernel_size, 2), tuple_of(padding, 2)
    stride = kernel if stride in (None, ()) else tuple_of(stride, 2)
    image = [(n - 1) * s - 2 * p + k for n, s, p, k in zip(x.shape[-2:], stride, padding, kernel, strict=True)]
    image = image if output_size is None else list(output_size)[-2:]
    y = np.zeros((int(np.prod(x.shape[:-2])), int(np.prod(image))))
    np.put_along_axis(y, indices.reshape(len(y), -1), x.reshape(len(y), -1), 1)
    return y.reshape(*x.shape[:-2], *image)
