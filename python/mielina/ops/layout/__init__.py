"""Views and copies: nothing here computes.

views: windows on the same memory. inplace: what a change in place does to the tape. memory: the order of elements.
join: together and apart. rearrange: copies in another order, repetition, triangles.
"""

from . import join, memory, rearrange, views
from .inplace import copy_, in_place, region, write_into
from .join import *
from .memory import *
from .rearrange import *
from .views import *
from .views import clone_of, diagonal_backward, reshaped, sizes, slice, slice_backward, view, view_of, zeros

__all__ = [name for page in (views, memory, join, rearrange) for name in page.__all__]
