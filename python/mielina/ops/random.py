"""Random numbers, and the functions that draw them: dropout and its kin.

Every draw takes a key from a generator (`generator=`, default: the one that `manual_seed` seeds). Same seed, same
bits on every instruction set and with any number of threads. Source: Salmon, Moraes, Dror & Shaw 2011 (Philox
4x32-10).
"""

from __future__ import annotations

import math
from typing import Any

from .. import _core, devices, dtypes
from ..autograd import op, record
from ..dtypes import dtype as DType
from ..random import Generator, default_generator, given
from ..tensor import Tensor, check_tensors, method
from .creation import made, shape_of, zeros_like
from .layout import zeros

__all__ = [
    "bernoulli", "dropout", "multinomial", "normal", "rand", "rand_like", "randint", "randint_like",
    "randn", "randn_like", "randperm",
]  # fmt: skip
__functional__ = ["alpha_dropout", "dropout", "dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout"]


def _key(shape: Any, dtype: DType, generator: Generator | None, device: int | None = None) -> Tensor:
    """The key of a call: what is drawn with it is made on the key's device."""
    place = _core.current_device() if device is None else device
    return _core.take_key(given(generator).on(place), math.prod(shape), dtype)


def _place(device: Any) -> int | None:
    return None if device is None else devices.number(device)


def _drawn(name: str, dtype: DType | None) -> DType:
    dtype = dtypes.given(dtype, dtypes.get_default_dtype())
    if not dtype.is_floating_point:
        raise NotImplementedError(f"{name}: not implemented for {dtype.name}; expected a floating dtype")
    return dtype


# ---- new tensors -----------------------------------------------------------------------------------------------------
def rand(
    *sizes: Any,
    size: Any = None,
    generator: Generator | None = None,
    dtype: DType | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Uniform numbers in [0, 1): multiples of 2^-24, rounded in halves, of 2^-53 in float64.

    NotImplementedError: integers.

    >>> mi.rand(2, 3).shape
    (2, 3)
    """
    shape, dtype = shape_of(sizes, size), _drawn("rand", dtype)
    key = _key(shape, dtype, generator, _place(device))
    return made(_core.uniform(shape, dtype, key, 0.0, 1.0), "rand", device, requires_grad)


def randn(
    *sizes: Any,
    size: Any = None,
    generator: Generator | None = None,
    dtype: DType | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Normal numbers with mean 0 and standard deviation 1. NotImplementedError: integers. Source: Box & Muller 1958.

    >>> mi.randn(2, 3).shape
    (2, 3)
    """
    shape, dtype = shape_of(sizes, size), _drawn("randn", dtype)
    key = _key(shape, dtype, generator, _place(device))
    return made(_core.normal(shape, dtype, key, 0.0, 1.0), "randn", device, requires_grad)


# The largest n - 1 of randperm(n): what a dtype holds exactly. (bfloat16 is not held to it, as in PyTorch.)
_WHOLE = {
    "float32": 1 << 24, "float64": 1 << 53, "float16": 1 << 11, "bfloat16": 1 << 63, "int64": (1 << 63) - 1,
    "int32": (1 << 31) - 1, "int16": (1 << 15) - 1, "int8": (1 << 7) - 1, "uint8": (1 << 8) - 1, "bool": 1,
}  # fmt: skip


def _check_range(name: str, low: int, high: int, dtype: DType) -> None:
    most = 65504 if dtype is dtypes.float16 else 1 << 63 if dtype.is_floating_point else _WHOLE[dtype.name]
    least = 0 if dtype.name in ("uint8", "bool") else -most - (not dtype.is_floating_point)
    if low < high and not (least <= low and high - 1 <= most):
        raise RuntimeError(f"{name}: [{low}, {high}) is beyond the range of {dtype.name}")


def randint(
    low: Any = None,
    high: Any = None,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: DType | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Whole numbers in [low, high), int64 by default; randint(high, size) starts at 0.

    RuntimeError: low >= high, or bounds beyond the dtype's range.

    >>> mi.randint(5, 6, (3,))
    tensor([5, 5, 5])
    """
    if size is None:
        low, high, size = 0, low, high
    elif high is None:
        low, high = 0, low
    low = 0 if low is None else low
    if not isinstance(size, (tuple, list)):
        raise TypeError(f"randint: expected a tuple or list as size, got {type(size).__name__}")
    for bound in (low, high):
        if not hasattr(bound, "__index__"):
            raise TypeError(f"randint: expected integers as bounds, got {type(bound).__name__}")
    low, high, dtype = int(low), int(high), dtypes.given(dtype, dtypes.int64)
    _check_range("randint", low, high, dtype)
    wide = dtypes.float64 if high - low > 1 << 32 else dtypes.float32  # two words an element, or one
    t = _core.integers(size, dtype, _key(size, wide, generator, _place(device)), low, high)
    return made(t, "randint", device, requires_grad)


def randperm(
    n: int,
    *,
    generator: Generator | None = None,
    dtype: DType | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """A random order of 0 .. n - 1, int64 by default. RuntimeError: n is negative or beyond what the dtype holds.

    >>> mi.sort(mi.randperm(4))[0]
    tensor([0, 1, 2, 3])
    """
    if not hasattr(n, "__index__"):
        raise TypeError(f"randperm: expected an integer, got {type(n).__name__}")
    n, dtype = int(n), dtypes.given(dtype, dtypes.int64)
    if n < 0:
        raise RuntimeError(f"randperm: n must not be negative, got {n}")
    if dtype is dtypes.bool:
        raise NotImplementedError("randperm: not implemented for bool")
    if n - 1 > _WHOLE[dtype.name]:
        raise RuntimeError(f"randperm: {dtype.name} does not hold {n - 1} exactly")
    drawn = _core.integers((n,), dtypes.int64, _key((n,), dtypes.float32, generator), 0, 1 << 32)
    order = _core.sort(drawn, 0, False)[1]
    return made(order if dtype is dtypes.int64 else order.to(dtype), "randperm", device, requires_grad)


def _like(input: Tensor, drawn: Tensor) -> Tensor:
    """What was drawn, in input's stride order.

    >>> mi.rand_like(mi.zeros(2, 3)).shape
    (2, 3)
    """
    if _core.is_contiguous(input):
        return drawn
    y = _core.empty_like(input, drawn.dtype)
    _core.copy_into(y, drawn)
    return y.requires_grad_() if drawn.requires_grad else y  # type: ignore[no-any-return]


def _beside(input: Tensor, keywords: dict[str, Any]) -> dict[str, Any]:
    return keywords if keywords.get("device") is not None else {**keywords, "device": input.device}


def rand_like(input: Tensor, *, dtype: DType | None = None, **keywords: Any) -> Tensor:
    """Uniform numbers in [0, 1) like input: shape and dtype. Keywords as for rand.

    >>> mi.rand_like(mi.ones(2, 3)).shape
    (2, 3)
    """
    check_tensors("rand_like", input)
    return _like(input, rand(*input.shape, dtype=dtype or input.dtype, **_beside(input, keywords)))


def randn_like(input: Tensor, *, dtype: DType | None = None, **keywords: Any) -> Tensor:
    """Normal numbers like input: shape and dtype. Keywords as for randn.

    >>> mi.randn_like(mi.ones(2, 3)).shape
    (2, 3)
    """
    check_tensors("randn_like", input)
    return _like(input, randn(*input.shape, dtype=dtype or input.dtype, **_beside(input, keywords)))


def randint_like(input: Tensor, low: Any, high: Any = None, *, dtype: DType | None = None, **keywords: Any) -> Tensor:
    """Whole numbers in [low, high) like input: shape and dtype; randint_like(input, high) starts at 0.

    >>> mi.randint_like(mi.ones(2, 3), 5).shape
    (2, 3)
    """
    check_tensors("randint_like", input)
    low, high = (0, low) if high is None else (low, high)
    return _like(input, randint(low, high, tuple(input.shape), dtype=dtype or input.dtype, **_beside(input, keywords)))


def normal(
    mean: Any = 0.0,
    std: Any = 1.0,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: DType | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Normal numbers: of `size`, or one for each element of the mean and std tensors, which broadcast.

    Tensors get a gradient of 0. TypeError: neither tensors nor a size, or both. RuntimeError: negative std.

    >>> generator = mi.manual_seed(0)
    >>> mi.normal(0.0, 1.0, (2, 3)).shape
    (2, 3)
    """
    if not isinstance(mean, Tensor) and not isinstance(std, Tensor):
        if size is None:
            raise TypeError("normal: expected a size beside two numbers")
        shape, dtype = shape_of((), size), _drawn("normal", dtype)
        t = _core.normal(shape, dtype, _key(shape, dtype, generator, _place(device)), float(mean), float(std))
        return made(t, "normal", device, requires_grad)
    if size is not None:
        raise TypeError("normal: a size goes with two numbers; beside a tensor the result has its shape")
    if isinstance(std, Tensor):
        if std.numel() and bool((std < 0).any()):
            raise RuntimeError("normal: expected all elements of std >= 0")
    elif not std >= 0:
        raise RuntimeError(f"normal: expected std >= 0, got {std}")
    a, b = (x.detach() if isinstance(x, Tensor) else x for x in (mean, std))
    dtype = _drawn("normal", a.dtype if isinstance(a, Tensor) else b.dtype)
    shape, place = _core.add(a, b).shape, (a if isinstance(a, Tensor) else b).device
    t = _core.convert(
        a + b * randn(*shape, dtype=dtype, generator=generator, device=place),
        dtype,
    )
    return record(t, NORMAL, (mean, std), (mean, std))  # type: ignore[no-any-return]


def _nothing(g: Tensor, needs: Any, *inputs: Any) -> Any:
    """What is drawn has no derivative with respect to its parameters: zeros, as in PyTorch."""
    return tuple(zeros_like(x) if need else None for x, need in zip(inputs, needs))


NORMAL, BERNOULLI = op("normal", _nothing, broadcast=True), op("bernoulli", _nothing)


@method
def bernoulli(input: Tensor, p: float | None = None, *, generator: Generator | None = None) -> Tensor:
    """1 with probability input[i] (or p), else 0, in input's dtype. RuntimeError: a probability outside [0, 1].

    >>> mi.bernoulli(mi.tensor([0.0, 1.0]))
    tensor([0., 1.])
    """
    check_tensors("bernoulli", input)
    if p is None:
        if not input.dtype.is_floating_point:
            raise NotImplementedError(f"bernoulli: expected floating probabilities, got {input.dtype}")
        probability: Any = input.detach()
        if input.numel():
            least, most = _core.aminmax(probability, (), False)
            if not 0 <= least.item() <= most.item() <= 1:  # NaN fails, too
                raise RuntimeError("bernoulli: expected all probabilities in [0, 1]")
    else:
        if isinstance(p, Tensor):
            raise TypeError("bernoulli: expected a number as p; bernoulli_ takes a tensor")
        _check_p("bernoulli", p)
        probability = p
    dtype = dtypes.float64 if input.dtype is dtypes.float64 else dtypes.float32
    drawn = (rand(*input.shape, dtype=dtype, generator=generator, device=input.device) < probability).to(input.dtype)
    return record(drawn, BERNOULLI, (input,), (input,))  # type: ignore[no-any-return]


@method
def multinomial(
    input: Tensor, num_samples: int, replacement: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """`num_samples` indices drawn from each row of weights (N, C) or (C), as int64.

    With replacement by inverting the cumulative sum; without, the largest of log w - log(-log u), in that order (Gumbel
    top-k, Kool et al. 2019; weights of 0 come last). RuntimeError: negative, infinite or NaN weights, all zero, or more
    samples without replacement than there are weights.

    >>> mi.multinomial(mi.tensor([0.0, 1.0, 0.0]), 2, replacement=True)
    tensor([1, 1])
    """
    check_tensors("multinomial", input)
    if input.ndim not in (1, 2) or not input.dtype.is_floating_point:
        raise RuntimeError(f"multinomial: expected floating weights (C) or (N, C), got {input.shape} {input.dtype}")
    if num_samples <= 0:
        raise RuntimeError(f"multinomial: cannot draw {num_samples} samples")
    w = input.detach()
    w = (w.unsqueeze(0) if input.ndim == 1 else w).to(dtypes.float64)
    if not bool((w.isfinite() & (w >= 0)).all()):
        raise RuntimeError("multinomial: weights must be finite and not negative")
    if not bool((w > 0).any(1).all()) or (not replacement and num_samples > w.shape[1]):
        raise RuntimeError(f"multinomial: cannot draw {num_samples} samples: too few weights above 0 in a row")
    if replacement:
        total = w.cumsum(1)
        u = rand(w.shape[0], num_samples, dtype=dtypes.float64, generator=generator, device=w.device)
        from .sort import searchsorted

        drawn = searchsorted(total, u * total.select(1, -1).unsqueeze(1), right=True)
    else:
        u = rand_like(w, generator=generator)
        drawn = (w.log() - (-u.log()).log()).topk(num_samples, 1)[1]
    return drawn.squeeze(0) if input.ndim == 1 else drawn


# ---- in place --------------------------------------------------------------------------------------------------------
def _fill(self: Tensor, values: Tensor, name: str) -> Tensor:
    if _core.grad_enabled() and self._tracked:
        from .layout import write_into

        return write_into(self, values, name)
    _core.copy_into(self, values)
    return self


@method
def uniform_(self: Tensor, a: float = 0.0, b: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fills with uniform numbers in [a, b). RuntimeError: a > b."""
    if not a <= b or math.isinf(b - a):
        raise RuntimeError(f"uniform_: expected finite from <= to, got {a} and {b}")
    dtype = _drawn("uniform_", self.dtype)
    return _fill(
        self,
        _core.uniform(self.shape, dtype, _key(self.shape, dtype, generator, self._device), float(a), float(b)),
        "uniform_",
    )


@method
def normal_(self: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fills with normal numbers."""
    dtype = _drawn("normal_", self.dtype)
    return _fill(
        self,
        _core.normal(self.shape, dtype, _key(self.shape, dtype, generator, self._device), float(mean), float(std)),
        "normal_",
    )


@method
def bernoulli_(self: Tensor, p: Any = 0.5, *, generator: Generator | None = None) -> Tensor:
    """Fills with 1 (probability p, a number or a tensor) and 0."""
    drawn = (
        bernoulli(p.expand(self.shape), generator=generator)
        if isinstance(p, Tensor)
        else bernoulli(self.detach(), float(p), generator=generator)
    )
    return _fill(self, drawn, "bernoulli_")


@method
def random_(
    self: Tensor, low: int | None = None, high: int | None = None, *, generator: Generator | None = None
) -> Tensor:
    """Fills with whole numbers in [low, high); random_(high) starts at 0, random_() takes what the dtype holds exactly.

    RuntimeError: low >= high, or bounds beyond the dtype's range.
    """
    if low is None:
        low, high = 0, min(_WHOLE[self.dtype.name], 1 << 53) + 1
        high = 1 << 8 if self.dtype is dtypes.bfloat16 else high
    elif high is None:
        low, high = 0, low
    _check_range("random_", low, high, self.dtype)
    return _fill(self, randint(low, high, self.shape, generator=generator, device=self.device), "random_")


# ---- dropout ---------------------------------------------------------------------------------------------------------
def _check_p(name: str, p: float) -> None:
    if not 0 <= p <= 1:
        error = ValueError if "dropout" in name else RuntimeError
        raise error(f"{name}: probability has to be between 0 and 1, but got {p}")


def _into(input: Tensor, y: Tensor, inplace: bool) -> Tensor:
    return y if not inplace or y is input else _fill(input, y, "dropout_") if not input._tracked else input.copy_(y)


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Each element is zeroed with probability p, the others scaled by 1 / (1 - p); the identity when not training.

    Only the generator's key is kept for the gradient, not the mask. ValueError: p outside [0, 1].
    Source: Srivastava et al. 2014.

    >>> mi.dropout(mi.ones(4), 0.5, False)
    tensor([1., 1., 1., 1.])
    """
    _check_p("dropout", p)
    if not training or p == 0:
        return input
    check_tensors("dropout", input)
    if p == 1 or input.numel() == 0:  # of integers, too
        return _into(input, _masked(input, zeros((), input.dtype, input)), inplace)
    return _into(
        input,
        keyed_dropout(input, _core.take_key(default_generator.on(input._device), input.numel(), input.dtype), p),
        inplace,
    )


def keyed_dropout(x: Tensor, key: Tensor, p: float) -> Tensor:
    return record(_core.dropout(x, key, p), DROPOUT, (x,), (key, p))


def _dropout_rule(g: Tensor, needs: Any, key: Tensor, p: float) -> Any:
    return (keyed_dropout(g, key, p),)  # linear: the gradient is the same mask


DROPOUT = op("dropout", _dropout_rule)


def _masked(x: Tensor, mask: Tensor) -> Tensor:
    """x times a mask that broadcasts; only the mask is kept for the gradient."""
    return record(_core.mul(x, mask), MASKED, (x,), (mask,))  # type: ignore[no-any-return]


MASKED = op("masked", lambda g, needs, mask: (_masked(g, mask),))


def _drop_channels(
    name: str, input: Tensor, p: float, training: bool, inplace: bool, unbatched: int | None = None
) -> Tensor:
    """One draw for each channel of (N, C, ...), or of (C, ...) where input has `unbatched` dimensions."""
    _check_p(name, p)
    if not training or p == 0:
        return input
    check_tensors(name, input)
    lead = 1 if input.ndim == unbatched else 2
    if input.ndim < 2 and p < 1:
        raise RuntimeError(f"{name}: expected at least 2 dimensions, got shape {input.shape}")
    shape = (*input.shape[:lead], *[1] * (input.ndim - lead))
    one = zeros(shape, input.dtype, input)
    _core.fill_(one, 1)
    return _into(input, _masked(input, dropout(one, p)), inplace)


def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Whole channels of (N, C, L) or (C, L) are dropped. RuntimeError: other shapes. Source: Tompson et al. 2015.

    >>> F.dropout1d(mi.ones(1, 2, 3), training=False)
    tensor([[[1., 1., 1.],
             [1., 1., 1.]]])
    """
    _check_p("dropout1d", p)
    check_tensors("dropout1d", input)
    if input.ndim not in (2, 3):
        raise RuntimeError(f"dropout1d: expected 2 or 3 dimensions, got shape {input.shape}")
    return _drop_channels("dropout1d", input, p, training, inplace, unbatched=2)


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Whole channels of (N, C, H, W) are dropped; a 3-D input is (N, C, L), as in PyTorch. Tompson et al. 2015.

    >>> F.dropout2d(mi.ones(1, 2, 3, 3), training=False).shape
    (1, 2, 3, 3)
    """
    return _drop_channels("dropout2d", input, p, training, inplace)


def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Whole channels of (N, C, D, H, W) or (C, D, H, W) are dropped. Source: Tompson et al. 2015.

    >>> F.dropout3d(mi.ones(1, 2, 3, 3, 3), training=False).shape
    (1, 2, 3, 3, 3)
    """
    return _drop_channels("dropout3d", input, p, training, inplace, unbatched=4)


_SELU_FLOOR = -1.7580993408473766  # -scale alpha of selu: what a very negative input gives


def _alpha(input: Tensor, p: float, keep: Tensor) -> Tensor:
    """Dropped elements become selu's floor; a x + b then restores mean 0 and variance 1 (Klambauer et al. 2017)."""
    if p == 1 or input.numel() == 0:
        return _masked(input, zeros((), input.dtype, input))
    if not input.dtype.is_floating_point:
        raise RuntimeError(f"alpha_dropout: expected a floating dtype, got {input.dtype}")
    a = ((1 - p) * (1 + p * _SELU_FLOOR**2)) ** -0.5
    k = keep.to(input.dtype)
    return (input * k + (1.0 - k) * _SELU_FLOOR) * a - a * p * _SELU_FLOOR


def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Dropout that keeps mean and variance of selu's outputs. Source: Klambauer et al. 2017.

    >>> F.alpha_dropout(mi.ones(3), 0.5)
    tensor([1., 1., 1.])
    """
    check_tensors("alpha_dropout", input)
    _check_p("alpha_dropout", p)
    if not training or p == 0:
        return input
    return _into(input, _alpha(input, p, rand_like(input, dtype=_uniform_dtype(input)) >= p), inplace)


def feature_alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """alpha_dropout of whole channels (N, C, ...).

    >>> F.feature_alpha_dropout(mi.ones(1, 2, 2), training=False)
    tensor([[[1., 1.],
             [1., 1.]]])
    """
    check_tensors("feature_alpha_dropout", input)
    _check_p("feature_alpha_dropout", p)
    if not training or p == 0:
        return input
    if input.ndim < 2:
        raise RuntimeError(f"feature_alpha_dropout: expected at least 2 dimensions, got shape {input.shape}")
    shape = (*input.shape[:2], *[1] * (input.ndim - 2))
    return _into(input, _alpha(input, p, rand(*shape, dtype=_uniform_dtype(input), device=input.device) >= p), inplace)


def _uniform_dtype(x: Tensor) -> DType:
    return dtypes.float64 if x.dtype is dtypes.float64 else dtypes.float32
