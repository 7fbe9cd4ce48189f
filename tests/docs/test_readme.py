"""README's second page, run as it stands on a folder of images: fewer epochs, and weights from a file."""

import pathlib
import re

import mielina as mi
import numpy as np
import pytest
from mielina.cli import main

Image = pytest.importorskip("PIL.Image")
pytest.importorskip("matplotlib")
README = pathlib.Path(__file__).parents[2] / "README.md"


@pytest.fixture
def blocks():
    text = README.read_text(encoding="utf-8")
    page = text[text.index("## From a folder of images") : text.index("## More")]
    return re.findall(r"```python\n(.*?)```", page, re.S)


@pytest.fixture
def photos(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    for name, channel in (("spiral", 0), ("elliptic", 1)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(14):
            image = rng.integers(0, 60, (40 + i, 50, 3), dtype=np.uint8)
            image[10:30, 10:30, channel] += 150
            Image.fromarray(image).save(tmp_path / "photos" / name / f"{i}.{'png' if i % 2 else 'jpg'}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_from_a_folder_of_images_to_a_classifier(blocks, photos, capsys):
    assert "epochs=20" in blocks[0]
    exec(compile(blocks[0].replace("epochs=20", "epochs=2"), "README.md", "exec"), {})
    assert re.search(r"test accuracy [01]\.\d{3}\n", capsys.readouterr().out)
    for name in ("curves.png", "run.html", "galaxies.safetensors"):
        assert (photos / name).stat().st_size > 1000
    assert main(["predict", "galaxies.safetensors", "photos/spiral/1.png", "photos/elliptic/2.jpg", "--top", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and all("spiral" in line and "elliptic" in line for line in lines)


def test_transfer(blocks, photos):
    mi.manual_seed(0)
    mi.save(mi.models.resnet18().state_dict(), "w.safetensors")
    assert 'weights="imagenet"' in blocks[1] and "epochs=3" in blocks[1]
    code = blocks[1].replace('weights="imagenet"', 'weights="w.safetensors"').replace("epochs=3", "epochs=1")
    known = {}
    with pytest.warns(UserWarning, match="1000 classes"):
        exec(compile("import mielina as mi\n" + code, "README.md", "exec"), known)
    before, after = mi.load("w.safetensors"), known["model"].state_dict()
    moved = {k.split(".")[0] for k in before if k.split(".")[0] != "fc" and not (before[k] == after[k]).all()}
    assert moved == {"layer4"}, "the rest was frozen, its running statistics, too"
    assert repr(mi.load_model("galaxies.safetensors").preprocess) == repr(mi.models.IMAGENET)
