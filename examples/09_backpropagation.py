"""Back-propagation by hand, beside the library's tape and beside finite differences, on two interleaved half moons.

A network x -> tanh(x W1 + b1) W2 + b2 with a logistic loss. The chain rule written out (Rumelhart, Hinton & Williams
1986) must give what the tape gives, to the last few digits; finite differences are the trivial way, and lose half the
digits.
"""

import mielina as mi
import mielina.nn.functional as F
import numpy as np
from _common import Run
from mielina.plot import figure
from sklearn.datasets import make_moons


def loss_of(params, x, t):
    w1, b1, w2, b2 = params
    return F.binary_cross_entropy_with_logits(mi.tanh(x @ w1 + b1) @ w2 + b2, t)


def by_hand(params, x, t):
    """The same gradients, one line a layer, without the tape."""
    w1, b1, w2, b2 = (p.detach() for p in params)
    h = mi.tanh(x @ w1 + b1)
    z = h @ w2 + b2
    dz = (mi.sigmoid(z) - t) / len(x)  # d mean(loss) / dz
    dh = dz @ w2.T
    da = dh * (1 - h * h)  # tanh' = 1 - tanh^2
    return [x.T @ da, da.sum(0), h.T @ dz, dz.sum(0)]


def by_differences(params, x, t, step=1e-6):
    grads = []
    with mi.no_grad():
        for p in params:
            g, flat = mi.zeros_like(p), p.view(-1)
            for i in range(p.numel()):
                old = flat[i].item()
                flat[i] = old + step
                up = loss_of(params, x, t).item()
                flat[i] = old - step
                g.view(-1)[i] = (up - loss_of(params, x, t).item()) / (2 * step)
                flat[i] = old
            grads.append(g)
    return grads


def distance(a, b):
    """The largest difference, relative to the largest gradient."""
    a, b = mi.cat([g.reshape(-1) for g in a]), mi.cat([g.reshape(-1) for g in b])
    return ((a - b).abs().max() / b.abs().max()).item()


def main():
    run = Run(__file__, __doc__, full="ten times the points, 60 hidden units, 10 s")
    points, labels = make_moons(run.pick(300, 3000), noise=0.15, random_state=run.seed)
    x, t = mi.tensor(points), mi.tensor(labels[:, None].astype(np.float64))
    mi.manual_seed(run.seed)
    hidden = run.pick(12, 60)
    shapes = ((2, hidden), (hidden,), (hidden, 1), (1,))
    params = [(mi.randn(*s, dtype=mi.float64) * 0.7).requires_grad_() for s in shapes]

    tape = mi.grad(loss_of(params, x, t), params)
    hand = by_hand(params, x, t)
    rough = by_differences(params, x, t)
    error, rough_error = distance(hand, tape), distance(rough, tape)

    losses = []
    for _ in range(run.pick(400, 2000)):  # gradient descent on the gradients by hand
        losses.append(loss_of(params, x, t).item())
        with mi.no_grad():
            for p, g in zip(params, by_hand(params, x, t)):
                p -= 1.0 * g
    f = figure(11, 4.5)
    left, middle, right = f.subplots(1, 3)
    a = mi.cat([g.reshape(-1) for g in tape]).numpy()
    for g, name, mark in ((rough, "finite differences", "x"), (hand, "by hand", ".")):
        b = mi.cat([p.reshape(-1) for p in g]).numpy()
        left.semilogy(np.abs(a), np.abs(a - b) + 1e-19, mark, label=name)
    left.text(0.3, 2e-19, "the same bits", fontsize=8)
    left.set(xlabel="|gradient|", ylabel="difference from the tape's", title=f"{len(a)} gradients")
    left.legend()
    middle.semilogy(losses)
    middle.set(xlabel="step", ylabel="loss", title="descent on the gradients by hand")
    u, v = np.meshgrid(np.linspace(-1.6, 2.6, 160), np.linspace(-1.1, 1.6, 160))
    w1, b1, w2, b2 = (p.detach() for p in params)
    z = mi.tanh(mi.tensor(np.stack((u.ravel(), v.ravel()), 1)) @ w1 + b1) @ w2 + b2
    right.contourf(u, v, mi.sigmoid(z).numpy().reshape(u.shape), levels=10, cmap="RdBu", alpha=0.6)
    right.scatter(*points[:300].T, c=labels[:300], s=8, cmap="RdBu", edgecolors="k", linewidths=0.2)
    right.set(title=f"what was learnt (loss {losses[-1]:.3f})", xticks=[], yticks=[])
    assert losses[-1] < 0.1 * losses[0]
    run.finish(f, "difference of hand and tape", error, "finite differences", rough_error, run.pick(1e-12, 1e-13))


if __name__ == "__main__":
    main()
