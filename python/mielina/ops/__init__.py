"""Differentiable functions, one page a family: the function, its docstring and its gradient rule side by side.

A page names what `mi.` exports in `__all__`, and what `mi.nn.functional` exports in `__functional__`; functions marked
`@method` are methods of Tensor, too.
"""

from .attention import *
from .conv import *
from .creation import *
from .ctc import *
from .elementwise import *
from .gemm import *
from .image import *
from .index import *
from .layout import *
from .loss import *
from .norm import *
from .pool import *
from .random import *
from .reduce import *
from .rnn import *
from .scan import *
from .softmax import *
from .sort import *
