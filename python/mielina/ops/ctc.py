"""Connectionist temporal classification: the loss of sequences whose alignment is unknown."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from .. import _core, dtypes
from ..autograd import OUTPUTS, op, record
from ..tensor import Tensor, check_tensors
from .elementwise import add, cast, clamp_min, div, mul, neg
from .layout import expand, narrow, reshape, select, unsqueeze
from .reduce import mean, sum
from .softmax import log_softmax_backward

__all__: list[str] = []
__functional__ = ["ctc_loss"]

_NEVER = -1e30  # of the composite: unlike -inf it has differences


def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """-log of the summed probability of all alignments of each target: labels in order, repeated or apart by blanks.

    log_probs: (T, N, C) or (T, C), as log_softmax gives them. targets: (N, S), or all targets in one row. The lengths
    are tensors, sequences or (unbatched) numbers. reduction: "mean" (of loss / target length), "sum" or "none".
    zero_infinity: a sample too short for its target counts 0, gradient included, instead of inf.

    The gradient is exp(log_probs) minus the states' probabilities, as in PyTorch: the formula's own, less what every
    log_softmax in front would take away from it (equation 16). RuntimeError: shapes, dtypes, labels or lengths out of
    range, no samples. In a captured step targets are (N, S); what goes out of range in a replay gives NaN.
    Source: Graves et al. 2006.

    >>> logs = mi.log_softmax(mi.zeros(4, 1, 3), -1)
    >>> F.ctc_loss(logs, mi.tensor([[1, 2]]), mi.tensor([4]), mi.tensor([2]))
    tensor(0.8432)
    """
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f'{reduction!r} is not a reduction; use "none", "mean" or "sum"')
    check_tensors("ctc_loss", log_probs, targets)
    if log_probs.numel() == 0:
        raise RuntimeError(f"ctc_loss: log_probs must not be empty, got {log_probs.shape}")
    batched = log_probs.ndim == 3
    x = log_probs if batched else unsqueeze(log_probs, 1)
    x = record(_core.alias(x), NORMALISED, (x,), (x,))
    steps, sizes = _lengths(input_lengths), _lengths(target_lengths)
    labels = cast(targets, dtypes.int64)
    args = (labels, steps, sizes, blank, zero_infinity)
    y = _core.ctc(x, *args)
    rows = cast(record(y, CTC, (x,), (x, *args, OUTPUTS[1]))[0], x.dtype)
    if reduction == "mean":
        return mean(div(rows, cast(clamp_min(sizes, 1), rows.dtype)))
    if reduction == "sum":
        return sum(rows)
    return rows if batched else reshape(rows, ())


def _lengths(x: Any) -> Tensor:
    if not isinstance(x, Tensor):
        numbers = [operator.index(n) for n in (x if isinstance(x, (tuple, list)) else (x,))]
        x = _core.from_numpy(np.array(numbers, np.int64))
    if x.dtype.is_floating_point:
        raise RuntimeError(f"ctc_loss: lengths must be integers, got {x.dtype}")
    return cast(reshape(x, (-1,)), dtypes.int64)


# Log probabilities as themselves, whose gradient keeps off the normalisation as log_softmax's does.
NORMALISED = op("ctc_log_probs", lambda g, needs, x: (log_softmax_backward(g, x, -1),))


def _ctc_rule(
    g: Any, needs: Any, x: Tensor, labels: Tensor, steps: Tensor, sizes: Tensor, blank: int, zero: bool, alpha: Tensor
) -> Any:
    return (_core.ctc_backward(g[0], alpha, x, labels, steps, sizes, blank, zero),)


def _states(labels: np.ndarray, sizes: np.ndarray, blank: int) -> tuple[np.ndarray, np.ndarray]:
    """The classes of the states (N, 2 S + 1), and 0 where a state may be jumped into from the one before the last."""
    longest = int(sizes.max(initial=0))
    state = np.full((len(sizes), 2 * longest + 1), blank)
    starts = np.cumsum(sizes) - sizes
    for n, size in enumerate(sizes):
        state[n, 1 : 2 * size : 2] = labels[n, :size] if labels.ndim == 2 else labels[starts[n] :][:size]
    jump = np.full(state.shape, _NEVER)
    jump[:, 3::2] = np.where(state[:, 3::2] != state[:, 1:-2:2], 0.0, _NEVER)
    return state, jump


def _ctc_composite(
    x: Tensor, labels: Tensor, steps: Tensor, sizes: Tensor, blank: int, zero: bool, alpha: Tensor
) -> Tensor:
    """The same sums step by step, for all samples and states at once."""
    from .. import ops

    def constant(a: np.ndarray) -> Tensor:
        return cast(_core.from_numpy(np.ascontiguousarray(a)), alpha.dtype)

    x = cast(x, alpha.dtype)
    ends, lengths = steps.numpy(), sizes.numpy()
    state, jump = _states(labels.numpy(), lengths, blank)
    n, width = state.shape
    emit = ops.gather(x, 2, expand(unsqueeze(_core.from_numpy(state), 0), (x.shape[0], n, width)))
    first = np.where(np.arange(width) < 2, 0.0, _NEVER)
    now = add(select(emit, 0, 0), constant(np.broadcast_to(first, (n, width))))
    never, jumps = constant(np.full((n, 2), _NEVER)), constant(jump)
    for t in range(1, x.shape[0]):
        padded = ops.cat([never, now], 1)
        ways = [now, narrow(padded, 1, 1, width), add(narrow(padded, 1, 0, width), jumps)]
        then = add(ops.logsumexp(ops.stack(ways, 0), 0), select(emit, 0, t))
        running = constant(np.repeat((t < ends)[:, None], width, 1).astype(np.float64))
        now = add(mul(then, running), mul(now, add(mul(running, -1.0), 1.0)))
    last = [ops.gather(now, 1, _core.from_numpy(np.maximum(2 * lengths - k, 0)[:, None].copy())) for k in (0, 1)]
    last[1] = add(last[1], constant(np.where(lengths > 0, 0.0, _NEVER)[:, None]))
    nll = neg(reshape(ops.logsumexp(ops.cat(last, 1), 1), (n,)))
    possible = (ends > 0) & (nll.detach().numpy() < -_NEVER / 2)
    return mul(nll, constant(possible.astype(np.float64)))


CTC = op("ctc_loss", _ctc_rule, composite=_ctc_composite)
