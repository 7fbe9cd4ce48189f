"""Memory shared with NumPy, and memory that cannot be had."""

import gc

import mielina as mi
import numpy as np
import pytest
from mielina import _core


def test_zero_copy_both_ways():
    a = np.arange(12, dtype=np.float32).reshape(3, 4)
    t = mi.from_numpy(a)
    assert t.data_ptr() == a.ctypes.data
    t.add_(1.0)
    assert a[0, 0] == 1
    b = t.numpy()
    b[0, 0] = 9
    assert a[0, 0] == 9
    assert np.shares_memory(a, b)


def test_strided_and_negative_strides():
    a = np.arange(24, dtype=np.float64).reshape(4, 6)
    for view in (a[::2, 1::2], a.T, a[::-1, ::-2], a[1:1], a[2, 3]):
        t = mi.from_numpy(np.asarray(view))
        np.testing.assert_array_equal(t.numpy(), view)
        np.testing.assert_array_equal((t + 1.0).numpy(), view + 1)


def test_memory_lives_as_long_as_it_is_seen():
    t = mi.from_numpy(np.arange(5.0))
    gc.collect()
    assert t.tolist() == [0, 1, 2, 3, 4]
    a = mi.tensor([1.0, 2.0]).numpy()
    gc.collect()
    mi.rand(2)
    assert a.tolist() == [1, 2]


def test_read_only():
    a = np.zeros(3)
    a.flags.writeable = False
    t = mi.from_numpy(a)
    with pytest.raises(ValueError, match="read-only"):
        t.add_(1.0)
    assert not t.numpy().flags.writeable
    assert (t + 1.0).tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    "array, error",
    [
        (np.array(["a"]), TypeError),
        (np.array([object()]), TypeError),
        (np.zeros(2, complex), TypeError),
        (np.zeros(2, np.uint32), TypeError),
        (np.zeros(2, ">f4"), ValueError),
        (np.zeros(9, np.uint8)[1:].view(np.float64), ValueError),
        ([1.0], TypeError),
        (np.zeros((1,) * 9), ValueError),
    ],
)
def test_from_numpy_rejects(array, error):
    with pytest.raises(error, match="from_numpy|ndarray"):
        mi.from_numpy(array)


def test_tensor_copies():
    a = np.zeros(3, np.float32)
    t = mi.tensor(a)
    a[0] = 5
    assert t.tolist() == [0, 0, 0]
    assert mi.as_tensor(a).data_ptr() == a.ctypes.data
    assert (
        mi.tensor([1, 2]).dtype is mi.int64
        and mi.tensor([1.0]).dtype is mi.float32
        and mi.tensor([True]).dtype is mi.bool
    )
    assert mi.tensor(np.float64(1)).dtype is mi.float64


def test_ndarray_times_tensor_is_a_tensor():
    y = np.ones(3, np.float32) * mi.ones(3)
    assert isinstance(y, mi.Tensor) and y.tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    "shape, error",
    [((-1,), RuntimeError), ((1 << 40, 1 << 40), RuntimeError), ((1 << 44,), MemoryError), ((2.5,), TypeError)],
)
def test_impossible_sizes(shape, error):
    with pytest.raises(error):
        mi.empty(*shape)


def test_numpy_of_a_tracked_tensor():
    with pytest.raises(RuntimeError, match="detach"):
        mi.ones(1, requires_grad=True).numpy()


def test_expanded_memory_is_not_written():
    with pytest.raises(RuntimeError, match="single memory location"):
        mi.ones(1).expand(3).add_(1.0)


def test_overlapping_operands_are_copied_first():
    a = mi.tensor([1.0, 2.0, 3.0, 4.0])
    a.narrow(0, 1, 3).add_(a.narrow(0, 0, 3))
    assert a.tolist() == [1, 3, 5, 7]


def test_core_never_crashes_on_wrong_arguments():
    for name in dir(_core):
        f = getattr(_core, name)
        if (
            name.startswith("_")
            or not callable(f)
            or isinstance(f, type)
            or name.startswith(("record", "profile", "set_"))
        ):
            continue
        for args in ((), (None,), (1, 2), ("a", "b", "c"), (mi.ones(2),) * 3, (mi.ones(2), -5, 7, 1 << 62)):
            try:
                f(*args)
            except (TypeError, ValueError, IndexError, RuntimeError, OverflowError, NotImplementedError, MemoryError):
                pass


def test_profile():
    with mi.profile(quiet=True) as p:
        mi.rand(64, 64) @ mi.rand(64, 64)
    rows = {r[0]: r for r in p.rows}
    assert rows["matmul"][1] == 1 and rows["matmul"][4] == 2 * 64**3
    assert "GFLOP/s" in str(p)
