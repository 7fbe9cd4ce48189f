"""`mielina bench`: kernels beside NumPy, PyTorch and JAX where they are installed, interleaved in one run."""

from .plot import roofline
from .run import main
