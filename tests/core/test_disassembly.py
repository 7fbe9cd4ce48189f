"""What the compiler made of the loops on which most time is spent: whole vectors, no detour through the stack.

gcc 12 turns a plain conversion of 16 halfs into 16 scalar ones, and a tile that needs one register too many spills it
in every step; neither changes a result. The objects are found through MIELINA_OBJECTS (a build folder), as `.ci/run`
sets it.
"""

from __future__ import annotations

import functools
import os
import pathlib
import re
import shutil
import subprocess

import pytest

LEVELS = ("v2", "v3", "v4")
STACK = re.compile(r"\(%rsp[,)]")  # without frame pointers rbp is a register like any other
VECTOR = re.compile(r"%[xyz]mm")
# One element at a time: inserts, extracts, scalar loads, stores and conversions; and calls.
SCALAR = re.compile(r"^(v?pinsr|v?pextr|v?movs[sd]\s|v?movd\s|v?cvtsi2|v?cvtss2|v?cvtsd2|call)")
STORE = re.compile(
    r"^(v?movu?p[sd]|v?mova?p[sd]|v?movdq\w+|v?movnt\w+|v?movq|v?movlp[sd]|v?pmov\w+|vcvtps2ph)\s.*%[xyz]mm\d+,[^%]*\(%r"
)
FMA = re.compile(r"^(vfmadd\w+p[sd]|vdpbf16ps)\s")


@functools.cache
def functions(level: str, family: str) -> dict[str, list[tuple[int, str]]]:
    """Address and text of each instruction, by the function's demangled name."""
    folder = os.environ.get("MIELINA_OBJECTS")
    if not folder or not shutil.which("objdump"):
        pytest.skip("needs objdump and MIELINA_OBJECTS=<build folder>")
    start = f"kernels_{level}.dir/csrc/cpu/{family}"
    found = [p for p in pathlib.Path(folder).rglob("*.o") if start in str(p) and "sanitize" not in str(p)]
    if not found:
        pytest.skip(f"{folder} has no objects of {family} at level {level}")
    command = ["objdump", "-d", "-C", "--no-show-raw-insn", *map(str, found)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    code: dict[str, list[tuple[int, str]]] = {}
    for line in text.splitlines():
        if head := re.match(r"[0-9a-f]+ <(.*)>:$", line):
            now = code[head[1]] = []
        elif step := re.match(r"\s+([0-9a-f]+):\s+(.*\S)", line):
            now.append((int(step[1], 16), step[2]))
    return code


def loops(code: list[tuple[int, str]]) -> list[list[str]]:
    """The innermost loops: from the target of a jump back to the jump, with no other inside."""
    spans = []
    for at, text in code:
        jump = re.match(r"j\w+\s+([0-9a-f]+)\b", text)
        if jump and int(jump[1], 16) <= at:
            spans.append((int(jump[1], 16), at))
    inner = [s for s in spans if not any(o != s and s[0] <= o[0] and o[1] <= s[1] for o in spans)]
    return [[text for at, text in code if low <= at <= high] for low, high in inner]


def one_by_one(instruction: str) -> bool:
    constant = "(%rip)" in instruction  # a level that runs out of registers reads it anew
    return bool(STACK.search(instruction) or (SCALAR.match(instruction) and not constant))


@pytest.mark.parametrize("half", ["half_t", "bfloat_t"])
@pytest.mark.parametrize("way", ["row_from", "row_to"])
@pytest.mark.parametrize("level", ["v2", "v3", "v4"])
def test_conversions_take_whole_vectors(level: str, way: str, half: str) -> None:
    code = functions(level, "block")
    names = [n for n in code if re.match(rf"void mielina::{level}::{way}<mielina::{half}, float\b.*>\(", n)]
    assert len(names) == (2 if way == "row_to" and level != "v2" else 1)  # to memory, and past the caches
    width = {"v2": "xmm", "v3": "ymm", "v4": "zmm"}[level]
    for name in names:
        whole = [
            loop
            for loop in loops(code[name])
            if any(STORE.match(i) for i in loop) and not any(one_by_one(i) for i in loop)
        ]
        assert any(width in i for loop in whole for i in loop), f"{name}: no loop converts whole vectors"


@pytest.mark.parametrize("level", LEVELS)
def test_micro_kernels_stay_in_registers(level: str) -> None:
    """The loop over k of each tile: one multiply-add a register of the tile and step, no vector on the stack."""
    pattern = re.compile(
        rf"void mielina::{level}::micro<mielina::{level}::(Plain<(?:float|double)>|Bf16Pair), (\d+), (\d+), "
    )
    seen, wrong = 0, []
    for name, code in functions(level, "gemm").items():
        tile = pattern.match(name)
        if not tile:
            continue
        seen += 1
        registers = int(tile[2]) * int(tile[3])
        multiply = FMA if level != "v2" else re.compile(r"^mulp[sd]\s")
        body = max(loops(code), key=lambda loop: sum(bool(multiply.match(i)) for i in loop))
        count = sum(bool(multiply.match(i)) for i in body)
        spilled = [i for i in body if STACK.search(i) and VECTOR.search(i)]
        if count not in (registers, 2 * registers) or spilled or any(i.startswith("call") for i in body):
            wrong.append(f"{name[:100]}: {count} products for {registers} registers, {spilled[:3]}")
    assert seen >= 8, f"only {seen} micro-kernels found"
    assert not wrong, "\n".join(wrong)
