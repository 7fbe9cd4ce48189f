"""The order in which a loader takes samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np

from .. import _core, dtypes
from ..random import Generator, given


def numpy_generator(generator: Generator | None = None) -> np.random.Generator:
    """A NumPy generator keyed by the next block of a stream: the same seed gives the same orders, call after call."""
    key = _core.take_key(given(generator).state, 4, dtypes.float32).tolist()
    return np.random.Generator(np.random.Philox(key=np.array(key, dtype=np.int64).view(np.uint64)))


def permutation(n: int, generator: Generator | None = None) -> np.ndarray:
    return numpy_generator(generator).permutation(n)


class Sampler:
    """Base class: iterating gives indices."""

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError


class SequentialSampler(Sampler):
    """0, 1, ..., n - 1 in this order."""

    def __init__(self, data_source: Any) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler):
    """A fresh permutation each time (or `num_samples` draws, with replacement if asked)."""

    def __init__(
        self,
        data_source: Any,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Generator | None = None,
    ) -> None:
        self.data_source, self.replacement, self.generator = data_source, replacement, generator
        self.num_samples = len(data_source) if num_samples is None else num_samples
        if self.num_samples < 0 or (self.num_samples and not len(data_source)):
            raise ValueError(f"RandomSampler: cannot draw {num_samples} samples from {len(data_source)}")

    def order(self) -> np.ndarray:
        n = len(self.data_source)
        rng = numpy_generator(self.generator)
        if self.replacement and n:
            return rng.integers(0, n, self.num_samples)
        rounds = -(-self.num_samples // max(n, 1))
        return np.concatenate([rng.permutation(n) for _ in range(rounds)] or [np.empty(0, np.int64)])[
            : self.num_samples
        ]

    def __iter__(self) -> Iterator[int]:
        return iter(self.order().tolist())

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler):
    """The given indices in a fresh random order each time."""

    def __init__(self, indices: Sequence[int], generator: Generator | None = None) -> None:
        self.indices, self.generator = list(indices), generator

    def __iter__(self) -> Iterator[int]:
        return (self.indices[i] for i in permutation(len(self.indices), self.generator))

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler):
    """`num_samples` indices drawn with probabilities proportional to `weights`.

    ValueError: negative, all-zero or non-finite weights, or more draws without replacement than weights above 0.
    """

    def __init__(
        self, weights: Sequence[float], num_samples: int, replacement: bool = True, generator: Generator | None = None
    ) -> None:
        w = np.asarray(weights, dtype=np.float64)
        if w.ndim != 1 or not np.isfinite(w).all() or (w < 0).any() or w.sum() <= 0:
            raise ValueError(
                "WeightedRandomSampler: weights must be a sequence of finite, non-negative numbers, not all 0"
            )
        if num_samples <= 0 or (not replacement and num_samples > np.count_nonzero(w)):
            raise ValueError(
                f"WeightedRandomSampler: cannot draw {num_samples} samples "
                f"from {np.count_nonzero(w)} with weight above 0"
            )
        self.weights, self.num_samples, self.replacement, self.generator = (
            w / w.sum(),
            num_samples,
            replacement,
            generator,
        )

    def __iter__(self) -> Iterator[int]:
        draw = numpy_generator(self.generator).choice(
            len(self.weights), self.num_samples, self.replacement, self.weights
        )
        return iter(draw.tolist())

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler):
    """Lists of `batch_size` indices of another sampler."""

    def __init__(self, sampler: Any, batch_size: int, drop_last: bool) -> None:
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size <= 0:
            raise ValueError(f"batch_size should be a positive integer, got {batch_size!r}")
        self.sampler, self.batch_size, self.drop_last = sampler, batch_size, drop_last

    def __iter__(self) -> Iterator[list[int]]:
        indices = iter(self.sampler)
        while batch := list(islice(indices, self.batch_size)):
            if self.drop_last and len(batch) < self.batch_size:
                return
            yield batch

    def __len__(self) -> int:
        n = len(self.sampler)
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)
