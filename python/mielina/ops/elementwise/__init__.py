"""Elementwise functions: y[i] = f(x[i], ...) with broadcasting and PyTorch's promotion, and their in-place forms.

base: what the pages share. arithmetic: + - * / // % **, powers. order: signs, rounding, extremes. logic: comparisons,
bits, selection. functions: exponentials, circles, special functions. activation: nn.functional's. conversion: dtypes
and copies.
"""

from . import activation, arithmetic, conversion, functions, logic, order
from .activation import *
from .activation import (
    celu,
    elu,
    elu_,
    gelu,
    glu,
    hardshrink,
    hardsigmoid,
    hardswish,
    hardtanh,
    hardtanh_,
    leaky_relu,
    logsigmoid,
    mish,
    relu6,
    silu,
    softplus,
    softshrink,
    softsign,
    tanhshrink,
)  # fmt: skip
from .arithmetic import *
from .base import operand
from .conversion import *
from .functions import *
from .logic import *
from .order import *

__all__ = [
    *arithmetic.__all__,
    *conversion.__all__,
    *functions.__all__,
    *logic.__all__,
    *order.__all__,
    *activation.__all__,
]
__functional__ = [*activation.__functional__]
