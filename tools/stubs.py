"""Writes python/mielina/_core.pyi from the compiled module: each bound function's docstring is its typed signature."""

from __future__ import annotations

import pathlib
import sys

HEADER = '''"""The compiled core. Written by tools/stubs.py; do not edit."""

from collections.abc import Sequence
from typing import Any

from .dtypes import dtype
from .tensor import Tensor

OUTPUTS: tuple[Any, ...]

class TensorBase:
    shape: tuple[int, ...]
    dtype: Any
    ndim: int
    _strides: tuple[int, ...]
    _offset: int
    _version: int
    _device: int
    _address: int
    _storage: int
    _readonly: bool
    _tracked: bool
    _leaf_flag: bool
    _node: Any
    _grad: Any
    _base: Any
    _extra: Any
    _index: int
    def __new__(cls, source: Any = ..., /) -> Any: ...

class Node:
    op: Any
    edges: tuple[Any, ...]
    needs: tuple[bool, ...]
    indices: tuple[int, ...]
    hooks: Any
    order: int
    n_outputs: int
    def unpack(self) -> tuple[Any, ...]: ...
    def free(self) -> None: ...
    def fits(self, i: int, gradient: Any, /) -> bool: ...
    def input_meta(self, i: int, /) -> tuple[tuple[int, ...], Any]: ...
    def output_meta(self, i: int, /) -> tuple[tuple[int, ...], Any]: ...
    def index(self, i: int, /) -> int: ...

'''


def stubs() -> str:
    from mielina import _core

    lines = []
    for name in sorted(vars(_core)):
        doc = getattr(getattr(_core, name), "__doc__", None)
        if callable(getattr(_core, name)) and doc and doc.startswith("def "):
            lines.append(doc.replace("(/)", "()").replace(", /)", ", /)").replace("(, /)", "()"))
    return HEADER + "\n".join(lines) + "\n"


if __name__ == "__main__":
    target = pathlib.Path(__file__).parent.parent / "python" / "mielina" / "_core.pyi"
    if "--check" in sys.argv:
        sys.exit(0 if target.read_text() == stubs() else "python/mielina/_core.pyi is out of date: run tools/stubs.py")
    target.write_text(stubs())
