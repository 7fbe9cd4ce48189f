"""Module's rules beside PyTorch's: each line is done with both libraries and ends alike, or in errors of one class."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import mielina as mi
import pytest

torch = pytest.importorskip("torch")


def net(lib: Any) -> Any:
    class Net(lib.nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.a = lib.nn.Linear(2, 3)
            self.b = lib.nn.Sequential(lib.nn.ReLU(), lib.nn.Linear(3, 1))
            self.w = lib.nn.Parameter(lib.zeros(2))
            self.register_buffer("buf", lib.ones(1))
            self.register_buffer("hidden", lib.ones(1), persistent=False)
            self.register_buffer("none", None)
            self.register_parameter("nothing", None)
            self.c = self.a
            self.plain = [1]

        def forward(self, x: Any) -> Any:
            return self.b(self.a(x))

    return Net()


def names(items: Any) -> list[str]:
    return [name for name, _ in items]


def inside(m: Any) -> Any:
    return names(m.named_parameters()), names(m.named_buffers()), names(m.named_children()), list(m.state_dict())


def after(change: Callable[[Any], Any], m: Any) -> Any:
    change(m)
    return inside(m)


VALUES: dict[str, Callable[[Any], Any]] = {
    "parameter": lambda lib: lib.nn.Parameter(lib.ones(2)),
    "tensor": lambda lib: lib.zeros(2),
    "module": lambda lib: lib.nn.ReLU(),
    "None": lambda lib: None,
    "number": lambda lib: 3,
    "buffer": lambda lib: lib.nn.Buffer(lib.zeros(2)),
}
CASES: dict[str, Callable[[Any], Any]] = {
    **{
        f"{name} = {kind}": lambda lib, name=name, make=make: after(lambda m: setattr(m, name, make(lib)), net(lib))  # type: ignore[misc]
        for name in ("w", "a", "buf", "plain", "new")
        for kind, make in VALUES.items()
        if (name, kind) != ("plain", "buffer")  # PyTorch refuses; here a plain attribute may become a buffer
    },
    "nothing = parameter": lambda lib: after(lambda m: setattr(m, "nothing", lib.nn.Parameter(lib.ones(1))), net(lib)),
    "none = tensor": lambda lib: after(lambda m: setattr(m, "none", lib.ones(1)), net(lib)),
    **{
        f"del {name}": lambda lib, name=name: after(lambda m: delattr(m, name), net(lib))  # type: ignore[misc]
        for name in ("w", "a", "buf", "none", "plain", "missing")
    },
    **{
        f"register_{kind} {name!r}": lambda lib, kind=kind, name=name: after(  # type: ignore[misc]
            lambda m: getattr(m, f"register_{kind}")(name, VALUES["tensor" if kind == "buffer" else kind](lib)),
            net(lib),
        )
        for kind in ("buffer", "parameter", "module")
        for name in ("", "a.b", "forward", "w", "a", "buf", "plain", "new", 3)
    },
    **{
        f"{get}({path})": lambda lib, get=get, path=path: type(getattr(net(lib), get)(path)).__name__  # type: ignore[misc]
        for get in ("get_submodule", "get_parameter", "get_buffer")
        for path in ("b.1", "b.5", "a.weight", "w", "buf", "hidden", "none", "a.zz", "zz")
    },
    "names": lambda lib: (
        inside(net(lib)),
        names(net(lib).named_parameters(remove_duplicate=False)),
        names(net(lib).named_modules(remove_duplicate=False)),
        names(net(lib).named_modules(prefix="q")),
        names(net(lib).named_parameters("p", False)),
    ),
    "repr": lambda lib: repr(net(lib)),
    "a registered non-leaf": lambda lib: net(lib).register_parameter("z", lib.nn.Parameter(lib.ones(1)) * 2),
    "a registered None": lambda lib: after(lambda m: m.register_module("z", None), net(lib)),
    "set_submodule": lambda lib: after(lambda m: m.set_submodule("b.0", lib.nn.Linear(1, 1)), net(lib)),
    "_modules": lambda lib: after(lambda m: m._modules.__setitem__("z", lib.nn.Linear(1, 1)), net(lib)),
    "_modules of a Sequential": lambda lib: after(lambda m: m.b._modules.pop("0"), net(lib)),
    "_parameters": lambda lib: after(lambda m: m._parameters.__setitem__("z", lib.nn.Parameter(lib.ones(1))), net(lib)),
    "_buffers": lambda lib: after(lambda m: m._buffers.__setitem__("buf", lib.zeros(3)), net(lib)),
    "to_empty": lambda lib: inside(net(lib).to_empty(device="cpu")),
    "to(int32)": lambda lib: net(lib).to(lib.int32),
    "to(xyz)": lambda lib: net(lib).to("xyz"),
    "Module(3)": lambda lib: lib.nn.Module(3),
    # ---- loading -----------------------------------------------------------------------------------------------------
    "other sizes": lambda lib: lib.nn.Linear(2, 2).load_state_dict({"weight": lib.ones(3, 2), "bias": lib.ones(2)}),
    "no tensor": lambda lib: lib.nn.Linear(2, 2, bias=False).load_state_dict({"weight": 3}),
    "another dtype": lambda lib: loaded(lib, lib.nn.Linear(2, 2, bias=False), {"weight": lib.ones(2, 2).double()}),
    "a number in a list": lambda lib: loaded(lib, number(lib), {"n": lib.ones(1)}),
    "batches not counted": lambda lib: loaded(
        lib, lib.nn.BatchNorm1d(2), {k: lib.ones(2) for k in ("weight", "bias", "running_mean", "running_var")}
    ),
    "not strict": lambda lib: [
        sorted(k) for k in lib.nn.Linear(2, 2).load_state_dict({"q": lib.ones(1)}, strict=False)
    ],
    "a prefix": lambda lib: list(lib.nn.Linear(1, 1).state_dict(prefix="x.")),
}


def number(lib: Any) -> Any:
    m = lib.nn.Module()
    m.register_buffer("n", lib.tensor(0.0))
    return m


def loaded(lib: Any, m: Any, state: Any) -> Any:
    m.load_state_dict(state)
    return [(k, str(v.dtype).split(".")[1], v.tolist()) for k, v in m.state_dict().items()]


def case(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    CASES[f.__name__] = f
    return f


@case
def state_hooks(lib: Any) -> Any:
    m, seen = net(lib), []
    m.a.register_state_dict_post_hook(lambda mod, state, prefix, meta: seen.append(("post", list(state), prefix)))
    m.register_state_dict_pre_hook(lambda mod, prefix, keep: seen.append(("pre", prefix, keep)))

    def rename(
        mod: Any, state: Any, prefix: Any, meta: Any, strict: Any, missing: Any, unexpected: Any, errors: Any
    ) -> None:
        seen.append(("load", prefix, strict))
        state[prefix + "weight"] = state.pop(prefix + "old")

    def forgive(mod: Any, keys: Any) -> None:
        seen.append((list(keys.missing_keys), list(keys.unexpected_keys)))
        keys.unexpected_keys.clear()

    handle = m.b[1].register_load_state_dict_pre_hook(rename)
    m.register_load_state_dict_post_hook(forgive)
    state = dict(m.state_dict())
    m.load_state_dict(state | {"b.1.old": state.pop("b.1.weight"), "extra": lib.ones(1)})
    handle.remove()
    return seen, "b.1.weight" in state


@case
def extra_state(lib: Any) -> Any:
    class Counter(lib.nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self, k: int) -> None:
            super().__init__()
            self.k = k

        def get_extra_state(self) -> Any:
            return {"k": self.k}

        def set_extra_state(self, state: Any) -> None:
            self.k = state["k"]

    a, b = lib.nn.Sequential(Counter(5)), lib.nn.Sequential(Counter(7))
    b.load_state_dict(a.state_dict())
    return list(a.state_dict().items()), b[0].k, b.load_state_dict({}, strict=False).missing_keys


@case
def renamed_by_the_subclass(lib: Any) -> Any:
    class Renamed(lib.nn.Linear):  # type: ignore[name-defined, misc]
        def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
            state_dict[prefix + "weight"] = state_dict.pop(prefix + "old")
            super()._load_from_state_dict(state_dict, prefix, *rest)

    return loaded(lib, lib.nn.Sequential(Renamed(1, 2, bias=False)), {"0.old": lib.ones(2, 1)})


@case
def dtypes(lib: Any) -> Any:
    m, seen = net(lib), []
    m.register_buffer("i", lib.ones(1, dtype=lib.int64))
    for change in ("half", "bfloat16", "double", "float"):
        getattr(m, change)()
        seen.append([str(v.dtype).split(".")[1] for v in m.state_dict().values()])
    return seen, str(m.to(lib.float64).w.dtype).split(".")[1], str(m.type(lib.float32).w.dtype).split(".")[1]


@case
def zero_grad(lib: Any) -> Any:
    m = net(lib)
    m(lib.ones(1, 2)).sum().backward()
    m.zero_grad(set_to_none=False)
    zeros = m.a.weight.grad.tolist()
    m.zero_grad()
    return zeros, m.a.weight.grad


@case
def copies(lib: Any) -> Any:
    m = lib.nn.Sequential(lib.nn.Linear(3, 3), lib.nn.Linear(3, 3), lib.nn.BatchNorm1d(3))
    m[1].weight = m[0].weight
    m[0].weight.grad = lib.ones(3, 3)
    found: list[Any] = [len(list(m.parameters())), list(m.state_dict())]
    for twin in (copy.deepcopy(m), pickle.loads(pickle.dumps(m))):
        found.append((twin[1].weight is twin[0].weight, twin[0].weight is m[0].weight, twin[0].weight.grad is None))
        found.append((type(twin[0].weight).__name__, twin[2].running_var.tolist(), twin.training))
    return found, copy.copy(m)[0] is m[0]


@case
def sequential(lib: Any) -> Any:
    n = lib.nn
    s = n.Sequential(n.ReLU(), n.Tanh())
    found = [len(s + s), repr(s * 2), repr(2 * s), [type(m).__name__ for m in reversed(s)]]
    s *= 2
    s += n.Sequential(n.Sigmoid())
    s.extend([n.GELU()])
    s.insert(1, n.ELU())
    return [*found, repr(s), type(s.pop(0)).__name__, repr(s), type(s[-1]).__name__, repr(s[1:3])]


@case
def dicts_of_parameters(lib: Any) -> Any:
    d = lib.nn.ParameterDict({"a": lib.ones(1), "b": lib.ones(2)})
    found = [len(d), list(d), "a" in d, d.get("q"), tuple(d.setdefault("w", lib.ones(3)).shape), list(reversed(d))]
    found += [list(d | {"u": lib.ones(1)}), list(d.copy()), list(d.fromkeys(["x", "y"], lib.ones(1)))]
    found += [tuple(d.pop("a").shape), d.popitem()[0], inside(d)]
    d.clear()
    return [*found, len(d)]


@case
def dicts_of_modules(lib: Any) -> Any:
    d = lib.nn.ModuleDict([["a", lib.nn.ReLU()], ["b", lib.nn.Tanh()]])
    d.update({"z": lib.nn.GELU(), "a": lib.nn.ELU()})
    return list(d.keys()), repr(d), "a" in d, type(d.pop("b")).__name__, len(d), type(d.a).__name__


@case
def parameters(lib: Any) -> Any:
    p = lib.nn.Parameter(lib.ones(2))
    return (
        repr(p),
        lib.nn.Parameter(lib.ones(2), requires_grad=False).requires_grad,
        [type(x).__name__ for x in (p * 1, p.detach(), p.data, copy.deepcopy(p))],
        isinstance(p, lib.Tensor),
    )


@case
def an_integer_parameter(lib: Any) -> Any:
    return lib.nn.Parameter(lib.ones(2, dtype=lib.int64))


def told(f: Callable[[Any], Any], lib: Any) -> Any:
    try:
        return f(lib)
    except Exception as error:  # noqa: BLE001
        return type(error).__name__


@pytest.mark.parametrize("name", CASES)
def test_alike(name: str) -> None:
    mine, theirs = told(CASES[name], mi), told(CASES[name], torch)
    assert mine == theirs
