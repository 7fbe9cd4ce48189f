"""The gallery: runs the examples of a folder, each in a process of its own, and makes a page of their pictures."""

from __future__ import annotations

import ast
import contextlib
import html
import json
import math
import os
import re
import subprocess
import sys
import time
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

from .io import atomic_write

_TEXTS = ("what", "baseline")
_NUMBERS = ("value", "baseline_value", "goal")


class Example(NamedTuple):
    name: str
    path: str
    text: str
    full: bool


def gallery(
    folder: str = "examples",
    output: str = "gallery",
    only: Sequence[str] = (),
    seed: int = 0,
    full: bool = False,
    as_json: bool = False,
) -> int:
    """Runs the scripts NN_topic.py of `folder` and writes their pictures and a page, README.md, to the folder `output`.

    only: names such as "07_universality", topics or numbers; empty means all. full: the long version of those that have
    one. as_json: prints a line of JSON a script, else a sentence. Returns 0 if every script reached its goal, else 1.
    After Ctrl-C no script goes on running, and a page that was there stays as it was.

    FileNotFoundError: no such folder, or no examples in it. ValueError: a name in `only` that none of them has.
    """
    examples = _chosen(_found(folder), only)
    output = os.path.abspath(output)
    os.makedirs(output, exist_ok=True)
    results = []
    bar = _bar(len(examples))
    say = print if bar is None else bar.write
    try:
        for example in examples:
            if bar is not None:
                bar.set_description(example.name)
            result = _run(example, output, seed, full)
            results.append(result)
            if bar is not None:
                bar.update()
            say(json.dumps(result) if as_json else _line(result))
            sys.stdout.flush()
    finally:
        if bar is not None:
            bar.close()
    page = _page(examples, results, seed)
    with atomic_write(os.path.join(output, "README.md")) as f:
        f.write(page.encode("utf-8", "replace"))
    if not as_json:
        print(f"wrote {os.path.join(output, 'README.md')}")
    return 0 if all(r["error"] is None for r in results) else 1


def _found(folder: str) -> list[Example]:
    """What there is, read and not imported."""
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"gallery: no such folder: {folder}")
    names = sorted(e.name for e in os.scandir(folder) if re.fullmatch(r"[0-9]+_\w+\.py", e.name) and e.is_file())
    if not names:
        raise FileNotFoundError(f"gallery: no examples (such as 01_perceptron.py) in {folder}")
    return [_read(os.path.join(folder, name)) for name in names]


def _read(path: str) -> Example:
    text, full = "", False
    with open(path, "rb") as f:
        source = f.read()
    try:
        with warnings.catch_warnings():  # of the script's own strings
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (SyntaxError, ValueError):  # the run will tell
        pass
    else:
        text = (ast.get_docstring(tree) or "").split("\n\n")[0]
        calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "Run"]
        full = any(len(c.args) > 2 or "full" in [k.arg for k in c.keywords] for c in calls)
    return Example(os.path.basename(path)[: -len(".py")], os.path.abspath(path), " ".join(text.split()), full)


def _chosen(examples: list[Example], only: Sequence[str]) -> list[Example]:
    wanted = set()
    for word in only:
        stem = os.path.basename(word).removesuffix(".py")
        hits = {e.name for e in examples if stem in (e.name, *e.name.split("_", 1))}
        if not hits:
            raise ValueError(f"gallery: unknown example {word!r}; there are {', '.join(e.name for e in examples)}")
        wanted |= hits
    return [e for e in examples if e.name in wanted or not only]


def _bar(total: int) -> Any:
    if not sys.stderr.isatty():
        return None
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return None
    return tqdm(total=total, unit="example", dynamic_ncols=True)


def _run(example: Example, output: str, seed: int, full: bool) -> dict[str, Any]:
    """The script's own numbers, its seconds, and `error`: None, or why it does not count."""
    picture = os.path.join(output, f"{example.name}.png")
    part = os.path.join(output, f".{example.name}.part.png")
    command = [sys.executable, example.path, "--json", "--seed", str(seed), "--output", part]
    command += ["--full"] if full and example.full else []
    start = time.perf_counter()
    try:
        code, out, err = _process(command)
        seconds, drawn = round(time.perf_counter() - start, 1), os.path.isfile(part)
        _shrink(part)
        with contextlib.suppress(FileNotFoundError):  # no picture of an earlier run passes for this one's
            os.replace(part, picture) if drawn else os.unlink(picture)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(part)
    numbers = _numbers(out)
    result = {"name": example.name, "seconds": seconds, "code": code, **(numbers or {})}
    error = _error(code, out, err, numbers, drawn)
    return {**result, "picture": os.path.basename(picture) if drawn else None, "error": error}


def _shrink(picture: str) -> None:
    """At most 256 colours: 25 pictures of 4.7 MB take 1.4, and no colour is off by more than 16 of 255. What Pillow
    cannot read stays as it is.
    """
    try:
        from PIL import Image

        with Image.open(picture) as image:
            small = image.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    except (ImportError, OSError, SyntaxError, ValueError):
        return
    small.save(picture, "PNG", optimize=True)


def _error(code: int, out: str, err: str, numbers: dict[str, Any] | None, drawn: bool) -> str | None:
    """None for a script that reached its goal; of its own words, the last line."""
    if numbers is not None and not numbers["met"]:
        return "missed its goal"
    if code:
        words = [line for line in map(_clean, err.splitlines()) if line]
        return words[-1] if words else f"ended by signal {-code}" if code < 0 else f"exit code {code}"
    if numbers is None:
        return f"printed no result but {_clean(out)[-80:]!r}"
    return None if drawn else "wrote no picture"


def _process(command: list[str]) -> tuple[int, str, str]:
    """Exit code, stdout and stderr. The process ends with us: if we are interrupted it is asked to go, then killed."""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        encoding="utf-8",
        errors="replace",
    ) as child:
        try:
            out, err = child.communicate()
        except BaseException:
            child.terminate()
            try:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(2)
            finally:  # after a second Ctrl-C, too
                child.kill()
            raise
    return child.returncode, out, err


def _numbers(out: str) -> dict[str, Any] | None:
    """The result in the last line of stdout, if it is one."""
    try:
        found = json.loads(out.strip().splitlines()[-1])
        numbers = {name: found[name] for name in (*_TEXTS, *_NUMBERS, "met")}
        good = isinstance(found["met"], bool) and all(isinstance(found[name], str) for name in _TEXTS)
        good = good and all(type(found[name]) in (int, float) and math.isfinite(found[name]) for name in _NUMBERS)
    except (ValueError, LookupError, TypeError, OverflowError, RecursionError):
        return None
    return numbers if good else None


def _line(result: dict[str, Any]) -> str:
    parts = []
    if "value" in result:
        other = f"{result['baseline']} {result['baseline_value']:.4g}"
        parts.append(f"{result['what']} {result['value']:.4g} ({other}; {_wanted(result)} wanted)")
    parts += [result["error"]] if result["error"] is not None else []
    return _clean(f"{result['name']}: {'; '.join(parts)}, {result['seconds']} s")


def _wanted(result: dict[str, Any]) -> str:
    return f"at {'most' if result['goal'] < result['baseline_value'] else 'least'} {result['goal']:.4g}"


def _page(examples: list[Example], results: list[dict[str, Any]], seed: int) -> str:
    met = sum(r["error"] is None for r in results)
    parts = ["# Gallery", f"{met} of {len(results)} examples reached their goals; seed {seed}."]
    for example, r in zip(examples, results):
        title = _plain(example.name.replace("_", " "))
        parts.append(f"## {title}")
        parts += [_plain(example.text)] if example.text else []
        parts += [f"![{title}]({r['picture']})"] if r["picture"] else []
        if "value" in r:
            head = f"| {_plain(r['what'])} | {_plain(r['baseline'])} | goal |"
            row = f"| **{r['value']:.4g}** | {r['baseline_value']:.4g} | {_wanted(r)} |"
            parts.append(f"{head}\n|---|---|---|\n{row}")
        parts += [f"**{_plain(r['error'])}**"] if r["error"] is not None else []
        parts.append(f"`{example.name}.py`, {r['seconds']} s")
    return "\n\n".join(parts) + "\n"


def _clean(text: str) -> str:
    """One line without control characters: what a script printed may reach a terminal."""
    return "".join(c for c in " ".join(text.split()) if c.isprintable())


def _plain(text: str) -> str:
    """Text that is no Markdown and no HTML, on one line."""
    text = re.sub(r"([\\`*_\[\]~|$])", r"\\\1", html.escape(_clean(text), quote=False))
    return re.sub(r"^([-+#=]|[0-9]+(?=[.)]))", lambda m: m[0] + "\\" if m[0].isdigit() else "\\" + m[0], text)
