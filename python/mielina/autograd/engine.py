"""The engine: how gradients flow back. What a function's gradient is stands beside the function (ops/), not here.

`run` walks nodes from the youngest to the oldest (a consumer is always younger than what it consumed), calls
`rule(g, needs, *saves)` of each and hands the parts on along the edges.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from typing import Any

from .. import _core
from .anomaly import check, explain


def _add(a: Any, b: Any, owned: set[int]) -> Any:
    """a + b. In place only into buffers that the engine itself made: anybody else's gradient may be shared.

    `owned` holds the ids of such buffers while they wait in a slot; once handed to a rule they may be shared, or freed
    and their id taken by another tensor.
    """
    if id(a) in owned and not _core.grad_enabled() and a.dtype is b.dtype and a.shape == b.shape:
        _core.add_(a, b)
        return a
    total = a + b
    owned.discard(id(a))
    owned.add(id(total))
    return total


def _fit(node: Any, i: int, g: Any) -> Any:
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


def _rule(node: Any, g: Any, create_graph: bool) -> Sequence[Any]:
    o = node.op
    saves = node.unpack()
    if create_graph and o.composite is not None:
        return _through_composite(node, saves, g)
    return o.rule(g, node.needs, *saves)  # type: ignore[no-any-return]


def _through_composite(node: Any, saves: tuple[Any, ...], g: Any) -> list[Any]:
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


def _key(x: Any) -> tuple[Any, int]:
    """Where a tensor's gradient is collected: its node and output number, or the leaf itself."""
    node = x._node
    return (x, 0) if node is None else (node, x._index)


def _leading_to(targets: set[int], roots: Iterable[Any], cut: bool) -> set[int]:
    """Ids of the nodes below which one of the targets stands: the only ones whose rules must run. cut: nor beyond
    them.
    """
    good: set[int] = set()
    done: set[int] = set()
    stack = [(r, False) for r in roots]
    while stack:
        node, closing = stack.pop()
        if closing:
            if any(id(e) in good or id(e) in targets for e in node.edges):
                good.add(id(node))
        elif isinstance(node, _core.Node) and id(node) not in done and not (cut and id(node) in targets):
            done.add(id(node))
            stack.append((node, True))
            stack.extend((e, False) for e in node.edges if e is not None and id(e) not in done)
    return good


def run(
    roots: list[Any], grads: list[Any], inputs: list[Any] | None, retain: bool, create_graph: bool, cut: bool = False
) -> list[Any]:
    """Walks back from the roots. Without `inputs`, leaves accumulate into .grad; with them, their gradients come back.

    cut: the graph ends at the inputs, though one of them may have been made from another.
    """
    before = _core.set_grad_enabled(create_graph)
    try:
        pending: dict[Any, list[Any]] = {}
        heap: list[tuple[int, Any]] = []
        owned: set[int] = set()
        leaves: dict[int, tuple[Any, Any]] = {}
        captured: dict[tuple[int, int], Any] = {}
        targets: set[int] | None = None
        if inputs is not None:
            targets = {id(_key(x)[0]) for x in inputs}
            useful = _leading_to(targets, (r._node for r in roots), cut)

        def send(target: Any, index: int, g: Any) -> None:
            if targets is not None and id(target) not in targets and id(target) not in useful:
                return
            if isinstance(target, _core.Node):
                slots = pending.get(target)
                if slots is None:
                    slots = pending[target] = [None] * target.n_outputs
                    heapq.heappush(heap, (-target.order, target))
                slots[index] = g if slots[index] is None else _add(slots[index], g, owned)
            else:
                old = leaves.get(id(target))
                leaves[id(target)] = (target, g if old is None else _add(old[1], g, owned))

        for root, g in zip(roots, grads):
            send(*_key(root), g)
        while heap:
            node = heapq.heappop(heap)[1]
            slots = pending.pop(node)
            if owned:
                owned.difference_update(map(id, slots))
            if node.hooks is not None:
                slots = _hooked(node.hooks, slots)
            if targets is not None:
                if id(node) in targets:
                    captured.update(((id(node), i), g) for i, g in enumerate(slots))
                if id(node) not in useful:
                    continue
            try:
                result = _rule(node, slots[0] if node.n_outputs == 1 else tuple(slots), create_graph)
            except Exception:
                explain(node)
                raise
            if check.nan:
                check(node, result)
            if not retain:
                node.free()
            edges, indices = node.edges, node.indices
            for i, part in enumerate(result):
                edge = edges[i]
                if edge is None or part is None:
                    continue
                if not node.fits(i, part):
                    part = _fit(node, i, part)
                send(edge, indices[i], part)
        given = {id(g) for g in grads}
        for leaf, g in leaves.values():
            if leaf._extra is not None:
                g = _hooked(leaf._extra.get("hooks", {}), [g])[0]
            if targets is None:
                accumulate(leaf, g, create_graph, given)
            else:
                captured[id(leaf), 0] = g
        return [] if inputs is None else [captured.get((id(k), i)) for k, i in map(_key, inputs)]
    finally:
        _core.set_grad_enabled(before)


def _hooked(hooks: dict[int, Any], slots: list[Any]) -> list[Any]:
    """What the hooks make of the gradients; hooks: number -> (slot, function), called in the order of registration."""
    for index, hook in list(hooks.values()):
        if slots[index] is not None:
            changed = hook(slots[index])
            slots[index] = slots[index] if changed is None else changed
    return slots


def accumulate(leaf: Any, g: Any, create_graph: bool, given: set[int]) -> None:
    """leaf.grad += g, out of place. given: ids of gradients that belong to the caller."""
    old = leaf._grad
    if create_graph:
        leaf._grad = g if old is None else old + g
    elif old is not None:
        leaf._grad = _core.add(old, g)
    elif _core.owns_memory(g) and id(g) not in given and not g._leaf_flag:
        given.add(id(g))
        leaf._grad = g
    else:  # somebody else can write to this memory: a rule may pass g on to two inputs, or hand out a view of it
        leaf._grad = _core.clone(g)
    if leaf._extra is not None:
        for hook in list(leaf._extra.get("post_hooks", {}).values()):
            hook(leaf)
