"""reduce: values against NumPy and PyTorch, NaN and tie rules, empty reductions, gradients, bits."""

from __future__ import annotations

from typing import Any

import mielina as mi
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mielina.testing import (
    LAYOUTS,
    Library,
    assert_close,
    check_op,
    gradcheck,
    gradgradcheck,
    make_tensor,
    reference,
    strategies,
    tolerance,
    use_isa,
)

RNG = np.random.default_rng(0)
X = RNG.standard_normal((5, 7, 9))
FLOATS = ["float32", "float64", "float16", "bfloat16"]
SPECIAL = strategies.sample(RNG, (6, 35), values="special")
TIES = strategies.sample(RNG, (6, 35), values="ties").astype(np.float64)


def torch_module() -> Any:
    return pytest.importorskip("torch")


@pytest.mark.parametrize(
    "name", ["sum", "mean", "nansum", "nanmean", "prod", "amax", "amin", "logsumexp", "var", "std", "norm"]
)
@pytest.mark.parametrize("kwargs", [{"dim": 1}, {"dim": -1, "keepdim": True}, {"dim": 0}], ids=str)
def test_one_axis(name: str, kwargs: dict[str, Any]) -> None:
    amplification = {"prod": 16, "std": 4, "var": 4}.get(name, 1)
    magnitude = 1.0 if name in ("mean", "sum", "nansum", "nanmean", "logsumexp") else 0.0
    # Of repeated elements a variance is 0, and nothing is relative to that.
    layouts = [x for x in LAYOUTS if name not in ("var", "std") or "expanded" not in x]
    check_op(getattr(mi, name), getattr(reference, name), [X], kwargs, dtypes=FLOATS, layouts=layouts, length=9,
             amplification=4 * amplification, magnitude=3 * magnitude, grad=True, grad_amplification=64)  # fmt: skip


@pytest.mark.parametrize(
    "name", ["sum", "mean", "amax", "amin", "logsumexp", "var", "std", "norm", "any", "all", "count_nonzero"]
)
@pytest.mark.parametrize("dim", [(0, 2), (1, 2), (0, 1, 2)])
def test_several_axes(name: str, dim: Any) -> None:
    check_op(getattr(mi, name), getattr(reference, name), [X], {"dim": dim}, dtypes=FLOATS[:3], length=320,
             amplification=4, magnitude=5.0)  # fmt: skip


@pytest.mark.parametrize("name", ["sum", "prod", "amax", "amin", "any", "all", "count_nonzero", "argmax", "argmin"])
@pytest.mark.parametrize("dtype", ["int64", "int32", "int8", "uint8", "bool"])
def test_integers(name: str, dtype: str) -> None:
    x = RNG.integers(0, 3, (9, 70)).astype(dtype)
    if dtype == "bool" and name in ("amax", "amin"):
        x = x.astype(bool)
    for dim in (0, 1):
        check_op(getattr(mi, name), getattr(reference, name), [x], {"dim": dim}, threads=(1, 3), isas=None)


@pytest.mark.parametrize("x", [SPECIAL, TIES], ids=["special", "ties"])
def test_order_rules(x: np.ndarray) -> None:
    for name in ("amax", "amin", "argmax", "argmin", "max", "min"):
        for dim in (0, 1):
            check_op(getattr(mi, name), getattr(reference, name), [x], {"dim": dim}, dtypes=FLOATS)
    for name in ("argmax", "argmin", "max", "min"):
        check_op(getattr(mi, name), getattr(reference, name), [x], dtypes=FLOATS[:2])
    check_op(
        lambda a: tuple(mi.aminmax(a, dim=1)),
        lambda a: (reference.amin(a, 1), reference.amax(a, 1)),
        [x],
        dtypes=FLOATS,
    )


def test_long_rows_and_columns_have_the_same_bits_on_all_threads() -> None:
    for shape, dim in (((3, 300_001), 1), ((70_001, 6), 0), ((5_000, 130), 0), ((20_000, 9), 1)):
        x = RNG.standard_normal(shape)
        for name in ("sum", "mean", "amax", "argmax", "var", "logsumexp", "norm"):
            n = shape[dim]
            check_op(getattr(mi, name), getattr(reference, name), [x], {"dim": dim}, dtypes=["float32"], threads=(2, 5),
                     layouts=["contiguous", "transposed"], length=n, amplification=4, magnitude=np.sqrt(n))  # fmt: skip


@given(strategies.shapes(1, 4), st.data())
@settings(max_examples=40, deadline=None)
def test_any_shape(shape: tuple[int, ...], data: st.DataObject) -> None:
    x = data.draw(strategies.arrays(shape))
    dim = data.draw(strategies.several_dims(len(shape)))
    keepdim = data.draw(st.booleans())
    layout = data.draw(strategies.layouts())
    t = make_tensor(x, "float64", layout)
    a = t.numpy()
    names = ["sum", "mean", "var", "count_nonzero"] + (["amax", "amin"] if x.size else [])
    for name in names:
        kw = {} if name == "count_nonzero" else {"keepdim": keepdim}
        with np.errstate(all="ignore"):
            expected = np.asarray(getattr(reference, name)(a, dim, **kw))
        y = getattr(mi, name)(t, dim, **kw)
        assert tuple(y.shape) == expected.shape
        dtype = "int64" if name == "count_nonzero" else "float64"
        assert_close(
            y.numpy(), expected, dtype, tolerance("float64", x.size, 8, correlated=True), 4.0 * max(x.size, 1), name
        )


def test_variance_does_not_cancel() -> None:
    x = (RNG.standard_normal(100_000) + 1e4).astype(np.float32)
    exact = x.astype(np.float64).var(ddof=1)
    assert abs(mi.var(mi.tensor(x)).item() / exact - 1) < 1e-5
    column = mi.tensor(x.reshape(-1, 10))
    np.testing.assert_allclose(column.var(0).numpy(), x.reshape(-1, 10).astype(np.float64).var(0, ddof=1), rtol=1e-5)


def test_a_float32_sum_is_nearly_exact() -> None:
    x = np.full(10_000_000, 0.1, np.float32)
    chain = 64  # additions in float32: a block of 1024 in four vectors of at least four numbers; then in double
    assert abs(mi.sum(mi.tensor(x)).item() / (float(np.float32(0.1)) * x.size) - 1) < chain * 2.0**-24


@pytest.mark.parametrize("p", [0, 1, 2, 3, 0.5, -1, -2.5, float("inf"), float("-inf"), "fro"])
def test_norms(p: Any) -> None:
    x = X[:, :, 0] + np.sign(X[:, :, 0]) * 0.1
    grad = p != 0
    check_op(mi.norm, reference.norm, [x], {"p": p, "dim": 1}, dtypes=FLOATS[:3], length=9, amplification=8, grad=grad,
             grad_amplification=64)  # fmt: skip
    check_op(mi.norm, reference.norm, [X], {"p": p}, dtypes=["float32"], length=400, amplification=16)


def test_gradients_where_they_are_delicate() -> None:
    torch = torch_module()
    zeros = np.array([[0.0, 2.0, 3.0], [0.0, 0.0, 3.0], [1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
    cases = [
        ("prod", zeros, {"dim": 1}), ("prod", zeros, {}), ("norm", zeros, {"dim": 1}),
        ("std", zeros * 0 + 2, {"dim": 1}),
        ("amax", TIES, {"dim": 1}), ("amin", TIES, {"dim": (0, 1)}), ("max", TIES, {}), ("median", TIES, {}),
        ("logsumexp", np.array([[1.0, -np.inf], [3.0, 700.0]]), {"dim": 1}), ("mean", X, {"dim": (0, 2)}),
        ("nansum", SPECIAL, {"dim": 1}), ("nanmean", np.where(TIES == 1, np.nan, TIES), {"dim": 1}),
    ]  # fmt: skip
    for name, x, kwargs in cases:
        a = mi.tensor(x, requires_grad=True)
        getattr(mi, name)(a, **kwargs).sum().backward()
        b = torch.tensor(x, requires_grad=True)
        getattr(torch, name)(b, **kwargs).sum().backward()
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-12, err_msg=name)
    a = mi.full((2,), -float("inf")).requires_grad_()
    mi.logsumexp(a, 0).backward()
    assert a.grad.tolist() == [0, 0]  # PyTorch: NaN
    a = mi.tensor([[1.0, np.inf], [np.inf, np.inf]], requires_grad=True)  # exp(x) before: the infinite sum became a 0
    mi.logsumexp(a, 1).sum().backward()
    np.testing.assert_array_equal(a.grad.numpy(), [[0, np.nan], [np.nan, np.nan]])
    for f in (lambda x: mi.prod(x, 1), lambda x: mi.prod(x)):
        x = mi.tensor(zeros, requires_grad=True)
        gradcheck(f, [x])
        gradgradcheck(f, [x])


def test_values_and_indices_carry_gradients() -> None:
    x = mi.tensor(strategies.sample(RNG, (4, 6), values="distinct"), requires_grad=True)
    for f in (lambda x: mi.max(x, 1)[0], lambda x: mi.min(x, 0, True).values, lambda x: mi.median(x, 1)[0],
              lambda x: mi.nanmedian(x, 0).values, lambda x: mi.aminmax(x, dim=1), lambda x: mi.var_mean(x, 1),
              lambda x: mi.std_mean(x, (0, 1)), lambda x: mi.quantile(x, 0.3, 1), lambda x: mi.cov(x),
              lambda x: mi.corrcoef(x), lambda x: mi.dist(x, x * 2 + 1)):  # fmt: skip
        gradcheck(f, [x])
        gradgradcheck(f, [x])


@pytest.mark.parametrize("x", [X[0], SPECIAL, TIES], ids=["normal", "special", "ties"])
def test_medians_and_quantiles(x: np.ndarray) -> None:
    torch = torch_module()
    a, b = mi.tensor(x), torch.tensor(x)
    for name in ("median", "nanmedian"):
        np.testing.assert_array_equal(getattr(mi, name)(a).numpy(), getattr(torch, name)(b).numpy())
        for dim in (0, 1):
            np.testing.assert_array_equal(getattr(mi, name)(a, dim)[0].numpy(), getattr(torch, name)(b, dim)[0].numpy())
    q = [0.0, 0.25, 0.51, 1.0]
    with np.errstate(invalid="ignore"):
        for name in ("quantile", "nanquantile"):
            for how in ("linear", "lower", "higher", "nearest", "midpoint"):
                for dim in (None, 1):
                    y = getattr(mi, name)(a, mi.tensor(q, dtype=mi.float64), dim, interpolation=how).numpy()
                    e = getattr(torch, name)(b, torch.tensor(q, dtype=torch.float64), dim, interpolation=how).numpy()
                    np.testing.assert_allclose(y, e, rtol=1e-12, err_msg=f"{name} {how} {dim}")
    assert mi.quantile(a, 0.5, 0, True).shape == (1, x.shape[1])


def test_covariance() -> None:
    torch = torch_module()
    x, f, w = X[0], RNG.integers(1, 4, 9), RNG.random(9)
    for kw in ({}, {"correction": 0}, {"fweights": f}, {"aweights": w}, {"fweights": f, "aweights": w}):
        mine = {k: mi.tensor(v) if isinstance(v, np.ndarray) else v for k, v in kw.items()}
        theirs = {k: torch.tensor(v) if isinstance(v, np.ndarray) else v for k, v in kw.items()}
        np.testing.assert_allclose(
            mi.cov(mi.tensor(x), **mine).numpy(), torch.cov(torch.tensor(x), **theirs).numpy(), rtol=1e-12
        )
    np.testing.assert_allclose(mi.corrcoef(mi.tensor(x)).numpy(), np.corrcoef(x), rtol=1e-12)
    assert mi.cov(mi.tensor(x[0])).shape == ()


def test_empty_reductions() -> None:
    x = mi.zeros(3, 0)
    assert x.sum(1).tolist() == [0, 0, 0] and x.prod(1).tolist() == [1, 1, 1]
    assert all(np.isnan(v) for v in x.mean(1).tolist() + x.var(1).tolist())
    assert mi.logsumexp(x, 1).tolist() == [-np.inf] * 3 and x.norm(dim=1).tolist() == [0, 0, 0]
    assert x.all(1).tolist() == [True] * 3 and x.any().item() is False and x.amax(0).shape == (0,)
    for f in (lambda: x.amax(1), lambda: x.max(1), lambda: x.argmax(), lambda: x.median(1), lambda: x.argmin(1)):
        with pytest.raises(IndexError):
            f()
    for f in (lambda: x.max(), lambda: x.amin()):
        with pytest.raises(RuntimeError, match="empty"):
            f()


@pytest.mark.parametrize("isa", Library().isas())
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_logsumexp_of_many_rows(isa: str, dtype: str) -> None:
    """Panels of rows whose maxima rise, fall, or are infinite or NaN, in any order, down columns and along rows."""
    with use_isa(isa):
        x = RNG.standard_normal((700, 45)) + np.linspace(-400, 400, 45) * np.linspace(-1, 1, 700)[:, None]
        x[:33, 8] = x[100:, 9] = x[:, 10] = x[20:90, 5] = x[:300, 6] = -np.inf
        x[5, 3] = x[600, 4] = x[40, 5] = x[300, 6] = np.inf
        x[650, 3] = x[2, 4] = x[35, 7] = np.nan
        with np.errstate(invalid="ignore", divide="ignore"):
            m = np.where(np.isfinite(x.max(0)), x.max(0), 0)
            expected = np.log(np.exp(np.minimum(x - m, 700)).sum(0)) + m
        expected[[5, 6]], expected[[3, 4, 7]], expected[10] = np.inf, np.nan, -np.inf
        for t in (mi.tensor(x.astype(dtype)), mi.tensor(x.T.astype(dtype).copy()).t()):
            assert_close(mi.logsumexp(t, 0).numpy(), expected, dtype, 1e-6 if dtype == "float32" else 1e-14)


@pytest.mark.parametrize("isa", Library().isas())
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_extreme_finds_nan_anywhere(isa: str, dtype: str) -> None:
    with use_isa(isa):
        for n in (1, 5, 64, 70, 131):
            x = np.where(np.eye(n, dtype=bool), np.nan, RNG.standard_normal((n, n))).astype(dtype)
            t, places = mi.tensor(x), list(range(n))
            assert t.amax(1).isnan().all() and t.amin(1).isnan().all()
            assert t.argmax(1).tolist() == places and t.argmin(1).tolist() == places


@pytest.mark.parametrize("isa", Library().isas())
@pytest.mark.parametrize("dtype", [mi.float16, mi.bfloat16])
def test_halves_fold_to_the_bits_of_float32(isa: str, dtype: Any) -> None:
    """Where they lie, from unaligned beginnings too, as through float32: the order of the additions is the same."""
    with use_isa(isa):
        for shape in ((3900, 1090), (40, 300), (70, 7), (7, 3001), (9, 4), (700, 64), (300, 56)):
            x = mi.tensor(RNG.standard_normal(shape, np.float32)).to(dtype)
            for t in (x, x[1:, 1:], x.t()):
                for name in ("sum", "mean", "amax", "amin", "var", "logsumexp"):
                    for dim in (0, 1, (0, 1)):
                        f = getattr(mi, name)
                        expected = f(t.float(), dim).to(dtype)
                        assert mi.equal(f(t, dim), expected), (name, shape, dim)
        if isa != "sse4":  # which folds runs of memory in blocks of float32
            x = mi.tensor(RNG.standard_normal((50, 40, 56), np.float32)).to(dtype)
            for dims in ((0, 2), (1, 2), (0, 1)):
                assert mi.equal(x.sum(dims), x.float().sum(dims).to(dtype))
                assert mi.equal(x[:9].mean(dims), x[:9].float().mean(dims).to(dtype))


@pytest.mark.parametrize("isa", Library().isas())
@pytest.mark.parametrize("shape", [(9, 3, 5), (3, 40, 56), (5, 128, 24), (2, 1030, 32), (700, 3, 17), (1, 20, 300)])
def test_short_rows_and_columns(isa: str, shape: tuple[int, int, int]) -> None:
    """Each number of rows, of rows abreast and of columns in other layouts, too, with the results where they belong."""
    x = RNG.integers(-8, 9, shape).astype(np.float32)  # sums are exact
    before = mi.get_num_threads()
    with use_isa(isa):
        for threads in (1, 3):
            mi.set_num_threads(threads)
            for order in ((0, 1, 2), (0, 2, 1), (2, 0, 1), (1, 2, 0)):
                back = [order.index(i) for i in range(3)]
                t = mi.tensor(np.ascontiguousarray(x.transpose(order))).permute(*back)
                for dim in (0, 1, 2, (0, 1), (0, 2), (1, 2)):
                    count = x.size // x.sum(dim).size
                    assert np.array_equal(t.sum(dim).numpy(), x.sum(dim)), (order, dim)
                    assert np.array_equal(t.mean(dim).numpy(), x.sum(dim) / np.float32(count)), (order, dim)
                    assert np.array_equal(t.amax(dim).numpy(), x.max(dim)), (order, dim)
                    assert np.array_equal(t.norm(2, dim).numpy(), np.sqrt((x * x).sum(dim))), (order, dim)
                    assert np.array_equal(mi.count_nonzero(t, dim).numpy(), np.count_nonzero(x, dim)), (order, dim)
                    assert np.array_equal(t.double().sum(dim).numpy(), x.sum(dim)), (order, dim)
    mi.set_num_threads(before)


@pytest.mark.parametrize("isa", Library().isas())
def test_columns_of_a_large_array(isa: str) -> None:
    """Tiles of 1024 columns and a rest; also where elements of a row do not lie side by side."""
    x = RNG.standard_normal((4100, 1100), np.float32)
    x[77, 1050] = np.nan
    before, sums = mi.get_num_threads(), []
    with use_isa(isa):
        for n in (1, 2, 7):
            mi.set_num_threads(n)
            t = mi.tensor(x)
            sums.append(t.sum(0).numpy())
            assert np.array_equal(t.amax(0).numpy(), x.max(0), equal_nan=True)
            low, high = mi.aminmax(t, dim=0)
            assert np.array_equal(low.numpy(), x.min(0), equal_nan=True)
            assert np.array_equal(high.numpy(), x.max(0), equal_nan=True)
            assert np.array_equal(t.argmax(0).numpy(), x.argmax(0))
            assert np.array_equal(mi.tensor(np.repeat(x, 2, 1))[:, ::2].amax(0).numpy(), x.max(0), equal_nan=True)
    mi.set_num_threads(before)
    assert all(np.array_equal(s, sums[0], equal_nan=True) for s in sums)
    error = np.abs(sums[0] - x.sum(0, dtype=np.float64))
    assert np.nanmax(error) < 2**-24 * 32 * np.abs(x[:, 0]).sum()


@pytest.mark.parametrize("g", [np.inf, np.nan])
def test_gradients_of_extremes_that_are_not_finite(g: float) -> None:
    for f, at in ((mi.amax, 1), (mi.amin, 0), (lambda x: mi.aminmax(x).max, 1)):
        x = mi.tensor([1.0, 3.0, 2.0], requires_grad=True)
        f(x).backward(mi.tensor(g))
        expected = np.zeros(3)
        expected[at] = g
        np.testing.assert_array_equal(x.grad.numpy(), expected)


def test_errors() -> None:
    x, n = mi.zeros(2, 3), mi.arange(4)
    for f in (lambda: x.sum(2), lambda: x.amax((0, 5)), lambda: x.argmax(-3)):
        with pytest.raises(IndexError, match="out of range"):
            f()
    for f in (
        lambda: n.mean(),
        lambda: n.var(),
        lambda: n.norm(),
        lambda: x.sum((0, 0)),
        lambda: x.quantile(1.5),
        lambda: n.quantile(0.5),
    ):
        with pytest.raises(RuntimeError):
            f()
    with pytest.raises(TypeError):
        x.var(0, unbiased=False, correction=1)


def test_signatures_and_dtypes() -> None:
    x = mi.tensor([[1.0, 2.0], [3.0, 5.0]])
    assert x.max(mi.tensor(2.5)).tolist() == [[2.5, 2.5], [3.0, 5.0]]
    assert x.std(False).item() == pytest.approx(np.std([1, 2, 3, 5]))
    assert x.sum(axis=0, keepdims=True).shape == (1, 2)
    assert x.max(dim=1).indices.tolist() == [1, 1] and x.max(dim=1).values.tolist() == [2, 5]
    assert mi.tensor([True, False]).sum().dtype is mi.int64 and mi.tensor([1, 2]).mean(dtype=mi.float32).item() == 1.5
    assert x.sum(dtype=mi.float64).dtype is mi.float64 and mi.tensor([1, 2], dtype=mi.uint8).any().dtype is mi.uint8
    assert mi.tensor(3.0).max(0).values.item() == 3 and mi.tensor(2.0).sum(-1).item() == 2
