"""What a training run leaves behind."""

from __future__ import annotations

from typing import Any

from .bar import short


class History:
    """`history["loss"]`: the loss of each epoch; "val_loss" and the metrics likewise. `epoch`: their numbers, from
    0. `interrupted`: whether Ctrl-C ended the training.
    """

    interrupted = False

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []

    def __getitem__(self, key: str) -> list[float]:
        try:
            return self.history[key]
        except KeyError:
            raise KeyError(f"{key!r} was not recorded; there are {', '.join(self.history) or 'no entries'}") from None

    def __contains__(self, key: str) -> bool:
        return key in self.history

    def __repr__(self) -> str:
        last = ", ".join(f"{k}={short(v[-1])}" for k, v in self.history.items() if v)
        return f"History({len(self.epoch)} epochs{': ' + last if last else ''})"

    def append(self, epoch: int, logs: dict[str, float]) -> None:
        self.epoch.append(epoch)
        self.add(logs)

    def add(self, logs: dict[str, float]) -> None:
        """More numbers of the last epoch."""
        for k, v in logs.items():
            self.history.setdefault(k, []).append(float(v))

    def plot(self, ax: Any = None) -> Any:
        """Curves of every recorded number; returns the matplotlib axes."""
        from ..plot import curves

        return curves(self, ax)

    def report(self, path: Any, **parts: Any) -> None:
        """One HTML file of the run: curves and numbers, and what is given as title=, model=, confusion= (a matrix),
        class_names=, figures= ({title: matplotlib figure}) and notes=. Every string is escaped; the page's policy
        allows its own styles and pictures and nothing else."""
        from .report import report

        report(self, path, **parts)
