"""Losses and distances against their references, the composites and PyTorch."""

from __future__ import annotations

from typing import Any

import mielina as mi
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mielina.testing import check_composite, check_op, reference

F = mi.nn.functional
RNG = np.random.default_rng(6)
REDUCTIONS = ["none", "mean", "sum"]


def normal(*shape: int) -> Any:
    return np.asarray(RNG.standard_normal(shape))


def check(name: str, inputs: list[Any], kwargs: dict[str, Any] | None = None, **options: Any) -> None:
    settings = {
        "layouts": ("contiguous", "transposed"),
        "threads": (1, 2),
        "length": inputs[0].size,
        "amplification": 16,
        "magnitude": "max",
        "result": lambda d: d,
        "grad_amplification": 16,
    }
    check_op(getattr(F, name), getattr(reference, name), inputs, kwargs, **settings | options)


# ---- classes ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", [(7,), (5, 7), (3, 1100), (2, 4, 3, 5)])
def test_cross_entropy(shape: tuple[int, ...], reduction: str) -> None:
    """Weighted, smoothed, with ignored targets: the mean divides by the weights of the others."""
    c = shape[0] if len(shape) == 1 else shape[1]
    target = RNG.integers(0, c, shape[:1] + shape[2:] if len(shape) > 1 else ())
    if target.ndim:
        target.reshape(-1)[1] = 2
    small = int(np.prod(shape)) < 200
    for smoothing in (0.0, 0.2):
        kwargs = {"reduction": reduction, "ignore_index": 2, "label_smoothing": smoothing}
        weight = RNG.random(c) + 0.5

        def fn(x: Any, t: Any, weight: Any = weight, **kw: Any) -> Any:
            return F.cross_entropy(x, t, mi.tensor(weight).to(x.dtype), **kw)

        def ref(x: Any, t: Any, weight: Any = weight, **kw: Any) -> Any:
            return reference.cross_entropy(x, t, weight, **kw)

        check_op(
            fn,
            ref,
            [normal(*shape) * 3, target],
            kwargs,
            dtypes=("float32", "float64", "bfloat16"),
            layouts=("contiguous", "transposed"),
            threads=(1, 2),
            length=c,
            amplification=32,
            magnitude="max",
            result=lambda d: d,
            grad=small,
            gradgrad=small and reduction == "mean",
            grad_amplification=32,
        )


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 40),
    st.integers(2, 40),  # one class has gradient 0, and nothing to be relative to
    st.sampled_from(REDUCTIONS),
    st.booleans(),
    st.sampled_from([0.0, 0.3]),
    st.integers(0, 9),
)
def test_cross_entropy_is_its_composite(
    n: int, c: int, reduction: str, weighted: bool, smoothing: float, seed: int
) -> None:
    from mielina.ops.loss.classes import CROSS_ENTROPY

    rng = np.random.default_rng(seed)
    target = mi.tensor(np.where(rng.random(n) < 0.2, -100, rng.integers(0, c, n)))
    weight = mi.tensor(rng.random(c)) if weighted else None
    check_composite(
        lambda x: F.cross_entropy(x, target, weight, reduction=reduction, label_smoothing=smoothing),
        [rng.standard_normal((n, c))],
        composite=lambda x: CROSS_ENTROPY.composite(x, target, weight, -100, reduction, smoothing),
        length=n * c,
    )


def test_cross_entropy_of_probabilities() -> None:
    q = RNG.dirichlet(np.ones(5), (4, 3)).transpose(0, 2, 1)
    for reduction in REDUCTIONS:
        check(
            "cross_entropy",
            [normal(4, 5, 3), q],
            {"reduction": reduction, "label_smoothing": 0.1},
            grad=reduction == "mean",
            gradgrad=False,
        )


def test_ignoring_everything_gives_nan() -> None:
    x = mi.zeros(2, 3).requires_grad_()
    y = F.cross_entropy(x, mi.tensor([-100, -100]))
    assert np.isnan(y.item())
    assert F.cross_entropy(x, mi.tensor([-100, -100]), reduction="sum").item() == 0


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_nll_loss(reduction: str) -> None:
    for shape in [(4,), (6, 4), (2, 4, 3, 2)]:
        target = RNG.integers(0, 4, shape[:1] + shape[2:] if len(shape) > 1 else ())
        kwargs = {"reduction": reduction, "ignore_index": 9}
        check(
            "nll_loss",
            [normal(*shape), target],
            kwargs,
            dtypes=("float32", "float64", "float16"),
            grad=True,
            gradgrad=False,
        )


def test_errors_of_classes() -> None:
    x = mi.zeros(3, 4)
    with pytest.raises(IndexError, match="target 4 is out of bounds for 4 classes"):
        F.cross_entropy(x, mi.tensor([0, 1, 4]))
    with pytest.raises(IndexError, match="target -1 is out of bounds"):
        F.nll_loss(x, mi.tensor([0, -1, 2]))
    with pytest.raises(ValueError, match=r"expected .*targets"):
        F.cross_entropy(x, mi.tensor([0, 1]))
    with pytest.raises(RuntimeError, match="must be int64"):
        F.cross_entropy(x, mi.tensor([0, 1, 2]).to(mi.int32))
    with pytest.raises(RuntimeError, match="weight must hold one number"):
        F.cross_entropy(x, mi.tensor([0, 1, 2]), mi.ones(3))
    with pytest.raises(RuntimeError, match="label_smoothing must be between"):
        F.cross_entropy(x, mi.tensor([0, 1, 2]), label_smoothing=1.5)
    with pytest.raises(ValueError, match="not a valid value for reduction"):
        F.cross_entropy(x, mi.tensor([0, 1, 2]), reduction="avg")


# ---- elements --------------------------------------------------------------------------------------------------------
PROBABILITY = {"binary_cross_entropy"}
ELEMENTS: list[tuple[str, dict[str, Any]]] = [
    ("mse_loss", {}),
    ("l1_loss", {}),
    ("smooth_l1_loss", {"beta": 0.7}),
    ("smooth_l1_loss", {"beta": 0.0}),
    ("huber_loss", {"delta": 0.7}),
    ("binary_cross_entropy", {}),
    ("binary_cross_entropy_with_logits", {}),
    ("kl_div", {}),
    ("kl_div", {"log_target": True}),
    ("soft_margin_loss", {}),
    ("poisson_nll_loss", {"full": True}),
    ("poisson_nll_loss", {"log_input": False}),
]


def pair(name: str, kwargs: dict[str, Any], *shape: int) -> list[Any]:
    x, t = normal(*shape) * 2, np.asarray(RNG.uniform(0.05, 0.95, shape))
    if name == "binary_cross_entropy" or kwargs.get("log_input") is False:
        x = np.asarray(RNG.uniform(0.05, 0.95, shape))
    if name in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss") or kwargs.get("log_target"):
        t = normal(*shape)
    return [x, t * 3 if name == "poisson_nll_loss" else t]


@pytest.mark.filterwarnings("ignore:reduction")
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(("name", "kwargs"), ELEMENTS)
def test_elements(name: str, kwargs: dict[str, Any], reduction: str) -> None:
    kwargs = kwargs | {"reduction": reduction}
    check(
        name,
        pair(name, kwargs, 5, 7),
        kwargs,
        dtypes=("float32", "float64", "bfloat16"),
        grad=reduction != "sum",
        gradgrad=reduction == "mean",
    )
    check(name, pair(name, kwargs, 3, 1030), kwargs, dtypes=("float32",), layouts=("contiguous", "sliced"))


def test_partial_sums_do_not_depend_on_threads() -> None:
    """Several chunks of 64 K elements."""
    check(
        "mse_loss",
        [normal(301, 701), normal(301, 701)],
        dtypes=("float32",),
        layouts=("contiguous",),
        threads=(1, 2, 7),
    )


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "huber_loss"])
def test_weights(name: str) -> None:
    x, t, w = normal(4, 5), normal(4, 5), RNG.random((4, 5))
    for reduction in REDUCTIONS:
        expected = getattr(reference, name)(x, t, reduction=reduction, weight=w)
        y = getattr(F, name)(mi.tensor(x), mi.tensor(t), reduction=reduction, weight=mi.tensor(w))
        assert np.allclose(y.numpy(), expected, rtol=1e-12)


def test_weights_of_binary_cross_entropy() -> None:
    x, t, w, p = normal(4, 5), RNG.random((4, 5)), RNG.random(5), RNG.random(5) * 3
    for reduction in REDUCTIONS:
        check_op(
            lambda x, t, w, p, **kw: F.binary_cross_entropy_with_logits(x, t, w, pos_weight=p, **kw),
            lambda x, t, w, p, **kw: reference.binary_cross_entropy_with_logits(x, t, w, pos_weight=p, **kw),
            [x, t, w, p],
            {"reduction": reduction},
            layouts=("contiguous",),
            threads=(1,),
            length=20,
            amplification=16,
            magnitude="max",
            grad=True,
        )
    y = F.binary_cross_entropy(mi.tensor(RNG.random((4, 5))), mi.tensor(t), mi.tensor(w))
    assert np.isfinite(y.item())


def test_extreme_logits_and_probabilities() -> None:
    x = mi.tensor([-1000.0, 0.0, 1000.0]).requires_grad_()
    y = F.binary_cross_entropy_with_logits(x, mi.tensor([1.0, 0.5, 1.0]), reduction="none")
    assert np.allclose(y.detach().numpy(), [1000, np.log(2), 0])
    y.sum().backward()
    assert np.allclose(x.grad.numpy(), [-1, 0, 0])
    assert np.allclose(
        F.binary_cross_entropy(mi.tensor([0.0, 1.0]), mi.tensor([1.0, 0.0]), reduction="none").numpy(), 100
    )
    assert F.kl_div(mi.tensor([-1.0]), mi.tensor([0.0]), reduction="sum").item() == 0


def test_broadcast_and_promotion() -> None:
    with pytest.warns(UserWarning, match="Using a target size"):
        y = F.mse_loss(mi.ones(3, 2), mi.zeros(2), reduction="none")
    assert y.shape == (3, 2)
    assert F.l1_loss(mi.ones(2), mi.zeros(2, dtype=mi.float64)).dtype is mi.float64
    with pytest.warns(UserWarning, match="batch size"):
        F.kl_div(mi.ones(2, 2), mi.ones(2, 2))
    assert np.isclose(F.kl_div(mi.zeros(4, 2), mi.ones(4, 2), reduction="batchmean", log_target=True).item(), 2 * np.e)
    with pytest.warns(UserWarning, match="deprecated"):
        assert F.mse_loss(mi.ones(2), mi.zeros(2), size_average=False).item() == 2
    with pytest.raises(ValueError, match="target size"):
        F.binary_cross_entropy(mi.ones(2), mi.ones(3))
    with pytest.raises(ValueError, match="Target size"):
        F.binary_cross_entropy_with_logits(mi.ones(2), mi.ones(3))
    with pytest.raises(RuntimeError, match="negative values for beta"):
        F.smooth_l1_loss(mi.ones(2), mi.ones(2), beta=-1)
    with pytest.raises(RuntimeError, match="non-positive values for delta"):
        F.huber_loss(mi.ones(2), mi.ones(2), delta=0)
    with pytest.raises(RuntimeError, match="floating dtype"):
        F.mse_loss(mi.tensor([1]), mi.tensor([2]))


def test_gaussian_nll_loss() -> None:
    x, t, v = normal(4, 5), normal(4, 5), RNG.random((4, 5)) + 0.1
    for var in (v, v[:, :1]):
        check("gaussian_nll_loss", [x, t, var], {"full": True}, layouts=("contiguous",), grad=True, gradgrad=False)
    with pytest.raises(ValueError, match="negative"):
        F.gaussian_nll_loss(mi.ones(2), mi.ones(2), mi.tensor([-1.0, 1.0]))
    with pytest.raises(ValueError, match="incorrect size"):
        F.gaussian_nll_loss(mi.ones(2, 3), mi.ones(2, 3), mi.ones(3, 2))


# ---- margins ---------------------------------------------------------------------------------------------------------
def signs(*shape: int) -> Any:
    return RNG.choice([-1.0, 1.0], shape)


MARGINS: list[tuple[str, list[Any], dict[str, Any]]] = [
    ("hinge_embedding_loss", [normal(4, 5), signs(4, 5)], {"margin": 0.5}),
    ("margin_ranking_loss", [normal(6), normal(6), signs(6)], {"margin": 0.5}),
    ("cosine_embedding_loss", [normal(6, 4), normal(6, 4), signs(6)], {"margin": 0.1}),
    ("multi_margin_loss", [normal(5, 4), RNG.integers(0, 4, 5)], {"p": 1}),
    ("multi_margin_loss", [normal(5, 4), RNG.integers(0, 4, 5)], {"p": 2, "margin": 0.5}),
    ("multilabel_soft_margin_loss", [normal(5, 4), RNG.integers(0, 2, (5, 4)).astype(float)], {}),
    ("triplet_margin_loss", [normal(5, 4), normal(5, 4), normal(5, 4)], {"swap": True}),
    ("triplet_margin_loss", [normal(5, 4), normal(5, 4), normal(5, 4)], {"p": 1.5, "margin": 2.0}),
]


@pytest.mark.parametrize(("name", "inputs", "kwargs"), MARGINS)
def test_margins(name: str, inputs: list[Any], kwargs: dict[str, Any]) -> None:
    for reduction in REDUCTIONS:
        free = inputs if name != "cosine_embedding_loss" and "hinge" not in name else None
        check(
            name,
            inputs,
            kwargs | {"reduction": reduction},
            layouts=("contiguous",),
            grad=free is not None and reduction == "mean",
            gradgrad=False,
        )


def test_margins_as_in_pytorch() -> None:
    torch = pytest.importorskip("torch")
    TF = torch.nn.functional
    x, y, t = normal(5, 4), normal(5, 4), signs(5)
    labels = np.array([[2, 0, -1, 1], [-1, 1, 2, 3], [0, 1, 2, 3], [3, -1, -1, -1], [1, 2, -1, 0]])
    w = RNG.random(4)
    cases = [
        (lambda f, x, y: f.cosine_embedding_loss(x, y, T(t), 0.1), [x, y]),
        (lambda f, x, y: f.hinge_embedding_loss(x, T(signs_of(y))), [x, y]),
        (lambda f, x: f.multilabel_margin_loss(x, T(labels)), [x]),
        (lambda f, x: f.multi_margin_loss(x, T(labels[:, 0] % 4), 2, 0.7, T(w)), [x]),
        (lambda f, x, y: f.triplet_margin_with_distance_loss(x, y, x * y, margin=0.3), [x, y]),
    ]

    def signs_of(v: Any) -> Any:
        return np.sign(v.detach().numpy())

    for call, inputs in cases:
        results = []
        for module, f in ((mi, F), (torch, TF)):
            T = module.tensor
            leaves = [module.tensor(v).requires_grad_() for v in inputs]
            out = call(f, *leaves)
            out.backward()
            results.append([out.detach().numpy(), *(v.grad.numpy() for v in leaves if v.grad is not None)])
        for a, b in zip(*results, strict=True):
            assert np.allclose(a, b, rtol=1e-9, atol=1e-12)


def test_errors_of_margins() -> None:
    x = mi.zeros(2, 3)
    with pytest.raises(ValueError, match="only p == 1 and p == 2"):
        F.multi_margin_loss(x, mi.tensor([0, 1]), p=3)
    with pytest.raises(RuntimeError, match="same dimension"):
        F.margin_ranking_loss(x, x, mi.zeros(2))
    with pytest.raises(RuntimeError, match="cosine_embedding_loss"):
        F.cosine_embedding_loss(x, x, x)
    with pytest.raises(ValueError, match="margin must be greater than 0"):
        F.triplet_margin_with_distance_loss(x, x, x, margin=0)
    with pytest.raises(RuntimeError, match="out of bounds"):
        F.multilabel_margin_loss(x, mi.tensor([[0, 5, -1], [1, -1, -1]]))


# ---- distances -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, float("inf")])
def test_distances(p: float) -> None:
    check("pairwise_distance", [normal(5, 4), normal(5, 4)], {"p": p}, grad=True, gradgrad=False)

    def ref(a: Any, b: Any, p: float) -> Any:
        return np.linalg.norm(a[..., :, None, :] - b[..., None, :, :], p, axis=-1)

    for rows in (6, 30):  # 30: the Euclidean distance goes through a product
        check_op(
            mi.cdist,
            ref,
            [normal(2, rows, 3), normal(rows + 1, 3)],
            {"p": p},
            layouts=("contiguous", "transposed"),
            threads=(1, 2),
            length=8,
            amplification=64,
            magnitude="max",
            grad=rows == 6,
            gradgrad=rows == 6 and p == 2.0,
            grad_amplification=64,
        )


def test_euclidean_by_product() -> None:
    mode = {"compute_mode": "use_mm_for_euclid_dist"}
    a, b = normal(5, 3), normal(4, 3)
    mi.testing.gradcheck(
        lambda a, b: mi.cdist(a, b, **mode), [mi.tensor(a).requires_grad_(), mi.tensor(b).requires_grad_()]
    )
    mi.testing.gradgradcheck(
        lambda a, b: mi.cdist(a, b, **mode), [mi.tensor(a).requires_grad_(), mi.tensor(b).requires_grad_()]
    )
    x = mi.tensor(a).requires_grad_()
    mi.cdist(x, x.detach(), **mode).sum().backward()  # the diagonal's distances are 0
    assert np.isfinite(x.grad.numpy()).all()
    with pytest.raises(ValueError, match="not a valid value for compute_mode"):
        mi.cdist(x, x, compute_mode="fast")
    with pytest.raises(RuntimeError, match="non-negative p"):
        mi.cdist(x, x, p=-1)
    with pytest.raises(RuntimeError, match="cdist: expected"):
        mi.cdist(x, mi.zeros(4, 2))


def test_cosine_similarity() -> None:
    for dim in (0, 1):
        check("cosine_similarity", [normal(5, 4), normal(5, 4)], {"dim": dim}, grad=True)
    assert F.cosine_similarity(mi.zeros(1, 3), mi.ones(1, 3)).item() == 0
