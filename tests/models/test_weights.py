"""Weights from files, from a server (a local one, over https) and from a hub (a local one, too)."""

import hashlib
import http.server
import inspect
import json
import os
import pathlib
import ssl
import subprocess
import sys
import threading
import urllib.parse
import zipfile
from collections import OrderedDict

import mielina as mi
import numpy as np
import pytest
from mielina import models
from mielina.models import weights as module
from pth_writer import parts, store, tensor, zipped

PEM = pathlib.Path(__file__).with_name("localhost.pem")  # for 127.0.0.1, with its key; it guards nothing


class Server(http.server.ThreadingHTTPServer):
    """Serves `files`, paths to bytes, and counts what it was asked for."""

    def __init__(self, secure):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.asked, self.cut, self.headers = {}, [], {}, {}
        if secure:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(PEM)
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.address = f"http{'s' * secure}://127.0.0.1:{self.server_port}/"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        pass  # clients that refuse the certificate or hang up are part of the tests


class Handler(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.do_GET(body=False)

    def do_GET(self, body=True):
        path = urllib.parse.urlsplit(self.path).path
        self.server.asked.append(path)
        data = self.server.files.get(path)
        if isinstance(data, str):
            self.send_response(302)
            self.send_header("Location", data)
            self.end_headers()
        elif data is None:
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
            for name, value in self.server.headers.items():
                self.send_header(name, value)
            self.end_headers()
            if body:
                self.wfile.write(data[: self.server.cut.get(path)])

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch, tmp_path):
    s = Server(secure=True)
    monkeypatch.setattr(module, "_SERVER", s.address)
    monkeypatch.setenv("SSL_CERT_FILE", str(PEM))
    monkeypatch.setenv("MIELINA_CACHE", str(tmp_path / "cache"))
    yield s
    s.shutdown()
    s.server_close()


def pth(path, state):
    """A state dict as torch.save writes it."""
    kinds = {mi.float32: "Float", mi.int64: "Long"}
    described = OrderedDict()
    for i, (name, t) in enumerate(state.items()):
        storage = store(str(i), t.numel(), kinds[t.dtype])
        described[name] = tensor(tuple(t.shape), tuple(t.contiguous().stride()), storage=storage)
    path.write_bytes(zipped(parts(described, [t.contiguous().numpy().tobytes() for t in state.values()])))


@pytest.fixture
def published(server, tmp_path, monkeypatch):
    """A small network published as alexnet is: named by the digits of its SHA-256."""
    mi.manual_seed(0)
    net = models.lenet5()
    pth(tmp_path / "x.pth", net.state_dict())
    data = (tmp_path / "x.pth").read_bytes()
    name = f"lenet5-{hashlib.sha256(data).hexdigest()[:8]}.pth"
    monkeypatch.setitem(module._PUBLISHED, "lenet5", name)
    server.files["/" + name] = data
    return net, name, data


def same(a, b):
    return all((x == y).all().item() for x, y in zip(a.state_dict().values(), b.state_dict().values()))


def test_fetched_once(server, published, tmp_path):
    net, name, data = published
    with pytest.warns(UserWarning, match="10 classes"):
        other = models.lenet5(weights="imagenet", num_classes=3)
    assert server.asked == ["/" + name] and os.listdir(tmp_path / "cache") == [name]
    assert same(other.features, net.features)
    assert same(models.lenet5(weights="imagenet"), net)
    assert server.asked == ["/" + name], "the second time it comes from the cache"
    assert (tmp_path / "cache" / name).read_bytes() == data


def nothing_is_left(tmp_path):
    return not os.path.exists(tmp_path / "cache") or not os.listdir(tmp_path / "cache")


def test_truncated(server, published, tmp_path):
    _, name, data = published
    server.cut["/" + name] = len(data) // 2
    with pytest.raises(OSError, match=rf"{name}: {len(data) // 2} of {len(data)} bytes arrived"):
        models.lenet5(weights="imagenet")
    assert nothing_is_left(tmp_path)


def test_wrong_hash(server, published, tmp_path):
    _, name, data = published
    server.files["/" + name] = data[:-1] + bytes([data[-1] ^ 1])
    with pytest.raises(ValueError, match="SHA-256 of what arrived"):
        models.lenet5(weights="imagenet")
    assert nothing_is_left(tmp_path)


def test_the_old_format_is_refused_before_it_is_fetched(server, published, tmp_path):
    _, name, _ = published
    server.files["/" + name] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19." + bytes(1 << 24)
    with pytest.raises(ValueError, match="hub:timm/lenet5.tv_in1k"):
        models.lenet5(weights="imagenet")
    assert nothing_is_left(tmp_path)


def test_missing_and_unknown(server, tmp_path, monkeypatch):
    monkeypatch.setitem(module._PUBLISHED, "lenet5", "lenet5-00000000.pth")
    with pytest.raises(OSError, match="404"):
        models.lenet5(weights="imagenet")
    with pytest.raises(ValueError, match="unet has no ImageNet weights; there are alexnet"):
        models.unet(weights="imagenet")
    monkeypatch.setattr(module, "_SERVER", "https://127.0.0.1:9/")
    with pytest.raises(OSError, match="refused"):
        models.lenet5(weights="imagenet")
    assert nothing_is_left(tmp_path)


def test_a_stranger_with_another_certificate_is_refused(server, published, monkeypatch, tmp_path):
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(OSError, match="(?i)certificate"):
        models.lenet5(weights="imagenet")
    assert nothing_is_left(tmp_path) and not server.asked


def test_only_https(server, published, tmp_path, monkeypatch):
    _, name, data = published
    plain = Server(secure=False)
    plain.files["/" + name] = data
    server.files["/" + name] = plain.address + name
    with pytest.raises(OSError, match="not https"):
        models.lenet5(weights="imagenet")
    with pytest.raises(ValueError, match="expected an https address"):
        module.fetch(plain.address + name, "lenet5")
    with pytest.raises(ValueError, match="digits of its SHA-256"):
        module.fetch(server.address + "lenet5.pth", "lenet5")
    assert not plain.asked and nothing_is_left(tmp_path)
    plain.shutdown()
    plain.server_close()


def test_a_full_disk_leaves_nothing(server, published, tmp_path):
    """With a limit on the size of files, as a full disk gives."""
    code = f"""
import resource, signal
import mielina as mi
from mielina.models import weights
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
weights._SERVER = {server.address!r}
weights._PUBLISHED["lenet5"] = {published[1]!r}
try:
    mi.models.lenet5(weights="imagenet")
except OSError as e:
    print(e)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ))
    assert "File too large" in done.stdout, done.stderr
    assert nothing_is_left(tmp_path)


def test_imagenet_brings_names_and_preprocessing(server, tmp_path, monkeypatch):
    mi.manual_seed(0)
    pth(tmp_path / "x.pth", models.resnet18().state_dict())
    data = (tmp_path / "x.pth").read_bytes()
    name = f"resnet18-{hashlib.sha256(data).hexdigest()[:8]}.pth"
    monkeypatch.setitem(module._PUBLISHED, "resnet18", name)
    server.files["/" + name] = data
    net = models.resnet18(weights="imagenet")
    mi.save_model(net, tmp_path / "m.safetensors")
    saved = mi.load_model(tmp_path / "m.safetensors")
    assert saved.classes == models.imagenet_classes() and repr(saved.preprocess) == repr(models.IMAGENET)
    with pytest.warns(UserWarning, match="1000 classes"):
        five = models.resnet18(weights="imagenet", num_classes=5)
    mi.save_model(five, tmp_path / "m.safetensors", classes=list("abcde"))
    assert mi.load_model(tmp_path / "m.safetensors").preprocess.crop == 224


def test_the_thousand_names():
    names = models.imagenet_classes()
    assert len(names) == len(set(names)) == 1000 and names[0] == "tench" and names[999] == "toilet tissue"
    names.clear()
    assert len(models.imagenet_classes()) == 1000


def test_names_and_files_are_torchvisions():
    pytest.importorskip("torch")
    try:
        from torchvision.models import get_model_weights
        from torchvision.models._meta import _IMAGENET_CATEGORIES
    except (ImportError, RuntimeError) as e:
        pytest.skip(f"torchvision does not work here: {e}")
    assert models.imagenet_classes() == _IMAGENET_CATEGORIES
    for model, file in module._PUBLISHED.items():
        assert get_model_weights(model).IMAGENET1K_V1.url == module._SERVER + file


# ---- files


def test_pth_and_safetensors_files(tmp_path):
    mi.manual_seed(3)
    net = models.lenet5(num_classes=4)
    mi.save(net.state_dict(), tmp_path / "a.safetensors")
    pth(tmp_path / "a.pth", net.state_dict())
    (tmp_path / "no_ending").write_bytes((tmp_path / "a.pth").read_bytes())
    for name in ("a.safetensors", "a.pth", "no_ending"):
        assert same(models.lenet5(num_classes=4, weights=tmp_path / name), net)


def test_files_that_are_no_state_dict(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"epoch": 3, "state_dict": {"a": torch.zeros(2)}}, tmp_path / "c.pth")
    with pytest.raises(ValueError, match="'epoch' is none.*state_dict"):
        models.lenet5(weights=tmp_path / "c.pth")
    torch.save([torch.zeros(2)], tmp_path / "l.pth")
    with pytest.raises(ValueError, match="no dict but list"):
        models.lenet5(weights=tmp_path / "l.pth")
    torch.save({"x": torch.zeros(2)}, tmp_path / "o.pth", _use_new_zipfile_serialization=False)
    with pytest.raises(ValueError, match="torch.save"):
        models.lenet5(weights=tmp_path / "o.pth")
    with pytest.raises(FileNotFoundError):
        models.lenet5(weights=tmp_path / "none.pth")
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as z:
        z.writestr("a", "b")
    with pytest.raises(ValueError):
        models.lenet5(weights=tmp_path / "z.zip")


def test_a_word_that_is_no_file_is_told_what_there_is():
    with pytest.raises(
        TypeError, match="weights= must be 'imagenet', 'hub:owner/name' or the path of a file, got True"
    ):
        models.lenet5(weights=True)
    with pytest.raises(FileNotFoundError, match="'imagenet', 'hub:owner/name' or the path of a file: 'imagnet'"):
        models.lenet5(weights="imagnet")


def test_revision_needs_a_hub(tmp_path):
    for weights in (None, "imagenet", tmp_path / "x.pth"):
        with pytest.raises(ValueError, match="revision="):
            models.lenet5(weights=weights, revision="main")


# ---- the hub


@pytest.fixture
def hub(tmp_path):
    pytest.importorskip("huggingface_hub")
    s = Server(secure=False)
    s.headers["X-Repo-Commit"] = "0123456789abcdef0123456789abcdef01234567"
    yield s
    s.shutdown()
    s.server_close()


def of_hub(hub, tmp_path, call):
    """Runs `call` where the hub is the local one, whose address is read when huggingface_hub is imported."""
    code = f"import warnings; warnings.simplefilter('ignore'); import mielina as mi; from mielina import models\n{call}"
    env = dict(os.environ, HF_ENDPOINT=hub.address.rstrip("/"), HF_HOME=str(tmp_path / "hf"), HF_HUB_DISABLE_XET="1")
    env |= {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DOWNLOAD_TIMEOUT": "5", "HF_HUB_ETAG_TIMEOUT": "5"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    return done.stdout.strip() or done.stderr.strip().splitlines()[-1]


def timm_names(state):
    """A VGG's state dict as timm has it."""
    out = {}
    for key, value in state.items():
        for ours, theirs, shape in (
            ("classifier.0.", "pre_logits.fc1.", (4096, 512, 7, 7)),
            ("classifier.3.", "pre_logits.fc2.", (4096, 4096, 1, 1)),
            ("classifier.6.", "head.fc.", None),
        ):
            if key.startswith(ours):
                key = theirs + key[len(ours) :]
                value = value.reshape(shape) if shape and value.ndim == 2 else value
        out[key] = value
    return out


def test_timms_vgg_becomes_torchvisions():
    rng = np.random.default_rng(0)
    state = {
        "features.0.weight": mi.tensor(rng.random((64, 3, 3, 3))),
        "classifier.0.weight": mi.arange(4096 * 25088).reshape(4096, 25088),
        "classifier.0.bias": mi.zeros(4096),
        "classifier.3.weight": mi.zeros(4096, 4096),
        "classifier.6.weight": mi.zeros(10, 4096),
    }
    found = module._from_timm(timm_names(state))
    assert list(found) == list(state)
    for key, value in state.items():
        assert found[key].shape == value.shape and (found[key] == value).all()


def test_from_the_hub(hub, tmp_path):
    mi.manual_seed(5)
    net = models.resnet18(num_classes=7)
    mi.save(net.state_dict(), tmp_path / "m.safetensors")
    config = {"pretrained_cfg": {"interpolation": "bilinear", "input_size": [3, 160, 160], "crop_pct": 0.95,
                                 "mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2]}}  # fmt: skip
    hub.files["/some/net/resolve/v1/model.safetensors"] = (tmp_path / "m.safetensors").read_bytes()
    hub.files["/some/net/resolve/v1/config.json"] = json.dumps(config).encode()
    call = "n = models.resnet18(num_classes=7, weights='hub:some/net', revision='v1')\n"
    call += "print(n.fc.bias.tolist(), n.preprocess)"
    assert of_hub(hub, tmp_path, call) == (
        f"{net.fc.bias.tolist()} {mi.datasets.Preprocess(168, 160, [0.5] * 3, [0.2] * 3)}"
    )
    assert not [p for p in hub.asked if not p.endswith((".safetensors", ".json"))]


def test_hubs_without_safetensors_and_strange_names(hub, tmp_path):
    hub.files["/some/net/resolve/main/pytorch_model.bin"] = b"code"
    call = "models.resnet18(weights='hub:some/net')"
    assert "has no model.safetensors" in of_hub(hub, tmp_path, call)
    assert not [p for p in hub.asked if p.endswith(".bin")]
    for bad in ("hub:", "hub:x", "hub:a/b/c", "hub:../x", "hub:a/b?c"):
        with pytest.raises((ValueError, OSError)):
            models.resnet18(weights=bad)
    hub.shutdown()
    hub.server_close()
    assert of_hub(hub, tmp_path / "fresh", call).startswith("OSError: hub:some/net")


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"pretrained_cfg": 3}', '{"pretrained_cfg": {"interpolation": "bicubic"}}',
             '{"pretrained_cfg": {"interpolation": "bilinear", "input_size": [3, 1e999, 2], "crop_pct": 0}}']
)  # fmt: skip
def test_configs_that_say_nothing(text):
    assert module._preprocess(text) is None


def test_weights_stand_in_the_signature():
    found = list(inspect.signature(models.resnet18).parameters)
    assert found == ["num_classes", "weights", "revision"]


# ---- features


@pytest.mark.parametrize(
    "name, shape", [("resnet18", (2, 512, 2, 2)), ("resnet50", (2, 2048, 2, 2)), ("alexnet", None)]
)
def test_features_are_the_networks_own(name, shape):
    net = models.create(name, num_classes=2).eval()
    x = mi.rand(2, 3, 64, 64)
    with mi.no_grad():
        maps = net.features(x)
        assert shape is None or maps.shape == shape
        last = net.fc if shape else net.classifier
        assert mi.allclose(last(net.avgpool(maps).flatten(1)), net(x))
    before = len(net.state_dict())
    net.features.freeze()
    assert {k.split(".")[0] for k, p in net.named_parameters() if p.requires_grad} == {"fc" if shape else "classifier"}
    net.train()
    assert not any(m.training for m in net.modules() if isinstance(m, mi.nn.BatchNorm2d))
    assert len(net.state_dict()) == before
