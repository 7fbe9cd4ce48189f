"""Wrong shapes, dtypes, axes, devices and objects: the exception that NumPy's or PyTorch's users expect, naming what is
wrong. (Each op's own errors: tests/ops. All functions with arguments at random: test_fuzz.py.)"""

import copy
import ctypes
import inspect
import pickle

import mielina as mi
import mielina.nn.functional as F
import numpy as np
import pytest

A, B = mi.ones(2, 3), mi.ones(4, 5)


@pytest.mark.parametrize(
    "call, kind, words",
    [
        # shapes
        (lambda: A @ B, RuntimeError, ["(2, 3)", "(4, 5)"]),
        (lambda: A + B, RuntimeError, ["(2, 3)", "(4, 5)"]),
        (lambda: A.reshape(7), RuntimeError, ["7"]),
        (lambda: A.view(4, 2), RuntimeError, ["4"]),
        (lambda: mi.cat([A, B]), RuntimeError, []),
        (lambda: mi.stack([A, B]), RuntimeError, []),
        (lambda: F.linear(A, B), RuntimeError, ["linear"]),
        (lambda: F.conv2d(mi.ones(1, 2, 3, 3), mi.ones(1, 3, 1, 1)), RuntimeError, ["conv"]),
        (lambda: F.cross_entropy(A, mi.tensor([1])), (RuntimeError, ValueError), []),
        (lambda: F.cross_entropy(A, mi.tensor([1, 3])), IndexError, ["3"]),
        (lambda: F.embedding(mi.tensor([5]), A), IndexError, ["5"]),
        (lambda: A.expand(3, 3), RuntimeError, ["(2, 3)", "(3, 3)"]),
        (lambda: A.add_(B), RuntimeError, []),
        (lambda: A.backward(), RuntimeError, []),
        (lambda: mi.einsum("ij,jk", A, B), (RuntimeError, ValueError), []),
        # dtypes
        (lambda: mi.ones(2, dtype=mi.int64) @ mi.ones(2), RuntimeError, ["int64"]),
        (lambda: mi.arange(3).requires_grad_(), RuntimeError, ["floating"]),
        (lambda: mi.arange(3).softmax(0), (RuntimeError, TypeError, NotImplementedError), ["int64"]),
        (lambda: A[mi.ones(2)], (IndexError, TypeError), ["float32"]),
        (lambda: A & A, (RuntimeError, TypeError, NotImplementedError), []),
        (lambda: mi.arange(3).add_(0.5), RuntimeError, ["int64"]),
        (lambda: A.to("float33"), (TypeError, ValueError, RuntimeError), ["float33"]),
        (lambda: mi.zeros(2, dtype="float32"), TypeError, []),
        # axes
        (lambda: A.sum(2), IndexError, ["[-2, 1]", "2"]),
        (lambda: A.sum((0, 0)), (RuntimeError, ValueError, IndexError), ["0"]),
        (lambda: A.transpose(0, 5), IndexError, ["5"]),
        (lambda: A.permute(0, 0), RuntimeError, []),
        (lambda: A.softmax(-3), IndexError, ["-3"]),
        (lambda: A.squeeze(4), IndexError, ["4"]),
        (lambda: A.sum(2**70), (OverflowError, TypeError, IndexError), []),
        (lambda: A.sum(1.0), TypeError, []),
        (lambda: A.sum("0"), TypeError, []),
        # indices
        (lambda: A[2], IndexError, ["2"]),
        (lambda: A[0, 0, 0], IndexError, []),
        (lambda: A[mi.tensor([2])], IndexError, ["2"]),
        (lambda: A["a"], (IndexError, TypeError), []),
        (lambda: A[::-1], ValueError, []),
        (lambda: mi.tensor(1.0)[0], IndexError, []),
        (lambda: A.gather(1, mi.tensor([[3]])), (IndexError, RuntimeError), ["3"]),
        (lambda: A.index_select(0, mi.tensor([-1])), (IndexError, RuntimeError), ["-1"]),
        (lambda: iter(mi.tensor(1.0)), TypeError, ["0-d"]),
        (lambda: len(mi.tensor(1.0)), TypeError, ["0-d"]),
        # devices
        (lambda: A.to("cuda"), (RuntimeError, NotImplementedError, ValueError), ["CUDA"]),
        (lambda: A.to("tpu"), (RuntimeError, ValueError, TypeError), ["tpu"]),
        # objects that are no tensors
        (lambda: mi.relu("abc"), TypeError, ["str"]),
        (lambda: mi.matmul([1.0], A), TypeError, ["list"]),
        (lambda: F.relu(None), TypeError, ["NoneType"]),
        (lambda: F.relu(np.ones(3)), TypeError, ["ndarray"]),
        (lambda: A + "x", TypeError, []),
        (lambda: A + None, TypeError, []),
        (lambda: object() > A, TypeError, []),
        (lambda: mi.tensor("abc"), (TypeError, ValueError), []),
        (lambda: mi.tensor(object()), (TypeError, ValueError), []),
        (lambda: mi.tensor([1, "a"]), (TypeError, ValueError), []),
        (lambda: mi.tensor([[1, 2], [3]]), (ValueError, TypeError), []),
        (lambda: mi.tensor({"a": 1}), (TypeError, ValueError), []),
        (lambda: mi.tensor([2**64]), (OverflowError, ValueError, RuntimeError, TypeError), []),
        (lambda: bool(A), (RuntimeError, ValueError), ["ambiguous"]),
        (lambda: float(A), (RuntimeError, ValueError, TypeError), []),
        (lambda: int(A), (RuntimeError, ValueError, TypeError), []),
        (lambda: A.item(), (RuntimeError, ValueError), []),
        (lambda: range(mi.tensor(2.5)), TypeError, []),
        (lambda: mi.nn.Linear("a", 2), TypeError, []),
        (lambda: mi.nn.Linear(2, 2)("x"), TypeError, []),
        (lambda: mi.optim.SGD([np.ones(2)], lr=0.1), TypeError, ["ndarray"]),
        (lambda: mi.optim.SGD([], lr=0.1), ValueError, ["empty"]),
        (lambda: mi.optim.SGD([{"lr": 0.1}]), TypeError, ["params"]),
        (lambda: mi.optim.Adam([mi.ones(2)], betas=(0.9,)), ValueError, ["betas"]),
        (lambda: mi.optim.Adam([mi.ones(2)]).load_state_dict({}), ValueError, ["param_groups"]),
        (lambda: mi.optim.Adam([mi.ones(2)]).load_state_dict(None), ValueError, ["param_groups"]),
        (lambda: mi.optim.lr_scheduler.StepLR(mi.optim.SGD([mi.ones(2)]), 0), ValueError, ["step_size"]),
        (lambda: mi.optim.lr_scheduler.CosineAnnealingLR(mi.optim.SGD([mi.ones(2)]), 0), ValueError, ["T_max"]),
        (lambda: mi.nn.GroupNorm(0, 3), ValueError, ["num_groups"]),
        (lambda: mi.nn.GRU(3, 4)("x"), TypeError, ["GRU", "str"]),
        (lambda: mi.nn.GRU(3, 4)(mi.ones(5, 2, 3), (mi.ones(1, 2, 4),)), TypeError, ["GRU", "tuple"]),
        (lambda: mi.nn.LSTM(3, 4)(mi.ones(5, 2, 3), (mi.ones(1, 2, 4),)), ValueError, ["LSTM", "2 states"]),
        (lambda: mi.nn.GRUCell(3, 4)(mi.ones(2, 3), "x"), TypeError, ["GRUCell", "str"]),
        (lambda: mi.rand(3, generator=5), TypeError, ["generator", "int"]),
        (lambda: list(mi.data.DataLoader([1, 2], shuffle=True, generator=5)), TypeError, ["generator", "int"]),
        (lambda: mi.manual_seed("a"), (TypeError, ValueError), []),
    ],
)  # fmt: skip
def test_the_exception_that_is_expected(call, kind, words):
    with pytest.raises(kind) as e:
        call()
    text = str(e.value)
    assert text and all(w in text for w in words), text


def test_lists_of_parameters_print_what_is_none():
    assert "(1): Object of type: str" in repr(mi.nn.ParameterList([mi.ones(2), "a"]))


def test_nan_and_what_does_not_fit_in_integer_casts():
    """As PyTorch on x86: int64 and int32 give their minimum or wrap, nothing raises and nothing is undefined."""
    x = mi.tensor([float("nan"), float("inf"), float("-inf"), 1e30, -1e30, 2.9, -2.9])
    low = -(2**63)
    for kind in (mi.float32, mi.float64):
        assert x.to(kind).to(mi.int64).tolist() == [low, low, low, low, low, 2, -2]
    for dtype in (mi.int32, mi.int16, mi.int8, mi.uint8):
        assert x.to(dtype).tolist()[-2:] == [2, -2 % 256 if dtype is mi.uint8 else -2]
        assert len(x.half().to(dtype).tolist()) == 7
    assert x.to(mi.bool).tolist() == [True] * 7
    for wrong in (float("nan"), float("inf")):
        with pytest.raises((ValueError, OverflowError)):
            int(mi.tensor(wrong))


# ---- memory of others ------------------------------------------------------------------------------------------------
def test_read_only_arrays():
    a = np.arange(6.0, dtype=np.float32).reshape(2, 3)
    a.flags.writeable = False
    t = mi.from_numpy(a)
    for write in (
        lambda: t.add_(1), lambda: t.__setitem__(0, 1.0), lambda: t.zero_(), lambda: t[0].fill_(2), lambda: t.T.mul_(2),
        lambda: t.copy_(mi.ones(2, 3)), lambda: mi.nn.init.normal_(t), lambda: t.scatter_(0, mi.tensor([[0]]), 1.0),
        lambda: F.relu(t, inplace=True), lambda: t.index_add_(0, mi.tensor([0]), mi.ones(1, 3)), lambda: t.tril_(),
        lambda: t.detach().sub_(1), lambda: t.masked_fill_(t > 1, 0.0), lambda: t.index_fill_(0, mi.tensor([0]), 1.0),
    ):  # fmt: skip
        with pytest.raises((ValueError, RuntimeError, BufferError), match="read-only|not writable|read only"):
            write()
    assert a.tolist() == [[0, 1, 2], [3, 4, 5]] and (t + 1).sum() == 21
    assert not t.numpy().flags.writeable
    copy_ = t.clone()
    copy_ += 1
    assert mi.tensor(a).add_(1).sum() == 21


def test_read_only_bytes_and_maps(tmp_path):
    b = np.frombuffer(bytes(16), dtype=np.float32)
    with pytest.raises((ValueError, RuntimeError, BufferError)):
        mi.from_numpy(b).add_(1)
    np.zeros(1000, np.float32).tofile(tmp_path / "f")
    mapped = mi.from_numpy(np.memmap(tmp_path / "f", dtype=np.float32, mode="r"))  # a write would be a SIGSEGV
    optimizer = mi.optim.Adam([mapped.detach().clone().requires_grad_()])
    for write in (lambda: mapped.add_(1), lambda: mapped[10:20].fill_(1)):
        with pytest.raises((ValueError, RuntimeError, BufferError)):
            write()
    p = optimizer.param_groups[0]["params"][0]
    p.data = mapped
    p.grad = mi.ones(1000)
    with pytest.raises((ValueError, RuntimeError, BufferError)):
        optimizer.step()
    p.grad = mapped
    with pytest.raises((ValueError, RuntimeError, BufferError)):
        mi.nn.utils.clip_grad_norm_([p], 0.1)
    assert float(mapped.sum()) == 0


@pytest.mark.parametrize(
    "array",
    [
        np.array([None, 1], dtype=object),
        np.array(["a"]),
        np.array([b"a"]),
        np.zeros(2, complex),
        np.zeros(2, np.uint16),
        np.zeros(2, np.longdouble),
        np.zeros(2, "datetime64[s]"),
        np.zeros(2, [("a", "f4"), ("b", "i4")]),
        np.zeros(2, ">f4"),
        np.ma.masked_array([1.0, 2.0], mask=[True, False]),
    ],
    ids=lambda a: str(a.dtype) + type(a).__name__,
)
def test_arrays_that_tensors_cannot_hold(array):
    for f in (mi.from_numpy, mi.as_tensor, mi.tensor):
        try:
            t = f(array)
        except (TypeError, ValueError) as e:
            assert str(e)
        else:  # converted: then the numbers must be right
            assert np.array_equal(t.numpy(), np.asarray(array).astype(t.numpy().dtype))
            assert array.dtype.kind in "fiub" and f is not mi.from_numpy or array.dtype == t.numpy().dtype


@pytest.mark.parametrize("layout", ["negative", "misaligned", "zero stride", "huge stride", "empty"])
def test_odd_layouts(layout):
    base = np.arange(24, dtype=np.float32)
    a = {
        "negative": lambda: base.reshape(4, 6)[::-1, ::-2],
        "misaligned": lambda: np.frombuffer(b"\0" + base.tobytes(), dtype=np.uint8)[1:].view(np.float32),
        "zero stride": lambda: np.broadcast_to(base[:1], (5, 3)),
        "huge stride": lambda: np.lib.stride_tricks.as_strided(base, (1, 3), (2**62, 4)),
        "empty": lambda: np.lib.stride_tricks.as_strided(base, (0, 3), (2**62, -(2**62))),
    }[layout]()
    for f in (mi.tensor, mi.as_tensor, mi.from_numpy):
        try:
            t = f(a)
        except (ValueError, TypeError, RuntimeError, BufferError) as e:
            assert str(e) and f is mi.from_numpy
            continue
        assert t.tolist() == a.tolist() and (t + 1).tolist() == (a + 1).tolist()


def test_damaged_capsules():
    make = ctypes.pythonapi.PyCapsule_New
    make.restype, make.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    buffer = ctypes.create_string_buffer(512)
    for wrong in (object(), None, 3, "dltensor", make(ctypes.addressof(buffer), b"other", None)):
        with pytest.raises((TypeError, ValueError, BufferError, AttributeError, RuntimeError)):
            mi._core.from_capsule(wrong)
        with pytest.raises((TypeError, ValueError, BufferError, AttributeError, RuntimeError)):
            mi.from_dlpack(wrong)
    capsule = mi.ones(3).__dlpack__()
    assert mi._core.from_capsule(capsule).tolist() == [1, 1, 1]
    with pytest.raises((ValueError, TypeError, BufferError, RuntimeError)):
        mi._core.from_capsule(capsule)  # used up


# ---- gradients -------------------------------------------------------------------------------------------------------
def test_in_place_on_saved_tensors():
    for change in (
        lambda x: x.add_(1),
        lambda x: x.__setitem__(0, 1.0),
        lambda x: x[1:].zero_(),
        lambda x: x.T.mul_(2),
    ):
        w = mi.rand(3, 3).requires_grad_()
        x = w * 1
        y = (x * x).sum()
        change(x)
        with pytest.raises(RuntimeError, match="in.?place"):
            y.backward()
        x = w * 1
        y = x.exp()
        change(y)
        with pytest.raises(RuntimeError, match="in.?place"):
            y.sum().backward()


def test_in_place_on_leaves():
    w = mi.rand(3).requires_grad_()
    for change in (lambda: w.add_(1), lambda: w.__setitem__(0, 1.0), lambda: w[1:].zero_(), lambda: w.T.mul_(2)):
        with pytest.raises(RuntimeError, match="leaf"):
            change()
    with mi.no_grad():
        w.add_(1)


def test_backward_twice():
    w = mi.rand(3).requires_grad_()
    y = (w * w).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="second time.*retain_graph"):
        y.backward()
    y = (w * w).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert np.allclose(w.grad.numpy(), 6 * w.detach().numpy())


def test_errors_of_backward():
    w = mi.rand(3).requires_grad_()
    for call, kind, words in (
        (lambda: mi.rand(1).backward(), RuntimeError, "require"),
        (lambda: (w * 2).backward(), RuntimeError, "gradient"),
        (lambda: (w * 2).backward(mi.ones(4)), RuntimeError, "shape"),
        (lambda: (w * 2).backward("x"), TypeError, "Tensor"),
        (lambda: mi.grad((w * 2).sum(), mi.rand(3).requires_grad_()), RuntimeError, "allow_unused"),
        (lambda: mi.grad((w * 2).sum(), mi.rand(3)), RuntimeError, "require"),
        (lambda: mi.grad(3.0, w), TypeError, ""),
        (lambda: setattr(w, "grad", mi.ones(4)), RuntimeError, "shape"),
        (lambda: setattr(w, "grad", 3), TypeError, "Tensor"),
    ):
        with pytest.raises(kind, match=words):
            call()


def test_a_function_that_fails_on_the_way_back():
    class Fails(mi.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            raise ZeroDivisionError("on the way back")

    class Misfits(Fails):
        @staticmethod
        def backward(ctx, g):
            return mi.ones(7)

    for kind, error in ((Fails, ZeroDivisionError), (Misfits, RuntimeError)):
        w = mi.rand(3).requires_grad_()
        with pytest.raises(error):
            kind.apply(w).sum().backward()
        assert w.grad is None and mi.is_grad_enabled()
        w.sum().backward()
        assert w.grad.tolist() == [1, 1, 1]


# ---- what is no tensor -----------------------------------------------------------------------------------------------
def functions_of_tensors():
    """(name, function, how many tensors it must be given), for all whose first parameter is a Tensor."""
    for module in (mi, F):
        for name, f in vars(module).items():
            if name.startswith("_") or not inspect.isfunction(f):
                continue
            parameters = list(inspect.signature(f).parameters.values())
            if parameters and parameters[0].annotation == "Tensor":
                needed = [p for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
                yield f"{module.__name__}.{name}", f, len(needed)


@pytest.mark.parametrize("wrong", [[1.0, 2.0], "a", None, {}, (A, A)], ids=lambda w: type(w).__name__)
def test_what_is_no_tensor_is_a_type_error(wrong):
    """Arrays and numbers may be taken for tensors; what they are not taken for is an error of the same kind."""
    for name, f, n in functions_of_tensors():
        for first in (wrong, np.ones(3, np.float32), 3):
            try:
                f(first, *[A] * (n - 1))
            except TypeError as error:
                assert "Tensor" in str(error) or "tensor" in str(error), f"{name}: {error}"
            except (RuntimeError, ValueError, IndexError, NotImplementedError):
                assert first is not wrong, f"{name}: {type(first).__name__}"
            else:
                assert first is not wrong, f"{name}: {type(first).__name__}"
    with pytest.raises(TypeError, match="stack: expected a Tensor, got list"):
        mi.stack([[1.0], [2.0]])
    with pytest.raises(TypeError, match="relu_: expected a Tensor, got int"):
        F.relu(3, inplace=True)


@pytest.mark.parametrize("wrong", [np.float32, "float32", np.dtype("float32"), 1, (1, 1)], ids=str)
def test_what_is_no_dtype_is_a_type_error(wrong):
    for call in (
        lambda: mi.tensor([1.0], dtype=wrong),
        lambda: mi.as_tensor([1.0], wrong),
        lambda: mi.zeros(2, dtype=wrong),
        lambda: mi.rand(2, dtype=wrong),
        lambda: mi.randn(2, dtype=wrong),
        lambda: mi.randint(3, (2,), dtype=wrong),
        lambda: mi.normal(0.0, 1.0, (2,), dtype=wrong),
        lambda: A.sum(dtype=wrong),
        lambda: A.to(dtype=wrong),
        lambda: mi.nn.Linear(2, 2).to(dtype=wrong),
    ):
        with pytest.raises(TypeError, match="expected a dtype"):
            call()
    assert mi.tensor([1], dtype=float).dtype is mi.float64 and mi.rand(2, dtype=float).dtype is mi.float64


# ---- pickles ---------------------------------------------------------------------------------------------------------
def test_pickles_that_are_damaged():
    data = pickle.dumps(mi.arange(5))
    assert pickle.loads(data).tolist() == [0, 1, 2, 3, 4]
    for k in range(0, len(data), 3):
        spoilt = bytearray(data)
        spoilt[k] ^= 0x15
        for content in (bytes(spoilt), data[:k]):
            try:
                pickle.loads(content)
            except Exception:
                continue


def test_what_cannot_be_pickled_says_so():
    w = mi.rand(3).requires_grad_()
    for wrong in (w * 2, {"a": (w * 2).sum()}):
        for f in (copy.deepcopy, pickle.dumps):
            with pytest.raises(RuntimeError, match="leaf|leaves|detach|graph"):
                f(wrong)
    model = mi.nn.Linear(2, 2)
    model.hook = lambda x: x
    with pytest.raises((AttributeError, pickle.PicklingError), match="lambda"):
        pickle.dumps(model)
