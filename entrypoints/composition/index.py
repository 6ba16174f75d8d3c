"""The container that keeps the index of a large gallery; it works as the owner of the tables."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from dependency_injector import providers

from adapters.faiss_codes.codebooks import FaissCodebooks
from adapters.postgres.search_index.index_tables import PostgresIndexTables
from application.operating.keep_index import KeepIndex
from entrypoints.composition.base import BaseContainer


class IndexContainer(BaseContainer):
    """What knows both the tables and the codes."""

    settings = BaseContainer.settings

    opened_tables = providers.Factory(PostgresIndexTables.opened, settings.provided.database_url)
    keep_index = providers.Factory(KeepIndex, codebooks=providers.Singleton(FaissCodebooks), clock=BaseContainer.clock)


@asynccontextmanager
async def opened_index(container: IndexContainer) -> AsyncIterator[KeepIndex[Any]]:
    """Connect, and be the one who works on indexes.

    Raises:
        DatabaseUnavailableError: no answer.
        SchemaError: not migrated.
        IndexRefusedError: ``users`` is no table, the role may not, or another one is at work.

    """
    async with container.opened_tables() as tables:
        yield container.keep_index(tables=tables)
