"""`mielina train NAME`: networks on data that installed packages ship."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from . import nn
from .nn import functional as F
from .ops.creation import from_numpy
from .random import manual_seed
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


def stratified_split(labels: np.ndarray, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices (rest, held): `fraction` of each class is held out."""
    rng = np.random.default_rng(seed)
    held = np.concatenate(
        [
            rng.permutation(np.flatnonzero(labels == c))[: round(fraction * (labels == c).sum())]
            for c in np.unique(labels)
        ]
    )
    return np.setdiff1d(np.arange(len(labels)), held), np.sort(held)


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
    name: str, seed: int = 0, epochs: int | None = None, output: str | None = None, verbose: bool = True
) -> float:
    """Trains the named network, draws its picture, prints and returns the test accuracy. ValueError: unknown name."""
    if name != "digits":
        raise ValueError(f"unknown data set {name!r}; there is: digits")
    epochs = count(25 if epochs is None else epochs, "epochs", 1)
    path = output or f"{name}.png"
    check_picture(path)
    images, labels = load_digits()
    rest, held = stratified_split(labels, 0.2, seed)
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
    print(f"test accuracy {accuracy:.4f}")
    return accuracy


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
