"""Threads change nothing but the time: bits, errors, forks and concurrent Python threads."""

import hashlib
import os
import subprocess
import sys
import threading

import mielina as mi
import mielina.nn.functional as F
import numpy as np
import pytest
from mielina import _core
from mielina.testing import Library, use_isa


@pytest.fixture
def threads():
    before = mi.get_num_threads()
    yield mi.set_num_threads
    mi.set_num_threads(before)


def work():
    """The spine's ops at sizes that are cut into many pieces."""
    mi.manual_seed(0)
    x, w, b = mi.rand(300, 500), mi.rand(400, 500), mi.rand(400)
    image, filters = mi.rand(2, 3, 40, 40), mi.rand(8, 3, 3, 3)
    y = F.linear(x, w, b)
    t = mi.tensor(np.arange(300) % 400)
    big = mi.rand(1 << 18)
    parts = [
        x + 1.0,
        y,
        x @ w.T,
        F.relu(y - y.mean()),
        mi.softmax(y, 1),
        F.cross_entropy(y, t),
        y.sum(0),
        y.sum(1),
        y.sum(),
        big.sum(),
        F.conv2d(image, filters, padding=1),
        F.dropout(big, 0.5),
        big,
    ]
    return b"".join(p.numpy().tobytes() for p in parts)


def test_bits_do_not_depend_on_threads(threads):
    results = set()
    for n in (1, 2, 7):
        threads(n)
        assert mi.get_num_threads() == n
        results.add(work())
    assert len(results) == 1


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one CPU")
def test_workers_leave_the_callers_cpu_to_it():
    """Woken beside another library's spinning threads they would wait for the caller's time slice to end."""
    code = """
import os, pathlib
import mielina as mi
x = mi.rand(512, 512)
before = {p.name for p in pathlib.Path("/proc/self/task").iterdir()}
home = os.sched_getaffinity(0)
mi.set_num_threads(3)
x @ x
workers = {int(p.name) for p in pathlib.Path("/proc/self/task").iterdir() if p.name not in before}
for cpu in home:
    os.sched_setaffinity(0, {cpu})
    x @ x
    print(*(os.sched_getaffinity(w) == home - {cpu} for w in workers), len(workers))
"""
    env = dict(os.environ, MIELINA_NUM_THREADS="1")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
    assert done.stdout.split() == ["True", "True", "2"] * len(os.sched_getaffinity(0))


@pytest.mark.parametrize("n", [1, 2, 7])
def test_so_many_threads_really_run(n):
    assert _core.pool_probe(n) == n


@pytest.mark.parametrize(
    "bad, error",
    [(0, ValueError), (-1, ValueError), (10**9, ValueError), ("2", TypeError), (2.0, TypeError), (True, TypeError)],
)
def test_set_num_threads_rejects(bad, error):
    with pytest.raises(error, match="set_num_threads"):
        mi.set_num_threads(bad)


@pytest.mark.parametrize("text, ok", [("3", True), ("abc", False), ("-1", False), ("1000000000", False), ("0", False)])
def test_environment(text, ok):
    run = subprocess.run(
        [sys.executable, "-c", "import mielina as mi; print(mi.get_num_threads())"],
        capture_output=True,
        text=True,
        env={**os.environ, "MIELINA_NUM_THREADS": text},
    )
    if ok:
        assert run.stdout.strip() == "3"
    else:
        assert run.returncode != 0 and "MIELINA_NUM_THREADS" in run.stderr


def test_unknown_isa():
    run = subprocess.run(
        [sys.executable, "-c", "import mielina"],
        capture_output=True,
        text=True,
        env={**os.environ, "MIELINA_ISA": "avx9"},
    )
    assert run.returncode != 0 and "avx9" in run.stderr and "choose one of" in run.stderr


@pytest.mark.parametrize("isa", Library().isas())
def test_random_bits_are_those_of_every_level(isa):
    """All instruction sets make the same numbers: the digest is the one that each of them gave."""
    with use_isa(isa):
        mi.manual_seed(3)
        drawn = [mi.randn(1001), mi.randn(33, dtype=mi.float64), mi.normal(1.0, 2.0, (5, 7)), mi.rand(77)]
        drawn.append(mi.randint(0, 1000, (99,)))
    digest = hashlib.sha256(b"".join(x.numpy().tobytes() for x in drawn)).hexdigest()
    assert digest.startswith("c670623ebaed18cb")


def test_four_python_threads_at_once():
    expected = work()
    errors, lock = [], threading.Lock()
    a, b = mi.rand(400, 400), mi.rand(400, 400)
    product = (a @ b).numpy().tobytes()

    def run():
        try:
            for _ in range(10):
                assert (a @ b).numpy().tobytes() == product
                x = mi.rand(64, 64).requires_grad_()
                (x @ x).sum().backward()
        except BaseException as e:
            with lock:
                errors.append(e)

    workers = [threading.Thread(target=run) for _ in range(4)]
    for t in workers:
        t.start()
    for t in workers:
        t.join()
    assert not errors
    assert work() == expected


def test_a_replay_has_the_scratch_of_its_recording(threads):
    """Scratch is cut by thread when a call is made: a replay with more threads must not take more."""
    mi.manual_seed(0)
    a, image, filters = mi.rand(600, 700), mi.rand(4, 8, 30, 30), mi.rand(16, 8, 3, 3)
    q = mi.rand(2, 4, 200, 32)

    def step(a):
        y = a @ a.t()
        return y, F.conv2d(image, filters), F.scaled_dot_product_attention(q, q, q), mi.sort(y, 1)[0]

    threads(2)
    expected = [y.numpy().tobytes() for y in step(a)]
    run = mi.capture(step)
    run(a)
    for n in (7, 1):
        threads(n)
        for _ in range(5):
            assert [y.numpy().tobytes() for y in run(a)] == expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_fork_after_use(threads):
    threads(2)
    expected = work()
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(write, b"same" if work() == expected else b"other")
        finally:
            os._exit(0)
    os.close(write)
    assert os.read(read, 5) == b"same"
    os.waitpid(pid, 0)
    assert work() == expected
