"""Every public name says what it is, and every example in a docstring gives what it says."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
from typing import Any

import mielina as mi
import mielina.nn.functional as F
import numpy as np
import pytest
from mielina import data, io, models, nn, optim, testing, train, transforms

PLACES: dict[str, Any] = {
    "mi": mi, "F": F, "nn": nn, "nn.init": nn.init, "nn.utils": nn.utils, "nn.utils.rnn": nn.utils.rnn, "optim": optim,
    "optim.lr_scheduler": optim.lr_scheduler, "data": data, "io": io, "train": train, "testing": testing,
    "transforms": transforms, "models": models,
}  # fmt: skip


def public() -> dict[str, Any]:
    """`F.relu` and its kin: every public function, class, method and property, once, under its first name."""
    found: dict[str, Any] = {}
    seen: set[int] = set()

    def add(name: str, value: Any) -> None:
        if id(value) not in seen:
            seen.add(id(value))
            found[name] = value

    for place, module in PLACES.items():
        for name, value in sorted(vars(module).items()):
            ours = getattr(value, "__module__", "").startswith("mielina")
            if not name.startswith("_") and ours and (inspect.isfunction(value) or inspect.isclass(value)):
                add(f"{place}.{name}", value)
    for name, value in sorted(vars(mi.Tensor).items()):
        if not name.startswith("_") and (inspect.isfunction(value) or isinstance(value, property)):
            add(f"Tensor.{name}", value)
    for name, value in sorted(vars(nn.Module).items()):
        if not name.startswith("_") and inspect.isfunction(value):
            add(f"nn.Module.{name}", value)
    return found


PUBLIC = public()


def _in_place(name: str, value: Any) -> bool:
    return name.endswith("_") and any(hasattr(place, name.split(".")[-1][:-1]) for place in (mi, F))


@pytest.mark.parametrize("name", PUBLIC)
def test_docstring_says_something(name: str) -> None:
    doc = inspect.cleandoc(getattr(PUBLIC[name], "__doc__", None) or "")
    own = name.split(".")[-1]
    assert len(doc) >= 10 and doc.rstrip()[-1] not in ",;" and doc.split("\n")[0].strip() != own, f"{name}: {doc!r}"
    base = getattr(PUBLIC[name], "__mro__", (None, object))[1]
    assert base is object or doc != inspect.cleandoc(base.__doc__ or ""), f"{name} only repeats {base.__name__}"


# Nothing to show in a line: they need a file, a card, a second process, a long run, or only raise the stakes of others.
WITHOUT_EXAMPLE = {"mi.Function", "mi.Generator", "mi.Tensor", "mi.dtype", "mi.seed"}
FUNCTIONS = [n for n, v in PUBLIC.items() if n.split(".")[0] in ("mi", "F") and not _in_place(n, v)]


@pytest.mark.parametrize("name", [n for n in FUNCTIONS if n not in WITHOUT_EXAMPLE])
def test_functions_have_an_example(name: str) -> None:
    assert ">>>" in PUBLIC[name].__doc__, f"{name} has no example"


def test_exceptions_from_the_rule_exist() -> None:
    assert set(FUNCTIONS) >= WITHOUT_EXAMPLE


def _modules() -> list[Any]:
    names = [m.name for m in pkgutil.walk_packages(mi.__path__, "mielina.") if "__main__" not in m.name]
    return [mi, *(importlib.import_module(n) for n in names if not n.endswith("._core"))]


def _examples() -> dict[str, doctest.DocTest]:
    finder, found = doctest.DocTestFinder(recurse=False), {}
    things = {**PUBLIC, **{m.__name__: m for m in _modules()}}
    for name, value in things.items():
        for test in finder.find(value, name, module=False):
            if test.examples:
                found[name] = test
    return found


EXAMPLES = _examples()


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(name: str) -> None:
    test = EXAMPLES[name]
    test.globs = {"mi": mi, "F": F, "nn": nn, "np": np}
    runner, report = doctest.DocTestRunner(verbose=False), []
    runner.run(test, out=report.append)
    assert runner.failures == 0, "".join(report)


def test_an_example_that_is_wrong_fails() -> None:
    test = doctest.DocTestParser().get_doctest(">>> mi.tensor([1]) + 1\ntensor([3])\n", {"mi": mi}, "wrong", None, 0)
    report: list[str] = []
    assert doctest.DocTestRunner(verbose=False).run(test, out=report.append).failed == 1
