"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from typing import IO, Any

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[IO[Any]]:
    """A binary file that takes the place of `path` when the block ends: written beside it, synced, renamed.

    If the block raises, `path` stays as it was and nothing is left behind (a killed process leaves a hidden ".part"
    file). A link is followed, an existing file's permissions are kept. OSError: the folder is missing, `path` is a
    folder or a device.
    """
    target = os.path.realpath(os.fspath(path))
    folder, base = os.path.split(target)
    mode = _mode_of(target)
    if not os.path.isdir(folder):
        raise FileNotFoundError(errno.ENOENT, "No such folder", folder)
    part = os.path.join(folder, f".{base[:200]}.{os.getpid()}-{os.urandom(6).hex()}.part")
    try:  # the file is opened inside: a Ctrl-C that arrives with it must remove it, too
        with open(part, "xb") as f:
            yield f
            f.flush()
            os.fsync(f.fileno())
        if mode is not None:
            os.chmod(part, mode)
        os.replace(part, target)
    except BaseException as e:
        with contextlib.suppress(OSError):
            os.unlink(part)
        if isinstance(e, OSError) and e.errno in _FULL and e.filename is None:
            e.filename = target  # a failed write does not know where
        raise
    with contextlib.suppress(OSError):  # the rename itself, where folders can be synced
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _mode_of(path: str) -> int | None:
    """The permissions of the file there, None if there is none; a rename must not replace folders and devices."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "Not a regular file", path)
    return stat.S_IMODE(found.st_mode)
