"""The check of a `device=` that a function takes and has no other use for."""

from __future__ import annotations

from typing import Any

from .devices import number


def check_device(name: str, device: Any) -> None:
    """RuntimeError unless `device` is None or there is such a device, with the reason where it is a card."""
    if device is not None:
        number(device)
