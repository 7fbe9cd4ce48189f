"""Gradients against central differences, in float64."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mielina.testing.dtypes import Array, is_float
from mielina.testing.library import MIELINA, Library, Tensor

FULL_JACOBIAN = 4096  # entries; larger ones are checked along random directions only
DIRECTIONS = 3


def gradcheck(
    fn: Callable[..., Any],
    inputs: Sequence[Any] | Tensor,
    eps: float = 1e-6,
    atol: float = 1e-7,
    rtol: float = 1e-5,
    *,
    seed: int = 0,
    library: Library = MIELINA,
) -> bool:
    """Compare the gradients of fn(*inputs) with (f(x + eps u) - f(x - eps u)) / 2 eps. True, or AssertionError.

    inputs: float64 tensors that require gradients are differentiated, other tensors and values are passed through. fn
    returns a tensor or a sequence; floating outputs are checked. Three random directions are compared,
    <v, J u> = <J^T v, u>, and the whole Jacobian where it has at most 4,096 entries. The rounding of f costs about
    1e-16 |f| / eps = 1e-10 |f|, the truncation eps^2 f''' / 6, so the defaults leave a wide margin.

    Also checked: two calls give the same bits, gradients have their input's shape and dtype, a strided cotangent gives
    the gradient of a contiguous one. ValueError: a floating input is not float64, or none requires a gradient.
    """
    inputs = [inputs] if library.is_tensor(inputs) else inputs
    wanted = _differentiable(inputs, library)
    problem = _Problem(fn, inputs, wanted, library)
    rng = np.random.default_rng(seed)
    again = problem.evaluate(problem.values)
    for y, z in zip(problem.evaluate(problem.values), again, strict=True):
        if not np.array_equal(y, z, equal_nan=True):
            raise AssertionError("gradcheck: two calls gave different outputs; seed the random numbers inside fn")
    cotangents = [[np.asarray(rng.standard_normal(y.shape)) for y in again] for _ in range(DIRECTIONS)]
    for cotangent in cotangents:
        tangent = [np.asarray(rng.standard_normal(x.shape)) for x in problem.values]
        gradients = problem.vjp(cotangent)
        numeric = problem.difference(tangent, eps)
        left = sum(float(np.sum(v * d)) for v, d in zip(cotangent, numeric, strict=True))
        right = sum(float(np.sum(g * u)) for g, u in zip(gradients, tangent, strict=True))
        scale = sum(float(np.sum(np.abs(g * u))) for g, u in zip(gradients, tangent, strict=True))
        _compare(np.asarray(right), np.asarray(left), atol * max(1.0, scale), rtol, "directional derivative <v, J u>")
    _strided_cotangent(problem, cotangents[0])
    rows, columns = sum(y.size for y in again), sum(x.size for x in problem.values)
    if rows * columns <= FULL_JACOBIAN:
        for index, analytic, numeric_jacobian in problem.jacobians(again, eps):
            _compare(analytic, numeric_jacobian, atol, rtol, f"Jacobian (inputs x outputs) of input {index}")
    return True


def gradgradcheck(
    fn: Callable[..., Any],
    inputs: Sequence[Any] | Tensor,
    eps: float = 1e-6,
    atol: float = 1e-7,
    rtol: float = 1e-5,
    *,
    seed: int = 0,
    library: Library = MIELINA,
) -> bool:
    """gradcheck of the gradients themselves: of (inputs, cotangents v) -> J^T v, taken with create_graph."""
    inputs = [inputs] if library.is_tensor(inputs) else inputs
    wanted = _differentiable(inputs, library)
    problem = _Problem(fn, inputs, wanted, library)
    rng = np.random.default_rng(seed)
    draws = [rng.standard_normal(y.shape) for y in problem.evaluate(problem.values)]
    cotangents = [library.leaf(library.tensor(v, "float64", problem.device)) for v in draws]

    def gradient(*arguments: Any) -> list[Tensor]:
        arguments, v = arguments[: len(inputs)], arguments[len(inputs) :]
        outputs = floating_outputs(fn(*arguments), library)
        kept = [(y, c) for y, c in zip(outputs, v, strict=True) if y.requires_grad]
        leaves = [arguments[i] for i in wanted]
        found = library.grad([y for y, _ in kept], leaves, [c for _, c in kept], create_graph=True)
        return [g if g is not None else x * 0.0 for g, x in zip(found, leaves, strict=True)]

    return gradcheck(gradient, [*inputs, *cotangents], eps, atol, rtol, seed=seed + 1, library=library)


class _Problem:
    """fn as a function of the differentiable inputs alone, as NumPy arrays."""

    def __init__(self, fn: Callable[..., Any], inputs: Sequence[Any], wanted: list[int], library: Library) -> None:
        self.fn, self.inputs, self.wanted, self.library = fn, list(inputs), wanted, library
        self.values = [library.numpy(inputs[i]) for i in wanted]
        self.device = library.device_name(inputs[wanted[0]])

    def _call(self, leaves: Sequence[Tensor]) -> list[Tensor]:
        arguments = list(self.inputs)
        for i, leaf in zip(self.wanted, leaves, strict=True):
            arguments[i] = leaf
        return floating_outputs(self.fn(*arguments), self.library)

    def evaluate(self, values: Sequence[Array]) -> list[Array]:
        leaves = [self.library.leaf(self.library.tensor(x, "float64", self.device)) for x in values]
        return [self.library.numpy(y) for y in self._call(leaves)]

    def vjp(self, cotangents: Sequence[Array], wrap: Callable[[Tensor], Tensor] = lambda v: v) -> list[Array]:
        """J^T v; the inputs keep their strides."""
        leaves = [self.library.leaf(self.inputs[i]) for i in self.wanted]
        kept = [(y, v) for y, v in zip(self._call(leaves), cotangents, strict=True) if y.requires_grad]
        if not kept:
            return [np.zeros(x.shape) for x in self.values]
        tensors = [wrap(self.library.tensor(v, self.library.dtype_name(y), self.device)) for y, v in kept]
        gradients = self.library.grad([y for y, _ in kept], leaves, tensors)
        for i, g, x in zip(self.wanted, gradients, leaves, strict=True):
            if g is not None and (tuple(g.shape) != tuple(x.shape) or self.library.dtype_name(g) != "float64"):
                raise AssertionError(
                    f"gradcheck: gradient of input {i} is {self.library.dtype_name(g)} {tuple(g.shape)}, "
                    f"expected float64 {tuple(x.shape)}"
                )
        return [
            np.zeros(x.shape) if g is None else self.library.numpy(g)
            for g, x in zip(gradients, self.values, strict=True)
        ]

    def difference(self, tangent: Sequence[Array], eps: float) -> list[Array]:
        """(f(x + eps u) - f(x - eps u)) / 2 eps"""
        plus = self.evaluate([x + eps * u for x, u in zip(self.values, tangent, strict=True)])
        minus = self.evaluate([x - eps * u for x, u in zip(self.values, tangent, strict=True)])
        return [(p - m) / (2 * eps) for p, m in zip(plus, minus, strict=True)]

    def jacobians(self, outputs: Sequence[Array], eps: float) -> list[tuple[int, Array, Array]]:
        """(index of the input, analytic, numeric) with Jacobians of shape (input size, all outputs' size)."""
        ends = np.cumsum([0, *(y.size for y in outputs)])
        columns = []
        for unit in np.eye(int(ends[-1])):
            parts = [unit[a:b].reshape(y.shape) for a, b, y in zip(ends[:-1], ends[1:], outputs, strict=True)]
            columns.append(self.vjp(parts))
        result = []
        for k, (i, x) in enumerate(zip(self.wanted, self.values, strict=True)):
            numeric = np.zeros((x.size, int(ends[-1])))
            for j, unit in enumerate(np.eye(x.size)):
                tangent = [np.zeros(v.shape) for v in self.values]
                tangent[k] = unit.reshape(x.shape)
                numeric[j] = np.concatenate([d.ravel() for d in self.difference(tangent, eps)])
            analytic = np.array([column[k].ravel() for column in columns]).reshape(int(ends[-1]), x.size).T
            result.append((i, analytic, numeric))
        return result


def _strided_cotangent(problem: _Problem, cotangents: Sequence[Array]) -> None:
    """The gradient must not care how its cotangent lies in memory."""

    def transposed(v: Tensor) -> Tensor:
        axes = tuple(reversed(range(len(v.shape))))
        return v.permute(axes).contiguous().permute(axes)

    for a, b in zip(problem.vjp(cotangents), problem.vjp(cotangents, transposed), strict=True):
        if not np.allclose(a, b, rtol=1e-12, atol=1e-12, equal_nan=True):
            raise AssertionError("gradcheck: a transposed cotangent gives another gradient than a contiguous one")


def _differentiable(inputs: Sequence[Any], library: Library) -> list[int]:
    wanted = []
    for i, x in enumerate(inputs):
        if library.is_tensor(x) and is_float(library.dtype_name(x)):
            if library.dtype_name(x) != "float64":
                raise ValueError(f"gradcheck: expected float64 inputs, got {library.dtype_name(x)} for input {i}")
            if x.requires_grad:
                wanted.append(i)
    if not wanted:
        raise ValueError("gradcheck: no input requires a gradient")
    return wanted


def floating_outputs(outputs: Any, library: Library) -> list[Tensor]:
    outputs = outputs if isinstance(outputs, (tuple, list)) else [outputs]
    return [y for y in outputs if library.is_tensor(y) and is_float(library.dtype_name(y))]


def _compare(analytic: Array, numeric: Array, atol: float, rtol: float, what: str) -> None:
    with np.errstate(invalid="ignore"):
        near = np.abs(analytic - numeric) <= atol + rtol * np.abs(numeric)  # False wherever either is NaN
    if near.all():
        return
    index = tuple(int(i) for i in np.argwhere(~near)[0])
    raise AssertionError(
        f"gradcheck: {what}: {np.count_nonzero(~near)} of {near.size} differ; at {index} analytic {analytic[index]!r}, "
        f"numeric {numeric[index]!r}"
    )
