"""Everybody on a list is enrolled, once, and one user's bad photograph is no other's trouble."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

import attrs
import pytest

from adapters.object_store.errors import ObjectForbiddenError
from application.enrolment.bulk import EnrolmentResult
from application.enrolment.enroll import CompareWithOthers, Enroll
from application.enrolment.enroll_list import EnrollList
from application.enrolment.enrolment_warnings import Blurred, FarApart, LookAlike, NotCompared, SameTemplate
from application.enrolment.template import EnrolmentImage, EnrolmentRefusedError, MakeTemplate
from domain.decision import FixedThreshold
from domain.errors import (
    AttemptFailedError,
    DatabaseRefusedError,
    DatabaseUnavailableError,
    EmbedderFailedError,
    EmbedderTimeoutError,
    StorageUnavailableError,
)
from domain.faces import FaceEmbedding
from domain.guardrails import FaceQuality
from tests.fakes.database import InMemoryDatabase
from tests.fakes.gallery import InMemoryEnrolment
from tests.fakes.vision import INFO, ScriptedFacePipeline, ScriptedFaceReader
from tests.unit.application.world import ANNA, BORIS, embedding, face, reading

CLARA = UUID(int=13)
NEAR = 0.01
LISTED = {ANNA: ["minio://images/anna.jpg"], BORIS: ["boris.jpg"], CLARA: ["clara.jpg", "side.jpg"]}


class Scene:
    """Anna, Boris and Clara are users, and photographs of them are where the list says."""

    def __init__(self) -> None:
        self.database = InMemoryDatabase()
        for user in LISTED:
            self.database.add_user(user)
        self.reader = ScriptedFaceReader(
            ScriptedFacePipeline(
                {
                    b"minio://images/anna.jpg": reading(face(probe=embedding(1.0, 0.0, 0.0))),
                    b"boris.jpg": reading(face(probe=embedding(0.0, 1.0, 0.0))),
                    b"clara.jpg": reading(face(probe=embedding(0.0, 0.0, 1.0))),
                    b"side.jpg": reading(face(probe=embedding(0.0, 0.1, 1.0))),
                }
            )
        )
        self.progress: list[tuple[int, int]] = []
        self.passed_over: int | None = None
        self.not_compared: int | None = None
        self.not_searched: str | None = None
        self.told_late: list[EnrolmentResult] = []
        self.failures: dict[str, AttemptFailedError] = {}
        self.refusals: dict[str, EnrolmentRefusedError] = {}
        self.while_fetching: Callable[[], object] = lambda: None
        enrolment = InMemoryEnrolment(self.database)
        self.use_case = EnrollList(
            model=INFO.id,
            enroll=Enroll(
                make_template=MakeTemplate(reader=self.reader, quality=FaceQuality(32), calibration=INFO.calibration),
                enrolment=enrolment,
                compare=CompareWithOthers(enrolment=enrolment, threshold=FixedThreshold(NEAR)),
            ),
            enrolment=enrolment,
            concurrency=2,
        )

    async def enroll(
        self, listed: Mapping[UUID, Sequence[str]] = LISTED, *, strict: bool = False
    ) -> list[EnrolmentResult]:
        """Enrol a list; return what was told, by user."""
        told: list[EnrolmentResult] = []
        self.progress.clear()
        self.told_late.clear()
        done = await self.use_case(
            listed,
            self._fetch,
            told.append,
            self.told_late.append,
            lambda done, of: self.progress.append((done, of)),
            strict=strict,
        )
        self.passed_over, self.not_compared, self.not_searched = done.passed_over, done.not_compared, done.not_searched
        return sorted(told, key=lambda user: user.user_id)

    async def _fetch(self, name: str) -> EnrolmentImage:
        await asyncio.sleep(0)
        self.while_fetching()
        if name in self.failures:
            raise self.failures[name]
        if name in self.refusals:
            raise self.refusals[name]
        return EnrolmentImage(name, name.encode(), name if "://" in name else None)


@pytest.fixture
def scene() -> Scene:
    """Return the scene."""
    return Scene()


async def test_everybody_on_the_list_is_enrolled(scene: Scene) -> None:
    """From their photographs, and where these lie in the store is remembered."""
    assert await scene.enroll() == [EnrolmentResult(ANNA, 1), EnrolmentResult(BORIS, 1), EnrolmentResult(CLARA, 2)]
    rows = [scene.database.users[user] for user in LISTED]
    assert [(row.model, row.photographs) for row in rows] == [(INFO.id, 1), (INFO.id, 1), (INFO.id, 2)]
    assert [row.image_refs for row in rows] == [("minio://images/anna.jpg",), (), ()]
    assert scene.progress[-1] == (3, 3)


async def test_who_has_a_template_or_is_deleted_is_left_alone(scene: Scene) -> None:
    """Of whatever embedder: nobody is forgotten by a list. They are counted, and another run does the rest."""
    scene.database.write_embedding(ANNA, "old@1", (0.0, 0.0, 1.0))
    scene.database.mark_user(BORIS, deleted=True)
    assert [user.user_id for user in await scene.enroll()] == [CLARA]
    assert scene.passed_over == 2
    assert [scene.database.users[user].model for user in LISTED] == ["old@1", None, INFO.id]
    assert await scene.enroll() == []
    assert (scene.progress, scene.passed_over) == ([(3, 3)], 3)


async def test_who_is_enrolled_meanwhile_keeps_that(scene: Scene) -> None:
    """A list is gone through for hours: what somebody else stores in that time is newer."""
    scene.while_fetching = lambda: scene.database.write_embedding(BORIS, INFO.id, (0.0, 0.0, 1.0))
    [told] = await scene.enroll({BORIS: ["boris.jpg"]})
    assert told.problems == (f"user {BORIS} was deleted or enrolled meanwhile",)
    assert scene.database.users[BORIS].vector == (0.0, 0.0, 1.0)


async def test_what_is_wrong_with_one_user_is_told_and_no_other_s_trouble(scene: Scene) -> None:
    """No face, no such user, an embedder that hangs on one photograph."""
    scene.reader.pipeline.readings[b"boris.jpg"] = EmbedderTimeoutError("no answer within 20 s")
    stranger = UUID(int=77)
    told = await scene.enroll({**LISTED, CLARA: ["cat.jpg"], stranger: ["boris.jpg"]})
    assert [(user.user_id, user.problems) for user in told] == [
        (ANNA, ()),
        (BORIS, ("no answer within 20 s",)),
        (CLARA, ("cat.jpg: not an image of an allowed format",)),
        (stranger, (f"there is no user {stranger}, or they are deleted",)),
    ]


async def test_photographs_of_two_people_are_warned_of(scene: Scene) -> None:
    """The user is enrolled nevertheless, as by themselves."""
    scene.reader.pipeline.readings[b"side.jpg"] = reading(face(probe=embedding(0.0, 1.0, 0.0)))
    told = {user.user_id: user.warnings for user in await scene.enroll()}
    assert (told[ANNA], told[BORIS], [type(warning) for warning in told[CLARA]]) == ((), (), [FarApart])
    assert scene.database.users[CLARA].model == INFO.id


@pytest.mark.parametrize(
    "failure",
    [
        ObjectForbiddenError("anna.jpg may not be read"),
        DatabaseRefusedError("database: refused: a CHECK"),
        EmbedderFailedError("embedder scripted@1 failed with RuntimeError"),
    ],
)
async def test_what_is_refused_for_one_user_is_that_user_s_problem(scene: Scene, failure: AttemptFailedError) -> None:
    """An object that may not be read, a row that is refused, an error of the embedder: the others are enrolled."""
    scene.failures["boris.jpg"] = failure
    told = await scene.enroll()
    assert [(user.user_id, user.problems) for user in told] == [(ANNA, ()), (BORIS, (str(failure),)), (CLARA, ())]


async def test_an_object_that_always_fails_is_that_user_s_problem(scene: Scene) -> None:
    """What looks like a store that is down may be one object: it does not keep everybody behind it from enrolment."""
    failure = StorageUnavailableError("the answer was cut off")
    scene.failures["boris.jpg"] = failure
    told = await scene.enroll()
    assert [(user.user_id, user.problems) for user in told] == [(ANNA, ()), (BORIS, (str(failure),)), (CLARA, ())]


def _many(scene: Scene) -> dict[UUID, list[str]]:
    users = {UUID(int=1000 + number): ["boris.jpg"] for number in range(12)}
    for user in users:
        scene.database.add_user(user)
    return users


async def test_what_everybody_needs_ends_it(scene: Scene) -> None:
    """A store or a database that fails five users in a row is down; another run goes on."""
    users = _many(scene)
    scene.failures["boris.jpg"] = StorageUnavailableError("connection refused")
    with pytest.raises(StorageUnavailableError):
        await scene.enroll(users)
    scene.failures.clear()
    scene.database.failing.add("save_template")
    with pytest.raises(DatabaseUnavailableError):
        await scene.enroll(users)
    scene.database.failing.clear()
    await scene.enroll(users)
    assert all(isinstance(scene.database.users[user].template, FaceEmbedding) for user in users)


@pytest.mark.parametrize("refusal", [None, EnrolmentRefusedError(["clara.jpg: there is no such object"])])
async def test_many_objects_that_fail_here_and_there_end_nothing(
    scene: Scene, refusal: EnrolmentRefusedError | None
) -> None:
    """As long as others between them are well, or at least told to be missing: the system is there."""
    users = _many(scene)
    if refusal is not None:
        scene.refusals["clara.jpg"] = refusal
    for user in list(users)[1::2]:
        users[user] = ["clara.jpg"]
    scene.failures["boris.jpg"] = StorageUnavailableError("the answer was cut off")
    told = await scene.enroll(users)
    assert [bool(user.problems) for user in told] == [True, refusal is not None] * 6


async def test_a_photograph_that_is_named_twice_counts_once(scene: Scene) -> None:
    """A template of it is no surer than of one, whatever the list says."""
    assert await scene.enroll({BORIS: ["boris.jpg", "boris.jpg"]}) == [EnrolmentResult(BORIS, 2)]
    assert scene.database.users[BORIS].photographs == 1


async def test_who_looks_like_another_user_is_warned_of(scene: Scene) -> None:
    """Whether that one was enrolled before, or has just been from the same list."""
    scene.database.add_user(UUID(int=9), embedding(1.0, 0.05, 0.0))
    scene.reader.pipeline.readings[b"clara.jpg"] = reading(face(probe=embedding(0.0, 1.0, 0.0)))
    told = await scene.enroll({ANNA: ["minio://images/anna.jpg"], BORIS: ["boris.jpg"], CLARA: ["clara.jpg"]})
    warnings = {user.user_id: [type(warning) for warning in user.warnings] for user in told}
    assert warnings[ANNA] == [LookAlike]
    assert SameTemplate in warnings[BORIS] + warnings[CLARA]
    assert (scene.not_compared, scene.told_late) == (0, [])


async def test_after_so_many_comparisons_only_the_same_template_is_looked_for(scene: Scene) -> None:
    """A long list comes to its end; of a placeholder portrait it still tells, once for each who has it."""
    before = scene.database.add_user(UUID(int=9), embedding(0.0, 1.0, 0.0))
    scene.use_case = attrs.evolve(scene.use_case, most_compared=1, concurrency=1)
    told = await scene.enroll({ANNA: ["minio://images/anna.jpg"], BORIS: ["boris.jpg"], CLARA: ["clara.jpg"]})
    assert told == [EnrolmentResult(user, 1) for user in (ANNA, BORIS, CLARA)]
    assert scene.told_late == [EnrolmentResult(BORIS, 1, warnings=(SameTemplate(before),))]
    assert scene.not_compared == 2
    assert scene.database.operations.count("others") == 1


async def test_a_database_that_takes_too_long_to_compare_is_not_asked_again(scene: Scene) -> None:
    """Each would wait as long; the one who was asked for is told of, and all are counted."""
    scene.database.failing.add("others")
    scene.use_case = attrs.evolve(scene.use_case, concurrency=1)
    told = {user.user_id: [type(warning) for warning in user.warnings] for user in await scene.enroll()}
    assert told == {ANNA: [NotCompared], BORIS: [], CLARA: []}
    assert (scene.not_compared, scene.database.operations.count("others")) == (3, 1)


async def test_a_list_comes_to_its_end_where_the_same_templates_cannot_be_looked_for(scene: Scene) -> None:
    """Everybody is enrolled by then: what was counted is told, and why nobody looked."""
    scene.database.write_embedding(ANNA, INFO.id, (1.0, 0.0, 0.0))
    scene.database.failing.add("same_templates")
    scene.use_case = attrs.evolve(scene.use_case, most_compared=0)
    assert await scene.enroll() == [EnrolmentResult(BORIS, 1), EnrolmentResult(CLARA, 2)]
    assert (scene.passed_over, scene.not_compared, scene.told_late) == (1, 2, [])
    assert scene.not_searched == "database, same_templates: the connection was lost"


async def test_where_it_is_strict_a_database_that_does_not_compare_ends_it(scene: Scene) -> None:
    """After five users in a row: everybody after them would wait as long and be refused."""
    scene.database.failing.add("others")
    with pytest.raises(DatabaseUnavailableError):
        await scene.enroll(_many(scene), strict=True)
    assert not any(user.template for user in scene.database.users.values())
    assert scene.database.operations.count("others") < 12


@pytest.mark.parametrize("bad", ["cat.jpg", "missing.jpg", "hanging.jpg"])
async def test_who_is_refused_in_between_does_not_hide_that_nobody_can_be_compared(scene: Scene, bad: str) -> None:
    """Photographs that cannot be used say nothing of the database: five comparisons that failed end the list."""
    users = _many(scene)
    for user in list(users)[::2]:
        users[user] = [bad]
    scene.refusals["missing.jpg"] = EnrolmentRefusedError(["missing.jpg: there is no such object"])
    scene.failures["hanging.jpg"] = EmbedderTimeoutError("no answer within 20 s")
    scene.database.failing.add("others")
    scene.use_case = attrs.evolve(scene.use_case, concurrency=1)
    with pytest.raises(DatabaseUnavailableError):
        await scene.enroll(users, strict=True)
    assert scene.database.operations.count("others") == 5


async def test_comparisons_that_fail_here_and_there_end_nothing(scene: Scene) -> None:
    """As long as others between them are made, whatever these say."""
    users = _many(scene)

    def every_third_works() -> None:
        done = scene.database.operations.count("others")
        (scene.database.failing.discard if done % 3 == 2 else scene.database.failing.add)("others")

    scene.while_fetching = every_third_works
    scene.use_case = attrs.evolve(scene.use_case, concurrency=1)
    told = await scene.enroll(users, strict=True)
    assert [bool(user.problems) for user in told] == [True, True, False] * 4


async def test_where_it_is_strict_who_is_doubted_is_not_enrolled(scene: Scene) -> None:
    """However many are in hand at once and were compared before; what speaks against them is told."""
    users = _many(scene)
    scene.reader.pipeline.readings[b"side.jpg"] = reading(attrs.evolve(face(), sharpness=1.0))
    scene.use_case = attrs.evolve(scene.use_case, most_compared=0, concurrency=4)
    told = await scene.enroll({**users, CLARA: ["side.jpg"]}, strict=True)
    enrolled = [user.user_id for user in told if not user.is_doubted]
    assert [user for user in (*users, CLARA) if scene.database.users[user].template] == enrolled
    assert len(enrolled) == 1
    doubts = {user.user_id: user.warnings for user in told if user.is_doubted}
    assert doubts.pop(CLARA) == (Blurred("side.jpg", 1.0, 2.0),)
    assert list(doubts.values()) == [(SameTemplate(*enrolled),)] * 11
    assert (scene.not_compared, scene.told_late) == (0, [])


async def test_a_long_list_is_gone_through_page_by_page(scene: Scene) -> None:
    """All of it, each user once."""
    users = {UUID(int=1000 + number): ["boris.jpg"] for number in range(2500)}
    for user in users:
        scene.database.add_user(user)
    scene.use_case = attrs.evolve(scene.use_case, most_compared=0)
    assert [user.user_id for user in await scene.enroll(users)] == list(users)
    assert scene.database.operations.count("not_to_enrol") == 3
