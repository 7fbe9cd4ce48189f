"""The tape: how gradients flow back. What a function's gradient is stands beside the function (ops/), not here.

Every op ends in `record(y, op, inputs, saves)`. If a gradient may be asked for, y gets a node: the op, the edges to the
nodes that made its inputs, and what the op's rule wants to remember. `backward` walks nodes from the youngest to the
oldest (a consumer is always younger than what it consumed) and calls `rule(g, needs, *saves)`.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from . import _core

record = _core.record
OUTPUTS = _core.OUTPUTS  # OUTPUTS[i] among saves: the op's own i-th result, kept without a reference cycle
OUTPUT = OUTPUTS[0]


class Op:
    """What the tape knows of a function: its name, its gradient rule and, for a fused one, its definition.

    rule(g, needs, *saves) -> one gradient (or None) for each input; g is a tuple for ops with several results.
    composite(*saves) -> the same result from differentiable functions; the first saves are then the inputs, in order.
    broadcast: inputs may have been broadcast or promoted; the engine sums and converts their gradients back.
    """

    __slots__ = ("name", "rule", "composite", "broadcast")

    def __init__(
        self, name: str, rule: Callable[..., Any], composite: Callable[..., Any] | None = None, broadcast: bool = False
    ):
        self.name = name
        self.rule = rule
        self.composite = composite
        self.broadcast = broadcast

    def __repr__(self) -> str:
        return self.name


OPS: list[Op] = []  # every op of the pages, in the order in which they were made


def op(name: str, rule: Callable[..., Any], composite: Callable[..., Any] | None = None, broadcast: bool = False) -> Op:
    OPS.append(Op(name, rule, composite, broadcast))
    return OPS[-1]


class set_grad_enabled:
    """Context manager and switch: whether ops are recorded, on this thread."""

    def __init__(self, mode: bool) -> None:
        self._before = _core.set_grad_enabled(bool(mode))
        self._mode = bool(mode)

    def __enter__(self) -> set_grad_enabled:
        _core.set_grad_enabled(self._mode)
        return self

    def __exit__(self, *_: object) -> None:
        _core.set_grad_enabled(self._before)


class _GradMode:
    """`with no_grad():` or `@no_grad()` or `@no_grad`."""

    mode = False

    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        self = super().__new__(cls)
        self._before = []
        return self if function is None else self(function)

    _before: list[bool]

    def __enter__(self) -> _GradMode:
        self._before.append(_core.set_grad_enabled(self.mode))
        return self

    def __exit__(self, *_: object) -> None:
        _core.set_grad_enabled(self._before.pop())

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        import functools

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with type(self)():
                return function(*args, **kwargs)

        return wrapped


class no_grad(_GradMode):
    """Ops inside are not recorded: their results have no history."""


class enable_grad(_GradMode):
    """Ops inside are recorded, also within `no_grad`."""

    mode = True


def is_grad_enabled() -> bool:
    return _core.grad_enabled()  # type: ignore[no-any-return]


@contextmanager
def traced(tracer: Callable[[Any, Op, tuple[Any, ...], tuple[Any, ...]], None]) -> Iterator[None]:
    """Calls tracer(y, op, inputs, saves) for each op on this thread."""
    before = _core.set_tracer(tracer)
    try:
        yield
    finally:
        _core.set_tracer(before)


# ---- the engine ------------------------------------------------------------------------------------------------------
def _add(a: Any, b: Any, owned: set[int]) -> Any:
    """a + b. In place only into buffers that the engine itself made: anybody else's gradient may be shared.

    `owned` holds the ids of such buffers while they wait in a slot; once handed to a rule they may be shared, or
    freed and their id taken by another tensor.
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
    name = node.op.name
    if not node.op.broadcast:
        raise RuntimeError(
            f"the gradient rule of {name} gave {tuple(g.shape)} {g.dtype} for an input of {shape} {dtype}"
        )
    from .ops.reduce import sum_to

    if g.dtype is not dtype:
        g = g.to(dtype)
    return g if g.shape == shape else sum_to(g, shape)


def _rule(node: Any, g: Any, create_graph: bool) -> Sequence[Any]:
    o = node.op
    saves = node.unpack()
    if create_graph and o.composite is not None:
        return _through_composite(node, o, saves, g)
    return o.rule(g, node.needs, *saves)  # type: ignore[no-any-return]


def _through_composite(node: Any, o: Op, saves: tuple[Any, ...], g: Any) -> list[Any]:
    """The gradients of a fused op as differentiable functions: those of its definition, at the saved inputs."""
    from .ops.layout import identity

    n = len(node.needs)
    # identity() cuts the graph: an input that depends on another must not be entered twice.
    inputs = [identity(s) if need else s for s, need in zip(saves[:n], node.needs)]
    y = o.composite(*inputs, *saves[n:])  # type: ignore[misc]
    ys = y if isinstance(y, tuple) else (y,)
    gs = g if isinstance(g, tuple) else (g,)
    wanted = [x for x, need in zip(inputs, node.needs) if need]
    pairs = [(a, b) for a, b in zip(ys, gs) if b is not None and a._tracked]
    found = iter(_run([a for a, _ in pairs], [b for _, b in pairs], wanted, True, True))
    return [next(found) if need else None for need in node.needs]


def _key(x: Any) -> tuple[Any, int]:
    """Where a tensor's gradient is collected: its node and output number, or the leaf itself."""
    node = x._node
    return (x, 0) if node is None else (node, x._index)


def _leads_to(roots: list[Any], targets: set[int]) -> set[int]:
    """Ids of the nodes from which one of the targets can be reached."""
    good: set[int] = set()
    done: set[int] = set()
    stack = [(r, False) for r in roots]
    while stack:
        node, closing = stack.pop()
        if closing:
            if id(node) in targets or any(e is not None and (id(e) in good or id(e) in targets) for e in node.edges):
                good.add(id(node))
            continue
        if id(node) in done or not isinstance(node, _core.Node):
            continue
        done.add(id(node))
        stack.append((node, True))
        stack.extend((e, False) for e in node.edges if e is not None and id(e) not in done)
    return good


def _run(roots: list[Any], grads: list[Any], inputs: list[Any] | None, retain: bool, create_graph: bool) -> list[Any]:
    """Walks back from the roots. Without `inputs`, leaves accumulate into .grad; with them, their gradients come
    back.
    """
    before = _core.set_grad_enabled(create_graph)
    try:
        pending: dict[Any, list[Any]] = {}
        heap: list[tuple[int, Any]] = []
        owned: set[int] = set()
        leaves: dict[int, tuple[Any, Any]] = {}
        captured: dict[tuple[int, int], Any] = {}
        keys = None if inputs is None else {(id(k), i) for k, i in map(_key, inputs)}
        useful = (
            None
            if inputs is None
            else _leads_to([r._node for r in roots if r._node is not None], {k for k, _ in keys or ()})
        )

        def send(target: Any, index: int, g: Any) -> None:
            if keys is not None and (id(target), index) in keys:
                old = captured.get((id(target), index))
                captured[id(target), index] = g if old is None else _add(old, g, owned)
            if isinstance(target, _core.Node):
                if useful is not None and id(target) not in useful:
                    return
                slots = pending.get(target)
                if slots is None:
                    slots = pending[target] = [None] * target.n_outputs
                    heapq.heappush(heap, (-target.order, target))
                slots[index] = g if slots[index] is None else _add(slots[index], g, owned)
            elif keys is None:
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
                slots = _hooked(node, slots)
                if keys is not None:
                    for i, g in enumerate(slots):
                        if (id(node), i) in captured:
                            captured[id(node), i] = g
            if node.n_outputs == 1:
                g = slots[0]
            else:
                g = tuple(slots)
            result = _rule(node, g, create_graph)
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
            _accumulate(leaf, g, create_graph, given)
        if inputs is None:
            return []
        return [captured.get((id(k), i)) for k, i in map(_key, inputs)]
    finally:
        _core.set_grad_enabled(before)


def _hooked(node: Any, slots: list[Any]) -> list[Any]:
    slots = list(slots)
    for index, hook in list(node.hooks.values()):
        if slots[index] is not None:
            changed = hook(slots[index])
            slots[index] = slots[index] if changed is None else changed
    return slots


def _accumulate(leaf: Any, g: Any, create_graph: bool, given: set[int]) -> None:
    for hook in list((leaf._extra or {}).get("hooks", {}).values()):
        changed = hook(g)
        g = g if changed is None else changed
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
    for hook in list((leaf._extra or {}).get("post_hooks", {}).values()):
        hook(leaf)


def _seed(y: Any, g: Any) -> Any:
    if not y._tracked:
        raise RuntimeError(
            "backward: the tensor does not require a gradient and has no history (no input had requires_grad=True)"
        )
    if g is None:
        if y.numel() != 1:
            raise RuntimeError(
                f"backward: a gradient can be implied only for one number, got shape {y.shape}; pass gradient="
            )
        from .ops.creation import ones_like

        return ones_like(y)
    if g.shape != y.shape:
        raise RuntimeError(f"backward: the gradient has shape {g.shape}, the output {y.shape}")
    return g if g.dtype is y.dtype else g.to(y.dtype)


def _list(x: Any) -> list[Any]:
    return list(x) if isinstance(x, (list, tuple)) else [x]


def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Adds d(sum of tensors * grad_tensors)/d(leaf) to `.grad` of every leaf that requires it (or of `inputs` only).

    RuntimeError: no history, a second walk without retain_graph=True, or a saved tensor that was changed in place.
    """
    roots = _list(tensors)
    seeds = [None] * len(roots) if grad_tensors is None else _list(grad_tensors)
    if len(seeds) != len(roots):
        raise RuntimeError(f"backward: {len(roots)} tensors but {len(seeds)} gradients")
    seeds = [_seed(y, g) for y, g in zip(roots, seeds)]
    retain = create_graph if retain_graph is None else retain_graph
    if inputs is None:
        _run(roots, seeds, None, retain, create_graph)
        return
    targets = _list(inputs)
    for x, g in zip(targets, _run(roots, seeds, targets, retain, create_graph)):
        if g is not None:
            _accumulate(x, g, create_graph, {id(s) for s in seeds})


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:
    """The gradients of sum(outputs * grad_outputs) with respect to `inputs`, as a tuple; `.grad` is left alone.

    create_graph=True makes them differentiable themselves. RuntimeError for an input that the outputs do not depend on,
    unless allow_unused (then None) or materialize_grads (then zeros).
    """
    roots, targets = _list(outputs), _list(inputs)
    for x in targets:
        if not x._tracked:
            raise RuntimeError("grad: one of the inputs does not require a gradient")
    seeds = [None] * len(roots) if grad_outputs is None else _list(grad_outputs)
    seeds = [_seed(y, g) for y, g in zip(roots, seeds)]
    retain = create_graph if retain_graph is None else retain_graph
    found = _run(roots, seeds, targets, retain, create_graph)
    if materialize_grads:
        from .ops.creation import zeros_like

        found = [zeros_like(x) if g is None else g for x, g in zip(targets, found)]
    elif not allow_unused and any(g is None for g in found):
        raise RuntimeError(
            "grad: the outputs do not depend on one of the inputs; pass allow_unused=True to get None for it"
        )
    return tuple(found)


def __getattr__(name: str) -> Any:
    if name == "Function":  # mi.autograd.Function, as in PyTorch; it stands on this module
        from .function import Function

        return Function
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
