"""The training behind the estimators: mini-batches with sgd or adam, or all samples with lbfgs."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from .. import optim
from ..ops.creation import from_numpy
from ..random import Generator, drawing_from
from ..tensor import Tensor
from ..train.callbacks import copied


class Penalised:
    """loss(x, y, w) = sum_i w_i l_i / sum(w) + alpha / (2 sum(w)) |W|^2 over all weights with two axes or more.

    Biases are free, and the penalty counts once for all samples, as in scikit-learn's MLPs.
    """

    def __init__(self, module: Any, each: Callable[[Tensor, Tensor], Tensor], alpha: float) -> None:
        self.module, self.each, self.alpha = module, each, alpha
        self.weights = [p for p in module.parameters() if p.ndim > 1]

    def __call__(self, x: Tensor, y: Tensor, w: Tensor) -> Tensor:
        total = w.sum()
        value = (self.each(self.module(x), y) * w).sum() / total
        if self.alpha:
            value = value + sum((p * p).sum() for p in self.weights) * (0.5 * self.alpha) / total
        return value


def optimizer_of(est: Any, module: Any) -> Any:
    if est.solver == "adam":
        return optim.Adam(module.parameters(), est.learning_rate_init, (est.beta_1, est.beta_2), est.epsilon)
    nesterov = est.nesterovs_momentum and est.momentum > 0
    return optim.SGD(module.parameters(), est.learning_rate_init, est.momentum, nesterov=nesterov)


def _set_rate(optimizer: Any, rate: float) -> None:
    """sgd's velocity is lr times our buffer: a new rate leaves the velocity as it is, as in scikit-learn."""
    group = optimizer.param_groups[0]
    for state in optimizer.state.values():
        if "momentum_buffer" in state:
            state["momentum_buffer"] *= group["lr"] / rate
    group["lr"] = rate


def _match_epsilon(est: Any, optimizer: Any) -> None:
    """scikit-learn adds epsilon to the root of the raw second moment, we to that of the corrected one, which is
    sqrt(1 - beta_2^step) times smaller: the next step's epsilon makes up for it."""
    state: dict[str, Any] = next(iter(optimizer.state.values()), {})
    step = float(state.get("step", 0)) + 1
    optimizer.param_groups[0]["eps"] = est.epsilon / math.sqrt(1 - est.beta_2**step)


def lbfgs(est: Any, loss: Penalised, x: Tensor, y: Tensor, w: Tensor) -> None:
    """Sets est.loss_ and est.n_iter_."""
    optimizer = optim.LBFGS(
        est.module_.parameters(), 1, est.max_iter, est.max_fun, est.tol, 1e-12, 10, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss(x, y, w)
        value.backward()
        return value

    optimizer.step(closure)
    est.loss_ = closure().item()
    optimizer.zero_grad()
    est.n_iter_ = max(1, next(iter(optimizer.state.values()))["n_iter"])
    if est.n_iter_ >= est.max_iter:
        _not_converged(est)


def _not_converged(est: Any) -> None:
    text = f"{type(est).__name__}: max_iter={est.max_iter} reached and the optimisation has not converged yet"
    warnings.warn(text, ConvergenceWarning, stacklevel=5)


def stochastic(est: Any, loss: Penalised, data: Any, held: Any, rng: np.random.RandomState, epochs: int) -> None:
    """`epochs` passes, or fewer: the rule of tol and n_iter_no_change, on the training loss or on the score of `held`
    (X, y, weights as arrays). Sets the estimator's curves; the weights of the best held-out score are put back."""
    n, optimizer, one_pass = len(data[0]), est._optimizer, epochs == 1 and held is None
    size = min(200, n) if est.batch_size == "auto" else min(int(est.batch_size), n)
    group, best = optimizer.param_groups[0], None
    # Dropout in a module of the user. Our own networks draw nothing more, so that the order is MLPClassifier's.
    seed = 0 if est.module is None else int(rng.randint(2**31 - 1))
    order = np.arange(n)
    with drawing_from(Generator(seed)):
        for _ in range(epochs):
            if est.shuffle:
                order = order[rng.permutation(n)]  # of the order before, as there
            rows = from_numpy(order)
            total = weight = 0.0
            est.module_.train()
            for start in range(0, n, size):
                if size < n:
                    x, y, w = (t.index_select(0, rows[start : start + size]) for t in data)
                else:
                    x, y, w = data
                value, share = loss(x, y, w), len(w)  # a batch's loss counts by its samples, as there
                optimizer.zero_grad()
                value.backward()
                if est.solver == "adam":
                    _match_epsilon(est, optimizer)
                optimizer.step()
                total, weight = total + value.item() * share, weight + share
            est.module_.eval()
            est.n_iter_, est.t_ = est.n_iter_ + 1, est.t_ + n
            est.loss_ = total / weight
            est.loss_curve_.append(est.loss_)
            if est.verbose:
                print(f"Iteration {est.n_iter_}, loss = {est.loss_:.8f}")
            if not math.isfinite(est.loss_):
                raise ValueError(f"{type(est).__name__}: the loss is {est.loss_}; a lower learning_rate_init may help")
            if held is not None:
                score = est._held_score(*held)
                est.validation_scores_.append(score)
                stuck = score < est.best_validation_score_ + est.tol
                if score > est.best_validation_score_ or best is None:
                    est.best_validation_score_ = score
                    best = copied(est.module_)
            else:
                stuck = est.loss_ > est.best_loss_ - est.tol
                est.best_loss_ = min(est.best_loss_, est.loss_)
            est._no_improvement_count = est._no_improvement_count + 1 if stuck else 0
            if est.solver == "sgd" and est.learning_rate == "invscaling":
                _set_rate(optimizer, est.learning_rate_init / (est.t_ + 1) ** est.power_t)
            if est._no_improvement_count > est.n_iter_no_change and not one_pass:
                if est.solver != "sgd" or est.learning_rate != "adaptive" or group["lr"] <= 1e-6:
                    break
                _set_rate(optimizer, group["lr"] / 5)
                est._no_improvement_count = 0
        else:
            if not one_pass:
                _not_converged(est)
    if best is not None:
        est.module_.load_state_dict(best)
    optimizer.zero_grad()
