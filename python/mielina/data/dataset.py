"""Data sets: things with `__len__` and `__getitem__`."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from ..random import Generator
from ..tensor import Tensor
from .sampler import permutation


class Dataset:
    """Base class: `dataset[i]` gives sample i of `len(dataset)`.

    A data set that can make a whole batch at once defines `batch(indices)`, which returns what collating
    `[self[i] for i in indices]` would.
    """

    def __getitem__(self, index: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__")

    def __add__(self, other: Dataset) -> ConcatDataset:
        return ConcatDataset([self, other])


class IterableDataset(Dataset):
    """A stream: defines `__iter__` and has no indices."""

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(f"{type(self).__name__} must define __iter__")


class TensorDataset(Dataset):
    """Sample i is (tensors[0][i], tensors[1][i], ...). ValueError unless all have one length.

    >>> mi.data.TensorDataset(mi.arange(3), mi.ones(3))[1]
    (tensor(1), tensor(1.))
    """

    def __init__(self, *tensors: Tensor) -> None:
        if not tensors:
            raise ValueError("TensorDataset: expected at least one tensor")
        sizes = [len(t) for t in tensors]
        if len(set(sizes)) != 1:
            raise ValueError(f"TensorDataset: all tensors must have the same length, got {sizes}")
        self.tensors = tensors

    def __len__(self) -> int:
        return len(self.tensors[0])

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(t[index] for t in self.tensors)

    def batch(self, indices: Tensor) -> tuple[Tensor, ...]:
        return tuple(t.index_select(0, indices) for t in self.tensors)


class Subset(Dataset):
    """The samples of `dataset` at `indices`.

    >>> mi.data.Subset(mi.data.TensorDataset(mi.arange(10)), [7])[0]
    (tensor(7),)
    """

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = [int(i) for i in indices]
        self._places: Tensor | None = None

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Any:
        return self.dataset[self.indices[index]]

    @property
    def batch(self) -> Callable[[Tensor], Any]:
        whole = batch_of(self.dataset)
        if whole is None:
            raise AttributeError("batch")
        if self._places is None or len(self._places) != len(self.indices):
            from ..ops.creation import from_numpy

            places = np.asarray(self.indices, dtype=np.int64)
            self._places = from_numpy(np.where(places < 0, places + len(self.dataset), places))
        mine = self._places
        return lambda indices: whole(mine.index_select(0, indices))


def batch_of(dataset: Any) -> Callable[[Tensor], Any] | None:
    """The data set's `batch`, unless a subclass changed `__getitem__` and left `batch` as it was."""
    for kind in type(dataset).__mro__:
        if "batch" in vars(kind):
            return getattr(dataset, "batch", None)
        if "__getitem__" in vars(kind):
            break
    return None


class ConcatDataset(Dataset):
    """Several data sets one after the other."""

    def __init__(self, datasets: Sequence[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("ConcatDataset: expected at least one data set")
        self.ends = list(accumulate(len(d) for d in self.datasets))

    def __len__(self) -> int:
        return self.ends[-1]

    def __getitem__(self, index: int) -> Any:
        n = len(self)
        if not -n <= index < n:
            raise IndexError(f"index {index} is out of range for {n} samples")
        index %= n
        k = bisect.bisect_right(self.ends, index)
        return self.datasets[k][index - (self.ends[k - 1] if k else 0)]


def random_split(dataset: Any, lengths: Sequence[float], generator: Generator | None = None) -> list[Subset]:
    """Disjoint random subsets. `lengths`: counts that add up to len(dataset), or fractions that add up to 1 (the first
    subsets take what rounding leaves). ValueError otherwise.

    >>> [len(part) for part in mi.data.random_split(mi.data.TensorDataset(mi.arange(10)), [8, 2])]
    [8, 2]
    """
    n = len(dataset)
    if abs(sum(lengths) - 1) < 1e-9 and all(0 <= f <= 1 for f in lengths):
        counts = [int(n * f) for f in lengths]
        for i in range(n - sum(counts)):
            counts[i % len(counts)] += 1
    else:
        if any(c != c or c != int(c) for c in lengths):
            raise ValueError(
                f"random_split: lengths must be counts, or fractions that add up to 1, got {list(lengths)}"
            )
        counts = [int(c) for c in lengths]
    if sum(counts) != n or any(c < 0 for c in counts):
        raise ValueError(
            f"random_split: lengths {list(lengths)} do not add up to the {n} samples of the data set (or to 1)"
        )
    order = permutation(n, generator)
    ends = list(accumulate(counts))
    return [Subset(dataset, order[end - c : end].tolist()) for c, end in zip(counts, ends)]
