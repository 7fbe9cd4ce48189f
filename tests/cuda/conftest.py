"""`pytest -m cuda` runs the tests of this folder on a real card. test_fake.py runs the same files without one, in a
process that has MIELINA_FAKE_CARD set: on a library whose device memory crashes whoever touches it from the host."""

import ctypes
import os

FAKE = os.environ.get("MIELINA_FAKE_CARD")
if FAKE:
    os.environ["MIELINA_CUDA_LIBRARY"] = FAKE

import mielina as mi  # noqa: E402
import pytest  # noqa: E402
from mielina import _core  # noqa: E402


class Fake:
    """The fake card's own switches."""

    def __init__(self, path):
        self.library = ctypes.CDLL(path)
        self.library.fake_calls.restype = ctypes.c_int64
        self.library.fake_use(ctypes.c_void_p(_core.kernel_table(0)))

    def calls(self):
        return self.library.fake_calls()

    def without(self, *names):
        """A context in which the card lacks some kernels."""
        from contextlib import contextmanager

        @contextmanager
        def removed():
            try:
                for name in names:
                    assert self.library.fake_remove(name.encode(), 1), name
                yield
            finally:
                for name in names:
                    self.library.fake_remove(name.encode(), 0)

        return removed()


_fake = Fake(FAKE) if FAKE else None


@pytest.fixture
def fake():
    if _fake is None:
        pytest.skip("only on the fake card")
    return _fake


def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("cuda") and not mi.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason=mi.cuda.why_not()))
