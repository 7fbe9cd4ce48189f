"""x[key], x[key] = value and functions of an index, beside PyTorch."""

import pytest
from calls import GRADIENTS, LAYOUTS, VALUES, Context, difference, differences, lines, mi, outcome

# shape | key
KEYS = lines(r"""
4,5 | 1
4,5 | -1
4,5 | 4
4,5 | -5
4,5 | 1:3
4,5 | ::2
4,5 | 3:1
4,5 | -3:-1,1:
4,5 | :100
4,5 | ::-1
4,5 | ::0
4,5 | 1.0
4,5 | 1,2
4,5 | 1,2,3
4,5 | ...,1
4,5 | 1,...
4,5 | ...
4,5 | None
4,5 | :,None
4,5 | None,...,None
4,5 | 1,None,2
4,5 | ()
4,5 | True
4,5 | False
4,5 | True,1
4,5 | :,True
4,5 | True,False
4,5 | None,True
 | ()
 | ...
 | None
 | 0
 | True
 | False
 | tt(True,'bool')
 | tt(False,'bool')
0 | 0
0 | :
0,3 | :,1
0,3 | 0
4,5 | tt([0,2],'int64')
4,5 | [0,2]
4,5 | [0,-1]
4,5 | [[0,2],[1,1]]
4,5 | [0,2],[1,3]
4,5 | ([0,2],[1,3])
4,5 | []
4,5 | :,[]
4,5 | tt([],'int64')
4,5 | tt([],'float32')
4,5 | tt([0,4],'int64')
4,5 | tt([0,-5],'int64')
4,5 | tt([1,2],'int32')
4,5 | tt([1,0,1,1],'uint8')
4,5 | tt([1,0],'uint8')
4,5 | tt([1.,2.])
4,5 | tt(1,'int64')
4,5 | tt(1,'int32')
4,5 | tt(1,'uint8')
4,5 | tt(1,'int64'),[0,1]
4,5 | tt([[0,1],[2,3]],'int64')
4,5 | tt([[0],[2]],'int64'),tt([1,3,4],'int64')
4,5 | tt([0,1,2],'int64'),tt([1,3],'int64')
4,5 | 1,[0,2]
4,5 | [0,2],1
4,5 | [0,2],1:3
4,5 | 1:3,[0,2]
4,5 | None,[0,2]
4,5 | [0,2],None
4,5 | [0,2],None,[1,2]
4,5 | ...,[0,2]
4,5 | [0,2],...
2,3,4 | [0,1],:,[1,2]
2,3,4 | :,[0,1],[1,2]
2,3,4 | [0,1],[1,2]
2,3,4 | 0,:,[1,2]
2,3,4 | :,0,[1,2]
2,3,4 | [1,0],0,:
2,3,4 | [1,0],0,[2,1]
2,3,4 | 0,[1,2],1:
2,3,4 | [0],1,[[2],[1]]
2,3,4 | [0,1],None,:,[1,2]
2,3,4 | [0,1],...,[1,2]
2,3,4 | ...,[0,1],:
2,3,4 | :,[[0,1],[1,2]]
2,3,4 | :,[[0,1],[1,2]],::2
2,3,4 | tt([[0]],'int64'),:,tt([1,2],'int64')
2,3,4 | b(2,3)
2,3,4 | b(2)
2,3,4 | b(2,3,4)
2,3,4 | b(3)
2,3,4 | :,b(3)
2,3,4 | :,b(3,4)
2,3,4 | ...,b(4)
2,3,4 | b(2),:,b(4)
2,3,4 | b(2),:,[0,1]
2,3,4 | 0,b(3)
2,3,4 | b(2,3),[1]
2,3,4 | b(2,3),1
2,3,4 | tt([True,False],'bool'),[0,1]
2,3,4 | [True,False]
2,3,4 | [[True,False,True],[False,True,True]]
2,3,4 | np.array([0,1])
2,3,4 | np.array([True,False])
2,3,4 | np.int64(1)
2,3,4 | :,np.array([[0,1],[1,2]])
2,3,4 | range(2)
2,3,4 | (0,1)
2,3,4 | [0,1],(0,1)
2,3,4 | [0,1],[0,1],[0,1],[0,1]
2,3,4 | 0,0,0,0
2,3,4 | tt([0,0,0],'int64')
2,3,4 | :,tt([0,0,2],'int64'),tt([1,1,1],'int64')
2,3,4 | slice(None),slice(0,None,2),-1
2,3,4 | [slice(0,1),1]
2,3,4 | tt(1,'int64'):
2,3,4 | None,None,0,...,None,[0,1]
2,1,2,1,2,1,2,3 | 0,:,[0,1],0,...,[1,2]
2,1,2,1,2,1,2,3 | [0,1]
2,1,2,1,2,1,2,3 | :,:,b(2)
3,0 | :,b(0)
3,0 | [0,1]
0,3 | b(0)
0,3 | :,[0,2]
0,3 | [0]
0,3 | []
3,0 | [0,1],[0,0]
4,5 | b(4,5),None
4,5 | b(4),b(5)
4,5 | b(4),None
4,5 | tt([True,False,True,True],'bool'),tt([0,1,2],'int64')
4,5 | tt([True,False,True,True],'bool'),tt([0,1],'int64')
4,5 | tt(True,'bool')
4,5 | tt(False,'bool')
4,5 | tt(True,'bool'),[0,1]
4,5 | [0,1],tt(True,'bool')
4,5 | 0,tt(True,'bool')
4,5 | True,[0,1]
4,5 | 1:3,True
4,5 | [1,2],True,[1,2]
4,5 | ...,tt(True,'bool')
4,5 | [0,None]
4,5 | {0:1}
4,5 | [[0,1],[0]]
""")
READ = [f"x({shape})[{key}]" for shape, key in (line.split(" | ") for line in KEYS)]
WRITE = [
    f"put(x({shape}), at[{key}], {value})"
    for shape, key in (line.split(" | ") for line in KEYS)
    for value in ("2", "c()", "c(1, 1)", f"c({shape})[{key}]")
    if "uint8" not in key  # a mask of bytes; PyTorch writes through it only by some values
]
CALLS = lines(r"""
L.gather(x(3,4),0,i(3,2,4))
L.gather(x(3,4),1,i(4,3,2))
L.gather(x(3,4),-1,i(4,3,7))
L.gather(x(3,4),dim=1,index=i(4,2,4))
L.gather(x(3,4),1,i(4,4,4))
L.gather(x(3,4),1,it('int64',4,6,3,2))
L.gather(x(3,4),1,it('int64',-3,0,3,2))
L.gather(x(3,4),1,it('int32',0,4,3,2))
L.gather(x(3,4),1,tt([[0.]]))
L.gather(x(3,4),1,i(4,3))
L.gather(x(3,4),2,i(4,3,4))
L.gather(x(),0,i(1))
L.gather(x(),0,i(1,3))
L.gather(x(),0,i(1,1))
L.gather(x(3),0,i(3))
L.gather(x(3),0,i(3,0))
L.gather(x(0),0,i(1,0))
L.gather(x(0),0,i(1,2))
L.gather(x(3,4),1,i(4,0))
L.gather(x(3,4),1,i(4,0,4))
L.gather(x(3,4),1,i(4,3,2),sparse_grad=False)
L.scatter(x(3,4),0,i(3,2,4),x(2,4))
L.scatter(x(3,4),1,i(4,3,1),x(3,4))
L.scatter(x(3,4),0,tt([[0,1,2,0]],'int64'),x(3,4))
L.scatter(x(3,4),0,i(3,1,4),2)
L.scatter(x(3,4),0,i(3,1,4),value=2)
L.scatter(x(3,4),0,i(3,1,4),0.5)
L.scatter(x(3,4),0,i(3,1,4),src=x(3,4))
L.scatter(x(3,4),0,i(3,1,4),True)
L.scatter(x(3,4),0,i(3,2,4),x(2,4),reduce='add')
L.scatter(x(3,4),0,i(3,2,4),x(2,4),reduce='multiply')
L.scatter(x(3,4),0,i(3,2,4),2,reduce='add')
L.scatter(x(3,4),0,i(3,2,4),value=2,reduce='multiply')
L.scatter(x(3,4),0,i(3,2,4),1.5,reduce='multiply')
L.scatter(x(3,4),0,i(3,2,4),x(2,4),reduce='abc')
L.scatter(x(3,4),0,i(3,2,4),xt('float64',2,4))
L.scatter(x(3,4),0,i(3,2,4),xt('int32',2,4))
L.scatter(x(3,4),0,i(3,4,4),x(4,4))
L.scatter(x(3,4),0,i(3,2,5),x(2,5))
L.scatter(x(3,4),0,i(3,2,4),x(1,4))
L.scatter(x(3,4),0,it('int64',3,5,2,4),x(2,4))
L.scatter(x(3,4),0,it('int64',-2,0,2,4),x(2,4))
L.scatter(x(3,4),0,it('int32',0,3,2,4),x(2,4))
L.scatter(x(3,4),0,i(3,2),x(2,4))
L.scatter(x(3,4),0,i(3,0,4),x(0,4))
L.scatter(x(3,4),0,i(3,0),x(0))
L.scatter(x(),0,i(1),x())
L.scatter(x(),0,i(1,1),x(1))
L.scatter(x(),0,i(1),2)
L.scatter(x(3),0,i(3),x())
L.scatter(x(3),0,i(3),2)
L.scatter(x(3,4),2,i(3,2,4),x(2,4))
x(3,4).scatter(0,i(3,2,4),x(2,4))
chg(x(3,4),lambda y:y.scatter_(0,i(3,2,4),c(2,4)))
chg(x(3,4),lambda y:y.scatter_(0,i(3,2,4),2))
chg(x(3,4),lambda y:y.scatter_(0,i(3,2,4),2,reduce='add'))
chg(x(3,4),lambda y:y.scatter_(0,i(3,2,4),c(2,4),reduce='multiply'))
chg(x(3,4),lambda y:y.scatter_(0,i(3,2,4),value=2,reduce='multiply'))
L.scatter_add(x(3,4),0,i(3,2,4),x(2,4))
L.scatter_add(x(3,4),1,i(4,3,9),x(3,9))
L.scatter_add(x(3,4),1,i(4,2,3),x(3,9))
L.scatter_add(x(3,4),1,i(4,3,9),x(3,8))
L.scatter_add(x(3,4),1,i(4,4,9),x(4,9))
L.scatter_add(x(3,4),1,i(4,3,9),xt('float64',3,9))
L.scatter_add(x(3,4),1,it('int64',4,6,3,2),x(3,2))
L.scatter_add(x(3,4),1,i(4,3,0),x(3,0))
L.scatter_add(x(),0,i(1),x())
L.scatter_add(x(3),0,i(3),x())
x(3,4).scatter_add(dim=0,index=i(3,2,4),src=x(2,4))
chg(x(3,4),lambda y:y.scatter_add_(0,i(3,2,4),c(2,4)))
L.scatter_reduce(x(3,4),0,i(3,2,4),x(2,4),'sum')
L.scatter_reduce(x(3,4),0,i(3,2,4),x(2,4),'sum',include_self=False)
L.scatter_reduce(x(3,4),0,i(3,2,4),x(2,4),'prod')
L.scatter_reduce(x(3,4),0,i(3,2,4),x(2,4),reduce='prod',include_self=False)
L.scatter_reduce(x(3,4),0,i(3,2,4),x(2,4),'mean')
L.scatter_reduce(x(3,4),0,i(3,2,4),x(2,4),'mean',include_self=False)
L.scatter_reduce(x(3,4),0,i(3,2,4),x(2,4),'amax')
L.scatter_reduce(x(3,4),0,i(3,2,4),x(2,4),'amin')
L.scatter_reduce(x(3,4),0,i(3,2,4),x(2,4),'amax',include_self=False)
L.scatter_reduce(x(3,4),0,i(3,2,4),x(2,4),'amin',include_self=False)
L.scatter_reduce(x(3,4),0,i(3,2,4),x(2,4),'abc')
L.scatter_reduce(x(),0,i(1),x(),'sum')
L.scatter_reduce(x(3,4),1,i(4,3,9),x(3,9),'mean')
L.scatter_reduce(x(3,4),1,i(4,3,9),x(3,9),'amax',include_self=False)
L.scatter_reduce(x(3,4),0,i(3,0,4),x(0,4),'sum')
chg(x(3,4),lambda y:y.scatter_reduce_(0,i(3,2,4),c(2,4),'amax'))
L.index_add(x(3,4),0,i(3,2),x(2,4))
L.index_add(x(3,4),1,i(4,6),x(3,6))
L.index_add(x(3,4),1,i(4,6),x(3,6),alpha=2)
L.index_add(x(3,4),1,i(4,6),x(3,6),alpha=0.5)
L.index_add(x(3,4),0,i(3,2),x(2,3))
L.index_add(x(3,4),0,i(3,2),x(3,4))
L.index_add(x(3,4),0,i(3,2),x(1,4))
L.index_add(x(3,4),0,i(3,1,2),x(2,4))
L.index_add(x(3,4),0,i(3),x(1,4))
L.index_add(x(3,4),0,i(3),x(4))
L.index_add(x(3,4),0,it('int64',3,5,2),x(2,4))
L.index_add(x(3,4),0,it('int64',-3,0,2),x(2,4))
L.index_add(x(3,4),0,it('int32',0,3,2),x(2,4))
L.index_add(x(3,4),0,tt([0.,1.]),x(2,4))
L.index_add(x(3,4),0,i(3,2),xt('float64',2,4))
L.index_add(x(3,4),0,i(3,0),x(0,4))
L.index_add(x(),0,i(1),x())
L.index_add(x(),0,i(1,1),x())
L.index_add(x(3),0,i(3,4),x(4))
L.index_add(x(2,3,4),-1,i(4,5),x(2,3,5))
x(3,4).index_add(0,i(3,2),x(2,4),alpha=3)
chg(x(3,4),lambda y:y.index_add_(0,i(3,2),c(2,4),alpha=3))
L.index_copy(x(3,4),0,tt([2,0],'int64'),x(2,4))
L.index_copy(x(3,4),0,i(3,2),xt('float64',2,4))
L.index_copy(x(),0,i(1),x())
L.index_fill(x(3,4),0,i(3,2),2)
L.index_fill(x(3,4),1,i(4,2),0.5)
L.index_fill(x(3,4),1,i(4,2),x())
L.index_fill(x(3,4),1,i(4,2),x(2))
L.index_fill(x(3,4),1,it('int64',-4,0,2),1)
L.index_fill(x(3,4),1,it('int64',4,6,2),1)
L.index_fill(x(),0,i(1),1)
chg(x(3,4),lambda y:y.index_fill_(0,i(3,2),2))
chg(x(3,4),lambda y:y.index_copy_(0,tt([2,0],'int64'),c(2,4)))
L.index_select(x(3,4),0,i(3,5))
L.index_select(x(3,4),-1,i(4,2))
L.index_select(x(3,4),1,it('int32',0,4,2))
L.index_select(x(3,4),1,it('int64',4,6,2))
L.index_select(x(3,4),1,it('int64',-3,0,2))
L.index_select(x(3,4),1,i(4,2,2))
L.index_select(x(3,4),1,i(4))
L.index_select(x(3,4),1,tt([0.]))
L.index_select(x(3,4),2,i(3,2))
L.index_select(x(3,4),0,i(3,0))
L.index_select(x(0,4),0,i(3,0))
L.index_select(x(0,4),0,i(3,1))
L.index_select(x(),0,i(1))
L.index_select(x(),0,i(1,1))
L.index_select(x(),0,i(1,2))
L.index_select(x(4),0,i(4))
L.index_select(input=x(3,4),dim=0,index=i(3,2))
L.take(x(3,4),i(12,5))
L.take(x(3,4),i(12,2,3))
L.take(x(3,4),i(12))
L.take(x(3,4),it('int64',-12,0,5))
L.take(x(3,4),it('int64',12,14,5))
L.take(x(3,4),it('int64',0,1,0))
L.take(x(0),it('int64',0,1,0))
L.take(x(0),it('int64',0,1,2))
L.take(x(),i(1,3))
L.take(x(3,4),tt([1.]))
x(3,4).take(index=i(12,5))
L.take_along_dim(x(3,4),i(3,1,4),0)
L.take_along_dim(x(3,4),i(4,3,1),1)
L.take_along_dim(x(3,4),i(3,4),0)
L.take_along_dim(x(1,4),i(1,3,4),0)
L.take_along_dim(x(3,4),i(4,1,2),dim=-1)
L.take_along_dim(x(3,4),it('int64',4,6,3,2),1)
L.take_along_dim(x(3,4),it('int64',-4,0,3,2),1)
L.take_along_dim(x(3,4),tt([[1.]]),1)
L.take_along_dim(x(3,4),i(4,2,2),1)
L.take_along_dim(x(),i(1),0)
L.take_along_dim(x(),i(1))
L.take_along_dim(x(3,4),indices=L.argsort(x(3,4),1),dim=1)
L.masked_fill(x(3,4),b(3,4),2)
L.masked_fill(x(3,4),b(4),2)
L.masked_fill(x(3,4),b(3,1),0.5)
L.masked_fill(x(4),b(3,4),2)
L.masked_fill(x(3,4),b(),2)
L.masked_fill(x(),b(3),2)
L.masked_fill(x(3,4),b(3,4),x())
L.masked_fill(x(3,4),b(3,4),x(1))
L.masked_fill(x(3,4),b(3,4),-inf)
L.masked_fill(x(3,4),b(3,4),True)
L.masked_fill(x(3,4),i(2,3,4),2)
L.masked_fill(x(3,4),b(2,4),2)
L.masked_fill(x(0),b(0),2)
L.masked_fill(x(3,4),mask=b(3,4),value=7)
L.masked_fill(x(3,4),b(3,4),300)
L.masked_fill(x(3,4),b(3,4),-1)
chg(x(3,4),lambda y:y.masked_fill_(b(4),2))
chg(x(3,4),lambda y:y.masked_fill_(b(2,3,4),2))
chg(x(3,4),lambda y:y.masked_fill_(b(3,4),c()))
L.masked_select(x(3,4),b(3,4))
L.masked_select(x(3,4),b(4))
L.masked_select(x(4),b(3,4))
L.masked_select(x(3,1),b(4))
L.masked_select(x(),b())
L.masked_select(x(3,4),b())
L.masked_select(x(0),b(0))
L.masked_select(x(3,4),i(2,3,4))
L.masked_select(x(3,4),b(2,4))
L.masked_scatter(x(3,4),b(3,4),x(12))
L.masked_scatter(x(3,4),b(4),x(3,4))
L.masked_scatter(x(3,4),b(3,4),x(1))
L.masked_scatter(x(3,4),b(3,4),xt('float64',12))
chg(x(3,4),lambda y:y.masked_scatter_(b(3,4),c(12)))
L.where(b(3,4),x(3,4),x(3,4))
L.where(b(3,4),x(4),x(3,1))
L.where(b(3,4),x(4),2)
L.where(b(3,4),1,x(4))
L.where(b(3,4),1,2)
L.where(b(3,4),1.5,2)
L.where(b(3,4),True,2)
L.where(b(3,4),0.5,x(4))
L.where(b(),x(4),x())
L.where(b(3,4),x(3,4),xt('float64',3,4))
L.where(b(3,4),x(3,4),xt('int32',3,4))
L.where(b(3,4),x(3,4),xt('float64'))
L.where(it('uint8',0,2,3,4),x(3,4),x(3,4))
L.where(i(2,3,4),x(3,4),x(3,4))
L.where(x(3,4),x(3,4),x(3,4))
L.where(b(3,4))
L.where(x(3,4))
L.where(x())
L.where(b(2,4),x(3,4),x(3,4))
L.where(b(0),x(0),x(1))
L.where(b(3,4),x(3,4))
x(3,4).where(b(3,4),x(3,4))
x(3,4).where(b(3,4),2)
L.where(condition=b(3,4),input=x(3,4),other=x(4))
L.nonzero(x(3,4))
L.nonzero(x(3,4),as_tuple=True)
L.nonzero(x(3,4),as_tuple=False)
L.nonzero(x())
L.nonzero(x(),as_tuple=True)
L.nonzero(x(0))
L.nonzero(x(0,3),as_tuple=True)
L.nonzero(x(2,1,2,1,2,1,2,3))
x(3,4).nonzero()
L.argwhere(x(3,4))
L.argwhere(x())
L.argwhere(x(3,0))
x(3,4).argwhere()
x(4,5).index_put((tt([0,1],'int64'),),c())
x(4,5).index_put((tt([0,1],'int64'),tt([2,3],'int64')),x(2))
x(4,5).index_put((tt([0,1],'int64'),),x(2,5))
x(4,5).index_put((tt([0,1],'int64'),),x(5))
x(4,5).index_put([tt([0,0,1],'int64')],x(3,5),accumulate=True)
x(4,5).index_put((tt([0,0],'int64'),tt([2,2],'int64')),x(2),True)
x(4,5).index_put((tt([0,0],'int64'),tt([2,2],'int64')),c(),accumulate=True)
x(4,5).index_put((b(4),),c())
x(4,5).index_put((b(4,5),),c())
x(4,5).index_put((tt([-1,-2],'int64'),),c())
x(4,5).index_put((tt([4],'int64'),),c())
x(4,5).index_put((tt([0,1],'int32'),),c())
x(4,5).index_put((tt([0,1],'int64'),),xt('float64',5))
x(4,5).index_put((tt([0,1],'int64'),),x(3))
L.index_put(x(4,5),(tt([0,1],'int64'),),c())
L.index_copy(x(),0,tt([0],'int64'),x(1))
L.index_copy(x(),0,tt([0],'int64'),x())
L.index_copy(x(1),0,tt([0],'int64'),x())
chg(x(4,5),lambda y:y.index_put_((tt([0,0,1],'int64'),),c(3,5),accumulate=True))
chg(x(4,5),lambda y:y.index_put_((b(4),),c()))
chg(x(3),lambda y:y.cumsum_(0))
chg(x(3),lambda y:y.cumprod_(0))
chg(x(3,4),lambda y:y.copy_(c(4)))
chg(x(3,4),lambda y:y.fill_(2))
chg(x(3,4),lambda y:y.fill_(c()))
chg(x(3,4),lambda y:y.zero_())
chg(x(3,4),lambda y:y.diagonal().fill_(7))
chg(x(3,4),lambda y:y[1:].mul_(2))
chg(x(3,4),lambda y:y.T.add_(c(3)))
chg(x(3,4),lambda y:y.view(-1)[::2].zero_())
chg(x(3,4),lambda y:y.unbind(0)[1].add_(1))
chg(x(3,4),lambda y:y.split(2)[0].mul_(2))
chg(x(3,4),lambda y:y.chunk(2,1)[1].mul_(2))
chg(x(3,4),lambda y:y.select(1,2).copy_(c(3)))
chg(x(3,4),lambda y:y.narrow(0,1,2).add_(c(4)))
chg(x(3,4),lambda y:y.sub_(y.clone().sum(0)))
x(3,4).unfold(1,2,1)
x(3,4).unfold(0,3,1)
x(3,4).unfold(1,2,3)
x(3,4).unfold(1,5,1)
x(4).unfold(0,2,2)
L.hsplit(x(4,6),2)
L.vsplit(x(4,6),2)
L.dsplit(x(2,3,4),2)
L.hsplit(x(6),[1,3])
L.hsplit(x(4,6),4)
L.vsplit(x(6),2)
x(2,3).size()[1]
x(2,3).size(-1)
x(2,3).numel()
x(2,3).dim()
tuple(x(2,3).shape)
x(2,3).tolist()
x().tolist()
x(1).item()
x(2).item()
x().item()
""")


@pytest.mark.parametrize("context", VALUES + LAYOUTS, ids=repr)
def test_values(context):
    assert differences(READ + CALLS, [context]) == []


@pytest.mark.parametrize("order", [1, 2])
def test_gradients(order):
    assert differences(READ + CALLS, GRADIENTS, order) == []


@pytest.mark.parametrize("context", [*VALUES[:10], *LAYOUTS], ids=repr)
def test_writing(context):
    assert differences(WRITE, [context]) == []


@pytest.mark.parametrize("order", [1, 2])
def test_gradients_of_writing(order):
    assert differences(WRITE, GRADIENTS[:3], order) == []


def test_known_differences():
    """docs/differences.md: a ninth dimension is refused."""
    call = "x(2, 1, 2, 1, 2, 1, 2, 3)[None]"
    assert difference(call, Context("float32")) is not None
    assert isinstance(outcome(mi, call, Context("float32")), ValueError)
