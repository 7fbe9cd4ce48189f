"""Layers that learn their input's size from the first batch: `LazyLinear(10)` becomes `Linear(n, 10)` when it is
called.

Until then their parameters are empty. They stay the same objects, so that an optimiser may be made before.
"""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor
from . import batchnorm, conv, linear
from .module import Module

__all__ = ["LazyLinear"] + [
    f"Lazy{kind}{n}d" for kind in ("Conv", "ConvTranspose", "BatchNorm", "InstanceNorm") for n in (1, 2, 3)
]


class Lazy(Module):
    """What they share; a subclass is also one of the class that it becomes."""

    becomes: Any
    size: str  # the attribute that is read off the input

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.becomes.__init__(self, 0, *args, **kwargs)
        self._settings = (args, kwargs)

    def _size(self, input: Tensor) -> int:
        """The size that the first input shows."""
        raise NotImplementedError

    def _weight_size(self, shape: tuple[int, ...]) -> int:
        """The size that a weight of this shape was made for."""
        return shape[0]

    def has_uninitialized_params(self) -> bool:
        return True

    def materialize(self, size: int) -> None:
        """Becomes the layer for inputs of this size."""
        args, kwargs = self.__dict__.pop("_settings")
        fresh = self.becomes(size, *args, **kwargs)
        for mine, new in zip(
            [*self.parameters(), *self.buffers()], [*fresh.parameters(), *fresh.buffers()], strict=True
        ):
            mine.data = new.detach().to(mine.dtype)
        setattr(self, self.size, size)
        self.__class__ = self.becomes

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        """Takes the size from the state dict."""
        becomes = self.becomes
        for name in ("weight", "running_mean"):
            if prefix + name in state_dict:
                self.materialize(self._weight_size(tuple(state_dict[prefix + name].shape)))
                break
        becomes._load_from_state_dict(self, state_dict, prefix, *rest)

    def forward(self, input: Tensor, *args: Any, **kwargs: Any) -> Any:
        self.materialize(self._size(input))
        return self.forward(input, *args, **kwargs)


class LazyLinear(Lazy, linear.Linear):
    """Linear whose in_features is the last size of the first input."""

    becomes = linear.Linear
    size = "in_features"

    def _size(self, input: Tensor) -> int:
        return input.shape[-1]

    def _weight_size(self, shape: tuple[int, ...]) -> int:
        return shape[1]


class _LazyConv(Lazy, conv._Conv):
    size = "in_channels"

    def _size(self, input: Tensor) -> int:
        return input.shape[-self.ndim - 1]

    def _weight_size(self, shape: tuple[int, ...]) -> int:
        return shape[0] if self.transposed else shape[1] * self.groups


class _LazyNorm(Lazy, batchnorm._Norm):
    """All of them are affine and track statistics by default, as PyTorch's lazy ones."""

    size = "num_features"

    def __init__(
        self,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        Lazy.__init__(self, eps, momentum, affine, track_running_stats, dtype=dtype, bias=bias)

    def _size(self, input: Tensor) -> int:
        alone = isinstance(self, batchnorm._InstanceNorm) and input.ndim == self.ndims[0]
        return input.shape[0 if alone else 1]


def _made(base: Any, kind: Any) -> Any:
    doc = f"{kind.__name__} whose {base.size} is read off the first input."
    body = {"__doc__": doc, "becomes": kind, "__module__": __name__, "__init__": base.__init__}
    return type("Lazy" + kind.__name__, (base, kind), body)


LazyConv1d, LazyConv2d, LazyConv3d = (_made(_LazyConv, k) for k in (conv.Conv1d, conv.Conv2d, conv.Conv3d))
LazyConvTranspose1d, LazyConvTranspose2d, LazyConvTranspose3d = (
    _made(_LazyConv, k) for k in (conv.ConvTranspose1d, conv.ConvTranspose2d, conv.ConvTranspose3d)
)
LazyBatchNorm1d, LazyBatchNorm2d, LazyBatchNorm3d = (
    _made(_LazyNorm, k) for k in (batchnorm.BatchNorm1d, batchnorm.BatchNorm2d, batchnorm.BatchNorm3d)
)
LazyInstanceNorm1d, LazyInstanceNorm2d, LazyInstanceNorm3d = (
    _made(_LazyNorm, k) for k in (batchnorm.InstanceNorm1d, batchnorm.InstanceNorm2d, batchnorm.InstanceNorm3d)
)
