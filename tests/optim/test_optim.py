"""Optimisers beside PyTorch's and the float64 references, through late gradients, changed rates, state dicts."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import mielina as mi
import numpy as np
import pytest
from mielina.testing import reference

SHAPES = [(5, 7), (33,), (3, 2, 2), ()]

CASES: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {}),
    ("SGD", {"momentum": 0.9}),
    ("SGD", {"momentum": 0.9, "dampening": 0.5}),
    ("SGD", {"lr": 0.1, "maximize": True}),
    ("SGD", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("Adam", {}),
    ("Adam", {"amsgrad": True, "lr": 0.1}),
    ("Adam", {"weight_decay": 0.1, "maximize": True, "betas": (0.5, 0.7)}),
    ("AdamW", {}),
    ("AdamW", {"amsgrad": True, "weight_decay": 0.3}),
    ("Adamax", {"weight_decay": 0.1}),
    ("NAdam", {}),
    ("NAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("RAdam", {}),
    ("RAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("RMSprop", {}),
    ("RMSprop", {"centered": True}),
    ("RMSprop", {"momentum": 0.9, "centered": True, "weight_decay": 0.1, "maximize": True}),
    ("Adagrad", {}),
    ("Adagrad", {"lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.3}),
    ("Adadelta", {}),
    ("Adadelta", {"rho": 0.5, "weight_decay": 0.1, "maximize": True}),
]


@pytest.mark.parametrize("name, settings", CASES, ids=[f"{n}-{i}" for i, (n, _) in enumerate(CASES)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_steps_beside_pytorch(name: str, settings: dict[str, Any], dtype: str) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    start = [rng.standard_normal(s).astype(dtype) for s in SHAPES]
    mine, theirs = [mi.nn.Parameter(mi.tensor(x)) for x in start], [torch.nn.Parameter(torch.tensor(x)) for x in start]
    ours, others = getattr(mi.optim, name)(mine, **settings), getattr(torch.optim, name)(theirs, **settings)
    for t in range(9):
        for i, (p, q) in enumerate(zip(mine, theirs)):
            if i == 1 and t < 2:  # a first gradient that comes late has a step count of its own
                continue
            g = rng.standard_normal(SHAPES[i]).astype(dtype)
            p.grad, q.grad = mi.tensor(g), torch.tensor(g)
        ours.step()
        others.step()
        ours.zero_grad()
        others.zero_grad()
        if t == 3:
            state = others.state_dict()
            ours = getattr(mi.optim, name)(mine, **settings)
            ours.load_state_dict(state)
        if t == 5:
            for group in (ours.param_groups[0], others.param_groups[0]):
                group["lr"] *= 0.5
    for p, q in zip(mine, theirs):
        np.testing.assert_allclose(
            p.detach().numpy(),
            q.detach().numpy(),
            rtol=2e-6 if dtype == "float32" else 1e-12,
            atol=2e-6 if dtype == "float32" else 1e-12,
        )


def test_our_state_dict_in_pytorch() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    start, grads = rng.standard_normal((3, 4)).astype(np.float32), rng.standard_normal((4, 3, 4)).astype(np.float32)
    p, q = mi.nn.Parameter(mi.tensor(start)), torch.nn.Parameter(torch.tensor(start))
    ours, others = mi.optim.Adam([p]), torch.optim.Adam([q])
    for g in grads[:2]:
        p.grad = mi.tensor(g)
        ours.step()
    state = ours.state_dict()
    assert state["param_groups"][0]["params"] == [0] and list(state["state"][0]) == ["step", "exp_avg", "exp_avg_sq"]
    others.load_state_dict(
        {
            "state": {0: {k: torch.tensor(v.numpy()) for k, v in state["state"][0].items()}},
            "param_groups": [{**others.state_dict()["param_groups"][0], **state["param_groups"][0]}],
        }
    )
    with torch.no_grad():
        q.copy_(torch.tensor(p.detach().numpy()))
    for g in grads[2:]:
        p.grad, q.grad = mi.tensor(g), torch.tensor(g)
        ours.step()
        others.step()
    np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=1e-6)


def test_steps_beside_the_reference() -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((40000,))
    p = mi.nn.Parameter(mi.tensor(x))
    adam = mi.optim.Adam([p], lr=0.01, amsgrad=True)
    m = v = top = np.zeros_like(x)
    for t in range(1, 4):
        g = rng.standard_normal(x.shape)
        p.grad = mi.tensor(g)
        adam.step()
        x, m, v, top = reference.adam(x, g, m, v, t, top, lr=0.01, amsgrad=True)
    np.testing.assert_allclose(p.detach().numpy(), x, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", [mi.float16, mi.bfloat16])
def test_half_parameters(dtype: Any) -> None:
    p = mi.nn.Parameter(mi.ones(1000, dtype=dtype))
    p.grad = mi.ones(1000, dtype=dtype)
    for kind in (mi.optim.SGD, mi.optim.Adam):
        before = p.tolist()[0]
        kind([p], lr=0.25).step()
        assert abs(before - 0.25 - p.tolist()[0]) < 0.01


@pytest.mark.parametrize(
    "name, settings",
    [("SGD", {"momentum": 0.9, "dampening": 0.3}), ("Adam", {}), ("NAdam", {}), ("RMSprop", {"momentum": 0.5})],
)
def test_a_captured_step_counts_and_follows_the_rate(name: str, settings: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    grads = rng.standard_normal((6, 50)).astype(np.float32)
    results = []
    for captured in (False, True):
        p, q = mi.nn.Parameter(mi.zeros(50)), mi.nn.Parameter(mi.zeros(50))
        optimiser = getattr(mi.optim, name)([p, q], lr=0.1, **settings)
        q.grad = mi.ones(50)
        optimiser.step()  # q is a step ahead of p, before and during the recording

        def step(g: Any, p: Any = p, q: Any = q, optimiser: Any = optimiser) -> Any:
            p.grad, q.grad = g * 1, g * 2
            optimiser.step()
            return g

        run = mi.capture(step) if captured else step
        for i, g in enumerate(grads):
            optimiser.param_groups[0]["lr"] = 0.1 / (1 + i)
            run(mi.tensor(g))
        results.append((p.detach().numpy().copy(), q.detach().numpy().copy()))
    for eager, replayed in zip(*results):
        np.testing.assert_array_equal(eager, replayed)


def test_bits_do_not_depend_on_threads() -> None:
    rng = np.random.default_rng(0)
    x, g = rng.standard_normal((2, 300, 401)).astype(np.float32)
    before, seen = mi.get_num_threads(), []
    try:
        for threads in (1, 2, 7):
            mi.set_num_threads(threads)
            p = mi.nn.Parameter(mi.tensor(x))
            p.grad = mi.tensor(g)
            norms = [mi.nn.utils.clip_grad_norm_([p], 3.0, order).item() for order in (1, 2, 3, float("inf"))]
            mi.optim.AdamW([p]).step()
            seen.append((norms, p.detach().numpy().tobytes(), p.grad.numpy().tobytes()))
    finally:
        mi.set_num_threads(before)
    assert seen[0] == seen[1] == seen[2]


def test_groups_closure_and_texts() -> None:
    a, b, c = (mi.nn.Parameter(mi.ones(2)) for _ in range(3))
    sgd = mi.optim.SGD([{"params": [a], "lr": 1.0}, {"params": b}], lr=0.5)
    sgd.add_param_group({"params": [c], "lr": 0.25})

    def closure() -> Any:
        sgd.zero_grad()
        loss = (a + b + c).sum()
        loss.backward()
        return loss

    with mi.no_grad():
        assert sgd.step(closure).item() == 6
    assert (a.tolist(), b.tolist(), c.tolist()) == ([0, 0], [0.5, 0.5], [0.75, 0.75])
    sgd.zero_grad(set_to_none=False)
    assert a.grad.tolist() == [0, 0]
    assert repr(sgd).startswith("SGD (\nParameter Group 0\n    dampening: 0\n    lr: 1.0\n")
    twin = copy.deepcopy([a, b, c, sgd])[-1]
    assert twin.param_groups[1]["params"][0] is not b
    again = pickle.loads(pickle.dumps(sgd))
    again.param_groups[0]["params"][0].grad = mi.ones(2)
    again.step()
    assert again.param_groups[0]["params"][0].tolist() == [-1, -1] and a.tolist() == [0, 0]


def test_transposed_parameters_and_strided_gradients() -> None:
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    p = mi.nn.Parameter(mi.tensor(x).t())
    p.grad = mi.tensor(np.arange(24, dtype=np.float32)).reshape(4, 6).narrow(1, 0, 3)
    expected = x.T - 0.5 * p.grad.numpy()
    mi.optim.SGD([p], lr=0.5).step()
    np.testing.assert_array_equal(p.detach().numpy(), expected)


def test_errors() -> None:
    p = mi.nn.Parameter(mi.ones(2))
    for call, kind, words in (
        (lambda: mi.optim.Adam([]), ValueError, "empty parameter list"),
        (lambda: mi.optim.Adam(p), TypeError, "iterable of Tensors"),
        (lambda: mi.optim.Adam([1]), TypeError, "only optimize Tensors"),
        (lambda: mi.optim.Adam([p, p]), ValueError, "more than one"),
        (lambda: mi.optim.Adam([p * 2]), ValueError, "non-leaf"),
        (lambda: mi.optim.Adam([p], lr=-1), ValueError, "invalid lr: -1"),
        (lambda: mi.optim.Adam([p], betas=(1.0, 0.9)), ValueError, "invalid betas"),
        (lambda: mi.optim.Adam([p], speed=9), TypeError, "unexpected keyword argument 'speed'"),
        (lambda: mi.optim.Adam([p], differentiable=True), NotImplementedError, "differentiated"),
        (lambda: mi.optim.SGD([p], nesterov=True), ValueError, "Nesterov momentum requires"),
        (
            lambda: mi.optim.Adam([p]).load_state_dict({"state": {}, "param_groups": []}),
            ValueError,
            "different number of parameter groups",
        ),
        (
            lambda: mi.optim.Adam([p]).load_state_dict({"state": {}, "param_groups": [{"params": [0, 1]}]}),
            ValueError,
            "match the size",
        ),
    ):
        with pytest.raises(kind, match=words):
            call()


@pytest.mark.parametrize("order", [1.0, 2.0, 3.0, float("inf")])
def test_clip_grad_norm(order: float) -> None:
    rng = np.random.default_rng(1)
    grads = [rng.standard_normal(s).astype(np.float32) for s in [(300, 401), (7,), (2, 3), ()]]
    parameters = [mi.nn.Parameter(mi.zeros(*g.shape)) for g in grads] + [mi.nn.Parameter(mi.zeros(3))]
    for p, g in zip(parameters, grads):
        p.grad = mi.tensor(g)
    expected, norm = reference.clip_grad_norm(grads, 1.5, order)
    got = mi.nn.utils.clip_grad_norm_(parameters, 1.5, order)
    assert got.shape == () and abs(got.item() / norm - 1) < 1e-5
    for p, e in zip(parameters, expected):
        np.testing.assert_allclose(p.grad.numpy(), e, rtol=1e-5, atol=1e-9)
    small = parameters[2].grad.numpy().copy()
    mi.nn.utils.clip_grad_norm_(parameters, 1e6, order)
    np.testing.assert_array_equal(parameters[2].grad.numpy(), small)


def test_clip_of_nonfinite_strided_and_half_gradients() -> None:
    p = mi.nn.Parameter(mi.zeros(4))
    p.grad = mi.tensor([1.0, float("nan"), 2.0, 3.0])
    with pytest.raises(RuntimeError, match="non-finite"):
        mi.nn.utils.clip_grad_norm_([p], 1.0, error_if_nonfinite=True)
    assert p.grad.tolist()[0] == 1.0
    mi.nn.utils.clip_grad_norm_([p], 1.0)
    assert np.isnan(p.grad.numpy()).all()
    for order in (1.0, float("inf")):
        assert np.isnan(mi.nn.utils.get_total_norm([mi.tensor([1.0, float("nan"), 0.5])], order).item())
    q = mi.nn.Parameter(mi.zeros(4, 2))
    q.grad = mi.tensor(np.full((4, 4), 2.0, np.float32)).narrow(1, 1, 2)
    assert abs(mi.nn.utils.clip_grad_norm_(q, 1.0).item() - 32**0.5) < 1e-5
    np.testing.assert_allclose(q.grad.numpy(), np.full((4, 2), 2 * 32**-0.5), rtol=1e-5)
    h = mi.nn.Parameter(mi.zeros(4, dtype=mi.bfloat16))
    h.grad = mi.ones(4, dtype=mi.bfloat16)
    norm = mi.nn.utils.clip_grad_norm_([h], 1.0)
    assert norm.dtype is mi.bfloat16 and norm.item() == 2 and h.grad.tolist() == [0.5] * 4
    assert mi.nn.utils.clip_grad_norm_([], 1.0).item() == 0
    with pytest.raises(ValueError, match="positive"):
        mi.nn.utils.clip_grad_norm_([h], 1.0, -1.0)
