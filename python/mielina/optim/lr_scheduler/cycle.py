"""Schedules that go up and down."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from typing import Any

from ..optimizer import Optimizer
from .base import LRScheduler, each


class CosineAnnealingWarmRestarts(LRScheduler):
    """Half a cosine in T_0 epochs, then anew with a period T_mult times as long. Source: Loshchilov & Hutter 2017."""

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        for name, value in (("T_0", T_0), ("T_mult", T_mult)):
            if value < 1 or not isinstance(value, int):
                raise ValueError(
                    f"Expected {'positive integer' if name == 'T_0' else 'integer'} {name}"
                    f"{'' if name == 'T_0' else ' >= 1'}, but got {value}"
                )
        self.T_0 = T_0
        self.T_i = T_0
        self.T_mult = T_mult
        self.eta_min = eta_min
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        part = (1 + math.cos(math.pi * self.T_cur / self.T_i)) / 2
        return [self.eta_min + (base - self.eta_min) * part for base in self.base_lrs]

    def step(self, epoch: float | None = None) -> None:
        """Also with fractions of epochs: step(epoch + batch / batches)."""
        if epoch is None and self.last_epoch >= 0:
            epoch = self.last_epoch + 1
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur -= self.T_i
                self.T_i *= self.T_mult
        else:
            epoch = 0 if epoch is None else epoch
            if epoch < 0:
                raise ValueError(f"Expected non-negative epoch, but got {epoch}")
            self.T_i, self.T_cur = self.T_0, epoch
            while self.T_cur >= self.T_i:
                if self.T_mult == 1:
                    self.T_cur %= self.T_i
                else:
                    self.T_cur -= self.T_i
                    self.T_i *= self.T_mult
        self._step_count += 1
        self.last_epoch = math.floor(epoch)
        self._set(self.get_lr())


class _Cycle(LRScheduler):
    """Schedules that turn the momentum the other way, too."""

    cycle_momentum: bool

    def _momentum_name(self) -> str:
        if "betas" not in self.optimizer.defaults and "momentum" not in self.optimizer.defaults:
            raise ValueError("optimizer must support momentum or beta1 with `cycle_momentum` option enabled")
        return "betas" if "betas" in self.optimizer.defaults else "momentum"

    def _set_momentum(self, group: dict[str, Any], value: float) -> None:
        name = self._momentum_name()
        group[name] = (value, *group["betas"][1:]) if name == "betas" else value


class CyclicLR(_Cycle):
    """Triangles between base_lr and max_lr. Source: Smith 2017."""

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: Any,
        max_lr: Any,
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: Any = 0.8,
        max_momentum: Any = 0.9,
        last_epoch: int = -1,
    ) -> None:
        if mode not in ("triangular", "triangular2", "exp_range") and scale_fn is None:
            raise ValueError("mode is invalid and scale_fn is None")
        self.optimizer = optimizer
        n = len(optimizer.param_groups)
        for group, lr in zip(optimizer.param_groups, each(base_lr, n, "base_lr")):
            if last_epoch == -1:
                group["lr"] = lr
                group["initial_lr"] = lr
        self.max_lrs = each(max_lr, n, "max_lr")
        down = step_size_up if step_size_down is None else step_size_down
        self.total_size = float(step_size_up + down)
        self.step_ratio = step_size_up / self.total_size
        self.mode = mode
        self.gamma = gamma
        self.scale_mode = (
            "iterations" if scale_fn is None and mode == "exp_range" else "cycle" if scale_fn is None else scale_mode
        )
        self._scale_fn = scale_fn
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self.base_momentums = each(base_momentum, n, "base_momentum")
            self.max_momentums = each(max_momentum, n, "max_momentum")
            if last_epoch == -1:
                for group, value in zip(optimizer.param_groups, self.max_momentums):
                    self._set_momentum(group, value)
        super().__init__(optimizer, last_epoch)

    def scale_fn(self, x: float) -> float:
        if self._scale_fn is not None:
            return self._scale_fn(x)
        if self.mode == "triangular":
            return 1.0
        return 1 / 2.0 ** (x - 1) if self.mode == "triangular2" else self.gamma**x

    def get_lr(self) -> list[float]:
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1.0 + self.last_epoch / self.total_size - cycle
        height = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        height *= self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            for group, low, high in zip(self.optimizer.param_groups, self.base_momentums, self.max_momentums):
                self._set_momentum(group, high - (high - low) * height)
        return [base + (top - base) * height for base, top in zip(self.base_lrs, self.max_lrs)]

    def state_dict(self) -> dict[str, Any]:
        return {k: v for k, v in super().state_dict().items() if k != "_scale_fn"}


class OneCycleLR(_Cycle):
    """Up from max_lr / div_factor to max_lr, down to far below where it began. Source: Smith & Topin 2018."""

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: Any,
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: Any = 0.85,
        max_momentum: Any = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError("You must define either total_steps OR (epochs AND steps_per_epoch)")
            total_steps = epochs * steps_per_epoch
        if total_steps <= 0 or not isinstance(total_steps, int):
            raise ValueError(f"Expected positive integer total_steps, but got {total_steps}")
        if not isinstance(pct_start, float) or not 0 <= pct_start <= 1:
            raise ValueError(f"Expected float between 0 and 1 pct_start, but got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        self.optimizer = optimizer
        self.total_steps = total_steps
        self.anneal_strategy = anneal_strategy
        self.cycle_momentum = cycle_momentum
        turn = float(pct_start * total_steps) - 1
        # (end of the phase, the group's rate and momentum at its two ends)
        self._phases = [(turn, ("initial_lr", "max_lr"), ("max_momentum", "base_momentum"))]
        if three_phase:
            self._phases.append(
                (float(2 * pct_start * total_steps) - 2, ("max_lr", "initial_lr"), ("base_momentum", "max_momentum"))
            )
            self._phases.append((float(total_steps) - 1, ("initial_lr", "min_lr"), ("max_momentum", "max_momentum")))
        else:
            self._phases.append((float(total_steps) - 1, ("max_lr", "min_lr"), ("base_momentum", "max_momentum")))
        n = len(optimizer.param_groups)
        if last_epoch == -1:
            for group, top in zip(optimizer.param_groups, each(max_lr, n, "max_lr")):
                group["initial_lr"] = top / div_factor
                group["max_lr"] = top
                group["min_lr"] = group["initial_lr"] / final_div_factor
        if cycle_momentum:
            self._momentum_name()
            if last_epoch == -1:
                lows, highs = each(base_momentum, n, "base_momentum"), each(max_momentum, n, "max_momentum")
                for group, low, high in zip(optimizer.param_groups, lows, highs):
                    self._set_momentum(group, high)
                    group["max_momentum"], group["base_momentum"] = high, low
        super().__init__(optimizer, last_epoch)

    def _between(self, start: float, end: float, part: float) -> float:
        if self.anneal_strategy == "cos":
            return end + (start - end) / 2.0 * (math.cos(math.pi * part) + 1)
        return (end - start) * part + start

    def get_lr(self) -> list[float]:
        n = self.last_epoch
        if n > self.total_steps:
            raise ValueError(f"Tried to step {n} times. The specified number of total steps is {self.total_steps}")
        ends = [end for end, _, _ in self._phases]
        phase = min(bisect_left(ends, n), len(ends) - 1)
        start = ends[phase - 1] if phase else 0.0
        end, rates, momenta = self._phases[phase]
        part = (n - start) / (end - start)
        if self.cycle_momentum:
            for group in self.optimizer.param_groups:
                self._set_momentum(group, self._between(group[momenta[0]], group[momenta[1]], part))
        return [self._between(group[rates[0]], group[rates[1]], part) for group in self.optimizer.param_groups]
