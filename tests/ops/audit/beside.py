"""One call in both libraries: PyTorch's result and ours must agree in everything that a caller can see.

A call is Python text. In it `L` is the library, `F` its functional page, and tensors are made by
  X(dtype, values, layout): values "special" (zeros, signs, halves, infinities, NaN, the ends of the dtype), "nonzero"
                            (without 0), "plain" (nor the ends), "column" (special, as a column), or a shape such as
                            "3x4" of drawn numbers ("+3x4": between 0 and 1, or small positive integers);
  V(dtype, numbers):        these numbers;
  I(name, x, ...):          x.name(...) on a copy of x, which is the result.
"""

import warnings

import mielina as mi
import mielina.nn.functional
import numpy as np
import pytest
from mielina.testing import DTYPES, FLOATS

torch = pytest.importorskip("torch")

_MANTISSA = {"float64": 52, "float32": 23, "float16": 10, "bfloat16": 7}
_SMALLEST = {"float64": 2.0**-1022, "float32": 2.0**-126, "float16": 2.0**-14, "bfloat16": 2.0**-126}
_LARGEST = {"float64": 1.7976931348623157e308, "float32": 3.4028234663852886e38, "float16": 65504.0}
_PLAIN = [0.0, -0.0, 1, -1, 0.5, -0.5, 0.25, 1.5, -1.5, 2, -2, 2.5, -2.5, 3, -3, 6, 7, 0.1, -0.3, 1e-3, 20, -20, 33.3]


def special(dtype: str) -> np.ndarray:
    if dtype == "bool":
        return np.array([False, True, True, False])
    if dtype in FLOATS:
        ends = _LARGEST.get(dtype, 3.3895313892515355e38)
        return np.array([*_PLAIN, np.nan, np.inf, -np.inf, ends, -ends, _SMALLEST[dtype], _SMALLEST[dtype] / 4])
    i = np.iinfo(dtype)
    signed = [-1, -2, -3, -7, i.min, i.min + 1] if i.min else []
    return np.array([0, 1, 2, 3, 5, 7, 8, 31, 100, i.max, i.max - 1, *signed], dtype)


def numbers(dtype: str, values: str) -> np.ndarray:
    if values in ("special", "nonzero", "plain", "column"):
        a = special(dtype)
        if values == "plain" and dtype in FLOATS:
            a = np.array(_PLAIN)
        a = a[a != 0] if values in ("nonzero", "plain") else a
        return a[:, None] if values == "column" else a
    random = np.random.default_rng(sum(map(ord, values)))
    positive, shape = values[0] == "+", tuple(int(s) for s in values.lstrip("+").split("x") if s)
    if dtype in FLOATS:
        return np.asarray(random.uniform(0.05, 0.95, shape) if positive else random.normal(size=shape) * 2)
    low = 1 if positive else 0 if dtype in ("uint8", "bool") else -6
    return np.asarray(random.integers(low, 2 if dtype == "bool" else 7, shape))


class Page:
    """The names that a call may use, for one library."""

    def __init__(self, lib, grad):
        self.lib, self.grad, self.leaves = lib, grad, []

    def leaf(self, a, dtype):
        y = self.lib.tensor(np.array(a)).to(getattr(self.lib, dtype))
        if self.grad and dtype in FLOATS:
            y.requires_grad_()
        self.leaves.append(y)
        return y

    def X(self, dtype, values, layout="contiguous"):
        a = numbers(dtype, values)
        if layout == "strided" and a.ndim:
            return self.leaf(np.repeat(a, 2, -1), dtype)[..., ::2]
        if layout == "transposed" and a.ndim > 1:
            return self.leaf(np.ascontiguousarray(a.swapaxes(0, -1)), dtype).transpose(0, -1)
        if layout == "expanded":
            return self.leaf(a, dtype).expand(3, *a.shape)
        return self.leaf(a, dtype)

    def V(self, dtype, values):
        return self.leaf(np.array(values, np.float64 if dtype in FLOATS else dtype), dtype)

    def I(self, name, x, *args, **keywords):  # noqa: E743
        y = x.clone()
        assert getattr(y, name)(*args, **keywords) is y
        return y

    def names(self):
        return {"L": self.lib, "F": self.lib.nn.functional, "X": self.X, "V": self.V, "I": self.I, "np": np,
                "nan": np.nan, "inf": np.inf}  # fmt: skip


def _weights(lib, like, seed):
    w = np.random.default_rng(seed).uniform(0.5, 1.5, tuple(like.shape))
    return lib.tensor(w).to(like.dtype)


def results(lib, text, order=0):
    """The results of a call, the gradients of its floating inputs (order 1), or theirs (order 2); or an exception."""
    page = Page(lib, order > 0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            y = eval(text, page.names())
            ys = list(y) if isinstance(y, (tuple, list)) else [y]
            if order == 0:
                return ys
            ys = [y for y in ys if y.requires_grad]
            if not ys:
                return ["no graph"]
            leaves = [x for x in page.leaves if x.requires_grad]
            seeds = [_weights(lib, y, 5 + i) for i, y in enumerate(ys)]
            if order == 2:
                seeds = [g.requires_grad_() for g in seeds]
            grads = lib.autograd.grad(ys, leaves, seeds, create_graph=order == 2, allow_unused=True)
            if order == 1:
                return [lib.zeros_like(x) if g is None else g for g, x in zip(grads, leaves)]
            grads = [g for g in grads if g is not None and g.requires_grad]
            if not grads:
                return [lib.zeros_like(x) for x in leaves + seeds]
            second = lib.autograd.grad(
                grads, leaves + seeds, [_weights(lib, g, 14 + i) for i, g in enumerate(grads)], allow_unused=True
            )
            return [lib.zeros_like(x) if g is None else g for g, x in zip(second, leaves + seeds)]
    except Exception as e:
        return e


def _values(lib, x):
    wide = x.detach().to(lib.float64) if x.dtype.is_floating_point else x.detach()
    return wide.numpy(force=True) if lib is torch else np.array(wide)


def _kind(x):
    return str(x.dtype).split(".")[1]


def unlike(mine, theirs, ulps, floor):
    """None, or how two results differ: in kind, dtype, shape, requires_grad, NaN, sign of zero, or by more than `ulps`
    units in the last place of the result or, if that is larger, of `floor`; signs of zero count only without a floor.
    """
    if not isinstance(theirs, torch.Tensor):
        if type(theirs).__module__ == "torch":
            return None if str(theirs).split(".")[-1] == str(mine).split(".")[-1] else f"{mine}, PyTorch {theirs}"
        same = type(mine) is type(theirs) and (mine == theirs or mine != mine and theirs != theirs)
        return None if same else f"{mine!r}, PyTorch {theirs!r}"
    if not isinstance(mine, mi.Tensor):
        return f"{type(mine).__name__}, PyTorch a tensor"
    a, b = ((_kind(x), tuple(x.shape), x.requires_grad) for x in (mine, theirs))
    if a != b:
        return f"{a}, PyTorch {b}"
    u, v = _values(mi, mine), _values(torch, theirs)
    if b[0] not in FLOATS:
        wrong = u != v
    else:
        with np.errstate(all="ignore"):
            room = ulps * 2.0 ** -_MANTISSA[b[0]] * np.maximum(np.abs(v), floor or _SMALLEST[b[0]])
            close = (np.isnan(u) & np.isnan(v)) | (u == v) | (np.isfinite(u) & np.isfinite(v) & (np.abs(u - v) <= room))
        wrong = ~close | ((u == 0) & (v == 0) & (np.signbit(u) != np.signbit(v)) & (not floor))
    if not wrong.any():
        return None
    at = tuple(np.argwhere(wrong)[0])
    return f"{wrong.sum()} of {wrong.size} elements, first at {at}: {u[at]}, PyTorch {v[at]}"


def difference(text, order=0, ulps=32, floor=0.0, errors=True):
    """None, or how our answer to the call differs from PyTorch's. errors: the kind of an exception counts, too."""
    theirs, mine = results(torch, text, order), results(mi, text, order)
    if isinstance(theirs, Exception):
        if not errors or isinstance(mine, type(theirs)):
            return None
        said = f"{type(mine).__name__}: {mine}" if isinstance(mine, Exception) else "accepted"
        return f"{said}, PyTorch {type(theirs).__name__}"
    if isinstance(mine, Exception):
        return f"{type(mine).__name__}: {mine}"
    if len(mine) != len(theirs):
        return f"{len(mine)} results, PyTorch {len(theirs)}"
    return next((m for m in (unlike(a, b, ulps, floor) for a, b in zip(mine, theirs)) if m), None)


def differences(calls, **keywords):
    """[(call, how it differs)] of those that differ."""
    found = [(c, difference(c, **keywords)) for c in calls]
    return [f for f in found if f[1]]


__all__ = ["DTYPES", "FLOATS", "differences", "results", "torch"]
