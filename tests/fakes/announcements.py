"""The streams of result events and of dead letters, in memory."""

import asyncio
from collections.abc import Mapping

import attrs

from application.ports.job_queue import Delivery
from domain.errors import MessagingUnavailableError
from domain.jobs import JobKey
from domain.outcomes import Reason
from domain.records import JobRecord


class InMemoryResultPublisher:
    """``events`` is the stream, one for each job; ``published`` every publication, duplicates too.

    ``available`` set to false makes every publication fail; an error put into ``poison`` under a job's key is
    what publishing that job's event raises. ``tried`` counts every publication that was asked for.
    """

    def __init__(self) -> None:
        self.available = True
        self.poison: dict[JobKey, Exception] = {}
        self.events: dict[JobKey, JobRecord] = {}
        self.published: list[JobRecord] = []
        self.tried = 0

    async def publish(self, record: JobRecord) -> None:
        """Store the event unless the job has one."""
        self.tried += 1
        await asyncio.sleep(0)
        if not self.available:
            raise MessagingUnavailableError("results: no answer")
        if record.key in self.poison:
            raise self.poison[record.key]
        self.published.append(record)
        self.events.setdefault(record.key, record)


@attrs.frozen
class DeadLetter:
    """A copy of a job that was given up."""

    body: bytes
    headers: Mapping[str, str]
    reason: Reason | None
    deliveries: int
    sequence: int


class InMemoryDeadLetters:
    """``letters`` is the stream, one for each job; ``available`` set to false makes publishing fail."""

    def __init__(self) -> None:
        self.available = True
        self.letters: dict[JobKey, DeadLetter] = {}

    async def publish(self, delivery: Delivery, record: JobRecord) -> None:
        """Store the copy unless there is one."""
        await asyncio.sleep(0)
        if not self.available:
            raise MessagingUnavailableError("dead letters: no answer")
        letter = DeadLetter(
            delivery.body, delivery.headers, record.outcome.reason, delivery.number, delivery.key.sequence
        )
        self.letters.setdefault(record.key, letter)
