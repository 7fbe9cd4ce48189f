"""The activations of nn.functional, and relu. `inplace=True` writes the result to the input's own memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ... import _core
from ...autograd import OUTPUT, op, record
from ...tensor import Tensor, check_tensors, method
from ..layout import copy_
from .arithmetic import div, mul, neg, square
from .base import add_in_place, unary_op
from .functions import erf, exp, sigmoid, tanh
from .logic import ge, gt, where
from .order import abs, clamp, clamp_

__all__ = [
    "celu", "celu_", "elu_", "hardshrink", "leaky_relu_", "prelu", "relu", "relu_", "rrelu", "rrelu_", "selu",
    "selu_", "threshold", "threshold_",
]  # fmt: skip
__functional__ = [
    "celu", "celu_", "elu", "elu_", "gelu", "glu", "hardshrink", "hardsigmoid",
    "hardswish", "hardtanh", "hardtanh_", "leaky_relu", "leaky_relu_", "logsigmoid", "mish", "prelu", "relu", "relu6",
    "relu_", "rrelu", "rrelu_", "selu", "selu_", "sigmoid", "silu", "softplus", "softshrink", "softsign", "tanh",
    "tanhshrink", "threshold", "threshold_",
]  # fmt: skip

Function = Callable[..., Any]


def _activation(name: str, parameters: int = 0, derivative: Function | None = None) -> tuple[Function, Function]:
    """(out of place, in place) for one kernel, whose gradient takes x."""
    made = unary_op(name, "x", derivative)
    call = _core.recorded(getattr(_core, name), made, tuple(range(1 + parameters)), 0, 1)

    def out_of_place(input: Tensor, *parameters: float) -> Any:
        return call(input, *parameters)

    out_of_place.__name__ = name
    return call, add_in_place(out_of_place, getattr(_core, name + "_"), attach=False)


# ---- pieces of straight lines ----------------------------------------------------------------------------------------
_relu = _core.recorded(_core.relu, unary_op("relu", "y", None), (OUTPUT,), 0, 1)


@method
def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0); NaN stays NaN. Keeps shape, dtype and stride order. Source: Nair & Hinton 2010.

    >>> mi.relu(mi.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    if inplace:
        return relu_(input)
    return _relu(input)  # type: ignore[no-any-return]


relu_ = add_in_place(relu, _core.relu_, remembers=False)

_leaky_relu, _hardtanh, _threshold = (
    _activation("leaky_relu", 1),
    _activation("hardtanh", 2),
    _activation("threshold", 2),
)
_hardshrink, _softshrink, _hardsigmoid = (
    _activation("hardshrink", 1),
    _activation("softshrink", 1),
    _activation("hardsigmoid"),
)


def _whole(name: str, x: float) -> int:
    """A parameter beside integers."""
    if not math.isfinite(x):
        raise RuntimeError(f"{name}: {x} is no integer")
    return int(x)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x where x > 0, else negative_slope x. Source: Maas et al. 2013.

    >>> F.leaky_relu(mi.tensor([-1.0, 2.0]), 0.1)
    tensor([-0.1000,  2.0000])
    """
    return _leaky_relu[1 if inplace else 0](input, negative_slope)


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """x between the two, else the nearer of them. ValueError: min_val > max_val.

    >>> F.hardtanh(mi.tensor([-2.0, 0.5, 2.0]))
    tensor([-1.0000,  0.5000,  1.0000])
    """
    check_tensors("hardtanh", input)
    if min_val > max_val:
        raise ValueError(f"hardtanh: min_val must not exceed max_val, got {min_val} and {max_val}")
    if not input.dtype.is_floating_point:
        low, high = _whole("hardtanh", min_val), _whole("hardtanh", max_val)
        if input.dtype.name == "bool" or (input.dtype.name == "uint8" and (low < 0 or high < 0)):
            raise RuntimeError(f"hardtanh: {input.dtype.name} has no numbers from {min_val} to {max_val}")
        return (clamp_ if inplace else clamp)(input, low, high)
    return _hardtanh[1 if inplace else 0](input, min_val, max_val)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(x, 0), 6).

    >>> F.relu6(mi.tensor([-1.0, 7.0]))
    tensor([0., 6.])
    """
    return hardtanh(input, 0.0, 6.0, inplace)


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """x where x > threshold, else `value`. NotImplementedError: bool tensors.

    >>> mi.threshold(mi.tensor([-1.0, 2.0]), 0.0, 7.0)
    tensor([7., 2.])
    """
    return _thresholded(input, threshold, value, inplace)


def _thresholded(input: Tensor, threshold: float, value: float, inplace: bool) -> Tensor:
    check_tensors("threshold", input)
    if not input.dtype.is_floating_point:
        if input.dtype.name == "bool":
            raise NotImplementedError("threshold: not implemented for bool")
        least, value = _whole("threshold", threshold), _whole("threshold", value)
        y = where(gt(input, least), input, value)
        return copy_(input, y) if inplace else y
    return _threshold[1 if inplace else 0](input, threshold, value)


@method
def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """0 where |x| <= lambd, else x.

    >>> F.hardshrink(mi.tensor([-1.0, 0.3, 2.0]))
    tensor([-1.,  0.,  2.])
    """
    return _hardshrink[0](input, lambd)


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x moved toward 0 by lambd. RuntimeError: lambd is negative or infinite.

    >>> F.softshrink(mi.tensor([-1.0, 0.3, 2.0]))
    tensor([-0.5000,  0.0000,  1.5000])
    """
    check_tensors("softshrink", input)
    if not 0 <= lambd < math.inf and input.dtype.is_floating_point:
        raise RuntimeError(f"softshrink: lambd must not be negative, got {lambd}")
    return _softshrink[0](input, lambd)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(x + 3, 0), 6) / 6. Source: Howard et al. 2019.

    >>> F.hardsigmoid(mi.tensor([-4.0, 0.0, 4.0]))
    tensor([0.0000, 0.5000, 1.0000])
    """
    return _hardsigmoid[1 if inplace else 0](input)


def _hardswish_slope(x: Tensor) -> Tensor:
    return where(gt(x, -3), where(ge(x, 3), 1.0, x / 3 + 0.5), 0.0)


_hardswish = _activation("hardswish", 0, _hardswish_slope)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """x hardsigmoid(x). Source: Howard et al. 2019.

    >>> F.hardswish(mi.tensor([-4.0, 1.0, 4.0]))
    tensor([-0.0000, 0.6667, 4.0000])
    """
    return _hardswish[1 if inplace else 0](input)


@method
def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """x where x > 0, else weight x; weight: one number, or one a channel (axis 1). Source: He et al. 2015.

    RuntimeError: weight has neither one element nor as many as there are channels, or another dtype.
    NotImplementedError: integers.

    >>> mi.prelu(mi.tensor([-2.0, 3.0]), mi.tensor([0.25]))
    tensor([-0.5000,  3.0000])
    """
    check_tensors("prelu", input, weight)
    if not isinstance(weight, Tensor):
        raise TypeError(f"prelu: expected a Tensor as weight, got {type(weight).__name__}")
    if input.dtype is not weight.dtype or weight.ndim > 1:
        raise RuntimeError(
            f"prelu: expected weights (C) of dtype {input.dtype.name}, got {weight.shape} {weight.dtype.name}"
        )
    if not input.dtype.is_floating_point:
        raise NotImplementedError(f"prelu: not implemented for {input.dtype.name}")
    channels = input.shape[1] if input.ndim > 1 else 1
    if weight.numel() not in (1, channels):
        raise RuntimeError(
            f"prelu: expected 1 or {channels} weights for an input of shape {input.shape}, got {weight.numel()}"
        )
    w = weight.reshape((-1, *[1] * (input.ndim - 2)) if input.ndim > 1 else weight.shape if input.ndim else ())
    return record(where(gt(input, 0), input, mul(input, w)), PRELU, (input, w), (input, w))


def _prelu_rule(g: Tensor, needs: Any, x: Tensor, w: Tensor) -> Any:
    dx = where(gt(x, 0), g, mul(g, w)) if needs[0] else None
    return dx, mul(g, where(ge(x, 0), 0.0, x)) if needs[1] else None  # at 0 the weight's gradient has no slope


PRELU = op("prelu", _prelu_rule, broadcast=True)


def rrelu(
    input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False, inplace: bool = False
) -> Tensor:
    """leaky_relu with slopes drawn from [lower, upper], or their mean without `training`. RuntimeError: lower > upper.
    Source: Xu et al. 2015.

    >>> mi.rrelu(mi.tensor([-1.0, 2.0]))
    tensor([-0.2292,  2.0000])
    """
    check_tensors("rrelu", input)
    if not lower <= upper:
        raise RuntimeError(f"rrelu: lower must not exceed upper, got {lower} and {upper}")
    if not training:
        return leaky_relu(input, (lower + upper) / 2, inplace)
    from ..random import rand

    slopes = rand(*input.shape, dtype=input.dtype, device=input.device) * (upper - lower) + lower
    return (_store if inplace else _leak)(input, slopes)


def _leak(input: Tensor, slopes: Tensor) -> Tensor:
    return where(gt(input, 0), input, mul(input, slopes))


_store = add_in_place(_leak, attach=False)


# ---- smooth ----------------------------------------------------------------------------------------------------------
def _phi(x: Tensor) -> Tensor:
    return 0.5 * (1 + erf(x * math.sqrt(0.5)))


def _gelu_slope(x: Tensor) -> Tensor:
    return _phi(x) + x * exp(-0.5 * square(x)) * (1 / math.sqrt(2 * math.pi))


def _gelu_tanh_slope(x: Tensor) -> Tensor:
    k = math.sqrt(8 / math.pi)
    s = sigmoid(k * x * (1 + 0.044715 * square(x)))
    return s + x * s * (1 - s) * (k * (1 + 0.134145 * square(x)))


_gelu, _gelu_tanh = _activation("gelu", 0, _gelu_slope), _activation("gelu_tanh", 0, _gelu_tanh_slope)


def gelu(input: Tensor, *, approximate: str = "none") -> Tensor:
    """x Phi(x), Phi the normal distribution; approximate="tanh": x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2.

    RuntimeError: another `approximate`. Source: Hendrycks & Gimpel 2016.

    >>> F.gelu(mi.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.1587,  0.0000,  0.8413])
    >>> F.gelu(mi.tensor([1.0]), approximate="tanh")
    tensor([0.8412])
    """
    if approximate not in ("none", "tanh"):
        raise RuntimeError(f"gelu: approximate must be 'none' or 'tanh', got {approximate!r}")
    return (_gelu if approximate == "none" else _gelu_tanh)[0](input)


def _silu_slope(x: Tensor) -> Tensor:
    s = sigmoid(x)
    return s * (1 + x * (1 - s))


def _mish_slope(x: Tensor) -> Tensor:
    t = tanh(softplus(x))
    return t + x * (1 - square(t)) * sigmoid(x)


def _elu_slope(x: Tensor, alpha: float, scale: float) -> Tensor:
    return where(gt(x, 0), 1.0, alpha * scale * exp(where(ge(x, 0), 0.0, x) * scale))  # at 0 it has no slope of its own


def _softplus_slope(x: Tensor, beta: float, limit: float) -> Tensor:
    z = x * beta
    return where(ge(z, limit), where(gt(z, limit), 1.0, 0.5 + 0.5 * math.tanh(limit / 2)), sigmoid(z))


_ALPHA, _SCALE = 1.6732632423543772848, 1.0507009873554804934

_silu, _mish = _activation("silu", 0, _silu_slope), _activation("mish", 0, _mish_slope)
_elu, _selu = (
    _activation("elu", 2, _elu_slope),
    _activation("selu", 0, lambda x: _SCALE * _elu_slope(x, _ALPHA, 1.0)),
)
_softplus = _activation("softplus", 2, _softplus_slope)
_log_sigmoid = _activation("log_sigmoid", 0, lambda x: sigmoid(neg(x)))
_softsign = _activation("softsign", 0, lambda x: 1 / square(1 + abs(x)))
_tanhshrink = _activation("tanhshrink", 0, lambda x: square(tanh(x)))


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """x sigmoid(x). Source: Elfwing et al. 2017.

    >>> F.silu(mi.tensor([-1.0, 1.0]))
    tensor([-0.2689,  0.7311])
    """
    return _silu[1 if inplace else 0](input)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """x tanh(softplus(x)). Source: Misra 2019.

    >>> F.mish(mi.tensor([-1.0, 1.0]))
    tensor([-0.3034,  0.8651])
    """
    return _mish[1 if inplace else 0](input)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where x > 0, else alpha (exp(x) - 1). Source: Clevert et al. 2015.

    >>> F.elu(mi.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """
    return _elu[1 if inplace else 0](input, alpha, 1.0)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where x > 0, else alpha (exp(x / alpha) - 1). RuntimeError: alpha is 0. Source: Barron 2017.

    >>> F.celu(mi.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """
    if alpha == 0:
        raise RuntimeError("celu: alpha must not be 0")
    return _elu[1 if inplace else 0](input, alpha, 1.0 / alpha)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """1.0507 elu(x, 1.6733), which keeps mean 0 and variance 1. Source: Klambauer et al. 2017.

    >>> mi.selu(mi.tensor([-1.0, 1.0]))
    tensor([-1.1113,  1.0507])
    """
    return _selu[1 if inplace else 0](input)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + exp(beta x)) / beta, and x itself where beta x > threshold.

    >>> F.softplus(mi.tensor([0.0, 30.0]))
    tensor([ 0.6931, 30.0000])
    """
    return _softplus[0](input, beta, threshold)


def logsigmoid(input: Tensor) -> Tensor:
    """log(sigmoid(x)) without underflow.

    >>> F.logsigmoid(mi.tensor([0.0, 100.0]))
    tensor([-6.9315e-01, -3.7835e-44])
    """
    return _log_sigmoid[0](input)


def softsign(input: Tensor) -> Tensor:
    """x / (1 + |x|); of integers, 1 + |x| wraps.

    >>> F.softsign(mi.tensor([-1.0, 3.0]))
    tensor([-0.5000,  0.7500])
    """
    check_tensors("softsign", input)
    if not input.dtype.is_floating_point:
        return div(input, abs(input) + 1)
    return _softsign[0](input)


def tanhshrink(input: Tensor) -> Tensor:
    """x - tanh(x). RuntimeError for bool tensors.

    >>> F.tanhshrink(mi.tensor([1.0]))
    tensor([0.2384])
    """
    check_tensors("tanhshrink", input)
    if input.dtype.name == "bool":
        raise RuntimeError("tanhshrink: bools have no subtraction")
    return _tanhshrink[0](input)


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """a sigmoid(b), a and b the halves of input along `dim`. Source: Dauphin et al. 2017.

    RuntimeError: an odd size there.

    >>> F.glu(mi.tensor([1.0, 2.0, 0.0, 0.0]))
    tensor([0.5000, 1.0000])
    """
    check_tensors("glu", input)
    if input.ndim == 0:
        raise RuntimeError("glu: a 0-dim tensor has no halves")
    if not input.dtype.is_floating_point:
        raise NotImplementedError(f"glu: not implemented for {input.dtype.name}")
    n = input.shape[dim]
    if n % 2:
        raise RuntimeError(f"glu: the size along dim {dim} must be even, got {n}")
    a, b = input.split_with_sizes((n // 2, n // 2), dim)  # one op, whose gradient is one concatenation
    return mul(a, sigmoid(b))


# ---- in place --------------------------------------------------------------------------------------------------------
def elu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """elu into the input's own memory."""
    return elu(input, alpha, True)


def celu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """celu into the input's own memory."""
    return celu(input, alpha, True)


def selu_(input: Tensor) -> Tensor:
    """selu into the input's own memory."""
    return selu(input, True)


def leaky_relu_(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    """leaky_relu into the input's own memory."""
    return leaky_relu(input, negative_slope, True)


def hardtanh_(input: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """hardtanh into the input's own memory."""
    return hardtanh(input, min_val, max_val, True)


def threshold_(input: Tensor, threshold: float, value: float) -> Tensor:
    """threshold into the input's own memory."""
    return _thresholded(input, threshold, value, True)


def rrelu_(input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False) -> Tensor:
    """rrelu into the input's own memory."""
    return rrelu(input, lower, upper, training, True)
