"""Indexes that every job needs, and that tables which the application made may lack."""

from collections.abc import Mapping

from psycopg import AsyncConnection, sql
from psycopg.rows import TupleRow

from adapters.postgres.tables.catalogue import Table

_LOOKED_UP = (("photo_faces", "photo_id"), ("face_matches", "photo_face_id"))
# By names: a cast to regclass asks for a right on the schema, which who only rehearses a migration may lack.
_INDEXED = """
SELECT EXISTS (
    SELECT 1 FROM pg_catalog.pg_index i
      JOIN pg_catalog.pg_class c ON c.oid = i.indrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
     WHERE n.nspname = %s AND c.relname = %s AND a.attname = %s AND i.indisvalid AND i.indpred IS NULL)
"""


async def missing_indexes(connection: AsyncConnection[TupleRow], tables: Mapping[str, Table]) -> tuple[str, ...]:
    """Return the statements, for the tables' owner, that make those which the ``tables``, by name, do not have."""
    statements = []
    for name, column in _LOOKED_UP:
        table = tables.get(name)
        if table is None or not table.is_table or column not in table.columns:
            continue
        place = [table.schema, table.name, column]
        if await (await connection.execute(_INDEXED, place)).fetchone() != (True,):
            create = sql.SQL("CREATE INDEX CONCURRENTLY ON {} ({})")
            statements.append(create.format(table.identifier, sql.Identifier(column)).as_string())
    return tuple(statements)
