"""A convolutional network measures: position, size and shape of faint galaxies, each with a star beside it.

An angle is no good target, since 0 and 180 degrees are one: the shape of an ellipse is given by (e cos 2 phi,
e sin 2 phi), which turn smoothly and vanish together for a round one. The classic way, moments of the picture under a
window (Kaiser, Squires & Broadhurst 1995), is calibrated on the same training set. It is as good for the centre, but
the star pulls at the shape; the network has learnt what to leave out.
"""

import mielina as mi
import mielina.nn.functional as F
import numpy as np
from _common import Run
from mielina import nn
from mielina.plot import figure
from sklearn.linear_model import LinearRegression

SIZE, NOISE = 32, 0.1
NAMES = ("x", "y", "log size", "e cos 2$\\phi$", "e sin 2$\\phi$")
y, x = mi.meshgrid(mi.arange(SIZE) - (SIZE - 1) / 2, mi.arange(SIZE) - (SIZE - 1) / 2, indexing="ij")


def draw(n, rng):
    """What is to be found, (n, 5): the centre in pixels, the log of the size, and the shape."""
    e, phi, size = rng.uniform(0, 0.7, n), rng.uniform(0, np.pi, n), rng.uniform(1.5, 4, n)
    values = (*rng.uniform(-5, 5, (2, n)), np.log(size), e * np.cos(2 * phi), e * np.sin(2 * phi))
    return mi.tensor(np.stack(values, 1).astype(np.float32))


def radius(truth):
    """The distance of each pixel from the centre along the ellipse's own axes, 1 at its size; (n, SIZE, SIZE)."""
    cx, cy, size, e1, e2 = truth.T[..., None, None]
    dx, dy = x - cx, y - cy
    root = (1 - e1**2 - e2**2).sqrt()  # keeps the area when the shape changes
    square = ((1 - e1) * dx**2 - 2 * e2 * dx * dy + (1 + e1) * dy**2) / root
    return square.sqrt() / size.exp()


def render(truth, rng):
    """The galaxy, a star at 7 to 12 pixels from its centre, and noise: (n, 1, SIZE, SIZE)."""
    n, (cx, cy) = len(truth), truth.T[:2, :, None, None]
    numbers = rng.uniform((7, 0, 0.3), (12, 2 * np.pi, 1), (n, 3)).astype(np.float32)
    distance, angle, height = mi.tensor(numbers).T[..., None, None]
    from_star = (x - cx - distance * angle.cos()) ** 2 + (y - cy - distance * angle.sin()) ** 2
    noise = mi.tensor(rng.normal(0, NOISE, (n, SIZE, SIZE)).astype(np.float32))
    return ((-radius(truth)).exp() + height * (-from_star / 2).exp() + noise)[:, None]


def moments(images, steps=8):
    """(n, 6) numbers: flux, centre, width and shape under a round Gaussian window that follows the centre."""
    image = images[:, 0]
    brightest = F.avg_pool2d(images, 5, 1, 2).flatten(1).argmax(1)  # to begin with
    cx, cy = (grid.flatten()[brightest].view(-1, 1, 1) for grid in (x, y))
    for _ in range(steps):
        dx, dy = x - cx, y - cy
        w = image * (-(dx**2 + dy**2) / (2 * 4.0**2)).exp()
        flux = w.sum((1, 2), keepdim=True).clamp(min=1.0)
        cx, cy = ((c + 2 * (w * d).sum((1, 2), keepdim=True) / flux).clamp(-8, 8) for c, d in ((cx, dx), (cy, dy)))
    xx, yy, xy = ((w * d).sum((1, 2), keepdim=True) / flux for d in (dx**2, dy**2, dx * dy))
    return mi.cat((flux.log(), cx, cy, xx + yy, xx - yy, 2 * xy), 1)[..., 0]


def network():
    return nn.Sequential(
        nn.Conv2d(1, 12, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(12, 24, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(24, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(32 * 4 * 4, 64), nn.ReLU(), nn.Linear(64, 5),
    )  # fmt: skip


def main():
    run = Run(__file__, __doc__, full="five times the galaxies, 50 s")
    rng = np.random.default_rng(run.seed)
    truth, truth_test = draw(run.pick(5000, 25_000), rng), draw(1000, rng)
    images, images_test = render(truth, rng), render(truth_test, rng)
    mean, spread = truth.mean(0), truth.std(0)
    mi.manual_seed(run.seed)
    net, epochs = network(), 12
    optimizer = mi.optim.Adam(net.parameters())
    schedule = mi.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=epochs)
    mi.fit(net, images, (truth - mean) / spread, loss="mse", epochs=epochs, batch_size=64, optimizer=optimizer,
           callbacks=mi.train.LearningRateScheduler(schedule), seed=run.seed, verbose=False)  # fmt: skip
    found = mi.tensor(mi.predict(net, images_test)) * spread + mean
    classic = LinearRegression().fit(moments(images).numpy(), truth.numpy())
    by_moments = mi.tensor(classic.predict(moments(images_test).numpy()))

    guesses = {"the mean": mean, "moments": by_moments, "network": found}
    errors = {name: ((guess - truth_test) / spread).square().mean(0).sqrt() for name, guess in guesses.items()}
    shape = {name: e[3:].square().mean().sqrt().item() for name, e in errors.items()}
    for name, e in errors.items():
        pixels = ", ".join(f"{value:.3f}" for value in (e * spread).tolist())
        run.say(f"{name:9} {pixels}; shape {shape[name]:.3f} of its spread")

    f = figure(14, 4.6)
    left, middle, right = f.subplots(1, 3, width_ratios=[1.1, 1, 1.1])
    sheet = images_test[:9, 0].view(3, 3, SIZE, SIZE).transpose(1, 2).reshape(3 * SIZE, 3 * SIZE)
    left.imshow(sheet, cmap="gray", vmin=-0.3, vmax=1)
    for i in range(9):
        down, over = divmod(i, 3)
        at = (np.arange(SIZE) + over * SIZE, np.arange(SIZE) + down * SIZE)
        for some, colour, style in ((found, "C1", "-"), (truth_test, "cyan", ":")):
            outline = radius(some[i : i + 1])[0].numpy()
            left.contour(*at, outline, [2], colors=colour, linewidths=1.8, linestyles=style)
    left.set(xticks=[], yticks=[], title="held-out: truth (dotted) and network")
    for some, name, colour in ((by_moments, "moments", "0.6"), (found, "network", "C1")):
        middle.plot(truth_test[:, 3], some[:, 3], ".", color=colour, markersize=3, label=name)
    middle.plot([-0.7, 0.7], [-0.7, 0.7], "k", linewidth=1)
    middle.set(xlabel=f"true {NAMES[3]}", ylabel="found", xlim=(-0.9, 0.9), ylim=(-0.9, 0.9))
    middle.legend(markerscale=4)
    for k, (name, colour) in enumerate((("the mean", "C0"), ("moments", "0.6"), ("network", "C1"))):
        right.bar(np.arange(5) + 0.27 * (k - 1), errors[name].numpy(), 0.27, color=colour, label=name)
    right.set_xticks(range(5), NAMES)
    right.set(ylabel="root mean square error / spread", ylim=(0, 1.3))
    right.legend(ncols=3)
    run.finish(
        f,
        "error of the shape / its spread",
        shape["network"],
        "calibrated moments",
        shape["moments"],
        run.pick(0.4, 0.3),
    )


if __name__ == "__main__":
    main()
