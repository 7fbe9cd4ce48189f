"""A Transformer learns to sort, and its attention shows how.

Ten numbers go in, the same ten come out in order: each output place has to look at all inputs (Vaswani et al. 2017).
The bar is the same network without attention to other places, whose best guess is a number typical of the place. Keys
that are padding are masked, so that shorter lists are sorted, too.
"""

import mielina as mi
import mielina.nn.functional as F
import numpy as np
from _common import Run
from mielina import nn
from mielina.plot import figure

LENGTH, NUMBERS, WIDTH, HEADS = 10, 20, 64, 4
PAD = NUMBERS  # one symbol more: nothing here


class Sorter(nn.Module):
    def __init__(self, attends=True):
        super().__init__()
        self.symbol, self.place = nn.Embedding(NUMBERS + 1, WIDTH), nn.Embedding(LENGTH, WIDTH)
        layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 2 * WIDTH, dropout=0.0, batch_first=True, norm_first=True)
        self.encoder, self.head = nn.TransformerEncoder(layer, 2), nn.Linear(WIDTH, NUMBERS + 1)
        self.alone = None if attends else ~mi.eye(LENGTH).bool()  # True: not to be looked at

    def forward(self, x):
        h = self.symbol(x) + self.place(mi.arange(LENGTH))
        how = {"src_key_padding_mask": x == PAD} if self.alone is None else {"mask": self.alone}
        return self.head(self.encoder(h, **how))


def lists(n):
    """Lists (n, LENGTH) of 2 to LENGTH numbers, the rest PAD; and sorted, where PAD comes last as the largest."""
    x = mi.randint(0, NUMBERS, (n, LENGTH))
    x = x.masked_fill(mi.arange(LENGTH) >= mi.randint(2, LENGTH + 1, (n, 1)), PAD)
    return x, x.sort(1)[0]


def train(net, steps):
    optimizer = mi.optim.AdamW(net.parameters(), lr=2e-3)
    rate = mi.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    losses = []
    for _ in range(steps):
        x, y = lists(128)
        loss = F.cross_entropy(net(x).flatten(0, 1), y.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        rate.step()
        losses.append(loss.item())
    return losses


@mi.no_grad()
def accuracy(net, n=2000):
    """The share of numbers (padding does not count) that stand at their place."""
    x, y = lists(n)
    right, real = net.eval()(x).argmax(2) == y, y != PAD
    return (right & real).sum().item() / real.sum().item()


@mi.no_grad()
def attention(net, x):
    """The weights (LENGTH, LENGTH) of the last layer, the mean over its heads."""
    layers = net.encoder.layers
    h = net.symbol(x) + net.place(mi.arange(LENGTH))
    for layer in layers[:-1]:
        h = layer(h)
    h = layers[-1].norm1(h)
    return layers[-1].self_attn(h, h, h)[1][0]


def main():
    run = Run(__file__, __doc__, full="five times the steps, 60 s")
    mi.manual_seed(run.seed)
    net, alone = Sorter(), Sorter(attends=False)
    curves = {"with attention": train(net, run.pick(500, 2500)), "without": train(alone, run.pick(500, 2500))}
    scores = [accuracy(net), accuracy(alone)]

    f = figure(12, 4.4)
    left, right = f.subplots(1, 2, width_ratios=[1.3, 1])
    for name, losses in curves.items():
        left.semilogy(np.arange(1, len(losses) + 1), losses, label=name)
    left.set(xlabel="step", ylabel="cross-entropy", title="sorting lists of 2 to 10 numbers")
    left.legend()
    left.grid(alpha=0.3)
    x = mi.randperm(NUMBERS)[:LENGTH][None]
    right.imshow(attention(net, x), cmap="Blues")
    right.set_xticks(range(LENGTH), x[0].tolist())
    right.set_yticks(range(LENGTH), x.sort(1)[0][0].tolist())
    right.set(xlabel="input", ylabel="to be written at this place", title="what the last layer looks at")
    run.finish(f, "share of numbers at their place", scores[0], "without attention", scores[1], run.pick(0.9, 0.98))


if __name__ == "__main__":
    main()
