"""What a training step needs beyond the model: `python benchmarks/memory.py [--json FILE] [--steps 20] [--long 10000]`.

Each network of `mielina bench nets` is built in a process of its own, by us and by PyTorch; then the peak of the
resident memory is reset, some steps are made with Adam, and the peak less what was resident before is printed in MB.
`--long N`: N steps of the small perceptron and a convolutional network, and what is resident after a tenth and at the
end. Linux alone.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from typing import Any

import numpy as np
from mielina.bench.models import convolutional, encoder, perceptron, resnet20
from mielina.bench.nets import training_step

NETS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "perceptron 64-128-64-10, batch 64": (lambda nn: perceptron(nn, (64, 128, 64, 10)), (64, 64)),
    "perceptron 784-1024-1024-10, batch 128": (lambda nn: perceptron(nn, (784, 1024, 1024, 10)), (128, 784)),
    "digits CNN, batch 64": (lambda nn: convolutional(nn, 8, (32, 32), (10,), 1), (64, 1, 8, 8)),
    "CNN 28x28, batch 64": (lambda nn: convolutional(nn, 28, (32, 64), (128, 10)), (64, 1, 28, 28)),
    "ResNet-20, batch 32": (resnet20, (32, 3, 32, 32)),
    "4 transformer layers of 256, 8x128 tokens": (lambda nn: encoder(nn, 256, 4), (8, 128, 256)),
}


def _status(name: str) -> int:
    """A number of /proc/self/status in bytes."""
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) << 10 for line in f if line.startswith(name))


def _reset_peak() -> None:
    with open("/proc/self/clear_refs", "w") as f:
        f.write("5")


def child(library: str, name: str, steps: int) -> dict[str, float]:
    """Steps of a network in this process: MB at the peak beyond the model, resident after a tenth and at the end."""
    lib = __import__(library)
    make, shape = NETS[name]
    lib.set_num_threads(2)
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape).astype(np.float32)
    y = rng.integers(0, 10, shape[:2] if len(shape) == 3 else shape[:1])  # one a token, or a sample
    step = training_step(lib, make(lib.nn), x, y)
    built = _status("VmRSS")
    _reset_peak()
    early = 0
    for i in range(steps):
        step()
        if i == steps // 10:
            early = _status("VmRSS")
    mb = 1e-6
    return {"peak": (_status("VmHWM") - built) * mb, "early": early * mb, "late": _status("VmRSS") * mb}


def measure(library: str, name: str, steps: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--child", library, name, "--steps", str(steps)]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return dict(json.loads(out.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--child", nargs=2)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--long", type=int, default=0)
    parser.add_argument("--json")
    args = parser.parse_args()
    if args.child:
        print(json.dumps(child(*args.child, args.steps)))
        return
    rows = []
    for name in NETS:
        ours, theirs = (measure(library, name, args.steps)["peak"] for library in ("mielina", "torch"))
        rows.append({"name": name, "mielina": ours, "torch": theirs})
        print(f"{name:44s} mielina {ours:7.1f} MB  PyTorch {theirs:7.1f} MB", flush=True)
    for name in list(NETS)[:3:2] if args.long else []:
        grown = measure("mielina", name, args.long)
        rows.append({"name": name, "steps": args.long, **grown})
        print(f"{name:44s} {args.long} steps: {grown['early']:.1f} MB, then {grown['late']:.1f} MB", flush=True)
    if args.json:
        with open(args.json, "w") as f:
            json.dump(rows, f, indent=1)


if __name__ == "__main__":
    main()
