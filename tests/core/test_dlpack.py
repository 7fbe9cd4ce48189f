"""Memory shared through DLPack, with NumPy and PyTorch as partners."""

from __future__ import annotations

import gc
from typing import Any

import mielina as mi
import numpy as np
import pytest

NAMES = ("float32", "float64", "float16", "int64", "int32", "int16", "int8", "uint8", "bool")


@pytest.mark.parametrize("name", NAMES)
def test_numpy_both_ways(name: str) -> None:
    x = mi.arange(12).reshape(3, 4).to(getattr(mi, name))
    a = np.from_dlpack(x)
    assert a.dtype == name and np.array_equal(a, x.numpy()) and a.ctypes.data == x.data_ptr()
    y = mi.from_dlpack(np.array(x.numpy()).T)
    assert y.shape == (4, 3) and y.dtype is x.dtype and np.array_equal(y.numpy(), x.numpy().T)


@pytest.mark.parametrize("name", [*NAMES, "bfloat16"])
def test_torch_both_ways(name: str) -> None:
    torch = pytest.importorskip("torch")
    x = mi.arange(12).reshape(3, 4).to(getattr(mi, name))
    t = torch.from_dlpack(x.t())
    assert t.dtype is getattr(torch, name) and t.data_ptr() == x.data_ptr() and t.stride() == (1, 4)
    y = mi.from_dlpack(t)
    assert y.dtype is x.dtype and y.data_ptr() == x.data_ptr() and y.stride() == (1, 4)
    assert np.array_equal(y.float().numpy(), x.t().float().numpy())


def test_lifetimes() -> None:
    a = np.from_dlpack(mi.ones(1000))
    gc.collect()
    assert a.sum() == 1000
    y = mi.from_dlpack(np.ones(1000))
    gc.collect()
    assert y.sum().item() == 1000
    capsule = mi.ones(3).__dlpack__()
    assert mi.from_dlpack(capsule).tolist() == [1, 1, 1]
    with pytest.raises(TypeError, match="nobody has used"):
        mi.from_dlpack(capsule)
    del capsule
    mi.ones(3).__dlpack__(max_version=(1, 0))  # dropped unused


def test_read_only() -> None:
    a = np.arange(3.0)
    a.flags.writeable = False
    if np.lib.NumpyVersion(np.__version__) >= "2.1.0":
        x = mi.from_dlpack(a)
        with pytest.raises(ValueError, match="read-only"):
            x.fill_(1)
        assert not np.from_dlpack(x).flags.writeable
    x = mi.from_numpy(a)
    with pytest.raises(BufferError, match="read-only"):
        x.__dlpack__()
    assert np.from_dlpack(x, copy=True).flags.writeable or True


class Old:
    """A producer that knows no versions."""

    def __init__(self, tensor: mi.Tensor) -> None:
        self.tensor = tensor

    def __dlpack__(self, stream: Any = None) -> Any:
        return self.tensor.__dlpack__()


def test_versions_and_errors() -> None:
    x = mi.ones(2, 3)
    assert "dltensor_versioned" in repr(x.__dlpack__(max_version=(1, 0)))
    assert "versioned" not in repr(x.__dlpack__())
    assert mi.from_dlpack(Old(x)).data_ptr() == x.data_ptr()
    assert x.__dlpack_device__() == (1, 0)
    with pytest.raises(BufferError, match="gradient"):
        mi.ones(2, requires_grad=True).__dlpack__()
    with pytest.raises(BufferError, match="device"):
        x.__dlpack__(dl_device=(2, 0))
    with pytest.raises(BufferError, match="no tensor dtype"):
        mi.from_dlpack(np.ones(2, np.uint32))
    with pytest.raises(BufferError, match="no tensor dtype"):
        mi.from_dlpack(np.ones(2, np.complex64))
    with pytest.raises(TypeError):
        mi.from_dlpack(3)
    assert np.from_dlpack(mi.zeros(0, 3)).shape == (0, 3) and mi.from_dlpack(np.zeros((0, 3))).shape == (0, 3)
    assert mi.from_dlpack(np.arange(4.0)[::-1]).tolist() == [3, 2, 1, 0]
