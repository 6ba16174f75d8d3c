"""Every re-enrolment that there is, enrolment, gallery and ledger beside it, and the application's tables around."""

from collections.abc import AsyncIterator, Awaitable, Callable

import attrs
import pytest_asyncio

from adapters.faiss_codes.codes import Codes
from adapters.postgres.connection.database import Database
from adapters.postgres.gallery.active_model import ActiveModel
from adapters.postgres.gallery.enrolment import PostgresEnrolment
from adapters.postgres.gallery.gallery import PostgresGallery
from adapters.postgres.gallery.reenrolment import PostgresReenrolment
from adapters.postgres.records.ledger import PostgresLedger
from application.ports.dependency import Dependency
from application.ports.gallery import Enrolment, Gallery
from application.ports.ledger import Ledger
from application.ports.reenrolment import Reenrolment
from tests.databases import PreparedDatabase
from tests.fakes.active_model import InMemoryActiveModel
from tests.fakes.clock import ManualClock
from tests.fakes.database import InMemoryDatabase
from tests.fakes.gallery import InMemoryEnrolment, InMemoryGallery
from tests.fakes.ledger import InMemoryLedger
from tests.fakes.reenrolment import InMemoryReenrolment
from tests.tables import Tables


@attrs.frozen
class Subject:
    """A re-enrolment under test, with nothing prepared and nobody enrolled; and a way to make the database go away.

    ``active`` returns what tells whether the gallery is a model's.
    """

    reenrolment: Reenrolment
    enrolment: Enrolment
    gallery: Gallery
    ledger: Ledger
    active: Callable[[str], Dependency]
    tables: Tables
    stop: Callable[[], Awaitable[None]]


def _in_memory() -> Subject:
    database = InMemoryDatabase(ManualClock())

    async def stop() -> None:
        database.available = False

    return Subject(
        reenrolment=InMemoryReenrolment(database),
        enrolment=InMemoryEnrolment(database),
        gallery=InMemoryGallery(database),
        ledger=InMemoryLedger(database),
        active=lambda model: InMemoryActiveModel(database, model),
        tables=database,
        stop=stop,
    )


@pytest_asyncio.fixture
async def subject(prepared_database: PreparedDatabase | None) -> AsyncIterator[Subject]:
    """Return each re-enrolment in turn."""
    if prepared_database is None:
        yield _in_memory()
        return
    with prepared_database.tables() as tables:
        database = Database(prepared_database.url)
        await database.open()
        try:
            yield Subject(
                reenrolment=PostgresReenrolment(database),
                enrolment=PostgresEnrolment(database),
                gallery=PostgresGallery(database, Codes, clock=ManualClock()),
                ledger=PostgresLedger(database),
                active=lambda model: ActiveModel(database, model, clock=ManualClock()),
                tables=tables,
                stop=database.close,
            )
        finally:
            await database.close()
