"""The CUDA tests without a card: each file in a process of its own, on a library that is compiled here. Its device
memory is closed except while one of its kernels runs, so a host that follows a device's address ends that process."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).parent
CSRC = HERE.parent.parent / "csrc"
FILES = sorted(p.name for p in HERE.glob("test_*.py") if "pytestmark = pytest.mark.cuda" in p.read_text().splitlines())


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++")
    if not compiler or not CSRC.is_dir() or sys.platform != "linux":
        pytest.skip("needs a compiler and the sources")
    path = tmp_path_factory.mktemp("fake") / "libmielina_cuda_fake.so"
    flags = [
        "-std=gnu++20",
        "-O1",
        "-shared",
        "-fPIC",
        "-Wall",
        "-Wextra",
        "-Werror",
        f"-I{CSRC}",
        f"-I{HERE / 'fake'}",
    ]
    made = subprocess.run(
        [*compiler.split(), *flags, "-o", str(path), str(HERE / "fake" / "fake.cpp")], capture_output=True
    )
    assert made.returncode == 0, made.stderr.decode()
    return path


def run(library, *arguments):
    environment = {**os.environ, "MIELINA_FAKE_CARD": str(library)}
    return subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("file", FILES)
def test_on_the_fake_card(library, file):
    options = ["-q", "-x", "-p", "no:cacheprovider", "-o", "addopts=--strict-markers", "-m", "cuda"]
    done = run(library, "-m", "pytest", *options, str(HERE / file))
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " passed" in done.stdout


def test_the_fake_card_finds_who_reads_its_memory(library):
    code = f"""
import ctypes, sys
sys.path.insert(0, {str(HERE)!r})
import conftest, mielina as mi
x = mi.ones(4, device="cuda")
print(x.sum().item(), flush=True)
ctypes.string_at(x.data_ptr(), 1)
"""
    done = run(library, "-c", code)
    assert done.stdout == "4.0\n" and done.returncode < 0, (done.stdout, done.stderr, done.returncode)
