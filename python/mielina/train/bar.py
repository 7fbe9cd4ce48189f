"""What fit shows while it runs."""

from __future__ import annotations

import time
from typing import Any

from .metrics import Running


def say(line: str) -> None:
    """Prints a line, above the progress bar where one is shown."""
    from tqdm.auto import tqdm

    tqdm.write(line)


def short(number: float) -> str:
    """Four digits after the point, or of the number itself where it is small."""
    return f"{number:.4f}" if number == 0 or abs(number) >= 1e-3 else f"{number:.3e}"


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
                self.length = len(loader)
            except TypeError:  # a stream without a length
                self.length = 0
            self.bar = tqdm(total=self.length * epochs or None, unit="batch", dynamic_ncols=True, mininterval=0.1)

    def begin(self, epoch: int, done: int = 0) -> None:
        """done: batches of this epoch that an earlier process did."""
        self.epoch = epoch
        if self.bar is not None:
            if not self.bar.n:  # a run that is resumed: its first epochs count, but not for the speed
                self.bar.initial = self.bar.n = epoch * self.length + done
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
            numbers = ", ".join(f"{k} {short(v)}" for k, v in logs.items())
            print(f"epoch {self.epoch + 1}/{self.epochs}: {numbers}", flush=True)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
