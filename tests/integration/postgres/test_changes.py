"""The database changes under a running worker: for every job alike, so that it counts as an outage."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import psycopg
import pytest
import pytest_asyncio
from psycopg import sql

from adapters.faiss_codes.codes import Codes
from adapters.postgres.connection.database import Database
from adapters.postgres.gallery.gallery import PostgresGallery
from adapters.postgres.migrate import migrate
from adapters.postgres.records.ledger import PostgresLedger
from adapters.postgres.tables.catalogue import SchemaError
from application.ports.face_pipeline import EmbedderInfo
from domain.calibration import Calibration
from domain.errors import DatabaseUnavailableError
from domain.faces import FaceEmbedding
from infra.local_stack.postgres import PostgresServer
from tests.contract.ledger.jobs import MODEL, accepted, embedding, header
from tests.databases import new_role, url_of
from tests.fakes.clock import ManualClock
from tests.integration.postgres.use import UNKNOWN, on_every_connection, opened, recall
from tests.tables import PostgresTables

EMBEDDER = EmbedderInfo(
    id="model@1", dimension=4, licence="-", description="-", calibration=Calibration(((0.01, 0.1),))
)
RAISE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE {how} END $$;
CREATE TRIGGER refuse BEFORE INSERT ON face_matches FOR EACH ROW EXECUTE FUNCTION refuse();
"""
IN_IT = r"in PL/pgSQL function (public\.)?refuse\(\) line 1 at RAISE"


@pytest.fixture
def tables(database_url: str, admin: psycopg.Connection) -> Iterator[PostgresTables]:
    """Return the tables of an application whose vectors have the embedder's dimension."""
    admin.execute("CREATE EXTENSION vector; CREATE TABLE users (id uuid PRIMARY KEY, face_embedding vector(4))")
    admin.execute("ALTER TABLE users ADD deleted_at timestamptz, ADD blocked boolean")
    tables = PostgresTables(database_url)
    yield tables
    tables.close()


@pytest_asyncio.fixture
async def working(database_url: str, tables: PostgresTables) -> AsyncIterator[Database]:
    """Return the database as a worker has it open that knows its embedder."""
    await migrate(database_url)
    tables.run("ALTER TABLE {photo_faces} ALTER embedding TYPE {vector}(4)")
    database = Database(database_url)
    await database.open(EMBEDDER, to_work=True)
    yield database
    await database.close()


async def test_a_right_that_is_taken_away_stops_the_work_until_it_is_given_back(
    admin: psycopg.Connection, postgres_server: PostgresServer, database_url: str
) -> None:
    """The probe says which one is missing."""
    worker = new_role(postgres_server, "worker")
    await migrate(database_url, grant_to=worker)
    async with opened(url_of(postgres_server, admin.info.dbname, worker)) as database:
        admin.execute(sql.SQL("REVOKE SELECT (id) ON photos FROM {}").format(sql.Identifier(worker)))
        with pytest.raises(DatabaseUnavailableError, match="permission denied for table photos"):
            await recall(database)
        with pytest.raises(SchemaError, match=r'GRANT SELECT \("id"\) ON "public"."photos"'):
            await database.check()
        admin.execute(sql.SQL("GRANT SELECT (id) ON photos TO {}").format(sql.Identifier(worker)))
        await database.check()
        assert await recall(database) == UNKNOWN


async def test_tables_that_are_moved_are_found_again_by_migrate(admin: psycopg.Connection, database_url: str) -> None:
    """Then the probe ends the outage; before, workers wait, for they follow no other table of a name by themselves."""
    await migrate(database_url)
    async with opened(database_url) as database:
        admin.execute("ALTER TABLE photos RENAME TO photos_old")
        with pytest.raises(DatabaseUnavailableError, match="photos"):
            await recall(database)
        with pytest.raises(SchemaError, match="the database lacks photos"):
            await database.check()
        admin.execute("ALTER TABLE photos_old RENAME TO photos; CREATE SCHEMA app; ALTER TABLE photos SET SCHEMA app")
        with pytest.raises(SchemaError, match="photos is not in the schema public any more, and another is in app"):
            await database.check()
        [kept] = (await migrate(database_url)).statements
        assert "'photos', 'app'" in kept
        await database.check()
        assert await recall(database) == UNKNOWN


async def test_a_column_that_the_application_drops_is_not_asked_for_again(
    admin: psycopg.Connection, database_url: str
) -> None:
    """The probe sees that nobody can be marked as deleted any more, and the search goes on."""
    await migrate(database_url)
    admin.execute("ALTER TABLE users ADD deleted_at timestamptz")
    probe = FaceEmbedding("model@1", (1.0, 0.0))
    async with opened(database_url) as database:
        gallery = PostgresGallery(database, Codes, clock=ManualClock())
        admin.execute("ALTER TABLE users DROP deleted_at")
        with pytest.raises(DatabaseUnavailableError, match="deleted_at"):
            await gallery.search(probe, limit=1)
        await database.check()
        assert list((await gallery.search(probe, limit=1)).nearest) == []


@pytest.mark.parametrize(
    ("change", "refusal", "found", "undo"),
    [
        (
            "ALTER TABLE face_matches ADD tenant int NOT NULL",
            'refused: null value in column "tenant"',
            r"public\.face_matches\.tenant must be filled",
            "ALTER TABLE face_matches DROP tenant",
        ),
        (
            "ALTER TABLE photo_faces ALTER embedding TYPE vector(8)",
            "refused: expected 8 dimensions, not 4",
            r"public\.photo_faces\.embedding is vector\(8\)",
            "ALTER TABLE photo_faces ALTER embedding TYPE vector(4)",
        ),
    ],
    ids=["column", "dimension"],
)
async def test_a_migration_that_no_face_can_be_written_after_is_waited_for(
    working: Database, tables: PostgresTables, change: str, refusal: str, found: str, undo: str
) -> None:
    """It is no job's own fault: the probe says what is in the way, and work goes on once it is away."""
    photo, user, ledger = tables.add_photo(uuid4()), tables.add_user(uuid4(), embedding(1.0)), PostgresLedger(working)
    tables.run(change)
    with pytest.raises(DatabaseUnavailableError, match=f"database, conclude_face: {refusal}"):
        await ledger.conclude_face(header(photo), accepted(user))
    with pytest.raises(SchemaError, match=found):
        await working.check()
    tables.run(undo)
    await working.check()
    assert (await ledger.conclude_face(header(photo), accepted(user))).outcome.kind == "matched"


async def test_templates_of_another_dimension_are_waited_for(working: Database, tables: PostgresTables) -> None:
    """A search that the server cannot do is everybody's trouble, too."""
    gallery, user = PostgresGallery(working, Codes, clock=ManualClock()), tables.add_user(uuid4(), embedding(1.0))
    assert [candidate.user_id for candidate in (await gallery.search(embedding(1.0), limit=1)).nearest] == [user]
    tables.run("UPDATE {users} SET face_embedding = NULL")
    tables.run("ALTER TABLE {users} ALTER face_embedding TYPE {vector}(8)")
    tables.run("UPDATE {users} SET face_embedding = '[1,0,0,0,0,0,0,0]'")
    with pytest.raises(DatabaseUnavailableError, match="database, nearest: refused: different vector dimensions"):
        await gallery.search(embedding(1.0), limit=1)
    with pytest.raises(SchemaError, match=r"public\.users\.face_embedding is vector\(8\)"):
        await working.check()


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ("ALTER TABLE face_matches ADD CONSTRAINT far CHECK (confidence > 0.5)", 'violates check constraint "far"'),
        (RAISE.format(how="'closed on Sundays';"), f"closed on Sundays, {IN_IT}"),
        (RAISE.format(how="'closed' USING ERRCODE = 'SUN01';"), f"closed, {IN_IT}"),
    ],
    ids=["check", "trigger", "state"],
)
async def test_what_a_rule_of_the_application_refuses_is_told_in_its_words(
    working: Database, tables: PostgresTables, admin: psycopg.Connection, change: str, refusal: str
) -> None:
    """The schema is as it should be, so that it counts against the job: a rule may refuse this one alone."""
    photo, user = tables.add_photo(uuid4()), tables.add_user(uuid4(), embedding(1.0))
    admin.execute(change.encode())
    with pytest.raises(DatabaseUnavailableError, match=f"database, conclude_face: refused: .*{refusal}$"):
        await PostgresLedger(working).conclude_face(header(photo), accepted(user))
    await working.check()
    assert tables.faces() == []


_MADE_ANEW = """
DROP EXTENSION vector CASCADE;
CREATE EXTENSION vector;
ALTER TABLE users ADD face_embedding vector({0});
ALTER TABLE photo_faces ADD embedding vector({0});
"""
_PUT_RIGHT = """
ALTER TABLE users ALTER face_embedding TYPE vector(4);
ALTER TABLE photo_faces ALTER embedding TYPE vector(4);
"""


async def test_an_extension_that_is_made_anew_is_an_outage_of_a_moment(
    working: Database, tables: PostgresTables, admin: psycopg.Connection
) -> None:
    """Connections that know its type by the old number are replaced, and no job is blamed for them."""
    gallery, ledger = PostgresGallery(working, Codes, clock=ManualClock()), PostgresLedger(working)
    photo, user = tables.add_photo(uuid4()), tables.add_user(uuid4(), embedding(1.0))
    await gallery.search(embedding(1.0), limit=1)
    admin.execute(_MADE_ANEW.format(4).encode())
    tables.write_embedding(user, MODEL, embedding(1.0).vector)
    with pytest.raises(DatabaseUnavailableError, match="cache lookup failed for type"):
        await gallery.search(embedding(1.0), limit=1)
    with pytest.raises(DatabaseUnavailableError, match="the extension vector was made anew"):
        await working.check()
    await working.check()
    assert [candidate.user_id for candidate in (await gallery.search(embedding(1.0), limit=1)).nearest] == [user]
    assert (await ledger.conclude_face(header(photo), accepted(user))).outcome.kind == "matched"


async def test_an_extension_that_is_made_anew_with_something_else_wrong_is_not_forgotten(
    working: Database, tables: PostgresTables, admin: psycopg.Connection
) -> None:
    """Connections are replaced by the look that finds it, whatever else that finds: no later one would."""
    gallery, user = PostgresGallery(working, Codes, clock=ManualClock()), tables.add_user(uuid4(), embedding(1.0))
    await gallery.search(embedding(1.0), limit=1)
    admin.execute(_MADE_ANEW.format(5).encode())
    with pytest.raises(SchemaError, match=r"is vector\(5\)"):
        await working.check()
    admin.execute(_PUT_RIGHT)
    tables.write_embedding(user, MODEL, embedding(1.0).vector)
    await working.check()
    assert [candidate.user_id for candidate in (await gallery.search(embedding(1.0), limit=1)).nearest] == [user]


async def test_a_rule_that_says_something_is_not_supported_costs_no_connection(
    working: Database, database_url: str, tables: PostgresTables, admin: psycopg.Connection
) -> None:
    """PostgreSQL has one state for that and for a plan that is out of date."""
    del working
    photo, user = tables.add_photo(uuid4()), tables.add_user(uuid4(), embedding(1.0))
    admin.execute(RAISE.format(how="'no' USING ERRCODE = 'feature_not_supported';").encode())
    async with opened(database_url, size=1) as database:
        before = await _pid(database)
        with pytest.raises(DatabaseUnavailableError, match="database, conclude_face: refused: no"):
            await PostgresLedger(database).conclude_face(header(photo), accepted(user))
        assert await _pid(database) == before


async def _pid(database: Database) -> int:
    async with database.operation("pid") as connection:
        [pid] = await (await connection.execute("SELECT pg_backend_pid()")).fetchone() or (0,)
        return int(pid)


async def test_statements_that_were_prepared_before_a_column_changed_are_given_up(
    database_url: str, admin: psycopg.Connection
) -> None:
    """The job that meets one first is tried again on another connection, as are all that come later."""
    await migrate(database_url)
    async with opened(database_url) as database:
        await on_every_connection(database, 4)
        for _ in range(5 * 4):  # one after the other takes the connections in turns
            await recall(database)
        admin.execute("ALTER TABLE facematch.outcomes ALTER detail TYPE varchar")
        with pytest.raises(DatabaseUnavailableError, match="cached plan must not change result type"):
            await recall(database)
        assert await asyncio.gather(*(recall(database) for _ in range(4))) == [UNKNOWN] * 4
