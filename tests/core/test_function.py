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
