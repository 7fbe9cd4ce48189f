"""The references of attention, recurrent nets, random numbers and optimisers against PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mielina.testing import reference

RNG = np.random.default_rng(4)


def normal(*shape: int) -> Any:
    return np.asarray(RNG.standard_normal(shape))


def test_attention(agree: Any) -> None:
    name = "scaled_dot_product_attention"
    for batch in ((), (2,), (2, 4)):
        q, k, v = normal(*batch, 5, 3), normal(*batch, 7, 3), normal(*batch, 7, 6)
        agree(name, q, k, v)
        agree(name, q, k, v, is_causal=True)
        agree(name, q, k, v, scale=0.3)
        agree(name, q, k, v, normal(5, 7))
        mask = RNG.random((5, 7)) > 0.4
        mask[:, 0] = True
        agree(name, q, k, v, mask)
    q, k, v = normal(2, 6, 5, 3), normal(2, 3, 7, 3), normal(2, 3, 7, 4)
    agree(name, q, k, v, enable_gqa=True, is_causal=True)


def test_a_fully_masked_row_of_attention_gives_zeros() -> None:
    q, k, v = normal(2, 3), normal(4, 3), normal(4, 3)
    mask = np.array([[False] * 4, [True] * 4])
    for m in (mask, np.where(mask, 0.0, -np.inf)):
        y = reference.scaled_dot_product_attention(q, k, v, m)
        assert (y[0] == 0).all() and np.isfinite(y[1]).all()


@pytest.mark.parametrize("mode", ["RNN_TANH", "RNN_RELU", "LSTM", "GRU"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("projected", [False, True])
def test_rnn(mode: str, bidirectional: bool, bias: bool, projected: bool) -> None:
    torch = pytest.importorskip("torch")
    if projected and mode != "LSTM":
        pytest.skip("only LSTM projects")
    kind = {"RNN_TANH": torch.nn.RNN, "RNN_RELU": torch.nn.RNN, "LSTM": torch.nn.LSTM, "GRU": torch.nn.GRU}[mode]
    options = {"nonlinearity": "relu"} if mode == "RNN_RELU" else {"proj_size": 3} if projected else {}
    torch.manual_seed(0)
    net = kind(4, 5, 2, bias=bias, bidirectional=bidirectional, dtype=torch.float64, **options)
    weights = [[w.detach().numpy() for w in layer] for layer in net.all_weights]
    rows = 4 if bidirectional else 2
    for batch in ((3,), ()):
        x = normal(6, *batch, 4)
        state = [normal(rows, *batch, 3 if projected else 5)] + [normal(rows, *batch, 5)] * (mode == "LSTM")
        hidden = [torch.tensor(s) for s in state]
        expected, final = net(torch.tensor(x), tuple(hidden) if mode == "LSTM" else hidden[0])
        y, ends = reference.rnn_sequence(mode, x, state, weights, bidirectional=bidirectional)
        np.testing.assert_allclose(y, expected.detach().numpy(), atol=1e-12)
        for a, b in zip(ends, final if mode == "LSTM" else [final], strict=True):
            np.testing.assert_allclose(a, b.detach().numpy(), atol=1e-12)
    x = normal(6, 3, 4)
    lengths = [4, 6, 1]
    pack, unpack = torch.nn.utils.rnn.pack_padded_sequence, torch.nn.utils.rnn.pad_packed_sequence
    packed, final = net(pack(torch.tensor(x), lengths, enforce_sorted=False))
    zeros = [np.zeros((rows, 3, 3 if projected else 5))] + [np.zeros((rows, 3, 5))] * (mode == "LSTM")
    y, ends = reference.rnn_sequence(mode, x, zeros, weights, bidirectional=bidirectional, lengths=lengths)
    np.testing.assert_allclose(y, unpack(packed)[0].detach().numpy(), atol=1e-12)
    for a, b in zip(ends, final if mode == "LSTM" else [final], strict=True):
        np.testing.assert_allclose(a, b.detach().numpy(), atol=1e-12)
    swapped, _ = reference.rnn_sequence(
        mode, x.swapaxes(0, 1), zeros, weights, bidirectional=bidirectional, batch_first=True, lengths=lengths
    )
    np.testing.assert_array_equal(swapped.swapaxes(0, 1), y)


def test_philox_known_answers() -> None:
    """The vectors of Random123's kat_vectors for philox4x32-10."""
    assert [hex(w) for w in reference.philox((0, 0), 4)] == ["0x6627e8d5", "0xe169c58d", "0xbc57ac4c", "0x9b00dbd8"]
    stream = reference.philox((123, 5), 20)
    np.testing.assert_array_equal(reference.philox((123, 7), 11), stream[8:19])
    assert not np.array_equal(reference.philox((123 + 2**32, 5), 20), stream)
    assert not np.array_equal(reference.philox((123, 5 + 2**32), 20), stream)


def test_draws_have_their_moments() -> None:
    u = reference.uniform((1, 0), (200, 500), -1.0, 3.0)
    assert u.min() >= -1 and u.max() < 3 and abs(u.mean() - 1) < 0.02 and abs(u.var() - 16 / 12) < 0.02
    v = reference.uniform((1, 0), (200, 500), bits=53)
    assert 0 <= v.min() < 1e-4 and 1 - 1e-4 < v.max() < 1 and (v * 2.0**24 % 1).any()
    z = reference.normal(2.0, 3.0, (200, 500), key=(1, 0))
    assert abs(z.mean() - 2) < 0.04 and abs(z.std() - 3) < 0.04 and abs(np.mean(((z - 2) / 3) ** 4) - 3) < 0.1
    x = normal(100, 200)
    for name, dropped in (("dropout", x * 0), ("alpha_dropout", None)):
        y = getattr(reference, name)(x, 0.3, True, key=(3, 4))
        if dropped is not None:
            assert abs((y == 0).mean() - 0.3) < 0.02
            np.testing.assert_allclose(y[y != 0], (x / 0.7)[y != 0])
        else:
            assert abs(y.mean() - x.mean()) < 0.03 and abs(y.var() - 1) < 0.05
        np.testing.assert_array_equal(getattr(reference, name)(x, 0.3, False), x)
        np.testing.assert_array_equal(getattr(reference, name)(x, 0.0, True), x)
    for name in ("dropout2d", "feature_alpha_dropout"):
        y = getattr(reference, name)(np.ones((20, 30, 3, 4)), 0.4, True, key=(1, 2))
        assert (y == y[:, :, :1, :1]).all() and abs((y[:, :, 0, 0] == y.min()).mean() - 0.4) < 0.08
    r = reference.rrelu(-np.ones(10000), 0.1, 0.5, True, key=(0, 1))
    assert r.min() >= -0.5 and r.max() <= -0.1 and abs(r.mean() + 0.3) < 0.01
    assert abs(reference.bernoulli(np.full(10000, 0.2)).mean() - 0.2) < 0.02
    k = reference.randint(3, 9, (10000,), key=(5, 5))
    assert k.dtype == np.int64 and sorted(set(k.tolist())) == [3, 4, 5, 6, 7, 8]
    assert sorted(reference.randperm(50, key=(1, 1)).tolist()) == list(range(50))


def test_multinomial() -> None:
    weights = np.array([[1.0, 0.0, 3.0], [1.0, 1.0, 2.0]])
    drawn = reference.multinomial(weights, 20000, True, key=(7, 7))
    frequency = [[(row == c).mean() for c in range(3)] for row in drawn]
    np.testing.assert_allclose(frequency, weights / 4, atol=0.02)
    rows = [reference.multinomial(weights[1], 3, key=(1, i)) for i in range(2000)]
    assert all(sorted(row.tolist()) == [0, 1, 2] for row in rows)
    np.testing.assert_allclose(np.mean([row[0] == 2 for row in rows]), 0.5, atol=0.04)
    assert reference.empty(2, 3).shape == reference.empty_like(weights[:, :0]).shape[:1] + (3,)


OPTIMISERS: list[tuple[str, str, dict[str, Any]]] = [
    ("sgd", "SGD", {}),
    ("sgd", "SGD", {"momentum": 0.9}),
    ("sgd", "SGD", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("sgd", "SGD", {"momentum": 0.9, "dampening": 0.3, "maximize": True}),
    ("adam", "Adam", {}),
    ("adam", "Adam", {"betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1}),
    ("adam", "Adam", {"amsgrad": True, "maximize": True}),
    ("adamw", "AdamW", {}),
    ("adamw", "AdamW", {"weight_decay": 0.3, "amsgrad": True}),
    ("rmsprop", "RMSprop", {}),
    ("rmsprop", "RMSprop", {"centered": True, "momentum": 0.9, "weight_decay": 0.1, "alpha": 0.9}),
    ("adagrad", "Adagrad", {}),
    ("adagrad", "Adagrad", {"lr_decay": 0.1, "weight_decay": 0.1, "maximize": True}),
]


@pytest.mark.parametrize(("name", "theirs", "options"), OPTIMISERS, ids=str)
def test_optimiser(name: str, theirs: str, options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    p, zeros = normal(3, 4), np.zeros((3, 4))
    q = torch.tensor(p, requires_grad=True)
    optimiser = getattr(torch.optim, theirs)([q], lr=0.05, **options)
    state: list[Any] = {"sgd": [None], "adam": [zeros, zeros, None], "adamw": [zeros, zeros, None],
                        "rmsprop": [zeros, None, None], "adagrad": [zeros]}[name]  # fmt: skip
    for t in range(1, 6):
        g = normal(3, 4)
        q.grad = torch.tensor(g)
        optimiser.step()
        step = getattr(reference, name)
        if name in ("adam", "adamw"):
            p, *state = step(p, g, *state[:2], t, state[2], lr=0.05, **options)
        elif name == "adagrad":
            p, *state = step(p, g, *state, t, lr=0.05, **options)
        else:
            p, *state = step(p, g, *state, lr=0.05, **options)
        np.testing.assert_allclose(p, q.detach().numpy(), rtol=1e-12)


def test_clip_grad_norm() -> None:
    torch = pytest.importorskip("torch")
    for norm_type, largest in ((2.0, 1.0), (2.0, 100.0), (np.inf, 0.5), (1.0, 3.0)):
        gs = [normal(3, 4), normal(5)]
        ps = [torch.zeros(g.shape, dtype=torch.float64) for g in gs]
        for p, g in zip(ps, gs, strict=True):
            p.grad = torch.tensor(g)
        expected = torch.nn.utils.clip_grad_norm_(ps, largest, norm_type)
        clipped, norm = reference.clip_grad_norm(gs, largest, norm_type)
        np.testing.assert_allclose(norm, expected.numpy(), rtol=1e-12)
        for p, c in zip(ps, clipped, strict=True):
            np.testing.assert_allclose(c, p.grad.numpy(), rtol=1e-12)
