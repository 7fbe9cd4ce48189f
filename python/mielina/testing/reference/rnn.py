"""rnn: sequences of RNN, LSTM and GRU cells, PyTorch's weight layouts and gate orders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mielina.testing.reference.base import Array, f64
from mielina.testing.reference.elementwise.special import sigmoid

State = tuple[Array, ...]
Weights = Sequence[Any]  # w_ih (G H, I), w_hh (G H, H), then b_ih, b_hh (G H) if any, then w_hr (P, H) if any
Cell = Callable[[Any, State, Array, Array, Any, Any, Any], State]


def _parts(weights: Weights) -> tuple[Array, Array, Any, Any, Any]:
    """w_ih, w_hh, b_ih, b_hh, w_hr, with zeros and None for what is left out."""
    parts = [f64(w) for w in weights]
    w_hr = parts.pop() if len(parts) in (3, 5) else None
    b_ih, b_hh = parts[2:] if len(parts) == 4 else (0.0, 0.0)
    return parts[0], parts[1], b_ih, b_hh, w_hr


def rnn_tanh_cell(x: Any, state: State, w_ih: Array, w_hh: Array, b_ih: Any, b_hh: Any, w_hr: Any = None) -> State:
    """h = tanh(W_ih x + b_ih + W_hh h + b_hh). Elman 1990"""
    return (np.tanh(x @ w_ih.T + b_ih + state[0] @ w_hh.T + b_hh),)


def rnn_relu_cell(x: Any, state: State, w_ih: Array, w_hh: Array, b_ih: Any, b_hh: Any, w_hr: Any = None) -> State:
    """h = max(0, W_ih x + b_ih + W_hh h + b_hh). Le, Jaitly & Hinton 2015"""
    return (np.maximum(x @ w_ih.T + b_ih + state[0] @ w_hh.T + b_hh, 0.0),)


def lstm_cell(x: Any, state: State, w_ih: Array, w_hh: Array, b_ih: Any, b_hh: Any, w_hr: Any = None) -> State:
    """Gates i, f, g, o: c = f c + i g, h = o tanh(c), projected by w_hr. Hochreiter & Schmidhuber 1997; Gers 2000; Sak
    2014
    """
    h, c = state
    i, f, g, o = np.split(x @ w_ih.T + b_ih + h @ w_hh.T + b_hh, 4, axis=-1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    h = sigmoid(o) * np.tanh(c)
    return (h if w_hr is None else h @ w_hr.T, c)


def gru_cell(x: Any, state: State, w_ih: Array, w_hh: Array, b_ih: Any, b_hh: Any, w_hr: Any = None) -> State:
    """Gates r, z, n: n = tanh(x_n + r h_n), h = (1 - z) n + z h; r acts on W_hn h + b_hn. Cho et al. 2014"""
    (h,) = state
    x_r, x_z, x_n = np.split(x @ w_ih.T + b_ih, 3, axis=-1)
    h_r, h_z, h_n = np.split(h @ w_hh.T + b_hh, 3, axis=-1)
    z = sigmoid(x_z + h_z)
    n = np.tanh(x_n + sigmoid(x_r + h_r) * h_n)
    return ((1 - z) * n + z * h,)


CELLS: dict[str, Cell] = {
    "RNN_TANH": rnn_tanh_cell,
    "RNN_RELU": rnn_relu_cell,
    "LSTM": lstm_cell,
    "GRU": gru_cell,
}


def rnn_sequence(
    mode: str,
    x: Any,
    state: Sequence[Any],
    weights: Sequence[Weights],
    *,
    bidirectional: bool = False,
    batch_first: bool = False,
    lengths: Sequence[int] | None = None,
) -> tuple[Array, State]:
    """(outputs, final state) of stacked cells over a sequence. mode: a key of CELLS.

    x: (T, N, I), (N, T, I) if batch_first, or unbatched (T, I). state: (h0,), for LSTM (h0, c0), each (layers *
    directions, N, H or P). weights: one a layer and direction, the directions of a layer side by side, as in nn.LSTM.
    lengths: samples end there; later outputs are zero, the final state is that of the last step, and the backward
    direction starts there.
    """
    x, state = f64(x), tuple(f64(s) for s in state)
    if x.ndim == 2:
        y, final = rnn_sequence(mode, x[:, None], [s[:, None] for s in state], weights, bidirectional=bidirectional)
        return y[:, 0], tuple(s[:, 0] for s in final)
    x = np.swapaxes(x, 0, 1) if batch_first else x
    ends = np.full(x.shape[1], x.shape[0]) if lengths is None else np.asarray(lengths)
    directions = 2 if bidirectional else 1
    finals: list[State] = []
    for layer in range(len(weights) // directions):
        outputs = []
        for direction in range(directions):
            k = layer * directions + direction
            y, final = _one_direction(
                CELLS[mode], x, tuple(s[k] for s in state), _parts(weights[k]), ends, direction == 1
            )
            outputs.append(y)
            finals.append(final)
        x = np.concatenate(outputs, axis=-1)
    stacked = tuple(np.stack(parts) for parts in zip(*finals, strict=True))
    return np.swapaxes(x, 0, 1) if batch_first else x, stacked


def _one_direction(
    cell: Cell, x: Array, state: State, weights: tuple[Array, ...], ends: Array, backward: bool
) -> tuple[Array, State]:
    y = np.zeros((*x.shape[:2], state[0].shape[-1]))
    for t in reversed(range(len(x))) if backward else range(len(x)):
        running = (t < ends)[:, None]
        after = cell(x[t], state, *weights)
        state = tuple(np.where(running, new, old) for new, old in zip(after, state, strict=True))
        y[t] = np.where(running, state[0], 0.0)
    return y, state
