"""What the pages of ops/ attach to Tensor. Written by tools/stubs.py; do not edit."""

import builtins
from collections.abc import Iterator
from mielina._core import TensorBase
from mielina.dtypes import dtype as DType
from mielina.ops.layout.memory import memory_format
from mielina.ops.reduce.extremes import Extreme, MinMax
from mielina.random import Generator
from mielina.tensor import Tensor
from typing import Any

class Methods(TensorBase):
    @property
    def H(self) -> Tensor:
        """The transpose of a matrix; vectors and numbers stay as they are. RuntimeError beyond two dimensions."""
    @property
    def T(self) -> Tensor:
        """All axes in reverse order."""
    def __abs__(self) -> Tensor:
        """|input|; the gradient at 0 is 0."""
    def __contains__(self, element: Any) -> builtins.bool:
        """Whether any element equals the number or (broadcast) the tensor. RuntimeError: neither."""
    def __dlpack__(self, *, stream: Any = None, max_version: tuple[builtins.int, builtins.int] | None = None, dl_device: tuple[builtins.int, builtins.int] | None = None, copy: builtins.bool | None = None) -> Any:
        """A DLPack capsule of this tensor's memory: of version 1.0 if the consumer knows it, else unversioned."""
    def __dlpack_device__(self) -> tuple[builtins.int, builtins.int]:
        """(device type, number): (1, 0) for the CPU, (2, k) for card k."""
    def __getitem__(self, key: Any) -> Tensor: ...
    def __iadd__(self, other: Any, *, alpha: Any = 1) -> Tensor:
        """`add` into this tensor's own memory; returns it."""
    def __iand__(self, other: Any) -> Tensor:
        """`bitwise_and` into this tensor's own memory; returns it."""
    def __ifloordiv__(self, other: Any) -> Tensor:
        """`floor_divide` into this tensor's own memory; returns it."""
    def __ilshift__(self, other: Any) -> Tensor:
        """`bitwise_left_shift` into this tensor's own memory; returns it."""
    def __imod__(self, other: Any) -> Tensor:
        """`remainder` into this tensor's own memory; returns it."""
    def __imul__(self, other: Any) -> Tensor:
        """`mul` into this tensor's own memory; returns it."""
    def __invert__(self) -> Tensor: ...
    def __ior__(self, other: Any) -> Tensor:
        """`bitwise_or` into this tensor's own memory; returns it."""
    def __ipow__(self, exponent: Any) -> Tensor:
        """`pow` into this tensor's own memory; returns it."""
    def __irshift__(self, other: Any) -> Tensor:
        """`bitwise_right_shift` into this tensor's own memory; returns it."""
    def __isub__(self, other: Any, *, alpha: Any = 1) -> Tensor:
        """`sub` into this tensor's own memory; returns it."""
    def __iter__(self) -> Iterator[Tensor]: ...
    def __itruediv__(self, other: Any, *, rounding_mode: str | None = None) -> Tensor:
        """`div` into this tensor's own memory; returns it."""
    def __ixor__(self, other: Any) -> Tensor:
        """`bitwise_xor` into this tensor's own memory; returns it."""
    def __matmul__(self, other: Tensor) -> Tensor:
        """Matrix product: (..., M, K) by (..., K, N) with broadcast batches; vectors act as a row on the left, a column on the right, and their axis is removed. Integers wrap."""
    def __pos__(self) -> Tensor:
        """input itself. RuntimeError for bool tensors."""
    def __rmatmul__(self, other: Any) -> Tensor:
        """other @ self."""
    def __round__(self, ndigits: builtins.int | None = None) -> Tensor: ...
    def __setitem__(self, key: Any, value: Any) -> None: ...
    def abs(self) -> Tensor:
        """|input|; the gradient at 0 is 0."""
    def abs_(self) -> Tensor:
        """`abs` into this tensor's own memory; returns it."""
    def absolute(self) -> Tensor:
        """|input|; the gradient at 0 is 0."""
    def absolute_(self) -> Tensor:
        """`abs` into this tensor's own memory; returns it."""
    def acos(self) -> Tensor:
        """The inverse cosine, in [0, pi]."""
    def acos_(self) -> Tensor:
        """`acos` into this tensor's own memory; returns it."""
    def acosh(self) -> Tensor:
        """The inverse hyperbolic cosine, for input >= 1."""
    def acosh_(self) -> Tensor:
        """`acosh` into this tensor's own memory; returns it."""
    def add(self, other: Any, *, alpha: Any = 1) -> Tensor:
        """input + alpha * other, broadcast; dtypes promote as PyTorch's. Of bools: or."""
    def add_(self, other: Any, *, alpha: Any = 1) -> Tensor:
        """`add` into this tensor's own memory; returns it."""
    def addbmm(self, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
        """beta input + alpha times the sum of a batch of products: one product with the batch among the inner sizes."""
    def addbmm_(self, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
        """`addbmm` into this tensor's own memory; returns it."""
    def addcdiv(self, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Tensor:
        """input + value tensor1 / tensor2, broadcast. RuntimeError for integers."""
    def addcdiv_(self, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Tensor:
        """`addcdiv` into this tensor's own memory; returns it."""
    def addcmul(self, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Tensor:
        """input + value tensor1 tensor2, broadcast."""
    def addcmul_(self, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Tensor:
        """`addcmul` into this tensor's own memory; returns it."""
    def addmm(self, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
        """beta input + alpha mat1 mat2; input: anything that expands to the product. beta = 0 ignores input, NaN too."""
    def addmm_(self, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
        """`addmm` into this tensor's own memory; returns it."""
    def addmv(self, mat: Tensor, vec: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
        """beta input + alpha mat vec."""
    def addmv_(self, mat: Tensor, vec: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
        """`addmv` into this tensor's own memory; returns it."""
    def addr(self, vec1: Tensor, vec2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
        """beta input + alpha times the outer product of two vectors."""
    def addr_(self, vec1: Tensor, vec2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
        """`addr` into this tensor's own memory; returns it."""
    def adjoint(self) -> Tensor:
        """The last two axes exchanged: of real numbers, the adjoint matrices. RuntimeError: a number or a vector."""
    def all(self, dim: Any = None, keepdim: builtins.bool = False, *, axis: Any = None, keepdims: builtins.bool | None = None) -> Tensor:
        """Whether no element is zero. bool; uint8 for uint8. dim=() reduces nothing."""
    def allclose(self, other: Tensor, rtol: builtins.float = 1e-05, atol: builtins.float = 1e-08, equal_nan: builtins.bool = False) -> builtins.bool:
        """Whether all elements are close, as isclose has it."""
    def amax(self, dim: Any = (), keepdim: builtins.bool = False, *, axis: Any = None, keepdims: builtins.bool | None = None) -> Tensor:
        """The largest over `dim`; NaN if there is one. The gradient is split evenly among equals."""
    def amin(self, dim: Any = (), keepdim: builtins.bool = False, *, axis: Any = None, keepdims: builtins.bool | None = None) -> Tensor:
        """The smallest over `dim`; NaN if there is one. The gradient is split evenly among equals."""
    def aminmax(self, *, dim: builtins.int | None = None, keepdim: builtins.bool = False) -> MinMax:
        """The smallest and the largest over `dim`, in one pass."""
    def any(self, dim: Any = None, keepdim: builtins.bool = False, *, axis: Any = None, keepdims: builtins.bool | None = None) -> Tensor:
        """Whether some element is not zero (NaN is not). bool; uint8 for uint8. dim=() reduces nothing."""
    def arccos(self) -> Tensor:
        """The inverse cosine, in [0, pi]."""
    def arccos_(self) -> Tensor:
        """`acos` into this tensor's own memory; returns it."""
    def arccosh(self) -> Tensor:
        """The inverse hyperbolic cosine, for input >= 1."""
    def arccosh_(self) -> Tensor:
        """`acosh` into this tensor's own memory; returns it."""
    def arcsin(self) -> Tensor:
        """The inverse sine, in [-pi/2, pi/2]."""
    def arcsin_(self) -> Tensor:
        """`asin` into this tensor's own memory; returns it."""
    def arcsinh(self) -> Tensor:
        """The inverse hyperbolic sine."""
    def arcsinh_(self) -> Tensor:
        """`asinh` into this tensor's own memory; returns it."""
    def arctan(self) -> Tensor:
        """The inverse tangent, in [-pi/2, pi/2]."""
    def arctan2(self, other: Any) -> Tensor:
        """The angle of the point (other, input), in (-pi, pi]."""
    def arctan2_(self, other: Any) -> Tensor:
        """`atan2` into this tensor's own memory; returns it."""
    def arctan_(self) -> Tensor:
        """`atan` into this tensor's own memory; returns it."""
    def arctanh(self) -> Tensor:
        """The inverse hyperbolic tangent, for |input| <= 1."""
    def arctanh_(self) -> Tensor:
        """`atanh` into this tensor's own memory; returns it."""
    def argmax(self, dim: builtins.int | None = None, keepdim: builtins.bool = False, *, axis: Any = None, keepdims: builtins.bool | None = None) -> Tensor:
        """The first index of the largest (in the flattened tensor without `dim`), int64; NaN counts as the largest."""
    def argmin(self, dim: builtins.int | None = None, keepdim: builtins.bool = False, *, axis: Any = None, keepdims: builtins.bool | None = None) -> Tensor:
        """The first index of the smallest (in the flattened tensor without `dim`), int64; NaN counts as the smallest."""
    def argsort(self, dim: builtins.int = -1, descending: builtins.bool = False, stable: builtins.bool = True) -> Tensor:
        """The indices that sort input along `dim`, int64."""
    def argwhere(self) -> Tensor:
        """Where input is not zero: (n, ndim) int64."""
    def as_strided(self, size: Any, stride: Any, storage_offset: builtins.int | None = None) -> Tensor:
        """A window of any shape and strides (in elements) on input's memory. RuntimeError where it reaches outside."""
    def asin(self) -> Tensor:
        """The inverse sine, in [-pi/2, pi/2]."""
    def asin_(self) -> Tensor:
        """`asin` into this tensor's own memory; returns it."""
    def asinh(self) -> Tensor:
        """The inverse hyperbolic sine."""
    def asinh_(self) -> Tensor:
        """`asinh` into this tensor's own memory; returns it."""
    def atan(self) -> Tensor:
        """The inverse tangent, in [-pi/2, pi/2]."""
    def atan2(self, other: Any) -> Tensor:
        """The angle of the point (other, input), in (-pi, pi]."""
    def atan2_(self, other: Any) -> Tensor:
        """`atan2` into this tensor's own memory; returns it."""
    def atan_(self) -> Tensor:
        """`atan` into this tensor's own memory; returns it."""
    def atanh(self) -> Tensor:
        """The inverse hyperbolic tangent, for |input| <= 1."""
    def atanh_(self) -> Tensor:
        """`atanh` into this tensor's own memory; returns it."""
    def baddbmm(self, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
        """`addmm` for each pair of matrices of two batches."""
    def baddbmm_(self, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
        """`baddbmm` into this tensor's own memory; returns it."""
    def bernoulli(self, p: builtins.float | None = None, *, generator: Generator | None = None) -> Tensor:
        """1 with probability input[i] (or p), else 0, in input's dtype. RuntimeError: a probability outside [0, 1]."""
    def bernoulli_(self, p: Any = 0.5, *, generator: Generator | None = None) -> Tensor:
        """Fills with 1 (probability p, a number or a tensor) and 0."""
    def bfloat16(self) -> Tensor:
        """self as bfloat16."""
    def bincount(self, weights: Tensor | None = None, minlength: builtins.int = 0) -> Tensor:
        """y_v = how many elements are v (int64), or the sum of their weights (float64; float32 for float32 weights)."""
    def bitwise_and(self, other: Any) -> Tensor:
        """The bits of both; of bools: and. NotImplementedError for floating tensors."""
    def bitwise_and_(self, other: Any) -> Tensor:
        """`bitwise_and` into this tensor's own memory; returns it."""
    def bitwise_left_shift(self, other: Any) -> Tensor:
        """input 2^other, without the bits that leave the dtype."""
    def bitwise_left_shift_(self, other: Any) -> Tensor:
        """`bitwise_left_shift` into this tensor's own memory; returns it."""
    def bitwise_not(self) -> Tensor:
        """All bits turned; of bools: not. NotImplementedError for floating tensors."""
    def bitwise_not_(self) -> Tensor:
        """`bitwise_not` into this tensor's own memory; returns it."""
    def bitwise_or(self, other: Any) -> Tensor:
        """The bits of either; of bools: or. NotImplementedError for floating tensors."""
    def bitwise_or_(self, other: Any) -> Tensor:
        """`bitwise_or` into this tensor's own memory; returns it."""
    def bitwise_right_shift(self, other: Any) -> Tensor:
        """floor(input / 2^other)."""
    def bitwise_right_shift_(self, other: Any) -> Tensor:
        """`bitwise_right_shift` into this tensor's own memory; returns it."""
    def bitwise_xor(self, other: Any) -> Tensor:
        """The bits of exactly one; of bools: xor. NotImplementedError for floating tensors."""
    def bitwise_xor_(self, other: Any) -> Tensor:
        """`bitwise_xor` into this tensor's own memory; returns it."""
    def bmm(self, mat2: Tensor) -> Tensor:
        """`matmul` of two batches of matrices of equal length. RuntimeError: other ranks or lengths."""
    def bool(self) -> Tensor:
        """self as bool."""
    def broadcast_to(self, size: Any) -> Tensor:
        """input.expand(size)."""
    def bucketize(self, boundaries: Tensor, *, out_int32: builtins.bool = False, right: builtins.bool = False) -> Tensor:
        """The i with boundaries[i - 1] < x <= boundaries[i], or <= and < if `right`. boundaries: (n), sorted."""
    def byte(self) -> Tensor:
        """self as uint8."""
    def ceil(self) -> Tensor:
        """The smallest integer >= input. Integers stay as they are."""
    def ceil_(self) -> Tensor:
        """`ceil` into this tensor's own memory; returns it."""
    def char(self) -> Tensor:
        """self as int8."""
    def chunk(self, chunks: builtins.int, dim: builtins.int = 0) -> tuple[Tensor, ...]:
        """At most `chunks` parts of size ceil(n / chunks), as views."""
    def clamp(self, min: Any = None, max: Any = None) -> Tensor:
        """minimum(maximum(input, min), max): NaN stays, and max wins where min > max. Bounds are numbers or tensors."""
    def clamp_(self, min: Any = None, max: Any = None) -> Tensor:
        """`clamp` into this tensor's own memory; returns it."""
    def clamp_max(self, max: Any) -> Tensor:
        """The smaller of input and max."""
    def clamp_max_(self, max: Any) -> Tensor:
        """`clamp_max` into this tensor's own memory; returns it."""
    def clamp_min(self, min: Any) -> Tensor:
        """The larger of input and min."""
    def clamp_min_(self, min: Any) -> Tensor:
        """`clamp_min` into this tensor's own memory; returns it."""
    def clip(self, min: Any = None, max: Any = None) -> Tensor:
        """minimum(maximum(input, min), max): NaN stays, and max wins where min > max. Bounds are numbers or tensors."""
    def clip_(self, min: Any = None, max: Any = None) -> Tensor:
        """`clamp` into this tensor's own memory; returns it."""
    def clone(self, *, memory_format: Any = ...) -> Tensor:
        """A copy of the data with the same history; dense tensors keep their stride order, or take `memory_format`'s."""
    def contiguous(self, *, memory_format: memory_format = ...) -> Tensor:
        """The tensor itself if its elements lie in C order (or in that of `memory_format`), else a copy whose do."""
    def copy_(self, src: Any, non_blocking: builtins.bool = False) -> Tensor:
        """Copies src (broadcast, converted) into this tensor's memory."""
    def copysign(self, other: Any) -> Tensor:
        """|input| with the sign of other (of -0, too)."""
    def copysign_(self, other: Any) -> Tensor:
        """`copysign` into this tensor's own memory; returns it."""
    def corrcoef(self) -> Tensor:
        """Pearson's correlation coefficients of the rows of input, clipped to [-1, 1]."""
    def cos(self) -> Tensor:
        """The cosine."""
    def cos_(self) -> Tensor:
        """`cos` into this tensor's own memory; returns it."""
    def cosh(self) -> Tensor:
        """The hyperbolic cosine."""
    def cosh_(self) -> Tensor:
        """`cosh` into this tensor's own memory; returns it."""
    def count_nonzero(self, dim: Any = None, *, axis: Any = None) -> Tensor:
        """How many elements are not zero, int64."""
    def cov(self, *, correction: builtins.int = 1, fweights: Tensor | None = None, aweights: Tensor | None = None) -> Tensor:
        """The covariance matrix of the rows of input (variables) over its columns (observations)."""
    def cummax(self, dim: builtins.int) -> Extreme:
        """The running maximum along `dim` and the last index at which it was reached; NaN stays from its first place on."""
    def cummin(self, dim: builtins.int) -> Extreme:
        """The running minimum along `dim` and the last index at which it was reached; NaN stays from its first place on."""
    def cumprod(self, dim: builtins.int | None = None, *, dtype: DType | None = None, axis: builtins.int | None = None) -> Tensor:
        """y_i = x_0 ... x_i along `dim`; integers and bool become int64."""
    def cumprod_(self, dim: builtins.int | None = None, *, dtype: DType | None = None, axis: builtins.int | None = None) -> Tensor:
        """`cumprod` into this tensor's own memory; returns it. Leaves that require gradients refuse outside no_grad()."""
    def cumsum(self, dim: builtins.int | None = None, *, dtype: DType | None = None, axis: builtins.int | None = None) -> Tensor:
        """y_i = x_0 + ... + x_i along `dim`; integers and bool become int64. Floats add up in double."""
    def cumsum_(self, dim: builtins.int | None = None, *, dtype: DType | None = None, axis: builtins.int | None = None) -> Tensor:
        """`cumsum` into this tensor's own memory; returns it. Leaves that require gradients refuse outside no_grad()."""
    def deg2rad(self) -> Tensor:
        """Degrees as radians."""
    def deg2rad_(self) -> Tensor:
        """`deg2rad` into this tensor's own memory; returns it."""
    def diag(self, diagonal: builtins.int = 0) -> Tensor:
        """The square matrix with this diagonal; or a copy of the diagonal of a matrix."""
    def diag_embed(self, offset: builtins.int = 0, dim1: builtins.int = -2, dim2: builtins.int = -1) -> Tensor:
        """Matrices in the axes dim1 and dim2 of the result, with input's last axis on their diagonals."""
    def diagonal(self, offset: builtins.int = 0, dim1: builtins.int = 0, dim2: builtins.int = 1) -> Tensor:
        """The diagonals of the matrices in dim1 and dim2 as a new last axis, as a view."""
    def diff(self, n: builtins.int = 1, dim: builtins.int = -1, prepend: Tensor | None = None, append: Tensor | None = None) -> Tensor:
        """The n-th difference x_{i+1} - x_i along `dim`, of input with `prepend` and `append` around it; xor for bool."""
    def digamma(self) -> Tensor:
        """The derivative of lgamma; NaN at the poles."""
    def digamma_(self) -> Tensor:
        """`digamma` into this tensor's own memory; returns it."""
    def dist(self, other: Tensor, p: builtins.float = 2) -> Tensor:
        """The p-norm of input - other, broadcast."""
    def div(self, other: Any, *, rounding_mode: str | None = None) -> Tensor:
        """input / other, broadcast; integers give the default floating dtype."""
    def div_(self, other: Any, *, rounding_mode: str | None = None) -> Tensor:
        """`div` into this tensor's own memory; returns it."""
    def divide(self, other: Any, *, rounding_mode: str | None = None) -> Tensor:
        """input / other, broadcast; integers give the default floating dtype."""
    def divide_(self, other: Any, *, rounding_mode: str | None = None) -> Tensor:
        """`div` into this tensor's own memory; returns it."""
    def dot(self, other: Tensor) -> Tensor:
        """The sum of the products of two vectors, a 0-dim tensor. RuntimeError: other ranks."""
    def double(self) -> Tensor:
        """self as float64."""
    def dsplit(self, indices_or_sections: Any) -> tuple[Tensor, ...]:
        """`tensor_split` along dimension 2, into equal parts."""
    def eq(self, other: Any) -> Tensor:
        """input == other, broadcast: a bool tensor."""
    def eq_(self, other: Any) -> Tensor:
        """`eq` into this tensor's own memory; returns it."""
    def equal(self, other: Tensor) -> builtins.bool:
        """Whether both have one shape and equal elements."""
    def erf(self) -> Tensor:
        """2 / sqrt(pi) times the integral of exp(-t^2) from 0 to input."""
    def erf_(self) -> Tensor:
        """`erf` into this tensor's own memory; returns it."""
    def erfc(self) -> Tensor:
        """1 - erf(input), exact for large input."""
    def erfc_(self) -> Tensor:
        """`erfc` into this tensor's own memory; returns it."""
    def erfinv(self) -> Tensor:
        """The inverse of erf, on [-1, 1]."""
    def erfinv_(self) -> Tensor:
        """`erfinv` into this tensor's own memory; returns it."""
    def exp(self) -> Tensor:
        """e^input."""
    def exp2(self) -> Tensor:
        """2^input."""
    def exp2_(self) -> Tensor:
        """`exp2` into this tensor's own memory; returns it."""
    def exp_(self) -> Tensor:
        """`exp` into this tensor's own memory; returns it."""
    def expand(self, *sizes: Any, size: Any = None) -> Tensor:
        """Axes of size 1 repeated without copying (stride 0); -1 keeps a size."""
    def expand_as(self, other: Tensor) -> Tensor:
        """input.expand(other.shape)."""
    def expm1(self) -> Tensor:
        """e^input - 1, exact near 0."""
    def expm1_(self) -> Tensor:
        """`expm1` into this tensor's own memory; returns it."""
    def fill_(self, value: Any) -> Tensor:
        """`value`, a number or a 0-dim tensor, everywhere in this tensor's memory."""
    def fix(self) -> Tensor:
        """The integer part, toward 0."""
    def fix_(self) -> Tensor:
        """`trunc` into this tensor's own memory; returns it."""
    def flatten(self, start_dim: builtins.int = 0, end_dim: builtins.int = -1) -> Tensor:
        """The axes from start_dim to end_dim as one; a 0-dim tensor becomes a vector. RuntimeError: wrong order."""
    def flip(self, *axes: Any, dims: Any = None) -> Tensor:
        """A copy in the reverse order along `dims`. RuntimeError: a repeated dim."""
    def fliplr(self) -> Tensor:
        """Columns in reverse order. RuntimeError: fewer than two dimensions."""
    def flipud(self) -> Tensor:
        """Rows in reverse order. RuntimeError: a 0-dim input."""
    def float(self) -> Tensor:
        """self as float32."""
    def floor(self) -> Tensor:
        """The largest integer <= input. Integers stay as they are."""
    def floor_(self) -> Tensor:
        """`floor` into this tensor's own memory; returns it."""
    def floor_divide(self, other: Any) -> Tensor:
        """floor(input / other), in the operands' dtype. RuntimeError: an integer divided by 0."""
    def floor_divide_(self, other: Any) -> Tensor:
        """`floor_divide` into this tensor's own memory; returns it."""
    def fmax(self, other: Any) -> Tensor:
        """The larger of two; a number wins over NaN."""
    def fmin(self, other: Any) -> Tensor:
        """The smaller of two; a number wins over NaN."""
    def fmod(self, other: Any) -> Tensor:
        """input - trunc(input / other) other, exactly: the sign of input, as C's fmod."""
    def fmod_(self, other: Any) -> Tensor:
        """`fmod` into this tensor's own memory; returns it."""
    def frac(self) -> Tensor:
        """input - trunc(input)."""
    def frac_(self) -> Tensor:
        """`frac` into this tensor's own memory; returns it."""
    def gather(self, dim: builtins.int, index: Tensor, *, sparse_grad: builtins.bool = False) -> Tensor:
        """y[i][j] = input[index[i][j]][j] for dim 0, and so on. index: integers, no larger than input along other axes."""
    def ge(self, other: Any) -> Tensor:
        """input >= other, broadcast: a bool tensor; False beside NaN."""
    def ge_(self, other: Any) -> Tensor:
        """`ge` into this tensor's own memory; returns it."""
    def ger(self, vec2: Tensor) -> Tensor:
        """`outer` under the name that it has in BLAS."""
    def greater(self, other: Any) -> Tensor:
        """input > other, broadcast: a bool tensor; False beside NaN."""
    def greater_(self, other: Any) -> Tensor:
        """`gt` into this tensor's own memory; returns it."""
    def greater_equal(self, other: Any) -> Tensor:
        """input >= other, broadcast: a bool tensor; False beside NaN."""
    def greater_equal_(self, other: Any) -> Tensor:
        """`ge` into this tensor's own memory; returns it."""
    def gt(self, other: Any) -> Tensor:
        """input > other, broadcast: a bool tensor; False beside NaN."""
    def gt_(self, other: Any) -> Tensor:
        """`gt` into this tensor's own memory; returns it."""
    def half(self) -> Tensor:
        """self as float16."""
    def hardshrink(self, lambd: builtins.float = 0.5) -> Tensor:
        """0 where |x| <= lambd, else x."""
    def heaviside(self, other: Any) -> Tensor:
        """0 where input < 0, `other` where input = 0, 1 where input > 0."""
    def heaviside_(self, other: Any) -> Tensor:
        """`heaviside` into this tensor's own memory; returns it."""
    def histc(self, bins: builtins.int = 100, min: builtins.float = 0, max: builtins.float = 0) -> Tensor:
        """How many elements fall into each of `bins` equal parts of [min, max], or of the data's range if min = max."""
    def hsplit(self, indices_or_sections: Any) -> tuple[Tensor, ...]:
        """`tensor_split` along dimension 1 (0 for vectors), into equal parts."""
    def hypot(self, other: Any) -> Tensor:
        """sqrt(input^2 + other^2) without overflow."""
    def hypot_(self, other: Any) -> Tensor:
        """`hypot` into this tensor's own memory; returns it."""
    def index_add(self, dim: builtins.int, index: Tensor, source: Tensor, *, alpha: Any = 1) -> Tensor:
        """A copy of input whose slices at index[i] got alpha times the i-th slice of source added, in order."""
    def index_add_(self, dim: builtins.int, index: Tensor, source: Tensor, *, alpha: Any = 1) -> Tensor:
        """`index_add` into this tensor's own memory; returns it. Leaves that require gradients refuse outside no_grad()."""
    def index_copy(self, dim: builtins.int, index: Tensor, tensor: Tensor) -> Tensor:
        """A copy of input whose slices at index[i] are the slices of `tensor`; of repeated ones the last."""
    def index_copy_(self, dim: builtins.int, index: Tensor, tensor: Tensor) -> Tensor:
        """`index_copy` into this tensor's own memory; returns it. Leaves that require gradients refuse outside no_grad()."""
    def index_fill(self, dim: builtins.int, index: Tensor, value: Any) -> Tensor:
        """A copy of input with `value` (a number or a 0-dim tensor) in the slices at `index`; negative ones count from the end. IndexError: an index out of range."""
    def index_fill_(self, dim: builtins.int, index: Tensor, value: Any) -> Tensor:
        """`index_fill` into this tensor's own memory; returns it. Leaves that require gradients refuse outside no_grad()."""
    def index_put(self, indices: Any, values: Any, accumulate: builtins.bool = False) -> Tensor:
        """A copy of input with values at input[indices] (added, if `accumulate`; else the last of several counts)."""
    def index_put_(self, indices: Any, values: Any, accumulate: builtins.bool = False) -> Tensor:
        """`index_put` into this tensor's own memory; returns it."""
    def index_select(self, dim: builtins.int, index: Tensor) -> Tensor:
        """The slices at `index`, a vector, along `dim`. RuntimeError: an index outside [0, size)."""
    def inner(self, other: Tensor) -> Tensor:
        """The sum of products over the last axis of both; numbers multiply. RuntimeError: the last sizes differ."""
    def int(self) -> Tensor:
        """self as int32."""
    def is_contiguous(self, *, memory_format: memory_format = ...) -> builtins.bool:
        """Whether the elements lie in C order, or in that of `memory_format`."""
    def isclose(self, other: Tensor, rtol: builtins.float = 1e-05, atol: builtins.float = 1e-08, equal_nan: builtins.bool = False) -> Tensor:
        """|input - other| <= atol + rtol |other|, or equal (infinities too); NaN is close to NaN if `equal_nan`."""
    def isfinite(self) -> Tensor:
        """Whether each element is neither infinite nor NaN."""
    def isinf(self) -> Tensor:
        """Whether each element is infinite."""
    def isnan(self) -> Tensor:
        """Whether each element is NaN."""
    def isneginf(self) -> Tensor:
        """Whether each element is -inf."""
    def isposinf(self) -> Tensor:
        """Whether each element is +inf."""
    def kron(self, other: Tensor) -> Tensor:
        """The Kronecker product: each element of input times the whole of other, as blocks of one tensor."""
    def kthvalue(self, k: builtins.int, dim: builtins.int = -1, keepdim: builtins.bool = False) -> Extreme:
        """The k-th smallest along `dim` (k from 1) and its index."""
    def le(self, other: Any) -> Tensor:
        """input <= other, broadcast: a bool tensor; False beside NaN."""
    def le_(self, other: Any) -> Tensor:
        """`le` into this tensor's own memory; returns it."""
    def lerp(self, end: Tensor, weight: Any) -> Tensor:
        """input + weight (end - input), broadcast; weight 1 gives `end` exactly."""
    def lerp_(self, end: Tensor, weight: Any) -> Tensor:
        """`lerp` into this tensor's own memory; returns it."""
    def less(self, other: Any) -> Tensor:
        """input < other, broadcast: a bool tensor; False beside NaN."""
    def less_(self, other: Any) -> Tensor:
        """`lt` into this tensor's own memory; returns it."""
    def less_equal(self, other: Any) -> Tensor:
        """input <= other, broadcast: a bool tensor; False beside NaN."""
    def less_equal_(self, other: Any) -> Tensor:
        """`le` into this tensor's own memory; returns it."""
    def lgamma(self) -> Tensor:
        """log |Gamma(input)|."""
    def lgamma_(self) -> Tensor:
        """`lgamma` into this tensor's own memory; returns it."""
    def log(self) -> Tensor:
        """The natural logarithm; -inf at 0, NaN for negative numbers."""
    def log10(self) -> Tensor:
        """The logarithm to base 10."""
    def log10_(self) -> Tensor:
        """`log10` into this tensor's own memory; returns it."""
    def log1p(self) -> Tensor:
        """log(1 + input), exact near 0."""
    def log1p_(self) -> Tensor:
        """`log1p` into this tensor's own memory; returns it."""
    def log2(self) -> Tensor:
        """The logarithm to base 2."""
    def log2_(self) -> Tensor:
        """`log2` into this tensor's own memory; returns it."""
    def log_(self) -> Tensor:
        """`log` into this tensor's own memory; returns it."""
    def log_softmax(self, dim: builtins.int | None = None, dtype: DType | None = None, *, _stacklevel: builtins.int = 3) -> Tensor:
        """log(softmax(input, dim)), without the detour: y_i = x_i - m - log sum_j exp(x_j - m)."""
    def logaddexp(self, other: Any) -> Tensor:
        """log(exp(input) + exp(other)) without overflow."""
    def logaddexp2(self, other: Any) -> Tensor:
        """log2(2^input + 2^other) without overflow."""
    def logcumsumexp(self, dim: builtins.int) -> Tensor:
        """y_i = log(exp x_0 + ... + exp x_i) along `dim`, without overflow. Integers become floating."""
    def logical_and(self, other: Any) -> Tensor:
        """Whether both are not 0."""
    def logical_and_(self, other: Any) -> Tensor:
        """`logical_and` into this tensor's own memory; returns it."""
    def logical_not(self) -> Tensor:
        """Whether each element is 0."""
    def logical_not_(self) -> Tensor:
        """`logical_not` into this tensor's own memory; returns it."""
    def logical_or(self, other: Any) -> Tensor:
        """Whether one is not 0."""
    def logical_or_(self, other: Any) -> Tensor:
        """`logical_or` into this tensor's own memory; returns it."""
    def logical_xor(self, other: Any) -> Tensor:
        """Whether exactly one is not 0."""
    def logical_xor_(self, other: Any) -> Tensor:
        """`logical_xor` into this tensor's own memory; returns it."""
    def logit(self, eps: builtins.float | None = None) -> Tensor:
        """log(input / (1 - input)), the inverse of sigmoid; `eps` first moves the input into [eps, 1 - eps]."""
    def logit_(self, eps: builtins.float | None = None) -> Tensor:
        """`logit` into this tensor's own memory; returns it."""
    def logsumexp(self, dim: Any, keepdim: builtins.bool = False) -> Tensor:
        """log sum exp(x) over `dim`, in one pass and without overflow; -inf of nothing. Integers become floating."""
    def long(self) -> Tensor:
        """self as int64."""
    def lt(self, other: Any) -> Tensor:
        """input < other, broadcast: a bool tensor; False beside NaN."""
    def lt_(self, other: Any) -> Tensor:
        """`lt` into this tensor's own memory; returns it."""
    @property
    def mH(self) -> Tensor:
        """The last two axes exchanged: of real numbers, the adjoint matrices. RuntimeError: a number or a vector."""
    @property
    def mT(self) -> Tensor:
        """The last two axes exchanged: of real numbers, the adjoint matrices. RuntimeError: a number or a vector."""
    def masked_fill(self, mask: Tensor, value: Any) -> Tensor:
        """`value` (a number or a 0-dim tensor) where the mask is True, else input; both broadcast. RuntimeError: mask not bool."""
    def masked_fill_(self, mask: Tensor, value: Any) -> Tensor:
        """`masked_fill` into this tensor's own memory; returns it. Leaves that require gradients refuse outside no_grad()."""
    def masked_scatter(self, mask: Tensor, source: Tensor) -> Tensor:
        """A copy of input in which the elements under the mask are those of source, in order. RuntimeError: source is too short."""
    def masked_scatter_(self, mask: Tensor, source: Tensor) -> Tensor:
        """`masked_scatter` into this tensor's own memory; returns it. Leaves that require gradients refuse outside no_grad()."""
    def masked_select(self, mask: Tensor) -> Tensor:
        """The elements where the mask is True, in a row; both broadcast. RuntimeError: mask not bool."""
    def matmul(self, other: Tensor) -> Tensor:
        """Matrix product: (..., M, K) by (..., K, N) with broadcast batches; vectors act as a row on the left, a column on the right, and their axis is removed. Integers wrap."""
    def max(self, dim: Any = None, keepdim: builtins.bool = False, *, other: Any = None, axis: Any = None, keepdims: builtins.bool | None = None) -> Any:
        """max(x): the largest of all. max(x, dim): (values, first index). max(x, other): maximum(x, other)."""
    def maximum(self, other: Any) -> Tensor:
        """The larger of two, NaN if either is NaN; ties share the gradient."""
    def mean(self, dim: Any = None, keepdim: builtins.bool = False, *, dtype: DType | None = None, axis: Any = None, keepdims: builtins.bool | None = None) -> Tensor:
        """Mean over `dim`; NaN of nothing. RuntimeError for integers without a floating `dtype`."""
    def median(self, dim: Any = None, keepdim: builtins.bool = False) -> Any:
        """The middle element, the lower of two; NaN if there is one. (values, indices) along `dim`."""
    def min(self, dim: Any = None, keepdim: builtins.bool = False, *, other: Any = None, axis: Any = None, keepdims: builtins.bool | None = None) -> Any:
        """min(x): the smallest of all. min(x, dim): (values, first index). min(x, other): minimum(x, other)."""
    def minimum(self, other: Any) -> Tensor:
        """The smaller of two, NaN if either is NaN; ties share the gradient."""
    def mm(self, mat2: Tensor) -> Tensor:
        """`matmul` of two matrices. RuntimeError: other ranks."""
    def mode(self, dim: builtins.int = -1, keepdim: builtins.bool = False) -> Extreme:
        """The most frequent element along `dim`, the smallest of equally frequent ones, and an index of it (PyTorch's)."""
    def moveaxis(self, source: Any, destination: Any) -> Tensor:
        """The axes `source` at the places `destination`, the others in their order around them."""
    def movedim(self, source: Any, destination: Any) -> Tensor:
        """The axes `source` at the places `destination`, the others in their order around them."""
    def msort(self) -> Tensor:
        """Sorted along the first dimension."""
    def mul(self, other: Any) -> Tensor:
        """input * other, broadcast. Of bools: and."""
    def mul_(self, other: Any) -> Tensor:
        """`mul` into this tensor's own memory; returns it."""
    def multinomial(self, num_samples: builtins.int, replacement: builtins.bool = False, *, generator: Generator | None = None) -> Tensor:
        """`num_samples` indices drawn from each row of weights (N, C) or (C), as int64."""
    def multiply(self, other: Any) -> Tensor:
        """input * other, broadcast. Of bools: and."""
    def multiply_(self, other: Any) -> Tensor:
        """`mul` into this tensor's own memory; returns it."""
    def mv(self, vec: Tensor) -> Tensor:
        """`matmul` of a matrix and a vector. RuntimeError: other ranks."""
    def nan_to_num(self, nan: builtins.float | None = None, posinf: builtins.float | None = None, neginf: builtins.float | None = None) -> Tensor:
        """NaN replaced by `nan` (0), infinities by `posinf` and `neginf` (the largest and smallest number of the dtype)."""
    def nan_to_num_(self, nan: builtins.float | None = None, posinf: builtins.float | None = None, neginf: builtins.float | None = None) -> Tensor:
        """`nan_to_num` into this tensor's own memory; returns it."""
    def nanmean(self, dim: Any = None, keepdim: builtins.bool = False, *, dtype: DType | None = None, axis: Any = None, keepdims: builtins.bool | None = None) -> Tensor:
        """Mean over `dim` of what is not NaN. RuntimeError for integers."""
    def nanmedian(self, dim: Any = None, keepdim: builtins.bool = False) -> Any:
        """The median of what is not NaN."""
    def nanquantile(self, q: Any, dim: builtins.int | None = None, keepdim: builtins.bool = False, *, interpolation: str = 'linear') -> Tensor:
        """The quantile of what is not NaN."""
    def nansum(self, dim: Any = None, keepdim: builtins.bool = False, *, dtype: DType | None = None, axis: Any = None, keepdims: builtins.bool | None = None) -> Tensor:
        """Sum over `dim` with NaN as 0."""
    def narrow(self, dim: builtins.int, start: Any, length: builtins.int) -> Tensor:
        """`length` elements from `start` along `dim`, as a view."""
    def ne(self, other: Any) -> Tensor:
        """input != other, broadcast: a bool tensor."""
    def ne_(self, other: Any) -> Tensor:
        """`ne` into this tensor's own memory; returns it."""
    def neg(self) -> Tensor:
        """-input. RuntimeError for bool tensors."""
    def neg_(self) -> Tensor:
        """`neg` into this tensor's own memory; returns it."""
    def negative(self) -> Tensor:
        """-input. RuntimeError for bool tensors."""
    def negative_(self) -> Tensor:
        """`neg` into this tensor's own memory; returns it."""
    def new_empty(self, *args: Any, dtype: DType | None = None, device: Any = None, requires_grad: builtins.bool = False, **kwargs: Any) -> Tensor:
        """`mielina.empty` with this tensor's dtype and device, unless others are given."""
    def new_full(self, *args: Any, dtype: DType | None = None, device: Any = None, requires_grad: builtins.bool = False, **kwargs: Any) -> Tensor:
        """`mielina.full` with this tensor's dtype and device, unless others are given."""
    def new_ones(self, *args: Any, dtype: DType | None = None, device: Any = None, requires_grad: builtins.bool = False, **kwargs: Any) -> Tensor:
        """`mielina.ones` with this tensor's dtype and device, unless others are given."""
    def new_tensor(self, *args: Any, dtype: DType | None = None, device: Any = None, requires_grad: builtins.bool = False, **kwargs: Any) -> Tensor:
        """`mielina.tensor` with this tensor's dtype and device, unless others are given."""
    def new_zeros(self, *args: Any, dtype: DType | None = None, device: Any = None, requires_grad: builtins.bool = False, **kwargs: Any) -> Tensor:
        """`mielina.zeros` with this tensor's dtype and device, unless others are given."""
    def nonzero(self, *, as_tuple: builtins.bool = False) -> Any:
        """Where input is not zero, in C order: (n, ndim) int64, or a vector for each axis. RuntimeError while recording."""
    def norm(self, p: Any = 'fro', dim: Any = None, keepdim: builtins.bool = False, dtype: DType | None = None) -> Tensor:
        """(sum |x|^p)^(1/p) over `dim`; inf and -inf: the largest and smallest |x|; 0: how many are not zero."""
    def normal_(self, mean: builtins.float = 0.0, std: builtins.float = 1.0, *, generator: Generator | None = None) -> Tensor:
        """Fills with normal numbers."""
    def not_equal(self, other: Any) -> Tensor:
        """input != other, broadcast: a bool tensor."""
    def not_equal_(self, other: Any) -> Tensor:
        """`ne` into this tensor's own memory; returns it."""
    def outer(self, vec2: Tensor) -> Tensor:
        """y[i, j] = input[i] vec2[j], dtypes promoted. RuntimeError: not vectors."""
    def permute(self, *order: Any, dims: Any = None) -> Tensor:
        """The axes in another order, as a view."""
    def polygamma(self, n: builtins.int) -> Tensor:
        """The n-th derivative of digamma at self."""
    def polygamma_(self, n: builtins.int) -> Tensor:
        """`polygamma` into this tensor's own memory; returns it."""
    def positive(self) -> Tensor:
        """input itself. RuntimeError for bool tensors."""
    def pow(self, exponent: Any) -> Tensor:
        """input^exponent, broadcast; either may be a number."""
    def pow_(self, exponent: Any) -> Tensor:
        """`pow` into this tensor's own memory; returns it."""
    def prelu(self, weight: Tensor) -> Tensor:
        """x where x > 0, else weight x; weight: one number, or one a channel (axis 1). Source: He et al. 2015."""
    def prod(self, dim: Any = None, keepdim: builtins.bool = False, *, dtype: DType | None = None, axis: Any = None, keepdims: builtins.bool | None = None) -> Tensor:
        """Product over `dim`. Integers and bool multiply in int64."""
    def quantile(self, q: Any, dim: builtins.int | None = None, keepdim: builtins.bool = False, *, interpolation: str = 'linear') -> Tensor:
        """The element at place q (n - 1) of the sorted ones, interpolated between neighbours; NaN if there is one."""
    def rad2deg(self) -> Tensor:
        """Radians as degrees."""
    def rad2deg_(self) -> Tensor:
        """`rad2deg` into this tensor's own memory; returns it."""
    def random_(self, low: builtins.int | None = None, high: builtins.int | None = None, *, generator: Generator | None = None) -> Tensor:
        """Fills with whole numbers in [low, high); random_(high) starts at 0, random_() takes what the dtype holds exactly."""
    def ravel(self) -> Tensor:
        """All elements in one row."""
    def reciprocal(self) -> Tensor:
        """1 / input."""
    def reciprocal_(self) -> Tensor:
        """`reciprocal` into this tensor's own memory; returns it."""
    def relu(self, inplace: builtins.bool = False) -> Tensor:
        """max(x, 0); NaN stays NaN. Keeps shape, dtype and stride order. Source: Nair & Hinton 2010."""
    def relu_(self, inplace: builtins.bool = False) -> Tensor:
        """`relu` into this tensor's own memory; returns it."""
    def remainder(self, other: Any) -> Tensor:
        """input - floor(input / other) other, exactly: the sign of other, as Python's %."""
    def remainder_(self, other: Any) -> Tensor:
        """`remainder` into this tensor's own memory; returns it."""
    def repeat(self, *times: Any, repeats: Any = None) -> Tensor:
        """The whole tensor so many times along each axis; missing leading axes are added."""
    def repeat_interleave(self, repeats: Any = None, dim: builtins.int | None = None, *, output_size: builtins.int | None = None) -> Tensor:
        """Each slice along `dim` (each element, without) so many times in a row; `repeats` an int or a vector of them."""
    def reshape(self, *sizes: Any, shape: Any = None) -> Tensor:
        """The same elements in C order under another shape (one size may be -1): a view where strides allow it, else a copy."""
    def reshape_as(self, other: Tensor) -> Tensor:
        """input.reshape(other.shape)."""
    def roll(self, shifts: Any, dims: Any = None) -> Tensor:
        """What leaves at one end of an axis comes in at the other; without `dims`, of the elements in a row."""
    def rot90(self, k: builtins.int = 1, dims: Any = (0, 1)) -> Tensor:
        """The planes in `dims` turned by k * 90 degrees, from the first axis towards the second."""
    def round(self, *, decimals: builtins.int = 0) -> Tensor:
        """The nearest number with so many decimals (negative: tens, hundreds); halves to even."""
    def round_(self, *, decimals: builtins.int = 0) -> Tensor:
        """`round` into this tensor's own memory; returns it."""
    def rsqrt(self) -> Tensor:
        """1 / sqrt(input)."""
    def rsqrt_(self) -> Tensor:
        """`rsqrt` into this tensor's own memory; returns it."""
    def rsub(self, other: Any, *, alpha: Any = 1) -> Tensor:
        """other - alpha * input."""
    def scatter(self, dim: builtins.int, index: Tensor, src: Any = None, *, value: Any = None, reduce: str | None = None) -> Tensor:
        """A copy of input with y[index[i][j]][j] = src[i][j] for dim 0, and so on; src (or `value`) may be a number."""
    def scatter_(self, dim: builtins.int, index: Tensor, src: Any = None, *, value: Any = None, reduce: str | None = None) -> Tensor:
        """`scatter` into this tensor's own memory; returns it. Leaves that require gradients refuse outside no_grad()."""
    def scatter_add(self, dim: builtins.int, index: Tensor, src: Tensor) -> Tensor:
        """A copy of input with y[index[i][j]][j] += src[i][j] for dim 0, and so on, in the order of src."""
    def scatter_add_(self, dim: builtins.int, index: Tensor, src: Tensor) -> Tensor:
        """`scatter_add` into this tensor's own memory; returns it. Leaves that require gradients refuse outside no_grad()."""
    def scatter_reduce(self, dim: builtins.int, index: Tensor, src: Tensor, reduce: str, *, include_self: builtins.bool = True) -> Tensor:
        """A copy of input in which y[index[i][j]][j] (for dim 0, and so on) is reduced with all src[i][j] that go there."""
    def scatter_reduce_(self, dim: builtins.int, index: Tensor, src: Tensor, reduce: str, *, include_self: builtins.bool = True) -> Tensor:
        """`scatter_reduce` into this tensor's own memory; returns it. Leaves that require gradients refuse outside no_grad()."""
    def select(self, dim: builtins.int, index: builtins.int) -> Tensor:
        """The slice at `index` along `dim`, one axis fewer, as a view."""
    def sgn(self) -> Tensor:
        """-1, 0 or 1."""
    def sgn_(self) -> Tensor:
        """`sign` into this tensor's own memory; returns it."""
    def short(self) -> Tensor:
        """self as int16."""
    def sigmoid(self) -> Tensor:
        """1 / (1 + exp(-input))."""
    def sigmoid_(self) -> Tensor:
        """`sigmoid` into this tensor's own memory; returns it."""
    def sign(self) -> Tensor:
        """-1, 0 or 1."""
    def sign_(self) -> Tensor:
        """`sign` into this tensor's own memory; returns it."""
    def signbit(self) -> Tensor:
        """Whether the sign is minus, of -0 and NaN too."""
    def sin(self) -> Tensor:
        """The sine; arguments of any size are reduced exactly."""
    def sin_(self) -> Tensor:
        """`sin` into this tensor's own memory; returns it."""
    def sinc(self) -> Tensor:
        """sin(pi input) / (pi input), and 1 at 0."""
    def sinc_(self) -> Tensor:
        """`sinc` into this tensor's own memory; returns it."""
    def sinh(self) -> Tensor:
        """The hyperbolic sine."""
    def sinh_(self) -> Tensor:
        """`sinh` into this tensor's own memory; returns it."""
    def softmax(self, dim: builtins.int | None = None, dtype: DType | None = None, *, _stacklevel: builtins.int = 3) -> Tensor:
        """Softmax along `dim`: y_i = exp(x_i - m) / sum_j exp(x_j - m), m = max(x)."""
    def sort(self, dim: builtins.int = -1, descending: builtins.bool = False, stable: builtins.bool = True) -> Extreme:
        """(values, indices), in order along `dim`. Equal elements keep their order, asked for or not. NaN last, or first if descending. The gradient goes back to where the elements came from."""
    def split(self, split_size_or_sections: Any, dim: builtins.int = 0) -> tuple[Tensor, ...]:
        """Parts of one size (the last may be smaller) or of the given sizes, as views."""
    def split_with_sizes(self, split_sizes: Any, dim: builtins.int = 0) -> tuple[Tensor, ...]:
        """Parts of the given sizes, as views. RuntimeError: the sizes do not add up to input's."""
    def sqrt(self) -> Tensor:
        """The square root; NaN for negative numbers."""
    def sqrt_(self) -> Tensor:
        """`sqrt` into this tensor's own memory; returns it."""
    def square(self) -> Tensor:
        """input^2."""
    def square_(self) -> Tensor:
        """`square` into this tensor's own memory; returns it."""
    def squeeze(self, dim: Any = None) -> Tensor:
        """Axes of size 1 removed (all, or those in `dim`), as a view. RuntimeError: one of them twice."""
    def squeeze_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`squeeze` of this very tensor, which keeps its memory; returns it."""
    def std(self, dim: Any = None, unbiased: builtins.bool | None = None, keepdim: builtins.bool = False, *, correction: builtins.float | None = None, axis: Any = None, keepdims: builtins.bool | None = None) -> Tensor:
        """The square root of `var`. The gradient where it is 0 is 0."""
    def sub(self, other: Any, *, alpha: Any = 1) -> Tensor:
        """input - alpha * other, broadcast. RuntimeError for bool tensors, and for alpha as in add."""
    def sub_(self, other: Any, *, alpha: Any = 1) -> Tensor:
        """`sub` into this tensor's own memory; returns it."""
    def subtract(self, other: Any, *, alpha: Any = 1) -> Tensor:
        """input - alpha * other, broadcast. RuntimeError for bool tensors, and for alpha as in add."""
    def subtract_(self, other: Any, *, alpha: Any = 1) -> Tensor:
        """`sub` into this tensor's own memory; returns it."""
    def sum(self, dim: Any = None, keepdim: builtins.bool = False, *, dtype: DType | None = None, axis: Any = None, keepdims: builtins.bool | None = None) -> Tensor:
        """Sum over `dim`. Integers and bool add up in int64; `dtype` converts first. IndexError: `dim` out of range."""
    def swapaxes(self, axis0: builtins.int, axis1: builtins.int) -> Tensor:
        """`transpose` under NumPy's name."""
    def swapaxes_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`swapaxes` of this very tensor, which keeps its memory; returns it."""
    def swapdims(self, dim0: builtins.int, dim1: builtins.int) -> Tensor:
        """Two axes exchanged, as a view."""
    def swapdims_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`transpose` of this very tensor, which keeps its memory; returns it."""
    def t(self) -> Tensor:
        """The transpose of a matrix; vectors and numbers stay as they are. RuntimeError beyond two dimensions."""
    def t_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`t` of this very tensor, which keeps its memory; returns it."""
    def take(self, index: Tensor) -> Tensor:
        """Elements of input in a row, by their places (negative ones count from the end), in index's shape."""
    def take_along_dim(self, indices: Tensor, dim: builtins.int | None = None) -> Tensor:
        """`gather` with both broadcast along the other axes; without `dim`, of the elements in a row."""
    def tan(self) -> Tensor:
        """The tangent."""
    def tan_(self) -> Tensor:
        """`tan` into this tensor's own memory; returns it."""
    def tanh(self) -> Tensor:
        """The hyperbolic tangent."""
    def tanh_(self) -> Tensor:
        """`tanh` into this tensor's own memory; returns it."""
    def tensor_split(self, indices_or_sections: Any, dim: builtins.int = 0) -> tuple[Tensor, ...]:
        """That many parts of sizes that differ by at most one, or the parts between the given places, as views."""
    def tile(self, *times: Any, dims: Any = None) -> Tensor:
        """`repeat`, with ones for missing numbers."""
    def to(self, *args: Any, dtype: DType | None = None, device: Any = None, non_blocking: builtins.bool = False, copy: builtins.bool = False, memory_format: Any = ...) -> Tensor:
        """input with another dtype, or another tensor's, in the order of `memory_format`; itself if nothing changes."""
    def topk(self, k: builtins.int, dim: builtins.int = -1, largest: builtins.bool = True, sorted: builtins.bool = True) -> Extreme:
        """The k largest (or smallest) along `dim` and their indices, in order; equals in PyTorch's."""
    def trace(self) -> Tensor:
        """The sum of a matrix's diagonal; of integers an int64."""
    def transpose(self, dim0: builtins.int, dim1: builtins.int) -> Tensor:
        """Two axes exchanged, as a view."""
    def transpose_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`transpose` of this very tensor, which keeps its memory; returns it."""
    def tril(self, diagonal: builtins.int = 0) -> Tensor:
        """The matrices in the last two axes, zero above the diagonal (the one `diagonal` above the main one)."""
    def tril_(self, diagonal: builtins.int = 0) -> Tensor:
        """`tril` into this tensor's own memory; returns it. Leaves that require gradients refuse outside no_grad()."""
    def triu(self, diagonal: builtins.int = 0) -> Tensor:
        """The matrices in the last two axes, zero below the diagonal (the one `diagonal` above the main one)."""
    def triu_(self, diagonal: builtins.int = 0) -> Tensor:
        """`triu` into this tensor's own memory; returns it. Leaves that require gradients refuse outside no_grad()."""
    def true_divide(self, other: Any, *, rounding_mode: str | None = None) -> Tensor:
        """input / other, broadcast; integers give the default floating dtype."""
    def true_divide_(self, other: Any, *, rounding_mode: str | None = None) -> Tensor:
        """`div` into this tensor's own memory; returns it."""
    def trunc(self) -> Tensor:
        """The integer part, toward 0."""
    def trunc_(self) -> Tensor:
        """`trunc` into this tensor's own memory; returns it."""
    def type(self, dtype: DType | None = None) -> Any:
        """self in another dtype; without one, the name of its own."""
    def type_as(self, other: Tensor) -> Tensor:
        """self in other's dtype."""
    def unbind(self, dim: builtins.int = 0) -> tuple[Tensor, ...]:
        """All slices along an axis, without it, as views."""
    def unflatten(self, dim: builtins.int, sizes: Any) -> Tensor:
        """One axis split into several; one of `sizes` may be -1. RuntimeError: their product is not the axis's size."""
    def unfold(self, dimension: builtins.int, size: builtins.int, step: builtins.int) -> Tensor:
        """All windows of `size` along an axis, `step` apart, as a new last axis; a view."""
    def uniform_(self, a: builtins.float = 0.0, b: builtins.float = 1.0, *, generator: Generator | None = None) -> Tensor:
        """Fills with uniform numbers in [a, b). RuntimeError: a > b."""
    def unique(self, sorted: builtins.bool = True, return_inverse: builtins.bool = False, return_counts: builtins.bool = False, dim: builtins.int | None = None) -> Any:
        """The distinct elements (or slices along `dim`), sorted. Every NaN is distinct."""
    def unique_consecutive(self, return_inverse: builtins.bool = False, return_counts: builtins.bool = False, dim: builtins.int | None = None) -> Any:
        """Runs of equal elements (or slices along `dim`) become one."""
    def unsqueeze(self, dim: builtins.int) -> Tensor:
        """A new axis of size 1 at `dim`, as a view."""
    def unsqueeze_(self, *args: Any, **kwargs: Any) -> Tensor:
        """`unsqueeze` of this very tensor, which keeps its memory; returns it."""
    def var(self, dim: Any = None, unbiased: builtins.bool | None = None, keepdim: builtins.bool = False, *, correction: builtins.float | None = None, axis: Any = None, keepdims: builtins.bool | None = None) -> Tensor:
        """sum (x - mean)^2 / max(0, n - correction) over `dim`, in one pass. correction: 1, or 0 if unbiased=False."""
    def vdot(self, other: Tensor) -> Tensor:
        """`dot`: there are no complex tensors to conjugate."""
    def view(self, *sizes: Any, size: Any = None, dtype: DType | None = None) -> Tensor:
        """The same memory under another shape, or its bits as another dtype: the last size grows or shrinks with the size of an element. RuntimeError: it needs a copy."""
    def view_as(self, other: Tensor) -> Tensor:
        """input.view(other.shape)."""
    def vsplit(self, indices_or_sections: Any) -> tuple[Tensor, ...]:
        """`tensor_split` along dimension 0, into equal parts."""
    def where(self, condition: Tensor, other: Any) -> Tensor:
        """self where the condition holds, else other."""
    def xlogy(self, other: Any) -> Tensor:
        """input log(other), and 0 where input is 0 (unless other is NaN)."""
    def xlogy_(self, other: Any) -> Tensor:
        """`xlogy` into this tensor's own memory; returns it."""
    def zero_(self) -> Tensor:
        """0 everywhere in this tensor's memory."""
    def __add__(self, other: Any) -> Tensor:
        """input + alpha * other, broadcast; dtypes promote as PyTorch's. Of bools: or."""
    def __radd__(self, other: Any) -> Tensor:
        """add(other, self)."""
    def __sub__(self, other: Any) -> Tensor:
        """input - alpha * other, broadcast. RuntimeError for bool tensors, and for alpha as in add."""
    def __rsub__(self, other: Any) -> Tensor:
        """sub(other, self)."""
    def __mul__(self, other: Any) -> Tensor:
        """input * other, broadcast. Of bools: and."""
    def __rmul__(self, other: Any) -> Tensor:
        """mul(other, self)."""
    def __truediv__(self, other: Any) -> Tensor:
        """input / other, broadcast; integers give the default floating dtype."""
    def __rtruediv__(self, other: Any) -> Tensor:
        """div(other, self)."""
    def __floordiv__(self, other: Any) -> Tensor:
        """floor(input / other), in the operands' dtype. RuntimeError: an integer divided by 0."""
    def __rfloordiv__(self, other: Any) -> Tensor:
        """floor_divide(other, self)."""
    def __mod__(self, other: Any) -> Tensor:
        """input - floor(input / other) other, exactly: the sign of other, as Python's %."""
    def __rmod__(self, other: Any) -> Tensor:
        """remainder(other, self)."""
    def __pow__(self, other: Any) -> Tensor:
        """input^exponent, broadcast; either may be a number."""
    def __rpow__(self, other: Any) -> Tensor:
        """pow(other, self)."""
    def __neg__(self) -> Tensor:
        """-input. RuntimeError for bool tensors."""
    def __eq__(self, other: Any) -> Tensor:  # type: ignore[override]
        """input == other, broadcast: a bool tensor."""
    def __ne__(self, other: Any) -> Tensor:  # type: ignore[override]
        """input != other, broadcast: a bool tensor."""
    def __lt__(self, other: Any) -> Tensor:
        """input < other, broadcast: a bool tensor; False beside NaN."""
    def __le__(self, other: Any) -> Tensor:
        """input <= other, broadcast: a bool tensor; False beside NaN."""
    def __gt__(self, other: Any) -> Tensor:
        """input > other, broadcast: a bool tensor; False beside NaN."""
    def __ge__(self, other: Any) -> Tensor:
        """input >= other, broadcast: a bool tensor; False beside NaN."""
    def __and__(self, other: Any) -> Tensor:
        """The bits of both; of bools: and. NotImplementedError for floating tensors."""
    def __rand__(self, other: Any) -> Tensor:
        """bitwise_and(other, self)."""
    def __or__(self, other: Any) -> Tensor:
        """The bits of either; of bools: or. NotImplementedError for floating tensors."""
    def __ror__(self, other: Any) -> Tensor:
        """bitwise_or(other, self)."""
    def __xor__(self, other: Any) -> Tensor:
        """The bits of exactly one; of bools: xor. NotImplementedError for floating tensors."""
    def __rxor__(self, other: Any) -> Tensor:
        """bitwise_xor(other, self)."""
    def __lshift__(self, other: Any) -> Tensor:
        """input 2^other, without the bits that leave the dtype."""
    def __rlshift__(self, other: Any) -> Tensor:
        """bitwise_left_shift(other, self)."""
    def __rshift__(self, other: Any) -> Tensor:
        """floor(input / 2^other)."""
    def __rrshift__(self, other: Any) -> Tensor:
        """bitwise_right_shift(other, self)."""
