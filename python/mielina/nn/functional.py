"""`mielina.nn.functional`: what the ops pages list in `__functional__`, under PyTorch's names."""

from __future__ import annotations

import sys

from .. import ops

__all__: list[str] = []

# The pages as they were loaded, since a function may hide the page of its name: ops.softmax.
_prefix = ops.__name__ + "."
for _page in sorted(name for name in sys.modules if name.startswith(_prefix) and "." not in name[len(_prefix) :]):
    for _name in getattr(sys.modules[_page], "__functional__", ()):
        globals()[_name] = getattr(sys.modules[_page], _name)
        __all__.append(_name)
