"""What the real gallery spares the database, and what the column's type changes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from uuid import uuid4

import psycopg
import pytest

from adapters.faiss_codes.codes import Codes
from adapters.postgres.connection.database import Connection, Database
from adapters.postgres.gallery.gallery import PostgresGallery
from adapters.postgres.gallery.stored_faces import PostgresStoredFaces
from adapters.postgres.migrate import migrate
from domain.decision import Candidate
from domain.errors import DatabaseUnavailableError, GalleryTooSlowError, Scope
from domain.faces import FaceEmbedding
from tests.databases import PreparedDatabase, make_index
from tests.fakes.clock import ManualClock
from tests.integration.postgres.use import limited, opened
from tests.tables import PostgresTables

MODEL = "model@1"
PROBE = FaceEmbedding(MODEL, (1.0, 0.0, 0.0, 0.0))


class WatchedDatabase(Database):
    """Remembers the names of its operations."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.operations: list[str] = []

    @asynccontextmanager
    async def operation(self, name: str, *, seconds: float | None = None) -> AsyncIterator[Connection]:
        """Lend a connection, and remember what for."""
        self.operations.append(name)
        async with super().operation(name, seconds=seconds) as connection:
            yield connection


@asynccontextmanager
async def watched(url: str) -> AsyncIterator[WatchedDatabase]:
    """Open a database that is watched."""
    database = WatchedDatabase(url)
    await database.open(to_work=True)
    try:
        yield database
    finally:
        await database.close()


async def test_one_count_serves_everybody_for_ten_seconds(prepared: PreparedDatabase, tables: PostgresTables) -> None:
    """Those who ask at once share it, and so do those who ask later, until it is too old."""
    tables.add_user(uuid4(), PROBE)
    clock = ManualClock()
    async with watched(prepared.url) as database:
        gallery = PostgresGallery(database, Codes, clock=clock)
        assert await asyncio.gather(*(gallery.size(MODEL) for _ in range(20))) == [1] * 20
        clock.advance(10.0)
        assert await gallery.size(MODEL) == 1
        assert database.operations == ["count"]
        clock.advance(0.01)
        assert await gallery.size(MODEL) == 1
        assert database.operations == ["count", "count"]


async def test_each_model_has_its_own_count(prepared: PreparedDatabase, tables: PostgresTables) -> None:
    """Asking for another model neither uses nor spoils what is known of the first."""
    tables.add_user(uuid4(), PROBE)
    async with watched(prepared.url) as database:
        gallery = PostgresGallery(database, Codes, clock=ManualClock())
        assert [await gallery.size(model) for model in (MODEL, "model@2", MODEL, "model@2")] == [1, 0, 1, 0]
        assert database.operations == ["count", "count"]


async def test_a_count_that_fails_fails_everybody_at_once(prepared: PreparedDatabase, tables: PostgresTables) -> None:
    """Nobody waits in line for the same failure, and who asks next tries again."""
    tables.add_user(uuid4(), PROBE)
    async with opened(prepared.url, size=1, wait_seconds=3) as database:
        gallery = PostgresGallery(database, Codes, clock=ManualClock())
        async with database.operation("everything is lent"):
            async with asyncio.timeout(10):
                failures = await asyncio.gather(*(gallery.size(MODEL) for _ in range(20)), return_exceptions=True)
        assert [type(failure) for failure in failures] == [DatabaseUnavailableError] * 20
        assert await gallery.size(MODEL) == 1


async def test_a_job_that_is_given_up_takes_the_count_from_nobody(
    prepared: PreparedDatabase, tables: PostgresTables
) -> None:
    """The first who asked is cancelled; the others get their answer."""
    tables.add_user(uuid4(), PROBE)
    async with opened(prepared.url, size=1) as database:
        gallery = PostgresGallery(database, Codes, clock=ManualClock())
        async with database.operation("everything is lent"):
            first, second = (asyncio.create_task(gallery.size(MODEL)) for _ in range(2))
            await asyncio.sleep(0)
            first.cancel()
        assert await second == 1
        with pytest.raises(asyncio.CancelledError):
            await first


@pytest.mark.parametrize("column", ["vector", "vector(4)", "vector(3)"])
async def test_the_columns_type_changes_nothing_but_speed(
    admin: psycopg.Connection, database_url: str, column: str
) -> None:
    """Typed or not, the right vectors are found; in a column of another dimension there are none."""
    await migrate(database_url)
    admin.execute(f"ALTER TABLE users ALTER face_embedding TYPE {column}".encode())
    user, vector = uuid4(), "[1,0,0]" if column == "vector(3)" else "[1,0,0,0]"
    admin.execute("INSERT INTO users VALUES (%s, %s, %s)", [user, vector, MODEL])
    async with opened(database_url) as database:
        found = await PostgresGallery(database, Codes, clock=ManualClock()).search(PROBE, limit=2)
    assert list(found.nearest) == ([] if column == "vector(3)" else [Candidate(user, 0.0)])


@pytest.mark.parametrize(
    "index", ["hnsw (face_embedding vector_cosine_ops)", "ivfflat (face_embedding vector_cosine_ops)"]
)
async def test_an_index_of_the_applications_hides_nobody(database_url: str, index: str) -> None:
    """Approximate indexes choose before it is looked who may be named: an exact search goes through none."""
    await migrate(database_url)
    with closing(PostgresTables(database_url)) as tables:
        tables.run(
            "ALTER TABLE {users} ALTER face_embedding TYPE {vector}(4), ADD deleted_at timestamptz, ADD blocked boolean"
        )
        tables.run(
            "INSERT INTO {users} (id, face_embedding, face_embedding_model, deleted_at) "
            "SELECT gen_random_uuid(), '[1,0,0,0]', %s, now() FROM generate_series(1, 1000)",
            MODEL,
        )
        user = tables.add_user(uuid4(), FaceEmbedding(MODEL, (0.6, 0.8, 0.0, 0.0)))
        tables.run(f"CREATE INDEX ON {{users}} USING {index}")
        [(name,)] = tables.run("SELECT quote_ident(current_database())")
        tables.run(f"ALTER DATABASE {name} SET enable_seqscan = off")  # as with more users, or longer vectors
        async with opened(database_url) as database:
            found = await PostgresGallery(database, Codes, clock=ManualClock()).search(PROBE, limit=4)
    assert [candidate.user_id for candidate in found.nearest] == [user]


async def test_many_users_without_an_index_are_a_slow_search(
    prepared: PreparedDatabase, tables: PostgresTables
) -> None:
    """From a size on, and for want of an index only."""
    for _ in range(3):
        tables.add_user(uuid4(), PROBE)
    async with opened(prepared.url) as database:
        seen = [
            await PostgresGallery(database, Codes, clock=ManualClock(), exact_below=size).is_slow(
                MODEL, PROBE.dimension
            )
            for size in (3, 4)
        ]
        await make_index(prepared.owner_url, MODEL, dimension=PROBE.dimension)
        gallery = PostgresGallery(database, Codes, clock=ManualClock(), exact_below=3)
        seen += [await gallery.is_slow(MODEL, dimension) for dimension in (PROBE.dimension, 5)]
    assert seen == [True, False, False, True]


async def test_a_column_that_is_added_counts_from_the_next_look(database_url: str) -> None:
    """An application that begins to block users need not restart the workers, nor wait for one to ask twice."""
    await migrate(database_url)
    with closing(PostgresTables(database_url)) as tables:
        user = uuid4()
        tables.run("INSERT INTO {users} (id) VALUES (%s)", user)
        tables.write_embedding(user, PROBE.model, PROBE.vector)
        async with watched(database_url) as database:
            gallery = PostgresGallery(database, Codes, clock=ManualClock())
            assert [found.user_id for found in (await gallery.search(PROBE, limit=1)).nearest] == [user]
            tables.run("ALTER TABLE {users} ADD blocked boolean NOT NULL DEFAULT true")
            await database.check()
            assert list((await gallery.search(PROBE, limit=1)).nearest) == []


@pytest.mark.parametrize(
    ("server_milliseconds", "seconds"), [("0", 0.3), ("300", 10.0)], ids=["our limit", "the server's limit"]
)
@pytest.mark.parametrize("slow", ["count", "nearest"])
async def test_a_search_that_takes_too_long_does_so_for_everyone(
    prepared: PreparedDatabase, tables: PostgresTables, slow: str, server_milliseconds: str, seconds: float
) -> None:
    """The table's size is no job's fault: jobs wait, whatever a probe finds, and none is dead-lettered."""
    user = tables.add_user(uuid4(), PROBE)
    async with opened(prepared.url, size=1) as database:
        gallery = PostgresGallery(database, Codes, clock=ManualClock())
        if slow == "nearest":
            await gallery.search(PROBE, limit=1)  # the count is known for ten seconds
        async with database.operation("set") as connection:
            await connection.execute("SELECT set_config('statement_timeout', %s, false)", [server_milliseconds])
        with psycopg.connect(prepared.owner_url) as somebody, limited(database, seconds):
            somebody.execute("LOCK TABLE users")
            with pytest.raises(GalleryTooSlowError, match=f"database, {slow}: "):
                await gallery.search(PROBE, limit=1)
        assert [candidate.user_id for candidate in (await gallery.search(PROBE, limit=1)).nearest] == [user]
    assert GalleryTooSlowError.scope is Scope.EVERYONE


@pytest.mark.parametrize(
    ("change", "found"),
    [("bbox = NULL", 1), ("embedding = NULL", 0), ("embedding_model = NULL", 0), ("embedding = '[1e-30,0,0,0]'", 0)],
)
async def test_a_face_without_an_embedding_that_can_be_compared_is_near_nobody(
    database: Database, tables: PostgresTables, change: str, found: int
) -> None:
    """It was taken away, or is one that pgvector puts at no distance from half of the users."""
    face = tables.add_face(tables.add_photo(uuid4()), PROBE)
    tables.add_user(uuid4(), PROBE)
    tables.run(f"UPDATE {{photo_faces}} SET {change}")
    assert len(await PostgresStoredFaces(database).nearest(face, limit=3)) == found
