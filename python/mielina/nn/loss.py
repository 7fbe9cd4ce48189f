"""Losses as modules; each calls the function of the same meaning in `nn.functional`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..tensor import Tensor
from . import functional as F
from .distance import PairwiseDistance
from .module import Module

__all__ = [
    "L1Loss",
    "MSELoss",
    "SoftMarginLoss",
    "MultiLabelMarginLoss",
    "CrossEntropyLoss",
    "NLLLoss",
    "PoissonNLLLoss",
    "GaussianNLLLoss",
    "KLDivLoss",
    "BCELoss",
    "BCEWithLogitsLoss",
    "HingeEmbeddingLoss",
    "SmoothL1Loss",
    "HuberLoss",
    "CosineEmbeddingLoss",
    "MarginRankingLoss",
    "MultiLabelSoftMarginLoss",
    "MultiMarginLoss",
    "TripletMarginLoss",
    "TripletMarginWithDistanceLoss",
    "CTCLoss",
]


def _reduction(reduction: str, size_average: bool | None, reduce: bool | None) -> str:
    """The old two flags, which PyTorch still takes, as one word."""
    if size_average is None and reduce is None:
        return reduction
    if reduce is False:
        return "none"
    return "sum" if size_average is False else "mean"


class _Loss(Module):
    """F.<function>(*tensors, <the attributes named in `settings`>, reduction=...)."""

    function: str
    settings: tuple[str, ...] = ()

    def __init__(
        self, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean", **values: Any
    ) -> None:
        super().__init__()
        self.reduction = _reduction(reduction, size_average, reduce)
        for name, value in values.items():
            if isinstance(value, Tensor) or name in ("weight", "pos_weight"):
                self.register_buffer(name, value)
            else:
                setattr(self, name, value)

    def forward(self, *tensors: Tensor) -> Tensor:
        options = {name: getattr(self, name) for name in self.settings}
        return getattr(F, self.function)(*tensors, **options, reduction=self.reduction)  # type: ignore[no-any-return]


class _TwoTensorLoss(_Loss):
    def __init__(self, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean") -> None:
        super().__init__(size_average, reduce, reduction)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(input, target)


class L1Loss(_TwoTensorLoss):
    """|x - y|.

    >>> nn.L1Loss()(mi.tensor([1.0]), mi.tensor([3.0]))
    tensor(2.)
    """

    function = "l1_loss"


class MSELoss(_TwoTensorLoss):
    """(x - y)^2.

    >>> nn.MSELoss()(mi.tensor([1.0, 2.0]), mi.tensor([1.0, 4.0]))
    tensor(2.)
    """

    function = "mse_loss"


class SoftMarginLoss(_TwoTensorLoss):
    """log(1 + exp(-y x)), y in {-1, 1}."""

    function = "soft_margin_loss"


class MultiLabelMarginLoss(_TwoTensorLoss):
    """Hinge between the classes listed in y (up to the first -1) and the others."""

    function = "multilabel_margin_loss"


class CrossEntropyLoss(_Loss):
    """Cross entropy of logits (N, C, ...) with class indices (N, ...) or class probabilities (N, C, ...).

    >>> nn.CrossEntropyLoss(label_smoothing=0.1)(mi.tensor([[0.0, 5.0]]), mi.tensor([1]))
    tensor(0.2567)
    """

    function = "cross_entropy"
    weight: Tensor | None
    ignore_index: int
    label_smoothing: float

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(
            size_average, reduce, reduction, weight=weight, ignore_index=ignore_index, label_smoothing=label_smoothing
        )

    def forward(self, input: Tensor, target: Tensor) -> Tensor:  # type: ignore[override]
        options: dict[str, Any] = {"label_smoothing": self.label_smoothing} if self.label_smoothing else {}
        return F.cross_entropy(
            input, target, weight=self.weight, ignore_index=self.ignore_index, reduction=self.reduction, **options
        )


class NLLLoss(_Loss):
    """-x[target] of log-probabilities (N, C, ...).

    >>> nn.NLLLoss()(mi.tensor([[-0.5, -1.0]]), mi.tensor([1]))
    tensor(1.)
    """

    function = "nll_loss"
    settings = ("weight", "ignore_index")

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction, weight=weight, ignore_index=ignore_index)


class PoissonNLLLoss(_Loss):
    """exp(x) - y x (log_input) or x - y log(x + eps), with Stirling's term if `full`."""

    function = "poisson_nll_loss"
    settings = ("log_input", "full", "eps")

    def __init__(
        self,
        log_input: bool = True,
        full: bool = False,
        size_average: bool | None = None,
        eps: float = 1e-8,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction, log_input=log_input, full=full, eps=eps)


class GaussianNLLLoss(_Loss):
    """(log(var) + (x - y)^2 / var) / 2, var at least eps; called with (input, target, var)."""

    function = "gaussian_nll_loss"
    settings = ("full", "eps")

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction, full=full, eps=eps)


class KLDivLoss(_Loss):
    """y (log y - x) for log-probabilities x."""

    function = "kl_div"
    settings = ("log_target",)

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        log_target: bool = False,
    ) -> None:
        super().__init__(size_average, reduce, reduction, log_target=log_target)


class BCELoss(_Loss):
    """-(y log x + (1 - y) log(1 - x)) for probabilities x.

    >>> nn.BCELoss()(mi.tensor([0.5]), mi.tensor([1.0]))
    tensor(0.6931)
    """

    function = "binary_cross_entropy"
    settings = ("weight",)

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction, weight=weight)


class BCEWithLogitsLoss(_Loss):
    """BCELoss of sigmoid(x), without overflow.

    >>> nn.BCEWithLogitsLoss()(mi.tensor([0.0]), mi.tensor([1.0]))
    tensor(0.6931)
    """

    function = "binary_cross_entropy_with_logits"
    settings = ("weight", "pos_weight")

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        pos_weight: Tensor | None = None,
    ) -> None:
        super().__init__(size_average, reduce, reduction, weight=weight, pos_weight=pos_weight)


class HingeEmbeddingLoss(_Loss):
    """x where y = 1, max(0, margin - x) where y = -1."""

    function = "hinge_embedding_loss"
    settings = ("margin",)

    def __init__(
        self, margin: float = 1.0, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean"
    ) -> None:
        super().__init__(size_average, reduce, reduction, margin=margin)


class SmoothL1Loss(_Loss):
    """0.5 d^2 / beta where |d| < beta, |d| - 0.5 beta elsewhere.

    >>> nn.SmoothL1Loss()(mi.tensor([0.0]), mi.tensor([3.0]))
    tensor(2.5000)
    """

    function = "smooth_l1_loss"
    settings = ("beta",)

    def __init__(
        self, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean", beta: float = 1.0
    ) -> None:
        super().__init__(size_average, reduce, reduction, beta=beta)


class HuberLoss(_Loss):
    """0.5 d^2 where |d| < delta, delta (|d| - 0.5 delta) elsewhere."""

    function = "huber_loss"
    settings = ("delta",)

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction=reduction, delta=delta)


class CosineEmbeddingLoss(_Loss):
    """1 - cos(x1, x2) where y = 1, max(0, cos - margin) where y = -1."""

    function = "cosine_embedding_loss"
    settings = ("margin",)

    def __init__(
        self, margin: float = 0.0, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean"
    ) -> None:
        super().__init__(size_average, reduce, reduction, margin=margin)


class MarginRankingLoss(_Loss):
    """max(0, -y (x1 - x2) + margin)."""

    function = "margin_ranking_loss"
    settings = ("margin",)

    def __init__(
        self, margin: float = 0.0, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean"
    ) -> None:
        super().__init__(size_average, reduce, reduction, margin=margin)


class MultiLabelSoftMarginLoss(_Loss):
    """Binary cross entropy of logits, averaged over the classes."""

    function = "multilabel_soft_margin_loss"
    settings = ("weight",)

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction, weight=weight)


class MultiMarginLoss(_Loss):
    """sum over i != y of max(0, margin - x_y + x_i)^p / C."""

    function = "multi_margin_loss"
    settings = ("p", "margin", "weight")

    def __init__(
        self,
        p: int = 1,
        margin: float = 1.0,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        if p not in (1, 2):
            raise ValueError("only p == 1 and p == 2 supported")
        if weight is not None and weight.ndim != 1:
            raise ValueError(f"MultiMarginLoss: expected weight to be None or 1D tensor, got {weight.ndim}D instead")
        super().__init__(size_average, reduce, reduction, p=p, margin=margin, weight=weight)


class TripletMarginLoss(_Loss):
    """max(0, d(anchor, positive) - d(anchor, negative) + margin)."""

    function = "triplet_margin_loss"
    settings = ("margin", "p", "eps", "swap")

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        if margin <= 0:
            raise ValueError(f"TripletMarginLoss: expected margin to be greater than 0, got {margin} instead")
        super().__init__(size_average, reduce, reduction, margin=margin, p=p, eps=eps, swap=swap)


class TripletMarginWithDistanceLoss(Module):
    """TripletMarginLoss with a distance of one's own (Euclidean by default)."""

    def __init__(
        self,
        *,
        distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
        margin: float = 1.0,
        swap: bool = False,
        reduction: str = "mean",
    ) -> None:
        super().__init__()
        if margin <= 0:
            raise ValueError(
                f"TripletMarginWithDistanceLoss: expected margin to be greater than 0, got {margin} instead"
            )
        self.distance_function = PairwiseDistance() if distance_function is None else distance_function
        self.margin = margin
        self.swap = swap
        self.reduction = reduction

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        return F.triplet_margin_with_distance_loss(
            anchor,
            positive,
            negative,
            distance_function=self.distance_function,
            margin=self.margin,
            swap=self.swap,
            reduction=self.reduction,
        )


class CTCLoss(_Loss):
    """-log of the probability of all alignments of the targets (Graves et al. 2006).

    >>> nn.CTCLoss()(mi.log_softmax(mi.zeros(4, 1, 3), -1), mi.tensor([[1, 2]]), mi.tensor([4]), mi.tensor([2]))
    tensor(0.8432)
    """

    function = "ctc_loss"
    settings = ("blank", "zero_infinity")

    def __init__(self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False) -> None:
        super().__init__(reduction=reduction, blank=blank, zero_infinity=zero_infinity)
