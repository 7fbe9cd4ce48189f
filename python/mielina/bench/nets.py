"""Whole training steps and the cost of an op."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import mielina as mi

from .. import nn, optim
from ..nn import functional as F
from .case import Case, Rivals, family


@family("overhead")
def overhead(r: Rivals) -> Iterator[Case]:
    """What an op costs on four numbers: Python, tape, allocation and launch."""
    t: Any = r.torch
    a, b = r.arrays((4,), (4,))
    for grad in (False, True):
        x, y = mi.tensor(a).requires_grad_(grad), mi.tensor(b)
        work: dict[str, Any] = {"mielina": lambda x=x, y=y: x + y}
        if not grad:
            work["numpy"] = lambda: a + b
        if t:
            p, q = t.tensor(a, requires_grad=grad), t.tensor(b)
            work["torch"] = lambda p=p, q=q: p + q
        yield Case("overhead", "add of 4" + (" with gradients" if grad else ""), work)


def _perceptron(sizes: list[int]) -> Any:
    layers: list[Any] = []
    for i, o in zip(sizes, sizes[1:]):
        layers += [nn.Linear(i, o), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


@family("nets")
def nets(r: Rivals) -> Iterator[Case]:
    """One step with Adam: forward, backward, update."""
    t: Any = r.torch
    f: Any = F
    for sizes, batch in (([64, 128, 64, 10], 64), ([784, 1024, 1024, 10], 128)):
        (x,) = r.arrays((batch, sizes[0]))
        y = np.random.default_rng(1).integers(0, sizes[-1], batch)
        model = _perceptron(sizes)
        optimizer = optim.Adam(model.parameters())
        mx, my = mi.tensor(x), mi.tensor(y)

        def step(a: Any, b: Any, model: Any = model, optimizer: Any = optimizer) -> Any:
            loss = f.cross_entropy(model(a), b)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss

        captured = mi.capture(step)
        work: dict[str, Any] = {
            "mielina": lambda a=mx, b=my, s=step: s(a, b),
            "mielina captured": lambda a=mx, b=my, s=captured: s(a, b),
        }
        if t:
            work["torch"] = _torch_step(t, sizes, x, y)
        if r.jax:
            work["jax"] = _jax_step(r.jax, sizes, x, y)
        weights = sum(i * o for i, o in zip(sizes, sizes[1:]))
        yield Case("nets", f"perceptron {'-'.join(map(str, sizes))} batch {batch}", work, 6.0 * batch * weights)


def _torch_step(t: Any, sizes: list[int], x: Any, y: Any) -> Any:
    layers: list[Any] = []
    for i, o in zip(sizes, sizes[1:]):
        layers += [t.nn.Linear(i, o), t.nn.ReLU()]
    model = t.nn.Sequential(*layers[:-1])
    optimizer = t.optim.Adam(model.parameters())
    tx, ty = t.from_numpy(x), t.from_numpy(y)

    def step() -> None:
        loss = t.nn.functional.cross_entropy(model(tx), ty)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def _jax_step(jax: Any, sizes: list[int], x: Any, y: Any) -> Any:
    """Adam by hand, jitted as one function, parameters carried along."""
    jnp = jax.numpy
    rng = np.random.default_rng(0)
    params = [
        (jnp.asarray(rng.standard_normal((i, o)).astype(np.float32) / np.float32(np.sqrt(i))), jnp.zeros(o))
        for i, o in zip(sizes, sizes[1:])
    ]
    zeros = jax.tree_util.tree_map(jnp.zeros_like, params)

    def loss(params: Any) -> Any:
        h = x
        for k, (w, b) in enumerate(params):
            h = h @ w + b
            h = jax.nn.relu(h) if k < len(params) - 1 else h
        return -jnp.mean(jax.nn.log_softmax(h)[jnp.arange(len(y)), y])

    @jax.jit
    def update(params: Any, m: Any, v: Any, n: Any) -> Any:
        g = jax.grad(loss)(params)
        tree = jax.tree_util.tree_map
        m = tree(lambda a, b: 0.9 * a + 0.1 * b, m, g)
        v = tree(lambda a, b: 0.999 * a + 0.001 * b * b, v, g)
        scale = 1e-3 * jnp.sqrt(1 - 0.999**n) / (1 - 0.9**n)
        return tree(lambda p, a, b: p - scale * a / (jnp.sqrt(b) + 1e-8), params, m, v), m, v

    state = [params, zeros, zeros, 0]

    def step() -> None:
        state[3] += 1
        state[:3] = update(*state[:3], float(state[3]))
        jax.block_until_ready(state[0])

    return step
