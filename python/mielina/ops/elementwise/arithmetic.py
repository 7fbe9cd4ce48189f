"""Arithmetic: + - * / // % **, powers and roots, rounding, order."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable
from typing import Any

from ... import _core
from ...autograd import OUTPUT, op, record
from ...tensor import Tensor, method, method_as
from .base import Function, add_in_place, again, binary, operand, operators, step, unary, unary_op

__all__ = [
    "abs", "absolute", "add", "addcdiv", "addcmul", "arctan2", "atan2", "ceil", "clamp", "clamp_max", "clamp_min",
    "clip", "copysign", "div", "divide", "fix", "floor", "floor_divide", "fmax", "fmin", "fmod", "frac", "heaviside",
    "hypot", "lerp", "logaddexp", "logaddexp2", "maximum", "minimum", "mul", "multiply", "neg", "negative",
    "positive", "pow", "reciprocal", "remainder", "round", "rsqrt", "rsub", "sgn", "sign", "sqrt", "square", "sub",
    "subtract", "true_divide", "trunc", "xlogy",
]  # fmt: skip


# ---- + - * / ---------------------------------------------------------------------------------------------------------
@method
def add(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """input + alpha * other, broadcast; dtypes promote as PyTorch's. Of bools: or.

    RuntimeError: an alpha of a higher kind than the operands (a float beside integers), or beyond their range.
    >>> mi.add(mi.tensor([1, 2]), mi.tensor([10.0, 20.0]), alpha=2)
    tensor([21., 42.])
    """
    if alpha != 1 or alpha is True:
        return _add_scaled(input, other, alpha)
    try:
        y = _core.add(input, other)
    except TypeError:
        input, other, y = again(_core.add, input, other)
    return record(y, ADD, (input, other), ())


ADD = op("add", lambda g, needs: (g, g), broadcast=True)


@method
def sub(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """input - alpha * other, broadcast. RuntimeError for bool tensors, and for alpha as in add.

    >>> mi.sub(mi.tensor([5, 6]), mi.tensor([1, 2]), alpha=2)
    tensor([3, 2])
    """
    if alpha != 1 or alpha is True:
        for x in (input, other):
            if isinstance(x, bool) or (isinstance(x, Tensor) and x.dtype.name == "bool"):
                raise RuntimeError("sub: bools have no subtraction; use logical_xor, or convert to a number")
        return _add_scaled(input, other, alpha if isinstance(alpha, bool) else -alpha)
    try:
        y = _core.sub(input, other)
    except TypeError:
        input, other, y = again(_core.sub, input, other)
    return record(y, SUB, (input, other), ())


SUB = op("sub", lambda g, needs: (g, neg(g) if needs[1] else None), broadcast=True)


@method
def rsub(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """other - alpha * input.

    >>> mi.rsub(mi.tensor([1, 2]), 10)
    tensor([9, 8])
    """
    return sub(other, input, alpha=alpha)


def _mul_rule(g: Tensor, needs: Any, a: Any, b: Any) -> Any:
    return mul(g, b) if needs[0] else None, mul(g, a) if needs[1] else None


mul: Callable[..., Any] = binary(
    "mul",
    """input * other, broadcast. Of bools: and.

    >>> mi.mul(mi.tensor([1, 2]), mi.tensor([[1], [10]]))
    tensor([[ 1,  2],
            [10, 20]])
    """,
    _mul_rule,
    bilinear=True,
)


def _add_scaled(input: Any, other: Any, alpha: Any) -> Tensor:
    alpha = alpha.item() if isinstance(alpha, Tensor) else alpha
    input, other = operand(input), operand(other)
    return record(_core.add_scaled(input, other, alpha), ADD_SCALED, (input, other), (alpha,))


ADD_SCALED = op("add", lambda g, needs, alpha: (g, mul(g, alpha) if needs[1] else None), broadcast=True)


def _div_rule(g: Tensor, needs: Any, a: Any, b: Any) -> Any:
    return div(g, b) if needs[0] else None, neg(mul(g, div(div(a, b), b))) if needs[1] else None


DIV = op("div", _div_rule, broadcast=True)


@method
def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """input / other, broadcast; integers give the default floating dtype.

    rounding_mode: "trunc" rounds toward zero, "floor" down (Python's //); both keep integers. RuntimeError: an integer
    divided by 0 under a rounding mode, or another mode.

    >>> mi.div(mi.tensor([7, -7]), 2)
    tensor([ 3.5000, -3.5000])
    >>> mi.div(mi.tensor([7, -7]), 2, rounding_mode="floor")
    tensor([ 3, -4])
    """
    if rounding_mode is not None:
        return _rounded_div(input, other, rounding_mode)
    try:
        y = _core.div(input, other)
    except TypeError:
        input, other, y = again(_core.div, input, other)
    number = type(other) is float or type(other) is int
    return record(y, DIV, (input, other), (None if number else input, other))


def _rounded_div(input: Any, other: Any, mode: str) -> Tensor:
    if mode == "floor":
        return floor_divide(input, other)
    if mode == "trunc":
        return _trunc_divide(input, other)
    raise RuntimeError(f"div: rounding_mode must be None, 'trunc' or 'floor', got {mode!r}")


floor_divide = binary(
    "floor_divide",
    """floor(input / other), in the operands' dtype. RuntimeError: an integer divided by 0.

    >>> mi.floor_divide(mi.tensor([7, -7]), 2)
    tensor([ 3, -4])
    """,
    None,
)
_trunc_divide = binary("trunc_divide", "trunc(input / other), in the operands' dtype.", None, "")


def _remainder_rule(g: Tensor, needs: Any, a: Any, b: Any) -> Any:
    return g, neg(mul(g, floor_divide(a, b))) if needs[1] else None


def _fmod_rule(g: Tensor, needs: Any, a: Any, b: Any) -> Any:
    return g, neg(mul(g, _trunc_divide(a, b))) if needs[1] else None


remainder = binary(
    "remainder",
    """input - floor(input / other) other, exactly: the sign of other, as Python's %.

    >>> mi.remainder(mi.tensor([-7, 7]), 3)
    tensor([2, 1])
    """,
    _remainder_rule,
)
fmod = binary(
    "fmod",
    """input - trunc(input / other) other, exactly: the sign of input, as C's fmod.

    >>> mi.fmod(mi.tensor([-7.0, 7.0]), 3.0)
    tensor([-1.,  1.])
    """,
    _fmod_rule,
)

neg: Function = unary(
    "neg",
    """-input. RuntimeError for bool tensors.

    >>> mi.neg(mi.tensor([1, -2]))
    tensor([-1,  2])
    """,
    "x",
    None,
)


@method
def positive(input: Tensor) -> Tensor:
    """input itself. RuntimeError for bool tensors.

    >>> mi.positive(mi.tensor([1, -2]))
    tensor([ 1, -2])
    """
    if input.dtype.name == "bool":
        raise RuntimeError("positive: bool tensors have no sign")
    return input


# ---- powers ----------------------------------------------------------------------------------------------------------
square = unary(
    "square",
    """input^2.

    >>> mi.square(mi.tensor([-2.0, 3.0]))
    tensor([4., 9.])
    """,
    "x",
    lambda x: x + x,
)
sqrt = unary(
    "sqrt",
    """The square root; NaN for negative numbers.

    >>> mi.sqrt(mi.tensor([4.0, 9.0]))
    tensor([2., 3.])
    """,
    "y",
    lambda y: 0.5 / y,
)
rsqrt = unary(
    "rsqrt",
    """1 / sqrt(input).

    >>> mi.rsqrt(mi.tensor([4.0, 16.0]))
    tensor([0.5000, 0.2500])
    """,
    "y",
    lambda y: -0.5 * y * y * y,
)
reciprocal = unary(
    "reciprocal",
    """1 / input.

    >>> mi.reciprocal(mi.tensor([2.0, 4.0]))
    tensor([0.5000, 0.2500])
    """,
    "y",
    lambda y: -(y * y),
)


@method
def pow(input: Any, exponent: Any) -> Tensor:
    """input^exponent, broadcast; either may be a number.

    RuntimeError: integers to a negative integer number. (Negative integers inside an exponent tensor give 0, or +-1 for
    bases of +-1.) The powers 2, 1/2, -1 and -1/2 are taken by multiplication, root and division.

    >>> mi.pow(mi.tensor([1.0, 2.0, 3.0]), 2)
    tensor([1., 4., 9.])
    """
    try:
        y = _core.pow(input, exponent)
    except TypeError:
        input, exponent, y = again(_core.pow, input, exponent)
    return record(y, POW, (input, exponent), (input, exponent, OUTPUT if isinstance(exponent, Tensor) else None))


def _pow_rule(g: Tensor, needs: Any, a: Any, b: Any, y: Any) -> Any:
    from .functions import log
    from .logic import eq, ge, logical_and, where

    da = db = None
    if needs[0] and isinstance(b, Tensor):
        da = where(eq(b, 0), 0.0, mul(g, mul(b, pow(a, sub(b, 1)))))
    elif needs[0]:
        da = mul(g, 0.0) if b == 0 else mul(g, mul(pow(a, b - 1), b))
    # g stands outside of where: its own gradient must not be 0 * inf in the branch not taken.
    if needs[1] and isinstance(a, Tensor):
        db = mul(g, where(logical_and(eq(a, 0), ge(b, 0)), 0.0, mul(y, log(a))))
    elif needs[1] and a == 0:
        db = mul(g, where(ge(b, 0), 0.0, mul(y, -math.inf)))
    elif needs[1]:
        db = mul(g, mul(y, _log(a)))
    return da, db


POW = op("pow", _pow_rule, broadcast=True)
add_in_place(pow, _core.pow_)


def _xlogy_rule(g: Tensor, needs: Any, x: Any, y: Any) -> Any:
    from .functions import log
    from .logic import eq, le, logical_and, where

    dx = None
    if needs[0]:
        outside = logical_and(eq(x, 0), le(y, 0)) if isinstance(y, Tensor) else eq(x, 0) if y <= 0 else None
        log_y = log(y) if isinstance(y, Tensor) else _log(y)
        dx = mul(g, log_y if outside is None else where(outside, 0.0, log_y))
    return dx, mul(g, div(x, y)) if needs[1] else None


def _log(y: float) -> float:
    return math.log(y) if y > 0 else -math.inf if y == 0 else math.nan


xlogy = binary(
    "xlogy",
    """input log(other), and 0 where input is 0 (unless other is NaN).

    >>> mi.xlogy(mi.tensor([0.0, 1.0]), mi.tensor([0.0, 2.0]))
    tensor([0.0000, 0.6931])
    """,
    _xlogy_rule,
)


def _logaddexp_rule(g: Tensor, needs: Any, a: Any, b: Any) -> Any:
    from .functions import sigmoid

    gap = sub(a, b)
    return mul(g, sigmoid(gap)) if needs[0] else None, mul(g, sigmoid(neg(gap))) if needs[1] else None


def _logaddexp2_rule(g: Tensor, needs: Any, a: Any, b: Any) -> Any:
    from .functions import sigmoid

    gap = mul(sub(a, b), math.log(2))
    return mul(g, sigmoid(gap)) if needs[0] else None, mul(g, sigmoid(neg(gap))) if needs[1] else None


logaddexp = binary(
    "logaddexp",
    """log(exp(input) + exp(other)) without overflow.

    >>> mi.logaddexp(mi.tensor([1000.0]), mi.tensor([1000.0]))
    tensor([1000.6932])
    """,
    _logaddexp_rule,
    "out of place",
)
logaddexp2 = binary(
    "logaddexp2",
    """log2(2^input + 2^other) without overflow.

    >>> mi.logaddexp2(mi.tensor([3.0]), mi.tensor([3.0]))
    tensor([4.])
    """,
    _logaddexp2_rule,
    "out of place",
)


def _hypot_rule(g: Tensor, needs: Any, a: Any, b: Any) -> Any:
    y = hypot(a, b)
    return mul(g, div(a, y)) if needs[0] else None, mul(g, div(b, y)) if needs[1] else None


def _atan2_rule(g: Tensor, needs: Any, a: Any, b: Any) -> Any:
    from .logic import eq, where

    norm = add(mul(a, a), mul(b, b))
    inverse = where(eq(norm, 0), 0.0, reciprocal(norm))
    return mul(g, mul(b, inverse)) if needs[0] else None, neg(mul(g, mul(a, inverse))) if needs[1] else None


hypot = binary(
    "hypot",
    """sqrt(input^2 + other^2) without overflow.

    >>> mi.hypot(mi.tensor([3.0]), mi.tensor([4.0]))
    tensor([5.])
    """,
    _hypot_rule,
)
atan2 = binary(
    "atan2",
    """The angle of the point (other, input), in (-pi, pi].

    >>> mi.atan2(mi.tensor([1.0, -1.0]), mi.tensor([0.0, -1.0]))
    tensor([ 1.5708, -2.3562])
    """,
    _atan2_rule,
)


# ---- signs and rounding ----------------------------------------------------------------------------------------------
abs: Function = unary(
    "abs",
    """|input|; the gradient at 0 is 0.

    >>> mi.abs(mi.tensor([-1.5, 0.0, 2.0]))
    tensor([1.5000, 0.0000, 2.0000])
    """,
    "x",
    lambda x: sign(x),
)
sign: Function = step(
    "sign",
    """-1, 0 or 1.

    >>> mi.sgn(mi.tensor([-2.0, 0.0, 3.0]))
    tensor([-1.,  0.,  1.])
    """,
)
ceil = step(
    "ceil",
    """The smallest integer >= input. Integers stay as they are.

    >>> mi.ceil(mi.tensor([-0.5, 1.2]))
    tensor([-0., 2.])
    """,
)
floor = step(
    "floor",
    """The largest integer <= input. Integers stay as they are.

    >>> mi.floor(mi.tensor([-0.5, 1.2]))
    tensor([-1.,  1.])
    """,
)
trunc = step(
    "trunc",
    """The integer part, toward 0.

    >>> mi.trunc(mi.tensor([-1.7, 1.7]))
    tensor([-1.,  1.])
    """,
)
frac = unary(
    "frac",
    """input - trunc(input).

    >>> mi.frac(mi.tensor([-1.25, 2.5]))
    tensor([-0.2500,  0.5000])
    """,
    "x",
    None,
)


@method
def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """The nearest number with so many decimals (negative: tens, hundreds); halves to even.

    NotImplementedError: integers with decimals other than 0.

    >>> mi.round(mi.tensor([0.5, 1.5, -2.6]))
    tensor([ 0.,  2., -3.])
    >>> mi.round(mi.tensor([1.234]), decimals=1)
    tensor([1.2000])
    """
    y = (
        _core.round(input)
        if decimals == 0
        else _core.round_decimals(input, 10.0 ** builtins.abs(decimals), decimals < 0)
    )
    return record(y, ROUND, (input,), ())


ROUND = op("round", lambda g, needs: (mul(g, 0.0),))
add_in_place(round, remembers=False)


def _copysign_rule(g: Tensor, needs: Any, a: Any, b: Any) -> Any:
    from .logic import eq, where

    # 1 or -1, off the tape: it has no slope of its own.
    da = mul(g, where(eq(a, 0), 0.0, _core.div(_core.copysign(a, b), a))) if needs[0] else None
    return da, mul(g, 0.0) if needs[1] else None


copysign = binary(
    "copysign",
    """|input| with the sign of other (of -0, too).

    >>> mi.copysign(mi.tensor([1.0, 2.0]), mi.tensor([-0.0, 1.0]))
    tensor([-1.,  2.])
    """,
    _copysign_rule,
)
heaviside = binary(
    "heaviside",
    """0 where input < 0, `other` where input = 0, 1 where input > 0.

    >>> mi.heaviside(mi.tensor([-1.0, 0.0, 2.0]), mi.tensor([0.5]))
    tensor([0.0000, 0.5000, 1.0000])
    """,
    None,
)


# ---- order -----------------------------------------------------------------------------------------------------------
def _maximum_rule(g: Tensor, needs: Any, a: Any, b: Any) -> Any:
    return mul(g, _core.max_share(a, b)) if needs[0] else None, mul(g, _core.max_share(b, a)) if needs[1] else None


def _minimum_rule(g: Tensor, needs: Any, a: Any, b: Any) -> Any:
    return mul(g, _core.max_share(b, a)) if needs[0] else None, mul(g, _core.max_share(a, b)) if needs[1] else None


maximum = binary(
    "maximum",
    """The larger of two, NaN if either is NaN; ties share the gradient.

    >>> mi.maximum(mi.tensor([1, 5]), mi.tensor([3, 2]))
    tensor([3, 5])
    """,
    _maximum_rule,
    "out of place",
)
minimum = binary(
    "minimum",
    """The smaller of two, NaN if either is NaN; ties share the gradient.

    >>> mi.minimum(mi.tensor([1, 5]), mi.tensor([3, 2]))
    tensor([1, 2])
    """,
    _minimum_rule,
    "out of place",
)


def _numbers_rule(first: Any) -> Any:
    def rule(g: Tensor, needs: Any, a: Any, b: Any) -> Any:
        from .logic import where

        mine = _core.logical_or(first(a, b), _core.isnan(b))
        return where(mine, g, 0.0) if needs[0] else None, where(mine, 0.0, g) if needs[1] else None

    return rule


fmax = binary(
    "fmax",
    """The larger of two; a number wins over NaN.

    >>> mi.fmax(mi.tensor([1.0, float("nan")]), mi.tensor([2.0, 3.0]))
    tensor([2., 3.])
    """,
    _numbers_rule(_core.ge),
    "out of place",
)
fmin = binary(
    "fmin",
    """The smaller of two; a number wins over NaN.

    >>> mi.fmin(mi.tensor([1.0, float("nan")]), mi.tensor([2.0, 3.0]))
    tensor([1., 3.])
    """,
    _numbers_rule(_core.le),
    "out of place",
)


@method
def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """minimum(maximum(input, min), max): NaN stays, and max wins where min > max. Bounds are numbers or tensors.

    The gradient passes where min <= input <= max. RuntimeError: no bound.

    >>> mi.clamp(mi.tensor([-2.0, 0.5, 3.0]), min=0.0, max=1.0)
    tensor([0.0000, 0.5000, 1.0000])
    """
    if min is None and max is None:
        raise RuntimeError("clamp: expected at least one of min and max")
    if input.dtype.is_floating_point and not isinstance(min, Tensor) and not isinstance(max, Tensor):
        low, high = -math.inf if min is None else min, math.inf if max is None else max
        return record(_core.clamp_numbers(input, low, high), CLAMP, (input,), (input, low, high))
    if min is not None and max is not None and isinstance(min, Tensor) != isinstance(max, Tensor):
        raise TypeError("clamp: expected two tensors or two numbers as bounds")
    return record(_core.clamp(input, min, max), CLAMP_BETWEEN, (input, min, max), (input, min, max))


CLAMP = unary_op("clamp", "x", None)


def _clamp_rule(g: Tensor, needs: Any, x: Tensor, low: Any, high: Any) -> Any:
    from .logic import where

    inside: Any = _core.eq(x, x)
    below: Any = None
    above: Any = None
    if low is not None:
        inside, below = _core.ge(x, low), _core.lt(x, low)
    if high is not None:
        inside, above = _core.logical_and(inside, _core.le(x, high)), _core.gt(x, high)
    if low is not None and high is not None and isinstance(low, Tensor):  # where the bounds cross, the result is `high`
        below, above = _core.logical_and(below, _core.lt(low, high)), _core.logical_or(above, _core.lt(high, low))
    return (
        where(inside, g, 0.0) if needs[0] else None,
        where(below, g, 0.0) if needs[1] else None,
        where(above, g, 0.0) if needs[2] else None,
    )


CLAMP_BETWEEN = op("clamp", _clamp_rule, broadcast=True)


@method
def clamp_min(input: Tensor, min: Any) -> Tensor:
    """The larger of input and min.

    >>> mi.clamp_min(mi.tensor([1, 5]), 3)
    tensor([3, 5])
    """
    return clamp(input, _bound("clamp_min", min))


@method
def clamp_max(input: Tensor, max: Any) -> Tensor:
    """The smaller of input and max.

    >>> mi.clamp_max(mi.tensor([1, 5]), 3)
    tensor([1, 3])
    """
    return clamp(input, None, _bound("clamp_max", max))


def _bound(name: str, bound: Any) -> Any:
    if bound is None:
        raise TypeError(f"{name}: expected a Tensor or a number, got None")
    return bound


clamp_, _, _ = map(add_in_place, (clamp, clamp_min, clamp_max))


# ---- three operands --------------------------------------------------------------------------------------------------
@method
def lerp(input: Tensor, end: Tensor, weight: Any) -> Tensor:
    """input + weight (end - input), broadcast; weight 1 gives `end` exactly.

    RuntimeError: tensors of different dtypes. NotImplementedError: integers.

    >>> mi.lerp(mi.tensor([0.0, 0.0]), mi.tensor([10.0, 20.0]), 0.5)
    tensor([ 5., 10.])
    """
    return record(_core.lerp(input, end, weight), LERP, (input, end, weight), (input, end, weight))


def _lerp_rule(g: Tensor, needs: Any, a: Tensor, b: Tensor, w: Any) -> Any:
    return (
        mul(g, 1 - w) if needs[0] else None,
        mul(g, w) if needs[1] else None,
        mul(g, sub(b, a)) if needs[2] else None,
    )


LERP = op("lerp", _lerp_rule, broadcast=True)


@method
def addcmul(input: Tensor, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Tensor:
    """input + value tensor1 tensor2, broadcast.

    >>> mi.addcmul(mi.tensor([1.0, 1.0]), mi.tensor([1.0, 2.0]), mi.tensor([3.0, 4.0]), value=0.1)
    tensor([1.3000, 1.8000])
    """
    y = _core.addcmul(input, tensor1, tensor2, value)
    return record(y, ADDCMUL, (input, tensor1, tensor2), (tensor1, tensor2, value))


def _addcmul_rule(g: Tensor, needs: Any, a: Any, b: Any, value: Any) -> Any:
    return g, mul(g, mul(b, value)) if needs[1] else None, mul(g, mul(a, value)) if needs[2] else None


ADDCMUL = op("addcmul", _addcmul_rule, broadcast=True)


@method
def addcdiv(input: Tensor, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Tensor:
    """input + value tensor1 / tensor2, broadcast. RuntimeError for integers.

    >>> mi.addcdiv(mi.tensor([1.0, 1.0]), mi.tensor([1.0, 2.0]), mi.tensor([2.0, 4.0]), value=0.5)
    tensor([1.2500, 1.2500])
    """
    y = _core.addcdiv(input, tensor1, tensor2, value)
    return record(y, ADDCDIV, (input, tensor1, tensor2), (tensor1, tensor2, value))


def _addcdiv_rule(g: Tensor, needs: Any, a: Any, b: Any, value: Any) -> Any:
    scaled = div(mul(g, value), b) if needs[1] or needs[2] else None
    return g, scaled if needs[1] else None, neg(mul(scaled, div(a, b))) if needs[2] else None


ADDCDIV = op("addcdiv", _addcdiv_rule, broadcast=True)
for _function in (lerp, addcmul, addcdiv):
    add_in_place(_function)

# ---- operators and second names --------------------------------------------------------------------------------------
add_in_place(add, _core.add_, remembers=False)
add_in_place(sub, _core.sub_, remembers=False)
add_in_place(div, _core.div_)
operators("add", add, add)
operators("sub", sub)
operators("mul", mul, mul)
operators("truediv", div)
operators("floordiv", floor_divide)
operators("mod", remainder)
operators("pow", pow)
method_as("__neg__")(neg)
method_as("__pos__")(positive)
method_as("__abs__")(abs)


@method_as("__round__")
def _round_operator(self: Tensor, ndigits: int | None = None) -> Tensor:
    return round(self, decimals=ndigits or 0)


def _also(name: str, function: Any) -> Any:
    """A second name, as PyTorch has it; the in-place form too."""
    method_as(name)(function)
    method_as(name + "_")(getattr(Tensor, function.__name__ + "_"))
    return function


absolute, negative, sgn, fix, clip = (
    _also("absolute", abs),
    _also("negative", neg),
    _also("sgn", sign),
    _also("fix", trunc),
    _also("clip", clamp),
)
subtract, multiply, divide = _also("subtract", sub), _also("multiply", mul), _also("divide", div)
true_divide, arctan2 = _also("true_divide", div), _also("arctan2", atan2)
