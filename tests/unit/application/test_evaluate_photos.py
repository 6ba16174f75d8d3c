"""The evaluation of an embedder on photographs of known people."""

import asyncio
import math
from typing import NoReturn

import attrs
import pytest

from application.evaluate_photos import EvaluatePhotos
from application.ports.face_pipeline import Embed
from domain.decision import FixedThreshold
from domain.errors import EmbedderCrashedError, FacematchError, UnreadableImageError
from domain.evaluation import Share, Subject
from domain.faces import BoundingBox, DetectedFace, FaceEmbedding, PhotoReading
from domain.outcomes import Reason
from tests.fakes.clock import ManualClock
from tests.fakes.distances import PlainDistances
from tests.fakes.labelled_photos import InMemoryLabelledPhotos
from tests.fakes.vision import INFO, ScriptedFacePipeline, ScriptedFaceReader


def towards(degrees: float) -> FaceEmbedding:
    """Return an embedding in that direction."""
    angle = math.radians(degrees)
    return FaceEmbedding(INFO.id, (math.cos(angle), math.sin(angle), 0.0))


def showing(*degrees: float) -> PhotoReading:
    """Return a reading with faces from the centre outwards, each embedded in a direction."""
    faces = [
        DetectedFace(BoundingBox(45 + 30 * place, 45, 55 + 30 * place, 55), 1.0, towards(direction))
        for place, direction in enumerate(degrees)
    ]
    return PhotoReading(100, 100, tuple(faces))


PEOPLE: dict[str, dict[str, bytes | None]] = {
    "ann": {"1": b"ann 1", "2": b"ann 2", "3": b"group"},
    "ben": {"1": b"ben 1", "2": b"ben 2"},
    "eve": {"1": b"eve 1"},
    "ivo": {"1": b"nobody", "2": b"broken", "3": b"crash", "4": None},
}
SCRIPT: dict[bytes, PhotoReading | Exception] = {
    b"ann 1": showing(0),
    b"ann 2": showing(5),
    b"group": showing(8, 90),
    b"ben 1": showing(90),
    b"ben 2": showing(130),
    b"eve 1": showing(85),
    b"nobody": showing(),
    b"broken": UnreadableImageError("broken"),
    b"crash": EmbedderCrashedError("crashed"),
}


def evaluator(**changes: object) -> EvaluatePhotos:
    """Return an evaluation of the script, with a threshold of about 20 degrees."""
    usual = EvaluatePhotos(
        reader=ScriptedFaceReader(ScriptedFacePipeline(SCRIPT)),
        distances=PlainDistances(),
        clock=ManualClock(),
        threshold=FixedThreshold(1 - math.cos(math.radians(20))),
        target_fpir=1.0,
        concurrency=2,
    )
    return attrs.evolve(usual, **changes)  # type: ignore[arg-type]  # the caller names what the class has


async def test_it_counts_what_was_not_acquired() -> None:
    """Each photograph without a usable face, by its reason; a fault of the system is one, too."""
    found = await evaluator()(InMemoryLabelledPhotos(PEOPLE), Subject.CENTRAL)
    assert (found.embedder, found.people, found.photographs) == (INFO.id, 4, 10)
    assert found.not_acquired == {
        Reason.NO_FACE: 1,
        Reason.UNREADABLE_IMAGE: 1,
        Reason.EMBEDDER_CRASHED: 1,
        Reason.IMAGE_NOT_FOUND: 1,
    }
    assert found.failure_to_acquire == Share(4, 10)


async def test_the_central_face_or_exactly_one() -> None:
    """A second face is a bystander, or a reason not to use the photograph."""
    central = await evaluator()(InMemoryLabelledPhotos(PEOPLE), Subject.CENTRAL)
    one = await evaluator()(InMemoryLabelledPhotos(PEOPLE), Subject.ONE)
    assert Reason.MULTIPLE_FACES not in central.not_acquired
    assert one.not_acquired[Reason.MULTIPLE_FACES] == 1
    assert (central.genuine_pairs, one.genuine_pairs) == (4, 2)


async def test_only_what_is_needed_is_embedded() -> None:
    """Where exactly one face is asked for, no others are embedded."""
    wishes: list[Embed] = []

    class Listening(ScriptedFaceReader):
        async def read(self, image: bytes, *, embed: Embed) -> PhotoReading:
            wishes.append(embed)
            return await super().read(image, embed=embed)

    for subject in Subject:
        await evaluator(reader=Listening(ScriptedFacePipeline(SCRIPT)))(InMemoryLabelledPhotos(PEOPLE), subject)
    assert set(wishes[:9]) == {Embed.ONLY_FACE}
    assert set(wishes[9:]) == {Embed.ALL}


async def test_people_are_searched_for() -> None:
    """Ann is found by both her other photographs, Ben's is too far from his first, Eve is taken for Ben."""
    found = await evaluator()(InMemoryLabelledPhotos(PEOPLE), Subject.CENTRAL)
    assert found.by_default is not None
    assert found.by_default.gallery == 2
    assert found.by_default.false_positive == Share(1, 1)
    assert found.by_default.false_negative == Share(1, 3)
    assert found.by_default.misnamed == Share(0, 3)
    assert found.by_measure is not None
    assert found.by_measure.threshold == pytest.approx(1 - math.cos(math.radians(5)))
    assert found.impostor_pairs == 3


async def test_without_a_threshold_everybody_is_named() -> None:
    """The setting ``none``."""
    found = await evaluator(threshold=FixedThreshold(None))(InMemoryLabelledPhotos(PEOPLE), Subject.CENTRAL)
    assert found.by_default is not None
    assert (found.by_default.threshold, found.by_default.false_negative) == (math.inf, Share(0, 3))


async def test_verification_counts_lost_faces_as_errors() -> None:
    """Ivo's photographs are in the pairs, though there is no face on them."""
    with_ivo = await evaluator()(InMemoryLabelledPhotos(PEOPLE), Subject.CENTRAL)
    without = await evaluator()(
        InMemoryLabelledPhotos(
            {name: photos for name, photos in PEOPLE.items() if name != "ivo"} | {"max": {"1": b"eve 1"}}
        ),
        Subject.CENTRAL,
    )
    assert with_ivo.verification is not None
    assert without.verification is not None
    assert with_ivo.verification.pairs == without.verification.pairs + 12
    assert with_ivo.verification.accuracy < without.verification.accuracy


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
    await evaluator(reader=reader)(
        InMemoryLabelledPhotos(PEOPLE), Subject.ONE, lambda done, of: heard.append((done, of))
    )
    assert heard == [(done, 10) for done in range(1, 11)]
    assert hands == [0, 2]


async def test_nobody_to_compare_is_no_error() -> None:
    """Of one photograph there is nothing to say but whether it shows a face."""
    found = await evaluator()(InMemoryLabelledPhotos({"ann": {"1": b"ann 1"}}), Subject.ONE)
    assert (found.verification, found.points, found.by_default, found.by_measure) == (None, (), None, None)
    assert found.failure_to_acquire == Share(0, 1)


async def test_an_empty_collection_is_said_to_be_one() -> None:
    """Its own error comes through."""

    class Empty(InMemoryLabelledPhotos):
        def photos(self) -> NoReturn:
            raise FacematchError("there are none")

    with pytest.raises(FacematchError, match="there are none"):
        await evaluator()(Empty({}), Subject.ONE)
