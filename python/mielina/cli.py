"""The command line: `mielina info`, `train`, `tune`, `summary`, `predict`, `gallery`, `bench`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn


def info() -> str:
    """Version, instruction sets, threads, memory and CUDA, as text."""
    from . import __version__, _core

    levels = [
        name + ("*" if selected else "" if supported else " (not on this CPU)")
        for name, supported, selected in _core.isas()
    ]
    lines = [
        f"mielina {__version__}",
        f"instruction set: {_core.isa()} (built: {', '.join(levels)})",
        f"threads: {_core.num_threads()} (from {_core.num_threads_source()})",
        f"memory: at most {_core.memory_stats()[3] / 2**30:.1f} GiB of freed blocks are kept for reuse",
        f"CUDA: {cuda_status()}",
    ]
    return "\n".join(lines)


def kernels() -> str:
    """The table of kernels, as text: for each level of instructions, and for CUDA, which entries it fills itself."""
    from . import _core, cuda

    missing = cuda.why_not()  # loads the library, where there is one
    levels = [name for name, _, _ in _core.isas()] + ["cuda"]
    rows = [row for row in _core.kernel_entries() if not row[1].endswith("_workspace")]
    width = max(len(name) for _, name, _ in rows) + 2
    lines = [
        "x: a kernel of its own   .: that of the level to its left (CUDA: none)   ?: not known on this machine",
        "",
    ]
    family = None
    for stem, name, filled in rows:
        if stem != family:
            family = stem
            lines.append(f"{stem:{width + 2}}" + " ".join(levels))
        lines.append(f"  {name:{width}}" + " ".join(f"{m:^{len(level)}}" for m, level in zip(filled, levels)).rstrip())
    without = [name for _, name, filled in rows if filled[-1] == "."]
    lines += ["", f"{len(rows)} kernels; instruction set in use: {_core.isa()}"]
    if rows[0][2][-1] == "?":
        lines.append(f"without a CUDA kernel: not known: {missing}")
    else:
        lines.append(f"without a CUDA kernel ({len(without)}): {', '.join(without)}")
    return "\n".join(lines)


def cuda_status() -> str:
    """yes, or no and why not."""
    from . import cuda

    reason = cuda.why_not()
    return f"no: {reason}" if reason else "yes"


class _Parser(argparse.ArgumentParser):
    """Errors are one line; --help tells the rest."""

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {message} (see {self.prog} --help)", file=sys.stderr)
        raise SystemExit(2)


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"expected a positive number, got {text!r}")
    return int(text)


def _seed(text: str) -> int:
    try:
        seed = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a whole number, got {text!r}") from None
    if not 0 <= seed < 1 << 63:
        raise argparse.ArgumentTypeError(f"must not be negative, nor beyond a 64-bit integer, got {text}")
    return seed


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="mielina", description="A deep-learning library in a few megabytes.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    p = commands.add_parser("info", help="version, instruction set, threads, CUDA")
    p.add_argument("--kernels", action="store_true", help="which kernels each instruction set and CUDA have")
    p = commands.add_parser("train", help="train a network on a data set that is at hand")
    p.add_argument("name", help="digits: handwritten digits, 8x8, that scikit-learn ships")
    p.add_argument("--seed", type=_seed, default=0, help="split, weights and order (default 0)")
    p.add_argument("--epochs", type=int, default=None, help="times through the training data (default 25)")
    p.add_argument("--output", default=None, help="the picture (default NAME.png)")
    p.add_argument("--quiet", action="store_true", help="no progress bar")
    p.add_argument("--json", action="store_true", help="print the result as JSON")
    p = commands.add_parser("tune", help="search for hyper-parameters, with Optuna")
    p.add_argument("name", help="digits: a dense network on handwritten digits")
    p.add_argument("--seed", type=_seed, default=0, help="split, weights, order and search (default 0)")
    p.add_argument("--trials", type=_positive, default=20, help="networks to train (default 20)")
    p.add_argument("--epochs", type=_positive, default=10, help="at most, for each (default 10)")
    p.add_argument("--json", action="store_true", help="print all trials as JSON")
    p = commands.add_parser("summary", help="a network's layers, shapes, parameters and multiply-adds")
    p.add_argument("name", help="digits, or a name in mielina.models")
    p.add_argument("--shape", default=None, help="of one sample, as 3,224,224 (default: what the network is made for)")
    p.add_argument("--seed", type=_seed, default=0, help="of the weights, which change nothing here")
    p.add_argument("--json", action="store_true", help="print it as JSON")
    p = commands.add_parser("predict", help="what a saved model says about images")
    p.add_argument("model", help="a file of mi.save_model")
    p.add_argument("files", nargs="+", metavar="IMAGE", help="PNG or JPEG")
    p.add_argument("--top", type=_positive, default=1, help="classes to print, likeliest first (default 1)")
    p.add_argument("--json", action="store_true", help="print them as JSON")
    p = commands.add_parser("gallery", help="run the examples and make a page of their pictures")
    p.add_argument("names", nargs="*", metavar="NAME", help="examples to run, such as 07_universality (default: all)")
    p.add_argument("--examples", default="examples", help="the folder of the scripts (default %(default)s)")
    p.add_argument("--output", default="gallery", help="the folder of the page (default %(default)s)")
    p.add_argument("--seed", type=_seed, default=0, help="of every example (default 0)")
    p.add_argument("--full", action="store_true", help="their long versions")
    p.add_argument("--json", action="store_true", help="print the results as JSON")
    p = commands.add_parser("bench", help="kernels beside NumPy, and PyTorch and JAX where installed")
    p.add_argument("families", nargs="*", help="families to run (default: all)")
    p.add_argument("--quick", action="store_true", help="small sizes: shows that all runs, measures nothing")
    p.add_argument("--threads", type=_positive, default=None, help="threads of every library (default: all)")
    p.add_argument(
        "--rivals",
        default="numpy,torch,jax,onnx",
        help="default: %(default)s, of those the installed ones; empty: none",
    )
    p.add_argument("--json", default=None, help="write the numbers to this file")
    p.add_argument("--plot", default=None, help="write the roofline picture to this file")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0, or 2 with one line on stderr for a wrong command line or a missing extra."""
    args = _parser().parse_args(argv)
    try:
        if args.command == "info":
            print(kernels() if args.kernels else info())
        elif args.command == "train":
            from .demos import train

            options = {"epochs": args.epochs, "output": args.output, "verbose": not args.quiet, "as_json": args.json}
            train(args.name, seed=args.seed, **options)
        elif args.command == "tune":
            from .demos import tune

            tune(args.name, args.trials, args.epochs, args.seed, args.json)
        elif args.command == "summary":
            from .demos import summary

            summary(args.name, args.shape, args.seed, args.json)
        elif args.command == "predict":
            from .models.classify import classify

            return 2 if classify(args.model, args.files, args.top, args.json) else 0
        elif args.command == "gallery":
            from .gallery import gallery

            return gallery(args.examples, args.output, args.names, args.seed, args.full, args.json)
        elif args.command == "bench":
            from .bench import main as bench

            bench(
                args.families, args.json, args.plot, args.quick, args.threads, [r for r in args.rivals.split(",") if r]
            )
    except BrokenPipeError:  # the reader of a pipe has gone: `mielina info --kernels | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, ImportError, OSError) as e:
        print(f"mielina: {' '.join(str(e).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("mielina: interrupted", file=sys.stderr)
        return 130
    return 0
