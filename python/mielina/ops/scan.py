"""Running sums, products and extrema."""

from __future__ import annotations

__all__: list[str] = []
