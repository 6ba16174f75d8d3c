"""The ledger: what became of every job, decided once; it is also the outbox of events not yet published."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

import attrs

from domain.decision import MatchDecision
from domain.faces import BoundingBox, FaceEmbedding
from domain.jobs import JobKey
from domain.outcomes import Reason
from domain.records import JobHeader, JobRecord
from domain.redaction import redact


@attrs.frozen
class Recollection:
    """What one short read tells before any work is done."""

    record: JobRecord | None
    photo_exists: bool
    already_matched: bool


@attrs.frozen
class FaceResult:
    """A face that was read, and the decision about it: what :meth:`Ledger.conclude_face` is to write."""

    embedding: FaceEmbedding
    box: BoundingBox
    decision: MatchDecision


@attrs.frozen
class Attempt:
    """One delivery of a job that ended without an outcome; ``delivery`` counts from 1.

    ``reason`` is why it failed, or None where that does not count: a worker that stopped gave it back, or had it
    already, or somebody kept locked what it needs.
    """

    key: JobKey
    delivery: int
    reason: Reason | None
    detail: str = attrs.field(converter=redact)
    worker: str
    occurred_at: datetime
    photo_id: UUID | None = None


class CandidateGoneError(Exception):
    """The accepted user, or the template that was compared, is no candidate any more: search again."""


class Ledger(Protocol):
    """Records outcomes; the first recorded outcome of a job stands for ever.

    Every method raises :class:`domain.errors.DatabaseUnavailableError` when the database does not answer.
    """

    async def recall(self, key: JobKey, photo_id: UUID) -> Recollection:
        """Return the job's recorded outcome, if any, and what is known of the photo, in one read."""

    async def conclude(self, record: JobRecord) -> JobRecord:
        """Record an outcome that writes no face; return the one that stands (an earlier one, if there is)."""

    async def conclude_face(self, header: JobHeader, result: FaceResult) -> JobRecord:
        """In one transaction, serialised per photo: re-check, write the face and the match, record the outcome.

        The header names a photo and a face index. Returns the record that stands: an earlier one of this job,
        ``already_matched`` when another job was first (then nothing of this one is written), ``photo_not_found`` when
        the photo was deleted meanwhile, else ``matched``, ``no_match`` or ``no_enrolled_users`` with the face written.

        Raises:
            CandidateGoneError: the accepted user was deleted, blocked or enrolled anew.

        """

    async def note_attempt(self, attempt: Attempt) -> None:
        """Keep an attempt for whoever asks, and for the count; the same delivery twice is kept once."""

    async def attempts(self, key: JobKey) -> Sequence[Attempt]:
        """Return the job's attempts, first delivery first."""

    async def attempts_on(self, photo_id: UUID) -> Sequence[Attempt]:
        """Return the attempts of every job for that photo: the newest job first, and of each its first delivery."""

    async def history(self, photo_id: UUID) -> Sequence[JobRecord]:
        """Return the records of every job for that photo: the one that ended last first."""


class Outbox(Protocol):
    """The ledger's records seen as events still to be published."""

    async def unpublished(self, *, older_than_seconds: float, limit: int) -> Sequence[JobRecord]:
        """Return records whose event was not marked as published, oldest first."""

    async def mark_published(self, keys: Sequence[JobKey]) -> None:
        """Remember that these events are stored in the stream."""
