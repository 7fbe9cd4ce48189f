"""history.report: one file, every string escaped, a policy that lets nothing run or load."""

from html.parser import HTMLParser

import mielina as mi
import numpy as np
import pytest
from mielina import plot

pytest.importorskip("matplotlib")
EVIL = "</script><img src=x onerror=alert(1)>"


class Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.text = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)


def test_report(tmp_path):
    class Net(mi.nn.Linear):
        def extra_repr(self):
            return EVIL

    x, y = np.random.default_rng(0).random((10, 3)), np.arange(10) % 2
    model = Net(3, 2)

    def odd(output, target):
        return 1.0

    odd.__name__ = EVIL
    history = mi.fit(model, x, y, epochs=2, verbose=0, metrics=["accuracy", odd], validation=(x, y))
    figure = plot.figure(2, 2)
    path = tmp_path / "run.html"
    history.report(
        path,
        title=EVIL,
        model=model,
        confusion=np.array([[3, 1], [0, 4]]),
        class_names=[EVIL, "a & b $x$"],
        notes=EVIL,
        figures={EVIL: figure},
    )
    page = path.read_text()
    reader = Reader()
    reader.feed(page)
    kinds = [tag for tag, _ in reader.tags]
    assert "script" not in kinds and "iframe" not in kinds and "link" not in kinds
    images = [attrs for tag, attrs in reader.tags if tag == "img"]
    assert len(images) == 3 and all(
        set(a) == {"alt", "src"} and a["src"].startswith("data:image/png;base64,") for a in images
    )
    assert not any(name.startswith("on") for _, attrs in reader.tags for name in attrs)
    (policy,) = [a["content"] for t, a in reader.tags if t == "meta" and "http-equiv" in a]
    assert "default-src 'none'" in policy and "img-src data:" in policy and "script" not in policy
    assert EVIL not in page and "".join(reader.text).count(EVIL) >= 6
    assert f"{history['val_loss'][1]:.5g}" in page


def test_errors(tmp_path):
    history = mi.train.History()
    history.report(tmp_path / "empty.html")
    assert "<h1>" in (tmp_path / "empty.html").read_text()
    with pytest.raises(ValueError, match="1 class names"):
        history.report(tmp_path / "x.html", confusion=np.eye(2, dtype=int), class_names=["a"])
    with pytest.raises(FileNotFoundError):
        history.report(tmp_path / "missing" / "x.html")
