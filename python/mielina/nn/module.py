"""`Module`: what layers and networks are made of.

A module's parameters, buffers and children are plain attributes; which is which is read off their types (and, for
buffers, a table of names). So there is one truth, and `self.weight` in a forward pass costs a plain attribute.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from .. import devices, dtypes
from ..ops.layout.memory import preserve_format
from ..tensor import Tensor
from . import text
from .hooks import Hookable
from .parameter import Buffer, Parameter
from .state import Stateful


class _Elsewhere:
    """A name of Keras' models that is a function here."""

    def __init__(self, call: str) -> None:
        self.call = call

    def __set_name__(self, owner: Any, name: str) -> None:
        self.name = name

    def __get__(self, module: Any, owner: Any) -> Any:
        raise AttributeError(f"a Module has no {self.name}: use mi.{self.call}")


class Module(Stateful, Hookable):
    """Base class of all layers. Subclasses set parameters and children in `__init__` and compute in `forward`.

    >>> class Twice(nn.Module):
    ...     def forward(self, x):
    ...         return 2 * x
    >>> Twice()(mi.tensor([1.0]))
    tensor([2.])
    """

    training = True
    _frozen = False  # by freeze(): of norms with running statistics
    _buffer_names: Mapping[str, bool] = MappingProxyType(
        {}
    )  # name -> persistent; an own dict once a buffer is registered

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.__module__.startswith(__package__) and "__init__" in cls.__dict__:
            cls.__init__ = devices.constructor(cls.__init__)  # type: ignore[method-assign]

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes: for subclasses to define. Call the module itself, which also runs the hooks."""
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            if self._hooks is None:
                return self.forward(*args, **kwargs)
            return self._hooks.call(self, args, kwargs)
        except Exception as error:
            text.blame(self, error)
            raise

    # ---- registration ------------------------------------------------------------------------------------------------
    def __setattr__(self, name: str, value: Any) -> None:
        old = self.__dict__.get(name)
        if isinstance(old, (Tensor, Module)) or name in self._buffer_names:
            self._replace(name, old, value)
        if isinstance(value, Buffer):
            self._declare_buffer(name, value.persistent)
        object.__setattr__(self, name, value)

    def _replace(self, name: str, old: Any, value: Any) -> None:
        """What may follow what under one name. A thing of another kind goes to the end of its kind's order."""
        if value is None:
            return
        kind: Any = Module if isinstance(old, Module) else Parameter if isinstance(old, Parameter) else Tensor
        if isinstance(value, kind) and (kind is not Tensor or not isinstance(value, Parameter)):
            return
        if kind is Parameter or not isinstance(value, (Parameter, Module)):
            what = {Module: "child module", Parameter: "parameter"}.get(kind, "buffer")
            if what != "buffer" or name in self._buffer_names:
                raise TypeError(
                    f"cannot assign a {type(value).__name__} as {what} '{name}' (nn.{kind.__name__} or None expected)"
                )
        delattr(self, name)

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)
        if name in self._buffer_names:
            del self._buffer_names[name]  # type: ignore[attr-defined]

    def _declare_buffer(self, name: str, persistent: bool) -> None:
        if "_buffer_names" not in self.__dict__:
            object.__setattr__(self, "_buffer_names", {})
        self._buffer_names[name] = persistent  # type: ignore[index]

    def _check_name(self, name: str, kind: str) -> None:
        if not isinstance(name, str):
            raise TypeError(f"{kind} name should be a string. Got {type(name).__name__}")
        if "." in name or name == "":
            raise KeyError(f'{kind} name can\'t be empty or contain ".", got: "{name}"')
        old = self.__dict__.get(name, "")
        same = {"parameter": isinstance(old, Parameter), "module": isinstance(old, Module)}
        if hasattr(self, name) and not (old is None or same.get(kind, name in self._buffer_names)):
            raise KeyError(f"attribute '{name}' already exists")

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Adds a tensor to the state; one that is not persistent stays out of the state dict."""
        self._check_name(name, "buffer")
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign '{type(tensor).__name__}' object to buffer '{name}' (Tensor or None required)"
            )
        object.__setattr__(self, name, tensor)
        self._declare_buffer(name, persistent)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Sets the attribute `name` to a Parameter (or None). KeyError: a name that is taken, empty or has a dot."""
        self._check_name(name, "parameter")
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{type(param).__name__}' object to parameter '{name}' (nn.Parameter or None required)"
            )
        setattr(self, name, param)

    def add_module(self, name: str, module: Module | None) -> None:
        """Sets the attribute `name` to a child module (or None). KeyError: a name that is taken, empty or has a dot."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{type(module).__name__} is not a Module subclass")
        self._check_name(name, "module")
        setattr(self, name, module)

    register_module = add_module

    # ---- changes of all tensors --------------------------------------------------------------------------------------
    def apply(self, fn: Callable[[Module], Any]) -> Module:
        """Calls fn on every module, children first. Returns self."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def _apply(self, fn: Callable[[Tensor], Tensor]) -> Module:
        """Gives every parameter, gradient and buffer the memory of fn(it); parameters stay the same objects."""
        for x in [*self.parameters(), *self.buffers()]:
            if x._grad is not None:
                x._grad = fn(x._grad.detach())
            x.data = fn(x.detach())
        return self

    def to(
        self,
        *args: Any,
        dtype: Any = None,
        device: Any = None,
        non_blocking: bool = False,
        memory_format: Any = preserve_format,
    ) -> Module:
        """Moves parameters and buffers to a device and converts the floating ones to a dtype; a tensor names both.

        memory_format=mi.channels_last puts those of four dimensions in that order (channels_last_3d: of five), so that
        convolutions read their filters along the channels and give channels-last images. Returns self. RuntimeError:
        no such device, with the reason.
        """
        for a in args:
            if isinstance(a, Tensor):
                dtype, device = a.dtype, a.device
            elif isinstance(a, dtypes.dtype):
                dtype = a
            elif a is not None and not isinstance(a, bool):
                device = a
        place = None if device is None else devices.number(device)
        dtype = dtypes.given(dtype)
        if dtype is not None and not dtype.is_floating_point:
            raise TypeError(f"nn.Module.to only accepts floating point dtypes, but got desired dtype={dtype}")
        order = memory_format.order
        if place is None and dtype is None and memory_format is preserve_format:
            return self
        return self._apply(
            lambda x: x.to(
                dtype=dtype if x.dtype.is_floating_point else None,
                device=None if place is None else devices.of(place),
                memory_format=memory_format if order is None or len(order) == x.ndim else preserve_format,
            )
        )

    def type(self, dst_type: Any) -> Module:
        """Parameters and buffers in another dtype; returns the module."""
        return self.to(dst_type)

    def to_empty(self, *, device: Any = None, recurse: bool = True) -> Module:
        """For code that makes modules without memory: here they have theirs."""
        return self.to(device)

    def share_memory(self) -> Module:
        """Threads share all memory; processes would need a copy in a file."""
        return self

    def cpu(self) -> Module:
        """All parameters and buffers on the CPU; returns the module."""
        return self.to("cpu")

    def cuda(self, device: Any = None) -> Module:
        """Moves parameters and buffers to a card (default: the current one). Returns self.

        RuntimeError where there is none that can be used, with the reason.
        """
        return self.to("cuda" if device is None else device)

    def float(self) -> Module:
        """Parameters and floating buffers as float32; returns the module."""
        return self.to(dtypes.float32)

    def double(self) -> Module:
        """Parameters and floating buffers as float64; returns the module."""
        return self.to(dtypes.float64)

    def half(self) -> Module:
        """Parameters and floating buffers as float16; returns the module."""
        return self.to(dtypes.float16)

    def bfloat16(self) -> Module:
        """Parameters and floating buffers as bfloat16; returns the module."""
        return self.to(dtypes.bfloat16)

    def train(self, mode: bool = True) -> Module:
        """Training mode (dropout on, batch statistics) for this module and all below. Returns self."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        for module in self.modules():
            module.training = mode and not module._frozen
        return self

    def eval(self) -> Module:
        """`train(False)`: dropout passes everything, batch norm uses its running statistics."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Module:
        """Asks for (or declines) gradients of all parameters; returns the module."""
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def freeze(self, frozen: bool = True) -> Module:
        """Declines gradients of all parameters and holds batch norm in inference mode, also under `train()`: its
        running statistics stay as they are. Returns the module. freeze(False) undoes it, in the module's mode.

        >>> net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).freeze().train()
        >>> net[1].training, net[0].weight.requires_grad
        (False, False)
        """
        self.requires_grad_(not frozen)
        mode = self.training
        for module in self.modules():
            if getattr(module, "track_running_stats", False):
                module._frozen = frozen
                module.training = mode and not frozen
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets the gradients of all parameters, or with set_to_none=False fills them with 0."""
        for p in self.parameters():
            p._grad = None if set_to_none or p._grad is None else p._grad.detach() * 0

    fit = _Elsewhere("fit(model, X, y)")
    evaluate = _Elsewhere("evaluate(model, X, y)")
    predict = _Elsewhere("predict(model, X)")
    compile = _Elsewhere("fit(model, X, y, loss=..., optimizer=..., metrics=...)")

    # ---- text --------------------------------------------------------------------------------------------------------
    def _get_name(self) -> str:
        return type(self).__name__

    def extra_repr(self) -> str:
        """What stands between the brackets of the repr."""
        return ""

    def summary(self, input_shape: Any, dtype: Any = None) -> Any:
        """Prints layers, output shapes, parameters, multiply-adds and memory for one sample, and returns them as an
        object. input_shape: without the batch, as (3, 224, 224); dtype: of the input (default: the parameters').
        ValueError: no such shape.

        >>> nn.Linear(3, 2).summary((3,)).multiply_adds
        Linear
        --------------------------------------------------------
        layer    type    output shape  parameters  multiply-adds
        --------------------------------------------------------
        (model)  Linear  (N, 2)                 8              6
        --------------------------------------------------------
        parameters: 8 (8 trainable), 32 bytes
        multiply-adds: 6 (6) a sample
        outputs of layers: 8 bytes a sample
        6
        """
        from .summary import summary

        found = summary(self, input_shape, dtype)
        print(found)
        return found

    def __repr__(self) -> str:
        return text.text(self)
