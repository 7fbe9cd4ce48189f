"""A writer of files like torch.save's, and of spoilt ones: pickles are lists of instructions, archives are structs."""

import struct
import zlib
from collections import OrderedDict
from dataclasses import dataclass

import mielina as mi
import numpy as np
import pytest
from mielina.io.pth import load_pth

FULL = 0xFFFFFFFF


START, STOP = b"\x80\x02", b"."


# ---- a writer of pickles: a list of instructions ---------------------------------------------------------------------
@dataclass(frozen=True)
class Raw:
    code: bytes


@dataclass(frozen=True)
class Name:
    module: str
    name: str


@dataclass(frozen=True)
class Call:
    function: object
    args: object


@dataclass(frozen=True)
class Pid:
    args: object


@dataclass(frozen=True)
class Built:
    value: object
    state: object


ORDERED = Name("collections", "OrderedDict")
REBUILD, PARAMETER = Name("torch._utils", "_rebuild_tensor_v2"), Name("torch._utils", "_rebuild_parameter")
NO_HOOKS = Call(ORDERED, ())


class Writer:
    def __init__(self, protocol):
        self.protocol, self.code, self.known = protocol, [bytes([0x80, protocol])], {}

    def emit(self, *code):
        self.code.extend(code)

    def note(self, key=None):
        index = len(self.known)
        self.known[object() if key is None else key] = index
        if self.protocol >= 4:
            self.emit(b"\x94")
        else:
            self.emit(b"q" + bytes([index]) if index < 256 else b"r" + struct.pack("<I", index))

    def text(self, x):
        raw = x.encode()
        short = self.protocol >= 4 and len(raw) < 256
        self.emit(b"\x8c" + bytes([len(raw)]) + raw if short else b"X" + struct.pack("<I", len(raw)) + raw)

    def integer(self, x):
        if 0 <= x < 65536:
            self.emit(b"K" + bytes([x]) if x < 256 else b"M" + struct.pack("<H", x))
        elif -(2**31) <= x < 2**31:
            self.emit(b"J" + struct.pack("<i", x))
        else:
            raw = x.to_bytes(x.bit_length() // 8 + 1, "little", signed=True)
            self.emit(
                b"\x8a" + bytes([len(raw)]) + raw if len(raw) < 256 else b"\x8b" + struct.pack("<I", len(raw)) + raw
            )

    def items(self, pairs):
        self.emit(b"(")
        for k, v in pairs:
            self.save(k)
            self.save(v)
        self.emit(b"u")

    def save(self, x):
        if isinstance(x, Raw):
            self.emit(x.code)
        elif x is None or isinstance(x, bool):
            self.emit({None: b"N", True: b"\x88", False: b"\x89"}[x])
        elif isinstance(x, int):
            self.integer(x)
        elif isinstance(x, float):
            self.emit(b"G" + struct.pack(">d", x))
        elif isinstance(x, (str, Name)):
            if x in self.known:
                index = self.known[x]
                self.emit(b"h" + bytes([index]) if index < 256 else b"j" + struct.pack("<I", index))
                return
            if isinstance(x, str):
                self.text(x)
            elif self.protocol >= 4:
                self.save(x.module)
                self.save(x.name)
                self.emit(b"\x93")
            else:
                self.emit(f"c{x.module}\n{x.name}\n".encode())
            self.note(x)
        elif isinstance(x, tuple):
            if len(x) > 3:
                self.emit(b"(")
            for item in x:
                self.save(item)
            self.emit([b")", b"\x85", b"\x86", b"\x87", b"t"][min(len(x), 4)])
        elif isinstance(x, list):
            self.emit(b"]")
            self.note()
            self.emit(b"(")
            for item in x:
                self.save(item)
            self.emit(b"e")
        elif isinstance(x, OrderedDict):
            self.save(NO_HOOKS)
            self.items(x.items())
        elif isinstance(x, dict):
            self.emit(b"}")
            self.note()
            self.items(x.items())
        elif isinstance(x, Call):
            self.save(x.function)
            self.save(x.args)
            self.emit(b"R")
        elif isinstance(x, Built):
            self.save(x.value)
            self.save(x.state)
            self.emit(b"b")
        else:
            self.save(x.args)
            self.emit(b"Q")


def steps(x, protocol=2):
    """The instructions that make x, from PROTO to STOP."""
    writer = Writer(protocol)
    writer.save(x)
    writer.emit(b".")
    if protocol >= 4:
        writer.code.insert(1, b"\x95" + struct.pack("<Q", len(b"".join(writer.code)) - 2))
    return writer.code


def store(key="0", numel=6, kind="Float", location="cpu"):
    return Pid(("storage", Name("torch", f"{kind}Storage"), key, location, numel))


def tensor(size=(2, 3), stride=(3, 1), offset=0, storage=None, hooks=NO_HOOKS, grad=False, more=()):
    return Call(REBUILD, (storage or store(), offset, size, stride, grad, hooks, *more))


def text(x):
    return b"X" + struct.pack("<I", len(x)) + x.encode()


# ---- a writer of zip archives; what is spoilt is overridden by name --------------------------------------------------
def packed(form, defaults, changed):
    values = {**defaults, **changed}
    return struct.pack(form, *values.values())


def zipped(
    entries, *, streamed=True, wide=True, align=64, top="archive/", local=None, central=None, end=None, end64=None,
    locator=None, behind=None, prefix=b"", suffix=b"", between=b"",
):  # fmt: skip
    """An archive like torch.save's: sizes behind the data, padding before it, both ends. local, central: by entry."""
    out, directory = bytearray(prefix), bytearray()
    for i, (name, data) in enumerate(entries):
        raw, crc, offset = (top + name).encode(), zlib.crc32(data), len(out)
        known = (0, 0, 0) if streamed else (crc, len(data), len(data))
        flags = 0x808 if streamed else 0x800
        pad = -(offset + 34 + len(raw)) % align if align else 0
        extra = b"FB" + struct.pack("<H", pad) + b"Z" * pad if align else b""
        fields = dict(zip(("crc", "packed", "size"), known))
        head = {"sign": b"PK\3\4", "needs": 0, "flags": flags, "method": 0, "time": 0, "date": 0, **fields}
        change = dict((local or {}).get(i, {}))
        extra = change.pop("extra_bytes", extra)
        out += packed("<4s5H3L2H", {**head, "named": len(raw), "extra": len(extra)}, change) + raw + extra + data
        if streamed:
            tail = {"sign": b"PK\7\x08", "crc": crc, "packed": len(data), "size": len(data)}
            out += packed("<4s3L", tail, (behind or {}).get(i, {}))
        out += between
        fields = {"crc": crc, "packed": len(data), "size": len(data)}
        head = {"sign": b"PK\1\2", "made": 0, "needs": 0, "flags": flags, "method": 0, "time": 0, "date": 0, **fields}
        tail = {"named": len(raw), "extra": 0, "comment": 0, "disk": 0, "inner": 0, "outer": 0, "offset": offset}
        change = dict((central or {}).get(i, {}))
        more = change.pop("extra_bytes", b"")
        directory += packed("<4s6H3L5H2L", {**head, **tail, "extra": len(more)}, change) + raw + more
    start, count, size = len(out), len(entries), len(directory)
    out += directory
    numbers = {"disk": 0, "other": 0, "here": count, "count": count, "size": size, "start": start}
    if wide:
        at = len(out)
        head = {"sign": b"PK\6\6", "length": 44, "made": 30, "needs": 45}
        out += packed("<4sQ2H2L4Q", {**head, **numbers}, end64 or {})
        out += packed("<4sLQL", {"sign": b"PK\6\7", "disk": 0, "at": at, "disks": 1}, locator or {})
    out += packed("<4s4H2LH", {"sign": b"PK\5\6", **numbers, "comment": 0}, end or {})
    return bytes(out + suffix)


SIX = np.arange(6, dtype=np.float32).tobytes()


def parts(x, storages=(SIX,), protocol=2):
    pickled = b"".join(x if isinstance(x, list) and x and isinstance(x[0], bytes) else steps(x, protocol))
    named = [(f"data/{i}", raw) for i, raw in enumerate(storages)]
    extras = [("version", b"3\n"), (".data/serialization_id", b"1268567396964646261")]
    return [("data.pkl", pickled), ("byteorder", b"little"), *named, *extras]


def loaded(path, content):
    path.write_bytes(content)
    return load_pth(path)


def refused(path, content, match=None):
    path.write_bytes(content)
    peak = mi._core.memory_stats()[1]
    with pytest.raises(ValueError, match=match) as caught:
        load_pth(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)
    assert mi._core.memory_stats()[1] == peak


def bits(t):
    t = t.contiguous()
    return (mi._core.bit_view(t, mi.int16) if t.dtype is mi.bfloat16 else t).numpy().tobytes()
