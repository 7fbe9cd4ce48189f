"""One declared case, run over devices, CPU levels, thread counts, dtypes and layouts, against its NumPy reference."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

from mielina.testing.compare import assert_close, tolerance
from mielina.testing.dtypes import Array, is_float, operand, result_type
from mielina.testing.gradients import gradcheck, gradgradcheck
from mielina.testing.layouts import LAYOUTS, make_tensor
from mielina.testing.library import MIELINA, Library, Tensor
from mielina.testing.pairwise import pairwise

THREADS = (1, 2, 7)
_full = ContextVar("full", default=False)


@contextmanager
def full_product() -> Iterator[None]:
    """Inside, `check_op` runs the whole product of its axes."""
    token = _full.set(True)
    try:
        yield
    finally:
        _full.reset(token)


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
    gradgrad: bool | None = None
    grad_amplification: float = 2


@dataclass(frozen=True)
class Run:
    """One row of the covering."""

    device: str
    dtype: str
    layouts: tuple[str, ...]
    isa: str | None
    threads: int


def check_op(
    fn: Callable[..., Any],
    reference: Callable[..., Any],
    inputs: Sequence[Any],
    kwargs: Mapping[str, Any] | None = None,
    *,
    full: bool | None = None,
    library: Library = MIELINA,
    **options: Any,
) -> None:
    """Compare fn(*tensors, **kwargs) with reference(*arrays, **kwargs); AssertionError names the first run that fails.

    inputs: float arrays take the dtype under test (into integers: rounded and clipped), integer and bool arrays keep
      their own, everything else is passed through. The reference gets the values as the tensors hold them, floating
      ones as float64, and returns float64 for every floating result.
    dtypes, layouts, threads, isas, devices: what to run over (default: float32 and float64, all else). Every value and
      every pair of values is covered, each input's layout being an axis of its own; full=True runs the product,
      as does everything inside `full_product`: of three inputs and more, every pair of layouts with all the rest.
    length, amplification: of `tolerance`. magnitude: what the error is relative to where that is more than the result
      itself: "abs" takes reference(*|inputs|), which is right for sums and products; "max" the largest |result|; else a
      number or a function of the arrays.
    result: the result's dtype (one an output, or a function of the dtype under test); default: `dtype=` if given, else
      PyTorch's promotion of the inputs for floating results, and the reference's dtype for others.
    grad: also check gradients, and unless gradgrad=False second ones: central differences in float64, then each dtype,
      layout, CPU level and thread count against float64, relative to the largest entry, with grad_amplification.

    Each run is made with its own number of threads and with one, which must give the same bits, and must leave the
    inputs as they were.
    """
    case = Case(fn, reference, inputs, kwargs or {}, **options)
    target: Target | None = None
    for run in _runs(case, _full.get() if full is None else full, library):
        if target is None or (target.device, target.dtype, target.layouts) != (run.device, run.dtype, run.layouts):
            target = Target(case, run.device, run.dtype, run.layouts, library)
        try:
            target.check(run)
        except NotImplementedError as error:
            # By default a card is asked for what it has kernels for; named in `devices`, for everything.
            if case.devices or run.device == "cpu" or type(error).__name__ != "NoKernel":
                raise
    if case.grad:
        place = "cpu" if case.devices is None or "cpu" in case.devices else case.devices[0]
        leaves = [_leaf(x, library, place) for x in case.inputs]
        gradcheck(lambda *xs: fn(*xs, **case.kwargs), leaves, library=library)
        if case.gradgrad is not False:
            gradgradcheck(lambda *xs: fn(*xs, **case.kwargs), leaves, library=library)


def _runs(case: Case, full: bool, library: Library) -> Iterator[Run]:
    arrays = sum(isinstance(x, np.ndarray) for x in case.inputs)
    layouts = [case.layouts] * arrays
    for device in case.devices or library.devices():
        on_cpu = device == "cpu"
        isas = (case.isas or library.isas()) if on_cpu else (None,)
        threads = case.threads if on_cpu else (1,)
        if not full:
            for dtype, *chosen, isa, count in pairwise(case.dtypes, *layouts, isas, threads):
                yield Run(device, dtype, tuple(chosen), isa, count)
            continue
        # Five inputs in seven layouts each would be 16,807 times the rest.
        together = product(*layouts) if arrays <= 2 else pairwise(*layouts)
        for (dtype, chosen), isa, count in product(product(case.dtypes, list(together)), isas, threads):
            yield Run(device, dtype, tuple(chosen), isa, count)


class Target:
    """The inputs in one dtype and layout, and what must come out: shared by the runs on all CPU levels and threads."""

    def __init__(self, case: Case, device: str, dtype: str, layouts: tuple[str, ...], library: Library) -> None:
        self.case, self.device, self.dtype, self.layouts, self.library = case, device, dtype, layouts, library
        self.tensors = self._tensors()
        self.arrays = [library.numpy(x) if library.is_tensor(x) else x for x in self.tensors]
        self.expected = self._reference(self.arrays)
        self.magnitudes = self._magnitudes()
        self.dtypes = self._result_dtypes()
        self._exact: list[Tensor | None] | None = None

    def check(self, run: Run) -> None:
        """Run the op, compare bits, inputs, results and gradients."""
        outputs, gradients = self._call(self.tensors, run.isa, run.threads)
        again, gradients_again = self._call(self.tensors, run.isa, 1)
        self._same_bits([*outputs, *gradients], [*again, *gradients_again], run)
        for i, (x, before) in enumerate(zip(self.tensors, self.arrays, strict=True)):
            if self.library.is_tensor(x) and not np.array_equal(_bits(self.library.numpy(x)), _bits(before)):
                raise AssertionError(f"{run}: input {i} was changed")
        if len(outputs) != len(self.expected):
            raise AssertionError(f"{run}: expected {len(self.expected)} results, got {len(outputs)}")
        for i, y in enumerate(outputs):
            self._check_output(i, y, run)
        if gradients:
            self._check_gradients(gradients, run)

    def _check_output(self, i: int, y: Any, run: Run) -> None:
        expected, name = self.expected[i], self.dtypes[i]
        context = f"{run}, result {i}"
        if not self.library.is_tensor(y):
            if type(y) is not type(np.asarray(expected).item()) or y != expected:
                raise AssertionError(f"{context}: expected {expected!r}, got {y!r}")
            return
        if self.library.dtype_name(y) != name:
            raise AssertionError(f"{context}: expected dtype {name}, got {self.library.dtype_name(y)}")
        relative = self._tolerance(name)
        assert_close(self.library.numpy(y), np.asarray(expected), name, relative, self.magnitudes[i], context)

    def _check_gradients(self, gradients: Sequence[Tensor | None], run: Run) -> None:
        """Against those of contiguous float64 inputs of the same values, which gradcheck verifies."""
        if self._exact is None:
            inputs = [
                self.library.tensor(a, None, self.device) if self.library.is_tensor(x) else x
                for x, a in zip(self.tensors, self.arrays, strict=True)
            ]
            self._exact = self._call(inputs, run.isa, 1)[1]
        for i, (g, e) in enumerate(zip(gradients, self._exact, strict=True)):
            context = f"{run}, gradient {i}"
            if g is None or e is None:
                if g is not e:
                    raise AssertionError(f"{context}: there is one only in float64 or only in {run.dtype}")
                continue
            name, values = self.library.dtype_name(g), self.library.numpy(e)
            if name != run.dtype:
                raise AssertionError(f"{context}: expected dtype {run.dtype}, got {name}")
            relative = self._tolerance(name) * self.case.grad_amplification
            assert_close(self.library.numpy(g), values, name, relative, _largest(values), context)

    def _tolerance(self, dtype: str) -> float:
        repeated = any(layout.startswith("expanded") for layout in self.layouts)
        return tolerance(dtype, self.case.length, self.case.amplification, correlated=repeated)

    def _call(self, inputs: Sequence[Any], isa: str | None, threads: int) -> tuple[list[Any], list[Tensor | None]]:
        """The outputs, and if gradients are asked for, those of the floating inputs for one fixed cotangent."""
        case, library = self.case, self.library
        with library.running(isa, threads):
            if not (case.grad and is_float(self.dtype)):
                return _sequence(case.fn(*inputs, **case.kwargs)), []
            leaves = [library.leaf(x) if self._is_floating(x) else x for x in inputs]
            outputs = _sequence(case.fn(*leaves, **case.kwargs))
            rng = np.random.default_rng(1)
            # Eighths between -2 and 2 are exact in every dtype.
            draws = [rng.integers(-16, 17, np.shape(e)) / 8 for e in self.expected]
            kept = [(y, v) for y, v in zip(outputs, draws, strict=True) if library.is_tensor(y) and y.requires_grad]
            cotangents = [library.tensor(v, library.dtype_name(y), self.device) for y, v in kept]
            wanted = [x for x in leaves if self._is_floating(x)]
            return outputs, library.grad([y for y, _ in kept], wanted, cotangents)

    def _tensors(self) -> list[Any]:
        layouts = iter(self.layouts)
        result = []
        for x in self.case.inputs:
            if isinstance(x, np.ndarray):
                dtype = self.dtype if x.dtype.kind == "f" else str(x.dtype)
                x = make_tensor(x, dtype, next(layouts), self.device, self.library)
            result.append(x)
        return result

    def _reference(self, arrays: Sequence[Any]) -> list[Any]:
        """The reference takes NumPy dtypes and arrays; every floating dtype is float64 to it."""
        kwargs = {k: self.library.numpy(v) if self.library.is_tensor(v) else v for k, v in self.case.kwargs.items()}
        if kwargs.get("dtype") is not None:
            name = self.library.dtype_name(kwargs["dtype"])
            kwargs["dtype"] = np.float64 if is_float(name) else np.dtype(name)
        with np.errstate(all="ignore"):
            return _sequence(self.case.reference(*arrays, **kwargs))

    def _magnitudes(self) -> list[Any]:
        magnitude = self.case.magnitude
        if magnitude == "abs":
            floating = [isinstance(x, np.ndarray) and x.dtype.kind == "f" for x in self.arrays]
            return self._reference([np.abs(x) if f else x for x, f in zip(self.arrays, floating, strict=True)])
        if magnitude == "max":
            return [_largest(np.asarray(e)) for e in self.expected]
        return [magnitude(*self.arrays) if callable(magnitude) else magnitude] * len(self.expected)

    def _result_dtypes(self) -> list[str]:
        result, count = self.case.result, len(self.expected)
        if result is not None:
            name = result(self.dtype) if callable(result) else result
            return [name] * count if isinstance(name, str) else list(name)
        if self.case.kwargs.get("dtype") is not None:
            return [self.library.dtype_name(self.case.kwargs["dtype"])] * count
        operands = [
            (self.library.dtype_name(x), min(len(x.shape), 1) + 1) if self.library.is_tensor(x) else operand(x)
            for x in self.tensors
        ]
        known = [o for o in operands if o is not None]
        common = result_type(known) if known else "float32"
        floating = common if is_float(common) else "float32"
        kinds = [np.asarray(e).dtype for e in self.expected]
        return [floating if kind.kind == "f" else str(kind) for kind in kinds]

    def _same_bits(self, a: Sequence[Any], b: Sequence[Any], run: Run) -> None:
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            if self.library.is_tensor(x):
                x, y = _bits(self.library.numpy(x)), _bits(self.library.numpy(y))
            if not np.array_equal(x, y):
                raise AssertionError(f"{run}: result {i} has other bits with {run.threads} threads than with 1")

    def _is_floating(self, x: Any) -> bool:
        return self.library.is_tensor(x) and is_float(self.library.dtype_name(x))


def _bits(x: Array) -> Array:
    """Floating numbers as integers, so that -0 differs from 0; all NaN alike."""
    return np.where(np.isnan(x), np.nan, x).view(np.int64) if x.dtype == np.float64 else x


def _largest(x: Array) -> float:
    """The largest finite |x|."""
    return float(np.max(np.abs(x), initial=0.0, where=np.isfinite(x)))


def _leaf(x: Any, library: Library, device: str) -> Any:
    if not isinstance(x, np.ndarray):
        return x
    if x.dtype.kind == "f":
        return library.leaf(library.tensor(x, "float64", device))
    return library.tensor(x, None, device)


def _sequence(x: Any) -> list[Any]:
    return list(x) if isinstance(x, (tuple, list)) else [x]
