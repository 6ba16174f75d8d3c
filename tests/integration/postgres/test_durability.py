"""What a worker was told is recorded is recorded, whatever becomes of the server and however it is set up."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing, suppress
from itertools import count
from uuid import UUID, uuid4

import psycopg
import pytest

from adapters.postgres.migrate import migrate
from adapters.postgres.records.ledger import PostgresLedger
from domain.errors import DatabaseUnavailableError
from domain.records import JobRecord
from infra.local_stack.postgres import PostgresServer
from tests.contract.ledger.jobs import accepted, embedding, header, nobody, record, recorded
from tests.integration.postgres.use import limited, meanwhile, opened
from tests.tables import PostgresTables

_COMMIT = "SET synchronous_commit = on; SELECT pg_logical_emit_message(true, 'test', '')"
Find = Callable[[PostgresLedger, JobRecord], Awaitable[object]]
Conclude = Callable[[PostgresLedger, PostgresTables], Awaitable[JobRecord]]


async def _without_a_face(ledger: PostgresLedger, _: PostgresTables) -> JobRecord:
    return await ledger.conclude(record())


async def _with_a_face(ledger: PostgresLedger, tables: PostgresTables) -> JobRecord:
    return await ledger.conclude_face(header(tables.add_photo(uuid4())), nobody())


@pytest.mark.parametrize("conclude", [_without_a_face, _with_a_face])
async def test_a_recorded_outcome_outlives_a_crash(server: PostgresServer, conclude: Conclude) -> None:
    """Also where the database does not wait for the disk: the job's message is acknowledged because of the record."""
    name = f"crash_{uuid4().hex[:8]}"
    url = server.create_database(name)
    await migrate(url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = off".encode())
        connection.execute("CHECKPOINT")
    tables = PostgresTables(url)
    async with opened(url) as database:
        told = await conclude(PostgresLedger(database), tables)
        server.kill()
        tables.close()
    server.start()
    async with opened(url) as database:
        assert await recorded(PostgresLedger(database), told.key) == told


@asynccontextmanager
async def without_its_standby(url: str) -> AsyncIterator[None]:
    """Let every commit wait for a standby that does not come, until the block ends."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as admin:
        await admin.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        await admin.execute("SELECT pg_reload_conf()")
        with suppress(TimeoutError):
            async with asyncio.timeout(10):
                while True:
                    await asyncio.wait_for(admin.execute(_COMMIT), 0.2)
        yield
        await admin.execute("ALTER SYSTEM RESET synchronous_standby_names")
        await admin.execute("SELECT pg_reload_conf()")


async def _recall(ledger: PostgresLedger, given: JobRecord) -> object:
    return await recorded(ledger, given.key)


async def _conclude_again(ledger: PostgresLedger, given: JobRecord) -> object:
    return await ledger.conclude(given)


async def _conclude_a_face(ledger: PostgresLedger, given: JobRecord) -> object:
    return await ledger.conclude_face(header(uuid4(), job=given.key), nobody())


async def _relay(ledger: PostgresLedger, given: JobRecord) -> object:
    del given
    [found] = await ledger.unpublished(older_than_seconds=0, limit=1)
    return found


@pytest.mark.parametrize("find", [_recall, _conclude_again, _conclude_a_face, _relay])
async def test_an_outcome_that_only_the_primary_has_is_not_relied_on(server: PostgresServer, find: Find) -> None:
    """A commit that was given up is seen all the same: who finds it waits for the standby, which may take over."""
    url = server.create_database(f"alone_{uuid4().hex[:8]}")
    await migrate(url)
    async with opened(url) as database:
        ledger, given = PostgresLedger(database), record()
        async with without_its_standby(url):
            with limited(database, 0.5):
                with pytest.raises(DatabaseUnavailableError, match="database, conclude: no answer in time"):
                    await ledger.conclude(given)
                with pytest.raises(DatabaseUnavailableError, match="no answer in time"):
                    await find(ledger, given)
        assert await find(ledger, given) == given


async def test_an_outcome_that_overtook_a_match_is_not_relied_on_either(server: PostgresServer) -> None:
    """Nor where it was recorded, and not confirmed, while the job was being concluded once more."""
    url = server.create_database("overtaken")
    await migrate(url)
    with closing(PostgresTables(url)) as tables:
        tables.run("ALTER TABLE {users} ADD deleted_at timestamptz, ADD blocked boolean")
        given, user = record(photo_id=tables.add_photo(uuid4())), tables.add_user(uuid4(), embedding(1.0))
    ids = count(1)

    async def overtake() -> None:
        async with opened(url, statement_seconds=0.5) as other:
            with pytest.raises(DatabaseUnavailableError, match="no answer in time"):
                await PostgresLedger(other).conclude(given)
        database.statement_seconds = 0.5

    def new_id() -> UUID:
        if next(ids) == 2:  # the first is of the face
            meanwhile(overtake)
        return uuid4()

    async with opened(url) as database, without_its_standby(url):
        with pytest.raises(DatabaseUnavailableError, match="database, conclude_face: no answer in time"):
            await PostgresLedger(database, new_id=new_id).conclude_face(
                header(UUID(str(given.photo_id)), job=given.key), accepted(user)
            )


async def test_a_primary_whose_standby_is_missing_is_away(server: PostgresServer) -> None:
    """A probe finds out that nothing is confirmed, and jobs wait."""
    url = server.create_database("missing")
    await migrate(url)
    async with opened(url, statement_seconds=2) as database:
        await PostgresLedger(database).conclude(record())
        async with without_its_standby(url):
            with pytest.raises(DatabaseUnavailableError, match="a commit is not confirmed: a standby"):
                await database.check()
        await database.check()


async def test_an_outcome_that_somebody_is_deleting_keeps_nobody_waiting(server: PostgresServer) -> None:
    """Neither a probe nor whoever publishes what others left: any commit will do."""
    url = server.create_database("deleting")
    await migrate(url)
    async with opened(url, statement_seconds=2) as database:
        given = await PostgresLedger(database).conclude(record())
        with psycopg.connect(url) as somebody:
            somebody.execute("DELETE FROM facematch.outcomes")
            await database.check()
            assert await PostgresLedger(database).unpublished(older_than_seconds=0, limit=1) == [given]
