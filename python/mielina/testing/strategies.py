"""Strategies for hypothesis: shapes, dims, dtypes, layouts, values, keywords. They draw NumPy arrays and plain Python
values.

    @given(strategies.arrays(values="special"), strategies.layouts())
    def test_exp(x, layout): ...
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from mielina.testing.dtypes import DTYPES, Array, is_float, largest, numpy_dtype, quantise, smallest_normal
from mielina.testing.layouts import LAYOUTS

Shape = tuple[int, ...]

# Around the widths of vectors (4 to 64 elements) and of the blocks that kernels work in, plus nothing and one.
SIZES = (0, 1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65)
LARGE_SIZES = (127, 129, 255, 1000, 1023, 1025, 4099)


def dtypes(names: Sequence[str] = DTYPES) -> st.SearchStrategy[str]:
    return st.sampled_from(names)


def layouts(names: Sequence[str] = LAYOUTS) -> st.SearchStrategy[str]:
    return st.sampled_from(names)


@st.composite
def shapes(
    draw: st.DrawFn, min_dims: int = 0, max_dims: int = 5, max_elements: int = 4096, empty: bool = True
) -> Shape:
    """Shapes of odd sizes, vector tails and (unless empty=False) zero-size ones; at most one axis is large."""
    ndim = draw(st.integers(min_dims, max_dims))
    sizes = [n for n in SIZES if n or empty]
    shape = [draw(st.sampled_from(sizes if ndim < 3 else sizes[:7])) for _ in range(ndim)]
    if ndim and draw(st.integers(0, 7)) == 0:
        shape[draw(st.integers(0, ndim - 1))] = draw(st.sampled_from(LARGE_SIZES))
    while np.prod(shape, dtype=np.int64) > max_elements:
        widest = int(np.argmax(shape))
        shape[widest] = max(shape[widest] // 2, 1)
    return tuple(shape)


@st.composite
def broadcastable(draw: st.DrawFn, count: int = 2, max_dims: int = 4, max_elements: int = 4096) -> tuple[Shape, ...]:
    """`count` shapes that broadcast together: sizes become 1 and leading axes fall away."""
    full = draw(shapes(0, max_dims, max_elements))
    group = []
    for _ in range(count):
        kept = draw(st.integers(0, len(full)))
        group.append(tuple(1 if draw(st.integers(0, 3)) == 0 else n for n in full[len(full) - kept :]))
    return tuple(group)


def dims(ndim: int) -> st.SearchStrategy[int]:
    """One axis, negative ones too; 0 or -1 for a 0-dim tensor, as PyTorch takes."""
    return st.integers(-max(ndim, 1), max(ndim, 1) - 1)


@st.composite
def several_dims(draw: st.DrawFn, ndim: int) -> Any:
    """None, one axis, or a tuple of different axes."""
    kind = draw(st.sampled_from(["none", "one", "several"]))
    if kind == "none" or ndim == 0:
        return None
    if kind == "one":
        return draw(dims(ndim))
    chosen = draw(st.lists(st.integers(0, ndim - 1), min_size=1, unique=True))
    return tuple(d - ndim if draw(st.booleans()) else d for d in chosen)


def special_values(dtype: str = "float64") -> Array:
    """NaN, infinities, both zeros, subnormals and the extremes of a floating dtype; the bounds of an integer one."""
    if dtype == "bool":
        return np.array([True, False])
    if not is_float(dtype):
        info = np.iinfo(dtype)
        return np.array([info.min, info.min + 1, 0, 1, info.max - 1, info.max], dtype)
    tiny, huge = smallest_normal(dtype), largest(dtype)
    values = [np.nan, np.inf, -np.inf, 0.0, -0.0, tiny, -tiny, tiny / 4, -tiny / 4, huge, -huge, huge / 2, 1.0, -1.0]
    return quantise(np.array(values), dtype)


@st.composite
def arrays(
    draw: st.DrawFn,
    shape: Shape | st.SearchStrategy[Shape] | None = None,
    dtype: str = "float64",
    values: str = "normal",
    low: float = -4.0,
    high: float = 4.0,
) -> Array:
    """Arrays that `dtype` holds exactly (floating ones as float64, as `check_op` takes them).

    values: "normal" (standard normal, integers from [low, high)), "uniform" (in [low, high)), "special" (normal, and
    about a quarter special_values), "ties" (few different whole numbers, for sorting and maxima), "distinct" (all
    different and 0.1 apart, so that a maximum has a gradient). The numbers come from one drawn seed: fast, and
    shrinking tries seed 0.
    """
    if isinstance(shape, tuple):
        size = shape
    else:
        size = draw(shapes() if shape is None else shape)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return sample(rng, size, dtype, values, low, high)


def sample(
    rng: np.random.Generator,
    shape: Shape,
    dtype: str = "float64",
    values: str = "normal",
    low: float = -4,
    high: float = 4,
) -> Array:
    """What `arrays` draws, from a generator: for cases that are declared and not drawn."""
    if values == "ties":
        raw: Array = np.asarray(rng.integers(-2, 3, shape) if dtype != "uint8" else rng.integers(0, 5, shape))
    elif values == "distinct":
        raw = rng.permutation(int(np.prod(shape, dtype=np.int64))).reshape(shape) / 10 - 1.0
    elif values == "uniform" or not is_float(dtype):
        raw = np.asarray(rng.uniform(low, high, shape) if is_float(dtype) else rng.integers(int(low), int(high), shape))
    else:
        raw = np.asarray(rng.standard_normal(shape))
    result = quantise(raw.astype(np.float64) if is_float(dtype) else raw, dtype)
    if values == "special":
        result = np.where(rng.random(shape) < 0.25, rng.choice(special_values(dtype), shape), result)
    return np.asarray(result, np.float64 if is_float(dtype) else numpy_dtype(dtype))


def keywords(choices: Mapping[str, Sequence[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Any subset of the keywords, each with one of its values: keywords({"keepdim": [False, True]})."""
    return st.fixed_dictionaries({}, optional={name: st.sampled_from(list(values)) for name, values in choices.items()})
