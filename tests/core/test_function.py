"""Functions of one's own, checkpoints and autocast."""

import mielina as mi
import mielina.nn.functional as F
import numpy as np
import pytest
from mielina.testing import gradcheck, gradgradcheck


class Cube(mi.autograd.Function):
    @staticmethod
    def forward(ctx, x, scale):
        ctx.save_for_backward(x)
        ctx.scale = scale
        return x * x * x * scale

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * (x * x) * (3.0 * ctx.scale), None


def test_function():
    x = mi.tensor([1.0, -2.0], dtype=mi.float64).requires_grad_()
    f = lambda x: Cube.apply(x, 2.0)  # noqa: E731
    assert f(x).tolist() == [2, -16]
    gradcheck(f, (x,))
    gradgradcheck(f, (x,))


def test_function_with_a_saved_result_and_two_outputs():
    class Both(mi.Function):
        @staticmethod
        def forward(ctx, x):
            y = x * 2.0
            ctx.save_for_backward(y)
            return y, x * 3.0

        @staticmethod
        def backward(ctx, a, b):
            (y,) = ctx.saved_tensors
            assert y.tolist() == [2, 4]
            return a * 2.0 + b * 3.0

    x = mi.tensor([1.0, 2.0]).requires_grad_()
    Both.apply(x)[0].sum().backward()  # the other result's gradient comes as zeros
    assert x.grad.tolist() == [2, 2]


def test_function_with_a_wrong_number_of_gradients():
    class Wrong(mi.Function):
        @staticmethod
        def forward(ctx, x, y):
            return x + y

        @staticmethod
        def backward(ctx, g):
            return g

    x = mi.ones(1, requires_grad=True)
    with pytest.raises(RuntimeError, match="1 gradients for 2 inputs"):
        Wrong.apply(x, x).backward()


def block(x, w):
    return F.dropout(F.relu(F.linear(x, w)), 0.5) * 2.0


@pytest.mark.parametrize("second_order", [False, True])
def test_checkpoint_equals_the_plain_run(second_order):
    rng = np.random.default_rng(0)
    data, weight = rng.standard_normal((4, 5)), rng.standard_normal((6, 5))
    results = []
    for plain in (True, False):
        mi.manual_seed(5)
        x, w = mi.tensor(data).requires_grad_(), mi.tensor(weight).requires_grad_()
        inner = lambda x: block(x, w)  # noqa: E731, B023
        y = inner(x) if plain else mi.checkpoint(inner, x)
        loss = (y * y).sum()
        if second_order:
            (g,) = mi.grad(loss, x, create_graph=True)
            loss = (g * g).sum()
        loss.backward()
        results.append((loss.item(), x.grad.tolist(), w.grad.tolist(), mi.rand(2).tolist()))
    assert results[0] == results[1]


def test_checkpoint_of_what_is_made_from_each_other():
    """extra is made from w, and both are used inside: w's gradient must not come in twice."""
    w = mi.tensor([2.0, 3.0], dtype=mi.float64).requires_grad_()
    results = []
    for run in (lambda f, *a, **k: f(*a, **k), mi.checkpoint):
        extra = w * w
        out = run(lambda x, *, pair: {"a": [x * w, pair["e"] * w], "b": (x,)}, extra, pair={"e": extra})
        (out["a"][0].sum() + (out["a"][1] * out["b"][0]).sum()).backward()
        results.append(w.grad.tolist())
        w.grad = None
    assert results[0] == results[1]


def test_checkpoint_runs_again_under_the_same_autocast():
    w = mi.rand(4, 8).requires_grad_()
    x, seen = mi.rand(3, 8), []

    def f(x):
        y = F.linear(x, w)
        seen.append(y.dtype)
        return y

    with mi.autocast():
        y = mi.checkpoint(f, x, use_reentrant=False)
    y.sum().backward()
    assert seen == [mi.bfloat16] * 2 and w.grad.dtype is mi.float32


def test_checkpoint_sequential():
    mi.manual_seed(0)
    net = mi.nn.Sequential(mi.nn.Linear(4, 5), mi.nn.Tanh(), mi.nn.Dropout(0.5), mi.nn.Linear(5, 3), mi.nn.ReLU())
    x, results = mi.rand(6, 4), []
    for segments in (None, 1, 2, 5, 9):
        mi.manual_seed(1)
        net.zero_grad()
        y = net(x) if segments is None else mi.checkpoint_sequential(net, segments, x)
        y.sum().backward()
        results.append((y.tolist(), [p.grad.tolist() for p in net.parameters()]))
    assert all(r == results[0] for r in results)
    with pytest.raises(ValueError, match="at least one segment"):
        mi.checkpoint_sequential(net, 0, x)


def test_autocast_nests_and_losses_are_float32():
    x, w, t = mi.rand(3, 8), mi.rand(4, 8).requires_grad_(), mi.tensor([0, 1, 2])
    with mi.autocast("cpu", dtype=mi.float16):
        y = F.linear(x, w)
        assert y.dtype is mi.float16
        with mi.autocast(enabled=False):
            assert F.linear(x, w).dtype is mi.float32 and F.linear(x.half(), w.half()).dtype is mi.float16
        with mi.autocast(dtype=mi.bfloat16):
            assert (x @ w.T).dtype is mi.bfloat16
        assert (x @ w.T).dtype is mi.float16 and (x.double() @ w.T.double()).dtype is mi.float64
        loss = F.cross_entropy(y, t)
        assert loss.dtype is mi.float32 and F.mse_loss(y, y).dtype is mi.float32
        assert F.scaled_dot_product_attention(x, x, x).dtype is mi.float16
        assert mi.nn.LSTM(8, 4)(x)[0].dtype is mi.float16
        loss.backward()
    assert w.grad.dtype is mi.float32
    assert mi.autocast()(lambda: x @ w.T)().dtype is mi.bfloat16


def test_autocast():
    x, w = mi.rand(3, 8), mi.rand(4, 8).requires_grad_()
    with mi.autocast():
        y = F.linear(x, w)
        assert y.dtype is mi.bfloat16 and (x @ w.T).dtype is mi.bfloat16
        assert mi.softmax(x, -1).dtype is mi.float32
    y.sum().backward()
    assert w.grad.dtype is mi.float32
    assert F.linear(x, w).dtype is mi.float32
    with pytest.raises(TypeError, match="autocast"):
        mi.autocast(dtype=mi.float32)
