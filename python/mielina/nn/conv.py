"""Convolutions and transposed convolutions in one to three dimensions."""

from __future__ import annotations

import math
from typing import Any

from ..tensor import Tensor
from . import functional as F
from .linear import parameter, uniform_fan_in
from .module import Module

_MODES = ("zeros", "reflect", "replicate", "circular")


def tuple_of(x: Any, n: int) -> tuple[Any, ...]:
    return tuple(x) if isinstance(x, (tuple, list)) else (x,) * n


class _Conv(Module):
    """What they share. weight: (out, in / groups, *kernel_size), transposed (in, out / groups, *kernel_size)."""

    ndim: int
    transposed = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any,
        padding: Any,
        dilation: Any,
        groups: int,
        bias: bool,
        padding_mode: str,
        dtype: Any,
        output_padding: Any = 0,
    ) -> None:
        super().__init__()
        if groups <= 0:
            raise ValueError("groups must be a positive integer")
        if in_channels % groups:
            raise ValueError("in_channels must be divisible by groups")
        if out_channels % groups:
            raise ValueError("out_channels must be divisible by groups")
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise ValueError(f"Invalid padding string {padding!r}, should be one of {{'valid', 'same'}}")
            if padding == "same" and any(s != 1 for s in tuple_of(stride, self.ndim)):
                raise ValueError("padding='same' is not supported for strided convolutions")
        if padding_mode not in _MODES:
            raise ValueError(f"padding_mode must be one of {set(_MODES)}, but got padding_mode='{padding_mode}'")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = tuple_of(kernel_size, self.ndim)
        self.stride = tuple_of(stride, self.ndim)
        self.padding = padding if isinstance(padding, str) else tuple_of(padding, self.ndim)
        self.dilation = tuple_of(dilation, self.ndim)
        self.output_padding = tuple_of(output_padding, self.ndim)
        self.groups = groups
        self.padding_mode = padding_mode
        ends = (in_channels, out_channels // groups) if self.transposed else (out_channels, in_channels // groups)
        self.weight = parameter(*ends, *self.kernel_size, dtype=dtype)
        self.bias = parameter(out_channels, dtype=dtype) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        uniform_fan_in(self.weight, self.bias, math.prod(self.weight.shape[1:]))

    def _border(self) -> list[int]:
        """Widths for F.pad, last axis first, when the border is not made of zeros."""
        if self.padding == "valid":
            return [0] * (2 * self.ndim)
        if self.padding == "same":
            totals = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size)]
            sides = [(t // 2, t - t // 2) for t in totals]
        else:
            sides = [(p, p) for p in self.padding]
        return [width for side in reversed(sides) for width in side]

    def forward(self, input: Tensor) -> Tensor:
        padding: Any = self.padding
        if self.padding_mode != "zeros":
            input, padding = F.pad(input, self._border(), mode=self.padding_mode), 0
        function = getattr(F, f"conv{self.ndim}d")
        return function(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        parts = [f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"]
        if self.padding != (0,) * self.ndim:
            parts.append(f"padding={self.padding}")
        if self.dilation != (1,) * self.ndim:
            parts.append(f"dilation={self.dilation}")
        if self.output_padding != (0,) * self.ndim:
            parts.append(f"output_padding={self.output_padding}")
        if self.groups != 1:
            parts.append(f"groups={self.groups}")
        if self.bias is None:
            parts.append("bias=False")
        if self.padding_mode != "zeros":
            parts.append(f"padding_mode={self.padding_mode}")
        return ", ".join(parts)


class _Straight(_Conv):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, dtype
        )


class Conv1d(_Straight):
    """Cross-correlation over (N, C, L).

    >>> nn.Conv1d(2, 4, 3, padding=1)(mi.ones(1, 2, 8)).shape
    (1, 4, 8)
    """

    ndim = 1


class Conv2d(_Straight):
    """Cross-correlation over (N, C, H, W).

    >>> nn.Conv2d(3, 8, 3, padding=1)(mi.ones(1, 3, 16, 16)).shape
    (1, 8, 16, 16)
    """

    ndim = 2


class Conv3d(_Straight):
    """Cross-correlation over (N, C, D, H, W).

    >>> nn.Conv3d(1, 2, 3)(mi.ones(1, 1, 4, 4, 4)).shape
    (1, 2, 2, 2, 2)
    """

    ndim = 3


class _Transposed(_Conv):
    transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {type(self).__name__}')
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
            padding_mode,
            dtype,
            output_padding,
        )

    def forward(self, input: Tensor, output_size: Any = None) -> Tensor:
        extra = self.output_padding if output_size is None else self._extra(input, tuple(output_size))
        function = getattr(F, f"conv_transpose{self.ndim}d")
        return function(input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation)  # type: ignore[no-any-return]

    def _extra(self, input: Tensor, size: tuple[int, ...]) -> tuple[int, ...]:
        """The output padding that gives an output of this size; strides leave several sizes possible."""
        size = size[2:] if len(size) == self.ndim + 2 else size
        if len(size) != self.ndim:
            raise ValueError(
                f"{type(self).__name__}: for a {input.ndim}D input, output_size must have {self.ndim} or "
                f"{self.ndim + 2} elements (got {len(size)})"
            )
        smallest = [
            (n - 1) * s - 2 * p + d * (k - 1) + 1
            for n, s, p, d, k in zip(
                input.shape[-self.ndim :], self.stride, self.padding, self.dilation, self.kernel_size
            )
        ]
        extra = tuple(want - least for want, least in zip(size, smallest))
        if any(not 0 <= e < s for e, s in zip(extra, self.stride)):
            raise ValueError(
                f"requested an output size of {size}, but valid sizes range from {smallest} to "
                f"{[n + s - 1 for n, s in zip(smallest, self.stride)]} (for an input of {tuple(input.shape)})"
            )
        return extra


class ConvTranspose1d(_Transposed):
    """The gradient of Conv1d with respect to its input, as a layer."""

    ndim = 1


class ConvTranspose2d(_Transposed):
    """The gradient of Conv2d with respect to its input, as a layer.

    >>> nn.ConvTranspose2d(8, 3, 2, stride=2)(mi.ones(1, 8, 4, 4)).shape
    (1, 3, 8, 8)
    """

    ndim = 2


class ConvTranspose3d(_Transposed):
    """The gradient of Conv3d with respect to its input, as a layer."""

    ndim = 3
