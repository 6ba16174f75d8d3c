"""What an operator wants to know of the database: versions, whose embeddings can be used, what would speed it up."""

from typing import Any

import attrs
from psycopg import sql

from adapters.postgres.connection.database import Connection, Database
from adapters.postgres.gallery.templates import comparable
from adapters.postgres.search_index.feed import CODEBOOK
from adapters.postgres.search_index.filling import count_missing
from adapters.postgres.search_index.parts import IndexParts
from adapters.postgres.search_index.standing import look_at_index
from adapters.postgres.tables.indexes import missing_indexes
from adapters.postgres.tables.schema import VECTORS, Schema
from application.ports.face_pipeline import EmbedderInfo
from application.ports.search_index import IndexState

_VERSIONS = """
SELECT pg_catalog.current_setting('server_version'),
       (SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'vector')
"""
# A log as CSV or JSON gets DETAIL and CONTEXT of errors however terse it is to be. What auto_explain is set to is there
# for sessions that have loaded it; PostgreSQL before 16 lets it write no parameters, but plans hold vectors, too.
_LOGGED = """
WITH errors AS (
    SELECT CASE WHEN pg_catalog.current_setting('logging_collector') = 'on'
                 AND pg_catalog.current_setting('log_destination') ~* '(csv|json)log' THEN 'log_min_messages = log'
                WHEN pg_catalog.current_setting('log_error_verbosity') <> 'terse' THEN 'log_error_verbosity = terse'
           END AS setting
     WHERE pg_catalog.current_setting('log_min_messages') NOT IN ('log', 'fatal', 'panic'))
SELECT current_user, 'statements', 'log_parameter_max_length = 0'
 WHERE pg_catalog.current_setting('log_parameter_max_length') <> '0'
   AND (pg_catalog.current_setting('log_statement') IN ('mod', 'all')
        OR pg_catalog.current_setting('log_min_duration_statement') <> '-1'
        OR pg_catalog.current_setting('log_min_duration_sample') <> '-1'
        OR pg_catalog.current_setting('log_transaction_sample_rate') <> '0')
UNION ALL
SELECT current_user, 'rows that a constraint refuses', setting FROM errors WHERE setting IS NOT NULL
UNION ALL
SELECT current_user, 'parameters of statements that fail', 'log_parameter_max_length_on_error = 0'
  FROM errors WHERE setting IS NOT NULL AND pg_catalog.current_setting('log_parameter_max_length_on_error') <> '0'
UNION ALL
SELECT current_user, 'plans of auto_explain', 'auto_explain.log_min_duration = -1'
  FROM pg_catalog.pg_settings WHERE name = 'auto_explain.log_min_duration' AND setting <> '-1'
"""
_LOG_LESS = "ALTER ROLE {} SET {}"
_ENROLLED = """
SELECT count(*), count(*) FILTER (WHERE {dimensions}(u.face_embedding) <> {dimension} OR NOT {comparable})
  FROM {users} u WHERE u.face_embedding_model = %s AND u.face_embedding IS NOT NULL AND {candidate}
"""
_OTHERS = """
SELECT coalesce(u.face_embedding_model, ''), count(*) FROM {users} u
 WHERE u.face_embedding IS NOT NULL AND u.face_embedding_model IS DISTINCT FROM %s AND {not_deleted}
 GROUP BY 1 ORDER BY 1
"""
# By a hash: vectors would be sorted, and those that lie beside their rows fetched anew for each comparison.
_SHARED = """
SELECT coalesce(pg_catalog.sum(same.users), 0)::bigint FROM (
    SELECT count(*) AS users FROM {users} u WHERE u.face_embedding_model = %s AND {candidate}
     GROUP BY pg_catalog.hash_array_extended(u.face_embedding::real[], 0)
    HAVING pg_catalog.count(u.face_embedding) > 1) same
"""
_IN_STATISTICS = """
SELECT n.nspname, t.typname, a.atttypmod, a.attstorage::text
  FROM pg_catalog.pg_attribute a
  JOIN pg_catalog.pg_type t ON t.oid = a.atttypid JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
 WHERE a.attrelid = %s::regclass AND a.attname = %s AND a.attstattarget IS DISTINCT FROM 0
"""
_KEEP_NONE = (
    "ALTER TABLE {table} ALTER COLUMN {column} TYPE {type}, ALTER COLUMN {column} SET STORAGE {storage}, "
    "ALTER COLUMN {column} SET STATISTICS 0"
)
# ANALYZE looks at the indexes of partitions, not at those of the partitioned table, and keeps no values of more than
# 1,024 bytes. What it has kept stays after SET STATISTICS 0 and after REINDEX.
_IN_STATISTICS_OF_INDEXES = """
SELECT n.nspname, c.relname, a.attname, a.attnum,
       pg_catalog.to_regproc('pg_catalog.pg_clear_attribute_stats') IS NOT NULL
  FROM (SELECT %(table)s::regclass AS id UNION SELECT relid FROM pg_catalog.pg_partition_tree(%(table)s::regclass)) part
  JOIN pg_catalog.pg_attribute v ON v.attrelid = part.id AND v.attname = %(column)s
  JOIN pg_catalog.pg_index i ON i.indrelid = part.id
  JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid AND c.relkind = 'i'
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attstattarget IS DISTINCT FROM 0
  JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
 WHERE i.indkey[a.attnum - 1] = 0 AND pg_catalog.pg_get_indexdef(c.oid, a.attnum, true) ~ %(expression)s
   AND NOT (t.typname = 'vector' AND a.atttypmod > 254 OR t.typname = 'halfvec' AND a.atttypmod > 508)
   AND EXISTS (SELECT FROM pg_catalog.pg_depend d
                WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid
                  AND d.refclassid = 'pg_catalog.pg_class'::regclass
                  AND (d.refobjid, d.refobjsubid) = (v.attrelid, v.attnum))
 ORDER BY n.nspname, c.relname, a.attnum
"""
_KEEP_NONE_OF_INDEX = "ALTER INDEX {index} ALTER COLUMN {number} SET STATISTICS 0"
_CLEAR = "; SELECT pg_catalog.pg_clear_attribute_stats({schema}, {name}, {column}, false)"
_MAKE_ANEW = " -- before that, drop the index and make it anew, or it keeps old copies"
_STORAGES = {"p": "PLAIN", "e": "EXTERNAL", "m": "MAIN", "x": "EXTENDED"}
_MOST_IN_STATISTICS = 254
"""Vectors of more dimensions are longer than 1,024 bytes, which ANALYZE keeps none of."""
_SECONDS = 60.0  # every user is looked at


@attrs.frozen
class DatabaseFacts:
    """Versions; how many users have an embedding, and what to do for speed.

    ``enrolled`` are those of this model who may be named; ``unfit`` of them have a vector that cannot be compared, of
    another dimension or of no length that could be told, and ``shared`` counts those of them who have the very same one
    as somebody else. ``unusable`` counts those of other models, but for deleted ones, by model ('': of an unknown one).
    ``advice`` are statements for the tables' owner, and ``copying`` others for the same, after which ANALYZE keeps no
    copies of templates. ``index`` is what this model's users are searched through by what was ``learnt``, which is None
    where it is not used; ``unindexed`` of them are not in it.
    ``logged`` are statements for a superuser, by what it is that the server's log gets embeddings with.
    ``address`` is the server's, '' where it is reached through a socket of this machine, and ``sslmode`` what is asked
    of the connection to it.
    """

    server_version: str
    pgvector_version: str
    enrolled: int
    unfit: int
    shared: int
    unusable: dict[str, int]
    advice: tuple[str, ...]
    copying: tuple[str, ...]
    index: IndexState | None
    learnt: bytes | None
    unindexed: int
    logged: dict[str, str]
    address: str
    sslmode: str


async def inspect_database(database: Database, info: EmbedderInfo) -> DatabaseFacts:
    """Look at the database as a worker with that embedder sees it.

    Raises:
        DatabaseUnavailableError: no answer.

    """
    schema = database.schema
    parts = {"users": schema.users.identifier, "candidate": schema.candidate_condition("u")}
    enrolled = sql.SQL(_ENROLLED).format(
        dimensions=sql.Identifier(schema.vector_schema, "vector_dims"),
        comparable=comparable(schema, "u"),
        dimension=sql.Literal(info.dimension),
        **parts,
    )
    others = sql.SQL(_OTHERS).format(users=schema.users.identifier, not_deleted=schema.not_deleted("u"))
    async with database.operation("inspect", seconds=_SECONDS) as connection:
        [(server, pgvector)] = await _rows(connection, sql.SQL(_VERSIONS), [])
        [(usable, unfit)] = await _rows(connection, enrolled, [info.id])
        [(shared,)] = await _rows(connection, sql.SQL(_SHARED).format(**parts), [info.id])
        unusable = dict(await _rows(connection, others, [info.id]))
        advice = await missing_indexes(connection, schema.by_name)
        copying = await _copying(connection, schema) if info.dimension <= _MOST_IN_STATISTICS else ()
        copying += await _copying_indexes(connection, schema)
        index = await look_at_index(connection, schema, info.id)
        is_used = index is not None and index.serves(info.dimension)
        [(learnt,)] = await _rows(connection, sql.SQL(CODEBOOK), [info.id]) if is_used else [(None,)]
        unindexed = await count_missing(connection, IndexParts(schema, info.id, info.dimension)) if is_used else 0
        logged = await _logged(connection)
        address, sslmode = connection.info.hostaddr, _sslmode(connection)
    return DatabaseFacts(
        server,
        pgvector,
        usable,
        unfit,
        shared,
        unusable,
        advice,
        copying,
        index,
        learnt,
        unindexed,
        logged,
        address,
        sslmode,
    )


async def _logged(connection: Connection) -> dict[str, str]:
    found = await _rows(connection, sql.SQL(_LOGGED), [])
    return {
        what: sql.SQL(_LOG_LESS).format(sql.Identifier(role), sql.SQL(setting)).as_string()
        for role, what, setting in found
    }


def _sslmode(connection: Connection) -> str:
    """Return what is in force, wherever libpq has it from: URL, environment, a service's file or its own default."""
    return next((option.val or b"" for option in connection.pgconn.info if option.keyword == b"sslmode"), b"").decode()


async def _copying(connection: Connection, schema: Schema) -> tuple[str, ...]:
    """Return what lets the statistics hold no templates any more: to name a column's type anew empties them."""
    statements = []
    for name, column in VECTORS:
        table = schema.by_name[name]
        query = sql.SQL(_IN_STATISTICS)
        for home, kind, modifier, storage in await _rows(connection, query, [table.identifier.as_string(), column]):
            parts = {
                "table": table.identifier,
                "column": sql.Identifier(column),
                "type": sql.Identifier(home, kind) + sql.SQL("" if modifier == -1 else f"({modifier:d})"),
                "storage": sql.SQL(_STORAGES[storage]),
            }
            if table.is_table:
                statements.append(sql.SQL(_KEEP_NONE).format(**parts).as_string())
    return tuple(statements)


async def _copying_indexes(connection: Connection, schema: Schema) -> tuple[str, ...]:
    """Return the same for indexes on expressions; after those of columns, which make such indexes anew."""
    statements = []
    for name, column in VECTORS:
        table = schema.by_name[name].identifier.as_string()
        parameters = {"table": table, "column": column, "expression": rf"\m{column}\M"}
        query = sql.SQL(_IN_STATISTICS_OF_INDEXES)
        for home, index, expression, number, is_clearable in await _rows(connection, query, parameters):
            parts = {
                "index": sql.Identifier(home, index),
                "number": sql.SQL(f"{number:d}"),
                "schema": sql.Literal(home),
                "name": sql.Literal(index),
                "column": sql.Literal(expression),
            }
            remedy = _KEEP_NONE_OF_INDEX + (_CLEAR if is_clearable else _MAKE_ANEW)
            statements.append(sql.SQL(remedy).format(**parts).as_string())
    return tuple(statements)


async def _rows(
    connection: Connection, query: sql.SQL | sql.Composed, parameters: list[str] | dict[str, str]
) -> list[tuple[Any, ...]]:
    return await (await connection.execute(query, parameters)).fetchall()
