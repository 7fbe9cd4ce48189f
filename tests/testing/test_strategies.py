"""The strategies draw what they promise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import find, given, settings
from mielina.testing import LAYOUTS, Library, check_op, make_tensor, quantise
from mielina.testing import strategies as s
from mielina.testing.dtypes import DTYPES, FLOATS


@given(s.shapes(max_elements=1000))
def test_shapes_are_small_enough(shape: s.Shape) -> None:
    assert len(shape) <= 5 and np.prod(shape) <= 1000


def test_shapes_reach_the_edges() -> None:
    for wanted in (lambda x: x == (), lambda x: 0 in x, lambda x: max(x, default=0) > 100, lambda x: len(x) == 5):
        find(s.shapes(), wanted, settings=settings(max_examples=2000))


@given(s.broadcastable(3))
def test_groups_broadcast(group: Any) -> None:
    np.broadcast_shapes(*group)


@pytest.mark.parametrize("ndim", [0, 1, 3])
def test_dims_are_valid(ndim: int) -> None:
    @given(s.dims(ndim), s.several_dims(ndim))
    @settings(max_examples=30)
    def check(one: int, several: Any) -> None:
        assert -max(ndim, 1) <= one < max(ndim, 1)
        np.sum(np.zeros((2,) * ndim), axis=several)

    check()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("values", ["normal", "uniform", "special", "ties", "distinct"])
def test_arrays_are_exact_in_their_dtype(dtype: str, values: str) -> None:
    @given(s.arrays(dtype=dtype, values=values))
    @settings(max_examples=20)
    def check(x: Any) -> None:
        np.testing.assert_array_equal(quantise(x, dtype), x)
        assert str(x.dtype) == ("float64" if dtype in FLOATS else dtype)

    check()


def test_special_values_hold_each_kind() -> None:
    for dtype in FLOATS:
        x = s.special_values(dtype)
        tiny = np.abs(x[(x != 0) & np.isfinite(x)]).min()
        assert np.isnan(x).any() and np.isposinf(x).any() and np.isneginf(x).any() and (np.signbit(x) & (x == 0)).any()
        assert 0 < tiny < 1e-4 and not np.isinf(quantise(x[np.isfinite(x)], dtype)).any()


@given(s.keywords({"dim": [0, 1], "keepdim": [True]}))
def test_keywords_are_subsets(kwargs: dict[str, Any]) -> None:
    assert set(kwargs) <= {"dim", "keepdim"} and kwargs.get("dim", 0) in (0, 1)


def test_drawn_cases_pass_through_check_op(library: Library) -> None:
    @given(s.arrays(s.shapes(max_elements=200), values="special"), s.arrays((), values="special"))
    @settings(max_examples=10, deadline=None)
    def check(x: Any, y: Any) -> None:
        check_op(lambda a, b: a * b, lambda a, b: a * b, [x, y], dtypes=FLOATS, library=library)

    check()


def test_layouts_are_drawn(library: Library) -> None:
    @given(s.layouts(), s.dtypes(FLOATS))
    @settings(max_examples=20, deadline=None)
    def check(layout: str, dtype: str) -> None:
        assert layout in LAYOUTS
        assert tuple(make_tensor(np.ones((2, 3)), dtype, layout, library=library).shape) == (2, 3)

    check()
