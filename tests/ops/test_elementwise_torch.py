"""Elementwise functions beside PyTorch: values at special arguments for every dtype, and gradients at kinks."""

import warnings

import mielina as mi
import mielina.nn.functional as F
import numpy as np
import pytest
from mielina.testing import DTYPES, FLOATS, tolerance

torch = pytest.importorskip("torch")

UNARY = [
    "abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceil", "cos", "cosh", "deg2rad", "digamma", "erf",
    "erfc", "erfinv", "exp", "exp2", "expm1", "floor", "frac", "lgamma", "log", "log10", "log1p", "log2", "logit",
    "nan_to_num", "neg", "positive", "rad2deg", "reciprocal", "round", "rsqrt", "sgn", "sigmoid", "sign", "sin",
    "sinc", "sinh", "sqrt", "square", "tan", "tanh", "trunc", "isfinite", "isinf", "isnan", "isposinf", "isneginf",
    "signbit", "logical_not", "bitwise_not",
]  # fmt: skip
BINARY = [
    "add", "atan2", "bitwise_and", "bitwise_or", "bitwise_xor",
    "bitwise_left_shift", "bitwise_right_shift", "copysign", "div", "eq", "floor_divide", "fmax", "fmin", "fmod",
    "ge", "gt", "heaviside", "hypot", "le", "logaddexp", "logaddexp2", "logical_and", "logical_or", "logical_xor",
    "lt", "maximum", "minimum", "mul", "ne", "pow", "remainder", "rsub", "sub", "xlogy",
]  # fmt: skip
SPECIAL = np.array(
    [0.0, -0.0, 1, -1, 0.5, -0.5, 2, -2, 3, -3, 0.25, 10, -10, 100, -100, 1e-3, np.nan, np.inf, -np.inf, 1.5, -1.5, 2.5]
)
KINKS = np.array([0.0, 1, -1, 0.5, -0.5, 2, -2, 3, -3, 0.25, 6, -6, 1.5, 0.75, -0.999, 20.0, -20])
# PyTorch refuses these for integers, or of unequal dtypes; here they promote.
MORE_GENERAL = ("hypot", "logaddexp", "logaddexp2", "heaviside")
ACTIVATIONS = {
    "celu": {"alpha": 2.0}, "elu": {"alpha": 2.0}, "hardshrink": {},
    "hardsigmoid": {}, "hardswish": {}, "hardtanh": {}, "leaky_relu": {"negative_slope": 0.2}, "logsigmoid": {},
    "mish": {}, "relu": {}, "relu6": {}, "rrelu": {}, "selu": {}, "silu": {},
    "softplus": {"beta": 2.0, "threshold": 3.0}, "softshrink": {}, "softsign": {}, "tanhshrink": {}, "gelu": {},
    "threshold": {"threshold": 0.5, "value": 7.0},
}  # fmt: skip


def values(dtype):
    if dtype in FLOATS:
        return SPECIAL
    return (
        np.array([0, 1, 1, 0])
        if dtype == "bool"
        else np.array([0, 1, 2, 3, 5, 7, 100, *([-1, -2, -100] if dtype != "uint8" else [255])])
    )


def outcome(f, *args, **keywords):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            y = f(*args, **keywords)
    except (RuntimeError, TypeError) as e:
        return type(e), None
    double = mi.float64 if isinstance(y, mi.Tensor) else torch.float64
    dtype = str(y.dtype).split(".")[1]
    return dtype, np.array(y.detach().to(double)).copy()


def agree(name, dtype, mine, theirs, context):
    """The same dtype and nearly the same values, or errors on both sides."""
    if mine[1] is None or theirs[1] is None:
        assert (mine[1] is None) == (theirs[1] is None), f"{name} {context}: {mine} and {theirs}"
        return
    assert mine[0] == theirs[0], f"{name} {context}: {mine[0]}, PyTorch {theirs[0]}"
    relative = tolerance(theirs[0], amplification=16) if theirs[0] in FLOATS else 0
    np.testing.assert_allclose(mine[1], theirs[1], rtol=relative, atol=relative / 16, err_msg=f"{name} {context}")


def pair(array, dtype):
    return mi.tensor(array).to(getattr(mi, dtype)), torch.tensor(array).to(getattr(torch, dtype))


@pytest.mark.parametrize("name", UNARY)
def test_values_of_functions(name):
    for dtype in DTYPES:
        x, t = pair(values(dtype), dtype)
        agree(name, dtype, outcome(getattr(mi, name), x), outcome(getattr(torch, name), t), dtype)


@pytest.mark.parametrize("name", BINARY)
def test_values_of_binary_functions(name):
    mixed = [
        ("int64", "float32"),
        ("float32", "float64"),
        ("uint8", "int8"),
        ("float16", "bfloat16"),
        ("bool", "int32"),
        ("int32", "float16"),
    ]
    for a, b in [(d, d) for d in DTYPES] + mixed:
        if name in MORE_GENERAL and (a != b or a not in FLOATS):
            continue
        divisors = (
            values(b)[values(b) != 0]
            if name in ("floor_divide", "remainder", "fmod") and b not in FLOATS
            else values(b)
        )
        (x, t), (y, s) = pair(np.repeat(values(a), len(divisors)).reshape(-1, len(divisors)), a), pair(divisors, b)
        agree(name, a, outcome(getattr(mi, name), x, y), outcome(getattr(torch, name), t, s), (a, b))


@pytest.mark.parametrize(
    "name", ["add", "sub", "mul", "div", "floor_divide", "remainder", "fmod", "pow", "eq", "lt", "ge"]
)
def test_values_with_numbers(name):
    for dtype in DTYPES:
        for number in (2, -1, 0.5, 2.0, 3, -0.5):
            if name == "pow" and dtype in ("float16", "bfloat16"):
                continue  # PyTorch's own halves and floats differ at infinities
            x, t = pair(values(dtype), dtype)
            agree(
                name,
                dtype,
                outcome(getattr(mi, name), x, number),
                outcome(getattr(torch, name), t, number),
                (dtype, number),
            )


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_values_of_activations(name):
    theirs = getattr(torch.nn.functional, name)
    x = SPECIAL[np.isfinite(SPECIAL)] if name == "gelu" else SPECIAL  # PyTorch's vectorised gelu(inf) is NaN
    for dtype in (*FLOATS, "int64"):
        a, b = pair(x if dtype in FLOATS else values(dtype), dtype)
        mine, other = outcome(getattr(F, name), a, **ACTIVATIONS[name]), outcome(theirs, b, **ACTIVATIONS[name])
        if mine[1] is not None and other[1] is not None and name in ("gelu", "tanhshrink") and dtype in FLOATS:
            assert mine[0] == other[0]
            np.testing.assert_allclose(
                mine[1], other[1], atol=tolerance(dtype, amplification=100), rtol=tolerance(dtype, amplification=4)
            )
            continue
        agree(name, dtype, mine, other, dtype)


def gradients(lib, f, *arrays, **keywords):
    leaves = [lib.tensor(a, dtype=lib.float64).requires_grad_() for a in arrays]
    y = f(*leaves, **keywords)
    (y * lib.tensor(np.linspace(0.5, 1.5, y.numel()).reshape(tuple(y.shape)))).sum().backward()
    return [np.zeros(a.shape) if x.grad is None else np.array((x.grad + 0).detach()) for x, a in zip(leaves, arrays)]


def same_gradients(mine, theirs, *arrays, **keywords):
    for a, b in zip(gradients(mi, mine, *arrays, **keywords), gradients(torch, theirs, *arrays, **keywords)):
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-9)


NO_GRADIENT = ["isfinite", "isinf", "isnan", "isposinf", "isneginf", "signbit", "logical_not", "bitwise_not"]


@pytest.mark.parametrize("name", [n for n in UNARY if n not in NO_GRADIENT])
def test_gradients_of_functions(name):
    # where PyTorch and we leave the domain in different ways: poles of digamma, acosh left of 1
    x = KINKS[KINKS > 1] if name in ("digamma", "acosh") else KINKS
    same_gradients(getattr(mi, name), getattr(torch, name), x)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_gradients_of_activations(name):
    same_gradients(getattr(F, name), getattr(torch.nn.functional, name), KINKS, **ACTIVATIONS[name])


@pytest.mark.parametrize(
    "name",
    [
        "add",
        "atan2",
        "copysign",
        "div",
        "fmax",
        "fmin",
        "fmod",
        "hypot",
        "logaddexp",
        "logaddexp2",
        "maximum",
        "minimum",
        "mul",
        "pow",
        "remainder",
        "sub",
        "xlogy",
    ],
)
def test_gradients_of_binary_functions(name):
    a, b = (m.copy() for m in np.meshgrid(KINKS, KINKS))
    same_gradients(getattr(mi, name), getattr(torch, name), a, b)


def test_gradients_of_clamp_and_three_operands():
    a, b = (m.copy() for m in np.meshgrid(KINKS, KINKS))
    c = np.roll(a, 3)
    for name in ("clamp", "lerp", "addcmul", "addcdiv"):
        same_gradients(getattr(mi, name), getattr(torch, name), a, b, c)
    for low, high in ((-1, 2), (None, 2), (-1, None), (2, -1)):
        same_gradients(mi.clamp, torch.clamp, KINKS, min=low, max=high)
    same_gradients(mi.clamp_max, torch.clamp_max, a, b)
    same_gradients(lambda x, y: mi.where(x > y, x, y), lambda x, y: torch.where(x > y, x, y), a, b)


@pytest.mark.parametrize("n", [0, 1, 2, 3, -1, 0.5, -0.5, 2.5, -2])
def test_gradients_of_powers_with_numbers(n):
    same_gradients(lambda x: x**n, lambda x: x**n, KINKS)
    same_gradients(lambda x: n**x, lambda x: n**x, KINKS)


def test_gradients_of_rounding():
    a, b = (m.copy() for m in np.meshgrid(KINKS, KINKS))
    for decimals in (-1, 2):
        same_gradients(mi.round, torch.round, KINKS * 1.111, decimals=decimals)
    for mode in ("floor", "trunc"):
        same_gradients(mi.div, torch.div, a, b, rounding_mode=mode)
    same_gradients(mi.logit, torch.logit, KINKS, eps=0.1)
