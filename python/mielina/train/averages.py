"""Callbacks that train on and hand back means of the weights."""

from __future__ import annotations

from typing import Any

from .arguments import count, float_dtype, pair
from .callbacks import Callback, copied


class _Averages(Callback):
    mean: Any = None

    def _begin(self, avg_fn: Any) -> None:
        from ..optim.swa_utils import AveragedModel

        self.mean = AveragedModel(self.model, avg_fn=avg_fn)

    def state_dict(self) -> dict[str, Any]:
        return {"mean": self.mean.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if self.mean is None:  # a finished run is loaded without a beginning
            self._begin(None)
        self.mean.load_state_dict(state["mean"])


class EMA(_Averages):
    """An exponential moving average of the weights: mean = decay * mean + (1 - decay) * weights after each step of the
    optimiser. Validation sees the mean; the trained model is the mean. Buffers (running statistics) are the latest.
    Callbacks at the end of an epoch see the weights themselves. Source: Polyak and Juditsky 1992.

    ValueError: decay outside [0, 1].
    """

    def __init__(self, decay: float = 0.999) -> None:
        from ..optim.swa_utils import get_ema_avg_fn

        self.average = get_ema_avg_fn(decay)
        self.own: dict[str, Any] | None = None
        self.handle: Any = None

    def on_train_begin(self, logs: dict[str, float]) -> None:
        self._begin(self.average)
        self.own = None
        if self.handle is not None:  # a training that ended with an exception
            self.handle.remove()
        self.handle = self.optimizer.register_step_post_hook(lambda *_: self.mean.update_parameters(self.model))

    def _swap_in(self) -> None:
        if int(self.mean.n_averaged.item()):
            self.own = copied(self.model)
            self.model.load_state_dict(self.mean.module.state_dict())

    def on_test_begin(self, logs: dict[str, float]) -> None:
        self._swap_in()

    def on_test_end(self, logs: dict[str, float]) -> None:
        if self.own is not None:
            self.model.load_state_dict(self.own)
            self.own = None

    def on_train_end(self, logs: dict[str, float]) -> None:
        self.handle.remove()
        self.handle = None
        if self.own is None:  # else Ctrl-C came in the middle of a validation: the mean is in its place
            self._swap_in()
        self.own = None


class SWA(_Averages):
    """Stochastic weight averaging: the plain mean of the weights at the ends of the epochs from `start_epoch` (counted
    from 0) on becomes the trained model; batch norm's statistics are then computed anew over the training data.
    Source: Izmailov et al. 2018."""

    def __init__(self, start_epoch: int = 0) -> None:
        self.start_epoch = count(start_epoch, "SWA: start_epoch", 0)

    def on_train_begin(self, logs: dict[str, float]) -> None:
        self._begin(None)

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        if epoch >= self.start_epoch:
            self.mean.update_parameters(self.model)

    def on_train_end(self, logs: dict[str, float]) -> None:
        from ..optim.swa_utils import update_bn

        if int(self.mean.n_averaged.item()):
            self.model.load_state_dict(self.mean.module.state_dict())
            dtype = float_dtype(self.model)
            update_bn(
                (pair(batch[:2] if isinstance(batch, (list, tuple)) else batch, dtype)[0] for batch in self.loader),
                self.model,
            )
