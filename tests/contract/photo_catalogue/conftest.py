"""Every catalogue of photos that there is, each with the application's tables around it."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import UUID

import attrs
import pytest_asyncio

from adapters.postgres.connection.database import Database
from adapters.postgres.photos import ImageRefTemplate, PostgresPhotoCatalogue
from adapters.postgres.records.ledger import PostgresLedger
from application.ports.photo_catalogue import PhotoCatalogue
from tests.databases import PreparedDatabase
from tests.fakes.clock import ManualClock
from tests.fakes.database import InMemoryDatabase
from tests.fakes.ledger import InMemoryLedger
from tests.fakes.republishing import InMemoryPhotoCatalogue
from tests.tables import PostgresTables, Tables


@attrs.frozen
class Subject:
    """A catalogue under test, empty; ways to fill it, to let time pass, and to make its database go away."""

    catalogue: PhotoCatalogue
    tables: Tables
    ledger: PostgresLedger | InMemoryLedger
    say_where: Callable[[UUID, str | None], None]
    stop: Callable[[], Awaitable[None]]
    let_time_pass: Callable[[], None]

    def add_photo(self, photo_id: UUID, image_ref: str | None = None) -> UUID:
        """Insert a photo and say where its image is."""
        self.tables.add_photo(photo_id)
        self.say_where(photo_id, image_ref)
        return photo_id


def _in_memory() -> Subject:
    clock, image_refs = ManualClock(), dict[UUID, str | None]()
    database = InMemoryDatabase(clock)

    async def stop() -> None:
        database.available = False

    catalogue = InMemoryPhotoCatalogue(database, image_refs)
    return Subject(
        catalogue, database, InMemoryLedger(database), image_refs.__setitem__, stop, lambda: clock.advance(0.001)
    )


def _postgres(database: Database, tables: PostgresTables) -> Subject:
    def say_where(photo_id: UUID, image_ref: str | None) -> None:
        tables.run("UPDATE {photos} SET image_ref = %s WHERE id = %s", image_ref, photo_id)

    catalogue = PostgresPhotoCatalogue(database, ImageRefTemplate.of("{image_ref}"))
    return Subject(catalogue, tables, PostgresLedger(database), say_where, database.close, lambda: time.sleep(0.001))


@pytest_asyncio.fixture
async def subject(prepared_database: PreparedDatabase | None) -> AsyncIterator[Subject]:
    """Return each catalogue in turn."""
    if prepared_database is None:
        yield _in_memory()
        return
    with prepared_database.tables() as tables:
        tables.run("ALTER TABLE {photos} ADD COLUMN IF NOT EXISTS image_ref text")
        tables.run("GRANT SELECT (image_ref) ON {photos} TO PUBLIC")
        database = Database(prepared_database.url)
        await database.open()
        try:
            yield _postgres(database, tables)
        finally:
            await database.close()
