"""Tests near NumPy: references in float64, strategies for hypothesis, and the checkers that use them.

    from mielina.testing import check_op, reference
    check_op(mi.exp, reference.exp, [np.linspace(-3, 3, 7)], grad=True)

`reference` and `strategies` (which needs hypothesis) are imported when first asked for.
"""

from __future__ import annotations

import importlib
from typing import Any

from mielina.testing.check import check_op, full_product
from mielina.testing.compare import assert_close, tolerance
from mielina.testing.composite import check_composite
from mielina.testing.dtypes import DTYPES, FLOATS, INTEGERS, quantise
from mielina.testing.gradients import gradcheck, gradgradcheck
from mielina.testing.layouts import LAYOUTS, make_tensor
from mielina.testing.library import Library, use_isa
from mielina.testing.pairwise import pairwise

__all__ = [
    "DTYPES", "FLOATS", "INTEGERS", "LAYOUTS", "Library", "assert_close", "check_composite", "check_op", "full_product",
    "gradcheck", "gradgradcheck", "make_tensor", "pairwise", "quantise", "reference", "strategies", "tolerance",
    "use_isa",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in ("reference", "strategies"):
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
