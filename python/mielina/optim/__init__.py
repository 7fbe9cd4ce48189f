"""Optimisers. The usual ones make one fused kernel call a parameter group."""

from typing import Any

from . import lr_scheduler
from .adam import Adam, Adamax, AdamW, NAdam, RAdam
from .adaptive import Adadelta, Adagrad, RMSprop
from .lbfgs import LBFGS
from .optimizer import Optimizer
from .plain import ASGD, Rprop
from .sgd import SGD


def __getattr__(name: str) -> Any:
    """What stands on nn, which an optimiser does not need, comes on first use."""
    if name == "swa_utils":
        import importlib

        return importlib.import_module(f"{__name__}.swa_utils")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
