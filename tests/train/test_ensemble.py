"""Ensembles: the mean of probabilities, from members that differ only in their seeds."""

import mielina as mi
import numpy as np
import pytest
from mielina import nn
from mielina.train import Ensemble, ensemble


class Fixed(nn.Module):
    """Gives one output whatever comes in."""

    def __init__(self, y):
        super().__init__()
        self.y = mi.tensor(y)

    def forward(self, x):
        return self.y


def softmax(z):
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


@pytest.mark.parametrize("shape", [(5, 4), (5, 3, 2, 2)])
def test_mean_of_probabilities(shape):
    z = np.random.default_rng(0).normal(0, 9, (3, *shape))
    out = Ensemble([Fixed(a) for a in z])(mi.zeros(1)).numpy()
    want = np.mean([softmax(a) for a in z], 0)
    np.testing.assert_allclose(np.exp(out), want, rtol=1e-12)
    np.testing.assert_allclose(np.exp(out).sum(1), 1, rtol=1e-12)


@pytest.mark.parametrize("shape", [(6,), (6, 1)])
def test_one_logit(shape):
    z = np.random.default_rng(1).normal(0, 9, (4, *shape))
    out = Ensemble([Fixed(a) for a in z])(mi.zeros(1)).numpy()
    np.testing.assert_allclose(1 / (1 + np.exp(-out)), np.mean(1 / (1 + np.exp(-z)), 0), rtol=1e-12)


def test_sure_members_give_no_nan():
    out = Ensemble([Fixed(np.array([[1e4, -1e4]])), Fixed(np.array([[-1e4, 1e4]]))])(mi.zeros(1))
    np.testing.assert_allclose(out.exp().numpy(), [[0.5, 0.5]])
    assert Ensemble([Fixed(np.array([1e4])), Fixed(np.array([-1e4]))])(mi.zeros(1)).item() == 0


def test_outputs():
    z = np.random.default_rng(2).normal(size=(3, 5, 2))
    out = Ensemble([Fixed(a) for a in z], average="outputs")(mi.zeros(1)).numpy()
    np.testing.assert_allclose(out, z.mean(0), rtol=1e-12)


def test_trained_from_seeds():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 2)).astype(np.float32)
    y = ((x**2).sum(1) > 1.4).astype(np.int64)
    how = {"members": 3, "epochs": 8, "verbose": 0, "optimizer": lambda p: mi.optim.Adam(p, lr=0.05)}

    def build():
        return nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))

    a, b = (ensemble(build, x[:200], y[:200], seed=7, **how) for _ in range(2))
    out = mi.predict(a, x[200:])
    np.testing.assert_array_equal(out, mi.predict(b, x[200:]))
    alone = mi.predict(a.models[0], x[200:])
    assert not np.array_equal(alone, mi.predict(a.models[1], x[200:]))
    mi.manual_seed(7)
    first = build()
    mi.fit(first, x[:200], y[:200], seed=7, **{k: v for k, v in how.items() if k != "members"})
    np.testing.assert_array_equal(alone, mi.predict(first, x[200:]))
    assert len(a.histories) == 3 and len(a.histories[2]["loss"]) == 8
    found = mi.evaluate(a, x[200:], y[200:], metrics=["accuracy"])
    losses = [mi.evaluate(m, x[200:], y[200:])["loss"] for m in a.models]
    assert found["loss"] <= np.mean(losses), "the mean is no worse than its members' mean: log is concave"
    assert found["accuracy"] > 0.8


def test_wrong_input():
    with pytest.raises(ValueError, match="at least one model"):
        Ensemble([])
    with pytest.raises(ValueError, match="average must be"):
        Ensemble([nn.Linear(1, 1)], average="vote")
    with pytest.raises(ValueError, match="members"):
        ensemble(lambda: nn.Linear(1, 1), [[1.0]], [[1.0]], members=0)
    with pytest.raises(TypeError, match="build makes a new model at each call, and is none: got Linear"):
        mi.train.ensemble(mi.nn.Linear(2, 3), mi.zeros(4, 2), mi.zeros(4).long())
    with pytest.raises(TypeError, match="one optimizer cannot train several"):
        one = nn.Linear(1, 1)
        ensemble(lambda: one, [[1.0]], [[1.0]], optimizer=mi.optim.SGD(one.parameters(), lr=0.1))
    with pytest.raises(ValueError, match="checkpoint_dir"):
        ensemble(lambda: nn.Linear(1, 1), [[1.0]], [[1.0]], checkpoint_dir="x")
