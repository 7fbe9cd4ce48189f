"""Means of a network's weights over training: stochastic weight averaging and exponential moving averages."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from typing import Any

from .. import _core, dtypes
from ..autograd import no_grad
from ..nn import Module
from ..nn.batchnorm import _BatchNorm
from ..tensor import Tensor
from .lr_scheduler.base import LRScheduler, each
from .optimizer import Optimizer

__all__ = [
    "SWALR",
    "AveragedModel",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]

AvgFn = Callable[[Tensor, Tensor, Any], Tensor]


def get_ema_avg_fn(decay: float = 0.999) -> AvgFn:
    """decay * mean + (1 - decay) * p."""
    if not 0 <= decay <= 1:
        raise ValueError(f"get_ema_avg_fn: decay must be in [0, 1], got {decay}")
    return lambda mean, p, n: mean * decay + p * (1 - decay)


def get_swa_avg_fn() -> AvgFn:
    """The mean of all n + 1 values so far."""
    return lambda mean, p, n: mean + (p - mean) / (n + 1)


def _multi(f: AvgFn) -> Callable[[list[Tensor], list[Tensor], Any], None]:
    def update(means: list[Tensor], params: list[Tensor], n: Any) -> None:
        for mean, p in zip(means, params):
            _core.copy_into(mean, f(mean.detach(), p.detach(), n))

    return update


def get_ema_multi_avg_fn(decay: float = 0.999) -> Callable[[list[Tensor], list[Tensor], Any], None]:
    return _multi(get_ema_avg_fn(decay))


def get_swa_multi_avg_fn() -> Callable[[list[Tensor], list[Tensor], Any], None]:
    return _multi(get_swa_avg_fn())


class AveragedModel(Module):
    """A copy of a network that holds the mean of its weights over the calls of update_parameters(model).

    avg_fn(mean, p, n) gives the next mean after n values (default: their plain mean); multi_avg_fn(means, params, n)
    changes all means in place. use_buffers averages buffers, too (else they are copied). Source: Izmailov et al. 2018.
    """

    n_averaged: Tensor

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: AvgFn | None = None,
        multi_avg_fn: Callable[[list[Tensor], list[Tensor], Any], None] | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("AveragedModel: only one of avg_fn and multi_avg_fn should be provided")
        self.module = copy.deepcopy(model)
        count = _core.empty((), dtypes.int64)
        _core.fill_(count, 0)
        self.register_buffer("n_averaged", count)
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    @no_grad()
    def update_parameters(self, model: Module) -> None:
        """Takes the model's present weights into the mean."""
        mine: list[Tensor] = list(self.module.parameters())
        theirs: list[Tensor] = list(model.parameters())
        kept, new = list(self.module.buffers()), list(model.buffers())
        n = int(self.n_averaged.item())
        update = self.multi_avg_fn or _multi(self.avg_fn or get_swa_avg_fn())
        if self.use_buffers:
            mine, theirs, kept, new = mine + kept, theirs + new, [], []
        if n == 0:
            kept, new, mine, theirs = kept + mine, new + theirs, [], []
        update(mine, theirs, n)
        for a, b in zip(kept, new):
            _core.copy_into(a, b.detach())
        self.n_averaged.add_(1)


@no_grad()
def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Computes the running statistics of all BatchNorm layers anew, as means over the loader's batches."""
    layers = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    if not layers:
        return
    momenta, training = [m.momentum for m in layers], model.training
    for m in layers:
        m.reset_running_stats()
        m.momentum = None
    model.train()
    for batch in loader:
        model(batch[0] if isinstance(batch, (list, tuple)) else batch)
    for m, momentum in zip(layers, momenta):
        m.momentum = momentum
    model.train(training)


class SWALR(LRScheduler):
    """Anneals the rates to swa_lr within anneal_epochs, along a cosine or a line, and keeps them there."""

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: Any,
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f'anneal_strategy must be one of "cos" or "linear", instead got {anneal_strategy}')
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        for group, rate in zip(optimizer.param_groups, each(swa_lr, len(optimizer.param_groups), "swa_lr")):
            group["swa_lr"] = rate
        self.anneal_epochs = anneal_epochs
        self.anneal_strategy = anneal_strategy
        super().__init__(optimizer, last_epoch)

    def _share(self, epoch: int) -> float:
        """How far the annealing is after so many epochs, from 0 to 1."""
        t = min(1.0, max(0.0, epoch / max(1, self.anneal_epochs)))
        return (1 - math.cos(math.pi * t)) / 2 if self.anneal_strategy == "cos" else t

    def get_lr(self) -> list[float]:
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = self._share(step - 1), self._share(step)
        rates = []
        for group in self.optimizer.param_groups:
            end = group["swa_lr"]
            first = end if before == 1 else (group["lr"] - before * end) / (1 - before)
            rates.append(end * now + first * (1 - now))
        return rates
