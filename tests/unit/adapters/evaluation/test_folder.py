"""A folder of photographs of known people."""

from pathlib import Path

import pytest

from adapters.evaluation.folder import LabelledFolder, NoPhotographsError
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
    collection: LabelledPhotos = LabelledFolder(folder)
    photos = collection.photos()
    assert photos == [LabelledPhoto("ann", "a.png"), LabelledPhoto("ben", "1.jpg"), LabelledPhoto("ben", "2.jpg")]
    assert [await collection.fetch(photo) for photo in photos] == [b"ann a", b"ben 1", b"ben 2"]


async def test_a_photograph_that_cannot_be_read_is_not_found(folder: Path) -> None:
    """It says which."""
    with pytest.raises(ImageNotFoundError, match=r"ann/gone\.png: No such file"):
        await LabelledFolder(folder).fetch(LabelledPhoto("ann", "gone.png"))


@pytest.mark.parametrize(
    ("below", "words"), [("eve", "expected are FOLDER/PERSON/PHOTOGRAPH"), ("gone", "cannot look into .*No such file")]
)
def test_a_folder_without_photographs_is_an_error(folder: Path, below: str, words: str) -> None:
    """It says what is expected, or what is wrong."""
    with pytest.raises(NoPhotographsError, match=words):
        LabelledFolder(folder / below).photos()
