"""Writing files that are there as a whole or not at all."""

import errno
import os
import tempfile
from pathlib import Path


def write_whole(path: Path, content: str, *, mode: int) -> None:
    """Write the content in the place of an older file, with these permissions.

    Raises:
        OSError: it cannot be written; what was there before is still there.

    """
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".", delete=False, encoding="utf-8") as file:
        part = Path(file.name)
        try:
            file.write(content)
            file.close()
            part.chmod(mode)
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
