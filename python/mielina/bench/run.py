"""Runs the cases, prints a table, writes JSON and the roofline picture."""

from __future__ import annotations

import datetime
import json
import os
import platform
import shlex
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from . import inference, kernels, nets  # noqa: F401  (they register their families)
from .case import FAMILIES, RIVALS, Case, Rivals
from .check import compare
from .plot import roofline
from .timer import interleaved


def limits(quick: bool = False) -> dict[str, float]:
    """FLOP/s of FMA chains and bytes a second of a 256 MB copy (read + write), on our threads."""
    import mielina as mi

    from .. import _core

    n = 1 << 20 if quick else 1 << 25
    x, y = mi.zeros(n), mi.zeros(n)
    copy = interleaved({"copy": lambda: _core.copy_into(y, x)}, rounds=5, target=0.005 if quick else 0.05)["copy"]
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
    loaded = ((name, sys.modules.get(name)) for name in ("numpy", "torch", "jax", "onnxruntime"))
    versions = {name: module.__version__ for name, module in loaded if module is not None}
    return {
        "date": datetime.date.today().isoformat(), "cpu": model or platform.processor(), "isa": _core.isa(),
        "threads": _core.num_threads(), "system": platform.platform(), "python": platform.python_version(),
        "mielina": mi.__version__, **versions, "command": shlex.join(["mielina", *sys.argv[1:]]),
    }  # fmt: skip


def measure(case: Case, quick: bool = False) -> dict[str, Any]:
    """Compares the contestants' results, then times them. Disagreement: they differ."""
    compare(case)
    times = interleaved(case.work, rounds=3, target=0.001) if quick else interleaved(case.work)
    ours = times["mielina"].median
    row: dict[str, Any] = {"family": case.family, "name": case.name}
    row["seconds"] = {k: {"median": t.median, "low": t.low, "high": t.high} for k, t in times.items()}
    row["ratio"] = {k: t.median / ours for k, t in times.items() if k != "mielina"}
    if case.flops:
        row["gflops"] = case.flops / ours * 1e-9
    if case.bytes:
        row["gbytes"] = case.bytes / ours * 1e-9
    return row


def add_shares(row: dict[str, Any], peak: dict[str, float]) -> dict[str, Any]:
    """The row with its shares of the FMA peak and of the copy bandwidth."""
    if "gflops" in row:
        row["share_of_peak"] = row["gflops"] * 1e9 / peak["fma_peak"]
    if "gbytes" in row:
        row["share_of_copy"] = row["gbytes"] * 1e9 / peak["copy_rate"]
    return row


def line(row: dict[str, Any]) -> str:
    """family, case, median and spread (quartiles' distance), GFLOP/s of peak, GB/s of copy, rivals' times / ours."""
    t = row["seconds"]["mielina"]
    spread = (t["high"] - t["low"]) / t["median"]
    text = f"{row['family']:<11} {row['name']:<42} {t['median'] * 1e6:>10.2f} us {spread:>4.0%}"
    text += f" {row['gflops']:>7.1f} GF/s {row['share_of_peak']:>4.0%}" if "gflops" in row else " " * 18
    text += f" {row['gbytes']:>6.1f} GB/s {row['share_of_copy']:>4.0%}" if "gbytes" in row else " " * 17
    return text + "  " + "  ".join(f"{k} {v:.2f}x" for k, v in row["ratio"].items())


def _use_threads(n: int | None, stack: ExitStack) -> None:
    """n threads for everybody: ours and PyTorch's by their settings, NumPy's BLAS through threadpoolctl where that is
    installed. JAX reads its number from the environment when it starts."""
    import os

    import mielina as mi

    if n is None:
        return
    mi.set_num_threads(n)
    if n == 1:
        os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
    try:
        from threadpoolctl import threadpool_limits

        stack.enter_context(threadpool_limits(n))
    except ImportError:
        print("NumPy keeps its own number of threads: threadpoolctl is not installed", file=sys.stderr)


def main(
    families: Sequence[str] = (),
    json_path: str | None = None,
    plot_path: str | None = None,
    quick: bool = False,
    threads: int | None = None,
    rivals: Sequence[str] = RIVALS,
) -> list[dict[str, Any]]:
    """Runs the families (all if none are named) beside the rivals that are installed, and returns their rows.

    quick: small sizes and short turns, to see that everything runs; its numbers mean nothing. ValueError: an unknown
    family or rival. Disagreement: a rival's result differs from ours.
    """
    for name in families:
        if name not in FAMILIES:
            raise ValueError(f"unknown family {name!r}; there are {', '.join(FAMILIES)}")
    for path in (json_path, plot_path):
        if path and not os.path.isdir(os.path.dirname(os.path.abspath(path))):
            raise FileNotFoundError(f"no such folder: {os.path.dirname(os.path.abspath(path))}")
    with ExitStack() as stack:
        _use_threads(threads, stack)
        libraries = Rivals(rivals, quick)
        peak = limits(quick)
        print(
            f"FMA peak {peak['fma_peak'] * 1e-9:.1f} GFLOP/s, copy {peak['copy_rate'] * 1e-9:.1f} GB/s, of which the "
            "percentages are; N.NNx: a rival's time / ours"
        )
        rows = []
        for name in families or FAMILIES:
            for case in FAMILIES[name](libraries):
                rows.append(add_shares(measure(case, quick), peak))
                print(line(rows[-1]), flush=True)
        # A machine that others share may have been slow while its limits were measured: the larger of two counts.
        after = limits(quick)
        peak = {name: max(value, after[name]) for name, value in peak.items()}
        rows = [add_shares(row, peak) for row in rows]
    if json_path:
        from ..io import atomic_write

        with atomic_write(json_path) as f:
            f.write(json.dumps({"machine": machine(), "limits": peak, "rows": rows}, indent=1).encode())
    if plot_path:
        roofline(rows, peak, plot_path)
    return rows
