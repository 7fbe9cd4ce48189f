"""What the pages of ops/ export. Written by tools/stubs.py; do not edit."""

from mielina.tensor import Tensor
from typing import Any

def abs(input: Tensor) -> Tensor:
    """|input|; the gradient at 0 is 0."""
def absolute(input: Tensor) -> Tensor:
    """|input|; the gradient at 0 is 0."""
def acos(input: Tensor) -> Tensor:
    """The inverse cosine, in [0, pi]."""
def acosh(input: Tensor) -> Tensor:
    """The inverse hyperbolic cosine, for input >= 1."""
from mielina.ops.elementwise.arithmetic import add as add
from mielina.ops.gemm import addbmm as addbmm
from mielina.ops.elementwise.arithmetic import addcdiv as addcdiv
from mielina.ops.elementwise.arithmetic import addcmul as addcmul
from mielina.ops.gemm import addmm as addmm
from mielina.ops.gemm import addmv as addmv
from mielina.ops.gemm import addr as addr
from mielina.ops.layout.views import adjoint as adjoint
from mielina.ops.reduce.sums import all as all
from mielina.ops.elementwise.logic import allclose as allclose
from mielina.ops.reduce.extremes import amax as amax
from mielina.ops.reduce.extremes import amin as amin
from mielina.ops.reduce.extremes import aminmax as aminmax
from mielina.ops.reduce.sums import any as any
from mielina.ops.creation import arange as arange
def arccos(input: Tensor) -> Tensor:
    """The inverse cosine, in [0, pi]."""
def arccosh(input: Tensor) -> Tensor:
    """The inverse hyperbolic cosine, for input >= 1."""
def arcsin(input: Tensor) -> Tensor:
    """The inverse sine, in [-pi/2, pi/2]."""
def arcsinh(input: Tensor) -> Tensor:
    """The inverse hyperbolic sine."""
def arctan(input: Tensor) -> Tensor:
    """The inverse tangent, in [-pi/2, pi/2]."""
def arctan2(input: Any, other: Any) -> Tensor:
    """The angle of the point (other, input), in (-pi, pi]."""
def arctanh(input: Tensor) -> Tensor:
    """The inverse hyperbolic tangent, for |input| <= 1."""
from mielina.ops.reduce.extremes import argmax as argmax
from mielina.ops.reduce.extremes import argmin as argmin
from mielina.ops.sort import argsort as argsort
from mielina.ops.index.mask import argwhere as argwhere
from mielina.ops.layout.memory import as_strided as as_strided
from mielina.ops.creation import as_tensor as as_tensor
from mielina.ops.creation import as_tensor as asarray
def asin(input: Tensor) -> Tensor:
    """The inverse sine, in [-pi/2, pi/2]."""
def asinh(input: Tensor) -> Tensor:
    """The inverse hyperbolic sine."""
def atan(input: Tensor) -> Tensor:
    """The inverse tangent, in [-pi/2, pi/2]."""
def atan2(input: Any, other: Any) -> Tensor:
    """The angle of the point (other, input), in (-pi, pi]."""
def atanh(input: Tensor) -> Tensor:
    """The inverse hyperbolic tangent, for |input| <= 1."""
from mielina.ops.layout.join import atleast_1d as atleast_1d
from mielina.ops.layout.join import atleast_2d as atleast_2d
from mielina.ops.layout.join import atleast_3d as atleast_3d
from mielina.ops.gemm import baddbmm as baddbmm
from mielina.ops.random import bernoulli as bernoulli
from mielina.ops.sort import bincount as bincount
def bitwise_and(input: Any, other: Any) -> Tensor:
    """The bits of both; of bools: and. NotImplementedError for floating tensors."""
def bitwise_left_shift(input: Any, other: Any) -> Tensor:
    """input 2^other, without the bits that leave the dtype."""
from mielina.ops.elementwise.logic import bitwise_not as bitwise_not
def bitwise_or(input: Any, other: Any) -> Tensor:
    """The bits of either; of bools: or. NotImplementedError for floating tensors."""
def bitwise_right_shift(input: Any, other: Any) -> Tensor:
    """floor(input / 2^other)."""
def bitwise_xor(input: Any, other: Any) -> Tensor:
    """The bits of exactly one; of bools: xor. NotImplementedError for floating tensors."""
from mielina.ops.layout.join import block_diag as block_diag
from mielina.ops.gemm import bmm as bmm
from mielina.ops.layout.views import broadcast_tensors as broadcast_tensors
from mielina.ops.layout.views import broadcast_to as broadcast_to
from mielina.ops.sort import bucketize as bucketize
from mielina.ops.layout.join import cartesian_prod as cartesian_prod
from mielina.ops.elementwise.conversion import cast as cast
from mielina.ops.layout.join import cat as cat
from mielina.ops.loss.distance import cdist as cdist
def ceil(input: Tensor) -> Tensor:
    """The smallest integer >= input. Integers stay as they are."""
from mielina.ops.elementwise.activation import celu as celu
from mielina.ops.elementwise.activation import celu_ as celu_
from mielina.ops.layout.memory import channels_last as channels_last
from mielina.ops.layout.memory import channels_last_3d as channels_last_3d
from mielina.ops.layout.join import chunk as chunk
from mielina.ops.elementwise.order import clamp as clamp
from mielina.ops.elementwise.order import clamp_max as clamp_max
from mielina.ops.elementwise.order import clamp_min as clamp_min
from mielina.ops.elementwise.order import clamp as clip
from mielina.ops.elementwise.conversion import clone as clone
from mielina.ops.layout.join import column_stack as column_stack
from mielina.ops.layout.join import cat as concat
from mielina.ops.layout.join import cat as concatenate
from mielina.ops.layout.memory import contiguous as contiguous
from mielina.ops.layout.memory import contiguous_format as contiguous_format
def copysign(input: Any, other: Any) -> Tensor:
    """|input| with the sign of other (of -0, too)."""
from mielina.ops.reduce.moments import corrcoef as corrcoef
def cos(input: Tensor) -> Tensor:
    """The cosine."""
def cosh(input: Tensor) -> Tensor:
    """The hyperbolic cosine."""
from mielina.ops.loss.distance import cosine_similarity as cosine_similarity
from mielina.ops.reduce.sums import count_nonzero as count_nonzero
from mielina.ops.reduce.moments import cov as cov
from mielina.ops.scan import cummax as cummax
from mielina.ops.scan import cummin as cummin
from mielina.ops.scan import cumprod as cumprod
from mielina.ops.scan import cumsum as cumsum
from mielina.ops.scan import cumulative_trapezoid as cumulative_trapezoid
from mielina.ops.elementwise.functions import deg2rad as deg2rad
from mielina.ops.layout.join import diag as diag
from mielina.ops.layout.join import diag_embed as diag_embed
from mielina.ops.layout.views import diagonal as diagonal
from mielina.ops.scan import diff as diff
def digamma(input: Tensor) -> Tensor:
    """The derivative of lgamma; NaN at the poles."""
from mielina.ops.reduce.sums import dist as dist
from mielina.ops.elementwise.arithmetic import div as div
from mielina.ops.elementwise.arithmetic import div as divide
from mielina.ops.gemm import dot as dot
from mielina.ops.random import dropout as dropout
def dsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """`tensor_split` along dimension 2, into equal parts."""
from mielina.ops.layout.join import dstack as dstack
from mielina.ops.gemm import einsum as einsum
from mielina.ops.elementwise.activation import elu_ as elu_
from mielina.ops.creation import empty as empty
from mielina.ops.creation import empty_like as empty_like
def eq(input: Any, other: Any) -> Tensor:
    """input == other, broadcast: a bool tensor."""
from mielina.ops.elementwise.logic import equal as equal
def erf(input: Tensor) -> Tensor:
    """2 / sqrt(pi) times the integral of exp(-t^2) from 0 to input."""
def erfc(input: Tensor) -> Tensor:
    """1 - erf(input), exact for large input."""
def erfinv(input: Tensor) -> Tensor:
    """The inverse of erf, on [-1, 1]."""
def exp(input: Tensor) -> Tensor:
    """e^input."""
def exp2(input: Tensor) -> Tensor:
    """2^input."""
from mielina.ops.layout.views import expand as expand
from mielina.ops.layout.views import expand_as as expand_as
def expm1(input: Tensor) -> Tensor:
    """e^input - 1, exact near 0."""
from mielina.ops.creation import eye as eye
def fix(input: Tensor) -> Tensor:
    """The integer part, toward 0."""
from mielina.ops.layout.views import flatten as flatten
from mielina.ops.layout.rearrange import flip as flip
from mielina.ops.layout.rearrange import fliplr as fliplr
from mielina.ops.layout.rearrange import flipud as flipud
def floor(input: Tensor) -> Tensor:
    """The largest integer <= input. Integers stay as they are."""
def floor_divide(input: Any, other: Any) -> Tensor:
    """floor(input / other), in the operands' dtype. RuntimeError: an integer divided by 0."""
def fmax(input: Any, other: Any) -> Tensor:
    """The larger of two; a number wins over NaN."""
def fmin(input: Any, other: Any) -> Tensor:
    """The smaller of two; a number wins over NaN."""
def fmod(input: Any, other: Any) -> Tensor:
    """input - trunc(input / other) other, exactly: the sign of input, as C's fmod."""
def frac(input: Tensor) -> Tensor:
    """input - trunc(input)."""
from mielina.ops.creation import from_dlpack as from_dlpack
from mielina.ops.creation import from_numpy as from_numpy
from mielina.ops.creation import full as full
from mielina.ops.creation import full_like as full_like
from mielina.ops.index.along import gather as gather
def ge(input: Any, other: Any) -> Tensor:
    """input >= other, broadcast: a bool tensor; False beside NaN."""
from mielina.ops.gemm import ger as ger
def greater(input: Any, other: Any) -> Tensor:
    """input > other, broadcast: a bool tensor; False beside NaN."""
def greater_equal(input: Any, other: Any) -> Tensor:
    """input >= other, broadcast: a bool tensor; False beside NaN."""
from mielina.ops.rnn import gru_cell as gru_cell
def gt(input: Any, other: Any) -> Tensor:
    """input > other, broadcast: a bool tensor; False beside NaN."""
from mielina.ops.elementwise.activation import hardshrink as hardshrink
def heaviside(input: Any, other: Any) -> Tensor:
    """0 where input < 0, `other` where input = 0, 1 where input > 0."""
from mielina.ops.sort import histc as histc
def hsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """`tensor_split` along dimension 1 (0 for vectors), into equal parts."""
from mielina.ops.layout.join import hstack as hstack
def hypot(input: Any, other: Any) -> Tensor:
    """sqrt(input^2 + other^2) without overflow."""
from mielina.ops.layout.views import identity as identity
from mielina.ops.index.along import index_add as index_add
from mielina.ops.index.along import index_copy as index_copy
from mielina.ops.index.along import index_fill as index_fill
from mielina.ops.index.getitem import index_put as index_put
from mielina.ops.index.along import index_select as index_select
from mielina.ops.gemm import inner as inner
from mielina.ops.layout.memory import is_contiguous as is_contiguous
from mielina.ops.elementwise.logic import isclose as isclose
def isfinite(input: Tensor) -> Tensor:
    """Whether each element is neither infinite nor NaN."""
from mielina.ops.sort import isin as isin
def isinf(input: Tensor) -> Tensor:
    """Whether each element is infinite."""
def isnan(input: Tensor) -> Tensor:
    """Whether each element is NaN."""
def isneginf(input: Tensor) -> Tensor:
    """Whether each element is -inf."""
def isposinf(input: Tensor) -> Tensor:
    """Whether each element is +inf."""
from mielina.ops.gemm import kron as kron
from mielina.ops.sort import kthvalue as kthvalue
def le(input: Any, other: Any) -> Tensor:
    """input <= other, broadcast: a bool tensor; False beside NaN."""
from mielina.ops.elementwise.activation import leaky_relu_ as leaky_relu_
from mielina.ops.elementwise.arithmetic import lerp as lerp
def less(input: Any, other: Any) -> Tensor:
    """input < other, broadcast: a bool tensor; False beside NaN."""
def less_equal(input: Any, other: Any) -> Tensor:
    """input <= other, broadcast: a bool tensor; False beside NaN."""
def lgamma(input: Tensor) -> Tensor:
    """log |Gamma(input)|."""
from mielina.ops.creation import linspace as linspace
def log(input: Tensor) -> Tensor:
    """The natural logarithm; -inf at 0, NaN for negative numbers."""
def log10(input: Tensor) -> Tensor:
    """The logarithm to base 10."""
def log1p(input: Tensor) -> Tensor:
    """log(1 + input), exact near 0."""
def log2(input: Tensor) -> Tensor:
    """The logarithm to base 2."""
from mielina.ops.softmax import log_softmax as log_softmax
def logaddexp(input: Any, other: Any) -> Tensor:
    """log(exp(input) + exp(other)) without overflow."""
def logaddexp2(input: Any, other: Any) -> Tensor:
    """log2(2^input + 2^other) without overflow."""
from mielina.ops.scan import logcumsumexp as logcumsumexp
def logical_and(input: Any, other: Any) -> Tensor:
    """Whether both are not 0."""
def logical_not(input: Tensor) -> Tensor:
    """Whether each element is 0."""
def logical_or(input: Any, other: Any) -> Tensor:
    """Whether one is not 0."""
def logical_xor(input: Any, other: Any) -> Tensor:
    """Whether exactly one is not 0."""
from mielina.ops.elementwise.functions import logit as logit
from mielina.ops.creation import logspace as logspace
from mielina.ops.reduce.sums import logsumexp as logsumexp
from mielina.ops.rnn import lstm_cell as lstm_cell
def lt(input: Any, other: Any) -> Tensor:
    """input < other, broadcast: a bool tensor; False beside NaN."""
from mielina.ops.index.mask import masked_fill as masked_fill
from mielina.ops.index.mask import masked_scatter as masked_scatter
from mielina.ops.index.mask import masked_select as masked_select
from mielina.ops.gemm import matmul as matmul
from mielina.ops.reduce.extremes import max as max
def maximum(input: Any, other: Any) -> Tensor:
    """The larger of two, NaN if either is NaN; ties share the gradient."""
from mielina.ops.reduce.sums import mean as mean
from mielina.ops.reduce.order import median as median
from mielina.ops.layout.join import meshgrid as meshgrid
from mielina.ops.reduce.extremes import min as min
def minimum(input: Any, other: Any) -> Tensor:
    """The smaller of two, NaN if either is NaN; ties share the gradient."""
from mielina.ops.gemm import mm as mm
from mielina.ops.sort import mode as mode
from mielina.ops.layout.views import movedim as moveaxis
from mielina.ops.layout.views import movedim as movedim
from mielina.ops.sort import msort as msort
def mul(input: Any, other: Any) -> Tensor:
    """input * other, broadcast. Of bools: and."""
from mielina.ops.random import multinomial as multinomial
def multiply(input: Any, other: Any) -> Tensor:
    """input * other, broadcast. Of bools: and."""
from mielina.ops.gemm import mv as mv
from mielina.ops.elementwise.logic import nan_to_num as nan_to_num
from mielina.ops.reduce.sums import nanmean as nanmean
from mielina.ops.reduce.order import nanmedian as nanmedian
from mielina.ops.reduce.order import nanquantile as nanquantile
from mielina.ops.reduce.sums import nansum as nansum
from mielina.ops.layout.views import narrow as narrow
def ne(input: Any, other: Any) -> Tensor:
    """input != other, broadcast: a bool tensor."""
def neg(input: Tensor) -> Tensor:
    """-input. RuntimeError for bool tensors."""
def negative(input: Tensor) -> Tensor:
    """-input. RuntimeError for bool tensors."""
from mielina.ops.index.mask import nonzero as nonzero
from mielina.ops.reduce.sums import norm as norm
from mielina.ops.random import normal as normal
def not_equal(input: Any, other: Any) -> Tensor:
    """input != other, broadcast: a bool tensor."""
from mielina.ops.creation import ones as ones
from mielina.ops.creation import ones_like as ones_like
from mielina.ops.gemm import outer as outer
from mielina.ops.loss.distance import pairwise_distance as pairwise_distance
from mielina.ops.layout.views import permute as permute
from mielina.ops.elementwise.functions import polygamma as polygamma
from mielina.ops.elementwise.arithmetic import positive as positive
from mielina.ops.elementwise.arithmetic import pow as pow
from mielina.ops.elementwise.activation import prelu as prelu
from mielina.ops.layout.memory import preserve_format as preserve_format
from mielina.ops.reduce.sums import prod as prod
from mielina.ops.reduce.order import quantile as quantile
from mielina.ops.elementwise.functions import rad2deg as rad2deg
from mielina.ops.random import rand as rand
from mielina.ops.random import rand_like as rand_like
from mielina.ops.random import randint as randint
from mielina.ops.random import randint_like as randint_like
from mielina.ops.random import randn as randn
from mielina.ops.random import randn_like as randn_like
from mielina.ops.random import randperm as randperm
from mielina.ops.layout.views import ravel as ravel
def reciprocal(input: Tensor) -> Tensor:
    """1 / input."""
from mielina.ops.elementwise.activation import relu as relu
def relu_(input: Tensor, inplace: bool = False) -> Tensor:
    """`relu` into this tensor's own memory; returns it."""
def remainder(input: Any, other: Any) -> Tensor:
    """input - floor(input / other) other, exactly: the sign of other, as Python's %."""
from mielina.ops.layout.rearrange import repeat as repeat
from mielina.ops.layout.rearrange import repeat_interleave as repeat_interleave
from mielina.ops.layout.views import reshape as reshape
from mielina.ops.layout.views import reshape_as as reshape_as
from mielina.ops.rnn import rnn_relu_cell as rnn_relu_cell
from mielina.ops.rnn import rnn_tanh_cell as rnn_tanh_cell
from mielina.ops.layout.rearrange import roll as roll
from mielina.ops.layout.rearrange import rot90 as rot90
from mielina.ops.elementwise.order import round as round
from mielina.ops.layout.join import vstack as row_stack
from mielina.ops.elementwise.activation import rrelu as rrelu
from mielina.ops.elementwise.activation import rrelu_ as rrelu_
def rsqrt(input: Tensor) -> Tensor:
    """1 / sqrt(input)."""
from mielina.ops.elementwise.arithmetic import rsub as rsub
from mielina.ops.creation import scalar_tensor as scalar_tensor
from mielina.ops.index.along import scatter as scatter
from mielina.ops.index.along import scatter_add as scatter_add
from mielina.ops.index.reduce import scatter_reduce as scatter_reduce
from mielina.ops.sort import searchsorted as searchsorted
from mielina.ops.layout.views import select as select
from mielina.ops.elementwise.activation import selu as selu
from mielina.ops.elementwise.activation import selu_ as selu_
def sgn(input: Tensor) -> Tensor:
    """-1, 0 or 1."""
def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + exp(-input))."""
def sign(input: Tensor) -> Tensor:
    """-1, 0 or 1."""
def signbit(input: Tensor) -> Tensor:
    """Whether the sign is minus, of -0 and NaN too."""
def sin(input: Tensor) -> Tensor:
    """The sine; arguments of any size are reduced exactly."""
def sinc(input: Tensor) -> Tensor:
    """sin(pi input) / (pi input), and 1 at 0."""
def sinh(input: Tensor) -> Tensor:
    """The hyperbolic sine."""
from mielina.ops.softmax import softmax as softmax
from mielina.ops.sort import sort as sort
from mielina.ops.layout.join import split as split
from mielina.ops.layout.join import split_with_sizes as split_with_sizes
def sqrt(input: Tensor) -> Tensor:
    """The square root; NaN for negative numbers."""
def square(input: Tensor) -> Tensor:
    """input^2."""
from mielina.ops.layout.views import squeeze as squeeze
from mielina.ops.layout.join import stack as stack
from mielina.ops.reduce.moments import std as std
from mielina.ops.reduce.moments import std_mean as std_mean
from mielina.ops.elementwise.arithmetic import sub as sub
from mielina.ops.elementwise.arithmetic import sub as subtract
from mielina.ops.reduce.sums import sum as sum
from mielina.ops.reduce.sums import sum_to as sum_to
from mielina.ops.layout.views import swapaxes as swapaxes
from mielina.ops.layout.views import transpose as swapdims
from mielina.ops.layout.views import t as t
from mielina.ops.index.along import take as take
from mielina.ops.index.along import take_along_dim as take_along_dim
def tan(input: Tensor) -> Tensor:
    """The tangent."""
def tanh(input: Tensor) -> Tensor:
    """The hyperbolic tangent."""
from mielina.ops.creation import tensor as tensor
from mielina.ops.layout.join import tensor_split as tensor_split
from mielina.ops.gemm import tensordot as tensordot
from mielina.ops.elementwise.activation import threshold as threshold
from mielina.ops.elementwise.activation import threshold_ as threshold_
from mielina.ops.layout.rearrange import tile as tile
from mielina.ops.elementwise.conversion import to as to
from mielina.ops.sort import topk as topk
from mielina.ops.layout.join import trace as trace
from mielina.ops.layout.views import transpose as transpose
from mielina.ops.scan import trapezoid as trapezoid
from mielina.ops.scan import trapezoid as trapz
from mielina.ops.layout.rearrange import tril as tril
from mielina.ops.layout.rearrange import tril_indices as tril_indices
from mielina.ops.layout.rearrange import triu as triu
from mielina.ops.layout.rearrange import triu_indices as triu_indices
from mielina.ops.elementwise.arithmetic import div as true_divide
def trunc(input: Tensor) -> Tensor:
    """The integer part, toward 0."""
from mielina.ops.layout.join import unbind as unbind
from mielina.ops.layout.views import unflatten as unflatten
from mielina.ops.sort import unique as unique
from mielina.ops.sort import unique_consecutive as unique_consecutive
from mielina.ops.layout.views import unsqueeze as unsqueeze
from mielina.ops.reduce.moments import var as var
from mielina.ops.reduce.moments import var_mean as var_mean
from mielina.ops.gemm import vdot as vdot
from mielina.ops.layout.views import view as view
from mielina.ops.layout.views import view_as as view_as
def vsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """`tensor_split` along dimension 0, into equal parts."""
from mielina.ops.layout.join import vstack as vstack
from mielina.ops.elementwise.logic import where as where
def xlogy(input: Any, other: Any) -> Tensor:
    """input log(other), and 0 where input is 0 (unless other is NaN)."""
from mielina.ops.creation import zeros as zeros
from mielina.ops.creation import zeros_like as zeros_like
