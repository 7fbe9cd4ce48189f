"""autograd.Function, beside PyTorch."""

from __future__ import annotations

from typing import Any

import mielina as mi
import pytest
from stories import Stories, Story, grad_of, leaf, tell

torch = pytest.importorskip("torch")

story = Stories()


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


@story.told
def test_story(f: Story) -> None:
    tell(f)
