"""What anybody who looks at the queue sees: JetStream's state, and the fake in memory."""

from collections.abc import Callable
from uuid import UUID

import attrs
import pytest
import pytest_asyncio

from adapters.nats_jetstream.jobs.consumer import JetStreamJobQueue
from adapters.nats_jetstream.jobs.queue_statistics import JetStreamQueueStatistics
from adapters.nats_jetstream.publishing.publisher import JetStreamJobPublisher
from application.ports.job_queue import JobQueue
from application.ports.statistics import QueueState, QueueStatistics
from domain.errors import MessagingUnavailableError
from domain.jobs import MatchJob
from tests.broker import OwnBroker, provisioned
from tests.fakes.queue import InMemoryJobQueue
from tests.fakes.statistics import InMemoryQueueStatistics

JOB = MatchJob(UUID(int=1), "a.jpg")
_LONG_ACK_WAIT = 30.0


@attrs.frozen
class Subject:
    """Statistics, the queue that they are about, and the end of the broker."""

    statistics: QueueStatistics
    queue: JobQueue
    jobs: JetStreamJobPublisher | InMemoryJobQueue
    stop: Callable[[], None]


@pytest_asyncio.fixture
async def subject(own_broker: OwnBroker | None) -> Subject:
    """Return each kind in turn, with an empty queue."""
    if own_broker is not None:
        client = own_broker.client
        names = await provisioned(client, own_broker.names, ack_wait_seconds=_LONG_ACK_WAIT)
        return Subject(
            JetStreamQueueStatistics(client, names),
            JetStreamJobQueue(client, names, ack_wait_seconds=_LONG_ACK_WAIT),
            JetStreamJobPublisher(client, names),
            own_broker.server.kill,
        )
    queue = InMemoryJobQueue()

    def stop() -> None:
        queue.available = False

    return Subject(InMemoryQueueStatistics(queue), queue, queue, stop)


def numbers(state: QueueState) -> tuple[int, int, int]:
    """Return what waits, what is in hand, and how much of it again."""
    return state.pending, state.ack_pending, state.redelivered


async def test_a_new_queue_is_empty(subject: Subject) -> None:
    """The adapter satisfies the port: nothing waits, nothing ever did, and nothing is old."""
    statistics: QueueStatistics = subject.statistics
    state = await statistics.look()
    assert (numbers(state), state.ever_delivered, state.oldest, state.paused) == ((0, 0, 0), False, None, False)


async def test_jobs_are_counted_by_what_became_of_them(subject: Subject) -> None:
    """Waiting, in hand, in hand again, settled; and the oldest is the first that is not settled."""
    keys = [await subject.jobs.submit(JOB) for _ in range(4)]
    state = await subject.statistics.look()
    assert (numbers(state), state.oldest, state.ever_delivered) == ((4, 0, 0), keys[0].stored_at, False)
    first, second, third = await subject.queue.fetch(3, timeout_seconds=5)
    await first.ack()
    await third.ack()
    state = await subject.statistics.look()
    assert (numbers(state), state.oldest, state.ever_delivered) == ((1, 1, 0), keys[1].stored_at, True)
    await second.retry(after_seconds=0)
    again = list(await subject.queue.fetch(2, timeout_seconds=5))
    assert numbers(await subject.statistics.look()) == (0, 2, 1)
    for delivery in again:
        await delivery.terminate("done")
    state = await subject.statistics.look()
    assert (numbers(state), state.oldest, state.ever_delivered) == ((0, 0, 0), None, True)


async def test_without_a_broker_nothing_is_seen(subject: Subject) -> None:
    """It says so."""
    subject.stop()
    with pytest.raises(MessagingUnavailableError):
        await subject.statistics.look()
