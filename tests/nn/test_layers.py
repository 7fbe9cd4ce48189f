"""Every layer kind beside PyTorch's: the same repr and state-dict keys, and with PyTorch's weights the same outputs
(1e-5) and gradients (1e-4), relative to the largest element."""

from __future__ import annotations

from typing import Any

import mielina as mi
import numpy as np
import pytest

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(0)


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
    if kind == "int":
        return rng.integers(0, spec[2], shape)
    if kind == "sign":
        return np.where(rng.random(shape) < 0.5, -1.0, 1.0).astype(np.float32)
    x = rng.standard_normal(shape).astype(np.float32)
    return np.abs(x) * 0.4 + 0.1 if kind == "positive" else x


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
    # losses
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


def flat(y: Any) -> list[Any]:
    return [z for part in y for z in flat(part)] if isinstance(y, (tuple, list)) else [] if y is None else [y]


def close(actual: Any, expected: Any, limit: float, what: str) -> None:
    a, e = np.asarray(actual.detach(), np.float64), expected.detach().numpy().astype(np.float64)
    assert a.shape == e.shape, f"{what}: shape {a.shape}, PyTorch {e.shape}"
    if not e.size:
        return
    error = np.abs(a - e).max() / max(np.abs(e).max(), 1e-6)
    assert error <= limit, f"{what}: off by {error:.2g} of the largest element"


def missing(error: Exception) -> bool:
    """Whether an op that the layer stands on does not exist yet."""
    return isinstance(error, (AttributeError, ImportError)) and any(s in str(error) for s in ("mielina", "Tensor"))


def compare(mine: Any, theirs: Any, inputs: list[Any], **kwargs: Any) -> None:
    """Outputs and gradients of the two modules on the same inputs, ours with their weights."""
    mine.load_state_dict(theirs.state_dict())
    ours = [mi.tensor(x) if isinstance(x, np.ndarray) else x for x in inputs]
    others = [torch.tensor(x) if isinstance(x, np.ndarray) else x for x in inputs]
    for x in [*ours, *others]:
        if x.dtype in (mi.float32, torch.float32):
            x.requires_grad_()
    extra = {k: (mi.tensor(v), torch.tensor(v)) if isinstance(v, np.ndarray) else (v, v) for k, v in kwargs.items()}
    try:
        y = flat(mine(*ours, **{k: v[0] for k, v in extra.items()}))
    except Exception as error:
        if missing(error):
            pytest.skip(str(error))
        raise
    z = flat(theirs(*others, **{k: v[1] for k, v in extra.items()}))
    assert len(y) == len(z)
    total, reference = None, None
    for i, (a, e) in enumerate(zip(y, z)):
        close(a, e, 1e-5, f"output {i}")
        if not e.requires_grad:
            continue
        weight = np.random.default_rng(i).standard_normal(tuple(e.shape)).astype(np.float32)
        total = (a * mi.tensor(weight)).sum() if total is None else total + (a * mi.tensor(weight)).sum()
        reference = (
            (e * torch.tensor(weight)).sum() if reference is None else reference + (e * torch.tensor(weight)).sum()
        )
    if reference is None:
        return
    try:
        total.backward()
    except (AttributeError, NotImplementedError) as error:
        if missing(error) or "gradient yet" in str(error):
            pytest.skip(str(error))
        raise
    reference.backward()
    for i, (x, t) in enumerate(zip(ours, others)):
        if t.grad is not None:
            close(x.grad, t.grad, 1e-4, f"gradient of input {i}")
    for (name, p), (other, q) in zip(mine.named_parameters(), theirs.named_parameters(), strict=True):
        assert name == other
        if q.grad is not None:
            close(p.grad, q.grad, 1e-4, f"gradient of {name}")
    for (name, p), (other, q) in zip(mine.named_buffers(), theirs.named_buffers(), strict=True):
        assert name == other
        close(p, q, 1e-5, name)


def pair(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
    kwargs = dict(kwargs)
    mode = not kwargs.pop("eval", False)
    torch.manual_seed(0)
    return getattr(mi.nn, name)(*args, **kwargs).train(mode), getattr(torch.nn, name)(*args, **kwargs).train(mode)


@pytest.mark.parametrize("name, args, kwargs, inputs", CASES, ids=[f"{c[0]}-{i}" for i, c in enumerate(CASES)])
def test_layer(name: str, args: tuple[Any, ...], kwargs: dict[str, Any], inputs: list[Any]) -> None:
    mine, theirs = pair(name, args, kwargs)
    assert repr(mine) == repr(theirs)
    assert list(mine.state_dict()) == list(theirs.state_dict())
    for (key, p), q in zip(mine.state_dict().items(), theirs.state_dict().values()):
        assert tuple(p.shape) == tuple(q.shape), key
    rng = np.random.default_rng(1)
    compare(mine, theirs, [draw(x, rng) for x in inputs])


MASKS: list[dict[str, Any]] = [
    {"key_padding_mask": np.array([[0, 0, 1, 0, 1, 0]] * 3, bool)},
    {"attn_mask": np.triu(np.ones((5, 6), bool), 2)},
    {
        "attn_mask": np.random.default_rng(2).standard_normal((6, 5, 6)).astype(np.float32),
        "average_attn_weights": False,
    },
    {
        "attn_mask": np.triu(np.full((5, 6), -np.inf, np.float32), 2),
        "key_padding_mask": np.array([[0, 0, 0, 0, 0, 1]] * 3, bool),
        "need_weights": False,
    },
]


@pytest.mark.parametrize("masks", MASKS)
def test_attention_masks(masks: dict[str, Any]) -> None:
    mine, theirs = pair("MultiheadAttention", (8, 2), {"add_zero_attn": "average_attn_weights" in masks})
    rng = np.random.default_rng(1)
    compare(mine, theirs, [draw(data(n, 3, 8), rng) for n in (5, 6, 6)], **masks)


def test_a_conv_transpose_of_a_given_size() -> None:
    mine, theirs = pair("ConvTranspose2d", (4, 6, 3), {"stride": 3})
    compare(mine, theirs, [draw(X2, np.random.default_rng(1))], output_size=(23, 25))
    with pytest.raises(ValueError, match="requested an output size"):
        mine(mi.zeros(2, 4, 7, 8), output_size=(50, 50))


def test_packed_sequences() -> None:
    rng = np.random.default_rng(1)
    lengths = [4, 6, 2, 4]
    x = rng.standard_normal((4, 6, 3)).astype(np.float32)
    mine, theirs = pair("LSTM", (3, 5), {"num_layers": 2, "bidirectional": True, "batch_first": True})
    mine.load_state_dict(theirs.state_dict())
    a, b = mi.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    ours, others = mi.nn.utils.rnn, torch.nn.utils.rnn
    try:
        p = ours.pack_padded_sequence(a, lengths, True, False)
        y, (h, c) = mine(p)
    except Exception as error:
        if missing(error):
            pytest.skip(str(error))
        raise
    q = others.pack_padded_sequence(b, lengths, True, False)
    close(p.data, q.data, 0, "packed")
    assert p.batch_sizes.tolist() == q.batch_sizes.tolist()
    assert p.sorted_indices.tolist() == q.sorted_indices.tolist()
    z, (k, d) = theirs(q)
    close(h, k, 1e-5, "h")
    close(c, d, 1e-5, "c")
    u, n = ours.pad_packed_sequence(y, True, -1.0, 8)
    v, m = others.pad_packed_sequence(z, True, -1.0, 8)
    close(u, v, 1e-5, "padded")
    assert n.tolist() == m.tolist() == lengths
    (u * u).sum().backward()
    (v * v).sum().backward()
    close(a.grad, b.grad, 1e-4, "gradient")
    for (name, w), (_, r) in zip(mine.named_parameters(), theirs.named_parameters()):
        close(w.grad, r.grad, 1e-4, name)
    rows = [rng.standard_normal((length, 3)).astype(np.float32) for length in lengths]
    for side in ("left", "right"):
        close(
            ours.pad_sequence([mi.tensor(r) for r in rows], padding_side=side),
            others.pad_sequence([torch.tensor(r) for r in rows], padding_side=side),
            0,
            side,
        )
    for got, row in zip(
        ours.unpack_sequence(ours.pack_sequence([mi.tensor(r) for r in rows], enforce_sorted=False)), rows
    ):
        np.testing.assert_array_equal(got.numpy(), row)
    with pytest.raises(RuntimeError, match="sorted in decreasing order"):
        ours.pack_padded_sequence(a, lengths, True)


def test_losses_with_weights() -> None:
    w = np.array([0.2, 1.0, 0.5, 2.0], np.float32)
    rng = np.random.default_rng(1)
    for name, key, target in (
        ("CrossEntropyLoss", "weight", ints(4, 3)),
        ("BCEWithLogitsLoss", "pos_weight", positive(3, 4)),
    ):
        mine, theirs = getattr(mi.nn, name)(**{key: mi.tensor(w)}), getattr(torch.nn, name)(**{key: torch.tensor(w)})
        assert list(mine.state_dict()) == list(theirs.state_dict()) == [key]
        compare(mine, theirs, [draw(data(3, 4), rng), draw(target, rng)])


def test_dropout_only_while_training() -> None:
    layer = mi.nn.Dropout(0.5)
    x = mi.ones(1000)
    kept = (layer(x).numpy() != 0).mean()
    assert 0.4 < kept < 0.6
    assert layer.eval()(x) is x
    with pytest.raises(ValueError, match="between 0 and 1"):
        mi.nn.Dropout(1.5)


def test_embedding_from_pretrained_shares_and_freezes() -> None:
    table = mi.tensor(RNG.standard_normal((5, 3)).astype(np.float32))
    e = mi.nn.Embedding.from_pretrained(table)
    assert not e.weight.requires_grad and e.weight.data_ptr() == table.data_ptr()
    assert mi.nn.Embedding.from_pretrained(table, freeze=False).weight.requires_grad
    assert not np.asarray(mi.nn.Embedding(4, 3, padding_idx=1).weight.detach())[1].any()


BAD = [
    (lambda: mi.nn.Conv2d(3, 4, 3, groups=2), ValueError, "divisible by groups"),
    (lambda: mi.nn.Conv2d(2, 4, 3, padding="full"), ValueError, "padding string"),
    (lambda: mi.nn.Conv2d(2, 4, 3, stride=2, padding="same"), ValueError, "strided"),
    (lambda: mi.nn.Conv2d(2, 4, 3, padding_mode="mirror"), ValueError, "padding_mode"),
    (lambda: mi.nn.ConvTranspose2d(2, 4, 3, padding_mode="reflect"), ValueError, "zeros"),
    (lambda: mi.nn.GroupNorm(3, 4), ValueError, "divisible"),
    (lambda: mi.nn.BatchNorm2d(3)(mi.zeros(2, 3)), ValueError, "expected 4D input"),
    (lambda: mi.nn.MultiheadAttention(7, 2), AssertionError, "divisible"),
    (lambda: mi.nn.LSTM(3, 4, proj_size=4), ValueError, "smaller than hidden_size"),
    (lambda: mi.nn.LSTM(3, 4)(mi.zeros(2, 2, 5)), RuntimeError, "input_size"),
    (lambda: mi.nn.GRU(3, 4)(mi.zeros(2, 2, 3), mi.zeros(1, 3, 4)), RuntimeError, "Expected hidden size"),
    (lambda: mi.nn.RNN(3, 4, nonlinearity="sin"), ValueError, "nonlinearity"),
    (lambda: mi.nn.Embedding(3, 4, padding_idx=5), AssertionError, "within num_embeddings"),
    (lambda: mi.nn.TransformerEncoderLayer(4, 2, activation="sin"), RuntimeError, "relu/gelu"),
]


@pytest.mark.parametrize("call, kind, words", BAD)
def test_bad_arguments(call: Any, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        call()


def test_ctc_loss() -> None:
    """Through log_softmax: PyTorch's own gradient for log_probs adds exp(log_probs), which log_softmax takes away
    again.
    """
    x = np.random.default_rng(0).standard_normal((7, 2, 5)).astype(np.float32)
    targets, lengths, sizes = np.array([[1, 2, 3], [2, 2, 1]]), np.array([7, 6]), np.array([3, 2])
    mine, theirs = mi.tensor(x).requires_grad_(), torch.tensor(x).requires_grad_()
    ours = mi.nn.CTCLoss()(mi.log_softmax(mine, 2), *map(mi.tensor, (targets, lengths, sizes)))
    other = torch.nn.CTCLoss()(torch.log_softmax(theirs, 2), *map(torch.tensor, (targets, lengths, sizes)))
    close(ours, other, 1e-5, "loss")
    ours.backward()
    other.backward()
    close(mine.grad, theirs.grad, 1e-4, "gradient")
