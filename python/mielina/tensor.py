"""`Tensor`: a strided array with a place on the tape. Its data and history live in C++ (csrc/bind/tensor.cpp); the
methods that are ops are attached by their pages (`@method` in ops/)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from . import _core, autograd, dtypes

F = TypeVar("F")


if TYPE_CHECKING:
    from ._methods import Methods  # TensorBase with the methods that ops/ attaches; a stub by tools/stubs.py
else:
    Methods = _core.TensorBase


class Tensor(Methods):
    """A multi-dimensional array of one dtype. Make one with `mi.tensor(data)`, `mi.zeros(...)`,
    `mi.from_numpy(array)`.
    """

    __slots__ = ()
    __array_priority__ = 1000  # ndarray * Tensor gives a Tensor
    __array_ufunc__ = None

    # ---- gradients ---------------------------------------------------------------------------------------------------
    @property
    def requires_grad(self) -> bool:
        return self._tracked  # type: ignore[no-any-return]

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Asks for (or declines) a gradient of this leaf. RuntimeError for integers and for results of ops."""
        if self._node is not None:
            if not requires_grad:
                raise RuntimeError(
                    "requires_grad can be turned off only for leaves; use detach() for a result of an op"
                )
            return self
        if requires_grad and not self.dtype.is_floating_point:
            raise RuntimeError(f"only floating tensors can require gradients, got {self.dtype}")
        self._leaf_flag = bool(requires_grad)
        return self

    @property
    def is_leaf(self) -> bool:
        return self._node is None

    @property
    def grad_fn(self) -> Any:
        """The node that made this tensor, or None for a leaf."""
        return self._node

    @property
    def grad(self) -> Tensor | None:
        """The accumulated gradient of a leaf, or None. Results of ops keep theirs only after `retain_grad()`."""
        return self._grad  # type: ignore[no-any-return]

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None:
            if not isinstance(value, Tensor):
                raise TypeError(f"grad: expected a Tensor or None, got {type(value).__name__}")
            if value.shape != self.shape:
                raise RuntimeError(f"grad: expected shape {self.shape}, got {value.shape}")
        self._grad = value

    def backward(
        self,
        gradient: Tensor | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Any = None,
    ) -> None:
        """Adds the gradient of this tensor (a number, unless `gradient` is given) to `.grad` of the leaves it came
        from.
        """
        autograd.backward(self, gradient, retain_graph, create_graph, inputs)

    def detach(self) -> Tensor:
        """The same memory without history."""
        return _core.alias(self)  # type: ignore[no-any-return]

    def detach_(self) -> Tensor:
        _core.forget_history(self)
        self._leaf_flag = False
        return self

    @property
    def data(self) -> Tensor:
        """The same memory without history; assigning replaces the memory."""
        return self.detach()

    @data.setter
    def data(self, value: Tensor) -> None:
        _core.rebind(self, value)

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> RemovableHandle:
        """Calls hook(gradient) when this tensor's gradient is known; a result that is not None replaces it."""
        if not self._tracked:
            raise RuntimeError("register_hook: the tensor does not require a gradient")
        node = self._node
        if node is None:
            return RemovableHandle(self._hooks("hooks"), hook)
        if node.hooks is None:
            node.hooks = {}
        return RemovableHandle(node.hooks, (self._index, hook))

    def register_post_accumulate_grad_hook(self, hook: Callable[[Tensor], None]) -> RemovableHandle:
        """Calls hook(tensor) after `.grad` of this leaf was updated."""
        if self._node is not None:
            raise RuntimeError("register_post_accumulate_grad_hook: only for leaves")
        return RemovableHandle(self._hooks("post_hooks"), hook)

    def _hooks(self, kind: str) -> dict[int, Any]:
        if self._extra is None:
            self._extra = {}
        return self._extra.setdefault(kind, {})  # type: ignore[no-any-return]

    def retain_grad(self) -> None:
        """Keeps `.grad` of a result of an op, too."""
        if self._node is not None:
            import weakref

            me = weakref.ref(self)

            def keep(g: Tensor) -> None:
                t = me()
                if t is not None:
                    t._grad = g if t._grad is None else t._grad + g

            self.register_hook(keep)

    # ---- shape and data ----------------------------------------------------------------------------------------------
    def size(self, dim: int | None = None) -> Any:
        return self.shape if dim is None else self.shape[dim]

    def dim(self) -> int:
        return self.ndim  # type: ignore[no-any-return]

    def numel(self) -> int:
        n = 1
        for s in self.shape:
            n *= s
        return n

    nelement = numel

    def stride(self, dim: int | None = None) -> Any:
        """Strides in elements."""
        return self._strides if dim is None else self._strides[dim]

    def storage_offset(self) -> int:
        return self._offset  # type: ignore[no-any-return]

    def data_ptr(self) -> int:
        return self._address  # type: ignore[no-any-return]

    def element_size(self) -> int:
        return self.dtype.itemsize  # type: ignore[no-any-return]

    def is_floating_point(self) -> bool:
        return self.dtype.is_floating_point  # type: ignore[no-any-return]

    @property
    def itemsize(self) -> int:
        return self.dtype.itemsize  # type: ignore[no-any-return]

    @property
    def nbytes(self) -> int:
        return self.numel() * self.dtype.itemsize  # type: ignore[no-any-return]

    @property
    def device(self) -> str:
        return "cpu" if self._device == 0 else f"cuda:{self._device - 1}"

    @property
    def is_cuda(self) -> bool:
        return bool(self._device)

    def cpu(self) -> Tensor:
        return self

    def cuda(self) -> Tensor:
        """The tensor on the first card. RuntimeError where there is none that can be used, with the reason."""
        return self.to("cuda")  # type: ignore[attr-defined, no-any-return]

    def item(self) -> Any:
        """The only element as a Python number. RuntimeError if there are more."""
        return _core.item(self)

    def numpy(self) -> np.ndarray:
        """The same memory as a NumPy array. RuntimeError while a gradient is required (detach first); TypeError for
        bfloat16.
        """
        if self._tracked:
            raise RuntimeError("numpy(): the tensor requires a gradient; use tensor.detach().numpy()")
        return _core.to_numpy(self)  # type: ignore[no-any-return]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        a = self.detach().numpy()
        if dtype is not None and a.dtype != dtype:
            return a.astype(dtype)
        return a.copy() if copy else a

    def tolist(self) -> Any:
        if self.ndim == 0:
            return self.item()
        t = self.detach()
        return (_core.convert(t, dtypes.float32) if t.dtype is dtypes.bfloat16 else t).numpy().tolist()

    # ---- Python protocols --------------------------------------------------------------------------------------------
    def __len__(self) -> int:
        if self.ndim == 0:
            raise TypeError("len() of a 0-dim tensor")
        return self.shape[0]  # type: ignore[no-any-return]

    def __bool__(self) -> bool:
        if self.numel() != 1:
            raise RuntimeError(
                "the truth value of a tensor with more than one element (or none) is ambiguous; use any() or all()"
            )
        return bool(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if self.dtype.is_floating_point:
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(self.item())

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        from .printing import tensor_repr

        return tensor_repr(self)

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if self.ndim == 0 and spec else str(self)

    def __reduce__(self) -> Any:
        if self._node is not None:
            raise RuntimeError("only leaves can be pickled or deep-copied; detach() the tensor first")
        plain = self.detach()
        raw = _core.contiguous(plain)
        if raw.dtype is dtypes.bfloat16:
            raw = _core.bit_view(raw, dtypes.int16)
        return _rebuild, (type(self), raw.numpy(), self.dtype, self._leaf_flag)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if self._node is not None:
            raise RuntimeError("only leaves can be deep-copied; detach() or clone() the tensor first")
        copy = type(self)(_core.clone(self))
        copy._leaf_flag = self._leaf_flag
        if self._grad is not None:
            copy._grad = self._grad.__deepcopy__(memo)
        memo[id(self)] = copy
        return copy


def _rebuild(cls: type[Tensor], array: np.ndarray, dtype: dtypes.dtype, requires_grad: bool) -> Tensor:
    t = _core.clone(_core.from_numpy(array))
    if t.dtype is not dtype:
        t = _core.bit_view(t, dtype)
    t = t if cls is Tensor else cls(t)
    t._leaf_flag = requires_grad
    return t


class RemovableHandle:
    """Removes a hook: `handle.remove()`, or at the end of a `with` block."""

    _next = 0

    def __init__(self, hooks: dict[int, Any], hook: Any) -> None:
        RemovableHandle._next += 1
        self.id = RemovableHandle._next
        self._hooks = hooks
        hooks[self.id] = hook

    def remove(self) -> None:
        self._hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


def method(function: F) -> F:
    """Makes a function of an ops page a method of Tensor, too."""
    setattr(Tensor, function.__name__, function)  # type: ignore[attr-defined]
    return function


def also_axis(function: F) -> F:
    """Lets a function of `dim` (and `keepdim`) take NumPy's `axis` (and `keepdims`), as all of PyTorch's do. Calls
    without keywords pay 0.05 us."""

    @functools.wraps(function)
    def renamed(*args: Any, **keywords: Any) -> Any:
        if keywords:
            if "axis" in keywords:
                keywords["dim"] = keywords.pop("axis")
            if "keepdims" in keywords:
                keywords["keepdim"] = keywords.pop("keepdims")
        return function(*args, **keywords)

    return renamed  # type: ignore[return-value]


def method_as(*names: str) -> Callable[[F], F]:
    """The same under other names: `@method_as("__add__")`."""

    def attach(function: F) -> F:
        for name in names:
            setattr(Tensor, name, function)
        return function

    return attach


_core.set_types(Tensor, dtypes.ALL)
