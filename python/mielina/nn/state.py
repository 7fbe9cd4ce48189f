"""A module's state: what is in a state dict, and how one is loaded."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .. import _core
from ..tensor import RemovableHandle, Tensor
from .parameter import Parameter, as_value
from .tree import Tree

KINDS = ("state_dict_pre", "state_dict_post", "load_state_dict_pre", "load_state_dict_post")
EXTRA = "_extra_state"


class Keys(namedtuple("IncompatibleKeys", ["missing_keys", "unexpected_keys"])):
    """What load_state_dict(strict=False) found amiss."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<All keys matched successfully>" if not any(self) else super().__repr__()


class _Loading(dict[str, Any]):
    """The state dict on its way into a module, for hooks to change; `fitting` is what will be written at the end."""

    def __init__(self, state: Mapping[str, Any]) -> None:
        super().__init__(state)
        self.fitting: list[Callable[[bool], None]] = []
        self.known: set[str] = set()


def _writer(owner: Any, name: str, mine: Tensor, value: Tensor) -> Callable[[bool], None]:
    def write(assign: bool) -> None:
        if not assign:
            _core.copy_into(mine, value)
        else:
            setattr(owner, name, Parameter(value, mine.requires_grad) if isinstance(mine, Parameter) else value)

    return write


class Stateful(Tree):
    """Base of Module: state dicts, their hooks, and extra state."""

    _state_hooks: dict[str, dict[int, Any]] | None = None

    # ---- hooks -------------------------------------------------------------------------------------------------------
    def _state_hook(self, kind: str, hook: Callable[..., Any]) -> RemovableHandle:
        if self._state_hooks is None:
            self._state_hooks = {k: {} for k in KINDS}
        return RemovableHandle(self._state_hooks[kind], hook)

    def _call_state_hooks(self, kind: str, *args: Any) -> None:
        for hook in list((self._state_hooks or {}).get(kind, {}).values()):
            hook(self, *args)

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls hook(module, prefix, keep_vars) before this module's state is read."""
        return self._state_hook("state_dict_pre", hook)

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls hook(module, state_dict, prefix, local_metadata) after it; the hook may change state_dict."""
        return self._state_hook("state_dict_post", hook)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
        before this module looks for its keys; the hook may change state_dict.
        """
        return self._state_hook("load_state_dict_pre", hook)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls hook(module, keys) once all keys were looked for; the hook may clear the lists in keys."""
        return self._state_hook("load_state_dict_post", hook)

    def get_extra_state(self) -> Any:
        """What a subclass keeps in the state dict beside its tensors, under "_extra_state"."""
        raise RuntimeError("get_extra_state: a module class that uses extra state defines get and set_extra_state")

    def set_extra_state(self, state: Any) -> None:
        """Takes what get_extra_state gave."""
        raise RuntimeError("set_extra_state: a module class that uses extra state defines get and set_extra_state")

    # ---- reading -----------------------------------------------------------------------------------------------------
    def _own_state(self) -> Iterator[tuple[str, Tensor]]:
        """(attribute, tensor) of what is this module's own, in PyTorch's order."""
        for name, p in self._parameters.items():
            yield name, p
        for name, persistent in self._buffer_names.items():
            x = getattr(self, name)
            if persistent and x is not None:
                yield name, x

    def state_dict(
        self, *, destination: dict[str, Any] | None = None, prefix: str = "", keep_vars: bool = False
    ) -> dict[str, Any]:
        """Name -> tensor of all parameters and persistent buffers, sharing their memory (detached unless keep_vars).

        A shared tensor stands under all its names.
        """
        result = {} if destination is None else destination
        self._call_state_hooks("state_dict_pre", prefix, keep_vars)
        for name, x in self._own_state():
            result[prefix + name] = x if keep_vars else x.detach()
        if type(self).get_extra_state is not Stateful.get_extra_state:
            result[prefix + EXTRA] = self.get_extra_state()
        for name, child in self._modules.items():
            child.state_dict(destination=result, prefix=prefix + name + ".", keep_vars=keep_vars)
        self._call_state_hooks("state_dict_post", result, prefix, {})
        return result

    # ---- loading -----------------------------------------------------------------------------------------------------
    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Keys:
        """Copies tensors (or NumPy arrays) into the parameters and buffers; assign=True takes the tensors themselves.

        RuntimeError lists all missing and unexpected keys (if strict) and sizes that differ; nothing is changed then.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict).__name__}.")
        state, keys = _Loading(state_dict), Keys([], [])
        problems: list[str] = []
        self._load_tree(state, "", keys, problems)
        keys.unexpected_keys.extend(k for k in state if k not in state.known)
        for _, module in reversed(list(self.named_modules(remove_duplicate=False))):
            module._call_state_hooks("load_state_dict_post", keys)
        for kind, names in (("Unexpected", keys.unexpected_keys), ("Missing", keys.missing_keys)):
            if strict and names:
                problems.insert(0, f"{kind} key(s) in state_dict: " + ", ".join(f'"{k}"' for k in names) + ". ")
        if problems:  # before anything is written: a failed load changes nothing
            name, text = type(self).__name__, "\n\t".join(problems)
            raise RuntimeError(f"Error(s) in loading state_dict for {name}:\n\t{text}")
        for write in state.fitting:
            write(assign)
        return keys

    def _load_tree(self, state: _Loading, prefix: str, keys: Keys, problems: list[str]) -> None:
        self._load_from_state_dict(state, prefix, {}, True, keys.missing_keys, keys.unexpected_keys, problems)
        for name, child in self._modules.items():
            child._load_tree(state, prefix + name + ".", keys, problems)

    def _load_from_state_dict(
        self,
        state_dict: Any,
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Looks for this module's own keys. A subclass may rename keys in state_dict before it calls this."""
        self._call_state_hooks(
            "load_state_dict_pre",
            *(state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs),
        )
        for name, mine in list(self._own_state()):
            key = prefix + name
            state_dict.known.add(key)
            if key not in state_dict:
                missing_keys.append(key)
                continue
            value = as_value(state_dict[key])
            if mine.ndim == 0 and value.shape == (1,):
                value = value.reshape(())  # files from before numbers were 0-dim
            if value.shape == mine.shape:
                state_dict.fitting.append(_writer(self, name, mine, value))
            else:
                error_msgs.append(
                    f"size mismatch for {key}: copying a param with shape {value.shape} from checkpoint, the shape in "
                    f"current model is {mine.shape}."
                )
        if type(self).set_extra_state is not Stateful.set_extra_state:
            key = prefix + EXTRA
            state_dict.known.add(key)
            if key in state_dict:
                state_dict.fitting.append(lambda assign: self.set_extra_state(state_dict[key]))
            else:
                missing_keys.append(key)
