"""Parts of a data set that keep the classes' shares, and weights against unequal ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import dtypes
from ..random import Generator
from ..tensor import Tensor
from .dataset import Subset, TensorDataset
from .loader import DataLoader
from .sampler import WeightedRandomSampler, numpy_generator


def labels_in(data: Any) -> np.ndarray | None:
    """All labels of a data set as NumPy integers, without loading its samples: the second tensor of a TensorDataset, or
    `targets`, as ImageFolder has them. None if there are no such whole numbers."""
    if isinstance(data, DataLoader):
        data = data.dataset
    if isinstance(data, Subset):
        every = labels_in(data.dataset)
        return None if every is None else every[np.asarray(data.indices, dtype=np.int64)]
    if isinstance(data, TensorDataset):
        t: Any = data.tensors[1] if len(data.tensors) > 1 else None
    else:
        t = getattr(data, "targets", None)
    if isinstance(t, Tensor):
        t = None if t.dtype is dtypes.bfloat16 else t.detach().cpu().numpy()
    t = None if t is None else np.asarray(t)
    return t if t is not None and t.dtype.kind in "iu" and t.size else None


def _labels(data: Any, name: str) -> np.ndarray:
    """Labels (N) of a data set, or given themselves as a tensor, array or sequence."""
    plain = isinstance(data, (Tensor, np.ndarray, list, tuple))
    found = np.asarray(data.detach().cpu().numpy() if isinstance(data, Tensor) else data) if plain else labels_in(data)
    if found is None or found.dtype.kind not in "iu" or found.ndim != 1 or not found.size:
        raise ValueError(f"{name}: expected a data set with whole numbers as labels, or these labels, (N,)")
    return found


def stratified_split(dataset: Any, lengths: Sequence[float], generator: Generator | None = None) -> list[Subset]:
    """Disjoint random subsets in which every class has the share that it has in the whole, up to one sample, and of
    which each has a sample of every class.

    lengths: fractions that add up to 1, each at least 0. ValueError: other fractions, a data set without labels, or a
    class with fewer samples than there are parts.

    >>> data = mi.data.TensorDataset(mi.arange(10), mi.tensor([0, 1] * 5))
    >>> [len(part) for part in mi.data.stratified_split(data, [0.6, 0.4])]
    [6, 4]
    """
    labels = _labels(dataset, "stratified_split")
    shares = np.asarray(lengths, dtype=np.float64)
    if shares.ndim != 1 or not shares.size or not (shares >= 0).all() or abs(shares.sum() - 1) > 1e-9:
        raise ValueError(f"stratified_split: lengths must be fractions that add up to 1, got {list(lengths)}")
    rng = numpy_generator(generator)
    ends = np.cumsum(shares)
    parts: list[list[np.ndarray]] = [[] for _ in shares]
    for c, n in zip(*np.unique(labels, return_counts=True)):
        if n < np.count_nonzero(shares):
            raise ValueError(f"stratified_split: class {c} has {n} samples for {np.count_nonzero(shares)} parts")
        order = rng.permutation(np.flatnonzero(labels == c))
        cuts = np.round(ends * n).astype(int)
        counts = np.diff(cuts, prepend=0)
        for k in np.flatnonzero((counts == 0) & (shares > 0)):
            counts[counts.argmax()] -= 1
            counts[k] += 1
        for part, chosen in zip(parts, np.split(order, np.cumsum(counts)[:-1])):
            part.append(chosen)
    return [Subset(dataset, np.sort(np.concatenate(part)).tolist()) for part in parts]


def class_weights(data: Any) -> dict[int, float]:
    """{label: n / (classes * count)} of a data set or of labels (N): weights under which all classes count alike.

    What `fit(class_weight="balanced")` takes. ValueError: no whole numbers as labels. Source: King & Zeng 2001.

    >>> mi.data.class_weights([0, 0, 0, 1])
    {0: 0.6666666666666666, 1: 2.0}
    """
    labels = _labels(data, "class_weights")
    found, counts = np.unique(labels, return_counts=True)
    return {int(c): labels.size / (len(found) * int(n)) for c, n in zip(found, counts)}


class BalancedSampler(WeightedRandomSampler):
    """Draws samples with replacement such that all classes come equally often. data: a data set, or labels (N);
    num_samples: by default as many as there are."""

    def __init__(self, data: Any, num_samples: int | None = None, generator: Generator | None = None) -> None:
        labels = _labels(data, "BalancedSampler")
        _, place, counts = np.unique(labels, return_inverse=True, return_counts=True)
        count = labels.size if num_samples is None else num_samples
        super().__init__((1.0 / counts[place]).tolist(), count, True, generator)
