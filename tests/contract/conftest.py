"""Real databases for the contracts, made once, and brokers, which tests may kill, made for each."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from infra.local_stack.postgres import PostgresServer
from tests.broker import OwnBroker, connected, provisioned, running
from tests.databases import PreparedDatabase, migrated, of_an_application


@pytest.fixture(scope="session")
def migrated_database(postgres_server: PostgresServer) -> PreparedDatabase:
    """Return a database of what `migrate` makes of nothing."""
    return migrated(postgres_server)


@pytest.fixture(scope="session")
def application_database(postgres_server: PostgresServer) -> PreparedDatabase:
    """Return a database that an application made."""
    return of_an_application(postgres_server)


@pytest.fixture(params=["in memory", "migrated_database", "application_database"])
def prepared_database(request: pytest.FixtureRequest) -> PreparedDatabase | None:
    """Return each database in turn; None stands for the one in memory."""
    return None if request.param == "in memory" else request.getfixturevalue(request.param)


@pytest_asyncio.fixture(params=["in memory", "jetstream"])
async def own_broker(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[OwnBroker | None]:
    """Return each kind of broker in turn, empty; None stands for the one in memory."""
    if request.param == "in memory":
        yield None
        return
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(running(tmp_path))
        client = await stack.enter_async_context(connected(server))
        yield OwnBroker(server, client, await provisioned(client))
