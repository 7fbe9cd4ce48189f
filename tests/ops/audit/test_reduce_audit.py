"""Reductions beside PyTorch: every keyword, dtype and layout, empty and 0-dim inputs, wrong calls."""

import pytest
from calls import GRADIENTS, LAYOUTS, VALUES, Context, difference, differences, lines, mi, outcome, torch, unlike

NAMES = ["sum", "mean", "prod", "amax", "amin", "nansum", "nanmean", "logsumexp", "any", "all", "std", "var"]
SHAPES = {"": ("0", "dim=-1", "dim=1"), "0": ("0", "-1"), "3, 0": ("0", "1", "(0, 1)"), "0, 3": ("0", "axis=-1"),
          "5": ("0", "dim=(0,)", "dim=1"), "2, 3, 4": ("-1", "dim=0", "(0, 2)", "dim=[1, -1]", "dim=(0, 0)", "dim=-4"),
          "2, 1, 2, 1, 2, 1, 2, 3": ("7", "(0, 2, 4)", "dim=(1, -1)")}  # fmt: skip
PRODUCT = [
    f"L.{name}(x({shape}), {dim}{keep})"
    for name in NAMES
    for shape, dims in SHAPES.items()
    for dim in dims
    for keep in ("", ", keepdim=True")
    if name != "prod" or "(" not in dim and "[" not in dim
]
WHOLE = [f"L.{name}(x({shape}))" for name in NAMES if name != "logsumexp" for shape in SHAPES]
CALLS = lines(r"""
x(2,3,4).sum(0,True)
x(2,3,4).sum((0,1),True)
x(2,3,4).sum(dim=(0,1),keepdim=True,dtype=float64)
x(2,3).sum(dtype=float32)
x(2,3).sum(dtype=bool_)
x(2,3).sum(dtype=uint8)
x(2,3).sum(0,dtype=int8)
x(2,3).prod(0,dtype=int32)
x(2,3).prod(0,True,dtype=float64)
x(2,3).prod(dtype=bool_)
x(2,3).mean(dtype=float64)
x(2,3).mean(0,dtype=float32)
x(2,3).mean(0,True,dtype=float16)
x(2,3).mean((0,1),dtype=bfloat16)
x(2,3).mean(dtype=int64)
x(2,3).nansum(dtype=float32)
x(2,3).nansum(0,dtype=int64)
x(2,3).nanmean(dtype=float64)
x(2,3).nanmean(0,dtype=float32)
L.sum(input=x(2,3),dim=0)
L.sum(x(2,3),axis=(0,1),keepdims=True)
x(2,3).amax((0,1),True)
x(2,3).amax(axis=0,keepdims=True)
x(2,3).sum('a')
L.sum(3.0)
L.sum([1,2])
x(2,3).any(0,True)
x(2,3).any(axis=1,keepdims=True)
x(2,3).all((0,1),True)
x(2,3).all(dim=None,keepdim=True)
x(2,3).count_nonzero((0,1))
x(2,3).count_nonzero(0)
L.count_nonzero(x(2,3),-1)
x(2,3).std(0)
x(2,3).std(True)
x(2,3).std(False)
x(2,3).std(unbiased=False)
x(2,3).std(0,False)
x(2,3).std(0,False,True)
x(2,3).std(0,unbiased=True,keepdim=True)
x(2,3).std(0,correction=0)
x(2,3).std(correction=2)
x(2,3).std(0,correction=3)
x(2,3).std(0,correction=2)
x(2,3).std((0,1),correction=1.5)
x(2,3).std(dim=None,correction=0,keepdim=True)
x(2,3).std(0,correction=None)
x(2,3).var(0,correction=5)
x(1,3).var(0)
x(1,3).std(0)
x(1).std()
x(1).var(unbiased=False)
x().var()
x().std(correction=0)
x(0).var()
x(0,3).std(0)
x(2,3).var(axis=0)
x(2,3).var((0,1),True,True)
x(2,3).var((0,1),False)
x(2,3).var([0])
x(2,3).var(0,True,correction=1)
L.var(x(2,3),0,unbiased=False,keepdim=True)
L.std_mean(x(2,3))
L.std_mean(x(2,3),False)
L.std_mean(x(2,3),unbiased=False)
L.std_mean(x(2,3),(0,1),keepdim=True)
L.std_mean(x(2,3),axis=1)
L.var_mean(x(2,3))
L.var_mean(x(2,3),correction=0)
L.var_mean(x(2,3),correction=7)
L.var_mean(x(2,3),dim=None,correction=0.5,keepdim=True)
L.var_mean(x(0,3),0)
L.var_mean(x(0))
L.norm(x(2,3))
L.norm(x(2,3),1)
L.norm(x(2,3),p=2)
L.norm(x(2,3),p=3)
L.norm(x(2,3),p=0.5)
L.norm(x(2,3),p=-1)
L.norm(x(2,3),p=-2.5)
L.norm(x(2,3),p=0)
L.norm(x(2,3),p=inf)
L.norm(x(2,3),p=-inf)
L.norm(x(2,3),p='fro')
L.norm(x(2,3),p='fro',dim=0)
L.norm(x(2,3),p='fro',dim=(0,1))
L.norm(x(2,3),p='fro',dim=(0,1),keepdim=True)
L.norm(x(2,3),p='abc')
L.norm(x(2,3),p=None)
L.norm(x(2,3),p=3,dim=1)
L.norm(x(2,3),p=3,dim=(0,1))
L.norm(x(2,3),p=1,dim=(0,1),keepdim=True)
L.norm(x(2,3),p=inf,dim=0)
L.norm(x(2,3),p=-inf,dim=(0,1))
L.norm(x(2,3),p=0,dim=1,keepdim=True)
L.norm(x(2,3),dtype=float64)
L.norm(x(2,3),p=1,dim=0,dtype=float64)
L.norm(x(2,3),p=2,dtype=float32)
L.norm(x(2,3),p=True)
x(2,3).norm()
x(2,3).norm(1)
x(2,3).norm(2,0)
x(2,3).norm(2,0,True)
x(2,3).norm(p=2,dim=[0,1])
x(2,3).norm(inf,1)
x(2,3).norm(dim=1)
x().norm()
x().norm(1)
x().norm(inf)
x().norm(0)
x().norm(3)
x(0).norm()
x(0).norm(1)
x(0).norm(inf)
x(0).norm(0)
x(0).norm(-inf)
x(0).norm(-1)
x(0).norm(3)
x(0,3).norm(inf,0)
x(0,3).norm(inf,1)
x(0,3).norm(2,0)
x(0,3).norm(-1,0)
x(2,3,4).norm('fro',(0,2))
x(2,3,4).norm('fro')
x(2,3,4).norm(3,(0,2))
L.logsumexp(x(2,3),0)
L.logsumexp(x(2,3),(0,1),True)
x(2,3).logsumexp(1)
x(2,3).logsumexp(dim=1,keepdim=True)
x(2,3).logsumexp()
x().logsumexp(0)
x(0).logsumexp(0)
x(0,3).logsumexp(1)
L.logsumexp(x(2,3),axis=0)
""")


@pytest.mark.parametrize("context", VALUES + LAYOUTS, ids=repr)
def test_values(context):
    assert differences(PRODUCT + WHOLE + CALLS, [context]) == []


@pytest.mark.parametrize("order", [1, 2])
def test_gradients(order):
    assert differences(PRODUCT + WHOLE + CALLS, GRADIENTS, order) == []


@pytest.mark.parametrize("dims", ["(0, 1)", "(0, 2)", "[2, 1]", "(0, 1, 2)", "()", "(-1,)"])
@pytest.mark.parametrize("values", ["plain", "ties"])
def test_prod_over_several_axes_is_that_over_one_after_the_other(dims, values):
    """PyTorch's prod takes one axis."""
    one = "".join(f".prod({d})" for d in sorted((d % 3 for d in (eval(dims) or (0, 1, 2))), reverse=True))
    for order in (0, 1, 2):
        many, single = [f"x(2, 3, 4){p}" for p in (f".prod({dims})", one)]
        mine, theirs = (
            outcome(lib, call, Context("float64", values), order) for lib, call in ((mi, many), (torch, single))
        )
        assert [unlike(a, b, order > 0) for a, b in zip(mine, theirs)] == [None] * len(theirs)


@pytest.mark.parametrize("call, order", [("L.norm(x(7, 1, 3), dim=1)", 2), ("L.var(x(3), dim=())", 1)])
def test_known_differences(call, order):
    """docs/differences.md; ours are finite."""
    context = Context("float64", "ties")
    assert difference(call, context, order) is not None
    assert all(bool(g.isfinite().all()) for g in outcome(mi, call, context, order))
