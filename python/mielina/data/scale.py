"""Features of one scale, with scikit-learn's names: fitted on the training part, applied to all."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ops.creation import as_tensor
from ..tensor import Tensor


class _Scaler:
    """(x - shift) / scale for each index of axis 1: a feature of (N, F), a channel of (N, C, H, W)."""

    shift_: np.ndarray | None = None
    scale_: np.ndarray

    def _statistics(self, x: np.ndarray, axes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        raise NotImplementedError

    def fit(self, X: Any) -> Any:
        """Takes shift and scale from X; a feature that is constant keeps its scale. ValueError: fewer than two axes, no
        samples, NaN or infinity."""
        x = _array(X, self)
        if x.ndim < 2 or not x.size:
            raise ValueError(f"{type(self).__name__}: expected samples (N, features, ...), got shape {x.shape}")
        if not np.isfinite(x).all():
            raise ValueError(f"{type(self).__name__}: X holds NaN or infinity")
        x = x.astype(np.float64)
        shift, scale = self._statistics(x, tuple(a for a in range(x.ndim) if a != 1))
        # Rounding leaves a constant feature a deviation of some eps times its size.
        constant = scale <= 10 * np.finfo(np.float64).eps * np.abs(shift)
        self.shift_, self.scale_ = shift, np.where(constant, 1.0, scale)
        return self

    def transform(self, X: Any) -> Any:
        """The scaled X, array or tensor as it came; integers become float32. RuntimeError: not fitted. ValueError:
        another number of features."""
        return self._apply(X, lambda x, shift, scale: (x - shift) / scale)

    def inverse_transform(self, X: Any) -> Any:
        """What `transform` was given."""
        return self._apply(X, lambda x, shift, scale: x * scale + shift)

    def fit_transform(self, X: Any) -> Any:
        return self.fit(X).transform(X)

    def _apply(self, X: Any, f: Any) -> Any:
        name = type(self).__name__
        if self.shift_ is None:
            raise RuntimeError(f"{name}: call fit with the training data first")
        x = _array(X, self)
        if x.ndim < 2 or x.shape[1] != len(self.shift_):
            raise ValueError(f"{name}: fitted on {len(self.shift_)} features, got an array of shape {x.shape}")
        shape = (-1,) + (1,) * (x.ndim - 2)
        out = f(x.astype(np.float64), self.shift_.reshape(shape), self.scale_.reshape(shape))
        out = out.astype(x.dtype if x.dtype.kind == "f" else np.float32)
        return as_tensor(out) if isinstance(X, Tensor) else out


def _array(X: Any, scaler: _Scaler) -> np.ndarray:
    x = X.detach().cpu().numpy() if isinstance(X, Tensor) else np.asarray(X)
    if x.dtype.kind not in "biuf":
        raise TypeError(f"{type(scaler).__name__}: expected numbers, got dtype {x.dtype}")
    return x


class StandardScaler(_Scaler):
    """z-scores: (x - mean) / standard deviation of each feature (or channel), the deviation over N.

    >>> scaler = mi.data.StandardScaler().fit(mi.tensor([[1.0], [3.0]]))
    >>> scaler.transform(mi.tensor([[5.0]]))
    tensor([[3.]])
    """

    def _statistics(self, x: np.ndarray, axes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        return x.mean(axes), x.std(axes)

    @property
    def mean_(self) -> np.ndarray | None:
        return self.shift_


class MinMaxScaler(_Scaler):
    """The range of each feature (or channel) becomes 0 to 1: (x - min) / (max - min).

    >>> mi.data.MinMaxScaler().fit_transform(mi.tensor([[2.0], [4.0], [3.0]])).flatten()
    tensor([0.0000, 1.0000, 0.5000])
    """

    def _statistics(self, x: np.ndarray, axes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        return x.min(axes), x.max(axes) - x.min(axes)

    @property
    def data_min_(self) -> np.ndarray | None:
        return self.shift_
