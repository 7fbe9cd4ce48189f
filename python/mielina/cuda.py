"""CUDA cards. Nothing here is loaded, and the driver is not touched, before one of these functions is called."""

from __future__ import annotations

import pathlib

from . import _core

_core.cuda_library(str(pathlib.Path(__file__).parent / "libmielina_cuda.so"))


def why_not() -> str:
    """Why tensors cannot be moved to a card; empty if they can."""
    return _core.cuda_missing() or "the CUDA kernels are loaded, but tensors cannot be placed on a card yet"


def is_available() -> bool:
    """Whether tensors can be moved to a card; `why_not()` tells the reason if they cannot."""
    return not why_not()


def device_count() -> int:
    """Cards that the CUDA library sees; 0 where it is missing or does not load."""
    return _core.cuda_count()


def synchronize(device: int = 0) -> None:
    """Waits for all work on a card. RuntimeError if there is no such card, or with what went wrong in that work."""
    _core.cuda_synchronize(device)
