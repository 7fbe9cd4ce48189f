"""Sizes that are negative, overflow, or are more than the machine has: an exception, before a page is touched."""

import gc
import time

import mielina as mi
import mielina.nn.functional as F
import numpy as np
import pytest

LARGE = (MemoryError, ValueError, RuntimeError, OverflowError, TypeError)


def resident():
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * 4096


@pytest.fixture(autouse=True)
def nothing_is_touched():
    try:
        before, start = resident(), time.monotonic()
    except OSError:
        yield
        return
    yield
    assert resident() - before < 64 << 20 and time.monotonic() - start < 30


@pytest.mark.parametrize(
    "make",
    [
        lambda: mi.zeros(2**62),
        lambda: mi.zeros(2**63 - 1),
        lambda: mi.zeros(2**63),
        lambda: mi.zeros(2**64),
        lambda: mi.zeros(10**30),
        lambda: mi.ones((2**40, 2**40)),
        lambda: mi.empty((2**40, 2**40)),
        lambda: mi.empty((2**32, 2**32)),
        lambda: mi.empty((2**62, 4, 0)),
        lambda: mi.full((2**61,), 1.0),
        lambda: mi.rand(2**45),
        lambda: mi.randn(2**31, 2**31),
        lambda: mi.randperm(2**55),
        lambda: mi.randint(0, 5, (2**50,)),
        lambda: mi.arange(2**58),
        lambda: mi.arange(0, 1e30),
        lambda: mi.arange(0, 1, 1e-30),
        lambda: mi.linspace(0, 1, 2**56),
        lambda: mi.eye(2**31),
        lambda: mi.ones(1).expand(2**50).clone(),
        lambda: mi.ones(1).expand(2**50) + 1,
        lambda: mi.ones(1).expand(2**30, 1) + mi.ones(1).expand(2**30),
        lambda: mi.ones(3).repeat(2**60),
        lambda: mi.ones(3).repeat(2**31, 2**31),
        lambda: mi.ones(3).tile((2**60,)),
        lambda: mi.repeat_interleave(mi.ones(3), 2**60),
        lambda: mi.repeat_interleave(mi.ones(3), mi.tensor([2**61, 2**61, 2**61])),
        lambda: mi.ones(1).expand(2**40).expand(2**40, 2**40),
        lambda: mi.broadcast_to(mi.ones(2**10, 1), (2**10, 2**50)),
        lambda: mi.bincount(mi.tensor([2**60])),
        lambda: mi.bincount(mi.tensor([1]), minlength=2**60),
        lambda: mi.histc(mi.ones(3), 2**60),
        lambda: F.one_hot(mi.tensor([2**60])),
        lambda: F.one_hot(mi.tensor([1]), 2**60),
        lambda: F.pad(mi.ones(3), (2**62, 2**62)),
        lambda: F.pad(mi.ones(3), (2**63 - 1, 2**63 - 1)),
        lambda: F.interpolate(mi.ones(1, 1, 2, 2), size=(2**31, 2**31)),
        lambda: F.interpolate(mi.ones(1, 1, 2, 2), scale_factor=1e18),
        lambda: F.unfold(mi.ones(1, 1, 3, 3), 1, padding=2**31 - 1),
        lambda: F.fold(mi.ones(1, 1, 1), (2**40, 2**40), 1),
        lambda: F.max_pool2d(mi.ones(1, 1, 3, 3), 2**62, padding=2**61),
        lambda: F.adaptive_avg_pool2d(mi.ones(1, 1, 3, 3), 2**31 - 1),
        lambda: F.conv2d(mi.ones(1, 1, 3, 3), mi.ones(1, 1, 1, 1), padding=2**40),
        lambda: F.conv_transpose2d(mi.ones(1, 1, 3, 3), mi.ones(1, 1, 1, 1), stride=2**40),
        lambda: F.pixel_shuffle(mi.ones(1, 4, 2, 2), 2**31),
        lambda: mi.multinomial(mi.ones(3), 2**60, replacement=True),
        lambda: mi.nn.Linear(2**40, 2**40),
        lambda: mi.nn.Embedding(2**62, 8),
        lambda: mi.cartesian_prod(*[mi.ones(2**10)] * 7),
        lambda: mi.cdist(mi.ones(2**20, 1), mi.ones(2**20, 1)),
        lambda: mi.tril_indices(2**40, 2**40),
        lambda: mi.kron(mi.ones(2**20), mi.ones(2**20)),
    ],
)
def test_too_large(make):
    with pytest.raises(LARGE) as e:
        make()
    assert str(e.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: mi.zeros(-1),
        lambda: mi.empty((2, -3)),
        lambda: mi.rand(-(2**63)),
        lambda: mi.eye(-1),
        lambda: mi.randperm(-1),
        lambda: mi.linspace(0, 1, -1),
        lambda: mi.arange(0, -5, 1),
        lambda: mi.ones(3).expand(-2),
        lambda: mi.ones(3).repeat(-1),
        lambda: mi.ones(3).reshape(-2, -1),
        lambda: mi.ones(6).reshape(-1, -1),
        lambda: mi.ones(6).split(-1),
        lambda: mi.ones(6).chunk(-1),
        lambda: mi.ones(6).narrow(0, 0, -1),
        lambda: mi.ones(6).topk(-1),
        lambda: mi.repeat_interleave(mi.ones(3), -1),
        lambda: mi.repeat_interleave(mi.ones(2), mi.tensor([1, -1])),
        lambda: mi.bincount(mi.tensor([-1])),
        lambda: F.pad(mi.ones(3), (-2, -2)),
        lambda: F.one_hot(mi.tensor([-1])),
        lambda: F.max_pool1d(mi.ones(1, 1, 5), -1),
        lambda: F.conv1d(mi.ones(1, 1, 5), mi.ones(1, 1, 2), padding=-1),
        lambda: F.conv1d(mi.ones(1, 1, 5), mi.ones(1, 1, 2), stride=0),
        lambda: mi.nn.Linear(-1, 2),
        lambda: mi.multinomial(mi.ones(3), -1),
        lambda: mi.ones(3).unfold(0, -1, 1),
    ],
)
def test_negative(make):
    with pytest.raises((ValueError, RuntimeError, IndexError)) as e:
        make()
    assert str(e.value)


def test_nine_dimensions():
    for make in (
        lambda: mi.zeros(*[1] * 9),
        lambda: mi.tensor(np.zeros([1] * 9)),
        lambda: mi.zeros(*[1] * 8).unsqueeze(0),
        lambda: mi.zeros(*[1] * 8).reshape(*[1] * 9),
        lambda: mi.zeros(*[1] * 8)[None],
    ):
        with pytest.raises(ValueError, match="at most 8 dimensions"):
            make()


def test_a_refused_size_costs_nothing():
    gc.collect()  # what earlier tests left behind must not be counted as freed here
    used = mi._core.memory_stats()[0]
    for _ in range(100):
        with pytest.raises((MemoryError, ValueError)):
            mi.zeros(2**45)
    assert mi._core.memory_stats()[0] == used
    assert mi.zeros(3).tolist() == [0, 0, 0]
