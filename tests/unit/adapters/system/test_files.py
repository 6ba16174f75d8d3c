"""Files of any length."""

import os
from pathlib import Path

import pytest

from adapters.system.files import read_at_most


@pytest.mark.parametrize(("length", "read"), [(0, 0), (9, 9), (10, 10), (11, 11), (2**40, 11)])
def test_no_more_is_read_than_tells_that_a_file_is_too_long(tmp_path: Path, length: int, read: int) -> None:
    """All of it where it is not; one byte more than is allowed where it is, though it would not fit into memory."""
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.truncate(length)
    assert len(read_at_most(path, 10)) == read


@pytest.mark.parametrize("name", ["folder", "pipe", "/dev/zero"])
def test_what_has_no_end_is_not_read(tmp_path: Path, name: str) -> None:
    """Nobody waits for a pipe that nothing is written into."""
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        read_at_most(tmp_path / name, 10)
