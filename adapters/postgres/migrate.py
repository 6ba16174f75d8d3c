"""Migrations: the service's own schema, and what is missing of the application's tables."""

import hashlib
from collections.abc import Iterator
from importlib.resources import files

import attrs
import psycopg
from psycopg import AsyncConnection, sql
from psycopg.rows import TupleRow

from adapters.postgres.errors import translated
from adapters.postgres.schema import Table, find_tables
from domain.errors import FacematchError

_LOCK = 0x66616365  # "face": one migration at a time, on this database
_PHOTOS = "CREATE TABLE public.photos (id uuid PRIMARY KEY)"
_USERS = "CREATE TABLE public.users (id uuid PRIMARY KEY, face_embedding vector, face_embedding_model text)"
_USERS_STORAGE = "ALTER TABLE public.users ALTER COLUMN face_embedding SET STORAGE PLAIN"
_PHOTO_FACES = """CREATE TABLE public.photo_faces (
    id uuid PRIMARY KEY,
    photo_id uuid NOT NULL REFERENCES {photos} ON DELETE CASCADE,
    face_index integer NOT NULL,
    embedding vector,
    embedding_model text,
    bbox jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (photo_id, face_index)
)"""
_PHOTO_FACES_STORAGE = "ALTER TABLE public.photo_faces ALTER COLUMN embedding SET STORAGE PLAIN"
_FACE_MATCHES = """CREATE TABLE public.face_matches (
    id uuid PRIMARY KEY,
    photo_face_id uuid NOT NULL REFERENCES {photo_faces} ON DELETE CASCADE,
    user_id uuid NOT NULL REFERENCES {users} ON DELETE CASCADE,
    confidence double precision NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
)"""
_FACE_MATCHES_INDEX = "CREATE INDEX face_matches_photo_face_id ON public.face_matches (photo_face_id)"
_ADDED_COLUMNS = {
    "users": {"face_embedding": "vector", "face_embedding_model": "text"},
    "photo_faces": {"embedding_model": "text"},
}


class MigrationRefusedError(FacematchError):
    """The database refused; ``statements`` is the SQL that its owner has to run."""

    def __init__(self, message: str, statements: list[str]) -> None:
        super().__init__(message)
        self.statements = statements


@attrs.frozen
class _File:
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def _files() -> Iterator[_File]:
    for entry in sorted(files("adapters.postgres.migrations").iterdir(), key=lambda e: e.name):
        if entry.name.endswith(".sql"):
            yield _File(entry.name, entry.read_text(encoding="utf-8"))


async def migrate(url: str, *, lock_timeout_seconds: float = 10.0) -> list[str]:
    """Bring the database up to date in one transaction; return the statements that were needed.

    Safe to run again and by several at once. Never alters a column that exists.

    Raises:
        MigrationRefusedError: the role may not, or a lock was not to be had in time.
        DatabaseUnavailableError: no answer.
        SchemaError: it is not clear which tables are the application's.

    """
    with translated("migrate"):
        async with await AsyncConnection.connect(url, connect_timeout=10, application_name="facematch") as connection:
            await connection.execute("SELECT set_config('lock_timeout', %s, true)", [f"{lock_timeout_seconds:g}s"])
            statements: list[str] = []
            try:
                await connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
                statements = await _plan(connection)
                for statement in statements:
                    await connection.execute(statement.encode())
            except (psycopg.errors.InsufficientPrivilege, psycopg.errors.LockNotAvailable) as error:
                message = f"the database refused to migrate ({str(error).splitlines()[0]})"
                raise MigrationRefusedError(message, statements) from error
            return statements


async def _plan(connection: AsyncConnection[TupleRow]) -> list[str]:
    """Return what has to be run, as SQL that a person can run as well."""
    plan: list[str] = []
    if not await _exists(connection, "SELECT 1 FROM pg_extension WHERE extname = 'vector'"):
        plan.append("CREATE EXTENSION IF NOT EXISTS vector")
    tables = await find_tables(connection)
    plan += _application_tables(connection, tables)
    plan += _model_columns(connection, tables)
    if not await _exists(connection, "SELECT 1 FROM pg_namespace WHERE nspname = 'facematch'"):
        plan.append("CREATE SCHEMA facematch")
    applied: dict[str, str] = {}
    if await _exists(connection, "SELECT to_regclass('facematch.schema_migrations')"):
        cursor = await connection.execute("SELECT name, checksum FROM facematch.schema_migrations")
        applied = {row[0]: row[1] for row in await cursor.fetchall()}
    else:
        plan.append(
            "CREATE TABLE facematch.schema_migrations "
            "(name text PRIMARY KEY, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
    for file in _files():
        if file.name not in applied:
            record = sql.SQL("INSERT INTO facematch.schema_migrations (name, checksum) VALUES ({}, {})")
            plan += [file.sql, record.format(file.name, file.checksum).as_string(connection)]
        elif applied[file.name] != file.checksum:
            raise FacematchError(
                f"migration {file.name} was applied in another form: this is another version's database"
            )
    return plan


def _application_tables(connection: AsyncConnection[TupleRow], tables: dict[str, Table]) -> list[str]:
    def qualified(name: str) -> str:
        table = tables.get(name) or Table("public", name, {})
        return table.identifier.as_string(connection)

    statements = {
        "photos": [_PHOTOS],
        "users": [_USERS, _USERS_STORAGE],
        "photo_faces": [_PHOTO_FACES.format(photos=qualified("photos")), _PHOTO_FACES_STORAGE],
        "face_matches": [
            _FACE_MATCHES.format(photo_faces=qualified("photo_faces"), users=qualified("users")),
            _FACE_MATCHES_INDEX,
        ],
    }
    return [statement for name, needed in statements.items() if name not in tables for statement in needed]


def _model_columns(connection: AsyncConnection[TupleRow], tables: dict[str, Table]) -> list[str]:
    return [
        f"ALTER TABLE {tables[name].identifier.as_string(connection)} ADD COLUMN IF NOT EXISTS {column} {kind}"
        for name, columns in _ADDED_COLUMNS.items()
        if name in tables
        for column, kind in columns.items()
        if column not in tables[name].columns
    ]


async def _exists(connection: AsyncConnection[TupleRow], query: str) -> bool:
    row = await (await connection.execute(query.encode())).fetchone()
    return row is not None and row[0] is not None
