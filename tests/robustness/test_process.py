"""What happens to a process: forks, threads, signals, its end, its environment."""

import os
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs fork and signals")


def run(script, expected=0, **environment):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=280,
        env={**os.environ, **environment},
    )
    assert done.returncode == expected, f"exit code {done.returncode}\n{done.stdout[-1000:]}\n{done.stderr[-3000:]}"
    return done


WORK = """
import os, signal, sys, threading, time
import mielina as mi
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would ignore Ctrl-C

def work():
    mi.manual_seed(0)
    a = mi.rand(300, 300).requires_grad_()
    y = mi.nn.functional.softmax(a @ a, 1)
    (y * y).sum().backward()
    return a.grad.numpy().tobytes()
"""


# ---- fork ------------------------------------------------------------------------------------------------------------
def test_fork_after_use():
    """The child computes the same with a pool of its own, trains, and forks again; the parent goes on."""
    out = run(
        WORK
        + """
mi.set_num_threads(2)
expected = work()

def child(depth):
    pid = os.fork()
    if pid == 0:
        ok = work() == expected and mi._core.pool_probe(3) == 3
        model = mi.nn.Linear(64, 64)
        mi.fit(model, mi.rand(64, 64), loss="mse", verbose=0, epochs=2)
        if depth:
            ok = ok and child(depth - 1)
        os._exit(0 if ok else 1)
    return os.waitpid(pid, 0)[1] == 0

print(all(child(1) for _ in range(2)), work() == expected)
"""
    )
    assert out.stdout.split() == ["True", "True"]


def test_fork_while_other_threads_compute():
    """Locks are held over the fork: a child of a busy process never waits for a thread that it does not have."""
    out = run(
        WORK
        + """
mi.set_num_threads(2)
expected, going = work(), [True]

def busy():
    a = mi.rand(200, 200)
    while going[0]:
        a @ a, mi.empty(1 << 20), a + a

threads = [threading.Thread(target=busy) for _ in range(3)]
for t in threads:
    t.start()
ok = True
for _ in range(8):
    pid = os.fork()
    if pid == 0:
        a = mi.ones(300, 300)
        os._exit(0 if float((a @ a).sum()) == 300.0 ** 3 else 1)
    ok = os.waitpid(pid, 0)[1] == 0 and ok
going[0] = False
for t in threads:
    t.join()
print(ok)
"""
    )
    assert out.stdout.strip() == "True"


def test_multiprocessing_fork():
    out = run(
        WORK
        + """
import multiprocessing as mp

def square(x):
    return (mi.full((500, 500), float(x)) @ mi.eye(500)).sum().item(), mi.get_num_threads() >= 1

def main():
    work()
    with mp.get_context("fork").Pool(2) as pool:
        print([v for v, _ in pool.map(square, range(4))] == [250000.0 * k for k in range(4)])
        t = mi.arange(6).reshape(2, 3)
        print(pool.apply(mi.sum, (t,)).item())  # tensors travel

main()
"""
    )
    assert out.stdout.split() == ["True", "15"]


# ---- threads ---------------------------------------------------------------------------------------------------------
def test_four_threads_compute_and_go_backward():
    out = run(
        WORK
        + """
mi.set_num_threads(3)
base = mi.rand(64, 64)

def step(k):
    w = (base + k).requires_grad_()
    for _ in range(20):
        w.grad = None
        y = mi.nn.functional.gelu(w @ w).sum() + (w[::2] * w[1::2]).mean()
        y.backward()
    return w.grad.numpy().tobytes()

expected = [step(k) for k in range(4)]
results, shared = [None] * 4, mi.ones(50).requires_grad_()

def thread(k):
    results[k] = step(k)
    mi.grad((shared * k).sum(), shared)
    with mi.no_grad():
        assert not (shared * 2).requires_grad

threads = [threading.Thread(target=thread, args=(k,)) for k in range(4)]
for t in threads:
    t.start()
for t in threads:
    t.join()
print(results == expected, mi.is_grad_enabled())
"""
    )
    assert out.stdout.split() == ["True", "True"]


def test_threads_that_train_loaders_and_change_the_number_of_threads():
    out = run(
        WORK
        + """
errors = []

def train(k):
    try:
        x = mi.rand(96, 16)
        loader = mi.data.DataLoader(mi.data.TensorDataset(x, x), 16, shuffle=True, num_workers=2)
        for _ in range(3):
            mi.fit(mi.nn.Linear(16, 16), loader, loss="mse", verbose=0)
    except BaseException as e:
        errors.append(repr(e))

threads = [threading.Thread(target=train, args=(k,)) for k in range(4)]
for t in threads:
    t.start()
n = 0
while any(t.is_alive() for t in threads):
    n = n % 4 + 1
    mi.set_num_threads(n)
    mi.empty_cache() if hasattr(mi, "empty_cache") else mi._core.empty_cache()
for t in threads:
    t.join()
print(errors)
"""
    )
    assert out.stdout.strip() == "[]"


# ---- Ctrl-C ----------------------------------------------------------------------------------------------------------
def test_ctrl_c_in_the_middle_of_steps():
    """Twenty interrupts in training steps: each is raised, and the next step works."""
    out = run(
        WORK
        + """
import random
random.seed(0)
model = mi.nn.Sequential(mi.nn.Linear(200, 300), mi.nn.ReLU(), mi.nn.Linear(300, 200))
optimizer = mi.optim.Adam(model.parameters())
x = mi.rand(128, 200)

def step():
    optimizer.zero_grad()
    loss = mi.nn.functional.mse_loss(model(x), x)
    loss.backward()
    optimizer.step()
    return loss.item()

caught = 0
for _ in range(20):
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.read(read, 1)
        time.sleep(random.uniform(0, 0.01))
        os.kill(os.getppid(), signal.SIGINT)
        os._exit(0)
    try:
        os.write(write, b"x")
        until = time.monotonic() + 2
        while time.monotonic() < until:
            step()
    except KeyboardInterrupt:
        caught += 1
    os.waitpid(pid, 0), os.close(read), os.close(write)
    assert step() < 10 and mi.is_grad_enabled()
print(caught)
"""
    )
    assert int(out.stdout) >= 15  # Python itself drops an interrupt that falls into a finaliser


def test_ctrl_c_ends_a_program():
    done = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import signal\nimport mielina as mi\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
            "print('on', flush=True)\na = mi.rand(500, 500)\nwhile True: a @ a",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    done.stdout.readline()
    done.send_signal(2)
    _, err = done.communicate(timeout=30)
    assert done.returncode in (-2, 130) and "KeyboardInterrupt" in err


# ---- the end ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("daemon", [True, False])
def test_exit_while_threads_compute(daemon):
    run(
        WORK
        + f"""
mi.set_num_threads(2)
stop = []
def busy():
    a = mi.rand(400, 400).requires_grad_()
    while not stop:
        (a @ a).sum().backward()
threads = [threading.Thread(target=busy, daemon={daemon}) for _ in range(3)]
for t in threads:
    t.start()
time.sleep(0.1)
if not {daemon}:
    stop.append(1)
"""
    )


def test_exit_in_the_middle_of_a_loader():
    run(
        WORK
        + """
it = iter(mi.data.DataLoader(range(10**6), 4, num_workers=3))
next(it)
"""
    )


def test_tensors_that_outlive_the_interpreter():
    """Module globals, cycles and foreign memory are freed while Python goes down."""
    run(
        WORK
        + """
import numpy as np
a = mi.from_numpy(np.ones(1000))
b = a.numpy()
w = mi.rand(10).requires_grad_()
y = (w * w).sum()
class Keeper: pass
k = Keeper()
k.me, k.graph, k.view = k, y, memoryview(b)
sys.keeper = k
sys.modules["kept"] = k
"""
    )


def test_sys_exit_in_a_thread_and_in_a_hook():
    out = run(
        WORK
        + """
w = mi.rand(3).requires_grad_()
y = w * 2
y.register_hook(lambda g: sys.exit(7))
t = threading.Thread(target=lambda: y.sum().backward())
t.start(); t.join()
print("alive")
y.sum().backward()
""",
        expected=7,
    )
    assert out.stdout.strip() == "alive"


# ---- the environment -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("text", ["abc", "-1", "0", "1000000000", "", " ", "2.5", "1e3", "٣", "2;rm", "9" * 5000])
def test_wrong_number_of_threads(text):
    done = run("import mielina", expected=1, MIELINA_NUM_THREADS=text)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ValueError: MIELINA_NUM_THREADS") and "1 to 1024" in last


@pytest.mark.parametrize("text, threads", [("1", 1), (" 2 ", 2), ("1024", 1024)])
def test_right_number_of_threads(text, threads):
    out = run("import mielina as mi; mi.rand(4) + 1; print(mi.get_num_threads())", MIELINA_NUM_THREADS=text)
    assert int(out.stdout) == threads


@pytest.mark.parametrize("text", ["abc", "0", "-3", "", "1000000"])
def test_other_libraries_variable_is_no_error(text):
    run("import mielina as mi; assert mi.get_num_threads() >= 1", OMP_NUM_THREADS=text, MIELINA_NUM_THREADS_OFF="1")


@pytest.mark.parametrize("text", ["avx9", "AVX2 ", "x" * 5000, "avx2,avx512", "é"])
def test_unknown_isa(text):
    done = run("import mielina", expected=1, MIELINA_ISA=text)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ValueError: MIELINA_ISA=") and "choose one of" in last


def test_more_threads_than_the_system_gives():
    """Where no thread can be started, the work is done by the caller."""
    out = run(
        """
        import resource
        import mielina as mi
        mi.set_num_threads(512)
        soft, hard = resource.getrlimit(resource.RLIMIT_NPROC)
        resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
        a = mi.ones(600, 600)
        print(float((a @ a).sum()) == 600.0 ** 3)
        """
    )
    assert out.stdout.strip() == "True"
