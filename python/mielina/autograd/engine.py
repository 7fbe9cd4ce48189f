"""The engine's Python half: what the walk of csrc/bind/engine.cpp asks for where speed does not matter.

A gradient's way: `walk_back` (C++) takes the youngest node, calls `rule(g, needs, *saves)` of its op (beside the
function, in ops/), and hands the parts on along the edges; leaves add theirs to `.grad`.
"""

from __future__ import annotations

import sys
from typing import Any

from .. import _core
from .anomaly import check, explain  # noqa: F401  (asked for by the walk)

add = _core.add
add_ = _core.add_


def fit(node: Any, i: int, g: Any) -> Any:
    """g with the shape and dtype of the node's input i: broadcast axes summed, promotion undone."""
    shape, dtype = node.input_meta(i)
    if not node.op.broadcast:
        raise RuntimeError(
            f"the gradient rule of {node.op.name} gave {tuple(g.shape)} {g.dtype} for an input of {shape} {dtype}"
        )
    from ..ops.reduce import sum_to

    if g.dtype is not dtype:
        g = g.to(dtype)
    return g if g.shape == shape else sum_to(g, shape)


def through_composite(node: Any, saves: tuple[Any, ...], g: Any) -> list[Any]:
    """The gradients of a fused op as differentiable functions: those of its definition, at the saved inputs."""
    from ..ops.layout import identity

    n = len(node.needs)
    # identity() cuts the graph: an input that depends on another must not be entered twice.
    inputs = [identity(s) if need else s for s, need in zip(saves[:n], node.needs)]
    y = node.op.composite(*inputs, *saves[n:])
    ys = y if isinstance(y, tuple) else (y,)
    gs = g if isinstance(g, tuple) else (g,)
    wanted = [x for x, need in zip(inputs, node.needs) if need]
    pairs = [(a, b) for a, b in zip(ys, gs) if b is not None and a._tracked]
    found = iter(run([a for a, _ in pairs], [b for _, b in pairs], wanted, True, True))
    return [next(found) if need else None for need in node.needs]


def without_kernel(node: Any, saves: tuple[Any, ...], g: Any) -> list[Any]:
    """The gradients of a fused op whose gradient kernel the device lacks: those of its definition."""
    before = _core.set_grad_enabled(True)
    try:
        found = through_composite(node, saves, g)
    finally:
        _core.set_grad_enabled(before)
    return found if before else [d if d is None else d.detach() for d in found]


def hooked(hooks: dict[int, Any], slots: list[Any]) -> list[Any]:
    """What the hooks make of the gradients; hooks: number -> (slot, function), called in the order of registration."""
    for index, hook in list(hooks.values()):
        if slots[index] is not None:
            changed = hook(slots[index])
            slots[index] = slots[index] if changed is None else changed
    return slots


def leaf_hooked(leaf: Any, g: Any) -> Any:
    """What a leaf's hooks make of its whole gradient."""
    return hooked(leaf._extra.get("hooks", {}), [g])[0]


def after_accumulation(leaf: Any) -> None:
    """Calls the hooks that wait for a leaf's `.grad`."""
    for hook in list(leaf._extra.get("post_hooks", {}).values()):
        hook(leaf)


def run(
    roots: list[Any], grads: list[Any], inputs: list[Any] | None, retain: bool, create_graph: bool, cut: bool = False
) -> list[Any]:
    """Walks back from the roots. Without `inputs`, leaves accumulate into .grad; with them, their gradients come back.

    cut: the graph ends at the inputs, though one of them may have been made from another; their hooks are not called.
    """
    return _core.walk_back(roots, grads, inputs, retain, create_graph, cut)  # type: ignore[no-any-return]


accumulate = _core.accumulate
_core.set_engine(sys.modules[__name__])
