"""The perceptron, from Rosenblatt's rule to a network with a hidden layer, on Fisher's irises.

Rosenblatt's rule (1958) moves a line whenever a sample is on its wrong side; it stops by itself if some line separates
the classes, as it does for one of the three species. The other two overlap: a hidden layer and gradients find a curve.
"""

import mielina as mi
import numpy as np
from _common import Run
from mielina import nn
from mielina.plot import figure
from sklearn.datasets import load_iris


def rosenblatt(x, y, epochs=100):
    """Weights (w1, w2, b) of the line, and how many samples were wrong in each epoch. y: -1 or 1."""
    x = mi.cat((x, mi.ones(len(x), 1)), 1)
    w, mistakes = mi.zeros(3), []
    for _ in range(epochs):
        wrong = 0
        for xi, yi in zip(x, y):
            if yi * (w @ xi) <= 0:
                w += yi * xi
                wrong += 1
        mistakes.append(wrong)
        if not wrong:
            break
    return w, mistakes


def network(x, y, seed):
    mi.manual_seed(seed)
    net = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 3))
    mi.fit(net, x, y, loss="cross_entropy", optimizer=mi.optim.Adam(net.parameters(), lr=0.02), epochs=60,
           batch_size=25, seed=seed, verbose=False)  # fmt: skip
    return net


def main():
    run = Run(__file__, __doc__, full="the mean of 20 draws of the test flowers, 10 s")
    data = load_iris()
    x = mi.tensor(data.data[:, 2:].astype(np.float32))  # petal length and width
    x = (x - x.mean(0)) / x.std(0)
    y = mi.tensor(data.target)
    rng, draws = np.random.default_rng(run.seed), run.pick(1, 20)
    orders = [mi.tensor(rng.permutation(150)) for _ in range(draws)]
    nets = [network(x[order[:100]], y[order[:100]], run.seed) for order in orders]
    net, train, test = nets[0], orders[0][:100], mi.cat([order[100:] for order in orders])
    found = mi.cat([net(x[order[100:]]).argmax(1) for net, order in zip(nets, orders)])
    accuracy = (found == y[test]).float().mean().item()
    most = np.bincount(y[test].numpy()).max() / len(test)

    w, mistakes = rosenblatt(x[train], mi.where(y[train] == 0, 1.0, -1.0))

    f = figure(11, 4.5)
    left, middle, right = f.subplots(1, 3)
    left.plot(range(1, len(mistakes) + 1), mistakes, "o-")
    left.set(xlabel="epoch", ylabel="samples on the wrong side", title="Rosenblatt's rule: setosa or not",
             xticks=range(1, len(mistakes) + 1))  # fmt: skip
    low, high = x.numpy().min(0) - 0.3, x.numpy().max(0) + 0.3
    line = np.array([low[0], high[0]])
    w1, w2, b = w.tolist()
    middle.plot(line, -(w1 * line + b) / w2, "k")
    a, c = np.meshgrid(np.linspace(low[0], high[0], 200), np.linspace(low[1], high[1], 200))
    grid = mi.tensor(np.stack((a.ravel(), c.ravel()), 1).astype(np.float32))
    right.contourf(a, c, net(grid).argmax(1).numpy().reshape(a.shape), levels=[-0.5, 0.5, 1.5, 2.5], alpha=0.25,
                   colors=["C0", "C1", "C2"])  # fmt: skip
    for ax, title in ((middle, "its line"), (right, "a hidden layer of 16")):
        for species in range(3):
            points = x[y == species].numpy()
            ax.plot(points[:, 0], points[:, 1], ".", color=f"C{species}", label=data.target_names[species])
        ax.set(xlabel="petal length", ylabel="petal width", title=title, xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    right.legend()
    assert mistakes[-1] == 0, "setosa is separable: the rule must stop"
    what = "accuracy on 50 held-out flowers" + run.pick("", f", mean of {draws} draws")
    run.finish(f, what, accuracy, "the commonest species", most, run.pick(0.9, 0.93))


if __name__ == "__main__":
    main()
