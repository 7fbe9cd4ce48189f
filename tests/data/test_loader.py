"""DataLoader: order, workers, errors in workers, loops that are left early."""

import gc
import itertools
import threading
import time
import traceback

import mielina as mi
import numpy as np
import pytest
from mielina.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset, get_worker_info, random_split

WORKERS = (0, 1, 2, 5)


class Numbers(Dataset):
    """Sample i is i; `f(i)` is called on the way."""

    def __init__(self, n=20, f=lambda i: i):
        self.n, self.f = n, f

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return self.f(i)


class Stream(IterableDataset):
    def __init__(self, n):
        self.n = n

    def __iter__(self):
        return iter(range(self.n))

    def __len__(self):
        return self.n


def loader_threads():
    return [t for t in threading.enumerate() if t.name.startswith("mielina-loader")]


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    if loader_threads():
        gc.collect()
    until = time.monotonic() + 10
    while loader_threads() and time.monotonic() < until:
        time.sleep(0.005)
    assert not loader_threads()


def flat(loader):
    return [i for batch in loader for i in batch.tolist()]


# ---- order -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("workers", WORKERS)
def test_batches_in_order(workers):
    batches = [b.tolist() for b in DataLoader(Numbers(7), batch_size=3, num_workers=workers)]
    assert batches == [[0, 1, 2], [3, 4, 5], [6]]
    assert [b.tolist() for b in DataLoader(Numbers(7), 3, num_workers=workers, drop_last=True)] == batches[:2]


def test_order_survives_slow_samples():
    def slow(i):
        time.sleep(0.02 if i % 4 == 0 else 0)
        return i

    assert flat(DataLoader(Numbers(20, slow), 2, num_workers=5)) == list(range(20))


@pytest.mark.parametrize("dataset", [Numbers(50), TensorDataset(mi.arange(50))], ids=["samples", "tensors"])
def test_shuffle_depends_on_the_seed_alone(dataset):
    def epochs(workers, seed):
        loader = DataLoader(dataset, 8, shuffle=True, num_workers=workers, generator=mi.Generator().manual_seed(seed))
        return [[np.asarray(b[0] if isinstance(b, tuple) else b).tolist() for b in loader] for _ in range(2)]

    one = epochs(0, 1)
    assert one[0] != one[1] and sorted(itertools.chain(*one[0])) == list(range(50))
    assert all(epochs(w, 1) == one for w in WORKERS) and epochs(0, 2) != one


def test_shuffle_follows_manual_seed():
    def order():
        mi.manual_seed(5)
        return flat(DataLoader(Numbers(), 4, shuffle=True))

    assert order() == order() != list(range(20))


def test_random_numbers_of_samples_do_not_depend_on_workers():
    """An augmentation draws in whatever thread it runs; the numbers belong to the batch."""

    def augmented(i):
        time.sleep(0.001 * (i % 3))
        return i + mi.rand(3), mi.randint(0, 100, (1,))

    def run(workers):
        mi.manual_seed(11)
        loader = DataLoader(Numbers(24, augmented), 4, shuffle=True, num_workers=workers)
        got = [t.numpy().tobytes() for _ in range(2) for batch in loader for t in batch]
        return got, mi.rand(1).item()

    expected = run(0)
    assert len(set(expected[0])) == len(expected[0])
    for workers in WORKERS[1:]:
        assert run(workers) == expected


def test_samplers_and_batch_samplers():
    d = Numbers()
    assert flat(DataLoader(d, 2, sampler=[3, 1, 2])) == [3, 1, 2]
    assert [b.tolist() for b in DataLoader(d, batch_sampler=[[0, 1], [5]])] == [[0, 1], [5]]
    weighted = mi.data.WeightedRandomSampler([0.0] * 19 + [1.0], 6)
    loader = DataLoader(d, 4, sampler=weighted, num_workers=2)
    assert flat(loader) == [19] * 6 and len(loader) == 2
    assert [b.tolist() for b in DataLoader(d, 2, sampler=mi.data.SubsetRandomSampler([9]))] == [[9]]


def test_tensors_are_taken_in_one_piece_and_agree_with_samples():
    x, y = mi.rand(30, 2), mi.arange(30)
    whole = TensorDataset(x, y)

    class OneByOne(TensorDataset):
        def __getitem__(self, i):
            return super().__getitem__(i)

    for data in (lambda d: d, lambda d: Subset(Subset(d, range(1, 29)), [3, -1, 0, 7, 7])):
        a = list(DataLoader(data(whole), 4))
        b = list(DataLoader(data(OneByOne(x, y)), 4))
        assert len(a) == len(b)
        for p, q in zip(a, b):
            assert all(s.dtype is t.dtype and s.tolist() == t.tolist() for s, t in zip(p, q))


def test_a_subclass_that_changes_samples_is_asked_for_them():
    class Doubled(TensorDataset):
        def __getitem__(self, i):
            return (super().__getitem__(i)[0] * 2,)

    assert next(iter(DataLoader(Doubled(mi.arange(4)), 4)))[0].tolist() == [0, 2, 4, 6]
    assert next(iter(DataLoader(Subset(Doubled(mi.arange(4)), [3, 1]), 4)))[0].tolist() == [6, 2]


def test_negative_indices():
    assert [b[0].tolist() for b in DataLoader(TensorDataset(mi.arange(4)), 2, sampler=[-1, 0])] == [[3, 0]]


def test_indices_out_of_range():
    for workers in WORKERS[:2]:
        with pytest.raises(IndexError):
            list(DataLoader(TensorDataset(mi.arange(4)), 2, sampler=[4], num_workers=workers))


def test_split_data_through_a_loader():
    a, b = random_split(TensorDataset(mi.arange(10)), [7, 3])
    got = flat(DataLoader(a, 4, collate_fn=lambda s: mi.stack([t[0] for t in s]))) + [
        x[0].item() for x in DataLoader(b)
    ]
    assert sorted(got) == list(range(10))


def test_collate_fn():
    loader = DataLoader(Numbers(5), 2, collate_fn=lambda samples: samples, num_workers=2)
    assert list(loader) == [[0, 1], [2, 3], [4]]
    assert list(DataLoader(TensorDataset(mi.arange(3)), 2, collate_fn=len)) == [2, 1]


def test_no_batches():
    assert list(DataLoader(Numbers(3), batch_size=None, num_workers=2)) == [0, 1, 2]
    (x,) = DataLoader([np.ones(2)], batch_size=None)
    assert isinstance(x, mi.Tensor)
    assert list(DataLoader(Numbers(3), batch_size=None, collate_fn=lambda i: -i)) == [0, -1, -2]


def test_lengths():
    d = Numbers(7)
    for options, n in (({}, 7), ({"batch_size": 3}, 3), ({"batch_size": 3, "drop_last": True}, 2)):
        assert len(DataLoader(d, **options)) == len(list(DataLoader(d, **options))) == n
    assert len(DataLoader(d, batch_size=None)) == 7 and len(DataLoader(d, batch_sampler=[[1], [2]])) == 2
    assert len(DataLoader(Numbers(0), 4)) == 0 and list(DataLoader(Numbers(0), 4, shuffle=True)) == []


def test_any_sequence_is_a_dataset():
    assert flat(DataLoader([4, 5, 6], 2)) == [4, 5, 6]
    assert flat(DataLoader(np.arange(5), 2)) == list(range(5))
    assert flat(DataLoader(mi.arange(5), 2)) == list(range(5))


@pytest.mark.parametrize("workers", WORKERS)
def test_nested_and_repeated_iteration(workers):
    loader = DataLoader(Numbers(6), 2, num_workers=workers)
    assert [(a.tolist(), b.tolist()) for a in loader for b in loader] == [
        ([i, i + 1], [j, j + 1]) for i in (0, 2, 4) for j in (0, 2, 4)
    ]
    assert flat(loader) == flat(loader) == list(range(6))
    assert [a.tolist() == b.tolist() for a, b in zip(loader, loader)] == [True] * 3


@pytest.mark.parametrize("workers", WORKERS)
def test_streams(workers):
    loader = DataLoader(Stream(7), 3, num_workers=workers)
    assert [b.tolist() for b in loader] == [[0, 1, 2], [3, 4, 5], [6]] and len(loader) == 3
    loader = DataLoader(Stream(7), 3, num_workers=workers, drop_last=True)
    assert [b.tolist() for b in loader] == [[0, 1, 2], [3, 4, 5]] and len(loader) == 2
    assert list(DataLoader(Stream(3), batch_size=None, num_workers=workers)) == [0, 1, 2]
    endless = type("Endless", (IterableDataset,), {"__iter__": lambda self: itertools.count()})()
    assert [b.tolist() for b in itertools.islice(DataLoader(endless, 2, num_workers=workers), 2)] == [[0, 1], [2, 3]]
    with pytest.raises(TypeError):
        len(DataLoader(endless, 2))


def test_workers_prefetch():
    """Two workers with two batches each: while the caller holds the first batch, the next are being made."""
    made = []
    loader = DataLoader(Numbers(100, lambda i: (made.append(i), i)[1]), 1, num_workers=2, prefetch_factor=2)
    it = iter(loader)
    next(it)
    until = time.monotonic() + 5
    while len(made) < 4 and time.monotonic() < until:
        time.sleep(0.001)
    assert len(made) == 4
    it.close()


def test_workers_run_at_once():
    meeting = threading.Barrier(3, timeout=10)
    assert flat(DataLoader(Numbers(6, lambda i: (meeting.wait(), i)[1]), 1, num_workers=3)) == list(range(6))


def test_worker_info_and_init():
    seen, begun = set(), []
    meeting = threading.Barrier(3, timeout=10)

    def sample(i):
        info = get_worker_info()
        seen.add((info.id, info.num_workers, info.dataset))
        meeting.wait()
        return i

    data = Numbers(9, sample)
    list(DataLoader(data, 1, num_workers=3, worker_init_fn=begun.append))
    assert sorted(begun) == [0, 1, 2] and seen == {(k, 3, data) for k in range(3)}
    assert get_worker_info() is None


def test_arguments_of_torch():
    loader = DataLoader(
        Numbers(4), 2, True, None, None, 1, None, True, False, 5.0, None, None, mi.Generator().manual_seed(0),
        prefetch_factor=3, persistent_workers=True,
    )  # fmt: skip
    assert sorted(flat(loader)) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "options",
    [
        {"num_workers": -1},
        {"batch_size": 0},
        {"batch_size": -3},
        {"batch_size": 2.5},
        {"prefetch_factor": 0},
        {"timeout": -1},
        {"shuffle": True, "sampler": [0]},
        {"batch_sampler": [[0]], "batch_size": 2},
        {"batch_sampler": [[0]], "shuffle": True},
        {"batch_sampler": [[0]], "drop_last": True},
        {"batch_size": None, "drop_last": True},
        {"multiprocessing_context": "fork"},
    ],
    ids=str,
)
def test_argument_errors(options):
    with pytest.raises(ValueError):
        DataLoader(Numbers(), **options)


def test_stream_argument_errors():
    for options in ({"shuffle": True}, {"sampler": [1]}, {"batch_sampler": [[1]]}, {"batch_size": 0}):
        with pytest.raises(ValueError):
            DataLoader(Stream(3), **options)


# ---- errors ----------------------------------------------------------------------------------------------------------
def broken_sample(i):
    if i == 5:
        raise KeyError("sample five")
    return i


@pytest.mark.parametrize("workers", WORKERS)
def test_an_exception_reaches_the_caller_with_its_traceback(workers):
    got = []
    with pytest.raises(KeyError, match="sample five") as caught:
        for batch in DataLoader(Numbers(20, broken_sample), 2, num_workers=workers):
            got += batch.tolist()
    assert got == [0, 1, 2, 3]
    assert "broken_sample" in [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]


@pytest.mark.parametrize("workers", WORKERS)
def test_the_iterator_has_ended_after_an_exception(workers):
    it = iter(DataLoader(Numbers(20, broken_sample), 3, num_workers=workers))
    next(it)
    with pytest.raises(KeyError):
        next(it)
    with pytest.raises(StopIteration):
        next(it)


@pytest.mark.parametrize("workers", WORKERS[1:])
@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit, StopIteration])
def test_a_worker_that_dies(workers, kind):
    def dies(i):
        if i == 3:
            raise kind("gone")
        return i

    it = iter(DataLoader(Numbers(20, dies), 1, num_workers=workers))
    assert [next(it).item() for _ in range(3)] == [0, 1, 2]
    with pytest.raises(RuntimeError, match=f"worker \\d was ended by {kind.__name__}") as caught:
        next(it)
    assert isinstance(caught.value.__cause__, kind)


def test_stop_iteration_in_a_sample_does_not_end_the_data_early():
    def stops(i):
        if i == 3:
            raise StopIteration
        return i

    with pytest.raises(RuntimeError):
        list(DataLoader(Numbers(20, stops), 1))


def test_errors_in_collate_sampler_init_and_stream():
    def fails(*_):
        raise ZeroDivisionError

    def sampler():
        yield 0
        yield 1
        raise ZeroDivisionError

    def stream(self):
        yield 0
        raise ZeroDivisionError

    broken = type("Broken", (IterableDataset,), {"__iter__": stream})()
    for workers in WORKERS:
        for loader in (
            DataLoader(Numbers(), collate_fn=fails, num_workers=workers),
            DataLoader(Numbers(), sampler=sampler(), num_workers=workers),
            DataLoader(broken, num_workers=workers),
            DataLoader(Numbers(), num_workers=max(workers, 1), worker_init_fn=fails),
        ):
            with pytest.raises(ZeroDivisionError):
                list(loader)


def test_timeout():
    release = threading.Event()
    try:
        with pytest.raises(RuntimeError, match="timed out after 0.05"):
            list(DataLoader(Numbers(3, lambda i: release.wait(20)), num_workers=1, timeout=0.05))
    finally:
        release.set()

    def own(i):
        raise TimeoutError("of the sample")

    with pytest.raises(TimeoutError, match="of the sample"):
        list(DataLoader(Numbers(3, own), num_workers=1, timeout=5))


# ---- loops that are left early ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("workers", WORKERS[1:])
@pytest.mark.parametrize("data", [Numbers(1000), Stream(1000)], ids=["samples", "stream"])
def test_a_loop_that_is_left_leaves_no_threads(workers, data):
    for _ in range(5):
        for batch in DataLoader(data, 2, num_workers=workers):  # noqa: B007
            break
    it = iter(DataLoader(data, 2, num_workers=workers))
    next(it)
    assert loader_threads()
    del it
    # the fixture looks for threads


def test_an_iterator_that_is_never_asked_starts_nothing():
    it = iter(DataLoader(Numbers(), num_workers=3))
    assert not loader_threads()
    del it


def test_fifty_epochs_keep_threads_and_memory_flat():
    loader = DataLoader(TensorDataset(mi.rand(256, 64)), 32, shuffle=True, num_workers=2)
    for _ in range(5):
        list(loader)
    used, threads = mi._core.memory_stats()[0], threading.active_count()
    for _ in range(50):
        list(loader)
    gc.collect()
    assert mi._core.memory_stats()[0] <= used + 4096 and threading.active_count() <= threads + 2


def test_autograd_modes_are_the_threads_own():
    """A worker's no_grad does not reach the caller."""

    def sample(i):
        with mi.no_grad():
            time.sleep(0.001)
            return mi.ones(1) * i

    w = mi.ones(1).requires_grad_()
    for x in DataLoader(Numbers(20, sample), 2, num_workers=3):
        assert (x * w).requires_grad
