"""Reductions: from many elements to one, along axes.

`dim` is an int, several, or None for all axes; `axis=` and `keepdims=` are NumPy's names for the same.
"""

from . import extremes, moments, order, sums
from .extremes import *
from .moments import *
from .order import *
from .sums import *

__all__ = [name for page in (extremes, moments, order, sums) for name in page.__all__]
