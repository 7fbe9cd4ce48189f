"""Tensors as Python objects, beside PyTorch's: what they are made from, numbers, NumPy's functions, text."""

from __future__ import annotations

import copy
import math
import operator
import pickle
import re
from collections.abc import Callable
from typing import Any

import mielina as mi
import numpy as np
import pytest

torch = pytest.importorskip("torch")


def plain(x: Any) -> Any:
    """Tensors and arrays as (dtype, shape, values), so that both libraries' compare equal."""
    if isinstance(x, (torch.Tensor, mi.Tensor)):
        return str(x.dtype).split(".")[1], tuple(x.shape), repr(x.detach().tolist())
    if isinstance(x, np.ndarray):
        return "ndarray", str(x.dtype), x.shape, repr(x.tolist())
    if isinstance(x, (tuple, list)):
        return [plain(v) for v in x]
    return repr(x)


def told(f: Callable[[Any], Any], lib: Any) -> Any:
    try:
        return plain(f(lib))
    except Exception as error:  # noqa: BLE001
        return "RuntimeError" if isinstance(error, RuntimeError) else type(error).__name__


# ---- making ----------------------------------------------------------------------------------------------------------
DATA: list[Any] = [
    1, 1.5, True, [1, 2], [1, 2.5], [True, 2], [True, False], [[1, 2], [3, 4]], [], [[]], [[], []], (1, 2), range(3),
    [range(2), range(2)], [[[1.5]]], 2**40, 1e40, math.nan, [math.inf, 1], np.float64(2), np.float32(2), np.int8(3),
    np.bool_(True), np.arange(3), np.arange(3.0), np.arange(3, dtype=np.uint8), [np.float32(1), 2.0],
    [np.float64(1), 2], [np.int64(1), np.float32(2)], [np.arange(2), np.arange(2)], np.array([]), np.array(5),
    np.zeros((2, 3))[:, ::2], np.array([1.0], np.float16), np.arange(6).reshape(2, 3).T,
]  # fmt: skip


@pytest.mark.parametrize("data", DATA, ids=repr)
@pytest.mark.filterwarnings("ignore:Creating a tensor from a list")
def test_data(data: Any) -> None:
    for make in ("tensor", "as_tensor"):
        assert told(lambda lib: getattr(lib, make)(data), mi) == told(lambda lib: getattr(lib, make)(data), torch)  # noqa: B023


@pytest.mark.parametrize(
    "dtype",
    ["float16", "float32", "float64", "bfloat16", "int8", "uint8", "int16", "int32", "int64", "bool"],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_data_of_a_dtype(dtype: str) -> None:
    """Numbers that do not fit an integer dtype are errors; those of a NumPy array are converted."""
    numbers = [1, 1.7, -1, -1.5, 300, [1.9, -1.9], True, [0, 2], math.nan, 1e40, 2**40, [[]], [127.5], -129]
    for x in [*numbers, np.array([1.5, -2.5]), np.array([3, 77])]:
        mine, theirs = (told(lambda lib, x=x: lib.tensor(x, dtype=getattr(lib, dtype)), lib) for lib in (mi, torch))
        assert mine == theirs, x


@pytest.mark.parametrize(
    "data, kind",
    [
        ([[1], [2, 3]], ValueError),
        ([[1, 2], 3], ValueError),
        (None, RuntimeError),
        ([1, None], TypeError),
        ("a", TypeError),
        ({1, 2}, TypeError),
        ([object()], TypeError),
        (np.array([1, 2], object), TypeError),
        (1 + 2j, TypeError),
    ],
    ids=lambda v: v.__name__ if isinstance(v, type) else re.sub(" at 0x\\w+", "", repr(v)),  # the same in every process
)
def test_what_is_no_tensor(data: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        mi.tensor(data)


# ---- numbers and protocols -------------------------------------------------------------------------------------------
TENSORS: dict[str, Callable[[Any], Any]] = {
    "floats": lambda lib: lib.tensor([1.5, -2.0, 3.0]),
    "ints": lambda lib: lib.tensor([3, 1, 2]),
    "bools": lambda lib: lib.tensor([True, False]),
    "a float": lambda lib: lib.tensor(2.5),
    "an int": lambda lib: lib.tensor(7),
    "a bool": lambda lib: lib.tensor(True),
    "one in brackets": lambda lib: lib.tensor([[2.5]]),
    "none": lambda lib: lib.tensor([]),
    "a half": lambda lib: lib.tensor(2.5).to(lib.bfloat16),
}
USES: dict[str, Callable[[Any], Any]] = {
    **{f.__name__: f for f in (len, bool, int, float, complex, list, abs, sum, max, min, sorted, all, any)},
    **{f.__name__: f for f in (operator.index, operator.neg, operator.pos, math.floor, math.ceil, math.sqrt)},
    "f'{t}'": lambda t: f"{t}".replace("mielina", "torch"),
    "'%.3f' % t": lambda t: "%.3f" % t,  # noqa: UP031
    "item": lambda t: t.item(),
    "tolist": lambda t: t.tolist(),
    **{f"{x!r} in t": lambda t, x=x: x in t for x in (1, 1.5, True, None, "a")},  # type: ignore[misc]
    "t == None": lambda t: (t == None, t != None, t is None),  # noqa: E711
    "t == 'a'": lambda t: (t == "a", t != "a"),
    "t < None": lambda t: t < None,
    "t + None": lambda t: t + None,
    "t + [1]": lambda t: t + [1],
    "hash": lambda t: (hash(t) == hash(t), len({t, t}), t in [t]),
    "reversed": lambda t: reversed(t),
    "divmod": lambda t: divmod(t, 2),
    "// and %": lambda t: (t // 2, t % 2, 7 // t, 7 % t),
    "powers": lambda t: (t**2, 2**t),
    "a list's index": lambda t: [10, 20, 30, 40, 50, 60, 70, 80][t],
    "range": lambda t: range(9)[t],
    "next": lambda t: next(iter(t)),
    "copies": lambda t: (copy.copy(t), copy.deepcopy(t), pickle.loads(pickle.dumps(t))),
    "+=": lambda t: operator.iadd(t.clone(), 1.5),
    "/=": lambda t: operator.itruediv(t.clone(), 2),
    "size": lambda t: (tuple(t.size()), t.size(-1), t.stride(), t.numel(), t.element_size(), t.dim()),
    "asarray": lambda t: np.asarray(t),
    "array of a dtype": lambda t: np.array(t, dtype=np.float64),
    "np.sum": lambda t: np.sum(t),
    "np.exp": lambda t: np.exp(t),
    "np.maximum": lambda t: np.maximum(t, 0),
    "np.stack": lambda t: np.stack([t, t]),
    "np.float64 + t": lambda t: (np.float64(1) + t, t + np.float64(1)),
    "np.float32 * t": lambda t: (np.float32(2) * t, t * np.float32(2)),
    "np.allclose": lambda t: np.allclose(t, t),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("name", TENSORS)
@pytest.mark.filterwarnings("ignore")
def test_use(name: str, use: str) -> None:
    mine, theirs = (told(lambda lib: USES[use](TENSORS[name](lib)), lib) for lib in (mi, torch))
    assert mine == theirs


def test_arrays_on_the_left() -> None:
    """Operators of an array and a tensor are ours, with gradients; functions of NumPy compute on the memory."""
    x = mi.tensor([1.0, 2.0], requires_grad=True)
    a = np.array([3.0, 5.0], np.float32)
    for f in (operator.add, operator.sub, operator.mul, operator.truediv, operator.pow, operator.matmul):
        x.grad = None
        left = f(a, x)
        assert isinstance(left, mi.Tensor) and left.requires_grad
        left.sum().backward()
        np.testing.assert_allclose(left.detach().numpy(), f(a, x.detach().numpy()), rtol=1e-6)
    assert (a > x).tolist() == [True, True] and (a == x).dtype is mi.bool
    assert isinstance(np.exp(x.detach()), mi.Tensor)
    with pytest.raises(RuntimeError, match="requires a gradient"):
        np.exp(x)
    b = a.copy()
    b += x.detach()
    assert isinstance(b, np.ndarray) and b.tolist() == [4, 7]
    assert np.asarray(x).tolist() == [1, 2]  # PyTorch refuses: here reading needs no detach()


# ---- text ------------------------------------------------------------------------------------------------------------
SHAPES = [(), (1,), (7,), (20,), (1000,), (1001,), (3, 30), (40, 40), (2, 3, 4), (10, 10, 11), (0,), (0, 3), (2, 2000)]


def text(x: Any) -> str:
    """repr, but for the module's name, whose length may break the line before a suffix."""
    return re.sub(r",\s+(dtype|requires_grad|size)", r", \1", repr(x).replace("mielina.", "torch."))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.filterwarnings("ignore")
def test_text(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    x = np.asarray(rng.standard_normal(shape))
    for a in (
        x, np.round(x * 5), x * 1e-6, x * 1e7, x * 10.0 ** rng.integers(-3, 4, shape), x * 0, x * np.nan,
        np.where(x > 0.5, np.nan, x), np.where(x > 0.5, np.inf, np.round(x)), np.where(x > 0, np.inf, -np.inf),
    ):  # fmt: skip
        for dtype in ("float32", "float64", "float16"):
            mine, theirs = (lib.tensor(a).to(getattr(lib, dtype)) for lib in (mi, torch))
            assert text(mine) == text(theirs)
            assert text(mine.requires_grad_()) == text(theirs.requires_grad_())
    for dtype, high in (("int64", 10**12), ("int32", 1000), ("int8", 100), ("int16", 9), ("bool", 1)):
        a = rng.integers(-high, high, shape)
        mine, theirs = (lib.tensor(a).to(getattr(lib, dtype)) for lib in (mi, torch))
        assert text(mine) == text(theirs)


def test_text_of_a_node() -> None:
    assert repr((mi.ones(1, requires_grad=True) * 2).grad_fn) == "<mul>"


def test_constants():
    """PyTorch has them in its namespace, too."""
    import math

    assert (mi.inf, mi.pi, mi.e, mi.newaxis) == (math.inf, math.pi, math.e, None) and mi.nan != mi.nan
    assert mi.tensor([1.0, 2.0])[:, mi.newaxis].shape == (2, 1)
