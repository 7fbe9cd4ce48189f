"""NaN, infinities, -0, subnormals and the extremes of each dtype through every family, against the references.

Where a result is a function of single elements, every element may be special, and every pair of special values meets.
Where it is a sum, each sum holds one special value at most: two extremes in a sum overflow in one order and not in
another. The families are the kernel tables of csrc/table, so that a new one without a case here fails.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mielina as mi
import numpy as np
import pytest
from mielina.ops import rnn as sequences
from mielina.testing import FLOATS, Library, assert_close, check_op, reference, tolerance, use_isa
from mielina.testing.dtypes import largest, quantise, smallest_normal
from mielina.testing.strategies import special_values

F = mi.nn.functional
TABLES = Path(__file__).parents[2] / "csrc" / "table"
LAYOUTS = ("contiguous", "transposed", "sliced")


class Draw:
    """Arrays that hold special values of one dtype. `huge`: the extreme to use, where a square must not overflow."""

    def __init__(self, dtype: str, squares: bool = False) -> None:
        self.dtype, self.rng = dtype, np.random.default_rng(5)
        special = special_values(dtype)
        if squares:
            big = np.sqrt(largest(dtype)) / 64
            special = quantise(np.clip(special, -big, big) + 0 * special, dtype)
            special = np.where(np.isinf(special_values(dtype)), special_values(dtype), special)
        self.special = special

    def normal(self, *shape: int) -> Any:
        """Ordinary numbers, none near 0."""
        x = np.asarray(self.rng.standard_normal(shape))
        return quantise(x + 0.25 * np.sign(x), self.dtype)

    def every(self) -> Any:
        """Each special value, some ordinary numbers, and an odd tail."""
        return np.concatenate([self.special, self.normal(21), self.special])

    def pairs(self) -> tuple[Any, Any]:
        """Columns and rows that meet in every pair."""
        values = np.concatenate([self.special, self.normal(3)])
        return values[:, None], values[None, :]

    def grids(self) -> tuple[Any, Any]:
        """The same as two full arrays, for functions that do not broadcast."""
        a, b = np.broadcast_arrays(*self.pairs())
        return a.copy(), b.copy()

    def single(self, *shape: int, axis: int | tuple[int, ...] = -1) -> Any:
        """Ordinary numbers, and one special value in each slice along `axis`, every third slice without."""
        x = self.normal(*shape)
        along = [a % x.ndim for a in ((axis,) if isinstance(axis, int) else axis)]
        rest = [a for a in range(x.ndim) if a not in along]
        rows = np.moveaxis(x, rest, range(len(rest))).reshape(int(np.prod([shape[a] for a in rest])), -1).copy()
        assert len(rows) >= len(self.special), "too few slices for all special values"
        for i, row in enumerate(rows):
            if i < len(self.special) or i % 3:
                row[self.rng.integers(row.size)] = self.special[i % len(self.special)]
        moved = rows.reshape([shape[a] for a in rest] + [shape[a] for a in along])
        return np.ascontiguousarray(np.moveaxis(moved, range(len(rest)), rest))


@dataclass(frozen=True)
class Case:
    """A call, its reference, and the drawing of its inputs; `options` go to check_op."""

    name: str
    fn: Callable[..., Any]
    ref: Callable[..., Any]
    draw: Callable[[Draw], Any]
    kwargs: dict[str, Any] = field(default_factory=dict)
    squares: bool = False
    dtypes: tuple[str, ...] = FLOATS
    options: dict[str, Any] = field(default_factory=dict)


def one(d: Draw) -> list[Any]:
    return [d.every()]


def two(d: Draw) -> list[Any]:
    return list(d.pairs())


def same(name: str, draw: Callable[[Draw], Any] = one, module: Any = mi, **options: Any) -> Case:
    kwargs, squares = options.pop("kwargs", {}), options.pop("squares", False)
    dtypes = options.pop("dtypes", FLOATS)
    return Case(name, getattr(module, name), getattr(reference, name), draw, kwargs, squares, dtypes, options)


# ---- elementwise -----------------------------------------------------------------------------------------------------
FUNCTIONS = {
    "abs": 1, "acos": 4, "acosh": 4, "asin": 4, "asinh": 4, "atan": 4, "atanh": 4, "ceil": 1, "cos": 40, "cosh": 8,
    "deg2rad": 4, "erf": 4, "erfc": 8, "erfinv": 6, "exp": 4, "exp2": 4, "expm1": 4, "floor": 1, "frac": 4,
    "isfinite": 1, "isinf": 1, "isnan": 1, "log": 4, "log10": 4, "log1p": 4, "log2": 4, "logical_not": 1,
    "logit": 40, "neg": 1, "rad2deg": 4, "reciprocal": 2, "round": 1, "rsqrt": 4, "sigmoid": 4, "sign": 1,
    "signbit": 1, "sin": 40, "sinc": 40, "sinh": 8, "sqrt": 2, "square": 2, "tan": 40, "tanh": 4, "trunc": 1,
}  # fmt: skip
ACTIVATIONS = [
    "celu", "elu", "gelu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "logsigmoid", "mish",
    "relu", "relu6", "selu", "silu", "softplus", "softshrink", "softsign", "tanhshrink",
]  # fmt: skip
BINARY = {
    "add": 2, "sub": 2, "mul": 2, "div": 2, "atan2": 8, "copysign": 1, "fmax": 1, "fmin": 1, "maximum": 1,
    "minimum": 1, "hypot": 8, "logaddexp": 8, "pow": 40, "xlogy": 8, "eq": 1, "ne": 1, "lt": 1, "le": 1, "gt": 1,
    "ge": 1, "logical_and": 1, "logical_or": 1, "logical_xor": 1,
}  # fmt: skip
CASES: dict[str, list[Case]] = {
    "elementwise": [
        *(same(name, amplification=a, magnitude=0.0 if a == 1 else 1e-30) for name, a in FUNCTIONS.items()),
        # Between its poles lgamma is a difference of terms of about log |x|.
        same("lgamma", amplification=8, magnitude=lambda x: np.log(2 + np.abs(x))),
        *(same(name, module=F, amplification=8, magnitude=np.abs) for name in ACTIVATIONS),
        *(same(name, two, amplification=a) for name, a in BINARY.items()),
        same("clamp", kwargs={"min": -0.5, "max": 1.5}),
        same("nan_to_num", kwargs={"nan": 2.0, "posinf": 7.0, "neginf": -8.0}),
        Case("where", lambda x, y: mi.where(x < y, x, y), lambda x, y: np.where(x < y, x, y), two),
    ],
    # ---- sums --------------------------------------------------------------------------------------------------------
    "gemm": [
        same("matmul", lambda d: [d.single(40, 33), d.normal(33, 19)], magnitude="abs", length=33, amplification=4),
        same("matmul", lambda d: [d.normal(19, 33), d.single(33, 40, axis=0)], magnitude="abs", length=33,
             amplification=4),
        same("matmul", lambda d: [d.single(90, 131), d.normal(131, 67)], magnitude="abs", length=131, amplification=4),
        same("matmul", lambda d: [d.single(20, 33), d.normal(33)], magnitude="abs", length=33, amplification=4),
        same("linear", lambda d: [d.single(20, 7), d.normal(5, 7), d.normal(5)], F, magnitude="abs", length=8,
             amplification=4),
    ],
    "conv": [
        same("conv2d", lambda d: [d.single(16, 3, 6, 7, axis=(1, 2, 3)), d.normal(5, 3, 3, 3), d.normal(5)], F,
             kwargs={"padding": 1}, magnitude="abs", length=27, amplification=4),
        same("conv2d", lambda d: [d.single(16, 4, 5, 5, axis=(1, 2, 3)), d.normal(4, 1, 3, 3)], F,
             kwargs={"groups": 4, "stride": 2}, magnitude="abs", length=9, amplification=4),
        same("conv1d", lambda d: [d.single(16, 2, 37, axis=(1, 2)), d.normal(6, 2, 4)], F,
             kwargs={"stride": 3, "padding": 2}, magnitude="abs", length=8, amplification=4),
        same("conv_transpose2d", lambda d: [d.single(16, 3, 4, 4, axis=(1, 2, 3)), d.normal(3, 4, 3, 3)], F,
             kwargs={"stride": 2}, magnitude="abs", length=27, amplification=4),
    ],
    "reduce": [
        *(same(name, lambda d: [d.single(20, 37)], kwargs={"dim": 1}, magnitude="abs", length=37, amplification=4)
          for name in ("sum", "mean", "nansum")),
        *(same(name, lambda d: [d.single(37, 20, axis=0)], kwargs={"dim": 0}, magnitude="abs", length=37,
               amplification=4) for name in ("sum", "mean")),
        same("logsumexp", lambda d: [d.single(20, 37)], kwargs={"dim": 1}, magnitude=1.0, length=37, amplification=4),
        *(same(name, lambda d: [d.single(20, 9)], kwargs={"dim": 1}, squares=True, magnitude="max", length=9,
               amplification=8) for name in ("var", "std")),
        same("norm", lambda d: [d.single(20, 37)], kwargs={"dim": 1}, squares=True, length=37, amplification=8),
        *(same(name, lambda d: [d.grids()[0]], kwargs={"dim": dim}) for dim in (0, 1)
          for name in ("amax", "amin", "argmax", "argmin", "max", "min", "any", "all", "count_nonzero")),
    ],
    "scan": [
        *(same("cumsum", lambda d: [d.single(20, 37)], kwargs={"dim": dim}, magnitude="abs", length=37,
               amplification=4, dtypes=FLOATS[2:] if dim == 0 else FLOATS) for dim in (1,)),
        same("logcumsumexp", lambda d: [d.single(20, 37)], kwargs={"dim": 1}, magnitude=1.0, length=37,
             amplification=8),
        *(same(name, lambda d: [d.grids()[0]], kwargs={"dim": dim}) for name in ("cummax",)
          for dim in (0, 1)),
    ],
    "softmax": [
        same(name, lambda d: [d.single(20, 37)], F, kwargs={"dim": 1}, magnitude=1e-30, length=37, amplification=16)
        for name in ("softmax", "log_softmax")
    ],
    "norm": [
        Case("layer_norm", lambda x, w, b: F.layer_norm(x, (37,), w, b),
             lambda x, w, b: reference.layer_norm(x, (37,), w, b),
             lambda d: [d.single(20, 37), d.normal(37), d.normal(37)], squares=True,
             options={"magnitude": 8.0, "length": 37, "amplification": 16}),
        Case("rms_norm", lambda x, w: F.rms_norm(x, (37,), w, 1e-6), lambda x, w: reference.rms_norm(x, (37,), w, 1e-6),
             lambda d: [d.single(20, 37), d.normal(37)], squares=True,
             options={"magnitude": 8.0, "length": 37, "amplification": 16}),
        Case("batch_norm", lambda x: F.batch_norm(x, None, None, training=True),
             lambda x: reference.batch_norm(x, None, None, training=True), lambda d: [d.single(37, 20, axis=0)],
             squares=True, options={"magnitude": 8.0, "length": 37, "amplification": 16}),
    ],
    "attention": [
        same("scaled_dot_product_attention", lambda d: [d.normal(16, 5, 3), d.normal(16, 9, 3),
             d.single(16, 9, 4, axis=(1, 2))], F, magnitude="max", length=9, amplification=32),
        Case("scores", lambda x: F.scaled_dot_product_attention(x[:, :4], x[:, 4:9], x[:, 9:].abs().clamp(0, 1)),
             lambda x: reference.scaled_dot_product_attention(x[:, :4], x[:, 4:9], np.clip(np.abs(x[:, 9:]), 0, 1)),
             lambda d: [scores(d)], options={"magnitude": 1.0, "length": 5, "amplification": 64}),
    ],
    "loss": [
        *(same(name, lambda d: list(d.grids()), F, kwargs={"reduction": "none"}, squares=True, amplification=8,
               magnitude=lambda x, t: np.abs(x) + np.abs(t))
          for name in ("mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss")),
        *(same(name, lambda d: list(d.single(20, 37).reshape(2, 10, 37)), F, kwargs={"reduction": "mean"},
               squares=True, amplification=8, magnitude="max", length=370) for name in ("mse_loss", "l1_loss")),
        same("binary_cross_entropy_with_logits", lambda d: [d.every(), np.full(d.every().shape, 0.25)], F,
             kwargs={"reduction": "none"}, amplification=8, magnitude=lambda x, t: np.abs(x)),
        Case("cross_entropy", lambda x: F.cross_entropy(x, mi.tensor(np.arange(20) % 7), reduction="none"),
             lambda x: reference.cross_entropy(x, np.arange(20) % 7, reduction="none"), lambda d: [d.single(20, 37)],
             options={"magnitude": 8.0, "length": 37, "amplification": 16}),
    ],
    "rnn": [
        Case("lstm", lambda *a: lstm(*a), lambda *a: lstm_reference(*a),
             lambda d: [d.single(3, 16, 5, axis=(0, 2)), d.normal(1, 16, 4) / 8, d.normal(1, 16, 4) / 8,
                        d.normal(16, 5) / 4, d.normal(16, 4) / 4], dtypes=("float32", "float64"),
             options={"magnitude": 1.0, "length": 30, "amplification": 64}),
    ],
    # ---- values that are moved ---------------------------------------------------------------------------------------
    "pool": [
        same("max_pool2d", lambda d: [d.single(16, 2, 6, 7, axis=(1, 2, 3))], F,
             kwargs={"kernel_size": 3, "stride": 2, "padding": 1, "return_indices": True}),
        same("avg_pool2d", lambda d: [d.single(16, 2, 6, 7, axis=(1, 2, 3))], F,
             kwargs={"kernel_size": 3, "stride": 1, "padding": 1}, magnitude="abs", length=9, amplification=4),
        same("unfold", lambda d: [d.single(16, 2, 6, 7, axis=(1, 2, 3)), 3], F),
    ],
    "image": [
        same("interpolate", lambda d: [d.single(16, 2, 5, 6, axis=(1, 2, 3))], F, kwargs={"scale_factor": 2}),
        *(same("pad", lambda d: [d.single(16, 2, 5, 6, axis=(1, 2, 3))], F, kwargs={"pad": (2, 1, 0, 3), "mode": mode})
          for mode in ("constant", "reflect", "replicate", "circular")),
        same("pixel_shuffle", lambda d: [d.single(16, 4, 3, 5, axis=(1, 2, 3)), 2], F),
    ],
    "index": [
        Case("gather", lambda x: mi.gather(x, 0, mi.tensor(PLACES)), lambda x: reference.gather(x, 0, PLACES), one),
        Case("index_select", lambda x: mi.index_select(x, 0, mi.tensor(PLACES)), lambda x: x[PLACES], one),
        Case("masked_fill", lambda x: mi.masked_fill(x, x != x, -0.0), lambda x: np.where(x != x, -0.0, x), one),
        Case("scatter", lambda x: mi.scatter(x * 0 + 1, 0, mi.tensor(PLACES), x[:20]), lambda x: scattered(x), one),
        Case("embedding", lambda x: F.embedding(mi.tensor(PLACES), x), lambda x: x[PLACES],
             lambda d: [d.single(20, 33)]),
    ],
    "layout": [
        Case("cat", lambda x: mi.cat([x, x[1:], x], 0), lambda x: np.concatenate([x, x[1:], x]), one),
        Case("contiguous", lambda x: x.t().contiguous(), lambda x: x.T, lambda d: [d.grids()[0]]),
        same("tril", lambda d: [d.grids()[0]]),
        Case("flip", lambda x: mi.flip(x, 0, 1), lambda x: x[::-1, ::-1], lambda d: [d.grids()[1]]),
    ],
    "sort": [
        *(Case("sort", mi.sort, lambda x, **k: reference.sort(x, stable=True, **k), lambda d: [d.grids()[1]],
               {"dim": dim, "descending": down}) for dim in (0, 1) for down in (False, True)),
        # Which of several equals it takes is PyTorch's choice: audit/test_sort_audit.py.
        Case("topk", lambda x, k: mi.topk(x, k).values, lambda x, k: reference.topk(x, k)[0],
             lambda d: [d.every()[None]], {"k": 20}),
    ],
    "random": [],  # these two below
    "optim": [],
}  # fmt: skip
PLACES = np.random.default_rng(0).permutation(20)


def scores(d: Draw) -> Any:
    """Queries, keys and values in a row: a special query's scores are NaN, or it is lost among the others."""
    x = d.normal(16, 14, 3)
    at = d.special[np.isnan(d.special) | (np.abs(d.special) <= 1)]
    x[: len(at), 1, 2] = at
    return x


def scattered(x: Any) -> Any:
    y = x * 0 + 1
    y[PLACES] = x[:20]
    return y


def lstm(x: Any, h: Any, c: Any, w: Any, u: Any) -> Any:
    return sequences.lstm(x, (h, c), [w, u], bias=False)[0]


def lstm_reference(x: Any, h: Any, c: Any, w: Any, u: Any) -> Any:
    return reference.rnn_sequence("LSTM", x, [h, c], [[w, u]])[0]


def families() -> list[str]:
    return sorted(p.stem for p in TABLES.glob("*.h") if p.stem != "limits")


def test_every_family_has_cases() -> None:
    assert sorted(CASES) == families()


def kinds(x: Any, dtype: str, big: float) -> dict[str, bool]:
    finite = np.abs(x[np.isfinite(x)])
    return {
        "NaN": bool(np.isnan(x).any()),
        "inf": bool(np.isposinf(x).any()),
        "-inf": bool(np.isneginf(x).any()),
        "-0": bool((np.signbit(x) & (x == 0)).any()),
        "subnormal": bool(((finite > 0) & (finite < smallest_normal(dtype))).any()),
        "extreme": bool((finite >= big).any()),
    }


@pytest.mark.parametrize("family", [f for f in CASES if CASES[f]])
def test_the_inputs_hold_every_kind(family: str) -> None:
    for dtype in FLOATS:
        cases = [c for c in CASES[family] if dtype in c.dtypes]
        found: dict[str, bool] = {}
        for case in cases:
            arrays = [np.ravel(x) for x in case.draw(Draw(dtype, case.squares)) if isinstance(x, np.ndarray)]
            big = np.sqrt(largest(dtype)) / 128 if case.squares else largest(dtype) / 2
            for kind, there in kinds(np.concatenate(arrays), dtype, big).items():
                found[kind] = found.get(kind, False) or there
        assert not cases or all(found.values()), f"{dtype}: {found}"


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("family", "i"), [(f, i) for f in CASES for i in range(len(CASES[f]))], ids=lambda v: str(v))
def test_special_values(family: str, i: int, dtype: str) -> None:
    case = CASES[family][i]
    if dtype not in case.dtypes:
        pytest.skip(f"{case.name} has no {dtype}")
    inputs = case.draw(Draw(dtype, case.squares))
    check_op(case.fn, case.ref, inputs, case.kwargs, dtypes=(dtype,), **{"layouts": LAYOUTS, **case.options})


@pytest.mark.parametrize("dtype", FLOATS)
def test_dropout_of_special_values(dtype: str) -> None:
    """What is kept is scaled, whatever it is; what is not becomes 0, also NaN."""
    x = np.tile(Draw(dtype).every(), 4)
    t = mi.tensor(x).to(getattr(mi, dtype))
    mi.manual_seed(1)
    kept = F.dropout(mi.ones_like(t), 0.5).to(mi.float64).numpy() != 0
    mi.manual_seed(1)
    y = F.dropout(t, 0.5).to(mi.float64).numpy()
    assert kept.any() and not kept.all()
    assert_close(y, np.where(kept, x * 2, 0.0), dtype, tolerance(dtype))
    for kind, there in kinds(x[kept], dtype, largest(dtype) / 2).items():
        assert there, f"no {kind} was kept"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad"])
def test_steps_with_special_values(name: str, dtype: str) -> None:
    """Parameters and gradients of every pair; extremes whose squares the dtype holds."""
    p, g = (np.ravel(x) for x in Draw(dtype, squares=True).grids())
    before = mi.get_num_threads()
    results = []
    for isa in Library().isas():
        for threads in (1, 2, 7):
            mi.set_num_threads(threads)
            with use_isa(isa):
                parameter = mi.nn.Parameter(mi.tensor(p).to(getattr(mi, dtype)))
                parameter.grad = mi.tensor(g).to(getattr(mi, dtype))
                optimiser = getattr(mi.optim, name)([parameter], lr=0.25)
                optimiser.step()
                results.append(parameter.detach().to(mi.float64).numpy())
    mi.set_num_threads(before)
    with np.errstate(all="ignore"):
        expected = STEPS[name](p, g)
    for y in results:
        assert_close(y, expected, dtype, tolerance(dtype, amplification=64), 1.0, name)


def first_step(p: Any, g: Any, decay: float = 0.0) -> Any:
    """Adam's first step moves by lr g / (|g| + eps)."""
    return p * (1 - 0.25 * decay) - 0.25 * g / (np.abs(g) + 1e-8)


STEPS: dict[str, Callable[[Any, Any], Any]] = {
    "SGD": lambda p, g: p - 0.25 * g,
    "Adam": first_step,
    "AdamW": lambda p, g: first_step(p, g, 0.01),
    "RMSprop": lambda p, g: p - 0.25 * g / (np.sqrt(0.01 * g * g) + 1e-8),
    "Adagrad": lambda p, g: p - 0.25 * g / (np.sqrt(g * g) + 1e-10),
}
