"""Max, average and adaptive pooling, unfold and fold."""

from __future__ import annotations

__all__: list[str] = []
