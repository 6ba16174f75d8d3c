"""``migrate`` on every kind of database: empty, an application's, refused, busy."""

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from adapters.postgres.connection.database import Database
from adapters.postgres.migrate import MigrationRefusedError, UnknownRoleError, migrate
from adapters.postgres.tables.catalogue import SchemaError
from domain.errors import DatabaseUnavailableError, FacematchError
from infra.local_stack.postgres import PostgresServer
from tests.databases import make_index, new_role, url_of

APPLICATION = """
CREATE TABLE photos (id uuid PRIMARY KEY, title text NOT NULL, width int NOT NULL);
CREATE TABLE users (id uuid PRIMARY KEY, email text NOT NULL, face_embedding vector(512), deleted_at timestamptz);
CREATE TABLE photo_faces (id uuid PRIMARY KEY, photo_id uuid NOT NULL REFERENCES photos ON DELETE CASCADE,
    face_index int NOT NULL, embedding vector(512), bbox text, created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (photo_id, face_index));
CREATE TABLE face_matches (id uuid PRIMARY KEY, photo_face_id uuid NOT NULL REFERENCES photo_faces ON DELETE CASCADE,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE, confidence double precision NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now());
"""
OURS = ["CREATE SCHEMA facematch", "CREATE TABLE facematch.schema_migrations"]


def columns(admin: psycopg.Connection, schema: str = "public") -> dict[tuple[str, str], tuple[Any, ...]]:
    """Return every column of a schema with its type, whether it may be null, its default and its storage."""
    rows = admin.execute(
        "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, "
        "pg_get_expr(d.adbin, d.adrelid), a.attstorage FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
        "LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum "
        "WHERE c.relnamespace = %s::regnamespace AND c.relkind = 'r' AND a.attnum > 0",
        [sql.Identifier(schema).as_string()],
    )
    return {(row[0], row[1]): row[2:] for row in rows}


async def assert_a_worker_starts(url: str) -> None:
    """Open the database as a worker does."""
    database = Database(url)
    await database.open(to_work=True)
    await database.check()
    await database.close()


@pytest.fixture
def blocker(database_url: str) -> Iterator[psycopg.Connection]:
    """Return a session that holds whatever locks it takes until the test ends."""
    with psycopg.connect(database_url) as connection:
        yield connection
        connection.rollback()


async def test_an_empty_database_gets_everything(admin: psycopg.Connection, database_url: str) -> None:
    """The four tables as small as can be, and the service's own; a worker can start."""
    await migrate(database_url)
    made = columns(admin)
    assert {table for table, _ in made} == {"photos", "users", "photo_faces", "face_matches"}
    assert [column for table, column in made if table == "photos"] == ["id"]
    assert [name for (table, name), facts in made.items() if table == "users" and facts[1]] == ["id"]
    assert {made["users", "face_embedding"][0], made["photo_faces", "embedding"][0]} == {"vector"}
    assert {table for table, _ in columns(admin, "facematch")} == {
        "outcomes",
        "attempts",
        "templates",
        "prepared_templates",
        "active_model",
        "application_tables",
        "codebooks",
        "schema_migrations",
    }
    await assert_a_worker_starts(database_url)


@pytest.mark.parametrize("table", ["outcomes", "attempts"])
async def test_a_photo_s_jobs_are_found_by_an_index(admin: psycopg.Connection, database_url: str, table: str) -> None:
    """Whoever asks why does not have the whole ledger read."""
    await migrate(database_url)
    admin.execute("SET enable_seqscan = off")
    query = sql.SQL("EXPLAIN SELECT * FROM {} WHERE photo_id = '33333333-3333-3333-3333-333333333333'")
    plan = admin.execute(query.format(sql.Identifier("facematch", table))).fetchall()
    assert f"{table}_photo_id" in str(plan)


async def test_vectors_lie_in_the_row_up_to_any_size(admin: psycopg.Connection, database_url: str) -> None:
    """A search reads 512 numbers without a detour, and 4096 still find room."""
    await migrate(database_url)
    admin.execute("INSERT INTO users VALUES (gen_random_uuid(), array_fill(0.5, ARRAY[512])::vector, 'm@1')")
    size = "SELECT pg_relation_size(reltoastrelid) FROM pg_class WHERE oid = 'users'::regclass"
    assert admin.execute(size).fetchone() == (0,)
    admin.execute(
        "INSERT INTO users SELECT gen_random_uuid(), array_agg(random())::vector, 'm@1' FROM generate_series(1, 4096)"
    )
    assert admin.execute("SELECT count(*) FROM users").fetchone() == (2,)


async def test_an_applications_columns_stay_as_they_are(admin: psycopg.Connection, database_url: str) -> None:
    """Only the two model columns are added; the statements that did it are returned."""
    admin.execute("CREATE EXTENSION vector")
    admin.execute(APPLICATION.encode())
    before = columns(admin)
    statements = (await migrate(database_url)).statements
    after = columns(admin)
    assert {name: after[name] for name in before} == before
    assert after.keys() - before.keys() == {("users", "face_embedding_model"), ("photo_faces", "embedding_model")}
    assert statements[:4] == [
        'ALTER TABLE "public"."users" ADD COLUMN face_embedding_model text',
        'ALTER TABLE "public"."photo_faces" ADD COLUMN embedding_model text',
        *statements[2:4],
    ]
    assert [statement[: len(ours)] for statement, ours in zip(statements[2:4], OURS, strict=True)] == OURS
    await assert_a_worker_starts(database_url)


async def test_whoever_rehearses_needs_no_right_on_the_tables(
    admin: psycopg.Connection, postgres_server: PostgresServer, database_url: str
) -> None:
    """Such as somebody who reviews: what is missing is told, indexes too, of a schema that the role may not use."""
    admin.execute("CREATE SCHEMA app; CREATE EXTENSION vector; SET search_path = app, public")
    admin.execute(APPLICATION.encode())
    reviewer = url_of(postgres_server, admin.info.dbname, new_role(postgres_server, "reviewer"))
    rehearsed = await migrate(reviewer, dry_run=True)
    assert rehearsed.advice == ('CREATE INDEX CONCURRENTLY ON "app"."face_matches" ("photo_face_id")',)
    assert (await migrate(database_url)).advice == rehearsed.advice


async def test_users_without_an_embedding_get_one(admin: psycopg.Connection, database_url: str) -> None:
    """An application that never had faces gets the column, as fast to search as in a new table."""
    admin.execute("CREATE TABLE users (id uuid PRIMARY KEY, name text NOT NULL)")
    await migrate(database_url)
    assert columns(admin)["users", "face_embedding"] == ("vector", False, None, "m")
    await assert_a_worker_starts(database_url)


async def test_twice_is_as_once(database_url: str) -> None:
    """The second run needs nothing."""
    assert (await migrate(database_url)).statements != []
    assert (await migrate(database_url)).statements == []


@pytest.mark.parametrize("isolation", ["read committed", "repeatable read", "serializable"])
async def test_several_at_once_are_as_one(admin: psycopg.Connection, database_url: str, isolation: str) -> None:
    """One does it, the others wait and find it done, whatever the database's default isolation is."""
    name = sql.Identifier(admin.info.dbname)
    admin.execute(sql.SQL("ALTER DATABASE {} SET default_transaction_isolation = {}").format(name, isolation))
    done = await asyncio.gather(*(migrate(database_url, lock_timeout_seconds=30) for _ in range(5)))
    assert sorted(bool(each.statements) for each in done) == [False, False, False, False, True]
    await assert_a_worker_starts(database_url)


async def test_a_busy_table_is_not_waited_for_long(
    admin: psycopg.Connection, blocker: psycopg.Connection, database_url: str
) -> None:
    """The lock timeout ends the wait, nothing has changed, and the SQL is there to be run at a quieter time."""
    admin.execute("CREATE EXTENSION vector")
    admin.execute(APPLICATION.encode())
    before = columns(admin)
    blocker.execute("SELECT * FROM photo_faces")
    with pytest.raises(MigrationRefusedError, match=r"no lock within 0\.2 s: .* \(see pg_stat_activity\)") as refused:
        await migrate(database_url, lock_timeout_seconds=0.2)
    assert columns(admin) == before
    blocker.rollback()
    admin.execute(";\n\n".join(refused.value.statements).encode())
    assert (await migrate(database_url)).statements == []


async def test_another_migration_is_not_waited_for_long(blocker: psycopg.Connection, database_url: str) -> None:
    """Without its turn it has nothing to tell but that."""
    blocker.execute("SELECT pg_advisory_xact_lock(1717658469)")
    with pytest.raises(MigrationRefusedError, match="run it again") as refused:
        await migrate(database_url, lock_timeout_seconds=0.2)
    assert refused.value.statements == []


async def test_what_a_role_may_not_do_its_owner_can(admin: psycopg.Connection, postgres_server: PostgresServer) -> None:
    """The SQL of the refusal, run by the owner, is all that it takes for that role to migrate and to work."""
    database = admin.info.dbname
    owner, worker = new_role(postgres_server, "owner"), new_role(postgres_server, "worker")
    names = {"owner": sql.Identifier(owner), "database": sql.Identifier(database)}
    admin.execute("CREATE EXTENSION vector")
    admin.execute(sql.SQL("GRANT CREATE ON DATABASE {database} TO {owner}").format(**names))
    admin.execute(sql.SQL("GRANT CREATE ON SCHEMA public TO {owner}").format(**names))
    owner_url, worker_url = (url_of(postgres_server, database, role) for role in (owner, worker))
    with psycopg.connect(owner_url, autocommit=True) as connection:
        connection.execute(APPLICATION.encode())
        with pytest.raises(MigrationRefusedError, match="must be owner of table users") as refused:
            await migrate(worker_url)
        connection.execute((";\n\n".join(s.strip().removesuffix(";") for s in refused.value.statements) + ";").encode())
    assert (await migrate(worker_url)).statements == []
    assert (await migrate(owner_url)).statements == []
    await assert_a_worker_starts(worker_url)


@pytest.mark.parametrize("is_member", [False, True])
async def test_what_a_superuser_does_in_the_owners_place_is_the_owners(
    admin: psycopg.Connection, postgres_server: PostgresServer, *, is_member: bool
) -> None:
    """Who owns the tables, or is of the group that does, may make none; what the refusal's SQL makes is theirs."""
    database = admin.info.dbname
    me, worker = new_role(postgres_server, "me"), new_role(postgres_server, "worker")
    owner = new_role(postgres_server, "group") if is_member else me
    roles = {"owner": sql.Identifier(owner), "me": sql.Identifier(me)}
    if is_member:
        admin.execute(sql.SQL("GRANT {owner} TO {me}").format(**roles))
    admin.execute("CREATE EXTENSION vector")
    admin.execute(sql.SQL("CREATE SCHEMA app AUTHORIZATION {owner}").format(**roles))
    owner_url = url_of(postgres_server, database, me)
    for table in ("users", "photos"):
        name = sql.Identifier("app", table)
        admin.execute(sql.SQL("CREATE TABLE {table} (id uuid PRIMARY KEY)").format(table=name))
        admin.execute(sql.SQL("ALTER TABLE {table} OWNER TO {owner}").format(table=name, **roles))
    with pytest.raises(MigrationRefusedError, match="permission denied") as refused:
        await migrate(owner_url)
    admin.execute((";\n\n".join(s.strip().removesuffix(";") for s in refused.value.statements) + ";").encode())
    owners = (
        "SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class "
        "WHERE relname IN ('photo_faces', 'face_matches') OR relnamespace = 'facematch'::regnamespace"
    )
    assert admin.execute(owners).fetchall() == [(owner,)]
    await migrate(owner_url, grant_to=worker, grant_enrolment_to=worker)
    await assert_a_worker_starts(url_of(postgres_server, database, worker))


async def test_rights_that_are_not_given_are_no_success(
    admin: psycopg.Connection, postgres_server: PostgresServer, database_url: str
) -> None:
    """Of a GRANT by somebody who does not own a table PostgreSQL only warns."""
    other, worker = new_role(postgres_server, "other"), new_role(postgres_server, "worker")
    await migrate(database_url, grant_to=other, grant_enrolment_to=other)
    with pytest.raises(MigrationRefusedError, match="did not grant what this role does not own") as refused:
        await migrate(url_of(postgres_server, admin.info.dbname, other), grant_to=worker)
    assert any(statement.startswith("GRANT ") for statement in refused.value.statements)


async def test_it_says_which_tables_are_used_and_which_were_made(admin: psycopg.Connection, database_url: str) -> None:
    """Tables of other names are not found, and what is made in their place is empty: whoever migrates has to see it."""
    admin.execute(
        "CREATE SCHEMA app; CREATE TABLE app.photos (id uuid PRIMARY KEY); CREATE TABLE app.accounts (id uuid)"
    )
    done = await migrate(database_url)
    assert {name: str(table) for name, table in done.tables.items()} == {
        "photos": "app.photos",
        "users": "public.users",
        "photo_faces": "public.photo_faces",
        "face_matches": "public.face_matches",
    }
    assert done.made == ("public.users", "public.photo_faces", "public.face_matches")
    assert ((await migrate(database_url)).made, done.problems) == ((), [])


async def test_tables_that_cannot_be_referred_to_are_refused(admin: psycopg.Connection, database_url: str) -> None:
    """By the type of their ids, before there is any SQL that nobody could run."""
    admin.execute("CREATE TABLE photos (id bigserial PRIMARY KEY)")
    with pytest.raises(SchemaError, match=r"^public\.photos\.id is of type int8, and facematch needs uuid$"):
        await migrate(database_url)


async def test_what_keeps_a_worker_from_starting_is_told_at_once(admin: psycopg.Connection, database_url: str) -> None:
    """It is the application's to change, so that migrating goes on without."""
    admin.execute("CREATE TABLE users (id uuid PRIMARY KEY, face_embedding real[])")
    assert (await migrate(database_url)).problems == ["public.users.face_embedding is of type _float4, not vector"]


async def test_a_role_that_may_not_look_is_told_what_it_needs(
    admin: psycopg.Connection, postgres_server: PostgresServer, database_url: str
) -> None:
    """Of a database that is up to date, it gets the grants alone; they are what was missing."""
    await migrate(database_url)
    worker = new_role(postgres_server, "worker")
    worker_url = url_of(postgres_server, admin.info.dbname, worker)
    with pytest.raises(MigrationRefusedError, match="permission denied") as refused:
        await migrate(worker_url)
    assert all(statement.splitlines()[-1].startswith("GRANT ") for statement in refused.value.statements)
    admin.execute(";\n\n".join(refused.value.statements).encode())
    assert (await migrate(worker_url)).statements == []
    await assert_a_worker_starts(worker_url)


async def test_the_owner_can_name_the_role_of_the_worker(
    admin: psycopg.Connection, postgres_server: PostgresServer, database_url: str
) -> None:
    """Its grants are part of the migration, on an empty database as on one that is up to date."""
    first, second = new_role(postgres_server, "worker"), new_role(postgres_server, 'wörker "two"')
    for role in (first, second):
        await migrate(database_url, grant_to=role)
        await assert_a_worker_starts(url_of(postgres_server, admin.info.dbname, role).replace('"', "%22"))


@pytest.mark.parametrize("role", ["nobody at all", "PUBLIC", ""])
async def test_a_role_that_is_not_there_is_not_granted_anything(database_url: str, role: str) -> None:
    """The mistake is told as what it is, and nothing is half done."""
    with pytest.raises(UnknownRoleError, match=f"there is no role {role}"):
        await migrate(database_url, grant_to=role)
    with pytest.raises(UnknownRoleError):
        await migrate(database_url, grant_enrolment_to=role)
    assert (await migrate(database_url)).statements != []


async def test_a_role_named_facematch_changes_nothing(
    admin: psycopg.Connection, postgres_server: PostgresServer
) -> None:
    """Its search path begins with the service's own schema; extension and tables still go where they belong."""
    admin.execute("CREATE ROLE facematch LOGIN SUPERUSER PASSWORD 'secret'")
    try:
        url = postgres_server.url(admin.info.dbname, user="facematch", password="secret")
        admin.execute("CREATE SCHEMA facematch AUTHORIZATION facematch")
        assert (await migrate(url)).statements != []
        assert (await migrate(url)).statements == []
        schemas = "SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'vector'"
        assert admin.execute(schemas).fetchone() == ("public",)
        assert {table for table, _ in columns(admin)} == {"photos", "users", "photo_faces", "face_matches"}
        admin.execute("CREATE TABLE facematch.users (id uuid PRIMARY KEY)")
        assert (await migrate(url)).statements == []
        await assert_a_worker_starts(url)
    finally:
        admin.execute("REASSIGN OWNED BY facematch TO postgres; DROP OWNED BY facematch; DROP ROLE facematch")


async def test_tables_on_the_search_path_are_the_applications(admin: psycopg.Connection, database_url: str) -> None:
    """They win over tables of the same name elsewhere; what is missing is made in public and refers to them."""
    admin.execute("CREATE EXTENSION vector; CREATE SCHEMA app; CREATE SCHEMA legacy")
    for schema in ("app", "legacy"):
        admin.execute(f"CREATE TABLE {schema}.photos (id uuid PRIMARY KEY)".encode())
    url = f"{database_url}?options=-csearch_path%3Dapp,public"
    await migrate(url)
    referenced = admin.execute(
        "SELECT confrelid::regclass::text FROM pg_constraint WHERE conrelid = 'photo_faces'::regclass AND contype = 'f'"
    )
    assert referenced.fetchall() == [("app.photos",)]
    await assert_a_worker_starts(url)


async def test_tables_that_could_be_either_are_not_guessed(admin: psycopg.Connection, database_url: str) -> None:
    """With two and none of them on the search path, somebody has to say which."""
    for schema in ("one", "two"):
        admin.execute(f"CREATE SCHEMA {schema}; CREATE TABLE {schema}.photos (id uuid PRIMARY KEY)".encode())
    with pytest.raises(
        SchemaError, match="table photos exists in the schemas one, two, and none is on the search path"
    ):
        await migrate(database_url)


async def test_a_server_without_pgvector_is_named_as_the_trouble(admin: psycopg.Connection, database_url: str) -> None:
    """The message says what to install, for this very server."""
    name = sql.Identifier(admin.info.dbname)
    admin.execute(sql.SQL("ALTER DATABASE {} SET extension_control_path = '/nowhere'").format(name))
    with pytest.raises(MigrationRefusedError, match=r"the server has no pgvector: .*postgresql-18-pgvector") as refused:
        await migrate(database_url)
    assert refused.value.statements == []


async def test_an_extension_that_only_a_superuser_installs_is_asked_of_one(
    admin: psycopg.Connection, postgres_server: PostgresServer
) -> None:
    """That one statement is all that the superuser has to run; the database's owner does the rest."""
    owner = new_role(postgres_server, "owner")
    admin.execute(
        sql.SQL("ALTER DATABASE {} OWNER TO {}").format(sql.Identifier(admin.info.dbname), sql.Identifier(owner))
    )
    url = url_of(postgres_server, admin.info.dbname, owner)
    with pytest.raises(MigrationRefusedError, match="only a superuser may install pgvector") as refused:
        await migrate(url)
    [statement] = refused.value.statements
    admin.execute(statement.encode())
    assert (await migrate(url)).statements != []
    await assert_a_worker_starts(url)


async def test_views_may_stand_in_for_tables(admin: psycopg.Connection, database_url: str) -> None:
    """An application whose tables have other names can show them as the service wants them."""
    await migrate(database_url)
    admin.execute("ALTER TABLE users RENAME TO accounts; CREATE VIEW users AS SELECT * FROM accounts")
    assert (await migrate(database_url)).statements == []
    await assert_a_worker_starts(database_url)


async def test_a_view_is_not_altered_and_not_referred_to(admin: psycopg.Connection, database_url: str) -> None:
    """What the application has to do itself is told, all at once."""
    admin.execute("CREATE EXTENSION vector; CREATE VIEW photos AS SELECT gen_random_uuid() AS id")
    admin.execute("CREATE VIEW users AS SELECT gen_random_uuid() AS id, NULL::vector AS face_embedding")
    with pytest.raises(SchemaError) as refused:
        await migrate(database_url)
    assert str(refused.value) == (
        "public.users is no table: add the column face_embedding_model to it yourself; "
        "public.photos is no table, so that photo_faces cannot refer to it: make photo_faces yourself; "
        "public.users is no table, so that face_matches cannot refer to it: make face_matches yourself"
    )


async def test_photos_that_cannot_be_referred_to_are_named_as_the_trouble(
    admin: psycopg.Connection, database_url: str
) -> None:
    """A partitioned table has no unique id; the statement that failed is among those that are told."""
    admin.execute("CREATE TABLE photos (id uuid, taken date, PRIMARY KEY (id, taken)) PARTITION BY RANGE (taken)")
    with pytest.raises(MigrationRefusedError, match="no unique constraint matching given keys") as refused:
        await migrate(database_url)
    assert any('REFERENCES "public"."photos"' in statement for statement in refused.value.statements)
    assert {table for table, _ in columns(admin)} == set()


async def test_another_versions_migration_is_not_built_upon(admin: psycopg.Connection, database_url: str) -> None:
    """Neither by `migrate` nor by a worker."""
    await migrate(database_url)
    admin.execute("UPDATE facematch.schema_migrations SET checksum = 'another'")
    with pytest.raises(FacematchError, match=r"0001_ledger\.sql was applied in another form"):
        await migrate(database_url)
    with pytest.raises(FacematchError, match=r"0001_ledger\.sql was applied in another form"):
        await assert_a_worker_starts(database_url)


async def test_an_older_release_leaves_a_newer_database_as_it_is(admin: psycopg.Connection, database_url: str) -> None:
    """On the way back `migrate` runs, too: what a later migration made stays, and nothing is done."""
    await migrate(database_url)
    admin.execute("INSERT INTO facematch.schema_migrations (name, checksum) VALUES ('9999_later.sql', 'later')")
    admin.execute("CREATE TABLE facematch.later (n int)")
    admin.execute("ALTER TABLE facematch.outcomes ADD COLUMN later int")
    before = columns(admin, "facematch")
    assert (await migrate(database_url)).statements == []
    assert columns(admin, "facematch") == before
    await assert_a_worker_starts(database_url)


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda url: url.replace("postgres:", "stranger:"), "password authentication failed"),
        (lambda url: url.rpartition("/")[0] + "/no_such_database", "does not exist"),
        (lambda url: re.sub(r":\d+/", ":1/", url), "Connection refused"),
    ],
    ids=["password", "database", "server"],
)
async def test_no_connection_is_a_clear_error(database_url: str, spoil: Any, expected: str) -> None:
    """The server's own words, without the password."""
    with pytest.raises(DatabaseUnavailableError, match=expected) as unavailable:
        await migrate(spoil(database_url))
    assert str(conninfo_to_dict(database_url)["password"]) not in str(unavailable.value)


@pytest.mark.parametrize("url", ["postgresql://u:se%cret@h/d", "postgresql://u:secret@h/d?nonsense=1"])
async def test_a_url_that_cannot_be_understood_is_not_repeated(url: str) -> None:
    """The message says what is expected; a password in the URL stays there."""
    with pytest.raises(FacematchError, match="the database URL cannot be understood") as refused:
        await migrate(url)
    assert "cret" not in str(refused.value)


_COPIES = """
SELECT tablename FROM pg_stats WHERE attname IN ('face_embedding', 'embedding')
   AND coalesce(most_common_vals, histogram_bounds) IS NOT NULL
"""
_TEMPLATES = """
INSERT INTO users SELECT gen_random_uuid(), ARRAY[n, 1, 0, 0], 'model@1' FROM generate_series(1, 9) n;
INSERT INTO photos SELECT id FROM users;
INSERT INTO photo_faces SELECT id, id, 0, face_embedding FROM users;
INSERT INTO facematch.prepared_templates SELECT 'model@2', id, face_embedding, 1, NULL, '' FROM users;
"""


async def test_no_template_is_kept_in_statistics(admin: psycopg.Connection, database_url: str) -> None:
    """Of the tables that facematch has made: whole values there outlive the people whose rows are deleted."""
    await migrate(database_url)
    admin.execute(_TEMPLATES)
    await make_index(database_url, "model@1", dimension=4)
    admin.execute("ANALYZE")
    assert admin.execute(_COPIES).fetchall() == []


async def test_templates_that_are_kept_in_statistics_are_thrown_away(
    admin: psycopg.Connection, database_url: str
) -> None:
    """An older release's tables let ANALYZE copy them; how they are stored stays as it was."""
    await migrate(database_url)
    stored = "SELECT attrelid::regclass::text, attstorage FROM pg_attribute WHERE attname = 'embedding' ORDER BY 1"
    admin.execute(_TEMPLATES)
    await make_index(database_url, "model@1", dimension=4)
    before = admin.execute(stored).fetchall()
    admin.execute("DELETE FROM facematch.schema_migrations WHERE name LIKE '0010%'")
    for table in ("gallery", "prepared_templates"):
        admin.execute(f"ALTER TABLE facematch.{table} ALTER embedding SET STATISTICS -1".encode())
    admin.execute("ANALYZE")
    assert len(admin.execute(_COPIES).fetchall()) == 3
    await migrate(database_url)
    admin.execute("ANALYZE")
    assert admin.execute(_COPIES).fetchall() == []
    assert admin.execute(stored).fetchall() == before
