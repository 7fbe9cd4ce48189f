"""NetworkClassifier and NetworkRegressor: the parameters and attributes of scikit-learn's MLPClassifier."""

from __future__ import annotations

import copy
import math
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels
from sklearn.utils.validation import _check_sample_weight, check_array, check_is_fitted, validate_data

from .. import dtypes, nn
from ..autograd import no_grad
from ..ops.creation import from_numpy
from ..ops.loss import binary_cross_entropy_with_logits, cross_entropy
from ..random import Generator, drawing_from
from ..tensor import Tensor
from ..train.arguments import float_dtype
from ..train.callbacks import copied
from ..train.fit import predict as _outputs
from . import solver as _solver

_ACTIVATIONS: dict[str, Any] = {"identity": nn.Identity, "logistic": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU}
_WORDS = {
    "activation": tuple(_ACTIVATIONS),
    "solver": ("adam", "sgd", "lbfgs"),
    "learning_rate": ("constant", "invscaling", "adaptive"),
}
_RANGES = {
    "alpha": (0, math.inf), "learning_rate_init": (1e-300, math.inf), "power_t": (0, math.inf),
    "max_iter": (1, math.inf), "tol": (0, math.inf), "momentum": (0, 1), "validation_fraction": (1e-300, 1 - 1e-16),
    "beta_1": (0, 1 - 1e-16), "beta_2": (0, 1 - 1e-16), "epsilon": (1e-300, math.inf),
    "n_iter_no_change": (1, math.inf), "max_fun": (1, math.inf),
}  # fmt: skip
_WHOLE = ("max_iter", "n_iter_no_change", "max_fun")


def _number(name: str, value: Any, low: float, high: float, whole: bool) -> None:
    kind = Integral if whole else Real
    if isinstance(value, bool) or not isinstance(value, kind) or not low <= float(value) <= high:
        raise ValueError(f"{name} must {'be a whole number' if whole else 'lie'} in [{low:g}, {high:g}], got {value!r}")


def _stochastic(est: Any) -> bool:
    if est.solver == "lbfgs":
        raise AttributeError("partial_fit goes with the solvers sgd and adam only")
    return True


class _Network(BaseEstimator):
    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        module: Any = None,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int = 10,
        max_fun: int = 15000,
    ) -> None:
        self.hidden_layer_sizes, self.activation, self.module, self.solver = (
            hidden_layer_sizes, activation, module, solver)  # fmt: skip
        self.alpha, self.batch_size, self.learning_rate = alpha, batch_size, learning_rate
        self.learning_rate_init, self.power_t, self.max_iter = learning_rate_init, power_t, max_iter
        self.shuffle, self.random_state, self.tol, self.verbose = shuffle, random_state, tol, verbose
        self.warm_start, self.momentum, self.nesterovs_momentum = warm_start, momentum, nesterovs_momentum
        self.early_stopping, self.validation_fraction = early_stopping, validation_fraction
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon
        self.n_iter_no_change, self.max_fun = n_iter_no_change, max_fun

    # ---- what a subclass says --------------------------------------------------------------------------------------
    def _encode(self, y: Any, reset: bool, classes: Any = None) -> np.ndarray:
        """Targets as (N, n_outputs) numbers."""
        raise NotImplementedError

    def _loss(self, output: Tensor, target: Tensor) -> Tensor:
        """(N,) losses."""
        raise NotImplementedError

    def _decode(self, z: np.ndarray) -> np.ndarray:
        """Predictions from the network's outputs."""
        raise NotImplementedError

    def _held_score(self, X: np.ndarray, y: np.ndarray, w: np.ndarray) -> float:
        """What score gives, for data that have been checked."""
        metric = accuracy_score if isinstance(self, ClassifierMixin) else r2_score
        found = _outputs(self.module_, X)
        return float(metric(y, self._decode(found), sample_weight=w)) if np.isfinite(found).all() else math.nan

    # ---- attributes ------------------------------------------------------------------------------------------------
    def _linears(self) -> list[Any]:
        return [m for m in self.module_.modules() if isinstance(m, nn.Linear)]

    @property
    def coefs_(self) -> list[np.ndarray]:
        """The weights of each dense layer, (inputs, outputs), in the module's memory."""
        return [m.weight.detach().numpy().T for m in self._linears()]

    @property
    def intercepts_(self) -> list[np.ndarray]:
        """The biases of each dense layer, in the module's memory."""
        return [m.bias.detach().numpy() for m in self._linears() if m.bias is not None]

    @property
    def n_layers_(self) -> int:
        """Dense layers and the input."""
        return len(self._linears()) + 1

    # ---- fitting ---------------------------------------------------------------------------------------------------
    def _check_parameters(self) -> list[int]:
        for name, words in _WORDS.items():
            if getattr(self, name) not in words:
                raise ValueError(f"{name} must be one of {', '.join(words)}, got {getattr(self, name)!r}")
        for name, (low, high) in _RANGES.items():
            _number(name, getattr(self, name), low, high, name in _WHOLE)
        if self.batch_size != "auto":
            _number('batch_size, if not "auto",', self.batch_size, 1, math.inf, True)
        hidden = np.atleast_1d(self.hidden_layer_sizes)
        if hidden.size and (hidden.ndim > 1 or hidden.dtype.kind not in "iu" or hidden.min() < 1):
            raise ValueError(f"hidden_layer_sizes must be > 0 and whole numbers, got {self.hidden_layer_sizes!r}")
        return hidden.astype(int).tolist()  # type: ignore[no-any-return]

    def _built_in(self, sizes: list[int], dtype: Any, rng: np.random.RandomState) -> Any:
        """Glorot & Bengio 2010, uniform, biases too: what scikit-learn's MLPs start from, number by number."""
        layers: list[Any] = []
        for n, m in zip(sizes, sizes[1:]):
            bound = math.sqrt((2 if self.activation == "logistic" else 6) / (n + m))
            with drawing_from(Generator(0)):  # the layer's own start, replaced below
                layer = nn.Linear(n, m).to(dtype)
            weight, bias = rng.uniform(-bound, bound, (n, m)), rng.uniform(-bound, bound, m)
            layer.load_state_dict({"weight": from_numpy(weight.T.copy()).to(dtype), "bias": from_numpy(bias).to(dtype)})
            layers += [layer, _ACTIVATIONS[self.activation]()]
        return nn.Sequential(*layers[:-1])

    def _begin(self, X: np.ndarray, outputs: int, hidden: list[int], rng: np.random.RandomState) -> None:
        if self.module is None:
            dtype = dtypes.float32 if X.dtype == np.float32 else dtypes.float64
            self.module_ = self._built_in([X.shape[1], *hidden, outputs], dtype, rng)
        elif isinstance(self.module, nn.Module):
            self.module_ = copy.deepcopy(self.module)
        else:
            raise TypeError(f"module must be an nn.Module (an object, not a class), got {self.module!r}")
        self.module_.eval()
        self.n_iter_ = self.t_ = 0
        self.loss_curve_: list[float] = []
        self._begin_stopping()
        found = _outputs(self.module_, X[:1]).shape[1:]
        self.n_outputs_ = self._check_outputs(found, outputs)

    def _begin_stopping(self) -> None:
        """What the stopping rules remember. A warm start goes on with it, the best weights of fits before included."""
        held = self.early_stopping
        self.best_loss_: Any = None if held else math.inf
        self.validation_scores_: Any = [] if held else None
        self.best_validation_score_: Any = -math.inf if held else None
        self._best_weights: Any = copied(self.module_) if held else None
        self._no_improvement_count = 0

    def _check_outputs(self, found: tuple[int, ...], wanted: int) -> int:
        if found != (wanted,):
            raise ValueError(f"module must give (N, {wanted}) outputs, got {('N', *found)}")
        return wanted

    def _fit(self, X: Any, y: Any, sample_weight: Any, incremental: bool = False, classes: Any = None) -> Any:
        hidden = self._check_parameters()
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        reset = not hasattr(self, "module_") or not (self.warm_start or incremental)
        X, y = validate_data(
            self, X, y, multi_output=True, dtype=(np.float64, np.float32), reset=reset,
            allow_nd=self.module is not None, y_numeric=isinstance(self, RegressorMixin), order="C",
        )  # fmt: skip
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        w = _check_sample_weight(sample_weight, X, dtype=X.dtype, ensure_non_negative=True)
        rng = check_random_state(self.random_state)
        targets = self._encode(y, reset, classes)
        if reset:
            self._begin(X, targets.shape[1], hidden, rng)
        elif self.early_stopping is not (self.best_loss_ is None):  # another rule than that of the fit before
            self._begin_stopping()
        if reset or not incremental or not hasattr(self, "_optimizer"):
            self._optimizer = None if self.solver == "lbfgs" else _solver.optimizer_of(self, self.module_)
        held = None
        if self.early_stopping and not incremental and self.solver != "lbfgs":
            # Of two classes each keeps its share; more are drawn as they come, as in MLPClassifier.
            strata = y if isinstance(self, ClassifierMixin) and targets.shape[1] == 1 else None
            X, other, targets, _, y, other_y, w, other_w = train_test_split(
                X, targets, y, w, test_size=self.validation_fraction, random_state=rng, stratify=strata)  # fmt: skip
            if len(other) < 2:
                raise ValueError("one sample is too few to hold out for early_stopping: a larger validation_fraction")
            held = (other, other_y, other_w)
        if not w.any():
            raise ValueError("sample_weight: at least one sample needs a weight above 0")
        dtype = float_dtype(self.module_)
        data = [from_numpy(np.ascontiguousarray(a)).to(dtype) for a in (X, targets, w)]
        loss = _solver.Penalised(self.module_, self._loss, self.alpha)
        if self.solver == "lbfgs":
            _solver.lbfgs(self, loss, data[0], data[1], data[2])
        else:
            _solver.stochastic(self, loss, data, held, rng, incremental)
        self.module_.eval()
        return self

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Trains from the start (or goes on, with warm_start). X: (N, features) floating, with module= any (N, ...);
        y: (N,) or (N, outputs); sample_weight: (N,). ValueError: NaN, lengths or parameters that do not fit."""
        return self._fit(X, y, sample_weight)

    def _output(self, X: Any) -> np.ndarray:
        check_is_fitted(self, "module_")
        X = validate_data(
            self, X, dtype=(np.float64, np.float32), reset=False, allow_nd=self.module is not None, order="C"
        )
        with no_grad():
            return _outputs(self.module_, X)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "module_")

    def __getstate__(self) -> dict[str, Any]:
        """The optimiser stays behind: a copy's next partial_fit starts its moments anew."""
        return {k: v for k, v in super().__getstate__().items() if k != "_optimizer"}


class NetworkClassifier(ClassifierMixin, _Network):
    """A multilayer perceptron, or any `module=`, as a scikit-learn classifier.

    The parameters are those of `sklearn.neural_network.MLPClassifier`, with its defaults, losses, starting weights and
    stopping rules. module: an nn.Module with one output a class (logits; one output will do for two classes); it
    replaces hidden_layer_sizes and activation, is copied, and trained from the weights it has. Networks compute in X's
    dtype, modules in theirs. y: labels of any kind, or (N, K) of 0 and 1 for several labels a sample. With warm_start,
    early stopping puts back the best weights of all fits. Ctrl-C ends a fit with a warning.

    classes_, loss_, loss_curve_, n_iter_, coefs_, intercepts_, out_activation_ ...: as there; module_: the network.
    ValueError: one class only, NaN, parameters out of range.

    >>> from mielina.sklearn import NetworkClassifier
    >>> X, y = [[0.0], [1.0], [4.0], [5.0]], ["low", "low", "high", "high"]
    >>> NetworkClassifier((8,), solver="lbfgs", random_state=0).fit(X, y).predict([[0.5], [4.5]]).tolist()
    ['low', 'high']
    """

    def _encode(self, y: Any, reset: bool, classes: Any = None) -> np.ndarray:
        check_classification_targets(y)
        kind = type_of_target(y)
        if kind == "multiclass-multioutput":
            raise ValueError(f"unknown label type: {kind}; several labels a sample are columns of 0 and 1")
        if reset:
            if classes is None:
                if kind == "multilabel-indicator":
                    classes = np.arange(y.shape[1])
                else:
                    classes = unique_labels(y)
            self.classes_ = np.unique(classes)
            if len(self.classes_) < 2:
                raise ValueError(f"{type(self).__name__} needs at least 2 classes, got 1 class: {self.classes_[0]!r}")
            self._multilabel = kind == "multilabel-indicator"
        if self._multilabel:
            if kind != "multilabel-indicator" or y.shape[1] != len(self.classes_):
                raise ValueError(f"y must have {len(self.classes_)} columns of 0 and 1, as before")
            return np.asarray(y)
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(f"y has classes that were not there before: {unknown}")
        return LabelBinarizer().fit(self.classes_).transform(y)  # type: ignore[no-any-return]

    def _check_outputs(self, found: tuple[int, ...], wanted: int) -> int:
        if wanted == 1 and found == (2,):
            wanted = 2  # two logits for two classes
        self.out_activation_ = "softmax" if wanted > 1 and not self._multilabel else "logistic"
        return super()._check_outputs(found, wanted)

    def _loss(self, output: Tensor, target: Tensor) -> Tensor:
        if self.out_activation_ == "softmax":
            labels = target[:, 0].long() if target.shape[1] == 1 else target.argmax(1)
            return cross_entropy(output, labels, reduction="none")
        return binary_cross_entropy_with_logits(output, target, reduction="none").sum(1)

    @available_if(_stochastic)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Any:
        """One pass over X. classes: all labels that will ever come; needed in the first call unless y has them all."""
        if classes is not None and hasattr(self, "classes_") and not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError(f"classes={classes!r} are not those of the first call: {self.classes_}")
        return self._fit(X, y, sample_weight, True, classes)

    def predict_proba(self, X: Any) -> np.ndarray:
        """(N, classes): softmax of the outputs, or the logistic function of each for several labels a sample."""
        return self._probabilities(self._output(X))

    def _probabilities(self, z: np.ndarray) -> np.ndarray:
        if self.out_activation_ == "softmax":
            p = np.exp(z - z.max(1, keepdims=True))
            return p / p.sum(1, keepdims=True)  # type: ignore[no-any-return]
        p = 0.5 * (1 + np.tanh(0.5 * z))
        return p if self._multilabel else np.hstack((1 - p, p))

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """log(predict_proba(X))."""
        return np.log(self.predict_proba(X))  # type: ignore[no-any-return]

    def predict(self, X: Any) -> np.ndarray:
        """The likeliest class of each sample; several labels a sample: those above one half, as 0 and 1."""
        return self._decode(self._output(X))

    def _decode(self, z: np.ndarray) -> np.ndarray:
        p = self._probabilities(z)
        return (p > 0.5).astype(int) if self._multilabel else self.classes_[p.argmax(1)]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class NetworkRegressor(RegressorMixin, _Network):
    """A multilayer perceptron, or any `module=` with (N, outputs), as a scikit-learn regressor.

    The parameters are those of `sklearn.neural_network.MLPRegressor` without `loss`: it minimises half the mean squared
    error (of several outputs, too, where MLPRegressor's gradient is that of their sum). See NetworkClassifier for
    module= and dtypes. y: (N,) or (N, outputs).

    >>> from mielina.sklearn import NetworkRegressor
    >>> model = NetworkRegressor((), solver="lbfgs", alpha=0).fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])
    >>> round(float(model.predict([[3.0]])[0]), 3)
    7.0
    """

    def _encode(self, y: Any, reset: bool, classes: Any = None) -> np.ndarray:
        y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
        targets = y.reshape(len(y), -1)
        if not reset and targets.shape[1] != self.n_outputs_:
            raise ValueError(f"y must have {self.n_outputs_} columns, as before, got {targets.shape[1]}")
        self.out_activation_ = "identity"
        return targets

    def _loss(self, output: Tensor, target: Tensor) -> Tensor:
        return (output - target).square().mean(1) * 0.5

    @available_if(_stochastic)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """One pass over X."""
        return self._fit(X, y, sample_weight, True)

    def predict(self, X: Any) -> np.ndarray:
        """(N,), or (N, outputs) for several."""
        return self._decode(self._output(X))

    def _decode(self, z: np.ndarray) -> np.ndarray:
        return z.ravel() if z.shape[1] == 1 else z

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
