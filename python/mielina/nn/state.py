"""What is around a module's tensors: state dicts, the text of a module, and the path of one that failed."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterator, Mapping
from typing import Any

from .. import _core
from .parameter import Parameter, as_value


class Keys(namedtuple("IncompatibleKeys", ["missing_keys", "unexpected_keys"])):
    """What load_state_dict(strict=False) found amiss."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<All keys matched successfully>" if not any(self) else super().__repr__()


def entries(module: Any, prefix: str = "") -> Iterator[tuple[str, Any, str]]:
    """(key, owner, attribute) of each tensor of the state, in PyTorch's order; shared tensors under all their names."""
    for name, p in module._parameters.items():
        if p is not None:
            yield prefix + name, module, name
    for name, persistent in module._buffer_names.items():
        if persistent and getattr(module, name) is not None:
            yield prefix + name, module, name
    for name, child in module._modules.items():
        if child is not None:
            yield from entries(child, prefix + name + ".")


def load(module: Any, state: Mapping[str, Any], strict: bool, assign: bool) -> Keys:
    if not isinstance(state, Mapping):
        raise TypeError(f"Expected state_dict to be dict-like, got {type(state).__name__}.")
    for path, m in list(module.named_modules()):
        if hasattr(m, "_adopt"):  # lazy layers learn their sizes
            m._adopt(state, path + "." if path else "")
    known = {key: (owner, name) for key, owner, name in entries(module)}
    missing = [key for key in known if key not in state]
    unexpected = [key for key in state if key not in known]
    problems = []
    if strict and missing:
        problems.append("Missing key(s) in state_dict: " + ", ".join(f'"{k}"' for k in missing) + ". ")
    if strict and unexpected:
        problems.append("Unexpected key(s) in state_dict: " + ", ".join(f'"{k}"' for k in unexpected) + ". ")
    fitting = []
    for key, (owner, name) in known.items():
        if key not in state:
            continue
        value, mine = as_value(state[key]), getattr(owner, name)
        if value.shape == mine.shape:
            fitting.append((owner, name, mine, value))
        else:
            problems.append(
                f"size mismatch for {key}: copying a param with shape {value.shape} from checkpoint, the shape "
                f"in current model is {mine.shape}."
            )
    if problems:  # before anything is written: a failed load changes nothing
        raise RuntimeError(f"Error(s) in loading state_dict for {type(module).__name__}:\n\t" + "\n\t".join(problems))
    for owner, name, mine, value in fitting:
        if not assign:
            _core.copy_into(mine, value)
        else:
            setattr(owner, name, Parameter(value, mine.requires_grad) if isinstance(mine, Parameter) else value)
    return Keys(missing, unexpected)


def indent(text: str) -> str:
    """All lines but the first, two spaces in."""
    return text.replace("\n", "\n  ")


def text(module: Any) -> str:
    """PyTorch's layout: one line for a leaf, a block with one line a child otherwise."""
    extra = module.extra_repr()
    children = [f"({name}): {indent(repr(child))}" for name, child in module._modules.items()]
    return block(module._get_name(), extra.split("\n") if extra else [], children)


def block(name: str, extra: list[str], children: list[str]) -> str:
    if len(extra) == 1 and not children:
        return f"{name}({extra[0]})"
    lines = extra + children
    return name + "(" + "".join("\n  " + line for line in lines) + ("\n)" if lines else ")")


def blame(module: Any, error: Exception) -> None:
    """Adds the path of the module whose forward failed to the message; called once by each module on the way out."""
    if not isinstance(error, (RuntimeError, ValueError, TypeError, IndexError)):
        return
    first, inner, path = getattr(error, "_trail", None) or (error.args, module, "")
    if not first or not isinstance(first[0], str):
        return
    if inner is not module:
        for name, child in module.named_modules():
            if child is inner:
                path = f"{name}.{path}" if path else name
                break
    error._trail = (first, module, path)  # type: ignore[union-attr]
    if path:
        error.args = (f"{first[0]}\n  in module {path} of {type(module).__name__}", *first[1:])
