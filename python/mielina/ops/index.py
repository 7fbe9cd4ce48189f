"""Reading and writing by index: gather, scatter, embedding, advanced indexing."""

from __future__ import annotations

__all__: list[str] = []
