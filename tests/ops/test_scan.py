"""scan: running sums, products and extrema against NumPy and PyTorch; gradients with zeros and infinities."""

from __future__ import annotations

from typing import Any

import mielina as mi
import numpy as np
import pytest
from mielina.testing import check_op, gradcheck, gradgradcheck, reference, strategies

RNG = np.random.default_rng(0)
X = RNG.standard_normal((5, 7, 9))
SPECIAL = strategies.sample(RNG, (6, 35), values="special")
TIES = strategies.sample(RNG, (6, 35), values="ties").astype(np.float64)
FLOATS = ["float32", "float64", "float16", "bfloat16"]


@pytest.mark.parametrize("name", ["cumsum", "cumprod", "logcumsumexp"])
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_running(name: str, dim: int) -> None:
    check_op(getattr(mi, name), getattr(reference, name), [X], {"dim": dim}, dtypes=FLOATS, length=9, amplification=8,
             magnitude=8.0, grad=True, grad_amplification=64)  # fmt: skip


@pytest.mark.parametrize("shape", [(1, 5000), (3, 1025), (1025, 70), (2, 300, 3), (4, 1)])
def test_blocks_and_tails(shape: tuple[int, ...]) -> None:
    x = RNG.standard_normal(shape)
    for dim in range(len(shape)):
        n = shape[dim]
        check_op(mi.cumsum, reference.cumsum, [x], {"dim": dim}, length=n, magnitude=4 * np.sqrt(n), amplification=4,
                 layouts=["contiguous", "transposed", "sliced"])  # fmt: skip
        check_op(
            mi.cummax, reference.cummax, [x], {"dim": dim}, dtypes=["float32"], layouts=["contiguous", "transposed"]
        )


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 2, 3, 1), (3, 0, 2, 1), (2, 3, 1, 0)])
def test_every_order_of_memory(order: tuple[int, ...]) -> None:
    x = np.round(RNG.standard_normal((3, 21, 5, 6)) * 4)  # sums of whole numbers are exact
    y = 1 + (x > 8)
    back = np.argsort(order).tolist()
    for dtype in ("float32", "float64", "int64", "float16"):
        a, b = (mi.tensor(v.astype(dtype)).permute(*order).contiguous().permute(*back) for v in (x, y))
        for dim in range(4):
            np.testing.assert_array_equal(mi.cumsum(a, dim).numpy(), x.cumsum(dim))
            np.testing.assert_array_equal(mi.cumprod(b, dim).numpy(), y.cumprod(dim))
            np.testing.assert_array_equal(mi.cummax(a, dim).values.numpy(), np.maximum.accumulate(x, dim))


def test_running_extremes() -> None:
    torch = pytest.importorskip("torch")
    for x in (SPECIAL, TIES, RNG.integers(0, 4, (6, 30))):
        for dim in (0, 1):
            for name in ("cummax", "cummin"):
                mine, theirs = getattr(mi, name)(mi.tensor(x), dim), getattr(torch, name)(torch.tensor(x), dim)
                np.testing.assert_array_equal(mine.values.numpy(), theirs.values.numpy())
                np.testing.assert_array_equal(mine.indices.numpy(), theirs.indices.numpy())


@pytest.mark.parametrize("n", [1, 3, 4, 7, 8, 15, 16, 17, 1023, 1024, 1025, 2100])
def test_running_extremes_of_every_length(n: int) -> None:
    torch = pytest.importorskip("torch")
    for dtype in ("float32", "float64", "float16", "int64", "uint8"):
        x = np.abs(np.round(RNG.standard_normal((3, n)) * 3)).astype(dtype)
        if dtype != "uint8":
            x[0] = -x[0]
        if dtype.startswith("float"):
            x[1] = -np.inf
            x[2, n // 2] = np.nan
            x[0, : n // 3] = np.inf
        for a, b in ((mi.tensor(x), torch.tensor(x)), (mi.tensor(x.T), torch.tensor(x.T)),
                     (mi.tensor(x.repeat(23, 0).T).T, torch.tensor(x.repeat(23, 0)))):  # fmt: skip
            for name in ("cummax", "cummin"):
                for dim in (0, 1):
                    mine, theirs = getattr(mi, name)(a, dim), getattr(torch, name)(b, dim)
                    np.testing.assert_array_equal(mine.values.numpy(), theirs.values.numpy())
                    np.testing.assert_array_equal(mine.indices.numpy(), theirs.indices.numpy())


@pytest.mark.parametrize("n", [1, 5, 15, 16, 255, 256, 257, 1025, 2100])
def test_log_sum_exp_of_every_length(n: int) -> None:
    """Rows that rise and fall by more than an exponential can, infinities, NaN: blocks with one base and without."""
    torch = pytest.importorskip("torch")
    x = RNG.standard_normal((9, n))
    x[1] += 3.0 * np.arange(n)
    x[2] -= 3.0 * np.arange(n)
    x[3, n // 2 :] += 1000.0
    x[4, : n // 3] = x[5, n // 2 :] = -np.inf
    x[6, n // 2] = np.inf
    x[7, n // 2] = np.nan
    x[8, n // 3] = -np.inf
    for dtype, tolerance in (("float64", 1e-14), ("float32", 2e-7)):
        t = torch.tensor(x).to(getattr(torch, dtype))
        want = torch.logcumsumexp(t.double(), 1).numpy()
        scale = np.maximum(np.max(np.abs(x), where=np.isfinite(x), initial=8.0, axis=1, keepdims=True), np.log(n))
        with np.errstate(invalid="ignore"):
            for got in (mi.tensor(t.numpy()).logcumsumexp(1), mi.tensor(t.numpy().T.copy()).T.logcumsumexp(1)):
                error = np.where(got.numpy() == want, 0, np.abs(got.numpy() - want)) / scale
                np.testing.assert_array_equal(np.isnan(got.numpy()), np.isnan(want))
                assert np.nanmax(error, initial=0) < tolerance, (dtype, error)


def test_integers_and_dtypes() -> None:
    for dtype in ("int64", "int32", "int8", "uint8", "bool"):
        x = RNG.integers(0, 3, (9, 20)).astype(dtype)
        check_op(mi.cumsum, reference.cumsum, [x], {"dim": 1})
        check_op(mi.cumprod, reference.cumprod, [x], {"dim": 0})
    assert mi.tensor([1, 2]).cumsum(0, dtype=mi.float32).dtype is mi.float32
    assert (
        mi.tensor(3).cumsum(0).item() == 3
        and mi.zeros(0).cumsum(0).shape == (0,)
        and mi.zeros(2, 0).cumprod(0).shape == (2, 0)
    )
    with pytest.raises(IndexError, match="out of range"):
        mi.zeros(2).cumsum(1)


ZEROS = np.array([[1.0, 0.0, 2.0, 0.0, 3.0], [0.5, 2.0, -1.0, 3.0, 4.0], [0.0, 0.0, 1.0, 2.0, 0.0]])


@pytest.mark.parametrize(
    "f",
    [
        lambda x: mi.cumprod(x, 1), lambda x: mi.cumprod(x, 0), lambda x: mi.cumsum(x, 1),
        lambda x: mi.logcumsumexp(x, 1),
        lambda x: mi.diff(x, 2, 0), lambda x: mi.trapezoid(x, dim=0), lambda x: mi.cumulative_trapezoid(x, dx=0.5),
    ],
)  # fmt: skip
def test_gradients_with_zeros(f: Any) -> None:
    x = mi.tensor(ZEROS, requires_grad=True)
    gradcheck(f, [x])
    gradgradcheck(f, [x])


def test_gradients_of_extremes_and_infinities() -> None:
    torch = pytest.importorskip("torch")
    inf = np.array([[-np.inf, -np.inf, 0.0, 1.0, -np.inf], [3.0, -np.inf, 700.0, -700.0, 2.0]])
    for name, x in (("cummax", TIES), ("cummin", TIES), ("logcumsumexp", inf)):
        a, b = mi.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
        y, e = getattr(mi, name)(a, 1), getattr(torch, name)(b, 1)
        y, e = (y[0], e[0]) if isinstance(y, tuple) else (y, e)
        w = RNG.random(x.shape)
        if name == "logcumsumexp":
            w[~np.isfinite(e.detach().numpy())] = 0
        (y * mi.tensor(w)).sum().backward() if name != "logcumsumexp" else y.backward(mi.tensor(w))
        e.backward(torch.tensor(w))
        expected = np.nan_to_num(b.grad.numpy())  # PyTorch has NaN for the -inf that begin a row
        np.testing.assert_allclose(a.grad.numpy(), expected, rtol=1e-9, atol=1e-15, err_msg=name)


@pytest.mark.parametrize(
    "x, expected",
    [
        ([1.0, np.inf, 2.0], [1, np.nan, 0]),  # infinities are passed on to nobody
        ([np.inf, 0.0], [np.nan, 0]),
        ([-np.inf, -1000.0, 2.0], [0, 1, 1]),  # exp(1000) before: the leading -inf had become a 0
    ],
)
def test_gradients_of_logcumsumexp_beside_infinities(x: list[float], expected: list[float]) -> None:
    for dtype in (mi.float64, mi.float32, mi.float16, mi.bfloat16):
        a = mi.tensor(x, dtype=dtype, requires_grad=True)
        mi.logcumsumexp(a, 0).backward(mi.ones(len(x), dtype=dtype))
        np.testing.assert_array_equal(a.grad.to(mi.float64).numpy(), expected)


def test_differences_and_integrals() -> None:
    for kw in ({}, {"n": 2}, {"n": 0}, {"dim": 1}, {"n": 20}):
        np.testing.assert_array_equal(
            mi.diff(mi.tensor(X), **kw).numpy(), np.diff(X, kw.get("n", 1), kw.get("dim", -1))
        )
    a, b = mi.tensor(X[0]), mi.tensor(X[1])
    np.testing.assert_array_equal(
        mi.diff(a, prepend=b, append=b).numpy(), np.diff(np.concatenate([X[1], X[0], X[1]], -1))
    )
    points = np.sort(RNG.random(9))
    for kw in ({}, {"dx": 0.5}, {"x": points}, {"dim": 1}, {"x": X[1]}):
        mine = {k: mi.tensor(v) if isinstance(v, np.ndarray) else v for k, v in kw.items()}
        y = X if "dim" in kw else X[0]
        for name in ("trapezoid", "cumulative_trapezoid"):
            area, expected = getattr(mi, name)(mi.tensor(y), **mine), getattr(reference, name)(y, **kw)
            np.testing.assert_allclose(area.numpy(), expected, rtol=1e-10, atol=1e-12)
    assert mi.diff(mi.tensor([True, True, False])).tolist() == [False, True]
    assert mi.diff(a, 0).add_(1) is not a and a.tolist() == X[0].tolist()
    for f in (lambda: mi.diff(mi.tensor(1.0)), lambda: mi.diff(a, -1), lambda: mi.trapezoid(a > 0)):
        with pytest.raises(RuntimeError):
            f()
    with pytest.raises(TypeError):
        mi.trapezoid(a, a, dx=1.0)
