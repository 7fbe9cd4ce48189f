"""What is saved comes back: dtypes, layouts, nests; the safetensors library's files; weights are mapped, not copied."""

import json
import math
import os
import struct
import subprocess
import sys

import mielina as mi
import numpy as np
import pytest

DTYPES = [
    mi.float32, mi.float64, mi.float16, mi.bfloat16, mi.int64, mi.int32, mi.int16, mi.int8, mi.uint8, mi.bool,
]  # fmt: skip


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.safetensors"


def bits(t):
    t = t.contiguous()
    return (mi._core.bit_view(t, mi.int16) if t.dtype is mi.bfloat16 else t).numpy().tobytes()


def same(a, b):
    return a.dtype is b.dtype and a.shape == b.shape and bits(a) == bits(b)


def values(dtype, shape=(3, 5)):
    mi.manual_seed(0)
    x = mi.randn(*shape) * 50
    return x > 0 if dtype is mi.bool else x.to(dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(3, 5), (), (0,), (2, 0, 3), (1, 1, 1, 1, 1, 1, 1, 1)], ids=str)
def test_every_dtype_and_shape(path, dtype, shape):
    x = values(dtype, shape)
    mi.save({"x": x}, path)
    assert same(mi.load(path)["x"], x)


def test_special_bits_survive(path):
    special = mi.tensor([math.nan, math.inf, -math.inf, -0.0, 1e-45])
    state = {str(d): special.to(d) for d in (mi.float32, mi.float64, mi.float16, mi.bfloat16)}
    mi.save(state, path)
    back = mi.load(path)
    assert all(same(back[k], state[k]) for k in state)


def test_all_dtypes_in_one_file_keep_their_alignment(path):
    state = {f"{i}{d}": values(d, (i + 1,)) for i in range(3) for d in DTYPES}
    mi.save(state, path)
    back = mi.load(path)
    assert sorted(back) == sorted(state)
    for k, x in state.items():
        assert same(back[k], x)
        assert back[k]._address % x.dtype.itemsize == 0


@pytest.mark.parametrize(
    "view", [lambda x: x.T, lambda x: x[:, ::2], lambda x: x.flip(0), lambda x: x[:1].expand(4, 6), lambda x: x[1:, 2:]]
)
def test_strided_tensors(path, view):
    x = view(mi.arange(24).reshape(4, 6))
    mi.save({"x": x}, path)
    back = mi.load(path)["x"]
    assert same(back, x) and back.is_contiguous()


def test_shared_tensors_and_gradients(path):
    w = mi.rand(4, 4).requires_grad_()
    mi.save({"a": w, "b": w, "rows": w[1:]}, path)
    back = mi.load(path)
    assert same(back["a"], w.detach()) and same(back["b"], w.detach()) and same(back["rows"], w[1:].detach())
    assert not back["a"].requires_grad


def test_nests(path):
    value = {
        "model": {"layer.0": mi.ones(2), "layer": {"0": mi.zeros(3)}},
        "__metadata__": mi.ones(1),
        "epoch": 7,
        "big": 2**80,
        "lr": 0.1,
        "extremes": [math.inf, -0.0, 5e-324, True, None],
        "name": "net \u00e9\U0001f600 \ud800 \x00",
        "empty": {},
        "": {"": "x"},
        "state": {0: {"step": 3}, -1: mi.tensor(2.5)},
        "numpy": [np.float32(0.5), np.int8(-3), np.bool_(True)],
    }
    mi.save(value, path)
    back = mi.load(path)
    assert list(back) == list(value)
    assert same(back["model"]["layer.0"], mi.ones(2)) and same(back["model"]["layer"]["0"], mi.zeros(3))
    assert same(back["__metadata__"], mi.ones(1)) and same(back["state"][-1], mi.tensor(2.5))
    for k in ("epoch", "big", "lr", "name", "empty", ""):
        assert back[k] == value[k] and type(back[k]) is type(value[k])
    assert back["extremes"][0] == math.inf and math.copysign(1, back["extremes"][1]) == -1
    assert back["extremes"][2:] == [5e-324, True, None] and back["state"][0] == {"step": 3}
    assert back["numpy"] == [0.5, -3, True]


def test_nan_comes_back(path):
    mi.save({"x": math.nan}, path)
    assert math.isnan(mi.load(path)["x"])


def test_empty_dict(path):
    mi.save({}, path)
    assert mi.load(path) == {}


def test_model_and_optimizer_resume(path):
    def step(model, optimizer, x):
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()

    mi.manual_seed(0)
    x = mi.rand(8, 4)
    model = mi.nn.Sequential(mi.nn.Linear(4, 3), mi.nn.BatchNorm1d(3))
    optimizer = mi.optim.AdamW(model.parameters(), lr=0.01, amsgrad=True)
    for _ in range(3):
        step(model, optimizer, x)
    mi.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}, path)
    twin = mi.nn.Sequential(mi.nn.Linear(4, 3), mi.nn.BatchNorm1d(3))
    other = mi.optim.AdamW(twin.parameters(), lr=1.0)
    saved = mi.load(path)
    twin.load_state_dict(saved["model"])
    other.load_state_dict(saved["optimizer"])
    for m, o in ((model, optimizer), (twin, other)):
        step(m, o, x)
    for a, b in zip(model.state_dict().values(), twin.state_dict().values()):
        assert same(a, b)


@pytest.mark.parametrize(
    "value, kind, message",
    [
        ({"a": {"b": [1, object()]}}, TypeError, r"object at a\.b\.1"),
        ({"a": np.zeros(2)}, TypeError, "ndarray at a"),
        ({"a": {1, 2}}, TypeError, "set at a"),
        ({"a": b"bytes"}, TypeError, "bytes at a"),
        ({"a": 1j}, TypeError, "complex at a"),
        ({"a": {"f": print}}, TypeError, r"at a\.f"),
        ({"a": {(1, 2): 3}}, TypeError, "keys must be strings or ints, got tuple at a"),
        ({True: 3}, TypeError, "keys must be strings or ints, got bool at the top"),
        ({"a": mi.nn.Linear(1, 1)}, TypeError, "Linear at a"),
        ([mi.ones(1)], TypeError, "expected a dict"),
        (mi.ones(1), TypeError, "expected a dict"),
        (mi.nn.Linear(1, 1), TypeError, "state_dict"),
        ({"\ud800": mi.ones(1)}, ValueError, "valid Unicode"),
    ],
)
def test_refused_before_anything_is_written(path, value, kind, message):
    with pytest.raises(kind, match=message):
        mi.save(value, path)
    assert os.listdir(path.parent) == []


def test_a_dict_that_holds_itself(path):
    value = {"a": {}}
    value["a"]["b"] = value
    with pytest.raises(ValueError, match="levels"):
        mi.save(value, path)
    deep = 1
    for _ in range(90):
        deep = {"x": [deep]} if isinstance(deep, int) else {"x": deep}
    mi.save(deep, path)
    assert mi.load(path) == deep


def test_metadata(path):
    mi.save({"x": mi.ones(1)}, path, metadata={"format": "pt"})
    n = int.from_bytes(path.read_bytes()[:8], "little")
    assert json.loads(path.read_bytes()[8 : 8 + n])["__metadata__"] == {"format": "pt"}
    for wrong in ({"a": 1}, {1: "a"}, {"mielina.tree": "x"}):
        with pytest.raises(TypeError, match="metadata"):
            mi.save({}, path, metadata=wrong)


# ---- beside the safetensors library ----------------------------------------------------------------------------------
def test_their_files(path):
    from safetensors.numpy import save_file

    theirs = {
        str(d): np.arange(12).reshape(3, 4).astype(d) for d in ("f4", "f8", "f2", "i8", "i4", "i2", "i1", "u1", "bool")
    }
    theirs["scalar"], theirs["none"] = np.array(3.5), np.zeros((0, 2), np.float32)
    save_file(theirs, path, metadata={"made": "elsewhere"})
    ours = mi.load(path)
    assert set(ours) == set(theirs)
    for k, a in theirs.items():
        assert ours[k].numpy().dtype == a.dtype and np.array_equal(ours[k].numpy(), a)


def test_our_files_for_them(path):
    from safetensors.numpy import load_file

    state = {str(d): values(d) for d in DTYPES if d is not mi.bfloat16} | {
        "scalar": mi.tensor(3.5),
        "none": mi.zeros(0, 2),
    }
    mi.save(state, path)
    theirs = load_file(path)
    assert set(theirs) == set(state)
    for k, t in state.items():
        assert theirs[k].shape == t.shape and np.array_equal(theirs[k], t.numpy())


def test_bfloat16_both_ways_with_torch(path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file, save_file

    x = torch.randn(3, 5).to(torch.bfloat16)
    save_file({"x": x}, path)
    ours = mi.load(path)["x"]
    assert ours.dtype is mi.bfloat16 and np.array_equal(ours.float().numpy(), x.float().numpy())
    mi.save({"x": ours}, path)
    assert torch.equal(load_file(path)["x"], x)


def write(path, header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def test_misaligned_files(path):
    """The format does not ask for alignment: a header of odd length moves every number to an odd address."""
    a = np.arange(5, dtype=np.float64)
    text = json.dumps({"a": {"dtype": "F64", "shape": [5], "data_offsets": [0, 40]}}).encode()
    write(path, text + b" " * (1 - len(text) % 2), a.tobytes())
    assert mi.load(path)["a"].tolist() == a.tolist()


@pytest.mark.parametrize("dtype", ["U16", "U32", "U64", "F8_E4M3"])
def test_dtypes_that_tensors_lack(path, dtype):
    size = {"U16": 2, "U32": 4, "U64": 8}.get(dtype, 1)
    write(path, {"odd": {"dtype": dtype, "shape": [1], "data_offsets": [0, size]}}, bytes(size))
    with pytest.raises(ValueError, match=f"odd has dtype {dtype}"):
        mi.load(path)


# ---- mapping ---------------------------------------------------------------------------------------------------------
# In a process of its own: that of one that ran a thousand tests has moved by 18 MB. Here 0.8, with copies 131.
LOADED = """
import sys
import mielina as mi

def resident():  # KiB of this process that lie in memory and come from no file
    with open("/proc/self/status") as f:
        return int(dict(line.split(":", 1) for line in f)["RssAnon"].split()[0])

before = resident()
state = mi.load(sys.argv[1])
total = float(state["w"].sum()) + float(state["b"].float().sum())
mi._core.empty_cache()
print(total, resident() - before)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs /proc")
def test_weights_are_mapped_and_not_copied(path, plain_build):
    size = 64 << 20
    mi.save({"w": mi.ones(size // 4), "b": mi.ones(size // 2, dtype=mi.bfloat16)}, path)
    found = subprocess.check_output([sys.executable, "-c", LOADED, str(path)], text=True).split()
    assert float(found[0]) == size // 4 + size // 2
    assert int(found[1]) < size // 1024 // 8, "loading made a second copy of the weights"
    state = mi.load(path)
    with open("/proc/self/maps") as f:
        ranges = [line.split()[0].split("-") for line in f if line.rstrip().endswith(str(path))]
    for t in state.values():
        assert any(int(a, 16) <= t._address and t._address + t.nbytes <= int(b, 16) for a, b in ranges)


def test_writing_to_loaded_tensors_leaves_the_file_alone(path):
    mi.save({"x": mi.zeros(1000)}, path)
    x = mi.load(path)["x"]
    x += 1
    assert x.sum() == 1000 and mi.load(path)["x"].sum() == 0
    mi.save({"x": x}, path)  # over the file that it is mapped from
    assert x.sum() == 1000 and mi.load(path)["x"].sum() == 1000


def test_loaded_tensors_outlive_the_dict_and_the_file(path):
    mi.save({"x": mi.ones(1000)}, path)
    x = mi.load(path)["x"]
    os.unlink(path)
    assert x.sum() == 1000


def test_a_module_loads_mapped_weights(path):
    a, b = mi.nn.Linear(3, 2), mi.nn.Linear(3, 2)
    mi.save(a.state_dict(), path)
    b.load_state_dict(mi.load(path))
    x = mi.rand(4, 3)
    assert same(a(x).detach(), b(x).detach())
