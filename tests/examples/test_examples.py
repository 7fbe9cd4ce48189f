"""Each example runs, writes its picture and reaches its number."""

import json
import pathlib
import runpy
import sys

import pytest

pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")
EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"


@pytest.fixture(autouse=True)
def beside_helpers(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    yield
    sys.modules.pop("_common", None)


@pytest.mark.parametrize("script", sorted(p.name for p in EXAMPLES.glob("[0-9]*.py")))
def test_example(script, tmp_path, monkeypatch, capsys):
    picture = tmp_path / "picture.png"
    monkeypatch.setattr(sys, "argv", [script, "--output", str(picture)])
    runpy.run_path(str(EXAMPLES / script), run_name="__main__")
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "wanted" in capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize(
    "value, other, goal, met",
    [(0.9, 0.5, 0.8, True), (0.7, 0.5, 0.8, False), (0.1, 1.0, 0.2, True), (0.3, 1.0, 0.2, False)],
)
def test_a_missed_goal_is_exit_code_1(value, other, goal, met, tmp_path, monkeypatch, capsys):
    """More is better where the goal lies above the baseline, less where it lies below."""
    from _common import Run
    from mielina.plot import figure

    monkeypatch.setattr(sys, "argv", ["x.py", "--json", "--seed", "3", "--output", str(tmp_path / "p.png")])
    run = Run("x.py", "what it shows")
    run.say("not printed")
    code = None
    try:
        run.finish(figure(1, 1), "accuracy", value, "baseline", other, goal)
    except SystemExit as exit:
        code = exit.code
    assert code == (None if met else 1)
    result = json.loads(capsys.readouterr().out)
    assert (result["value"], result["met"], result["seed"], result["name"]) == (value, met, 3, "x")
