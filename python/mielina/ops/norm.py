"""Batch, layer, group, instance, rms and local response normalisation."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from math import prod
from typing import Any

from .. import _core
from ..autograd import OUTPUTS, op, record
from ..tensor import Tensor, check_tensors
from . import elementwise as e
from .elementwise import add, cast, div, mul, sub
from .image import pad
from .layout import expand, reshape
from .pool import avg_pool2d
from .reduce import mean

__all__: list[str] = []
__functional__ = [
    "batch_norm",
    "group_norm",
    "instance_norm",
    "layer_norm",
    "local_response_norm",
    "normalize",
    "rms_norm",
]

_EPSILON = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-23, "bfloat16": 2.0**-23}


def _standard(x: Tensor, dims: Any, eps: float, center: bool = True) -> Tensor:
    """(x - mean) / sqrt(mean((x - mean)^2) + eps) over `dims`, made of primitives."""
    d = sub(x, mean(x, dims, True)) if center else x
    return div(d, e.sqrt(add(mean(mul(d, d), dims, True), eps)))


# ---- rows: layer, group, rms -----------------------------------------------------------------------------------------
def _norm_rows(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, row: int, groups: int, inner: int, eps: float, center: bool
) -> Tensor:
    """Rows of `row` elements, normalised; element j of row r takes weight[r % groups * row / inner + j / inner]."""
    args = (x, weight, bias, row, groups, inner, eps, center)
    try:
        y = _core.norm_rows(*args)
    except _core.NoKernel:
        return _norm_rows_composite(*args)
    return record(y, NORM_ROWS, (x, weight, bias), (*args, OUTPUTS[1], OUTPUTS[2]))[0]


def _norm_rows_rule(
    g: Any,
    needs: Any,
    x: Any,
    weight: Any,
    bias: Any,
    row: int,
    groups: int,
    inner: int,
    eps: float,
    center: bool,
    mu: Any,
    rstd: Any,
) -> Any:
    dx, dw, db = _core.norm_rows_backward(g[0], x, mu, rstd, weight, row, groups, inner, center)
    return (
        dx if needs[0] else None,
        reshape(dw, weight.shape) if needs[1] else None,
        cast(reshape(db, bias.shape), bias.dtype) if needs[2] else None,
    )


def _norm_rows_composite(
    x: Tensor, weight: Any, bias: Any, row: int, groups: int, inner: int, eps: float, center: bool, *_: Any
) -> Tensor:
    rows = reshape(x, (-1, groups, row // inner, inner))
    y = _standard(rows, (2, 3), eps, center)
    if weight is not None:
        y = mul(y, reshape(weight, (groups, row // inner, 1)))
    if bias is not None:
        y = add(y, reshape(bias, (groups, row // inner, 1)))
    return cast(reshape(y, x.shape), x.dtype)


NORM_ROWS = op("norm", _norm_rows_rule, composite=_norm_rows_composite)


def _row(name: str, x: Tensor, normalized_shape: Any, *parameters: Tensor | None) -> int:
    """How many elements `normalized_shape` names. RuntimeError unless x ends in it and the parameters have it."""
    if type(normalized_shape) is tuple and normalized_shape and isinstance(x, Tensor):  # the common case: 0.6 us less
        fits = x.shape[-len(normalized_shape) :] == normalized_shape
        for p in parameters:
            fits = fits and (p is None or (isinstance(p, Tensor) and p.shape == normalized_shape))
        if fits and type(size := prod(normalized_shape)) is int:  # (3.0,) equals (3,)
            return size
    check_tensors(name, x, *(p for p in parameters if p is not None))
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(map(operator.index, normalized_shape))
    if not shape or x.shape[-len(shape) :] != shape:
        raise RuntimeError(
            f"{name}: expected an input of shape (..., {', '.join(map(str, shape))}) for normalized_shape={shape}, "
            f"got {x.shape}"
        )
    for p in parameters:
        if p is not None and p.shape != shape:
            raise RuntimeError(f"{name}: weight and bias must have normalized_shape={shape}, got {p.shape}")
    return prod(shape)


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int] | int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """y = (x - mean) / sqrt(var + eps) * weight + bias over the last axes, those of normalized_shape; var is biased.

    weight, bias: normalized_shape or None. Returns input's shape and dtype; halves have float32 statistics.
    RuntimeError: shapes. Source: Ba, Kiros & Hinton 2016.

    >>> F.layer_norm(mi.tensor([[1.0, 3.0]]), (2,))
    tensor([[-1.0000,  1.0000]])
    """
    row = _row("layer_norm", input, normalized_shape, weight, bias)
    if input.numel() == 0:
        return mul(input, 1)
    return _norm_rows(input, weight, bias, row, 1, 1, eps, True)


def rms_norm(
    input: Tensor, normalized_shape: Sequence[int] | int, weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """y = x / sqrt(mean(x^2) + eps) * weight over the last axes, those of normalized_shape.

    eps None: the machine epsilon of the dtype that computes (float32 for halves). RuntimeError: shapes.
    Source: Zhang & Sennrich 2019.

    >>> F.rms_norm(mi.tensor([[3.0, 4.0]]), (2,))
    tensor([[0.8485, 1.1314]])
    """
    row = _row("rms_norm", input, normalized_shape, weight)
    if input.numel() == 0:
        return mul(input, 1)
    return _norm_rows(
        input, weight, None, row, 1, 1, _EPSILON.get(input.dtype.name, 0.0) if eps is None else eps, False
    )


def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Each of num_groups runs of channels normalised by itself: input (N, C, ...), weight and bias (C) or None.

    RuntimeError: C is not divisible by num_groups; shapes. ValueError: one value a group. Source: Wu & He 2018.

    >>> F.group_norm(mi.tensor([[[1.0], [3.0], [5.0], [7.0]]]), 2).flatten()
    tensor([-1.0000,  1.0000, -1.0000,  1.0000])
    """
    check_tensors("group_norm", input)
    num_groups = operator.index(num_groups)
    if input.ndim < 2:
        raise RuntimeError(f"group_norm: expected an input (N, C, ...) of at least 2 dimensions, got {input.shape}")
    channels = input.shape[1]
    if num_groups <= 0 or channels % num_groups:
        raise RuntimeError(
            f"group_norm: expected a number of channels divisible by num_groups, got {channels} and {num_groups}"
        )
    if input.numel() == num_groups:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {input.shape}")
    given = [p for p in (weight, bias) if p is not None]
    check_tensors("group_norm", *given)
    for p in given:
        if p.shape != (channels,):
            raise RuntimeError(
                f"group_norm: weight and bias must have one number a channel, ({channels},), got {p.shape}"
            )
    if input.numel() == 0:
        return mul(input, 1)
    inner = prod(input.shape[2:])
    return _norm_rows(input, weight, bias, channels // num_groups * inner, num_groups, inner, eps, True)


# ---- batch -----------------------------------------------------------------------------------------------------------
def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """y = (x - mean_c) / sqrt(var_c + eps) * weight_c + bias_c for each channel c of input (N, C, ...).

    training: mean and (biased) variance are the batch's, and the running ones move in place: r += momentum (batch - r),
    with the unbiased variance. Else they are the running ones. Keeps input's stride order; NCHW and channels-last are
    read in place. ValueError: one value a channel in training, one running statistic without the other, negative eps.
    RuntimeError: shapes, no statistics outside training.
    Source: Ioffe & Szegedy 2015.

    >>> F.batch_norm(mi.tensor([[1.0], [3.0]]), None, None, training=True)
    tensor([[-1.0000],
            [ 1.0000]])
    """
    check_tensors("batch_norm", input)
    if training and input.ndim >= 2 and input.numel() == input.shape[1]:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {input.shape}")
    try:
        y = _core.batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps)
    except _core.NoKernel:
        if training and running_mean is not None and running_var is not None:
            _move_statistics(input.detach(), running_mean, running_var, momentum)
        rstd = None if training or running_var is None else e.rsqrt(add(running_var, eps))
        return _batch_norm_composite(input, weight, bias, training, eps, running_mean, rstd)
    saves = input, weight, bias, training, eps, OUTPUTS[1], OUTPUTS[2]  # not the running ones, which may move on
    return record(y, BATCH_NORM, (input, weight, bias), saves)[0]


def _move_statistics(x: Tensor, running_mean: Tensor, running_var: Tensor, momentum: float) -> None:
    from .reduce import var

    dims = (0, *range(2, x.ndim))
    for running, batch in ((running_mean, mean(x, dims)), (running_var, var(x, dims))):
        running.copy_(add(running, mul(sub(batch, running), momentum)))


def _batch_norm_rule(
    g: Any, needs: Any, x: Any, weight: Any, bias: Any, training: bool, eps: float, mu: Any, rstd: Any
) -> Any:
    dx, dw, db = _core.batch_norm_backward(g[0], x, mu, rstd, weight, training)
    return dx if needs[0] else None, dw if needs[1] else None, cast(db, bias.dtype) if needs[2] else None


def _batch_norm_composite(x: Tensor, weight: Any, bias: Any, training: bool, eps: float, mu: Any, rstd: Any) -> Tensor:
    shape = (-1, *[1] * (x.ndim - 2))
    if training:
        y = _standard(x, (0, *range(2, x.ndim)), eps)
    else:
        y = mul(sub(x, reshape(mu.detach(), shape)), reshape(rstd.detach(), shape))
    y = y if weight is None else mul(y, reshape(weight, shape))
    return cast(y if bias is None else add(y, reshape(bias, shape)), x.dtype)


BATCH_NORM = op("batch_norm", _batch_norm_rule, composite=_batch_norm_composite)


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Each channel of each sample normalised by itself: input (N, C, d1, ...).

    The running statistics, if given, move by momentum towards the mean over the samples; use_input_stats=False uses
    them instead of the input's. ValueError: one value a channel. Source: Ulyanov, Vedaldi & Lempitsky 2016.

    >>> F.instance_norm(mi.tensor([[[1.0, 3.0], [2.0, 6.0]]]))
    tensor([[[-1.0000,  1.0000],
             [-1.0000,  1.0000]]])
    """
    check_tensors("instance_norm", input)
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    inner = prod(input.shape[2:])
    if inner == 1:
        raise ValueError(f"Expected more than 1 spatial element when training, got input size {input.shape}")
    if running_mean is not None and running_var is not None:
        # Every (sample, channel) is a channel of one long sample: its statistics are moved, then averaged.
        n, c = input.shape[:2]
        m, v = (reshape(expand(r, (n, c)).contiguous(), (n * c,)) for r in (running_mean, running_var))
        _core.batch_norm(reshape(input.detach(), (1, n * c, inner)), None, None, m, v, True, momentum, eps)
        for r, s in ((running_mean, m), (running_var, v)):
            _core.copy_into(r, mean(reshape(s, (n, c)), 0))
    return group_norm(input, input.shape[1], weight, bias, eps)


# ---- of primitives ---------------------------------------------------------------------------------------------------
def local_response_norm(input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """x / (k + alpha mean x^2)^beta, the mean over `size` neighbouring channels (0 outside): input (N, C, ...).

    int64 is pooled as whole numbers. ValueError: fewer than 3 dimensions. RuntimeError: size < 1.
    Source: Krizhevsky, Sutskever & Hinton 2012, section 3.3.

    >>> F.local_response_norm(mi.ones(1, 4, 2), 2).shape
    (1, 4, 2)
    """
    check_tensors("local_response_norm", input)
    size = operator.index(size)
    if input.ndim < 3:
        raise ValueError(f"local_response_norm: expected an input of at least 3 dimensions, got {input.ndim}")
    if input.numel() == 0:
        return mul(input, 1)
    # Channel i takes i - size // 2 ... i + (size - 1) // 2: average pooling with the channels as an image's rows.
    n, c = input.shape[:2]
    squares = reshape(mul(input, input), (n, 1, c, -1))
    mean_of_squares = avg_pool2d(pad(squares, (0, 0, size // 2, (size - 1) // 2)), (size, 1), 1)
    return div(input, e.pow(add(mul(reshape(mean_of_squares, input.shape), alpha), k), beta))


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """x / max(|x|_p, eps) along `dim`.

    >>> F.normalize(mi.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    from .loss.distance import length

    return div(input, e.clamp_min(length(input, p, dim, True), eps))
