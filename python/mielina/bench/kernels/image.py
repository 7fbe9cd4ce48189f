"""Images to other sizes and places."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..case import Case, Rivals, family


@family("image")
def image(r: Rivals) -> Iterator[Case]:
    shape = (2, 4, 8, 8) if r.quick else (8, 64, 56, 56)
    (x,) = r.arrays(shape)
    name = "x".join(map(str, shape))
    for mode, align in (("nearest", None), ("bilinear", False), ("bicubic", False)):

        def resize(L: Any, x: Any, m: str = mode, a: Any = align) -> Any:
            return L.nn.functional.interpolate(x, scale_factor=2, mode=m, align_corners=a)

        yield Case("image", f"{mode} {name} by 2", r.beside([x], resize), 0, 5.0 * x.nbytes, 16)
        yield Case("image", f"{mode} {name} by 2 fwd+bwd", r.gradients([x], resize), 0, 10.0 * x.nbytes, 64)
    h, w = shape[2:]
    grid = np.random.default_rng(0).uniform(-1, 1, (shape[0], h, w, 2)).astype(np.float32)
    work = r.beside([x, grid], lambda L, x, g: L.nn.functional.grid_sample(x, g, align_corners=False))
    # A place is rounded to eps times the image's width, and neighbours differ by the data's spread.
    yield Case("image", f"grid_sample {name}", work, 0, 2.0 * x.nbytes, w * w)
    work = r.beside([x], lambda L, x: L.nn.functional.pad(x, (1, 1, 1, 1), mode="reflect"),
                    lambda x: np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="reflect"))  # fmt: skip
    yield Case("image", f"pad reflect {name}", work, 0, 2.0 * x.nbytes)
    yield Case("image", f"pixel_shuffle {name}", r.beside([x], lambda L, x: L.nn.functional.pixel_shuffle(x, 2)), 0,
               2.0 * x.nbytes)  # fmt: skip
