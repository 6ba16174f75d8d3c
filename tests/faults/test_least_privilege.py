"""A worker with the least rights everywhere at once does all of its work, and its rights are good for nothing else."""

import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from io import BytesIO
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from uuid import uuid4

import attrs
import psycopg
import pytest
from minio import Minio
from minio.commonconfig import CopySource, Tags
from minio.error import S3Error

from adapters.faiss_codes.codes import Codes
from adapters.postgres.connection.database import Database
from adapters.postgres.gallery.gallery import PostgresGallery
from adapters.postgres.tables.catalogue import Column, Table
from adapters.postgres.tables.rights import worker_rights
from adapters.system.clock import SystemClock
from domain.faces import FaceEmbedding
from domain.outcomes import Reason
from infra.local_stack.postgres import PostgresServer
from infra.local_stack.s3 import S3Server
from infra.local_stack.seaweed import SeaweedServer
from infra.photographs import Photographs
from tests.databases import PASSWORD, new_role, url_of
from tests.e2e.command import run_cli
from tests.e2e.world import World, make_world
from tests.faults.album import KINDS, SEVERAL, Job, Kind, add_photos, furnish, jobs_of
from tests.faults.audit import find
from tests.faults.least_rights import (
    ALLOWED,
    OTHER,
    GuardedDatabase,
    GuardedStore,
    make_role,
    run_role_sql,
    workers_environment,
)
from tests.guarded_nats import guarded_server, url

UNREADABLE: Final = Kind("storage_unavailable", {"image_ref": f"minio://{OTHER}/kept.jpg"}, 0)
"""Jobs for what the settings allow and the object store does not."""
FORBIDDEN: Final = (
    "SELECT embedding FROM facematch.prepared_templates",
    "SELECT email FROM users",
    "SELECT * FROM users",
    "SELECT count(*) FROM users WHERE password_hash LIKE '%a%'",
    "SELECT title FROM photos",
    "SELECT embedding FROM photo_faces",
    "SELECT user_id FROM face_matches",
    "SELECT * FROM invoices",
    "SELECT passwd FROM pg_catalog.pg_shadow",
    "SELECT pg_catalog.pg_read_file('PG_VERSION')",
    "COPY (SELECT id FROM photos) TO PROGRAM 'true'",
    "COPY photos (id) TO '/dev/null'",
    "INSERT INTO users (id) VALUES (gen_random_uuid())",
    "INSERT INTO photos (id) VALUES (gen_random_uuid())",
    "UPDATE users SET face_embedding = NULL",
    "UPDATE users SET blocked = false",
    "UPDATE photo_faces SET photo_id = photo_id",
    "UPDATE face_matches SET user_id = user_id",
    "UPDATE facematch.outcomes SET outcome = 'matched'",
    "INSERT INTO facematch.templates (user_id, photographs, fingerprint) VALUES (gen_random_uuid(), 1, '')",
    "UPDATE facematch.active_model SET model = 'mine'",
    "DELETE FROM facematch.schema_migrations",
    *(
        f"{verb} {table}"
        for verb in ("DELETE FROM", "TRUNCATE", "DROP TABLE", "BEGIN; LOCK TABLE")
        for table in ("users", "photos", "photo_faces", "face_matches", "facematch.outcomes", "facematch.attempts")
    ),
    "SELECT id FROM photos FOR UPDATE",
    "ALTER TABLE photos ADD COLUMN mine text",
    "CREATE TABLE mine (id int)",
    "CREATE TABLE facematch.mine (id int)",
    "CREATE TEMPORARY TABLE mine (id int)",
    "CREATE VIEW mine AS SELECT 1",
    "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE INDEX ON photos (id)",
    "CREATE SCHEMA mine",
    "DROP EXTENSION vector",
    "CREATE ROLE mine",
    "CREATE DATABASE mine",
    "GRANT SELECT ON users TO PUBLIC",
    "SET ROLE postgres",
)
PRIVILEGES: Final = """
SELECT n.nspname, c.relname, a.attname, p.privilege
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'REFERENCES']) AS p(privilege)
 WHERE n.nspname IN ('public', 'facematch') AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
   AND pg_catalog.has_column_privilege(c.oid, a.attnum, p.privilege)
UNION ALL
SELECT n.nspname, c.relname, '', p.privilege
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 CROSS JOIN unnest(ARRAY['DELETE', 'TRUNCATE', 'TRIGGER']) AS p(privilege)
 WHERE n.nspname IN ('public', 'facematch') AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
   AND pg_catalog.has_table_privilege(c.oid, p.privilege)
"""
COLUMNS: Final = """
SELECT table_schema, table_name, column_name FROM information_schema.columns
 WHERE table_schema IN ('public', 'facematch')
"""


@pytest.fixture(params=["minio front end", "seaweedfs"])
def store(request: pytest.FixtureRequest) -> GuardedStore:
    """Return each server in turn, with a key that may read one bucket."""
    server: S3Server | SeaweedServer = request.getfixturevalue(
        "s3_server" if request.param == "minio front end" else "seaweed_server"
    )
    return GuardedStore.made(server)


@attrs.frozen
class Administrator:
    """A role that makes roles and owns a database, and is no superuser: its name, the database, and its URL there."""

    name: str
    database: str
    url: str


@pytest.fixture
def administrator(postgres_server: PostgresServer) -> Administrator:
    """Return what a managed server gives to whoever rents it."""
    database, name = f"managed_{uuid4().hex[:8]}", new_role(postgres_server, "administrator")
    postgres_server.create_database(database)
    with psycopg.connect(postgres_server.url(), autocommit=True) as superuser:
        superuser.execute(f'ALTER ROLE "{name}" CREATEROLE; ALTER DATABASE {database} OWNER TO "{name}"'.encode())
    return Administrator(name, database, url_of(postgres_server, database, name))


@pytest.fixture(scope="module")
def guarded_database(postgres_server: PostgresServer) -> GuardedDatabase:
    """Return a database for looking at rights alone."""
    return GuardedDatabase.made(postgres_server)


@pytest.fixture
async def guarded(
    tmp_path: Path, postgres_server: PostgresServer, s3_server: S3Server
) -> AsyncIterator[tuple[World, dict[str, str]]]:
    """Return a provisioned world as its owners have it, and the settings of a worker with the least rights."""
    broker, database = guarded_server(tmp_path / "nats"), GuardedDatabase.made(postgres_server)
    store = GuardedStore.made(s3_server)
    broker.start()
    worker = workers_environment(broker, database, store) | {
        "FACEMATCH_LOG_FORMAT": "json",
        "FACEMATCH_NATS_MAX_DELIVER": "2",
        "FACEMATCH_NATS_RETRY_BASE_SECONDS": "0.1",
        "FACEMATCH_S3_ALLOWED_BUCKETS": f"{ALLOWED},{OTHER}",
    }
    owners = {"FACEMATCH_NATS_URL": url(broker, "auditor"), "FACEMATCH_DATABASE_URL": database.owner_url}
    try:
        async with make_world(owners, store.admin, tmp_path) as world:
            assert run_cli("provision", FACEMATCH_NATS_URL=url(broker, "operator")).returncode == 0
            yield world, worker
    finally:
        broker.stop()


@pytest.mark.timeout(300)  # enrolments and a job of every kind
async def test_the_least_rights_are_enough_for_every_outcome(
    guarded: tuple[World, dict[str, str]], photographs: Photographs
) -> None:
    """Under all three at once each kind of job ends as it should, dead letters included, and nobody complains."""
    world, environment = guarded
    furnish(world, photographs)
    kinds = [kind for kind in KINDS if kind.name in {"matched", "several", *Reason}]
    jobs = jobs_of([*kinds, UNREADABLE], random.Random(4))
    add_photos(world, jobs)

    with world.worker(**environment) as worker:
        for job in jobs:
            await world.publish(job.body)
        found = await find(world)
        ready = run_cli("healthcheck", "--ready", FACEMATCH_HEALTH_ADDRESS=worker.health)
        complaints = [line for line in worker.lines() if line["level"] in {"warning", "error", "critical"}]

    assert {job.job_id: found.outcomes[job.job_id] for job in jobs if job.kind.jobs == 1} == {
        job.job_id: [_expected(job)] for job in jobs if job.kind.jobs == 1
    }
    several = Counter(found.outcomes[job.job_id][0] for job in jobs if job.kind.jobs == SEVERAL)
    assert several == {("matched", None): 1, ("skipped", "already_matched"): SEVERAL - 1}
    assert [reason for _, reason in found.dead] == ["malformed_payload", "storage_unavailable"]
    assert ready.returncode == 0
    assert {(line["action"], line.get("reason")) for line in complaints} == {
        ("skipped", "malformed_payload"),
        ("retry", "storage_unavailable"),
        ("failed", "storage_unavailable"),
    }
    for command in (["doctor"], ["show", str(jobs[0].photo)]):
        done = run_cli(*command, **environment)
        assert done.returncode == 0, (command, done.stdout, done.stderr)


def _expected(job: Job) -> tuple[str, str | None]:
    if job.kind is UNREADABLE:
        return ("failed", job.kind.name)
    return ("skipped", job.kind.name) if job.kind.name in set(Reason) else ("matched", None)


def test_the_worker_s_role_may_do_nothing_else(guarded_database: GuardedDatabase) -> None:
    """No other column is read, no row is deleted, no template changed, nothing made: the database refuses."""
    with psycopg.connect(guarded_database.worker_url, autocommit=True) as worker:
        said = {statement: _said_to(worker, statement) for statement in FORBIDDEN}
    assert said == dict.fromkeys(FORBIDDEN, "InsufficientPrivilege")


async def test_the_servers_log_gets_no_embedding_of_a_worker(
    guarded_database: GuardedDatabase, postgres_server: PostgresServer, servers_folder: Path
) -> None:
    """Though it logs every statement: it logs what others run theirs with, and nothing of the shipped role's."""
    [name] = urlsplit(guarded_database.worker_url).path.split("/")[1:]
    with psycopg.connect(postgres_server.url(), autocommit=True) as admin:
        admin.execute(f"ALTER DATABASE {name} SET log_min_duration_statement = 0".encode())
    with psycopg.connect(guarded_database.owner_url, autocommit=True) as owner:
        owner.execute("CREATE SCHEMA beside; CREATE TABLE beside.refusing (vector text CHECK (vector = 'none'))")
        owner.execute(f'GRANT USAGE ON SCHEMA beside TO "{guarded_database.worker}"'.encode())
        owner.execute(f'GRANT INSERT ON beside.refusing TO "{guarded_database.worker}"'.encode())
    log, told = servers_folder / "postgres" / "postgres.log", []
    for role in (guarded_database.owner_url, guarded_database.worker_url):
        before, database = log.stat().st_size, Database(role)
        await database.open()
        probe = FaceEmbedding("model@1", (0.123456, 0.654321))
        await PostgresGallery(database, Codes, clock=SystemClock()).search(probe, limit=1)
        await database.close()
        with psycopg.connect(role) as connection, pytest.raises(psycopg.errors.CheckViolation):
            connection.execute("INSERT INTO beside.refusing VALUES (%s)", ["[7.654321]"])
        said = log.read_bytes()[before:]
        told.append((b"<=>" in said, b"violates check" in said, b"0.123456" in said, b"7.654321" in said))
    assert told == [(True, True, True, True), (True, True, False, False)]


def test_who_may_not_enrol_is_told_what_to_grant(guarded_database: GuardedDatabase, photographs: Photographs) -> None:
    """A worker's role knows the user, and may not change the template."""
    user, photograph = str(uuid4()), str(photographs.path("obama"))
    with psycopg.connect(guarded_database.owner_url, autocommit=True) as owner:
        owner.execute("INSERT INTO users (id) VALUES (%s)", [user])
    for command in (("enroll", user, photograph), ("reenroll", "prepare"), ("reenroll", "switch")):
        done = run_cli(*command, FACEMATCH_DATABASE_URL=guarded_database.worker_url)
        assert (done.returncode, "permission denied for table" in done.stderr) == (1, True), command
        assert "facematch migrate --grant-enrolment-to" in done.stderr


def test_the_worker_s_role_has_exactly_its_rights(guarded_database: GuardedDatabase) -> None:
    """Column by column over all tables, what the database grants is what a worker needs."""
    with psycopg.connect(guarded_database.worker_url, autocommit=True) as worker:
        granted = set(worker.execute(PRIVILEGES))
        database, role = worker.execute(
            "SELECT has_database_privilege(current_database(), 'CREATE') "
            "OR has_database_privilege(current_database(), 'TEMPORARY') "
            "OR has_schema_privilege('public', 'CREATE') OR has_schema_privilege('facematch', 'CREATE'), "
            "rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls OR rolinherit "
            "FROM pg_roles WHERE rolname = current_user"
        ).fetchone() or (None, None)
    with psycopg.connect(guarded_database.owner_url, autocommit=True) as owner:
        columns = list(owner.execute(COLUMNS))
    tables = {
        name: Table("public", name, {column: Column("") for _, table, column in columns if table == name})
        for name in ("photos", "users", "photo_faces", "face_matches")
    }
    needed = {
        (schema, table, column, right.privilege)
        for right in worker_rights(tables)
        for schema, table, column in columns
        if (schema, table) == (right.schema, right.table) and (right.whole or column in right.columns)
    }
    everybody = {("facematch", "application_tables", column, "SELECT") for column in ("name", "schema_name")}
    assert granted == needed | everybody
    assert (database, role) == (False, False)


@pytest.mark.parametrize(
    ("options", "answers", "missing"),
    [
        ((), (PASSWORD, PASSWORD), "which role?"),
        (("-v", "worker=face_without_password"), (PASSWORD, "another"), "Passwords didn't match"),
    ],
)
def test_no_role_is_made_without_name_and_password(
    postgres_server: PostgresServer, options: tuple[str, ...], answers: tuple[str, ...], missing: str
) -> None:
    """The script says what is wrong, ends with an error, and has made nothing."""
    url = postgres_server.create_database(f"roles_{uuid4().hex[:8]}")
    before = _all_roles(url)
    done = run_role_sql(url, *options, answers=answers)
    assert (done.returncode, missing in done.stderr) == (3, True)
    assert _all_roles(url) == before


def test_an_administrator_who_is_no_superuser_makes_the_role(
    postgres_server: PostgresServer, administrator: Administrator
) -> None:
    """As on a managed server: of what only a superuser may set it warns, until the right to set it has been given."""
    worker = f"worker {uuid4().hex[:8]}"
    done = run_role_sql(administrator.url, "-v", f"worker={worker}")
    assert (done.returncode, done.stderr.count("WARNING")) == (0, 2), done.stderr
    assert f'GRANT SET ON PARAMETER log_parameter_max_length TO "{administrator.name}"' in done.stderr
    with psycopg.connect(url_of(postgres_server, administrator.database, worker)) as connection:
        assert connection.execute("SHOW log_error_verbosity").fetchone() == ("default",)
    with psycopg.connect(postgres_server.url(), autocommit=True) as superuser:
        parameters = "log_parameter_max_length, log_error_verbosity"
        superuser.execute(f'GRANT SET ON PARAMETER {parameters} TO "{administrator.name}"'.encode())
    done = run_role_sql(administrator.url, "-v", f"worker={worker}")
    assert (done.returncode, "WARNING" in done.stderr) == (0, False), done.stderr
    with psycopg.connect(url_of(postgres_server, administrator.database, worker)) as connection:
        assert connection.execute("SHOW log_parameter_max_length").fetchone() == ("0",)
        assert connection.execute("SHOW log_error_verbosity").fetchone() == ("terse",)


def test_a_role_does_not_keep_rights_that_it_had_before(
    postgres_server: PostgresServer, administrator: Administrator
) -> None:
    """Who may take them away does so, others are stopped before anything is changed; a membership is a warning."""
    worker, group = f"worker_{uuid4().hex[:8]}", f"group_{uuid4().hex[:8]}"
    with psycopg.connect(administrator.url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {worker}; CREATE ROLE {group}; GRANT {group} TO {worker}".encode())
    with psycopg.connect(postgres_server.url(), autocommit=True) as superuser:
        superuser.execute(f"ALTER ROLE {worker} CREATEDB BYPASSRLS".encode())
        attributes = "SELECT rolcreatedb, rolbypassrls, rolcanlogin FROM pg_roles WHERE rolname = %s"
        done = run_role_sql(administrator.url, "-v", f"worker={worker}")
        assert (done.returncode, f"ALTER ROLE {worker} NOCREATEDB NOBYPASSRLS" in done.stderr) == (3, True)
        assert superuser.execute(attributes, [worker]).fetchone() == (True, True, False)
        done = run_role_sql(postgres_server.url(), "-v", f"worker={worker}")
        assert (done.returncode, f"REVOKE {group} FROM {worker}" in done.stderr) == (0, True)
        assert superuser.execute(attributes, [worker]).fetchone() == (False, False, True)


def test_the_servers_log_gets_no_password(postgres_server: PostgresServer, servers_folder: Path) -> None:
    """Though it logs every statement that changes a role: what it is sent is a hash."""
    name, worker, password = f"roles_{uuid4().hex[:8]}", f"worker_{uuid4().hex[:8]}", uuid4().hex
    url, log = postgres_server.create_database(name), servers_folder / "postgres" / "postgres.log"
    with psycopg.connect(postgres_server.url(), autocommit=True) as admin:
        admin.execute(f"ALTER DATABASE {name} SET log_statement = 'all'".encode())
    before = log.stat().st_size
    assert run_role_sql(url, "-v", f"worker={worker}", answers=(password, password)).returncode == 0
    said = log.read_bytes()[before:]
    assert (b"PASSWORD 'SCRAM-SHA-256$" in said, password.encode() in said) == (True, False)
    psycopg.connect(postgres_server.url(name, user=worker, password=password)).close()


@pytest.mark.parametrize("arguments", ["text, text", "text, text, text", "text, name"])
def test_the_role_s_script_runs_no_functions_of_others(postgres_server: PostgresServer, arguments: str) -> None:
    """Where everybody may make one in public that fits better than PostgreSQL's own, it is run with nobody's rights."""
    url = postgres_server.create_database(f"roles_{uuid4().hex[:8]}")
    with psycopg.connect(url, autocommit=True) as somebody:
        trap = "RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'somebody else''s code was run'; END $$"
        somebody.execute(f"CREATE FUNCTION public.format({arguments}) {trap}".encode())
    make_role(url, f"worker_{uuid4().hex[:8]}", "-v", "close=yes")


def _all_roles(url: str) -> list[tuple[str]]:
    with psycopg.connect(url) as connection:
        return list(connection.execute("SELECT rolname FROM pg_roles ORDER BY rolname"))


@pytest.mark.parametrize(
    ("options", "open_to_all"), [((), True), (("-v", "close=no"), True), (("-v", "close=yes"), False)]
)
def test_what_everybody_may_is_taken_only_where_it_is_asked_for(
    postgres_server: PostgresServer, options: tuple[str, ...], *, open_to_all: bool
) -> None:
    """Other roles keep their temporary tables, unless the script is told to close the database."""
    url, other = postgres_server.create_database(f"roles_{uuid4().hex[:8]}"), new_role(postgres_server, "other")
    make_role(url, f"worker_{uuid4().hex[:8]}", *options)
    with psycopg.connect(url) as connection:
        query = "SELECT has_database_privilege(%s, current_database(), 'TEMPORARY')"
        assert connection.execute(query, [other]).fetchone() == (open_to_all,)


def test_the_worker_s_key_only_reads_its_bucket(store: GuardedStore) -> None:
    """It reads and lists; it cannot write, delete, tag, copy or open up, nor see what is in other buckets."""
    worker = store.as_worker()
    with worker.get_object(ALLOWED, "kept.jpg") as answer:
        assert answer.read() == b"kept"
    with pytest.raises(S3Error, match="NoSuchKey"):
        worker.get_object(ALLOWED, f"{uuid4()}.jpg")

    said = {name: _answer_to(attempt) for name, attempt in _forbidden(worker).items()}
    assert said == dict.fromkeys(said, "AccessDenied")

    assert {bucket.name for bucket in worker.list_buckets()} <= {ALLOWED}
    for bucket in (ALLOWED, OTHER):
        with store.admin.get_object(bucket, "kept.jpg") as answer:
            assert answer.read() == b"kept"


def _said_to(connection: psycopg.Connection, statement: str) -> str:
    try:
        connection.execute(statement.encode())
    except psycopg.Error as error:
        return type(error).__name__
    else:
        return "done"
    finally:
        connection.rollback()


def _answer_to(attempt: Callable[[], object]) -> str | None:
    try:
        attempt()
    except S3Error as error:
        return error.code
    return "done"


def _forbidden(worker: Minio) -> dict[str, Callable[[], object]]:
    return {
        "write": lambda: worker.put_object(ALLOWED, "kept.jpg", BytesIO(b"lost"), 4),
        "write a new object": lambda: worker.put_object(ALLOWED, "mine.jpg", BytesIO(b"mine"), 4),
        "delete": lambda: worker.remove_object(ALLOWED, "kept.jpg"),
        "copy": lambda: worker.copy_object(ALLOWED, "copy.jpg", CopySource(ALLOWED, "kept.jpg")),
        "tag": lambda: worker.set_object_tags(ALLOWED, "kept.jpg", _tags()),
        "delete the bucket": lambda: worker.remove_bucket(ALLOWED),
        "make a bucket": lambda: worker.make_bucket("mine"),
        "open the bucket": lambda: worker.set_bucket_policy(ALLOWED, '{"Version": "2012-10-17", "Statement": []}'),
        "read another bucket": lambda: worker.get_object(OTHER, "kept.jpg"),
        "list another bucket": lambda: list(worker.list_objects(OTHER)),
        "write to another bucket": lambda: worker.put_object(OTHER, "mine.jpg", BytesIO(b"mine"), 4),
        "delete from another bucket": lambda: worker.remove_object(OTHER, "kept.jpg"),
    }


def _tags() -> Tags:
    tags = Tags.new_object_tags()
    tags["mine"] = "yes"
    return tags
