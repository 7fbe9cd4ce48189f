"""`load_pth`: state dicts that PyTorch's `torch.save` wrote (`.pth`, `.pt`, `.bin`), without PyTorch and its pickle.

Such a file is a zip archive of one folder: `data.pkl` says which tensors there are, `data/0`, `data/1`, ... are their
storages, uncompressed, hence mapped as they lie. The archive is read more strictly than zip allows: its entries must
follow each other from the first byte to the directory, and the local headers must say what the directory says, so that
no two readers could see two different files in it. Checksums are not compared, for which all weights would have to be
read, and which `torch.save` may leave out.
"""

from __future__ import annotations

import math
import os
import re
import struct
from collections import OrderedDict
from typing import Any

import numpy as np

from .. import _core, devices, dtypes
from ..tensor import Tensor
from .unpickle import LONGEST, RANK, unpickle

_MAGIC = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"  # the number that opens files of PyTorch before 1.6
_END, _LOCATOR, _END64 = struct.Struct("<4s4H2LH"), struct.Struct("<4sLQL"), struct.Struct("<4sQ2H2L4Q")
_CENTRAL, _LOCAL = struct.Struct("<4s6H3L5H2L"), struct.Struct("<4s5H3L2H")
_SIZES, _SIZES64 = struct.Struct("<4s3L"), struct.Struct("<4sL2Q")  # what follows an entry that was streamed
_FULL = 0xFFFFFFFF  # the number stands in 64 bits elsewhere
_STREAMED, _UTF8 = 8, 0x800
_NAME = re.compile(r"([^/\\\0]+)/(data\.pkl|data/[0-9]{1,18}|byteorder|version|\.data/\w+|\.\w+)", re.ASCII)
_ENTRIES = 100_000
_LARGEST, _IDLE = 2**62, 2**48
_GROWTH, _SMALL = 16, 2**20  # a tensor larger than its storage may have this many times the file's bytes, or this many


def load_pth(path: str | os.PathLike[str], device: Any = None) -> dict[Any, Any]:
    """The dict in a file of `torch.save`: tensors, or a nest of dicts, lists, tuples, numbers and strings with tensors.

    >>> model.load_state_dict(mi.io.load_pth("model.pth"))  # doctest: +SKIP

    Nothing in the file is run. The tensors lie in the mapped file (written to, they change in memory only), or on
    `device`; where they shared memory, they do so here. Parameters come back as tensors without gradient. ValueError:
    a file of PyTorch before 1.6 or of TorchScript, a whole pickled model, damage, or anything but data of this kind.
    OSError: it is missing, a folder, or must not be read.
    """
    path = os.fspath(path)
    place = 0 if device is None else devices.number(device)
    with open(path, "rb") as f:
        size = os.fstat(f.fileno()).st_size
        start = f.read(64)
        if _MAGIC in start:
            raise ValueError(
                f"{path}: the format of PyTorch before 1.6; convert it where PyTorch is: "
                f"torch.save(torch.load({path!r}, weights_only=True), 'new.pth')"
            )
        if size < _END.size or not start.startswith(b"PK\3\4"):
            kind = "a plain pickle, which could run anything" if start[:1] == b"\x80" else "no zip archive"
            raise ValueError(f"{path}: not a file of torch.save: {kind}")
        data = np.memmap(f, dtype=np.uint8, mode="c")
    try:
        return _Archive(data, place).load()
    except ValueError as e:
        raise ValueError(f"{path}: not read: {e}") from None


class _Archive:
    """The entries of a file, and the storages that were asked for."""

    def __init__(self, data: np.ndarray, place: int = 0) -> None:
        self.data, self.place = data, place
        self.entries = _entries(data.data)
        self.storages: dict[str, tuple[dtypes.dtype, Tensor]] = {}

    def load(self) -> dict[Any, Any]:
        if "data.pkl" not in self.entries:
            raise ValueError("no data.pkl in the archive")
        if "byteorder" in self.entries and self.bytes_of("byteorder", 16) != b"little":
            raise ValueError("its numbers are big-endian")
        found = unpickle(self.bytes_of("data.pkl", LONGEST + 1), self.storage, self.tensor)
        if type(found) not in (dict, OrderedDict):
            raise ValueError(f"it holds no dict but {type(found).__name__}")
        return found  # type: ignore[no-any-return]

    def bytes_of(self, name: str, most: int) -> bytes:
        begin, end = self.entries[name]
        return self.data[begin : min(end, begin + most)].tobytes()

    def storage(self, dtype: dtypes.dtype, key: str, numel: int) -> Tensor:
        """The memory of a key, in one dimension."""
        if key in self.storages:
            known, flat = self.storages[key]
            if known is not dtype or flat.shape[0] != numel:
                raise ValueError(f"storage {key} in two kinds")
            return flat
        begin, end = self.entries.get(f"data/{key}", (-1, -1))
        if begin < 0 or end - begin != numel * dtype.itemsize:
            raise ValueError(f"storage {key} is missing, or has other bytes than its elements need")
        part = self.data[begin:end]
        if part.ctypes.data % dtype.itemsize:
            part = part.copy()
        carrier = dtypes.int16 if dtype is dtypes.bfloat16 else dtype
        flat = _core.from_numpy(np.asarray(part).view(carrier.numpy))
        flat = flat if carrier is dtype else _core.bit_view(flat, dtype)
        self.storages[key] = dtype, _core.to_device(flat, self.place) if self.place else flat
        return self.storages[key][1]

    def tensor(self, flat: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
        if len(size) != len(stride) or len(size) > RANK:
            raise ValueError(f"{len(size)} sizes and {len(stride)} strides; tensors have at most {RANK} dimensions")
        most = math.prod(max(n, 1) for n in size)  # an empty tensor of 2^40 rows is a large object to walk through, too
        if max((offset, *stride, most)) > _LARGEST:
            raise ValueError("a tensor whose size or strides overflow")
        numel = math.prod(size)
        last = offset + sum((n - 1) * s for n, s in zip(size, stride)) if numel else offset - 1
        if last >= flat.shape[0]:
            raise ValueError("a tensor that reaches outside its storage")
        if most * flat.dtype.itemsize > max(_GROWTH * self.data.size, _SMALL):
            raise ValueError(f"a tensor of shape {size} in a file of {self.data.size} bytes")
        # An idle stride may be any number, but times the bytes of an element it must not overflow.
        steps = tuple(s if numel and (n > 1 or s < _IDLE) else 1 for n, s in zip(size, stride))
        return _core.as_strided(flat, size, steps, offset if numel else 0)


def _entries(raw: memoryview) -> dict[str, tuple[int, int]]:
    """Where the data of each entry begins and ends, under its name in the archive's one folder."""
    count, begin, stop = _directory(raw)
    if count > _ENTRIES:
        raise ValueError(f"{count} entries; at most {_ENTRIES} are read")
    at, listed = begin, []
    for _ in range(count):
        sign, _, _, flags, method, _, _, crc, packed, size, named, extra, comment, disk, _, _, offset = _unpack(
            _CENTRAL, raw, at, stop
        )
        at += _CENTRAL.size + named
        if sign != b"PK\1\2" or comment or disk or extra > stop - at:
            raise ValueError("the zip directory is damaged")
        name = bytes(raw[at - named : at])
        size, packed, offset = _widened(raw[at : at + extra], [size, packed, offset])
        at += extra
        where = _split(name)
        if method or packed != size or flags & ~(_STREAMED | _UTF8):
            raise ValueError(f"entry {_shown(name)} is compressed or encrypted")
        listed.append((offset, where, name, flags, crc, size))
    if at != stop:
        raise ValueError("the zip directory is damaged")
    listed.sort()
    found: dict[str, tuple[int, int]] = {}
    due = 0
    for entry, after in zip(listed, [*(e[0] for e in listed[1:]), begin]):
        if entry[0] != due or after > begin:
            raise ValueError("zip entries overlap, or something stands between them")
        folder, key = entry[1]
        if key in found or folder != listed[0][1][0]:
            raise ValueError(f"entry {_shown(entry[2])} stands twice, or in a second folder")
        found[key] = _place(raw, entry[0], *entry[2:], after)
        due = after
    return found


def _directory(raw: memoryview) -> tuple[int, int, int]:
    """How many entries, and where the directory begins and ends. It must end where the end's record begins."""
    stop = len(raw) - _END.size
    sign, *fields, comment = _unpack(_END, raw, stop, len(raw))
    if sign != b"PK\5\6" or comment:
        raise ValueError("the zip archive is cut off, or something stands behind its end")
    if bytes(raw[max(0, stop - _LOCATOR.size) :][:4]) == b"PK\6\7":
        _, disk, at, disks = _unpack(_LOCATOR, raw, stop - _LOCATOR.size, stop)
        stop -= _LOCATOR.size + _END64.size
        sign, length, _, _, *wide = _unpack(_END64, raw, stop, len(raw))
        agree = all(n in (w, top) for n, w, top in zip(fields, wide, (0xFFFF,) * 4 + (_FULL,) * 2))
        if (sign, length, disk, at, disks) != (b"PK\6\6", _END64.size - 12, 0, stop, 1) or not agree:
            raise ValueError("the zip archive's two ends disagree")
        fields = wide
    disk, other, here, count, size, begin = fields
    if disk or other or here != count or begin + size != stop:
        raise ValueError("the zip directory is not where the archive's end says")
    return count, begin, stop


def _place(raw: memoryview, offset: int, name: bytes, flags: int, crc: int, size: int, after: int) -> tuple[int, int]:
    """Where an entry's data lies, its local header read; `after` is where the next one begins."""
    sign, _, *local, _, _, local_crc, packed, plain, named, extra = _unpack(_LOCAL, raw, offset, after)
    at = offset + _LOCAL.size
    begin = at + named + extra
    end = begin + size
    if sign != b"PK\3\4" or local != [flags, 0] or bytes(raw[at : at + named]) != name or end > after:
        raise ValueError(f"entry {_shown(name)} is described in two ways, or overlaps the next")
    numbers = (local_crc, *_widened(raw[at + named : begin], [plain, packed]))
    streamed = flags & _STREAMED
    if numbers != (crc, size, size) and not (streamed and numbers == (0, 0, 0)):
        raise ValueError(f"entry {_shown(name)} is described in two ways")
    if streamed:
        form = _SIZES64 if after - end == _SIZES64.size else _SIZES
        if _unpack(form, raw, end, after) != (b"PK\7\x08", crc, size, size):
            raise ValueError(f"entry {_shown(name)} is described in two ways")
        end += form.size
    if end != after:
        raise ValueError("zip entries overlap, or something stands between them")
    return begin, begin + size


def _split(name: bytes) -> tuple[str, str]:
    """The folder and the name in it; only what torch.save writes."""
    try:
        found = _NAME.fullmatch(text := name.decode())
    except UnicodeDecodeError:
        raise ValueError(f"entry {_shown(name)} is not UTF-8") from None
    if "/code/" in text or text.endswith("/constants.pkl"):
        raise ValueError("a TorchScript archive, which holds code; save the module's state_dict() where PyTorch is")
    if not found or found[1] in (".", ".."):
        raise ValueError(f"entry {_shown(name)} is none of torch.save's")
    return found[1], found[2]


def _widened(extra: memoryview, numbers: list[int]) -> list[int]:
    """Numbers that are full in 32 bits stand in an extra field of kind 1, in 64 bits and in this order."""
    at = 0
    while _FULL in numbers and len(extra) - at >= 4:
        kind, n = struct.unpack_from("<2H", extra, at)
        wide = bytes(extra[at + 4 : at + 4 + n])
        at += 4 + n
        if kind == 1:
            if len(wide) < 8 * numbers.count(_FULL):
                raise ValueError("a zip entry without its 64-bit sizes")
            rest = iter(struct.unpack(f"<{len(wide) // 8}Q", wide[: len(wide) // 8 * 8]))
            return [next(rest) if n == _FULL else n for n in numbers]
    return numbers


def _unpack(form: struct.Struct, raw: memoryview, at: int, stop: int) -> tuple[Any, ...]:
    if at < 0 or at + form.size > stop:
        raise ValueError("the zip archive is cut off")
    return form.unpack_from(raw, at)


def _shown(name: bytes) -> str:
    return ascii(name)[1:][:80]
