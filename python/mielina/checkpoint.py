"""`mi.checkpoint(function, *args)`: activations are computed again on the way back instead of being kept."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

from . import _core, amp, autograd
from .autograd import engine
from .capture import _map
from .dtypes import bfloat16
from .random import default_generator
from .tensor import Tensor


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool = False,
    preserve_rng_state: bool = True,
    **kwargs: Any,
) -> Any:
    """function(*args, **kwargs) without keeping what it computes in between; its gradient runs it again.

    Every tensor that the function uses gets its gradient: arguments, whatever holds them, and a module's parameters.
    Dropout draws the same numbers both times unless preserve_rng_state=False; autocast is as it was. Results may be
    nested in tuples, lists and dicts. use_reentrant: PyTorch's name for two ways of doing it; here there is one.
    Source: Chen et al. 2016.

    >>> x = mi.tensor([1.0], requires_grad=True)
    >>> mi.checkpoint(lambda t: (t * 3).exp(), x).backward()
    >>> x.grad
    tensor([60.2566])
    """
    if not autograd.is_grad_enabled():
        return function(*args, **kwargs)
    again = _state(preserve_rng_state)
    used: dict[Any, Tensor] = {}  # leaves and results of ops that come from outside

    def keep(x: Any) -> None:
        if isinstance(x, Tensor) and x._tracked:
            used[id(x) if x._node is None else (id(x._node), x._index)] = x

    def note(y: Any, op: Any, inputs: tuple[Any, ...], saves: tuple[Any, ...]) -> None:
        for x in inputs:
            keep(x)

    with autograd.no_grad(), autograd.traced(note):
        result = function(*args, **kwargs)
    for x in _tensors(result):
        keep(x)
    result = _map(_core.alias, result)
    fresh = tuple(_tensors(result))
    if fresh:
        inputs = tuple(used.values())
        autograd.record(fresh, RERUN, inputs, (again, function, args, kwargs, *inputs))
    return result


def _rerun(g: Any, needs: Any, again: Any, function: Any, args: Any, kwargs: Any, *used: Tensor) -> Any:
    create = autograd.is_grad_enabled()
    with again(), autograd.enable_grad():
        ys = _tensors(function(*args, **kwargs))
    gs = g if isinstance(g, tuple) else (g,)
    pairs = [(y, d) for y, d in zip(ys, gs) if d is not None and y._tracked]
    wanted = [x for x, need in zip(used, needs) if need]
    found = iter(engine.run([y for y, _ in pairs], [d for _, d in pairs], wanted, create, create, cut=True))
    return tuple(next(found) if need else None for need in needs)


RERUN = autograd.op("checkpoint", _rerun)


def _tensors(x: Any) -> list[Tensor]:
    if isinstance(x, Tensor):
        return [x]
    parts = x if isinstance(x, (tuple, list)) else x.values() if isinstance(x, dict) else ()
    return [t for part in parts for t in _tensors(part)]


def _state(random: bool) -> Any:
    """A context in which random numbers and autocast are as they are now."""
    state, dtype = default_generator.snapshot(), amp.target()

    @contextmanager
    def again() -> Any:
        now = default_generator.snapshot()
        if random:
            default_generator.restore(state)
        try:
            with amp.autocast(dtype=dtype or bfloat16, enabled=dtype is not None):
                yield
        finally:
            if random:
                default_generator.restore(now)

    return again


def checkpoint_sequential(functions: Any, segments: int, input: Any, **options: Any) -> Any:
    """Runs a Sequential (or a list of modules) in `segments` parts, of which all but the last are checkpoints.

    >>> layers = nn.Sequential(nn.ReLU(), nn.Tanh())
    >>> mi.checkpoint_sequential(layers, 2, mi.tensor([0.0], requires_grad=True))
    tensor([0.], grad_fn=<tanh>)
    """
    modules = list(functions.children()) if hasattr(functions, "children") else list(functions)
    if segments < 1:
        raise ValueError(f"checkpoint_sequential: expected at least one segment, got {segments}")
    size = max(len(modules) // segments, 1)

    def run(part: list[Any]) -> Callable[[Any], Any]:
        def forward(x: Any) -> Any:
            for module in part:
                x = module(x)
            return x

        return forward

    last = size * (min(segments, len(modules)) - 1)
    for start in range(0, last, size):
        input = checkpoint(run(modules[start : start + size]), input, **options)
    return run(modules[last:])(input)
