"""Adam and its kin: steps of a running mean of the gradient, divided by a running size."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .optimizer import Fused


class _Moments(Fused):
    def __init__(self, params: Iterable[Any], group: dict[str, Any], options: dict[str, Any]) -> None:
        self._check(
            group,
            lr=group["lr"] >= 0,
            betas=len(group["betas"]) == 2 and all(0 <= b < 1 for b in group["betas"]),
            eps=group["eps"] >= 0,
            weight_decay=group["weight_decay"] >= 0,
        )
        super().__init__(params, group, **options)

    def _names(self, group: dict[str, Any]) -> tuple[str | None, str | None, str | None]:
        return ("exp_avg", "exp_avg_sq", None)

    def _numbers(self, group: dict[str, Any]) -> dict[str, Any]:
        b1, b2 = group["betas"]
        return {"lr": group["lr"], "beta1": b1, "beta2": b2, "eps": group["eps"], "weight_decay": group["weight_decay"]}


class Adam(_Moments):
    """m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2; p -= lr m^ / (sqrt(v^) + eps), with m^ and v^ free of their bias.

    weight_decay adds wd * p to the gradient (decoupled: takes lr * wd * p off the weights). Source: Kingma & Ba 2015.

    >>> w = mi.tensor([1.0], requires_grad=True)
    >>> optimizer = mi.optim.Adam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.9000], requires_grad=True)
    """

    rule = "adam"

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        decoupled_weight_decay: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "amsgrad": amsgrad,
                "maximize": maximize,
                "decoupled_weight_decay": decoupled_weight_decay,
            },
            options,
        )

    def _names(self, group: dict[str, Any]) -> tuple[str | None, str | None, str | None]:
        return ("exp_avg", "exp_avg_sq", "max_exp_avg_sq" if group["amsgrad"] else None)


class AdamW(Adam):
    """Adam with decoupled weight decay (default 0.01). Source: Loshchilov & Hutter 2019.

    >>> w = mi.tensor([1.0], requires_grad=True)
    >>> optimizer = mi.optim.AdamW([w], lr=0.1, weight_decay=0.5)
    >>> w.sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.8500], requires_grad=True)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize, decoupled_weight_decay=True, **options
        )


class Adamax(_Moments):
    """Adam with the infinity norm: u = max(b2 u, |g| + eps); p -= lr m^ / u. Source: Kingma & Ba 2015, section 7."""

    rule = "adamax"

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        *,
        maximize: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(
            params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}, options
        )

    def _names(self, group: dict[str, Any]) -> tuple[str | None, str | None, str | None]:
        return ("exp_avg", "exp_inf", None)


class NAdam(_Moments):
    """Adam with Nesterov's momentum on the schedule mu_t = b1 (1 - 0.96^(t momentum_decay) / 2). Source: Dozat 2016."""

    rule = "nadam"

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
        **options: Any,
    ) -> None:
        if not momentum_decay >= 0:
            raise ValueError(f"NAdam: expected momentum_decay >= 0, got {momentum_decay}")
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "momentum_decay": momentum_decay,
                "maximize": maximize,
                "decoupled_weight_decay": decoupled_weight_decay,
            },
            options,
        )

    def _numbers(self, group: dict[str, Any]) -> dict[str, Any]:
        return {**super()._numbers(group), "momentum_decay": group["momentum_decay"]}


class RAdam(_Moments):
    """Adam that is not adaptive until the variance of its second moment is tractable. Source: Liu et al. 2020."""

    rule = "radam"

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "maximize": maximize,
                "decoupled_weight_decay": decoupled_weight_decay,
            },
            options,
        )
