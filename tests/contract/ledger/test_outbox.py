"""What any ledger does as the outbox of events that are still to be published."""

from uuid import uuid4

import pytest

from domain.outcomes import Reason
from domain.records import Failed, Skipped
from tests.contract.ledger.conftest import Subject
from tests.contract.ledger.jobs import accepted, embedding, header, key, record, recorded

AGES = 3600.0


async def test_what_was_recorded_is_to_be_published_oldest_first(subject: Subject) -> None:
    """Every outcome has its event, in the order in which the outcomes were recorded."""
    photo, user = subject.tables.add_photo(uuid4()), subject.tables.add_user(uuid4(), embedding(1.0))
    recorded = [
        await subject.ledger.conclude(record(Failed(Reason.INTERNAL_ERROR, "defect"))),
        await subject.ledger.conclude_face(header(photo), accepted(user)),
        await subject.ledger.conclude(record(Skipped(Reason.MALFORMED_PAYLOAD, "not JSON"))),
    ]
    assert list(await subject.ledger.unpublished(older_than_seconds=0, limit=10)) == recorded


@pytest.mark.parametrize("limit", [1, 2])
async def test_no_more_come_than_are_asked_for(subject: Subject, limit: int) -> None:
    """The oldest come first."""
    recorded = [await subject.ledger.conclude(record()) for _ in range(3)]
    assert list(await subject.ledger.unpublished(older_than_seconds=0, limit=limit)) == recorded[:limit]


async def test_what_was_recorded_just_now_is_left_to_its_worker(subject: Subject) -> None:
    """Only records of a certain age are taken for orphans."""
    await subject.ledger.conclude(record())
    assert list(await subject.ledger.unpublished(older_than_seconds=AGES, limit=10)) == []


async def test_what_is_marked_comes_no_more(subject: Subject) -> None:
    """Marking again, or marking what is not there, does no harm; the rest still comes."""
    first, second, third = [await subject.ledger.conclude(record()) for _ in range(3)]
    await subject.ledger.mark_published([first.key, third.key])
    await subject.ledger.mark_published([first.key, key()])
    await subject.ledger.mark_published([])
    assert list(await subject.ledger.unpublished(older_than_seconds=0, limit=10)) == [second]
    assert await recorded(subject.ledger, first.key) == first


async def test_a_repeated_outcome_is_not_published_again(subject: Subject) -> None:
    """A redelivery of a job whose event was published brings no event back."""
    first = await subject.ledger.conclude(record())
    await subject.ledger.mark_published([first.key])
    await subject.ledger.conclude(record(Failed(Reason.INTERNAL_ERROR, "too late"), job=first.key))
    assert list(await subject.ledger.unpublished(older_than_seconds=0, limit=10)) == []
