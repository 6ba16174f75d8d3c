"""Real databases for the contracts, made once; whoever takes one empties it first."""

import pytest

from infra.local_stack.postgres import PostgresServer
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
