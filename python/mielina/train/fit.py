"""fit, evaluate, predict."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from .. import autograd, dtypes, optim
from ..data import DataLoader, Dataset, Subset, TensorDataset
from ..data.sampler import permutation
from ..ops.creation import as_tensor
from ..random import Generator, manual_seed
from ..tensor import Tensor
from .callbacks import Callback
from .history import History
from .metrics import Running, _match, measure, resolve

Loss = Callable[[Tensor, Tensor], Tensor]


# ---- arguments -------------------------------------------------------------------------------------------------------
def _tensor(a: Any) -> Tensor:
    t = a if isinstance(a, Tensor) else as_tensor(np.asarray(a))
    if t.ndim == 0 or len(t) == 0:
        raise ValueError(f"fit: expected at least one sample, got an array of shape {t.shape}")
    return t.detach()


def _float_dtype(model: Any) -> Any:
    return next((p.dtype for p in model.parameters() if p.dtype.is_floating_point), dtypes.get_default_dtype())


def _dataset(X: Any, y: Any = None) -> Any:
    """A Dataset from an array, an (X, y) pair or a Dataset; a lone array is its own target."""
    if isinstance(X, Dataset) or (not isinstance(X, (Tensor, np.ndarray, list, tuple)) and hasattr(X, "__getitem__")):
        if y is not None:
            raise TypeError("fit: y must be None when X is a Dataset or a DataLoader")
        return X
    if y is None and isinstance(X, tuple) and len(X) == 2:
        X, y = X
    inputs = _tensor(X)
    targets = inputs if y is None else _tensor(y)
    if len(inputs) != len(targets):
        raise ValueError(f"fit: {len(inputs)} inputs but {len(targets)} targets")
    return TensorDataset(inputs, targets)


def _loader(data: Any, batch_size: int, shuffle: bool, generator: Generator | None = None) -> Any:
    if isinstance(data, DataLoader):
        return data
    return DataLoader(data, batch_size=batch_size, shuffle=shuffle, generator=generator)


def _losses() -> dict[str, Loss]:
    from ..nn import functional as F

    f: Any = F
    return {
        "cross_entropy": f.cross_entropy,
        "mse": f.mse_loss,
        "mae": f.l1_loss,
        "huber": f.huber_loss,
        "nll": f.nll_loss,
        "binary_cross_entropy": f.binary_cross_entropy_with_logits,
    }


_ELEMENTWISE = ("mse", "mae", "huber", "binary_cross_entropy")


def _loss(loss: Any) -> Loss:
    """A loss by name, a function or a module. Regression losses never broadcast targets."""
    if not isinstance(loss, str):
        if not callable(loss):
            raise TypeError(f"fit: loss must be a name or a function of (output, target), got {type(loss).__name__}")
        return loss  # type: ignore[no-any-return]
    table = _losses()
    name = {"mean_squared_error": "mse", "mean_absolute_error": "mae", "bce": "binary_cross_entropy"}.get(loss, loss)
    if name not in table:
        raise ValueError(
            f"fit: unknown loss {loss!r}; there are {', '.join(table)}, or pass a function of (output, target)"
        )
    f = table[name]
    if name in _ELEMENTWISE:
        return lambda output, target: f(output, _match(output, target).to(output.dtype))
    return f


def _optimizer(optimizer: Any, model: Any) -> Any:
    """An optimiser by name, a class or function of the parameters, or one that exists."""
    if isinstance(optimizer, optim.Optimizer):
        return optimizer
    if isinstance(optimizer, str):
        known = {
            n.lower(): getattr(optim, n) for n in dir(optim) if isinstance(getattr(optim, n), type) and n != "Optimizer"
        }
        if optimizer.lower() not in known:
            raise ValueError(f"fit: unknown optimizer {optimizer!r}; there are {', '.join(sorted(known))}")
        kind = known[optimizer.lower()]
        return kind(model.parameters(), **({"lr": 1e-2} if optimizer.lower() == "sgd" else {}))
    if callable(optimizer):
        return optimizer(model.parameters())
    raise TypeError(
        f"fit: optimizer must be a name, an Optimizer or a function of the parameters, got {type(optimizer).__name__}"
    )


def _split(data: Any, fraction: float, seed: Generator | None) -> tuple[Any, Any]:
    """The last part of a random order as validation data."""
    if not 0 < fraction < 1:
        raise ValueError(f"fit: validation_split must lie in (0, 1), got {fraction}")
    n = len(data)
    held = math.ceil(n * fraction)
    if held >= n:
        raise ValueError(f"fit: validation_split={fraction} leaves no sample of {n} to train on")
    order = permutation(n, seed).tolist()
    return Subset(data, order[:-held]), Subset(data, order[-held:])


def _batch(batch: Any, dtype: Any) -> tuple[Tensor, Tensor]:
    """(inputs, targets) of a batch; float64 inputs and regression targets are cast to the model's dtype."""
    inputs, targets = batch if isinstance(batch, (tuple, list)) and len(batch) == 2 else (batch, batch)
    if isinstance(inputs, Tensor):
        if inputs.dtype is dtypes.uint8 and inputs.ndim == 4:
            raise TypeError(
                f"fit: images of dtype uint8 and shape {inputs.shape}; "
                "divide by 255 and put the channels first: x.permute(0, 3, 1, 2).float() / 255"
            )
        if inputs.dtype.is_floating_point and inputs.dtype is not dtype:
            inputs = inputs.to(dtype)
    if isinstance(targets, Tensor):
        if targets.dtype.is_floating_point and targets.dtype is not dtype:
            targets = targets.to(dtype)
        elif targets.dtype in (dtypes.int32, dtypes.int16, dtypes.int8, dtypes.uint8):
            targets = targets.to(dtypes.int64)
    return inputs, targets


# ---- the three loops -------------------------------------------------------------------------------------------------
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
    callbacks: Sequence[Callback] = (),
    metrics: Iterable[Any] = (),
    seed: int | None = None,
    verbose: bool = True,
) -> History:
    """Trains `model` and returns the History.

    X: an array or tensor (with y), an (X, y) pair, a Dataset or a DataLoader; a lone array is its own target.
    validation: the same kinds of things, or validation_split of the training data. loss, optimizer, metrics: names or
    objects. seed: makes order, dropout and split repeatable. Numbers are over all samples, `val_` ones in eval mode.

    ValueError: empty data, lengths or shapes that do not fit, unknown names.

    >>> model = nn.Linear(2, 1)
    >>> history = mi.fit(model, mi.ones(8, 2), mi.ones(8, 1), loss="mse", epochs=3, verbose=False)
    >>> len(history["loss"])
    3
    """
    if isinstance(epochs, bool) or not isinstance(epochs, int) or epochs < 0:
        raise ValueError(f"fit: epochs must be a number from 0 up, got {epochs!r}")
    if seed is not None:
        manual_seed(seed)
    compute_loss, measures, train = _loss(loss), resolve(metrics), X
    if not isinstance(X, DataLoader):
        train = _dataset(X, y)
        if validation_split:
            if validation is not None:
                raise ValueError("fit: validation and validation_split exclude each other")
            train, validation = _split(train, validation_split, None)
    elif y is not None or validation_split:
        raise TypeError("fit: with a DataLoader, y and validation_split must not be given")
    loader = _loader(train, batch_size, shuffle=True)
    held = (
        None
        if validation is None
        else validation
        if isinstance(validation, DataLoader)
        else _loader(_dataset(validation), max(batch_size, 256), False)
    )
    chosen = _optimizer(optimizer, model)
    dtype = _float_dtype(model)
    history, everyone = History(), [callbacks] if isinstance(callbacks, Callback) else list(callbacks)
    for c in everyone:
        c.model, c.optimizer, c.history = model, chosen, history
        c.on_train_begin({})
    logs: dict[str, float] = {}
    bar = _Bar(epochs, loader, verbose)
    was_training = model.training
    try:
        for epoch in range(epochs):
            for c in everyone:
                c.on_epoch_begin(epoch, {})
            model.train()
            bar.begin(epoch)
            running = _train_epoch(model, loader, compute_loss, measures, chosen, dtype, everyone, bar)
            logs = running.values()
            if held is not None:
                logs |= _evaluate(model, held, compute_loss, measures, dtype).values("val_")
            history.append(epoch, logs)
            bar.end(logs)
            for c in everyone:
                c.on_epoch_end(epoch, logs)
            if any(c.stop for c in everyone):
                break
    finally:
        bar.close()
        model.train(was_training)
    for c in everyone:
        c.on_train_end(logs)
    return history


def _train_epoch(
    model: Any,
    loader: Any,
    compute_loss: Loss,
    measures: Any,
    optimizer: Any,
    dtype: Any,
    callbacks: Sequence[Callback],
    bar: Any,
) -> Running:
    running = Running()
    for i, batch in enumerate(loader):
        for c in callbacks:
            c.on_train_batch_begin(i, {})
        inputs, targets = _batch(batch, dtype)
        output = model(inputs)
        value = compute_loss(output, targets)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        n = len(targets)
        number = value.item()
        running.add("loss", number * n, n)
        if measures:
            measure(running, measures, output.detach(), targets)
        bar.step(running)
        for c in callbacks:
            c.on_train_batch_end(i, {"loss": number})
        if callbacks and any(c.stop for c in callbacks):
            break
    if not running.totals:
        raise ValueError("fit: the training data gave no batch")
    return running


@autograd.no_grad
def _evaluate(model: Any, loader: Any, compute_loss: Loss, measures: Any, dtype: Any) -> Running:
    running = Running()
    was_training = model.training
    model.eval()
    try:
        for batch in loader:
            inputs, targets = _batch(batch, dtype)
            output = model(inputs)
            n = len(targets)
            running.add("loss", compute_loss(output, targets).item() * n, n)
            measure(running, measures, output, targets)
    finally:
        model.train(was_training)
    return running


def evaluate(
    model: Any,
    X: Any,
    y: Any = None,
    *,
    loss: Any = "cross_entropy",
    metrics: Iterable[Any] = (),
    batch_size: int = 256,
) -> dict[str, float]:
    """Loss and metrics over all samples, in eval mode and without gradients.

    >>> mi.evaluate(nn.Identity(), mi.zeros(4, 1), mi.ones(4, 1), loss="mse")
    {'loss': 1.0}
    """
    data = X if isinstance(X, DataLoader) else _dataset(X, y)
    return _evaluate(
        model, _loader(data, batch_size, False), _loss(loss), resolve(metrics), _float_dtype(model)
    ).values()


@autograd.no_grad
def predict(model: Any, X: Any, *, batch_size: int = 256) -> np.ndarray:
    """The model's outputs for all samples as a NumPy array, in eval mode.

    >>> mi.predict(nn.ReLU(), mi.ones(4, 2)).shape
    (4, 2)
    """
    dtype = _float_dtype(model)
    loader = X if isinstance(X, DataLoader) else _loader(_dataset(X), batch_size, False)
    was_training = model.training
    model.eval()
    try:
        parts = [model(_batch(b, dtype)[0]).numpy() for b in loader]
    finally:
        model.train(was_training)
    return np.concatenate(parts)


class _Bar:
    """One progress bar: epochs, batches, and the running loss and metrics."""

    def __init__(self, epochs: int, loader: Any, verbose: bool) -> None:
        self.bar: Any = None
        self.epochs = epochs
        if verbose:
            from tqdm.auto import tqdm

            try:
                total = len(loader) * epochs
            except TypeError:
                total = None
            self.bar = tqdm(total=total, unit="batch", dynamic_ncols=True, mininterval=0.1)
        self.shown = 0.0

    def begin(self, epoch: int) -> None:
        if self.bar is not None:
            self.bar.set_description(f"epoch {epoch + 1}/{self.epochs}", refresh=False)

    def step(self, running: Running) -> None:
        if self.bar is None:
            return
        import time

        now = time.monotonic()
        if now - self.shown > 0.1:  # building the text costs more than a small step
            self.shown = now
            self.bar.set_postfix(running.values(), refresh=False)
        self.bar.update()

    def end(self, logs: dict[str, float]) -> None:
        if self.bar is not None:
            self.bar.set_postfix(logs)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
