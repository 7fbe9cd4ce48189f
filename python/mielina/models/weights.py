"""Where weights come from: files, torchvision's published ones, and the Hugging Face hub."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import http.client
import json
import os
import pathlib
import re
import ssl
import sys
import urllib.error
import urllib.request
from typing import Any, NamedTuple

from ..datasets.image import Preprocess
from ..io.files import atomic_write
from ..io.pth import load_pth
from ..io.safetensors import load
from .imagenet import IMAGENET

_SERVER = "https://download.pytorch.org/models/"
# torchvision's IMAGENET1K_V1: eight digits of the SHA-256 stand in the name.
_PUBLISHED = {
    "alexnet": "alexnet-owt-7be5be79.pth",
    "vgg11": "vgg11-8a719046.pth",
    "vgg13": "vgg13-19584684.pth",
    "vgg16": "vgg16-397923af.pth",
    "vgg19": "vgg19-dcbb9e9d.pth",
    "vgg11_bn": "vgg11_bn-6002323d.pth",
    "vgg13_bn": "vgg13_bn-abd245e5.pth",
    "vgg16_bn": "vgg16_bn-6c64b313.pth",
    "vgg19_bn": "vgg19_bn-c79401a0.pth",
    "resnet18": "resnet18-f37072fd.pth",
    "resnet34": "resnet34-b627a593.pth",
    "resnet50": "resnet50-0676ba61.pth",
}
_KINDS = "'imagenet', 'hub:owner/name' or the path of a file"
_STEP = 1 << 20  # bytes


class Weights(NamedTuple):
    """A state dict, where it came from, and the preprocessing it was trained with, where that is known."""

    state: Any
    source: str
    preprocess: Preprocess | None = None


def read(weights: str | os.PathLike[str], model: str, revision: str | None = None) -> Weights:
    """Of "imagenet", "hub:owner/name", or a .safetensors or .pth file. ValueError: another kind of file."""
    if not isinstance(weights, (str, os.PathLike)):
        raise TypeError(f"weights= must be {_KINDS}, got {weights!r}")
    source = os.fspath(weights)
    if revision is not None and not source.startswith("hub:"):
        raise ValueError(f"revision= belongs to weights='hub:owner/name', got weights={source!r}")
    if source == "imagenet":
        if model not in _PUBLISHED:
            raise ValueError(f"{model} has no ImageNet weights; there are {', '.join(sorted(_PUBLISHED))}")
        path = fetch(_SERVER + _PUBLISHED[model], model)
        return Weights(load_pth(path), path, IMAGENET)
    if source.startswith("hub:"):
        return _of_hub(source, revision)
    if not os.path.exists(source):
        raise FileNotFoundError(errno.ENOENT, f"No such file; weights= may be {_KINDS}", source)
    return Weights(of_file(source), source)


def of_file(path: str) -> Any:
    """The state dict in a file, PyTorch's or safetensors by its first bytes, else by its name."""
    with open(path, "rb") as f:
        start = f.read(9)
    if start[8:] == b"{" and not start.startswith(b"PK"):
        return load(path)
    torch = start[:4] == b"PK\x03\x04" or start[:1] == b"\x80" or path.lower().endswith((".pth", ".pt", ".bin"))
    return load_pth(path) if torch else load(path)


def cache_folder() -> str:
    """MIELINA_CACHE, or mielina/ in XDG_CACHE_HOME or ~/.cache."""
    own = os.environ.get("MIELINA_CACHE")
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return own or os.path.join(home, "mielina")


class _OnlyHTTPS(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if not newurl.startswith("https://"):
            raise urllib.error.URLError(f"redirected to {newurl[:80]!r}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def fetch(url: str, model: str) -> str:
    """The path of a published file in the cache, fetched over https if it is not there yet.

    The file appears whole, with the SHA-256 that its name begins to spell, or not at all. OSError: no connection, an
    answer that is no file, one that ends early, a full disk. ValueError: another SHA-256, or PyTorch's old format.
    """
    folder, name = cache_folder(), url.rsplit("/", 1)[-1]
    path = os.path.join(folder, name)
    if os.path.isfile(path):
        return path
    named = re.search(r"-([0-9a-f]{8,64})\.\w+$", name)
    if not url.startswith("https://") or not named:
        raise ValueError(f"{url}: expected an https address whose file's name ends in digits of its SHA-256")
    os.makedirs(folder, exist_ok=True)
    from tqdm.auto import tqdm

    opener = urllib.request.build_opener(_OnlyHTTPS, urllib.request.HTTPSHandler(context=ssl.create_default_context()))
    digest = hashlib.sha256()
    try:
        with opener.open(url, timeout=60) as answer, atomic_write(path) as f:
            size = int(answer.headers.get("Content-Length") or 0)
            with tqdm(total=size or None, desc=name, unit="B", unit_scale=True, disable=not sys.stderr.isatty()) as bar:
                held = 0
                while part := answer.read(_STEP):
                    if not held and not part.startswith(b"PK\x03\x04"):
                        raise ValueError(_old(url, model))
                    held += len(part)
                    digest.update(part)
                    f.write(part)
                    bar.update(len(part))
            if size and held != size:
                raise OSError(f"{url}: {held} of {size} bytes arrived")
            if not digest.hexdigest().startswith(named[1]):
                raise ValueError(
                    f"{url}: the SHA-256 of what arrived is {digest.hexdigest()[:16]}..., not {named[1]}..."
                )
    except urllib.error.URLError as e:
        raise OSError(f"{url}: {e}") from None
    except http.client.HTTPException as e:
        raise OSError(f"{url}: {type(e).__name__}: {e}") from None
    return path


def _old(url: str, model: str) -> str:
    """Several of torchvision's files are older than PyTorch 1.6."""
    return (
        f"{url} is no zip file: PyTorch's old format can run code and is not read. The same weights as safetensors: "
        f"weights='hub:timm/{model}.tv_in1k'. Or where PyTorch is: torch.save(torch.hub.load_state_dict_from_url(URL), "
        "'new.pth'), then weights='new.pth'"
    )


def _of_hub(source: str, revision: str | None) -> Weights:
    repository = source.removeprefix("hub:")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise ValueError(f"expected weights='hub:owner/name', got {source!r}")
    try:
        import huggingface_hub as hub
        from huggingface_hub.utils import EntryNotFoundError, LocalEntryNotFoundError
    except ImportError as e:
        raise ImportError('weights from the hub need huggingface_hub: pip install "mielina[hf]"') from e

    def file(name: str) -> str:
        return str(hub.hf_hub_download(repository, name, revision=revision))

    try:
        path = file("model.safetensors")
        try:
            said = pathlib.Path(file("config.json")).read_text(encoding="utf-8")
        except EntryNotFoundError:
            said = "{}"
    except Exception as e:  # httpx's and the hub's own errors share no other base
        text = f"{source}: {type(e).__name__}: {' '.join(str(e).split())[:300]}"
        offline = isinstance(e, LocalEntryNotFoundError)  # which is an EntryNotFoundError, too
        if isinstance(e, EntryNotFoundError) and not offline:
            raise ValueError(f"{source} has no model.safetensors; other files are not read") from None
        raise (ValueError if isinstance(e, ValueError) else OSError)(text) from None
    return Weights(_from_timm(load(path)), source, _preprocess(said))


def _preprocess(config: str) -> Preprocess | None:
    """Of timm's config.json: only what Preprocess does exactly, which is bilinear."""
    with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError, ArithmeticError):
        c = json.loads(config)["pretrained_cfg"]
        if c["interpolation"] == "bilinear":
            size = c["input_size"][1]
            return Preprocess(int(size / c["crop_pct"]), size, c["mean"], c["std"])
    return None


def _from_timm(state: Any) -> Any:
    """timm's VGG has its dense layers as convolutions of other names; its ResNet has torchvision's names."""
    renamed = {"pre_logits.fc1.": "classifier.0.", "pre_logits.fc2.": "classifier.3.", "head.fc.": "classifier.6."}
    if "pre_logits.fc1.weight" not in state:
        return state
    out = {}
    for key, value in state.items():
        for old, new in renamed.items():
            if key.startswith(old):
                key = new + key[len(old) :]
                value = value.flatten(1) if value.ndim == 4 else value
        out[key] = value
    return out
