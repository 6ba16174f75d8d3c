"""What is known of a photo's jobs, while they are tried and afterwards."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import attrs

from application.operating.photo_history import PhotoJob, photo_history, with_nearest_now
from application.ports.ledger import Attempt
from domain.decision import Candidate
from domain.faces import BoundingBox, FaceEmbedding
from domain.jobs import JobKey
from domain.outcomes import Reason
from domain.records import JobHeader, JobRecord, SeenFace, Skipped
from tests.fakes.database import InMemoryDatabase
from tests.fakes.gallery import InMemoryStoredFaces
from tests.fakes.ledger import InMemoryLedger

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
PHOTO = UUID(int=1)


def attempt(sequence: int, delivery: int = 1) -> Attempt:
    """Return an attempt for the photo that failed."""
    key = JobKey(sequence, NOW)
    return Attempt(key, delivery, Reason.STORAGE_UNAVAILABLE, "no answer", "worker-1", NOW, PHOTO)


def record(sequence: int, face_id: UUID | None = None) -> JobRecord:
    """Return the end of a job for the photo, which may have stored a face."""
    face = SeenFace(face_id, BoundingBox(0, 0, 1, 1)) if face_id else None
    outcome = Skipped(Reason.NO_MATCH if face else Reason.NO_FACE, face=face)
    return JobHeader(JobKey(sequence, NOW), NOW, "model@1", "worker-1", PHOTO).record(outcome)


async def test_jobs_that_go_on_come_first() -> None:
    """Each job has its own attempts; one that never failed has none."""
    ledger = InMemoryLedger(InMemoryDatabase())
    for tried in (attempt(1), attempt(2), attempt(2, 2), attempt(3)):
        await ledger.note_attempt(tried)
    for end in (record(2), record(4)):
        await ledger.conclude(end)
    assert await photo_history(ledger, PHOTO) == [
        PhotoJob(JobKey(3, NOW), PHOTO, None, [attempt(3)]),
        PhotoJob(JobKey(1, NOW), PHOTO, None, [attempt(1)]),
        PhotoJob(JobKey(4, NOW), PHOTO, record(4), []),
        PhotoJob(JobKey(2, NOW), PHOTO, record(2), [attempt(2), attempt(2, 2)]),
    ]
    assert await photo_history(ledger, UUID(int=2)) == []


async def test_a_job_that_was_never_heard_of_again_comes_after_a_later_one() -> None:
    """Its message is gone, so it never ends; that is no answer to why the photo was not matched since."""
    ledger = InMemoryLedger(InMemoryDatabase())
    await ledger.note_attempt(attrs.evolve(attempt(1), occurred_at=NOW - timedelta(days=31)))
    await ledger.conclude(record(2))
    assert [job.key.sequence for job in await photo_history(ledger, PHOTO)] == [2, 1]


async def test_a_job_that_ends_meanwhile_has_ended() -> None:
    """It is not told as one that goes on, nor twice."""

    class Busy(InMemoryLedger):
        async def attempts_on(self, photo_id: UUID) -> Sequence[Attempt]:
            found = await super().attempts_on(photo_id)
            await self.conclude(record(1))
            return found

    ledger = Busy(InMemoryDatabase())
    await ledger.note_attempt(attempt(1))
    assert await photo_history(ledger, PHOTO) == [PhotoJob(JobKey(1, NOW), PHOTO, record(1), [attempt(1)])]


async def test_the_newest_job_of_a_face_tells_whom_it_is_nearest_to_now() -> None:
    """Three of the users of today. Earlier jobs' faces were overwritten, and the others stored none."""
    database, embedding = InMemoryDatabase(), FaceEmbedding("model@1", (1.0, 0.0))
    face = database.add_face(PHOTO, embedding)
    jobs = [
        PhotoJob(JobKey(5, NOW), PHOTO, None, [attempt(5)]),
        *(PhotoJob(JobKey(seq, NOW), PHOTO, record(seq, of), []) for seq, of in ((4, None), (3, face), (2, face))),
    ]
    faces = InMemoryStoredFaces(database)
    assert [job.nearest_now for job in await with_nearest_now(jobs, faces)] == [None, None, [], None]
    for number in range(1, 5):
        database.add_user(UUID(int=number), embedding)
    told = await with_nearest_now(jobs, faces)
    assert [attrs.evolve(job, nearest_now=None) for job in told] == jobs
    assert told[2].nearest_now == [Candidate(UUID(int=number), 0.0) for number in (1, 2, 3)]
