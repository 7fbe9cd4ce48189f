"""Damaged files: whatever the bytes are, a ValueError, and no memory is asked for on their word."""

import json
import os
import struct

import mielina as mi
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

VALID = {"a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}
DATA = np.arange(6, dtype=np.float32).tobytes()
MANY = settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])


def file_of(header, data=DATA, length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(**changed):
    return {"a": {**VALID["a"], **changed}}


def refused(path, content, match=None):
    path.write_bytes(content)
    peak = mi._core.memory_stats()[1]
    with pytest.raises(ValueError, match=match) as caught:
        mi.load(path)
    assert str(path) in str(caught.value)
    assert mi._core.memory_stats()[1] == peak


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file"


def test_the_file_that_is_spoilt_is_valid(path):
    path.write_bytes(file_of(VALID))
    assert mi.load(path)["a"].tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize("size", [0, 1, 7])
def test_too_short(path, size):
    refused(path, file_of(VALID)[:size], "not a safetensors file")


def test_every_truncation(path):
    whole = file_of(VALID)
    for size in range(len(whole)):
        refused(path, whole[:size])


def test_something_behind_the_end(path):
    refused(path, file_of(VALID) + b"\0")


@pytest.mark.parametrize("length", [0, 1, 10**4, 10**8 + 1, 2**31, 2**62, 2**63, 2**64 - 1])
def test_header_lengths_that_lie(path, length):
    refused(path, file_of(VALID, length=length))


SPOILT = {
    "past the end": entry(shape=[2, 4], data_offsets=[0, 32]),
    "far past the end": entry(shape=[2**40], data_offsets=[0, 2**42]),
    "begins behind": entry(data_offsets=[24, 48]),
    "backwards": entry(data_offsets=[24, 0]),
    "negative offset": entry(data_offsets=[-24, 0]),
    "negative size": entry(shape=[-2, -3]),
    "fractional size": entry(shape=[2.0, 3]),
    "size as text": entry(shape=["2", 3]),
    "wrong size": entry(shape=[2, 2]),
    "product overflows": entry(shape=[2**32, 2**32]),
    "product overflows to the right size": entry(shape=[2**62, 2**62, 2**62]),
    "product overflows beside zero": entry(shape=[2**63, 2**63, 0], data_offsets=[0, 24]),
    "beyond 64 bits": entry(shape=[2**64]),
    "three offsets": entry(data_offsets=[0, 12, 24]),
    "one offset": entry(data_offsets=[24]),
    "no offsets": {"a": {"dtype": "F32", "shape": [2, 3]}},
    "no dtype": {"a": {"shape": [2, 3], "data_offsets": [0, 24]}},
    "unknown dtype": entry(dtype="F31"),
    "dtype of another case": entry(dtype="f32"),
    "dtype as a number": entry(dtype=32),
    "overlap": {"a": VALID["a"], "b": {"dtype": "F32", "shape": [1], "data_offsets": [20, 24]}},
    "hole": {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
             "b": {"dtype": "F32", "shape": [4], "data_offsets": [8, 24]}},
    "unused tail": entry(shape=[2, 2], data_offsets=[0, 16]),
    "entry is a list": {"a": [1, 2]},
    "entry is null": {"a": None},
    "metadata of numbers": {**VALID, "__metadata__": {"a": 1}},
    "metadata is a list": {**VALID, "__metadata__": ["a"]},
    "list": [VALID],
    "number": 7,
    "null": None,
    "text": "a",
    "no JSON": b"{'a': 1}",
    "empty": b"",
    "spaces": b" " * 64,
    "invalid UTF-8": json.dumps(VALID).encode().replace(b'"a"', b'"\xff\xfe"'),
    "lone surrogate": json.dumps(VALID).encode().replace(b'"a"', b'"\\ud800"'),
    "twice": b'{"a": %s, "a": %s}' % ((json.dumps(VALID["a"]).encode(),) * 2),
    "field twice": json.dumps(VALID).encode().replace(b'"shape"', b'"shape": [1], "shape"'),
    "deep nesting": b"[" * 100_000 + b"]" * 100_000,
    "deep nesting in an entry": json.dumps(VALID).encode().replace(b"[2, 3]", b"[" * 5000 + b"]" * 5000),
    "open end": b'{"a":' * 5000,
    "NaN": entry(shape=[float("nan")]),
}  # fmt: skip


@pytest.mark.parametrize("name", SPOILT)
def test_spoilt_headers(path, name):
    refused(path, file_of(SPOILT[name]))


@pytest.mark.parametrize(
    "tree",
    [
        "", "7", "[]", "{}", "null", '{"tensor": "b"}', '{"tensor": [1]}', '{"dict": 1}',
        '{"dict": [[[1], {"value": 1}]]}',
        '{"dict": [["a"]]}', '{"list": {"value": 1}}', '{"float": 1}', '{"float": "x"}', '{"float": "0x1p99999"}',
        '{"value": [1]}', '{"value": {"a": 1}}', '{"value": NaN}', '{"value": 1.5}', '{"call": "print"}',
        '{"value": 1, "list": []}', '{"list": [' * 50000, '{"list": [' * 50000 + "]}" * 50000,
        '{"value": ' + "9" * 5000 + "}", "\ud7ff",
    ],
)  # fmt: skip
def test_spoilt_trees(path, tree):
    refused(path, file_of({**VALID, "__metadata__": {"mielina.tree": tree}}), "damaged")


@MANY
@given(st.binary(max_size=400))
def test_random_bytes(tmp_path, content):
    refused(tmp_path / "file", content)


@MANY
@given(st.binary(max_size=200), st.binary(max_size=64))
def test_random_headers(tmp_path, header, data):
    refused(tmp_path / "file", file_of(b"{" + header, data))


def loads_or_refuses(path, content):
    """A flip may leave a valid file, of other values or another name: then all of it must be readable."""
    path.write_bytes(content)
    try:
        state = mi.load(path)
    except ValueError:
        return
    for t in state.values():
        assert t.nbytes <= len(content)
        t.tolist()


@MANY
@given(st.integers(0, 10**6), st.integers(1, 255))
def test_flipped_bytes(tmp_path, place, flip):
    content = bytearray(file_of(VALID))
    content[place % len(content)] ^= flip
    loads_or_refuses(tmp_path / "file", bytes(content))


numbers = st.one_of(st.integers(-3, 30), st.integers(), st.sampled_from([2**31, 2**32, 2**62, 2**63, 2**64, 2**70]))
entries = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "BF16", "I8", "BOOL", "F64", "U64", "F8_E5M2", "C64", "X"]),
        "shape": st.lists(numbers, max_size=10),
        "data_offsets": st.one_of(st.tuples(numbers, numbers), st.just((0, 24)), st.lists(numbers, max_size=3)),
    }
)


@MANY
@given(st.dictionaries(st.text(max_size=3), entries, max_size=3))
def test_made_up_headers(tmp_path, header):
    loads_or_refuses(tmp_path / "file", file_of(header))


@MANY
@given(st.lists(st.integers(0, 5), max_size=8))
def test_right_headers_of_any_rank(tmp_path, shape):
    """Up to eight dimensions come back; this is the control of the test above."""
    size = int(np.prod(shape, dtype=np.int64))
    path = tmp_path / "file"
    path.write_bytes(file_of({"a": {"dtype": "I8", "shape": shape, "data_offsets": [0, size]}}, bytes(size)))
    assert mi.load(path)["a"].shape == tuple(shape)


def test_nine_dimensions(path):
    refused(path, file_of(entry(shape=[2, 3] + [1] * 7)), "at most 8 dimensions")


# ---- paths -----------------------------------------------------------------------------------------------------------
def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        mi.load(tmp_path / "nowhere")


def test_a_folder(tmp_path):
    with pytest.raises(IsADirectoryError):
        mi.load(tmp_path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_must_not_be_read(path):
    path.write_bytes(file_of(VALID))
    path.chmod(0)
    with pytest.raises(PermissionError):
        mi.load(path)


@pytest.mark.parametrize("wrong", [None, 3.5, mi.ones(1), ["a"]])
def test_no_path(wrong):
    with pytest.raises(TypeError):
        mi.load(wrong)
    with pytest.raises(TypeError):
        mi.save({}, wrong)
