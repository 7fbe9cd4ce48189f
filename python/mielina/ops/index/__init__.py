"""Reading and writing by index: x[key], gather and scatter, masks, rows of a table."""

from . import along, getitem, mask, reduce, rows
from .along import *
from .getitem import *
from .getitem import getitem_backward, index, index_backward
from .mask import *
from .mask import nonzero_tuple
from .reduce import *
from .rows import embedding, embedding_bag, one_hot

__all__ = [name for page in (getitem, along, reduce, mask) for name in page.__all__]
__functional__ = [*rows.__functional__]
