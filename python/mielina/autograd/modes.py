"""Whether ops are recorded, on this thread: `no_grad`, `enable_grad`, `set_grad_enabled`; and who watches them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

from .. import _core
from .tape import Op


class _Mode:
    """A context manager that may be nested, and a decorator of functions and generators."""

    _mode = False
    _before: list[bool]

    def __new__(cls, *_: Any) -> Any:
        self = super().__new__(cls)
        self._before = []
        return self

    def __enter__(self) -> Any:
        self._before.append(_core.set_grad_enabled(self._mode))
        return self

    def __exit__(self, *_: object) -> None:
        _core.set_grad_enabled(self._before.pop())

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return _under(function, self._mode)


@contextmanager
def _as(mode: bool) -> Iterator[None]:
    before = _core.set_grad_enabled(mode)
    try:
        yield
    finally:
        _core.set_grad_enabled(before)


def _under(function: Callable[..., Any], mode: bool) -> Callable[..., Any]:
    if inspect.isgeneratorfunction(function):
        return _generator_under(function, mode)

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with _as(mode):
            return function(*args, **kwargs)

    return wrapped


def _generator_under(function: Callable[..., Any], mode: bool) -> Callable[..., Any]:
    """The generator's own lines run under the mode; between them its caller has his own."""

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        generator = function(*args, **kwargs)
        resume: Callable[[], Any] = lambda: next(generator)
        try:
            while True:
                with _as(mode):
                    value = resume()
                try:
                    sent = yield value
                    resume = functools.partial(generator.send, sent)
                except GeneratorExit:
                    with _as(mode):
                        generator.close()
                    raise
                except BaseException as error:
                    resume = functools.partial(generator.throw, error)
        except StopIteration as end:
            return end.value

    return wrapped


class no_grad(_Mode):
    """Ops inside are not recorded: their results have no history. `with no_grad():`, `@no_grad()` or `@no_grad`.

    >>> x = mi.tensor([1.0], requires_grad=True)
    >>> with mi.no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """

    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        return super().__new__(cls) if function is None else _under(function, cls._mode)


class enable_grad(no_grad):
    """Ops inside are recorded, also within `no_grad`.

    >>> x = mi.tensor([1.0], requires_grad=True)
    >>> with mi.no_grad(), mi.enable_grad():
    ...     y = x * 2
    >>> y.requires_grad
    True
    """

    _mode = True


class inference_mode(_Mode):
    """`no_grad` under PyTorch's other name; `inference_mode(False)` records. Results are ordinary tensors.

    >>> with mi.inference_mode():
    ...     y = mi.tensor([1.0], requires_grad=True) * 2
    >>> y.requires_grad
    False
    """

    def __new__(cls, mode: Any = True) -> Any:
        if callable(mode):
            return _under(mode, False)
        self = super().__new__(cls)
        self._mode = not mode
        return self


class set_grad_enabled(_Mode):
    """Switches recording on or off at once; as a context manager or decorator, for its extent only.

    >>> x = mi.tensor([1.0], requires_grad=True)
    >>> with mi.set_grad_enabled(False):
    ...     y = x * 2
    >>> y.requires_grad
    False
    """

    def __init__(self, mode: bool) -> None:
        self._mode = bool(mode)
        self._at_first = _core.set_grad_enabled(self._mode)

    def __enter__(self) -> set_grad_enabled:
        self._before.append(self._at_first)
        self._at_first = _core.set_grad_enabled(self._mode)
        return self

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        _core.set_grad_enabled(self._at_first)
        return super().__call__(function)


def is_grad_enabled() -> bool:
    """Whether ops on this thread are recorded.

    >>> with mi.no_grad():
    ...     print(mi.is_grad_enabled())
    False
    """
    return _core.grad_enabled()  # type: ignore[no-any-return]


@contextmanager
def traced(tracer: Callable[[Any, Op, tuple[Any, ...], tuple[Any, ...]], None]) -> Iterator[None]:
    """Calls tracer(y, op, inputs, saves) for each op on this thread."""
    before = _core.set_tracer(tracer)
    try:
        yield
    finally:
        _core.set_tracer(before)
