"""`mielina.nn.functional`: what the ops pages list in `__functional__`, under PyTorch's names."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

from .. import ops

__all__: list[str] = []


def _pages() -> Any:
    for module in pkgutil.iter_modules(ops.__path__):
        yield importlib.import_module(f"{ops.__name__}.{module.name}")


for _page in _pages():
    for _name in getattr(_page, "__functional__", ()):
        globals()[_name] = getattr(_page, _name)
        __all__.append(_name)
