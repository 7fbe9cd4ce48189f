"""Reading and writing by index: x[key], gather and scatter, masks, embeddings."""

from . import along, getitem, mask, reduce, rows
from .rows import *
from .rows import embedding, embedding_bag, one_hot
from .along import *
from .getitem import *
from .mask import *
from .reduce import *

_PRIVATE = {"embedding_backward", "index_put", "index_put_", "nonzero_tuple"}
__all__ = [n for page in (getitem, along, reduce, mask, rows) for n in page.__all__ if n not in _PRIVATE] + ["index_put"]
__functional__ = rows.__functional__
