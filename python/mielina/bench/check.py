"""Before anything is timed: do the contestants compute the same thing?"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .case import Case


class Disagreement(RuntimeError):
    """Two libraries gave different results for one case."""


def arrays_of(result: Any) -> list[np.ndarray]:
    """A library's result, or a tuple, list or dict of them, as float64 arrays."""
    if isinstance(result, dict):
        result = list(result.values())
    if isinstance(result, (tuple, list)):
        return [a for part in result for a in arrays_of(part)]
    if hasattr(result, "detach"):
        result = result.detach()
        result = result.float() if "bfloat16" in str(result.dtype) else result
        result = result.numpy()
    return [np.asarray(result).astype(np.float64)]


def tolerance(terms: float, half: bool = False) -> float:
    """Relative to the largest element: both sides are some roundings off, and sums grow like a random walk's error.

    16 roundings cover the elementary functions of all libraries and a backward pass's chain of them.
    """
    eps = 2.0**-8 if half else 2.0**-23
    return eps * (16 + 2 * math.sqrt(terms))


def compare(case: Case) -> dict[str, Any]:
    """Runs each contestant once and returns their results. Disagreement: one differs from ours."""
    results = {name: f() for name, f in case.work.items()}
    if case.same == "no":
        return results
    ours = arrays_of(results["mielina"])
    half = any("16" in str(getattr(r, "dtype", "")) for r in _leaves(results["mielina"]))
    for name, result in results.items():
        theirs = arrays_of(result)
        if [a.shape for a in ours] != [a.shape for a in theirs]:
            raise Disagreement(f"{case.family} {case.name}: {name} gives other shapes than mielina")
        for a, b in zip(ours, theirs):
            error, allowed = _moments(a, b) if case.same == "moments" else _values(a, b, tolerance(case.terms, half))
            if not error <= allowed:
                raise Disagreement(f"{case.family} {case.name}: {name} is {error:.3g} off, allowed {allowed:.3g}")
    return results


def _leaves(result: Any) -> list[Any]:
    return [x for part in result for x in _leaves(part)] if isinstance(result, (tuple, list)) else [result]


def _values(a: np.ndarray, b: np.ndarray, relative: float) -> tuple[float, float]:
    if not a.size:
        return 0.0, 0.0
    return float(np.max(np.abs(a - b))), relative * max(float(np.max(np.abs(b))), 1e-30)


def _moments(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Difference of the means in units of its standard error, of which 6 are allowed (2 in 10^9 by chance), and whether
    the spreads are within 6 of theirs (normal numbers' standard error, which bounds that of bounded ones)."""
    n = a.size
    spread = max(float(b.std()), 1e-30)
    mean = abs(float(a.mean() - b.mean())) / (spread * math.sqrt(2 / n))
    deviation = abs(float(a.std()) / spread - 1) / math.sqrt(1 / n)
    return max(mean, deviation), 6.0
