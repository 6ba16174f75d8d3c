"""Writing files that are there as a whole or not at all."""

import errno
import os
import tempfile
from pathlib import Path
from typing import Final
from uuid import uuid4

OWNERS: Final = 0o600
"""The permissions of what tells of people."""
EVERYBODYS: Final = 0o644


def write_whole(path: Path, content: bytes, *, mode: int) -> None:
    """Write the content in the place of an older file, with these permissions or the fewer that the umask leaves.

    Raises:
        OSError: it cannot be written; what was there before is still there.

    """
    part = path.parent / f".{uuid4().hex}"
    try:
        part.touch(mode, exist_ok=False)
        part.write_bytes(content)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def check_place(path: Path) -> None:
    """Return if :func:`write_whole` can write there; a file in its folder tells, which is gone at once.

    Raises:
        OSError: it cannot.

    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix="."):
        pass
