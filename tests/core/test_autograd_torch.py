"""What the tape means, beside PyTorch: grad and backward, modes, hooks, checkpoint and autograd.functional."""

from __future__ import annotations

from typing import Any

import mielina as mi
import numpy as np
import pytest
from stories import Stories, Story, grad_of, leaf, tell

torch = pytest.importorskip("torch")

story = Stories()


# ---- grad and backward -----------------------------------------------------------------------------------------------
@story
def unused_inputs(lib: Any) -> Any:
    x, y = leaf(lib, 1, 2), leaf(lib, 3)
    g = grad_of(lib)
    return g((x * x).sum(), [x, y], allow_unused=True), g((x * x).sum(), [x, y], materialize_grads=True)


@story
def an_unused_input_is_an_error(lib: Any) -> Any:
    return grad_of(lib)((leaf(lib, 1) * 2).sum(), [leaf(lib, 3)])


@story
def zeros_and_forbidden_at_once(lib: Any) -> Any:
    x = leaf(lib, 1)
    return grad_of(lib)((x * 2).sum(), [x], materialize_grads=True, allow_unused=False)


@story
def of_itself_and_twice(lib: Any) -> Any:
    x = leaf(lib, 1, 2)
    y = x * x
    return grad_of(lib)(y.sum(), [x, y, x]), grad_of(lib)(x, x, lib.ones_like(x))


@story
def several_outputs(lib: Any) -> Any:
    x = leaf(lib, 1, 2)
    y, z = x * x, x.exp().sum()
    return grad_of(lib)([y, z], x, [lib.ones_like(y), None])


@story
def an_intermediate_keeps_its_own_graph(lib: Any) -> Any:
    x = leaf(lib, 1, 2)
    y = x * x
    z = y * y
    g = grad_of(lib)(z.sum(), y)
    y.sum().backward()
    return g, x.grad


@story
def third_order(lib: Any) -> Any:
    x, found = leaf(lib, 0.3, -1.2), []
    y = (x.sin() * x * x).sum()
    for _ in range(3):
        (g,) = grad_of(lib)(y, x, create_graph=True)
        found.append(g)
        y = g.sum()
    return found


@story
def third_order_of_a_net(lib: Any) -> Any:
    f = lib.nn.functional
    rng = np.random.default_rng(0)
    x, w, v = (lib.tensor(rng.standard_normal(s)).requires_grad_() for s in ((4, 3), (5, 3), (2, 5)))
    y = f.cross_entropy(f.linear(f.log_softmax(f.softplus(f.linear(x, w)), -1), v), lib.tensor([0, 1, 1, 0]))
    found = []
    for _ in range(3):
        g = grad_of(lib)(y, [x, w, v], create_graph=True)
        found.append(g)
        y = sum((p * p).sum() for p in g)
    return found


@story
def create_graph_retains(lib: Any) -> Any:
    x = leaf(lib, 2)
    y = (x * x * x).sum()
    y.backward(create_graph=True)
    (x.grad * x.grad).sum().backward()
    return x.grad


@story
def twice(lib: Any) -> Any:
    x = leaf(lib, 2)
    y = (x * x).sum()
    y.backward()
    y.backward()


@story
def backward_for_some(lib: Any) -> Any:
    x, y = leaf(lib, 2), leaf(lib, 3)
    (x * y * x).sum().backward(inputs=[y])
    (x * y * x).sum().backward(inputs=y)
    return x.grad, y.grad


@story
def backward_for_nobody(lib: Any) -> Any:
    (leaf(lib, 2) * 1).sum().backward(inputs=[])


@story
def a_seed_of_another_shape(lib: Any) -> Any:
    (leaf(lib, 2, 3) * 1).backward(lib.ones(3, dtype=lib.float64))


@story
def no_seed_for_many(lib: Any) -> Any:
    (leaf(lib, 2, 3) * 1).backward()


@story
def several_roots(lib: Any) -> Any:
    x = leaf(lib, 2, 3)
    lib.autograd.backward([x * x, x.sum()], [lib.ones(2, dtype=lib.float64), None])
    return x.grad


@story
def leaves(lib: Any) -> Any:
    x, y = leaf(lib, 1), lib.ones(1)
    z = x * 2
    with lib.no_grad():
        w = x * 2
    return [
        (t.is_leaf, t.requires_grad, t.grad_fn is None)
        for t in (x, y, z, w, z.detach(), lib.tensor([1]), x.view(1), y.view(1))
    ]


@story
def integers_want_no_gradient(lib: Any) -> Any:
    lib.tensor([1, 2]).requires_grad_()


@story
def integer_results_have_no_history(lib: Any) -> Any:
    x = leaf(lib, 3, 1)
    v, i = x.sort()
    return v.requires_grad, i.requires_grad, x.argmax().requires_grad, (x > 2).requires_grad


@story
def a_result_cannot_stop_wanting(lib: Any) -> Any:
    (leaf(lib, 1) * 2).requires_grad_(False)


@story
def detach_shares(lib: Any) -> Any:
    x = leaf(lib, 1, 2)
    y = x.detach()
    y[0] = 7
    return x, y.requires_grad


# ---- modes -----------------------------------------------------------------------------------------------------------
@story
def modes(lib: Any) -> Any:
    x, seen = leaf(lib, 1), []

    def look() -> None:
        seen.append(((x * 2).requires_grad, lib.is_grad_enabled()))

    with lib.no_grad():
        look()
        with lib.enable_grad():
            look()
            with lib.set_grad_enabled(False):
                look()
            look()
        look()
    with lib.inference_mode():
        look()
    with lib.inference_mode(False):
        look()
    lib.set_grad_enabled(False)
    look()
    lib.set_grad_enabled(True)
    lib.no_grad()(look)()
    lib.no_grad(look)()
    lib.set_grad_enabled(False)(look)()
    lib.inference_mode()(look)()
    look()
    return seen


@story
def a_generator_under_no_grad(lib: Any) -> Any:
    @lib.no_grad()
    def numbers() -> Any:
        try:
            got = yield lib.is_grad_enabled()
            got = yield got, lib.is_grad_enabled()
            yield "thrown?"
        except ValueError:
            yield lib.is_grad_enabled()
        return lib.is_grad_enabled()

    g = numbers()
    seen = [next(g), lib.is_grad_enabled(), g.send("x"), lib.is_grad_enabled(), g.throw(ValueError())]
    try:
        next(g)
    except StopIteration as end:
        seen.append(end.value)
    return [*seen, lib.is_grad_enabled()]


# ---- hooks -----------------------------------------------------------------------------------------------------------
@story
def hooks_in_order(lib: Any) -> Any:
    x, seen = leaf(lib, 1, 2), []
    y = x * 3
    y.retain_grad()
    y.retain_grad()
    y.register_hook(lambda g: seen.append(("a", g.tolist())))
    y.register_hook(lambda g: g * 10)
    b = y.register_hook(lambda g: seen.append(("b", g.tolist())))
    x.register_hook(lambda g: seen.append(("leaf", g.tolist())))
    x.register_hook(lambda g: g + 1)
    x.register_post_accumulate_grad_hook(lambda t: seen.append(("post", t.grad.tolist())))
    y.sum().backward(retain_graph=True)
    b.remove()
    y.sum().backward()
    return seen, y.grad, x.grad, y.retains_grad, x.retains_grad


@story
def grad_calls_hooks(lib: Any) -> Any:
    x, seen = leaf(lib, 1, 2), []
    y = x * 3
    x.register_hook(lambda g: g * 2)
    y.register_hook(lambda g: seen.append(g.tolist()))
    x.register_post_accumulate_grad_hook(lambda t: seen.append("post"))
    return grad_of(lib)(y.sum(), [x, y]), seen, x.grad


@story
def backward_inputs_calls_hooks_once(lib: Any) -> Any:
    x, seen = leaf(lib, 1, 2), []
    x.register_hook(lambda g: seen.append(g.tolist()))
    x.register_post_accumulate_grad_hook(lambda t: seen.append("post"))
    (x * x).sum().backward(inputs=[x])
    return seen, x.grad


@story
def one_hook_a_walk_where_paths_meet(lib: Any) -> Any:
    x, seen = leaf(lib, 1, 2), []
    y = x * 3
    y.register_hook(lambda g: seen.append(g.tolist()))
    (y.sum() + (y * y).sum()).backward()
    return seen


@story
def a_hook_on_one_result_of_several(lib: Any) -> Any:
    x, seen = leaf(lib, 3, 1, 2, 5), []
    a, b = x.split(2)
    a.register_hook(lambda g: g * 2)
    b.register_hook(lambda g: seen.append(g.tolist()))
    (a * b).sum().backward()
    return x.grad, seen


@story
def a_hook_with_create_graph(lib: Any) -> Any:
    x = leaf(lib, 2)
    y = x * x
    y.register_hook(lambda g: g * g)
    (g,) = grad_of(lib)(y * y, x, create_graph=True)
    return g, grad_of(lib)(g, x)


@story
def no_hook_without_a_gradient(lib: Any) -> Any:
    lib.ones(1).register_hook(lambda g: g)


@story
def post_hooks_are_for_leaves(lib: Any) -> Any:
    (leaf(lib, 1) * 2).register_post_accumulate_grad_hook(lambda t: t)


@story
def retain_needs_a_gradient(lib: Any) -> Any:
    lib.ones(1).retain_grad()


# ---- checkpoint, functional, autocast --------------------------------------------------------------------------------
@story
def checkpointed_beside_hooks(lib: Any) -> Any:
    run = torch.utils.checkpoint.checkpoint if lib is torch else mi.checkpoint
    x, w = leaf(lib, 1, 2), leaf(lib, 3, 4)
    y = x * 1
    y.retain_grad()
    seen = []
    for t in (x, y, w):
        t.register_hook(lambda g: seen.append(g.tolist()) or g * 2)
    run(lambda a: (a.sin() * w).cumsum(0), y, use_reentrant=False).sum().backward()
    return x.grad, y.grad, w.grad, sorted(seen)


@story
def checkpointed(lib: Any) -> Any:
    run = torch.utils.checkpoint.checkpoint if lib is torch else mi.checkpoint
    x, w, seen = leaf(lib, 1, 2), leaf(lib, 3, 4), []

    def f(x: Any, k: int, *, extra: Any) -> Any:
        seen.append(lib.is_grad_enabled())
        return (x * w).sin() * k + extra, x * 2

    y, z = run(f, x, 3, use_reentrant=False, extra=w * 2)
    (y.sum() * z.sum()).backward()
    return y, x.grad, w.grad


@story
def derivatives_of_functions(lib: Any) -> Any:
    f = lib.autograd.functional
    x, y = leaf(lib, 0.5, -1), leaf(lib, 2, 3)
    v = lib.tensor([1.0, -2.0], dtype=lib.float64)
    one = lambda a: (a.sin() * a).sum()  # noqa: E731
    two = lambda a, b: (a * b).sum() * a.prod()  # noqa: E731
    pair = lambda a, b: (a * b, a.exp().sum())  # noqa: E731
    return (
        f.jacobian(lambda a: a.exp().reshape(2, 1) * a, x),
        f.jacobian(pair, (x, y)),
        f.jacobian(lambda a, b: a * 2, (x, y)),
        f.hessian(one, x),
        f.hessian(two, (x, y)),
        f.vjp(lambda a: a * a, x, v),
        f.vjp(pair, (x, y), (v, lib.ones((), dtype=lib.float64))),
        f.vjp(one, x),
        f.jvp(lambda a: a * a.sum(), x, v),
        f.jvp(pair, (x, y), (v, v * 2)),
        f.vhp(one, x, v),
        f.hvp(two, (x, y), (v, v)),
    )


@story
def a_differentiable_jacobian(lib: Any) -> Any:
    x = leaf(lib, 0.5, -1)
    f = lib.autograd.functional
    j = f.jacobian(lambda a: a * a * a, x, create_graph=True)
    h = f.hessian(lambda a: (a * a * a).sum(), x, create_graph=True)
    _, p = f.hvp(lambda a: (a * a * a).sum(), x, lib.ones(2, dtype=lib.float64), create_graph=True)
    return grad_of(lib)(j.sum() + h.sum() + p.sum(), x)


@story
def a_strict_jacobian(lib: Any) -> Any:
    return lib.autograd.functional.jacobian(lambda a, b: a * 2, (leaf(lib, 1), leaf(lib, 2)), strict=True)


@story
def gradients_that_are_not_finite(lib: Any) -> Any:
    grads = []
    for f in (lib.round, lib.floor, lib.max, lib.min, lib.median, lambda x: lib.copysign(lib.ones_like(x), x)):
        for g in (float("inf"), float("nan")):
            x = leaf(lib, 1.5, -0.25, 3)
            y = f(x)
            y.backward(lib.full_like(y, g))
            grads.append(x.grad)
    return grads


@story.told
def test_story(f: Story) -> None:
    tell(f)
