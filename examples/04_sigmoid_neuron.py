"""One sigmoid neuron as a smooth switch, what it can learn (AND), what it cannot (XOR), and how two hidden ones can.

sigmoid(w x + b) switches at x = -b / w with slope w / 4. In the plane the switch is a straight line, and no line parts
the two classes of XOR (Minsky & Papert 1969): the best one neuron does is to say 1/2. Two hidden neurons draw two
lines, a third combines them (Rumelhart, Hinton & Williams 1986).
"""

import mielina as mi
import numpy as np
from _common import Run
from mielina import nn
from mielina.plot import figure

ROWS = mi.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
AND, XOR = mi.tensor([0, 0, 0, 1]), mi.tensor([0, 1, 1, 0])


def neuron():
    return nn.Sequential(nn.Linear(2, 1))  # its sigmoid is part of the loss


def two_hidden():
    return nn.Sequential(nn.Linear(2, 2), nn.Sigmoid(), nn.Linear(2, 1))


def learn(make, gate, seed, epochs, tries=1):
    """The best of `tries` networks: gradients from some first weights lead to a plateau where one row stays wrong."""
    best = None
    for k in range(tries):
        mi.manual_seed(100 * seed + k)
        net = make()
        for p in net.parameters():
            nn.init.normal_(p, std=2.0)
        history = mi.fit(net, ROWS, gate, loss="binary_cross_entropy", epochs=epochs, batch_size=4, seed=seed,
                         optimizer=mi.optim.Adam(net.parameters(), lr=0.05), verbose=False)  # fmt: skip
        if best is None or history["loss"][-1] < best[1]["loss"][-1]:
            best = net, history
    return best


def probability(net, x):
    return mi.sigmoid(mi.tensor(mi.predict(net, x))).squeeze(1)


def worst(net, gate):
    """The largest |output - wanted| of the four rows."""
    return (probability(net, ROWS) - gate).abs().max().item()


def draw(ax, net, gate, title):
    """The output over the plane, its border 1/2, the lines of the hidden neurons, and the four rows."""
    grid = np.linspace(-0.4, 1.4, 121, dtype=np.float32)
    a, b = np.meshgrid(grid, grid)
    p = probability(net, np.stack((a, b), -1).reshape(-1, 2)).reshape(a.shape).numpy()
    filled = ax.pcolormesh(a, b, p, vmin=0, vmax=1, cmap="RdBu", rasterized=True)
    for w, c in zip(net[0].weight.tolist(), net[0].bias.tolist()) if len(net) > 1 else ():
        ax.contour(a, b, w[0] * a + w[1] * b + c, levels=[0], colors="gold", linewidths=4)
    if p.max() - p.min() > 0.1:  # a flat output has no border
        ax.contour(a, b, p, levels=[0.5], colors="k")
    for (x1, x2), t in zip(ROWS.tolist(), gate.tolist()):
        ax.plot(x1, x2, "o", color=("C3", "C0")[t], markersize=14, markeredgecolor="white", markeredgewidth=1.5)
        ax.text(x1, x2, t, color="white", ha="center", va="center_baseline", weight="bold")
    ax.set(xlabel="first input", ylabel="second input", title=title, xticks=[0, 1], yticks=[0, 1], aspect="equal")
    return filled


def main():
    run = Run(__file__, __doc__, full="50 first weights, three times the epochs, 15 s")
    epochs = run.pick(600, 2000)
    (one_and, _), (one_xor, flat) = (learn(neuron, gate, run.seed, epochs) for gate in (AND, XOR))
    two_xor, falling = learn(two_hidden, XOR, run.seed, epochs, tries=run.pick(5, 50))
    nets = {"one neuron, AND": one_and, "one neuron, XOR": one_xor, "two hidden neurons, XOR": two_xor}
    for name, net in nets.items():
        outputs = ", ".join(f"{p:.3f}" for p in probability(net, ROWS).tolist())
        run.say(f"{name}: {outputs} for 00, 01, 10, 11")

    f = figure(15, 4.2)
    switch, *planes = f.subplots(1, 4)
    x = mi.linspace(-6, 6, 301)
    for w, b in ((1, 0), (4, 0), (20, 0), (4, -12), (-1, 0)):
        switch.plot(x.tolist(), mi.sigmoid(w * x + b).tolist(), label=f"w = {w}, b = {b}")
    switch.set(
        xlabel="x", ylabel="sigmoid(w x + b)", title="a smooth switch at -b / w", box_aspect=1, ylim=(-0.05, 1.6)
    )
    switch.set_yticks([0, 0.5, 1])
    switch.legend(fontsize=8, ncols=2, loc="upper center")
    draw(planes[0], one_and, AND, "AND: one neuron")
    draw(planes[1], one_xor, XOR, f"XOR: one neuron, loss {flat['loss'][-1]:.3f}")
    filled = draw(planes[2], two_xor, XOR, f"XOR: two hidden (gold), loss {falling['loss'][-1]:.3f}")
    f.colorbar(filled, ax=planes, shrink=0.75, label="output", ticks=[0, 0.5, 1])
    assert worst(one_and, AND) < 0.2, "AND is separable"
    run.finish(f, "largest error of two hidden neurons on XOR", worst(two_xor, XOR), "of one neuron",
               worst(one_xor, XOR), run.pick(0.1, 0.01))  # fmt: skip


if __name__ == "__main__":
    main()
