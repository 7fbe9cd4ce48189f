"""Watching a run: what goes wrong in a training shows in its curves, rates, gradients and weights, not in its result.

One run is written down in every way that the library has: History, a CSV file, TensorBoard's event files, a report as
one HTML page, the weights of each epoch, and the norm of the gradient layer by layer. The rate is too high on purpose
at first; ReduceLROnPlateau finds out. All files go to a temporary folder and are read back, to the last digit.
"""

import csv
import html.parser
import pathlib
import tempfile

import mielina as mi
import numpy as np
from _common import Run
from mielina import nn
from mielina.plot import figure, weights_over_time
from sklearn.datasets import load_digits

try:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
except ImportError as e:
    raise SystemExit('this example needs tensorboard: pip install "mielina[tensorboard]"') from e


class Watch(mi.Callback):
    """The weights of the last layer after each epoch, and the gradients' norms of all layers after each batch."""

    def on_train_begin(self, logs):
        self.weights, self.norms = [], []

    def on_train_batch_end(self, batch, logs):
        layers = [m for m in self.model if isinstance(m, nn.Linear)]
        self.norms.append([mi.nn.utils.get_total_norm([p.grad for p in m.parameters()]).item() for m in layers])

    def on_epoch_end(self, epoch, logs):
        self.weights.append(self.model[-1].weight.detach().clone())


class Tables(html.parser.HTMLParser):
    """The cells of a page's tables, in order."""

    def __init__(self, page):
        super().__init__()
        self.cells, self.inside = [], False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.inside = tag in ("td", "th")

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.cells.append(data)


def read_back(folder, history):
    """Compares every file with the History. AssertionError: they differ."""
    with open(folder / "run.csv", newline="") as f:
        rows = list(csv.DictReader(f))
    for name in history.history:
        assert [float(row[name]) for row in rows] == history[name], f"{name} in run.csv"
    for part, prefix in (("train", ""), ("validation", "val_")):
        events = EventAccumulator(str(folder / "logs" / part)).Reload()
        for name in ("loss", "accuracy"):
            found = [e.value for e in events.Scalars(f"epoch_{name}")]
            assert found == list(np.float32(history[prefix + name])), f"{prefix}{name} in the event files"
    cells = Tables((folder / "run.html").read_text("utf-8")).cells
    for value in history["val_loss"]:
        assert f"{value:.5g}" in cells, "val_loss in run.html"


def network(seed):
    mi.manual_seed(seed)
    return nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 10))


def main():
    run = Run(__file__, __doc__, full="four times the epochs, 6 s")
    digits = load_digits()
    order = np.random.default_rng(run.seed).permutation(len(digits.data))
    x, y = (digits.data[order] / 16).astype(np.float32), digits.target[order]
    held = x[1300:], y[1300:]

    def train(net, callbacks):
        optimizer = mi.optim.SGD(net.parameters(), lr=0.3, momentum=0.9)
        return mi.fit(net, x[:1300], y[:1300], validation=held, metrics="accuracy", optimizer=optimizer,
                      epochs=run.pick(30, 120), seed=run.seed, verbose=False, callbacks=callbacks)  # fmt: skip

    constant = train(network(run.seed), [])
    net, watch = network(run.seed), Watch()
    with tempfile.TemporaryDirectory() as made:
        folder = pathlib.Path(made)
        history = train(net, [
            mi.ReduceLROnPlateau(factor=0.3, patience=2, min_lr=1e-3), watch, mi.CSVLogger(folder / "run.csv"),
            mi.TensorBoard(folder / "logs", histogram_freq=10),
            mi.ModelCheckpoint(folder / "best.safetensors", save_best_only=True),
        ])  # fmt: skip
        history.report(folder / "run.html", title="Digits", model=net)
        read_back(folder, history)
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            run.say(f"{path.relative_to(folder).parts[-1][:24]}: {path.stat().st_size:,} bytes, read back")
        net.load_state_dict(mi.load(folder / "best.safetensors"))
    saved = mi.evaluate(net, *held)["loss"]
    assert np.isclose(saved, min(history["val_loss"])), "the file must hold the weights of the best epoch"

    f = figure(12, 8)
    (loss, rate), (norms, weights) = f.subplots(2, 2)
    epochs = np.arange(1, len(history.epoch) + 1)
    for h, colour, name in ((constant, "C1", "constant rate"), (history, "C0", "reduced on plateaus")):
        loss.semilogy(epochs, h["loss"], colour, label=f"{name}, training")
        loss.semilogy(epochs, h["val_loss"], colour, linestyle="--", label=f"{name}, validation")
    loss.set(xlabel="epoch", ylabel="cross-entropy", title="loss")
    rate.step(epochs, history["learning_rate"], where="mid")
    rate.set(xlabel="epoch", ylabel="learning rate", yscale="log", title="ReduceLROnPlateau")
    norms.semilogy(
        epochs, np.reshape(watch.norms, (len(epochs), -1, 3)).mean(1), label=("layer 1", "layer 2", "layer 3")
    )
    norms.set(xlabel="epoch", ylabel="mean norm", title="gradients of the layers")
    weights_over_time(watch.weights, weights)
    weights.margins(y=0.2)
    weights.legend(loc="lower center", ncols=4)
    weights.set_title("weights of the last layer")
    loss.legend(loc="center right")
    norms.legend()
    for ax in (loss, rate, norms):
        ax.grid(alpha=0.3)
    run.finish(f, "validation accuracy, rate reduced on plateaus", history["val_accuracy"][-1], "constant rate",
               constant["val_accuracy"][-1], run.pick(0.94, 0.96))  # fmt: skip


if __name__ == "__main__":
    main()
