"""Optimisers: one fused kernel call a parameter group."""

from .adam import Adam, AdamW
from .optimizer import Optimizer
