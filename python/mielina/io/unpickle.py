"""A reader of the pickles inside PyTorch's files, in which nothing can be run.

A pickle is a program for a small stack machine (Python's pickletools describes it), and the usual reader imports and
calls whatever the program names. This one knows the instructions that a nest of dicts, lists, tuples, numbers, strings
and tensors needs, and 13 names; a name becomes a stand-in of ours, compared by identity, and nothing is ever imported.

Every instruction pushes at most one object, so that the limit on instructions bounds stack and memory. A container
that has been put into another one may not change any more: `pickle` finishes children first, so that only objects that
contain themselves break this rule, and depth and size of everything are known while it is built.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from .. import dtypes
from ..tensor import Tensor

LONGEST = 64_000_000  # bytes of pickle
_MOST = 1_000_000  # instructions, and objects that a walk through the result meets
_DEEPEST = 100
RANK = 8  # dimensions of a tensor
_DIGITS = 256  # bytes of an integer


class _Name:
    """Stands for a class or function of PyTorch's; dtype: what a storage class holds."""

    __slots__ = ("dtype",)

    def __init__(self, dtype: dtypes.dtype | None = None) -> None:
        self.dtype = dtype


class _Storage:
    """What `storage` gave, told from everything that a result may hold."""

    __slots__ = ("data",)

    def __init__(self, data: Any) -> None:
        self.data = data


class _Box:
    """A dict, list or tuple with its depth, and the objects that a walk would meet in it (shared ones each time).

    closed: it lies in another container. private: a tuple of arguments, with things that no result may hold.
    """

    __slots__ = ("value", "height", "weight", "closed", "private")

    def __init__(self, value: Any) -> None:
        self.value, self.height, self.weight, self.closed, self.private = value, 1, 1, False, False

    def take(self, items: Sequence[Any]) -> list[Any]:
        """The bare values of what is about to be put into this box."""
        bare = []
        for item in items:
            if isinstance(item, _Box):
                item.closed = True
                self.height = max(self.height, item.height + 1)
                self.weight += item.weight
                self.private |= item.private
                bare.append(item.value)
            else:
                self.weight += 1
                self.private |= isinstance(item, (_Name, _Storage))
                bare.append(item)
        if self.closed:
            raise ValueError("a dict or list that contains itself")
        if self.height > _DEEPEST or self.weight > _MOST:
            raise ValueError(f"more than {_DEEPEST} levels or {_MOST} objects, shared ones counted each time")
        if self.private and type(self.value) is not tuple:
            raise ValueError("a class, function or storage as a value")
        return bare


_ORDERED, _TENSOR, _PARAMETER = _Name(), _Name(), _Name()
_NAMES = {
    ("collections", "OrderedDict"): _ORDERED,
    ("torch._utils", "_rebuild_tensor_v2"): _TENSOR,
    ("torch._utils", "_rebuild_parameter"): _PARAMETER,
    ("torch", "FloatStorage"): _Name(dtypes.float32), ("torch", "DoubleStorage"): _Name(dtypes.float64),
    ("torch", "HalfStorage"): _Name(dtypes.float16), ("torch", "BFloat16Storage"): _Name(dtypes.bfloat16),
    ("torch", "LongStorage"): _Name(dtypes.int64), ("torch", "IntStorage"): _Name(dtypes.int32),
    ("torch", "ShortStorage"): _Name(dtypes.int16), ("torch", "CharStorage"): _Name(dtypes.int8),
    ("torch", "ByteStorage"): _Name(dtypes.uint8), ("torch", "BoolStorage"): _Name(dtypes.bool),
}  # fmt: skip

MakeStorage = Callable[[dtypes.dtype, str, int], Any]
MakeTensor = Callable[[Any, int, "tuple[int, ...]", "tuple[int, ...]"], Tensor]


def unpickle(data: bytes, storage: MakeStorage, tensor: MakeTensor) -> Any:
    """What a pickle of `torch.save` describes.

    storage(dtype, key, numel) gives the memory of a key; tensor(that, offset, size, stride) a tensor in it. Both must
    check their numbers: these are integers here, no more. ValueError: anything that is not plain data.
    """
    if len(data) > LONGEST:
        raise ValueError(f"{len(data)} bytes of pickle; at most {LONGEST} are read")
    if len(data) < 2 or data[0] != 0x80 or not 2 <= data[1] <= 5:
        raise ValueError("data.pkl is no pickle of protocol 2 to 5")
    m = _Machine(data, storage, tensor)
    for _ in range(_MOST):
        code = m.read(1)[0]
        if code == 0x2E:  # STOP
            return m.result()
        step = _STEPS.get(code)
        if step is None:
            raise ValueError(
                f"pickle instruction {_REFUSED.get(code, hex(code))} is not read: it is not needed for data"
            )
        step(m)
    raise ValueError(f"more than {_MOST} pickle instructions")


class _Machine:
    def __init__(self, data: bytes, storage: MakeStorage, tensor: MakeTensor) -> None:
        self.data, self.at = data, 2
        self.storage, self.tensor = storage, tensor
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.pairs = 0  # that were copied from lists into dicts, which one list can ask for again and again

    def read(self, n: int) -> bytes:
        if n > len(self.data) - self.at:
            raise ValueError("the pickle is cut off")
        self.at += n
        return self.data[self.at - n : self.at]

    def number(self, width: int) -> int:
        return int.from_bytes(self.read(width), "little")

    def frame(self) -> None:
        if self.number(8) > len(self.data) - self.at:
            raise ValueError("the pickle is cut off")

    def line(self) -> str:
        end = self.data.find(b"\n", self.at, self.at + 256)
        if end < 0:
            raise ValueError("a name without an end")
        return _text(self.read(end + 1 - self.at)[:-1])

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise ValueError("a pickle that takes more than it put down")
        return self.stack.pop()

    def pop_mark(self) -> list[Any]:
        if not self.marks:
            raise ValueError("a pickle that takes more than it put down")
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def container(self, *kinds: type) -> _Box:
        """What lies on top of the stack and is about to be filled."""
        box = self.pop()
        if not isinstance(box, _Box) or type(box.value) not in kinds:
            raise ValueError(f"expected {kinds[0].__name__} to fill, got {_kind(box)}")
        self.push(box)
        return box

    def result(self) -> Any:
        top = self.pop()
        if self.stack or self.marks or self.at != len(self.data):
            raise ValueError("something stands behind the end of the pickle")
        if isinstance(top, (_Name, _Storage)) or (isinstance(top, _Box) and top.private):
            raise ValueError("a class, function or storage as the result")
        return top.value if isinstance(top, _Box) else top

    def long(self, width: int) -> None:
        n = self.number(width)
        if n > _DIGITS:
            raise ValueError(f"an integer of {n} bytes; at most {_DIGITS} are read")
        self.push(int.from_bytes(self.read(n), "little", signed=True))

    def tuple_of(self, items: list[Any]) -> None:
        box = _Box(())
        box.value = tuple(box.take(items))
        self.push(box)

    def append(self, items: list[Any]) -> None:
        box = self.container(list)
        box.value.extend(box.take(items))

    def set_items(self, items: list[Any]) -> None:
        box = self.container(dict, OrderedDict)
        if len(items) % 2:
            raise ValueError("a key without a value")
        _fill(box.value, box.take(items))

    def put(self, index: int) -> None:
        top = self.pop()
        if index >= _MOST or index in self.memo:
            raise ValueError(f"memo {index} is written twice, or above {_MOST}")
        self.memo[index] = top
        self.push(top)

    def get(self, index: int) -> None:
        if index not in self.memo:
            raise ValueError(f"memo {index} was never written")
        self.push(self.memo[index])

    def name(self, module: Any, name: Any) -> None:
        found = _NAMES.get((module, name)) if isinstance(module, str) and isinstance(name, str) else None
        if found is None:
            raise ValueError(f"{_shown(module)}.{_shown(name)} is not among the names that a state dict needs; refused")
        self.push(found)

    def stack_global(self) -> None:
        name, module = self.pop(), self.pop()
        self.name(module, name)

    def reduce(self) -> None:
        box, call = self.pop(), self.pop()
        if not isinstance(box, _Box) or type(box.value) is not tuple:
            raise ValueError(f"arguments that are no tuple but {_kind(box)}")
        args = box.value
        if call is _ORDERED:
            made = _Box(OrderedDict())
            if len(args) > 1 or (args and type(args[0]) is not list):
                raise ValueError("OrderedDict of anything but a list of pairs")
            if args:
                self.pairs += len(args[0])
                if self.pairs > _MOST:
                    raise ValueError(f"more than {_MOST} pairs in lists for OrderedDict")
                made.height, made.weight = max(1, box.height - 2), box.weight
                if any(type(pair) not in (tuple, list) or len(pair) != 2 for pair in args[0]):
                    raise ValueError("OrderedDict of anything but a list of pairs")
                _fill(made.value, [x for pair in args[0] for x in pair])
            self.push(made)
        elif call is _TENSOR:
            self.push(self.rebuilt(args))
        elif call is _PARAMETER:
            if len(args) != 3 or not isinstance(args[0], Tensor) or type(args[1]) is not bool or not _hookless(args[2]):
                raise ValueError("_rebuild_parameter: expected a tensor, a bool and an empty OrderedDict")
            self.push(args[0])
        else:
            raise ValueError(f"a call of what is no function of a state dict but {_kind(call)}")

    def rebuilt(self, args: tuple[Any, ...]) -> Tensor:
        if len(args) not in (6, 7) or not isinstance(args[0], _Storage):
            raise ValueError("_rebuild_tensor_v2: expected a storage and five or six more arguments")
        store, offset, size, stride, grad, hooks = args[:6]
        for numbers in ((offset,), size, stride):
            if type(numbers) is not tuple or len(numbers) > RANK or any(type(n) is not int or n < 0 for n in numbers):
                raise ValueError(
                    f"_rebuild_tensor_v2: offset, size and stride must be at most {RANK} integers, not negative"
                )
        if type(grad) is not bool or not _hookless(hooks):
            raise ValueError("_rebuild_tensor_v2: requires_grad must be a bool, hooks an empty OrderedDict")
        # A lazily negated or conjugated tensor says so here: without heed its values would be wrong.
        if len(args) == 7 and not _plain(args[6]):
            raise ValueError(f"_rebuild_tensor_v2: metadata that is not read: {_shown(args[6])}")
        return self.tensor(store.data, offset, size, stride)

    def build(self) -> None:
        """`Module.state_dict` hangs an attribute `_metadata` on its OrderedDict; the only state that is let pass."""
        state = self.pop()
        self.container(OrderedDict)
        if not isinstance(state, _Box) or not _metadata(state.value):
            raise ValueError("BUILD sets other state than the _metadata of a state dict; refused")

    def persistent(self) -> None:
        box = self.pop()
        args = box.value if isinstance(box, _Box) and type(box.value) is tuple else ()
        if len(args) != 5 or [type(a) for a in args] != [str, _Name, str, str, int] or args[0] != "storage":
            raise ValueError("a persistent id that is no ('storage', class, key, location, numel)")
        _, kind, key, _, numel = args
        if kind.dtype is None or not 0 < len(key) < 19 or not key.isdecimal():
            raise ValueError("a persistent id needs a storage class and a decimal key of at most 18 digits")
        self.push(_Storage(self.storage(kind.dtype, key, numel)))


def _fill(into: dict[Any, Any], flat: list[Any]) -> None:
    """Keys and values in turn. Integers beyond 64 bits are no keys: as many as one likes of them share one hash."""
    for key, value in zip(flat[::2], flat[1::2]):
        if type(key) is not str and not (type(key) is int and -(2**63) <= key < 2**63):
            raise ValueError(f"keys must be strings or integers of 64 bits, got {_kind(key)}")
        if key in into:
            raise ValueError(f"key {_shown(key)} stands twice in a dict")
        into[key] = value


def _metadata(state: Any) -> bool:
    return type(state) is dict and len(state) == 1 and "_metadata" in state


def _plain(metadata: Any) -> bool:
    """Whether a tensor's flags, "conj" and "neg", are off."""
    return type(metadata) is dict and len(metadata) <= 2 and all(v is False for v in metadata.values())


def _hookless(hooks: Any) -> bool:
    return type(hooks) is OrderedDict and not hooks


def _kind(value: Any) -> str:
    if isinstance(value, (_Name, _Storage)):
        return "a class or function" if isinstance(value, _Name) else "a storage"
    return type(value.value if isinstance(value, _Box) else value).__name__


def _shown(value: Any) -> str:
    """A name from the file, fit for one line of a message."""
    if isinstance(value, str):
        return ascii(value[:80])[1:-1]
    return str(value)[:80] if type(value) is int else _kind(value)


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise ValueError("a string that is not UTF-8") from None


_STEPS: dict[int, Callable[[_Machine], None]] = {
    ord("("): lambda m: m.marks.append(len(m.stack)),
    0x95: _Machine.frame,
    ord("N"): lambda m: m.push(None),
    0x88: lambda m: m.push(True),
    0x89: lambda m: m.push(False),
    ord("J"): lambda m: m.push(int.from_bytes(m.read(4), "little", signed=True)),
    ord("K"): lambda m: m.push(m.number(1)),
    ord("M"): lambda m: m.push(m.number(2)),
    0x8A: lambda m: m.long(1),
    0x8B: lambda m: m.long(4),
    ord("G"): lambda m: m.push(struct.unpack(">d", m.read(8))[0]),
    ord("X"): lambda m: m.push(_text(m.read(m.number(4)))),
    0x8C: lambda m: m.push(_text(m.read(m.number(1)))),
    ord("]"): lambda m: m.push(_Box([])),
    ord("}"): lambda m: m.push(_Box({})),
    ord(")"): lambda m: m.push(_Box(())),
    0x85: lambda m: m.tuple_of([m.pop()]),
    0x86: lambda m: m.tuple_of([m.pop(), m.pop()][::-1]),
    0x87: lambda m: m.tuple_of([m.pop(), m.pop(), m.pop()][::-1]),
    ord("t"): lambda m: m.tuple_of(m.pop_mark()),
    ord("a"): lambda m: m.append([m.pop()]),
    ord("e"): lambda m: m.append(m.pop_mark()),
    ord("s"): lambda m: m.set_items([m.pop(), m.pop()][::-1]),
    ord("u"): lambda m: m.set_items(m.pop_mark()),
    ord("q"): lambda m: m.put(m.number(1)),
    ord("r"): lambda m: m.put(m.number(4)),
    0x94: lambda m: m.put(len(m.memo)),
    ord("h"): lambda m: m.get(m.number(1)),
    ord("j"): lambda m: m.get(m.number(4)),
    ord("c"): lambda m: m.name(m.line(), m.line()),
    0x93: _Machine.stack_global,
    ord("R"): _Machine.reduce,
    ord("b"): _Machine.build,
    ord("Q"): _Machine.persistent,
}
# Not read, but named in messages.
_REFUSED = {
    ord("i"): "INST", ord("o"): "OBJ", 0x81: "NEWOBJ", 0x92: "NEWOBJ_EX", 0x82: "EXT1", 0x83: "EXT2", 0x84: "EXT4",
    ord("P"): "PERSID", 0x80: "PROTO (a second time)", ord("0"): "POP", ord("1"): "POP_MARK", ord("2"): "DUP",
    ord("B"): "BINBYTES", ord("C"): "SHORT_BINBYTES", 0x8F: "EMPTY_SET", 0x8D: "BINUNICODE8",
}  # fmt: skip
