"""The gallery: which scripts run and how, the page, and what becomes of scripts that fail, babble or hang."""

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time

import pytest
from mielina.gallery import _clean, _plain, gallery

GOOD = '''
"""Shows <b>one</b> thing,
with a_name and a | b.

A second paragraph.
"""
import json, pathlib, sys
def option(name):
    return sys.argv[sys.argv.index(name) + 1]
def Run(file, doc, full=None):
    pass
Run(__file__, __doc__%s)
nan = float("nan")
result = {"what": "accuracy", "value": 0.9375, "baseline": "a [link](x)", "baseline_value": 0.5, "goal": 0.9}
result = {**result, "met": True, "drawn": True, **%s}
if result.pop("drawn"):
    pathlib.Path(option("--output")).write_bytes(b"\\x89PNG of seed " + option("--seed").encode())
print("full" if "--full" in sys.argv else "short")
print(json.dumps(result))
sys.exit(not result["met"])
'''


@pytest.fixture
def scripts(tmp_path):
    folder = tmp_path / "examples"
    folder.mkdir()

    def write(name, text):
        (folder / name).write_text(textwrap.dedent(text).lstrip())

    write.folder, write.output = str(folder), str(tmp_path / "out")
    write.good = lambda name, full="", **change: write(name, GOOD % (full, change))
    write.page = lambda: (tmp_path / "out" / "README.md").read_text()
    write.run = lambda *only, **options: gallery(
        write.folder, write.output, only, **{"seed": 0, "full": False, "as_json": False, **options}
    )
    return write


def test_a_page_of_two(scripts, capsys):
    scripts.good("01_first_thing.py")
    scripts.good("02_error.py", what="error", value=1e-5, baseline_value=2, goal=0.1)
    scripts("_common.py", "raise SystemExit('a helper is no example')")
    scripts("notes.py", "raise SystemExit('nor is this')")
    assert scripts.run(seed=7) == 0
    out = capsys.readouterr()
    assert out.err == "" and len(out.out.splitlines()) == 3
    assert out.out.startswith("01_first_thing: accuracy 0.9375 (a [link](x) 0.5; at least 0.9 wanted), ")
    assert "02_error: error 1e-05" in out.out and "at most 0.1" in out.out
    assert sorted(os.listdir(scripts.output)) == ["01_first_thing.png", "02_error.png", "README.md"]
    with open(os.path.join(scripts.output, "01_first_thing.png"), "rb") as f:
        assert f.read() == b"\x89PNG of seed 7"
    page = scripts.page()
    assert "2 of 2 examples" in page and "seed 7" in page and "A second paragraph" not in page
    assert "## 01 first thing\n\nShows &lt;b&gt;one&lt;/b&gt; thing, with a\\_name and a \\| b.\n\n" in page
    assert "![01 first thing](01_first_thing.png)" in page
    assert "| accuracy | a \\[link\\](x) | goal |\n|---|---|---|\n| **0.9375** | 0.5 | at least 0.9 |" in page


def test_pictures_are_kept_small(scripts, tmp_path):
    """A picture of many colours comes with 256, none of them far off, and with fewer bytes."""
    np, image = pytest.importorskip("numpy"), pytest.importorskip("PIL.Image")
    random = np.random.default_rng(0)
    soft = (random.integers(0, 16, (200, 200, 3)) + [[[20, 120, 220]]]).astype(np.uint8)
    drawn = tmp_path / "drawn.png"
    image.fromarray(soft).save(drawn)
    scripts.good("01_first.py", drawn=False)
    with open(os.path.join(scripts.folder, "01_first.py"), "r+") as f:
        text = f.read().replace(
            "if result.pop",
            f"pathlib.Path(option('--output')).write_bytes(open({str(drawn)!r}, 'rb').read())\nif result.pop",
        )
        f.seek(0)
        f.write(text)
    assert scripts.run() == 0
    path = os.path.join(scripts.output, "01_first.png")
    with image.open(path) as kept:
        assert kept.mode == "P" and kept.size == (200, 200)
        assert np.abs(np.asarray(kept.convert("RGB")).astype(int) - soft).max() <= 4
    assert os.path.getsize(path) < 0.6 * os.path.getsize(drawn)


def test_json_lines(scripts, capsys):
    scripts.good("01_a.py")
    scripts("02_b.py", "import sys; sys.exit('broken')")
    assert scripts.run(as_json=True) == 1
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["name"], first["value"], first["error"], first["picture"]) == ("01_a", 0.9375, None, "01_a.png")
    assert (second["name"], second["code"], second["error"], second["picture"]) == ("02_b", 1, "broken", None)
    assert "value" not in second


def test_full_goes_to_those_that_have_it(scripts):
    """To any other it would be an error of its command line."""
    said = "import sys\ndef Run(*a, **k): pass\nRun(%s)\nsys.exit('long' if '--full' in sys.argv else 'short')"
    scripts("01_without.py", said % "1, 2, arguments=3")
    scripts("02_by_name.py", said % "1, 2, full='x'")
    scripts("03_by_place.py", said % "1, 2, 'x'")
    for full, words in ((True, ["short", "long", "long"]), (False, ["short"] * 3)):
        assert scripts.run(full=full) == 1
        assert re.findall(r"\*\*(short|long)\*\*", scripts.page()) == words


@pytest.mark.parametrize(
    "text, said",
    [
        ("raise RuntimeError('no <data>')", "RuntimeError: no &lt;data&gt;"),
        ("import sys; sys.stderr.write('a\\n\\x1b[31mred\\x1b[0m*\\n\\n'); sys.exit(3)", r"\[31mred\[0m\*"),
        ("import sys; sys.exit(3)", "exit code 3"),
        ("import os; os.kill(os.getpid(), 9)", "ended by signal 9"),
        ("def f(:", "SyntaxError"),
        ("print('all went well!')", "printed no result but 'all went well!'"),
        ("pass", "printed no result but ''"),
        ("print('[' * 100000)", "printed no result but '\\[\\[\\["),
        ('print(\'{"what": "x", "value": NaN}\')', "printed no result but"),
        ("import sys; sys.stdout.buffer.write(b'\\xff\\xfe\\x00')", "printed no result but"),
    ],
)
def test_a_script_that_fails_is_reported(text, said, scripts, capsys):
    scripts("01_bad.py", text)
    scripts.good("02_good.py")
    assert scripts.run() == 1
    out = capsys.readouterr().out
    assert "\x1b" not in out and out.splitlines()[0].startswith("01_bad: ")
    page = scripts.page()
    assert "1 of 2 examples" in page and said in page and "01_bad.png" not in page and "02_good.png" in page


@pytest.mark.parametrize(
    "change",
    [
        {"value": float("nan")},
        {"value": "0.9"},
        {"goal": None},
        {"met": 1},
        {"what": 5},
        {"value": 10**400},
        {"goal": True},
    ],
)
def test_results_that_are_none(change, scripts):
    scripts.good("01_a.py", **change)
    assert scripts.run() == 1
    assert "printed no result" in scripts.page()


def test_a_missed_goal_and_a_missing_picture(scripts):
    scripts.good("01_a.py", value=0.7, met=False)
    scripts.good("02_b.py")
    assert scripts.run() == 1
    assert "**missed its goal**" in scripts.page() and "| **0.7** |" in scripts.page()
    scripts.good("02_b.py", drawn=False)
    assert scripts.run("02") == 1
    assert "**wrote no picture**" in scripts.page(), "the picture of the run before must not pass for this one's"
    assert sorted(os.listdir(scripts.output)) == ["01_a.png", "README.md"]


def test_only(scripts, capsys):
    for name in ("01_a", "02_b", "12_c_d"):
        scripts.good(f"{name}.py")
    assert scripts.run("c_d", "examples/01_a.py") == 0
    assert sorted(os.listdir(scripts.output)) == ["01_a.png", "12_c_d.png", "README.md"]
    with pytest.raises(ValueError, match=r"unknown example '2'; there are 01_a, 02_b, 12_c_d"):
        scripts.run("01", "2")


def test_nothing_to_run(scripts, tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder: .*missing"):
        gallery(str(tmp_path / "missing"), scripts.output, (), 0, False, False)
    scripts("_common.py", "pass")
    with pytest.raises(FileNotFoundError, match="no examples"):
        scripts.run()
    assert not os.path.exists(scripts.output)


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_ctrl_c_ends_a_script_that_hangs(scripts):
    """It ignores SIGINT and SIGTERM; the page of the run before stays, with its picture."""
    scripts.good("01_a.py")
    assert scripts.run() == 0
    before = scripts.page()
    scripts(
        "01_a.py",
        """
        import os, pathlib, signal, sys, time
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        pathlib.Path(sys.argv[sys.argv.index("--output") + 1]).write_text("half")
        pathlib.Path(__file__).with_name("pid.part").write_text(str(os.getpid()))
        os.rename(pathlib.Path(__file__).with_name("pid.part"), pathlib.Path(__file__).with_name("pid"))
        time.sleep(600)
        """,
    )
    handle = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"  # the background has none
    code = f"{handle}\nfrom mielina.gallery import gallery\ngallery({scripts.folder!r}, {scripts.output!r})"
    run = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    pid = os.path.join(scripts.folder, "pid")
    try:
        deadline = time.monotonic() + 60
        while not os.path.exists(pid) and run.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        with open(pid) as f:
            child = int(f.read())
        run.send_signal(signal.SIGINT)
        _, err = run.communicate(timeout=60)
    finally:
        run.kill()
    assert run.returncode != 0 and "KeyboardInterrupt" in err
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)
    assert sorted(os.listdir(scripts.output)) == ["01_a.png", "README.md"] and scripts.page() == before
    with open(os.path.join(scripts.output, "01_a.png"), "rb") as f:
        assert f.read().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "text, plain",
    [
        ("a\nb\tc", "a b c"),
        ("# no heading", r"\# no heading"),
        ("- no item - here", r"\- no item - here"),
        ("1. no list", r"1\. no list"),
        ("2 is a number", "2 is a number"),
        ("`code` *bold* ~s~ $m$ \\", r"\`code\` \*bold\* \~s\~ \$m\$ \\"),
        ("[x](y) & <script>", r"\[x\](y) &amp; &lt;script&gt;"),
        ("\u202ereversed\x07", "reversed"),
    ],
)
def test_escapes(text, plain):
    assert _plain(text) == plain
    assert _clean(text).isprintable()
