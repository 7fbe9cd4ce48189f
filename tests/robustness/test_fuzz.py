"""Wrong arguments for every function: the process lives. `pytest -m slow` makes the long run."""

import os
import subprocess
import sys

import pytest

FUZZ = os.path.join(os.path.dirname(__file__), "fuzz.py")
SPACES = ("core", "mi", "functional", "tensor")


def survive(where, rounds, seed, tmp_path, **environment):
    journal = tmp_path / "journal"
    run = subprocess.run(
        [sys.executable, FUZZ, where, "--rounds", str(rounds), "--seed", str(seed), "--journal", str(journal)],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=3000,
        env={**os.environ, "MIELINA_NUM_THREADS": "2", **environment},
    )
    last = journal.read_bytes().split(b"\0")[0].decode(errors="replace") if journal.exists() else ""
    assert run.returncode == 0, (
        f"exit code {run.returncode} at\n{last[:2000]}\n{run.stdout[-500:]}\n{run.stderr[-3000:]}"
    )
    calls, raised = (int(word) for word in run.stdout.split() if word.isdigit())
    # Some calls must be valid, or the fuzz would only knock at the door.
    assert calls > 100 * rounds and raised < 0.95 * calls
    if where == "core":
        assert raised < 0.75 * calls


@pytest.mark.parametrize("where", SPACES)
def test_wrong_arguments(where, tmp_path):
    survive(where, 3, 0, tmp_path, MIELINA_ALLOC="debug")  # guards beside each block, NaN inside


@pytest.mark.slow
@pytest.mark.parametrize("where", SPACES)
@pytest.mark.parametrize("seed", [1, 2])
def test_wrong_arguments_for_long(where, seed, tmp_path):
    survive(where, 150, seed, tmp_path, MIELINA_ALLOC="debug" if seed == 1 else "")
