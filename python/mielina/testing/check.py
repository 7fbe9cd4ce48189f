"""One declared case, run over devices, CPU levels, thread counts, dtypes and layouts, against its NumPy reference."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

from mielina.testing.compare import assert_close, tolerance
from mielina.testing.dtypes import is_float, operand, result_type
from mielina.testing.gradients import gradcheck, gradgradcheck
from mielina.testing.layouts import LAYOUTS, make_tensor
from mielina.testing.library import MIELINA, Library, Tensor
from mielina.testing.pairwise import pairwise

THREADS = (1, 2, 7)


@dataclass(frozen=True)
class Case:
    """A call and how near its results must come; see `check_op` for the fields."""

    fn: Callable[..., Any]
    reference: Callable[..., Any]
    inputs: Sequence[Any]
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    dtypes: Sequence[str] = ("float32", "float64")
    layouts: Sequence[str] = LAYOUTS
    threads: Sequence[int] = THREADS
    isas: Sequence[str] | None = None
    devices: Sequence[str] | None = None
    length: float = 1
    amplification: float = 1
    magnitude: str | float | Callable[..., Any] = 0.0
    result: str | Sequence[str] | Callable[[str], str] | None = None
    grad: bool = False
    grad_amplification: float = 8


@dataclass(frozen=True)
class Run:
    """One row of the covering."""

    device: str
    isa: str
    threads: int
    dtype: str
    layouts: tuple[str, ...]


def check_op(
    fn: Callable[..., Any],
    reference: Callable[..., Any],
    inputs: Sequence[Any],
    kwargs: Mapping[str, Any] | None = None,
    *,
    full: bool = False,
    library: Library = MIELINA,
    **options: Any,
) -> None:
    """Compare fn(*tensors, **kwargs) with reference(*arrays, **kwargs); AssertionError names the first run that fails.

    inputs: float arrays take the dtype under test (into integers: rounded and clipped), integer and bool arrays keep
      their own, everything else is passed through. The reference gets the values as the tensors hold them, floating
      ones as float64, and returns float64 for every floating result.
    dtypes, layouts, threads, isas, devices: what to run over (default: all levels and devices available). Every value
      and every pair of values is covered, each input's layout being an axis of its own; full=True runs the product.
    length, amplification: of `tolerance`. magnitude: what the error is relative to where that is more than the result
      itself: "abs" takes reference(*|inputs|), which is right for sums and products; "max" the largest |result|; else a
      number or a function of the arrays.
    result: the result's dtype (one an output, or a function of the dtype under test); default: `dtype=` if given, else
      PyTorch's promotion of the inputs for floating results, and the reference's dtype for others.
    grad: also check gradients: central differences to second order in float64, then each dtype, layout, CPU level and
      thread count against float64, relative to the largest entry, with grad_amplification.

    For each run the results with one thread and with the run's threads have the same bits.
    """
    case = Case(fn, reference, inputs, kwargs or {}, **options)
    for run in _runs(case, full, library):
        _check_run(case, run, library)
    if case.grad:
        leaves = [_leaf(x, library) for x in case.inputs]
        gradcheck(lambda *xs: fn(*xs, **case.kwargs), leaves, library=library)
        gradgradcheck(lambda *xs: fn(*xs, **case.kwargs), leaves, library=library)


def _runs(case: Case, full: bool, library: Library) -> Iterator[Run]:
    arrays = sum(isinstance(x, np.ndarray) for x in case.inputs)
    cover = product if full else pairwise
    for device in case.devices or library.devices():
        isas = (case.isas or library.isas()) if device == "cpu" else ("cuda",)
        threads = case.threads if device == "cpu" else (1,)
        for isa, count, dtype, *layouts in cover(isas, threads, case.dtypes, *[case.layouts] * arrays):
            yield Run(device, isa, count, dtype, tuple(layouts))


def _check_run(case: Case, run: Run, library: Library) -> None:
    arguments = _arguments(case, run, library)
    arrays = [library.numpy(x) if library.is_tensor(x) else x for x in arguments]
    with np.errstate(all="ignore"):
        expected = _sequence(case.reference(*arrays, **_reference_kwargs(case.kwargs, library)))
        magnitudes = _magnitudes(case, arrays, expected, library)
    names = _result_dtypes(case, run, arguments, expected, library)
    call = _caller(case, run, arguments, expected, library)
    actual, gradients = call(run.threads)
    _same_bits([*actual, *gradients], [*(again := call(1))[0], *again[1]], run, library)
    if len(actual) != len(expected):
        raise AssertionError(f"{run}: expected {len(expected)} results, got {len(actual)}")
    for i, (y, e, name, magnitude) in enumerate(zip(actual, expected, names, magnitudes, strict=True)):
        context = f"{run}, result {i}"
        if not library.is_tensor(y):
            if type(y) is not type(np.asarray(e).item()) or y != e:
                raise AssertionError(f"{context}: expected {e!r}, got {y!r}")
            continue
        if library.dtype_name(y) != name:
            raise AssertionError(f"{context}: expected dtype {name}, got {library.dtype_name(y)}")
        relative = tolerance(name, case.length, case.amplification)
        assert_close(library.numpy(y), np.asarray(e), name, relative, magnitude, context)
    if gradients:
        exact_run = Run(run.device, run.isa, 1, "float64", ("contiguous",) * len(run.layouts))
        exact_arguments = [
            library.tensor(a, None, run.device) if library.is_tensor(x) else x
            for x, a in zip(arguments, arrays, strict=True)
        ]
        _, exact = _caller(case, exact_run, exact_arguments, expected, library)(1)
        for i, (g, e) in enumerate(zip(gradients, exact, strict=True)):
            if (g is None) != (e is None):
                raise AssertionError(f"{run}: gradient {i} is missing in one dtype only")
            if g is None or e is None:
                continue
            name, values = library.dtype_name(g), library.numpy(e)
            if name != run.dtype:
                raise AssertionError(f"{run}: expected gradient {i} in {run.dtype}, got {name}")
            largest = float(np.max(np.abs(values), initial=0.0))
            relative = tolerance(name, case.length, case.grad_amplification * case.amplification)
            assert_close(library.numpy(g), values, name, relative, largest, f"{run}, gradient {i}")


Call = Callable[[int], tuple[list[Any], list[Any]]]


def _caller(case: Case, run: Run, arguments: Sequence[Any], expected: Sequence[Any], library: Library) -> Call:
    """threads -> (outputs, gradients of the floating inputs for one fixed cotangent, if gradients are asked)."""

    def call(threads: int) -> tuple[list[Any], list[Any]]:
        with library.running(run.isa, threads):
            if not (case.grad and is_float(run.dtype)):
                return _sequence(case.fn(*arguments, **case.kwargs)), []
            leaves = [library.leaf(x) if _is_floating(x, library) else x for x in arguments]
            outputs = _sequence(case.fn(*leaves, **case.kwargs))
            rng = np.random.default_rng(1)
            # Eighths between -2 and 2 are exact in every dtype.
            draws = [rng.integers(-16, 17, np.shape(e)) / 8 for e in expected]
            kept = [(y, v) for y, v in zip(outputs, draws, strict=True) if library.is_tensor(y) and y.requires_grad]
            cotangents = [library.tensor(v, library.dtype_name(y), run.device) for y, v in kept]
            wanted = [x for x in leaves if _is_floating(x, library)]
            return outputs, library.grad([y for y, _ in kept], wanted, cotangents)

    return call


def _arguments(case: Case, run: Run, library: Library) -> list[Any]:
    layouts = iter(run.layouts)
    result = []
    for x in case.inputs:
        if isinstance(x, np.ndarray):
            dtype = run.dtype if x.dtype.kind == "f" else str(x.dtype)
            x = make_tensor(x, dtype, next(layouts), run.device, library)
        result.append(x)
    return result


def _magnitudes(case: Case, arrays: Sequence[Any], expected: Sequence[Any], library: Library) -> list[Any]:
    if case.magnitude == "abs":
        positive = [np.abs(x) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x for x in arrays]
        return _sequence(case.reference(*positive, **_reference_kwargs(case.kwargs, library)))
    if case.magnitude == "max":
        finite = [np.where(np.isfinite(e), np.abs(e), 0.0) for e in expected]
        return [float(np.max(f, initial=0.0)) for f in finite]
    magnitude = case.magnitude(*arrays) if callable(case.magnitude) else case.magnitude
    return [magnitude] * len(expected)


def _result_dtypes(
    case: Case, run: Run, arguments: Sequence[Any], expected: Sequence[Any], library: Library
) -> list[str]:
    if callable(case.result):
        return [case.result(run.dtype)] * len(expected)
    if case.result is not None:
        return [case.result] * len(expected) if isinstance(case.result, str) else list(case.result)
    if case.kwargs.get("dtype") is not None:
        return [library.dtype_name(case.kwargs["dtype"])] * len(expected)
    operands = [
        (library.dtype_name(x), 2 if len(x.shape) else 1) if library.is_tensor(x) else operand(x) for x in arguments
    ]
    common = result_type([o for o in operands if o is not None]) if any(operands) else "float32"
    floating = common if is_float(common) else "float32"
    return [floating if np.asarray(e).dtype.kind == "f" else str(np.asarray(e).dtype) for e in expected]


def _reference_kwargs(kwargs: Mapping[str, Any], library: Library) -> dict[str, Any]:
    """The reference takes NumPy dtypes and arrays; every floating dtype is float64 to it."""
    result = {key: library.numpy(value) if library.is_tensor(value) else value for key, value in kwargs.items()}
    if result.get("dtype") is not None:
        name = library.dtype_name(result["dtype"])
        result["dtype"] = np.float64 if is_float(name) else np.dtype(name)
    return result


def _same_bits(a: Sequence[Any], b: Sequence[Any], run: Run, library: Library) -> None:
    for i, (x, y) in enumerate(zip(a, b, strict=True)):
        if not library.is_tensor(x):
            equal = x == y
        else:
            u, v = library.numpy(x), library.numpy(y)
            if u.dtype.kind == "f":
                u, v = (np.where(np.isnan(w), np.nan, w).view(np.int64) for w in (u, v))
            equal = u.shape == v.shape and bool((u == v).all())
        if not equal:
            raise AssertionError(f"{run}: result {i} has other bits with {run.threads} threads than with 1")


def _leaf(x: Any, library: Library) -> Any:
    if not isinstance(x, np.ndarray):
        return x
    tensor: Tensor = library.tensor(x.astype(np.float64) if x.dtype.kind == "f" else x)
    return library.leaf(tensor) if x.dtype.kind == "f" else tensor


def _is_floating(x: Any, library: Library) -> bool:
    return library.is_tensor(x) and is_float(library.dtype_name(x))


def _sequence(x: Any) -> list[Any]:
    return list(x) if isinstance(x, (tuple, list)) else [x]
