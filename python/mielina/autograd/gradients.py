"""`backward` and `grad`: what is asked of the engine."""

from __future__ import annotations

from typing import Any

from .. import _core
from . import engine


def _list(x: Any) -> list[Any]:
    return list(x) if isinstance(x, (list, tuple)) else [x]


def _check_tensor(x: Any, what: str) -> None:
    if not isinstance(x, _core.TensorBase):
        raise TypeError(f"backward: {what} must be a Tensor, got {type(x).__name__}")


def _seed(y: Any, g: Any) -> Any:
    _check_tensor(y, "output")
    if not y._tracked:
        raise RuntimeError(
            "backward: the tensor does not require a gradient and has no history (no input had requires_grad=True)"
        )
    if g is None:
        if y.numel() != 1:
            raise RuntimeError(
                f"backward: a gradient can be implied only for one number, got shape {y.shape}; pass gradient="
            )
        from ..ops.creation import ones_like

        return ones_like(y)
    _check_tensor(g, "gradient")
    if g.shape != y.shape:
        raise RuntimeError(f"backward: the gradient has shape {g.shape}, the output {y.shape}")
    if g._device != y._device:
        raise RuntimeError(f"backward: expected all tensors on one device, got {g.device} and {y.device}")
    return g if g.dtype is y.dtype else g.to(y.dtype)


def _seeds(roots: list[Any], grads: Any, what: str) -> list[Any]:
    given = [None] * len(roots) if grads is None else _list(grads)
    if len(given) != len(roots):
        raise RuntimeError(f"{what}: {len(roots)} tensors but {len(given)} gradients")
    return [_seed(y, g) for y, g in zip(roots, given)]


def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Adds d(sum of tensors * grad_tensors)/d(leaf) to `.grad` of every leaf that requires it (or of `inputs` only).

    RuntimeError: no history, a second walk without retain_graph=True, or a saved tensor that was changed in place.

    >>> x = mi.tensor([2.0], requires_grad=True)
    >>> mi.backward(x * x)
    >>> x.grad
    tensor([4.])
    """
    roots = _list(tensors)
    seeds = _seeds(roots, grad_tensors, "backward")
    retain = create_graph if retain_graph is None else retain_graph
    if inputs is None:
        engine.run(roots, seeds, None, retain, create_graph)
        return
    targets = _list(inputs)
    if not targets:
        raise RuntimeError("backward: `inputs` is empty; leave it out for all leaves")
    found = engine.run(roots, seeds, targets, retain, create_graph)
    given = list(seeds)
    for x, g in zip(targets, found):
        if g is not None:
            engine.accumulate(x, g, create_graph, given)
            given.append(g)


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:
    """The gradients of sum(outputs * grad_outputs) with respect to `inputs`, as a tuple; `.grad` is left alone.

    create_graph=True makes them differentiable themselves. RuntimeError for an input that the outputs do not depend on,
    unless allow_unused (then None) or materialize_grads (then zeros).

    >>> x = mi.tensor([3.0], requires_grad=True)
    >>> mi.grad(x ** 2, x)
    (tensor([6.]),)
    """
    roots, targets = _list(outputs), _list(inputs)
    _core.check_tensors("grad", *targets)
    for x in targets:
        if not x._tracked:
            raise RuntimeError("grad: one of the inputs does not require a gradient")
    if materialize_grads and allow_unused is False:
        raise ValueError("grad: materialize_grads=True gives zeros for unused inputs, allow_unused=False forbids them")
    seeds = _seeds(roots, grad_outputs, "grad")
    retain = create_graph if retain_graph is None else retain_graph
    found = engine.run(roots, seeds, targets, retain, create_graph)
    if materialize_grads:
        from ..ops.creation import zeros_like

        found = [zeros_like(x) if g is None else g for x, g in zip(targets, found)]
    elif not allow_unused and any(g is None for g in found):
        raise RuntimeError(
            "grad: the outputs do not depend on one of the inputs; pass allow_unused=True to get None for it"
        )
    return tuple(found)
