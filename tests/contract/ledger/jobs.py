"""Jobs, faces and decisions for the ledger's tests; every number is one that a 32-bit float holds exactly."""

from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID, uuid4

from application.ports.ledger import FaceResult, Ledger
from domain.decision import Accepted, Comparison, NobodyEnrolled, Unknown
from domain.faces import BoundingBox, FaceEmbedding
from domain.jobs import JobKey
from domain.outcomes import Reason
from domain.records import Failed, JobHeader, JobRecord, Skipped
from tests.fakes.database import fingerprint

MODEL = "model@1"
NOON = datetime(2026, 5, 1, 12, 0, 0, 123456, tzinfo=UTC)
BOX = BoundingBox(1.5, 2.25, 100.0, 200.125)
NEAR = Comparison(distance=0.1, threshold=0.2, gallery_size=3, runner_up_distance=0.7)
_sequences = count(1)


def key(at: datetime = NOON) -> JobKey:
    """Return the key of a new job."""
    return JobKey(next(_sequences), at)


def embedding(*values: float, model: str = MODEL) -> FaceEmbedding:
    """Return an embedding of four dimensions."""
    return FaceEmbedding(model, (*values, 0.0, 0.0, 0.0, 0.0)[:4])


TEMPLATE = embedding(1.0)
"""The template of a user whom a face is taken for, where no other is given."""


def header(
    photo_id: UUID, *, job: JobKey | None = None, face_index: int = 0, occurred_at: datetime = NOON
) -> JobHeader:
    """Return what is known of a job for that photo."""
    return JobHeader(
        key=job or key(),
        occurred_at=occurred_at,
        embedder=MODEL,
        worker="worker-1",
        photo_id=photo_id,
        face_index=face_index,
        job_id=uuid4(),
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )


def accepted(user_id: UUID, face: FaceEmbedding | None = None, *, template: FaceEmbedding = TEMPLATE) -> FaceResult:
    """Return a face that is taken for that user's, by that template of theirs."""
    return FaceResult(face or embedding(1.0, 0.5), BOX, Accepted(user_id, NEAR, fingerprint(template.vector)))


def unknown(face: FaceEmbedding | None = None, box: BoundingBox = BOX) -> FaceResult:
    """Return a face that nobody is near enough to."""
    far = Comparison(distance=0.6, threshold=0.2, gallery_size=1)
    return FaceResult(face or embedding(1.0, 0.5), box, Unknown(far))


def nobody() -> FaceResult:
    """Return a face that there was nobody to compare with."""
    return FaceResult(embedding(1.0, 0.5), BOX, NobodyEnrolled())


def record(
    outcome: Skipped | Failed | None = None,
    *,
    job: JobKey | None = None,
    photo_id: UUID | None = None,
    occurred_at: datetime = NOON,
) -> JobRecord:
    """Return the record of a job that wrote no face."""
    return JobRecord(
        key=job or key(),
        outcome=outcome or Skipped(Reason.NO_FACE, "the detector found no face"),
        occurred_at=occurred_at,
        embedder=MODEL,
        worker="worker-1",
        photo_id=photo_id or uuid4(),
        face_index=0,
    )


async def recorded(ledger: Ledger, job: JobKey) -> JobRecord | None:
    """Return the job's recorded outcome, if any."""
    return (await ledger.recall(job, UUID(int=0))).record


def later(seconds: float) -> datetime:
    """Return a time after noon."""
    return NOON + timedelta(seconds=seconds)
