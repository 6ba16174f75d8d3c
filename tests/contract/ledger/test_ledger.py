"""What any ledger remembers of jobs that write no face."""

import asyncio
from datetime import UTC, datetime
from uuid import UUID, uuid4

import attrs
import pytest

from application.ports.ledger import Attempt, Ledger, Outbox, Recollection
from domain.errors import DatabaseUnavailableError
from domain.jobs import JobKey
from domain.outcomes import Reason
from domain.records import Failed, JobHeader, Skipped
from tests.contract.ledger.conftest import Subject
from tests.contract.ledger.jobs import NOON, accepted, header, key, later, record, recorded, unknown

ODD_TEXT = "„ñaïve“ \N{PILE OF POO} 'quoted' \"twice\" %s {brace} \\backslash\r\n\ttab"


def test_it_is_a_ledger_and_an_outbox(subject: Subject) -> None:
    """The adapter satisfies both ports."""
    ledger: Ledger = subject.ledger
    outbox: Outbox = subject.ledger
    assert (ledger, outbox) == (subject.ledger, subject.ledger)


async def test_of_a_new_job_for_an_unknown_photo_nothing_is_known(subject: Subject) -> None:
    """Neither an outcome, nor the photo, nor a match."""
    job = key()
    assert await subject.ledger.recall(job, uuid4()) == Recollection(None, photo_exists=False, already_matched=False)


async def test_a_photo_of_the_application_is_known(subject: Subject) -> None:
    """A row of ``photos`` is all that it takes."""
    photo = subject.tables.add_photo(uuid4())
    assert await subject.ledger.recall(key(), photo) == Recollection(None, photo_exists=True, already_matched=False)


async def test_a_match_by_anybody_counts(subject: Subject) -> None:
    """A photo that the application matched itself is matched, whatever the face's index."""
    photo, user = subject.tables.add_photo(uuid4()), subject.tables.add_user(uuid4())
    other = subject.tables.add_photo(uuid4())
    for each in (photo, other):
        await subject.ledger.conclude_face(header(each, face_index=7), unknown())
    [face] = [face for face in subject.tables.faces() if face.photo_id == photo]
    subject.tables.add_match(face.id, user)
    assert (await subject.ledger.recall(key(), photo)).already_matched is True
    assert (await subject.ledger.recall(key(), other)).already_matched is False


@pytest.mark.parametrize(
    "outcome",
    [
        Skipped(Reason.MALFORMED_PAYLOAD, "required field missing @ $.photo_id"),
        Skipped(Reason.PHOTO_NOT_FOUND),
        Skipped(Reason.IMAGE_NOT_FOUND, ODD_TEXT),
        Failed(Reason.STORAGE_UNAVAILABLE, "connection refused"),
        Failed(Reason.INTERNAL_ERROR, ODD_TEXT),
    ],
    ids=lambda outcome: f"{outcome.kind}-{outcome.reason}",
)
async def test_a_record_comes_back_as_it_went_in(subject: Subject, outcome: Skipped | Failed) -> None:
    """Every field of an outcome survives, its text to the last odd character."""
    given = attrs.evolve(record(outcome), job_id=uuid4(), traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01")
    assert await subject.ledger.conclude(given) == given
    assert await recorded(subject.ledger, given.key) == given


async def test_what_is_not_known_of_a_malformed_job_stays_unknown(subject: Subject) -> None:
    """A record without photo, face index, job id and trace comes back without them."""
    given = JobHeader(key(), NOON, "model@1", "worker-1").record(Skipped(Reason.MALFORMED_PAYLOAD, "not JSON"))
    await subject.ledger.conclude(given)
    assert await recorded(subject.ledger, given.key) == given


async def test_times_come_back_in_utc_to_the_microsecond(subject: Subject) -> None:
    """They read the same as they were given, so that an event that is published again has the same body."""
    given = record(job=JobKey(2**63 - 1, datetime(1999, 12, 31, 23, 59, 59, 999999, UTC)), occurred_at=later(0.000001))
    await subject.ledger.conclude(given)
    found = await recorded(subject.ledger, given.key)
    assert found is not None
    assert found.occurred_at.isoformat() == given.occurred_at.isoformat()
    assert (found.key.stored_at.isoformat(), str(found.key)) == (given.key.stored_at.isoformat(), str(given.key))


@pytest.mark.parametrize("bad", ["\x00", "\ud800", "\udfff\x00"], ids=["NUL", "surrogate", "both"])
async def test_characters_that_no_text_can_hold_stop_nothing(subject: Subject, bad: str) -> None:
    """The record and the attempt are kept, and what is around those characters can be read."""
    given = record(Skipped(Reason.MALFORMED_PAYLOAD, f"before{bad}after"))
    await subject.ledger.conclude(given)
    attempt = Attempt(given.key, 1, Reason.INTERNAL_ERROR, f"before{bad}after", "worker-1", NOON)
    await subject.ledger.note_attempt(attempt)
    found = await recorded(subject.ledger, given.key)
    [kept] = await subject.ledger.attempts(given.key)
    assert found is not None
    assert isinstance(found.outcome, Skipped)
    for text in (found.outcome.detail, kept.detail):
        assert text.startswith("before")
        assert text.endswith("after")


async def test_the_first_outcome_stands(subject: Subject) -> None:
    """Another outcome of the same job changes nothing, and is told what stands."""
    first = record()
    await subject.ledger.conclude(first)
    second = record(Failed(Reason.INTERNAL_ERROR, "too late"), job=first.key, occurred_at=later(60))
    assert await subject.ledger.conclude(second) == first
    assert await recorded(subject.ledger, first.key) == first


async def test_of_many_at_once_one_outcome_stands(subject: Subject) -> None:
    """Everyone who concludes the same job is told of the same record."""
    job = key()
    given = [record(Skipped(Reason.NO_FACE, f"attempt {number}"), job=job) for number in range(10)]
    told = await asyncio.gather(*map(subject.ledger.conclude, given))
    assert told[0] in given
    assert told == [await recorded(subject.ledger, job)] * 10


async def test_a_number_that_comes_again_in_another_stream_is_another_job(subject: Subject) -> None:
    """A stream that was made anew counts from 1 again; the time of storage tells the jobs apart."""
    old, new = record(job=JobKey(1, NOON)), record(job=JobKey(1, later(3600)))
    assert [await subject.ledger.conclude(each) for each in (old, new)] == [old, new]
    assert [await recorded(subject.ledger, each.key) for each in (old, new)] == [old, new]


async def test_attempts_are_kept_once_for_each_delivery(subject: Subject) -> None:
    """The first note of a delivery stays; they come back by delivery, and only this job's."""
    job, photo = key(), uuid4()
    second = Attempt(job, 2, Reason.STORAGE_UNAVAILABLE, "timed out", "worker-2", later(5), photo)
    first = Attempt(job, 1, Reason.EMBEDDER_CRASHED, ODD_TEXT, "worker-1", NOON)
    again = attrs.evolve(first, detail="the same delivery once more", occurred_at=later(9))
    other = attrs.evolve(first, key=key())
    given_back = attrs.evolve(first, delivery=3, reason=None)
    for attempt in (given_back, second, first, again, other):
        await subject.ledger.note_attempt(attempt)
    assert list(await subject.ledger.attempts(job)) == [first, second, given_back]
    assert list(await subject.ledger.attempts(key())) == []


async def test_a_photos_attempts_are_told_job_by_job(subject: Subject) -> None:
    """The newest job first, of two at the same time the later in the stream; each by delivery, no other photo's."""
    photo = uuid4()
    jobs = [key(later(seconds)) for seconds in (10, 30, 20, 20)]
    given = [
        Attempt(job, delivery, Reason.STORAGE_UNAVAILABLE, ODD_TEXT, "worker-1", later(60 - delivery), photo)
        for delivery in (2, 1)
        for job in jobs
    ]
    others = [attrs.evolve(given[0], key=key(), photo_id=other) for other in (uuid4(), None)]
    for attempt in (*given, *others):
        await subject.ledger.note_attempt(attempt)
    expected = [given[place] for place in (5, 1, 7, 3, 6, 2, 4, 0)]
    assert list(await subject.ledger.attempts_on(photo)) == expected
    assert list(await subject.ledger.attempts_on(uuid4())) == []


async def test_a_photos_history_begins_with_the_job_that_ended_last(subject: Subject) -> None:
    """Every job for that photo and none for another; of two at the same time the later in the stream comes first."""
    photo = uuid4()
    records = [record(photo_id=photo, occurred_at=later(seconds)) for seconds in (10, 30, 20, 20)]
    for each in (*records, record()):
        await subject.ledger.conclude(each)
    assert list(await subject.ledger.history(photo)) == [records[1], records[3], records[2], records[0]]
    assert list(await subject.ledger.history(uuid4())) == []


async def test_without_its_database_every_method_says_so(subject: Subject) -> None:
    """The one error of the port, from each of them."""
    await subject.stop()
    ledger, job, photo = subject.ledger, key(), UUID(int=1)
    for call in (
        lambda: ledger.recall(job, photo),
        lambda: ledger.conclude(record(job=job)),
        lambda: ledger.conclude_face(header(photo, job=job), accepted(photo)),
        lambda: ledger.note_attempt(Attempt(job, 1, Reason.INTERNAL_ERROR, "", "worker-1", NOON)),
        lambda: ledger.attempts(job),
        lambda: ledger.attempts_on(photo),
        lambda: ledger.history(photo),
        lambda: ledger.unpublished(older_than_seconds=0, limit=1),
        lambda: ledger.mark_published([job]),
    ):
        with pytest.raises(DatabaseUnavailableError):
            await call()
