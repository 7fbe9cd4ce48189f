"""Derivatives of functions: `jacobian`, `hessian`, `vjp`, `jvp`, `vhp`, `hvp`. They stand on `grad`.

func(*inputs) returns a Tensor or a tuple of Tensors; `inputs` is a Tensor or a tuple of Tensors, and results are nested
alike. create_graph=True makes the results differentiable. strict=True: RuntimeError where an output does not depend on
an input (else its derivative is zeros).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..tensor import Tensor
from .gradients import grad
from .modes import enable_grad

Function = Callable[..., Any]


def _tuple(x: Any, what: str) -> tuple[Any, ...]:
    parts = x if isinstance(x, tuple) else (x,)
    for i, part in enumerate(parts):
        if not isinstance(part, Tensor):
            raise TypeError(f"{what} must be a Tensor or a tuple of Tensors, but element {i} is {type(part).__name__}")
    return parts


def _leaves(inputs: tuple[Any, ...], create_graph: bool) -> tuple[Any, ...]:
    """The inputs cut off from each other: as results of theirs where the derivative is to be differentiable."""
    return tuple(x.view_as(x) if create_graph and x._tracked else x.detach().requires_grad_() for x in inputs)


def _evaluated(func: Function, inputs: Any, create_graph: bool) -> tuple[Any, tuple[Any, ...], tuple[Any, ...]]:
    xs = _leaves(_tuple(inputs, "inputs"), create_graph)
    found = func(*xs)
    return found, _tuple(found, "the result of func"), xs


def _direction(v: Any, like: tuple[Any, ...], what: str) -> tuple[Any, ...]:
    if v is None:
        if len(like) != 1 or like[0].numel() != 1:
            raise RuntimeError(f"v can be left out only for a single {what} of one element")
        return (like[0].detach().new_ones(like[0].shape),)
    vs = _tuple(v, "v")
    if len(vs) != len(like) or any(a.shape != b.shape for a, b in zip(vs, like)):
        shapes = [b.shape for b in like]
        raise RuntimeError(f"v has shapes {[a.shape for a in vs]}, the {what}s have {shapes}")
    return vs


def _gradients(ys: tuple[Any, ...], xs: tuple[Any, ...], v: Any, create: bool, strict: bool, retain: bool) -> Any:
    pairs = [(y, g) for y, g in zip(ys, v) if y._tracked]
    if strict and len(pairs) < len(ys):
        raise RuntimeError("an output of func does not depend on the inputs; strict=True does not allow that")
    if not pairs:
        return tuple(x.detach().new_zeros(x.shape) for x in xs)
    ys, v = zip(*pairs)
    found = grad(ys, xs, v, retain_graph=retain, create_graph=create, allow_unused=True)
    if strict and any(g is None for g in found):
        raise RuntimeError("the outputs of func do not depend on an input; strict=True does not allow that")
    return tuple(x.detach().new_zeros(x.shape) if g is None else g for x, g in zip(xs, found))


def _finished(parts: Any, single: bool, create_graph: bool) -> Any:
    parts = tuple(p if create_graph else p.detach() for p in parts)
    return parts[0] if single else parts


def vjp(func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """(func(*inputs), v^T J): J is the Jacobian, v has the outputs' shapes (left out for one number)."""
    with enable_grad():
        found, ys, xs = _evaluated(func, inputs, create_graph)
        vs = _direction(v, ys, "output")
        products = _gradients(ys, xs, vs, create_graph, strict, create_graph)
    return (
        _finished(ys, not isinstance(found, tuple), create_graph),
        _finished(products, not isinstance(inputs, tuple), create_graph),
    )


def jvp(func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """(func(*inputs), J v): v has the inputs' shapes. The gradient of u -> u^T J in direction v, u = 0."""
    with enable_grad():
        found, ys, xs = _evaluated(func, inputs, create_graph)
        vs = _direction(v, xs, "input")
        us = tuple(y.detach().new_zeros(y.shape).requires_grad_() for y in ys)
        backward = _gradients(ys, xs, us, True, strict, True)
        products = _gradients(backward, us, vs, create_graph, False, create_graph)
    single = not isinstance(found, tuple)
    return _finished(ys, single, create_graph), _finished(products, single, create_graph)


def jacobian(func: Function, inputs: Any, create_graph: bool = False, strict: bool = False) -> Any:
    """d func_i / d inputs_j, of shape (*output shape, *input shape); a tuple for each tuple of outputs or inputs.

    One walk back for each element of the outputs.
    """
    with enable_grad():
        found, ys, xs = _evaluated(func, inputs, create_graph)
        rows = tuple(_jacobian_of(y, xs, create_graph, strict) for y in ys)
    single = not isinstance(inputs, tuple)
    tables = tuple(_finished(row, single, create_graph) for row in rows)
    return tables if isinstance(found, tuple) else tables[0]


def _jacobian_of(y: Any, xs: tuple[Any, ...], create_graph: bool, strict: bool) -> tuple[Any, ...]:
    from ..ops.layout import stack

    n = y.numel()
    if not n:
        return tuple(x.detach().new_zeros(y.shape + x.shape) for x in xs)
    elements = y.reshape(-1)
    rows = [_gradients((elements[i],), xs, (None,), create_graph, strict, True) for i in range(n)]
    return tuple(stack(column).reshape(y.shape + x.shape) for column, x in zip(zip(*rows), xs))


def _number(func: Function) -> Function:
    def checked(*xs: Any) -> Any:
        y = func(*xs)
        if not isinstance(y, Tensor) or y.numel() != 1:
            raise RuntimeError("func must return one Tensor with a single element")
        return y.reshape(())

    return checked


def hessian(func: Function, inputs: Any, create_graph: bool = False, strict: bool = False) -> Any:
    """d^2 func / d inputs_i d inputs_j of a func that returns one number: the Jacobian of its gradient."""
    single = not isinstance(inputs, tuple)

    def gradient(*xs: Any) -> Any:
        found = jacobian(_number(func), xs, create_graph=True, strict=strict)
        return found[0] if single else found

    return jacobian(gradient, inputs, create_graph, strict)


def vhp(func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """(func(*inputs), v^T H): H is the Hessian of func, which returns one number; v has the inputs' shapes."""
    with enable_grad():
        _, (y,), xs = _evaluated(_number(func), inputs, create_graph)
        vs = _direction(v, xs, "input")
        gradient = _gradients((y,), xs, (None,), True, strict, True)
        products = _gradients(gradient, xs, vs, create_graph, strict, create_graph)
    single = not isinstance(inputs, tuple)
    return _finished((y,), True, create_graph), _finished(products, single, create_graph)


def hvp(func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """(func(*inputs), H v). H is symmetric where its elements are continuous, and v^T H is one walk back cheaper:
    that.
    """
    return vhp(func, inputs, v, create_graph, strict)
