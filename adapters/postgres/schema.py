"""Where the application has its tables, and what their columns are like: found out once, then schema-qualified."""

import attrs
from psycopg import AsyncConnection, sql
from psycopg.rows import TupleRow

from application.ports.face_pipeline import EmbedderInfo
from domain.errors import FacematchError

OWN_SCHEMA = "facematch"
TABLES = ("photos", "users", "photo_faces", "face_matches")
_FIND = """
SELECT t.name, array_agg(n.nspname ORDER BY array_position(current_schemas(false)::text[], n.nspname::text)),
       array_agg(n.nspname = ANY (current_schemas(false)))
FROM unnest(%s::text[]) AS t(name)
JOIN pg_catalog.pg_class c ON c.relname = t.name AND c.relkind IN ('r', 'p')
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname NOT IN ('facematch', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%%'
GROUP BY t.name
"""
_COLUMNS = """
SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod)
FROM pg_catalog.pg_attribute a
WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped
"""
_REQUIRED = {
    "photos": ("id",),
    "users": ("id", "face_embedding", "face_embedding_model"),
    "photo_faces": ("id", "photo_id", "face_index", "embedding", "embedding_model", "bbox", "created_at"),
    "face_matches": ("id", "photo_face_id", "user_id", "confidence", "created_at"),
}
_VECTORS = (("users", "face_embedding"), ("photo_faces", "embedding"))


class SchemaError(FacematchError):
    """The database is not as the service needs it; the message says what to do."""


class DimensionMismatchError(SchemaError):
    """A vector column is of another dimension than the embedder's vectors."""


@attrs.frozen
class Table:
    """One table of the application: its schema and its columns' types by name."""

    schema: str
    name: str
    columns: dict[str, str]

    @property
    def identifier(self) -> sql.Identifier:
        """The quoted, qualified name."""
        return sql.Identifier(self.schema, self.name)


async def find_tables(connection: AsyncConnection[TupleRow]) -> dict[str, Table]:
    """Return those of the application's tables that exist.

    A table on the search path wins; one that is on none and in several schemas is ambiguous.

    Raises:
        SchemaError: it is not clear which table is meant.

    """
    tables: dict[str, Table] = {}
    cursor = await connection.execute(_FIND, [list(TABLES)])
    for name, schemas, on_path in await cursor.fetchall():
        reachable = [schema for schema, on in zip(schemas, on_path, strict=True) if on] or schemas
        if len(reachable) > 1 and not any(on_path):
            raise SchemaError(
                f"table {name} exists in the schemas {', '.join(sorted(reachable))}, and none is on the search path: "
                "set it, e.g. with ALTER ROLE … SET search_path, or options=-csearch_path in the database URL"
            )
        qualified = sql.Identifier(reachable[0], name).as_string(connection)
        columns = await (await connection.execute(_COLUMNS, [qualified])).fetchall()
        tables[name] = Table(reachable[0], name, dict(columns))
    return tables


@attrs.frozen
class Schema:
    """The application's four tables, complete."""

    photos: Table
    users: Table
    photo_faces: Table
    face_matches: Table

    @classmethod
    async def resolve(cls, connection: AsyncConnection[TupleRow]) -> "Schema":
        """Return the tables, or raise :class:`SchemaError` naming everything that is missing."""
        tables = await find_tables(connection)
        missing = [name for name in TABLES if name not in tables]
        for name, table in tables.items():
            missing += [f"{table.schema}.{name}.{column}" for column in _REQUIRED[name] if column not in table.columns]
        own = await (await connection.execute("SELECT to_regclass('facematch.outcomes') IS NOT NULL")).fetchone()
        if own is None or not own[0]:
            missing.append(f"{OWN_SCHEMA}.outcomes")
        if missing:
            raise SchemaError(f"the database lacks {', '.join(missing)}: run `facematch migrate`")
        return cls(**tables)

    def check_dimension(self, info: EmbedderInfo) -> None:
        """Raise :class:`SchemaError` where a vector column has another dimension than the embedder."""
        problems = []
        for table_name, column in _VECTORS:
            table: Table = getattr(self, table_name)
            dimension = vector_dimension(table.columns[column])
            if dimension is not None and dimension != info.dimension:
                problems.append(
                    f"{table.schema}.{table.name}.{column} is vector({dimension}), but embedder {info.id} makes "
                    f"vectors of {info.dimension} dimensions"
                )
        if problems:
            raise DimensionMismatchError(
                f"{'; '.join(problems)}: choose an embedder of that dimension with FACEMATCH_EMBEDDER "
                "(see `facematch embedders`), or change the column's type to vector"
            )

    def candidate_condition(self, alias: str) -> sql.Composed:
        """Return the SQL that is true for a user who may be named."""
        conditions = [sql.SQL("true")]
        user = sql.Identifier(alias)
        if "deleted_at" in self.users.columns:
            conditions.append(sql.SQL("{}.deleted_at IS NULL").format(user))  # type: ignore[arg-type]
        if "blocked" in self.users.columns:
            conditions.append(sql.SQL("{}.blocked IS NOT TRUE").format(user))  # type: ignore[arg-type]
        return sql.SQL(" AND ").join(conditions)


def vector_dimension(column_type: str) -> int | None:
    """Return N of ``vector(N)``, also where the type's schema is named; None for an untyped ``vector``."""
    _, bracket, rest = column_type.partition("(")
    return int(rest.rstrip(")")) if bracket else None
