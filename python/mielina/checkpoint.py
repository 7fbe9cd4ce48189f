"""`mi.checkpoint(function, *args)`: activations are computed again on the way back instead of being kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import _core, autograd
from .random import default_generator
from .tensor import Tensor


def checkpoint(function: Callable[..., Any], *args: Any, preserve_rng_state: bool = True, **kwargs: Any) -> Any:
    """function(*args, **kwargs) without keeping what it computes in between; its gradient runs it again.

    Tensors that the function uses beside its arguments (a module's parameters) get their gradients, too. Dropout
    draws the same numbers both times unless preserve_rng_state=False. Source: Chen et al. 2016.
    """
    if not autograd.is_grad_enabled():
        return function(*args, **kwargs)
    state = default_generator.get_state()
    hidden: dict[int, Tensor] = {}

    def note(y: Any, op: Any, inputs: tuple[Any, ...], saves: tuple[Any, ...]) -> None:
        for x in inputs:
            if isinstance(x, Tensor) and x._tracked and not any(x is a for a in args):
                hidden[id(x)] = x

    with autograd.no_grad(), autograd.traced(note):
        result = function(*args, **kwargs)
    many = isinstance(result, tuple)
    extra = tuple(hidden.values())
    count = len(args)

    def rule(g: Any, needs: Any, *saved: Any) -> Any:
        inputs, others = saved[:count], saved[count:]
        create = autograd.is_grad_enabled()
        now = default_generator.get_state()
        if preserve_rng_state:
            default_generator.set_state(state)
        try:
            with autograd.enable_grad():
                mine = [x if create or not need else x.detach().requires_grad_() for x, need in zip(inputs, needs)]
                again = function(*mine, **kwargs)
        finally:
            if preserve_rng_state:
                default_generator.set_state(now)
        ys, gs = (again, g) if many else ((again,), (g,))
        wanted = [x for x, need in zip((*mine, *others), needs) if need]
        pairs = [(y, d) for y, d in zip(ys, gs) if d is not None and isinstance(y, Tensor) and y._tracked]
        found = iter(
            autograd.grad([y for y, _ in pairs], wanted, [d for _, d in pairs], create_graph=create, allow_unused=True)
        )
        return tuple(next(found) if need else None for need in needs)

    y = tuple(_fresh(r) for r in result) if many else _fresh(result)
    return autograd.record(y, autograd.Op("checkpoint", rule), (*args, *extra), (*args, *extra))


def _fresh(y: Any) -> Any:
    return _core.alias(y) if isinstance(y, Tensor) else y
