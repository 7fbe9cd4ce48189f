"""fit, evaluate, predict."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .. import autograd
from ..data import DataLoader, Subset
from ..random import manual_seed
from ..tensor import Tensor
from .arguments import (
    check_model,
    count,
    dataset_of,
    float_dtype,
    loader_of,
    loss_of,
    optimizer_of,
    pair,
    split,
    weighted_loss,
    with_weights,
)
from .bar import Bar
from .callbacks import Callback
from .checks import first_output
from .history import History
from .metrics import numpy_of, resolve
from .run import Run, autocast_of, evaluated, modes


def fit(
    model: Any,
    X: Any,
    y: Any = None,
    *,
    validation: Any = None,
    validation_split: float = 0,
    validation_data: Any = None,
    loss: Any = "cross_entropy",
    optimizer: Any = "adam",
    epochs: int = 1,
    batch_size: int = 32,
    callbacks: Callback | Sequence[Callback] = (),
    metrics: Any = (),
    class_weight: Any = None,
    sample_weight: Any = None,
    accumulate: int = 1,
    precision: str | None = None,
    overfit_batch: bool = False,
    checkpoint_dir: Any = None,
    resume: bool = True,
    checkpoint_every: int | str = 1,
    seed: int | None = None,
    verbose: int = 1,
) -> History:
    """Trains `model` and returns the History.

    X: an array or tensor (with y), an (X, y) pair, a Dataset or a DataLoader; a lone array is its own target.
    validation (or validation_data): the same kinds of things, or validation_split of the training data. loss,
    optimizer, metrics: names or objects; "binary_cross_entropy" takes logits ("bce_with_logits" is the same). Numbers
    are over all samples, `val_` ones in eval mode. seed: makes order, dropout and split repeatable. verbose: 0 silent,
    1 a progress bar, 2 a line an epoch.

    class_weight: {label: weight} or "balanced" (n / (classes * count), King and Zeng 2001); sample_weight: a number a
    sample. Both multiply the samples' losses, whose mean is still over their number, as in Keras; validation is not
    weighted. accumulate=k: one step for k batches, with the gradient of the one big batch. precision="bfloat16":
    forward passes under autocast; float16 is refused, since gradients below 3e-8 are 0 in it; bfloat16 has float32's
    range. overfit_batch: trains on the first batch only, the workflow's first check.

    checkpoint_dir: the run can be killed at any moment and goes on from there when it is called again, to the same bits
    (resume=False starts anew). checkpoint_every: epochs, or seconds as "30s". A finished run returns at once. A
    checkpoint of another model, optimiser, data or seed is a ValueError that names the difference.

    The first batch checks itself and warns (UserWarning) of a loss far above ln(classes), a softmax or sigmoid before a
    loss that takes logits, parameters without gradient, constant inputs and labels that start at 1. A loss of NaN or
    infinity is a RuntimeWarning, once, before the weights follow it. Ctrl-C ends the training: callbacks' on_train_end
    runs (so that best weights are restored), every module is put back into the mode it was in, and the History so far
    is returned, with `interrupted` True.

    ValueError: empty data, NaN or infinity in them (with TerminateOnNaN the warning alone), one class only, lengths or
    shapes that do not fit or would be broadcast, unknown names. TypeError: data that are no numbers, class labels that
    are no integers, images that are uint8 or channels-last. IndexError: labels out of range.

    >>> model = nn.Linear(2, 1)
    >>> history = mi.fit(model, mi.rand(8, 2), mi.ones(8, 1), loss="mse", epochs=3, verbose=False)
    >>> len(history["loss"])
    3
    """
    check_model(model, "fit")
    epochs, batch_size = count(epochs, "fit: epochs", 0), count(batch_size, "fit: batch_size", 1)
    accumulate, autocast = count(accumulate, "fit: accumulate", 1), autocast_of(precision)
    if validation_data is not None:
        if validation is not None:
            raise ValueError("fit: validation_data is another name for validation; pass one of them")
        validation = validation_data
    store = None
    if checkpoint_dir is not None:
        from .resume import Store

        store = Store(checkpoint_dir, checkpoint_every, resume)
    if seed is not None:
        manual_seed(seed)
    if store is not None:
        store.begin(seed)
    compute_loss, measures, train = loss_of(loss), resolve(metrics), X
    if not isinstance(X, DataLoader):
        train = plain = dataset_of(X, y, "fit")
        if sample_weight is not None:
            train = with_weights(plain, sample_weight)
        if validation_split:
            if validation is not None:
                raise ValueError("fit: validation and validation_split exclude each other")
            train, rest = split(train, validation_split)
            validation = Subset(plain, rest.indices)  # without the weights
    elif y is not None or validation_split or sample_weight is not None:
        raise TypeError("fit: with a DataLoader, y, validation_split and sample_weight must not be given")
    loader, held = loader_of(train, batch_size, shuffle=True), validation
    if held is not None and not isinstance(held, DataLoader):
        held = loader_of(dataset_of(held, None, "fit: validation"), max(batch_size, 256), shuffle=False)
    if overfit_batch:
        loader = first_batch(loader)
    run = Run(model, compute_loss, measures, optimizer_of(optimizer, model), callbacks, loader, held)
    if class_weight is not None or sample_weight is not None:
        run.weighted = weighted_loss(loss, class_weight, train, sample_weight is not None)
    run.loss_name, run.accumulate, run.autocast, run.store = loss, accumulate, autocast, store
    run.class_weight = "" if class_weight is None else repr(class_weight)
    if store is not None and store.attach(run, epochs, precision):
        return run.history
    bar = Bar(epochs, loader, verbose)
    run.call("on_train_begin", {})
    if store is not None:
        store.restore(run)
    try:
        with modes(model):
            run.epochs(epochs, bar)
    except KeyboardInterrupt:
        run.history.interrupted = True
    finally:
        bar.close()
    run.call("on_train_end", run.logs)
    if store is not None and not run.history.interrupted:
        store.finish(run)
    return run.history


def first_batch(loader: Any) -> list[Any]:
    for batch in loader:
        return [batch]
    raise ValueError("fit: the training data gave no batch")


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
    return evaluated(model, loader_of(data, batch_size, False), loss_of(loss), resolve(metrics), float_dtype(model))


@autograd.no_grad
def predict(model: Any, X: Any, *, batch_size: int = 256) -> np.ndarray:
    """The model's outputs for all samples as a NumPy array (bfloat16 as float32), in eval mode and without gradients.

    X: as for fit; targets are left alone. ValueError: no samples. TypeError: the model's output is no tensor.

    >>> mi.predict(nn.ReLU(), mi.ones(4, 2)).shape
    (4, 2)
    """
    check_model(model, "predict")
    dtype = float_dtype(model)
    parts: list[np.ndarray] = []
    loader = X if isinstance(X, DataLoader) else loader_of(dataset_of(X, None, "predict"), batch_size, False)
    with modes(model, training=False):
        for batch in loader:
            inputs = pair(batch, dtype)[0]
            output = model(inputs) if parts else first_output(model, inputs, "predict")
            if not isinstance(output, Tensor):
                raise TypeError(f"predict: the model must give one Tensor, got {type(output).__name__}")
            parts.append(numpy_of(output))
    if not parts:
        raise ValueError("predict: the data gave no batch")
    return np.concatenate(parts)
