"""Zip archives that are none of torch.save's, or that would be two files to two readers: ValueErrors."""

import struct

import pytest
from mielina.io.pth import load_pth
from pth_writer import FULL, SIX, Call, Name, loaded, parts, refused, steps, tensor, zipped


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.pth"


# ---- other files -----------------------------------------------------------------------------------------------------
def test_other_formats(path):
    old = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03."
    refused(path, old, r"before 1\.6; .*torch\.save\(torch\.load\('.*file\.pth', weights_only=True\), 'new\.pth'\)")
    refused(path, b"".join(steps({"a": 1})), "plain pickle")
    refused(path, b"".join(steps({"a": 1}, 4)), "plain pickle")
    for other in (b"", b"PK", b"PK\3\4", b"\x1f\x8b" + bytes(40), b'{"a": 1}' * 9, bytes(4096)):
        refused(path, other)
    entries = parts({"x": tensor()})
    refused(path, zipped([*entries, ("code/__torch__.py", b"")]), "TorchScript")
    refused(path, zipped([("constants.pkl", b"\x80\x02)."), *entries]), "TorchScript")


def test_paths(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load_pth(tmp_path / "nowhere.pth")
    with pytest.raises(IsADirectoryError):
        load_pth(tmp_path)
    for wrong in (None, 3.5, ["a"]):
        with pytest.raises(TypeError):
            load_pth(wrong)


def test_an_unknown_device(path):
    path.write_bytes(zipped(parts({"x": tensor()})))
    assert load_pth(path, device="cpu")["x"].shape == (2, 3)
    with pytest.raises((ValueError, RuntimeError), match="abacus"):
        load_pth(path, device="abacus")


def test_every_truncation(path):
    whole = zipped(parts({"x": tensor()}), align=0)
    for size in range(len(whole)):
        refused(path, whole[:size])


N = {name: i for i, (name, _) in enumerate(parts({}))}  # entries by name
ZIPS = {
    "prefix": ({"prefix": b"PK\3\4#!/bin/sh\n"}, None), "suffix": ({"suffix": b"\0"}, "cut off"),
    "comment": ({"suffix": b"hello", "end": {"comment": 5}}, None), "between": ({"between": b"x"}, "between|two ways"),
    "comment said only": ({"end": {"comment": 5}}, "cut off"),
    "compressed": ({"central": {0: {"method": 8}}, "local": {0: {"method": 8}}}, "compressed"),
    "compressed here only": ({"local": {0: {"method": 8}}}, "two ways"),
    "encrypted": ({"central": {0: {"flags": 0x809}}, "local": {0: {"flags": 0x809}}}, "encrypted"),
    "encrypted here only": ({"local": {2: {"flags": 0x809}}}, "two ways"),
    "other sizes here": ({"local": {2: {"size": 23, "packed": 23}}}, "two ways"),
    "other crc here": ({"local": {2: {"crc": 5}}}, "two ways"),
    "other crc behind": ({"behind": {2: {"crc": 5}}}, "two ways"),
    "other size behind": ({"behind": {2: {"size": 23}}}, "two ways"),
    "no sign behind": ({"behind": {2: {"sign": b"PK\1\2"}}}, "two ways"),
    "longer": ({"central": {2: {"size": 400, "packed": 400}}}, None),
    "shorter": ({"central": {2: {"size": 20, "packed": 20}}}, None),
    "huge": ({"central": {2: {"size": FULL - 1, "packed": FULL - 1}}}, None),
    "full, no 64 bits": ({"central": {2: {"size": FULL, "packed": FULL}}}, None),
    "64 bits too short": ({"central": {2: {"size": FULL, "packed": FULL,
    "extra_bytes": struct.pack("<2HQ", 1, 8, 24)}}},
                          "64-bit"),
    "64-bit lie": ({"central": {2: {"size": FULL, "packed": FULL,
    "extra_bytes": struct.pack("<2H2Q", 1, 16, *[2**63] * 2)}}},
                   None),
    "packed differs": ({"central": {2: {"packed": 20}}}, "compressed"),
    "overlap": ({"central": {3: {"offset": 64}}}, None), "same place": ({"central": {3: {"offset": 0}}}, None),
    "streamed past the end": ({"central": {3: {"size": 5000, "packed": 5000}, 4: {"offset": 2**20}}}, "overlap"),
    "offset beyond": ({"central": {3: {"offset": FULL - 1}}}, None),
    "no local header": ({"local": {2: {"sign": b"PK\1\2"}}}, "two ways"),
    "long local name": ({"local": {2: {"named": 65535}}}, "two ways"),
    "long local extra": ({"local": {2: {"extra": 65535}}}, "two ways"),
    "long name": ({"central": {2: {"named": 65535}}}, "damaged"),
    "comment of an entry": ({"central": {2: {"comment": 4}}}, None),
    "other disk": ({"central": {2: {"disk": 1}}}, "damaged"),
    "no directory": ({"central": {2: {"sign": b"PK\3\4"}}}, None),
    "too many": ({"end": {"here": 9, "count": 9}, "end64": {"here": 9, "count": 9}}, None),
    "far too many": ({"end": {"here": 65535, "count": 65535}, "end64": {"here": 2**63, "count": 2**63}}, "at most"),
    "too few": ({"end": {"here": 2, "count": 2}, "end64": {"here": 2, "count": 2}}, "damaged"),
    "two counts": ({"end": {"here": 4}}, "disagree"), "two starts": ({"end": {"start": 0}}, "disagree"),
    "start beyond": ({"end": {"start": FULL}, "end64": {"start": 2**64 - 1}}, "not where"),
    "spanned": ({"end64": {"disk": 1}, "end": {"disk": 1}}, "not where"),
    "two disks": ({"locator": {"disks": 2}}, "disagree"),
    "locator elsewhere": ({"locator": {"at": 0}}, "disagree"), "no end64": ({"end64": {"sign": b"PK\6\5"}}, "disagree"),
    "narrow spanned": ({"wide": False, "end": {"disk": 1}}, "not where"),
    "narrow start": ({"wide": False, "end": {"start": 8}}, "not where"),
    "narrow full": ({"wide": False, "end": {"start": FULL, "count": 0xFFFF, "here": 0xFFFF}}, None),
    "escapes": ({"top": "../"}, "none of torch"), "here": ({"top": "./"}, "none of torch"),
    "root": ({"top": "/"}, "none of"),
    "deep": ({"top": "a/b/"}, "none of torch"), "no folder": ({"top": ""}, "none of torch"),
    "drive": ({"top": "C:\\x/"}, "none of torch"), "NUL": ({"top": "a\0/"}, "none of torch"),
}  # fmt: skip


@pytest.mark.parametrize("name", ZIPS)
def test_spoilt_archives(path, name):
    how, match = ZIPS[name]
    refused(path, zipped(parts({"x": tensor()}), **how), match)


def test_spoilt_entries(path):
    good = parts({"x": tensor()})
    evil = b"".join(steps({"x": Call(Name("os", "system"), ("true",))}))
    refused(path, zipped([*good, ("data.pkl", evil)]), "twice")
    refused(path, zipped([("data.pkl", evil), *good]), "twice")
    refused(path, zipped([*good, ("data/0", SIX)]), "twice")
    for name in (
        "data/../../x",
        "data/00/1",
        "data/a",
        "data/",
        "",
        "x",
        "data/0\0",
        "data/-1",
        "data/" + "1" * 19,
        "data\\0",
    ):
        refused(path, zipped([*good, (name, b"")]), "none of torch")
    refused(path, zipped(good[1:]), r"no data\.pkl")
    refused(path, zipped([]), None)
    refused(path, zipped([("data.pkl", good[0][1]), *good[3:]]), "storage 0 is missing")
    refused(path, zipped([good[0], ("byteorder", b"big"), *good[2:]]), "big-endian")
    refused(path, zipped([good[0], ("byteorder", b"little" * 4), *good[2:]]), "big-endian")
    other = zipped(good, top="archivf/")
    two = zipped(good).replace(b"archive/version", b"archivf/version")
    assert loaded(path, other)["x"].shape == (2, 3)
    refused(path, two, "second folder")
    refused(path, zipped(good).replace(b"archive/version", b"archiv\xff/version"), "UTF-8")
    one_side = zipped(good).replace(b"archive/data/0", b"archive/data/1", 1)
    refused(path, one_side, "two ways")
