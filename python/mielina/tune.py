"""Search for hyper-parameters: a thin bridge to Optuna (`pip install "mielina[tune]"`) in Keras Tuner's words."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from .random import manual_seed
from .train.arguments import count
from .train.callbacks import Callback, _Monitor


class HyperParameters:
    """What `build` asks for its numbers. `values`: those that were given out in this trial."""

    def __init__(self, trial: Any) -> None:
        self.trial = trial
        self.values: dict[str, Any] = {}

    def _note(self, name: str, value: Any) -> Any:
        self.values[name] = value
        return value

    def Int(self, name: str, min_value: int, max_value: int, step: int = 1, sampling: str | None = None) -> int:
        """A whole number from min_value to max_value, both possible; sampling="log": every magnitude alike."""
        log = _log(name, sampling)
        return int(self._note(name, self.trial.suggest_int(name, min_value, max_value, step=step, log=log)))

    def Float(
        self, name: str, min_value: float, max_value: float, step: float | None = None, sampling: str | None = None
    ) -> float:
        """A number in [min_value, max_value], on a grid with `step`; sampling="log": every magnitude alike."""
        log = _log(name, sampling)
        return float(self._note(name, self.trial.suggest_float(name, min_value, max_value, step=step, log=log)))

    def Choice(self, name: str, values: Sequence[Any]) -> Any:
        """One of the values: strings, numbers, booleans, None."""
        return self._note(name, self.trial.suggest_categorical(name, list(values)))

    def Boolean(self, name: str) -> bool:
        return bool(self.Choice(name, [False, True]))


def _log(name: str, sampling: str | None) -> bool:
    if sampling not in (None, "linear", "log"):
        raise ValueError(f'hp: {name}: sampling must be "linear" or "log", got {sampling!r}')
    return sampling == "log"


class Pruning(_Monitor):
    """Reports `monitor` to an Optuna trial after each epoch, and ends the training when the trial should be pruned."""

    def __init__(self, trial: Any, monitor: str = "val_loss", mode: str = "auto") -> None:
        super().__init__(monitor, mode)
        self.trial, self.pruned = trial, False

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        self.improved(logs)
        if math.isfinite(logs[self.monitor]):
            self.trial.report(logs[self.monitor], epoch)
            self.stop = self.pruned = self.trial.should_prune()


class Result:
    """`best` (name -> value), `value` (its objective), `trials` (a dict each: number, state, value, params) and
    Optuna's own `study`."""

    def __init__(self, study: Any) -> None:
        self.study, done = study, [t for t in study.trials if t.state.name == "COMPLETE"]
        if not done:
            raise ValueError("tune: no trial was completed: the objective was NaN in all of them")
        self.best, self.value = dict(study.best_params), float(study.best_value)
        self.trials = [
            {"number": t.number, "state": t.state.name.lower(), "value": t.value, "params": dict(t.params)}
            for t in study.trials
        ]

    def __repr__(self) -> str:
        return f"Result({self.value:.6g} with {self.best}; {len(self.trials)} trials)"


def search(
    build: Callable[[HyperParameters], Any],
    X: Any,
    y: Any = None,
    *,
    objective: str = "val_loss",
    mode: str = "auto",
    max_trials: int = 10,
    prune: bool = True,
    seed: int = 0,
    verbose: int = 0,
    callbacks: Sequence[Callback] = (),
    study: Any = None,
    **fit_options: Any,
) -> Result:
    """Trains max_trials networks and finds the hyper-parameters with the best objective.

    build(hp): a model, or (model, options of fit that depend on hp, such as {"optimizer": ...}); hp.Int, hp.Float,
    hp.Choice and hp.Boolean give its numbers. X, y and fit_options go to fit, with validation= or validation_split=.
    objective: a logged number, the best over a trial's epochs; mode: "min", "max" or by its name. prune: Optuna's
    median rule ends hopeless trials early. study: an Optuna study of your own, with its sampler, pruner and storage.
    The same seed gives the same search. Ctrl-C ends it with the trials so far.

    ImportError: Optuna is missing. ValueError: no such number, or NaN in all trials. Source: Akiba et al. 2019.
    """
    try:
        import optuna
    except ImportError as e:
        raise ImportError('the search needs Optuna: pip install "mielina[tune]"') from e
    from .train import fit

    max_trials = count(max_trials, "tune: max_trials", 1)
    rising = _Monitor(objective, mode).sign < 0
    if study is None:
        optuna.logging.set_verbosity(optuna.logging.INFO if verbose else optuna.logging.WARNING)
        pruner = (
            optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=1) if prune else optuna.pruners.NopPruner()
        )
        study = optuna.create_study(
            direction="maximize" if rising else "minimize", sampler=optuna.samplers.TPESampler(seed=seed), pruner=pruner
        )

    def run(trial: Any) -> float:
        manual_seed(seed + trial.number)
        made = build(HyperParameters(trial))
        model, options = made if isinstance(made, tuple) else (made, {})
        watch = Pruning(trial, objective, mode)
        own = options.pop("callbacks", ()) if options else ()
        chosen = {"verbose": 0, "seed": seed, **fit_options, **options}
        history = fit(model, X, y, callbacks=[*callbacks, *own, watch], **chosen)
        if history.interrupted:
            study.stop()
        if watch.pruned or not math.isfinite(watch.best):
            raise optuna.TrialPruned()
        return watch.sign * watch.best

    study.optimize(run, n_trials=max_trials)
    return Result(study)
