"""Each op in a few lines of float64 NumPy, under PyTorch's name and keywords: `reference.softmax(x, dim=1)`.

One file a family. The formulas are the definition that kernels are tested against: clear before fast. Sources stand
beside them. See `base` for what goes in and comes out.
"""

from mielina.testing.reference.attention import *
from mielina.testing.reference.conv import *
from mielina.testing.reference.elementwise import *
from mielina.testing.reference.embedding import *
from mielina.testing.reference.gemm import *
from mielina.testing.reference.image import *
from mielina.testing.reference.layout import *
from mielina.testing.reference.norm import *
from mielina.testing.reference.optim import *
from mielina.testing.reference.pool import *
from mielina.testing.reference.random import *
from mielina.testing.reference.reduce import *
from mielina.testing.reference.rnn import *
from mielina.testing.reference.softmax import *
