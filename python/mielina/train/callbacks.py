"""Callbacks: what happens at the edges of epochs and batches, with Keras' names."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any

from .. import _core


class Callback:
    """Base class. `self.model`, `self.optimizer` and `self.history` are set before on_train_begin. Set `self.stop =
    True` to end the training after this epoch."""

    model: Any = None
    optimizer: Any = None
    history: Any = None
    stop = False

    def on_train_begin(self, logs: dict[str, float]) -> None: ...
    def on_train_end(self, logs: dict[str, float]) -> None: ...
    def on_epoch_begin(self, epoch: int, logs: dict[str, float]) -> None: ...
    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None: ...
    def on_train_batch_begin(self, batch: int, logs: dict[str, float]) -> None: ...
    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None: ...


class LambdaCallback(Callback):
    """Functions as hooks: LambdaCallback(on_epoch_end=lambda epoch, logs: ...). TypeError for an unknown hook."""

    def __init__(self, **hooks: Callable[..., None]) -> None:
        for name, f in hooks.items():
            if not name.startswith("on_") or not hasattr(Callback, name):
                raise TypeError(f"LambdaCallback: no hook {name!r}")
            setattr(self, name, f)


class _Monitor(Callback):
    """Watches one number; "auto" means larger is better for accuracies and the like, smaller for everything else."""

    def __init__(self, monitor: str, mode: str, min_delta: float = 0.0) -> None:
        if mode not in ("auto", "min", "max"):
            raise ValueError(f'mode must be "auto", "min" or "max", got {mode!r}')
        rising = mode == "max" or (
            mode == "auto" and any(w in monitor for w in ("acc", "auc", "f1", "precision", "recall", "r2", "iou"))
        )
        self.monitor, self.sign, self.min_delta = monitor, -1.0 if rising else 1.0, abs(min_delta)
        self.best = math.inf

    def on_train_begin(self, logs: dict[str, float]) -> None:
        self.best = math.inf

    def value(self, logs: dict[str, float]) -> float:
        if self.monitor not in logs:
            raise ValueError(
                f"{type(self).__name__}: {self.monitor!r} is not among {', '.join(logs)}; "
                "pass validation= for val_ numbers"
            )
        return self.sign * logs[self.monitor]

    def improved(self, logs: dict[str, float]) -> bool:
        v = self.value(logs)
        if v < self.best - self.min_delta:
            self.best = v
            return True
        return False


class EarlyStopping(_Monitor):
    """Ends the training when `monitor` has not improved by more than `min_delta` for `patience` epochs."""

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        patience: int = 0,
        mode: str = "auto",
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.patience, self.restore_best_weights, self.start_from_epoch = (
            patience,
            restore_best_weights,
            start_from_epoch,
        )

    def on_train_begin(self, logs: dict[str, float]) -> None:
        super().on_train_begin(logs)
        self.wait, self.stop = 0, False
        self.stopped_epoch: int | None = None
        self.best_epoch: int | None = None
        self.weights: dict[str, Any] | None = None

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        if epoch < self.start_from_epoch:
            return
        if self.improved(logs):
            self.wait, self.best_epoch = 0, epoch
            if self.restore_best_weights:
                self.weights = {k: _core.clone(v.detach()) for k, v in self.model.state_dict().items()}
            return
        self.wait += 1
        if self.wait >= max(self.patience, 1):
            self.stop, self.stopped_epoch = True, epoch

    def on_train_end(self, logs: dict[str, float]) -> None:
        if self.weights is not None:
            self.model.load_state_dict(self.weights)


class ModelCheckpoint(_Monitor):
    """Saves the model's state_dict after each epoch (or only the best). `filepath` may hold {epoch} and logged
    names.
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        save_best_only: bool = False,
        mode: str = "auto",
    ) -> None:
        super().__init__(monitor, mode)
        self.filepath, self.save_best_only = os.fspath(filepath), save_best_only

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        from ..io import save

        if not self.save_best_only or self.improved(logs):
            save(self.model.state_dict(), self.filepath.format(epoch=epoch + 1, **logs))


class TerminateOnNaN(Callback):
    """Ends the training when the loss is NaN or infinite."""

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        if not math.isfinite(logs.get("loss", 0.0)):
            self.stop = True
