"""Valid calls of every function of `mielina._core`: the compiled module is loaded before the package, its functions are
replaced by ones that note their arguments, and a tour through layers, ops and optimisers is made, forward and back."""

from __future__ import annotations

import functools
import importlib.machinery
import importlib.util
import sys
import warnings
from pathlib import Path
from typing import Any

KEPT = 6  # calls kept of one function
Calls = list[tuple[tuple[Any, ...], dict[str, Any]]]


def load_noting() -> tuple[Any, dict[str, Calls], dict[str, Any]]:
    """(mielina, calls by "space.name", the real functions of _core). Must come before anything imports mielina."""
    assert "mielina" not in sys.modules
    folder = Path(importlib.util.find_spec("mielina").submodule_search_locations[0])
    (path,) = folder.glob("_core*.so")
    loader = importlib.machinery.ExtensionFileLoader("mielina._core", str(path))
    core = importlib.util.module_from_spec(importlib.util.spec_from_loader("mielina._core", loader))
    sys.modules["mielina._core"] = core
    loader.exec_module(core)
    calls: dict[str, Calls] = {}
    real = note_all(core, "core", calls)
    import mielina

    mielina._core = core
    spaces = ((mielina, "mi"), (mielina.nn.functional, "functional"), (mielina.Tensor, "tensor"))
    undo = [(core, real)] + [(space, note_all(space, name, calls)) for space, name in spaces]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tour(mielina)
    finally:
        for space, originals in undo:
            for name, f in originals.items():
                setattr(space, name, f)
    return mielina, calls, real


def note_all(space: Any, title: str, calls: dict[str, Calls]) -> dict[str, Any]:
    """Replaces the functions of a module or class by ones that keep the positional arguments of their first calls."""
    originals = {
        n: f for n, f in vars(space).items() if callable(f) and not isinstance(f, type) and not n.startswith("_")
    }
    for name, f in originals.items():
        setattr(space, name, noting(f, calls.setdefault(f"{title}.{name}", [])))
    return originals


def noting(f: Any, kept: Calls) -> Any:
    @functools.wraps(f)
    def noted(*args: Any, **keywords: Any) -> Any:
        if len(kept) < KEPT:
            kept.append((args, keywords))
        return f(*args, **keywords)

    return noted


def back(*outputs: Any) -> None:
    losses = [(y * y).sum() for y in outputs if y.requires_grad]
    if losses:
        sum(losses[1:], losses[0]).backward()


def tour(mi: Any) -> None:
    F, nn = mi.nn.functional, mi.nn
    for part in (_elementwise, _reductions, _layout, _images, _losses, _norms, _sequences, _optimisers):
        part(mi, nn, F)


def _leaf(mi: Any, *shape: int) -> Any:
    return mi.rand(*shape).requires_grad_()


def _elementwise(mi: Any, nn: Any, F: Any) -> None:
    for name in sorted(set(dir(mi)) | set(dir(F))):
        f = getattr(F, name, None) or getattr(mi, name)
        if name.startswith("_") or not callable(f) or isinstance(f, type) or name in ("set_num_threads", "capture"):
            continue
        x, w = _leaf(mi, 3, 4), _leaf(mi, 3, 4)
        for args in ((x,), (x, w), (x, 0.5), (x, w, 0.5), (x.detach() > 0.5, x, w)):
            try:
                y = f(*args)
                back(*(y if isinstance(y, tuple) else (y,)))
            except Exception:
                continue
    x = mi.rand(3, 4)
    for name in dir(mi.Tensor):
        if name.endswith("_") and not name.startswith("_"):
            for args in ((), (0.5,), (x.clone(),)):
                try:
                    getattr(x.clone(), name)(*args)
                except Exception:
                    continue


def _reductions(mi: Any, nn: Any, F: Any) -> None:
    for keep in (False, True):
        x = _leaf(mi, 3, 4)
        back(
            x.sum(1, keep), x.mean(0, keep), x.prod(1, keep), x.amax(1, keep), x.logsumexp(1, keep), x.norm(2, 1, keep)
        )
        back(mi.var(x, 1, keepdim=keep), mi.std(x, 0, keepdim=keep), x.max(1, keep)[0], mi.median(x, 1, keep)[0])
        back(mi.mode(x, 1, keep)[0], mi.kthvalue(x, 2, 1, keep)[0], mi.nansum(x, 1, keep), *mi.var_mean(x, 1))
        x.argmax(1, keep), mi.all(x > 0, 1, keep), mi.any(x > 0, 1, keep), mi.count_nonzero(x, 1), mi.aminmax(x)
    x = _leaf(mi, 3, 4)
    back(x.cumsum(1), x.cumprod(0), mi.cummax(x, 1)[0], mi.logcumsumexp(x, 1), x.sort(1)[0], x.topk(2, 1)[0])
    i = mi.tensor([3, 1, 1])
    mi.bincount(i), mi.histc(x.detach(), 4, 0, 1), mi.unique(i), mi.isin(i, i), mi.searchsorted(mi.rand(5).sort()[0], x)
    back(
        mi.multinomial(mi.rand(3, 4), 2).float(), mi.einsum("ij,kj->ik", x, x), x @ x.T, mi.addmm(mi.rand(3, 3), x, x.T)
    )


def _layout(mi: Any, nn: Any, F: Any) -> None:
    x, i, rows = _leaf(mi, 3, 4), mi.tensor([[0, 1, 1, 0]]), mi.tensor([2, 0])
    back(x.reshape(4, 3), x.T, x[1:, ::2], x[rows], x[:, rows, None], x[x.detach() > 0.5], x.gather(0, i), x.flip(0))
    back(
        x.index_select(1, rows),
        mi.take(x, rows),
        mi.cat([x, x], 1),
        mi.stack([x, x]),
        x.expand(2, 3, 4),
        x.repeat(2, 1),
    )
    back(
        x.unfold(1, 2, 1),
        x.diagonal(),
        x.tril(),
        x.roll(1, 0),
        mi.repeat_interleave(x, 2, 0),
        x.masked_fill(x > 0.5, 0.0),
    )
    back(
        F.pad(x, (1, 1)),
        F.pad(_leaf(mi, 2, 3, 4), (1, 1), "reflect"),
        x.permute(1, 0).contiguous(),
        mi.where(x > 0.5, x, 0.0),
    )
    y = mi.zeros(3, 4)
    y[rows] = 1.0
    y[:, 1] = 2.0
    y.scatter_(0, i, mi.rand(1, 4)), y.scatter_add_(0, i, mi.rand(1, 4)), y.index_add_(0, rows, mi.rand(2, 4))
    (
        y.index_put_((rows, rows), mi.rand(2), accumulate=True),
        y.index_fill_(0, rows, 1.0),
        y.index_copy_(0, rows, mi.rand(2, 4)),
    )
    y.nonzero(), y.to(mi.int32), y.tolist(), y.numpy(), mi.from_numpy(y.numpy()), mi.from_dlpack(y), F.one_hot(rows, 4)
    mi.arange(5), mi.linspace(0, 1, 5), mi.randperm(5), mi.randint(0, 5, (3,)), mi.normal(0.0, 1.0, (3,)), mi.eye(3)


def _images(mi: Any, nn: Any, F: Any) -> None:
    for dims, name in ((1, "1d"), (2, "2d"), (3, "3d")):
        x = _leaf(mi, 2, 4, *[6, 5, 4][:dims])
        for groups in (1, 2, 4):
            back(getattr(nn, "Conv" + name)(4, 8, 3, padding=1, groups=groups)(x))
            back(getattr(nn, "ConvTranspose" + name)(4, 4, 2, stride=2, groups=groups)(x))
        for kind in ("MaxPool", "AvgPool"):
            back(getattr(nn, kind + name)(2, padding=1)(x))
        back(getattr(F, f"max_pool{name}")(x, 2, return_indices=True)[0], getattr(F, f"adaptive_avg_pool{name}")(x, 2))
        back(getattr(F, f"adaptive_max_pool{name}")(x, 2) if dims < 3 else x)
        for mode in {1: ["linear", "nearest"], 2: ["bilinear", "bicubic", "area"], 3: ["trilinear"]}[dims]:
            back(F.interpolate(x, scale_factor=1.5, mode=mode))
        for mode in ("constant", "reflect", "replicate", "circular"):
            back(F.pad(x, [1, 1] * dims, mode))
    x = _leaf(mi, 2, 4, 6, 5)
    back(
        F.unfold(x, 2),
        F.fold(_leaf(mi, 1, 4, 4), (3, 3), 2),
        F.pixel_shuffle(x, 2),
        F.grid_sample(x, _leaf(mi, 2, 3, 3, 2)),
    )
    back(F.grid_sample(_leaf(mi, 1, 2, 3, 4, 5), _leaf(mi, 1, 2, 2, 2, 3), mode="nearest", padding_mode="reflection"))
    y, index = F.max_pool2d(x, 2, return_indices=True)
    back(
        F.max_unpool2d(y, index, 2, output_size=(6, 5)),
        F.channel_shuffle(x, 2),
        F.dropout2d(x, 0.5),
        F.dropout(x, 0.5),
        F.alpha_dropout(x, 0.5),
    )


def _losses(mi: Any, nn: Any, F: Any) -> None:
    x, y, t = _leaf(mi, 5, 4), mi.rand(5, 4), mi.tensor([0, 3, 2, 1, 1])
    for reduction in ("mean", "sum", "none"):
        for name in (
            "mse_loss",
            "l1_loss",
            "huber_loss",
            "smooth_l1_loss",
            "kl_div",
            "binary_cross_entropy_with_logits",
        ):
            back(getattr(F, name)(x, y, reduction=reduction))
        back(F.cross_entropy(x, t, reduction=reduction, weight=mi.rand(4)), F.nll_loss(x, t, reduction=reduction))
        back(F.cross_entropy(x, y.softmax(1), reduction=reduction), F.multi_margin_loss(x, t, reduction=reduction))
    back(F.binary_cross_entropy(x.sigmoid(), y), F.gaussian_nll_loss(x, y, mi.rand(5, 4)), F.poisson_nll_loss(x, y))
    back(F.cross_entropy(_leaf(mi, 2, 3, 4), mi.randint(0, 3, (2, 4)), label_smoothing=0.1), F.log_softmax(x, 1))
    p = _leaf(mi, 6, 2, 4).log_softmax(2)
    back(F.ctc_loss(p, mi.tensor([[1, 2], [3, 3]]), mi.tensor([6, 5]), mi.tensor([2, 1])))
    back(
        F.embedding(t, _leaf(mi, 5, 3)),
        F.embedding_bag(t, _leaf(mi, 5, 3), mi.tensor([0, 2])),
        F.cosine_similarity(x, y),
    )


def _norms(mi: Any, nn: Any, F: Any) -> None:
    x = _leaf(mi, 3, 4, 5, 2)
    for layer in (
        nn.BatchNorm2d(4),
        nn.GroupNorm(2, 4),
        nn.InstanceNorm2d(4, affine=True),
        nn.LayerNorm((5, 2)),
        nn.RMSNorm(2),
    ):
        back(layer(x), layer.eval()(x))
    back(F.local_response_norm(x, 3), F.normalize(x))


def _sequences(mi: Any, nn: Any, F: Any) -> None:
    for kind in (nn.RNN, nn.LSTM, nn.GRU):
        layer = kind(3, 4, num_layers=2, bidirectional=True)
        back(layer(_leaf(mi, 5, 2, 3))[0])
        back(layer(nn.utils.rnn.pack_padded_sequence(_leaf(mi, 5, 2, 3), mi.tensor([5, 3])))[0].data)
        back(kind(3, 4)(_leaf(mi, 5, 3))[0])
    q, k = _leaf(mi, 2, 4, 6, 8), _leaf(mi, 2, 2, 6, 8)
    attend = F.scaled_dot_product_attention
    back(attend(q, q, q), attend(q, q, q, is_causal=True, dropout_p=0.5), attend(q, k, k, enable_gqa=True))
    back(attend(q, q, q, attn_mask=mi.rand(6, 6) > 0.5), attend(q, q, q, attn_mask=mi.rand(6, 6)))
    back(nn.TransformerEncoderLayer(8, 2, 16)(_leaf(mi, 5, 2, 8)))


def _optimisers(mi: Any, nn: Any, F: Any) -> None:
    for name in dir(mi.optim):
        kind = getattr(mi.optim, name)
        if not isinstance(kind, type) or name in ("Optimizer", "LBFGS"):  # LBFGS steps with a closure
            continue
        model = nn.Linear(3, 2)
        for options in ({}, {"momentum": 0.9}, {"amsgrad": True}, {"centered": True}):
            try:
                optimizer = kind(model.parameters(), lr=0.1, **options)
            except TypeError:
                continue
            back(model(mi.rand(4, 3)))
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
