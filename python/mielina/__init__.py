"""mielina: a complete deep-learning library in a few megabytes, with PyTorch's names.

>>> import mielina as mi
>>> x = mi.tensor([1.0, 2.0, 3.0], requires_grad=True)
>>> (x * x).sum().backward()
>>> x.grad
tensor([2., 4., 6.])
"""

import math
from typing import TYPE_CHECKING

from . import autograd, config, data, nn, optim
from ._version import __version__
from .amp import autocast
from .autograd import (
    backward,
    enable_grad,
    grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from .autograd.function import Function
from .capture import capture
from .checkpoint import checkpoint, checkpoint_sequential
from .config import get_conv_algorithm, get_num_threads, set_conv_algorithm, set_num_threads
from .devices import device
from .dtypes import *
from .ops import *
from .profile import profile
from .random import Generator, default_generator, initial_seed, manual_seed, seed
from .tensor import Tensor

inf, nan, pi, e, newaxis = math.inf, math.nan, math.pi, math.e, None

_LATER = {
    "models": ("save_model", "load_model"),
    "io": ("save", "load"),
    "train": (
        "fit",
        "evaluate",
        "predict",
        "History",
        "EarlyStopping",
        "ModelCheckpoint",
        "Callback",
        "LambdaCallback",
        "TerminateOnNaN",
        "ReduceLROnPlateau",
        "LearningRateScheduler",
        "CSVLogger",
        "TensorBoard",
        "EMA",
        "SWA",
    ),
}

if TYPE_CHECKING:
    from . import cuda, datasets, io, models, plot, sklearn, testing, train, transforms, tune
    from .io import load, save
    from .models import load_model, save_model
    from .train import (
        EMA,
        SWA,
        Callback,
        CSVLogger,
        EarlyStopping,
        History,
        LambdaCallback,
        LearningRateScheduler,
        ModelCheckpoint,
        ReduceLROnPlateau,
        TensorBoard,
        TerminateOnNaN,
    )
    from .train.fit import evaluate, fit, predict
else:

    def __getattr__(name):
        """Parts that cost time to import, or need an extra, come on first use."""
        if name in ("cuda", "datasets", "io", "models", "plot", "sklearn", "testing", "train", "transforms", "tune"):
            import importlib

            return importlib.import_module(f"{__name__}.{name}")
        for module, names in _LATER.items():
            if name in names:
                import importlib

                return getattr(importlib.import_module(f"{__name__}.{module}"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
