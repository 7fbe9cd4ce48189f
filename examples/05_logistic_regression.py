"""Logistic regression tells stars from galaxies by their colours; its gradient by autograd and by hand.

A colour is a difference of magnitudes in neighbouring bands (u, g, r, i, z). The catalogue is made here, not measured:
two overlapping clouds in four colours. For the cross-entropy, output y and target t, the gradient is
-(t - y) x (Bishop 2006, eq. 4.91), sample by sample; the minimum is the one that scikit-learn finds.
"""

import mielina as mi
import mielina.nn.functional as F
import numpy as np
from _common import Run
from mielina import nn
from mielina.plot import figure
from sklearn.linear_model import LogisticRegression

COLOURS = ("u - g", "g - r", "r - i", "i - z")
KINDS = ("galaxy", "star")
MEANS = ((1.65, 0.85, 0.42, 0.30), (1.30, 0.50, 0.28, 0.06))
SPREADS = ((0.40, 0.22, 0.12, 0.12), (0.45, 0.28, 0.20, 0.10))
TIED = 0.6  # correlation of any two colours: a red object is red in all of them


def catalogue(n, seed, stars=0.4):
    """Colours (n, 4) and whether each object is a star (n), float64."""
    rng = np.random.default_rng(seed)
    star = (rng.random(n) < stars).astype(int)
    root = np.linalg.cholesky(np.full((4, 4), TIED) + (1 - TIED) * np.eye(4))
    noise = rng.standard_normal((n, 4)) @ root.T
    return mi.tensor(np.array(MEANS)[star] + np.array(SPREADS)[star] * noise), mi.tensor(star).double()


def fit(x, t):
    """The minimum of the summed cross-entropy + |w|^2 / 2, scikit-learn's objective at C = 1, by L-BFGS."""
    model = nn.Linear(x.shape[1], 1).double()
    optimizer = mi.optim.LBFGS(model.parameters(), max_iter=200, tolerance_grad=1e-6, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(model(x).squeeze(1), t, reduction="sum")
        loss = loss + 0.5 * (model.weight * model.weight).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return model


def gradients(model, x, t):
    """Each sample's gradient (n, 4) by autograd, through a copy of the weights for each sample, and by the formula."""
    w = model.weight.detach().expand(len(x), -1).clone().requires_grad_()
    z = (w * x).sum(1) + model.bias.detach()
    (tape,) = mi.grad(F.binary_cross_entropy_with_logits(z, t, reduction="sum"), w)
    y = mi.sigmoid(z.detach())
    return tape, -(t - y).unsqueeze(1) * x


def main():
    run = Run(__file__, __doc__, full="a hundred times the objects, 6 s")
    x, t = catalogue(run.pick(3000, 300_000), run.seed)
    cut = len(x) * 2 // 3
    mean, std = x[:cut].mean(0), x[:cut].std(0)
    x = (x - mean) / std
    train, test = (x[:cut], t[:cut]), (x[cut:], t[cut:])

    mi.manual_seed(run.seed)
    model = nn.Linear(4, 1).double()
    tape, formula = gradients(model, *train)  # where the weights are random: at the minimum many are tiny
    gap = (tape - formula).abs().max().item()
    model = fit(*train)
    theirs = LogisticRegression(C=1.0, tol=1e-10, max_iter=1000).fit(*(a.numpy() for a in train))
    ours = mi.cat((model.weight.detach().flatten(), model.bias.detach())).numpy()
    other = np.append(theirs.coef_, theirs.intercept_)
    apart = np.abs(ours - other).max()
    run.say(f"gradients differ by {gap:.1e}, coefficients from scikit-learn's by {apart:.1e}")
    accuracy = mi.evaluate(model, *test, loss="binary_cross_entropy", metrics="accuracy")["accuracy"]
    majority = max(test[1].mean().item(), 1 - test[1].mean().item())

    f = figure(12, 9)
    (plane, scores), (slopes, weights) = f.subplots(2, 2)
    colours, z = (test[0] * std + mean).numpy(), mi.predict(model, test[0])[:, 0]
    for kind, name in enumerate(KINDS):
        of = test[1].numpy() == kind
        some = np.flatnonzero(of)[:600]  # enough for a cloud
        plane.plot(colours[some, 1], colours[some, 3], ".", color=f"C{kind}", alpha=0.6, label=name)
        scores.hist(z[of], bins=np.linspace(-14, 10, 49), color=f"C{kind}", alpha=0.5, label=name)
    plane.set(xlabel=COLOURS[1], ylabel=COLOURS[3], title="two of the four colours, held-out objects")
    plane.legend()
    scores.axvline(0, color="k")
    scores.set(xlabel="w x + b", ylabel="objects", title=f"the neuron's sum: {accuracy:.1%} on the right side of 0")
    right = scores.twinx()
    line = np.linspace(-14, 10, 200)
    right.plot(line, mi.sigmoid(mi.tensor(line)).numpy(), "k--")
    right.set(ylabel="probability of a star (dashed)", ylim=(0, 1.05))
    scores.legend(loc="upper left")
    for k, name in enumerate(COLOURS):
        slopes.plot(formula[:2000, k].numpy(), tape[:2000, k].detach().numpy(), ".", markersize=4, label=name)
    slopes.set(xlabel="-(t - y) x", ylabel="gradient by autograd", title=f"{cut} samples: difference at most {gap:.0e}")
    slopes.legend(title="weight of")
    places = np.arange(5)
    weights.bar(places, ours, color="C0", alpha=0.5, label="by L-BFGS on our gradients")
    weights.plot(places, other, "kx", markersize=9, label="scikit-learn")
    weights.axhline(0, color="k", linewidth=0.8)
    weights.set_xticks(places, [*COLOURS, "bias"])
    weights.set(ylabel="coefficient (of z-scores)", title=f"difference at most {apart:.0e}")
    weights.legend()
    assert gap < 1e-12, "autograd must agree with -(t - y) x"
    assert apart < 1e-3, "both minimise the same function"
    what = f"accuracy on {len(test[1])} held-out objects"
    run.finish(f, what, accuracy, "always galaxy", majority, run.pick(0.82, 0.87))


if __name__ == "__main__":
    main()
