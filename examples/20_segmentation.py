"""A U-Net finds cells that touch each other, under uneven light and noise.

Every pixel gets a class: cell or not, and the thin line between two cells counts as "not", so that they can be told
apart afterwards (Ronneberger et al. 2015). One threshold for the whole picture cannot do it: the light differs more
from corner to corner than a cell from its surroundings. Image and mask are flipped and turned alike.
"""

import mielina as mi
import numpy as np
from _common import Run
from mielina import transforms as T
from mielina.plot import figure
from scipy.ndimage import label

SIZE, CELLS = 64, 14


def render(n, rng):
    """Images (n, 1, SIZE, SIZE) in [0, 1] and masks of the same shape, 1 inside a cell."""

    def draw(low, high, *shape):
        return mi.tensor(rng.uniform(low, high, (n, *shape, 1, 1)).astype(np.float32))

    y, x = mi.meshgrid(mi.arange(SIZE), mi.arange(SIZE), indexing="ij")
    dx, dy, angle = x - draw(2, SIZE - 2, CELLS), y - draw(2, SIZE - 2, CELLS), draw(0, np.pi, CELLS)
    along, across = angle.cos() * dx + angle.sin() * dy, angle.cos() * dy - angle.sin() * dx
    r = ((along / draw(6, 10, CELLS)) ** 2 + (across / draw(5, 7, CELLS)) ** 2).sqrt()  # 1 on the outline
    (first, second), nearest = r.topk(2, 1, largest=False)[0].unbind(1), r.argmin(1, keepdim=True)
    masks = ((first < 1) & (second - first > 0.17)).float()  # where the two nearest are equally near is the line
    glow = draw(0.20, 0.35, CELLS)[..., 0, 0].gather(1, nearest.flatten(1)).view(n, SIZE, SIZE)  # one a cell
    slope, turn = draw(0.3, 0.5), draw(0, 2 * np.pi)
    light = 0.35 + slope * ((x / SIZE - 0.5) * turn.cos() + (y / SIZE - 0.5) * turn.sin())
    noise = mi.tensor(rng.normal(0, 0.07, (n, SIZE, SIZE)).astype(np.float32))
    return (light + glow * masks + noise).clamp(0, 1)[:, None], masks[:, None]


class Augmented(mi.data.Dataset):
    """Whole batches at once: each pair is flipped and turned by numbers of its own."""

    move = T.Compose([T.RandomFlip("both"), T.RandomRotation(180)])
    light = T.Compose([T.RandomBrightness(0.1), T.RandomContrast(0.2)])

    def __init__(self, images, masks):
        self.images, self.masks = images, masks

    def __len__(self):
        return len(self.images)

    def batch(self, indices):
        images, masks = self.move(self.images[indices], self.masks[indices])
        return self.light(images), masks

    def __getitem__(self, i):
        images, masks = self.batch(mi.tensor([i]))
        return images[0], masks[0]


def best_threshold(images, masks):
    """The threshold of each image that overlaps its true mask best; Otsu (1979) has to do without the truth."""
    levels = mi.linspace(0, 1, 101).view(-1, 1, 1, 1, 1)
    above = (images > levels).float()
    dice = 2 * (above * masks).sum((2, 3, 4)) / (above + masks).sum((2, 3, 4))
    return levels[dice.argmax(0)][:, 0]


def cells(masks):
    """Numbered cells of each mask; specks under 12 pixels are none."""
    numbered = [label(m)[0] for m in np.asarray(masks)[:, 0]]
    return [np.where(np.bincount(a.ravel(), minlength=1)[a] < 12, 0, a) for a in numbered]


def main():
    run = Run(__file__, __doc__, full="six times the images, twice the epochs, 80 s")
    rng = np.random.default_rng(run.seed)
    (x, t), (x_test, t_test) = render(run.pick(160, 960), rng), render(48, rng)
    mi.manual_seed(run.seed)
    net = mi.models.unet(num_classes=1, in_channels=1, width=8, depth=3)
    loader = mi.data.DataLoader(Augmented(x, t), batch_size=16, shuffle=True)
    epochs = run.pick(14, 28)
    optimizer = mi.optim.Adam(net.parameters(), lr=1e-2)
    schedule = mi.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=epochs)
    history = mi.fit(net, loader, validation=(x_test, t_test), loss="binary_cross_entropy", metrics=[mi.train.Dice()],
                     epochs=epochs, optimizer=optimizer, callbacks=mi.train.LearningRateScheduler(schedule),
                     seed=run.seed, verbose=False)  # fmt: skip
    found = mi.tensor(mi.predict(net, x_test))
    by_level = x_test - best_threshold(x_test, t_test)
    dice, simple = mi.train.Dice()(found, t_test), mi.train.Dice()(by_level, t_test)
    run.say(f"{sum(p.numel() for p in net.parameters())} parameters, {history['dice'][-1]:.3f} on augmented images")

    true, ours, theirs = (cells(m > 0) for m in (t_test, found, by_level))
    count = [[len(np.unique(a)) - 1 for a in some] for some in (true, ours, theirs)]
    off = [np.abs(np.subtract(c, count[0])).mean() for c in count[1:]]
    run.say(f"cells miscounted an image: U-Net {off[0]:.2f}, threshold {off[1]:.2f}, of {np.mean(count[0]):.1f}")

    f = figure(11, 8.4)
    axes = f.subplots(3, 4)
    for i, row in enumerate(axes):
        row[0].imshow(x_test[i, 0].numpy(), cmap="gray", vmin=0, vmax=1)
        for ax, some, n in zip(row[1:], (true, theirs, ours), (count[0], count[2], count[1])):
            ax.set_facecolor("0.15")
            ax.imshow(np.ma.masked_equal(some[i], 0) % 10, cmap="tab10", vmin=0, vmax=9, interpolation="nearest")
            ax.set_xlabel(f"{n[i]} cells")
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
    titles = ("held-out image", "truth", f"best threshold: Dice {simple:.2f}", f"U-Net: Dice {dice:.2f}")
    for ax, title in zip(axes[0], titles):
        ax.set_title(title)
    run.finish(f, "Dice of 48 held-out images", dice, "the best threshold of each", simple, run.pick(0.95, 0.975))


if __name__ == "__main__":
    main()
