"""Ways to use a database as a worker does."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from threading import Thread
from typing import Any, LiteralString, TypeVar
from uuid import uuid4

import psycopg

from adapters.postgres.connection.database import Database
from adapters.postgres.records.ledger import PostgresLedger
from application.ports.ledger import Recollection
from tests.contract.ledger.jobs import key

UNKNOWN = Recollection(None, photo_exists=False, already_matched=False)
Found = TypeVar("Found")
_WAITERS = "SELECT pid FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))"


@asynccontextmanager
async def opened(
    url: str, *, size: int = 4, statement_seconds: float = 10, wait_seconds: float = 10
) -> AsyncIterator[Database]:
    """Open a database until the block ends."""
    database = Database(url, size=size, statement_seconds=statement_seconds, wait_seconds=wait_seconds)
    await database.open(to_work=True)
    try:
        yield database
    finally:
        await database.close()


@contextmanager
def limited(database: Database, statement_seconds: float) -> Iterator[None]:
    """Let an operation take no longer than that until the block ends."""
    usual, database.statement_seconds = database.statement_seconds, statement_seconds
    try:
        yield
    finally:
        database.statement_seconds = usual


async def recall(database: Database) -> Recollection:
    """Do the first thing that every job does; the answer is :data:`UNKNOWN`."""
    return await PostgresLedger(database).recall(key(), uuid4())


async def on_every_connection(database: Database, size: int, query: LiteralString = "SELECT 1") -> list[object]:
    """Open so many connections, ask each of them at the same time, leave them idle, and return the values."""
    everyone = asyncio.Barrier(size)

    async def ask() -> object:
        async with database.operation("on every connection") as connection:
            await everyone.wait()
            row = await (await connection.execute(query)).fetchone()
        return row[0] if row else None

    return await asyncio.gather(*(ask() for _ in range(size)))


def meanwhile(work: Callable[[], Coroutine[Any, Any, object]]) -> None:
    """Do it on an event loop of its own, while the caller's stands still."""
    thread = Thread(target=lambda: asyncio.run(work()))
    thread.start()
    thread.join()


def statistic(admin: psycopg.Connection, column: LiteralString, view: LiteralString) -> int:
    """Return a sum of the statistics of ``users``, of all that was done by connections that are closed."""
    others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    while admin.execute(others).fetchone() != (0,):
        time.sleep(0.01)
    admin.execute("SELECT pg_stat_force_next_flush()")
    [(value,)] = admin.execute(f"SELECT coalesce({column}, 0) FROM {view} WHERE relname = 'users'")
    return int(value)


async def waiting_for(
    owner_url: str,
    statement: LiteralString,
    given: list[object],
    *,
    work: Coroutine[Any, Any, Found],
    then: tuple[LiteralString, list[object]] | None = None,
) -> Found:
    """Begin work while somebody's statement is not committed; return what it became.

    Once the work waits, somebody's other statement is run, if there is one, and both are committed.
    """
    async with (
        await psycopg.AsyncConnection.connect(owner_url) as somebody,
        await psycopg.AsyncConnection.connect(owner_url, autocommit=True) as onlooker,
        asyncio.TaskGroup() as working,
    ):
        await somebody.execute(statement, given)
        task = working.create_task(work)
        while not (await (await onlooker.execute(_WAITERS, [somebody.info.backend_pid])).fetchall()):
            assert not task.done(), f"it did not wait for {statement}"
            await asyncio.sleep(0.01)
        if then is not None:
            await somebody.execute(*then)
        await somebody.commit()
    return task.result()
