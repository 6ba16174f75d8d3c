"""The ledger and the outbox, in schema ``facematch``."""

import json
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID, uuid4

import attrs
import numpy as np
import psycopg
from pgvector import Vector
from psycopg import sql
from psycopg.types.json import Jsonb

from adapters.postgres.database import Connection, Database
from adapters.postgres.rows import COLUMNS, box_document, from_row, to_row
from application.ports.ledger import Attempt, CandidateGoneError, FaceResult, JobHeader, Recollection
from domain.decision import Accepted, NobodyEnrolled, Unknown
from domain.faces import BoundingBox
from domain.jobs import JobKey
from domain.outcomes import Reason
from domain.records import JobRecord, Matched, Outcome, SeenFace, Skipped

_COLUMN_LIST = sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
_SELECT = sql.SQL("SELECT {} FROM facematch.outcomes ").format(_COLUMN_LIST)
_BY_KEY = _SELECT + sql.SQL("WHERE stream_seq = %s AND stored_at = %s")
_INSERT = sql.SQL("INSERT INTO facematch.outcomes ({}) VALUES ({}) ON CONFLICT DO NOTHING").format(
    _COLUMN_LIST, sql.SQL(", ").join([sql.Placeholder()] * len(COLUMNS))
)
_LOCK_PHOTO = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 7163850419))"  # any fixed seed sets us apart
_ATTEMPT_COLUMNS = "stream_seq, stored_at, delivery, photo_id, reason, detail, worker, occurred_at"


class PostgresLedger:
    """Records outcomes at read committed; the advisory lock on the photo makes its check-then-write safe.

    A row lock on ``photos`` would need rights on the application's table and get in its way.
    """

    def __init__(self, database: Database, *, new_id: Callable[[], UUID] = uuid4) -> None:
        self._database = database
        self._new_id = new_id

    async def recall(self, key: JobKey, photo_id: UUID) -> Recollection:
        """Return the job's recorded outcome and what is known of the photo, in one statement."""
        schema = self._database.schema
        query = sql.SQL(
            "SELECT EXISTS (SELECT 1 FROM {photos} WHERE id = %(photo)s), {matched}, o.* "
            "FROM (VALUES (1)) AS always "
            "LEFT JOIN ({select} WHERE stream_seq = %(seq)s AND stored_at = %(at)s) o ON true"
        ).format(photos=schema.photos.identifier, matched=self._matched(), select=_SELECT)
        async with self._database.operation("recall") as connection:
            cursor = await connection.execute(query, {"photo": photo_id, "seq": key.sequence, "at": key.stored_at})
            row = await cursor.fetchone()
        exists, matched, *record = row or (False, False, None)
        return Recollection(
            record=from_row(record) if record[0] is not None else None, photo_exists=exists, already_matched=matched
        )

    async def conclude(self, record: JobRecord) -> JobRecord:
        """Insert the record unless the job has one; return the one that stands."""
        async with self._database.operation("conclude") as connection:
            return await self._record(connection, record)

    async def conclude_face(self, header: JobHeader, result: FaceResult) -> JobRecord:
        """Decide, write and record in one transaction that holds the photo's lock."""
        try:
            async with self._database.operation("conclude_face") as connection, connection.transaction():
                await connection.execute(_LOCK_PHOTO, [str(header.photo_id)])
                standing = await self._find(connection, header.key)
                if standing is not None:
                    return standing
                outcome = await self._write(connection, header, result)
                return await self._record(connection, _record(header, outcome))
        except psycopg.errors.ForeignKeyViolation as error:
            return await self._after_deletion(header, error)

    async def note_attempt(self, attempt: Attempt) -> None:
        """Insert the attempt unless that delivery has one."""
        query = (
            f"INSERT INTO facematch.attempts ({_ATTEMPT_COLUMNS}) "  # noqa: S608 - constant columns
            "VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"
        )
        values = [
            attempt.key.sequence,
            attempt.key.stored_at,
            attempt.delivery,
            attempt.photo_id,
            attempt.reason.value,
            attempt.detail.replace("\x00", ""),
            attempt.worker,
            attempt.occurred_at,
        ]
        async with self._database.operation("note_attempt") as connection:
            await connection.execute(query.encode(), values)

    async def attempts(self, key: JobKey) -> Sequence[Attempt]:
        """Return the job's attempts by delivery."""
        query = (
            f"SELECT {_ATTEMPT_COLUMNS} FROM facematch.attempts "  # noqa: S608 - constant columns
            "WHERE stream_seq = %s AND stored_at = %s ORDER BY delivery"
        )
        async with self._database.operation("attempts") as connection:
            rows = await (await connection.execute(query.encode(), [key.sequence, key.stored_at])).fetchall()
        return [_attempt(row) for row in rows]

    async def history(self, photo_id: UUID) -> Sequence[JobRecord]:
        """Return the photo's records, newest first."""
        query = _SELECT + sql.SQL("WHERE photo_id = %s ORDER BY occurred_at DESC, stream_seq DESC")
        async with self._database.operation("history") as connection:
            return [from_row(row) for row in await (await connection.execute(query, [photo_id])).fetchall()]

    async def unpublished(self, *, older_than_seconds: float, limit: int) -> Sequence[JobRecord]:
        """Return records that were not marked, by the database's own clock, oldest first."""
        query = _SELECT + sql.SQL(
            "WHERE published_at IS NULL AND recorded_at <= now() - make_interval(secs => %s) "
            "ORDER BY recorded_at, stream_seq LIMIT %s"
        )
        async with self._database.operation("unpublished") as connection:
            rows = await (await connection.execute(query, [older_than_seconds, limit])).fetchall()
        return [from_row(row) for row in rows]

    async def mark_published(self, keys: Sequence[JobKey]) -> None:
        """Mark in one statement."""
        query = (
            "UPDATE facematch.outcomes o SET published_at = now() "
            "FROM unnest(%s::bigint[], %s::timestamptz[]) AS k(seq, at) "
            "WHERE o.stream_seq = k.seq AND o.stored_at = k.at AND o.published_at IS NULL"
        )
        async with self._database.operation("mark_published") as connection:
            await connection.execute(query, [[key.sequence for key in keys], [key.stored_at for key in keys]])

    async def _find(self, connection: Connection, key: JobKey) -> JobRecord | None:
        row = await (await connection.execute(_BY_KEY, [key.sequence, key.stored_at])).fetchone()
        return from_row(row) if row is not None else None

    async def _record(self, connection: Connection, record: JobRecord) -> JobRecord:
        inserted = await connection.execute(_INSERT, to_row(record))
        if inserted.rowcount == 1:
            return record
        return await self._find(connection, record.key) or record

    async def _write(self, connection: Connection, header: JobHeader, result: FaceResult) -> Outcome:
        schema = self._database.schema
        accepted = result.decision.user_id if isinstance(result.decision, Accepted) else None
        query = sql.SQL(
            "SELECT EXISTS (SELECT 1 FROM {photos} WHERE id = %(photo)s), {matched}, EXISTS (SELECT 1 FROM {users} u "
            "WHERE u.id = %(user)s AND u.face_embedding_model = %(model)s AND {candidate})"
        ).format(
            photos=schema.photos.identifier,
            matched=self._matched(),
            users=schema.users.identifier,
            candidate=schema.candidate_condition("u"),
        )
        cursor = await connection.execute(
            query, {"photo": header.photo_id, "user": accepted, "model": result.embedding.model}
        )
        exists, matched, candidate = await cursor.fetchone() or (False, False, False)
        if not exists:
            return Skipped(Reason.PHOTO_NOT_FOUND, "the photo was deleted while it was being looked at")
        if matched:
            return Skipped(Reason.ALREADY_MATCHED, "another job matched the photo first")
        if accepted is not None and not candidate:
            raise CandidateGoneError
        face = SeenFace(await self._upsert_face(connection, header, result), result.box)
        match result.decision:
            case Accepted(user_id=user_id, comparison=comparison):
                match_id = self._new_id()
                insert = sql.SQL(
                    "INSERT INTO {} (id, photo_face_id, user_id, confidence, created_at) VALUES (%s, %s, %s, %s, %s)"
                ).format(schema.face_matches.identifier)
                values = [match_id, face.photo_face_id, user_id, comparison.distance, header.occurred_at]
                await connection.execute(insert, values)
                return Matched(user_id, match_id, face, comparison)
            case Unknown(comparison=comparison):
                return Skipped(Reason.NO_MATCH, "the nearest user is beyond the threshold", face, comparison)
            case NobodyEnrolled():
                return Skipped(Reason.NO_ENROLLED_USERS, "nobody is enrolled with this embedder", face)

    async def _upsert_face(self, connection: Connection, header: JobHeader, result: FaceResult) -> UUID:
        """Update the row of that face, or insert it; the lock stands in for a constraint that may be missing."""
        table = self._database.schema.photo_faces
        values: dict[str, Any] = {
            "embedding": Vector(np.asarray(result.embedding.vector, dtype=np.float32)),
            "model": result.embedding.model,
            "bbox": _bbox(result.box, table.columns["bbox"]),
            "photo": header.photo_id,
            "face_index": header.face_index,
        }
        update = sql.SQL(
            "UPDATE {} SET embedding = %(embedding)s, embedding_model = %(model)s, bbox = %(bbox)s "
            "WHERE photo_id = %(photo)s AND face_index = %(face_index)s RETURNING id"
        ).format(table.identifier)
        row = await (await connection.execute(update, values)).fetchone()
        if row is not None:
            return UUID(str(row[0]))
        new_id = self._new_id()
        insert = sql.SQL(
            "INSERT INTO {} (id, photo_id, face_index, embedding, embedding_model, bbox, created_at) "
            "VALUES (%(id)s, %(photo)s, %(face_index)s, %(embedding)s, %(model)s, %(bbox)s, %(at)s)"
        ).format(table.identifier)
        await connection.execute(insert, values | {"id": new_id, "at": header.occurred_at})
        return new_id

    async def _after_deletion(self, header: JobHeader, error: Exception) -> JobRecord:
        """Tell what a foreign key missed: the photo, or else the user."""
        if (await self.recall(header.key, header.photo_id)).photo_exists:
            raise CandidateGoneError from error
        gone = Skipped(Reason.PHOTO_NOT_FOUND, "the photo was deleted while it was being looked at")
        return await self.conclude(_record(header, gone))

    def _matched(self) -> sql.Composed:
        schema = self._database.schema
        return sql.SQL(
            "EXISTS (SELECT 1 FROM {matches} m JOIN {faces} f ON f.id = m.photo_face_id WHERE f.photo_id = %(photo)s)"
        ).format(matches=schema.face_matches.identifier, faces=schema.photo_faces.identifier)


def _record(header: JobHeader, outcome: Outcome) -> JobRecord:
    return JobRecord(outcome=outcome, **attrs.asdict(header, recurse=False))


def _bbox(box: BoundingBox, column_type: str) -> Jsonb | str:
    document = box_document(box)
    return Jsonb(document) if column_type == "jsonb" else json.dumps(document)


def _attempt(row: Sequence[Any]) -> Attempt:
    sequence, stored_at, delivery, photo_id, reason, detail, worker, occurred_at = row
    return Attempt(JobKey(sequence, stored_at), delivery, Reason(reason), detail, worker, occurred_at, photo_id)
