"""What is PostgreSQL's own about going through the photos: rights, templates, and how it looks things up."""

import asyncio
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from adapters.postgres.connection.database import Database
from adapters.postgres.photos import CatalogueForbiddenError, ImageRefTemplate, PostgresPhotoCatalogue
from application.ports.photo_catalogue import NO_OUTCOME, LastOutcome
from domain.outcomes import Reason
from infra.local_stack.postgres import PostgresServer
from tests.databases import PreparedDatabase, of_an_application
from tests.integration.postgres.use import opened
from tests.tables import PostgresTables

PHOTO = UUID(int=5)


@pytest.fixture(scope="module")
def application(postgres_server: PostgresServer) -> PreparedDatabase:
    """Return a database that an application made, and a worker that may read ids alone."""
    return of_an_application(postgres_server)


@pytest.fixture
def owned(application: PreparedDatabase) -> Iterator[PostgresTables]:
    """Return the application's tables as their owner sees them, with one photo."""
    with application.tables() as tables:
        tables.add_photo(PHOTO)
        yield tables


async def image_ref(database: Database, template: str) -> str | None:
    """Return the reference of the only photo."""
    catalogue = PostgresPhotoCatalogue(database, ImageRefTemplate.of(template))
    [photo] = (await catalogue.unmatched(NO_OUTCOME, after=None, limit=10)).photos
    return photo.image_ref


async def test_the_rights_that_a_worker_lacks_are_told(application: PreparedDatabase, owned: PostgresTables) -> None:
    """As statements that the owner can run, after which it works; for the id alone a worker's rights do."""
    async with opened(application.url) as database:
        assert await image_ref(database, "photos/{id}.jpg") == f"photos/{PHOTO}.jpg"
        with pytest.raises(CatalogueForbiddenError, match="the owner has to run") as refused:
            await image_ref(database, "{title}")
        statements = str(refused.value).partition("run: ")[2]
        assert statements.startswith('GRANT SELECT ("id", "title") ON "App %s Data"."photos" TO "worker ')
        for statement in statements.split(";")[:3]:
            owned.run(statement.replace("%", "%%"))
        assert await image_ref(database, "{title}") == "holiday"


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("100%/{id}/%s.jpg", f"100%/{PHOTO}/%s.jpg"),
        ("'; DROP TABLE photos; --{{{Odd % name}}}", "'; DROP TABLE photos; --{ø}"),
        ("{number}-{Odd % name}", "7-ø"),
        ("minio://images/{nothing}", None),
        ("{long}", "x" * 2000),
    ],
)
async def test_a_template_is_filled_in_by_the_database(
    database: Database, tables: PostgresTables, template: str, expected: str | None
) -> None:
    """Whatever characters stand in it; null where a column is null; no longer than a reference can be."""
    tables.run(
        'ALTER TABLE {photos} ADD COLUMN IF NOT EXISTS "Odd %% name" varchar(9), ADD COLUMN IF NOT EXISTS number int, '
        "ADD COLUMN IF NOT EXISTS nothing text, ADD COLUMN IF NOT EXISTS long text"
    )
    tables.add_photo(PHOTO)
    tables.run(
        """UPDATE {photos} SET "Odd %% name" = 'ø', number = 7, long = repeat('x', 100000) WHERE id = %s""", PHOTO
    )
    await database.check()
    assert await image_ref(database, template) == expected


async def test_a_page_is_looked_up_along_indexes(database: Database, tables: PostgresTables) -> None:
    """Once for each photo, at the ends of the table too, where the planner expects far fewer rows than there are."""
    tables.run("INSERT INTO {photos} (id) SELECT gen_random_uuid() FROM generate_series(1, 20000)")
    tables.run("INSERT INTO {users} (id) VALUES (%s)", PHOTO)
    tables.run("INSERT INTO {photo_faces} (id, photo_id, face_index) SELECT gen_random_uuid(), id, 0 FROM {photos}")
    tables.run(
        "INSERT INTO {face_matches} (id, photo_face_id, user_id, confidence) "
        "SELECT gen_random_uuid(), id, %s, 0 FROM {photo_faces}",
        PHOTO,
    )
    tables.run(
        "INSERT INTO facematch.outcomes (stream_seq, stored_at, photo_id, outcome, embedder, worker, occurred_at) "
        "SELECT row_number() OVER (), now(), id, 'matched', '', '', now() FROM {photos}"
    )
    lost = tables.add_photo(UUID(int=0))
    tables.run("ANALYZE")
    catalogue = PostgresPhotoCatalogue(database, ImageRefTemplate.of("{id}"))
    meant = LastOutcome(reasons=frozenset({Reason.NO_MATCH}), none=True)
    page = await catalogue.unmatched(meant, after=None, limit=5_000)
    assert ([photo.id for photo in page.photos], page.looked_at) == ([lost], 5_000)
    assert await catalogue.estimate() == pytest.approx(20_001, rel=0.1)
    async with database.operation("explain") as connection:
        [(plan,)] = await (
            await connection.execute(
                sql.SQL("EXPLAIN (FORMAT JSON) ") + catalogue.query(None), catalogue.values(meant, None, 5_000)
            )
        ).fetchall()
    kinds = {(node["Node Type"], node.get("Relation Name")) for node in _nodes(plan[0]["Plan"])}
    assert {kind for kind, table in kinds if table} <= {"Index Scan", "Index Only Scan"}
    assert not {"Hash Join", "Merge Join"} & {kind for kind, _ in kinds}


async def test_a_page_may_take_longer_than_a_jobs_statements(application: PreparedDatabase) -> None:
    """Where tables are larger than memory, the look-ups of a page wait for the disk; the lock stands for that."""
    with application.tables() as tables:
        tables.add_photo(PHOTO)
        database = Database(application.url, statement_seconds=0.2)
        await database.open()
        try:
            with psycopg.connect(application.owner_url) as holder:
                holder.execute(sql.SQL("LOCK TABLE {}").format(database.schema.photos.identifier))
                reading = asyncio.create_task(image_ref(database, "photos/{id}.jpg"))
                await asyncio.wait({reading}, timeout=0.5)
            assert await reading == f"photos/{PHOTO}.jpg"
        finally:
            await database.close()


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", []):
        yield from _nodes(part)
