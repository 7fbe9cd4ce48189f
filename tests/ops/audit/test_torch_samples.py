"""The samples with which PyTorch tests itself (its lists of ops, modules and optimizers), told to both libraries.

Values, dtypes, first gradients in float64, and what must be refused: some 50,000 calls. They need `expecttest`, too.
"""

import itertools
import operator
import types
import warnings

import mielina as mi
import mielina.nn.functional as F
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("expecttest")
from torch.testing._internal.common_methods_invocations import op_db  # noqa: E402
from torch.testing._internal.common_modules import module_db  # noqa: E402
from torch.testing._internal.common_optimizers import optim_db  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")
NAMES = ("float64", "float32", "bfloat16", "float16", "int64", "int32", "int16", "int8", "uint8", "bool")
DTYPES = {getattr(torch, name): getattr(mi, name) for name in NAMES}
TOLERANCE = {"float64": 1e-9, "float32": 2e-5, "float16": 4e-3, "bfloat16": 3e-2}  # of the largest value of a result

# Results are not compared, as they are drawn, or uninitialized.
DRAWN = {
    "bernoulli", "rand_like", "randn", "randn_like", "randint", "randint_like", "normal", "multinomial", "uniform",
    "empty", "empty_like", "new_empty", "new_empty_strided", "dropout", "dropout2d", "dropout3d", "alpha_dropout",
    "feature_alpha_dropout", "rrelu", "fractional_max_pool2d", "fractional_max_pool3d",
}  # fmt: skip
# Their indices name any of equal elements.
TIES = {"sort", "argsort", "kthvalue"}
# The list's own function takes its arguments in another order, or is a property of tensors.
ORDER = {
    "where": lambda x, condition, other: mi.where(condition, x, other),
    "einsum": lambda operands, equation: mi.einsum(equation, operands),
    "polygamma": lambda x, n: mi.polygamma(n, x),
    "nn.functional.embedding": lambda weight, index, **k: F.embedding(index, weight, **k),
    "nn.functional.embedding_bag": lambda weight, index, **k: F.embedding_bag(index, weight, **k),
    **{name: operator.attrgetter(name) for name in ("T", "H", "mT", "mH")},
}
# Whole ops, or (op, dtype), that differ; the reason.
KNOWN = {
    "as_strided": "the samples are parts of a larger memory, which a copy does not have",
    "normal/in_place": "a method, normal_",
    "zero_": "a leaf that requires a gradient is written to",
    ("arange", "uint8"): "docs/differences.md: a negative start is refused",
    ("sinc", "integers"): "docs/differences.md: exactly 0 at whole numbers",
    ("nn.functional.hardsigmoid", "float64"): "docs/differences.md: the gradient's 1/6 in double",
    ("logspace", "integers"): "docs/differences.md: the ends are not cut to integers first",
    ("histc", "halves"): "elements on a boundary between bins: bounds in double here, in half there",
    ("nn.functional.grid_sample", "halves"): "places in single precision here, in half there",
    ("nn.functional.soft_margin_loss", "float16"): "finite where exp(x) overflows there",
    (
        "cov",
        "float64",
    ): "its float32 weights are summed in float32, in another order",
}
# Calls that PyTorch refuses and this library means to take: plain numbers where a tensor could stand.
NUMBERS = {
    "bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_left_shift", "bitwise_right_shift", "remainder", "pow", "rsub",
    "xlogy", "__radd__", "__rmul__", "__rand__", "__ror__", "__rxor__",
}  # fmt: skip


class NoCounterpart(Exception):
    """A sample with a device, a layout, a complex number or a module of PyTorch's."""


def told(x, grad, seen=None):
    """Arguments of PyTorch's as ours; one tensor that is given twice stays one."""
    seen = {} if seen is None else seen
    if id(x) in seen:
        return seen[id(x)]
    if isinstance(x, torch.Tensor):
        if x.dtype not in DTYPES or x.layout != torch.strided:
            raise NoCounterpart
        if x.ndim > 32:
            raise NoCounterpart  # more axes than NumPy's
        a = x.detach().float() if x.dtype is torch.bfloat16 else x.detach()
        y = mi.tensor(np.array(a.contiguous().numpy()), dtype=DTYPES[x.dtype])
        if x.ndim > 1 and x.numel() and not x.is_contiguous() and min(x.stride()) > 0:  # the same order of strides
            order = sorted(range(x.ndim), key=lambda i: -x.stride(i))
            y = y.permute(order).contiguous().permute([int(i) for i in np.argsort(order)])
        seen[id(x)] = y.requires_grad_() if x.requires_grad and grad else y
        return seen[id(x)]
    if isinstance(x, (tuple, list)):
        return type(x)(told(v, grad, seen) for v in x)
    if isinstance(x, dict):
        return {k: told(v, grad, seen) for k, v in x.items()}
    if isinstance(x, torch.dtype):
        if x not in DTYPES:
            raise NoCounterpart
        return DTYPES[x]
    if isinstance(x, torch.device):
        return "cpu"
    foreign = (torch.Generator, torch.memory_format, torch.layout, torch.nn.Module, types.BuiltinFunctionType, complex)
    if isinstance(x, foreign):
        raise NoCounterpart
    return x


def flat(x):
    return [y for v in x for y in flat(v)] if isinstance(x, (tuple, list)) else [x]


def shapes(x):
    return [tuple(y.shape) if hasattr(y, "shape") else y for y in flat(x)]


def array(x):
    x = x.detach()
    return (x.float() if "bfloat16" in str(x.dtype) else x).numpy()


def unlike(mine, theirs):
    """What is unlike in the results, or None. The samples are of the order of 1 to 10: differences are held against the
    largest value of a result, or 1.
    """
    mine, theirs = flat(mine), flat(theirs)
    if len(mine) != len(theirs):
        return f"{len(mine)} results for {len(theirs)}"
    for x, y in zip(mine, theirs):
        if not isinstance(y, torch.Tensor):
            if x != y and x == x:
                return f"{x} for {y}"
            continue
        kind = str(y.dtype).split(".")[-1]
        if str(x.dtype).split(".")[-1] != kind or tuple(x.shape) != tuple(y.shape):
            return f"{x.dtype} {tuple(x.shape)} for {y.dtype} {tuple(y.shape)}"
        a, b = array(x), array(y)
        if kind in TOLERANCE:
            a, b = a.astype(np.float64), b.astype(np.float64)
            scale = np.abs(b[np.isfinite(b)]).max(initial=1)
            same = np.isclose(a, b, rtol=TOLERANCE[kind], atol=TOLERANCE[kind] * scale, equal_nan=True)
        else:
            same = a == b
        if not same.all():
            i = tuple(int(k) for k in np.argwhere(~np.asarray(same))[0])
            return f"{a[i]} for {b[i]} at {i}, {(~np.asarray(same)).sum()} of {a.size}"
    return None


def gradients_unlike(inputs, mine, theirs):
    """The same for the gradients with respect to inputs (pairs of ours and PyTorch's)."""
    ours, their = ([y for y in flat(r) if hasattr(y, "requires_grad") and y.requires_grad] for r in (mine, theirs))
    if len(ours) != len(their):
        return f"{len(ours)} results with a gradient for {len(their)}"
    if not ours or not inputs:
        return None
    random = np.random.default_rng(0)
    seeds = [np.asarray(random.standard_normal(tuple(y.shape))) for y in their]
    xs, ts = zip(*inputs)
    try:
        want = torch.autograd.grad(their, ts, [torch.tensor(g) for g in seeds], allow_unused=True)
        want = [torch.zeros_like(t) if g is None else g.clone() for g, t in zip(want, ts)]
        list(map(array, want))
    except RuntimeError:
        return None  # PyTorch has no derivative here
    got = mi.grad(ours, list(xs), [mi.tensor(g) for g in seeds], allow_unused=True)
    return unlike([mi.zeros_like(x) if g is None else g for g, x in zip(got, xs)], want)


def wanting(x):
    return [t for t in flat(x) if hasattr(t, "requires_grad") and t.requires_grad]


def named(name, result, x, args, keywords):
    """The elements that the indices of a sort name, and its values."""
    values, index = result if isinstance(result, tuple) else (None, result)
    numbers = [a for a in args if type(a) is int][name == "kthvalue" :]
    dim = keywords.get("dim", numbers[0] if numbers else -1)
    index = index.unsqueeze(dim) if index.ndim < x.ndim else index
    taken = x.gather(dim, index) if x.ndim else x
    return taken if values is None else (values, taken)


def counterpart(op):
    if op.name in ORDER:
        return ORDER[op.name]
    functional = op.name.startswith("nn.functional.")
    if "." in op.name and not functional:
        return None  # torch.linalg, special, masked, fft
    f = getattr(F if functional else mi, op.name.split(".")[-1], None)
    if f is None or isinstance(f, mi.dtype):
        f = getattr(mi.Tensor, op.name, None)
    return f if callable(f) else None


def known(op, dtype):
    kind = "halves" if dtype in ("float16", "bfloat16") else "floats" if dtype in TOLERANCE else "integers"
    name = f"{op.name}/{op.variant_test_name}" if op.variant_test_name else op.name
    return {name, op.name, (op.name, dtype), (op.name, kind)} & KNOWN.keys()


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Samples are small, and PyTorch's threads spin between them."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


OPS = [op for op in op_db if counterpart(op)]


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name + "-" * bool(op.variant_test_name) + op.variant_test_name)
def test_ops(op):
    f, short = counterpart(op), op.name.split(".")[-1]
    torch.manual_seed(0)
    for dtype in NAMES[:6] + NAMES[8:]:
        kind = getattr(torch, dtype)
        if not op.supports_dtype(kind, "cpu") or known(op, dtype):
            continue
        grad = dtype == "float64" and op.supports_autograd
        for sample in itertools.islice(op.sample_inputs("cpu", kind, requires_grad=grad), 200):
            given = (sample.input, *sample.args)
            if sample.kwargs.get("dropout_p"):
                continue
            try:
                args, keywords = told((given, sample.kwargs), grad)
            except NoCounterpart:
                continue
            if short == "batch_norm" and sample.input.ndim < 2:
                continue  # PyTorch takes an empty vector, too
            theirs = op.op(*given, **sample.kwargs)
            mine = f(*args, **keywords)
            if short in DRAWN:
                continue
            if short in TIES and not keywords.get("stable"):
                mine = named(short, mine, args[0], args[1:], keywords)
                theirs = named(short, theirs, sample.input, sample.args, sample.kwargs)
            found = unlike(mine, theirs)
            if not found and grad:
                inputs = list(zip(wanting((args, *keywords.values())), wanting((given, *sample.kwargs.values()))))
                found = gradients_unlike(inputs, mine, theirs)
                found = found and "gradient: " + found
            assert not found, (
                f"{op.name} {dtype}: {[getattr(x, 'shape', x) for x in flat(given)]} {sample.kwargs}: {found}"
            )


@pytest.mark.parametrize("op", [op for op in OPS if op.error_inputs_func], ids=lambda op: op.name)
def test_what_is_refused(op):
    f = counterpart(op)
    torch.manual_seed(0)
    for wrong in op.error_inputs("cpu"):
        sample = wrong.sample_input
        given = (sample.input, *sample.args)
        try:
            args, keywords = told((given, sample.kwargs), False)
        except NoCounterpart:
            continue
        if known(op, "float32") or (op.name in NUMBERS and not isinstance(sample.input, torch.Tensor)):
            continue
        if op.name == "narrow" and any(isinstance(x, torch.Tensor) for x in sample.args):
            continue  # a start of one element may have any shape here
        try:
            op.op(*given, **sample.kwargs)
        except Exception:
            with pytest.raises((RuntimeError, ValueError, TypeError, IndexError, NotImplementedError)) as refused:
                f(*args, **keywords)
            assert str(refused.value), f"{op.name} {given} {sample.kwargs}"


MODULES = [m for m in module_db if hasattr(mi.nn, m.module_cls.__name__) and "Lazy" not in m.module_cls.__name__]


@pytest.mark.parametrize("info", MODULES, ids=lambda m: m.module_cls.__name__)
def test_modules(info):
    name = info.module_cls.__name__
    torch.manual_seed(0)
    for training, kind in itertools.product((False, True), (torch.float64, torch.float32)):
        for sample in info.module_inputs_func(
            info, device="cpu", dtype=kind, requires_grad=kind is torch.float64, training=training
        ):
            made, call = sample.constructor_input, sample.forward_input
            random = training and (name.startswith(("Dropout", "RReLU", "Transformer")) or "AlphaDropout" in name)
            if random or made.kwargs.get("dropout") or name.startswith("Fractional"):
                continue
            try:
                args, keywords = told(((made.args, call.args), (made.kwargs, call.kwargs)), True)
            except NoCounterpart:
                continue
            theirs = info.module_cls(*made.args, **made.kwargs).to(kind).train(training)
            mine = getattr(mi.nn, name)(*args[0], **keywords[0]).to(DTYPES[kind]).train(training)
            mine.load_state_dict({k: told(v, False) for k, v in theirs.state_dict().items()})
            parameters = dict(mine.named_parameters())
            got, want = mine(*args[1], **keywords[1]), theirs(*call.args, **call.kwargs)
            found = unlike(got, want)
            if not found and kind is torch.float64:
                inputs = [(parameters[k], p) for k, p in theirs.named_parameters()]
                found = gradients_unlike([*inputs, *zip(wanting(args[1]), wanting(call.args))], got, want)
                found = found and "gradient: " + found
            assert not found, (
                f"{name} {kind} {made.args} {made.kwargs} {[getattr(x, 'shape', x) for x in flat(call.args)]}: {found}"
            )


OPTIMIZERS = [o for o in optim_db if hasattr(mi.optim, o.optim_cls.__name__)]


@pytest.mark.parametrize("info", OPTIMIZERS, ids=lambda o: o.optim_cls.__name__)
def test_optimizers(info):
    name = info.optim_cls.__name__
    for sample in info.optim_inputs_func(device="cpu"):
        numbers = {
            k: tuple(map(float, v)) if k == "betas" else float(v) if isinstance(v, torch.Tensor) else v
            for k, v in sample.kwargs.items()
        }
        random = np.random.default_rng(0)
        start = [np.asarray(random.standard_normal(s)) for s in ((5, 3), (3,), (2, 2, 2), ())]
        mine = [mi.nn.Parameter(mi.tensor(w)) for w in start]
        theirs = [torch.nn.Parameter(torch.tensor(w)) for w in start]
        ours, their = getattr(mi.optim, name)(mine, **numbers), info.optim_cls(theirs, **numbers)
        for _ in range(6):
            factor = np.asarray(random.standard_normal())
            for optimizer, weights in ((ours, mine), (their, theirs)):

                def closure(optimizer=optimizer, weights=weights, factor=float(factor)):
                    optimizer.zero_grad()
                    loss = sum((w - factor).square().sum() + w.sin().sum() for w in weights)
                    loss.backward()
                    return loss

                optimizer.step(closure)
        if name == "LBFGS":  # its searches stop where the loss is flat: half the digits
            mine, theirs = [w.float() for w in mine], [w.float() for w in theirs]
        found = unlike(mine, theirs)
        assert not found, f"{name} {numbers}: {found}"


@pytest.mark.parametrize("info", OPTIMIZERS, ids=lambda o: o.optim_cls.__name__)
def test_numbers_that_optimizers_refuse(info):
    for wrong in info.optim_error_inputs_func(device="cpu", dtype=torch.float64):
        numbers = wrong.optimizer_error_input.kwargs
        if not numbers or any(isinstance(v, torch.Tensor) for v in flat(list(numbers.values()))):
            continue
        with warnings.catch_warnings(), pytest.raises(wrong.error_type):
            getattr(mi.optim, info.optim_cls.__name__)([mi.nn.Parameter(mi.ones(2))], **numbers)
