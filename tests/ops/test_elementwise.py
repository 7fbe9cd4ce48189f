"""Elementwise functions against their references, on all levels, layouts and thread counts; in-place forms; errors."""

import mielina as mi
import mielina.nn.functional as F
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mielina.testing import FLOATS, INTEGERS, Library, check_op, gradcheck, gradgradcheck, reference, use_isa

RNG = np.random.default_rng(0)
NORMAL = RNG.standard_normal((3, 5)) * 1.5 + 0.01
POSITIVE = np.exp(RNG.standard_normal((3, 5)))
UNIT = RNG.uniform(-0.9, 0.9, (3, 5))
OPEN = RNG.uniform(0.05, 0.95, (3, 5))
FAR = RNG.standard_normal((3, 5)) * 8

# name: (inputs, amplification of the tolerance); the kernels' own errors are at most 4 units in the last place.
SMOOTH = {
    "acos": (UNIT, 4), "acosh": (POSITIVE + 1.1, 4), "asin": (UNIT, 4), "asinh": (FAR, 4), "atan": (FAR, 4),
    "atanh": (UNIT, 4), "cos": (FAR, 40), "cosh": (NORMAL, 4), "erf": (NORMAL, 4), "erfc": (NORMAL, 4),
    "erfinv": (UNIT, 6), "exp": (NORMAL, 4), "exp2": (NORMAL, 4), "expm1": (NORMAL, 4), "lgamma": (POSITIVE + 3, 4),
    "log": (POSITIVE + 1.5, 4), "log10": (POSITIVE + 1.5, 4), "log1p": (POSITIVE, 4), "log2": (POSITIVE + 1.5, 4),
    "logit": (OPEN, 40), "neg": (NORMAL, 1), "reciprocal": (POSITIVE, 2), "rsqrt": (POSITIVE, 4), "sigmoid": (FAR, 4),
    "sin": (FAR, 40), "sinc": (UNIT, 8), "sinh": (NORMAL, 4), "sqrt": (POSITIVE, 2), "square": (NORMAL, 2),
    "tan": (UNIT, 4), "tanh": (NORMAL, 4), "abs": (NORMAL, 1), "frac": (NORMAL, 4), "deg2rad": (FAR, 4),
    "rad2deg": (FAR, 4),
}  # fmt: skip
ACTIVATIONS = {
    "celu": {"alpha": 1.5}, "elu": {"alpha": 0.7}, "gelu": {}, "hardshrink": {}, "hardsigmoid": {}, "hardswish": {},
    "hardtanh": {}, "leaky_relu": {"negative_slope": 0.2}, "logsigmoid": {}, "mish": {}, "relu": {}, "relu6": {},
    "selu": {}, "silu": {}, "softplus": {"beta": 1.5, "threshold": 9.0}, "softshrink": {}, "softsign": {},
    "tanhshrink": {}, "threshold": {"threshold": 0.3, "value": 2.0},
}  # fmt: skip


@pytest.mark.parametrize("name", SMOOTH)
def test_functions(name):
    x, amplification = SMOOTH[name]
    check_op(
        getattr(mi, name),
        getattr(reference, name),
        [x],
        dtypes=FLOATS,
        amplification=amplification,
        magnitude=1e-3,
        grad=True,
    )


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name):
    # x Phi(x), x - tanh(x) and their kin subtract near numbers: the error is relative to |x|.
    check_op(getattr(F, name), getattr(reference, name), [NORMAL], ACTIVATIONS[name], dtypes=FLOATS, amplification=6,
             magnitude=np.abs, grad=True)  # fmt: skip


def test_gelu_far_left():
    # 1 + erf(x) has no digits left from -4 on.
    x = mi.tensor(np.linspace(-12.5, -1, 1001, dtype=np.float32), requires_grad=True)
    y = F.gelu(x)
    y.sum().backward()
    exact = x.detach().to(mi.float64)
    tail, density = 0.5 * mi.erfc(-exact * 0.5**0.5), mi.exp(-0.5 * exact**2) / (2 * np.pi) ** 0.5
    allowed = (16 + exact.numpy() ** 2) * 2**-24
    assert (np.abs(y.detach().numpy() / (exact * tail).numpy() - 1) < allowed).all()
    assert (np.abs(x.grad.numpy() / (tail + exact * density).numpy() - 1) < allowed).all()


def test_gelu_tanh_glu_prelu():
    check_op(F.gelu, reference.gelu, [NORMAL], {"approximate": "tanh"}, amplification=6, magnitude=np.abs, grad=True)
    check_op(F.glu, reference.glu, [RNG.standard_normal((3, 6, 2))], {"dim": 1}, amplification=4, grad=True)
    check_op(
        F.prelu,
        reference.prelu,
        [RNG.standard_normal((2, 3, 4)), np.array([0.1, 0.2, -0.3])],
        amplification=2,
        grad=True,
    )
    with pytest.raises(RuntimeError, match="even"):
        F.glu(mi.zeros(3))
    with pytest.raises(RuntimeError, match="weights"):
        F.prelu(mi.zeros(2, 3), mi.zeros(2))
    with pytest.raises(RuntimeError, match="approximate"):
        F.gelu(mi.zeros(2), approximate="exact")


@pytest.mark.parametrize("name", ["ceil", "floor", "trunc", "round", "sign"])
def test_steps(name):
    x = np.array([[-2.5, -1.5, -0.5, 0.5, 1.5], [2.5, 2.4, -2.6, 0.0, 7.0]])
    check_op(getattr(mi, name), getattr(reference, name), [x], dtypes=(*FLOATS, "int64", "int8"))
    t = mi.tensor(x, requires_grad=True)
    getattr(mi, name)(t).sum().backward()
    assert not t.grad.numpy().any()


BINARY = {
    "add": (NORMAL, FAR), "sub": (NORMAL, FAR), "mul": (NORMAL, FAR), "div": (NORMAL, POSITIVE),
    "atan2": (NORMAL, POSITIVE), "hypot": (NORMAL, POSITIVE), "maximum": (NORMAL, UNIT), "minimum": (NORMAL, UNIT),
    "fmax": (NORMAL, UNIT), "fmin": (NORMAL, UNIT), "pow": (POSITIVE, NORMAL), "logaddexp": (NORMAL, FAR),
    "xlogy": (NORMAL, POSITIVE + 1.5), "remainder": (FAR, POSITIVE), "fmod": (FAR, POSITIVE),
    "copysign": (NORMAL, FAR),
}  # fmt: skip


@pytest.mark.parametrize("name", BINARY)
def test_binary_functions(name):
    a, b = BINARY[name]
    for x, y in ((a, b), (a, b[1]), (a[:, :1], b[0])):  # equal shapes, a row, a column with a row
        check_op(
            getattr(mi, name),
            getattr(reference, name),
            [x, y],
            amplification=8,
            magnitude="abs" if name in ("add", "sub") else 0.1,
            layouts=("contiguous", "transposed", "sliced", "expanded"),
        )
    leaves = [mi.tensor(a[:2, :3].copy(), requires_grad=True), mi.tensor(b[0, :3].copy(), requires_grad=True)]
    gradcheck(getattr(mi, name), leaves)
    gradgradcheck(getattr(mi, name), leaves)


INTEGER = [
    "add", "sub", "mul", "maximum", "minimum", "floor_divide", "remainder", "fmod", "bitwise_and", "bitwise_or",
    "bitwise_xor", "eq", "ne", "lt", "le", "gt", "ge", "logical_and", "logical_or", "logical_xor",
]  # fmt: skip


@pytest.mark.parametrize("name", INTEGER)
def test_integers(name):
    for dtype in (*INTEGERS, "bool"):
        if dtype == "bool" and name in ("sub", "floor_divide", "remainder", "fmod"):
            continue
        a = RNG.integers(0 if dtype == "uint8" else -100, 100, (4, 70)).astype(dtype)
        b = RNG.integers(1, 9, 70).astype(dtype) * (-1 if dtype not in ("uint8", "bool") else 1)
        with np.errstate(all="ignore"):
            expected = getattr(reference, name)(a, b.astype(dtype))
        y = getattr(mi, name)(mi.tensor(a), mi.tensor(b.astype(dtype))).numpy()
        assert y.dtype == expected.dtype
        np.testing.assert_array_equal(y, expected)


def test_integer_division_never_traps():
    low = np.iinfo(np.int64).min
    x, minus = mi.tensor([low, 7, -7]), mi.tensor([-1, -1, -1])
    assert (x // minus).tolist() == [low, -7, 7]
    assert (x % minus).tolist() == [0, 0, 0]
    assert mi.fmod(x, -1).tolist() == [0, 0, 0]
    assert mi.abs(x).tolist() == [low, 7, 7]
    for zero in (0, mi.tensor(0), mi.tensor([1, 0, 2]), mi.tensor([True, False, True])):
        for f in (mi.floor_divide, mi.remainder, mi.fmod, lambda a, b: mi.div(a, b, rounding_mode="trunc")):
            with pytest.raises(RuntimeError, match="ZeroDivisionError"):
                f(x, zero)
    assert mi.div(x, 0).tolist() == [-np.inf, np.inf, -np.inf]


def test_powers_of_integers():
    x = mi.tensor([-2, -1, 0, 1, 3])
    assert (x**3).tolist() == [-8, -1, 0, 1, 27]
    assert mi.pow(x, mi.tensor([-1, -3, 2, -5, -1])).tolist() == [0, -1, 0, 1, 0]
    assert (mi.tensor([3]) ** 41).item() == (3**41 + 2**63) % 2**64 - 2**63
    assert (2 ** mi.tensor([0, 5, 62])).tolist() == [1, 32, 2**62]
    with pytest.raises(RuntimeError, match="negative integer powers"):
        x**-1


def test_shifts():
    x = mi.tensor([1, -8, 5])
    assert (x << 2).tolist() == [4, -32, 20] and (x >> 1).tolist() == [0, -4, 2]
    assert (x << 64).tolist() == [0, 0, 0] and (x >> 99).tolist() == [0, -1, 0] and (x << -1).tolist() == [0, 0, 0]
    assert (~x).tolist() == [-2, 7, -6] and (~mi.tensor([True, False])).tolist() == [False, True]
    with pytest.raises(NotImplementedError, match="bitwise_and: not implemented for float32"):
        mi.tensor([1.0]) & 1


@pytest.mark.parametrize("level", Library().isas())
@pytest.mark.parametrize("dtype", [*INTEGERS, "bool"])
def test_bits_of_neighbours_go_as_words(dtype, level):
    """Any length and place in memory, beside arrays and numbers, in place; strided ones go element by element."""
    with use_isa(level):
        for n in (1, 3, 7, 8, 9, 31, 64, 100):
            a, b = (RNG.integers(0, 2 if dtype == "bool" else 120, n + 3).astype(dtype) for _ in range(2))
            x, y = mi.tensor(a), mi.tensor(b)
            number = dtype != "bool" and 45
            for f in (lambda u, v: u & v, lambda u, v: u | v, lambda u, v: u ^ v):
                for i in (0, 1, 3):
                    np.testing.assert_array_equal(
                        f(x[i : i + n], y[3 - i : 3 - i + n]).numpy(), f(a[i : i + n], b[3 - i : 3 - i + n])
                    )
                np.testing.assert_array_equal(f(x, number).numpy(), f(a, np.asarray(number, dtype)))
                np.testing.assert_array_equal(f(x[::2], y[::2]).numpy(), f(a[::2], b[::2]))
                np.testing.assert_array_equal(f(x, y[:1]).numpy(), f(a, b[:1]))
            np.testing.assert_array_equal((~x).numpy(), ~a)
            x[1 : n + 1] ^= y[1 : n + 1]
            a[1 : n + 1] ^= b[1 : n + 1]
            np.testing.assert_array_equal(x.numpy(), a)


COMPARISONS = ["eq", "ne", "lt", "le", "gt", "ge", "logical_and", "logical_or", "logical_xor"]


@pytest.mark.parametrize("name", COMPARISONS)
def test_comparisons(name):
    a = np.array([[0.0, -0.0, 1, -1, np.nan], [np.inf, -np.inf, 2, 2, 0]])
    b = np.array([0.0, 0.0, 1, np.nan, -1])
    check_op(getattr(mi, name), getattr(reference, name), [a, b], dtypes=FLOATS)
    half = mi.tensor([0.1]).half()
    assert (half == 0.1).item()


@pytest.mark.parametrize("name", ["isnan", "isinf", "isfinite", "signbit"])
def test_classification(name):
    x = np.array([[0.0, -0.0, np.nan], [np.inf, -np.inf, -2.0]])
    check_op(getattr(mi, name), getattr(reference, name), [x], dtypes=(*FLOATS, "int32"))


@pytest.mark.parametrize("dtype", [*FLOATS, "int64", "int16", "bool"])
@pytest.mark.parametrize("level", Library().isas())
def test_runs_of_comparisons_and_choices(dtype, level):
    """Runs of all lengths and beginnings, beside numbers, columns and, for floats, an operand of another dtype."""
    special = [0.0, -0.0, 1, -1, 2, 3] + [np.nan, np.inf, -np.inf] * (dtype in FLOATS)
    a, b = (mi.tensor(RNG.choice(special, (3, 150))).to(getattr(mi, dtype)) for _ in range(2))
    with use_isa(level):
        for n in (*range(1, 68), 140):
            x, y = a[:, n % 3 : n % 3 + n], b[:, 1 : 1 + n]
            others = [y, y[:, :1], y[0, 0]] + [y.half(), y.bfloat16()] * (dtype == "float32")
            for other in others:
                p, q = x.double().numpy(), other.double().numpy()
                for name in COMPARISONS:
                    np.testing.assert_array_equal(getattr(mi, name)(x, other).numpy(), getattr(reference, name)(p, q))
                flags = mi.ge(x, other)
                for chosen, result in (
                    (mi.where(flags, x, other), np.where(p >= q, p, q)),
                    (mi.where(flags, other, x), np.where(p >= q, q, p)),
                    (mi.where(flags[:, :1], x, other), np.where((p >= q)[:, :1], p, q)),
                ):
                    np.testing.assert_array_equal(chosen.double().numpy(), result)
                    np.testing.assert_array_equal(np.signbit(chosen.double().numpy()), np.signbit(result))


@pytest.mark.parametrize("dtype", [*FLOATS, "int64", "int16"])
@pytest.mark.parametrize("level", Library().isas())
def test_short_rows(dtype, level):
    """Rows too short for a call each: beside rows, columns and numbers, some of which change along a third axis."""
    draw = lambda *shape: RNG.integers(1, 9, shape).astype(np.float64)  # noqa: E731
    with use_isa(level):
        for width in (1, 2, 3, 7, 8, 16, 31, 32, 33, 64, 100, 129, 256, 511, 512, 1025):
            rows = 2500 // width + 2
            a, c = draw(3, rows, width), draw(width)
            x, z = (mi.tensor(v).to(getattr(mi, dtype)) for v in (a, c))
            for shape in ((width,), (rows, 1), (3, 1, width), (3, rows, 1), (3, 1, 1), (rows, width), ()):
                b = draw(*shape)
                y = mi.tensor(b).to(getattr(mi, dtype))
                for got, expected in (
                    (x + y, a + b),
                    (y * x, a * b),
                    (x > y, a > b),
                    (mi.where(x > y, y, z), np.where(a > b, b, c)),
                    (mi.addcmul(x, y, z), a + b * c),
                ):
                    np.testing.assert_array_equal(got.double().numpy(), expected)
        a, b = draw(30000, 5), draw(5)  # more than a task
        got = mi.tensor(a).to(getattr(mi, dtype)) - mi.tensor(b).to(getattr(mi, dtype))
        np.testing.assert_array_equal(got.double().numpy(), a - b)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int32"])
@pytest.mark.parametrize("level", Library().isas())
def test_every_second_element(dtype, level):
    a = RNG.integers(-9, 9, (5, 2047)).astype(np.float64)
    x = mi.tensor(a).to(getattr(mi, dtype))
    with use_isa(level):
        for n in (*range(1, 40), 513, 1024):
            part, y = a[:, 2047 - 2 * n + 1 :: 2], x[:, 2047 - 2 * n + 1 :: 2]
            np.testing.assert_array_equal(mi.abs(y).double().numpy(), np.abs(part))
            np.testing.assert_array_equal(mi.add(y, x[:, :n]).double().numpy(), part + a[:, :n])


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_broadcasting(data):
    """where, a comparison and a sum over random shapes that broadcast, some operands transposed."""
    shape = data.draw(st.lists(st.integers(0, 40), max_size=3))
    arrays = []
    for _ in range(3):
        cut = data.draw(st.integers(0, len(shape)))
        mine = [1 if data.draw(st.booleans()) else n for n in shape[cut:]]
        arrays.append(RNG.integers(-3, 4, mine).astype(np.float64))
    tensors = [
        mi.tensor(np.ascontiguousarray(a.T)).permute(*reversed(range(a.ndim))) if a.ndim else mi.tensor(a)
        for a in arrays
    ]
    a, b, c = tensors
    less = a < b
    np.testing.assert_array_equal(less.numpy(), arrays[0] < arrays[1])
    np.testing.assert_array_equal(mi.where(less, b, c).numpy(), np.where(arrays[0] < arrays[1], arrays[1], arrays[2]))
    np.testing.assert_array_equal(mi.add(a.float(), c, alpha=2).numpy(), arrays[0] + 2 * arrays[2])


def test_where():
    flags = RNG.random((3, 5)) < 0.5
    for dtype in (*FLOATS, *INTEGERS, "bool"):
        a, b = mi.tensor(FAR).to(getattr(mi, dtype)), mi.tensor(UNIT * 5).to(getattr(mi, dtype))
        y = mi.where(mi.tensor(flags), a, b)
        assert y.dtype is a.dtype
        np.testing.assert_array_equal(y.double().numpy(), np.where(flags, a.double().numpy(), b.double().numpy()))
        column, number = a[:, :1].clone(), mi.tensor([[-1]])
        one = mi.where(mi.tensor(flags[:, :1]), column, number)
        np.testing.assert_array_equal(one.double().numpy(), np.where(flags[:, :1], column.double().numpy(), -1))
    assert mi.where(mi.tensor(flags), 1, 2.0).dtype is mi.float32
    leaves = [mi.tensor(NORMAL, requires_grad=True), mi.tensor(FAR[0].copy(), requires_grad=True)]
    gradcheck(lambda a, b: mi.where(mi.tensor(flags), a, b), leaves)
    with pytest.raises(RuntimeError, match="where: expected a bool condition"):
        mi.where(mi.tensor([1]), 1, 2)


def test_clamp_lerp_addcmul():
    a, b, c = NORMAL, UNIT, UNIT + 0.3
    for low, high in ((-0.5, 0.5), (None, 0.2), (-0.2, None), (1.0, -1.0)):
        check_op(
            mi.clamp,
            reference.clamp,
            [a],
            {"min": low, "max": high},
            dtypes=FLOATS,
            amplification=2,
        )
    check_op(mi.clamp, reference.clamp, [a, b, c], grad=True)
    check_op(mi.lerp, reference.lerp, [a, b, OPEN], amplification=4, magnitude=1, grad=True)
    check_op(
        lambda x, y, z: mi.addcmul(x, y, z, value=0.5),
        lambda x, y, z: x + 0.5 * y * z,
        [a, b, c[0]],
        amplification=2,
        magnitude=1,
        grad=True,
    )
    check_op(
        lambda x, y, z: mi.addcdiv(x, y, z, value=0.5),
        lambda x, y, z: x + 0.5 * y / z,
        [a, b, POSITIVE],
        amplification=2,
        magnitude=1,
        grad=True,
    )
    assert mi.clamp(mi.tensor([1, 5, 9]), 2, 6).tolist() == [2, 5, 6]
    assert mi.clamp(mi.tensor([1, 5, 9]), 2.5).dtype is mi.float32
    with pytest.raises(RuntimeError, match="clamp: expected at least one"):
        mi.clamp(mi.zeros(2))


def test_close_and_equal():
    a = mi.tensor([1.0, np.inf, np.nan])
    assert mi.isclose(a, a).tolist() == [True, True, False]
    assert mi.isclose(a, a, equal_nan=True).tolist() == [True, True, True]
    assert mi.allclose(a[:1], a[:1] + 1e-7) and not mi.allclose(a[:1], a[:1] + 1e-3)
    assert mi.equal(a[:2], a[:2].clone()) and not mi.equal(a, a) and not mi.equal(a[:2], a[:1])
    with pytest.raises(RuntimeError, match="rtol and atol"):
        mi.isclose(a, a, rtol=-1)


# ---- conversion ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("to", ["int64", "int32", "int16", "int8", "uint8", "bool"])
@pytest.mark.parametrize("dtype", FLOATS)
def test_conversion_to_integers_is_defined(dtype, to):
    x = mi.tensor([0.0, 1.9, -1.9, np.nan, np.inf, -np.inf, 1e30, -1e30]).to(getattr(mi, dtype))
    y = x.to(getattr(mi, to)).tolist()
    assert y[:3] == ([False, True, True] if to == "bool" else [0, 1, 255 if to == "uint8" else -1])
    assert y == x.expand(2, 8).to(getattr(mi, to))[1].tolist()


@pytest.mark.parametrize("level", Library().isas())
@pytest.mark.parametrize("source", [*FLOATS, *INTEGERS, "bool"])
def test_conversions(source, level):
    """Every pair of dtypes: what NumPy gives where numbers fit, and the same for neighbours as for single elements."""
    wide = np.array(
        [0, 1, -1, 2.5, -2.5, 127, 128, 255, 256, 3e4, 7e4, 2.0**24 + 2, 2.0**31, -(2.0**31), 2.0**40, 1e30, np.nan]
    )
    a = np.concatenate([wide[:13], np.round(RNG.standard_normal(20) * 90), wide, np.arange(40) - 20.0, wide[:5]])
    if source == "bool":
        a = a > 0
    elif source in INTEGERS:
        a = np.nan_to_num(np.clip(a, -(2.0**40), 2.0**40)).astype(np.int64).astype(source)
    a = np.concatenate([a, np.arange(300).astype(a.dtype), a])  # whole pieces of numbers that fit
    x = mi.tensor(a) if source in INTEGERS or source == "bool" else mi.tensor(a).to(getattr(mi, source))
    exact = x.double().numpy() if source == "bfloat16" else x.numpy()
    with use_isa(level):
        for to in (*FLOATS, *INTEGERS, "bool"):
            dtype = getattr(mi, to)
            y = x.to(dtype)
            for i in (0, 1, 5):
                assert x[i:].to(dtype).tolist()[:9] == pytest.approx(y.tolist()[i : i + 9], nan_ok=True, rel=0)
            singles = mi.stack([x[i : i + 1].to(dtype) for i in range(len(a))])[:, 0]
            np.testing.assert_array_equal(y.float().numpy(), singles.float().numpy())
            np.testing.assert_array_equal(x.flip(0).to(dtype).float().numpy(), y.float().numpy()[::-1])
            with np.errstate(all="ignore"):
                if to in INTEGERS:
                    fit = np.isfinite(exact) & (np.abs(exact.astype(float)) < 2.0**62)
                    expected = np.where(fit, exact, 0).astype(np.int64).astype(to)
                elif to != "bfloat16":
                    fit, expected = np.ones(len(a), bool), exact.astype(to)
                else:
                    fit, expected = np.zeros(len(a), bool), exact
            if fit.any():
                np.testing.assert_array_equal(y.numpy()[fit], expected[fit])


def test_conversion_methods():
    x = mi.tensor([1.5, -2.5], requires_grad=True)
    for name, dtype in {
        "float": mi.float32,
        "double": mi.float64,
        "half": mi.float16,
        "bfloat16": mi.bfloat16,
        "long": mi.int64,
        "int": mi.int32,
        "short": mi.int16,
        "char": mi.int8,
        "byte": mi.uint8,
        "bool": mi.bool,
    }.items():
        assert getattr(x, name)().dtype is dtype and x.type(dtype).dtype is dtype and x.to(dtype).dtype is dtype
    assert x.float() is x and x.type() == "mielina.float32" and x.type_as(mi.zeros(1, dtype=mi.int8)).dtype is mi.int8
    assert x.to("cpu", mi.float64).dtype is mi.float64 and x.to(copy=True) is not x
    x.double().sum().backward()
    assert x.grad.dtype is mi.float32 and x.grad.tolist() == [1, 1]
    with pytest.raises(RuntimeError, match="expected 'cpu' or 'cuda'"):
        x.to("tpu")
    with pytest.raises(TypeError, match="to: expected"):
        x.to(3.5)


# ---- operators and in-place forms ------------------------------------------------------------------------------------
def test_operators():
    x, n = mi.tensor([1.0, -2.0, 4.0]), np.array([1.0, -2.0, 4.0], np.float32)
    pairs = [
        (x + 2, n + 2),
        (2 - x, 2 - n),
        (x * x, n * n),
        (8 / x, 8 / n),
        (x // 3, n // 3),
        (7 // x, 7 // n),
        (x % 3, n % 3),
        (7 % x, 7 % n),
        (x**2, n**2),
        (2**x, 2**n),
        (-x, -n),
        (abs(x), abs(n)),
        (x < 2, n < 2),
        (x <= 2, n <= 2),
        (x == n, n == n),
        (n * x, n * n),
        (x + np.float32(1), n + 1),
        (round(x), np.round(n)),
    ]
    for y, expected in pairs:
        np.testing.assert_allclose(y.numpy(), expected, rtol=1e-6)
    assert (x != None).__class__ is bool and (x == "a") is False  # noqa: E711
    with pytest.raises(TypeError):
        x + "a"
    with pytest.raises(RuntimeError, match="bools have no subtraction"):
        mi.tensor([True]) - mi.tensor([True])
    with pytest.raises(RuntimeError, match="neg: bool tensors have no sign"):
        -mi.tensor([True])
    y = mi.tensor([6, 7])
    z = y
    y += 1
    y *= 2
    y -= 4
    y //= 3
    y %= 3
    y **= 3
    y |= 8
    y &= 9
    y ^= 1
    y <<= 2
    y >>= 1
    expected = [((((((n + 1) * 2 - 4) // 3 % 3) ** 3 | 8) & 9) ^ 1) << 2 >> 1 for n in (6, 7)]
    assert z is y and y.tolist() == expected


def test_operators_leave_what_they_do_not_know_to_the_other_side():
    class Other:
        def __radd__(self, x):
            return "radd"

        def __rpow__(self, x):
            return "rpow"

        def __lt__(self, x):
            return "lt"

    x = mi.tensor([1.0, 2.0])
    assert (x + Other(), x ** Other(), x > Other()) == ("radd", "rpow", "lt")
    assert x.__add__("a") is NotImplemented and x.__eq__(None) is NotImplemented
    with pytest.raises(TypeError, match="unsupported operand"):
        pow(x, 2, 5)

    class Loud(mi.Tensor):
        def __add__(self, other):
            return "mine"

        __radd__ = __add__

    assert (Loud(x) + x, x + Loud(x)) == ("mine", "mine") and (Loud(x) * 2).tolist() == [2.0, 4.0]
    assert hash(x) == object.__hash__(x) and len({x, x, x.clone()}) == 2


def test_a_number_beside_it_keeps_no_operand_alive():
    x = mi.tensor([1.0, 2.0], requires_grad=True) + 0.0
    saves = {
        "2 * x": (2 * x, [2, None]),
        "x * 2.0": (x * 2.0, [None, 2.0]),
        "x / 2": (x / 2, [None, 2]),
        "x + x": (x + x, []),
        "x * x": (x * x, [mi.Tensor, mi.Tensor]),
        "2 / x": (2 / x, [2, mi.Tensor]),
        "x / x": (x / x, [mi.Tensor, mi.Tensor]),
    }
    for name, (y, expected) in saves.items():
        kept = [mi.Tensor if isinstance(s, mi.Tensor) else s for s in y._node.unpack()]
        assert kept == expected, name
    for y, slope in ((2 * x, 2), (x * 2.0, 2), (x / 2, 0.5), (2 / x, [-2, -0.5]), (2**x, np.log(2) * 2 ** x.detach())):
        np.testing.assert_allclose(mi.autograd.grad(y.sum(), x)[0].numpy(), np.broadcast_to(slope, 2), rtol=1e-6)


UNARY_IN_PLACE = [
    "abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceil", "cos", "cosh", "deg2rad", "digamma", "erf",
    "erfc", "erfinv", "exp", "exp2", "expm1", "floor", "frac", "lgamma", "log", "log10", "log1p", "log2", "logit",
    "nan_to_num", "neg", "rad2deg", "reciprocal", "relu", "round", "rsqrt", "sgn", "sigmoid", "sign", "sin", "sinc",
    "sinh", "sqrt", "square", "tan", "tanh", "trunc", "logical_not",
]  # fmt: skip
BINARY_IN_PLACE = [
    "add", "atan2", "copysign", "div", "eq", "floor_divide", "fmod", "ge", "gt", "heaviside", "hypot", "le", "lt",
    "mul", "ne", "pow", "remainder", "sub", "true_divide", "xlogy", "clamp_min", "clamp_max",
]  # fmt: skip


@pytest.mark.parametrize("name", UNARY_IN_PLACE + BINARY_IN_PLACE)
def test_in_place(name):
    args = (mi.tensor(OPEN[0].copy()),) if name in BINARY_IN_PLACE else ()
    x = mi.tensor(np.arange(1.0, 16).reshape(5, 3) / 16).permute(1, 0)
    expected = getattr(mi, name)(x, *args).double().numpy()
    y = x.clone()
    before = y._storage
    assert getattr(y, name + "_")(*args) is y and y._storage == before
    np.testing.assert_array_equal(y.numpy(), expected)
    leaf = mi.tensor(np.ones((3, 5)), requires_grad=True)
    with pytest.raises(RuntimeError, match="leaf"):
        getattr(leaf, name + "_")(*args)
    if expected.dtype == np.float64 and name not in ("logical_not", "eq", "ge", "gt", "le", "lt", "ne"):
        a, b = (mi.tensor(np.full((3, 5), 0.4), requires_grad=True) for _ in range(2))
        getattr(mi, name)(a * 1.0, *args).sum().backward()
        getattr(b * 1.0, name + "_")(*args).sum().backward()
        np.testing.assert_array_equal(a.grad.numpy(), b.grad.numpy())


def test_in_place_errors_and_overlap():
    x = mi.tensor([1, 2, 3])
    for change in (lambda: x.exp_(), lambda: x.add_(0.5), lambda: x.div_(2)):
        with pytest.raises(RuntimeError, match="cannot be cast"):
            change()
    with pytest.raises(RuntimeError, match="does not hold"):
        x.add_(mi.zeros(2, 3, dtype=mi.int64))
    with pytest.raises(RuntimeError, match="single memory location"):
        mi.zeros(1).expand(3).exp_()
    y = mi.tensor([1.0, 2.0, 3.0, 4.0])
    y[1:].add_(y[:-1])
    assert y.tolist() == [1, 3, 5, 7]
    assert mi.tensor([1.0, 2.0]).fill_(3).tolist() == [3, 3] and mi.tensor([1.0]).zero_().tolist() == [0]
    z = mi.tensor([1.0, 2.0], requires_grad=True)
    w = z * 1.0
    w.fill_(5)
    (w.sum() + z.sum()).backward()
    assert z.grad.tolist() == [1, 1]


@pytest.mark.parametrize(
    "name",
    [
        "relu",
        "elu",
        "celu",
        "selu",
        "leaky_relu",
        "hardtanh",
        "relu6",
        "silu",
        "mish",
        "hardswish",
        "hardsigmoid",
        "rrelu",
    ],
)
def test_inplace_keyword(name):
    x = mi.tensor(NORMAL)
    expected = getattr(F, name)(x).numpy()
    y = x.clone()
    assert getattr(F, name)(y, inplace=True) is y
    np.testing.assert_array_equal(y.numpy(), expected)


def test_rrelu_draws_slopes():
    x = mi.full((1000,), -1.0)
    y = -F.rrelu(x, 0.2, 0.6, training=True).numpy()
    assert 0.2 <= y.min() < 0.25 and 0.55 < y.max() <= 0.6


# ---- large outputs ---------------------------------------------------------------------------------------------------
def test_large_outputs_have_the_same_bits():
    """Above 32 MB results are streamed past the caches; halves of the array are not."""
    x = mi.tensor(np.linspace(-4, 4, (9 << 20) + 5, dtype=np.float32))
    n = 5 << 20
    for f in (mi.exp, lambda v: v + v, lambda v: mi.where(v > 0, v, -v), lambda v: v > 0.5):
        np.testing.assert_array_equal(f(x).numpy(), np.concatenate([f(x[:n]).numpy(), f(x[n:]).numpy()]))


HALF_ROWS = {
    **{name: getattr(mi, name) for name in ("abs", "neg", "exp", "tanh", "sigmoid", "sqrt")},
    **{name: getattr(F, name) for name in ("relu", "gelu", "silu", "softplus", "hardswish", "leaky_relu")},
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
}


@pytest.mark.parametrize("dtype", [mi.float16, mi.bfloat16])
@pytest.mark.parametrize("level", Library().isas())
def test_rows_of_halves(dtype, level):
    """Halves converted where they lie: the bits of float32 rounded once, for whole vectors, tails, numbers and rows."""
    rng = np.random.default_rng(7)
    half = lambda *shape: mi.tensor(rng.standard_normal(shape).astype("f") * 3).to(dtype)  # noqa: E731
    wide = lambda t: t.to(mi.float32)  # noqa: E731

    def same(got, expected):
        assert got.dtype == dtype
        np.testing.assert_array_equal(wide(got).numpy(), wide(expected.to(dtype)).numpy())

    with use_isa(level):
        for shape in [(1,), (7,), (16,), (67,), (3, 64), (5, 200)]:
            x = half(*shape)
            x[..., :1] = float("nan")
            for f in HALF_ROWS.values():
                same(f(x), f(wide(x)))
            for y in (half(*shape), half(shape[-1]), half(*shape[:-1], 1), 2.5, half(shape[-1])[:1]):
                z = wide(y) if isinstance(y, mi.Tensor) else y
                for f in (lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b, lambda a, b: a / b):
                    same(f(x, y), f(wide(x), z))
                    same(f(y, x), f(z, wide(x)))
        for name, f in HALF_ROWS.items():
            if name in ("abs", "neg", "sqrt"):
                continue
            x, g = half(3, 37), half(3, 37)
            leaf = x.clone().requires_grad_()
            f(leaf).backward(g)
            y = f(x)  # what a rule keeps of the result is of halves, too
            first = wide(x).requires_grad_()
            z = f(first)
            if name in ("exp", "tanh", "sigmoid", "relu"):
                w = wide(y)
                slope = {"exp": w, "tanh": 1 - w * w, "sigmoid": w * (1 - w), "relu": (w > 0).to(mi.float32)}[name]
                np.testing.assert_allclose(wide(leaf.grad).numpy(), (wide(g) * slope).numpy(), rtol=2**-7, atol=2**-14)
            else:
                z.backward(wide(g))
                same(leaf.grad, first.grad)


def test_zero_size_and_0_dim():
    for shape in ((0,), (3, 0), ()):
        x = mi.ones(*shape, requires_grad=True) if shape else mi.tensor(1.0, requires_grad=True)
        for y in (mi.exp(x), x + x, x**2, mi.clamp(x, 0, 1), mi.where(x > 0, x, 0.0), F.gelu(x)):
            assert y.shape == shape
            y.sum().backward()
        assert x.grad.shape == shape


def test_derivatives_of_digamma_of_any_order():
    x = mi.tensor([2.5, 0.3, -1.7], dtype=mi.float64, requires_grad=True)
    y = mi.lgamma(x)
    for n in range(5):  # lgamma's derivatives are polygamma(0), polygamma(1), ...
        (y,) = mi.grad(y.sum(), x, create_graph=True)
        expected = [reference.polygamma(n, v) for v in x.tolist()]
        np.testing.assert_allclose(np.array(y.detach()), expected, rtol=1e-13)
    gradgradcheck(lambda a: mi.polygamma(2, a), [mi.tensor([2.5, 3.3], dtype=mi.float64, requires_grad=True)])
    assert mi.polygamma(2, mi.tensor([0.0, -3.0])).tolist() == [-np.inf, -np.inf]
    assert mi.polygamma(3, mi.tensor([1e30, np.inf])).tolist() == [0, 0]
    with pytest.raises(RuntimeError, match="n must not be negative"):
        mi.polygamma(-1, x)
