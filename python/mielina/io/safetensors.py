"""`mi.save` and `mi.load`: safetensors files.

A flat dict of tensors (a `state_dict`) becomes an ordinary safetensors file that other libraries read. A nested dict
with numbers, strings, booleans, None and lists (an optimiser's state has all of them) keeps its shape as JSON in the
file's metadata. The `safetensors` library checks the header of what is loaded; the data is mapped, so weights are
read from the disk when they are first used and no second copy is made. bfloat16 needs no help from NumPy.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import _core, devices, dtypes
from ..tensor import Tensor
from .files import atomic_write

_CODES = {
    "F32": dtypes.float32, "F64": dtypes.float64, "F16": dtypes.float16, "BF16": dtypes.bfloat16, "I64": dtypes.int64,
    "I32": dtypes.int32, "I16": dtypes.int16, "I8": dtypes.int8, "U8": dtypes.uint8, "BOOL": dtypes.bool,
}  # fmt: skip
_NAMES = {d: code for code, d in _CODES.items()}
_TREE = "mielina.tree"
_DEEPEST = 100
_LONGEST_HEADER = 100_000_000  # what the safetensors library reads


def _bytes_of(t: Tensor) -> Any:
    raw = _core.to_device(_core.contiguous(t.detach()), 0)
    if raw.dtype is dtypes.bfloat16:
        raw = _core.bit_view(raw, dtypes.int16)
    return raw.numpy().reshape(-1).view(np.uint8).data


def _flatten(obj: Any, path: str, tensors: dict[str, Tensor], depth: int = 0) -> Any:
    """The JSON form of obj, its tensors taken out into `tensors` under dotted names."""
    if depth > _DEEPEST:  # a dict that contains itself, too
        raise ValueError(f"save: more than {_DEEPEST} levels of dicts and lists at {path[:80]}...")
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
        items = [[k, _flatten(v, f"{path}.{k}" if path else str(k), tensors, depth + 1)] for k, v in obj.items()]
        return {"dict": items}
    if isinstance(obj, (list, tuple)):
        return {"list": [_flatten(v, f"{path}.{i}", tensors, depth + 1) for i, v in enumerate(obj)]}
    if obj is None or isinstance(obj, (bool, int, str)):
        return {"value": obj}
    if isinstance(obj, (float, np.floating)):
        return {"float": float(obj).hex()}
    if isinstance(obj, (np.integer, np.bool_)):
        return {"value": obj.item()}
    raise TypeError(
        f"save: cannot store {type(obj).__name__} at {path}; files hold dicts and lists of tensors, numbers and strings"
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
    if kind == "value" and (value is None or isinstance(value, (bool, int, str))):
        return value
    raise ValueError(f"unknown node {kind!r}")


def save(obj: Any, path: str | os.PathLike[str], metadata: Mapping[str, str] | None = None) -> None:
    """Writes a dict of tensors, or a nest of dicts and lists of tensors, numbers and strings, as a safetensors file.

    The file appears whole or not at all: it is written beside `path`, synced and renamed. metadata: strings for the
    file's header. Before anything is written, TypeError: `obj` is no dict, or something in it is none of these; the
    message names the path to it. ValueError: names that are not valid Unicode, more than 100 levels. OSError as
    `open` would raise it.
    """
    if not isinstance(obj, Mapping):
        hint = "; pass its state_dict()" if hasattr(obj, "state_dict") else ""
        raise TypeError(f"save: expected a dict of tensors, numbers and strings, got {type(obj).__name__}{hint}")
    info = dict(metadata or {})
    if any(not isinstance(text, str) for pair in info.items() for text in pair) or _TREE in info:
        raise TypeError(f"save: metadata must be a dict of strings to strings, without {_TREE!r}")
    tensors: dict[str, Tensor] = {}
    if all(isinstance(k, str) and isinstance(v, Tensor) and k != "__metadata__" for k, v in obj.items()):
        tensors = dict(obj)
    else:
        info[_TREE] = json.dumps(_flatten(obj, "", tensors))
    header: dict[str, Any] = {"__metadata__": info} if info else {}
    # Largest items first keeps every tensor aligned to its item size.
    order = sorted(tensors, key=lambda k: -tensors[k].dtype.itemsize)
    offset = 0
    for name in order:
        t = tensors[name]
        header[name] = {"dtype": _NAMES[t.dtype], "shape": list(t.shape), "data_offsets": [offset, offset + t.nbytes]}
        offset += t.nbytes
    try:
        text = json.dumps(header, ensure_ascii=False).encode()
    except UnicodeEncodeError as e:
        raise ValueError(f"save: names must be valid Unicode: {e}") from None
    text += b" " * (-len(text) % 8)
    if len(text) > _LONGEST_HEADER:
        raise ValueError(f"save: names, strings and numbers take {len(text)} bytes; a header holds {_LONGEST_HEADER}")
    with atomic_write(path) as f:
        f.write(len(text).to_bytes(8, "little"))
        f.write(text)
        for name in order:
            f.write(_bytes_of(tensors[name]))


def load(path: str | os.PathLike[str], device: Any = None) -> Any:
    """What `save` wrote (tuples come back as lists), or the dict of tensors in any safetensors file.

    The tensors lie in the mapped file (written to, they change in memory only), or on `device`. Files of PyTorch's
    `torch.save` are read by `mi.io.load_pth`. ValueError: the file is not a whole, valid safetensors file, or holds a
    dtype that tensors lack. OSError: it is missing, a folder, or must not be read.
    """
    from safetensors import SafetensorError, safe_open

    path = os.fspath(path)
    place = 0 if device is None else devices.number(device)
    with open(path, "rb") as f:  # missing files, folders and permissions are the operating system's to name
        size = os.fstat(f.fileno()).st_size
        if size < 8:
            raise ValueError(f"{path}: not a safetensors file: only {size} bytes")
        try:
            with safe_open(path, framework="numpy"):
                pass
        except SafetensorError as e:
            why = "files of torch.save are read by mi.io.load_pth" if f.read(4) == b"PK\3\4" else str(e)
            raise ValueError(f"{path}: not a valid safetensors file: {why}") from None
        start, header = _header(f, size)
        data = np.memmap(f, dtype=np.uint8, mode="c")
    try:
        info = header.pop("__metadata__", None) or {}
        tensors = {name: _mapped(name, entry, data, start) for name, entry in header.items()}
        if place:
            tensors = {name: _core.to_device(t, place) for name, t in tensors.items()}
        return tensors if _TREE not in info else _restore(json.loads(info[_TREE]), tensors)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as e:
        raise ValueError(f"{path}: damaged: {e}") from None


def metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """The strings in a safetensors file's header. ValueError: no valid header. OSError as for `load`."""
    with open(os.fspath(path), "rb") as f:
        size = os.fstat(f.fileno()).st_size
        if size < 8:
            raise ValueError(f"{f.name}: not a safetensors file: only {size} bytes")
        found = _header(f, size)[1]
    info = found.get("__metadata__") if isinstance(found, dict) else None
    return {k: v for k, v in info.items() if isinstance(v, str)} if isinstance(info, dict) else {}


def _header(f: Any, size: int) -> tuple[int, dict[str, Any]]:
    """Where the data starts, and the header; two tensors of one name are an error."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a name stands twice in the header")
        return found

    n = int.from_bytes(f.read(8), "little")
    if n > min(size - 8, _LONGEST_HEADER):
        raise ValueError(f"{f.name}: not a valid safetensors file: a header of {n} bytes")
    try:
        return 8 + n, json.loads(f.read(n), object_pairs_hook=unique)
    except (ValueError, RecursionError) as e:
        raise ValueError(f"{f.name}: not a valid safetensors file: {e}") from None


def _mapped(name: str, entry: dict[str, Any], data: np.ndarray, start: int) -> Tensor:
    """One tensor of a mapped file. The offsets are checked once more: the file may have changed since it was opened."""
    dtype, shape, (begin, end) = _CODES.get(entry["dtype"]), tuple(entry["shape"]), entry["data_offsets"]
    if dtype is None:
        raise ValueError(f"{name} has dtype {entry['dtype']}, which tensors lack")
    if not 0 <= begin <= end <= data.size - start or end - begin != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{name} of shape {shape} does not fit its place in the file")
    part = data[start + begin : start + end]
    if part.ctypes.data % dtype.itemsize:
        part = part.copy()
    carrier = dtypes.int16 if dtype is dtypes.bfloat16 else dtype
    t = _core.from_numpy(np.asarray(part).view(carrier.numpy).reshape(shape))
    return t if carrier is dtype else _core.bit_view(t, dtype)  # type: ignore[no-any-return]
