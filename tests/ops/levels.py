"""The CPU levels that this machine supports, the plainest first; and where one is AMX, the level below its tiles."""

import pytest
from mielina.testing.library import Library

LEVELS = Library().isas()
BELOW = LEVELS[LEVELS.index("amx") - 1] if "amx" in LEVELS else ""
needs_tiles = pytest.mark.skipif("amx" not in LEVELS, reason="this CPU has no tiles")
