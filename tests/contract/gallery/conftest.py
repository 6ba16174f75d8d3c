"""Every gallery that there is, with its enrolment, each with the application's tables around it."""

from collections.abc import AsyncIterator, Awaitable, Callable

import attrs
import pytest_asyncio

from adapters.postgres.database import Database
from adapters.postgres.gallery import PostgresEnrolment, PostgresGallery
from tests.databases import PreparedDatabase
from tests.fakes.clock import ManualClock
from tests.fakes.database import InMemoryDatabase
from tests.fakes.gallery import InMemoryEnrolment, InMemoryGallery
from tests.tables import Tables


@attrs.frozen
class Subject:
    """A gallery under test, empty, and its enrolment; the tables, a clock, and a way to make the database go away."""

    gallery: PostgresGallery | InMemoryGallery
    enrolment: PostgresEnrolment | InMemoryEnrolment
    tables: Tables
    clock: ManualClock
    stop: Callable[[], Awaitable[None]]


def _in_memory() -> Subject:
    clock = ManualClock()
    database = InMemoryDatabase(clock)

    async def stop() -> None:
        database.available = False

    return Subject(InMemoryGallery(database), InMemoryEnrolment(database), database, clock, stop)


@pytest_asyncio.fixture
async def subject(prepared_database: PreparedDatabase | None) -> AsyncIterator[Subject]:
    """Return each gallery in turn."""
    if prepared_database is None:
        yield _in_memory()
        return
    with prepared_database.tables() as tables:
        database, clock = Database(prepared_database.url), ManualClock()
        await database.open(to_work=True)
        gallery, enrolment = PostgresGallery(database, clock=clock), PostgresEnrolment(database)
        try:
            yield Subject(gallery, enrolment, tables, clock, database.close)
        finally:
            await database.close()
