"""What any log of jobs does: JetStream's stream, and the fake in memory."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import attrs
import pytest
import pytest_asyncio

from adapters.nats_jetstream.consumer import JetStreamJobQueue
from adapters.nats_jetstream.job_archive import JetStreamJobArchive
from adapters.nats_jetstream.payload import encode_job
from adapters.nats_jetstream.publisher import JetStreamJobPublisher
from application.ports.job_archive import JobArchive
from application.ports.job_queue import JobPublisher, JobQueue
from domain.errors import MessagingUnavailableError
from domain.jobs import JobKey, MatchJob
from tests.broker import ACK_WAIT, connected, provisioned, running
from tests.fakes.job_archive import InMemoryJobArchive
from tests.fakes.queue import InMemoryJobQueue

JOB = MatchJob(UUID(int=1), "a.jpg")


@attrs.frozen
class Subject:
    """A log, the queue that it is of, and the end of the broker."""

    archive: JobArchive
    jobs: JobPublisher
    queue: JobQueue
    stop: Callable[[], None]


@pytest_asyncio.fixture(params=["in memory", "jetstream"])
async def subject(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Subject]:
    """Return each kind in turn, empty."""
    if request.param == "in memory":
        queue = InMemoryJobQueue()

        def stop() -> None:
            queue.available = False

        yield Subject(InMemoryJobArchive(queue), queue, queue, stop)
        return
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(running(tmp_path))
        client = await stack.enter_async_context(connected(server))
        names = await provisioned(client)
        yield Subject(
            JetStreamJobArchive(client, names),
            JetStreamJobPublisher(client, names),
            JetStreamJobQueue(client, names, ack_wait_seconds=ACK_WAIT),
            server.kill,
        )


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
