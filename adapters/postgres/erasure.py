"""Erasure: everything that facematch has of one user is deleted in one transaction, beside running workers."""

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

import attrs
from psycopg import AsyncCursor, sql
from psycopg.rows import TupleRow

from adapters.postgres.connection.commits import WAIT_FOR_COMMIT
from adapters.postgres.connection.database import Connection, Database
from adapters.postgres.tables.rights import current_role, missing_erasure_grants
from adapters.postgres.tables.schema import Schema
from domain.errors import DatabaseForbiddenError, DatabaseRefusedError

LOCK_TIMEOUT_SECONDS = 30.0
"""How long one statement may wait for a row that somebody keeps locked."""
_SECONDS = 3600.0
"""The ledger and the stored faces are read from end to end."""
_SETTINGS = f"""
SELECT {WAIT_FOR_COMMIT}, pg_catalog.set_config(name, '0', true) FROM pg_catalog.pg_settings
 WHERE name IN ('statement_timeout', 'transaction_timeout'); SET LOCAL lock_timeout =
"""  # noqa: S608 - of our own constants
_PHOTOS_OF_LEDGER = """
SELECT DISTINCT photo_id FROM facematch.outcomes WHERE user_id = %(user)s AND photo_id IS NOT NULL
"""
_NEAREST = """
SELECT id, photo_id, distance FROM (
    SELECT f.id, f.photo_id, CASE WHEN {dimensions}(f.embedding) = {dimensions}(u.face_embedding)
                                  THEN f.embedding {cosine} u.face_embedding END AS distance
      FROM {users} u JOIN {faces} f ON f.embedding_model = u.face_embedding_model
     WHERE u.id = %(user)s AND f.photo_id <> ALL (%(photos)s::uuid[])
       AND NOT EXISTS (SELECT FROM {matches} m WHERE m.photo_face_id = f.id)) unmatched
 WHERE distance < 'NaN' ORDER BY distance, id LIMIT %(nearest)s
"""
_PHOTOS_OF_MATCHES = """
SELECT DISTINCT f.photo_id FROM {matches} m JOIN {faces} f ON f.id = m.photo_face_id WHERE m.user_id = %(user)s
"""
_LOCK_FACES = "SELECT FROM {faces} f WHERE f.photo_id = ANY (%(photos)s::uuid[]) ORDER BY f.id FOR UPDATE"
_LOCK_USER = "SELECT face_embedding IS NOT NULL FROM {users} WHERE id = %(user)s FOR UPDATE"
_DELETE_MATCHES = "DELETE FROM {matches} WHERE user_id = %(user)s RETURNING id, photo_face_id"
_ARE_THEIRS = """
f.photo_id = ANY (%(photos)s::uuid[]) AND NOT EXISTS (SELECT FROM {matches} m WHERE m.photo_face_id = f.id)
AND (EXISTS (SELECT FROM facematch.outcomes o WHERE o.photo_id = f.photo_id AND o.photo_face_id = f.id)
     OR f.embedding_model IS NOT NULL
        AND (f.id = ANY (%(matched_faces)s::uuid[]) OR f.photo_id = ANY (%(named_photos)s::uuid[])))
"""
_DELETE_FACES = "DELETE FROM {faces} f WHERE {are_theirs}"
_OTHER_FACES = "SELECT f.id, f.photo_id FROM {faces} f WHERE f.photo_id = ANY (%(photos)s::uuid[]) ORDER BY 2, 1"
_HAS_TEMPLATE = "id = %(user)s AND (face_embedding IS NOT NULL OR face_embedding_model IS NOT NULL)"
_DELETE_TEMPLATE = "UPDATE {users} SET face_embedding = NULL, face_embedding_model = NULL WHERE {has_template}"
_STILL_THERE = """
SELECT EXISTS (SELECT FROM {matches} WHERE user_id = %(user)s), EXISTS (SELECT FROM {faces} f WHERE {are_theirs}),
       EXISTS (SELECT FROM {users} WHERE {has_template}),
       EXISTS (SELECT FROM facematch.gallery WHERE user_id = %(user)s)
"""
# The trigger that follows users deletes it with the template, if the application has not switched triggers off.
_DELETE_INDEXED = "DELETE FROM facematch.gallery WHERE user_id = %(user)s"
_DELETE_PREPARED = "DELETE FROM facematch.prepared_templates WHERE user_id = %(user)s"
_DELETE_ENROLMENT = "DELETE FROM facematch.templates WHERE user_id = %(user)s"
_DELETE_ATTEMPTS = "DELETE FROM facematch.attempts WHERE photo_id = ANY (%(photos)s::uuid[])"
_DELETE_OUTCOMES = """
DELETE FROM facematch.outcomes
 WHERE photo_id = ANY (%(photos)s::uuid[]) AND (user_id IS NULL OR user_id = %(user)s)
"""


@attrs.frozen
class StoredFace:
    """A row of ``photo_faces``; its cosine ``distance`` to the user's template where it was compared."""

    photo_face_id: UUID
    photo_id: UUID
    distance: float | None = None


@attrs.frozen(kw_only=True)
class Forgotten:
    """What was deleted of a user, and what was found and left.

    ``index_rows`` are those of the search index that were there without a template, or stayed when it was deleted.
    ``photos`` are those that the user was matched on or that were named; ``photos_of_ledger`` those that only the
    ledger still told of. ``faces_left`` are other faces on all of these: another user is matched to them, or facematch
    did not write them. ``nearest`` are the stored faces without a match that were nearest to the template, on other
    photos.
    """

    user_exists: bool
    template: bool
    index_rows: int
    prepared_templates: int
    enrolments: int
    faces: int
    matches: tuple[UUID, ...]
    outcomes: int
    attempts: int
    photos: tuple[UUID, ...]
    photos_of_ledger: tuple[UUID, ...]
    faces_left: tuple[StoredFace, ...]
    nearest: tuple[StoredFace, ...]

    @property
    def is_nothing(self) -> bool:
        """True where nothing was there to delete."""
        counts = self.index_rows, self.prepared_templates, self.enrolments, self.faces, self.outcomes, self.attempts
        return not (self.template or self.matches or any(counts))


async def erase(
    database: Database,
    user_id: UUID,
    *,
    photos: Collection[UUID] = (),
    nearest: int = 0,
    dry_run: bool = False,
    lock_timeout_seconds: float = LOCK_TIMEOUT_SECONDS,
) -> Forgotten:
    """Delete all that the tables have of a user, and return what it was; with ``dry_run`` take it back.

    That is their templates and matches, what the ledger says of the photos that they were matched on, and the faces
    that facematch wrote on these and that nobody else is matched to. The same goes for faces on ``photos``. Up to
    ``nearest`` faces without a match are looked for before. While it waits for a row that somebody keeps locked, others
    wait for the rows that it has locked itself: it gives up after ``lock_timeout_seconds``.

    Raises:
        DatabaseForbiddenError: the role may not; the message has the statements for the owner.
        DatabaseRefusedError: a rule of the application's refuses or swallows it; nothing was deleted.
        DatabaseLockedError: somebody keeps a row locked; nothing was deleted.
        DatabaseUnavailableError: no answer.

    """
    settings = f"{_SETTINGS.strip()} '{lock_timeout_seconds:g}s'"
    async with database.transaction("forget", settings, seconds=_SECONDS) as connection:
        await _insist_on_rights(connection, database.schema)
        forgotten = await _Erasure(connection, database.schema, user_id).run(set(photos), nearest)
        if dry_run:
            await connection.rollback()
    return forgotten


async def _insist_on_rights(connection: Connection, schema: Schema) -> None:
    role = await current_role(connection)
    lacking = await missing_erasure_grants(connection, schema.by_name, schema.vector_schema, role)
    if lacking:
        raise DatabaseForbiddenError(
            f"the role may not forget a user: connect as the tables' owner, or let it run: {'; '.join(lacking)};"
        )


class _Erasure:
    """One transaction.

    A worker locks a face that it writes, then, by a foreign key, the user whom it names; so does this, in the same
    order. Once the user is locked, every match that was being written is committed and seen, or waits and is then
    given up, for its user has no template any more. Faces on photos with a match are not written by workers. What
    reads whole tables comes before the locks.
    """

    def __init__(self, connection: Connection, schema: Schema, user_id: UUID) -> None:
        self._connection = connection
        self._schema = schema
        self._user_id = user_id

    async def run(self, named: set[UUID], nearest: int) -> Forgotten:
        of_ledger = await self._ids(_PHOTOS_OF_LEDGER)
        photos = named | of_ledger | await self._ids(_PHOTOS_OF_MATCHES)
        near = await self._rows(_NEAREST, photos=list(photos), nearest=nearest) if nearest else []
        await self._rows(_LOCK_FACES, photos=list(photos))
        user = await self._rows(_LOCK_USER)
        matched = await self._ids(_PHOTOS_OF_MATCHES)
        photos |= matched
        await self._rows(_LOCK_FACES, photos=list(photos))
        matches = await self._rows(_DELETE_MATCHES)
        whose = {
            "photos": list(photos),
            "named_photos": list(named),
            "matched_faces": [face for _, face in matches],
        }
        faces = await self._count(_DELETE_FACES, **whose)
        await self._count(_DELETE_TEMPLATE)
        index_rows = await self._count(_DELETE_INDEXED)
        await self._insist_on_deletion(whose)
        return Forgotten(
            user_exists=bool(user),
            template=user == [(True,)],
            index_rows=index_rows,
            prepared_templates=await self._count(_DELETE_PREPARED),
            enrolments=await self._count(_DELETE_ENROLMENT),
            faces=faces,
            matches=tuple(match for match, _ in matches),
            attempts=await self._count(_DELETE_ATTEMPTS, photos=list(photos)),
            outcomes=await self._count(_DELETE_OUTCOMES, photos=list(photos)),
            photos=tuple(sorted(named | matched)),
            photos_of_ledger=tuple(sorted(of_ledger - named - matched)),
            faces_left=tuple(StoredFace(*row) for row in await self._rows(_OTHER_FACES, photos=list(photos))),
            nearest=tuple(StoredFace(*row) for row in near),
        )

    async def _insist_on_deletion(self, whose: Mapping[str, list[UUID]]) -> None:
        [still_there] = await self._rows(_STILL_THERE, **whose)
        tables = self._schema.face_matches, self._schema.photo_faces, self._schema.users, "facematch.gallery"
        for is_there, table in zip(still_there, tables, strict=True):
            if is_there:
                raise DatabaseRefusedError(
                    f"database, forget: rows of {table} stay, and no error told: a trigger of the application swallows "
                    "the deletion, or a rule"
                )

    async def _ids(self, statement: str) -> set[UUID]:
        return {row[0] for row in await self._rows(statement)}

    async def _rows(self, statement: str, **values: object) -> list[tuple[Any, ...]]:
        return await (await self._execute(statement, values)).fetchall()

    async def _count(self, statement: str, **values: object) -> int:
        return (await self._execute(statement, values)).rowcount

    async def _execute(self, statement: str, values: Mapping[str, object]) -> AsyncCursor[TupleRow]:
        tables: dict[str, sql.Composable] = {
            "users": self._schema.users.identifier,
            "faces": self._schema.photo_faces.identifier,
            "matches": self._schema.face_matches.identifier,
        }
        query = sql.SQL(statement).format(
            **tables,
            are_theirs=sql.SQL(_ARE_THEIRS).format(**tables),
            has_template=sql.SQL(_HAS_TEMPLATE),
            dimensions=sql.Identifier(self._schema.vector_schema, "vector_dims"),
            cosine=sql.SQL("OPERATOR({}.<=>)").format(sql.Identifier(self._schema.vector_schema)),
        )
        # A plan that is made once for all values would not know how few photos there are.
        return await self._connection.execute(query, {"user": self._user_id, **values}, prepare=False)
