"""Every elementwise name beside PyTorch: special values, all dtypes and their pairs, layouts, numbers in each position,
in place, with first and second gradients, and with wrong arguments. See beside.py for how calls are written.

Where PyTorch's own digits are few, the tables here say so; docs/differences.md lists what differs on purpose.
"""

import mielina as mi
import mielina.nn.functional
import numpy as np
import pytest
from beside import DTYPES, FLOATS, differences


def words(text):
    return text.split()


UNARY = words(
    """
    abs acos acosh asin asinh atan atanh arccos arctan ceil clone cos cosh deg2rad digamma erf erfc erfinv exp exp2
    expm1 fix floor frac isfinite isinf isnan isneginf isposinf lgamma log log10 log1p log2 logical_not logit
    nan_to_num neg positive rad2deg reciprocal round rsqrt sgn sigmoid sign signbit sin sinc sinh sqrt square tan tanh
    trunc bitwise_not relu selu
    """
)
BINARY = words(
    """
    add sub mul div true_divide floor_divide remainder fmod pow atan2 copysign hypot logaddexp logaddexp2 xlogy maximum
    minimum fmax fmin heaviside eq ne lt le gt ge logical_and logical_or logical_xor bitwise_and bitwise_or bitwise_xor
    bitwise_left_shift bitwise_right_shift isclose
    """
)
SMOOTH = words("add sub mul div remainder fmod pow atan2 copysign hypot logaddexp logaddexp2 xlogy maximum minimum")
ACTIVATIONS = words(
    """
    celu elu gelu hardshrink hardsigmoid hardswish hardtanh leaky_relu logsigmoid mish relu relu6 rrelu selu silu
    softplus softshrink softsign tanhshrink
    """
)
NUMBERS = words("True False 0 1 2 -1 -3 2.5 -0.5 0.0 0.1 nan inf 300 2**40 -2**63")
OPERATORS = words("+ - * / // % ** & | ^ << >> == != < <= > >=")
PLACES = words("iadd isub imul itruediv ifloordiv imod ipow iand ior ixor ilshift irshift")

# PyTorch's error here is absolute: 1e-7 in float32 whatever the result, and halves are rounded between its steps.
LOOSE = words("digamma erf gelu logaddexp2 logit mish silu sinc softshrink tanhshrink addcdiv lerp pow xlogy")
# Which sign the NaN of a conversion to bfloat16 has depends on PyTorch's vectors.
NAN_SIGN = ("signbit", "copysign")
OUT_OF_PLACE = words(
    """
    clone isfinite isinf isnan isneginf isposinf positive signbit logaddexp logaddexp2 maximum minimum fmax fmin isclose
    """
)
# Beside these, 0 and -0 are equal to PyTorch's vectors or not, and tiny divisors give NaN: other second operands.
SECOND = {"remainder": "plain", "fmod": "plain", "floor_divide": "plain"}


def disagreements(names, calls, **keywords):
    """The differences of calls(name), with an absolute tolerance for the names of LOOSE."""
    found = []
    for name in names:
        found += differences(calls(name), floor=1.0 if name in LOOSE else 0.0, **keywords)
    return found


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_operand(dtype):
    def calls(n):
        ends = "plain" if n == "sinc" or (n in NAN_SIGN and dtype == "bfloat16") else "special"
        in_place = [] if n in OUT_OF_PLACE else [f"I('{n}_',X('{dtype}','plain'))"]
        return [
            f"L.{n}(X('{dtype}','{ends}'))",
            f"X('{dtype}','3x5','transposed').{n}()",
            f"L.{n}(input=X('{dtype}','5','strided'))",
            f"L.{n}(X('{dtype}','2x3','expanded'))",
            f"L.{n}(X('{dtype}',''))",
            f"L.{n}(X('{dtype}','2x0x3'))",
            f"L.{n}(X('{dtype}','1x2x1x2x1x1x2x3'))",
            *in_place,
        ]

    assert disagreements(UNARY, calls) == []


@pytest.mark.parametrize("dtype", DTYPES)
def test_two_operands_of_all_pairs_of_dtypes(dtype):
    def calls(n):
        other = [d for d in DTYPES if n != "copysign" or d != "bfloat16"]
        second = SECOND.get(n, "nonzero")
        first = f"X('{dtype}','column')" if second == "nonzero" else f"X('{dtype}','plain').unsqueeze(1)"
        return [
            *[f"L.{n}({first},X('{d}','{second}'))" for d in other],
            *[f"X('{dtype}','2x3').{n}(X('{d}','+'))" for d in other],
            *[f"L.{n}(X('{d}','+'),X('{dtype}','+4'))" for d in other],
            *[f"I('{n}_',X('{dtype}','3x4'),X('{d}','+4'))" for d in other if n not in OUT_OF_PLACE],
            f"L.{n}(X('{dtype}','2x0x3'),X('{dtype}','+3'))",
            f"L.{n}(X('{dtype}','3x5','transposed'),X('{dtype}','+3x5','strided'))",
            f"L.{n}(X('{dtype}','3'),X('{dtype}','+4'))",
        ]

    assert disagreements(BINARY, calls) == []


@pytest.mark.parametrize("dtype", DTYPES)
def test_numbers_in_each_position(dtype):
    def calls(n):
        plain = "nonzero" if n not in SECOND else "plain"
        return [
            c
            for s in NUMBERS
            for c in (f"L.{n}(X('{dtype}','{plain}'),{s})", f"L.{n}({s},X('{dtype}','{plain}'))")
            if not (dtype == "bfloat16" and n in NAN_SIGN)
        ]

    assert disagreements(BINARY, calls) == []


@pytest.mark.parametrize("dtype", DTYPES)
def test_operators(dtype):
    def calls(o):
        return [
            c
            for s in (*NUMBERS, "None", "'a'")
            for c in (f"X('{dtype}','plain') {o} {s}", f"{s} {o} X('{dtype}','plain')")
            if not (o == "/" and c.startswith(s))  # PyTorch: the number times the reciprocal, rounded twice
        ]

    found = [f for o in OPERATORS for f in differences(calls(o), floor=1.0 if o == "**" else 0.0)]
    numbers = [s for s in NUMBERS if s not in ("nan", "inf")]
    found += differences(f"I('__{p}__',X('{dtype}','plain'),{s})" for p in PLACES for s in numbers if p != "ipow")
    found += differences(f"{a}X('{dtype}','plain'){b}" for a, b in (("-", ""), ("+", ""), ("~", ""), ("abs(", ")")))
    assert found == []


@pytest.mark.parametrize("dtype", DTYPES)
def test_three_operands_and_parameters(dtype):
    x, column = f"X('{dtype}','special')", f"X('{dtype}','column')"
    small = f"X('{dtype}','3x4')"
    calls = [
        f"L.clamp({x},{a},{b})" for a in ("None", "-1", "0", "2.5", "nan") for b in ("None", "1", "0", "inf", "-300")
    ]
    calls += [f"{x}.clamp_min(0.1)", f"{x}.clamp_max(max=2)", f"L.clip({x},1,2)", f"I('clamp_',{x},0.5,2)"]
    calls += [f"L.clamp({x},X('{d}','3x1'),X('{d}','+3x1'))" for d in DTYPES]
    calls += [f"L.where(X('bool','3'),X('{dtype}','3'),{n})" for n in NUMBERS]
    calls += [f"L.where(X('bool','2x1'),X('{dtype}','3'),X('{d}','2x3'))" for d in DTYPES]
    calls += [
        f"L.where(X('{dtype}','3'),1.0,2.0)",
        f"L.where({small})",
        f"L.where(X('bool','3'),X('{dtype}','3'),V('int64',1))",
    ]
    tame = f"X('{dtype}','plain')"  # halves round alpha * other to infinity first
    calls += [f"L.{n}({tame},{tame},alpha={a})" for n in ("add", "sub") for a in ("2", "0.5", "True", "-1", "nan")]
    calls += [f"L.{n}(X('{dtype}','3'),0.1,alpha=2)" for n in ("add", "sub")] + [
        f"I('add_',{small},X('{dtype}','4'),alpha=2)"
    ]
    calls += [f"L.add({small},X('{d}','4'),alpha=2)" for d in DTYPES]
    calls += [
        f"L.div(X('{dtype}','column'),X('{d}','plain'),rounding_mode='{m}')" for d in FLOATS for m in ("floor", "trunc")
    ]
    calls += [f"L.div({small},X('{dtype}','+4'),rounding_mode='{m}')" for m in ("floor", "trunc", "round")]
    calls += [f"L.nan_to_num({x},{k})" for k in ("1,2,3", "nan=0.5", "posinf=7", "neginf=-inf", "nan=True")]
    calls += [
        f"L.{n}({x},{column},{k})"
        for n in ("isclose", "allclose")
        for k in ("rtol=0.5", "0,1.0", "atol=0,equal_nan=True", "rtol=nan", "atol=-1")
    ]
    calls += [f"L.isin(X('{dtype}','3x4'),X('{d}','5'),invert={i})" for d in DTYPES for i in (True, False)]
    calls += [f"L.isin(X('{dtype}','3x4'),2)", f"L.isin(2,X('{dtype}','3'))", f"L.isin({small},X('{dtype}','0'))"]
    loose = [f"L.round({x},decimals={k})" for k in (1, 3, -1, -2)] + [
        f"L.logit(X('{dtype}','+7'),{e})" for e in ("0.1", "0.6", "None")
    ]
    loose += [
        f"L.lerp({small},X('{dtype}','4'),{w})"
        for w in ("0.3", "1", "0", "nan", f"X('{dtype}','+3x1')", "X('float64','+')")
    ]
    loose += [f"L.lerp({small},X('{d}','4'),0.5)" for d in DTYPES] + [f"L.lerp({small},2.0,0.5)"]
    loose += [
        f"L.{n}({small},X('{d}','+4'),X('{d}','+3x1'),value=2)"
        for n in ("addcmul", "addcdiv")
        for d in (dtype, "float32", "int64")
    ]
    assert differences(calls) + differences(loose, floor=1.0) == []


@pytest.mark.parametrize("dtype", DTYPES)
def test_activations(dtype):
    def calls(n):
        ends = "plain" if n in ("gelu", "hardswish", "mish", "tanhshrink") else "special"
        x = f"X('{dtype}','{ends}')"
        values = {
            "elu": words("0.7 -0.7 alpha=1.5 1.5,True"), "celu": words("0.7 -0.7 0 alpha=1.5 1.5,True"),
            "gelu": words("approximate='tanh' approximate='no' 'tanh'"), "hardshrink": words("0 0.1 2"),
            "softshrink": words("0 0.1 2 -1 nan"), "hardtanh": words("-2,3 0,0 3,-2 0.1,0.2 -300,300 0,nan min_val=-3"),
            "leaky_relu": words("0.2 0 -0.5 negative_slope=0.1 0.1,True"), "softplus": words("2 2.0,3.0 -1 0 beta=0.5"),
            "rrelu": words("0.1,0.3 0.3,0.1 lower=0.2,upper=0.2"),
        }.get(n, [])  # fmt: skip
        values = (
            values
            if n not in ("relu", "relu6", "silu", "mish", "selu", "hardswish", "hardsigmoid")
            else ["inplace=True"]
        )
        return [
            f"F.{n}({x})",
            f"F.{n}(input=X('{dtype}','3x4','strided'))",
            f"F.{n}(X('{dtype}',''))",
            f"F.{n}(X('{dtype}','2x0'))",
            *[f"F.{n}({x},{v})" for v in values],
        ]  # fmt: skip

    x = f"X('{dtype}','special')"
    others = [f"F.threshold{e}({x},{v})" for v in ("0.5,7", "0,0", "1,-1", "1,300", "nan,1") for e in ("", "_")]
    others += [f"F.glu(X('{dtype}','4x6'),{d})" for d in ("0", "1", "-1")] + [
        f"F.glu(X('{dtype}','3'))",
        f"F.glu(X('{dtype}',''))",
    ]
    others += [
        f"F.prelu(X('{dtype}','{a}'),X('{dtype}','{w}'))"
        for a, w in (("2x3x4", "3"), ("2x3", "1"), ("3", "1"), ("", ""), ("2x3", "2"), ("2x3", "1x3"))
    ]
    others += [f"F.prelu(X('{dtype}','2x3'),X('{d}','3'))" for d in DTYPES if d != dtype] + [
        f"F.prelu(X('{dtype}','2x3'),0.5)"
    ]
    others += [f"F.softmin(X('{dtype}','{s}'))" for s in ("", "3", "4x6", "2x3x4")] if dtype in FLOATS else []
    assert disagreements(ACTIVATIONS, calls) + differences(others) == []


@pytest.mark.parametrize("order", [1, 2])
def test_gradients(order):
    """In float64, to 1e-9 of the larger of the value and 1: PyTorch's formulas lose digits where ours do not."""
    d = "float64"
    unary = [
        n
        for n in UNARY
        if n not in ("digamma", "lgamma", "sinc", "sigmoid", "logical_not", "bitwise_not", "signbit") and n[:2] != "is"
    ]
    calls = [
        f"L.{n}(X('{d}','{v}'))"
        for n in (*unary, "sigmoid")
        for v in (("+4",) if n == "logit" else ("plain", "+3x4", "0"))
    ]
    calls += [f"L.{n}(X('{d}','2x3','expanded'))" for n in ("sqrt", "exp", "abs", "lgamma")]
    calls += [f"F.{n}(X('{d}','plain'))" for n in ACTIVATIONS if n not in ("hardsigmoid",)]
    calls += [
        f"F.{c}"
        for c in (
            f"prelu(X('{d}','2x3x4'),X('{d}','3'))",
            f"prelu(X('{d}','plain'),V('{d}',[0.25]))",
            f"glu(X('{d}','4x6'),0)",
        )
    ]
    calls += [f"L.{n}(X('{d}','3x4'),X('{d}','+4'))" for n in (*SMOOTH, "fmax", "fmin", "rsub")]
    calls += [f"L.{n}(X('{d}','3x1'),X('{d}','+'))" for n in SMOOTH] + [
        f"L.{n}(X('{d}','0'),X('{d}','+1'))" for n in SMOOTH
    ]
    calls += [
        f"L.{n}(V('{d}',[0,0,0,1,-1,2,2]),V('{d}',[0,1,-1,0,2,2,-2]))"
        for n in (*SMOOTH, "fmax", "fmin")
        if n not in ("remainder", "fmod") and (n != "copysign" or order == 1)
    ]
    calls += [f"X('{d}','plain')**{e}" for e in ("0", "1", "2", "3", "0.5", "-1", "-0.5", "2.5", "0.0")] + [
        f"0.0**V('{d}',[1,2,-1])"
    ] * (order == 1)
    calls += [
        f"L.clamp(X('{d}','plain'),{b})"
        for b in ("-1,1", "min=0.5", "None,2", "2,-2", f"X('{d}','23'),X('{d}','+23')", f"V('{d}',1)", "nan")
    ]
    calls += [
        f"(lambda x: L.{f})(X('{d}','plain'))"
        for f in (
            "where(x>0,L.log(x),0.0)",
            "where(x>0,L.sqrt(x),x)",
            "maximum(x,x)",
            "clamp(x,x,x)",
            "mul(x,x)",
            "atan2(x,x)",
        )
    ]
    calls += [f"L.lerp(X('{d}','3x4'),X('{d}','4'),{w})" for w in ("0.3", f"X('{d}','+3x1')")] + [
        f"L.add(X('{d}','3x4'),X('{d}','4'),alpha=2.5)"
    ]
    calls += [
        f"L.addcmul(X('{d}','3x4'),X('{d}','4'),X('{d}','3x1'),value=2)",
        f"L.addcdiv(X('{d}','3x4'),X('{d}','4'),X('{d}','+3x1'))",
    ]
    calls += [
        f"L.logit(X('{d}','+7'),0.1)",
        f"X('{d}','3').float().double()",
        f"L.normal(X('{d}','3'),1.0)*0",
        f"L.bernoulli(X('{d}','+3'))*0",
    ]
    calls += [f"I('{n}_',X('{d}','+3')*1,X('{d}','+3'))" for n in words("add sub mul div pow copysign")]
    assert differences(calls, order=order, ulps=2.0**22, floor=1.0, errors=False) == []
    slow = [f"L.{n}(X('{d}','+5'))" for n in ("digamma", "lgamma", "sinc")] + [
        f"L.polygamma({n},X('{d}','+5'))" for n in (1, 2, 3)
    ]
    assert differences(slow, order=order, ulps=2.0**26, floor=1.0) == []


def test_creation():
    ranges = [
        "5",
        "2.5",
        "1,4",
        "0,1,0.25",
        "5,0,-2",
        "1,1",
        "0,1,0",
        "1,0",
        "0,inf",
        "0,1,nan",
        "end=3",
        "start=1,end=4,step=2",
        "-2.5,2.5,1.25",
        "True,3",
    ]
    kinds = ["None", *[f"L.{d}" for d in DTYPES]]
    calls = [f"L.arange({r},dtype={k},device='cpu')" for r in ranges for k in kinds if r[0] != "-" or k != "L.uint8"]
    calls += [
        f"L.linspace({r},dtype={k})"
        for r in ("0,1,5", "-3,3,7", "3,3,4", "0.5,2.5,4", "0,255,4", "0,1,-1")
        for k in kinds
        if k != "L.bool" and not (k == "L.uint8" and r[0] == "-")
    ]
    calls += [f"L.full((2,3),{n},dtype={k})" for n in NUMBERS for k in kinds] + [
        f"L.full_like(X('int8','3'),{n})" for n in NUMBERS
    ]
    calls += [
        f"L.{f}({s},dtype={k},requires_grad=False)"
        for f in ("zeros", "ones")
        for s in ("2,3", "(2,0)", "[2]", "()", "size=(1,2)", "-1", "2.5", "'a'")
        for k in kinds
    ]
    calls += [f"L.eye({s},dtype={k})" for s in ("3", "2,4", "0", "3,0", "n=2,m=1", "-1") for k in kinds]
    calls += [
        f"L.{f}_like(X('{d}','3x4','transposed'),dtype={k},device='cpu')"
        for f in ("zeros", "ones")
        for d in DTYPES
        for k in kinds
    ]
    calls += [
        f"L.{f}_indices({a})"
        for f in ("tril", "triu")
        for a in ("3,4", "3,4,1", "4,3,offset=-2", "0,3", "-1,3", "2,2,dtype=L.int32")
    ]
    calls += [
        f"L.tensor({v})"
        for v in (
            "1",
            "1.5",
            "True",
            "[1,2.5]",
            "[[],[]]",
            "[[1],[2]]",
            "np.ones(3,'int16')",
            "2**63",
            "None",
            "'a'",
            "[[1,2],[3]]",
        )
    ]
    calls += [
        f"X('{d}','{v}').to(L.{e})"
        for d in DTYPES
        for e in DTYPES
        for v in (("3x4", "2x0") if d in FLOATS else ("special",))
    ]
    calls += [
        f"X('{d}','3').{m}()" for d in DTYPES for m in words("float double half bfloat16 long int short char byte bool")
    ]
    calls += [
        "L.zeros(2,requires_grad=True)",
        "L.zeros(2,dtype=L.int64,requires_grad=True)",
        "L.zeros(2,device='nowhere')",
        "L.ones(2,dtype=float)",
    ]
    assert differences(calls) == []


def test_random():
    """Values are drawn: dtype, shape and errors are compared of their zero multiples."""
    g = "generator=L.Generator().manual_seed(3)"
    kinds = ["None", *[f"L.{d}" for d in DTYPES]]
    calls = [
        f"L.{f}({s},dtype={k})*0"
        for f in ("rand", "randn")
        for s in ("2,3", "(2,0)", "()", "size=(3,)", f"2,{g}", "-1", "2.5")
        for k in kinds
        if "int" not in k and k != "L.bool" or s == "2,3"
    ]
    calls += [
        f"L.randint({a},dtype={k})*0"
        for a in (
            "5,(2,)",
            "-3,4,(2,3)",
            "high=5,size=(2,)",
            "5,size=(2,)",
            "5,5,(2,)",
            "0,300,(2,)",
            "0,129,(2,)",
            f"5,(2,),{g}",
            "5,()",
        )
        for k in kinds[:-1]
    ]
    calls += [f"L.randint({a})" for a in ("5", "2.5,(2,)", "5,2", "0,2.5,(2,)")] + [
        f"L.randperm({n},dtype={k})*0" for n in ("5", "0", "-1") for k in kinds
    ]
    calls += [f"L.{f}_like(X('{d}','3x4','transposed'))*0" for f in ("rand", "randn") for d in DTYPES]
    calls += [f"L.randint_like(X('{d}','2x3'),1,4)*0" for d in DTYPES[1:]]
    calls += [
        "L.normal(0.,1.,(2,3))*0",
        "L.normal(2,3,[4],dtype=L.float64)*0",
        "L.normal(0.,-1.,(2,))",
        "L.normal(0.,1.)",
    ]
    for d in DTYPES:
        calls += [f"L.normal(X('{d}','2x3'),X('{e}','+3'))*0" for e in DTYPES]
        calls += [
            f"L.normal(X('{d}','3'))*0",
            f"L.normal(1.0,X('{d}','+3'))*0",
            f"L.normal(X('{d}','3'),X('{d}','+4'))",
            f"L.normal(X('{d}','3'),-1.0)",
        ]
        calls += [
            f"L.bernoulli(X('{d}','+2x3'))*0",
            f"L.bernoulli(X('{d}','+3'),0.5,{g})",
            f"L.bernoulli(X('{d}','3'),p=1.5)",
        ][:2] + [f"L.bernoulli(X('{d}','3'),p=1.5)"]
        calls += [f"I('bernoulli_',X('{d}','2x3'),{p})*0" for p in ("0.5", "X('float32','+3')", "1.5")]
        calls += [
            f"L.multinomial(X('{d}','{s}'),{a})*0"
            for s in ("+4", "+2x4", "+2x3x4", "5")
            for a in ("2", "6,True", "6", "0", f"num_samples=2,replacement=True,{g}")
        ]
        calls += [f"I('{m}',X('{d}','2x3'))*0" for m in ("uniform_", "normal_", "random_")] + [
            f"I('random_',X('{d}','2x3'),{a})*0" for a in ("5", "2,5", "5,2", "0,300")
        ]
    calls = [
        c.replace("0.5,generator=L.Generator().manual_seed(3))", "0.5,generator=L.Generator().manual_seed(3))*0")
        for c in calls
    ]
    assert differences(calls, floor=1.0) == []


# ---- where ours differs on purpose ----------------------------------------------------------------------------------
def test_exact_remainders():
    for dtype, small in ((mi.float32, 2.0**-149), (mi.float64, 5e-324)):
        x, y = mi.tensor([1.0, -1.0, 3e38], dtype=dtype), mi.tensor(small, dtype=dtype)
        assert mi.fmod(x, y).abs().tolist() == [0, 0, 0] == mi.remainder(x, y).abs().tolist()
    assert mi.fmod(mi.tensor([2.0**100], dtype=mi.float64), 7.0).tolist() == [2**100 % 7]


def test_sinc_where_pytorch_has_no_digits():
    x = mi.tensor([0.0, 1.0, -2.0], dtype=mi.float64, requires_grad=True)
    assert mi.sinc(x).abs().tolist() == [1, 0, 0]
    (g,) = mi.grad(mi.sinc(x).sum(), x, create_graph=True)
    (h,) = mi.grad(g.sum(), x)
    assert abs(h[0].item() + np.pi**2 / 3) < 1e-14


def test_a_number_divided_is_rounded_once():
    x = mi.tensor([2.0**-149], dtype=mi.float32)
    assert (0 / x).tolist() == [0] and (2.0**-140 / x).tolist() == [512]


def test_gradients_at_infinity():
    x = mi.tensor([np.inf, 1e30], requires_grad=True)
    assert mi.grad(mi.nn.functional.mish(x).sum(), x)[0].tolist() == [1, 1]
    assert mi.grad(mi.nn.functional.softsign(x).sum(), x)[0][0].item() == 0
