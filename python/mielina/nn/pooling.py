"""Pooling layers; each calls the function of the same meaning in `nn.functional`."""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor
from . import functional as F
from .conv import tuple_of
from .module import Module

__all__ = [
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "MaxUnpool1d",
    "MaxUnpool2d",
    "MaxUnpool3d",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "LPPool1d",
    "LPPool2d",
    "LPPool3d",
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "FractionalMaxPool2d",
    "FractionalMaxPool3d",
]


class _Pool(Module):
    """F.<function>(input, *<the attributes named in `settings`>)."""

    function: str
    settings: tuple[str, ...]
    shown: tuple[str, ...] = ()

    def _set(self, **values: Any) -> None:
        super().__init__()
        for name, value in values.items():
            setattr(self, name, value)

    def forward(self, input: Tensor) -> Any:
        return getattr(F, self.function)(input, **{name: getattr(self, name) for name in self.settings})

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={getattr(self, name)}" for name in self.shown or self.settings)


class _MaxPool(_Pool):
    settings = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
    shown = settings[:-1]

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        stride = kernel_size if stride is None else stride
        self._set(
            kernel_size=kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            return_indices=return_indices,
            ceil_mode=ceil_mode,
        )


class MaxPool1d(_MaxPool):
    """The largest of each window of (N, C, L)."""

    function = "max_pool1d"


class MaxPool2d(_MaxPool):
    """The largest of each window of (N, C, H, W).

    >>> nn.MaxPool2d(2)(mi.ones(1, 3, 4, 4)).shape
    (1, 3, 2, 2)
    """

    function = "max_pool2d"


class MaxPool3d(_MaxPool):
    """The largest of each window of (N, C, D, H, W)."""

    function = "max_pool3d"


class _MaxUnpool(_Pool):
    settings = ("kernel_size", "stride", "padding")
    ndim: int
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0) -> None:
        n = self.ndim
        kernel = tuple_of(kernel_size, n)
        self._set(
            kernel_size=kernel, stride=kernel if stride is None else tuple_of(stride, n), padding=tuple_of(padding, n)
        )

    def forward(  # type: ignore[override]  # needs the places, too
        self, input: Tensor, indices: Tensor, output_size: Any = None
    ) -> Tensor:
        function = getattr(F, f"max_unpool{self.ndim}d")
        return function(input, indices, self.kernel_size, self.stride, self.padding, output_size)  # type: ignore[no-any-return]


class MaxUnpool1d(_MaxUnpool):
    """Puts the maxima back where MaxPool1d(return_indices=True) found them, zeros elsewhere."""

    ndim = 1


class MaxUnpool2d(_MaxUnpool):
    """Puts the maxima back where MaxPool2d(return_indices=True) found them, zeros elsewhere."""

    ndim = 2


class MaxUnpool3d(_MaxUnpool):
    """Puts the maxima back where MaxPool3d(return_indices=True) found them, zeros elsewhere."""

    ndim = 3


class AvgPool1d(_Pool):
    """The mean of each window of (N, C, L)."""

    function = "avg_pool1d"
    settings = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad")
    shown = settings[:3]

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        stride = kernel_size if stride is None else stride
        self._set(
            kernel_size=tuple_of(kernel_size, 1),
            stride=tuple_of(stride, 1),
            padding=tuple_of(padding, 1),
            ceil_mode=ceil_mode,
            count_include_pad=count_include_pad,
        )


class _AvgPool(_Pool):
    settings = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")
    shown = settings[:3]

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        stride = kernel_size if stride is None else stride
        self._set(
            kernel_size=kernel_size,
            stride=stride,
            padding=padding,
            ceil_mode=ceil_mode,
            count_include_pad=count_include_pad,
            divisor_override=divisor_override,
        )


class AvgPool2d(_AvgPool):
    """The mean of each window of (N, C, H, W).

    >>> nn.AvgPool2d(2)(mi.ones(1, 3, 4, 4)).shape
    (1, 3, 2, 2)
    """

    function = "avg_pool2d"


class AvgPool3d(_AvgPool):
    """The mean of each window of (N, C, D, H, W)."""

    function = "avg_pool3d"


class _LPPool(_Pool):
    settings = ("norm_type", "kernel_size", "stride", "ceil_mode")

    def __init__(self, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> None:
        self._set(norm_type=norm_type, kernel_size=kernel_size, stride=stride, ceil_mode=ceil_mode)


class LPPool1d(_LPPool):
    """(sum of x^p over each window)^(1 / p) of (N, C, L)."""

    function = "lp_pool1d"


class LPPool2d(_LPPool):
    """(sum of x^p over each window)^(1 / p) of (N, C, H, W)."""

    function = "lp_pool2d"


class LPPool3d(_LPPool):
    """(sum of x^p over each window)^(1 / p) of (N, C, D, H, W)."""

    function = "lp_pool3d"


class _Adaptive(_Pool):
    settings = ("output_size",)

    def __init__(self, output_size: Any) -> None:
        self._set(output_size=output_size)


class AdaptiveAvgPool1d(_Adaptive):
    """Means of windows that give an output of the size asked for."""

    function = "adaptive_avg_pool1d"


class AdaptiveAvgPool2d(_Adaptive):
    """Means of windows that give an output of the size asked for; None keeps an axis.

    >>> nn.AdaptiveAvgPool2d(1)(mi.ones(2, 3, 5, 5)).shape
    (2, 3, 1, 1)
    """

    function = "adaptive_avg_pool2d"


class AdaptiveAvgPool3d(_Adaptive):
    """Means of windows that give an output of the size asked for; None keeps an axis."""

    function = "adaptive_avg_pool3d"


class _AdaptiveMax(_Pool):
    settings = ("output_size", "return_indices")
    shown = ("output_size",)

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        self._set(output_size=output_size, return_indices=return_indices)


class AdaptiveMaxPool1d(_AdaptiveMax):
    """Maxima of windows that give an output of the size asked for."""

    function = "adaptive_max_pool1d"


class AdaptiveMaxPool2d(_AdaptiveMax):
    """Maxima of windows that give an output of the size asked for; None keeps an axis."""

    function = "adaptive_max_pool2d"


class AdaptiveMaxPool3d(_AdaptiveMax):
    """Maxima of windows that give an output of the size asked for; None keeps an axis."""

    function = "adaptive_max_pool3d"


class _FractionalMaxPool(_Pool):
    settings = ("kernel_size", "output_size", "output_ratio", "return_indices", "_random_samples")
    ndim: int

    def __init__(
        self,
        kernel_size: Any,
        output_size: Any = None,
        output_ratio: Any = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ) -> None:
        if (output_size is None) == (output_ratio is None):
            raise ValueError(f"{type(self).__name__} takes either output_size or output_ratio")
        size, ratio = (None if x is None else tuple_of(x, self.ndim) for x in (output_size, output_ratio))
        if ratio is not None and not all(0 < r < 1 for r in ratio):
            raise ValueError(f"output_ratio must be between 0 and 1 (got {output_ratio})")
        self._set(
            kernel_size=tuple_of(kernel_size, self.ndim),
            output_size=size,
            output_ratio=ratio,
            return_indices=return_indices,
        )
        self.register_buffer("_random_samples", _random_samples)

    def extra_repr(self) -> str:
        return ""


class FractionalMaxPool2d(_FractionalMaxPool):
    """Max pooling with windows at random places, for sizes that are no fraction of the input's. Graham 2014."""

    function = "fractional_max_pool2d"
    ndim = 2


class FractionalMaxPool3d(_FractionalMaxPool):
    """Max pooling of volumes with windows at random places; see FractionalMaxPool2d."""

    function = "fractional_max_pool3d"
    ndim = 3
