"""The elementwise references against PyTorch: special values, odd shapes, promotion, keywords."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mielina.testing import reference

RNG = np.random.default_rng(0)
SHAPES = [(), (0,), (1,), (5,), (3, 4), (2, 0, 3), (2, 3, 4, 5)]
SPECIAL = np.array(
    [
        np.nan,
        np.inf,
        -np.inf,
        -0.0,
        0.0,
        1e-310,
        -1e-310,
        5e-324,
        1e308,
        -1e308,
        1.0,
        -1.0,
        0.5,
        -0.5,
        1.5,
        2.5,
        -2.5,
        3.0,
    ]
    + [0.999999, -0.999999, 1 - 1e-15, 1e-9, -1e-9, 20.0, -20.0, 40.0, 710.0, -710.0, 750.0, -750.0, -3.0, 6.0, 0.25]
)
INTEGERS = np.arange(-7, 8)
SMALL = INTEGERS.astype(np.int8)
BOOL = np.array([True, False, True])

UNARY = """
    abs acos acosh asin asinh atan atanh ceil cos cosh deg2rad digamma erf erfc erfinv exp exp2 expm1 floor frac
    isfinite isinf isnan lgamma log log10 log1p log2 neg rad2deg reciprocal round rsqrt sgn sigmoid sign signbit sin
    sinc sinh sqrt square tan tanh trunc logical_not relu relu6 hardtanh leaky_relu elu celu selu gelu silu mish
    logsigmoid softplus softshrink softsign hardshrink hardsigmoid hardswish tanhshrink rrelu
""".split()  # noqa: SIM905
INTEGER_UNARY = """
    abs acos ceil cos deg2rad erf exp floor isfinite isinf isnan lgamma log log1p logical_not neg reciprocal round
    rsqrt sgn sigmoid sign signbit sin sinc sqrt square tan tanh trunc bitwise_not relu relu6 hardtanh
""".split()  # noqa: SIM905
BINARY = """
    add atan2 copysign div eq floor_divide fmax fmin fmod ge gt hypot le logaddexp lt maximum minimum mul ne pow
    remainder sub true_divide xlogy heaviside isclose logical_and logical_or logical_xor
""".split()  # noqa: SIM905


@pytest.mark.parametrize("name", UNARY)
def test_unary(name: str, agree: Any) -> None:
    # PyTorch's vectorised cosh and sinh overflow already at 710; its sinc rounds pi x before the sine, which says
    # nothing beyond 1e6; its hardswish multiplies before it divides by 6, and overflows where the result would not.
    bound = {"cosh": 709, "sinh": 709, "sinc": 1e6, "hardswish": 1e307}.get(name, np.inf)
    agree(name, SPECIAL[~(np.abs(SPECIAL) > bound) | np.isinf(SPECIAL)], rtol=1e-9)
    for shape in SHAPES:
        agree(name, np.asarray(RNG.standard_normal(shape)), rtol=1e-9)


@pytest.mark.parametrize("name", INTEGER_UNARY)
def test_unary_of_integers(name: str, agree: Any) -> None:
    for x in (INTEGERS, SMALL, np.asarray(3), INTEGERS.astype(np.uint8), BOOL):
        if x.dtype == bool and name in (
            "neg",
            "ceil",
            "floor",
            "round",
            "trunc",
            "relu",
            "relu6",
            "hardtanh",
            "square",
        ):
            continue
        if x.dtype == bool and name == "abs" or x.dtype == np.uint8 and name in ("relu6", "hardtanh"):
            continue
        agree(name, x)


@pytest.mark.parametrize("name", BINARY)
def test_binary(name: str, agree: Any) -> None:
    a, b = np.meshgrid(SPECIAL, SPECIAL)
    with np.errstate(all="ignore"):  # PyTorch's vectorised fmod gives NaN where a / b is large
        kept = np.abs(a / b) < 1e300 if name in ("fmod", "remainder") else np.full(a.shape, True)
    agree(name, a[kept], b[kept])
    for x, y in [((3, 1), (1, 4)), ((), (2, 3)), ((0, 3), (1, 3)), ((2, 1, 3), (4, 1)), ((), ())]:
        agree(name, np.asarray(RNG.standard_normal(x)), np.asarray(RNG.standard_normal(y)))


@pytest.mark.parametrize(
    "name", "add sub mul div eq lt maximum fmin remainder fmod pow floor_divide".split()  # noqa: SIM905
)  # fmt: skip
def test_promotion(name: str, agree: Any) -> None:
    """Tensors with dims outrank 0-dim ones, and those Python numbers, unless the category is lower."""
    nonzero = INTEGERS[INTEGERS > 0]
    operands = [
        nonzero,
        nonzero.astype(np.int8),
        nonzero.astype(np.uint8),
        nonzero * 1.5,
        np.asarray(3),
        np.asarray(2.5),
    ]
    for a in operands:
        for b in operands:
            agree(name, a, b)
        for scalar in (2, 2.5) if name not in ("maximum", "fmin") else ():
            agree(name, a, scalar)
    if name not in ("sub", "remainder", "fmod", "pow", "floor_divide"):
        agree(name, BOOL, np.array([True, True, True]))


def test_keywords(agree: Any) -> None:
    x, y = RNG.standard_normal((4, 5)), RNG.standard_normal((4, 5))
    for a, b in [(x, y), (INTEGERS, INTEGERS[::-1].copy())]:
        agree("add", a, b, alpha=2)
        agree("sub", a, b, alpha=3)
    nonzero = np.where(INTEGERS == 0, 2, INTEGERS)
    for mode in (None, "trunc", "floor"):
        agree("div", x, y, rounding_mode=mode)
        agree("div", SPECIAL, np.float64(2.0) * np.ones(1), rounding_mode=mode)
        agree("div", INTEGERS, nonzero[::-1].copy(), rounding_mode=mode)
    for decimals in (-2, -1, 0, 1, 3):
        agree("round", x * 100, decimals=decimals)
    for low, high in [(-0.5, 0.5), (None, 0.2), (0.1, None), (1.0, -1.0)]:
        agree("clamp", x, low, high)
        agree("clamp", SPECIAL, low, high)
    agree("clamp", x, np.asarray(y), np.asarray(y + 0.5))
    agree("clamp", INTEGERS, -2, 3)
    agree("clamp", INTEGERS, 0.5)
    agree("clamp_min", x, 0.3)
    agree("clamp_max", x, 0.3)
    agree("lerp", x, y, 0.3)
    agree("lerp", x, y, x * y)
    a, b = np.meshgrid(SPECIAL, SPECIAL)
    for weight in (0.0, 0.3, 0.7, 1.0, 1.5):
        agree("lerp", a, b, weight)
    agree("nan_to_num", SPECIAL)
    agree("nan_to_num", SPECIAL, nan=1.0, posinf=2.0, neginf=-3.0)
    agree("nan_to_num", INTEGERS)
    agree("logit", np.linspace(-0.1, 1.1, 23))
    agree("logit", np.linspace(0, 1, 23), eps=0.05)
    for equal_nan in (False, True):
        agree("isclose", SPECIAL, SPECIAL * (1 + 1e-7), rtol=1e-8, atol=0.0, equal_nan=equal_nan)
        agree("allclose", SPECIAL, SPECIAL, equal_nan=equal_nan)


def test_selection_and_bits(agree: Any) -> None:
    x, y = RNG.standard_normal((4, 5)), RNG.standard_normal(5)
    agree("where", x > 0, x, y)
    agree("where", x > 0, INTEGERS[:5], 1.5)
    agree("where", x > 0)
    agree("masked_fill", x, y > 0, 2.0)
    agree("masked_fill", INTEGERS, INTEGERS > 2, 9)
    for name in ("bitwise_and", "bitwise_or", "bitwise_xor"):
        agree(name, INTEGERS, INTEGERS[::-1].copy())
        agree(name, SMALL, 5)
        agree(name, BOOL, BOOL[::-1].copy())


def test_activation_keywords(agree: Any) -> None:
    for x in (SPECIAL, RNG.standard_normal((2, 6, 3)) * 3):
        agree("threshold", x, 0.2, -7.0)
        agree("hardtanh", x, -0.3, 0.7)
        agree("leaky_relu", x, 0.3)
        agree("elu", x, 0.7)
        agree("celu", x, 0.7)
        agree("gelu", x, approximate="tanh")
        agree("softplus", x, 2.0, 3.0)
        agree("hardshrink", x, 0.9)
        agree("softshrink", x, 0.9)
        agree("rrelu", x, 0.1, 0.5)
    x = RNG.standard_normal((2, 6, 3))
    for dim in (1, -2):
        agree("glu", x, dim)
    agree("prelu", x, np.array([0.25]))
    agree("prelu", x, RNG.random(6))
    agree("prelu", RNG.standard_normal((4, 3)), RNG.random(3))
    agree("prelu", np.asarray(-2.0), np.array([0.25]))


def test_erfinv_inverts_erf_to_the_last_bits() -> None:
    """PyTorch's erfinv is a rational approximation; ours must be a true inverse."""
    w = np.concatenate([np.linspace(-4, 4, 201), [1e-12, -1e-12]])
    error = np.abs(reference.erfinv(reference.erf(w)) - w) / np.maximum(np.abs(w), 1e-300) * (w != 0)
    condition = np.exp(w * w) / np.maximum(np.abs(w), 1e-300) * (w != 0)
    assert (error <= 4e-16 + 2.3e-16 * condition).all()
