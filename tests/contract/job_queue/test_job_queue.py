"""What any queue of jobs does: JetStream's durable consumer, and the fake in memory."""

import asyncio
import time
from collections.abc import Sequence

import pytest

from application.ports.job_queue import Delivery, JobQueue
from domain.errors import MessagingUnavailableError
from tests.contract.job_queue.conftest import Subject

SOON = 5.0
"""Far more seconds than anything takes that need not wait, on a busy machine too."""

LONG = 60.0


async def one(queue: JobQueue, timeout_seconds: float = SOON) -> Delivery:
    """Return the one delivery that comes."""
    [delivery] = await queue.fetch(1, timeout_seconds=timeout_seconds)
    return delivery


async def nothing_more(subject: Subject) -> bool:
    """Tell whether nothing is delivered even after everybody's time to acknowledge is over."""
    return list(await subject.queue.fetch(10, timeout_seconds=1.6 * subject.ack_wait)) == []


def bodies(deliveries: Sequence[Delivery]) -> list[bytes]:
    """Return what was delivered."""
    return [delivery.body for delivery in deliveries]


async def test_it_is_a_job_queue(subject: Subject) -> None:
    """The adapter satisfies the port, and so do its deliveries."""
    queue: JobQueue = subject.queue
    await subject.given(b"a job", color="red")
    delivery: Delivery = await one(queue)
    assert (delivery.body, delivery.number, delivery.headers["color"]) == (b"a job", 1, "red")
    await delivery.ack()


async def test_trace_contexts_are_found_however_headers_are_written(subject: Subject) -> None:
    """That of the sender, and that of the job that is sent again, each by W3C's names; nothing else is among them."""
    sender = {"Traceparent": "the sender's", "TRACESTATE": "a=b", "baggage": "user=anna"}
    original = {"Facematch-Original-Traceparent": "the original's", "facematch-original-tracestate": "c=d"}
    await subject.publish(b"sent again", {**sender, **original})
    await subject.given(b"new")
    again, new = await subject.queue.fetch(2, timeout_seconds=SOON)
    assert again.trace_context == {"traceparent": "the sender's", "tracestate": "a=b"}
    assert again.replayed_trace_context == {"traceparent": "the original's", "tracestate": "c=d"}
    assert (new.trace_context, new.replayed_trace_context) == ({}, {})


async def test_what_there_is_comes_at_once(subject: Subject) -> None:
    """A fetch for more than there is does not wait for the rest."""
    await subject.given(b"1", b"2", b"3")
    async with asyncio.timeout(SOON):
        deliveries = await subject.queue.fetch(10, timeout_seconds=LONG)
    assert bodies(deliveries) == [b"1", b"2", b"3"]


@pytest.mark.parametrize("limit", [1, 10])
async def test_the_first_that_comes_ends_the_wait(subject: Subject, limit: int) -> None:
    """A job that is published during a fetch is delivered by it, at once."""
    fetch = asyncio.create_task(subject.queue.fetch(limit, timeout_seconds=LONG))
    await asyncio.wait({fetch}, timeout=0.2)
    await subject.given(b"late")
    async with asyncio.timeout(SOON):
        assert bodies(await fetch) == [b"late"]


@pytest.mark.parametrize("limit", [1, 10])
async def test_without_jobs_a_fetch_ends_empty_after_its_time(subject: Subject, limit: int) -> None:
    """None come, and not before the time is over."""
    started = time.monotonic()
    assert list(await subject.queue.fetch(limit, timeout_seconds=0.3)) == []
    assert time.monotonic() - started >= 0.29


async def test_a_fetch_stays_within_its_limit(subject: Subject) -> None:
    """No more come than were asked for; the others come next, in order."""
    await subject.given(b"1", b"2", b"3", b"4", b"5")
    first = await subject.queue.fetch(2, timeout_seconds=SOON)
    rest = await subject.queue.fetch(10, timeout_seconds=SOON)
    assert (bodies(first), bodies(rest)) == ([b"1", b"2"], [b"3", b"4", b"5"])


async def test_every_message_has_a_key_of_its_own(subject: Subject) -> None:
    """The same body twice is two jobs, numbered in the order in which they were stored."""
    await subject.given(b"same", b"same")
    first, second = [delivery.key for delivery in await subject.queue.fetch(2, timeout_seconds=SOON)]
    assert first.sequence + 1 == second.sequence
    assert first.stored_at <= second.stored_at


@pytest.mark.parametrize("body", [b"", b"\x00\xff", b"x" * 300_000], ids=["empty", "binary", "large"])
async def test_any_body_comes_whole(subject: Subject, body: bytes) -> None:
    """What is no job at all is delivered as it is: somebody has to judge it."""
    await subject.given(body)
    assert (await one(subject.queue)).body == body


async def test_headers_of_the_protocol_are_just_headers(subject: Subject) -> None:
    """A job that carries a ``Status``, as the broker's own messages do, is a job."""
    await subject.given(b"a job", Status="404", Description="No Messages")
    assert (await one(subject.queue)).headers["Status"] == "404"


async def test_an_acknowledged_job_is_not_delivered_again(forgetful: Subject) -> None:
    """Done is done."""
    await forgetful.given(b"done")
    await (await one(forgetful.queue)).ack()
    assert await nothing_more(forgetful)


async def test_a_terminated_job_is_not_delivered_again(forgetful: Subject) -> None:
    """Whatever characters the reason is made of."""
    await forgetful.given(b"hopeless")
    await (await one(forgetful.queue)).terminate('a\nb\x00 é "q" {\ud800')
    assert await nothing_more(forgetful)


async def test_a_job_without_a_sign_of_life_is_delivered_again(forgetful: Subject) -> None:
    """The same job, counted."""
    await forgetful.given(b"forgotten")
    first = await one(forgetful.queue)
    second = await one(forgetful.queue, LONG)
    assert (second.key, second.body, second.number) == (first.key, first.body, first.number + 1)


async def test_a_job_that_is_given_back_comes_at_once(subject: Subject) -> None:
    """No delay, no wait."""
    await subject.given(b"again")
    first = await one(subject.queue)
    await first.retry(after_seconds=0)
    second = await one(subject.queue)
    assert (second.key, second.number) == (first.key, 2)


async def test_a_job_that_is_given_back_for_a_while_comes_after_it(subject: Subject) -> None:
    """Not before the delay is over, although others come meanwhile."""
    await subject.given(b"later", b"now")
    first = await one(subject.queue)
    given_back = time.monotonic()
    await first.retry(after_seconds=3)
    other = await one(subject.queue)
    assert other.body == b"now"
    await other.ack()
    second = await one(subject.queue, LONG)
    assert (second.key, second.number) == (first.key, 2)
    assert time.monotonic() - given_back >= 2.9


async def test_signs_of_life_keep_a_job(bearable: Subject) -> None:
    """A job in hand is delivered to nobody else, however long it takes."""
    await bearable.given(b"slow")
    delivery = await one(bearable.queue)
    for _ in range(8):
        assert list(await bearable.another.fetch(1, timeout_seconds=0.15 * bearable.ack_wait)) == []
        await delivery.keep_alive()
    await delivery.ack()
    assert await nothing_more(bearable)


async def test_a_late_acknowledgement_counts(forgetful: Subject) -> None:
    """Who is late but done ends the job, also when it has been delivered to another meanwhile."""
    await forgetful.given(b"slow")
    first = await one(forgetful.queue)
    await one(forgetful.another, LONG)
    await first.ack()
    assert await nothing_more(forgetful)


async def test_a_late_return_counts(bearable: Subject) -> None:
    """Who gives a job back late has it delivered once more, also when another has it in hand meanwhile."""
    await bearable.given(b"slow")
    first = await one(bearable.queue)
    second = await one(bearable.another, LONG)
    await first.retry(after_seconds=0)
    async with asyncio.timeout(0.9 * bearable.ack_wait):
        third = await one(bearable.queue)
    assert (third.key, third.number) == (second.key, second.number + 1)


async def test_workers_share_the_jobs(subject: Subject) -> None:
    """Each job goes to one of them."""
    expected = [b"%d" % number for number in range(40)]
    await subject.given(*expected)
    taken: list[bytes] = []

    async def work(queue: JobQueue) -> None:
        while len(taken) < len(expected):
            taken.extend(bodies(await queue.fetch(7, timeout_seconds=0.3)))

    await asyncio.gather(work(subject.queue), work(subject.another))
    assert list(await subject.queue.fetch(7, timeout_seconds=0.3)) == []
    assert sorted(taken) == sorted(expected)


async def test_a_cancelled_fetch_keeps_no_job(subject: Subject) -> None:
    """What is published after a fetch was cancelled goes to others, or comes from the close: none is lost or hidden."""
    fetch = asyncio.create_task(subject.queue.fetch(5, timeout_seconds=LONG))
    await asyncio.wait({fetch}, timeout=0.2)
    fetch.cancel()
    await asyncio.wait({fetch})
    await subject.given(b"1", b"2")
    left = await subject.queue.close()
    for delivery in left:
        await delivery.retry(after_seconds=0)
    async with asyncio.timeout(0.7 * subject.ack_wait):
        taken = [await one(subject.another), await one(subject.another)]
    assert sorted(bodies(taken)) == [b"1", b"2"]
    assert sorted(delivery.body for delivery in taken if delivery.number > 1) == bodies(left)


async def test_nothing_is_left_by_a_fetch_that_ended(subject: Subject) -> None:
    """What was returned once is not returned again when the queue is closed."""
    await subject.given(b"a job")
    await one(subject.queue)
    assert list(await subject.queue.close()) == []


async def test_what_a_closed_queue_gives_back_goes_to_others(subject: Subject) -> None:
    """A worker that stops while it asks for more gets nothing any more, least of all its own jobs again."""
    await subject.given(b"in hand")
    in_hand = await one(subject.queue)
    fetch = asyncio.create_task(subject.queue.fetch(5, timeout_seconds=LONG))
    await asyncio.wait({fetch}, timeout=0.2)
    fetch.cancel()
    await asyncio.wait({fetch})
    await subject.queue.close()
    await in_hand.retry(after_seconds=0)
    again = await one(subject.another)
    assert (again.key, again.number) == (in_hand.key, 2)


async def test_a_queue_without_its_broker_is_closed_soon(subject: Subject) -> None:
    """A worker that stops does not wait for what is away."""
    await subject.given(b"a job")
    await one(subject.queue)
    subject.stop()
    async with asyncio.timeout(SOON):
        await subject.queue.close()


async def test_without_a_broker_everything_is_unavailable(subject: Subject) -> None:
    """Nobody is left waiting: each call says that the broker is away."""
    await subject.given(b"1", b"2", b"3", b"4")
    first, second, third, fourth = await subject.queue.fetch(4, timeout_seconds=SOON)
    subject.stop()
    results = await asyncio.gather(
        subject.queue.fetch(1, timeout_seconds=0.1),
        first.ack(),
        second.retry(after_seconds=1),
        third.terminate("hopeless"),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [MessagingUnavailableError] * 4
    with pytest.raises(MessagingUnavailableError):
        await fourth.keep_alive()
    with pytest.raises(MessagingUnavailableError):
        await subject.queue.fetch(1, timeout_seconds=LONG)
