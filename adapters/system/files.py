"""Files of this machine, which may be of any length."""

from pathlib import Path


def read_at_most(path: Path, most: int) -> bytes:
    """Return a file's content; of one that is longer than ``most`` bytes one byte more than that, which tells it is.

    Raises:
        OSError: it cannot be read.

    """
    with path.open("rb") as file:
        return file.read(most + 1)
