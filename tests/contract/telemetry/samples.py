"""Deliveries and records as telemetry is told of them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import UUID

import attrs

from domain.decision import Comparison
from domain.faces import BoundingBox, StageTiming
from domain.jobs import JobKey, MalformedJob, MatchJob
from domain.outcomes import Reason
from domain.records import Failed, JobRecord, Matched, Outcome, SeenFace, Skipped

TRACE_ID, PUBLISHER_SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE_ID}-{PUBLISHER_SPAN_ID}-01"
STORED_AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
KEY = JobKey(7, STORED_AT)
PHOTO, JOB_ID, USER = UUID(int=1), UUID(int=2), UUID(int=3)
JOB = MatchJob(PHOTO, "anna.jpg", job_id=JOB_ID)
MALFORMED = MalformedJob(("photo_id: required",))
FACE = SeenFace(UUID(int=4), BoundingBox(1.0, 2.0, 30.0, 40.0))
COMPARISON = Comparison(distance=0.04, threshold=0.07, gallery_size=3, runner_up_distance=0.4)
MATCHED = Matched(USER, UUID(int=5), FACE, COMPARISON)
NO_MATCH = Skipped(Reason.NO_MATCH, "the nearest user is too far", FACE, attrs.evolve(COMPARISON, distance=0.5))
NO_FACE = Skipped(Reason.NO_FACE, "the detector found no face")
NOT_PARSED = Skipped(Reason.MALFORMED_PAYLOAD, "photo_id: required")
GIVEN_UP = Failed(Reason.STORAGE_UNAVAILABLE, "object store 127.0.0.1:9000, minio://images/a.jpg: SlowDown")
OUTCOMES: tuple[Outcome, ...] = (MATCHED, NO_MATCH, NO_FACE, NOT_PARSED, GIVEN_UP)
TIMINGS = (StageTiming("decode", 1_000_000, 3_000_000, 4711), StageTiming("detect", 3_000_000, 9_000_000, 4711))


@attrs.frozen
class SampleDelivery:
    """A delivery that nobody settles."""

    key: JobKey = KEY
    number: int = 1
    body: bytes = b"{}"
    headers: Mapping[str, str] = attrs.field(factory=dict)
    trace_context: Mapping[str, str] = attrs.field(factory=dict)
    replayed_trace_context: Mapping[str, str] = attrs.field(factory=dict)

    async def ack(self) -> None:
        """Do nothing."""

    async def retry(self, *, after_seconds: float) -> None:
        """Do nothing."""

    async def terminate(self, reason: str) -> None:
        """Do nothing."""

    async def keep_alive(self) -> None:
        """Do nothing."""


def record(outcome: Outcome, key: JobKey = KEY) -> JobRecord:
    """Return the record of a job that ended so."""
    return JobRecord(key, STORED_AT, "dlib@2", "worker-1", photo_id=PHOTO, face_index=0, job_id=JOB_ID, outcome=outcome)
