"""The written pages say what the package, the results and the sources say."""

from __future__ import annotations

import importlib.util
import pathlib
import re
import sys
from typing import Any

import pytest

ROOT = pathlib.Path(__file__).parents[2]
KERNELS = sorted((ROOT / "docs" / "kernels").glob("*.md"))


def _tool(name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    spec = importlib.util.spec_from_file_location(f"tools_{name}", ROOT / "tools" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _tool("api", monkeypatch).stale() == [], "run: python tools/api.py"


def test_the_measured_tables_are_those_of_the_results(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _tool("tables", monkeypatch).stale() == [], "run: python tools/tables.py"


def test_a_number_that_nobody_measured_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = _tool("tables", monkeypatch)
    page = (ROOT / "docs" / "kernels" / "gemm.md").read_text()
    forged = re.sub(r"\| (\d+) us", "| 1 us", page, count=1)
    assert forged != page and tables.filled(forged) == page


def test_every_family_has_its_page_and_every_page_its_table() -> None:
    from mielina.bench import FAMILIES

    pages = {p.stem: p.read_text() for p in KERNELS if p.stem != "README"}
    assert set(pages) == set(FAMILIES) - {"overhead", "inference"}  # these two stand on the page of nets
    assert all(f"<!-- measured: {name} -->" in page for name, page in pages.items())
    assert all(f"<!-- measured: {name} -->" in pages["nets"] for name in ("overhead", "inference"))


CONSTANTS = [(p.name, c) for p in KERNELS for c in re.findall(r"`(k?[A-Z]\w* = [^`]+)`", p.read_text())]


@pytest.mark.parametrize("page, constant", CONSTANTS)
def test_constants_are_those_of_the_sources(page: str, constant: str) -> None:
    sources = "\n".join(p.read_text() for p in (ROOT / "csrc" / "cpu").rglob("*") if p.suffix in (".h", ".cpp"))
    assert re.search(rf"\b{re.escape(constant)}[,;]", sources), f"{page} says {constant}"


PAGES = [*KERNELS, ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("path", PAGES, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_links_and_files_exist(path: pathlib.Path) -> None:
    text = path.read_text()
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (path.parent / target).exists(), f"{path.name} links to {target}"
    for name in re.findall(r"`((?:csrc|python|tests|tools|examples|benchmarks|docs)/[\w./-]+\.\w+)`", text):
        assert (ROOT / name).exists(), f"{path.name} names {name}"
