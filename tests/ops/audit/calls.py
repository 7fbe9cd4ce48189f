"""Calls as text, made in PyTorch and here: results, gradients to second order and kinds of errors must agree.

In a call `L` is the library and tensors are made by
  x(2, 3), x()          numbers of the context's dtype, values and layout; the gradients are with respect to these
  xt("int64", 2, 3)     the same of another dtype
  c(2, 3)               the same, contiguous
  i(5, 2, 3)            int64 in [0, 5);  it("int32", -2, 5, 3): of another dtype in [-2, 5)
  b(2, 3)               bools
  tt([1, 2], "int8")    these numbers
  chg(x(3), f)          a copy of x after f(copy)
  put(x(3), key, value) a copy of x after copy[key] = value
"""

import math
import re
import warnings
from dataclasses import dataclass

import mielina as mi
import numpy as np
import pytest
from mielina.testing import DTYPES, FLOATS, tolerance

torch = pytest.importorskip("torch")


@dataclass
class Context:
    """What x() makes."""

    dtype: str
    values: str = "plain"
    layout: str = "contiguous"


VALUES = [Context(d) for d in DTYPES]
VALUES += [Context(d, "special") for d in ("float32", "float64", "bfloat16", "int32", "int8", "uint8")]
VALUES += [Context("float32", "ties"), Context("int64", "ties")]
LAYOUTS = [Context("float32", layout=w) for w in ("strided", "transposed", "expanded")] + [
    Context("int16", layout="transposed")
]
GRADIENTS = [Context("float64"), Context("float64", "ties"), Context("float64", layout="transposed"),
             Context("float64", layout="expanded")]  # fmt: skip


def _drawn(random, shape, dtype, values):
    if dtype == "bool":
        return random.integers(0, 2, shape).astype(bool)
    if dtype not in FLOATS:
        if values == "special":
            ends = np.iinfo(dtype)
            return random.integers(ends.min, ends.max, shape, endpoint=True, dtype=dtype)
        low = 0 if dtype == "uint8" else -1 if values == "ties" else -5
        return random.integers(low, 2 if values == "ties" else 7, shape).astype(dtype)
    if values == "ties":
        return random.integers(-1, 3, shape).astype(float)
    a = np.asarray(random.normal(size=shape))
    if values == "special":
        pick = random.integers(0, 12, shape)
        for i, v in enumerate((np.nan, np.inf, -np.inf, 0.0, 1.0)):
            a = np.where(pick == i, v, a)
    return np.asarray(a)


class Page:
    """The names of a call for one library."""

    def __init__(self, lib, context, order):
        self.lib, self.context, self.order = lib, context, order
        self.random, self.leaves = np.random.default_rng(3), []

    def tensor(self, values, dtype="float32"):
        a = np.asarray(values)
        y = self.lib.tensor(a.astype(np.float32 if dtype in ("float16", "bfloat16") else dtype))
        return y.to(getattr(self.lib, dtype))

    def _leaf(self, values, dtype):
        y = self.tensor(values, dtype)
        if self.order and dtype in FLOATS:
            self.leaves.append(y.requires_grad_())
        return y

    def make(self, dtype, shape, layout=None):
        a, layout = _drawn(self.random, shape, dtype, self.context.values), layout or self.context.layout
        if layout == "strided" and a.ndim:
            return self._leaf(np.repeat(a, 2, -1), dtype)[..., ::2]
        if layout == "transposed" and a.ndim > 1:
            return self._leaf(np.swapaxes(a, 0, -1).copy(), dtype).transpose(0, a.ndim - 1)
        if layout == "expanded" and a.ndim and a.shape[0] > 1:
            return self._leaf(a[:1].copy(), dtype).expand(a.shape)
        return self._leaf(a, dtype)

    def names(self):
        def changed(x, f):
            y = x.clone()
            f(y)
            return y

        own = self.context.dtype
        return {
            "L": self.lib, "inf": math.inf, "nan": math.nan, "np": np, "dt": getattr(self.lib, own), "tt": self.tensor,
            "x": lambda *s: self.make(own, s), "xt": lambda d, *s: self.make(d, s),
            "c": lambda *s: self.make(own, s, "contiguous"),
            "i": lambda n, *s: self.tensor(self.random.integers(0, n, s), "int64"),
            "it": lambda d, low, n, *s: self.tensor(self.random.integers(low, n, s), d),
            "b": lambda *s: self.tensor(self.random.integers(0, 2, s), "bool"),
            "chg": changed, "put": lambda x, key, value: changed(x, lambda y: y.__setitem__(key, value)),
            "at": Keys(), **{d: getattr(self.lib, d) for d in DTYPES},
        }  # fmt: skip


class Keys:
    """at[1:, None] is the key of x[1:, None]."""

    def __getitem__(self, key):
        return key


def _flat(y):
    return [z for part in y for z in _flat(part)] if isinstance(y, (tuple, list)) else [y]


def outcome(lib, call, context, order=0):
    """Results; or gradients (order 1), or those and the gradients of their sum (order 2); or the exception."""
    page = Page(lib, context, order)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ys = _flat(eval(call, page.names()))
            if not order:
                return ys
            ys = [y for y in ys if getattr(y, "requires_grad", False)]
            if not ys:
                return ["no graph"]
            found = []
            for _ in range(order):
                random = np.random.default_rng(5)
                seeds = [page.tensor(random.normal(size=tuple(y.shape)), str(y.dtype).split(".")[1]) for y in ys]
                gs = lib.autograd.grad(ys, page.leaves, seeds, create_graph=True, allow_unused=True) if ys else ()
                gs = gs or [None] * len(page.leaves)
                found += [lib.zeros_like(x) if g is None else g for g, x in zip(gs, page.leaves)]
                ys = [g for g in gs if g is not None and g.requires_grad]
            return found
    except Exception as e:
        return e


def unlike(mine, theirs, graph):
    if isinstance(mine, mi.Tensor) != isinstance(theirs, torch.Tensor):
        return f"{type(mine).__name__} {mine}, PyTorch {type(theirs).__name__} {theirs}"
    if not isinstance(theirs, torch.Tensor):
        a, b = (str(v).split(".")[-1] if type(v).__name__ == "dtype" else v for v in (mine, theirs))
        return None if a == b or (a != a and b != b) else f"{mine}, PyTorch {theirs}"
    kind = str(theirs.dtype).split(".")[1]
    a, b = ((str(y.dtype).split(".")[1], tuple(y.shape)) for y in (mine, theirs))
    if a != b:
        return f"{a}, PyTorch {b}"
    if not graph and mine.requires_grad != theirs.requires_grad:
        return f"requires_grad={mine.requires_grad}"
    u = np.array(mine.detach().to(mi.float64) if kind in FLOATS else mine.detach())
    v = (theirs.detach().to(torch.float64) if kind in FLOATS else theirs.detach()).numpy(force=True)
    if kind not in FLOATS:
        return None if np.array_equal(u, v) else f"{u.tolist()}, PyTorch {v.tolist()}"
    room = (1024 if graph else 32) * tolerance(kind)  # second gradients divide and cancel
    same = np.allclose(u, v, rtol=room, atol=room, equal_nan=True)
    return None if same else f"{u.tolist()}, PyTorch {v.tolist()}"


_NO_KERNEL = re.compile(
    "not implemented for|not support|is not supported|nsupported input|either float or double|floating-point"
)


def difference(call, context, order=0):
    """None, or how we differ. Dtypes that PyTorch has no kernel for and gradients that it refuses are no question."""
    theirs, mine = outcome(torch, call, context, order), outcome(mi, call, context, order)
    if isinstance(theirs, Exception):
        said = str(theirs)
        if order or isinstance(theirs, NotImplementedError) or _NO_KERNEL.search(said):
            return None
        same = isinstance(mine, type(theirs)) or isinstance(theirs, type(mine)) and isinstance(mine, RuntimeError)
        return None if same else f"{type(mine).__name__} {mine}, PyTorch {type(theirs).__name__}: {said[:90]}"
    if isinstance(mine, Exception):
        return f"{type(mine).__name__}: {mine}"
    if len(mine) != len(theirs):
        return f"{len(mine)} results, PyTorch {len(theirs)}"
    return next((d for d in (unlike(a, b, order > 0) for a, b in zip(mine, theirs)) if d), None)


def lines(text):
    """The calls of a table: one a line, comments and empty lines left out."""
    return [line for line in text.strip().splitlines() if line and not line.startswith("#")]


def differences(calls, contexts, order=0):
    found = ((call, context, difference(call, context, order)) for call in calls for context in contexts)
    return [f for f in found if f[2]]
