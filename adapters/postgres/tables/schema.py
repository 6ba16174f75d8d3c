"""The application's tables as the service uses them: found once, checked, and named in full ever after."""

from collections.abc import Iterable, Mapping

import attrs
from psycopg import AsyncConnection, sql
from psycopg.rows import TupleRow

from adapters.postgres.migrations.versions import pending
from adapters.postgres.tables.catalogue import (
    EXPECTED,
    OWN_SCHEMA,
    OWN_TABLES,
    TABLES,
    SchemaError,
    Table,
    check_encoding,
    find_deferred_keys,
    find_tables,
    find_vector_schema,
)
from adapters.postgres.tables.rights import current_role, missing_grants
from adapters.postgres.tables.row_security import check_row_security
from application.ports.face_pipeline import EmbedderInfo

_FIND_OWN = """
SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = 'facematch' AND c.relname = ANY (%s)
"""
_MADE_BY_MIGRATE = {
    "users": ("face_embedding", "face_embedding_model"),
    "photo_faces": ("embedding_model",),
}
_WRITTEN = ("photo_faces", "face_matches")
VECTORS = (("users", "face_embedding"), ("photo_faces", "embedding"))


class DimensionMismatchError(SchemaError):
    """A vector column is of another dimension than the embedder's vectors."""


@attrs.frozen
class Schema:
    """The application's four tables, complete, and where pgvector's type and operators are.

    ``deferred_keys`` are foreign keys of matches that would be checked, and wait for others, in COMMIT only.
    """

    photos: Table
    users: Table
    photo_faces: Table
    face_matches: Table
    vector_schema: str
    deferred_keys: tuple[sql.Identifier, ...]

    @classmethod
    async def resolve(cls, connection: AsyncConnection[TupleRow]) -> "Schema":
        """Return the tables.

        Raises:
            SchemaError: naming everything that is missing, unusable or hidden from the role, and what to do.

        """
        check_encoding(connection)
        tables = await find_tables(connection)
        vector_schema = await find_vector_schema(connection)
        missing = await _missing(connection, tables)
        if missing or vector_schema is None:
            names = ", ".join(missing if vector_schema is not None else ["the extension vector", *missing])
            raise SchemaError(f"the database lacks {names}: run `facematch migrate`")
        problems = problems_of(tables.values())
        if problems:
            raise SchemaError(f"the application's tables are not as the service needs them: {'; '.join(problems)}")
        await check_row_security(connection, tables.values())
        deferred_keys = await find_deferred_keys(connection, tables["face_matches"])
        return cls(**tables, vector_schema=vector_schema, deferred_keys=deferred_keys)

    @property
    def tables(self) -> tuple[Table, ...]:
        """The application's tables."""
        return self.photos, self.users, self.photo_faces, self.face_matches

    @property
    def by_name(self) -> Mapping[str, Table]:
        """The same, each by what the service calls it."""
        return {table.name: table for table in self.tables}

    async def check_worker(self, connection: AsyncConnection[TupleRow]) -> None:
        """Raise :class:`SchemaError` where the role lacks a worker's right, or the database a migration."""
        lacking = await missing_grants(connection, self.by_name, self.vector_schema, await current_role(connection))
        if lacking:
            raise SchemaError(f"the role may not do a worker's work; the owner has to run: {'; '.join(lacking)};")
        late = await pending(connection)
        if late:
            names = ", ".join(migration.name for migration in late)
            raise SchemaError(f"the database lacks the migrations {names}: run `facematch migrate`")

    def check_dimension(self, info: EmbedderInfo) -> None:
        """Raise :class:`DimensionMismatchError` where a column is of another dimension than the embedder."""
        problems = []
        for table_name, column in VECTORS:
            table = self.by_name[table_name]
            dimension = table.columns[column].modifier
            if dimension not in {-1, info.dimension}:
                problems.append(
                    f"{table}.{column} is vector({dimension}), but embedder {info.id} makes "
                    f"vectors of {info.dimension} dimensions"
                )
        if problems:
            raise DimensionMismatchError(
                f"{'; '.join(problems)}: choose an embedder of that dimension with FACEMATCH_EMBEDDER "
                "(see `facematch embedders`), or change the column's type to vector"
            )

    def candidate_condition(self, alias: str) -> sql.Composed:
        """Return the SQL that is true for a user who may be named."""
        if "blocked" not in self.users.columns:
            return self.not_deleted(alias)
        return sql.SQL("{} AND {}.blocked IS NOT TRUE").format(self.not_deleted(alias), sql.Identifier(alias))

    def not_deleted(self, alias: str) -> sql.Composed:
        """Return the SQL that is true for a user whom the application has not deleted."""
        if "deleted_at" not in self.users.columns:
            return sql.Composed([sql.SQL("true")])
        return sql.SQL("{}.deleted_at IS NULL").format(sql.Identifier(alias))

    def vector(self, dimension: int) -> sql.Composed:
        """Return the SQL type of vectors of that dimension, wherever pgvector is installed."""
        return sql.SQL("{}({})").format(sql.Identifier(self.vector_schema, "vector"), sql.Literal(dimension))

    def half_precision(self, dimension: int) -> sql.Composed:
        """Return the SQL type of such vectors with half the bits in each number."""
        return sql.SQL("{}({})").format(sql.Identifier(self.vector_schema, "halfvec"), sql.Literal(dimension))


async def _missing(connection: AsyncConnection[TupleRow], tables: Mapping[str, Table]) -> list[str]:
    """Return the tables and columns that `migrate` would make."""
    missing = [name for name in TABLES if name not in tables]
    for name, columns in _MADE_BY_MIGRATE.items():
        if name in tables:
            missing += [f"{tables[name]}.{column}" for column in columns if column not in tables[name].columns]
    found = {row[0] for row in await (await connection.execute(_FIND_OWN, [list(OWN_TABLES)])).fetchall()}
    return missing + [f"{OWN_SCHEMA}.{name}" for name in OWN_TABLES if name not in found]


def problems_of(tables: Iterable[Table]) -> list[str]:
    """Return what no migration can put right."""
    return [problem for table in tables for problem in _problems(table)]


def _problems(table: Table) -> list[str]:
    problems = []
    for name, expected in EXPECTED[table.name].items():
        column = table.columns.get(name)
        if column is None:
            problems.append(f"{table} has no column {name}")
        elif expected and column.type not in expected:
            problems.append(f"{table}.{name} is of type {column.type}, not {' or '.join(expected)}")
        elif table.name in _WRITTEN and column.is_generated:
            problems.append(f"{table}.{name} is generated, and the service writes it: make it a plain column")
    for name, column in table.columns.items():
        must_be_given = column.is_never_null and not column.is_filled
        if table.name in _WRITTEN and must_be_given and name not in EXPECTED[table.name]:
            problems.append(
                f"{table}.{name} must be filled, and the service does not know with what: give it a default"
            )
    if table.name == "users":
        problems += _problems_of_marks(table)
    return problems


def _problems_of_marks(users: Table) -> list[str]:
    """Return why who may not be named cannot be told from the others."""
    problems = []
    blocked, deleted_at = users.columns.get("blocked"), users.columns.get("deleted_at")
    if blocked is not None and blocked.type != "bool":
        problems.append(f"{users}.blocked is of type {blocked.type}, not boolean")
    if deleted_at is not None and deleted_at.is_never_null:
        problems.append(
            f"{users}.deleted_at can never be null, so that everybody counts as deleted: let it be null for who "
            "is not, or give facematch a view of users in which it is"
        )
    return problems
