"""The nuclear norm of matrices: NumPy's singular values, gradients by the polar factor."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import _core
from ...autograd import op, record
from ...tensor import Tensor
from .. import elementwise as ew
from ..layout import movedim, reshape, unsqueeze
from ..layout.views import axis


def nuclear_norm(x: Tensor, dim: Any, keepdim: bool) -> Tensor:
    """The sum of the singular values of the matrices in the two axes `dim` (of x, without).

    RuntimeError: other than two axes, float16 or bfloat16, values that are not finite.
    """
    dims = tuple(range(x.ndim)) if dim is None else (dim,) if isinstance(dim, int) else tuple(dim)
    first, *rest = (axis(d, x.ndim, "norm") for d in dims) if dims else (0,)
    if len(rest) != 1 or rest[0] == first:
        raise RuntimeError(f"norm: p='nuc' needs two different dims, got {dims}")
    if x.dtype.itemsize < 4 or not x.dtype.is_floating_point:
        raise RuntimeError(f"norm: p='nuc' is for float32 and float64, got {x.dtype}")
    y = _matrices(movedim(x, (first, rest[0]), (-2, -1)))
    if not keepdim:
        return y
    return reshape(y, tuple(1 if d in (first, rest[0]) else n for d, n in enumerate(x.shape)))


def _matrices(x: Tensor) -> Tensor:
    return record(_tensor(_svd(x)[1].sum(-1)), NUCLEAR, (x,), (x,))  # type: ignore[no-any-return]


def _tensor(a: Any) -> Any:
    return _core.from_numpy(np.array(a, order="C"))


def _svd(x: Tensor) -> Any:
    a = x.detach().numpy()
    if not np.isfinite(a).all():
        raise RuntimeError("norm: p='nuc' needs finite values")
    return np.linalg.svd(a, full_matrices=False)


def _polar(x: Tensor) -> Tensor:
    """U V^T, the gradient of the sum of the singular values."""
    u, _, vt = _svd(x)
    return record(_tensor(u @ vt), POLAR, (x,), (x,))  # type: ignore[no-any-return]


NUCLEAR = op("nuclear_norm", lambda g, needs, x: (ew.mul(unsqueeze(unsqueeze(g, -1), -1), _polar(x)),))


def _polar_rule(g: Tensor, needs: Any, x: Tensor) -> Any:
    """The derivative of U V^T is symmetric: with Z = U^T G V and s the singular values,
    U (Z - Z^T) / (s_i + s_j) V^T + (1 - U U^T) G V s^-1 V^T + U s^-1 U^T G (1 - V V^T)."""
    u, s, vt = _svd(x)
    h = np.asarray(g.detach().numpy())
    ut, v = u.swapaxes(-1, -2), vt.swapaxes(-1, -2)
    with np.errstate(all="ignore"):
        z = ut @ h @ v
        turn = (z - z.swapaxes(-1, -2)) / (s[..., :, None] + s[..., None, :])
        hv, uh = h @ v / s[..., None, :], (ut @ h) / s[..., :, None]
        y = u @ turn @ vt + (hv - u @ (ut @ hv)) @ vt + u @ (uh - (uh @ v) @ vt)
    return (record(_tensor(y), LAST, (g, x), ()),)


def _last_rule(g: Tensor, needs: Any) -> Any:
    raise RuntimeError("norm: p='nuc' has gradients of first and second order only")


POLAR = op("polar", _polar_rule)
LAST = op("polar_backward", _last_rule)
