"""One training: its epochs, steps and validation."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from itertools import islice
from typing import Any

from .. import amp, autograd, dtypes
from ..tensor import Tensor
from .arguments import Loss, float_dtype, pair
from .bar import Bar
from .callbacks import TerminateOnNaN, check_callback
from .checks import bad_data, bad_loss, first_output, first_step, labels_in_range, no_broadcast
from .history import History
from .metrics import Metric, Running, measure


@contextlib.contextmanager
def modes(model: Any, training: bool = True) -> Iterator[None]:
    """Training or eval mode; afterwards every module is in the mode it was in. A model in training mode keeps parts
    that were put into eval mode (frozen batch norm)."""
    before = [(m, m.training) for m in model.modules()]
    if model.training is not training:
        model.train(training)
    try:
        yield
    finally:
        for m, mode in before:
            m.training = mode


def autocast_of(precision: Any) -> Any:
    """A context for forward passes."""
    if precision in (None, "float32"):
        return contextlib.nullcontext
    if precision not in ("bfloat16", dtypes.bfloat16):
        hint = ""
        if precision in ("float16", dtypes.float16):
            hint = "; in float16 gradients below 3e-8 are 0 without a loss scale; bfloat16 has float32's range"
        raise ValueError(f'fit: precision must be None, "float32" or "bfloat16", got {precision!r}{hint}')
    return lambda: amp.autocast(dtype=dtypes.bfloat16)


class Run:
    """What all epochs of one training share, and where it stands: `epoch`, `batch` (batches of it that are done)."""

    def __init__(
        self, model: Any, compute_loss: Loss, measures: Any, optimizer: Any, callbacks: Any, loader: Any, held: Any
    ) -> None:
        self.model, self.compute_loss, self.measures, self.optimizer = model, compute_loss, measures, optimizer
        self.loader, self.held, self.dtype = loader, held, float_dtype(model)
        self.weighted: Any = None  # a loss of (output, target, sample weights or None)
        self.loss_name: Any = None
        self.class_weight = ""  # in words
        self.autocast: Any = contextlib.nullcontext
        self.store: Any = None
        self.accumulate, self.epoch, self.batch = 1, 0, 0
        self.history, self.running = History(), Running()
        self.warned = self.checked = self.stopped = False
        self.logs: dict[str, float] = {}
        alone = isinstance(callbacks, type) or not (callbacks is None or hasattr(callbacks, "__iter__"))
        self.callbacks: list[Any] = [callbacks] if alone else list(callbacks or ())
        for c in self.callbacks:
            check_callback(c)
            c.model, c.optimizer, c.history, c.loader, c.stop = model, optimizer, self.history, loader, False
        self.guards = [c for c in self.callbacks if isinstance(c, TerminateOnNaN)]
        vars(model).pop("stop_training", None)

    def call(self, hook: str, *args: Any) -> None:
        for c in self.callbacks:
            getattr(c, hook)(*args)

    def stopping(self) -> bool:
        """Whether a callback wants to stop: by its `stop`, or by the model's `stop_training`, as in Keras."""
        return any(c.stop for c in self.callbacks) or bool(vars(self.model).get("stop_training"))

    def epochs(self, epochs: int, bar: Bar) -> None:
        if self.stopped:
            return
        for epoch in range(self.epoch, epochs):
            if not self.batch:
                self.call("on_epoch_begin", epoch, {})
            bar.begin(epoch, self.batch)
            self.train_epoch(bar)
            self.logs = self.running.values()
            if self.held is not None:
                hook = self.call if self.callbacks else None
                arguments = (self.held, self.compute_loss, self.measures, self.dtype, "val_", hook, self.autocast)
                self.logs |= evaluated(self.model, *arguments)
            self.history.append(epoch, self.logs)
            bar.end(self.logs)
            before = set(self.logs)
            self.call("on_epoch_end", epoch, self.logs)
            self.history.add({k: v for k, v in self.logs.items() if k not in before})
            self.stopped = self.stopping()
            self.epoch, self.batch, self.running = epoch + 1, 0, Running()
            if self.store is not None:
                self.store.epoch_done(self, self.stopped or self.epoch == epochs)
            if self.stopped:
                return

    def train_epoch(self, bar: Bar) -> None:
        batches = iter(self.loader) if self.store is None else self.store.batches(self)
        while group := [pair(b, self.dtype, self.weighted is not None) for b in islice(batches, self.accumulate)]:
            total = sum(len(targets) for _, targets, *_ in group)
            self.optimizer.zero_grad()
            for k, (inputs, targets, *weights) in enumerate(group, 1):
                self.call("on_train_batch_begin", self.batch, {})
                number = self.step(inputs, targets, weights, len(targets) / total, k == len(group))
                bar.step(self.running)
                self.batch += 1
                self.call("on_train_batch_end", self.batch - 1, {"loss": number})
            if self.callbacks and self.stopping():
                break
            if self.store is not None:
                self.store.step_done(self)
        if not self.running.entries:
            raise ValueError("fit: the training data gave no batch")

    def step(self, inputs: Any, targets: Any, weights: Any, share: float, last: bool) -> float:
        with self.autocast():
            output = self.model(inputs) if self.checked else first_output(self.model, inputs, "fit")
            if not self.checked:
                labels_in_range(self.loss_name, output, targets, self.loader)
            if self.weighted is not None:
                value = self.weighted(output, targets, *weights)
            elif self.checked:
                value = one_number(self.compute_loss(output, targets))
            else:
                with no_broadcast(output, targets):
                    value = one_number(self.compute_loss(output, targets))
        number = float(value.item())
        good = math.isfinite(number)
        if not (good or self.warned):
            self.warned = True
            where = f"epoch {self.epoch + 1}, batch {self.batch + 1}"
            bad_loss(self.model, number, where, inputs, targets, self.guards)
        if good or not self.guards:
            (value if share == 1 else value * share).backward()
            if last:
                if not self.checked:
                    self.checked = True
                    first_step(self.model, self.loss_name, number, inputs, output)
                self.optimizer.step()
        self.running.add("loss", number * len(targets), len(targets))
        if self.measures:
            measure(self.running, self.measures, output.detach(), targets)
        return number

    def load_running(self, state: dict[str, Any]) -> None:
        """The numbers of an epoch that was left in its middle."""
        for name, values in state.items():
            known = self.measures.get(name)
            entry = self.running.own(name, known) if isinstance(known, Metric) else None
            if entry is None:
                self.running.add(name, 0.0, 0.0)
            self.running.entries[name].load_state_dict(values)


def one_number(value: Any) -> Tensor:
    if not isinstance(value, Tensor):
        raise TypeError(f"the loss must be a Tensor, got {type(value).__name__}")
    if value.numel() != 1:
        raise ValueError(f"the loss must be one number, got shape {value.shape}; reduce it, with .mean() for instance")
    return value


@autograd.no_grad
def evaluated(
    model: Any,
    loader: Any,
    compute_loss: Loss,
    measures: Any,
    dtype: Any,
    prefix: str = "",
    call: Any = None,
    autocast: Any = contextlib.nullcontext,
) -> dict[str, float]:
    """Loss and metrics over a loader; call(hook, ...) tells callbacks."""
    running = Running()
    if call is not None:
        call("on_test_begin", {})
    with modes(model, training=False):
        for k, batch in enumerate(loader):
            if call is not None:
                call("on_test_batch_begin", k, {})
            inputs, targets = pair(batch, dtype)
            with autocast():
                output = model(inputs) if k else first_output(model, inputs, "evaluate")
                number = one_number(compute_loss(output, targets)).item()
            if not math.isfinite(number) and (reason := bad_data(inputs, targets)):
                raise ValueError(f"{'fit: validation' if prefix else 'evaluate'}: {reason} in batch {k + 1}")
            running.add("loss", number * len(targets), len(targets))
            measure(running, measures, output, targets)
            if call is not None:
                call("on_test_batch_end", k, {"loss": number})
    if not running.entries:
        raise ValueError("evaluate: the data gave no batch")
    logs = running.values(prefix)
    if call is not None:
        call("on_test_end", logs)
    return logs
