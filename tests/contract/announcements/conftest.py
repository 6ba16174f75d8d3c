"""Every publisher that there is, each with a way to look at what it stored."""

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import attrs
import pytest
from nats.aio.client import Client

from adapters.nats_jetstream.dead_letters.publisher import JetStreamDeadLetters
from adapters.nats_jetstream.jobs.consumer import JetStreamJobQueue
from adapters.nats_jetstream.names import BrokerNames
from adapters.nats_jetstream.publishing.events import encode_event
from adapters.nats_jetstream.publishing.publisher import JetStreamJobPublisher, JetStreamResultPublisher
from application.ports.announcements import DeadLetters, ResultPublisher
from application.ports.job_queue import JobQueue
from domain.outcomes import OutcomeKind, Reason
from tests.broker import ACK_WAIT, OwnBroker, stored
from tests.fakes.announcements import DeadLetter, InMemoryDeadLetters, InMemoryResultPublisher
from tests.fakes.queue import InMemoryJobQueue

Event = tuple[OutcomeKind, dict[str, Any]]


@attrs.frozen
class Subject:
    """All that the service publishes with, the streams behind it, and the end of the broker.

    A letter's headers are those of the original, under their original names.
    """

    results: ResultPublisher
    dead_letters: DeadLetters
    jobs: JetStreamJobPublisher | InMemoryJobQueue
    queue: JobQueue
    events: Callable[[], Awaitable[Sequence[Event]]]
    letters: Callable[[], Awaitable[Sequence[DeadLetter]]]
    stop: Callable[[], None]


def _in_memory() -> Subject:
    results, dead_letters, queue = InMemoryResultPublisher(), InMemoryDeadLetters(), InMemoryJobQueue()

    async def events() -> Sequence[Event]:
        return [(record.outcome.kind, json.loads(encode_event(record))) for record in results.events.values()]

    async def letters() -> Sequence[DeadLetter]:
        return list(dead_letters.letters.values())

    def stop() -> None:
        results.available = dead_letters.available = queue.available = False

    return Subject(results, dead_letters, queue, queue, events, letters, stop)


def _jetstream(client: Client, names: BrokerNames, stop: Callable[[], None]) -> Subject:
    async def events() -> Sequence[Event]:
        messages = await stored(client, names.results_stream)
        return [(OutcomeKind(str(m.subject).rsplit(".", 1)[1]), json.loads(m.data or b"")) for m in messages]

    async def letters() -> Sequence[DeadLetter]:
        return [_letter(m.data or b"", dict(m.headers or {})) for m in await stored(client, names.dead_stream)]

    return Subject(
        JetStreamResultPublisher(client, names),
        JetStreamDeadLetters(client, names),
        JetStreamJobPublisher(client, names),
        JetStreamJobQueue(client, names, ack_wait_seconds=ACK_WAIT),
        events,
        letters,
        stop,
    )


def _letter(body: bytes, headers: dict[str, str]) -> DeadLetter:
    facts = {name: headers.pop(f"Facematch-{name}") for name in ("Reason", "Deliveries", "Stream-Seq", "Error")}
    del headers["Nats-Msg-Id"]
    original = {name.removeprefix("Facematch-Original-"): value for name, value in headers.items()}
    return DeadLetter(body, original, Reason(facts["Reason"]), int(facts["Deliveries"]), int(facts["Stream-Seq"]))


@pytest.fixture
def subject(own_broker: OwnBroker | None) -> Subject:
    """Return each kind in turn, with empty streams."""
    if own_broker is None:
        return _in_memory()
    return _jetstream(own_broker.client, own_broker.names, own_broker.server.kill)
