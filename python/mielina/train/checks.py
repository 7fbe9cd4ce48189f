"""What fit looks at on the first batch, and what it says of a loss that is no number."""

from __future__ import annotations

import contextlib
import math
import sys
import warnings
from collections.abc import Iterator
from typing import Any

from .. import autograd, dtypes
from ..data.split import labels_in
from ..random import default_generator
from ..tensor import Tensor
from .arguments import _OTHER_NAMES
from .metrics import numpy_of

_HERE = __name__.split(".")[0] + "."


def warn(message: str, category: type[Warning]) -> None:
    """A warning at the caller's line, however deep in the package it is found."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and (frame.f_globals.get("__name__", "") + ".").startswith(_HERE):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def first_output(model: Any, inputs: Any, name: str) -> Any:
    """model(inputs); TypeError, with what to do, for inputs that are no floats and for images with the channels last or
    without an axis of channels."""
    first = next((m for m in model.modules() if getattr(m, "in_channels", None) and hasattr(m, "kernel_size")), None)
    if not isinstance(inputs, Tensor):
        return model(inputs)
    if first is not None and inputs.ndim == 4:
        if first.in_channels == inputs.shape[3] != inputs.shape[1] and inputs.shape[3] <= 4:
            raise TypeError(
                f"{name}: images of shape {inputs.shape} have their channels last, and the model takes "
                f"{first.in_channels} channels first: transforms.ToTensor(), or x.permute(0, 3, 1, 2)"
            )
    try:
        return model(inputs)
    except RuntimeError as e:
        if not inputs.dtype.is_floating_point:
            scale = " / 255 if they are images, which transforms.ToTensor()(x[..., None]) does, too"
            what = f"inputs of {inputs.dtype}; the model computes with floats: x.float()"
            raise TypeError(f"{name}: {what}{scale if inputs.dtype is dtypes.uint8 else ''}") from e
        if first is not None and inputs.ndim == 3 and len(first.kernel_size) == 2:
            raise TypeError(
                f"{name}: images of shape {inputs.shape} without an axis of channels: x[:, None], or for bytes "
                "transforms.ToTensor()(x[..., None])"
            ) from e
        raise


def labels_in_range(loss: Any, output: Any, targets: Any, loader: Any) -> None:
    """Errors for labels that the output has no place for, and for one class alone in all the data. Labels from 1 up in
    all the data: a warning."""
    kind = _of_classes(loss, output)
    if not (kind and isinstance(targets, Tensor)):
        return
    data = labels_in(loader)
    known = data if data is not None else numpy_of(targets)
    if kind == "binary":
        least, most = float(known.min()), float(known.max())
        if least < 0 or most > 1:
            raise IndexError(f"fit: labels are out of bounds: they go from {least:g} to {most:g} and should be 0 or 1")
        return
    if output.shape[1] == 1:
        raise ValueError('fit: cross entropy of one output is 0: two outputs, or loss="binary_cross_entropy"')
    if targets.dtype.is_floating_point:
        return
    least, most = int(known.min()), int(known.max())
    if least == 1 and most == output.shape[1]:
        raise IndexError(
            f"fit: labels are out of bounds: they go from 1 to {most}, but {most} classes are numbered from 0: y - 1"
        )
    if least == most and data is not None and len(data) > 1:
        raise ValueError(f"fit: all labels are {least}: there is nothing to tell apart")
    if least == 1 and data is not None:
        warn("fit: labels start at 1: class 0 never occurs (if that is not meant: y - 1)", UserWarning)


def _of_classes(loss: Any, output: Any) -> str:
    """ "several" for cross entropy over axis 1 of the output, "binary" for that of one logit, else ""."""
    named = _OTHER_NAMES.get(loss, loss) if isinstance(loss, str) else type(loss).__name__
    if named in ("binary_cross_entropy", "BCEWithLogitsLoss"):
        return "binary"
    several = named in ("cross_entropy", "CrossEntropyLoss") and isinstance(output, Tensor) and output.ndim > 1
    return "several" if several else ""


@contextlib.contextmanager
def no_broadcast(output: Any, targets: Any) -> Iterator[None]:
    """ValueError if a loss of the user broadcasts outputs (N, 1) and targets (N,) against each other to (N, N)."""
    both = isinstance(output, Tensor) and isinstance(targets, Tensor)
    if not both or output.shape == targets.shape or output.numel() != targets.numel():
        yield
        return
    wanted, found = {output.shape, targets.shape}, []

    def note(y: Any, op: Any, inputs: Any, saves: Any) -> None:
        shapes = {x.shape for x in inputs if isinstance(x, Tensor)}
        if shapes == wanted and isinstance(y, Tensor) and y.numel() > output.numel():
            found.append(y.shape)

    with autograd.traced(note):
        yield
    if found:
        raise ValueError(
            f"fit: the loss broadcasts outputs {output.shape} and targets {targets.shape} to {found[0]}; reshape one"
        )


def first_step(model: Any, loss: Any, number: float, inputs: Any, output: Any) -> None:
    """Warnings after the first backward pass."""
    kind, last = _of_classes(loss, output), _last_op(output)
    if (kind, last) in (("several", "softmax"), ("binary", "sigmoid")):
        warn(f"fit: the model ends in {last} and the loss takes logits: leave {last} out", UserWarning)
    elif kind == "several":
        chance = math.log(output.shape[1])
        if number > 3 * chance:
            warn(
                f"fit: the first loss is {number:.3g}; a guess among {output.shape[1]} classes has "
                f"ln({output.shape[1]}) = {chance:.3g}: are the inputs scaled, and the last layer without softmax?",
                UserWarning,
            )
    idle = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    if idle:
        shown = ", ".join(idle[:5]) + (f" and {len(idle) - 5} more" if len(idle) > 5 else "")
        warn(f"fit: no gradient reaches {shown}: the loss does not depend on them", UserWarning)
    if isinstance(inputs, Tensor) and len(inputs) > 1 and inputs.numel() > 1:
        if bool((inputs == inputs[:1]).all()):
            warn("fit: all samples of the first batch are the same: are the inputs constant?", UserWarning)


def _last_op(output: Any) -> str:
    """The name of the op that made the output's numbers, whatever their shape is now; or ""."""
    node = getattr(output, "_node", None)
    while node is not None and node.op.name == "reshape":
        node = node.edges[0]
    return "" if node is None else str(node.op.name)


def bad_data(inputs: Any, targets: Any) -> str:
    """In words, whether a batch holds numbers that are none; or ""."""
    for name, x in (("inputs", inputs), ("targets", targets)):
        if _bad(x):
            return f"the {name} hold NaN or infinity"
    return ""


def bad_loss(model: Any, number: float, where: str, inputs: Any, targets: Any, guards: Any) -> None:
    """A warning with the reason; ValueError if it is the data, unless a TerminateOnNaN ends the training."""
    reason = bad_data(inputs, targets)
    if reason and not guards:
        raise ValueError(f"fit: {reason} in {where}")
    if guards and not reason:
        reason = first_bad_module(model, inputs)
        for g in guards:
            g.module = reason
    reason = reason or "a lower learning rate or clipped gradients may help"
    warn(f"fit: the loss is {number} in {where}: {reason}", RuntimeWarning)


@autograd.no_grad
def first_bad_module(model: Any, inputs: Any) -> str:
    """Runs the model again and says which module is the first to give NaN or infinity, or "". Buffers (running
    statistics) and random numbers stay as they are."""
    found: list[str] = []

    def hook(name: str) -> Any:
        def look(module: Any, args: Any, output: Any) -> None:
            if not found and _bad(output):
                own = [n for n, p in module.named_parameters(recurse=False) if _bad(p)]
                why = f", whose {' and '.join(own)} held NaN or infinity already" if own else ""
                found.append(
                    f"the first NaN or infinity comes from {name or 'the model'} ({type(module).__name__}){why}"
                )

        return look

    handles = [m.register_forward_hook(hook(n)) for n, m in model.named_modules()]
    buffers = [(b, b.detach().clone()) for b in model.buffers()]
    numbers = default_generator.snapshot()
    try:
        model(inputs)
    finally:
        default_generator.restore(numbers)
        for b, before in buffers:
            b.detach().copy_(before)
        for h in handles:
            h.remove()
    return found[0] if found else ""


def _bad(x: Any) -> bool:
    from ..ops import isfinite

    if isinstance(x, (tuple, list)):
        return any(_bad(part) for part in x)
    return isinstance(x, Tensor) and x.dtype.is_floating_point and not bool(isfinite(x).all())
