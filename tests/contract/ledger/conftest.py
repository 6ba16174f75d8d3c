"""Every ledger that there is, each with the application's tables around it."""

from collections.abc import AsyncIterator, Awaitable, Callable

import attrs
import pytest_asyncio

from adapters.postgres.connection.database import Database
from adapters.postgres.records.ledger import PostgresLedger
from tests.databases import PreparedDatabase
from tests.fakes.database import InMemoryDatabase
from tests.fakes.ledger import InMemoryLedger
from tests.tables import Tables


@attrs.frozen
class Subject:
    """A ledger under test, empty; the application's tables; and a way to make its database go away."""

    ledger: PostgresLedger | InMemoryLedger
    tables: Tables
    stop: Callable[[], Awaitable[None]]


def _in_memory() -> Subject:
    database = InMemoryDatabase()

    async def stop() -> None:
        database.available = False

    return Subject(InMemoryLedger(database), database, stop)


@pytest_asyncio.fixture
async def subject(prepared_database: PreparedDatabase | None) -> AsyncIterator[Subject]:
    """Return each ledger in turn."""
    if prepared_database is None:
        yield _in_memory()
        return
    with prepared_database.tables() as tables:
        database = Database(prepared_database.url, size=12)
        await database.open(to_work=True)
        try:
            yield Subject(PostgresLedger(database), tables, database.close)
        finally:
            await database.close()
