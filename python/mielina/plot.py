"""Pictures, with matplotlib (`pip install "mielina[plot]"`). Each function draws on given axes, or on new ones, and
returns them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .train.metrics import numpy_of
from .train.scores import confidence_bins


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


def _plain(text: Any) -> str:
    """A label as it stands: dollars would be mathematics to matplotlib, and an error where it is none."""
    return str(text).replace("$", r"\$")


def curves(history: Any, ax: Any = None, keys: Sequence[str] | None = None) -> Any:
    """The numbers of a History against the epoch; validation dashed, in the colour of its training twin."""
    ax = _axes(ax)
    colours: dict[str, Any] = {}
    epochs = [e + 1 for e in history.epoch]
    marker = "." if len(epochs) < 10 else None  # a line of one epoch is nothing to see
    for name in keys or list(history.history):
        twin = name.removeprefix("val_")
        (line,) = ax.plot(
            epochs,
            history[name],
            "--" if name != twin else "-",
            marker=marker,
            label=_plain(name),
            color=colours.get(twin),
        )
        colours[twin] = line.get_color()
    ax.set_xlabel("epoch")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.legend()
    ax.grid(alpha=0.3)
    return ax


def confusion(matrix: Any, labels: Sequence[Any] | None = None, ax: Any = None) -> Any:
    """A confusion matrix: rows are true classes, columns predicted ones; counts, or shares with two digits."""
    m = numpy_of(matrix)
    if m.ndim != 2 or m.shape[0] != m.shape[1]:
        raise ValueError(f"confusion: expected a matrix (classes, classes), got {m.shape}")
    names = [_plain(x) for x in (labels if labels is not None else range(len(m)))]
    if len(names) != len(m):
        raise ValueError(f"confusion: {len(names)} labels for {len(m)} classes")
    ax = _axes(ax)
    ax.imshow(m, cmap="Blues")
    long = max(map(len, names), default=0) > 3
    ax.set_xticks(range(len(m)), names, rotation=45 if long else 0, ha="right" if long else "center")
    ax.set_yticks(range(len(m)), names)
    for i, j in zip(*np.nonzero(m)):
        ax.text(
            j,
            i,
            f"{m[i, j]:.2f}" if m.dtype.kind == "f" and (m % 1).any() else f"{m[i, j]:.0f}",
            ha="center",
            va="center",
            fontsize=min(8, 120 / len(m)),
            color="white" if m[i, j] > m.max() / 2 else "black",
        )
    ax.set_xlabel("predicted")
    ax.set_ylabel("true")
    return ax


def filters(weight: Any, ax: Any = None, columns: int = 8) -> Any:
    """The filters (K, C, R, S) of a first layer as one picture: a grid of K images, each scaled to its own range."""
    w = numpy_of(weight)
    if w.ndim != 4:
        raise ValueError(f"filters: expected filters (K, C, R, S), the weight of a Conv2d, got {w.shape}")
    ax, w = _axes(ax), w.astype(np.float64)
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


def calibration(probabilities: Any, labels: Any, ax: Any = None, bins: int = 10) -> Any:
    """A reliability diagram: accuracy against mean confidence in equal bins of the predicted class's probability, with
    the share of samples in each bin as bars. probabilities: (N, C), or (N) of class 1. Source: Guo et al. 2017, fig. 1.
    """
    ax = _axes(ax)
    p, t = numpy_of(probabilities), numpy_of(labels).astype(np.int64)
    p = np.stack([1 - p, p], 1) if p.ndim == 1 else p
    if p.min() < 0 or p.max() > 1:
        raise ValueError("calibration: expected probabilities in [0, 1]; logits go through softmax first")
    sure, right = p.max(1), p.argmax(1) == t
    place = confidence_bins(sure, bins)
    n = np.bincount(place, minlength=bins)
    held = n > 0
    confidence, accuracy = (np.bincount(place, w, bins)[held] / n[held] for w in (sure, right))
    ax.bar(
        (np.arange(bins) + 0.5) / bins, n / n.sum(), 1 / bins, color="0.88", edgecolor="white", label="share of samples"
    )
    ax.plot([0, 1], [0, 1], "--", color="0.5", label="calibrated")
    ax.plot(confidence, accuracy, "o-", label="model")
    ax.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="confidence", ylabel="accuracy")
    ax.legend(loc="upper left")
    return ax


def decision_boundary(model: Any, X: Any, y: Any, ax: Any = None, points: int = 200) -> Any:
    """The predicted class over the plane of two features, with the samples on it. X: (N, 2); y: labels (N)."""
    from .train import predict

    ax = _axes(ax)
    x, t = numpy_of(X), numpy_of(y).reshape(-1)
    if x.ndim != 2 or x.shape[1] != 2:
        raise ValueError(f"decision_boundary: expected two features, X of shape (N, 2), got {x.shape}")
    low, high = x.min(0), x.max(0)
    margin = 0.08 * np.where(high > low, high - low, 1)
    a, b = (np.linspace(lo - m, hi + m, points) for lo, hi, m in zip(low, high, margin))
    z = predict(model, np.stack(np.meshgrid(a, b), -1).reshape(-1, 2), batch_size=4096)
    classes = max(z.reshape(len(z), -1).shape[1], 2, int(t.max()) + 1)
    found = (z.reshape(-1) > 0).astype(int) if z.size == len(z) else z.argmax(1)
    cmap = _classes(classes)
    style = {"cmap": cmap, "vmin": -0.5, "vmax": classes - 0.5}
    ax.pcolormesh(a, b, found.reshape(points, points), alpha=0.35, shading="nearest", rasterized=True, **style)
    ax.scatter(x[:, 0], x[:, 1], c=t, s=18, edgecolors="white", linewidths=0.5, **style)
    ax.set(xlabel="feature 0", ylabel="feature 1")
    return ax


def feature_maps(maps: Any, ax: Any = None, columns: int = 8) -> Any:
    """The channels (C, H, W) of one sample's output of a layer, each scaled to its own range."""
    m = numpy_of(maps)
    if m.ndim == 4 and len(m) == 1:
        m = m[0]
    if m.ndim != 3:
        raise ValueError(f"feature_maps: expected the maps (C, H, W) of one sample, got {m.shape}")
    return filters(m[:, None], ax, columns)


def latent(codes: Any, labels: Any = None, ax: Any = None, names: Sequence[Any] | None = None) -> Any:
    """Codes (N, D) in the plane: as they are for D = 2, else on their first two principal axes; coloured by label."""
    ax = _axes(ax)
    z = numpy_of(codes).astype(np.float64)
    if z.ndim != 2 or z.shape[1] < 2:
        raise ValueError(f"latent: expected codes (N, D) with D >= 2, got {z.shape}")
    what = "code"
    if z.shape[1] > 2:
        if len(z) < 2 or not np.isfinite(z).all():
            raise ValueError("latent: principal axes need two samples or more, without NaN and infinity")
        z = z - z.mean(0)
        _, s, axes = np.linalg.svd(z, full_matrices=False)
        share = s**2 / max((s**2).sum(), 1e-300)
        z, what = z @ axes[:2].T, "principal axis"
        ax.set_title(f"{100 * share[:2].sum():.0f} % of the variance")
    t = np.zeros(len(z), np.int64) if labels is None else numpy_of(labels).reshape(-1).astype(np.int64)
    kinds = np.unique(t)
    cmap = _classes(len(kinds))
    for k, c in enumerate(kinds):
        label = None if labels is None else _plain(names[c] if names is not None else c)
        ax.scatter(*z[t == c].T, s=12, color=cmap(k), label=label)
    if labels is not None:
        ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), markerscale=1.5)
    ax.set(xlabel=f"{what} 0", ylabel=f"{what} 1")
    return ax


def u_matrix(weights: Any, ax: Any = None) -> Any:
    """A self-organising map's weights (rows, columns, features) as the mean distance of each unit to its neighbours in
    the grid: ridges part clusters. Source: Ultsch and Siemon 1990."""
    ax = _axes(ax)
    w = numpy_of(weights).astype(np.float64)
    if w.ndim != 3:
        raise ValueError(f"u_matrix: expected weights (rows, columns, features), got {w.shape}")
    total, count = np.zeros(w.shape[:2]), np.zeros(w.shape[:2])
    for axis in (0, 1):
        d = np.linalg.norm(np.diff(w, axis=axis), axis=2)
        for first in (True, False):
            side = slice(None, -1) if first else slice(1, None)
            part = (side, slice(None)) if axis == 0 else (slice(None), side)
            total[part] += d
            count[part] += 1
    image = ax.imshow(total / np.maximum(count, 1), cmap="viridis")
    ax.figure.colorbar(image, ax=ax, label="mean distance to the neighbours")
    ax.set(xlabel="column", ylabel="row")
    for axis in (ax.xaxis, ax.yaxis):
        axis.get_major_locator().set_params(integer=True)
    return ax


def weights_over_time(weights: Any, ax: Any = None, names: Sequence[Any] | None = None) -> Any:
    """Weights (epochs, ...) as one line a weight; of more than 50, the quantiles 0, 5, 25, 50, 75, 95 and 100 %."""
    ax = _axes(ax)
    w = np.stack([numpy_of(x).reshape(-1) for x in weights])
    epochs = np.arange(1, len(w) + 1)
    if w.shape[1] <= 50:
        for k in range(w.shape[1]):
            ax.plot(epochs, w[:, k], label=None if names is None else _plain(names[k]))
        if names is not None:
            ax.legend()
    else:
        q = np.quantile(w, [0, 0.05, 0.25, 0.5, 0.75, 0.95, 1], axis=1)
        for k, (alpha, label) in enumerate(((0.15, "all"), (0.25, "5 to 95 %"), (0.4, "25 to 75 %"))):
            ax.fill_between(epochs, q[k], q[6 - k], alpha=alpha, color="C0", linewidth=0, label=label)
        ax.plot(epochs, q[3], color="C0", label="median")
        ax.legend()
    ax.set(xlabel="epoch", ylabel="weight")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.grid(alpha=0.3)
    return ax


def _classes(n: int) -> Any:
    """Colours that can be told apart, n of them."""
    import matplotlib
    from matplotlib.colors import ListedColormap

    if n > 20:
        return matplotlib.colormaps["turbo"].resampled(n)
    return ListedColormap(matplotlib.colormaps["tab10" if n <= 10 else "tab20"].colors[:n])  # type: ignore[attr-defined]
