"""Objects of one ISA level may not offer the linker code that another level could run.

An inline function compiled with AVX-512 flags outside its level's namespace is a weak symbol: the linker keeps one
copy for everybody, perhaps that one. The objects are found through MIELINA_OBJECTS (a build folder), as `.ci/run`
sets it.
"""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

LEVEL = re.compile(r"kernels_(\w+)\.dir")


def objects():
    folder = os.environ.get("MIELINA_OBJECTS")
    if not folder or not shutil.which("nm"):
        pytest.skip("needs nm and MIELINA_OBJECTS=<build folder>")
    found = [p for p in pathlib.Path(folder).rglob("*.o") if LEVEL.search(str(p))]
    assert found, f"no kernel objects under {folder}"
    return found


def test_weak_symbols_stay_inside_their_level():
    wrong = []
    for path in objects():
        level = LEVEL.search(str(path)).group(1)
        out = subprocess.run(["nm", "--defined-only", str(path)], capture_output=True, text=True, check=True).stdout
        for line in out.splitlines():
            kind, name = line.split()[-2:]
            # Every defined symbol of external linkage carries the level's namespace (mangled as <length><name>).
            if kind in "WVuTBDR" and f"{len(level)}{level}" not in name and not name.startswith("__odr_asan"):
                wrong.append(f"{path.name} ({level}): {kind} {name}")
    assert not wrong, "\n".join(wrong[:20])
