"""What the real gallery spares the database, and what the column's type changes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from uuid import uuid4

import psycopg
import pytest

from adapters.faiss_codes.codes import Codes
from adapters.postgres.connection.database import Connection, Database
from adapters.postgres.gallery.gallery import PostgresGallery
from adapters.postgres.gallery.stored_faces import PostgresStoredFaces
from adapters.postgres.migrate import migrate
from domain.calibration import LARGEST_GALLERY_WITH_COHORT
from domain.decision import Candidate
from domain.errors import DatabaseUnavailableError, GalleryTooSlowError, Scope
from domain.faces import FaceEmbedding
from tests.databases import PreparedDatabase, make_index
from tests.fakes.clock import ManualClock
from tests.integration.postgres.use import limited, opened
from tests.tables import PostgresTables

MODEL = "model@1"
WAITS_FOR_USERS = "SELECT FROM pg_locks WHERE relation = 'users'::regclass AND NOT granted"
MANY = LARGEST_GALLERY_WITH_COHORT + 1
PROBE = FaceEmbedding(MODEL, (1.0, 0.0, 0.0, 0.0))


class WatchedDatabase(Database):
    """Remembers the names of its operations; counts and looks at an index wait until they may be made."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.operations: list[str] = []
        self.may_count = asyncio.Event()
        self.may_count.set()
        self.may_look = asyncio.Event()
        self.may_look.set()
        self.before_lending: Callable[[], object] = lambda: None

    @asynccontextmanager
    async def operation(self, name: str, *, seconds: float | None = None) -> AsyncIterator[Connection]:
        """Lend a connection, and remember what for."""
        self.operations.append(name)
        self.before_lending()
        async with super().operation(name, seconds=seconds) as connection:
            if name == "count":
                await self.may_count.wait()
            if name == "look_at_index":
                await self.may_look.wait()
            yield connection

    @property
    def counts(self) -> int:
        """How often users were counted by themselves."""
        return self.operations.count("count")


@asynccontextmanager
async def watched(url: str) -> AsyncIterator[WatchedDatabase]:
    """Open a database that is watched."""
    database = WatchedDatabase(url)
    await database.open(to_work=True)
    try:
        yield database
    finally:
        await database.close()


async def _until(gallery: PostgresGallery, size: int) -> None:
    """Return once that is what is known of the gallery."""
    for _ in range(500):
        if await gallery.size(MODEL) == size:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"the gallery never had {size} users")


async def _until_it_fails(gallery: PostgresGallery) -> None:
    """Search until a search fails."""
    for _ in range(500):
        await gallery.search(PROBE, limit=1)
        await asyncio.sleep(0.01)


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
        await gallery.size(MODEL)
        await asyncio.sleep(0)
        assert database.operations == ["count", "count"]


@pytest.fixture
def many(tables: PostgresTables) -> int:
    """Enrol more users than a search counts, and return how many."""
    tables.run(
        "INSERT INTO {users} (id, face_embedding, face_embedding_model) "
        "SELECT gen_random_uuid(), '[1,0,0,0]', %s FROM generate_series(1, %s)",
        MODEL,
        MANY,
    )
    return MANY


async def test_no_search_waits_for_a_count_but_the_first(
    prepared: PreparedDatabase, tables: PostgresTables, many: int
) -> None:
    """What is known of many users is served while they are counted anew; one task counts for everyone."""
    clock = ManualClock()
    async with watched(prepared.url) as database:
        gallery = PostgresGallery(database, Codes, clock=clock)
        assert (await gallery.search(PROBE, limit=1)).gallery_size == many
        tables.add_user(uuid4(), PROBE)
        clock.advance(10.01)
        database.may_count.clear()
        async with asyncio.timeout(5):
            found = await asyncio.gather(*(gallery.search(PROBE, limit=1) for _ in range(20)))
        assert [one.gallery_size for one in found] == [many] * 20
        assert database.counts == 2
        database.may_count.set()
        await _until(gallery, many + 1)
        assert database.counts == 2


@pytest.mark.parametrize(("seconds", "kept"), [(0.05, 10.0), (0.2, 20.0), (9.0, 60.0)])
async def test_counting_takes_a_hundredth_of_the_time(
    prepared: PreparedDatabase, many: int, seconds: float, kept: float
) -> None:
    """A count that took 0.2 seconds is made again after 20; any other after 10 at least, after 60 at most.

    It took the time of the statement: what it waited for a connection does not count.
    """
    clock, waited = ManualClock(), 5
    async with watched(prepared.url) as database:
        database.before_lending = lambda: clock.advance(waited)
        gallery = PostgresGallery(database, Codes, clock=clock)
        with psycopg.connect(prepared.owner_url) as somebody:
            somebody.execute("LOCK TABLE users")
            counting = asyncio.create_task(gallery.size(MODEL))
            for _ in range(500):
                if somebody.execute(WAITS_FOR_USERS).fetchall():
                    break
                await asyncio.sleep(0.01)
            clock.advance(seconds)
        assert await counting == many
        clock.advance(kept - seconds - waited)
        assert (await gallery.size(MODEL), database.counts) == (many, 1)
        clock.advance(0.01)
        assert await gallery.size(MODEL) == many
        await asyncio.sleep(0)
        assert database.counts == 2
        await gallery.close()


async def test_a_count_that_nobody_has_asked_for_in_a_long_time_is_waited_for(
    prepared: PreparedDatabase, tables: PostgresTables, many: int
) -> None:
    """None is served that is more than twice as old as one that is renewed: users may have become far more."""
    clock = ManualClock()
    async with watched(prepared.url) as database:
        gallery = PostgresGallery(database, Codes, clock=clock)
        assert await gallery.size(MODEL) == many
        tables.add_user(uuid4(), PROBE)
        clock.advance(20.01)
        assert (await gallery.search(PROBE, limit=1)).gallery_size == many + 1


async def test_a_count_that_fails_in_the_background_is_waited_for_by_the_next(
    prepared: PreparedDatabase, many: int
) -> None:
    """That one hears of a database that does not answer, or not in time, as ever."""
    clock = ManualClock()
    async with watched(prepared.url) as database:
        gallery = PostgresGallery(database, Codes, clock=clock)
        await gallery.size(MODEL)
        clock.advance(10.01)
        database.may_count.clear()
        with limited(database, 0.2):
            assert await gallery.size(MODEL) == many
            with pytest.raises(GalleryTooSlowError, match="database, count: "):
                await _until_it_fails(gallery)
        database.may_count.set()
        assert await gallery.size(MODEL) == many


async def test_a_gallery_that_is_closed_counts_no_longer(prepared: PreparedDatabase, many: int) -> None:
    """Nothing of it is left over."""
    clock = ManualClock()
    async with watched(prepared.url) as database:
        gallery = PostgresGallery(database, Codes, clock=clock)
        await gallery.size(MODEL)
        before = asyncio.all_tasks()
        clock.advance(10.01)
        database.may_count.clear()
        assert await gallery.size(MODEL) == many
        await asyncio.sleep(0.1)
        assert database.counts == 2
        async with asyncio.timeout(5):
            await gallery.close()
        assert asyncio.all_tasks() == before


async def test_a_gallery_that_is_closed_looks_at_no_index_any_more(prepared: PreparedDatabase) -> None:
    """Whoever waited for it was given up, as jobs are at a worker's end, and the database is closed next."""
    async with watched(prepared.url) as database:
        gallery = PostgresGallery(database, Codes, clock=ManualClock())
        await gallery.size(MODEL)
        before = asyncio.all_tasks()
        database.may_look.clear()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await gallery.load(MODEL, PROBE.dimension)
        assert len(asyncio.all_tasks() - before) == 1
        async with asyncio.timeout(5):
            await gallery.close()
        assert asyncio.all_tasks() == before


async def test_who_becomes_many_or_few_is_judged_no_more_loosely_than_they_are(
    prepared: PreparedDatabase, tables: PostgresTables
) -> None:
    """The search among those who were few counts them itself; those who were many count as many for a while."""
    clock = ManualClock()
    async with watched(prepared.url) as database:
        gallery = PostgresGallery(database, Codes, clock=clock)
        tables.add_user(uuid4(), PROBE)
        assert (await gallery.search(PROBE, limit=1)).gallery_size == 1
        tables.run(
            "INSERT INTO {users} (id, face_embedding, face_embedding_model) "
            "SELECT gen_random_uuid(), '[1,0,0,0]', %s FROM generate_series(2, %s)",
            MODEL,
            MANY,
        )
        assert (await gallery.search(PROBE, limit=1)).gallery_size == MANY
        clock.advance(10.01)
        await _until(gallery, MANY)
        tables.run("DELETE FROM {users}")
        tables.add_user(uuid4(), PROBE)
        assert (await gallery.search(PROBE, limit=1)).gallery_size == MANY
        clock.advance(10.01)
        await _until(gallery, 1)
        assert (await gallery.search(PROBE, limit=1)).gallery_size == 1


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
