"""sort: order, ties, NaN, selection, search, unique, histograms, against NumPy and PyTorch."""

from __future__ import annotations

from typing import Any

import mielina as mi
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mielina.testing import check_op, gradcheck, gradgradcheck, reference, strategies

RNG = np.random.default_rng(0)
X = RNG.standard_normal((5, 7, 9))
SPECIAL = strategies.sample(RNG, (6, 35), values="special")
TIES = strategies.sample(RNG, (6, 35), values="ties").astype(np.float64)
FLOATS = ["float32", "float64", "float16", "bfloat16"]
INPUTS = {"normal": X[0], "special": SPECIAL, "ties": TIES}


@pytest.mark.parametrize("x", INPUTS.values(), ids=INPUTS)
@pytest.mark.parametrize("descending", [False, True])
def test_sort(x: np.ndarray, descending: bool) -> None:
    for dim in (0, 1):
        kw = {"dim": dim, "descending": descending}
        check_op(mi.sort, lambda a, **k: reference.sort(a, stable=True, **k), [x], kw, dtypes=FLOATS)
        check_op(
            mi.argsort,
            lambda a, **k: reference.argsort(a, stable=True, **k),
            [x],
            kw,
            dtypes=["float64"],
            layouts=["sliced"],
        )


@pytest.mark.parametrize("n", [1, 2, 15, 16, 17, 100, 1024, 1025, 5000, 131_073, 300_000])
def test_sort_of_every_length(n: int) -> None:
    for dtype in ("float32", "float64"):
        x = np.where(RNG.random(n) < 0.01, np.nan, np.round(RNG.standard_normal(n) * 50) / 8).astype(dtype)
        for descending in (False, True):
            y = mi.sort(mi.tensor(x), 0, descending)
            e = reference.sort(x, 0, descending)
            np.testing.assert_array_equal(y.indices.numpy(), e[1])
            np.testing.assert_array_equal(y.values.numpy(), e[0])


@pytest.mark.parametrize("n", [2, 15, 63, 64, 65, 128, 129, 255, 257, 1000, 8192, 8193])
def test_rows_beside_each_other(n: int) -> None:
    """Short rows are sorted two at a time; rows with NaN and -0 take another way back to their values."""
    for dtype in ("float32", "float16", "int32", "uint8", "int64"):
        x = RNG.standard_normal((3, n)) * 40
        x[0, n // 2] = -0.0
        x = x.astype(dtype) if dtype != "uint8" else np.abs(x).astype(dtype)
        if dtype.startswith("float"):
            x[1, ::7] = np.nan
            x[1, 1::9] = -np.inf
        for a in (x, np.ascontiguousarray(x.T).T):  # rows that lie together, and apart
            for descending in (False, True):
                y = mi.sort(mi.tensor(a), 1, descending)
                e = reference.sort(x, 1, descending)
                np.testing.assert_array_equal(y.indices.numpy(), e[1])
                np.testing.assert_array_equal(y.values.numpy(), e[0])
                if dtype == "float32":
                    np.testing.assert_array_equal(np.signbit(y.values.numpy()[0]), np.signbit(e[0][0]))


@pytest.mark.parametrize("n", [1, 2, 3, 8, 13, 16, 17, 56, 128, 129, 256, 257])
@pytest.mark.parametrize("rows", [7, 8, 21, 48])
def test_columns(n: int, rows: int) -> None:
    """Rows whose elements lie apart are sorted side by side: with equals, some of them with NaN and -0."""
    torch = pytest.importorskip("torch")
    for dtype in ("float32", "float16", "int16", "int64", "float64"):
        x = np.round(RNG.standard_normal((3, n, rows)) * n / 2)
        x[1][RNG.random((n, rows)) < 0.1] = 40
        if dtype.startswith("float"):
            x[2][RNG.random((n, rows)) < 0.2] = np.nan
            x[:, :, 3] = np.where(x[:, :, 3] == 0, -0.0, x[:, :, 3])
        x = x.astype(dtype)
        for a, dim in ((x, 1), (x.transpose(1, 0, 2), 0), (np.ascontiguousarray(x.transpose(0, 2, 1)), 2)):
            mine, theirs = mi.tensor(a), torch.tensor(a)
            for descending in (False, True):
                y, e = mi.sort(mine, dim, descending), torch.sort(theirs, dim=dim, descending=descending, stable=True)
                np.testing.assert_array_equal(y.indices.numpy(), e.indices.numpy())
                np.testing.assert_array_equal(y.values.numpy(), e.values.numpy())
                if dtype == "float32":
                    np.testing.assert_array_equal(np.signbit(y.values.numpy()), np.signbit(e.values.numpy()))
                k = (n + 1) // 2
                y, e = mi.topk(mine, k, dim, descending), torch.topk(theirs, k, dim, descending)
                np.testing.assert_array_equal(y.indices.numpy(), e.indices.numpy())
                np.testing.assert_array_equal(y.values.numpy(), e.values.numpy())
            for name in ("median", "nanmedian"):
                y, e = getattr(mi, name)(mine, dim), getattr(torch, name)(theirs, dim)
                check_choice(y, e.values.numpy(), a, dim, name)


def check_choice(y: Any, expected: np.ndarray, x: np.ndarray, dim: int, name: str = "") -> None:
    """The expected values, and indices of them in x, each once; which of several equals is told in audit/."""
    values, indices = (np.asarray(part.numpy()) for part in y)
    np.testing.assert_array_equal(values, expected, err_msg=name)
    if x.ndim == 0:
        assert not indices.any()
        return
    if indices.ndim < x.ndim:
        values, indices = np.expand_dims(values, dim), np.expand_dims(indices, dim)
    np.testing.assert_array_equal(np.take_along_axis(x, indices, dim), values, err_msg=name)
    assert (np.diff(np.sort(indices, dim), axis=dim) > 0).all(), name


@pytest.mark.parametrize("k", [1, 3, 8, 9, 50, 300, 1000])
def test_few_of_long_rows(k: int) -> None:
    """Rows in order, against it, with equals and with NaN: the limit moves in each element or in none."""
    n = 9001
    x = RNG.standard_normal((5, n)).astype(np.float32)
    x[1].sort()
    x[2] = -np.sort(x[2])
    x[3] = np.round(x[3])
    x[4, RNG.integers(0, n, 2 * k)] = np.nan
    whole = [(x[:4] * 1000).astype(dtype) for dtype in ("int32", "int16", "int64")]
    for a in (x, -x, x.astype(np.float16), *whole, np.full((2, n), np.nan, np.float32)):
        for largest in (True, False):
            e = reference.topk(a, k, 1, largest)[0]
            check_choice(mi.topk(mi.tensor(a), k, 1, largest), e, a, 1, f"{a.dtype} {largest}")
    distinct = np.stack([RNG.permutation(n) for _ in range(3)]).astype(np.float32)
    y = mi.topk(mi.tensor(distinct), k)
    np.testing.assert_array_equal(y.indices.numpy(), np.argsort(-distinct, 1)[:, :k])


@pytest.mark.parametrize("dtype", ["int64", "int32", "int16", "int8", "uint8", "bool"])
def test_integers(dtype: str) -> None:
    info = None if dtype == "bool" else np.iinfo(dtype)
    x = (
        RNG.integers(0, 2, (4, 50)).astype(bool)
        if info is None
        else RNG.integers(info.min, info.max, (4, 50), endpoint=True, dtype=dtype)
    )
    for name, kw in (("sort", {"dim": 1}), ("sort", {"dim": 0, "descending": True}), ("topk", {"k": 9}), ("mode", {}),
                     ("median", {"dim": 1})):  # fmt: skip
        y, e = getattr(mi, name)(mi.tensor(x), **kw), getattr(reference, name)(x, **kw)
        check_choice(y, e[0], x, kw.get("dim", -1), name)
        if name in ("sort", "median"):
            np.testing.assert_array_equal(y[1].numpy(), e[1], err_msg=name)


@given(strategies.shapes(0, 3), st.data())
@settings(max_examples=40, deadline=None)
def test_any_shape(shape: tuple[int, ...], data: st.DataObject) -> None:
    x = data.draw(strategies.arrays(shape, values="special"))
    dim = data.draw(strategies.dims(len(shape)))
    y, e = mi.sort(mi.tensor(x), dim), reference.sort(x, dim)
    np.testing.assert_array_equal(y[1].numpy(), e[1])
    np.testing.assert_array_equal(y[0].numpy(), e[0])
    n = shape[dim] if shape else 1
    k = data.draw(st.integers(0 if shape else 1, n))
    largest = data.draw(st.booleans())
    check_choice(mi.topk(mi.tensor(x), k, dim, largest), reference.topk(x, k, dim, largest)[0], x, dim)


@pytest.mark.parametrize("x", INPUTS.values(), ids=INPUTS)
def test_selection(x: np.ndarray) -> None:
    torch = pytest.importorskip("torch")
    a, b = mi.tensor(x), torch.tensor(x)
    for dim in (0, 1):
        for k in (1, 3, x.shape[dim]):
            np.testing.assert_array_equal(mi.kthvalue(a, k, dim)[0].numpy(), torch.kthvalue(b, k, dim)[0].numpy())
        for name in ("mode", "median"):
            y, e = getattr(mi, name)(a, dim, keepdim=True), getattr(reference, name)(x, dim, True)
            if name == "mode" and np.isnan(x).any():
                continue  # NaN are one value here, as in PyTorch, and distinct in the reference
            check_choice(y, e[0], x, dim, name)
            if name == "median":
                np.testing.assert_array_equal(y[1].numpy(), e[1])
    np.testing.assert_array_equal(mi.msort(a).numpy(), torch.msort(b).numpy())


def test_gradients() -> None:
    x = mi.tensor(strategies.sample(RNG, (4, 6), values="distinct"), requires_grad=True)
    for f in (lambda x: mi.sort(x, 1, True)[0], lambda x: mi.topk(x, 3, 0).values,
              lambda x: mi.kthvalue(x, 2, 1).values, lambda x: mi.mode(x, 0, True)[0],
              lambda x: mi.msort(x) * x):  # fmt: skip
        gradcheck(f, [x])
        gradgradcheck(f, [x])


def test_threads_and_levels_agree() -> None:
    x = RNG.standard_normal((3, 140_000))
    check_op(mi.sort, reference.sort, [x], {"dim": 1}, dtypes=["float32"], layouts=["contiguous"], threads=(2, 5))
    check_op(mi.topk, reference.topk, [x], {"k": 50}, dtypes=["float32"], layouts=["contiguous"], threads=(2,))


def test_search() -> None:
    torch = pytest.importorskip("torch")
    s = np.sort(RNG.integers(-5, 5, (3, 20)).astype(np.float32), -1)
    v = RNG.integers(-7, 7, (3, 11)).astype(np.float32)
    v[0, 0] = np.nan
    for right in (False, True):
        y, e = (
            mi.searchsorted(mi.tensor(s), mi.tensor(v), right=right),
            torch.searchsorted(torch.tensor(s), torch.tensor(v), right=right),
        )
        np.testing.assert_array_equal(y.numpy(), e.numpy())
        y, e = (
            mi.bucketize(mi.tensor(v), mi.tensor(s[0]), right=right),
            torch.bucketize(torch.tensor(v), torch.tensor(s[0]), right=right),
        )
        np.testing.assert_array_equal(y.numpy(), e.numpy())
    x = RNG.standard_normal((3, 20))
    order = np.argsort(x, -1)
    y = mi.searchsorted(
        mi.tensor(x), mi.tensor(v.astype(np.float64)), sorter=mi.tensor(order), side="right", out_int32=True
    )
    e = torch.searchsorted(
        torch.tensor(x), torch.tensor(v.astype(np.float64)), sorter=torch.tensor(order), side="right", out_int32=True
    )
    assert y.dtype is mi.int32
    np.testing.assert_array_equal(y.numpy(), e.numpy())
    assert mi.searchsorted(mi.tensor([1, 3, 5]), 4).item() == 2 and mi.bucketize(0.5, mi.tensor([0, 1])).item() == 1
    a, b = mi.tensor(s), mi.tensor(v)
    for f in (lambda: mi.searchsorted(a, b, side="left", right=True), lambda: mi.searchsorted(a, b[:2]),
              lambda: mi.searchsorted(a, b, side="middle"), lambda: mi.bucketize(b, a)):  # fmt: skip
        with pytest.raises(RuntimeError):
            f()
    with pytest.raises(RuntimeError, match="sorter"):
        mi.searchsorted(mi.tensor(x[0]), mi.tensor(0.0), sorter=mi.tensor(order[0] + 5))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_search_of_every_length(dtype: str) -> None:
    torch = pytest.importorskip("torch")
    for n in (0, 1, 2, 3, 7, 8, 9, 100, 1023, 1024, 1025):
        s = np.sort(RNG.integers(-n, n + 1, (2, n)), -1).astype(dtype)
        v = RNG.integers(-n - 2, n + 2, (2, 37)).astype(dtype)
        if dtype != "int64" and n > 3:
            s[1, -n // 3 :] = np.nan
        for right in (False, True):
            y = mi.searchsorted(mi.tensor(s), mi.tensor(v), right=right)
            e = torch.searchsorted(torch.tensor(s), torch.tensor(v), right=right)
            np.testing.assert_array_equal(y.numpy(), e.numpy(), err_msg=str(n))
        np.testing.assert_array_equal(mi.isin(mi.tensor(v), mi.tensor(s)).numpy(), np.isin(v, s))


def test_isin() -> None:
    a, t = RNG.integers(0, 20, (4, 30)), RNG.integers(0, 20, 7)
    for invert in (False, True):
        np.testing.assert_array_equal(
            mi.isin(mi.tensor(a), mi.tensor(t), invert=invert).numpy(), np.isin(a, t, invert=invert)
        )
    assert mi.isin(mi.tensor([1.0, np.nan]), mi.tensor([np.nan, 1.0])).tolist() == [True, False]
    assert mi.isin(mi.tensor([1, 2]), 2).tolist() == [False, True] and mi.isin(2, mi.tensor([1, 2])).item() is True
    assert mi.isin(mi.zeros(0), mi.zeros(3)).shape == (0,) and mi.isin(mi.zeros(2), mi.zeros(0)).tolist() == [
        False,
        False,
    ]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8", "bool"])
def test_unique(dtype: str) -> None:
    torch = pytest.importorskip("torch")
    x = RNG.integers(0, 2 if dtype == "bool" else 4, (6, 3, 4)).astype(dtype)
    x[2], x[4] = x[0], x[1]
    a, b = mi.tensor(x), torch.tensor(x)
    for name in ("unique", "unique_consecutive"):
        for dim in (None, 0, 1, -1):
            y = getattr(mi, name)(a, return_inverse=True, return_counts=True, dim=dim)
            e = getattr(torch, name)(b, return_inverse=True, return_counts=True, dim=dim)
            for mine, theirs in zip(y, e):
                assert mine.shape == tuple(theirs.shape)
                np.testing.assert_array_equal(mine.numpy(), theirs.numpy(), err_msg=f"{name} {dim}")
            np.testing.assert_array_equal(getattr(mi, name)(a, dim=dim).numpy(), e[0].numpy(), err_msg=f"{name} {dim}")
    assert mi.unique(mi.tensor([np.nan, 1.0, np.nan])).shape == (3,)
    assert mi.unique(mi.zeros(0)).shape == (0,) and mi.unique(mi.tensor(2.0)).tolist() == [2]


def test_histograms() -> None:
    torch = pytest.importorskip("torch")
    n, w = RNG.integers(0, 9, 100), RNG.random(100)
    for kw in ({}, {"minlength": 20}, {"weights": w}, {"weights": w.astype(np.float32), "minlength": 3}):
        mine = {k: mi.tensor(v) if isinstance(v, np.ndarray) else v for k, v in kw.items()}
        theirs = {k: torch.tensor(v) if isinstance(v, np.ndarray) else v for k, v in kw.items()}
        y, e = mi.bincount(mi.tensor(n), **mine), torch.bincount(torch.tensor(n), **theirs)
        assert str(y.dtype).split(".")[-1] == str(e.dtype).split(".")[-1]
        np.testing.assert_allclose(y.numpy(), e.numpy(), rtol=1e-6)
    x = np.append(RNG.standard_normal(1000), [np.nan, 2.0, -2.0])
    for kw in ({"bins": 10, "min": -2, "max": 2}, {"bins": 7, "min": -1, "max": 3}):
        np.testing.assert_array_equal(mi.histc(mi.tensor(x), **kw).numpy(), torch.histc(torch.tensor(x), **kw).numpy())
    np.testing.assert_array_equal(mi.histc(mi.tensor(x[:1000])).numpy(), torch.histc(torch.tensor(x[:1000])).numpy())
    for f in (lambda: mi.bincount(mi.tensor([-1])), lambda: mi.bincount(mi.zeros(3)), lambda: mi.histc(mi.zeros(3), 0),
              lambda: mi.bincount(mi.tensor([1]), mi.zeros(2)), lambda: mi.histc(mi.zeros(3), 5, 2, 1)):  # fmt: skip
        with pytest.raises(RuntimeError):
            f()


def test_errors() -> None:
    x: Any = mi.zeros(2, 3)
    for f in (lambda: x.topk(4), lambda: x.kthvalue(0), lambda: x.kthvalue(4)):
        with pytest.raises(RuntimeError, match="k = "):
            f()
    for f in (lambda: x.sort(2), lambda: mi.zeros(2, 0).mode(), lambda: mi.zeros(0, 2).kthvalue(1, 0)):
        with pytest.raises(IndexError):
            f()
