"""Tensors through pickle, copy and joblib."""

from __future__ import annotations

import copy
import pickle

import mielina as mi
import numpy as np
import pytest
from mielina.testing import DTYPES


@pytest.mark.parametrize("name", DTYPES)
def test_round_trips(name: str) -> None:
    x = mi.arange(12).reshape(3, 4).to(getattr(mi, name)).t()
    for y in (pickle.loads(pickle.dumps(x)), copy.copy(x), copy.deepcopy(x)):  # noqa: S301
        assert y.dtype is x.dtype and y.shape == x.shape
        assert np.array_equal(y.double().numpy(), x.double().numpy())


def test_flags_and_errors() -> None:
    x = mi.ones(2, requires_grad=True)
    (x * x).sum().backward()
    assert pickle.loads(pickle.dumps(x)).requires_grad  # noqa: S301
    y = copy.deepcopy(x)
    assert y.requires_grad and y.grad is not None and y.grad is not x.grad and y.grad.tolist() == [2, 2]
    with pytest.raises(RuntimeError, match="leaves"):
        pickle.dumps(x * 2)
    with pytest.raises(RuntimeError, match="leaves"):
        copy.deepcopy(x * 2)


def test_joblib(tmp_path: object) -> None:
    joblib = pytest.importorskip("joblib")
    x = {"w": mi.arange(5.0), "b": mi.ones(2).bfloat16()}
    joblib.dump(x, f"{tmp_path}/x.joblib")
    y = joblib.load(f"{tmp_path}/x.joblib")
    assert y["w"].tolist() == [0, 1, 2, 3, 4] and y["b"].dtype is mi.bfloat16


def test_bit_view() -> None:
    x = mi.tensor([1.0, -2.0])
    assert x.view(mi.int32).numpy().tolist() == np.array([1.0, -2.0], np.float32).view(np.int32).tolist()
    assert x.view(mi.int32).data_ptr() == x.data_ptr()
    assert x.view(mi.int16).shape == (4,) and x.view(mi.int64).shape == (1,)
    assert x.view(mi.uint8).view(mi.float32).tolist() == [1, -2]
    for broken in (
        lambda: x[:1].view(mi.int64),
        lambda: x[1:].view(mi.int64),
        lambda: mi.ones(2, 2).t().view(mi.int16),
    ):
        with pytest.raises(RuntimeError, match="view"):
            broken()
