"""Opening the database: what a worker must find, and what it says when it does not."""

import re
from uuid import uuid4

import attrs
import psycopg
import pytest
from psycopg import sql

from adapters.postgres.connection.database import Database
from adapters.postgres.gallery.active_model import ActiveModel
from adapters.postgres.gallery.enrolment import PostgresEnrolment
from adapters.postgres.gallery.reenrolment import PostgresReenrolment
from adapters.postgres.gallery.stored_faces import PostgresStoredFaces
from adapters.postgres.migrate import migrate
from adapters.postgres.records.ledger import PostgresLedger
from adapters.postgres.records.statistics import PostgresStatistics
from adapters.postgres.tables.catalogue import SchemaError
from adapters.postgres.tables.schema import DimensionMismatchError
from application.ports.dependency import Dependency
from application.ports.face_pipeline import EmbedderInfo
from domain.calibration import Calibration
from domain.decision import Candidate
from domain.errors import DatabaseForbiddenError, DatabaseUnavailableError
from infra.local_stack.postgres import PostgresServer
from tests.contract.ledger.jobs import accepted, embedding, header, record
from tests.databases import new_role, url_of
from tests.fakes.clock import ManualClock
from tests.integration.postgres.use import opened


def embedder(dimension: int) -> EmbedderInfo:
    """Return an embedder of that dimension."""
    return EmbedderInfo(
        id="mine@1", dimension=dimension, licence="-", description="-", calibration=Calibration(((0.01, 0.1),))
    )


async def opening(url: str, dimension: int | None = None) -> None:
    """Open the database and close it again."""
    database = Database(url)
    try:
        await database.open(embedder(dimension) if dimension is not None else None, to_work=True)
    finally:
        await database.close()


async def test_an_empty_database_is_to_be_migrated(database_url: str) -> None:
    """The message lists everything that is missing and names the command."""
    with pytest.raises(SchemaError) as refused:
        await opening(database_url)
    assert str(refused.value) == (
        "the database lacks the extension vector, photos, users, photo_faces, face_matches, facematch.outcomes, "
        "facematch.attempts, facematch.templates, facematch.gallery, facematch.codebooks, "
        "facematch.prepared_templates, facematch.active_model, facematch.application_tables, "
        "facematch.schema_migrations: run `facematch migrate`"
    )


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
async def test_a_database_that_cannot_hold_every_character_is_refused(
    postgres_server: PostgresServer, encoding: str
) -> None:
    """By `migrate` and by a worker: else the first job with another key in it would fail."""
    name = f"{encoding.lower()}_{uuid4().hex[:8]}"
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0".encode())
    for attempt in (migrate, opening):
        with pytest.raises(SchemaError, match=f"the database's encoding is {encoding}, and it has to be UTF8"):
            await attempt(postgres_server.url(name))


async def test_an_applications_database_is_to_be_migrated(admin: psycopg.Connection, database_url: str) -> None:
    """The model columns are missing, where the application has its tables."""
    await migrate(database_url)
    admin.execute("ALTER TABLE photo_faces DROP COLUMN embedding_model; ALTER TABLE users DROP face_embedding_model")
    with pytest.raises(
        SchemaError, match=r"lacks public\.users\.face_embedding_model, public\.photo_faces\.embedding_m"
    ):
        await opening(database_url)


async def test_a_newer_service_wants_its_migrations(admin: psycopg.Connection, database_url: str) -> None:
    """A worker that is newer than the database does not start to find out by failing."""
    await migrate(database_url)
    admin.execute("DELETE FROM facematch.schema_migrations")
    with pytest.raises(
        SchemaError,
        match=r"lacks the migrations 0001_ledger\.sql, .*0009_application_tables\.sql.*: run `facematch migrate`",
    ):
        await opening(database_url)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            "ALTER TABLE photos ADD other bigint; ALTER TABLE photos DROP id; ALTER TABLE photos RENAME other TO id",
            "bigint",
        ),
        ("ALTER TABLE photo_faces DROP bbox", r"public\.photo_faces has no column bbox"),
        ("ALTER TABLE users DROP face_embedding; ALTER TABLE users ADD face_embedding real[]", "_float4, not vector"),
        ("ALTER TABLE users ADD blocked int", r"public\.users\.blocked is of type int4, not boolean"),
        ("ALTER TABLE face_matches ADD tenant uuid NOT NULL", r"public\.face_matches\.tenant must be filled"),
        (
            "ALTER TABLE users ADD deleted_at timestamptz NOT NULL DEFAULT 'infinity'",
            r"public\.users\.deleted_at can never be null, so that everybody counts as deleted: let it be null",
        ),
        (
            "CREATE DOMAIN tenant AS uuid NOT NULL; CREATE DOMAIN owner AS tenant; ALTER TABLE photo_faces ADD o owner",
            r"public\.photo_faces\.o must be filled",
        ),
        (
            "ALTER TABLE photo_faces DROP embedding_model, ADD embedding_model text GENERATED ALWAYS AS ('m@1') STORED",
            r"public\.photo_faces\.embedding_model is generated, and the service writes it: make it a plain column",
        ),
        (
            "ALTER TABLE photo_faces ALTER face_index ADD GENERATED ALWAYS AS IDENTITY",
            r"public\.photo_faces\.face_index is generated",
        ),
        (
            "CREATE TYPE model AS ENUM ('m@1'); ALTER TABLE users ALTER face_embedding_model TYPE model USING 'm@1'",
            r"public\.users\.face_embedding_model is of type model, not text or varchar or citext",
        ),
    ],
    ids=["id", "bbox", "vector", "blocked", "tenant", "deleted_at", "domain", "generated", "identity", "enum"],
)
async def test_tables_that_cannot_be_worked_with_are_named(
    admin: psycopg.Connection, database_url: str, change: str, expected: str
) -> None:
    """At the start, not job by job."""
    await migrate(database_url)
    admin.execute("ALTER TABLE photo_faces DROP CONSTRAINT photo_faces_photo_id_fkey")
    admin.execute(change.encode())
    with pytest.raises(SchemaError, match=expected.replace("bigint", r"public\.photos\.id is of type int8, not uuid")):
        await opening(database_url)


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE face_matches ADD tenant uuid NOT NULL DEFAULT gen_random_uuid()",
        "ALTER TABLE photo_faces ADD number bigint GENERATED ALWAYS AS IDENTITY",
        "ALTER TABLE photos ADD title text NOT NULL",
        "CREATE DOMAIN photo_id AS uuid; ALTER TABLE photos ALTER id TYPE photo_id",
        "ALTER TABLE photo_faces ALTER bbox TYPE json",
        """ALTER TABLE users ADD deleted_at boolean NOT NULL DEFAULT false; ALTER TABLE users RENAME TO people;
        CREATE VIEW users AS SELECT id, face_embedding, face_embedding_model, nullif(deleted_at, false) AS deleted_at
          FROM people""",
        "CREATE DOMAIN note AS text DEFAULT '-' NOT NULL; ALTER TABLE photo_faces ADD a note, ADD b note NOT NULL",
        "CREATE DOMAIN key AS uuid; CREATE DOMAIN photo_key AS key; ALTER TABLE photos ALTER id TYPE photo_key",
        "CREATE DOMAIN model AS varchar(60); ALTER TABLE photo_faces ALTER embedding_model TYPE model",
        """CREATE DOMAIN tenant AS text NOT NULL; ALTER TABLE face_matches ADD tenant tenant DEFAULT 'one';
        ALTER TABLE face_matches RENAME TO matches; CREATE VIEW face_matches AS SELECT * FROM matches""",
    ],
)
async def test_columns_of_the_applications_own_are_no_trouble(
    admin: psycopg.Connection, database_url: str, change: str
) -> None:
    """As long as the service need not fill them."""
    await migrate(database_url)
    admin.execute(change.encode())
    await opening(database_url)


@pytest.mark.parametrize("table", ["users ALTER face_embedding", "photo_faces ALTER embedding"])
async def test_an_embedder_of_another_dimension_does_not_start(
    admin: psycopg.Connection, database_url: str, table: str
) -> None:
    """The message names the column, its dimension, the embedder and its own; the right dimension starts."""
    await migrate(database_url)
    admin.execute(f"ALTER TABLE {table} TYPE vector(512)".encode())
    name, column = table.split(" ALTER ")
    with pytest.raises(DimensionMismatchError) as refused:
        await opening(database_url, 128)
    assert str(refused.value) == (
        f"public.{name}.{column} is vector(512), but embedder mine@1 makes vectors of 128 dimensions: choose an "
        "embedder of that dimension with FACEMATCH_EMBEDDER (see `facematch embedders`), or change the column's type "
        "to vector"
    )
    await opening(database_url, 512)
    await opening(database_url)


async def test_a_domain_over_a_vector_has_its_dimension(admin: psycopg.Connection, database_url: str) -> None:
    """However the application names the type."""
    await migrate(database_url)
    admin.execute("CREATE DOMAIN face AS vector(512); CREATE DOMAIN portrait AS face")
    admin.execute("ALTER TABLE users ALTER face_embedding TYPE portrait")
    with pytest.raises(DimensionMismatchError, match=r"public\.users\.face_embedding is vector\(512\)"):
        await opening(database_url, 128)


async def test_a_column_without_dimension_takes_any_embedder(database_url: str) -> None:
    """That is how `migrate` makes it."""
    await migrate(database_url)
    for dimension in (128, 512):
        await opening(database_url, dimension)


async def test_every_right_that_is_granted_is_needed(
    admin: psycopg.Connection, postgres_server: PostgresServer, database_url: str
) -> None:
    """Without any one of them a worker does not start, and says which; with it again it does."""
    worker = new_role(postgres_server, "worker")
    url = url_of(postgres_server, admin.info.dbname, worker)
    statements = (await migrate(database_url, grant_to=worker)).statements
    granted = [statement for statement in statements if statement.startswith("GRANT")]
    assert [s for s in granted if "ON SCHEMA" not in s] != []
    for statement in granted:
        if 'SCHEMA "public"' in statement:  # which is open to everybody
            continue
        admin.execute(statement.replace("GRANT", "REVOKE").replace(" TO ", " FROM ").encode())
        with pytest.raises(SchemaError) as refused:
            await opening(url)
        assert str(refused.value) == f"the role may not do a worker's work; the owner has to run: {statement};"
        admin.execute(statement.encode())
        await opening(url)


@pytest.mark.parametrize("table", ["photo_faces", "face_matches"])
async def test_what_a_default_counts_with_is_granted(
    admin: psycopg.Connection, postgres_server: PostgresServer, database_url: str, table: str
) -> None:
    """Without its sequence, wherever that is, a worker does not start; with it, and no more, it writes a match."""
    worker, photo, user = new_role(postgres_server, "worker"), uuid4(), uuid4()
    url = url_of(postgres_server, admin.info.dbname, worker)
    await migrate(database_url, grant_to=worker)
    admin.execute("CREATE SCHEMA elsewhere")
    admin.execute(f"ALTER TABLE {table} ADD number bigserial".encode())
    admin.execute(f"ALTER TABLE {table} ADD identity bigint GENERATED ALWAYS AS IDENTITY".encode())
    admin.execute(f'ALTER SEQUENCE {table}_number_seq RENAME TO "of %s"'.encode())
    admin.execute('ALTER SEQUENCE "of %s" OWNED BY NONE; ALTER SEQUENCE "of %s" SET SCHEMA elsewhere')
    grant = f'GRANT USAGE ON SEQUENCE "elsewhere"."of %s" TO "{worker}"'
    with pytest.raises(SchemaError) as refused:
        await opening(url)
    assert str(refused.value) == f"the role may not do a worker's work; the owner has to run: {grant};"
    assert [s for s in (await migrate(database_url, grant_to=worker)).statements if "SEQUENCE" in s] == [grant]
    admin.execute("INSERT INTO photos VALUES (%s)", [photo])
    admin.execute("INSERT INTO users VALUES (%s, '[1,0,0,0]', 'model@1')", [user])
    async with opened(url) as database:
        told = await PostgresLedger(database).conclude_face(header(photo), accepted(user))
    assert told.outcome.kind == "matched"
    assert admin.execute(f"SELECT number, identity FROM {table}".encode()).fetchall() == [(1, 1)]


async def test_a_role_that_enrols_can_do_that_and_no_more(
    admin: psycopg.Connection, postgres_server: PostgresServer, database_url: str
) -> None:
    """Every right is needed to replace a template, and enough to look for others; the ledger is out of its reach."""
    enroller = new_role(postgres_server, "enroller")
    await migrate(database_url)
    admin.execute("ALTER TABLE users ADD COLUMN IF NOT EXISTS deleted_at timestamptz")
    admin.execute("ALTER TABLE users ADD COLUMN IF NOT EXISTS blocked boolean")
    statements = (await migrate(database_url, grant_enrolment_to=enroller)).statements
    granted = [s for s in statements if s.startswith("GRANT") and 'SCHEMA "public"' not in s]
    user = uuid4()
    admin.execute("INSERT INTO users (id) VALUES (%s)", [user])
    database = Database(url_of(postgres_server, admin.info.dbname, enroller))
    await database.open(embedder(4))
    enrolment, reenrolment, template = PostgresEnrolment(database), PostgresReenrolment(database), embedding(1.0, 0.5)

    async def enrol_twice() -> None:
        admin.execute("UPDATE users SET face_embedding = NULL, face_embedding_model = NULL")
        assert await reenrolment.begin("old@1")
        await reenrolment.finish("old@1")
        assert await enrolment.save_template(user, attrs.evolve(template, model="old@1"), photographs=1)
        [outdated] = await reenrolment.outdated(template.model, after=None, limit=1)
        for photographs in (1, 2):
            await reenrolment.prepare(outdated, template, photographs=photographs)
        assert await reenrolment.half_done() is None
        assert await reenrolment.begin(template.model)
        assert await reenrolment.can_switch(template.model, user)
        assert await reenrolment.switch(template.model, [user]) == 1
        await reenrolment.finish(template.model)
        await ActiveModel(database, template.model, clock=ManualClock()).check()

    await enrol_twice()
    assert (await enrolment.others(uuid4(), template, limit=1)).nearest == (Candidate(user, 0.0, 2),)
    for statement in granted:
        admin.execute(statement.replace("GRANT", "REVOKE").replace(" TO ", " FROM ").encode())
        with pytest.raises(DatabaseForbiddenError, match="permission denied"):
            await enrol_twice()
        admin.execute(statement.encode())
    with pytest.raises(DatabaseForbiddenError, match="permission denied for table outcomes"):
        await PostgresLedger(database).history(uuid4())
    await database.close()
    with pytest.raises(SchemaError, match="may not do a worker's work"):
        await opening(url_of(postgres_server, admin.info.dbname, enroller))


async def test_who_only_asks_needs_no_right_to_work(
    admin: psycopg.Connection, postgres_server: PostgresServer, database_url: str
) -> None:
    """An operator's role may read the ledger and no more, and `show` works; what it may not do says so."""
    await migrate(database_url)
    operator = sql.Identifier(role := new_role(postgres_server, "operator"))
    admin.execute(sql.SQL("GRANT USAGE ON SCHEMA facematch TO {}").format(operator))
    admin.execute(sql.SQL("GRANT SELECT ON ALL TABLES IN SCHEMA facematch TO {}").format(operator))
    database = Database(url_of(postgres_server, admin.info.dbname, role))
    await database.open(embedder(4))
    ledger = PostgresLedger(database)
    assert list(await ledger.history(uuid4())) == []
    with pytest.raises(DatabaseForbiddenError, match="permission denied for table outcomes"):
        await ledger.conclude(record())
    await database.check()
    await database.close()


async def test_a_right_on_the_whole_table_is_as_good(
    admin: psycopg.Connection, postgres_server: PostgresServer, database_url: str
) -> None:
    """Nobody has to grant by column."""
    await migrate(database_url)
    worker = new_role(postgres_server, "worker")
    for statement in (
        "GRANT USAGE ON SCHEMA facematch TO {}",
        "GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO {}",
        "GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA facematch TO {}",
    ):
        admin.execute(sql.SQL(statement).format(sql.Identifier(worker)))
    await opening(url_of(postgres_server, admin.info.dbname, worker))


async def test_who_may_not_look_is_told_what_to_grant(
    admin: psycopg.Connection, postgres_server: PostgresServer, database_url: str
) -> None:
    """The statements name what the server does not: the column that lacks it. Run by the owner, they are enough."""
    await migrate(database_url)
    admin.execute("ALTER TABLE users ADD deleted_at timestamptz")
    reader = sql.Identifier(role := new_role(postgres_server, "reader"))
    face, told = uuid4(), list[str]()
    database = Database(url_of(postgres_server, admin.info.dbname, role))
    admin.execute(sql.SQL("GRANT SELECT (id, face_embedding, face_embedding_model) ON users TO {}").format(reader))
    admin.execute(sql.SQL("GRANT USAGE ON SCHEMA facematch TO {}").format(reader))
    await database.open()
    statistics, faces = PostgresStatistics(database), PostgresStoredFaces(database)
    for look in (statistics.recent, statistics.gallery, lambda: faces.nearest(face, limit=3)):
        with pytest.raises(DatabaseForbiddenError, match=r'"deleted_at"\) ON "public"."users" TO ') as refused:
            await look()
        told.append(str(refused.value).partition("can run: ")[2])
    assert len(set(told)) == 1
    for statement in told[0].split(";")[:-1]:
        admin.execute(statement.encode())
    assert await statistics.gallery() == {}
    assert await faces.nearest(face, limit=3) == ()
    assert (await statistics.recent()).last is None
    assert list(await PostgresLedger(database).history(uuid4())) == []
    await database.close()


async def test_a_server_that_is_away_can_be_waited_for(database_url: str) -> None:
    """It is another error than a wrong schema: it passes."""
    with pytest.raises(DatabaseUnavailableError, match=r"^database: .*Connection refused"):
        await opening(re.sub(r":\d+/", ":1/", database_url))


async def test_a_name_that_nobody_knows_is_told_in_words(database_url: str) -> None:
    """Without the number that the system has for it."""
    with pytest.raises(DatabaseUnavailableError, match=r"^database: failed to resolve host 'nobody.invalid': [A-Z]"):
        await opening(re.sub(r"@[^/]+/", "@nobody.invalid/", database_url))


async def test_it_is_a_dependency_that_can_be_probed(database: Database) -> None:
    """The adapter satisfies the port, and answers."""
    dependency: Dependency = database
    assert dependency.name == "database"
    await dependency.check()


async def test_nothing_works_before_it_is_open(database_url: str) -> None:
    """A mistake in the program says so."""
    database = Database(database_url)
    with pytest.raises(SchemaError, match="not open"):
        _ = database.schema


IN_APP = """
CREATE EXTENSION vector;
CREATE SCHEMA app;
CREATE TABLE app.photos (id uuid PRIMARY KEY);
CREATE TABLE app.users (id uuid PRIMARY KEY);
"""


@pytest.mark.parametrize("kind", ["TABLE public.users (LIKE app.users)", "VIEW public.users AS TABLE app.users"])
async def test_a_table_that_appears_earlier_on_the_search_path_is_not_followed(
    admin: psycopg.Connection, postgres_server: PostgresServer, database_url: str, kind: str
) -> None:
    """Not by a worker that runs, nor by one that starts, nor by `migrate`: who makes one may say who is whom."""
    admin.execute(IN_APP)
    worker = new_role(postgres_server, "worker")
    await migrate(database_url, grant_to=worker)
    url = url_of(postgres_server, admin.info.dbname, worker)
    async with opened(url) as database:
        admin.execute(f"CREATE {kind}; GRANT SELECT ON public.users TO PUBLIC".encode())
        await database.check()
        assert str(database.schema.users) == "app.users"
    assert (await migrate(database_url)).statements == []
    async with opened(url) as database:
        assert str(database.schema.users) == "app.users"


async def test_an_unrelated_table_of_the_same_name_stops_no_jobs(admin: psycopg.Connection, database_url: str) -> None:
    """Where the application's are on nobody's search path either, and the other one is of quite another kind."""
    admin.execute(IN_APP)
    await migrate(database_url)
    async with opened(database_url) as database:
        admin.execute("CREATE SCHEMA reporting; CREATE TABLE reporting.users (month date)")
        await database.check()
    await opening(database_url)
