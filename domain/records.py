"""The record of a finished job: the operator's answer to "why?", and the source of the result event."""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

import attrs

from domain.decision import Accepted, Comparison, MatchDecision, NobodyEnrolled, Unknown
from domain.faces import BoundingBox
from domain.jobs import JobKey
from domain.outcomes import OutcomeKind, Reason
from domain.redaction import redact


@attrs.frozen
class SeenFace:
    """The id of the stored face that a job wrote, and the face's box."""

    photo_face_id: UUID
    box: BoundingBox


@attrs.frozen
class Matched:
    """A match was recorded."""

    user_id: UUID
    match_id: UUID
    face: SeenFace
    comparison: Comparison

    kind = OutcomeKind.MATCHED
    reason = None
    detail = ""


@attrs.frozen
class Skipped:
    """The job ended without a match, for a reason that lies in the job."""

    reason: Reason
    detail: str = attrs.field(default="", converter=redact)
    face: SeenFace | None = None
    comparison: Comparison | None = None

    kind = OutcomeKind.SKIPPED
    user_id = None
    match_id = None


@attrs.frozen
class Failed:
    """Every attempt failed, for a reason that lies in the system."""

    reason: Reason
    detail: str = attrs.field(default="", converter=redact)

    kind = OutcomeKind.FAILED
    user_id = None
    match_id = None
    face = None
    comparison = None


Outcome = Matched | Skipped | Failed
"""All of them can be asked the same: what does not apply is None, or no detail."""


def outcome_of(decision: MatchDecision, face: SeenFace, *, new_id: Callable[[], UUID]) -> Matched | Skipped:
    """Return how a job ends that was decided so, and whose face is written; ``new_id`` makes a match's id."""
    match decision:
        case Accepted(user_id=user_id, comparison=comparison):
            return Matched(user_id, new_id(), face, comparison)
        case Unknown(comparison=comparison) as unknown:
            return Skipped(Reason.NO_MATCH, unknown.detail, face, comparison)
        case NobodyEnrolled():
            return Skipped(Reason.NO_ENROLLED_USERS, "nobody is enrolled with this embedder", face)


@attrs.frozen
class JobHeader:
    """What is known of a job that ends, whatever its outcome.

    ``occurred_at`` is in UTC; ``traceparent`` is the W3C header of the attempt's span.
    """

    key: JobKey
    occurred_at: datetime
    embedder: str
    worker: str
    photo_id: UUID | None = None
    face_index: int | None = None
    job_id: UUID | None = None
    traceparent: str | None = None

    def record(self, outcome: Outcome) -> "JobRecord":
        """Return the record of the job that ended so."""
        return JobRecord(outcome=outcome, **attrs.asdict(self, recurse=False))


@attrs.frozen
class JobRecord(JobHeader):
    """One finished job."""

    outcome: Outcome = attrs.field(kw_only=True)

    @property
    def dead_lettered(self) -> bool:
        """True when the original message is kept in the dead-letter stream and not acknowledged as done."""
        return isinstance(self.outcome, Failed) or self.outcome.reason is Reason.MALFORMED_PAYLOAD
