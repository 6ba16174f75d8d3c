"""What anybody does who publishes lost jobs again: JetStream's adapter, and the fake in memory."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from uuid import UUID, uuid4

import attrs
import pytest
import pytest_asyncio

from adapters.nats_jetstream.jobs.consumer import JetStreamJobQueue
from adapters.nats_jetstream.jobs.payload import JsonJobParser
from adapters.nats_jetstream.publishing.republisher import JetStreamRepublisher
from application.ports.job_queue import JobQueue
from application.ports.republisher import Republisher
from domain.errors import MessagingUnavailableError
from domain.jobs import MalformedJob, MatchJob
from tests.broker import ACK_WAIT, OwnBroker, connected
from tests.fakes.queue import InMemoryJobQueue
from tests.fakes.republishing import InMemoryRepublisher


@attrs.frozen
class Subject:
    """Two who publish into one queue, and the end of the broker."""

    first: Republisher
    second: Republisher
    queue: JobQueue
    stop: Callable[[], None]

    async def stored(self, count: int) -> Sequence[MatchJob | MalformedJob]:
        """Return so many jobs that are in the queue, and whatever else comes with them."""
        jobs: list[MatchJob | MalformedJob] = []
        while len(jobs) < count:
            jobs += [JsonJobParser().parse(each.body) for each in await self.queue.fetch(1_000, timeout_seconds=10)]
        return jobs


def _in_memory() -> Subject:
    queue = InMemoryJobQueue()

    def stop() -> None:
        queue.available = False

    return Subject(InMemoryRepublisher(queue), InMemoryRepublisher(queue), queue, stop)


@pytest_asyncio.fixture
async def subject(own_broker: OwnBroker | None) -> AsyncIterator[Subject]:
    """Return each kind in turn, with an empty queue."""
    if own_broker is None:
        yield _in_memory()
        return
    async with connected(own_broker.server) as other:
        first, second = (
            JetStreamRepublisher(client, own_broker.names, patience_seconds=0) for client in (own_broker.client, other)
        )
        queue = JetStreamJobQueue(own_broker.client, own_broker.names, ack_wait_seconds=ACK_WAIT)
        yield Subject(first, second, queue, own_broker.server.kill)


def jobs_of(photos: Sequence[UUID]) -> list[MatchJob]:
    """Return a job for each photo."""
    return [MatchJob(photo, f"photos/{photo}.jpg") for photo in photos]


async def test_it_is_a_republisher(subject: Subject) -> None:
    """The adapter satisfies the port: each job gets into the queue, once."""
    republisher: Republisher = subject.first
    jobs = jobs_of([uuid4() for _ in range(300)])
    assert await republisher.publish(jobs, unless_after=0) == 300
    stored = await subject.stored(300)
    assert (len(stored), set(stored)) == (300, set(jobs))


async def test_nothing_is_published_for_nothing(subject: Subject) -> None:
    """Without jobs, none are stored."""
    assert await subject.first.publish([], unless_after=0) == 0


async def test_of_two_at_once_each_job_is_stored_once(subject: Subject) -> None:
    """Both are told how many of them were their own."""
    jobs = jobs_of([uuid4() for _ in range(300)])
    mine, yours = await asyncio.gather(
        subject.first.publish(jobs, unless_after=0), subject.second.publish(list(reversed(jobs)), unless_after=0)
    )
    stored = await subject.stored(300)
    assert (mine + yours, len(stored), set(stored)) == (300, 300, set(jobs))


async def test_what_was_published_after_the_position_is_not_published_again(subject: Subject) -> None:
    """Somebody who looked earlier than it was published has not seen it."""
    jobs = jobs_of([uuid4() for _ in range(3)])
    await subject.first.publish(jobs[:2], unless_after=0)
    assert await subject.second.publish(jobs, unless_after=0) == 1
    assert len(await subject.stored(3)) == 3


async def test_a_job_that_was_lost_again_is_published_again(subject: Subject) -> None:
    """Whoever has looked at the queue since and did not find it in flight is right; and again each time."""
    [job] = jobs_of([uuid4()])
    for position in range(4):
        mine, yours = await asyncio.gather(
            subject.first.publish([job], unless_after=position), subject.second.publish([job], unless_after=position)
        )
        assert mine + yours == 1
    assert await subject.stored(4) == [job] * 4


async def test_without_a_broker_nothing_counts_as_published(subject: Subject) -> None:
    """Who publishes hears of it."""
    subject.stop()
    with pytest.raises(MessagingUnavailableError):
        await subject.first.publish(jobs_of([uuid4()]), unless_after=0)
