"""Image files and folders of them: the rules of conversion, broken files, links, and the input of networks."""

import errno
import os
import struct
import zlib

import mielina as mi
import numpy as np
import pytest
from mielina.datasets import ImageFolder, Preprocess, load_image

Image = pytest.importorskip("PIL.Image")
RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (6, 5, 3), dtype=np.uint8)


def saved(path, image, **how):
    image.save(path, **how)
    return path


def test_plain_rgb(tmp_path):
    path = saved(tmp_path / "a.png", Image.fromarray(COLOURS))
    assert (load_image(path) == COLOURS).all() and load_image(path).dtype == np.uint8
    assert load_image(path, "L").shape == (6, 5, 1)


def test_grey_and_bits_become_colours(tmp_path):
    grey = COLOURS[:, :, 0]
    assert (load_image(saved(tmp_path / "g.png", Image.fromarray(grey))) == grey[:, :, None]).all()
    bits = Image.fromarray(((grey > 99) * 255).astype(np.uint8)).convert("1")
    assert (load_image(saved(tmp_path / "b.png", bits))[:, :, 1] == (grey > 99) * 255).all()


def test_palette(tmp_path):
    image = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    image.putpalette([10, 20, 30, 40, 50, 60])
    assert load_image(saved(tmp_path / "p.png", image)).tolist() == [[[10, 20, 30], [40, 50, 60]]]
    path = saved(tmp_path / "t.png", image, transparency=1)
    assert load_image(path).tolist() == [[[10, 20, 30], [255, 255, 255]]]


def test_alpha_lies_over_white(tmp_path):
    rgba = np.array([[[0, 0, 0, 255], [0, 0, 0, 0], [0, 0, 0, 51]]], np.uint8)
    assert load_image(saved(tmp_path / "a.png", Image.fromarray(rgba)))[0, :, 0].tolist() == [0, 255, 204]
    la = Image.fromarray(np.array([[[0, 0], [100, 255]]], np.uint8), "LA")
    assert load_image(saved(tmp_path / "la.png", la))[0, :, 0].tolist() == [255, 100]


def test_sixteen_bits(tmp_path):
    values = np.array([[0, 128, 129, 257, 65535, 32896]], np.uint16)
    assert load_image(saved(tmp_path / "s.png", Image.fromarray(values)))[0, :, 0].tolist() == [0, 0, 1, 1, 255, 128]
    path = saved(tmp_path / "t.png", Image.fromarray(values), transparency=257)
    assert load_image(path)[0, :, 0].tolist() == [0, 0, 1, 255, 255, 128]


def test_cmyk(tmp_path):
    path = saved(tmp_path / "c.jpg", Image.new("CMYK", (8, 8), (0, 255, 255, 0)))
    assert np.abs(load_image(path).astype(int) - [255, 0, 0]).max() <= 3


@pytest.mark.parametrize("way", range(1, 9))
def test_the_cameras_rotation(way, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = way
    path = saved(tmp_path / "r.png", Image.fromarray(COLOURS), exif=exif)
    turned = np.rot90(COLOURS, {3: 2, 4: 2, 5: -1, 6: -1, 7: 1, 8: 1}.get(way, 0))
    assert (load_image(path) == (turned[:, ::-1] if way in (2, 4, 5, 7) else turned)).all()


def test_another_kind_of_file_is_refused_whatever_its_name(tmp_path):
    for kind in ("GIF", "BMP", "TIFF", "WEBP"):
        path = saved(tmp_path / "x.png", Image.fromarray(COLOURS), format=kind)
        with pytest.raises(ValueError, match="not a PNG or JPEG") as e:
            load_image(path)
        assert str(path) in str(e.value)


def png(width, height):
    """A PNG that claims a size and has no pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [10_000, 20_000, 1_000_000])
def test_a_bomb_is_an_error(side, tmp_path):
    (tmp_path / "b.png").write_bytes(png(side, side))
    with pytest.raises(ValueError, match="b.png.*pixels"):
        load_image(tmp_path / "b.png")


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_broken_files_are_named(ending, tmp_path):
    path = saved(tmp_path / f"x.{ending}", Image.fromarray(RNG.integers(0, 256, (40, 40, 3), dtype=np.uint8)))
    whole = path.read_bytes()
    rng = np.random.default_rng(1)
    for i in range(150):
        data = bytearray(whole[: rng.integers(0, len(whole))] if i % 2 else whole)
        for at in rng.integers(0, len(data), 4 if len(data) else 0):
            data[at] = rng.integers(0, 256)
        path.write_bytes(data)
        try:
            assert load_image(path).ndim == 3
        except ValueError as e:
            assert str(path) in str(e)


def test_missing_files_folders_and_modes(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_image(tmp_path / "none.png")
    with pytest.raises(IsADirectoryError):
        load_image(tmp_path)
    with pytest.raises(ValueError, match="mode must be RGB or L"):
        load_image(tmp_path / "none.png", "CMYK")


# ---- Preprocess


def by_hand(image, resize, crop, mean, std):
    """torchvision's ImageClassification preset, as its documentation describes it for Pillow images."""
    w, h = image.size
    size = (resize, int(resize * h / w)) if w < h else (int(resize * w / h), resize)
    a = np.asarray(image.resize(size, Image.Resampling.BILINEAR))
    top, left = round((a.shape[0] - crop) / 2), round((a.shape[1] - crop) / 2)
    a = a[top : top + crop, left : left + crop].astype(np.float64) / 255
    return ((a - mean) / std).transpose(2, 0, 1)


MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


@pytest.mark.parametrize("size", [(100, 60), (61, 97), (40, 40)])
def test_preprocess(size, tmp_path):
    image = Image.fromarray(RNG.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
    p = Preprocess(64, 56, MEAN, STD)
    want = by_hand(image, 64, 56, np.array(MEAN), np.array(STD))
    path = saved(tmp_path / "x.png", image)
    for given in (image, np.asarray(image), mi.tensor(np.asarray(image)), path, str(path)):
        found = p(given)
        assert found.dtype is mi.float32 and found.shape == (3, 56, 56)
        assert np.abs(found.numpy() - want).max() < 1e-5
    assert p([image, path]).shape == (2, 3, 56, 56)


def test_preprocess_equals_torchvision():
    pytest.importorskip("torch")
    try:
        from torchvision.transforms._presets import ImageClassification
    except (ImportError, RuntimeError) as e:
        pytest.skip(f"torchvision does not work here: {e}")
    theirs, ours = ImageClassification(crop_size=224), mi.models.IMAGENET
    for shape in ((300, 417, 3), (500, 260, 3), (64, 64, 3)):
        image = Image.fromarray(RNG.integers(0, 256, shape, dtype=np.uint8))
        assert np.abs(ours(image).numpy() - theirs(image).numpy()).max() < 1 / 255


def test_a_crop_beyond_the_image_is_filled_with_zeros():
    x = Preprocess(4, 8)(np.full((4, 4, 3), 255, np.uint8))
    assert x.shape == (3, 8, 8) and x.sum().item() == 48 and x[:, 2:6, 2:6].min().item() == 1


@pytest.mark.parametrize(
    "how",
    [
        {"resize": 0}, {"resize": 2.5}, {"resize": True}, {"resize": 8, "crop": 1 << 20}, {"resize": 8, "mean": [0, 0]},
        {"resize": 8, "std": [1, 0, 1]}, {"resize": 8, "mode": "YCbCr"}, {"resize": 8, "mean": [float("nan")] * 3},
    ],
)  # fmt: skip
def test_wrong_preprocessing(how):
    with pytest.raises(ValueError):
        Preprocess(**how)


@pytest.mark.parametrize("said", [{"size": 3}, {"resize": "8"}, [1], {"resize": 8, "mean": 3}, {}, {"resize": None}])
def test_a_files_preprocessing_has_a_fixed_form(said):
    with pytest.raises(ValueError, match="[Pp]reprocess"):
        Preprocess.of(said)


def test_preprocess_round_trip():
    p = Preprocess(8, 6, [0.5], [0.25], "L")
    assert repr(Preprocess.of(p.as_dict())) == repr(p) and Preprocess.of(None) is None
    assert p(np.full((9, 9, 3), 255, np.uint8)).shape == (1, 6, 6)


@pytest.mark.parametrize("bad", [np.zeros((4, 4)), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8), []])
def test_preprocess_of_no_images(bad):
    with pytest.raises(ValueError, match="Preprocess"):
        Preprocess(8)(bad)


def test_a_very_long_image_is_refused():
    with pytest.raises(ValueError, match="too long"):
        Preprocess(256)(np.zeros((1, 300, 3), np.uint8))


# ---- ImageFolder


@pytest.fixture
def folder(tmp_path):
    for name, level in (("dark", 40), ("bright", 200)):
        (tmp_path / name / "deeper").mkdir(parents=True)
        for i, ending in enumerate(("png", "JPG", "jpeg")):
            place = tmp_path / name / ("deeper" if i == 2 else "")
            Image.new("RGB", (20 + i, 16), (level,) * 3).save(place / f"{i}.{ending}")
        (tmp_path / name / "notes.txt").write_text("not an image")
        (tmp_path / name / ".hidden.png").write_text("not an image")
    (tmp_path / "file.png").write_text("not in a class")
    return tmp_path


def test_classes_and_samples(folder):
    data = ImageFolder(folder)
    assert data.classes == ["bright", "dark"] and data.class_to_idx == {"bright": 0, "dark": 1}
    assert data.targets == [0, 0, 0, 1, 1, 1] and len(data) == 6
    image, label = data[4]
    assert image.shape == (16, 21, 3) and image.dtype == np.uint8 and label == 1 and abs(int(image[0, 0, 0]) - 40) < 3
    assert "6 images, 2 classes" in repr(data)


def test_one_size_trains(folder):
    data = ImageFolder(folder, size=12, transform=mi.transforms.RandomFlip())
    images, labels = next(iter(mi.data.DataLoader(data, batch_size=6)))
    assert images.shape == (6, 3, 12, 12) and images.dtype is mi.float32 and labels.tolist() == data.targets
    everything, targets = data.arrays()
    assert everything.shape == (6, 3, 12, 12) and targets.tolist() == data.targets
    mi.manual_seed(0)
    net = mi.nn.Sequential(mi.nn.Flatten(), mi.nn.Linear(3 * 144, 2))
    history = mi.fit(net, data, loss="cross_entropy", optimizer="adam", epochs=3, batch_size=3, verbose=False)
    assert history["loss"][-1] < history["loss"][0]
    assert ImageFolder(folder, size=12, mode="L")[0][0].shape == (1, 12, 12)


def test_images_of_many_sizes_say_what_to_do(folder):
    with pytest.raises(ValueError, match="different shapes"):
        next(iter(mi.data.DataLoader(ImageFolder(folder), batch_size=6)))
    with pytest.raises(ValueError, match="size="):
        ImageFolder(folder).arrays()


def test_a_broken_file_is_named_when_it_is_taken(folder):
    (folder / "dark" / "0.png").write_bytes(b"\x89PNG\r\n\x1a\nrubbish")
    data = ImageFolder(folder, size=8)
    with pytest.raises(ValueError, match="0.png"):
        list(mi.data.DataLoader(data, num_workers=2))


def test_empty_classes_are_named(folder):
    for name in ("empty", "void"):
        (folder / name).mkdir()
    (folder / "void" / "x.gif").write_text("")
    with pytest.raises(FileNotFoundError, match="class empty, void"):
        ImageFolder(folder)


def test_a_folder_that_must_not_be_read_is_no_empty_one(folder, monkeypatch):
    scandir = os.scandir

    def locked(path="."):
        if os.fspath(path).endswith("deeper"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", locked)
    with pytest.raises(PermissionError, match="deeper"):
        ImageFolder(folder)


def test_no_classes(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folders"):
        ImageFolder(tmp_path)
    with pytest.raises(FileNotFoundError):
        ImageFolder(tmp_path / "none")
    (tmp_path / "f").write_text("")
    with pytest.raises(NotADirectoryError):
        ImageFolder(tmp_path / "f")


def test_links_out_of_the_root_are_not_followed(folder, tmp_path_factory):
    secret = tmp_path_factory.mktemp("outside")
    Image.new("RGB", (4, 4)).save(secret / "s.png")
    os.symlink(secret / "s.png", folder / "dark" / "link.png")
    os.symlink(secret, folder / "dark" / "linked")
    os.symlink(secret, folder / "class")
    os.symlink(folder / "dark" / "0.png", folder / "dark" / "inside.png")
    os.mkfifo(folder / "dark" / "pipe.png")
    with pytest.warns(UserWarning, match="3 links"):
        data = ImageFolder(folder)
    assert data.classes == ["bright", "dark"] and data.targets == [0, 0, 0, 1, 1, 1, 1]
