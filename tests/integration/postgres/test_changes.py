"""The database changes under a running worker: for every job alike, so that it counts as an outage."""

import psycopg
import pytest
from psycopg import sql

from adapters.faiss_codes.codes import Codes
from adapters.postgres.catalogue import SchemaError
from adapters.postgres.gallery import PostgresGallery
from adapters.postgres.migrate import migrate
from domain.errors import DatabaseUnavailableError
from domain.faces import FaceEmbedding
from infra.local_stack.postgres import PostgresServer
from tests.databases import new_role, url_of
from tests.fakes.clock import ManualClock
from tests.integration.postgres.use import UNKNOWN, opened, recall


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


async def test_tables_that_are_moved_are_found_again(admin: psycopg.Connection, database_url: str) -> None:
    """The probe ends the outage: what it finds is what the worker goes on with."""
    await migrate(database_url)
    async with opened(database_url) as database:
        admin.execute("ALTER TABLE photos RENAME TO photos_old")
        with pytest.raises(DatabaseUnavailableError, match="photos"):
            await recall(database)
        with pytest.raises(SchemaError, match="the database lacks photos"):
            await database.check()
        admin.execute("ALTER TABLE photos_old RENAME TO photos; CREATE SCHEMA app; ALTER TABLE photos SET SCHEMA app")
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
            await gallery.nearest(probe, limit=1)
        await database.check()
        assert list(await gallery.nearest(probe, limit=1)) == []
