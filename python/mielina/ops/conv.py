"""Convolution: cross-correlation, as in every deep-learning library.

A convolution is linear in the image and in the filters, so its two gradients are linear in what they are made of, and
the gradients of those are convolutions again: three ops, closed under differentiation. `geometry` is (stride, padding,
dilation, groups) in the words of the convolution, whichever of the three is meant.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import _core, amp, dtypes
from ..autograd import op, record
from ..tensor import Tensor, check_tensors
from .elementwise import cast
from .layout import channels_last, channels_last_3d, contiguous, squeeze, unsqueeze
from .reduce import sum

__all__: list[str] = []
__functional__ = ["conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]


# ---- the image's way forward -----------------------------------------------------------------------------
def _conv(x: Tensor, w: Tensor, bias: Tensor | None, size: Any, geometry: Any) -> Tensor:
    """size: the spatial shape of the result, () for what fits; a larger one sees zeros behind the image."""
    y = _core.conv(x, w, bias, size, *geometry)
    return record(y, CONV, (x, w, bias), (x, w, geometry))  # type: ignore[no-any-return]


def _conv_rule(g: Tensor, needs: Any, x: Tensor, w: Tensor, geometry: Any) -> Any:
    db = _over_channels(g) if needs[2] else None
    if needs[0] and needs[1] and 0 in g.stride():
        g = _written_out(g, x)  # once for both
    return (
        _conv_input(g, w, x.shape[2:], geometry) if needs[0] else None,
        _conv_weight(g, x, w, geometry) if needs[1] else None,
        db,
    )


def _written_out(g: Tensor, x: Tensor) -> Tensor:
    """g, whose elements share memory as those of a sum's gradient do, with a place for each, in the order of x."""
    if x.ndim == 3 or x.is_contiguous() or x.stride(1) != 1:
        return contiguous(g)
    return contiguous(g, memory_format=channels_last if x.ndim == 4 else channels_last_3d)


CONV = op("conv", _conv_rule)


def _over_channels(g: Tensor) -> Tensor:
    """The gradient of a bias."""
    return sum(g, (0, *range(2, g.ndim)))


# ---- its gradients ---------------------------------------------------------------------------------------
def _conv_input(g: Tensor, w: Tensor, size: Any, geometry: Any) -> Tensor:
    """The gradient with respect to an image of spatial shape `size`."""
    dx = _core.conv_backward_input(g, w, size, *geometry)
    return record(dx, CONV_INPUT, (g, w), (g, w, geometry))  # type: ignore[no-any-return]


def _conv_input_rule(h: Tensor, needs: Any, g: Tensor, w: Tensor, geometry: Any) -> Any:
    return (
        _conv(h, w, None, g.shape[2:], geometry) if needs[0] else None,
        _conv_weight(g, h, w, geometry) if needs[1] else None,
        *(_over_channels(h) if need else None for need in needs[2:]),
    )


CONV_INPUT = op("conv_input", _conv_input_rule)


def _conv_weight(g: Tensor, x: Tensor, w: Tensor, geometry: Any) -> Tensor:
    """The gradient with respect to filters, of w's shape and in its memory order."""
    dw = _core.conv_backward_weight(g, x, w, *geometry)
    return record(dw, CONV_WEIGHT, (g, x), (g, x, geometry))  # type: ignore[no-any-return]


def _conv_weight_rule(v: Tensor, needs: Any, g: Tensor, x: Tensor, geometry: Any) -> Any:
    return (
        _conv(x, v, None, g.shape[2:], geometry) if needs[0] else None,
        _conv_input(g, v, x.shape[2:], geometry) if needs[1] else None,
    )


CONV_WEIGHT = op("conv_weight", _conv_weight_rule)


# ---- PyTorch's functions ---------------------------------------------------------------------------------
def _same(
    name: str, input: Tensor, weight: Tensor, stride: Any, dilation: Any
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The padding in front and the output size of padding="same": an even filter has one zero more behind the image."""
    if any(s != 1 for s in ((stride,) if isinstance(stride, int) else stride)):
        raise RuntimeError(f"{name}: padding='same' needs a stride of 1, got {stride}")
    steps = (dilation,) * (weight.ndim - 2) if isinstance(dilation, int) else dilation
    front = tuple(d * (k - 1) // 2 for d, k in zip(steps, weight.shape[2:]))
    return front, input.shape[2:]


def _of_integers(
    f: Callable[..., Tensor], n: int, input: Tensor, weight: Tensor, bias: Tensor | None, *rest: Any
) -> Tensor:
    """f in float64, exact below 2^53; the result wraps into the dtype as sums of integers do."""
    given = [x for x in (input, weight, bias) if x is not None]
    if input.dtype is dtypes.bool or any(x.dtype is not input.dtype for x in given):
        raise RuntimeError(f"conv{n}d: expected numbers of one dtype, got {', '.join(str(x.dtype) for x in given)}")
    wide = [None if x is None else cast(x, dtypes.float64) for x in (input, weight, bias)]
    return cast(cast(f(n, *wide, *rest), dtypes.int64), input.dtype)


def _forward(
    n: int, input: Tensor, weight: Tensor, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> Tensor:
    check_tensors(f"conv{n}d", input, weight)
    if input.ndim != n + 2:
        if input.ndim != n + 1:
            raise RuntimeError(
                f"conv{n}d: expected {n + 2}-D input, or {n + 1}-D without a batch, got shape {input.shape}"
            )
        return squeeze(_forward(n, unsqueeze(input, 0), weight, bias, stride, padding, dilation, groups), 0)
    if not input.dtype.is_floating_point:
        return _of_integers(_forward, n, input, weight, bias, stride, padding, dilation, groups)
    if amp.anywhere:
        input, weight, bias = amp.cast_inputs(input, weight, bias)
    size: tuple[int, ...] = ()
    if isinstance(padding, str):
        if padding == "same":
            padding, size = _same(f"conv{n}d", input, weight, stride, dilation)
        elif padding == "valid":
            padding = 0
        else:
            raise RuntimeError(f"conv{n}d: padding must be 'same', 'valid' or numbers, got {padding!r}")
    return _conv(input, weight, bias, size, (stride, padding, dilation, groups))


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """`conv2d` along one axis: (N, C, L) or (C, L), weight: (K, C / groups, S).

    >>> F.conv1d(mi.tensor([[[1.0, 2.0, 3.0, 4.0]]]), mi.tensor([[[1.0, -1.0]]]))
    tensor([[[-1., -1., -1.]]])
    """
    return _forward(1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """y[n, k, p, q] = b[k] + sum_{c, r, s} x[n, c, p stride + r dilation - padding, q ...] w[k, c, r, s].

    input: (N, C, H, W) or (C, H, W); weight: (K, C / groups, R, S): output channel k sees the input channels of its
    group only; bias: (K) or None. stride, padding, dilation: an int or one an axis; padding also "valid" (none) or
    "same" (as much as keeps the size, the odd zero behind the image). Channels-last input or filters give channels-last
    output (filters of several groups from 8 channels a group on).
    Integers are summed in float64 (exact below 2^53) and wrap; they have no gradient.
    RuntimeError: sizes, dtypes or groups that do not fit, "same" with a stride, bool.

    >>> F.conv2d(mi.ones(1, 1, 3, 3), mi.ones(1, 1, 2, 2), padding=1).shape
    (1, 1, 4, 4)
    >>> F.conv2d(mi.ones(1, 1, 2, 2), mi.ones(1, 1, 2, 2), bias=mi.tensor([0.5]))
    tensor([[[[4.5000]]]])
    """
    return _forward(2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """`conv2d` along three axes: (N, C, D, H, W) or (C, D, H, W), weight: (K, C / groups, T, R, S).

    >>> F.conv3d(mi.ones(1, 2, 4, 4, 4), mi.ones(3, 2, 3, 3, 3), stride=1).shape
    (1, 3, 2, 2, 2)
    """
    return _forward(3, input, weight, bias, stride, padding, dilation, groups)


def _transposed(n: int, input: Tensor, weight: Tensor, bias: Any, output_padding: Any, geometry: Any) -> Tensor:
    check_tensors(f"conv_transpose{n}d", input, weight)
    if input.ndim != n + 2:
        if input.ndim != n + 1:
            raise RuntimeError(
                f"conv_transpose{n}d: expected {n + 2}-D input, or {n + 1}-D without a batch, got shape {input.shape}"
            )
        return squeeze(_transposed(n, unsqueeze(input, 0), weight, bias, output_padding, geometry), 0)
    if not input.dtype.is_floating_point:
        return _of_integers(_transposed, n, input, weight, bias, output_padding, geometry)
    if amp.anywhere:
        input, weight, bias = amp.cast_inputs(input, weight, bias)
    y = _core.conv_transpose(input, weight, bias, output_padding, *geometry)
    return record(y, CONV_INPUT, (input, weight, bias), (input, weight, geometry))  # type: ignore[no-any-return]


def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """`conv_transpose2d` along one axis.

    >>> F.conv_transpose1d(mi.tensor([[[1.0, 2.0]]]), mi.tensor([[[1.0, 10.0]]]))
    tensor([[[ 1., 12., 20.]]])
    """
    return _transposed(1, input, weight, bias, output_padding, (stride, padding, dilation, groups))


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """The gradient of `conv2d` with respect to its input, as a layer: each input pixel adds its filter to the output.

    input: (N, C, H, W) or (C, H, W); weight: (C, K / groups, R, S); bias: (K) or None. Output size along each axis:
    (H - 1) stride - 2 padding + dilation (R - 1) + 1 + output_padding; padding takes rows away, output_padding (below
    the stride or the dilation) adds some behind. RuntimeError: sizes, dtypes or groups that do not fit.

    >>> F.conv_transpose2d(mi.ones(1, 3, 4, 4), mi.ones(3, 2, 2, 2), stride=2).shape
    (1, 2, 8, 8)
    """
    return _transposed(2, input, weight, bias, output_padding, (stride, padding, dilation, groups))


def conv_transpose3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """`conv_transpose2d` along three axes.

    >>> F.conv_transpose3d(mi.ones(1, 1, 2, 2, 2), mi.ones(1, 1, 2, 2, 2)).shape
    (1, 1, 3, 3, 3)
    """
    return _transposed(3, input, weight, bias, output_padding, (stride, padding, dilation, groups))
