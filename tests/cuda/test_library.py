"""The CUDA library as far as it goes without a card: found or not, loaded or not, and what the user is told."""

import ctypes
import pathlib
import subprocess
import sys

import mielina as mi
import pytest

LIBRARY = pathlib.Path(mi.__file__).parent / "libmielina_cuda.so"


def test_unavailable_says_why():
    if mi.cuda.is_available():
        pytest.skip("there is a card")
    assert len(mi.cuda.why_not()) > 10
    with pytest.raises(RuntimeError) as error:
        mi.zeros(2).to("cuda")
    assert mi.cuda.why_not() in str(error.value)
    for make in (
        lambda: mi.zeros(2).cuda(),
        lambda: mi.zeros(2, device="cuda"),
        lambda: mi.nn.Linear(2, 2).to("cuda:0"),
        lambda: mi.rand(2, device="cuda"),
        lambda: mi.cuda.get_device_name(),
        lambda: mi.cuda.Stream(),
    ):
        with pytest.raises(RuntimeError, match="CUDA: no: "):
            make()
    assert not mi.zeros(2).is_cuda and mi.zeros(2).device == "cpu" and mi.cuda.device_count() == 0


def test_synchronize_needs_a_card():
    with pytest.raises(RuntimeError, match="CUDA"):
        mi.cuda.synchronize(mi.cuda.device_count())


def test_import_does_not_load_the_library():
    code = "import mielina; print(open('/proc/self/maps').read())"
    maps = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "_core" in maps and "libmielina_cuda" not in maps and "libcuda" not in maps


def test_library_has_the_abi_of_the_core():
    if not LIBRARY.exists():
        pytest.skip("built without MIELINA_CUDA")
    entry = ctypes.CDLL(str(LIBRARY)).mielina_cuda_library
    entry.restype = ctypes.POINTER(ctypes.c_int64 * 5)
    abi, size, device_size, kernels, device = entry().contents
    pointer = ctypes.sizeof(ctypes.c_void_p)
    assert abi & 0xFFFFFFFF == 2 and size % pointer == 0 and device_size % pointer == 0 and kernels and device
    assert "another version" not in mi.cuda.why_not()
