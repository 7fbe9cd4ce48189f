"""What all losses share: their reduction, and PyTorch's older keywords for it."""

from __future__ import annotations

import warnings
from typing import Any

from ...tensor import Tensor
from ..elementwise import div
from ..reduce import mean, sum

REDUCTIONS = ("none", "mean", "sum")


def mode(reduction: str, size_average: bool | None = None, reduce: bool | None = None) -> str:
    """The reduction's name; size_average and reduce are PyTorch's deprecated keywords. ValueError: an unknown name."""
    if size_average is not None or reduce is not None:
        warnings.warn("size_average and reduce are deprecated, use reduction= instead", UserWarning, stacklevel=3)
        if reduce is False:
            return "none"
        return "sum" if size_average is False else "mean"
    if reduction not in REDUCTIONS:
        raise ValueError(f'{reduction!r} is not a valid value for reduction; use "none", "mean" or "sum"')
    return reduction


def reduced(loss: Tensor, reduction: str) -> Tensor:
    """The losses of the elements, their mean, or their sum."""
    return loss if reduction == "none" else mean(loss) if reduction == "mean" else sum(loss)


def weighted(loss: Tensor, weight: Any, reduction: str) -> Tensor:
    """The weighted mean divides by the sum of the weights."""
    if reduction != "mean":
        return reduced(loss * weight, reduction)
    return div(sum(loss * weight), sum(weight.expand(loss.shape)))
