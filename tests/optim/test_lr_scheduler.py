"""Schedulers: PyTorch's values step by step, also after a state dict."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import mielina as mi
import pytest

CASES: dict[str, Callable[[Any, Any], Any]] = {
    "lambda": lambda s, o: s.LambdaLR(o, [lambda e: 0.9**e, lambda e: 1 / (1 + e)]),
    "multiplicative": lambda s, o: s.MultiplicativeLR(o, lambda e: 0.95),
    "step": lambda s, o: s.StepLR(o, 3, 0.5),
    "multistep": lambda s, o: s.MultiStepLR(o, [2, 5, 5, 9], 0.3),
    "constant": lambda s, o: s.ConstantLR(o, 0.25, 4),
    "linear": lambda s, o: s.LinearLR(o, 0.1, 0.8, 6),
    "exponential": lambda s, o: s.ExponentialLR(o, 0.9),
    "polynomial": lambda s, o: s.PolynomialLR(o, 8, 2.0),
    "cosine": lambda s, o: s.CosineAnnealingLR(o, 5, 0.01),
    "restarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 3, 2, 0.01),
    "onecycle": lambda s, o: s.OneCycleLR(o, [0.5, 1.0], total_steps=26),
    "onecycle3": lambda s, o: s.OneCycleLR(
        o, 0.5, epochs=13, steps_per_epoch=2, three_phase=True, anneal_strategy="linear"
    ),
    "cyclic": lambda s, o: s.CyclicLR(o, 0.1, 0.5, 3, 4),
    "cyclic2": lambda s, o: s.CyclicLR(o, 0.1, 0.5, 3, mode="triangular2"),
    "cyclicexp": lambda s, o: s.CyclicLR(o, [0.1, 0.2], 0.5, 3, mode="exp_range", gamma=0.9, cycle_momentum=False),
    "sequential": lambda s, o: s.SequentialLR(
        o, [s.LinearLR(o, 0.1, 1.0, 4), s.CosineAnnealingLR(o, 6), s.ExponentialLR(o, 0.8)], [4, 12]
    ),
    "chained": lambda s, o: s.ChainedScheduler([s.ConstantLR(o, 0.1, 3), s.ExponentialLR(o, 0.9)]),
}


def pair(torch: Any) -> tuple[Any, Any]:
    mine = [{"params": [mi.nn.Parameter(mi.ones(2))]}, {"params": [mi.nn.Parameter(mi.ones(2))], "lr": 0.2}]
    theirs = [
        {"params": [torch.nn.Parameter(torch.ones(2))]},
        {"params": [torch.nn.Parameter(torch.ones(2))], "lr": 0.2},
    ]
    return mi.optim.SGD(mine, lr=0.5, momentum=0.9), torch.optim.SGD(theirs, lr=0.5, momentum=0.9)


def rates(optimiser: Any) -> list[float]:
    return [float(g[k]) for g in optimiser.param_groups for k in ("lr", "momentum")]


@pytest.mark.parametrize("name", CASES)
def test_values(name: str) -> None:
    torch = pytest.importorskip("torch")
    warnings.simplefilter("ignore")
    ours, others = pair(torch)
    mine, theirs = CASES[name](mi.optim.lr_scheduler, ours), CASES[name](torch.optim.lr_scheduler, others)
    for t in range(25):
        assert rates(ours) == pytest.approx(rates(others), rel=1e-12, abs=1e-15), t
        assert mine.get_last_lr() == pytest.approx(theirs.get_last_lr(), rel=1e-12, abs=1e-15)
        if t == 7 and name != "lambda":  # go on from the state in a new pair
            state, groups = mine.state_dict(), ours.state_dict()
            ours, _ = pair(torch)
            mine = CASES[name](mi.optim.lr_scheduler, ours)
            ours.load_state_dict(groups)
            mine.load_state_dict(state)
        ours.step()
        others.step()
        mine.step()
        theirs.step()


@pytest.mark.parametrize(
    "settings",
    [
        {"patience": 1},
        {"mode": "max", "patience": 0, "cooldown": 2, "min_lr": [0.1, 0.05]},
        {"threshold_mode": "abs", "threshold": 0.3, "patience": 2, "factor": 0.5},
    ],
)
def test_plateau(settings: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    ours, others = pair(torch)
    mine, theirs = (
        mi.optim.lr_scheduler.ReduceLROnPlateau(ours, **settings),
        torch.optim.lr_scheduler.ReduceLROnPlateau(others, **settings),
    )
    for t, metric in enumerate([3, 2.5, 2.6, 2.4, 2.4, 2.4, 2.3, 2.35, 2.9, 2.2, 2.2, 2.2, 2.2, 2.1, 5, 5, 5, 5]):
        if t == 6:
            state = mine.state_dict()
            mine = mi.optim.lr_scheduler.ReduceLROnPlateau(ours, **settings)
            mine.load_state_dict(state)
        mine.step(mi.tensor(float(metric), dtype=mi.float64) if t % 2 else metric)
        theirs.step(metric)
        assert rates(ours) == pytest.approx(rates(others)) and mine.num_bad_epochs == theirs.num_bad_epochs


def test_restarts_at_fractions_and_given_epochs() -> None:
    torch = pytest.importorskip("torch")
    warnings.simplefilter("ignore")
    for build in (
        lambda s, o: s.CosineAnnealingWarmRestarts(o, 3, 2),
        lambda s, o: s.CosineAnnealingWarmRestarts(o, 4),
    ):
        ours, others = pair(torch)
        mine, theirs = build(mi.optim.lr_scheduler, ours), build(torch.optim.lr_scheduler, others)
        for epoch in (0.25, 1.5, 2.75, 3.25, 8.9, 9.0, 21.5, 2.0):
            mine.step(epoch)
            theirs.step(epoch)
            assert rates(ours) == pytest.approx(rates(others)), epoch


def test_errors() -> None:
    s = mi.optim.lr_scheduler
    p = [mi.nn.Parameter(mi.ones(2))]
    for call, kind, words in (
        (lambda: s.StepLR(3, 1), TypeError, "not an Optimizer"),
        (lambda: s.StepLR(mi.optim.Adam(p), 1, last_epoch=3), KeyError, "initial_lr"),
        (lambda: s.LambdaLR(mi.optim.Adam(p), [len, len]), ValueError, "Expected 1 lr_lambdas"),
        (lambda: s.OneCycleLR(mi.optim.Adam(p), 0.1), ValueError, "total_steps OR"),
        (lambda: s.OneCycleLR(mi.optim.Adagrad(p), 0.1, 5), ValueError, "must support momentum"),
        (lambda: s.ReduceLROnPlateau(mi.optim.Adam(p), factor=1.0), ValueError, "Factor"),
        (lambda: s.SequentialLR(mi.optim.Adam(p), [], []), ValueError, "at least one"),
        (lambda: s.CosineAnnealingWarmRestarts(mi.optim.Adam(p), 0), ValueError, "positive integer T_0"),
    ):
        with pytest.raises(kind, match=words):
            call()
