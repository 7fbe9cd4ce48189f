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
    _check_finite(est)
    est.n_iter_ = max(1, next(iter(optimizer.state.values()))["n_iter"])
    if est.n_iter_ >= est.max_iter:
        _not_converged(est)


def _check_finite(est: Any) -> None:
    if not math.isfinite(est.loss_):
        raise ValueError(
            f"{type(est).__name__}: the loss is {est.loss_}; scaled data or a lower learning_rate_init may help"
        )


def _not_converged(est: Any) -> None:
    text = f"{type(est).__name__}: max_iter={est.max_iter} reached and the optimisation has not converged yet"
    warnings.warn(text, ConvergenceWarning, stacklevel=5)


def stochastic(est: Any, loss: Penalised, data: Any, held: Any, rng: np.random.RandomState, once: bool) -> None:
    """max_iter passes, or fewer by the rule of tol and n_iter_no_change, on the training loss or on the score of `held`
    (X, y, weights as arrays); once: one pass, after which the rule may lower an adaptive rate. Sets the estimator's
    curves; the weights of the best held-out score are put back. Ctrl-C ends it with a warning."""
    # Dropout in a module of the user. Our own networks draw nothing more, so that the order is MLPClassifier's.
    seed = 0 if est.module is None else int(rng.randint(2**31 - 1))
    est.n_iter_ = 0
    try:
        with drawing_from(Generator(seed)):
            converged = _epochs(est, loss, data, held, rng, 1 if once else est.max_iter)
        if not (once or converged):
            _not_converged(est)
    except KeyboardInterrupt:
        warnings.warn(f"{type(est).__name__}: the training was interrupted", UserWarning, stacklevel=4)
    if held is not None:
        est.module_.load_state_dict(est._best_weights)
    est._optimizer.zero_grad()


def _epochs(est: Any, loss: Penalised, data: Any, held: Any, rng: np.random.RandomState, most: int) -> bool:
    """Whether the rule ended it."""
    n, optimizer = len(data[0]), est._optimizer
    size = min(200, n) if est.batch_size == "auto" else min(int(est.batch_size), n)
    group, order = optimizer.param_groups[0], np.arange(n)
    for _ in range(most):
        if est.shuffle:
            order = order[rng.permutation(n)]  # of the order before, as there
        _epoch(est, loss, data, from_numpy(order), size)
        est.n_iter_, est.t_ = est.n_iter_ + 1, est.t_ + n
        est.loss_curve_.append(est.loss_)
        if est.verbose:
            print(f"Iteration {est.n_iter_}, loss = {est.loss_:.8f}")
        _check_finite(est)
        est._no_improvement_count = est._no_improvement_count + 1 if _stuck(est, held) else 0
        if est.solver == "sgd" and est.learning_rate == "invscaling":
            _set_rate(optimizer, est.learning_rate_init / (est.t_ + 1) ** est.power_t)
        if est._no_improvement_count > est.n_iter_no_change:
            if est.solver != "sgd" or est.learning_rate != "adaptive" or group["lr"] <= 1e-6:
                return True
            _set_rate(optimizer, group["lr"] / 5)
            est._no_improvement_count = 0
    return False


def _epoch(est: Any, loss: Penalised, data: Any, rows: Tensor, size: int) -> None:
    """One pass in batches of `size`; est.loss_ is the mean of their losses, by samples. A batch whose samples all weigh
    nothing is passed over."""
    n, optimizer, total, count = len(rows), est._optimizer, 0.0, 0
    est.module_.train()
    for start in range(0, n, size):
        x, y, w = (t.index_select(0, rows[start : start + size]) for t in data) if size < n else data
        if not w.any():
            continue
        value = loss(x, y, w)
        optimizer.zero_grad()
        value.backward()
        if est.solver == "adam":
            _match_epsilon(est, optimizer)
        optimizer.step()
        total, count = total + value.item() * len(w), count + len(w)
    est.module_.eval()
    est.loss_ = total / count


def _stuck(est: Any, held: Any) -> bool:
    """Whether the epoch brought less than tol; notes its score, and the weights if it is the best."""
    if held is None:
        stuck = est.loss_ > est.best_loss_ - est.tol
        est.best_loss_ = min(est.best_loss_, est.loss_)
        return bool(stuck)
    score = est._held_score(*held)
    est.validation_scores_.append(score)
    if est.verbose:
        print(f"Validation score: {score:f}")
    stuck = score < est.best_validation_score_ + est.tol
    if score > est.best_validation_score_:
        est.best_validation_score_, est._best_weights = score, copied(est.module_)
    return bool(stuck)
