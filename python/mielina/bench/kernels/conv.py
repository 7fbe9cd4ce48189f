"""Convolutions of images and series, forward and backward, in both memory orders."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..case import Case, Rivals, family

# batch, channels in and out, size, filter, stride, groups
SHAPES: tuple[Any, ...] = (
    (64, 1, 32, 8, 3, 1, 1), (1, 3, 64, 224, 3, 1, 1), (1, 64, 64, 112, 3, 1, 1), (1, 256, 256, 28, 3, 1, 1),
    (8, 128, 128, 28, 3, 1, 1), (8, 64, 64, 28, 5, 1, 1), (8, 64, 128, 56, 1, 2, 1), (8, 3, 64, 112, 7, 2, 1),
    (8, 64, 64, 28, 7, 1, 1), (64, 64, 128, 16, 4, 2, 1), (8, 128, 128, 28, 3, 1, 128),
)  # fmt: skip


def _jax(r: Rivals, stride: int, pad: int, groups: int) -> Any:
    if not r.jax:
        return None
    convolve = r.jax.lax.conv_general_dilated
    return lambda x, w: convolve(x, w, (stride, stride), [(pad, pad)] * 2, feature_group_count=groups)


@family("conv")
def conv(r: Rivals) -> Iterator[Case]:
    for n, c, k, size, filt, stride, groups in r.pick(SHAPES):
        x, w = r.arrays((n, c, size, size), (k, c // groups, filt, filt))
        pad = (filt - 1) // 2
        out = (size + 2 * pad - filt) // stride + 1
        per = c // groups * filt * filt
        flops, moved = 2.0 * n * k * out * out * per, 4.0 * (x.size + w.size + n * k * out * out)
        name = f"{n}x{c}->{k} {size}x{size} {filt}x{filt}/{stride}" + (f" groups {groups}" if groups > 1 else "")

        def same(L: Any, x: Any, w: Any, s: int = stride, p: int = pad, g: int = groups) -> Any:
            return L.nn.functional.conv2d(x, w, stride=s, padding=p, groups=g)

        yield Case("conv", name, r.beside([x, w], same, None, _jax(r, stride, pad, groups)), flops, moved, per)
        if (n, c) in ((64, 1), (8, 128), (8, 64), (64, 64)):
            work = r.gradients([x, w], same, (0, 1), _jax(r, stride, pad, groups))
            yield Case("conv", f"{name} fwd+bwd", work, 3 * flops, 3 * moved, n * out * out)
        if (n, c, groups) in ((8, 128, 1), (8, 3, 1), (8, 128, 128)):
            work = r.beside([x, w], same, prepare=lambda L, a: a.to(memory_format=L.channels_last))
            yield Case("conv", f"{name} channels last", work, flops, moved, per)
    yield from _others(r)


def _others(r: Rivals) -> Iterator[Case]:
    x, w = r.arrays((16, 64, 256), (64, 64, 5))
    work = r.beside([x, w], lambda L, x, w: L.nn.functional.conv1d(x, w, padding=2))
    yield Case("conv", "1-d 16x64->64 256 5/1", work, 2.0 * 16 * 64 * 256 * 64 * 5, 8.0 * x.size, 320)
    for n, filt in ((8, 2), (64, 4)):
        x, w = r.arrays((n, 64, 16, 16), (64, 32, filt, filt))
        pad = (filt - 1) // 2

        def up(L: Any, x: Any, w: Any, p: int = pad) -> Any:
            return L.nn.functional.conv_transpose2d(x, w, stride=2, padding=p)

        name = f"transposed {n}x64->32 16x16 {filt}x{filt}/2"
        flops, terms = 2.0 * n * 256 * 64 * 32 * filt * filt, 16 * filt * filt
        yield Case("conv", name, r.beside([x, w], up), flops, 4.0 * 3 * x.size, terms)
