"""`mi.autograd.Function`: a differentiable function with a forward and a backward of one's own."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from .. import _core
from ..tensor import Tensor
from .modes import is_grad_enabled, no_grad
from .tape import OUTPUTS, Op, record


class Context:
    """What forward leaves for backward: `save_for_backward(*tensors)`, `saved_tensors`, `needs_input_grad`, and any
    attribute.
    """

    def __init__(self, needs: tuple[bool, ...]) -> None:
        self.needs_input_grad = needs
        self.materialize_grads = True
        self._saved: tuple[Any, ...] = ()
        self._constant: tuple[Any, ...] = ()
        self._dirty: tuple[Any, ...] = ()

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keeps tensors with a check that nobody changes them in place."""
        for t in tensors:
            if t is not None and not isinstance(t, Tensor):
                raise TypeError(f"save_for_backward: expected Tensors or None, got {type(t).__name__}")
        self._saved = tensors

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        return self._saved

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """Results that have no history and, like integers, get no gradient."""
        self._constant = tensors

    def mark_dirty(self, *tensors: Tensor) -> None:
        """Inputs that forward changed in place and returns."""
        self._dirty = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """False: backward gets None, not zeros, for results that were not used."""
        self.materialize_grads = value


class Function:
    """Subclass with static `forward(ctx, *inputs)` and `backward(ctx, *gradients)`; call `MyFunction.apply(*inputs)`.

    Or with `forward(*inputs)` and `setup_context(ctx, inputs, output)`. backward returns one gradient (or None) for
    each input of forward. Gradients of gradients work if backward is made of differentiable functions.
    """

    @staticmethod
    def forward(*args: Any) -> Any:
        raise NotImplementedError("Function: define a static forward(ctx, *inputs)")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        raise NotImplementedError("Function: setup_context is called only where a subclass defines it")

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        raise NotImplementedError("Function: define a static backward(ctx, *gradients)")

    @classmethod
    def apply(cls, *inputs: Any) -> Any:
        ctx = Context(tuple(isinstance(x, Tensor) and x._tracked for x in inputs))
        with no_grad():
            if cls.setup_context is Function.setup_context:
                results = cls.forward(ctx, *inputs)
            else:
                results = cls.forward(*inputs)
                cls.setup_context(ctx, inputs, results)
        many = isinstance(results, tuple)
        given = results if many else (results,)
        if not many and not isinstance(results, Tensor):
            raise TypeError(f"{cls.__name__}.forward must return Tensors, got {type(results).__name__}")
        ys = [_own(y, inputs) for y in given]
        tensors = [i for i, y in enumerate(ys) if isinstance(y, Tensor)]
        saved = tuple(_placeholder(s, [given[i] for i in tensors]) for s in ctx._saved)
        ctx._saved = ()
        rule = _rule_of(cls, len(inputs), len(given), tensors, [_core.alias(ys[i]) for i in tensors] if many else [])
        made = tuple(ys[i] for i in tensors)
        record(made if many else made[0], Op(cls.__name__, rule, broadcast=True), inputs, (ctx, *saved))
        for i, y in enumerate(given):
            if any(y is c for c in ctx._constant):
                _core.forget_history(ys[i])
            elif any(y is d for d in ctx._dirty):
                ys[i] = _changed(y, ys[i], cls.__name__)
        return tuple(ys) if many else ys[0]


def _own(y: Any, inputs: tuple[Any, ...]) -> Any:
    """A result that is an input, or somebody's result already, gets a history of its own."""
    if isinstance(y, Tensor) and (y._node is not None or any(y is x for x in inputs)):
        return _core.alias(y)
    return y


def _changed(x: Tensor, y: Tensor, name: str) -> Tensor:
    """The input x, changed in place by forward, with the history of the result y."""
    if y._node is not None:
        from ..ops.layout.inplace import refuse_leaves, take_history

        refuse_leaves(x, name)
        take_history(x, y)
    return x


def _rule_of(
    cls: type[Function], n_inputs: int, n_results: int, tensors: list[int], metas: list[Any]
) -> Callable[..., Any]:
    """The tape's rule of one call; metas: the results' windows, from which unused gradients are made as zeros."""

    def rule(g: Any, needs: Any, ctx: Context, *saved: Any) -> Any:
        gs: list[Any] = [None] * n_results
        for k, (i, part) in enumerate(zip(tensors, g if isinstance(g, tuple) else (g,))):
            if part is None and ctx.materialize_grads:
                from ..ops.creation import zeros_like

                part = zeros_like(metas[k])
            gs[i] = part
        ctx._saved = saved
        try:
            grads = cls.backward(ctx, *gs)
        finally:
            ctx._saved = ()
        grads = grads if isinstance(grads, tuple) else (grads,)
        if len(grads) < n_inputs or any(x is not None for x in grads[n_inputs:]):
            raise RuntimeError(f"{cls.__name__}.backward returned {len(grads)} gradients for {n_inputs} inputs")
        return tuple(p if need else None for p, need in zip(grads, needs))

    return rule


def _placeholder(saved: Any, results: list[Any]) -> Any:
    """A saved result is kept by its number, without a reference cycle."""
    for i, r in enumerate(results[: len(OUTPUTS)]):
        if saved is r:
            return OUTPUTS[i]
    return saved


def _refuse(g: Any, needs: Any, name: str) -> Any:
    raise RuntimeError(f"trying to differentiate twice a function that was marked with @once_differentiable: {name}")


_ONCE = Op("once_differentiable", _refuse)


def once_differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Decorates a `backward` that is not made of differentiable functions: a second derivative through it raises."""

    @functools.wraps(backward)
    def wrapped(ctx: Any, *gradients: Any) -> Any:
        wanted = is_grad_enabled()
        with no_grad():
            found = backward(ctx, *gradients)
        sources = tuple(g for g in (*gradients, *ctx.saved_tensors) if isinstance(g, Tensor) and g._tracked)
        if not wanted or not sources:
            return found
        many = isinstance(found, tuple)
        marked = tuple(
            record(_core.alias(g), _ONCE, sources, (backward.__qualname__,)) if isinstance(g, Tensor) else g
            for g in (found if many else (found,))
        )
        return marked if many else marked[0]

    return wrapped
