"""Sort, topk, search, unique, histograms."""

from __future__ import annotations

__all__: list[str] = []
