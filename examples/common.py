"""What the examples share: where the picture goes, and the last line with its verdict."""

from __future__ import annotations

import argparse
import sys
from typing import Any


def picture_path(file: str, description: str | None) -> str:
    """Reads the command line: `--output PATH`, by default the script's name with .png."""
    parser = argparse.ArgumentParser(description=description)
    name = file.rsplit("/", 1)[-1].removesuffix(".py")
    parser.add_argument("--output", default=f"{name}.png", help="the picture (default %(default)s)")
    return str(parser.parse_args().output)


def finish(figure: Any, path: str, what: str, value: float, baseline: str, other: float, goal: float) -> None:
    """Writes the picture and the verdict: `value` must reach `goal` and beat the baseline, exit code 1 otherwise.
    More is better where the goal lies above the baseline, less where it lies below.
    """
    figure.savefig(path, dpi=110)
    less = goal < other
    met = (value <= goal and value < other) if less else (value >= goal and value > other)
    print(f"wrote {path}")
    print(f"{what} {value:.4g} ({baseline} {other:.4g}; {'at most' if less else 'at least'} {goal:.4g} wanted)")
    if not met:
        sys.exit(1)
