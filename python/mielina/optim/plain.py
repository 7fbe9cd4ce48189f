"""Optimisers made of tensor ops, a few kernels a parameter: Rprop and averaged SGD."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .. import _core, dtypes
from ..autograd import enable_grad, no_grad
from ..ops import ones_like, zeros_like
from ..tensor import Tensor
from .optimizer import Optimizer


class Plain(Optimizer):
    """Base: `_update` changes one parameter that has a gradient, without history."""

    def __init__(self, params: Iterable[Any], group: dict[str, Any], **options: Any) -> None:
        if options.get("differentiable"):
            raise NotImplementedError(f"{type(self).__name__}: a step cannot be differentiated")
        super().__init__(params, group)

    def _update(self, p: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        raise NotImplementedError

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        with no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    if p._grad is not None:
                        self._update(p, group, self.state[p])
        return loss


def _clock(value: float = 0.0) -> Tensor:
    """A number of the state: a float32 tensor, as in PyTorch's files."""
    t: Tensor = _core.empty((), dtypes.float32)
    _core.fill_(t, value)
    return t


def _gradient(p: Tensor, group: dict[str, Any]) -> Tensor:
    """p's gradient, downhill, with the weight decay's part."""
    g: Any = p._grad.detach()
    g = -g if group["maximize"] else g
    return g + p.detach() * group["weight_decay"] if group.get("weight_decay") else g


class Rprop(Plain):
    """Each weight's own step grows by eta+ while its gradient keeps its sign and shrinks by eta- when it turns, in
    which case the weight rests once; p -= sign(g) step.

    For full batches. Source: Riedmiller & Braun 1993, in the variant without weight-backtracking (Igel & Huesken 2000).
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        group = {"lr": lr, "etas": etas, "step_sizes": step_sizes, "maximize": maximize}
        self._check(group, lr=lr >= 0, etas=0 < etas[0] < 1 < etas[1])
        super().__init__(params, group, differentiable=differentiable)

    def _update(self, p: Any, group: dict[str, Any], state: dict[str, Any]) -> None:
        g = _gradient(p, group)
        if not state:
            state |= {"step": _clock(), "prev": zeros_like(g), "step_size": zeros_like(g) + group["lr"]}
        state["step"].add_(1)
        (shrink, grow), (least, most) = group["etas"], group["step_sizes"]
        turn = (g * state["prev"]).sign()
        factor = ones_like(turn).masked_fill(turn > 0, grow).masked_fill(turn < 0, shrink)
        state["step_size"].mul_(factor).clamp_(least, most)
        g = g.masked_fill(turn < 0, 0)
        p.sub_(g.sign() * state["step_size"])
        state["prev"].copy_(g)


class ASGD(Plain):
    """SGD with rates lr / (1 + lambd lr t)^alpha, and the mean of the weights since step t0 in state[p]["ax"].

    Source: Polyak & Juditsky 1992.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        group = {
            "lr": lr,
            "lambd": lambd,
            "alpha": alpha,
            "t0": t0,
            "weight_decay": weight_decay,
            "maximize": maximize,
        }
        self._check(group, lr=lr >= 0, weight_decay=weight_decay >= 0)
        super().__init__(params, group, differentiable=differentiable)

    def _update(self, p: Any, group: dict[str, Any], state: dict[str, Any]) -> None:
        g = _gradient(p, group)
        if not state:
            state |= {
                "step": _clock(),
                "eta": _clock(group["lr"]),
                "mu": _clock(1.0),
                "ax": zeros_like(p.detach()),
            }
        state["step"].add_(1)
        t, eta, mu = state["step"].item(), state["eta"].item(), state["mu"].item()
        p.mul_(1 - group["lambd"] * eta)
        p.sub_(g * eta)
        if mu == 1:
            state["ax"].copy_(p)
        else:
            state["ax"].add_((p.detach() - state["ax"]) * mu)
        state["eta"].fill_(group["lr"] / (1 + group["lambd"] * group["lr"] * t) ** group["alpha"])
        state["mu"].fill_(1 / max(1, t - group["t0"]))
