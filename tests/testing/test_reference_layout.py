"""The references of layout, creation, indexing and sorting against PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

RNG = np.random.default_rng(5)


def normal(*shape: int) -> Any:
    return np.asarray(RNG.standard_normal(shape))


X = normal(2, 3, 4)
CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("reshape", (X, (4, -1)), {}),
    ("reshape", (np.asarray(1.0), (1, 1)), {}),
    ("reshape", (normal(0, 3), (3, 0)), {}),
    ("view", (X, 6, 4), {}),
    ("view", (X, (-1,)), {}),
    ("flatten", (X,), {}),
    ("flatten", (X, 1), {}),
    ("flatten", (X, 0, 1), {}),
    ("flatten", (np.asarray(1.0),), {}),
    ("ravel", (X,), {}),
    ("ravel", (np.asarray(1.0),), {}),
    ("unflatten", (X, 2, (2, 2)), {}),
    ("unflatten", (X, -1, (-1, 2)), {}),
    ("squeeze", (normal(1, 3, 1),), {}),
    ("squeeze", (normal(1, 3, 1), 0), {}),
    ("squeeze", (X, 1), {}),
    ("squeeze", (normal(1, 3, 1), (0, 1, 2)), {}),
    ("squeeze", (np.asarray(1.0),), {}),
    ("unsqueeze", (X, 0), {}),
    ("unsqueeze", (X, -1), {}),
    ("unsqueeze", (np.asarray(1.0), 0), {}),
    ("expand", (normal(3, 1), 2, -1, 4), {}),
    ("expand", (normal(1, 3), (5, 3)), {}),
    ("expand", (np.asarray(1.0), 2, 3), {}),
    ("broadcast_to", (normal(3, 1), (2, 3, 4)), {}),
    ("permute", (X, (2, 0, 1)), {}),
    ("permute", (X, (-1, 0, 1)), {}),
    ("transpose", (X, 0, -1), {}),
    ("swapaxes", (X, 1, 2), {}),
    ("t", (normal(2, 3),), {}),
    ("t", (normal(3),), {}),
    ("t", (np.asarray(1.0),), {}),
    ("movedim", (X, 0, 2), {}),
    ("movedim", (X, (0, 1), (2, 0)), {}),
    ("flip", (X, (0,)), {}),
    ("flip", (X, (0, -1)), {}),
    ("flip", (X, ()), {}),
    ("roll", (X, 2), {}),
    ("roll", (X, 1, 0), {}),
    ("roll", (X, (1, -5), (0, 2)), {}),
    ("roll", (normal(0, 3), 1, 0), {}),
    ("repeat", (X, 2, 1, 3), {}),
    ("repeat", (normal(3), 2, 2), {}),
    ("repeat", (X, 0, 1, 1), {}),
    ("tile", (X, (2,)), {}),
    ("tile", (normal(3), (2, 2)), {}),
    ("tile", (np.asarray(1.0), (2,)), {}),
    ("repeat_interleave", (X, 2), {}),
    ("repeat_interleave", (X, 3), {"dim": 1}),
    ("repeat_interleave", (X, np.array([0, 2, 1])), {"dim": 1}),
    ("narrow", (X, 2, 1, 2), {}),
    ("narrow", (X, 1, -2, 2), {}),
    ("narrow", (X, 0, 1, 0), {}),
    ("select", (X, 1, 2), {}),
    ("select", (X, -1, -1), {}),
    ("unbind", (X,), {}),
    ("unbind", (X, -1), {}),
    ("split", (X, 2, 2), {}),
    ("split", (normal(7), 3), {}),
    ("split", (normal(7), [1, 0, 6]), {}),
    ("split", (normal(0, 2), 3), {}),
    ("chunk", (normal(7), 3), {}),
    ("chunk", (normal(4), 3), {}),
    ("chunk", (X, 2, -1), {}),
    ("chunk", (normal(0, 2), 3), {}),
    ("cat", ([X, normal(2, 1, 4)], 1), {}),
    ("cat", ([X, np.arange(24).reshape(2, 3, 4)],), {}),
    ("cat", ([normal(0, 3), normal(2, 3)],), {}),
    ("cat", ([np.arange(3), np.arange(3).astype(np.int8)],), {}),
    ("stack", ([X, X * 2],), {}),
    ("stack", ([X, X * 2], -1), {}),
    ("stack", ([np.asarray(1.0), np.asarray(2.0)],), {}),
    ("hstack", ([X, X],), {}),
    ("hstack", ([normal(2), normal(3)],), {}),
    ("vstack", ([normal(3), normal(2, 3)],), {}),
    ("dstack", ([normal(2, 3), normal(2, 3)],), {}),
    ("dstack", ([normal(3), normal(3)],), {}),
    ("column_stack", ([normal(3), normal(3, 2)],), {}),
    ("column_stack", ([np.asarray(1.0), np.asarray(2.0)],), {}),
    ("atleast_1d", (np.asarray(1.0),), {}),
    ("atleast_1d", (X,), {}),
    ("atleast_2d", (np.asarray(1.0),), {}),
    ("atleast_2d", (normal(3),), {}),
    ("meshgrid", (normal(2), normal(3)), {"indexing": "ij"}),
    ("meshgrid", (normal(2), normal(3), np.asarray(1.0)), {"indexing": "xy"}),
    ("cartesian_prod", (normal(2), normal(3)), {}),
    ("cartesian_prod", (normal(2),), {}),
    ("diag", (normal(3), 1), {}),
    ("diag", (normal(3, 4), -1), {}),
    ("diag", (normal(3, 4),), {}),
    ("diagonal", (X, 1, 0, 2), {}),
    ("diagonal", (normal(3, 4),), {}),
    ("diagonal", (X, -1, 1, -1), {}),
    ("tril", (X,), {}),
    ("tril", (X, -1), {}),
    ("triu", (X, 1), {}),
    ("triu", (normal(4, 2), -2), {}),
    ("tril_indices", (3, 4), {}),
    ("tril_indices", (4, 3, -1), {}),
    ("triu_indices", (3, 4, 1), {}),
    ("triu_indices", (0, 4), {}),
    ("diff", (X,), {}),
    ("diff", (X, 2, 1), {}),
    ("diff", (normal(5) > 0,), {}),
    ("diff", (np.arange(5) ** 2,), {}),
    ("diff", (normal(5),), {"prepend": normal(2), "append": normal(1)}),
    ("diff", (normal(1),), {}),
    ("diff", (normal(2), 5), {}),
    ("clone", (X,), {}),
    ("full", ((2, 3), 2.5), {"dtype": np.float64}),
    ("full", ((2, 3), 2), {}),
    ("full", ((), True), {}),
    ("full", ((0,), 1.5), {"dtype": np.int64}),
    ("full_like", (np.arange(3), 2.7), {}),
    ("full_like", (X, 2), {}),
    ("full_like", (X, 2), {"dtype": np.int8}),
    ("zeros", (2, 3), {"dtype": np.float64}),
    ("zeros", ((2, 0),), {"dtype": np.int32}),
    ("ones", ((),), {"dtype": np.float64}),
    ("ones", (2,), {}),
    ("zeros_like", (np.arange(3),), {}),
    ("ones_like", (X,), {}),
    ("ones_like", (X,), {"dtype": np.bool_}),
    ("arange", (5,), {}),
    ("arange", (2, 7, 2), {}),
    ("arange", (0.0, 1.0, 0.3), {"dtype": np.float64}),
    ("arange", (5, 2, -1), {}),
    ("arange", (5, 5), {}),
    ("arange", (1, 2.5, 0.5), {}),
    ("arange", (3,), {"dtype": np.float64}),
    ("linspace", (0, 1, 7), {"dtype": np.float64}),
    ("linspace", (3, -3, 1), {"dtype": np.float64}),
    ("linspace", (3, -3, 0), {}),
    ("logspace", (-1, 2, 5), {"dtype": np.float64}),
    ("logspace", (0, 3, 4, 2.0), {"dtype": np.float64}),
    ("eye", (3,), {}),
    ("eye", (2, 4), {"dtype": np.float64}),
    ("eye", (0,), {"dtype": np.int64}),
]


@pytest.mark.parametrize(("name", "args", "kwargs"), CALLS, ids=[f"{i}-{c[0]}" for i, c in enumerate(CALLS)])
def test_layout(name: str, args: Any, kwargs: Any, agree: Any) -> None:
    agree(name, *args, **kwargs)


def test_indexing(agree: Any) -> None:
    x, flat = normal(4, 5, 3), RNG.integers(0, 4, (2, 5, 2))
    for dim, size in ((0, 4), (1, 5), (-1, 3)):
        index = RNG.integers(0, size, (3, 2, 3))
        agree("gather", x, dim, index)
        agree("gather", np.arange(60).reshape(4, 5, 3), dim, index)
        agree("index_select", x, dim, np.array([0, 2, 2]))
        agree(
            "index_add",
            x,
            dim,
            np.array([0, 2, 2]),
            np.moveaxis(normal(3, *np.delete(x.shape, dim)), 0, dim).copy(),
            alpha=0.5,
        )
        agree("scatter_add", x, dim, index, normal(3, 5, 3))
        for reduce in ("add", "multiply"):
            agree("scatter", x, dim, index, 2.5, reduce=reduce)
            agree("scatter", x, dim, index, normal(3, 5, 3), reduce=reduce)
        agree("scatter", x, dim, index, 2.5)
    agree("scatter", x, 1, np.stack([np.stack([RNG.permutation(5)[:2]] * 3, 1)] * 4), normal(4, 2, 3))
    agree("gather", np.asarray(2.0), 0, np.asarray(0))
    agree("gather", x, 0, np.zeros((0, 2, 3), np.int64))
    agree("index_select", np.asarray(2.0), 0, np.array([0]))
    agree("index_add", np.arange(6).reshape(2, 3), 1, np.array([2, 2]), np.ones((2, 2), np.int64), alpha=3)
    agree("take_along_dim", x, RNG.integers(0, 5, (1, 2, 3)), dim=1)
    agree("take_along_dim", x[:, :1], RNG.integers(0, 4, (2, 5, 1)), dim=0)
    agree("take_along_dim", x, flat)
    agree("take", x, np.array([[0, -1], [7, 59]]))
    agree("masked_select", x, x > 0)
    agree("masked_select", x[0], normal(4, 1, 1) > 0)
    for y in (x > 0, np.asarray(1.0), np.asarray(0.0), normal(0, 3), np.array([0, 2, 0, np.nan, -0.0])):
        agree("nonzero", y)
        agree("argwhere", y)
        agree("nonzero", y, as_tuple=True)


def test_embedding(agree: Any) -> None:
    weight, index = normal(7, 3), RNG.integers(0, 7, (2, 4))
    agree("embedding", index, weight)
    agree("embedding", np.asarray(3), weight)
    agree("embedding", np.zeros((0, 2), np.int64), weight)
    for norm_type in (1.0, 2.0):
        agree("embedding", np.arange(7), weight.copy(), max_norm=1.0, norm_type=norm_type, rtol=1e-6)
    flat = RNG.integers(0, 7, 9)
    for mode in ("sum", "mean", "max"):
        agree("embedding_bag", index, weight, mode=mode)
        agree("embedding_bag", flat, weight, np.array([0, 3, 3, 7]), mode=mode)
        agree("embedding_bag", flat, weight, np.array([0, 3, 9]), mode=mode, include_last_offset=True)
        agree("embedding_bag", np.array([1, 2, 2, 1, 2]), weight, np.array([0, 2, 4]), mode=mode, padding_idx=2)
    agree("embedding_bag", index, weight, mode="sum", per_sample_weights=normal(2, 4))


TIES = np.array([[3.0, 1.0, 3.0, 2.0, 1.0], [np.nan, np.inf, -np.inf, 0.0, np.nan], [2.0, 2.0, 2.0, 2.0, 2.0]])


def test_sorting(agree: Any) -> None:
    for x in (X, TIES, TIES[:1].astype(np.int8), np.asarray(2.0), normal(0, 3)):
        for descending in (False, True):
            for dim in (0, -1):
                agree("sort", x, dim=dim, descending=descending, stable=True)
                agree("argsort", x, dim=dim, descending=descending, stable=True)
        agree("msort", x)
    for largest in (False, True):
        for dim, k in ((0, 2), (1, 3), (-1, 0), (2, 4)):
            agree("topk", X, k, dim, largest)
        agree("topk", TIES, 4, 1, largest, pick=1)
    agree("topk", np.asarray(2.0), 1)


def test_order_statistics(agree: Any) -> None:
    for name in ("median", "mode"):
        for keepdim in (False, True):
            for dim in (0, 1, -1):
                agree(name, X, dim, keepdim)
        agree(name, np.asarray(2.0), 0)
    agree("median", X)
    agree("median", TIES)
    agree("median", np.asarray(2.0))
    agree("median", TIES, 1, pick=1)
    agree("mode", RNG.integers(0, 3, (4, 7)), 1)
    agree("mode", RNG.integers(0, 3, (4, 7)) * 1.0, 0)
    for q in (0.3, np.array([0.0, 0.25, 0.9, 1.0])):
        for method in ("linear", "lower", "higher", "midpoint", "nearest"):
            agree("quantile", X, q, interpolation=method)
            agree("quantile", X, q, dim=1, keepdim=True, interpolation=method)
        agree("quantile", TIES, q, dim=1)


def test_search(agree: Any) -> None:
    edges, rows, values = np.sort(normal(6)), np.sort(normal(2, 6)), normal(2, 4)
    values[0, 0], values[1, 1] = edges[2], np.nan
    for right in (False, True):
        agree("searchsorted", edges, values, right=right)
        agree("searchsorted", rows, values, right=right, out_int32=True)
        agree("bucketize", values, edges, right=right)
    agree("searchsorted", rows, values, side="right")
    agree("searchsorted", edges, np.asarray(0.3))
    shuffled = normal(2, 6)
    agree("searchsorted", shuffled, values, sorter=np.argsort(shuffled))
    agree("bucketize", np.arange(5), np.array([1, 3]), out_int32=True)
    for invert in (False, True):
        agree("isin", RNG.integers(0, 5, (3, 4)), np.array([1, 3]), invert=invert)
    agree("isin", X, normal(0))


def test_unique(agree: Any) -> None:
    x = RNG.integers(0, 3, (4, 3))
    for y in (x, x * 0.5, np.asarray(2), np.zeros((0,), np.int64), np.array([np.nan, 1, np.nan])):
        agree("unique", y)
        agree("unique", y, return_inverse=True, return_counts=True)
        agree("unique_consecutive", y)
        agree("unique_consecutive", y, return_inverse=True, return_counts=True)
    for dim in (0, 1):
        agree("unique", x[[0, 1, 0, 1]], dim=dim, return_inverse=True, return_counts=True)
        agree("unique_consecutive", x[[0, 0, 1, 1]], dim=dim, return_inverse=True, return_counts=True)
