"""`Tensor`: a strided array with a place on the tape. Its data and history live in C++ (csrc/bind/tensor.cpp); the
methods that are ops are attached by their pages (`@method` in ops/)."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from . import _core, autograd, devices, dtypes

F = TypeVar("F")
C = TypeVar("C", bound=Callable[..., Any])

# NumPy's functions behind the operators: those that an array calls when a tensor is on the other side.
_OPERATORS: dict[Any, Callable[..., Any]] = {
    np.add: operator.add,
    np.subtract: operator.sub,
    np.multiply: operator.mul,
    np.true_divide: operator.truediv,
    np.floor_divide: operator.floordiv,
    np.remainder: operator.mod,
    np.power: operator.pow,
    np.matmul: operator.matmul,
    np.bitwise_and: operator.and_,
    np.bitwise_or: operator.or_,
    np.bitwise_xor: operator.xor,
    np.left_shift: operator.lshift,
    np.right_shift: operator.rshift,
    np.less: operator.lt,
    np.less_equal: operator.le,
    np.greater: operator.gt,
    np.greater_equal: operator.ge,
    np.equal: operator.eq,
    np.not_equal: operator.ne,
}


if TYPE_CHECKING:
    from ._methods import Methods  # TensorBase with the methods that ops/ attaches; a stub by tools/stubs.py
else:
    Methods = _core.TensorBase


check_tensors = _core.check_tensors


class Tensor(Methods):
    """A multi-dimensional array of one dtype. Make one with `mi.tensor(data)`, `mi.zeros(...)`,
    `mi.from_numpy(array)`.
    """

    __slots__ = ()
    __array_priority__ = 1000  # ndarray * Tensor gives a Tensor

    # ---- gradients ---------------------------------------------------------------------------------------------------
    @property
    def requires_grad(self) -> bool:
        """Whether backward gives this tensor a gradient. Assigning is `requires_grad_`."""
        return self._tracked  # type: ignore[no-any-return]

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Asks for (or declines) a gradient of this leaf. RuntimeError for integers and for results of ops.

        >>> mi.zeros(2).requires_grad_().requires_grad
        True
        """
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
        """Whether no recorded op made this tensor."""
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
            if value._device != self._device:
                raise RuntimeError(f"grad: expected a gradient on {self.device}, got one on {value.device}")
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

        >>> x = mi.tensor([3.0], requires_grad=True)
        >>> (x * x).sum().backward()
        >>> x.grad
        tensor([6.])
        """
        autograd.backward(self, gradient, retain_graph, create_graph, inputs)

    def detach(self) -> Tensor:
        """The same memory without history.

        >>> mi.tensor([1.0], requires_grad=True).detach().requires_grad
        False
        """
        return _core.alias(self)  # type: ignore[no-any-return]

    def detach_(self) -> Tensor:
        """Drops the history of this tensor, in place."""
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
        hooks = self._gradient_hooks()
        handle = RemovableHandle(hooks, (self._index, hook))
        for key in [k for k in hooks if k < 0]:  # retain_grad sees what all hooks made of the gradient
            hooks[key] = hooks.pop(key)
        return handle

    def register_post_accumulate_grad_hook(self, hook: Callable[[Tensor], None]) -> RemovableHandle:
        """Calls hook(tensor) after `.grad` of this leaf was updated."""
        if self._node is not None:
            raise RuntimeError("register_post_accumulate_grad_hook: only for leaves")
        return RemovableHandle(self._hooks("post_hooks"), hook)

    def _hooks(self, kind: str) -> dict[int, Any]:
        if self._extra is None:
            self._extra = {}
        return self._extra.setdefault(kind, {})  # type: ignore[no-any-return]

    def _gradient_hooks(self) -> dict[int, tuple[int, Any]]:
        """number -> (output of the node, hook) of the place where this tensor's gradient is collected."""
        node = self._node
        if node is None:
            return self._hooks("hooks")
        if node.hooks is None:
            node.hooks = {}
        return node.hooks  # type: ignore[no-any-return]

    def retain_grad(self) -> None:
        """Keeps `.grad` of a result of an op, too."""
        if not self._tracked:
            raise RuntimeError("retain_grad: the tensor does not require a gradient")
        if self._node is None or self.retains_grad:
            return
        import weakref

        me = weakref.ref(self)

        def keep(g: Tensor) -> None:
            t = me()
            if t is not None:
                t._grad = g if t._grad is None else t._grad + g

        self._gradient_hooks()[-1 - self._index] = (self._index, keep)

    @property
    def retains_grad(self) -> bool:
        """Whether `.grad` of this result of an op is kept."""
        return self._node is not None and -1 - self._index in (self._node.hooks or ())

    # ---- shape and data ----------------------------------------------------------------------------------------------
    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size along `dim`. IndexError: `dim` out of range.

        >>> mi.zeros(2, 3).size(1)
        3
        """
        return self.shape if dim is None else self.shape[dim]

    def dim(self) -> int:
        """The number of dimensions."""
        return self.ndim  # type: ignore[no-any-return]

    def numel(self) -> int:
        """The number of elements.

        >>> mi.zeros(2, 3).numel()
        6
        """
        n = 1
        for s in self.shape:
            n *= s
        return n

    nelement = numel

    def stride(self, dim: int | None = None) -> Any:
        """Strides in elements.

        >>> mi.zeros(2, 3).stride()
        (3, 1)
        """
        return self._strides if dim is None else self._strides[dim]

    def storage_offset(self) -> int:
        """Where the first element lies in the storage, in elements."""
        return self._offset  # type: ignore[no-any-return]

    def data_ptr(self) -> int:
        """The address of the first element."""
        return self._address  # type: ignore[no-any-return]

    def element_size(self) -> int:
        """Bytes an element."""
        return self.dtype.itemsize  # type: ignore[no-any-return]

    def is_floating_point(self) -> bool:
        """Whether the dtype is float32, float64, float16 or bfloat16."""
        return self.dtype.is_floating_point  # type: ignore[no-any-return]

    @property
    def itemsize(self) -> int:
        """Bytes an element."""
        return self.dtype.itemsize  # type: ignore[no-any-return]

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self.numel() * self.dtype.itemsize  # type: ignore[no-any-return]

    @property
    def device(self) -> devices.device:
        """Where the elements lie: the CPU or a card."""
        return devices.of(self._device)

    @property
    def is_cuda(self) -> bool:
        """Whether the elements lie on a card."""
        return bool(self._device)

    @property
    def is_cpu(self) -> bool:
        """Whether the elements lie in the CPU's memory."""
        return not self._device

    def get_device(self) -> int:
        """The card's number; -1 on the CPU."""
        return self._device - 1  # type: ignore[no-any-return]

    def cpu(self) -> Tensor:
        """The tensor in the host's memory; itself if it is there."""
        return self.to("cpu") if self._device else self  # type: ignore[attr-defined, no-any-return]

    def cuda(self, device: Any = None, non_blocking: bool = False) -> Tensor:
        """The tensor on a card (default: the current one). RuntimeError with the reason where there is none to use."""
        return self.to("cuda" if device is None else device)  # type: ignore[attr-defined, no-any-return]

    def item(self) -> Any:
        """The only element as a Python number. RuntimeError if there are more.

        >>> mi.tensor(3.5).item()
        3.5
        """
        return _core.item(self)

    def numpy(self) -> np.ndarray:
        """The same memory as a NumPy array. RuntimeError while a gradient is required (detach first); TypeError for
        bfloat16, and on a card (copy with `cpu()` first).

        >>> mi.tensor([1.0, 2.0]).numpy()
        array([1., 2.], dtype=float32)
        """
        if self._tracked:
            raise RuntimeError("numpy(): the tensor requires a gradient; use tensor.detach().numpy()")
        return _core.to_numpy(self)  # type: ignore[no-any-return]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        a = self.detach().numpy()  # PyTorch's rule: nobody copies from a card without saying so
        if dtype is not None and a.dtype != dtype:
            return a.astype(dtype)
        return a.copy() if copy else a

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """`ndarray + tensor` is our op, with gradients; other functions of NumPy compute on the memory and give a
        tensor.

        RuntimeError: such a function of a tensor that requires a gradient.
        """
        function = _OPERATORS.get(ufunc) if method == "__call__" and not kwargs else None
        if function is not None:
            from .ops.elementwise import operand

            return function(*map(operand, inputs))
        if any(isinstance(x, Tensor) for x in kwargs.get("out", ())):
            return NotImplemented
        arrays = [x.numpy() if isinstance(x, Tensor) else x for x in inputs]
        found = getattr(ufunc, method)(*arrays, **kwargs)
        return found if found is None or "out" in kwargs else _core.from_numpy(np.asarray(found))

    def tolist(self) -> Any:
        """The elements as nested Python lists; of a 0-dim tensor, the number.

        >>> mi.tensor([[1, 2], [3, 4]]).tolist()
        [[1, 2], [3, 4]]
        """
        if self.ndim == 0:
            return self.item()
        t = _core.to_device(self.detach(), 0)
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

    def _number(self) -> Any:
        if self.numel() != 1:
            raise ValueError(f"only tensors of one element can be converted to Python numbers, got shape {self.shape}")
        return self.item()

    def __float__(self) -> float:
        return float(self._number())

    def __int__(self) -> int:
        return int(self._number())

    def __complex__(self) -> complex:
        return complex(self._number())

    def __index__(self) -> int:
        if self.dtype.is_floating_point or self.numel() != 1:
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(self.item())

    __hash__ = object.__hash__  # by identity, without a Python call: optimisers look up a state a parameter

    def __reversed__(self) -> Tensor:
        """Flipped along all dimensions."""
        return self.flip(tuple(range(self.ndim))) if self.ndim else self

    def __repr__(self) -> str:
        from .printing import tensor_repr

        return tensor_repr(self)

    def __format__(self, spec: str) -> str:
        if self.ndim == 0:
            return format(self.item(), spec)
        if spec:
            raise TypeError(f"format {spec!r} is for a single number; the tensor has shape {self.shape}")
        return str(self)

    def __reduce__(self) -> Any:
        if self._node is not None:
            raise RuntimeError("only leaves can be pickled or deep-copied; detach() the tensor first")
        plain = self.detach()
        raw = _core.contiguous(plain)
        if raw.dtype is dtypes.bfloat16:
            raw = _core.bit_view(raw, dtypes.int16)
        array = _core.to_device(raw, 0).numpy()
        if not self._device:
            return _rebuild, (type(self), array, self.dtype, self._leaf_flag)
        return _rebuild, (type(self), array, self.dtype, self._leaf_flag, str(self.device))

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if self._node is not None:
            raise RuntimeError("only leaves can be deep-copied; detach() or clone() the tensor first")
        copy = type(self)(_core.clone(self))
        copy._leaf_flag = self._leaf_flag
        if self._grad is not None:
            copy._grad = self._grad.__deepcopy__(memo)
        memo[id(self)] = copy
        return copy


def _rebuild(
    cls: type[Tensor], array: np.ndarray, dtype: dtypes.dtype, requires_grad: bool, device: str = "cpu"
) -> Tensor:
    t = _core.clone(_core.from_numpy(array))
    if device != "cpu":
        t = _core.to_device(t, devices.number(device))
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


def also_axis(function: C) -> C:
    """Lets a function of `dim` (and `keepdim`) take NumPy's `axis` (and `keepdims`), as all of PyTorch's do."""

    call: Any = function

    @functools.wraps(call)
    def renamed(*args: Any, **keywords: Any) -> Any:
        if keywords:
            if "axis" in keywords:
                keywords["dim"] = keywords.pop("axis")
            if "keepdims" in keywords:
                keywords["keepdim"] = keywords.pop("keepdims")
        return call(*args, **keywords)

    return renamed  # type: ignore[return-value]


def method_as(*names: str) -> Callable[[F], F]:
    """The same under other names: `@method_as("__add__")`."""

    def attach(function: F) -> F:
        for name in names:
            setattr(Tensor, name, function)
        return function

    return attach


_core.set_types(Tensor, dtypes.ALL)
