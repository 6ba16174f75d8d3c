"""What any box of dead letters does: the stream on JetStream, and the fake in memory."""

import asyncio
from datetime import UTC, datetime, timedelta

import attrs

from application.ports.dead_letter_box import DeadLetter, DeadLetterBox, Extent
from domain.errors import MessagingUnavailableError
from domain.outcomes import Reason
from domain.records import JobRecord
from tests.contract.announcements.records import OUTCOMES, TRACEPARENT, malformed, record
from tests.contract.dead_letter_box.conftest import Subject

MANY = 70
_HEADERS = {"X-Own": "kept"}


def untraced() -> JobRecord:
    """Return the record of a failed job that was in no trace."""
    return attrs.evolve(record(OUTCOMES["failed"]), traceparent=None)


async def bury_many(subject: Subject, count: int) -> None:
    """Bury that many jobs, each with its number for a body."""
    for number in range(1, count + 1):
        await subject.bury(str(number).encode(), {}, malformed(sequence=number))


async def read(box: DeadLetterBox, *, up_to: int, since: datetime | None = None) -> list[DeadLetter]:
    """Return all letters that the box goes through."""
    return [letter async for letter in box.letters(up_to=up_to, since=since)]


async def test_it_is_a_dead_letter_box(subject: Subject) -> None:
    """The adapter satisfies the port: a letter says why the job died, and has body and headers as they came."""
    box: DeadLetterBox = subject.box
    before = datetime.now(UTC) - timedelta(seconds=1)
    await subject.bury(b"\x00 a job", _HEADERS, untraced())
    [letter] = await read(box, up_to=(await box.extent()).newest)
    assert (letter.sequence, letter.reason, letter.error) == (1, Reason.STORAGE_UNAVAILABLE, "no answer")
    assert (letter.deliveries, letter.job_sequence, letter.truncated_from) == (1, 1, None)
    assert (letter.body, letter.headers.items() >= _HEADERS.items()) == (b"\x00 a job", True)
    assert before < letter.stored_at < datetime.now(UTC) + timedelta(seconds=1)
    assert await box.find(1) == letter


async def test_a_letter_tells_the_trace_in_which_its_job_died(subject: Subject) -> None:
    """Where it was in none, there is none."""
    await subject.bury(b"1", {}, record(OUTCOMES["failed"], sequence=1))
    await subject.bury(b"2", {}, attrs.evolve(record(OUTCOMES["failed"], sequence=2), traceparent=None))
    assert [letter.traceparent for letter in await read(subject.box, up_to=2)] == [TRACEPARENT, None]


async def test_an_empty_box_holds_nothing(subject: Subject) -> None:
    """No letters, no newest one, and none to be found."""
    box = subject.box
    assert (await box.extent(), await read(box, up_to=100)) == (Extent(0, 0), [])
    assert (await box.find(1), await box.discard(1)) == (None, False)


async def test_all_letters_are_gone_through_in_order(subject: Subject) -> None:
    """More than are read at a time, with holes of every size between them, up to the one that is named."""
    await bury_many(subject, MANY)
    for sequence in (1, 2, *range(5, 50), MANY):
        assert await subject.box.discard(sequence)
    left = [3, 4, *range(50, MANY)]
    letters = await read(subject.box, up_to=(await subject.box.extent()).newest)
    assert [(letter.sequence, letter.body) for letter in letters] == [(n, str(n).encode()) for n in left]
    assert [letter.sequence for letter in await read(subject.box, up_to=51)] == [3, 4, 50, 51]
    assert [letter.sequence async for letter in subject.box.letters(after=4, up_to=51)] == [50, 51]
    assert await subject.box.extent() == Extent(len(left), MANY)


async def test_letters_of_earlier_times_are_passed_over(subject: Subject) -> None:
    """From the given time on all are there: the one of that very time, and those after it."""
    await bury_many(subject, 9)
    everything = await read(subject.box, up_to=9)
    for wanted in (1, 4, 9):
        since = everything[wanted - 1].stored_at
        found = await read(subject.box, up_to=9, since=since)
        assert [letter.sequence for letter in found] == list(range(wanted, 10))
    assert await read(subject.box, up_to=9, since=datetime.now(UTC) + timedelta(days=1)) == []


async def test_a_letter_is_sent_again_once(subject: Subject) -> None:
    """The queue gets body and headers; the same again by mistake is no other job; the letter itself stays."""
    await subject.bury(b"a job", _HEADERS, untraced())
    [letter] = await read(subject.box, up_to=1)
    assert [await subject.box.send_again(letter) for _ in range(3)] == [True, False, False]
    [delivery] = await subject.queue.fetch(5, timeout_seconds=5)
    assert (delivery.body, delivery.headers.items() >= _HEADERS.items()) == (b"a job", True)
    assert await subject.box.find(1) == letter


async def test_a_letter_is_discarded_once(subject: Subject) -> None:
    """Afterwards it is not there, and its number is given to no other."""
    await bury_many(subject, 2)
    assert [await subject.box.discard(2), await subject.box.discard(2)] == [True, False]
    assert (await subject.box.find(2), await subject.box.extent()) == (None, Extent(1, 2))


async def test_without_a_broker_nothing_is_told_or_done(subject: Subject) -> None:
    """Whatever is asked for fails, and says so."""
    await bury_many(subject, 1)
    [letter] = await read(subject.box, up_to=1)
    subject.stop()
    box = subject.box
    attempts = (box.extent(), box.find(1), box.send_again(letter), box.discard(1), read(box, up_to=1))
    ends = await asyncio.gather(*attempts, return_exceptions=True)
    assert [type(end) for end in ends] == [MessagingUnavailableError] * 5
