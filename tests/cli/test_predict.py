"""`mielina predict`: a table from a saved model and image files."""

import json

import mielina as mi
import numpy as np
import pytest
from mielina import models
from mielina.cli import main

Image = pytest.importorskip("PIL.Image")


@pytest.fixture
def saved(tmp_path):
    """A model that tells dark images from bright ones: its last layer looks at the mean."""
    net = models.lenet5(num_classes=2).eval()
    with mi.no_grad():
        for p in net.parameters():
            p.fill_(0)
        x = mi.ones(1, 1, 28, 28)
        for m in net.modules():
            if isinstance(m, (mi.nn.Conv2d, mi.nn.Linear)):
                m.weight.fill_(1 / m.weight[0].numel())
        last = [m for m in net.modules() if isinstance(m, mi.nn.Linear)][-1]
        last.weight[0], last.bias[0] = -last.weight[0], 0.5
        assert net(x)[0, 1] > net(x)[0, 0] and net(x * 0)[0, 1] < net(x * 0)[0, 0]
    path = tmp_path / "light.safetensors"
    mi.save_model(net, path, classes=["dark", "bright"], preprocess={"resize": 28, "mode": "L"})
    for name, level in (("night.png", 0), ("snow.jpg", 255)):
        Image.new("RGB", (50, 40), (level,) * 3).save(tmp_path / name)
    return path, [str(tmp_path / n) for n in ("night.png", "snow.jpg")]


def test_table(saved, capsys):
    path, files = saved
    assert main(["predict", str(path), *files]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [["night.png", "dark"], ["snow.jpg", "bright"]]
    assert all(0.5 < float(line.split()[2]) <= 1 for line in lines)


def test_json_and_top(saved, capsys):
    path, files = saved
    assert main(["predict", str(path), *files * 20, "--top", "5", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [r["file"] for r in rows] == files * 20
    for r in rows:
        p = [c["probability"] for c in r["classes"]]
        assert len(p) == 2 and np.isclose(sum(p), 1) and p == sorted(p, reverse=True)


def test_broken_files_are_lines_and_the_rest_is_told(saved, tmp_path, capsys):
    path, files = saved
    (tmp_path / "broken.png").write_bytes(b"\x89PNG rubbish")
    assert main(["predict", str(path), str(tmp_path / "broken.png"), files[0], str(tmp_path / "none.png")]) == 2
    out = capsys.readouterr()
    assert out.out.split()[:2] == ["night.png", "dark"] and len(out.out.splitlines()) == 1
    assert len(out.err.splitlines()) == 2 and "broken.png" in out.err and "none.png" in out.err


def test_models_that_cannot_be_asked(saved, tmp_path, capsys):
    _, files = saved
    net = models.lenet5(num_classes=2)
    mi.save_model(net, tmp_path / "a.safetensors")
    mi.save(net.state_dict(), tmp_path / "b.safetensors")
    mi.save_model(net, tmp_path / "e.safetensors", preprocess={"resize": 28, "mode": "RGB"})
    small = models.unet(width=2, depth=1, num_classes=2)
    mi.save_model(small, tmp_path / "c.safetensors", preprocess={"resize": 8})
    for name, word in (
        ("a", "no preprocessing"),
        ("b", "no model of save_model"),
        ("c", "no probabilities"),
        ("d", "d.s"),
        ("e", "does not take what its preprocessing gives"),
    ):
        assert main(["predict", str(tmp_path / f"{name}.safetensors"), *files]) == 2
        err = capsys.readouterr().err
        assert word in err and len(err.splitlines()) == 1
