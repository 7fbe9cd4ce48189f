"""In-place changes and the tape.

A tensor that is written to gets the history of what was written. A view shares memory with its base, so the base's
history becomes "the old base with this region replaced", and every view derives its own anew from the base (the core
calls `refresh` before it looks at a view whose base has moved on).
"""

from __future__ import annotations

from typing import Any

from ... import _core
from ...autograd import op, record
from ...devices import made_on
from ...dtypes import int64
from ...tensor import Tensor, method
from .views import clone_of, expand, identity, squeeze, swapaxes, t, transpose, unsqueeze, view_of, zeros


def _geometry(x: Tensor) -> tuple[Any, ...]:
    return x.shape, x._strides, x._offset


def _extent(*windows: Any) -> tuple[int, int]:
    """The lowest address that the windows touch, and how many elements lie from there to the highest."""
    low = min(o + sum(min((n - 1) * s, 0) for n, s in zip(shape, strides) if n) for shape, strides, o in windows)
    high = max(o + sum(max((n - 1) * s, 0) for n, s in zip(shape, strides) if n) for shape, strides, o in windows)
    return low, high - low + 1


def _window(buffer: Tensor, geometry: Any, low: int) -> Tensor:
    shape, strides, offset = geometry
    return _core.as_strided(buffer, shape, strides, 0 if 0 in shape else offset - low)  # type: ignore[no-any-return]


def region(x: Tensor, y: Tensor) -> Tensor:
    """y, some window on x's memory, as a result of x."""
    return view_of(y, REGION, x, _geometry(x), _geometry(y))  # type: ignore[no-any-return]


def _spread(g: Tensor, base: Any, window: Any) -> Tensor:
    """Zeros addressed like the base, with g in the window; where the window holds an element twice, the sum."""
    low, size = _extent(base, window)
    buffer = zeros((size,), g.dtype, g)
    part, y = _window(buffer, window, low), _window(buffer, base, low)
    if _core.overlaps_itself(y):
        raise RuntimeError(
            "as_strided: no gradient for a tensor whose own elements share memory (an expanded one); clone() it first"
        )
    if _core.overlaps_itself(part):
        places = made_on(g, _core.arange, 0, size, 1, int64)
        _core.index_into(buffer, 0, _core.reshape(_window(places, window, low), (-1,)), _core.reshape(g, (-1,)), "add")
    else:
        _core.copy_into(part, g)
    return record(y, SPREAD, (g,), (base, window))  # type: ignore[no-any-return]


def _take_region(g: Tensor, base: Any, window: Any) -> Tensor:
    """The window of g, which has the base's shape; the adjoint of `_spread`."""
    low, size = _extent(base, window)
    buffer = zeros((size,), g.dtype, g)
    _core.copy_into(_window(buffer, base, low), g)
    return record(_window(buffer, window, low), TAKE_REGION, (g,), (base, window))  # type: ignore[no-any-return]


def _clear(g: Tensor, base: Any, window: Any) -> Tensor:
    """g, which has the base's shape, with zeros in the window, whatever stood there; its own adjoint."""
    low, size = _extent(base, window)
    buffer = zeros((size,), g.dtype, g)
    y = _window(buffer, base, low)
    _core.copy_into(y, g)
    _core.fill_(_window(buffer, window, low), 0)
    return record(y, CLEAR, (g,), (base, window))  # type: ignore[no-any-return]


REGION = op("region", lambda g, needs, base, window: (_spread(g, base, window),))
SPREAD = op("spread", lambda g, needs, base, window: (_take_region(g, base, window),))
TAKE_REGION = op("take_region", lambda g, needs, base, window: (_spread(g, base, window),))
CLEAR = op("clear", lambda g, needs, base, window: (_clear(g, base, window),))


def _replace_rule(g: Tensor, needs: Any, base: Any, window: Any) -> Any:
    return _clear(g, base, window) if needs[0] else None, _take_region(g, base, window) if needs[1] else None


REPLACE = op("replace", _replace_rule)
OVERWRITE = op("overwrite", lambda g, needs: (zeros(g.shape, g.dtype, g),))


def refresh(view: Tensor) -> None:
    """Derives the history of a view anew from its base, also if it is first looked at where no gradients are wanted."""
    before = _core.set_grad_enabled(True)
    try:
        _core.adopt_history(view, view, True)  # so that it counts as current while its old history is looked at
        keeping = _stop_keeping(view)
        _core.adopt_history(view, region(view._base, _core.alias(view)), True)
        if keeping:
            view.retain_grad()
    finally:
        _core.set_grad_enabled(before)


_core.set_refresh(refresh)


def refuse_leaves(x: Tensor, name: str) -> None:
    """RuntimeError: x is a leaf that requires a gradient, or a view of one."""
    owner = x if x._base is None else x._base
    if owner._leaf_flag and owner._node is None:
        what = "a leaf" if owner is x else "a view of a leaf"
        raise RuntimeError(f"{name}: {what} that requires a gradient is being changed in place; do it under no_grad()")


def take_history(x: Tensor, y: Tensor) -> None:
    """x, whose memory got y's values, becomes a result of what made y; so does the region of x's base.

    If nothing that wants a gradient made y, x still wants one, and gives on zeros.
    """
    base = x._base
    kept, kept_base = _stop_keeping(x), base is not None and _stop_keeping(base)
    if base is None:
        source = identity(y) if y._tracked else record(_core.alias(y), OVERWRITE, (x,), ())
        _core.adopt_history(x, source, False)
    else:
        result = record(_core.alias(base), REPLACE, (base, y), (_geometry(base), _geometry(x)))
        _core.adopt_history(base, result, False)
        if y._tracked:  # else x has its base's
            _core.adopt_history(x, identity(y), True)
    if kept:  # from now on the gradient of the new value
        x.retain_grad()
    if kept_base:
        base.retain_grad()


def _stop_keeping(x: Tensor) -> bool:
    """Undoes retain_grad(); whether there was one."""
    node = x._node
    return node is not None and bool(node.hooks) and node.hooks.pop(-1 - x._index, None) is not None


def write_into(x: Tensor, y: Tensor, name: str) -> Tensor:
    """x's memory gets y's values, and x the history of y. y: x's shape after broadcasting; returns x.

    RuntimeError: x is a leaf that requires a gradient (outside no_grad), or y does not fit x.
    """
    refuse_leaves(x, name)
    if y.dtype is not x.dtype:
        from ..elementwise import cast

        y = cast(y, x.dtype)
    if y.shape != x.shape:
        y = expand(y, x.shape)
    _core.copy_into(x, y)
    take_history(x, y)
    return x


def in_place(function: Any, kernel: Any = None) -> Any:
    """The method NAME_ of a function NAME: with gradients through `write_into`, else by kernel(x, ...) in place."""
    name = function.__name__ + "_"

    def changed(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        tracked = self._tracked or any(isinstance(a, Tensor) and a._tracked for a in (*args, *kwargs.values()))
        if tracked and _core.grad_enabled():
            return write_into(self, function(clone_of(self), *args, **kwargs), name)  # the rule may need the old values
        if kernel is None:
            _core.copy_into(self, function(self, *args, **kwargs))
        else:
            kernel(self, *args, **kwargs)
        return self

    changed.__name__ = changed.__qualname__ = name
    changed.__wrapped__ = function  # type: ignore[attr-defined]  # whose signature it has
    changed.__doc__ = (
        f"`{function.__name__}` into this tensor's own memory; returns it. "
        "Leaves that require gradients refuse outside no_grad()."
    )
    return method(changed)


def _in_place_view(function: Any, name: str) -> None:
    """The method NAME_ of a view: the tensor itself becomes that window on its memory."""

    def changed(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        y = function(self, *args, **kwargs)
        tracked = y._tracked
        if tracked and self._leaf_flag and self._node is None:
            raise RuntimeError(
                f"{name}: a leaf that requires a gradient is being changed in place; do it under no_grad()"
            )
        _core.rebind(self, y)
        if tracked:
            _core.adopt_history(self, y, self._base is not None)
        return self

    changed.__name__ = changed.__qualname__ = name
    changed.__doc__ = f"`{function.__name__}` of this very tensor, which keeps its memory; returns it."
    method(changed)


for _function in (transpose, swapaxes, t, squeeze, unsqueeze):
    _in_place_view(_function, _function.__name__ + "_")
_in_place_view(transpose, "swapdims_")


@method
def copy_(self: Tensor, src: Any, non_blocking: bool = False) -> Tensor:
    """Copies src (broadcast, converted) into this tensor's memory."""
    if not isinstance(src, Tensor):
        from ..elementwise import operand

        src = operand(src)
    if _core.grad_enabled() and (self._tracked or src._tracked):
        return write_into(self, identity(src), "copy_")
    _core.copy_into(self, src)
    return self
