"""What any face reader does: in processes, in a thread of the caller's own, and the fake."""

import asyncio

import pytest

from application.ports.face_pipeline import Embed
from application.ports.face_reader import FaceReader
from domain.errors import ImageTooLargeError, UnreadableImageError
from tests.contract.face_reader.conftest import Subject

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_it_is_a_face_reader(subject: Subject) -> None:
    """The adapter satisfies the port."""
    reader: FaceReader = subject.reader
    reading = await reader.read(subject.images["portrait"], embed=Embed.ONLY_FACE)
    [face] = reading.faces
    assert face.embedding is not None
    assert (face.embedding.model, face.embedding.dimension) == (reader.info.id, reader.info.dimension)


@pytest.mark.parametrize(
    ("image", "embed", "embedded"),
    [
        ("portrait", Embed.NONE, [False]),
        ("portrait", Embed.ALL, [True]),
        ("group", Embed.ONLY_FACE, [False, False]),
        ("group", Embed.ALL, [True, True]),
        ("scenery", Embed.ALL, []),
    ],
)
async def test_the_wish_is_passed_on(subject: Subject, image: str, embed: Embed, embedded: list[bool]) -> None:
    """What is embedded is what was asked for."""
    reading = await subject.reader.read(subject.images[image], embed=embed)
    assert [face.embedding is not None for face in reading.faces] == embedded


async def test_the_whole_reading_comes_back(subject: Subject) -> None:
    """Twice the same image, twice the same reading, and the times of each stage with it."""
    one, two = [await subject.reader.read(subject.images["portrait"], embed=Embed.ALL) for _ in range(2)]
    assert one == two
    assert one.width > 0
    assert [stage.name for stage in one.stages] == ["decode", "detect", "embed"]


async def test_the_image_is_at_fault(subject: Subject) -> None:
    """The pipeline's refusals arrive as they are, with words for whoever asks."""
    with pytest.raises(UnreadableImageError, match="not an image"):
        await subject.reader.read(subject.images["text"], embed=Embed.NONE)
    with pytest.raises(ImageTooLargeError, match="more than"):
        await subject.reader.read(subject.images["large"], embed=Embed.NONE)


async def test_many_at_once_are_not_confused(subject: Subject) -> None:
    """Everybody gets what belongs to their image, refusals among them."""
    names = ["portrait", "scenery", "text", "group", "stranger", "portrait", "text", "scenery", "stranger"]
    expected = {"portrait": 1, "stranger": 1, "group": 2, "scenery": 0, "text": None}

    async def count(name: str) -> int | None:
        try:
            return len((await subject.reader.read(subject.images[name], embed=Embed.NONE)).faces)
        except UnreadableImageError:
            return None

    assert await asyncio.gather(*map(count, names)) == [expected[name] for name in names]


async def test_the_event_loop_goes_on(subject: Subject) -> None:
    """While a photograph is read, others have their turn."""
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    await subject.reader.read(subject.images["portrait"], embed=Embed.ALL)
    task.cancel()
    assert turns > 0


async def test_a_caller_who_leaves_harms_nobody(subject: Subject) -> None:
    """Whoever is cancelled gets nothing; the next ones get theirs."""
    leaving = [asyncio.create_task(subject.reader.read(subject.images["stranger"], embed=Embed.ALL)) for _ in range(5)]
    await asyncio.sleep(0)
    for task in leaving:
        task.cancel()
    reading = await subject.reader.read(subject.images["portrait"], embed=Embed.ONLY_FACE)
    assert len(reading.faces) == 1
    await asyncio.wait(leaving)
    assert [task.cancelled() for task in leaving] == [True] * len(leaving)
