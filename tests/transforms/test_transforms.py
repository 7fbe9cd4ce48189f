"""mielina.transforms: what each does, that geometric parts fold into one warp, and that a seed decides."""

import mielina as mi
import mielina.transforms as T
import numpy as np
import pytest
from mielina.testing.reference.image import warp as reference

GEOMETRIC = [
    T.RandomFlip("both"),
    T.RandomRotation(30),
    T.RandomTranslation(0.2, 0.3),
    T.RandomShear(20),
    T.RandomZoom(0.7, 1.4),
    T.RandomCrop((9, 7), padding=2),
    T.CenterCrop((8, 6)),
    T.Resize((5, 11)),
]


def _images(n: int = 6, c: int = 3, h: int = 12, w: int = 10) -> mi.Tensor:
    mi.manual_seed(3)
    return mi.rand(n, c, h, w)


def test_exact_moves() -> None:
    x = _images()
    a = x.numpy()
    np.testing.assert_array_equal(T.RandomFlip("vertical", 1)(x).numpy(), a[:, :, ::-1])
    np.testing.assert_allclose(T.RandomRotation((90, 90))(x[..., :10, :]).numpy(), np.rot90(a[..., :10, :], 1, (2, 3)))
    np.testing.assert_allclose(T.RandomRotation((180, 180))(x).numpy(), a[..., ::-1, ::-1], atol=1e-6)
    np.testing.assert_array_equal(T.CenterCrop((8, 6))(x).numpy(), a[..., 2:10, 2:8])
    np.testing.assert_array_equal(T.CenterCrop((14, 10))(x).numpy(), np.pad(a, ((0, 0), (0, 0), (1, 1), (0, 0))))
    moved = T.RandomTranslation((0.25, 0.25), (-0.2, -0.2))(x).numpy()  # 3 down, 2 left
    np.testing.assert_array_equal(moved[..., 3:, :8], a[..., :9, 2:])
    assert not moved[..., :3, :].any() and not moved[..., 8:].any()
    shear = T.RandomShear((45, 45))(x).numpy()  # row i slides by its distance from the middle, 5.5
    np.testing.assert_allclose(shear[:, :, 5, 1:9], (a[:, :, 5, 0:8] + a[:, :, 5, 1:9]) / 2, atol=1e-6)


@pytest.mark.parametrize("t", GEOMETRIC, ids=lambda t: type(t).__name__)
def test_one_transform_is_the_reference_warp_by_its_matrices(t: T.Transform) -> None:
    x = _images()
    mi.manual_seed(11)
    y = t(x)
    mi.manual_seed(11)
    m, size = t.matrices(len(x), tuple(x.shape[2:]), mi.data.sampler.numpy_generator())
    assert y.shape == (6, 3, *size)
    np.testing.assert_allclose(y.numpy(), reference(x.numpy(), m[:, :2], size), atol=1e-5)
    assert len({tuple(row.ravel()) for row in m}) > 1 or isinstance(t, (T.CenterCrop, T.Resize)), "one draw an image"


def test_a_composition_reads_the_image_once() -> None:
    """Two half-pixel shifts are one shift by a whole pixel: not blurred, which two warps would be."""
    x = _images()
    half = T.RandomTranslation(0, (0.05, 0.05))
    np.testing.assert_allclose(T.Compose([half, half])(x).numpy()[..., 1:], x.numpy()[..., :-1], atol=1e-6)
    assert np.abs(half(half(x)).numpy()[..., 1:] - x.numpy()[..., :-1]).max() > 0.05
    turn = T.Compose([T.RandomRotation((33, 33)), T.Compose([T.RandomRotation((-33, -33))])])
    np.testing.assert_allclose(turn(x).numpy(), x.numpy(), atol=1e-5)  # corners come back, too


def test_masks_go_where_their_images_go() -> None:
    x = mi.zeros(4, 1, 16, 16)
    x[:, :, 3:8, 5:12] = 1
    mask = x[:, 0].long() * 2**40
    mi.manual_seed(0)
    chain = T.Compose([T.RandomFlip(), T.RandomRotation(40), T.RandomBrightness((0.1, 0.1)), T.RandomZoom()])
    y, m = chain(x, mask)
    assert m.shape == (4, 16, 16) and m.dtype == mi.int64 and set(np.unique(m.numpy())) == {0, 2**40}
    wrong = ((y[:, 0] > 0.6).numpy() != (m > 0).numpy()).mean()
    assert wrong < 0.02, "images and masks lie apart"
    for dtype in (mi.bool, mi.uint8, mi.float16):
        one, mask_of_one = chain(x[0], x[0, 0].to(dtype))
        assert one.shape == (1, 16, 16) and mask_of_one.shape == (16, 16) and mask_of_one.dtype == dtype


def test_the_seed_decides_and_workers_do_not() -> None:
    chain = T.Compose([T.RandomFlip(), T.RandomRotation(20), T.RandomErasing(1.0), T.RandomBrightness()])
    x = _images(8)
    mi.manual_seed(5)
    a, b = chain(x), chain(x)
    mi.manual_seed(5)
    np.testing.assert_array_equal(chain(x).numpy(), a.numpy())
    assert not np.array_equal(a.numpy(), b.numpy())

    class Augmented(mi.data.Dataset):
        def __len__(self) -> int:
            return 8

        def __getitem__(self, i: int) -> mi.Tensor:
            return chain(x[i])

    seen = []
    for workers in (0, 1, 3):
        mi.manual_seed(9)
        seen.append([batch.numpy() for batch in mi.data.DataLoader(Augmented(), 2, shuffle=True, num_workers=workers)])
    for other in seen[1:]:
        for p, q in zip(seen[0], other, strict=True):
            np.testing.assert_array_equal(p, q)


def test_values() -> None:
    raw = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)
    y = T.ToTensor()(raw)
    np.testing.assert_allclose(y.numpy(), raw.transpose(0, 3, 1, 2) / np.float32(255))
    assert T.ToTensor()(raw[0]).shape == (3, 4, 5)
    assert mi.equal(T.ToTensor()(raw[0, :, :, 0]), y[0, :1]), "a grey image (H, W)"
    z = T.Compose([T.ToTensor(), T.Normalize([0.1, 0.2, 0.3], [1, 2, 4])])(raw)
    expected = (y.numpy() - np.float32([0.1, 0.2, 0.3])[:, None, None]) / np.float32([1, 2, 4])[:, None, None]
    np.testing.assert_allclose(z.numpy(), expected, rtol=1e-6)
    x = _images()
    np.testing.assert_allclose(T.RandomBrightness((0.5, 0.5))(x).numpy(), np.clip(x.numpy() + 0.5, 0, 1), rtol=1e-6)
    flat = T.RandomContrast((-1, -1))(x).numpy()
    np.testing.assert_allclose(flat, np.broadcast_to(x.numpy().mean((2, 3), keepdims=True), flat.shape), rtol=1e-5)


def test_erased_rectangles() -> None:
    mi.manual_seed(2)
    x = mi.ones(200, 1, 20, 30)
    gone = T.RandomErasing(0.5, (0.1, 0.2), (0.5, 2.0))(x).numpy()[:, 0] == 0
    area = gone.mean((1, 2))
    assert 60 < (area > 0).sum() < 140
    assert area[area > 0].min() > 0.07 and area.max() < 0.24
    for mask in gone[area > 0]:
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        assert mask.sum() == (np.ptp(rows) + 1) * (np.ptp(columns) + 1), "a rectangle"


def test_mixup() -> None:
    mi.manual_seed(4)
    x, t = mi.arange(6).float().reshape(6, 1, 1, 1), mi.tensor([0, 1, 2, 0, 1, 2])
    y, p = T.Mixup(1.0, classes=3)(x, t)
    np.testing.assert_allclose(p.numpy().sum(1), 1, rtol=1e-6)
    values = mi.nn.functional.one_hot(t, 3).numpy()
    for i in range(6):  # the same share of the same partner, in image and target
        assert any(
            np.allclose(p.numpy()[i], k * values[i] + (1 - k) * values[j], atol=1e-5)
            for j in range(6)
            for k in [1.0 if i == j else (y.numpy()[i, 0, 0, 0] - j) / (i - j)]
        )
    assert mi.nn.functional.cross_entropy(mi.zeros(6, 3), p).item() == pytest.approx(np.log(3), rel=1e-5)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: T.RandomFlip("sideways"), ValueError, "horizontal"),
        (lambda: T.RandomRotation(float("nan")), ValueError, "number or a pair"),
        (lambda: T.RandomShear(90), ValueError, "-90, 90"),
        (lambda: T.RandomZoom(0, 1), ValueError, "low"),
        (lambda: T.Resize(0), ValueError, "whole numbers"),
        (lambda: T.RandomCrop(20)(_images()), ValueError, "larger"),
        (lambda: T.Compose([abs]), TypeError, "expected transforms"),
        (lambda: T.RandomFlip()(mi.ones(4)), ValueError, "N, C, H, W"),
        (lambda: T.RandomRotation(10)(np.zeros((1, 8, 8, 3), np.uint8)), TypeError, "ToTensor"),
        (lambda: T.ToTensor()(np.zeros((8, 8, 3))), TypeError, "uint8"),
        (lambda: T.RandomFlip(p=0)(np.zeros((8, 8, 3), np.uint8)), TypeError, "RandomFlip.*got ndarray: put ToTensor"),
        (lambda: T.Normalize([0], [1])(np.zeros((8, 8, 1))), TypeError, "Normalize.*got ndarray: put ToTensor"),
        (lambda: T.RandomBrightness()(mi.ones(3, 8, 8, dtype=mi.uint8)), TypeError, "floats of 0 to 1.*ToTensor"),
        (lambda: T.RandomContrast()(mi.ones(3, 8, 8, dtype=mi.uint8)), TypeError, "floats of 0 to 1.*ToTensor"),
        (lambda: T.ToTensor()(np.zeros((3, 8, 8), np.uint8)), ValueError, "channels last"),
        (lambda: T.Normalize([1.0], [0.0]), ValueError, "std not 0"),
        (lambda: T.Normalize([1.0, 2.0], [1.0, 1.0])(_images()), ValueError, "channels"),
        (lambda: T.RandomRotation((5, 5))(_images(), mi.zeros(6, 4, 4)), ValueError, "masks"),
        (lambda: T.Mixup(0.0), ValueError, "alpha"),
        (lambda: T.Mixup()(_images(), mi.zeros(6, dtype=mi.int64)), ValueError, "classes"),
        (lambda: T.warp(_images().long(), np.zeros((6, 2, 3))), ValueError, "nearest"),
    ],
)
def test_bad_input(call, error, text) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error, match=text):
        call()
