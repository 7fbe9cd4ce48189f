"""What the examples share: their command line, and the last line with its verdict."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any


class Run:
    """One run of an example: `output`, `seed` and `full` of its command line.

    The parameter `full` says what --full does more, and how long that takes on two cores. `arguments` adds an example's
    own options to the parser; `options` has all that were read.
    """

    def __init__(self, file: str, description: str | None, full: str, arguments: Any = None) -> None:
        self.name = file.replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".py")
        parser = argparse.ArgumentParser(
            prog=f"{self.name}.py", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        parser.add_argument("--output", default=f"{self.name}.png", help="the picture (default %(default)s)")
        parser.add_argument("--seed", type=int, default=0, help="of data, weights and order (default %(default)s)")
        parser.add_argument("--json", action="store_true", help="print the result as JSON and nothing else")
        parser.add_argument("--full", action="store_true", help=f"the long version: {full} on two cores")
        if arguments:
            arguments(parser)
        self.options = parser.parse_args()
        self.output, self.seed, self.full = self.options.output, self.options.seed, self.options.full
        if self.seed < 0:
            parser.error(f"--seed must not be negative, got {self.seed}")
        folder = os.path.dirname(os.path.abspath(self.output))
        if not os.path.isdir(folder):  # known before the training rather than after it
            parser.error(f"--output: no such folder: {folder}")

    def pick(self, short: Any, full: Any) -> Any:
        """What this run takes of the two: sizes, numbers of epochs, goals."""
        return full if self.full else short

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
