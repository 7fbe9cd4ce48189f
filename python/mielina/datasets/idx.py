"""IDX files, the format of MNIST: two zero bytes, a type, the number of axes, their lengths, the values."""

from __future__ import annotations

import contextlib
import gzip
import math
import os
import zlib
from typing import IO, Any

import numpy as np

from ..io.files import atomic_write

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_LARGEST = 1 << 59  # values: eight bytes each then still fit 63 bits
_STEP = 1 << 24  # bytes read at once, so that a header's promise allocates nothing


def read_idx(path: str | os.PathLike[str]) -> np.ndarray:
    """The array in an IDX file, or in its gzip form (known by its first bytes), in the machine's byte order.

    A compressed file is inflated as far as its header says and one byte further. ValueError: another kind of file, an
    unknown type, or more or fewer bytes than the lengths' product. OSError as `open` would raise it. Source: LeCun,
    Cortes & Burges, "The MNIST database".
    """
    name = os.fspath(path)
    with contextlib.ExitStack() as stack:
        f: Any = stack.enter_context(open(path, "rb"))
        zipped = f.read(2) == b"\x1f\x8b"
        f.seek(0)
        if zipped:
            f = stack.enter_context(gzip.GzipFile(fileobj=f))
        try:
            return _read(f, name)
        except (EOFError, zlib.error, gzip.BadGzipFile) as e:
            raise ValueError(f"{name}: damaged gzip data: {e}") from None


def _read(f: IO[bytes], name: str) -> np.ndarray:
    start = f.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in _TYPES:
        raise ValueError(f"{name}: not an IDX file: it begins with {start.hex(' ') or 'nothing'}")
    kind, lengths = np.dtype(_TYPES[start[2]]), f.read(4 * start[3])
    if not 0 < start[3] <= 32:
        raise ValueError(f"{name}: an IDX file of {start[3]} axes; 1 to 32 are read")
    if len(lengths) < 4 * start[3]:
        raise ValueError(f"{name}: an IDX file of {start[3]} axes whose lengths are missing")
    shape = tuple(int(n) for n in np.frombuffer(lengths, ">u4"))
    if math.prod(max(n, 1) for n in shape) > _LARGEST:  # NumPy takes no empty array of that shape either
        raise ValueError(f"{name}: a shape that no array has: {shape}")
    wanted = math.prod(shape) * kind.itemsize
    parts, held = [], 0
    while held <= wanted and (part := f.read(min(_STEP, wanted + 1 - held))):
        parts.append(part)
        held += len(part)
    if held != wanted:
        more = "more" if held > wanted else held
        raise ValueError(f"{name}: {shape} of {kind.name} takes {wanted} bytes; the file has {more}")
    return np.frombuffer(b"".join(parts), kind).reshape(shape).astype(kind.newbyteorder("="))


def write_idx(path: str | os.PathLike[str], array: Any) -> None:
    """Writes an array as an IDX file, compressed where the name ends in .gz. It appears whole or not at all.

    TypeError: a dtype that the format lacks (it has uint8, int8, int16, int32, float32, float64). ValueError: no axes.
    """
    a = np.asarray(array)
    code = {np.dtype(t).newbyteorder("="): c for c, t in _TYPES.items()}.get(a.dtype.newbyteorder("="))
    if code is None:
        raise TypeError(f"write_idx: the format has no {a.dtype}; it has uint8, int8, int16, int32, float32, float64")
    if not 0 < a.ndim <= 32 or max(a.shape) >= 1 << 32:
        raise ValueError(f"write_idx: expected 1 to 32 axes of less than 2^32, got shape {a.shape}")
    head = bytes([0, 0, code, a.ndim]) + np.array(a.shape, ">u4").tobytes()
    data = head + a.astype(_TYPES[code]).tobytes()
    with atomic_write(path) as f:
        f.write(gzip.compress(data, mtime=0) if os.fspath(path).endswith(".gz") else data)
