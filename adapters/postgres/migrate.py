"""Migrations: the service's own schema, and what is missing of the application's tables."""

from collections.abc import Mapping, Sequence

import attrs
import psycopg
from psycopg import AsyncConnection, IsolationLevel, sql
from psycopg.rows import TupleRow

from adapters.postgres.connection.conninfo import connection_string
from adapters.postgres.connection.errors import first_line, translated
from adapters.postgres.migrations.versions import pending, shipped
from adapters.postgres.tables.catalogue import (
    TABLES,
    Column,
    SchemaError,
    Table,
    check_encoding,
    find_places,
    find_tables,
    find_vector_schema,
)
from adapters.postgres.tables.indexes import missing_indexes
from adapters.postgres.tables.rights import (
    current_role,
    enrolment_grants,
    missing_enrolment_grants,
    missing_grants,
    worker_grants,
)
from adapters.postgres.tables.schema import problems_of
from domain.errors import FacematchError

LOCK_TIMEOUT_SECONDS = 5.0
"""How long one statement may wait for its lock, while the application's queries on that table wait behind it."""
_LOCK = 0x66616365  # "face": one migration at a time, on this database
_HOME = "public"
_INSTALL_PGVECTOR = "CREATE EXTENSION IF NOT EXISTS vector SCHEMA public"
# In the row a search reads a vector several times faster; out of it only where a row has no room. And none of them in
# the statistics of ANALYZE, which keep whole values: they outlive their rows.
_KEPT_IN_THE_ROW_ALONE = (
    "ALTER TABLE {table} ALTER COLUMN {column} SET STORAGE MAIN, ALTER COLUMN {column} SET STATISTICS 0"
)
_STATEMENTS: Mapping[str, Sequence[str]] = {
    "photos": ("CREATE TABLE public.photos (id uuid PRIMARY KEY)",),
    "users": (
        "CREATE TABLE public.users (id uuid PRIMARY KEY, face_embedding {vector}, face_embedding_model text)",
        _KEPT_IN_THE_ROW_ALONE.format(table="public.users", column="face_embedding"),
    ),
    "photo_faces": (
        """CREATE TABLE public.photo_faces (
    id uuid PRIMARY KEY,
    photo_id uuid NOT NULL REFERENCES {photos} (id) ON DELETE CASCADE,
    face_index integer NOT NULL,
    embedding {vector},
    embedding_model text,
    bbox jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (photo_id, face_index)
)""",
        _KEPT_IN_THE_ROW_ALONE.format(table="public.photo_faces", column="embedding"),
    ),
    "face_matches": (
        """CREATE TABLE public.face_matches (
    id uuid PRIMARY KEY,
    photo_face_id uuid NOT NULL REFERENCES {photo_faces} (id) ON DELETE CASCADE,
    user_id uuid NOT NULL REFERENCES {users} (id) ON DELETE CASCADE,
    confidence double precision NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
)""",
        "CREATE INDEX face_matches_photo_face_id ON public.face_matches (photo_face_id)",
        "CREATE INDEX face_matches_user_id ON public.face_matches (user_id)",
    ),
}
_REFERENCES = {"photo_faces": ("photos",), "face_matches": ("photo_faces", "users")}
_ADDED_COLUMNS: Mapping[str, Mapping[str, Sequence[str]]] = {
    "users": {
        "face_embedding": (
            "ALTER TABLE {users} ADD COLUMN face_embedding {vector}",
            _KEPT_IN_THE_ROW_ALONE.format(table="{users}", column="face_embedding"),
        ),
        "face_embedding_model": ("ALTER TABLE {users} ADD COLUMN face_embedding_model text",),
    },
    "photo_faces": {"embedding_model": ("ALTER TABLE {photo_faces} ADD COLUMN embedding_model text",)},
}
_SCHEMA_MIGRATIONS = (
    "CREATE TABLE facematch.schema_migrations "
    "(name text PRIMARY KEY, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
)
_KEEP_PLACE = (
    "INSERT INTO facematch.application_tables (name, schema_name) VALUES ({}, {}) "
    "ON CONFLICT (name) DO UPDATE SET schema_name = excluded.schema_name"
)
_OWN = """
SELECT n.nspname, c.relname FROM pg_catalog.pg_namespace n
  LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = 'schema_migrations'
 WHERE n.nspname = 'facematch'
"""
_IS_ROLE = "SELECT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = %s)"
_OWNER = """
SELECT r.rolname
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN unnest(%s::text[], %s::text[]) AS t(schema, name) ON n.nspname = t.schema AND c.relname = t.name
  JOIN pg_catalog.pg_roles r ON r.oid = c.relowner
 WHERE pg_catalog.pg_has_role(current_user, r.oid, 'USAGE') ORDER BY r.rolname = current_user DESC, r.rolname LIMIT 1
"""
"""Whose the application's tables are, as far as the role that migrates is a member of it."""
_GIVE_AWAY = """DO $$
DECLARE
    made record;
BEGIN
    FOR made IN SELECT oid::regclass AS name FROM pg_catalog.pg_class
                 WHERE relnamespace = 'facematch'::regnamespace AND relkind IN ('r', 'p') LOOP
        EXECUTE pg_catalog.format('ALTER TABLE %s OWNER TO {role}', made.name);
    END LOOP;
END
$$"""
_REFUSALS = (psycopg.ProgrammingError, psycopg.IntegrityError, psycopg.DataError, psycopg.NotSupportedError)


class UnknownRoleError(FacematchError):
    """Rights are to be given to a role that is not there."""


@attrs.frozen
class Migrated:
    """The ``statements`` that were needed, or are on a dry run, and the application's tables that are used, by name.

    ``made`` are those of them that were missing. ``problems`` are what keeps a worker from starting all the same, and
    ``advice`` are statements for their owner that make the indexes which every job needs and they do not have. On a dry
    run only tables that are there are told, and no problems.
    """

    statements: list[str]
    tables: Mapping[str, Table]
    made: tuple[str, ...]
    problems: list[str]
    advice: tuple[str, ...]


class MigrationRefusedError(FacematchError):
    """The database refused; ``statements`` is the SQL that its owner has to run, in this order."""

    def __init__(self, message: str, statements: list[str]) -> None:
        super().__init__(message)
        self.statements = statements


async def migrate(
    url: str,
    *,
    lock_timeout_seconds: float = LOCK_TIMEOUT_SECONDS,
    grant_to: str | None = None,
    grant_enrolment_to: str | None = None,
    dry_run: bool = False,
) -> Migrated:
    """Bring the database up to date in one transaction; return what that took.

    Safe to run again and by several at once. Never alters a column that exists. While it waits for a lock, so do
    the application's queries on that table: it gives up after ``lock_timeout_seconds``. ``grant_to`` names another
    role that is to be worker, ``grant_enrolment_to`` one that is to enrol users; each gets what it needs and no more.
    ``dry_run`` changes nothing, in a transaction that cannot write, and returns what it would take.

    Raises:
        MigrationRefusedError: the role may not, the server cannot, or a lock was not to be had in time.
        DatabaseUnavailableError: no answer.
        UnknownRoleError: there is no role of a name that is to be given rights.
        SchemaError: it is not clear which tables are the application's, they cannot be added to or referred to, or the
            database's encoding is not UTF8.

    """
    with translated("migrate"):
        async with await AsyncConnection.connect(connection_string(url)) as connection:
            check_encoding(connection)
            await connection.set_isolation_level(IsolationLevel.READ_COMMITTED)
            await connection.set_read_only(dry_run)
            await connection.execute(
                "SELECT pg_catalog.set_config('lock_timeout', %s, true)", [f"{lock_timeout_seconds:g}s"]
            )
            for role in grant_to, grant_enrolment_to:
                if role is not None:
                    await _insist_on_role(connection, role)
            migration = _Migration(connection, grant_to, grant_enrolment_to)
            try:
                return await (migration.rehearse() if dry_run else migration.run())
            except psycopg.errors.LockNotAvailable as error:
                message = (
                    f"no lock within {lock_timeout_seconds:g} s: another migration runs, or a transaction uses a table"
                )
                message += " that is to be altered (see pg_stat_activity); when it has ended, run it again"
                raise MigrationRefusedError(message, migration.statements) from error
            except psycopg.errors.InsufficientPrivilege as error:
                raise MigrationRefusedError(
                    f"the database refused to migrate ({first_line(error)})", migration.for_the_owner
                ) from error
            except _REFUSALS as error:
                raise MigrationRefusedError(
                    f"the database could not be migrated ({first_line(error)})", migration.statements
                ) from error


async def _insist_on_role(connection: AsyncConnection[TupleRow], role: str) -> None:
    if await (await connection.execute(_IS_ROLE, [role])).fetchone() != (True,):
        raise UnknownRoleError(f"there is no role {role}: make it before it is given rights")


class _Migration:
    """One run: first a plan, as SQL that a person could run as well, then its execution."""

    def __init__(
        self, connection: AsyncConnection[TupleRow], grant_to: str | None, grant_enrolment_to: str | None
    ) -> None:
        self._connection = connection
        self._grant_to = grant_to
        self._grant_enrolment_to = grant_enrolment_to
        self._for_me: list[str] = []
        self.statements: list[str] = []

    @property
    def for_the_owner(self) -> list[str]:
        """The SQL for an owner to run instead, and what makes the refused role owner, or worker, of the result."""
        return [*self.statements, *self._for_me]

    async def rehearse(self) -> Migrated:
        tables = await self._plan()
        return Migrated(self.statements, tables, (), [], await missing_indexes(self._connection, tables))

    async def run(self) -> Migrated:
        await self._connection.execute("SELECT pg_catalog.pg_advisory_xact_lock(%s)", [_LOCK])
        found = await self._plan()
        for statement in self.statements:
            if statement == _INSTALL_PGVECTOR:
                await self._install_pgvector()
            else:
                await self._connection.execute(statement.encode())
        tables = await find_tables(self._connection, anew=True)
        await self._insist_on_rights(tables)
        made = tuple(str(tables[name]) for name in TABLES if name not in found)
        advice = await missing_indexes(self._connection, tables)
        return Migrated(self.statements, tables, made, problems_of(tables.values()), advice)

    async def _insist_on_rights(self, tables: Mapping[str, Table]) -> None:
        """Refuse where a role has not got what was granted: of that PostgreSQL only warns."""
        home = await find_vector_schema(self._connection) or _HOME
        lacking = []
        if self._grant_to is not None:
            lacking += await missing_grants(self._connection, tables, home, self._grant_to)
        if self._grant_enrolment_to is not None:
            lacking += await missing_enrolment_grants(self._connection, tables, home, self._grant_enrolment_to)
        if lacking:
            message = "the database did not grant what this role does not own, and nothing was changed"
            raise MigrationRefusedError(f"{message}; run this again after the statements", lacking)

    async def _install_pgvector(self) -> None:
        try:
            await self._connection.execute(_INSTALL_PGVECTOR)
        except psycopg.errors.FeatureNotSupported as error:
            message = "the server has no pgvector: install it there (on Debian and Ubuntu the package postgresql-"
            message += f"{self._connection.info.server_version // 10_000}-pgvector), and run this again"
            raise MigrationRefusedError(f"{message} ({first_line(error)})", []) from error
        except psycopg.errors.InsufficientPrivilege as error:
            message = "only a superuser may install pgvector in this database; after that, run this again"
            raise MigrationRefusedError(f"{message} ({first_line(error)})", [_INSTALL_PGVECTOR]) from error

    async def _plan(self) -> Mapping[str, Table]:
        """Collect the statements; return the tables that are there."""
        tables = await find_tables(self._connection, anew=True)
        vector_schema = await find_vector_schema(self._connection)
        home = vector_schema or _HOME
        vector = sql.Identifier(home, "vector").as_string()
        _refuse_what_cannot_be_added_to(tables)
        complete = {name: tables.get(name) or Table(_HOME, name, {"id": Column("uuid")}) for name in TABLES}
        if vector_schema is None:
            self.statements.append(_INSTALL_PGVECTOR)
        names = {name: table.identifier.as_string() for name, table in complete.items()}
        wanted = [statement for name in TABLES if name not in tables for statement in _STATEMENTS[name]]
        for name, columns in _ADDED_COLUMNS.items():
            if name in tables:
                lacking = [column for column in columns if column not in tables[name].columns]
                wanted += [statement for column in lacking for statement in columns[column]]
        self.statements += [statement.format(vector=vector, **names) for statement in wanted]
        self._for_me = await self._needed_by_me(tables, complete, home)
        await self._plan_own_schema()
        await self._plan_places(complete)
        if self._grant_to is not None:
            self.statements += worker_grants(complete, self._grant_to, home)
        if self._grant_enrolment_to is not None:
            self.statements += enrolment_grants(complete, self._grant_enrolment_to, home)
        return tables

    async def _needed_by_me(self, tables: Mapping[str, Table], complete: Mapping[str, Table], home: str) -> list[str]:
        """Return what the role that migrates needs where another one runs the statements in its place.

        That is to own what is made, where it owns tables of the application, else to work.
        """
        places = [list(part) for part in zip(*((table.schema, table.name) for table in tables.values()), strict=True)]
        row = await (await self._connection.execute(_OWNER, places)).fetchone() if tables else None
        if row is None:
            return [] if self._grant_to else worker_grants(complete, await current_role(self._connection), home)
        role = sql.Identifier(row[0]).as_string()
        made = [complete[name].identifier.as_string() for name in TABLES if name not in tables]
        return [
            f"ALTER SCHEMA facematch OWNER TO {role}",
            _GIVE_AWAY.format(role=role.replace("'", "''").replace("%", "%%")),
            *(f"ALTER TABLE {table} OWNER TO {role}" for table in made),
        ]

    async def _plan_own_schema(self) -> None:
        schema, table = await (await self._connection.execute(_OWN)).fetchone() or (None, None)
        if schema is None:
            self.statements.append("CREATE SCHEMA facematch")
        if table is None:
            self.statements.append(_SCHEMA_MIGRATIONS)
        record = sql.SQL("INSERT INTO facematch.schema_migrations (name, checksum) VALUES ({}, {})")
        for migration in shipped() if table is None else await pending(self._connection):
            self.statements += [migration.sql, record.format(migration.name, migration.checksum).as_string()]

    async def _plan_places(self, tables: Mapping[str, Table]) -> None:
        """Write down where the tables are, once they are found."""
        places = await find_places(self._connection)
        self.statements += [
            sql.SQL(_KEEP_PLACE).format(name, table.schema).as_string()
            for name, table in tables.items()
            if places.get(name) != table.schema
        ]


def _refuse_what_cannot_be_added_to(tables: Mapping[str, Table]) -> None:
    """Raise :class:`SchemaError` where a table cannot be altered or referred to: a view, or one of other ids."""
    problems = [
        f"{tables[name]} is no table: add the column {column} to it yourself"
        for name, columns in _ADDED_COLUMNS.items()
        for column in columns
        if name in tables and not tables[name].is_table and column not in tables[name].columns
    ]
    problems += [
        f"{tables[referenced]} is no table, so that {name} cannot refer to it: make {name} yourself"
        for name, others in _REFERENCES.items()
        for referenced in others
        if name not in tables and referenced in tables and not tables[referenced].is_table
    ]
    ids = {
        other: tables[other].columns.get("id") for others in _REFERENCES.values() for other in others if other in tables
    }
    problems += [
        f"{tables[name]}.id is of type {column.type}, and facematch needs uuid"
        for name, column in ids.items()
        if column is not None and column.type != "uuid"
    ]
    if problems:
        raise SchemaError("; ".join(problems))
