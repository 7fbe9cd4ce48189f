"""The roofline: what each case reaches under the machine's two limits."""

from __future__ import annotations

from typing import Any

MARKERS = "os^vDPX<>*h"


def roofline(rows: list[dict[str, Any]], limits: dict[str, float], path: str) -> None:
    """GFLOP/s against FLOP/byte of every case that has both (Williams, Waterman & Patterson 2009). A case may lie above
    the slope where its data stays in a cache: the slope is that of main memory."""
    from .. import plot

    f = plot.figure(9, 6)
    ax = f.subplots()
    points = [r for r in rows if "gflops" in r and "gbytes" in r]
    intensity = [r["gflops"] / r["gbytes"] for r in points]
    low, high = min([0.05, *intensity]) / 2, max([64.0, *intensity]) * 2
    ridge = limits["fma_peak"] / limits["copy_rate"]
    ax.loglog(
        [low, ridge, high],
        [low * limits["copy_rate"] * 1e-9, limits["fma_peak"] * 1e-9, limits["fma_peak"] * 1e-9],
        color="black",
        label=f"copy {limits['copy_rate'] * 1e-9:.0f} GB/s,\nfloat32 FMA peak {limits['fma_peak'] * 1e-9:.0f} GFLOP/s",
    )
    for i, name in enumerate(dict.fromkeys(r["family"] for r in points)):
        mine = [r for r in points if r["family"] == name]
        ax.loglog(
            [r["gflops"] / r["gbytes"] for r in mine],
            [r["gflops"] for r in mine],
            MARKERS[i % len(MARKERS)],
            label=name,
            alpha=0.8,
        )
    ax.set_xlim(low, high)
    ax.set_xlabel("arithmetic intensity (FLOP / byte)")
    ax.set_ylabel("speed (GFLOP/s)")
    ax.set_title("mielina: kernels under the machine's limits")
    ax.grid(alpha=0.3, which="major")
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    f.savefig(path, dpi=110, bbox_inches="tight")
