"""What any collection of labelled photographs does: a folder, and the fake in memory."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from adapters.evaluation.folder import GROUPS, LabelledFolder
from application.ports.labelled_photos import LabelledPhoto, LabelledPhotos
from domain.errors import FacematchError, JobRejectedError
from tests.fakes.labelled_photos import InMemoryLabelledPhotos

Contents = Mapping[str, Mapping[str, bytes | None]]
Groups = Sequence[tuple[str, str]]
Collect = Callable[[Contents, Groups | None], LabelledPhotos]
PEOPLE: Contents = {"ann": {"a.png": b"ann a"}, "ben": {"1.jpg": b"ben 1", "2.jpg": b""}}


@pytest.fixture(params=["folder", "in memory"])
def collect(request: pytest.FixtureRequest, tmp_path: Path) -> Collect:
    """Return what makes each kind in turn; a content of None cannot be had."""
    if request.param == "in memory":
        return InMemoryLabelledPhotos

    def laid_out(people: Contents, groups: Groups | None) -> LabelledPhotos:
        for person, photos in people.items():
            (tmp_path / person).mkdir()
            for name, content in photos.items():
                if content is None:
                    (tmp_path / person / name).symlink_to("nowhere")
                else:
                    (tmp_path / person / name).write_bytes(content)
        if groups is not None:
            (tmp_path / GROUPS).write_text("\n".join(map(",".join, [("person", "group"), *groups])))
        return LabelledFolder(tmp_path, 100)

    return laid_out


async def test_they_are_labelled_photos(collect: Collect) -> None:
    """The adapter satisfies the port: all are there, a person's together, with their contents, in a lasting order."""
    collection: LabelledPhotos = collect(PEOPLE, None)
    photos = collection.photos()
    assert photos == [LabelledPhoto("ann", "a.png"), LabelledPhoto("ben", "1.jpg"), LabelledPhoto("ben", "2.jpg")]
    assert [await collection.fetch(photo) for photo in photos] == [b"ann a", b"ben 1", b""]
    assert collection.photos() == photos


async def test_one_that_cannot_be_had_is_rejected_by_itself(collect: Collect) -> None:
    """It is told with the others, and whoever wants it hears that it is not to be had."""
    collection = collect({"ann": {"a.png": None, "b.png": b"ann b"}}, None)
    lost, other = collection.photos()
    with pytest.raises(JobRejectedError, match=r"ann/a\.png"):
        await collection.fetch(lost)
    assert await collection.fetch(other) == b"ann b"


def test_without_photographs_there_is_nothing_to_measure_with(collect: Collect) -> None:
    """That is an error, as for people without any."""
    with pytest.raises(FacematchError):
        collect({"ann": {}}, None).photos()


@pytest.mark.parametrize("groups", [None, [], [("ann", "tall"), ("ann", "old"), ("ben", "tall")]])
def test_what_is_said_of_groups_is_told(collect: Collect, groups: Groups | None) -> None:
    """A person may be in several; nothing said is not the same as nobody in any."""
    assert collect(PEOPLE, groups).memberships() == groups
