"""The page on the database says what is so: rights, columns and statements."""

import re
from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest

from adapters.postgres.migrate import migrate
from adapters.postgres.records.ledger import PostgresLedger
from adapters.postgres.tables.schema import Schema
from infra.local_stack.postgres import PostgresServer
from tests.contract.ledger.jobs import accepted, embedding, header
from tests.databases import new_role
from tests.integration.postgres.use import opened
from tests.tables import PostgresTables
from tests.unit.docs.pages import page, rows

PAGE = page("docs/reference/database.md")
WORKER, ENROLLER = "facematch_worker", "facematch_enroller"


def statements() -> Iterator[str]:
    """Yield every statement of the page but the grants."""
    for code in PAGE.code("sql"):
        if "GRANT" not in code:
            yield from (statement.strip() for statement in code.split(";") if statement.strip())


async def test_the_grants_are_those_that_the_owner_gives(postgres_server: PostgresServer, database_url: str) -> None:
    """Word for word, but for the names of the roles."""
    documented = [code.strip() for code in PAGE.code("sql") if "GRANT" in code]
    worker, enroller = new_role(postgres_server, "worker"), new_role(postgres_server, "enroller")
    made = (await migrate(database_url, grant_to=worker, grant_enrolment_to=enroller)).statements
    granted = [
        "\n".join(f"{statement};" for statement in made if f'"{role}"' in statement).replace(role, name)
        for role, name in ((worker, WORKER), (enroller, ENROLLER))
    ]
    assert documented == granted


async def test_the_applications_tables_have_these_columns(admin: psycopg.Connection, database_url: str) -> None:
    """Those of the page, the optional ones apart, are what `migrate` makes of nothing."""
    await migrate(database_url)
    documented, table = set(), ""
    for name, column, kind, _ in rows(PAGE.section("The application's tables").partition("\n### ")[0]):
        table = name or table
        if "optional" not in kind:
            documented.add((table, column, re.split(r",| or ", kind)[0]))
    async with opened(database_url) as database:
        schema: Schema = database.schema
    made = admin.execute(
        "SELECT c.relname, a.attname, replace(format_type(a.atttypid, -1), 'timestamp with time zone', 'timestamptz') "
        "FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid WHERE a.attnum > 0 AND c.relkind = 'r' "
        "AND c.relnamespace = 'public'::regnamespace"
    )
    assert documented == set(made)
    assert {table for table, _, _ in documented} == {
        each.name for each in (schema.photos, schema.users, schema.photo_faces, schema.face_matches)
    }


@pytest.mark.parametrize("table", ["outcomes", "attempts", "templates", "gallery"])
async def test_the_services_tables_have_these_columns(admin: psycopg.Connection, database_url: str, table: str) -> None:
    """With these types, all of them."""
    await migrate(database_url)
    section = PAGE.section("The schema `facematch`").partition(f"`facematch.{table}` has")[2].partition("\n\n`")[0]
    documented = {
        pair for names, types, *_ in rows(section) for pair in zip(names.split(", "), types.split(", "), strict=True)
    }
    made = admin.execute(
        "SELECT attname, replace(format_type(atttypid, -1), 'timestamp with time zone', 'timestamptz') "
        "FROM pg_attribute WHERE attrelid = ('facematch.' || %s)::regclass AND attnum > 0",
        [table],
    )
    assert documented == set(made)


async def test_the_statements_run(database_url: str) -> None:
    """On a database with a match, whose event waits: none of them fails or takes away what is new."""
    await migrate(database_url)
    tables = PostgresTables(database_url)
    tables.run("ALTER TABLE {users} ADD deleted_at timestamptz, ADD blocked boolean")
    photo, user = tables.add_photo(uuid4()), tables.add_user(uuid4(), embedding(1.0))
    async with opened(database_url) as database:
        await PostgresLedger(database).conclude_face(header(photo), accepted(user))
        found = {statement: tables.run(statement.replace("%", "%%")) for statement in statements()}
        assert await PostgresLedger(database).history(photo) != []
    [waiting] = [result for statement, result in found.items() if "published_at IS NULL" in statement]
    assert waiting[0][0] == 1
    [enrolled] = [result for statement, result in found.items() if "GROUP BY face_embedding_model" in statement]
    assert enrolled == [("model@1", 1)]
    tables.close()


async def test_the_statements_about_storage_bring_vectors_into_the_row(
    admin: psycopg.Connection, database_url: str
) -> None:
    """What lay outside lies inside afterwards, unchanged."""
    await migrate(database_url)
    admin.execute("ALTER TABLE users ALTER face_embedding TYPE vector(512), ALTER face_embedding SET STORAGE EXTERNAL")
    admin.execute(
        "INSERT INTO users SELECT gen_random_uuid(), array_agg(sin(g))::vector, 'm@1' FROM generate_series(1, 512) g"
    )
    look = "SELECT pg_column_toast_chunk_id(face_embedding) IS NULL, face_embedding::text FROM users"
    before = admin.execute(look).fetchone()
    for statement in statements():
        if statement.startswith(("ALTER TABLE users", "UPDATE users")):
            admin.execute(statement.encode())
    after = admin.execute(look).fetchone()
    assert before is not None
    assert after is not None
    assert (before[0], after[0]) == (False, True)
    assert after[1] == before[1]
