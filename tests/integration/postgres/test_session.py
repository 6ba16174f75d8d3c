"""What a session is like: nothing in it harms others who share it behind a pooler."""

from typing import LiteralString
from uuid import uuid4

from adapters.postgres.connection.database import Database
from adapters.postgres.records.ledger import PostgresLedger
from tests.contract.ledger.jobs import accepted, embedding, header
from tests.databases import PreparedDatabase
from tests.integration.postgres.use import UNKNOWN, opened, recall
from tests.tables import PostgresTables


async def one(database: Database, query: LiteralString) -> object:
    """Return the one value of a query."""
    async with database.operation("look") as connection:
        row = await (await connection.execute(query)).fetchone()
    return row[0] if row is not None else None


async def test_statements_are_prepared_where_the_server_itself_answers(
    prepared: PreparedDatabase, tables: PostgresTables
) -> None:
    """What every job asks is planned once for a session; behind a pooler the tests of TLS would fail of it."""
    del tables
    async with opened(prepared.url, size=1) as database:
        assert [await recall(database) for _ in range(10)] == [UNKNOWN] * 10
        assert await one(database, "SELECT count(*) FROM pg_prepared_statements WHERE generic_plans > 0") == 1


async def test_limits_of_the_transaction_do_not_outlive_it(prepared: PreparedDatabase, tables: PostgresTables) -> None:
    """After a match the session has the server's own limits, and no lock."""
    photo, user = tables.add_photo(uuid4()), tables.add_user(uuid4(), embedding(1.0))
    async with opened(prepared.url, size=1) as database:
        told = await PostgresLedger(database).conclude_face(header(photo), accepted(user))
        assert told.outcome.kind == "matched"
        limits = (
            "SELECT array_agg(setting ORDER BY name) FROM pg_settings WHERE name LIKE '%_timeout' AND name LIKE ANY "
        )
        limits += "(ARRAY['idle_in%', 'lock%', 'statement%'])"
        assert await one(database, limits) == ["0", "0", "0"]
        assert await one(database, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0


async def test_operators_can_tell_whose_sessions_they_are(prepared: PreparedDatabase, tables: PostgresTables) -> None:
    """By the application's name, which the URL may set otherwise, as it may set any option."""
    del tables
    async with opened(prepared.url) as database:
        assert await one(database, "SHOW application_name") == "facematch"
    async with opened(f"{prepared.url}?application_name=mine&options=-cwork_mem%3D7MB") as database:
        assert await one(database, "SHOW application_name") == "mine"
        assert await one(database, "SHOW work_mem") == "7MB"
