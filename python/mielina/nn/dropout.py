"""Dropout: random zeros while training."""

from __future__ import annotations

from ..tensor import Tensor
from . import functional as F
from .module import Module


class _Dropout(Module):
    function: str

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        self.p = p
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return input
        function = getattr(F, self.function)
        return function(input, self.p, True, inplace=True) if self.inplace else function(input, self.p, True)  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """Elements become zero with probability p, the others 1 / (1 - p) times as large. Srivastava et al. 2014.

    >>> nn.Dropout(0.5).eval()(mi.ones(3))
    tensor([1., 1., 1.])
    """

    function = "dropout"


class Dropout1d(_Dropout):
    """Whole channels of (N, C, L) become zero. Source: Tompson et al. 2015."""

    function = "dropout1d"


class Dropout2d(_Dropout):
    """Whole channels of (N, C, H, W) become zero. Source: Tompson et al. 2015."""

    function = "dropout2d"


class Dropout3d(_Dropout):
    """Whole channels of (N, C, D, H, W) become zero. Source: Tompson et al. 2015."""

    function = "dropout3d"


class AlphaDropout(_Dropout):
    """Dropout to SELU's negative limit that keeps mean and variance. Source: Klambauer et al. 2017."""

    function = "alpha_dropout"


class FeatureAlphaDropout(_Dropout):
    """AlphaDropout of whole channels."""

    function = "feature_alpha_dropout"
