"""DataLoader: batches of a data set, made ahead of time by worker threads."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from ..ops.creation import as_tensor, from_numpy, tensor
from ..random import Generator
from ..tensor import Tensor
from .dataset import IterableDataset
from .sampler import BatchSampler, RandomSampler, SequentialSampler


def default_collate(samples: list[Any]) -> Any:
    """A batch from samples: tensors, arrays and numbers are stacked, tuples and dicts collated item by item,
    strings listed.
    """
    first = samples[0]
    if isinstance(first, Tensor):
        from ..ops.layout import stack  # type: ignore[attr-defined]

        return stack(samples)
    if isinstance(first, np.ndarray):
        return from_numpy(np.stack(samples))
    if isinstance(first, (bool, int, float, np.generic)):
        return tensor(np.asarray(samples)) if isinstance(first, np.generic) else tensor(samples)
    if isinstance(first, (str, bytes)):
        return samples
    if isinstance(first, dict):
        return {k: default_collate([s[k] for s in samples]) for k in first}
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*(default_collate(list(c)) for c in zip(*samples)))
    if isinstance(first, (tuple, list)):
        if len({len(s) for s in samples}) != 1:
            raise RuntimeError("default_collate: samples of a batch have different lengths")
        return type(first)(default_collate(list(c)) for c in zip(*samples))
    raise TypeError(f"default_collate: cannot batch {type(first).__name__}; pass collate_fn=")


class DataLoader:
    """Iterates over batches of `dataset`.

    shuffle: a fresh order each epoch, from `generator` (default: the global one, see manual_seed). num_workers:
    threads that prepare batches ahead (0: none); the order of batches never depends on them. An exception in a worker
    reaches the caller with the worker's traceback.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Any = None,
        batch_sampler: Any = None,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        drop_last: bool = False,
        generator: Generator | None = None,
        worker_init_fn: Callable[[int], None] | None = None,
        prefetch_factor: int = 2,
    ) -> None:
        if num_workers < 0:
            raise ValueError(f"DataLoader: num_workers must not be negative, got {num_workers}")
        if prefetch_factor < 1:
            raise ValueError(f"DataLoader: prefetch_factor must be at least 1, got {prefetch_factor}")
        if sampler is not None and shuffle:
            raise ValueError("DataLoader: sampler and shuffle exclude each other")
        if batch_sampler is not None and (batch_size != 1 or shuffle or sampler is not None or drop_last):
            raise ValueError("DataLoader: batch_sampler excludes batch_size, shuffle, sampler and drop_last")
        self.iterable = isinstance(dataset, IterableDataset)
        if self.iterable and (shuffle or sampler is not None or batch_sampler is not None):
            raise ValueError("DataLoader: an IterableDataset has its own order")
        self.dataset, self.batch_size, self.drop_last = dataset, batch_size, drop_last
        self.sampler: Any = None
        self.batch_sampler: Any = None
        self.num_workers, self.prefetch_factor, self.worker_init_fn = num_workers, prefetch_factor, worker_init_fn
        self.collate_fn = default_collate if collate_fn is None else collate_fn
        self.generator = generator
        if self.iterable:
            return
        self.sampler = (
            sampler
            if sampler is not None
            else RandomSampler(dataset, generator=generator)
            if shuffle
            else SequentialSampler(dataset)
        )
        self.batch_sampler = batch_sampler
        if batch_sampler is None and batch_size is not None:
            self.batch_sampler = BatchSampler(self.sampler, batch_size, drop_last)

    def __len__(self) -> int:
        if self.iterable:
            n = len(self.dataset)
            return (
                n if self.batch_size is None else n // self.batch_size if self.drop_last else -(-n // self.batch_size)
            )
        return len(self.sampler if self.batch_sampler is None else self.batch_sampler)

    def _fetch(self, indices: Any) -> Any:
        if self.batch_sampler is None:
            sample = self.dataset[indices]
            return sample if self.collate_fn is default_collate else self.collate_fn(sample)
        if self.collate_fn is default_collate and hasattr(self.dataset, "batch"):
            return self.dataset.batch(as_tensor(np.asarray(indices, dtype=np.int64)))
        return self.collate_fn([self.dataset[i] for i in indices])

    def __iter__(self) -> Iterator[Any]:
        if self.iterable:
            return self._stream()
        order = self.sampler if self.batch_sampler is None else self.batch_sampler
        if self.num_workers == 0:
            return map(self._fetch, order)
        return self._ahead(iter(order))

    def _stream(self) -> Iterator[Any]:
        if self.batch_size is None:
            yield from self.dataset
            return
        samples: list[Any] = []
        for s in self.dataset:
            samples.append(s)
            if len(samples) == self.batch_size:
                yield self.collate_fn(samples)
                samples = []
        if samples and not self.drop_last:
            yield self.collate_fn(samples)

    def _ahead(self, order: Iterator[Any]) -> Iterator[Any]:
        number, lock = iter(range(self.num_workers)), threading.Lock()

        def begin() -> None:
            if self.worker_init_fn is not None:
                with lock:
                    k = next(number)
                self.worker_init_fn(k)

        pool = ThreadPoolExecutor(self.num_workers, thread_name_prefix="mielina-loader", initializer=begin)
        waiting: deque[Future[Any]] = deque()
        try:
            for indices in order:
                waiting.append(pool.submit(self._fetch, indices))
                if len(waiting) >= self.num_workers * self.prefetch_factor:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:  # also when the loop is left early: nobody waits for batches that nobody wants
            pool.shutdown(wait=False, cancel_futures=True)
