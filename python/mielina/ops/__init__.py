"""Differentiable functions, one page a family: the function, its docstring and its gradient rule side by side."""

from .conv import *
from .creation import *
from .elementwise import *
from .gemm import *
from .layout import *
from .random import *
from .reduce import *
from .softmax import *
