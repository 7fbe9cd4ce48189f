"""Data sets, their division, collation and samplers."""

import collections
import math

import mielina as mi
import numpy as np
import pytest
from mielina.data import (
    BatchSampler,
    ConcatDataset,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
    default_convert,
    random_split,
)  # fmt: skip


class Squares(Dataset):
    def __len__(self):
        return 10

    def __getitem__(self, i):
        if not -10 <= i < 10:
            raise IndexError(i)
        return i % 10, (i % 10) ** 2


# ---- data sets -------------------------------------------------------------------------------------------------------
def test_tensor_dataset():
    x, y = mi.arange(12).reshape(4, 3), mi.arange(4)
    d = TensorDataset(x, y)
    assert len(d) == 4 and d.tensors == (x, y)
    a, b = d[2]
    assert a.tolist() == [6, 7, 8] and b.item() == 2
    a, b = d[1:3]
    assert a.tolist() == [[3, 4, 5], [6, 7, 8]] and b.tolist() == [1, 2]
    assert d[-1][1].item() == 3
    with pytest.raises(IndexError):
        d[4]


def test_tensor_dataset_errors():
    with pytest.raises(ValueError, match="at least one"):
        TensorDataset()
    with pytest.raises(ValueError, match=r"\[2, 3\]"):
        TensorDataset(mi.zeros(2), mi.zeros(3))
    with pytest.raises(TypeError):
        TensorDataset(mi.tensor(1.0))


def test_subset():
    s = Subset(Squares(), [7, 1, -1])
    assert len(s) == 3 and s[0] == (7, 49) and s[2] == (9, 81) and s.indices == [7, 1, -1]
    assert [v for v, _ in Subset(s, mi.tensor([2, 0]))] == [9, 7]
    with pytest.raises(IndexError):
        s[3]


def test_concat():
    d = Squares() + TensorDataset(mi.arange(3)) + Squares()
    assert len(d) == 23 and d[9] == (9, 81) and d[10][0].item() == 0 and d[13] == (0, 0) and d[-1] == (9, 81)
    for i in (23, -24):
        with pytest.raises(IndexError):
            d[i]
    with pytest.raises(ValueError):
        ConcatDataset([])


def test_missing_methods_name_the_class():
    class Bare(Dataset):
        pass

    class Stream(IterableDataset):
        pass

    with pytest.raises(NotImplementedError, match="Bare must define __getitem__"):
        Bare()[0]
    with pytest.raises(NotImplementedError, match="Stream must define __iter__"):
        iter(Stream())


# ---- random_split ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "lengths, sizes",
    [
        ([7, 3], [7, 3]),
        ([10, 0], [10, 0]),
        ([0.8, 0.2], [8, 2]),
        ([0.5, 0.25, 0.25], [6, 2, 2]),
        ([1 / 3, 1 / 3, 1 / 3], [4, 3, 3]),
        ([1.0], [10]),
    ],
)
def test_random_split_sizes(lengths, sizes):
    parts = random_split(Squares(), lengths)
    assert [len(p) for p in parts] == sizes
    assert sorted(i for p in parts for i in p.indices) == list(range(10))


def test_random_split_follows_its_generator():
    def split(seed):
        return [p.indices for p in random_split(Squares(), [5, 5], mi.Generator().manual_seed(seed))]

    assert split(1) == split(1) != split(2)
    mi.manual_seed(3)
    first = random_split(Squares(), [5, 5])[0].indices
    second = random_split(Squares(), [5, 5])[0].indices
    mi.manual_seed(3)
    assert random_split(Squares(), [5, 5])[0].indices == first != second


@pytest.mark.parametrize("lengths", [[5, 4], [11], [0.5, 0.6], [-1, 11], [], [2.5, 7.5], [math.nan, 1.0]])
def test_random_split_errors(lengths):
    with pytest.raises(ValueError, match="random_split"):
        random_split(Squares(), lengths)


# ---- collation -------------------------------------------------------------------------------------------------------
Point = collections.namedtuple("Point", "x y")


def test_collate_numbers():
    for samples, dtype in (([1, 2], mi.int64), ([1.0, 2], mi.float64), ([True, False], mi.bool)):
        batch = default_collate(samples)
        assert batch.dtype is dtype and batch.tolist() == samples
    assert default_collate([np.float32(1), np.float32(2)]).dtype is mi.float32
    assert default_collate([np.int8(1), np.int8(2)]).dtype is mi.int8


def test_collate_nests():
    samples = [
        {"image": np.full((2, 2), k, np.float32), "t": mi.full((3,), k), "name": f"n{k}", "p": Point(k, [k, (k, b"x")])}
        for k in range(2)
    ]
    batch = default_collate(samples)
    assert batch["image"].shape == (2, 2, 2) and batch["t"].shape == (2, 3) and batch["name"] == ["n0", "n1"]
    assert isinstance(batch["p"], Point) and batch["p"].x.tolist() == [0, 1]
    assert batch["p"].y[1][0].tolist() == [0, 1] and batch["p"].y[1][1] == [b"x", b"x"]


def test_collate_as_torch_does():
    torch = pytest.importorskip("torch")
    from torch.utils.data import default_collate as theirs

    for samples in ([1.5, 2.5], [1, 2], [True, False], [(1, 2.0), (3, 4.0)], [{"a": 1}, {"a": 2}], ["a", "b"]):
        a, b = default_collate(samples), theirs(samples)
        for ours, other in zip(*((list(v.values()) if isinstance(v, dict) else list(v)) for v in (a, b))):
            if isinstance(other, torch.Tensor):
                assert (
                    ours.tolist() == other.tolist() and str(ours.dtype).split(".")[1] == str(other.dtype).split(".")[1]
                )
            else:
                assert ours == other


@pytest.mark.parametrize(
    "samples, kind, match",
    [
        ([object(), object()], TypeError, "object"),
        ([None, None], TypeError, "NoneType"),
        ([[1, 2], [3]], RuntimeError, "different lengths"),
        ([np.zeros(2), np.zeros(3)], ValueError, "different shapes"),
        ([np.array([None]), np.array([None])], TypeError, "object"),
        ([np.zeros(2, "U3"), np.zeros(2, "U3")], TypeError, "U3"),
        ([], ValueError, "at least one"),
    ],
)
def test_collate_errors(samples, kind, match):
    with pytest.raises(kind, match=match):
        default_collate(samples)


def test_collate_tensors_of_different_shapes():
    with pytest.raises((ValueError, RuntimeError)):
        default_collate([mi.zeros(2), mi.zeros(3)])


def test_convert():
    value = default_convert({"a": np.ones(2), "b": (1, "x"), "c": Point(np.ones(1), None)})
    assert isinstance(value["a"], mi.Tensor) and value["b"] == (1, "x") and isinstance(value["c"].x, mi.Tensor)


# ---- samplers --------------------------------------------------------------------------------------------------------
def test_sequential_and_batch_samplers():
    s = SequentialSampler(range(7))
    assert list(s) == list(range(7)) and len(s) == 7
    b = BatchSampler(s, 3, False)
    assert list(b) == [[0, 1, 2], [3, 4, 5], [6]] and len(b) == 3
    b = BatchSampler(s, 3, True)
    assert list(b) == [[0, 1, 2], [3, 4, 5]] and len(b) == 2


def test_random_sampler():
    g = mi.Generator().manual_seed(0)
    s = RandomSampler(range(50), generator=g)
    first, second = list(s), list(s)
    assert sorted(first) == sorted(second) == list(range(50)) and first != second
    g.manual_seed(0)
    assert list(s) == first
    many = list(RandomSampler(range(5), replacement=True, num_samples=1000, generator=g))
    assert len(many) == 1000 and set(many) == set(range(5))
    longer = list(RandomSampler(range(5), num_samples=12, generator=g))
    assert len(longer) == 12 and sorted(longer[:5]) == sorted(longer[5:10]) == list(range(5))
    assert list(RandomSampler([])) == []


def test_weighted_sampler_draws_in_proportion():
    weights = mi.tensor([1.0, 0.0, 3.0])
    s = WeightedRandomSampler(weights, 40_000, generator=mi.Generator().manual_seed(0))
    counts = np.bincount(list(s), minlength=3)
    # Standard deviation of the count of draws with p = 1/4: sqrt(40000 * 3/16) = 87.
    assert counts[1] == 0 and abs(counts[0] - 10_000) < 5 * 87 and len(s) == 40_000
    without = WeightedRandomSampler([1, 2, 3, 0], 3, replacement=False)
    assert sorted(without) == [0, 1, 2]


def test_subset_random_sampler():
    s = SubsetRandomSampler([4, 8, 6], mi.Generator().manual_seed(0))
    assert sorted(s) == [4, 6, 8] and len(s) == 3


@pytest.mark.parametrize(
    "make",
    [
        lambda: RandomSampler(range(3), num_samples=-1),
        lambda: RandomSampler([], num_samples=2),
        lambda: WeightedRandomSampler([1.0, -1.0], 2),
        lambda: WeightedRandomSampler([0.0, 0.0], 2),
        lambda: WeightedRandomSampler([1.0, float("nan")], 2),
        lambda: WeightedRandomSampler([1.0, 0.0], 2, replacement=False),
        lambda: WeightedRandomSampler([1.0], 0),
        lambda: WeightedRandomSampler([[1.0]], 1),
        lambda: BatchSampler(range(3), 0, False),
        lambda: BatchSampler(range(3), True, False),
        lambda: BatchSampler(range(3), 2.0, False),
    ],
)
def test_sampler_errors(make):
    with pytest.raises(ValueError):
        make()
