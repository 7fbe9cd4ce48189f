"""Elementary and special functions. Integers and bool become the default floating dtype.

Their errors stand at the kernels (csrc/cpu/math): below 2.6 units in the last place, but for tan (3.1) and erfc (3.9).
"""

from __future__ import annotations

import math
import operator
from typing import Any

from ... import _core
from ...autograd import op, record
from ...tensor import Tensor, method, method_as
from .arithmetic import mul, reciprocal, rsqrt, square
from .base import Function, add_in_place, unary, unary_op

__all__ = [
    "acos", "acosh", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctanh", "asin", "asinh", "atan", "atanh",
    "cos", "cosh", "deg2rad", "digamma", "erf", "erfc", "erfinv", "exp", "exp2", "expm1", "lgamma", "log", "log10",
    "log1p", "log2", "logit", "polygamma", "rad2deg", "sigmoid", "sin", "sinc", "sinh", "tan", "tanh",
]  # fmt: skip

# ---- exponentials and logarithms -------------------------------------------------------------------------------------
exp = unary(
    "exp",
    """e^input.

    >>> mi.exp(mi.tensor([0.0, 1.0]))
    tensor([1.0000, 2.7183])
    """,
    "y",
    lambda y: y,
)
exp2 = unary(
    "exp2",
    """2^input.

    >>> mi.exp2(mi.tensor([0.0, 3.0]))
    tensor([1., 8.])
    """,
    "y",
    lambda y: y * math.log(2),
)
expm1 = unary(
    "expm1",
    """e^input - 1, exact near 0.

    >>> mi.expm1(mi.tensor([0.0, 1.0]))
    tensor([0.0000, 1.7183])
    """,
    "y",
    lambda y: y + 1,
)
log = unary(
    "log",
    """The natural logarithm; -inf at 0, NaN for negative numbers.

    >>> mi.log(mi.tensor([1.0, 10.0]))
    tensor([0.0000, 2.3026])
    """,
    "x",
    lambda x: reciprocal(x),
)
log2 = unary(
    "log2",
    """The logarithm to base 2.

    >>> mi.log2(mi.tensor([1.0, 8.0]))
    tensor([0., 3.])
    """,
    "x",
    lambda x: reciprocal(x * math.log(2)),
)
log10 = unary(
    "log10",
    """The logarithm to base 10.

    >>> mi.log10(mi.tensor([1.0, 1000.0]))
    tensor([0., 3.])
    """,
    "x",
    lambda x: reciprocal(x * math.log(10)),
)
log1p = unary(
    "log1p",
    """log(1 + input), exact near 0.

    >>> mi.log1p(mi.tensor([0.0, 1.0]))
    tensor([0.0000, 0.6931])
    """,
    "x",
    lambda x: reciprocal(x + 1),
)
sigmoid = unary(
    "sigmoid",
    """1 / (1 + exp(-input)).

    >>> mi.sigmoid(mi.tensor([0.0, 2.0]))
    tensor([0.5000, 0.8808])
    """,
    "y",
    lambda y: y * (1 - y),
)


def _logit_slope(x: Tensor, low: float, high: float) -> Tensor:
    from .logic import ge, le, logical_and, where

    bounded = low != -math.inf
    inside = logical_and(ge(x, low if bounded else 0.0), le(x, high if bounded else 1.0))
    return where(inside, reciprocal(x * (1 - x)), 0.0 if bounded else math.nan)


LOGIT = unary_op("logit", "x", _logit_slope)


@method
def logit(input: Tensor, eps: float | None = None) -> Tensor:
    """log(input / (1 - input)), the inverse of sigmoid; `eps` first moves the input into [eps, 1 - eps].

    The gradient outside is 0 with eps; without it, outside [0, 1], NaN.

    >>> mi.logit(mi.tensor([0.5, 0.9]))
    tensor([0.0000, 2.1972])
    """
    low, high = (-math.inf, math.inf) if eps is None else (float(eps), 1 - eps)
    return record(_core.logit(input, low, high), LOGIT, (input,), (input, low, high))


add_in_place(logit)

# ---- circles and hyperbolas ------------------------------------------------------------------------------------------
sin = unary(
    "sin",
    """The sine; arguments of any size are reduced exactly.

    >>> mi.sin(mi.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8415])
    """,
    "x",
    lambda x: cos(x),
)
cos: Function = unary(
    "cos",
    """The cosine.

    >>> mi.cos(mi.tensor([0.0, 1.0]))
    tensor([1.0000, 0.5403])
    """,
    "x",
    lambda x: -sin(x),
)
tan = unary(
    "tan",
    """The tangent.

    >>> mi.tan(mi.tensor([0.0, 1.0]))
    tensor([0.0000, 1.5574])
    """,
    "y",
    lambda y: 1 + square(y),
)
asin = unary(
    "asin",
    """The inverse sine, in [-pi/2, pi/2].

    >>> mi.asin(mi.tensor([-1.0, 0.0, 1.0]))
    tensor([-1.5708,  0.0000,  1.5708])
    """,
    "x",
    lambda x: rsqrt(1 - square(x)),
)
acos = unary(
    "acos",
    """The inverse cosine, in [0, pi].

    >>> mi.acos(mi.tensor([-1.0, 0.0, 1.0]))
    tensor([3.1416, 1.5708, 0.0000])
    """,
    "x",
    lambda x: -rsqrt(1 - square(x)),
)
atan = unary(
    "atan",
    """The inverse tangent, in [-pi/2, pi/2].

    >>> mi.atan(mi.tensor([0.0, 1.0]))
    tensor([0.0000, 0.7854])
    """,
    "x",
    lambda x: reciprocal(1 + square(x)),
)
sinh = unary(
    "sinh",
    """The hyperbolic sine.

    >>> mi.sinh(mi.tensor([0.0, 1.0]))
    tensor([0.0000, 1.1752])
    """,
    "x",
    lambda x: cosh(x),
)
cosh: Function = unary(
    "cosh",
    """The hyperbolic cosine.

    >>> mi.cosh(mi.tensor([0.0, 1.0]))
    tensor([1.0000, 1.5431])
    """,
    "x",
    lambda x: sinh(x),
)
tanh = unary(
    "tanh",
    """The hyperbolic tangent.

    >>> mi.tanh(mi.tensor([0.0, 1.0]))
    tensor([0.0000, 0.7616])
    """,
    "y",
    lambda y: 1 - square(y),
)
asinh = unary(
    "asinh",
    """The inverse hyperbolic sine.

    >>> mi.asinh(mi.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8814])
    """,
    "x",
    lambda x: rsqrt(square(x) + 1),
)
acosh = unary(
    "acosh",
    """The inverse hyperbolic cosine, for input >= 1.

    >>> mi.acosh(mi.tensor([1.0, 2.0]))
    tensor([0.0000, 1.3170])
    """,
    "x",
    lambda x: rsqrt(square(x) - 1),
)
atanh = unary(
    "atanh",
    """The inverse hyperbolic tangent, for |input| <= 1.

    >>> mi.atanh(mi.tensor([0.0, 0.5]))
    tensor([0.0000, 0.5493])
    """,
    "x",
    lambda x: reciprocal(1 - square(x)),
)


def _sinc_slope(x: Tensor) -> Tensor:
    from .logic import eq, where

    at_zero = eq(x, 0)
    safe = where(at_zero, 1.0, x)
    slope = (cos(safe * math.pi) - sinc(safe)) / safe
    # sinc' = -pi^2 x / 3 near 0: the term keeps the second derivative right there.
    return where(at_zero, x * (-(math.pi**2) / 3), slope)


sinc = unary(
    "sinc",
    """sin(pi input) / (pi input), and 1 at 0.

    >>> mi.sinc(mi.tensor([0.0, 0.5]))
    tensor([1.0000, 0.6366])
    """,
    "x",
    _sinc_slope,
)

# ---- the error function's and the gamma function's families ----------------------------------------------------------
_SLOPE = 2 / math.sqrt(math.pi)
erf = unary(
    "erf",
    """2 / sqrt(pi) times the integral of exp(-t^2) from 0 to input.

    >>> mi.erf(mi.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8427])
    """,
    "x",
    lambda x: _SLOPE * exp(-square(x)),
)
erfc = unary(
    "erfc",
    """1 - erf(input), exact for large input.

    >>> mi.erfc(mi.tensor([0.0, 1.0]))
    tensor([1.0000, 0.1573])
    """,
    "x",
    lambda x: -_SLOPE * exp(-square(x)),
)
erfinv = unary(
    "erfinv",
    """The inverse of erf, on [-1, 1].

    >>> mi.erfinv(mi.tensor([0.0, 0.5]))
    tensor([0.0000, 0.4769])
    """,
    "y",
    lambda y: exp(square(y)) / _SLOPE,
)
lgamma = unary(
    "lgamma",
    """log |Gamma(input)|.

    >>> mi.lgamma(mi.tensor([1.0, 5.0]))
    tensor([0.0000, 3.1781])
    """,
    "x",
    lambda x: digamma(x),
)


def polygamma(n: int, input: Tensor) -> Tensor:
    """The n-th derivative of digamma: (-1)^(n + 1) n! times the sum over k >= 0 of (input + k)^-(n + 1).

    inf, with that sign, at the poles 0, -1, ... RuntimeError: n is negative. TypeError: n is no integer.
    Source: Abramowitz & Stegun 6.4.

    >>> mi.polygamma(1, mi.tensor([1.0]))
    tensor([1.6449])
    """
    n = min(operator.index(n), 1000)  # n! is infinite from 171 on; the kernel takes a step for each n
    if n < 0:
        raise RuntimeError(f"polygamma: n must not be negative, got {n}")
    if n == 0:
        return digamma(input)  # type: ignore[no-any-return]
    if n == 1:
        y = _core.trigamma(input)
    else:
        y = _core.polygamma(input, n, (-1.0) ** (n + 1) * math.gamma(n + 1) if n <= 170 else (-1) ** (n + 1) * math.inf)
    return record(y, POLYGAMMA, (input,), (input, n))  # type: ignore[no-any-return]


POLYGAMMA = op("polygamma", lambda g, needs, x, n: (mul(g, polygamma(n + 1, x)),))
digamma: Function = unary(
    "digamma",
    """The derivative of lgamma; NaN at the poles.

    >>> mi.digamma(mi.tensor([1.0]))
    tensor([-0.5772])
    """,
    "x",
    lambda x: polygamma(1, x),
)


@method_as("polygamma")
def _polygamma(self: Tensor, n: int) -> Tensor:
    """The n-th derivative of digamma at self."""
    return polygamma(n, self)


_polygamma.__name__ = "polygamma"
add_in_place(_polygamma)


# ---- angles ----------------------------------------------------------------------------------------------------------
@method
def deg2rad(input: Tensor) -> Tensor:
    """Degrees as radians.

    >>> mi.deg2rad(mi.tensor([0.0, 180.0]))
    tensor([0.0000, 3.1416])
    """
    return mul(input, math.pi / 180)


@method
def rad2deg(input: Tensor) -> Tensor:
    """Radians as degrees.

    >>> mi.rad2deg(mi.tensor([0.0, 3.14159265]))
    tensor([  0., 180.])
    """
    return mul(input, 180 / math.pi)


add_in_place(deg2rad)
add_in_place(rad2deg)


def _arc(function: Any) -> Any:
    """NumPy's long name for an inverse function, as PyTorch has it."""
    name = "arc" + function.__name__[1:]
    method_as(name)(function)
    method_as(name + "_")(getattr(Tensor, function.__name__ + "_"))
    return function


arccos, arcsin, arctan = _arc(acos), _arc(asin), _arc(atan)
arccosh, arcsinh, arctanh = _arc(acosh), _arc(asinh), _arc(atanh)
