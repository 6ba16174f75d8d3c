"""The ledger and the outbox in memory."""

from collections.abc import Callable, Sequence
from uuid import UUID, uuid4

from application.ports.ledger import Attempt, CandidateGoneError, FaceResult, Recollection
from domain.decision import Accepted
from domain.errors import GalleryNotReadyError
from domain.guardrails import check_photo_again
from domain.jobs import JobKey
from domain.records import JobHeader, JobRecord, Matched, Outcome, SeenFace, Skipped, outcome_of
from tests.fakes.database import FaceMatchRow, InMemoryDatabase, OutcomeRow, PhotoFaceRow


class InMemoryLedger:
    """Records outcomes in the tables of an :class:`InMemoryDatabase`; each operation is atomic."""

    def __init__(self, database: InMemoryDatabase, *, new_id: Callable[[], UUID] = uuid4) -> None:
        self._database = database
        self._new_id = new_id

    async def recall(self, key: JobKey, photo_id: UUID) -> Recollection:
        """Look at three tables."""
        await self._database.operation("recall")
        return Recollection(
            record=self._standing(key),
            photo_exists=photo_id in self._database.photos,
            already_matched=self._database.is_matched(photo_id),
        )

    async def conclude(self, record: JobRecord) -> JobRecord:
        """Insert the record unless the job has one."""
        await self._database.operation("conclude")
        return self._record(record)

    async def conclude_face(self, header: JobHeader, result: FaceResult) -> JobRecord:
        """Decide, write and record."""
        await self._database.operation("conclude_face")
        standing = self._standing(header.key)
        if standing is not None:
            return standing
        return self._record(header.record(self._write(header, result)))

    async def note_attempt(self, attempt: Attempt) -> None:
        """Keep the delivery's first attempt."""
        await self._database.operation("note_attempt")
        self._database.attempts.setdefault((attempt.key, attempt.delivery), attempt)

    async def attempts(self, key: JobKey) -> Sequence[Attempt]:
        """Return the job's attempts by delivery."""
        await self._database.operation("attempts")
        attempts = self._database.attempts.values()
        return sorted((attempt for attempt in attempts if attempt.key == key), key=lambda attempt: attempt.delivery)

    async def attempts_on(self, photo_id: UUID) -> Sequence[Attempt]:
        """Return the photo's attempts, those of the newest job first."""
        await self._database.operation("attempts_on")
        attempts = [attempt for attempt in self._database.attempts.values() if attempt.photo_id == photo_id]
        attempts.sort(key=lambda attempt: attempt.delivery)
        return sorted(attempts, key=lambda attempt: (attempt.key.stored_at, attempt.key.sequence), reverse=True)

    async def history(self, photo_id: UUID) -> Sequence[JobRecord]:
        """Return the photo's records, by when they ended, the last first."""
        await self._database.operation("history")
        records = [row.record for row in self._database.outcomes.values() if row.record.photo_id == photo_id]
        return sorted(records, key=lambda record: (record.occurred_at, record.key.sequence), reverse=True)

    async def unpublished(self, *, older_than_seconds: float, limit: int) -> Sequence[JobRecord]:
        """Return records that were not marked, by the database's clock, oldest first."""
        await self._database.operation("unpublished")
        latest = self._database.clock.monotonic() - older_than_seconds
        rows = [
            row for row in self._database.outcomes.values() if row.published_at is None and row.recorded_at <= latest
        ]
        rows.sort(key=lambda row: (row.recorded_at, row.record.key.sequence))
        return [row.record for row in rows[:limit]]

    async def mark_published(self, keys: Sequence[JobKey]) -> None:
        """Mark what is there and unmarked."""
        await self._database.operation("mark_published")
        for key in keys:
            row = self._database.outcomes.get(key)
            if row is not None and row.published_at is None:
                row.published_at = self._database.clock.now()

    def _standing(self, key: JobKey) -> JobRecord | None:
        row = self._database.outcomes.get(key)
        return row.record if row is not None else None

    def _record(self, record: JobRecord) -> JobRecord:
        row = OutcomeRow(record, recorded_at=self._database.clock.monotonic())
        return self._database.outcomes.setdefault(record.key, row).record

    def _write(self, header: JobHeader, result: FaceResult) -> Outcome:
        assert header.photo_id is not None
        database, decision = self._database, result.decision
        objection = check_photo_again(
            exists=header.photo_id in database.photos, already_matched=database.is_matched(header.photo_id)
        )
        if objection is not None:
            return Skipped(objection.reason, objection.detail)
        model = result.embedding.model
        if database.is_anothers(model):
            raise GalleryNotReadyError(f"the gallery is not of {model}")
        if isinstance(decision, Accepted):
            user = database.users.get(decision.user_id)
            if user is None or not user.is_candidate_for(model) or user.fingerprint != decision.template:
                raise CandidateGoneError
        face = SeenFace(self._upsert_face(header, result), result.box)
        outcome = outcome_of(decision, face, new_id=self._new_id)
        if isinstance(outcome, Matched):
            row = FaceMatchRow(outcome.match_id, face.photo_face_id, outcome.user_id, outcome.comparison.distance)
            database.face_matches.append(row)
        return outcome

    def _upsert_face(self, header: JobHeader, result: FaceResult) -> UUID:
        assert header.photo_id is not None
        assert header.face_index is not None
        place = header.photo_id, header.face_index
        row = self._database.photo_faces.get(place)
        face_id = row.id if row is not None else self._new_id()
        self._database.photo_faces[place] = PhotoFaceRow(face_id, *place, result.embedding, result.box)
        return face_id
