"""Products of matrices and what is made of them, beside PyTorch."""

import pytest
from calls import GRADIENTS, LAYOUTS, VALUES, Context, difference, differences, lines, mi, outcome

SHAPES = lines("""
2, 3 | 3, 4
3 | 3
2, 3 | 3
3 | 3, 4
5, 2, 3 | 3, 4
5, 2, 3 | 5, 3, 4
1, 2, 3 | 5, 3, 4
2, 1, 2, 3 | 3, 3, 4
3 | 5, 3, 4
5, 2, 3 | 3
2, 0 | 0, 3
0, 3 | 3, 2
0 | 0
2, 3 | 2, 3
2, 3 | 4
2, 1, 1, 1, 1, 1, 2, 3 | 1, 1, 1, 1, 1, 2, 3, 2
0, 2, 0 | 0, 0, 3
2, 2, 3 | 3, 3, 4
17, 33 | 33, 9
""") + [" | 3", " | "]
PRODUCT = [
    f"L.{name}({'c' if name == 'kron' else 'x'}({a}), c({b}))"  # PyTorch's kron refuses strided tensors
    for name in ("matmul", "mm", "mv", "dot", "inner", "outer", "bmm", "kron")
    for a, b in (s.split(" | ") for s in SHAPES)
]
# PyTorch's mv looks for an axis of a number first.
PRODUCT = [call for call in PRODUCT if not call.startswith("L.mv(x()")]

CALLS = lines(r"""
L.addmm(x(2,4),x(2,3),x(3,4))
L.addmm(x(4),x(2,3),x(3,4))
L.addmm(x(1,4),x(2,3),x(3,4))
L.addmm(x(2,1),x(2,3),x(3,4))
L.addmm(x(),x(2,3),x(3,4))
L.addmm(x(1),x(2,3),x(3,4),beta=2)
L.addmm(x(2,4),x(2,3),x(3,4),beta=0)
L.addmm(x(2,4),x(2,3),x(3,4),beta=0.5)
L.addmm(x(2,4),x(2,3),x(3,4),alpha=0.5)
L.addmm(x(2,4),x(2,3),x(3,4),alpha=1.7,beta=2.9)
L.addmm(x(2,4),x(2,3),x(3,4),alpha=-1.7,beta=-2.9)
L.addmm(x(2,4),x(2,3),x(3,4),alpha=2,beta=3)
L.addmm(x(2,4),x(2,3),x(3,4),alpha=0,beta=3)
L.addmm(x(2,4),x(2,3),x(3,4),alpha=True,beta=False)
L.addmm(x(2,4),x(2,0),x(0,4),beta=0)
L.addmm(x(0,4),x(0,3),x(3,4))
L.addmm(x(3),x(2,3),x(3,4))
L.addmm(x(2,2,4),x(2,3),x(3,4))
L.addmm(x(2,4),x(2,3),x(2,4))
L.addmm(x(2,4),x(1,2,3),x(3,4))
L.addmm(xt('float64',2,4),x(2,3),x(3,4))
L.addmm(x(2,4),x(2,3),xt('float64',3,4))
L.addmm(input=x(2,4),mat1=x(2,3),mat2=x(3,4))
x(2,4).addmm(x(2,3),x(3,4),beta=2,alpha=3)
chg(x(2,4),lambda y:y.addmm_(c(2,3),c(3,4),beta=2,alpha=3))
L.baddbmm(x(2,2,4),x(2,2,3),x(2,3,4))
L.baddbmm(x(2,4),x(2,2,3),x(2,3,4))
L.baddbmm(x(4),x(2,2,3),x(2,3,4))
L.baddbmm(x(),x(2,2,3),x(2,3,4))
L.baddbmm(x(1,2,4),x(2,2,3),x(2,3,4))
L.baddbmm(x(2,2,4),x(2,2,3),x(2,3,4),beta=0)
L.baddbmm(x(2,2,4),x(2,2,3),x(2,3,4),beta=0.5,alpha=2.5)
L.baddbmm(x(2,2,4),x(2,2,3),x(2,3,4),beta=3,alpha=2)
L.baddbmm(x(2,2,4),x(2,2,3),x(2,3,4),beta=-1.5,alpha=-2.5)
L.baddbmm(x(0,2,4),x(0,2,3),x(0,3,4))
L.baddbmm(x(2,2,4),x(1,2,3),x(2,3,4))
L.baddbmm(x(2,2,4),x(2,3),x(2,3,4))
x(2,2,4).baddbmm(x(2,2,3),x(2,3,4))
chg(x(2,2,4),lambda y:y.baddbmm_(c(2,2,3),c(2,3,4),beta=2))
L.addbmm(x(2,4),x(3,2,3),x(3,3,4),beta=2,alpha=3)
L.addbmm(x(2,4),x(3,2,3),x(3,3,4),beta=0.5)
L.addmv(x(2),x(2,3),x(3),beta=2,alpha=3)
L.addmv(x(2),x(2,3),x(3),beta=0.5)
L.addr(x(2,3),x(2),x(3),beta=2,alpha=3)
L.addr(x(2,3),x(2),x(3),beta=0.5)
L.tensordot(x(2,3),x(3,4),1)
L.tensordot(x(2,3),x(3,4),dims=0)
L.tensordot(x(2,3),x(2,3))
L.tensordot(x(2,3,4),x(4,3,5),dims=([1,2],[1,0]))
L.tensordot(x(2,3,4),x(4,3,5),dims=((-2,-1),(1,0)))
L.tensordot(x(2,3),x(4,5),dims=([],[]))
L.tensordot(x(2,3,1),x(4,5),dims=([2],[0]))
L.tensordot(x(2,3),x(3,4),dims=([1],[1]))
L.tensordot(x(2,3),x(3,4),dims=([1,0],[0]))
L.tensordot(x(2,3),x(3,4),dims=([5],[0]))
L.tensordot(x(2,3),x(3,4),dims=-1)
L.tensordot(x(2,3),x(3,4),dims=3)
L.tensordot(x(),x(),dims=0)
L.tensordot(x(),x(3),dims=0)
L.tensordot(x(2,0),x(0,4),1)
L.tensordot(x(2,3),x(3,4),dims=tt([[1],[0]],'int64'))
L.tensordot(x(2,2,2),x(2,2,2),dims=([0,0],[0,1]))
L.einsum('ij,jk->ik',x(2,3),x(3,4))
L.einsum('ij,jk',x(2,3),x(3,4))
L.einsum('ij',x(2,3))
L.einsum('ij->ji',x(2,3))
L.einsum('ij->',x(2,3))
L.einsum('ij->j',x(2,3))
L.einsum('ii',x(3,3))
L.einsum('ii->i',x(3,3))
L.einsum('iij->ij',x(3,3,2))
L.einsum('i,i->',x(3),x(3))
L.einsum('i,j->ij',x(3),x(2))
L.einsum('i,j',x(3),x(2))
L.einsum('i,j->ij',xt('int64',3),xt('float64',2))
L.einsum('ij,jk->ik',xt('int64',2,3),xt('float32',3,2))
L.einsum('ij,jk->ik',xt('float32',2,3),xt('int64',3,2))
L.tensordot(xt('int64',2,3),xt('float32',3,2),1)
L.einsum('bij,bjk->bik',x(2,2,3),x(2,3,4))
L.einsum('...ij,...jk->...ik',x(2,2,3),x(3,4))
L.einsum('...ij,...jk',x(2,1,2,3),x(3,3,4))
L.einsum('...,...',x(2,3),x(3))
L.einsum('i...->...i',x(2,3,4))
L.einsum('i...->i',x(2,3,4))
L.einsum('ij,jk,kl->il',x(2,3),x(3,4),x(4,2))
L.einsum('ij,ij,ij->i',x(2,3),x(2,3),x(1,3))
L.einsum('ij , jk -> ik',x(2,3),x(3,4))
L.einsum('ij,jk->ik',[x(2,3),x(3,4)])
L.einsum(x(2,3),[0,1],x(3,4),[1,2],[0,2])
L.einsum(x(2,3),[0,1],x(3,4),[1,2])
L.einsum(x(2,3),[0,...],[...,0])
L.einsum('ij,jk->ii',x(2,3),x(3,4))
L.einsum('ij,jk->il',x(2,3),x(3,4))
L.einsum('ij,jk',x(2,3),x(4,4))
L.einsum('ij',x(2,3,4))
L.einsum('ijk',x(2,3))
L.einsum('ij,jk',x(2,3))
L.einsum('i1',x(2,3))
L.einsum('ii',x(2,3))
L.einsum('',x())
L.einsum(',',x(),x())
L.einsum(',i->i',x(),x(3))
L.einsum('Ab,bA->',x(2,3),x(3,2))
L.einsum('bA',x(2,3))
L.einsum('ij->ij...',x(2,3))
L.einsum('i...j->...',x(2,3,4))
L.einsum('ij,j->i',x(2,0),x(0))
L.einsum('ij->i',x(2,0))
L.einsum('ij,k->',x(2,3),x(4))
L.einsum('bhqd,bhkd->bhqk',x(2,2,3,4),x(2,2,5,4))
L.einsum('ij,ji->',x(2,3),x(3,2))
L.einsum('ij,kj->ik',x(2,1),x(4,3))
L.einsum('abcdefgh,h->abcdefg',x(2,1,2,1,2,1,2,3),x(3))
L.einsum('ij->ij',x(2,3),x(2,3))
L.einsum()
L.einsum('ij')
L.cdist(x(2,3),x(4,3))
L.cdist(x(2,3),x(4,3),p=1)
L.cdist(x(2,3),x(4,3),p=3)
L.cdist(x(2,3),x(4,3),p=0.5)
L.cdist(x(2,3),x(4,3),1.5)
L.cdist(x(2,3),x(4,3),p=-1)
L.cdist(x(5,2,3),x(4,3))
L.cdist(x(5,2,3),x(5,4,3),2.0,'donot_use_mm_for_euclid_dist')
L.cdist(x(5,2,3),x(1,4,3),compute_mode='abc')
L.cdist(x(3,1,2,3),x(4,4,3))
L.cdist(x(0,3),x(4,3))
L.cdist(x(2,3),x(0,3))
L.cdist(x(2,0),x(4,0))
L.cdist(x(2,3),x(4,2))
L.cdist(x(3),x(4,3))
L.cdist(x(2,3),x(2,3),p=2.0)
(lambda y: L.cdist(y,y))(x(3,2))
(lambda y: L.cdist(y,y,p=1))(x(3,2))
(lambda y: L.cdist(y,y,p=3))(x(3,2))
L.cov(x(2,3,4))
L.cov(x(3,5),fweights=tt([.1,.2,.3,.4,.5]))
L.cov(x(3,5),fweights=it('int64',-3,-1,5))
L.cov(x(3,5),aweights=tt([-.1,.2,.3,.4,.5]))
L.cov(x(3,5),fweights=it('int64',1,4,4))
L.cov(x(3,5),fweights=it('int64',1,4,1,5))
L.cov(x(3,5),aweights=it('int64',1,4,5))
L.cov(x(3,5),fweights=it('int64',0,1,5))
L.corrcoef(x(2,3,4))
L.trace(x(3,4))
L.trace(x(4,3))
L.trace(x(0,3))
L.trace(x(0,0))
L.trace(x(3))
L.trace(x(2,3,4))
L.trace(x())
x(3,3).trace()
L.block_diag(x(2,3),x(1,2))
L.block_diag(x(2,3))
L.block_diag(x(3),x(),x(2,2))
L.block_diag()
L.block_diag(x(0,3),x(2,2))
L.block_diag(x(2,3,4))
L.block_diag(x(2,3),xt('float64',1,2))
L.block_diag(x(2,3),xt('int32',1,2))
L.block_diag([x(2,3)])
L.cartesian_prod(x(2),x(3))
L.cartesian_prod(x(2))
L.cartesian_prod(x(2),x(3),x(2))
L.cartesian_prod(x(0),x(3))
L.cartesian_prod(x(2,3))
L.cartesian_prod(x(2,3),x(2))
L.cartesian_prod(x(),x(2))
L.cartesian_prod(x(2),xt('float64',3))
L.cartesian_prod()
L.kron(x(2,3),xt('float64',2,2))
L.kron(x(2,3),xt('int64',2,2))
x(2,2).kron(x(2,2))
L.outer(x(2),xt('float64',3))
L.outer(x(2),vec2=x(3))
L.matmul(x(2,3),xt('float64',3,2))
L.matmul(x(2,3),xt('int32',3,2))
x(2,3)@2
L.matmul(x(2,3),[1,2])
x(2,3).mm(mat2=x(3,2))
x(2,3).T@x(2,3)
x(3,2).mT
x(2,3,4).mT
x(2).mT
x(2,3,4).T
x(2).T
x().T
x(2,3).H
x(2,3,4).H
chg(c(2,2),lambda y:y.__imatmul__(c(2,2)))
L.dist(x(3),x(3))
L.dist(x(3),x(3),1)
L.dist(x(3),x(3),inf)
L.cov(x(3,5))
L.cov(x(3,5),correction=0)
L.cov(x(3,5),correction=2)
L.cov(x(3,5),correction=5)
L.cov(x(3,5),correction=7)
L.cov(x(5))
L.cov(x())
L.cov(x(0))
L.cov(x(3,0))
L.cov(x(0,3))
L.cov(x(3,1))
L.cov(x(1,3))
L.cov(x(3,5),fweights=it('int64',1,4,5))
L.cov(x(3,5),aweights=tt([.1,.2,.3,.4,.5]))
x(3,5).cov(correction=0)
L.corrcoef(x(3,5))
L.corrcoef(x(5))
L.corrcoef(x())
L.corrcoef(x(1,5))
L.corrcoef(x(3,1))
L.corrcoef(x(0))
L.corrcoef(x(3,0))
L.corrcoef(x(0,3))
x(3,4).corrcoef()
""")


@pytest.mark.parametrize("context", VALUES + LAYOUTS, ids=repr)
def test_values(context):
    assert differences(PRODUCT + CALLS, [context]) == []


@pytest.mark.parametrize("order", [1, 2])
def test_gradients(order):
    assert differences(PRODUCT + CALLS, GRADIENTS, order) == []


def test_known_differences():
    """docs/differences.md: distances to NaN are NaN."""
    call = "L.cdist(x(2, 3), tt([[nan, 1, 2]]), p=inf)"
    assert difference(call, Context("float32")) is not None
    assert bool(outcome(mi, call, Context("float32"))[0].isnan().all())
