"""IDX files: what is written is read, and damaged files are named."""

import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mielina.datasets import read_idx, write_idx


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "float32", "float64"])
@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("shape", [(5,), (3, 4, 2), (0, 28, 28)])
def test_round_trip(dtype, ending, shape, tmp_path):
    a = (np.random.default_rng(0).random(shape) * 100).astype(dtype)
    path = tmp_path / f"train-images-idx3-ubyte{ending}"
    write_idx(path, a)
    b = read_idx(path)
    assert b.dtype == a.dtype and b.shape == shape and (a == b).all() and b.flags.writeable
    assert b.dtype.isnative


def test_the_bytes_are_those_of_the_format(tmp_path):
    write_idx(tmp_path / "x", np.array([[1, 2, 259]], np.int16))
    want = bytes([0, 0, 0x0B, 2, 0, 0, 0, 1, 0, 0, 0, 3, 0, 1, 0, 2, 1, 3])
    assert (tmp_path / "x").read_bytes() == want


HEAD = bytes([0, 0, 8, 1, 0, 0, 0, 3])


@pytest.mark.parametrize(
    "data, text",
    [
        (b"", "not an IDX file"),
        (b"\x89PNG\r\n", "not an IDX file"),
        (bytes([0, 0, 7, 1, 0, 0, 0, 0]), "not an IDX file"),
        (bytes([0, 0, 8, 2, 0, 0, 0, 3]), "lengths are missing"),
        (bytes([0, 0, 8, 0]), "0 axes; 1 to 32 are read"),
        (bytes([0, 0, 8, 33]) + b"\0\0\0\1" * 33 + b"x", "33 axes; 1 to 32 are read"),
        (bytes([0, 0, 8, 3]) + b"\0" * 4 + b"\xff" * 8, "a shape that no array has"),
        (HEAD + b"ab", "takes 3 bytes; the file has 2"),
        (HEAD + b"abcd", "the file has more"),
        (bytes([0, 0, 8, 1]) + b"\xff" * 4 + b"abc", "takes 4294967295 bytes; the file has 3"),
        (bytes([0, 0, 8, 3]) + b"\xff" * 12 + b"abc", "a shape that no array has"),
        (gzip.compress(HEAD + b"abc", mtime=0)[:-9], "damaged gzip"),
        (gzip.compress(HEAD + b"abc", mtime=0)[:-4] + b"\0\0\0\0", "damaged gzip"),
        (gzip.compress(HEAD + b"abcd", mtime=0), "the file has more"),
    ],
)
def test_damage(data, text, tmp_path):
    (tmp_path / "f").write_bytes(data)
    with pytest.raises(ValueError, match=text) as e:
        read_idx(tmp_path / "f")
    assert str(tmp_path / "f") in str(e.value)


def test_a_bomb_is_inflated_only_as_far_as_its_header_says(tmp_path):
    import tracemalloc

    (tmp_path / "f.gz").write_bytes(gzip.compress(HEAD + b"\0" * (1 << 28), 9))
    tracemalloc.start()
    with pytest.raises(ValueError, match="the file has more"):
        read_idx(tmp_path / "f.gz")
    assert tracemalloc.get_traced_memory()[1] < 1 << 24
    tracemalloc.stop()


@given(st.binary(max_size=64), st.booleans(), st.integers(0, 40), st.integers(0, 255))
def test_any_bytes_give_an_array_or_a_value_error(tmp_path_factory, tail, zipped, at, value):
    data = bytearray(HEAD + b"abc" + tail)
    data[at % len(data)] = value
    data = gzip.compress(data) if zipped else data
    path = tmp_path_factory.getbasetemp() / "fuzz"
    path.write_bytes(data)
    try:
        assert isinstance(read_idx(path), np.ndarray)
    except ValueError as e:
        assert "fuzz" in str(e)


@pytest.mark.parametrize("bad, error", [(np.ones(3, np.int64), TypeError), (np.uint8(3), ValueError), ("x", TypeError)])
def test_what_cannot_be_written(bad, error, tmp_path):
    with pytest.raises(error):
        write_idx(tmp_path / "x", bad)
    assert not list(tmp_path.iterdir())


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_idx(tmp_path / "none")
