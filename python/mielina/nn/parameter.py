"""Tensors that a module registers when they are assigned to it."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _core, dtypes
from ..tensor import Tensor


class Parameter(Tensor):
    """A leaf that is trained: `Parameter(tensor)` shares the tensor's memory and asks for a gradient.

    >>> nn.Parameter(mi.zeros(2)).requires_grad
    True
    """

    __slots__ = ()

    def __new__(cls, data: Any = None, requires_grad: bool = True) -> Parameter:
        if data is None:
            data = _core.empty((0,), dtypes.get_default_dtype())
        self: Parameter = super().__new__(cls, data)
        if requires_grad:
            self.requires_grad_()
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        """A parameter of its own, without the gradient."""
        memo[id(self)] = copy = type(self)(_core.clone(self), self._leaf_flag)
        return copy

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()


class Buffer(Tensor):
    """A tensor that belongs to a module's state but is not trained; assigning it registers it as a buffer."""

    __slots__ = ("persistent",)

    persistent: bool

    def __new__(cls, data: Tensor, persistent: bool = True) -> Buffer:
        self: Buffer = super().__new__(cls, data)
        self.persistent = persistent
        return self


def as_value(x: Any) -> Tensor:
    """A tensor for a state-dict entry: ours, or anything that NumPy reads (an array, another library's CPU tensor)."""
    if isinstance(x, Tensor):
        return x.detach()
    array = np.asarray(x)
    if not array.flags.writeable or not array.flags.c_contiguous:
        array = np.array(array, order="C")
    return _core.from_numpy(array)  # type: ignore[no-any-return]
