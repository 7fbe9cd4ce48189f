"""The kernel families' cases, one page a family. Shapes are those of everyday networks: small, middle, memory bound."""

from . import (
    attention,
    conv,
    elementwise,
    gemm,
    image,
    index,
    norm,
    optim,
    pool,
    random,
    reduce,
    rnn,
    scan,
    softmax,
    sort,
)
