"""`mielina train NAME`, `tune NAME` and `summary NAME`: networks on data that installed packages ship."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np

from . import nn
from .data import TensorDataset, stratified_split
from .nn import functional as F
from .ops.creation import from_numpy
from .random import Generator, manual_seed
from .train import History, fit, predict
from .train.arguments import count


def load_digits() -> tuple[np.ndarray, np.ndarray]:
    """The 1,797 handwritten digits of scikit-learn: images (1797, 1, 8, 8) in [0, 1], labels (1797)."""
    try:
        from sklearn.datasets import load_digits as load
    except ImportError as e:
        raise ImportError('the digits come with scikit-learn: pip install "mielina[demo]"') from e
    d = load()
    return (d.images[:, None] / 16).astype(np.float32), d.target.astype(np.int64)


def fifths(images: np.ndarray, labels: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices (rest, held): a fifth of each class is held out."""
    whole = TensorDataset(from_numpy(images), from_numpy(labels))
    rest, held = stratified_split(whole, [0.8, 0.2], Generator(seed))
    return np.array(rest.indices), np.array(held.indices)


class DigitsNet(nn.Module):
    """Two convolutions with batch normalisation, one pooling, two dense layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(32)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1)
        self.norm2 = nn.BatchNorm2d(64)
        self.drop = nn.Dropout(0.4)
        self.dense = nn.Linear(64 * 4 * 4, 128)
        self.head = nn.Linear(128, 10)

    def forward(self, x: Any) -> Any:
        x = F.relu(self.norm1(self.conv1(x)))
        x = F.max_pool2d(F.relu(self.norm2(self.conv2(x))), 2)
        x = self.drop(x.flatten(1))
        return self.head(self.drop(F.relu(self.dense(x))))


def train(
    name: str,
    seed: int = 0,
    epochs: int | None = None,
    output: str | None = None,
    verbose: bool = True,
    as_json: bool = False,
) -> float:
    """Trains the named network, draws its picture, prints and returns the test accuracy. ValueError: unknown name."""
    _known(name)
    epochs = count(25 if epochs is None else epochs, "epochs", 1)
    path = output or f"{name}.png"
    check_picture(path)
    images, labels = load_digits()
    rest, held = fifths(images, labels, seed)
    manual_seed(seed)
    model = DigitsNet()
    history = fit(
        model,
        images[rest],
        labels[rest],
        validation=(images[held], labels[held]),
        loss="cross_entropy",
        optimizer="adamw",
        epochs=epochs,
        batch_size=64,
        metrics=["accuracy"],
        seed=seed,
        verbose=verbose,
    )
    if history.interrupted:
        raise KeyboardInterrupt
    predicted = predict(model, from_numpy(images[held])).argmax(1)
    accuracy = float((predicted == labels[held]).mean())
    picture(history, labels[held], predicted, model.conv1.weight, path)
    result = {"name": name, "seed": seed, "epochs": epochs, "test_accuracy": accuracy, "picture": path}
    print(json.dumps(result) if as_json else f"test accuracy {accuracy:.4f}")
    return accuracy


def _known(name: str) -> None:
    if name != "digits":
        raise ValueError(f"unknown data set {name!r}; there is: digits")


def tune(name: str, trials: int, epochs: int, seed: int = 0, as_json: bool = False) -> None:
    """Searches width, depth, dropout and rate of a dense network; prints the best. ValueError: unknown name."""
    from .optim import Adam
    from .tune import search

    _known(name)
    images, labels = load_digits()
    rest, held = fifths(images, labels, seed)

    def build(hp: Any) -> Any:
        width, rate, lr = (
            hp.Int("width", 16, 128, step=16),
            hp.Float("dropout", 0, 0.5),
            hp.Float("lr", 1e-4, 1e-1, sampling="log"),
        )
        layers: list[Any] = [nn.Flatten()]
        size = 64
        for _ in range(hp.Int("layers", 1, 3)):
            layers += [nn.Linear(size, width), nn.ReLU(), nn.Dropout(rate)]
            size = width
        return nn.Sequential(*layers, nn.Linear(size, 10)), {"optimizer": lambda p: Adam(p, lr=lr)}

    found = search(
        build,
        images[rest],
        labels[rest],
        validation=(images[held], labels[held]),
        objective="val_accuracy",
        max_trials=trials,
        seed=seed,
        epochs=epochs,
        batch_size=64,
        metrics=["accuracy"],
    )
    if as_json:
        print(
            json.dumps({"name": name, "seed": seed, "best": found.best, "value": found.value, "trials": found.trials})
        )
        return
    for t in found.trials:
        value = "" if t["value"] is None else f"{t['value']:.4f}"
        print(f"{t['number']:4}  {t['state']:8}  {value:6}  {_words(t['params'])}")
    print(f"best val_accuracy {found.value:.4f}: {_words(found.best)}")


def _words(params: dict[str, Any]) -> str:
    return ", ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in params.items())


def summary(name: str, shape: str | None = None, seed: int = 0, as_json: bool = False) -> None:
    """Prints the summary of a network by name. ValueError: an unknown name, no shape, one that it does not take."""
    from . import models
    from .nn.summary import summary as summarize

    manual_seed(seed)
    default = {"digits": (1, 8, 8), "lenet5": (1, 28, 28)}.get(name, (3, 224, 224))
    try:
        size = default if shape is None else tuple(int(n) for n in shape.split(","))
    except ValueError:
        raise ValueError(f"shape: expected whole numbers such as 3,224,224, got {shape!r}") from None
    if name not in ("digits", *models.names()):
        raise ValueError(f"unknown model {name!r}; there are digits, {', '.join(models.names())}")
    net = DigitsNet() if name == "digits" else models.create(name)
    try:
        found = summarize(net, size)
    except (ValueError, RuntimeError, MemoryError, OverflowError) as e:
        raise ValueError(f"{name} takes no input of shape {','.join(map(str, size))}: {e}") from None
    if not as_json:
        print(found)
        return
    layers = [{**r._asdict(), "shape": list(r.shape[1:])} for r in found.rows]
    totals = {
        k: getattr(found, k) for k in ("parameters", "trainable", "multiply_adds", "parameter_bytes", "output_bytes")
    }
    print(json.dumps({"name": name, "input": size, **totals, "layers": layers}))


def check_picture(path: str) -> None:
    """What would only fail after the training: OSError for a missing folder, ValueError for an unknown kind of file."""
    from . import plot

    folder, kind = os.path.dirname(os.path.abspath(path)), _kind(path)
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"no such folder: {folder}")
    if os.path.isdir(path):
        raise IsADirectoryError(f"{path} is a folder")
    known = plot.figure(1, 1).canvas.get_supported_filetypes()
    if kind not in known:
        raise ValueError(f"pictures of kind {kind!r} cannot be written; there are {', '.join(sorted(known))}")


def _kind(path: str) -> str:
    return os.path.splitext(path)[1][1:].lower() or "png"


def picture(history: History, true: np.ndarray, predicted: np.ndarray, weight: Any, path: str) -> None:
    """Loss and accuracy curves, the confusion matrix and the first layer's filters, as one PNG."""
    from . import plot
    from .io import atomic_write

    f = plot.figure(12, 9)
    (a, b), (c, d) = f.subplots(2, 2)
    plot.curves(history, a, ["loss", "val_loss"])
    a.set_title("loss (cross entropy, nats)")
    a.set_yscale("log")
    plot.curves(history, b, ["accuracy", "val_accuracy"])
    b.set_title("accuracy")
    matrix = np.zeros((10, 10), dtype=int)
    np.add.at(matrix, (true, predicted), 1)
    plot.confusion(matrix, ax=c)
    c.set_title("test digits")
    plot.filters(weight, d)
    d.set_title("first-layer filters (3 x 3, each scaled to its own range)")
    with atomic_write(path) as file:
        f.savefig(file, dpi=110, format=_kind(path))
