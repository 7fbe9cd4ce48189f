"""Anomaly mode: an error on the way back names the lines that recorded the op; a gradient that is NaN is an error.

Off, it costs the engine one look at a flag for each node. On, every op formats its stack: for finding a mistake only.
"""

from __future__ import annotations

import warnings
from typing import Any

from .. import _core


class _Check:
    """Raises where a rule gave NaN; `nan` says whether anybody asked."""

    nan = False

    def __call__(self, node: Any, gradients: Any) -> None:
        for i, g in enumerate(gradients):
            if g is not None and node.edges[i] is not None and bool((g != g).any().item()):
                explain(node)
                raise RuntimeError(f"{node.op.name}: the gradient for input {i} has NaN values")


check = _Check()


def _stack() -> str:
    import traceback

    frames = traceback.extract_stack()
    while frames and frames[-1].filename.startswith(
        _HERE
    ):  # the house's own floors say nothing about the user's mistake
        frames.pop()
    return "".join(frames.format())


_HERE = __file__.removesuffix("autograd/anomaly.py").removesuffix("autograd\\anomaly.py")


def explain(node: Any) -> None:
    """Warns with the stack of the forward call that recorded a node, if anomaly mode kept it."""
    if node.stack is not None:
        warnings.warn(
            f"the gradient of {node.op.name} failed; it was recorded by\n{node.stack}", RuntimeWarning, stacklevel=4
        )


class set_detect_anomaly:
    """Switches anomaly mode on or off, at once; as a context manager, for its extent only. It holds for all threads.

    check_nan=False keeps the stacks but lets NaN gradients pass.
    """

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self._before = (_core.keeps_stacks(), check.nan)
        self._set(mode, mode and check_nan)

    @staticmethod
    def _set(stacks: bool, nan: bool) -> None:
        _core.set_stack_keeper(_stack if stacks else None)
        check.nan = nan

    def __enter__(self) -> set_detect_anomaly:
        return self

    def __exit__(self, *_: object) -> None:
        self._set(*self._before)


class detect_anomaly(set_detect_anomaly):
    """`with detect_anomaly():` is set_detect_anomaly(True) for the block."""

    def __init__(self, check_nan: bool = True) -> None:
        super().__init__(True, check_nan)


def is_anomaly_enabled() -> bool:
    return _core.keeps_stacks()  # type: ignore[no-any-return]
