"""Rows of docs/differences.md that no other test shows: what this library gives and, where it is installed, PyTorch."""

import warnings
from typing import Any

import mielina as mi
import mielina.nn.functional as F
import numpy as np
import pytest

inf, nan = float("inf"), float("nan")


def _no_channels(m: Any, functional: Any) -> Any:
    return functional.conv2d(m.ones(1, 0, 3, 3), m.ones(2, 0, 2, 2), m.ones(2))


def _bags(m: Any, functional: Any) -> Any:
    rows = m.arange(6.0).reshape(3, 2)
    return functional.embedding_bag(
        m.tensor([0, 1, 2, 1]), rows, m.tensor([0, 2]), include_last_offset=True, mode="mean"
    )


def _infinite_filter(m: Any, functional: Any) -> Any:
    return functional.conv2d(m.ones(1, 1, 3, 3), m.full((1, 1, 3, 3), inf), padding=1)


def _whole(m: Any, functional: Any) -> Any:
    return m.tensor([nan, inf, -inf, 1e20]).to(m.int32)


CASES = {
    "conv of no channels": (_no_channels, np.ones((1, 2, 2, 2)), np.ones((1, 0, 2, 2))),
    "pixel_unshuffle of an empty batch": (
        lambda m, f: f.pixel_unshuffle(m.ones(0, 1, 4, 4), 2),
        np.ones((0, 4, 2, 2)),
        np.ones((0, 1, 4, 4)),
    ),
    "last bag": (_bags, [[1.0, 2.0]], [[0.5, 1.0]]),
    "numbers that int32 cannot hold": (_whole, [0, 0, 0, 0], [-(2**31)] * 4),
}


@pytest.mark.parametrize("name", CASES)
def test_result(name: str) -> None:
    call, ours, theirs = CASES[name]
    np.testing.assert_array_equal(call(mi, F).numpy(), ours)
    torch = pytest.importorskip("torch")
    np.testing.assert_array_equal(call(torch, torch.nn.functional).numpy(), theirs)


def test_an_infinite_filter_meets_the_padding() -> None:
    """inf times the zeros of the border is NaN; only the middle pixel sees none of them."""
    expected = np.full((1, 1, 3, 3), nan)
    expected[0, 0, 1, 1] = inf
    np.testing.assert_array_equal(_infinite_filter(mi, F).numpy(), expected)


REFUSED = {
    "softmax of no integers": (lambda m, f: m.softmax(m.zeros(0, dtype=m.int64), 0), NotImplementedError, "floating"),
    "batch_norm of no integers": (
        lambda m, f: f.batch_norm(m.zeros(0, 3, dtype=m.int64), None, None, training=True),
        NotImplementedError,
        "floating",
    ),
    "x[..., ...]": (lambda m, f: m.ones(2, 3)[..., ...], IndexError, "single ellipsis"),
    "nine dimensions": (lambda m, f: m.cat([m.ones(*[1] * 9)] * 2), ValueError, "at most 8"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    call, error, text = REFUSED[name]
    with pytest.raises(error, match=text):
        call(mi, F)
    torch = pytest.importorskip("torch")
    call(torch, torch.nn.functional)


def test_an_array_beside_a_tensor_is_one() -> None:
    """Arrays are taken where a tensor may be on either side: in arithmetic and comparison."""
    np.testing.assert_array_equal(mi.add(np.ones(2, np.float32), 1).numpy(), [2, 2])
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match="must be Tensor"):
        torch.add(np.ones(2, np.float32), 1)


def test_what_is_accepted_here() -> None:
    """Integer targets, a layer before super().__init__(), and no warnings where PyTorch warns or raises."""
    loss = F.binary_cross_entropy_with_logits(mi.zeros(2), mi.tensor([0, 1]))
    assert loss.item() == pytest.approx(np.log(2))

    class Early(mi.nn.Module):
        def __init__(self) -> None:
            self.layer = mi.nn.Linear(1, 1)
            super().__init__()

    assert [name for name, _ in Early().named_parameters()] == ["layer.weight", "layer.bias"]
    p = mi.nn.Parameter(mi.ones(1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (p * 2).grad is None
        mi.optim.lr_scheduler.StepLR(mi.optim.SGD([p], lr=0.1), 1).step()


def test_what_is_not_here() -> None:
    """The last table of docs/differences.md."""
    for name in ("fft", "linalg", "sparse", "distributions", "func", "vmap", "compile", "jit", "utils", "FloatTensor"):
        assert not hasattr(mi, name)
    assert not hasattr(mi.nn, "DataParallel") and not hasattr(mi.nn.utils, "parametrizations")
    with pytest.raises(TypeError, match=r"use mielina\.tensor\(data\)"):
        mi.Tensor([1, 2])  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="complex128"):
        mi.tensor([1j])


def test_a_format_is_for_a_number() -> None:
    """As in PyTorch: what the format would do to several numbers was silently left out."""
    assert f"{mi.tensor(1.25):.1f} {mi.ones(1)}" == "1.2 tensor([1.])"
    with pytest.raises(TypeError, match="single number"):
        format(mi.ones(2), ".2f")
