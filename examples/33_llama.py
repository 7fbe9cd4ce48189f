"""LLaMA in small: it reads Python's own documentation, by tokens that it made itself, and goes on writing.

Touvron et al. 2023: RMSNorm before each part, rotated queries and keys (RoPE, Su et al. 2021), a gated SwiGLU (Shazeer
2020), query heads that share keys and values (Ainslie et al. 2023), no biases. The tokens are pairs of bytes merged by
frequency (Sennrich et al. 2016). While writing, keys and values of what was read are kept, so that each step computes
one token only. The bar: a table of which byte followed the last three, smoothed by those of fewer.
"""

import textwrap
import time
from collections import Counter
from pydoc_data.topics import topics

import mielina as mi
import mielina.nn.functional as F
import numpy as np
from _common import Run
from mielina import nn
from mielina.plot import figure

MERGES, CONTEXT = 256, 64
WIDTH, HEADS, SHARED, LAYERS = 96, 6, 2, 2


class Tokenizer:
    """Bytes, and the pairs that were most frequent in `text`, one after the other."""

    def __init__(self, text):
        self.pairs, self.bytes = [], [bytes([i]) for i in range(256)]
        ids = np.frombuffer(text.encode(), np.uint8).astype(np.int64)
        for new in range(256, 256 + MERGES):
            codes, counts = np.unique(ids[:-1] * 65536 + ids[1:], return_counts=True)
            pair = divmod(int(codes[counts.argmax()]), 65536)
            self.pairs.append(pair)
            self.bytes.append(self.bytes[pair[0]] + self.bytes[pair[1]])
            ids = self._merged(ids, pair, new)

    @staticmethod
    def _merged(ids, pair, new):
        at = np.flatnonzero((ids[:-1] == pair[0]) & (ids[1:] == pair[1]))
        if pair[0] == pair[1]:  # of a run, every other one
            run = np.cumsum(np.diff(at, prepend=-2) > 1)
            at = at[(np.arange(len(at)) - np.searchsorted(run, run)) % 2 == 0]
        ids = ids.copy()
        ids[at] = new
        return np.delete(ids, at + 1)

    def encode(self, text):
        ids = np.frombuffer(text.encode(), np.uint8).astype(np.int64)
        for new, pair in enumerate(self.pairs, 256):
            ids = self._merged(ids, pair, new)
        return mi.tensor(ids)

    def decode(self, ids):
        return b"".join(self.bytes[i] for i in ids).decode(errors="replace")


def rotate(x, angles):
    """x (N, heads, T, size), the two halves of each head as points in the plane, turned by angles (T, size / 2)."""
    a, b = x.chunk(2, -1)
    return mi.cat([a * angles.cos() - b * angles.sin(), a * angles.sin() + b * angles.cos()], -1)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.size = WIDTH // HEADS
        self.q, self.o = (nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(2))
        self.k, self.v = (nn.Linear(WIDTH, SHARED * self.size, bias=False) for _ in range(2))

    def forward(self, x, angles, cache=None):
        """cache: a dict in which keys and values of the tokens before lie, and those of x are put."""
        q, k, v = (f(x).unflatten(2, (-1, self.size)).transpose(1, 2) for f in (self.q, self.k, self.v))
        q, k = rotate(q, angles), rotate(k, angles)
        if cache is not None:
            if cache:
                k, v = mi.cat([cache["k"], k], 2), mi.cat([cache["v"], v], 2)
            cache.update(k=k, v=v)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=q.shape[2] > 1, enable_gqa=True)
        return self.o(y.transpose(1, 2).flatten(2))


class Block(nn.Module):
    def __init__(self, hidden=4 * WIDTH * 2 // 3):
        super().__init__()
        self.attention, self.before, self.between = Attention(), nn.RMSNorm(WIDTH), nn.RMSNorm(WIDTH)
        self.gate, self.up = (nn.Linear(WIDTH, hidden, bias=False) for _ in range(2))
        self.down = nn.Linear(hidden, WIDTH, bias=False)

    def forward(self, x, angles, cache=None):
        x = x + self.attention(self.before(x), angles, cache)
        h = self.between(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


class Llama(nn.Module):
    def __init__(self, tokens):
        super().__init__()
        self.embedding = nn.Embedding(tokens, WIDTH)
        self.blocks = nn.ModuleList([Block() for _ in range(LAYERS)])
        self.norm, self.head = nn.RMSNorm(WIDTH), nn.Linear(WIDTH, tokens, bias=False)
        self.rates = nn.Buffer(10_000.0 ** -(mi.arange(0, WIDTH // HEADS, 2) / (WIDTH // HEADS)))
        for p in self.parameters():
            if p.ndim > 1:
                nn.init.normal_(p, std=0.05)

    def forward(self, ids, start=0, caches=None):
        """Logits (N, T, tokens) of ids (N, T), the first of which stands at place `start`."""
        x, angles = self.embedding(ids), mi.outer(mi.arange(start, start + ids.shape[1]), self.rates)
        for i, block in enumerate(self.blocks):
            x = block(x, angles, None if caches is None else caches[i])
        return self.head(self.norm(x))

    @mi.no_grad()
    def write(self, ids, n, temperature=0.7, top_k=50, top_p=0.95, cached=True):
        """n tokens more: the top_k likeliest, of these the fewest that hold top_p of the probability."""
        ids = list(ids)
        caches = [{} for _ in self.blocks] if cached else None
        for i in range(n):
            start = len(ids) - 1 if cached and i else 0
            logits, which = (self(mi.tensor([ids[start:]]), start, caches)[0, -1] / temperature).topk(top_k)
            p = F.softmax(logits, 0)
            p = p.masked_fill(p.cumsum(0) - p > top_p, 0)
            ids.append(which[mi.multinomial(p, 1)].item())
        return ids


def windows(ids, n):
    """n windows (n, CONTEXT + 1) from anywhere in a text."""
    return ids[mi.randint(0, len(ids) - CONTEXT, (n, 1)) + mi.arange(CONTEXT + 1)]


@mi.no_grad()
def bits(net, ids, length):
    """Bits a byte over a text of `length` bytes, window by window; each window's first token is not counted."""
    w = ids[: len(ids) // (CONTEXT + 1) * (CONTEXT + 1)].view(-1, CONTEXT + 1)
    loss = F.cross_entropy(net(w[:, :-1]).flatten(0, 1), w[:, 1:].flatten())
    return loss.item() / np.log(2) * len(ids) / length


def train(net, ids, held, length, steps):
    """The bits a byte of the held-out text, ten times on the way."""
    optimizer = mi.optim.AdamW(net.parameters(), lr=4e-3, betas=(0.9, 0.95), weight_decay=0.1)
    rate = mi.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps, pct_start=0.1)
    seen = []
    for i in range(steps):
        w = windows(ids, 32)
        loss = F.cross_entropy(net(w[:, :-1]).flatten(0, 1), w[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        rate.step()
        if (i + 1) % (steps // 10) == 0:
            seen.append((i + 1, bits(net, held, length)))
    return seen


def table(train, test, order=3, weight=4.0):
    """Bits a byte of a table of contexts: p = (count + weight * p of one byte less) / (all + weight)."""
    counts = [Counter() for _ in range(order + 1)]
    totals = [Counter() for _ in range(order + 1)]
    for i in range(order, len(train)):
        for k in range(order + 1):
            counts[k][train[i - k : i + 1]] += 1
            totals[k][train[i - k : i]] += 1
    total = 0.0
    for i in range(order, len(test)):
        p = 1 / 256
        for k in range(order + 1):
            p = (counts[k][test[i - k : i + 1]] + weight * p) / (totals[k][test[i - k : i]] + weight)
        total -= np.log2(p)
    return total / (len(test) - order)


def main():
    run = Run(__file__, __doc__, full="all of the text, twice the steps, 60 s")
    text = "\n".join(topics[name] for name in sorted(topics))[: run.pick(400_000, None)]
    cut = len(text) * 9 // 10
    mi.manual_seed(run.seed)
    tokenizer = Tokenizer(text[:100_000])
    ids, held = tokenizer.encode(text[:cut]), tokenizer.encode(text[cut:])
    net = Llama(256 + MERGES)
    seen = train(net, ids, held, len(text[cut:].encode()), run.pick(400, 900))
    bar = table(text[:cut].encode(), text[cut:].encode())
    net.eval()
    prompt = tokenizer.encode("The statement ").tolist()
    took, written = [], []
    for cached in (True, False):
        mi.manual_seed(run.seed)
        begin = time.perf_counter()
        written.append(net.write(prompt, 400, cached=cached))
        took.append(time.perf_counter() - begin)
    run.say(f"{len(ids)} tokens for {cut} letters; 400 tokens in {took[0]:.2f} s, {took[1]:.2f} s without the cache")

    f = figure(13, 4.6)
    left, right = f.subplots(1, 2, width_ratios=[1, 1.5])
    left.plot(*zip(*seen), "o-", label="LLaMA")
    left.axhline(bar, color="grey", linestyle="--", label="table of three bytes")
    left.set(xlabel="step", ylabel="bits a byte of the held-out text")
    left.legend()
    left.grid(alpha=0.3)
    lines = [part for line in tokenizer.decode(written[0]).splitlines() for part in textwrap.wrap(line, 78) or [""]]
    right.text(0, 1, "\n".join(lines[:26]).replace("$", r"\$"), family="monospace", fontsize=8, va="top")
    right.set_title("it goes on after: The statement", loc="left")
    right.set(xlim=(0, 1), ylim=(0, 1))
    right.axis("off")
    run.finish(f, "bits a byte of held-out text", seen[-1][1], "table of three bytes", bar, run.pick(1.85, 1.82))


if __name__ == "__main__":
    main()
