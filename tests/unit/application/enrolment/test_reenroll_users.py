"""Everybody gets a template by another embedder, from photographs that are known, and nobody is forgotten meanwhile."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

import attrs
import pytest

from application.enrolment.bulk import EnrolmentResult
from application.enrolment.enrolment_warnings import Blurred, FarApart
from application.enrolment.reenroll_users import ReenrollUsers
from application.enrolment.switch_users import Switch, SwitchUsers
from application.enrolment.template import EnrolmentImage, EnrolmentRefusedError, MakeTemplate
from application.ports.face_pipeline import Embed
from domain.errors import (
    AttemptFailedError,
    EmbedderCrashedError,
    EmbedderTimeoutError,
    EmbedderUnavailableError,
    StorageUnavailableError,
)
from domain.faces import FaceEmbedding, PhotoReading
from domain.guardrails import FaceQuality
from tests.fakes.clock import ManualClock
from tests.fakes.database import InMemoryDatabase
from tests.fakes.gallery import InMemoryEnrolment
from tests.fakes.reenrolment import InMemoryReenrolment
from tests.fakes.vision import INFO, ScriptedFacePipeline, ScriptedFaceReader
from tests.unit.application.world import ANNA, BORIS, embedding, face, reading

OLD = FaceEmbedding("old@1", (0.0, 0.0, 1.0))
CLARA = UUID(int=13)
FRONT, SIDE, HALL = "minio://images/front.jpg", "minio://images/side.jpg", "minio://images/hall.jpg"


class Scene:
    """Anna and Boris are enrolled with an old embedder from photographs in the store, Clara by the application."""

    def __init__(self) -> None:
        self.database = InMemoryDatabase()
        self.enrolment = InMemoryEnrolment(self.database)
        for user in (ANNA, BORIS, CLARA):
            self.database.add_user(user, OLD)
        self.reader = ScriptedFaceReader(
            ScriptedFacePipeline(
                {
                    FRONT.encode(): reading(face(probe=embedding(1.0, 0.0, 0.0))),
                    SIDE.encode(): reading(face(probe=embedding(1.0, 0.0, 0.0))),
                    HALL.encode(): reading(face(probe=embedding(0.0, 1.0, 0.0))),
                    b"clara.jpg": reading(face(probe=embedding(0.0, 0.0, 1.0))),
                }
            )
        )
        self.failures: dict[str, Exception] = {}
        self.while_fetching: Callable[[], object] = lambda: None
        self.told: list[EnrolmentResult] = []
        self.progress: list[tuple[int, int]] = []
        self.reenroll = ReenrollUsers(
            model=INFO.id,
            make_template=MakeTemplate(reader=self.reader, quality=FaceQuality(32), calibration=INFO.calibration),
            reenrolment=InMemoryReenrolment(self.database),
            concurrency=2,
        )

    async def enrolled(self) -> "Scene":
        """Have it remembered where the photographs lie."""
        await self.enrolment.save_template(ANNA, OLD, photographs=2, image_refs=(FRONT, SIDE))
        await self.enrolment.save_template(BORIS, OLD, photographs=1, image_refs=(HALL,))
        return self

    async def fetch(self, name: str) -> EnrolmentImage:
        """Return the name as the content; what has a scheme lies in the store."""
        await asyncio.sleep(0)
        self.while_fetching()
        if name in self.failures:
            raise self.failures[name]
        return EnrolmentImage(name, name.encode(), name if "://" in name else None)

    async def prepare(self, listed: Mapping[UUID, Sequence[str]] | None = None) -> list[EnrolmentResult]:
        """Prepare, and return what was told, by user."""
        self.told.clear()
        await self.reenroll.prepare(
            self.fetch, listed or {}, self.told.append, lambda done, of: self.progress.append((done, of))
        )
        return sorted(self.told, key=lambda user: user.user_id)

    async def switch(self, *, partial: bool = False) -> Switch:
        """Switch, and hear of the progress."""
        switch = SwitchUsers(model=INFO.id, reenrolment=InMemoryReenrolment(self.database), clock=ManualClock())
        return await switch(lambda done, of: self.progress.append((done, of)), lambda: None, partial=partial)

    def models(self) -> list[str | None]:
        """Return whose template everybody has."""
        return [self.database.users[user].model for user in (ANNA, BORIS, CLARA)]


@pytest.fixture
async def scene() -> Scene:
    """Return the scene."""
    return await Scene().enrolled()


async def test_who_was_enrolled_from_the_store_needs_nothing_else(scene: Scene) -> None:
    """The photographs are known; of whom they are not, that is told; and everybody is recognised as before."""
    unknown = "it is not known of which photographs the template was made"
    assert await scene.prepare() == [
        EnrolmentResult(ANNA, 2),
        EnrolmentResult(BORIS, 1),
        EnrolmentResult(CLARA, 0, (unknown,)),
    ]
    assert scene.models() == [OLD.model] * 3
    assert scene.progress == [(1, 3), (2, 3), (3, 3)]


async def test_a_list_names_what_is_not_known_and_goes_first(scene: Scene) -> None:
    """For Clara, and for Boris instead of the old photograph; who is on the list and needs nothing is not looked at."""
    listed = {CLARA: ["clara.jpg"], BORIS: [HALL, FRONT], UUID(int=77): ["nobody.jpg"]}
    told = await scene.prepare(listed)
    assert [(user.user_id, user.photographs, user.problems) for user in told] == [
        (ANNA, 2, ()),
        (BORIS, 2, ()),
        (CLARA, 1, ()),
    ]
    assert await scene.switch() == Switch(3, 0)
    rows = [scene.database.users[user] for user in (ANNA, BORIS, CLARA)]
    assert [row.photographs for row in rows] == [2, 2, 1]
    assert [row.image_refs for row in rows] == [(FRONT, SIDE), (HALL, FRONT), ()]
    assert [row.vector for row in rows] == [(1.0, 0.0, 0.0), pytest.approx((0.5**0.5, 0.5**0.5, 0.0)), (0.0, 0.0, 1.0)]


async def test_who_is_prepared_is_not_looked_at_again(scene: Scene) -> None:
    """A second run does the rest only: an interruption costs nothing."""
    await scene.prepare()
    seen = len(scene.reader.read_images)
    assert await scene.prepare({CLARA: ["clara.jpg"]}) == [EnrolmentResult(CLARA, 1)]
    assert len(scene.reader.read_images) == seen + 1
    assert await scene.prepare() == []


async def test_a_photograph_that_is_another_by_now_makes_no_template(scene: Scene) -> None:
    """Somebody has put another portrait where Boris's was: it may show anybody, who would be named as Boris.

    That is his problem, not Anna's, whose photograph is the same. Named for him, it is made a template of, and the next
    embedder's is made of it.
    """
    photograph = EnrolmentImage(HALL, b"what was there", HALL)
    for user, ref, digest in (
        (ANNA, FRONT, EnrolmentImage(FRONT, FRONT.encode()).digest),
        (BORIS, HALL, photograph.digest),
    ):
        await scene.enrolment.save_template(user, OLD, photographs=1, image_refs=(ref,), image_digests=(digest,))
    anna, boris, _ = await scene.prepare()
    assert anna == EnrolmentResult(ANNA, 1)
    assert boris == EnrolmentResult(BORIS, 1, (f"{HALL}: this is another photograph than that of the template",))
    assert [user for _, user in scene.database.prepared] == [ANNA]
    assert await scene.prepare({BORIS: [HALL], CLARA: ["clara.jpg"]}) == [
        EnrolmentResult(BORIS, 1),
        EnrolmentResult(CLARA, 1),
    ]
    assert await scene.switch() == Switch(3, 0)
    assert scene.database.users[BORIS].image_digests == (EnrolmentImage(HALL, HALL.encode()).digest,)


@pytest.mark.parametrize(
    ("seen", "problem"),
    [
        (reading(), "minio://images/hall.jpg: the detector found no face"),
        (reading(face(), face()), "minio://images/hall.jpg: the detector found 2 faces; only one can be matched"),
        (reading(face(9.0)), "minio://images/hall.jpg: the face measures 9 px, less than the configured 32 px"),
        (EmbedderCrashedError("the vision process died"), "the vision process died"),
        (EmbedderTimeoutError("no answer within 20 s"), "no answer within 20 s"),
    ],
)
async def test_one_bad_photograph_is_one_users_problem(
    scene: Scene, seen: PhotoReading | Exception, problem: str
) -> None:
    """It is told of, and the others are prepared."""
    scene.reader.pipeline.readings[HALL.encode()] = seen
    told = await scene.prepare({CLARA: ["clara.jpg"]})
    assert told == [EnrolmentResult(ANNA, 2), EnrolmentResult(BORIS, 1, (problem,)), EnrolmentResult(CLARA, 1)]


async def test_photographs_that_cancel_each_other_out_are_a_problem(scene: Scene) -> None:
    """They have no mean direction; the next user is prepared."""
    scene.reader.pipeline.readings[SIDE.encode()] = reading(face(probe=embedding(-1.0, 0.0, 0.0)))
    anna, boris, _ = await scene.prepare()
    assert (len(anna.problems), boris.problems) == (1, ())


async def test_photographs_of_two_people_and_blurred_ones_are_warned_of(scene: Scene) -> None:
    """As where they are enrolled from them; the template is prepared nevertheless."""
    scene.reader.pipeline.readings |= {
        SIDE.encode(): reading(face(probe=embedding(0.0, 1.0, 0.0))),
        HALL.encode(): reading(attrs.evolve(face(), sharpness=1.5)),
    }
    anna, boris, _ = await scene.prepare()
    assert ([type(warning) for warning in anna.warnings], anna.problems) == ([FarApart], ())
    assert (boris.warnings, boris.problems) == ((Blurred(HALL, 1.5, 2.0),), ())


async def test_who_withdraws_while_their_photographs_are_read_is_not_prepared(scene: Scene) -> None:
    """Nothing biometric is stored of them again; they are told of, and no more after another run."""
    scene.while_fetching = lambda: scene.database.write_embedding(ANNA, None, None)
    anna, _, _ = await scene.prepare()
    assert anna.problems == ("the user's own template was replaced or deleted meanwhile",)
    assert {user for _, user in scene.database.prepared} == {BORIS}
    assert [user.user_id for user in await scene.prepare()] == [CLARA]


async def test_every_photograph_that_cannot_be_had_is_named(scene: Scene) -> None:
    """So that all can be put right before the next run."""
    for name in (FRONT, SIDE):
        scene.failures[name] = EnrolmentRefusedError([f"{name}: there is no such object"])
    [anna, *_] = await scene.prepare()
    assert anna == EnrolmentResult(ANNA, 2, tuple(f"{name}: there is no such object" for name in (FRONT, SIDE)))


@pytest.mark.parametrize(
    "failure",
    [StorageUnavailableError("connection refused"), EmbedderUnavailableError("no process starts")],
    ids=["store", "embedder"],
)
async def test_what_everybody_needs_ends_it(scene: Scene, failure: AttemptFailedError) -> None:
    """What fails for one user is told as theirs; what fails for five in a row has failed for all, until another run."""
    scene.failures[FRONT] = failure
    anna, *others = await scene.prepare()
    assert anna.problems == (str(failure),)
    assert any(not user.problems for user in others)
    many = [UUID(int=1000 + number) for number in range(9)]
    for user in many:
        scene.database.add_user(user, OLD)
    with pytest.raises(type(failure)):
        await scene.prepare(dict.fromkeys(many, (FRONT,)))
    scene.failures.clear()
    assert {user.user_id for user in await scene.prepare(dict.fromkeys(many, (FRONT,))) if not user.problems} >= {ANNA}


async def test_a_row_that_stays_locked_is_that_user_s_problem(scene: Scene) -> None:
    """It looks like a database that does not answer."""
    scene.database.failing.add("prepare")
    assert any("database" in problem for user in await scene.prepare() for problem in user.problems)


async def test_as_many_are_in_hand_as_may_be_and_no_more() -> None:
    """A thousand users are not read into memory at once."""
    scene = Scene()
    hands, most = 0, 0
    for number in range(1000):
        scene.database.add_user(UUID(int=1000 + number), OLD)

    class Counts(ScriptedFaceReader):
        async def read(self, image: bytes, *, embed: Embed) -> PhotoReading:
            nonlocal hands, most
            hands += 1
            most = max(most, hands)
            await asyncio.sleep(0)
            hands -= 1
            return await super().read(image, embed=embed)

    reenroll = ReenrollUsers(
        model=INFO.id,
        make_template=MakeTemplate(
            reader=Counts(scene.reader.pipeline), quality=FaceQuality(32), calibration=INFO.calibration
        ),
        reenrolment=scene.reenroll.reenrolment,
        concurrency=3,
    )
    listed = {user: [HALL] for user in scene.database.users}
    await reenroll.prepare(scene.fetch, listed, scene.told.append, lambda _done, _of: None)
    assert (len(scene.told), most) == (1003, 3)
