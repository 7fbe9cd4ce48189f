"""Calls every function of `mielina._core`, `mi`, `mi.nn.functional` and every method of Tensor with wrong arguments.
Run in a process of its own: whatever the arguments, only Python exceptions may come of it.

    python tests/robustness/fuzz.py core --rounds 20 --seed 1 [--only conv] [--journal FILE]

Round r of a function depends on (seed, function, r) alone. The journal holds the call that runs: after a crash, the
culprit.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import random
import resource
import sys
import tempfile
import warnings
import zlib
from typing import Any

import numpy as np
from corpus import Calls, load_noting

INTS = (
    -1, 0, 1, 2, 3, 5, 7, 8, 9, 64, -2, -9, 2**31 - 1, 2**31, -(2**31), 2**32, 2**40, 2**58, 2**62, 2**63 - 1, -(2**63),
    2**64,
)  # fmt: skip
FLOATS = (0.0, -0.0, 1.0, -1.0, 0.5, 1e300, -1e300, 1e-300, float("inf"), float("-inf"), float("nan"), 3e38)
STRINGS = (
    "", "mean", "sum", "none", "nope", "add", "prod", "multiply", "amax", "reflect", "replicate", "circular",
    "constant", "bilinear", "bicubic", "nearest", "linear", "area", "zeros", "border", "reflection", "mse", "huber",
    "l1", "bce", "LSTM", "GRU", "RNN_TANH", "a\0b", "\udc80", "x" * 10000, "ij,jk->ik", "...i->i", "same", "valid",
    "tanh",
)  # fmt: skip
DTYPES = ("float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool")
# Functions that change the state of the process on purpose, or measure the machine for long: see test_core_state.py.
LEFT_OUT = {"set_types", "cuda_library", "fma_peak", "pool_probe", "profile_begin", "record_begin", "set_refresh"}
PUBLIC_LEFT_OUT = {
    "set_num_threads",
    "profile",
    "capture",
    "set_default_dtype",
    "fit",
    "evaluate",
    "predict",
    "save",
    "load",
}


class Hostile:
    """An object whose every conversion fails in another way."""

    def __index__(self) -> int:
        raise RuntimeError("no index")

    def __float__(self) -> float:
        raise KeyError("no float")

    def __bool__(self) -> bool:
        raise ZeroDivisionError("no truth")

    def __len__(self) -> int:
        return -1


class Maker:
    """Random arguments, from one source of chance."""

    def __init__(self, mi: Any, folder: str) -> None:
        self.mi, self.chance = mi, random.Random(0)
        path = os.path.join(folder, "readonly")
        np.arange(4096, dtype=np.float32).tofile(path)
        self.mapped = {d: np.memmap(path, dtype=d, mode="r")[:64] for d in ("float32", "int64", "float64", "uint8")}

    def seed(self, *key: Any) -> None:
        self.chance = random.Random(zlib.crc32(repr(key).encode()))

    def shape(self, ndim: int | None = None) -> tuple[int, ...]:
        n = self.chance.choice((0, 1, 1, 2, 2, 2, 3, 4, 5, 8)) if ndim is None else ndim
        return tuple(self.chance.choice((0, 1, 1, 2, 2, 3, 4, 5) if n < 6 else (1, 1, 2)) for _ in range(n))

    def tensor(self, shape: tuple[int, ...] | None = None, dtype: str | None = None) -> Any:
        """Any values (some of them no valid index), dtype and layout; sometimes memory that must not be written to."""
        mi, c = self.mi, self.chance
        kind = getattr(mi, dtype or c.choice(DTYPES[:1] * 3 + DTYPES[4:5] * 3 + DTYPES))
        if shape is None and c.random() < 0.05:
            return mi.from_numpy(self.mapped[c.choice(list(self.mapped))])
        shape = self.shape() if shape is None else shape
        values = np.array([c.randint(-2, 6) for _ in range(int(np.prod(shape)))], dtype=np.float64).reshape(shape)
        if c.random() < 0.2 and values.size:
            values.flat[c.randrange(values.size)] = c.choice((1e9, -1e9, 1e18, float("nan"), float("inf"), 0.5))
        with np.errstate(all="ignore"):
            x = mi.tensor(values).to(kind)
        return self.layout(x)

    def layout(self, x: Any) -> Any:
        mi, c = self.mi, self.chance
        how = c.choice(("plain",) * 5 + ("transposed", "strided", "expanded", "overlapping", "grad", "offset"))
        try:
            if how == "transposed" and x.ndim > 1:
                return x.permute(*reversed(range(x.ndim))).contiguous().permute(*reversed(range(x.ndim)))
            if how == "strided" and x.ndim:
                return mi.stack([x, x], -1)[..., 0]
            if how == "expanded" and x.ndim:
                return x[:1].expand(*x.shape)
            if how == "overlapping":
                return mi._core.windows(mi.cat([x.reshape(-1), x.reshape(-1)]), 0, x.numel(), 1)[:3]
            if how == "offset":
                return mi.cat([x.reshape(-1)[:1], x.reshape(-1)])[1:].reshape(x.shape)
            if how == "grad" and x.dtype.is_floating_point:
                return x.requires_grad_()
        except (ValueError, RuntimeError, IndexError):
            pass
        return x

    def anything(self, depth: int = 0) -> Any:
        c = self.chance
        k = c.randrange(12)
        if k < 3:
            return self.tensor()
        if k < 5:
            return c.choice(INTS)
        if k == 5:
            return c.choice(FLOATS)
        if k == 6:
            return c.choice(STRINGS)
        if k == 7:
            return c.choice(
                (None, True, False, 10**400, 1j, b"x", {}, object(), Hostile(), self.mi.float32, float, ...)
            )
        if k == 8:
            return np.zeros(self.shape(), c.choice((np.float32, np.int64, object, np.complex64)))
        if k == 9 and depth < 3:
            return [self.anything(depth + 1) for _ in range(c.randrange(5))]
        return tuple(c.choice(INTS) for _ in range(c.choice((0, 1, 2, 3, 4, 8, 9, 20))))

    def near(self, value: Any) -> Any:
        """Something like `value`, wrong in one way."""
        mi, c = self.mi, self.chance
        if c.random() < 0.1:
            return self.anything()
        if isinstance(value, mi.Tensor):
            return self.near_tensor(value)
        if isinstance(value, bool):
            return not value
        if isinstance(value, int):
            return c.choice((value + 1, value - 1, -value, *INTS))
        if isinstance(value, float):
            return c.choice(FLOATS)
        if isinstance(value, str):
            return c.choice(STRINGS)
        if isinstance(value, (tuple, list)):
            items = list(value)
            how = c.randrange(4)
            if how == 0 and items:
                items.pop(c.randrange(len(items)))
            elif how == 1:
                items.append(items[-1] if items else 1)
            elif how == 2 and items:
                k = c.randrange(len(items))
                items[k] = self.near(items[k])
            else:
                items = [self.near(v) for v in items]
            return type(value)(items) if type(value) in (tuple, list) else items
        if value is None:
            return self.tensor() if c.random() < 0.5 else c.choice(INTS)
        return getattr(mi, c.choice(DTYPES)) if isinstance(value, mi.dtype) else self.anything()

    def near_tensor(self, x: Any) -> Any:
        c = self.chance
        how = c.randrange(9)
        shape = list(x.shape)
        if how == 0:
            return self.tensor()
        if how == 1 and shape:
            k = c.randrange(len(shape))
            shape[k] = max(shape[k] + c.choice((-1, 1)), 0)
        elif how == 2 and shape:
            shape[c.randrange(len(shape))] = 0
        elif how == 3:
            shape.insert(c.randint(0, len(shape)), c.choice((1, 2)))
        elif how == 4 and shape:
            shape.pop()
        elif how == 5:
            return self.tensor(tuple(shape), c.choice(DTYPES))
        elif how == 6:
            return self.layout(x.detach())
        elif how == 7 and shape:
            shape = [c.choice(shape) for _ in shape]
        return self.tensor(tuple(shape), str(x.dtype).split(".")[-1])


def count_of(f: Any) -> int:
    doc = (getattr(f, "__doc__", "") or "").split("->")[0]
    return doc.count(":") if doc.startswith("def") else 3


def arguments(make: Maker, noted: Calls, count: int) -> tuple[list[Any], dict[str, Any]]:
    """A valid call with one to all of its arguments spoilt, or anything at all."""
    c = make.chance
    if noted and c.random() < 0.85:
        args, keywords = c.choice(noted)
        flat = [*args, *keywords.values()]
        if flat:
            for k in c.sample(range(len(flat)), min(len(flat), c.choice((1, 1, 1, 2, 2, 3, 9)))):
                flat[k] = make.near(flat[k])
        args, keywords = flat[: len(args)], dict(zip(keywords, flat[len(args) :]))
        return (args[:-1] if c.random() < 0.03 else args), keywords
    shape, how = make.shape(), c.random()
    wanted = max(count + (c.choice((-1, 1)) if c.random() < 0.05 else 0), 0)
    return [make.tensor(shape) if how < 0.4 and c.random() < 0.8 else make.anything() for _ in range(wanted)], {}


def short(a: Any, depth: int = 0) -> str:
    if hasattr(a, "_strides"):
        return f"T{a.dtype}{tuple(a.shape)}s{a._strides}" + ("" if a.numel() > 12 else repr(a.detach().tolist()))
    if isinstance(a, (tuple, list)) and depth < 2:
        return "[" + ", ".join(short(v, depth + 1) for v in a) + "]"
    return ascii(a)[:80]


def targets(where: str, mi: Any, real: dict[str, Any]) -> list[tuple[str, Any]]:
    if where == "core":
        return sorted((n, f) for n, f in real.items() if n not in LEFT_OUT)
    space = {"mi": mi, "functional": mi.nn.functional, "tensor": mi.Tensor}[where]
    found = [(n, getattr(space, n)) for n in sorted(dir(space)) if n[0] != "_" and n not in PUBLIC_LEFT_OUT]
    return [(n, f) for n, f in found if callable(f) and not isinstance(f, type)]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("where", choices=("core", "mi", "functional", "tensor"))
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default=None)
    parser.add_argument("--first", default="", help="leave out the functions before this name")
    parser.add_argument("--journal", default=os.devnull)
    o = parser.parse_args()
    faulthandler.enable()
    warnings.simplefilter("ignore")
    mi, noted, real = load_noting()
    with open("/proc/self/statm") as f:  # of address space: an allocation beyond it is a MemoryError
        limit = int(f.read().split()[0]) * os.sysconf("SC_PAGE_SIZE") + (1 << 30)
    if "MIELINA_SANITIZED" not in os.environ:
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))
    journal = os.open(o.journal, os.O_CREAT | os.O_WRONLY)
    calls = raised = 0
    with tempfile.TemporaryDirectory() as folder:
        make = Maker(mi, folder)
        for name, f in targets(o.where, mi, real):
            valid = noted.get(f"{o.where}.{name}", [])
            if name < o.first or (o.only and name != o.only):
                continue
            for r in range(o.rounds):
                make.seed(o.seed, name, r)
                args, keywords = arguments(make, valid, count_of(f))
                os.pwrite(journal, f"{name} {r}: {short(args)} {ascii(keywords)[:500]}\n\0".encode(), 0)
                calls += 1
                try:
                    f(*args, **keywords)
                except KeyboardInterrupt:
                    raise
                except BaseException as e:
                    raised += 1
                    if isinstance(e, SystemError):  # an error return without an exception, or the other way round
                        print(f"{name} {r}: {e!r}: {short(args)}"[:2000])
                        sys.exit(3)
                reset(mi, real)
    print(f"{calls} calls, {raised} exceptions")


def reset(mi: Any, real: dict[str, Any]) -> None:
    """What a call may have switched, as it was."""
    real["set_grad_enabled"](True)
    real["set_default_dtype"](mi.float32)
    real["set_tracer"](None)
    if real["num_threads"]() != 2:
        real["set_num_threads"](2, "fuzz")


if __name__ == "__main__":
    main()
