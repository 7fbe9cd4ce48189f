"""Activation functions, their slopes by autograd, and what a flat slope does to twenty layers.

The slope of the sigmoid is at most 1/4: each layer shrinks the gradient on its way back, and the first layers of a deep
network learn nothing (Hochreiter 1991; Glorot & Bengio 2010, section 4). Slopes of 0 or 1 with weights of variance
2 / fan-in keep it alive (He et al. 2015, eq. 14). Twenty layers on two circles show both.
"""

import mielina as mi
import mielina.nn.functional as F
import numpy as np
from _common import Run
from mielina import nn
from mielina.plot import figure
from mielina.train import LearningRateScheduler
from sklearn.datasets import make_circles

CURVES = {"sigmoid": mi.sigmoid, "tanh": mi.tanh, "relu": F.relu, "leaky relu": F.leaky_relu, "elu": F.elu,
          "gelu": F.gelu, "silu": F.silu, "softplus": F.softplus}  # fmt: skip
LAYERS, WIDTH = 20, 32


def deep(activation):
    """LAYERS hidden layers and one logit; weights as He et al. advise for relu, as Glorot & Bengio for the others."""
    sizes = [2] + [WIDTH] * LAYERS
    layers = [nn.Sequential(nn.Linear(a, b), activation()) for a, b in zip(sizes, sizes[1:])]
    net = nn.Sequential(*layers, nn.Linear(WIDTH, 1))
    for layer in layers:
        if activation is nn.ReLU:
            nn.init.kaiming_normal_(layer[0].weight, nonlinearity="relu")
        else:
            nn.init.xavier_normal_(layer[0].weight)
        nn.init.zeros_(layer[0].bias)
    return net


def gradient_norms(net, x, y):
    """The norm of the loss's gradient by the weights of each hidden layer."""
    loss = F.binary_cross_entropy_with_logits(net(x).squeeze(1), y.float())
    return [g.norm().item() for g in mi.grad(loss, [layer[0].weight for layer in net[:-1]])]


def main():
    run = Run(__file__, __doc__, full="five times the points, twice the epochs, 10 s")
    points, labels = make_circles(run.pick(1200, 6000), noise=0.08, factor=0.5, random_state=run.seed)
    x, y = mi.tensor((2 * points).astype(np.float32)), mi.tensor(labels)
    cut, epochs = len(x) * 2 // 3, run.pick(20, 40)
    train, test = (x[:cut], y[:cut]), (x[cut:], y[cut:])

    def accuracies_of(net, lr=1e-3):
        optimizer = mi.optim.Adam(net.parameters(), lr=lr)
        fall = LearningRateScheduler(lambda epoch, _: lr * (1 - epoch / epochs))
        history = mi.fit(net, *train, validation=test, loss="binary_cross_entropy", metrics="accuracy", epochs=epochs,
                         batch_size=40, optimizer=optimizer, callbacks=fall, seed=run.seed, verbose=False)  # fmt: skip
        return history["val_accuracy"]

    norms, learnt = {}, {}
    for name, activation in (("sigmoid", nn.Sigmoid), ("tanh", nn.Tanh), ("relu", nn.ReLU)):
        mi.manual_seed(run.seed)
        net = deep(activation)
        norms[name] = gradient_norms(net, *train)
        learnt[name] = accuracies_of(net)
        run.say(f"{name:8} first layer's gradient {norms[name][0]:.1e}, last's {norms[name][-1]:.1e}, "
                f"accuracy {learnt[name][-1]:.3f}")  # fmt: skip
    linear = accuracies_of(nn.Linear(2, 1), lr=0.02)[-1]
    majority = max(test[1].float().mean().item(), 1 - test[1].float().mean().item())

    f = figure(12, 9)
    (top_left, top_right), (bottom_left, bottom_right) = f.subplots(2, 2)
    z = mi.linspace(-4, 4, 401).requires_grad_()
    for k, (name, function) in enumerate(CURVES.items()):
        style = {"label": name, "linestyle": "-" if k < 4 else "--"}
        value = function(z)
        top_left.plot(z.tolist(), value.tolist(), **style)
        top_right.plot(z.tolist(), mi.grad(value.sum(), z)[0].tolist(), **style)
    top_left.set(xlabel="input", ylabel="output", title="activation", ylim=(-1.3, 3))
    top_right.set(xlabel="input", ylabel="slope", title="its derivative, by autograd")
    for name in norms:
        bottom_left.semilogy(range(1, LAYERS + 1), norms[name], "o-", label=name)
        bottom_right.plot(range(1, len(learnt[name]) + 1), learnt[name], "o-", label=name)
    bottom_left.set(xlabel="layer", ylabel="norm of the gradient", title="before training: what reaches each layer")
    bottom_right.axhline(max(linear, majority), color="grey", linestyle=":", label="one line, or majority")
    bottom_right.set(xlabel="epoch", ylabel="accuracy, held-out", title=f"{LAYERS} layers learn two circles")
    for ax in (bottom_left, bottom_right):
        ax.set_xticks([1, *range(5, 1 + (LAYERS if ax is bottom_left else epochs), 5)])
    for ax in (top_left, top_right, bottom_left, bottom_right):
        ax.grid(alpha=0.3)
        ax.legend()
    assert norms["sigmoid"][0] < 1e-6 * norms["relu"][0], "sigmoids must starve the first layer"
    others = max(linear, majority, learnt["sigmoid"][-1])
    run.finish(f, "accuracy of 20 relu layers", learnt["relu"][-1], "best of 20 sigmoid layers, one line, majority",
               others, run.pick(0.92, 0.99))  # fmt: skip


if __name__ == "__main__":
    main()
