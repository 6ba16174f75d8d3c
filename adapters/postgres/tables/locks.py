"""Locks that others keep, or wait for, on what every job needs: while they do nobody's job can go on."""

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.rows import TupleRow

from adapters.postgres.tables.schema import Schema
from domain.errors import DatabaseUnavailableError

_PATIENCE = "500ms"
_STATEMENTS = {
    "photo_faces": "UPDATE {photo_faces} SET embedding = NULL WHERE false",
    "face_matches": "INSERT INTO {face_matches} (id) SELECT NULL::uuid WHERE false",
    "facematch.outcomes": "INSERT INTO facematch.outcomes (stream_seq) SELECT NULL::bigint WHERE false",
    "facematch.attempts": "INSERT INTO facematch.attempts (stream_seq) SELECT NULL::bigint WHERE false",
    "facematch.templates": "SELECT user_id FROM facematch.templates WHERE false",
    "facematch.gallery": "SELECT user_id FROM facematch.gallery WHERE false",
    "photos": "SELECT id FROM {photos} WHERE false",
    "users": "SELECT id FROM {users} WHERE false",
}


async def check_locks(connection: AsyncConnection[TupleRow], schema: Schema) -> None:
    """Take the locks that jobs take, on tables and their indexes, and let go of them; nothing is changed.

    What ``pg_locks`` shows does not tell who would have to wait: a lock that is only asked for, by a migration behind
    somebody's long query, keeps out everyone who comes later.

    Raises:
        DatabaseUnavailableError: one was not to be had within half a second; the message names the table.

    """
    names = {table.name: table.identifier for table in schema.tables}
    for table, statement in _STATEMENTS.items():
        try:
            async with connection.transaction(force_rollback=True):
                await connection.execute("SELECT pg_catalog.set_config('lock_timeout', %s, true)", [_PATIENCE])
                await connection.execute(sql.SQL(statement).format(**names))
        except psycopg.errors.LockNotAvailable as error:
            raise DatabaseUnavailableError(
                f"database: {table} is locked, or somebody waits to lock it (see pg_locks), such as a migration"
            ) from error
