"""Max, average and adaptive pooling, unfold and fold.

Inputs are (N, C, ...) or (C, ...) with one, two or three spatial axes; sizes that PyTorch takes as one int or a
tuple are taken so here. Channels-last memory is used as it lies, and the result is channels-last too.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import _core
from ..autograd import op, record
from ..tensor import Tensor, check_tensors

__all__: list[str] = []
__functional__ = [
    "max_pool1d", "max_pool2d", "max_pool3d", "max_unpool1d", "max_unpool2d", "max_unpool3d",
    "avg_pool1d", "avg_pool2d", "avg_pool3d", "lp_pool1d", "lp_pool2d", "lp_pool3d",
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d",
    "adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d",
    "fractional_max_pool2d", "fractional_max_pool3d", "unfold", "fold",
]  # fmt: skip


# ---- largest of a window --------------------------------------------------------------------------------------------
def _max_pool(x: Tensor, dims: int, where: Any, return_indices: bool) -> Any:
    if not isinstance(x, Tensor):
        check_tensors(f"max_pool{dims}d", x)
    if return_indices or (x._tracked and _core.grad_enabled()):
        y, index = _core.max_pool_index(x, dims, *where, not return_indices)  # type: ignore[call-arg]
        y = record(y, MAX_POOL, (x,), (index, x.shape, dims, *where))
        return (y, index) if return_indices else y
    return record(_core.max_pool(x, dims, *where), MAX_POOL, (x,), (None, x.shape, dims, *where))


def max_pool1d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest value of each window of a (N, C, L) input; see `max_pool2d`.

    >>> F.max_pool1d(mi.tensor([[1.0, 4.0, 2.0, 3.0]]), 2)
    tensor([[4., 3.]])
    """
    return _max_pool(input, 1, (kernel_size, stride, padding, dilation, ceil_mode), return_indices)


def max_pool2d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """y[n, c, p, q] = max over r, s of x[n, c, p stride + r dilation - padding, q stride + s dilation - padding].

    input: (N, C, H, W) or (C, H, W), floating or integer. stride: default kernel_size. Padding is never the largest.
    ceil_mode: a last window may reach over the edge. NaN wins. return_indices: also where each value stood, h W + w
    (int64; the first of equal ones). RuntimeError: sizes that do not fit.

    >>> F.max_pool2d(mi.arange(16.0).reshape(1, 4, 4), 2)
    tensor([[[ 5.,  7.],
             [13., 15.]]])
    """
    return _max_pool(input, 2, (kernel_size, stride, padding, dilation, ceil_mode), return_indices)


def max_pool3d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest value of each window of a (N, C, D, H, W) input; see `max_pool2d`.

    >>> F.max_pool3d(mi.ones(1, 1, 4, 4, 4), 2).shape
    (1, 1, 2, 2, 2)
    """
    return _max_pool(input, 3, (kernel_size, stride, padding, dilation, ceil_mode), return_indices)


def max_pool_backward(g: Tensor, index: Tensor, shape: tuple[int, ...], dims: int, *where: Any) -> Tensor:
    """Zeros of `shape` plus each g where its maximum stood."""
    y = _core.max_pool_backward(g, index, shape, dims, *where)
    return record(y, PLANE_SCATTER, (g,), (index, shape, dims))  # type: ignore[no-any-return]


MAX_POOL = op("max_pool", lambda g, needs, *where: (max_pool_backward(g, *where),))


def _adaptive_max_pool(x: Tensor, dims: int, output_size: Any, return_indices: bool) -> Any:
    y, index = _core.adaptive_max_pool(x, dims, _target(x, dims, output_size), not return_indices)
    y = record(y, ADAPTIVE_MAX_POOL, (x,), (index, x.shape, dims))
    return (y, index) if return_indices else y


def _target(x: Tensor, dims: int, output_size: Any) -> Any:
    """output_size with each None replaced by the input's size."""
    if isinstance(output_size, int):
        return output_size
    return tuple(x.shape[d - dims] if n is None else n for d, n in enumerate(output_size))


def adaptive_max_pool1d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """The largest value of each of output_size nearly equal parts; see `adaptive_max_pool2d`.

    >>> F.adaptive_max_pool1d(mi.tensor([[1.0, 2.0, 3.0, 5.0]]), 2)
    tensor([[2., 5.]])
    """
    return _adaptive_max_pool(input, 1, output_size, return_indices)


def adaptive_max_pool2d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """The largest value of each of P x Q nearly equal parts: rows floor(p H / P) up to ceil((p + 1) H / P), columns
    alike.

    output_size: P = Q, or (P, Q), where None keeps a size. Overlapping parts, NaN and indices: see `max_pool2d`.

    >>> F.adaptive_max_pool2d(mi.ones(1, 3, 5, 7), 2).shape
    (1, 3, 2, 2)
    """
    return _adaptive_max_pool(input, 2, output_size, return_indices)


def adaptive_max_pool3d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """The largest value of each of output_size nearly equal parts; see `adaptive_max_pool2d`.

    >>> F.adaptive_max_pool3d(mi.ones(1, 3, 4, 5, 6), 1).shape
    (1, 3, 1, 1, 1)
    """
    return _adaptive_max_pool(input, 3, output_size, return_indices)


def fractional_max_pool2d(
    input: Tensor,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:
    """The largest value of each of P x Q windows whose places are drawn for each sample and channel.

    input: (N, C, H, W) or (C, H, W). output_size (P, Q), or output_ratio: its quotient by the input's size, in (0, 1).
    Window p starts at int((p + u) a) - int(u a), a = (H - kernel) / (P - 1), with u uniform in [0, 1); the last one
    ends at the edge. Source: Graham 2014.

    >>> F.fractional_max_pool2d(mi.ones(1, 8, 8), 2, output_size=5).shape
    (1, 5, 5)
    """
    return _fractional_max_pool(input, 2, kernel_size, output_size, output_ratio, return_indices, _random_samples)


def fractional_max_pool3d(
    input: Tensor,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:
    """The same for (N, C, D, H, W); see `fractional_max_pool2d`.

    >>> F.fractional_max_pool3d(mi.ones(1, 8, 8, 8), 2, output_size=3).shape
    (1, 3, 3, 3)
    """
    return _fractional_max_pool(input, 3, kernel_size, output_size, output_ratio, return_indices, _random_samples)


def _each(x: Any, dims: int) -> tuple[Any, ...]:
    """One for each dimension: a number, or a sequence of one, stands for all."""
    return tuple(x) * (dims if len(x) == 1 else 1) if isinstance(x, (tuple, list)) else (x,) * dims


def _along_last(x: Tensor, index: Tensor) -> Tensor:
    from .index import gather  # a page that comes after this one

    return gather(x, -1, index)


def _fractional_max_pool(
    x: Tensor, dims: int, kernel_size: Any, size: Any, ratio: Any, return_indices: bool, samples: Tensor | None
) -> Any:
    name = f"fractional_max_pool{dims}d"
    check_tensors(name, x)
    if (size is None) == (ratio is None):
        raise ValueError(f"{name} requires specifying either an output_size or an output_ratio, and not both")
    if x.ndim not in (dims + 1, dims + 2):
        raise RuntimeError(f"{name}: expected an input of {dims + 1} or {dims + 2} dimensions, got {x.shape}")
    sizes, kernel = x.shape[-dims:], _each(kernel_size, dims)
    out = tuple(int(n * r) for n, r in zip(sizes, _each(ratio, dims))) if size is None else _each(size, dims)
    if any(k < 1 or o < 1 or o + k - 1 > n for n, k, o in zip(sizes, kernel, out)):
        raise RuntimeError(f"{name}: windows {kernel} for an output of {out} do not fit an input of {sizes}")
    lead = x.shape[:-dims]
    if samples is None:
        from .random import rand

        samples = rand(*(lead if len(lead) == 2 else (1, *lead)), dims)
    if samples.ndim != 3 or samples.shape[-1] != dims or samples.shape[0] * samples.shape[1] != math.prod(lead):
        raise RuntimeError(f"{name}: expected random samples of shape (N, C, {dims}), got {samples.shape}")
    index = _core.from_numpy(_fractional_places(x.detach(), dims, kernel, out, samples.detach().float().numpy()))
    flat = x.reshape(*lead, math.prod(sizes))
    y = _along_last(flat, index.reshape(*lead, math.prod(out))).reshape(*lead, *out)
    return (y, index.reshape(*lead, *out)) if return_indices else y


def _fractional_places(x: Tensor, dims: int, kernel: Any, out: Any, samples: np.ndarray) -> np.ndarray:
    """Where in its plane the largest value of each window stands: (planes, product of out)."""
    sizes = x.shape[-dims:]
    planes = samples.reshape(-1, dims)
    flat = np.zeros((len(planes), *(1,) * (2 * dims)), np.int64)
    for d, (n, k, o) in enumerate(zip(sizes, kernel, out)):
        u = planes[:, dims - 1 - d if dims == 2 else d, None].astype(np.float32)  # PyTorch's order: width first in 2-D
        step = np.float32((n - k) / (o - 1)) if o > 1 else np.float32(0)
        starts = ((np.arange(o, dtype=np.float32) + u) * step).astype(np.int64) - (u * step).astype(np.int64)
        starts[:, -1] = n - k
        place = starts[:, :, None] + np.arange(k)
        shape = [len(planes), *(1,) * (2 * dims)]
        shape[1 + d], shape[1 + dims + d] = o, k
        flat = flat * n + place.reshape(shape)
    flat = np.broadcast_to(flat, (len(planes), *out, *kernel)).reshape(len(planes), math.prod((*out, *kernel)))
    windows = _core.from_numpy(np.ascontiguousarray(flat))
    each = (len(planes), math.prod(out), math.prod(kernel))
    values = _along_last(x.reshape(len(planes), math.prod(sizes)), windows).reshape(each)
    best = values.argmax(-1).numpy()
    return np.take_along_axis(flat.reshape(each), best[..., None], -1)[..., 0]


def adaptive_max_pool_backward(g: Tensor, index: Tensor, shape: tuple[int, ...], dims: int) -> Tensor:
    """Zeros of `shape` plus each g where its maximum stood."""
    y = _core.adaptive_max_pool_backward(g, index, shape, dims)
    return record(y, PLANE_SCATTER, (g,), (index, shape, dims))  # type: ignore[no-any-return]


ADAPTIVE_MAX_POOL = op("adaptive_max_pool", lambda g, needs, *where: (adaptive_max_pool_backward(g, *where),))


# ---- planes addressed by indices ------------------------------------------------------------------------------------
def plane_gather(x: Tensor, index: Tensor, dims: int) -> Tensor:
    """y[n, c, o] = x[n, c, index[n, c, o]], the image's plane in C order."""
    return record(_core.plane_gather(x, index, dims), PLANE_GATHER, (x,), (index, x.shape, dims))  # type: ignore[no-any-return]


def plane_scatter(x: Tensor, index: Tensor, shape: tuple[int, ...], dims: int) -> Tensor:
    """Zeros of `shape` plus x[n, c, o] at [n, c, index[n, c, o]]."""
    y = _core.plane_scatter(x, index, shape, dims, True)
    return record(y, PLANE_SCATTER, (x,), (index, shape, dims))  # type: ignore[no-any-return]


PLANE_GATHER = op("plane_gather", lambda g, needs, index, shape, dims: (plane_scatter(g, index, shape, dims),))
PLANE_SCATTER = op("plane_scatter", lambda g, needs, index, shape, dims: (plane_gather(g, index, dims),))


def _max_unpool(
    x: Tensor, indices: Tensor, dims: int, kernel_size: Any, stride: Any, padding: Any, output_size: Any
) -> Tensor:
    check_tensors(f"max_unpool{dims}d", x, indices)
    kernel, padding = _each(kernel_size, dims), _each(padding, dims)
    stride = _each(stride, dims) if stride is not None and stride != () and stride != [] else kernel
    image = tuple((n - 1) * s - 2 * p + k for n, s, p, k in zip(x.shape[-dims:], stride, padding, kernel))
    if output_size is not None:
        size = tuple(output_size)
        size = size[-dims:] if len(size) in (dims + 1, dims + 2) else size
        if len(size) != dims:
            raise ValueError(
                f"max_unpool{dims}d: output_size should have {dims} or {dims + 2} numbers, got {len(size)}"
            )
        for n, default, s in zip(size, image, stride):
            if not default - s < n < default + s:
                raise ValueError(
                    f"max_unpool{dims}d: invalid output_size {size}: each must be within the stride {stride} of {image}"
                )
        image = size
    y = _core.plane_scatter(x, indices, x.shape[:-dims] + image, dims, False)
    return record(y, MAX_UNPOOL, (x,), (indices, y.shape, dims))  # type: ignore[no-any-return]


# Of equal indices the forward keeps the last; the gradient goes to all, as in PyTorch.
MAX_UNPOOL = op("max_unpool", lambda g, needs, index, shape, dims: (plane_gather(g, index, dims),))


def max_unpool1d(
    input: Tensor, indices: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Tensor:
    """Zeros, but the input at `max_pool1d`'s indices; see `max_unpool2d`.

    >>> y, places = F.max_pool1d(mi.tensor([[1.0, 4.0, 2.0, 3.0]]), 2, return_indices=True)
    >>> F.max_unpool1d(y, places, 2)
    tensor([[0., 4., 0., 3.]])
    """
    return _max_unpool(input, indices, 1, kernel_size, stride, padding, output_size)


def max_unpool2d(
    input: Tensor, indices: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Tensor:
    """Zeros, but the input at `max_pool2d`'s indices: what max pooling kept stands where it was.

    output_size: the pooled image's size where (n - 1) stride - 2 padding + kernel_size is not it.
    RuntimeError: an index outside the image, indices of another shape or not int64. Source: Zeiler & Fergus 2014.

    >>> y, places = F.max_pool2d(mi.arange(4.0).reshape(1, 2, 2), 2, return_indices=True)
    >>> F.max_unpool2d(y, places, 2)
    tensor([[[0., 0.],
             [0., 3.]]])
    """
    return _max_unpool(input, indices, 2, kernel_size, stride, padding, output_size)


def max_unpool3d(
    input: Tensor, indices: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Tensor:
    """Zeros, but the input at `max_pool3d`'s indices; see `max_unpool2d`.

    >>> y, places = F.max_pool3d(mi.ones(1, 2, 2, 2), 2, return_indices=True)
    >>> F.max_unpool3d(y, places, 2).shape
    (1, 2, 2, 2)
    """
    return _max_unpool(input, indices, 3, kernel_size, stride, padding, output_size)


# ---- mean of a window -----------------------------------------------------------------------------------------------
# Averages are linear: the gradient of the backward is the forward.
def _avg_pool(x: Tensor, dims: int, *where: Any) -> Tensor:
    return record(_core.avg_pool(x, dims, *where), AVG_POOL, (x,), (x.shape, dims, *where))  # type: ignore[no-any-return]


def avg_pool_backward(g: Tensor, shape: tuple[int, ...], dims: int, *where: Any) -> Tensor:
    """Each g, divided as its window was, added to the window's pixels."""
    return record(_core.avg_pool_backward(g, shape, dims, *where), AVG_POOL_BACKWARD, (g,), (dims, *where))  # type: ignore[no-any-return]


AVG_POOL = op("avg_pool", lambda g, needs, *where: (avg_pool_backward(g, *where),))
AVG_POOL_BACKWARD = op("avg_pool_backward", lambda g, needs, *where: (_avg_pool(g, *where),))


def avg_pool1d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window of a (N, C, L) input; see `avg_pool2d`.

    >>> F.avg_pool1d(mi.tensor([[1.0, 3.0, 5.0, 7.0]]), 2)
    tensor([[2., 6.]])
    """
    return _avg_pool(input, 1, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def avg_pool2d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """y[n, c, p, q] = 1/d sum over r, s of x[n, c, p stride + r - padding, q stride + s - padding].

    input: (N, C, H, W) or (C, H, W), floating or int64. d: the window's size, with the padding that it covers unless
    count_include_pad=False; or divisor_override. ceil_mode: a last window may reach over the edge; what lies beyond
    the padding is not counted. RuntimeError: sizes that do not fit.

    >>> F.avg_pool2d(mi.arange(16.0).reshape(1, 4, 4), 2)
    tensor([[[ 2.5000,  4.5000],
             [10.5000, 12.5000]]])
    """
    return _avg_pool(input, 2, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def avg_pool3d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window of a (N, C, D, H, W) input; see `avg_pool2d`.

    >>> F.avg_pool3d(mi.ones(1, 4, 4, 4), 2).shape
    (1, 2, 2, 2)
    """
    return _avg_pool(input, 3, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def _adaptive_avg_pool(x: Tensor, dims: int, output_size: Any) -> Tensor:
    return record(_core.adaptive_avg_pool(x, dims, output_size), ADAPTIVE_AVG_POOL, (x,), (x.shape, dims))  # type: ignore[no-any-return]


def adaptive_avg_pool_backward(g: Tensor, shape: tuple[int, ...], dims: int) -> Tensor:
    """Each g, divided by the size of its part, added to the part's pixels."""
    return record(
        _core.adaptive_avg_pool_backward(g, shape, dims), ADAPTIVE_AVG_POOL_BACKWARD, (g,), (dims, g.shape[-dims:])
    )  # type: ignore[no-any-return]


ADAPTIVE_AVG_POOL = op("adaptive_avg_pool", lambda g, needs, *where: (adaptive_avg_pool_backward(g, *where),))
ADAPTIVE_AVG_POOL_BACKWARD = op("adaptive_avg_pool_backward", lambda g, needs, *where: (_adaptive_avg_pool(g, *where),))


def adaptive_avg_pool1d(input: Tensor, output_size: Any) -> Tensor:
    """The mean of each of output_size nearly equal parts; see `adaptive_avg_pool2d`.

    >>> F.adaptive_avg_pool1d(mi.tensor([[1.0, 2.0, 3.0, 5.0]]), 2)
    tensor([[1.5000, 4.0000]])
    """
    return _adaptive_avg_pool(input, 1, _target(input, 1, output_size))


def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    """The mean of each of P x Q nearly equal parts: rows floor(p H / P) up to ceil((p + 1) H / P), columns alike.

    input: (N, C, H, W) or (C, H, W), floating. output_size: P = Q, or (P, Q), where None keeps a size; 1 is the mean
    of the whole image. RuntimeError: sizes that do not fit.

    >>> F.adaptive_avg_pool2d(mi.ones(1, 3, 5, 7), 1).shape
    (1, 3, 1, 1)
    """
    return _adaptive_avg_pool(input, 2, _target(input, 2, output_size))


def adaptive_avg_pool3d(input: Tensor, output_size: Any) -> Tensor:
    """The mean of each of output_size nearly equal parts; see `adaptive_avg_pool2d`.

    >>> F.adaptive_avg_pool3d(mi.ones(1, 3, 4, 5, 6), (2, 1, 3)).shape
    (1, 3, 2, 1, 3)
    """
    return _adaptive_avg_pool(input, 3, _target(input, 3, output_size))


# ---- power mean of a window -----------------------------------------------------------------------------------------
def _lp_pool(x: Tensor, dims: int, norm_type: float, kernel_size: Any, stride: Any, ceil_mode: bool) -> Tensor:
    check_tensors(f"lp_pool{dims}d", x)
    count = 1
    for k in _each(kernel_size, dims):
        count *= k
    mean = _avg_pool(x.pow(norm_type), dims, kernel_size, stride, 0, ceil_mode, True, None)
    return (mean * count).pow(1.0 / norm_type)  # type: ignore[no-any-return]


def lp_pool1d(input: Tensor, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Tensor:
    """(sum of x^norm_type over each window)^(1 / norm_type); see `lp_pool2d`.

    >>> F.lp_pool1d(mi.tensor([[3.0, 4.0]]), 2, 2)
    tensor([[5.]])
    """
    return _lp_pool(input, 1, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(input: Tensor, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Tensor:
    """(sum of x^norm_type over each window)^(1 / norm_type): norm_type 1 sums; as it grows, the largest value remains.

    input: (N, C, H, W) or (C, H, W), floating. A window that ceil_mode cuts off counts as if it were full, as in
    PyTorch.

    >>> F.lp_pool2d(mi.ones(1, 2, 2), 2, 2)
    tensor([[[2.]]])
    """
    return _lp_pool(input, 2, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(input: Tensor, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Tensor:
    """(sum of x^norm_type over each window)^(1 / norm_type); see `lp_pool2d`.

    >>> F.lp_pool3d(mi.ones(1, 1, 2, 2, 2), 1, 2)
    tensor([[[[[8.]]]]])
    """
    return _lp_pool(input, 3, norm_type, kernel_size, stride, ceil_mode)


# ---- windows as columns ---------------------------------------------------------------------------------------------
def unfold(input: Tensor, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Tensor:
    """The windows of an image as columns: y[n, (c, r, s), (p, q)] = x[n, c, p stride + r dilation - padding, q ...],
    0 outside.

    input: (N, C, H, W) or (C, H, W), floating or bool. Returns (N, C R S, P Q). RuntimeError: sizes that do not fit.

    >>> F.unfold(mi.arange(9.0).reshape(1, 1, 3, 3), 2)
    tensor([[[0., 1., 3., 4.],
             [1., 2., 4., 5.],
             [3., 4., 6., 7.],
             [4., 5., 7., 8.]]])
    """
    y = _core.unfold(input, kernel_size, dilation, padding, stride)
    return record(y, UNFOLD, (input,), (input.shape[-2:], kernel_size, dilation, padding, stride))  # type: ignore[no-any-return]


def fold(
    input: Tensor, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Tensor:
    """The sum of columns where `unfold` would have taken them from: its transpose. Overlapping windows add up.

    input: (N, C R S, P Q) or (C R S, P Q). Returns (N, C, *output_size). RuntimeError: sizes that do not fit.

    >>> F.fold(mi.ones(1, 4, 4), (3, 3), (2, 2))
    tensor([[[[1., 2., 1.],
              [2., 4., 2.],
              [1., 2., 1.]]]])
    """
    y = _core.fold(input, output_size, kernel_size, dilation, padding, stride)
    return record(y, FOLD, (input,), (kernel_size, dilation, padding, stride))  # type: ignore[no-any-return]


UNFOLD = op("unfold", lambda g, needs, *where: (fold(g, *where),))
FOLD = op("fold", lambda g, needs, *where: (unfold(g, *where),))
