"""Losses between predictions and targets."""

from __future__ import annotations

__all__: list[str] = []
