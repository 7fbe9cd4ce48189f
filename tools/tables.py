"""Writes the measured tables of docs/kernels from the newest results: `python tools/tables.py`, or `--check`;
`--roofline` draws all families of the newest folder into one picture there.

benchmarks/results/DATE/FAMILY.json, as `mielina bench FAMILY --json` writes it, fills what stands between
`<!-- measured: FAMILY -->` and `<!-- end -->`: the newest of each width of vectors, since machines with AVX-512 and
without are two worlds.
"""

from __future__ import annotations

import json
import pathlib
import re
import sys
from typing import Any

ROOT = pathlib.Path(__file__).parent.parent
RIVALS = {
    "numpy": "NumPy",
    "torch": "PyTorch",
    "torch channels last": "PyTorch, channels last",
    "torch compiled": "PyTorch, compiled",
    "torch fused": "PyTorch, fused",
    "jax": "JAX",
    "onnx": "ONNX Runtime",
    "mielina captured": "captured",
    "mielina channels last": "channels last",
}


RESULTS = ROOT / "benchmarks" / "results"


def folders() -> list[pathlib.Path]:
    """The folders of results, the newest first: their names begin with dates."""
    return sorted((p for p in RESULTS.iterdir() if p.is_dir()), reverse=True)


def newest(family: str) -> list[dict[str, Any]]:
    """The newest results of a family, one of each width of vectors."""
    found: dict[bool, dict[str, Any]] = {}
    for folder in folders():
        path = folder / f"{family}.json"
        if path.exists():
            data = json.loads(path.read_text())
            found.setdefault(data["machine"]["isa"].startswith(("avx512", "amx")), data)
    return list(found.values())


def _time(seconds: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def _rate(row: dict[str, Any], rate: str, share: str) -> str:
    return f"{row[rate]:.3g} ({row[share]:.0%})" if rate in row else ""


def table(data: dict[str, Any]) -> str:
    """One family's rows in Markdown, and where they were measured."""
    rows, m, limits = data["rows"], data["machine"], data["limits"]
    rivals = [name for name in RIVALS if any(name in row["ratio"] for row in rows)]
    head = ["case", "time", "spread", "GFLOP/s", "GB/s", *(RIVALS[name] for name in rivals)]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for row in rows:
        t = row["seconds"]["mielina"]
        cells = [row["name"], _time(t["median"]), f"{(t['high'] - t['low']) / t['median']:.0%}"]
        cells += [_rate(row, "gflops", "share_of_peak"), _rate(row, "gbytes", "share_of_copy")]
        cells += [f"{row['ratio'][name]:.2f}" if name in row["ratio"] else "" for name in rivals]
        lines.append("| " + " | ".join(cells) + " |")
    libraries = ", ".join(f"{RIVALS[k]} {m[k]}" for k in ("numpy", "torch", "jax") if k in m)
    lines.append("")
    lines.append(
        f"{m['date']}, {m['cpu']}, {m['threads']} threads, {m['isa']}; "
        f"FMA peak {limits['fma_peak'] * 1e-9:.0f} GFLOP/s, copy {limits['copy_rate'] * 1e-9:.1f} GB/s; {libraries}. "
        f"`{m['command']}`"
    )
    return "\n".join(lines)


def filled(page: str) -> str:
    """The page with its tables written anew."""

    def write(mark: re.Match[str]) -> str:
        tables = "\n\n".join(table(data) for data in newest(mark[1]))
        return f"<!-- measured: {mark[1]} -->\n{tables}\n<!-- end -->"

    return re.sub(r"<!-- measured: (\w+) -->\n.*?<!-- end -->", write, page, flags=re.S)


def stale() -> list[str]:
    """The pages whose tables differ from the results."""
    pages = sorted((ROOT / "docs" / "kernels").glob("*.md"))
    return [p.name for p in pages if p.read_text() != filled(p.read_text())]


def roofline(results: pathlib.Path) -> None:
    """results/roofline.png: every family's cases, under the larger of the limits that their runs measured."""
    from mielina.bench import roofline as draw

    runs = [json.loads(p.read_text()) for p in sorted(results.glob("*.json"))]
    limits = {name: max(run["limits"][name] for run in runs) for name in ("fma_peak", "copy_rate")}
    draw([row for run in runs for row in run["rows"]], limits, str(results / "roofline.png"))


if __name__ == "__main__":
    if "--check" in sys.argv:
        names = stale()
        sys.exit(f"out of date, run tools/tables.py: {', '.join(names)}" if names else 0)
    if "--roofline" in sys.argv:
        roofline(folders()[0])
    for path in (ROOT / "docs" / "kernels").glob("*.md"):
        path.write_text(filled(path.read_text()))
