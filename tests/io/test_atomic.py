"""A file is the old one or the new one: killed, interrupted, out of space, and never something else."""

import os
import stat
import subprocess
import sys
import textwrap
import threading

import mielina as mi
import pytest

posix = pytest.mark.skipif(os.name != "posix", reason="needs fork and signals")

COMMON = """
import os, random, resource, signal, sys, time
import mielina as mi
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would ignore Ctrl-C
path, folder = sys.argv[1], os.path.dirname(sys.argv[1])
SIZE = 1 << 18  # 2 MiB in two tensors: long enough to be caught in the middle

def save(k):
    mi.save({"a": mi.full((SIZE,), float(k)), "b": mi.full((SIZE,), float(k)), "k": k}, path)

def check(least, most):
    state = mi.load(path)
    k = state["k"]
    assert least <= k <= most, (least, k, most)
    assert bool((state["a"] == k).all()) and bool((state["b"] == k).all()), "a mixture of two files"
    return k
"""


def run(tmp_path, script):
    done = subprocess.run(
        [sys.executable, "-c", COMMON + textwrap.dedent(script), str(tmp_path / "file")],
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@posix
def test_killed_in_the_middle_of_a_save(tmp_path):
    """Twenty processes save one version after the other and are killed at a random moment."""
    out = run(
        tmp_path,
        """
        random.seed(0)
        last, caught = 0, 0
        takes = 0
        for _ in range(4):
            start = time.perf_counter()
            save(0)
            takes = max(takes, time.perf_counter() - start)
        for _ in range(20):
            child = os.fork()
            if child == 0:
                for k in range(last + 1, last + 10000):
                    save(k)
                os._exit(0)
            time.sleep(random.uniform(0, 4 * takes))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            last = check(last, last + 10000)
            parts = [f for f in os.listdir(folder) if f.endswith(".part")]
            caught += len(parts)
            for f in parts:
                os.unlink(os.path.join(folder, f))
        assert os.listdir(folder) == ["file"], os.listdir(folder)
        print(caught, last)
        """,
    )
    caught, last = map(int, out.split())
    assert caught >= 3 and last >= 1  # or the test has not tested what it says


@posix
def test_interrupted_in_the_middle_of_a_save(tmp_path):
    """Ctrl-C at random moments: the interrupt reaches the caller, the file is whole, nothing is left beside it."""
    out = run(
        tmp_path,
        """
        random.seed(0)
        save(0)
        last = interrupted = 0
        for _ in range(25):
            read, write = os.pipe()
            pid = os.fork()
            if pid == 0:  # the finger on the keys
                os.read(read, 1)
                time.sleep(random.uniform(0.0005, 0.02))
                os.kill(os.getppid(), signal.SIGINT)
                os._exit(0)
            k = last
            try:
                os.write(write, b"x")
                for k in range(last + 1, last + 1000):
                    save(k)
            except KeyboardInterrupt:
                interrupted += 1
            os.waitpid(pid, 0)
            os.close(read), os.close(write)
            last = check(k - 1, k)
            assert os.listdir(folder) == ["file"], os.listdir(folder)
        print(interrupted)
        """,
    )
    assert int(out) >= 21  # Python itself drops an interrupt that falls into a finaliser


@posix
def test_no_space_left(tmp_path):
    out = run(
        tmp_path,
        """
        save(1)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        try:
            save(2)
        except OSError as e:
            print(type(e).__name__)
        check(1, 1)
        assert os.listdir(folder) == ["file"], os.listdir(folder)
        """,
    )
    assert out.strip() == "OSError"


def test_an_error_in_the_middle_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError):
        with mi.io.atomic_write(path) as f:
            f.write(b"new")
            f.flush()
            raise ZeroDivisionError
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["file"]


def test_the_file_is_synced_before_it_is_renamed(tmp_path, monkeypatch):
    order = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, name=name, real=real: (order.append(name), real(*a))[1])
    mi.save({"x": mi.ones(3)}, tmp_path / "file")
    assert order[:2] == ["fsync", "replace"]


def test_folders_and_devices_are_not_replaced(tmp_path):
    with pytest.raises(IsADirectoryError):
        mi.save({}, tmp_path)
    with pytest.raises(FileNotFoundError, match="missing"):
        mi.save({}, tmp_path / "missing" / "file")
    with pytest.raises(OSError, match="Not a regular file"):
        mi.save({}, os.devnull)
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode) and os.listdir(tmp_path) == []


@posix
def test_links_and_permissions_stay(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"")
    target.chmod(0o640)
    link.symlink_to(target)
    mi.save({"x": 1}, link)
    assert link.is_symlink() and mi.load(target) == {"x": 1}
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    mask = os.umask(0o027)
    try:
        mi.save({"x": 1}, tmp_path / "fresh")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "fresh").stat().st_mode) == 0o640


@posix
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_must_not_be_written_to(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(PermissionError):
            mi.save({}, tmp_path / "file")
    finally:
        tmp_path.chmod(0o700)


def test_names_of_the_longest_kind(tmp_path):
    path = tmp_path / ("n" * 255)
    mi.save({"x": 1}, path)
    assert mi.load(path) == {"x": 1}


def test_four_threads_save_to_one_name(tmp_path):
    path, errors = tmp_path / "file", []

    def work(k):
        try:
            for _ in range(10):
                mi.save({"x": mi.full((10000,), float(k))}, path)
                x = mi.load(path)["x"]
                assert bool((x == x[0]).all())
        except BaseException as e:
            errors.append(e)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors and os.listdir(tmp_path) == ["file"]
