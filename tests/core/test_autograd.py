"""The engine: accumulation, views and in-place changes, graphs that free themselves, errors."""

import gc
import weakref

import mielina as mi
import mielina.nn.functional as F
import numpy as np
import pytest
from mielina.testing import gradcheck, gradgradcheck


def net(x, w1, b1, w2, t):
    return (
        F.cross_entropy(F.linear(F.relu(F.linear(x, w1, b1)), w2), t)
        + mi.softmax(x @ w1.T, -1).sum() * 0.5
        + (x * x).sum()
    )


def net_inputs():
    rng = np.random.default_rng(0)
    return [mi.tensor(rng.standard_normal(s)).requires_grad_() for s in ((3, 4), (5, 4), (5,), (6, 5))]


def test_gradgradcheck_of_a_net():
    x, w1, b1, w2 = net_inputs()
    t = mi.tensor([0, 5, 2])
    f = lambda *p: net(*p, t)  # noqa: E731
    gradcheck(f, (x, w1, b1, w2))
    gradgradcheck(f, (x, w1, b1, w2))


def test_accumulation_and_zero():
    x = mi.ones(3, requires_grad=True)
    (x * 2.0).sum().backward()
    first = x.grad
    (x * 3.0).sum().backward()
    assert x.grad.tolist() == [5, 5, 5]
    assert first.tolist() == [2, 2, 2]  # out of place: whoever holds the old gradient keeps it


def test_leaves_do_not_share_gradients():
    a, b = mi.ones(3, requires_grad=True), mi.ones(3, requires_grad=True)
    (a + b).sum().backward()
    a.grad.mul_(7.0)
    assert b.grad.tolist() == [1, 1, 1]


def test_a_seed_is_not_taken_over():
    x = mi.ones(3, requires_grad=True)
    g = mi.ones(3)
    (x + 0.0).backward(g)
    g.mul_(5.0)
    assert x.grad.tolist() == [1, 1, 1]


def test_diamond_and_reuse():
    x = mi.tensor([2.0], requires_grad=True)
    y = x * x
    z = y * y + y
    assert mi.grad(z, x)[0].tolist() == [4 * 8 + 4]


def test_broadcast_and_promotion():
    a = mi.ones(2, 3, requires_grad=True)
    b = mi.ones(3, dtype=mi.float64, requires_grad=True)
    (a * b).sum().backward()
    assert a.grad.dtype is mi.float32 and a.grad.shape == (2, 3)
    assert b.grad.dtype is mi.float64 and b.grad.tolist() == [2, 2, 2]


def test_graphs_free_themselves_by_reference_counts():
    gc.collect()
    gc.disable()
    try:
        x, w1, b1, w2 = net_inputs()
        loss = net(x, w1, b1, w2, mi.tensor([0, 5, 2]))
        alive = weakref.ref(loss)
        grads = mi.grad(loss, [x, w1, b1, w2], create_graph=True)
        sum(((g * g).sum() for g in grads), mi.zeros(1, dtype=mi.float64)).sum().backward()
        before = mi._core.memory_stats()[0]
        del loss, grads
        assert alive() is None
        assert mi._core.memory_stats()[0] < before
    finally:
        gc.enable()


def test_ten_thousand_steps_do_not_grow():
    gc.collect()
    gc.disable()
    try:
        w = mi.rand(8, 8).requires_grad_()
        optimizer = mi.optim.Adam([w])
        used = []
        for i in range(10_000):
            loss = F.relu(F.linear(mi.rand(4, 8), w)).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if i in (10, 9_999):
                used.append(mi._core.memory_stats()[0])
        assert used[0] == used[1]
        assert gc.collect() < 100
    finally:
        gc.enable()


def test_a_long_chain_is_freed_without_overflowing_the_stack():
    x = mi.ones(1, requires_grad=True)
    for _ in range(200_000):
        x = x + 1.0
    del x


def test_third_order_of_layer_norm():
    """Against a difference quotient of the second order; PyTorch 2.13 takes mean and rstd for constants there."""
    rng = np.random.default_rng(0)
    data, step = rng.standard_normal((2, 5)), 1e-5

    def second(data):
        x = mi.tensor(data).requires_grad_()
        (a,) = mi.grad((F.layer_norm(x, (5,)) ** 3).sum(), x, create_graph=True)
        (b,) = mi.grad((a * a).sum(), x, create_graph=True)
        return (b * b).sum(), x

    y, x = second(data)
    (third,) = mi.grad(y, x)
    numeric = np.zeros_like(data)
    for i in np.ndindex(data.shape):
        h = np.zeros_like(data)
        h[i] = step
        numeric[i] = (second(data + h)[0].item() - second(data - h)[0].item()) / (2 * step)
    np.testing.assert_allclose(third.numpy(), numeric, rtol=0, atol=1e-7 * np.abs(numeric).max())


# ---- anomaly mode ---------------------------------------------------------------------------------------------------
def test_anomaly_mode_shows_the_forward_lines():
    x = mi.tensor([-1.0, 4.0], requires_grad=True)
    with mi.autograd.set_detect_anomaly(True):
        assert mi.autograd.is_anomaly_enabled()
        y = x.sqrt()  # the line to be shown
        with pytest.warns(RuntimeWarning, match="the line to be shown"):
            with pytest.raises(RuntimeError, match="sqrt: the gradient for input 0 has NaN"):
                y.sum().backward()
    assert not mi.autograd.is_anomaly_enabled() and (x * 2).grad_fn.stack is None
    y = x.sqrt()
    y.sum().backward()
    assert np.isnan(x.grad.numpy()[0])
    with mi.autograd.detect_anomaly(check_nan=False):
        x.sqrt().sum().backward()
        y = x * 2
        z = (y * y).sum()  # saved, then changed
        y.add_(1)
        with pytest.warns(RuntimeWarning, match="saved, then changed"), pytest.raises(RuntimeError, match="in-place"):
            z.backward()


# ---- errors ----------------------------------------------------------------------------------------------------------
def test_an_inner_gradient_leaves_the_rest_of_the_graph_alone():
    calls = []

    class Counted(mi.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            calls.append(1)
            return g * 2

    x = mi.ones(2, requires_grad=True)
    y = Counted.apply(x)
    assert mi.grad((y * y).sum(), y)[0].tolist() == [4, 4] and not calls
    y.sum().backward()
    assert x.grad.tolist() == [2, 2] and len(calls) == 1


def test_backward_twice():
    x = mi.ones(3, requires_grad=True)
    y = (x * x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()
    z = (x * x).sum()
    z.backward(retain_graph=True)
    z.backward()
    assert x.grad.tolist() == [6, 6, 6]


def test_saved_tensor_changed_in_place():
    x = mi.ones(3, requires_grad=True)
    a = x * 1.0
    y = (a * a).sum()
    a.add_(1.0)
    with pytest.raises(RuntimeError, match="in-place"):
        y.backward()


def test_leaf_in_place():
    x = mi.ones(3, requires_grad=True)
    with pytest.raises(RuntimeError, match="leaf"):
        x.add_(1.0)
    with mi.no_grad():
        x.add_(1.0)
    assert x.tolist() == [2, 2, 2]


def test_no_history():
    with pytest.raises(RuntimeError, match="does not require"):
        mi.ones(1).sum().backward()
    with pytest.raises(RuntimeError, match="one number"):
        (mi.ones(3, requires_grad=True) * 1.0).backward()
    x, y = mi.ones(1, requires_grad=True), mi.ones(1, requires_grad=True)
    with pytest.raises(RuntimeError, match="do not depend"):
        mi.grad((x * 2.0).sum(), [y])
    assert mi.grad((x * 2.0).sum(), [y], allow_unused=True) == (None,)


def test_integers_have_no_gradient():
    with pytest.raises(RuntimeError, match="floating"):
        mi.tensor([1, 2]).requires_grad_()


# ---- in place on views -----------------------------------------------------------------------------------------------
def test_in_place_on_a_view_reaches_the_base():
    x = mi.ones(4, requires_grad=True)
    base = x * 1.0
    view = base.narrow(0, 1, 2)
    view.mul_(mi.tensor([3.0, 5.0]))
    base.sum().backward()
    assert x.grad.tolist() == [1, 3, 5, 1]


def test_in_place_on_the_base_reaches_the_view():
    x = mi.ones(4, requires_grad=True)
    base = x * 1.0
    view = base.narrow(0, 1, 2)
    base.mul_(mi.tensor([2.0, 3.0, 5.0, 7.0]))
    view.sum().backward()
    assert x.grad.tolist() == [0, 3, 5, 0]


def test_in_place_on_a_transposed_view():
    x = mi.rand(3, 4).requires_grad_()
    base = x * 1.0
    base.T.narrow(0, 2, 1).mul_(4.0)
    base.sum().backward()
    assert x.grad.tolist() == [[1, 1, 4, 1]] * 3


def test_in_place_with_a_tracked_value_on_an_untracked_base():
    w = mi.ones(2, requires_grad=True)
    base = mi.zeros(4)
    base.narrow(0, 0, 2).copy_(w * 3.0)
    assert base.requires_grad
    (base * base).sum().backward()
    assert w.grad.tolist() == [18, 18]


def test_sibling_views():
    x = mi.ones(4, requires_grad=True)
    base = x * 1.0
    a, b = base.narrow(0, 0, 3), base.narrow(0, 1, 3)
    a.mul_(2.0)
    b.sum().backward()
    assert x.grad.tolist() == [0, 2, 2, 1]


def test_second_order_through_an_in_place_change():
    def f(x):
        base = x * x
        base.narrow(0, 0, 1).mul_(3.0)
        return (base * base).sum()

    x = mi.tensor([1.5, -0.5], dtype=mi.float64).requires_grad_()
    gradcheck(f, (x,))
    gradgradcheck(f, (x,))


# ---- hooks -----------------------------------------------------------------------------------------------------------
def test_hooks():
    x = mi.ones(2, requires_grad=True)
    seen = []
    handle = x.register_hook(lambda g: seen.append(g.tolist()))
    y = x * 2.0
    y.register_hook(lambda g: g * 10.0)
    y.retain_grad()
    y.sum().backward()
    assert seen == [[20, 20]] and x.grad.tolist() == [20, 20] and y.grad.tolist() == [10, 10]
    handle.remove()
    (x * 1.0).sum().backward()
    assert len(seen) == 1


def test_grad_mode_is_per_thread():
    import threading

    result = []
    with mi.no_grad():
        t = threading.Thread(target=lambda: result.append(mi.is_grad_enabled()))
        t.start()
        t.join()
        assert not mi.is_grad_enabled()
    assert result == [True]


def test_a_sum_handed_to_a_rule_is_no_longer_added_into() -> None:
    """s collects two gradients, hands their sum to u and v alike, and u gets one more: v must not see it."""
    x, z = (mi.tensor(np.ones(3)).requires_grad_() for _ in range(2))
    u, v = x * 1.0, z * 1.0
    w = u * 5.0
    s = u + v
    dx, dz = mi.grad(s * 2.0 + s * 3.0 + w, [x, z], mi.tensor(np.ones(3)))
    assert dx.tolist() == [10.0] * 3 and dz.tolist() == [5.0] * 3


def test_a_view_times_a_number_is_written_back():
    x = mi.ones(3, requires_grad=True)
    base = x * 1.0
    base[1] = base[1] * 2.0
    base.sum().backward()
    assert x.grad.tolist() == [1, 2, 1]
