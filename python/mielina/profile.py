"""`with mi.profile() as p:` times every kernel that this thread launches."""

from __future__ import annotations

from typing import Any

from . import _core


class profile:
    """Collects calls, time, bytes and floating-point operations of each kernel; prints a table at the end of the block.

    `rows`: (kernel, calls, seconds, bytes, flops), the slowest first. `quiet=True` prints nothing.

    >>> with mi.profile(quiet=True) as p:
    ...     y = mi.ones(4) + 1
    >>> sorted(name for name, calls, seconds, bytes_, flops in p.rows)
    ['add', 'fill_']
    """

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self.rows: list[tuple[str, int, float, float, float]] = []

    def __enter__(self) -> profile:
        _core.profile_begin()
        return self

    def __exit__(self, *_: Any) -> None:
        self.rows = sorted(_core.profile_end(), key=lambda r: -r[2])
        if not self.quiet:
            print(self)

    def __str__(self) -> str:
        lines = [f"{'kernel':<28} {'calls':>8} {'ms':>10} {'GB/s':>8} {'GFLOP/s':>9}"]
        for name, calls, seconds, bytes_, flops in self.rows:
            rate = f"{flops / seconds * 1e-9:9.1f}" if flops and seconds else " " * 9
            lines.append(
                f"{name:<28} {calls:>8} {seconds * 1e3:>10.3f} {bytes_ / max(seconds, 1e-12) * 1e-9:>8.1f} {rate}"
            )
        return "\n".join(lines)
