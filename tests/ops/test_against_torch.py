"""Every promised name beside PyTorch: one table of calls, run on both libraries for every dtype and layout.

A case is Python text, evaluated with `L` = the library, `F` = its functional page; `x(3, 4)` is a tensor of that shape
in the dtype under test, `p(3, 4)` one of numbers between 0 and 1, `i(n, 3, 4)` one of int64 below n, `b(3, 4)` of bool.
"""

import re
import warnings
from pathlib import Path

import mielina as mi
import mielina.nn.functional
import numpy as np
import pytest
from mielina.testing import FLOATS, tolerance

torch = pytest.importorskip("torch")

_PAGES = re.split(r"#.*\n", Path(__file__).with_name("names.txt").read_text())
NAMES, FUNCTIONAL = _PAGES[1].split(), _PAGES[2].split()


def words(text):
    return text.split()


LAYOUTS = ("contiguous", "strided", "expanded")

UNARY = words(
    """
    abs acos acosh asin asinh atan atanh ceil cos cosh deg2rad digamma erf erfc erfinv exp exp2 expm1 floor frac
    isfinite isinf isnan lgamma log log10 log1p log2 logical_not logit nan_to_num neg rad2deg reciprocal round
    rsqrt sgn sigmoid sign signbit sin sinc sinh sqrt square tan tanh trunc ravel flatten clone argwhere nonzero
    count_nonzero all any max min amax amin mean sum prod nansum nanmean median argmax argmin std var std_mean
    var_mean ones_like zeros_like msort atleast_1d atleast_2d diff unique unique_consecutive norm
    """
)
BINARY = words(
    """
    add sub mul div true_divide eq ne lt le gt ge maximum minimum fmax fmin fmod remainder floor_divide pow atan2
    copysign hypot logaddexp logical_and logical_or logical_xor xlogy isclose allclose kron
    """
)
ALONG = words(
    """
    amax amin argmax argmin all any cumsum cumprod cummax logcumsumexp logsumexp mean sum nansum nanmean prod
    softmax log_softmax max min median mode sort argsort std var std_mean var_mean diff unbind unsqueeze squeeze
    count_nonzero trapezoid cumulative_trapezoid quantile
    """
)
ACTIVATIONS = words(
    """
    celu elu gelu hardshrink hardsigmoid hardswish hardtanh leaky_relu logsigmoid mish relu relu6 rrelu selu silu
    softplus softshrink softsign tanhshrink
    """
)
PAIRS = ["l1_loss", "mse_loss", "smooth_l1_loss", "huber_loss", "poisson_nll_loss", "kl_div"]

CASES = """
L.addmm(x(2,4), x(2,3), x(3,4), beta=0.5, alpha=2)
L.baddbmm(x(2,2,4), x(2,2,3), x(2,3,4), beta=0.5, alpha=2)
L.bmm(x(2,2,3), x(2,3,4))
L.matmul(x(2,1,2,3), x(3,3,4))
L.mv(x(2,3), x(3))
L.dot(x(3), x(3))
L.inner(x(2,3), x(4,3))
L.outer(x(2), x(3))
L.tensordot(x(2,3,4), x(3,4,5), dims=2)
L.tensordot(x(2,3,4), x(4,3,5), dims=([1,2],[1,0]))
L.einsum('...ij,...jk->...ik', x(2,2,3), x(1,3,4))
L.einsum('ii->i', x(3,3))
L.trace(x(3,4))
L.cdist(x(2,3,4), x(2,5,4), p=1.0)
L.corrcoef(x(3,5))
L.cov(x(3,5), correction=0)
L.block_diag(x(2,3), x(1,2))
L.cartesian_prod(x(2), x(3))
L.cat([x(2,3), x(1,3)], 0)
L.stack([x(2,3), x(2,3)], -1)
L.hstack([x(2,3), x(2,1)])
L.vstack([x(3), x(2,3)])
L.dstack([x(2,3), x(2,3)])
L.column_stack([x(2), x(2,3)])
L.chunk(x(5,3), 2, 0)
L.split(x(5,3), [2,3])
L.meshgrid(x(2), x(3), indexing='xy')
L.broadcast_to(x(1,3), (4,3))
x(1,3).expand(4,-1)
L.clamp(x(3,4), -0.5, 0.5)
L.clamp_max(x(3,4), 0.5)
L.clamp_min(x(3,4), 0.5)
L.diag(x(3,4), 1)
L.diagonal(x(2,3,4), 1, 0, 2)
L.flip(x(2,3), (0,1))
L.roll(x(2,3), 1)
L.movedim(x(2,3,4), (0,1), (1,2))
L.narrow(x(4,3), 0, 1, 2)
L.permute(x(2,3,4), (2,0,1))
L.swapaxes(x(2,3,4), 0, 2)
L.t(x(2,3))
L.transpose(x(2,3), 0, 1)
L.reshape(x(2,6), (3,-1))
L.unflatten(x(2,6), 1, (2,3))
L.tile(x(2,3), (2,1,2))
x(2,3).repeat(2,1,2)
L.repeat_interleave(x(2,3), 2, dim=1)
L.tril(x(3,4), -1)
L.triu(x(3,4), 1)
L.select(x(2,3), 1, 2)
L.gather(x(3,4), 1, i(4,3,2))
L.take_along_dim(x(3,4), i(3,1,4), 0)
L.take(x(3,4), i(12,5))
L.index_select(x(3,4), 1, i(4,5))
L.index_add(x(3,4), 0, i(3,2), x(2,4), alpha=2)
L.scatter(x(3,4), 0, i(3,1,4), x(3,4))
L.scatter(x(3,4), 0, i(3,3,4), x(3,4), reduce='add')
L.scatter_add(x(3,4), 1, i(4,3,4), x(3,4))
L.masked_fill(x(3,4), b(3,4), 2)
L.masked_select(x(3,4), b(3,4))
L.where(b(3,4), x(3,4), x(4))
L.lerp(x(3,4), x(4), 0.3)
L.heaviside(x(3,4), x(3,4))
L.isin(x(3,4), x(3,4))
L.bincount(i(5,9), minlength=7)
L.bitwise_and(i(9,4), i(9,4))
L.bitwise_or(i(9,4), i(9,4))
L.bitwise_xor(i(9,4), i(9,4))
L.bitwise_not(i(9,4))
L.bucketize(x(3,4), L.msort(x(5)), right=True)
L.searchsorted(L.msort(x(5)), x(3,4), side='right')
L.histc(x(20), bins=4, min=-1, max=1)
L.topk(x(3,5), 2, largest=False)
L.arange(1, 5, 2)
L.linspace(0, 1, 5)
L.eye(2, 3)
L.full((2,3), 2)
L.full_like(x(2,3), 2)
L.zeros(2, 3)
L.ones(2, 3)
L.tril_indices(3, 4, 1)
L.triu_indices(3, 4, 1)
x(2,3).contiguous().view(3,2)
F.linear(x(2,3), x(4,3), x(4))
F.bilinear(x(2,3), x(2,4), x(5,3,4), x(5))
F.conv1d(x(2,4,7), x(6,2,3), x(6), stride=2, padding=1, groups=2)
F.conv2d(x(2,3,6,7), x(4,3,3,2), x(4), padding='same', dilation=2)
F.conv3d(x(1,2,4,5,4), x(3,2,2,3,2), padding=1)
F.conv_transpose1d(x(2,4,5), x(4,3,3), x(3), stride=2, padding=1, output_padding=1)
F.conv_transpose2d(x(1,4,3,4), x(4,2,3,2), groups=2, dilation=2)
F.conv_transpose3d(x(1,2,3,3,2), x(2,3,2,2,2), stride=2)
F.avg_pool1d(x(2,3,7), 3, 2, 1, ceil_mode=True, count_include_pad=False)
F.avg_pool2d(x(2,3,7,6), (3,2), 2, 1, divisor_override=5)
F.avg_pool3d(x(1,2,5,4,6), 2, ceil_mode=True)
F.max_pool1d(x(2,3,9), 3, 2, 1, 2, ceil_mode=True)
F.max_pool2d(x(2,3,7,6), 3, 2, 1, return_indices=True)
F.max_pool3d(x(1,2,5,4,6), 2, return_indices=True)
F.max_unpool2d(*F.max_pool2d(x(2,3,6,6), 2, return_indices=True), 2)
F.adaptive_avg_pool1d(x(2,3,7), 3)
F.adaptive_avg_pool2d(x(2,3,7,5), (3,None))
F.adaptive_avg_pool3d(x(1,2,5,4,6), 3)
F.adaptive_max_pool1d(x(2,3,7), 3, return_indices=True)
F.adaptive_max_pool2d(x(2,3,7,5), (3,2), return_indices=True)
F.batch_norm(x(4,3,5), x(3), p(3), x(3), x(3), training=True)
F.batch_norm(x(4,3,5), x(3), p(3), x(3), x(3))
F.group_norm(x(2,4,5), 2, x(4), x(4))
F.instance_norm(x(2,3,5), weight=x(3), bias=x(3))
F.layer_norm(x(2,3,5), (3,5), x(3,5), x(3,5))
F.rms_norm(x(2,5), (5,), x(5))
F.local_response_norm(x(2,5,4), 3)
F.normalize(x(3,4), p=1.0, dim=0)
F.cosine_similarity(x(3,4), x(3,4))
F.pairwise_distance(x(3,4), x(3,4), p=3.0, keepdim=True)
F.binary_cross_entropy(p(3,4), p(3,4), p(3,4))
F.binary_cross_entropy_with_logits(x(3,4), p(3,4), pos_weight=p(4))
F.cosine_embedding_loss(x(3,4), x(3,4), 2*i(2,3)-1, margin=0.2)
F.cross_entropy(x(3,5,2), i(5,3,2), label_smoothing=0.1, weight=p(5), ignore_index=1)
F.cross_entropy(x(3,5), F.softmax(x(3,5), 1))
F.ctc_loss(L.log_softmax(x(6,2,4), -1), 1+i(3,2,2), L.tensor([6,5]), L.tensor([2,1]))
F.gaussian_nll_loss(x(3,4), x(3,4), p(3,4), full=True)
F.hinge_embedding_loss(x(3,4), 2*i(2,3,4)-1)
F.margin_ranking_loss(x(4), x(4), 2*i(2,4)-1, margin=0.1)
F.multi_margin_loss(x(3,5), i(5,3), p=2)
F.multilabel_soft_margin_loss(x(3,4), i(2,3,4), p(4))
F.nll_loss(x(3,5,2), i(5,3,2), p(5), reduction='none')
F.soft_margin_loss(x(3,4), 2*i(2,3,4)-1)
F.triplet_margin_loss(x(3,4), x(3,4), x(3,4), swap=True)
F.embedding(i(5,2,3), x(5,4), padding_idx=1)
F.embedding_bag(i(5,3,2), x(5,4), mode='max')
F.embedding_bag(i(5,6), x(5,4), L.tensor([0,2,2]), mode='sum')
F.fold(x(1,8,6), (3,4), 2)
F.unfold(x(1,2,4,5), (2,3), padding=1)
F.glu(x(3,4), 0 - 1)
F.prelu(x(2,3,4), x(3))
F.softmin(x(3,4), 0)
F.threshold(x(3,4), 0.1, 5)
F.one_hot(i(4,5), 6)
F.pad(x(2,3,4,5), (1,2,-1,1))
F.pad(x(2,3,4,5), (1,2,2,1), mode='reflect')
F.pad(x(2,3,4,5), (1,2,2,1), mode='replicate')
F.pad(x(2,3,4,5), (1,2,2,1), mode='circular')
F.pixel_shuffle(x(1,8,2,3), 2)
F.pixel_unshuffle(x(1,2,4,6), 2)
F.channel_shuffle(x(1,6,2,3), 3)
F.interpolate(x(1,2,5), scale_factor=1.7, mode='linear')
F.interpolate(x(1,2,4,5), size=(7,3), mode='bicubic', align_corners=True)
F.interpolate(x(1,2,4,5), size=(7,3), mode='area')
F.interpolate(x(1,2,4,5), scale_factor=(1.5,2.0), mode='bilinear', recompute_scale_factor=True)
F.interpolate(x(1,2,3,4,5), size=(2,6,3), mode='trilinear')
F.interpolate(x(1,2,4,5), size=(7,3), mode='nearest-exact')
F.grid_sample(x(1,2,4,5), x(1,3,3,2), padding_mode='reflection', align_corners=False)
F.grid_sample(x(1,2,4,5), x(1,3,3,2), mode='bicubic', padding_mode='border', align_corners=True)
F.grid_sample(x(1,2,3,4,5), x(1,2,3,3,3), align_corners=False)
F.scaled_dot_product_attention(x(1,4,3,8), x(1,2,5,8), x(1,2,5,8), enable_gqa=True)
F.scaled_dot_product_attention(x(1,2,5,8), x(1,2,5,8), x(1,2,5,8), is_causal=True, scale=0.3)
F.alpha_dropout(x(3,4), training=False)
F.dropout(x(3,4), training=False)
F.dropout2d(x(1,3,4,4), training=False)
F.feature_alpha_dropout(x(1,3,4,4), training=False)
""".strip().splitlines()
CASES += [f"L.{n}(x{s})" for n in UNARY for s in ("(3,4)", "()") if (n, s) != ("diff", "()")]
CASES += [f"L.{n}(x(3,4), x(4))" for n in BINARY]
CASES += [f"L.{n}(x(3,4), {'0.3, ' if n == 'quantile' else ''}dim=1)" for n in ALONG]
CASES += [f"F.{n}(x(3,4))" for n in ACTIVATIONS] + [f"F.{n}(x(3,4), p(3,4), reduction='sum')" for n in PAIRS]

# Names whose results are random or not written: held to shape, dtype and range below.
RANDOM = ["bernoulli", "multinomial", "normal", "rand", "randint", "randn", "randperm", "empty", "empty_like"]
# (start of the case, what is tested) -> why it differs; the same rows stand in docs/differences.md.
WHOLE = ("int64", "int32", "uint8", "bool")
DIFFERENCES = {
    ("F.batch_norm", ("expanded",)): "running statistics that share an element are refused",
    ("L.digamma", ("gradient",)): "PyTorch's trigamma is off by 5e-10; ours by 3e-16",
    ("F.hardsigmoid", ("gradient",)): "PyTorch rounds 1/6 to float32",
}


def differs(case, *tested):
    return any(case.startswith(start) and set(kinds) & set(tested) for start, kinds in DIFFERENCES)


def call(lib, case, dtype, layout, grad=False):
    """The results of a case, flattened, and the gradients of its floating inputs if asked."""
    random, leaves = np.random.default_rng(3), []

    def made(values, kind, leaf=False):
        if layout == "strided" and values.ndim:
            y = lib.tensor(np.repeat(values, 2, -1)).to(getattr(lib, kind))
            y = y.requires_grad_() if leaf and grad else y
            leaves.append(y) if leaf else None
            return y[..., ::2]
        if layout == "expanded" and values.ndim and values.shape[0] > 1 and leaf:
            y = lib.tensor(values[:1].copy()).to(getattr(lib, kind))
            y = y.requires_grad_() if grad else y
            leaves.append(y)
            return y.expand(*values.shape)
        y = lib.tensor(np.asarray(values)).to(getattr(lib, kind))
        y = y.requires_grad_() if leaf and grad else y
        leaves.append(y) if leaf else None
        return y

    scale = 1 if dtype in FLOATS else 5
    page = {
        "L": lib,
        "F": lib.nn.functional,
        "x": lambda *s: made(np.asarray(random.normal(size=s) * scale), dtype, True),
        "p": lambda *s: made(np.asarray(random.uniform(0.1, 0.9, s)), dtype if dtype in FLOATS else "float32"),
        "i": lambda n, *s: made(np.asarray(random.integers(0, n, s)), "int64"),
        "b": lambda *s: made(np.asarray(random.integers(0, 2, s)), "bool"),
    }
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            y = eval(case, page)
            ys = list(y) if isinstance(y, (tuple, list)) else [y]
            if grad:
                ys = [y for y in ys if hasattr(y, "requires_grad") and y.requires_grad]
                for y in ys:
                    y.sum().backward(retain_graph=True)
                zero = [lib.zeros_like(x) if x.grad is None else x.grad for x in leaves]
                ys = zero
    except Exception as e:
        return e
    return ys


def compare(case, dtype, layout, grad=False):
    """None, or what differs. What PyTorch refuses (a dtype, a layout) is no question."""
    theirs = call(torch, case, dtype, layout, grad)
    if isinstance(theirs, Exception):
        return None
    mine = call(mi, case, dtype, layout, grad)
    if isinstance(mine, Exception):
        return f"{type(mine).__name__}: {mine}"
    if len(mine) != len(theirs):
        return f"{len(mine)} results, PyTorch {len(theirs)}"
    for a, b in zip(mine, theirs):
        if isinstance(b, (bool, int, float)):
            if a != b:
                return f"{a}, PyTorch {b}"
            continue
        kind = str(b.dtype).split(".")[1]
        if str(a.dtype).split(".")[1] != kind or tuple(a.shape) != tuple(b.shape):
            return f"{a.dtype} {tuple(a.shape)}, PyTorch {b.dtype} {tuple(b.shape)}"
        relative = 32 * tolerance(kind) if kind in FLOATS else 0
        u, v = np.array(a.detach().to(mi.float64)), b.detach().to(torch.float64).numpy(force=True)
        if not np.allclose(u, v, rtol=relative, atol=relative, equal_nan=True):
            return f"off by {np.nanmax(np.abs(u - v))}"
    return None


def test_every_name_exists_and_stands_in_the_table():
    assert (len(NAMES), len(FUNCTIONAL)) == (216, 87)
    assert [n for n in NAMES if not hasattr(mi, n)] == []
    assert [n for n in NAMES if hasattr(torch.Tensor, n) and not hasattr(mi.Tensor, n)] == []
    assert [n for n in FUNCTIONAL if not hasattr(mi.nn.functional, n)] == []
    called = set(re.findall(r"(?:L|F|\))\.(\w+)\(", "\n".join(CASES))) | set(RANDOM)
    assert sorted(set(NAMES + FUNCTIONAL) - called) == []


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16", "int64", "int32", "uint8", "bool"])
def test_values(dtype):
    layouts = LAYOUTS if dtype in ("float32", "int64") else LAYOUTS[:1]
    found = [(c, w, compare(c, dtype, w)) for c in CASES for w in layouts if not differs(c, dtype, w)]
    assert [f for f in found if f[2]] == []


@pytest.mark.parametrize("layout", LAYOUTS)
def test_gradients(layout):
    found = [(c, compare(c, "float64", layout, grad=True)) for c in CASES if not differs(c, layout, "gradient")]
    assert [f for f in found if f[1]] == []


def test_every_case_is_one_that_pytorch_accepts():
    """A case that PyTorch refuses would compare nothing."""
    refused = [
        c for c in CASES if all(isinstance(call(torch, c, d, LAYOUTS[0]), Exception) for d in ("float32", "int64"))
    ]
    assert refused == []


@pytest.mark.parametrize(
    "case, low, high, mean",
    [
        ("L.rand(40, 50)", 0, 1, 0.5),
        ("L.randn(40, 50)", -6, 6, 0),
        ("L.randint(2, 7, (40, 50))", 2, 6, 4),
        ("L.randperm(99)", 0, 98, 49),
        ("L.normal(1.0, 2.0, (40, 50))", -11, 13, 1),
        ("L.bernoulli(L.full((40, 50), 0.25))", 0, 1, 0.25),
        ("L.multinomial(L.ones(2, 4), 1000, replacement=True)", 0, 3, 1.5),
        ("F.dropout(L.ones(40, 50), 0.5)", 0, 2, 1),
    ],
)
def test_random(case, low, high, mean):
    mi.manual_seed(0)
    (mine,), (theirs,) = call(mi, case, "float32", LAYOUTS[0]), call(torch, case, "float32", LAYOUTS[0])
    assert (str(mine.dtype)[8:], tuple(mine.shape)) == (str(theirs.dtype)[6:], tuple(theirs.shape))
    values = np.array(mine.to(mi.float64))
    assert values.min() >= low and values.max() <= high
    assert abs(values.mean() - mean) < 0.05 * (high - low)


def test_empty_has_shape_and_dtype():
    for case in ("L.empty(2, 0, 3)", "L.empty((2, 3), dtype=L.int32)", "L.empty_like(x(2, 3))"):
        (mine,), (theirs,) = call(mi, case, "float16", LAYOUTS[0]), call(torch, case, "float16", LAYOUTS[0])
        assert (str(mine.dtype)[8:], tuple(mine.shape)) == (str(theirs.dtype)[6:], tuple(theirs.shape))
