"""What the examples share: their command line, and the last line with its verdict."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any


class Run:
    """One run of an example: `output`, `seed` and `full` of its command line.

    `arguments` adds its own options to the parser; `options` has all that were read.
    """

    def __init__(self, file: str, description: str | None, full: str | None = None, arguments: Any = None) -> None:
        self.name = file.replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".py")
        parser = argparse.ArgumentParser(
            prog=f"{self.name}.py", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        parser.add_argument("--output", default=f"{self.name}.png", help="the picture (default %(default)s)")
        parser.add_argument("--seed", type=int, default=0, help="of data, weights and order (default %(default)s)")
        parser.add_argument("--json", action="store_true", help="print the result as JSON and nothing else")
        if full:
            parser.add_argument("--full", action="store_true", help=full)
        if arguments:
            arguments(parser)
        self.options = parser.parse_args()
        self.output, self.seed = self.options.output, self.options.seed
        self.full = bool(full and self.options.full)

    def say(self, text: str) -> None:
        """Prints what is worth knowing on the way; not under --json."""
        if not self.options.json:
            print(text)

    def finish(self, figure: Any, what: str, value: float, baseline: str, other: float, goal: float) -> None:
        """Writes the picture and the verdict: `value` must reach `goal` and beat the baseline, exit code 1 otherwise.
        More is better where the goal lies above the baseline, less where it lies below.
        """
        figure.savefig(self.output, dpi=110)
        value, other = float(value), float(other)
        less = goal < other
        met = (value <= goal and value < other) if less else (value >= goal and value > other)
        if self.options.json:
            result = {"name": self.name, "seed": self.seed, "what": what, "value": value, "baseline": baseline}
            print(json.dumps({**result, "baseline_value": other, "goal": goal, "met": met, "picture": self.output}))
        else:
            print(f"wrote {self.output}")
            print(f"{what} {value:.4g} ({baseline} {other:.4g}; {'at most' if less else 'at least'} {goal:.4g} wanted)")
        if not met:
            sys.exit(1)
