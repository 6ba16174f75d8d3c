"""Everything that is known of a photo's jobs, also of those that have not ended."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import attrs

from application.ports.gallery import StoredFaces
from application.ports.ledger import Attempt, Ledger
from domain.decision import Candidate
from domain.jobs import JobKey
from domain.records import JobRecord

_NEAREST = 3


@attrs.frozen
class PhotoJob:
    """A job with its attempts, first delivery first; there is no ``record`` of one that has not ended.

    ``nearest_now`` are the users whom the face that it stored is nearest to as the gallery is now, not as it was when
    the job was decided; None where it stored none, or one that ended later has stored its own in that place.
    """

    key: JobKey
    photo_id: UUID
    record: JobRecord | None
    attempts: Sequence[Attempt]
    nearest_now: Sequence[Candidate] | None = None

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


async def with_nearest_now(jobs: Sequence[PhotoJob], faces: StoredFaces) -> list[PhotoJob]:
    """Return the jobs of :func:`photo_history`, with the users whom their faces are nearest to now.

    Raises:
        DatabaseUnavailableError: no answer, or the stored faces may not be read.

    """
    asked: set[UUID] = set()
    told = []
    for job in jobs:
        face = job.record.outcome.face if job.record is not None else None
        if face is not None and face.photo_face_id not in asked:
            asked.add(face.photo_face_id)
            nearest = await faces.nearest(face.photo_face_id, limit=_NEAREST)
            told.append(attrs.evolve(job, nearest_now=nearest))
        else:
            told.append(job)
    return told
