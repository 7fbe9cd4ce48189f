"""Recurrent sequences and CTC against their references, composites and PyTorch."""

from __future__ import annotations

from typing import Any

import mielina as mi
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mielina.ops import rnn as page
from mielina.testing import assert_close, check_op, gradcheck, gradgradcheck, reference, tolerance

RNG = np.random.default_rng(12)
GATES = {"RNN_TANH": 1, "RNN_RELU": 1, "LSTM": 4, "GRU": 3}
later = pytest.mark.skipif(not (hasattr(mi, "cat") and hasattr(mi, "sigmoid")), reason="cat and sigmoid are missing")


def normal(*shape: int) -> Any:
    return np.asarray(RNG.standard_normal(shape))


def arrays(
    mode: str,
    N: int,
    I: int,  # noqa: E741
    H: int,
    *,
    layers: int = 1,
    directions: int = 1,
    bias: bool = True,
    P: int = 0,
) -> Any:
    """(states, weights) as lists of arrays."""
    G, rows = GATES[mode], layers * directions
    states = [normal(rows, N, P or H)] + [normal(rows, N, H)] * (mode == "LSTM")
    weights = []
    for k in range(rows):
        inner = I if k < directions else directions * (P or H)
        weights += [normal(G * H, inner) * 0.4, normal(G * H, P or H) * 0.4]
        weights += [normal(G * H) * 0.4, normal(G * H) * 0.4] * bias + [normal(P, H) * 0.4] * (P > 0)
    return states, weights


def run(mode: str, x: Any, states: Any, weights: Any, **options: Any) -> list[Any]:
    """(output, final states) of our function for the mode."""
    if mode == "LSTM":
        return list(page.lstm(x, tuple(states), weights, **options))
    if mode == "GRU":
        return list(page.gru(x, states[0], weights, **options))
    return list(page.rnn(x, states[0], weights, nonlinearity=mode[4:].lower(), **options))


def expected(mode: str, x: Any, states: Any, weights: Any, bias: bool = True, **options: Any) -> list[Any]:
    rows = states[0].shape[0]
    per = len(weights) // rows
    grouped = [weights[i * per : (i + 1) * per] for i in range(rows)]
    y, ends = reference.rnn_sequence(mode, x, states, grouped, **options)
    return [y, *ends]


def compare(ours: list[Any], theirs: list[Any], dtype: str = "float64", length: int = 64) -> None:
    assert len(ours) == len(theirs)
    for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        assert_close(a.detach().to(mi.float64).numpy(), b, dtype, tolerance(dtype, length, 32), 1.0, f"result {i}")


@pytest.mark.parametrize("mode", GATES)
def test_against_the_reference(mode: str) -> None:
    """37 hidden units leave a tail in every vector; 20 samples are several tiles."""
    (h, *c), weights = arrays(mode, 20, 6, 37)

    def ours(x: Any, h: Any, *rest: Any) -> Any:
        return run(mode, x, [h, *rest[: len(c)]], list(rest[len(c) :]))

    def theirs(x: Any, h: Any, *rest: Any) -> Any:
        return expected(mode, x, [h, *rest[: len(c)]], list(rest[len(c) :]))

    check_op(ours, theirs, [normal(4, 20, 6), h, *c, *weights], layouts=("contiguous", "transposed", "sliced"),
             length=64, amplification=32, magnitude=1.0, threads=(1, 2, 5), dtypes=("float32", "float64"))  # fmt: skip


@settings(max_examples=20, deadline=None)
@given(
    mode=st.sampled_from(list(GATES)),
    sizes=st.tuples(st.integers(1, 5), st.integers(1, 40), st.integers(1, 5), st.integers(1, 40)),
    bias=st.booleans(),
    both=st.booleans(),
    projected=st.booleans(),
)
def test_options(mode: str, sizes: tuple[int, ...], bias: bool, both: bool, projected: bool) -> None:
    T, N, I, H = sizes
    P = max(1, H // 2) if projected and mode == "LSTM" else 0
    states, weights = arrays(mode, N, I, H, directions=1 + both, bias=bias, P=P)
    x, args = normal(T, N, I), ([mi.tensor(s) for s in states], [mi.tensor(w) for w in weights])
    theirs = expected(mode, x, states, weights, bidirectional=both)
    compare(run(mode, mi.tensor(x), *args, bias=bias, bidirectional=both), theirs)
    swapped = run(mode, mi.tensor(x.swapaxes(0, 1).copy()), *args, bias=bias, bidirectional=both, batch_first=True)
    compare([swapped[0].transpose(0, 1), *swapped[1:]], theirs)
    lengths = np.sort(RNG.integers(1, T + 1, N))[::-1]
    running = np.arange(T)[:, None] < lengths
    counts = running.sum(1)
    packed = run(mode, mi.tensor(x[running]), *args, bias=bias, bidirectional=both,
                 batch_sizes=mi.tensor(counts[counts > 0]))  # fmt: skip
    theirs = expected(mode, x, states, weights, bidirectional=both, lengths=lengths)
    compare(packed, [theirs[0][running], *theirs[1:]])


@pytest.mark.parametrize("mode", GATES)
@pytest.mark.parametrize("hidden", [20, 520])
def test_without_a_gradient_nothing_is_kept(mode: str, hidden: int) -> None:
    """The input's products are made with the steps' (20) or before them (520); the same bits with and without."""
    states, weights = arrays(mode, 19, 7, hidden)
    x, states = mi.tensor(normal(3, 19, 7)), [mi.tensor(s) for s in states]
    weights = [mi.tensor(w * min(1, 60 / hidden)) for w in weights]
    kept = run(mode, x, states, weights)
    with mi.no_grad():
        compare(run(mode, x, states, weights), [k.numpy() for k in kept], length=0)
    compare(kept, expected(mode, x.numpy(), [s.numpy() for s in states], [w.numpy() for w in weights]), length=hidden)
    h, *c = states
    arguments = (mode, x, h, c[0] if c else None, tuple(weights), True, None)
    gates = [mi._core.rnn_layer(*arguments, keep)[3] for keep in (False, True)]
    assert gates[1].shape[1] == 3 * 19
    assert gates[0].shape[1] == (0 if hidden == 20 else 3 * 19)


@pytest.mark.parametrize("mode", GATES)
@pytest.mark.parametrize("packed", [False, True])
def test_gradients(mode: str, packed: bool) -> None:
    P = 2 if mode == "LSTM" and not packed else 0
    states, weights = arrays(mode, 3, 2, 3, directions=2, P=P)
    sizes = mi.tensor(np.array([3, 2, 2])) if packed else None
    x = normal(7, 2) if packed else normal(3, 3, 2)
    leaves = [mi.tensor(a).requires_grad_() for a in [x, *states, *weights]]

    def fn(x: Any, *rest: Any) -> Any:
        return run(mode, x, rest[: len(states)], list(rest[len(states) :]), bidirectional=True, batch_sizes=sizes)

    gradcheck(fn, leaves)


@later
@pytest.mark.parametrize("mode", GATES)
def test_second_order(mode: str) -> None:
    states, weights = arrays(mode, 2, 2, 2, P=2 * (mode == "LSTM"))
    leaves = [mi.tensor(a).requires_grad_() for a in [normal(2, 2, 2), *states, *weights]]
    gradgradcheck(lambda x, *rest: run(mode, x, rest[: len(states)], list(rest[len(states) :])), leaves)


@later
@pytest.mark.parametrize("mode", GATES)
def test_against_pytorch_with_layers_and_packing(mode: str) -> None:
    torch = pytest.importorskip("torch")
    kind = {"LSTM": torch.nn.LSTM, "GRU": torch.nn.GRU}.get(mode, torch.nn.RNN)
    options = {"nonlinearity": "relu"} if mode == "RNN_RELU" else {}
    net = kind(4, 18, 3, bidirectional=True, dtype=torch.float64, **options)
    x = torch.tensor(normal(6, 20, 4))
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, [6] * 7 + [4] * 9 + [1] * 4)
    data = packed.data.clone().requires_grad_()
    y, _ = net(torch.nn.utils.rnn.PackedSequence(data, packed.batch_sizes))
    theirs = [w for layer in net.all_weights for w in layer]
    (y.data**2).sum().backward()
    ours = [mi.tensor(w.detach().numpy()).requires_grad_() for w in theirs]
    rows = mi.tensor(data.detach().numpy()).requires_grad_()
    zeros = [mi.tensor(np.zeros((6, 20, 18)))] * (1 + (mode == "LSTM"))
    sizes = mi.tensor(packed.batch_sizes.numpy())
    z = run(mode, rows, zeros, ours, num_layers=3, bidirectional=True, batch_sizes=sizes)[0]
    (z * z).sum().backward()
    compare([z, rows.grad], [y.data.detach().numpy(), data.grad.numpy()])
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), atol=1e-10)


@later
def test_dropout_between_layers() -> None:
    states, weights = arrays("GRU", 3, 4, 5, layers=2)
    x, s, w = mi.tensor(normal(4, 3, 4)), [mi.tensor(a) for a in states], [mi.tensor(a) for a in weights]
    off = run("GRU", x, s, w, num_layers=2, dropout=0.5)
    compare(off, expected("GRU", x.numpy(), states, weights))
    mi.manual_seed(3)
    a = run("GRU", x, s, w, num_layers=2, dropout=0.5, training=True)[0].numpy()
    mi.manual_seed(3)
    b = run("GRU", x, s, w, num_layers=2, dropout=0.5, training=True)[0].numpy()
    np.testing.assert_array_equal(a, b)
    assert np.abs(a - off[0].numpy()).max() > 1e-3


@pytest.mark.parametrize("mode", GATES)
def test_cells_and_unbatched(mode: str) -> None:
    states, weights = arrays(mode, 3, 4, 5)
    x, first = normal(3, 4), [s[0] for s in states]
    cell = {"LSTM": mi.lstm_cell, "GRU": mi.gru_cell, "RNN_TANH": mi.rnn_tanh_cell, "RNN_RELU": mi.rnn_relu_cell}[mode]
    hx = [mi.tensor(s) for s in first]
    args = [mi.tensor(w) for w in weights]
    y = cell(mi.tensor(x), tuple(hx) if mode == "LSTM" else hx[0], *args)
    theirs = expected(mode, x[None], states, weights)[1:]
    compare(list(y) if mode == "LSTM" else [y], [s[0] for s in theirs])
    one = [s.select(0, 1) for s in hx]
    y = cell(mi.tensor(x[1]), tuple(one) if mode == "LSTM" else one[0], *args)
    compare(list(y) if mode == "LSTM" else [y], [s[0, 1] for s in theirs])
    alone = run(mode, mi.tensor(x), [mi.tensor(s[:, 0]) for s in states], args)
    compare(alone, expected(mode, x, [s[:, 0] for s in states], weights))


def test_halves_compute_in_float32() -> None:
    states, weights = arrays("LSTM", 3, 4, 5)
    half = [mi.tensor(a).to(mi.bfloat16) for a in [normal(6, 3, 4), *states, *weights]]
    x, h, c, *w = half
    y = page.lstm(x, (h, c), w)
    assert all(t.dtype is mi.bfloat16 for t in y)
    values = [t.to(mi.float64).numpy() for t in half]
    compare(list(y), expected("LSTM", values[0], values[1:3], values[3:]), "bfloat16")


def test_errors() -> None:
    states, weights = arrays("GRU", 3, 4, 5)
    x, (h,), w = mi.tensor(normal(2, 3, 4)), [mi.tensor(s) for s in states], [mi.tensor(a) for a in weights]
    packed = mi.tensor(normal(4, 4))
    for arguments, options, message in [
        ((x.narrow(2, 0, 3), h, w), {}, "input_size"),
        ((x, h.narrow(1, 0, 2), w), {}, "samples"),
        ((x, h.narrow(2, 0, 2), w), {}, "h0"),
        ((x, h, w[:3]), {}, "weights"),
        ((x, h, w), {"num_layers": 2}, "layers"),
        ((x, h, w), {"bidirectional": True}, "directions"),
        ((x.to(mi.float32), h, w), {}, "dtype"),
        ((x, h, [w[0], w[1], w[2].narrow(0, 0, 3), w[3]]), {}, "b_ih"),
        ((packed, h, w), {"batch_sizes": mi.tensor(np.array([3, 2]))}, "add up"),
        ((packed, h, w), {"batch_sizes": mi.tensor(np.array([1, 3]))}, "never grow"),
        ((x, h, w), {"dropout": 2.0}, "between 0 and 1"),
    ]:
        with pytest.raises((RuntimeError, ValueError), match=message):
            page.gru(*arguments, **options)
    with pytest.raises(ValueError, match="nonlinearity"):
        page.rnn(x, h, w, nonlinearity="sin")
    with pytest.raises(RuntimeError, match="w_hr"):
        page.lstm(x, (h, h), w, proj_size=2)
    with pytest.raises(RuntimeError, match="both biases"):
        mi.gru_cell(x.select(0, 0), h.select(0, 0), w[0], w[1], w[2])


# ---- CTC -----------------------------------------------------------------------------------------------------------
ctc_loss = mi.nn.functional.ctc_loss


def speech(T: int, N: int, C: int, S: int) -> tuple[Any, Any, Any, Any]:
    x = normal(T, N, C)
    x = x - np.log(np.exp(x).sum(-1, keepdims=True))
    return x, RNG.integers(1, C, (N, S)), RNG.integers(2 * S + 1, T + 1, N), RNG.integers(0, S + 1, N)


def test_ctc_against_the_reference() -> None:
    for T, N, C, S in ((1, 1, 2, 0), (12, 3, 4, 2), (45, 4, 6, 19)):
        x, targets, steps, sizes = speech(T, N, C, S)
        rows = np.concatenate([t[:n] for t, n in zip(targets, sizes, strict=True)])
        for reduction in ("none", "sum", "mean"):
            theirs = reference.ctc_loss(x, targets, steps, sizes, reduction=reduction)
            for dtype, given_targets in ((mi.float64, targets), (mi.float64, rows), (mi.float32, targets)):
                y = ctc_loss(mi.tensor(x).to(dtype), mi.tensor(given_targets), mi.tensor(steps), mi.tensor(sizes),
                             reduction=reduction)  # fmt: skip
                assert y.dtype is dtype
                near = tolerance("float64" if dtype is mi.float64 else "float32", T, 16)
                np.testing.assert_allclose(y.to(mi.float64).numpy(), theirs, rtol=near, atol=near)


def test_ctc_gradients() -> None:
    x, targets, steps, sizes = speech(9, 3, 4, 3)
    targets[0] = targets[0, 0]  # a label that repeats needs a blank between
    leaf = mi.tensor(x.transpose(1, 0, 2).copy()).transpose(0, 1).detach().requires_grad_()
    args = (mi.tensor(targets), mi.tensor(steps), mi.tensor(sizes))
    gradcheck(lambda x: ctc_loss(mi.log_softmax(x, 2), *args, reduction="sum"), [leaf])
    gradgradcheck(lambda x: ctc_loss(mi.log_softmax(x, 2), *args), [leaf])


def test_ctc_of_impossible_and_empty_targets() -> None:
    x, targets = speech(7, 2, 3, 3)[:2]
    x = x[:4]
    targets[0] = 1  # 1 1 1 needs five steps
    leaf = mi.tensor(x).requires_grad_()
    args = (mi.tensor(targets), [4, 4], [3, 0])
    assert np.isinf(ctc_loss(leaf, *args, reduction="none").detach().numpy()).tolist() == [True, False]
    y = ctc_loss(leaf, *args, reduction="none", zero_infinity=True)
    np.testing.assert_allclose(y.detach().numpy(), [0, -x[:, 1, 0].sum()])
    y.sum().backward()
    assert (leaf.grad.numpy()[:, 0] == 0).all()
    np.testing.assert_allclose(leaf.grad.numpy()[:, 1], np.exp(x[:, 1]) - [1.0, 0, 0], atol=1e-14)


@pytest.mark.parametrize("from_logits", [True, False])
def test_ctc_against_pytorch(from_logits: bool) -> None:
    torch = pytest.importorskip("torch")
    x, targets, steps, sizes = speech(30, 4, 7, 8)
    sizes = np.maximum(sizes, 1)
    leaf = normal(30, 4, 7) if from_logits else x
    lengths = tuple(steps.tolist()), tuple(sizes.tolist())
    t = torch.tensor(leaf, requires_grad=True)
    torch.nn.functional.ctc_loss(t.log_softmax(2) if from_logits else t, torch.tensor(targets), *lengths).backward()
    m = mi.tensor(leaf).requires_grad_()
    for threads in (1, 3):
        m.grad = None
        mi.set_num_threads(threads)
        ctc_loss(mi.log_softmax(m, 2) if from_logits else m, mi.tensor(targets), *lengths).backward()
        np.testing.assert_allclose(m.grad.numpy(), t.grad.numpy(), atol=1e-12)


def test_ctc_captured() -> None:
    """New targets and lengths in each replay; what a replay brings out of range gives NaN and touches nothing."""
    mi.set_num_threads(2)
    x, targets, steps, sizes = speech(30, 4, 7, 8)

    def step(x: Any, targets: Any, steps: Any, sizes: Any) -> Any:
        leaf = x.detach().requires_grad_()
        loss = ctc_loss(mi.log_softmax(leaf, 2), targets, steps, sizes, reduction="sum")
        loss.backward()
        return loss, leaf.grad

    captured = mi.capture(step)
    for _ in range(4):
        arguments = [mi.tensor(a) for a in (normal(30, 4, 7), *speech(30, 4, 7, 8)[1:])]
        for mine, eager in zip(captured(*arguments), step(*arguments), strict=True):
            assert mine.detach().numpy().tobytes() == eager.detach().numpy().tobytes()
    for k, bad in ((1, targets + 7), (2, steps + 100), (3, sizes - 100), (3, sizes + 100)):
        given = [x, targets, steps, sizes]
        given[k] = bad
        loss, grad = captured(*map(mi.tensor, given))
        assert np.isnan(loss.item()) and np.isnan(grad.numpy()).all()
    with pytest.raises(RuntimeError, match="must be \\(N, S\\)"):
        mi.capture(step)(mi.tensor(x), mi.tensor(targets.reshape(-1)), mi.tensor(steps), mi.tensor(sizes * 0 + 8))


def test_ctc_errors() -> None:
    x, targets, steps, sizes = (mi.tensor(a) for a in speech(9, 2, 4, 3))
    for arguments, message in [
        ((x, targets, steps, sizes, 4), "blank"),
        ((x, targets, [10, 9], [1, 1]), "input_lengths"),
        ((x, targets, [9, 9], [4, 1]), "target_lengths"),
        ((x, targets * 2, [9, 9], [3, 3]), "is not in"),
        ((x, targets, [9], [1]), "lengths"),
        ((x, targets.reshape(-1), [9, 9], [1, 1]), "add up"),
        ((x.to(mi.int64), targets, steps, sizes), "floating"),
        ((x, targets, steps.to(mi.float32), sizes), "must be integers"),
        ((x.narrow(1, 0, 0), targets, steps, sizes), "must not be empty"),
    ]:
        with pytest.raises(RuntimeError, match=message):
            ctc_loss(*arguments)
    with pytest.raises(ValueError, match="reduction"):
        ctc_loss(x, targets, steps, sizes, reduction="max")
