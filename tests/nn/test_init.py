"""nn.init: the formulas' bounds and moments, and PyTorch's numbers where nothing is drawn."""

from __future__ import annotations

import math
from typing import Any

import mielina as mi
import numpy as np
import pytest
from mielina.nn import init


def values(fill: Any, shape: tuple[int, ...], *args: Any, **kwargs: Any) -> np.ndarray:
    t = mi.nn.Parameter(mi.empty(*shape))
    version = t._version
    assert fill(t, *args, generator=mi.Generator(3), **kwargs) is t and t.grad_fn is None and t._version > version
    return t.detach().numpy().astype(np.float64)  # type: ignore[no-any-return]


SHAPE = (64, 32, 3, 3)
IN, OUT = 32 * 9, 64 * 9
UNIFORM = [
    (init.uniform_, (-2.0, 3.0), {}, -2.0, 3.0),
    (init.xavier_uniform_, (2.0,), {}, *(s * 2 * math.sqrt(6 / (IN + OUT)) for s in (-1, 1))),
    (init.kaiming_uniform_, (), {"a": math.sqrt(5)}, *(s / math.sqrt(IN) for s in (-1, 1))),
    (
        init.kaiming_uniform_,
        (),
        {"mode": "fan_out", "nonlinearity": "relu"},
        *(s * math.sqrt(6 / OUT) for s in (-1, 1)),
    ),
]
NORMAL = [
    (init.normal_, (1.0, 2.0), {}, 1.0, 2.0),
    (init.xavier_normal_, (), {}, 0.0, math.sqrt(2 / (IN + OUT))),
    (init.kaiming_normal_, (), {"nonlinearity": "tanh"}, 0.0, 5 / 3 / math.sqrt(IN)),
]


@pytest.mark.parametrize("fill, args, kwargs, low, high", UNIFORM)
def test_uniform(fill: Any, args: Any, kwargs: Any, low: float, high: float) -> None:
    x = values(fill, SHAPE, *args, **kwargs)
    width = high - low
    assert low <= x.min() < low + 0.01 * width and high - 0.01 * width < x.max() <= high
    assert abs(x.mean() - (low + high) / 2) < 0.01 * width and abs(x.std() - width / math.sqrt(12)) < 0.01 * width


@pytest.mark.parametrize("fill, args, kwargs, mean, std", NORMAL)
def test_normal(fill: Any, args: Any, kwargs: Any, mean: float, std: float) -> None:
    x = (values(fill, SHAPE, *args, **kwargs) - mean) / std
    assert abs(x.mean()) < 0.03 and abs(x.std() - 1) < 0.02 and abs((x**4).mean() - 3) < 0.3


def test_truncated_normal() -> None:
    x = values(init.trunc_normal_, (20000,), 0.5, 2.0, -1.0, 2.5)
    assert -1 <= x.min() < -0.98 and 2.48 < x.max() <= 2.5
    stats = pytest.importorskip("scipy.stats")
    expected = stats.truncnorm(-0.75, 1.0, 0.5, 2.0)
    assert abs(x.mean() - expected.mean()) < 0.02 and abs(x.std() - expected.std()) < 0.02
    assert stats.kstest(x, expected.cdf).pvalue > 1e-3


def test_orthogonal_and_sparse() -> None:
    for shape in ((20, 30), (30, 20), (8, 2, 3)):
        x = values(init.orthogonal_, shape, 2.0).reshape(shape[0], -1)
        gram = x @ x.T if x.shape[0] <= x.shape[1] else x.T @ x
        np.testing.assert_allclose(gram, 4 * np.eye(len(gram)), atol=1e-5)
    x = values(init.sparse_, (40, 6), 0.25, std=2.0)
    assert ((x == 0).sum(0) == 10).all() and 1.5 < x[x != 0].std() < 2.5


def test_nothing_drawn() -> None:
    torch = pytest.importorskip("torch")
    for name, shape, args in (
        ("eye_", (3, 5), ()),
        ("dirac_", (6, 2, 3, 3), ()),
        ("dirac_", (6, 2, 3), (3,)),
        ("ones_", (2,), ()),
        ("zeros_", (2,), ()),
        ("constant_", (2, 2), (0.3,)),
    ):
        mine, theirs = mi.empty(*shape), torch.empty(*shape)
        getattr(init, name)(mine, *args)
        getattr(torch.nn.init, name)(theirs, *args)
        np.testing.assert_array_equal(mine.numpy(), theirs.numpy())
    for word, param in (
        ("relu", None),
        ("leaky_relu", 0.3),
        ("leaky_relu", None),
        ("tanh", None),
        ("selu", None),
        ("conv2d", None),
    ):
        assert init.calculate_gain(word, param) == torch.nn.init.calculate_gain(word, param)


def test_defaults_of_layers() -> None:
    mi.manual_seed(0)
    linear, conv, table = mi.nn.Linear(400, 300), mi.nn.Conv2d(16, 64, 5), mi.nn.Embedding(300, 100)
    for weight, bound in ((linear.weight, 0.05), (linear.bias, 0.05), (conv.weight, 0.05), (conv.bias, 0.05)):
        x = weight.detach().numpy()
        assert 0.9 * bound < np.abs(x).max() <= bound and abs(x.std() - bound / math.sqrt(3)) < 0.15 * bound
    assert abs(table.weight.detach().numpy().std() - 1) < 0.02
    lstm = mi.nn.LSTM(3, 16)
    assert max(float(np.abs(w.detach().numpy()).max()) for w in lstm.parameters()) <= 0.25
    mi.manual_seed(0)
    np.testing.assert_array_equal(mi.nn.Linear(400, 300).weight.detach().numpy(), linear.weight.detach().numpy())


def test_errors() -> None:
    for call, words in (
        (lambda: init.xavier_uniform_(mi.ones(3)), "fewer than 2 dimensions"),
        (lambda: init.kaiming_normal_(mi.ones(3, 3), mode="fan"), "Mode fan"),
        (lambda: init.calculate_gain("sin"), "Unsupported nonlinearity"),
        (lambda: init.eye_(mi.ones(3)), "2 dimensions"),
        (lambda: init.dirac_(mi.ones(3, 3)), "3, 4, or 5"),
        (lambda: init.dirac_(mi.ones(3, 3, 3), 2), "divisible by groups"),
        (lambda: init.orthogonal_(mi.ones(3)), "2 or more"),
    ):
        with pytest.raises(ValueError, match=words):
            call()
