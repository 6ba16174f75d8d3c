"""Databases for tests: one that `migrate` made from nothing, and one that an application made, as odd as they come."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from uuid import uuid4

import attrs
import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

from adapters.faiss_codes.codebooks import FaissCodebooks
from adapters.postgres.migrate import migrate
from adapters.postgres.search_index.index_tables import PostgresIndexTables
from adapters.system.clock import SystemClock
from application.operating.keep_index import KeepIndex
from application.ports.search_index import Model
from infra.local_stack.postgres import PostgresServer
from tests.fakes.progress import unheard
from tests.tables import PostgresTables

PASSWORD = "of a throw-away role"
DIMENSION = 4
"""Dimension of the application's typed columns."""

_SETTINGS = {
    "TimeZone": "Asia/Kathmandu",
    "DateStyle": "SQL, DMY",
    "extra_float_digits": "0",
    "default_transaction_isolation": "serializable",
}
_BY_THE_OWNER = f"""
CREATE TABLE "App %s Data".photos (id uuid PRIMARY KEY, title text NOT NULL, taken_at date NOT NULL);
CREATE TABLE "App %s Data".users (
    id uuid PRIMARY KEY,
    name text NOT NULL DEFAULT 'somebody',
    face_embedding "100% extensions".vector({DIMENSION}),
    deleted_at timestamptz,
    blocked boolean NOT NULL DEFAULT false
);
CREATE TABLE "App %s Data".photo_faces (
    id uuid PRIMARY KEY,
    photo_id uuid NOT NULL REFERENCES "App %s Data".photos ON DELETE CASCADE,
    face_index int NOT NULL,
    embedding "100% extensions".vector({DIMENSION}),
    bbox text,
    created_at timestamptz NOT NULL,
    UNIQUE (photo_id, face_index)
);
CREATE TABLE "App %s Data".face_matches (
    id uuid PRIMARY KEY,
    photo_face_id uuid NOT NULL REFERENCES "App %s Data".photo_faces ON DELETE CASCADE,
    user_id uuid NOT NULL REFERENCES "App %s Data".users ON DELETE CASCADE,
    confidence double precision NOT NULL,
    created_at timestamptz DEFAULT now()
);
"""


@attrs.frozen
class PreparedDatabase:
    """A database that is ready for a worker: the worker's URL, the owner's, and where things are in it."""

    url: str
    owner_url: str
    schema: str = "public"
    vector_schema: str = "public"
    photo_columns: dict[str, str] = attrs.field(factory=dict)

    @contextmanager
    def tables(self) -> Iterator[PostgresTables]:
        """Open its tables, emptied."""
        opened = PostgresTables(self.owner_url, self.schema, self.vector_schema, self.photo_columns)
        with closing(opened) as tables:
            tables.clear()
            yield tables


def new_role(server: PostgresServer, name: str) -> str:
    """Make a role that may log in, and return its full, unique name."""
    role = f"{name} {uuid4().hex[:8]}"
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(role), sql.Literal(PASSWORD))
        )
    return role


def url_of(server: PostgresServer, database: str, role: str) -> str:
    """Return the URL of a role that :func:`new_role` made."""
    return server.url(database, user=role.replace(" ", "%20"), password=PASSWORD.replace(" ", "%20"))


def migrated(server: PostgresServer) -> PreparedDatabase:
    """Make a database of what `migrate` makes, with the columns that take a user out of the search."""
    url = server.create_database(f"migrated_{uuid4().hex[:8]}")
    asyncio.run(migrate(url))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER TABLE users ADD COLUMN deleted_at timestamptz, ADD COLUMN blocked boolean")
    return PreparedDatabase(url, url)


def of_an_application(server: PostgresServer) -> PreparedDatabase:
    """Make the application's own tables, migrated by their owner, for a worker of the least rights that enrols, too.

    They are in a schema that is on nobody's search path, as pgvector is, with percent signs in both names; columns are
    typed, boxes are text, the model columns come from `migrate`; and the database has settings that change how values
    are written and seen.
    """
    name = f"application_{uuid4().hex[:8]}"
    admin_url = server.create_database(name)
    owner, worker = new_role(server, "owner"), new_role(server, "worker")
    names = {"database": sql.Identifier(name), "owner": sql.Identifier(owner)}
    with psycopg.connect(admin_url, autocommit=True) as connection:
        for statement in (
            'CREATE SCHEMA "100% extensions"',
            'CREATE EXTENSION vector SCHEMA "100% extensions"',
            'GRANT USAGE ON SCHEMA "100% extensions" TO PUBLIC',
            "GRANT CREATE ON DATABASE {database} TO {owner}",
            'CREATE SCHEMA "App %s Data" AUTHORIZATION {owner}',
        ):
            connection.execute(sql.SQL(statement).format(**names))
        for setting, value in _SETTINGS.items():
            alter = sql.SQL("ALTER DATABASE {} SET {} = {}")
            connection.execute(alter.format(sql.Identifier(name), sql.Identifier(setting), sql.Literal(value)))
    owner_url = url_of(server, name, owner)
    with psycopg.connect(owner_url, autocommit=True) as connection:
        connection.execute(_BY_THE_OWNER.encode())
    asyncio.run(migrate(owner_url, grant_to=worker, grant_enrolment_to=worker))
    return PreparedDatabase(
        url=url_of(server, name, worker),
        owner_url=owner_url,
        schema="App %s Data",
        vector_schema="100% extensions",
        photo_columns={"title": "'holiday'", "taken_at": "'2026-05-01'"},
    )


@asynccontextmanager
async def keeping_index(url: str) -> AsyncIterator[KeepIndex[NDArray[np.float32]]]:
    """Be the one who works on indexes; the URL is the owner's."""
    async with PostgresIndexTables.opened(url) as tables:
        yield KeepIndex(tables=tables, codebooks=FaissCodebooks(), clock=SystemClock())


async def make_index(url: str, model: str, *, dimension: int) -> None:
    """Let a model's users be searched through an index, as `facematch index` does; the URL is the owner's."""
    async with keeping_index(url) as keep_index:
        there = {found.name: found for found in await keep_index.tables.models()}
        model_there = there.get(model, Model(model, dimension, users=0, is_indexed=False))
        await keep_index.build(model_there, unheard)
