"""Every gallery that there is, with its enrolment, each with the application's tables around it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import attrs
import pytest
import pytest_asyncio

from adapters.faiss_codes.codes import Codes
from adapters.postgres.connection.database import Database
from adapters.postgres.gallery.enrolment import PostgresEnrolment
from adapters.postgres.gallery.gallery import PostgresGallery
from application.ports.search_index import EXACT_BELOW
from tests.databases import PreparedDatabase, make_index
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


@pytest.fixture(scope="session")
def indexed_migrated_database(migrated_database: PreparedDatabase) -> PreparedDatabase:
    """Return the database of what `migrate` makes of nothing, with an index."""
    asyncio.run(make_index(migrated_database.owner_url, "model@1", dimension=4))
    return migrated_database


@pytest.fixture(scope="session")
def indexed_application_database(application_database: PreparedDatabase) -> PreparedDatabase:
    """Return the database that an application made, with an index."""
    asyncio.run(make_index(application_database.owner_url, "model@1", dimension=4))
    return application_database


@pytest.fixture(
    params=[
        "in memory",
        "migrated_database",
        "application_database",
        "indexed_migrated_database",
        "indexed_application_database",
    ]
)
def prepared(request: pytest.FixtureRequest) -> tuple[PreparedDatabase, int] | None:
    """Return each database, and how few users are compared with exactly; None stands for the one in memory."""
    if request.param == "in memory":
        return None
    return request.getfixturevalue(request.param), 0 if request.param.startswith("indexed") else EXACT_BELOW


@pytest_asyncio.fixture
async def subject(prepared: tuple[PreparedDatabase, int] | None) -> AsyncIterator[Subject]:
    """Return each gallery in turn."""
    if prepared is None:
        yield _in_memory()
        return
    place, exact_below = prepared
    with place.tables() as tables:
        database, clock = Database(place.url), ManualClock()
        await database.open(to_work=True)
        gallery = PostgresGallery(database, Codes, clock=clock, exact_below=exact_below)
        await gallery.load("model@1", 4)
        enrolment = PostgresEnrolment(database)
        try:
            yield Subject(gallery, enrolment, tables, clock, database.close)
        finally:
            await gallery.close()
            await database.close()
