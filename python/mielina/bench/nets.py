"""Whole training steps and the cost of an op."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

import mielina as mi

from .case import Case, Rivals, family


@family("overhead")
def overhead(r: Rivals) -> Iterator[Case]:
    """What an op costs on four numbers: Python, tape, allocation and launch."""
    a, b = r.arrays((4,), (4,))
    yield Case("overhead", "add of 4", r.beside([a, b], lambda L, x, y: x + y, lambda x, y: x + y))
    work = r.beside([a, b], lambda L, x, y: x + y, prepare=lambda L, t: t.requires_grad_())
    yield Case("overhead", "add of 4 with gradients", work)
    (w,) = r.arrays((4, 4))
    yield Case("overhead", "4x4 times 4", r.beside([w, a], lambda L, w, x: w @ x, lambda w, x: w @ x), terms=4)
    yield Case("overhead", "sum of 4", r.beside([a], lambda L, x: x.sum(), lambda x: x.sum()), terms=4)


@family("nets")
def nets(r: Rivals) -> Iterator[Case]:
    """One step: forward, backward, update. The first step's loss is compared."""
    for sizes, batch in r.pick((([64, 128, 64, 10], 64), ([784, 1024, 1024, 10], 128))):
        (x,) = r.arrays((batch, sizes[0]))
        y = np.random.default_rng(1).integers(0, sizes[-1], batch)
        work = _steps(r, lambda nn, sizes=sizes: perceptron(nn, sizes), x, y)
        if r.jax:
            work["jax"] = _jax_step(r.jax, _weights(sizes), x, y)
        weights = sum(i * o for i, o in zip(sizes, sizes[1:]))
        name = f"perceptron {'-'.join(map(str, sizes))} batch {batch}"
        yield Case("nets", name, work, 6.0 * batch * weights, terms=max(sizes))
    images, channels = (4, 4) if r.quick else (64, 32)
    (x,) = r.arrays((images, 1, 8, 8))
    y = np.random.default_rng(1).integers(0, 10, images)
    flops = 6.0 * images * (64 * 9 * channels + 64 * 9 * channels * channels + channels * 16 * 10)
    work = _steps(r, lambda nn: _convolutional(nn, channels), x, y)
    yield Case("nets", f"digits CNN, {channels} channels, batch {images}", work, flops, terms=9 * channels)
    n, t, d = (2, 8, 16) if r.quick else (8, 64, 128)
    (x,) = r.arrays((n, t, d))
    y = np.random.default_rng(1).integers(0, d, (n, t))
    work = _steps(r, lambda nn: nn.TransformerEncoderLayer(d, 4, 4 * d, 0.0, batch_first=True), x, y)
    flops = 6.0 * n * t * (12 * d * d + 2 * t * d)
    yield Case("nets", f"transformer layer of {d}, {n}x{t} tokens", work, flops, terms=4 * d)


def perceptron(nn: Any, sizes: Sequence[int]) -> Any:
    layers: list[Any] = []
    for i, o in zip(sizes, sizes[1:]):
        layers += [nn.Linear(i, o), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def _convolutional(nn: Any, channels: int) -> Any:
    return nn.Sequential(
        nn.Conv2d(1, channels, 3, padding=1), nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16 * channels, 10),
    )  # fmt: skip


def _weights(sizes: Sequence[int]) -> dict[str, np.ndarray]:
    mi.manual_seed(0)
    return {k: v.numpy() for k, v in perceptron(mi.nn, sizes).state_dict().items()}


def _steps(r: Rivals, make: Any, x: Any, y: Any) -> dict[str, Any]:
    """The same net and Adam by us, by us captured, and by PyTorch, from the same weights."""

    def ours() -> Any:
        mi.manual_seed(0)
        return make(mi.nn)

    step = _step(mi, ours(), x, y)
    captured = mi.capture(_step(mi, ours(), x, y, on_arguments=True))
    mx, my = mi.tensor(x), mi.tensor(y)
    work: dict[str, Any] = {"mielina": step, "mielina captured": lambda: captured(mx, my)}
    if r.torch:
        work["torch"] = _step(r.torch, r.twin(make, ours()), x, y)
    return work


def _step(library: Any, model: Any, x: Any, y: Any, on_arguments: bool = False) -> Any:
    optimizer = library.optim.Adam(model.parameters())
    cross_entropy = library.nn.functional.cross_entropy
    inputs, targets = library.tensor(x), library.tensor(y)

    def step(a: Any, b: Any) -> Any:
        out = model(a)
        loss = cross_entropy(out.reshape(-1, out.shape[-1]), b.reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step if on_arguments else lambda: step(inputs, targets)


def _jax_step(jax: Any, weights: dict[str, np.ndarray], x: Any, y: Any) -> Any:
    """Adam by hand, jitted as one function, parameters carried along."""
    jnp, values = jax.numpy, list(weights.values())
    params = [(jnp.asarray(w.T), jnp.asarray(b)) for w, b in zip(values[::2], values[1::2])]
    zeros = jax.tree_util.tree_map(jnp.zeros_like, params)

    def loss(params: Any) -> Any:
        h = x
        for k, (w, b) in enumerate(params):
            h = h @ w + b
            h = jax.nn.relu(h) if k < len(params) - 1 else h
        return -jnp.mean(jax.nn.log_softmax(h)[jnp.arange(len(y)), y])

    @jax.jit
    def update(params: Any, m: Any, v: Any, n: Any) -> Any:
        value, g = jax.value_and_grad(loss)(params)
        tree = jax.tree_util.tree_map
        m = tree(lambda a, b: 0.9 * a + 0.1 * b, m, g)
        v = tree(lambda a, b: 0.999 * a + 0.001 * b * b, v, g)
        scale = 1e-3 * jnp.sqrt(1 - 0.999**n) / (1 - 0.9**n)
        return tree(lambda p, a, b: p - scale * a / (jnp.sqrt(b) + 1e-8), params, m, v), m, v, value

    state = [params, zeros, zeros, 0]

    def step() -> Any:
        state[3] += 1
        *state[:3], value = update(*state[:3], float(state[3]))
        jax.block_until_ready(state[0])
        return value

    return step
