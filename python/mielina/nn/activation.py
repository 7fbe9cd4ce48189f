"""Activation functions as modules; each calls the function of the same meaning in `nn.functional`."""

from __future__ import annotations

from typing import Any

from .. import _core, dtypes
from ..tensor import Tensor
from . import functional as F
from .module import Module
from .parameter import Parameter

__all__ = [
    "ReLU",
    "ReLU6",
    "LeakyReLU",
    "RReLU",
    "PReLU",
    "ELU",
    "CELU",
    "SELU",
    "GELU",
    "SiLU",
    "Mish",
    "Hardtanh",
    "Hardsigmoid",
    "Hardswish",
    "Threshold",
    "Softplus",
    "Softshrink",
    "Hardshrink",
    "Tanhshrink",
    "Softsign",
    "LogSigmoid",
    "Sigmoid",
    "Tanh",
    "GLU",
    "Softmax",
    "LogSoftmax",
    "Softmin",
    "Softmax2d",
]


class _Activation(Module):
    """F.<function>(input, <the attributes named in `settings`>)."""

    function: str
    settings: tuple[str, ...] = ()
    inplace = False

    def __init__(self, inplace: bool = False, **values: Any) -> None:
        super().__init__()
        for name, value in values.items():
            setattr(self, name, value)
        if inplace:
            self.inplace = True

    def forward(self, input: Tensor) -> Tensor:
        options = {name: getattr(self, name) for name in self.settings}
        if self.inplace:
            options["inplace"] = True
        return getattr(F, self.function)(input, **options)  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        parts = [f"{name}={getattr(self, name)!r}" for name in self.settings]
        return ", ".join(parts + ["inplace=True"] * self.inplace)


class ReLU(_Activation):
    """max(x, 0).

    >>> nn.ReLU()(mi.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """

    function = "relu"

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(inplace)

    def forward(self, input: Tensor) -> Tensor:
        return F.relu(input, inplace=True) if self.inplace else F.relu(input)


class ReLU6(_Activation):
    """min(max(x, 0), 6)."""

    function = "relu6"

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(inplace)


class LeakyReLU(_Activation):
    """x where x > 0, negative_slope x elsewhere."""

    function = "leaky_relu"
    settings = ("negative_slope",)

    def __init__(self, negative_slope: float = 1e-2, inplace: bool = False) -> None:
        super().__init__(inplace, negative_slope=negative_slope)


class RReLU(_Activation):
    """LeakyReLU with a slope drawn from U(lower, upper) for each element; their mean when not training."""

    function = "rrelu"
    settings = ("lower", "upper")
    lower: float
    upper: float

    def __init__(self, lower: float = 1.0 / 8, upper: float = 1.0 / 3, inplace: bool = False) -> None:
        super().__init__(inplace, lower=lower, upper=upper)

    def forward(self, input: Tensor) -> Tensor:
        return F.rrelu(input, self.lower, self.upper, self.training, self.inplace)


class PReLU(Module):
    """LeakyReLU with a learnt slope: one, or one a channel.

    >>> nn.PReLU()(mi.tensor([-2.0, 3.0]))
    tensor([-0.5000,  3.0000], grad_fn=<prelu>)
    """

    def __init__(self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        self.num_parameters = num_parameters
        self.init = init
        self.weight = Parameter(_core.empty((num_parameters,), dtype or dtypes.get_default_dtype()))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        _core.fill_(self.weight, self.init)

    def forward(self, input: Tensor) -> Tensor:
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"


class ELU(_Activation):
    """x where x > 0, alpha (exp(x) - 1) elsewhere."""

    function = "elu"
    settings = ("alpha",)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace, alpha=alpha)


class CELU(_Activation):
    """max(0, x) + min(0, alpha (exp(x / alpha) - 1))."""

    function = "celu"
    settings = ("alpha",)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace, alpha=alpha)


class SELU(_Activation):
    """ELU with the scale that keeps mean 0 and variance 1 (Klambauer et al. 2017)."""

    function = "selu"

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(inplace)


class GELU(_Activation):
    """x times the normal distribution function at x; approximate="tanh" for the tanh form.

    >>> nn.GELU()(mi.tensor([1.0]))
    tensor([0.8413])
    """

    function = "gelu"
    settings = ("approximate",)

    def __init__(self, approximate: str = "none") -> None:
        super().__init__(approximate=approximate)


class SiLU(_Activation):
    """x sigmoid(x).

    >>> nn.SiLU()(mi.tensor([1.0]))
    tensor([0.7311])
    """

    function = "silu"

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(inplace)


class Mish(_Activation):
    """x tanh(softplus(x))."""

    function = "mish"

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(inplace)


class Hardtanh(_Activation):
    """x limited to [min_val, max_val]."""

    function = "hardtanh"
    settings = ("min_val", "max_val")

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        if max_val < min_val:
            raise ValueError("max_val must be larger than min_val")
        super().__init__(inplace, min_val=min_val, max_val=max_val)


class Hardsigmoid(_Activation):
    """min(max(x + 3, 0), 6) / 6."""

    function = "hardsigmoid"

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(inplace)


class Hardswish(_Activation):
    """x hardsigmoid(x)."""

    function = "hardswish"

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(inplace)


class Threshold(_Activation):
    """x where x > threshold, value elsewhere."""

    function = "threshold"
    settings = ("threshold", "value")

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__(inplace, threshold=threshold, value=value)


class Softplus(_Activation):
    """log(1 + exp(beta x)) / beta; x itself where beta x > threshold."""

    function = "softplus"
    settings = ("beta", "threshold")

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__(beta=beta, threshold=threshold)


class _Shrink(_Activation):
    settings = ("lambd",)
    lambd: float

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__(lambd=lambd)

    def extra_repr(self) -> str:
        return str(self.lambd)


class Softshrink(_Shrink):
    """x moved towards 0 by lambd."""

    function = "softshrink"


class Hardshrink(_Shrink):
    """x where |x| > lambd, else 0."""

    function = "hardshrink"


class Tanhshrink(_Activation):
    """x - tanh(x)."""

    function = "tanhshrink"


class Softsign(_Activation):
    """x / (1 + |x|)."""

    function = "softsign"


class LogSigmoid(_Activation):
    """log(sigmoid(x))."""

    function = "logsigmoid"


class Sigmoid(Module):
    """1 / (1 + exp(-x)).

    >>> nn.Sigmoid()(mi.tensor([0.0]))
    tensor([0.5000])
    """

    def forward(self, input: Tensor) -> Tensor:
        return input.sigmoid()  # type: ignore[attr-defined, no-any-return]


class Tanh(Module):
    """tanh(x).

    >>> nn.Tanh()(mi.tensor([0.0]))
    tensor([0.])
    """

    def forward(self, input: Tensor) -> Tensor:
        return input.tanh()  # type: ignore[attr-defined, no-any-return]


class GLU(_Activation):
    """The first half of `dim` times the sigmoid of the second."""

    function = "glu"
    settings = ("dim",)

    def __init__(self, dim: int = -1) -> None:
        super().__init__(dim=dim)


class _Along(Module):
    """A function of the slices along `dim`; None chooses by the number of axes and warns, as in PyTorch."""

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Softmax(_Along):
    """exp(x) over its sum along `dim`.

    >>> nn.Softmax(dim=1)(mi.zeros(1, 4))
    tensor([[0.2500, 0.2500, 0.2500, 0.2500]])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.softmax(input, self.dim, _stacklevel=5)


class LogSoftmax(_Along):
    """log(softmax(x)) along `dim`."""

    def forward(self, input: Tensor) -> Tensor:
        return F.log_softmax(input, self.dim, _stacklevel=5)


class Softmin(_Along):
    """softmax(-x) along `dim`."""

    def forward(self, input: Tensor) -> Tensor:
        return F.softmin(input, self.dim, _stacklevel=5)


class Softmax2d(Module):
    """Softmax over the channels of (C, H, W) or (N, C, H, W)."""

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim not in (3, 4):
            raise ValueError(f"Softmax2d: expected input to be 3D or 4D, got {input.ndim}D instead")
        return F.softmax(input, -3)
