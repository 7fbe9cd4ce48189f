"""Stratified parts, balanced draws, and scalers equal to scikit-learn's."""

import pickle

import mielina as mi
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mielina.data import BalancedSampler, MinMaxScaler, StandardScaler, TensorDataset, class_weights, stratified_split


def labelled(counts):
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    return TensorDataset(mi.arange(len(labels)), mi.tensor(labels)), labels


@given(
    st.lists(st.integers(6, 60), min_size=1, max_size=5),
    st.sampled_from([[1.0], [0.8, 0.2], [0.6, 0.2, 0.2], [0.5, 0.0, 0.5], [0.97, 0.01, 0.02], [1 / 3] * 3]),
    st.integers(0, 99),
)
def test_every_class_keeps_its_share(counts, lengths, seed):
    data, labels = labelled(counts)
    parts = stratified_split(data, lengths, mi.Generator(seed))
    everything = np.concatenate([p.indices for p in parts]).astype(int)
    assert sorted(everything.tolist()) == list(range(len(labels)))
    for part, share in zip(parts, lengths):
        found = np.bincount(labels[np.array(part.indices, int)], minlength=len(counts))
        given_away = sum(0 < f * min(counts) < 1 for f in lengths)  # to parts that would have had none
        assert (np.abs(found - share * np.array(counts)) <= 1 + given_away).all()
        assert (found > 0).all() if share else not found.any()
    again = stratified_split(data, lengths, mi.Generator(seed))
    assert [p.indices for p in parts] == [p.indices for p in again]


def test_seeds_and_the_default_generator():
    data, _ = labelled([30, 30])
    one, two = (stratified_split(data, [0.5, 0.5], mi.Generator(s))[0].indices for s in (1, 2))
    assert one != two
    mi.manual_seed(4)
    a = stratified_split(data, [0.5, 0.5])[0].indices
    mi.manual_seed(4)
    assert a == stratified_split(data, [0.5, 0.5])[0].indices


def test_parts_train():
    data = TensorDataset(mi.rand(60, 4), mi.tensor([0, 1, 2] * 20))
    train, held = stratified_split(data, [0.75, 0.25])
    net = mi.nn.Linear(4, 3)
    history = mi.fit(net, train, validation=held, class_weight="balanced", epochs=1, verbose=False)
    assert "val_loss" in history.history and (len(train), len(held)) == (45, 15)


@pytest.mark.parametrize(
    "data, lengths, text",
    [
        (TensorDataset(mi.rand(4, 2), mi.tensor([0, 0, 0, 1])), [0.5, 0.5], "class 1 has 1 samples for 2 parts"),
        (TensorDataset(mi.rand(4, 2)), [0.5, 0.5], "whole numbers as labels"),
        (TensorDataset(mi.rand(4, 2), mi.rand(4)), [0.5, 0.5], "whole numbers as labels"),
        (TensorDataset(mi.rand(4, 2), mi.arange(4)), [2, 2], "fractions that add up to 1"),
        (TensorDataset(mi.rand(4, 2), mi.arange(4)), [1.5, -0.5], "fractions that add up to 1"),
        (TensorDataset(mi.rand(4, 2), mi.arange(4)), [], "fractions that add up to 1"),
        (TensorDataset(mi.rand(4, 2), mi.arange(4)), [float("nan"), 1], "fractions that add up to 1"),
    ],
)
def test_wrong_splits(data, lengths, text):
    with pytest.raises(ValueError, match=text):
        stratified_split(data, lengths)


def test_class_weights_are_scikit_learns():
    sklearn = pytest.importorskip("sklearn.utils.class_weight")
    labels = np.array([0] * 70 + [1] * 20 + [5] * 10)
    want = sklearn.compute_class_weight("balanced", classes=np.unique(labels), y=labels)
    for data in (labels, labels.tolist(), mi.tensor(labels), TensorDataset(mi.rand(100, 1), mi.tensor(labels))):
        found = class_weights(data)
        assert list(found) == [0, 1, 5] and np.allclose(list(found.values()), want)


def test_balanced_draws():
    labels = np.array([0] * 900 + [1] * 90 + [2] * 10)
    draws = np.array(list(BalancedSampler(labels, 30_000, mi.Generator(0))))
    counts = np.bincount(labels[draws])
    assert np.abs(counts - 10_000).max() < 5 * np.sqrt(30_000 * 2 / 9)  # five standard deviations of the binomial
    assert len(BalancedSampler(mi.tensor(labels))) == 1000
    data = TensorDataset(mi.arange(1000), mi.tensor(labels))
    seen = np.concatenate([y.numpy() for _, y in mi.data.DataLoader(data, 100, sampler=BalancedSampler(data))])
    assert 250 < (seen == 2).sum() < 420
    with pytest.raises(ValueError, match="BalancedSampler"):
        BalancedSampler([0.5, 1.5])


@pytest.mark.parametrize("ours, name", [(StandardScaler, "StandardScaler"), (MinMaxScaler, "MinMaxScaler")])
def test_scalers_are_scikit_learns(ours, name):
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(3, 5, (50, 3)), np.full((50, 1), 0.1), rng.integers(0, 2, (50, 1))], 1)
    a, b = ours(), getattr(preprocessing, name)()
    np.testing.assert_allclose(a.fit_transform(x), b.fit_transform(x), rtol=1e-12, atol=1e-12)
    y = rng.normal(size=(7, 5))
    np.testing.assert_allclose(a.transform(y), b.transform(y), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(a.inverse_transform(a.transform(y)), y, rtol=1e-12, atol=1e-12)
    again = pickle.loads(pickle.dumps(a))
    np.testing.assert_array_equal(again.transform(y), a.transform(y))


def test_scalers_of_tensors_images_and_integers():
    images = mi.rand(6, 3, 5, 4) * mi.tensor([1.0, 10.0, 100.0]).reshape(3, 1, 1)
    z = StandardScaler().fit_transform(images)
    assert isinstance(z, mi.Tensor) and z.dtype is mi.float32 and z.shape == images.shape
    assert (
        z.mean((0, 2, 3)).abs().max().item() < 1e-5 and (z.var((0, 2, 3), correction=0) - 1).abs().max().item() < 1e-5
    )
    assert MinMaxScaler().fit_transform(np.arange(6).reshape(3, 2)).dtype == np.float32


@pytest.mark.parametrize("kind", [StandardScaler, MinMaxScaler])
def test_wrong_input_of_scalers(kind):
    with pytest.raises(RuntimeError, match="call fit"):
        kind().transform(np.ones((2, 2)))
    for bad in (np.ones(3), np.ones((0, 3)), np.array([[1.0, np.nan]]), np.array([[1.0, np.inf]])):
        with pytest.raises(ValueError, match=kind.__name__):
            kind().fit(bad)
    with pytest.raises(TypeError, match="numbers"):
        kind().fit(np.array([["a"]]))
    with pytest.raises(ValueError, match="2 features"):
        kind().fit(np.ones((3, 2))).transform(np.ones((3, 3)))
