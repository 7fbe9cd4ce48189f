"""Files of torch.save: what is in them comes back with its bits.

They are written by hand (`pth_writer`), so that most tests need no PyTorch; where it is installed, its own files are
read, too.
"""

import math
import os
import struct
import time
from collections import OrderedDict

import mielina as mi
import numpy as np
import pytest
from mielina.io.pth import load_pth
from pth_writer import (
    FULL,
    NO_HOOKS,
    ORDERED,
    PARAMETER,
    SIX,
    Built,
    Call,
    bits,
    loaded,
    parts,
    refused,
    steps,
    store,
    tensor,
    zipped,
)

KINDS = {
    "Float": mi.float32, "Double": mi.float64, "Half": mi.float16, "BFloat16": mi.bfloat16, "Long": mi.int64,
    "Int": mi.int32, "Short": mi.int16, "Char": mi.int8, "Byte": mi.uint8, "Bool": mi.bool,
}  # fmt: skip
DTYPES = [
    "float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool",
]  # fmt: skip


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.pth"


# ---- what comes back -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_state_dict(path, protocol):
    state = OrderedDict(weight=tensor(), bias=tensor((3,), (1,), 3))
    back = loaded(path, zipped(parts(state, protocol=protocol)))
    assert type(back) is OrderedDict and list(back) == ["weight", "bias"]
    assert back["weight"].tolist() == [[0, 1, 2], [3, 4, 5]] and back["bias"].tolist() == [3, 4, 5]
    assert back["weight"].dtype is mi.float32 and not back["weight"].requires_grad


@pytest.mark.parametrize("kind", KINDS)
def test_every_dtype_bit_by_bit(path, kind):
    dtype = KINDS[kind]
    raw = bytes([0, 1, 1, 0, 1, 0, 1, 1] * 6) if kind == "Bool" else np.random.default_rng(1).bytes(48)
    n = 48 // dtype.itemsize
    state = {"x": tensor((n,), (1,), storage=store(numel=n, kind=kind))}
    back = loaded(path, zipped(parts(state, [raw])))["x"]
    assert back.dtype is dtype and bits(back) == raw


def test_load_names_the_function_that_reads_them(path):
    path.write_bytes(zipped(parts({"x": tensor((6,), (1,))}, [bytes(24)])))
    with pytest.raises(ValueError, match=r"read by mi\.io\.load_pth"):
        mi.load(path)


def test_values_of_every_kind(path):
    value = {
        "model": OrderedDict(w=1), "epoch": 3, "lr": 0.1, "inf": -math.inf, "none": None, "on": True, "off": False,
        "text": "Größe \0 \n 漢", "long": "x" * 300, "ints": [0, 255, 256, 65535, 65536, -1, 2**31 - 1, -(2**31)],
        "big": [2**31, 2**63, -(2**64), 2**2000], "tuples": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)],
        "deep": {"a": {"b": [{"c": ({},)}]}}, "state": {0: {"step": 1.0}, -5: "x", 2**40: 1}, "empty": [[], {}, ()],
    }  # fmt: skip
    for protocol in (2, 4):
        back = loaded(path, zipped(parts(value, protocol=protocol)))
        assert back == value and type(back["on"]) is bool and type(back["model"]) is OrderedDict
        assert [type(t) for t in back["empty"]] == [list, dict, tuple]


def test_append_and_setitem_one_at_a_time(path):
    code = [b"\x80\x02", b"}", b"X\1\0\0\0a", b"]", b"K\x07", b"a", b"K\x08", b"a", b"s", b"."]
    assert loaded(path, zipped(parts(code))) == {"a": [7, 8]}


def test_ordered_dict_of_pairs(path):
    pairs = Call(ORDERED, ([["a", 1], ("b", [2])],))
    back = loaded(path, zipped(parts({"x": pairs})))
    assert back == {"x": OrderedDict(a=1, b=[2])} and type(back["x"]) is OrderedDict


def test_metadata_of_a_state_dict_is_passed_over(path):
    state = Built(OrderedDict(w=tensor()), {"_metadata": OrderedDict({"": {"version": 1}})})
    back = loaded(path, zipped(parts({"model": state, "epoch": 3})))
    assert list(back) == ["model", "epoch"] and back["model"]["w"].shape == (2, 3)


def test_a_parameter_is_a_plain_tensor(path):
    back = loaded(path, zipped(parts({"p": Call(PARAMETER, (tensor(grad=True), True, NO_HOOKS))})))["p"]
    assert type(back) is mi.Tensor and not back.requires_grad and back.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_flags_that_are_off_are_no_metadata(path):
    for flags in ({}, {"conj": False, "neg": False}):
        assert loaded(path, zipped(parts({"p": tensor(more=(flags,))})))["p"].shape == (2, 3)


LAYOUTS = {
    "transposed": ((3, 2), (1, 3), 0), "a part": ((2, 2), (3, 1), 1), "every other": ((3,), (2,), 1),
    "0-d": ((), (), 4),
    "expanded": ((4, 3), (0, 1), 0), "windows": ((4, 3), (1, 1), 0), "empty": ((0, 3), (3, 1), 0),
    "empty at the end": ((0,), (1,), 6), "empty with odd strides": ((5, 0), (2**62, 2**62), 0),
    "one with an odd stride": ((1, 3), (2**62, 1), 3), "eight": ((1, 2, 1, 1, 3, 1, 1, 1), (6, 3, 1, 1, 1, 1, 1, 1), 0),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(path, name):
    size, stride, offset = LAYOUTS[name]
    back = loaded(path, zipped(parts({"x": tensor(size, stride, offset)})))["x"]
    places = (
        offset + sum(np.indices(size)[d] * stride[d] for d in range(len(size))) if 0 not in size else np.zeros(size)
    )
    assert back.shape == size and back.tolist() == np.asarray(places, np.float32).tolist()
    assert (back * 2).tolist() == (2 * np.asarray(places)).tolist()
    if 0 not in size:
        assert all(a == b for n, a, b in zip(size, back.stride(), stride) if n > 1 or b < 2**48)


def test_a_storage_without_elements(path):
    back = loaded(path, zipped(parts({"x": tensor((0, 3), (3, 1), storage=store(numel=0))}, [b""])))["x"]
    assert back.shape == (0, 3) and back.tolist() == []


def test_tensors_of_one_storage_share_it_and_the_file_stays(path):
    content = zipped(parts({"a": tensor(), "b": tensor((3, 2), (1, 3))}))
    back = loaded(path, content)
    back["a"][1, 2] = 50
    assert back["b"][2, 1].item() == 50
    del back
    assert path.read_bytes() == content and load_pth(path)["a"][1, 2].item() == 5


def test_weights_are_mapped(path):
    """Nothing is allocated, and 64 MB are not read either: the file's pages come when they are touched."""
    n = 2**24
    path.write_bytes(zipped(parts({"x": tensor((n,), (1,), storage=store(numel=n))}, [bytes(4 * n)])))
    before = mi._core.memory_stats()[:2]
    began = time.process_time()
    back = load_pth(path)["x"]
    assert time.process_time() - began < 0.5 and mi._core.memory_stats()[:2] == before
    assert back._address % 64 == 0 and back.shape == (n,)


@pytest.mark.parametrize("padding", range(8))
def test_storages_off_their_alignment_are_copied(path, padding):
    content = zipped([("." + "x" * (padding + 1), b""), *parts({"x": tensor()})], align=0, streamed=padding % 2 == 0)
    back = loaded(path, content)["x"]
    assert back._address % 4 == 0 and back.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_zip_forms(path):
    for streamed in (True, False):
        for wide in (True, False):
            assert loaded(path, zipped(parts({"x": tensor()}), streamed=streamed, wide=wide))["x"].shape == (2, 3)
    entries = parts({"x": tensor()})
    full = {"packed": FULL, "size": FULL}
    n = len(SIX)
    central = {2: {**full, "extra_bytes": struct.pack("<2H2Q", 1, 16, n, n)}}
    assert loaded(path, zipped(entries, central=central))["x"].shape == (2, 3)
    local = {2: {**full, "extra_bytes": struct.pack("<2H2B2H2Q", 7, 2, 0, 0, 1, 16, n, n), "extra": 26}}
    assert loaded(path, zipped(entries, central=central, local=local, streamed=False))["x"].shape == (2, 3)
    saturated = {"here": 0xFFFF, "count": 0xFFFF, "size": FULL, "start": FULL}
    assert loaded(path, zipped(entries, end=saturated))["x"].shape == (2, 3)


def test_beyond_4_gib(path):
    """A hole of 4 GiB, in the form in which such entries are written: 64-bit numbers in extra fields and behind."""
    pkl = b"".join(
        steps({"x": tensor((2**32,), (1,), storage=store(numel=2**32, kind="Byte")), "y": tensor(storage=store("1"))})
    )
    names, sizes, offset, directory = ["a/data.pkl", "a/data/0", "a/data/1"], [len(pkl), 2**32, len(SIX)], 0, b""
    with open(path, "wb") as f:
        for name, size, data in zip(names, sizes, [pkl, None, SIX]):
            offset, crc, wide = f.tell(), 7, f.tell() > FULL or size > FULL
            large = size > FULL
            numbers = [size, size] * large + [offset] * (offset > FULL)
            extra = struct.pack(f"<2H{len(numbers)}Q", 1, 8 * len(numbers), *numbers) if numbers else b""
            raw, pad = name.encode(), -(offset + 34 + len(name) + len(extra)) % 64
            padding = b"FB" + struct.pack("<H", pad) + bytes(pad)
            f.write(struct.pack("<4s5H3L2H", b"PK\3\4", 0, 0x808, 0, 0, 0, 0, 0, 0, len(raw), len(extra + padding)))
            f.write(raw + extra + padding)
            f.write(data) if data else f.seek(size, os.SEEK_CUR)
            f.write(struct.pack("<4sL2Q" if wide else "<4s3L", b"PK\7\x08", crc, size, size))
            shown, at = min(size, FULL), min(offset, FULL)
            directory += struct.pack(
                "<4s6H3L5H2L", b"PK\1\2", 0, 0, 0x808, 0, 0, 0, crc, shown, shown, len(raw), len(extra), 0, 0, 0, 0, at
            )
            directory += raw + extra
        start, n = f.tell(), len(directory)
        f.write(directory)
        f.write(struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 30, 45, 0, 0, 3, 3, n, start))
        f.write(struct.pack("<4sLQL", b"PK\6\7", 0, start + n, 1))
        f.write(struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 3, 3, n, FULL, 0))
    if os.stat(path).st_blocks > 2**20:
        pytest.skip("no sparse files here")
    back = load_pth(path)
    assert (
        back["x"].shape == (2**32,)
        and back["x"][2**32 - 1].item() == 0
        and back["y"].tolist() == [[0, 1, 2], [3, 4, 5]]
    )


# ---- PyTorch's own files ---------------------------------------------------------------------------------------------
def check_equal(mine, theirs, torch):
    if isinstance(theirs, torch.Tensor):
        theirs = theirs.detach()
        assert type(mine) is mi.Tensor and str(theirs.dtype).split(".")[1] == mine.dtype.name
        assert mine.shape == tuple(theirs.shape) and not mine.requires_grad
        assert theirs.numel() == 0 or mine.stride() == theirs.stride()
        raw = theirs.contiguous()
        assert bits(mine) == (raw.view(torch.int16) if raw.dtype is torch.bfloat16 else raw).numpy().tobytes()
    elif isinstance(theirs, dict):
        assert type(mine) is type(theirs) and list(mine) == list(theirs)
        for k in theirs:
            check_equal(mine[k], theirs[k], torch)
    elif isinstance(theirs, (list, tuple)):
        assert type(mine) is type(theirs) and len(mine) == len(theirs)
        for a, b in zip(mine, theirs):
            check_equal(a, b, torch)
    else:
        assert mine == theirs and type(mine) is type(theirs)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_checkpoints_of_pytorch(path, protocol):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    nn = torch.nn
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    optimizer = torch.optim.Adam([{"params": model[0].parameters()}, {"params": model[3].parameters(), "lr": 0.1}])
    for p in model.parameters():
        p.grad = torch.randn_like(p)
    optimizer.step()
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 3)
    base = torch.randn(4, 6)
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "schedule": {k: v for k, v in schedule.state_dict().items() if not callable(v)},
        "epoch": 3,
        "dtypes": {d: (torch.randn(3, 5) * 50).to(getattr(torch, d)) for d in DTYPES},
        "layouts": [base, base.T, base[1:3, ::2], base[0], base.unfold(1, 3, 1), base[:1].expand(5, 6), base[4:]],
        "special": torch.tensor([math.nan, -math.inf, -0.0, 1e-45]).bfloat16(),
        "last": model[0].weight.detach().to(memory_format=torch.channels_last),
        "parameters": [nn.Parameter(torch.ones(2, dtype=torch.float16)), nn.Parameter(torch.zeros(()))],
        "empty": [torch.empty(0), torch.empty(3, 0, 2, dtype=torch.int64), torch.tensor(3)],
    }
    torch.save(state, path, pickle_protocol=protocol)
    back = load_pth(path)
    check_equal(back, state, torch)
    back["layouts"][0][0, 0] = 9
    assert back["layouts"][1][0, 0].item() == 9 and back["layouts"][3][0].item() == 9
    assert len({t._storage for t in back["layouts"]}) == 1


def test_a_module_of_the_same_name_takes_what_pytorch_saved(path):
    torch = pytest.importorskip("torch")
    theirs = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    torch.save(theirs.state_dict(), path)
    mine = mi.nn.Sequential(mi.nn.Linear(4, 8), mi.nn.ReLU(), mi.nn.Linear(8, 2))
    mine.load_state_dict(load_pth(path))
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    want = theirs(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(mine(mi.from_numpy(x)).detach().numpy(), want, rtol=1e-5, atol=1e-6)


def test_what_of_pytorch_is_refused(path):
    torch = pytest.importorskip("torch")

    def saved(x, **how):
        torch.save(x, path, **how)
        return path.read_bytes()

    one = torch.ones(2)
    refused(
        path, saved({"x": one}, _use_new_zipfile_serialization=False), r"torch\.save\(torch\.load\('.*file\.pth', weigh"
    )
    refused(path, saved(torch.nn.Linear(2, 2)), r"torch\.nn\.modules\.linear\.Linear")
    refused(path, saved({"x": one.to(torch.complex64)}), "torch.ComplexFloatStorage")
    refused(path, saved({"x": one.to(torch.uint16)}), "_rebuild_tensor_v3")
    refused(path, saved({"x": torch._neg_view(one)}), "metadata")
    refused(path, saved({"x": one.to_sparse()}), "_rebuild_sparse_tensor")
    refused(path, saved({"x": torch.float32}), "torch.float32")
    refused(path, saved({"x": np.ones(2)}), "numpy")
    refused(path, saved({"x": {1, 2}}))
    refused(path, saved({"x": b"bytes"}))
    refused(path, saved({(1, 2): 3}), "keys must be")
    refused(path, saved([one]), "no dict but list")
    refused(path, saved(one), "no dict but Tensor")
    refused(path, saved({"x": torch.ones([1] * 9)}), "at most 8")
    loop = {}
    loop["self"] = [loop]
    refused(path, saved(loop), "contains itself")
