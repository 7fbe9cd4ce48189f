"""Several models that vote: trained alike from different seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from .. import nn
from ..nn import functional as F
from ..ops.layout import stack  # type: ignore[attr-defined]
from ..optim import Optimizer
from ..random import manual_seed
from ..tensor import Tensor
from .arguments import count
from .fit import fit
from .history import History


def _log_mean(x: Tensor) -> Tensor:
    """log(mean(exp(x))) over the first axis."""
    return x.logsumexp(0) - math.log(x.shape[0])  # type: ignore[no-any-return]


class Ensemble(nn.Module):
    """One module of several, whose outputs have one shape (N, ...).

    average="probabilities": for classifiers; logits (N, C, ...) give the logarithms of the members' mean
    probabilities, and one logit a sample, (N) or (N, 1), the logit of the mean. Both serve as logits: cross_entropy,
    argmax and softmax of them are those of the mean. average="outputs": the mean of the outputs, for regression.
    Source: Hansen & Salamon 1990; Lakshminarayanan et al. 2017.

    ValueError: no models, another word for average.
    """

    histories: list[History]

    def __init__(self, models: Sequence[nn.Module], average: str = "probabilities") -> None:
        super().__init__()
        if average not in ("probabilities", "outputs"):
            raise ValueError(f"Ensemble: average must be probabilities or outputs, got {average!r}")
        if not models:
            raise ValueError("Ensemble: expected at least one model")
        self.models, self.average = nn.ModuleList(models), average

    def forward(self, x: Tensor) -> Tensor:
        y = stack([model(x) for model in self.models])
        if self.average == "outputs":
            return y.mean(0)  # type: ignore[no-any-return]
        if y.ndim > 2 and y.shape[2] > 1:
            return _log_mean(F.log_softmax(y, 2))  # type: ignore[attr-defined]
        return _log_mean(F.logsigmoid(y)) - _log_mean(F.logsigmoid(-y))  # type: ignore[attr-defined]


def ensemble(
    build: Callable[[], nn.Module],
    X: Any,
    y: Any = None,
    *,
    members: int = 5,
    average: str = "probabilities",
    seed: int = 0,
    **how: Any,
) -> Ensemble:
    """Trains `members` models of build() with seeds seed, seed + 1, ... (weights, order and dropout all differ) and
    joins them; `histories` of the result has a History for each. how: what `fit` takes; loss, optimizer and callbacks
    by name or as functions, since every member needs its own. Ctrl-C ends it with the members trained so far.

    >>> data = mi.rand(9, 2), mi.tensor([0, 1, 2] * 3)
    >>> found = mi.train.ensemble(lambda: nn.Linear(2, 3), *data, members=2, verbose=0)
    >>> found(mi.rand(4, 2)).shape
    (4, 3)
    """
    if isinstance(build, nn.Module):
        raise TypeError(f"ensemble: build makes a new model at each call, and is none: got {type(build).__name__}")
    if "checkpoint_dir" in how:
        raise ValueError(
            "ensemble: checkpoint_dir belongs to one run; call fit for each member with a folder of its own"
        )
    if isinstance(how.get("optimizer"), Optimizer):
        raise TypeError("ensemble: one optimizer cannot train several members; pass a name or a function of parameters")
    models, histories = [], []
    for k in range(count(members, "ensemble: members", 1)):
        manual_seed(seed + k)
        model = build()
        histories.append(fit(model, X, y, seed=seed + k, **how))
        models.append(model)
        if histories[-1].interrupted:
            break
    found = Ensemble(models, average)
    found.histories = histories
    return found
