"""Generators: Philox 4x32-10 counters. Same seed, same numbers on every machine and with any number of threads."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

from . import _core, dtypes
from .tensor import Tensor


class Generator:
    """A stream of random numbers. Its state is a tensor {seed, offset}: a recorded step that draws from it draws fresh
    numbers at each replay."""

    def __init__(self, seed: int | None = None) -> None:
        self.state: Tensor = _core.empty((2,), dtypes.int64)
        self.manual_seed(int.from_bytes(os.urandom(8), "little") >> 1 if seed is None else seed)

    def manual_seed(self, seed: int) -> Generator:
        """Starts the stream of `seed` (any 64-bit integer) from its beginning."""
        seed = int(seed)
        if not -(1 << 63) <= seed < 1 << 64:
            raise ValueError(f"manual_seed: expected a 64-bit integer, got {seed}")
        self._set(seed - (1 << 64) if seed >= 1 << 63 else seed, 0)
        return self

    def _set(self, seed: int, offset: int) -> None:
        _core.fill_(_core.select(self.state, 0, 0), seed)
        _core.fill_(_core.select(self.state, 0, 1), offset)

    def initial_seed(self) -> int:
        return int(self.state.tolist()[0])

    def get_state(self) -> Tensor:
        return _core.clone(self.state)  # type: ignore[no-any-return]

    def set_state(self, state: Tensor) -> None:
        _core.copy_into(self.state, state)


class _Local(threading.local):
    state: Tensor | None = None


_local = _Local()


class _Default(Generator):
    """The default generator. Inside `drawing_from(g)` this thread draws from g instead."""

    @property  # type: ignore[override]
    def state(self) -> Tensor:
        state = _local.state
        return self._own if state is None else state

    @state.setter
    def state(self, state: Tensor) -> None:
        self._own = state


@contextlib.contextmanager
def drawing_from(generator: Generator) -> Iterator[None]:
    """What this thread draws from the default generator comes from `generator`: a loader's batches have streams of
    their own, so that threads change nothing."""
    before = _local.state
    _local.state = generator.state
    try:
        yield
    finally:
        _local.state = before


default_generator = _Default()


def manual_seed(seed: int) -> Generator:
    """Seeds the default generator.

    >>> generator = mi.manual_seed(0)
    >>> a = mi.rand(3)
    >>> generator = mi.manual_seed(0)
    >>> mi.equal(a, mi.rand(3))
    True
    """
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Seeds the default generator from the operating system; returns the seed."""
    value = int.from_bytes(os.urandom(8), "little") >> 1
    default_generator.manual_seed(value)
    return value


def initial_seed() -> int:
    """The seed that the default generator was last given.

    >>> generator = mi.manual_seed(7)
    >>> mi.initial_seed()
    7
    """
    return default_generator.initial_seed()
