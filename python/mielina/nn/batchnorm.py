"""Normalisation over the batch, and over single instances: layers that may keep running statistics."""

from __future__ import annotations

from typing import Any

from .. import _core, dtypes
from ..tensor import Tensor
from . import functional as F
from . import init
from .linear import parameter
from .module import Module


class _Norm(Module):
    """A scale, a shift and running statistics a channel; `affine` and `track_running_stats` choose which."""

    ndims: tuple[int, ...]  # of an input

    running_mean: Any  # Tensors, or None without track_running_stats
    running_var: Any
    num_batches_tracked: Any

    def __init__(
        self,
        num_features: int,
        eps: float,
        momentum: float | None,
        affine: bool,
        track_running_stats: bool,
        dtype: Any,
        bias: bool,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        self.weight = parameter(num_features, dtype=dtype) if affine else None
        self.bias = parameter(num_features, dtype=dtype) if affine and bias else None
        statistics = track_running_stats
        dtype = dtype or dtypes.get_default_dtype()
        self.register_buffer("running_mean", _core.empty((num_features,), dtype) if statistics else None)
        self.register_buffer("running_var", _core.empty((num_features,), dtype) if statistics else None)
        self.register_buffer("num_batches_tracked", _core.empty((), dtypes.int64) if statistics else None)
        self.reset_parameters()

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        """Files from before batches were counted: the count stays as it is."""
        if self.num_batches_tracked is not None:
            state_dict.setdefault(prefix + "num_batches_tracked", self.num_batches_tracked.detach())
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def reset_running_stats(self) -> None:
        if self.track_running_stats:
            init.zeros_(self.running_mean)
            init.ones_(self.running_var)
            init.zeros_(self.num_batches_tracked)

    def reset_parameters(self) -> None:
        self.reset_running_stats()
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def _check(self, input: Tensor) -> None:
        if input.ndim not in self.ndims:
            raise ValueError(f"expected {' or '.join(f'{n}D' for n in self.ndims)} input (got {input.ndim}D input)")

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_Norm):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, dtype, bias)

    def forward(self, input: Tensor) -> Tensor:
        self._check(input)
        if self.training and self.track_running_stats and self.num_batches_tracked is not None:
            _core.add_(self.num_batches_tracked, 1)
            if self.momentum is None:
                return self._averaging(input)
        factor = 0.0 if self.momentum is None else self.momentum
        from_batch = self.training or (self.running_mean is None and self.running_var is None)
        keep = not self.training or self.track_running_stats
        return F.batch_norm(
            input,
            self.running_mean if keep else None,
            self.running_var if keep else None,
            self.weight,
            self.bias,
            from_batch,
            factor,
            self.eps,
        )

    def _averaging(self, input: Tensor) -> Tensor:
        """In training with the plain mean over all batches so far as statistics. Their number is read where the
        statistics are moved, so that a captured step counts on.
        """
        mean, var = _core.clone(self.running_mean), _core.clone(self.running_var)
        y = F.batch_norm(input, mean, var, self.weight, self.bias, True, 1.0, self.eps)
        for running, of_batch in ((self.running_mean, mean), (self.running_var, var)):
            _core.add_(running, (of_batch - running) / self.num_batches_tracked)
        return y


class BatchNorm1d(_BatchNorm):
    """Each channel of (N, C) or (N, C, L) to mean 0 and variance 1 over the batch. Source: Ioffe & Szegedy 2015.

    >>> nn.BatchNorm1d(3)(mi.zeros(2, 3)).shape
    (2, 3)
    """

    ndims = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Each channel of (N, C, H, W) to mean 0 and variance 1 over the batch. Source: Ioffe & Szegedy 2015.

    >>> nn.BatchNorm2d(3)(mi.zeros(2, 3, 4, 4)).shape
    (2, 3, 4, 4)
    """

    ndims = (4,)


class BatchNorm3d(_BatchNorm):
    """Each channel of (N, C, D, H, W) to mean 0 and variance 1 over the batch. Source: Ioffe & Szegedy 2015."""

    ndims = (5,)


class _InstanceNorm(_Norm):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, dtype, bias)

    def forward(self, input: Tensor) -> Tensor:
        self._check(input)
        channels = input.ndim - self.ndims[1] + 1
        if input.shape[channels] != self.num_features:
            if self.affine:
                raise ValueError(
                    f"expected input's size at dim={channels} to match num_features ({self.num_features}), "
                    f"but got: {input.shape[channels]}."
                )
        lone = input.ndim == self.ndims[0]
        y = F.instance_norm(
            input.unsqueeze(0) if lone else input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            0.0 if self.momentum is None else self.momentum,
            self.eps,
        )
        return y.squeeze(0) if lone else y


class InstanceNorm1d(_InstanceNorm):
    """Each channel of each sample of (N, C, L) or (C, L) to mean 0, variance 1. Source: Ulyanov et al. 2016."""

    ndims = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """Each channel of each sample of (N, C, H, W) or (C, H, W) to mean 0, variance 1. Source: Ulyanov et al. 2016."""

    ndims = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """Each channel of each sample of (N, C, D, H, W) or (C, D, H, W) to mean 0, variance 1. Ulyanov et al. 2016."""

    ndims = (4, 5)
