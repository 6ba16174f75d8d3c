"""What ``doctor`` learns of the database."""

import asyncio
from uuid import uuid4

import attrs
import psycopg
import pytest

from adapters.postgres.inspection import inspect_database
from adapters.postgres.migrate import migrate
from application.ports.face_pipeline import EmbedderInfo
from domain.calibration import Calibration
from domain.faces import FaceEmbedding
from infra.local_stack.postgres import PostgresServer
from tests.databases import PreparedDatabase, make_index, new_role, url_of
from tests.e2e.world import eventually
from tests.integration.postgres.use import opened, statistic
from tests.tables import PostgresTables, Vectors

EMBEDDER = EmbedderInfo(
    id="model@1", dimension=4, licence="-", description="-", calibration=Calibration(((0.01, 0.1),))
)
TEMPLATE = FaceEmbedding("model@1", (1.0, 0.0, 0.0, 0.0))
PARTITIONED = """
CREATE TABLE users (id uuid PRIMARY KEY, face_embedding vector, face_embedding_model text) PARTITION BY RANGE (id);
CREATE TABLE oldest PARTITION OF users FOR VALUES FROM (MINVALUE) TO ('80000000-0000-0000-0000-000000000000');
INSERT INTO users VALUES ('00000000-0000-0000-0000-000000000001', '[1,0,0,0]', 'model@1');
CREATE TABLE newcomers (LIKE users INCLUDING ALL);
INSERT INTO newcomers VALUES
    ('90000000-0000-0000-0000-000000000001', '[0,1,0,0]', 'model@1'),
    ('90000000-0000-0000-0000-000000000002', '[0,0,1,0]', 'model@1'),
    ('90000000-0000-0000-0000-000000000003', '[0,1]', 'model@1'),
    ('90000000-0000-0000-0000-000000000004', NULL, NULL);
"""


async def test_embeddings_are_counted_by_what_they_are_good_for(
    prepared: PreparedDatabase, tables: PostgresTables
) -> None:
    """Of this model, of this model but unfit, or two users' alike, of others, and of an unknown one.

    Who may not be named does not count. Of other models only deleted users do not, whom `reenroll` leaves out, too.
    """
    for _ in range(3):
        tables.add_user(uuid4(), TEMPLATE)
    tables.add_user(uuid4(), TEMPLATE, deleted=True)
    tables.add_user(uuid4(), TEMPLATE, blocked=True)
    tables.add_user(uuid4())
    written: list[tuple[str | None, Vectors]] = [
        ("model@1", (0.0, 0.0, 0.0, 0.0)),
        ("model@1", (1e-30, 1e-30, 1e-30, 1e-30)),
        ("model@1", (1.0, 0.0)),
        ("model@2", (1.0, 0.0)),
        *((None, (1.0,)) for _ in range(3)),
    ]
    for model, vector in written:
        tables.write_embedding(tables.add_user(uuid4()), model, vector)
    tables.write_embedding(tables.add_user(uuid4(), deleted=True), "model@2", (1.0, 0.0))
    tables.write_embedding(tables.add_user(uuid4(), blocked=True), "model@2", (1.0, 0.0))
    async with opened(prepared.url) as database:
        facts = await inspect_database(database, EMBEDDER)
    assert (facts.enrolled, facts.unfit, facts.shared) == (6, 3, 3)
    assert facts.unusable == {"model@2": 2, "": 3}
    assert (facts.server_version[:3], facts.pgvector_version[:2]) == ("18.", "0.")
    assert (facts.address, facts.sslmode) == ("127.0.0.1", "prefer")


async def test_long_vectors_are_fetched_a_few_times_each(admin: psycopg.Connection, database_url: str) -> None:
    """Where the same ones are looked for, too: sorting those that lie beside their rows fetches them ever again."""
    await migrate(database_url)
    admin.execute("ALTER TABLE users ALTER face_embedding SET STORAGE EXTERNAL")  # the type's own
    long = "(SELECT array_agg(random() - 0.5)::vector FROM generate_series(1, 600) WHERE g = g)"
    admin.execute(
        "INSERT INTO users (id, face_embedding, face_embedding_model) "
        f"SELECT gen_random_uuid(), {long}, 'model@1' FROM generate_series(1, 200) g".encode()
    )
    before = _fetched(admin)
    async with opened(database_url) as database:
        await inspect_database(database, attrs.evolve(EMBEDDER, dimension=600))
    assert 0 < _fetched(admin) - before < 10 * 200


def _fetched(admin: psycopg.Connection) -> int:
    """Return how many blocks of vectors were fetched by connections that are closed."""
    return statistic(admin, "toast_blks_hit + toast_blks_read", "pg_statio_user_tables")


async def test_indexes_that_every_job_needs_are_missed(admin: psycopg.Connection, database_url: str) -> None:
    """What `migrate` makes has them; an application's tables may not, and the advice can be run as it is."""
    await migrate(database_url)
    async with opened(database_url) as database:
        assert (await inspect_database(database, EMBEDDER)).advice == ()
        admin.execute("DROP INDEX face_matches_photo_face_id")
        admin.execute("CREATE INDEX ON face_matches (photo_face_id) WHERE confidence > 1")
        admin.execute("ALTER TABLE photo_faces DROP CONSTRAINT photo_faces_photo_id_face_index_key")
        admin.execute("CREATE INDEX ON photo_faces (face_index, photo_id)")
        advice = (await inspect_database(database, EMBEDDER)).advice
        assert advice == (
            'CREATE INDEX CONCURRENTLY ON "public"."photo_faces" ("photo_id")',
            'CREATE INDEX CONCURRENTLY ON "public"."face_matches" ("photo_face_id")',
        )
        for statement in advice:
            # it waits for every transaction, and those of the pool need the event loop
            await asyncio.to_thread(admin.execute, statement.encode())
        assert (await inspect_database(database, EMBEDDER)).advice == ()


async def test_partitioned_tables_are_indexed_if_all_partitions_are(
    admin: psycopg.Connection, database_url: str
) -> None:
    """Where one lacks the index the advice can be run, although none can be made concurrently for all of them."""
    admin.execute(
        """
        CREATE TABLE face_matches (id uuid, photo_face_id uuid NOT NULL, user_id uuid NOT NULL,
            confidence float8 NOT NULL, created_at timestamptz NOT NULL DEFAULT now()) PARTITION BY RANGE (created_at);
        CREATE TABLE old PARTITION OF face_matches FOR VALUES FROM (MINVALUE) TO ('2020-01-01');
        CREATE TABLE new PARTITION OF face_matches FOR VALUES FROM ('2020-01-01') TO (MAXVALUE)
            PARTITION BY HASH (id);
        CREATE TABLE new_0 PARTITION OF new FOR VALUES WITH (MODULUS 1, REMAINDER 0);
        CREATE FOREIGN DATA WRAPPER archive; CREATE SERVER archive FOREIGN DATA WRAPPER archive;
        CREATE FOREIGN TABLE archived PARTITION OF face_matches DEFAULT SERVER archive;
        CREATE INDEX ON old (photo_face_id)
        """
    )
    statement = 'CREATE INDEX ON "public"."face_matches" ("photo_face_id")'
    assert (await migrate(database_url)).advice == (statement,)
    admin.execute("CREATE INDEX one ON new_0 (photo_face_id)")
    assert (await migrate(database_url)).advice == ()
    admin.execute("DROP INDEX one")
    admin.execute(statement.encode())
    assert (await migrate(database_url)).advice == ()
    admin.execute("DROP TABLE old, new; DROP FOREIGN TABLE archived")
    assert (await migrate(database_url)).advice == ()
    admin.execute("DROP INDEX face_matches_photo_face_id_idx")
    assert (await migrate(database_url)).advice == (statement,)


_COPIES = """
SELECT count(*) FROM pg_stats WHERE attname IN ('face_embedding', 'embedding')
   AND coalesce(most_common_vals, histogram_bounds) IS NOT NULL
"""


async def test_statistics_that_keep_templates_are_told(admin: psycopg.Connection, database_url: str) -> None:
    """Of an application's own columns, with the statement that empties them for good; its storage stays."""
    admin.execute("CREATE EXTENSION vector; CREATE TABLE users (id uuid PRIMARY KEY, face_embedding vector(4))")
    admin.execute("ALTER TABLE users ALTER face_embedding SET STORAGE MAIN")
    await migrate(database_url)
    admin.execute("INSERT INTO users SELECT gen_random_uuid(), ARRAY[n, 1, 0, 0] FROM generate_series(1, 9) n")
    admin.execute("ANALYZE users")
    assert admin.execute(_COPIES).fetchone() == (1,)
    async with opened(database_url) as database:
        assert (await inspect_database(database, attrs.evolve(EMBEDDER, dimension=255))).copying == ()
        [statement] = (await inspect_database(database, EMBEDDER)).copying
        assert statement == (
            'ALTER TABLE "public"."users" ALTER COLUMN "face_embedding" TYPE "public"."vector"(4), '
            'ALTER COLUMN "face_embedding" SET STORAGE MAIN, ALTER COLUMN "face_embedding" SET STATISTICS 0'
        )
        admin.execute(statement.encode())
        admin.execute("ANALYZE users")
        assert admin.execute(_COPIES).fetchone() == (0,)
        assert (await inspect_database(database, EMBEDDER)).copying == ()
    [(storage,)] = admin.execute("SELECT attstorage::text FROM pg_attribute WHERE attname = 'face_embedding'")
    assert storage == "m"


async def test_statistics_of_an_index_on_an_expression_are_told(
    admin: psycopg.Connection, postgres_server: PostgresServer, database_url: str
) -> None:
    """Those of partitions, too, with what the owner empties them with; not where an index keeps no vectors."""
    admin.execute("CREATE EXTENSION vector")
    admin.execute(PARTITIONED.replace("face_embedding vector", "face_embedding vector STORAGE MAIN"))
    admin.execute("ALTER TABLE users ALTER face_embedding SET STATISTICS 0")
    admin.execute("ALTER TABLE newcomers ALTER face_embedding SET STATISTICS 0")
    await migrate(database_url)
    expressions = "lower(face_embedding_model), (face_embedding::vector(4))"
    admin.execute(f"CREATE INDEX nearest ON oldest ({expressions}) WHERE face_embedding IS NOT NULL".encode())
    admin.execute("CREATE INDEX wide ON oldest USING hnsw ((face_embedding::vector(255)) vector_l2_ops) WHERE false")
    admin.execute(
        "INSERT INTO oldest SELECT md5(n::text)::uuid, ARRAY[n, 1, 0, 0] FROM generate_series(1, 99) n "
        "WHERE md5(n::text) < '8'"
    )
    owner = new_role(postgres_server, "owner")
    admin.execute(f'ALTER TABLE oldest OWNER TO "{owner}"; GRANT CREATE ON SCHEMA public TO "{owner}"'.encode())
    admin.execute("ANALYZE oldest")
    assert admin.execute(_COPIES).fetchone() == (1,)
    async with opened(database_url) as database:
        [statement] = (await inspect_database(database, EMBEDDER)).copying
        assert statement == (
            'ALTER INDEX "public"."nearest" ALTER COLUMN 2 SET STATISTICS 0; '
            "SELECT pg_catalog.pg_clear_attribute_stats('public', 'nearest', 'face_embedding', false)"
        )
        admin.execute("ALTER FUNCTION pg_catalog.pg_clear_attribute_stats RENAME TO not_there_before_18")
        [older] = (await inspect_database(database, EMBEDDER)).copying
        assert older.endswith(
            "SET STATISTICS 0 -- before that, drop the index and make it anew, or it keeps old copies"
        )
        admin.execute("ALTER FUNCTION pg_catalog.not_there_before_18 RENAME TO pg_clear_attribute_stats")
        with psycopg.connect(url_of(postgres_server, admin.info.dbname, owner), autocommit=True) as connection:
            connection.execute(statement.encode())
        admin.execute("ANALYZE oldest")
        assert admin.execute(_COPIES).fetchone() == (0,)
        assert (await inspect_database(database, EMBEDDER)).copying == ()


_STATEMENTS = ("statements", "log_parameter_max_length = 0")
_REFUSED = ("rows that a constraint refuses", "log_error_verbosity = terse")
_FAILED = ("parameters of statements that fail", "log_parameter_max_length_on_error = 0")


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (("log_error_verbosity = terse", "log_statement = 'ddl'"), ()),
        (("log_error_verbosity = terse", "log_statement = 'mod'"), (_STATEMENTS,)),
        (("log_error_verbosity = terse", "log_min_duration_statement = '250ms'"), (_STATEMENTS,)),
        (("log_error_verbosity = terse", "log_min_duration_sample = 0"), (_STATEMENTS,)),
        (("log_error_verbosity = terse", "log_transaction_sample_rate = 0.5"), (_STATEMENTS,)),
        (("log_error_verbosity = terse", "log_parameter_max_length_on_error = 9"), ()),
        ((), (_REFUSED,)),
        (("log_error_verbosity = verbose", "log_parameter_max_length_on_error = -1"), (_REFUSED, _FAILED)),
        (("log_min_messages = error", "log_statement = 'all'"), (_STATEMENTS, _REFUSED)),
        (("log_min_messages = log",), ()),
        (("auto_explain.log_min_duration = 0", "log_min_messages = log"), ()),
    ],
)
async def test_a_log_that_gets_embeddings_is_told(
    admin: psycopg.Connection, database_url: str, settings: tuple[str, ...], told: tuple[tuple[str, str], ...]
) -> None:
    """With the statements by which it gets none any more, from the next connection on."""
    await migrate(database_url)
    [(name,)] = admin.execute("SELECT quote_ident(current_database())")
    for setting in settings:
        admin.execute(f"ALTER DATABASE {name} SET {setting}".encode())
    async with opened(database_url) as database:
        found = (await inspect_database(database, EMBEDDER)).logged
    assert found == {what: f'ALTER ROLE "postgres" SET {setting}' for what, setting in told}
    for _, setting in told:
        admin.execute(f"ALTER DATABASE {name} SET {setting}".encode())
    async with opened(database_url) as database:
        assert (await inspect_database(database, EMBEDDER)).logged == {}


@pytest.mark.parametrize("form", ["csvlog", "jsonlog"])
async def test_a_log_that_is_never_terse_is_told(server: PostgresServer, form: str) -> None:
    """As CSV and JSON it has the row that a constraint refuses, unless errors are kept out of it altogether."""
    url = server.create_database(f"logged_{form}")
    await migrate(url)
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("ALTER SYSTEM SET logging_collector = on")
        admin.execute(f"ALTER SYSTEM SET log_destination = {form}".encode())
        admin.execute("ALTER SYSTEM SET log_error_verbosity = terse")
    server.stop()
    server.start()
    async with opened(url) as database:
        [statement] = (await inspect_database(database, EMBEDDER)).logged.values()
    assert statement == 'ALTER ROLE "postgres" SET log_min_messages = log'
    assert "[0.625,1]" in await _log_of_a_refused_row(url, form)
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(statement.encode())
    try:
        assert "[0.625,1]" not in await _log_of_a_refused_row(url, form)
        async with opened(url) as database:
            assert (await inspect_database(database, EMBEDDER)).logged == {}
    finally:
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute("ALTER ROLE postgres RESET log_min_messages")


async def _log_of_a_refused_row(url: str, form: str) -> str:
    """Return what the log gets of it; a process of its own writes that, and has done so when the end is there."""
    begin, end = str(uuid4()), str(uuid4())
    with psycopg.connect(url, autocommit=True) as admin:

        async def written() -> str:
            [(content,)] = admin.execute("SELECT pg_read_file(pg_current_logfile(%s))", [form])
            return str(content)

        admin.execute(f"DO $$ BEGIN RAISE LOG '{begin}'; END $$".encode())
        admin.execute("CREATE TEMPORARY TABLE kept (template vector CHECK (template IS NULL))")
        with pytest.raises(psycopg.errors.CheckViolation):
            admin.execute("INSERT INTO kept VALUES (%s::vector)", ["[0.625,1]"])
        admin.execute(f"DO $$ BEGIN RAISE LOG '{end}'; END $$".encode())
        log: str = await eventually(written, lambda content: end in content, "the end in the log")
    return log[log.index(begin) : log.index(end)]


async def test_a_view_is_not_advised_to_have_an_index(admin: psycopg.Connection, database_url: str) -> None:
    """What lies behind it is the application's affair."""
    await migrate(database_url)
    admin.execute("ALTER TABLE face_matches RENAME TO matches; CREATE VIEW face_matches AS SELECT * FROM matches")
    async with opened(database_url) as database:
        assert (await inspect_database(database, EMBEDDER)).advice == ()


async def test_users_who_are_not_in_the_index_are_counted(
    admin: psycopg.Connection, postgres_server: PostgresServer, database_url: str
) -> None:
    """No trigger fires for those who come with a partition of `users`; a worker's role can tell."""
    admin.execute("CREATE EXTENSION vector")
    admin.execute(PARTITIONED)
    worker = new_role(postgres_server, "worker")
    await migrate(database_url, grant_to=worker)
    await make_index(database_url, EMBEDDER.id, dimension=EMBEDDER.dimension)

    async def unindexed() -> int:
        async with opened(url_of(postgres_server, admin.info.dbname, worker)) as database:
            return (await inspect_database(database, EMBEDDER)).unindexed

    assert await unindexed() == 0
    admin.execute("ALTER TABLE users ATTACH PARTITION newcomers DEFAULT")
    assert await unindexed() == 2
    await make_index(database_url, EMBEDDER.id, dimension=EMBEDDER.dimension)
    assert await unindexed() == 0
