"""Whole training steps and the cost of an op."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

import mielina as mi

from .case import Case, Rivals, family
from .models import convolutional, encoder, perceptron, resnet20


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
    yield from _images(r)
    n, t, d, layers = (2, 8, 16, 1) if r.quick else (8, 64, 128, 1)
    yield _transformer(r, f"transformer layer of {d}, {n}x{t} tokens", n, t, d, layers)
    if not r.quick:
        yield _transformer(r, "4 transformer layers of 256, 8x128 tokens", 8, 128, 256, 4)


def _images(r: Rivals) -> Iterator[Case]:
    """Multiplications of a sample: those of the convolutions and linear layers by their definition."""
    nets: list[tuple[str, Any, tuple[int, ...], float]] = [
        ("digits CNN, 32 channels", lambda nn: convolutional(nn, 8, (32, 32), (10,), 1), (64, 1, 8, 8), 613e3),
        ("CNN 28x28", lambda nn: convolutional(nn, 28, (32, 64), (128, 10)), (64, 1, 28, 28), 12.0e6),
        ("ResNet-20", resnet20, (32, 3, 32, 32), 40.8e6),
    ]
    for name, make, shape, products in r.pick(nets):
        n = 4 if r.quick else shape[0]
        (x,) = r.arrays((n, *shape[1:]))
        y = np.random.default_rng(1).integers(0, 10, n)
        # Sums of up to 9,216 terms; sums over a batch's pixels, layer after layer.
        yield Case("nets", f"{name}, batch {n}", _steps(r, make, x, y), 6.0 * n * products, terms=9216)


def _transformer(r: Rivals, name: str, n: int, t: int, d: int, layers: int) -> Case:
    (x,) = r.arrays((n, t, d))
    y = np.random.default_rng(1).integers(0, d, (n, t))
    flops = 6.0 * n * t * layers * (12 * d * d + 2 * t * d)
    return Case("nets", name, _steps(r, lambda nn: encoder(nn, d, layers), x, y), flops, terms=4 * d)


def _weights(sizes: Sequence[int]) -> dict[str, np.ndarray]:
    mi.manual_seed(0)
    return {k: v.numpy() for k, v in perceptron(mi.nn, sizes).state_dict().items()}


def _steps(r: Rivals, make: Any, x: Any, y: Any) -> dict[str, Any]:
    """The same net and Adam by us, by us captured, and by PyTorch, from the same weights."""

    def ours() -> Any:
        mi.manual_seed(0)
        return make(mi.nn)

    step = training_step(mi, ours(), x, y)
    captured = mi.capture(training_step(mi, ours(), x, y, on_arguments=True))
    mx, my = mi.tensor(x), mi.tensor(y)
    work: dict[str, Any] = {"mielina": step, "mielina captured": lambda: captured(mx, my)}
    image = x.ndim == 4 and x.shape[1] > 1
    if image:
        last = ours().to(memory_format=mi.channels_last)
        work["mielina channels last"] = training_step(mi, last, x, y, memory_format=mi.channels_last)
    if r.torch:
        work["torch"] = training_step(r.torch, r.twin(make, ours()), x, y)
        if image:
            last = r.twin(make, ours()).to(memory_format=r.torch.channels_last)
            work["torch channels last"] = training_step(r.torch, last, x, y, memory_format=r.torch.channels_last)
    return work


def training_step(library: Any, model: Any, x: Any, y: Any, on_arguments: bool = False, **order: Any) -> Any:
    """Forward, cross-entropy, backward and Adam as one function; **order: of the inputs' memory."""
    optimizer = library.optim.Adam(model.parameters())
    cross_entropy = library.nn.functional.cross_entropy
    inputs, targets = library.tensor(x).contiguous(**order), library.tensor(y)

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
