"""Products of matrices against their references and PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import mielina as mi
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mielina.testing import INTEGERS, assert_close, check_op, gradcheck, reference, tolerance

F = mi.nn.functional
RNG = np.random.default_rng(4)
FLOATS = ("float32", "float64", "float16", "bfloat16")
AXES = ([0, -1], [2, 0])


def normal(*shape: int) -> Any:
    return np.asarray(RNG.standard_normal(shape))


def leaves(*arrays: Any) -> list[Any]:
    return [mi.tensor(x).requires_grad_() for x in arrays]


@pytest.mark.parametrize(
    ("a", "b"),
    [((70, 131), (131, 67)), ((5, 33), (33,)), ((33,), (33, 37)), ((7,), (7,)), ((3, 17, 9), (3, 9, 20)),
     ((2, 3, 5, 7), (7, 4)), ((5, 7), (3, 7, 4)), ((2, 1, 4, 6), (3, 6, 5)), ((3, 4, 5), (5,))],
)  # fmt: skip
def test_matmul_against_the_reference(a: Any, b: Any) -> None:
    check_op(mi.matmul, reference.matmul, [normal(*a), normal(*b)], dtypes=FLOATS, threads=(1, 3), length=a[-1],
             layouts=("contiguous", "transposed", "sliced", "expanded"), amplification=4, magnitude="abs",
             grad=True, gradgrad=a[-1] < 10, grad_amplification=16)  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "columns", "depth"),
    [(1, 17, 40), (1, 700, 700), (1, 2100, 131), (3, 1030, 1100), (8, 1500, 3000), (2, 67, 2500), (5, 130, 4100),
     (1, 5, 70000), (1, 16, 20000), (1, 33, 9001), (1, 300, 1000), (7, 9, 2111)],
)  # fmt: skip
def test_thin_products(rows: int, columns: int, depth: int) -> None:
    """A few rows (or, turned, columns) times matrices of either order: both kernels, their cuts, tails and pieces."""
    before = mi.get_num_threads()
    for name in FLOATS:
        a, b = (mi.tensor(normal(*s)).to(getattr(mi, name)) for s in ((rows, depth), (depth, columns)))
        bias = mi.tensor(normal(columns)).to(a.dtype)
        exact = [x.to(mi.float64).numpy() for x in (a, b, bias)]
        expected, scale = exact[0] @ exact[1] + exact[2], np.abs(exact[0]) @ np.abs(exact[1]) + np.abs(exact[2])
        for left in (a, a.t().clone().t(), mi.cat([a, a], 1)[:, :depth]):
            for right in (b, b.t().clone().t()):
                forms = []
                for threads in (1, 2, 7):
                    mi.set_num_threads(threads)
                    turned = mi.addmm(bias[:, None], right.t(), left.t()).t()
                    forms.append([y.to(mi.float64).numpy() for y in (mi.addmm(bias, left, right), turned)])
                for y in forms[0]:
                    assert_close(y, expected, name, tolerance(name, depth, 2), scale)
                np.testing.assert_array_equal(forms[1:], [forms[0]] * 2)
    mi.set_num_threads(before)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("sizes", [(17, 70, 130, 90), (16, 3, 400, 600), (3, 70, 130, 90)])
def test_batches_have_the_bits_of_single_products(sizes: tuple[int, ...], dtype: str) -> None:
    """Whole products to threads, or each cut by all of them."""
    n, rows, columns, depth = sizes
    a, b = (mi.tensor(normal(*s)).to(getattr(mi, dtype)) for s in ((n, rows, depth), (n, depth, columns)))
    single = mi.stack([x @ y for x, y in zip(a, b, strict=True)])
    before = mi.get_num_threads()
    for threads in (1, 2, 7):
        mi.set_num_threads(threads)
        assert bool(((a @ b) == single).all()), threads
    mi.set_num_threads(before)


@pytest.mark.parametrize("dtype", [*FLOATS, "int32", "uint8"])
@pytest.mark.parametrize("sizes", [(300, 300, 71), (463, 290, 71), (230, 260, 1031), (450, 100, 131)])
def test_a_transposed_operand_has_the_bits_of_its_copy(sizes: tuple[int, int, int], dtype: str) -> None:
    """Panels of A packed in groups, by all tasks or each, and columns read where they lie."""
    rows, columns, depth = sizes
    a, b = (mi.tensor(4 * normal(*s)).to(getattr(mi, dtype)) for s in ((depth, rows + 5), (depth, columns)))
    left = a[:, 3 : rows + 3].t()
    before = mi.get_num_threads()
    for threads in (1, 2, 7):
        mi.set_num_threads(threads)
        assert bool((left @ b == left.contiguous() @ b).all()), threads
    mi.set_num_threads(before)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("sizes", [(1, 5, 3), (29, 47, 33), (64, 10, 64), (100, 70, 512), (30, 40, 513)])
def test_a_bias_is_added_once(sizes: tuple[int, int, int], dtype: str) -> None:
    """In the tile where K is not cut (up to 512), or after it; the same bits as a sum of its own in float32."""
    rows, columns, depth = sizes
    x, w, b = (mi.tensor(normal(*s)).to(getattr(mi, dtype)) for s in ((rows, depth), (columns, depth), (columns,)))
    y = F.linear(x, w, b)
    if dtype.startswith("float") and dtype != "float16":
        assert bool((y == F.linear(x, w) + b).all())
    expected = x.to(mi.float64).numpy() @ w.to(mi.float64).numpy().T + b.to(mi.float64).numpy()
    assert_close(y.to(mi.float64).numpy(), expected, dtype, tolerance(dtype, depth, 8), float(np.abs(expected).max()))


def test_integers_wrap() -> None:
    a, b = RNG.integers(-100, 100, (9, 40)), RNG.integers(-100, 100, (40, 21))
    for name in INTEGERS:
        x, y = (v.astype(name) for v in (a, b))
        product = mi.matmul(mi.tensor(x), mi.tensor(y))
        np.testing.assert_array_equal(product.numpy(), (x.astype(np.int64) @ y.astype(np.int64)).astype(name))


@pytest.mark.parametrize(
    ("fn", "expected", "shapes"),
    [
        (mi.mm, reference.matmul, [(5, 7), (7, 3)]),
        (mi.bmm, reference.bmm, [(2, 5, 7), (2, 7, 3)]),
        (mi.mv, reference.mv, [(5, 7), (7,)]),
        (mi.dot, reference.dot, [(7,), (7,)]),
        (mi.vdot, reference.dot, [(7,), (7,)]),
        (mi.inner, reference.inner, [(2, 3, 7), (5, 7)]),
        (mi.outer, reference.outer, [(5,), (7,)]),
        (mi.ger, reference.outer, [(5,), (7,)]),
        (mi.kron, reference.kron, [(2, 3), (4, 1, 2)]),
        (F.linear, reference.linear, [(2, 3, 7), (5, 7), (5,)]),
        (F.linear, reference.linear, [(3, 7), (7,)]),
        (F.linear, reference.linear, [(7,), (5, 7), (5,)]),
        (F.bilinear, reference.bilinear, [(2, 3, 4), (2, 3, 5), (6, 4, 5), (6,)]),
        (mi.addmm, reference.addmm, [(3,), (5, 7), (7, 3)]),
        (mi.addmm, reference.addmm, [(5, 1), (5, 7), (7, 3)]),
        (mi.baddbmm, reference.baddbmm, [(2, 1, 3), (2, 5, 7), (2, 7, 3)]),
        (partial(mi.addmm, beta=0.5, alpha=-2), lambda x, a, b: 0.5 * x - 2 * (a @ b), [(5, 3), (5, 7), (7, 3)]),
        (partial(mi.baddbmm, beta=0.5), lambda x, a, b: 0.5 * x + a @ b, [(5, 3), (2, 5, 7), (2, 7, 3)]),
        (partial(mi.addbmm, alpha=2), lambda x, a, b: x + 2 * (a @ b).sum(0), [(3,), (2, 5, 7), (2, 7, 3)]),
        (partial(mi.addmv, beta=2), lambda x, a, v: 2 * x + a @ v, [(5,), (5, 7), (7,)]),
        (partial(mi.addr, alpha=2), lambda x, u, v: x + 2 * np.outer(u, v), [(5, 7), (5,), (7,)]),
        (mi.tensordot, reference.tensordot, [(4, 2, 3), (2, 3, 5)]),
        (partial(mi.tensordot, dims=AXES), partial(reference.tensordot, dims=AXES), [(4, 2, 3), (3, 5, 4)]),
    ],
)  # fmt: skip
def test_the_other_names(fn: Callable[..., Any], expected: Any, shapes: list[Any]) -> None:
    def magnitude(*arrays: Any) -> Any:
        return np.abs(expected(*arrays)).max() + 8

    check_op(fn, expected, [normal(*s) for s in shapes], dtypes=("float32", "float64", "bfloat16"), threads=(1, 2),
             layouts=("contiguous", "transposed"), length=16, amplification=4, magnitude=magnitude, grad=True,
             grad_amplification=16)  # fmt: skip


def test_beta_zero_ignores_the_input() -> None:
    bad, a, b = mi.full((2, 2), float("nan")), mi.ones(2, 3), mi.ones(3, 2)
    for y in (mi.addmm(bad, a, b, beta=0), bad.addr(mi.ones(2), mi.ones(2) * 3, beta=0)):
        np.testing.assert_array_equal(y.numpy(), np.full((2, 2), 3.0))
    assert np.isnan(mi.addmm(bad, a, b).numpy()).all()


def test_in_place_and_operators() -> None:
    x, a, b = normal(5, 3), normal(5, 7), normal(7, 3)
    y = mi.tensor(x)
    assert y.addmm_(mi.tensor(a), mi.tensor(b), alpha=2) is y
    np.testing.assert_allclose(y.numpy(), x + 2 * (a @ b), rtol=1e-12)
    np.testing.assert_array_equal((mi.tensor(a) @ mi.tensor(b)).numpy(), mi.mm(mi.tensor(a), mi.tensor(b)).numpy())

    def changed(x: Any, a: Any, b: Any) -> Any:
        return (x * 1.0).addmm_(a, b, alpha=0.5)

    gradcheck(changed, leaves(x, a, b))


def test_no_copies_for_transposes() -> None:
    """The gradients of a 2-D product are three ops: two views and two products."""
    ops: list[str] = []
    a, b = leaves(normal(3, 4), normal(4, 5))
    y = a @ b
    with mi.autograd.traced(lambda y, op, inputs, saves: ops.append(op.name)):
        mi.grad(y, [a, b], y.detach(), create_graph=True)
    assert sorted(ops) == ["matmul", "matmul", "transpose", "transpose"]


# ---- einsum ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("ij,jk", [(3, 4), (4, 5)]),
        ("bik,bkj->bij", [(2, 3, 4), (2, 4, 5)]),
        ("bthd,bshd->bhts", [(2, 3, 2, 4), (2, 5, 2, 4)]),
        ("ii->i", [(4, 4)]),
        ("iij,jk->ki", [(3, 3, 4), (4, 2)]),
        ("ii", [(4, 4)]),
        ("ba", [(2, 3)]),
        ("i,j->ji", [(3,), (4,)]),
        ("...ij,...jk->...ik", [(2, 1, 3, 4), (5, 4, 2)]),
        ("i...->...", [(3, 2, 2)]),
        ("...i->i", [(2, 3, 4)]),
        ("ij,ij,kj->ik", [(3, 4), (3, 1), (5, 4)]),
        ("ij,kl->", [(2, 3), (4, 2)]),
        ("abc,bd,dce->ae", [(2, 3, 4), (3, 2), (2, 4, 3)]),
        (",ij->j", [(), (3, 4)]),
    ],
)
def test_einsum_against_the_reference(equation: str, shapes: list[Any]) -> None:
    check_op(partial(mi.einsum, equation), partial(reference.einsum, equation), [normal(*s) for s in shapes],
             dtypes=("float32", "float64"), layouts=("contiguous", "transposed"), threads=(1, 2), length=64,
             amplification=8, magnitude="max", grad=True, grad_amplification=16)  # fmt: skip


@st.composite
def equations(draw: st.DrawFn) -> tuple[str, list[Any]]:
    letters = "abcdA"
    size = {c: draw(st.integers(0, 4)) for c in letters}
    hidden = draw(st.lists(st.integers(1, 3), max_size=2))
    terms, arrays = [], []
    for _ in range(draw(st.integers(1, 3))):
        term = draw(st.text(letters, max_size=3))
        n = {c: 1 if draw(st.integers(0, 5)) == 0 else size[c] for c in term}
        shape = [n[c] for c in term]
        if draw(st.booleans()):
            at, depth = draw(st.integers(0, len(term))), draw(st.integers(0, len(hidden)))
            shape[at:at] = hidden[len(hidden) - depth :]
            term = f"{term[:at]}...{term[at:]}"
        terms.append(term)
        arrays.append(normal(*shape))
    equation = ",".join(terms)
    if draw(st.booleans()):
        seen = sorted(set(equation) - set(",."))
        out = draw(st.permutations(seen))[: draw(st.integers(0, len(seen)))]
        equation += "->" + "".join(out[:1]) + "..." * ("..." in equation and draw(st.booleans())) + "".join(out[1:])
    return equation, arrays


@settings(max_examples=150, deadline=None)
@given(equations())
def test_einsum_against_pytorch(case: Any) -> None:
    torch = pytest.importorskip("torch")
    equation, arrays = case
    theirs, ours = [torch.tensor(x).requires_grad_() for x in arrays], leaves(*arrays)
    try:
        expected = torch.einsum(equation, *theirs)
    except RuntimeError:
        with pytest.raises(RuntimeError):
            mi.einsum(equation, *ours)
        return
    y = mi.einsum(equation, *ours)
    assert y.shape == tuple(expected.shape)
    g = normal(*y.shape)
    found = [y.detach(), *mi.grad(y, ours, mi.tensor(g))]
    wanted = [expected.detach(), *torch.autograd.grad(expected, theirs, torch.tensor(g))]
    for a, b in zip(found, wanted, strict=True):
        scale = float(b.abs().max()) if b.numel() else 0.0
        assert_close(a.numpy(), b.numpy(), "float64", tolerance("float64", 64, 64), scale)


def test_einsum_sublists_and_lists() -> None:
    a, b = mi.tensor(normal(2, 3, 4)), mi.tensor(normal(2, 4, 5))
    expected = mi.bmm(a, b).numpy()
    np.testing.assert_array_equal(mi.einsum(a, [0, 1, 2], b, [0, 2, 3], [0, 1, 3]).numpy(), expected)
    np.testing.assert_array_equal(mi.einsum(a, [..., 1, 2], b, [..., 2, 3]).numpy(), expected)
    np.testing.assert_array_equal(mi.einsum("bij, bjk -> bik", [a, b]).numpy(), expected)


def test_autocast() -> None:
    a, b, c = (mi.tensor(v.astype(np.float32)) for v in (normal(3, 4), normal(4, 5), normal(5)))
    with mi.autocast(dtype=mi.bfloat16):
        results = [a @ b, mi.addmm(c, a, b), mi.einsum("ij,jk->ki", a, b), F.linear(a, b.t(), c)]
    assert all(y.dtype is mi.bfloat16 for y in results)


def test_errors() -> None:
    m, v = mi.ones(2, 3), mi.ones(3)
    whole = mi.ones(2, 2, dtype=mi.int64)
    for fn, message in [
        (lambda: m @ m, "a.shape"),
        (lambda: mi.matmul(mi.ones(()), v), "at least 1 dimension"),
        (lambda: mi.matmul(mi.ones(2, 2, 3), mi.ones(3, 3, 2)), "matmul"),
        (lambda: m @ v.to(mi.float64), "dtype"),
        (lambda: mi.mm(m, v), "2-D and 2-D"),
        (lambda: mi.mv(m, mi.ones(2)), "a.shape"),
        (lambda: mi.dot(v, mi.ones(2)), "a.shape"),
        (lambda: mi.bmm(mi.ones(1, 2, 3), mi.ones(2, 3, 2)), "equal length"),
        (lambda: mi.outer(m, v), "1-D"),
        (lambda: mi.inner(m, mi.ones(2, 2)), "last sizes"),
        (lambda: mi.addmm(mi.ones(3, 3), mi.ones(2, 2), mi.ones(2, 2)), "addmm"),
        (lambda: mi.addmm(m, m, m), "cannot be multiplied"),
        (lambda: mi.addr(whole, whole[0], whole[0], alpha=0.5), "integer alpha"),
        (lambda: mi.tensordot(m, m, 1), "a.shape"),
        (lambda: mi.tensordot(m, m, -1), "dims=-1"),
        (lambda: mi.tensordot(m, m, ([0, 1], [0])), "as many dims"),
        (lambda: F.linear(m, mi.ones(4, 2)), "linear"),
        (lambda: F.linear(m, mi.ones(4, 3), mi.ones(3)), "bias"),
        (lambda: F.bilinear(m, v, mi.ones(1, 3, 3)), "batch"),
        (lambda: F.bilinear(m, m, mi.ones(1, 3, 2)), "does not fit"),
        (lambda: mi.einsum("ij,jk->ii", m, m.t()), "more than once"),
        (lambda: mi.einsum("i1", m), "letters"),
        (lambda: mi.einsum("i.j", m), "letters"),
        (lambda: mi.einsum("ij->k", m), "does not appear"),
        (lambda: mi.einsum("ijk", m), "do not fit"),
        (lambda: mi.einsum("i", m), "do not fit"),
        (lambda: mi.einsum("ij,jk", m), "operands"),
        (lambda: mi.einsum("ij,jk", m, m), "size 2, but 3"),
        (lambda: mi.einsum("ii", m), "two sizes"),
        (lambda: mi.einsum(m, [0, 60]), "labels"),
    ]:
        with pytest.raises(RuntimeError, match=message):
            fn()
    with pytest.raises(NotImplementedError, match="bool"):
        mi.mm(whole > 0, whole > 0)
    with pytest.raises(IndexError, match="out of range"):
        mi.tensordot(m, m, ([2], [0]))
