"""Pictures: each draws what it was given, and nothing lies outside of the figure."""

import mielina as mi
import numpy as np
import pytest
from mielina import nn, plot

pytest.importorskip("matplotlib")
rng = np.random.default_rng(0)


def moons():
    t = rng.uniform(0, np.pi, 100)
    y = np.arange(100) % 2
    x = np.where(y[:, None], np.stack([1 - np.cos(t), 0.5 - np.sin(t)], 1), np.stack([np.cos(t), np.sin(t)], 1))
    return x + rng.normal(size=x.shape) * 0.1, y


def history():
    h = mi.train.History()
    for e in range(5):
        h.append(e, {"loss": 2 / (e + 1), "accuracy": e / 5, "val_loss": 2.2 / (e + 1), "val_accuracy": e / 6})
    return h


def boundary(ax):
    mi.manual_seed(0)
    x, y = moons()
    model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))
    mi.fit(model, x, y, epochs=40, verbose=0, optimizer=lambda p: mi.optim.Adam(p, lr=0.03))
    plot.decision_boundary(model, x, y, ax, points=60)


def reliability(ax):
    p = rng.dirichlet([0.5] * 4, 500)
    plot.calibration(p, np.array([rng.choice(4, p=q) for q in p]), ax)


def clusters():
    return rng.normal(size=(200, 5)) + np.eye(5)[np.arange(200) % 4] * 5, np.arange(200) % 4


def som():
    grid = np.zeros((8, 12, 3))
    grid[:, 6:] = 3
    return grid + rng.normal(size=grid.shape) * 0.1


PICTURES = {
    "curves": lambda ax: plot.curves(history(), ax),
    "confusion": lambda ax: plot.confusion(
        [[50, 2, 0], [4, 40, 9], [0, 1, 33]], ["elliptical", "spiral", "irregular"], ax
    ),
    "calibration": reliability,
    "boundary": boundary,
    "filters": lambda ax: plot.filters(nn.Conv2d(3, 12, 5).weight, ax),
    "maps": lambda ax: plot.feature_maps(nn.Conv2d(1, 10, 3)(mi.rand(1, 1, 12, 12)), ax),
    "latent": lambda ax: plot.latent(*clusters(), ax, names=["elliptical", "spiral", "irregular", "other"]),
    "u_matrix": lambda ax: plot.u_matrix(som(), ax),
    "weights": lambda ax: plot.weights_over_time(np.cumsum(rng.normal(size=(20, 4)), 0), ax, "abcd"),
    "many weights": lambda ax: plot.weights_over_time(np.cumsum(rng.normal(size=(20, 30, 10)), 0), ax),
}


@pytest.mark.parametrize("name", PICTURES)
def test_nothing_is_clipped(name, request):
    figure = plot.figure(6, 5)
    ax = figure.subplots()
    PICTURES[name](ax)
    ax.set_title(ax.get_title() or name)
    figure.canvas.draw()
    box, page = figure.get_tightbbox(), figure.bbox_inches
    assert box.x0 >= -0.01 and box.y0 >= -0.01 and box.x1 <= page.x1 + 0.01 and box.y1 <= page.y1 + 0.01
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]
    assert pixels.std() > 10


def test_what_is_drawn():
    figure = plot.figure(6, 5)
    a, b, c, d = figure.subplots(2, 2).ravel()
    plot.calibration(np.array([0.9, 0.9, 0.9, 0.9, 0.6]), np.array([1, 1, 1, 0, 1]), a)
    xy = a.lines[1].get_xydata()
    assert np.allclose(xy, [[0.6, 1.0], [0.9, 0.75]])
    plot.u_matrix([[[0.0], [1.0], [1.0]]], b)
    assert np.allclose(b.images[0].get_array(), [[1.0, 0.5, 0.0]])
    z, labels = clusters()
    plot.latent(z[:, :2], labels, c)
    assert np.allclose(c.collections[1].get_offsets(), z[labels == 1, :2])
    plot.weights_over_time([[1.0, 2.0], [3.0, 4.0]], d)
    assert np.allclose(d.lines[1].get_ydata(), [2, 4])
    maps = plot.feature_maps(np.arange(8.0).reshape(2, 2, 2), plot.figure(2, 2).subplots(), columns=2)
    assert np.allclose(maps.images[0].get_array()[1:3, 1:3], [[0, 1 / 3], [2 / 3, 1]])


def test_units_and_epochs_are_whole_and_one_epoch_is_seen():
    ax = plot.u_matrix(rng.normal(size=(12, 12, 3)), plot.figure(5, 4).subplots())
    assert all(t == int(t) for t in [*ax.get_xticks(), *ax.get_yticks()])
    history = mi.train.History()
    history.append(0, {"loss": 1.0})
    assert plot.curves(history, plot.figure(3, 3).subplots()).lines[0].get_marker() == "."


def test_a_confusion_matrix_of_shares_and_of_many_classes():
    def texts(matrix):
        return [t.get_text() for t in plot.confusion(matrix, None, plot.figure(3, 3).subplots()).texts]

    assert texts(np.array([[1, 0], [1, 2]]) / [[1], [3]]) == ["1.00", "0.33", "0.67"]
    assert texts(mi.tensor([[12345, 0], [0, 2]])) == texts([[12345.0, 0.0], [0.0, 2.0]]) == ["12345", "2"]
    ax = plot.confusion(np.full((30, 30), 99), None, plot.figure(5, 5).subplots())
    a, b = (ax.texts[i].get_window_extent() for i in (0, 1))
    assert a.x1 < b.x0


def test_the_boundary_is_the_models():
    model = nn.Linear(2, 2)
    model.load_state_dict({"weight": mi.tensor([[1.0, 0.0], [-1.0, 0.0]]), "bias": mi.zeros(2)})
    ax = plot.decision_boundary(model, [[-1.0, -1], [1, 1]], [1, 0], plot.figure(3, 3).subplots(), points=10)
    found = np.asarray(ax.collections[0].get_array()).reshape(10, 10)
    assert (found[:, :5] == 1).all() and (found[:, 5:] == 0).all()


def test_names_are_drawn_as_they_stand(tmp_path):
    """Two dollars enclose mathematics, which ends in an error where it is none."""
    names = ["$\\bad$", "a$b$"]
    history = mi.train.History()
    history.append(0, {"$\\bad$": 1.0})
    for ax in (
        plot.confusion(np.eye(2, dtype=int), names),
        plot.latent(np.eye(2), [0, 1], names=names),
        plot.weights_over_time(np.eye(2), names=names),
        plot.curves(history),
    ):
        ax.figure.savefig(tmp_path / "a.png")
    history.report(tmp_path / "a.html", confusion=np.eye(2, dtype=int), class_names=names)


def test_errors():
    ax = plot.figure(2, 2).subplots()
    for call, message in (
        (lambda: plot.calibration([[2.0, 3.0]], [0], ax), "probabilities"),
        (lambda: plot.decision_boundary(nn.Linear(3, 2), np.zeros((4, 3)), np.zeros(4), ax), "two features"),
        (lambda: plot.feature_maps(np.zeros((2, 3, 4, 4)), ax), "one sample"),
        (lambda: plot.latent(np.zeros((4, 1)), None, ax), "D >= 2"),
        (lambda: plot.latent(np.zeros((1, 3)), None, ax), "two samples or more"),
        (lambda: plot.latent(np.full((4, 3), np.nan), None, ax), "without NaN"),
        (lambda: plot.u_matrix(np.zeros((4, 4)), ax), "features"),
        (lambda: plot.confusion([1, 2], None, ax), r"\(classes, classes\), got \(2,\)"),
        (lambda: plot.confusion(np.eye(3), "ab", ax), "2 labels for 3 classes"),
        (lambda: plot.filters(mi.zeros(3, 4), ax), r"weight of a Conv2d, got \(3, 4\)"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
