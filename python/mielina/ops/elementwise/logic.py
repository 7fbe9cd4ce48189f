"""Comparison, logic, bits, classification, selection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ... import _core
from ...autograd import op, record
from ...dtypes import get_default_dtype
from ...tensor import Tensor, check_tensors, method, method_as
from .base import add_in_place, again, binary, operators, pair, unary_op

__all__ = [
    "allclose", "bitwise_and", "bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift",
    "bitwise_xor", "eq", "equal", "ge", "greater", "greater_equal", "gt", "isclose", "isfinite", "isinf", "isnan",
    "isneginf", "isposinf", "le", "less", "less_equal", "logical_and", "logical_not", "logical_or", "logical_xor",
    "lt", "nan_to_num", "ne", "not_equal", "signbit", "where",
]  # fmt: skip


# ---- comparisons -----------------------------------------------------------------------------------------------------
def _predicate(name: str, doc: str) -> Callable[..., Tensor]:
    """name(input, other): a bool tensor, which has no gradient. Its in-place form writes 0 and 1."""
    function = pair(name, doc, op(name, lambda g, needs: (None, None)), ())
    add_in_place(method(function))
    return function


eq = _predicate(
    "eq",
    """input == other, broadcast: a bool tensor.

    >>> mi.eq(mi.tensor([1, 2]), mi.tensor([1, 3]))
    tensor([ True, False])
    """,
)
ne = _predicate(
    "ne",
    """input != other, broadcast: a bool tensor.

    >>> mi.ne(mi.tensor([1, 2]), mi.tensor([1, 3]))
    tensor([False,  True])
    """,
)
lt = _predicate(
    "lt",
    """input < other, broadcast: a bool tensor; False beside NaN.

    >>> mi.lt(mi.tensor([1, 2]), mi.tensor([2, 2]))
    tensor([ True, False])
    """,
)
le = _predicate(
    "le",
    """input <= other, broadcast: a bool tensor; False beside NaN.

    >>> mi.le(mi.tensor([1, 2]), mi.tensor([1, 1]))
    tensor([ True, False])
    """,
)
gt = _predicate(
    "gt",
    """input > other, broadcast: a bool tensor; False beside NaN.

    >>> mi.gt(mi.tensor([1, 2]), mi.tensor([0, 2]))
    tensor([ True, False])
    """,
)
ge = _predicate(
    "ge",
    """input >= other, broadcast: a bool tensor; False beside NaN.

    >>> mi.ge(mi.tensor([1, 2]), mi.tensor([1, 3]))
    tensor([ True, False])
    """,
)
logical_and = _predicate(
    "logical_and",
    """Whether both are not 0.

    >>> mi.logical_and(mi.tensor([True, False]), mi.tensor([True, True]))
    tensor([ True, False])
    """,
)
logical_or = _predicate(
    "logical_or",
    """Whether one is not 0.

    >>> mi.logical_or(mi.tensor([True, False]), mi.tensor([False, False]))
    tensor([ True, False])
    """,
)
logical_xor = _predicate(
    "logical_xor",
    """Whether exactly one is not 0.

    >>> mi.logical_xor(mi.tensor([True, False]), mi.tensor([True, True]))
    tensor([False,  True])
    """,
)


for _function in (eq, ne, lt, le, gt, ge):
    operators(_function.__name__, _function)


def _also(name: str, function: Any) -> Any:
    method_as(name)(function)
    method_as(name + "_")(getattr(Tensor, function.__name__ + "_"))
    return function


greater, greater_equal, less = _also("greater", gt), _also("greater_equal", ge), _also("less", lt)
less_equal, not_equal = _also("less_equal", le), _also("not_equal", ne)


def _property(name: str, doc: str, core: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """name(input): a bool tensor, which has no gradient."""
    made = op(name, lambda g, needs: (None,))

    def function(input: Tensor) -> Tensor:
        return record(core(input), made, (input,), ())

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return method(function)


isnan = _property(
    "isnan",
    """Whether each element is NaN.

    >>> mi.isnan(mi.tensor([1.0, float("inf"), float("nan")]))
    tensor([False, False,  True])
    """,
    _core.isnan,
)
isinf = _property(
    "isinf",
    """Whether each element is infinite.

    >>> mi.isinf(mi.tensor([1.0, float("inf"), float("nan")]))
    tensor([False,  True, False])
    """,
    _core.isinf,
)
isfinite = _property(
    "isfinite",
    """Whether each element is neither infinite nor NaN.

    >>> mi.isfinite(mi.tensor([1.0, float("inf"), float("nan")]))
    tensor([ True, False, False])
    """,
    _core.isfinite,
)
isposinf = _property(
    "isposinf",
    """Whether each element is +inf.

    >>> mi.isposinf(mi.tensor([-float("inf"), float("inf")]))
    tensor([False,  True])
    """,
    lambda x: _core.eq(x, float("inf")),
)
isneginf = _property(
    "isneginf",
    """Whether each element is -inf.

    >>> mi.isneginf(mi.tensor([-float("inf"), float("inf")]))
    tensor([ True, False])
    """,
    lambda x: _core.eq(x, -float("inf")),
)
signbit = _property(
    "signbit",
    """Whether the sign is minus, of -0 and NaN too.

    >>> mi.signbit(mi.tensor([-0.0, 1.0]))
    tensor([ True, False])
    """,
    _core.signbit,
)
logical_not = _property(
    "logical_not",
    """Whether each element is 0.

    >>> mi.logical_not(mi.tensor([0, 3]))
    tensor([ True, False])
    """,
    lambda x: _core.eq(x, 0),
)
add_in_place(logical_not)


@method
def isclose(input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """|input - other| <= atol + rtol |other|, or equal (infinities too); NaN is close to NaN if `equal_nan`.

    >>> mi.isclose(mi.tensor([1.0, 2.0]), mi.tensor([1.0, 2.1]))
    tensor([ True, False])
    """
    if not isinstance(input, Tensor) or not isinstance(other, Tensor):
        raise TypeError(f"isclose: expected two tensors, got {type(input).__name__} and {type(other).__name__}")
    if not (rtol >= 0 and atol >= 0):
        raise RuntimeError(f"isclose: rtol and atol must not be negative, got {rtol} and {atol}")
    if input.dtype is not other.dtype:
        raise RuntimeError(f"isclose: expected one dtype, got {input.dtype} and {other.dtype}")
    close = _core.eq(input, other)
    if equal_nan:
        close = _core.logical_or(close, _core.logical_and(_core.isnan(input), _core.isnan(other)))
    if rtol == 0 and atol == 0:
        return record(close, ISCLOSE, (input, other), ())
    # Integers are compared as numbers of the default dtype.
    a, b = (x if x.dtype.is_floating_point else _core.convert(x, get_default_dtype()) for x in (input, other))
    gap, allowed = _core.abs(_core.sub(a, b)), _core.add(_core.abs(_core.mul(b, rtol)), atol)
    near = _core.logical_and(_core.isfinite(gap), _core.le(gap, allowed))
    return record(_core.logical_or(close, near), ISCLOSE, (input, other), ())


ISCLOSE = op("isclose", lambda g, needs: (None, None))


@method
def allclose(input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    """Whether all elements are close, as isclose has it.

    >>> mi.allclose(mi.tensor([1.0, 2.0]), mi.tensor([1.0, 2.0 + 1e-7]))
    True
    """
    return not _core.item(_core.any_zero(isclose(input, other, rtol, atol, equal_nan)))


@method
def equal(input: Tensor, other: Tensor) -> bool:
    """Whether both have one shape and equal elements.

    >>> mi.equal(mi.tensor([1, 2]), mi.tensor([1, 2]))
    True
    """
    check_tensors("equal", input, other)
    return input.shape == other.shape and not _core.item(_core.any_zero(_core.eq(input, other)))


# ---- bits ------------------------------------------------------------------------------------------------------------
bitwise_and = binary(
    "bitwise_and",
    """The bits of both; of bools: and. NotImplementedError for floating tensors.

    >>> mi.bitwise_and(mi.tensor([6, 5]), 3)
    tensor([2, 1])
    """,
    None,
)
bitwise_or = binary(
    "bitwise_or",
    """The bits of either; of bools: or. NotImplementedError for floating tensors.

    >>> mi.bitwise_or(mi.tensor([4, 1]), 2)
    tensor([6, 3])
    """,
    None,
)
bitwise_xor = binary(
    "bitwise_xor",
    """The bits of exactly one; of bools: xor. NotImplementedError for floating tensors.

    >>> mi.bitwise_xor(mi.tensor([6, 5]), 3)
    tensor([5, 6])
    """,
    None,
)
bitwise_left_shift = binary(
    "bitwise_left_shift",
    """input 2^other, without the bits that leave the dtype.

    >>> mi.bitwise_left_shift(mi.tensor([1, 3]), 2)
    tensor([ 4, 12])
    """,
    None,
)
bitwise_right_shift = binary(
    "bitwise_right_shift",
    """floor(input / 2^other).

    >>> mi.bitwise_right_shift(mi.tensor([8, -8]), 2)
    tensor([ 2, -2])
    """,
    None,
)


@method
def bitwise_not(input: Tensor) -> Tensor:
    """All bits turned; of bools: not. NotImplementedError for floating tensors.

    >>> mi.bitwise_not(mi.tensor([0, 5]))
    tensor([-1, -6])
    """
    check_tensors("bitwise_not", input)
    return bitwise_xor(input, True if input.dtype.name == "bool" else -1)


add_in_place(bitwise_not)
operators("and", bitwise_and)
operators("or", bitwise_or)
operators("xor", bitwise_xor)
operators("lshift", bitwise_left_shift)
operators("rshift", bitwise_right_shift)


@method_as("__invert__")
def _invert(self: Tensor) -> Tensor:
    if self.dtype.is_floating_point:
        raise TypeError(f"~: expected an integer or bool tensor, got {self.dtype.name}")
    return bitwise_not(self)


# ---- selection -------------------------------------------------------------------------------------------------------
def where(condition: Tensor, input: Any = None, other: Any = None) -> Any:
    """input where the condition holds, else other; all three broadcast, the last two promote.

    With the condition alone: where it holds, as nonzero(as_tuple=True). RuntimeError: the condition is not bool (or
    uint8, as a mask).

    >>> mi.where(mi.tensor([True, False]), mi.tensor([1, 2]), 0)
    tensor([1, 0])
    """
    check_tensors("where", condition)
    if input is None and other is None:
        return condition.nonzero(as_tuple=True)
    if isinstance(condition, Tensor) and condition.dtype.name == "uint8":
        condition = ne(condition, 0)
    try:
        y = _core.where(condition, input, other)
    except TypeError:
        condition, input, other, y = again(_core.where, condition, input, other)
    return record(y, WHERE, (input, other), (condition,))


def _where_rule(g: Tensor, needs: Any, condition: Tensor) -> Any:
    return where(condition, g, 0.0) if needs[0] else None, where(condition, 0.0, g) if needs[1] else None


WHERE = op("where", _where_rule, broadcast=True)


@method_as("where")
def _where_method(self: Tensor, condition: Tensor, other: Any) -> Tensor:
    """self where the condition holds, else other."""
    return where(condition, self, other)


NAN_TO_NUM = unary_op("nan_to_num", "x", None)
_EXTREMES = {
    "float16": 65504.0,
    "bfloat16": 3.3895313892515355e38,
    "float32": 3.4028234663852886e38,
    "float64": 1.7976931348623157e308,
}


@method
def nan_to_num(
    input: Tensor, nan: float | None = None, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """NaN replaced by `nan` (0), infinities by `posinf` and `neginf` (the largest and smallest number of the dtype).

    >>> mi.nan_to_num(mi.tensor([float("nan"), float("inf")]), posinf=9.0)
    tensor([0., 9.])
    """
    check_tensors("nan_to_num", input)
    if not input.dtype.is_floating_point:
        return input.clone()
    top = _EXTREMES[input.dtype.name]
    if posinf is None and neginf is None and (nan is None or nan == 0):  # one pass instead of six
        parameters = 0.0 if nan is None else float(nan), top
        return record(_core.nan_to_num(input, *parameters), NAN_TO_NUM, (input,), (input, *parameters))
    y = where(isnan(input), 0.0 if nan is None else nan, input)
    y = where(isposinf(input), top if posinf is None else posinf, y)
    return where(isneginf(input), -top if neginf is None else neginf, y)


add_in_place(nan_to_num)
