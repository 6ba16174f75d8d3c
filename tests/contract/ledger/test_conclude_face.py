"""What any ledger writes of a face that was read, whoever else works on the same photo."""

import asyncio
from collections.abc import Callable
from uuid import UUID, uuid4

import pytest

from application.ports.ledger import CandidateGoneError, FaceResult
from domain.decision import Accepted, NobodyEnrolled, Unknown
from domain.faces import BoundingBox
from domain.outcomes import Reason
from domain.records import Failed, Matched, SeenFace, Skipped
from tests.contract.ledger.conftest import Subject
from tests.contract.ledger.jobs import (
    BOX,
    NEAR,
    TEMPLATE,
    accepted,
    embedding,
    header,
    key,
    later,
    nobody,
    record,
    recorded,
    unknown,
)
from tests.tables import Tables


def person(tables: Tables) -> UUID:
    """Insert a user who is enrolled."""
    return tables.add_user(uuid4(), TEMPLATE)


async def test_a_match_is_written_and_recorded(subject: Subject) -> None:
    """One face, one match with the distance, and a record that names both."""
    photo, user = subject.tables.add_photo(uuid4()), person(subject.tables)
    job = header(photo, face_index=3)
    told = await subject.ledger.conclude_face(job, accepted(user))
    [face], [match] = subject.tables.faces(), subject.tables.matches()
    assert (face.photo_id, face.face_index, face.box) == (photo, 3, BOX)
    assert face.embedding == embedding(1.0, 0.5)
    assert (match.photo_face_id, match.user_id, match.confidence) == (face.id, user, NEAR.distance)
    assert told.outcome == Matched(user, match.id, SeenFace(face.id, BOX), NEAR)
    assert await recorded(subject.ledger, job.key) == told
    assert (await subject.ledger.recall(key(), photo)).already_matched is True


@pytest.mark.parametrize(("result", "reason"), [(unknown(), Reason.NO_MATCH), (nobody(), Reason.NO_ENROLLED_USERS)])
async def test_without_a_match_the_face_is_written(subject: Subject, result: FaceResult, reason: Reason) -> None:
    """The face is kept, nobody is named, and the record tells of the comparison where there was one."""
    photo = subject.tables.add_photo(uuid4())
    job = header(photo)
    told = await subject.ledger.conclude_face(job, result)
    [face] = subject.tables.faces()
    assert (face.embedding, face.box, subject.tables.matches()) == (result.embedding, BOX, [])
    assert isinstance(told.outcome, Skipped)
    assert (told.outcome.reason, told.outcome.face) == (reason, SeenFace(face.id, BOX))
    match result.decision:
        case Unknown(comparison=comparison):
            assert told.outcome.comparison == comparison
        case NobodyEnrolled():
            assert told.outcome.comparison is None
    assert await recorded(subject.ledger, job.key) == told


async def test_a_new_job_replaces_the_face_of_that_index(subject: Subject) -> None:
    """The row keeps its id; embedding and box are the new ones; another index is another row."""
    photo = subject.tables.add_photo(uuid4())
    await subject.ledger.conclude_face(header(photo), unknown())
    [before] = subject.tables.faces()
    elsewhere = BoundingBox(5.0, 6.0, 7.0, 8.0)
    await subject.ledger.conclude_face(header(photo), unknown(embedding(0.0, 0.0, 1.0), elsewhere))
    await subject.ledger.conclude_face(header(photo, face_index=2147483647), unknown())
    [after, other] = subject.tables.faces()
    assert (after.id, after.embedding, after.box) == (before.id, embedding(0.0, 0.0, 1.0), elsewhere)
    assert (other.face_index, other.embedding) == (2147483647, embedding(1.0, 0.5))


async def test_a_redelivery_repeats_the_outcome_and_changes_nothing(subject: Subject) -> None:
    """Whatever the second attempt saw, the first one's record stands."""
    photo, user = subject.tables.add_photo(uuid4()), person(subject.tables)
    job = header(photo)
    first = await subject.ledger.conclude_face(job, unknown())
    rows = subject.tables.faces()
    again = header(photo, job=job.key, occurred_at=later(60))
    assert await subject.ledger.conclude_face(again, accepted(user, embedding(0.0, 1.0))) == first
    assert (subject.tables.faces(), subject.tables.matches()) == (rows, [])


async def test_a_job_that_was_given_up_writes_nothing_later(subject: Subject) -> None:
    """A worker that comes back from the dead is told that its job has failed meanwhile."""
    photo, user = subject.tables.add_photo(uuid4()), person(subject.tables)
    failed = record(Failed(Reason.EMBEDDER_TIMEOUT, "gave up"), photo_id=photo)
    await subject.ledger.conclude(failed)
    assert await subject.ledger.conclude_face(header(photo, job=failed.key), accepted(user)) == failed
    assert (subject.tables.faces(), subject.tables.matches()) == ([], [])


async def test_a_new_job_for_a_matched_photo_writes_nothing(subject: Subject) -> None:
    """Its outcome is already_matched, without a face, and the rows are the first job's, whatever the index."""
    photo, user = subject.tables.add_photo(uuid4()), person(subject.tables)
    await subject.ledger.conclude_face(header(photo), accepted(user))
    rows = subject.tables.faces(), subject.tables.matches()
    for index in (0, 1):
        told = await subject.ledger.conclude_face(header(photo, face_index=index), accepted(user, embedding(0.5, 0.5)))
        assert isinstance(told.outcome, Skipped)
        assert (told.outcome.reason, told.outcome.face) == (Reason.ALREADY_MATCHED, None)
    assert (subject.tables.faces(), subject.tables.matches()) == rows


async def test_of_many_jobs_for_one_photo_exactly_one_matches(subject: Subject) -> None:
    """The others find it matched; one face and one match are written; other photos are not held up."""
    photo, other = subject.tables.add_photo(uuid4()), subject.tables.add_photo(uuid4())
    user = person(subject.tables)
    jobs = [header(photo, face_index=number % 3) for number in range(10)]
    told = await asyncio.gather(
        subject.ledger.conclude_face(header(other), accepted(user)),
        *(subject.ledger.conclude_face(job, accepted(user)) for job in jobs),
    )
    outcomes = sorted(each.outcome.reason or each.outcome.kind for each in told[1:])
    assert outcomes == [Reason.ALREADY_MATCHED] * 9 + ["matched"]
    assert told[0].outcome.kind == "matched"
    assert sorted(face.photo_id for face in subject.tables.faces()) == sorted([photo, other])
    assert len(subject.tables.matches()) == 2


async def test_of_many_deliveries_of_one_job_all_tell_the_same(subject: Subject) -> None:
    """They write once, and everyone is told of the record that stands."""
    photo, user = subject.tables.add_photo(uuid4()), person(subject.tables)
    job = key()
    told = await asyncio.gather(
        *(
            subject.ledger.conclude_face(header(photo, job=job, occurred_at=later(number)), accepted(user))
            for number in range(10)
        )
    )
    assert told == [await recorded(subject.ledger, job)] * 10
    assert (len(subject.tables.faces()), len(subject.tables.matches())) == (1, 1)


@pytest.mark.parametrize("result", [accepted(uuid4()), unknown(), nobody()], ids=["accepted", "unknown", "nobody"])
async def test_a_photo_that_was_deleted_meanwhile_is_not_found(subject: Subject, result: FaceResult) -> None:
    """That is the recorded outcome, even where the user is gone as well, and nothing is written."""
    photo = subject.tables.add_photo(uuid4())
    subject.tables.delete_photo(photo)
    job = header(photo)
    told = await subject.ledger.conclude_face(job, result)
    assert isinstance(told.outcome, Skipped)
    assert (told.outcome.reason, told.outcome.face) == (Reason.PHOTO_NOT_FOUND, None)
    assert await recorded(subject.ledger, job.key) == told
    assert subject.tables.faces() == []


@pytest.mark.parametrize(
    "leave",
    [
        lambda tables, user: tables.delete_user(user),
        lambda tables, user: tables.mark_user(user, deleted=True),
        lambda tables, user: tables.mark_user(user, blocked=True),
        lambda tables, user: tables.write_embedding(user, "model@2", (1.0, 0.0, 0.0, 0.0)),
        lambda tables, user: tables.write_embedding(user, None, (1.0, 0.0, 0.0, 0.0)),
        lambda tables, user: tables.write_embedding(user, "model@1", None),
    ],
    ids=["deleted row", "deleted_at", "blocked", "another model", "unknown model", "no embedding"],
)
async def test_a_user_who_is_no_candidate_any_more_is_not_named(
    subject: Subject, leave: Callable[[Tables, UUID], None]
) -> None:
    """The caller has to search again; nothing is written or recorded, and the job can still end otherwise."""
    photo, user = subject.tables.add_photo(uuid4()), person(subject.tables)
    leave(subject.tables, user)
    job = header(photo)
    with pytest.raises(CandidateGoneError):
        await subject.ledger.conclude_face(job, accepted(user))
    assert (subject.tables.faces(), await recorded(subject.ledger, job.key)) == ([], None)
    assert (await subject.ledger.conclude_face(job, unknown())).outcome.reason is Reason.NO_MATCH


async def test_a_user_is_named_by_the_template_that_was_compared_alone(subject: Subject) -> None:
    """Who was enrolled anew since the search, with the same model, is searched for again; the same template is found.

    A template that was wrong names nobody once `facematch enroll` has replaced it.
    """
    photo, user = subject.tables.add_photo(uuid4()), person(subject.tables)
    job = header(photo)

    async def result() -> FaceResult:
        [nearest] = (await subject.gallery.search(TEMPLATE, limit=1)).nearest
        return FaceResult(embedding(1.0, 0.5), BOX, Accepted(nearest.user_id, NEAR, nearest.template))

    before = await result()
    subject.tables.write_embedding(user, TEMPLATE.model, embedding(1.0, 0.0078125).vector)
    with pytest.raises(CandidateGoneError):
        await subject.ledger.conclude_face(job, before)
    assert (subject.tables.faces(), await recorded(subject.ledger, job.key)) == ([], None)
    assert (await subject.ledger.conclude_face(job, await result())).outcome.user_id == user
