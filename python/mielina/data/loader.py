"""DataLoader: batches of a data set, made ahead of time by worker threads."""

from __future__ import annotations

import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator
from itertools import count, repeat
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import _core, dtypes
from ..ops.creation import as_tensor
from ..random import Generator, drawing_from, given
from .collate import default_collate, default_convert
from .dataset import IterableDataset, batch_of
from .sampler import BatchSampler, RandomSampler, SequentialSampler

if TYPE_CHECKING:  # a fifth of the import's time, for those who have workers
    from concurrent.futures import Future

_END = object()
_worker = threading.local()


class WorkerInfo(NamedTuple):
    id: int
    num_workers: int
    dataset: Any


def get_worker_info() -> WorkerInfo | None:
    """In a loader's worker: its number, how many there are and the data set; None elsewhere. A stream
    (IterableDataset) is read by one thread, whatever num_workers says, and need not be divided: None there, too."""
    return getattr(_worker, "info", None)


class DataLoader:
    """Iterates over batches of `dataset`, with the arguments of `torch.utils.data.DataLoader`.

    shuffle: a fresh order each epoch, from `generator` (default: the global one, see manual_seed). num_workers:
    threads that prepare batches ahead (0: none), `prefetch_factor` each. Neither the order of the batches nor what
    `__getitem__` draws with `mi.rand` and the like depends on them: each batch draws from a stream of its own. An
    exception in a worker reaches the caller with the worker's traceback, and the loader ends. batch_size=None: single
    samples, arrays as tensors.

    Threads share memory, so pin_memory and persistent_workers are accepted and change nothing; `timeout` is the most
    seconds to wait for a batch (0: for ever). ValueError: arguments that exclude each other or are out of range.

    >>> loader = mi.data.DataLoader(mi.data.TensorDataset(mi.arange(5)), batch_size=2)
    >>> [batch[0].tolist() for batch in loader]
    [[0, 1], [2, 3], [4]]
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
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
    ) -> None:
        if num_workers < 0:
            raise ValueError(f"DataLoader: num_workers must not be negative, got {num_workers}")
        if prefetch_factor is not None and prefetch_factor < 1:
            raise ValueError(f"DataLoader: prefetch_factor must be at least 1, got {prefetch_factor}")
        if timeout < 0:
            raise ValueError(f"DataLoader: timeout must not be negative, got {timeout}")
        if multiprocessing_context is not None:
            raise ValueError("DataLoader: workers are threads; multiprocessing_context must be None")
        if sampler is not None and shuffle:
            raise ValueError("DataLoader: sampler and shuffle exclude each other")
        if batch_sampler is not None and (batch_size != 1 or shuffle or sampler is not None or drop_last):
            raise ValueError("DataLoader: batch_sampler excludes batch_size, shuffle, sampler and drop_last")
        if batch_size is None and drop_last:
            raise ValueError("DataLoader: batch_size=None makes no batches, so drop_last must be False")
        self.iterable = isinstance(dataset, IterableDataset)
        if self.iterable and (shuffle or sampler is not None or batch_sampler is not None):
            raise ValueError("DataLoader: an IterableDataset has its own order")
        self.dataset, self.batch_size, self.drop_last = dataset, batch_size, drop_last
        self.num_workers, self.worker_init_fn, self.generator = num_workers, worker_init_fn, generator
        self.prefetch_factor = 2 if prefetch_factor is None else prefetch_factor
        self.pin_memory, self.persistent_workers, self.timeout = pin_memory, persistent_workers, timeout
        batched = batch_size is not None or batch_sampler is not None
        self.collate_fn: Callable[[Any], Any] = collate_fn or (default_collate if batched else default_convert)
        self.sampler: Any = None
        self.batch_sampler: Any = None
        if self.iterable:
            if batch_size is not None:
                BatchSampler((), batch_size, drop_last)  # the same checks
            return
        in_order = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
        self.sampler = in_order if sampler is None else sampler
        self.batch_sampler = batch_sampler
        if batch_sampler is None and batch_size is not None:
            self.batch_sampler = BatchSampler(self.sampler, batch_size, drop_last)

    def __len__(self) -> int:
        if not self.iterable:
            return len(self.sampler if self.batch_sampler is None else self.batch_sampler)
        n = len(self.dataset)
        if self.batch_size is None:
            return n
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        return self._ahead() if self.num_workers else self._here()

    # ---- one batch ---------------------------------------------------------------------------------------------------
    def _plan(self) -> tuple[Callable[[int, Any], Any], Iterator[Any]]:
        """A function of (number, indices) that makes a batch, and the indices of all of them."""
        if self.iterable:
            stream = self._stream()
            return self._drawing(lambda _: next(stream, _END)), repeat(None)
        if self.batch_sampler is None:
            return self._drawing(lambda i: self.collate_fn(self.dataset[i])), iter(self.sampler)
        whole = batch_of(self.dataset) if self.collate_fn is default_collate else None
        one_by_one = self._drawing(lambda indices: self.collate_fn([self.dataset[i] for i in indices]))
        if whole is None:
            return one_by_one, iter(self.batch_sampler)

        def fetch(number: int, indices: Any) -> Any:
            try:
                return whole(as_tensor(np.asarray(indices, dtype=np.int64)))
            except (
                IndexError,
                RuntimeError,
            ):  # negative indices are fine one by one; others get the data set's own message
                return one_by_one(number, indices)

        return fetch, iter(self.batch_sampler)

    def _drawing(self, make: Callable[[Any], Any]) -> Callable[[int, Any], Any]:
        """make, with random numbers that depend on (generator, epoch, number of the batch) and not on threads."""
        import hashlib

        epoch: list[int] = []
        lock = threading.Lock()

        def fetch(number: int, indices: Any) -> Any:
            with lock:
                if not epoch:
                    epoch.extend(_core.take_key(given(self.generator).state, 4, dtypes.float32).tolist())
            digest = hashlib.blake2b(struct.pack("<qqq", *epoch, number), digest_size=8).digest()
            with drawing_from(Generator(int.from_bytes(digest, "little"))):
                return make(indices)

        return fetch

    def _stream(self) -> Iterator[Any]:
        if self.batch_size is None:
            yield from map(self.collate_fn, self.dataset)
            return
        samples: list[Any] = []
        for s in self.dataset:
            samples.append(s)
            if len(samples) == self.batch_size:
                yield self.collate_fn(samples)
                samples = []
        if samples and not self.drop_last:
            yield self.collate_fn(samples)

    # ---- all of them -------------------------------------------------------------------------------------------------
    def _here(self) -> Iterator[Any]:
        fetch, order = self._plan()
        for number, indices in enumerate(order):
            batch = fetch(number, indices)
            if batch is _END:
                return
            yield batch

    def _ahead(self) -> Iterator[Any]:
        from concurrent.futures import ThreadPoolExecutor

        fetch, order = self._plan()
        workers = 1 if self.iterable else self.num_workers
        work = self._worker(fetch)
        pool = ThreadPoolExecutor(workers, thread_name_prefix="mielina-loader")
        waiting: deque[Future[Any]] = deque()
        try:
            for number, indices in enumerate(order):
                waiting.append(pool.submit(work, number, indices))
                if len(waiting) >= workers * self.prefetch_factor:
                    batch = self._wait_for(waiting.popleft())
                    if batch is _END:
                        return
                    yield batch
            while waiting:
                yield self._wait_for(waiting.popleft())
        finally:  # also when the loop is left early: nobody waits for batches that nobody wants
            pool.shutdown(wait=False, cancel_futures=True)

    def _wait_for(self, future: Future[Any]) -> Any:
        from concurrent.futures import TimeoutError as FutureTimeout  # not the built-in one before Python 3.11

        try:
            return future.result(self.timeout or None)
        except FutureTimeout:
            if future.done():  # the worker's own
                raise
            raise RuntimeError(f"DataLoader timed out after {self.timeout} seconds") from None

    def _worker(self, fetch: Callable[[int, Any], Any]) -> Callable[[int, Any], Any]:
        numbers = count()

        def work(number: int, indices: Any) -> Any:
            try:
                if not hasattr(_worker, "id"):  # this thread's first batch
                    _worker.id = next(numbers)
                    if not self.iterable:
                        _worker.info = WorkerInfo(_worker.id, self.num_workers, self.dataset)
                    if self.worker_init_fn is not None:
                        self.worker_init_fn(_worker.id)
                return fetch(number, indices)
            except (SystemExit, KeyboardInterrupt, GeneratorExit, StopIteration) as e:
                # These would end the caller's program or loop as if all were well.
                raise RuntimeError(f"DataLoader worker {_worker.id} was ended by {e!r}") from e

        return work
