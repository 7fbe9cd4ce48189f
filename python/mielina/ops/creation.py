"""New tensors: from data, or filled."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _core, dtypes
from ..devices import number, of
from ..dtypes import dtype as DType
from ..tensor import Tensor, check_tensors, method

__all__ = [
    "arange", "as_tensor", "asarray", "empty", "empty_like", "eye", "from_dlpack", "from_numpy", "full", "full_like",
    "linspace", "logspace", "ones", "ones_like", "scalar_tensor", "tensor", "zeros", "zeros_like",
]  # fmt: skip


def shape_of(sizes: tuple[Any, ...], size: Any = None) -> Any:
    """The shape that was given as f(2, 3), f((2, 3)) or f(size=(2, 3))."""
    if size is not None:
        if sizes:
            raise TypeError("the size was given twice")
        return size if isinstance(size, (tuple, list)) else (size,)
    return sizes[0] if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else sizes


def made(t: Tensor, name: str, device: Any, requires_grad: bool) -> Tensor:
    """t as a creation function returns it: on the device that was asked for."""
    if device is not None and t._device != number(device):
        t = _core.to_device(t, number(device))
    return t.requires_grad_() if requires_grad else t


def _large(data: Any, dtype: DType | None) -> np.ndarray:
    """Python numbers beyond int64 as floats, if a floating dtype was asked for. Errors: what NumPy has no dtype for."""
    if data is None:
        raise RuntimeError("tensor: None has no dtype")
    numbers = [x for x in np.asarray(data, object).flat if isinstance(x, int)]
    if any(not -(1 << 63) <= x < 1 << 63 for x in numbers):
        if dtype is None or not dtype.is_floating_point:
            raise ValueError("tensor: an integer beyond 64 bits")
        return np.asarray(data, np.float64)
    raise TypeError("tensor: expected numbers, or nested lists of them")


def tensor(data: Any, *, dtype: DType | None = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A new tensor with a copy of `data`: a number, nested lists, a NumPy array or a tensor.

    Python floats give the default dtype, ints int64, bools bool, NumPy's numbers their own. TypeError for data without
    a tensor dtype. RuntimeError for Python numbers that an integer `dtype` cannot hold.

    >>> mi.tensor([[1, 2], [3, 4]])
    tensor([[1, 2],
            [3, 4]])
    >>> mi.tensor([1, 2], dtype=mi.float32, requires_grad=True)
    tensor([1., 2.], requires_grad=True)
    """
    dtype = dtypes.given(dtype)
    if isinstance(data, Tensor):
        t = _core.clone(data)
    else:
        a = np.asarray(data)
        plain = not isinstance(data, (np.ndarray, np.generic))
        if plain and a.dtype.char in "LQO":
            a = _large(data, dtype)
        if a.dtype.kind not in "fiub":
            dtypes.from_numpy(a.dtype)  # a TypeError that lists what there is
        if plain and dtype is not None and a.size and not dtype.is_floating_point and dtype is not dtypes.bool:
            _check_range(a, dtype)
        if a.dtype.char == "d" and a.dtype.isnative and plain and not _is_double(data):
            if not a.flags.c_contiguous:
                a = np.ascontiguousarray(a).reshape(a.shape)
            t = _core.convert(_core.from_numpy(a), dtype or dtypes.get_default_dtype())
        else:
            dtypes.from_numpy(a.dtype)
            t = _core.clone(_core.from_numpy(np.array(a, order="C", copy=True)))
    if dtype is not None and t.dtype is not dtype:
        t = _core.convert(t, dtype)
    if device is None and not isinstance(data, Tensor) and _core.current_device():
        device = of(_core.current_device())
    return made(t, "tensor", device, requires_grad)


def _is_double(data: Any) -> bool:
    """Whether NumPy's doubles are among nested data; Python's floats take the default dtype."""
    if isinstance(data, (list, tuple)):
        return any(_is_double(x) for x in data if type(x) is not float)
    return isinstance(data, (np.ndarray, np.generic)) and data.dtype == np.float64


def _check_range(a: np.ndarray, dtype: DType) -> None:
    """RuntimeError: a value that the integer dtype cannot hold; negative integers wrap in uint8, as in PyTorch."""
    limits = np.iinfo(dtype.name)
    lowest = -limits.max if dtype is dtypes.uint8 and a.dtype.kind in "iub" else limits.min
    if not (a.min() >= lowest and a.max() <= limits.max):  # written so that NaN fails
        raise RuntimeError(f"tensor: a value cannot be converted to {dtype} without overflow")


def _place(data: Any, device: Any) -> int:
    """The number of the device on which data becomes a tensor."""
    if device is not None:
        return number(device)
    return data._device if isinstance(data, Tensor) else _core.current_device()  # type: ignore[no-any-return]


def from_numpy(array: np.ndarray) -> Tensor:
    """A tensor on the array's own memory. TypeError: a dtype that tensors lack; ValueError: foreign byte order.

    >>> a = np.array([1, 2])
    >>> mi.from_numpy(a)[0] = 7
    >>> a
    array([7, 2])
    """
    return _core.from_numpy(array)  # type: ignore[no-any-return]


def as_tensor(data: Any, dtype: DType | None = None, device: Any = None) -> Tensor:
    """`data` as a tensor, sharing memory where it can.

    >>> a = np.zeros(2, np.float32)
    >>> mi.as_tensor(a)[0] = 5
    >>> a
    array([5., 0.], dtype=float32)
    """
    if device is not None:
        return as_tensor(data, dtype).to(device)
    if isinstance(data, Tensor):
        t = data
    elif isinstance(data, np.ndarray):
        t = from_numpy(data if data.flags.aligned else data.copy())
    else:
        return tensor(data, dtype=dtype, device=device)
    place = _place(data, device)
    if place != t._device:
        from .elementwise.conversion import moved

        t = moved(t, place)
    return t if dtype is None or t.dtype is dtype else t.to(dtype)


asarray = as_tensor


def empty(
    *sizes: Any,
    size: Any = None,
    dtype: DType | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """A new tensor with undefined contents.

    >>> mi.empty(2, 3).shape
    (2, 3)
    """
    t = _core.empty(shape_of(sizes, size), dtype or dtypes.get_default_dtype())
    return made(t, "empty", device, requires_grad)


def empty_like(
    input: Tensor,
    *,
    dtype: DType | None = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """A new tensor with input's shape, dtype and stride order (or memory_format's), and undefined contents.

    >>> mi.empty_like(mi.ones(2, 3)).shape
    (2, 3)
    """
    check_tensors("empty_like", input)
    t = _core.empty_like(input, dtype or input.dtype)
    if memory_format is not None:
        from .layout import contiguous

        t = contiguous(t, memory_format=memory_format)
    return made(t, "empty_like", device, requires_grad)


def scalar_tensor(s: Any, *, dtype: DType | None = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A number as a 0-dim tensor of the default dtype.

    >>> mi.scalar_tensor(2)
    tensor(2.)
    """
    return full((), s, dtype=dtype or dtypes.get_default_dtype(), device=device, requires_grad=requires_grad)


def _kind(value: Any) -> DType:
    """The dtype that a number asks for."""
    if isinstance(value, Tensor):
        return value.dtype  # type: ignore[no-any-return]
    if isinstance(value, np.generic):
        return dtypes.from_numpy(value.dtype)
    if isinstance(value, bool):
        return dtypes.bool
    return dtypes.int64 if isinstance(value, int) else dtypes.get_default_dtype()


def full(
    size: Any, fill_value: Any, *, dtype: DType | None = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """A new tensor filled with one number, whose kind gives the dtype unless `dtype` does.

    RuntimeError: a number beyond the dtype's range.

    >>> mi.full((2, 2), 7)
    tensor([[7, 7],
            [7, 7]])
    """
    if not isinstance(size, (tuple, list)):
        raise TypeError(f"full: expected a tuple or list as size, got {type(size).__name__}")
    t = _core.empty(size, dtype or _kind(fill_value))
    _core.fill_(t, _number(fill_value))
    return made(t, "full", device, requires_grad)


def full_like(input: Tensor, fill_value: Any, *, dtype: DType | None = None, **keywords: Any) -> Tensor:
    """A tensor like input (shape, dtype, stride order), filled with one number. Keywords as for empty_like.

    >>> mi.full_like(mi.ones(2), 7)
    tensor([7., 7.])
    """
    t = empty_like(input, dtype=dtype, **keywords)
    _core.fill_(t, _number(fill_value))
    return t


def zeros(*sizes: Any, size: Any = None, dtype: DType | None = None, **keywords: Any) -> Tensor:
    """A new tensor of zeros: zeros(2, 3), zeros((2, 3)) or zeros(size=(2, 3)). Keywords as for full.

    >>> mi.zeros(2, 3)
    tensor([[0., 0., 0.],
            [0., 0., 0.]])
    """
    return full(shape_of(sizes, size), 0, dtype=dtype or dtypes.get_default_dtype(), **keywords)


def zeros_like(input: Tensor, *, dtype: DType | None = None, **keywords: Any) -> Tensor:
    """Zeros like input: shape, dtype, stride order. Keywords as for empty_like.

    >>> mi.zeros_like(mi.tensor([1, 2]))
    tensor([0, 0])
    """
    return full_like(input, 0, dtype=dtype, **keywords)


def ones(*sizes: Any, size: Any = None, dtype: DType | None = None, **keywords: Any) -> Tensor:
    """A new tensor of ones: ones(2, 3), ones((2, 3)) or ones(size=(2, 3)). Keywords as for full.

    >>> mi.ones(3)
    tensor([1., 1., 1.])
    """
    return full(shape_of(sizes, size), 1, dtype=dtype or dtypes.get_default_dtype(), **keywords)


def ones_like(input: Tensor, *, dtype: DType | None = None, **keywords: Any) -> Tensor:
    """Ones like input: shape, dtype, stride order. Keywords as for empty_like.

    >>> mi.ones_like(mi.tensor([1, 2]))
    tensor([1, 1])
    """
    return full_like(input, 1, dtype=dtype, **keywords)


# ---- sequences -------------------------------------------------------------------------------------------------------
def _number(x: Any) -> Any:
    return x.item() if isinstance(x, (Tensor, np.generic)) else x


_MISSING = object()


def arange(
    start: Any = _MISSING,
    end: Any = _MISSING,
    step: Any = 1,
    *,
    dtype: DType | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """start, start + step, ... below end: arange(end), arange(start, end) or arange(start, end, step).

    int64 if all three are integers, else the default dtype. RuntimeError: step 0, or of the wrong sign.

    >>> mi.arange(5)
    tensor([0, 1, 2, 3, 4])
    >>> mi.arange(1, 2, 0.25)
    tensor([1.0000, 1.2500, 1.5000, 1.7500])
    """
    if end is _MISSING:
        start, end = 0, start
    elif start is _MISSING:
        start = 0
    start, end, step = _number(start), _number(end), _number(step)
    for x in (start, end, step):
        if not isinstance(x, (int, float)):
            raise TypeError(f"arange: expected numbers, got {'nothing' if x is _MISSING else type(x).__name__}")
    if dtype is None:
        whole = isinstance(start, int) and isinstance(end, int) and isinstance(step, int)
        dtype = dtypes.int64 if whole else dtypes.get_default_dtype()
    return made(_core.arange(start, end, step, dtype), "arange", device, requires_grad)


def linspace(
    start: Any,
    end: Any,
    steps: int,
    *,
    dtype: DType | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """`steps` numbers at equal distances from start to end, both included. RuntimeError: steps is negative.

    >>> mi.linspace(0, 1, 5)
    tensor([0.0000, 0.2500, 0.5000, 0.7500, 1.0000])
    """
    t = _core.linspace(float(_number(start)), float(_number(end)), steps, dtype or dtypes.get_default_dtype())
    return made(t, "linspace", device, requires_grad)


def logspace(
    start: Any,
    end: Any,
    steps: int,
    base: float = 10.0,
    *,
    dtype: DType | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """base ** linspace(start, end, steps), computed in float64.

    >>> mi.logspace(0, 2, 3)
    tensor([  1.,  10., 100.])
    """
    from .elementwise import pow

    t = _core.convert(
        pow(float(base), linspace(start, end, steps, dtype=dtypes.float64, device=device)),
        dtype or dtypes.get_default_dtype(),
    )
    return made(t, "logspace", device, requires_grad)


def eye(
    n: int,
    m: int | None = None,
    *,
    dtype: DType | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """(n, m) with ones on the diagonal, zeros elsewhere; square without m. RuntimeError: negative sizes.

    >>> mi.eye(2)
    tensor([[1., 0.],
            [0., 1.]])
    """
    for k in (n, m):
        if k is not None and not hasattr(k, "__index__"):
            raise TypeError(f"eye: expected integers as sizes, got {type(k).__name__}")
    if n < 0 or (m is not None and m < 0):
        raise RuntimeError(f"eye: sizes must be greater or equal to 0, got {n} and {m}")
    t = zeros(n, n if m is None else m, dtype=dtype, device=device)
    _core.fill_(_core.diagonal(t, 0, 0, 1), 1)
    return made(t, "eye", device, requires_grad)


# ---- like this tensor ------------------------------------------------------------------------------------------------
def _new(name: str, make: Any) -> None:
    def function(
        self: Tensor,
        *args: Any,
        dtype: DType | None = None,
        device: Any = None,
        requires_grad: bool = False,
        **kwargs: Any,
    ) -> Tensor:
        device = self.device if device is None else device
        return make(*args, dtype=dtype or self.dtype, device=device, requires_grad=requires_grad, **kwargs)  # type: ignore[no-any-return]

    function.__name__ = function.__qualname__ = f"new_{name}"
    function.__doc__ = f"`mielina.{name}` with this tensor's dtype and device, unless others are given."
    method(function)


for _name, _make in (("zeros", zeros), ("ones", ones), ("full", full), ("empty", empty), ("tensor", tensor)):
    _new(_name, _make)


# ---- DLPack ----------------------------------------------------------------------------------------------------------
def from_dlpack(ext_tensor: Any) -> Tensor:
    """A tensor on the memory of another library's array, which offers `__dlpack__`; or of a DLPack capsule.

    BufferError: memory or a dtype that tensors do not have. Read-only memory stays so.

    >>> mi.from_dlpack(np.arange(3))
    tensor([0, 1, 2])
    """
    if not hasattr(ext_tensor, "__dlpack__"):
        return _core.from_capsule(ext_tensor)  # type: ignore[no-any-return]
    stream: dict[str, Any] = {}
    kind, index = ext_tensor.__dlpack_device__() if hasattr(ext_tensor, "__dlpack_device__") else (1, 0)
    if kind == 2:  # what is still being computed there is ready for our stream
        number(f"cuda:{index}")
        stream["stream"] = _core.stream_current(index)
    try:
        capsule = ext_tensor.__dlpack__(max_version=(1, 0), **stream)
    except TypeError:  # a producer from before version 1.0
        capsule = ext_tensor.__dlpack__(**stream)
    return _core.from_capsule(capsule)  # type: ignore[no-any-return]


@method
def __dlpack__(
    self: Tensor,
    *,
    stream: Any = None,
    max_version: tuple[int, int] | None = None,
    dl_device: tuple[int, int] | None = None,
    copy: bool | None = None,
) -> Any:
    """A DLPack capsule of this tensor's memory: of version 1.0 if the consumer knows it, else unversioned.

    BufferError: the tensor requires a gradient, or another device was asked for.
    """
    if self._tracked:
        raise BufferError("__dlpack__: the tensor requires a gradient; use tensor.detach()")
    if stream is not None and stream != -1 and not self._device:
        raise BufferError("__dlpack__: CPU memory has no stream")
    if self._device and stream not in (None, -1, 1):  # our streams and the legacy default one (1) wait for each other
        _core.stream_synchronize(self._device - 1, _core.stream_current(self._device - 1))
    if dl_device is not None and tuple(dl_device) != self.__dlpack_device__():
        raise BufferError(f"__dlpack__: the tensor is on device {self.__dlpack_device__()}, not on {tuple(dl_device)}")
    return _core.to_dlpack(
        _core.clone(self) if copy else self, max_version is not None and max_version[0] >= 1, bool(copy)
    )


@method
def __dlpack_device__(self: Tensor) -> tuple[int, int]:
    """(device type, number): (1, 0) for the CPU, (2, k) for card k."""
    return (1, 0) if self._device == 0 else (2, self._device - 1)
