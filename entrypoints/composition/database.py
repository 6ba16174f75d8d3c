"""The container of the database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dependency_injector import providers

from adapters.postgres.connection.database import Database
from adapters.postgres.gallery.reenrolment import PostgresReenrolment
from adapters.postgres.gallery.stored_faces import PostgresStoredFaces
from adapters.postgres.records.ledger import PostgresLedger
from adapters.postgres.records.statistics import PostgresStatistics
from application.ports.face_pipeline import EmbedderInfo
from entrypoints.composition.base import BaseContainer
from entrypoints.settings import WorkerSettings

_SPARE_CONNECTIONS = 1


def connections(worker: WorkerSettings) -> int:
    """Return how many database connections serve the jobs in hand, and the worker itself; its looks have one beside."""
    return worker.jobs_in_hand + _SPARE_CONNECTIONS


class DatabaseContainer(BaseContainer):
    """What reads and writes tables, whichever embedder is active."""

    settings = BaseContainer.settings

    database = providers.Singleton(
        Database,
        settings.provided.database_url,
        size=providers.Callable(connections, settings.provided.worker),
    )
    ledger = providers.Singleton(PostgresLedger, database)
    ledger_statistics = providers.Singleton(PostgresStatistics, database)
    stored_faces = providers.Singleton(PostgresStoredFaces, database)
    reenrolment = providers.Singleton(PostgresReenrolment, database)


@asynccontextmanager
async def opened_database(
    container: DatabaseContainer, embedder: EmbedderInfo | None = None, *, to_work: bool = False
) -> AsyncIterator[Database]:
    """Open the pool, after checking the schema; close it at the end.

    The vectors of an ``embedder`` have to fit. ``to_work`` asks for all that a worker needs.

    Raises:
        DatabaseUnavailableError: no answer.
        SchemaError: not migrated, not allowed to work, or a column of another dimension.

    """
    database = container.database()
    await database.open(embedder, to_work=to_work)
    try:
        yield database
    finally:
        await database.close()
