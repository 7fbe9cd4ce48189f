"""Where tensors live: the machine's memory."""

from __future__ import annotations

from typing import Any


def check_device(name: str, device: Any) -> None:
    """RuntimeError unless `device` is None or the CPU, with the reason where it is a card."""
    if device is None or str(device) in ("cpu", "cpu:0"):
        return
    if not isinstance(device, (str, int)):
        raise TypeError(f"{name}: expected a device's name, got {type(device).__name__}")
    reason = ""
    if str(device).startswith("cuda") or isinstance(device, int):
        from . import cuda

        reason = f": {cuda.why_not()}"
    raise RuntimeError(f"{name}: there is no device {device!r} here{reason}")
