"""The ledger and the outbox, in schema ``facematch``."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, LiteralString, Self
from uuid import UUID, uuid4

import attrs
import psycopg
from psycopg import sql

from adapters.postgres.connection.commits import WAIT_FOR_COMMIT, wait_for_commits
from adapters.postgres.connection.database import Connection, Database
from adapters.postgres.connection.errors import swallowed
from adapters.postgres.connection.reading import reading
from adapters.postgres.connection.statements import Statement
from adapters.postgres.records.face_rows import face_values, insert_match, look_whether_named, upsert_face
from adapters.postgres.records.outcome_rows import (
    COLUMNS,
    UnreadableRecordError,
    from_row,
    readable,
    reason_of,
    storable,
    to_row,
)
from adapters.postgres.tables.schema import Schema
from application.ports.ledger import Attempt, CandidateGoneError, FaceResult, Recollection
from domain.decision import Accepted
from domain.errors import DatabaseUnavailableError, GalleryNotReadyError
from domain.guardrails import check_photo_again
from domain.jobs import JobKey
from domain.outcomes import Reason
from domain.records import JobHeader, JobRecord, SeenFace, Skipped, outcome_of

_COLUMN_LIST = sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
_SELECT = sql.SQL("SELECT {} FROM facematch.outcomes ").format(_COLUMN_LIST)
# The message is acknowledged on the strength of this row: so its commit waits. One that was not confirmed can be seen
# all the same, and whoever finds the row locks it: their own commit waits for what was before it.
_RECORD = f"""
INSERT INTO facematch.outcomes ({{columns}}) SELECT {{values}} WHERE {{condition}}
    ON CONFLICT (stream_seq, stored_at) DO NOTHING
RETURNING {WAIT_FOR_COMMIT}
"""
_STANDING = _SELECT + sql.SQL(
    f"WHERE stream_seq = %(stream_seq)s AND stored_at = %(stored_at)s AND {WAIT_FOR_COMMIT} IS NOT NULL FOR KEY SHARE"
)
_KNOWN = """
SELECT EXISTS (SELECT 1 FROM {photos} WHERE id = %(photo_id)s) AS photo_exists,
       EXISTS (SELECT 1 FROM {matches} m JOIN {faces} f ON f.id = m.photo_face_id WHERE f.photo_id = %(photo_id)s)
         AS already_matched,
       o.*
  FROM (VALUES (1)) AS always
  LEFT JOIN ({standing}) o ON true
"""


def _known(schema: Schema) -> sql.Composed:
    return sql.SQL(_KNOWN).format(
        photos=schema.photos.identifier,
        matches=schema.face_matches.identifier,
        faces=schema.photo_faces.identifier,
        standing=_STANDING,
    )


def _recording(condition: LiteralString) -> sql.Composed:
    values = sql.SQL(", ").join(map(sql.Placeholder, COLUMNS))
    return sql.SQL(_RECORD).format(columns=_COLUMN_LIST, values=values, condition=sql.SQL(condition))


_RECALL = Statement(_known)
_WRITE_FACE = Statement(lambda schema: upsert_face(schema, _known(schema)))
_LOOK_WHETHER_NAMED = Statement(look_whether_named)
_RECORD_OTHER = _recording("true").as_bytes()
_RECORD_MATCH = Statement(lambda schema: insert_match(schema) + _recording("EXISTS (SELECT FROM matched)"))
# Any fixed seed sets us apart from other users of advisory locks. A worker that freezes in the middle of its
# transaction is cut off, so that the photo does not stay locked. The photo's lock and that of a row can be waited for,
# one after the other, within the time that an operation may take.
_LOCK_PHOTO = (
    "SET LOCAL idle_in_transaction_session_timeout = {idle}; SET LOCAL lock_timeout = {locked}; "
    "SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('{photo}', 7163850419))"
)
_KEYS_AT_ONCE = sql.SQL("; SET CONSTRAINTS {} IMMEDIATE")
"""So that a match has waited for whoever holds its user before that user is asked for once more."""
_WRITTEN_MEANWHILE = psycopg.errors.ForeignKeyViolation, psycopg.errors.UniqueViolation
_ATTEMPT_COLUMNS = sql.SQL("stream_seq, stored_at, delivery, photo_id, reason, detail, worker, occurred_at")
_INSERT_ATTEMPT = sql.SQL(
    "INSERT INTO facematch.attempts ({}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s) "
    "ON CONFLICT (stream_seq, stored_at, delivery) DO NOTHING"
).format(_ATTEMPT_COLUMNS)
_ATTEMPTS = sql.SQL(
    "SELECT {} FROM facematch.attempts WHERE stream_seq = %s AND stored_at = %s ORDER BY delivery"
).format(_ATTEMPT_COLUMNS)
_ATTEMPTS_ON = sql.SQL(
    "SELECT {} FROM facematch.attempts WHERE photo_id = %s ORDER BY stored_at DESC, stream_seq DESC, delivery"
).format(_ATTEMPT_COLUMNS)
_HISTORY = (_SELECT + sql.SQL("WHERE photo_id = %s ORDER BY occurred_at DESC, stream_seq DESC")).as_bytes()
_ORPHANS = sql.SQL(
    ", pg_catalog.make_interval(secs => %s) AS age "
    "WHERE published_at IS NULL AND (recorded_at <= now() - age OR recorded_at > now() + age) "
    "AND (reason IS NULL OR reason = ANY (%s)) ORDER BY recorded_at, stream_seq LIMIT %s"
)
_UNPUBLISHED = (_SELECT + _ORPHANS).as_bytes()
_MARK_PUBLISHED = (
    b"UPDATE facematch.outcomes o SET published_at = now() "
    b"FROM unnest(%s::bigint[], %s::timestamptz[]) AS k(seq, at) "
    b"WHERE o.stream_seq = k.seq AND o.stored_at = k.at AND o.published_at IS NULL"
)


class _OvertakenError(Exception):
    """Another delivery recorded the job's outcome while this one was writing: nothing of this one may stay."""


@attrs.frozen
class _Written:
    """What came of writing a face: its id, or None with what was found instead."""

    face_id: UUID | None
    may_be_written: bool
    is_anothers: bool
    known: Recollection

    @classmethod
    def of(cls, row: Sequence[Any] | None) -> Self:
        """Read a row of :func:`upsert_face`."""
        face_id, may_be_written, is_anothers, *known = row or (None, False, False)
        return cls(face_id, may_be_written, is_anothers, _recollection(known))


class PostgresLedger:
    """Records outcomes at read committed, whatever the database's default is.

    The advisory lock on the photo makes the check-then-write safe. A row lock on ``photos`` would need rights on the
    application's table and get in its way.
    """

    def __init__(self, database: Database, *, new_id: Callable[[], UUID] = uuid4) -> None:
        self._database = database
        self._new_id = new_id

    async def recall(self, key: JobKey, photo_id: UUID) -> Recollection:
        """Return the job's recorded outcome and what is known of the photo, in one statement."""
        values = {"photo_id": photo_id, "stream_seq": key.sequence, "stored_at": key.stored_at}
        async with self._database.operation("recall") as connection:
            cursor = await connection.execute(_RECALL.on(self._database.schema), values)
            return _recollection(await cursor.fetchone())

    async def conclude(self, record: JobRecord) -> JobRecord:
        """Insert the record unless the job has one; return the one that stands."""
        async with self._database.operation("conclude") as connection:
            return await self._record(connection, record)

    async def conclude_face(self, header: JobHeader, result: FaceResult) -> JobRecord:
        """Decide, write and record in one transaction that holds the photo's lock.

        The application takes no such lock: where it deleted or wrote a row between the look and the write, a
        constraint says so, and a second look sees why. It also finds the outcome that another delivery has recorded.
        """
        try:
            return await self._conclude_face(header, result)
        except _OvertakenError:
            return await self._conclude_face(header, result)
        except DatabaseUnavailableError as error:
            if not isinstance(error.__cause__, _WRITTEN_MEANWHILE):
                raise
            return await self._conclude_face(header, result)

    async def note_attempt(self, attempt: Attempt) -> None:
        """Insert the attempt unless that delivery has one."""
        values = [
            attempt.key.sequence,
            attempt.key.stored_at,
            attempt.delivery,
            attempt.photo_id,
            attempt.reason.value if attempt.reason else None,
            storable(attempt.detail),
            storable(attempt.worker),
            attempt.occurred_at,
        ]
        async with self._database.operation("note_attempt") as connection:
            await connection.execute(_INSERT_ATTEMPT, values)

    async def attempts(self, key: JobKey) -> Sequence[Attempt]:
        """Return the job's attempts by delivery."""
        async with self._database.operation("attempts") as connection:
            cursor = await connection.execute(_ATTEMPTS, [key.sequence, key.stored_at])
            return [_attempt(row) for row in await cursor.fetchall()]

    async def attempts_on(self, photo_id: UUID) -> Sequence[Attempt]:
        """Return the photo's attempts, those of the newest job first."""
        async with reading(self._database, "attempts_on") as connection:
            return [_attempt(row) for row in await (await connection.execute(_ATTEMPTS_ON, [photo_id])).fetchall()]

    async def history(self, photo_id: UUID) -> Sequence[JobRecord]:
        """Return the photo's records, by when they ended, the last first."""
        async with reading(self._database, "history") as connection:
            return [from_row(row) for row in await (await connection.execute(_HISTORY, [photo_id])).fetchall()]

    async def unpublished(self, *, older_than_seconds: float, limit: int) -> Sequence[JobRecord]:
        """Return records that were not marked, by the database's own clock, oldest first.

        Those from the future are orphans, too: the clock that they were recorded by was another server's.
        """
        async with self._database.operation("unpublished") as connection:
            cursor = await connection.execute(_UNPUBLISHED, [older_than_seconds, list(Reason), limit])
            records = readable(await cursor.fetchall())
            if records:
                await wait_for_commits(connection)
            return records

    async def mark_published(self, keys: Sequence[JobKey]) -> None:
        """Mark in one statement."""
        async with self._database.operation("mark_published") as connection:
            values = [[key.sequence for key in keys], [key.stored_at for key in keys]]
            await connection.execute(_MARK_PUBLISHED, values)

    async def _conclude_face(self, header: JobHeader, result: FaceResult) -> JobRecord:
        schema = self._database.schema
        lock = _LOCK_PHOTO.format(
            idle=int(self._database.statement_seconds * 500),
            locked=int(self._database.statement_seconds * 400),
            photo=UUID(str(header.photo_id)),  # a UUID's own text needs no quoting, whatever class this one is of
        )
        if schema.deferred_keys:
            lock += _KEYS_AT_ONCE.format(sql.SQL(", ").join(schema.deferred_keys)).as_string()
        async with self._database.transaction("conclude_face", lock) as connection:
            values = face_values(schema, header, result, new_id=self._new_id())
            written = _Written.of(await (await connection.execute(_WRITE_FACE.on(schema), values)).fetchone())
            if written.face_id is None:
                if written.may_be_written:
                    raise swallowed("conclude_face", schema.photo_faces)
                return written.known.record or await self._record(connection, _objection(written, header))
            seen = SeenFace(written.face_id, result.box)
            record = header.record(outcome_of(result.decision, seen, new_id=self._new_id))
            if isinstance(result.decision, Accepted):
                by = {"model": result.embedding.model, "template": result.decision.template}
                standing = await self._record_match(connection, record, by)
            else:
                standing = await self._record(connection, record)
            if standing is not record:
                raise _OvertakenError
            return record

    async def _record(self, connection: Connection, record: JobRecord) -> JobRecord:
        """Insert an outcome that is no match."""
        inserted = await connection.execute(_RECORD_OTHER, to_row(record))
        return record if inserted.rowcount == 1 else await _standing(connection, record.key) or record

    async def _record_match(self, connection: Connection, record: JobRecord, by: Mapping[str, object]) -> JobRecord:
        """Insert the outcome and its match, if the user may still be named ``by`` the model's template.

        The match may have waited, when all else of its statement was done, for whoever had locked the user: so that
        is asked once more.
        """
        schema = self._database.schema
        values = {**to_row(record), **by}
        inserted = await connection.execute(_RECORD_MATCH.on(schema), values)
        if inserted.rowcount != 1:
            standing = await _standing(connection, record.key)
            if standing is not None:
                return standing
        if await (await connection.execute(_LOOK_WHETHER_NAMED.on(schema), values)).fetchone() != (True,):
            raise CandidateGoneError
        if inserted.rowcount != 1:
            raise swallowed("conclude_face", schema.face_matches)
        return record


async def _standing(connection: Connection, key: JobKey) -> JobRecord | None:
    values = {"stream_seq": key.sequence, "stored_at": key.stored_at}
    row = await (await connection.execute(_STANDING, values)).fetchone()
    return from_row(row) if row is not None else None


def _recollection(row: Sequence[Any] | None) -> Recollection:
    exists, matched, *record = row or (False, False, None)
    known = from_row(record) if record[0] is not None else None
    return Recollection(record=known, photo_exists=exists, already_matched=matched)


def _objection(written: _Written, header: JobHeader) -> JobRecord:
    """Return why nothing was written, when not all was as it was when the photo was looked at.

    Raises:
        GalleryNotReadyError: it has become another model's, or is being switched.
        CandidateGoneError: the accepted user may not be named any more.

    """
    known = written.known
    objection = check_photo_again(exists=known.photo_exists, already_matched=known.already_matched)
    if objection is not None:
        return header.record(Skipped(objection.reason, objection.detail))
    if written.is_anothers:
        raise GalleryNotReadyError(
            f"users were, or are being, switched from {header.embedder} to another embedder: set FACEMATCH_EMBEDDER to "
            "that one"
        )
    raise CandidateGoneError


def _attempt(row: Sequence[Any]) -> Attempt:
    """Return an attempt; that it failed counts, also where only a newer version knows the word for why."""
    sequence, stored_at, delivery, photo_id, reason, detail, worker, occurred_at = row
    try:
        why = reason_of(sequence, reason) if reason else None
    except UnreadableRecordError:
        why, detail = Reason.INTERNAL_ERROR, f"{reason}: {detail}"
    return Attempt(JobKey(sequence, stored_at), delivery, why, detail, worker, occurred_at, photo_id)
