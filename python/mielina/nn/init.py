"""Initial values of parameters, written in place without history. Formulas and defaults are PyTorch's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import _core
from ..devices import made_on
from ..random import Generator, given
from ..tensor import Tensor

_GAINS = {"sigmoid": 1.0, "tanh": 5.0 / 3, "relu": math.sqrt(2.0), "selu": 0.75}
_LINEAR = ("linear", *(f"conv{t}{n}d" for t in ("", "_transpose") for n in (1, 2, 3)))


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor that keeps the variance of activations through a nonlinearity. ValueError for an unknown one.

    >>> nn.init.calculate_gain("tanh")
    1.6666666666666667
    """
    if nonlinearity in _LINEAR:
        return 1.0
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise ValueError(f"negative_slope {param} not a valid number")
        return math.sqrt(2.0 / (1 + slope**2))
    if nonlinearity not in _GAINS:
        raise ValueError(f"Unsupported nonlinearity {nonlinearity}")
    return _GAINS[nonlinearity]


def _uniform(tensor: Tensor, low: float, high: float, generator: Generator | None, dtype: Any = None) -> Tensor:
    dtype = dtype or tensor.dtype
    key = _core.take_key(given(generator).on(tensor._device), tensor.numel(), dtype)
    return _core.uniform(tensor.shape, dtype, key, low, high)  # type: ignore[no-any-return]


def _put(tensor: Tensor, array: Any) -> Tensor:
    _core.copy_into(tensor, array if isinstance(array, Tensor) else _core.from_numpy(np.ascontiguousarray(array)))
    return tensor


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fills with numbers from U(a, b)."""
    return _put(tensor, _uniform(tensor, float(a), float(b), generator))


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fills with numbers from N(mean, std^2)."""
    if not tensor.dtype.is_floating_point:
        raise TypeError(f"normal_: expected a floating tensor, got {tensor.dtype}")
    key = _core.take_key(given(generator).on(tensor._device), tensor.numel(), tensor.dtype)
    return _put(tensor, _core.normal(tensor.shape, tensor.dtype, key, float(mean), float(std)))


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:
    """Fills with numbers from N(mean, std^2) cut off outside [a, b] (by the inverse of the distribution function)."""
    from .. import dtypes

    def cdf(x: float) -> float:
        return (1.0 + math.erf(x / math.sqrt(2.0))) / 2.0

    low, high = cdf((a - mean) / std), cdf((b - mean) / std)
    u = _uniform(tensor, low, high, generator, dtypes.float64).numpy()
    return _put(tensor, np.clip(mean + std * _normal_quantile(u), a, b))


def _normal_quantile(p: np.ndarray) -> np.ndarray:
    """The inverse of the normal distribution function: Newton's method on erf, from a logistic first guess."""
    p = np.clip(p, 1e-300, 1 - 2.0**-53)
    x = np.log(p / (1 - p)) / 1.702
    erf = np.vectorize(math.erf, otypes=[float])
    for _ in range(8):
        error = 0.5 * (1 + erf(x / math.sqrt(2))) - p
        density = np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
        x = x - error / np.maximum(density, 1e-300) / (
            1 + 0.5 * x * error / np.maximum(density, 1e-300)
        )  # Halley's step
    return x


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fills with one number.

    >>> nn.init.constant_(mi.empty(2), 3.0)
    tensor([3., 3.])
    """
    _core.fill_(tensor, val)
    return tensor


def ones_(tensor: Tensor) -> Tensor:
    """Fills with 1.

    >>> nn.init.ones_(mi.empty(2))
    tensor([1., 1.])
    """
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """Fills with 0.

    >>> nn.init.zeros_(mi.empty(2))
    tensor([0., 0.])
    """
    return constant_(tensor, 0.0)


def eye_(tensor: Tensor) -> Tensor:
    """Fills a matrix with the identity.

    >>> nn.init.eye_(mi.empty(2, 2))
    tensor([[1., 0.],
            [0., 1.]])
    """
    if tensor.ndim != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    return _put(tensor, np.eye(tensor.shape[0], tensor.shape[1]))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Fills a convolution's weight so that it passes its input channels through."""
    if tensor.ndim not in (3, 4, 5):
        raise ValueError("Only tensors with 3, 4, or 5 dimensions are supported")
    out, per_group = tensor.shape[:2]
    if out % groups:
        raise ValueError("dim 0 must be divisible by groups")
    values = np.zeros(tensor.shape)
    centre = tuple(s // 2 for s in tensor.shape[2:])
    for g in range(groups):
        for c in range(min(out // groups, per_group)):
            place = (g * (out // groups) + c, c, *centre)
            values[place] = 1
    return _put(tensor, values)


def _fans(tensor: Tensor) -> tuple[int, int]:
    """How many numbers an output sums over, and how many outputs an input goes to."""
    if tensor.ndim < 2:
        raise ValueError("Fan in and fan out can not be computed for tensor with fewer than 2 dimensions")
    field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * field, tensor.shape[0] * field


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """U(-a, a) with a = gain sqrt(6 / (fan_in + fan_out)). Source: Glorot & Bengio 2010."""
    a = gain * math.sqrt(6.0 / sum(_fans(tensor)))
    return uniform_(tensor, -a, a, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """N(0, s^2) with s = gain sqrt(2 / (fan_in + fan_out)). Source: Glorot & Bengio 2010."""
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / sum(_fans(tensor))), generator)


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"Mode {mode} not supported, please use one of ['fan_in', 'fan_out']")
    return calculate_gain(nonlinearity, a) / math.sqrt(_fans(tensor)[mode == "fan_out"])


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """U(-b, b) with b = gain sqrt(3 / fan). Source: He et al. 2015."""
    if 0 in tensor.shape:
        return tensor
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """N(0, s^2) with s = gain / sqrt(fan). Source: He et al. 2015."""
    if 0 in tensor.shape:
        return tensor
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator | None = None) -> Tensor:
    """A matrix (first axis by all others) with orthonormal rows or columns, times gain. Source: Saxe et al. 2013."""
    if tensor.ndim < 2:
        raise ValueError("Only tensors with 2 or more dimensions are supported")
    if tensor.numel() == 0:
        return tensor
    from .. import dtypes

    rows = tensor.shape[0]
    flat = made_on("cpu", _core.empty, (rows, tensor.numel() // rows), dtypes.float64)
    a = normal_(flat, generator=generator).numpy()
    q, r = np.linalg.qr(a.T if rows < a.shape[1] else a)
    q = q * np.sign(np.diag(r))  # makes the distribution uniform: Mezzadri 2007
    return _put(tensor, gain * (q.T if rows < a.shape[1] else q).reshape(tensor.shape))


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator | None = None) -> Tensor:
    """N(0, std^2) with a fraction `sparsity` of each column zero. Source: Martens 2010."""
    if tensor.ndim != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    normal_(tensor, 0, std, generator)
    rows = tensor.shape[0]
    order = np.argsort(_uniform(tensor, 0.0, 1.0, generator).cpu().numpy(), axis=0)
    values = tensor.detach().cpu().numpy().copy()
    np.put_along_axis(values, order[: math.ceil(sparsity * rows)], 0.0, axis=0)
    return _put(tensor, values)
