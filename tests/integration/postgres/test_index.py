"""The index of a large gallery: built beside everybody, in step with whatever is written, and used."""

import asyncio
import math
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from uuid import UUID, uuid4

import attrs
import numpy as np
import psycopg
import pytest
from psycopg import sql

from adapters.faiss_codes.codebook import FOUND, with_shortlist
from adapters.faiss_codes.codes import Codes
from adapters.postgres.gallery.gallery import PostgresGallery
from adapters.postgres.gallery.nearest import Wanted, exact, proposed
from adapters.postgres.migrate import migrate
from adapters.postgres.search_index.standing import IndexNames, look_at_index
from adapters.postgres.tables.schema import Schema
from application.operating.keep_index import IndexReport, Shortlist
from application.ports.search_index import IndexRefusedError, IndexState, Model
from domain.calibration import LARGEST_GALLERY_WITH_COHORT
from domain.decision import Candidate
from domain.faces import FaceEmbedding
from infra.local_stack.postgres import PostgresServer, binaries
from tests.databases import keeping_index, make_index
from tests.fakes.clock import ManualClock
from tests.fakes.progress import unheard
from tests.integration.postgres.use import opened, statistic

MODEL = "model@1"
ODD_MODEL = "50 % o'brien's \\ {model} \"of\" ö " + "x" * 80
PROBE = FaceEmbedding(MODEL, (1.0, 0.0, 0.0, 0.0))
Change = Callable[[psycopg.Connection, UUID], object]


@pytest.fixture
async def people(admin: psycopg.Connection, database_url: str) -> list[UUID]:
    """Return 20 users of the model, in a database whose index has them all."""
    await migrate(database_url)
    enrol(admin, 20)
    await make_index(database_url, MODEL, dimension=4)
    return [row[0] for row in admin.execute("SELECT id FROM users ORDER BY id")]


def enrol(
    connection: psycopg.Connection, count: int, *, model: str = MODEL, dimension: int = 4, is_analysed: bool = True
) -> None:
    """Insert users with random vectors."""
    vectors = f"SELECT array_agg(random() - 0.5)::vector FROM generate_series(1, {dimension} + 0 * g)"
    query = f"INSERT INTO users SELECT gen_random_uuid(), ({vectors}), %s FROM generate_series(1, %s) g"
    connection.execute(query.encode(), [model, count])
    if is_analysed:
        connection.execute("ANALYZE users")


async def check(url: str, dimension: int = 4) -> IndexReport:
    """Compare the index with the users."""
    async with keeping_index(url) as keep_index:
        return await keep_index.check(Model(MODEL, dimension, users=0, is_indexed=True))


def run(program: str, *arguments: object) -> None:
    """Run one of PostgreSQL's own programs."""
    subprocess.run([binaries() / program, *map(str, arguments)], check=True, capture_output=True)


async def state(url: str) -> IndexState | None:
    """Return what a worker sees of the index."""
    async with opened(url) as database, database.operation("look") as connection:
        return await look_at_index(connection, database.schema, MODEL)


async def nearest(url: str, probe: FaceEmbedding = PROBE) -> list[Candidate]:
    """Search as a worker does that has just started."""
    async with opened(url) as database:
        gallery = PostgresGallery(database, Codes, clock=ManualClock(), exact_below=0)
        await gallery.load(probe.model, probe.dimension)
        return list((await gallery.search(probe, limit=4)).nearest)


CHANGES: dict[str, tuple[Change, int]] = {
    "enrolled": (lambda c, _: enrol(c, 1), 21),
    "of another model": (lambda c, _: enrol(c, 1, model="model@2"), 20),
    "other template": (lambda c, u: c.execute("UPDATE users SET face_embedding = '[0,0,0,-9]' WHERE id = %s", [u]), 20),
    "no template": (lambda c, u: c.execute("UPDATE users SET face_embedding = NULL WHERE id = %s", [u]), 19),
    "no direction": (lambda c, u: c.execute("UPDATE users SET face_embedding = '[0,0,0,0]' WHERE id = %s", [u]), 19),
    "huge": (lambda c, u: c.execute("UPDATE users SET face_embedding = '[1e30,0,0,0]' WHERE id = %s", [u]), 20),
    "tiny": (lambda c, u: c.execute("UPDATE users SET face_embedding = '[0,1e-15,0,0]' WHERE id = %s", [u]), 20),
    "other dimension": (lambda c, u: c.execute("UPDATE users SET face_embedding = '[1,2]' WHERE id = %s", [u]), 19),
    "model gone": (lambda c, u: c.execute("UPDATE users SET face_embedding_model = NULL WHERE id = %s", [u]), 19),
    "other model": (lambda c, u: c.execute("UPDATE users SET face_embedding_model = 'm@2' WHERE id = %s", [u]), 19),
    "other id": (lambda c, u: c.execute("UPDATE users SET id = gen_random_uuid() WHERE id = %s", [u]), 20),
    "deleted": (lambda c, u: c.execute("DELETE FROM users WHERE id = %s", [u]), 19),
    "upserted": (
        lambda c, u: c.execute(
            "INSERT INTO users VALUES (%s, '[0,1,0,0]', 'model@1') "
            "ON CONFLICT (id) DO UPDATE SET face_embedding = excluded.face_embedding",
            [u],
        ),
        20,
    ),
    "emptied": (lambda c, _: c.execute("TRUNCATE users CASCADE"), 0),
    "nothing": (lambda c, _: c.execute("UPDATE users SET id = id"), 20),
}


async def test_whatever_the_application_writes_is_in_the_index_at_once(
    admin: psycopg.Connection, database_url: str, people: list[UUID]
) -> None:
    """Every kind of change, in the same transaction, also when that is taken back."""
    for name, (change, indexed) in CHANGES.items():
        with admin.transaction(force_rollback=True):
            change(admin, people[0])
            copied = admin.execute("SELECT count(*) FROM facematch.gallery").fetchone()
            stale = admin.execute(
                "SELECT count(*) FROM facematch.gallery g JOIN users u ON u.id = g.user_id "
                "WHERE g.embedding <> l2_normalize(u.face_embedding)::halfvec"
            ).fetchone()
        assert (name, copied, stale) == (name, (indexed,), (0,))
    assert (await check(database_url)).is_good


async def test_the_few_who_become_many_are_noticed_by_the_next_search(
    admin: psycopg.Connection, database_url: str, people: list[UUID]
) -> None:
    """As without an index: it is a matter of how similar a stranger may be."""
    async with opened(database_url) as database:
        gallery = PostgresGallery(database, Codes, clock=ManualClock(), exact_below=0)
        await gallery.load(MODEL, PROBE.dimension)
        assert (await gallery.search(PROBE, limit=4)).gallery_size == len(people)
        enrol(admin, LARGEST_GALLERY_WITH_COHORT)
        assert (await gallery.search(PROBE, limit=4)).gallery_size == len(people) + LARGEST_GALLERY_WITH_COHORT


async def test_changes_of_the_table_are_not_hindered(
    admin: psycopg.Connection, database_url: str, people: list[UUID]
) -> None:
    """Columns that the index follows are altered, renamed and dropped, and rows written all the time."""
    for statement in (
        "ALTER TABLE users ALTER face_embedding TYPE vector(4)",
        "ALTER TABLE users ADD nickname text",
        "UPDATE users SET nickname = 'x'",
        "ALTER TABLE users RENAME face_embedding TO portrait",
        "INSERT INTO users (id) VALUES (gen_random_uuid())",
        "ALTER TABLE users RENAME portrait TO face_embedding",
        "ALTER TABLE users RENAME id TO user_id",
        "INSERT INTO users VALUES (gen_random_uuid(), '[1,0,0,0]', 'model@1')",
        "DELETE FROM users WHERE nickname IS NULL",
        "ALTER TABLE users RENAME user_id TO id",
        "ALTER TABLE users DROP face_embedding",
        "UPDATE users SET face_embedding_model = 'none'",
    ):
        admin.execute(statement.encode())
    assert (await migrate(database_url)).statements != []
    assert (await check(database_url)).difference.left_over == len(people)


async def test_who_is_deleted_goes_also_where_no_template_can_be_read(
    admin: psycopg.Connection, people: list[UUID]
) -> None:
    """The application has dropped the column, but the index must not keep what was in it."""
    admin.execute("ALTER TABLE users DROP face_embedding")
    admin.execute("DELETE FROM users WHERE id = %s", [people[0]])
    assert admin.execute("SELECT FROM facematch.gallery WHERE user_id = %s", [people[0]]).fetchall() == []


async def test_what_follows_users_is_replaced_when_the_index_is_made_again(
    admin: psycopg.Connection, database_url: str, people: list[UUID]
) -> None:
    """An earlier version's function gives way to this one's, without dropping the index."""
    function = sql.Identifier("facematch", IndexNames.of(MODEL).function)
    earlier = "CREATE OR REPLACE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
    admin.execute(sql.SQL(earlier).format(function))
    await make_index(database_url, MODEL, dimension=4)
    admin.execute("DELETE FROM users WHERE id = %s", [people[0]])
    assert admin.execute("SELECT FROM facematch.gallery WHERE user_id = %s", [people[0]]).fetchall() == []


async def test_a_snapshot_from_before_the_copy_cannot_write_whom_it_copied(
    admin: psycopg.Connection, database_url: str, people: list[UUID]
) -> None:
    """As after any concurrent change, an application in REPEATABLE READ has to try again, and then it may."""
    change = "UPDATE users SET face_embedding = '[1,0,0,0]' WHERE id = %s"
    admin.execute("DELETE FROM facematch.gallery")
    with psycopg.connect(database_url) as application:
        application.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        application.execute("SELECT FROM photos")
        await make_index(database_url, MODEL, dimension=4)
        with pytest.raises(psycopg.errors.SerializationFailure):
            application.execute(change, [people[0]])
        application.rollback()
        application.execute(change, [people[0]])
    assert (await check(database_url)).is_good


async def test_an_index_whose_vectors_were_dropped_with_the_extension_hinders_until_it_is_dropped(
    admin: psycopg.Connection, database_url: str, people: list[UUID]
) -> None:
    """Then templates can be written again, and with the column that the documentation names there is an index again."""
    admin.execute("DROP EXTENSION vector CASCADE")
    admin.execute("CREATE EXTENSION vector")
    admin.execute("ALTER TABLE users ADD face_embedding vector(4)")
    admin.execute("ALTER TABLE photo_faces ADD embedding vector(4)")
    write = "UPDATE users SET face_embedding = '[1,0,0,0]' WHERE id = %s"
    with pytest.raises(psycopg.errors.UndefinedColumn):
        admin.execute(write, [people[0]])
    async with keeping_index(database_url) as keep_index:
        await keep_index.tables.drop(MODEL)
    admin.execute(write, [people[0]])
    admin.execute("ALTER TABLE facematch.gallery ADD embedding halfvec NOT NULL, ALTER embedding SET STATISTICS 0")
    await make_index(database_url, MODEL, dimension=4)
    assert (await check(database_url)).is_good


async def test_the_index_is_what_is_searched(admin: psycopg.Connection, database_url: str) -> None:
    """No plan, for one probe or for all, reads a table from end to end or looks at another model's index."""
    await migrate(database_url)
    for model in (MODEL, ODD_MODEL):
        enrol(admin, 2_000, model=model, dimension=8)
        await make_index(database_url, model, dimension=8)
    async with opened(database_url) as database:
        schema: Schema = database.schema
    for number, model in enumerate((MODEL, ODD_MODEL)):
        query = proposed(schema, Wanted(model, 8, 4)).as_string()
        for position, name in enumerate(("probe", "users", "horizon", "server", "model"), start=1):
            query = query.replace(f"%({name})s", f"${position}")
        types = "vector, uuid[], text, text, text"
        admin.execute(f"PREPARE search{number} ({types}) AS {query.replace('%%', '%')}".encode())
        for mode in ("force_custom_plan", "force_generic_plan"):
            admin.execute(f"SET plan_cache_mode = {mode}".encode())
            execute = (
                f"EXPLAIN EXECUTE search{number}('[1,0,0,0,0,0,0,0]', ARRAY[gen_random_uuid()], '999999999', '', '')"
            )
            plan = "\n".join(row[0] for row in admin.execute(execute.encode()))
            assert re.search(rf"Index Scan (on|using) {IndexNames.of(model).partition}_changed_idx", plan)
            assert "Index Scan using users_pkey" in plan
            assert "Seq Scan" not in re.sub("Seq Scan on (templates|codebooks|active_model)", "", plan)
            assert len({name for name in (MODEL, ODD_MODEL) if IndexNames.of(name).partition in plan}) == 1


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_an_exact_search_reads_users_alone_from_end_to_end(
    admin: psycopg.Connection, database_url: str, mode: str
) -> None:
    """What else is known of the few that it finds is looked up by their ids, however many they are.

    Whether anybody is enrolled at all is asked only where nobody was found.
    """
    await migrate(database_url)
    enrol(admin, 20_000, dimension=8)
    admin.execute("INSERT INTO facematch.templates (user_id, photographs, fingerprint) SELECT id, 1, '' FROM users")
    admin.execute("ANALYZE")
    async with opened(database_url) as database:
        query = exact(database.schema, Wanted(MODEL, 8, 4)).as_string()
    query = query.replace("%(probe)s", "$1").replace("%(model)s", "$2")
    admin.execute(f"PREPARE search (vector, text) AS {query}".encode())
    admin.execute(f"SET plan_cache_mode = {mode}".encode())
    execute = f"EXPLAIN (ANALYZE, TIMING OFF) EXECUTE search('[1,0,0,0,0,0,0,0]', '{MODEL}')"
    plan = "\n".join(row[0] for row in admin.execute(execute.encode()) if "never executed" not in row[0])
    assert set(re.findall(r"Seq Scan on (\w+)", plan)) == {"users", "active_model"}
    assert len(re.findall(r"Seq Scan on users", plan)) == 1
    assert "Index Scan using templates_pkey" in plan


async def test_both_searches_find_the_same_while_users_come_and_go(
    admin: psycopg.Connection, database_url: str
) -> None:
    """Half of the users are deleted, marked or replaced under the index; whom it proposes is compared exactly."""
    await migrate(database_url)
    admin.execute("ALTER TABLE users ADD blocked boolean")
    enrol(admin, 4_500, dimension=16)
    await make_index(database_url, MODEL, dimension=16)
    admin.execute("DELETE FROM users WHERE get_byte(uuid_send(id), 15) < 64")
    admin.execute("UPDATE users SET blocked = true WHERE get_byte(uuid_send(id), 15) < 128")
    enrol(admin, 300, dimension=16)
    random = np.random.default_rng(1)
    probes = [FaceEmbedding(MODEL, tuple(random.normal(size=16).tolist())) for _ in range(40)]
    async with opened(database_url) as database:
        by_index = PostgresGallery(database, Codes, clock=ManualClock(), exact_below=0)
        await by_index.load(MODEL, 16)
        exact = PostgresGallery(database, Codes, clock=ManualClock(), exact_below=10**9)
        found = [list((await by_index.search(probe, limit=4)).nearest) for probe in probes]
        right = [list((await exact.search(probe, limit=4)).nearest) for probe in probes]
    assert [len(each) for each in found] == [4] * 40
    assert sum(mine == true for mine, true in zip(found, right, strict=True)) >= 38
    assert (await check(database_url, dimension=16)).is_good


async def test_writers_and_the_build_do_not_disturb_each_other(admin: psycopg.Connection, database_url: str) -> None:
    """Users come, change and go all the time while it is built, and nothing is missing, left over or different."""
    await migrate(database_url)
    enrol(admin, 800, dimension=8)
    done, failures = Event(), list[BaseException]()

    def write(number: int) -> None:
        random = np.random.default_rng(number)
        with psycopg.connect(database_url) as connection:
            while not done.is_set():
                vector = str(random.normal(size=8).tolist())
                start = UUID(int=int(random.integers(2**63)) << 65)
                somebody = f"id IN (SELECT id FROM users WHERE id > '{start}' LIMIT 1)"
                try:
                    connection.execute("INSERT INTO users VALUES (gen_random_uuid(), %s, %s)", [vector, MODEL])
                    connection.execute(f"UPDATE users SET face_embedding = %s WHERE {somebody}".encode(), [vector])
                    connection.execute(f"DELETE FROM users WHERE {somebody}".encode())
                    connection.commit()
                except psycopg.errors.DeadlockDetected:  # of the two writers with each other
                    connection.rollback()
                except BaseException as error:
                    failures.append(error)
                    raise

    writers = [Thread(target=write, args=(number,)) for number in range(2)]
    for writer in writers:
        writer.start()
    try:
        async with keeping_index(database_url) as keep_index:
            [model] = await keep_index.tables.models()
            await keep_index.build(model, unheard)
        report = await check(database_url, dimension=8)
    finally:
        done.set()
        for writer in writers:
            writer.join()
    assert (failures, report.is_good) == ([], True)
    assert (await check(database_url, dimension=8)).is_good


@pytest.mark.parametrize(("dimension", "storage"), [(128, "MAIN"), (512, "EXTERNAL")])
async def test_a_build_does_not_read_users_anew_for_each_page(
    admin: psycopg.Connection, database_url: str, monkeypatch: pytest.MonkeyPatch, dimension: int, storage: str
) -> None:
    """Nor where they have just been loaded and were never analysed, with vectors in the row or beside it."""
    count, pages = 2_000, 20
    monkeypatch.setattr("adapters.postgres.search_index.filling._PAGE", count // pages)
    await migrate(database_url)
    admin.execute("ALTER TABLE users SET (autovacuum_enabled = off)")
    admin.execute(f"ALTER TABLE users ALTER face_embedding SET STORAGE {storage}".encode())
    enrol(admin, count, dimension=dimension, is_analysed=False)
    before = rows_read(admin)
    await make_index(database_url, MODEL, dimension=dimension)
    assert rows_read(admin) - before <= 6 * count


def rows_read(admin: psycopg.Connection) -> int:
    """Return how many rows of ``users`` were read by connections that are closed."""
    return statistic(admin, "seq_tup_read + idx_tup_fetch", "pg_stat_user_tables")


@pytest.mark.parametrize(
    "harm",
    [
        "DELETE FROM facematch.codebooks",
        "ALTER TABLE users DISABLE TRIGGER {trigger}",
        "DROP TRIGGER {trigger} ON users",
    ],
    ids=["no codebook", "trigger off", "no trigger"],
)
@pytest.mark.usefixtures("people")
async def test_without_one_of_its_parts_nobody_relies_on_the_index(
    admin: psycopg.Connection, database_url: str, harm: str
) -> None:
    """Searches are exact until it has been built again."""
    names = IndexNames.of(MODEL)
    admin.execute(harm.format(trigger=names.trigger).encode())
    admin.execute("INSERT INTO users VALUES (%s, '[1,0,0,0]', %s)", [UUID(int=7), MODEL])
    seen = await state(database_url)
    assert seen is not None
    assert not seen.serves(4)
    assert (await nearest(database_url))[0].distance == 0
    async with keeping_index(database_url) as keep_index:
        [model] = await keep_index.tables.models()
        await keep_index.build(model, unheard)
    assert (await check(database_url)).is_good


async def test_a_shortlist_that_is_too_short_is_made_longer(admin: psycopg.Connection, database_url: str) -> None:
    """Also of what an older release has learnt, which stays; workers load it anew, and only then."""
    await migrate(database_url)
    enrol(admin, 6_000, dimension=512)

    async def built() -> tuple[Shortlist | None, IndexState | None]:
        async with keeping_index(database_url) as keep_index:
            [model] = await keep_index.tables.models()
            shortlist = await keep_index.build(model, unheard)
            assert await keep_index.measure(model, unheard) == shortlist
        return shortlist, await state(database_url)

    shortlist, seen = await built()
    assert shortlist is not None
    assert seen is not None
    assert (shortlist.in_use.shortlist > 1_024, shortlist.in_use.found >= 0.998) == (True, True)
    assert shortlist.enough == shortlist.in_use
    assert await built() == (shortlist, seen)
    [learnt] = admin.execute("SELECT content FROM facematch.codebooks").fetchone() or (b"",)
    older = with_shortlist(learnt, FOUND)
    assert older != learnt
    admin.execute("UPDATE facematch.codebooks SET content = %s, users = 5999", [older])
    again, seen_again = await built()
    assert again == shortlist
    assert seen_again == attrs.evolve(seen, version=seen_again.version if seen_again else "", learnt_from=5_999)
    assert seen_again.version != seen.version
    assert admin.execute("SELECT content FROM facematch.codebooks").fetchone() == (learnt,)


async def test_an_index_that_goes_away_hides_nobody(database_url: str, people: list[UUID]) -> None:
    """A worker that still believes in it compares with everybody; nothing of it is left behind."""
    async with opened(database_url) as database:
        gallery = PostgresGallery(database, Codes, clock=ManualClock(), exact_below=0)
        await gallery.load(MODEL, 4)
        before = list((await gallery.search(PROBE, limit=4)).nearest)
        async with keeping_index(database_url) as keep_index:
            await keep_index.tables.drop(MODEL)
            assert await keep_index.tables.models() == [Model(MODEL, 4, len(people), is_indexed=False)]
        assert list((await gallery.search(PROBE, limit=4)).nearest) == before
    assert await state(database_url) is None


async def test_an_index_of_another_dimension_is_not_searched(
    admin: psycopg.Connection, database_url: str, people: list[UUID]
) -> None:
    """Whoever has the model's new one is found all the same."""
    admin.execute("DELETE FROM users")
    enrol(admin, len(people), dimension=6)
    assert (await nearest(database_url, FaceEmbedding(MODEL, (1.0,) * 6)))[0].distance < 2


async def test_vectors_of_four_thousand_dimensions_are_indexed(admin: psycopg.Connection, database_url: str) -> None:
    """As many as fit into a page of a table; under the longest name."""
    dimension = 4_000
    await migrate(database_url)
    enrol(admin, 3, model=ODD_MODEL, dimension=dimension)
    await make_index(database_url, ODD_MODEL, dimension=dimension)
    probe = FaceEmbedding(ODD_MODEL, (1 / math.sqrt(dimension),) * dimension)
    assert len(await nearest(database_url, probe)) == 3


async def test_only_one_works_on_indexes_at_a_time(database_url: str) -> None:
    """The second is told so, and changes nothing."""
    await migrate(database_url)
    async with keeping_index(database_url):
        with pytest.raises(IndexRefusedError, match="another"):
            async with keeping_index(database_url):
                pass


async def test_an_index_is_nothing_that_migrate_minds(database_url: str, people: list[UUID]) -> None:
    """There is nothing to do, and nothing of the index is lost."""
    assert (await migrate(database_url)).statements == []
    assert (await check(database_url)).difference.indexed == len(people)


async def test_a_view_cannot_be_followed(admin: psycopg.Connection, database_url: str) -> None:
    """Where it stands in for the table the command says so."""
    await migrate(database_url)
    admin.execute("CREATE SCHEMA app; ALTER TABLE users SET SCHEMA app; CREATE VIEW users AS SELECT * FROM app.users")
    with pytest.raises(IndexRefusedError, match=r"public\.users is no table"):
        await make_index(database_url, MODEL, dimension=4)


async def test_a_dump_brings_the_index_along(
    admin: psycopg.Connection, postgres_server: PostgresServer, database_url: str, people: list[UUID], tmp_path: Path
) -> None:
    """Restored into an empty database it serves, and follows what is written there."""
    dump, copy_url = tmp_path / "dump.sql", postgres_server.create_database(f"copy_{uuid4().hex[:8]}")
    await asyncio.to_thread(run, "pg_dump", database_url, "--file", dump)
    await asyncio.to_thread(run, "psql", copy_url, "--quiet", "--set", "ON_ERROR_STOP=1", "--file", dump)
    admin.execute("DELETE FROM users")
    with psycopg.connect(copy_url, autocommit=True) as copied:
        enrol(copied, 1)
    report = await check(copy_url)
    assert (report.is_good, report.difference.indexed) == (True, len(people) + 1)
