"""What an operator wants to know of the queue, of the ledger and of the gallery at a glance."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

import attrs


@attrs.frozen
class QueueState:
    """The queue at one moment.

    ``pending`` jobs were never delivered, ``ack_pending`` are delivered and not settled (``redelivered`` of them not
    for the first time), at most ``most_in_hand`` of them, 0 for no limit. ``asking`` counts the requests of workers
    that wait for jobs. ``oldest`` is when the oldest job that is not settled was stored, or None where there is none
    or it may not be read; ``ever_delivered`` tells whether there was a job yet.
    """

    pending: int
    ack_pending: int
    redelivered: int
    most_in_hand: int
    asking: int
    paused: bool
    ever_delivered: bool
    oldest: datetime | None


class QueueStatistics(Protocol):
    """Looks at the queue, and takes nothing out of it."""

    async def look(self) -> QueueState:
        """Return how the queue is.

        Raises:
            MessagingUnavailableError: no answer, or there is no queue; the message says what to do.

        """


@attrs.frozen
class OutcomeCount:
    """How many jobs ended so within the last minute, five minutes, hour and day; the words are the ledger's."""

    outcome: str
    reason: str | None
    last_minute: int
    last_5_minutes: int
    last_hour: int
    last_day: int


@attrs.frozen
class WorkerSeen:
    """A worker that ended jobs within the last hour: how many, and when the last one."""

    worker: str
    jobs: int
    last_seen: datetime


@attrs.frozen
class RecentOutcomes:
    """What the ledger says of the last day, by the database's clock, which shows ``at``.

    ``counts`` are in the order of jobs per day, ``workers`` of when they were seen last. ``last`` is when the last job
    ended, however long ago.
    """

    at: datetime
    last: datetime | None
    counts: Sequence[OutcomeCount]
    workers: Sequence[WorkerSeen]


class LedgerStatistics(Protocol):
    """Counts what is recorded.

    Every method raises :class:`domain.errors.DatabaseUnavailableError` when the database does not answer.
    """

    async def recent(self) -> RecentOutcomes:
        """Return what ended lately."""

    async def gallery(self) -> Mapping[str, int]:
        """Return how many users who may be named are enrolled, by model; '' stands for an unknown one."""
