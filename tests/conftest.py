"""One seed for everybody: what a test draws is the same on every run and whichever tests ran before it, so that a
failure is a change's and not chance's.

`pytest -m full` runs the checks of one case over the whole product of dtypes, layouts, CPU levels and threads instead
of a covering of all pairs.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from pathlib import Path

import mielina as mi
import numpy as np
import pytest
from hypothesis import settings
from mielina.testing import full_product

settings.register_profile("fixed", derandomize=True, deadline=None)
settings.load_profile("fixed")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where `full` is asked for, every test of a module that uses check_op is also its own full version."""
    if not re.search(r"(?<!not )\bfull\b", config.option.markexpr or ""):
        return
    for item in items:
        if hasattr(getattr(item, "module", None), "check_op"):
            item.add_marker(pytest.mark.full)
            if config.pluginmanager.hasplugin("timeout"):
                item.add_marker(pytest.mark.timeout(0))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    seed = zlib.crc32(item.nodeid.encode())
    for generator in vars(getattr(item, "module", item)).values():
        if isinstance(generator, np.random.Generator):
            generator.bit_generator.state = np.random.default_rng(seed).bit_generator.state
    mi.manual_seed(seed)
    threads = mi.get_num_threads()
    if item.get_closest_marker("full"):
        with full_product():
            yield
    else:
        yield
    mi.set_num_threads(threads)


@pytest.fixture
def plain_build() -> None:
    """Skips where the library is a sanitizer's, which is larger and takes memory of its own."""
    if b"__asan_init" in Path(mi._core.__file__).read_bytes():
        pytest.skip("a sanitizer's build")
