"""Callbacks that write a run's numbers down: CSVLogger, TensorBoard."""

from __future__ import annotations

import io
import os
import time
from typing import Any

import numpy as np

from ..tensor import Tensor
from .callbacks import Callback
from .metrics import numpy_of


class CSVLogger(Callback):
    """A line an epoch: epoch (from 0) and the logged numbers. append: goes on with a file that is there; so does a run
    that is resumed, after the lines of the epochs that it has already. The names and defaults are Keras'."""

    kept = ("keys", "end")

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False) -> None:
        self.filename, self.separator, self.append = os.fspath(filename), separator, append
        self.keys: list[str] = []
        self.end = 0

    def on_train_begin(self, logs: dict[str, float]) -> None:
        self.keys, self.end = [], 0
        if self.append and os.path.exists(self.filename):
            with open(self.filename, newline="") as f:
                self.keys = f.readline().rstrip("\r\n").split(self.separator)[1:]
            self.end = os.path.getsize(self.filename)
        open(self.filename, "a").close()  # what cannot be written is told before the first epoch

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        import csv

        fresh = not self.keys
        self.keys = self.keys or list(logs)
        with open(self.filename, "r+" if self.end else "w", newline="") as f:
            f.seek(self.end)
            f.truncate()  # lines that a killed process wrote after its last checkpoint
            writer = csv.writer(f, delimiter=self.separator, lineterminator="\n")
            if fresh:
                writer.writerow(["epoch", *self.keys])
            writer.writerow([epoch, *(repr(float(logs[k])) if k in logs else "NA" for k in self.keys)])
            self.end = f.tell()


class TensorBoard(Callback):
    """Event files for the `tensorboard` program (pip install "mielina[tensorboard]"): each epoch's numbers under
    "train" and "validation" as epoch_NAME, Keras' layout; histogram_freq: epochs between histograms of all parameters
    (0: none); update_freq: "epoch", or also the loss of every so many batches. `image(tag, picture, step)` and
    `scalar`, `histogram` write more. ImportError: tensorboard is missing."""

    kept = ("batches",)

    def __init__(
        self, log_dir: str | os.PathLike[str] = "logs", histogram_freq: int = 0, update_freq: str | int = "epoch"
    ) -> None:
        if update_freq not in ("epoch", "batch") and (not isinstance(update_freq, int) or update_freq < 1):
            raise ValueError(f'TensorBoard: update_freq must be "epoch", "batch" or a number, got {update_freq!r}')
        self.log_dir, self.histogram_freq = os.fspath(log_dir), histogram_freq
        self.every = update_freq if isinstance(update_freq, int) else int(update_freq == "batch")
        self.files: dict[str, _Events] = {}
        self.batches = 0

    def _file(self, part: str) -> _Events:
        if part not in self.files:
            self.files[part] = _Events(os.path.join(self.log_dir, part))
        return self.files[part]

    def scalar(self, tag: str, value: float, step: int, part: str = "train") -> None:
        self._file(part).write(step, tag, simple_value=float(value))

    def histogram(self, tag: str, values: Any, step: int, part: str = "train", bins: int = 30) -> None:
        x = numpy_of(values).astype(np.float64).reshape(-1)
        x = x[np.isfinite(x)]
        counts, edges = np.histogram(x, bins) if x.size else (np.zeros(1), np.array([0.0, 1.0]))
        numbers = {"min": x.min(initial=np.inf), "max": x.max(initial=-np.inf), "num": x.size, "sum": x.sum()}
        from tensorboard.compat.proto.summary_pb2 import HistogramProto

        histo = HistogramProto(**numbers, sum_squares=(x**2).sum(), bucket_limit=edges[1:], bucket=counts)
        self._file(part).write(step, tag, histo=histo)

    def image(self, tag: str, picture: Any, step: int, part: str = "train") -> None:
        """picture: (H, W) or (H, W, 3) uint8, or numbers in [0, 1]; a tensor has its channels first, (C, H, W)."""
        x = numpy_of(picture)
        if isinstance(picture, Tensor) and x.ndim == 3:
            x = np.moveaxis(x, 0, -1)
        if x.ndim == 3 and x.shape[2] == 1:
            x = x[:, :, 0]
        if x.ndim not in (2, 3) or (x.ndim == 3 and x.shape[2] != 3):
            raise ValueError(f"TensorBoard: expected a picture (H, W) or (H, W, 3), got {x.shape}")
        if x.dtype != np.uint8:
            x = np.round(np.clip(np.nan_to_num(x.astype(np.float64)), 0, 1) * 255).astype(np.uint8)
        events, png = self._file(part), io.BytesIO()
        from PIL import Image  # tensorboard needs it, too

        Image.fromarray(x).save(png, format="png")
        size = {"height": x.shape[0], "width": x.shape[1], "colorspace": x.ndim}
        events.write(step, tag, image=events.Summary.Image(**size, encoded_image_string=png.getvalue()))

    # ---- hooks -------------------------------------------------------------------------------------------------------
    def on_train_begin(self, logs: dict[str, float]) -> None:
        self.batches = 0
        self._file("train")  # says at once what is missing

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        self.batches += 1
        if self.every and self.batches % self.every == 0:
            self.scalar("batch_loss", logs["loss"], self.batches)

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        for name, value in logs.items():
            plain = name.removeprefix("val_")
            self.scalar(f"epoch_{plain}", value, epoch, "train" if name == plain else "validation")
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            for name, p in self.model.named_parameters():
                self.histogram(name.replace(".", "/"), p, epoch)
        for f in self.files.values():
            f.file.flush()

    def on_train_end(self, logs: dict[str, float]) -> None:
        for f in self.files.values():
            f.file.close()
        self.files.clear()


class _Events:
    """One event file."""

    def __init__(self, folder: str) -> None:
        try:
            from tensorboard.compat.proto.event_pb2 import Event
            from tensorboard.compat.proto.summary_pb2 import Summary
            from tensorboard.summary.writer.record_writer import RecordWriter
        except ImportError as e:
            raise ImportError('event files need tensorboard: pip install "mielina[tensorboard]"') from e
        self.Event, self.Summary = Event, Summary
        os.makedirs(folder, exist_ok=True)
        name = f"events.out.tfevents.{int(time.time())}.{os.getpid()}.{os.urandom(3).hex()}"
        self.file = RecordWriter(open(os.path.join(folder, name), "wb"))  # noqa: SIM115  (closed with the training)
        self.file.write(Event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString())

    def write(self, step: int, tag: str, **value: Any) -> None:
        summary = self.Summary(value=[self.Summary.Value(tag=tag, **value)])
        self.file.write(self.Event(wall_time=time.time(), step=step, summary=summary).SerializeToString())
