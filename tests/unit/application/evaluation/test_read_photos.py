"""Reading all photographs of a collection."""

import asyncio
from typing import NoReturn

import attrs
import pytest

from application.evaluation.read_photos import ReadPhotos, Seen
from application.ports.face_pipeline import Embed
from application.ports.labelled_photos import LabelledPhoto
from domain.errors import EmbedderCrashedError, EmbedderUnavailableError, FacematchError
from domain.evaluation.subjects import Subject
from domain.faces import BoundingBox, DetectedFace, FaceEmbedding, PhotoReading
from domain.guardrails import FaceQuality
from domain.outcomes import Reason
from tests.fakes.clock import ManualClock
from tests.fakes.known_readings import InMemoryKnownReadings
from tests.fakes.labelled_photos import InMemoryLabelledPhotos
from tests.fakes.progress import unheard
from tests.fakes.vision import INFO, ScriptedFacePipeline, ScriptedFaceReader

FACE = DetectedFace(BoundingBox(45, 45, 55, 55), 1.0, FaceEmbedding(INFO.id, (1.0, 0.0, 0.0)))
BYSTANDER = DetectedFace(BoundingBox(5, 5, 15, 15), 1.0, FaceEmbedding(INFO.id, (0.0, 1.0, 0.0)))
PEOPLE: dict[str, dict[str, bytes | None]] = {
    "ann": {"1": b"ann", "2": b"group"},
    "ivo": {"1": b"nobody", "2": b"crash", "3": None},
}
SCRIPT: dict[bytes, PhotoReading | Exception] = {
    b"ann": PhotoReading(100, 100, (FACE,)),
    b"group": PhotoReading(100, 100, (BYSTANDER, FACE)),
    b"nobody": PhotoReading(100, 100, ()),
    b"crash": EmbedderCrashedError("crashed"),
}
ANY = FaceQuality(0)
COLLECTION = InMemoryLabelledPhotos(PEOPLE)


def reading(reader: ScriptedFaceReader | None = None, least: FaceQuality = ANY) -> ReadPhotos:
    """Return what reads by the script, two photographs at once, and takes faces of that quality."""
    scripted = reader or ScriptedFaceReader(ScriptedFacePipeline(SCRIPT))
    return ReadPhotos(reader=scripted, clock=ManualClock(), concurrency=2, quality=least)


async def test_each_photograph_has_its_face_or_its_reason() -> None:
    """In the order of the collection, whatever order they were read in; what could not be read is named."""
    seen = await reading()(COLLECTION, Subject.CENTRAL, None, unheard)
    assert [one.photo for one in seen.all] == COLLECTION.photos()
    assert [one.usable and one.usable.face for one in seen.all] == [FACE, FACE, None, None, None]
    lost = [Reason.NO_FACE, Reason.EMBEDDER_CRASHED, Reason.IMAGE_NOT_FOUND]
    assert [one.reason for one in seen.all] == [None, None, *lost]
    unread = {"ivo/2": Reason.EMBEDDER_CRASHED, "ivo/3": Reason.IMAGE_NOT_FOUND}
    assert seen.acquisition.unread == unread
    assert {name: len(own) for name, own in seen.acquired.items()} == {"ann": 2}
    assert {name: len(own) for name, own in seen.people.items()} == {"ann": 2, "ivo": 3}


async def test_only_what_is_needed_is_embedded() -> None:
    """Where exactly one face is asked for, no others are embedded."""
    wishes: list[Embed] = []

    class Listening(ScriptedFaceReader):
        async def read(self, image: bytes, *, embed: Embed) -> PhotoReading:
            wishes.append(embed)
            return await super().read(image, embed=embed)

    for subject in Subject:
        await reading(Listening(ScriptedFacePipeline(SCRIPT)))(COLLECTION, subject, None, unheard)
    assert wishes == [Embed.ONLY_FACE] * 4 + [Embed.ALL] * 4


async def test_progress_is_told() -> None:
    """Each photograph counts once, whatever became of it, and never more are in hand than allowed."""
    heard: list[tuple[int, int]] = []
    hands = [0, 0]

    class Counting(ScriptedFaceReader):
        async def read(self, image: bytes, *, embed: Embed) -> PhotoReading:
            hands[0] += 1
            hands[1] = max(hands)
            await asyncio.sleep(0)
            try:
                return await super().read(image, embed=embed)
            finally:
                hands[0] -= 1

    reader = Counting(ScriptedFacePipeline(SCRIPT))
    await reading(reader)(COLLECTION, Subject.ONE, None, lambda done, of: heard.append((done, of)))
    assert heard == [(done, 5) for done in range(1, 6)]
    assert hands == [0, 2]


async def test_what_is_known_is_not_read_again() -> None:
    """The second time only what failed is tried again, and the figures say that nothing else was read."""
    known = InMemoryKnownReadings()
    reader = ScriptedFaceReader(ScriptedFacePipeline(SCRIPT))
    first = await reading(reader)(COLLECTION, Subject.CENTRAL, known, unheard)
    reader.read_images.clear()
    second = await reading(reader)(COLLECTION, Subject.CENTRAL, known, unheard)
    assert reader.read_images == [b"crash"]
    assert [one.usable for one in second.all] == [one.usable for one in first.all]
    assert (first.acquisition.known, second.acquisition.known) == (0, 3)
    assert set(first.acquisition.milliseconds) == {"decode", "detect", "embed"}
    assert second.acquisition.milliseconds == {}


@pytest.mark.parametrize(
    ("least", "reason"),
    [
        (FaceQuality(11), Reason.FACE_TOO_SMALL),
        (FaceQuality(0, score=1.1), Reason.FACE_UNCERTAIN),
        (FaceQuality(0, sharpness=8), Reason.FACE_BLURRED),
    ],
)
async def test_a_poor_face_is_not_acquired_and_stays_known(least: FaceQuality, reason: Reason) -> None:
    """It is refused by the service's guardrail, and what was read of it serves whoever asks for less the next time."""
    known = InMemoryKnownReadings()
    poor = PhotoReading(100, 100, (attrs.evolve(FACE, sharpness=7),))
    reader = ScriptedFaceReader(ScriptedFacePipeline(SCRIPT | {b"ann": poor}))
    strict = await reading(reader, least)(COLLECTION, Subject.ONE, known, unheard)
    reader.read_images.clear()
    generous = await reading(reader)(COLLECTION, Subject.ONE, known, unheard)
    assert (strict.all[0].usable, strict.all[0].reason) == (None, reason)
    assert (generous.all[0].reason, generous.all[0].known, reader.read_images) == (None, True, [b"crash"])
    assert generous.acquired["ann"][0].face == poor.faces[0]


async def test_what_was_read_for_another_purpose_is_read_again() -> None:
    """Without their embeddings, the faces of a group are of no use to whoever wants the central one."""
    known = InMemoryKnownReadings()
    await reading()(COLLECTION, Subject.ONE, known, unheard)
    seen = await reading()(COLLECTION, Subject.CENTRAL, known, unheard)
    assert seen.acquisition.known == 0
    assert len(seen.acquired["ann"]) == 2


async def test_an_interrupted_run_goes_on_where_it_was() -> None:
    """What was read before the embedder gave up is known to the next run."""
    known = InMemoryKnownReadings()
    script = SCRIPT | {b"nobody": EmbedderUnavailableError("gone")}
    one_by_one = attrs.evolve(reading(ScriptedFaceReader(ScriptedFacePipeline(script))), concurrency=1)
    with pytest.raises(EmbedderUnavailableError, match="gone"):
        await one_by_one(COLLECTION, Subject.CENTRAL, known, unheard)
    seen = await reading()(COLLECTION, Subject.CENTRAL, known, unheard)
    assert [one.known for one in seen.all] == [True, True, False, False, False]


async def test_of_a_persons_photographs_with_the_same_content_the_first_counts() -> None:
    """A copy would be recognised without fail; what two people share is one of each."""
    people: dict[str, dict[str, bytes | None]] = {
        "ann": {"1": b"ann", "2": b"group", "3": b"ann"},
        "ivo": {"1": b"ann", "2": None, "3": None},
    }
    seen = await reading()(InMemoryLabelledPhotos(people), Subject.CENTRAL, None, unheard)
    assert [(one.photo.person, one.photo.name) for one in seen.all] == [
        ("ann", "1"),
        ("ann", "2"),
        *(("ivo", name) for name in "123"),
    ]
    assert (seen.acquisition.photographs, seen.acquisition.copies) == (5, 1)


async def test_throughput_counts_what_was_read() -> None:
    """Not what was known; and of nothing there is no speed."""
    seen = await reading()(COLLECTION, Subject.CENTRAL, None, unheard)
    assert attrs.evolve(seen, seconds=2.0).acquisition.per_second == 2.5
    known = tuple(Seen(LabelledPhoto("ann", "1"), None, known=True) for _ in range(5))
    assert attrs.evolve(seen, all=known, seconds=2.0).acquisition.per_second is None


async def test_an_error_of_the_collection_comes_through() -> None:
    """An empty one says so itself."""

    class Empty(InMemoryLabelledPhotos):
        def photos(self) -> NoReturn:
            raise FacematchError("there are none")

    with pytest.raises(FacematchError, match="there are none"):
        await reading()(Empty({}), Subject.ONE, None, unheard)


async def test_a_face_without_its_embedding_is_a_fault_of_the_pipeline() -> None:
    """It is told, and not counted as a photograph without a face."""

    class Forgetful(ScriptedFaceReader):
        async def read(self, image: bytes, *, embed: Embed) -> PhotoReading:  # noqa: ARG002 - the port's signature
            return await super().read(image, embed=Embed.NONE)

    with pytest.raises(FacematchError, match="without the embedding"):
        await reading(Forgetful(ScriptedFacePipeline(SCRIPT)))(COLLECTION, Subject.CENTRAL, None, unheard)
