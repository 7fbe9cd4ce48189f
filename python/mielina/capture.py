"""`mi.capture(step)`: a step recorded once and replayed from C++, without Python in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from . import _core
from .tensor import Tensor

refreshers: list[Callable[[], None]] = []
"""Called while a step is recorded to learn which host values (learning rates) it must read anew before each replay."""


@contextmanager
def outside() -> Iterator[None]:
    """What runs inside is not part of the recording: state that a step makes once and keeps."""
    suspended = _core.record_suspend()
    try:
        yield
    finally:
        if suspended:
            _core.record_resume()


class Captured:
    """A recorded step: call it with new inputs of the recorded shapes and dtypes.

    The first call runs and records the step; the following ones copy their inputs into the recorded ones and replay.
    The step must do the same ops each time: `.item()`, `.numpy()` and shapes that depend on data raise while
    recording. Results are fresh tensors without history. Learning rates in `param_groups` and the random generators
    stay live.
    """

    def __init__(self, step: Callable[..., Any]) -> None:
        self._step = step
        self._recording: Any = None
        self._inputs: tuple[Any, ...] = ()
        self._constants: list[int] = []
        self._result: Any = None
        self._refresh: list[Callable[[], None]] = []

    def __call__(self, *inputs: Any) -> Any:
        if self._recording is None:
            return self._record(inputs)
        if len(inputs) != len(self._inputs):
            raise TypeError(f"capture: the step was recorded with {len(self._inputs)} inputs, got {len(inputs)}")
        for i in self._constants:
            if inputs[i] != self._inputs[i]:
                raise ValueError(
                    f"capture: input {i} was recorded as the constant {self._inputs[i]!r}, got {inputs[i]!r}"
                )
        for f in self._refresh:
            f()
        misfit = _core.replay(self._recording, self._inputs, inputs)
        if misfit >= 0:
            mine, new = self._inputs[misfit], inputs[misfit]
            got = f"{new.shape} {new.dtype}" if isinstance(new, Tensor) else type(new).__name__
            raise ValueError(f"capture: input {misfit} was recorded as {mine.shape} {mine.dtype}, got {got}")
        result = self._result
        return _core.clone(result) if isinstance(result, Tensor) else _map(_core.clone, result)

    def _record(self, inputs: tuple[Any, ...]) -> Any:
        held = tuple(_core.clone(x) if isinstance(x, Tensor) else x for x in inputs)
        refreshers.clear()
        recording = _core.record_begin()
        try:
            result = self._step(*held)
        finally:
            _core.record_end()
        self._inputs, self._result, self._refresh = held, _detached(result), list(refreshers)
        self._constants = [i for i, x in enumerate(held) if not isinstance(x, Tensor)]
        self._recording = recording
        return _map(_core.clone, self._result)

    @property
    def calls(self) -> list[str]:
        """The recorded kernels' names, in order."""
        return [] if self._recording is None else list(_core.recorded_calls(self._recording))


def _map(f: Callable[[Tensor], Tensor], x: Any) -> Any:
    if isinstance(x, Tensor):
        return f(x)
    if isinstance(x, (tuple, list)):
        return type(x)(_map(f, v) for v in x)
    if isinstance(x, dict):
        return {k: _map(f, v) for k, v in x.items()}
    return x


def _detached(x: Any) -> Any:
    return _map(lambda t: t.detach(), x)


def capture(step: Callable[..., Any]) -> Captured:
    """Records `step(*inputs)` at its first call and replays it afterwards, with the bits that eager execution would
    give.

    >>> weight = mi.tensor([0.0], requires_grad=True)
    >>> optimizer = mi.optim.SGD([weight], lr=0.1)
    >>> def step(x):
    ...     loss = ((weight - x) ** 2).sum()
    ...     optimizer.zero_grad()
    ...     loss.backward()
    ...     optimizer.step()
    ...     return loss
    >>> step = mi.capture(step)
    >>> [step(mi.tensor([1.0])).item() for _ in range(2)]
    [1.0, 0.64000004529953]
    """
    return Captured(step)
