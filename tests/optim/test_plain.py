"""Optimisers made of tensor ops, hooks of steps, and means of weights, beside PyTorch's."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import mielina as mi
import numpy as np
import pytest

torch = pytest.importorskip("torch")

SHAPES = [(3, 4), (5,), ()]
CASES: list[tuple[str, dict[str, Any]]] = [
    ("Rprop", {}),
    ("Rprop", {"etas": (0.6, 1.3), "lr": 0.1}),
    ("Rprop", {"step_sizes": (1e-4, 0.02), "maximize": True}),
    ("ASGD", {}),
    ("ASGD", {"lambd": 0.1, "alpha": 0.5, "t0": 5}),
    ("ASGD", {"weight_decay": 0.1, "maximize": True, "t0": 3}),
]


def close(mine: list[Any], theirs: list[Any], dtype: str) -> None:
    for p, q in zip(mine, theirs, strict=True):
        limit = 3e-6 if dtype == "float32" else 1e-12
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=limit, atol=limit)


@pytest.mark.parametrize("name, settings", CASES, ids=[f"{n}-{i}" for i, (n, _) in enumerate(CASES)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_twenty_steps(name: str, settings: dict[str, Any], dtype: str) -> None:
    """Gradients that come late, a rate that changes, and a state dict of each library loaded by the other."""
    rng = np.random.default_rng(0)
    start = [rng.standard_normal(s).astype(dtype) for s in SHAPES]
    mine, theirs = ([lib.nn.Parameter(lib.tensor(x)) for x in start] for lib in (mi, torch))
    ours, others = getattr(mi.optim, name)(mine, **settings), getattr(torch.optim, name)(theirs, **settings)
    for t in range(20):
        for i, (p, q) in enumerate(zip(mine, theirs)):
            g = rng.standard_normal(SHAPES[i]).astype(dtype)
            p.grad, q.grad = (None, None) if i == 1 and t < 3 else (mi.tensor(g), torch.tensor(g))
        ours.step()
        others.step()
        if t == 8:
            state = others.state_dict()
            assert list(ours.state_dict()["state"][0]) == list(state["state"][0])
            ours = getattr(mi.optim, name)(mine)
            ours.load_state_dict(state)
        if t == 12:
            for o in (ours, others):
                o.param_groups[0]["lr"] *= 0.5
    close(mine, theirs, dtype)


def rosenbrock(p: Any) -> Any:
    return ((p[1:] - p[:-1] ** 2) ** 2).sum() * 100 + ((1 - p[:-1]) ** 2).sum()


@pytest.mark.parametrize(
    "settings",
    [
        {"lr": 0.01},
        {"history_size": 3, "lr": 0.02},
        {"line_search_fn": "strong_wolfe"},
        {"line_search_fn": "strong_wolfe", "max_iter": 4, "history_size": 2},
    ],
)
def test_lbfgs(settings: dict[str, Any]) -> None:
    """The same points as PyTorch's for a few steps; with a line search, the minimum of Rosenbrock's valley."""
    start = np.array([-1.2, 1.0, -0.5, 0.8])
    paths = []
    for lib in (mi, torch):
        p = lib.tensor(start, requires_grad=True)
        optimizer = lib.optim.LBFGS([p], **settings)
        calls, path = [0], []

        def closure(p: Any = p, optimizer: Any = optimizer, calls: Any = calls) -> Any:
            calls[0] += 1
            optimizer.zero_grad()
            loss = rosenbrock(p)
            loss.backward()
            return loss

        for _ in range(3):
            loss = optimizer.step(closure)
            path.append((loss.item(), p.detach().numpy().copy(), calls[0]))
        paths.append(path)
    for (f, x, n), (g, y, m) in zip(*paths):
        assert n == m
        np.testing.assert_allclose(f, g, rtol=1e-6)
        np.testing.assert_allclose(x, y, rtol=1e-6)


def test_lbfgs_finds_a_minimum() -> None:
    p = mi.tensor([-1.2, 1.0]).double().requires_grad_()
    optimizer = mi.optim.LBFGS([p], line_search_fn="strong_wolfe", max_iter=100, tolerance_change=1e-14)

    def closure() -> Any:
        optimizer.zero_grad()
        loss = rosenbrock(p)
        loss.backward()
        return loss

    for _ in range(3):
        optimizer.step(closure)
    np.testing.assert_allclose(p.detach().numpy(), [1, 1], atol=1e-6)
    with pytest.raises(TypeError, match="closure"):
        optimizer.step()
    with pytest.raises(ValueError, match="parameter groups"):
        mi.optim.LBFGS([{"params": [p]}, {"params": [mi.ones(1, requires_grad=True)]}])
    with pytest.raises(ValueError, match="strong_wolfe"):
        mi.optim.LBFGS([p], line_search_fn="backtracking")


def test_hooks_of_steps() -> None:
    ends = []
    for lib in (mi, torch):
        p = lib.ones(2, requires_grad=True)
        optimizer, seen = lib.optim.SGD([p], lr=0.1), []
        first = optimizer.register_step_pre_hook(lambda o, args, kwargs, seen=seen: seen.append(("pre", len(args))))
        optimizer.register_step_post_hook(lambda o, args, kwargs, seen=seen, p=p: seen.append(("post", p.tolist())))
        p.grad = lib.ones(2)
        optimizer.step()
        first.remove()
        optimizer.step()
        ends.append([(kind, np.round(x, 5).tolist()) for kind, x in seen])
    assert ends[0] == ends[1]
    p = mi.ones(2, requires_grad=True)
    optimizer = mi.optim.SGD([p], lr=0.1)
    optimizer.register_step_post_hook(lambda *_: None)
    for twin in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        twin.param_groups[0]["params"][0].grad = mi.ones(2)
        twin.step()
        np.testing.assert_allclose(twin.param_groups[0]["params"][0].tolist(), [0.9, 0.9], rtol=1e-6)


@pytest.mark.parametrize("kind", ["swa", "ema", "ema of buffers", "multi"])
@pytest.mark.filterwarnings("ignore")
def test_means_of_weights(kind: str) -> None:
    ends = []
    for lib, utils in ((mi, mi.optim.swa_utils), (torch, torch.optim.swa_utils)):
        rng = np.random.default_rng(0)
        net = lib.nn.Sequential(lib.nn.Linear(3, 4), lib.nn.BatchNorm1d(4))
        options: dict[str, Any] = {
            "swa": {},
            "ema": {"avg_fn": utils.get_ema_avg_fn(0.9)},
            "ema of buffers": {"avg_fn": utils.get_ema_avg_fn(0.9), "use_buffers": True},
            "multi": {"multi_avg_fn": utils.get_ema_multi_avg_fn(0.8)},
        }[kind]
        mean = utils.AveragedModel(net, **options)
        batches = [lib.tensor(rng.standard_normal((6, 3)).astype(np.float32)) for _ in range(3)]
        for batch in batches:
            with lib.no_grad():
                for p in net.parameters():
                    p.copy_(lib.tensor(rng.standard_normal(tuple(p.shape)).astype(np.float32)))
            net(batch)
            mean.update_parameters(net)
        found = {k: v.tolist() for k, v in mean.state_dict().items()}
        utils.update_bn(batches, mean)
        found |= {"bn." + k: v.tolist() for k, v in mean.state_dict().items()}
        ends.append((found, mean(batches[0]).tolist()))
    (mine, y), (theirs, z) = ends
    assert list(mine) == list(theirs)
    for key in mine:
        np.testing.assert_allclose(mine[key], theirs[key], rtol=1e-5, atol=1e-6, err_msg=key)
    np.testing.assert_allclose(y, z, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("strategy", ["cos", "linear"])
@pytest.mark.parametrize("epochs", [0, 1, 7])
@pytest.mark.filterwarnings("ignore")
def test_rates_of_weight_averaging(strategy: str, epochs: int) -> None:
    rates = []
    for lib, utils in ((mi, mi.optim.swa_utils), (torch, torch.optim.swa_utils)):
        groups = [{"params": [lib.ones(1, requires_grad=True)], "lr": lr} for lr in (0.1, 0.5)]
        optimizer = lib.optim.SGD(groups, lr=0.1)
        schedule = utils.SWALR(optimizer, [0.05, 0.02], epochs, strategy)
        rates.append([])
        for _ in range(12):
            optimizer.step()
            schedule.step()
            rates[-1].append([g["lr"] for g in optimizer.param_groups])
    np.testing.assert_allclose(rates[0], rates[1], rtol=1e-12)


def test_a_bracket_without_width_has_its_middle() -> None:
    """Under tolerance_change=0 the line search's bracket may shrink to nothing; PyTorch divides by zero there."""
    from mielina.optim.lbfgs import cubic_minimum

    assert cubic_minimum(0.5, 1.0, -1.0, 0.5, 1.0, -1.0) == 0.5
    assert cubic_minimum(0.0, 1.0, 0.0, 1.0, 1.0, 0.0) == 0.5
    # f(x) = x^2 - x on [0, 2] has its minimum at 1/2, and so has the cubic through its ends.
    assert abs(cubic_minimum(0.0, 0.0, -1.0, 2.0, 2.0, 3.0) - 0.5) < 1e-12
