"""Real databases in every state that the adapter may meet."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
import pytest_asyncio

from adapters.postgres.connection.database import Database
from infra.local_stack.postgres import PostgresServer
from tests.databases import PreparedDatabase, migrated
from tests.tables import PostgresTables


@pytest.fixture(scope="session")
def prepared(postgres_server: PostgresServer) -> PreparedDatabase:
    """Return a migrated database; whoever takes it empties it first."""
    return migrated(postgres_server)


@pytest.fixture
def tables(prepared: PreparedDatabase) -> Iterator[PostgresTables]:
    """Return the tables of the migrated database, empty."""
    with prepared.tables() as tables:
        yield tables


@pytest_asyncio.fixture
async def database(prepared: PreparedDatabase, tables: PostgresTables) -> AsyncIterator[Database]:
    """Return the migrated database, open; ``tables`` are its tables."""
    del tables
    database = Database(prepared.url, size=12)
    await database.open(to_work=True)
    yield database
    await database.close()


@pytest.fixture
def admin(database_url: str) -> Iterator[psycopg.Connection]:
    """Return a superuser's connection to a new, empty database."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def own_server(servers_folder: Path) -> Iterator[PostgresServer]:
    """Return a server of the module's own."""
    server = PostgresServer(servers_folder / f"own-{uuid4().hex[:8]}")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def server(own_server: PostgresServer) -> PostgresServer:
    """Return a server to be stopped and started as the test likes; it runs, as it is shipped, whatever was before."""
    if own_server.pid is None:
        own_server.start()
    with psycopg.connect(own_server.url(), autocommit=True) as admin:
        admin.execute("ALTER SYSTEM RESET ALL")
        admin.execute("SELECT pg_reload_conf()")
    return own_server
