"""A fused op against its composite."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mielina.testing.compare import assert_close, tolerance
from mielina.testing.dtypes import Array
from mielina.testing.gradients import floating_outputs
from mielina.testing.library import MIELINA, Library, Tensor


def check_composite(
    fused: Callable[..., Any],
    inputs: Sequence[Any],
    kwargs: Mapping[str, Any] | None = None,
    *,
    composite: Callable[..., Any] | None = None,
    dtype: str = "float64",
    length: float = 1,
    amplification: float = 64,
    library: Library = MIELINA,
) -> None:
    """Compare outputs, gradients and second gradients of fused(*inputs, **kwargs) with its composite's.

    composite: the same call made of primitives; default `fused.composite`. inputs: float arrays become leaves of
    `dtype`, other arrays tensors of their own dtype. Three gradients are compared: without create_graph (the fused
    backward kernel), with it, and the gradient of <gradient, w> for a fixed random w. Errors are relative to the
    largest entry.
    """
    if composite is None:
        composite = getattr(fused, "composite", None)
        if composite is None:
            raise ValueError("check_composite: the op declares no composite, and none was given")
    found = _derivatives(fused, inputs, kwargs or {}, dtype, library)
    expected = _derivatives(composite, inputs, kwargs or {}, dtype, library)
    for what, values in expected.items():
        if len(found[what]) != len(values):
            raise AssertionError(f"composite: {what}: expected {len(values)} arrays, got {len(found[what])}")
        for i, ((name, a), (expected_name, e)) in enumerate(zip(found[what], values, strict=True)):
            if name != expected_name:
                raise AssertionError(f"composite: {what} {i}: expected {expected_name}, got {name}")
            largest = float(np.max(np.abs(np.where(np.isfinite(e), e, 0.0)), initial=0.0))
            assert_close(a, e, name, tolerance(name, length, amplification), largest, f"composite: {what} {i}")


def _derivatives(
    fn: Callable[..., Any], inputs: Sequence[Any], kwargs: Mapping[str, Any], dtype: str, library: Library
) -> dict[str, list[tuple[str, Array]]]:
    arguments, leaves = [], []
    for x in inputs:
        if isinstance(x, np.ndarray):
            floating = x.dtype.kind == "f"
            x = library.tensor(x, dtype if floating else None)
            if floating:
                x = library.leaf(x)
                leaves.append(x)
        arguments.append(x)
    rng = np.random.default_rng(0)

    def draw(like: Tensor) -> Tensor:
        return library.tensor(rng.integers(-16, 17, tuple(like.shape)) / 8, library.dtype_name(like))

    def read(tensors: Sequence[Tensor | None]) -> list[tuple[str, Array]]:
        shapes = [tuple(x.shape) for x in leaves]
        return [
            (dtype, np.zeros(shape)) if t is None else (library.dtype_name(t), library.numpy(t))
            for t, shape in zip(tensors, shapes, strict=True)
        ]

    outputs = floating_outputs(fn(*arguments, **kwargs), library)
    result = {"output": [(library.dtype_name(y), library.numpy(y)) for y in outputs]}
    v = [draw(y) for y in outputs]
    result["gradient"] = read(library.grad(outputs, leaves, v))
    outputs = floating_outputs(fn(*arguments, **kwargs), library)
    first = library.grad(outputs, leaves, v, create_graph=True)
    result["gradient with create_graph"] = read(first)
    weights = [draw(x) for x in leaves]
    kept = [(g, w) for g, w in zip(first, weights, strict=True) if g is not None and g.requires_grad]
    second = library.grad([g for g, _ in kept], leaves, [w for _, w in kept]) if kept else [None] * len(leaves)
    result["second gradient"] = read(second)
    return result
