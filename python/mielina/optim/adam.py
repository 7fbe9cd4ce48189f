"""Adam and AdamW."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .. import _core
from ..autograd import enable_grad
from ..capture import outside
from .optimizer import Optimizer


class Adam(Optimizer):
    """m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2; p -= lr m^ / (sqrt(v^) + eps), with m^ and v^ free of their bias.

    weight_decay adds wd * p to the gradient (AdamW: takes lr * wd * p off the weights). Source: Kingma & Ba 2015.
    """

    decoupled = False

    def __init__(self, params: Iterable[Any], lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 0.0, amsgrad: bool = False, *, maximize: bool = False) -> None:
        for name, value, ok in (("lr", lr, lr >= 0), ("eps", eps, eps >= 0), ("weight_decay", weight_decay, weight_decay >= 0),
                                ("betas", betas, all(0 <= b < 1 for b in betas))):
            if not ok:
                raise ValueError(f"{type(self).__name__}: invalid {name}: {value}")
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad, maximize=maximize))

    def _numbers(self, group: dict[str, Any]) -> dict[str, float]:
        b1, b2 = group["betas"]
        return dict(lr=group["lr"], beta1=b1, beta2=b2, eps=group["eps"], weight_decay=group["weight_decay"])

    def step(self, closure: Any = None) -> Any:
        """One update of every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        self._begin()
        for group, (hyper, _) in zip(self.param_groups, self._hyper):
            params = [p for p in group["params"] if p._grad is not None]
            states = [self._state(p, group["amsgrad"]) for p in params]
            column = lambda name: [s[name] for s in states]  # noqa: B023
            vmax = column("max_exp_avg_sq") if group["amsgrad"] else ()
            _core.adam(params, column("exp_avg"), column("exp_avg_sq"), vmax, [p._grad for p in params], hyper, self.decoupled,
                       group["amsgrad"], group["maximize"])
        return loss

    def _state(self, p: Any, amsgrad: bool) -> dict[str, Any]:
        s = self.state.get(p)
        if s is None:
            names = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq") if amsgrad else ("exp_avg", "exp_avg_sq")
            s = self.state[p] = {}
            with outside():
                for name in names:
                    s[name] = _core.empty_like(p, p.dtype)
                    _core.fill_(s[name], 0)
        return s


class AdamW(Adam):
    """Adam with decoupled weight decay (default 0.01). Source: Loshchilov & Hutter 2019."""

    decoupled = True

    def __init__(self, params: Iterable[Any], lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 1e-2, amsgrad: bool = False, *, maximize: bool = False) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)
