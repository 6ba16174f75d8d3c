"""Everything that is known of a photo's jobs, also of those that have not ended."""

from collections.abc import Sequence
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


async def photo_history(ledger: Ledger, photo_id: UUID) -> list[PhotoJob]:
    """Return the photo's jobs: those that were tried and have not ended, then those that have, each newest first.

    The records are read last, so that a job which ends meanwhile has ended.

    Raises:
        DatabaseUnavailableError: no answer.

    """
    attempts: dict[JobKey, list[Attempt]] = {}
    for attempt in await ledger.attempts_on(photo_id):
        attempts.setdefault(attempt.key, []).append(attempt)
    records = await ledger.history(photo_id)
    ended = [PhotoJob(record.key, photo_id, record, attempts.pop(record.key, [])) for record in records]
    return [PhotoJob(key, photo_id, None, tried) for key, tried in attempts.items()] + ended
