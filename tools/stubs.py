"""Writes the type stubs of what is made at import: `python tools/stubs.py`, or `--check` that they are up to date.

_core.pyi              the compiled module: each bound function's docstring is its typed signature
_methods.pyi           what the pages of ops/ attach to Tensor
ops/__init__.pyi       what the pages export; functions that a maker made (`exp = unary("exp", ...)`) with their
signatures
nn/functional.pyi      the same under nn.functional
"""

from __future__ import annotations

import ast
import builtins
import importlib
import inspect
import pathlib
import pkgutil
import re
import sys
from collections.abc import Callable, Iterable
from typing import Any

PACKAGE = pathlib.Path(__file__).parent.parent / "python" / "mielina"
WRITTEN = '"""{} Written by tools/stubs.py; do not edit."""\n\n'

CORE = """from collections.abc import Sequence
from typing import Any

from .dtypes import dtype, dtype as DType
from .tensor import Tensor

OUTPUTS: tuple[Any, ...]

class NoKernel(NotImplementedError): ...

class TensorBase:
    shape: tuple[int, ...]
    dtype: DType
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

"""


def core() -> str:
    from mielina import _core

    lines = []
    for name in sorted(vars(_core)):
        doc = getattr(getattr(_core, name), "__doc__", None)
        if callable(getattr(_core, name)) and doc and doc.startswith("def "):
            lines.append(doc.replace("(/)", "()").replace(", /)", ", /)").replace("(, /)", "()"))
    return WRITTEN.format("The compiled core.") + CORE + "\n".join(lines) + "\n"


# ---- signatures ------------------------------------------------------------------------------------------------------
class Stub:
    """A stub in the making: the lines of its definitions, and the imports that their annotations ask for."""

    def __init__(self, shadowed: Iterable[str] = ()) -> None:
        self.imports: dict[str, set[str]] = {}
        self.lines: list[str] = []
        self.shadowed = set(shadowed) & set(vars(builtins))

    def signature(self, name: str, f: Any, first: str | None = None) -> str:
        """`name(a: A, b: B = 1) -> C` of f, whose first parameter is called `first`."""
        signature = inspect.signature(f)
        parts, star = [], False
        for i, p in enumerate(signature.parameters.values()):
            if p.kind is p.KEYWORD_ONLY and not star:
                parts.append("*")
            star = star or p.kind in (p.KEYWORD_ONLY, p.VAR_POSITIONAL)
            parts.append(first if i == 0 and first else self._parameter(p, f))
        return f"{name}({', '.join(parts)}) -> {self._annotation(signature.return_annotation, f)}"

    def define(self, name: str, f: Any, indent: str = "", first: str | None = None, mark: str = "") -> None:
        """`def name(...)` with the signature of f and its docstring's summary."""
        head = f"{indent}def {self.signature(name, f, first)}:"
        summary = _summary(f)
        if not summary:
            self.lines.append(f"{head} ...{mark}")
        else:
            self.lines += [head + mark, f'{indent}    """{summary}"""']

    def _parameter(self, p: inspect.Parameter, f: Any) -> str:
        stars = "*" if p.kind is p.VAR_POSITIONAL else "**" if p.kind is p.VAR_KEYWORD else ""
        text = f"{stars}{p.name}: {self._annotation(p.annotation, f)}"
        if p.default is not p.empty:
            simple = p.default is None or isinstance(p.default, (bool, int, float, str, tuple))
            text += f" = {p.default!r}" if simple else " = ..."
        return text

    def _annotation(self, annotation: Any, f: Any) -> str:
        """The annotation as its page wrote it, with the imports that it needs."""
        if annotation is inspect.Parameter.empty:
            return self._word("Any", f)
        text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
        return re.sub(r"(?<![\w.])[A-Za-z_]\w*", lambda m: self._word(m.group(), f), text)

    def _word(self, word: str, f: Any) -> str:
        if word in ("None", "True", "False"):
            return word
        own, wrapper = (getattr(g, "__globals__", {}) for g in (inspect.unwrap(f), f))  # a wrapper may add parameters
        value = own.get(word, wrapper.get(word))
        if value is None or value is getattr(builtins, word, self):
            if word == "Any":
                self._import("typing", word)
            elif not hasattr(builtins, word):
                raise NameError(f"{f.__module__}.{f.__name__}: nothing is called {word}")
            elif word in self.shadowed:
                self._import("", "builtins")
                return f"builtins.{word}"
            return word
        if inspect.ismodule(value):
            self._import("", f"{value.__name__} as {word}")
        elif inspect.isclass(value) and value.__module__ != "typing":
            name = value.__name__
            self._import(value.__module__, name if name == word else f"{name} as {word}")
        else:
            self._import("typing" if word in ("Any", "Literal") else inspect.unwrap(f).__module__, word)
        return word

    def _import(self, module: str, what: str) -> None:
        self.imports.setdefault(module, set()).add(what)

    def text(self, title: str, head: str = "") -> str:
        lines = [f"import {what}" for what in sorted(self.imports.get("", ()))]
        lines += [f"from {m} import {', '.join(sorted(w))}" for m, w in sorted(self.imports.items()) if m]
        return WRITTEN.format(title) + "\n".join(lines) + "\n\n" + head + "\n".join(self.lines) + "\n"


def _summary(f: Any) -> str:
    """A docstring's first paragraph."""
    return inspect.cleandoc(f.__doc__ or "").split("\n\n")[0].replace("\n", " ").replace("\\", "\\\\").replace('"', "'")


def _page_of(f: Any) -> str | None:
    """The module whose source defines the function or class, or None for what a maker made."""
    module = sys.modules.get(getattr(f, "__module__", None) or "")
    name = getattr(f, "__name__", None)
    if module is None or getattr(module, str(name), None) is not f:
        return None
    top = ast.parse(inspect.getsource(module)).body
    defined = any(isinstance(n, (ast.FunctionDef, ast.ClassDef)) and n.name == name for n in top)
    return module.__name__ if defined else None


# ---- what the pages export -------------------------------------------------------------------------------------------
def _pages() -> list[Any]:
    import mielina.ops

    names = [m.name for m in pkgutil.iter_modules(mielina.ops.__path__)]
    return [importlib.import_module(f"mielina.ops.{name}") for name in names]


def _exports(stub: Stub, module: Any, names: Iterable[str], already: Any = None) -> None:
    """Each name: from its page where it is defined there, from `already` where that has it, else as a definition."""
    for name in sorted(set(names)):
        value = getattr(module, name)
        if already is not None and getattr(already, name, None) is value:
            stub.lines.append(f"from {already.__name__} import {name} as {name}")
            continue
        page = _page_of(value)
        if page is not None:
            stub.lines.append(f"from {page} import {value.__name__} as {name}")
        elif callable(value):
            stub.define(name, value)
        else:
            owner = next(p for p in sys.modules if p.startswith("mielina.ops.") and name in vars(sys.modules[p]))
            stub.lines.append(f"from {owner} import {name} as {name}")


def ops() -> str:
    import mielina.ops

    stub = Stub()
    _exports(stub, mielina.ops, (name for page in _pages() for name in getattr(page, "__all__", ())))
    return stub.text("What the pages of ops/ export.")


def functional() -> str:
    import mielina.nn.functional as F

    stub = Stub()
    _exports(stub, F, F.__all__, already=importlib.import_module("mielina.ops"))
    return stub.text("nn.functional.", f"__all__ = {F.__all__!r}\n")


def methods() -> str:
    from mielina.ops.elementwise.base import COMPARISONS, OPERATORS
    from mielina.tensor import Tensor

    tree = ast.parse(inspect.getsource(sys.modules[Tensor.__module__]))
    body = next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "Tensor").body
    own = {getattr(n, "name", None) for n in body}
    own |= {t.id for n in body if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)}
    attached = {n: v for n, v in vars(Tensor).items() if n not in own and n not in ("__module__", "__doc__")}
    stub = Stub(shadowed=attached)
    for name, value in sorted(attached.items()):
        if isinstance(value, property):
            stub.lines.append("    @property")
            stub.define(name, value.fget, "    ", "self")
        elif inspect.isfunction(value):
            stub.define(name, value, "    ", "self")
    for symbol, function in OPERATORS.items():
        operand = "" if symbol == "neg" else ", other: Any"
        clashes = symbol in ("eq", "ne")  # object's give a bool
        mark = "  # type: ignore[override]" if clashes else ""
        stub.lines += [f"    def __{symbol}__(self{operand}) -> Tensor:{mark}", f'        """{_summary(function)}"""']
        if operand and symbol not in COMPARISONS:
            doc = f'"""{function.__name__}(other, self)."""'
            stub.lines += [f"    def __r{symbol}__(self{operand}) -> Tensor:", f"        {doc}"]
    stub.imports.setdefault("mielina._core", set()).add("TensorBase")
    return stub.text("What the pages of ops/ attach to Tensor.", "class Methods(TensorBase):\n")


STUBS: dict[str, Callable[[], str]] = {
    "_core.pyi": core,
    "_methods.pyi": methods,
    "ops/__init__.pyi": ops,
    "nn/functional.pyi": functional,
}


def stale() -> list[str]:
    """The stubs that differ from what the package would give."""
    return [n for n, write in STUBS.items() if not (PACKAGE / n).exists() or (PACKAGE / n).read_text() != write()]


if __name__ == "__main__":
    if "--check" in sys.argv:
        names = stale()
        sys.exit(f"out of date, run tools/stubs.py: {', '.join(names)}" if names else 0)
    for name, write in STUBS.items():
        (PACKAGE / name).write_text(write())
