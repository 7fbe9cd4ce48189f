"""Limits on gradients."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from ... import _core, dtypes
from ...tensor import Tensor


def _list(x: Any) -> list[Tensor]:
    return [x] if isinstance(x, Tensor) else list(x)


def get_total_norm(
    tensors: Tensor | Iterable[Tensor],
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The norm of all the tensors' elements together. RuntimeError if it is not finite, with error_if_nonfinite."""
    tensors = [t.detach() for t in _list(tensors)]
    norm = _core.global_norm(tensors, float(norm_type))
    if error_if_nonfinite and not math.isfinite(norm.item()):
        raise RuntimeError(
            f"The total norm of order {float(norm_type)} for gradients from `parameters` is non-finite, so it cannot "
            "be clipped. To disable this error and scale the gradients by the non-finite norm anyway, set "
            "`error_if_nonfinite=False`"
        )
    half = {t.dtype for t in tensors}
    if len(half) == 1 and half <= {dtypes.float16, dtypes.bfloat16}:
        norm = _core.convert(norm, half.pop())
    return norm  # type: ignore[no-any-return]


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    return [p._grad.detach() for p in _list(parameters) if p._grad is not None]


def clip_grads_with_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, total_norm: Tensor, foreach: bool | None = None
) -> None:
    """Gradients times min(1, max_norm / (total_norm + 1e-6)), in place."""
    wide = dtypes.float64 if total_norm.dtype is dtypes.float64 else dtypes.float32
    _core.clip_by_norm(
        _gradients(parameters),
        total_norm if total_norm.dtype is wide else _core.convert(total_norm, wide),
        float(max_norm),
    )


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scales all gradients together so that their norm is at most max_norm; returns the norm before.

    One pass for the norm, whose partial sums are added in a fixed order, and one for the scaling if it is needed.
    Source: Pascanu, Mikolov & Bengio 2013.

    >>> w = mi.tensor([3.0, 4.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> nn.utils.clip_grad_norm_([w], 1.0)
    tensor(10.)
    >>> w.grad
    tensor([0.6000, 0.8000])
    """
    parameters = _list(parameters)
    norm = get_total_norm(_gradients(parameters), norm_type, error_if_nonfinite)
    clip_grads_with_norm_(parameters, max_norm, norm)
    return norm


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None) -> None:
    """Each element of each gradient limited to [-clip_value, clip_value], in place."""
    for g in _gradients(parameters):
        g.clamp_(-float(clip_value), float(clip_value))
