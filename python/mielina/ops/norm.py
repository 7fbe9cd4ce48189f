"""Batch, layer, group, instance, rms and local response normalisation."""

from __future__ import annotations

__all__: list[str] = []
