"""The generated stubs say what the package holds, and what they say is enough for an editor."""

from __future__ import annotations

import ast
import importlib.util
import pathlib

import mielina as mi
import mielina.nn.functional as F
import pytest

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def stubs():
    spec = importlib.util.spec_from_file_location("stubs", ROOT / "tools" / "stubs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_stubs_are_up_to_date(stubs):
    assert stubs.stale() == [], "run: python tools/stubs.py"


def test_a_changed_signature_makes_a_stub_stale(stubs, monkeypatch):
    def relu_(input: mi.Tensor, inplace: bool = False, extra: int = 0) -> mi.Tensor:
        return input

    monkeypatch.setattr(mi.Tensor, "relu_", relu_)
    assert stubs.stale() == ["_methods.pyi"]


def _methods():
    tree = ast.parse((ROOT / "python" / "mielina" / "_methods.pyi").read_text())
    return {f.name: f for f in tree.body[-1].body if isinstance(f, ast.FunctionDef)}


@pytest.mark.parametrize("name, parameters", [("sum", ["self", "dim", "keepdim"]), ("clamp_", ["self", "min", "max"])])
def test_methods_have_their_parameters(name, parameters):
    assert [a.arg for a in _methods()[name].args.args] == parameters


def test_every_public_function_is_in_a_stub():
    text = (ROOT / "python" / "mielina" / "ops" / "__init__.pyi").read_text()
    names = {n.name for n in ast.parse(text).body if isinstance(n, ast.FunctionDef)}
    names |= {a.asname for n in ast.parse(text).body if isinstance(n, ast.ImportFrom) for a in n.names}
    assert {n for n in vars(mi) if getattr(vars(mi)[n], "__module__", "").startswith("mielina.ops.")} <= names
    text = (ROOT / "python" / "mielina" / "nn" / "functional.pyi").read_text()
    assert all(f" as {name}\n" in text or f"def {name}(" in text for name in F.__all__)


def test_what_an_editor_sees_also_runs():
    spec = importlib.util.spec_from_file_location("user", pathlib.Path(__file__).parent / "user.py")
    user = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(user)
    x = mi.randn(3, 4)
    assert user.made_at_import(x).shape == (3, 4)
    assert user.written_on_pages(x).dtype is mi.float64
    assert len(list(user.layers().parameters())) == 4
