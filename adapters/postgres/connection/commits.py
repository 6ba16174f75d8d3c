"""Commits that others rely on: they wait for the disk and, where there are any, for synchronous standbys."""

import asyncio
from typing import Final

from psycopg import AsyncConnection, sql
from psycopg.rows import TupleRow

from domain.errors import DatabaseUnavailableError

WAIT_FOR_COMMIT: Final = """
pg_catalog.set_config(
    'synchronous_commit', coalesce(nullif(pg_catalog.current_setting('synchronous_commit'), 'off'), 'on'), true)
"""
"""SQL that lets the transaction's commit wait, whatever the database's default is, where it has written anything."""
_COMMIT = sql.SQL("""
SELECT {} FROM facematch.outcomes WHERE pg_catalog.current_setting('synchronous_standby_names') <> ''
 ORDER BY occurred_at DESC LIMIT 1 FOR KEY SHARE SKIP LOCKED
""").format(sql.SQL(WAIT_FOR_COMMIT))


async def wait_for_commits(connection: AsyncConnection[TupleRow]) -> None:
    """Commit something that changes nothing, the lock of an outcome: to wait for one commit is to wait for all before.

    Where there are no synchronous standbys nothing is written: whatever can be seen is on the disk.
    """
    await connection.execute(_COMMIT)


async def check_commits(connection: AsyncConnection[TupleRow], *, seconds: float) -> None:
    """Wait for commits, as soon as there is an outcome.

    Raises:
        DatabaseUnavailableError: it was not confirmed in time.

    """
    try:
        async with asyncio.timeout(seconds):
            await wait_for_commits(connection)
    except TimeoutError as error:
        raise DatabaseUnavailableError(
            "database: a commit is not confirmed: a standby that it waits for may be away (see pg_stat_replication)"
        ) from error
