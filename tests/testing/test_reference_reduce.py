"""The reduction references against PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

RNG = np.random.default_rng(1)
X = RNG.standard_normal((2, 3, 4, 5))
ODD = np.array([[1.0, np.nan, 3.0, 3.0], [np.inf, -np.inf, 0.0, -0.0], [2.0, 2.0, 1.0, 2.0], [-np.inf] * 4])
INTEGERS = RNG.integers(-5, 6, (3, 4))
DIMS: list[Any] = [0, 1, -1, (0, 2), (1, -1), (0, 1, 2, 3)]


@pytest.mark.parametrize(
    "name", ["sum", "mean", "nansum", "nanmean", "amax", "amin", "std", "var", "logsumexp", "norm"]
)
def test_over_dims(name: str, agree: Any) -> None:
    for keepdim in (False, True):
        for dim in DIMS:
            kwargs = {"p": 3} if name == "norm" and isinstance(dim, tuple) else {}  # "fro" takes at most two dims
            agree(name, X, dim=dim, keepdim=keepdim, **kwargs)
        agree(name, ODD, dim=1, keepdim=keepdim)
        agree(name, np.zeros((3, 0)), dim=0, keepdim=keepdim)
        if name not in ("amax", "amin"):
            agree(name, np.zeros((3, 0)), dim=1, keepdim=keepdim)
        agree(name, np.asarray(2.5), dim=0)
    if name != "logsumexp":
        agree(name, X)
        agree(name, ODD)
        agree(name, np.asarray(2.5))


@pytest.mark.parametrize(
    "name",
    "sum nansum prod cumsum cumprod amax amin all any count_nonzero argmax argmin max min cummax".split(),  # noqa: SIM905
)  # fmt: skip
def test_integers_and_bool(name: str, agree: Any) -> None:
    small = np.clip(INTEGERS, -2, 2)
    for x in (small, small.astype(np.int8), small.astype(np.uint8), small.astype(np.int32), small > 0):
        if x.dtype == bool and name in ("argmax", "argmin", "nansum"):
            continue
        agree(name, x, 1)
        if not name.startswith("cum"):
            agree(name, x)


@pytest.mark.parametrize("name", ["prod", "all", "any", "argmax", "argmin", "max", "min"])
def test_over_one_dim(name: str, agree: Any) -> None:
    for keepdim in (False, True):
        for dim in (0, 2, -1):
            agree(name, X, dim, keepdim)
        agree(name, ODD, 0, keepdim)
        agree(name, ODD, 1, keepdim)
        agree(name, np.asarray(2.5), 0, keepdim)
    agree(name, ODD)
    agree(name, X)
    agree(name, np.zeros((0, 3)), 1)


@pytest.mark.parametrize("name", ["cumsum", "cumprod", "logcumsumexp", "cummax"])
def test_running(name: str, agree: Any) -> None:
    for dim in (0, 2, -1):
        agree(name, X, dim)
    for dim in (0, 1):
        agree(name, ODD, dim)
    agree(name, np.asarray(2.5), 0)
    agree(name, np.zeros((2, 0, 3)), 1)


def test_dtype(agree: Any) -> None:
    for name in ("sum", "prod", "nansum"):
        agree(name, X, dtype=np.int64)
        agree(name, INTEGERS, dtype=np.float64)
        agree(name, INTEGERS, dtype=np.int8)
    agree("mean", INTEGERS, dtype=np.float64)
    agree("cumsum", INTEGERS, 0, dtype=np.float64)
    agree("cumprod", INTEGERS, 0, dtype=np.int32)


def test_two_operand_max(agree: Any) -> None:
    agree("max", ODD, ODD[::-1].copy())
    agree("min", ODD, ODD[0])


def test_moments(agree: Any) -> None:
    for name in ("std", "var", "std_mean", "var_mean"):
        for correction in (0, 1, 2, 7):
            agree(name, X, dim=(1, 3), correction=correction, keepdim=True)
            agree(name, X, dim=1, correction=correction)
        agree(name, X, unbiased=False, dim=(0, 1))
        agree(name, np.asarray(1.0), dim=None)
    m = RNG.standard_normal((3, 7))
    agree("cov", m)
    agree("cov", m[0])
    agree("cov", m, correction=0)
    agree("cov", m, fweights=np.arange(1, 8), aweights=RNG.random(7) + 0.1)
    agree("corrcoef", m)
    agree("corrcoef", m[0])


def test_norms(agree: Any) -> None:
    for p in (0, 0.5, 1, 2, 2.0, 3, np.inf, -np.inf, "fro"):
        agree("norm", X, p=p)
        if p != "fro":
            agree("norm", X, p=p, dim=(0, 2), keepdim=True)
            agree("norm", ODD, p=p, dim=1)


def test_integrals_histograms_trace(agree: Any) -> None:
    agree("trapezoid", X)
    agree("trapezoid", X, dx=0.5, dim=1)
    agree("trapezoid", X, RNG.random(5).cumsum())
    agree("trapezoid", X, RNG.random(X.shape).cumsum(1), dim=1)
    agree("cumulative_trapezoid", X, dim=2)
    agree("cumulative_trapezoid", X, RNG.random(5).cumsum())
    agree("trace", X[0, 0])
    agree("trace", INTEGERS)
    agree("histc", X.ravel(), bins=7)
    agree("histc", X, bins=5, min=-1, max=1)
    agree("histc", np.ones(3), bins=4)
    counts = RNG.integers(0, 6, 20)
    agree("bincount", counts)
    agree("bincount", counts, minlength=9)
    agree("bincount", counts, RNG.random(20), 3)
    agree("bincount", np.zeros(0, np.int64))
    for dim in (None, 0, (0, 1)):
        agree("count_nonzero", ODD, dim)
