"""The kernel families' cases. Shapes are those of everyday networks, small, middle and memory bound."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import mielina as mi

from ..nn import functional as F
from .case import Case, Rivals, family


def _libraries(
    r: Rivals, arrays: list[Any], ours: Any, numpy: Any = None, torch: Any = None, jax: Any = None
) -> dict[str, Any]:
    """One function a library on its own copies of the arrays."""
    mine = [mi.tensor(a) for a in arrays]
    work: dict[str, Any] = {"mielina": lambda: ours(*mine)}
    if numpy is not None:
        work["numpy"] = lambda: numpy(*arrays)
    if torch is not None and r.torch is not None:
        theirs = r.to_torch(*arrays)
        work["torch"] = lambda: torch(*theirs)
    if jax is not None and r.jax is not None:
        work["jax"] = r.jitted(jax, *arrays)
    return work


def _backward(ours: Any, grad: Any, inputs: list[Any]) -> Any:
    """Forward and backward with a fixed output gradient, gradients thrown away."""
    return lambda: mi.grad(ours(), inputs, grad)


@family("elementwise")
def elementwise(r: Rivals) -> Iterator[Case]:
    t: Any = r.torch
    f: Any = F
    for n in (64, 4096, 1 << 24):
        a, b = r.arrays((n,), (n,))
        yield Case(
            "elementwise",
            f"add {n}",
            _libraries(r, [a, b], mi.add, np.add, t and t.add, r.jax and r.jax.numpy.add),
            n,
            12 * n,
        )
        for name, ours, numpy, torch in (
            ("relu", f.relu, lambda x: np.maximum(x, 0), t and t.relu),
            ("exp", getattr(mi, "exp", None), np.exp, t and t.exp),
            ("tanh", getattr(mi, "tanh", None), np.tanh, t and t.tanh),
            ("gelu", getattr(f, "gelu", None), None, t and t.nn.functional.gelu),
        ):
            if ours is not None:
                yield Case("elementwise", f"{name} {n}", _libraries(r, [a], ours, numpy, torch), n, 8 * n)


@family("reduce")
def reduce(r: Rivals) -> Iterator[Case]:
    t: Any = r.torch
    for shape, dim in (((4096,), None), ((1 << 24,), None), ((4096, 4096), 0), ((4096, 4096), 1), ((64, 128), 0)):
        (a,) = r.arrays(shape)
        yield Case(
            "reduce",
            f"sum {shape} dim={dim}",
            _libraries(
                r,
                [a],
                lambda x, d=dim: mi.sum(x, d),
                lambda x, d=dim: x.sum(d),
                t and (lambda x, d=dim: x.sum(d) if d is not None else x.sum()),
            ),
            a.size,
            a.nbytes,
        )


@family("gemm")
def gemm(r: Rivals) -> Iterator[Case]:
    t: Any = r.torch
    for m, n, k in (
        (16, 16, 16),
        (64, 64, 64),
        (64, 128, 784),
        (33, 257, 511),
        (256,) * 3,
        (512,) * 3,
        (1000,) * 3,
        (1024,) * 3,
        (2048,) * 3,
        (1, 4096, 4096),
    ):
        a, b = r.arrays((m, k), (k, n))
        yield Case(
            "gemm",
            f"{m}x{n}x{k}",
            _libraries(r, [a, b], mi.matmul, np.matmul, t and t.matmul, r.jax and r.jax.numpy.matmul),
            2.0 * m * n * k,
            4.0 * (m * k + k * n + m * n),
        )
    a, b = r.arrays((1024, 1024), (1024, 1024))
    for name, ours, theirs in (
        ("A^T B", lambda x, y: x.T @ y, lambda x, y: x.T @ y),
        ("A B^T", lambda x, y: x @ y.T, lambda x, y: x @ y.T),
    ):
        yield Case(
            "gemm",
            f"1024 {name}",
            _libraries(r, [a, b], ours, theirs, theirs if t else None),
            2.0 * 1024**3,
            12.0 * 1024**2,
        )


@family("conv")
def conv(r: Rivals) -> Iterator[Case]:
    t: Any = r.torch
    f: Any = F
    for n, c, k, size, filt, stride in (
        (1, 3, 64, 224, 3, 1),
        (1, 64, 64, 112, 3, 1),
        (1, 256, 256, 28, 3, 1),
        (8, 128, 128, 28, 3, 1),
        (8, 64, 128, 56, 1, 2),
        (64, 1, 32, 8, 3, 1),
    ):
        x, w = r.arrays((n, c, size, size), (k, c, filt, filt))
        pad = filt // 2
        out = (size + 2 * pad - filt) // stride + 1
        torch = t and (lambda x, w, s=stride, p=pad: t.nn.functional.conv2d(x, w, stride=s, padding=p))
        yield Case(
            "conv",
            f"{n}x{c}->{k} {size}x{size} {filt}x{filt}/{stride}",
            _libraries(r, [x, w], lambda x, w, s=stride, p=pad: f.conv2d(x, w, stride=s, padding=p), None, torch),
            2.0 * n * k * out * out * c * filt * filt,
            4.0 * (x.size + w.size + n * k * out * out),
        )


@family("softmax")
def softmax(r: Rivals) -> Iterator[Case]:
    t: Any = r.torch
    f: Any = F
    for shape in ((64, 10), (256, 1024), (4096, 4096)):
        (x,) = r.arrays(shape)
        y = np.arange(shape[0]) % shape[1]
        yield Case(
            "softmax",
            f"softmax {shape}",
            _libraries(r, [x], lambda x: mi.softmax(x, -1), None, t and (lambda x: t.softmax(x, -1))),
            0,
            2.0 * x.nbytes,
        )
        mine, theirs = mi.tensor(x).requires_grad_(), r.to_torch(x)[0].requires_grad_() if t else None
        target, other = mi.tensor(y), t and t.from_numpy(y)
        work: dict[str, Any] = {"mielina": lambda a=mine, b=target: mi.grad(f.cross_entropy(a, b), a)}
        if t:
            work["torch"] = lambda a=theirs, b=other: t.autograd.grad(t.nn.functional.cross_entropy(a, b), a)
        yield Case("softmax", f"cross_entropy {shape} fwd+bwd", work, 0, 4.0 * x.nbytes)
