"""Generators: Philox 4x32-10 counters. Same seed, same numbers on every machine and with any number of threads."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from typing import Any

from . import _core, devices, dtypes
from .capture import outside
from .tensor import Tensor


class Generator:
    """A stream of random numbers. Its state is a tensor {seed, offset}: a recorded step that draws from it draws fresh
    numbers at each replay.

    A card has a state of its own, which starts where the CPU's stands when the card first draws after a seed: the
    numbers are the same on every device. `device` is only remembered.
    """

    def __init__(self, seed: int | None = None, device: Any = "cpu") -> None:
        if isinstance(seed, (str, devices.device)):  # PyTorch's only argument
            seed, device = None, seed
        self.device = devices.of(devices.number(device))
        self.state: Tensor = devices.made_on("cpu", _core.empty, (2,), dtypes.int64)
        self._on_cards: dict[int, Tensor] = {}
        self._stale: set[int] = set()  # cards that have not drawn since the last seed
        self.manual_seed(int.from_bytes(os.urandom(8), "little") >> 1 if seed is None else seed)

    def manual_seed(self, seed: int) -> Generator:
        """Starts the stream of `seed` (any 64-bit integer) from its beginning."""
        seed = int(seed)
        if not -(1 << 63) <= seed < 1 << 64:
            raise ValueError(f"manual_seed: expected a 64-bit integer, got {seed}")
        self._set(seed - (1 << 64) if seed >= 1 << 63 else seed, 0)
        return self

    def on(self, device: int) -> Tensor:
        """The state on the device of a number (`tensor._device`)."""
        if device == 0:
            return self.state
        if device not in self._on_cards:
            with outside():
                self._on_cards[device] = _core.to_device(self.state, device)
        elif device in self._stale:
            with outside():  # in place: recorded steps draw from it
                _core.copy_into(self._on_cards[device], self.state)
            self._stale.discard(device)
        return self._on_cards[device]

    def _set(self, seed: int, offset: int) -> None:
        self._stale.update(self._on_cards)
        for mine in self._on_cards.values():
            _core.fill_(_core.select(mine, 0, 0), seed)
            _core.fill_(_core.select(mine, 0, 1), offset)
        _core.fill_(_core.select(self.state, 0, 0), seed)
        _core.fill_(_core.select(self.state, 0, 1), offset)

    def initial_seed(self) -> int:
        return int(self.state.tolist()[0])

    def get_state(self, device: Any = "cpu") -> Tensor:
        """A copy of the state, in the host's memory. PyTorch's `cuda.get_rng_state` is get_state("cuda")."""
        return _core.clone(_core.to_device(self.on(devices.number(device)), 0))  # type: ignore[no-any-return]

    def set_state(self, state: Tensor, device: Any = None) -> None:
        """Goes on from a state; without a device, on all of them."""
        number = 0 if device is None else devices.number(device)
        _core.copy_into(self.on(number), state)
        if device is None:
            self._stale.clear()
            for mine in self._on_cards.values():
                _core.copy_into(mine, state)

    def snapshot(self) -> dict[int, Tensor]:
        """Copies of the states on all devices, for `restore`."""
        return {device: _core.clone(self.on(device)) for device in (0, *self._on_cards)}

    def restore(self, states: dict[int, Tensor]) -> None:
        for device, state in states.items():
            _core.copy_into(self.on(device), state)


class _Local(threading.local):
    generator: Generator | None = None


_local = _Local()


class _Default(Generator):
    """The default generator. Inside `drawing_from(g)` this thread draws from g instead."""

    @property  # type: ignore[override]
    def state(self) -> Tensor:
        g = _local.generator
        return self._own if g is None else g.state

    @state.setter
    def state(self, state: Tensor) -> None:
        self._own = state

    def on(self, device: int) -> Tensor:
        g = _local.generator
        return super().on(device) if g is None else g.on(device)


@contextlib.contextmanager
def drawing_from(generator: Generator) -> Iterator[None]:
    """What this thread draws from the default generator comes from `generator`: a loader's batches have streams of
    their own, so that threads change nothing."""
    before = _local.generator
    if generator is not default_generator:
        _local.generator = generator
    try:
        yield
    finally:
        _local.generator = before


default_generator = _Default()


def given(generator: Generator | None) -> Generator:
    """The generator of an argument; None is the default one."""
    if generator is None:
        return default_generator
    if not isinstance(generator, Generator):
        raise TypeError(f"generator: expected a mielina.Generator, got {type(generator).__name__}")
    return generator


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
