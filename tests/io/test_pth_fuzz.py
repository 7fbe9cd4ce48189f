"""Files and pickles spoilt by chance are read, or a ValueError comes soon; a million of them in the slow test."""

import random
import time
from collections import OrderedDict

import mielina as mi
import numpy as np
import pytest
from mielina.io.pth import _Archive, load_pth
from mielina.io.unpickle import unpickle
from pth_writer import (
    NO_HOOKS,
    ORDERED,
    PARAMETER,
    SIX,
    Built,
    Call,
    Writer,
    loaded,
    parts,
    steps,
    store,
    tensor,
    text,
    zipped,
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.pth"


# ---- chance ----------------------------------------------------------------------------------------------------------
STORAGES = [SIX, bytes(range(48)), b"", bytes([1, 0, 1])]


def seeds():
    """Instructions of small valid files."""
    state = OrderedDict(
        weight=tensor(), bias=tensor((3,), (1,), 3), half=tensor((2, 2), (2, 1), 1, store("1", 24, "BFloat16"))
    )
    built = Built(state, {"_metadata": OrderedDict({"": {"version": 1}})})
    rest = {
        "p": Call(PARAMETER, (tensor(grad=True), True, NO_HOOKS)),
        "mask": tensor((3,), (1,), 0, store("3", 3, "Bool")),
    }
    empty = tensor((0, 3), (3, 1), 0, store("2", 0, "Long"))
    nested = {
        "model": built,
        "epoch": 3,
        "lr": 0.1,
        "betas": (0.9, 0.999),
        "big": 2**70,
        "more": [None, True, {0: [()]}],
    }
    pairs = {"pairs": Call(ORDERED, ([("a", tensor(more=({},))), ["b", -1]],)), "empty": empty}
    return [steps(x, protocol) for x in (state, built, rest, nested, pairs) for protocol in (2, 4)]


ODD = [0, 1, -1, 2, 6, 7, 255, 2**31 - 1, 2**31, 2**32, 2**62, 2**63 - 1, 2**63, -(2**63), 2**64, 2**100]
NAMES = [
    "os\nsystem", "builtins\neval", "collections\nOrderedDict", "torch._utils\n_rebuild_tensor_v2",
    "torch\nFloatStorage",
    "torch._utils\n_rebuild_parameter", "torch\nBoolStorage", "torch\nload",
]  # fmt: skip


def instruction(r):
    """Some instruction, mostly with the arguments that it needs."""
    kind = r.randrange(8)
    if kind < 3:
        return bytes([r.choice(b"(.NtebauRQ]})\x81\x85\x86\x87\x88\x89\x93\x94sioP012")])
    if kind == 3:
        return r.choice(b"KqhC\x82\x8c\x8a").to_bytes(1, "little") + bytes(
            [r.randrange(256) if r.random() < 0.3 else r.randrange(12)]
        )
    if kind == 4:
        x = r.choice(ODD)
        raw = x.to_bytes(x.bit_length() // 8 + 1, "little", signed=True)
        return b"\x8a" + bytes([len(raw)]) + raw
    if kind == 5:
        return b"c" + r.choice(NAMES).encode() + b"\n"
    if kind == 6:
        return text(r.choice(["storage", "0", "1", "_metadata", "cpu", "x", "", "os", "system"]))
    return bytes([r.randrange(256)]) + r.randbytes(r.randrange(9))


def spoilt_steps(r, pool):
    """A valid program with a few instructions lost, doubled, moved,
    put in or taken from another one; or a random one."""
    if r.random() < 0.1:
        return [b"\x80" + bytes([r.randrange(2, 6)]), *(instruction(r) for _ in range(r.randrange(1, 30))), b"."]
    code = list(r.choice(pool))
    for _ in range(r.choice((1, 1, 1, 2, 3, 6))):
        i, kind = r.randrange(1, max(2, len(code))), r.randrange(6)
        if kind == 0:
            del code[i : i + r.randrange(1, 4)]
        elif kind == 1:
            code.insert(i, instruction(r))
        elif kind == 2:
            code[i : i + 1] = [instruction(r)]
        elif kind == 3:
            other = r.choice(pool)
            j = r.randrange(len(other))
            code[i:i] = other[j : j + r.randrange(1, 12)]
        elif kind == 4:
            j = r.randrange(1, max(2, len(code)))
            if i < len(code) and j < len(code):
                code[i], code[j] = code[j], code[i]
        else:
            numbers = [k for k, c in enumerate(code) if c[:1] in b"KMJ\x8a" and len(c) > 1]
            if numbers:
                w = Writer(2)
                w.integer(r.choice(ODD))
                code[r.choice(numbers)] = w.code[1]
    return code


def spoilt_bytes(r, whole):
    """Flipped bits, other bytes, a cut, a hole, a piece repeated elsewhere."""
    raw = bytearray(whole)
    for _ in range(r.choice((1, 1, 2, 4))):
        i, kind = r.randrange(len(raw)), r.randrange(8)
        if kind < 3:
            raw[i] ^= 1 << r.randrange(8)
        elif kind < 5:
            raw[i] = r.choice((0, 1, 255, r.randrange(256)))
        elif kind == 5:
            j = r.randrange(len(raw))
            raw[j : j + 8] = raw[i : i + 8]
        elif kind == 6:
            piece = raw[i : i + r.randrange(1, 40)]
            raw[i:i] = piece
        elif r.random() < 0.5:
            del raw[max(4, i) :]
        else:
            del raw[i : i + r.randrange(1, 20)]
    return bytes(raw)


def looked_through(x, depth=0):
    """Everything in a result is readable, and of the kinds that are promised."""
    assert depth <= 100
    if isinstance(x, mi.Tensor):
        assert np.prod([max(n, 1) for n in x.shape], dtype=object) * x.dtype.itemsize <= 2**20
        if x.numel() <= 64:
            x.tolist()
    elif type(x) in (dict, OrderedDict):
        for k, v in x.items():
            assert type(k) in (str, int)
            looked_through(v, depth + 1)
    elif type(x) in (list, tuple):
        for v in x:
            looked_through(v, depth + 1)
    else:
        assert x is None or type(x) in (bool, int, float, str)


def fuzz(seed, pickles, archives):
    """How many of so many spoilt programs and files were read all the same. Anything but a ValueError fails here."""
    r, pool = random.Random(seed), seeds()
    whole = [
        zipped(parts(code, STORAGES), align=16 * (i % 2), streamed=i % 3 > 0, wide=i % 4 > 1)
        for i, code in enumerate(pool)
    ]
    valid = _Archive(np.frombuffer(bytearray(whole[0]), np.uint8))
    read, slowest = [0, 0], 0.0
    for n in range(pickles + archives):
        began = time.process_time()
        try:
            if n < pickles:
                code = b"".join(spoilt_steps(r, pool))
                code = spoilt_bytes(r, code) if code and r.random() < 0.2 else code
                valid.storages.clear()
                found = unpickle(code, valid.storage, valid.tensor)
            else:
                content = spoilt_bytes(r, r.choice(whole))
                found = _Archive(np.frombuffer(bytearray(content), np.uint8)).load() if content else {}
        except ValueError:
            pass
        else:
            looked_through(found)
            read[n >= pickles] += 1
        slowest = max(slowest, time.process_time() - began)
    assert slowest < 5
    return read


def test_the_seeds_are_valid(path):
    for code in seeds():
        looked_through(loaded(path, zipped(parts(code, STORAGES))))


def test_spoilt_by_chance():
    read = fuzz(1, 4000, 2000)
    assert all(0 < n < 2000 for n in read)  # some are harmless; most are not


def test_spoilt_files_by_chance(path):
    r, whole = random.Random(2), zipped(parts(seeds()[6], STORAGES))
    for _ in range(500):
        path.write_bytes(spoilt_bytes(r, whole))
        try:
            looked_through(load_pth(path))
        except ValueError as e:
            assert str(e).startswith(str(path)) and "\n" not in str(e)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", range(4))
def test_a_million_spoilt_by_chance(part):
    read = fuzz(100 + part, 175_000, 75_000)
    assert all(read)
