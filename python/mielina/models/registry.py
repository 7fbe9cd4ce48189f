"""Models by name: how they are made, given weights, and kept in one file."""

from __future__ import annotations

import functools
import json
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ..io.safetensors import load, metadata, save

_MODELS: dict[str, tuple[Callable[..., Any], str]] = {}  # and the prefix of the last layer's keys
_KEY = "mielina.model"  # of a file's metadata


def model(head: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Registers a function that makes a model, and gives it `weights=`. head: the prefix of its last layer's keys."""

    def decorate(make: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(make)
        def built(*, weights: str | os.PathLike[str] | None = None, **how: Any) -> Any:
            net = make(**how)
            net._made = (make.__name__, how)
            if weights is not None:
                _load(net, load(weights), head, os.fspath(weights))
            return net

        built.__annotations__ = {**make.__annotations__, "weights": "str | os.PathLike[str] | None"}
        _MODELS[make.__name__] = built, head
        return built

    return decorate


def _load(net: Any, state: Any, head: str, path: str) -> None:
    """Everything, or all but a head that was made for another number of classes; then a warning says so."""
    if not isinstance(state, Mapping):
        raise ValueError(f"{path}: expected a state dict, got {type(state).__name__}")
    own = net.state_dict()
    other = [k for k in own if k.startswith(head) and k in state and tuple(state[k].shape) != tuple(own[k].shape)]
    if other:
        held = int(state[other[0]].shape[0])
        state = {k: v for k, v in state.items() if not k.startswith(head)}
        state |= {k: v for k, v in own.items() if k.startswith(head)}
        warnings.warn(
            f"{path}: the last layer there is for {held} classes; it keeps its random weights here", stacklevel=3
        )
    net.load_state_dict(state)


def names() -> list[str]:
    """The names that `create` knows.

    >>> mi.models.names()[:3]
    ['alexnet', 'lenet5', 'resnet18']
    """
    return sorted(_MODELS)


def create(name: str, **how: Any) -> Any:
    """The model of a name, by its function's arguments. ValueError: an unknown name.

    >>> mi.models.create("lenet5", num_classes=3)(mi.zeros(2, 1, 28, 28)).shape
    (2, 3)
    """
    if name not in _MODELS:
        raise ValueError(f"unknown model {name!r}; there are {', '.join(names())}")
    return _MODELS[name][0](**how)


def _outputs(name: Any, state: Mapping[str, Any]) -> int:
    """The classes that a model's last layer tells apart."""
    return len(state[_MODELS[name][1] + "weight"])


class Saved(NamedTuple):
    """What `load_model` gives: the model in eval mode, its classes' names, and what was said of the preprocessing."""

    model: Any
    classes: list[str] | None
    preprocess: dict[str, Any]


def save_model(
    model: Any,
    path: str | os.PathLike[str],
    classes: Sequence[str] | None = None,
    preprocess: Mapping[str, Any] | None = None,
) -> None:
    """A model of `mielina.models` in one safetensors file: name, arguments, weights, names of classes, preprocessing.

    preprocess: numbers, strings and lists that say how images become inputs, such as {"size": 224, "mean": [...]}.
    The file names the model and holds no code. TypeError: a model that was not made by this package's functions, or
    what JSON does not hold. ValueError: as many names as outputs are needed.
    """
    made = getattr(model, "_made", None)
    if made is None:
        raise TypeError(
            f"save_model: expected a model made by mielina.models, got {type(model).__name__}; "
            "mi.save(model.state_dict(), path) keeps any model's weights"
        )
    name, how = made
    state = model.state_dict()
    outputs = _outputs(name, state)
    if classes is not None and len(classes) != outputs:
        raise ValueError(f"save_model: {len(classes)} names for {outputs} classes")
    info = {
        "name": name,
        "arguments": {**how, "num_classes": outputs},
        "classes": None if classes is None else list(classes),
    }
    save(state, path, {_KEY: json.dumps({**info, "preprocess": dict(preprocess or {})})})


def load_model(path: str | os.PathLike[str]) -> Saved:
    """The model that `save_model` wrote, ready to predict. ValueError: another file, an unknown name, damage."""
    text = metadata(path).get(_KEY)
    if text is None:
        raise ValueError(f"{os.fspath(path)}: no model of save_model; mi.load reads other safetensors files")
    try:
        found = json.loads(text)
        name, how, classes = found["name"], found["arguments"], found["classes"]
        state = load(path)
        if how["num_classes"] != _outputs(name, state):  # before anything of that size is made
            raise ValueError(f"weights for {_outputs(name, state)} classes, arguments for {how['num_classes']}")
        net = create(name, **{str(k): v for k, v in how.items() if k != "weights"})
        net.load_state_dict(state)
        return Saved(net.eval(), classes, dict(found["preprocess"]))
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError, MemoryError, OverflowError) as e:
        raise ValueError(f"{os.fspath(path)}: damaged, or of another version: {e}") from None
