"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .optimizer import Fused


class SGD(Fused):
    """b = momentum b + (1 - dampening) g, the first g as it is; p -= lr b, or lr (g + momentum b) with nesterov.

    weight_decay adds wd * p to the gradient. Source: Sutskever et al. 2013.

    >>> w = mi.tensor([1.0], requires_grad=True)
    >>> optimizer = mi.optim.SGD([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.8000], requires_grad=True)
    """

    rule = "sgd"

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        **options: Any,
    ) -> None:
        group = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
        }
        self._check(group, lr=lr >= 0, momentum=momentum >= 0, weight_decay=weight_decay >= 0)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        super().__init__(params, group, **options)

    def _names(self, group: dict[str, Any]) -> tuple[str | None, str | None, str | None]:
        return ("momentum_buffer" if group["momentum"] else None, None, None)

    def _numbers(self, group: dict[str, Any]) -> dict[str, Any]:
        return {name: group[name] for name in ("lr", "momentum", "dampening", "weight_decay")}
