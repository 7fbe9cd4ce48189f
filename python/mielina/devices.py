"""`mi.device`: where tensors live. "cpu", "cuda" (the current card) or "cuda:1"."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from . import _core


class device:
    """A place for tensors: `device("cpu")`, `device("cuda")`, `device("cuda:1")`, `device("cuda", 1)`, `device(1)`.

    Equal to its own text: `x.device == "cuda:0"`. As a context it is where new tensors are made on this thread, if
    nothing else says where: `with mi.device("cuda"): ...`. RuntimeError: no such kind of device.

    >>> mi.device("cuda:1").index, mi.ones(2).device == "cpu"
    (1, True)
    """

    __slots__ = ("type", "index", "_before")

    type: str
    index: int | None

    def __init__(self, type: Any, index: int | None = None) -> None:
        if isinstance(type, int) and not isinstance(type, bool):
            kind, index = "cuda", type
        elif isinstance(type, (str, device)):
            kind, _, number = str(type).partition(":")
            if number:
                if index is not None or not number.isdecimal():
                    raise RuntimeError(f"device: invalid device {kind}:{number}")
                index = int(number)
        else:
            raise TypeError(f"device: expected a str, an int or a device, got {type!r}")
        if kind not in ("cpu", "cuda"):
            raise RuntimeError(f"device: expected 'cpu' or 'cuda', got {kind!r}")
        if index is not None and (index < 0 or (kind == "cpu" and index > 0)):
            raise RuntimeError(f"device: there is no {kind}:{index}")
        self.type, self.index = kind, index
        self._before: list[int] = []

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self) -> str:
        return f"device(type={self.type!r}" + ("" if self.index is None else f", index={self.index}") + ")"

    def __eq__(self, other: object) -> bool:
        return str(self) == str(other) if isinstance(other, (device, str)) else NotImplemented

    def __hash__(self) -> int:
        return hash(str(self))

    def __reduce__(self) -> Any:
        return device, (str(self),)

    def __enter__(self) -> device:
        self._before.append(_core.set_device(number(self)))
        return self

    def __exit__(self, *_: object) -> None:
        _core.set_device(self._before.pop())


def constructor(init: Callable[..., None]) -> Callable[..., None]:
    """A layer's `__init__` that makes what it makes on its `device` argument. As it is if it has none."""
    names = init.__code__.co_varnames[: init.__code__.co_argcount + init.__code__.co_kwonlyargcount]
    if "device" not in names:
        return init
    at = names.index("device")

    @functools.wraps(init)
    def made(self: Any, *args: Any, **kwargs: Any) -> None:
        where = args[at - 1] if len(args) >= at else kwargs.get("device")
        if where is None:
            init(self, *args, **kwargs)
        else:
            with device(where):
                init(self, *args, **kwargs)

    return made


CPU = device("cpu")
_CARDS: list[device] = []
current_card = 0
"""What "cuda" without a number means; set by `mi.cuda.set_device`."""


def of(number: int) -> device:
    """The device of a number: 0 the CPU, 1 + k card k."""
    if number == 0:
        return CPU
    while len(_CARDS) < number:
        _CARDS.append(device("cuda", len(_CARDS)))
    return _CARDS[number - 1]


def number(where: Any) -> int:
    """The number of a device in any form. RuntimeError with the reason where there is no such card."""
    if where is CPU or where == "cpu":
        return 0
    d = where if isinstance(where, device) else device(where)
    if d.type == "cpu":
        return 0
    from . import cuda  # tells the core where its library is

    card = current_card if d.index is None else d.index
    cuda.require(card, d)
    return 1 + card


def made_on(where: Any, make: Callable[..., Any], *args: Any) -> Any:
    """make(*args) with new tensors on a device (in any form, or a tensor's; None: as it is)."""
    if where is None:
        return make(*args)
    place = where._device if isinstance(where, _core.TensorBase) else number(where)
    if place == _core.current_device():
        return make(*args)
    before = _core.set_device(place)
    try:
        return make(*args)
    finally:
        _core.set_device(before)
