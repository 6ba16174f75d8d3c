"""What any publisher of result events does: JetStream's, and the fake in memory."""

import asyncio
import json
from pathlib import Path

import attrs
import pytest
from jsonschema import Draft202012Validator

from application.ports.announcements import ResultPublisher
from domain.errors import MessagingUnavailableError
from domain.outcomes import OutcomeKind
from tests.contract.announcements.conftest import Subject
from tests.contract.announcements.records import OUTCOMES, malformed, record

SCHEMA = {
    **json.loads(Path("docs/reference/schemas/result-event.json").read_text()),
    "additionalProperties": False,
}


async def test_it_is_a_result_publisher(subject: Subject) -> None:
    """The adapter satisfies the port."""
    publisher: ResultPublisher = subject.results
    await publisher.publish(record())
    [(kind, body)] = await subject.events()
    assert (kind, body["outcome"], body["reason"]) == (OutcomeKind.SKIPPED, "skipped", "no_face")


async def test_the_same_record_again_is_the_same_event(subject: Subject) -> None:
    """Published twice, and by several at once, an event is stored once."""
    await subject.results.publish(record())
    await asyncio.gather(*(subject.results.publish(record()) for _ in range(10)))
    assert len(await subject.events()) == 1


async def test_two_jobs_for_one_photo_are_two_events(subject: Subject) -> None:
    """The identity is the job's: neither the photo's nor the publisher's ``job_id``."""
    await subject.results.publish(record(sequence=1))
    await subject.results.publish(record(sequence=2))
    assert len(await subject.events()) == 2


@pytest.mark.parametrize("name", OUTCOMES)
async def test_every_outcome_is_told_as_published(subject: Subject, name: str) -> None:
    """An event says what its schema says, on the subject of its outcome."""
    await subject.results.publish(record(OUTCOMES[name]))
    [(kind, body)] = await subject.events()
    Draft202012Validator(SCHEMA).validate(body)
    assert (kind, body["outcome"]) == (OUTCOMES[name].kind, OUTCOMES[name].kind.value)


async def test_a_match_is_told_in_full(subject: Subject) -> None:
    """Who, which rows, how near, and where; UUIDs in small letters, the time in UTC."""
    await subject.results.publish(record(OUTCOMES["matched"]))
    [(_, body)] = await subject.events()
    assert body == {
        "job_id": "00000000-0000-0000-0000-000000000009",
        "photo_id": "00000000-0000-0000-0000-000000000001",
        "face_index": 3,
        "outcome": "matched",
        "reason": None,
        "user_id": "00000000-0000-0000-0000-000000000015",
        "photo_face_id": "00000000-0000-0000-0000-00000000001f",
        "match_id": "00000000-0000-0000-0000-000000000029",
        "distance": 0.031,
        "threshold": 0.07,
        "embedder": "dlib@2",
        "bbox": {"x1": 1.5, "y1": 2.0, "x2": 30.25, "y2": 40.0},
        "occurred_at": "2026-01-02T03:04:05.678901Z",
    }


async def test_a_malformed_job_is_told_too(subject: Subject) -> None:
    """What could not be read is null."""
    await subject.results.publish(malformed())
    [(_, body)] = await subject.events()
    Draft202012Validator(SCHEMA).validate(body)
    assert (body["reason"], body["photo_id"], body["face_index"]) == ("malformed_payload", None, None)


async def test_a_whole_second_is_a_time(subject: Subject) -> None:
    """A time without a fraction satisfies the schema as well."""
    whole = attrs.evolve(record(), occurred_at=record().occurred_at.replace(microsecond=0))
    await subject.results.publish(whole)
    [(_, body)] = await subject.events()
    Draft202012Validator(SCHEMA).validate(body)
    assert body["occurred_at"] == "2026-01-02T03:04:05Z"


async def test_without_a_broker_nothing_counts_as_published(subject: Subject) -> None:
    """The event is not lost in silence."""
    subject.stop()
    with pytest.raises(MessagingUnavailableError):
        await subject.results.publish(record())
