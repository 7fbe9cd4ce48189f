"""Every public op has a reference under its own name."""

from __future__ import annotations

import pytest
from mielina.testing import reference

OPS = """
    abs acos acosh add addmm all allclose amax amin any arange argmax argmin argsort argwhere asin asinh atan atan2
    atanh atleast_1d atleast_2d baddbmm bernoulli bincount bitwise_and bitwise_not bitwise_or bitwise_xor block_diag
    bmm broadcast_to bucketize cartesian_prod cat cdist ceil chunk clamp clamp_max clamp_min clone column_stack
    copysign corrcoef cos cosh count_nonzero cov cummax cumprod cumsum cumulative_trapezoid deg2rad diag diagonal
    diff digamma div dot dstack einsum empty empty_like eq erf erfc erfinv exp exp2 expand expm1 eye flatten flip
    floor floor_divide fmax fmin fmod frac full full_like gather ge gt heaviside histc hstack hypot index_add
    index_select inner isclose isfinite isin isinf isnan kron le lerp lgamma linspace log log10 log1p log2
    log_softmax logaddexp logcumsumexp logical_and logical_not logical_or logical_xor logit logsumexp lt masked_fill
    masked_select matmul max maximum mean median meshgrid min minimum mode movedim msort mul multinomial mv
    nan_to_num nanmean nansum narrow ne neg nonzero norm normal ones ones_like outer permute pow prod quantile
    rad2deg rand randint randn randperm ravel reciprocal remainder repeat repeat_interleave reshape roll round rsqrt
    scatter scatter_add searchsorted select sgn sigmoid sign signbit sin sinc sinh softmax sort split sqrt square
    squeeze stack std std_mean sub sum swapaxes t take take_along_dim tan tanh tensordot tile topk trace transpose
    trapezoid tril tril_indices triu triu_indices true_divide trunc unbind unflatten unique unique_consecutive
    unsqueeze var var_mean view vstack where xlogy zeros zeros_like
""".split()  # noqa: SIM905
FUNCTIONAL = """
    adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d
    alpha_dropout avg_pool1d avg_pool2d avg_pool3d batch_norm bilinear binary_cross_entropy
    binary_cross_entropy_with_logits celu channel_shuffle conv1d conv2d conv3d conv_transpose1d conv_transpose2d
    conv_transpose3d cosine_embedding_loss cosine_similarity cross_entropy ctc_loss dropout dropout2d elu embedding
    embedding_bag feature_alpha_dropout fold gaussian_nll_loss gelu glu grid_sample group_norm hardshrink
    hardsigmoid hardswish hardtanh hinge_embedding_loss huber_loss instance_norm interpolate kl_div l1_loss
    layer_norm leaky_relu linear local_response_norm logsigmoid margin_ranking_loss max_pool1d max_pool2d max_pool3d
    max_unpool2d mish mse_loss multi_margin_loss multilabel_soft_margin_loss nll_loss normalize one_hot pad
    pairwise_distance pixel_shuffle pixel_unshuffle poisson_nll_loss prelu relu relu6 rms_norm rrelu
    scaled_dot_product_attention selu silu smooth_l1_loss soft_margin_loss softmin softplus softshrink softsign
    tanhshrink threshold triplet_margin_loss unfold
""".split()  # noqa: SIM905


@pytest.mark.parametrize("name", [*OPS, *FUNCTIONAL])
def test_the_reference_exists(name: str) -> None:
    assert callable(getattr(reference, name))


def test_the_list_is_whole() -> None:
    assert (len(OPS), len(FUNCTIONAL)) == (216, 87)
