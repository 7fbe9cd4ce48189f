"""Writes docs/api from the docstrings: `python tools/api.py`, or `--check` that the pages are up to date."""

from __future__ import annotations

import importlib
import inspect
import pathlib
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from stubs import Stub

ROOT = pathlib.Path(__file__).parent.parent
PAGES = {
    "functions": ("mielina", "mi", "Functions of tensors, and the package's own: `import mielina as mi`."),
    "tensor": ("", "Tensor", "Methods and properties of `mi.Tensor`. In-place forms (`NAME_`) that only write NAME's "
               "result into the tensor's own memory are listed at the end."),
    "functional": ("mielina.nn.functional", "F", "Functions of layers: `import mielina.nn.functional as F`."),
    "nn": ("mielina.nn", "nn", "Layers, losses and containers: `from mielina import nn`."),
    "init": ("mielina.nn.init", "nn.init", "Initial weights; each function fills its tensor and returns it."),
    "utils": ("mielina.nn.utils", "nn.utils", "Clipping, parameters as one vector."),
    "rnn": ("mielina.nn.utils.rnn", "nn.utils.rnn", "Sequences of several lengths."),
    "optim": ("mielina.optim", "optim", "Optimisers: one fused kernel call a parameter group."),
    "lr_scheduler": ("mielina.optim.lr_scheduler", "optim.lr_scheduler", "Learning rates over the epochs."),
    "data": ("mielina.data", "data", "Data sets, samplers, loaders."),
    "datasets": ("mielina.datasets", "mi.datasets", "Folders of images, MNIST's files, and how images become inputs."),
    "autograd": ("mielina.autograd", "mi.autograd", "Gradients, modes, functions of one's own."),
    "train": ("mielina.train", "mi.train", "Training loops, callbacks, metrics. `fit`, `evaluate`, `predict` and the "
              "callbacks are `mi.fit` and so on, too."),
    "tune": ("mielina.tune", "mi.tune", "Search for hyper-parameters, over Optuna."),
    "models": ("mielina.models", "mi.models", "Networks of the literature, with torchvision's names of weights."),
    "transforms": ("mielina.transforms", "mi.transforms", "Images made ready, and changed at random."),
    "sklearn": ("mielina.sklearn", "mi.sklearn", "Networks as scikit-learn estimators."),
    "plot": ("mielina.plot", "mi.plot", "Pictures, with matplotlib."),
    "io": ("mielina.io", "mi", "Files."),
    "testing": ("mielina.testing", "mi.testing", "For those who add kernels: references, checks, gradients."),
}  # fmt: skip


def _public(module: Any) -> Iterator[tuple[str, Any]]:
    for name, value in sorted(vars(module).items(), key=lambda item: item[0].lower()):
        home = "mielina" if module.__name__ in ("mielina", "mielina.nn.functional") else module.__name__
        ours = (getattr(value, "__module__", None) or "").startswith(home)
        if not name.startswith("_") and ours and (inspect.isfunction(value) or inspect.isclass(value)):
            yield name, value


def _body(value: Any) -> list[str]:
    """A docstring as Markdown: text as it stands, examples as code."""
    lines: list[str] = []
    code = False
    for line in inspect.cleandoc(value.__doc__ or "").split("\n"):
        if line.startswith(">>>") and not code:
            lines.append("```python")
            code = True
        elif code and not line:
            lines.append("```")
            code = False
        lines.append(line if code else line.replace("<", "\\<").replace("*", "\\*").replace("|", "\\|"))
    return [*lines, "```"] if code else lines


def _entry(label: str, name: str, value: Any, first: str | None = None) -> list[str]:
    """A heading, the signature, the docstring; of a class also its own public methods' summaries."""
    full = f"{label}.{name}"
    lines = [f"## {name}", ""]
    if isinstance(value, property):
        return [*lines, f"`{full}`", "", *_body(value), ""]
    f = value.__init__ if inspect.isclass(value) else value
    try:
        signature = Stub().signature(full, f, "self" if inspect.isclass(value) else first)
    except (NameError, ValueError):
        signature = full
    if inspect.isclass(value):
        signature = signature.replace("(self, ", "(").replace("(self)", "()").removesuffix(" -> None")
    lines += ["```python", signature.replace("(self, ", "(").replace("(self)", "()"), "```", "", *_body(value), ""]
    if inspect.isclass(value):
        methods = [
            (n, m) for n, m in vars(value).items() if inspect.isfunction(m) and not n.startswith("_") and m.__doc__
        ]
        for n, m in methods:
            lines += [f"- `{n}`: {' '.join(' '.join(_body(m)).split('```')[0].split())}"]
        lines += [""] * bool(methods)
    return lines


def _tensor() -> Iterable[str]:
    from mielina import Tensor

    in_place = []
    for name, value in sorted(vars(Tensor).items()):
        if name.startswith("_") or not (inspect.isfunction(value) or isinstance(value, property)):
            continue
        if name.endswith("_") and hasattr(value, "__wrapped__"):
            in_place.append(f"`{name}`")
        else:
            yield from _entry("Tensor", name, value, "self")
    yield from ("## In-place forms", "", ", ".join(in_place), "")


def page(name: str) -> str:
    """One page of the reference."""
    module, label, title = PAGES[name]
    lines = [f"# {module or 'mielina.Tensor'}", "", title, "", "Written by `python tools/api.py`.", ""]
    if module:
        for n, value in _public(importlib.import_module(module)):
            lines += _entry(label, n, value)
    else:
        lines += _tensor()
    return "\n".join(lines).rstrip() + "\n"


def index() -> str:
    """The list of pages."""
    lines = [
        "# Reference",
        "",
        "Written by `python tools/api.py` from the docstrings; their examples run in the tests.",
        "",
    ]
    lines += [f"- [{module or 'mielina.Tensor'}]({name}.md): {title}" for name, (module, _, title) in PAGES.items()]
    return "\n".join(lines) + "\n"


def stale() -> list[str]:
    """The pages that differ from what the docstrings give."""
    folder = ROOT / "docs" / "api"
    wanted = {"README.md": index(), **{f"{name}.md": page(name) for name in PAGES}}
    return [n for n, text in wanted.items() if not (folder / n).exists() or (folder / n).read_text() != text]


if __name__ == "__main__":
    if "--check" in sys.argv:
        names = stale()
        sys.exit(f"out of date, run tools/api.py: {', '.join(names)}" if names else 0)
    (ROOT / "docs" / "api").mkdir(exist_ok=True)
    (ROOT / "docs" / "api" / "README.md").write_text(index())
    for name in PAGES:
        (ROOT / "docs" / "api" / f"{name}.md").write_text(page(name))
