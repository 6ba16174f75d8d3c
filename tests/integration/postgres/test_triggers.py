"""What an application's own triggers see of the rows that a job writes."""

import re
from collections.abc import Callable
from uuid import UUID, uuid4

import psycopg
import pytest

from adapters.postgres.gallery.enrolment import PostgresEnrolment
from adapters.postgres.migrate import migrate
from adapters.postgres.records.ledger import PostgresLedger
from application.ports.ledger import FaceResult
from domain.errors import DatabaseRefusedError, DatabaseUnavailableError
from domain.faces import FaceEmbedding
from domain.redaction import MASK
from infra.local_stack.postgres import PostgresServer
from tests.contract.ledger.jobs import accepted, embedding, header, recorded, unknown
from tests.databases import new_role, url_of
from tests.integration.postgres.use import opened
from tests.tables import PostgresTables

TRIGGERS = """
CREATE TABLE seen (face uuid);
CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM face_matches WHERE photo_face_id = NEW.id;
  INSERT INTO seen VALUES (NEW.id);
  RETURN NULL;
END $$;
CREATE TRIGGER see AFTER INSERT OR UPDATE ON photo_faces FOR EACH ROW EXECUTE FUNCTION see();
CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql STABLE AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM photo_faces f JOIN seen s ON s.face = f.id WHERE f.id = NEW.photo_face_id) THEN
    RAISE EXCEPTION 'a match without its face';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER look BEFORE INSERT ON face_matches FOR EACH ROW EXECUTE FUNCTION look();
"""
TEMPLATE = FaceEmbedding("dlib@2", tuple(0.125 + number / 1000 for number in range(128)))


async def test_triggers_on_faces_have_run_before_the_match_is_inserted(
    admin: psycopg.Connection, database_url: str
) -> None:
    """One that throws away what an older face had matched leaves this match; one on matches finds the face."""
    await migrate(database_url)
    admin.execute(TRIGGERS)
    tables = PostgresTables(database_url)
    tables.run("ALTER TABLE {users} ADD deleted_at timestamptz, ADD blocked boolean")
    photo, user = tables.add_photo(uuid4()), tables.add_user(uuid4(), embedding(1.0))
    async with opened(database_url) as database:
        told = await PostgresLedger(database).conclude_face(header(photo), accepted(user))
    assert told.outcome.kind == "matched"
    assert [match.photo_face_id for match in tables.matches()] == [face.id for face in tables.faces()] != []
    assert tables.run("SELECT count(*) FROM seen") == [(1,)]
    tables.close()


async def test_a_template_that_a_trigger_swallows_is_missed(admin: psycopg.Connection, database_url: str) -> None:
    """It is not taken for a user who is gone."""
    await migrate(database_url)
    admin.execute("CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$")
    admin.execute("CREATE TRIGGER swallow BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION swallow()")
    user = uuid4()
    admin.execute("INSERT INTO users (id) VALUES (%s)", [user])
    async with opened(database_url) as database:
        enrolment = PostgresEnrolment(database)
        for replace in True, False:
            with pytest.raises(DatabaseUnavailableError, match=r"no row was written into public\.users, and no error"):
                await enrolment.save_template(user, embedding(1.0), photographs=1, replace=replace)


async def test_what_a_trigger_may_not_do_is_told_as_the_triggers(
    admin: psycopg.Connection, postgres_server: PostgresServer, database_url: str
) -> None:
    """It runs with the rights of the service's role, and no grant of the service's can help."""
    worker = new_role(postgres_server, "worker")
    await migrate(database_url, grant_to=worker)
    admin.execute("CREATE TABLE audit (id uuid)")
    admin.execute(
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ "
        "BEGIN INSERT INTO audit VALUES (NEW.id); RETURN NEW; END $$"
    )
    admin.execute("CREATE TRIGGER note BEFORE INSERT ON photo_faces FOR EACH ROW EXECUTE FUNCTION note()")
    photo = uuid4()
    admin.execute("INSERT INTO photos (id) VALUES (%s)", [photo])
    async with opened(url_of(postgres_server, admin.info.dbname, worker)) as database:
        refusal = r"refused: permission denied for table audit, in PL/pgSQL function (public\.)?note\(\)"
        with pytest.raises(DatabaseRefusedError, match=refusal):
            await PostgresLedger(database).conclude_face(header(photo), unknown())


@pytest.mark.parametrize(
    "condition", ["", " USING ERRCODE = 'insufficient_privilege'", " USING ERRCODE = 'syntax_error'"]
)
async def test_a_template_that_a_trigger_quotes_is_masked(
    admin: psycopg.Connection, database_url: str, condition: str
) -> None:
    """What the application says of its own stays in the message, and no number of the vector does."""
    await migrate(database_url)
    admin.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION 'account is frozen: %', NEW{condition}; END $$"
    )
    admin.execute("CREATE TRIGGER refuse BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION refuse()")
    user = uuid4()
    admin.execute("INSERT INTO users (id) VALUES (%s)", [user])
    async with opened(database_url) as database:
        with pytest.raises(DatabaseRefusedError, match=f"account is frozen: .*{user}") as refused:
            await PostgresEnrolment(database).save_template(user, TEMPLATE, photographs=1, replace=False)
    assert MASK in str(refused.value)
    assert not re.search(r"0\.\d", str(refused.value))


async def test_a_template_that_a_mistaken_statement_of_a_trigger_holds_is_masked(
    admin: psycopg.Connection, database_url: str
) -> None:
    """A log of changes that fits its table no longer: it is the application's mistake, and told without the row."""
    await migrate(database_url)
    admin.execute("CREATE TABLE audit (changed text)")
    admin.execute(
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN EXECUTE format('INSERT INTO audit VALUES (%L, 2)', NEW); RETURN NEW; END $$"
    )
    admin.execute("CREATE TRIGGER note BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION note()")
    user = uuid4()
    admin.execute("INSERT INTO users (id) VALUES (%s)", [user])
    refusal = r"refused: INSERT has more expressions than target columns, in PL/pgSQL function (public\.)?note\(\)"
    async with opened(database_url) as database:
        with pytest.raises(DatabaseRefusedError, match=refusal) as refused:
            await PostgresEnrolment(database).save_template(user, TEMPLATE, photographs=1, replace=False)
    assert not re.search(r"0\.\d", str(refused.value))


@pytest.mark.parametrize(
    ("table", "decide"),
    [("photo_faces", lambda _: unknown()), ("photo_faces", accepted), ("face_matches", accepted)],
)
async def test_a_row_that_a_trigger_swallows_is_missed(
    admin: psycopg.Connection, database_url: str, table: str, decide: Callable[[UUID], FaceResult]
) -> None:
    """Nobody is told of a match or a face that is not there: the job fails, in words, and leaves nothing."""
    await migrate(database_url)
    admin.execute("CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$")
    admin.execute(f"CREATE TRIGGER swallow BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION swallow()".encode())
    tables = PostgresTables(database_url)
    tables.run("ALTER TABLE {users} ADD deleted_at timestamptz, ADD blocked boolean")
    job, user = header(tables.add_photo(uuid4())), tables.add_user(uuid4(), embedding(1.0))
    async with opened(database_url) as database:
        ledger = PostgresLedger(database)
        with pytest.raises(DatabaseUnavailableError, match=rf"no row was written into public\.{table}, and no error"):
            await ledger.conclude_face(job, decide(user))
        assert await recorded(ledger, job.key) is None
    assert tables.faces() == []
    tables.close()
