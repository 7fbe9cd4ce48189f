"""Signs, rounding and order: abs, floor, maximum, clamp and their kin."""

from __future__ import annotations

import builtins
import math
from typing import Any

from ... import _core
from ...autograd import op, record
from ...tensor import Tensor, check_tensors, method, method_as
from .arithmetic import mul
from .base import Function, add_in_place, also, binary, step, unary, unary_op, zeros_like

__all__ = [
    "abs", "absolute", "ceil", "clamp", "clamp_max", "clamp_min", "clip", "copysign", "fix", "floor", "fmax", "fmin",
    "frac", "heaviside", "maximum", "minimum", "round", "sgn", "sign", "trunc",
]  # fmt: skip


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


ROUND = op("round", lambda g, needs: (zeros_like(g),))
add_in_place(round, remembers=False)


def _copysign_rule(g: Tensor, needs: Any, a: Any, b: Any) -> Any:
    from .logic import eq, where

    # 1 or -1, off the tape: it has no slope of its own.
    da = mul(g, where(eq(a, 0), 0.0, _core.div(_core.copysign(a, b), a))) if needs[0] else None
    return da, zeros_like(g) if needs[1] else None


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
    check_tensors("clamp", input)
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


# ---- operators and second names --------------------------------------------------------------------------------------
method_as("__abs__")(abs)


@method_as("__round__")
def _round_operator(self: Tensor, ndigits: int | None = None) -> Tensor:
    return round(self, decimals=ndigits or 0)


absolute, sgn, fix = also("absolute", abs), also("sgn", sign), also("fix", trunc)
clip = also("clip", clamp)
