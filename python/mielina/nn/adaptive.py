"""Softmax over very many classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..tensor import Tensor
from . import functional as F
from .containers import ModuleList, Sequential
from .linear import Linear
from .module import Module


class ASMoutput(NamedTuple):
    output: Tensor
    loss: Tensor


class AdaptiveLogSoftmaxWithLoss(Module):
    """Log-probabilities of n_classes, sorted from frequent to rare, in clusters that end at `cutoffs`.

    The head scores the first cluster and the others as a whole; each of these has a tail, whose width is in_features
    divided by a further div_value. Returns (the targets' log-probabilities (N), minus their mean). input:
    (N, in_features) or (in_features), target: (N) or (). RuntimeError: shapes, or a target outside [0, n_classes).
    Source: Grave et al. 2017.
    """

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: float = 4.0,
        head_bias: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        ends = list(cutoffs)
        if not ends:
            raise ValueError("cutoffs should be a sequence of length larger than 0")
        if ends != sorted(set(ends)) or min(ends) <= 0 or max(ends) > n_classes - 1 or any(int(c) != c for c in ends):
            raise ValueError(
                "cutoffs should be a sequence of unique, positive integers sorted in an increasing order, where each "
                "value is between 1 and n_classes-1"
            )
        self.in_features = in_features
        self.n_classes = n_classes
        self.cutoffs = [*ends, n_classes]
        self.div_value = div_value
        self.head_bias = head_bias
        self.shortlist_size = ends[0]
        self.n_clusters = len(ends)
        self.head_size = self.shortlist_size + self.n_clusters
        self.head = Linear(in_features, self.head_size, bias=head_bias, dtype=dtype)
        self.tail = ModuleList()
        for i, (low, high) in enumerate(zip(self.cutoffs, self.cutoffs[1:])):
            width = int(in_features // div_value ** (i + 1))
            self.tail.append(
                Sequential(
                    Linear(in_features, width, bias=False, dtype=dtype),
                    Linear(width, high - low, bias=False, dtype=dtype),
                )
            )

    def reset_parameters(self) -> None:
        self.head.reset_parameters()
        for first, second in self.tail:
            first.reset_parameters()
            second.reset_parameters()

    def forward(self, input: Tensor, target: Tensor) -> ASMoutput:
        if target.ndim > 1:
            raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
        if input.ndim != target.ndim + 1 or input.shape[:-1] != target.shape:
            raise RuntimeError(
                f"Input and target should have the same size in the batch dimension, got {input.shape} and "
                f"{target.shape}"
            )
        x, t = (input, target) if target.ndim else (input.unsqueeze(0), target.unsqueeze(0))
        low, high = (int(t.min()), int(t.max())) if t.numel() else (0, 0)
        if low < 0 or high >= self.n_classes:
            raise RuntimeError(
                f"Target values should be in [0, {self.n_classes - 1}], but values in range [{low}, {high}] were found."
            )
        place, tails = t, []
        for i, (start, end) in enumerate(zip(self.cutoffs, self.cutoffs[1:])):
            inside = (t >= start) & (t < end)
            rows = inside.nonzero().squeeze(1)
            if rows.numel():
                place = place.masked_fill(inside, self.shortlist_size + i)
                scores = F.log_softmax(self.tail[i](x.index_select(0, rows)), 1)
                tails.append((rows, scores.gather(1, (t.index_select(0, rows) - start).unsqueeze(1)).squeeze(1)))
        output = F.log_softmax(self.head(x), 1).gather(1, place.unsqueeze(1)).squeeze(1)
        for rows, part in tails:
            output = output.index_add(0, rows, part)
        loss = -output.mean()
        return ASMoutput(output if target.ndim else output.squeeze(0), loss)

    def log_prob(self, input: Tensor) -> Tensor:
        """All log-probabilities, (N, n_classes)."""
        from ..ops import cat

        head = F.log_softmax(self.head(input), 1)
        n = self.shortlist_size
        tails = [F.log_softmax(tail(input), 1) + head[:, n + i : n + i + 1] for i, tail in enumerate(self.tail)]
        return cat([head[:, :n], *tails], 1)

    def predict(self, input: Tensor) -> Tensor:
        """The likeliest classes, (N)."""
        return self.log_prob(input).argmax(1)
