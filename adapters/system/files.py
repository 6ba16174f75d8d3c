"""Files of this machine, which may be of any length."""

import errno
from pathlib import Path


def check_regular(path: Path) -> None:
    """Do nothing with a file that has an end, or with none.

    Raises:
        OSError: it is a folder, a device or a pipe, which nobody may be writing into.

    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "not a regular file", str(path))


def read_at_most(path: Path, most: int) -> bytes:
    """Return a file's content; of one that is longer than ``most`` bytes one byte more than that, which tells it is.

    Raises:
        OSError: it cannot be read, or is none that has an end: a folder, a device, a pipe.

    """
    check_regular(path)
    with path.open("rb") as file:
        return file.read(most + 1)
