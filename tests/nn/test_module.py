"""Module: registration, names, state dicts, hooks, copies, texts and messages."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import mielina as mi
import numpy as np
import pytest
from mielina import nn


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 3)
        self.scale = nn.Parameter(mi.ones(3))
        self.register_buffer("mean", mi.zeros(3))
        self.register_buffer("cache", mi.zeros(2), persistent=False)
        self.blocks = nn.Sequential(nn.ReLU(), nn.Linear(3, 2, bias=False))
        self.tied = self.first

    def forward(self, x: Any) -> Any:
        return self.blocks(self.first(x) * self.scale - self.mean)


NAMES = ["scale", "first.weight", "first.bias", "blocks.1.weight"]


def test_names_and_order_are_pytorchs() -> None:
    net = Net()
    assert [n for n, _ in net.named_parameters()] == NAMES
    assert [n for n, _ in net.named_parameters(remove_duplicate=False)] == [*NAMES, "tied.weight", "tied.bias"]
    assert [n for n, _ in net.named_parameters(prefix="net", recurse=False)] == ["net.scale"]
    assert [n for n, _ in net.named_buffers()] == ["mean", "cache"]
    assert [n for n, _ in net.named_children()] == ["first", "blocks"]
    assert [n for n, _ in net.named_modules()] == ["", "first", "blocks", "blocks.0", "blocks.1"]
    assert list(net.state_dict()) == [
        "scale",
        "mean",
        "first.weight",
        "first.bias",
        "blocks.1.weight",
        "tied.weight",
        "tied.bias",
    ]
    assert list(net.state_dict(prefix="a."))[0] == "a.scale"
    assert len(list(net.parameters())) == 4 and len(list(net.modules())) == 5
    assert net.get_submodule("blocks.1") is net.blocks[1] and net.get_submodule("") is net
    assert net.get_parameter("first.weight") is net.first.weight and net.get_buffer("mean") is net.mean
    with pytest.raises(AttributeError, match="has no attribute `9`"):
        net.get_submodule("blocks.9")
    with pytest.raises(AttributeError, match="not an nn.Parameter"):
        net.get_parameter("first")


def test_registration() -> None:
    net = nn.Module()
    net.w = nn.Parameter(mi.ones(2))
    net.b = nn.Buffer(mi.ones(2), persistent=False)
    assert list(net._parameters) == ["w"] and list(net._buffers) == ["b"] and not net.state_dict().keys() - {"w"}
    with pytest.raises(TypeError, match="cannot assign a Tensor as parameter 'w'"):
        net.w = mi.ones(2)
    net.b = mi.zeros(2)
    assert list(net._buffers) == ["b"]
    net.w = None
    assert not list(net.parameters())
    del net.b
    assert not list(net.buffers())
    for name, words in (("", "be empty"), ("a.b", 'contain "."'), ("train", "already exists")):
        with pytest.raises(KeyError, match=words):
            net.register_buffer(name, mi.ones(1))
    with pytest.raises(TypeError, match="not a Module subclass"):
        net.add_module("x", 3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="Parameter or None"):
        net.register_parameter("x", mi.ones(1))  # type: ignore[arg-type]
    net.register_parameter("none", None)
    assert net.none is None
    with pytest.raises(NotImplementedError, match="forward"):
        net()
    with pytest.raises(AttributeError, match="'Module' object has no attribute 'nothing'"):
        net.nothing  # noqa: B018


def test_load_state_dict_lists_everything_and_changes_nothing() -> None:
    net = Net()
    before = {k: v.numpy().copy() for k, v in net.state_dict().items()}
    bad = {"scale": np.zeros(5), "first.weight": np.ones((3, 4)), "extra": np.zeros(1)}
    with pytest.raises(RuntimeError) as error:
        net.load_state_dict(bad)
    text = str(error.value)
    assert text.startswith(
        'Error(s) in loading state_dict for Net:\n\tMissing key(s) in state_dict: "mean", "first.bias"'
    )
    assert 'Unexpected key(s) in state_dict: "extra". ' in text
    assert (
        "size mismatch for scale: copying a param with shape (5,) from checkpoint, the shape in current model is (3,)."
        in text
    )
    for key, value in net.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[key])
    found = net.load_state_dict({"scale": np.full(3, 7.0), "extra": 1}, strict=False)
    assert found.missing_keys == ["mean", "first.weight", "first.bias", "blocks.1.weight", "tied.weight", "tied.bias"]
    assert found.unexpected_keys == ["extra"]
    assert net.scale.tolist() == [7, 7, 7] and net.scale.dtype is mi.float32
    with pytest.raises(TypeError, match="dict-like"):
        net.load_state_dict([1])  # type: ignore[arg-type]


def test_load_state_dict_assign_takes_the_tensors() -> None:
    layer = nn.Linear(2, 2)
    state = {"weight": mi.ones(2, 2), "bias": mi.zeros(2)}
    layer.bias.requires_grad_(False)
    assert repr(layer.load_state_dict(state, assign=True)) == "<All keys matched successfully>"
    assert layer.weight.data_ptr() == state["weight"].data_ptr() and isinstance(layer.weight, nn.Parameter)
    assert layer.weight.requires_grad and not layer.bias.requires_grad


def test_state_dict_shares_memory_and_keep_vars_keeps_the_parameters() -> None:
    layer = nn.Linear(2, 2)
    state = layer.state_dict()
    assert not state["weight"].requires_grad and state["weight"].data_ptr() == layer.weight.data_ptr()
    assert layer.state_dict(keep_vars=True)["weight"] is layer.weight


def test_channels_last_networks() -> None:
    mi.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 20, 3), nn.Flatten(), nn.Linear(720, 4)
    )
    last = copy.deepcopy(net)
    weights = [p for p in last.parameters() if p.ndim == 4]
    assert last.to(memory_format=mi.channels_last) is last
    assert all(any(p is w for w in weights) for p in last.parameters() if p.ndim == 4)
    assert [p.is_contiguous(memory_format=mi.channels_last) for p in weights] == [True, True]
    assert last[4].weight.is_contiguous()
    x, y = mi.randn(5, 3, 8, 8), mi.tensor([0, 1, 2, 3, 0])
    turned = x.contiguous(memory_format=mi.channels_last)
    assert (last(x) == last(turned)).all() and last[:3](x).is_contiguous(memory_format=mi.channels_last)
    for model, image in ((net, x), (last, turned)):
        optimizer = mi.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        for _ in range(3):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(image), y).backward()
            optimizer.step()
    for a, b in zip(net.parameters(), last.parameters(), strict=True):
        assert b.grad.stride() == b.stride(), "gradients lie as their parameters do"
        assert (a - b).abs().max() < 1e-5
    last.load_state_dict(net.state_dict())
    assert last[0].weight.stride() == (27, 1, 9, 3) and (last[0].weight == net[0].weight).all()
    assert last.to(memory_format=mi.contiguous_format)[0].weight.is_contiguous()
    assert nn.Conv3d(2, 3, 2).to(memory_format=mi.channels_last_3d).weight.stride() == (16, 1, 8, 4, 2)


def test_modes_dtypes_and_gradients() -> None:
    net = Net()
    assert net.eval() is net and not any(m.training for m in net.modules())
    assert all(m.training for m in net.train().modules())
    with pytest.raises(ValueError, match="boolean"):
        net.train(1)  # type: ignore[arg-type]
    weight = net.first.weight
    net(mi.ones(2, 4)).sum().backward()
    assert net.double().first.weight is weight and weight.dtype is mi.float64 and weight.grad.dtype is mi.float64
    assert net(mi.ones(2, 4, dtype=mi.float64)).dtype is mi.float64 and net.mean.dtype is mi.float64
    for name, dtype in (("half", mi.float16), ("bfloat16", mi.bfloat16), ("float", mi.float32)):
        assert getattr(net, name)().scale.dtype is dtype
    assert net.to(mi.float64).to("cpu").to(mi.ones(1)).scale.dtype is mi.float32
    with pytest.raises(TypeError, match="floating point dtypes"):
        net.to(mi.int64)
    with pytest.raises(RuntimeError, match="CUDA: no"):
        net.to("cuda:99")
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())
    net.requires_grad_(False)
    assert not any(p.requires_grad for p in net.parameters())
    seen: list[str] = []
    net.apply(lambda m: seen.append(type(m).__name__))
    assert seen == ["Linear", "ReLU", "Linear", "Sequential", "Net"]


def test_copies_share_among_themselves_only() -> None:
    net = Net()
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert twin.tied is twin.first and isinstance(twin.first.weight, nn.Parameter) and twin.scale.requires_grad
        assert [n for n, _ in twin.named_buffers()] == ["mean", "cache"]
        np.testing.assert_array_equal(twin.first.weight.detach().numpy(), net.first.weight.detach().numpy())
        assert twin.first.weight.data_ptr() != net.first.weight.data_ptr()
        x = mi.ones(2, 4)
        np.testing.assert_array_equal(twin(x).detach().numpy(), net(x).detach().numpy())
    pair = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])
    pair[1].weight = pair[0].weight
    twin = copy.deepcopy(pair)
    assert twin[0].weight is twin[1].weight and len(list(twin.parameters())) == 3


def test_the_path_of_the_module_that_failed() -> None:
    net = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.ReLU(), nn.Linear(5, 2)))
    with pytest.raises(RuntimeError, match=r"(?s)linear: .*\n  in module 1\.1 of Sequential$"):
        net(mi.zeros(2, 4))

    class Bad(nn.Module):
        def forward(self, x: Any) -> Any:
            raise KeyError("mine")

    with pytest.raises(KeyError, match="^'mine'$"):
        nn.Sequential(Bad())(1)


def test_forward_hooks() -> None:
    layer, seen = nn.Identity(), []
    handles = [
        layer.register_forward_pre_hook(lambda m, args: (args[0] + 1,)),
        layer.register_forward_pre_hook(
            lambda m, args, kwargs: seen.append((args[0].item(), kwargs)), with_kwargs=True
        ),
        layer.register_forward_hook(lambda m, args, y: y * 2),
        layer.register_forward_hook(lambda m, args, y: seen.append(("first", y.item())) or None, prepend=True),
    ]
    assert layer(mi.tensor(1.0)).item() == 4 and seen == [(2.0, {}), ("first", 2.0)]
    for handle in handles:
        handle.remove()
    assert layer(mi.tensor(1.0)).item() == 1
    always: list[Any] = []
    bad = nn.Linear(2, 2)
    bad.register_forward_hook(lambda m, args, y: always.append(y), always_call=True)
    with pytest.raises(RuntimeError):
        bad(mi.zeros(3))
    assert always == [None]


def test_full_backward_hooks() -> None:
    layer, seen = nn.Linear(2, 2, bias=False), []
    layer.load_state_dict({"weight": np.array([[1.0, 2.0], [3.0, 4.0]])})
    layer.register_full_backward_pre_hook(lambda m, out: (out[0] * 10,))
    layer.register_full_backward_hook(
        lambda m, grad_in, grad_out: seen.append((grad_in[0].tolist(), grad_out[0].tolist()))
    )
    layer.register_full_backward_hook(lambda m, grad_in, grad_out: (grad_in[0] * 0 + 5,))
    x = mi.ones(1, 2, requires_grad=True)
    (x2 := x * 1).retain_grad()
    layer(x2).sum().backward()
    assert seen == [([[40.0, 60.0]], [[10.0, 10.0]])]
    assert x.grad.tolist() == [[5, 5]] and layer.weight.grad.tolist() == [[10, 10], [10, 10]]
    outputs: list[Any] = []
    other = nn.Linear(2, 2)
    other.register_full_backward_hook(lambda m, grad_in, grad_out: outputs.append(grad_in))
    other(mi.ones(1, 2)).sum().backward()  # no input wants a gradient: the hook runs all the same
    assert outputs == [(None,)]


def test_sequential() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    assert len(net) == 3 and net[-1] is net[2] and [type(m) for m in net] == [nn.Linear, nn.ReLU, nn.Linear]
    assert list(net[1:].state_dict()) == ["2.weight", "2.bias"] and len(net[:2]) == 2
    net[1] = nn.Identity()
    net.append(nn.ReLU())
    assert isinstance(net[1], nn.Identity) and len(net) == 4
    del net[0]
    assert [n for n, _ in net.named_children()] == ["0", "1", "2"]
    named = nn.Sequential({"a": nn.Linear(2, 2), "b": nn.ReLU()})
    assert list(named.state_dict()) == ["a.weight", "a.bias"] and named[0] is named.a
    net.insert(0, nn.Linear(9, 9))
    assert net[0].in_features == 9 and isinstance(net.pop(0), nn.Linear) and len(net + named) == 5
    with pytest.raises(IndexError):
        net[7]


def test_sequential_calls_what_is_more_than_forward() -> None:
    """Its short way past Module.__call__ is for modules without hooks and without a call of their own."""

    class Twice(nn.Module):
        def __call__(self, x: Any) -> Any:
            return super().__call__(super().__call__(x))

        def forward(self, x: Any) -> Any:
            return x * 3

    net = nn.Sequential(Twice(), nn.Identity(), nn.ReLU())
    assert net(mi.ones(1)).item() == 9
    net[1].register_forward_hook(lambda module, args, y: y + 1)
    assert net(mi.ones(1)).item() == 10
    with pytest.raises(TypeError):
        net(None)


def test_lists_and_dicts() -> None:
    items = nn.ModuleList([nn.ReLU(), nn.Linear(2, 2)])
    items.extend([nn.Linear(2, 2)]).insert(0, nn.Identity())
    assert [type(m).__name__ for m in items] == ["Identity", "ReLU", "Linear", "Linear"] and items[1] in items
    assert isinstance(items[1:], nn.ModuleList) and list(items.state_dict())[0] == "2.weight"
    del items[0]
    assert len(items) == 3 and len(items.pop().state_dict()) == 2
    named = nn.ModuleDict({"a": nn.Linear(1, 1), "b": nn.ReLU()})
    named.update({"c": nn.Identity()})
    assert list(named) == ["a", "b", "c"] == list(named.keys()) and "b" in named and len(named) == 3
    assert isinstance(named.pop("b"), nn.ReLU) and [k for k, _ in named.items()] == ["a", "c"]
    with pytest.raises(KeyError):
        named["zzz"]
    parameters = nn.ParameterList([mi.ones(2), nn.Parameter(mi.ones(3))])
    assert [n for n, _ in parameters.named_parameters()] == ["0", "1"] and all(
        isinstance(p, nn.Parameter) for p in parameters
    )
    table = nn.ParameterDict({"x": mi.ones(2)})
    table["y"] = mi.ones(1)
    assert list(table.state_dict()) == ["x", "y"] and list(table.values())[0] is table["x"]


def test_texts_are_pytorchs() -> None:
    torch = pytest.importorskip("torch")

    def build(n: Any, ones: Any) -> Any:
        return n.Sequential(
            n.Linear(2, 3),
            n.ModuleList([n.ReLU(), n.ReLU(), n.Sequential(n.Tanh()), n.Sequential(n.Tanh())]),
            n.ModuleDict({"a": n.Identity(), "b": n.Sequential()}),
            n.ModuleList(),
            n.ModuleDict(),
        )

    assert repr(build(nn, mi.ones)) == repr(build(torch.nn, torch.ones))
    mine, theirs = nn.ParameterList([mi.ones(2, 3)]), torch.nn.ParameterList([torch.ones(2, 3)])
    assert repr(mine) == repr(theirs).replace("torch.", "mielina.")
    mine, theirs = nn.ParameterDict({"k": mi.ones(2)}), torch.nn.ParameterDict({"k": torch.ones(2)})
    assert repr(mine) == repr(theirs).replace("torch.FloatTensor", "mielina.float32")
    assert repr(nn.Parameter(mi.ones(2))) == repr(torch.nn.Parameter(torch.ones(2)))
