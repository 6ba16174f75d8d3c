"""A list of whose photographs are where is read as a database writes it, or refused."""

import csv
import io
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrypoints.commands.common.portraits import PortraitListError, portraits

_ONE, _OTHER = UUID(int=1), UUID(int=2)
_NAMES = st.text(min_size=1, max_size=20).filter(lambda name: name == name.strip() and "\x00" not in name)


def test_several_lines_may_be_about_one_user() -> None:
    """In their order; spaces around a cell and empty lines mean nothing, and ids may be in capitals."""
    lines = [f"{_ONE},a.jpg, b.jpg\n", "\n", f"{_OTHER},c.jpg,,\n", f" {str(_ONE).upper()} ,d.jpg\n"]
    assert portraits(lines) == {_ONE: ["a.jpg", "b.jpg", "d.jpg"], _OTHER: ["c.jpg"]}


@given(st.dictionaries(st.uuids(), st.lists(_NAMES, min_size=1, max_size=4), max_size=5))
def test_what_is_written_as_csv_is_read_back(listed: dict[UUID, list[str]]) -> None:
    """Names with commas, quotes and line ends included."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([user, *names] for user, names in listed.items())
    text.seek(0)
    assert portraits(text) == listed


@given(st.lists(st.text(max_size=60), max_size=4))
def test_anything_else_is_refused_with_its_line(lines: list[str]) -> None:
    """Whatever the text: a list, or the one error that names a line."""
    found = _read(lines)
    assert all(found.values()) if isinstance(found, dict) else found.startswith("line ")


def test_another_encoding_is_told() -> None:
    """No line can be named, for lines are what cannot be read; what to do can."""
    listed = io.TextIOWrapper(io.BytesIO(f"{_ONE},Zoë.jpg\n".encode("latin-1")), "utf-8")
    with pytest.raises(PortraitListError) as caught:
        portraits(listed)
    assert str(caught.value) == "which is not in UTF-8: save it as UTF-8"


def _read(lines: list[str]) -> dict[UUID, list[str]] | str:
    try:
        return portraits(lines)
    except PortraitListError as error:
        return str(error)
