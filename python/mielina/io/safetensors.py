"""`mi.save` and `mi.load`: safetensors files.

A flat dict of tensors (a `state_dict`) becomes an ordinary safetensors file that other libraries read. A nested dict
with numbers, strings, booleans, None and lists keeps its shape as JSON in the file's metadata. The `safetensors`
library checks the header of what is loaded; the data is mapped, so weights are read from the disk when they are first
used and no second copy is made. bfloat16 needs no help from NumPy.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import _core, dtypes
from ..tensor import Tensor
from .files import atomic_write

_CODES = {
    "F32": dtypes.float32, "F64": dtypes.float64, "F16": dtypes.float16, "BF16": dtypes.bfloat16, "I64": dtypes.int64,
    "I32": dtypes.int32, "I16": dtypes.int16, "I8": dtypes.int8, "U8": dtypes.uint8, "BOOL": dtypes.bool,
}  # fmt: skip
_NAMES = {d: code for code, d in _CODES.items()}
_TREE = "mielina.tree"


def _bytes_of(t: Tensor) -> Any:
    raw = _core.contiguous(t.detach())
    if raw.dtype is dtypes.bfloat16:
        raw = _core.bit_view(raw, dtypes.int16)
    return raw.numpy().reshape(-1).view(np.uint8).data


def _flatten(obj: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    """The JSON form of obj, its tensors taken out into `tensors` under dotted names."""
    if isinstance(obj, Tensor):
        name = path
        while name in tensors or name == "__metadata__":
            name += "_"
        tensors[name] = obj
        return {"tensor": name}
    if isinstance(obj, Mapping):
        for k in obj:
            if not isinstance(k, (str, int)) or isinstance(k, bool):
                raise TypeError(f"save: keys must be strings or ints, got {type(k).__name__} at {path or 'the top'}")
        return {"dict": [[k, _flatten(v, f"{path}.{k}" if path else str(k), tensors)] for k, v in obj.items()]}
    if isinstance(obj, (list, tuple)):
        return {"list": [_flatten(v, f"{path}.{i}" if path else str(i), tensors) for i, v in enumerate(obj)]}
    if obj is None or isinstance(obj, (bool, int, str)):
        return {"value": obj}
    if isinstance(obj, (float, np.floating)):
        return {"float": float(obj).hex()}
    if isinstance(obj, np.integer):
        return {"value": int(obj)}
    raise TypeError(
        f"save: cannot store {type(obj).__name__} at {path or 'the top'}; "
        "files hold dicts and lists of tensors, numbers and strings"
    )


def _restore(tree: Any, tensors: dict[str, Tensor]) -> Any:
    ((kind, value),) = tree.items()
    if kind == "tensor":
        return tensors[value]
    if kind == "dict":
        return {k: _restore(v, tensors) for k, v in value}
    if kind == "list":
        return [_restore(v, tensors) for v in value]
    if kind == "float":
        return float.fromhex(value)
    if kind == "value":
        return value
    raise ValueError(f"unknown node {kind!r}")


def save(obj: Any, path: str | os.PathLike[str], metadata: dict[str, str] | None = None) -> None:
    """Writes a dict of tensors, or a nest of dicts and lists of tensors, numbers and strings, as a safetensors file.

    The file appears whole or not at all. TypeError, before anything is written, for anything else.
    """
    flat = isinstance(obj, Mapping) and all(
        isinstance(k, str) and isinstance(v, Tensor) and k != "__metadata__" for k, v in obj.items()
    )
    tensors: dict[str, Tensor] = {}
    info = dict(metadata or {})
    if flat:
        tensors = dict(obj)
    else:
        tree = _flatten(obj, "", tensors)
        info[_TREE] = json.dumps(tree)
    header: dict[str, Any] = {"__metadata__": info} if info else {}
    # Largest items first keeps every tensor aligned to its item size.
    order = sorted(tensors, key=lambda k: -tensors[k].dtype.itemsize)
    offset = 0
    for name in order:
        t = tensors[name]
        header[name] = {"dtype": _NAMES[t.dtype], "shape": list(t.shape), "data_offsets": [offset, offset + t.nbytes]}
        offset += t.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with atomic_write(path) as f:
        f.write(len(text).to_bytes(8, "little"))
        f.write(text)
        for name in order:
            f.write(_bytes_of(tensors[name]))


def load(path: str | os.PathLike[str]) -> Any:
    """What `save` wrote, or the dict of tensors in any safetensors file.

    The tensors lie in the mapped file (written to, they change in memory only). ValueError: the file is not a whole,
    valid safetensors file, or holds a dtype that tensors lack.
    """
    from safetensors import SafetensorError, safe_open

    path = os.fspath(path)
    if os.path.getsize(path) < 8:
        raise ValueError(f"{path}: not a safetensors file: only {os.path.getsize(path)} bytes")
    try:
        with safe_open(path, framework="numpy") as f:
            info = f.metadata() or {}
            entries = [(name, f.get_slice(name)) for name in f.offset_keys()]
            meta = [(name, s.get_dtype(), tuple(s.get_shape())) for name, s in entries]
    except SafetensorError as e:
        raise ValueError(f"{path}: not a valid safetensors file: {e}") from None
    tensors = _map(path, meta)
    if _TREE not in info:
        return tensors
    try:
        return _restore(json.loads(info[_TREE]), tensors)
    except (ValueError, KeyError, TypeError, AttributeError) as e:
        raise ValueError(f"{path}: damaged structure: {e}") from None


def _map(path: str, meta: list[tuple[str, str, tuple[int, ...]]]) -> dict[str, Tensor]:
    """The tensors of a checked file: the format allows no holes, so the order of the entries gives their places."""
    with open(path, "rb") as f:
        at = 8 + int.from_bytes(f.read(8), "little")
    data = np.memmap(path, dtype=np.uint8, mode="c")
    tensors = {}
    for name, code, shape in meta:
        dtype = _CODES.get(code)
        if dtype is None:
            raise ValueError(f"{path}: {name} has dtype {code}, which tensors lack")
        size = math.prod(shape) * dtype.itemsize
        part = data[at : at + size]
        at += size
        if part.size != size:
            raise ValueError(f"{path}: {name} reaches beyond the end of the file")
        carrier = dtypes.int16 if dtype is dtypes.bfloat16 else dtype
        if part.ctypes.data % dtype.itemsize:
            part = part.copy()
        t = _core.from_numpy(np.asarray(part).view(carrier.numpy).reshape(shape))
        tensors[name] = t if carrier is dtype else _core.bit_view(t, dtype)
    return tensors
