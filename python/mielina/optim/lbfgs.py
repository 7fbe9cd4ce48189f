"""L-BFGS: Newton's method with the curvature of the last few steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .. import _core
from ..autograd import enable_grad, no_grad
from ..ops import cat, zeros_like
from .optimizer import Optimizer

Closure = Callable[[], Any]


class LBFGS(Optimizer):
    """Limited-memory BFGS over one parameter group: step(closure) makes up to max_iter iterations, each with one or
    more calls of closure, which clears the gradients, computes the loss and calls backward.

    line_search_fn "strong_wolfe" looks for a step along the direction; without it each step is lr long. An iteration
    ends the call when the largest gradient is at most tolerance_grad, or the step or the loss's change falls below
    tolerance_change. Source: Liu & Nocedal 1989; line search: Nocedal & Wright, algorithms 3.5 and 3.6.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        if lr < 0:
            raise ValueError(f"LBFGS: invalid lr: {lr}")
        if line_search_fn not in (None, "strong_wolfe"):
            raise ValueError(f'LBFGS: line_search_fn must be None or "strong_wolfe", got {line_search_fn!r}')
        group = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        super().__init__(params, group)
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")

    # ---- all parameters as one vector --------------------------------------------------------------------------------
    @property
    def _params(self) -> list[Any]:
        return self.param_groups[0]["params"]  # type: ignore[no-any-return]

    def _gradient(self) -> Any:
        parts = [zeros_like(p.detach()) if p._grad is None else p._grad.detach() for p in self._params]
        return cat([g.reshape(-1) for g in parts])

    def _move(self, t: float, direction: Any, start: list[Any] | None = None) -> None:
        """p (or its value at the start) + t direction."""
        at = 0
        for i, p in enumerate(self._params):
            n = p.numel()
            if start is not None:
                _core.copy_into(p, start[i])
            p.add_(direction[at : at + n].reshape(p.shape) * t)
            at += n

    @no_grad()
    def step(self, closure: Closure | None = None) -> Any:
        """Up to max_iter iterations; returns the loss before them. TypeError: no closure."""
        if closure is None:
            raise TypeError("LBFGS.step needs a closure that computes the loss and its gradients")
        evaluate = enable_grad(closure)
        group, state = self.param_groups[0], self.state[self._params[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        first = evaluate()
        loss, g, calls = float(first), self._gradient(), 1
        state["func_evals"] += 1
        if float(g.abs().max()) <= group["tolerance_grad"]:
            return first
        for iteration in range(group["max_iter"]):
            state["n_iter"] += 1
            d = self._direction(state, g)
            state["prev_flat_grad"], before = g.clone(), loss
            t = min(1.0, 1.0 / float(g.abs().sum())) * group["lr"] if state["n_iter"] == 1 else group["lr"]
            slope = float((g * d).sum())
            if slope > -group["tolerance_change"]:
                break
            if group["line_search_fn"] is None:
                self._move(t, d)
                used = 0
                if iteration + 1 < group["max_iter"]:  # the last gradient would be thrown away
                    loss, g, used = float(evaluate()), self._gradient(), 1
            else:
                start = [p.detach().clone() for p in self._params]
                probe = self._probe(evaluate, start, d)
                loss, g, t, used = strong_wolfe(
                    probe, t, d, loss, g, slope, group["tolerance_change"], max_ls=group["max_eval"] - calls
                )
                self._move(t, d, start)
            state["d"], state["t"] = d, t
            calls += used
            state["func_evals"] += used
            if (
                calls >= group["max_eval"]
                or float(g.abs().max()) <= group["tolerance_grad"]
                or float((d * t).abs().max()) <= group["tolerance_change"]
                or abs(loss - before) < group["tolerance_change"]
            ):
                break
        return first

    def _probe(self, evaluate: Closure, start: list[Any], d: Any) -> Callable[[float], tuple[float, Any]]:
        def probe(t: float) -> tuple[float, Any]:
            self._move(t, d, start)
            return float(evaluate()), self._gradient()

        return probe

    def _direction(self, state: dict[str, Any], g: Any) -> Any:
        """-H g by the two loops over the kept pairs of steps s and gradient changes y (Nocedal & Wright, alg. 7.4)."""
        if state["n_iter"] == 1:
            state |= {"old_dirs": [], "old_stps": [], "ro": [], "H_diag": 1.0}
            return -g
        y, s = g - state["prev_flat_grad"], state["d"] * state["t"]
        curvature = float((y * s).sum())
        if curvature > 1e-10:
            if len(state["old_dirs"]) == self.param_groups[0]["history_size"]:
                for kept in ("old_dirs", "old_stps", "ro"):
                    state[kept].pop(0)
            state["old_dirs"].append(y)
            state["old_stps"].append(s)
            state["ro"].append(1.0 / curvature)
            state["H_diag"] = curvature / float((y * y).sum())
        q, weights = -g, []
        for y, s, ro in zip(*(reversed(state[k]) for k in ("old_dirs", "old_stps", "ro"))):
            weights.append(ro * float((s * q).sum()))
            q = q - y * weights[-1]
        r = q * state["H_diag"]
        for y, s, ro, a in zip(state["old_dirs"], state["old_stps"], state["ro"], reversed(weights)):
            r = r + s * (a - ro * float((y * r).sum()))
        return r


# ---- line search -----------------------------------------------------------------------------------------------------
def cubic_minimum(x1: float, f1: float, g1: float, x2: float, f2: float, g2: float, bounds: Any = None) -> float:
    """Where the cubic through two values with their slopes is least, within bounds. Nocedal & Wright, equation 3.59."""
    low, high = bounds or (min(x1, x2), max(x1, x2))
    if x1 == x2:  # a bracket that has shrunk to nothing, as under tolerance_change=0
        return (low + high) / 2
    d1 = g1 + g2 - 3 * (f1 - f2) / (x1 - x2)
    square = d1 * d1 - g1 * g2
    if square < 0:
        return (low + high) / 2
    d2 = square**0.5
    if (g2 - g1 if x1 <= x2 else g1 - g2) + 2 * d2 == 0:  # no curvature between the two
        return (low + high) / 2
    if x1 <= x2:
        x = x2 - (x2 - x1) * ((g2 + d2 - d1) / (g2 - g1 + 2 * d2))
    else:
        x = x1 - (x1 - x2) * ((g1 + d2 - d1) / (g1 - g2 + 2 * d2))
    return min(max(x, low), high)


def strong_wolfe(
    probe: Callable[[float], tuple[float, Any]],
    t: float,
    d: Any,
    f: float,
    g: Any,
    slope: float,
    tolerance_change: float,
    c1: float = 1e-4,
    c2: float = 0.9,
    max_ls: int = 25,
) -> tuple[float, Any, float, int]:
    """(loss, gradient, t, calls of probe) where the loss fell enough (c1) and flattened enough (c2) along d, or the
    best after max_ls + 1 calls.
    """
    size = float(d.abs().max())
    points = [(0.0, f, g, slope)]  # the bracket's left end, then its right end: (t, loss, gradient, slope)
    calls = 0
    bracket: list[Any] = []
    while not bracket:
        loss, gradient = probe(t)
        calls += 1
        here = (t, loss, gradient, float((gradient * d).sum()))
        last = points[-1]
        if calls > max_ls:  # no more looks: the better end of this
            bracket = [points[0], here]
            break
        if loss > f + c1 * t * slope or (calls > 2 and loss >= last[1]):  # > 2 as in PyTorch; the book has > 1
            bracket = [last, here]
            break
        if abs(here[3]) <= -c2 * slope:
            return loss, gradient, t, calls
        if here[3] >= 0:
            bracket = [last, here]
            break
        points.append(here)
        nearest, farthest = t + 0.01 * (t - last[0]), t * 10
        t = cubic_minimum(last[0], last[1], last[3], t, loss, here[3], (nearest, farthest))
    return _zoom(probe, bracket, d, f, slope, size, tolerance_change, c1, c2, calls, max_ls)


def _zoom(
    probe: Any, ends: list[Any], d: Any, f: float, slope: float, size: float, least: float, c1: float, c2: float,
    calls: int, max_ls: int,
) -> tuple[float, Any, float, int]:  # fmt: skip
    """Shrinks the bracket until a point in it satisfies both conditions."""
    low, high = (0, 1) if ends[0][1] <= ends[1][1] else (1, 0)
    stuck = False
    while calls <= max_ls and abs(ends[1][0] - ends[0][0]) * size >= least:
        (a, fa, _, ga), (b, fb, _, gb) = ends
        t = cubic_minimum(a, fa, ga, b, fb, gb)
        near, far = min(a, b), max(a, b)
        margin = 0.1 * (far - near)
        if min(far - t, t - near) < margin:  # too near an end: if twice, or outside, a tenth away from it
            if stuck or t >= far or t <= near:
                t = far - margin if abs(t - far) < abs(t - near) else near + margin
                stuck = False
            else:
                stuck = True
        else:
            stuck = False
        loss, gradient = probe(t)
        calls += 1
        here = (t, loss, gradient, float((gradient * d).sum()))
        if loss > f + c1 * t * slope or loss >= ends[low][1]:
            ends[high] = here
            low, high = (0, 1) if ends[0][1] <= ends[1][1] else (1, 0)
            continue
        done = abs(here[3]) <= -c2 * slope
        if not done and here[3] * (ends[high][0] - ends[low][0]) >= 0:
            ends[high] = ends[low]
        ends[low] = here
        if done:
            break
    t, loss, gradient, _ = ends[low]
    return loss, gradient, t, calls
