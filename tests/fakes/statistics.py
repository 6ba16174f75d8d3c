"""The queue, the ledger and the gallery in numbers, counted in memory."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta

from application.ports.statistics import OutcomeCount, QueueState, RecentOutcomes, WorkerSeen
from domain.errors import MessagingUnavailableError
from domain.records import JobRecord
from tests.fakes.database import InMemoryDatabase
from tests.fakes.queue import InMemoryJobQueue

_WINDOWS = (timedelta(minutes=1), timedelta(minutes=5), timedelta(hours=1), timedelta(days=1))


class InMemoryQueueStatistics:
    """Looks at an :class:`InMemoryJobQueue`."""

    def __init__(self, queue: InMemoryJobQueue) -> None:
        self._queue = queue

    async def look(self) -> QueueState:
        """Count its jobs."""
        await asyncio.sleep(0)
        if not self._queue.available:
            raise MessagingUnavailableError("queue: no answer")
        unsettled = [job for job in self._queue.jobs if not job.ended]
        return QueueState(
            pending=sum(job.deliveries == 0 for job in unsettled),
            ack_pending=sum(job.deliveries > 0 for job in unsettled),
            redelivered=sum(job.deliveries > 1 for job in unsettled),
            most_in_hand=0,
            asking=0,
            paused=False,
            ever_delivered=any(job.deliveries for job in self._queue.jobs),
            oldest=min((job.key.stored_at for job in unsettled), default=None),
        )


class InMemoryLedgerStatistics:
    """Looks at an :class:`InMemoryDatabase`, whose clock is the database's."""

    def __init__(self, database: InMemoryDatabase) -> None:
        self._database = database

    async def recent(self) -> RecentOutcomes:
        """Count its outcomes."""
        await self._database.operation("recent")
        now = self._database.clock.now()
        records = [row.record for row in self._database.outcomes.values()]
        ends = {(record.outcome.kind.value, _reason(record)) for record in _within(records, now, _WINDOWS[-1])}
        counts = [
            OutcomeCount(
                kind,
                reason,
                *(
                    sum((record.outcome.kind, _reason(record)) == (kind, reason) for record in _within(records, now, w))
                    for w in _WINDOWS
                ),
            )
            for kind, reason in ends
        ]
        counts.sort(key=lambda count: (-count.last_day, count.outcome, count.reason or ""))
        return RecentOutcomes(
            now, max((record.occurred_at for record in records), default=None), counts, _workers(records, now)
        )

    async def gallery(self) -> Mapping[str, int]:
        """Count its users."""
        await self._database.operation("gallery")
        users = self._database.users.values()
        return dict(
            Counter(user.model or "" for user in users if user.vector and not user.deleted and not user.blocked)
        )


def _workers(records: list[JobRecord], now: datetime) -> list[WorkerSeen]:
    last: dict[str, list[datetime]] = {}
    for record in _within(records, now, timedelta(hours=1)):
        last.setdefault(record.worker, []).append(record.occurred_at)
    seen = [WorkerSeen(worker, len(times), max(times)) for worker, times in last.items()]
    return sorted(seen, key=lambda worker: worker.last_seen, reverse=True)


def _within(records: list[JobRecord], now: datetime, window: timedelta) -> list[JobRecord]:
    return [record for record in records if record.occurred_at > now - window]


def _reason(record: JobRecord) -> str | None:
    return record.outcome.reason.value if record.outcome.reason else None
