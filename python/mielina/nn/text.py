"""The text of a module, and the path of one that failed."""

from __future__ import annotations

from typing import Any


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
