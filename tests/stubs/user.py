# mypy: disallow-any-expr
"""What an editor sees: mypy checks this file with `disallow_any_expr`, so a name without a type is an error here."""

from __future__ import annotations

import mielina as mi
import mielina.nn.functional as F
from mielina import nn


def made_at_import(x: mi.Tensor) -> mi.Tensor:
    """Functions and methods that no `def` on a page declares."""
    y: mi.Tensor = mi.exp(x)
    y = F.relu(y, inplace=False)
    y = x.exp()
    y.mul_(2.0).clamp_(0, 1)
    return y


def written_on_pages(x: mi.Tensor) -> mi.Tensor:
    y = mi.softmax(x, -1)
    y = y.sum(dim=0, keepdim=True) + F.softmax(x, dim=-1)
    y = 2 * y.T @ y - y[0] / 3
    n: int = y.numel()
    shape: tuple[int, ...] = y.shape
    kind: mi.dtype = y.dtype
    assert kind is mi.float32 and n == y.shape[0] * shape[1]
    return y.to(mi.float64)


def layers() -> nn.Module:
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    mi.optim.Adam(model.parameters(), lr=1e-3).zero_grad()
    return model
