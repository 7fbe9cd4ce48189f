"""Every layer kind beside PyTorch's: the same repr and state-dict keys, and with PyTorch's weights the same outputs
(1e-5) and gradients (1e-4), relative to the largest element."""

from __future__ import annotations

import warnings
from typing import Any

import mielina as mi
import numpy as np
import pytest
from layer_cases import CASES, X2, data, draw, ints, positive

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(0)


def flat(y: Any) -> list[Any]:
    return [z for part in y for z in flat(part)] if isinstance(y, (tuple, list)) else [] if y is None else [y]


def close(actual: Any, expected: Any, limit: float, what: str) -> None:
    a, e = np.asarray(actual.detach(), np.float64), expected.detach().numpy().astype(np.float64)
    assert a.shape == e.shape, f"{what}: shape {a.shape}, PyTorch {e.shape}"
    if not e.size:
        return
    error = np.abs(a - e).max() / max(np.abs(e).max(), 1e-6)
    assert error <= limit, f"{what}: off by {error:.2g} of the largest element"


def each(lib: Any, x: Any) -> Any:
    """Arrays, also within tuples, as the library's tensors; floating ones want gradients."""
    if isinstance(x, (tuple, list)):
        return type(x)(each(lib, v) for v in x)
    if not isinstance(x, np.ndarray):
        return x
    return lib.tensor(x, requires_grad=x.dtype == np.float32)


def compare(mine: Any, theirs: Any, inputs: list[Any], **kwargs: Any) -> None:
    """Outputs and gradients of the two modules on the same inputs."""
    ours, others = ([each(lib, x) for x in inputs] for lib in (mi, torch))
    y = flat(mine(*ours, **{k: each(mi, v) for k, v in kwargs.items()}))
    z = flat(theirs(*others, **{k: each(torch, v) for k, v in kwargs.items()}))
    assert len(y) == len(z)
    total: Any = 0.0
    reference: Any = 0.0
    for i, (a, e) in enumerate(zip(y, z)):
        assert str(a.dtype).split(".")[1] == str(e.dtype).split(".")[1], f"output {i}: {a.dtype}, PyTorch {e.dtype}"
        close(a, e, 1e-5, f"output {i}")
        if e.requires_grad:
            weight = np.random.default_rng(i).standard_normal(tuple(e.shape)).astype(np.float32)
            total, reference = total + (a * mi.tensor(weight)).sum(), reference + (e * torch.tensor(weight)).sum()
    if isinstance(reference, float):
        return
    total.backward()
    reference.backward()
    for i, (x, t) in enumerate(zip(ours, others)):
        if isinstance(t, torch.Tensor) and t.grad is not None:
            close(x.grad, t.grad, 1e-4, f"gradient of input {i}")
    for (name, p), (other, q) in zip(mine.named_parameters(), theirs.named_parameters(), strict=True):
        assert name == other and (p.grad is None) == (q.grad is None), name
        if q.grad is not None:
            close(p.grad, q.grad, 1e-4, f"gradient of {name}")
    for (name, p), (other, q) in zip(mine.named_buffers(), theirs.named_buffers(), strict=True):
        assert name == other
        close(p, q, 1e-5, name)


def pair(name: str, args: tuple[Any, ...], kwargs: dict[str, Any], rng: Any = None) -> tuple[Any, Any]:
    """The two modules, ours with PyTorch's weights."""
    kwargs = {k: draw(v, rng) for k, v in kwargs.items()}
    args = tuple(draw(a, rng) for a in args)
    mode = not kwargs.pop("eval", False)
    torch.manual_seed(0)
    both = []
    for lib in (mi, torch):
        tensors = lambda x, lib=lib: lib.tensor(x) if isinstance(x, np.ndarray) else x  # noqa: E731
        made = getattr(lib.nn, name)(*map(tensors, args), **{k: tensors(v) for k, v in kwargs.items()})
        both.append(made.train(mode))
    mine, theirs = both
    mine.load_state_dict(theirs.state_dict())
    return mine, theirs


def case_name(case: Any) -> str:
    return f"{case[0]}-{CASES.index(case)}"


@pytest.mark.parametrize("case", CASES, ids=[f"{c[0]}-{i}" for i, c in enumerate(CASES)])
@pytest.mark.filterwarnings("ignore")  # PyTorch's advice on speed and on deprecated arguments
def test_layer(case: Any, tmp_path: Any) -> None:
    name, args, kwargs, inputs = case
    kwargs, rng = dict(kwargs), np.random.default_rng(1)
    call = {k: tuple(draw(x, rng) for x in v) if k == "hx" else v for k, v in kwargs.pop("call", {}).items()}
    mine, theirs = pair(name, args, kwargs, rng)
    assert repr(mine) == repr(theirs)
    assert list(mine.state_dict()) == list(theirs.state_dict())
    for (key, p), q in zip(mine.state_dict().items(), theirs.state_dict().values()):
        assert tuple(p.shape) == tuple(q.shape), key
    compare(mine, theirs, [draw(x, rng) for x in inputs], **call)


@pytest.mark.parametrize("name", sorted({c[0] for c in CASES}))
@pytest.mark.filterwarnings("ignore")
def test_weights_go_both_ways(name: str, tmp_path: Any) -> None:
    """Ours into theirs as arrays, theirs into ours as arrays and as a safetensors file; another key is an error."""
    _, args, kwargs, _ = next(c for c in CASES if c[0] == name)
    kwargs = {k: v for k, v in kwargs.items() if k != "call"}
    mine, theirs = pair(name, args, kwargs, np.random.default_rng(0))
    arrays = {k: v.numpy() for k, v in theirs.state_dict().items()}
    for p in mine.parameters():
        mi.nn.init.uniform_(p)
    theirs.load_state_dict({k: torch.tensor(v.numpy()) for k, v in mine.state_dict().items()})
    for key, q in theirs.state_dict().items():
        np.testing.assert_array_equal(mine.state_dict()[key].numpy(), q.numpy(), key)
    safetensors = pytest.importorskip("safetensors.torch")
    safetensors.save_file(theirs.state_dict(), str(tmp_path / "weights.safetensors"))
    for state in (arrays, mi.load(tmp_path / "weights.safetensors")):
        for p in mine.parameters():
            mi.nn.init.zeros_(p)
        assert not any(mine.load_state_dict(state))
        for key, q in mine.state_dict().items():
            np.testing.assert_array_equal(q.numpy(), np.asarray(state[key]), key)
    with pytest.raises(RuntimeError, match="Unexpected key"):
        mine.load_state_dict({**arrays, "another": np.zeros(1)})
    if arrays:
        with pytest.raises(RuntimeError, match="Missing key"):
            mine.load_state_dict(dict(list(arrays.items())[1:]))


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
    a, b = mi.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    ours, others = mi.nn.utils.rnn, torch.nn.utils.rnn
    p = ours.pack_padded_sequence(a, lengths, True, False)
    y, (h, c) = mine(p)
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


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.filterwarnings("ignore")
def test_stacks_of_transformer_layers(first: bool) -> None:
    rng = np.random.default_rng(1)
    causal = np.triu(np.ones((5, 5), bool), 1)
    for kind, sizes in (("Encoder", (5,)), ("Decoder", (5, 6))):
        made = []
        for lib in (mi, torch):
            torch.manual_seed(0)
            layer = getattr(lib.nn, f"Transformer{kind}Layer")(8, 2, 16, 0.0, batch_first=first, norm_first=first)
            made.append(getattr(lib.nn, f"Transformer{kind}")(layer, 3, lib.nn.LayerNorm(8) if first else None))
        mine, theirs = made
        assert repr(mine) == repr(theirs) and list(mine.state_dict()) == list(theirs.state_dict())
        weights = [p.tolist() for p in mine.layers[0].parameters()]
        assert all([p.tolist() for p in layer.parameters()] == weights for layer in mine.layers)  # copies of the first
        mine.load_state_dict(theirs.state_dict())
        inputs = [draw(data(3, n, 8) if first else data(n, 3, 8), rng) for n in sizes]
        compare(mine, theirs, inputs)
        compare(mine, theirs, inputs, **{"mask" if kind == "Encoder" else "tgt_mask": causal})


def test_losses_with_weights() -> None:
    w = np.array([0.2, 1.0, 0.5, 2.0], np.float32)
    rng = np.random.default_rng(1)
    for name, key, target in (
        ("CrossEntropyLoss", "weight", ints(4, 3)),
        ("BCEWithLogitsLoss", "pos_weight", positive(3, 4)),
    ):
        mine, theirs = pair(name, (), {key: ("fixed", w)})
        assert list(mine.state_dict()) == list(theirs.state_dict()) == [key]
        compare(mine, theirs, [draw(data(3, 4), rng), draw(target, rng)])


@pytest.mark.parametrize("name", ["Softmax", "LogSoftmax", "Softmin"])
def test_a_softmax_without_dim_warns(name) -> None:
    for x in (mi.rand(3, 4), mi.rand(2, 3, 4)):
        with pytest.warns(UserWarning, match="give dim=") as caught:
            y = getattr(mi.nn, name)()(x)
        assert [w.filename for w in caught] == [__file__]
        assert y.tolist() == getattr(mi.nn, name)(0 if x.ndim == 3 else 1)(x).tolist()


@pytest.mark.parametrize("kind", [mi.nn.RNN, mi.nn.GRU, mi.nn.LSTM])
def test_dropout_between_layers_of_one_layer_warns(kind) -> None:
    with pytest.warns(UserWarning, match="expects num_layers greater than 1, but got dropout=0.5 and") as caught:
        kind(4, 5, dropout=0.5)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kind(4, 5, num_layers=2, dropout=0.5), kind(4, 5)


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
    (lambda: mi.nn.TransformerEncoderLayer(4, 2, 8)(mi.zeros(2, 3, 4), is_causal=True), RuntimeError, "attn_mask"),
    (lambda: mi.nn.FractionalMaxPool2d(2), ValueError, "either output_size or output_ratio"),
    (lambda: mi.nn.FractionalMaxPool2d(4, 3)(mi.zeros(1, 1, 5, 9)), RuntimeError, "do not fit"),
]


@pytest.mark.parametrize("call, kind, words", BAD)
def test_bad_arguments(call: Any, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        call()


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize(
    "options, steps, targets, lengths, sizes",
    [
        ({}, 7, [[1, 2, 3], [2, 2, 1]], (7, 6), (3, 2)),
        ({"blank": 1}, 7, [[2, 3, 2], [4, 2, 3]], (7, 6), (3, 2)),
        ({"zero_infinity": True}, 4, [1, 1, 1, 1, 2], (4, 4), (4, 1)),
    ],
)
def test_ctc_loss(options: Any, steps: int, targets: Any, lengths: Any, sizes: Any, reduction: str) -> None:
    """Through log_softmax: PyTorch's gradient for log_probs adds exp(log_probs), which log_softmax takes away again."""
    x = np.random.default_rng(0).standard_normal((steps, 2, 5)).astype(np.float32)
    found = []
    for lib in (mi, torch):
        logits = lib.tensor(x, requires_grad=True)
        loss = lib.nn.CTCLoss(reduction=reduction, **options)(
            lib.log_softmax(logits, 2), lib.tensor(targets), lib.tensor(lengths), lib.tensor(sizes)
        )
        loss.sum().backward()
        found.append((loss, logits.grad))
    close(found[0][0], found[1][0], 1e-5, "loss")
    close(found[0][1], found[1][1], 1e-4, "gradient")


LAZY = [
    ("LazyLinear", (5,), {"bias": False}, (3, 4)),
    ("LazyConv1d", (6, 3), {"groups": 2}, (2, 4, 9)),
    ("LazyConv2d", (6, 3), {}, (4, 7, 8)),
    ("LazyConv3d", (2, 2), {"stride": 2}, (2, 4, 5, 6, 5)),
    ("LazyConvTranspose1d", (6, 3), {}, (2, 4, 9)),
    ("LazyConvTranspose2d", (6, 3), {"groups": 2, "bias": False}, (2, 4, 5, 5)),
    ("LazyConvTranspose3d", (2, 2), {}, (4, 3, 4, 3)),
    ("LazyBatchNorm1d", (), {}, (6, 4)),
    ("LazyBatchNorm2d", (1e-3,), {"affine": False}, (2, 4, 7, 8)),
    ("LazyBatchNorm3d", (), {"track_running_stats": False}, (2, 4, 5, 6, 5)),
    ("LazyInstanceNorm1d", (), {"affine": True}, (3, 4, 9)),
    ("LazyInstanceNorm2d", (), {"affine": True, "track_running_stats": True}, (2, 4, 7, 8)),
    ("LazyInstanceNorm3d", (), {}, (2, 4, 5, 6, 5)),
]


@pytest.mark.parametrize("name, args, kwargs, shape", LAZY, ids=[c[0] for c in LAZY])
@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_lazy_layers(name: str, args: Any, kwargs: Any, shape: Any) -> None:
    x = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    mine, theirs = (getattr(lib.nn, name)(*args, **kwargs) for lib in (mi, torch))
    assert repr(mine) == repr(theirs) and list(mine.state_dict()) == list(theirs.state_dict())
    before = list(mine.parameters())
    mine(mi.tensor(x))
    theirs(torch.tensor(x))
    assert type(mine).__name__ == type(theirs).__name__ == name[4:] and repr(mine) == repr(theirs)
    assert all(a is b for a, b in zip(mine.parameters(), before, strict=True))
    mine.load_state_dict(theirs.state_dict())
    compare(mine, theirs, [x])
    later = mi.nn.Sequential(getattr(mi.nn, name)(*args, **kwargs))
    state = {f"0.{k}": v for k, v in theirs.state_dict().items()}
    if state:  # the size comes from the state dict
        later.load_state_dict(state)
        assert type(later[0]) is type(mine) and later[0].weight is None or later[0].weight.shape == mine.weight.shape


def test_adaptive_log_softmax_parts() -> None:
    mine, theirs = pair("AdaptiveLogSoftmaxWithLoss", (6, 20, [4, 10]), {"head_bias": True})
    x = np.random.default_rng(0).standard_normal((9, 6)).astype(np.float32)
    close(mine.log_prob(mi.tensor(x)), theirs.log_prob(torch.tensor(x)), 1e-5, "log_prob")
    assert mine.predict(mi.tensor(x)).tolist() == theirs.predict(torch.tensor(x)).tolist()
    with pytest.raises(ValueError, match="increasing order"):
        mi.nn.AdaptiveLogSoftmaxWithLoss(6, 20, [10, 4])
    with pytest.raises(RuntimeError, match="in range"):
        mine(mi.tensor(x), mi.full((9,), 20))


def test_a_bags_gradient_is_divided_by_each_rows_count() -> None:
    """PyTorch 2.13 divides rows of a bag by other rows' counts (a row that is read once gets 1/3 here)."""
    w = mi.zeros(5, 2).requires_grad_()
    bags = mi.tensor([[0, 0, 1], [0, 2, 2]])
    mi.nn.functional.embedding_bag(bags, w, mode="sum", scale_grad_by_freq=True).sum().backward()
    np.testing.assert_allclose(w.grad.numpy(), [[1, 1]] * 3 + [[0, 0]] * 2, rtol=1e-6)


# Classes of torch.nn that are not layers of one's own choice, or stand on what is not here.
ABSENT = {
    "Container": "deprecated name",
    "NLLLoss2d": "deprecated name",
    "CrossMapLRN2d": "LocalResponseNorm",
    "DataParallel": "one device",
    "SyncBatchNorm": "one process",
    "LinearCrossEntropyLoss": "experimental",
    "LinearCrossEntropyOptions": "experimental",
    "UninitializedBuffer": "part of the lazy layers' machinery",
    "UninitializedParameter": "part of the lazy layers' machinery",
    "Buffer": "not a layer",
    "Parameter": "not a layer",
    "Module": "not a layer",
    "RNNBase": "a base class",
    "RNNCellBase": "a base class",
}
# Tested by tests of their own.
ELSEWHERE = {
    *(c[0] for c in LAZY),
    "CTCLoss",
    "TransformerEncoder",
    "TransformerDecoder",
    "Sequential",
    "ModuleList",
    "ModuleDict",
    "ParameterList",
    "ParameterDict",
}


def test_every_class_of_torch_nn_is_compared() -> None:
    classes = {name for name in dir(torch.nn) if isinstance(getattr(torch.nn, name), type)}
    assert classes - {c[0] for c in CASES} - set(ABSENT) - ELSEWHERE == set()
