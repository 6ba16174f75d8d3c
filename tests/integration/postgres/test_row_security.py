"""Row-level security: what it hides would make jobs end wrongly, so that nobody works who cannot see everything."""

import psycopg
import pytest
from psycopg import sql

from adapters.postgres.connection.database import Database
from adapters.postgres.migrate import migrate
from adapters.postgres.search_index.index_tables import PostgresIndexTables
from adapters.postgres.tables.catalogue import SchemaError
from domain.errors import DatabaseUnavailableError
from infra.local_stack.postgres import PostgresServer
from tests.databases import new_role, url_of
from tests.integration.postgres.use import UNKNOWN, opened, recall


@pytest.mark.parametrize("table", ["public.photos", "public.users", "public.photo_faces", "facematch.outcomes"])
async def test_a_worker_that_may_not_see_every_row_does_not_start(
    admin: psycopg.Connection, postgres_server: PostgresServer, database_url: str, table: str
) -> None:
    """Not even with a policy that shows it all today; what is said to be done is enough."""
    role = new_role(postgres_server, "worker")
    await migrate(database_url, grant_to=role)
    admin.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON {table} USING (true)".encode())
    url = url_of(postgres_server, admin.info.dbname, role)
    with pytest.raises(SchemaError) as refused:
        async with opened(url):
            pass
    statement = sql.SQL("ALTER ROLE {} BYPASSRLS").format(sql.Identifier(role)).as_string()
    assert str(refused.value) == (
        f"row-level security can hide rows of {table} from the role, which has to see them all: "
        f"a superuser has to run: {statement}; or connect as the tables' owner, where it is not forced on them"
    )
    admin.execute(statement.encode())
    async with opened(url) as database:
        assert await recall(database) == UNKNOWN


async def test_who_enrols_may_not_work_on_a_part_of_the_users(
    admin: psycopg.Connection, postgres_server: PostgresServer, database_url: str
) -> None:
    """Rows of tables that a role does not read may be hidden from it."""
    enroller = new_role(postgres_server, "enroller")
    await migrate(database_url, grant_enrolment_to=enroller)
    database = Database(url_of(postgres_server, admin.info.dbname, enroller))
    admin.execute("ALTER TABLE photos ENABLE ROW LEVEL SECURITY")
    await database.open()
    await database.close()
    admin.execute("ALTER TABLE users ENABLE ROW LEVEL SECURITY")
    with pytest.raises(SchemaError, match=r"row-level security can hide rows of public\.users from the role"):
        await database.open()


async def test_an_owner_on_whom_it_is_forced_makes_no_index(
    admin: psycopg.Connection, postgres_server: PostgresServer, database_url: str
) -> None:
    """An index without the hidden users would find other people instead; without FORCE an owner sees them all."""
    owner = new_role(postgres_server, "owner")
    await migrate(database_url)
    names = {"owner": sql.Identifier(owner), "database": sql.Identifier(admin.info.dbname)}
    for statement in ("ALTER TABLE users OWNER TO {owner}", "ALTER SCHEMA facematch OWNER TO {owner}"):
        admin.execute(sql.SQL(statement).format(**names))
    admin.execute(sql.SQL("GRANT ALL ON ALL TABLES IN SCHEMA facematch TO {owner}").format(**names))
    admin.execute("ALTER TABLE users ENABLE ROW LEVEL SECURITY")
    url = url_of(postgres_server, admin.info.dbname, owner)
    async with PostgresIndexTables.opened(url) as tables:
        assert await tables.models() == []
    admin.execute("ALTER TABLE users FORCE ROW LEVEL SECURITY")
    with pytest.raises(SchemaError, match=r"row-level security can hide rows of public\.users"):
        async with PostgresIndexTables.opened(url):
            pass


async def test_a_policy_that_comes_while_the_worker_runs_stops_the_work(
    admin: psycopg.Connection, postgres_server: PostgresServer, database_url: str
) -> None:
    """The job's own statement fails, instead of finding no photo; the probe says why, and the work goes on after it."""
    role = new_role(postgres_server, "worker")
    await migrate(database_url, grant_to=role)
    async with opened(url_of(postgres_server, admin.info.dbname, role)) as database:
        assert await recall(database) == UNKNOWN
        admin.execute("ALTER TABLE photos ENABLE ROW LEVEL SECURITY")
        with pytest.raises(DatabaseUnavailableError, match=r'affected by row-level security .* "photos"'):
            await recall(database)
        with pytest.raises(SchemaError, match=r"row-level security can hide rows of public\.photos"):
            await database.check()
        admin.execute("ALTER TABLE photos DISABLE ROW LEVEL SECURITY")
        await database.check()
        assert await recall(database) == UNKNOWN


async def test_views_of_the_owner_stand_in_for_tables_with_policies(
    admin: psycopg.Connection, postgres_server: PostgresServer, database_url: str
) -> None:
    """Where nobody can give BYPASSRLS, as on some managed servers, a worker still sees every row."""
    role = new_role(postgres_server, "worker")
    admin.execute("CREATE TABLE photos (id uuid PRIMARY KEY, tenant int)")
    await migrate(database_url)
    admin.execute("ALTER TABLE photos ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON photos USING (tenant = 1)")
    admin.execute("CREATE SCHEMA for_facematch; CREATE VIEW for_facematch.photos AS SELECT id FROM public.photos")
    admin.execute("INSERT INTO photos VALUES (gen_random_uuid(), 2)")
    path = "options=-csearch_path%3Dfor_facematch,public"
    admin.execute("DELETE FROM facematch.application_tables")
    await migrate(f"{database_url}?{path}", grant_to=role)
    url = f"{url_of(postgres_server, admin.info.dbname, role)}?{path}"
    async with opened(url) as database:
        assert await recall(database) == UNKNOWN
    with psycopg.connect(url) as worker:
        assert worker.execute("SELECT count(id) FROM photos").fetchone() == (1,)
