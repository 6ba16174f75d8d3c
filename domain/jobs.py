"""The job: a request to find out whose face is on one photograph."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import attrs

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@attrs.frozen
class JobKey:
    """Identity of a job: its place in the queue's log and the time at which it was stored there.

    A redelivery has the same key; a new message for the same photo has another one.
    ``stored_at`` has microsecond precision and is in UTC.
    """

    sequence: int
    stored_at: datetime

    def __str__(self) -> str:
        """Return a short text that is unique to the job and stable over redeliveries."""
        micros = (self.stored_at - _EPOCH) // timedelta(microseconds=1)
        return f"{self.sequence}-{micros}"


@attrs.frozen
class MatchJob:
    """A well-formed request. ``image_ref`` is unparsed: its guardrail comes later."""

    photo_id: UUID
    image_ref: str | None = None
    face_index: int = 0
    faces_detected: int | None = None
    job_id: UUID | None = None


@attrs.frozen
class MalformedJob:
    """A request that cannot be understood, with every problem and what could still be read of it."""

    problems: tuple[str, ...]
    photo_id: UUID | None = None
    face_index: int | None = None
    job_id: UUID | None = None
