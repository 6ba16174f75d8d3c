"""What a worker was told is recorded is recorded, whatever becomes of the server and however it is set up."""

from collections.abc import Awaitable, Callable
from uuid import uuid4

import psycopg
import pytest

from adapters.postgres.ledger import PostgresLedger
from adapters.postgres.migrate import migrate
from domain.records import JobRecord
from infra.local_stack.postgres import PostgresServer
from tests.contract.ledger.jobs import header, nobody, record, recorded
from tests.integration.postgres.use import opened
from tests.tables import PostgresTables

Conclude = Callable[[PostgresLedger, PostgresTables], Awaitable[JobRecord]]


async def _without_a_face(ledger: PostgresLedger, _: PostgresTables) -> JobRecord:
    return await ledger.conclude(record())


async def _with_a_face(ledger: PostgresLedger, tables: PostgresTables) -> JobRecord:
    return await ledger.conclude_face(header(tables.add_photo(uuid4())), nobody())


@pytest.mark.parametrize("conclude", [_without_a_face, _with_a_face])
async def test_a_recorded_outcome_outlives_a_crash(server: PostgresServer, conclude: Conclude) -> None:
    """Also where the database does not wait for the disk: the job's message is acknowledged because of the record."""
    url = server.create_database("crash")
    await migrate(url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER DATABASE crash SET synchronous_commit = off")
        connection.execute("CHECKPOINT")
    tables = PostgresTables(url)
    async with opened(url) as database:
        told = await conclude(PostgresLedger(database), tables)
        server.kill()
        tables.close()
    server.start()
    async with opened(url) as database:
        assert await recorded(PostgresLedger(database), told.key) == told
