"""What any log of jobs does: JetStream's stream, and the fake in memory."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import attrs
import pytest

from adapters.nats_jetstream.jobs.consumer import JetStreamJobQueue
from adapters.nats_jetstream.jobs.job_archive import JetStreamJobArchive
from adapters.nats_jetstream.jobs.payload import encode_job
from adapters.nats_jetstream.publishing.publisher import JetStreamJobPublisher
from application.ports.job_archive import JobArchive
from application.ports.job_queue import JobQueue
from domain.errors import MessagingUnavailableError
from domain.jobs import JobKey, MatchJob
from tests.broker import ACK_WAIT, OwnBroker
from tests.fakes.job_archive import InMemoryJobArchive
from tests.fakes.queue import InMemoryJobQueue

JOB = MatchJob(UUID(int=1), "a.jpg")


@attrs.frozen
class Subject:
    """A log, the queue that it is of, and the end of the broker."""

    archive: JobArchive
    jobs: JetStreamJobPublisher | InMemoryJobQueue
    queue: JobQueue
    stop: Callable[[], None]


@pytest.fixture
def subject(own_broker: OwnBroker | None) -> Subject:
    """Return each kind in turn, empty."""
    if own_broker is not None:
        client, names = own_broker.client, own_broker.names
        return Subject(
            JetStreamJobArchive(client, names),
            JetStreamJobPublisher(client, names),
            JetStreamJobQueue(client, names, ack_wait_seconds=ACK_WAIT),
            own_broker.server.kill,
        )
    queue = InMemoryJobQueue()

    def stop() -> None:
        queue.available = False

    return Subject(InMemoryJobArchive(queue), queue, queue, stop)


async def test_it_is_a_job_archive(subject: Subject) -> None:
    """The adapter satisfies the port: a job is found by its key, before and after it is settled."""
    archive: JobArchive = subject.archive
    key = await subject.jobs.submit(JOB)
    assert await archive.find(key) == encode_job(JOB)
    [delivery] = await subject.queue.fetch(1, timeout_seconds=5)
    await delivery.ack()
    assert await archive.find(key) == encode_job(JOB)


async def test_what_is_not_there_is_not_found(subject: Subject) -> None:
    """A number that was not given yet; and a job of another time, from before the log was made anew."""
    key = await subject.jobs.submit(JOB)
    assert await subject.archive.find(JobKey(key.sequence + 1, key.stored_at)) is None
    assert await subject.archive.find(JobKey(key.sequence, key.stored_at - timedelta(days=1))) is None


async def test_without_a_broker_nothing_is_found_or_missed(subject: Subject) -> None:
    """It says so."""
    key = await subject.jobs.submit(JOB)
    subject.stop()
    with pytest.raises(MessagingUnavailableError):
        await subject.archive.find(key)
