"""One job on its way through the guardrails to its recorded outcome."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from uuid import UUID

import attrs
import pytest

from application.matching.match_single_face import Conclusion
from application.ports.gallery import Neighbours
from domain.decision import Comparison, FixedThreshold
from domain.errors import (
    AttemptFailedError,
    DatabaseUnavailableError,
    EmbedderCrashedError,
    EmbedderTimeoutError,
    StorageUnavailableError,
)
from domain.faces import FaceEmbedding
from domain.images import ImageRef
from domain.jobs import JobKey, MalformedJob, MatchJob
from domain.outcomes import OutcomeKind, Reason
from domain.records import Failed, JobRecord, Matched, Skipped
from tests.fakes.database import FaceMatchRow, PhotoFaceRow
from tests.fakes.gallery import InMemoryGallery
from tests.fakes.telemetry import RecordingJobTrace
from tests.fakes.vision import INFO
from tests.unit.application.world import (
    ANNA,
    BORIS,
    IMAGE,
    JOB,
    JOB_ID,
    MAX_BYTES,
    PHOTO,
    REF,
    TRACEPARENT,
    WORKER,
    World,
    embedding,
    face,
    reading,
)

MALFORMED = MalformedJob(("required field missing @ $.image_ref", "wrong type @ $.face_index"), PHOTO, None, JOB_ID)


@pytest.fixture
def world() -> World:
    """Return a world in which the job matches."""
    return World()


async def run(world: World, job: MatchJob | MalformedJob = JOB, key: JobKey | None = None) -> Conclusion:
    """Match the job, with the trace of a delivery around it."""
    return await world.match(key or world.key(), job, RecordingJobTrace(traceparent=TRACEPARENT))


async def test_a_match_is_written_and_recorded(world: World) -> None:
    """The nearest user within the threshold gets a face, a match and a record that says everything about it."""
    conclusion = await run(world)
    [row] = world.database.photo_faces.values()
    [match] = world.database.face_matches
    assert (row.photo_id, row.face_index, row.embedding, row.box) == (PHOTO, 3, embedding(), face().box)
    assert (match.photo_face_id, match.user_id, match.confidence) == (row.id, ANNA, 0.0)
    outcome = conclusion.record.outcome
    assert isinstance(outcome, Matched)
    assert (outcome.user_id, outcome.match_id, outcome.face.photo_face_id) == (ANNA, match.id, row.id)
    assert conclusion == Conclusion(
        JobRecord(
            key=world.key(),
            outcome=outcome,
            occurred_at=world.clock.now(),
            embedder=INFO.id,
            worker=WORKER,
            photo_id=PHOTO,
            face_index=3,
            job_id=JOB_ID,
            traceparent=TRACEPARENT,
        ),
        repeated=False,
    )
    assert world.records == [conclusion.record]


async def test_the_comparison_is_kept(world: World) -> None:
    """The record holds what the decision saw: distance, runner-up, threshold and the number of users."""
    world.database.add_user(BORIS, embedding(0.0, 1.0, 0.0))
    outcome = (await run(world)).record.outcome
    assert isinstance(outcome, Matched)
    assert outcome.comparison == Comparison(0.0, 0.1, gallery_size=2, runner_up_distance=1.0)


async def test_without_a_threshold_the_nearest_user_is_named(world: World) -> None:
    """However far the nearest user is, no threshold lets them pass."""
    world.match = attrs.evolve(world.match, policy=attrs.evolve(world.match.policy, threshold=FixedThreshold(None)))
    world.pipeline.readings[IMAGE] = reading(face(probe=embedding(-1.0, 0.1, 0.0)))
    assert (await run(world)).record.outcome.kind is OutcomeKind.MATCHED


async def test_the_work_is_timed_stage_by_stage(world: World) -> None:
    """Each stage of a match is told, those of the other process too, in the order in which they run."""
    trace = RecordingJobTrace()
    await world.match(world.key(), JOB, trace)
    expected = ["guardrails", "fetch", "vision", "decode", "detect", "embed", "search", "transaction"]
    assert trace.stage_names == expected


@attrs.frozen
class Fault:
    """Something that stops the job: how to bring it about, the reason, and the work that is done until then."""

    reason: Reason
    arrange: Callable[[World], None] = lambda _: None
    job: Callable[[MatchJob], MatchJob] = lambda job: job
    operations: Sequence[str] = ("recall", "conclude")
    fetched: int = 0
    read: int = 0


def sees(*sides: float) -> Callable[[World], None]:
    """Return an arrangement in which the photograph shows faces of these sizes."""

    def arrange(world: World) -> None:
        world.pipeline.readings[IMAGE] = reading(*(face(side) for side in sides))

    return arrange


def already_matched(world: World) -> None:
    """Let another face of the photo have a match."""
    row = PhotoFaceRow(UUID(int=5), PHOTO, 0, embedding(), face().box)
    world.database.photo_faces[PHOTO, 0] = row
    world.database.face_matches.append(FaceMatchRow(UUID(int=6), row.id, BORIS, 0.05))


FAULTS = [
    Fault(
        Reason.FACES_DETECTED_NOT_ONE,
        job=lambda job: attrs.evolve(job, faces_detected=2),
        operations=["conclude"],
    ),
    Fault(Reason.MISSING_IMAGE_REF, job=lambda job: attrs.evolve(job, image_ref=None), operations=["conclude"]),
    Fault(
        Reason.INVALID_IMAGE_REF,
        job=lambda job: attrs.evolve(job, image_ref="minio://elsewhere/anna.jpg"),
        operations=["conclude"],
    ),
    Fault(Reason.PHOTO_NOT_FOUND, lambda world: world.database.photos.clear()),
    Fault(Reason.ALREADY_MATCHED, already_matched),
    Fault(Reason.IMAGE_NOT_FOUND, lambda world: world.photos.objects.clear(), fetched=1),
    Fault(Reason.IMAGE_TOO_LARGE, lambda world: world.photos.objects.update({REF: bytes(MAX_BYTES + 1)}), fetched=1),
    Fault(Reason.UNREADABLE_IMAGE, lambda world: world.photos.objects.update({REF: b"text"}), fetched=1, read=1),
    Fault(Reason.NO_FACE, sees(), fetched=1, read=1),
    Fault(Reason.MULTIPLE_FACES, sees(100, 10), fetched=1, read=1),
    Fault(Reason.FACE_TOO_SMALL, sees(31), fetched=1, read=1),
]
BY_REASON = [pytest.param(fault, id=fault.reason) for fault in FAULTS]
ONCE_MATCHED = [pytest.param(fault, id=fault.reason) for fault in FAULTS if fault.reason is not Reason.ALREADY_MATCHED]


@pytest.mark.parametrize("fault", BY_REASON)
async def test_a_guardrail_stops_the_job_before_any_needless_work(world: World, fault: Fault) -> None:
    """Each objection is recorded as the job's outcome, and what a later guardrail needs was never asked for."""
    fault.arrange(world)
    conclusion = await run(world, fault.job(JOB))
    assert (conclusion.record.outcome.kind, conclusion.record.outcome.reason) == (OutcomeKind.SKIPPED, fault.reason)
    assert world.records == [conclusion.record]
    assert world.database.operations == list(fault.operations)
    assert (len(world.photos.fetched), len(world.reader.read_images)) == (fault.fetched, fault.read)


@pytest.mark.parametrize("fault", BY_REASON)
async def test_a_stopped_job_writes_no_face(world: World, fault: Fault) -> None:
    """A job that a guardrail stops leaves the application's tables as they are."""
    fault.arrange(world)
    before = dict(world.database.photo_faces), list(world.database.face_matches)
    await run(world, fault.job(JOB))
    assert (world.database.photo_faces, world.database.face_matches) == before


@pytest.mark.parametrize("first", [pytest.param(i, id=fault.reason) for i, fault in enumerate(FAULTS)])
async def test_of_several_objections_the_cheapest_counts(world: World, first: int) -> None:
    """A job with faults at several guardrails is stopped by the earliest of them."""
    job = JOB
    for fault in reversed(FAULTS[first:]):
        fault.arrange(world)
        job = fault.job(job)
    assert (await run(world, job)).record.outcome.reason is FAULTS[first].reason


async def test_a_malformed_job_is_recorded_with_every_problem(world: World) -> None:
    """Nothing but the ledger is touched; the record tells all problems and what could be read."""
    record = (await run(world, MALFORMED)).record
    expected = Skipped(Reason.MALFORMED_PAYLOAD, "required field missing @ $.image_ref; wrong type @ $.face_index")
    assert (record.outcome, record.photo_id, record.face_index, record.job_id) == (expected, PHOTO, None, JOB_ID)
    assert (world.database.operations, world.photos.fetched) == (["conclude"], [])


@pytest.mark.parametrize(
    ("reference", "expected"), [("anna.jpg", REF), ("minio://images/a/b.jpg", ImageRef("images", "a/b.jpg"))]
)
async def test_the_reference_says_what_is_fetched(world: World, reference: str, expected: ImageRef) -> None:
    """A bare key is of the default bucket, a full reference of its own."""
    await run(world, attrs.evolve(JOB, image_ref=reference))
    assert world.photos.fetched == [expected]


async def test_nobody_enrolled_still_writes_the_face(world: World) -> None:
    """A face that can be compared with nobody is kept for later."""
    world.database.users.clear()
    outcome = (await run(world)).record.outcome
    [row] = world.database.photo_faces.values()
    assert isinstance(outcome, Skipped)
    assert (outcome.reason, outcome.comparison) == (Reason.NO_ENROLLED_USERS, None)
    assert outcome.face is not None
    assert outcome.face.photo_face_id == row.id


@pytest.mark.parametrize(
    "user",
    [
        {"template": embedding(), "deleted": True},
        {"template": embedding(), "blocked": True},
        {"template": embedding(1.0, 0.0, 0.0, model="other@1")},
        {"template": None},
    ],
    ids=["deleted", "blocked", "of another model", "without a template"],
)
async def test_a_user_who_is_no_candidate_counts_as_not_enrolled(world: World, user: dict[str, object]) -> None:
    """Deleted, blocked, without template or with another model's: such a user is never found."""
    world.database.users.clear()
    world.database.add_user(ANNA, **user)  # type: ignore[arg-type]  # the cases are spelled above
    assert (await run(world)).record.outcome.reason is Reason.NO_ENROLLED_USERS


async def test_a_stranger_is_no_match_and_the_face_is_written(world: World) -> None:
    """Beyond the threshold nobody is named; the face and the comparison are kept."""
    world.pipeline.readings[IMAGE] = reading(face(probe=embedding(0.0, 1.0, 0.0)))
    outcome = (await run(world)).record.outcome
    [row] = world.database.photo_faces.values()
    assert isinstance(outcome, Skipped)
    assert (outcome.reason, outcome.comparison) == (Reason.NO_MATCH, Comparison(1.0, 0.1, gallery_size=1))
    assert (row.embedding, world.database.face_matches) == (embedding(0.0, 1.0, 0.0), [])


async def test_a_redelivery_repeats_the_outcome(world: World) -> None:
    """The same job again gives the same record, changes no row, and looks at no photograph."""
    first = await run(world)
    rows = dict(world.database.photo_faces), list(world.database.face_matches)
    await world.clock.advance(1)
    second = await run(world, key=first.record.key)
    assert second == Conclusion(first.record, repeated=True)
    assert (world.database.photo_faces, world.database.face_matches) == rows
    assert (len(world.photos.fetched), len(world.reader.read_images)) == (1, 1)


@pytest.mark.parametrize("fault", ONCE_MATCHED)
async def test_a_recorded_outcome_stands_whatever_has_changed(world: World, fault: Fault) -> None:
    """A match stays the job's outcome though a redelivery would be stopped by a guardrail now."""
    first = await run(world)
    fault.arrange(world)
    assert await run(world, fault.job(JOB), first.record.key) == Conclusion(first.record, repeated=True)


async def test_a_malformed_job_delivered_again_is_a_repetition(world: World) -> None:
    """The first record of what never could be done stands as well."""
    first = await run(world, MALFORMED)
    await world.clock.advance(1)
    assert await run(world, MALFORMED, first.record.key) == Conclusion(first.record, repeated=True)


async def test_a_new_job_for_a_matched_photo_is_already_matched(world: World) -> None:
    """A new message is a new job; the photo's match is not made twice."""
    await run(world, key=world.key(1))
    second = await run(world, key=world.key(2))
    assert (second.record.outcome.reason, second.repeated) == (Reason.ALREADY_MATCHED, False)
    assert len(world.database.face_matches) == 1


async def test_one_job_held_by_many_workers_is_done_once(world: World) -> None:
    """Ten concurrent deliveries of one job agree on one record and write one face and one match."""
    key = world.key()
    workers = [attrs.evolve(world.match, worker=f"worker-{number}") for number in range(10)]
    conclusions = await asyncio.gather(*(worker(key, JOB, RecordingJobTrace()) for worker in workers))
    assert {conclusion.record for conclusion in conclusions} == set(world.records)
    assert Counter(conclusion.repeated for conclusion in conclusions) == {False: 1, True: 9}
    assert (len(world.database.photo_faces), len(world.database.face_matches)) == (1, 1)


async def test_concurrent_jobs_for_one_photo_match_it_once(world: World) -> None:
    """Ten jobs at once for one photo: one matches, nine find it already matched."""
    conclusions = await asyncio.gather(*(run(world, key=world.key(number)) for number in range(10)))
    reasons = Counter(conclusion.record.outcome.reason for conclusion in conclusions)
    assert reasons == {None: 1, Reason.ALREADY_MATCHED: 9}
    assert len(world.database.face_matches) == 1


class FickleGallery(InMemoryGallery):
    """Whoever is found first is blocked right afterwards, as often as the test says."""

    def __init__(self, world: World, times: int) -> None:
        super().__init__(world.database)
        self._users = world.database.users
        self._times = times

    async def search(self, probe: FaceEmbedding, *, limit: int) -> Neighbours:
        """Search, then block."""
        found = await super().search(probe, limit=limit)
        if self._times:
            self._times -= 1
            self._users[found.nearest[0].user_id].blocked = True
        return found


async def test_a_user_who_goes_meanwhile_is_not_named(world: World) -> None:
    """A user blocked between search and commit gets no match: the search is repeated and finds the next."""
    world.database.add_user(BORIS, embedding(1.0, 0.1, 0.0))
    world.match = attrs.evolve(world.match, gallery=FickleGallery(world, times=1))
    outcome = (await run(world)).record.outcome
    assert isinstance(outcome, Matched)
    assert (outcome.user_id, outcome.comparison.gallery_size) == (BORIS, 1)
    assert [match.user_id for match in world.database.face_matches] == [BORIS]
    assert world.database.operations.count("search") == 2


async def test_users_who_keep_going_fail_the_attempt(world: World) -> None:
    """The search is not repeated for ever; what is left is another attempt, with nothing written by this one."""
    for number in range(9):
        world.database.add_user(UUID(int=100 + number), embedding(1.0, (number + 1) / 100, 0.0))
    world.match = attrs.evolve(world.match, gallery=FickleGallery(world, times=9))
    with pytest.raises(AttemptFailedError, match="kept disappearing"):
        await run(world)
    assert (world.records, world.database.photo_faces) == ([], {})


async def test_a_photo_that_goes_meanwhile_is_not_found(world: World) -> None:
    """A photo deleted while it is looked at leaves no face behind."""
    reader = world.block_vision()
    running = asyncio.create_task(run(world))
    await world.clock.advance(0)
    world.database.delete_photo(PHOTO)
    reader.opened.set()
    assert (await running).record.outcome.reason is Reason.PHOTO_NOT_FOUND
    assert world.database.photo_faces == {}


def _vision_fails(error: Exception) -> Callable[[World], None]:
    return lambda world: world.pipeline.readings.update({IMAGE: error})


def _operation_fails(name: str) -> Callable[[World], None]:
    return lambda world: world.database.failing.add(name)


@pytest.mark.parametrize(
    ("arrange", "expected"),
    [
        (lambda world: setattr(world.photos, "available", False), StorageUnavailableError),
        (_vision_fails(EmbedderCrashedError("died")), EmbedderCrashedError),
        (_vision_fails(EmbedderTimeoutError("slow")), EmbedderTimeoutError),
        *((_operation_fails(name), DatabaseUnavailableError) for name in ("recall", "search", "conclude_face")),
    ],
    ids=["storage", "crash", "timeout", "recall", "search", "conclude_face"],
)
async def test_a_fault_of_the_system_is_no_outcome(
    world: World, arrange: Callable[[World], None], expected: type[AttemptFailedError]
) -> None:
    """What is not the job's fault fails the attempt as it is, and records nothing."""
    arrange(world)
    with pytest.raises(expected):
        await run(world)
    assert (world.records, world.database.photo_faces) == ([], {})


async def test_a_face_without_the_embedding_that_was_asked_for_fails_the_attempt(world: World) -> None:
    """A pipeline that does not keep its promise is a fault of the system."""
    world.pipeline.readings[IMAGE] = reading(attrs.evolve(face(), embedding=None))
    with pytest.raises(AttemptFailedError, match="without the embedding"):
        await run(world)


@pytest.mark.parametrize("request_", [JOB, MALFORMED], ids=["job", "malformed"])
async def test_giving_up_records_the_failure(world: World, request_: MatchJob | MalformedJob) -> None:
    """A job whose attempts all failed is recorded as failed, with the last reason."""
    trace = RecordingJobTrace()
    conclusion = await world.match.give_up(world.key(), request_, Reason.EMBEDDER_CRASHED, "it died", trace)
    assert conclusion.record.outcome == Failed(Reason.EMBEDDER_CRASHED, "it died")
    assert (world.records, conclusion.repeated) == ([conclusion.record], False)


async def test_giving_up_changes_no_outcome(world: World) -> None:
    """An outcome that another delivery has recorded is not overwritten by giving up."""
    first = await run(world)
    await world.clock.advance(1)
    given_up = await world.match.give_up(first.record.key, JOB, Reason.INTERNAL_ERROR, "too late", RecordingJobTrace())
    assert given_up == Conclusion(first.record, repeated=True)
