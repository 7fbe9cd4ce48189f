"""Resampling and borders: interpolate, grid_sample, pad, pixel_shuffle."""

from __future__ import annotations

__all__: list[str] = []
