"""Every re-enrolment that there is, with enrolment and gallery beside it, and the application's tables around."""

from collections.abc import AsyncIterator, Awaitable, Callable

import attrs
import pytest_asyncio

from adapters.faiss_codes.codes import Codes
from adapters.postgres.database import Database
from adapters.postgres.gallery import PostgresEnrolment, PostgresGallery
from adapters.postgres.reenrolment import PostgresReenrolment
from application.ports.gallery import Enrolment, Gallery
from application.ports.reenrolment import Reenrolment
from tests.databases import PreparedDatabase
from tests.fakes.clock import ManualClock
from tests.fakes.database import InMemoryDatabase
from tests.fakes.gallery import InMemoryEnrolment, InMemoryGallery
from tests.fakes.reenrolment import InMemoryReenrolment
from tests.tables import Tables


@attrs.frozen
class Subject:
    """A re-enrolment under test, with nothing prepared and nobody enrolled; and a way to make the database go away."""

    reenrolment: Reenrolment
    enrolment: Enrolment
    gallery: Gallery
    tables: Tables
    stop: Callable[[], Awaitable[None]]


def _in_memory() -> Subject:
    database = InMemoryDatabase(ManualClock())

    async def stop() -> None:
        database.available = False

    enrolment, gallery = InMemoryEnrolment(database), InMemoryGallery(database)
    return Subject(InMemoryReenrolment(database), enrolment, gallery, database, stop)


@pytest_asyncio.fixture
async def subject(prepared_database: PreparedDatabase | None) -> AsyncIterator[Subject]:
    """Return each re-enrolment in turn."""
    if prepared_database is None:
        yield _in_memory()
        return
    with prepared_database.tables() as tables:
        database = Database(prepared_database.url)
        await database.open()
        gallery = PostgresGallery(database, Codes, clock=ManualClock())
        try:
            yield Subject(PostgresReenrolment(database), PostgresEnrolment(database), gallery, tables, database.close)
        finally:
            await database.close()
