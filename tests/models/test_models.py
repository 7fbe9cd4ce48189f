"""mielina.models: sizes and names as published, weights from files, one file for a trained model."""

import json

import mielina as mi
import numpy as np
import pytest
from mielina import models, nn

PARAMETERS = {
    "lenet5": 61_706, "alexnet": 61_100_840, "vgg11": 132_863_336, "vgg13": 133_047_848, "vgg16": 138_357_544,
    "vgg19": 143_667_240, "vgg16_bn": 138_365_992, "resnet18": 11_689_512, "resnet34": 21_797_672,
    "resnet50": 25_557_032,
}  # fmt: skip


@pytest.mark.parametrize("name", [n for n in PARAMETERS if not n.startswith("vgg") or n == "vgg16"])
def test_parameters(name: str) -> None:
    assert sum(p.numel() for p in models.create(name).parameters()) == PARAMETERS[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in PARAMETERS if n.startswith("vgg")])
def test_parameters_of_every_vgg(name: str) -> None:
    assert sum(p.numel() for p in models.create(name).parameters()) == PARAMETERS[name]


def test_names_of_weights_are_torchvisions() -> None:
    keys = set(models.resnet50(num_classes=2).state_dict())
    assert len(keys) == 320
    for key in (
        "conv1.weight", "bn1.running_mean", "bn1.num_batches_tracked", "layer1.0.conv3.weight",
        "layer1.0.downsample.0.weight", "layer1.0.downsample.1.bias", "layer4.2.bn3.running_var", "fc.bias",
    ):  # fmt: skip
        assert key in keys
    assert "layer1.1.downsample.0.weight" not in keys and "conv1.bias" not in keys
    small = models.resnet18(num_classes=2).state_dict()
    assert (
        len(small) == 122
        and "layer2.0.downsample.1.running_var" in small
        and "layer1.0.downsample.0.weight" not in small
    )
    alex = {k: tuple(v.shape) for k, v in models.alexnet(num_classes=7).state_dict().items()}
    assert [k for k in alex if k.endswith("weight")] == [
        *(f"features.{i}.weight" for i in (0, 3, 6, 8, 10)), *(f"classifier.{i}.weight" for i in (1, 4, 6))
    ]  # fmt: skip
    assert alex["classifier.6.weight"] == (7, 4096) and alex["features.0.weight"] == (64, 3, 11, 11)


def test_vggs_layers() -> None:
    with mi.no_grad():
        kinds = [type(m).__name__ for m in models.VGG(16, num_classes=2).features]
    convolutions = [i for i, k in enumerate(kinds) if k == "Conv2d"]
    assert convolutions == [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28] and len(kinds) == 31


@pytest.mark.parametrize("name", ["lenet5", "resnet18", "resnet50", "unet"])
def test_a_step_of_training(name: str) -> None:
    mi.manual_seed(0)
    shape = (4, 1, 28, 28) if name == "lenet5" else (4, 3, 32, 32)
    how = {"width": 8, "depth": 3} if name == "unet" else {}
    net = models.create(name, num_classes=3, **how)
    out = net(mi.randn(*shape))
    assert out.shape == ((4, 3, 32, 32) if name == "unet" else (4, 3))
    labels = mi.randint(0, 3, (4, *out.shape[2:]))
    nn.functional.cross_entropy(out, labels).backward()
    assert all(p.grad is not None and np.isfinite(p.grad.numpy()).all() for p in net.parameters())


def test_same_as_torchvision() -> None:
    """Where torchvision is: its random weights loaded here give its outputs."""
    torch = pytest.importorskip("torch")
    try:
        import torchvision
    except (ImportError, RuntimeError):  # its operators need a matching PyTorch
        pytest.skip("no torchvision")
    for name, size in (("alexnet", 96), ("vgg11_bn", 64), ("resnet18", 64), ("resnet50", 64)):
        theirs = getattr(torchvision.models, name)(num_classes=11).eval()
        ours = models.create(name, num_classes=11).eval()
        assert list(ours.state_dict()) == list(theirs.state_dict())
        ours.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
        x = np.random.default_rng(0).normal(size=(2, 3, size, size)).astype(np.float32)
        with torch.no_grad():
            expected = theirs(torch.tensor(x)).numpy()
        got = ours(mi.tensor(x)).detach().numpy()
        assert np.abs(got - expected).max() <= 1e-5 * np.abs(expected).max()


def test_weights_of_another_number_of_classes(tmp_path) -> None:  # type: ignore[no-untyped-def]
    mi.manual_seed(1)
    full = models.resnet18(num_classes=10)
    path = tmp_path / "resnet18.safetensors"
    mi.save(full.state_dict(), path)
    same = models.resnet18(num_classes=10, weights=path)
    assert all(
        np.array_equal(a.numpy(), b.numpy()) for a, b in zip(full.state_dict().values(), same.state_dict().values())
    )
    with pytest.warns(UserWarning, match="10 classes; it keeps its random weights"):
        three = models.resnet18(num_classes=3, weights=path)
    assert three.fc.weight.shape == (3, 512)
    assert np.array_equal(three.layer4[1].conv2.weight.detach().numpy(), full.layer4[1].conv2.weight.detach().numpy())
    with pytest.raises(RuntimeError, match="Missing key"):
        models.resnet34(num_classes=10, weights=path)


def test_one_file_for_a_trained_model(tmp_path) -> None:  # type: ignore[no-untyped-def]
    mi.manual_seed(2)
    net = models.lenet5(num_classes=3)
    path = tmp_path / "galaxies.safetensors"
    mi.save_model(net, path, classes=["spiral", "elliptic", "irregular"], preprocess={"resize": 28, "mode": "L"})
    saved = mi.load_model(path)
    assert saved.classes == ["spiral", "elliptic", "irregular"] and (saved.preprocess.crop, saved.preprocess.mean) == (
        28,
        [0.0],
    )
    assert not saved.model.training and type(saved.model) is models.LeNet5
    x = mi.randn(2, 1, 28, 28)
    np.testing.assert_array_equal(saved.model(x).detach().numpy(), net.eval()(x).detach().numpy())
    assert set(mi.load(path)) == set(net.state_dict()), "a plain safetensors file, too"


def test_a_head_of_ones_own_is_kept(tmp_path) -> None:  # type: ignore[no-untyped-def]
    net = models.resnet18(num_classes=10)
    net.fc = nn.Linear(512, 2)
    mi.save_model(net, tmp_path / "m.safetensors", classes=["no", "yes"])
    found = mi.load_model(tmp_path / "m.safetensors").model.fc.weight
    np.testing.assert_array_equal(found.detach().numpy(), net.fc.weight.detach().numpy())


def test_bad_files_and_models(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "m.safetensors"
    net = models.lenet5(num_classes=3)
    with pytest.raises(TypeError, match="made by mielina.models"):
        mi.save_model(nn.Linear(2, 2), path)
    with pytest.raises(ValueError, match="2 names for 3 classes"):
        mi.save_model(net, path, classes=["a", "b"])
    with pytest.raises(ValueError, match="2 names for 10 classes"):
        mi.save_model(models.lenet5(), path, classes=["a", "b"])
    with pytest.raises(ValueError, match="preprocess has resize, crop"):
        mi.save_model(net, path, preprocess={"size": 28})
    with pytest.raises(ValueError, match="mean and std must be 3"):
        mi.save_model(net, path, preprocess={"resize": 28, "mean": np.zeros(2)})
    assert not path.exists()
    with pytest.raises(ValueError, match="unknown model"):
        models.create("os.system")
    mi.save(net.state_dict(), path)
    with pytest.raises(ValueError, match="no model of save_model"):
        mi.load_model(path)
    good = {"name": "lenet5", "arguments": {"num_classes": 3}, "classes": None, "preprocess": None}
    for change in (
        {"name": "os.system"}, {"name": ["lenet5"]}, {"arguments": {"num_classes": 4}},
        {"arguments": {"weights": "x", "no": 1}},
        {"arguments": [1]}, {"preprocess": 3}, {"preprocess": {}}, {"preprocess": {"resize": 10**9}},
        {"classes": ["a", "b"]}, {"classes": [1, 2, 3]}, {"classes": "abc"}, {"arguments": {"num_classes": -1}},
        {"arguments": {"num_classes": 10**15}}, {"arguments": {}},
    ):  # fmt: skip
        mi.save(net.state_dict(), path, {"mielina.model": json.dumps({**good, **change})})
        with pytest.raises(ValueError, match=r"damaged, or of another version"):
            mi.load_model(path)
    mi.save(net.state_dict(), path, {"mielina.model": "{"})
    with pytest.raises(ValueError, match=r"damaged, or of another version"):
        mi.load_model(path)
    path.write_bytes(b"\x05\0\0\0\0\0\0\0[1,2]")
    with pytest.raises(ValueError, match="no model|not a"):
        mi.load_model(path)


def test_unets_input() -> None:
    with pytest.raises(ValueError, match="divisible by 8"):
        models.unet(width=2, depth=3)(mi.zeros(1, 3, 20, 16))


def test_multiply_adds_of_resnet18() -> None:
    assert models.resnet18().summary((3, 224, 224)).multiply_adds == 1_814_073_344
