"""What the tape means, beside PyTorch: each story is told to both libraries and must end alike.

A story is a function of the library that returns numbers, lists, Nones and words; an error's class is its end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mielina as mi
import numpy as np
import pytest

torch = pytest.importorskip("torch")

STORIES: list[Callable[[Any], Any]] = []


def story(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    STORIES.append(f)
    return f


def leaf(lib: Any, *values: float) -> Any:
    return lib.tensor(list(values), dtype=lib.float64, requires_grad=True)


def values(x: Any) -> Any:
    """Tensors as lists, whatever they stand in."""
    if isinstance(x, (tuple, list)):
        return [values(v) for v in x]
    return x.detach().tolist() if hasattr(x, "detach") else x


def told(f: Callable[[Any], Any], lib: Any) -> Any:
    try:
        return values(f(lib))
    except Exception as error:  # noqa: BLE001
        return type(error).__name__


def same(a: Any, b: Any) -> bool:
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float) and isinstance(b, float):
        return bool(np.isclose(a, b, rtol=1e-12, atol=1e-12, equal_nan=True))
    return a == b


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


# ---- in place --------------------------------------------------------------------------------------------------------
@story
def in_place_on_a_leaf(lib: Any) -> Any:
    leaf(lib, 1, 2).add_(1)


@story
def in_place_on_a_view_of_a_leaf(lib: Any) -> Any:
    leaf(lib, 1, 2)[0].add_(1)


@story
def in_place_under_no_grad(lib: Any) -> Any:
    x = leaf(lib, 1, 2)
    with lib.no_grad():
        x[0] = 5
        x -= 1
    (x * x).sum().backward()
    return x, x.grad, x.is_leaf


@story
def in_place_on_views_and_bases(lib: Any) -> Any:
    x, w = leaf(lib, 1, 2, 3, 4), leaf(lib, 5)
    y = (x * 2).view(2, 2)
    row, column = y[0], y[:, 1]
    column *= w
    row += column
    y[1, 0] = w[0] * row[0]
    (y * y).sum().backward()
    return y, row, column, x.grad, w.grad


@story
def saved_and_changed(lib: Any) -> Any:
    x = leaf(lib, 1, 2)
    y = x * 2
    z = y * y
    y.add_(1)
    z.sum().backward()


@story
def a_saved_result_changed(lib: Any) -> Any:
    x = leaf(lib, 1, 2)
    y = x.exp()
    y.add_(1)
    y.sum().backward()


@story
def not_saved_and_changed(lib: Any) -> Any:
    x = leaf(lib, 1, 2)
    y = x + 2
    z = y + 1
    y.mul_(3)
    (z.sum() + y.sum()).backward()
    return x.grad


@story
def changed_through_detach_is_seen(lib: Any) -> Any:
    x = leaf(lib, 1, 2)
    y = x * 2
    z = (y * y).sum()
    y.detach().zero_()
    z.backward()


@story
def changed_under_no_grad_is_seen(lib: Any) -> Any:
    x = leaf(lib, 1, 2)
    z = (x * x).sum()
    with lib.no_grad():
        x.mul_(2)
    z.backward()


@story
def versions(lib: Any) -> Any:
    x = lib.zeros(3)
    seen = [x._version]
    x.add_(1)
    x[0] = 2
    x[1:].mul_(3)
    seen += [x._version, x[1:]._version]
    return [v - seen[0] for v in seen]  # here a fresh result's version is 1: the kernel that filled it counts


@story
def assigned_rows_are_differentiable(lib: Any) -> Any:
    w = leaf(lib, 1, 2)
    out = lib.zeros(3, 2, dtype=lib.float64)
    for i in range(3):
        out[i] = w * (i + 1)
    (out * out).sum().backward()
    return out, w.grad, out.is_leaf


@story
def data_is_out_of_sight(lib: Any) -> Any:
    x = leaf(lib, 1, 2)
    y = (x * x).sum()
    x.data = x.data * 10
    y.backward()
    return x, x.grad


@story
def grad_assigned(lib: Any) -> Any:
    x = leaf(lib, 1, 2)
    x.grad = lib.ones(2, dtype=lib.float64)
    (x * 2).sum().backward()
    kept = x.grad
    x.grad = None
    return kept, x.grad


@story
def grad_of_another_shape(lib: Any) -> Any:
    leaf(lib, 1, 2).grad = lib.ones(3, dtype=lib.float64)


@story
def detach_in_place(lib: Any) -> Any:
    x = leaf(lib, 1, 2)
    y = x * 2
    y.detach_()
    return y.requires_grad, y.is_leaf, x.requires_grad


# ---- Function --------------------------------------------------------------------------------------------------------
@story
def a_function(lib: Any) -> Any:
    class Scale(lib.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, w: Any, k: int, text: str) -> Any:
            ctx.save_for_backward(x, w, None)
            ctx.k, ctx.text = k, text
            seen.append(ctx.needs_input_grad)
            return x * w * k

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            x, w, nothing = ctx.saved_tensors
            seen.append((nothing, ctx.text, ctx.needs_input_grad))
            return g * w * ctx.k, (g * x * ctx.k if ctx.needs_input_grad[1] else None), None, None

    seen: list[Any] = []
    x, w = leaf(lib, 1, 2), lib.tensor([3.0, 4.0], dtype=lib.float64)
    y = Scale.apply(x, w, 2, "a")
    y.sum().backward()
    return y, seen, x.grad, type(y.grad_fn).__name__ != ""


@story
def setup_context(lib: Any) -> Any:
    class Square(lib.autograd.Function):
        @staticmethod
        def forward(x: Any) -> Any:
            return x * x

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.save_for_backward(*inputs, output)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            x, y = ctx.saved_tensors
            return g * 2 * x + y * 0

    x = leaf(lib, 1, 2)
    (g,) = grad_of(lib)(Square.apply(x).sum(), x, create_graph=True)
    return g, grad_of(lib)(g.sum(), x)


@story
def results_that_are_not_differentiable(lib: Any) -> Any:
    class Sort(lib.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            v, i = x.sort()
            same = v * 1
            ctx.mark_non_differentiable(i, same)
            ctx.save_for_backward(i)
            return v, i, same, "word"

        @staticmethod
        def backward(ctx: Any, g: Any, gi: Any, gs: Any, gw: Any) -> Any:
            (i,) = ctx.saved_tensors
            seen.append((gi.sum().item(), gs.tolist(), gw))
            return lib.zeros_like(g).scatter(0, i, g)

    seen: list[Any] = []
    x = leaf(lib, 3, 1, 2)
    v, i, same, word = Sort.apply(x)
    (v * lib.tensor([1.0, 2.0, 3.0], dtype=lib.float64)).sum().backward()
    return v, i, same, word, v.requires_grad, i.requires_grad, same.requires_grad, seen, x.grad


@story
def gradients_not_materialized(lib: Any) -> Any:
    class Two(lib.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.set_materialize_grads(False)
            return x * 2, x * 3

        @staticmethod
        def backward(ctx: Any, a: Any, b: Any) -> Any:
            return a * 2 if b is None else None

    x = leaf(lib, 1, 2)
    Two.apply(x)[0].sum().backward()
    return x.grad


@story
def once(lib: Any) -> Any:
    from_lib = torch.autograd.function.once_differentiable if lib is torch else mi.autograd.once_differentiable

    class Square(lib.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        @from_lib
        def backward(ctx: Any, g: Any) -> Any:
            (x,) = ctx.saved_tensors
            seen.append(lib.is_grad_enabled())
            return g * 2 * x

    seen: list[Any] = []
    x = leaf(lib, 1, 2)
    (g,) = grad_of(lib)(Square.apply(x).sum(), x, create_graph=True)
    try:
        grad_of(lib)(g.sum(), x)
    except RuntimeError:
        return g, seen


@story
def dirty(lib: Any) -> Any:
    class Exp(lib.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            x.exp_()
            ctx.mark_dirty(x)
            ctx.save_for_backward(x)
            return x

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            (y,) = ctx.saved_tensors
            return g * y

    x = leaf(lib, 1, 2)
    y = x * 2
    z = Exp.apply(y)
    same = z is y
    view = (w := x * 3)[:1]
    Exp.apply(view)
    (z.sum() + w.sum()).backward()
    return same, y, w, x.grad


@story
def a_dirty_leaf(lib: Any) -> Any:
    class Zero(lib.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.mark_dirty(x)
            return x.zero_()

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g

    Zero.apply(leaf(lib, 1))


@story
def gradients_are_summed_to_the_input(lib: Any) -> Any:
    class Add(lib.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, y: Any) -> Any:
            return x + y

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g, g, None

    x, y = leaf(lib, 1), leaf(lib, 1, 2, 3)
    Add.apply(x, y).sum().backward()
    return x.grad, y.grad


@story
def a_gradient_of_another_shape(lib: Any) -> Any:
    class Bad(lib.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g[:2]

    Bad.apply(leaf(lib, 1, 2, 3)).sum().backward()


# ---- checkpoint, functional, autocast --------------------------------------------------------------------------------
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


def grad_of(lib: Any) -> Any:
    return torch.autograd.grad if lib is torch else mi.grad


@pytest.mark.parametrize("f", STORIES, ids=lambda f: f.__name__)
def test_story(f: Callable[[Any], Any]) -> None:
    mine, theirs = told(f, mi), told(f, torch)
    assert same(mine, theirs), f"mielina {mine}\nPyTorch  {theirs}"
