"""The room of the database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dependency_injector import providers

from adapters.postgres.connection.database import Database
from adapters.postgres.gallery.reenrolment import PostgresReenrolment
from adapters.postgres.records.ledger import PostgresLedger
from adapters.postgres.records.statistics import PostgresStatistics
from application.ports.face_pipeline import EmbedderInfo
from entrypoints import configured
from entrypoints.composition.base import BaseContainer


class DatabaseContainer(BaseContainer):
    """What reads and writes tables, whichever embedder is active."""

    settings = BaseContainer.settings

    database = providers.Singleton(
        Database,
        settings.provided.database_url,
        size=providers.Callable(configured.connections, settings.provided.worker),
    )
    ledger = providers.Singleton(PostgresLedger, database)
    ledger_statistics = providers.Singleton(PostgresStatistics, database)
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
