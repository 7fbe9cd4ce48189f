"""All parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable

from ... import _core
from ...tensor import Tensor


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """The elements of all parameters, one after the other.

    >>> nn.utils.parameters_to_vector([mi.ones(2), mi.zeros(1)])
    tensor([1., 1., 0.])
    """
    from ...ops import cat

    return cat([p.reshape(-1) for p in parameters], 0)  # type: ignore[no-any-return]


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Writes the slices of a vector into the parameters. TypeError for anything but a tensor."""
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected Tensor, but got: {type(vec).__name__}")
    at, vec = 0, vec.detach()
    for p in parameters:
        n = p.numel()
        _core.copy_into(p, vec.narrow(0, at, n).reshape(p.shape))
        at += n
