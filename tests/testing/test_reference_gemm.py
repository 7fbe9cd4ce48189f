"""The references of products, softmax and losses against PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mielina.testing import reference

RNG = np.random.default_rng(2)


def normal(*shape: int) -> Any:
    return np.asarray(RNG.standard_normal(shape))


@pytest.mark.parametrize(
    "shapes",
    [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 4)), ((2, 3), (3, 4)), ((5, 1, 2, 3), (4, 3, 2)), ((2, 0), (0, 3)),
     ((3,), (2, 3, 4)), ((0, 3), (3, 2)), ((1, 1), (1, 1))],
)  # fmt: skip
def test_matmul(shapes: Any, agree: Any) -> None:
    agree("matmul", normal(*shapes[0]), normal(*shapes[1]))
    integers = [RNG.integers(-9, 9, s).astype(np.int8) for s in shapes]
    agree("matmul", *integers)


def test_products(agree: Any) -> None:
    a, b, u, v = normal(3, 4), normal(4, 5), normal(4), normal(4)
    agree("mv", a, u)
    agree("dot", u, v)
    agree("outer", u, normal(3))
    agree("inner", u, v)
    agree("inner", normal(2, 3, 4), normal(5, 4))
    agree("bmm", normal(2, 3, 4), normal(2, 4, 5))
    agree("kron", normal(2, 3), normal(3, 2, 2))
    for x in (normal(3, 5), normal(5), np.full((3, 1), np.nan)):
        agree("addmm", x, a, b, beta=0 if np.isnan(x).any() else 0.5, alpha=2)
    agree("addmm", RNG.integers(0, 9, (3, 5)), RNG.integers(0, 9, (3, 4)), RNG.integers(0, 9, (4, 5)), beta=2, alpha=3)
    agree("baddbmm", normal(2, 3, 5), normal(2, 3, 4), normal(2, 4, 5), beta=0.3, alpha=0.7)
    agree("tensordot", normal(2, 3, 4), normal(3, 4, 5))
    agree("tensordot", normal(2, 3, 4), normal(4, 2), dims=([0, 2], [1, 0]))
    agree("tensordot", normal(2, 3), normal(4), dims=0)
    agree("block_diag", normal(2, 3), normal(4), np.asarray(2.0), normal(1, 2))


def test_linear(agree: Any) -> None:
    for x in (normal(4), normal(3, 4), normal(2, 3, 4), normal(0, 4)):
        agree("linear", x, normal(5, 4), normal(5))
        agree("linear", x, normal(5, 4))
    agree("linear", normal(3, 4), normal(4))
    agree("bilinear", normal(3, 4), normal(3, 5), normal(6, 4, 5), normal(6))


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("ij,jk->ik", [(2, 3), (3, 4)]),
        ("ij,jk", [(2, 3), (3, 4)]),
        ("ii->i", [(3, 3)]),
        ("ii", [(3, 3)]),
        ("...ij,...jk->...ik", [(5, 1, 2, 3), (4, 3, 2)]),
        ("bi,bj,bij->b", [(2, 3), (2, 4), (2, 3, 4)]),
        ("i,j->ji", [(2,), (3,)]),
        ("ij,ij->ij", [(2, 1), (2, 3)]),
        ("ij->", [(2, 3)]),
        ("...->...", [(2, 3)]),
        ("b...,b...->b", [(2, 3, 4), (2, 3, 4)]),
    ],
)
def test_einsum(equation: str, shapes: Any, agree: Any) -> None:
    agree("einsum", equation, *[normal(*s) for s in shapes])


@pytest.mark.parametrize("p", [0.0, 0.5, 1.0, 2.0, 3.0, np.inf])
def test_cdist(p: float, agree: Any) -> None:
    agree("cdist", normal(4, 3), normal(5, 3), p=p)
    agree("cdist", normal(2, 1, 4, 3), normal(3, 5, 3), p=p)
    agree("cdist", normal(0, 3), normal(5, 3), p=p)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "softmin"])
def test_softmax(name: str, agree: Any) -> None:
    for dim in (0, 1, -1):
        agree(name, normal(3, 4, 5) * 10, dim=dim)
        agree(name, normal(3, 0, 5), dim=dim)
    agree(name, np.asarray(2.0), dim=0)
    odd = np.array([[np.nan, 1, 2], [-np.inf] * 3, [np.inf, 0, 1], [1000, -1000, 0], [-np.inf, 1, 2]])
    agree(name, odd, dim=1)
    agree(name, RNG.integers(-3, 4, (3, 4)), dim=1, dtype=np.float64)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_cross_entropy(reduction: str, agree: Any) -> None:
    r = {"reduction": reduction}
    for shape in ((5,), (4, 5), (2, 5, 3), (2, 5, 3, 4)):
        classes = shape[0 if len(shape) == 1 else 1]
        x = normal(*shape) * 3
        t = np.asarray(RNG.integers(0, classes, shape[:1] * (len(shape) > 1) + shape[2:]))
        w = RNG.random(classes) + 0.1
        agree("nll_loss", np.asarray(reference.log_softmax(x, -1)), t, **r)
        agree("nll_loss", x, t, weight=w, ignore_index=1, **r)
        for smoothing in (0.0, 0.1):
            agree("cross_entropy", x, t, **r, label_smoothing=smoothing)
            agree("cross_entropy", x, t, weight=w, ignore_index=1, **r, label_smoothing=smoothing)
            agree("cross_entropy", x, RNG.random(shape), weight=w, **r, label_smoothing=smoothing)
            agree("cross_entropy", x, RNG.random(shape), **r, label_smoothing=smoothing)
    agree("cross_entropy", normal(3, 4), np.full(3, -100), **r)
    odd = np.array([[np.inf, 0, 1], [0, -np.inf, 1], [np.nan, 0, 1], [-np.inf] * 3, [0, 1, -np.inf]])
    agree("cross_entropy", odd, np.array([1, 1, 0, 0, 0]), **r)
    agree("multi_margin_loss", odd, np.array([1, 1, 0, 0, 0]), **r)
    agree("cross_entropy", normal(0, 4), np.zeros(0, np.int64), **r)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("shape", [(), (5,), (3, 4), (0, 3)])
def test_losses_of_pairs(reduction: str, shape: tuple[int, ...], agree: Any) -> None:
    x, t, w = normal(*shape) * 2, normal(*shape), np.asarray(RNG.random(shape) + 0.1)
    p, q = np.asarray(RNG.random(shape)), np.asarray(RNG.random(shape))
    sign = np.where(t > 0, 1.0, -1.0)
    r = {"reduction": reduction}
    for name in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"):
        agree(name, x, t, **r)
    for name in ("mse_loss", "l1_loss", "huber_loss"):
        if shape:
            agree(name, x, t, **r, weight=w)
    agree("smooth_l1_loss", x, t, beta=0.3, **r)
    agree("smooth_l1_loss", x, t, beta=0.0, **r)
    agree("huber_loss", x, t, delta=0.3, **r)
    agree("binary_cross_entropy", p, q, **r)
    agree("binary_cross_entropy", np.round(p), q, weight=w, **r)
    agree("binary_cross_entropy_with_logits", x * 50, q, **r)
    agree("binary_cross_entropy_with_logits", x, q, weight=w, pos_weight=w * 2, **r)
    agree("kl_div", np.log(p + 0.01), q, **r)
    agree("kl_div", np.log(p + 0.01), np.log(q + 0.01), log_target=True, **r)
    agree("kl_div", x, np.round(q), **r)
    for log_input in (True, False):
        agree("poisson_nll_loss", p, q * 9, log_input=log_input, full=True, **r)
        agree("poisson_nll_loss", p, q * 9, log_input=log_input, **r)
    agree("soft_margin_loss", x, sign, **r)
    agree("hinge_embedding_loss", x, sign, margin=0.7, **r)
    agree("margin_ranking_loss", x, t, sign, margin=0.2, **r)
    if shape:
        agree("gaussian_nll_loss", x, t, w, full=True, **r)
        agree("gaussian_nll_loss", x, t, w[..., :1], **r)
    if len(shape) == 2 and shape[0]:
        agree("kl_div", x, q, reduction="batchmean")
        agree("gaussian_nll_loss", x, t, w[:, 0], **r)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_losses_of_rows(reduction: str, agree: Any) -> None:
    x, a, b = normal(4, 5), normal(4, 5), normal(4, 5)
    t, sign, w = RNG.integers(0, 5, 4), np.array([1, -1, -1, 1]), RNG.random(5)
    r = {"reduction": reduction}
    for p in (1, 2):
        agree("multi_margin_loss", x, t, p=p, margin=0.8, weight=w, **r)
        agree("multi_margin_loss", x, t, p=p, **r)
        agree("triplet_margin_loss", x, a, b, p=p, margin=2.0, **r)
    agree("multi_margin_loss", x[0], np.asarray(2), **r)
    agree("multilabel_soft_margin_loss", x, (a > 0) * 1.0, weight=w, **r)
    agree("cosine_embedding_loss", a, b, sign, margin=0.1, **r)
    agree("cosine_embedding_loss", a[0], b[0], np.asarray(-1), **r)
    agree("triplet_margin_loss", x, a, b, swap=True, **r)


def test_distances_and_one_hot(agree: Any) -> None:
    a, b = normal(2, 3, 4), normal(2, 3, 4)
    a[0, 0] = 0
    for dim in (0, 1, -1):
        agree("cosine_similarity", a, b, dim=dim)
    agree("cosine_similarity", a, b[:, :1], dim=2, eps=0.5)
    for p in (1.0, 2.0, 3.0, np.inf):
        agree("pairwise_distance", a, b, p=p, keepdim=True)
        agree("pairwise_distance", a[0, 0], b[0], p=p)
    agree("one_hot", RNG.integers(0, 4, (2, 3)))
    agree("one_hot", np.asarray(2), num_classes=5)
    agree("one_hot", np.zeros((0, 2), np.int64), num_classes=5)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_ctc(reduction: str, agree: Any) -> None:
    logp = reference.log_softmax(normal(9, 3, 5), -1)
    targets = np.array([[1, 2, 2, 4], [3, 3, 0, 0], [1, 0, 0, 0]])
    ends, sizes = np.array([9, 7, 5]), np.array([4, 2, 0])
    agree("ctc_loss", logp, targets, ends, sizes, reduction=reduction)
    agree("ctc_loss", logp, np.array([1, 2, 2, 4, 3, 3]), ends, sizes, reduction=reduction)
    agree(
        "ctc_loss",
        logp,
        np.array([[0, 1, 1, 3], [2, 2, 0, 0], [0, 0, 0, 0]]),
        ends,
        sizes,
        blank=4,
        reduction=reduction,
    )
    short = np.array([4, 7, 5])  # too short for 1 2 2 4
    for zero in (False, True):
        agree("ctc_loss", logp, targets, short, sizes, reduction=reduction, zero_infinity=zero)
    agree("ctc_loss", logp[:, 0], targets[0], np.asarray(9), np.asarray(4), reduction=reduction)
