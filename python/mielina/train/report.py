"""`history.report("run.html")`: a run on one page, in one file that loads nothing and runs nothing."""

from __future__ import annotations

import base64
import html
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

# Nothing may be fetched, run or sent; styles stand in the page and pictures are data.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
_STYLE = """body{font:16px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222}
table{border-collapse:collapse;margin:1em 0}td,th{padding:.2em .8em;text-align:right;border-bottom:1px solid #ddd}
th:first-child,td:first-child{text-align:left}img{max-width:100%}pre{overflow-x:auto;background:#f6f6f6;padding:1em}"""


def report(
    history: Any,
    path: str | os.PathLike[str],
    title: str = "Training run",
    model: Any = None,
    confusion: Any = None,
    class_names: Sequence[Any] | None = None,
    figures: Mapping[str, Any] | None = None,
    notes: str = "",
) -> None:
    """Writes curves, numbers of every epoch and, if given, the model's text, a confusion matrix (rows: true classes),
    matplotlib figures by title and notes. Every string is escaped. Curves need matplotlib. OSError: as for `open`."""
    from .. import plot
    from ..io import atomic_write

    e = lambda x: html.escape(str(x), quote=True)  # noqa: E731
    parts = [f"<h1>{e(title)}</h1>"]
    if notes:
        parts.append(f"<p>{e(notes)}</p>")
    if history.history:
        parts.append(_picture(curves_figure(history), "curves of all numbers against the epoch"))
        names = list(history.history)
        rows = [[k + 1, *(_at(history, n, i) for n in names)] for i, k in enumerate(history.epoch)]
        parts.append(_table(["epoch", *names], rows, e))
    if confusion is not None:
        m = np.asarray(confusion)
        labels = [str(c) for c in (class_names if class_names is not None else range(len(m)))]
        if len(labels) != len(m):
            raise ValueError(f"report: {len(labels)} class names for a confusion matrix of {m.shape}")
        figure = plot.figure(6, 5)
        plot.confusion(m, labels, figure.subplots())
        parts += ["<h2>Confusion matrix</h2>", _picture(figure, "confusion matrix")]
        parts.append(_table(["true \\ predicted", *labels], [[c, *row] for c, row in zip(labels, m.tolist())], e))
    for name, figure in (figures or {}).items():
        parts += [f"<h2>{e(name)}</h2>", _picture(getattr(figure, "figure", figure), name)]
    if model is not None:
        parts += ["<h2>Model</h2>", f"<pre>{e(model)}</pre>"]
    page = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f"<title>{e(title)}</title><style>{_STYLE}</style></head>\n<body>" + "\n".join(parts) + "</body></html>\n"
    )
    with atomic_write(path) as f:
        f.write(page.encode("utf-8", "replace"))


def _at(history: Any, name: str, i: int) -> str:
    """A number that was not recorded in every epoch belongs to the last ones."""
    values = history.history[name]
    k = i - (len(history.epoch) - len(values))
    return f"{values[k]:.5g}" if k >= 0 else ""


def _table(head: Sequence[Any], rows: Sequence[Sequence[Any]], e: Any) -> str:
    lines = ["".join(f"<{tag}>{e(x)}</{tag}>" for x in row) for tag, row in [("th", head), *(("td", r) for r in rows)]]
    return "<table>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"


def _picture(figure: Any, what: str) -> str:
    import io

    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=110)
    data = base64.b64encode(out.getvalue()).decode()
    return f'<p><img alt="{html.escape(str(what), quote=True)}" src="data:image/png;base64,{data}"></p>'


def curves_figure(history: Any) -> Any:
    """One panel for each number and its `val_` twin."""
    from .. import plot

    names = list(dict.fromkeys(k.removeprefix("val_") for k in history.history))
    columns = min(len(names), 2)
    rows = -(-len(names) // columns)
    figure = plot.figure(5.5 * columns, 3.5 * rows)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax, name in zip(panels, names):
        plot.curves(history, ax, [k for k in (name, "val_" + name) if k in history])
        ax.set_title(plot._plain(name))
    for ax in panels[len(names) :]:
        ax.remove()
    return figure
