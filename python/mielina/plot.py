"""Pictures, with matplotlib (`pip install "mielina[plot]"`). Each function draws on given axes, or on new ones, and
returns them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def _axes(ax: Any) -> Any:
    if ax is not None:
        return ax
    try:
        import matplotlib.pyplot as plt
    except ImportError as e:
        raise ImportError('plots need matplotlib: pip install "mielina[plot]"') from e
    return plt.subplots(layout="constrained")[1]


def figure(width: float, height: float) -> Any:
    """A new figure that is drawn to a file only: no window, whatever the machine has."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as e:
        raise ImportError('plots need matplotlib: pip install "mielina[plot]"') from e
    f = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(f)
    return f


def curves(history: Any, ax: Any = None, keys: Sequence[str] | None = None) -> Any:
    """The numbers of a History against the epoch; validation dashed, in the colour of its training twin."""
    ax = _axes(ax)
    colours: dict[str, Any] = {}
    epochs = [e + 1 for e in history.epoch]
    for name in keys or list(history.history):
        twin = name.removeprefix("val_")
        (line,) = ax.plot(epochs, history[name], "--" if name != twin else "-", label=name, color=colours.get(twin))
        colours[twin] = line.get_color()
    ax.set_xlabel("epoch")
    ax.legend()
    ax.grid(alpha=0.3)
    return ax


def confusion(matrix: Any, labels: Sequence[Any] | None = None, ax: Any = None) -> Any:
    """A confusion matrix: rows are true classes, columns predicted ones."""
    ax = _axes(ax)
    m = np.asarray(matrix)
    ax.imshow(m, cmap="Blues")
    names = [str(x) for x in (labels if labels is not None else range(len(m)))]
    ax.set_xticks(range(len(m)), names)
    ax.set_yticks(range(len(m)), names)
    for i, j in zip(*np.nonzero(m)):
        ax.text(
            j,
            i,
            str(m[i, j]),
            ha="center",
            va="center",
            fontsize=8,
            color="white" if m[i, j] > m.max() / 2 else "black",
        )
    ax.set_xlabel("predicted")
    ax.set_ylabel("true")
    return ax


def filters(weight: Any, ax: Any = None, columns: int = 8) -> Any:
    """The filters (K, C, R, S) of a first layer as one picture: a grid of K images, each scaled to its own range."""
    ax = _axes(ax)
    w = np.asarray(weight.detach() if hasattr(weight, "detach") else weight, dtype=np.float64)
    k, c, r, s = w.shape
    colour = c == 3
    rows = -(-k // columns)
    sheet = np.ones((rows * (r + 1) + 1, columns * (s + 1) + 1) + ((3,) if colour else ()))
    for i in range(k):
        f = w[i].transpose(1, 2, 0) if colour else w[i].mean(0)
        span = f.max() - f.min()
        y, x = divmod(i, columns)
        sheet[y * (r + 1) + 1 : y * (r + 1) + 1 + r, x * (s + 1) + 1 : x * (s + 1) + 1 + s] = (f - f.min()) / (
            span or 1
        )
    ax.imshow(sheet, cmap=None if colour else "gray", vmin=0, vmax=1)
    ax.set_xticks([])
    ax.set_yticks([])
    return ax
