"""Random numbers drawn by ops."""

from __future__ import annotations

from typing import Any

from .. import _core
from ..autograd import op, record
from ..random import default_generator
from ..tensor import Tensor

__all__ = ["dropout"]
__functional__ = ["dropout"]


def dropout(input: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """Each element is zeroed with probability p, the others scaled by 1 / (1 - p); the identity when not training.

    Only the generator's key is kept for the gradient, not the mask. ValueError: p outside [0, 1].
    Source: Srivastava et al. 2014.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: probability has to be between 0 and 1, but got {p}")
    if not training or p == 0:
        return input
    return keyed_dropout(input, _core.take_key(default_generator.state, input.numel(), input.dtype), p)


def keyed_dropout(x: Tensor, key: Tensor, p: float) -> Tensor:
    return record(_core.dropout(x, key, p), DROPOUT, (x,), (key, p))  # type: ignore[no-any-return]


def _dropout_rule(g: Tensor, needs: Any, key: Tensor, p: float) -> Any:
    return (keyed_dropout(g, key, p),)  # linear: the gradient is the same mask


DROPOUT = op("dropout", _dropout_rule)
