"""Every box of dead letters that there is, with ways to bury and to look into the queue."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime

import attrs
import pytest
from nats.aio.client import Client

from adapters.nats_jetstream.dead_letters.box import JetStreamDeadLetterBox
from adapters.nats_jetstream.dead_letters.publisher import JetStreamDeadLetters
from adapters.nats_jetstream.jobs.consumer import JetStreamJobQueue
from adapters.nats_jetstream.names import BrokerNames
from application.ports.dead_letter_box import DeadLetter, DeadLetterBox
from application.ports.job_queue import JobQueue
from domain.records import Failed, JobRecord, Skipped
from tests.broker import ACK_WAIT, OwnBroker
from tests.contract.announcements.records import delivery
from tests.fakes.dead_letter_box import InMemoryDeadLetterBox
from tests.fakes.queue import InMemoryJobQueue

Bury = Callable[[bytes, Mapping[str, str], JobRecord], Awaitable[None]]


@attrs.frozen
class Subject:
    """A box, empty; how to bury a job that was delivered once; the queue; and the end of the broker."""

    box: DeadLetterBox
    bury: Bury
    queue: JobQueue
    stop: Callable[[], None]


def _in_memory() -> Subject:
    queue = InMemoryJobQueue()
    box = InMemoryDeadLetterBox(queue)

    async def bury(body: bytes, headers: Mapping[str, str], record: JobRecord) -> None:
        assert isinstance(record.outcome, Failed | Skipped)
        letter = DeadLetter(
            sequence=len(box.kept) + 1,
            stored_at=datetime.now(UTC),
            reason=record.outcome.reason.value,
            error=record.outcome.detail,
            deliveries=1,
            job_sequence=1,
            body=body,
            headers=dict(headers),
            traceparent=record.traceparent,
        )
        box.put(letter)

    def stop() -> None:
        box.available = False

    return Subject(box, bury, queue, stop)


def _jetstream(client: Client, names: BrokerNames, stop: Callable[[], None]) -> Subject:
    letters = JetStreamDeadLetters(client, names)

    async def bury(body: bytes, headers: Mapping[str, str], record: JobRecord) -> None:
        await letters.publish(await delivery(body, headers), record)

    queue = JetStreamJobQueue(client, names, ack_wait_seconds=ACK_WAIT)
    return Subject(JetStreamDeadLetterBox(client, names), bury, queue, stop)


@pytest.fixture
def subject(own_broker: OwnBroker | None) -> Subject:
    """Return each kind in turn, empty."""
    if own_broker is None:
        return _in_memory()
    return _jetstream(own_broker.client, own_broker.names, own_broker.server.kill)
