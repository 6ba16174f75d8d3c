"""A user's face is learnt from photographs, or nothing is written and every problem is told."""

import math
from uuid import UUID

import attrs
import pytest

from application.enroll_user import EnrollUser, EnrolmentImage, EnrolmentRefusedError
from application.ports.face_pipeline import Embed
from domain.errors import (
    DatabaseUnavailableError,
    EmbedderCrashedError,
    FacematchError,
    ImageTooLargeError,
    UnreadableImageError,
)
from domain.faces import FaceEmbedding, InvalidEmbeddingError, PhotoReading
from domain.guardrails import FaceQuality
from tests.fakes.database import InMemoryDatabase
from tests.fakes.gallery import InMemoryEnrolment
from tests.fakes.vision import ScriptedFacePipeline, ScriptedFaceReader
from tests.unit.application.world import ANNA, MINIMUM_FACE, embedding, face, reading

OLD = embedding(0.0, 0.0, 1.0)
FRONT = EnrolmentImage("front.jpg", b"front")
SIDE = EnrolmentImage("side.jpg", b"side")


class Scene:
    """Anna, enrolled with an old template, and two good photographs of her of different length as vectors."""

    def __init__(self) -> None:
        self.database = InMemoryDatabase()
        self.database.add_user(ANNA, OLD)
        self.pipeline = ScriptedFacePipeline(
            {
                FRONT.content: reading(face(probe=embedding(2.0, 0.0, 0.0))),
                SIDE.content: reading(face(probe=embedding(0.0, 1.0, 0.0))),
            }
        )
        self.enroll = EnrollUser(
            reader=ScriptedFaceReader(self.pipeline),
            enrolment=InMemoryEnrolment(self.database),
            quality=FaceQuality(MINIMUM_FACE),
        )

    @property
    def template(self) -> FaceEmbedding | None:
        """What Anna is recognised by."""
        return self.database.users[ANNA].template


@pytest.fixture
def scene() -> Scene:
    """Return the scene."""
    return Scene()


async def test_the_template_is_the_mean_direction(scene: Scene) -> None:
    """Each photograph counts alike, whatever its vector's length, and the old template is replaced."""
    stored = await scene.enroll(ANNA, [FRONT, SIDE])
    assert stored.vector == pytest.approx((math.sqrt(0.5), math.sqrt(0.5), 0.0))
    assert scene.template == stored


async def test_one_photograph_is_enough(scene: Scene) -> None:
    """The template of one photograph is its unit vector."""
    assert (await scene.enroll(ANNA, [FRONT])).vector == (1.0, 0.0, 0.0)


async def test_an_unknown_user_is_refused_before_anything_is_read(scene: Scene) -> None:
    """Enrolment makes no users."""
    reader = ScriptedFaceReader(scene.pipeline)
    with pytest.raises(EnrolmentRefusedError, match="there is no user 00000000-0000-0000-0000-00000000004d"):
        await attrs.evolve(scene.enroll, reader=reader)(UUID(int=77), [FRONT])
    assert (reader.read_images, set(scene.database.users)) == ([], {ANNA})


async def test_no_photograph_is_refused(scene: Scene) -> None:
    """A template of nothing is none."""
    with pytest.raises(EnrolmentRefusedError, match="no photograph"):
        await scene.enroll(ANNA, [])
    assert scene.template == OLD


async def test_every_problem_is_told_and_nothing_written(scene: Scene) -> None:
    """One bad photograph refuses the enrolment; all bad ones are named, each with what is wrong with it."""
    scene.pipeline.readings |= {
        b"none": reading(),
        b"two": reading(face(), face()),
        b"tiny": reading(face(MINIMUM_FACE - 1)),
        b"huge": ImageTooLargeError("90 megapixels are more than 60"),
        b"text": UnreadableImageError("not an image of an allowed format"),
    }
    images = [
        FRONT,
        *(EnrolmentImage(f"{name}.jpg", name.encode()) for name in ("none", "two", "tiny", "huge", "text")),
    ]
    with pytest.raises(EnrolmentRefusedError) as refused:
        await scene.enroll(ANNA, images)
    assert refused.value.problems == (
        "none.jpg: the detector found no face",
        "two.jpg: the detector found 2 faces; only one can be matched",
        "tiny.jpg: the face measures 31 px, less than the configured 32 px",
        "huge.jpg: 90 megapixels are more than 60",
        "text.jpg: not an image of an allowed format",
    )
    assert scene.template == OLD


async def test_a_user_deleted_meanwhile_is_refused(scene: Scene) -> None:
    """A user who goes while the photographs are read is told of, not enrolled."""

    class Deletes(ScriptedFacePipeline):
        def read(self, image: bytes, *, embed: Embed) -> PhotoReading:
            scene.database.delete_user(ANNA)
            return super().read(image, embed=embed)

    scene.enroll = attrs.evolve(scene.enroll, reader=ScriptedFaceReader(Deletes(scene.pipeline.readings)))
    with pytest.raises(EnrolmentRefusedError, match="was deleted meanwhile"):
        await scene.enroll(ANNA, [FRONT])
    assert scene.database.users == {}


async def test_photographs_that_cancel_each_other_out_are_an_error(scene: Scene) -> None:
    """Opposite vectors have no mean direction; nothing is written."""
    scene.pipeline.readings[SIDE.content] = reading(face(probe=embedding(-1.0, 0.0, 0.0)))
    with pytest.raises(InvalidEmbeddingError):
        await scene.enroll(ANNA, [FRONT, SIDE])
    assert scene.template == OLD


async def test_a_fault_of_the_system_is_not_the_photographs(scene: Scene) -> None:
    """A crash of the embedder is raised as it is, whatever was read before, and nothing is written."""
    scene.pipeline.readings[SIDE.content] = EmbedderCrashedError("the process died")
    with pytest.raises(EmbedderCrashedError):
        await scene.enroll(ANNA, [FRONT, SIDE])
    assert scene.template == OLD


@pytest.mark.parametrize("operation", ["user_exists", "save_template"])
async def test_a_database_that_does_not_answer_is_not_the_users(scene: Scene, operation: str) -> None:
    """An outage is told as one, and leaves the template as it was."""
    scene.database.failing.add(operation)
    with pytest.raises(DatabaseUnavailableError):
        await scene.enroll(ANNA, [FRONT])
    assert scene.template == OLD


async def test_a_pipeline_that_forgets_the_embedding_is_an_error(scene: Scene) -> None:
    """The broken promise names the photograph."""
    scene.pipeline.readings[FRONT.content] = reading(attrs.evolve(face(), embedding=None))
    with pytest.raises(FacematchError, match=r"front\.jpg"):
        await scene.enroll(ANNA, [FRONT])


def test_photographs_are_not_printed() -> None:
    """A photograph's bytes do not reach logs by way of its repr."""
    assert repr(FRONT) == "EnrolmentImage(name='front.jpg')"
