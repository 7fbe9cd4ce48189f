"""Hooks of modules, off the path of modules that have none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import _core
from ..autograd import op, record
from ..tensor import RemovableHandle, Tensor

KINDS = ("forward_pre", "forward", "full_backward_pre", "full_backward")


class Hooks:
    """A module's hooks: kind -> id -> (hook, options)."""

    def __init__(self) -> None:
        self.of: dict[str, dict[int, tuple[Callable[..., Any], dict[str, bool]]]] = {kind: {} for kind in KINDS}

    def add(self, kind: str, hook: Callable[..., Any], prepend: bool, options: dict[str, bool]) -> RemovableHandle:
        hooks = self.of[kind]
        handle = RemovableHandle(hooks, (hook, options))
        if prepend:
            others = [key for key in hooks if key != handle.id]
            for key in others:  # a dict's order is that of insertion: the others go behind
                hooks[key] = hooks.pop(key)
        return handle

    def call(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The forward pass between its hooks."""
        for hook, options in list(self.of["forward_pre"].values()):
            if options["with_kwargs"]:
                changed = hook(module, args, kwargs)
                if changed is not None:
                    args, kwargs = changed
            else:
                changed = hook(module, args)
                if changed is not None:
                    args = changed if isinstance(changed, tuple) else (changed,)
        backward = _Backward(module, self) if self.of["full_backward"] or self.of["full_backward_pre"] else None
        if backward is not None:
            args = backward.entered(args)
        try:
            result = module.forward(*args, **kwargs)
        except Exception:
            for hook, options in list(self.of["forward"].values()):
                if options["always_call"]:
                    _forward_hook(hook, options, module, args, kwargs, None)
            raise
        for hook, options in list(self.of["forward"].values()):
            changed = _forward_hook(hook, options, module, args, kwargs, result)
            result = result if changed is None else changed
        return result if backward is None else backward.left(result)


def _forward_hook(hook: Any, options: dict[str, bool], module: Any, args: Any, kwargs: Any, result: Any) -> Any:
    return hook(module, args, kwargs, result) if options["with_kwargs"] else hook(module, args, result)


class Hookable:
    """Base of Module: registers hooks."""

    _hooks: Hooks | None = None

    def _hook(self, kind: str, hook: Callable[..., Any], prepend: bool, **options: bool) -> RemovableHandle:
        if self._hooks is None:
            self._hooks = Hooks()
        return self._hooks.add(kind, hook, prepend, options)

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Calls hook(module, args) before forward; a result that is not None replaces the arguments."""
        return self._hook("forward_pre", hook, prepend, with_kwargs=with_kwargs)

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> RemovableHandle:
        """Calls hook(module, args, output) after forward; a result that is not None replaces the output."""
        return self._hook("forward", hook, prepend, with_kwargs=with_kwargs, always_call=always_call)

    def register_full_backward_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Calls hook(module, grad_output) before the module's gradients are computed."""
        return self._hook("full_backward_pre", hook, prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Calls hook(module, grad_input, grad_output); a result that is not None replaces grad_input."""
        return self._hook("full_backward", hook, prepend)


class _Backward:
    """Stands at a module's inputs and outputs while gradients pass: sees grad_output first, then grad_input."""

    def __init__(self, module: Any, hooks: Hooks) -> None:
        self.module = module
        self.hooks = hooks
        self.grad_output: tuple[Any, ...] = ()
        self.inputs = 0  # how many arguments a gradient will come back to

    def entered(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        self.inputs = sum(isinstance(a, Tensor) and a._tracked for a in args) if _core.grad_enabled() else 0
        if not self.inputs:
            return args
        return _through(INPUT, args, self)

    def left(self, result: Any) -> Any:
        single = isinstance(result, Tensor)
        outputs = (result,) if single else tuple(result) if isinstance(result, (tuple, list)) else ()
        if not any(isinstance(y, Tensor) and y._tracked for y in outputs):
            return result
        outputs = _through(OUTPUTS, outputs, self)
        return outputs[0] if single else type(result)(outputs)

    def seen_output(self, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        for hook, _ in list(self.hooks.of["full_backward_pre"].values()):
            changed = hook(self.module, grads)
            if changed is not None:
                grads = changed if isinstance(changed, tuple) else (changed,)
        self.grad_output = grads
        if not self.inputs:  # nothing will come back to the inputs: this is all there is to see
            self.seen_input((None,))
        return grads

    def seen_input(self, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        for hook, _ in list(self.hooks.of["full_backward"].values()):
            changed = hook(self.module, grads, self.grad_output)
            if changed is not None:
                grads = changed if isinstance(changed, tuple) else (changed,)
        self.grad_output = ()
        return grads


def _through(o: Any, values: tuple[Any, ...], backward: _Backward) -> tuple[Any, ...]:
    """The tensors among `values` as results of one identity whose rule calls the hooks."""
    at = [i for i, v in enumerate(values) if isinstance(v, Tensor)]
    inputs = tuple(values[i] for i in at)
    passed = record(tuple(_core.alias(x) for x in inputs), o, inputs, (backward,))
    result = list(values)
    for i, y in zip(at, passed):
        result[i] = y
    return tuple(result)


def _grads(g: Any) -> tuple[Any, ...]:
    return g if isinstance(g, tuple) else (g,)


INPUT = op("module_inputs", lambda g, needs, backward: backward.seen_input(_grads(g)))
OUTPUTS = op("module_outputs", lambda g, needs, backward: backward.seen_output(_grads(g)))
