"""Every environment switch, read once at import.

MIELINA_NUM_THREADS   threads of the pool (1 to 1024); OMP_NUM_THREADS counts if it is absent. Default: what the CPU
                      affinity and the cgroup's quota allow.
MIELINA_ISA           the highest instruction set to use: sse4, avx2, avx512, avx512bf16, amx (x86-64), neon (aarch64).
MIELINA_CUDA_LIBRARY  the CUDA library to load instead of the package's own (read by mielina.cuda).
MIELINA_CACHE         the folder of fetched weights (read by mielina.models; default: ~/.cache/mielina).
MIELINA_ALLOC=debug   no block cache: blocks are filled with NaN and guarded at both ends (read by the core).
"""

from __future__ import annotations

import os

from . import _core


def get_num_threads() -> int:
    """How many threads work on one op.

    >>> mi.get_num_threads() >= 1
    True
    """
    return _core.num_threads()  # type: ignore[no-any-return]


def set_num_threads(n: int) -> None:
    """Sets how many threads work on one op, above the number of cores, too. ValueError outside 1 to 1024.

    >>> before = mi.get_num_threads()
    >>> mi.set_num_threads(2)
    >>> mi.get_num_threads()
    2
    >>> mi.set_num_threads(before)
    """
    if isinstance(n, bool) or not isinstance(n, int):
        raise TypeError(f"set_num_threads: expected an int, got {type(n).__name__}")
    _core.set_num_threads(n, "set_num_threads()")


def get_conv_algorithm() -> str:
    """What `set_conv_algorithm` set.

    >>> mi.get_conv_algorithm()
    'auto'
    """
    return _core.conv_algorithm()  # type: ignore[no-any-return]


def set_conv_algorithm(name: str) -> None:
    """How convolutions are computed: "auto", or "direct", the sums of their definition and nothing else.

    Under "auto" float32 convolutions of images by square windows of 2 x 2 to 10 x 10 of stride 1 and 4 x 4 to 10 x 10
    of stride 2, transposed ones too, go by Winograd's tiles where these pay (12 channels or more into them, 16 out,
    384 pixels in all): 1.2 to 2 times as fast, with rounding errors of 1e-6 to 6e-6 of the largest output (direct:
    3e-7 to 1e-6), and an infinity or NaN in the image reaches all outputs of its tile, 2 x 2 to 5 x 5 of each
    remainder modulo the stride. ValueError: another name.

    >>> mi.set_conv_algorithm("direct")
    >>> mi.set_conv_algorithm("auto")
    """
    _core.set_conv_algorithm(name)


def _read_environment() -> None:
    for name in ("MIELINA_NUM_THREADS", "OMP_NUM_THREADS"):
        text = os.environ.get(name)
        if text is None:
            continue
        ours = name.startswith("MIELINA")
        first = text if ours else text.split(",")[0]  # OpenMP's own form is a list, one number a nesting level
        digits = first.strip().lstrip("0")
        if digits.isascii() and digits.isdigit() and len(digits) <= 4 and int(digits) <= 1024:
            _core.set_num_threads(int(digits), name)
            break
        if ours:
            raise ValueError(f"{name}={text[:40]!r}: expected a number from 1 to 1024")
    isa = os.environ.get("MIELINA_ISA")
    if isa:
        _core.set_isa(isa)


_read_environment()
