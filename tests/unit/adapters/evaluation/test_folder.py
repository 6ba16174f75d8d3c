"""A folder of photographs of known people."""

import os
from pathlib import Path

import pytest

from adapters.evaluation.folder import GroupsError, LabelledFolder, NoPhotographsError
from application.ports.labelled_photos import LabelledPhoto, LabelledPhotos
from domain.errors import ImageNotFoundError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with two people, and other things that lie about."""
    for name, content in {
        "ben/2.jpg": b"ben 2",
        "ben/1.jpg": b"ben 1",
        "ann/a.png": b"ann a",
        "ann/.hidden": b"",
        "ann/more/b.png": b"",
        ".git/config": b"",
        "readme.txt": b"",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    (tmp_path / "eve").mkdir()
    return tmp_path


async def test_people_and_their_photographs(folder: Path) -> None:
    """In the order of their names; hidden files, deeper folders and files beside the people are none."""
    collection: LabelledPhotos = LabelledFolder(folder, 100)
    photos = collection.photos()
    assert photos == [LabelledPhoto("ann", "a.png"), LabelledPhoto("ben", "1.jpg"), LabelledPhoto("ben", "2.jpg")]
    assert [await collection.fetch(photo) for photo in photos] == [b"ann a", b"ben 1", b"ben 2"]


async def test_a_link_that_leads_nowhere_is_a_photograph_that_is_not_found(folder: Path) -> None:
    """It is not passed over in silence; a link to a folder is none."""
    (folder / "eve" / "lost.jpg").symlink_to(folder / "gone.jpg")
    (folder / "eve" / "more").symlink_to(folder / "ann")
    collection = LabelledFolder(folder, 100)
    [lost] = [photo for photo in collection.photos() if photo.person == "eve"]
    with pytest.raises(ImageNotFoundError, match=r"eve/lost\.jpg: No such file"):
        await collection.fetch(lost)


async def test_of_a_file_that_is_too_long_no_more_is_read_than_tells_so(folder: Path) -> None:
    """However long it is: it need not even fit into memory."""
    with (folder / "ann" / "a.png").open("wb") as file:
        file.truncate(2**40)
    assert len(await LabelledFolder(folder, 100).fetch(LabelledPhoto("ann", "a.png"))) == 101


async def test_a_photograph_that_cannot_be_read_is_not_found(folder: Path) -> None:
    """It says which."""
    with pytest.raises(ImageNotFoundError, match=r"ann/gone\.png: No such file"):
        await LabelledFolder(folder, 100).fetch(LabelledPhoto("ann", "gone.png"))


@pytest.mark.parametrize(
    ("below", "words"), [("eve", "expected are FOLDER/PERSON/PHOTOGRAPH"), ("gone", "cannot look into .*No such file")]
)
def test_a_folder_without_photographs_is_an_error(folder: Path, below: str, words: str) -> None:
    """It says what is expected, or what is wrong."""
    with pytest.raises(NoPhotographsError, match=words):
        LabelledFolder(folder / below, 100).photos()


def test_without_a_table_nothing_is_said_of_groups(folder: Path) -> None:
    """Which is not the same as a table without rows."""
    assert LabelledFolder(folder, 100).memberships() is None
    (folder / "groups.csv").write_text("person,group\n")
    assert LabelledFolder(folder, 100).memberships() == []


def test_the_table_of_groups(folder: Path) -> None:
    """As spreadsheets write it: with a byte order mark, quotes, empty rows and spaces around the cells."""
    (folder / "groups.csv").write_bytes(
        b'\xef\xbb\xbfperson, group\r\n"ann","tall, dark"\r\n\r\nben , old\r\nben,tall\r\n'
    )
    expected = [("ann", "tall, dark"), ("ben", "old"), ("ben", "tall")]
    assert LabelledFolder(folder, 100).memberships() == expected


def test_every_wrong_row_is_told(folder: Path) -> None:
    """With its number and what it holds; the table is used as a whole or not at all."""
    (folder / "groups.csv").write_text("name,group\nann,tall\nben\neve,\nivo,tall,old\nann,tall\n")
    with pytest.raises(GroupsError) as caught:
        LabelledFolder(folder, 100).memberships()
    problems = [line.partition("groups.csv: ")[2] for line in str(caught.value).splitlines()]
    assert problems == [
        "the first row is not person,group",
        "row 3: expected a person and a group, found 'ben'",
        "row 4: expected a person and a group, found 'eve,'",
        "row 5: expected a person and a group, found 'ivo,tall,old'",
        "row 6 is the same as row 2",
    ]


@pytest.mark.parametrize("content", [b"person,group\n\xff\xfe,x\n", b'person,group\n"ann"x,tall\n'])
def test_what_is_no_table_is_said(folder: Path, content: bytes) -> None:
    """Another encoding, or quotes that do not fit."""
    (folder / "groups.csv").write_bytes(content)
    with pytest.raises(GroupsError, match="no table in UTF-8"):
        LabelledFolder(folder, 100).memberships()


def test_a_pipe_is_no_table(folder: Path) -> None:
    """Nobody waits for what nobody writes."""
    os.mkfifo(folder / "groups.csv")
    with pytest.raises(GroupsError, match=r"cannot read .*: not a regular file"):
        LabelledFolder(folder, 100).memberships()


def test_an_empty_table_is_told(folder: Path) -> None:
    """Nobody means an empty file."""
    (folder / "groups.csv").write_text("")
    with pytest.raises(GroupsError, match="the first row is not person,group"):
        LabelledFolder(folder, 100).memberships()
