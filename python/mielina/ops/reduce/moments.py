"""Variance, standard deviation, covariance."""

from __future__ import annotations

from typing import Any, NamedTuple

from ... import _core
from ...autograd import OUTPUT, OUTPUTS, op, record
from ...tensor import Tensor, also_axis, check_tensors, method
from .. import elementwise as ew
from ..layout import diagonal, reshape, unsqueeze
from .shapes import axes_of, folded, unfold
from .sums import mean, sum

__all__ = ["var", "std", "var_mean", "std_mean", "cov", "corrcoef"]


def _arguments(dim: Any, unbiased: Any, correction: Any, axis: Any) -> tuple[Any, float]:
    """PyTorch's three ways to say what is subtracted from n: std(x, False), unbiased=False, correction=0."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if unbiased is not None:
        if correction is not None:
            raise TypeError("var and std: give correction= or unbiased=, not both")
        correction = int(unbiased)
    return axis if dim is None else dim, 1.0 if correction is None else float(correction)


@method
def var(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
    axis: Any = None,
    keepdims: bool | None = None,
) -> Tensor:
    """sum (x - mean)^2 / max(0, n - correction) over `dim`, in one pass. correction: 1, or 0 if unbiased=False.

    >>> mi.var(mi.tensor([1.0, 2.0, 3.0]))
    tensor(1.)
    >>> mi.var(mi.tensor([1.0, 2.0, 3.0]), correction=0)
    tensor(0.6667)
    """
    dim, c = _arguments(dim, unbiased, correction, axis)
    keepdim = keepdim if keepdims is None else keepdims
    return record(_core.var(input, axes_of(dim), c, keepdim), VAR, (input,), (input, dim, c, keepdim))  # type: ignore[no-any-return]


@method
def std(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
    axis: Any = None,
    keepdims: bool | None = None,
) -> Tensor:
    """The square root of `var`. The gradient where it is 0 is 0.

    >>> mi.std(mi.tensor([1.0, 2.0, 3.0]))
    tensor(1.)
    """
    dim, c = _arguments(dim, unbiased, correction, axis)
    keepdim = keepdim if keepdims is None else keepdims
    return record(_core.std(input, axes_of(dim), c, keepdim), STD, (input,), (input, OUTPUT, dim, c, keepdim))  # type: ignore[no-any-return]


def _var_gradient(g: Tensor, x: Tensor, dim: Any, correction: float, keepdim: bool) -> Tensor:
    """2 g (x - mean) / (n - correction)"""
    left = folded(x.shape, dim) - correction
    center = ew.sub(x, mean(x, dim, True))
    g = unfold(g, x.shape, dim, keepdim)
    if left <= 0 and (dim is None or not x.ndim):  # as PyTorch: infinite, and NaN at the mean itself
        return ew.mul(g, ew.where(ew.eq(center, 0), float("nan"), ew.add(ew.mul(center.detach(), 0), float("inf"))))
    return ew.mul(ew.mul(g, 2.0 / left if left else float("inf")), center)


def _root_gradient(g: Tensor, y: Tensor) -> Tensor:
    """g / 2y, and 0 where y is 0."""
    zero = ew.eq(y, 0)
    none = ew.mul(y.detach(), 0)
    return ew.where(zero, none, ew.div(g, ew.mul(ew.where(zero, ew.add(none, 1), y), 2)))


VAR = op("var", lambda g, needs, x, dim, c, keepdim: (_var_gradient(g, x, dim, c, keepdim),))
STD = op("std", lambda g, needs, x, y, dim, c, keepdim: (_var_gradient(_root_gradient(g, y), x, dim, c, keepdim),))


class VarMean(NamedTuple):
    var: Tensor
    mean: Tensor


class StdMean(NamedTuple):
    std: Tensor
    mean: Tensor


@also_axis
def var_mean(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> VarMean:
    """(var, mean) over `dim`, in one pass.

    >>> mi.var_mean(mi.tensor([1.0, 2.0, 3.0]))
    VarMean(var=tensor(1.), mean=tensor(2.))
    """
    dim, c = _arguments(dim, unbiased, correction, None)
    y = _core.var_mean(input, axes_of(dim), c, keepdim)
    return VarMean(*record(y, VAR_MEAN, (input,), (input, OUTPUTS[0], dim, c, keepdim, False)))


@also_axis
def std_mean(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> StdMean:
    """(std, mean) over `dim`, in one pass.

    >>> mi.std_mean(mi.tensor([1.0, 2.0, 3.0]))
    StdMean(std=tensor(1.), mean=tensor(2.))
    """
    dim, c = _arguments(dim, unbiased, correction, None)
    y = _core.std_mean(input, axes_of(dim), c, keepdim)
    return StdMean(*record(y, STD_MEAN, (input,), (input, OUTPUTS[0], dim, c, keepdim, True)))


def _moments_rule(g: Any, needs: Any, x: Tensor, y: Tensor, dim: Any, c: float, keepdim: bool, root: bool) -> Any:
    parts = []
    if g[0] is not None:
        parts.append(_var_gradient(_root_gradient(g[0], y) if root else g[0], x, dim, c, keepdim))
    if g[1] is not None:
        parts.append(unfold(ew.div(g[1], folded(x.shape, dim)), x.shape, dim, keepdim))
    return (parts[0] if len(parts) == 1 else ew.add(*parts),)


VAR_MEAN = op("var_mean", _moments_rule)
STD_MEAN = op("std_mean", _moments_rule)


# ---- covariance ------------------------------------------------------------------------------------------------------
@method
def cov(
    input: Tensor, *, correction: int = 1, fweights: Tensor | None = None, aweights: Tensor | None = None
) -> Tensor:
    """The covariance matrix of the rows of input (variables) over its columns (observations).

    fweights: how often each observation counts (integers); aweights: its weight. RuntimeError: over two dimensions.

    >>> mi.cov(mi.tensor([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    check_tensors("cov", input)
    from ..gemm import matmul

    if input.ndim > 2:
        raise RuntimeError(f"cov: expected at most two dimensions, got shape {input.shape}")
    if input.dtype.name == "bool":
        raise RuntimeError("cov: bool is not supported; convert it first")
    x = reshape(input, 1, -1) if input.ndim < 2 else input
    if not x.dtype.is_floating_point:
        x = ew.mul(x, 1.0)
    w = _weights(x, fweights, aweights)
    if w is None:
        total: Any = x.shape[1]
        norm: Any = total - correction
        center = mean(x, 1, True)
    else:
        total = sum(w)
        center = ew.div(sum(ew.mul(x, w), 1, True), total)
        norm = ew.sub(
            total,
            ew.div(ew.mul(sum(ew.mul(w, aweights)), correction), total) if aweights is not None else correction,
        )
    norm = ew.clamp(norm, 0) if isinstance(norm, Tensor) else float(norm if norm > 0 else 0)
    d = ew.sub(x, center)
    weighted = d if w is None else ew.mul(d, w)
    y = ew.div(matmul(weighted, ew.cast(d, weighted.dtype).T), norm)
    return reshape(y, ()) if y.numel() == 1 else y


def _weights(x: Tensor, fweights: Tensor | None, aweights: Tensor | None) -> Tensor | None:
    w = None
    for part, name in ((fweights, "fweights"), (aweights, "aweights")):
        if part is None:
            continue
        if part.shape != (x.shape[1],):
            raise RuntimeError(
                f"cov: {name} must hold one number for each of the {x.shape[1]} observations, got shape {part.shape}"
            )
        if part.dtype.is_floating_point != (name == "aweights"):
            raise RuntimeError(
                f"cov: {name} must be {'floating' if name == 'aweights' else 'integers'}, got {part.dtype}"
            )
        if part.numel() and _core.amin(part, (), False).item() < 0:
            raise RuntimeError(f"cov: {name} cannot be negative")
        w = part if w is None else ew.mul(w, part)
    if w is not None and not _core.sum(w, (), False, None).item():
        raise RuntimeError("cov: the weights sum to zero")
    return w


@method
def corrcoef(input: Tensor) -> Tensor:
    """Pearson's correlation coefficients of the rows of input, clipped to [-1, 1].

    >>> mi.corrcoef(mi.tensor([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    check_tensors("corrcoef", input)
    c = cov(input)
    if c.ndim == 0:
        return ew.div(c, c)
    s = ew.sqrt(diagonal(c))
    return ew.clamp(ew.div(ew.div(c, unsqueeze(s, 1)), unsqueeze(s, 0)), -1, 1)
