"""Models by name: how they are made, given weights, and kept in one file."""

from __future__ import annotations

import functools
import inspect
import json
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ..datasets.image import Preprocess
from ..io.safetensors import load, metadata, save
from ..tensor import Tensor
from .imagenet import imagenet_classes
from .weights import read

_MODELS: dict[str, tuple[Callable[..., Any], str]] = {}  # and the prefix of the last layer's keys
_KEY = "mielina.model"  # of a file's metadata


def model(head: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Registers a function that makes a model, and gives it `weights=`. head: the prefix of its last layer's keys.

    What it may be is said by `create`. RuntimeError: another network's weights.
    """

    def decorate(make: Callable[..., Any]) -> Callable[..., Any]:
        name = make.__name__

        @functools.wraps(make)
        def built(*, weights: str | os.PathLike[str] | None = None, revision: str | None = None, **how: Any) -> Any:
            if weights is None and revision is not None:
                raise ValueError("revision= belongs to weights='hub:owner/name'")
            found = None if weights is None else read(weights, name, revision)
            net = make(**how)
            net._made = (name, how)
            if found is not None:
                whole = _load(net, found.state, head, found.source)
                net.preprocess = found.preprocess
                net.classes = imagenet_classes() if weights == "imagenet" and whole else None
            return net

        own, kind = inspect.signature(make), inspect.Parameter.KEYWORD_ONLY
        said = {"weights": "str | os.PathLike[str] | None", "revision": "str | None"}
        more = [inspect.Parameter(n, kind, default=None, annotation=t) for n, t in said.items()]
        built.__signature__ = own.replace(parameters=[*own.parameters.values(), *more])  # type: ignore[attr-defined]
        built.__annotations__ = {**make.__annotations__, **said}
        _MODELS[name] = built, head
        return built

    return decorate


def _load(net: Any, state: Any, head: str, path: str) -> bool:
    """Everything (True), or all but a head that was made for another number of classes; then a warning says so."""
    if not isinstance(state, Mapping):
        raise ValueError(f"{path}: expected a state dict, got {type(state).__name__}")
    strange = [k for k, v in state.items() if not isinstance(v, Tensor)]
    if strange:
        raise ValueError(
            f"{path}: expected a state dict of tensors; {strange[0]!r} is none; the file holds {list(state)[:5]}"
        )
    own = net.state_dict()
    other = [k for k in own if k.startswith(head) and k in state and tuple(state[k].shape) != tuple(own[k].shape)]
    if other:
        held = int(state[other[0]].shape[0]) if state[other[0]].ndim else 0
        state = {k: v for k, v in state.items() if not k.startswith(head)}
        state |= {k: v for k, v in own.items() if k.startswith(head)}
        warnings.warn(
            f"{path}: the last layer there is for {held} classes; it keeps its random weights here", stacklevel=3
        )
    net.load_state_dict(state)
    return not other


def names() -> list[str]:
    """The names that `create` knows.

    >>> mi.models.names()[:3]
    ['alexnet', 'lenet5', 'resnet18']
    """
    return sorted(_MODELS)


def create(name: str, **how: Any) -> Any:
    """The model of a name, by its function's arguments. ValueError: an unknown name.

    Every model takes weights=: "imagenet", torchvision's published file, fetched on first use into ~/.cache/mielina or
    MIELINA_CACHE (some, of VGG's age, are in PyTorch's format before 1.6: an error says what to do);
    "hub:owner/name", model.safetensors of that Hugging Face repository at revision=, with torchvision's or timm's
    names; else the path of a .safetensors or .pth file. For another num_classes= all but the last layer is loaded, and
    a warning says so.

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
    """What `load_model` gives: the model in eval mode, its classes' names, and how images become its input."""

    model: Any
    classes: list[str] | None
    preprocess: Preprocess | None


def save_model(
    model: Any,
    path: str | os.PathLike[str],
    classes: Sequence[str] | None = None,
    preprocess: Preprocess | Mapping[str, Any] | None = None,
) -> None:
    """A model of `mielina.models` in one safetensors file: name, arguments, weights, names of classes, preprocessing.

    preprocess: how images become inputs, a mi.datasets.Preprocess or its dict. classes and preprocess are by default
    those that the model has: `weights="imagenet"` brings them. The file names the model and holds no code. TypeError: a
    model that was not made by this package's functions, or arguments that JSON does not hold. ValueError: as many names
    as outputs are needed.
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
    preprocess = Preprocess.of(getattr(model, "preprocess", None) if preprocess is None else preprocess)
    known = getattr(model, "classes", None)
    if classes is None and known is not None and len(known) == outputs:
        classes = known
    if classes is not None and len(classes) != outputs:
        raise ValueError(f"save_model: {len(classes)} names for {outputs} classes")
    info = {
        "name": name,
        "arguments": {**how, "num_classes": outputs},
        "classes": None if classes is None else [str(c) for c in classes],
        "preprocess": None if preprocess is None else preprocess.as_dict(),
    }
    save(state, path, {_KEY: json.dumps(info)})


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
        if classes is not None and not (isinstance(classes, list) and all(isinstance(c, str) for c in classes)):
            raise ValueError("names of classes that are no list of strings")
        if classes is not None and len(classes) != how["num_classes"]:
            raise ValueError(f"{len(classes)} names for {how['num_classes']} classes")
        preprocess = Preprocess.of(found["preprocess"])
        net = create(name, **{str(k): v for k, v in how.items() if k not in ("weights", "revision")})
        net.load_state_dict(state)
        net.classes, net.preprocess = classes, preprocess
        return Saved(net.eval(), classes, preprocess)
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError, MemoryError, OverflowError) as e:
        raise ValueError(f"{os.fspath(path)}: damaged, or of another version: {e}") from None
