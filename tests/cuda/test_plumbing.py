"""Tensors on a card: made, moved, seen, printed, saved, and never mixed up with those of another device."""

import copy
import gc
import pickle

import mielina as mi
import numpy as np
import pytest
from mielina import _core

pytestmark = pytest.mark.cuda


def values(x):
    return x.detach().cpu().numpy()


# ---- devices ---------------------------------------------------------------------------------------------------------
def test_devices():
    d = mi.device("cuda:0")
    assert (d.type, d.index, str(d), d) == ("cuda", 0, "cuda:0", "cuda:0")
    assert mi.device("cuda", 0) == d and mi.device(0) == d and mi.device("cuda") != d
    assert mi.device("cpu") == "cpu" and hash(d) == hash(mi.device("cuda:0")) and pickle.loads(pickle.dumps(d)) == d
    assert repr(d) == "device(type='cuda', index=0)"
    for bad in ("tpu", "cuda:x", "cpu:1", "cuda:-1"):
        with pytest.raises(RuntimeError):
            mi.device(bad)
    with pytest.raises(RuntimeError, match="no card 99"):
        mi.zeros(1, device="cuda:99")


def test_cards_are_described():
    assert mi.cuda.is_available() and mi.cuda.device_count() >= 1 and mi.cuda.current_device() == 0
    p = mi.cuda.get_device_properties(0)
    assert p.name == mi.cuda.get_device_name() and p.total_memory > 0 and p.multi_processor_count > 0
    assert mi.cuda.get_device_capability("cuda:0") == (p.major, p.minor)
    free, total = mi.cuda.mem_get_info()
    assert 0 < free <= total
    mi.cuda.synchronize()
    with pytest.raises(ValueError, match="expected a CUDA device"):
        mi.cuda.synchronize("cpu")


# ---- making and moving -----------------------------------------------------------------------------------------------
def test_creation():
    x = mi.tensor([[1.0, 2.0], [3.0, 4.0]], device="cuda")
    assert x.device == "cuda:0" and x.is_cuda and not x.is_cpu and x.get_device() == 0
    assert x.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    made = {
        "zeros": mi.zeros(2, 3, device="cuda"),
        "ones": mi.ones(2, 3, device="cuda", dtype=mi.int64),
        "full": mi.full((2,), 7, device="cuda:0"),
        "arange": mi.arange(5, device="cuda"),
        "linspace": mi.linspace(0, 1, 5, device=mi.device("cuda")),
        "eye": mi.eye(3, device="cuda"),
        "rand": mi.rand(3, device="cuda"),
        "randn": mi.randn(3, device="cuda"),
        "randint": mi.randint(0, 9, (3,), device="cuda"),
        "zeros_like": mi.zeros_like(x),
        "ones_like": mi.ones_like(mi.zeros(2), device="cuda"),
        "new": x.new_full((2,), 3.0),
    }
    assert {name: str(t.device) for name, t in made.items()} == dict.fromkeys(made, "cuda:0")
    assert made["arange"].tolist() == [0, 1, 2, 3, 4] and made["linspace"].tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert made["new"].tolist() == [3.0, 3.0] and values(made["eye"]).trace() == 3
    assert mi.empty(0, 3, device="cuda").shape == (0, 3)
    assert mi.ones_like(x, device="cpu").device == "cpu"


def test_the_default_device():
    with mi.device("cuda"):
        assert mi.zeros(2).is_cuda and mi.tensor([1.0]).is_cuda and mi.randn(2).is_cuda
        with mi.device("cpu"):
            assert not mi.zeros(2).is_cuda
        assert not (mi.zeros(2, device="cpu") + 1).is_cuda
    assert not mi.zeros(2).is_cuda


@pytest.mark.parametrize(
    "dtype", ["float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"]
)
def test_transfers_keep_every_bit(dtype):
    a = np.random.default_rng(0).integers(0, 2 if dtype == "bool" else 100, (3, 5))
    x = mi.tensor(a).to(getattr(mi, dtype))
    there = x.to("cuda")
    assert there.dtype is x.dtype and there.shape == x.shape and there.is_cuda
    assert there.to("cuda:0") is there and x.cpu() is x and there.cuda() is there
    back = there.cpu()
    assert not back.is_cuda and back.tolist() == x.tolist()
    assert x.cuda().item if x.numel() == 1 else x.to("cuda", mi.float64).tolist() == x.to(mi.float64).tolist()


def test_transfers_keep_strides_and_views():
    x = mi.arange(24.0).reshape(2, 3, 4)
    for view in (x.permute(2, 0, 1), x[:, ::2], x[1], x.expand(2, 2, 3, 4), x.flip(0), x[:, 1:2, 3], x[:0]):
        there = view.to("cuda")
        assert np.array_equal(values(there), view.numpy())
        assert np.array_equal(values(there.cpu().to("cuda")), view.numpy())
    assert x.permute(2, 0, 1).to("cuda").stride() == x.permute(2, 0, 1).stride()
    there = x.to("cuda")
    part = there[:, 1:, ::2]
    assert part.is_cuda and part._storage == there._storage and np.array_equal(values(part), x.numpy()[:, 1:, ::2])
    part.copy_(mi.full((2, 2, 2), 7.0))  # from the CPU, into a window
    expected = x.numpy().copy()
    expected[:, 1:, ::2] = 7
    assert np.array_equal(values(there), expected)
    there.copy_(mi.arange(4))  # broadcast and converted on the way
    assert np.array_equal(values(there), np.broadcast_to(np.arange(4.0, dtype=np.float32), (2, 3, 4)))
    host = mi.zeros(3, 2)
    host.t().copy_(mi.arange(6.0, device="cuda").reshape(2, 3))
    assert np.array_equal(host.numpy(), np.arange(6).reshape(2, 3).T)


def test_two_cards():
    if mi.cuda.device_count() < 2:
        pytest.skip("one card")
    x = mi.arange(4.0, device="cuda:1")
    assert x.device == "cuda:1" and (x * 2).device == "cuda:1" and x.to("cuda:0").tolist() == [0, 1, 2, 3]
    with pytest.raises(RuntimeError, match="expected all tensors on one device, got cuda:1 and cuda:0"):
        x + x.to("cuda:0")
    mi.cuda.set_device(1)
    try:
        assert mi.zeros(1, device="cuda").device == "cuda:1"
    finally:
        mi.cuda.set_device(0)


# ---- what a host may not do ------------------------------------------------------------------------------------------
def test_devices_do_not_mix():
    x, y = mi.ones(3, device="cuda"), mi.ones(3)
    calls = {
        "add": lambda: x + y,
        "mul": lambda: y * x,
        "matmul": lambda: mi.matmul(mi.ones(3, 3), x),
        "cat": lambda: mi.cat([x, y]),
        "where": lambda: mi.where(y > 0, x, x),
        "linear": lambda: mi.nn.functional.linear(x, mi.ones(2, 3)),
        "add_": lambda: y.add_(x),
    }
    for name, call in calls.items():
        with pytest.raises(
            RuntimeError, match="expected all tensors on one device, got (cuda:0 and cpu|cpu and cuda:0)"
        ):
            call()
            pytest.fail(name)
    with pytest.raises(RuntimeError, match="in module|one device"):
        mi.nn.Linear(3, 2)(x)


def test_numbers_of_the_cpu_mix():
    x = mi.arange(3.0, device="cuda")
    assert (x + mi.tensor(2.0)).tolist() == [2, 3, 4] and (mi.tensor(2.0) * x).tolist() == [0, 2, 4]
    assert (x > mi.tensor(1)).tolist() == [False, False, True]
    assert mi.where(x > 0, x, mi.tensor(9.0)).tolist() == [9, 1, 2]
    half = mi.tensor(0.5, dtype=mi.float16)
    assert (x + half).dtype is mi.float32 and (x + half).tolist() == [0.5, 1.5, 2.5]
    y = mi.arange(3, device="cuda")
    assert (y + mi.tensor(2.5)).dtype is mi.float32 and (y + mi.tensor(2.5)).tolist() == [2.5, 3.5, 4.5]
    assert (x + mi.tensor(-1, dtype=mi.int8)).tolist() == [-1, 0, 1]
    with pytest.raises(RuntimeError, match="one device"):
        mi.tensor(2.0) + mi.ones(2) * x[0]  # the other way round there is no such rule


def test_reads():
    x = mi.tensor([1.5, -2.0], device="cuda")
    assert x[0].item() == 1.5 and float(x[1]) == -2.0 and bool(x[0] > 1) and int(mi.tensor(3, device="cuda")) == 3
    for dtype in ("float64", "float16", "bfloat16", "int32", "int8", "uint8", "bool"):
        assert mi.tensor(1.0, device="cuda").to(getattr(mi, dtype)).item() == 1
    assert mi.tensor([-0.0009765625, 6e-8], dtype=mi.float16, device="cuda")[1].item() == 2.0**-24
    assert mi.tensor(float("inf"), dtype=mi.float16, device="cuda").item() == float("inf")
    with pytest.raises(TypeError, match="can't convert a tensor on cuda:0 to NumPy; use tensor.cpu"):
        x.numpy()
    with pytest.raises(TypeError, match="cpu()"):
        np.asarray(x)
    assert repr(x) == "tensor([ 1.5000, -2.0000], device='cuda:0')"
    assert f"{x[0]:.1f}" == "1.5"
    assert repr(mi.zeros(2, 2, dtype=mi.bfloat16, device="cuda")).endswith("dtype=mielina.bfloat16, device='cuda:0')")


def test_indexing():
    a = np.arange(20.0, dtype=np.float32).reshape(4, 5)
    x = mi.tensor(a, device="cuda")
    rows = mi.tensor([2, 0, -1])
    assert np.array_equal(values(x[rows.cuda()]), a[[2, 0, -1]])
    assert np.array_equal(values(x[rows]), a[[2, 0, -1]])  # indices of the host follow the tensor
    assert np.array_equal(values(x[x > 7]), a[a > 7])
    assert np.array_equal(values(x[1:, [0, 3]]), a[1:, [0, 3]])
    assert np.array_equal(values((x > 7).nonzero()), np.argwhere(a > 7))
    x[1] = 0.0
    x[x > 15] = -1.0
    x[[0, 0], [1, 2]] = mi.tensor([5.0, 6.0], device="cuda")
    a[1] = 0
    a[a > 15] = -1
    a[0, 1:3] = 5, 6
    assert np.array_equal(values(x), a)
    assert mi.nn.functional.one_hot(mi.tensor([1, 0], device="cuda")).tolist() == [[0, 1], [1, 0]]


# ---- ops without kernels ---------------------------------------------------------------------------------------------
def test_a_primitive_without_a_kernel_says_so(fake):
    x = mi.ones(3, device="cuda")
    with fake.without("softmax"), pytest.raises(NotImplementedError, match="softmax has no CUDA kernel"):
        mi.softmax(x, 0)
    assert mi.softmax(x, 0).is_cuda


def test_a_fused_op_without_a_kernel_runs_its_composite(fake):
    F = mi.nn.functional
    rng = np.random.default_rng(0)
    x, w = (mi.tensor(rng.standard_normal((4, 6)), device="cuda").requires_grad_() for _ in range(2))
    v = mi.tensor(rng.standard_normal(6), device="cuda").requires_grad_()
    t = mi.tensor([0, 5, 2, 3], device="cuda")
    q = mi.tensor(rng.standard_normal((2, 3, 4)), device="cuda").requires_grad_()
    lstm = mi.nn.LSTM(6, 3, dtype=mi.float64).to("cuda")
    norm = mi.nn.BatchNorm1d(6, dtype=mi.float64).to("cuda")
    calls = {
        "cross_entropy": (lambda: F.cross_entropy(x, t, label_smoothing=0.1), (x,)),
        "loss": (lambda: F.smooth_l1_loss(x, w), (x, w)),
        "norm_rows": (lambda: F.layer_norm(x, (6,), v, v).square().sum(), (x, v)),
        "batch_norm": (lambda: norm(x).square().mul(w).sum(), (x, w)),
        "attention": (lambda: F.scaled_dot_product_attention(q, q, q, is_causal=True).square().sum(), (q,)),
        "rnn": (lambda: lstm(x)[0].square().sum(), (x, *lstm.parameters())),
    }
    for name, (call, leaves) in calls.items():
        fused = mi.grad(call(), leaves)
        with fake.without(name + "_backward" if name != "rnn" else "rnn_backward"):
            half = mi.grad(call(), leaves)  # the forward fused, the gradient from the definition
        with fake.without(name):
            y = call()
            composite = mi.grad(y, leaves)
        assert y.is_cuda
        for a, b, c in zip(fused, half, composite):
            assert np.allclose(values(a), values(c), rtol=1e-9, atol=1e-12), name
            assert np.allclose(values(b), values(c), rtol=1e-9, atol=1e-12), name
    with fake.without("batch_norm"):
        again = mi.nn.BatchNorm1d(6, dtype=mi.float64).to("cuda")
        again(x)
    norm.reset_running_stats()
    norm(x)
    assert np.allclose(values(again.running_mean), values(norm.running_mean))
    assert np.allclose(values(again.running_var), values(norm.running_var))


# ---- memory ----------------------------------------------------------------------------------------------------------
def test_memory_is_counted_and_reused():
    gc.collect()
    mi.cuda.empty_cache()
    before = mi.cuda.memory_stats()
    x = mi.zeros(1 << 20, device="cuda")
    held = mi.cuda.memory_allocated() - before["in_use"]
    assert 4 << 20 <= held <= (4 << 20) * 9 // 8 and mi.cuda.max_memory_allocated() >= held
    address = x.data_ptr()
    del x
    assert mi.cuda.memory_allocated() == before["in_use"] and mi.cuda.memory_reserved() >= held
    y = mi.ones(1 << 20, device="cuda")
    assert y.data_ptr() == address and mi.cuda.memory_stats()["hits"] > before["hits"]
    cpu = _core.memory_stats()[0]
    z = mi.zeros(1 << 20, device="cuda")
    assert _core.memory_stats()[0] == cpu  # nothing of it is the host's
    del y, z
    mi.cuda.empty_cache()
    assert mi.cuda.memory_stats()["cached"] == 0
    mi.cuda.reset_peak_memory_stats()
    assert mi.cuda.max_memory_allocated() == mi.cuda.memory_allocated()


def test_too_much_memory_is_an_error():
    total = mi.cuda.mem_get_info()[1]
    with pytest.raises(MemoryError, match="cuda:0"):
        mi.empty(total + 1, dtype=mi.uint8, device="cuda")
    assert mi.zeros(3, device="cuda").sum().item() == 0  # it is not sticky


# ---- streams ---------------------------------------------------------------------------------------------------------
def test_streams_and_events():
    s, start, end = mi.cuda.Stream(), mi.cuda.Event(enable_timing=True), mi.cuda.Event(enable_timing=True)
    default = mi.cuda.current_stream()
    x = mi.ones(1000, device="cuda")
    s.wait_stream(default)
    with mi.cuda.stream(s):
        assert mi.cuda.current_stream() == s
        start.record()
        y = x * 2
        end.record()
    assert mi.cuda.current_stream() == default
    end.synchronize()
    assert end.query() and start.elapsed_time(end) >= 0
    default.wait_event(end)
    assert y.sum().item() == 2000
    s.synchronize()
    assert s.query() and s.device == "cuda:0"
    with pytest.raises(ValueError, match="enable_timing"):
        mi.cuda.Event().elapsed_time(end)


# ---- files and copies ------------------------------------------------------------------------------------------------
def test_pickles_and_copies_stay_on_their_card():
    for dtype in (mi.float32, mi.bfloat16, mi.int64):
        x = mi.arange(6, device="cuda").reshape(2, 3).to(dtype)
        for again in (pickle.loads(pickle.dumps(x)), copy.deepcopy(x), x.clone()):
            assert again.device == x.device and again.dtype is dtype and again.tolist() == x.tolist()
            assert again.data_ptr() != x.data_ptr()


def test_files(tmp_path):
    x = mi.arange(6.0, device="cuda").reshape(2, 3)
    mi.save({"x": x, "half": x.to(mi.bfloat16), "n": 3}, tmp_path / "x.safetensors")
    for device in (None, "cpu", "cuda", "cuda:0"):
        back = mi.load(tmp_path / "x.safetensors", device=device)
        assert back["x"].device == (device if device == "cpu" else "cuda:0" if device else "cpu")
        assert (
            back["x"].tolist() == x.tolist() and back["half"].to(mi.float32).tolist() == x.tolist() and back["n"] == 3
        )


def test_dlpack():
    x = mi.arange(6.0, device="cuda").reshape(2, 3)
    assert x.__dlpack_device__() == (2, 0)
    y = mi.from_dlpack(x)
    assert y.device == x.device and y.data_ptr() == x.data_ptr() and y.tolist() == x.tolist()
    y.add_(1)
    assert x.tolist() == [[1, 2, 3], [4, 5, 6]]
    with pytest.raises(BufferError):
        x.__dlpack__(dl_device=(1, 0))
