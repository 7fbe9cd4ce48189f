"""The command line: what it prints, exit codes, one line for a mistake."""

import json
import os
import pathlib
import re
import subprocess
import sys

import mielina as mi
import pytest
from mielina.cli import main


def mielina(*arguments, cwd=None, **environment):
    return subprocess.run(
        [sys.executable, "-m", "mielina", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=280,
        env={**os.environ, **environment},
    )


def test_info(capsys):
    assert main(["info"]) == 0
    text = capsys.readouterr().out
    assert all(word in text for word in ("mielina", "instruction set", "threads", "CUDA"))


def test_info_tells_where_the_threads_come_from():
    assert "threads: 3 (from MIELINA_NUM_THREADS)" in mielina("info", MIELINA_NUM_THREADS="3").stdout


def test_kernels(capsys):
    assert main(["info", "--kernels"]) == 0
    text = capsys.readouterr().out
    levels = [name for name, _, _ in mi._core.isas()]
    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.startswith("  ")}
    for name in ("softmax", "conv_backward_weight", "gemm", "unary", "optim_step"):
        assert len(rows[name]) == len(levels) + 1 and "x" in rows[name][:-1]
    headers = [line for line in text.splitlines() if line.endswith("cuda")]
    assert len(headers) == len({row[0] for row in mi._core.kernel_entries()}) and all(n in headers[0] for n in levels)
    assert "without a CUDA kernel" in text


def test_every_entry_has_a_kernel_on_the_best_level():
    """The lowest level fills everything; those above it add what they do better."""
    if mi._core.isas()[0][0] not in ("sse4", "neon"):
        pytest.skip("built for some levels only")
    supported = [k for k, (_, ok, _) in enumerate(mi._core.isas()) if ok]
    for family, name, filled in mi._core.kernel_entries():
        assert filled[supported[0]] == "x", (family, name)


def test_the_cuda_column_follows_the_sources():
    """What the library's files set is what they would fill; checked where the sources are at hand."""
    sources = pathlib.Path(__file__).parents[2] / "csrc" / "cuda"
    text = "".join(f.read_text() for f in sources.glob("*.cu"))
    set_there = set(re.findall(r"\bk\.(\w+) = ", text))
    names = {name for _, name, _ in mi._core.kernel_entries()}
    assert set_there and set_there <= names
    for _, name, filled in mi._core.kernel_entries():
        assert filled[-1] == "?" or (filled[-1] == "x") == (name in set_there)


@pytest.mark.parametrize("command", ["", "info", "train", "tune", "summary", "predict", "gallery", "bench"])
def test_help(command, capsys):
    with pytest.raises(SystemExit) as e:
        main([*command.split(), "--help"])
    out = capsys.readouterr()
    assert e.value.code == 0 and "usage: mielina" in out.out and out.err == ""


@pytest.mark.parametrize(
    "arguments, word",
    [
        ([], "COMMAND"),
        (["fly"], "fly"),
        (["info", "extra"], "extra"),
        (["train"], "name"),
        (["train", "nothing"], "unknown data set 'nothing'"),
        (["train", "a\nb"], "unknown data set"),
        (["train", "digits", "--seed", "x"], "--seed"),
        (["train", "digits", "--seed", "-1"], "negative"),
        (["train", "digits", "--seed", str(2**70)], "64-bit"),
        (["train", "digits", "--epochs", "0"], "epochs"),
        (["train", "digits", "--epochs", "-3"], "epochs"),
        (["train", "digits", "--epochs", "1.5"], "--epochs"),
        (["train", "digits", "--output", "/no/such/folder/x.png"], "/no/such/folder"),
        (["train", "digits", "--output", "x.exe"], "exe"),
        (["summary", "nothing"], "unknown model 'nothing'"),
        (["summary", "lenet5", "--shape", "3,28,28"], "lenet5 takes no input of shape 3,28,28"),
        (["summary", "lenet5", "--shape", "1,x"], "whole numbers"),
        (["summary", "lenet5", "--shape", "1,2,2"], "lenet5 takes no input of shape 1,2,2"),
        (["summary", "resnet18", "--shape", "3,1000000,1000000"], "cannot allocate"),
        (["summary", "resnet18", "--shape", f"{2**70},2,2"], "64 bits"),
        (["bench", "flights"], "unknown family 'flights'"),
        (["bench", "gemm", "--json", "/no/such/folder/x.json"], "/no/such/folder"),
        (["info", "--colour"], "--colour"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(arguments, word, capsys):
    try:
        code = main(arguments)
    except SystemExit as e:
        code = e.code
    out = capsys.readouterr()
    assert code == 2 and out.out == ""
    assert out.err.count("\n") == 1 and out.err.startswith("mielina") and word in out.err


@pytest.mark.parametrize("name", ["digits", "lenet5", "resnet18", "unet"])
def test_summary_of_what_a_network_is_made_for(name, capsys):
    assert main(["summary", name, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["name"] == name and found["multiply_adds"] > 0
    assert main(["summary", name, "--seed", "3"]) == 0
    assert f"parameters: {found['parameters']:,}" in capsys.readouterr().out


def test_as_a_process(tmp_path):
    run = mielina("train", "nothing", cwd=tmp_path)
    assert run.returncode == 2 and run.stdout == "" and run.stderr.count("\n") == 1 and "nothing" in run.stderr
    assert mielina().returncode == 2


def test_a_pipe_whose_reader_has_gone(tmp_path):
    shell = f"{sys.executable} -m mielina info --kernels | head -n 1"
    run = subprocess.run(["bash", "-c", f"set -o pipefail; {shell}"], capture_output=True, text=True, timeout=60)
    assert run.stdout.startswith("x: a kernel") and run.stderr == ""


def test_digits(tmp_path):
    """One short run: the last line of stdout, the picture, nothing left beside it; the same seed, the same number."""
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    run = mielina("train", "digits", "--epochs", "2", "--seed", "4", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert re.fullmatch(r"test accuracy 0\.\d{4}", run.stdout.splitlines()[-1])
    assert "loss=" in run.stderr and "accuracy=" in run.stderr
    assert os.listdir(tmp_path) == ["digits.png"]
    assert (tmp_path / "digits.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    quiet = mielina("train", "digits", "--epochs", "2", "--seed", "4", "--quiet", "--output", "a.svg", cwd=tmp_path)
    assert quiet.stderr == "" and quiet.stdout == run.stdout.splitlines()[-1] + "\n"
    assert sorted(os.listdir(tmp_path)) == ["a.svg", "digits.png"]
