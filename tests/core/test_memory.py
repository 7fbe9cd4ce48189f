"""Memory: nothing grows, whatever the shapes; the debugging allocator finds what it is there to find."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import mielina as mi
import numpy as np
import pytest

F = mi.nn.functional
SANITIZED = bool(os.environ.get("MIELINA_SANITIZED"))


@pytest.fixture
def by_counts_alone() -> Iterator[None]:
    """Without the cycle collector: what is not freed by reference counts stays, and is seen."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def in_use() -> int:
    return int(mi._core.memory_stats()[0])


def resident() -> int:
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Net(mi.nn.Module):
    """A layer of each kind that keeps something between forward and backward."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = mi.nn.Conv2d(1, 4, 3, padding=1), mi.nn.BatchNorm2d(4)
        self.rnn, self.attend = mi.nn.LSTM(16, 8), mi.nn.MultiheadAttention(8, 2)
        self.layer_norm, self.out = mi.nn.LayerNorm(8), mi.nn.Linear(8, 5)

    def forward(self, x: Any) -> Any:
        y = F.max_pool2d(F.gelu(self.norm(self.conv(x))), 2)
        y, _ = self.rnn(y.flatten(2).permute(1, 0, 2))
        z, _ = self.attend(y, y, y)
        return self.out(F.dropout(self.layer_norm(y + z), 0.2).mean(0))


def test_steps_of_every_kind_of_layer_do_not_grow(by_counts_alone: None) -> None:
    mi.manual_seed(0)
    net, target = Net(), mi.tensor([0, 4, 2])
    optimiser = mi.optim.AdamW(net.parameters())
    used = []
    for i in range(60 if SANITIZED else 300):
        optimiser.zero_grad()
        loss = F.cross_entropy(net(mi.rand(3, 1, 8, 8)), target)
        loss.backward()
        mi.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        if i >= 5:
            used.append(in_use())
    assert min(used) == max(used)
    assert gc.collect() < 100


def test_second_order_and_replays_do_not_grow(by_counts_alone: None) -> None:
    x = mi.rand(6, 6).requires_grad_()
    run = mi.capture(lambda a: mi.softmax(a @ a, 1))
    used = []
    for _ in range(100):
        (g,) = mi.grad((mi.tanh(x @ x) ** 2).sum(), [x], create_graph=True)
        mi.grad((g * g).sum(), [x])
        run(mi.rand(6, 6))
        used.append(in_use())
    assert min(used[3:]) == max(used[3:])


def test_errors_keep_nothing(by_counts_alone: None) -> None:
    x = mi.rand(50, 60).requires_grad_()
    used = []
    for _ in range(50):
        for call in (lambda: x @ x, lambda: x.view(7, 7), lambda: F.conv2d(x, x), lambda: mi.cat([x, x[:, :3]]),
                     lambda: x[:, 99], lambda: (x * 2).backward()):  # fmt: skip
            with pytest.raises((RuntimeError, IndexError)):
                call()
        used.append(in_use())
    assert min(used[2:]) == max(used[2:])


@pytest.mark.skipif(SANITIZED, reason="the sanitizer keeps freed memory aside")
def test_random_shapes_do_not_grow() -> None:
    """Blocks of other sizes are found again: eight classes a doubling, so that not every shape needs its own."""
    rng = np.random.default_rng(0)
    before, sizes = in_use(), []
    mi._core.empty_cache()
    held = mi._core.memory_stats()[1]  # by other tests' arguments
    for i in range(1500):
        shape = [int(n) for n in np.exp(rng.uniform(0, 6, 2))]
        x = mi.rand(*shape)
        y = mi.softmax(x * 2 + 1, 1).t().contiguous()
        (y @ x).sum()
        del x, y
        if i in (749, 1499):
            sizes.append((resident(), mi._core.memory_stats()[1] - held))
    assert in_use() == before
    largest = int(np.exp(12)) * 4
    assert sizes[1][1] < 40 * largest, "the cache holds more than the working set of the largest shapes"
    assert sizes[1][0] - sizes[0][0] < 8 * largest, "resident memory grew in the second half"


DEBUG = {**os.environ, "MIELINA_ALLOC": "debug"}


def run(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=DEBUG, timeout=120)


@pytest.mark.parametrize("at", ["x.numel()", "-1", "x.numel() + 15", "-16"])
def test_the_debugging_allocator_sees_a_write_beside_a_block(at: str) -> None:
    if SANITIZED:
        pytest.skip("AddressSanitizer sees it first")
    script = f"""
import ctypes, mielina as mi
x = mi.ones(100)
ctypes.c_float.from_address(x.data_ptr() + 4 * ({at})).value = 7.0
del x
"""
    done = run(script)
    assert done.returncode < 0 and "beside a block of 400 bytes" in done.stderr


def test_the_debugging_allocator_fills_with_nan() -> None:
    script = """
import mielina as mi
for dtype in (mi.float32, mi.float64, mi.float16, mi.bfloat16):
    for n in (1, 100, 100_000):
        assert bool(mi.isnan(mi.empty(n, dtype=dtype)).all()), (dtype, n)
x = mi.rand(1000).requires_grad_()
(x * x).sum().backward()
assert not bool(mi.isnan(x.grad).any())
"""
    done = run(script)
    assert done.returncode == 0, done.stderr
