"""Runs the cases, prints a table, writes JSON and the roofline picture."""

from __future__ import annotations

import datetime
import json
import os
import platform
import sys
from collections.abc import Sequence
from typing import Any

from . import kernels, nets  # noqa: F401  (they register their families)
from .case import FAMILIES, Case, Rivals
from .timer import interleaved


def limits() -> dict[str, float]:
    """FLOP/s of FMA chains and bytes a second of a 256 MB copy (read + write), on our threads."""
    import mielina as mi

    from .. import _core

    x = mi.zeros(1 << 25)
    y = mi.zeros(1 << 25)
    copy = interleaved({"copy": lambda: _core.copy_into(y, x)}, rounds=5, target=0.05)["copy"]
    return {"fma_peak": _core.fma_peak(), "copy_rate": 2.0 * x.nbytes / copy.median}


def machine() -> dict[str, Any]:
    """Where the numbers come from."""
    import mielina as mi

    from .. import _core

    model = ""
    try:
        with open("/proc/cpuinfo") as f:
            model = next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")), "")
    except OSError:
        pass
    versions = {}
    for name in ("numpy", "torch", "jax"):
        module = sys.modules.get(name)
        if module is not None:
            versions[name] = module.__version__
    return {
        "date": datetime.date.today().isoformat(), "cpu": model or platform.processor(), "isa": _core.isa(),
        "threads": _core.num_threads(), "python": platform.python_version(), "mielina": mi.__version__, **versions,
    }  # fmt: skip


def measure(case: Case, peak: dict[str, float]) -> dict[str, Any]:
    times = interleaved(case.work)
    ours = times["mielina"].median
    row: dict[str, Any] = {"family": case.family, "name": case.name}
    row["seconds"] = {k: {"median": t.median, "low": t.low, "high": t.high} for k, t in times.items()}
    row["ratio"] = {k: t.median / ours for k, t in times.items() if not k.startswith("mielina")}
    if case.flops:
        row["gflops"] = case.flops / ours * 1e-9
        row["share_of_peak"] = case.flops / ours / peak["fma_peak"]
    if case.bytes:
        row["gbytes"] = case.bytes / ours * 1e-9
        row["share_of_copy"] = case.bytes / ours / peak["copy_rate"]
    return row


def _line(row: dict[str, Any]) -> str:
    t = row["seconds"]["mielina"]
    text = f"{row['family']:<12} {row['name']:<44} {t['median'] * 1e6:>11.2f} us"
    text += f" {row['gflops']:>8.1f} GF/s" if "gflops" in row else " " * 14
    text += f" {row['gbytes']:>7.1f} GB/s" if "gbytes" in row else " " * 13
    return text + "  " + "  ".join(f"{k} {v:.2f}x" for k, v in row["ratio"].items())


def roofline(rows: list[dict[str, Any]], peak: dict[str, float], path: str) -> None:
    """FLOP/s against FLOP/byte of every case that has both, under the machine's two limits."""
    from .. import plot

    f = plot.figure(9, 6)
    ax = f.subplots()
    x = [2.0**k for k in range(-5, 12)]
    ax.loglog(
        x,
        [min(peak["fma_peak"], i * peak["copy_rate"]) * 1e-9 for i in x],
        color="black",
        label="copy rate and FMA peak",
    )
    for name in dict.fromkeys(r["family"] for r in rows):
        points = [r for r in rows if r["family"] == name and "gflops" in r and "gbytes" in r]
        if points:
            ax.loglog([r["gflops"] / r["gbytes"] for r in points], [r["gflops"] for r in points], "o", label=name)
    ax.set_xlabel("FLOP / byte")
    ax.set_ylabel("GFLOP/s")
    ax.legend()
    ax.grid(alpha=0.3, which="both")
    f.savefig(path, dpi=110)


def main(families: Sequence[str] = (), path: str | None = None, jax: bool = True) -> list[dict[str, Any]]:
    """Runs the families (all if none are named). ValueError: an unknown one. With `path`, writes JSON there and a
    roofline picture beside it."""
    for name in families:
        if name not in FAMILIES:
            raise ValueError(f"unknown family {name!r}; there are {', '.join(FAMILIES)}")
    if path and not os.path.isdir(os.path.dirname(os.path.abspath(path))):
        raise FileNotFoundError(f"no such folder: {os.path.dirname(os.path.abspath(path))}")
    rivals = Rivals(jax)
    peak = limits()
    print(
        f"FMA peak {peak['fma_peak'] * 1e-9:.1f} GFLOP/s, copy {peak['copy_rate'] * 1e-9:.1f} GB/s; "
        "ratios are rival time / our time"
    )
    rows = []
    for name in families or FAMILIES:
        for case in FAMILIES[name](rivals):
            rows.append(measure(case, peak))
            print(_line(rows[-1]), flush=True)
    if path:
        from ..io import atomic_write

        with atomic_write(path) as f:
            f.write(json.dumps({"machine": machine(), "limits": peak, "rows": rows}, indent=1).encode())
        roofline(rows, peak, path.removesuffix(".json") + ".png")
    return rows
