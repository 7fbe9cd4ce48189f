"""Layers, losses and containers."""

from . import functional
