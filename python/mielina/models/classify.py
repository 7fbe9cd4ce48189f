"""`mielina predict`: a table of what a saved model says about image files."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from .registry import load_model

_BATCH = 16


def classify(path: str, files: Sequence[str], top: int = 1, as_json: bool = False) -> int:
    """Prints the `top` likeliest classes of each file; returns how many files could not be read, each one a line on
    stderr. ValueError: no model of save_model, one that says no preprocessing or gives no classes."""
    from ..autograd import no_grad
    from ..nn import functional as F
    from ..ops.layout import stack  # type: ignore[attr-defined]

    net, classes, preprocess = load_model(path)
    if preprocess is None:
        raise ValueError(f"{path} says no preprocessing: mi.save_model(model, path, preprocess=...) keeps it")
    rows: list[dict[str, Any]] = []
    failed = 0
    for start in range(0, len(files), _BATCH):
        read = []
        for name in files[start : start + _BATCH]:
            try:
                read.append((name, preprocess(name)))
            except (OSError, ValueError) as e:
                failed += 1
                text = " ".join(str(e).split())
                print(f"mielina: {text if name in text else f'{name}: {text}'}", file=sys.stderr)
        if not read:
            continue
        try:
            with no_grad():
                out = net(stack([x for _, x in read]))
        except (ValueError, RuntimeError) as e:
            raise ValueError(f"{path}: the network does not take what its preprocessing gives: {e}") from None
        if out.ndim != 2:
            raise ValueError(f"{path} gives no probabilities of classes but outputs of shape {tuple(out.shape[1:])}")
        best = F.softmax(out, 1).topk(min(top, out.shape[1]), 1)  # type: ignore[attr-defined]
        for (name, _), values, places in zip(read, best[0].tolist(), best[1].tolist()):
            said = [(classes[k] if classes else f"class {k}", p) for k, p in zip(places, values)]
            rows.append({"file": name, "classes": [{"name": c, "probability": p} for c, p in said]})
    if as_json:
        print(json.dumps(rows))
        return failed
    width = max((len(os.path.basename(r["file"])) for r in rows), default=0)
    for r in rows:
        found = "  ".join(f"{c['name']} {c['probability']:.3f}" for c in r["classes"])
        print(f"{os.path.basename(r['file']):{width}}  {found}")
    return failed
