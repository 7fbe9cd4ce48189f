"""Callbacks: what happens at the edges of epochs and batches, with Keras' names."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any

from .. import _core
from .bar import say


class Callback:
    """Base class. `self.model`, `self.optimizer`, `self.history` and `self.loader` are set before on_train_begin. Set
    `self.stop = True` (or Keras' `self.model.stop_training`) to end the training after this batch. `kept`: the
    attributes that a checkpoint of the run holds (numbers, strings, tensors, and lists and dicts of them);
    on_train_begin runs before they are put back. on_train_batch_end is given the loss of this batch alone."""

    kept: tuple[str, ...] = ()
    model: Any = None
    optimizer: Any = None
    history: Any = None
    loader: Any = None
    stop = False

    def on_train_begin(self, logs: dict[str, float]) -> None: ...
    def on_train_end(self, logs: dict[str, float]) -> None: ...
    def on_epoch_begin(self, epoch: int, logs: dict[str, float]) -> None: ...
    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None: ...
    def on_train_batch_begin(self, batch: int, logs: dict[str, float]) -> None: ...
    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None: ...
    def on_test_begin(self, logs: dict[str, float]) -> None: ...
    def on_test_end(self, logs: dict[str, float]) -> None: ...
    def on_test_batch_begin(self, batch: int, logs: dict[str, float]) -> None: ...
    def on_test_batch_end(self, batch: int, logs: dict[str, float]) -> None: ...

    def state_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.kept}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)


def copied(model: Any) -> dict[str, Any]:
    """The model's state_dict in memory of its own."""
    return {k: _core.clone(v.detach()) for k, v in model.state_dict().items()}


HOOKS = tuple(name for name in vars(Callback) if name.startswith("on_"))


def check_callback(c: Any) -> None:
    """TypeError for what is no Callback object, and for a method that looks like a hook and would never be called."""
    if not isinstance(c, Callback):
        what = f"the class {c.__name__}: make one" if isinstance(c, type) else type(c).__name__
        raise TypeError(f"fit: callbacks must be Callback objects, got {what}")
    for name in dir(type(c)):
        if name.startswith("on_") and name not in HOOKS:
            raise TypeError(f"fit: {type(c).__name__}.{name} is no hook; there are {', '.join(HOOKS)}")


class LambdaCallback(Callback):
    """Functions as hooks: LambdaCallback(on_epoch_end=lambda epoch, logs: ...). TypeError for an unknown hook."""

    def __init__(self, **hooks: Callable[..., None]) -> None:
        for name, f in hooks.items():
            if name not in HOOKS:
                raise TypeError(f"LambdaCallback: no hook {name!r}")
            setattr(self, name, f)


_RISING = ("acc", "auc", "f1", "precision", "recall", "r2", "iou", "dice")
_FALLING = ("loss", "error", "mae", "mse", "perplexity")


class _Monitor(Callback):
    """Watches one number; mode "auto" knows that accuracies and the like rise, losses and errors fall."""

    kept: tuple[str, ...] = ("best",)

    def __init__(self, monitor: str, mode: str, min_delta: float = 0.0) -> None:
        if mode not in ("auto", "min", "max"):
            raise ValueError(f'mode must be "auto", "min" or "max", got {mode!r}')
        rising = mode == "max" or (mode == "auto" and any(w in monitor for w in _RISING))
        if mode == "auto" and not rising and not any(w in monitor for w in _FALLING):
            raise ValueError(
                f'{type(self).__name__}: whether {monitor!r} should rise or fall is not known: mode="max" or "min"'
            )
        self.monitor, self.sign, self.min_delta = monitor, -1.0 if rising else 1.0, abs(min_delta)
        self.best = math.inf

    def on_train_begin(self, logs: dict[str, float]) -> None:
        self.best = math.inf

    def value(self, logs: dict[str, float]) -> float:
        if self.monitor not in logs:
            held = not self.monitor.startswith("val_") or any(k.startswith("val_") for k in logs)
            missing = "metrics= has it computed" if held else "pass validation= for val_ numbers"
            raise ValueError(f"{type(self).__name__}: {self.monitor!r} is not among {', '.join(logs)}; {missing}")
        return self.sign * logs[self.monitor]

    def improved(self, logs: dict[str, float]) -> bool:
        v = self.value(logs)
        if v < self.best - self.min_delta:
            self.best = v
            return True
        return False


class EarlyStopping(_Monitor):
    """Ends the training when `monitor` has not improved by more than `min_delta` for `patience` epochs, or has not got
    past `baseline` in these and gets no better. The names and defaults are Keras'."""

    kept = ("best", "wait", "stopped_epoch", "best_epoch", "weights")

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.patience, self.verbose, self.restore_best_weights = patience, verbose, restore_best_weights
        self.start_from_epoch = start_from_epoch
        self.limit = math.inf if baseline is None else self.sign * baseline

    def on_train_begin(self, logs: dict[str, float]) -> None:
        super().on_train_begin(logs)
        self.wait, self.stop = 0, False
        self.stopped_epoch: int | None = None
        self.best_epoch: int | None = None
        self.weights: dict[str, Any] | None = None

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        if epoch < self.start_from_epoch:
            return
        self.wait += 1
        better = self.improved(logs)
        if self.restore_best_weights and (better or self.weights is None):
            self.weights = copied(self.model)
        if better:  # no reason to stop, but only what is past the baseline gives patience anew
            self.best_epoch = epoch
            self.wait = 0 if self.best < self.limit - self.min_delta else self.wait
        elif self.wait >= self.patience and epoch > self.start_from_epoch:
            self.stop, self.stopped_epoch = True, epoch
            if self.verbose:
                say(f"epoch {epoch + 1}: early stopping; {self.monitor} was best in epoch {(self.best_epoch or 0) + 1}")

    def on_train_end(self, logs: dict[str, float]) -> None:
        if self.weights is not None:
            self.model.load_state_dict(self.weights)


class ModelCheckpoint(_Monitor):
    """Saves the model's state_dict after each epoch, or only the best, or every `save_freq` batches. `filepath` may
    hold {epoch} and logged names; a folder that is missing is made. initial_value_threshold: what the first best must
    improve on. Used in a second fit, it goes on from the best of the first, as in Keras."""

    kept = ("best", "batches")

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = True,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__(monitor, mode)
        if save_freq != "epoch" and (isinstance(save_freq, bool) or not isinstance(save_freq, int) or save_freq < 1):
            raise ValueError(f'ModelCheckpoint: save_freq must be "epoch" or a number of batches, got {save_freq!r}')
        if not save_weights_only:
            raise ValueError(
                "ModelCheckpoint saves weights; a run with all its state: mi.fit(..., checkpoint_dir=PATH)"
            )
        self.filepath, self.verbose, self.save_best_only = os.fspath(filepath), verbose, save_best_only
        self.save_freq, self.batches, self.epoch = save_freq, 0, 0
        if initial_value_threshold is not None:
            self.best = self.sign * initial_value_threshold

    def on_train_begin(self, logs: dict[str, float]) -> None: ...  # the best of a fit before stays the best

    def on_epoch_begin(self, epoch: int, logs: dict[str, float]) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        self.batches += 1
        if isinstance(self.save_freq, int) and self.batches % self.save_freq == 0:
            self._save(self.epoch, logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        if self.save_freq == "epoch":
            self._save(epoch, logs)

    def _save(self, epoch: int, logs: dict[str, float]) -> None:
        from ..io import save

        if not self.save_best_only or self.improved(logs):
            try:
                path = self.filepath.format(epoch=epoch + 1, **logs)
            except (KeyError, IndexError, ValueError) as e:
                known = ", ".join(["epoch", *logs])
                raise ValueError(f"ModelCheckpoint: {self.filepath!r} cannot be filled in ({e}) from {known}") from e
            os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
            save(self.model.state_dict(), path)
            if self.verbose:
                say(f"epoch {epoch + 1}: saved {path}")


class ReduceLROnPlateau(_Monitor):
    """Multiplies the learning rates by `factor` when `monitor` has not improved by more than `min_delta` for `patience`
    epochs; then waits `cooldown` epochs. The names and defaults are Keras'."""

    kept = ("best", "wait", "cooling")

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        if factor >= 1:
            raise ValueError(f"ReduceLROnPlateau: factor must be below 1, got {factor}")
        self.factor, self.patience, self.verbose = factor, patience, verbose
        self.cooldown, self.min_lr, self.wait, self.cooling = cooldown, min_lr, 0, 0

    def on_train_begin(self, logs: dict[str, float]) -> None:
        super().on_train_begin(logs)
        self.wait = self.cooling = 0

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        logs["learning_rate"] = float(self.optimizer.param_groups[0]["lr"])
        if self.cooling:
            self.cooling, self.wait = self.cooling - 1, 0
        if self.improved(logs):
            self.wait = 0
        elif not self.cooling:
            self.wait += 1
            if self.wait >= self.patience:
                groups = [g for g in self.optimizer.param_groups if g["lr"] > self.min_lr]
                for group in groups:
                    group["lr"] = max(group["lr"] * self.factor, self.min_lr)
                self.cooling, self.wait = self.cooldown, 0
                if self.verbose and groups:
                    say(f"epoch {epoch + 1}: learning rate {self.optimizer.param_groups[0]['lr']:.3g}")


class LearningRateScheduler(Callback):
    """Sets the learning rate before each epoch to schedule(epoch, lr) or schedule(epoch), or steps a scheduler of
    mi.optim.lr_scheduler after it. ValueError: the function gives no number; the scheduler is of another optimizer."""

    def __init__(self, schedule: Any, verbose: int = 0) -> None:
        from ..optim.lr_scheduler import ReduceLROnPlateau as Plateau

        if isinstance(schedule, Plateau):
            raise TypeError("LearningRateScheduler: a plateau is looked for by the callback mi.ReduceLROnPlateau")
        self.schedule, self.verbose = schedule, verbose

    def on_train_begin(self, logs: dict[str, float]) -> None:
        if getattr(self.schedule, "optimizer", self.optimizer) is not self.optimizer:
            raise ValueError("LearningRateScheduler: the scheduler is of another optimizer than fit's")

    def on_epoch_begin(self, epoch: int, logs: dict[str, float]) -> None:
        if hasattr(self.schedule, "step"):
            return
        for group in self.optimizer.param_groups:
            lr = self.schedule(epoch, group["lr"]) if self._takes_rate() else self.schedule(epoch)
            if isinstance(lr, bool) or not isinstance(lr, (int, float)) or not math.isfinite(lr):
                raise ValueError(f"LearningRateScheduler: the schedule must give a number, got {lr!r}")
            group["lr"] = float(lr)
        if self.verbose:
            say(f"epoch {epoch + 1}: learning rate {self.optimizer.param_groups[0]['lr']:.3g}")

    def _takes_rate(self) -> bool:
        import inspect

        try:
            inspect.signature(self.schedule).bind(0, 0.0)
        except TypeError:
            return False
        except ValueError:  # a function in C, without a signature
            pass
        return True

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        logs["learning_rate"] = float(self.optimizer.param_groups[0]["lr"])
        if hasattr(self.schedule, "step"):
            self.schedule.step()

    def state_dict(self) -> dict[str, Any]:
        return self.schedule.state_dict() if hasattr(self.schedule, "state_dict") else {}  # type: ignore[no-any-return]

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if state:
            self.schedule.load_state_dict(state)


class TerminateOnNaN(Callback):
    """Ends the training when the loss is NaN or infinite, before the weights follow it. fit's warning names the first
    module that gave such a number; so does `module` ("" if it was none: the data, or the loss)."""

    module = ""

    def on_train_begin(self, logs: dict[str, float]) -> None:
        self.module = ""

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        if not math.isfinite(logs.get("loss", 0.0)):
            self.stop = True
