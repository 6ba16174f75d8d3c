"""Every ledger that there is, each with the application's tables around it."""

from collections.abc import AsyncIterator, Awaitable, Callable

import attrs
import pytest_asyncio

from adapters.faiss_codes.codes import Codes
from adapters.postgres.connection.database import Database
from adapters.postgres.gallery.gallery import PostgresGallery
from adapters.postgres.records.ledger import PostgresLedger
from tests.databases import PreparedDatabase
from tests.fakes.clock import ManualClock
from tests.fakes.database import InMemoryDatabase
from tests.fakes.gallery import InMemoryGallery
from tests.fakes.ledger import InMemoryLedger
from tests.tables import Tables


@attrs.frozen
class Subject:
    """A ledger under test, empty; the gallery and the application's tables beside it; a way to make them go away."""

    ledger: PostgresLedger | InMemoryLedger
    gallery: PostgresGallery | InMemoryGallery
    tables: Tables
    stop: Callable[[], Awaitable[None]]


def _in_memory() -> Subject:
    database = InMemoryDatabase()

    async def stop() -> None:
        database.available = False

    return Subject(InMemoryLedger(database), InMemoryGallery(database), database, stop)


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
            gallery = PostgresGallery(database, Codes, clock=ManualClock())
            yield Subject(PostgresLedger(database), gallery, tables, database.close)
        finally:
            await database.close()
