"""What the elementwise pages share: operands, and the making of functions of one and two operands from their kernels.

A function of one operand is a line on its page: name, docstring, and its derivative as a differentiable formula. The
kernel of the gradient is one pass over g and either x or y; the formula serves the higher orders only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ... import _core, autograd
from ...autograd import OUTPUT, Op, op, record
from ...tensor import Tensor, check_tensors, method, method_as
from ..layout import clone_of, write_into

Function = Callable[..., Any]

_calls: dict[Function, Function] = {}  # of the functions made here, what they call: it takes Tensors and numbers only
COMPARISONS = ("lt", "le", "eq", "ne", "gt", "ge")
OPERATORS: dict[str, Function] = {}  # "add", ...: the functions of the operators, which are slots of Tensor's type


def operand(x: Any) -> Any:
    """What the core takes as an operand: a Tensor or a Python number. NumPy's numbers are such, its arrays become
    tensors.
    """
    if isinstance(x, np.generic):
        return x.item()
    if isinstance(x, (Tensor, int, float)):
        return x
    if isinstance(x, np.ndarray):
        return _core.from_numpy(np.ascontiguousarray(x).reshape(np.shape(x)))
    raise TypeError(f"expected a Tensor or a number, got {type(x).__name__}")


def again(core: Function, *xs: Any) -> tuple[Any, ...]:
    """The operands made fit for the core, and its result: what to do after a TypeError. The first try costs nothing."""
    xs = tuple(map(operand, xs))
    return *xs, core(*xs)


def _named(function: Function, name: str, doc: str | None) -> Function:
    function.__name__ = function.__qualname__ = name  # type: ignore[attr-defined]
    function.__doc__ = doc
    return function


# ---- one operand -----------------------------------------------------------------------------------------------------
def unary_op(name: str, of: str, derivative: Function | None) -> Op:
    """The Op of y = f(x; parameters): the saves are x or y, whichever `of` names, and the parameters.

    derivative(s, *parameters) -> f' as differentiable functions of s; None: constant pieces, whose derivative is 0.
    """
    core = getattr(_core, ("clamp_numbers" if name == "clamp" else name) + "_backward")

    def backward(g: Tensor, s: Tensor, *parameters: float) -> Tensor:
        dx = core(g, s, s, *parameters)
        return record(dx, gradient, (g,) if derivative is None else (g, s), (g, s, *parameters))

    def gradient_rule(h: Tensor, needs: Any, g: Tensor, s: Tensor, *parameters: float) -> Any:
        dg = backward(h, s, *parameters) if needs[0] else None
        if derivative is None:
            return (dg,)
        return dg, _pull(derivative, h * g, s, parameters) if needs[1] else None

    def composite(g: Tensor, s: Tensor, *parameters: float) -> Any:
        return g * derivative(s, *parameters)  # type: ignore[misc]  # not called without one

    gradient = op(name + "_backward", gradient_rule, None if derivative is None else composite)
    made = op(name, lambda g, needs, s, *parameters: (backward(g, s, *parameters),))
    return made


def _pull(derivative: Function, g: Tensor, s: Tensor, parameters: tuple[float, ...]) -> Any:
    """g times the derivative of `derivative` at s."""
    with autograd.enable_grad():
        leaf = s.detach().requires_grad_()
        y = derivative(leaf, *parameters)
        return autograd.grad(y, leaf, g)[0] if y._tracked else None


def unary(name: str, doc: str, of: str, derivative: Function | None, in_place: bool = True) -> Function:
    """The function and method `name`(input), with its in-place form `name`_."""
    call = _core.recorded(getattr(_core, name), unary_op(name, of, derivative), (OUTPUT if of == "y" else 0,), 0, 1)

    def function(input: Tensor) -> Tensor:
        return call(input)  # type: ignore[no-any-return]

    _calls[function] = call
    method(_named(function, name, doc))
    if in_place:
        add_in_place(function, getattr(_core, name + "_"), remembers=of == "x")
    return function


def step(name: str, doc: str) -> Function:
    """The same for functions that are constant between their jumps: the gradient is 0."""
    call = _core.recorded(getattr(_core, name), op(name, lambda g, needs: (zeros_like(g),)), (), 0, 1)

    def function(input: Tensor) -> Tensor:
        return call(input)  # type: ignore[no-any-return]

    method(_named(function, name, doc))
    add_in_place(function, getattr(_core, name + "_"), remembers=False)
    return function


def zeros_like(g: Tensor) -> Tensor:
    y = _core.empty_like(g, g.dtype)
    _core.fill_(y, 0)
    return y


# ---- two operands ----------------------------------------------------------------------------------------------------
def pair(name: str, doc: str, made: Op, saves: tuple[Any, ...], linear: int = 0) -> Function:
    """The function `name`(input, other) that is its kernel, recorded as `made`, and no method yet.

    saves: what the rule is given, 0 for the input and 1 for the other. linear: a bit for each that the rule needs for
    the other's gradient only, so that it is not kept if that wants none.
    """
    call = _core.recorded(getattr(_core, name), made, saves, linear, 2)

    def function(input: Any, other: Any) -> Tensor:
        try:
            return call(input, other)  # type: ignore[no-any-return]
        except TypeError:
            return call(operand(input), operand(other))  # type: ignore[no-any-return]

    _calls[function] = call
    return _named(function, name, doc)


def binary(
    name: str, doc: str, rule: Function | None, methods: str = "out of place, in place", bilinear: bool = False
) -> Function:
    """The function `name`(input, other), and its methods.

    rule(g, needs, input, other) -> their gradients; None: constant between jumps, or integers only. bilinear: the rule
    needs each operand for the other's gradient only, so beside one that wants none it is not kept.
    """
    made = op(name, rule or (lambda g, needs, a, b: tuple(zeros_like(g) if n else None for n in needs)), broadcast=True)

    function = pair(name, doc, made, (0, 1), 0b11 if bilinear else 0)
    if "out of place" in methods:
        method(function)
    if "in place" in methods:
        add_in_place(function, getattr(_core, name + "_"))
    return function


def operators(symbol: str, function: Function, call: Function | None = None) -> None:
    """The operator `symbol` of Tensor ("add": x + y and y + x), and of two operands its __isymbol__.

    call: what it calls first, the function's own without a Python frame if there is one; `function` itself follows
    after a TypeError.
    """

    def patient(*operands: Any) -> Tensor:
        try:
            return function(*operands)  # type: ignore[no-any-return]
        except TypeError:
            if all(isinstance(x, (Tensor, int, float, np.ndarray, np.generic)) for x in operands):
                raise
            return NotImplemented  # type: ignore[no-any-return]

    _core.set_operator(symbol, call or _calls.get(function, function), patient)
    OPERATORS[symbol] = function
    if symbol != "neg" and symbol not in COMPARISONS:
        method_as(f"__i{symbol}__")(getattr(Tensor, function.__name__ + "_"))


# ---- in place --------------------------------------------------------------------------------------------------------
def _check_castable(self: Tensor, y: Tensor, name: str) -> None:
    order = (y.dtype.is_floating_point, y.dtype.name != "bool")
    if order > (self.dtype.is_floating_point, self.dtype.name != "bool"):
        raise RuntimeError(
            f"{name}: the result's dtype {y.dtype} cannot be cast to {self.dtype} of the tensor it is written to"
        )


def add_in_place(
    function: Function, kernel: Function | None = None, attach: bool = True, remembers: bool = True
) -> Function:
    """Tensor.NAME_: the function's result in the tensor's own memory, by the kernel where there is one and no gradient
    is wanted. Leaves that require gradients refuse outside no_grad().

    remembers: the gradient rule needs the input as it was, which is then kept as a copy.
    """
    name = function.__name__ + "_"

    def changed(self: Tensor, *args: Any, **keywords: Any) -> Tensor:
        check_tensors(name, self)
        if _core.grad_enabled() and (self._tracked or any(isinstance(a, Tensor) and a._tracked for a in args)):
            old = clone_of(self) if remembers else self
            y = function(old, *[old if a is self else a for a in args], **keywords)
            _check_castable(self, y, name)
            return write_into(self, y, name)
        if kernel is not None and not keywords:
            try:
                kernel(self, *args)
            except TypeError:
                kernel(self, *map(operand, args))
            return self
        y = function(self, *args, **keywords)
        _check_castable(self, y, name)
        _core.copy_into(self, y)
        return self

    changed.__wrapped__ = function  # type: ignore[attr-defined]  # whose signature it has
    _named(changed, name, f"`{function.__name__}` into this tensor's own memory; returns it.")
    return method(changed) if attach else changed


def also(name: str, function: Any) -> Any:
    """A second name, as PyTorch has it; the in-place form too."""
    method_as(name)(function)
    method_as(name + "_")(getattr(Tensor, function.__name__ + "_"))
    return function
