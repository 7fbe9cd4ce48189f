"""Recurrent layers on AMX's tiles, float32 in three bf16 parts, and weights so large that threads share a step."""

from __future__ import annotations

from typing import Any

import mielina as mi
import numpy as np
import pytest
from levels import BELOW, LEVELS, needs_tiles
from mielina import _core
from mielina.ops import rnn as page
from mielina.testing import assert_close, reference, tolerance, use_isa

RNG = np.random.default_rng(23)
GATES = {"RNN_TANH": 1, "RNN_RELU": 1, "LSTM": 4, "GRU": 3}

# T, N, I, H: the input's products with the steps' and before them; edges of rows, columns and depth; threads that share
# a step; sums that are cut.
SIZES = [(5, 16, 64, 128), (4, 37, 33, 139), (3, 70, 100, 201), (3, 33, 300, 390), (3, 20, 30, 530), (2, 17, 5, 1100)]

# Hidden units from which on tiles are used, and the input's products are made with the steps'.
FUSED = {"RNN_TANH": 390, "LSTM": 140, "GRU": 139}


def sequence(mode: str, size: tuple[int, ...], directions: int = 1, P: int = 0) -> tuple[Any, list[Any], list[Any]]:
    """x, states and weights in float32."""
    T, N, I, H = size  # noqa: E741
    G, hidden = GATES[mode], P or H
    shapes = [(G * H, I), (G * H, hidden), (G * H,), (G * H,)] + [(P, H)] * (P > 0)
    states = [(directions, N, hidden)] + [(directions, N, H)] * (mode == "LSTM")
    weights = [RNG.standard_normal(s) / np.sqrt(s[-1] if len(s) > 1 else 4) for _ in range(directions) for s in shapes]
    floats = [np.asarray(a, np.float32) for a in [RNG.standard_normal((T, N, I)), *map(RNG.standard_normal, states)]]
    return floats[0], floats[1:], [w.astype(np.float32) for w in weights]


def doubled(inputs: Any) -> list[Any]:
    """The same in float64."""
    return [doubled(a) if isinstance(a, (list, tuple)) else a.astype(np.float64) for a in inputs]


def run(mode: str, x: Any, states: Any, weights: Any, grad: bool = False, **options: Any) -> list[Any]:
    """The results, and with grad the gradients of everything that went in."""
    given = [mi.tensor(a).requires_grad_(grad) for a in (x, *states, *weights)]
    h, c, w = given[1], given[2:3], given[1 + len(states) :]
    if mode == "LSTM":
        results = page.lstm(given[0], (h, c[0]), w, **options)
    elif mode == "GRU":
        results = page.gru(given[0], h, w, **options)
    else:
        results = page.rnn(given[0], h, w, nonlinearity=mode[4:].lower(), **options)
    if not grad:
        return [r.numpy() for r in results]
    sum((r * mi.cos(mi.arange(r.numel())).reshape(r.shape)).sum() for r in results).backward()
    return [r.detach().numpy() for r in results] + [g.grad.numpy() for g in given]


def on_threads(*arguments: Any, **options: Any) -> list[Any]:
    """`run`, the same bits on any number of threads."""
    before, forms = mi.get_num_threads(), []
    for threads in (1, 2, 5):
        mi.set_num_threads(threads)
        forms.append(run(*arguments, **options))
    mi.set_num_threads(before)
    for form in forms[1:]:
        for a, b in zip(form, forms[0], strict=True):
            np.testing.assert_array_equal(a, b)
    return forms[0]


def expected(mode: str, x: Any, states: Any, weights: Any, **options: Any) -> list[Any]:
    exact = [np.asarray(a, np.float64) for a in (x, *states, *weights)]
    rows = states[0].shape[0]
    w = exact[1 + len(states) :]
    grouped = [w[i * len(w) // rows : (i + 1) * len(w) // rows] for i in range(rows)]
    y, ends = reference.rnn_sequence(mode, exact[0], exact[1 : 1 + len(states)], grouped, **options)
    return [y, *ends]


def close(ours: list[Any], theirs: list[Any], length: int) -> None:
    for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        assert_close(a, b, "float32", tolerance("float32", length, 8), max(1.0, float(np.abs(b).max())), f"result {i}")


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", GATES)
def test_sizes(mode: str, size: tuple[int, ...], level: str) -> None:
    inputs = sequence(mode, size)
    with use_isa(level):
        close(on_threads(mode, *inputs), expected(mode, *inputs), size[-1])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", GATES)
def test_gradients(mode: str, size: tuple[int, ...]) -> None:
    inputs = sequence(mode, size)
    exact = run(mode, *doubled(inputs), grad=True)
    close(on_threads(mode, *inputs, grad=True), exact, GATES[mode] * size[-1] + size[0] * size[1])


@pytest.mark.parametrize("hidden", [140, 530])
@pytest.mark.parametrize(("mode", "P"), [("RNN_TANH", 0), ("LSTM", 0), ("LSTM", 70), ("GRU", 0)])
def test_packed_projected_in_both_directions(mode: str, P: int, hidden: int) -> None:
    T, N = 5, 40
    x, *rest = sequence(mode, (T, N, 64, hidden), 2, P)
    lengths = np.sort(RNG.integers(1, T + 1, N))[::-1]
    running = np.arange(T)[:, None] < lengths
    counts = mi.tensor(running.sum(1)[running.any(1)])
    theirs = expected(mode, x, *rest, bidirectional=True, lengths=lengths)
    ours = on_threads(mode, x[running], *rest, bidirectional=True, batch_sizes=counts)
    close(ours, [theirs[0][running], *theirs[1:]], hidden)


@needs_tiles
@pytest.mark.parametrize("mode", ["RNN_TANH", "LSTM", "GRU"])
def test_tiles_are_as_exact_as_multiply_adds(mode: str) -> None:
    inputs = sequence(mode, (3, 32, 64, FUSED[mode]))
    exact, errors = expected(mode, *inputs)[0], []
    results = []
    for level in ("amx", BELOW):
        with use_isa(level):
            results.append(run(mode, *inputs)[0])
        errors.append(np.sqrt(np.mean((results[-1] - exact) ** 2)))
    assert errors[0] < 1.2 * errors[1], errors
    assert (results[0] != results[1]).any()  # or these sizes are not tiles'


@needs_tiles
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 3e38, 1.1e19, -1e-36, 1e-44])
@pytest.mark.parametrize("where", ["x", "h", "w_ih", "w_hh"])
@pytest.mark.parametrize("mode", ["RNN_TANH", "LSTM", "GRU"])
def test_numbers_that_parts_cannot_hold_are_left_to_the_level_below(mode: str, where: str, value: float) -> None:
    x, states, weights = sequence(mode, (4, 20, 64, FUSED[mode]))
    a = {"x": x, "h": states[0], "w_ih": weights[0], "w_hh": weights[1]}[where]
    a[tuple(RNG.integers(0, s) for s in a.shape)] = value
    results = []
    for level in ("amx", BELOW):
        with use_isa(level):
            results.append(run(mode, x, states, weights))
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@needs_tiles
@pytest.mark.parametrize("mode", ["LSTM", "GRU"])
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_infinite_products_of_the_input_made_before_the_steps(mode: str, value: float) -> None:
    """They close gates, whose h is then tiny or subnormal, or come through as they do at the level below."""
    x, states, weights = sequence(mode, (6, 20, 300, 260))
    x[2, 3, 7] = value
    results = []
    for level in ("amx", BELOW):
        with use_isa(level):
            results.append(run(mode, x, states, weights))
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_array_equal(np.isfinite(ours), np.isfinite(theirs))
        finite = np.isfinite(theirs)
        close([ours[finite]], [theirs[finite]], 600)


@needs_tiles
@pytest.mark.parametrize("mode", ["RNN_TANH", "LSTM", "GRU"])
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("large", [False, True])
def test_gradients_that_are_not_finite_are_the_level_belows(large: bool, value: float, mode: str) -> None:
    hidden = 530 if large else FUSED[mode]
    x, states, weights = sequence(mode, (4, 20, 64, hidden))
    gradient = RNG.standard_normal((4, 20, hidden)).astype(np.float32)
    gradient[2, 3, 5] = value
    args = [mi.tensor(x), *map(mi.tensor, states)] + [None] * (len(states) == 1)
    w, results = [mi.tensor(a) for a in weights], []
    with use_isa(BELOW):
        kept = _core.rnn_layer(mode, *args, w, True, None, True)
    for level in ("amx", BELOW):
        with use_isa(level):
            saved = (w, True, None, kept[0], *kept[3:], False)
            results.append(_core.rnn_layer_backward(mode, mi.tensor(gradient), None, None, *args, *saved))
    for ours, theirs in list(zip(*results, strict=True))[1 : 1 + len(states)]:
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


@needs_tiles
@pytest.mark.parametrize("mode", ["RNN_TANH", "LSTM", "GRU"])
def test_gradients_on_tiles_are_as_exact_as_by_multiply_adds(mode: str) -> None:
    inputs = sequence(mode, (6, 32, 64, FUSED[mode]))
    exact = run(mode, *doubled(inputs), grad=True)[-len(inputs[2]) :]
    results, errors = [], []
    for level in ("amx", BELOW):
        with use_isa(level):
            results.append(run(mode, *inputs, grad=True)[-len(inputs[2]) :])
        errors.append(np.sqrt(sum(np.mean((a - b) ** 2) for a, b in zip(results[-1], exact, strict=True))))
    assert errors[0] < 1.2 * errors[1], errors
