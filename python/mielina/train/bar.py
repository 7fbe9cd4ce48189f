"""What fit shows while it runs."""

from __future__ import annotations

import time
from typing import Any

from .metrics import Running


class Bar:
    """verbose 0: nothing; 1: one tqdm bar over all batches, with the running loss and metrics; 2: a line an epoch."""

    def __init__(self, epochs: int, loader: Any, verbose: int) -> None:
        if verbose not in (0, 1, 2):
            raise ValueError(f"fit: verbose must be 0, 1 or 2, got {verbose!r}")
        self.bar: Any = None
        self.epochs, self.epoch, self.lines, self.shown = epochs, 0, verbose == 2, 0.0
        if verbose == 1:
            from tqdm.auto import tqdm

            try:
                total = len(loader) * epochs
            except TypeError:  # a stream without a length
                total = None
            self.bar = tqdm(total=total, unit="batch", dynamic_ncols=True, mininterval=0.1)

    def begin(self, epoch: int, done: int = 0) -> None:
        """done: batches of this epoch that an earlier process did."""
        self.epoch = epoch
        if self.bar is not None:
            self.bar.update(done)
            self.bar.set_description(f"epoch {epoch + 1}/{self.epochs}", refresh=False)

    def step(self, running: Running) -> None:
        if self.bar is None:
            return
        now = time.monotonic()
        if now - self.shown > 0.1:  # building the text costs more than a small step
            self.shown = now
            self.bar.set_postfix(running.means(), refresh=False)
        self.bar.update()

    def end(self, logs: dict[str, float]) -> None:
        if self.bar is not None:
            self.bar.set_postfix(logs)
        elif self.lines:
            numbers = ", ".join(f"{k} {v:.4f}" for k, v in logs.items())
            print(f"epoch {self.epoch + 1}/{self.epochs}: {numbers}", flush=True)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
