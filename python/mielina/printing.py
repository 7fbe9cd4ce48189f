"""How tensors print: as PyTorch's do. Four digits, one width for all, the middle left out beyond 1000 elements."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from . import dtypes

PRECISION, THRESHOLD, EDGE, LINE = 4, 1000, 3, 80


def tensor_repr(t: Any) -> str:
    prefix = "tensor("
    a = _values(t)
    suffixes = []
    if t.numel() == 0:
        body = "[]"
        if t.ndim != 1:
            suffixes.append(f"size={tuple(t.shape)}")
        if t.dtype is not dtypes.get_default_dtype():
            suffixes.append(f"dtype={t.dtype!r}")
    else:
        if t.dtype not in (dtypes.get_default_dtype(), dtypes.int64, dtypes.bool):
            suffixes.append(f"dtype={t.dtype!r}")
        short = a.size > THRESHOLD
        body = _block(a, len(prefix), short, *_formatter(_corners(a) if short else a))
    if t._device:
        suffixes.append(f"device='{t.device}'")
    if t._node is not None:
        suffixes.append(f"grad_fn=<{t._node.op.name}>")
    elif t._leaf_flag:
        suffixes.append("requires_grad=True")
    return _with_suffixes(prefix + body, suffixes, len(prefix))


def _values(t: Any) -> np.ndarray:
    """The numbers as NumPy has them; bfloat16 as float32."""
    plain = t.detach().cpu()
    return (plain.to(dtypes.float32) if t.dtype is dtypes.bfloat16 else plain).numpy()  # type: ignore[no-any-return]


def _corners(a: np.ndarray) -> np.ndarray:
    """The elements that a summary shows."""
    for axis in range(a.ndim):
        if a.shape[axis] > 2 * EDGE:
            a = np.concatenate([a.take(range(EDGE), axis), a.take(range(-EDGE, 0), axis)], axis)
    return a


# ---- numbers ---------------------------------------------------------------------------------------------------------
def _formatter(a: np.ndarray) -> tuple[Callable[[Any], str], int]:
    """Writes one element at the width of the widest: scientific where magnitudes differ much or are extreme. Also the
    width that lines are broken by: 1 where no element is finite and other than 0.
    """
    if a.dtype.kind != "f":
        width = max(len(str(x)) for x in (a.ravel().tolist() if a.dtype.kind == "b" else (a.min(), a.max())))
        return (lambda x: f"{str(x):>{width}}"), width
    finite = np.abs(a[np.isfinite(a) & (a != 0)].astype(np.float64))
    if finite.size == 0:
        return _plain, 1
    low, high = float(finite.min()), float(finite.max())
    whole = bool(np.all(finite == np.ceil(finite)))
    scientific = high / low > 1000.0 or high > 1.0e8 or (not whole and low < 1.0e-4)
    if scientific:
        write: Callable[[Any], str] = lambda x: f"{x:.{PRECISION}e}"
    elif whole:
        write = lambda x: f"{x:.0f}." if math.isfinite(x) else _plain(x)
    else:
        write = lambda x: f"{x:.{PRECISION}f}"
    shown = a[np.isfinite(a) & (a != 0)].ravel().tolist()
    width = max(len(write(x)) for x in shown)
    return (lambda x: f"{write(x):>{width}}"), width


def _plain(x: float) -> str:
    return f"{x:.0f}." if math.isfinite(x) else str(x)


# ---- rows ------------------------------------------------------------------------------------------------------------
def _block(a: np.ndarray, indent: int, short: bool, write: Callable[[Any], str], width: int) -> str:
    if a.ndim == 0:
        return write(a.item())
    cut = short and a.shape[0] > 2 * EDGE
    if a.ndim == 1:
        texts = [write(x) for x in (a[:EDGE].tolist() if cut else a.tolist())]
        if cut:
            texts += [" ...", *(write(x) for x in a[-EDGE:].tolist())]
        per_line = max(1, (LINE - indent) // (width + 2))
        lines = [", ".join(texts[i : i + per_line]) for i in range(0, len(texts), per_line)]
        return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"
    parts = a[:EDGE] if cut else a
    blocks = [_block(x, indent + 1, short, write, width) for x in parts]
    if cut:
        blocks += ["...", *(_block(x, indent + 1, short, write, width) for x in a[-EDGE:])]
    return "[" + ("," + "\n" * (a.ndim - 1) + " " * (indent + 1)).join(blocks) + "]"


def _with_suffixes(text: str, suffixes: list[str], indent: int) -> str:
    last = len(text) - text.rfind("\n") + 1
    for suffix in suffixes:
        if last + len(suffix) + 2 > LINE:
            text += ",\n" + " " * indent + suffix
            last = indent + len(suffix)
        else:
            text += ", " + suffix
            last += len(suffix) + 2
    return text + ")"
