"""Every dependency that there is, each with a way to have it down for a while."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import attrs
import psycopg
import pytest
import pytest_asyncio
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from adapters.object_store.store import ObjectStoreDependency, StoreOptions
from adapters.postgres.connection.database import Database
from adapters.postgres.gallery.active_model import ActiveModel
from application.ports.dependency import Dependency
from domain.errors import FacematchError
from infra.local_stack.postgres import PostgresServer
from infra.local_stack.s3 import S3Server
from tests.databases import PreparedDatabase
from tests.fakes.active_model import InMemoryActiveModel
from tests.fakes.clock import ManualClock
from tests.fakes.database import ActiveModelRow, InMemoryDatabase
from tests.fakes.dependency import ScriptedDependency
from tests.faulty_s3 import FaultyS3, error, pass_on
from tests.integration.vision.conftest import EMBEDDERS, eventually
from tests.readers import end_maker, pool_of

_MODEL: Final = "mine@1"
_ANOTHER: Final = "another@1"


@attrs.frozen
class Subject:
    """A dependency that is up, but within that context."""

    dependency: Dependency
    down: Callable[[], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def _in_memory(kind: str) -> AsyncIterator[Subject]:
    anything, database = ScriptedDependency("anything"), InMemoryDatabase()

    @asynccontextmanager
    async def down() -> AsyncIterator[None]:
        anything.problem, database.available = FacematchError("away"), kind != "database in memory"
        database.active_model = ActiveModelRow(_ANOTHER, is_switched=True)
        yield
        anything.problem, database.available, database.active_model = None, True, None

    kinds: dict[str, Dependency] = {
        "anything in memory": anything,
        "database in memory": database,
        "gallery in memory": InMemoryActiveModel(database, _MODEL),
    }
    yield Subject(kinds[kind], down)


@asynccontextmanager
async def _database(server: PostgresServer, prepared: PreparedDatabase) -> AsyncIterator[Subject]:
    def let_in(allowed: str) -> None:
        name = sql.Identifier(str(conninfo_to_dict(prepared.url)["dbname"]))
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS " + allowed).format(name))

    @asynccontextmanager
    async def down() -> AsyncIterator[None]:
        let_in("false")
        try:
            yield
        finally:
            let_in("true")

    async with _opened(prepared) as database:
        yield Subject(database, down)


@asynccontextmanager
async def _gallery(prepared: PreparedDatabase) -> AsyncIterator[Subject]:
    with prepared.tables() as tables:

        @asynccontextmanager
        async def down() -> AsyncIterator[None]:
            tables.run("INSERT INTO facematch.active_model VALUES (true, %s, now())", _ANOTHER)
            yield
            tables.clear()

        async with _opened(prepared) as database:
            yield Subject(ActiveModel(database, _MODEL, clock=ManualClock()), down)


@asynccontextmanager
async def _opened(prepared: PreparedDatabase) -> AsyncIterator[Database]:
    database = Database(prepared.url)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def _object_store(server: S3Server) -> AsyncIterator[Subject]:
    with FaultyS3(server.endpoint) as proxy:

        @asynccontextmanager
        async def down() -> AsyncIterator[None]:
            proxy.standing = error("503 Service Unavailable", "SlowDown")
            yield
            proxy.standing = pass_on

        options = StoreOptions(proxy.endpoint, server.access_key, server.secret_key)
        dependency = ObjectStoreDependency(options, "photos")
        yield Subject(dependency, down)
        await dependency.close()


@asynccontextmanager
async def _embedder(order: Callable[[str], int]) -> AsyncIterator[Subject]:
    order("well")
    pool = pool_of("hostile-start", 1)

    @asynccontextmanager
    async def down() -> AsyncIterator[None]:
        order("raise")
        end_maker()
        await eventually(lambda: pool.restarts)
        yield
        order("well")

    await pool.start()
    yield Subject(pool, down)
    await pool.close()


_REAL: Final[dict[str, tuple[Callable[..., AbstractAsyncContextManager[Subject]], list[str]]]] = {
    "database": (_database, ["postgres_server", "migrated_database"]),
    "gallery": (_gallery, ["migrated_database"]),
    "object store": (_object_store, ["s3_server"]),
    "embedder": (_embedder, ["order"]),
}
"""What opens a real one, and the fixtures that it needs."""


@pytest.fixture
def order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], int]:
    """Return what tells an installed embedder how it is to be loaded."""
    monkeypatch.syspath_prepend(EMBEDDERS)
    monkeypatch.setenv("HOSTILE_START", str(tmp_path / "start"))
    return (tmp_path / "start").write_text


@pytest.fixture(params=["anything in memory", "database in memory", "gallery in memory", *_REAL])
def opening(request: pytest.FixtureRequest) -> AbstractAsyncContextManager[Subject]:
    """Return each dependency in turn, to be opened; databases are made outside of the event loop."""
    opened, needs = _REAL.get(request.param, (partial(_in_memory, request.param), []))
    return opened(*map(request.getfixturevalue, needs))


@pytest_asyncio.fixture
async def subject(opening: AbstractAsyncContextManager[Subject]) -> AsyncIterator[Subject]:
    """Return each dependency in turn."""
    async with opening as subject:
        yield subject
