"""The functional page beside PyTorch: keywords, shapes, dtypes, layouts, NaN and infinities, first and second
gradients, and the kinds of errors. One table of calls a family; every call is made in each of CONTEXTS.

A call is Python text: `F` is the functional page, `L` the library, `D` the dtype under test. Tensors are made by
  x(2, 3)    normal numbers of dtype D, of which gradients are asked; u(2, 3): between -1.2 and 1.2,
             p(2, 3): between 0 and 1, tied(2, 3): of -1, 0 and 1
  c(2, 3)    normal numbers without gradient; q(2, 3): between 0 and 1, without
  i(5, 2, 3) int64 below 5; b(2, 3) bool; s(2, 3) of 1 and -1; t([1, 2]) these numbers
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

# dtype, memory, what stands among the first input's numbers, order of the gradient (0: the results)
CONTEXTS = [(d, "contiguous", "", 0) for d in (*FLOATS, "int64", "int32", "uint8", "bool")]
CONTEXTS += [("float32", m, "", 0) for m in ("strided", "transposed", "expanded", "channels last")]
CONTEXTS += [("float64", m, "", 1) for m in ("contiguous", "strided", "expanded", "channels last")]
CONTEXTS += [("float32", "contiguous", v, 0) for v in ("nan", "inf", "-inf")]
CONTEXTS += [("float64", "contiguous", "", 2), ("float16", "contiguous", "", 1)]


class Calls:
    """What a call's names mean for one library and context."""

    def __init__(self, lib, dtype, memory="contiguous", among="", order=0):
        self.lib, self.dtype, self.memory, self.among, self.order = lib, dtype, memory, among, order
        self.random, self.leaves = np.random.default_rng(3), []

    def made(self, values, dtype, leaf=False):
        values = np.asarray(values)
        if leaf and self.among and not self.leaves and dtype in FLOATS and values.size:
            values = values.copy()
            values.reshape(-1)[self.random.integers(0, values.size, 1 + values.size // 7)] = float(self.among)
        if self.memory == "strided" and values.ndim:
            return self.stored(np.repeat(values, 2, -1), dtype, leaf)[..., ::2]
        if self.memory == "expanded" and values.ndim and values.shape[0] > 1 and leaf:
            return self.stored(values[:1], dtype, leaf).expand(*values.shape)
        if self.memory == "transposed" and values.ndim > 1:
            return self.stored(np.moveaxis(values, -1, 0), dtype, leaf).movedim(0, -1)
        if self.memory == "channels last" and values.ndim in (4, 5):
            return self.stored(np.moveaxis(values, 1, -1), dtype, leaf).movedim(-1, 1)
        return self.stored(values, dtype, leaf)

    def stored(self, values, dtype, leaf):
        y = self.lib.tensor(np.array(values, order="C")).to(getattr(self.lib, dtype))
        if leaf:
            y = y.requires_grad_() if self.order and dtype in FLOATS else y
            self.leaves.append(y)
        return y

    def names(self):
        d, floating = self.dtype, self.dtype if self.dtype in FLOATS else "float32"
        scale = 1 if d in FLOATS else 5
        normal, uniform, whole = self.random.normal, self.random.uniform, self.random.integers
        return {
            "L": self.lib, "F": self.lib.nn.functional, "D": getattr(self.lib, d), "inf": np.inf,
            "x": lambda *n: self.made(normal(size=n) * scale, d, True),
            "u": lambda *n: self.made(uniform(-1.2, 1.2, n) * scale, d, True),
            "p": lambda *n: self.made(uniform(0.1, 0.9, n), floating, True),
            "tied": lambda *n: self.made(whole(-1, 2, n), d, True),
            "c": lambda *n: self.made(normal(size=n) * scale, d),
            "q": lambda *n: self.made(uniform(0.1, 0.9, n), floating),
            "i": lambda k, *n: self.made(whole(0, k, n), "int64"),
            "b": lambda *n: self.made(whole(0, 2, n), "bool"),
            "s": lambda *n: self.made(whole(0, 2, n) * 2 - 1, "int64"),
            "t": self.lib.tensor,
        }  # fmt: skip

    def weighted(self, ys):
        """The sum of ys with fixed weights, so that no gradient is 0 by symmetry."""
        total = 0.0
        for y in ys:
            w = np.random.default_rng(y.numel()).normal(size=tuple(y.shape))
            total = total + (y * self.lib.tensor(w).to(y.dtype)).sum()
        return total

    def results(self, text):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            y = eval(text, self.names())
            ys = list(y) if isinstance(y, (tuple, list)) else [y]
            leaves = [x for x in self.leaves if x.requires_grad]
            tracked = [y for y in ys if y.requires_grad]
            if not self.order or not tracked:
                return ys
            grad = self.lib.autograd.grad
            gs = grad(self.weighted(tracked), leaves, create_graph=self.order == 2, allow_unused=True)
            if self.order == 2:  # where the gradients depend on nothing, theirs are 0
                tracked = [g for g in gs if g is not None and g.requires_grad]
                gs = grad(self.weighted(tracked), leaves, allow_unused=True) if tracked else [None] * len(leaves)
            return [self.lib.zeros_like(x) if g is None else g for g, x in zip(gs, leaves)]


def attempt(lib, text, *context):
    try:
        return Calls(lib, *context).results(text)
    except Exception as e:
        return e


def unlike(mine, theirs):
    kind = str(theirs.dtype).split(".")[1]
    if (str(mine.dtype).split(".")[1], mine.shape) != (kind, tuple(theirs.shape)):
        return f"{mine.dtype} {mine.shape}, PyTorch {theirs.dtype} {tuple(theirs.shape)}"
    u, v = mine.detach().to(mi.float64).numpy(), theirs.detach().to(torch.float64).numpy(force=True)
    if kind not in FLOATS:
        return None if np.array_equal(u, v) else f"{u}, PyTorch {v}"
    # Sums of up to a few dozen terms of order 1, in another order: relative to the largest.
    near = 32 * tolerance(kind)
    top = np.max(np.abs(v[np.isfinite(v)]), initial=1.0)
    return None if np.allclose(u, v, near, near * top, equal_nan=True) else f"{u}, PyTorch {v}"


def difference(text, *context):
    """None, or how our answer differs. What PyTorch refuses (a dtype, a memory format) is asked under ERRORS only."""
    theirs = attempt(torch, text, *context)
    if isinstance(theirs, Exception):
        return None
    mine = attempt(mi, text, *context)
    if isinstance(mine, Exception):
        return f"{type(mine).__name__}: {mine}"
    return next((d for d in map(unlike, mine, theirs) if d), None if len(mine) == len(theirs) else "another number")


def lines(text, **choices):
    """The lines of text, once for each value of each {name} in them."""
    calls = [line.strip() for line in text.strip().splitlines()]
    for name, values in choices.items():
        calls = [c.replace("{" + name + "}", v) for c in calls for v in (values if "{" + name + "}" in c else [""])]
    return calls


CONV = lines("""
    F.conv1d(x(2,4,7), c(6,2,3), x(6), stride=2, padding=1, groups=2)
    F.conv1d(x(4,8), c(6,4,4), x(6), padding='same', dilation=2)
    F.conv1d(x(2,4,8), c(6,4,3), None, (2,), [1], (2,), 1)
    F.conv1d(x(0,4,8), c(6,4,3), x(6))
    F.conv2d(x(2,3,6,7), c(4,3,3,2), x(4), padding='same', dilation=(2,1))
    F.conv2d(x(3,6,7), c(4,3,3,2), stride=(2,1), padding=(1,0))
    F.conv2d(x(2,4,6,7), c(8,1,3,3), x(8), 1, 'valid', 1, 4)
    F.conv3d(x(2,4,5,4), c(4,1,2,3,2), x(4), padding=(1,0,1), groups=2, stride=(1,2,1))
    F.conv3d(x(1,2,4,5,4), x(3,2,2,3,3), x(3), padding='same', dilation=(1,2,1))
    F.conv_transpose1d(x(2,4,5), c(4,3,3), x(6), 2, 1, 0, 2, 2)
    F.conv_transpose2d(x(2,4,3,4), c(4,2,3,2), x(2), stride=(2,3), padding=(1,0), output_padding=(1,2))
    F.conv_transpose2d(x(4,3,4), x(4,1,3,2), x(4), groups=4, stride=2, output_padding=1)
    F.conv_transpose3d(x(2,3,3,2), c(2,3,2,2,2), x(3), stride=2, padding=1, output_padding=1)
    F.conv_transpose2d(x(0,4,3,4), c(4,2,3,2), x(2))
    F.linear(x(2,1,3), x(4,3), x(4))
    F.linear(x(2,3), x(4,3), x(2,4))
    F.linear(x(3), x(3))
    F.bilinear(x(2,6,3), x(2,6,4), x(5,3,4), x(5))
""")
POOL = lines("""
    F.max_pool1d({k}(2,3,9), 3, 2, 1, 2, ceil_mode=True, return_indices=True)
    F.max_pool2d({k}(3,7,6), (3,2), (2,1), (1,0), (2,1), True, True)
    F.max_pool3d({k}(1,2,5,4,6), 2, return_indices=True)
    F.adaptive_max_pool1d({k}(3,7), 4, return_indices=True)
    F.adaptive_max_pool2d({k}(2,3,7,5), (None,9), return_indices=True)
    F.avg_pool1d({k}(3,7), (3,), (2,), (1,), True, False)
    F.avg_pool2d({k}(2,3,7,6), 3, 2, 1, {c})
    F.avg_pool2d({k}(2,3,8,8), 3, 4, 1, True, divisor_override=-2)
    F.avg_pool3d({k}(2,5,4,6), (3,2,1), 2, (1,1,0), True, True, 7)
    F.adaptive_avg_pool2d({k}(2,3,7,5), [9,None])
    F.adaptive_avg_pool3d({k}(2,5,4,6), (2,None,1))
    F.max_pool2d({k}(0,3,7,6), 3)
    F.adaptive_avg_pool2d({k}(2,3,7,6), 0)
    F.max_unpool2d(*F.max_pool2d(x(3,7,6), 2, return_indices=True), (2,2), None, 0, (7,6))
    F.unfold(x(2,2,6,7), (3,2), (2,1), (1,2), (2,3))
    F.fold(x(2,12,2), 4, (2,3), padding=(0,1), stride=2, dilation=(3,1))
    F.fold(x(8,6), (3,4), 2)
""", k=["x", "tied"], c=["True, True", "True, False", "False, True"])  # fmt: skip
IMAGE = lines("""
    F.interpolate(x(2,3,5), {to}, mode='{m1}')
    F.interpolate(x(2,3,4,5), {to}, mode='{m2}')
    F.interpolate(x(1,2,3,4,5), {to}, mode='{m3}')
    F.interpolate(x(2,3,4,5), {to}, mode='bi{c}', align_corners=True)
    F.interpolate(x(2,3,9,11), {to}, mode='bi{c}', antialias=True)
    F.interpolate(x(1,2,4,5), scale_factor=(1.3,0.7), mode='bi{c}', recompute_scale_factor=True)
    F.grid_sample(x(2,2,4,5), 3*u(2,3,4,2), '{g}', '{pad}', {ac})
    F.grid_sample(x(1,2,3,4,5), 2*u(1,2,3,3,3), 'bilinear', '{pad}', {ac})
    F.pad(x(2,3,4,5), (1,-2,-1,1), mode='{p}')
    F.pad(x(3,4,5,4), (1,2,2,1,3,1), mode='{p}')
    F.pad(x(3,5), (4,3), mode='{p}')
    F.pad(x(2,3,4), [1,2,-1,4], 'constant', 1.5)
    F.pad(x(5), (-2,-3))
    F.pixel_shuffle(x(2,3,8,2,3), 2)
    F.pixel_unshuffle(x(2,4,6), 2)
    F.channel_shuffle(x(2,6,2,3,2), 3)
""", to=["7", "2", "scale_factor=1.7", "scale_factor=0.6"], m1=["nearest", "nearest-exact", "linear", "area"],
    m2=["nearest", "nearest-exact", "bilinear", "bicubic", "area"], m3=["nearest", "trilinear", "area"],
    c=["linear", "cubic"], g=["bilinear", "nearest", "bicubic"], pad=["zeros", "border", "reflection"],
    ac=["True", "False"], p=["reflect", "replicate", "circular"])  # fmt: skip
NORM = lines("""
    F.batch_norm(x(4,3,5,2), c(3), q(3), x(3), x(3))
    F.batch_norm(x(4,3), c(3), q(3), x(3), x(3), True, 0.3, 1e-3)
    (lambda m, v: (F.batch_norm(x(4,3,5), m[::2], v[::2], None, None, True, 0.25), m, v))(c(6), q(6))
    (lambda m, v: (F.instance_norm(x(4,3,5), m[::2], v[::2], None, None, True, 0.25), m, v))(c(6), q(6))
    F.instance_norm(x(2,3,5), c(3), q(3), use_input_stats=False)
    F.group_norm(x(2,4,3,2), 2, x(4), x(4), 0.1)
    F.layer_norm(x(2,3,5), [3,5], x(3,5), x(3,5))
    F.rms_norm(x(2,3,5), [3,5], x(3,5), 1e-3)
    F.local_response_norm(x(2,5,4), 2, 0.1, 0.5, 2.0)
    F.local_response_norm(x(2,5,4,3), 9, alpha=1e-2)
    F.normalize(x(3,4), 3, -1, 0.5)
    F.normalize(x(2,3,4), dim=(1,2))
    F.softmax(x{n})
    F.log_softmax(x{n})
    F.softmin(x{n}, _stacklevel=2)
    F.softmax(x(3,4), 0, dtype=L.float64)
    F.cosine_similarity(x(2,3,4), x(4), dim=2)
    F.pairwise_distance(x(3,4), x(1,4), inf, 0.1, True)
""", n=["()", "(5)", "(3,4)", "(2,3,4)", "(2,3,2,2)"])  # fmt: skip
LOSS = lines("""
    F.l1_loss(x(3,4), x(3,4), reduction='{r}')
    F.mse_loss(x(3,1), x(3,4), reduction='{r}')
    F.smooth_l1_loss(x(3,4), x(3,4), beta=0.3, reduction='{r}')
    F.huber_loss(tied(3,4), tied(3,4), delta=1.0, reduction='{r}')
    F.kl_div(x(3,4), p(3,4), reduction='{r}')
    F.poisson_nll_loss(p(3,4), 5*q(3,4), False, True, reduction='{r}')
    F.binary_cross_entropy_with_logits(x(3,4), p(3,4), q(4), pos_weight=q(4), reduction='{r}')
    F.cosine_embedding_loss(x(3,4), x(3,4), s(3), margin=0.2, reduction='{r}')
    F.gaussian_nll_loss(x(3,4), x(3,4), p(3,1), True, 0.4, '{r}')
    F.gaussian_nll_loss(x(3,4), x(3,4), 0.5, reduction='{r}')
    F.hinge_embedding_loss(x(3,4), s(3,4), 0.3, reduction='{r}')
    F.margin_ranking_loss(tied(4), tied(4), s(4), reduction='{r}')
    F.multi_margin_loss({k}(3,5), i(5,3), 2, 0.5, reduction='{r}')
    F.multi_margin_loss(tied(5), i(5), reduction='{r}')
    F.multilabel_margin_loss(tied(2,4), t([[0,2,-1,1],[-1,0,0,0]]), reduction='{r}')
    F.multilabel_soft_margin_loss(x(2,3,4), p(2,3,4), q(4), reduction='{r}')
    F.soft_margin_loss(x(3,4), s(3,4), reduction='{r}')
    F.triplet_margin_loss(x(3,4), x(3,4), x(1,4), 0.3, 1, swap=True, reduction='{r}')
    F.nll_loss(x(3,5,2), i(5,3,2), q(5), ignore_index=1, reduction='{r}')
    F.nll_loss(x(5), t([3]), reduction='{r}')
    F.nll_loss(x(3,5), i(5,3).to(L.uint8), reduction='{r}')
    F.cross_entropy(x(3,5), t([1,-100,2]), q(5), label_smoothing=0.1, reduction='{r}')
    F.cross_entropy(x(3,5,2), F.softmax(x(3,5,2), 1), q(5), label_smoothing=0.2, reduction='{r}')
    F.cross_entropy(x(0,5), i(5,0), reduction='{r}')
    F.ctc_loss(F.log_softmax(c(6,2,4), -1).detach() + 0*x(1), i(3,2,2)+1, (6,5), (2,1), reduction='{r}')
    F.ctc_loss(F.log_softmax(x(2,2,4), -1), i(3,2,3)+1, t([2,2]), t([3,1]), 0, '{r}', True)
""", r=["none", "mean", "sum"], k=["x", "tied"])  # fmt: skip
REST = lines("""
    F.scaled_dot_product_attention(x(2,4,3,8), x(2,2,5,8), x(2,2,5,6), b(3,5), enable_gqa=True)
    F.scaled_dot_product_attention(x(1,2,5,8), x(1,2,3,8), x(1,2,3,8), is_causal=True, scale=0.3)
    F.scaled_dot_product_attention(x(2,3,5,8), x(3,4,8), x(1,4,8), x(2,1,1,4))
    F.embedding(i(5,7), x(5,4), padding_idx=-3, scale_grad_by_freq=True)
    (lambda w: (F.embedding(t([1,1,3]), w, None, 0.5, 3.0), w))(c(5,4))
    F.embedding_bag(i(5,6), x(5,4), t([0,2,2]), mode='{bag}', padding_idx=1)
    F.embedding_bag(i(5,6), {k}(5,4), t([0,2,2,6]), mode='{bag}', include_last_offset=True)
    F.embedding_bag(i(5,3,2), x(5,4), mode='sum', per_sample_weights=x(3,2), padding_idx=2)
    F.one_hot(i(4,2,3), 5)
    F.dropout(x(3,4), 1.0)
    F.dropout2d(x(2,3,4,4)*1, 1.0, True, True)
    F.alpha_dropout(x(3,4), 1.0, True)
    F.feature_alpha_dropout(x(2,3,4), 1.0, True)
""", bag=["sum", "mean", "max"], k=["x", "tied"])  # fmt: skip

ERRORS = lines("""
    F.conv1d(x(2,4,7), x(6,3,3))
    F.conv1d(x(2,4), x(6,4))
    F.conv2d(x(2,3,6), x(4,3,3,3))
    F.conv2d(x(2,3,6,7), x(4,3,3))
    F.conv_transpose1d(x(2,4,5), x(4,3,3), x(4))
    F.conv_transpose1d(x(2,4,5), x(4,3,3), output_padding=-1)
    F.conv_transpose2d(x(2,4,5), x(4,3,3), stride=0)
    F.linear(x(2,3), x(4,2))
    F.linear(x(2,3), x(4,3), x(3))
    F.bilinear(x(2,3), x(2,4), x(5,3,3))
    F.bilinear(x(2,3), x(2,4), x(5,3,4), x(4))
    F.max_pool1d(x(2,3,9), 0)
    F.max_pool1d(x(2,3,9), 3, 0)
    F.max_pool2d(x(2,3,0,9), 3)
    F.max_pool2d(x(2,3,9,9), ())
    F.max_pool3d(x(2,3,2,9), 3)
    F.avg_pool1d(x(2,3,9), 0)
    F.avg_pool1d(x(2,3,9), 3, 1, 2)
    F.avg_pool2d(x(2,3,9,9), 3, 0)
    F.avg_pool2d(x(2,3,9,9), 3, 1, 2)
    F.adaptive_avg_pool1d(x(2,3,7), -1)
    F.adaptive_avg_pool1d(x(2,3,7), (1,2))
    F.adaptive_avg_pool2d(x(2,3,7,7), -1)
    F.adaptive_avg_pool2d(x(2,3,7,7), 1.5)
    F.adaptive_max_pool1d(x(2,3,7), -1)
    F.adaptive_max_pool1d(x(2,3,7), (1,2))
    F.adaptive_max_pool2d(x(2,3,7,7), (1,2,3))
    F.adaptive_max_pool2d(x(2,3,0,7), 2)
    F.max_unpool2d(x(2,3,2,2), i(16,2,3,2,2)+16, 2)
    F.max_unpool2d(x(2,3,2,2), i(4,2,3,2,2), 2, output_size=(4,))
    F.unfold(x(1,2,4,5), 6)
    F.unfold(x(1,2,4,5), 2, 0)
    F.fold(x(1,7,6), (3,4), 2)
    F.fold(x(1,2,8,6), (3,4), 2)
    F.interpolate(x(2,3,5))
    F.interpolate(x(2,3,5), (3,3))
    F.grid_sample(x(2,2,4,5), u(3,3,4,2))
    F.grid_sample(x(2,4,5), u(2,3,2))
    F.pixel_shuffle(x(1,7,2,3), 2)
    F.pixel_shuffle(x(1,8,2,3), 0)
    F.pixel_unshuffle(x(5,6), 2)
    F.channel_shuffle(x(1,6,2,3), 4)
    F.channel_shuffle(x(1,6,2,3), 0)
    F.pad(x(2,3), (1,))
    F.pad(x(2,3), 1)
    F.batch_norm(x(1,3), None, None, training=True)
    F.batch_norm(x(4,3), None, None)
    F.group_norm(x(2,4,5), 3)
    F.group_norm(x(4), 2)
    F.instance_norm(x(2,3))
    F.instance_norm(x(2,3,5), weight=x(2))
    F.layer_norm(x(2,5), ())
    F.layer_norm(x(2,5), (5,), x(1,5))
    F.rms_norm(x(2,5), (4,))
    F.rms_norm(x(2,5), (5,), x(4))
    F.local_response_norm(x(2,5,4), 0)
    F.local_response_norm(x(2,5,4), 2.0)
    F.normalize(x(3,4), dim=2)
    F.softmax(x(3,4), 2)
    F.softmax(x(3,4), 'a')
    F.log_softmax(x(3,4), 2)
    F.softmin(x(3,4), 2)
    F.cosine_similarity(x(3,4), x(3,4), 2)
    F.cosine_similarity(x(4), x(4))
    F.pairwise_distance(x(3,4), None)
    F.l1_loss(x(3,4), x(3,5))
    F.mse_loss(x(3,4), x(3,4), reduction='foo')
    F.smooth_l1_loss(x(3,4), x(3,4), beta=-1.0)
    F.huber_loss(x(3,4), x(3,4), delta=0)
    F.huber_loss(x(3,4), x(3,4), reduction='foo')
    F.kl_div(x(3,4), x(3,4), reduction='foo')
    F.poisson_nll_loss(x(3,4), x(3,4), reduction='foo')
    F.binary_cross_entropy(p(3,4), p(3,5))
    F.binary_cross_entropy(p(3,4), p(3,4), p(3))
    F.binary_cross_entropy_with_logits(x(3,4), p(4))
    F.binary_cross_entropy_with_logits(x(3,4), p(3,4), pos_weight=p(3))
    F.cosine_embedding_loss(x(3,4), x(3,4), s(4))
    F.cosine_embedding_loss(x(3,4), x(3,4), s(3,1))
    F.gaussian_nll_loss(x(3,4), x(3,4), -p(3,4))
    F.gaussian_nll_loss(x(3,4), x(3,4), p(4))
    F.hinge_embedding_loss(x(3,4), s(3,4), reduction='foo')
    F.margin_ranking_loss(x(4), x(5), s(4))
    F.multi_margin_loss(x(3,5), i(5,3), p=3)
    F.multi_margin_loss(x(3,5), i(5,3,1))
    F.multilabel_margin_loss(x(3,4), i(4,3,5))
    F.multilabel_margin_loss(x(2,3,4), i(4,2,3,4))
    F.multilabel_soft_margin_loss(x(3,4), p(3,5))
    F.multilabel_soft_margin_loss(x(), p())
    F.triplet_margin_loss(x(3,4), x(3,4), x(3,5))
    F.triplet_margin_loss(x(3,4), x(3,4), x(3,4), margin=0)
    F.nll_loss(x(3,5), i(5,4))
    F.nll_loss(x(3,5), i(5,3)-5)
    F.cross_entropy(x(3,5), i(5,4))
    F.cross_entropy(x(3,5), i(5,3)-5)
    F.ctc_loss(F.log_softmax(x(6,2,4), -1), 1+i(3,2,2), t([6]), t([2,1]))
    F.ctc_loss(F.log_softmax(x(6,2,4), -1), 1+i(3,2,2), t([7,5]), t([2,1]))
    F.scaled_dot_product_attention(x(1,2,5,8), x(1,2,4,7), x(1,2,4,8))
    F.scaled_dot_product_attention(x(1,4,5,8), x(1,3,4,8), x(1,3,4,8), enable_gqa=True)
    F.embedding(i(5,3)+5, x(5,4))
    F.embedding(i(5,3), x(5,4), padding_idx=5)
    F.embedding_bag(i(5,3,2)+5, x(5,4))
    F.embedding_bag(i(5,3,2), x(5,4), t([0]))
    F.one_hot(i(4,5)-3, 6)
    F.one_hot(i(4,0))
    F.dropout(x(3,4), -0.5)
    F.dropout(x(3,4), 'a')
    F.alpha_dropout(x(3,4), 1.5)
    F.dropout1d(x(3), 1.0)
    F.dropout2d(x(3,4), -1.0)
    F.feature_alpha_dropout(x(3), 0.5, True)
""")

# (what the call starts with or has in it, the context, why): see docs/differences.md. Where nothing is said of PyTorch
# it gives NaN where the mathematical result exists, or the other way round.
KNOWN = [
    (r"scaled_dot", "nan|inf", "a NaN among the scores stays one; what is masked is not multiplied"),
    (r"batch_norm.*\[::2\]", "expanded", "statistics that are one element are refused"),
    (r"batch_norm.*True", "inf", "an infinite batch: the running mean is NaN, not infinite"),
    (r"antialias", "inf|nan", "they meet weights of 0 in another order"),
    (r"grid_sample.*'bi", "float16", "PyTorch rounds coordinates to the half; the pixel below may be another"),
    (r"soft_margin", "-inf|inf", "PyTorch: exp(-t x) / (1 + exp(-t x)) is NaN where it is infinite"),
    (r"bicubic|bilinear|linear", "inf", "an axis that keeps its size keeps its infinities"),
    (r"cross_entropy.*-100", "inf", "the weights of smoothed labels meet infinities in another order"),
    (r"^F.conv.*\(0,", "bool", "no convolutions of bools, not even empty ones"),
    (r"max_unpool|grid_sample|pool2d.*, 0\)|adaptive", "int64|int32|uint8|bool", "empty integer results"),
]


def known(call, context):
    return any(re.search(c, call) and re.search(w, f"{context}") for c, w, _ in KNOWN)


# The plain activations stand in the audit of elementwise functions.
ACTIVATIONS = """
    celu elu gelu glu hardshrink hardsigmoid hardswish hardtanh leaky_relu logsigmoid mish prelu relu relu6 rrelu selu
    silu softplus softshrink softsign tanhshrink threshold
"""


@pytest.mark.parametrize("family", ["CONV", "POOL", "IMAGE", "NORM", "LOSS", "REST"])
def test_calls(family):
    found, asked = [], 0
    for call in globals()[family]:
        for context in CONTEXTS:
            if not known(call, context):
                asked += 1
                found.append((call, context, difference(call, *context)))
    found = [f for f in found if f[2]]
    assert asked > 200 and found == []


def test_errors():
    """What PyTorch refuses is refused with its kind of exception; a NotImplementedError is a RuntimeError, too."""
    found = []
    for call in ERRORS:
        theirs, mine = attempt(torch, call, "float32"), attempt(mi, call, "float32")
        kind = RuntimeError if isinstance(theirs, RuntimeError) else type(theirs)
        found += [] if isinstance(mine, kind) else [(call, theirs, mine)]
    assert len(ERRORS) > 80 and found == []


def test_every_name_is_called():
    names = re.split(r"#.*\n", (Path(__file__).parents[1] / "names.txt").read_text())[2].split()
    tables = [*CONV, *POOL, *IMAGE, *NORM, *LOSS, *REST, *ERRORS]
    called = set(re.findall(r"F\.(\w+)\(", "\n".join(tables)))
    assert sorted(set(names) - called - set(ACTIVATIONS.split())) == []


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_bytes_are_resized_to_the_bit(channels):
    x = np.random.default_rng(channels).integers(0, 256, (2, channels, 9, 11)).astype(np.uint8)
    for call in lines("""
        F.interpolate(t, {to}, mode='{m}', antialias={aa}, align_corners={ac})
    """, to=["(17,3)", "(4,30)", "(9,7)", "scale_factor=1.7", "scale_factor=(0.6,2.2)"], m=["bilinear", "bicubic"],
        aa=["True", "False"], ac=["True", "False"]):  # fmt: skip
        ys = [eval(call, {"F": lib.nn.functional, "t": lib.tensor(x)}).numpy() for lib in (mi, torch)]
        assert np.array_equal(*ys), call


@pytest.mark.parametrize(
    "call, shared",
    [
        ("F.dropout(t, 0.3)", ()),
        ("F.dropout2d(t, 0.3)", (2, 3)),
        ("F.alpha_dropout(t, 0.3, True)", ()),
        ("F.feature_alpha_dropout(t, 0.3, True)", (2, 3)),
    ],
)
def test_dropped_share_and_moments(call, shared):
    """Of ones: two values, in the ratio p, whole channels where it says so; of normals: mean 0, PyTorch's variance."""
    mi.manual_seed(0)
    torch.manual_seed(0)
    ones = eval(call, {"F": mi.nn.functional, "t": mi.ones(100, 50, 2, 2)}).numpy()
    low = ones == ones.min()
    draws = low.size // (4 if shared else 1)
    assert abs(low.mean() - 0.3) < 4 * (0.3 * 0.7 / draws) ** 0.5 and len(np.unique(ones)) == 2
    assert not shared or (low == low[:, :, :1, :1]).all()
    normal = np.random.default_rng(0).normal(size=(100, 50, 2, 2))
    mine, theirs = (eval(call, {"F": lib.nn.functional, "t": lib.tensor(normal)}).numpy() for lib in (mi, torch))
    assert abs(mine.mean()) < 0.05 and abs(mine.var() / theirs.var() - 1) < 0.1
