"""How tensors print: as PyTorch's do."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import dtypes


def tensor_repr(t: Any) -> str:
    plain = t.detach()
    a = (plain.to(dtypes.float32) if t.dtype is dtypes.bfloat16 else plain).numpy()
    body = np.array2string(a, separator=", ", precision=4, suppress_small=True, prefix="tensor(") if t.ndim else str(t.item() if not t.is_floating_point() else np.array2string(a, precision=4))
    tail = ""
    if t.dtype not in (dtypes.get_default_dtype(), dtypes.int64, dtypes.bool):
        tail += f", dtype={t.dtype!r}"
    if t._node is not None:
        tail += f", grad_fn=<{t._node.op.name}>"
    elif t._leaf_flag:
        tail += ", requires_grad=True"
    return f"tensor({body}{tail})"
