"""Files of any length."""

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
