"""`mielina bench`: kernels beside NumPy, and beside PyTorch and JAX where they are installed, interleaved in one
run.
"""

from .run import main
