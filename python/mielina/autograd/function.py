"""`mi.autograd.Function`: a differentiable function with a forward and a backward of one's own."""

from __future__ import annotations

from typing import Any

from .. import _core
from ..tensor import Tensor
from .modes import no_grad
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
        self._constant = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """False: backward gets None, not zeros, for results that were not used."""
        self.materialize_grads = value


class Function:
    """Subclass with static `forward(ctx, *inputs)` and `backward(ctx, *gradients)`; call `MyFunction.apply(*inputs)`.

    backward returns one gradient (or None) for each input of forward. Gradients of gradients work if backward is made
    of differentiable functions.
    """

    @staticmethod
    def forward(ctx: Any, *args: Any) -> Any:
        raise NotImplementedError("Function: define a static forward(ctx, *inputs)")

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        raise NotImplementedError("Function: define a static backward(ctx, *gradients)")

    @classmethod
    def apply(cls, *inputs: Any) -> Any:
        ctx = Context(tuple(isinstance(x, Tensor) and x._tracked for x in inputs))
        with no_grad():
            results = cls.forward(ctx, *inputs)
        many = isinstance(results, tuple)
        ys = list(results) if many else [results]
        for i, y in enumerate(ys):
            if not isinstance(y, Tensor):
                raise TypeError(f"{cls.__name__}.forward must return Tensors, got {type(y).__name__}")
            if any(y is x for x in inputs) or y._node is not None:
                ys[i] = _core.alias(y)  # a result that is an input gets a history of its own
        saved = tuple(_placeholder(s, list(results) if many else [results]) for s in ctx._saved)
        ctx._saved = ()

        def rule(g: Any, needs: Any, ctx: Context, *saved: Any) -> Any:
            gs = g if many else (g,)
            if ctx.materialize_grads and any(part is None for part in gs):
                from ..ops.creation import zeros_like

                gs = tuple(zeros_like(y) if part is None else part for part, y in zip(gs, metas))
            ctx._saved = saved
            try:
                grads = cls.backward(ctx, *gs)
            finally:
                ctx._saved = ()
            grads = grads if isinstance(grads, tuple) else (grads,)
            if len(grads) != len(inputs_count):
                raise RuntimeError(
                    f"{cls.__name__}.backward returned {len(grads)} gradients for {len(inputs_count)} inputs"
                )
            return tuple(p if need else None for p, need in zip(grads, needs))

        inputs_count = range(len(inputs))
        metas = [_core.alias(y) for y in ys] if many else []
        op = Op(cls.__name__, rule)
        out = record(tuple(ys) if many else ys[0], op, inputs, (ctx, *saved))
        for y in ctx._constant:
            for mine, theirs in zip(ys, results if many else (results,)):
                if theirs is y:
                    _core.forget_history(mine)
        return out


def _placeholder(saved: Any, results: list[Any]) -> Any:
    """A saved result is kept by its number, without a reference cycle."""
    for i, r in enumerate(results[: len(OUTPUTS)]):
        if saved is r:
            return OUTPUTS[i]
    return saved
