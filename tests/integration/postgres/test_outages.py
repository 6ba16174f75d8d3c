"""The database goes away, comes back, or does not answer: every fault is one error, and ends with its cause."""

import asyncio
import os
import signal
import time
from typing import LiteralString
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql

from adapters.postgres.connection.database import Database
from adapters.postgres.migrate import migrate
from adapters.postgres.records.ledger import PostgresLedger
from domain.errors import DatabaseLockedError, DatabaseUnavailableError, DatabaseUnwritableError
from domain.records import JobRecord
from entrypoints.composition.database import connections
from entrypoints.settings import WorkerSettings
from infra.local_stack.postgres import PostgresServer
from tests.contract.ledger.jobs import accepted, embedding, header, record, recorded
from tests.databases import PreparedDatabase, new_role, url_of
from tests.integration.postgres.use import UNKNOWN, limited, meanwhile, on_every_connection, opened, recall
from tests.tables import PostgresTables

PATIENCE_SECONDS = 20.0
_FULL = """
CREATE FUNCTION full_up() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'SQLSTATE_HERE', MESSAGE = 'cannot keep anything'; END $$;
CREATE TRIGGER full_up BEFORE INSERT OR UPDATE ON facematch.outcomes FOR EACH ROW EXECUTE FUNCTION full_up();
"""


async def run(database: Database, name: str, statement: LiteralString) -> None:
    """Run one statement as an operation."""
    async with database.operation(name) as connection:
        await connection.execute(statement)


async def backend_of(database: Database) -> int:
    """Return the process id of the server's process behind a connection."""
    async with database.operation("pid") as connection:
        return connection.info.backend_pid


async def test_an_outage_is_told_and_ends_with_it(server: PostgresServer) -> None:
    """While the server is away everything says so at once or after the wait; once it is back everything works."""
    url = server.create_database("outage")
    await migrate(url)
    async with opened(url, wait_seconds=3.5) as database:
        ledger = PostgresLedger(database)
        kept = await ledger.conclude(record())
        server.stop()
        with pytest.raises(DatabaseUnavailableError, match="database, recall: "):
            await recall(database)
        with pytest.raises(DatabaseUnavailableError, match=r"^database: .*Connection refused"):
            await database.check()
        server.start()
        await database.check()
        assert await recorded(ledger, kept.key) == kept


async def test_a_long_outage_ends_as_quickly_as_a_short_one(server: PostgresServer) -> None:
    """The pool's own attempts, rarer all the time, are not what everybody waits for."""
    url = server.create_database("long_outage")
    await migrate(url)
    async with opened(url, wait_seconds=3.5) as database:
        await on_every_connection(database, 4)
        server.stop()
        for _ in range(3):
            with pytest.raises(DatabaseUnavailableError):
                await recall(database)
        server.start()
        assert await recall(database) == UNKNOWN


async def test_a_restart_between_two_jobs_is_not_noticed(server: PostgresServer) -> None:
    """However many connections lay idle and died, the next operations succeed in the time to wait for one."""
    url = server.create_database("restart")
    await migrate(url)
    async with opened(url, size=8, wait_seconds=5) as database:
        await on_every_connection(database, 8)
        server.stop()
        server.start()
        assert await asyncio.gather(*(recall(database) for _ in range(8))) == [UNKNOWN] * 8


async def test_a_short_outage_is_waited_for(server: PostgresServer) -> None:
    """A job that asks while the server restarts gets its answer within the time to wait for a connection."""
    url = server.create_database("short_outage")
    await migrate(url)
    async with opened(url) as database:
        await on_every_connection(database, 4)
        server.stop()
        asking = asyncio.create_task(recall(database))
        await asyncio.to_thread(server.start)
        assert await asking == UNKNOWN
    server.stop()  # at some moment it would end with the thread that started it


async def test_a_transaction_that_loses_its_server_leaves_nothing(server: PostgresServer) -> None:
    """The job can be tried again and matches once."""
    url = server.create_database("transaction")
    await migrate(url)
    photo, user = uuid4(), uuid4()
    tables = PostgresTables(url)
    tables.run("ALTER TABLE {users} ADD deleted_at timestamptz, ADD blocked boolean")
    tables.add_photo(photo)
    tables.add_user(user, embedding(1.0))
    tables.close()
    job = header(photo)

    def lose_the_server() -> UUID:
        server.stop()
        return uuid4()

    async with opened(url, wait_seconds=5) as database:
        with pytest.raises(DatabaseUnavailableError, match="database, conclude_face: "):
            await PostgresLedger(database, new_id=lose_the_server).conclude_face(job, accepted(user))
        server.start()
        told = await PostgresLedger(database).conclude_face(job, accepted(user))
    assert told.outcome.kind == "matched"
    tables = PostgresTables(url)
    assert (len(tables.faces()), len(tables.matches())) == (1, 1)
    tables.close()


async def test_idle_sessions_may_be_ended_by_an_administrator(database: Database, tables: PostgresTables) -> None:
    """Or by a pooler, or a firewall that says so: the next operation takes a new one."""
    await on_every_connection(database, 6)
    tables.run(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        "WHERE application_name = 'facematch' AND datname = current_database()"
    )
    assert await recall(database) == UNKNOWN


async def test_a_server_that_takes_no_writes_is_away(server: PostgresServer) -> None:
    """After a fail-over to a replica, or on a full disk's read-only mode, jobs have to wait, not fail."""
    url = server.create_database("read_only")
    await migrate(url)
    with psycopg.connect(server.url(), autocommit=True) as admin:
        async with opened(url) as database:
            ledger = PostgresLedger(database)
            await on_every_connection(database, 4)
            await read_only(admin, database, "on")
            with pytest.raises(DatabaseUnavailableError, match="read-only transaction"):
                await ledger.conclude(record())
            with pytest.raises(DatabaseUnavailableError, match="read-only"):
                await database.check()
            await read_only(admin, database, "off")
            await database.check()
            given = record()
            assert await ledger.conclude(given) == given


async def read_only(admin: psycopg.Connection, database: Database, value: str) -> None:
    """Let a server take no writes, or take them again, and return when all sessions have heard of it."""
    admin.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}".encode())
    admin.execute("SELECT pg_reload_conf()")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while set(await on_every_connection(database, 4, "SHOW default_transaction_read_only")) != {value}:
        assert time.monotonic() < deadline


async def test_a_statement_that_takes_too_long_is_stopped(prepared: PreparedDatabase, tables: PostgresTables) -> None:
    """Here and on the server; its connection is as good as new."""
    async with opened(prepared.url, size=1) as database:
        before = await backend_of(database)
        with (
            limited(database, 0.3),
            pytest.raises(DatabaseUnavailableError, match="database, sleep: no answer in time"),
        ):
            await run(database, "sleep", "SELECT pg_sleep(60)")
        assert tables.run(
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query = 'SELECT pg_sleep(60)'"
        ) == [(0,)]
        assert await backend_of(database) == before


async def test_a_server_that_says_nothing_is_given_up(prepared: PreparedDatabase, tables: PostgresTables) -> None:
    """Its process is frozen: the operation ends all the same, and the next one takes another connection."""
    del tables
    async with opened(prepared.url, size=1) as database:
        frozen = await backend_of(database)
        try:
            os.kill(frozen, signal.SIGSTOP)
            with limited(database, 0.3), pytest.raises(DatabaseUnavailableError, match="no answer in time"):
                await run(database, "ask the frozen", "SELECT 1")
            assert await recall(database) == UNKNOWN
        finally:
            os.kill(frozen, signal.SIGCONT)


async def test_a_connection_is_waited_for_so_long_and_no_longer(
    prepared: PreparedDatabase, tables: PostgresTables
) -> None:
    """When all are lent, one more has to wait; it is told so after its time, and served when one comes back."""
    del tables
    async with opened(prepared.url, size=1, wait_seconds=3) as database:
        async with database.operation("long"):
            with pytest.raises(DatabaseUnavailableError, match=r"couldn't get a connection after 3\.00 sec"):
                await recall(database)
        async with database.operation("short"):
            waiting = asyncio.create_task(recall(database))
            await asyncio.sleep(0)
        assert await waiting == UNKNOWN


async def test_a_worker_that_freezes_in_its_transaction_lets_go_of_the_photo(
    prepared: PreparedDatabase, tables: PostgresTables
) -> None:
    """Another worker takes the photo over; the frozen one, awake again, is told that it has written nothing."""
    photo, user = tables.add_photo(uuid4()), tables.add_user(uuid4(), embedding(1.0))
    job = header(photo)
    told: list[JobRecord] = []

    async def take_over() -> None:
        async with opened(prepared.url) as database:
            told.append(await PostgresLedger(database).conclude_face(job, accepted(user)))

    def freeze() -> UUID:
        meanwhile(take_over)
        return uuid4()

    async with opened(prepared.url, statement_seconds=5) as database:
        with pytest.raises(DatabaseUnavailableError, match="idle-in-transaction timeout"):
            await PostgresLedger(database, new_id=freeze).conclude_face(job, accepted(user))
        assert told == [await recorded(PostgresLedger(database), job.key)]
    assert [match.photo_face_id for match in tables.matches()] == [face.id for face in tables.faces()]


@pytest.mark.parametrize("sqlstate", ["53100", "53200"])
async def test_a_database_that_can_keep_nothing_says_that_everybody_meets_it(
    server: PostgresServer, sqlstate: str
) -> None:
    """A full disk, or no memory: the error tells it, although reading works and a probe is answered."""
    url = server.create_database(f"full_{sqlstate}")
    await migrate(url)
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute(_FULL.replace("SQLSTATE_HERE", sqlstate).encode())
    async with opened(url) as database:
        with pytest.raises(DatabaseUnwritableError, match="cannot keep anything"):
            await PostgresLedger(database).conclude(record())
        await database.check()


@pytest.mark.parametrize(
    ("table", "statement"),
    [
        ("photo_faces", "LOCK TABLE photo_faces IN SHARE MODE"),
        ("face_matches", "CREATE INDEX ON face_matches (user_id)"),
        ("facematch.outcomes", "LOCK TABLE facematch.outcomes"),
        ("facematch.templates", "LOCK TABLE facematch.templates"),
        ("photos", "ALTER TABLE photos ADD COLUMN title text"),
        ("users", "REINDEX TABLE users"),
    ],
)
async def test_a_table_that_is_kept_locked_is_away(server: PostgresServer, table: str, statement: str) -> None:
    """While a migration of the application locks what jobs need nobody's can go on."""
    url = server.create_database(f"locked_{uuid4().hex[:8]}")
    await migrate(url)
    async with opened(url) as database:
        with psycopg.connect(url) as application:
            application.execute(statement.encode())
            with pytest.raises(DatabaseUnavailableError, match=f"{table} is locked"):
                await database.check()
        await database.check()


@pytest.mark.parametrize(
    ("statement", "locked"),
    [
        ("SELECT FROM {photos} WHERE id = %(photo)s FOR UPDATE", "a row of photos stays locked"),
        ("SELECT FROM {users} WHERE id = %(user)s FOR UPDATE", "a row of users stays locked"),
        ("SELECT pg_advisory_xact_lock(hashtextextended(%(photo)s::text, 7163850419))", "something stays locked"),
    ],
)
async def test_a_lock_on_what_one_job_needs_is_told_as_such(
    database: Database, tables: PostgresTables, prepared: PreparedDatabase, statement: str, locked: str
) -> None:
    """The error says what is locked, before the operation's time is over, and nothing is left behind."""
    photo, user = tables.add_photo(uuid4()), tables.add_user(uuid4(), embedding(1.0))
    ledger, job = PostgresLedger(database), header(photo)
    with psycopg.connect(prepared.owner_url) as application, limited(database, 1):
        names = {"photos": sql.Identifier("photos"), "users": sql.Identifier("users")}
        application.execute(sql.SQL(statement).format(**names), {"photo": photo, "user": user})
        with pytest.raises(DatabaseLockedError, match=locked):
            await ledger.conclude_face(job, accepted(user))
        await database.check()
    assert tables.faces() == []
    assert (await ledger.conclude_face(job, accepted(user))).outcome.kind == "matched"


async def test_a_lock_that_is_only_asked_for_keeps_everybody_out(server: PostgresServer) -> None:
    """A migration that waits for somebody's long query: whoever comes later waits behind it."""
    url = server.create_database(f"asked_{uuid4().hex[:8]}")
    await migrate(url)
    async with opened(url) as database:
        with psycopg.connect(url) as report:
            report.execute("SELECT count(*) FROM photo_faces")
            async with await psycopg.AsyncConnection.connect(url) as migration:
                altering = asyncio.create_task(migration.execute("ALTER TABLE photo_faces ADD COLUMN note text"))
                with pytest.raises(DatabaseUnavailableError, match="photo_faces is locked, or somebody waits to"):
                    await _checked_until_it_fails(database)
                report.rollback()
                await altering
        await database.check()


async def _checked_until_it_fails(database: Database) -> None:
    """Check until the migration has come to wait."""
    async with asyncio.timeout(30):
        while True:
            await database.check()
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    "statement", ["LOCK TABLE users IN SHARE MODE", "LOCK TABLE photo_faces IN ROW EXCLUSIVE MODE", "ANALYZE users"]
)
async def test_a_lock_that_jobs_can_live_with_is_no_outage(server: PostgresServer, statement: str) -> None:
    """Others may write, and may keep others from writing what the service only reads."""
    url = server.create_database(f"unlocked_{uuid4().hex[:8]}")
    await migrate(url)
    async with opened(url) as database:
        with psycopg.connect(url) as application:
            application.execute(statement.encode())
            await database.check()


async def test_who_only_asks_is_not_kept_out(server: PostgresServer) -> None:
    """`show` and `status` answer while an index is made: it does not concern them."""
    url = server.create_database(f"asking_{uuid4().hex[:8]}")
    await migrate(url)
    with psycopg.connect(url) as application:
        application.execute("LOCK TABLE photo_faces IN SHARE MODE")
        database = Database(url)
        await database.open()
        await database.check()
        await database.close()


async def test_a_limit_of_what_a_worker_opens_is_enough_to_look(
    postgres_server: PostgresServer, admin: psycopg.Connection, database_url: str
) -> None:
    """Its role may be limited to the jobs in hand and two: a probe beside a full pool is no outage."""
    role = new_role(postgres_server, "limited")
    await migrate(database_url, grant_to=role)
    worker = WorkerSettings(processes=2)
    limit = sql.SQL("ALTER ROLE {} CONNECTION LIMIT {}")
    admin.execute(limit.format(sql.Identifier(role), sql.Literal(worker.jobs_in_hand + 2)))
    size = connections(worker)
    async with opened(url_of(postgres_server, admin.info.dbname, role), size=size) as database:
        await on_every_connection(database, size)
        assert database.use.idle == size
        await database.check()
