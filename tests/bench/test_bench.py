"""The benchmark command in its quick form, and the judges inside it."""

import importlib.util
import json
import pathlib

import mielina as mi
import numpy as np
import pytest
from mielina.bench import check, main, roofline, run
from mielina.bench.case import FAMILIES, Case, Rivals
from mielina.bench.timer import interleaved
from mielina.cli import main as command

KERNELS = {
    "attention", "conv", "elementwise", "gemm", "image", "index", "norm", "optim", "pool", "random", "reduce", "rnn",
    "scan", "softmax", "sort",
}  # fmt: skip


def test_every_family_of_kernels_is_there():
    assert set(FAMILIES) == KERNELS | {"overhead", "nets", "inference"}


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_quick_run_beside_numpy(family, capsys):
    rows = main([family], quick=True, rivals=["numpy"])
    assert rows and all(row["family"] == family for row in rows)
    for row in rows:
        t = row["seconds"]["mielina"]
        assert 0 < t["low"] <= t["median"] <= t["high"]
        assert "gflops" not in row or row["share_of_peak"] > 0
    assert len(capsys.readouterr().out.splitlines()) == len(rows) + 1


@pytest.mark.parametrize(
    "family, rival",
    [(f, "torch") for f in sorted(FAMILIES)]
    + [(f, "jax") for f in ("gemm", "softmax", "pool")]
    + [pytest.param(f, "jax", marks=pytest.mark.slow) for f in sorted(set(FAMILIES) - {"gemm", "softmax", "pool"})],
)
def test_rivals_compute_the_same(family, rival):
    """Compared, not timed: a rival's pool of threads beside ours makes small timings slow."""
    pytest.importorskip(rival)
    for case in FAMILIES[family](Rivals([rival], quick=True)):
        results = check.compare(case)
        assert case.same == "no" or len(results) == len(case.work)


def test_onnx_runtime_infers_the_same():
    for name in ("torch", "onnx", "onnxruntime"):
        pytest.importorskip(name)
    for case in FAMILIES["inference"](Rivals(["torch", "onnx"], quick=True)):
        assert "onnx" in check.compare(case)


def test_memory_of_a_step_beyond_the_model():
    path = pathlib.Path(__file__).parents[2] / "benchmarks" / "memory.py"
    spec = importlib.util.spec_from_file_location("memory", path)
    memory = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(memory)
    mb = memory.measure("mielina", "perceptron 64-128-64-10, batch 64", 50)
    # Its 17,000 weights thrice, gradients and Adam's means, are 0.2 MB, activations and their gradients 0.25; pages.
    assert 0 < mb["peak"] < 4 and mb["late"] < mb["early"] + 1


def test_the_command_writes_numbers_and_a_picture(tmp_path, capsys):
    numbers, picture = tmp_path / "b.json", tmp_path / "b.png"
    arguments = [
        "bench",
        "reduce",
        "gemm",
        "--quick",
        "--rivals",
        "numpy",
        "--json",
        str(numbers),
        "--plot",
        str(picture),
    ]
    assert command(arguments) == 0
    data = json.loads(numbers.read_text())
    assert {"date", "cpu", "isa", "threads", "python", "numpy", "mielina", "command"} <= set(data["machine"])
    assert data["limits"]["fma_peak"] > 0 and data["limits"]["copy_rate"] > 0
    assert {row["family"] for row in data["rows"]} == {"reduce", "gemm"}
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_threads_are_set(capsys):
    before = mi.get_num_threads()
    try:
        assert command(["bench", "overhead", "--quick", "--rivals", "", "--threads", "1"]) == 0
        assert mi.get_num_threads() == 1
    finally:
        mi.set_num_threads(before)


@pytest.mark.parametrize(
    "arguments, word",
    [(["nothing"], "nothing"), (["gemm", "--rivals", "cupy"], "cupy")],
)
def test_unknown_names(arguments, word, capsys):
    assert command(["bench", *arguments, "--quick"]) == 2
    out = capsys.readouterr()
    assert out.out == "" and out.err.count("\n") == 1 and word in out.err


def test_zero_threads(capsys):
    with pytest.raises(SystemExit) as exit:
        command(["bench", "--threads", "0"])
    assert exit.value.code == 2


def _case(ours, theirs, **options):
    return Case("test", "x", {"mielina": lambda: ours, "other": lambda: theirs}, **options)


def test_a_contestant_that_computes_something_else_is_caught():
    x = np.linspace(1, 2, 1000, dtype=np.float32)
    check.compare(_case(x, x * np.float32(1 + 1e-7)))
    with pytest.raises(check.Disagreement, match="other"):
        check.compare(_case(x, x * 1.001))
    with pytest.raises(check.Disagreement, match="shapes"):
        check.compare(_case(x, x[:-1]))
    with pytest.raises(check.Disagreement):
        check.compare(_case(x, np.where(x > 1.5, np.nan, x)))


def test_random_numbers_are_compared_by_mean_and_spread():
    rng = np.random.default_rng(0)
    a, b = rng.random(10_000), rng.random(10_000)
    check.compare(_case(a, b, same="moments"))
    for wrong in (b + 0.1, b * 2 - 0.5):
        with pytest.raises(check.Disagreement):
            check.compare(_case(a, wrong, same="moments"))


def test_measured_rates_follow_from_time_and_counts():
    row = run.measure(_case(1.0, 1.0, flops=2e3, bytes=8e3), quick=True)
    run.add_shares(row, {"fma_peak": 1e9, "copy_rate": 4e9})
    seconds = row["seconds"]["mielina"]["median"]
    assert row["gflops"] == pytest.approx(2e3 / seconds * 1e-9)
    assert row["share_of_copy"] == pytest.approx(8e3 / seconds / 4e9)
    assert set(row["ratio"]) == {"other"}


def test_the_timer_gives_turns():
    turns = []
    interleaved({"a": lambda: turns.append("a"), "b": lambda: turns.append("b")}, rounds=3, target=1e-5)
    order = [t for i, t in enumerate(turns) if i == 0 or t != turns[i - 1]]
    assert order[-6:] == ["a", "b"] * 3


def test_roofline_without_points(tmp_path):
    roofline([], {"fma_peak": 1e11, "copy_rate": 1e10}, str(tmp_path / "empty.png"))
    assert (tmp_path / "empty.png").stat().st_size > 0
