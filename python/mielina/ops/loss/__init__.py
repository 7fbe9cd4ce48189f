"""Losses between predictions and targets, and the distances that some of them are made of."""

from __future__ import annotations

from . import classes, distance, elementwise, margin
from .classes import *
from .distance import *
from .distance import cdist, cosine_similarity, pairwise_distance
from .elementwise import *
from .margin import *

_functions = [*classes.__all__, *distance.__all__, *elementwise.__all__, *margin.__all__]
__all__ = ["cdist", "cosine_similarity", "pairwise_distance"]
__functional__ = [name for name in _functions if name != "cdist"]
