"""Arithmetic: + - * / // % **, powers and roots, lerp and the like."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ... import _core
from ...autograd import OUTPUT, op, record
from ...tensor import Tensor, check_tensors, method, method_as
from .base import Function, add_in_place, again, also, binary, operand, operators, unary

__all__ = [
    "add", "addcdiv", "addcmul", "arctan2", "atan2", "div", "divide", "floor_divide", "fmod", "hypot", "lerp",
    "logaddexp", "logaddexp2", "mul", "multiply", "neg", "negative", "positive", "pow", "reciprocal", "remainder",
    "rsqrt", "rsub", "sqrt", "square", "sub", "subtract", "true_divide", "xlogy",
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
        return _add(input, other)  # type: ignore[no-any-return]
    except TypeError:
        return _add(operand(input), operand(other))  # type: ignore[no-any-return]


ADD = op("add", lambda g, needs: (g, g), broadcast=True)
_add = _core.recorded(_core.add, ADD, (), 0, 2)


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
        return _sub(input, other)  # type: ignore[no-any-return]
    except TypeError:
        return _sub(operand(input), operand(other))  # type: ignore[no-any-return]


SUB = op("sub", lambda g, needs: (g, neg(g) if needs[1] else None), broadcast=True)
_sub = _core.recorded(_core.sub, SUB, (), 0, 2)


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
_div = _core.recorded(_core.div, DIV, (0, 1), 0b01, 2)


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
        return _div(input, other)  # type: ignore[no-any-return]
    except TypeError:
        return _div(operand(input), operand(other))  # type: ignore[no-any-return]


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
    check_tensors("positive", input)
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
    bases of +-1.) The powers 2, 3, 1/2, -1 and -1/2 are taken by multiplication, root and division.

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


# ---- three operands --------------------------------------------------------------------------------------------------
@method
def lerp(input: Tensor, end: Tensor, weight: Any) -> Tensor:
    """input + weight (end - input), broadcast; weight 1 gives `end` exactly.

    RuntimeError: tensors of different dtypes. NotImplementedError: integers.

    >>> mi.lerp(mi.tensor([0.0, 0.0]), mi.tensor([10.0, 20.0]), 0.5)
    tensor([ 5., 10.])
    """
    ends = (input, end) if isinstance(weight, Tensor) and weight._tracked else (None, None)
    return record(_core.lerp(input, end, weight), LERP, (input, end, weight), (*ends, weight))


def _lerp_rule(g: Tensor, needs: Any, a: Any, b: Any, w: Any) -> Any:
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
operators("add", add, _add)
operators("sub", sub, _sub)
operators("mul", mul)
operators("truediv", div, _div)
operators("floordiv", floor_divide)
operators("mod", remainder)
operators("pow", pow)
operators("neg", neg)
method_as("__pos__")(positive)

negative = also("negative", neg)
subtract, multiply, divide = also("subtract", sub), also("multiply", mul), also("divide", div)
true_divide, arctan2 = also("true_divide", div), also("arctan2", atan2)
