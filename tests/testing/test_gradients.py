"""gradcheck must pass right gradients and fail wrong ones, to second order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mielina.testing import Library, gradcheck, gradgradcheck

X = np.linspace(0.5, 2.0, 6).reshape(2, 3)


def leaf(values: Any, library: Library, dtype: str = "float64") -> Any:
    return library.leaf(library.tensor(values, dtype))


def surrogate(x: Any, value: Any, gradient: Any) -> Any:
    """`value` forward, `gradient` backward."""
    return value(x.detach()) + (x - x.detach()) * gradient(x.detach())


def test_right_gradients_pass(library: Library) -> None:
    x, y = leaf(X, library), leaf(X[:1] + 0.1, library)
    for fn in (lambda x, y: x * y, lambda x, y: (x * y).sum(), lambda x, y: (x * x * y, y * 2.0), lambda x, y: x / y):
        assert gradcheck(fn, [x, y], library=library) is True
        assert gradgradcheck(fn, [x, y], library=library) is True


def test_empty_scalar_and_strided_inputs_pass(library: Library) -> None:
    for values in (np.zeros((0, 3)), np.asarray(1.5)):
        gradcheck(lambda x: x * x, [leaf(values, library)], library=library)
    strided = library.leaf(library.tensor(X).permute((1, 0)))
    assert gradcheck(lambda x: x * x, strided, library=library)  # one input needs no list
    gradgradcheck(lambda x: x * x * x, [strided], library=library)


@pytest.mark.parametrize("shape", [(2, 3), (40, 50)])
def test_a_gradient_off_by_a_thousandth_fails(shape: tuple[int, ...], library: Library) -> None:
    x = leaf(np.random.default_rng(0).uniform(0.5, 2.0, shape), library)
    with pytest.raises(AssertionError, match="directional|Jacobian"):
        gradcheck(lambda x: surrogate(x, lambda c: c * c, lambda c: c * 2.002), [x], library=library)


def test_a_wrong_sign_fails(library: Library) -> None:
    with pytest.raises(AssertionError):
        gradcheck(lambda x: surrogate(x, lambda c: c * c, lambda c: c * -2.0), [leaf(X, library)], library=library)


def test_one_wrong_entry_fails(library: Library) -> None:
    slope = np.full(X.shape, 2.0)
    slope[1, 2] = 2.002
    with pytest.raises(AssertionError, match="Jacobian|directional"):
        gradcheck(lambda x: surrogate(x, lambda c: c * 2.0, lambda c: library.tensor(slope)), [leaf(X, library)],
                  library=library)  # fmt: skip


def test_a_nan_gradient_fails(library: Library) -> None:
    with pytest.raises(AssertionError):
        gradcheck(lambda x: surrogate(x, lambda c: c, lambda c: (c - c) / (c - c)), [leaf(X, library)], library=library)


def test_a_nan_value_fails(library: Library) -> None:
    with pytest.raises(AssertionError):
        gradcheck(lambda x: x * library.tensor(np.full(X.shape, np.nan)), [leaf(X, library)], library=library)


def test_a_missing_gradient_fails(library: Library) -> None:
    with pytest.raises(AssertionError):
        gradcheck(lambda x, y: x * y.detach(), [leaf(X, library), leaf(X, library)], library=library)
    with pytest.raises(AssertionError):
        gradcheck(lambda x: (x * 2.0, (x * 3.0).detach()), [leaf(X, library)], library=library)


def test_a_wrong_second_gradient_fails(library: Library) -> None:
    def fn(x: Any) -> Any:
        c = x.detach()
        return c * c * c + (x - c) * (c * c * 3.0)

    gradcheck(fn, [leaf(X, library)], library=library)
    with pytest.raises(AssertionError):
        gradgradcheck(fn, [leaf(X, library)], library=library)


def wrong(library: Library, twist: Any) -> Library:
    """The library with gradients that went through twist(gradient, cotangents)."""

    class Wrong(type(library)):  # type: ignore[misc]
        def grad(self, outputs: Any, inputs: Any, cotangents: Any, create_graph: bool = False) -> Any:
            found = super().grad(outputs, inputs, cotangents, create_graph)
            return [None if g is None else twist(g, cotangents) for g in found]

    return Wrong() if type(library) is not Library else Wrong(library.name)


def test_a_rule_that_ignores_the_strides_of_its_cotangent_fails(library: Library) -> None:
    other = wrong(library, lambda g, v: g * (1.0 if v[0].is_contiguous() else 1.001))
    with pytest.raises(AssertionError, match="transposed cotangent"):
        gradcheck(lambda x: x * 2.0, [leaf(X, library)], library=other)


def test_a_gradient_of_another_dtype_or_shape_fails(library: Library) -> None:
    for twist in (lambda g, v: g.to(library.dtype("float32")), lambda g, v: g.sum(0)):
        with pytest.raises(AssertionError, match="gradient of input 0 is"):
            gradcheck(lambda x: x * 2.0, [leaf(X, library)], library=wrong(library, twist))


def test_a_random_function_fails(library: Library) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(AssertionError, match="two calls"):
        gradcheck(lambda x: x * rng.random(), [leaf(X, library)], library=library)


def test_wrong_use_raises(library: Library) -> None:
    with pytest.raises(ValueError, match="float64"):
        gradcheck(lambda x: x * x, [leaf(X, library, "float32")], library=library)
    with pytest.raises(ValueError, match="no input requires"):
        gradcheck(lambda x: x * x, [library.tensor(X)], library=library)


def test_integer_and_constant_inputs_are_skipped(library: Library) -> None:
    index = library.tensor(np.array([1, 0]))
    gradcheck(lambda x, i, k, scale: x * k * scale, [leaf(X, library), index, library.tensor(X), 2.0], library=library)
