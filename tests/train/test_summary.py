"""model.summary: parameters and multiply-adds of networks that are in the books."""

import mielina as mi
import pytest
from mielina import nn


def vgg16():
    layers, channels = [], 3
    for width in (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"):
        if width == "M":
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
    head = [nn.Flatten(), nn.Linear(25088, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 1000)]
    return nn.Sequential(*layers, *head)


def test_vgg16(capsys):
    found = vgg16().summary((3, 224, 224))
    assert found.parameters == 138_357_544
    assert found.multiply_adds == 15_470_264_320
    out = capsys.readouterr().out
    assert "(15.5 G)" in out and "138,357,544" in out and "(N, 512, 7, 7)" in out and "527.8 MiB" in out


def test_layers():
    mi.manual_seed(0)
    cases = [
        (nn.Conv2d(4, 6, 3, stride=2, groups=2), (4, 9, 9), 6 * 16 * 2 * 9),
        (nn.ConvTranspose2d(4, 6, 3), (4, 5, 5), 4 * 25 * 6 * 9),
        (nn.Linear(3, 5), (7, 3), 7 * 15),
        (nn.LSTM(3, 5, batch_first=True), (7, 3), 7 * 4 * 5 * (3 + 5)),
        (nn.BatchNorm2d(3), (3, 4, 4), 0),
    ]
    for layer, shape, expected in cases:
        found = layer.summary(shape)
        assert found.multiply_adds == expected and found.parameters == sum(p.numel() for p in layer.parameters())


def test_nothing_is_changed():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
    model[1].eval()
    before = {k: v.tolist() for k, v in model.state_dict().items()}
    mi.manual_seed(5)
    expected = mi.rand(1).item()
    mi.manual_seed(5)
    model.summary(3)
    assert mi.rand(1).item() == expected and {k: v.tolist() for k, v in model.state_dict().items()} == before
    assert [m.training for m in model] == [True, False, True] and model[0]._hooks.of["forward"] == {}


def test_shared_and_frozen_parameters():
    layer = nn.Linear(3, 3)
    model = nn.Sequential(layer, nn.ReLU(), layer)
    layer.bias.requires_grad_(False)
    found = model.summary((3,))
    assert (found.parameters, found.trainable, found.multiply_adds) == (12, 9, 18)
    assert [r.parameters for r in found.rows] == [12, 0, 0]
    embedding = nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 2))
    assert embedding.summary((6,), dtype=mi.int64).multiply_adds == 48


def test_errors():
    for shape in ((0, 3), (-1,), (2.5,), "3"):
        with pytest.raises(ValueError, match="without the batch"):
            nn.Linear(3, 2).summary(shape)
