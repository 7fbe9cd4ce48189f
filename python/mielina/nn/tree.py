"""The tree of modules: what is inside one, and under which name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..tensor import Tensor
from .parameter import Parameter

if TYPE_CHECKING:
    from .module import Module


class Tree:
    """Base of Module: a node whose attributes are its parameters, buffers and children."""

    _buffer_names: Mapping[str, bool]

    @property
    def _parameters(self) -> Mapping[str, Parameter]:
        return MappingProxyType({k: v for k, v in self.__dict__.items() if isinstance(v, Parameter)})

    @property
    def _buffers(self) -> Mapping[str, Tensor]:
        return MappingProxyType({name: getattr(self, name) for name in self._buffer_names})

    @property
    def _modules(self) -> Mapping[str, Module]:
        children: dict[str, Any] = {k: v for k, v in self.__dict__.items() if isinstance(v, Tree)}
        return MappingProxyType(children)

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
        return self._get(target, Tensor, "a buffer")  # type: ignore[no-any-return]

    def set_submodule(self, target: str, module: Module) -> None:
        """Puts a module at a path such as "encoder.0"."""
        parent, _, name = target.rpartition(".")
        setattr(self.get_submodule(parent), name, module)
