"""Kernels on a card against the NumPy reference: values, gradients, dtypes and layouts, by the checker that the CPU's
have passed. Each call is made twice and must give the same bits."""

import os

import mielina as mi
import numpy as np
import pytest
from mielina.testing import check_op, reference

pytestmark = pytest.mark.cuda

F = mi.nn.functional
ALL = ("float32", "float64", "float16", "bfloat16")
LAYOUTS = ("contiguous", "transposed", "sliced", "offset", "expanded_inner")


def draw(*shape, low=-3.0, high=3.0, seed=0):
    return np.random.default_rng(seed).uniform(low, high, shape)


def check(fn, ref, inputs, kwargs=None, **options):
    options = {"dtypes": ("float32", "float64"), "layouts": LAYOUTS, **options}
    if os.environ.get("MIELINA_FAKE_CARD"):  # whose kernels are the CPU's: what is left to test is the way to them
        options |= {"dtypes": ("float32",), "layouts": ("contiguous", "sliced"), "gradgrad": False}
        options["grad"] = False
    check_op(fn, ref, inputs, kwargs, devices=("cuda",), **options)


# ---- elementwise -----------------------------------------------------------------------------------------------------
UNARY = {
    "abs": (-3, 3), "neg": (-3, 3), "sign": (-3, 3), "square": (-3, 3), "ceil": (-3, 3), "floor": (-3, 3),
    "round": (-3, 3), "trunc": (-3, 3), "frac": (-3, 3), "acos": (-0.99, 0.99), "acosh": (1.01, 9),
    "asin": (-0.99, 0.99),
    "asinh": (-5, 5), "atan": (-5, 5), "atanh": (-0.99, 0.99), "cos": (-9, 9), "cosh": (-5, 5), "digamma": (0.1, 9),
    "erf": (-3, 3), "erfc": (-3, 3), "erfinv": (-0.99, 0.99), "exp": (-5, 5), "exp2": (-5, 5), "expm1": (-3, 3),
    "lgamma": (0.1, 9), "log": (0.1, 9), "log10": (0.1, 9), "log1p": (-0.9, 9), "log2": (0.1, 9), "logit": (0.01, 0.99),
    "reciprocal": (0.1, 9), "rsqrt": (0.1, 9), "sigmoid": (-9, 9), "sin": (-9, 9), "sinc": (-3, 3), "sinh": (-5, 5),
    "sqrt": (0.1, 9), "tan": (-1.5, 1.5), "tanh": (-5, 5),
}  # fmt: skip
ACTIVATIONS = (
    "relu", "elu", "gelu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "logsigmoid", "mish",
    "selu", "silu", "softplus", "softshrink", "softsign", "tanhshrink", "relu6", "celu",
)  # fmt: skip


@pytest.mark.parametrize("name", UNARY)
def test_unary(name):
    low, high = UNARY[name]
    x = draw(5, 37, low=low, high=high)
    # 1 ULP of a function near its zero is many of the result: errors are relative to the largest value.
    check(getattr(mi, name), getattr(reference, name), [x], dtypes=ALL, amplification=16, magnitude="max")


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name):
    x = draw(5, 37)
    check(getattr(F, name), getattr(reference, name), [x], dtypes=ALL, amplification=16, magnitude="max")


@pytest.mark.parametrize("name", ["relu", "gelu", "silu", "tanh", "sigmoid", "exp", "log1p", "elu", "softplus", "sqrt"])
def test_gradients_of_unary_functions(name):
    x = draw(4, 9, low=0.2)
    fn = getattr(F, name, None) or getattr(mi, name)
    check(
        fn,
        getattr(reference, name),
        [x],
        layouts=("contiguous", "transposed"),
        amplification=16,
        magnitude="max",
        grad=True,
        grad_amplification=16,
    )


def test_special_values():
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 3e38, -3e38, 1e-40])
    for name in (
        "relu",
        "abs",
        "neg",
        "sign",
        "exp",
        "log",
        "sqrt",
        "sigmoid",
        "tanh",
        "floor",
        "isnan",
        "isinf",
        "isfinite",
    ):
        check(getattr(mi, name), getattr(reference, name), [x], dtypes=("float32",), amplification=16, magnitude=1e-30)
    y = np.array([1.0, np.nan, np.inf, -1.0, 0.0, np.nan, -np.inf, 2.0, 5.0, 0.0])
    for name in ("maximum", "minimum", "fmax", "fmin", "add", "mul", "div", "eq", "lt", "ge"):
        check(getattr(mi, name), getattr(reference, name), [x, y], dtypes=("float32",), magnitude=1e-30)


BINARY = ("add", "sub", "mul", "div", "maximum", "minimum", "fmax", "fmin", "pow", "floor_divide", "remainder", "fmod",
          "atan2", "copysign", "hypot", "logaddexp", "xlogy", "heaviside", "eq", "ne", "lt", "le", "gt",
          "ge")  # fmt: skip


@pytest.mark.parametrize("name", BINARY)
def test_binary(name):
    a, b = draw(4, 1, 21, low=0.25), draw(3, 21, low=0.25, seed=1)
    check(getattr(mi, name), getattr(reference, name), [a, b], dtypes=ALL, amplification=16, magnitude="max")


@pytest.mark.parametrize(
    "name",
    ["add", "sub", "mul", "maximum", "floor_divide", "remainder", "fmod", "bitwise_and", "bitwise_xor", "eq", "lt"],
)
def test_binary_of_integers(name):
    a, b = np.arange(-20, 22).reshape(6, 7), np.tile([3, -2, 5, 1, -7, 2, 4], (6, 1))
    check(getattr(mi, name), getattr(reference, name), [a, b], dtypes=("float32",))


def test_numbers_and_selection():
    x, y = draw(5, 7), draw(5, 7, seed=1)
    check(lambda x: 2 * x + 1, lambda x: 2 * x + 1, [x], dtypes=ALL, magnitude="max", amplification=4)
    check(lambda x: mi.where(x > 0, x, -1.0), lambda x: np.where(x > 0, x, -1.0), [x], dtypes=ALL)
    check(mi.where, np.where, [x > 0, x, y], dtypes=ALL)
    check(mi.lerp, reference.lerp, [x, y, draw(5, 7, low=0, high=1, seed=2)], amplification=4, magnitude="max")
    check(mi.clamp, reference.clamp, [x], {"min": -1.0, "max": 1.0}, dtypes=ALL)
    check(mi.masked_fill, reference.masked_fill, [x, x > 0], {"value": 9.0}, dtypes=ALL)


@pytest.mark.parametrize("to", ["float32", "float64", "float16", "bfloat16", "int64", "int32", "int8", "uint8", "bool"])
def test_conversions_are_the_cpus(to):
    for source in ("float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"):
        values = np.array([0, 1, 2, 3, 5, 100, 1, 0]) if source != "bool" else np.array([True, False] * 4)
        x = mi.tensor(values).to(getattr(mi, source)).reshape(2, 4)
        for view in (x, x.t(), x[:, ::2]):
            assert view.cuda().to(getattr(mi, to)).cpu().tolist() == view.to(getattr(mi, to)).tolist(), source
    x = mi.tensor([0.1, -2.7, 65504.0, 1e-8, 3.99, 2049.0])
    if to != "uint8":
        assert x[:3].cuda().to(getattr(mi, to)).cpu().tolist() == x[:3].to(getattr(mi, to)).tolist()


# ---- reductions ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "name", ["sum", "mean", "nansum", "prod", "amax", "amin", "norm", "logsumexp", "count_nonzero"]
)
@pytest.mark.parametrize(
    ("shape", "dim"), [((7, 33), 1), ((7, 33), 0), ((300, 5), 1), ((3, 4, 5), (0, 2)), ((2, 70000), 1)]
)
def test_reductions(name, shape, dim):
    x = draw(*shape, low=0.9, high=1.1) if name == "prod" else draw(*shape)
    n = int(np.prod([shape[d] for d in np.atleast_1d(dim)]))
    if name == "prod" and (isinstance(dim, tuple) or n > 100):
        pytest.skip("one short axis")
    fn, ref = getattr(mi, name), getattr(reference, name)
    key = "dim"
    layouts = LAYOUTS if n < 1000 else ("contiguous", "transposed")
    dtypes = ALL if n < 1000 else ("float32", "float64")
    check(fn, ref, [x], {key: dim}, dtypes=dtypes, layouts=layouts, length=n, amplification=8, magnitude="max")


@pytest.mark.parametrize("name", ["var", "std", "argmax", "argmin"])
def test_moments_and_places(name):
    x = draw(6, 40) + (1000 if name == "var" else 0)
    for dim in (0, 1):
        check(
            getattr(mi, name),
            getattr(reference, name),
            [x],
            {"dim": dim},
            layouts=("contiguous", "transposed", "sliced", "offset"),
            length=40,
            amplification=64,
            magnitude="max",
        )


def test_pairs_and_whole_tensors():
    x = draw(6, 41)
    x[2, 5] = np.nan
    for name in ("max", "min"):
        check(getattr(mi, name), getattr(reference, name), [x], {"dim": 1}, layouts=("contiguous", "transposed"))
    big = draw(300, 1000)
    check(
        lambda x: x.sum(), np.sum, [big], length=big.size, magnitude=lambda x: np.abs(x).sum(), layouts=("contiguous",)
    )
    check(lambda x: (x > 2).any(), lambda x: (x > 2).any(), [big], layouts=("contiguous",))
    check(lambda x: (x > -9).all(), lambda x: (x > -9).all(), [big], layouts=("contiguous",))
    for empty in (mi.zeros(0, 3, device="cuda"), mi.zeros(3, 0, device="cuda")):
        assert empty.sum().item() == 0 and empty.sum(0).shape == empty.shape[1:] and mi.isnan(empty.mean()).item()


def test_integers_add_exactly():
    x = mi.arange(1 << 20, device="cuda")
    assert x.sum().item() == (1 << 19) * ((1 << 20) - 1) and x.max().item() == (1 << 20) - 1
    assert (x.to(mi.int32) % 7 == 0).sum().item() == -(-(1 << 20) // 7)


# ---- products --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("a", "b"),
    [((1, 1), (1, 1)), ((7, 5), (5, 9)), ((64, 64), (64, 64)), ((65, 33), (33, 129)), ((3, 17, 40), (40, 8)),
     ((2, 3, 9, 20), (3, 20, 11)), ((5,), (5,)), ((4, 6), (6,)), ((1, 300), (300, 1)), ((130, 1), (1, 70))],
)  # fmt: skip
def test_matmul(a, b):
    check(mi.matmul, reference.matmul, [draw(*a), draw(*b, seed=1)], dtypes=ALL, length=a[-1], magnitude="abs")


def test_products_of_small_integers_are_exact():
    rng = np.random.default_rng(0)
    a, b = rng.integers(-8, 9, (65, 70)), rng.integers(-8, 9, (70, 130))
    for dtype in (mi.float32, mi.float64, mi.int64, mi.int32):
        y = mi.tensor(a, device="cuda").to(dtype) @ mi.tensor(b, device="cuda").to(dtype)
        assert np.array_equal(y.cpu().numpy(), a @ b)
    assert (mi.zeros(3, 0, device="cuda") @ mi.zeros(0, 2, device="cuda")).tolist() == [[0, 0]] * 3


def test_linear():
    check(
        F.linear,
        reference.linear,
        [draw(6, 33), draw(20, 33, seed=1), draw(20, seed=2)],
        length=33,
        magnitude="abs",
        layouts=("contiguous", "transposed", "offset"),
        grad=True,
        grad_amplification=8,
    )


# ---- softmax and losses ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize(("shape", "dim"), [((5, 10), 1), ((9, 4), 0), ((2, 3000), 1), ((2, 5, 7), 1)])
def test_softmax(name, shape, dim):
    x = draw(*shape)
    options = {"length": shape[dim], "amplification": 16, "magnitude": "max" if name == "log_softmax" else 0.0}
    check(getattr(F, name), getattr(reference, name), [x], {"dim": dim}, dtypes=ALL, **options)
    if x.size < 100:
        check(
            getattr(F, name),
            getattr(reference, name),
            [x],
            {"dim": dim},
            layouts=("contiguous", "transposed"),
            grad=True,
            grad_amplification=16,
            **options,
        )


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy(reduction, smoothing):
    x, t = draw(9, 13), np.array([0, 12, 3, -100, 5, 5, 1, 2, 11])
    weight = draw(13, low=0.5, high=1.5, seed=1)
    kwargs = {"reduction": reduction, "label_smoothing": smoothing}
    for w in (None, weight):
        check(
            lambda x, t, w=w: F.cross_entropy(x, t, None if w is None else mi.tensor(w).to(x), **kwargs),
            lambda x, t, w=w: reference.cross_entropy(x, t, w, **kwargs),
            [x, t],
            layouts=("contiguous", "transposed"),
            length=13,
            amplification=16,
            magnitude="max",
            grad=True,
            grad_amplification=16,
        )


def test_a_class_that_does_not_exist_gives_nan():
    x, t = mi.zeros(3, 4, device="cuda"), mi.tensor([1, 7, 2], device="cuda")
    if not mi.cuda.get_device_name().startswith("Fake"):
        assert mi.isnan(F.cross_entropy(x, t, reduction="none")).tolist() == [False, True, False]
        assert mi.isnan(F.nll_loss(x, t, reduction="none")).tolist() == [False, True, False]


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "smooth_l1_loss", "binary_cross_entropy_with_logits"])
def test_elementwise_losses(name):
    x, t = draw(7, 5), draw(7, 5, low=0, high=1, seed=1)
    for reduction in ("mean", "none"):
        check(
            getattr(F, name),
            getattr(reference, name),
            [x, t],
            {"reduction": reduction},
            layouts=("contiguous", "transposed"),
            length=35,
            amplification=16,
            magnitude="max",
            grad=True,
            grad_amplification=16,
        )


# ---- convolution, pooling, normalisation -----------------------------------------------------------------------------
CONVS = {
    "3x3": ((2, 3, 9, 8), (4, 3, 3, 3), {"padding": 1}),
    "stride": ((2, 4, 9, 10), (6, 4, 3, 2), {"stride": (2, 3), "padding": (1, 0)}),
    "groups": ((2, 6, 7, 7), (4, 3, 3, 3), {"groups": 2, "dilation": 2, "padding": 2}),
    "1x1": ((1, 5, 4, 4), (7, 5, 1, 1), {}),
}


@pytest.mark.parametrize("name", CONVS)
def test_conv2d(name):
    x, w, kwargs = CONVS[name]
    n = int(np.prod(w[1:]))
    inputs = [draw(*x), draw(*w, seed=1), draw(w[0], seed=2)]
    check(F.conv2d, reference.conv2d, inputs, kwargs, dtypes=ALL, length=n, magnitude="abs",
          layouts=("contiguous", "channels_last", "offset"))  # fmt: skip
    small = [draw(*x)[:, :, :6, :6], *inputs[1:]]
    check(
        F.conv2d,
        reference.conv2d,
        small,
        kwargs,
        layouts=("contiguous", "channels_last"),
        length=64,
        magnitude="abs",
        grad=True,
        gradgrad=False,
        grad_amplification=16,
    )


def test_conv_transpose_and_other_ranks():
    check(F.conv_transpose2d, reference.conv_transpose2d, [draw(2, 3, 5, 4), draw(3, 4, 3, 3, seed=1)],
          {"stride": 2, "padding": 1}, length=27, magnitude="abs", layouts=("contiguous",))  # fmt: skip
    check(F.conv1d, reference.conv1d, [draw(2, 3, 20), draw(4, 3, 5, seed=1)], length=15, magnitude="abs",
          layouts=("contiguous", "transposed"))  # fmt: skip
    check(F.conv3d, reference.conv3d, [draw(1, 2, 4, 5, 6), draw(3, 2, 2, 3, 2, seed=1)], length=24, magnitude="abs",
          layouts=("contiguous",))  # fmt: skip


@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d"])
@pytest.mark.parametrize("kwargs", [{"kernel_size": 2}, {"kernel_size": 3, "stride": 2, "padding": 1}])
def test_pooling(name, kwargs):
    check(
        getattr(F, name),
        getattr(reference, name),
        [np.random.default_rng(0).permutation(2 * 3 * 7 * 8).reshape(2, 3, 7, 8) / 8.0],
        kwargs,
        layouts=("contiguous", "channels_last", "sliced"),
        length=9,
        amplification=4,
        magnitude="max",
        grad=True,
        gradgrad=False,
        grad_amplification=8,
    )


def test_adaptive_pooling():
    for name in ("adaptive_avg_pool2d", "adaptive_max_pool2d"):
        check(getattr(F, name), getattr(reference, name), [draw(2, 3, 7, 9)], {"output_size": (3, 4)}, length=9,
              amplification=4, magnitude="max", layouts=("contiguous", "channels_last"), grad=True, gradgrad=False,
              grad_amplification=8)  # fmt: skip


def test_norms():
    x, w, b = draw(6, 40), draw(40, seed=1), draw(40, seed=2)
    options = {"length": 40, "amplification": 32, "magnitude": "max", "grad": True, "gradgrad": False,
               "grad_amplification": 32, "layouts": ("contiguous", "transposed")}  # fmt: skip
    check(lambda x, w, b: F.layer_norm(x, (40,), w, b), lambda x, w, b: reference.layer_norm(x, (40,), w, b), [x, w, b],
          **options)  # fmt: skip
    check(
        lambda x, w: F.rms_norm(x, (40,), w, 1e-5),
        lambda x, w: reference.rms_norm(x, (40,), w, 1e-5),
        [x, w],
        **options,
    )
    image, w, b = draw(3, 4, 5, 6), draw(4, seed=1), draw(4, seed=2)
    check(lambda x, w, b: F.group_norm(x, 2, w, b), lambda x, w, b: reference.group_norm(x, 2, w, b), [image, w, b],
          **{**options, "length": 60})  # fmt: skip
    check(
        lambda x, w, b: F.batch_norm(x, None, None, w, b, True),
        lambda x, w, b: reference.batch_norm(x, None, None, w, b, True),
        [image, w, b],
        **{**options, "length": 90, "layouts": ("contiguous", "channels_last")},
    )


def test_batch_norm_moves_its_statistics():
    x = mi.tensor(draw(6, 4, 5, 5), device="cuda")
    net, twin = (mi.nn.BatchNorm2d(4, dtype=mi.float64).to(d) for d in ("cuda", "cpu"))
    for _ in range(2):
        net(x), twin(x.cpu())
    assert np.allclose(net.running_mean.cpu().numpy(), twin.running_mean.numpy(), rtol=1e-12)
    assert np.allclose(net.running_var.cpu().numpy(), twin.running_var.numpy(), rtol=1e-12)
    assert np.allclose(
        net.eval()(x).detach().cpu().numpy(), twin.eval()(x.cpu()).detach().numpy(), rtol=1e-12, atol=1e-12
    )


# ---- indices ---------------------------------------------------------------------------------------------------------
def test_gather_and_scatter():
    x, index = draw(7, 9), np.random.default_rng(1).integers(0, 7, (4, 9))
    check(mi.gather, reference.gather, [x], {"dim": 0, "index": mi.tensor(index, device="cuda")}, dtypes=ALL)
    src = draw(4, 9, seed=2)
    kwargs = {"dim": 0, "index": mi.tensor(index, device="cuda")}
    check(lambda x, s, **k: mi.scatter_add(x, src=s, **k), lambda x, s, **k: reference.scatter_add(x, src=s, **k),
          [x, src], kwargs, length=4, amplification=4, magnitude="max", grad=True)  # fmt: skip
    rows = mi.tensor([6, 0, 0, 3], device="cuda")
    check(mi.index_select, reference.index_select, [x], {"dim": 0, "index": rows}, dtypes=ALL, grad=True)


def test_embedding():
    index = np.random.default_rng(1).integers(0, 11, (5, 40))
    check(
        lambda w: F.embedding(mi.tensor(index, device=w.device), w),
        lambda w: w[index],
        [draw(11, 8)],
        length=200,
        magnitude="max",
        layouts=("contiguous", "transposed"),
        grad=True,
        grad_amplification=8,
    )


def test_scatters_of_many_repeats_are_added_in_order():
    rng = np.random.default_rng(0)
    index, values = rng.integers(0, 5, 20000), rng.standard_normal(20000).astype(np.float32)
    once = mi.zeros(5, device="cuda").index_add(0, mi.tensor(index, device="cuda"), mi.tensor(values, device="cuda"))
    twice = mi.zeros(5, device="cuda").index_add(0, mi.tensor(index, device="cuda"), mi.tensor(values, device="cuda"))
    expected = np.zeros(5, np.float32)
    np.add.at(expected, index, values)  # one after the other, in float32
    assert np.array_equal(once.cpu().numpy(), expected) and np.array_equal(once.cpu().numpy(), twice.cpu().numpy())
    last = mi.zeros(5, device="cuda")
    last[mi.tensor(index, device="cuda")] = mi.tensor(values, device="cuda")
    numpy_last = np.zeros(5, np.float32)
    numpy_last[index] = values
    assert np.array_equal(last.cpu().numpy(), numpy_last)


def test_masks_over_several_chunks():
    a = np.random.default_rng(0).standard_normal(200_000).astype(np.float32)
    x = mi.tensor(a, device="cuda")
    assert np.array_equal(x[x > 1].cpu().numpy(), a[a > 1])
    assert np.array_equal((x.reshape(400, 500) > 2).nonzero().cpu().numpy(), np.argwhere(a.reshape(400, 500) > 2))


def test_layout():
    x, y = draw(3, 5), draw(3, 4, seed=1)
    check(lambda x, y: mi.cat([x, y], 1), lambda x, y: np.concatenate([x, y], 1), [x, y], dtypes=ALL, grad=True)
    check(mi.tril, reference.tril, [draw(2, 5, 6)], {"diagonal": 1}, dtypes=ALL)
    check(lambda x: x.flip(0).contiguous(), lambda x: np.flip(x, 0), [x], dtypes=ALL)
    assert mi.arange(0, 1, 0.1, device="cuda").tolist() == mi.arange(0, 1, 0.1).tolist()
    assert mi.linspace(-1, 1, 101, device="cuda").tolist() == mi.linspace(-1, 1, 101).tolist()


def test_large_strides():
    """More elements than 32 bits count lie between the first and the last one."""
    free = mi.cuda.mem_get_info()[0]
    if free < 12 << 30:
        pytest.skip("needs 12 GB")
    x = mi.zeros((1 << 31) + 8, dtype=mi.int8, device="cuda")
    x[-1] = 3
    x[1 << 31] = 4
    assert x[-8:].tolist() == [4, 0, 0, 0, 0, 0, 0, 3] and x.reshape(-1, 8)[:, 7].to(mi.int64).sum().item() == 3
    assert (x + x)[-1].item() == 6 and x.sum().item() == 7
