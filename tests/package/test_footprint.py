"""How large the package is on the disk, and what its import costs beside NumPy's."""

import os
import pathlib
import subprocess
import sys

import mielina

PACKAGE = pathlib.Path(mielina.__file__).parent


def _child(code: str, cache: pathlib.Path) -> str:
    """A fresh interpreter with compiled modules of its own, as an installed package has them."""
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    env |= {"PYTHONPYCACHEPREFIX": str(cache), "PYTHONPATH": os.pathsep.join([str(PACKAGE.parent), *sys.path])}
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout


IMPORTS = """
import time
before = time.thread_time()
import numpy
between = time.thread_time()
import mielina
print(time.thread_time() - between, between - before)
"""


def test_import_costs_at_most_60_ms_more_than_numpy(tmp_path):
    """Processor time of the thread that imports, the best of ten: neither other processes nor the threads of NumPy's
    OpenBLAS, which spin for 30 ms after its import, stretch it."""
    _child(IMPORTS, tmp_path)
    best = min(float(_child(IMPORTS, tmp_path).split()[0]) for _ in range(10))
    assert best <= 0.060, f"import mielina takes {best * 1e3:.0f} ms after NumPy"


def test_import_loads_nothing_heavy(tmp_path):
    heavy = "tqdm safetensors matplotlib sklearn torch jax scipy multiprocessing"
    code = f"import sys, mielina; print([m for m in {heavy.split()!r} if m in sys.modules])"
    assert _child(code, tmp_path).strip() == "[]"


def test_the_package_is_at_most_10_mb(plain_build):
    """The compiled module, Python, stubs and compiled Python of one version: 10^7 bytes of files."""
    files = [p for p in PACKAGE.rglob("*") if p.is_file()]
    tag = sys.implementation.cache_tag
    kept = [p for p in files if p.suffix != ".pyc" or tag in p.name]
    size = sum(p.stat().st_size for p in kept)
    assert size <= 10_000_000, f"{size / 1e6:.2f} MB"


def test_python_m_mielina():
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(PACKAGE.parent), *sys.path])}
    command = [sys.executable, "-m", "mielina", "info"]
    assert subprocess.check_output(command, text=True, env=env).startswith(f"mielina {mielina.__version__}")


def test_typed():
    assert (PACKAGE / "py.typed").exists() and (PACKAGE / "_core.pyi").exists()
