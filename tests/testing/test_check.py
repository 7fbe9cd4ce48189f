"""The checkers must pass what is right and fail each known kind of wrong."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from mielina.testing import (
    DTYPES,
    LAYOUTS,
    Library,
    check_composite,
    check_op,
    make_tensor,
    pairwise,
    quantise,
    tolerance,
    use_isa,
)
from mielina.testing.compare import assert_close
from mielina.testing.dtypes import promote_types

X = np.linspace(-2.0, 2.0, 35).reshape(5, 7)
SPECIAL = np.array([np.nan, np.inf, -np.inf, -0.0, 0.0, 1e-310, 1e-45, 3e38, 1.7e308, 1.0])


def square(x: Any) -> Any:
    return x * x


def test_a_right_op_passes(library: Library) -> None:
    check_op(
        lambda x: x * x, square, [X], dtypes=["float16", "bfloat16", "float32", "float64", "int32"], library=library
    )
    check_op(lambda x, y: x * y, lambda x, y: x * y, [X, X[:1] + 1], grad=True, library=library)
    check_op(lambda x: x.sum(0), lambda x: x.sum(0), [X], length=5, magnitude="abs", grad=True, library=library)


def test_special_values_pass_where_they_are_right(library: Library) -> None:
    dtypes = ["float16", "bfloat16", "float32", "float64"]
    check_op(lambda x: x * 1.0, lambda x: x * 1.0, [SPECIAL], dtypes=dtypes, library=library)


def test_full_runs_the_product(library: Library) -> None:
    seen = []

    def reference(x: Any) -> Any:
        seen.append(1)
        return x * x

    check_op(square, reference, [X], dtypes=["float32"], isas=library.isas()[:1], devices=["cpu"], full=True,
             library=library)  # fmt: skip
    assert len(seen) == len(LAYOUTS)  # one reference serves all levels and thread counts


WRONG = {
    "a wrong sign": (lambda x: -(x * x), "too far apart"),
    "a relative error of 1e-6": (lambda x: x * x * 1.000001, "too far apart"),
    "a NaN": (lambda x: x * x + (x - x) / (x - x), "NaN"),
    "an infinity": (lambda x: x * x + (x - x + 1) / (x - x), "infinities"),
    "a wrong shape": (lambda x: (x * x).sum(0), "shape"),
    "a wrong rank": (lambda x: (x * x).reshape((1, 5, 7)), "shape"),
    "too many results": (lambda x: (x * x, x), "results"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_op_fails(name: str, library: Library) -> None:
    fn, message = WRONG[name]
    with pytest.raises(AssertionError, match=message):
        check_op(fn, square, [X], dtypes=["float64"], library=library)


def test_one_wrong_element_fails(library: Library) -> None:
    def fn(x: Any) -> Any:
        y = np.array(library.numpy(x) ** 2)
        y[4, 6] *= 1 + 1e-5
        return library.tensor(y, library.dtype_name(x))

    with pytest.raises(AssertionError, match=r"1 of 35 elements.*\(4, 6\)"):
        check_op(fn, square, [X], dtypes=["float32"], layouts=["contiguous"], library=library)


def test_a_hidden_nan_fails(library: Library) -> None:
    """NaN where the reference has a number, and a number where it has NaN."""
    hidden = np.where(np.arange(35).reshape(5, 7) == 17, np.nan, X)
    for fn, x in [(lambda x: x * 0 + library.tensor(hidden), X), (lambda x: library.tensor(X * 1), hidden)]:
        with pytest.raises(AssertionError, match="NaN"):
            check_op(fn, lambda x: x * 1.0, [x], dtypes=["float64"], layouts=["contiguous"], library=library)


def test_a_wrong_dtype_fails(library: Library) -> None:
    with pytest.raises(AssertionError, match="expected dtype float32, got float64"):
        check_op(lambda x: (x * x).to(library.dtype("float64")), square, [X], dtypes=["float32"], library=library)


def test_results_that_depend_on_threads_fail(library: Library) -> None:
    calls = itertools.count()

    def fn(x: Any) -> Any:
        return x * x * (1 + next(calls) % 2 * 2.0**-52)

    with pytest.raises(AssertionError, match="other bits"):
        check_op(fn, square, [X], dtypes=["float64"], library=library)


def test_an_op_that_changes_its_input_fails(library: Library) -> None:
    def fn(x: Any) -> Any:
        y = x * x
        x.mul_(2.0)
        return y

    with pytest.raises(AssertionError, match="input 0 was changed|other bits"):
        check_op(fn, square, [X], dtypes=["float64"], layouts=["contiguous", "sliced"], library=library)


def test_a_kernel_that_ignores_strides_fails(library: Library) -> None:
    """Reads the memory as if it were contiguous: right on contiguous input only."""

    def fn(x: Any) -> Any:
        transposed = tuple(x.stride()) == (1, 5)
        return (x * x) if not transposed else (x * x).permute((1, 0)).contiguous().view((5, 7))

    check_op(fn, square, [X], dtypes=["float64"], layouts=["contiguous"], library=library)
    with pytest.raises(AssertionError, match="transposed"):
        check_op(fn, square, [X], dtypes=["float64"], library=library)


def test_a_gradient_that_loses_precision_in_one_dtype_fails(library: Library) -> None:
    def fn(x: Any) -> Any:
        if library.dtype_name(x) == "float64":
            return x * x
        return x.detach() * x.detach() + (x - x.detach()) * (x.detach() * 2.002)  # right values, gradient 0.1 % off

    with pytest.raises(AssertionError, match="gradient 0"):
        check_op(fn, square, [X], dtypes=["float32", "float64"], grad=True, library=library)


def test_a_neighbour_that_is_read_fails(library: Library) -> None:
    """One element too far to the left: right but for the first, on every layout; what lies between slices is NaN."""

    def fn(x: Any) -> Any:
        y = library.numpy(x) ** 2
        y[0, 0] = library.numpy(x)[0, 1] ** 2
        return library.tensor(y, library.dtype_name(x))

    with pytest.raises(AssertionError, match="1 of 35"):
        check_op(fn, square, [X], dtypes=["float64"], layouts=["sliced"], library=library)


def test_a_result_with_wrong_strides_fails(library: Library) -> None:
    with pytest.raises(AssertionError, match="too far apart"):
        check_op(lambda x: (x * x).permute((1, 0)), square, [X[:, :5]], dtypes=["float64"], library=library)


def test_a_negative_zero_written_to_an_input_fails(library: Library) -> None:
    calls = itertools.count()

    def fn(x: Any) -> Any:
        y = x * x
        if next(calls) == 0:
            x.mul_(-1.0)
        return y

    with pytest.raises(AssertionError, match="input 0 was changed"):
        check_op(fn, square, [np.zeros((2, 2))], dtypes=["float64"], layouts=["contiguous"], threads=[1],
                 isas=library.isas()[:1], library=library)  # fmt: skip


@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool"])
def test_a_wrong_integer_fails(dtype: str, library: Library) -> None:
    values = np.array([0, 1, 1, 0]).astype(dtype)

    def fn(x: Any) -> Any:
        y = library.numpy(x)
        y[2] = not y[2]
        return library.tensor(y)

    with pytest.raises(AssertionError, match="1 of 4 elements differ"):
        check_op(fn, lambda x: x, [values], library=library)


def twisted(library: Library, twist: Any) -> Library:
    """The library with gradients that went through twist(gradient, call number, cotangents)."""
    calls = itertools.count()

    class Twisted(type(library)):  # type: ignore[misc]
        def grad(self, outputs: Any, inputs: Any, cotangents: Any, create_graph: bool = False) -> Any:
            found = super().grad(outputs, inputs, cotangents, create_graph)
            number = next(calls)
            return [None if g is None else twist(g, number, cotangents) for g in found]

    bare = type(library)
    return Twisted() if bare is not Library else Twisted(library.name)


WRONG_GRADIENTS = {
    "a wrong sign": lambda g, n, v: g * -1.0,
    "off by a thousandth": lambda g, n, v: g * 1.001,
    "a NaN": lambda g, n, v: g + (g - g) / (g - g),
    "a wrong shape": lambda g, n, v: g.sum(0),
    "none": lambda g, n, v: None,
}


@pytest.mark.parametrize("name", WRONG_GRADIENTS)
def test_a_wrong_gradient_fails(name: str, library: Library) -> None:
    wrong = twisted(library, WRONG_GRADIENTS[name])
    with pytest.raises((AssertionError, ValueError)):
        check_op(square, square, [X], dtypes=["float64"], grad=True, gradgrad=False, library=wrong)


def test_a_gradient_of_another_dtype_fails(library: Library) -> None:
    wrong = twisted(library, lambda g, n, v: g.to(library.dtype("float64")))
    with pytest.raises(AssertionError, match="gradient 0: expected dtype float32, got float64"):
        check_op(square, square, [X], dtypes=["float32"], grad=True, library=wrong)


def test_gradients_that_depend_on_threads_fail(library: Library) -> None:
    wrong = twisted(library, lambda g, n, v: g * (1 + n % 2 * 2.0**-52))
    with pytest.raises(AssertionError, match="other bits"):
        check_op(square, square, [X], dtypes=["float64"], grad=True, gradgrad=False, library=wrong)


def test_every_pair_of_values_is_run(library: Library) -> None:
    """dtype, the layouts of both inputs, level and threads: what really ran covers each pair."""
    ran = []

    class Noted(type(library)):  # type: ignore[misc]
        def isas(self) -> tuple[str, ...]:
            return ("plain", "wide")

        def running(self, isa: Any, threads: int) -> Any:
            self.now = (isa, threads)
            return super().running(None, 1)

    noted = Noted() if type(library) is not Library else Noted(library.name)

    def fn(x: Any, y: Any) -> Any:
        ran.append((noted.dtype_name(x), tuple(x.stride()), tuple(y.stride()), *noted.now))
        return x * y

    check_op(fn, lambda x, y: x * y, [X, X + 1], dtypes=["float32", "float64"], layouts=["contiguous", "transposed"],
             threads=(1, 2, 7), devices=["cpu"], library=noted)  # fmt: skip
    axes = [["float32", "float64"], [(7, 1), (1, 5)], [(7, 1), (1, 5)], ["plain", "wide"], [1, 2, 7]]
    for i, j in itertools.combinations(range(len(axes)), 2):
        assert {(row[i], row[j]) for row in ran} >= set(itertools.product(axes[i], axes[j])), (i, j)


def test_composite(library: Library) -> None:
    def composite(x: Any) -> Any:
        return x * x * x

    check_composite(lambda x: x * (x * x), [X], composite=composite, library=library)

    def wrong_gradient(x: Any) -> Any:
        c = x.detach()
        return c * c * c + (x - c) * (c * c * 3.003)

    def wrong_second_gradient(x: Any) -> Any:
        c = x.detach()
        return c * c * c + (x - c) * (c * c * 3.0)

    for fn, message in [
        (lambda x: -(x * x * x), "output"),
        (wrong_gradient, "gradient"),
        (wrong_second_gradient, "gradient"),
    ]:
        with pytest.raises(AssertionError, match=message):
            check_composite(fn, [X], composite=composite, library=library)
    with pytest.raises(ValueError, match="no composite"):
        check_composite(square, [X], library=library)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 3, 4, 5), (1, 1)])
def test_layouts_keep_the_values(layout: str, shape: tuple[int, ...], library: Library) -> None:
    values = np.arange(np.prod(shape)).reshape(shape)
    for dtype in ("float32", "bfloat16", "int64", "bool"):
        x = make_tensor(values, dtype, layout, library=library)
        assert tuple(x.shape) == shape and library.dtype_name(x) == dtype
        if not layout.startswith("expanded"):
            np.testing.assert_array_equal(library.numpy(x), quantise(values, dtype))


def test_layouts_have_their_strides(library: Library) -> None:
    values = np.zeros((2, 3, 4, 5))
    strides = {layout: tuple(make_tensor(values, "float64", layout, library=library).stride()) for layout in LAYOUTS}
    assert strides["contiguous"] == strides["offset"] == (60, 20, 5, 1)
    assert strides["transposed"] == (1, 2, 6, 24)
    assert strides["channels_last"] == (60, 1, 15, 3)
    assert strides["sliced"] == (7 * 9 * 11 * 2, 9 * 11 * 2, 11 * 2, 2)
    assert strides["expanded"][0] == 0 and strides["expanded_inner"][3] == 0


@pytest.mark.parametrize("sizes", [(1,), (3,), (2, 2), (3, 4), (4, 1, 3), (7, 7, 3, 4), (2, 2, 2, 2, 2)])
def test_pairwise_covers_every_pair(sizes: tuple[int, ...]) -> None:
    axes = [[f"{i}{v}" for v in range(n)] for i, n in enumerate(sizes)]
    rows = list(pairwise(*axes))
    for i, j in itertools.combinations(range(len(axes)), 2):
        assert {(row[i], row[j]) for row in rows} == set(itertools.product(axes[i], axes[j]))
    assert {value for row in rows for value in row} == {value for axis in axes for value in axis}
    two = sorted(sizes)[-2:]
    assert len(rows) <= 1.5 * np.prod(two) + 2


def test_tolerance_grows_with_epsilon_and_length() -> None:
    assert tolerance("float64", 1) < tolerance("float32", 1) < tolerance("float16", 1) < tolerance("bfloat16", 1)
    assert tolerance("float32", 10000) == pytest.approx(102 * 2.0**-23)
    assert tolerance("float32", 10000, correlated=True) == pytest.approx(10002 * 2.0**-23)
    assert tolerance("int64", 10000) == 0


def test_assert_close_at_the_edges_of_the_range() -> None:
    half = np.array([65504.0])
    assert_close(np.array([np.inf]), np.array([70000.0]), "float16", 1e-3)
    assert_close(np.array([np.inf]), half, "float16", 1e-3)  # within the tolerance of overflow
    assert_close(np.array([0.0]), np.array([2.0**-26]), "float16", 1e-3)  # below half of the smallest subnormal
    for wrong in (-np.inf, np.nan, 60000.0):
        with pytest.raises(AssertionError):
            assert_close(np.array([wrong]), half, "float16", 1e-3)
    with pytest.raises(AssertionError, match="infinities"):
        assert_close(np.array([65504.0]), np.array([1e6]), "float16", 1e-3)
    with pytest.raises(AssertionError, match="too far"):  # a magnitude that is not finite allows nothing
        assert_close(np.array([1.0]), np.array([2.0]), "float32", 1e-6, magnitude=np.array([np.nan]))


def test_quantise_and_promote_agree_with_torch() -> None:
    torch = pytest.importorskip("torch")
    values = np.concatenate([SPECIAL, np.random.default_rng(0).standard_normal(1000) * 10.0 ** np.arange(-50, 50, 0.1)])
    for dtype in ("float16", "bfloat16", "float32"):
        expected = torch.tensor(values).float().to(getattr(torch, dtype)).double().numpy()
        once = torch.tensor(values).to(getattr(torch, dtype)).double().numpy()
        got = quantise(values, dtype)
        assert np.array_equal(got, expected, equal_nan=True) or np.array_equal(got, once, equal_nan=True)
    for a, b in itertools.product(DTYPES, DTYPES):
        expected_type = torch.promote_types(getattr(torch, a), getattr(torch, b))
        assert promote_types(a, b) == str(expected_type).removeprefix("torch.")
    assert quantise([np.nan, np.inf, 1e30, -5.0], "uint8").tolist() == [0, 0, 255, 0]
    assert quantise([1e30, -1e30], "int32").tolist() == [2**31 - 1, -(2**31)]


def test_use_isa_switches_and_goes_back() -> None:
    core = pytest.importorskip("mielina._core")
    before = core.isa()
    for name in Library().isas():
        with use_isa(name):
            assert core.isa() == name
        assert core.isa() == before
    with pytest.raises(ValueError, match="nonsense"), use_isa("nonsense"):
        pass
    with pytest.raises(ZeroDivisionError), use_isa(Library().isas()[0]):
        raise ZeroDivisionError
    assert core.isa() == before
