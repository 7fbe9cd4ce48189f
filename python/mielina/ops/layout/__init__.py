"""Views and copies: nothing here computes."""

from . import inplace, join, memory, rearrange, views
from .inplace import *
from .join import *
from .memory import *
from .rearrange import *
from .views import *

_PRIVATE = {"clone_of", "copy_", "diagonal_backward", "identity", "in_place", "refresh", "region", "sizes", "slice", "slice_backward",
            "unfold_windows", "view", "view_of", "write_into", "zeros"}  # fmt: skip
__all__ = [n for page in (views, inplace, memory, join, rearrange) for n in page.__all__ if n not in _PRIVATE] + ["identity"]
