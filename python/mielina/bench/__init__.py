"""`mielina bench`: kernels beside NumPy, PyTorch and JAX where they are installed, interleaved in one run."""

from .case import FAMILIES
from .plot import roofline
from .run import main
