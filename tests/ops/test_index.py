"""Reading and writing by index: against NumPy, PyTorch and central differences; nothing depends on the thread count."""

from __future__ import annotations

from typing import Any

import mielina as mi
import mielina.nn.functional as F
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mielina.testing import check_op, gradcheck, gradgradcheck, reference

RNG = np.random.default_rng(0)
X = np.arange(120.0).reshape(2, 3, 4, 5)
INDEX = RNG.integers(0, 2, (2, 3, 4, 5))

KEYS = [
    "1", "-1", "slice(1, None)", "slice(None, None, 2)", "None", "...", "(0, 1)", "(..., 0)", "(slice(None), None, 1)",
    "[0, 1]", "[1, 0, 0]", "([0, 1], [1, 2])", "([0, 1], slice(None), [0, 1])", "(0, slice(None), [0, 1])",
    "(slice(None), [0, 1])", "(slice(None), [0, 2], [1, 3])", "(slice(None), [0, 2], slice(None), [1, 3])",
    "([[0], [1]], [0, 2])", "(None, [0, 1])", "(..., [0, 1])", "([0, 1], None, [0, 1])", "True", "(True, 0)",
    "np.array([1, 0])", "(1, np.array([1, 0]), slice(0, 3, 2))", "np.array([True, False])", "(0, [True, False, True])",
    "(slice(None), np.array([True, False, True]))", "[]", "(slice(None), [])", "(slice(1, None), [0, 1], 1)",
    "slice(5, 9)", "(1, ..., 2)", "[-1]", "(slice(-2, None), slice(None, -1))", "np.int64(1)", "()",
]  # fmt: skip


def run(torch: Any, expression: str, gradient: bool, fresh: Any = None) -> None:
    """The expression (or its gradient) with m, t and the index tensors I, J, K must agree with PyTorch."""
    found = []
    for m in (mi, torch):
        x = m.tensor(X).requires_grad_(gradient)
        names = {"m": m, "np": np, "t": x * 1 if gradient else x.clone(), "F": m.nn.functional}
        names |= {"I": m.tensor(INDEX), "J": m.tensor([3, 0, 3]), "K": m.tensor([1, 0])}
        y = fresh(names) if fresh else eval(expression, names)  # noqa: S307
        ys = list(y) if isinstance(y, (list, tuple)) else [y]
        if gradient:
            ys = [z for z in ys if z.requires_grad]
            if ys:
                sum((z * m.arange(1, z.numel() + 1, dtype=z.dtype).reshape(z.shape)).sum() for z in ys).backward()  # type: ignore[union-attr]
            ys = [x.grad if ys else m.zeros(1)]
        found.append([z.detach() for z in ys])
    assert len(found[0]) == len(found[1])
    for a, b in zip(*found):
        assert str(a.dtype).split(".")[-1] == str(b.dtype).split(".")[-1]
        assert a.shape == tuple(b.shape)
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-12)


@pytest.mark.parametrize("key", KEYS)
def test_keys(key: str) -> None:
    torch = pytest.importorskip("torch")

    def assigned(n: dict[str, Any]) -> Any:
        n["t"][eval(key, n)] = 7  # noqa: S307
        return n["t"]

    def doubled(n: dict[str, Any]) -> Any:
        k = eval(key, n)  # noqa: S307
        n["t"][k] = n["t"][k].clone() * 2
        return n["t"]

    run(torch, f"t[{key}]", False)
    run(torch, f"t[{key}]", True)
    for fresh in (assigned, doubled):
        run(torch, "", False, fresh)
        run(torch, "", True, fresh)


SAME_AS_TORCH = [
    "t.permute(3, 2, 1, 0)[m.tensor([1, 0]), :, m.tensor([2, 2])]",
    "t.permute(3, 2, 1, 0)[(t > 50).permute(3, 2, 1, 0)]", "t[t > 50]", "t[m.tensor(1)]",
    "t[m.tensor([1, 0], dtype=m.int32)]", "t[:, m.tensor([[True, False, True, True]] * 3)]",
    "t[m.tensor([[0, 1], [1, 1]])]", "t.gather(1, I)", "t.gather(3, I[:1, :, :, :2])", "t.scatter(1, I, t * 2)",
    "t.scatter(1, I, 5.)", "t.scatter_add(1, I, t)", "t.index_select(2, J)",
    "t.index_add(2, J, t[:, :, :3], alpha=2)", "t.index_copy(2, K, t[:, :, :2] * 2)", "t.index_fill(2, J, 9)",
    "t.masked_fill(t > 50, 3)", "t.masked_fill(t > 50, m.tensor(3., dtype=m.float64))", "t.masked_select(t > 50)",
    "m.masked_select(t, m.tensor([True, False, True, False, True]))", "t.masked_scatter(t > 50, t * 3)",
    "t.take(I * 30)", "t.take(-I - 1)", "m.take_along_dim(t, I, 3)", "m.take_along_dim(t, I[:1], 1)",
    "m.take_along_dim(t, I.ravel())", "m.nonzero(t > 100)", "m.nonzero(t > 100, as_tuple=True)", "m.argwhere(t > 100)",
    "m.nonzero(t[0, 0, 0, 1])", "t.index_put((K, K), m.tensor(5., dtype=m.float64))",
    "t.index_put((K, K), m.tensor(5., dtype=m.float64), accumulate=True)",
    "t.index_put((m.tensor([0, 0]),), t[:1], accumulate=True)", 't.scatter_reduce(1, I, t, "amax")',
    't.scatter_reduce(1, I, t, "amin")', 't.scatter_reduce(1, I, t, "mean")',
    't.scatter_reduce(1, I, t, "sum", include_self=False)', 't.scatter_reduce(1, I, t, "mean", include_self=False)',
    't.scatter_reduce(1, I, t / 50, "prod")', 't.long().scatter_reduce(1, I, t.long(), "mean")',
    't.long().scatter_reduce(1, I, t.long(), "amin", include_self=False)', "t.clone().masked_fill_(t > 50, 3)",
    "t.clone().index_add_(2, J, t[:, :, :3])", "t.clone().scatter_(1, I, t)", "t.clone().scatter_add_(1, I, t)",
    "t.clone().index_fill_(1, K, 2)", "t.clone().index_copy_(1, K, t[:, 1:])", "t.clone().index_put_((K, K), t[0, 0])",
    "t.clone().masked_scatter_(t > 50, t)", "t.bool().scatter_add(1, I, t.bool())",
    "t.int().index_add(0, m.zeros(2, dtype=m.int64), t.int())", "F.embedding(I, t[0, 0])",
    "F.embedding(I, t[0, 0], padding_idx=1)", "F.embedding(I, t[0, 0], scale_grad_by_freq=True)", "F.one_hot(I)",
    "F.one_hot(I, 4)", 'F.embedding_bag(I[0, 0], t[0, 0], mode="sum")',
    'F.embedding_bag(I[0, 0], t[0, 0], padding_idx=0)',
    'F.embedding_bag(I[0, 0].ravel(), t[0, 0], m.tensor([0, 3, 3, 7]), mode="max")',
    'F.embedding_bag(I[0, 0].ravel(), t[0, 0], m.tensor([0, 3, 3, 7, 20]), mode="sum", include_last_offset=True)',
    'F.embedding_bag(I[0, 0], t[0, 0], mode="sum", per_sample_weights=t[0, 1])', "[*t]", "t.where(t > 3, t * 0)",
    "m.where(t > 100)",
]  # fmt: skip


@pytest.mark.parametrize("gradient", [False, True])
@pytest.mark.parametrize("expression", SAME_AS_TORCH)
def test_as_in_torch(expression: str, gradient: bool) -> None:
    run(pytest.importorskip("torch"), expression, gradient)


ERRORS = [
    ("t[5]", IndexError), ("t[::-1]", ValueError), ("t[0, 0, 0, 0, 0]", IndexError), ("t[[7]]", IndexError),
    ("t[[0, 1], [0, 1, 2]]", IndexError), ("t[1.5]", (IndexError, TypeError)), ("t[m.tensor([0.5])]", IndexError),
    ("t[m.tensor([True, False, True])]", IndexError),
    ("t.gather(1, I + 9)", (IndexError, RuntimeError)), ("t.gather(1, I - 1)", (IndexError, RuntimeError)),
    ("t.gather(1, I[0])", RuntimeError), ("t.gather(0, m.cat([I, I], 1))", RuntimeError),
    ("t.scatter(1, I + 9, 1.)", (IndexError, RuntimeError)), ("t.scatter(1, I, t.float())", RuntimeError),
    ("t.index_select(2, J + 5)", (IndexError, RuntimeError)),
    ("t.index_select(0, m.tensor([-1]))", (IndexError, RuntimeError)),
    ("t.index_select(0, I)", (IndexError, RuntimeError)), ("t.index_add(2, J, t)", (IndexError, RuntimeError)),
    ("t.take(I + 120)", (IndexError, RuntimeError)), ("t.masked_fill(t, 1)", RuntimeError),
    ("t.masked_fill(t > 1, t)", RuntimeError), ("t.masked_select(t)", RuntimeError),
    ("t.masked_scatter(t >= 0, t[0])", RuntimeError), ("F.one_hot(I, 1)", RuntimeError),
    ("F.embedding(I + 9, t[0, 0])", (IndexError, RuntimeError)), ("F.embedding(I, t)", RuntimeError),
    ("t.index_put((I + 9,), t[0, 0, 0, 0])", IndexError), 
    ("F.embedding_bag(I[0, 0], t[0, 0], m.tensor([0]))", ValueError),
    ("F.embedding_bag(I[0, 0, 0], t[0, 0], m.tensor([1]))", (ValueError, RuntimeError)),
    ("iter(t[0, 0, 0, 0])", TypeError),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "kind"), ERRORS)
def test_errors(expression: str, kind: Any) -> None:
    torch = pytest.importorskip("torch")
    for m in (mi, torch):
        names = {"m": m, "t": m.tensor(X), "I": m.tensor(INDEX), "J": m.tensor([3, 0, 3]), "F": m.nn.functional}
        with pytest.raises(kind):
            eval(expression, names)  # noqa: S307


def test_bad_indices_leave_memory_alone() -> None:
    x = mi.zeros(4)
    for index in (4, -5, 2**62, -(2**62)):
        with pytest.raises(IndexError):
            x.index_put_((mi.tensor([index]),), mi.tensor(1.0))
        with pytest.raises(RuntimeError):
            x.scatter_(0, mi.tensor([index]), 1.0)
    assert x.tolist() == [0, 0, 0, 0]


Y = RNG.standard_normal((5, 7, 33))
PLACES = RNG.integers(0, 5, (9, 7, 33))


@pytest.mark.parametrize(
    ("fn", "expected", "inputs", "kwargs"),
    [
        (lambda x, i: mi.gather(x, 0, i), lambda x, i: reference.gather(x, 0, i), [Y, PLACES], {}),
        (lambda x, i, s: mi.scatter_add(x, 0, i, s), lambda x, i, s: reference.scatter_add(x, 0, i, s),
         [Y, PLACES, RNG.standard_normal((9, 7, 33))], {"length": 9, "magnitude": "abs"}),
        (lambda x, i: mi.index_select(x, 0, i), lambda x, i: reference.index_select(x, 0, i), [Y, PLACES[:, 0, 0]], {}),
        (lambda x, i: x[i, :, i], lambda x, i: x[i, :, i], [Y, PLACES[:, 0, 0]], {}),
        (lambda w, i: F.embedding(i, w), lambda w, i: reference.embedding(i, w), [Y[0], PLACES[:, 0]],
         {"dtypes": ("float32", "bfloat16")}),
        (lambda x, m: mi.masked_select(x, m), reference.masked_select, [Y, Y > 0.3], {}),
        (lambda x, m: mi.masked_fill(x, m, 2.0), lambda x, m: np.where(m, 2.0, x), [Y, Y > 0.3], {}),
    ],
)  # fmt: skip
def test_check_op(fn: Any, expected: Any, inputs: Any, kwargs: dict[str, Any]) -> None:
    layouts = ("contiguous", "transposed", "sliced")  # expanded masks and indices are in the tests above
    check_op(fn, expected, inputs, **{"dtypes": ("float32", "float16"), "layouts": layouts, **kwargs})


def test_gradients() -> None:
    x = mi.tensor(RNG.standard_normal((3, 4)), requires_grad=True)
    s = mi.tensor(RNG.standard_normal((3, 4)), requires_grad=True)
    i = mi.tensor(RNG.integers(0, 3, (3, 4)))
    j = mi.tensor([2, 0, 2])

    def written(x: mi.Tensor, s: mi.Tensor) -> mi.Tensor:
        y = x * s
        y[1] = s[0] * s[2]
        y[:, [0, 2]] = x[:, [3, 3]] * s[:, :2]
        y[y.detach() > 0.5] *= 2
        return y * y

    for f in (
        lambda x, s: mi.gather(x * x, 0, i), lambda x, s: mi.scatter(x, 0, mi.tensor([[0, 1, 2, 0]]), s) ** 2,
        lambda x, s: mi.scatter_add(x, 0, i, s) ** 2, lambda x, s: mi.index_select(x, 0, j) ** 2,
        lambda x, s: mi.index_add(x, 0, j, s) ** 2, lambda x, s: x[j, :, None] * s[j, :, None],
        lambda x, s: x[[0, 2, 2], [1, 1, 1]] ** 3, lambda x, s: mi.index_put(x, (j,), s, accumulate=True) ** 2,
        lambda x, s: mi.take(x, i) ** 2, lambda x, s: x.masked_fill(i > 1, 3.0) ** 2, written,
        lambda x, s: mi.scatter_reduce(x, 0, i, s, "mean") ** 2,
        lambda x, s: mi.scatter_reduce(x, 0, i, s, "amax") ** 2,
        lambda x, s: F.embedding(j, x) ** 2, lambda x, s: mi.index_fill(x, 1, j, s[0, 0]) ** 2,
    ):  # fmt: skip
        gradcheck(f, [x, s])
        gradgradcheck(f, [x, s])
    gradcheck(lambda x, s: mi.scatter_reduce(x, 0, i, s, "prod"), [x, s])
    zeros = mi.tensor(np.where(RNG.random((3, 4)) < 0.5, 0.0, s.detach().numpy()), requires_grad=True)
    gradcheck(lambda x, s: mi.scatter_reduce(x, 0, i, s, "prod"), [x, zeros])


@given(st.integers(1, 300), st.integers(1, 200), st.integers(1, 40), st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_scatter_does_not_depend_on_threads(rows: int, width: int, bound: int, seed: int) -> None:
    """Whichever way the work is shared out (by columns or by destination), each sum has one order."""
    rng = np.random.default_rng(seed)
    rows *= 200 // width + 1
    src, index = (
        mi.tensor(rng.standard_normal((rows, width)).astype(np.float32)),
        mi.tensor(rng.integers(0, bound, rows)),
    )
    element = mi.tensor(rng.integers(0, width, (rows, width)))
    before, results = mi.get_num_threads(), []
    try:
        for threads in (1, 2, 7):
            mi.set_num_threads(threads)
            results.append(
                [
                    mi.zeros(bound, width).index_add(0, index, src).numpy(),
                    mi.zeros(rows, width).scatter(1, element, src).numpy(),
                    mi.zeros(width).index_put((element,), src, accumulate=True).numpy(),
                ]
            )
    finally:
        mi.set_num_threads(before)
    expected = np.zeros((bound, width))
    np.add.at(expected, index.numpy(), src.double().numpy())
    # n additions in f32, each rounding a partial sum of about sqrt(n): a random walk of n eps / 2.
    np.testing.assert_allclose(results[0][0], expected, rtol=0, atol=4 * rows * 2.0**-24 + 1e-6)
    for other in results[1:]:
        for a, b in zip(results[0], other):
            assert np.array_equal(a, b)


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_keys_as_in_numpy(data: st.DataObject) -> None:
    """Random keys of ints, slices and one advanced index, where NumPy and PyTorch agree."""
    shape = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    x = np.arange(np.prod(shape)).reshape(shape)
    key: list[Any] = []
    advanced = data.draw(st.integers(0, len(shape)))
    for d, n in enumerate(shape):
        if d == advanced:
            key.append(np.array(data.draw(st.lists(st.integers(-n, n - 1), min_size=1, max_size=5))))
        elif advanced < len(shape) or data.draw(st.booleans()):
            a, b = data.draw(st.integers(-7, 7)), data.draw(st.integers(-7, 7))
            key.append(slice(a, b, data.draw(st.integers(1, 3))))
        else:
            key.append(data.draw(st.integers(-n, n - 1)))
    for at in sorted(data.draw(st.sets(st.integers(0, len(key)), max_size=2)), reverse=True):
        key.insert(at, None)
    t = mi.tensor(x)
    assert np.array_equal(t[tuple(key)].numpy(), x[tuple(key)])
    x[tuple(key)] = -1
    t[tuple(key)] = -1
    assert np.array_equal(t.numpy(), x)


def test_large_masks() -> None:
    x = RNG.standard_normal(200_003)
    t = mi.tensor(x)
    assert np.array_equal(t[t > 0.5].numpy(), x[x > 0.5])
    assert np.array_equal(mi.nonzero(t > 0.5).numpy()[:, 0], np.nonzero(x > 0.5)[0])


def test_embedding_renorm_and_contains() -> None:
    torch = pytest.importorskip("torch")
    w = RNG.standard_normal((5, 8)) * 3
    for norm_type in (2.0, 1.0, float("inf")):
        a, b = mi.tensor(w), torch.tensor(w)
        i = [0, 2, 2]
        x, y = (
            F.embedding(mi.tensor(i), a, None, 1.5, norm_type),
            torch.nn.functional.embedding(torch.tensor(i), b, None, 1.5, norm_type),
        )
        np.testing.assert_allclose(x.numpy(), y.numpy(), rtol=1e-6)
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-6)
    assert 3 in mi.arange(5) and 7 not in mi.arange(5)


def test_replayed_with_bad_indices() -> None:
    """A recorded step cannot check its indices again: it must not leave the tensor's memory."""
    x, i = mi.arange(8.0), mi.tensor([1, 2])
    y = mi.zeros(2)

    def step() -> None:
        y.copy_(x[i])
        x.index_add_(0, i, y)

    replay = mi.capture(step)
    replay()
    i.copy_(mi.tensor([10**9, -(10**9)]))
    replay()
    assert y.shape == (2,) and x.shape == (8,)


@pytest.mark.parametrize("place", [0, 4095, 65535, 65536, 69998, 69999])
def test_bounds_of_many_indices(place: int) -> None:
    """Long indices are looked through on all threads: one wrong number is found wherever it stands."""
    index = np.random.default_rng(0).integers(0, 50, 70000)
    x = mi.tensor(np.arange(50.0))
    assert np.array_equal(mi.gather(x, 0, mi.tensor(index)).numpy(), index)
    for wrong in (50, -51, 1 << 40, -1):
        bad = index.copy()
        bad[place] = wrong
        with pytest.raises(RuntimeError, match=f"index {wrong} is out of bounds"):
            mi.gather(x, 0, mi.tensor(bad))
        with pytest.raises(RuntimeError, match="out of bounds"):
            x.scatter_add(0, mi.tensor(bad), mi.zeros(70000).to(mi.float64))


@pytest.mark.parametrize("shape", [(), (70001,), (3, 5), (257, 513), (2, 1, 300), (40, 3, 1), (5, 0)])
def test_nonzero_places(shape: tuple[int, ...]) -> None:
    for share in (0.0, 0.3, 1.0):
        m = np.random.default_rng(0).random(shape) < share
        if shape:
            e = np.argwhere(m)
        else:
            e = np.zeros((int(m), 0), np.int64)
        y = mi.nonzero(mi.tensor(m)).numpy()
        assert y.shape == e.shape and np.array_equal(y, e)
        x = np.arange(m.size).reshape(shape)
        assert np.array_equal(mi.tensor(x)[mi.tensor(m)].numpy(), x[m])


def test_long_rows_of_indices() -> None:
    """Along rows, past the pieces that are looked up together; repeated places add up in order."""
    x = RNG.standard_normal((3, 150)).astype(np.float32)
    i = RNG.integers(0, 150, (3, 131))
    assert np.array_equal(mi.gather(mi.tensor(x), 1, mi.tensor(i)).numpy(), np.take_along_axis(x, i, 1))
    assert np.array_equal(mi.take(mi.tensor(x), mi.tensor(i - 130)).numpy(), np.take(x, i - 130))
    e = x.copy()
    for r in range(3):
        for j in range(131):
            e[r, i[r, j]] += x[r, j]
    assert np.array_equal(mi.tensor(x).scatter_add(1, mi.tensor(i), mi.tensor(x[:, :131].copy())).numpy(), e)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "float64"])
def test_rows_of_every_width(dtype: str) -> None:
    """Rows are moved as two overlapping pieces or by vectors, 64 at a time: read, assigned and added to."""
    rng = np.random.default_rng(1)
    for width in (*range(1, 18), 31, 32, 33, 63, 64, 65, 100, 1030):
        x, v = (rng.integers(0, 100, (n, width + 3)).astype(dtype) for n in (37, 150))
        i, distinct = rng.integers(0, 37, (150, 2)), rng.permutation(37)[:20]
        tx, ti = mi.tensor(x), mi.tensor(i)
        for columns in (slice(0, width), slice(1, width + 1)):
            for k in (i[:, 0], i[:70, 1], i[:1, 0]):
                e = x[:, columns][k]
                assert np.array_equal(tx[:, columns][mi.tensor(k)].numpy(), e)
                assert np.array_equal(mi.index_select(tx[:, columns].T, 1, mi.tensor(k)).numpy(), e.T)
            assert np.array_equal(mi.index_select(tx[:, columns], 0, ti[:, 1]).numpy(), x[:, columns][i[:, 1]])
            y, e = mi.tensor(x), x.copy()
            y[:, columns][mi.tensor(distinct)] = mi.tensor(v[:20, :width].copy())
            e[distinct, columns] = v[:20, :width]
            y[:, columns].index_add_(0, ti[:, 0], mi.tensor(v)[:, columns])
            np.add.at(e[:, columns], i[:, 0], v[:, columns])
            assert np.array_equal(y.numpy(), e)


@pytest.mark.parametrize("shape", [(500, 10), (10, 500), (3, 7, 65), (2, 64, 33), (1, 1), (40000, 3), (3, 40000)])
def test_elements_in_every_order(shape: tuple[int, ...]) -> None:
    """gather, scatter and scatter_add along each axis, with indices that lie together, apart, and in another order."""
    rng = np.random.default_rng(2)
    x = rng.integers(0, 1000, shape).astype(np.float32)
    for axis in range(len(shape)):
        i = rng.integers(0, shape[axis], shape)
        e = np.take_along_axis(x, i, axis)
        where = list(np.indices(shape))
        where[axis] = i
        added = np.zeros(shape)
        np.add.at(added, tuple(where), x)
        last = np.zeros(shape, np.float32)
        last[tuple(where)] = x  # of several the last one, as in the loop over C order
        for index in (
            mi.tensor(i),
            mi.tensor(np.stack([i, i], -1))[..., 1],
            mi.tensor(i.T.copy()).permute(*range(i.ndim)[::-1]),
        ):
            assert np.array_equal(mi.gather(mi.tensor(x), axis, index).numpy(), e)
            y = mi.zeros(shape).scatter_add(axis, index, mi.tensor(x))
            assert np.array_equal(y.numpy(), added)
            assert np.array_equal(mi.zeros(shape).scatter(axis, index, mi.tensor(x)).numpy(), last)
            assert np.array_equal(mi.zeros(shape).scatter_(axis, index, mi.tensor(x)).numpy(), last)


def test_wrong_indices_found_while_reading() -> None:
    """Reading checks indices as it goes: wherever a wrong one stands, in whatever form, and with nothing to read."""
    x = mi.tensor(np.arange(24.0).reshape(4, 6))
    for n in (1, 63, 64, 65, 1000):
        for at in {0, n // 2, n - 1}:
            for wrong in (4, -5, 1 << 40, -(1 << 62)):
                k = np.zeros(n, np.int64)
                k[at] = wrong
                for f in (
                    lambda i: x[i], lambda i: x[i, i], lambda i: x[:, 2:][i], lambda i: mi.index_select(x, 0, i),
                    lambda i: mi.gather(x, 0, i[:, None].expand(-1, 6)), lambda i: F.embedding(i, x),
                    lambda i: mi.zeros(4, 0)[i], lambda i: mi.zeros(0, 4)[i],
                    lambda i: x[:, 0].scatter_add(0, i, mi.zeros(i.shape[0])),
                ):  # fmt: skip
                    with pytest.raises((IndexError, RuntimeError)):
                        f(mi.tensor(k))
    assert x[mi.tensor([-1, -4])].tolist() == x[[3, 0]].tolist()
    with pytest.raises((IndexError, RuntimeError)):
        mi.zeros(0, 4)[mi.tensor([0])]
