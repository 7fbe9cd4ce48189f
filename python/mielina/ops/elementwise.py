"""Elementwise functions: arithmetic, activations, conversion, and the in-place forms."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _core
from ..autograd import OUTPUT, op, record
from ..dtypes import dtype as DType
from ..tensor import Tensor, method, method_as
from .layout import write_into

__all__ = ["add", "sub", "mul", "div", "neg", "relu", "relu_backward", "to", "clone"]
__functional__ = ["relu"]

_NUMBERS = (int, float)


def operand(x: Any) -> Any:
    """What the core takes as an operand: a Tensor or a Python number. NumPy's become tensors."""
    if isinstance(x, (Tensor, *_NUMBERS)):
        return x
    if isinstance(x, (np.ndarray, np.generic)):
        return _core.from_numpy(np.ascontiguousarray(x).reshape(np.shape(x)))
    raise TypeError(f"expected a Tensor or a number, got {type(x).__name__}")


@method
def add(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """input + alpha * other, broadcast; dtypes promote as PyTorch's."""
    if alpha != 1:
        other = mul(other, alpha)
    try:
        return record(_core.add(input, other), ADD, (input, other), ())
    except TypeError:
        input, other = operand(input), operand(other)
        return record(_core.add(input, other), ADD, (input, other), ())


ADD = op("add", lambda g, needs: (g, g), broadcast=True)


@method
def sub(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """input - alpha * other, broadcast. TypeError for bool tensors."""
    if alpha != 1:
        other = mul(other, alpha)
    input, other = operand(input), operand(other)
    return record(_core.sub(input, other), SUB, (input, other), ())


SUB = op("sub", lambda g, needs: (g, neg(g) if needs[1] else None), broadcast=True)


@method
def mul(input: Any, other: Any) -> Tensor:
    """input * other, broadcast."""
    input, other = operand(input), operand(other)
    return record(_core.mul(input, other), MUL, (input, other), (input, other))


def _mul_rule(g: Tensor, needs: Any, a: Any, b: Any) -> Any:
    return mul(g, b) if needs[0] else None, mul(g, a) if needs[1] else None


MUL = op("mul", _mul_rule, broadcast=True)


@method
def div(input: Any, other: Any) -> Tensor:
    """input / other, broadcast; integers give the default floating dtype."""
    input, other = operand(input), operand(other)
    y = _core.div(input, other)
    return record(y, DIV, (input, other), (input, other))


def _div_rule(g: Tensor, needs: Any, a: Any, b: Any) -> Any:
    da = div(g, b) if needs[0] or needs[1] else None
    return da if needs[0] else None, neg(mul(da, div(a, b))) if needs[1] else None


DIV = op("div", _div_rule, broadcast=True)


@method
def neg(input: Tensor) -> Tensor:
    """-input."""
    return mul(input, -1)


method_as("__add__", "__radd__")(add)
method_as("__sub__")(sub)
method_as("__mul__", "__rmul__")(mul)
method_as("__truediv__")(div)
method_as("__neg__")(neg)
method_as("__rsub__")(lambda self, other: sub(other, self))
method_as("__rtruediv__")(lambda self, other: div(other, self))


# ---- activations -----------------------------------------------------------------------------------------------------------
@method
def relu(input: Tensor) -> Tensor:
    """max(x, 0); NaN stays NaN. Keeps shape, dtype and stride order."""
    return record(_core.relu(input), RELU, (input,), (OUTPUT,))


def relu_backward(g: Tensor, y: Tensor) -> Tensor:
    """g where y > 0, else 0."""
    return record(_core.relu_backward(g, y, y), RELU_BACKWARD, (g,), (y,))


RELU = op("relu", lambda g, needs, y: (relu_backward(g, y),))
RELU_BACKWARD = op("relu_backward", lambda g, needs, y: (relu_backward(g, y),))  # linear in g; y's part has derivative 0


# ---- conversion --------------------------------------------------------------------------------------------------------------
def cast(input: Tensor, dtype: DType) -> Tensor:
    """input as `dtype`; itself when it has it already."""
    if input.dtype is dtype:
        return input
    return record(_core.convert(input, dtype), CAST, (input,), (input.dtype,))


CAST = op("to", lambda g, needs, dtype: (cast(g, dtype),))


@method
def to(input: Tensor, *args: Any, dtype: DType | None = None, copy: bool = False) -> Tensor:
    """input with another dtype (or another tensor's)."""
    for a in args:
        if isinstance(a, DType):
            dtype = a
        elif isinstance(a, Tensor):
            dtype = a.dtype
    y = input if dtype is None else cast(input, dtype)
    return clone(y) if copy and y is input else y


@method
def clone(input: Tensor) -> Tensor:
    """A copy of the data with the same history; dense tensors keep their stride order."""
    return record(_core.clone(input), CLONE, (input,), ())


CLONE = op("clone", lambda g, needs: (g,))


# ---- in place -------------------------------------------------------------------------------------------------------------------
def _in_place(name: str, function: Any) -> Any:
    kernel = getattr(_core, name + "_")

    def changed(self: Tensor, other: Any, *, alpha: Any = 1) -> Tensor:
        if alpha != 1:
            other = mul(other, alpha)
        other = operand(other)
        if _core.grad_enabled() and (self._tracked or (isinstance(other, Tensor) and other._tracked)):
            return write_into(self, function(clone(self), other), name + "_")  # the rule may need the old values
        kernel(self, other)
        return self

    changed.__name__ = changed.__qualname__ = name + "_"
    changed.__doc__ = f"`{name}` into this tensor's own memory; returns it. Leaves that require gradients refuse outside no_grad()."
    method(changed)
    method_as({"add": "__iadd__", "sub": "__isub__", "mul": "__imul__", "div": "__itruediv__"}[name])(changed)
    return changed


add_ = _in_place("add", add)
sub_ = _in_place("sub", sub)
mul_ = _in_place("mul", mul)
div_ = _in_place("div", div)
