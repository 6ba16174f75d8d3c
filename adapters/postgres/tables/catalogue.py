"""What PostgreSQL's catalogue says of the application's tables; open to every role, whatever it may read."""

from collections.abc import Mapping, Sequence
from itertools import groupby

import attrs
from psycopg import AsyncConnection, sql
from psycopg.rows import TupleRow

from domain.errors import FacematchError

_ANY: tuple[str, ...] = ()
_UUID = ("uuid",)
_VECTOR = ("vector",)
_TEXT = ("text", "varchar", "citext")
EXPECTED: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "photos": {"id": _UUID},
    "users": {"id": _UUID, "face_embedding": _VECTOR, "face_embedding_model": _TEXT},
    "photo_faces": {
        "id": _UUID,
        "photo_id": _UUID,
        "face_index": _ANY,
        "embedding": _VECTOR,
        "embedding_model": _TEXT,
        "bbox": _ANY,
        "created_at": _ANY,
    },
    "face_matches": {"id": _UUID, "photo_face_id": _UUID, "user_id": _UUID, "confidence": _ANY, "created_at": _ANY},
}
"""The application's tables, and of each the columns that the service uses with the types that they may have."""
TABLES = tuple(EXPECTED)
OWN_SCHEMA = "facematch"
OWN_TABLES = (
    "outcomes",
    "attempts",
    "templates",
    "gallery",
    "codebooks",
    "prepared_templates",
    "active_model",
    "application_tables",
    "schema_migrations",
)
"""What the migrations make in the service's own schema."""
_FIND = r"""
SELECT c.relname, n.nspname, c.relkind IN ('r', 'p'),
       n.nspname = ANY (pg_catalog.current_schemas(false)),
       (SELECT pg_catalog.jsonb_object_agg(a.attname, pg_catalog.jsonb_build_object(
                   'type', base.name,
                   'modifier', base.modifier,
                   'is_never_null', a.attnotnull OR (base.is_never_null AND c.relkind <> 'v'),
                   'is_filled', a.atthasdef OR a.attidentity <> '' OR t.typdefault IS NOT NULL,
                   'is_generated', a.attgenerated <> '' OR a.attidentity = 'a',
                   'sequences', (
                       SELECT coalesce(pg_catalog.jsonb_agg(ARRAY[home.nspname, s.relname]), '[]')
                         FROM pg_catalog.pg_attrdef d
                         JOIN pg_catalog.pg_depend p
                           ON p.classid = 'pg_catalog.pg_attrdef'::regclass AND p.objid = d.oid
                          AND p.refclassid = 'pg_catalog.pg_class'::regclass
                         JOIN pg_catalog.pg_class s ON s.oid = p.refobjid AND s.relkind = 'S'
                         JOIN pg_catalog.pg_namespace home ON home.oid = s.relnamespace
                        WHERE d.adrelid = c.oid AND d.adnum = a.attnum)))
          FROM pg_catalog.pg_attribute a
          JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
          CROSS JOIN LATERAL (
              WITH RECURSIVE layer AS (
                  SELECT t.typname AS name, a.atttypmod AS modifier, t.typnotnull AS is_never_null,
                         t.typbasetype AS base, t.typtypmod AS base_modifier
                  UNION ALL
                  SELECT b.typname, layer.base_modifier, layer.is_never_null OR b.typnotnull, b.typbasetype, b.typtypmod
                    FROM layer JOIN pg_catalog.pg_type b ON b.oid = layer.base)
              SELECT * FROM layer WHERE layer.base = 0) AS base
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relname = ANY (%s) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
   AND n.nspname <> ALL (%s) AND n.nspname NOT LIKE 'pg\_%%'
 ORDER BY c.relname, pg_catalog.array_position(pg_catalog.current_schemas(false), n.nspname), n.nspname
"""
_HAS_PLACES = """
SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = %s AND c.relname = 'application_tables' AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
   AND pg_catalog.has_table_privilege(c.oid, 'SELECT')
"""
_PLACES = "SELECT name, schema_name FROM facematch.application_tables"
_VECTOR_SCHEMA = """
SELECT n.nspname FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
 WHERE e.extname = 'vector'
"""
_DEFERRED_KEYS = """
SELECT n.nspname, k.conname
  FROM pg_catalog.pg_constraint k
  JOIN pg_catalog.pg_namespace n ON n.oid = k.connamespace
  JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
  JOIN pg_catalog.pg_namespace home ON home.oid = c.relnamespace
 WHERE home.nspname = %s AND c.relname = %s AND k.contype = 'f' AND k.condeferred
 ORDER BY k.conname
"""


class SchemaError(FacematchError):
    """The database is not as the service needs it; the message says what to do."""


@attrs.frozen
class Column:
    """A column: the name of its type (of a domain's base), the type's modifier, and what an INSERT may leave out.

    The modifier of a ``vector(N)`` is N; -1 stands for none. ``is_filled`` tells that there is a default, and
    ``is_generated`` that nothing else may be written; ``sequences``, by schema and name, are those that it counts with.
    """

    type: str
    modifier: int = -1
    is_never_null: bool = False
    is_filled: bool = False
    is_generated: bool = False
    sequences: Sequence[tuple[str, str]] = ()


@attrs.frozen
class Table:
    """One table of the application; ``is_table`` is False for a view or a foreign table that stands in for it."""

    schema: str
    name: str
    columns: Mapping[str, Column]
    is_table: bool = True

    @property
    def identifier(self) -> sql.Identifier:
        """The quoted, qualified name."""
        return sql.Identifier(self.schema, self.name)

    def __str__(self) -> str:
        """Return the qualified name as people write it."""
        return f"{self.schema}.{self.name}"


def check_encoding(connection: AsyncConnection[TupleRow]) -> None:
    """Raise :class:`SchemaError` where the database cannot hold every character that a job's reference may have."""
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise SchemaError(
            f"the database's encoding is {encoding}, and it has to be UTF8: photographs' keys may hold any character. "
            "Dump it, and restore it into one made with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
        )


async def find_places(connection: AsyncConnection[TupleRow]) -> dict[str, str]:
    """Return the schemas in which `migrate` has found the application's tables, by name; none before its first run."""
    if await (await connection.execute(_HAS_PLACES, [OWN_SCHEMA])).fetchone() is None:
        return {}
    return dict(await (await connection.execute(_PLACES)).fetchall())


async def find_tables(connection: AsyncConnection[TupleRow], *, anew: bool = False) -> dict[str, Table]:
    """Return those of the application's tables that exist, by name.

    Each is where `migrate` has found it. One that it has not found yet, or that is there no more and to be found
    ``anew``, is the first on the search path; one that is on none and in several schemas is ambiguous.

    Raises:
        SchemaError: it is not clear which table is meant, or it is there no more, and another one has its name.

    """
    tables: dict[str, Table] = {}
    places = await find_places(connection)
    cursor = await connection.execute(_FIND, [list(TABLES), [OWN_SCHEMA, "information_schema"]])
    for name, rows in groupby(await cursor.fetchall(), key=lambda row: row[0]):
        found = list(rows)
        known = [row for row in found if row[1] == places.get(name)]
        if name in places and not known and not anew:
            raise SchemaError(
                f"table {name} is not in the schema {places[name]} any more, and another is in {found[0][1]}: where "
                "the application has moved it, run `facematch migrate`"
            )
        [first, *others] = known or found
        _, schema, is_table, on_path, columns = first
        if others and not on_path:
            schemas = ", ".join([schema, *(other[1] for other in others)])
            raise SchemaError(
                f"table {name} exists in the schemas {schemas}, and none is on the search path: "
                "set it, e.g. with ALTER ROLE … SET search_path, or options=-csearch_path=… in the database URL"
            )
        described = {column: Column(**facts) for column, facts in (columns or {}).items()}
        tables[name] = Table(schema, name, described, is_table)
    return tables


async def find_vector_schema(connection: AsyncConnection[TupleRow]) -> str | None:
    """Return the schema that pgvector was installed in; None where it was not."""
    row = await (await connection.execute(_VECTOR_SCHEMA)).fetchone()
    return row[0] if row is not None else None


async def find_deferred_keys(connection: AsyncConnection[TupleRow], table: Table) -> tuple[sql.Identifier, ...]:
    """Return the names of the table's foreign keys that are checked at the end of a transaction only."""
    cursor = await connection.execute(_DEFERRED_KEYS, [table.schema, table.name])
    return tuple(sql.Identifier(*row) for row in await cursor.fetchall())
