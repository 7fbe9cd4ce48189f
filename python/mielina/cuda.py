"""CUDA cards, with PyTorch's names. Nothing is loaded, no driver touched, before one of these is called."""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections import namedtuple
from collections.abc import Iterator
from typing import Any

from . import _core
from . import devices as _device

_core.cuda_library(os.environ.get("MIELINA_CUDA_LIBRARY") or str(pathlib.Path(__file__).parent / "libmielina_cuda.so"))


def why_not() -> str:
    """Why tensors cannot be moved to a card; empty if they can."""
    return _core.cuda_missing()


def is_available() -> bool:
    """Whether tensors can be moved to a card; `why_not()` tells the reason if they cannot."""
    return not why_not()


def device_count() -> int:
    """Cards that the CUDA library sees; 0 where it is missing or does not load."""
    return _core.cuda_count()


def require(card: int, asked: Any = "cuda") -> None:
    """RuntimeError with the reason unless there is such a card."""
    reason = why_not()
    if reason:
        raise RuntimeError(f"CUDA: no: {reason} (asked for {str(asked)!r})")
    if not 0 <= card < device_count():
        raise RuntimeError(f"CUDA: no card {card}: this machine has {device_count()} (asked for {str(asked)!r})")


def _card(device: Any) -> int:
    """The card of a device in any form; None: the current one."""
    if device is None:
        require(_device.current_card)
        return _device.current_card
    place = _device.number(device)
    if place == 0:
        raise ValueError(f"expected a CUDA device, got {str(device)!r}")
    return place - 1


# ---- cards -----------------------------------------------------------------------------------------------------------
Properties = namedtuple("Properties", ["name", "major", "minor", "multi_processor_count", "total_memory"])


def get_device_properties(device: Any = None) -> Properties:
    """A card's name, compute capability (major, minor), number of multiprocessors and bytes of memory."""
    return Properties(*_core.cuda_describe(_card(device)))


def get_device_name(device: Any = None) -> str:
    return get_device_properties(device).name  # type: ignore[no-any-return]


def get_device_capability(device: Any = None) -> tuple[int, int]:
    """(major, minor) of a card's compute capability: (9, 0) for an H100."""
    return get_device_properties(device)[1:3]  # type: ignore[return-value]


def current_device() -> int:
    """The card that "cuda" means."""
    require(_device.current_card)
    return _device.current_card


def set_device(device: Any) -> None:
    """Chooses the card that "cuda" means."""
    _device.current_card = _card(device)


def synchronize(device: Any = None) -> None:
    """Waits for all work on a card. RuntimeError if there is no such card, or with what went wrong in that work."""
    _core.cuda_synchronize(_card(device))


# ---- memory ----------------------------------------------------------------------------------------------------------
def memory_stats(device: Any = None) -> dict[str, int]:
    """Bytes that tensors hold ("in_use"), held at most ("peak"), are kept for reuse ("cached"), and how often a block
    came from there ("hits") or from the driver ("misses")."""
    names = ("in_use", "peak", "cached", "cap", "hits", "misses")
    return dict(zip(names, _core.device_memory_stats(1 + _card(device))))


def memory_allocated(device: Any = None) -> int:
    """Bytes that tensors hold on a card."""
    return memory_stats(device)["in_use"]


def max_memory_allocated(device: Any = None) -> int:
    """The most that tensors ever held, or since `reset_peak_memory_stats`."""
    return memory_stats(device)["peak"]


def memory_reserved(device: Any = None) -> int:
    """Bytes taken from the driver: what tensors hold and what is kept for reuse."""
    stats = memory_stats(device)
    return stats["in_use"] + stats["cached"]


def reset_peak_memory_stats(device: Any = None) -> None:
    _core.device_reset_peak(1 + _card(device))


def mem_get_info(device: Any = None) -> tuple[int, int]:
    """(free, total) bytes of a card, as the driver sees them."""
    return _core.cuda_memory(_card(device))  # type: ignore[no-any-return]


def empty_cache() -> None:
    """Gives memory that is kept for reuse back to the driver, on all cards."""
    for card in range(device_count()):
        _core.device_empty_cache(1 + card)


# ---- random numbers --------------------------------------------------------------------------------------------------
def manual_seed(seed: int) -> None:
    """Seeds the default generator, whose stream is the same on every device."""
    from .random import manual_seed

    manual_seed(seed)


manual_seed_all = manual_seed


# ---- streams and events ----------------------------------------------------------------------------------------------
class Stream:
    """A queue of work on a card. `with mi.cuda.stream(s): ...` sends this thread's work there.

    Work in different streams may overlap: a tensor made in one may be used in another only after `wait_stream` or an
    event, and must live until that use is done.
    """

    def __init__(self, device: Any = None, priority: int = 0) -> None:
        self._card = _card(device)
        self._own = True
        self.cuda_stream = _core.stream_create(self._card)

    @classmethod
    def _of(cls, card: int, handle: int) -> Stream:
        self = object.__new__(cls)
        self._card, self._own, self.cuda_stream = card, False, handle
        return self

    def __del__(self) -> None:
        if getattr(self, "_own", False):
            with contextlib.suppress(Exception):  # at exit the driver may be gone
                _core.stream_destroy(self._card, self.cuda_stream)

    @property
    def device(self) -> _device.device:
        return _device.of(1 + self._card)

    def synchronize(self) -> None:
        """Waits for all work in the stream."""
        _core.stream_synchronize(self._card, self.cuda_stream)

    def query(self) -> bool:
        """Whether all work in the stream is done."""
        return _core.stream_query(self._card, self.cuda_stream)

    def wait_event(self, event: Event) -> None:
        """What is sent to the stream from here on waits for the event."""
        _core.stream_wait(self._card, self.cuda_stream, event._handle(self._card))

    def wait_stream(self, stream: Stream) -> None:
        """What is sent to the stream from here on waits for what the other one has been sent."""
        self.wait_event(stream.record_event())

    def record_event(self, event: Event | None = None) -> Event:
        event = Event() if event is None else event
        event.record(self)
        return event

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and (self._card, self.cuda_stream) == (other._card, other.cuda_stream)

    def __hash__(self) -> int:
        return hash((self._card, self.cuda_stream))


def current_stream(device: Any = None) -> Stream:
    """The stream that takes this thread's work on a card."""
    card = _card(device)
    return Stream._of(card, _core.stream_current(card))


@contextlib.contextmanager
def stream(s: Stream | None) -> Iterator[None]:
    """Sends this thread's work on the stream's card to the stream; None changes nothing."""
    if s is None:
        yield
        return
    before = _core.stream_choose(s._card, s.cuda_stream)
    try:
        yield
    finally:
        _core.stream_choose(s._card, before)


class Event:
    """A mark in a stream: waited for, or with `enable_timing` a moment whose distance to another is measured."""

    def __init__(self, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False) -> None:
        if interprocess:
            raise NotImplementedError("Event: events are not shared between processes")
        self._timing = enable_timing
        self._card: int | None = None
        self._event = 0

    def __del__(self) -> None:
        if getattr(self, "_event", 0):
            with contextlib.suppress(Exception):
                _core.event_destroy(self._card or 0, self._event)

    def _handle(self, card: int | None = None) -> int:
        if self._card is None:
            self._card = _card(None) if card is None else card
            self._event = _core.event_create(self._card, self._timing)
        return self._event

    def record(self, stream: Stream | None = None) -> None:
        """Marks what the stream (default: the current one) has been sent so far."""
        s = current_stream() if stream is None else stream
        handle = self._handle(s._card)
        _core.event_record(s._card, handle, s.cuda_stream)

    def wait(self, stream: Stream | None = None) -> None:
        """What the stream is sent from here on waits for the event."""
        (current_stream() if stream is None else stream).wait_event(self)

    def query(self) -> bool:
        """Whether the marked work is done."""
        return _core.event_query(self._card, self._event) if self._card is not None else True

    def synchronize(self) -> None:
        """Waits for the marked work."""
        if self._card is not None:
            _core.event_synchronize(self._card, self._event)

    def elapsed_time(self, end_event: Event) -> float:
        """Milliseconds to another event; both recorded and made with enable_timing=True."""
        if not (self._timing and end_event._timing):
            raise ValueError("elapsed_time: both events need enable_timing=True")
        if self._card is None or end_event._card is None:
            raise ValueError("elapsed_time: both events must be recorded first")
        return _core.event_elapsed(self._card, self._event, end_event._event)
