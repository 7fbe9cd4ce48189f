"""Learning-rate schedules. Each step writes `group["lr"]` of every group; the values are PyTorch's, step by step.

Most rules are recursive in the present rate, so that several schedulers can act on one optimiser.
"""

from .base import LRScheduler
from .control import ChainedScheduler, ReduceLROnPlateau, SequentialLR
from .cycle import CosineAnnealingWarmRestarts, CyclicLR, OneCycleLR
from .decay import (
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiplicativeLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)
