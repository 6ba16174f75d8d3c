"""What anybody knows who looks for jobs in flight: JetStream's adapter, and the fake in memory."""

import json
from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

import attrs
import pytest

from adapters.nats_jetstream.jobs.consumer import JetStreamJobQueue
from adapters.nats_jetstream.jobs.jobs_in_flight import JetStreamJobsInFlight
from application.ports.job_queue import Delivery, JobQueue
from application.ports.jobs_in_flight import InFlight, JobsInFlight
from domain.errors import MessagingUnavailableError
from tests.broker import ACK_WAIT, OwnBroker
from tests.fakes.queue import InMemoryJobQueue
from tests.fakes.republishing import InMemoryJobsInFlight

A, B, C = (UUID(int=number << 100) for number in (1, 2, 3))


@attrs.frozen
class Subject:
    """One who looks, the queue that is looked into, a way to put bodies into it, and the end of the broker."""

    in_flight: JobsInFlight
    queue: JobQueue
    put: Callable[[bytes], Awaitable[None]]
    stop: Callable[[], None]

    async def submit(self, *photos: UUID) -> None:
        """Publish a job for each photo."""
        for photo in photos:
            await self.put(json.dumps({"photo_id": str(photo)}).encode())

    async def take(self, count: int) -> list[Delivery]:
        """Fetch so many jobs."""
        taken: list[Delivery] = []
        while len(taken) < count:
            taken += await self.queue.fetch(count - len(taken), timeout_seconds=10)
        return taken


def _in_memory() -> Subject:
    queue = InMemoryJobQueue()

    async def put(body: bytes) -> None:
        queue.publish(body)

    def stop() -> None:
        queue.available = False

    return Subject(InMemoryJobsInFlight(queue), queue, put, stop)


@pytest.fixture
def subject(own_broker: OwnBroker | None) -> Subject:
    """Return each kind in turn, with an empty queue."""
    if own_broker is None:
        return _in_memory()
    client, names = own_broker.client, own_broker.names
    js = client.jetstream()

    async def put(body: bytes) -> None:
        await js.publish(names.subject, body)

    queue = JetStreamJobQueue(client, names, ack_wait_seconds=ACK_WAIT)
    return Subject(JetStreamJobsInFlight(client, names, patience_seconds=0), queue, put, own_broker.server.kill)


async def test_it_knows_of_jobs_in_flight(subject: Subject) -> None:
    """The adapter satisfies the port; in an empty queue there are none."""
    in_flight: JobsInFlight = subject.in_flight
    await in_flight.begin()
    assert await in_flight.among([A, B]) == InFlight(frozenset(), 0)
    assert await in_flight.among([]) == InFlight(frozenset(), 0)


async def test_a_job_that_waits_is_in_flight(subject: Subject) -> None:
    """Of the photos that are asked about, those that have one are told."""
    await subject.submit(A, B, A)
    await subject.in_flight.begin()
    assert await subject.in_flight.among([B, C]) == InFlight(frozenset({B}), 3)


async def test_a_job_in_hand_is_in_flight(subject: Subject) -> None:
    """As long as it is not acknowledged."""
    await subject.submit(A)
    await subject.take(1)
    await subject.in_flight.begin()
    assert (await subject.in_flight.among([A])).photos == {A}


async def test_a_job_that_has_ended_is_not(subject: Subject) -> None:
    """It was acknowledged or terminated before anybody asked."""
    await subject.submit(A, B, C)
    first, second, _third = await subject.take(3)
    await first.ack()
    await second.terminate("malformed")
    await subject.in_flight.begin()
    assert await subject.in_flight.among([A, B, C]) == InFlight(frozenset({C}), 3)


async def test_a_job_that_ends_after_the_first_look_still_counts(subject: Subject) -> None:
    """Who has read the photos before it ended does not know its outcome."""
    await subject.submit(A)
    [delivery] = await subject.take(1)
    await subject.in_flight.begin()
    assert (await subject.in_flight.among([A])).photos == {A}
    await delivery.ack()
    assert (await subject.in_flight.among([A])).photos == {A}


async def test_what_was_published_since_is_known(subject: Subject) -> None:
    """Each look sees everything that was published before it, even what has ended since the first look."""
    await subject.in_flight.begin()
    assert (await subject.in_flight.among([A])).photos == frozenset()
    await subject.submit(A)
    [delivery] = await subject.take(1)
    await delivery.ack()
    assert await subject.in_flight.among([A, B]) == InFlight(frozenset({A}), 1)
    await subject.submit(B)
    assert await subject.in_flight.among([A, B]) == InFlight(frozenset({A, B}), 2)


async def test_the_last_look_can_be_gone_by(subject: Subject) -> None:
    """The first look is at the beginning; what is published after a look is unknown until the next one."""
    await subject.submit(A)
    await subject.in_flight.begin()
    assert await subject.in_flight.among([A, B], look_again=False) == InFlight(frozenset({A}), 1)
    await subject.submit(B)
    assert await subject.in_flight.among([A, B], look_again=False) == InFlight(frozenset({A}), 1)
    assert await subject.in_flight.among([A, B]) == InFlight(frozenset({A, B}), 2)


async def test_what_names_no_photo_is_passed_over(subject: Subject) -> None:
    """Bodies of any kind neither stop the look nor hide what comes after them."""
    for body in (b"", b"\xff", b"null", b"[" * 60_000, b'{"photo_id": 7}', b'{"photo_id": "no"}', b"x" * 70_000):
        await subject.put(body)
    await subject.put(b'{"x": {"photo_id": "%s"}, "photo_id": "%s"}' % (str(A).encode(), str(B).upper().encode()))
    await subject.in_flight.begin()
    assert await subject.in_flight.among([A, B]) == InFlight(frozenset({B}), 8)


async def test_thousands_of_jobs_are_known(subject: Subject) -> None:
    """More than fit into one batch; none is left out."""
    photos = [uuid4() for _ in range(4_500)]
    await subject.submit(*photos[:4_200])
    await subject.in_flight.begin()
    assert (await subject.in_flight.among(photos)).photos == set(photos[:4_200])
    await subject.submit(*photos[4_200:])
    assert (await subject.in_flight.among(photos)).photos == set(photos)


async def test_without_a_broker_nothing_is_told(subject: Subject) -> None:
    """Who asks hears of it, at the first look and at a later one."""
    await subject.in_flight.begin()
    subject.stop()
    with pytest.raises(MessagingUnavailableError):
        await subject.in_flight.among([A])
