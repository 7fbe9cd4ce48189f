"""The tree of modules: what is inside one, and under which name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..tensor import Tensor
from .parameter import Parameter

if TYPE_CHECKING:
    from .module import Module


class Registry(dict[str, Any]):
    """A module's parameters, buffers or children by name: made when asked for; what is written to it is written to the
    module.
    """

    def __init__(self, owner: Any, items: Mapping[str, Any], register: Callable[[str, Any], None]) -> None:
        super().__init__(items)
        self._owner = owner
        self._register = register

    def __setitem__(self, name: str, value: Any) -> None:
        if name in self:
            setattr(self._owner, name, value)
        else:
            self._register(name, value)
        super().__setitem__(name, value)

    def __delitem__(self, name: str) -> None:
        super().__delitem__(name)
        delattr(self._owner, name)

    def pop(self, name: str, *default: Any) -> Any:
        if name in self:
            delattr(self._owner, name)
        return super().pop(name, *default)

    def __reduce__(self) -> Any:
        return dict, (dict(self),)


class Tree:
    """Base of Module: a node whose attributes are its parameters, buffers and children."""

    _buffer_names: Mapping[str, bool]

    if TYPE_CHECKING:
        register_parameter: Any
        register_buffer: Any
        add_module: Any

    @property
    def _parameters(self) -> Registry:
        found = {k: v for k, v in self.__dict__.items() if isinstance(v, Parameter)}
        return Registry(self, found, self.register_parameter)

    @property
    def _buffers(self) -> Registry:
        return Registry(self, {name: getattr(self, name) for name in self._buffer_names}, self.register_buffer)

    @property
    def _modules(self) -> Registry:
        return Registry(self, {k: v for k, v in self.__dict__.items() if isinstance(v, Tree)}, self.add_module)

    def named_modules(
        self, memo: set[Any] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Any]]:
        """(path, module) of this module and all below it; a shared one once, under its first path."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, child in self._modules.items():
            yield from child.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def _named(self, kind: str, prefix: str, recurse: bool, unique: bool) -> Iterator[tuple[str, Any]]:
        seen = set()
        for path, module in self.named_modules(prefix=prefix, remove_duplicate=unique) if recurse else [(prefix, self)]:
            for name, x in getattr(module, kind).items():
                if x is None or id(x) in seen:
                    continue
                if unique:
                    seen.add(id(x))
                yield f"{path}.{name}" if path else name, x

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        return self._named("_parameters", prefix, recurse, remove_duplicate)

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        return self._named("_buffers", prefix, recurse, remove_duplicate)

    def named_children(self) -> Iterator[tuple[str, Module]]:
        return self._named("_modules", "", False, True)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        return (p for _, p in self.named_parameters(recurse=recurse))

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        return (b for _, b in self.named_buffers(recurse=recurse))

    def children(self) -> Iterator[Module]:
        return (m for _, m in self.named_children())

    def modules(self) -> Iterator[Module]:
        return (m for _, m in self.named_modules())

    def _get(self, target: str, kind: type, what: str) -> Any:
        found: Any = self
        for name in target.split(".") if target else ():
            if not isinstance(found, Tree) or not hasattr(found, name):
                raise AttributeError(f"{type(found).__name__} has no attribute `{name}`")
            found = getattr(found, name)
        if not isinstance(found, kind):
            raise AttributeError(f"`{target}` is not {what}")
        return found

    def get_submodule(self, target: str) -> Module:
        """The module at a path such as "encoder.0"; AttributeError if there is none."""
        return self._get(target, Tree, "an nn.Module")  # type: ignore[no-any-return]

    def get_parameter(self, target: str) -> Parameter:
        return self._get(target, Parameter, "an nn.Parameter")  # type: ignore[no-any-return]

    def get_buffer(self, target: str) -> Tensor:
        owner, _, name = target.rpartition(".")
        module = self.get_submodule(owner)
        if hasattr(module, name) and name not in module._buffer_names:
            raise AttributeError(f"`{target}` is not a buffer")
        return self._get(target, object, "a buffer")  # type: ignore[no-any-return]

    def set_submodule(self, target: str, module: Module) -> None:
        """Puts a module at a path such as "encoder.0"."""
        parent, _, name = target.rpartition(".")
        setattr(self.get_submodule(parent), name, module)
