"""In-place operations, versions, data and grad, beside PyTorch."""

from __future__ import annotations

from typing import Any

import mielina as mi
import pytest
from stories import Stories, Story, leaf, tell

torch = pytest.importorskip("torch")

story = Stories()


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
def what_was_replaced_gets_zeros_beside_nan(lib: Any) -> Any:
    grads = []
    for replace in (
        lambda y: y.__setitem__(0, 2),
        lambda y: y[1:].fill_(-3),
        lambda y: y.view(3, 1).copy_(lib.full((3, 1), 2.0)),
        lambda y: y[None, ::2].mul_(float("inf")),
    ):
        x = leaf(lib, 0.5, 0.25, 0.125)
        y = x * 1
        replace(y)
        y.acos().sum().backward()
        grads.append(x.grad)
    return grads


@story
def overwritten_by_constants(lib: Any) -> Any:
    seen = []
    one = lib.ones((), dtype=lib.float64)
    for write in (
        lambda y: y.copy_(one),
        lambda y: y.fill_(one),
        lambda y: y.fill_(1.0),
        lambda y: y.uniform_(),
        lambda y: y.gt_(0),
        lambda y: y.view(2, 1).copy_(one),
    ):
        x = leaf(lib, 1, 2)
        y = x * 3
        z = write(y)
        y.sum().backward()
        seen.append([y.requires_grad, z.requires_grad, y.is_leaf, x.grad])
    return seen


@story
def what_no_gradient_needs_may_change(lib: Any) -> Any:
    x, c = leaf(lib, 0.5, 0.25), lib.tensor([3.0, 5.0], dtype=lib.float64)
    y = x * 1
    z = y * c + c * y + y / c + lib.lerp(y, c, 0.25) + lib.kron(y, c[:1])
    y.sin_()
    z.sum().backward()
    return x.grad


@story
def a_factor_that_becomes_a_result(lib: Any) -> Any:
    x = leaf(lib, 2, 3)
    c = lib.ones(2, 2, dtype=lib.float64)
    row = c[0]
    c.mul_(x)
    y = row * x
    y.sum().backward()
    return x.grad


@story
def with_itself(lib: Any) -> Any:
    x = leaf(lib, -1, 2)
    y, z = x * 3, x * 5
    y.copysign_(y)
    z.lerp_(z, 0.5)
    (y + z).sum().backward()
    return y, z, x.grad


@story
def a_view_first_looked_at_under_no_grad(lib: Any) -> Any:
    run = torch.utils.checkpoint.checkpoint if lib is torch else mi.checkpoint
    x = leaf(lib, 1, 2)
    y = x * 1
    first, second = y[:1], y[1:]
    y.mul_(3)
    with lib.no_grad():
        seen = [first.requires_grad, (first * 2).requires_grad]
    (first.sum() + run(lambda a: a * a, second, use_reentrant=False).sum()).backward()
    return seen, x.grad


@story
def retained_gradients_are_of_the_last_value(lib: Any) -> Any:
    x = leaf(lib, 1, 2)
    y, z = x * 1, x * 1
    y.retain_grad()
    y.mul_(3)
    z.retain_grad()
    part = z[:1]
    part.retain_grad()
    part.mul_(5)
    seen = (x * 1)[:]
    seen.retain_grad()
    seen._base.mul_(7)
    ((y + z).square().sum() + seen.sum()).backward()
    return y.grad, z.grad, seen.grad, x.grad, y.retains_grad


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


@story.told
def test_story(f: Story) -> None:
    tell(f)
