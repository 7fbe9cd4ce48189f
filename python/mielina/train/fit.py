"""fit, evaluate, predict."""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from .. import autograd, dtypes
from ..data import DataLoader
from ..random import manual_seed
from ..tensor import Tensor
from .arguments import Loss, check_model, count, dataset_of, float_dtype, loader_of, loss_of, optimizer_of, pair, split
from .bar import Bar
from .callbacks import Callback
from .history import History
from .metrics import Running, measure, resolve


def fit(
    model: Any,
    X: Any,
    y: Any = None,
    *,
    validation: Any = None,
    validation_split: float = 0,
    loss: Any = "cross_entropy",
    optimizer: Any = "adam",
    epochs: int = 1,
    batch_size: int = 32,
    callbacks: Callback | Sequence[Callback] = (),
    metrics: Any = (),
    seed: int | None = None,
    verbose: int = 1,
) -> History:
    """Trains `model` and returns the History.

    X: an array or tensor (with y), an (X, y) pair, a Dataset or a DataLoader; a lone array is its own target.
    validation: the same kinds of things, or validation_split of the training data. loss, optimizer, metrics: names or
    objects. seed: makes order, dropout and split repeatable. Numbers are over all samples, `val_` ones in eval mode.
    verbose: 0 silent, 1 a progress bar, 2 a line an epoch.

    Ctrl-C ends the training: the callbacks' on_train_end runs (so that best weights are restored), every module is put
    back into the mode it was in, and KeyboardInterrupt is raised. A loss of NaN or infinity is a RuntimeWarning, once,
    before the weights follow it. ValueError: empty data, lengths or shapes that do not fit, unknown names. TypeError:
    data that are no numbers, class labels that are no integers. IndexError: labels out of range.

    >>> model = nn.Linear(2, 1)
    >>> history = mi.fit(model, mi.ones(8, 2), mi.ones(8, 1), loss="mse", epochs=3, verbose=False)
    >>> len(history["loss"])
    3
    """
    check_model(model, "fit")
    epochs, batch_size = count(epochs, "fit: epochs", 0), count(batch_size, "fit: batch_size", 1)
    if seed is not None:
        manual_seed(seed)
    compute_loss, measures, train = loss_of(loss), resolve(metrics), X
    if not isinstance(X, DataLoader):
        train = dataset_of(X, y, "fit")
        if validation_split:
            if validation is not None:
                raise ValueError("fit: validation and validation_split exclude each other")
            train, validation = split(train, validation_split)
    elif y is not None or validation_split:
        raise TypeError("fit: with a DataLoader, y and validation_split must not be given")
    loader, held = loader_of(train, batch_size, shuffle=True), validation
    if held is not None and not isinstance(held, DataLoader):
        held = loader_of(dataset_of(held, None, "fit: validation"), max(batch_size, 256), shuffle=False)
    run = _Run(model, compute_loss, measures, optimizer_of(optimizer, model), callbacks)
    bar = Bar(epochs, loader, verbose)
    interrupt: KeyboardInterrupt | None = None
    run.call("on_train_begin", {})
    try:
        with _modes(model):
            run.epochs(epochs, loader, held, bar)
    except KeyboardInterrupt as e:
        interrupt = e
    finally:
        bar.close()
    run.call("on_train_end", run.logs)
    if interrupt is not None:
        raise interrupt
    return run.history


@contextlib.contextmanager
def _modes(model: Any, training: bool = True) -> Iterator[None]:
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


class _Run:
    """One training: what all its epochs share."""

    def __init__(self, model: Any, compute_loss: Loss, measures: Any, optimizer: Any, callbacks: Any) -> None:
        self.model, self.compute_loss, self.measures, self.optimizer = model, compute_loss, measures, optimizer
        self.dtype, self.history, self.warned = float_dtype(model), History(), False
        self.logs: dict[str, float] = {}
        self.callbacks = [callbacks] if isinstance(callbacks, Callback) else list(callbacks or ())
        for c in self.callbacks:
            if not isinstance(c, Callback):
                what = f"the class {c.__name__}: make one" if isinstance(c, type) else type(c).__name__
                raise TypeError(f"fit: callbacks must be Callback objects, got {what}")
            c.model, c.optimizer, c.history, c.stop = model, optimizer, self.history, False

    def call(self, hook: str, *args: Any) -> None:
        for c in self.callbacks:
            getattr(c, hook)(*args)

    def epochs(self, epochs: int, loader: Any, held: Any, bar: Bar) -> None:
        for epoch in range(epochs):
            self.call("on_epoch_begin", epoch, {})
            bar.begin(epoch)
            self.logs = self.train_epoch(epoch, loader, bar).values()
            if held is not None:
                self.logs |= _evaluate(self.model, held, self.compute_loss, self.measures, self.dtype, "val_")
            self.history.append(epoch, self.logs)
            bar.end(self.logs)
            self.call("on_epoch_end", epoch, self.logs)
            if any(c.stop for c in self.callbacks):
                return

    def train_epoch(self, epoch: int, loader: Any, bar: Bar) -> Running:
        running, optimizer = Running(), self.optimizer
        for i, batch in enumerate(loader):
            self.call("on_train_batch_begin", i, {})
            inputs, targets = pair(batch, self.dtype)
            output = self.model(inputs)
            value = _one_number(self.compute_loss(output, targets))
            number = value.item()
            if not (self.warned or math.isfinite(number)):
                self.warned = True
                _warn(number, f"epoch {epoch + 1}, batch {i + 1}", inputs, targets)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            running.add("loss", number * len(targets), len(targets))
            if self.measures:
                measure(running, self.measures, output.detach(), targets)
            bar.step(running)
            self.call("on_train_batch_end", i, {"loss": number})
            if self.callbacks and any(c.stop for c in self.callbacks):
                break
        if not running.entries:
            raise ValueError("fit: the training data gave no batch")
        return running


def _one_number(value: Any) -> Tensor:
    if not isinstance(value, Tensor):
        raise TypeError(f"the loss must be a Tensor, got {type(value).__name__}")
    if value.numel() != 1:
        raise ValueError(f"the loss must be one number, got shape {value.shape}; reduce it, with .mean() for instance")
    return value


def _warn(number: float, where: str, inputs: Any, targets: Any) -> None:
    from ..ops import isfinite

    reason = "a lower learning rate or clipped gradients may help"
    for name, x in (("inputs", inputs), ("targets", targets)):
        if isinstance(x, Tensor) and x.dtype.is_floating_point and not bool(isfinite(x).all()):
            reason = f"the {name} hold NaN or infinity"
            break
    warnings.warn(f"fit: the loss is {number} in {where}: {reason}", RuntimeWarning, stacklevel=5)


@autograd.no_grad
def _evaluate(
    model: Any, loader: Any, compute_loss: Loss, measures: Any, dtype: Any, prefix: str = ""
) -> dict[str, float]:
    running = Running()
    with _modes(model, training=False):
        for batch in loader:
            inputs, targets = pair(batch, dtype)
            output = model(inputs)
            running.add("loss", _one_number(compute_loss(output, targets)).item() * len(targets), len(targets))
            measure(running, measures, output, targets)
    if not running.entries:
        raise ValueError("evaluate: the data gave no batch")
    return running.values(prefix)


def evaluate(
    model: Any,
    X: Any,
    y: Any = None,
    *,
    loss: Any = "cross_entropy",
    metrics: Iterable[Any] = (),
    batch_size: int = 256,
) -> dict[str, float]:
    """Loss and metrics over all samples, in eval mode and without gradients. X, y, loss, metrics: as for fit.

    ValueError: no samples, lengths or shapes that do not fit, unknown names.

    >>> mi.evaluate(nn.Identity(), mi.zeros(4, 1), mi.ones(4, 1), loss="mse")
    {'loss': 1.0}
    """
    check_model(model, "evaluate")
    if isinstance(X, DataLoader) and y is not None:
        raise TypeError("evaluate: y must be None when X is a DataLoader")
    data = X if isinstance(X, DataLoader) else dataset_of(X, y, "evaluate")
    return _evaluate(model, loader_of(data, batch_size, False), loss_of(loss), resolve(metrics), float_dtype(model))


@autograd.no_grad
def predict(model: Any, X: Any, *, batch_size: int = 256) -> np.ndarray:
    """The model's outputs for all samples as a NumPy array (bfloat16 as float32), in eval mode and without gradients.

    X: as for fit; targets are left alone. ValueError: no samples. TypeError: the model's output is no tensor.

    >>> mi.predict(nn.ReLU(), mi.ones(4, 2)).shape
    (4, 2)
    """
    check_model(model, "predict")
    dtype, parts = float_dtype(model), []
    loader = X if isinstance(X, DataLoader) else loader_of(dataset_of(X, None, "predict"), batch_size, False)
    with _modes(model, training=False):
        for batch in loader:
            output = model(pair(batch, dtype)[0])
            if not isinstance(output, Tensor):
                raise TypeError(f"predict: the model must give one Tensor, got {type(output).__name__}")
            parts.append((output.float() if output.dtype is dtypes.bfloat16 else output).numpy())
    if not parts:
        raise ValueError("predict: the data gave no batch")
    return np.concatenate(parts)
