"""Records of finished jobs, one of each kind, and deliveries of jobs that were given up."""

from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import UUID

from application.ports.job_queue import Delivery
from domain.decision import Comparison
from domain.faces import BoundingBox
from domain.jobs import JobKey
from domain.outcomes import Reason
from domain.records import Failed, JobRecord, Matched, Outcome, SeenFace, Skipped
from tests.fakes.queue import InMemoryJobQueue

OCCURRED = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
FACE = SeenFace(UUID(int=31), BoundingBox(1.5, 2.0, 30.25, 40.0))
COMPARISON = Comparison(distance=0.031, threshold=0.07, gallery_size=20)
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

OUTCOMES: dict[str, Outcome] = {
    "matched": Matched(UUID(int=21), UUID(int=41), FACE, COMPARISON),
    "matched without a threshold": Matched(UUID(int=21), UUID(int=41), FACE, Comparison(0.9, None, 1)),
    "nobody near": Skipped(Reason.NO_MATCH, "", FACE, COMPARISON),
    "nobody enrolled": Skipped(Reason.NO_ENROLLED_USERS, "", FACE),
    "no face": Skipped(Reason.NO_FACE, "the detector found no face"),
    "failed": Failed(Reason.STORAGE_UNAVAILABLE, "no answer"),
}


def record(outcome: Outcome = OUTCOMES["no face"], sequence: int = 7) -> JobRecord:
    """Return the record of a job with every field set."""
    return JobRecord(
        key=JobKey(sequence, OCCURRED),
        outcome=outcome,
        occurred_at=OCCURRED,
        embedder="dlib@2",
        worker="worker-1",
        photo_id=UUID(int=1),
        face_index=3,
        job_id=UUID(int=9),
        traceparent=TRACEPARENT,
    )


def malformed(sequence: int = 7, detail: str = "not JSON") -> JobRecord:
    """Return the record of a job that nothing could be read of."""
    return JobRecord(
        key=JobKey(sequence, OCCURRED),
        outcome=Skipped(Reason.MALFORMED_PAYLOAD, detail),
        occurred_at=OCCURRED,
        embedder="dlib@2",
        worker="worker-1",
    )


async def delivery(body: bytes, headers: Mapping[str, str] | None = None, *, number: int = 1) -> Delivery:
    """Return a delivery that has been made so often."""
    queue = InMemoryJobQueue()
    queue.publish(body, headers or {})
    for _ in range(number - 1):
        [earlier] = await queue.fetch(1, timeout_seconds=1)
        await earlier.retry(after_seconds=0)
    [last] = await queue.fetch(1, timeout_seconds=1)
    return last
