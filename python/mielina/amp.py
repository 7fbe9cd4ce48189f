"""`mi.autocast`: products in a half format, everything else in float32."""

from __future__ import annotations

import threading
from typing import Any

from . import dtypes
from .tensor import Tensor

_local = threading.local()
anywhere = 0
"""How many autocast blocks are open in any thread: ops look at this one number first."""


def target() -> dtypes.dtype | None:
    """The dtype that this thread's products compute in, or None."""
    return getattr(_local, "dtype", None)


class autocast:
    """Inside the block, products (matmul, linear, convolution, attention, recurrent layers) take their float32 inputs
    as `dtype`, and losses take half inputs as float32. Everything else computes in the dtypes that it is given.

    with mi.autocast(dtype=mi.bfloat16): ...    (also as a decorator). TypeError: not a half format. For training take
    bfloat16: gradients below 3e-8 are 0 in float16, unless the loss is scaled by hand.

    >>> with mi.autocast():
    ...     y = mi.ones(2, 3) @ mi.ones(3, 2)
    >>> y.dtype
    mielina.bfloat16
    """

    def __init__(
        self,
        device_type: str = "cpu",
        dtype: dtypes.dtype | None = None,
        enabled: bool = True,
        cache_enabled: bool = True,
    ) -> None:
        dtype = dtypes.bfloat16 if dtype is None else dtype
        if dtype not in (dtypes.bfloat16, dtypes.float16):
            raise TypeError(f"autocast: expected bfloat16 or float16, got {dtype}")
        if device_type not in ("cpu", "cuda"):
            raise ValueError(f'autocast: expected device_type "cpu" or "cuda", got {device_type!r}')
        self.dtype = dtype if enabled else None
        self._before: list[Any] = []

    def __enter__(self) -> autocast:
        global anywhere
        self._before.append(target())
        anywhere += 1
        _local.dtype = self.dtype
        return self

    def __exit__(self, *_: object) -> None:
        global anywhere
        _local.dtype = self._before.pop()
        anywhere -= 1

    def __call__(self, function: Any) -> Any:
        import functools

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return wrapped


def cast_inputs(*inputs: Any) -> tuple[Any, ...]:
    """Floating inputs of a product in this thread's autocast dtype; called only while `anywhere` is not 0."""
    dtype = target()
    return inputs if dtype is None else _as(dtype, (dtypes.float32, dtypes.float16, dtypes.bfloat16), inputs)


def widen(*inputs: Any) -> tuple[Any, ...]:
    """Half inputs of a loss in float32 while this thread's autocast is on; called only while `anywhere` is not 0."""
    return inputs if target() is None else _as(dtypes.float32, (dtypes.float16, dtypes.bfloat16), inputs)


def _as(dtype: dtypes.dtype, those: tuple[dtypes.dtype, ...], inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    from .ops.elementwise import cast

    return tuple(cast(x, dtype) if isinstance(x, Tensor) and x.dtype in those else x for x in inputs)
