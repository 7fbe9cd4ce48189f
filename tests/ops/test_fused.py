"""Every fused op against its composite: results, gradients by the fused backward and by the composite, second ones.

The ops are those that register with a composite, so that a new one without a case here fails the first test. A case
calls the public function; what it recorded (inputs, saved values, results) is what the composite is given.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import mielina as mi
import numpy as np
import pytest
from mielina import autograd
from mielina.ops import rnn as sequences
from mielina.ops.softmax import softmax_backward
from mielina.testing import assert_close, tolerance

F = mi.nn.functional
REDUCTIONS = ("none", "mean", "sum")


class Make:
    """x(2, 3): a leaf of normal numbers, x.uniform(2, 3): between 0.1 and 0.9. `only`: the one leaf with a gradient."""

    def __init__(self, dtype: str, only: int | None = None) -> None:
        self.dtype, self.only, self.count, self.rng = dtype, only, 0, np.random.default_rng(7)

    def __call__(self, *shape: int) -> Any:
        return self.leaf(np.asarray(self.rng.standard_normal(shape)))

    def uniform(self, *shape: int) -> Any:
        return self.leaf(np.asarray(self.rng.uniform(0.1, 0.9, shape)))

    def leaf(self, values: Any) -> Any:
        wanted = self.only in (None, self.count)
        self.count += 1
        return mi.tensor(values).to(getattr(mi, self.dtype)).requires_grad_(wanted)

    def plain(self, values: Any) -> Any:
        return mi.tensor(np.asarray(values)).to(getattr(mi, self.dtype))

    def integers(self, low: int, high: int, *shape: int) -> Any:
        return mi.tensor(self.rng.integers(low, high, shape))


Case = Callable[[Make], Any]


def softmaxes() -> Iterator[Case]:
    for shape, dim in (
        ((4, 5), 1),
        ((4, 5), 0),
        ((2, 3, 7), 1),
        ((2, 3, 7), -1),
        ((6,), 0),
        ((), 0),
        ((0, 3), 1),
        ((3, 1), 1),
    ):
        yield lambda x, s=shape, d=dim: softmax_backward(x(*s), x.uniform(*s), d)
    yield lambda x: softmax_backward(x(5, 4).t(), x(5, 4).t(), 1)


def losses() -> Iterator[Case]:
    for reduction in REDUCTIONS:
        for name, kwargs in [
            ("mse_loss", {}), ("l1_loss", {}), ("smooth_l1_loss", {"beta": 0.7}), ("huber_loss", {"delta": 0.6}),
            ("soft_margin_loss", {}), ("binary_cross_entropy_with_logits", {}), ("kl_div", {}),
            ("kl_div", {"log_target": True}),
        ]:  # fmt: skip
            yield lambda x, n=name, k={**kwargs, "reduction": reduction}: getattr(F, n)(x(5, 7), x.uniform(5, 7), **k)
        yield lambda x, r=reduction: F.binary_cross_entropy(x.uniform(5, 7), x.uniform(5, 7), reduction=r)
    yield lambda x: F.mse_loss(x(7, 5).t(), x(5, 7))
    yield lambda x: F.huber_loss(x(0, 3), x(0, 3), reduction="sum")
    yield lambda x: F.kl_div(x(4, 3), x.uniform(4, 3), reduction="batchmean")


def cross_entropies() -> Iterator[Case]:
    for reduction, weighted, smoothing in itertools.product(REDUCTIONS, (False, True), (0.0, 0.3)):

        def case(x: Make, r: str = reduction, w: bool = weighted, s: float = smoothing) -> Any:
            target = x.integers(0, 6, 9)
            target[2] = -100
            weight = x.plain(x.rng.uniform(0.2, 2, 6)) if w else None
            return F.cross_entropy(x(9, 6), target, weight, reduction=r, label_smoothing=s)

        yield case
    yield lambda x: F.cross_entropy(x(3, 4), x.integers(0, 4, 3), ignore_index=2)
    yield lambda x: F.cross_entropy(x(4, 3).t(), x.integers(0, 4, 3))


def norms() -> Iterator[Case]:
    for affine in (0, 1, 2):
        own = lambda x, *s, a=affine: [x(*s) for _ in range(a)]  # noqa: E731
        yield lambda x, own=own: F.layer_norm(x(4, 6), (6,), *own(x, 6))
        yield lambda x, own=own: F.layer_norm(x(3, 2, 5), (2, 5), *own(x, 2, 5), eps=1e-2)
        yield lambda x, own=own: F.group_norm(x(3, 6, 4), 3, *own(x, 6))
        yield lambda x, own=own: F.group_norm(x(2, 4), 2, *own(x, 4))
        yield lambda x, own=own: F.instance_norm(x(2, 3, 5), None, None, *own(x, 3))
    yield lambda x: F.rms_norm(x(4, 6), (6,))
    yield lambda x: F.rms_norm(x(3, 4, 5), (4, 5), x(4, 5), 1e-3)
    yield lambda x: F.layer_norm(x(6, 4).t(), (6,), x(6), x(6))


def batch_norms() -> Iterator[Case]:
    for training, affine, shape in itertools.product((True, False), (0, 1, 2), ((7, 3), (4, 3, 5), (2, 3, 4, 3))):

        def case(x: Make, t: bool = training, a: int = affine, s: Any = shape) -> Any:
            mean, var = x.plain(x.rng.standard_normal(3)), x.plain(x.rng.uniform(0.5, 2, 3))
            return F.batch_norm(x(*s), mean, var, *(x(3) for _ in range(a)), training=t, eps=1e-3)

        yield case
    last = (0, 3, 1, 2)
    yield lambda x: F.batch_norm(x(2, 4, 3, 5).permute(last), None, None, x(5), x(5), training=True)


def layers() -> Iterator[Case]:
    gates = {"RNN_TANH": 1, "RNN_RELU": 1, "GRU": 3, "LSTM": 4}
    for mode, bias, both, packed in itertools.product(gates, (True, False), (False, True), (False, True)):
        for projected in (False, True) if mode == "LSTM" else (False,):

            def case(
                x: Make,
                mode: str = mode,
                bias: bool = bias,
                both: bool = both,
                packed: bool = packed,
                p: bool = projected,
            ) -> Any:  # noqa: E501
                g, d, h, i = gates[mode], 1 + both, 3, 2
                out = 2 if p else h
                states = [x(d, 3, out)] + [x(d, 3, h)] * (mode == "LSTM")
                weights = []
                for _ in range(d):
                    weights += [x(g * h, i), x(g * h, out)] + [x(g * h), x(g * h)] * bias + [x(out, h)] * p
                sizes = mi.tensor([3, 2, 2]) if packed else None
                rows = x(7, i) if packed else x(4, 3, i)
                options: dict[str, Any] = {"bias": bias, "bidirectional": both, "batch_sizes": sizes}
                if mode == "LSTM":
                    return sequences.lstm(rows, tuple(states), weights, proj_size=out * p, **options)
                if mode == "GRU":
                    return sequences.gru(rows, states[0], weights, **options)
                return sequences.rnn(rows, states[0], weights, nonlinearity=mode[4:].lower(), **options)

            yield case


def ctcs() -> Iterator[Case]:
    for reduction, zero in itertools.product(REDUCTIONS, (False, True)):

        def case(x: Make, r: str = reduction, z: bool = zero) -> Any:
            targets = x.integers(1, 5, 3, 3)
            targets[0] = 2  # a label that repeats needs a blank between
            steps = [9, 8, 2] if z else [9, 8, 7]  # with z, the third is too short for its target
            return F.ctc_loss(x(9, 3, 5), targets, steps, [3, 2, 3], reduction=r, zero_infinity=z)

        yield case
    yield lambda x: F.ctc_loss(x(6, 2, 4), x.integers(0, 3, 3), [6, 5], [2, 1], blank=3)
    yield lambda x: F.ctc_loss(x(6, 4), x.integers(1, 4, 2), 6, 2)


def attentions() -> Iterator[Case]:
    attend = F.scaled_dot_product_attention

    def masked(x: Make, kind: str) -> Any:
        if kind == "bool":
            return mi.tensor(np.r_[np.zeros((1, 5)), x.rng.random((3, 5))] > 0.4)
        if kind == "hidden":
            return x.leaf(np.where(x.rng.random((4, 5)) < 0.3, -np.inf, x.rng.standard_normal((4, 5))))
        return x(4, 5) if kind == "float" else None

    for kind, causal, scale in itertools.product(("", "bool", "float", "hidden"), (False, True), (None, 0.7)):
        yield lambda x, k=kind, c=causal, s=scale: attend(
            x(2, 3, 4, 6), x(2, 3, 5, 6), x(2, 3, 5, 2), masked(x, k), is_causal=c, scale=s
        )
    yield lambda x: attend(x(2, 4, 4, 3), x(2, 2, 5, 3), x(2, 2, 5, 3), enable_gqa=True)
    yield lambda x: attend(x(2, 3, 4, 3), x(1, 3, 5, 3), x(2, 1, 5, 3), masked(x, "float"))
    yield lambda x: attend(x(3, 4, 2).transpose(0, 1), x(5, 4, 2).transpose(0, 1), x(5, 4, 2).transpose(0, 1))
    yield lambda x: attend(x(2, 4, 3), x(2, 5, 3), x(2, 5, 3), dropout_p=0.4)


def slopes(name: str) -> Iterator[Case]:
    """The backward of a function of one operand is fused: it is recorded when its own gradient may be asked for."""
    named = {"log_sigmoid": F.logsigmoid, "gelu_tanh": lambda x: F.gelu(x, approximate="tanh")}
    fn = named.get(name) or getattr(mi, name, None) or getattr(F, name)

    def backward(x: Any, g: Any) -> Any:
        return mi.grad(fn(x), x, g, create_graph=True)

    own = hasattr(mi, name)  # functions, with domains; activations take every number
    beyond = 1.0 if name == "acosh" else 0.0
    yield lambda x: backward(x.leaf(x.rng.uniform(0.1, 0.9, (5, 7)) + beyond), x(5, 7))
    yield lambda x: backward(x.leaf(x.rng.uniform(0.1, 0.9, (7, 5)) + beyond).t(), x(5, 7))
    if not own:
        yield lambda x: backward(x.leaf(x.rng.standard_normal((3, 70)) * 4), x(3, 70))


ELEMENTWISE = [
    "square", "sqrt", "rsqrt", "reciprocal", "abs", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sigmoid",
    "logit", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "sinc",
    "erf", "erfc", "erfinv", "lgamma", "digamma", "hardswish", "gelu", "gelu_tanh", "silu", "mish", "elu", "selu",
    "softplus", "log_sigmoid", "softsign", "tanhshrink",
]  # fmt: skip


def samples() -> Iterator[Case]:
    for mode, border, corners in itertools.product(
        ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection"), (False, True)
    ):
        for shape, points in (((2, 3, 4, 5), (3, 2)), ((1, 2, 3, 4, 3), (2, 2, 3))):
            if mode == "bicubic" and len(points) == 3:
                continue

            def case(x: Make, m: str = mode, b: str = border, c: Any = corners, s: Any = shape, p: Any = points) -> Any:
                grid = x.leaf(x.rng.uniform(-1.7, 1.7, (s[0], *p, len(p))))
                return F.grid_sample(x(*s), grid, m, b, align_corners=c)

            yield case


CASES: dict[str, list[Case]] = {
    **{f"{name}_backward": list(slopes(name)) for name in ELEMENTWISE},
    "softmax_backward": list(softmaxes()),
    "loss": list(losses()),
    "cross_entropy": list(cross_entropies()),
    "norm": list(norms()),
    "batch_norm": list(batch_norms()),
    "rnn_layer": list(layers()),
    "ctc_loss": list(ctcs()),
    "attention": list(attentions()),
    "grid_sample": list(samples()),
}


def test_every_fused_op_has_cases() -> None:
    fused = [op.name for op in autograd.OPS if op.composite is not None]
    assert len(fused) == len(set(fused)), "two fused ops share a name"
    assert sorted(fused) == sorted(CASES), "tests/ops/test_fused.py needs a case for each op that declares composite="


@dataclass
class Recorded:
    """A call of a fused op, as the tape saw it."""

    op: autograd.Op
    results: tuple[Any, ...]
    inputs: tuple[Any, ...]
    saves: tuple[Any, ...]


def recorded(name: str, case: Case, make: Make) -> Recorded:
    calls = []

    def note(y: Any, op: Any, inputs: Any, saves: Any) -> None:
        if op.name == name:
            calls.append(Recorded(op, y if isinstance(y, tuple) else (y,), inputs, saves))

    mi.manual_seed(3)
    with autograd.traced(note):
        case(make)
    assert len(calls) == 1, f"the case called {name} {len(calls)} times"
    return calls[0]


def definition(call: Recorded) -> tuple[list[Any], list[Any]]:
    """(results of the composite, fresh leaves it was given)."""
    n = len(call.inputs)
    leaves = [x.detach().requires_grad_(x._tracked) if isinstance(x, mi.Tensor) else x for x in call.saves[:n]]
    place = {id(mark): i for i, mark in enumerate(autograd.OUTPUTS)}
    rest = [call.results[place[id(s)]].detach() if id(s) in place else s for s in call.saves[n:]]
    y = call.op.composite(*leaves, *rest)  # type: ignore[misc]
    return list(y) if isinstance(y, tuple) else [y], leaves


def draw(like: Any, rng: np.random.Generator) -> Any:
    return mi.tensor(rng.integers(-16, 17, like.shape) / 8).to(like.dtype)


def derivatives(ys: list[Any], xs: list[Any]) -> dict[str, list[Any]]:
    """Gradients along fixed cotangents without a graph and with one, and the gradient of <gradient, w>."""
    rng = np.random.default_rng(0)
    ys = [y for y in ys if y._tracked]
    vs = [draw(y, rng).requires_grad_() for y in ys]
    ws = [draw(x, rng) for x in xs]
    result = {"gradient": list(mi.grad(ys, xs, vs, retain_graph=True, allow_unused=True))}
    first = list(mi.grad(ys, xs, vs, create_graph=True, allow_unused=True))
    result["gradient with create_graph"] = first
    pairs = [(g, w) for g, w in zip(first, ws, strict=True) if g is not None and g._tracked]
    second = mi.grad([g for g, _ in pairs], [*xs, *vs], [w for _, w in pairs], allow_unused=True)
    return {**result, "second gradient": list(second)}


def compare(what: str, found: Any, expected: Any, length: int) -> None:
    if found is None or expected is None:
        for x in (found, expected):  # no path is a gradient of 0
            assert x is None or not x.detach().numpy().any(), f"{what}: only one of the two has a gradient"
        return
    assert found.dtype is expected.dtype and found.shape == expected.shape, what
    a, e = (np.asarray(x.detach().to(mi.float64).numpy()) for x in (found, expected))
    name = found.dtype.name
    largest = float(np.max(np.abs(e), initial=1.0, where=np.isfinite(e)))
    assert_close(a, e, name, tolerance(name, length, 64), largest, what)


@pytest.mark.filterwarnings("ignore:reduction")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("name", "i"), [(name, i) for name, cases in CASES.items() for i in range(len(cases))])
def test_fused_is_its_composite(name: str, i: int, dtype: str) -> None:
    case = CASES[name][i]
    call = recorded(name, case, make := Make(dtype))
    ys, leaves = definition(call)
    xs = [(x, leaf) for x, leaf in zip(call.inputs, leaves, strict=True) if isinstance(x, mi.Tensor) and x._tracked]
    length = max(x.numel() for x, _ in xs)
    for k, (a, e) in enumerate(zip(call.results, ys, strict=False)):
        compare(f"{name} {i}: result {k}", a, e, length)
    fused = lambda: derivatives(list(call.results[: len(ys)]), [x for x, _ in xs])  # noqa: E731
    try:
        expected = derivatives(ys, [leaf for _, leaf in xs])
    except NotImplementedError:  # one that says so: the fused op must say so too
        with pytest.raises(NotImplementedError):
            fused()
        return
    found = fused()
    for what, values in expected.items():
        for k, (a, e) in enumerate(zip(found[what], values, strict=True)):
            compare(f"{name} {i}: {what} {k}", a, e, length)
    if dtype == "float64" and name.removesuffix("_backward") not in ELEMENTWISE:
        each_alone(name, case, make.count)


def each_alone(name: str, case: Case, leaves: int) -> None:
    """A gradient does not depend on who else asks for one: `needs` of a rule."""
    seen = []
    for only in range(leaves):
        call = recorded(name, case, Make("float64", only))
        ys, copies = definition(call)
        xs = [(x, c) for x, c in zip(call.inputs, copies, strict=True) if isinstance(x, mi.Tensor) and x._tracked]
        assert len(xs) <= 1
        for x, copy in xs:
            rng = np.random.default_rng(0)
            outputs = [(y, e, draw(y, rng)) for y, e in zip(call.results, ys, strict=False) if y._tracked]
            (g,) = mi.grad([y for y, _, _ in outputs], [x], [v for _, _, v in outputs], allow_unused=True)
            pairs = [(e, v) for _, e, v in outputs if e._tracked]  # a constant definition has no gradient
            (h,) = (
                mi.grad([e for e, _ in pairs], [copy], [v for _, v in pairs], allow_unused=True) if pairs else (None,)
            )
            compare(f"{name}: the gradient of leaf {only} alone", g, h, x.numel())
            seen.append(only)
    assert seen
