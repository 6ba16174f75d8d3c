"""Indexes that every job needs, and that tables which the application made may lack."""

from collections.abc import Mapping

from psycopg import AsyncConnection, sql
from psycopg.rows import TupleRow

from adapters.postgres.tables.catalogue import Table

_LOOKED_UP = (("photo_faces", "photo_id"), ("face_matches", "photo_face_id"))
# By names: a cast to regclass asks for a right on the schema, which who only rehearses a migration may lack.
_INDEXED = """
WITH indexed AS (
    SELECT i.indrelid AS id
      FROM pg_catalog.pg_index i
      JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
     WHERE a.attname = %s AND i.indisvalid AND i.indpred IS NULL)
SELECT c.relkind = 'p',
       c.oid IN (SELECT id FROM indexed) OR c.relkind = 'p' AND coalesce((
           SELECT pg_catalog.bool_and(leaf.relid IN (SELECT id FROM indexed))
             FROM pg_catalog.pg_partition_tree(c.oid) leaf
             JOIN pg_catalog.pg_class l ON l.oid = leaf.relid AND l.relkind = 'r'), false)
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = %s AND c.relname = %s
"""
_CREATE = sql.SQL("CREATE INDEX CONCURRENTLY ON {} ({})")
_CREATE_IN_PARTITIONS = sql.SQL("CREATE INDEX ON {} ({})")


async def missing_indexes(connection: AsyncConnection[TupleRow], tables: Mapping[str, Table]) -> tuple[str, ...]:
    """Return the statements, for the tables' owner, that make those which the ``tables``, by name, do not have.

    A partitioned table has one where all its partitions have, but for foreign ones. PostgreSQL makes none
    concurrently there.
    """
    statements = []
    for name, column in _LOOKED_UP:
        table = tables.get(name)
        if table is None or not table.is_table or column not in table.columns:
            continue
        cursor = await connection.execute(_INDEXED, [column, table.schema, table.name])
        for is_partitioned, is_indexed in await cursor.fetchall():
            if not is_indexed:
                create = _CREATE_IN_PARTITIONS if is_partitioned else _CREATE
                statements.append(create.format(table.identifier, sql.Identifier(column)).as_string())
    return tuple(statements)
