"""Views and copies: nothing here computes. A view shares memory with its base; what is written to one is seen in both."""

from __future__ import annotations

from typing import Any

from .. import _core
from ..autograd import op, record
from ..tensor import Tensor, method

__all__ = ["reshape", "permute", "transpose", "expand", "unsqueeze", "squeeze", "narrow", "select", "identity"]


def _view(y: Tensor, o: Any, x: Tensor, *saves: Any) -> Tensor:
    _core.view_of(y, x)
    return record(y, o, (x,), saves)  # type: ignore[no-any-return]


def _sizes(shape: tuple[Any, ...]) -> tuple[int, ...]:
    """x.reshape(2, 3) and x.reshape((2, 3)) mean the same."""
    return tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape


@method
def reshape(input: Tensor, *shape: Any) -> Tensor:
    """The same elements in C order under another shape (one size may be -1): a view where strides allow it, else a copy."""
    y = _core.reshape(input, _sizes(shape))
    if y._storage == input._storage:
        return _view(y, RESHAPE, input, input.shape)
    return record(y, RESHAPE, (input,), (input.shape,))  # type: ignore[no-any-return]


RESHAPE = op("reshape", lambda g, needs, shape: (reshape(g, shape),))


@method
def view(input: Tensor, *shape: Any) -> Tensor:
    """The same memory under another shape. RuntimeError where that needs a copy."""
    return _view(_core.view(input, _sizes(shape)), RESHAPE, input, input.shape)


@method
def permute(input: Tensor, *dims: Any) -> Tensor:
    """The axes in another order, as a view."""
    axes = _sizes(dims)
    inverse = [0] * len(axes)
    y = _core.permute(input, axes)
    for i, a in enumerate(axes):
        inverse[a] = i
    return _view(y, PERMUTE, input, tuple(inverse))


PERMUTE = op("permute", lambda g, needs, axes: (permute(g, axes),))


@method
def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two axes exchanged, as a view."""
    return _view(_core.transpose(input, dim0, dim1), TRANSPOSE, input, dim0, dim1)


TRANSPOSE = op("transpose", lambda g, needs, a, b: (transpose(g, a, b),))


@method
def t(input: Tensor) -> Tensor:
    """The transpose of a matrix; vectors and numbers stay as they are."""
    return input if input.ndim < 2 else transpose(input, 0, 1)


Tensor.T = property(lambda self: permute(self, *reversed(range(self.ndim))))
Tensor.mT = property(lambda self: transpose(self, -2, -1))


@method
def expand(input: Tensor, *sizes: Any) -> Tensor:
    """Axes of size 1 repeated without copying (stride 0); -1 keeps a size."""
    return _view(_core.expand(input, _sizes(sizes)), EXPAND, input, input.shape)


def _expand_rule(g: Tensor, needs: Any, shape: tuple[int, ...]) -> Any:
    from .reduce import sum_to

    return (sum_to(g, shape),)


EXPAND = op("expand", _expand_rule)


@method
def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """A new axis of size 1 at `dim`, as a view."""
    return _view(_core.unsqueeze(input, dim), RESHAPE, input, input.shape)


@method
def squeeze(input: Tensor, dim: Any = None) -> Tensor:
    """Axes of size 1 removed (all, or those in `dim`), as a view."""
    return _view(_core.squeeze(input, () if dim is None else dim, dim is None), RESHAPE, input, input.shape)


def slice(input: Tensor, dim: int, start: int, stop: int, step: int = 1) -> Tensor:
    """input[start:stop:step] along `dim`, as a view."""
    return _view(_core.slice(input, dim, start, stop, step), SLICE, input, input.shape, dim, start, stop, step)


def slice_backward(g: Tensor, shape: tuple[int, ...], dim: int, start: int, stop: int, step: int) -> Tensor:
    """Zeros of `shape` with g in the slice."""
    y = _core.empty(shape, g.dtype)
    _core.fill_(y, 0)
    _core.copy_into(_core.slice(y, dim, start, stop, step), g)
    return record(y, SLICE_BACKWARD, (g,), (dim, start, stop, step))  # type: ignore[no-any-return]


SLICE = op("slice", lambda g, needs, *where: (slice_backward(g, *where),))
SLICE_BACKWARD = op("slice_backward", lambda g, needs, *where: (slice(g, *where),))


@method
def narrow(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """`length` elements from `start` along `dim`, as a view."""
    n = input.shape[dim]
    start = start + n if start < 0 else start
    if start < 0 or length < 0 or start + length > n:
        raise RuntimeError(f"narrow: start ({start}) + length ({length}) exceeds dimension size ({n})")
    return slice(input, dim, start, start + length)


@method
def select(input: Tensor, dim: int, index: int) -> Tensor:
    """The slice at `index` along `dim`, one axis fewer, as a view."""
    return _view(_core.select(input, dim, index), SELECT, input, input.shape, dim, index)


def _select_rule(g: Tensor, needs: Any, shape: tuple[int, ...], dim: int, index: int) -> Any:
    dim = dim % len(shape)
    index = index % shape[dim]
    return (slice_backward(unsqueeze(g, dim), shape, dim, index, index + 1, 1),)


SELECT = op("select", _select_rule)


@method
def contiguous(input: Tensor) -> Tensor:
    """The tensor itself if it is in C order, else a copy that is."""
    return input if _core.is_contiguous(input) else record(_core.contiguous(input), CONTIGUOUS, (input,), ())


CONTIGUOUS = op("contiguous", lambda g, needs: (g,))


@method
def is_contiguous(input: Tensor) -> bool:
    return _core.is_contiguous(input)  # type: ignore[no-any-return]


def identity(input: Tensor) -> Tensor:
    """The same memory as a new result of an op."""
    return record(_core.alias(input), IDENTITY, (input,), ())  # type: ignore[no-any-return]


IDENTITY = op("identity", lambda g, needs: (g,))


# ---- in-place changes and the tape ------------------------------------------------------------------------------------------
# A tensor that is written to gets the history of what was written. A view shares memory with its base, so the base's
# history becomes "the old base with this region replaced", and every view derives its own anew from the base (the core
# calls `refresh` before it looks at a view whose base has moved on).
def _geometry(x: Tensor) -> tuple[Any, ...]:
    return x.shape, x._strides, x._offset


def _same_layout_as(g: Tensor, base_shape: Any, base_strides: Any) -> Tensor:
    """g's values in a dense buffer that is addressed like the base."""
    buffer = _core.empty((_reach(base_shape, base_strides),), g.dtype)
    _core.fill_(buffer, 0)
    y = _core.as_strided(buffer, base_shape, base_strides, 0)
    _core.copy_into(y, g)
    return y  # type: ignore[no-any-return]


def _reach(shape: Any, strides: Any) -> int:
    return 1 + sum((n - 1) * s for n, s in zip(shape, strides) if n > 0)


def _region(x: Tensor, base: Any, window: Any) -> Tensor:
    """The window (shape, strides, offset) of a tensor whose memory is addressed like `base`."""
    y = _core.as_strided(x, window[0], window[1], x._offset + window[2] - base[2])
    return record(y, REGION, (x,), (base, window))  # type: ignore[no-any-return]


def _region_rule(g: Tensor, needs: Any, base: Any, window: Any) -> Any:
    return (_spread(g, base, window),)


def _spread(g: Tensor, base: Any, window: Any) -> Tensor:
    """Zeros addressed like the base, with g in the window."""
    zero = _core.empty((), g.dtype)
    _core.fill_(zero, 0)
    y = _same_layout_as(_core.expand(zero, base[0]), base[0], base[1])
    _core.copy_into(_core.as_strided(y, window[0], window[1], window[2] - base[2]), g)
    return record(y, SPREAD, (g,), (base, window))  # type: ignore[no-any-return]


REGION = op("region", _region_rule)
SPREAD = op("spread", lambda g, needs, base, window: (_take_region(g, base, window),))


def _take_region(g: Tensor, base: Any, window: Any) -> Tensor:
    if g._strides != base[1]:
        g = record(_same_layout_as(g, base[0], base[1]), CLONE_LIKE, (g,), ())
    return _region(g, (base[0], base[1], g._offset), (window[0], window[1], g._offset + window[2] - base[2]))


CLONE_LIKE = op("clone", lambda g, needs: (g,))


def _replace_rule(g: Tensor, needs: Any, base: Any, window: Any) -> Any:
    part = _take_region(g, base, window)
    return g - _spread(part, base, window) if needs[0] else None, part if needs[1] else None


REPLACE = op("replace", _replace_rule)


def refresh(view: Tensor) -> None:
    """Derives the history of a view anew from its base."""
    base = view._base
    _core.adopt_history(view, _region(base, _geometry(base), _geometry(view)), True)


_core.set_refresh(refresh)


def write_into(x: Tensor, y: Tensor, name: str) -> Tensor:
    """x's memory gets y's values, and x the history of y. y: x's shape after broadcasting; returns x.

    RuntimeError: x is a leaf that requires a gradient (outside no_grad), or y does not fit x.
    """
    base = x._base
    owner = x if base is None else base
    if owner._leaf_flag and owner._node is None:
        what = "a leaf" if base is None else "a view of a leaf"
        raise RuntimeError(f"{name}: {what} that requires a gradient is being changed in place; do it under no_grad()")
    if y.dtype is not x.dtype:
        from .elementwise import cast

        y = cast(y, x.dtype)
    if y.shape != x.shape:
        y = expand(y, x.shape)
    if base is None:
        _core.copy_into(x, y)
        _core.adopt_history(x, identity(y), False)
        return x
    geometry, window = _geometry(base), _geometry(x)
    result = record(_core.alias(base), REPLACE, (base, y), (geometry, window))
    _core.copy_into(x, y)
    _core.adopt_history(base, result, False)
    _core.adopt_history(x, identity(y), True)
    return x


@method
def copy_(self: Tensor, src: Any, non_blocking: bool = False) -> Tensor:
    """Copies src (broadcast, converted) into this tensor's memory."""
    if not isinstance(src, Tensor):
        from .elementwise import operand

        src = operand(src)
    if _core.grad_enabled() and (self._tracked or src._tracked):
        return write_into(self, identity(src), "copy_")
    _core.copy_into(self, src)
    return self
