"""A network trained on a card: against the CPU, with itself, across devices, captured."""

import copy

import mielina as mi
import numpy as np
import pytest

pytestmark = pytest.mark.cuda

F = mi.nn.functional


def perceptron(dtype=mi.float32, dropout=0.25):
    mi.manual_seed(3)
    return mi.nn.Sequential(
        mi.nn.Conv2d(1, 4, 3, padding=1, dtype=dtype),
        mi.nn.ReLU(),
        mi.nn.MaxPool2d(2),
        mi.nn.Flatten(),
        mi.nn.Linear(64, 32, dtype=dtype),
        mi.nn.LayerNorm(32, dtype=dtype),
        mi.nn.GELU(),
        mi.nn.Dropout(dropout),
        mi.nn.Linear(32, 10, dtype=dtype),
    )


def batches(dtype=mi.float32, n=16):
    rng = np.random.default_rng(0)
    return mi.tensor(rng.standard_normal((n, 1, 8, 8))).to(dtype), mi.tensor(rng.integers(0, 10, n))


OPTIMISERS = {
    "sgd": lambda p: mi.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=1e-3, nesterov=True),
    "plain sgd": lambda p: mi.optim.SGD(p, lr=0.1),
    "adam": lambda p: mi.optim.Adam(p, lr=0.01, amsgrad=True),
    "adamw": lambda p: mi.optim.AdamW(p, lr=0.01),
    "rmsprop": lambda p: mi.optim.RMSprop(p, lr=0.01, centered=True, momentum=0.5),
    "adagrad": lambda p: mi.optim.Adagrad(p, lr=0.05),
    "adadelta": lambda p: mi.optim.Adadelta(p),
    "adamax": lambda p: mi.optim.Adamax(p),
    "nadam": lambda p: mi.optim.NAdam(p),
    "radam": lambda p: mi.optim.RAdam(p),
}


def train(device, optimiser="adam", steps=5, dtype=mi.float64, dropout=0.25):
    net = perceptron(dtype, dropout).to(device)
    x, t = (v.to(device) for v in batches(dtype))
    opt = OPTIMISERS[optimiser](net.parameters())
    losses = []
    for _ in range(steps):
        opt.zero_grad()
        loss = F.cross_entropy(net(x), t)
        loss.backward()
        mi.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        opt.step()
        losses.append(loss.item())
    return net, opt, losses


def state(net):
    return {k: v.cpu().numpy() for k, v in net.state_dict().items()}


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_a_training_is_the_cpus(optimiser):
    """With dropout: both draw the same masks. In double the sums' order costs 1e-13 a step; adaptive rules divide by
    the root of small squares and magnify that."""
    net, _, losses = train("cuda", optimiser)
    twin, _, expected = train("cpu", optimiser)
    assert np.allclose(losses, expected, rtol=1e-9)
    for name, value in state(twin).items():
        assert np.allclose(state(net)[name], value, rtol=1e-7, atol=1e-9), name
    assert {p.device for p in net.parameters()} == {mi.device("cuda:0")}
    assert len(set(losses)) == len(losses)


def test_a_training_repeats_bit_by_bit():
    a, b = train("cuda", dtype=mi.float32), train("cuda", dtype=mi.float32)
    assert a[2] == b[2]
    for name, value in state(a[0]).items():
        assert np.array_equal(value, state(b[0])[name]), name


def test_half_types_train():
    for dtype in (mi.float16, mi.bfloat16):
        net = mi.nn.Sequential(mi.nn.Linear(8, 16), mi.nn.ReLU(), mi.nn.Linear(16, 3)).to("cuda", dtype)
        opt = mi.optim.SGD(net.parameters(), lr=0.05)
        x = mi.tensor(np.random.default_rng(0).standard_normal((12, 8)), device="cuda").to(dtype)
        t = mi.arange(12, device="cuda") % 3
        losses = []
        for _ in range(20):
            opt.zero_grad()
            loss = F.cross_entropy(net(x), t)
            loss.backward()
            opt.step()
            losses.append(loss.item())
        assert losses[-1] < losses[0] and all(p.dtype is dtype and p.is_cuda for p in net.parameters())


# ---- state across devices --------------------------------------------------------------------------------------------
def test_state_dicts_cross_devices(tmp_path):
    net, opt, _ = train("cuda", steps=2)
    twin = perceptron(mi.float64)
    twin.load_state_dict(net.state_dict())
    again = mi.optim.Adam(twin.parameters(), lr=0.01, amsgrad=True)
    again.load_state_dict(opt.state_dict())
    assert all(not p.is_cuda for p in twin.parameters())
    assert all(not s.is_cuda for values in again.state.values() for s in values.values())
    mi.save(net.state_dict(), tmp_path / "net.safetensors")
    third = perceptron(mi.float64).to("cuda")
    third.load_state_dict(mi.load(tmp_path / "net.safetensors", device="cuda"))
    x, t = batches(mi.float64)
    for one, optimiser, device in ((net, opt, "cuda"), (twin, again, "cpu")):
        mi.manual_seed(5)
        optimiser.zero_grad()
        loss = F.cross_entropy(one(x.to(device)), t.to(device))
        loss.backward()
        optimiser.step()
    for name, value in state(net).items():
        assert np.allclose(value, state(twin)[name], rtol=1e-7, atol=1e-9), name
    assert third.eval()(x.cuda()).shape == (16, 10)


def test_a_net_moves_with_its_optimiser():
    net = perceptron(mi.float64, dropout=0.0)
    twin = copy.deepcopy(net)
    opts = [mi.optim.Adam(n.parameters(), lr=0.01) for n in (net, twin)]
    x, t = batches(mi.float64)
    for step, device in enumerate(("cpu", "cuda", "cuda", "cpu")):
        before = next(net.parameters())
        net.to(device)
        assert next(net.parameters()) is before  # the same objects
        for n, opt, where in ((net, opts[0], device), (twin, opts[1], "cpu")):
            opt.zero_grad()
            F.cross_entropy(n(x.to(where)), t.to(where)).backward()
            opt.step()
        for name, value in state(net).items():
            assert np.allclose(value, state(twin)[name], rtol=1e-8, atol=1e-10), (step, name)


def test_gradients_cross_devices():
    x = mi.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = (x.to("cuda") * 2).to("cpu").sum() + (x * x).sum()
    y.backward()
    assert x.grad.tolist() == [4, 6, 8] and not x.grad.is_cuda
    w = mi.tensor([1.0, 2.0], device="cuda", requires_grad=True)
    (g,) = mi.grad((w**3).sum(), w, create_graph=True)
    (h,) = mi.grad(g.sum(), w)
    assert h.is_cuda and np.allclose(h.cpu().numpy(), [6, 12])
    with pytest.raises(RuntimeError, match="one device"):
        (w * 2).backward(mi.ones(2))


def test_views_and_hooks_on_a_card():
    x = mi.ones(3, 4, device="cuda", requires_grad=True)
    y = x * 1
    y[1:, ::2].mul_(3)
    y.t()[0] = 5.0
    seen = []
    y.register_hook(lambda g: seen.append(g.device))
    y.sum().backward()
    expected = np.ones((3, 4), np.float32)
    expected[1:, ::2] = 3
    expected[:, 0] = 0
    assert np.array_equal(x.grad.cpu().numpy(), expected) and seen == ["cuda:0"]


def test_devices_of_layers():
    for layer in (
        mi.nn.Linear(3, 4, device="cuda"),
        mi.nn.Conv2d(2, 3, 3, device="cuda"),
        mi.nn.BatchNorm1d(4, device="cuda"),
        mi.nn.LayerNorm(4, device="cuda"),
        mi.nn.Embedding(5, 4, device="cuda"),
        mi.nn.LSTM(3, 4, device="cuda"),
        mi.nn.MultiheadAttention(8, 2, device="cuda"),
        mi.nn.TransformerEncoderLayer(8, 2, 16, device="cuda"),
    ):
        tensors = [*layer.parameters(), *layer.buffers()]
        assert tensors and {str(p.device) for p in tensors} == {"cuda:0"}, layer


def test_networks_of_composites():
    """Families without CUDA kernels of their own: their definitions run on the card."""
    mi.manual_seed(0)
    for net, shape in (
        (mi.nn.LSTM(5, 4, num_layers=2, bidirectional=True, dtype=mi.float64), (6, 3, 5)),
        (mi.nn.GRU(5, 4, dtype=mi.float64), (6, 3, 5)),
        (mi.nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True, dtype=mi.float64), (2, 5, 8)),
    ):
        x = mi.randn(*shape, dtype=mi.float64)
        y = net(x)
        expected = (y[0] if isinstance(y, tuple) else y).detach().numpy()
        net.to("cuda")
        z = net(x.cuda())
        z = z[0] if isinstance(z, tuple) else z
        assert z.is_cuda and np.allclose(z.detach().cpu().numpy(), expected, rtol=1e-9, atol=1e-11)
        z.square().mean().backward()
        assert all(p.grad is not None and p.grad.is_cuda for p in net.parameters())


# ---- random numbers --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_random_numbers_have_the_cpus_bits(dtype):
    dtype = getattr(mi, dtype)
    for draw in (
        lambda d: mi.rand(3, 1001, dtype=dtype, device=d),
        lambda d: mi.randn(1001, 3, dtype=dtype, device=d),
        lambda d: mi.empty(77, dtype=dtype, device=d).uniform_(-2, 5),
        lambda d: mi.empty(7, 11, dtype=dtype, device=d).t().normal_(1, 3),
        lambda d: F.dropout(mi.ones(999, dtype=dtype, device=d), 0.3),
        lambda d: mi.randint(-5, 1000, (999,), device=d),
        lambda d: mi.randint(0, 1 << 40, (99,), device=d),
        lambda d: mi.bernoulli(mi.full((99,), 0.3, device=d)),
    ):
        mi.manual_seed(11)
        a = draw("cuda")
        mi.manual_seed(11)
        b = draw("cpu")
        assert a.is_cuda and a.cpu().tolist() == b.tolist()


def test_generators():
    g = mi.Generator(7)
    a = mi.rand(5, generator=g, device="cuda")
    b = mi.rand(5, generator=g, device="cuda")
    g.manual_seed(7)
    assert mi.rand(5, generator=g, device="cuda").tolist() == a.tolist() != b.tolist()
    state = g.get_state("cuda")
    c = mi.rand(5, generator=g, device="cuda")
    g.set_state(state, "cuda")
    assert mi.rand(5, generator=g, device="cuda").tolist() == c.tolist()
    mi.cuda.manual_seed_all(1)
    first = mi.rand(3, device="cuda").tolist()
    mi.manual_seed(1)
    assert mi.rand(3, device="cuda").tolist() == first
    x = mi.randn(64, device="cuda", requires_grad=True)
    y = mi.checkpoint(lambda v: F.dropout(v, 0.5) * 2, x)
    y.sum().backward()
    assert np.array_equal(x.grad.cpu().numpy() != 0, y.detach().cpu().numpy() != 0)  # the same mask both times


# ---- captured steps --------------------------------------------------------------------------------------------------
def test_a_captured_training_is_the_eager_one():
    runs = []
    for captured in (False, True):
        net = perceptron(mi.float32)
        net.to("cuda")
        opt = mi.optim.Adam(net.parameters(), lr=0.01)

        def step(x, t, net=net, opt=opt):
            opt.zero_grad()
            loss = F.cross_entropy(net(x), t)
            loss.backward()
            opt.step()
            return loss

        run = mi.capture(step) if captured else step
        x, t = (v.cuda() for v in batches())
        mi.manual_seed(9)
        losses = []
        for i in range(6):
            opt.param_groups[0]["lr"] = 0.01 / (i + 1)  # the numbers stay live
            losses.append(run(x + i / 10, t).item())
        runs.append((losses, state(net)))
        if captured:
            assert "cross_entropy" in run.calls and run.calls.count("transfer") == 0
    assert runs[0][0] == runs[1][0]
    for name, value in runs[0][1].items():
        assert np.array_equal(value, runs[1][1][name]), name


def test_what_cannot_be_captured():
    x = mi.ones(3, device="cuda")
    for step in (lambda x: x.sum().item(), lambda x: x[x > 0], lambda x: x + mi.tensor(1.0)):
        with pytest.raises(RuntimeError, match="captured"):
            mi.capture(step)(x)
