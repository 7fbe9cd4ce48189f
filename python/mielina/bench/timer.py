"""One timer for all benchmarks: contestants take turns, so that a machine's moods hit all of them alike."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

PAUSE = 0.01  # seconds between contestants, at least
WARM = 0.002  # of calls that are not counted
LONGEST = 0.3  # and at most, while threads of the process still spin


@dataclass
class Timing:
    """Seconds a call: the median of the rounds and the quartiles around it."""

    median: float
    low: float
    high: float


def _rest() -> None:
    """Sleeps until no thread of this process works: OpenBLAS's spin for 105 ms after a product and would leave half a
    core less to the next contestant (1024^3 on two cores: 137 GFLOP/s instead of 189)."""
    end = time.perf_counter() + LONGEST
    while True:
        start, worked = time.perf_counter(), time.process_time()
        time.sleep(PAUSE)
        now = time.perf_counter()
        if time.process_time() - worked < 0.2 * (now - start) or now > end:
            return


def _calls(f: Callable[[], Any], target: float) -> int:
    """How many calls fill `target` seconds."""
    f()
    n = 1
    while True:
        start = time.perf_counter()
        for _ in range(n):
            f()
        t = time.perf_counter() - start
        if t > target / 4 or n >= 1 << 20:
            return max(1, int(n * target / max(t, 1e-9)))
        n *= 4


def interleaved(contestants: dict[str, Callable[[], Any]], rounds: int = 7, target: float = 0.01) -> dict[str, Timing]:
    """Times each contestant `rounds` times in turn, each turn `target` seconds long."""
    counts = {name: _calls(f, target) for name, f in contestants.items()}
    samples: dict[str, list[float]] = {name: [] for name in contestants}
    was = gc.isenabled()
    gc.disable()
    try:
        for _ in range(rounds):
            for name, f in contestants.items():
                _rest()
                n = counts[name]
                # Wakes the contestant's own threads and the core; work that fills a turn alone hides that.
                warm = time.perf_counter() + WARM
                while n > 1 and time.perf_counter() < warm:
                    f()
                start = time.perf_counter()
                for _ in range(n):
                    f()
                samples[name].append((time.perf_counter() - start) / n)
    finally:
        if was:
            gc.enable()
    out = {}
    for name, s in samples.items():
        q = statistics.quantiles(s, n=4) if len(s) > 1 else [s[0]] * 3
        out[name] = Timing(statistics.median(s), q[0], q[2])
    return out
