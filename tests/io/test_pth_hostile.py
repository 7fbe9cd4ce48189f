"""Pickles that want to run something, lie about numbers, or take long: ValueErrors, nothing imported, nothing run."""

import sys
from collections import OrderedDict

import pytest
from mielina.io.unpickle import unpickle
from pth_writer import (
    NO_HOOKS,
    ORDERED,
    PARAMETER,
    REBUILD,
    START,
    STOP,
    Built,
    Call,
    Name,
    Pid,
    loaded,
    parts,
    refused,
    steps,
    store,
    tensor,
    text,
    zipped,
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.pth"


# ---- pickles that want to run something ------------------------------------------------------------------------------
def gadgets(flag):
    """Shapes of known attacks; each would make the file `flag`, were its code run."""
    touch = f"touch {flag}"
    python = f"open({str(flag)!r}, 'w')"
    system, evaluate = Name("os", "system"), Name("builtins", "eval")
    getattr_, import_ = Name("builtins", "getattr"), Name("builtins", "__import__")
    start, stop = b"\x80\x02", b"."
    return {
        "os.system": Call(system, (touch,)),
        "posix.system": Call(Name("posix", "system"), (touch,)),
        "subprocess": Call(Name("subprocess", "check_output"), (["touch", str(flag)],)),
        "eval": Call(evaluate, (python,)),
        "exec of Python 2": Call(Name("__builtin__", "exec"), (python,)),
        "in a value": {"a": [1, {"b": Call(evaluate, (python,))}]},
        "as a key": [start, b"}", *steps(Call(system, (touch,)))[1:-1], b"K\1", b"s", stop],
        "as arguments": tensor(size=Call(evaluate, (python,))),
        "as hooks": tensor(hooks=Call(evaluate, (python,))),
        "hooks that hold a function": tensor(hooks=Call(ORDERED, ([("a", system)],))),
        "as a storage": tensor(storage=Call(evaluate, (python,))),
        "as a persistent id": tensor(storage=Pid(Call(evaluate, (python,)))),
        "as metadata": Built(OrderedDict(), {"_metadata": Call(evaluate, (python,))}),
        "nested reduce": Call(Call(getattr_, (Call(import_, ("os",)), "system")), (touch,)),
        "getattr chain": Call(getattr_, (ORDERED, "__init__")),
        "dotted name": Call(Name("collections", "OrderedDict.__init__.__globals__"), ()),
        "dotted module": Call(Name("torch._utils", "os.system"), (touch,)),
        "name beside": Name("collections", "defaultdict"),
        "module beside": Name("torch._utils._rebuild_tensor_v2", ""),
        "spaces": Name("collections ", "OrderedDict"),
        "other case": Name("Collections", "OrderedDict"),
        "torch.hub": Call(Name("torch.hub", "load"), ("x/y", "z")),
        "torch.load": Call(Name("torch", "load"), (str(flag),)),
        "torch.serialization.load": Call(Name("torch.serialization", "load"), (str(flag),)),
        "numpy": Call(Name("numpy.core.multiarray", "_reconstruct"), (Name("numpy", "ndarray"), (0,))),
        "codecs": Call(Name("_codecs", "encode"), ("x", "latin1")),
        "never imported": Name("antigravity", "fly"),
        "INST": [start, b"(", text(touch), b"ios\nsystem\n", stop],
        "INST of an allowed name": [start, b"(", b"icollections\nOrderedDict\n", stop],
        "OBJ": [start, b"(", b"cos\nsystem\n", text(touch), b"o", stop],
        "OBJ of an allowed name": [start, b"(", b"ccollections\nOrderedDict\n", b"o", stop],
        "NEWOBJ": [start, b"ccollections\nOrderedDict\n", b")", b"\x81", stop],
        "NEWOBJ_EX": [b"\x80\x04", b"ccollections\nOrderedDict\n", b")", b"}", b"\x92", stop],
        "EXT1": [start, b"\x82\x01", stop], "EXT2": [start, b"\x83\x01\0", stop],
        "EXT4": [start, b"\x84\x01\0\0\0", stop],
        "PERSID": [start, b"Pstorage\n", stop],
        "BUILD __setstate__": Built(OrderedDict(), {"__setstate__": 1}),
        "BUILD __dict__": Built(OrderedDict(), {"__dict__": {"a": 1}}),
        "BUILD with slots": Built(OrderedDict(), (None, {"_metadata": 1})),
        "BUILD more": Built(OrderedDict(), {"_metadata": 1, "items": 2}),
        "BUILD on a dict": Built({}, {"_metadata": 1}),
        "BUILD on a list": Built([], {"_metadata": 1}),
        "BUILD on a tensor": Built(tensor(), {"_metadata": 1}),
        "BUILD on the class": Built(ORDERED, {"_metadata": 1}),
        "BUILD on the function": Built(REBUILD, {"_metadata": 1}),
        "BUILD on the class by memo": [start, b"ccollections\nOrderedDict\n", b"q\0", b")", b"R", b"h\0", b"}",
        text("_metadata"),
                                       b"N", b"s", b"b", b"0", stop],
        "SETITEM on the class": [start, b"ccollections\nOrderedDict\n", text("keys"), b"N", b"s", stop],
        "APPEND on a tuple": [start, b")", b"N", b"a", stop],
        "STACK_GLOBAL": [b"\x80\x04", text("os"), text("system"), b"\x93", text(touch), b"\x85", b"R", stop],
        "STACK_GLOBAL of memo": [b"\x80\x04", text("os"), b"\x94", text("system"), b"\x94", b"h\0", b"h\1", b"\x93",
        stop],
        "STACK_GLOBAL of no strings": [b"\x80\x04", b"K\1", b"N", b"\x93", stop],
        "STACK_GLOBAL of containers": [b"\x80\x04", b"]", b"}", b"\x93", stop],
        "class as the result": ORDERED, "class as a value": {"a": ORDERED}, "class in a list": [ORDERED],
        "class in a tuple": {"a": (1, (ORDERED,))}, "storage as a value": {"a": store()},
        "storage in a tuple": {"a": (store(),)},
        "class as a key": [start, b"}", b"ccollections\nOrderedDict\n", b"N", b"s", stop],
        "OrderedDict of a class": Call(ORDERED, ([("a", ORDERED)],)),
        "OrderedDict of a dict": Call(ORDERED, ({"a": 1},)), "OrderedDict of two": Call(ORDERED, ([], [])),
        "OrderedDict of a string": Call(ORDERED, (["ab"],)), "OrderedDict of triples": Call(ORDERED, ([(1, 2, 3)],)),
        "OrderedDict of a list": Call(ORDERED, []), "OrderedDict with list keys": Call(ORDERED, ([([], 1)],)),
        "call of a string": Call("os.system", (touch,)), "call of a tensor": Call(tensor(), ()),
        "call of a storage class": Call(Name("torch", "FloatStorage"), (3,)), "call of a storage": Call(store(), ()),
        "tuple key": {(): 1}, "float key": {1.5: 1}, "bool key": {True: 1}, "None key": {None: 1},
        "key of 65 bits": {2**63: 1},
        "key twice": [start, b"}", b"(", b"K\1", b"N", b"K\1", b"N", b"u", stop],
    }  # fmt: skip


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("name", gadgets("f"))
def test_nothing_is_run(path, tmp_path, name, protocol):
    flag = tmp_path / "ran"
    what = gadgets(flag)[name]
    raw = isinstance(what, list) and isinstance(what[0], bytes)
    refused(path, zipped(parts(ORDERED)))  # what the first file of all imports, mmap
    modules = set(sys.modules)
    refused(path, zipped(parts(what if raw else {"x": what}, protocol=protocol)))
    refused(path, zipped(parts(what, protocol=protocol)))
    assert not flag.exists() and set(sys.modules) == modules


def test_messages_name_what_was_refused(path):
    found = gadgets("f")
    refused(path, zipped(parts(found["os.system"])), r"os\.system is not among")
    refused(path, zipped(parts(found["STACK_GLOBAL"])), r"os\.system is not among")
    for name in ("INST", "NEWOBJ", "NEWOBJ_EX", "EXT1", "PERSID"):
        refused(path, zipped(parts(found[name])), f"instruction {name} is")
    refused(path, zipped(parts(found["OBJ of an allowed name"])), "instruction OBJ is")
    refused(path, zipped(parts(Name("a\x1b[31m" + "b" * 100, "c" * 100))), r"a\\x1b\[31mb+\.c+ is")


# ---- numbers that lie ------------------------------------------------------------------------------------------------
NUMBERS = {
    "outside": ((2, 4), (3, 1), 0), "offset outside": ((2, 3), (3, 1), 1), "offset of an empty one": ((0,), (1,), 7),
    "negative offset": ((1,), (1,), -1), "negative size": ((-1,), (1,), 0), "both negative": ((-2, -3), (3, 1), 0),
    "negative stride": ((6,), (-1,), 5), "stride overflow": ((2, 2), (2**62, 2**62), 0),
    "stride wraps to 0": ((3,), (2**63,), 0), "stride of 65 bits": ((2,), (2**64,), 0),
    "stride of an empty": ((0,), (2**63,), 0),
    "offset wraps": ((2,), (1,), 2**64 - 1), "size overflow": ((2**32, 2**32), (0, 0), 0),
    "size of 65 bits": ((2**64,), (0,), 0),
    "many empty rows": ((2**20, 0), (1, 1), 0), "empty rows of many": ((0, 2**31), (1, 1), 0),
    "bytes overflow beside 0": ((2**61, 0), (1, 1), 0),
    "size overflow beside 0": ((2**40, 2**40, 0), (0, 0, 0), 0), "product wraps to 6": ((2**63 + 3, 2), (0, 0), 0),
    "2000 bits": ((2**2000,), (0,), 0), "bomb": ((2**20, 2**10), (0, 0), 0),
    "bomb of a megabyte": ((2**18 + 1,), (0,), 0),
    "more sizes": ((2, 3), (3,), 0), "more strides": ((2,), (3, 1), 0), "nine dimensions": ((1,) * 9, (1,) * 9, 0),
    "float size": ((2.0, 3), (3, 1), 0), "bool size": ((True,), (1,), 0), "text offset": ((1,), (1,), "0"),
    "None": (None, None, 0),
    "lists": ([2, 3], [3, 1], 0), "tensor size": ((tensor((), ()),), (1,), 0),
}  # fmt: skip


@pytest.mark.parametrize("name", NUMBERS)
def test_geometry_that_lies(path, name):
    refused(path, zipped(parts({"x": tensor(*NUMBERS[name])})))


def test_expansion_that_is_not_a_bomb(path):
    assert loaded(path, zipped(parts({"x": tensor((2**18,), (0,))})))["x"].shape == (2**18,)


def test_storages_that_lie(path):
    kind = Name("torch", "FloatStorage")
    for numel in (0, 5, 7, 2**62, 2**64, -1, -6, 6.0, True, "6", None):
        refused(path, zipped(parts({"x": tensor((1,), (1,), storage=store(numel=numel))})))
    for key in ("1", "", "00", "-0", " 0", "0\0", "../0", 0, None, "9" * 10**6, "\u0660"):
        refused(path, zipped(parts({"x": tensor(storage=Pid(("storage", kind, key, "cpu", 6)))})))
    for args in (
        ("module", kind, "0", "cpu", 6), ("storage", kind, "0", "cpu"), ("storage", kind, "0", "cpu", 6, None),
        (tensor(), kind, "0", "cpu", 6), (), 5,
        "0",
        ("storage", ORDERED, "0", "cpu", 6), ("storage", "FloatStorage", "0", "cpu", 6), ("storage", kind, "0", None,
        6),
        ["storage", kind, "0", "cpu", 6],
    ):  # fmt: skip
        refused(path, zipped(parts({"x": tensor(storage=Pid(args))})))
    twice = {"x": tensor(), "y": tensor((1,), (1,), storage=store(kind="Int"))}
    refused(path, zipped(parts(twice)), "two kinds")
    for name in ("ComplexFloatStorage", "UntypedStorage", "QInt8Storage", "storage"):
        refused(
            path,
            zipped(parts({"x": tensor(storage=Pid(("storage", Name("torch", name), "0", "cpu", 6)))})),
            f"torch.{name}",
        )


def test_arguments_that_lie(path):
    good = (store(), 0, (2, 3), (3, 1), False, NO_HOOKS)
    for args in ((), good[:5], (*good, {}, {}), (None, *good[1:]), (*good[:4], None, NO_HOOKS), (*good[:5], None),
                 (*good[:5], {}), (*good[:5], OrderedDict(a=1)), (*good, {"neg": True}), (*good, {"conj": 0}), (*good,
                 []),
                 (*good, {"a": False, "b": False, "c": False})):  # fmt: skip
        refused(path, zipped(parts({"x": Call(REBUILD, args)})))
    for args in (
        (),
        (tensor(), True),
        (None, True, NO_HOOKS),
        (tensor(), 1, NO_HOOKS),
        (tensor(), True, {}),
        (store(), True, NO_HOOKS),
    ):
        refused(path, zipped(parts({"x": Call(PARAMETER, args)})))


# ---- programs that take long, or much --------------------------------------------------------------------------------
def nested(depth, open_, close):
    return [START, b"}", text("x"), *[open_] * depth, *[close] * (depth - 1), b"s", STOP]


def laughs(make, depth):
    """Each level holds the one before twice: 2^depth objects in a few bytes."""
    code = [START, b"}", text("x"), b"(", b")", b"q\0"]
    for i in range(depth):
        code += [make(bytes([i])), b"q" + bytes([i + 1])]
    return [*code, b"t", b"s", STOP]


def test_depth(path):
    tuples = [START, b"}", text("x"), b")", *[b"\x85"] * 97, b"s", STOP]
    assert loaded(path, zipped(parts(tuples)))["x"]
    refused(path, zipped(parts([*tuples[:4], *[b"\x85"] * 99, b"s", STOP])), "100 levels")
    assert loaded(path, zipped(parts(nested(99, b"]", b"a"))))["x"]
    refused(path, zipped(parts(nested(100, b"]", b"a"))), "100 levels")
    refused(path, zipped(parts(nested(200_000, b"]", b"a"))), "100 levels")
    refused(path, zipped(parts([START, b"}", *[text("x") + b"}"] * 10_000, *[b"s"] * 10_000, STOP])), "100 levels")


def test_programs_that_do_not_end_well(path):
    refused(path, zipped(parts(laughs(lambda i: b"h" + i + b"h" + i + b"\x86", 60))), "objects")
    refused(path, zipped(parts(laughs(lambda i: b"](h" + i + b"h" + i + b"e", 60))), "objects")
    assert loaded(path, zipped(parts(laughs(lambda i: b"h" + i + b"h" + i + b"\x86", 12))))["x"]
    refused(path, zipped(parts([START, *[b"N"] * 10**6, STOP])), "1000000 pickle instructions")
    refused(path, zipped(parts([START, *[b"("] * 10**6, STOP])), "1000000 pickle instructions")
    refused(path, zipped(parts([START, b"N" * 64_000_000, STOP])), "bytes of pickle")
    same = b"](" + b"".join(b"K%cK\0\x86" % i for i in range(250)) + b"e\x85q\0"
    again = [START, b"ccollections\nOrderedDict\nq\1", same, *[b"h\1h\0R"] * 10_000, STOP]
    refused(path, zipped(parts(again)), "pairs")
    long_key = tensor(storage=Pid(("storage", Name("torch", "FloatStorage"), "0" * 10**6, "cpu", 6)))
    refused(path, zipped(parts({"x": long_key})), "decimal")


def test_depth_of_ordered_dicts_of_pairs(path):
    def nest(depth):
        value = 1
        for _ in range(depth):
            value = Call(ORDERED, ([("a", value)],))
        return zipped(parts({"x": value}))

    assert loaded(path, nest(40))["x"]
    refused(path, nest(110), "100 levels")


def test_arguments_are_no_result():
    for value in (ORDERED, (ORDERED,), (1, (REBUILD,)), ((), ((ORDERED,), 2))):
        with pytest.raises(ValueError, match="as the result"):
            unpickle(b"".join(steps(value)), None, None)


def test_what_contains_itself(path):
    for code in (
        [b"]", b"q\0", b"h\0", b"a"], [b"]", b"q\0", b"(", b"h\0", b"h\0", b"e"], [b"}", b"q\0", b"K\1", b"h\0", b"s"],
        [b"]", b"q\0", b"h\0", b"\x85", b"a"], [b"]", b"q\0", b"]", b"h\0", b"a", b"a"],
        [b"ccollections\nOrderedDict\n", b")", b"R", b"q\0", b"K\1", b"h\0", b"s"],
    ):  # fmt: skip
        refused(path, zipped(parts([START, b"}", text("x"), *code, b"s", STOP])), "contains itself")
    late = [
        START,
        b"}",
        b"(",
        text("x"),
        b"]",
        b"q\0",
        text("y"),
        b"h\0",
        b"\x85",
        text("z"),
        b"h\0",
        b"K\1",
        b"a",
        b"u",
        STOP,
    ]
    assert loaded(path, zipped(parts([*late[:9], b"u", STOP]))) == {"x": [], "y": ([],)}
    refused(path, zipped(parts(late)), "contains itself")


BAD = {
    "nothing": [], "no stop": [START, b"}"], "no protocol": [b"}", STOP], "protocol 0": [b"\x80\0", b"}", STOP],
    "protocol 6": [b"\x80\6", b"}", STOP], "protocol twice": [START, START, b"}", STOP], "empty stack": [START, STOP],
    "two results": [START, b"}", b"}", STOP], "open mark": [START, b"(", b"}", STOP], "tail": [START, b"}", STOP, b"N"],
    "two pickles": [START, b"}", STOP, START, b"}", STOP], "no mark": [START, b"N", b"t", STOP],
    "no items": [START, b"e", STOP],
    "pop below a mark": [START, b"N", b"(", b"\x85", STOP],
    "fill below a mark": [START, b"}", b"(", b"K\1", b"K\1", b"s", STOP],
    "odd items": [START, b"}", b"(", b"K\1", b"u", STOP], "memo of nothing": [START, b"q\0", b"}", STOP],
    "memo unknown": [START, b"h\0", STOP], "memo twice": [START, b"}", b"q\0", b"q\0", STOP],
    "memo far": [START, b"}", b"r\xff\xff\xff\xff", STOP], "memo at the limit": [START, b"}", b"r@B\x0f\0", STOP],
    "below a mark": [START, b"}", text("x"), b"N", b"(", b"\x85", b"t", b"\x86", b"s", STOP],
    "LONG4 in a dict": [START, b"}", text("x"), b"\x8b\x01\x01\0\0" + b"\1" * 257, b"s", STOP],
    "LONG4 long": [START, b"\x8b\x01\x01\0\0" + b"\1" * 257, STOP], "LONG4 lie": [START, b"\x8b\xff\xff\xff\x7f", STOP],
    "LONG4 negative": [START, b"\x8b\xff\xff\xff\xff", STOP], "LONG1 cut": [START, b"\x8a\xff", STOP],
    "text lies": [START, b"X\xff\xff\xff\xffa", STOP], "text is not UTF-8": [START, b"X\2\0\0\0\xff\xfe", STOP],
    "lone surrogate": [START, b"X\3\0\0\0\xed\xa0\x80", STOP],
    "frame lies": [b"\x80\4", b"\x95" + b"\xff" * 8, b"}", STOP],
    "name without an end": [START, b"c" + b"a" * 10_000, STOP], "name cut": [START, b"ccollections\n", STOP],
    "name is not UTF-8": [START, b"c\xff\n\xfe\n", STOP], "unknown": [START, b"\xff", STOP],
    "float cut": [START, b"G\0\0", STOP],
    "INT": [START, b"I1\n", STOP], "LONG": [START, b"L1L\n", STOP], "FLOAT": [START, b"F1\n", STOP],
    "STRING": [START, b"S'a'\n", STOP],
    "UNICODE": [START, b"Va\n", STOP], "POP": [START, b"}", b"N", b"0", STOP], "DUP": [START, b"}", b"2", STOP],
    "BYTES": [START, b"C\1a", STOP], "set": [b"\x80\4", b"\x8f", STOP], "list": [START, b"]", STOP],
    "number": [START, b"K\1", STOP],
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_damaged_pickles(path, name):
    refused(path, zipped(parts(BAD[name] or [b""])))
