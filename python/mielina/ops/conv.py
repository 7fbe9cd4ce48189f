"""Convolution: cross-correlation, as in every deep-learning library."""

from __future__ import annotations

from typing import Any

from .. import _core
from ..autograd import op, record
from ..tensor import Tensor

__all__ = []
__functional__ = ["conv2d"]


def _tuple(x: Any, n: int) -> tuple[int, ...]:
    return (x,) * n if isinstance(x, int) else tuple(x)


def conv2d(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1) -> Tensor:
    """y[n, k, p, q] = b[k] + sum_{c, r, s} x[n, c, p stride + r dilation - padding, ...] w[k, c, r, s].

    input: (N, C, H, W), weight: (K, C / groups, R, S), bias: (K) or None.
    RuntimeError: sizes, dtypes or groups that do not fit.
    """
    y = _core.conv(input, weight, bias, _tuple(stride, 2), _tuple(padding, 2), _tuple(dilation, 2), groups)
    return record(y, CONV, (input, weight, bias), (input, weight))  # type: ignore[no-any-return]


def _conv_rule(g: Tensor, needs: Any, x: Tensor, w: Tensor) -> Any:
    raise NotImplementedError("conv2d has no gradient yet")


CONV = op("conv", _conv_rule)
