"""Recurrent sequences: RNN, LSTM, GRU.

A layer over a whole sequence, in both directions if asked, is one op. Weights lie as PyTorch's: for each layer and
direction w_ih (G H, I), w_hh (G H, H), then b_ih, b_hh (G H) if there are biases, then w_hr (P, H) if there is a
projection; the gates G are i f g o in an LSTM and r z n in a GRU, whose reset acts after the recurrent product.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import _core, amp, dtypes
from ..autograd import OUTPUTS, op, record
from ..tensor import Tensor, check_tensors
from .elementwise import add, cast, mul, relu, sub
from .gemm import linear
from .layout import narrow, reshape, select, transpose, unsqueeze
from .random import dropout as drop

__all__ = ["rnn_tanh_cell", "rnn_relu_cell", "lstm_cell", "gru_cell"]


def lstm(
    input: Tensor,
    hx: tuple[Tensor, Tensor],
    weights: Sequence[Tensor],
    bias: bool = True,
    num_layers: int = 1,
    dropout: float = 0.0,
    training: bool = False,
    bidirectional: bool = False,
    batch_first: bool = False,
    proj_size: int = 0,
    *,
    batch_sizes: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """i, f, o = sigmoid, g = tanh of W_ih x + b_ih + W_hh h + b_hh; c = f c + i g; h = o tanh(c), or W_hr (o tanh(c)).

    input: (T, N, I), (N, T, I) if batch_first, unbatched (T, I), or with batch_sizes (T, int64) packed rows (R, I).
    hx: (h0, c0) of shapes (layers D, N, P) and (layers D, N, H), D directions. Returns (output, h_n, c_n), output with
    D P columns. RuntimeError: shapes, dtypes. Source: Hochreiter & Schmidhuber 1997; Sak et al. 2014 (projection).
    """
    if proj_size and len(weights) != num_layers * (2 if bidirectional else 1) * (5 if bias else 3):
        raise RuntimeError(f"lstm: proj_size={proj_size} needs a weight w_hr in each layer and direction")
    options = (bias, num_layers, dropout, training, bidirectional, batch_first, batch_sizes)
    y, states = _sequence("LSTM", input, hx, weights, *options)
    return y, states[0], states[1]


def gru(
    input: Tensor,
    hx: Tensor,
    weights: Sequence[Tensor],
    bias: bool = True,
    num_layers: int = 1,
    dropout: float = 0.0,
    training: bool = False,
    bidirectional: bool = False,
    batch_first: bool = False,
    *,
    batch_sizes: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """r, z = sigmoid; n = tanh(W_in x + b_in + r (W_hn h + b_hn)); h = (1 - z) n + z h. Shapes as in `lstm`.

    Returns (output, h_n). Source: Cho et al. 2014.
    """
    options = (bias, num_layers, dropout, training, bidirectional, batch_first, batch_sizes)
    y, states = _sequence("GRU", input, (hx,), weights, *options)
    return y, states[0]


def rnn(
    input: Tensor,
    hx: Tensor,
    weights: Sequence[Tensor],
    bias: bool = True,
    num_layers: int = 1,
    dropout: float = 0.0,
    training: bool = False,
    bidirectional: bool = False,
    batch_first: bool = False,
    nonlinearity: str = "tanh",
    *,
    batch_sizes: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """h = tanh(W_ih x + b_ih + W_hh h + b_hh), or max(0, .) with nonlinearity="relu". Shapes as in `lstm`.

    Returns (output, h_n). ValueError: another nonlinearity. Source: Elman 1990.
    """
    if nonlinearity not in ("tanh", "relu"):
        raise ValueError(f'rnn: nonlinearity must be "tanh" or "relu", got {nonlinearity!r}')
    options = (bias, num_layers, dropout, training, bidirectional, batch_first, batch_sizes)
    y, states = _sequence("RNN_" + nonlinearity.upper(), input, (hx,), weights, *options)
    return y, states[0]


def _sequence(
    mode: str,
    x: Tensor,
    states: Sequence[Tensor],
    weights: Sequence[Tensor],
    bias: bool,
    layers: int,
    p: float,
    training: bool,
    bidirectional: bool,
    batch_first: bool,
    sizes: Tensor | None,
) -> tuple[Tensor, list[Tensor]]:
    directions = 2 if bidirectional else 1
    if layers < 1 or len(weights) % (layers * directions):
        raise RuntimeError(f"{mode}: {len(weights)} weights do not fit {layers} layers of {directions} directions")
    if not 0 <= p <= 1:
        raise ValueError(f"{mode}: dropout must be between 0 and 1, got {p}")
    if amp.anywhere:
        x, states, weights = amp.cast_inputs(x)[0], amp.cast_inputs(*states), amp.cast_inputs(*weights)
    dtype, batched = x.dtype, x.ndim == 3 or sizes is not None
    if not batched:
        x, states = unsqueeze(x, 1), [unsqueeze(s, 1) for s in states]
    elif batch_first and sizes is None:
        x = transpose(x, 0, 1)
    if dtype in (dtypes.float16, dtypes.bfloat16):  # the recurrence runs in float32
        x, states, weights = (
            cast(x, dtypes.float32),
            [_wide(s, dtype) for s in states],
            [_wide(w, dtype) for w in weights],
        )
    for s in states:
        if s.ndim != 3 or s.shape[0] != layers * directions:
            raise RuntimeError(
                f"{mode}: expected hidden state with {layers * directions} layers and directions, got {s.shape}"
            )
    each = len(weights) // layers
    ends: list[list[Tensor]] = []
    for i in range(layers):
        at = states if layers == 1 else [narrow(s, 0, i * directions, directions) for s in states]
        x, *end = _layer(mode, x, at, weights[i * each : (i + 1) * each], bias, sizes)
        ends.append(end)
        if training and p > 0 and i + 1 < layers:
            x = drop(x, p)
    finals = ends[0] if layers == 1 else [_ops().cat(parts, 0) for parts in zip(*ends)]
    if batch_first and batched and sizes is None:
        x = transpose(x, 0, 1)
    if not batched:
        x, finals = select(x, 1, 0), [select(s, 1, 0) for s in finals]
    return cast(x, dtype), [cast(s, dtype) for s in finals]


def _wide(x: Tensor, dtype: Any) -> Tensor:
    if x.dtype is not dtype:
        raise RuntimeError(f"rnn: expected states and weights of the input's dtype {dtype}, got {x.dtype}")
    return cast(x, dtypes.float32)


def _ops() -> Any:
    """Functions of pages that come after this one."""
    from .. import ops

    return ops


# ---- one layer -------------------------------------------------------------------------------------------------------
def _layer(
    mode: str, x: Tensor, states: Sequence[Tensor], weights: Sequence[Tensor], bias: bool, sizes: Tensor | None
) -> tuple[Tensor, ...]:
    """(y, h_n) or (y, h_n, c_n) of a layer; states: (D, N, .)."""
    h0, c0 = states if mode == "LSTM" else (states[0], None)
    weights = tuple(weights)
    try:
        y = _core.rnn_layer(mode, x, h0, c0, weights, bias, sizes, _core.grad_enabled())
    except _core.NoKernel:
        return _layer_composite(x, h0, c0, *weights, mode, bias, sizes, None, None, None)  # type: ignore[no-any-return]
    inputs = (x, h0, c0, *weights)
    y = record(y, LAYER, inputs, (*inputs, mode, bias, sizes, OUTPUTS[0], OUTPUTS[3], OUTPUTS[4]))
    return y[:3] if mode == "LSTM" else y[:2]  # type: ignore[no-any-return]


def _layer_rule(g: Any, needs: Any, x: Tensor, h0: Tensor, c0: Tensor | None, *rest: Any) -> Any:
    *weights, mode, bias, sizes, y, gates, cells = rest
    gc = g[2] if mode == "LSTM" else None
    saved = (x, h0, c0, tuple(weights), bias, sizes, y, gates, cells)
    found = _core.rnn_layer_backward(mode, g[0], g[1], gc, *saved, needs[0])
    return tuple(d if need else None for d, need in zip(found, needs))


def _layer_composite(x: Tensor, h0: Tensor, c0: Tensor | None, *rest: Any) -> Any:
    """The layer as a loop over steps."""
    *weights, mode, bias, sizes, _, _, _ = rest
    ops, directions = _ops(), h0.shape[0]
    counts = [x.shape[1]] * x.shape[0] if sizes is None else sizes.tolist()
    rows = x if sizes is not None else reshape(x, (-1, x.shape[-1]))
    results = []
    for d in range(directions):
        own = weights[len(weights) // directions * d :][: len(weights) // directions]
        state = [select(h0, 0, d)] if c0 is None else [select(h0, 0, d), select(c0, 0, d)]
        results.append(_direction_composite(ops, mode, rows, state, own, bias, counts, d == 1))
    ys = [r[0] for r in results]
    y = ys[0] if directions == 1 else ops.cat(ys, -1)
    y = y if sizes is not None else reshape(y, (*x.shape[:-1], y.shape[-1]))
    return (y, *(ops.stack(parts, 0) for parts in zip(*(r[1] for r in results))))


def _direction_composite(
    ops: Any,
    mode: str,
    x: Tensor,
    state: list[Tensor],
    weights: list[Tensor],
    bias: bool,
    counts: list[int],
    reverse: bool,
) -> tuple[Tensor, list[Tensor]]:
    w_ih, w_hh, *others = weights
    b_ih, b_hh = others[:2] if bias else (None, None)
    w_hr = others[-1] if len(others) > 2 * bias else None
    starts = [sum(counts[:t]) for t in range(len(counts))]
    sums, outputs = linear(x, w_ih, b_ih), [x] * len(counts)
    steps = range(len(counts))
    for t in reversed(steps) if reverse else steps:
        n, all_n = counts[t], state[0].shape[0]
        before = [narrow(s, 0, 0, n) for s in state]
        after = _CELLS[mode](ops, narrow(sums, 0, starts[t], n), linear(before[0], w_hh, b_hh), before)
        if w_hr is not None:
            after[0] = linear(after[0], w_hr)
        outputs[t] = after[0]
        state = after if n == all_n else [ops.cat([a, narrow(s, 0, n, all_n - n)], 0) for a, s in zip(after, state)]
    return ops.cat(outputs, 0), state


def _part(x: Tensor, i: int, of: int) -> Tensor:
    size = x.shape[-1] // of
    return narrow(x, 1, i * size, size)


def _lstm_step(ops: Any, x: Tensor, hidden: Tensor, state: list[Tensor]) -> list[Tensor]:
    i, f, g, o = (_part(add(x, hidden), k, 4) for k in range(4))
    c = add(mul(ops.sigmoid(f), state[1]), mul(ops.sigmoid(i), ops.tanh(g)))
    return [mul(ops.sigmoid(o), ops.tanh(c)), c]


def _gru_step(ops: Any, x: Tensor, hidden: Tensor, state: list[Tensor]) -> list[Tensor]:
    r, z = (ops.sigmoid(add(_part(x, k, 3), _part(hidden, k, 3))) for k in range(2))
    n = ops.tanh(add(_part(x, 2, 3), mul(r, _part(hidden, 2, 3))))
    return [add(n, mul(z, sub(state[0], n)))]


_CELLS: dict[str, Any] = {
    "LSTM": _lstm_step,
    "GRU": _gru_step,
    "RNN_TANH": lambda ops, x, hidden, state: [ops.tanh(add(x, hidden))],
    "RNN_RELU": lambda ops, x, hidden, state: [relu(add(x, hidden))],
}

LAYER = op("rnn_layer", _layer_rule, composite=_layer_composite)


# ---- cells -----------------------------------------------------------------------------------------------------------
def _cell(
    mode: str,
    input: Tensor,
    states: Sequence[Tensor],
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None,
    b_hh: Tensor | None,
) -> list[Tensor]:
    """A sequence of one step."""
    check_tensors(f"{mode.lower()}_cell", input, *states, w_ih, w_hh)
    if (b_ih is None) != (b_hh is None):
        raise RuntimeError(f"{mode.lower()}_cell: give both biases or none")
    if input.ndim not in (1, 2) or any(s.ndim != input.ndim for s in states):
        shapes = [s.shape for s in (input, *states)]
        raise RuntimeError(f"{mode.lower()}_cell: expected input and state all (N, size) or all (size,), got {shapes}")
    weights = (w_ih, w_hh) if b_ih is None else (w_ih, w_hh, b_ih, b_hh)
    options = (b_ih is not None, 1, 0.0, False, False, False, None)
    return _sequence(mode, unsqueeze(input, 0), [unsqueeze(s, 0) for s in states], weights, *options)[1]  # type: ignore[arg-type]


def lstm_cell(
    input: Tensor,
    hx: tuple[Tensor, Tensor],
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """One step of `lstm`: (h, c) from input (N, I) and hx = (h, c), both (N, H); unbatched without N.

    >>> h, c = mi.lstm_cell(mi.ones(2, 3), (mi.zeros(2, 4), mi.zeros(2, 4)), mi.ones(16, 3), mi.ones(16, 4))
    >>> h.shape
    (2, 4)
    """
    h, c = _cell("LSTM", input, hx, w_ih, w_hh, b_ih, b_hh)
    return select(h, 0, 0), select(c, 0, 0)


def gru_cell(
    input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None, b_hh: Tensor | None = None
) -> Tensor:
    """One step of `gru`: h from input (N, I) and hx (N, H).

    >>> mi.gru_cell(mi.ones(2, 3), mi.zeros(2, 4), mi.ones(12, 3), mi.ones(12, 4)).shape
    (2, 4)
    """
    return select(_cell("GRU", input, (hx,), w_ih, w_hh, b_ih, b_hh)[0], 0, 0)


def rnn_tanh_cell(
    input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None, b_hh: Tensor | None = None
) -> Tensor:
    """tanh(W_ih x + b_ih + W_hh h + b_hh).

    >>> mi.rnn_tanh_cell(mi.ones(1, 2), mi.zeros(1, 1), mi.ones(1, 2), mi.ones(1, 1))
    tensor([[0.9640]])
    """
    return select(_cell("RNN_TANH", input, (hx,), w_ih, w_hh, b_ih, b_hh)[0], 0, 0)


def rnn_relu_cell(
    input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None, b_hh: Tensor | None = None
) -> Tensor:
    """max(0, W_ih x + b_ih + W_hh h + b_hh).

    >>> mi.rnn_relu_cell(mi.ones(1, 2), mi.zeros(1, 1), mi.ones(1, 2), mi.ones(1, 1))
    tensor([[2.]])
    """
    return select(_cell("RNN_RELU", input, (hx,), w_ih, w_hh, b_ih, b_hh)[0], 0, 0)
