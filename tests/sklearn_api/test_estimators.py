"""NetworkClassifier and NetworkRegressor as scikit-learn sees them."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import mielina as mi
import numpy as np
import pytest

pytest.importorskip("sklearn", "1.6")
from mielina import nn
from mielina.sklearn import NetworkClassifier, NetworkRegressor
from sklearn.base import clone
from sklearn.datasets import load_digits, make_classification, make_regression
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, Y = make_classification(120, 6, n_informative=4, n_classes=3, random_state=0)
NAMES = np.array(["spiral", "elliptic", "irregular"])[Y]


@parametrize_with_checks([NetworkClassifier(), NetworkRegressor()])
def test_scikit_learns_own_checks(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize(
    "how",
    [
        {"solver": "adam"},
        {"solver": "sgd", "learning_rate_init": 0.05},
        {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.2, "nesterovs_momentum": False},
    ],
    ids=["adam", "nesterov", "invscaling"],
)
def test_steps_are_those_of_mlp_classifier(activation: str, how: dict[str, Any]) -> None:
    """The same starting weights, batches in the same order: the same losses and weights, step by step."""
    close = 1e-9
    common = {
        "hidden_layer_sizes": (7, 5),
        "activation": activation,
        "max_iter": 8,
        "random_state": 3,
        "batch_size": 50,
        "alpha": 0.1,
    }
    ours, theirs = (E(**common, **how).fit(X, Y) for E in (NetworkClassifier, MLPClassifier))
    assert np.allclose(ours.loss_curve_, theirs.loss_curve_, rtol=close)
    for a, b in zip(ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_):
        assert a.shape == b.shape and np.allclose(a, b, atol=close)
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert getattr(ours, name) == getattr(theirs, name), name
    assert ours.best_loss_ == pytest.approx(theirs.best_loss_, rel=close)
    assert np.allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=close)


def test_the_regressors_steps_are_mlp_regressors() -> None:
    """Of several outputs scikit-learn takes the sum's gradient and the mean's loss: Adam's epsilon sees the factor."""
    for targets, close in ((1, 1e-9), (2, 1e-5)):
        a, b = make_regression(60, 4, n_targets=targets, random_state=0)
        ours, theirs = (
            E(hidden_layer_sizes=(9,), max_iter=6, random_state=1, learning_rate_init=0.01).fit(a, b / 100)
            for E in (NetworkRegressor, MLPRegressor)
        )
        assert np.allclose(ours.loss_curve_, theirs.loss_curve_, rtol=close)
        assert ours.predict(a).shape == b.shape and np.allclose(ours.predict(a), theirs.predict(a), atol=close)


def test_lbfgs_finds_the_minimum_of_logistic_regression() -> None:
    two = Y < 1
    ours, theirs = (
        E((), solver="lbfgs", alpha=1.0, tol=1e-8, max_iter=500, random_state=0).fit(X, two)
        for E in (NetworkClassifier, MLPClassifier)
    )
    assert ours.loss_ == pytest.approx(theirs.loss_, rel=1e-6)
    assert np.allclose(ours.coefs_[0], theirs.coefs_[0], atol=1e-3)
    with pytest.raises(AttributeError, match="partial_fit"):
        ours.partial_fit(X, two)


def test_class_names_in_pipeline_and_grid_search() -> None:
    pipe = make_pipeline(
        StandardScaler(), NetworkClassifier((16,), learning_rate_init=0.03, max_iter=60, random_state=0)
    )
    search = GridSearchCV(pipe, {"networkclassifier__alpha": [1e-4, 1e3]}, cv=3).fit(X, NAMES)
    assert search.best_params_ == {"networkclassifier__alpha": 1e-4}
    assert search.classes_.tolist() == ["elliptic", "irregular", "spiral"]
    assert (search.predict(X) == NAMES).mean() > 0.8
    assert np.allclose(search.predict_proba(X).sum(1), 1)


@pytest.mark.parametrize("outputs, kind", [(1, "logistic"), (2, "softmax")])
def test_any_module_of_images(outputs: int, kind: str) -> None:
    """Bright left or right halves; the module given stays as it was."""
    rng = np.random.default_rng(0)
    images = rng.normal(size=(60, 1, 6, 6)).astype(np.float32)
    right = np.arange(60) % 2 == 1
    images[right, :, :, 3:] += 2
    images[~right, :, :, :3] += 2
    mi.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Dropout(0.1), nn.Flatten(), nn.Linear(64, outputs))
    before = net[0].weight.detach().clone()
    model = NetworkClassifier(module=net, learning_rate_init=0.01, max_iter=15, batch_size=20, random_state=0)
    names = np.where(right, "right", "left")
    assert model.fit(images, names).score(images, names) > 0.95
    assert model.out_activation_ == kind and mi.equal(net[0].weight, before)
    again = clone(model).fit(images, names)
    assert np.array_equal(again.predict_proba(images), model.predict_proba(images)), "dropout follows random_state"
    assert not np.array_equal(
        clone(model).set_params(random_state=1).fit(images, names).predict_proba(images), model.predict_proba(images)
    )


def test_random_state_leaves_the_global_generator_alone() -> None:
    mi.manual_seed(5)
    wanted = mi.rand(3)
    mi.manual_seed(5)
    NetworkClassifier((4,), max_iter=2, random_state=0).fit(X, Y)
    assert mi.equal(mi.rand(3), wanted)


def test_weights_of_samples_count() -> None:
    """Contradicting labels: the heavier half wins."""
    a, b = np.vstack((X, X)), np.r_[Y < 1, Y >= 1]
    for first in (0.1, 10.0):
        w = np.r_[np.full(120, first), np.ones(120)]
        p = NetworkClassifier((), solver="lbfgs", random_state=0).fit(a, b, w).score(X, Y < 1)
        assert (p > 0.7) is (first > 1)


def test_partial_fit_and_pickle() -> None:
    model = NetworkClassifier((8,), learning_rate_init=0.02, random_state=0)
    for _ in range(30):
        for rows in np.array_split(np.arange(120), 3):
            model.partial_fit(X[rows], NAMES[rows], classes=np.unique(NAMES))
    assert model.score(X, NAMES) > 0.8 and model.n_iter_ == 1 and len(model.loss_curve_) == 90
    copy = pickle.loads(pickle.dumps(model))
    assert np.array_equal(copy.predict_proba(X), model.predict_proba(X))
    copy.partial_fit(X, NAMES)
    with pytest.raises(ValueError, match="not those of the first call"):
        model.partial_fit(X, NAMES, classes=["a", "b"])


def test_warm_start_goes_on() -> None:
    model = NetworkClassifier((8,), max_iter=3, warm_start=True, random_state=0).fit(X, Y)
    first = model.loss_
    assert model.fit(X, Y).n_iter_ == 3 and len(model.loss_curve_) == 6 and model.loss_ < first


@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("calls", ["fit fit fit", "fit partial_fit fit", "partial_fit partial_fit fit"])
@pytest.mark.parametrize(
    "how",
    [{"solver": "adam"}, {"learning_rate": "adaptive"}, {"learning_rate": "invscaling"}],
    ids=["adam", "adaptive", "invscaling"],
)
def test_one_call_after_another_is_as_with_mlp_classifier(how: dict[str, Any], calls: str, warm: bool) -> None:
    """tol=0.5: hardly an epoch counts as progress, so that the stopping rule acts in every fit."""
    common: Any = {"hidden_layer_sizes": (5,), "max_iter": 9, "random_state": 2, "tol": 0.5, "n_iter_no_change": 3}
    common |= {"solver": "sgd", "learning_rate_init": 0.1, "warm_start": warm, **how}
    ours, theirs = (E(**common) for E in (NetworkClassifier, MLPClassifier))
    for call in calls.split():
        for E in (ours, theirs):
            E.fit(X, Y) if call == "fit" else E.partial_fit(X, Y, None, [0, 1, 2])
        for name in ("n_iter_", "t_", "_no_improvement_count"):
            assert getattr(ours, name) == getattr(theirs, name), name
        assert np.allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-9)
        assert ours.best_loss_ == pytest.approx(theirs.best_loss_, rel=1e-9)
        assert np.allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-9)


def test_partial_fit_lowers_an_adaptive_rate() -> None:
    model = NetworkClassifier(
        solver="sgd", learning_rate="adaptive", learning_rate_init=0.1, tol=10, n_iter_no_change=2
    )
    rates = []
    for _ in range(7):
        model.partial_fit(X, Y)
        rates.append(model._optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([0.1] * 3 + [0.02] * 3 + [0.004])


def test_a_warm_start_keeps_the_best_weights_of_the_fit_before() -> None:
    model = NetworkClassifier(
        (16,), early_stopping=True, warm_start=True, learning_rate_init=0.02, max_iter=40, random_state=0
    ).fit(X, Y)
    best, p, epochs = model.best_validation_score_, model.predict_proba(X), len(model.validation_scores_)
    model.set_params(learning_rate_init=30.0, solver="sgd", max_iter=2).fit(X, Y)  # nothing good can come of that
    assert max(model.validation_scores_[epochs:]) <= best == model.best_validation_score_
    assert np.array_equal(model.predict_proba(X), p)
    model.set_params(early_stopping=False, learning_rate_init=1e-3).fit(X, Y)  # another rule starts anew
    assert model.validation_scores_ is None and np.isfinite(model.best_loss_)


def test_ctrl_c_ends_a_fit_with_a_warning() -> None:
    class Interrupted(nn.Linear):
        passes = 0

        def forward(self, x: Any) -> Any:
            self.passes += self.training
            if self.training and self.passes == 5:
                raise KeyboardInterrupt
            return super().forward(x)

    model = NetworkClassifier(module=Interrupted(6, 3), random_state=0, early_stopping=True)
    with pytest.warns(UserWarning, match="interrupted"):
        model.fit(X, Y)
    assert model.n_iter_ == 4 and not model.module_.training
    assert model.score(X, Y) >= 0


def test_batches_that_weigh_nothing_are_passed_over() -> None:
    w = np.zeros(len(X))
    w[:30] = 1
    how: Any = {"batch_size": 30, "shuffle": False, "max_iter": 4, "random_state": 0}
    ours, alone = NetworkClassifier(**how).fit(X, Y, w), NetworkClassifier(**how).fit(X[:30], Y[:30])
    assert np.allclose(ours.loss_curve_, alone.loss_curve_, rtol=1e-12)


def test_early_stopping_puts_the_best_weights_back() -> None:
    model = NetworkClassifier(
        (32,), early_stopping=True, n_iter_no_change=3, learning_rate_init=0.05, random_state=0, max_iter=100
    ).fit(X, NAMES)
    assert model.n_iter_ < 100 and len(model.validation_scores_) == model.n_iter_
    assert model.best_validation_score_ == max(model.validation_scores_) and model.best_loss_ is None


def test_held_out_scores_are_those_of_mlp_classifier() -> None:
    ours, theirs = (
        E((9,), early_stopping=True, batch_size=16, max_iter=30, random_state=5, learning_rate_init=0.02).fit(X, NAMES)
        for E in (NetworkClassifier, MLPClassifier)
    )
    assert np.allclose(ours.validation_scores_, theirs.validation_scores_) and ours.n_iter_ == theirs.n_iter_
    assert np.array_equal(ours.predict(X), theirs.predict(X))


def test_weighted_losses_are_those_of_mlp_classifier() -> None:
    w = np.random.default_rng(0).random(len(X)) + 0.1
    ours, theirs = (
        E((9,), batch_size=7, max_iter=3, random_state=0).fit(X, Y, sample_weight=w)
        for E in (NetworkClassifier, MLPClassifier)
    )
    assert np.allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-9)


def test_partial_fit_refuses_early_stopping() -> None:
    for E in (NetworkClassifier, MLPClassifier):
        with pytest.raises(ValueError, match="partial_fit does not support early_stopping=True"):
            E(early_stopping=True).partial_fit(X, Y, classes=np.unique(Y))


def test_feature_names_raise_no_warning() -> None:
    class Frame:  # what scikit-learn asks of a data frame
        columns = np.array([f"f{i}" for i in range(6)], dtype=object)
        shape, dtypes = X.shape, ()

        def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
            return np.asarray(X, dtype)

        def __len__(self) -> int:
            return len(X)

    assert NetworkClassifier((2,), max_iter=1).fit(Frame(), Y).n_features_in_ == 6


def test_several_labels_a_sample() -> None:
    labels = np.stack((Y == 0, X[:, 0] > 0), 1).astype(int)
    model = NetworkClassifier((16,), solver="lbfgs", random_state=0).fit(X, labels)
    assert model.predict(X).shape == (120, 2) and (model.predict(X) == labels).mean() > 0.95
    assert model.out_activation_ == "logistic" and model.predict_proba(X).shape == (120, 2)


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"activation": "swish"}, "activation must be one of identity, logistic, tanh, relu, got 'swish'"),
        ({"solver": "newton"}, "solver must be one of"),
        ({"alpha": -1.0}, r"alpha must lie in \[0, inf\], got -1.0"),
        ({"max_iter": 0}, "max_iter"),
        ({"max_iter": 2.5}, "max_iter must be a whole number"),
        ({"alpha": "much"}, "alpha must lie in"),
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": 2.5}, 'batch_size, if not "auto", must be a whole number'),
        ({"hidden_layer_sizes": (5, 0)}, "hidden_layer_sizes must be > 0"),
        ({"hidden_layer_sizes": 5.5}, "hidden_layer_sizes must be > 0 and whole numbers, got 5.5"),
        ({"early_stopping": True, "validation_fraction": 0.001}, "."),
        ({"validation_fraction": 1.0}, "validation_fraction"),
        ({"module": nn.Linear(6, 5)}, r"module must give \(N, 3\) outputs, got \('N', 5\)"),
    ],
)
def test_wrong_parameters_are_named(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NetworkClassifier(**parameters).fit(X, Y)


def test_wrong_data_are_named() -> None:
    with pytest.raises(ValueError, match="1 class"):
        NetworkClassifier().fit(X, np.zeros(120))
    with pytest.raises(ValueError, match="NaN"):
        NetworkClassifier().fit(np.where(X > 2, np.nan, X), Y)
    with pytest.raises(ValueError, match="(?i)weight"):
        NetworkClassifier().fit(X, Y, np.zeros(120))
    with pytest.raises(ValueError, match="the loss is nan; scaled data"):
        NetworkRegressor(solver="lbfgs").fit(X * 1e200, Y)
    with pytest.raises(TypeError, match="not a class"):
        NetworkClassifier(module=nn.Linear).fit(X, Y)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        with pytest.raises(ConvergenceWarning, match="max_iter=2"):
            NetworkClassifier(max_iter=2).fit(X, Y)


def digits_accuracy(E: Any, seeds: int, epochs: int) -> float:
    x, y = load_digits(return_X_y=True)
    scores = []
    for seed in range(seeds):
        folds = StratifiedKFold(3, shuffle=True, random_state=seed)
        scores.append(cross_val_score(E((64,), max_iter=epochs, random_state=seed), x / 16, y, cv=folds).mean())
    return float(np.mean(scores))


def test_digits_quickly() -> None:
    assert digits_accuracy(NetworkClassifier, 1, 25) > 0.9


@pytest.mark.slow
def test_digits_no_worse_than_mlp_classifier() -> None:
    """Mean of 5 seeds, 3 folds, equal sizes and epochs: the same steps, up to the rounding of the mean."""
    assert digits_accuracy(NetworkClassifier, 5, 60) >= digits_accuracy(MLPClassifier, 5, 60) - 1e-12
