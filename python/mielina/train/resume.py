"""Runs that can be killed at any moment: fit's checkpoints, and going on from them to the same bits.

`last.safetensors` holds the run where it stood; `final.safetensors` what a finished one left. Each is one file of
tensors and JSON, written beside its place, synced and renamed. A run that is called again after more epochs were asked
for goes on from `last`. An epoch that was left in its middle is iterated from the random state that it began with, and
the batches that were done are passed over: so the loader, with any sampler that draws from our generators, stands where
it stood.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator
from typing import Any

from .. import _core
from ..random import default_generator
from .checks import warn

LAST, FINAL = "last.safetensors", "final.safetensors"


class Store:
    """A directory of checkpoints. ValueError: checkpoint_every is neither whole epochs nor seconds; the directory's
    checkpoint is of another run. OSError: it cannot be made or written to; the last good checkpoint stays."""

    def __init__(self, folder: Any, every: int | str, resume: bool) -> None:
        seconds = re.fullmatch(r"(\d+(?:\.\d+)?|\.\d+) *s", every) if isinstance(every, str) else None
        if seconds is None and (isinstance(every, (bool, str)) or not isinstance(every, int) or every < 1):
            raise ValueError(f'fit: checkpoint_every must be epochs, 1 or more, or seconds as "30s", got {every!r}')
        self.seconds = float(seconds[1]) if seconds else None
        self.every = 1 if seconds else int(every)
        self.folder, self.saved = os.fspath(folder), time.monotonic()
        os.makedirs(self.folder, exist_ok=True)
        for name in os.listdir(self.folder):  # what a killed process was writing
            if name.startswith((f".{LAST}.", f".{FINAL}.")) and name.endswith(".part"):
                with contextlib.suppress(OSError):
                    os.unlink(self._path(name))
        if not resume:
            for name in (FINAL, LAST):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self._path(name))
        self.state, self.final = self._read(LAST), self._read(FINAL)
        self.start: dict[int, Any] = {}
        self.epoch_start: list[dict[int, Any]] = []

    def _path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def _read(self, name: str) -> dict[str, Any] | None:
        from ..io import load

        if not os.path.exists(self._path(name)):
            return None
        state = load(self._path(name))
        if not isinstance(state, dict) or state.get("format") != 1:
            raise ValueError(f"{self._path(name)} is no checkpoint of fit")
        return state

    # ---- going on ----------------------------------------------------------------------------------------------------
    def begin(self, seed: int | None) -> None:
        """Before anything is drawn: the random numbers that the first process began with."""
        self.seed = seed
        found = self.final or self.state
        if found is not None:
            self._compare("seed", found["run"]["seed"], seed)
            default_generator.restore(found["start"])
        self.start = default_generator.snapshot()

    def _compare(self, what: str, old: Any, new: Any) -> None:
        if old != new:
            raise ValueError(
                f"fit: the checkpoint in {self.folder} is of another run: {what} was {old!r} and is {new!r} "
                "(another checkpoint_dir, or resume=False, starts anew)"
            )

    def attach(self, run: Any, epochs: int, precision: Any) -> bool:
        """Compares the run with the checkpoint's. True: that one is finished, and its end is loaded."""
        self.run = _describe(run, self.seed, precision)
        found = self.final or self.state
        if found is None:
            return False
        for what, new in self.run.items():
            old = found["run"].get(what)
            if isinstance(new, dict) and isinstance(old, dict):
                for k in {**old, **new}:
                    self._compare(f"{what}: {k}", old.get(k), new.get(k))
            else:
                self._compare(what, old, new)
        if found["isa"] != _core.isa():
            warn(
                f"fit: the checkpoint was written with {found['isa']} and this process computes with {_core.isa()}: "
                "the run goes on, with other rounding",
                UserWarning,
            )
        if self.final is not None and (self.final["stopped"] or self.final["epoch"] >= epochs):
            self._load(run, self.final)
            return True
        return False

    def restore(self, run: Any) -> None:
        """Puts the run where the checkpoint stands, after on_train_begin."""
        if self.state is not None:
            self._load(run, self.state)
        if self.final is not None:  # more epochs than it had
            os.unlink(self._path(FINAL))
        self.state = self.final = None  # what was loaded is in its place

    def _load(self, run: Any, state: dict[str, Any]) -> None:
        run.model.load_state_dict(state["model"])
        run.optimizer.load_state_dict(state["optimizer"])
        run.history.history, run.history.epoch = state["history"], state["epochs"]
        for c, kept in zip(run.callbacks, state["callbacks"]):
            c.load_state_dict(kept)
        run.logs, run.epoch, run.batch = state["logs"], state["epoch"], state["batch"]
        run.warned, run.checked, run.stopped = state["warned"], state["checked"], state["stopped"]
        run.load_running(state["running"])
        self.epoch_start = state["epoch_start"]
        for g, numbers in zip(_generators(run.loader), state["generators"]):
            g.restore(numbers)

    def batches(self, run: Any) -> Iterator[Any]:
        """The rest of the epoch's batches."""
        generators = _generators(run.loader)
        if not run.batch:
            self.epoch_start = [g.snapshot() for g in generators]
            return iter(run.loader)
        now = [g.snapshot() for g in generators]
        for g, numbers in zip(generators, self.epoch_start):
            g.restore(numbers)
        batches = iter(run.loader)
        for _ in range(run.batch):
            next(batches, None)
        for g, numbers in zip(generators, now):
            g.restore(numbers)
        return batches

    # ---- writing -----------------------------------------------------------------------------------------------------
    def step_done(self, run: Any) -> None:
        if self.seconds is not None and time.monotonic() - self.saved >= self.seconds:
            self._write(run, LAST)

    def epoch_done(self, run: Any, end: bool) -> None:
        due = run.epoch % self.every == 0 if self.seconds is None else time.monotonic() - self.saved >= self.seconds
        if due or end:
            self._write(run, LAST)

    def finish(self, run: Any) -> None:
        self._write(run, FINAL)

    def _write(self, run: Any, name: str) -> None:
        from ..io import save

        generators = _generators(run.loader)
        state = {
            "format": 1,
            "run": self.run,
            "isa": _core.isa(),
            "start": self.start,
            "model": run.model.state_dict(),
            "optimizer": run.optimizer.state_dict(),
            "history": run.history.history,
            "epochs": run.history.epoch,
            "callbacks": [c.state_dict() for c in run.callbacks],
            "logs": {k: float(v) for k, v in run.logs.items()},
            "epoch": run.epoch,
            "batch": run.batch,
            "warned": run.warned,
            "checked": run.checked,
            "stopped": run.stopped,
            "running": {k: m.state_dict() for k, m in run.running.entries.items()},
            "epoch_start": self.epoch_start if run.batch else [],
            "generators": [g.snapshot() for g in generators],
        }
        save(state, self._path(name))
        self.saved = time.monotonic()


def _generators(loader: Any) -> list[Any]:
    """All streams that an epoch draws from, the default one first."""
    sampler = getattr(loader, "sampler", None)
    parts = (loader, sampler, getattr(loader, "batch_sampler", None))
    found = [default_generator, *(g for p in parts if (g := getattr(p, "generator", None)) is not None)]
    return list({id(g): g for g in found}.values())


def _describe(run: Any, seed: int | None, precision: Any) -> dict[str, Any]:
    """What must be the same for a run to go on, in words that the errors use."""
    data = getattr(run.loader, "dataset", run.loader)
    sizes: dict[str, Any] = {}
    for what, thing in (("samples", data), ("batches an epoch", run.loader)):
        with contextlib.suppress(TypeError):
            sizes[what] = len(thing)
    if isinstance(getattr(run.loader, "batch_size", None), int):
        sizes["batch size"] = run.loader.batch_size
    if run.held is not None:
        sizes["validation batches"] = len(run.held) if hasattr(run.held, "__len__") else None
    loss = run.loss_name
    return {
        "seed": seed,
        "model": type(run.model).__name__,
        "parameters": {k: f"{list(v.shape)} {v.dtype}" for k, v in run.model.state_dict().items()},
        "optimizer": type(run.optimizer).__name__,
        "optimizer's defaults": {k: repr(v) for k, v in run.optimizer.defaults.items()},
        "data": sizes,
        "loss": loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__),
        "callbacks": [type(c).__name__ for c in run.callbacks],
        "metrics": list(run.measures),
        "class_weight": run.class_weight,
        "accumulate": run.accumulate,
        "precision": str(precision or "float32"),
    }
