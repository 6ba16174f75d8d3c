"""Everything that is known of a photo's jobs, also of those that have not ended."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import attrs

from application.ports.ledger import Attempt, Ledger
from domain.jobs import JobKey
from domain.records import JobRecord


@attrs.frozen
class PhotoJob:
    """A job with its attempts, first delivery first; there is no ``record`` of one that has not ended."""

    key: JobKey
    photo_id: UUID
    record: JobRecord | None
    attempts: Sequence[Attempt]

    @property
    def last_heard_of(self) -> datetime:
        """When it ended, or when its last attempt did."""
        return self.attempts[-1].occurred_at if self.record is None else self.record.occurred_at


async def photo_history(ledger: Ledger, photo_id: UUID) -> list[PhotoJob]:
    """Return the photo's jobs, the one that was heard of last first.

    The records are read last, so that a job which ends meanwhile has ended.

    Raises:
        DatabaseUnavailableError: no answer.

    """
    attempts: dict[JobKey, list[Attempt]] = {}
    for attempt in await ledger.attempts_on(photo_id):
        attempts.setdefault(attempt.key, []).append(attempt)
    records = await ledger.history(photo_id)
    ended = [PhotoJob(record.key, photo_id, record, attempts.pop(record.key, [])) for record in records]
    going_on = [PhotoJob(key, photo_id, None, tried) for key, tried in attempts.items()]
    return sorted(going_on + ended, key=lambda job: job.last_heard_of, reverse=True)
