"""Each example runs, writes its picture and reaches its number."""

import json
import pathlib
import re
import runpy
import sys

import pytest

pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")
EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"
SCRIPTS = sorted(p.name for p in EXAMPLES.glob("[0-9]*.py"))


@pytest.fixture(autouse=True)
def beside_helpers(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    yield
    sys.modules.pop("_common", None)


def run(script, monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
    runpy.run_path(str(EXAMPLES / script), run_name="__main__")


@pytest.mark.parametrize("script", SCRIPTS)
def test_example(script, tmp_path, monkeypatch, capsys):
    picture = tmp_path / "picture.png"
    run(script, monkeypatch, "--output", picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "wanted" in capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize(
    ("script", "module", "extra"),
    [("17_monitoring.py", "tensorboard", "tensorboard"), ("19_hyperparameters.py", "optuna", "tune")],
)
def test_a_missing_package_is_named(script, module, extra, monkeypatch):
    for name in [n for n in sys.modules if n == module or n.startswith(f"{module}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SystemExit, match=re.escape(f'pip install "mielina[{extra}]"')):
        run(script, monkeypatch)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("script", SCRIPTS)
def test_full(script, tmp_path, monkeypatch, capsys):
    """The long version does more and reaches a bound that is no weaker."""
    goals = []
    for arguments in ((), ("--full",)):
        run(script, monkeypatch, "--json", "--output", tmp_path / "picture.png", *arguments)
        goals.append(json.loads(capsys.readouterr().out))
    short, full = (g["goal"] for g in goals)
    assert full <= short if short < goals[0]["baseline_value"] else full >= short


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_says_what_full_does_and_how_long_it_takes(script, monkeypatch, capsys):
    with pytest.raises(SystemExit) as exit:
        run(script, monkeypatch, "--help")
    assert exit.value.code == 0
    said = " ".join(capsys.readouterr().out.split())
    assert re.search(r"--full the long version: .{9,}, \d+ s on two cores", said)


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--seed", "-1"], "must not be negative"),
        (["--seed", "x"], "invalid int"),
        (["--output", "nowhere/p.png"], "no such folder"),
        (["--fast"], "unrecognized"),
    ],
)
def test_a_wrong_command_line_is_exit_code_2(arguments, said, tmp_path, monkeypatch, capsys):
    from _common import Run

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["x.py", *arguments])
    with pytest.raises(SystemExit) as exit:
        Run("x.py", "what it shows", "more, 1 s")
    assert exit.value.code == 2 and said in capsys.readouterr().err


@pytest.mark.parametrize(
    "value, other, goal, met",
    [(0.9, 0.5, 0.8, True), (0.7, 0.5, 0.8, False), (0.1, 1.0, 0.2, True), (0.3, 1.0, 0.2, False)],
)
def test_a_missed_goal_is_exit_code_1(value, other, goal, met, tmp_path, monkeypatch, capsys):
    """More is better where the goal lies above the baseline, less where it lies below."""
    from _common import Run
    from mielina.plot import figure

    monkeypatch.setattr(sys, "argv", ["x.py", "--json", "--seed", "3", "--output", str(tmp_path / "p.png")])
    example = Run("x.py", "what it shows", "more, 1 s")
    example.say("not printed")
    code = None
    try:
        example.finish(figure(1, 1), "accuracy", value, "baseline", other, goal)
    except SystemExit as exit:
        code = exit.code
    assert code == (None if met else 1)
    result = json.loads(capsys.readouterr().out)
    assert (result["value"], result["met"], result["seed"], result["name"]) == (value, met, 3, "x")
    assert (example.full, example.pick(1, 2)) == (False, 1)
