"""A user's face is learnt from photographs, or nothing is written and every problem is told."""

import math
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID
from weakref import WeakSet

import attrs
import pytest

from application.enrolment.enroll import CompareWithOthers, Enroll, Enrolled, EnrolmentDoubtedError
from application.enrolment.enrolment_warnings import (
    Blurred,
    FarApart,
    LookAlike,
    NotCompared,
    SameTemplate,
    blurred,
    far_apart,
)
from application.enrolment.template import EnrolmentImage, EnrolmentRefusedError, Fetch, MakeTemplate
from application.ports.face_pipeline import Embed
from domain.calibration import Calibration, Curve
from domain.decision import FixedThreshold, SearchContext, TargetFpir, ThresholdPolicy
from domain.errors import (
    DatabaseUnavailableError,
    EmbedderCrashedError,
    EmbedderFailedError,
    ImageTooLargeError,
    UnreadableImageError,
)
from domain.faces import FaceEmbedding, InvalidEmbeddingError, PhotoReading
from domain.guardrails import FaceQuality
from tests.fakes.database import InMemoryDatabase
from tests.fakes.gallery import InMemoryEnrolment
from tests.fakes.vision import INFO, ScriptedFacePipeline, ScriptedFaceReader
from tests.unit.application.world import ANNA, BORIS, MINIMUM_FACE, embedding, face, reading

OLD = embedding(0.0, 0.0, 1.0)
FRONT = EnrolmentImage("front.jpg", b"front")
SIDE = EnrolmentImage("side.jpg", b"side")
NEAR = 0.1


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
        self.enrolment = InMemoryEnrolment(self.database)
        self.use_case = self.reading_with(ScriptedFaceReader(self.pipeline))

    def reading_with(self, reader: ScriptedFaceReader) -> Enroll:
        """Return the use case with that reader."""
        make_template = MakeTemplate(reader=reader, quality=FaceQuality(MINIMUM_FACE), calibration=INFO.calibration)
        compare = self.comparing_by(FixedThreshold(NEAR))
        return Enroll(make_template=make_template, enrolment=self.enrolment, compare=compare)

    def comparing_by(self, threshold: ThresholdPolicy) -> CompareWithOthers:
        """Return what looks for look-alikes by that policy."""
        return CompareWithOthers(enrolment=self.enrolment, threshold=threshold)

    async def enroll(self, user_id: UUID, images: Sequence[EnrolmentImage], *, strict: bool = False) -> Enrolled:
        """Enrol somebody from photographs that can be had."""
        return await self.use_case(user_id, *offered(images), replace=True, strict=strict)

    @property
    def template(self) -> FaceEmbedding | None:
        """What Anna is recognised by."""
        return self.database.users[ANNA].template


def offered(images: Sequence[EnrolmentImage]) -> tuple[list[str], Fetch]:
    """Return the photographs' names, and how they are had."""
    by_name = {image.name: image for image in images}

    async def fetch(name: str) -> EnrolmentImage:
        return by_name[name]

    return list(by_name), fetch


@pytest.fixture
def scene() -> Scene:
    """Return the scene."""
    return Scene()


async def test_the_template_is_the_mean_direction(scene: Scene) -> None:
    """Each photograph counts alike, whatever its vector's length, and the old template is replaced."""
    stored = (await scene.enroll(ANNA, [FRONT, SIDE])).template
    assert stored.vector == pytest.approx((math.sqrt(0.5), math.sqrt(0.5), 0.0))
    assert scene.template == stored


async def test_one_photograph_is_enough(scene: Scene) -> None:
    """The template of one photograph is its unit vector."""
    assert await scene.enroll(ANNA, [FRONT]) == Enrolled(embedding(1.0, 0.0, 0.0))


@pytest.mark.parametrize(
    ("where", "remembered", "digests"),
    [
        (
            ["minio://images/front.jpg", "minio://images/side.jpg"],
            ("minio://images/front.jpg", "minio://images/side.jpg"),
            (FRONT.digest, SIDE.digest),
        ),
        (["minio://images/front.jpg", None], (), ()),
        ([None, None], (), ()),
    ],
)
async def test_it_is_remembered_where_all_photographs_lie(
    scene: Scene, where: list[str | None], remembered: tuple[str, ...], digests: tuple[bytes, ...]
) -> None:
    """Another embedder can learn from them later, while they are the same; a part of them would make another template.

    So a part is not kept.
    """
    images = [attrs.evolve(image, image_ref=ref) for image, ref in zip((FRONT, SIDE), where, strict=True)]
    await scene.enroll(ANNA, images)
    row = scene.database.users[ANNA]
    assert (row.image_refs, row.image_digests) == (remembered, digests)


async def test_an_unknown_user_is_refused_before_anything_is_read(scene: Scene) -> None:
    """Enrolment makes no users."""
    reader = ScriptedFaceReader(scene.pipeline)
    with pytest.raises(EnrolmentRefusedError, match="there is no user 00000000-0000-0000-0000-00000000004d"):
        await scene.reading_with(reader)(UUID(int=77), *offered([FRONT]), replace=True)
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


async def test_what_cannot_be_had_is_told_with_what_cannot_be_used(scene: Scene) -> None:
    """Who mends the one knows of the other, too."""

    async def fetch(name: str) -> EnrolmentImage:
        if name == "gone.jpg":
            raise EnrolmentRefusedError(["gone.jpg: no such file"])
        return EnrolmentImage(name, b"text")

    with pytest.raises(EnrolmentRefusedError) as refused:
        await scene.use_case(ANNA, ["gone.jpg", "text.txt"], fetch, replace=True)
    assert refused.value.problems == (
        "gone.jpg: no such file",
        "text.txt: not an image of an allowed format",
    )


async def test_few_photographs_are_in_memory_however_many_there_are(scene: Scene) -> None:
    """No more than the one that was read last and the one that is fetched."""
    names = [f"{number}.jpg" for number in range(20)]
    scene.pipeline.readings |= {name.encode(): reading(face()) for name in names}
    in_memory: WeakSet[EnrolmentImage] = WeakSet()
    counted: list[int] = []

    async def fetch(name: str) -> EnrolmentImage:
        image = EnrolmentImage(name, name.encode())
        in_memory.add(image)
        counted.append(len(in_memory))
        return image

    await scene.use_case(ANNA, names, fetch, replace=True)
    assert (len(counted), max(counted)) == (20, 2)


async def test_a_user_deleted_meanwhile_is_refused(scene: Scene) -> None:
    """A user who goes while the photographs are read is told of, not enrolled."""

    class Deletes(ScriptedFacePipeline):
        def read(self, image: bytes, *, embed: Embed) -> PhotoReading:
            scene.database.delete_user(ANNA)
            return super().read(image, embed=embed)

    enroll = scene.reading_with(ScriptedFaceReader(Deletes(scene.pipeline.readings)))
    with pytest.raises(EnrolmentRefusedError, match="was deleted meanwhile"):
        await enroll(ANNA, *offered([FRONT]), replace=True)
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
    """Its promise is broken, which is nobody's photograph's fault."""
    scene.pipeline.readings[FRONT.content] = reading(attrs.evolve(face(), embedding=None))
    with pytest.raises(EmbedderFailedError, match="without the embedding"):
        await scene.enroll(ANNA, [FRONT])


def at_angle(degrees: float) -> FaceEmbedding:
    """Return an embedding at that angle to the front of Anna's face."""
    return embedding(math.cos(math.radians(degrees)), math.sin(math.radians(degrees)), 0.0)


def distance_of(degrees: float) -> Any:
    """Return the distance of two embeddings at that angle, nearly."""
    return pytest.approx(1 - math.cos(math.radians(degrees)))


@pytest.mark.parametrize("angles", [(0, 20, 40), (40, 0, 20), (0, 40, 0)])
async def test_photographs_of_two_people_are_told_by_name(scene: Scene, angles: tuple[int, ...]) -> None:
    """The two that are least alike are named where one in a hundred pairs of two people is nearer; all are enrolled."""
    images = [EnrolmentImage(f"{place}-{angle}.jpg", b"%d" % angle) for place, angle in enumerate(angles)]
    scene.pipeline.readings |= {b"%d" % angle: reading(face(probe=at_angle(angle))) for angle in angles}
    enrolled = await scene.enroll(ANNA, images)
    [warning] = enrolled.warnings
    assert isinstance(warning, FarApart)
    assert {name[2:] for name in warning.photographs} == {"0.jpg", "40.jpg"}
    assert warning.distance == distance_of(40)
    assert warning.limit == INFO.calibration.distance_at(1e-2, 1)
    assert scene.template == enrolled.template


async def test_photographs_of_one_person_raise_no_warning(scene: Scene) -> None:
    """However many they are, as long as no two are too far apart, the template stands alone."""
    scene.pipeline.readings |= {b"%d" % angle: reading(face(probe=at_angle(angle))) for angle in (0, 15, 30)}
    images = [EnrolmentImage(f"{angle}.jpg", b"%d" % angle) for angle in (0, 15, 30)]
    assert (await scene.enroll(ANNA, images)).warnings == ()


@pytest.mark.parametrize(("sharpness", "is_told"), [(1.99, True), (2.0, False), (None, False)])
async def test_a_photograph_less_sharp_than_the_embedder_needs_is_told_by_name(
    scene: Scene, sharpness: float | None, *, is_told: bool
) -> None:
    """Whoever is enrolled from it is enrolled nevertheless; nothing is told where nobody looked."""
    scene.pipeline.readings[SIDE.content] = reading(attrs.evolve(face(), sharpness=sharpness))
    scene.pipeline.readings[FRONT.content] = reading(attrs.evolve(face(), sharpness=9.0))
    enrolled = await scene.enroll(ANNA, [FRONT, SIDE])
    assert enrolled.warnings == ((Blurred("side.jpg", 1.99, 2.0),) if is_told else ())
    assert scene.template == enrolled.template


def test_an_embedder_of_which_no_limit_is_known_calls_nothing_blurred() -> None:
    """What its sharpness means, nobody has measured."""
    assert blurred({"front.jpg": 0.0}, None) == []


@pytest.mark.parametrize(
    ("points", "is_told"),
    [
        (((1.0, 0.0),), False),
        (((1e-5, 0.01), (1e-3, 0.05)), False),
        (((2e-2, 0.1), (1e-1, 0.2)), False),
        (((1e-2, 0.1), (1e-1, 0.2)), True),
        (((1e-4, 0.05), (1e-2, 0.1)), True),
    ],
)
def test_where_one_in_a_hundred_was_not_measured_nothing_is_said_of_it(points: Curve, *, is_told: bool) -> None:
    """Two photographs are only called as far apart as 99 of 100 pairs where the curve reaches that rate."""
    warnings = far_apart({"front": at_angle(0), "side": at_angle(80)}, Calibration(points))
    assert bool(warnings) is is_told


@pytest.mark.parametrize(("angle", "is_told"), [(1, True), (25, True), (26, False)])
async def test_another_user_who_looks_the_same_is_told(scene: Scene, angle: int, *, is_told: bool) -> None:
    """Whoever would be named on a photograph with the new template's face may be the same person, or on it."""
    scene.database.add_user(BORIS, at_angle(angle))
    warnings = (await scene.enroll(ANNA, [FRONT])).warnings
    assert warnings == ((LookAlike(BORIS, distance_of(angle), NEAR),) if is_told else ())


@pytest.mark.parametrize(
    ("photographs", "angle", "is_told"),
    [(2, 24, True), (2, 25, False), (5, 23.4, True), (5, 23.7, False), (30, 23, True)],
)
async def test_a_template_of_several_photographs_has_to_be_nearer(
    scene: Scene, photographs: int, angle: float, *, is_told: bool
) -> None:
    """The limit shrinks with the number of the new template's photographs: means lie nearer to everybody."""
    images = [EnrolmentImage(f"{number}.jpg", b"%d" % number) for number in range(photographs)]
    scene.pipeline.readings |= {image.content: reading(face(probe=at_angle(0))) for image in images}
    scene.database.add_user(BORIS, at_angle(angle))
    limit = NEAR * {2: 0.87, 5: 0.83, 30: 0.8}[photographs]
    warnings = (await scene.enroll(ANNA, images)).warnings
    assert warnings == ((LookAlike(BORIS, distance_of(angle), limit),) if is_told else ())


async def test_two_users_with_one_template_are_told_of(scene: Scene) -> None:
    """By the first of them, although neither is named: it is their photographs that have to be looked at."""
    for number in (2, 1):
        scene.database.add_user(UUID(int=number), at_angle(10))
    assert (await scene.enroll(ANNA, [FRONT])).warnings == (LookAlike(UUID(int=1), distance_of(10), NEAR),)


async def test_a_user_looks_like_nobody_for_looking_like_themselves(scene: Scene) -> None:
    """Who is enrolled again, with the same photograph, is not compared with their own template."""
    await scene.enroll(ANNA, [FRONT])
    assert (await scene.enroll(ANNA, [FRONT])).warnings == ()


async def test_who_looks_the_same_follows_from_how_many_users_there_are(scene: Scene) -> None:
    """The threshold is the one of a search among the other users."""
    policy = TargetFpir(0.5, INFO.calibration)
    scene.use_case = attrs.evolve(scene.use_case, compare=scene.comparing_by(policy))
    for number in range(90):
        scene.database.add_user(UUID(int=1000 + number), OLD)
    scene.database.add_user(BORIS, at_angle(1))
    [warning] = (await scene.enroll(ANNA, [FRONT])).warnings
    assert warning == LookAlike(BORIS, distance_of(1), policy.threshold(SearchContext(91, None)))


async def test_everybody_looks_the_same_to_who_accepts_any_distance(scene: Scene) -> None:
    """Without a limit nothing is told of the nearest user."""
    scene.use_case = attrs.evolve(scene.use_case, compare=scene.comparing_by(FixedThreshold(None)))
    scene.database.add_user(BORIS, at_angle(1))
    assert (await scene.enroll(ANNA, [FRONT])).warnings == ()


@pytest.mark.parametrize(
    "policy", [FixedThreshold(NEAR), FixedThreshold(None), TargetFpir(0.01, Calibration(((1.0, 0.0),)))]
)
@pytest.mark.parametrize("angle", [0, 0.05])
async def test_who_has_the_same_template_is_told_whatever_is_accepted(
    scene: Scene, policy: ThresholdPolicy, angle: float
) -> None:
    """Nothing tells the two apart, but for rounding: neither a limit of 0 nor the lack of one makes that well."""
    scene.use_case = attrs.evolve(scene.use_case, compare=scene.comparing_by(policy))
    scene.database.add_user(BORIS, at_angle(angle))
    assert (await scene.enroll(ANNA, [FRONT])).warnings == (SameTemplate(BORIS),)


def _blurred(scene: Scene) -> None:
    scene.pipeline.readings[FRONT.content] = reading(attrs.evolve(face(), sharpness=1.9))


def _of_two_people(scene: Scene) -> None:
    scene.pipeline.readings[SIDE.content] = reading(face(probe=at_angle(60)))


def _looking_like_boris(scene: Scene) -> None:
    scene.database.add_user(BORIS, at_angle(10))


def _with_boris_s_template(scene: Scene) -> None:
    scene.database.add_user(BORIS, at_angle(7.5))


@pytest.mark.parametrize(
    ("doubt", "kind"),
    [
        (_blurred, Blurred),
        (_of_two_people, FarApart),
        (_looking_like_boris, LookAlike),
        (_with_boris_s_template, SameTemplate),
    ],
)
async def test_where_it_is_strict_any_doubt_refuses(scene: Scene, doubt: Callable[[Scene], None], kind: type) -> None:
    """What would be a warning is why nothing was written."""
    scene.pipeline.readings[SIDE.content] = reading(face(probe=at_angle(15)))
    doubt(scene)
    with pytest.raises(EnrolmentDoubtedError) as doubted:
        await scene.enroll(ANNA, [FRONT, SIDE], strict=True)
    assert [type(warning) for warning in doubted.value.warnings] == [kind]
    assert scene.template == OLD


async def test_where_it_is_strict_who_cannot_be_compared_is_not_enrolled(scene: Scene) -> None:
    """That is an outage, and no fault of the photographs."""
    scene.database.failing.add("others")
    with pytest.raises(DatabaseUnavailableError):
        await scene.enroll(ANNA, [FRONT], strict=True)
    assert scene.template == OLD


async def test_where_it_is_strict_who_is_beyond_doubt_is_enrolled(scene: Scene) -> None:
    """As otherwise."""
    assert (await scene.enroll(ANNA, [FRONT], strict=True)).warnings == ()
    assert scene.template == at_angle(0)


async def test_who_cannot_be_compared_is_enrolled_nevertheless(scene: Scene) -> None:
    """Among very many users the database may not answer in time: that is told, and the template is written."""
    scene.database.failing.add("others")
    enrolled = await scene.enroll(ANNA, [FRONT])
    [warning] = enrolled.warnings
    assert isinstance(warning, NotCompared)
    assert scene.template == enrolled.template


def test_photographs_are_not_printed() -> None:
    """A photograph's bytes do not reach logs by way of its repr."""
    assert repr(FRONT) == "EnrolmentImage(name='front.jpg', image_ref=None)"
