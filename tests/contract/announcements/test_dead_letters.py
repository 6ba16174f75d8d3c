"""What any keeper of dead letters does: JetStream's, and the fake in memory."""

import asyncio

import pytest

from application.ports.announcements import DeadLetters
from domain.errors import MessagingUnavailableError
from domain.outcomes import Reason
from tests.contract.announcements.conftest import Subject
from tests.contract.announcements.records import OUTCOMES, delivery, malformed, record
from tests.fakes.announcements import DeadLetter


async def test_they_are_dead_letters(subject: Subject) -> None:
    """The adapter satisfies the port: body and headers are kept as they came, with what became of the job."""
    letters: DeadLetters = subject.dead_letters
    headers = {"X-Own": "kept", "traceparent": "00-1-2-01", "Nats-Msg-Id": "of the publisher"}
    await letters.publish(await delivery(b"\x00 no JSON", headers), malformed())
    expected = DeadLetter(b"\x00 no JSON", headers, Reason.MALFORMED_PAYLOAD, deliveries=1, sequence=1)
    assert await subject.letters() == [expected]


async def test_the_deliveries_are_counted(subject: Subject) -> None:
    """A job that failed at its last delivery says how many there were."""
    await subject.dead_letters.publish(await delivery(b"{}", number=6), record(OUTCOMES["failed"]))
    [letter] = await subject.letters()
    assert (letter.reason, letter.deliveries) == (Reason.STORAGE_UNAVAILABLE, 6)


async def test_a_job_is_buried_once(subject: Subject) -> None:
    """Buried again, by several workers at once, there is one letter; another job has its own."""
    job = await delivery(b"{}")
    await asyncio.gather(*(subject.dead_letters.publish(job, malformed(sequence=1)) for _ in range(5)))
    await subject.dead_letters.publish(job, malformed(sequence=2))
    assert len(await subject.letters()) == 2


@pytest.mark.parametrize("body", [b"", b"x" * 500_000], ids=["empty", "large"])
async def test_any_body_is_kept(subject: Subject, body: bytes) -> None:
    """Nothing at all, and half a megabyte."""
    await subject.dead_letters.publish(await delivery(body), malformed())
    [letter] = await subject.letters()
    assert letter.body == body


async def test_without_a_broker_nothing_counts_as_buried(subject: Subject) -> None:
    """Who buries hears that nothing was stored, and must not terminate the original."""
    job = await delivery(b"{}")
    subject.stop()
    with pytest.raises(MessagingUnavailableError):
        await subject.dead_letters.publish(job, malformed())
