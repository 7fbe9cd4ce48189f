"""Steps divided by the size of past gradients, without a running mean of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .optimizer import Fused


class RMSprop(Fused):
    """v = alpha v + (1 - alpha) g^2; p -= lr g / (sqrt(v) + eps). centered subtracts the squared mean gradient from v;
    momentum keeps a buffer of the steps. Source: Hinton 2012, lecture 6e; centred: Graves 2013.
    """

    rule = "rmsprop"

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        group = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "maximize": maximize,
        }
        self._check(
            group, lr=lr >= 0, eps=eps >= 0, momentum=momentum >= 0, weight_decay=weight_decay >= 0, alpha=alpha >= 0
        )
        super().__init__(params, group, differentiable=differentiable)

    def _names(self, group: dict[str, Any]) -> tuple[str | None, str | None, str | None]:
        return (
            "square_avg",
            "grad_avg" if group["centered"] else None,
            "momentum_buffer" if group["momentum"] else None,
        )

    def _numbers(self, group: dict[str, Any]) -> dict[str, Any]:
        return {name: group[name] for name in ("lr", "momentum", "alpha", "eps", "weight_decay")}


class Adagrad(Fused):
    """v += g^2; p -= lr / (1 + (t - 1) lr_decay) g / (sqrt(v) + eps). Source: Duchi, Hazan & Singer 2011."""

    rule = "adagrad"

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        **options: Any,
    ) -> None:
        group = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "maximize": maximize,
        }
        self._check(
            group,
            lr=lr >= 0,
            lr_decay=lr_decay >= 0,
            weight_decay=weight_decay >= 0,
            initial_accumulator_value=initial_accumulator_value >= 0,
            eps=eps >= 0,
        )
        self.first_value = {"sum": initial_accumulator_value}
        super().__init__(params, group, **options)

    def _names(self, group: dict[str, Any]) -> tuple[str | None, str | None, str | None]:
        return ("sum", None, None)

    def _numbers(self, group: dict[str, Any]) -> dict[str, Any]:
        return {name: group[name] for name in ("lr", "lr_decay", "eps", "weight_decay")}


class Adadelta(Fused):
    """v = rho v + (1 - rho) g^2; d = sqrt(u + eps) / sqrt(v + eps) g; u = rho u + (1 - rho) d^2; p -= lr d.

    Source: Zeiler 2012.
    """

    rule = "adadelta"

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        **options: Any,
    ) -> None:
        group = {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        self._check(group, lr=lr >= 0, rho=0 <= rho <= 1, eps=eps >= 0, weight_decay=weight_decay >= 0)
        super().__init__(params, group, **options)

    def _names(self, group: dict[str, Any]) -> tuple[str | None, str | None, str | None]:
        return ("square_avg", "acc_delta", None)

    def _numbers(self, group: dict[str, Any]) -> dict[str, Any]:
        return {"lr": group["lr"], "alpha": group["rho"], "eps": group["eps"], "weight_decay": group["weight_decay"]}
