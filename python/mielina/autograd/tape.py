"""What the tape records: `record(y, op, inputs, saves)`, the last line of every op's page, and `Op`, what it says of
the op.

If a gradient may be asked for, y gets a node: the op, the edges to the nodes that made its inputs, and what the op's
rule wants to remember.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import _core

record = _core.record
OUTPUTS = _core.OUTPUTS  # OUTPUTS[i] among saves: the op's own i-th result, kept without a reference cycle
OUTPUT = OUTPUTS[0]


class Op:
    """What the tape knows of a function: its name, its gradient rule and, for a fused one, its definition.

    rule(g, needs, *saves) -> one gradient (or None) for each input; g is a tuple for ops with several results.
    composite(*saves) -> the same result from differentiable functions; the first saves are then the inputs, in order.
    broadcast: inputs may have been broadcast or promoted; the engine sums and converts their gradients back.
    """

    __slots__ = ("name", "rule", "composite", "broadcast")

    def __init__(
        self, name: str, rule: Callable[..., Any], composite: Callable[..., Any] | None = None, broadcast: bool = False
    ):
        self.name = name
        self.rule = rule
        self.composite = composite
        self.broadcast = broadcast

    def __repr__(self) -> str:
        return self.name


OPS: list[Op] = []  # every op of the pages, in the order in which they were made


def op(name: str, rule: Callable[..., Any], composite: Callable[..., Any] | None = None, broadcast: bool = False) -> Op:
    OPS.append(Op(name, rule, composite, broadcast))
    return OPS[-1]
