"""_core.warp: images through affine maps, against the reference; its public face is mielina.transforms."""

import itertools

import mielina as mi
import numpy as np
import pytest
from levels import LEVELS
from mielina import _core
from mielina.testing.reference.image import warp as reference

MODES, BORDERS = ("bilinear", "nearest"), ("zeros", "border", "reflection")


def _turns(n: int, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Rotations with zoom about the middle of an image, and shifts that leave it."""
    angle, zoom = rng.uniform(-2, 2, n), rng.uniform(0.4, 1.8, n)
    turn = (
        np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], 1).reshape(n, 2, 2)
        * zoom[:, None, None]
    )
    middle = np.array([size[1] - 1, size[0] - 1]) / 2
    shift = middle - turn @ middle + rng.uniform(-9, 9, (n, 2))
    return np.concatenate([turn, shift[:, :, None]], 2)


def _layouts(x: np.ndarray) -> dict[str, mi.Tensor]:
    t = mi.tensor(x)
    wide = mi.zeros(*x.shape[:3], 2 * x.shape[3], dtype=t.dtype)
    wide[..., ::2] = t
    return {
        "planes": t,
        "channels last": t.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2),
        "transposed": t.transpose(2, 3).contiguous().transpose(2, 3),
        "every other": wide[..., ::2],
        "one image": t[:1].expand(*x.shape),
    }


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("mode", "border"), list(itertools.product(MODES, BORDERS)))
def test_against_the_reference(mode: str, border: str, level: str) -> None:
    rng = np.random.default_rng(7)
    before = _core.isa()
    _core.set_isa(level)
    try:
        for shape, size in (
            ((3, 3, 17, 23), (19, 21)),
            ((2, 1, 9, 150), (5, 200)),
            ((1, 2, 1, 1), (3, 3)),
            ((2, 4, 6, 2), (8, 40)),
        ):
            m = _turns(shape[0], shape[2:], rng)
            bytes_ = rng.integers(0, 256, shape).astype(np.uint8)
            for x in (bytes_ / np.float32(255), bytes_):
                for name, t in _layouts(x).items():
                    y = _core.warp(t, mi.tensor(m), size, mode, border)
                    expected = reference(t.numpy(), m, size, mode, border)
                    # A place in float32, of a few hundred pixels, is off by 2^-24 of it: so is the weight.
                    where = 400 * 2.0**-23
                    if x.dtype == np.uint8:
                        assert np.abs(y.numpy() - expected).max(initial=0) <= 0.5 + 255 * where, (name, shape)
                    elif mode == "bilinear":
                        np.testing.assert_allclose(y.numpy(), expected, atol=where, rtol=0, err_msg=f"{name} {shape}")
                    else:  # a place half way between two pixels may round to the other one
                        assert np.mean(np.abs(y.numpy() - expected) > 1e-6) < 1e-3, (name, shape)
    finally:
        _core.set_isa(before)


@pytest.mark.parametrize("channels", [2, 3, 4])
@pytest.mark.parametrize("mode", MODES)
def test_memory_orders_and_threads_give_the_same_bits(mode: str, channels: int) -> None:
    """Pixels of three and four are read, and written over the next one, as one vector each; planes pixel by pixel."""
    rng = np.random.default_rng(3)
    m = mi.tensor(_turns(3, (40, 150), rng))
    before = mi.get_num_threads()
    for x in (mi.rand(3, channels, 40, 150), mi.randint(0, 256, (3, channels, 40, 150)).to(mi.uint8)):
        planes = _core.warp(x, m, (150, 131), mode, "border")
        last = _layouts(x.numpy())["channels last"]
        wide = mi.zeros(3, 40, 150, 5, dtype=x.dtype).permute(0, 3, 1, 2)
        wide[:, :channels] = x
        for threads in (1, 3):
            mi.set_num_threads(threads)
            for same in (last, wide[:, :channels]):
                np.testing.assert_array_equal(_core.warp(same, m, (150, 131), mode, "border").numpy(), planes.numpy())
    mi.set_num_threads(before)


def test_identity_flip_and_shift_are_exact() -> None:
    x = mi.rand(2, 3, 20, 37)
    same = np.tile(np.eye(2, 3), (2, 1, 1))
    flip = same * [[-1, 1, 1], [1, 1, 1]] + [[0, 0, 36], [0, 0, 0]]
    shift = same + [[0, 0, 5], [0, 0, -3]]
    for border in BORDERS:
        np.testing.assert_array_equal(_core.warp(x, mi.tensor(same), (20, 37), "bilinear", border).numpy(), x.numpy())
        np.testing.assert_array_equal(
            _core.warp(x, mi.tensor(flip), (20, 37), "bilinear", border).numpy(), x.numpy()[..., ::-1]
        )
    moved = _core.warp(x, mi.tensor(shift), (20, 37), "bilinear", "zeros").numpy()
    expected = np.zeros_like(moved)
    expected[..., 3:, :32] = x.numpy()[..., :17, 5:]
    np.testing.assert_array_equal(moved, expected)


def test_same_bits_for_all_threads() -> None:
    x, m = mi.rand(4, 3, 120, 130), mi.tensor(_turns(4, (120, 130), np.random.default_rng(1)))
    before, results = mi.get_num_threads(), []
    for threads in (1, 2, 7):
        mi.set_num_threads(threads)
        results.append(_core.warp(x, m, (99, 140), "bilinear", "reflection").numpy())
    mi.set_num_threads(before)
    assert all(np.array_equal(results[0], other) for other in results[1:])


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e300, -1e30])
@pytest.mark.parametrize(("mode", "border"), list(itertools.product(MODES, BORDERS)))
def test_maps_to_nowhere_read_nothing_outside(mode: str, border: str, bad: float) -> None:
    """What comes out is undefined or NaN; that nothing is read beside the image is for the sanitizer to see."""
    for dtype in (mi.float32, mi.uint8):
        for i in range(6):
            m = np.eye(2, 3)
            m.flat[i] = bad
            y = _core.warp(mi.ones(1, 2, 5, 7).to(dtype), mi.tensor(m[None]), (6, 40), mode, border)
            assert y.shape == (1, 2, 6, 40) and y.dtype == dtype


@pytest.mark.parametrize(
    ("x", "m", "size", "mode", "error", "text"),
    [
        (mi.ones(3, 4, 4), mi.ones(3, 2, 3), (4, 4), "bilinear", RuntimeError, "N, C, H, W"),
        (mi.ones(1, 3, 4, 4), mi.ones(2, 2, 3), (4, 4), "bilinear", RuntimeError, "expected matrices"),
        (mi.ones(1, 3, 4, 4), mi.ones(1, 2, 3), (4,), "bilinear", RuntimeError, "size"),
        (mi.ones(1, 3, 4, 4), mi.ones(1, 2, 3), (4, -1), "bilinear", RuntimeError, "size"),
        (mi.ones(1, 3, 4, 4), mi.ones(1, 2, 3), (4, 4), "bicubic", ValueError, "mode"),
        (mi.ones(1, 3, 4, 4, dtype=mi.float64), mi.ones(1, 2, 3), (4, 4), "bilinear", NotImplementedError, "float32"),
        (mi.ones(1, 3, 0, 4), mi.ones(1, 2, 3), (4, 4), "bilinear", RuntimeError, "pixels"),
        (mi.ones(1, 1, 1, 1).expand(1, 1, 1, 2**21), mi.ones(1, 2, 3), (1, 4), "bilinear", NotImplementedError, "2.20"),
        (mi.ones(1, 1, 1, 1), mi.ones(1, 2, 3), (1, 2**21), "bilinear", NotImplementedError, "2.20"),
        (mi.ones(1, 3, 4, 4), mi.ones(1, 2, 3, dtype=mi.int64), (4, 4), "bilinear", TypeError, "floating"),
    ],
)
def test_bad_input(x, m, size, mode, error, text) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error, match=text):
        _core.warp(x, m, size, mode, "zeros")


def test_empty() -> None:
    assert _core.warp(mi.ones(0, 3, 4, 4), mi.ones(0, 2, 3), (5, 6), "bilinear", "zeros").shape == (0, 3, 5, 6)
    assert _core.warp(mi.ones(2, 3, 4, 4), mi.ones(2, 2, 3), (0, 6), "bilinear", "zeros").shape == (2, 3, 0, 6)


def test_long_rows_are_read_within_the_image() -> None:
    """Places near the ends of the longest rows, where float32 counts in eighths of a pixel."""
    n = 2**20
    x = mi.arange(n).float().reshape(1, 1, 1, n)
    for start in (-40.25, n - 300.5, n - 20.75, n + 3.5):
        y = _core.warp(x, mi.tensor([[[1.0, 0, start], [0, 1.0, 0]]]), (1, 400), "bilinear", "border").numpy()
        places = np.clip(start + np.arange(400), 0, n - 1)
        np.testing.assert_allclose(y.ravel(), places, atol=3 * 2.0**-4)  # start, place and result are rounded
