"""A generative adversarial network: one network forges digits, another learns to tell them from real ones.

The forger is trained to have its work taken for real (Goodfellow et al. 2014, the loss of section 3 that does not
saturate); labels of 0.9 keep the judge from being too sure. What goes wrong is that a forger draws one digit well and
no other. So forgeries count that a classifier of real digits recognises with 95 % and more, but no digit beyond its
share among the real ones. The bar: a normal distribution with the digits' mean and covariance.
"""

import mielina as mi
import mielina.nn.functional as F
import numpy as np
from _common import Run
from mielina import nn
from mielina.plot import figure, filters
from sklearn.datasets import load_digits

CODE, WIDTH, BATCH = 32, 256, 100


def forger():
    return nn.Sequential(
        nn.Linear(CODE, WIDTH), nn.BatchNorm1d(WIDTH), nn.ReLU(),
        nn.Linear(WIDTH, WIDTH), nn.BatchNorm1d(WIDTH), nn.ReLU(),
        nn.Linear(WIDTH, 64), nn.Tanh(),
    )  # fmt: skip


def judge():
    return nn.Sequential(
        nn.Linear(64, WIDTH), nn.LeakyReLU(0.2), nn.Dropout(0.3),
        nn.Linear(WIDTH, WIDTH), nn.LeakyReLU(0.2), nn.Dropout(0.3), nn.Linear(WIDTH, 1),
    )  # fmt: skip


def train(x, epochs):
    """The forger, its works of a few epochs, and both losses at each epoch's end."""
    forge, tell = forger(), judge()
    forging, telling = (mi.optim.Adam(net.parameters(), lr=1e-3, betas=(0.5, 0.999)) for net in (forge, tell))
    rates = [mi.optim.lr_scheduler.LinearLR(o, 1.0, 0.05, epochs) for o in (forging, telling)]
    loader = mi.data.DataLoader(mi.data.TensorDataset(x), batch_size=BATCH, shuffle=True, drop_last=True)
    real, fake, loss = mi.full((BATCH, 1), 0.9), mi.zeros(BATCH, 1), F.binary_cross_entropy_with_logits
    codes, way, losses = mi.randn(9, CODE), [], []
    for epoch in range(epochs):
        if epoch in [epochs * k // 81 for k in (0, 1, 2, 4, 8, 16, 32, 64)]:
            way.append(forge.eval()(codes).detach())
            forge.train()
        for (digits,) in loader:
            forged = forge(mi.randn(BATCH, CODE))
            judged = loss(tell(digits), real) + loss(tell(forged.detach()), fake)
            telling.zero_grad()
            judged.backward()
            telling.step()
            passed = loss(tell(forged), mi.ones(BATCH, 1))
            forging.zero_grad()
            passed.backward()
            forging.step()
        losses.append((judged.item(), passed.item()))
        for rate in rates:
            rate.step()
    return forge.eval(), [*way, forge(codes).detach()], np.array(losses)


def recogniser(x, labels, seed):
    """Returns each digit's share of a sample, as far as a classifier is sure; and beyond its share of `labels`, cut."""
    net = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    mi.fit(net, x, labels, epochs=30, verbose=False, seed=seed)

    def shares(digits):
        sure, found = F.softmax(net(digits), 1).max(1)
        return found[sure >= 0.95].bincount(minlength=10) / len(digits)

    true = labels.bincount(minlength=10) / len(labels)
    return shares, lambda digits: mi.minimum(shares(digits), true).sum().item()


def main():
    run = Run(__file__, __doc__, full="four times the epochs, 60 s")
    digits, rng = load_digits(), np.random.default_rng(run.seed)
    x, labels = mi.tensor((digits.data / 8 - 1).astype(np.float32)), mi.tensor(digits.target)
    mi.manual_seed(run.seed)
    forge, way, losses = train(x, run.pick(200, 800))
    with mi.no_grad():
        forged = forge(mi.randn(1000, CODE))
    normal = rng.multivariate_normal(x.numpy().mean(0), np.cov(x.numpy().T), 1000).astype(np.float32)
    shares, score = recogniser(x, labels, run.seed)
    found, bar = score(forged), score(mi.tensor(normal).clamp(-1, 1))

    f = figure(14, 4.4)
    first, second, third, fourth = f.subplots(1, 4)
    filters(mi.stack(way).reshape(-1, 1, 8, 8), first, columns=9)
    first.set_title("nine forgeries as the forger learns")
    filters(forged[:81].reshape(-1, 1, 8, 8), second, columns=9)
    second.set_title("forged in the end")
    third.bar(np.arange(10), shares(forged))
    third.axhline(0.1, color="grey", linestyle="--")
    third.set(xlabel="recognised as", ylabel="share of the forgeries", xticks=range(10))
    fourth.plot(np.arange(1, len(losses) + 1), losses, label=["judge", "forger"])
    fourth.set(xlabel="epoch", title="losses: no winner")
    fourth.legend()
    run.finish(f, "share of forgeries recognised", found, "normal distribution", bar, run.pick(0.5, 0.6))


if __name__ == "__main__":
    main()
