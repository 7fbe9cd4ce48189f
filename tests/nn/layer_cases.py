"""Layers to compare: (class, arguments, keywords, inputs). An input is how to draw it; the keyword "eval" is ours: run
both in evaluation mode; "call" holds keywords of the call itself."""

from __future__ import annotations

from typing import Any

import numpy as np


def data(*shape: int) -> Any:
    return ("float", shape)


def positive(*shape: int) -> Any:
    return ("positive", shape)


def ints(high: int, *shape: int) -> Any:
    return ("int", shape, high)


def signs(*shape: int) -> Any:
    return ("sign", shape)


def draw(spec: Any, rng: np.random.Generator) -> Any:
    if not isinstance(spec, tuple) or not spec or not isinstance(spec[0], str):
        return spec
    kind, shape = spec[:2]
    if kind == "fixed":
        return shape
    if kind == "unit":
        return rng.random(shape).astype(np.float32)
    if kind == "slots":  # different places among the last number, for each row of the first two axes
        inner = int(np.prod(shape[2:]))
        return np.stack([rng.permutation(spec[2])[:inner] for _ in range(shape[0] * shape[1])]).reshape(shape)
    if kind in ("rows", "logs"):  # probabilities along the last axis, or their logarithms
        x = rng.standard_normal(shape).astype(np.float32)
        x -= np.log(np.exp(x).sum(-1, keepdims=True))
        return x if kind == "logs" else np.exp(x)
    if kind == "int":
        return rng.integers(0, spec[2], shape)
    if kind == "sign":
        return np.where(rng.random(shape) < 0.5, -1.0, 1.0).astype(np.float32)
    x = rng.standard_normal(shape).astype(np.float32)
    return np.abs(x) * 0.4 + 0.1 if kind == "positive" else x


W4 = ("fixed", np.array([0.2, 1.0, 0.5, 2.0], np.float32))  # weights of classes
X1, X2, X3 = data(2, 4, 9), data(2, 4, 7, 8), data(2, 4, 5, 6, 5)

ACTIVATIONS = [
    ("ReLU", (), {}),
    ("ReLU6", (), {}),
    ("LeakyReLU", (0.2,), {}),
    ("RReLU", (), {"eval": True}),
    ("PReLU", (), {}),
    ("PReLU", (4,), {}),
    ("ELU", (1.5,), {}),
    ("CELU", (1.5,), {}),
    ("SELU", (), {}),
    ("GELU", (), {}),
    ("GELU", ("tanh",), {}),
    ("SiLU", (), {}),
    ("Mish", (), {}),
    ("Hardtanh", (-0.5, 0.7), {}),
    ("Hardsigmoid", (), {}),
    ("Hardswish", (), {}),
    ("Threshold", (0.1, 0.5), {}),
    ("Softplus", (2.0, 3.0), {}),
    ("Softshrink", (0.3,), {}),
    ("Hardshrink", (), {}),
    ("Tanhshrink", (), {}),
    ("Softsign", (), {}),
    ("LogSigmoid", (), {}),
    ("Sigmoid", (), {}),
    ("Tanh", (), {}),
    ("GLU", (1,), {}),
    ("Softmax", (1,), {}),
    ("Softmax", (), {}),
    ("LogSoftmax", (-1,), {}),
    ("Softmin", (1,), {}),
    ("Softmax2d", (), {}),
]

# (class, arguments, keywords, inputs); the keyword "eval" is ours: run both in evaluation mode.
CASES: list[tuple[str, tuple[Any, ...], dict[str, Any], list[Any]]] = [
    *[(name, args, kw, [data(2, 4, 6, 5)]) for name, args, kw in ACTIVATIONS],
    ("Linear", (6, 5), {}, [data(3, 6)]),
    ("Linear", (6, 5), {"bias": False}, [data(2, 3, 6)]),
    ("Identity", (54,), {"unused": 1}, [data(3)]),
    ("Bilinear", (3, 4, 5), {}, [data(6, 3), data(6, 4)]),
    ("Flatten", (), {}, [X2]),
    ("Flatten", (0, 2), {}, [X2]),
    ("Unflatten", (1, (2, 2)), {}, [X2]),
    ("Conv1d", (4, 6, 3), {}, [X1]),
    ("Conv1d", (4, 6, 3), {"padding": "same", "padding_mode": "circular", "bias": False}, [X1]),
    ("Conv2d", (4, 6, 3), {}, [X2]),
    ("Conv2d", (4, 6, (3, 2)), {"stride": (2, 1), "padding": (1, 2), "dilation": 2, "groups": 2}, [X2]),
    ("Conv2d", (4, 4, 3), {"padding": "same", "groups": 4}, [X2]),
    ("Conv2d", (4, 6, 3), {"padding": "valid"}, [X2]),
    ("Conv2d", (4, 6, 3), {"padding": (1, 2), "padding_mode": "reflect"}, [X2]),
    ("Conv2d", (4, 6, 4), {"padding": "same", "padding_mode": "replicate"}, [X2]),
    ("Conv3d", (4, 2, 3), {"padding": 1, "stride": 2}, [X3]),
    ("Conv3d", (4, 2, 3), {"padding": 1, "padding_mode": "circular"}, [X3]),
    ("ConvTranspose1d", (4, 6, 3), {"stride": 2, "output_padding": 1}, [X1]),
    ("ConvTranspose2d", (4, 6, 3), {"stride": (2, 3), "padding": 1, "groups": 2}, [X2]),
    ("ConvTranspose2d", (4, 6, 3), {"dilation": 2, "bias": False}, [X2]),
    ("ConvTranspose3d", (4, 2, 2), {"stride": 2}, [X3]),
    ("MaxPool1d", (3,), {"padding": 1}, [X1]),
    ("MaxPool2d", (2,), {}, [X2]),
    ("MaxPool2d", ((3, 2), 2), {"ceil_mode": True}, [X2]),
    ("MaxPool2d", (3,), {"return_indices": True, "dilation": 2, "stride": 1}, [X2]),
    ("MaxPool3d", (2,), {}, [X3]),
    ("AvgPool1d", (3,), {"padding": 1}, [X1]),
    ("AvgPool2d", (3, 2), {"padding": 1, "count_include_pad": False}, [X2]),
    ("AvgPool3d", (2,), {"divisor_override": 3}, [X3]),
    ("LPPool1d", (2, 3), {}, [positive(2, 4, 9)]),
    ("LPPool2d", (2, 2), {}, [positive(2, 4, 6, 6)]),
    ("AdaptiveAvgPool1d", (4,), {}, [X1]),
    ("AdaptiveAvgPool2d", ((3, None),), {}, [X2]),
    ("AdaptiveAvgPool3d", (2,), {}, [X3]),
    ("AdaptiveMaxPool1d", (4,), {}, [X1]),
    ("AdaptiveMaxPool2d", (3,), {}, [X2]),
    ("AdaptiveMaxPool3d", (2,), {}, [X3]),
    ("BatchNorm1d", (4,), {}, [data(6, 4)]),
    ("BatchNorm1d", (4,), {}, [X1]),
    ("BatchNorm2d", (4,), {}, [X2]),
    ("BatchNorm2d", (4,), {"eval": True}, [X2]),
    ("BatchNorm2d", (4,), {"affine": False, "momentum": None}, [X2]),
    ("BatchNorm2d", (4,), {"track_running_stats": False, "eval": True}, [X2]),
    ("BatchNorm3d", (4,), {"eps": 1e-3, "momentum": 0.3}, [X3]),
    ("InstanceNorm1d", (4,), {}, [X1]),
    ("InstanceNorm2d", (4,), {"affine": True, "track_running_stats": True}, [X2]),
    ("InstanceNorm2d", (4,), {"affine": True}, [data(4, 5, 6)]),
    ("InstanceNorm3d", (4,), {}, [X3]),
    ("LayerNorm", (8,), {}, [X2]),
    ("LayerNorm", ((7, 8),), {"bias": False}, [X2]),
    ("LayerNorm", (8,), {"elementwise_affine": False}, [X2]),
    ("RMSNorm", (8,), {}, [X2]),
    ("RMSNorm", ((7, 8),), {"eps": 1e-3}, [X2]),
    ("GroupNorm", (2, 4), {}, [X2]),
    ("GroupNorm", (4, 4), {"affine": False}, [X1]),
    ("LocalResponseNorm", (3,), {}, [X2]),
    *[(name, (0.3,), {"eval": True}, [X2]) for name in ("Dropout", "Dropout2d", "AlphaDropout", "FeatureAlphaDropout")],
    ("Embedding", (10, 4), {}, [ints(10, 3, 5)]),
    ("Embedding", (10, 4), {"padding_idx": 2}, [ints(10, 3, 5)]),
    ("EmbeddingBag", (10, 4), {}, [ints(10, 3, 5)]),
    ("EmbeddingBag", (10, 4), {"mode": "sum", "padding_idx": -1}, [ints(10, 3, 5)]),
    ("RNN", (4, 5), {}, [data(6, 3, 4)]),
    ("RNN", (4, 5, 2, "relu"), {"bidirectional": True, "batch_first": True}, [data(3, 6, 4)]),
    ("LSTM", (4, 5), {}, [data(6, 3, 4)]),
    ("LSTM", (4, 5), {"num_layers": 2, "bidirectional": True, "bias": False}, [data(6, 3, 4)]),
    ("LSTM", (4, 5), {"proj_size": 3, "num_layers": 2, "batch_first": True}, [data(3, 6, 4)]),
    ("LSTM", (4, 5), {}, [data(6, 4)]),
    ("GRU", (4, 5), {}, [data(6, 3, 4), data(1, 3, 5)]),
    ("GRU", (4, 5), {"num_layers": 2, "bidirectional": True, "dropout": 0.0}, [data(6, 3, 4)]),
    ("RNNCell", (4, 5), {}, [data(3, 4)]),
    ("RNNCell", (4, 5), {"nonlinearity": "relu", "bias": False}, [data(4), data(5)]),
    ("LSTMCell", (4, 5), {}, [data(3, 4)]),
    ("GRUCell", (4, 5), {}, [data(3, 4), data(3, 5)]),
    ("MultiheadAttention", (8, 2), {}, [data(5, 3, 8), data(6, 3, 8), data(6, 3, 8)]),
    (
        "MultiheadAttention",
        (8, 2),
        {"kdim": 6, "vdim": 4, "batch_first": True},
        [data(3, 5, 8), data(3, 7, 6), data(3, 7, 4)],
    ),
    (
        "MultiheadAttention",
        (8, 2),
        {"add_bias_kv": True, "add_zero_attn": True, "bias": False},
        [data(5, 8), data(6, 8), data(6, 8)],
    ),
    ("TransformerEncoderLayer", (8, 2, 16, 0.0), {}, [data(5, 3, 8)]),
    (
        "TransformerEncoderLayer",
        (8, 2, 16, 0.0, "gelu"),
        {"norm_first": True, "batch_first": True, "bias": False},
        [data(3, 5, 8)],
    ),
    ("TransformerDecoderLayer", (8, 2, 16, 0.0), {}, [data(5, 3, 8), data(6, 3, 8)]),
    (
        "TransformerDecoderLayer",
        (8, 2, 16, 0.0),
        {"norm_first": True, "batch_first": True},
        [data(3, 5, 8), data(3, 4, 8)],
    ),
    ("Transformer", (8, 2, 1, 2, 16, 0.0), {}, [data(6, 3, 8), data(5, 3, 8)]),
    ("PixelShuffle", (2,), {}, [X2]),
    ("PixelUnshuffle", (2,), {}, [data(2, 3, 4, 6)]),
    ("ChannelShuffle", (2,), {}, [X2]),
    ("Upsample", (), {"scale_factor": 2}, [X2]),
    ("Upsample", ((9, 5), None, "bilinear"), {"align_corners": True}, [X2]),
    ("UpsamplingNearest2d", (), {"scale_factor": 2}, [X2]),
    ("UpsamplingBilinear2d", ((9, 5),), {}, [X2]),
    ("Unfold", ((2, 3),), {"padding": 1, "stride": 2}, [X2]),
    ("Fold", ((5, 6), 2), {}, [data(2, 12, 20)]),
    *[
        (f"{kind}Pad{n}d", (2,), {}, [x])
        for kind in ("Reflection", "Replication", "Circular", "Zero")
        for n, x in ((1, X1), (2, X2), (3, X3))
    ],
    *[(f"ConstantPad{n}d", (tuple(range(1, 2 * n + 1)), 0.5), {}, [x]) for n, x in ((1, X1), (2, X2), (3, X3))],
    ("CosineSimilarity", (), {}, [data(5, 6), data(5, 6)]),
    ("PairwiseDistance", (), {"keepdim": True}, [data(5, 6), data(5, 6)]),
    ("Threshold", (0.1, 0.5), {}, [data(3, 4)]),
    ("Hardtanh", (), {}, [data(3, 4)]),
    ("ELU", (), {}, [data(3, 4)]),
    ("CELU", (), {}, [data(3, 4)]),
    ("LeakyReLU", (), {}, [data(3, 4)]),
    ("Softplus", (), {}, [data(3, 4)]),
    ("Softshrink", (), {}, [data(3, 4)]),
    ("Hardshrink", (0.2,), {}, [data(3, 4)]),
    ("GLU", (), {}, [data(3, 4)]),
    ("LogSoftmax", (1,), {}, [data(3, 4, 2)]),
    ("Softmin", (), {}, [data(3, 4)]),
    ("Softmax2d", (), {}, [data(4, 5, 6)]),
    ("RReLU", (0.2, 0.4), {"eval": True}, [data(3, 4)]),
    ("PReLU", (), {"init": 0.1}, [data(3)]),
    ("Linear", (6, 5), {}, [data(6)]),
    ("Linear", (6, 1), {}, [data(2, 0, 6)]),
    ("Bilinear", (3, 4, 5), {"bias": False}, [data(2, 6, 3), data(2, 6, 4)]),
    ("Bilinear", (3, 4, 1), {}, [data(3), data(4)]),
    ("Flatten", (1, -2), {}, [X3]),
    ("Unflatten", (-1, (2, -1)), {}, [data(3, 8)]),
    ("Conv1d", (4, 6, 3), {"stride": 2, "padding": 2, "dilation": 2, "groups": 2}, [data(4, 9)]),
    ("Conv1d", (4, 4, 4), {"padding": "same", "padding_mode": "reflect"}, [X1]),
    ("Conv2d", (4, 8, 3), {"groups": 4, "bias": False}, [data(4, 7, 8)]),
    ("Conv2d", (4, 3, (1, 1)), {"stride": 2}, [X2]),
    ("Conv2d", (4, 3, (3, 5)), {"padding": (2, 1), "padding_mode": "circular"}, [X2]),
    ("Conv3d", (4, 4, (1, 2, 3)), {"stride": (1, 2, 1), "padding": (0, 1, 1), "groups": 2}, [data(4, 5, 6, 5)]),
    ("Conv3d", (4, 2, 3), {"padding": "same", "dilation": (1, 2, 1), "padding_mode": "replicate"}, [X3]),
    ("ConvTranspose1d", (4, 6, 3), {"padding": 1, "dilation": 2, "groups": 2, "bias": False}, [data(4, 9)]),
    ("ConvTranspose2d", (4, 6, (3, 2)), {"stride": 3, "padding": (1, 0), "output_padding": (2, 1)}, [data(4, 5, 3)]),
    ("ConvTranspose3d", (4, 4, 3), {"stride": (1, 2, 2), "padding": 1, "output_padding": (0, 1, 1), "groups": 4}, [X3]),
    ("MaxPool1d", (3, 1), {"dilation": 2, "return_indices": True}, [data(4, 9)]),
    ("MaxPool1d", (4,), {"ceil_mode": True, "stride": 3}, [X1]),
    ("MaxPool2d", (3, 2, 1), {"ceil_mode": True, "return_indices": True}, [data(4, 7, 8)]),
    ("MaxPool3d", ((1, 2, 3), 2, (0, 1, 1)), {"ceil_mode": True, "return_indices": True}, [X3]),
    ("MaxUnpool1d", (2,), {}, [data(2, 4, 4), ("slots", (2, 4, 4), 8)]),
    ("MaxUnpool2d", (2, 2), {}, [data(2, 4, 3, 4), ("slots", (2, 4, 3, 4), 48)]),
    ("MaxUnpool3d", (2,), {}, [data(2, 4, 2, 3, 2), ("slots", (2, 4, 2, 3, 2), 96)]),
    ("AvgPool1d", (4, 3), {"ceil_mode": True, "count_include_pad": False, "padding": 1}, [data(4, 9)]),
    ("AvgPool2d", ((3, 2),), {"stride": (1, 2), "ceil_mode": True, "divisor_override": 5}, [data(4, 7, 8)]),
    ("AvgPool3d", (3, 2, 1), {"ceil_mode": True, "count_include_pad": False}, [data(4, 5, 6, 5)]),
    ("LPPool1d", (1.5, 2, 3), {"ceil_mode": True}, [positive(2, 4, 9)]),
    ("LPPool2d", (3, (2, 3)), {"stride": 1}, [positive(2, 4, 6, 6)]),
    ("LPPool3d", (2, 2), {}, [positive(2, 4, 4, 6, 4)]),
    ("AdaptiveAvgPool1d", (5,), {}, [data(4, 7)]),
    ("AdaptiveAvgPool2d", (1,), {}, [data(4, 7, 8)]),
    ("AdaptiveAvgPool3d", ((2, None, 3),), {}, [data(4, 5, 6, 5)]),
    ("AdaptiveMaxPool1d", (5, True), {}, [data(4, 7)]),
    ("AdaptiveMaxPool2d", ((None, 3), True), {}, [X2]),
    ("AdaptiveMaxPool3d", ((2, 3, 1), True), {}, [data(4, 5, 6, 5)]),
    ("BatchNorm1d", (4,), {"momentum": None}, [X1]),
    ("BatchNorm1d", (4,), {"affine": False, "eval": True}, [data(6, 4)]),
    ("BatchNorm2d", (4,), {"momentum": 0.0, "eps": 0.1}, [X2]),
    ("BatchNorm2d", (4,), {"affine": False, "track_running_stats": False}, [X2]),
    ("BatchNorm3d", (4,), {"eval": True}, [X3]),
    ("InstanceNorm1d", (4,), {"affine": True}, [data(4, 9)]),
    ("InstanceNorm2d", (4,), {"track_running_stats": True, "eval": True}, [X2]),
    ("InstanceNorm2d", (4,), {"momentum": 0.3, "track_running_stats": True}, [data(4, 5, 6)]),
    ("InstanceNorm3d", (4,), {"affine": True, "track_running_stats": True, "eps": 1e-3}, [X3]),
    ("LayerNorm", ([8],), {"eps": 1e-3}, [data(8)]),
    ("LayerNorm", ((4, 7, 8),), {}, [X2]),
    ("RMSNorm", ([8],), {"elementwise_affine": False}, [X2]),
    ("RMSNorm", ((4, 7, 8),), {"eps": 1e-2}, [X2]),
    ("GroupNorm", (1, 4), {"eps": 1e-3}, [data(3, 4)]),
    ("GroupNorm", (4, 8), {}, [data(2, 8, 3, 4, 2)]),
    ("LocalResponseNorm", (4,), {"alpha": 0.1, "beta": 0.5, "k": 2.0}, [X1]),
    *[(name, (0.3, True), {"eval": True}, [X1]) for name in ("Dropout", "Dropout1d", "AlphaDropout")],
    ("Dropout3d", (), {"eval": True}, [X3]),
    ("Dropout", (0.0,), {}, [X1]),
    ("Dropout2d", (0.0,), {}, [X2]),
    ("AlphaDropout", (0.0,), {}, [X1]),
    ("Dropout", (1.0,), {}, [X1]),
    ("Embedding", (10, 4), {"max_norm": 1.0}, [ints(10, 3, 5)]),
    ("Embedding", (10, 4), {"max_norm": 1.0, "norm_type": 1.0, "padding_idx": -1}, [ints(10, 7)]),
    ("Embedding", (10, 4), {"scale_grad_by_freq": True}, [ints(4, 3, 5)]),
    ("EmbeddingBag", (10, 4), {"mode": "max"}, [ints(10, 3, 5)]),
    ("EmbeddingBag", (10, 4), {"mode": "mean", "padding_idx": 1}, [ints(4, 3, 5)]),
    ("EmbeddingBag", (10, 4), {"max_norm": 0.5}, [ints(10, 3, 5)]),
    ("EmbeddingBag", (10, 4), {"mode": "sum", "call": {"offsets": np.array([0, 2, 2, 7])}}, [ints(10, 9)]),
    (
        "EmbeddingBag",
        (10, 4),
        {"include_last_offset": True, "call": {"offsets": np.array([0, 2, 7, 9])}},
        [ints(10, 9)],
    ),
    (
        "EmbeddingBag",
        (10, 4),
        {"mode": "sum", "call": {"per_sample_weights": np.arange(15, dtype=np.float32).reshape(3, 5)}},
        [ints(10, 3, 5)],
    ),
    ("RNN", (4, 5), {"nonlinearity": "relu", "bias": False}, [data(6, 4), data(1, 5)]),
    ("RNN", (4, 5, 3), {"bidirectional": True}, [data(6, 3, 4), data(6, 3, 5)]),
    ("RNN", (4, 5, 2), {"batch_first": True, "dropout": 0.5, "eval": True}, [data(3, 6, 4)]),
    ("LSTM", (4, 5, 2), {"batch_first": True, "call": {"hx": (data(2, 3, 5), data(2, 3, 5))}}, [data(3, 6, 4)]),
    ("LSTM", (4, 5), {"proj_size": 2, "bidirectional": True, "bias": False}, [data(6, 3, 4)]),
    (
        "LSTM",
        (4, 5),
        {"proj_size": 2, "bidirectional": True, "call": {"hx": (data(2, 2), data(2, 5))}},
        [data(6, 4)],
    ),
    ("LSTM", (4, 5), {"batch_first": True}, [data(1, 6, 4)]),
    ("LSTM", (4, 5), {"num_layers": 3, "dropout": 0.3, "eval": True}, [data(1, 3, 4)]),
    ("GRU", (4, 5), {"bias": False, "batch_first": True, "bidirectional": True}, [data(3, 6, 4), data(2, 3, 5)]),
    ("GRU", (4, 5, 2), {}, [data(6, 4), data(2, 5)]),
    ("RNNCell", (4, 5), {}, [data(3, 4), data(3, 5)]),
    ("LSTMCell", (4, 5), {"bias": False, "call": {"hx": (data(3, 5), data(3, 5))}}, [data(3, 4)]),
    ("LSTMCell", (4, 5), {}, [data(4)]),
    ("GRUCell", (4, 5), {"bias": False}, [data(4), data(5)]),
    ("GRUCell", (4, 5), {}, [data(3, 4)]),
    *[
        ("MultiheadAttention", (8, heads), {"batch_first": first, "bias": bias}, [data(3, 5, 8)] * 3)
        for heads, first, bias in ((1, False, True), (4, True, False), (8, True, True))
    ],
    (
        "MultiheadAttention",
        (8, 2),
        {"kdim": 8, "vdim": 3, "add_bias_kv": True, "call": {"need_weights": False}},
        [data(5, 3, 8), data(7, 3, 8), data(7, 3, 3)],
    ),
    (
        "MultiheadAttention",
        (8, 2),
        {"kdim": 5, "bias": False, "add_zero_attn": True, "call": {"average_attn_weights": False}},
        [data(5, 8), data(7, 5), data(7, 8)],
    ),
    *[
        ("TransformerEncoderLayer", (8, 2, 16, 0.0), {"norm_first": first, "call": call}, [data(5, 3, 8)])
        for first in (False, True)
        for call in (
            {"src_mask": np.triu(np.ones((5, 5), bool), 1)},
            {"src_key_padding_mask": np.array([[0, 0, 0, 1, 1], [0] * 5, [0, 1, 0, 1, 0]], bool)},
            {"src_mask": np.triu(np.full((5, 5), -np.inf, np.float32), 1), "is_causal": True},
        )
    ],
    ("TransformerEncoderLayer", (8, 2, 16), {"layer_norm_eps": 1e-2, "eval": True}, [data(5, 3, 8)]),
    ("TransformerEncoderLayer", (8, 2, 16), {"batch_first": True, "eval": True}, [data(5, 8)]),
    (
        "TransformerDecoderLayer",
        (8, 2, 16),
        {"bias": False, "activation": "gelu", "eval": True},
        [data(5, 8), data(6, 8)],
    ),
    (
        "TransformerDecoderLayer",
        (8, 2, 16, 0.0),
        {
            "call": {
                "tgt_mask": np.triu(np.ones((5, 5), bool), 1),
                "memory_mask": np.triu(np.ones((5, 6), bool), 3),
                "tgt_key_padding_mask": np.array([[0, 0, 0, 1, 1], [0] * 5, [0, 1, 0, 1, 0]], bool),
                "memory_key_padding_mask": np.array([[0, 0, 0, 0, 1, 1], [0] * 6, [0, 1, 0, 1, 0, 0]], bool),
            }
        },
        [data(5, 3, 8), data(6, 3, 8)],
    ),
    (
        "Transformer",
        (8, 2, 2, 1, 16, 0.0, "gelu"),
        {"norm_first": True, "batch_first": True, "bias": False},
        [data(3, 6, 8), data(3, 5, 8)],
    ),
    (
        "Transformer",
        (8, 2, 1, 1, 16),
        {
            "eval": True,
            "call": {
                "tgt_mask": np.triu(np.full((5, 5), -np.inf, np.float32), 1),
                "src_key_padding_mask": np.array([[0, 0, 0, 0, 1, 1], [0] * 6, [0, 1, 0, 1, 0, 0]], bool),
                "memory_key_padding_mask": np.array([[0, 0, 0, 0, 1, 1], [0] * 6, [0, 1, 0, 1, 0, 0]], bool),
            },
        },
        [data(6, 3, 8), data(5, 3, 8)],
    ),
    ("PixelShuffle", (1,), {}, [data(4, 3, 2)]),
    ("PixelUnshuffle", (3,), {}, [data(4, 3, 6)]),
    ("ChannelShuffle", (4,), {}, [data(2, 4, 5, 3)]),
    *[
        ("Upsample", (), {"scale_factor": factor, "mode": mode, "align_corners": corners}, [x])
        for mode, factor, corners, x in (
            ("linear", 2.5, True, X1),
            ("linear", 0.7, False, X1),
            ("bilinear", (2, 1.5), None, X2),
            ("bicubic", 2, True, X2),
            ("bicubic", 1.7, False, X2),
            ("trilinear", 2, False, X3),
            ("nearest", (1.5, 2, 1), None, X3),
        )
    ],
    ("Upsample", (), {"scale_factor": 1.6, "mode": "bilinear", "recompute_scale_factor": True}, [X2]),
    ("Upsample", (20,), {}, [X1]),
    ("UpsamplingNearest2d", ((5, 9),), {}, [X2]),
    ("UpsamplingBilinear2d", (), {"scale_factor": (1.5, 2.0)}, [X2]),
    ("Unfold", (3,), {"dilation": 2, "padding": (1, 2), "stride": (2, 1)}, [data(4, 7, 8)]),
    ("Fold", ((7, 8), (3, 2)), {"dilation": (1, 2), "padding": 1, "stride": 2}, [data(12, 16)]),
    ("ReflectionPad1d", ((3, 1),), {}, [data(4, 9)]),
    ("ReflectionPad2d", ((1, 2, 3, 0),), {}, [data(4, 7, 8)]),
    ("ReplicationPad3d", ((1, 2, 3, 0, 2, 1),), {}, [data(4, 5, 6, 5)]),
    ("ReplicationPad2d", ((-1, 2, 3, -2),), {}, [X2]),
    ("CircularPad2d", ((1, 2, 3, 0),), {}, [X2]),
    ("ZeroPad2d", ((1, -2, 3, 0),), {}, [data(4, 7, 8)]),
    ("ConstantPad1d", (2, -1.5), {}, [data(9)]),
    *[
        (f"FractionalMaxPool{n}d", (2,), {**kw, "_random_samples": ("unit", (2, 4, n))}, [x])
        for n, x in ((2, X2), (3, X3))
        for kw in ({"output_size": 3}, {"output_ratio": (0.6, 0.5, 0.7)[:n], "return_indices": True})
    ],
    ("FractionalMaxPool2d", ((3, 2), (2, 5)), {"_random_samples": ("unit", (1, 4, 2))}, [data(4, 7, 8)]),
    ("CosineSimilarity", (0, 1e-3), {}, [data(5, 6), data(5, 6)]),
    ("PairwiseDistance", (1.0, 1e-3), {}, [data(5, 6), data(5, 6)]),
    ("AdaptiveLogSoftmaxWithLoss", (6, 20, [4, 10]), {}, [data(9, 6), ints(20, 9)]),
    ("AdaptiveLogSoftmaxWithLoss", (6, 20, [5]), {"div_value": 2.0, "head_bias": True}, [data(6), ints(20)]),
    # losses
    *[
        (name, args, {"reduction": reduction, **kw}, inputs)
        for name, args, kw, inputs in (
            ("L1Loss", (), {}, [data(3, 4), data(3, 4)]),
            ("MSELoss", (), {}, [data(3, 4), data(3, 4)]),
            ("SoftMarginLoss", (), {}, [data(3, 4), ("fixed", np.eye(3, 4, dtype=np.int64) * 2 - 1)]),
            (
                "MultiLabelMarginLoss",
                (),
                {},
                [data(3, 4), ("fixed", np.array([[3, 0, -1, 1], [2, -1, 1, 0], [-1] * 4]))],
            ),
            ("CrossEntropyLoss", (W4,), {"label_smoothing": 0.2}, [data(5, 4, 3), ints(4, 5, 3)]),
            ("CrossEntropyLoss", (), {}, [data(5, 4), ("rows", (5, 4))]),
            ("CrossEntropyLoss", (W4,), {"label_smoothing": 0.1}, [data(5, 4), ("rows", (5, 4))]),
            ("NLLLoss", (W4,), {}, [data(5, 4, 2), ints(4, 5, 2)]),
            ("PoissonNLLLoss", (False,), {}, [positive(3, 4), positive(3, 4)]),
            ("GaussianNLLLoss", (), {"full": True, "eps": 0.2}, [data(3, 4), data(3, 4), positive(3, 1)]),
            ("KLDivLoss", (), {"log_target": True}, [data(3, 4), data(3, 4)]),
            ("BCELoss", (W4,), {}, [positive(3, 4), ("rows", (3, 4))]),
            ("BCEWithLogitsLoss", (W4,), {"pos_weight": W4}, [data(3, 4), positive(3, 4)]),
            ("HingeEmbeddingLoss", (), {}, [data(3, 4), signs(3, 4)]),
            ("SmoothL1Loss", (), {"beta": 0.0}, [data(3, 4), data(3, 4)]),
            ("HuberLoss", (), {}, [data(3, 4), data(3, 4)]),
            ("CosineEmbeddingLoss", (), {}, [data(3, 4), data(3, 4), signs(3)]),
            ("MarginRankingLoss", (), {}, [data(3), data(3), signs(3)]),
            ("MultiLabelSoftMarginLoss", (W4,), {}, [data(3, 4), ints(2, 3, 4)]),
            ("MultiMarginLoss", (1, 0.5, W4), {}, [data(3, 4), ints(4, 3)]),
            ("TripletMarginLoss", (0.5, 1.5), {}, [data(3, 4), data(3, 4), data(3, 4)]),
            ("TripletMarginWithDistanceLoss", (), {"swap": True}, [data(3, 4), data(3, 4), data(3, 4)]),
        )
        for reduction in ("none", "mean", "sum")
    ],
    ("L1Loss", (), {}, [data(3, 4), data(3, 4)]),
    ("MSELoss", (), {"reduction": "sum"}, [data(3, 4), data(3, 4)]),
    ("CrossEntropyLoss", (), {}, [data(5, 4), ints(4, 5)]),
    ("CrossEntropyLoss", (), {"label_smoothing": 0.1, "ignore_index": 2}, [data(5, 4, 3), ints(4, 5, 3)]),
    ("NLLLoss", (), {"ignore_index": 1}, [data(5, 4), ints(4, 5)]),
    ("PoissonNLLLoss", (), {"full": True}, [data(3, 4), positive(3, 4)]),
    ("GaussianNLLLoss", (), {}, [data(3, 4), data(3, 4), positive(3, 4)]),
    ("KLDivLoss", (), {"reduction": "batchmean"}, [data(3, 4), positive(3, 4)]),
    ("BCELoss", (), {}, [positive(3, 1), positive(3, 1)]),
    ("BCEWithLogitsLoss", (), {}, [data(3, 4), positive(3, 4)]),
    ("HingeEmbeddingLoss", (), {"margin": 0.5}, [data(3, 4), signs(3, 4)]),
    ("SmoothL1Loss", (), {"beta": 0.3}, [data(3, 4), data(3, 4)]),
    ("HuberLoss", (), {"delta": 0.3}, [data(3, 4), data(3, 4)]),
    ("CosineEmbeddingLoss", (0.1,), {}, [data(3, 4), data(3, 4), signs(3)]),
    ("MarginRankingLoss", (0.1,), {}, [data(3), data(3), signs(3)]),
    ("MultiLabelSoftMarginLoss", (), {}, [data(3, 4), ints(2, 3, 4)]),
    ("MultiMarginLoss", (), {"p": 2}, [data(3, 4), ints(4, 3)]),
    ("TripletMarginLoss", (), {"swap": True}, [data(3, 4), data(3, 4), data(3, 4)]),
]
